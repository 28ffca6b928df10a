//! The dev bundle, and one change at a time.

use std::collections::BTreeMap;

use countersign_bundle::{Bundle, LoadErrors, MANIFEST_PATH, Manifest};

pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// `policies/dev`, sealed.
pub(crate) fn dev() -> Files {
    let files = [
        ("assets.yaml", include_str!("../../../../policies/dev/assets.yaml")),
        (
            "destinations.yaml",
            include_str!("../../../../policies/dev/destinations.yaml"),
        ),
        (
            "networks/dev.yaml",
            include_str!("../../../../policies/dev/networks/dev.yaml"),
        ),
        ("policy.yaml", include_str!("../../../../policies/dev/policy.yaml")),
        ("roster.yaml", include_str!("../../../../policies/dev/roster.yaml")),
        ("wallets.yaml", include_str!("../../../../policies/dev/wallets.yaml")),
    ];
    seal(
        files
            .map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()))
            .into(),
    )
}

/// The files with their manifest.
pub(crate) fn seal(mut files: Files) -> Files {
    files.remove(MANIFEST_PATH);
    let manifest = Manifest::build(1, None, &files).unwrap();
    files.insert(MANIFEST_PATH.to_owned(), manifest.to_bytes());
    files
}

/// The dev bundle with one text of one file replaced, sealed again.
pub(crate) fn mutated(path: &str, from: &str, to: &str) -> Files {
    let mut files = dev();
    let text = String::from_utf8(files[path].clone()).unwrap();
    assert_eq!(text.matches(from).count(), 1, "`{from}` must stand once in {path}");
    files.insert(path.to_owned(), text.replace(from, to).into_bytes());
    seal(files)
}

pub(crate) fn errors(files: &Files) -> LoadErrors {
    Bundle::load(files).map(drop).expect_err("the bundle must not load")
}

//! A bundle's files in a folder.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use countersign_bundle::{Bundle, Component, MANIFEST_PATH, MAX_FILES};

use crate::{
    environment::Layout,
    failure::{Failure, Result},
    files,
};

/// The folders of a bundle and the extensions of what they hold; there are no others.
const FOLDERS: [(&str, &str); 4] = [
    ("descriptors", ".json"),
    ("keys", ".keys"),
    ("lists", ".list"),
    ("networks", ".yaml"),
];

/// Reads the files of a bundle: `manifest.json`, `*.yaml`, `networks/*.yaml`, `keys/*.keys`, `lists/*.list` and `descriptors/*.json`. Other
/// files are none of its business, except that a YAML file which bundles do not have is read too, so that loading refuses it instead of
/// ignoring it.
pub(crate) fn read(folder: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut contents = BTreeMap::new();
    for (name, path) in entries(folder)? {
        let is_ours = name == MANIFEST_PATH || name.ends_with(".yaml");
        if is_ours && path.is_file() {
            contents.insert(name, files::read(&path)?);
        }
    }
    for (inner, extension) in FOLDERS {
        let folder = folder.join(inner);
        if !folder.is_dir() {
            continue;
        }
        for (name, path) in entries(&folder)? {
            if name.ends_with(extension) && path.is_file() {
                contents.insert(format!("{inner}/{name}"), files::read(&path)?);
            }
        }
    }
    Ok(contents)
}

fn entries(folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    let failed = |error: std::io::Error| Failure::file(folder, "read", error);
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if let Ok(name) = entry.file_name().into_string() {
            found.push((name, entry.path()));
        }
        if found.len() > MAX_FILES.saturating_mul(16) {
            return Err(Failure::file(folder, "read", "it holds too many files for a bundle"));
        }
    }
    found.sort();
    Ok(found)
}

/// Writes the files of a loaded bundle. Their names are a bundle's, so none leaves the folder.
pub(crate) fn write(folder: &Path, contents: &BTreeMap<String, Vec<u8>>) -> Result<()> {
    for (inner, _) in FOLDERS {
        if contents.keys().any(|name| name.starts_with(inner)) {
            files::create_folder(&folder.join(inner))?;
        }
    }
    for (name, bytes) in contents {
        if name != MANIFEST_PATH && Component::of(name).is_none() {
            return Err(Failure::failed(format!(
                "`{}` is not a file of a bundle",
                name.escape_default()
            )));
        }
        files::write(&folder.join(name), bytes)?;
    }
    Ok(())
}

/// Writes the files of a loaded bundle in the place of the one that was there: a file that only the old one had would make it another.
pub(crate) fn replace(folder: &Path, contents: &BTreeMap<String, Vec<u8>>) -> Result<()> {
    if folder.is_dir() {
        for name in read(folder)?.keys().filter(|name| !contents.contains_key(*name)) {
            let path = folder.join(name);
            fs::remove_file(&path).map_err(|error| Failure::file(&path, "remove", error))?;
        }
    }
    write(folder, contents)
}

/// Reads and loads a bundle.
pub(crate) fn load(folder: &Path) -> Result<Bundle> {
    load_contents(folder, &read(folder)?)
}

/// Loads what was read from a folder.
pub(crate) fn load_contents(folder: &Path, contents: &BTreeMap<String, Vec<u8>>) -> Result<Bundle> {
    Bundle::load(contents)
        .map_err(|errors| Failure::does_not_load(format!("`{}` does not load", folder.display()), &errors))
}

/// Loads the environment's own copy, with which initiators draft and ask: their certificates fetch none from the signer.
pub(crate) fn load_own(layout: &Layout) -> Result<Bundle> {
    let advice = "this is the environment's own copy of the bundle in force: copy the folder `bundle/` of whoever activated it last";
    load(&layout.bundle()).map_err(|failure| failure.advise(advice))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_in_the_place_of_another_leaves_none_of_its_files() {
        let folder = tempfile::tempdir().unwrap();
        let files = |names: &[&str]| -> BTreeMap<String, Vec<u8>> {
            names.iter().map(|name| ((*name).to_owned(), vec![])).collect()
        };
        let old = files(&["manifest.json", "policy.yaml", "networks/dev.yaml", "lists/gone.list"]);
        let new = files(&["manifest.json", "policy.yaml", "networks/new.yaml"]);
        replace(folder.path(), &old).unwrap();
        fs::write(folder.path().join("README.md"), "hello").unwrap();
        replace(folder.path(), &new).unwrap();
        assert_eq!(read(folder.path()).unwrap(), new);
        assert!(
            folder.path().join("README.md").is_file(),
            "other files are none of its business"
        );
    }

    #[test]
    fn an_environment_without_its_copy_of_the_bundle_is_told_where_to_get_one() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path()).unwrap();
        let failure = load_own(&layout).unwrap_err().to_string();
        for words in ["/bundle`", "copy the folder `bundle/` of whoever activated it last"] {
            assert!(failure.contains(words), "{words} in {failure}");
        }
    }

    #[test]
    fn files_come_back_and_strangers_stay_out() {
        let folder = tempfile::tempdir().unwrap();
        let contents: BTreeMap<String, Vec<u8>> = [
            "manifest.json",
            "policy.yaml",
            "networks/dev.yaml",
            "keys/hot.keys",
            "lists/customers.list",
            "descriptors/demo.json",
        ]
        .into_iter()
        .map(|name| (name.to_owned(), name.as_bytes().to_vec()))
        .collect();
        write(folder.path(), &contents).unwrap();
        fs::write(folder.path().join("README.md"), "hello").unwrap();
        assert_eq!(read(folder.path()).unwrap(), contents);
        for outside in [
            "../policy.yaml",
            "/etc/policy.yaml",
            "networks/../../x.yaml",
            "extra.yaml",
            "keys/../x.keys",
        ] {
            let bad = BTreeMap::from([(outside.to_owned(), vec![])]);
            write(folder.path(), &bad).unwrap_err();
        }
    }
}

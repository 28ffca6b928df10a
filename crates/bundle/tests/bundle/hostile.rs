//! Whatever the bytes are, loading answers, and quickly.

use std::time::{Duration, Instant};

use crate::support::{Files, dev, seal};
use countersign_bundle::{Bundle, Manifest};
use proptest::prelude::*;

const PATHS: [&str; 6] = [
    "assets.yaml",
    "destinations.yaml",
    "networks/dev.yaml",
    "policy.yaml",
    "roster.yaml",
    "wallets.yaml",
];

fn replaced(path: &str, bytes: Vec<u8>) -> Files {
    let mut files = dev();
    files.insert(path.to_owned(), bytes);
    seal(files)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn loading_never_panics_on_noise(path in prop::sample::select(PATHS.to_vec()), bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Bundle::load(&replaced(path, bytes)).is_err());
    }

    #[test]
    fn loading_never_panics_on_a_cut_or_doubled_file(path in prop::sample::select(PATHS.to_vec()), at in any::<prop::sample::Index>(), len in 1_usize..40) {
        let mut bytes = dev()[path].clone();
        let start = at.index(bytes.len());
        let end = (start + len).min(bytes.len());
        let piece = bytes[start..end].to_vec();
        bytes.splice(end..end, piece);
        let doubled = Bundle::load(&replaced(path, bytes.clone()));
        bytes.drain(start..end);
        let cut = Bundle::load(&replaced(path, bytes));
        for errors in [doubled.err(), cut.err()].into_iter().flatten() {
            prop_assert!(errors.iter().count() > 0);
        }
    }

    #[test]
    fn a_manifest_has_one_form(bytes in prop::collection::vec(any::<u8>(), 0..100), version in 1_u64..9) {
        prop_assert!(Manifest::parse(&bytes).is_err());
        let mut files = dev();
        files.remove("manifest.json");
        let previous = (version > 1).then(|| countersign_types::BundleDigest::of(&bytes));
        let manifest = Manifest::build(version, previous, &files).unwrap();
        prop_assert_eq!(Manifest::parse(&manifest.to_bytes()).unwrap(), manifest);
    }
}

/// What made other YAML readers slow or large.
#[test]
fn bombs_are_refused_quickly() {
    let aliases = format!(
        "a: &a [{}]\n{}",
        "x,".repeat(9),
        "b: [*a,*a,*a,*a,*a,*a,*a,*a]\n".repeat(2_000)
    );
    let bombs = [
        "[".repeat(80_000),
        "{a: ".repeat(80_000),
        aliases,
        "- ".repeat(40_000),
        format!("{}: 1", "k".repeat(80_000)),
    ];
    for bomb in bombs {
        let start = Instant::now();
        assert!(Bundle::load(&replaced("policy.yaml", bomb.clone().into_bytes())).is_err());
        assert!(start.elapsed() < Duration::from_secs(2), "{}", &bomb[..20]);
    }
}

/// A large allowlist is what the bounds are made for.
#[test]
fn ten_thousand_destinations_load() {
    let mut text = String::from("lists:\n  - id: customers\n    entries:\n");
    let registry = Bundle::load(&dev()).unwrap();
    let chain = "eip155:31337".parse().unwrap();
    let mut count = 0;
    for n in 0..40_000_u64 {
        // Digits carry no EIP-55 case, so these addresses are their own checksum.
        let address = format!("0x{:040}", 1_000_000 + n);
        if registry.registry().parse_destination(&chain, &address).is_ok() && count < 10_000 {
            count += 1;
            text.push_str(&format!("      - {{ name: c{n}, address: \"{chain}:{address}\" }}\n"));
        }
    }
    let bundle = Bundle::load(&replaced("destinations.yaml", text.into_bytes()))
        .map_err(|errors| errors.to_string())
        .unwrap();
    let list = bundle.destinations().list(&"customers".parse().unwrap()).unwrap();
    assert_eq!(list.len(), 10_000);
}

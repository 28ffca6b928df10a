//! Version 1 of the bundle: the fixed files of `policies/dev`, with the roster and wallet of this environment.

use std::collections::BTreeMap;

use countersign_bundle::{Bundle, MANIFEST_PATH, Manifest, write_roster, write_wallets};
use countersign_types::{ChainId, PublicKey, Tier, WalletId, WalletNetwork, WalletRecord};

use super::people::People;
use crate::{
    environment::Layout,
    failure::{Failure, Result},
};

const FIXED: [(&str, &str); 4] = [
    ("assets.yaml", include_str!("../../../../policies/dev/assets.yaml")),
    (
        "destinations.yaml",
        include_str!("../../../../policies/dev/destinations.yaml"),
    ),
    ("policy.yaml", include_str!("../../../../policies/dev/policy.yaml")),
    (
        "networks/dev.yaml",
        include_str!("../../../../policies/dev/networks/dev.yaml"),
    ),
];
/// Networks that are in the bundle where observers are asked for, by what the observers are of.
const OBSERVABLE: [(&str, &str, &str); 2] = [
    (
        "solana:localnet",
        "networks/solana.yaml",
        include_str!("../../../../chains/solana/networks/dev.yaml"),
    ),
    (
        "bip122:0f9188f13cb7b2c71f2a335e3a4fc328",
        "networks/regtest.yaml",
        include_str!("../../../../chains/bitcoin/networks/regtest.yaml"),
    ),
];
const WALLET: &str = "eth-hot";
const NETWORK: &str = "eip155:31337";

/// Refuses observers of a network that no file here describes, and the same network twice.
pub(super) fn certify_observed(observed: &[ChainId]) -> Result<()> {
    for (at, network) in observed.iter().enumerate() {
        let is_known = network.as_str() == NETWORK || file_of(network).is_some();
        if !is_known {
            let known = OBSERVABLE.map(|(known, ..)| format!(", `{known}`")).concat();
            let why = format!("`{network}` is no network of a development environment: there are `{NETWORK}`{known}");
            return Err(Failure::usage(why));
        }
        if observed.iter().take(at).any(|other| other == network) {
            return Err(Failure::usage(format!("`{network}` is named twice")));
        }
    }
    Ok(())
}

/// The file of a network that is not in every bundle.
fn file_of(network: &ChainId) -> Option<(&'static str, &'static str)> {
    let found = OBSERVABLE.iter().find(|(known, ..)| *known == network.as_str())?;
    Some((found.1, found.2))
}

/// Writes the bundle; what does not load is not written.
pub(super) fn write(layout: &Layout, people: &People, key: PublicKey) -> Result<()> {
    let mut contents = build(people, key)?;
    let manifest = Manifest::build(1, None, &contents).map_err(Failure::failed)?;
    contents.insert(MANIFEST_PATH.to_owned(), manifest.to_bytes());
    Bundle::load(&contents).map_err(|errors| Failure::failed(format!("the development bundle:\n{errors}")))?;
    crate::bundle_files::write(&layout.bundle(), &contents)
}

fn build(people: &People, key: PublicKey) -> Result<BTreeMap<String, Vec<u8>>> {
    let chain: ChainId = NETWORK.parse().map_err(Failure::failed)?;
    let wallet = WalletRecord {
        id: WalletId::parse(WALLET).map_err(Failure::failed)?,
        tier: Tier::Hot,
        keys: vec![key],
        table: None,
        networks: BTreeMap::from([(chain, WalletNetwork::default())]),
    };
    let mut contents: BTreeMap<String, Vec<u8>> = FIXED
        .into_iter()
        .map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()))
        .collect();
    for (path, text) in people.observed().iter().filter_map(file_of) {
        contents.insert(path.to_owned(), text.as_bytes().to_vec());
    }
    contents.insert("roster.yaml".to_owned(), write_roster(&people.roster()?).into_bytes());
    contents.insert("wallets.yaml".to_owned(), write_wallets(&[wallet]).into_bytes());
    Ok(contents)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        bundle_files,
        init::{create_folders, people},
    };

    fn made(observed: &[&str]) -> Bundle {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path()).unwrap();
        create_folders(&layout).unwrap();
        let observed: Vec<ChainId> = observed.iter().map(|network| network.parse().unwrap()).collect();
        certify_observed(&observed).unwrap();
        let people = people::generate(&layout, &observed, false).unwrap();
        let key = "secp256k1:0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
            .parse()
            .unwrap();
        write(&layout, &people, key).unwrap();
        let bundle = Bundle::load(&bundle_files::read(&layout.bundle()).unwrap()).unwrap();
        bundle.check_environment(false).unwrap();
        bundle
    }

    #[test]
    fn the_bundle_of_a_new_environment_loads() {
        let bundle = made(&[]);
        assert_eq!((bundle.version(), bundle.previous()), (1, None));
        assert_eq!(bundle.roster().observed_networks().count(), 0);
    }

    #[test]
    fn observers_are_made_of_the_networks_that_are_asked_for() {
        let bundle = made(&["solana:localnet", NETWORK]);
        let observed: Vec<_> = bundle.roster().observed_networks().collect();
        assert_eq!(observed.len(), 2);
        for (network, quorum) in observed {
            assert!(bundle.registry().network(network).is_some());
            assert_eq!((quorum.threshold(), quorum.members().len()), (2, 3), "{network}");
        }
    }

    #[test]
    fn observers_of_another_network_or_twice_of_one_are_refused() {
        for (observed, says) in [
            (
                &["solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"][..],
                "is no network of a development environment",
            ),
            (&["solana:localnet", "solana:localnet"], "named twice"),
        ] {
            let observed: Vec<ChainId> = observed.iter().map(|network| network.parse().unwrap()).collect();
            let failure = certify_observed(&observed).unwrap_err().to_string();
            assert!(failure.contains(says), "{failure}");
        }
    }
}

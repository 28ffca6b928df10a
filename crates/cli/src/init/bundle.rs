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
const WALLET: &str = "eth-hot";
const NETWORK: &str = "eip155:31337";

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

    #[test]
    fn the_bundle_of_a_new_environment_loads() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path()).unwrap();
        create_folders(&layout).unwrap();
        let people = people::generate(&layout).unwrap();
        let key = "secp256k1:0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
            .parse()
            .unwrap();
        write(&layout, &people, key).unwrap();
        let bundle = Bundle::load(&bundle_files::read(&layout.bundle()).unwrap()).unwrap();
        assert_eq!((bundle.version(), bundle.previous()), (1, None));
        bundle.check_environment(false).unwrap();
    }
}

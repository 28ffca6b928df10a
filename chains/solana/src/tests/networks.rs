//! Network records: the templates that bundles copy, and one change of one of them.

use super::fixtures::{USDC, mainnet, network_of};
use crate::{AssetError, certify_asset};

#[test]
fn templates_load() {
    let templates = [
        (
            include_str!("../../networks/mainnet.yaml"),
            "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp",
        ),
        (
            include_str!("../../networks/devnet.yaml"),
            "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1",
        ),
        (
            include_str!("../../networks/testnet.yaml"),
            "solana:4uhcVJyU9pJkvQyS88uRDiswHXSCkY3z",
        ),
        (include_str!("../../networks/dev.yaml"), "solana:localnet"),
    ];
    for (yaml, chain) in templates {
        let network = network_of(yaml).unwrap();
        assert_eq!(network.chain().to_string(), chain);
        assert_eq!(network.native().id.to_string(), format!("{chain}/slip44:501"));
        assert_eq!(u8::from(network.native().decimals), 9);
        assert!(!network.commits_to_chain());
        assert!(!network.name().is_empty());
    }
}

#[test]
fn one_change_of_a_template_and_its_error() {
    let template = include_str!("../../networks/mainnet.yaml");
    let id = "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp";
    let changes = [
        (id, "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvd", "is not the id"),
        (id, "solana:0eykt4UsFv8P8NJdTREpY1vzqKqZKvdp", "is not the id"),
        (id, "solana:mainnet", "is not the id"),
        (id, "eip155:1", "is not the id"),
        ("name: Solana", "name: \"\"", "a network name has"),
        ("name: Solana", "name: \" Solana\"", "a network name has"),
        ("name: Solana", "name: \"Sol\\u202eana\"", "a network name has"),
        ("symbol: SOL", "symbol: sol", "asset symbol"),
        ("name: Solana", "name: Solana\n  rpc: x", "rpc"),
    ];
    for (from, to, message) in changes {
        let changed = template.replacen(from, to, 1);
        assert_ne!(changed, template);
        let error = network_of(&changed).unwrap_err();
        assert!(error.contains(message), "{to}: {error}");
    }
}

#[test]
fn assets_of_a_network_are_native_or_tokens_in_their_canonical_spelling() {
    let network = mainnet();
    let chain = network.chain();
    let certify = |asset: String| certify_asset(&network, &asset.parse().unwrap());
    assert_eq!(certify(format!("{chain}/slip44:501")), Ok(()));
    assert_eq!(certify(format!("{chain}/token:{USDC}")), Ok(()));
    for foreign in [
        format!("{chain}/slip44:60"),
        format!("{chain}/nft:{USDC}"),
        format!("solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1/token:{USDC}"),
    ] {
        assert!(matches!(certify(foreign), Err(AssetError::UnknownKind(_))));
    }
    for misspelt in [
        format!("{chain}/token:1{USDC}"),
        format!("{chain}/token:usdc"),
        format!("{chain}/token:11111111111111111111111111111111"),
    ] {
        assert!(matches!(certify(misspelt), Err(AssetError::BadMint { .. })));
    }
}

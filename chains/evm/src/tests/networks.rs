//! Network records: the templates that bundles copy, and one change of one of them.

use countersign_types::{Amount, Destination};

use super::fixtures::{STRANGER, World, ethereum, network_of};
use crate::{AssetError, DraftError, GasPrice, TransferDraft, certify_asset};

#[test]
fn templates_load() {
    let templates = [
        (include_str!("../../networks/ethereum.yaml"), 1, "ETH", 60),
        (include_str!("../../networks/sepolia.yaml"), 11_155_111, "ETH", 60),
        (include_str!("../../networks/base.yaml"), 8_453, "ETH", 60),
        (include_str!("../../networks/polygon.yaml"), 137, "POL", 966),
        (include_str!("../../networks/bnb.yaml"), 56, "BNB", 714),
        (include_str!("../../networks/dev.yaml"), 31_337, "ETH", 60),
    ];
    for (yaml, chain_id, symbol, coin_type) in templates {
        let network = network_of(yaml).unwrap();
        assert_eq!(network.chain_id(), chain_id);
        assert_eq!(network.chain().to_string(), format!("eip155:{chain_id}"));
        assert_eq!(network.native().symbol.as_str(), symbol);
        assert_eq!(
            network.native().id.to_string(),
            format!("eip155:{chain_id}/slip44:{coin_type}")
        );
        assert_eq!(u8::from(network.native().decimals), 18);
        assert_eq!(network.max_gas_limit(), 1 << 24);
        assert!(!network.name().is_empty());
    }
}

#[test]
fn one_change_of_a_template_and_its_error() {
    let template = include_str!("../../networks/ethereum.yaml");
    let changes = [
        ("eip155:1", "eip155:01", "is not the id of an EVM network"),
        ("eip155:1", "eip155:0", "is not the id of an EVM network"),
        ("eip155:1", "eip155:0x1", "is not the id of an EVM network"),
        (
            "eip155:1",
            "eip155:9223372036854775772",
            "is not the id of an EVM network",
        ),
        ("eip155:1", "bip122:1", "is not the id of an EVM network"),
        ("eip155:1", "eip155", "CAIP-2"),
        ("name: Ethereum", "name: \"\"", "a network name has"),
        ("name: Ethereum", "name: \" Ethereum\"", "a network name has"),
        ("name: Ethereum", "name: \"Eth\\u202ereum\"", "a network name has"),
        (
            "name: Ethereum",
            "name: A very long name of a small network",
            "a network name has",
        ),
        ("symbol: ETH", "symbol: eth", "asset symbol"),
        ("slip44: 60", "slip44: -1", ""),
        ("16777216", "20999", "max-gas-limit is at least 21000"),
        ("max-gas-limit: 16777216", "max_gas_limit: 16777216", "max_gas_limit"),
        ("name: Ethereum", "name: Ethereum\n  rpc: x", "rpc"),
        ("native:", "fee: {}\n  native:", "fee"),
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
    let network = ethereum();
    let certify = |asset: &str| certify_asset(&network, &asset.parse().unwrap());
    assert_eq!(certify("eip155:1/slip44:60"), Ok(()));
    for kind in ["erc20", "erc721", "erc1155"] {
        let asset = format!("eip155:1/{kind}:0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48");
        assert_eq!(certify(&asset), Ok(()));
    }
    for foreign in [
        "eip155:1/slip44:61",
        "eip155:10/slip44:60",
        "eip155:10/erc20:0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48",
        "eip155:1/erc777:0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48",
    ] {
        assert!(matches!(certify(foreign), Err(AssetError::UnknownKind(_))), "{foreign}");
    }
    for misspelt in [
        "eip155:1/erc20:0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48",
        "eip155:1/erc20:0x0000000000000000000000000000000000000000",
        "eip155:1/erc20:usdc",
    ] {
        assert!(
            matches!(certify(misspelt), Err(AssetError::BadContract { .. })),
            "{misspelt}"
        );
    }
}

#[test]
fn drafts_refuse_what_no_parse_accepts() {
    let world = World::new();
    let valid = TransferDraft {
        asset: "eip155:1/slip44:60".parse().unwrap(),
        amount: Amount::from_base_units(1),
        destination: world.destination(STRANGER),
        nonce: 0,
        gas_limit: 21_000,
        price: GasPrice::Legacy { gas_price: 1 },
    };
    assert!(world.parse(&valid.encode().unwrap()).is_ok());
    let with = |change: &dyn Fn(&mut TransferDraft)| {
        let mut draft = valid.clone();
        change(&mut draft);
        draft.encode().unwrap_err()
    };
    let destination = |text: &str| text.parse::<Destination>().unwrap();
    let other = with(&|draft| draft.asset = "eip155:10/slip44:60".parse().unwrap());
    assert!(matches!(other, DraftError::OtherNetwork { .. }));
    let family = with(&|draft| draft.asset = "bip122:abc/slip44:0".parse().unwrap());
    assert!(matches!(family, DraftError::NotEvm(_)));
    let kind = with(&|draft| draft.asset = "eip155:1/erc721:0xabc".parse().unwrap());
    assert!(matches!(kind, DraftError::UnknownAssetKind(_)));
    let lower = with(&|draft| draft.destination = destination("eip155:1:0x70997970c51812dc3a010c7d01b50e0d17dc79c8"));
    assert_eq!(lower, DraftError::Address(crate::AddressError::BadChecksum));
    let burn = with(&|draft| draft.destination = destination("eip155:1:0x000000000000000000000000000000000000dEaD"));
    assert_eq!(
        burn,
        DraftError::Address(crate::AddressError::Reserved(crate::Reserved::Burn))
    );
    let tip = with(&|draft| {
        draft.price = GasPrice::Eip1559 {
            max_fee_per_gas: 1,
            max_priority_fee_per_gas: 2,
        };
    });
    assert_eq!(tip, DraftError::PriorityFeeOverMax);
}

//! Bitcoin networks in the registry.

use std::collections::BTreeSet;

use countersign_types::{ChainFacts, Effect, PublicKey, RawSignature, Scheme, SigningBytes, Tag};
use k256::ecdsa::{Signature, SigningKey, signature::hazmat::PrehashSigner as _};

use super::{HOT, Records, WARM, asset, chain, dev, key, network, wallet};
use crate::{
    AccountError, AddressError, AssembleError, DestinationError, Network, ParseError, Registry, RegistryError, bitcoin,
};

const BITCOIN: &str = "bip122:000000000019d6689c085ae165831e93";
const DOGECOIN: &str = "bip122:1a91e3dace36e2be3bf030a65679fe82";

fn mainnet() -> Network {
    network(include_str!("../../bitcoin/networks/bitcoin.yaml"))
}

fn dogecoin() -> Network {
    network(include_str!("../../bitcoin/networks/dogecoin.yaml"))
}

/// Two wallets on Bitcoin and an EVM network beside it.
fn records() -> Records {
    Records {
        networks: vec![mainnet(), dogecoin(), dev()],
        wallets: vec![
            wallet("btc-hot", vec![key(&HOT)], &[BITCOIN]),
            wallet("btc-warm", vec![key(&WARM)], &[BITCOIN]),
        ],
        assets: vec![asset(&format!("{BITCOIN}/slip44:0"), "BTC", 8)],
    }
}

fn registry() -> Registry {
    records().registry().unwrap()
}

/// 60 000 satoshi to a stranger, 39 000 back, 1 000 for the miners: the golden PSBT of the family's own tests.
fn psbt() -> Vec<u8> {
    let hex = include_str!("../../bitcoin/vectors/payment.psbt.hex").trim();
    let digit = |byte: u8| char::from(byte).to_digit(16).unwrap() as u8;
    hex.as_bytes()
        .chunks(2)
        .map(|pair| digit(pair[0]) * 16 + digit(pair[1]))
        .collect()
}

fn negated(key: PublicKey) -> PublicKey {
    let PublicKey::Secp256k1(mut bytes) = key else {
        panic!("a secp256k1 key");
    };
    bytes[0] ^= 1;
    PublicKey::Secp256k1(bytes)
}

#[test]
fn templates_are_networks_of_their_family() {
    let templates = [
        include_str!("../../bitcoin/networks/bitcoin.yaml"),
        include_str!("../../bitcoin/networks/testnet4.yaml"),
        include_str!("../../bitcoin/networks/signet.yaml"),
        include_str!("../../bitcoin/networks/regtest.yaml"),
        include_str!("../../bitcoin/networks/litecoin.yaml"),
        include_str!("../../bitcoin/networks/dogecoin.yaml"),
    ];
    let chains: BTreeSet<_> = templates
        .map(network)
        .into_iter()
        .map(|network| {
            assert_eq!(network.chain().namespace(), "bip122");
            assert!(!network.commits_to_chain());
            assert!(!network.name().is_empty());
            network.chain().clone()
        })
        .collect();
    assert_eq!(chains.len(), templates.len());
}

#[test]
fn one_change_of_the_records_and_its_error() {
    type Change = fn(&mut Records);
    type Expected = fn(&RegistryError) -> bool;
    fn account(error: &RegistryError) -> Option<&AccountError> {
        match error {
            RegistryError::Account { error, .. } => Some(error),
            _ => None,
        }
    }
    let cases: Vec<(&str, Change, Expected)> = vec![
        (
            "a key on two networks, and a signature is valid on both",
            |records| records.wallets[0].networks.extend([(chain(DOGECOIN), 0)]),
            |error| matches!(account(error), Some(AccountError::NotTheOnlyNetwork(_))),
        ),
        (
            "a key on an EVM network too",
            |records| records.wallets[0].networks.extend([(chain("eip155:31337"), 0)]),
            |error| matches!(account(error), Some(AccountError::NotTheOnlyNetwork(_))),
        ),
        (
            "a key of another curve",
            |records| records.wallets[0].keys = vec![PublicKey::Ed25519([1; 32])],
            |error| {
                let refused = account(error);
                matches!(
                    refused,
                    Some(AccountError::Bitcoin(bitcoin::AccountError::WrongCurve(_)))
                )
            },
        ),
        (
            "a taproot address of two wallets",
            |records| records.wallets[1].keys = vec![negated(key(&HOT))],
            |error| matches!(account(error), Some(AccountError::SharedAddress(other)) if other.as_str() == "btc-hot"),
        ),
        (
            "another asset",
            |records| records.assets[0] = asset(&format!("{BITCOIN}/brc20:ordi"), "ORDI", 18),
            |error| matches!(error, RegistryError::Address(AddressError::BitcoinAsset(_))),
        ),
        (
            "other decimals of the native asset",
            |records| records.assets[0] = asset(&format!("{BITCOIN}/slip44:0"), "BTC", 18),
            |error| matches!(error, RegistryError::NativeAssetDiffers { decimals: 8, .. }),
        ),
    ];
    assert!(records().registry().is_ok());
    for (name, change, is_expected) in cases {
        let mut records = records();
        change(&mut records);
        let error = records.registry().unwrap_err();
        assert!(is_expected(&error), "{name}: {error:?}");
        assert_eq!(error.tag(), Tag::BundleMalformed);
    }
}

#[test]
fn a_psbt_goes_through_parse_and_assemble() {
    let registry = registry();
    let (hot, warm, on) = ("btc-hot".parse().unwrap(), "btc-warm".parse().unwrap(), chain(BITCOIN));
    let parsed = registry.parse(&on, &hot, &psbt(), ChainFacts::none()).unwrap();
    assert!(matches!(
        parsed.effects(),
        [Effect::Transfer { .. }, Effect::Internal { wallet, change: true, .. }, Effect::Fee { .. }] if *wallet == hot
    ));
    assert_eq!(parsed.conflict_keys().len(), 1);
    let SigningBytes::EcdsaPrehash(hash) = parsed.signing_payloads()[0].bytes() else {
        panic!("a digest for ECDSA");
    };
    let signature: Signature = SigningKey::from_slice(&HOT).unwrap().sign_prehash(hash).unwrap();
    let raw = RawSignature::Ecdsa(signature.to_bytes().into());
    let signed = registry.assemble(&on, &hot, &psbt(), &[raw]).unwrap();
    assert_eq!(signed.txid.len(), 64);

    let refused = registry.assemble(&on, &hot, &psbt(), &[]).unwrap_err();
    let expected = bitcoin::AssembleError::WrongCount { needed: 1, found: 0 };
    assert_eq!(refused, AssembleError::Bitcoin(expected));
    assert_eq!(refused.tag(), Tag::BackendBadSignature);
    let foreign = registry.parse(&on, &warm, &psbt(), ChainFacts::none()).unwrap_err();
    assert_eq!(
        foreign,
        ParseError::Bitcoin(bitcoin::ParseError::ForeignInput { input: 0 })
    );
    assert_eq!(foreign.tag(), Tag::TransactionMalformed);
}

#[test]
fn own_addresses_schemes_and_destinations() {
    let registry = registry();
    let (hot, on) = ("btc-hot".parse().unwrap(), chain(BITCOIN));
    let place = registry.wallet_destination(&on, &hot).unwrap();
    assert!(place.address().starts_with("bc1q"));
    assert_eq!(registry.own_wallet(&place), Some(&hot));
    let schemes = BTreeSet::from([(key(&HOT).id(), Scheme::Ecdsa), (key(&WARM).id(), Scheme::Ecdsa)]);
    assert_eq!(registry.required_schemes(), schemes);

    let parse = |text: &str| registry.parse_destination(&on, text);
    assert_eq!(parse(place.address()), Ok(place.clone()));
    let elsewhere = parse("tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx").unwrap_err();
    assert!(matches!(
        elsewhere,
        DestinationError::Bitcoin(bitcoin::AddressError::WrongNetwork(_))
    ));
    assert_eq!(elsewhere.tag(), Tag::TransactionBadDestination);
}

//! Solana networks in the registry.

use countersign_types::{
    ChainFacts, Effect, FactKey, LookupTable, PublicKey, RawSignature, RegistryError as RecordError, Scheme,
    SigningBytes, Tag, WalletNetwork,
};
use ed25519_dalek::{Signer as _, SigningKey};

use super::{HOT, Records, assert_identified, asset, chain, dev, network, wallet};
use crate::{
    AccountError, AddressError, AssembleError, DestinationError, Network, ParseError, Registry, RegistryError, solana,
};

const MAINNET: &str = "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp";
const LOCAL: &str = "solana:localnet";
const USDC: &str = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v";

fn mainnet() -> Network {
    network(include_str!("../../solana/networks/mainnet.yaml"))
}

fn local() -> Network {
    network(include_str!("../../solana/networks/dev.yaml"))
}

fn signing_key(byte: u8) -> SigningKey {
    SigningKey::from_bytes(&[byte; 32])
}

fn key(byte: u8) -> PublicKey {
    PublicKey::Ed25519(signing_key(byte).verifying_key().to_bytes())
}

/// The records of the EVM tests, and two Solana wallets beside them.
fn records() -> Records {
    let mut records = Records::new();
    records.networks.extend([mainnet(), local()]);
    records.wallets.push(wallet("sol-hot", vec![key(1)], &[MAINNET]));
    records.wallets.push(wallet("sol-warm", vec![key(2)], &[MAINNET]));
    records
        .assets
        .push(asset(&format!("{MAINNET}/token:{USDC}"), "USDC", 6));
    records
}

fn registry() -> Registry {
    records().registry().unwrap()
}

/// A legacy message: `payer` sends five lamports to `to`.
fn message(payer: PublicKey, to: PublicKey) -> Vec<u8> {
    let system = [0; 32];
    let keys = [&[3], payer.as_bytes(), to.as_bytes(), &system].concat();
    let transfer = [2, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0];
    [&[1, 0, 1], &keys[..], &[7; 32], &[1, 2, 2, 0, 1, 12], &transfer].concat()
}

#[test]
fn templates_are_networks_of_their_family() {
    let templates = [
        include_str!("../../solana/networks/mainnet.yaml"),
        include_str!("../../solana/networks/devnet.yaml"),
        include_str!("../../solana/networks/testnet.yaml"),
        include_str!("../../solana/networks/dev.yaml"),
    ];
    for network in templates.map(network) {
        assert_eq!(network.chain().namespace(), "solana");
        assert!(!network.commits_to_chain());
        assert!(!network.name().is_empty());
    }
    assert!(dev().commits_to_chain());
}

#[test]
fn one_change_of_the_records_and_its_error() {
    type Change = fn(&mut Records);
    type Expected = fn(&RegistryError) -> bool;
    let cases: Vec<(&str, Tag, Change, Expected)> = vec![
        (
            "a key on two networks, and a message lands on both",
            Tag::BundleInconsistent,
            |records| {
                records.wallets[2]
                    .networks
                    .extend([(chain(LOCAL), WalletNetwork::default())])
            },
            |error| {
                let RegistryError::Account { wallet, error } = error else {
                    return false;
                };
                wallet.as_str() == "sol-hot" && matches!(error, AccountError::NotTheOnlyNetwork(_))
            },
        ),
        (
            "a key of two wallets on two networks",
            Tag::BundleListedTwice,
            |records| records.wallets.push(wallet("sol-dev", vec![key(1)], &[LOCAL])),
            |error| matches!(error, RegistryError::Records(RecordError::SharedKey { .. })),
        ),
        (
            "a key of another curve",
            Tag::BundleBadValue,
            |records| records.wallets[2].keys = vec![super::key(&[0x48; 32])],
            |error| {
                matches!(
                    error,
                    RegistryError::Account {
                        error: AccountError::Solana(solana::AccountError::WrongCurve(_)),
                        ..
                    }
                )
            },
        ),
        (
            "a mint in another spelling",
            Tag::BundleBadAddress,
            |records| records.assets[1] = asset(&format!("{MAINNET}/token:1{USDC}"), "USDC", 6),
            |error| {
                matches!(
                    error,
                    RegistryError::Address(AddressError::SolanaAsset(solana::AssetError::BadMint { .. }))
                )
            },
        ),
        (
            "another native asset",
            Tag::BundleBadValue,
            |records| records.assets[1] = asset(&format!("{MAINNET}/slip44:60"), "ETH", 18),
            |error| {
                matches!(
                    error,
                    RegistryError::Address(AddressError::SolanaAsset(solana::AssetError::UnknownKind(_)))
                )
            },
        ),
        (
            "other decimals of the native asset",
            Tag::BundleInconsistent,
            |records| records.assets[1] = asset(&format!("{MAINNET}/slip44:501"), "SOL", 8),
            |error| matches!(error, RegistryError::NativeAssetDiffers { decimals: 9, .. }),
        ),
    ];
    assert!(records().registry().is_ok());
    for (name, tag, change, is_expected) in cases {
        let mut records = records();
        change(&mut records);
        let error = records.registry().unwrap_err();
        assert!(is_expected(&error), "{name}: {error:?}");
        assert_eq!(error.tag(), tag, "{name}");
    }
}

#[test]
fn a_message_goes_through_parse_and_assemble() {
    let registry = registry();
    let (hot, mainnet) = ("sol-hot".parse().unwrap(), chain(MAINNET));
    let bytes = message(key(1), key(3));
    let parsed = registry.parse(&mainnet, &hot, &bytes, ChainFacts::none()).unwrap();
    assert!(matches!(
        parsed.effects(),
        [Effect::Transfer { .. }, Effect::Fee { .. }]
    ));
    assert_eq!(parsed.conflict_keys(), []);
    let SigningBytes::Ed25519Message(payload) = parsed.signing_payloads()[0].bytes() else {
        panic!("a message for Ed25519");
    };
    let signature = signing_key(1).sign(payload).to_bytes();
    let signed = registry.assemble(&mainnet, &hot, &bytes, &[RawSignature::Ed25519(signature)]);
    let signed = signed.unwrap();
    assert_eq!(signed.bytes, [&[1], &signature[..], &bytes].concat());
    assert_identified(&registry, (&mainnet, &hot), &bytes, &signed, 0..signed.bytes.len());

    let refused = registry.assemble(&mainnet, &hot, &bytes, &[]).unwrap_err();
    assert_eq!(
        refused,
        AssembleError::Solana(solana::AssembleError::NotOneSignature(0))
    );
    assert_eq!(refused.tag(), Tag::BackendBadSignature);
    let foreign = registry
        .parse(&mainnet, &hot, &message(key(3), key(1)), ChainFacts::none())
        .unwrap_err();
    assert!(matches!(
        foreign,
        ParseError::Solana(solana::ParseError::WrongFeePayer(_))
    ));
    assert_eq!(foreign.tag(), Tag::TransactionMalformed);
    let elsewhere = registry
        .parse(&chain(LOCAL), &hot, &bytes, ChainFacts::none())
        .unwrap_err();
    assert_eq!(elsewhere.tag(), Tag::RequestUnknownNetwork);
}

#[test]
fn wanted_facts_are_the_familys_and_need_a_wallet_on_the_network() {
    let registry = registry();
    let (hot, mainnet) = ("sol-hot".parse().unwrap(), chain(MAINNET));
    // The same transfer as version 0, its recipient the third address of a table.
    let system = [0; 32];
    let keys = [&[2], key(1).as_bytes(), &system[..]].concat();
    let transfer = [2, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0];
    let lookup = [&[1], &[9; 32][..], &[1, 2, 0]].concat();
    let bytes = [
        &[0x80, 1, 0, 1],
        &keys[..],
        &[7; 32],
        &[1, 1, 2, 0, 2, 12],
        &transfer,
        &lookup,
    ]
    .concat();
    let wanted = registry.wanted_facts(&mainnet, &hot, &bytes).unwrap();
    let [FactKey::LookupTable(found)] = &wanted[..] else {
        panic!("{wanted:?}");
    };
    assert_eq!(
        *found,
        registry
            .parse_destination(&mainnet, &solana::Address::new([9; 32]).to_string())
            .unwrap()
    );
    let mut contents = LookupTable {
        height: 1,
        addresses: vec![[0; 32]; 2],
    };
    contents.addresses.push(*key(2).as_bytes().first_chunk().unwrap());
    let facts = ChainFacts {
        tables: [(found.clone(), contents)].into(),
        ..ChainFacts::default()
    };
    let parsed = registry.parse(&mainnet, &hot, &bytes, &facts).unwrap();
    assert!(matches!(&parsed.effects()[0], Effect::Internal { wallet, .. } if wallet.as_str() == "sol-warm"));

    assert_eq!(
        registry.wanted_facts(&mainnet, &hot, &message(key(1), key(2))),
        Ok(vec![])
    );
    let refused = registry.wanted_facts(&mainnet, &hot, &[]).unwrap_err();
    assert_eq!(refused.tag(), Tag::TransactionMalformed);
    let elsewhere = registry.wanted_facts(&chain(LOCAL), &hot, &bytes).unwrap_err();
    assert_eq!(elsewhere.tag(), Tag::RequestUnknownNetwork);
}

#[test]
fn own_addresses_schemes_and_destinations() {
    let registry = registry();
    let (hot, warm, mainnet) = ("sol-hot".parse().unwrap(), "sol-warm".parse().unwrap(), chain(MAINNET));
    let parsed = registry
        .parse(&mainnet, &hot, &message(key(1), key(2)), ChainFacts::none())
        .unwrap();
    assert!(matches!(&parsed.effects()[0], Effect::Internal { wallet, .. } if *wallet == warm));
    let place = registry.wallet_destination(&mainnet, &warm).unwrap();
    assert_eq!(registry.own_wallet(&place), Some(&warm));

    let schemes = registry.required_schemes();
    assert!(schemes.contains(&(key(1).id(), Scheme::Ed25519)));
    assert!(schemes.contains(&(super::key(&HOT).id(), Scheme::Ecdsa)));
    assert_eq!(schemes.len(), 4);

    let parse = |text: &str| registry.parse_destination(&mainnet, text);
    assert_eq!(parse(USDC).unwrap().to_string(), format!("{MAINNET}:{USDC}"));
    let zero = parse("11111111111111111111111111111111").unwrap_err();
    assert!(matches!(
        zero,
        DestinationError::Solana(solana::AddressError::Reserved(_))
    ));
    assert_eq!(zero.tag(), Tag::TransactionBadDestination);
}

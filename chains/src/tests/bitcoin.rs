//! Bitcoin networks in the registry.

use std::collections::BTreeSet;

use countersign_types::{
    ChainFacts, Effect, KeyTable, PublicKey, RawSignature, Scheme, ScriptForm, SigningBytes, Tag, WalletNetwork,
    WalletRecord,
};
use k256::ecdsa::{Signature, SigningKey, signature::hazmat::PrehashSigner as _};

use super::{HOT, Records, WARM, assert_identified, asset, chain, dev, key, network, wallet};
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

fn use_forms(wallet: &mut WalletRecord, forms: &[ScriptForm]) {
    let forms: BTreeSet<ScriptForm> = forms.iter().copied().collect();
    for site in wallet.networks.values_mut() {
        site.forms = Some(forms.clone());
    }
}

const TABLED: [u8; 32] = [0x50; 32];

/// One key.
fn table() -> KeyTable {
    KeyTable::parse("keys/hot.keys", key(&TABLED).as_bytes()).unwrap()
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
    let cases: Vec<(&str, Tag, Change, Expected)> = vec![
        (
            "a key on two networks, and a signature is valid on both",
            Tag::BundleInconsistent,
            |records| {
                records.wallets[0]
                    .networks
                    .extend([(chain(DOGECOIN), WalletNetwork::default())])
            },
            |error| matches!(account(error), Some(AccountError::NotTheOnlyNetwork(_))),
        ),
        (
            "a key on an EVM network too",
            Tag::BundleInconsistent,
            |records| {
                records.wallets[0]
                    .networks
                    .extend([(chain("eip155:31337"), WalletNetwork::default())])
            },
            |error| matches!(account(error), Some(AccountError::NotTheOnlyNetwork(_))),
        ),
        (
            "a key of another curve",
            Tag::BundleBadValue,
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
            Tag::BundleInconsistent,
            |records| {
                records.wallets[1].keys = vec![negated(key(&HOT))];
                for wallet in &mut records.wallets {
                    use_forms(wallet, &[ScriptForm::P2wpkh, ScriptForm::P2tr]);
                }
            },
            |error| matches!(account(error), Some(AccountError::SharedAddress(other)) if other.as_str() == "btc-hot"),
        ),
        (
            "no form at all",
            Tag::BundleMissingValue,
            |records| use_forms(&mut records.wallets[0], &[]),
            |error| {
                matches!(
                    account(error),
                    Some(AccountError::Bitcoin(bitcoin::AccountError::NoForm))
                )
            },
        ),
        (
            "forms on an EVM network",
            Tag::BundleInconsistent,
            |records| {
                let forms = Some(BTreeSet::from([ScriptForm::P2wpkh]));
                let site = WalletNetwork {
                    forms,
                    ..WalletNetwork::default()
                };
                records.wallets[0].networks = [(chain("eip155:31337"), site)].into();
            },
            |error| matches!(account(error), Some(AccountError::NoScripts(_))),
        ),
        (
            "a key table on an EVM network",
            Tag::BundleInconsistent,
            |records| {
                records.wallets[0].networks = [(chain("eip155:31337"), WalletNetwork::default())].into();
                records.wallets[0].table = Some(table());
            },
            |error| matches!(account(error), Some(AccountError::NoScripts(_))),
        ),
        (
            "another asset",
            Tag::BundleBadValue,
            |records| records.assets[0] = asset(&format!("{BITCOIN}/brc20:ordi"), "ORDI", 18),
            |error| matches!(error, RegistryError::Address(AddressError::BitcoinAsset(_))),
        ),
        (
            "other decimals of the native asset",
            Tag::BundleInconsistent,
            |records| records.assets[0] = asset(&format!("{BITCOIN}/slip44:0"), "BTC", 18),
            |error| matches!(error, RegistryError::NativeAssetDiffers { decimals: 8, .. }),
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
    // Behind the outputs: a witness of a signature and a key, and the lock time.
    let outputs_end = signed.bytes.len() - 4 - 108;
    assert_identified(&registry, (&on, &hot), &psbt(), &signed, 0..outputs_end);

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

#[test]
fn addresses_of_key_tables_are_own() {
    let mut records = records();
    records.wallets[1].table = Some(table());
    let registry = records.registry().unwrap();
    let of_key = Records {
        wallets: vec![wallet("lone", vec![key(&TABLED)], &[BITCOIN])],
        ..self::records()
    };
    let lone = of_key.registry().unwrap();
    let at = lone
        .wallet_destination(&chain(BITCOIN), &"lone".parse().unwrap())
        .unwrap();
    assert_eq!(registry.own_wallet(&at), Some(&"btc-warm".parse().unwrap()));
    assert_eq!(self::registry().own_wallet(&at), None);
    // The backend is asked for listed keys alone.
    assert_eq!(registry.required_schemes(), self::registry().required_schemes());
}

#[test]
fn taproot_wallets_require_schnorr() {
    let mut records = records();
    use_forms(&mut records.wallets[0], &[ScriptForm::P2wpkh, ScriptForm::P2tr]);
    use_forms(&mut records.wallets[1], &[ScriptForm::P2tr]);
    let expected = BTreeSet::from([
        (key(&HOT).id(), Scheme::Ecdsa),
        (key(&HOT).id(), Scheme::Schnorr),
        (key(&WARM).id(), Scheme::Schnorr),
    ]);
    assert_eq!(records.registry().unwrap().required_schemes(), expected);
}

//! The registry as a whole: consistent records, one change of one of them, and the way to the families.

use std::collections::BTreeSet;

use countersign_evm::{GasPrice, TransferDraft};
use countersign_types::{
    Amount, AssetRecord, AssetRegistry, ChainFacts, ChainId, Decimals, Effect, PublicKey, RawSignature, Scheme,
    SignedTransaction, SigningBytes, Tag, Tier, WalletId, WalletNetwork, WalletRecord, WalletRegistry,
};
use k256::ecdsa::{Signature, SigningKey, signature::hazmat::PrehashSigner as _};

use crate::{AccountError, AssembleError, DestinationError, Network, ParseError, Registry, RegistryError, evm};

mod bitcoin;
mod lookalike;
mod solana;

const HOT: [u8; 32] = [0x46; 32];
const WARM: [u8; 32] = [0x47; 32];
const TOKEN: &str = "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48";
const STRANGER: &str = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";

/// The records of a small bundle, to change before [`Registry::new`] sees them.
struct Records {
    networks: Vec<Network>,
    wallets: Vec<WalletRecord>,
    assets: Vec<AssetRecord>,
}

fn network(yaml: &str) -> Network {
    serde_saphyr::from_str(yaml).unwrap()
}

fn ethereum() -> Network {
    network(include_str!("../evm/networks/ethereum.yaml"))
}

fn dev() -> Network {
    network(include_str!("../evm/networks/dev.yaml"))
}

fn chain(text: &str) -> ChainId {
    text.parse().unwrap()
}

fn key(secret: &[u8; 32]) -> PublicKey {
    let point = SigningKey::from_slice(secret)
        .unwrap()
        .verifying_key()
        .to_sec1_point(true);
    PublicKey::Secp256k1(point.as_bytes().try_into().unwrap())
}

fn wallet(id: &str, keys: Vec<PublicKey>, networks: &[&str]) -> WalletRecord {
    WalletRecord {
        id: id.parse().unwrap(),
        tier: Tier::Hot,
        keys,
        table: None,
        networks: networks
            .iter()
            .map(|network| (chain(network), WalletNetwork::default()))
            .collect(),
    }
}

fn asset(id: &str, symbol: &str, decimals: u8) -> AssetRecord {
    AssetRecord {
        id: id.parse().unwrap(),
        symbol: symbol.parse().unwrap(),
        decimals: Decimals::new(decimals).unwrap(),
        quirks: BTreeSet::new(),
    }
}

impl Records {
    fn new() -> Self {
        Self {
            networks: vec![ethereum(), dev()],
            wallets: vec![
                wallet("eth-hot", vec![key(&HOT)], &["eip155:1", "eip155:31337"]),
                wallet("eth-warm", vec![key(&WARM)], &["eip155:1"]),
            ],
            assets: vec![asset(&format!("eip155:1/erc20:{TOKEN}"), "USDC", 6)],
        }
    }

    fn registry(self) -> Result<Registry, RegistryError> {
        let (wallets, assets) = (WalletRegistry::new(self.wallets)?, AssetRegistry::new(self.assets)?);
        Registry::new(self.networks, wallets, assets)
    }
}

fn registry() -> Registry {
    Records::new().registry().unwrap()
}

fn unsigned(registry: &Registry, on: &str) -> Vec<u8> {
    TransferDraft {
        asset: registry.fee_asset(&chain(on)).unwrap(),
        amount: Amount::from_base_units(5),
        destination: registry.parse_destination(&chain(on), STRANGER).unwrap(),
        nonce: 3,
        gas_limit: 21_000,
        price: GasPrice::Legacy { gas_price: 2 },
    }
    .encode()
    .unwrap()
}

#[test]
fn templates_are_networks_of_their_family() {
    let templates = [
        include_str!("../evm/networks/ethereum.yaml"),
        include_str!("../evm/networks/sepolia.yaml"),
        include_str!("../evm/networks/base.yaml"),
        include_str!("../evm/networks/polygon.yaml"),
        include_str!("../evm/networks/bnb.yaml"),
        include_str!("../evm/networks/dev.yaml"),
    ];
    let networks = templates.map(network).to_vec();
    let registry = Registry::new(networks, WalletRegistry::default(), AssetRegistry::default()).unwrap();
    assert_eq!(registry.networks().count(), templates.len());
    assert!(
        registry
            .networks()
            .all(|network| network.chain().namespace() == "eip155")
    );
    assert!(serde_saphyr::from_str::<Network>("tron: { chain: 'tron:1' }").is_err());
    let two_families = format!("{}\nother: {{}}", templates[0]);
    assert!(serde_saphyr::from_str::<Network>(&two_families).is_err());
}

#[test]
fn native_assets_are_added_and_tokens_kept() {
    let registry = registry();
    let ids: Vec<_> = registry.assets().iter().map(|asset| asset.id.to_string()).collect();
    let token = format!("eip155:1/erc20:{TOKEN}");
    assert_eq!(ids, [&token, "eip155:1/slip44:60", "eip155:31337/slip44:60"]);
    let mut listed = Records::new();
    listed.assets.push(asset("eip155:1/slip44:60", "ETH", 18));
    assert_eq!(listed.registry().unwrap().assets(), registry.assets());
}

#[test]
fn one_change_of_the_records_and_its_error() {
    type Change = fn(&mut Records);
    type Expected = fn(&RegistryError) -> bool;
    let cases: Vec<(&str, Tag, Change, Expected)> = vec![
        (
            "a network twice",
            Tag::BundleListedTwice,
            |records| records.networks.push(ethereum()),
            |error| *error == RegistryError::DuplicateNetwork(chain("eip155:1")),
        ),
        (
            "a wallet's network is gone",
            Tag::BundleUnknownName,
            |records| drop(records.networks.pop()),
            |error| {
                *error
                    == RegistryError::UnknownWalletNetwork {
                        wallet: "eth-hot".parse().unwrap(),
                        network: chain("eip155:31337"),
                    }
            },
        ),
        (
            "an asset of no network",
            Tag::BundleUnknownName,
            |records| records.assets.push(asset("eip155:10/slip44:60", "ETH", 18)),
            |error| matches!(error, RegistryError::UnknownAssetNetwork(_)),
        ),
        (
            "a native asset with other decimals",
            Tag::BundleInconsistent,
            |records| records.assets.push(asset("eip155:1/slip44:60", "ETH", 8)),
            |error| matches!(error, RegistryError::NativeAssetDiffers { decimals: 18, .. }),
        ),
        (
            "a native asset with another symbol",
            Tag::BundleInconsistent,
            |records| records.assets.push(asset("eip155:1/slip44:60", "WETH", 18)),
            |error| matches!(error, RegistryError::NativeAssetDiffers { symbol, .. } if symbol == "ETH"),
        ),
        (
            "a second native asset",
            Tag::BundleBadValue,
            |records| records.assets.push(asset("eip155:1/slip44:61", "ETC", 18)),
            |error| matches!(error, RegistryError::Asset(evm::AssetError::UnknownKind(_))),
        ),
        (
            "a token that takes the native symbol",
            Tag::BundleListedTwice,
            |records| records.assets[0] = asset(&format!("eip155:1/erc20:{TOKEN}"), "ETH", 6),
            |error| matches!(error, RegistryError::Records(_)),
        ),
        (
            "a token in lower case",
            Tag::BundleBadAddress,
            |records| {
                records.assets[0] = asset(&format!("eip155:1/erc20:{}", TOKEN.to_lowercase()), "USDC", 6);
            },
            |error| matches!(error, RegistryError::Asset(evm::AssetError::BadContract { .. })),
        ),
        (
            "two keys",
            Tag::BundleBadValue,
            |records| records.wallets[0].keys.push(PublicKey::Ed25519([1; 32])),
            |error| {
                matches!(
                    error,
                    RegistryError::Account {
                        error: AccountError::Evm(evm::AccountError::NotOneKey(2)),
                        ..
                    }
                )
            },
        ),
        (
            "a key of another curve",
            Tag::BundleBadValue,
            |records| records.wallets[0].keys = vec![PublicKey::Ed25519([1; 32])],
            |error| {
                matches!(
                    error,
                    RegistryError::Account {
                        error: AccountError::Evm(evm::AccountError::WrongCurve(_)),
                        ..
                    }
                )
            },
        ),
        (
            "a key off the curve",
            Tag::BundleBadValue,
            |records| records.wallets[0].keys = vec![PublicKey::Secp256k1([4; 33])],
            |error| {
                matches!(
                    error,
                    RegistryError::Account {
                        error: AccountError::Evm(evm::AccountError::NotAPoint(_)),
                        ..
                    }
                )
            },
        ),
        (
            "a key of two wallets",
            Tag::BundleListedTwice,
            |records| records.wallets[1].keys = records.wallets[0].keys.clone(),
            |error| matches!(error, RegistryError::Records(_)),
        ),
    ];
    assert!(Records::new().registry().is_ok());
    for (name, tag, change, is_expected) in cases {
        let mut records = Records::new();
        change(&mut records);
        let error = records.registry().unwrap_err();
        assert!(is_expected(&error), "{name}: {error:?}");
        assert_eq!(error.tag(), tag, "{name}");
    }
}

#[test]
fn unknown_networks_and_wallets_have_their_own_errors() {
    let registry = registry();
    let bytes = unsigned(&registry, "eip155:1");
    let wallet = |id: &str| -> WalletId { id.parse().unwrap() };
    let cases = [
        (
            "eip155:10",
            "eth-hot",
            ParseError::UnknownNetwork(chain("eip155:10")),
            Tag::RequestUnknownNetwork,
        ),
        (
            "eip155:1",
            "nobody",
            ParseError::UnknownWallet(wallet("nobody")),
            Tag::RequestUnknownWallet,
        ),
        (
            "eip155:31337",
            "eth-warm",
            ParseError::WalletNotOnNetwork {
                wallet: wallet("eth-warm"),
                network: chain("eip155:31337"),
            },
            Tag::RequestUnknownNetwork,
        ),
        (
            "eip155:31337",
            "eth-hot",
            ParseError::Evm(evm::ParseError::WrongChain {
                network: chain("eip155:31337"),
                found: 1,
            }),
            Tag::TransactionWrongChain,
        ),
    ];
    for (network, id, error, tag) in cases {
        let (network, id) = (chain(network), wallet(id));
        assert_eq!(
            registry.parse(&network, &id, &bytes, ChainFacts::none()),
            Err(error.clone())
        );
        assert_eq!(error.tag(), tag);
        let refused = registry.assemble(&network, &id, &bytes, &[RawSignature::Ecdsa([1; 64])]);
        assert_eq!(refused.unwrap_err().tag(), tag);
    }
}

/// Signed bytes are those of their unsigned ones, and no others are: not with a byte more, less or changed among `fixed`.
fn assert_identified(
    registry: &Registry,
    (network, wallet): (&ChainId, &WalletId),
    unsigned: &[u8],
    signed: &SignedTransaction,
    fixed: std::ops::Range<usize>,
) {
    let identify = |signed: &[u8]| registry.identify(network, wallet, unsigned, signed);
    assert_eq!(identify(&signed.bytes).unwrap(), signed.txid);
    let shorter = signed.bytes.split_last().unwrap().1;
    for other in [shorter, &[&signed.bytes[..], &[0]].concat(), &[], unsigned] {
        assert_eq!(identify(other).unwrap_err().tag(), Tag::BackendBadSignature);
    }
    for at in fixed {
        let mut changed = signed.bytes.clone();
        changed[at] ^= 1;
        assert_eq!(identify(&changed).unwrap_err().tag(), Tag::BackendBadSignature, "{at}");
    }
}

#[test]
fn a_transaction_goes_through_parse_and_assemble() {
    let registry = registry();
    let hot: WalletId = "eth-hot".parse().unwrap();
    for on in ["eip155:1", "eip155:31337"] {
        let bytes = unsigned(&registry, on);
        let parsed = registry.parse(&chain(on), &hot, &bytes, ChainFacts::none()).unwrap();
        assert_eq!(parsed.effects().len(), 2);
        let SigningBytes::EcdsaPrehash(hash) = parsed.signing_payloads()[0].bytes() else {
            panic!("a digest for ECDSA");
        };
        let signature: Signature = SigningKey::from_slice(&HOT).unwrap().sign_prehash(hash).unwrap();
        let raw = RawSignature::Ecdsa(signature.to_bytes().into());
        let signed = registry.assemble(&chain(on), &hot, &bytes, &[raw]).unwrap();
        assert_eq!(signed.txid.len(), 66);
        assert_identified(&registry, (&chain(on), &hot), &bytes, &signed, 0..signed.bytes.len());
        let other = unsigned(&registry, if on == "eip155:1" { "eip155:31337" } else { "eip155:1" });
        let elsewhere = registry.identify(&chain(on), &hot, &other, &signed.bytes);
        assert_eq!(elsewhere.unwrap_err().tag(), Tag::TransactionWrongChain);

        let refused = registry.assemble(&chain(on), &hot, &bytes, &[]).unwrap_err();
        assert_eq!(refused, AssembleError::Evm(evm::AssembleError::NotOneSignature(0)));
        assert_eq!(refused.tag(), Tag::BackendBadSignature);
    }
}

#[test]
fn own_addresses_follow_from_keys_and_networks() {
    let registry = registry();
    let warm: WalletId = "eth-warm".parse().unwrap();
    let on_mainnet = registry.wallet_destination(&chain("eip155:1"), &warm).unwrap();
    assert_eq!(registry.own_wallet(&on_mainnet), Some(&warm));
    // The same address on a network that the wallet is not on is a stranger's.
    let elsewhere = registry
        .parse_destination(&chain("eip155:31337"), on_mainnet.address())
        .unwrap();
    assert_eq!(registry.own_wallet(&elsewhere), None);
    assert_eq!(registry.wallet_destination(&chain("eip155:31337"), &warm), None);
    assert_eq!(
        registry.wallet_destination(&chain("eip155:1"), &"nobody".parse().unwrap()),
        None
    );

    let draft = TransferDraft {
        asset: registry.fee_asset(&chain("eip155:1")).unwrap(),
        amount: Amount::from_base_units(5),
        destination: on_mainnet,
        nonce: 3,
        gas_limit: 21_000,
        price: GasPrice::Legacy { gas_price: 2 },
    };
    let hot = "eth-hot".parse().unwrap();
    let parsed = registry
        .parse(&chain("eip155:1"), &hot, &draft.encode().unwrap(), ChainFacts::none())
        .unwrap();
    assert!(matches!(&parsed.effects()[0], Effect::Internal { wallet, change: false, .. } if *wallet == warm));
}

#[test]
fn destinations_are_canonical_and_of_a_known_network() {
    let registry = registry();
    let parse = |on: &str, address: &str| registry.parse_destination(&chain(on), address);
    assert_eq!(
        parse("eip155:1", STRANGER).unwrap().to_string(),
        format!("eip155:1:{STRANGER}")
    );
    let unknown = parse("eip155:10", STRANGER).unwrap_err();
    assert_eq!(unknown, DestinationError::UnknownNetwork(chain("eip155:10")));
    assert_eq!(unknown.tag(), Tag::RequestUnknownNetwork);
    let lower = parse("eip155:1", &STRANGER.to_lowercase()).unwrap_err();
    assert_eq!(lower, DestinationError::Evm(evm::AddressError::BadChecksum));
    assert_eq!(lower.tag(), Tag::TransactionBadDestination);
}

#[test]
fn a_backend_must_offer_ecdsa_for_every_evm_key() {
    let expected = BTreeSet::from([(key(&HOT).id(), Scheme::Ecdsa), (key(&WARM).id(), Scheme::Ecdsa)]);
    assert_eq!(registry().required_schemes(), expected);
    assert_eq!(registry().fee_asset(&chain("eip155:10")), None);
}

//! Keys of a table, through the whole signer: what is paid from one is signed with it, and one that the token lacks is told.

use crate::support;

use std::collections::BTreeMap;

use countersign_approval::{Body, Envelope, FeeCeiling, Payment, Request, TransactionBinding};
use countersign_bundle::Bundle;
use countersign_decision::Receipt;
use countersign_decision::testing::{bundle_files, roster, sealed, withdrawal};
use countersign_signer::{BackendError, SignerError, Submission};
use countersign_types::{ChainFacts, Effect, Tag, TransactionDigest};
use support::{Rig, assert_signed};

/// Public keys of the secrets 3, which the token holds, and 4, which it does not.
const THREE: &str = "02f9308a019258c31049344f85f89d5229b531c845836f99b08601f113bce036f9";
const FOUR: &str = "02e493dbf1c10d80f3581e4904930b1404cc6c13900ee0758474fa94abe8c4cd13";

/// One bitcoin of key 3 (P2WPKH): half of it goes to a customer, the rest but 10 000 satoshi comes back to the same key.
const OF_THREE: &str = "70736274ff01007102000000013924a934499a332d323671694f94c72187940fc98e4e7dd48ffeb162e945a5c50000000000\
     fdffffff0280f0fa0200000000160014222222222222222222222222222222222222222270c9fa02000000001600147dd655\
     92d0ab2fe0d0257d571abf032cd9db93dc000000000001005202000000011111111111111111111111111111111111111111\
     1111111111111111111111110700000000ffffffff0100e1f505000000001600147dd65592d0ab2fe0d0257d571abf032cd9\
     db93dc00000000000000";
/// The same of key 4.
const OF_FOUR: &str = "70736274ff0100710200000001a1dd1c43c5ca29bc43be21a57b8a3adbd89b72c090012b6c3272d91f98595e2d0000000000\
     fdffffff0280f0fa0200000000160014222222222222222222222222222222222222222270c9fa0200000000160014c42e7e\
     f92fdb603af844d064faad95db9bcdfd3d000000000001005202000000011111111111111111111111111111111111111111\
     1111111111111111111111110700000000ffffffff0100e1f50500000000160014c42e7ef92fdb603af844d064faad95db9b\
     cdfd3d00000000000000";

const WALLET: &str = r#"  - id: btc-hot
    tier: hot
    keys: ["secp256k1:02c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5"]
    key-table: keys/btc-hot.keys
    networks:
      - { chain: "bip122:000000000019d6689c085ae165831e93", forms: [p2wpkh] }
"#;

const PERMITS: &str = r#"permits:
  - id: btc-payouts
    effects: [transfer]
    wallets: [btc-hot]
    assets: [BTC]
    to: { unknown: true }
    amount: { max: { BTC: "1 BTC" } }
  - id: btc-fees
    effects: [fee]
    wallets: [btc-hot]
    fee: { max: "0.001 BTC" }
"#;

fn bytes(hex: &str) -> Vec<u8> {
    data_encoding::HEXLOWER.decode(hex.as_bytes()).unwrap()
}

/// The development bundle with a Bitcoin wallet that has a table of both keys.
fn files() -> BTreeMap<String, Vec<u8>> {
    let mut files = bundle_files(&roster());
    let text = |files: &BTreeMap<String, Vec<u8>>, path: &str| String::from_utf8(files[path].clone()).unwrap();
    let wallets = format!("{}{WALLET}", text(&files, "wallets.yaml"));
    let policy = text(&files, "policy.yaml").replace("permits:\n", PERMITS);
    files.insert("wallets.yaml".to_owned(), wallets.into_bytes());
    files.insert("policy.yaml".to_owned(), policy.into_bytes());
    let network = include_str!("../../../../chains/bitcoin/networks/bitcoin.yaml");
    files.insert("networks/bitcoin.yaml".to_owned(), network.into());
    let table = [bytes(FOUR), bytes(THREE)].concat();
    files.insert("keys/btc-hot.keys".to_owned(), table);
    sealed(1, None, files)
}

/// A request for exactly what the bytes do.
fn request(rig: &Rig, bundle: &Bundle, unsigned: &[u8]) -> Envelope {
    let (network, wallet) = (
        "bip122:000000000019d6689c085ae165831e93".parse().unwrap(),
        "btc-hot".parse().unwrap(),
    );
    let registry = bundle.registry();
    let parsed = registry.parse(&network, &wallet, unsigned, ChainFacts::none()).unwrap();
    let payments = parsed.effects().iter().filter_map(|effect| match effect {
        Effect::Transfer {
            asset,
            amount,
            destination,
        } => Some(Payment {
            reference: "btc-1/1".parse().unwrap(),
            subject: None,
            asset: asset.clone(),
            amount: *amount,
            destination: destination.clone(),
        }),
        _ => None,
    });
    let body = Request {
        tenant: "main".parse().unwrap(),
        reference: "btc-1".parse().unwrap(),
        payments: payments.collect(),
        effects: Vec::new(),
        fee_ceiling: FeeCeiling {
            asset: registry.fee_asset(&network).unwrap(),
            amount: 10_000_u128.into(),
        },
        transaction: TransactionBinding::Exact(TransactionDigest::of(unsigned)),
        attributes: BTreeMap::new(),
        wallet,
        network,
    };
    assert_eq!(
        body.payments.len(),
        1,
        "the change is no payment: {:?}",
        parsed.effects()
    );
    rig.world.sign("payout-service", Body::Request(Box::new(body)))
}

async fn rig() -> (Rig, Bundle) {
    let rig = Rig::bare().await;
    rig.activate(&["alice", "bob"], files()).await.unwrap();
    (rig, Bundle::load(&files()).unwrap())
}

#[tokio::test]
async fn a_key_of_a_table_signs_and_its_receipt_verifies() {
    let (rig, bundle) = rig().await;
    let unsigned = bytes(OF_THREE);
    let request = request(&rig, &bundle, &unsigned);
    let submission = Submission {
        request: request.to_bytes(),
        unsigned,
        statements: Vec::new(),
    };
    let signed = assert_signed(&rig.signer.authorize(submission).await.unwrap());
    let receipt = rig.signer.receipt(withdrawal(&request)).await.unwrap();
    let receipt = Receipt::verify(&receipt, &rig.world.genesis_bytes).unwrap();
    assert_eq!(receipt.txid, Some(signed.txid));
}

/// The token is not asked for the keys of a table when a bundle loads: that one is missing shows when it should sign.
#[tokio::test]
async fn a_key_of_a_table_that_the_token_lacks_is_missing() {
    let (rig, bundle) = rig().await;
    let unsigned = bytes(OF_FOUR);
    let request = request(&rig, &bundle, &unsigned);
    let submission = Submission {
        request: request.to_bytes(),
        unsigned,
        statements: Vec::new(),
    };
    let refused = rig.signer.authorize(submission).await.unwrap_err();
    assert!(
        matches!(&refused, SignerError::Backend(BackendError::KeyMissing(_))),
        "{refused}"
    );
    assert_eq!((refused.tag(), rig.uses()), (Tag::BackendKeyMissing, 0));
    let (_, left) = rig.ask_again().await;
    assert_eq!(left, [(withdrawal(&request), vec![Tag::BackendKeyMissing])]);
}

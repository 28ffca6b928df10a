//! Outpoints that an attempt claimed which can never land are not lost: once observers say which attempt of the lineage landed, the others give up
//! what it did not spend.

use crate::support;

use std::collections::BTreeMap;

use bitcoin::{
    Amount as Sats, CompressedPublicKey, OutPoint, Psbt, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Witness,
    absolute::LockTime, transaction::Version,
};
use countersign_approval::{
    Body, Cancel, Envelope, FeeCeiling, Observation, ObservedFact, ObservedOutcome, ObserverRecord, Payment, Request,
    TemplateKind, TransactionBinding,
};
use countersign_bundle::write_roster;
use countersign_decision::testing::{
    bundle_files, sealed,
    solana::{NODES, observed_roster},
    withdrawal,
};
use countersign_signer::{Answer, LedgerView, Reads, Submission, Verdict, propose};
use countersign_types::{Amount, ConflictKey, Destination, SignedTransaction, Tag};
use support::{Mood, Rig, assert_denied, assert_signed};

const NETWORK: &str = "bip122:000000000019d6689c085ae165831e93";
/// Of the secret 2.
const KEY: &str = "02c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5";
const WALLET: &str = r#"  - id: btc-hot
    tier: hot
    keys: ["secp256k1:02c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5"]
    networks:
      - { chain: "bip122:000000000019d6689c085ae165831e93", forms: [p2wpkh] }
"#;
const PERMITS: &str = r#"permits:
  - { id: btc-payouts, effects: [transfer], wallets: [btc-hot], assets: [BTC], to: { unknown: true }, amount: { max: { BTC: "1 BTC" } } }
  - { id: btc-fees, effects: [fee], wallets: [btc-hot], fee: { max: "0.001 BTC" } }
"#;
/// The P2WPKH example of BIP 173.
const CUSTOMER: &str = "bip122:000000000019d6689c085ae165831e93:bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";
const RECEIVED: u64 = 100_000;
const PAID: u64 = 60_000;

fn files() -> BTreeMap<String, Vec<u8>> {
    let mut roster = observed_roster();
    roster.observers = vec![ObserverRecord {
        network: NETWORK.parse().unwrap(),
        threshold: 2,
        members: NODES.iter().map(|node| node.parse().unwrap()).collect(),
    }];
    let mut files = bundle_files(&roster);
    let text = |files: &BTreeMap<String, Vec<u8>>, path: &str| String::from_utf8(files[path].clone()).unwrap();
    let wallets = format!("{}{WALLET}", text(&files, "wallets.yaml"));
    let policy = text(&files, "policy.yaml").replace("permits:\n", PERMITS);
    files.insert("wallets.yaml".to_owned(), wallets.into_bytes());
    files.insert("policy.yaml".to_owned(), policy.into_bytes());
    files.insert("roster.yaml".to_owned(), write_roster(&roster).into_bytes());
    let network = include_str!("../../../../chains/bitcoin/networks/bitcoin.yaml");
    files.insert("networks/bitcoin.yaml".to_owned(), network.into());
    sealed(1, None, files)
}

async fn rig() -> Rig {
    let rig = Rig::bare().await;
    rig.activate(&["alice", "bob"], files()).await.unwrap();
    rig
}

fn own() -> ScriptBuf {
    let key = data_encoding::HEXLOWER.decode(KEY.as_bytes()).unwrap();
    ScriptBuf::new_p2wpkh(&CompressedPublicKey::from_slice(&key).unwrap().wpubkey_hash())
}

fn output(sats: u64, script_pubkey: ScriptBuf) -> TxOut {
    TxOut {
        value: Sats::from_sat(sats),
        script_pubkey,
    }
}

fn input(previous_output: OutPoint) -> TxIn {
    TxIn {
        previous_output,
        script_sig: ScriptBuf::new(),
        sequence: Sequence::ENABLE_RBF_NO_LOCKTIME,
        witness: Witness::new(),
    }
}

/// What the wallet received: four outputs.
fn received() -> Transaction {
    Transaction {
        version: Version::TWO,
        lock_time: LockTime::ZERO,
        input: vec![input(OutPoint::new("11".repeat(32).parse().unwrap(), 0))],
        output: (0..4).map(|_| output(RECEIVED, own())).collect(),
    }
}

/// Spends received outputs; pays the customer or nobody.
fn psbt(spent: &[u32], pays: bool, fee: u64) -> Vec<u8> {
    let received = received();
    let txid = received.compute_txid();
    let total = RECEIVED * u64::try_from(spent.len()).unwrap() - fee;
    let customer = ScriptBuf::from_bytes(
        data_encoding::HEXLOWER
            .decode(b"0014751e76e8199196d454941c45d1b3a323f1433bd6")
            .unwrap(),
    );
    let output = match pays {
        true => vec![output(PAID, customer), output(total - PAID, own())],
        false => vec![output(total, own())],
    };
    let unsigned = Transaction {
        version: Version::TWO,
        lock_time: LockTime::ZERO,
        input: spent.iter().map(|index| input(OutPoint::new(txid, *index))).collect(),
        output,
    };
    let mut psbt = Psbt::from_unsigned_tx(unsigned).unwrap();
    for input in &mut psbt.inputs {
        input.non_witness_utxo = Some(received.clone());
    }
    psbt.serialize()
}

/// The transaction that gave the wallet one coin of many.
fn coin(number: u32) -> Transaction {
    Transaction {
        lock_time: LockTime::from_height(number).unwrap(),
        output: vec![output(RECEIVED, own())],
        ..received()
    }
}

/// The payment of output 0 again, with coins besides.
fn with_coins(coins: std::ops::Range<u32>) -> Vec<u8> {
    let psbt = Psbt::deserialize(&psbt(&[0], true, 1_000)).unwrap();
    let (mut unsigned, mut previous) = (psbt.unsigned_tx, vec![received()]);
    for coin in coins.map(coin) {
        unsigned.input.push(input(OutPoint::new(coin.compute_txid(), 0)));
        unsigned.output[1].value += Sats::from_sat(RECEIVED);
        previous.push(coin);
    }
    let mut psbt = Psbt::from_unsigned_tx(unsigned).unwrap();
    for (input, previous) in psbt.inputs.iter_mut().zip(previous) {
        input.non_witness_utxo = Some(previous);
    }
    psbt.serialize()
}

fn fee(sats: u64) -> FeeCeiling {
    FeeCeiling {
        asset: "bip122:000000000019d6689c085ae165831e93/slip44:0".parse().unwrap(),
        amount: Amount::from_base_units(sats),
    }
}

fn request(rig: &Rig, reference: &str) -> Envelope {
    let body = Request {
        tenant: "main".parse().unwrap(),
        reference: reference.parse().unwrap(),
        network: NETWORK.parse().unwrap(),
        wallet: "btc-hot".parse().unwrap(),
        payments: vec![Payment {
            reference: format!("{reference}/1").parse().unwrap(),
            subject: None,
            asset: fee(0).asset,
            amount: Amount::from_base_units(PAID),
            destination: CUSTOMER.parse::<Destination>().unwrap(),
        }],
        effects: Vec::new(),
        fee_ceiling: fee(10_000),
        transaction: TransactionBinding::Template(TemplateKind::BitcoinInputsAndFee),
        attributes: BTreeMap::new(),
    };
    rig.world.sign("payout-service", Body::Request(Box::new(body)))
}

async fn ask(rig: &Rig, request: &Envelope, unsigned: Vec<u8>, statements: &[Envelope]) -> Answer {
    let submission = Submission {
        request: request.to_bytes(),
        unsigned,
        statements: statements.iter().map(Envelope::to_bytes).collect(),
    };
    rig.signer.authorize(submission).await.unwrap()
}

fn outpoint(transaction: &Transaction, index: u32) -> ConflictKey {
    use bitcoin::hashes::Hash as _;
    ConflictKey::Outpoint {
        chain: NETWORK.parse().unwrap(),
        txid: transaction.compute_txid().to_byte_array(),
        index,
    }
}

/// Observers saw a transaction spend an outpoint.
fn spent(rig: &Rig, index: u32, by: &str) -> [Envelope; 2] {
    let fact = ObservedFact::Spent {
        conflict_key: outpoint(&received(), index),
        txid: by.to_owned(),
        outcome: ObservedOutcome::Succeeded,
    };
    let observation = Observation {
        network: NETWORK.parse().unwrap(),
        sequence: 1,
        height: 900_000,
        facts: vec![fact],
    };
    ["node-a", "node-b"].map(|node| rig.world.sign(node, Body::Observation(observation.clone())))
}

/// A payment of output 0, and an attempt with a higher fee that spends outputs 0, 1 and 2.
async fn replaced(rig: &Rig) -> (Envelope, [SignedTransaction; 2]) {
    let first = request(rig, "order-1");
    let payment = assert_signed(&ask(rig, &first, psbt(&[0], true, 1_000), &[]).await);
    let bump = assert_signed(&ask(rig, &first, psbt(&[0, 1, 2], true, 4_000), &[]).await);
    (first, [payment, bump])
}

/// Another withdrawal that spends an output.
async fn next(rig: &Rig, reference: &str, index: u32) -> Answer {
    let request = request(rig, reference);
    ask(rig, &request, psbt(&[index], true, 1_000), &[]).await
}

#[tokio::test]
async fn what_a_replacement_claimed_is_free_when_the_payment_lands() {
    let rig = rig().await;
    let (first, [payment, bump]) = replaced(&rig).await;
    assert_denied(&next(&rig, "next-1", 1).await, Tag::ConflictKeyTaken);
    let seen = spent(&rig, 0, &payment.txid);
    // One observer is nobody.
    ask(&rig, &first, psbt(&[0, 1, 2], true, 4_000), &seen[..1]).await;
    assert_denied(&next(&rig, "next-2", 1).await, Tag::ConflictKeyTaken);
    let again = ask(&rig, &first, psbt(&[0, 1, 2], true, 4_000), &seen).await;
    assert_eq!(assert_signed(&again), bump, "what is signed stays signed");
    for index in [1, 2] {
        assert_signed(&next(&rig, &format!("free-{index}"), index).await);
    }
    // What landed keeps what it spent, and the dead attempt takes nothing back.
    assert_denied(&next(&rig, "spent", 0).await, Tag::ConflictKeyTaken);
    ask(&rig, &first, psbt(&[0, 1, 2], true, 4_000), &[]).await;
    assert_denied(&next(&rig, "claimed", 1).await, Tag::ConflictKeyTaken);
    assert_signed(&ask(&rig, &first, psbt(&[0], true, 1_000), &[]).await);
    let third = psbt(&[0, 3], true, 5_000);
    assert_denied(&ask(&rig, &first, third, &[]).await, Tag::LineageSettled);
}

/// Asked about what landed, which does not spend what the other one claimed; and the process dies in between.
#[tokio::test]
async fn what_a_payment_claimed_is_free_when_its_cancel_attempt_lands() {
    let rig = rig().await;
    let first = request(&rig, "order-1");
    assert_signed(&ask(&rig, &first, psbt(&[0, 1], true, 1_000), &[]).await);
    let cancel = Cancel {
        withdrawal: withdrawal(&first),
        fee_ceiling: Some(fee(5_000)),
        reason: String::new(),
    };
    let cancel = rig.world.sign("payout-service", Body::Cancel(cancel));
    let back = assert_signed(&ask(&rig, &first, psbt(&[0], false, 5_000), &[cancel]).await);
    assert_denied(&next(&rig, "next-3", 1).await, Tag::ConflictKeyTaken);
    let rig = rig.restart().await;
    ask(&rig, &first, psbt(&[0], false, 5_000), &spent(&rig, 0, &back.txid)).await;
    let rig = rig.restart().await;
    assert_signed(&next(&rig, "next-4", 1).await);
    assert_denied(&next(&rig, "next-5", 0).await, Tag::ConflictKeyTaken);
}

/// Whoever brings the bytes may have the first attempt spend an output beside the others that is on no chain. It never lands, and neither
/// does anything that keeps that one.
#[tokio::test]
async fn what_spends_something_made_up_gives_way_to_what_spends_the_rest() {
    let rig = rig().await;
    let first = request(&rig, "order-1");
    let mut numbers = 0..;
    let made_up = numbers
        .find(|number| outpoint(&coin(*number), 0) < outpoint(&received(), 0))
        .unwrap();
    let stuck = with_coins(made_up..made_up + 2);
    assert_signed(&ask(&rig, &first, stuck.clone(), &[]).await);
    let cancel = Cancel {
        withdrawal: withdrawal(&first),
        fee_ceiling: Some(fee(5_000)),
        reason: String::new(),
    };
    let cancel = rig.world.sign("payout-service", Body::Cancel(cancel));
    // What spends nothing of it could land beside it.
    let beside = ask(&rig, &first, psbt(&[1], false, 5_000), &[cancel]).await;
    assert_denied(&beside, Tag::LineageAnchorChanged);
    let back = assert_signed(&ask(&rig, &first, psbt(&[0], false, 4_000), &[]).await);
    assert_eq!(held(&rig, made_up + 2).await, 2);
    ask(&rig, &first, psbt(&[0], false, 4_000), &spent(&rig, 0, &back.txid)).await;
    assert_eq!(held(&rig, made_up + 2).await, 0);
    assert_denied(&ask(&rig, &first, stuck, &[]).await, Tag::WithdrawalCancelled);
}

/// It may be the payment under another id, or the work of a thief: nothing is free, and the wallet is frozen.
#[tokio::test]
async fn beside_a_foreign_spend_nothing_is_free() {
    let rig = rig().await;
    let (first, _) = replaced(&rig).await;
    let stranger = spent(&rig, 0, &"ab".repeat(32));
    let answer = ask(&rig, &first, psbt(&[0, 1, 2], true, 4_000), &stranger).await;
    assert_denied(&answer, Tag::FreezeActive);
    let freeze = rig.list().await.freezes[0].freeze;
    rig.thaw(freeze).await;
    ask(&rig, &first, psbt(&[0, 1, 2], true, 4_000), &[]).await;
    assert_denied(&next(&rig, "next-6", 1).await, Tag::ConflictKeyTaken);
}

/// More than one proposal looks up: whoever asks about each attempt has all of them back.
#[tokio::test]
async fn however_many_coins_the_attempts_claimed_all_of_them_are_free() {
    const EACH: u32 = 800;
    const ALL: u32 = 6 * EACH;
    let rig = rig().await;
    let first = request(&rig, "order-1");
    let payment = assert_signed(&ask(&rig, &first, psbt(&[0], true, 1_000), &[]).await);
    let bumps: Vec<Vec<u8>> = (0..6).map(|n| with_coins(n * EACH..(n + 1) * EACH)).collect();
    rig.set_mood(Mood::Fails);
    for bump in &bumps {
        let submission = Submission {
            request: first.to_bytes(),
            unsigned: bump.clone(),
            statements: Vec::new(),
        };
        rig.signer.authorize(submission).await.unwrap_err();
    }
    assert_eq!(held(&rig, ALL).await, 4_800);
    ask(&rig, &first, psbt(&[0], true, 1_000), &spent(&rig, 0, &payment.txid)).await;
    for bump in bumps {
        assert_denied(&ask(&rig, &first, bump, &[]).await, Tag::LineageSettled);
    }
    assert_eq!(held(&rig, ALL).await, 0);
}

/// How many of the coins belong to a withdrawal.
async fn held(rig: &Rig, coins: u32) -> usize {
    let reads = Reads {
        conflict_keys: (0..coins).map(|number| outpoint(&coin(number), 0)).collect(),
        ..Reads::default()
    };
    let count = |view: &LedgerView, _| Verdict::unchanged(view.conflict_owners.len());
    propose(rig.journal.as_ref(), reads, count).await.unwrap().0
}

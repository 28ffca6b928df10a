//! A P2WPKH withdrawal from a PSBT; libbitcoinconsensus says whether the network would take it.

use bitcoin::{
    Address, Amount, CompressedPublicKey, Network, OutPoint, Psbt, ScriptBuf, Sequence, Transaction, TxIn, TxOut,
    Witness, absolute::LockTime, consensus::deserialize, transaction::Version,
};
use bitcoinconsensus::{VERIFY_ALL_PRE_TAPROOT, verify_with_flags};

use crate::line::{BITCOIN, BITCOIN_CUSTOMER, Line};

const RECEIVED_SAT: u64 = 100_000;
const PAID_SAT: u64 = 60_000;
const FEE_SAT: u64 = 1_000;
/// The PSBTs of one test spend outputs of one transaction.
const OUTPUTS: u32 = 5;

/// The script of the wallet's key.
fn own(line: &Line) -> ScriptBuf {
    let key = CompressedPublicKey::from_slice(&line.bitcoin_key).unwrap();
    ScriptBuf::new_p2wpkh(&key.wpubkey_hash())
}

fn script_of(address: &str) -> ScriptBuf {
    let address: Address<_> = address.parse().unwrap();
    address.require_network(Network::Regtest).unwrap().script_pubkey()
}

fn output(sat: u64, script_pubkey: ScriptBuf) -> TxOut {
    TxOut {
        value: Amount::from_sat(sat),
        script_pubkey,
    }
}

/// What the wallet received: so much in each output.
fn received(line: &Line) -> Transaction {
    let somebody = TxIn {
        previous_output: "11".repeat(32).parse().map(|txid| OutPoint::new(txid, 0)).unwrap(),
        script_sig: ScriptBuf::new(),
        sequence: Sequence::MAX,
        witness: Witness::new(),
    };
    Transaction {
        version: Version::TWO,
        lock_time: LockTime::ZERO,
        input: vec![somebody],
        output: (0..OUTPUTS).map(|_| output(RECEIVED_SAT, own(line))).collect(),
    }
}

/// Pays `to` from one of the received outputs; the rest comes back.
fn psbt(line: &Line, received_at: u32, to: ScriptBuf) -> Vec<u8> {
    psbt_at(line, received_at, to, FEE_SAT)
}

/// The same with another fee.
fn psbt_at(line: &Line, received_at: u32, to: ScriptBuf, fee_sat: u64) -> Vec<u8> {
    let received = received(line);
    let spending = TxIn {
        previous_output: OutPoint::new(received.compute_txid(), received_at),
        script_sig: ScriptBuf::new(),
        sequence: Sequence::ENABLE_RBF_NO_LOCKTIME,
        witness: Witness::new(),
    };
    let left = RECEIVED_SAT - fee_sat;
    // What pays the wallet itself comes back as one output.
    let outputs = match to == own(line) {
        true => vec![output(left, to)],
        false => vec![output(PAID_SAT, to), output(left - PAID_SAT, own(line))],
    };
    let unsigned = Transaction {
        version: Version::TWO,
        lock_time: LockTime::ZERO,
        input: vec![spending],
        output: outputs,
    };
    let mut psbt = Psbt::from_unsigned_tx(unsigned).unwrap();
    psbt.inputs[0].non_witness_utxo = Some(received);
    psbt.serialize()
}

fn submit(line: &Line, reference: &str, bytes: &[u8]) -> crate::line::Said {
    let file = line.file(&format!("{reference}.psbt"), bytes);
    line.submit("btc-hot", BITCOIN, reference, &["--psbt", &file])
}

pub(crate) fn a_listed_customer_is_paid_and_change_comes_back(line: &Line) {
    let bytes = psbt(line, 0, script_of(BITCOIN_CUSTOMER));
    let file = line.file("payment.psbt", &bytes);
    let decoded = line
        .countersign(&["tx", "decode", "--network", BITCOIN, &file])
        .expect(0);
    assert_eq!(decoded["change"][0]["shown"], "0.00039 RBTC", "{decoded}");
    assert_eq!(
        decoded["bundle"]["verified"], true,
        "the activation verified it from the genesis on"
    );

    let (raw, txid) = line.sign("btc-hot", BITCOIN, "btc-1", ["--psbt", &file]);
    let signed: Transaction = deserialize(&raw).unwrap();
    assert_eq!(signed.compute_txid().to_string(), txid);
    let asked = Psbt::deserialize(&bytes).unwrap().unsigned_tx;
    assert_eq!((&signed.output, signed.input.len()), (&asked.output, 1));
    let spent = own(line);
    verify_with_flags(spent.as_bytes(), RECEIVED_SAT, &raw, None, 0, VERIFY_ALL_PRE_TAPROOT).unwrap();
    // The judge looks at amounts: with another one the signature is not valid.
    verify_with_flags(
        spent.as_bytes(),
        RECEIVED_SAT + 1,
        &raw,
        None,
        0,
        VERIFY_ALL_PRE_TAPROOT,
    )
    .unwrap_err();
}

pub(crate) fn a_stranger_is_not(line: &Line) {
    let stranger = ScriptBuf::from_bytes([&[0, 20][..], &[0x5a; 20]].concat());
    let said = submit(line, "btc-stranger", &psbt(line, 1, stranger));
    line.deny(said, "permit/uncovered");
}

/// Another withdrawal that spends what the first one spends would make one of the two impossible.
pub(crate) fn no_outpoint_is_spent_twice(line: &Line) {
    let twice = submit(line, "btc-2", &psbt(line, 0, script_of(BITCOIN_CUSTOMER)));
    assert!(
        twice.out.to_string().contains("conflict-key/taken"),
        "{}\n{}",
        twice.out,
        twice.error
    );
    line.sign(
        "btc-hot",
        BITCOIN,
        "btc-3",
        [
            "--psbt",
            &line.file("3.psbt", &psbt(line, 2, script_of(BITCOIN_CUSTOMER))),
        ],
    );
}

/// Replaced by fee: the payment again from the same output, and less comes back. Approved anew, because the ceiling was raised.
pub(crate) fn a_stuck_payment_is_replaced_by_fee(line: &Line) {
    let to = || script_of(BITCOIN_CUSTOMER);
    let file = line.file("stuck.psbt", &psbt(line, 3, to()));
    let pending = line
        .submit("btc-hot", BITCOIN, "btc-stuck", &["--psbt", &file, "--template"])
        .expect(4);
    let (first, _) = line.approve(&pending);
    let id = pending["id"].as_str().unwrap();
    let bumped = line.file("bumped.psbt", &psbt_at(line, 3, to(), 4 * FEE_SAT));
    let replace = ["withdraw", "replace", id, "--psbt", &bumped, "--wait"];
    line.deny_later(line.countersign(&replace), "request/fee-over-ceiling");
    let raise = ["--fee-ceiling", "0.00005 RBTC", "--reason", "mempool is full"];
    let waiting = line.countersign(&[&replace[..], &raise].concat()).expect(4);
    assert_eq!(waiting["state"], "replacing", "{waiting}");
    for person in ["alice", "bob"] {
        line.countersign(&["approvals", "approve", id, "--as", person])
            .expect(0);
    }
    let signed = line.countersign(&["withdraw", "show", id, "--wait"]).expect(0);
    let raw = signed["attempts"][1]["signed_transaction"].as_str().unwrap();
    let raw = hex::decode(raw.strip_prefix("0x").unwrap()).unwrap();
    let [first, second]: [Transaction; 2] = [&first, &raw].map(|raw| deserialize(raw).unwrap());
    assert_eq!(
        first.input[0].previous_output, second.input[0].previous_output,
        "one of the two"
    );
    assert_eq!(first.output[0], second.output[0], "the same payment");
    let left = |transaction: &Transaction| transaction.output[1].value.to_sat();
    assert_eq!(left(&first) - left(&second), 3 * FEE_SAT);
    let spent = own(line);
    verify_with_flags(spent.as_bytes(), RECEIVED_SAT, &raw, None, 0, VERIFY_ALL_PRE_TAPROOT).unwrap();
}

/// The output comes back whole but for the fee: the payment and the cancel attempt exclude each other, and the network takes either.
pub(crate) fn a_stuck_payment_is_cancelled_by_fee(line: &Line) {
    let payment = psbt(line, 4, script_of(BITCOIN_CUSTOMER));
    let file = line.file("wrong.psbt", &payment);
    let pending = line
        .submit("btc-hot", BITCOIN, "btc-wrong", &["--psbt", &file, "--template"])
        .expect(4);
    let id = pending["id"].as_str().unwrap();
    let (paying, _) = line.approve(&pending);
    let cancel = |name: &str, bytes: &[u8], ceiling: &str| {
        let file = line.file(name, bytes);
        let given = ["--psbt", &file, "--fee-ceiling", ceiling, "--wait"];
        line.countersign(&[&["withdraw", "cancel", id][..], &given].concat())
    };
    let back = |received_at: u32| psbt_at(line, received_at, own(line), 4 * FEE_SAT);
    // One satoshi over the ceiling, and another output than the payment's: neither takes its place.
    let short = cancel("short.psbt", &back(4), "0.00003999 RBTC");
    assert_eq!(short.code, 5, "{}", short.error);
    assert!(short.error.contains("request/fee-over-ceiling"), "{}", short.error);
    let beside = cancel("beside.psbt", &back(0), "0.00004 RBTC");
    let denied = beside.expect(3);
    assert_eq!(denied["reasons"][0]["tag"], "lineage/anchor-changed", "{denied}");

    let signed = cancel("back.psbt", &back(4), "0.00004 RBTC").expect(0);
    let attempts = signed["attempts"].as_array().unwrap();
    let attempt = attempts.last().unwrap();
    assert_eq!(attempt["cancels"], true, "{signed}");
    let raw = attempt["signed_transaction"].as_str().unwrap();
    let raw = hex::decode(raw.strip_prefix("0x").unwrap()).unwrap();
    let [paying, back]: [Transaction; 2] = [&paying, &raw].map(|raw| deserialize(raw).unwrap());
    assert_eq!(paying.input[0].previous_output, back.input[0].previous_output);
    assert_eq!(back.output, [output(RECEIVED_SAT - 4 * FEE_SAT, own(line))]);
    let spent = own(line);
    verify_with_flags(spent.as_bytes(), RECEIVED_SAT, &raw, None, 0, VERIFY_ALL_PRE_TAPROOT).unwrap();
    line.verify(id, attempt["txid"].as_str().unwrap());
}

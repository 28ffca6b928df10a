//! Every call of the `countersign` command line that the demo makes; nothing else in xtask knows its flags.

use std::path::{Path, PathBuf};

/// The people of the demo deployment who approve.
pub(super) const APPROVERS: [&str; 2] = ["alice", "bob"];

/// One payment to submit.
pub(super) struct Payment {
    reference: &'static str,
    asset: &'static str,
    amount: &'static str,
    to: &'static str,
}

pub(super) const SUBMIT_ETH: Payment = Payment {
    reference: "demo-eth-1",
    asset: "eth",
    amount: "1.5",
    to: "treasury",
};
pub(super) const SUBMIT_TOKEN: Payment = Payment {
    reference: "demo-usdc-1",
    asset: "usdc",
    amount: "2500",
    to: "treasury",
};
pub(super) const SUBMIT_STRANGER: Payment = Payment {
    reference: "demo-stranger-1",
    asset: "eth",
    amount: "1",
    to: "0x00000000000000000000000000000000deadbeef",
};

/// The tag of the denial that a stranger meets: no permit covers the effect.
pub(super) const STRANGER_TAG: &str = "permit/uncovered";

pub(super) fn init(dir: &Path, backend: &str) -> Vec<String> {
    call("init", dir, &["--backend", backend])
}

pub(super) fn dev(dir: &Path) -> Vec<String> {
    call("dev", dir, &[])
}

/// `countersign dev` writes it when both processes answer.
pub(super) fn ready_file(dir: &Path) -> PathBuf {
    dir.join("ready")
}

pub(super) fn submit(dir: &Path, payment: &Payment) -> Vec<String> {
    let Payment {
        reference,
        asset,
        amount,
        to,
    } = payment;
    call(
        "submit",
        dir,
        &[
            "--reference",
            reference,
            "--asset",
            asset,
            "--amount",
            amount,
            "--to",
            to,
        ],
    )
}

pub(super) fn inbox(dir: &Path, person: &str) -> Vec<String> {
    call("inbox", dir, &["--as", person])
}

pub(super) fn approve(dir: &Path, person: &str, withdrawal: &str) -> Vec<String> {
    call("approve", dir, &["--as", person, withdrawal])
}

pub(super) fn show(dir: &Path, withdrawal: &str) -> Vec<String> {
    call("show", dir, &[withdrawal])
}

pub(super) fn receipt(dir: &Path, withdrawal: &str, file: &Path) -> Vec<String> {
    call("receipt", dir, &[withdrawal, "--output", &file.to_string_lossy()])
}

pub(super) fn verify(dir: &Path, receipt: &Path) -> Vec<String> {
    let mut words = call("audit", dir, &[]);
    words.insert(1, "verify".to_owned());
    words.push(receipt.to_string_lossy().into_owned());
    words
}

fn call(command: &str, dir: &Path, rest: &[&str]) -> Vec<String> {
    let dir = dir.to_string_lossy();
    let start = [command, "--dir", &dir].into_iter();
    start.chain(rest.iter().copied()).map(str::to_owned).collect()
}

//! Every call of the `countersign` command line that the demo makes; nothing else in xtask knows its flags.

use std::path::{Path, PathBuf};

/// The people of the demo deployment who approve.
pub(super) const APPROVERS: [&str; 2] = ["alice", "bob"];

const WALLET: &str = "eth-hot";
const NETWORK: &str = "eip155:31337";

/// One payment to submit.
pub(super) struct Payment {
    reference: &'static str,
    amount: &'static str,
    to: &'static str,
}

/// Above the tier that needs two people of the treasury; to a customer on the allowlist.
pub(super) const SUBMIT_ETH: Payment = Payment {
    reference: "demo-eth-1",
    amount: "1.5 ETH",
    to: "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
};
/// The same for an ERC-20 token.
pub(super) const SUBMIT_TOKEN: Payment = Payment {
    reference: "demo-token-1",
    amount: "2500 DEMO",
    to: "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC",
};
/// To an address that no list names.
pub(super) const SUBMIT_STRANGER: Payment = Payment {
    reference: "demo-stranger-1",
    amount: "1 ETH",
    to: "0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65",
};

/// The tag of the denial that a stranger meets: no permit covers the effect.
pub(super) const STRANGER_TAG: &str = "permit/uncovered";

/// The exit codes that `countersign --help` promises.
pub(super) mod exit {
    /// Policy said no.
    pub(crate) const DENIED: i32 = 3;
    /// Approvals are missing.
    pub(crate) const PENDING: i32 = 4;
}

pub(super) fn init(dir: &Path, backend: &str) -> Vec<String> {
    call(&["init"], dir, &["--backend", backend])
}

pub(super) fn dev(dir: &Path) -> Vec<String> {
    call(&["dev"], dir, &[])
}

/// `countersign dev` writes it when both processes answer.
pub(super) fn ready_file(dir: &Path) -> PathBuf {
    dir.join("run/ready.json")
}

/// Waits for the signer's answer: `exit` says which it is.
pub(super) fn submit(dir: &Path, payment: &Payment) -> Vec<String> {
    let Payment { reference, amount, to } = payment;
    let what = ["--wallet", WALLET, "--network", NETWORK, "--to", to, "--amount", amount];
    call(
        &["withdraw", "submit"],
        dir,
        &[&what[..], &["--reference", reference, "--wait"]].concat(),
    )
}

pub(super) fn inbox(dir: &Path, person: &str) -> Vec<String> {
    call(&["approvals", "list"], dir, &["--as", person])
}

pub(super) fn approve(dir: &Path, person: &str, withdrawal: &str) -> Vec<String> {
    call(&["approvals", "approve", withdrawal], dir, &["--as", person])
}

/// Waits until it is decided.
pub(super) fn show(dir: &Path, withdrawal: &str) -> Vec<String> {
    call(&["withdraw", "show", withdrawal], dir, &["--wait"])
}

pub(super) fn receipt(dir: &Path, withdrawal: &str, file: &Path) -> Vec<String> {
    call(&["receipt", withdrawal], dir, &["--out", &file.to_string_lossy()])
}

/// Offline: the receipt and the pinned trust root, nothing else.
pub(super) fn verify(dir: &Path, receipt: &Path) -> Vec<String> {
    let (receipt, root) = (receipt.to_string_lossy(), dir.join("genesis.json"));
    let words = ["audit", "verify", &receipt, "--trust-root", &root.to_string_lossy()];
    words.map(str::to_owned).to_vec()
}

fn call(command: &[&str], dir: &Path, rest: &[&str]) -> Vec<String> {
    let dir = dir.to_string_lossy();
    let words = [command, &["--dir", &dir], rest].concat();
    words.into_iter().map(str::to_owned).collect()
}

//! The next nonce of a wallet, from what the orchestrator lists. A wrong answer costs a refusal (`conflict-key/…`), no money.

use std::collections::BTreeSet;

use countersign_bundle::Bundle;
use countersign_client::{Attempt, Client, State, Withdrawal};
use countersign_types::{ChainFacts, ChainId, ConflictKey, WalletId};

use crate::{
    failure::{Failure, Result},
    transaction,
};

/// Withdrawals whose nonce is taken or about to be, and those that ended: unsigned, they gave theirs up (docs/adr/0036).
const LISTED: [State; 7] = [
    State::Received,
    State::PendingApproval,
    State::Frozen,
    State::Signed,
    State::Replacing,
    State::Cancelled,
    State::Denied,
];
const PAGE_ROWS: u32 = 1_000;

/// The first nonce that no open or signed withdrawal of the wallet on the network uses: also one that was given up below others, which
/// wait until somebody uses it (`conflict-key/gap`).
pub(super) async fn next(client: &Client, bundle: &Bundle, wallet: &WalletId, network: &ChainId) -> Result<u64> {
    let record = bundle.registry().wallets().wallet(wallet);
    let first = record
        .and_then(|record| record.networks.get(network))
        .map(|site| site.first_nonce)
        .unwrap_or_default();
    let mut nonces = Nonces::new(first);
    let mut token = String::new();
    loop {
        let page = client.list(&LISTED, PAGE_ROWS, &token).await;
        let page = page.map_err(|error| Failure::answered("orchestrator", &error))?;
        for withdrawal in &page.withdrawals {
            if withdrawal.wallet == *wallet && withdrawal.network == *network {
                nonces.add(Use::of(withdrawal), nonces_of(bundle, withdrawal));
            }
        }
        match page.next {
            Some(following) => token = following,
            None => return Ok(nonces.next()),
        }
    }
}

/// The nonce of the latest attempt. A wrong one costs a refusal, no money.
pub(super) fn of_latest(bundle: &Bundle, known: &Withdrawal) -> Result<u64> {
    of_attempt(bundle, known, known.attempts.last())
}

/// The nonce of the latest attempt that is signed, or else of the latest.
pub(super) fn of_latest_signed(bundle: &Bundle, known: &Withdrawal) -> Result<u64> {
    let signed = known.attempts.iter().rfind(|attempt| attempt.signed.is_some());
    of_attempt(bundle, known, signed.or(known.attempts.last()))
}

fn of_attempt(bundle: &Bundle, known: &Withdrawal, attempt: Option<&Attempt>) -> Result<u64> {
    let bytes = attempt.map(|attempt| attempt.unsigned_transaction.as_slice());
    let (registry, bytes) = (bundle.registry(), bytes.unwrap_or_default());
    let parsed = transaction::parse(registry, &known.network, &known.wallet, bytes, ChainFacts::none())?;
    let nonce = parsed.conflict_keys().iter().find_map(|key| match key {
        ConflictKey::AccountNonce { nonce, .. } => Some(*nonce),
        ConflictKey::Outpoint { .. } | ConflictKey::NonceAccount { .. } => None,
    });
    nonce.ok_or_else(|| Failure::usage("the attempt has no nonce of an account: name the transaction with --tx"))
}

/// What a withdrawal does with its nonces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    /// They are signed.
    Signed,
    /// They may be.
    Open,
    /// They never will be.
    GivenUp,
}

impl Use {
    fn of(withdrawal: &Withdrawal) -> Self {
        if withdrawal.attempts.iter().any(|attempt| attempt.signed.is_some()) {
            return Self::Signed;
        }
        match withdrawal.state {
            State::Cancelled | State::Denied => Self::GivenUp,
            State::Received
            | State::PendingApproval
            | State::Refused
            | State::Malformed
            | State::Signed
            | State::Expired
            | State::Frozen
            | State::Replacing => Self::Open,
        }
    }
}

/// The nonces of an account.
struct Nonces {
    /// The first one that is ours to use.
    first: u64,
    /// One more than the highest that is signed. Nothing is signed over a gap: whatever lies below was claimed, even if nobody lists it.
    behind_signed: u64,
    used: BTreeSet<u64>,
    given_up: BTreeSet<u64>,
}

impl Nonces {
    fn new(first: u64) -> Self {
        Self {
            first,
            behind_signed: first,
            used: BTreeSet::new(),
            given_up: BTreeSet::new(),
        }
    }

    fn add(&mut self, what: Use, nonces: Vec<u64>) {
        match what {
            Use::Signed => {
                let highest = nonces.iter().map(|nonce| nonce.saturating_add(1)).max();
                self.behind_signed = self.behind_signed.max(highest.unwrap_or_default());
                self.used.extend(nonces);
            }
            Use::Open => self.used.extend(nonces),
            Use::GivenUp => self.given_up.extend(nonces),
        }
    }

    /// A gap that an ended withdrawal left below what is signed: everything behind it waits for it. Otherwise the next one.
    fn next(&self) -> u64 {
        let mut gaps = self.given_up.iter().copied();
        let is_gap = |nonce: &u64| (self.first..self.behind_signed).contains(nonce) && !self.used.contains(nonce);
        gaps.find(is_gap)
            .unwrap_or_else(|| first_free(self.behind_signed, &self.used))
    }
}

fn first_free(first: u64, used: &BTreeSet<u64>) -> u64 {
    let mut next = first;
    for used in used.range(first..) {
        if *used != next {
            break;
        }
        next = next.saturating_add(1);
    }
    next
}

/// The nonces of a withdrawal's attempts, decoded here.
fn nonces_of(bundle: &Bundle, withdrawal: &Withdrawal) -> Vec<u64> {
    let parsed = withdrawal.attempts.iter().filter_map(|attempt| {
        let unsigned = &attempt.unsigned_transaction;
        bundle
            .registry()
            .parse(&withdrawal.network, &withdrawal.wallet, unsigned, ChainFacts::none())
            .ok()
    });
    let nonces = parsed.flat_map(|parsed| {
        let nonce = |key: &ConflictKey| match key {
            ConflictKey::AccountNonce { nonce, .. } => Some(*nonce),
            ConflictKey::Outpoint { .. } | ConflictKey::NonceAccount { .. } => None,
        };
        parsed.conflict_keys().iter().filter_map(nonce).collect::<Vec<_>>()
    });
    nonces.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_up_is_used_before_what_comes_next() {
        for (first, used, expected) in [
            (0, vec![], 0),
            (7, vec![], 7),
            (0, vec![0, 1, 2], 3),
            (0, vec![0, 2, 3], 1),
            (0, vec![1], 0),
            (2, vec![0, 1, 2, 4], 3),
            (5, vec![0, 1], 5),
            (u64::MAX, vec![u64::MAX], u64::MAX),
        ] {
            assert_eq!(
                first_free(first, &used.iter().copied().collect()),
                expected,
                "{first}, {used:?}"
            );
        }
    }

    #[test]
    fn a_gap_that_an_ended_withdrawal_left_comes_first() {
        use Use::{GivenUp, Open, Signed};
        for (first, uses, expected) in [
            (0, vec![], 0),
            (3, vec![(Signed, vec![3, 4])], 5),
            // Nobody lists 0 and 1, which were used all the same.
            (0, vec![(Signed, vec![2])], 3),
            (0, vec![(Signed, vec![0]), (GivenUp, vec![1]), (Signed, vec![2])], 1),
            (0, vec![(GivenUp, vec![1, 2]), (Signed, vec![3]), (Open, vec![1])], 2),
            // Used again since.
            (0, vec![(GivenUp, vec![1]), (Signed, vec![0, 1])], 2),
            // It was never anybody's turn.
            (0, vec![(Signed, vec![0]), (GivenUp, vec![1])], 1),
            (0, vec![(Signed, vec![0]), (GivenUp, vec![5])], 1),
            // It was not ours to use.
            (4, vec![(GivenUp, vec![2]), (Signed, vec![4])], 5),
            (0, vec![(Signed, vec![u64::MAX])], u64::MAX),
        ] {
            let mut nonces = Nonces::new(first);
            for (what, used) in uses.clone() {
                nonces.add(what, used);
            }
            assert_eq!(nonces.next(), expected, "{first}, {uses:?}");
        }
    }
}

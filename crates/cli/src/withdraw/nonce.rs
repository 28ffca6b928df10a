//! The next nonce of a wallet, from what the orchestrator lists. A wrong answer costs a refusal (`conflict-key/…`), no money.

use std::collections::BTreeSet;

use countersign_bundle::Bundle;
use countersign_client::{Client, State, Withdrawal};
use countersign_types::{ChainId, ConflictKey, WalletId};

use crate::failure::{Failure, Result};

/// Withdrawals whose nonce is taken or about to be.
const OPEN: [State; 5] = [
    State::Received,
    State::PendingApproval,
    State::Frozen,
    State::Signed,
    State::Replacing,
];
const PAGE_ROWS: u32 = 1_000;

/// The first nonce that no open or signed withdrawal of the wallet on the network uses: also one that was given up below others, which
/// wait until somebody uses it (`conflict-key/gap`).
pub(super) async fn next(client: &Client, bundle: &Bundle, wallet: &WalletId, network: &ChainId) -> Result<u64> {
    let record = bundle.registry().wallets().wallet(wallet);
    let mut first = record
        .and_then(|record| record.networks.get(network))
        .map(|site| site.first_nonce)
        .unwrap_or_default();
    let mut used = BTreeSet::new();
    let mut token = String::new();
    loop {
        let page = client.list(&OPEN, PAGE_ROWS, &token).await;
        let page = page.map_err(|error| Failure::answered("orchestrator", &error))?;
        for withdrawal in &page.withdrawals {
            if withdrawal.wallet == *wallet && withdrawal.network == *network {
                let nonces = nonces(bundle, withdrawal);
                // Nothing is signed over a gap: whatever lies below what is signed was used, even if nobody lists it.
                if is_signed(withdrawal) {
                    first = nonces
                        .iter()
                        .fold(first, |first, used| first.max(used.saturating_add(1)));
                }
                used.extend(nonces);
            }
        }
        match page.next {
            Some(following) => token = following,
            None => return Ok(first_free(first, &used)),
        }
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

fn is_signed(withdrawal: &Withdrawal) -> bool {
    withdrawal.attempts.iter().any(|attempt| attempt.signed.is_some())
}

/// The nonces of a withdrawal's attempts, decoded here.
fn nonces(bundle: &Bundle, withdrawal: &Withdrawal) -> Vec<u64> {
    let parsed = withdrawal.attempts.iter().filter_map(|attempt| {
        let unsigned = &attempt.unsigned_transaction;
        bundle
            .registry()
            .parse(
                &withdrawal.network,
                &withdrawal.wallet,
                unsigned,
                countersign_types::ChainFacts::none(),
            )
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
}

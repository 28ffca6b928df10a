//! The next nonce of a wallet, from what the orchestrator lists. A wrong answer costs a refusal (`conflict-key/…`), no money.

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

/// The first nonce that no open or signed withdrawal of the wallet on the network uses.
pub(super) async fn next(client: &Client, bundle: &Bundle, wallet: &WalletId, network: &ChainId) -> Result<u64> {
    let record = bundle.registry().wallets().wallet(wallet);
    let mut next = record
        .and_then(|record| record.networks.get(network))
        .map(|site| site.first_nonce)
        .unwrap_or_default();
    let mut token = String::new();
    loop {
        let page = client.list(&OPEN, PAGE_ROWS, &token).await;
        let page = page.map_err(|error| Failure::answered("orchestrator", &error))?;
        for withdrawal in &page.withdrawals {
            if withdrawal.wallet == *wallet && withdrawal.network == *network {
                next = nonces(bundle, withdrawal).fold(next, |next, used| next.max(used.saturating_add(1)));
            }
        }
        match page.next {
            Some(following) => token = following,
            None => return Ok(next),
        }
    }
}

/// The nonces of a withdrawal's attempts, decoded here.
fn nonces<'w>(bundle: &'w Bundle, withdrawal: &'w Withdrawal) -> impl Iterator<Item = u64> + 'w {
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
    parsed.flat_map(|parsed| {
        let nonce = |key: &ConflictKey| match key {
            ConflictKey::AccountNonce { nonce, .. } => Some(*nonce),
            ConflictKey::Outpoint { .. } | ConflictKey::NonceAccount { .. } => None,
        };
        parsed.conflict_keys().iter().filter_map(nonce).collect::<Vec<_>>()
    })
}

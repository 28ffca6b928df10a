//! Cancel attempts: bytes that take the place of what is signed and pay nobody (docs/adr/0037).

use countersign_approval::{Body, FeeCeiling, Request};
use countersign_chains::Registry;
use countersign_types::{ConflictKey, Destination, Effect, ParsedTransaction};

use crate::{
    Case,
    asking::Asking,
    binding,
    decide::{ATTEMPTS_PER_CANCEL, MAX_CANCEL_ATTEMPTS},
};

/// What the cancels that count allow.
pub(crate) struct Cancelling {
    /// The most that the fee may be: the highest of their ceilings.
    pub(crate) ceiling: FeeCeiling,
    /// How many cancel attempts they make room for.
    pub(crate) room: u32,
}

/// What is allowed, where the bytes are a cancel attempt: somebody who may has cancelled with a ceiling, and the bytes pay nobody
/// and are not what was asked for.
pub(crate) fn cancelling(case: &Case<'_>, asking: &Asking<'_>) -> Option<Cancelling> {
    let parsed = case.reading.parsed().ok()?;
    match takes_the_place(case.request, parsed, case.active.registry()) {
        true => allowed(case, asking),
        false => None,
    }
}

/// Whether bytes under a request can only be a cancel attempt. Those that do what the request says stand under it as any attempt
/// does: cancelled, they are not signed.
pub fn takes_the_place(request: &Request, parsed: &ParsedTransaction, registry: &Registry) -> bool {
    let text = binding::effects_text(request, parsed, registry);
    // A text that is too large is nobody's.
    pays_nobody(parsed) && text.is_ok_and(|text| !binding::is_asked_for(request, parsed, &text))
}

/// Whether bytes do nothing but move coins to the wallet that signs them and pay a fee. Coins of the network only: a token moves by its
/// contract's code, and perhaps out of another wallet.
pub fn pays_nobody(parsed: &ParsedTransaction) -> bool {
    let fee = binding::fee(parsed).map(|(asset, _)| asset);
    parsed.effects().iter().all(|effect| match effect {
        Effect::Fee { .. } => true,
        Effect::Internal { wallet, asset, .. } => wallet == parsed.wallet() && fee == Some(asset),
        // How a message with a durable nonce is brought out, not what it does.
        Effect::DelayedAuthorization { mechanism } => is_durable_nonce(parsed, mechanism),
        Effect::Transfer { .. }
        | Effect::Allowance { .. }
        | Effect::AuthorityChange { .. }
        | Effect::CodeChange { .. }
        | Effect::ContractCall { .. }
        | Effect::Opaque { .. }
        | Effect::PersonalMessage { .. } => false,
    })
}

fn is_durable_nonce(parsed: &ParsedTransaction, mechanism: &Destination) -> bool {
    parsed.conflict_keys().iter().any(|key| match key {
        ConflictKey::NonceAccount { account, .. } => account == mechanism,
        ConflictKey::AccountNonce { .. } | ConflictKey::Outpoint { .. } => false,
    })
}

/// Of the cancels that count and name a ceiling, in the asset of the request's own.
fn allowed(case: &Case<'_>, asking: &Asking<'_>) -> Option<Cancelling> {
    let ceilings = case.statements.iter().filter_map(|seen| {
        let verified = seen.verified.as_ref().ok()?;
        let Body::Cancel(cancel) = &verified.statement().body else {
            return None;
        };
        asking.certify(verified, cancel.withdrawal, seen.first_seen_at).ok()?;
        cancel.fee_ceiling.as_ref()
    });
    let same_asset = ceilings.filter(|ceiling| ceiling.asset == case.request.fee_ceiling.asset);
    let ceilings: Vec<&FeeCeiling> = same_asset.collect();
    let cancels = u32::try_from(ceilings.len()).unwrap_or(u32::MAX);
    let highest = ceilings.into_iter().max_by_key(|ceiling| ceiling.amount)?;
    Some(Cancelling {
        ceiling: highest.clone(),
        room: cancels.saturating_mul(ATTEMPTS_PER_CANCEL).min(MAX_CANCEL_ATTEMPTS),
    })
}

//! The request against the bytes: the transfers are the payments one to one, and nothing else happens.

use std::collections::BTreeMap;

use countersign_approval::{FeeCeiling, Payment, Request, TransactionBinding};
use countersign_chains::Registry;
use countersign_types::{
    Amount, AssetId, Destination, Effect, EffectsText, EffectsTextError, ParsedTransaction, SubjectId, Tag,
    TransactionDigest,
};

use crate::Reason;

/// What identifies a transfer: two of these are the same payment twice, and both must be asked for.
type Leg<'a> = (&'a AssetId, Amount, &'a Destination);

/// Renders the canonical text of a request's effects under its fee ceiling.
pub(crate) fn effects_text(
    request: &Request,
    parsed: &ParsedTransaction,
    registry: &Registry,
) -> Result<EffectsText, EffectsTextError> {
    let ceiling = (&request.fee_ceiling.asset, request.fee_ceiling.amount);
    EffectsText::render(
        parsed.network(),
        parsed.wallet(),
        parsed.effects(),
        ceiling,
        registry.assets(),
    )
}

/// Whether the bytes pay and do what the request says, whatever they cost and whichever they are.
pub(crate) fn is_asked_for(request: &Request, parsed: &ParsedTransaction, text: &EffectsText) -> bool {
    payment_mismatch(&request.payments, parsed.effects()).is_none() && effect_mismatch(&request.effects, text).is_none()
}

/// Everything in which the bytes are not what the request asks for.
pub(crate) fn mismatches(
    request: &Request,
    transaction: TransactionDigest,
    parsed: &ParsedTransaction,
    text: &EffectsText,
    registry: &Registry,
) -> Vec<Reason> {
    let mut reasons = Vec::new();
    reasons.extend(transaction_mismatch(request, transaction, parsed));
    reasons.extend(payment_mismatch(&request.payments, parsed.effects()));
    reasons.extend(effect_mismatch(&request.effects, text));
    reasons.extend(fee_mismatch(&request.fee_ceiling, parsed, registry));
    reasons
}

fn transaction_mismatch(
    request: &Request,
    transaction: TransactionDigest,
    parsed: &ParsedTransaction,
) -> Option<Reason> {
    match request.transaction {
        TransactionBinding::Exact(bound) if bound == transaction => None,
        TransactionBinding::Exact(bound) => Some(Reason::new(
            Tag::RequestTransactionMismatch,
            format!("the request binds transaction {bound}, the bytes are {transaction}"),
        )),
        // The family says which template the bytes are one of: what is neither open there nor an effect has its plain value.
        TransactionBinding::Template(template) if parsed.template() == Some(template) => None,
        TransactionBinding::Template(_) => Some(Reason::new(
            Tag::RequestTransactionMismatch,
            "the bytes vary in more than the request's template leaves open; bind the exact transaction",
        )),
    }
}

fn payment_mismatch(payments: &[Payment], effects: &[Effect]) -> Option<Reason> {
    let mut open: BTreeMap<Leg<'_>, i64> = BTreeMap::new();
    for payment in payments {
        let leg = (&payment.asset, payment.amount, &payment.destination);
        let count = open.entry(leg).or_default();
        *count = count.saturating_add(1);
    }
    for effect in effects {
        if let Effect::Transfer {
            asset,
            amount,
            destination,
        } = effect
        {
            let count = open.entry((asset, *amount, destination)).or_default();
            *count = count.saturating_sub(1);
        }
    }
    let ((asset, amount, destination), count) = open.into_iter().find(|(_, count)| *count != 0)?;
    let side = if count > 0 {
        "in the request but not in the bytes"
    } else {
        "in the bytes but not in the request"
    };
    Some(Reason::new(
        Tag::RequestPaymentsMismatch,
        format!("a transfer of {amount} {asset} to {destination} is {side}"),
    ))
}

/// Lines that are not transfers must be exactly the request's other effects.
fn effect_mismatch(requested: &[String], text: &EffectsText) -> Option<Reason> {
    let mut found: Vec<&str> = text
        .effect_lines()
        .filter(|line| !line.starts_with("transfer "))
        .collect();
    let mut asked: Vec<&str> = requested.iter().map(String::as_str).collect();
    found.sort_unstable();
    asked.sort_unstable();
    if found == asked {
        return None;
    }
    let unasked = found.iter().find(|line| !asked.contains(line));
    let message = match unasked {
        Some(line) => format!("the bytes also do this: {line}"),
        None => "the request lists an effect that the bytes do not have".to_owned(),
    };
    Some(Reason::new(Tag::RequestEffectsMismatch, message))
}

/// A fee over the ceiling, or in another asset.
pub(crate) fn fee_mismatch(ceiling: &FeeCeiling, parsed: &ParsedTransaction, registry: &Registry) -> Option<Reason> {
    let (asset, max) = fee(parsed)?;
    if *asset != ceiling.asset || registry.fee_asset(parsed.network()).as_ref() != Some(asset) {
        return Some(Reason::new(
            Tag::RequestFeeOverCeiling,
            format!("the fee is paid in {asset}, the ceiling is in {}", ceiling.asset),
        ));
    }
    if max > ceiling.amount {
        return Some(Reason::new(
            Tag::RequestFeeOverCeiling,
            format!(
                "the fee can be {}, the ceiling is {}",
                registry.assets().shown(asset, max),
                registry.assets().shown(asset, ceiling.amount)
            ),
        ));
    }
    None
}

/// The transaction's one fee; [`ParsedTransaction::new`] promises that there is one.
pub(crate) fn fee(parsed: &ParsedTransaction) -> Option<(&AssetId, Amount)> {
    parsed.effects().iter().find_map(|effect| match effect {
        Effect::Fee { asset, max } => Some((asset, *max)),
        Effect::Transfer { .. }
        | Effect::Internal { .. }
        | Effect::Allowance { .. }
        | Effect::AuthorityChange { .. }
        | Effect::CodeChange { .. }
        | Effect::DelayedAuthorization { .. }
        | Effect::ContractCall { .. }
        | Effect::Opaque { .. }
        | Effect::PersonalMessage { .. } => None,
    })
}

/// The customer behind each effect, in the order of the effects. Equal transfers take their payments in order.
pub(crate) fn subjects<'a>(payments: &'a [Payment], effects: &[Effect]) -> Vec<Option<&'a SubjectId>> {
    let mut unused: Vec<&Payment> = payments.iter().collect();
    let mut subject_of = |effect: &Effect| {
        let Effect::Transfer {
            asset,
            amount,
            destination,
        } = effect
        else {
            return None;
        };
        let is_leg = |payment: &&Payment| {
            payment.asset == *asset && payment.amount == *amount && payment.destination == *destination
        };
        let at = unused.iter().position(is_leg)?;
        unused.remove(at).subject.as_ref()
    };
    effects.iter().map(&mut subject_of).collect()
}

//! Reasons in words.

use countersign_types::{Amount, ParsedTransaction};

use crate::Reason;

/// The longest message of an entry's reason, in printable ASCII characters.
const MAX_MESSAGE_CHARS: usize = 256;

/// A policy reason in words, with the numbers compared.
pub(crate) fn explain(reason: &countersign_policy::Reason, parsed: &ParsedTransaction) -> Reason {
    let effect = reason
        .effect
        .and_then(|at| parsed.effects().get(usize::try_from(at).ok()?));
    let mut message = reason.tag.meaning().to_owned();
    if let Some(effect) = effect {
        message.push_str(&format!(": {}", effect.kind()));
        if let Some(amount) = effect.amount() {
            message.push_str(&format!(" of {amount}"));
        }
        if let Some(asset) = effect.asset() {
            message.push_str(&format!(" {asset}"));
        }
        if let Some(destination) = effect.destination() {
            message.push_str(&format!(" to {destination}"));
        }
    }
    if let Some(detail) = &reason.detail {
        let number = |amount: Option<Amount>| amount.map_or_else(|| "unknown".to_owned(), |amount| amount.to_string());
        let unit = match (&detail.asset, detail.currency) {
            (Some(asset), _) => format!(" of {asset}"),
            (None, Some(currency)) => format!(" of 0.00000001 {currency}"),
            (None, None) => String::new(),
        };
        message.push_str(&format!(
            "; {} against {}{unit}",
            number(detail.value),
            number(detail.bound)
        ));
    }
    Reason {
        tag: reason.tag,
        rule: reason.rule.clone(),
        message,
    }
}

/// JSON writes these as one or two bytes, so that the bound in characters is one in bytes.
fn printable(c: char) -> char {
    match c {
        ' '..='~' => c,
        _ => '?',
    }
}

pub(crate) fn shorten(reason: Reason) -> Reason {
    Reason {
        message: reason.message.chars().take(MAX_MESSAGE_CHARS).map(printable).collect(),
        ..reason
    }
}

//! Policy reasons in words.

use countersign_types::{Amount, ParsedTransaction};

use crate::Reason;

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

//! Reasons in words.

use countersign_policy::{ConditionKind, Near, Truth};
use countersign_types::{Amount, AssetRegistry, Effect, Tag};

use crate::Reason;

/// The longest message of an entry's reason, in printable ASCII characters.
const MAX_MESSAGE_CHARS: usize = 256;

/// A policy reason in words, with the numbers compared in the units of the bundle whose policy it is: what it is about, if that
/// is one effect, and the permits that lack least of covering that.
pub fn explain(
    reason: &countersign_policy::Reason,
    effect: Option<&Effect>,
    near: &[Near],
    assets: &AssetRegistry,
) -> Reason {
    let mut message = reason.tag.meaning().to_owned();
    if let Some(effect) = effect {
        message.push_str(&format!(": {}", effect.kind()));
        match (effect.amount(), effect.asset()) {
            (Some(amount), Some(asset)) => message.push_str(&format!(" of {}", assets.shown(asset, amount))),
            (Some(amount), None) => message.push_str(&format!(" of {amount}")),
            (None, Some(asset)) => message.push_str(&format!(" {asset}")),
            (None, None) => {}
        }
        if let Some(destination) = effect.destination() {
            message.push_str(&format!(" to {destination}"));
        }
    }
    if let Some(detail) = &reason.detail {
        let shown = |amount: Option<Amount>| match (amount, detail.currency, &detail.asset) {
            (None, _, _) => "unknown".to_owned(),
            (Some(amount), Some(currency), _) => currency.shown(amount),
            (Some(amount), None, Some(asset)) => assets.shown(asset, amount),
            (Some(amount), None, None) => amount.to_string(),
        };
        message.push_str(&format!("; {} against {}", shown(detail.value), shown(detail.bound)));
    }
    let near = Some(near).filter(|_| reason.tag == Tag::PermitUncovered);
    for Near { permit, unmet } in near.into_iter().flatten() {
        let unmet: Vec<String> = unmet.iter().map(|(kind, truth)| lack(*kind, *truth)).collect();
        message.push_str(&format!("; permit `{permit}` would but for {}", unmet.join(", ")));
    }
    Reason {
        tag: reason.tag,
        rule: reason.rule.clone(),
        message,
    }
}

/// What is unknown may become known; what is not met is for another payment or another policy.
fn lack(kind: ConditionKind, truth: Truth) -> String {
    match truth {
        Truth::Unknown => format!("`{kind}` (not known)"),
        Truth::False | Truth::True => format!("`{kind}`"),
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

#[cfg(test)]
mod tests {
    use countersign_policy::Comparison;
    use countersign_types::{ChainFacts, Currency};

    use super::*;
    use crate::testing::{Ask, CUSTOMER, ETH, World};

    fn said(detail: Option<Comparison>) -> String {
        let world = World::new();
        let bundle = world.bundle();
        let ask = Ask::default();
        let network = "eip155:31337".parse().unwrap();
        let parsed = bundle.registry().parse(
            &network,
            &"eth-hot".parse().unwrap(),
            &ask.unsigned(),
            &ChainFacts::default(),
        );
        let parsed = parsed.unwrap();
        let reason = countersign_policy::Reason {
            tag: Tag::LimitWindowExceeded,
            rule: None,
            effect: Some(0),
            detail,
        };
        explain(&reason, parsed.effects().first(), &[], bundle.registry().assets()).message
    }

    #[test]
    fn amounts_are_in_the_units_of_the_bundle() {
        let comparison = Comparison {
            asset: Some(ETH.parse().unwrap()),
            currency: None,
            value: Some(Amount::from(1_500_000_000_000_000_000_u128)),
            bound: Some(Amount::from(1_000_000_000_000_000_000_u128)),
        };
        let message = said(Some(comparison.clone()));
        assert!(message.contains(": transfer of "), "{message}");
        assert!(
            message.contains(&format!(" ETH to {CUSTOMER}; 1.5 ETH against 1 ETH")),
            "{message}"
        );
        let money = Comparison {
            asset: None,
            currency: Some(Currency::Usd),
            value: None,
            bound: Some(Amount::from(1_250_000_000_u128)),
        };
        assert!(said(Some(money)).ends_with("; unknown against 12.5 USD"));
        let unlisted = Comparison {
            asset: Some("eip155:31337/erc20:0xb".parse().unwrap()),
            ..comparison
        };
        let message = said(Some(unlisted));
        assert!(
            message.ends_with("against 1000000000000000000 base units of eip155:31337/erc20:0xb"),
            "{message}"
        );
        assert!(!said(None).contains("against"));
    }
}

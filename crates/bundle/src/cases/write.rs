//! A withdrawal that the analysis found, as a policy test: `countersign policy test` decides it again.

use std::fmt::Write as _;

use countersign_policy::{
    Ceiling, Evaluation, LimitTrace, Outcome, PRICE_DECIMALS,
    analysis::{Item, Withdrawal},
};
use countersign_types::{Amount, AssetId, Decimals, Effect};

use super::{SCHEMA, expected_reasons};
use crate::Bundle;

impl Bundle {
    /// A file of policy tests with one test: this withdrawal, decided as it was. It holds under this bundle; change what it
    /// expects to what it should be, and then the policy until it holds again.
    pub fn case_yaml(&self, name: &str, withdrawal: &Withdrawal, evaluation: &Evaluation) -> String {
        let written = Written {
            bundle: self,
            withdrawal,
        };
        let mut text = format!("schema: {SCHEMA}\ntests:\n  - name: {}\n", quoted(name));
        let Withdrawal {
            initiator,
            tenant,
            wallet,
            network,
            now,
            ..
        } = withdrawal;
        for (key, value) in [
            ("initiator", initiator.to_string()),
            ("tenant", tenant.to_string()),
            ("wallet", wallet.to_string()),
            ("network", network.to_string()),
            ("at", now.to_seconds().to_string()),
        ] {
            line(&mut text, &format!("    {key}: {}", quoted(&value)));
        }
        written.context(&mut text, evaluation);
        line(&mut text, "    effects:");
        for item in &withdrawal.items {
            line(&mut text, &format!("      - {{ {} }}", written.effect(item).join(", ")));
        }
        line(&mut text, &format!("    expect: {}", expected(evaluation)));
        text
    }
}

fn line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

/// Everything written here is printable ASCII.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn expected(evaluation: &Evaluation) -> String {
    match &evaluation.outcome {
        Outcome::Allow(obligations) => {
            let seats = obligations
                .seats()
                .into_iter()
                .map(|(group, seats)| format!("{group}: {seats}"));
            let seats: Vec<String> = seats.collect();
            let mut text = format!("{{ allow: {{ {} }}", seats.join(", "));
            if obligations.time_lock() != countersign_types::Duration::ZERO {
                text.push_str(&format!(", time-lock: {}", obligations.time_lock()));
            }
            let asked: Vec<String> = obligations
                .attestations()
                .map(|(kind, by, max_age)| {
                    format!("{{ kind: {kind}, by: {}, max-age: {max_age} }}", quoted(by.as_str()))
                })
                .collect();
            if !asked.is_empty() {
                text.push_str(&format!(", attestations: [{}]", asked.join(", ")));
            }
            text.push_str(" }");
            text
        }
        Outcome::Deny => {
            let reasons = expected_reasons(evaluation);
            let reasons: Vec<String> = reasons.iter().map(|reason| quoted(reason)).collect();
            format!("{{ deny: [{}] }}", reasons.join(", "))
        }
    }
}

struct Written<'a> {
    bundle: &'a Bundle,
    withdrawal: &'a Withdrawal,
}

impl Written<'_> {
    fn context(&self, text: &mut String, evaluation: &Evaluation) {
        let attributes = self.withdrawal.attributes.iter();
        let attributes: Vec<String> = attributes
            .map(|(name, value)| format!("{name}: {}", quoted(&value.to_string())))
            .collect();
        let prices: Vec<String> = self.prices();
        let spent: Vec<String> = evaluation.limits.iter().filter_map(|limit| self.spent(limit)).collect();
        for (key, values) in [("attributes", attributes), ("prices", prices), ("spent", spent)] {
            if !values.is_empty() {
                line(text, &format!("    {key}: {{ {} }}", values.join(", ")));
            }
        }
        if let Some(units) = self.withdrawal.fee_units {
            line(text, &format!("    fee-units: {units}"));
        }
    }

    fn prices(&self) -> Vec<String> {
        let places = Decimals::new(PRICE_DECIMALS).ok();
        let price = |(asset, currency, price): (&AssetId, countersign_policy::Currency, countersign_policy::Price)| {
            let record = self.bundle.registry().assets().asset(asset)?;
            let worth = format!("{} {currency}", price.atto().to_decimal(places?));
            Some(format!("{}: {}", record.symbol, quoted(&worth)))
        };
        self.withdrawal.prices.iter().filter_map(price).collect()
    }

    /// What a limit holds already, where it is the one that the withdrawal names, or counts the same.
    fn spent(&self, limit: &LimitTrace) -> Option<String> {
        let held = self
            .withdrawal
            .held
            .as_ref()
            .filter(|held| limit.counter == Some(held.counter))?;
        let is_counted = limit.window.as_ref().is_some_and(|window| window.covers(&held.window));
        let rule = self.bundle.policy().limits().find(|rule| *rule.id() == limit.rule)?;
        let amount = match &rule.meter().hard {
            Ceiling::Amounts(_) => self.quantity(limit.key.asset.as_ref()?, held.amount),
            Ceiling::Money(currency, _) => currency.shown(held.amount),
            Ceiling::Count(_) | Ceiling::NewDestinations(_) => held.amount.to_string(),
        };
        is_counted.then(|| format!("{}: {}", limit.rule, quoted(&amount)))
    }

    /// In units where the bundle knows the asset, else in base units of its id.
    fn quantity(&self, asset: &AssetId, amount: Amount) -> String {
        match self.bundle.registry().assets().asset(asset) {
            Some(record) => format!("{} {}", amount.to_decimal(record.decimals), record.symbol),
            None => format!("{amount} {asset}"),
        }
    }

    fn effect(&self, item: &Item) -> Vec<String> {
        let mut parts = Vec::new();
        let mut push = |key: &str, value: String| parts.push(format!("{key}: {value}"));
        let amount = || match (item.effect.asset(), item.effect.amount()) {
            (Some(asset), Some(amount)) => quoted(&self.quantity(asset, amount)),
            (_, _) => quoted(""),
        };
        match &item.effect {
            Effect::Transfer { .. } => push("transfer", amount()),
            Effect::Internal { wallet, .. } => {
                push("internal", amount());
                push("wallet", quoted(wallet.as_str()));
            }
            Effect::Fee { .. } => push("fee", amount()),
            Effect::Allowance { .. } => push("allowance", amount()),
            Effect::AuthorityChange { .. } => push("authority-change", "true".to_owned()),
            Effect::CodeChange { .. } => push("code-change", "true".to_owned()),
            Effect::DelayedAuthorization { .. } => push("delayed-authorization", "true".to_owned()),
            Effect::ContractCall { selector, args, .. } => {
                push("call", quoted(&selector.to_string()));
                push("words", words(args));
            }
            Effect::Opaque { .. } => push("opaque", "true".to_owned()),
            Effect::PersonalMessage { .. } => push("personal-message", "true".to_owned()),
        }
        let is_own = matches!(item.effect, Effect::Internal { .. });
        if let Some(to) = item.effect.destination().filter(|_| !is_own) {
            push("to", quoted(&to.to_string()));
        }
        if let Some(subject) = &item.subject {
            push("subject", quoted(subject.as_str()));
        }
        if let Some(is_first_seen) = item.is_first_seen {
            push("first-seen", is_first_seen.to_string());
        }
        if let Some(age) = item.entry_age {
            push("entry-age", age.to_string());
        }
        if let Some(books) = &item.books {
            let having = books.iter().filter(|(_, has)| **has);
            let books: Vec<String> = having.map(|(book, _)| quoted(book.as_str())).collect();
            push("address-books", format!("[{}]", books.join(", ")));
        }
        parts
    }
}

fn words(args: &[u8]) -> String {
    let mut text = String::new();
    for (n, word) in args.as_chunks::<32>().0.iter().enumerate() {
        let separator = if n == 0 { "" } else { ", " };
        // Writing to a text cannot fail.
        if write!(text, "{separator}\"{}\"", Amount::from_be_bytes(*word)).is_err() {
            break;
        }
    }
    format!("[{text}]")
}

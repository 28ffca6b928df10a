//! What was spent before a bundle came into force: its limits begin with it, so that a changed limit forgets nothing
//! (docs/adr/0020, 0015).

use std::collections::BTreeMap;

use countersign_bundle::Bundle;
use countersign_decision::{Past, Spend};
use countersign_policy::{Charge, MAX_ROLLING, Window};
use countersign_types::{Amount, CounterId, Tier, Timestamp, WalletId, WithdrawalId};

use crate::{LateCharge, LedgerView, SignerError, SpendRecord};

/// By how much the clocks of signers that share a journal may differ, and more.
const SLACK_MILLIS: i64 = 86_400_000;

/// Whether the bundle has a limit that looks back and may count another sum than under the bundle before. Where nothing that limits
/// count by is another, no spend is looked at: whoever can ask for withdrawals decides how many there are, and must not decide whether a
/// bundle that stops them comes into force.
pub(crate) fn is_asked(previous: &Bundle, bundle: &Bundle) -> bool {
    let mut limits = bundle.policy().limits();
    limits.any(|limit| limit.meter().window != Window::Transaction) && counts_otherwise(previous, bundle)
}

/// Whether limits, or what they count by, are not the same.
fn counts_otherwise(previous: &Bundle, bundle: &Bundle) -> bool {
    let limits = |bundle: &Bundle| bundle.policy().limits().cloned().collect::<Vec<_>>();
    let tiers = |bundle: &Bundle| -> BTreeMap<WalletId, Tier> {
        let wallets = bundle.registry().wallets().iter();
        wallets.map(|wallet| (wallet.id.clone(), wallet.tier)).collect()
    };
    limits(previous) != limits(bundle)
        || tiers(previous) != tiers(bundle)
        || previous.registry().assets() != bundle.registry().assets()
        || previous.destinations() != bundle.destinations()
        || !previous.roster().groups().eq(bundle.roster().groups())
}

/// How far the longest window looks back. No month is longer than the longest rolling one.
pub(crate) fn since(now: Timestamp) -> Timestamp {
    let length = i64::from(MAX_ROLLING.secs())
        .saturating_mul(1_000)
        .saturating_add(SLACK_MILLIS);
    Timestamp::from_unix_millis(now.unix_millis().saturating_sub(length))
}

/// What the spends that still count add to counters beyond what the bundle before counted of them.
pub(crate) fn late_charges(
    view: &LedgerView,
    previous: Option<&Bundle>,
    bundle: &Bundle,
    now: Timestamp,
) -> Result<Vec<LateCharge>, SignerError> {
    let mut late = Vec::new();
    for record in &view.spends {
        late.extend(late_charges_of(record, previous, bundle, now)?);
    }
    Ok(late)
}

fn late_charges_of(
    record: &SpendRecord,
    previous: Option<&Bundle>,
    bundle: &Bundle,
    now: Timestamp,
) -> Result<Vec<LateCharge>, SignerError> {
    let past = Past {
        charged_at: record.charged_at,
        authorized_at: record.authorized_at,
        aged_at: record.aged_at,
        now,
    };
    let named = |source| SignerError::Past {
        withdrawal: WithdrawalId::of(record.request),
        attempt: record.number,
        authorized_at: record.charged_at,
        source,
    };
    let spend = Spend::parse(&record.facts)?;
    // What the bundle in force counts was charged when it was authorized, or when that bundle came into force. What that one
    // could not say is asked of the new one.
    let counted = previous.and_then(|previous| spend.charges(previous, past).ok());
    let counted = counted.into_iter().flatten();
    let counted: BTreeMap<CounterId, Amount> = counted.map(|charge| (charge.counter, charge.amount)).collect();
    // A counter that stays may count more of a spend: a list has got an entry that a batch paid beside others, an asset has other
    // decimals.
    let is_more = |charge: &Charge| counted.get(&charge.counter).is_none_or(|held| *held < charge.amount);
    let late = spend.charges(bundle, past).map_err(named)?;
    let late = late.into_iter().filter(is_more);
    let late = late.map(|charge| LateCharge {
        request: record.request,
        number: record.number,
        charge,
    });
    Ok(late.collect())
}

#[cfg(test)]
mod tests {
    use countersign_decision::testing::{bundle_files, roster, sealed};

    use super::*;

    /// A bundle of the small world with another text in one of its files.
    fn with(file: &str, from: &str, to: &str) -> Bundle {
        let mut files = bundle_files(&roster());
        let text = String::from_utf8(files[file].clone()).unwrap();
        assert!(text.contains(from), "{file} has no `{from}`");
        files.insert(file.to_owned(), text.replace(from, to).into_bytes());
        Bundle::load(&sealed(1, None, files)).unwrap()
    }

    /// Whoever has made more spends than a bundle may look at stops none that has the same limits: it may be what takes their
    /// rights away.
    #[test]
    fn a_bundle_looks_back_where_its_limits_may_count_otherwise() {
        let window = "window: transaction, hard: \"8 ETH\"";
        let first = with("policy.yaml", window, "window: 24h, hard: \"8 ETH\"");
        let next = |file: &str, from: &str, to: &str| {
            let mut files = first.files().clone();
            let text = String::from_utf8(files[file].clone()).unwrap();
            assert!(text.contains(from), "{file} has no `{from}`");
            files.insert(file.to_owned(), text.replace(from, to).into_bytes());
            is_asked(&first, &Bundle::load(&sealed(2, Some(first.digest()), files)).unwrap())
        };
        let forbid = "forbids:\n  - { id: no-payments, when: { effects: [transfer] } }\n";
        assert!(!next("policy.yaml", "forbids:\n", forbid));
        assert!(!next("policy.yaml", "treasury: 2", "treasury: 1"));
        assert!(!next("roster.yaml", "officers: [\"dave\"]", "officers: [\"carol\"]"));
        for (file, from, to) in [
            ("policy.yaml", "hard: \"8 ETH\"", "hard: \"7 ETH\""),
            ("policy.yaml", "window: 24h", "window: 12h"),
            ("wallets.yaml", "tier: hot", "tier: warm"),
            ("assets.yaml", "decimals: 6", "decimals: 7"),
            (
                "destinations.yaml",
                "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC",
                "0x90F79bf6EB2c4f870365E785982E1f101E93b906",
            ),
            (
                "roster.yaml",
                "- { id: \"treasury\", members: [\"alice\", \"bob\", \"carol\"] }",
                "- { id: \"treasury\", members: [\"alice\", \"bob\"] }",
            ),
        ] {
            assert!(next(file, from, to), "{file}: {to}");
        }
        let without = with("policy.yaml", "id: network-fees", "id: fees");
        assert!(!is_asked(&first, &without), "no limit looks back");
    }
}

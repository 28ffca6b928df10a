//! What counters stand at. The cost of a window's sum does not depend on how much lies in it: it is the difference of two
//! running sums, each one search in an index.

use std::collections::BTreeMap;

use countersign_policy::{CounterUsage, Usage, UsageQuery, Window};
use countersign_signer::Reads;
use countersign_types::{Amount, CounterId, Timestamp};

use crate::{
    charged::Charged,
    codec::BadValue,
    counters::{Ledger, Sums},
    error::StepError,
    needs::Windows,
    seen::Seen,
};

/// Spends that one proposal may look back on when a bundle defines new counters: a year and a half of 2 000 a day, in
/// some 500 MB of memory.
pub const MAX_SPENDS: usize = 1_000_000;

/// The answer in what was found, and in what the ledger knows that the database does not have yet. A counter that was not found
/// was never charged before this transaction.
pub(crate) fn usage(seen: &Seen, reads: &Reads, now: Timestamp, ledger: &mut Ledger) -> Result<Usage, StepError> {
    let mut windows = Windows::default();
    let mut counters: BTreeMap<CounterId, CounterUsage> = BTreeMap::new();
    for UsageQuery { counter, window } in &reads.usage {
        let found = seen.counters.get(counter).copied();
        ledger.note_sums(*counter, found.unwrap_or(Sums::ZERO));
        let sums = ledger.sums(*counter).ok_or(BadValue("counter"))?;
        let outside = windows.outside(window, now);
        let sum = over_window(seen, *counter, sums, outside)?;
        let lineage = || {
            let charged = reads.request.and_then(|request| seen.charged.get(&(request, *counter)));
            charged.map_or(Amount::ZERO, Charged::standing)
        };
        let usage = counters.entry(*counter).or_insert_with(|| CounterUsage {
            windows: BTreeMap::<Window, Amount>::new(),
            lineage: lineage(),
        });
        usage.windows.insert(window.clone(), sum);
    }
    Ok(Usage::new(counters))
}

/// What was made in this transaction was made now, which is inside of every window: only the database has entries that lie
/// outside.
fn over_window(
    seen: &Seen,
    counter: CounterId,
    Sums { cum, pend }: Sums,
    outside: Option<Timestamp>,
) -> Result<Amount, StepError> {
    let Some(outside) = outside else {
        // One transaction counts no history.
        return Ok(Amount::ZERO);
    };
    let before = seen.outside.get(&(counter, outside)).copied().unwrap_or(Amount::ZERO);
    let aged = cum.checked_sub(before).ok_or(BadValue("counter entry"))?;
    // Charging refuses what would overflow.
    Ok(aged.checked_add(pend).ok_or(BadValue("counter"))?)
}

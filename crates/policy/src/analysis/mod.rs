//! Analysis: what a policy decides, region by region.
//!
//! Every condition compares one attribute with constants or a set, so each attribute falls into finitely many cells, and two
//! withdrawals in the same cells meet the same rules. The walk over the cells ([`regions`]) visits one withdrawal of each
//! region; what it finds is never more than a concrete withdrawal that [`crate::evaluate`] decided.
//!
//! Promises: every withdrawal that an answer names was evaluated as it stands; a search that ran out of its budget says so and
//! claims nothing. Visited are payments of one effect and batches of up to [`MAX_COPIES`] equal ones; what is claimed of larger
//! batches follows from the rules ([`prove`]), and is not claimed where it does not follow.
//! Refuses: a clock. The budget counts steps, so the same question has the same answer everywhere.

mod cells;
mod compare;
mod invariant;
mod proof;
mod regions;
mod setting;
mod survey;
#[cfg(test)]
mod testing;
mod variants;
mod withdrawal;

pub use cells::MAX_COPIES;
pub use compare::{Difference, Loosening, MAX_LOOSENINGS, Verdict, compare};
pub use invariant::{Conclusion, Doubt, Invariant, Promise, prove};
pub use regions::Budget;
pub use setting::{Asker, Setting, Site};
pub use survey::{Survey, survey};
pub use withdrawal::{Held, Item, Withdrawal};

//! What the journal keeps beside withdrawals: freezes, marks of what came up under a topic, and services' last words.

use countersign_approval::FreezeScope;
use countersign_types::{Duration, FreezeId, Timestamp};

/// How many names to count.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TallyQuery {
    /// The topic.
    pub topic: String,
    /// How far back.
    pub within: Duration,
}

/// What came up within a time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many names came up for the first time.
    pub first: u64,
    /// How many came up at all.
    pub last: u64,
}

/// A mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marked {
    /// When it was made.
    pub first_at: Timestamp,
    /// When it came up last.
    pub last_at: Timestamp,
}

impl Marked {
    /// Whether it came up within the time before a moment.
    pub fn is_within(&self, within: Duration, now: Timestamp) -> bool {
        now < self.last_at.after(within)
    }
}

/// The most freezes that a view has: one more than a decision tells apart.
pub const MAX_READ_FREEZES: usize = countersign_decision::MAX_FREEZES + 1;
/// The most marks that a view has of one topic: every member of the largest quorum.
pub const MAX_READ_MARKS: usize = 64;

/// A freeze.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FreezeRecord {
    /// Its name.
    pub id: FreezeId,
    /// What it stops.
    pub scope: FreezeScope,
    /// What made it, in words.
    pub cause: String,
    /// When it was journaled.
    pub since: Timestamp,
    /// When it ends; `None` until a quorum has thawed it.
    pub thaws_at: Option<Timestamp>,
}

/// What a service said last on one matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastWord {
    /// Its number.
    pub sequence: u64,
    /// Since when the service says so without a break; `None` where it says that it does not, as a removal from a book.
    pub since: Option<Timestamp>,
}

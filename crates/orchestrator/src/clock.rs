//! The one clock of the process. Advice only: time that decides anything is the signer's.

use std::time::{SystemTime, UNIX_EPOCH};

use countersign_types::Timestamp;

/// Now; the epoch on a machine whose clock is before it.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_unix_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

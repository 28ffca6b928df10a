//! What a decision sees: its reads, loaded inside the write transaction with few statements, for many decisions at once.

use countersign_signer::ActiveBundle;
use countersign_types::Timestamp;

use crate::{
    error::StepError,
    lookups,
    needs::Needs,
    seen::Seen,
    sql::{Link, Sql},
};

/// The part of a view that the owner of the journal keeps in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InForce {
    pub(crate) epoch: u64,
    pub(crate) bundle: Option<ActiveBundle>,
}

impl InForce {
    /// 0 before the first bundle.
    pub(crate) fn bundle_version(&self) -> u64 {
        self.bundle.as_ref().map_or(0, |bundle| bundle.version)
    }
}

/// Looks everything up that is needed, as the database has it.
pub(crate) async fn look_up(link: &mut Link<'_>, needs: &Needs, now: Timestamp) -> Result<Seen, StepError> {
    let mut sql = Sql::default();
    lookups::push(&mut sql, needs, now);
    if sql.is_empty() {
        return Ok(Seen::default());
    }
    Seen::of(&link.rows(sql).await?)
}

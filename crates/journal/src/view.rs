//! What a decision sees: its reads, loaded inside the write transaction with few statements.

use countersign_signer::{ActiveBundle, LedgerView, Reads};
use countersign_types::Timestamp;

use crate::{
    counters::Ledger,
    error::StepError,
    freezes, lookups,
    records::{push_record, record_of, statements_of},
    sql::{Link, Sql},
    usage::{MAX_WINDOWS, Sought, push_spends, spends_of},
};

/// Things that one proposal may look up: every input and every payment of the largest transaction, and room.
pub const MAX_READS: usize = 8_192;

/// The part of a view that the owner of the journal keeps in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) epoch: u64,
    pub(crate) bundle: Option<ActiveBundle>,
}

/// Loads the reads. The ledger learns what they say of counters and of the withdrawal's spends.
pub(crate) async fn load_view(
    link: &mut Link<'_>,
    standing: &Standing,
    reads: &Reads,
    now: Timestamp,
    ledger: &mut Ledger,
) -> Result<LedgerView, StepError> {
    refuse_too_many(reads)?;
    let mut view = LedgerView {
        epoch: standing.epoch,
        bundle: standing.bundle.clone(),
        withdrawal: None,
        reference_owner: None,
        payment_owners: Default::default(),
        conflict_owners: Default::default(),
        next_nonces: Default::default(),
        statements: Default::default(),
        nonce_owners: Default::default(),
        about: Vec::new(),
        voices: Default::default(),
        sequences: Default::default(),
        matters: Default::default(),
        paid: Default::default(),
        listed: Default::default(),
        lists: Default::default(),
        usage: Default::default(),
        spends: Vec::new(),
        freezes: Vec::new(),
        freezes_made: 0,
        marks: Default::default(),
        made: Default::default(),
        tallies: Default::default(),
        marked: Default::default(),
    };
    let sought = Sought::of(reads, now);
    if sought.windows() > MAX_WINDOWS {
        return Err(StepError::Refused(format!(
            "more than {MAX_WINDOWS} windows in one proposal"
        )));
    }
    let sql = query(reads, &sought, now);
    if sql.is_empty() {
        return Ok(view);
    }
    let rows = link.rows(sql).await?;
    if let Some(request) = reads.request {
        view.withdrawal = record_of(request, &rows)?;
        view.about = statements_of(&rows)?;
        if view.withdrawal.as_ref().is_none_or(|record| record.attempts.is_empty()) {
            ledger.note_unspent(request);
        }
    }
    for row in &rows {
        lookups::add_row(&mut view, row)?;
        freezes::add_row(&mut view, reads, row)?;
    }
    view.usage = sought.usage(&rows, ledger)?;
    view.spends = spends_of(reads, &rows)?;
    Ok(view)
}

/// Everything that the reads ask for, in one round trip where the database can.
fn query(reads: &Reads, sought: &Sought, now: Timestamp) -> Sql {
    let mut sql = Sql::default();
    if let Some(request) = reads.request {
        push_record(&mut sql, request);
    }
    lookups::push(&mut sql, reads);
    freezes::push(&mut sql, reads, now);
    sought.push(&mut sql, reads.request);
    push_spends(&mut sql, reads);
    sql
}

fn refuse_too_many(reads: &Reads) -> Result<(), StepError> {
    let counts = [
        reads.payments.len(),
        reads.conflict_keys.len(),
        reads.statements.len(),
        reads.nonces.len(),
        reads.voices.len(),
        reads.sequences.len(),
        reads.matters.len(),
        reads.destinations.len(),
        reads.lists.len(),
        reads.usage.len(),
        reads.marks.len(),
        reads.made.len(),
        reads.tallies.len(),
        reads.marked.len(),
    ];
    let total = counts.into_iter().fold(0, usize::saturating_add);
    if total > MAX_READS {
        return Err(StepError::Refused(format!(
            "a proposal reads {total} things; at most {MAX_READS} are looked up"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use countersign_policy::UsageQuery;
    use countersign_signer::TallyQuery;
    use countersign_types::{ConflictKey, CounterId, FreezeId};

    use super::*;
    use crate::tests::{Place, account_nonce, nonce_of, payment, reference, request, signer, statement_digest, tenant};

    /// Every lookup of a decision is a search in an index, however large the journal has become.
    #[tokio::test]
    async fn a_decision_scans_no_table() {
        let place = Place::new();
        place.create().await.close().await;
        let mut connection = crate::database::Connection::open(&place.config().database)
            .await
            .unwrap();
        let outpoint = ConflictKey::Outpoint {
            chain: "eip155:1".parse().unwrap(),
            txid: [9; 32],
            index: 1,
        };
        let usage = |counter: &str, window: &str| UsageQuery {
            counter: CounterId::of(counter.as_bytes()),
            window: window.parse().unwrap(),
        };
        let reads = Reads {
            request: Some(request("a")),
            reference: Some((tenant(), reference("a"))),
            payments: vec![(tenant(), payment("a")), (tenant(), payment("b"))],
            conflict_keys: vec![account_nonce(7), account_nonce(8), outpoint],
            statements: vec![statement_digest("a"), statement_digest("b")],
            nonces: vec![(signer(), nonce_of("a")), (signer(), nonce_of("b"))],
            voices: vec![(request("a"), signer()), (request("b"), signer())],
            sequences: vec![
                (signer(), "eip155:1".parse().unwrap()),
                (signer(), "eip155:8453".parse().unwrap()),
            ],
            matters: vec![(signer(), "price a".to_owned()), (signer(), "price b".to_owned())],
            destinations: vec!["eip155:1:0x1".parse().unwrap(), "eip155:1:0x2".parse().unwrap()],
            lists: vec!["customers".parse().unwrap(), "sanctions".parse().unwrap()],
            usage: vec![usage("a", "24h"), usage("b", "24h"), usage("b", "7d")],
            spends_since: None,
            freezes: true,
            marks: vec!["thaw a".to_owned(), "thaw b".to_owned()],
            made: vec![FreezeId::of(b"a"), FreezeId::of(b"b")],
            tallies: vec![TallyQuery {
                topic: "networks".to_owned(),
                within: countersign_types::Duration::from_secs(60),
            }],
            marked: vec![
                ("networks".to_owned(), "eip155:1".to_owned()),
                ("networks".to_owned(), "eip155:8453".to_owned()),
            ],
        };
        let now = crate::tests::at(crate::tests::START);
        let sql = query(&reads, &Sought::of(&reads, now), now);
        let mut searches = 0;
        for statement in sql.texts() {
            let explain = Sql::new(&format!("EXPLAIN QUERY PLAN {statement}"));
            for row in connection.link().rows(explain).await.unwrap() {
                let detail = row.text("detail").unwrap();
                assert!(
                    !detail.starts_with("SCAN") || detail.contains("ROW") || detail == "SCAN highest",
                    "{detail} in {statement}"
                );
                searches += u32::from(detail.starts_with("SEARCH"));
            }
        }
        assert!(searches >= 15, "{searches}");
    }
}

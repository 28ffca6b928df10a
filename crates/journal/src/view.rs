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
pub(crate) struct Standing {
    pub(crate) epoch: u64,
    pub(crate) bundle: Option<ActiveBundle>,
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

#[cfg(test)]
mod tests {
    use countersign_policy::UsageQuery;
    use countersign_signer::{Reads, TallyQuery};
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
        let mut sql = Sql::default();
        lookups::push(&mut sql, &Needs::of(&reads, now).unwrap(), now);
        let mut searches = 0;
        for statement in sql.texts() {
            let explain = Sql::new(&format!("EXPLAIN QUERY PLAN {statement}"));
            for row in connection.link().rows(explain).await.unwrap() {
                let detail = row.text("detail").unwrap();
                assert!(
                    !detail.starts_with("SCAN")
                        || detail.contains("ROW")
                        || ["SCAN given", "SCAN in_force", "SCAN first_ones"].contains(&detail),
                    "{detail} in {statement}"
                );
                searches += u32::from(detail.starts_with("SEARCH"));
            }
        }
        assert!(searches >= 15, "{searches}");
    }
}

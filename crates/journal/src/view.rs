//! What a decision sees: its reads, loaded inside the write transaction with few statements.

use std::collections::BTreeSet;

use countersign_signer::{ActiveBundle, LastWord, LedgerView, Reads};
use countersign_types::{Destination, RequestDigest, StatementDigest, StatementNonce, Timestamp};

use crate::{
    codec::{BadValue, account_nonce, bytes32, conflict_key_text, from_sql, parse_conflict_key},
    counters::Ledger,
    error::StepError,
    freezes,
    records::{push_record, record_of, statements_of},
    sql::{Link, Row, Sql},
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
        add_row(&mut view, row)?;
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
    push_lookups(&mut sql, reads);
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

const REFERENCE: i64 = 1;
const PAYMENT: i64 = 2;
const CONFLICT: i64 = 3;
const NONCE: i64 = 4;
const STATEMENT: i64 = 5;
const USED: i64 = 6;
const VOICE: i64 = 7;
const SEQUENCE: i64 = 8;
const MATTER: i64 = 9;
const PAID: i64 = 10;
const LISTED: i64 = 11;
const BEGUN: i64 = 12;

/// `SELECT <kind> AS kind, …`: rows of several lookups come together.
pub(crate) fn select(sql: &mut Sql, kind: i64, rest: impl std::fmt::Display) {
    sql.end()
        .push(format_args!("SELECT CAST({kind} AS BIGINT) AS kind, {rest}"));
}

fn push_lookups(sql: &mut Sql, reads: &Reads) {
    if let Some((tenant, reference)) = &reads.reference {
        select(
            sql,
            REFERENCE,
            "request AS owner FROM withdrawals WHERE (tenant, reference) IN ",
        );
        push_pairs(sql, std::iter::once((tenant.as_str(), reference.as_str().to_owned())));
    }
    if !reads.payments.is_empty() {
        let payments = "tenant AS a, reference AS b, request AS owner FROM payments WHERE (tenant, reference) IN ";
        select(sql, PAYMENT, payments);
        let pairs = reads.payments.iter();
        push_pairs(
            sql,
            pairs.map(|(tenant, reference)| (tenant.as_str(), reference.as_str().to_owned())),
        );
    }
    push_conflict_keys(sql, reads);
    if !reads.statements.is_empty() {
        select(
            sql,
            STATEMENT,
            "digest AS a, first_seen_at AS b FROM statements WHERE digest IN ",
        );
        sql.list(reads.statements.iter().map(StatementDigest::as_bytes));
    }
    if !reads.nonces.is_empty() {
        let used = "signer AS a, nonce AS b, digest AS owner FROM statements WHERE (signer, nonce) IN ";
        select(sql, USED, used);
        let pairs = reads.nonces.iter();
        push_pairs(sql, pairs.map(|(signer, nonce)| (signer.as_str(), nonce.to_string())));
    }
    push_voices(sql, reads);
    if !reads.sequences.is_empty() {
        let sequences = "observer AS a, network AS b, sequence AS owner FROM observer_sequences \
                         WHERE (observer, network) IN ";
        select(sql, SEQUENCE, sequences);
        let pairs = reads.sequences.iter();
        push_pairs(
            sql,
            pairs.map(|(observer, network)| (observer.as_str(), network.as_str().to_owned())),
        );
    }
    push_services(sql, reads);
    sql.end();
}

/// What services said last, and what is known of destinations.
fn push_services(sql: &mut Sql, reads: &Reads) {
    if !reads.matters.is_empty() {
        let words =
            "service AS a, matter AS b, sequence AS owner, since AS c FROM last_words WHERE (service, matter) IN ";
        select(sql, MATTER, words);
        let pairs = reads.matters.iter();
        push_pairs(sql, pairs.map(|(service, matter)| (service.as_str(), matter.clone())));
    }
    if !reads.lists.is_empty() {
        select(sql, BEGUN, "list AS a, since AS b FROM begun_lists WHERE list IN ");
        sql.list(reads.lists.iter().map(|id| id.as_str()));
    }
    if reads.destinations.is_empty() {
        return;
    }
    let destinations = || reads.destinations.iter().map(ToString::to_string);
    select(
        sql,
        PAID,
        "destination AS a FROM paid_destinations WHERE destination IN ",
    );
    sql.list(destinations());
    if let Some(request) = reads.request {
        sql.push(" AND (is_shared = 1 OR request <> ")
            .bind(request.as_bytes())
            .push(")");
    }
    let listed = "destination AS a, since AS b FROM listed_destinations WHERE since IS NOT NULL AND destination IN ";
    select(sql, LISTED, listed);
    sql.list(destinations());
}

/// A withdrawal has few statements, so they are read and their signers compared.
fn push_voices(sql: &mut Sql, reads: &Reads) {
    for (request, signer) in &reads.voices {
        let voice = "signer AS a, count(*) AS b, request AS owner FROM statement_subjects \
                     JOIN statements USING (seq) WHERE request = ";
        select(sql, VOICE, voice);
        sql.bind(request.as_bytes())
            .push(" AND signer = ")
            .bind(signer.as_str())
            .push(" GROUP BY request, signer");
    }
}

/// `(VALUES (?, ?), …)`.
pub(crate) fn push_pairs<'a>(sql: &mut Sql, pairs: impl Iterator<Item = (&'a str, String)>) {
    sql.push("(VALUES ");
    let mut separator = "";
    for (left, right) in pairs {
        sql.push(separator).list([left.to_owned(), right]);
        separator = ", ";
    }
    sql.push(")");
}

fn push_conflict_keys(sql: &mut Sql, reads: &Reads) {
    if reads.conflict_keys.is_empty() {
        return;
    }
    select(
        sql,
        CONFLICT,
        "key AS a, request AS owner FROM conflict_claims WHERE key IN ",
    );
    sql.list(reads.conflict_keys.iter().map(conflict_key_text));
    let accounts = reads.conflict_keys.iter().filter_map(account_nonce);
    let accounts: BTreeSet<String> = accounts.map(|(account, _)| account.to_string()).collect();
    for account in accounts {
        // The end of the index `claimed_nonces`; bytes sort like the numbers.
        select(
            sql,
            NONCE,
            "account AS a, nonce AS b FROM conflict_claims WHERE account = ",
        );
        sql.bind(account).push(" ORDER BY nonce DESC LIMIT 1");
    }
}

fn add_row(view: &mut LedgerView, row: &Row) -> Result<(), StepError> {
    let owner = || -> Result<RequestDigest, StepError> { Ok(RequestDigest::from_bytes(bytes32(row.bytes("owner")?)?)) };
    let damaged = |what| move |_| BadValue(what);
    match row.number("kind")? {
        REFERENCE => view.reference_owner = Some(owner()?),
        PAYMENT => {
            let tenant = row.text("a")?.parse().map_err(|_| BadValue("tenant"))?;
            let reference = row.text("b")?.parse().map_err(|_| BadValue("payment reference"))?;
            view.payment_owners.insert((tenant, reference), owner()?);
        }
        CONFLICT => {
            view.conflict_owners
                .insert(parse_conflict_key(row.text("a")?)?, owner()?);
        }
        NONCE => {
            let (account, next) = next_nonce(row)?;
            view.next_nonces.insert(account, next);
        }
        STATEMENT => {
            let digest = StatementDigest::from_bytes(bytes32(row.bytes("a")?)?);
            view.statements
                .insert(digest, Timestamp::from_unix_millis(row.number("b")?));
        }
        USED => {
            let signer = row.text("a")?.parse().map_err(|_| BadValue("signer"))?;
            let nonce: StatementNonce = row.text("b")?.parse().map_err(damaged("statement nonce"))?;
            let digest = StatementDigest::from_bytes(*owner()?.as_bytes());
            view.nonce_owners.insert((signer, nonce), digest);
        }
        VOICE => {
            let signer = row.text("a")?.parse().map_err(|_| BadValue("signer"))?;
            view.voices.insert((owner()?, signer), from_sql(row.number("b")?)?);
        }
        SEQUENCE => {
            let observer = row.text("a")?.parse().map_err(|_| BadValue("observer"))?;
            let network = row.text("b")?.parse().map_err(|_| BadValue("network"))?;
            let sequence = row.bytes("owner")?.try_into().map_err(|_| BadValue("sequence"))?;
            view.sequences.insert((observer, network), u64::from_be_bytes(sequence));
        }
        MATTER => {
            let service = row.text("a")?.parse().map_err(|_| BadValue("service"))?;
            let sequence = row.bytes("owner")?.try_into().map_err(|_| BadValue("sequence"))?;
            let word = LastWord {
                sequence: u64::from_be_bytes(sequence),
                since: row.optional_number("c")?.map(Timestamp::from_unix_millis),
            };
            view.matters.insert((service, row.text("b")?.to_owned()), word);
        }
        PAID => drop(view.paid.insert(destination(row)?)),
        LISTED => {
            let since = Timestamp::from_unix_millis(row.number("b")?);
            view.listed.insert(destination(row)?, since);
        }
        BEGUN => {
            let list = row.text("a")?.parse().map_err(|_| BadValue("list"))?;
            view.lists.insert(list, Timestamp::from_unix_millis(row.number("b")?));
        }
        // The rows of the withdrawal's record, of counters and of spends.
        _ => {}
    }
    Ok(())
}

fn destination(row: &Row) -> Result<Destination, StepError> {
    Ok(row.text("a")?.parse().map_err(|_| BadValue("destination"))?)
}

fn next_nonce(row: &Row) -> Result<(Destination, u64), StepError> {
    let account = row.text("a")?.parse().map_err(|_| BadValue("account"))?;
    let bytes = row.bytes("b")?;
    let highest = u64::from_be_bytes(bytes.try_into().map_err(|_| BadValue("account nonce"))?);
    // The last nonce is refused when it is claimed.
    let next = highest.checked_add(1).ok_or(BadValue("account nonce"))?;
    Ok((account, next))
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
                    !detail.starts_with("SCAN") || detail.contains("ROW"),
                    "{detail} in {statement}"
                );
                searches += u32::from(detail.starts_with("SEARCH"));
            }
        }
        assert!(searches >= 15, "{searches}");
    }
}

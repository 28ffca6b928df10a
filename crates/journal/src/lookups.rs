//! What a decision looks up by name: owners, statements, marks, the last words of services.

use std::collections::BTreeSet;

use countersign_signer::{LastWord, LedgerView, Reads};
use countersign_types::{Destination, RequestDigest, StatementDigest, StatementNonce, Timestamp};

use crate::{
    codec::{BadValue, account_nonce, bytes32, conflict_key_text, from_sql, parse_conflict_key},
    error::StepError,
    freezes,
    records::push_about,
    sql::{Row, Sql},
};

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

/// `SELECT <kind> AS kind, …`: rows of several statements come together.
pub(crate) fn select(sql: &mut Sql, kind: i64, rest: impl std::fmt::Display) {
    sql.end()
        .push(format_args!("SELECT CAST({kind} AS BIGINT) AS kind, {rest}"));
}

/// Lookups of one statement: SQLite takes 500.
const MAX_LOOKUPS: usize = 200;

/// Lookups whose rows have one shape, so that PostgreSQL answers them in one round trip: two texts, some bytes, two numbers.
pub(crate) struct Lookups<'s> {
    sql: &'s mut Sql,
    open: usize,
}

/// What a lookup finds.
#[derive(Clone, Copy)]
pub(crate) struct Found {
    pub(crate) a: &'static str,
    pub(crate) b: &'static str,
    pub(crate) owner: &'static str,
    pub(crate) c: &'static str,
    pub(crate) d: &'static str,
}

/// PostgreSQL wants to know of which type a null is.
pub(crate) const NOTHING: Found = Found {
    a: "CAST(NULL AS TEXT)",
    b: "CAST(NULL AS TEXT)",
    owner: "CAST(NULL AS BYTEA)",
    c: "CAST(NULL AS BIGINT)",
    d: "CAST(NULL AS BIGINT)",
};

impl Lookups<'_> {
    /// One more, which the caller completes.
    pub(crate) fn push(&mut self, kind: i64, Found { a, b, owner, c, d }: Found, from: &str) -> &mut Sql {
        if self.open == MAX_LOOKUPS {
            self.sql.end();
            self.open = 0;
        }
        if self.open > 0 {
            self.sql.push(" UNION ALL ");
        }
        self.open = self.open.saturating_add(1);
        self.sql.push(format_args!(
            "SELECT CAST({kind} AS BIGINT) AS kind, {a} AS a, {b} AS b, {owner} AS owner, {c} AS c, {d} AS d FROM {from}"
        ))
    }

    /// The same by pairs; nothing where there are none. The text ends with `IN `.
    pub(crate) fn push_pairs<'a>(
        &mut self,
        kind: i64,
        found: Found,
        from: &str,
        pairs: impl IntoIterator<Item = (&'a str, String)>,
    ) {
        let mut pairs = pairs.into_iter().peekable();
        if pairs.peek().is_some() {
            push_pairs(self.push(kind, found, from), pairs);
        }
    }
}

/// Everything that is looked up by a name.
pub(crate) fn push(sql: &mut Sql, reads: &Reads) {
    sql.end();
    let mut lookups = Lookups { sql, open: 0 };
    push_owners(&mut lookups, reads);
    push_conflict_keys(&mut lookups, reads);
    push_statements(&mut lookups, reads);
    push_services(&mut lookups, reads);
    freezes::push_lookups(&mut lookups, reads);
    sql.end();
}

fn push_owners(lookups: &mut Lookups<'_>, reads: &Reads) {
    let found = Found {
        owner: "request",
        ..NOTHING
    };
    let of = reads.reference.iter();
    let of = of.map(|(tenant, reference)| (tenant.as_str(), reference.as_str().to_owned()));
    lookups.push_pairs(REFERENCE, found, "withdrawals WHERE (tenant, reference) IN ", of);
    let found = Found {
        a: "tenant",
        b: "reference",
        ..found
    };
    let of = reads.payments.iter();
    let of = of.map(|(tenant, reference)| (tenant.as_str(), reference.as_str().to_owned()));
    lookups.push_pairs(PAYMENT, found, "payments WHERE (tenant, reference) IN ", of);
}

fn push_statements(lookups: &mut Lookups<'_>, reads: &Reads) {
    if let Some(request) = reads.request {
        push_about(lookups, request);
    }
    if !reads.statements.is_empty() {
        let found = Found {
            owner: "digest",
            c: "first_seen_at",
            ..NOTHING
        };
        let sql = lookups.push(STATEMENT, found, "statements WHERE digest IN ");
        sql.list(reads.statements.iter().map(StatementDigest::as_bytes));
    }
    let found = Found {
        a: "signer",
        b: "nonce",
        owner: "digest",
        ..NOTHING
    };
    let of = reads.nonces.iter();
    let of = of.map(|(signer, nonce)| (signer.as_str(), nonce.to_string()));
    lookups.push_pairs(USED, found, "statements WHERE (signer, nonce) IN ", of);
    // A withdrawal has few statements, so they are read and their signers compared.
    for (request, signer) in &reads.voices {
        let found = Found {
            a: "signer",
            owner: "request",
            c: "count(*)",
            ..NOTHING
        };
        lookups
            .push(
                VOICE,
                found,
                "statement_subjects JOIN statements USING (seq) WHERE request = ",
            )
            .bind(request.as_bytes())
            .push(" AND signer = ")
            .bind(signer.as_str())
            .push(" GROUP BY request, signer");
    }
}

/// How far observers are, what services said last, and what is known of destinations.
fn push_services(lookups: &mut Lookups<'_>, reads: &Reads) {
    let found = Found {
        a: "observer",
        b: "network",
        owner: "sequence",
        ..NOTHING
    };
    let of = reads.sequences.iter();
    let of = of.map(|(observer, network)| (observer.as_str(), network.as_str().to_owned()));
    lookups.push_pairs(SEQUENCE, found, "observer_sequences WHERE (observer, network) IN ", of);
    let found = Found {
        a: "service",
        b: "matter",
        owner: "sequence",
        c: "since",
        ..NOTHING
    };
    let of = reads.matters.iter();
    let of = of.map(|(service, matter)| (service.as_str(), matter.clone()));
    lookups.push_pairs(MATTER, found, "last_words WHERE (service, matter) IN ", of);
    if !reads.lists.is_empty() {
        let found = Found {
            a: "list",
            c: "since",
            ..NOTHING
        };
        let sql = lookups.push(BEGUN, found, "begun_lists WHERE list IN ");
        sql.list(reads.lists.iter().map(|id| id.as_str()));
    }
    push_destinations(lookups, reads);
}

fn push_destinations(lookups: &mut Lookups<'_>, reads: &Reads) {
    if reads.destinations.is_empty() {
        return;
    }
    let destinations = || reads.destinations.iter().map(ToString::to_string);
    let found = Found {
        a: "destination",
        ..NOTHING
    };
    let sql = lookups.push(PAID, found, "paid_destinations WHERE destination IN ");
    sql.list(destinations());
    if let Some(request) = reads.request {
        sql.push(" AND (is_shared = 1 OR request <> ")
            .bind(request.as_bytes())
            .push(")");
    }
    let found = Found { c: "since", ..found };
    let listed = "listed_destinations WHERE since IS NOT NULL AND destination IN ";
    lookups.push(LISTED, found, listed).list(destinations());
}

fn push_conflict_keys(lookups: &mut Lookups<'_>, reads: &Reads) {
    if reads.conflict_keys.is_empty() {
        return;
    }
    let found = Found {
        a: "key",
        owner: "request",
        ..NOTHING
    };
    let sql = lookups.push(CONFLICT, found, "conflict_claims WHERE key IN ");
    sql.list(reads.conflict_keys.iter().map(conflict_key_text));
    let accounts = reads.conflict_keys.iter().filter_map(account_nonce);
    let accounts: BTreeSet<String> = accounts.map(|(account, _)| account.to_string()).collect();
    for account in accounts {
        let found = Found {
            a: "account",
            owner: "nonce",
            ..NOTHING
        };
        // The end of the index `claimed_nonces`; bytes sort like the numbers.
        lookups
            .push(
                NONCE,
                found,
                "(SELECT account, nonce FROM conflict_claims WHERE account = ",
            )
            .bind(account)
            .push(" ORDER BY nonce DESC LIMIT 1) AS highest");
    }
}

/// `(VALUES (?, ?), …)`.
fn push_pairs<'a>(sql: &mut Sql, pairs: impl Iterator<Item = (&'a str, String)>) {
    sql.push("(VALUES ");
    let mut separator = "";
    for (left, right) in pairs {
        sql.push(separator).list([left.to_owned(), right]);
        separator = ", ";
    }
    sql.push(")");
}

/// What a row of [`push`] says.
pub(crate) fn add_row(view: &mut LedgerView, row: &Row) -> Result<(), StepError> {
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
            let digest = StatementDigest::from_bytes(*owner()?.as_bytes());
            view.statements
                .insert(digest, Timestamp::from_unix_millis(row.number("c")?));
        }
        USED => {
            let signer = row.text("a")?.parse().map_err(|_| BadValue("signer"))?;
            let nonce: StatementNonce = row.text("b")?.parse().map_err(damaged("statement nonce"))?;
            let digest = StatementDigest::from_bytes(*owner()?.as_bytes());
            view.nonce_owners.insert((signer, nonce), digest);
        }
        VOICE => {
            let signer = row.text("a")?.parse().map_err(|_| BadValue("signer"))?;
            view.voices.insert((owner()?, signer), from_sql(row.number("c")?)?);
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
            let since = Timestamp::from_unix_millis(row.number("c")?);
            view.listed.insert(destination(row)?, since);
        }
        BEGUN => {
            let list = row.text("a")?.parse().map_err(|_| BadValue("list"))?;
            view.lists.insert(list, Timestamp::from_unix_millis(row.number("c")?));
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
    let bytes = row.bytes("owner")?;
    let highest = u64::from_be_bytes(bytes.try_into().map_err(|_| BadValue("account nonce"))?);
    // The last nonce is refused when it is claimed.
    let next = highest.checked_add(1).ok_or(BadValue("account nonce"))?;
    Ok((account, next))
}

//! What a decision looks up by name: owners, statements, marks, the last words of services.

use std::{collections::BTreeSet, fmt};

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
pub(crate) fn select(sql: &mut Sql, kind: i64, rest: impl fmt::Display) {
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
    pub(crate) text: &'static str,
    pub(crate) text2: &'static str,
    pub(crate) bytes: &'static str,
    pub(crate) number: &'static str,
    pub(crate) number2: &'static str,
}

/// PostgreSQL wants to know of which type a null is.
pub(crate) const NOTHING: Found = Found {
    text: "CAST(NULL AS TEXT)",
    text2: "CAST(NULL AS TEXT)",
    bytes: "CAST(NULL AS BYTEA)",
    number: "CAST(NULL AS BIGINT)",
    number2: "CAST(NULL AS BIGINT)",
};

impl Lookups<'_> {
    /// One more, which the caller completes.
    pub(crate) fn push(&mut self, kind: i64, found: Found, from: &str) -> &mut Sql {
        if self.open == MAX_LOOKUPS {
            self.sql.end();
            self.open = 0;
        }
        if self.open > 0 {
            self.sql.push(" UNION ALL ");
        }
        self.open = self.open.saturating_add(1);
        let Found {
            text,
            text2,
            bytes,
            number,
            number2,
        } = found;
        self.sql.push(format_args!(
            "SELECT CAST({kind} AS BIGINT) AS kind, {text} AS text, {text2} AS text2, {bytes} AS bytes, {number} AS number, \
             {number2} AS number2 FROM {from}"
        ))
    }

    /// The same by pairs; nothing where there are none. The text ends with `IN `.
    pub(crate) fn push_pairs<'p, L: fmt::Display + 'p, R: fmt::Display + 'p>(
        &mut self,
        kind: i64,
        found: Found,
        from: &str,
        pairs: impl IntoIterator<Item = &'p (L, R)>,
    ) {
        let mut pairs = pairs.into_iter().peekable();
        if pairs.peek().is_none() {
            return;
        }
        // `(VALUES (?, ?), …)`
        let sql = self.push(kind, found, from).push("(VALUES ");
        let mut separator = "";
        for (left, right) in pairs {
            sql.push(separator).list([left.to_string(), right.to_string()]);
            separator = ", ";
        }
        sql.push(")");
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
        bytes: "request",
        ..NOTHING
    };
    let withdrawals = "withdrawals WHERE (tenant, reference) IN ";
    lookups.push_pairs(REFERENCE, found, withdrawals, &reads.reference);
    let found = Found {
        text: "tenant",
        text2: "reference",
        ..found
    };
    lookups.push_pairs(
        PAYMENT,
        found,
        "payments WHERE (tenant, reference) IN ",
        &reads.payments,
    );
}

fn push_statements(lookups: &mut Lookups<'_>, reads: &Reads) {
    if let Some(request) = reads.request {
        push_about(lookups, request);
    }
    if !reads.statements.is_empty() {
        let found = Found {
            bytes: "digest",
            number: "first_seen_at",
            ..NOTHING
        };
        let sql = lookups.push(STATEMENT, found, "statements WHERE digest IN ");
        sql.list(reads.statements.iter().map(StatementDigest::as_bytes));
    }
    let found = Found {
        text: "signer",
        text2: "nonce",
        bytes: "digest",
        ..NOTHING
    };
    lookups.push_pairs(USED, found, "statements WHERE (signer, nonce) IN ", &reads.nonces);
    // A withdrawal has few statements, so they are read and their signers compared.
    for (request, signer) in &reads.voices {
        let found = Found {
            text: "signer",
            bytes: "request",
            number: "count(*)",
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
        text: "observer",
        text2: "network",
        bytes: "sequence",
        ..NOTHING
    };
    let sequences = "observer_sequences WHERE (observer, network) IN ";
    lookups.push_pairs(SEQUENCE, found, sequences, &reads.sequences);
    let found = Found {
        text: "service",
        text2: "matter",
        bytes: "sequence",
        number: "since",
        ..NOTHING
    };
    lookups.push_pairs(MATTER, found, "last_words WHERE (service, matter) IN ", &reads.matters);
    if !reads.lists.is_empty() {
        let found = Found {
            text: "list",
            number: "since",
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
        text: "destination",
        ..NOTHING
    };
    let sql = lookups.push(PAID, found, "paid_destinations WHERE destination IN ");
    sql.list(destinations());
    if let Some(request) = reads.request {
        sql.push(" AND (is_shared = 1 OR request <> ")
            .bind(request.as_bytes())
            .push(")");
    }
    let found = Found {
        number: "since",
        ..found
    };
    let listed = "listed_destinations WHERE since IS NOT NULL AND destination IN ";
    lookups.push(LISTED, found, listed).list(destinations());
}

fn push_conflict_keys(lookups: &mut Lookups<'_>, reads: &Reads) {
    if reads.conflict_keys.is_empty() {
        return;
    }
    let found = Found {
        text: "key",
        bytes: "request",
        ..NOTHING
    };
    let sql = lookups.push(CONFLICT, found, "conflict_claims WHERE key IN ");
    sql.list(reads.conflict_keys.iter().map(conflict_key_text));
    let accounts = reads.conflict_keys.iter().filter_map(account_nonce);
    let accounts: BTreeSet<String> = accounts.map(|(account, _)| account.to_string()).collect();
    for account in accounts {
        let found = Found {
            text: "account",
            bytes: "nonce",
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

/// What a row of [`push`] says.
pub(crate) fn add_row(view: &mut LedgerView, row: &Row) -> Result<(), StepError> {
    let owner = || -> Result<RequestDigest, StepError> { Ok(RequestDigest::from_bytes(bytes32(row.bytes("bytes")?)?)) };
    let damaged = |what| move |_| BadValue(what);
    match row.number("kind")? {
        REFERENCE => view.reference_owner = Some(owner()?),
        PAYMENT => {
            let tenant = row.text("text")?.parse().map_err(|_| BadValue("tenant"))?;
            let reference = row.text("text2")?.parse().map_err(|_| BadValue("payment reference"))?;
            view.payment_owners.insert((tenant, reference), owner()?);
        }
        CONFLICT => {
            view.conflict_owners
                .insert(parse_conflict_key(row.text("text")?)?, owner()?);
        }
        NONCE => {
            let (account, next) = next_nonce(row)?;
            view.next_nonces.insert(account, next);
        }
        STATEMENT => {
            let digest = StatementDigest::from_bytes(*owner()?.as_bytes());
            view.statements
                .insert(digest, Timestamp::from_unix_millis(row.number("number")?));
        }
        USED => {
            let signer = row.text("text")?.parse().map_err(|_| BadValue("signer"))?;
            let nonce: StatementNonce = row.text("text2")?.parse().map_err(damaged("statement nonce"))?;
            let digest = StatementDigest::from_bytes(*owner()?.as_bytes());
            view.nonce_owners.insert((signer, nonce), digest);
        }
        VOICE => {
            let signer = row.text("text")?.parse().map_err(|_| BadValue("signer"))?;
            view.voices.insert((owner()?, signer), from_sql(row.number("number")?)?);
        }
        SEQUENCE => {
            let observer = row.text("text")?.parse().map_err(|_| BadValue("observer"))?;
            let network = row.text("text2")?.parse().map_err(|_| BadValue("network"))?;
            let sequence = row.bytes("bytes")?.try_into().map_err(|_| BadValue("sequence"))?;
            view.sequences.insert((observer, network), u64::from_be_bytes(sequence));
        }
        MATTER => {
            let service = row.text("text")?.parse().map_err(|_| BadValue("service"))?;
            let sequence = row.bytes("bytes")?.try_into().map_err(|_| BadValue("sequence"))?;
            let word = LastWord {
                sequence: u64::from_be_bytes(sequence),
                since: row.optional_number("number")?.map(Timestamp::from_unix_millis),
            };
            view.matters.insert((service, row.text("text2")?.to_owned()), word);
        }
        PAID => drop(view.paid.insert(destination(row)?)),
        LISTED => {
            let since = Timestamp::from_unix_millis(row.number("number")?);
            view.listed.insert(destination(row)?, since);
        }
        BEGUN => {
            let list = row.text("text")?.parse().map_err(|_| BadValue("list"))?;
            view.lists
                .insert(list, Timestamp::from_unix_millis(row.number("number")?));
        }
        // The rows of the withdrawal's record, of counters and of spends.
        _ => {}
    }
    Ok(())
}

fn destination(row: &Row) -> Result<Destination, StepError> {
    Ok(row.text("text")?.parse().map_err(|_| BadValue("destination"))?)
}

fn next_nonce(row: &Row) -> Result<(Destination, u64), StepError> {
    let account = row.text("text")?.parse().map_err(|_| BadValue("account"))?;
    let bytes = row.bytes("bytes")?;
    let highest = u64::from_be_bytes(bytes.try_into().map_err(|_| BadValue("account nonce"))?);
    // The last nonce is refused when it is claimed.
    let next = highest.checked_add(1).ok_or(BadValue("account nonce"))?;
    Ok((account, next))
}

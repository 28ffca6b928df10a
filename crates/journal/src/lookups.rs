//! What decisions look up, as SQL: rows of one shape, so that all of it comes at once, whatever it is.

use std::fmt;

use countersign_signer::{MAX_READ_FREEZES, MAX_READ_MARKS};
use countersign_types::Timestamp;

use crate::{
    codec::{account_nonce, conflict_key_text},
    needs::Needs,
    sql::{Sql, Value},
};

/// What a row is about: the number in its column `kind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Withdrawal,
    Attempt,
    About,
    Reference,
    Payment,
    Conflict,
    Nonce,
    Statement,
    Used,
    Voice,
    Sequence,
    Matter,
    Paid,
    Listed,
    Begun,
    Freeze,
    FreezesMade,
    Mark,
    Made,
    Tally,
    Marked,
    Counter,
    Outside,
    Charge,
    Spend,
}

impl Kind {
    const ALL: [Self; 25] = [
        Self::Withdrawal,
        Self::Attempt,
        Self::About,
        Self::Reference,
        Self::Payment,
        Self::Conflict,
        Self::Nonce,
        Self::Statement,
        Self::Used,
        Self::Voice,
        Self::Sequence,
        Self::Matter,
        Self::Paid,
        Self::Listed,
        Self::Begun,
        Self::Freeze,
        Self::FreezesMade,
        Self::Mark,
        Self::Made,
        Self::Tally,
        Self::Marked,
        Self::Counter,
        Self::Outside,
        Self::Charge,
        Self::Spend,
    ];

    /// The kind of a row.
    pub(crate) fn of(number: i64) -> Option<Self> {
        let place = usize::try_from(number).ok()?;
        Self::ALL.get(place).copied()
    }

    fn number(self) -> usize {
        Self::ALL
            .iter()
            .position(|kind| *kind == self)
            .unwrap_or(Self::ALL.len())
    }
}

/// The columns of a row, as expressions.
#[derive(Clone, Copy)]
struct Found {
    text: &'static str,
    text2: &'static str,
    bytes: &'static str,
    bytes2: &'static str,
    bytes3: &'static str,
    number: &'static str,
    number2: &'static str,
    number3: &'static str,
}

/// PostgreSQL wants to know of which type a null is.
const NOTHING: Found = Found {
    text: "CAST(NULL AS TEXT)",
    text2: "CAST(NULL AS TEXT)",
    bytes: "CAST(NULL AS BYTEA)",
    bytes2: "CAST(NULL AS BYTEA)",
    bytes3: "CAST(NULL AS BYTEA)",
    number: "CAST(NULL AS BIGINT)",
    number2: "CAST(NULL AS BIGINT)",
    number3: "CAST(NULL AS BIGINT)",
};

/// `SELECT <kind> AS kind, …`.
fn select(sql: &mut Sql, kind: Kind, rest: impl fmt::Display) {
    let kind = kind.number();
    sql.push(format_args!("SELECT CAST({kind} AS BIGINT) AS kind, {rest}"));
}

/// Lookups of one statement: SQLite takes 500.
const MAX_LOOKUPS: usize = 200;
/// Values of one statement: SQLite takes 32 766.
const MAX_VALUES: usize = 32_000;

/// Lookups in one statement, and how many values it has.
struct Lookups<'s> {
    sql: &'s mut Sql,
    open: usize,
    values: usize,
}

impl Lookups<'_> {
    /// One more, which the caller completes behind `FROM `.
    fn open(&mut self, kind: Kind, found: Found, values: usize) -> &mut Sql {
        self.values = self.values.saturating_add(values);
        if self.open == MAX_LOOKUPS || self.values > MAX_VALUES {
            self.sql.end();
            (self.open, self.values) = (0, values);
        }
        if self.open > 0 {
            self.sql.push(" UNION ALL ");
        }
        self.open = self.open.saturating_add(1);
        let Found {
            text,
            text2,
            bytes,
            bytes2,
            bytes3,
            number,
            number2,
            number3,
        } = found;
        let columns = format_args!(
            "{text} AS text, {text2} AS text2, {bytes} AS bytes, {bytes2} AS bytes2, {bytes3} AS bytes3, \
             {number} AS number, {number2} AS number2, {number3} AS number3 FROM "
        );
        select(self.sql, kind, columns);
        self.sql
    }

    /// By keys; nothing where there are none. What comes behind them leaves out a key of nulls. `CROSS JOIN` has SQLite go from
    /// the keys to the table, and never through the table.
    fn by<V: Into<Value>, const N: usize>(
        &mut self,
        kind: Kind,
        found: Found,
        keys: impl IntoIterator<Item = [V; N]>,
        behind: &str,
    ) {
        let row = |key: [V; N]| key.into_iter().map(Into::into).collect();
        let rows: Vec<Vec<Value>> = keys.into_iter().map(row).collect();
        if !rows.is_empty() {
            let values = rows.len().next_power_of_two().saturating_mul(N);
            self.open(kind, found, values).given(rows).push(behind);
        }
    }
}

/// Everything that is needed.
pub(crate) fn push(sql: &mut Sql, needs: &Needs, now: Timestamp) {
    sql.end();
    let mut lookups = Lookups {
        sql,
        open: 0,
        values: 0,
    };
    push_withdrawals(&mut lookups, needs);
    push_owners(&mut lookups, needs);
    push_statements(&mut lookups, needs);
    push_services(&mut lookups, needs);
    push_freezes(&mut lookups, needs, now);
    push_marks(&mut lookups, needs, now);
    push_counters(&mut lookups, needs);
    sql.end();
    push_attempts(sql, needs);
    push_spends(sql, needs);
}

fn push_withdrawals(lookups: &mut Lookups<'_>, needs: &Needs) {
    let requests = || needs.requests.iter().map(|request| [request.as_bytes()]);
    let found = Found {
        text: "ended_by",
        bytes: "request",
        bytes2: "bundle",
        bytes3: "last_decision",
        number: "first_seen_at",
        number2: "decisions",
        ..NOTHING
    };
    lookups.by(
        Kind::Withdrawal,
        found,
        requests(),
        " CROSS JOIN withdrawals WHERE request = column1",
    );
    // The statements about a withdrawal, but for its request.
    let found = Found {
        bytes: "request",
        bytes2: "digest",
        number: "statements.seq",
        ..NOTHING
    };
    let about = " CROSS JOIN statement_subjects CROSS JOIN statements \
                 WHERE request = column1 AND statements.seq = statement_subjects.seq AND digest NOT IN \
                 (SELECT statement FROM withdrawals WHERE withdrawals.request = statement_subjects.request)";
    lookups.by(Kind::About, found, requests(), about);
}

fn push_owners(lookups: &mut Lookups<'_>, needs: &Needs) {
    let found = Found {
        text: "tenant",
        text2: "reference",
        bytes: "request",
        ..NOTHING
    };
    let references = needs.references.iter();
    let references = references.map(|(tenant, reference)| [tenant.as_str(), reference.as_str()]);
    let owned = " CROSS JOIN withdrawals WHERE tenant = column1 AND reference = column2";
    lookups.by(Kind::Reference, found, references, owned);
    let payments = needs.payments.iter();
    let payments = payments.map(|(tenant, payment)| [tenant.as_str(), payment.as_str()]);
    let owned = " CROSS JOIN payments WHERE tenant = column1 AND reference = column2";
    lookups.by(Kind::Payment, found, payments, owned);
    let found = Found {
        text: "key",
        bytes: "request",
        ..NOTHING
    };
    let keys = needs.conflict_keys.iter().map(|key| [conflict_key_text(key)]);
    lookups.by(
        Kind::Conflict,
        found,
        keys,
        " CROSS JOIN conflict_claims WHERE key = column1 AND given_up_at IS NULL",
    );
    let accounts = needs.conflict_keys.iter().filter_map(account_nonce);
    let accounts: std::collections::BTreeSet<String> = accounts.map(|(account, _)| account.to_string()).collect();
    // The beginning of the index `given_up_nonces` and the end of `claimed_nonces`; bytes sort like the numbers.
    let found = Found {
        text: "column1",
        bytes: "(SELECT nonce FROM conflict_claims WHERE account = column1 AND given_up_at IS NOT NULL ORDER BY nonce LIMIT 1)",
        bytes2: "(SELECT nonce FROM conflict_claims WHERE account = column1 ORDER BY nonce DESC LIMIT 1)",
        ..NOTHING
    };
    let accounts = accounts.into_iter().map(|account| [account]);
    lookups.by(Kind::Nonce, found, accounts, " WHERE column1 IS NOT NULL");
}

fn push_statements(lookups: &mut Lookups<'_>, needs: &Needs) {
    let found = Found {
        bytes: "digest",
        number: "first_seen_at",
        ..NOTHING
    };
    let digests = needs.statements.iter().map(|digest| [digest.as_bytes()]);
    lookups.by(
        Kind::Statement,
        found,
        digests,
        " CROSS JOIN statements WHERE digest = column1",
    );
    let found = Found {
        text: "signer",
        text2: "nonce",
        bytes: "digest",
        ..NOTHING
    };
    let nonces = needs.nonces.iter();
    let nonces = nonces.map(|(signer, nonce)| [signer.as_str().to_owned(), nonce.to_string()]);
    let used = " CROSS JOIN statements WHERE signer = column1 AND nonce = column2";
    lookups.by(Kind::Used, found, nonces, used);
    // A withdrawal has few statements, so they are read and their signers compared.
    let found = Found {
        text: "column2",
        bytes: "column1",
        number: "(SELECT count(*) FROM statement_subjects CROSS JOIN statements \
                 WHERE request = column1 AND statements.seq = statement_subjects.seq AND signer = column2)",
        ..NOTHING
    };
    let voices = needs.voices.iter();
    let voices = voices.map(|(request, signer)| [Value::from(request.as_bytes()), signer.as_str().into()]);
    lookups.by(Kind::Voice, found, voices, " WHERE column1 IS NOT NULL");
}

/// How far observers are, what services said last, and what is known of destinations.
fn push_services(lookups: &mut Lookups<'_>, needs: &Needs) {
    let found = Found {
        text: "observer",
        text2: "network",
        bytes: "sequence",
        ..NOTHING
    };
    let sequences = needs.sequences.iter();
    let sequences = sequences.map(|(observer, network)| [observer.as_str(), network.as_str()]);
    let far = " CROSS JOIN observer_sequences WHERE observer = column1 AND network = column2";
    lookups.by(Kind::Sequence, found, sequences, far);
    let found = Found {
        text: "service",
        text2: "matter",
        bytes: "sequence",
        number: "since",
        ..NOTHING
    };
    let matters = needs.matters.iter();
    let matters = matters.map(|(service, matter)| [service.as_str(), matter.as_str()]);
    let words = " CROSS JOIN last_words WHERE service = column1 AND matter = column2";
    lookups.by(Kind::Matter, found, matters, words);
    let found = Found {
        text: "list",
        number: "since",
        ..NOTHING
    };
    let lists = needs.lists.iter().map(|id| [id.as_str()]);
    lookups.by(
        Kind::Begun,
        found,
        lists,
        " CROSS JOIN begun_lists WHERE list = column1",
    );
    let destinations = || needs.destinations.iter().map(|destination| [destination.to_string()]);
    let found = Found {
        text: "destination",
        bytes: "request",
        number: "is_shared",
        ..NOTHING
    };
    let paid = " CROSS JOIN paid_destinations WHERE destination = column1";
    lookups.by(Kind::Paid, found, destinations(), paid);
    let found = Found {
        text: "destination",
        number: "since",
        ..NOTHING
    };
    let listed = " CROSS JOIN listed_destinations WHERE destination = column1 AND since IS NOT NULL";
    lookups.by(Kind::Listed, found, destinations(), listed);
}

fn push_freezes(lookups: &mut Lookups<'_>, needs: &Needs, now: Timestamp) {
    if needs.freezes {
        let found = Found {
            text: "scope",
            text2: "cause",
            bytes: "id",
            number: "since",
            number2: "thaws_at",
            number3: "seq",
            ..NOTHING
        };
        let sql = lookups.open(Kind::Freeze, found, 2);
        sql.push("(SELECT * FROM freezes WHERE thaws_at > ")
            .bind(now.unix_millis());
        sql.push(" ORDER BY thaws_at, seq LIMIT ").bind(limit(MAX_READ_FREEZES));
        sql.push(") AS in_force");
        let found = Found {
            number: "coalesce(max(seq), 0)",
            ..NOTHING
        };
        lookups.open(Kind::FreezesMade, found, 0).push("freezes");
    }
    let found = Found { bytes: "id", ..NOTHING };
    let made = needs.made.iter().map(|id| [id.as_bytes()]);
    lookups.by(Kind::Made, found, made, " CROSS JOIN freezes WHERE id = column1");
}

fn push_marks(lookups: &mut Lookups<'_>, needs: &Needs, now: Timestamp) {
    let found = Found {
        text: "topic",
        text2: "name",
        number: "made_at",
        ..NOTHING
    };
    for topic in &needs.marks {
        let sql = lookups.open(Kind::Mark, found, 2);
        sql.push("(SELECT * FROM marks WHERE topic = ").bind(topic.as_str());
        sql.push(" ORDER BY name LIMIT ").bind(limit(MAX_READ_MARKS));
        sql.push(") AS first_ones");
    }
    let found = Found {
        text: "topic",
        text2: "name",
        number: "made_at",
        number2: "last_at",
        ..NOTHING
    };
    let marked = needs.marked.iter();
    let marked = marked.map(|(topic, name)| [topic.as_str(), name.as_str()]);
    lookups.by(
        Kind::Marked,
        found,
        marked,
        " CROSS JOIN marks WHERE topic = column1 AND name = column2",
    );
    let found = Found {
        text: "column1",
        number: "column2",
        number2: "(SELECT count(*) FROM marks WHERE topic = column1 AND made_at > column3)",
        number3: "(SELECT count(*) FROM marks WHERE topic = column1 AND last_at > column3)",
        ..NOTHING
    };
    let tallies = needs.tallies.iter().map(|query| {
        let within = i64::from(query.within.secs());
        // What came up exactly so long ago is out.
        let since = now.unix_millis().saturating_sub(within.saturating_mul(1_000));
        [Value::from(query.topic.as_str()), within.into(), since.into()]
    });
    lookups.by(Kind::Tally, found, tallies, " WHERE column1 IS NOT NULL");
}

/// What counters stand at, the running sum where each window begins, and what lineages were charged.
fn push_counters(lookups: &mut Lookups<'_>, needs: &Needs) {
    let found = Found {
        bytes: "counter",
        bytes2: "cum",
        bytes3: "pend",
        ..NOTHING
    };
    let counters = needs.counters.iter().map(|counter| [counter.as_bytes()]);
    lookups.by(
        Kind::Counter,
        found,
        counters,
        " CROSS JOIN counters WHERE counter = column1",
    );
    let found = Found {
        bytes: "column1",
        bytes2: "(SELECT cum_after FROM counter_entries WHERE counter = column1 AND at <= column2 ORDER BY at DESC LIMIT 1)",
        number: "column2",
        ..NOTHING
    };
    let outside = needs.outside.iter();
    let outside = outside.map(|(counter, at)| [Value::from(counter.as_bytes()), at.unix_millis().into()]);
    lookups.by(Kind::Outside, found, outside, " WHERE column1 IS NOT NULL");
    let found = Found {
        bytes: "request",
        bytes2: "counter",
        bytes3: "amount",
        number: "number",
        ..NOTHING
    };
    let charges = needs.charges.iter();
    let charges = charges.map(|(request, counter)| [request.as_bytes(), counter.as_bytes()]);
    let charged = " CROSS JOIN attempts CROSS JOIN charges WHERE request = column1 AND attempt = attempts.seq AND counter = column2";
    lookups.by(Kind::Charge, found, charges, charged);
}

/// The attempts of the withdrawals, and where their spends stand.
fn push_attempts(sql: &mut Sql, needs: &Needs) {
    if needs.requests.is_empty() {
        return;
    }
    let requests = needs.requests.iter().map(|request| vec![request.as_bytes().into()]);
    let columns = "attempts.*, charged_at, aged_at, released_at, failed FROM ";
    select(sql, Kind::Attempt, columns);
    sql.given(requests.collect())
        .push(
            " CROSS JOIN attempts \
             LEFT JOIN spends ON attempt = attempts.seq \
             WHERE attempts.request = column1",
        )
        .end();
}

/// What still counts somewhere.
fn push_spends(sql: &mut Sql, needs: &Needs) {
    let Some(since) = needs.spends_since else {
        return;
    };
    let spends = "request, number, facts, charged_at, authorized_at, aged_at FROM spends CROSS JOIN attempts \
                  WHERE attempts.seq = attempt AND released_at IS NULL \
                  AND (aged_at IS NULL OR aged_at > ";
    select(sql, Kind::Spend, spends);
    sql.bind(since.unix_millis())
        .push(") ORDER BY attempt LIMIT ")
        .bind(limit(crate::MAX_SPENDS.saturating_add(1)))
        .end();
}

fn limit(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_a_number_and_back() {
        for kind in Kind::ALL {
            assert_eq!(Kind::of(i64::try_from(kind.number()).unwrap()), Some(kind));
        }
        assert_eq!(Kind::of(25), None);
        assert_eq!(Kind::of(-1), None);
    }
}

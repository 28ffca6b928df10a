//! Freezes and marks, as a decision sees them.

use countersign_signer::{FreezeRecord, LedgerView, MAX_READ_FREEZES, MAX_READ_MARKS, Marked, Reads, Tally};
use countersign_types::{FreezeId, Timestamp};

use crate::{
    codec::{BadValue, from_sql},
    error::StepError,
    lookups::{Found, Lookups, NOTHING, select},
    records::{column_time, column32},
    sql::{Row, Sql},
};

const FREEZE: i64 = 401;
const FREEZES_MADE: i64 = 402;
const MARK: i64 = 403;
const MADE: i64 = 404;
const TALLY: i64 = 405;
const MARKED: i64 = 406;

/// Whatever reads a withdrawal reads the freezes: no decision about one can forget them.
pub(crate) fn push(sql: &mut Sql, reads: &Reads, now: Timestamp) {
    if reads.freezes || reads.request.is_some() {
        select(
            sql,
            FREEZE,
            "id, scope, cause, since, thaws_at FROM freezes WHERE thaws_at > ",
        );
        sql.bind(now.unix_millis()).push(" ORDER BY thaws_at, seq LIMIT ");
        sql.bind(i64::try_from(MAX_READ_FREEZES).unwrap_or(i64::MAX));
    }
    for topic in &reads.marks {
        select(sql, MARK, "topic, name, made_at FROM marks WHERE topic = ");
        sql.bind(topic.as_str()).push(" ORDER BY name LIMIT ");
        sql.bind(i64::try_from(MAX_READ_MARKS).unwrap_or(i64::MAX));
    }
    for (n, query) in reads.tallies.iter().enumerate() {
        // What came up exactly so long ago is out.
        let since = now
            .unix_millis()
            .saturating_sub(i64::from(query.within.secs()).saturating_mul(1_000));
        select(sql, TALLY, format_args!("CAST({n} AS BIGINT) AS n, "));
        for (column, name) in [("made_at", "first"), ("last_at", "last")] {
            let separator = if name == "first" { ", " } else { "" };
            sql.push("(SELECT count(*) FROM marks WHERE topic = ")
                .bind(query.topic.as_str());
            sql.push(format_args!(" AND {column} > ")).bind(since);
            sql.push(format_args!(") AS {name}_count{separator}"));
        }
    }
    sql.end();
}

/// What was made: freezes, their number, marks.
pub(crate) fn push_lookups(lookups: &mut Lookups<'_>, reads: &Reads) {
    if reads.freezes || reads.request.is_some() {
        let found = Found {
            number: "coalesce(max(seq), 0)",
            ..NOTHING
        };
        lookups.push(FREEZES_MADE, found, "freezes");
    }
    if !reads.made.is_empty() {
        let found = Found { bytes: "id", ..NOTHING };
        let sql = lookups.push(MADE, found, "freezes WHERE id IN ");
        sql.list(reads.made.iter().map(FreezeId::as_bytes));
    }
    let found = Found {
        text: "topic",
        text2: "name",
        number: "made_at",
        number2: "last_at",
        ..NOTHING
    };
    lookups.push_pairs(MARKED, found, "marks WHERE (topic, name) IN ", &reads.marked);
}

pub(crate) fn add_row(view: &mut LedgerView, reads: &Reads, row: &Row) -> Result<(), StepError> {
    match row.number("kind")? {
        FREEZE => view.freezes.push(freeze(row)?),
        FREEZES_MADE => view.freezes_made = from_sql(row.number("number")?)?,
        MARK => {
            let topic = view.marks.entry(row.text("topic")?.to_owned()).or_default();
            topic.insert(row.text("name")?.to_owned(), column_time(row, "made_at")?);
        }
        MADE => {
            view.made.insert(FreezeId::from_bytes(column32(row, "bytes")?));
        }
        TALLY => {
            let place = usize::try_from(row.number("n")?).map_err(|_| BadValue("tally"))?;
            let query = reads.tallies.get(place).ok_or(BadValue("tally"))?;
            let tally = Tally {
                first: from_sql(row.number("first_count")?)?,
                last: from_sql(row.number("last_count")?)?,
            };
            view.tallies.insert(query.clone(), tally);
        }
        MARKED => {
            let mark = (row.text("text")?.to_owned(), row.text("text2")?.to_owned());
            let marked = Marked {
                first_at: column_time(row, "number")?,
                last_at: column_time(row, "number2")?,
            };
            view.marked.insert(mark, marked);
        }
        // What the other lookups of a view read.
        _ => {}
    }
    Ok(())
}

fn freeze(row: &Row) -> Result<FreezeRecord, StepError> {
    let thaws_at = row.number("thaws_at")?;
    Ok(FreezeRecord {
        id: FreezeId::from_bytes(column32(row, "id")?),
        scope: row.text("scope")?.parse().map_err(|_| BadValue("freeze scope"))?,
        cause: row.text("cause")?.to_owned(),
        since: column_time(row, "since")?,
        // The end of time: nobody has thawed it.
        thaws_at: (thaws_at != i64::MAX).then(|| Timestamp::from_unix_millis(thaws_at)),
    })
}

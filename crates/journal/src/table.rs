//! What a commit writes: the tables that it adds to and the changes that it makes. Their order is the one in which they are
//! written within a [`Step`]: each table after those that it refers to, and changes last.

/// A table, with the columns of its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Table {
    /// digest, signer, nonce, envelope, first_seen_at
    Statements,
    /// request, and the statement's digest
    StatementSubjects,
    /// version, digest, activated_at
    Bundles,
    /// version, path, bytes
    BundleFiles,
    /// version, position, statement
    BundleStatements,
    /// request, statement, tenant, reference, bundle, first_seen_at
    Withdrawals,
    /// request, number, transaction_digest, unsigned, conflict_keys, fee_max, authorization_id, authorized_at, sign_by
    Attempts,
    /// tenant, reference, request
    Payments,
    /// key, request, account, nonce
    ConflictClaims,
    /// request, number, facts, charged_at
    Spends,
    /// request, number, counter, amount
    Charges,
    /// counter, cum, pend
    Counters,
    /// counter, at, cum_after
    CounterEntries,
    /// observer, network, sequence
    ObserverSequences,
    /// service, matter, sequence, since
    LastWords,
    /// destination, request
    PaidDestinations,
    /// list, since
    BegunLists,
    /// destination, since
    ListedDestinations,
    /// id, scope, cause, since
    Freezes,
    /// topic, name, made_at, last_at
    Marks,
    /// position, bytes, leaf
    LogEntries,
    /// place, hash
    LogNodes,
    /// request, position
    LogSubjects,
    /// number, at, previous, content, log_size, log_root, checkpoint, hash
    Commits,
}

/// A change of rows that are there, with its values; the row's key comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Change {
    /// request, ended_at, ended_by
    Ended,
    /// request, last_decision
    Decided,
    /// request, number, signatures, signed, txid, recorded_at
    Signed,
    /// key, request, given_up_at
    GivenUp,
    /// id, thaws_at
    Thaws,
    /// request, number, aged_at
    Aged,
    /// request, number, aged_at
    Failed,
    /// request, number, released_at
    Released,
}

/// What one statement writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Target {
    Into(Table),
    By(Change),
}

/// What is written one after the other. Within a step no statement reads or changes a row that another one writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    /// Rows that are brought whole.
    Rows,
    /// Rows that are found by what came before.
    Found,
    /// Changes, each table's first, second and third.
    First,
    Second,
    Third,
}

impl Target {
    pub(crate) fn step(self) -> Step {
        match self {
            Self::Into(table) => table.step(),
            Self::By(change) => change.step(),
        }
    }

    /// The text before the rows, and the one behind them. The rows come between them as `given`, with the columns `column1`,
    /// `column2`, …; a row whose first column is null is none.
    pub(crate) fn text(self) -> (String, String) {
        match self {
            Self::Into(table) => {
                let ((columns, conflict), (values, from)) = (table.columns(), table.source());
                (
                    format!("INSERT INTO {columns} SELECT {values} FROM "),
                    format!("{from} {conflict}"),
                )
            }
            Self::By(change) => {
                let (update, key) = change.update();
                (format!("{update} FROM "), key.to_owned())
            }
        }
    }
}

/// The spend of the attempt in a row that begins with its request and number.
const SPEND: &str = " WHERE attempt = (SELECT seq FROM attempts WHERE request = column1 AND number = column2)";

/// The attempt in a row that begins with its request and number.
const ATTEMPT: &str = " CROSS JOIN attempts WHERE request = column1 AND number = column2";

impl Change {
    fn step(self) -> Step {
        match self {
            Self::Ended | Self::Signed | Self::GivenUp | Self::Thaws | Self::Aged => Step::First,
            Self::Decided | Self::Failed => Step::Second,
            Self::Released => Step::Third,
        }
    }

    fn update(self) -> (&'static str, &'static str) {
        match self {
            // Assignments read the row as it was: the first end stays.
            Self::Ended => (
                "UPDATE withdrawals SET ended_at = coalesce(ended_at, column2), ended_by = coalesce(ended_by, column3)",
                " WHERE request = column1",
            ),
            Self::Decided => (
                "UPDATE withdrawals SET decisions = decisions + 1, last_decision = column2",
                " WHERE request = column1",
            ),
            Self::Signed => (
                "UPDATE attempts SET signatures = column3, signed = column4, txid = column5, recorded_at = column6",
                " WHERE request = column1 AND number = column2",
            ),
            Self::GivenUp => (
                "UPDATE conflict_claims SET given_up_at = column3",
                " WHERE key = column1 AND request = column2 AND given_up_at IS NULL",
            ),
            // The trigger refuses to set it twice.
            Self::Thaws => ("UPDATE freezes SET thaws_at = column2", " WHERE id = column1"),
            Self::Aged => ("UPDATE spends SET aged_at = column3", SPEND),
            Self::Failed => ("UPDATE spends SET failed = 1, aged_at = column3", SPEND),
            Self::Released => ("UPDATE spends SET released_at = column3", SPEND),
        }
    }
}

impl Table {
    fn step(self) -> Step {
        match self.found_by() {
            Some(_) => Step::Found,
            None => Step::Rows,
        }
    }

    /// Values of its columns, and where they are found beside the rows: what is not there gives no row, and one row is missed.
    fn source(self) -> (&'static str, &'static str) {
        self.found_by().unwrap_or(("*", " WHERE column1 IS NOT NULL"))
    }

    /// The same, of a table whose rows are not brought whole.
    fn found_by(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::StatementSubjects => Some(("column1, seq", " CROSS JOIN statements WHERE digest = column2")),
            Self::Spends => Some(("seq, column3, column4", ATTEMPT)),
            Self::Charges => Some(("seq, column3, column4", ATTEMPT)),
            Self::Statements
            | Self::Bundles
            | Self::BundleFiles
            | Self::BundleStatements
            | Self::Withdrawals
            | Self::Attempts
            | Self::Payments
            | Self::ConflictClaims
            | Self::Counters
            | Self::CounterEntries
            | Self::ObserverSequences
            | Self::LastWords
            | Self::PaidDestinations
            | Self::BegunLists
            | Self::ListedDestinations
            | Self::Freezes
            | Self::Marks
            | Self::LogEntries
            | Self::LogNodes
            | Self::LogSubjects
            | Self::Commits => None,
        }
    }

    /// Its columns, and what becomes of a row that is there already.
    fn columns(self) -> (&'static str, &'static str) {
        match self {
            Self::Statements => ("statements (digest, signer, nonce, envelope, first_seen_at)", ""),
            Self::StatementSubjects => ("statement_subjects (request, seq)", ""),
            Self::Bundles => ("bundles (version, digest, activated_at)", ""),
            Self::BundleFiles => ("bundle_files (version, path, bytes)", ""),
            Self::BundleStatements => ("bundle_statements (version, position, statement)", ""),
            Self::Withdrawals => (
                "withdrawals (request, statement, tenant, reference, bundle, first_seen_at)",
                "",
            ),
            // The triggers refuse a renewal that changes the transaction or that comes after its signatures.
            Self::Attempts => (
                "attempts (request, number, transaction_digest, unsigned, conflict_keys, fee_max, \
                 authorization_id, authorized_at, sign_by)",
                "ON CONFLICT (request, number) DO UPDATE SET transaction_digest = excluded.transaction_digest, \
                 unsigned = excluded.unsigned, conflict_keys = excluded.conflict_keys, fee_max = excluded.fee_max, \
                 authorization_id = excluded.authorization_id, authorized_at = excluded.authorized_at, \
                 sign_by = excluded.sign_by",
            ),
            // A lineage claims its payments and its anchor again with every attempt; the triggers refuse another owner, but of a
            // claim that was given up.
            Self::Payments => (
                "payments (tenant, reference, request)",
                "ON CONFLICT (tenant, reference) DO UPDATE SET request = excluded.request",
            ),
            Self::ConflictClaims => (
                "conflict_claims (key, request, account, nonce)",
                "ON CONFLICT (key) DO UPDATE SET request = excluded.request, given_up_at = NULL",
            ),
            Self::Spends => (
                "spends (attempt, facts, charged_at)",
                "ON CONFLICT (attempt) DO UPDATE SET facts = excluded.facts",
            ),
            // From here on the triggers refuse to go back.
            Self::Charges => (
                "charges (attempt, counter, amount)",
                "ON CONFLICT (attempt, counter) DO UPDATE SET amount = excluded.amount",
            ),
            Self::Counters => (
                "counters (counter, cum, pend)",
                "ON CONFLICT (counter) DO UPDATE SET cum = excluded.cum, pend = excluded.pend",
            ),
            Self::CounterEntries => (
                "counter_entries (counter, at, cum_after)",
                "ON CONFLICT (counter, at) DO UPDATE SET cum_after = excluded.cum_after",
            ),
            Self::ObserverSequences => (
                "observer_sequences (observer, network, sequence)",
                "ON CONFLICT (observer, network) DO UPDATE SET sequence = excluded.sequence",
            ),
            Self::LastWords => (
                "last_words (service, matter, sequence, since)",
                "ON CONFLICT (service, matter) DO UPDATE SET sequence = excluded.sequence, since = excluded.since",
            ),
            Self::PaidDestinations => (
                "paid_destinations (destination, request)",
                "ON CONFLICT (destination) DO UPDATE SET is_shared = CASE \
                 WHEN paid_destinations.request = excluded.request THEN paid_destinations.is_shared ELSE 1 END",
            ),
            Self::BegunLists => (
                "begun_lists (list, since)",
                "ON CONFLICT (list) DO UPDATE SET since = excluded.since",
            ),
            Self::ListedDestinations => (
                "listed_destinations (destination, since)",
                "ON CONFLICT (destination) DO UPDATE SET since = CASE \
                 WHEN listed_destinations.since > excluded.since THEN listed_destinations.since ELSE excluded.since END",
            ),
            Self::Freezes => ("freezes (id, scope, cause, since)", ""),
            Self::Marks => (
                "marks (topic, name, made_at, last_at)",
                "ON CONFLICT (topic, name) DO UPDATE SET last_at = excluded.last_at",
            ),
            Self::LogEntries => ("log_entries (position, bytes, leaf)", ""),
            Self::LogNodes => ("log_nodes (place, hash)", ""),
            Self::LogSubjects => ("log_subjects (request, position)", ""),
            Self::Commits => (
                "commits (number, at, previous, content, log_size, log_root, checkpoint, hash)",
                "",
            ),
        }
    }
}

//! The tables that a commit adds to. Their order is the one in which rows are inserted: each after those that it refers to.

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
    /// request, counter, number, amount
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
    /// level, position, hash
    LogNodes,
    /// request, position
    LogSubjects,
    /// number, at, previous, content, log_size, log_root, checkpoint, hash
    Commits,
}

impl Table {
    /// The text before the rows, and the one behind them: what becomes of a row that is there already.
    pub(crate) fn insert(self) -> (&'static str, &'static str) {
        match self {
            Self::Statements => (
                "INSERT INTO statements (digest, signer, nonce, envelope, first_seen_at) VALUES ",
                "",
            ),
            // A statement that is not journaled gives no row, and one row is missed.
            Self::StatementSubjects => (
                "INSERT INTO statement_subjects (request, seq) SELECT column1, seq FROM (VALUES ",
                ") AS named JOIN statements ON digest = column2",
            ),
            Self::Bundles => ("INSERT INTO bundles (version, digest, activated_at) VALUES ", ""),
            Self::BundleFiles => ("INSERT INTO bundle_files (version, path, bytes) VALUES ", ""),
            Self::BundleStatements => (
                "INSERT INTO bundle_statements (version, position, statement) VALUES ",
                "",
            ),
            Self::Withdrawals => (
                "INSERT INTO withdrawals (request, statement, tenant, reference, bundle, first_seen_at) VALUES ",
                "",
            ),
            // The triggers refuse a renewal that changes the transaction or that comes after its signatures.
            Self::Attempts => (
                "INSERT INTO attempts (request, number, transaction_digest, unsigned, conflict_keys, fee_max, \
                 authorization_id, authorized_at, sign_by) VALUES ",
                " ON CONFLICT (request, number) DO UPDATE SET transaction_digest = excluded.transaction_digest, \
                 unsigned = excluded.unsigned, conflict_keys = excluded.conflict_keys, fee_max = excluded.fee_max, \
                 authorization_id = excluded.authorization_id, authorized_at = excluded.authorized_at, \
                 sign_by = excluded.sign_by",
            ),
            // A lineage claims its payments and its anchor again with every attempt; the triggers refuse another owner.
            Self::Payments => (
                "INSERT INTO payments (tenant, reference, request) VALUES ",
                " ON CONFLICT (tenant, reference) DO UPDATE SET request = excluded.request",
            ),
            Self::ConflictClaims => (
                "INSERT INTO conflict_claims (key, request, account, nonce) VALUES ",
                " ON CONFLICT (key) DO UPDATE SET request = excluded.request",
            ),
            Self::Spends => (
                "INSERT INTO spends (request, number, facts, charged_at) VALUES ",
                " ON CONFLICT (request, number) DO UPDATE SET facts = excluded.facts",
            ),
            // From here on the triggers refuse to go back.
            Self::Charges => (
                "INSERT INTO charges (request, counter, number, amount) VALUES ",
                " ON CONFLICT (request, counter, number) DO UPDATE SET amount = excluded.amount",
            ),
            Self::Counters => (
                "INSERT INTO counters (counter, cum, pend) VALUES ",
                " ON CONFLICT (counter) DO UPDATE SET cum = excluded.cum, pend = excluded.pend",
            ),
            Self::CounterEntries => (
                "INSERT INTO counter_entries (counter, at, cum_after) VALUES ",
                " ON CONFLICT (counter, at) DO UPDATE SET cum_after = excluded.cum_after",
            ),
            Self::ObserverSequences => (
                "INSERT INTO observer_sequences (observer, network, sequence) VALUES ",
                " ON CONFLICT (observer, network) DO UPDATE SET sequence = excluded.sequence",
            ),
            Self::LastWords => (
                "INSERT INTO last_words (service, matter, sequence, since) VALUES ",
                " ON CONFLICT (service, matter) DO UPDATE SET sequence = excluded.sequence, since = excluded.since",
            ),
            Self::PaidDestinations => (
                "INSERT INTO paid_destinations (destination, request) VALUES ",
                " ON CONFLICT (destination) DO UPDATE SET is_shared = CASE \
                 WHEN paid_destinations.request = excluded.request THEN paid_destinations.is_shared ELSE 1 END",
            ),
            Self::BegunLists => (
                "INSERT INTO begun_lists (list, since) VALUES ",
                " ON CONFLICT (list) DO UPDATE SET since = excluded.since",
            ),
            Self::ListedDestinations => (
                "INSERT INTO listed_destinations (destination, since) VALUES ",
                " ON CONFLICT (destination) DO UPDATE SET since = CASE \
                 WHEN listed_destinations.since > excluded.since THEN listed_destinations.since ELSE excluded.since END",
            ),
            Self::Freezes => ("INSERT INTO freezes (id, scope, cause, since) VALUES ", ""),
            Self::Marks => (
                "INSERT INTO marks (topic, name, made_at, last_at) VALUES ",
                " ON CONFLICT (topic, name) DO UPDATE SET last_at = excluded.last_at",
            ),
            Self::LogEntries => ("INSERT INTO log_entries (position, bytes, leaf) VALUES ", ""),
            Self::LogNodes => ("INSERT INTO log_nodes (level, position, hash) VALUES ", ""),
            Self::LogSubjects => ("INSERT INTO log_subjects (request, position) VALUES ", ""),
            Self::Commits => (
                "INSERT INTO commits (number, at, previous, content, log_size, log_root, checkpoint, hash) VALUES ",
                "",
            ),
        }
    }
}

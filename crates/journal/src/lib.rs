//! The signer's journal over sqlx: one hash-chained, group-committed ledger.

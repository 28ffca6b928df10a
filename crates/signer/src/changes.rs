//! What a ruling writes down: log entries and changes of the ledger, in order.

use std::collections::BTreeMap;

use countersign_approval::Verified;
use countersign_decision::{Entry, EntryError, StatementEntry};
use countersign_types::{Timestamp, WithdrawalId};

use crate::{LastWord, LogEntry, Write, admission::Admitted, statements::about, words::Matter};
#[derive(Default)]
pub(crate) struct Changes {
    pub(crate) entries: Vec<LogEntry>,
    pub(crate) writes: Vec<Write>,
}

impl Changes {
    /// A statement at its first sight: entry and record.
    pub(crate) fn statement(
        &mut self,
        verified: &Verified,
        withdrawals: Vec<WithdrawalId>,
        now: Timestamp,
    ) -> Result<(), EntryError> {
        let about = match withdrawals.is_empty() {
            true => about(verified),
            false => withdrawals.iter().map(WithdrawalId::request).collect(),
        };
        let entry = statement_entry(verified, withdrawals, now);
        let is_request = verified.envelope().request_digest().is_some();
        let entry = if is_request {
            Entry::Request(entry)
        } else {
            Entry::Statement(entry)
        };
        self.entries.push(LogEntry {
            bytes: entry.to_bytes()?,
            subjects: about.clone(),
        });
        self.writes.push(Write::Statement {
            digest: verified.digest(),
            signer: verified.signer().clone(),
            nonce: verified.statement().header.nonce,
            // A withdrawal's request is linked by its own record.
            subjects: if is_request { Vec::new() } else { about },
            envelope: verified.envelope().to_bytes(),
        });
        Ok(())
    }

    /// How far observers and services are now.
    pub(crate) fn advance(&mut self, admitted: &Admitted<'_>) {
        let sequences = admitted.sequences.iter();
        self.writes
            .extend(sequences.map(|((observer, network), sequence)| Write::Sequence {
                observer: observer.clone(),
                network: network.clone(),
                sequence: *sequence,
            }));
        self.words(&admitted.words);
    }

    /// What services say from now on.
    pub(crate) fn words(&mut self, words: &BTreeMap<Matter, LastWord>) {
        self.writes
            .extend(words.iter().map(|((service, matter), word)| Write::LastWord {
                service: service.clone(),
                matter: matter.clone(),
                word: *word,
            }));
    }

    /// A journaled statement about one more withdrawal.
    pub(crate) fn subject(
        &mut self,
        verified: &Verified,
        withdrawal: WithdrawalId,
        first_seen_at: Timestamp,
    ) -> Result<(), EntryError> {
        let entry = Entry::Statement(statement_entry(verified, vec![withdrawal], first_seen_at));
        self.entries.push(LogEntry {
            bytes: entry.to_bytes()?,
            subjects: vec![withdrawal.request()],
        });
        self.writes.push(Write::Subject {
            statement: verified.digest(),
            request: withdrawal.request(),
        });
        Ok(())
    }
}

/// What the log says of a statement; for one more withdrawal, with the moment of its first sight.
fn statement_entry(verified: &Verified, withdrawals: Vec<WithdrawalId>, first_seen_at: Timestamp) -> StatementEntry {
    StatementEntry {
        statement: verified.digest(),
        kind: verified.envelope().kind(),
        signer: verified.signer().clone(),
        withdrawals,
        first_seen_at,
    }
}

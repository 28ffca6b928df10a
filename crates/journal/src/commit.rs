//! One commit in the making: log entries, the chain, the checkpoint.

use countersign_audit::{Checkpoint, Frontier, LeafHash, SignedCheckpoint};
use countersign_signer::{ActiveBundle, JournalError, LogEntry, Write};
use countersign_types::{RequestDigest, Timestamp};

use crate::{
    CheckpointSigner,
    batch::Batch,
    chain::{CommitParts, NO_PREVIOUS, content_digest},
    codec::{BadValue, Encoder, encode_verdict, to_sql},
    error::StepError,
    log::place,
    sql::Link,
    table::Table,
    view::InForce,
};

/// The last commit, with what the next one needs of everything before it.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub(crate) number: u64,
    pub(crate) at: Timestamp,
    pub(crate) hash: [u8; 32],
    pub(crate) log: Frontier,
    pub(crate) checkpoint: Vec<u8>,
    pub(crate) in_force: InForce,
}

impl Head {
    /// Before the first commit.
    pub(crate) fn before_genesis(epoch: u64) -> Self {
        Self {
            number: 0,
            at: Timestamp::from_unix_millis(0),
            hash: NO_PREVIOUS,
            log: Frontier::empty(),
            checkpoint: Vec::new(),
            in_force: InForce { epoch, bundle: None },
        }
    }
}

struct EntryRow {
    position: i64,
    bytes: Vec<u8>,
    leaf: Vec<u8>,
}

/// What the proposals of a group have decided so far.
pub(crate) struct Draft {
    head: Head,
    encoder: Encoder,
    entries: Vec<EntryRow>,
    nodes: Vec<(i64, Vec<u8>)>,
    subjects: Vec<(RequestDigest, i64)>,
}

impl Draft {
    /// Continues the head.
    pub(crate) fn after(head: &Head) -> Self {
        Self {
            head: head.clone(),
            encoder: Encoder::default(),
            entries: Vec::new(),
            nodes: Vec::new(),
            subjects: Vec::new(),
        }
    }

    /// What the next decision sees.
    pub(crate) fn in_force(&self) -> &InForce {
        &self.head.in_force
    }

    /// The time of the last proposal, or of the last commit.
    pub(crate) fn at(&self) -> Timestamp {
        self.head.at
    }

    /// A clock reading. Backwards is fatal: every window and time-lock would count wrong.
    pub(crate) fn advance(&mut self, now: Timestamp) -> Result<(), JournalError> {
        if now < self.head.at {
            return Err(JournalError::TimeBackwards {
                now,
                last: self.head.at,
            });
        }
        self.head.at = now;
        Ok(())
    }

    /// Appends one proposal's entries, notes what it wrote.
    pub(crate) fn append(&mut self, entries: &[LogEntry], writes: &[Write]) -> Result<(), StepError> {
        encode_verdict(&mut self.encoder, self.head.at, entries, writes);
        for entry in entries {
            self.append_entry(entry)?;
        }
        for write in writes {
            if let Write::Bundle { version, digest, .. } = write {
                self.head.in_force.bundle = Some(ActiveBundle {
                    version: *version,
                    digest: *digest,
                    activated_at: self.head.at,
                });
            }
        }
        Ok(())
    }

    fn append_entry(&mut self, entry: &LogEntry) -> Result<(), StepError> {
        // The writes are in the transaction by now, and `refuse_unwritable` has seen the entry: not a refusal.
        let damaged = |error: &dyn std::error::Error| JournalError::Damaged(error.to_string());
        let leaf = LeafHash::of(&entry.bytes).map_err(|error| damaged(&error))?;
        let position = to_sql(self.head.log.size().entries())?;
        for node in self.head.log.append(leaf).map_err(|error| damaged(&error))? {
            self.nodes.push((place(node.id)?, node.hash.as_bytes().to_vec()));
        }
        self.entries.push(EntryRow {
            position,
            bytes: entry.bytes.clone(),
            leaf: leaf.hash().as_bytes().to_vec(),
        });
        let mut subjects = entry.subjects.clone();
        subjects.sort_unstable();
        subjects.dedup();
        self.subjects
            .extend(subjects.into_iter().map(|request| (request, position)));
        Ok(())
    }

    /// Writes what the proposals left to be written, log, chain and checkpoint. The caller commits and then has the new head.
    pub(crate) async fn seal(
        self,
        link: &mut Link<'_>,
        mut batch: Batch,
        signer: &dyn CheckpointSigner,
    ) -> Result<Head, StepError> {
        let parts = CommitParts {
            number: self.head.number.checked_add(1).ok_or(BadValue("commit number"))?,
            at: self.head.at,
            previous: self.head.hash,
            content: content_digest(&self.encoder.into_bytes()),
            log_size: self.head.log.size().entries(),
            log_root: *self.head.log.root().hash().as_bytes(),
        };
        let checkpoint = sign_checkpoint(&self.head.log, parts.at, signer)?;
        let row = |entry: &EntryRow| {
            vec![
                entry.position.into(),
                entry.bytes.clone().into(),
                entry.leaf.clone().into(),
            ]
        };
        batch.insert(Table::LogEntries, self.entries.iter().map(row));
        let row = |(place, hash): &(i64, Vec<u8>)| vec![(*place).into(), hash.clone().into()];
        batch.insert(Table::LogNodes, self.nodes.iter().map(row));
        let row = |(request, position): &(RequestDigest, i64)| vec![request.as_bytes().into(), (*position).into()];
        batch.insert(Table::LogSubjects, self.subjects.iter().map(row));
        push_commit(&mut batch, &parts, &checkpoint)?;
        batch.execute(link).await?;
        Ok(Head {
            number: parts.number,
            hash: parts.hash(),
            checkpoint,
            ..self.head
        })
    }
}

fn push_commit(batch: &mut Batch, parts: &CommitParts, checkpoint: &[u8]) -> Result<(), BadValue> {
    let (number, log_size) = (to_sql(parts.number)?, to_sql(parts.log_size)?);
    let row = vec![
        number.into(),
        parts.at.unix_millis().into(),
        (&parts.previous).into(),
        (&parts.content).into(),
        log_size.into(),
        (&parts.log_root).into(),
        checkpoint.to_vec().into(),
        (&parts.hash()).into(),
    ];
    batch.insert(Table::Commits, [row]);
    Ok(())
}

fn sign_checkpoint(log: &Frontier, at: Timestamp, signer: &dyn CheckpointSigner) -> Result<Vec<u8>, StepError> {
    let refused = |error: &dyn std::error::Error| StepError::Refused(error.to_string());
    let key = signer.verifier_key();
    let checkpoint = Checkpoint::new(key.name().clone(), log.head(), at).map_err(|error| refused(&error))?;
    let signature = signer
        .sign(checkpoint.to_string().as_bytes())
        .map_err(|error| refused(&error))?;
    // Verifies the signature: a broken key is noticed before anything is committed.
    let signed = SignedCheckpoint::assemble(checkpoint, key, &signature).map_err(|error| refused(&error))?;
    Ok(signed.to_string().into_bytes())
}

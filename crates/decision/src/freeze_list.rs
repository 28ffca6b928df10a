//! The list of freezes in force: the signer's signed word, so that nobody between it and an officer can leave one out.
//!
//! A C2SP signed note by the log key, as acknowledgements are. Its first line is neither theirs nor a log origin.

use std::collections::BTreeMap;

use countersign_approval::FreezeScope;
use countersign_audit::{NoteSignature, SignedNote, VerifierKey};
use countersign_types::{FreezeId, GenesisHash, PrincipalId, Timestamp, UtcSeconds};
use serde::{Deserialize, Serialize};

use crate::AcknowledgementError;

const FIRST_LINE: &str = "countersign/freezes/v1";

/// The freezes in force at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FreezeList {
    /// The deployment.
    pub deployment: GenesisHash,
    /// The signer's clock when it read its journal.
    pub as_of: UtcSeconds,
    /// How many admins of the bundle in force a thaw takes.
    pub quorum: u32,
    /// Those that end first before the others, then in the order in which they were journaled.
    pub freezes: Vec<ListedFreeze>,
}

/// A freeze of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListedFreeze {
    /// Its name: what a thaw names.
    pub freeze: FreezeId,
    /// What it stops.
    pub scope: FreezeScope,
    /// What made it, in words.
    pub cause: String,
    /// Why, in the words of the officer who made it; `None` where the signer did, whose cause says it.
    pub reason: Option<String>,
    /// When the signer journaled it.
    pub since: UtcSeconds,
    /// The admins of the bundle in force who thaw it, and until when each one's word counts.
    pub thawed_by: BTreeMap<PrincipalId, UtcSeconds>,
    /// When it ends, once a quorum has thawed it.
    pub thaws_at: Option<UtcSeconds>,
}

impl FreezeList {
    /// The text that the log key signs: deployment, moment, quorum, and one line of JSON a freeze.
    pub fn text(&self) -> String {
        let Self {
            deployment,
            as_of,
            quorum,
            freezes,
        } = self;
        let mut text = format!("{FIRST_LINE}\ndeployment {deployment}\nas-of {as_of}\nquorum {quorum}\n");
        for freeze in freezes {
            // Every field has a JSON text by its type; an empty line would not parse.
            text.push_str(&serde_json::to_string(freeze).unwrap_or_default());
            text.push('\n');
        }
        text
    }

    /// Puts the log key's signature over [`Self::text`] on it.
    pub fn seal(&self, key: &VerifierKey, signature: &[u8; 64]) -> Result<Vec<u8>, AcknowledgementError> {
        let note = SignedNote::new(self.text(), NoteSignature::new(key, signature));
        let note = note.map_err(|_| AcknowledgementError::Malformed)?;
        Ok(note.to_string().into_bytes())
    }

    /// Reads a list that the log key signed for this deployment.
    pub fn verify(bytes: &[u8], key: &VerifierKey, deployment: GenesisHash) -> Result<Self, AcknowledgementError> {
        let note = SignedNote::parse(bytes).map_err(|_| AcknowledgementError::Malformed)?;
        let text = note.verify(key).map_err(|_| AcknowledgementError::NotSigned)?;
        let mut lines = text.lines();
        if lines.next() != Some(FIRST_LINE) {
            return Err(AcknowledgementError::Malformed);
        }
        if lines.next() != Some(&format!("deployment {deployment}")) {
            return Err(AcknowledgementError::OtherStatement);
        }
        let as_of = lines.next().and_then(|line| line.strip_prefix("as-of ")?.parse().ok());
        let quorum = lines.next().and_then(|line| line.strip_prefix("quorum ")?.parse().ok());
        let freezes: Result<Vec<ListedFreeze>, _> = lines.map(serde_json::from_str).collect();
        match (as_of, quorum, freezes) {
            (Some(as_of), Some(quorum), Ok(freezes)) => Ok(Self {
                deployment,
                as_of,
                quorum,
                freezes,
            }),
            (_, _, _) => Err(AcknowledgementError::Malformed),
        }
    }
}

impl ListedFreeze {
    /// Whether it still stops what it names at a moment.
    pub fn is_in_force(&self, now: Timestamp) -> bool {
        self.thaws_at.is_none_or(|at| now < at.to_timestamp())
    }
}

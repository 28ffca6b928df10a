//! Acknowledgements: the signer's signed word that it journaled a statement, and when.
//!
//! A C2SP signed note by the log key. Its first line is never a log origin, so a note of one kind cannot pass as the
//! other. A person's program says "in force" only after verifying one.

use countersign_audit::{NoteSignature, SignedNote, VerifierKey};
use countersign_types::{GenesisHash, StatementDigest, Tag, Timestamp, UtcSeconds};

const FIRST_LINE: &str = "countersign/acknowledgement/v1";

/// What the signer acknowledges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acknowledgement {
    /// The deployment.
    pub deployment: GenesisHash,
    /// The statement.
    pub statement: StatementDigest,
    /// When the signer first journaled it (its clock, to the second in the text).
    pub first_seen_at: Timestamp,
}

/// Why bytes are no acknowledgement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AcknowledgementError {
    /// Not the text of one.
    #[error("the acknowledgement is malformed")]
    Malformed,
    /// Not signed by the log key.
    #[error("the acknowledgement is not signed by the log key of the genesis")]
    NotSigned,
    /// About another deployment or statement.
    #[error("the acknowledgement is about another statement or deployment")]
    OtherStatement,
}

impl AcknowledgementError {
    /// The stable tag.
    pub fn tag(&self) -> Tag {
        match self {
            Self::Malformed | Self::NotSigned | Self::OtherStatement => Tag::ReceiptInvalid,
        }
    }
}

impl Acknowledgement {
    /// The text that the log key signs.
    pub fn text(&self) -> String {
        let seconds = self.first_seen_at.to_seconds();
        format!(
            "{FIRST_LINE}\ndeployment {}\nstatement {}\nfirst-seen {seconds}\n",
            self.deployment, self.statement
        )
    }

    /// Puts the log key's signature over [`Self::text`] on it.
    pub fn seal(&self, key: &VerifierKey, signature: &[u8; 64]) -> Result<Vec<u8>, AcknowledgementError> {
        let note = SignedNote::new(self.text(), NoteSignature::new(key, signature));
        Ok(note
            .map_err(|_| AcknowledgementError::Malformed)?
            .to_string()
            .into_bytes())
    }

    /// Verifies that the log key acknowledged this statement of this deployment; returns when it was first seen.
    pub fn verify(
        bytes: &[u8],
        key: &VerifierKey,
        deployment: GenesisHash,
        statement: StatementDigest,
    ) -> Result<UtcSeconds, AcknowledgementError> {
        let note = SignedNote::parse(bytes).map_err(|_| AcknowledgementError::Malformed)?;
        let text = note.verify(key).map_err(|_| AcknowledgementError::NotSigned)?;
        let mut lines = text.lines();
        if lines.next() != Some(FIRST_LINE) {
            return Err(AcknowledgementError::Malformed);
        }
        let is_about = lines.next() == Some(&format!("deployment {deployment}"))
            && lines.next() == Some(&format!("statement {statement}"));
        if !is_about {
            return Err(AcknowledgementError::OtherStatement);
        }
        let time = lines.next().and_then(|line| line.strip_prefix("first-seen "));
        match (time.and_then(|time| time.parse().ok()), lines.next()) {
            (Some(time), None) => Ok(time),
            (Some(_) | None, _) => Err(AcknowledgementError::Malformed),
        }
    }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::Signer as _;

    use super::*;

    fn fixture() -> (Acknowledgement, VerifierKey, Vec<u8>) {
        let seed = ed25519_dalek::SigningKey::from_bytes(&[3; 32]);
        let name = "countersign.test/log".parse().unwrap();
        let key = VerifierKey::new(name, seed.verifying_key().as_bytes()).unwrap();
        let acknowledgement = Acknowledgement {
            deployment: GenesisHash::of(b"genesis"),
            statement: StatementDigest::of(b"statement"),
            first_seen_at: Timestamp::from_unix_millis(1_767_225_600_999),
        };
        let signature = seed.sign(acknowledgement.text().as_bytes()).to_bytes();
        let bytes = acknowledgement.seal(&key, &signature).unwrap();
        (acknowledgement, key, bytes)
    }

    #[test]
    fn one_mutation_one_error() {
        let (ack, key, bytes) = fixture();
        let time = Acknowledgement::verify(&bytes, &key, ack.deployment, ack.statement).unwrap();
        assert_eq!(time.to_string(), "2026-01-01T00:00:00Z");
        let other = Acknowledgement::verify(&bytes, &key, ack.deployment, StatementDigest::of(b"other"));
        assert_eq!(other, Err(AcknowledgementError::OtherStatement));
        let other = Acknowledgement::verify(&bytes, &key, GenesisHash::of(b"other"), ack.statement);
        assert_eq!(other, Err(AcknowledgementError::OtherStatement));
        let text = String::from_utf8(bytes).unwrap().replace("2026-01-01", "2025-01-01");
        let changed = Acknowledgement::verify(text.as_bytes(), &key, ack.deployment, ack.statement);
        assert_eq!(changed, Err(AcknowledgementError::NotSigned));
    }

    #[test]
    fn a_checkpoint_is_no_acknowledgement() {
        let (ack, key, _) = fixture();
        let seed = ed25519_dalek::SigningKey::from_bytes(&[3; 32]);
        let text = "countersign.test/log\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n";
        let signature = seed.sign(text.as_bytes()).to_bytes();
        let note = SignedNote::new(text.to_owned(), NoteSignature::new(&key, &signature)).unwrap();
        let passed = Acknowledgement::verify(note.to_string().as_bytes(), &key, ack.deployment, ack.statement);
        assert_eq!(passed, Err(AcknowledgementError::Malformed));
    }
}

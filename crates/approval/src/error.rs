//! Why a statement does not count.

use countersign_types::{GenesisHash, PrincipalId, Tag, Timestamp, UtcSeconds};

use crate::{Kind, MAX_ENVELOPE_BYTES};

/// Errors quote hostile input: they stay printable and short wherever they are shown or logged.
pub(crate) fn shown(reason: impl ToString) -> String {
    let escape = |c: char| match c {
        ' '..='~' => c.to_string(),
        _ => c.escape_default().to_string(),
    };
    reason.to_string().chars().take(MAX_REASON_CHARS).map(escape).collect()
}

/// The most characters of a reason that quotes input.
const MAX_REASON_CHARS: usize = 400;

/// Why bytes are not a statement, or a statement does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// Over [`MAX_ENVELOPE_BYTES`].
    #[error("the envelope has {0} bytes; at most {MAX_ENVELOPE_BYTES} are accepted")]
    TooLarge(usize),
    /// The envelope is not the one JSON form that is accepted.
    #[error("the envelope is malformed: {0}")]
    Envelope(String),
    /// The payload type names no kind.
    #[error("payload type `{0}` is not a known kind of statement")]
    UnknownKind(String),
    /// The payload is not a statement of its kind.
    #[error("the {kind} payload is malformed: {reason}")]
    Payload {
        /// The kind that the payload type names.
        kind: Kind,
        /// What and where.
        reason: String,
    },
    /// The signing key is not in the roster.
    #[error("key `{0}` is not in the roster in force")]
    UnknownKey(String),
    /// The signature is malformed, of another namespace or scheme, or does not verify.
    #[error("the signature of `{signer}` does not hold: {reason}")]
    BadSignature {
        /// Whose key it claims.
        signer: PrincipalId,
        /// What is wrong.
        reason: &'static str,
    },
    /// A security key signed without a touch.
    #[error("the security key of `{0}` signed without user presence")]
    NoTouch(PrincipalId),
    /// Made for another deployment.
    #[error("the statement was made for deployment `{found}`, this is `{expected}`")]
    WrongDeployment {
        /// In the statement.
        found: GenesisHash,
        /// This one.
        expected: GenesisHash,
    },
    /// Made before a recovery.
    #[error("the statement was made in epoch {found}, this is epoch {expected}")]
    WrongEpoch {
        /// In the statement.
        found: u64,
        /// The journal's.
        expected: u64,
    },
    /// Issued in the future.
    #[error("the statement is issued at {issued_at}, it is {now}")]
    NotYetValid {
        /// In the statement.
        issued_at: UtcSeconds,
        /// The signer's clock.
        now: Timestamp,
    },
    /// Expired.
    #[error("the statement expired at {expires_at}, it is {now}")]
    Expired {
        /// In the statement.
        expires_at: UtcSeconds,
        /// The signer's clock.
        now: Timestamp,
    },
}

impl StatementError {
    /// The stable tag.
    pub fn tag(&self) -> Tag {
        match self {
            Self::TooLarge(_) => Tag::StatementTooLarge,
            Self::Envelope(_) | Self::Payload { .. } => Tag::StatementMalformed,
            Self::UnknownKind(_) => Tag::StatementUnknownKind,
            Self::UnknownKey(_) => Tag::StatementUnknownKey,
            Self::BadSignature { .. } => Tag::StatementBadSignature,
            Self::NoTouch(_) => Tag::StatementNoTouch,
            Self::WrongDeployment { .. } => Tag::StatementWrongDeployment,
            Self::WrongEpoch { .. } => Tag::StatementWrongEpoch,
            Self::NotYetValid { .. } => Tag::StatementNotYetValid,
            Self::Expired { .. } => Tag::StatementExpired,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_input_is_printable_and_short() {
        assert_eq!(shown("it's `\"a\\b`~"), "it's `\"a\\b`~");
        assert_eq!(shown("a\n\u{202e}b"), "a\\n\\u{202e}b");
        assert_eq!(shown("x".repeat(MAX_REASON_CHARS + 1)), "x".repeat(MAX_REASON_CHARS));
    }
}

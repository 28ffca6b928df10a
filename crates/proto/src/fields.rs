//! Fields of messages to values of types, strictly, and back.

use countersign_types::{IdError, RuleId, Tag, WithdrawalId};
use tonic::Status;

use crate::{
    errors,
    limits::{DEFAULT_PAGE_SIZE, MAX_MESSAGE_CHARS, MAX_PAGE_SIZE, MAX_STATEMENT_BYTES, MAX_TRANSACTION_BYTES},
    v1,
};

/// Why a field was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    /// Absent or empty where it is required.
    #[error("`{field}` is missing")]
    Missing {
        /// The field.
        field: &'static str,
    },
    /// More than its bound.
    #[error("`{field}` has {size} bytes; at most {max} are accepted")]
    TooLarge {
        /// The field.
        field: &'static str,
        /// What was sent, in bytes.
        size: usize,
        /// The bound, in bytes.
        max: usize,
    },
    /// An enum left unspecified, or a number that names nothing.
    #[error("`{field}` holds {number}, which is no value of it")]
    BadEnum {
        /// The field.
        field: &'static str,
        /// What was sent.
        number: i32,
    },
    /// A page larger than the bound.
    #[error("`page_size` is {0}; at most {MAX_PAGE_SIZE} are accepted")]
    BadPageSize(u32),
    /// Not an identifier.
    #[error("`{field}`: {source}")]
    BadId {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        source: IdError,
    },
}

impl FieldError {
    /// The stable tag.
    pub fn tag(&self) -> Tag {
        match self {
            Self::TooLarge { .. } => Tag::MessageTooLarge,
            Self::Missing { .. } | Self::BadEnum { .. } | Self::BadPageSize(_) | Self::BadId { .. } => {
                Tag::MessageInvalid
            }
        }
    }
}

impl From<FieldError> for Status {
    fn from(error: FieldError) -> Self {
        errors::status(error.tag(), error.to_string())
    }
}

/// Bytes that must be there and within a bound.
fn parse_bytes(field: &'static str, bytes: Vec<u8>, max: usize) -> Result<Vec<u8>, FieldError> {
    match bytes.len() {
        0 => Err(FieldError::Missing { field }),
        size if size > max => Err(FieldError::TooLarge { field, size, max }),
        _ => Ok(bytes),
    }
}

/// The envelope bytes of a required statement.
pub fn parse_statement(field: &'static str, statement: Option<v1::Statement>) -> Result<Vec<u8>, FieldError> {
    let statement = statement.ok_or(FieldError::Missing { field })?;
    parse_bytes(field, statement.envelope, MAX_STATEMENT_BYTES)
}

/// The bytes of an unsigned transaction.
pub fn parse_transaction(bytes: Vec<u8>) -> Result<Vec<u8>, FieldError> {
    parse_bytes("unsigned_transaction", bytes, MAX_TRANSACTION_BYTES)
}

/// A withdrawal id.
pub fn parse_withdrawal_id(text: &str) -> Result<WithdrawalId, FieldError> {
    let field = "withdrawal_id";
    if text.is_empty() {
        return Err(FieldError::Missing { field });
    }
    text.parse().map_err(|source| FieldError::BadId { field, source })
}

/// A state; `_UNSPECIFIED` is refused.
pub fn parse_state(number: i32) -> Result<v1::WithdrawalState, FieldError> {
    let field = "state";
    match v1::WithdrawalState::try_from(number) {
        Ok(v1::WithdrawalState::Unspecified) | Err(_) => Err(FieldError::BadEnum { field, number }),
        Ok(state) => Ok(state),
    }
}

/// Rows of a page; 0 means [`DEFAULT_PAGE_SIZE`].
pub fn parse_page_size(rows: u32) -> Result<u32, FieldError> {
    match rows {
        0 => Ok(DEFAULT_PAGE_SIZE),
        rows if rows > MAX_PAGE_SIZE => Err(FieldError::BadPageSize(rows)),
        rows => Ok(rows),
    }
}

/// A statement to send.
pub fn statement(envelope: Vec<u8>) -> v1::Statement {
    v1::Statement { envelope }
}

/// A reason to send.
pub fn reason(tag: Tag, rule: Option<&RuleId>, message: &str) -> v1::Reason {
    v1::Reason {
        tag: tag.as_str().to_owned(),
        rule: rule.map(|rule| rule.as_str().to_owned()).unwrap_or_default(),
        message: message.chars().take(MAX_MESSAGE_CHARS).collect(),
    }
}

/// The tag of a received reason; `None` for one that this version does not know.
pub fn tag_of_reason(reason: &v1::Reason) -> Option<Tag> {
    reason.tag.parse().ok()
}

#[cfg(test)]
mod tests {
    use countersign_types::RequestDigest;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_unspecified_or_unknown_enum_is_refused() {
        assert_eq!(parse_state(3), Ok(v1::WithdrawalState::Signed));
        assert_eq!(parse_state(10), Ok(v1::WithdrawalState::Replacing));
        for number in [0, -1, 11, i32::MAX] {
            let error = parse_state(number).unwrap_err();
            assert_eq!(error, FieldError::BadEnum { field: "state", number });
            assert_eq!(error.tag(), Tag::MessageInvalid);
        }
    }

    #[test]
    fn bounds_are_inclusive() {
        assert!(parse_transaction(vec![0; MAX_TRANSACTION_BYTES]).is_ok());
        let error = parse_transaction(vec![0; MAX_TRANSACTION_BYTES + 1]).unwrap_err();
        assert_eq!(error.tag(), Tag::MessageTooLarge);
        assert_eq!(parse_transaction(vec![]).unwrap_err().tag(), Tag::MessageInvalid);
        assert!(parse_statement("request", Some(statement(vec![0; MAX_STATEMENT_BYTES]))).is_ok());
        let large = Some(statement(vec![0; MAX_STATEMENT_BYTES + 1]));
        assert_eq!(
            parse_statement("request", large).unwrap_err().tag(),
            Tag::MessageTooLarge
        );
        assert_eq!(
            parse_statement("request", None).unwrap_err().to_string(),
            "`request` is missing"
        );
    }

    #[test]
    fn a_page_has_bounds() {
        assert_eq!(parse_page_size(0), Ok(DEFAULT_PAGE_SIZE));
        assert_eq!(parse_page_size(MAX_PAGE_SIZE), Ok(MAX_PAGE_SIZE));
        assert_eq!(
            parse_page_size(MAX_PAGE_SIZE + 1),
            Err(FieldError::BadPageSize(MAX_PAGE_SIZE + 1))
        );
    }

    #[test]
    fn a_withdrawal_id_round_trips() {
        let id = WithdrawalId::of(RequestDigest::of(b"{}"));
        assert_eq!(parse_withdrawal_id(&id.to_string()), Ok(id));
        assert_eq!(parse_withdrawal_id("").unwrap_err().tag(), Tag::MessageInvalid);
        assert_eq!(parse_withdrawal_id("wd_x").unwrap_err().tag(), Tag::MessageInvalid);
    }

    #[test]
    fn a_reason_keeps_its_tag_and_rule() {
        let rule = RuleId::parse("pay-known").unwrap();
        let sent = reason(Tag::ForbidMatched, Some(&rule), "why");
        assert_eq!((sent.rule.as_str(), sent.message.as_str()), ("pay-known", "why"));
        assert_eq!(tag_of_reason(&sent), Some(Tag::ForbidMatched));
    }

    proptest! {
        #[test]
        fn ids_never_panic(text in "\\PC{0,80}") {
            drop(parse_withdrawal_id(&text));
        }
    }
}

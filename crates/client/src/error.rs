//! Why a call gave no answer.

use std::path::PathBuf;

use countersign_approval::StatementError;
use countersign_proto::errors;
use countersign_types::{Class, Tag};
use tonic::{Code, Status};

use crate::Withdrawal;

/// Why a call gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// A PEM file cannot be read.
    #[error("cannot read `{path}`: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// No connection: address, certificate or network.
    #[error("cannot connect to `{address}`: {reason}")]
    Connect {
        /// Where.
        address: String,
        /// Why, with every cause.
        reason: String,
    },
    /// The server said no.
    #[error("{tag}: {message}")]
    Refused {
        /// The stable tag.
        tag: Tag,
        /// For people.
        message: String,
    },
    /// No answer of ours: the network, a proxy, or a server that is ending.
    #[error("no answer ({code:?}): {message}")]
    NoAnswer {
        /// The gRPC code.
        code: Code,
        /// For people.
        message: String,
    },
    /// An answer that cannot be right.
    #[error("the answer's `{field}` is missing or not of its form")]
    BadAnswer {
        /// The field.
        field: &'static str,
    },
    /// An answer about something else than what was asked.
    #[error("the server answered about `{found}`, not about `{expected}`")]
    OtherSubject {
        /// What was asked about.
        expected: String,
        /// What came.
        found: String,
    },
    /// The envelope to send, or one that came, is not a statement of the kind that belongs there.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// The envelope to send is of another kind.
    #[error("the envelope is a {found}, not a {expected}")]
    WrongKind {
        /// What the call takes.
        expected: countersign_approval::Kind,
        /// What was given.
        found: countersign_approval::Kind,
    },
    /// The withdrawal was not decided in time; it goes on without us.
    #[error("the withdrawal was not decided in time")]
    NotDecided {
        /// As last seen, if it was seen at all.
        last: Option<Box<Withdrawal>>,
    },
}

impl ClientError {
    /// The stable tag; none where no answer of ours came.
    pub fn tag(&self) -> Option<Tag> {
        match self {
            Self::Refused { tag, .. } => Some(*tag),
            Self::Statement(error) => Some(error.tag()),
            Self::WrongKind { .. } => Some(Tag::StatementUnknownKind),
            Self::Unreadable { .. }
            | Self::Connect { .. }
            | Self::NoAnswer { .. }
            | Self::BadAnswer { .. }
            | Self::OtherSubject { .. }
            | Self::NotDecided { .. } => None,
        }
    }

    /// Whether the call may have been carried out although no answer came: it was on its way for too long, not turned away.
    pub fn may_be_done(&self) -> bool {
        match self {
            Self::NoAnswer { code, .. } => *code == Code::DeadlineExceeded,
            Self::Unreadable { .. }
            | Self::Connect { .. }
            | Self::Refused { .. }
            | Self::BadAnswer { .. }
            | Self::OtherSubject { .. }
            | Self::Statement(_)
            | Self::WrongKind { .. }
            | Self::NotDecided { .. } => false,
        }
    }

    /// Whether the same call may be answered a moment later.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Refused { tag, .. } => tag.class() == Class::Failed || *tag == Tag::CallerRateLimited,
            Self::NoAnswer { code, .. } => {
                matches!(
                    code,
                    Code::Unavailable | Code::Cancelled | Code::Unknown | Code::Aborted
                )
            }
            Self::Unreadable { .. }
            | Self::Connect { .. }
            | Self::BadAnswer { .. }
            | Self::OtherSubject { .. }
            | Self::Statement(_)
            | Self::WrongKind { .. }
            | Self::NotDecided { .. } => false,
        }
    }
}

impl From<Status> for ClientError {
    fn from(status: Status) -> Self {
        let message = status.message().to_owned();
        match errors::tag_of(&status) {
            Some(tag) => Self::Refused { tag, message },
            None => Self::NoAnswer {
                code: status.code(),
                message,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever is told that nothing runs does not look whether a cancel was taken.
    #[test]
    fn only_what_took_too_long_may_have_been_carried_out() {
        assert!(ClientError::from(Status::deadline_exceeded("slow")).may_be_done());
        for status in [
            Status::unavailable("gone"),
            Status::cancelled("gone"),
            errors::status(Tag::StoreUnavailable, "m"),
        ] {
            assert!(!ClientError::from(status).may_be_done());
        }
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        let passing = [
            Tag::SignerUnavailable,
            Tag::StoreUnavailable,
            Tag::JournalInDoubt,
            Tag::CallerRateLimited,
        ];
        for tag in Tag::ALL {
            let error = ClientError::from(errors::status(*tag, "m"));
            assert_eq!(error.tag(), Some(*tag));
            let expected = tag.class() == Class::Failed || passing.contains(tag);
            assert_eq!(error.is_passing(), expected, "{tag}");
        }
        assert!(ClientError::from(Status::unavailable("m")).is_passing());
        assert!(
            !ClientError::from(Status::deadline_exceeded("m")).is_passing(),
            "its time is over"
        );
        assert!(!ClientError::from(Status::permission_denied("m")).is_passing());
    }
}

//! Why a call gave no answer.

use std::{error::Error, path::PathBuf};

use countersign_approval::StatementError;
use countersign_proto::errors;
use countersign_types::{Class, Tag};
use tonic::{Code, ConnectError, Status};

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
        /// Whether the call may have reached a server that carries it out: it was sent, and not turned away.
        is_sent: bool,
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

    /// Whether the call may have been carried out although no answer came: it was on its way for too long, or the connection broke behind it.
    pub fn may_be_done(&self) -> bool {
        match self {
            Self::NoAnswer { is_sent, .. } => *is_sent,
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

    /// The same after an earlier attempt of the call that may have been carried out.
    pub(crate) fn after_sent(self, was_sent: bool) -> Self {
        match self {
            Self::NoAnswer { code, message, is_sent } => Self::NoAnswer {
                code,
                message,
                is_sent: is_sent || was_sent,
            },
            other @ (Self::Unreadable { .. }
            | Self::Connect { .. }
            | Self::Refused { .. }
            | Self::BadAnswer { .. }
            | Self::OtherSubject { .. }
            | Self::Statement(_)
            | Self::WrongKind { .. }
            | Self::NotDecided { .. }) => other,
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
                is_sent: !is_turned_away(status.code()) && !is_unconnected(&status),
            },
        }
    }
}

/// What a proxy, say, answers instead of passing a call on.
fn is_turned_away(code: Code) -> bool {
    match code {
        Code::InvalidArgument
        | Code::NotFound
        | Code::PermissionDenied
        | Code::ResourceExhausted
        | Code::FailedPrecondition
        | Code::OutOfRange
        | Code::Unimplemented
        | Code::Unauthenticated => true,
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::DeadlineExceeded
        | Code::AlreadyExists
        | Code::Aborted
        | Code::Internal
        | Code::Unavailable
        | Code::DataLoss => false,
    }
}

/// Whether there was no connection to send anything over.
fn is_unconnected(status: &Status) -> bool {
    let mut cause: Option<&(dyn Error + 'static)> = Some(status);
    while let Some(error) = cause {
        if error.is::<ConnectError>() {
            return true;
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever is told that nothing runs does not look whether a cancel was taken.
    #[test]
    fn what_was_sent_and_not_turned_away_may_have_been_carried_out() {
        for status in [
            Status::deadline_exceeded("slow"),
            Status::unavailable("gone"),
            Status::cancelled("gone"),
            Status::unknown("broken pipe"),
        ] {
            assert!(ClientError::from(status).may_be_done());
        }
        let refused = ConnectError(Box::new(std::io::Error::other("refused")));
        for status in [
            Status::from_error(Box::new(refused)),
            Status::unimplemented("another server"),
            Status::unauthenticated("a proxy"),
            errors::status(Tag::StoreUnavailable, "m"),
        ] {
            let error = ClientError::from(status);
            assert!(!error.may_be_done(), "{error}");
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

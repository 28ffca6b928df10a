//! The one mapping between [`Tag`] and [`Status`]. Denied, malformed and failed stay three different codes.

use std::collections::HashMap;

use countersign_types::{Class, Tag};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::limits::MAX_MESSAGE_CHARS;

/// The `google.rpc.ErrorInfo` domain of every error of ours.
pub const DOMAIN: &str = "countersign";
/// The key under which `ErrorInfo.metadata` carries the tag as text.
pub const TAG_KEY: &str = "tag";

/// The gRPC code of a tag.
pub fn code_of(tag: Tag) -> Code {
    match tag.class() {
        Class::Denied => Code::PermissionDenied,
        Class::Pending => Code::FailedPrecondition,
        Class::Malformed => Code::InvalidArgument,
        // A name that is taken stays taken; any other conflict may be gone on the next try.
        Class::Conflict if matches!(tag, Tag::ReferenceConflict | Tag::PaymentAlreadyClaimed) => Code::AlreadyExists,
        Class::Conflict => Code::Aborted,
        Class::Failed => Code::Unavailable,
        Class::Unauthorized if tag == Tag::CallerUnauthenticated => Code::Unauthenticated,
        Class::Unauthorized => Code::PermissionDenied,
        Class::NotFound => Code::NotFound,
        Class::Exhausted => Code::ResourceExhausted,
    }
}

/// The status of a tag: its code, a text for people, and `ErrorInfo` for programs.
pub fn status(tag: Tag, message: impl AsRef<str>) -> Status {
    let message: String = message.as_ref().chars().take(MAX_MESSAGE_CHARS).collect();
    let metadata = HashMap::from([(TAG_KEY.to_owned(), tag.as_str().to_owned())]);
    let details = ErrorDetails::with_error_info(tag.reason(), DOMAIN, metadata);
    Status::with_error_details(code_of(tag), message, details)
}

/// The tag that a status carries. `None` where the peer is not ours, or contradicts itself in code, reason or tag.
pub fn tag_of(status: &Status) -> Option<Tag> {
    let info = status.get_details_error_info()?;
    let tag: Tag = info.metadata.get(TAG_KEY)?.parse().ok()?;
    let agrees = info.domain == DOMAIN && info.reason == tag.reason() && status.code() == code_of(tag);
    agrees.then_some(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tag_comes_back() {
        for tag in Tag::ALL {
            let status = status(*tag, "why");
            assert_eq!(tag_of(&status), Some(*tag));
            assert_eq!(status.message(), "why");
        }
    }

    /// Golden: clients switch on codes.
    #[test]
    fn golden_codes() {
        let golden = [
            (Tag::PermitUncovered, Code::PermissionDenied),
            (Tag::ApprovalMissing, Code::FailedPrecondition),
            (Tag::TransactionMalformed, Code::InvalidArgument),
            (Tag::MessageInvalid, Code::InvalidArgument),
            (Tag::ReferenceConflict, Code::AlreadyExists),
            (Tag::PaymentAlreadyClaimed, Code::AlreadyExists),
            (Tag::ConflictKeyTaken, Code::Aborted),
            (Tag::WithdrawalWrongState, Code::Aborted),
            (Tag::SignerUnavailable, Code::Unavailable),
            (Tag::CallerUnauthenticated, Code::Unauthenticated),
            (Tag::CallerNotAllowed, Code::PermissionDenied),
            (Tag::WithdrawalNotFound, Code::NotFound),
            (Tag::CallerRateLimited, Code::ResourceExhausted),
        ];
        for (tag, code) in golden {
            assert_eq!(code_of(tag), code, "{tag}");
        }
    }

    #[test]
    fn a_foreign_or_inconsistent_status_has_no_tag() {
        let metadata = |tag: &str| HashMap::from([(TAG_KEY.to_owned(), tag.to_owned())]);
        let with = |code, reason: &str, domain: &str, tag: &str| {
            Status::with_error_details(code, "m", ErrorDetails::with_error_info(reason, domain, metadata(tag)))
        };
        assert!(
            tag_of(&with(
                Code::NotFound,
                "WITHDRAWAL_NOT_FOUND",
                DOMAIN,
                "withdrawal/not-found"
            ))
            .is_some()
        );
        let mutations = [
            Status::not_found("m"),
            with(
                Code::NotFound,
                "WITHDRAWAL_NOT_FOUND",
                "other.example",
                "withdrawal/not-found",
            ),
            with(Code::NotFound, "PERMIT_UNCOVERED", DOMAIN, "withdrawal/not-found"),
            with(Code::NotFound, "WITHDRAWAL_NOT_FOUND", DOMAIN, "withdrawal/unknown"),
            with(Code::Ok, "WITHDRAWAL_NOT_FOUND", DOMAIN, "withdrawal/not-found"),
        ];
        for status in mutations {
            assert_eq!(tag_of(&status), None, "{status:?}");
        }
    }

    #[test]
    fn a_long_message_is_cut() {
        let status = status(Tag::MessageInvalid, "é".repeat(5_000));
        assert_eq!(status.message().chars().count(), MAX_MESSAGE_CHARS);
    }
}

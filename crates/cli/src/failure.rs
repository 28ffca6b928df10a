//! Why a command did not do what was asked: a tag, what and where, what to do, and the exit code.

use std::{fmt, path::Path, process::ExitCode};

use countersign_bundle::{LoadError, LoadErrors, ManifestError};
use countersign_client::ClientError;
use countersign_types::{Class, Tag};
use serde::Serialize;
use serde_json::{Value, json};

use crate::output::harmless;

/// The stable exit codes; `--help` lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Done.
    Done = 0,
    /// Could not be done, or could not be decided.
    Failed = 1,
    /// The command line is wrong. Clap's own code.
    Usage = 2,
    /// Policy, lineage or a person said no.
    Denied = 3,
    /// Something is still missing.
    Pending = 4,
    /// Malformed, or the server disagrees with what was decoded here; nothing was signed.
    Refused = 5,
    /// A signature, proof or receipt does not verify.
    Unverified = 6,
}

impl Exit {
    /// The code that a tag's class asks for.
    pub(crate) fn of(tag: Tag) -> Self {
        match tag.class() {
            Class::Denied => Self::Denied,
            Class::Pending => Self::Pending,
            Class::Malformed => Self::Refused,
            Class::Conflict | Class::Failed | Class::Unauthorized | Class::NotFound | Class::Exhausted => Self::Failed,
        }
    }

    /// The number that the shell sees.
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Denied => 3,
            Self::Pending => 4,
            Self::Refused => 5,
            Self::Unverified => 6,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.number())
    }
}

/// What to do about each tag: the table that people read.
const TABLE: &str = include_str!("../../../docs/policy-rules.md");

/// The last column of a tag's row; `None` for what this version does not produce.
pub(crate) fn what_to_do(tag: Tag) -> Option<&'static str> {
    let head = format!("| `{tag}` | ");
    let row = TABLE.lines().find_map(|line| line.strip_prefix(&head))?;
    let (_, advice) = row.strip_suffix(" |")?.rsplit_once(" | ")?;
    Some(advice).filter(|advice| !advice.starts_with("reserved"))
}

/// What a command returns.
pub(crate) type Result<T> = std::result::Result<T, Failure>;

/// Why a command failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    exit: Exit,
    tag: Option<Tag>,
    message: String,
    advice: Option<String>,
    errors: Vec<Mistake>,
    /// How many mistakes there are beside those.
    left_out: usize,
}

/// One mistake of a bundle: `{"file","line","column","tag","message","advice"}`, for editors and pipelines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Mistake {
    file: String,
    line: u32,
    column: u32,
    tag: Tag,
    message: String,
    advice: Option<&'static str>,
}

impl Mistake {
    pub(crate) fn new(
        file: impl Into<String>,
        (line, column): (u32, u32),
        tag: Tag,
        message: impl fmt::Display,
    ) -> Self {
        Self {
            file: file.into(),
            line,
            column,
            tag,
            message: message.to_string(),
            advice: what_to_do(tag),
        }
    }
}

impl From<&LoadError> for Mistake {
    fn from(error: &LoadError) -> Self {
        let place = (error.line(), error.column());
        Self::new(error.file(), place, error.tag(), error.problem())
    }
}

impl Failure {
    fn new(exit: Exit, tag: Option<Tag>, message: impl fmt::Display) -> Self {
        Self {
            exit,
            tag,
            message: message.to_string(),
            advice: None,
            errors: Vec::new(),
            left_out: 0,
        }
    }

    /// Something outside did not work.
    pub(crate) fn failed(message: impl fmt::Display) -> Self {
        Self::new(Exit::Failed, None, message)
    }

    /// The arguments contradict each other or the environment.
    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Self::new(Exit::Usage, None, message)
    }

    /// Refused here, whatever a server says; nothing was signed.
    pub(crate) fn refused(tag: Tag, message: impl fmt::Display) -> Self {
        Self::new(Exit::Refused, Some(tag), message)
    }

    /// What a server would say as well: the exit code is that of the tag's class.
    pub(crate) fn denied(tag: Tag, message: impl fmt::Display) -> Self {
        Self::new(Exit::of(tag), Some(tag), message)
    }

    /// A bundle, or tests of one, that do not load. Where all mistakes are of one kind, what to do is what to do about that.
    pub(crate) fn does_not_load(what: impl fmt::Display, errors: &LoadErrors) -> Self {
        let mut failure = Self::refused(errors.tag(), format!("{what}:\n{errors}"));
        failure.errors = errors.iter().map(Mistake::from).collect();
        failure.left_out = errors.left_out();
        let of_first = failure.errors.first().map(|first| (first.tag, first.advice));
        if let Some((tag, Some(advice))) = of_first
            && failure.errors.iter().all(|other| other.tag == tag)
        {
            return failure.advise(advice);
        }
        failure
    }

    /// Files that no manifest can be made for: the whole, and what is wrong under its own tag.
    pub(crate) fn no_manifest(what: impl fmt::Display, error: &ManifestError) -> Self {
        Self::refused(Tag::BundleMalformed, format!("{what}: {}: {error}", error.tag()))
    }

    /// Does not verify against the pinned trust root.
    pub(crate) fn unverified(tag: Tag, message: impl fmt::Display) -> Self {
        Self::new(Exit::Unverified, Some(tag), message)
    }

    /// What a file operation said.
    pub(crate) fn file(path: &Path, doing: &str, error: impl fmt::Display) -> Self {
        Self::failed(format!("cannot {doing} `{}`: {error}", path.display()))
    }

    /// What a server answered, or that it did not.
    pub(crate) fn answered(server: &str, error: &ClientError) -> Self {
        // A file of this machine, before anybody was asked.
        if let ClientError::Unreadable { .. } = error {
            return Self::failed(error)
                .advise("name with `--as` who has a certificate and key under tls/, or have them issued");
        }
        let running = "is it running? In a development environment `countersign dev --dir …` starts both";
        let text = match error {
            ClientError::Refused { message, .. } => message.clone(),
            ClientError::Unreadable { .. }
            | ClientError::Connect { .. }
            | ClientError::NoAnswer { .. }
            | ClientError::BadAnswer { .. }
            | ClientError::OtherSubject { .. }
            | ClientError::Statement(_)
            | ClientError::WrongKind { .. }
            | ClientError::NotDecided { .. } => error.to_string(),
        };
        // It came over a wire.
        let text: String = harmless(&text).chars().take(1_024).collect();
        let failure = Self::new(exit_of(error), error.tag(), format!("{server}: {text}"));
        match error {
            // An orchestrator keeps a cancel, for one, and brings it to a signer that is down as soon as it is back.
            ClientError::NoAnswer { .. } if error.may_be_done() => failure.advise(
                "it may have been done all the same, or be done later: look, or repeat the command; where others answer, what stands behind this server does not (its log says)",
            ),
            ClientError::Connect { .. } | ClientError::NoAnswer { .. } => failure.advise(running),
            ClientError::Refused {
                tag: Tag::CallerUnauthenticated,
                ..
            } => failure.advise("the certificate under tls/ is not of this deployment's CA"),
            ClientError::OtherSubject { .. } | ClientError::BadAnswer { .. } => failure.advise(
                "do not trust this server: it answers about something else, or not in the form that was agreed",
            ),
            ClientError::Unreadable { .. }
            | ClientError::Refused { .. }
            | ClientError::Statement(_)
            | ClientError::WrongKind { .. }
            | ClientError::NotDecided { .. } => failure,
        }
    }

    /// The same failure, with each mistake by itself for whoever reads the JSON.
    #[must_use]
    pub(crate) fn listing(mut self, errors: Vec<Mistake>) -> Self {
        self.errors = errors;
        self
    }

    /// What to do about it.
    #[must_use]
    pub(crate) fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// The same failure under a stable tag.
    #[must_use]
    pub(crate) fn tagged(mut self, tag: Tag) -> Self {
        self.tag = Some(tag);
        self
    }

    /// The same failure, seen from further out.
    #[must_use]
    pub(crate) fn within(mut self, place: impl fmt::Display) -> Self {
        self.message = format!("{place}: {}", self.message);
        self
    }

    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }

    pub(crate) fn tag(&self) -> Option<Tag> {
        self.tag
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// What this place says to do, or else what the table says of the tag.
    fn advice(&self) -> Option<&str> {
        self.advice.as_deref().or_else(|| what_to_do(self.tag?))
    }

    /// `{"error":{"tag":…,"message":…,"advice":…,"exit":…}}`, and `errors` and `left_out` where something does not load.
    pub(crate) fn to_json(&self) -> Value {
        let mut error = json!({
            "tag": self.tag,
            "message": self.message,
            "advice": self.advice(),
            "exit": self.exit.number(),
        });
        if let (Some(error), false) = (error.as_object_mut(), self.errors.is_empty()) {
            error.insert("errors".to_owned(), json!(self.errors));
            error.insert("left_out".to_owned(), json!(self.left_out));
        }
        json!({ "error": error })
    }
}

fn exit_of(error: &ClientError) -> Exit {
    match error {
        ClientError::Refused { tag, .. } => Exit::of(*tag),
        // The server contradicts what was asked, or itself.
        ClientError::OtherSubject { .. } | ClientError::BadAnswer { .. } | ClientError::Statement(_) => Exit::Refused,
        ClientError::NotDecided { .. } => Exit::Pending,
        ClientError::Unreadable { .. }
        | ClientError::Connect { .. }
        | ClientError::NoAnswer { .. }
        | ClientError::WrongKind { .. } => Exit::Failed,
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.tag {
            Some(tag) => write!(f, "error: {tag}: {}", self.message)?,
            None => write!(f, "error: {}", self.message)?,
        }
        match self.advice() {
            Some(advice) => write!(f, "\nadvice: {advice}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_of_tag_has_its_exit_code() {
        let table = [
            (Tag::PermitUncovered, 3),
            (Tag::ApprovalRejected, 3),
            (Tag::ApprovalMissing, 4),
            (Tag::TransactionMalformed, 5),
            (Tag::ReceiptInvalid, 5),
            (Tag::ReferenceConflict, 1),
            (Tag::SignerUnavailable, 1),
            (Tag::CallerNotAllowed, 1),
            (Tag::WithdrawalNotFound, 1),
            (Tag::MessageTooLarge, 1),
        ];
        for (tag, code) in table {
            let error = ClientError::Refused {
                tag,
                message: "why".to_owned(),
            };
            let failure = Failure::answered("orchestrator", &error);
            assert_eq!((failure.exit().number(), failure.tag()), (code, Some(tag)), "{tag}");
        }
    }

    #[test]
    fn a_failure_says_tag_what_and_what_to_do() {
        let failure = Failure::refused(Tag::RequestPaymentsMismatch, "payment `p` is not in the bytes")
            .within("withdrawal `wd_x`")
            .advise("do not approve it");
        assert_eq!(
            failure.to_string(),
            "error: request/payments-mismatch: withdrawal `wd_x`: payment `p` is not in the bytes\nadvice: do not approve it"
        );
        assert_eq!(
            failure.to_json().to_string(),
            r#"{"error":{"advice":"do not approve it","exit":5,"message":"withdrawal `wd_x`: payment `p` is not in the bytes","tag":"request/payments-mismatch"}}"#
        );
    }

    #[test]
    fn every_tag_has_its_advice() {
        for tag in Tag::ALL {
            let is_reserved = TABLE.contains(&format!("`{tag}` | {} | {} | reserved", class(*tag), tag.meaning()));
            assert_eq!(what_to_do(*tag).is_none(), is_reserved, "{tag}");
        }
        let failure = Failure::refused(Tag::BundleVersionNotNext, "version 3 comes behind 1");
        let advice = "rebuild the manifest on the version in force";
        assert!(
            failure.to_string().ends_with(&format!("\nadvice: {advice}")),
            "{failure}"
        );
        assert_eq!(failure.to_json()["error"]["advice"], advice);
    }

    fn class(tag: Tag) -> String {
        format!("{:?}", tag.class()).to_lowercase()
    }

    #[test]
    fn a_server_that_contradicts_itself_is_refused() {
        let other = ClientError::OtherSubject {
            expected: "wd_a".to_owned(),
            found: "wd_b".to_owned(),
        };
        let bad = ClientError::BadAnswer { field: "state" };
        for error in [other, bad] {
            assert_eq!(
                Failure::answered("orchestrator", &error).exit(),
                Exit::Refused,
                "{error}"
            );
        }
    }

    #[test]
    fn what_a_server_wrote_cannot_move_the_cursor() {
        let error = ClientError::Refused {
            tag: Tag::MessageInvalid,
            message: "a\u{1b}[2Jb\r\nc".to_owned(),
        };
        assert_eq!(
            Failure::answered("signer", &error).message(),
            "signer: a\\u{1b}[2Jb\\r\\nc"
        );
    }
}

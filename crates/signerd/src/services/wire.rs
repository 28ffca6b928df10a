//! Values of the core to messages, and the fields that only this process knows.

use std::collections::BTreeMap;

use countersign_decision::Reason;
use countersign_proto::{
    errors, fields,
    fields::FieldError,
    limits::{MAX_BUNDLE_BYTES, MAX_BUNDLES_PAGE_BYTES},
    signer::v1::{
        ActivatedBundle, Allowed, AuthorizeResponse, BundleFile, Denied, EvaluateResponse, Malformed, Pending,
        SeenStatement, Signed, authorize_response, evaluate_response,
    },
    v1,
};
use countersign_signer::{Answer, JournaledStatement, Page, StoredBundle};
use countersign_types::{BundleDigest, GroupId, Tag, Timestamp};
use tonic::Status;

/// Files of a bundle; its format knows fewer.
pub(super) const MAX_BUNDLE_FILES: usize = 256;
/// A path inside a bundle.
pub(super) const MAX_PATH_BYTES: usize = 255;
/// Bundles of one answer.
pub(super) const MAX_BUNDLES: usize = 64;
/// Room in an answer for what is not file content.
const FRAMING_BYTES: usize = 1024 * 1024;

fn invalid(message: impl AsRef<str>) -> Status {
    errors::status(Tag::MessageInvalid, message)
}

fn too_large(message: impl AsRef<str>) -> Status {
    errors::status(Tag::MessageTooLarge, message)
}

/// Each within its bound, and no more than so many.
pub(super) fn parse_statements(statements: Vec<v1::Statement>, max: usize) -> Result<Vec<Vec<u8>>, Status> {
    if statements.len() > max {
        return Err(too_large(format!(
            "`statements` has {} elements; at most {max} are accepted",
            statements.len()
        )));
    }
    let parse = |statement| fields::parse_statement("statements", Some(statement));
    Ok(statements.into_iter().map(parse).collect::<Result<_, FieldError>>()?)
}

/// Distinct paths, all within the bound. Whether they are those of the manifest is the core's business.
pub(super) fn parse_files(files: Vec<BundleFile>) -> Result<BTreeMap<String, Vec<u8>>, Status> {
    if files.is_empty() {
        return Err(FieldError::Missing { field: "files" }.into());
    }
    if files.len() > MAX_BUNDLE_FILES {
        return Err(too_large(format!(
            "`files` has {} elements; at most {MAX_BUNDLE_FILES} are accepted",
            files.len()
        )));
    }
    let size = files.iter().map(|file| file.data.len()).fold(0, usize::saturating_add);
    if size > MAX_BUNDLE_BYTES {
        return Err(FieldError::TooLarge {
            field: "files",
            size,
            max: MAX_BUNDLE_BYTES,
        }
        .into());
    }
    let mut by_path = BTreeMap::new();
    for BundleFile { path, data } in files {
        if !(1..=MAX_PATH_BYTES).contains(&path.len()) {
            return Err(invalid(format!(
                "`files.path` has 1 to {MAX_PATH_BYTES} bytes, not {}",
                path.len()
            )));
        }
        let shown = path.escape_default().to_string();
        if by_path.insert(path, data).is_some() {
            return Err(invalid(format!("`files` names `{shown}` twice")));
        }
    }
    Ok(by_path)
}

/// 1 to [`Page::MAX`]; 0 means the most.
pub(super) fn parse_entry_count(count: u32) -> Result<u32, Status> {
    match count {
        0 => Ok(Page::MAX),
        count if count > Page::MAX => Err(invalid(format!(
            "`count` is {count}; at most {} are accepted",
            Page::MAX
        ))),
        count => Ok(count),
    }
}

/// Only the latest checkpoint is served: a size that would be ignored is refused.
pub(super) fn parse_tree_size(size: u64) -> Result<(), Status> {
    match size {
        0 => Ok(()),
        size => Err(invalid(format!(
            "`tree_size` is {size}; only 0, the latest checkpoint, is served"
        ))),
    }
}

/// Entries with their positions.
pub(super) fn entries(start: u64, entries: Vec<Vec<u8>>) -> Vec<v1::Entry> {
    // In this order: a range that starts at the last number ends in a panic when it is asked first.
    entries
        .into_iter()
        .zip(start..)
        .map(|(data, index)| v1::Entry { index, data })
        .collect()
}

/// As many bundles as one answer holds, and at least one, so that asking again behind the last one comes to an end.
pub(super) fn bundles_page(bundles: Vec<StoredBundle>) -> (Vec<ActivatedBundle>, Vec<BundleDigest>) {
    let mut room = MAX_BUNDLES_PAGE_BYTES.saturating_sub(FRAMING_BYTES);
    let (mut page, mut digests) = (Vec::new(), Vec::new());
    for bundle in bundles.into_iter().take(MAX_BUNDLES) {
        let statements = bundle.statements.iter().map(|statement| &statement.envelope);
        let contents = bundle.files.values().chain(statements);
        let size = contents.map(Vec::len).fold(0, usize::saturating_add);
        if size > room && !page.is_empty() {
            break;
        }
        room = room.saturating_sub(size);
        digests.push(bundle.digest);
        page.push(activated_bundle(bundle));
    }
    (page, digests)
}

fn activated_bundle(bundle: StoredBundle) -> ActivatedBundle {
    let files = bundle.files.into_iter().map(|(path, data)| BundleFile { path, data });
    ActivatedBundle {
        version: bundle.version,
        files: files.collect(),
        statements: bundle.statements.into_iter().map(seen_statement).collect(),
        activated_at_ms: bundle.activated_at.unix_millis(),
    }
}

/// A journaled statement.
pub(super) fn seen_statement(statement: JournaledStatement) -> SeenStatement {
    SeenStatement {
        statement: Some(fields::statement(statement.envelope)),
        first_seen_at_ms: statement.first_seen_at.unix_millis(),
    }
}

/// The tags, for a log line.
pub(super) fn tags(reasons: &[Reason]) -> String {
    let tags: Vec<&str> = reasons.iter().map(|reason| reason.tag.as_str()).collect();
    tags.join(" ")
}

fn wire_reasons(reasons: &[Reason]) -> Vec<v1::Reason> {
    let reason = |reason: &Reason| fields::reason(reason.tag, reason.rule.as_ref(), &reason.message);
    reasons.iter().map(reason).collect()
}

fn pending(missing: Vec<(GroupId, u32, u32)>, not_before: Option<Timestamp>, reasons: Vec<Reason>) -> Pending {
    let missing = missing
        .into_iter()
        .map(|(group, required, filled)| v1::MissingApprovals {
            group: group.to_string(),
            required,
            filled,
        });
    Pending {
        missing: missing.collect(),
        not_before_ms: not_before.map_or(0, Timestamp::unix_millis),
        reasons: wire_reasons(&reasons),
    }
}

fn denied(reasons: Vec<Reason>, is_final: bool) -> Denied {
    Denied {
        reasons: wire_reasons(&reasons),
        r#final: is_final,
    }
}

fn malformed(reasons: Vec<Reason>) -> Malformed {
    Malformed {
        reasons: wire_reasons(&reasons),
    }
}

/// An answer that its call cannot give: a bug of ours, and for the caller a failure.
fn impossible(answer: &'static str) -> Status {
    errors::status(
        Tag::SignerUnavailable,
        format!("the signing core answered `{answer}` to another question"),
    )
}

/// The answer of `Authorize`.
pub(super) fn authorize_response(answer: Answer) -> Result<AuthorizeResponse, Status> {
    use authorize_response::Outcome;
    let (outcome, decision) = match answer {
        Answer::Signed {
            transaction,
            attempt,
            decision,
        } => {
            let signed = Signed {
                transaction: transaction.bytes,
                txid: transaction.txid,
                attempt,
            };
            (Outcome::Signed(signed), decision)
        }
        Answer::Pending {
            missing,
            not_before,
            reasons,
            decision,
        } => (Outcome::Pending(pending(missing, not_before, reasons)), decision),
        Answer::Denied {
            reasons,
            is_final,
            decision,
        } => (Outcome::Denied(denied(reasons, is_final)), decision),
        Answer::Malformed { reasons, decision } => (Outcome::Malformed(malformed(reasons)), decision),
        Answer::Allowed { .. } => return Err(impossible("allowed")),
    };
    Ok(AuthorizeResponse {
        outcome: Some(outcome),
        decision,
    })
}

/// The answer of `Evaluate`.
pub(super) fn evaluate_response(answer: Answer) -> Result<EvaluateResponse, Status> {
    use evaluate_response::Outcome;
    let (outcome, decision) = match answer {
        Answer::Allowed { decision } => (Outcome::Allowed(Allowed {}), decision),
        Answer::Pending {
            missing,
            not_before,
            reasons,
            decision,
        } => (Outcome::Pending(pending(missing, not_before, reasons)), decision),
        Answer::Denied {
            reasons,
            is_final,
            decision,
        } => (Outcome::Denied(denied(reasons, is_final)), decision),
        Answer::Malformed { reasons, decision } => (Outcome::Malformed(malformed(reasons)), decision),
        Answer::Signed { .. } => return Err(impossible("signed")),
    };
    Ok(EvaluateResponse {
        outcome: Some(outcome),
        decision,
    })
}

#[cfg(test)]
mod tests;

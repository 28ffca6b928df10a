//! The strict reader. Everything that YAML leaves open is closed here, in one place.

use countersign_types::Tag;
use serde::de::DeserializeOwned;
use serde_saphyr::{
    DuplicateKeyPolicy, MergeKeyPolicy, RenderOptions, SnippetMode, UserMessageFormatter, budget::BudgetBreach,
};

use crate::{
    MAX_FILE_BYTES,
    error::{Found, LoadError},
    places::{Place, Places, TOP},
    problem::Problem,
};

/// The deepest nesting that a bundle file needs is 6.
const MAX_DEPTH: usize = 16;
/// The most values in one file: 100 000 destinations with three values and a mapping each fit.
const MAX_NODES: usize = 800_000;

/// What to do about a number of another form.
pub(crate) const PLAIN_NUMBER: &str = "write a whole number in plain decimal digits";

const ALIASES: &str = "aliases (`*name`) are not accepted: write the value out";
const ONE_DOCUMENT: &str = "one file holds one document: nothing may stand behind a second `---`";

/// A file that was read, and where everything in it stands.
pub(crate) struct Doc<'a, T> {
    pub(crate) file: &'a str,
    pub(crate) raw: T,
    pub(crate) places: Places,
}

impl<T> Doc<'_, T> {
    pub(crate) fn at(&self, place: Place, problem: impl Into<Problem>) -> LoadError {
        LoadError::new(self.file, place, problem)
    }

    /// An error at the value of a path.
    pub(crate) fn value(&self, path: &str, problem: impl Into<Problem>) -> LoadError {
        self.at(self.places.value(path), problem)
    }

    /// An error at the key of a path.
    pub(crate) fn key(&self, path: &str, problem: impl Into<Problem>) -> LoadError {
        self.at(self.places.key(path), problem)
    }
}

/// Reads one document; notes what is wrong and returns nothing if anything is.
pub(crate) fn read<'a, T: DeserializeOwned>(file: &'a str, bytes: &[u8], found: &mut Found) -> Option<Doc<'a, T>> {
    let text = match text(file, bytes) {
        Ok(text) => text,
        Err(error) => {
            found.push(error);
            return None;
        }
    };
    let raw = serde_saphyr::from_str_with_options(text, options()).map_err(|error| found.push(locate(file, &error)));
    let raw = raw.ok()?;
    let places = Places::of(text);
    for (place, path) in &places.empty {
        found.push(LoadError::new(file, *place, Problem::NoValue(path.clone())));
    }
    // `!!binary` holds a text that nobody reads, and a key that only looks like another one.
    for place in &places.tagged {
        found.push(LoadError::new(file, *place, Problem::Tagged));
    }
    let is_plain = places.empty.is_empty() && places.tagged.is_empty();
    is_plain.then_some(Doc { file, raw, places })
}

/// The text, if a reviewer sees in it what a program reads.
fn text<'b>(file: &str, bytes: &'b [u8]) -> Result<&'b str, LoadError> {
    let text = std::str::from_utf8(bytes).map_err(|_| LoadError::new(file, TOP, Problem::NotUtf8))?;
    for (number, line) in (1_u32..).zip(text.split('\n')) {
        for (column, c) in (1_u32..).zip(line.chars()) {
            if is_hidden(c) {
                return Err(LoadError::new(
                    file,
                    (number, column),
                    Problem::HiddenCharacter(c.into()),
                ));
            }
        }
    }
    Ok(text)
}

/// Controls, zero-width characters, bidirectional overrides and other line ends.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

fn options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_reader_input_bytes: Some(MAX_FILE_BYTES),
            max_events: MAX_NODES.saturating_mul(2),
            max_nodes: MAX_NODES,
            max_aliases: 0,
            max_anchors: 0,
            max_depth: MAX_DEPTH,
            flow_nesting_limit: MAX_DEPTH,
            max_documents: 1,
            max_merge_keys: 0,
            max_total_scalar_bytes: MAX_FILE_BYTES,
        },
        duplicate_keys: DuplicateKeyPolicy::Error,
        merge_keys: MergeKeyPolicy::Error,
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 0,
            max_replay_stack_depth: 0,
            max_alias_expansions_per_anchor: 0,
        },
        strict_indentation: true,
        strict_booleans: true,
        no_schema: true,
        reject_unsupported_tags: true,
        reject_tagged_field_names: true,
        with_snippet: false,
    }
}

fn locate(file: &str, error: &serde_saphyr::Error) -> LoadError {
    let place = error.location().map_or(TOP, |location| {
        let number = |n: u64| u32::try_from(n).unwrap_or(u32::MAX).max(1);
        (number(location.line()), number(location.column()))
    });
    LoadError::new(file, place, Problem::Yaml(tag(error), message(error)))
}

/// What is wrong: with the YAML, with a key, or with a value.
fn tag(error: &serde_saphyr::Error) -> Tag {
    use serde_saphyr::Error;
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the enum is large, foreign and open: the rest is YAML that is not accepted"
    )]
    match error {
        Error::SerdeUnknownField { .. } => Tag::BundleUnknownField,
        Error::DuplicateMappingKey { .. } => Tag::BundleDuplicateKey,
        Error::SerdeMissingField { .. } => Tag::BundleMissingValue,
        Error::QuotingRequired { .. }
        | Error::InvalidScalar { .. }
        | Error::InvalidBooleanStrict { .. }
        | Error::Unexpected { .. }
        | Error::SerdeInvalidType { .. }
        | Error::SerdeInvalidValue { .. }
        | Error::SerdeInvalidLength { .. }
        | Error::SerdeUnknownVariant { .. }
        | Error::Message { .. } => Tag::BundleBadValue,
        _ => Tag::BundleBadYaml,
    }
}

/// What stands where something of another form is wanted: the reader names forms by its own events.
fn misplaced(expected: &str) -> String {
    match expected {
        "sequence start" => "a list stands here: write `[…]`, also for one value".to_owned(),
        "mapping start" => {
            "`key: value` stands here: write `{ key: value }`, or the keys on lines of their own".to_owned()
        }
        "string scalar" | "scalar" => {
            "one value stands here, in quotes where it is an amount or a number: no list, and no `key: value`"
                .to_owned()
        }
        other => format!("expected {other}"),
    }
}

/// Which bound of [`options`] the file is over: some stand for what is not accepted at all.
fn over_budget(breach: &BudgetBreach) -> String {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the enum is foreign and open: the rest are bounds on size"
    )]
    match breach {
        BudgetBreach::Anchors { .. } => "anchors (`&name`) are not accepted: write the value out".to_owned(),
        BudgetBreach::Aliases { .. } => ALIASES.to_owned(),
        BudgetBreach::Documents { .. } => ONE_DOCUMENT.to_owned(),
        BudgetBreach::Depth { .. } => format!("lists and mappings stand more than {MAX_DEPTH} deep in each other"),
        _ => "the file is too large".to_owned(),
    }
}

/// What to do, where the reader does not say it.
fn message(error: &serde_saphyr::Error) -> String {
    use serde_saphyr::Error;
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the enum is large, foreign and open: the rest says it well"
    )]
    match error {
        Error::QuotingRequired { .. } => {
            "put the value in quotes: without them it is a number or a truth value".to_owned()
        }
        Error::InvalidScalar { .. } => PLAIN_NUMBER.to_owned(),
        Error::Budget { breach, .. } => over_budget(breach),
        Error::UnknownAnchor { .. } => ALIASES.to_owned(),
        Error::MultipleDocuments { .. } => ONE_DOCUMENT.to_owned(),
        Error::Unexpected { expected, .. } => misplaced(expected),
        _ => {
            let mut options = RenderOptions::new(&UserMessageFormatter);
            options.snippets = SnippetMode::Off;
            let message = error.render_with_options(options);
            // The renderer appends the place, which stands in front already.
            let message = message
                .rsplit_once(" at line ")
                .map_or(message.as_str(), |(message, _)| message);
            message.to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    /// Lists of lists.
    #[derive(Deserialize)]
    struct Nested(#[expect(dead_code, reason = "only read")] Vec<Nested>);

    fn said(text: &str) -> Result<(), String> {
        let mut found = Found::default();
        read::<Nested>("lists.yaml", text.as_bytes(), &mut found);
        found.conclude().map_err(|errors| errors.to_string())
    }

    #[test]
    fn what_is_not_accepted_of_yaml_is_named() {
        let nested = |depth: usize| format!("{}[]", "- ".repeat(depth - 1));
        assert_eq!(said(&nested(MAX_DEPTH)), Ok(()));
        let table = [
            (
                nested(MAX_DEPTH + 1),
                "1:33: bundle/bad-yaml: lists and mappings stand more than 16 deep in each other",
            ),
            (
                "- &a []".to_owned(),
                "1:6: bundle/bad-yaml: anchors (`&name`) are not accepted: write the value out",
            ),
            (
                "- *a".to_owned(),
                "1:3: bundle/bad-yaml: aliases (`*name`) are not accepted: write the value out",
            ),
            (
                "[]\n---\n[]".to_owned(),
                "2:1: bundle/bad-yaml: one file holds one document: nothing may stand behind a second `---`",
            ),
        ];
        for (text, error) in table {
            assert_eq!(said(&text), Err(format!("lists.yaml:{error}")), "{text}");
        }
        // The usual start of a document is no second one.
        assert_eq!(said("---\n[]\n"), Ok(()));
    }
}

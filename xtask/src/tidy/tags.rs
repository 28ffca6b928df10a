//! Tags: the list in the code, the table in the docs and the tests say the same.

use std::collections::BTreeMap;

use super::Violation;
use super::rust_source;
use super::tree::{Tree, numbered};

const LIST: &str = "crates/types/src/tag.rs";
/// Lints have tags of their own: they say something about a policy and nothing about a withdrawal.
const LINTS: &str = "crates/bundle/src/lints.rs";
const TABLE: &str = "docs/policy-rules.md";

pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    let (Some(list), Some(table)) = (tree.text(LIST), tree.text(TABLE)) else {
        let missing = if tree.text(LIST).is_none() { LIST } else { TABLE };
        return vec![Violation::new(
            missing,
            1,
            "the file is missing: the list of tags and their table belong together",
        )];
    };
    let mut tags = listed(LIST, list);
    tags.extend(listed(LINTS, tree.text(LINTS).unwrap_or_default()));
    let rows = rows(table);
    let tests = tests(tree);
    let mut violations = Vec::new();
    for (path, text) in [(LIST, Some(list)), (LINTS, tree.text(LINTS))] {
        if text.is_some() && !tags.iter().any(|tag| tag.path == path) {
            violations.push(Violation::new(
                path,
                1,
                "no tags were found: has the form `Name = \"area/what\", Class` changed?",
            ));
        }
    }
    for tag in &tags {
        match rows.get(tag.text) {
            None => violations.push(Violation::new(
                tag.path,
                tag.line,
                format!("`{}` has no row in {TABLE}: add one", tag.text),
            )),
            Some(row) if !row.reserved && !tests.iter().any(|test| tag.is_in(test)) => {
                let message = format!(
                    "`{}` is in no test: write one that expects it, or mark its row in {TABLE} as reserved",
                    tag.text
                );
                violations.push(Violation::new(tag.path, tag.line, message));
            }
            Some(_) => {}
        }
    }
    for (text, row) in &rows {
        if !tags.iter().any(|tag| tag.text == *text) {
            violations.push(Violation::new(
                TABLE,
                row.line,
                format!("`{text}` is neither in {LIST} nor in {LINTS}: remove the row, or add the tag"),
            ));
        }
    }
    violations
}

struct Tag<'a> {
    path: &'static str,
    name: &'a str,
    text: &'a str,
    line: usize,
}

impl Tag<'_> {
    /// Whether a test names it: `Tag::Name` or `LintKind::Name`, or its text between characters that no tag has.
    fn is_in(&self, test: &str) -> bool {
        let kind = if self.path == LINTS { "LintKind" } else { "Tag" };
        occurs(test, &format!("{kind}::{}", self.name), |c| {
            c.is_alphanumeric() || c == '_'
        }) || occurs(test, self.text, |c| c.is_alphanumeric() || c == '-' || c == '/')
    }
}

/// Whether `needle` occurs with no character of the same word after it; and before it for texts.
fn occurs(text: &str, needle: &str, in_word: impl Fn(char) -> bool) -> bool {
    text.match_indices(needle).any(|(at, _)| {
        let before = text.get(..at).and_then(|before| before.chars().next_back());
        let after = text
            .get(at..)
            .and_then(|rest| rest.strip_prefix(needle))
            .and_then(|rest| rest.chars().next());
        !before.is_some_and(&in_word) && !after.is_some_and(&in_word)
    })
}

/// Lines such as `PermitUncovered = "permit/uncovered", Denied, "what it means";`.
fn listed<'a>(path: &'static str, text: &'a str) -> Vec<Tag<'a>> {
    let tag = |(line, text): (usize, _)| {
        let (name, rest): (&str, &str) = str::split_once(text, " = \"")?;
        let (text, _) = rest.split_once("\", ")?;
        let name = name.trim();
        let is_name = name.chars().all(char::is_alphanumeric) && name.starts_with(char::is_uppercase);
        (is_name && is_tag(text)).then_some(Tag { path, name, text, line })
    };
    numbered(text).filter_map(tag).collect()
}

struct Row {
    line: usize,
    /// Not produced by anything yet, so no test can expect it.
    reserved: bool,
}

/// Table rows whose first cell is a tag between backticks.
fn rows(text: &str) -> BTreeMap<&str, Row> {
    let row = |(line, text): (usize, _)| {
        let (first, rest) = str::split_once(str::strip_prefix(text, "|")?, '|')?;
        let tag = first.trim().strip_prefix('`')?.strip_suffix('`')?;
        let reserved = rest.to_ascii_lowercase().contains("reserved");
        is_tag(tag).then_some((tag, Row { line, reserved }))
    };
    numbered(text).filter_map(row).collect()
}

fn is_tag(text: &str) -> bool {
    let word = |word: &str| {
        !word.is_empty()
            && word
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    };
    text.split_once('/')
        .is_some_and(|(area, what)| word(area) && word(what))
}

/// Everything that counts as a test: test code, vectors, and policies with their tests.
fn tests(tree: &Tree) -> Vec<String> {
    let mut tests = Vec::new();
    for (path, text) in tree.files() {
        let is_data = path.contains("vectors/") || path.contains("/tests/") || path.starts_with("policies/");
        if is_data || (path.ends_with(".rs") && rust_source::is_test_file(tree, path)) {
            tests.push(text.to_owned());
        } else if path.ends_with(".rs") && ![LIST, LINTS].contains(&path) && !path.starts_with("xtask/") {
            tests.push(rust_source::test_code(text));
        }
    }
    tests
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAGS: &str =
        "tags! {\n    A = \"limit/over\", Denied, \"x\";\n    B = \"limit/over-far\", Denied, \"x\";\n}\n";

    fn found(table: &str, test: &str) -> Vec<String> {
        let tree = Tree::of(&[(LIST, TAGS), (TABLE, table), ("crates/a/tests/t.rs", test)]);
        check(&tree).into_iter().map(|violation| violation.message).collect()
    }

    #[test]
    fn tags_rows_and_tests_agree() {
        let none: [String; 0] = [];
        assert_eq!(
            found(
                "| `limit/over` | x |\n| `limit/over-far` | x |\n",
                "Tag::A; \"limit/over-far\""
            ),
            none
        );
        assert_eq!(
            found("| `limit/over` | x |\n| `limit/over-far` | reserved |\n", "Tag::A"),
            none
        );
    }

    #[test]
    fn each_disagreement_is_named() {
        let found = found(
            "| `limit/over` | x |\n| `limit/gone` | x |\n",
            "Tag::Another; \"limit/over-far\"",
        );
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found[0].starts_with("`limit/over` is in no test"));
        assert!(found[1].starts_with("`limit/over-far` has no row"));
        assert!(found[2].starts_with("`limit/gone` is neither in"));
    }

    #[test]
    fn lints_have_rows_and_tests_too() {
        let lints = "lints! {\n    Wide = \"lint/wide\", Error;\n}\n";
        let messages = |table: &str, test: &str| {
            let table = format!("| `limit/over` | x |\n| `limit/over-far` | x |\n{table}");
            let test = format!("Tag::A; Tag::B; {test}");
            let tree = Tree::of(&[
                (LIST, TAGS),
                (LINTS, lints),
                (TABLE, &table),
                ("crates/a/tests/t.rs", &test),
            ]);
            let violations = check(&tree).into_iter();
            violations.map(|violation| violation.message).collect::<Vec<_>>()
        };
        let none: [String; 0] = [];
        assert_eq!(messages("| `lint/wide` | error |\n", "LintKind::Wide"), none);
        assert_eq!(
            messages("| `lint/wide` | error |\n", "Tag::Wide").len(),
            1,
            "of another kind"
        );
        assert_eq!(messages("", "LintKind::Wide").len(), 1, "without a row");
    }

    #[test]
    fn a_missing_table_is_one_violation() {
        assert_eq!(check(&Tree::of(&[(LIST, TAGS)])).len(), 1);
    }
}

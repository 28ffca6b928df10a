//! What changed in the text of a file, for people: which way a change goes says nothing about what it is.

use std::{collections::BTreeSet, time::Duration};

use countersign_bundle::Bundle;
use serde::Serialize;
use similar::{Change, ChangeTag, TextDiff};

use crate::output::harmless;

/// The most lines that are shown of one file: whoever changes more has to compare the files themselves.
const MAX_SHOWN: usize = 80;
/// Lines before and behind each change.
const CONTEXT: usize = 1;
/// How long the shortest way from one file to the other is searched; a longer one shows the change as well.
const PATIENCE: Duration = Duration::from_secs(2);
/// Lists may have a million lines; their entries are counted elsewhere.
const LISTS: &str = "lists/";

/// `{"path","lines"}`: each line behind `- `, `+ ` or two spaces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct ChangedFile {
    pub(super) path: String,
    pub(super) lines: Vec<String>,
}

/// The files of two bundles that differ, lists and manifest left out.
pub(super) fn changed_files(old: &Bundle, new: &Bundle) -> Vec<ChangedFile> {
    let (old, new) = (old.files(), new.files());
    let paths: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let is_text = |path: &&String| !path.starts_with(LISTS) && *path != countersign_bundle::MANIFEST_PATH;
    let differing = paths.into_iter().filter(|path| old.get(*path) != new.get(*path));
    let text = |bytes: Option<&Vec<u8>>| String::from_utf8_lossy(bytes.map_or(&[][..], Vec::as_slice)).into_owned();
    let shown = |path: &String| ChangedFile {
        path: path.clone(),
        lines: changed_lines(&text(old.get(path)), &text(new.get(path))),
    };
    differing.filter(is_text).map(shown).collect()
}

/// What goes and comes, with a line around each change.
fn changed_lines(old: &str, new: &str) -> Vec<String> {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let diff = TextDiff::configure().timeout(PATIENCE).diff_slices(&old, &new);
    let groups = diff.grouped_ops(CONTEXT);
    let changes = groups.iter().flatten().flat_map(|op| diff.iter_changes(op));
    let mut lines: Vec<String> = changes.map(|change| line(&change)).collect();
    let left_out = lines.len().saturating_sub(MAX_SHOWN);
    if left_out > 0 {
        lines.truncate(MAX_SHOWN);
        lines.push(format!("  and {left_out} more lines: compare the files"));
    }
    lines
}

fn line(change: &Change<&str>) -> String {
    let edit = match change.tag() {
        ChangeTag::Equal => ' ',
        ChangeTag::Delete => '-',
        ChangeTag::Insert => '+',
    };
    format!("{edit} {}", harmless(change.value()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_shown_with_a_line_around_them() {
        let table: [(&str, &str, &[&str]); 7] = [
            ("a\nb\nc\nd\ne", "a\nb\nx\nd\ne", &["  b", "- c", "+ x", "  d"]),
            ("a\nb", "a\nb\nc", &["  b", "+ c"]),
            ("b\nc", "a\nb\nc", &["+ a", "  b"]),
            ("", "a", &["+ a"]),
            ("a", "", &["- a"]),
            (
                "a\n1\nb\nc\nd\n2\ne",
                "a\n3\nb\nc\nd\n4\n5\ne",
                &["  a", "- 1", "+ 3", "  b", "  d", "- 2", "+ 4", "+ 5", "  e"],
            ),
            ("a\n\u{202e}b", "a\nb", &["  a", "- \\u{202e}b", "+ b"]),
        ];
        for (old, new, expected) in table {
            assert_eq!(changed_lines(old, new), expected, "{old:?} to {new:?}");
        }
    }

    #[test]
    fn what_is_moved_goes_and_comes() {
        assert_eq!(changed_lines("a\nb\nc", "c\na\nb"), ["+ c", "  a", "  b", "- c"]);
    }

    #[test]
    fn no_change_is_too_large_to_be_shown_as_one() {
        let text = |prefix: &str| (0..3_000).map(|n| format!("{prefix}{n}\n")).collect::<String>();
        let lines = changed_lines(&text("a"), &text("b"));
        assert_eq!(lines.len(), MAX_SHOWN + 1);
        assert_eq!(lines.last().unwrap(), "  and 5920 more lines: compare the files");
    }
}

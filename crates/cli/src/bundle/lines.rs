//! What changed in the text of a file, for people: which way a change goes says nothing about what it is.

use std::collections::BTreeSet;

use countersign_bundle::Bundle;
use serde::Serialize;

use crate::output::harmless;

/// The most lines that are shown of one file: whoever changes more has to compare the files themselves.
const MAX_SHOWN: usize = 80;
/// Beyond so many pairs of lines a file counts as replaced: comparing them all would take longer than anybody waits.
const MAX_PAIRS: usize = 4_000_000;
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

/// What stays, goes and comes, with a line around each change.
fn changed_lines(old: &str, new: &str) -> Vec<String> {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let start = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    let (old_rest, new_rest) = (
        old.get(start..).unwrap_or_default(),
        new.get(start..).unwrap_or_default(),
    );
    let end = old_rest.iter().rev().zip(new_rest.iter().rev());
    let end = end.take_while(|(old, new)| old == new).count();
    let inner = |rest: &'_ [&'_ str]| rest.len().saturating_sub(end);
    let (old_inner, new_inner) = (inner(old_rest), inner(new_rest));
    let before = start
        .checked_sub(1)
        .and_then(|last| old.get(last))
        .map(|line| ('=', *line));
    let mut edits: Vec<(char, &str)> = before.into_iter().collect();
    edits.extend(between(
        old_rest.get(..old_inner).unwrap_or_default(),
        new_rest.get(..new_inner).unwrap_or_default(),
    ));
    edits.extend(old_rest.get(old_inner).map(|line| ('=', *line)));
    shown(&edits)
}

/// The longest common subsequence of lines as `=`, what only the old file has as `-`, the new one as `+`.
fn between<'t>(old: &[&'t str], new: &[&'t str]) -> Vec<(char, &'t str)> {
    let gone = old.iter().map(|line| ('-', *line));
    let (mut rest_old, mut rest_new) = (old, new);
    let Some(common) = Common::of(old, new) else {
        return gone.chain(new.iter().map(|line| ('+', *line))).collect();
    };
    let mut edits = Vec::new();
    loop {
        match (rest_old.split_first(), rest_new.split_first()) {
            (Some((line, old)), Some((other, new))) if line == other => {
                edits.push(('=', *line));
                (rest_old, rest_new) = (old, new);
            }
            (Some((line, old)), new) if new.is_none() || common.at(old, rest_new) >= common.at_rest(rest_old, new) => {
                edits.push(('-', *line));
                rest_old = old;
            }
            (_, Some((line, new))) => {
                edits.push(('+', *line));
                rest_new = new;
            }
            (_, None) => return edits,
        }
    }
}

/// How many lines two rests of the files have in common, by how long the rests are.
struct Common {
    width: usize,
    longest: Vec<u32>,
}

impl Common {
    fn of(old: &[&str], new: &[&str]) -> Option<Self> {
        let width = new.len().checked_add(1)?;
        let cells = old
            .len()
            .checked_add(1)?
            .checked_mul(width)
            .filter(|cells| *cells <= MAX_PAIRS)?;
        let mut common = Self {
            width,
            longest: vec![0; cells],
        };
        for (below, line) in old.iter().rev().enumerate() {
            for (beside, other) in new.iter().rev().enumerate() {
                let length = if line == other {
                    common.cell(below, beside).saturating_add(1)
                } else {
                    let (down, right) = (
                        common.cell(below, beside.saturating_add(1)),
                        common.cell(below.saturating_add(1), beside),
                    );
                    down.max(right)
                };
                let at = common.index(below.saturating_add(1), beside.saturating_add(1));
                if let Some(cell) = common.longest.get_mut(at) {
                    *cell = length;
                }
            }
        }
        Some(common)
    }

    fn index(&self, old: usize, new: usize) -> usize {
        old.saturating_mul(self.width).saturating_add(new)
    }

    fn cell(&self, old: usize, new: usize) -> u32 {
        self.longest.get(self.index(old, new)).copied().unwrap_or(0)
    }

    fn at(&self, old: &[&str], new: &[&str]) -> u32 {
        self.cell(old.len(), new.len())
    }

    fn at_rest(&self, old: &[&str], new: Option<(&&str, &[&str])>) -> u32 {
        new.map_or(0, |(_, new)| self.at(old, new))
    }
}

/// Every change with the line before and behind it.
fn shown(edits: &[(char, &str)]) -> Vec<String> {
    let is_kept = |at: usize| edits.get(at).is_none_or(|(edit, _)| *edit == '=');
    let is_near = |at: usize| !is_kept(at) || !is_kept(at.wrapping_sub(1)) || !is_kept(at.saturating_add(1));
    let near = edits.iter().enumerate().filter(|(at, _)| is_near(*at));
    let mut lines: Vec<String> = near
        .map(|(_, (edit, line))| format!("{} {}", if *edit == '=' { ' ' } else { *edit }, harmless(line)))
        .collect();
    let left_out = lines.len().saturating_sub(MAX_SHOWN);
    if left_out > 0 {
        lines.truncate(MAX_SHOWN);
        lines.push(format!("  and {left_out} more lines: compare the files"));
    }
    lines
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

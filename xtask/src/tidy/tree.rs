//! The files of the repository: what git tracks, and what it would track.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::shell;

/// Paths are relative to the root, with `/`.
pub(super) struct Tree {
    text: BTreeMap<String, String>,
    paths: BTreeSet<String>,
}

impl Tree {
    /// Files that are not committed yet count, ignored ones do not, so tidy says before a commit what CI says after.
    pub(super) fn load(root: &Path) -> Result<Self> {
        let mut list = Command::new("git");
        list.current_dir(root)
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
        let mut tree = Self {
            text: BTreeMap::new(),
            paths: BTreeSet::new(),
        };
        for path in shell::output(&mut list)?.split_terminator('\0') {
            let full = root.join(path);
            if !full.is_file() {
                continue; // deleted and not committed yet
            }
            let bytes = std::fs::read(&full).with_context(|| format!("could not read `{path}`"))?;
            tree.paths.insert(path.to_owned());
            if let Ok(text) = String::from_utf8(bytes) {
                tree.text.insert(path.to_owned(), text);
            }
        }
        Ok(tree)
    }

    #[cfg(test)]
    pub(super) fn of(files: &[(&str, &str)]) -> Self {
        let text: BTreeMap<_, _> = files
            .iter()
            .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()))
            .collect();
        Self {
            paths: text.keys().cloned().collect(),
            text,
        }
    }

    /// Every text file with its path.
    pub(super) fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.text.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }

    pub(super) fn with_extension(&self, extension: &str) -> impl Iterator<Item = (&str, &str)> {
        let suffix = format!(".{extension}");
        self.files().filter(move |(path, _)| path.ends_with(&suffix))
    }

    pub(super) fn text(&self, path: &str) -> Option<&str> {
        self.text.get(path).map(String::as_str)
    }

    /// Whether there is a file or folder at this path.
    pub(super) fn contains(&self, path: &str) -> bool {
        let folder = format!("{}/", path.trim_end_matches('/'));
        path.is_empty()
            || self.paths.contains(path)
            || self
                .paths
                .range(folder.clone()..)
                .next()
                .is_some_and(|p| p.starts_with(&folder))
    }

    /// The line of the first occurrence of `needle` in the file, or 1.
    pub(super) fn line_of(&self, path: &str, needle: &str) -> usize {
        self.text(path)
            .and_then(|text| numbered(text).find(|(_, line)| line.contains(needle)))
            .map_or(1, |(number, _)| number)
    }
}

/// Lines with their numbers, from 1.
pub(super) fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    (1_usize..).zip(text.lines())
}

/// The folder of a path, without a slash at its end.
pub(super) fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_exist_when_something_is_in_them() {
        let tree = Tree::of(&[("docs/adr/1.md", "one\ntwo"), ("docs-old", "")]);
        assert!(tree.contains("docs") && tree.contains("docs/adr/") && tree.contains("docs/adr/1.md"));
        assert!(!tree.contains("doc") && !tree.contains("docs/adr/2.md") && !tree.contains("docs-old/x"));
        assert_eq!(tree.line_of("docs/adr/1.md", "two"), 2);
    }
}

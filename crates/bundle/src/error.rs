//! What is wrong with a bundle, and where.

use std::fmt;

use countersign_types::Tag;

use crate::Problem;

/// The most errors that one load reports; what is left out is counted.
pub const MAX_LOAD_ERRORS: usize = 100;

/// One thing that is wrong, and its place. Lines and columns count from 1, columns in characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadError {
    file: String,
    line: u32,
    column: u32,
    problem: Problem,
}

impl LoadError {
    pub(crate) fn new(file: &str, (line, column): (u32, u32), problem: impl Into<Problem>) -> Self {
        Self {
            file: file.chars().take(128).flat_map(char::escape_default).collect(),
            line,
            column,
            problem: problem.into(),
        }
    }

    /// The file within the bundle.
    pub fn file(&self) -> &str {
        &self.file
    }
    /// The line, from 1.
    pub fn line(&self) -> u32 {
        self.line
    }
    /// The column in characters, from 1.
    pub fn column(&self) -> u32 {
        self.column
    }
    /// What is wrong.
    pub fn problem(&self) -> &Problem {
        &self.problem
    }
    /// The stable tag of what is wrong.
    pub fn tag(&self) -> Tag {
        self.problem.tag()
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (tag, problem) = (self.tag(), &self.problem);
        write!(f, "{}:{}:{}: {tag}: {problem}", self.file, self.line, self.column)
    }
}
impl std::error::Error for LoadError {}

/// Everything that one load found; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadErrors {
    errors: Vec<LoadError>,
    left_out: usize,
}

impl LoadErrors {
    /// The errors, in order of file, line and column; at most [`MAX_LOAD_ERRORS`].
    pub fn iter(&self) -> impl Iterator<Item = &LoadError> {
        self.errors.iter()
    }

    /// How many more there are.
    pub fn left_out(&self) -> usize {
        self.left_out
    }

    /// The tag of the whole: files that are not the manifest's are another thing than files that do not load. Each error has its own.
    pub fn tag(&self) -> Tag {
        let first = self.errors.first().map(LoadError::tag);
        let is_other = first.filter(|tag| *tag == Tag::BundleDigestMismatch);
        is_other.unwrap_or(Tag::BundleMalformed)
    }
}

impl fmt::Display for LoadErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, error) in self.errors.iter().enumerate() {
            let separator = if n == 0 { "" } else { "\n" };
            write!(f, "{separator}{error}")?;
        }
        if self.left_out > 0 {
            write!(f, "\nand {} more", self.left_out)?;
        }
        Ok(())
    }
}
impl std::error::Error for LoadErrors {}

/// Errors kept while loading; more than are reported, so that the first ones by place are among them.
const MAX_FOUND: usize = 10_000;

/// Errors while they are being found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    errors: Vec<LoadError>,
    left_out: usize,
}

impl Found {
    pub(crate) fn push(&mut self, error: LoadError) {
        if self.errors.len() < MAX_FOUND {
            self.errors.push(error);
        } else {
            self.left_out = self.left_out.saturating_add(1);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.errors.is_empty()
    }

    /// Nothing, or everything that was found.
    pub(crate) fn conclude(&mut self) -> Result<(), LoadErrors> {
        if self.errors.is_empty() {
            return Ok(());
        }
        Err(self.fail())
    }

    /// Everything that was found by a load that yields nothing.
    pub(crate) fn fail(&mut self) -> LoadErrors {
        let mut errors = std::mem::take(&mut self.errors);
        if errors.is_empty() {
            errors.push(LoadError::new(
                "manifest.json",
                (1, 1),
                Problem::Said(Tag::BundleMalformed, "the bundle does not load"),
            ));
        }
        errors.sort_by(|a, b| (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column)));
        errors.dedup();
        let left_out = errors
            .len()
            .saturating_sub(MAX_LOAD_ERRORS)
            .saturating_add(self.left_out);
        errors.truncate(MAX_LOAD_ERRORS);
        LoadErrors { errors, left_out }
    }
}

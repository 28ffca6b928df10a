//! What a command says: one report on standard output, as text or as JSON; progress and errors on standard error.

use std::{fmt, io};

use clap::ValueEnum;
use serde::Serialize;

use crate::failure::{Failure, Result};

/// How reports are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// One JSON object a command, on one line; its fields are only ever added to.
    Json,
}

/// Where a command says things.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output(Format);

impl Output {
    pub(crate) fn new(format: Format) -> Self {
        Self(format)
    }

    /// The one result of a command: its `Display` is the text form, its `Serialize` the JSON form.
    pub(crate) fn report(&self, report: &(impl fmt::Display + Serialize)) -> Result<()> {
        let line = match self.0 {
            Format::Text => report.to_string(),
            Format::Json => serde_json::to_string(report).map_err(Failure::failed)?,
        };
        print(io::stdout().lock(), line.trim_end_matches('\n'))
            .map_err(|error| Failure::failed(format!("cannot write to standard output: {error}")))
    }

    /// What is going on; for people only, and never part of the result.
    pub(crate) fn progress(&self, line: impl fmt::Display) {
        // Nobody reads it any more: the command itself goes on.
        drop(print(io::stderr().lock(), &line.to_string()));
    }

    /// Why the command failed.
    pub(crate) fn failure(&self, failure: &Failure) {
        let text = match self.0 {
            Format::Text => failure.to_string(),
            Format::Json => failure.to_json().to_string(),
        };
        // The exit code says it too.
        drop(print(io::stderr().lock(), &text));
    }
}

/// One line of a child's log.
pub(crate) fn log_line(line: &str) {
    // As with progress: a closed terminal stops nothing.
    drop(print(io::stderr().lock(), line));
}

fn print(mut to: impl io::Write, text: &str) -> io::Result<()> {
    writeln!(to, "{text}")?;
    to.flush()
}

/// Text from elsewhere, harmless on a terminal: printable ASCII stays, the rest is escaped.
pub(crate) fn harmless(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c == ' ' || c.is_ascii_graphic() {
                c.to_string()
            } else {
                c.escape_default().to_string()
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_cannot_move_the_cursor() {
        assert_eq!(harmless("a b\u{1b}[2Jé\n"), "a b\\u{1b}[2J\\u{e9}\\n");
    }
}

//! The ready line and file: where the process listens, once it does.

use std::{
    io::{self, Write as _},
    net::SocketAddr,
    path::Path,
};

use serde::Serialize;

use crate::files::{self, FileError};

/// What is written when both listeners accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Ready {
    event: &'static str,
    orchestrator_listener: SocketAddr,
    people_listener: SocketAddr,
}

impl Ready {
    /// With the addresses that the system gave.
    pub fn new(orchestrator_listener: SocketAddr, people_listener: SocketAddr) -> Self {
        Self {
            event: "ready",
            orchestrator_listener,
            people_listener,
        }
    }

    /// One line of JSON with its newline.
    fn line(self) -> String {
        // Three fields that always have a JSON text; an empty line would be no JSON.
        let mut line = serde_json::to_string(&self).unwrap_or_default();
        line.push('\n');
        line
    }

    /// Writes the file first, then the line: who has read the line finds the file.
    pub fn announce(self, path: &Path) -> Result<(), FileError> {
        let line = self.line();
        files::replace(path, line.as_bytes())?;
        let mut stdout = io::stdout().lock();
        let written = stdout.write_all(line.as_bytes()).and_then(|()| stdout.flush());
        written.map_err(|source| FileError::Io {
            action: "write",
            path: "standard output".into(),
            source,
        })
    }
}

/// Removes the file of an earlier run: nobody may connect to where that one listened.
pub fn withdraw(path: &Path) -> Result<(), FileError> {
    match std::fs::remove_file(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(FileError::Io {
            action: "remove",
            path: path.to_owned(),
            source,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_line() {
        let ready = Ready::new("127.0.0.1:1".parse().unwrap(), "[::1]:2".parse().unwrap());
        let line = r#"{"event":"ready","orchestrator_listener":"127.0.0.1:1","people_listener":"[::1]:2"}"#;
        assert_eq!(ready.line(), format!("{line}\n"));
    }

    #[test]
    fn the_file_comes_and_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("signer.json");
        withdraw(&path).unwrap();
        std::fs::write(&path, "of an earlier run").unwrap();
        let ready = Ready::new("127.0.0.1:1".parse().unwrap(), "127.0.0.1:2".parse().unwrap());
        ready.announce(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), ready.line());
        withdraw(&path).unwrap();
        assert!(!path.exists());
        assert!(ready.announce(&folder.path().join("none/signer.json")).is_err());
    }
}

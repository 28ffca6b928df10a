//! Where a test can end the writer as a crash would. Outside of tests nothing is there.

/// Between two steps of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// The lock is held, nothing was written.
    Begun,
    /// The proposals are decided; some of their writes are in the transaction.
    Decided,
    /// All writes, log and commit row are in the transaction.
    Sealed,
    /// The transaction is durable, the anchor is not.
    Committed,
    /// The anchor is durable, nobody was answered.
    Anchored,
    /// `COMMIT` answers with an error though it was done.
    CommitAnswerLost,
    /// `COMMIT` answers with an error and was not done.
    CommitRefused,
    /// After a failed `COMMIT` the database does not answer either.
    HeadUnreadable,
    /// The anchor cannot be written.
    AnchorUnwritable,
}

/// Switches that tests arm. Each fires once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fail {
    #[cfg(test)]
    armed: std::sync::Arc<std::sync::Mutex<Vec<Step>>>,
}

impl Fail {
    /// Whether the step is to fail now.
    #[cfg(test)]
    pub(crate) fn fires(&self, step: Step) -> bool {
        let mut armed = self.armed.lock().unwrap();
        match armed.iter().position(|one| *one == step) {
            Some(position) => {
                armed.remove(position);
                true
            }
            None => false,
        }
    }

    /// Whether the step is to fail now.
    #[cfg(not(test))]
    #[expect(clippy::unused_self, reason = "the switch is only there in tests")]
    pub(crate) fn fires(&self, _step: Step) -> bool {
        false
    }

    #[cfg(test)]
    pub(crate) fn arm(&self, step: Step) {
        self.armed.lock().unwrap().push(step);
    }
}

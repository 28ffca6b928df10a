//! Somebody else's program as a long-lived process: a question a line, an answer a line, both JSON.

use std::{
    ffi::OsStr,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

use countersign_integration::workspace_root;
use serde_json::Value;

/// Loading Python packages takes seconds on a machine that does much else; an answer takes milliseconds.
const ANSWERS_WITHIN: Duration = Duration::from_secs(60);

/// The process. It ends when its input does, so it never outlives the test, however that ends; it is killed when dropped.
pub(crate) struct Judge {
    name: &'static str,
    child: Child,
    questions: ChildStdin,
    answers: Receiver<String>,
}

impl Judge {
    /// Starts `integration/tools/judges/<script>` in an interpreter.
    pub(crate) fn start(interpreter: &Path, script: &'static str, arguments: &[&OsStr]) -> Self {
        let path = workspace_root().join("integration/tools/judges").join(script);
        let mut child = Command::new(interpreter)
            .arg(path)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {}: {error}", interpreter.display()));
        let questions = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, answers) = channel();
        thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self {
            name: script,
            child,
            questions,
            answers,
        }
    }

    /// Asks one question and waits for its answer.
    pub(crate) fn ask(&mut self, question: &Value) -> Value {
        let name = self.name;
        let asked = writeln!(self.questions, "{question}").and_then(|()| self.questions.flush());
        asked.unwrap_or_else(|error| panic!("{name} takes no more questions: {error}"));
        let answer = self.answers.recv_timeout(ANSWERS_WITHIN);
        let answer = answer.unwrap_or_else(|error| panic!("{name} does not answer ({error}) to {question}"));
        serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{name} answers no JSON ({error}): {answer}"))
    }
}

impl Drop for Judge {
    fn drop(&mut self) {
        self.child.kill().unwrap_or_default();
        drop(self.child.wait());
    }
}

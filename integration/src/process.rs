//! One child process that serves: started, awaited by its ready file, killed.

use std::{
    ffi::OsString,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use tokio::time::{Instant, sleep};

/// Time to open a token and replay a journal, on a machine that does much else.
const READY_WITHIN: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(5);

/// What to start.
#[derive(Debug, Clone)]
pub struct Started {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Variables besides our own.
    pub environment: Vec<(OsString, OsString)>,
    /// Where it writes its ready line; removed first.
    pub ready_file: PathBuf,
    /// Where its output goes, added to the end.
    pub log: PathBuf,
}

/// A running process; killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts it and waits for its ready line.
    pub async fn start(what: &Started) -> Result<(Self, Value)> {
        if what.ready_file.exists() {
            fs::remove_file(&what.ready_file).context("a stale ready file stays")?;
        }
        let log = File::options().create(true).append(true).open(&what.log);
        let log = log.with_context(|| format!("cannot write `{}`", what.log.display()))?;
        let mut command = Command::new(&what.program);
        command
            .args(&what.arguments)
            .envs(what.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let child = command.spawn();
        let child = child.with_context(|| format!("cannot start `{}`", what.program.display()))?;
        let mut process = Self {
            child,
            log: what.log.clone(),
        };
        let ready = process.ready(&what.ready_file).await?;
        Ok((process, ready))
    }

    async fn ready(&mut self, file: &Path) -> Result<Value> {
        let start = Instant::now();
        loop {
            // Written beside and renamed: what is there is whole.
            if let Ok(bytes) = fs::read(file) {
                return serde_json::from_slice(&bytes).context("the ready line is no JSON");
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("the process ended before it was ready ({status}):\n{}", self.said());
            }
            if start.elapsed() > READY_WITHIN {
                bail!("the process is not ready after {READY_WITHIN:?}:\n{}", self.said());
            }
            sleep(POLL).await;
        }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it and its predecessors wrote.
    pub fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_else(|error| format!("(no log: {error})"))
    }

    /// SIGKILL: nothing of it runs any more when this returns.
    pub fn kill(mut self) -> Result<()> {
        self.end()
    }

    fn end(&mut self) -> Result<()> {
        self.child.kill().context("cannot kill the process")?;
        self.child.wait().context("the killed process does not end")?;
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended already, or it cannot be ended by us: either way there is nobody left to tell.
        drop(self.end());
    }
}

//! `countersign withdraw list`: the tenant's withdrawals, newest first.

use std::{fmt, path::PathBuf};

use clap::Args;
use countersign_client::State;
use serde::Serialize;

use super::{PIPELINE, Shown, decoded::Decoder};
use crate::{
    bundle_files, connect,
    environment::Environment,
    failure::{Exit, Failure, Result},
    output::Output,
};

const PAGE_ROWS: u32 = 100;

/// List withdrawals as the orchestrator tells them, newest first.
#[derive(Debug, Args)]
#[command(after_help = "JSON: {withdrawals: [...], more}; each item as in `withdraw show`")]
pub(crate) struct List {
    /// The environment.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Only those in this state; may be repeated. States are those of `withdraw show`.
    #[arg(long = "state", value_name = "STATE", value_parser = state)]
    states: Vec<State>,
    /// At most this many.
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,
}

/// The result: `{"withdrawals":[…],"more"}`.
#[derive(Debug, Serialize)]
struct Listed {
    withdrawals: Vec<Shown>,
    /// Whether there are more behind `--limit`.
    more: bool,
}

fn state(text: &str) -> std::result::Result<State, String> {
    let known = State::ALL.into_iter().find(|state| state.as_str() == text);
    known.ok_or_else(|| {
        let names: Vec<&str> = State::ALL.into_iter().map(State::as_str).collect();
        format!("a state is one of {}", names.join(", "))
    })
}

impl List {
    pub(super) async fn run(self, output: Output) -> Result<Exit> {
        let layout = Environment::open(&self.dir)?.layout();
        let client = connect::orchestrator(&layout, PIPELINE).await?;
        let bundle = bundle_files::load_own(&layout);
        let decoder = Decoder::with(&layout, &bundle);
        let mut listed = Listed {
            withdrawals: Vec::new(),
            more: false,
        };
        let mut token = String::new();
        loop {
            let page = client.list(&self.states, PAGE_ROWS, &token).await;
            let page = page.map_err(|error| Failure::answered("orchestrator", &error))?;
            for withdrawal in &page.withdrawals {
                if listed.withdrawals.len() >= self.limit {
                    listed.more = true;
                    break;
                }
                listed.withdrawals.push(Shown::of(withdrawal, decoder));
            }
            match page.next {
                Some(following) if !listed.more => token = following,
                Some(_) | None => break,
            }
        }
        output.report(&listed)?;
        listed.withdrawals.iter().try_for_each(Shown::certify)?;
        Ok(Exit::Done)
    }
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.withdrawals.is_empty() {
            return write!(f, "no withdrawals");
        }
        for (at, withdrawal) in self.withdrawals.iter().enumerate() {
            if at > 0 {
                writeln!(f)?;
            }
            withdrawal.summarize(f)?;
        }
        if self.more {
            write!(f, "\nthere are more: raise --limit")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_named_as_they_are_shown() {
        for known in State::ALL {
            assert_eq!(state(known.as_str()), Ok(known));
        }
        let wrong = state("stuck").unwrap_err();
        assert!(
            wrong.contains("pending-approval") && wrong.contains("replacing"),
            "{wrong}"
        );
    }
}

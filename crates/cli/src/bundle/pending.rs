//! `countersign bundle pending`: what may come next, and who said what about it.

use std::fmt;

use clap::Args;
use countersign_client::PeopleClient;
use countersign_decision::{Objection, Opening, Outlook, Proposal, Word};
use countersign_types::{BundleDigest, Duration, Timestamp};
use serde::Serialize;

use super::{Asking, Quorum};
use crate::{
    clock, connect,
    environment::Environment,
    failure::{Failure, Result},
    output::Output,
    trust::{Trust, seen_statement},
};

/// List the bundles that people have signed to follow the one in force: who, when they can come into force, and what officers said
/// against them.
///
/// Every signature is verified under the roster in force. The signer has only what was said: the files of a proposal are with those
/// who made it, and one officer stops it with `bundle veto`.
#[derive(Debug, Args)]
#[command(
    after_help = "JSON: {behind, version, quorum, time_lock, proposals: [{bundle, version, words: [{person, is_admin, \
                        is_officer, not_before, first_seen_at, expires_at, counts}], vetoes: [{officer, reason, vetoed_at}], \
                        missing, opening: {complete_at, opens_at}}]}; opening is null where admins are missing; moments of the signer \
                        are Unix milliseconds"
)]
pub(crate) struct Pending {
    #[command(flatten)]
    asking: Asking,
}

/// The result: `{"behind","version","quorum","time_lock","proposals":[…]}`.
#[derive(Debug, Serialize)]
struct Waiting {
    /// The bundle in force.
    behind: BundleDigest,
    /// Its version.
    version: u64,
    /// How many of its admins it takes.
    quorum: u32,
    /// How long a bundle waits behind the last of them.
    time_lock: Duration,
    proposals: Vec<Proposal>,
    #[serde(skip)]
    now: Timestamp,
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { behind, version, .. } = self;
        if self.proposals.is_empty() {
            return write!(f, "nothing waits behind version {version} ({behind})");
        }
        write!(f, "behind    {behind} (version {version})")?;
        self.proposals.iter().try_for_each(|proposal| self.show(proposal, f))
    }
}

impl Waiting {
    fn show(&self, proposal: &Proposal, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\n\nbundle    {} (version {})", proposal.bundle, proposal.version)?;
        for word in &proposal.words {
            write!(f, "\n  signed  {}", Shown(word))?;
        }
        for Objection {
            officer,
            reason,
            vetoed_at,
        } in &proposal.vetoes
        {
            write!(f, "\n  vetoed  by {officer} at {vetoed_at}: {reason}")?;
        }
        let (time_lock, now) = (self.time_lock, self.now);
        let prospect = Prospect {
            proposal,
            time_lock,
            now,
        };
        write!(f, "\n  {prospect}")?;
        let alone = proposal.words.iter().find(|word| word.counts && word.is_officer);
        alone.map_or(Ok(()), |word| {
            write!(
                f,
                "\n  or      at once by the word of {}, where it only tightens",
                word.person
            )
        })
    }
}

struct Shown<'a>(&'a Word);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = self.0;
        write!(f, "by {} at {}", word.person, word.first_seen_at)?;
        if let Some(moment) = word.not_before {
            write!(f, ", to be in force from {moment}")?;
        }
        match word.counts {
            true => write!(f, ", counts until {}", word.expires_at),
            false => write!(f, ", does not count any more"),
        }
    }
}

/// What may come next, verified under the roster in force.
pub(super) async fn proposals(people: &PeopleClient, trust: &Trust, now: Timestamp) -> Result<Vec<Proposal>> {
    let said = people.proposals().await;
    let said = said.map_err(|error| Failure::answered("signer", &error))?;
    let said: Vec<_> = said.into_iter().map(seen_statement).collect();
    let outlook = Outlook {
        deployment: trust.genesis.hash(),
        epoch: clock::epoch(),
        in_force: trust.active()?,
        now,
    };
    let proposals = outlook.proposals(&said);
    proposals.map_err(|error| Failure::unverified(error.tag(), format!("the signer's list of proposals: {error}")))
}

/// When a bundle opens, or how many admins it lacks.
pub(super) struct Prospect<'a> {
    pub(super) proposal: &'a Proposal,
    pub(super) time_lock: Duration,
    pub(super) now: Timestamp,
}

impl fmt::Display for Prospect<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.proposal.opening, self.proposal.missing) {
            (Some(Opening { complete_at, opens_at }), _) if *opens_at <= self.now => {
                write!(f, "ready   since {opens_at} (quorum complete at {complete_at})")
            }
            (Some(Opening { complete_at, opens_at }), _) => {
                write!(f, "opens   at {opens_at} (quorum complete at {complete_at})")
            }
            (None, missing) => write!(f, "lacks   {}", Quorum(missing, self.time_lock)),
        }
    }
}

impl Pending {
    pub(super) async fn run(self, output: Output) -> Result<()> {
        let layout = Environment::open(&self.asking.dir)?.layout();
        let people = connect::people(&layout, self.asking.person.as_str()).await?;
        let trust = Trust::fetch_through(&layout, &people).await?;
        let (in_force, now) = (trust.active()?, clock::now()?);
        let proposals = proposals(&people, &trust, now).await?;
        output.report(&Waiting {
            behind: in_force.digest(),
            version: in_force.version(),
            quorum: in_force.roster().admins().threshold(),
            time_lock: in_force.roster().time_lock(),
            proposals,
            now,
        })
    }
}

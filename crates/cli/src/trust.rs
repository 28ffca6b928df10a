//! What the command line believes: the pinned genesis, and the chain of bundles that it verified from there itself.
//!
//! The chain comes from the signer's people listener, never from the orchestrator. A bundle that was seen once is
//! remembered beside the genesis; a chain that does not contain it is refused, so nobody is led back to an older policy.

use std::sync::Arc;

use countersign_approval::{Body, Envelope, Genesis, Statement, verify};
use countersign_audit::VerifierKey;
use countersign_bundle::Bundle;
use countersign_client::{ActivatedBundle as Sent, PeopleClient, SeenStatement as SentStatement};
use countersign_decision::{ActivatedBundle, BundleChain, SeenStatement};
use countersign_types::{BundleDigest, PrincipalId, Tag, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    clock, connect,
    environment::{Layout, read_genesis},
    failure::{Failure, Result},
    files,
};

/// More pages of 64 bundles than any deployment activates.
const MAX_PAGES: u32 = 1_024;
/// Where the newest verified bundle is remembered.
const SEEN: &str = "trust/bundle.json";

/// A verified view of one deployment.
pub(crate) struct Trust {
    pub(crate) genesis: Genesis,
    chain: BundleChain,
    vetoes: Vec<Vetoed>,
}

/// A veto of a bundle that was to follow one of the chain; the officer's signature holds under that one's roster.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Vetoed {
    pub(crate) bundle: BundleDigest,
    /// The bundle that it was to follow.
    pub(crate) previous: BundleDigest,
    pub(crate) officer: PrincipalId,
    pub(crate) reason: String,
    /// When the signer says that it journaled it.
    pub(crate) vetoed_at: Timestamp,
}

/// `trust/bundle.json`: the newest bundle that was verified here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Seen {
    version: u64,
    bundle: BundleDigest,
}

impl Trust {
    /// Fetches the chain from the signer as `name`, verifies it and remembers its newest bundle.
    pub(crate) async fn fetch(layout: &Layout, name: &str) -> Result<Self> {
        Self::fetch_through(layout, &connect::people(layout, name).await?).await
    }

    /// The same over a connection that is there.
    pub(crate) async fn fetch_through(layout: &Layout, people: &PeopleClient) -> Result<Self> {
        let genesis = read_genesis(&layout.genesis())?;
        let (activated, vetoes) = fetch_chain(people).await?;
        let chain = BundleChain::verify(&genesis, clock::epoch(), &activated).map_err(|error| {
            Failure::unverified(
                error.tag(),
                format!("the signer's bundles do not follow from the genesis: {error}"),
            )
        })?;
        remember(layout, &chain)?;
        let vetoes: Result<Vec<Vetoed>> = vetoes.into_iter().map(|sent| vetoed(sent, &chain)).collect();
        Ok(Self {
            vetoes: vetoes?,
            genesis,
            chain,
        })
    }

    /// A chain that a test verified.
    #[cfg(test)]
    pub(crate) fn of(genesis: Genesis, chain: BundleChain) -> Self {
        Self {
            genesis,
            chain,
            vetoes: Vec::new(),
        }
    }

    /// Every bundle that was in force.
    pub(crate) fn chain(&self) -> &BundleChain {
        &self.chain
    }

    /// What officers stopped before it came into force.
    pub(crate) fn vetoes(&self) -> &[Vetoed] {
        &self.vetoes
    }

    /// The bundle in force.
    pub(crate) fn active(&self) -> Result<&Arc<Bundle>> {
        let none = || Failure::denied(Tag::BundleNoneActive, "no bundle is activated");
        self.chain.active().ok_or_else(none)
    }

    /// The same, where there need not be one yet.
    pub(crate) fn in_force(&self) -> Option<&Bundle> {
        self.chain.active().map(AsRef::as_ref)
    }
}

/// The newest bundle that was verified here from the genesis on, if any was.
pub(crate) fn newest_verified(layout: &Layout) -> Result<Option<BundleDigest>> {
    Ok(read_seen(layout)?.map(|seen| seen.bundle))
}

fn read_seen(layout: &Layout) -> Result<Option<Seen>> {
    let path = layout.path(SEEN);
    match path.is_file() {
        true => files::read_json(&path).map(Some),
        false => Ok(None),
    }
}

/// The log key that a genesis pins.
pub(crate) fn log_key(genesis: &Genesis) -> Result<VerifierKey> {
    let name = genesis.log_origin().parse().map_err(Failure::failed)?;
    VerifierKey::new(name, genesis.log_key()).map_err(Failure::failed)
}

async fn fetch_chain(people: &PeopleClient) -> Result<(Vec<ActivatedBundle>, Vec<SentStatement>)> {
    let (mut activated, mut vetoes) = (Vec::new(), Vec::new());
    let mut after_version = 0;
    for _ in 0..MAX_PAGES {
        let page = people.bundles_page(after_version).await;
        let page = page.map_err(|error| Failure::answered("signer", &error))?;
        let Some(last) = page.bundles.last() else {
            return Ok((activated, vetoes));
        };
        after_version = last.version;
        let is_last = last.version >= page.active_version;
        activated.extend(page.bundles.into_iter().map(activated_bundle));
        vetoes.extend(page.vetoes);
        if is_last {
            return Ok((activated, vetoes));
        }
    }
    Err(Failure::failed("the signer sends bundles without end"))
}

/// A veto that the signer sends is one, by an officer of the bundle that it names.
fn vetoed(sent: SentStatement, chain: &BundleChain) -> Result<Vetoed> {
    let seen = seen_statement(sent);
    let wrong = |why: &str| {
        Failure::unverified(
            Tag::StatementNotPermitted,
            format!("the signer sent a veto that is none: {why}"),
        )
    };
    let envelope = Envelope::parse(&seen.envelope).map_err(|error| wrong(&error.to_string()))?;
    let statement = Statement::parse(envelope.kind(), envelope.payload()).map_err(|error| wrong(&error.to_string()))?;
    let Body::Veto(veto) = statement.body else {
        return Err(wrong("it is another statement"));
    };
    let previous = chain
        .bundle(veto.previous)
        .ok_or_else(|| wrong("it names a bundle that was never in force"))?;
    let verified = verify(&envelope, previous.roster()).map_err(|error| wrong(&error.to_string()))?;
    if !previous.roster().is_officer(verified.signer()) {
        return Err(wrong("its signer was no officer"));
    }
    Ok(Vetoed {
        bundle: veto.bundle,
        previous: veto.previous,
        officer: verified.signer().clone(),
        reason: veto.reason,
        vetoed_at: seen.first_seen_at,
    })
}

fn activated_bundle(bundle: Sent) -> ActivatedBundle {
    ActivatedBundle {
        files: bundle.files.into_iter().map(|file| (file.path, file.data)).collect(),
        statements: bundle.statements.into_iter().map(seen_statement).collect(),
        activated_at: Timestamp::from_unix_millis(bundle.activated_at_ms),
    }
}

/// An absent statement is one of no bytes, which verifies as nothing.
pub(crate) fn seen_statement(seen: SentStatement) -> SeenStatement {
    SeenStatement {
        envelope: seen.statement.map(|statement| statement.envelope).unwrap_or_default(),
        first_seen_at: Timestamp::from_unix_millis(seen.first_seen_at_ms),
    }
}

fn remember(layout: &Layout, chain: &BundleChain) -> Result<()> {
    let seen = read_seen(layout)?;
    let is_there = |seen: &Seen| chain.bundle(seen.bundle).is_some();
    if let Some(seen) = seen.as_ref().filter(|seen| !is_there(seen)) {
        let message = format!(
            "bundle {} (version {}) was in force before and is missing",
            seen.bundle, seen.version
        );
        return Err(Failure::unverified(Tag::BundlePreviousMismatch, message)
            .advise("the signer shows an older or another history: ask its operators, out of band"));
    }
    let newest = chain.active().map(|bundle| Seen {
        version: bundle.version(),
        bundle: bundle.digest(),
    });
    if newest.is_some() && newest != seen {
        files::create_folder(&layout.path("trust"))?;
        files::write_json(&layout.path(SEEN), &newest)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{failure::Exit, init::fixture::Fixture};

    fn seen(layout: &Layout) -> Option<Seen> {
        read_seen(layout).unwrap()
    }

    #[test]
    fn the_newest_bundle_is_remembered_and_an_older_history_refused() {
        let fixture = Fixture::new();
        let (first, both) = (fixture.chain(1), fixture.chain(2));
        remember(&fixture.layout, &first).unwrap();
        assert_eq!(seen(&fixture.layout).unwrap().version, 1);
        remember(&fixture.layout, &both).unwrap();
        remember(&fixture.layout, &both).unwrap();
        assert_eq!(seen(&fixture.layout).unwrap().version, 2);
        for older in [first, fixture.chain(0), Fixture::new().chain(2)] {
            let failure = remember(&fixture.layout, &older).unwrap_err();
            assert_eq!(
                (failure.exit(), failure.tag()),
                (Exit::Unverified, Some(Tag::BundlePreviousMismatch))
            );
        }
        assert_eq!(seen(&fixture.layout).unwrap().version, 2);
    }

    #[test]
    fn without_a_bundle_nothing_is_decided() {
        let fixture = Fixture::new();
        let trust = Trust::of(fixture.genesis.clone(), fixture.chain(0));
        let failure = trust.active().map(drop).unwrap_err();
        assert_eq!(failure.tag(), Some(Tag::BundleNoneActive));
        assert!(failure.to_string().contains("bundle activate --key"), "{failure}");
    }
}

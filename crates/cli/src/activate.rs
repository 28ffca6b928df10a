//! `countersign bundle activate`: admins sign a bundle, the signer puts it in force.

use std::{collections::BTreeMap, fmt, path::PathBuf};

use clap::Args;
use countersign_approval::{Activation, Body, Envelope, Kind, Statement, seal};
use countersign_bundle::{Bundle, MANIFEST_PATH};
use countersign_client::{BundleFile, PeopleClient};
use countersign_types::{Duration, GenesisHash, PrincipalId, Tag, Timestamp, UtcSeconds};
use serde::Serialize;

use crate::{
    bundle::{certify_next, next_manifest},
    bundle_files, clock, connect,
    environment::{Environment, Layout},
    failure::{Failure, Result},
    keys::SigningKey,
    output::Output,
    owners::Owners,
    policy::Effort,
    trust::Trust,
};

/// Time for the others to sign, and to activate once a time-lock has run out.
const GRACE: Duration = Duration::from_secs(3 * 86_400);

/// How long an activation statement counts that is made now: the bundle comes into force behind the time-lock of the one before, and not
/// before the moment that is wanted. Whoever signs behind that moment joins those who signed for it.
pub(crate) fn validity(in_force: Option<&Bundle>, not_before: Option<UtcSeconds>, now: Timestamp) -> Result<Duration> {
    let time_lock = in_force.map(|bundle| bundle.roster().time_lock()).unwrap_or_default();
    let unlocked = now.after(time_lock);
    let opens_at = not_before.map_or(unlocked, |wanted| wanted.to_timestamp().max(unlocked));
    let validity = Duration::from_secs(now.until(opens_at).secs().saturating_add(GRACE.secs()));
    if validity > Kind::Activation.max_validity() {
        return Err(Failure::usage(format!(
            "no statement counts until {opens_at}: at most {} from now",
            Kind::Activation.max_validity()
        )));
    }
    Ok(validity)
}

/// Activate a bundle at the signer: with what was approved before, and with the keys that are named here.
///
/// With keys it shows what they sign, and refuses what `bundle propose` refuses, unless it only tightens. Statements are journaled even where they
/// do not suffice yet. What is missing is the answer then: more admins, or time
/// (exit 4); repeat the command without keys when the time-lock has run out. A bundle that is in force already stays so, and nothing is
/// sent.
///
/// Without a `manifest.json` in the folder, the manifest of the next version is built: its predecessor is the bundle in
/// force, as verified from the genesis, or none for the first one, which the genesis's admins sign. The environment's own copy under `bundle/` follows.
#[derive(Debug, Args)]
#[command(after_help = "JSON: {version, bundle, policy}", group = clap::ArgGroup::new("who").args(["keys", "person"]).required(true).multiple(true))]
pub(crate) struct Activate {
    /// The environment.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// The bundle's files: roster.yaml, wallets.yaml, assets.yaml, destinations.yaml, policy.yaml, networks/*.yaml.
    #[arg(long, value_name = "BUNDLE_DIR")]
    files: PathBuf,
    /// The private key file of an admin or officer who signs now; once for each.
    #[arg(long = "key", value_name = "FILE")]
    keys: Vec<PathBuf>,
    /// Whose certificate connects; the owner of the first key if not given.
    #[arg(long = "as", value_name = "PERSON")]
    person: Option<PrincipalId>,
    #[command(flatten)]
    effort: Effort,
}

/// The result: `{"version","bundle","policy"}`.
#[derive(Debug, Serialize)]
pub(crate) struct Activated {
    pub(crate) version: u64,
    pub(crate) bundle: String,
    pub(crate) policy: String,
}

impl fmt::Display for Activated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "in force: version {}\nbundle    {}\npolicy    {}",
            self.version, self.bundle, self.policy
        )
    }
}

impl Activate {
    /// Version 1 of a new environment, signed by its first two admins.
    pub(crate) fn first(layout: &Layout) -> Result<Self> {
        let person = |name: &str| PrincipalId::parse(name).map_err(Failure::failed);
        Ok(Self {
            dir: layout.root().to_owned(),
            files: layout.bundle(),
            keys: vec![layout.person_key(&person("alice")?), layout.person_key(&person("bob")?)],
            person: Some(person("alice")?),
            effort: Effort::default(),
        })
    }

    pub(crate) async fn run(self, output: Output) -> Result<()> {
        let layout = Environment::open(&self.dir)?.layout();
        output.report(&self.activate(&layout, Some(output)).await?)
    }

    /// Signs, sends, and says "in force" once the verified chain ends in this bundle. What keys sign is held against its invariants and tests and
    /// shown first; not the bundle that a new environment begins with, which nobody has edited.
    pub(crate) async fn activate(&self, layout: &Layout, shown: Option<Output>) -> Result<Activated> {
        let keys = self
            .keys
            .iter()
            .map(|path| SigningKey::read(path))
            .collect::<Result<Vec<_>>>()?;
        let person = self.connecting_person(layout, &keys)?;
        let people = connect::people(layout, person.as_str()).await?;
        let trust = Trust::fetch_through(layout, &people).await?;
        let contents = with_manifest(bundle_files::read(&self.files)?, &trust)?;
        let bundle = bundle_files::load_contents(&self.files, &contents).map_err(advised)?;
        let next = Next { bundle, contents };
        if trust.in_force().map(Bundle::digest) == Some(next.bundle.digest()) {
            // Somebody was faster, or an answer was lost.
            return next.keep(layout);
        }
        if let Some(output) = shown.filter(|_| !keys.is_empty()) {
            certify_next(&trust, (&self.files, &next.bundle), self.effort.budget(), output)?;
        }
        let validity = validity(trust.in_force(), None, clock::now()?)?;
        let statements = statements(&next.bundle, (trust.genesis.hash(), validity), &keys)?;
        next.put_in_force(layout, &people, &statements).await
    }

    /// The owner of the first key, as the bundle on disk or else the genesis lists it.
    fn connecting_person(&self, layout: &Layout, keys: &[SigningKey]) -> Result<PrincipalId> {
        if let Some(person) = &self.person {
            return Ok(person.clone());
        }
        let owners = Owners::of(layout);
        let owner = keys.first().and_then(|key| owners.owner(key));
        owner.cloned().ok_or_else(|| {
            Failure::usage("neither the bundle under `bundle/` nor the genesis lists the first key")
                .advise("say whose certificate connects with `--as PERSON`")
        })
    }
}

/// A bundle that is to be put in force, and its files.
pub(crate) struct Next {
    pub(crate) bundle: Bundle,
    pub(crate) contents: BTreeMap<String, Vec<u8>>,
}

impl Next {
    /// Sends it with what was signed now, and says "in force" once the verified chain ends in it.
    pub(crate) async fn put_in_force(
        self,
        layout: &Layout,
        people: &PeopleClient,
        statements: &[Envelope],
    ) -> Result<Activated> {
        let sent = self.contents.iter().map(|(path, data)| file(path, data)).collect();
        let answer = people.activate_bundle(sent, statements).await;
        answer.map_err(|error| Failure::answered("signer", &error))?;
        let after = Trust::fetch_through(layout, people).await?;
        let active = after.active()?;
        if active.digest() != self.bundle.digest() {
            let message = format!("the signer answered, but the bundle in force is {}", active.digest());
            return Err(Failure::unverified(Tag::BundleDigestMismatch, message));
        }
        self.keep(layout)
    }

    /// Keeps the environment's own copy of what is in force.
    fn keep(self, layout: &Layout) -> Result<Activated> {
        bundle_files::replace(&layout.bundle(), &self.contents)?;
        Ok(Activated {
            version: self.bundle.version(),
            bundle: self.bundle.digest().to_string(),
            policy: self.bundle.policy_digest().to_string(),
        })
    }
}

/// What to do about files that are not those of the manifest beside them depends on who changed them.
fn advised(failure: Failure) -> Failure {
    match failure.tag() {
        Some(Tag::BundleDigestMismatch) => failure.advise(
            "if you edited the files, `bundle propose` writes their manifest; if they were sent to you, get files and manifest again from whoever proposed them",
        ),
        Some(_) | None => failure,
    }
}

fn with_manifest(mut contents: BTreeMap<String, Vec<u8>>, trust: &Trust) -> Result<BTreeMap<String, Vec<u8>>> {
    if !contents.contains_key(MANIFEST_PATH) {
        let manifest = next_manifest(&contents, trust.in_force())?;
        contents.insert(MANIFEST_PATH.to_owned(), manifest.to_bytes());
    }
    Ok(contents)
}

fn file(path: &str, data: &[u8]) -> BundleFile {
    BundleFile {
        path: path.to_owned(),
        data: data.to_vec(),
    }
}

/// The activation statement of each key.
pub(crate) fn statements(
    bundle: &Bundle,
    (deployment, validity): (GenesisHash, Duration),
    keys: &[SigningKey],
) -> Result<Vec<Envelope>> {
    let signed = |key: &SigningKey| {
        let statement = Statement {
            header: clock::header(deployment, validity)?,
            body: Body::Activation(Activation {
                bundle: bundle.digest(),
                version: bundle.version(),
                previous: bundle.previous(),
                not_before: None,
            }),
        };
        seal(&statement, key).map_err(Failure::failed)
    };
    keys.iter().map(signed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::init::fixture::Fixture;

    /// An operator has no manifest of a first bundle: nothing but these commands writes one.
    /// A statement outlives the moment for which it is made, behind which others may still join.
    #[test]
    fn a_word_counts_three_days_longer_than_it_waits() {
        let now = Timestamp::from_unix_millis(1_780_272_000_000);
        let at = |secs: u32| now.after(Duration::from_secs(secs)).to_seconds();
        let days = |days: u32| Ok(Duration::from_secs(86_400 * days));
        assert_eq!(validity(None, None, now), days(3));
        assert_eq!(validity(None, Some(at(86_400 * 7)), now), days(10));
        let past = now.after(Duration::ZERO).to_seconds();
        assert_eq!(validity(None, Some(past), now.after(Duration::from_secs(60))), days(3));
        assert_eq!(validity(None, Some(at(86_400 * 363)), now), days(366));
        let never = validity(None, Some(at(86_400 * 364)), now).unwrap_err();
        assert_eq!(never.exit(), crate::failure::Exit::Usage);
    }

    #[test]
    fn files_without_a_manifest_follow_the_genesis_or_the_bundle_in_force() {
        let fixture = Fixture::new();
        let mut files = bundle_files::read(&fixture.layout.bundle()).unwrap();
        files.remove(MANIFEST_PATH);
        for (in_force, version) in [(0, 1), (1, 2)] {
            let trust = Trust::of(fixture.genesis.clone(), fixture.chain(in_force));
            let next = Bundle::load(&with_manifest(files.clone(), &trust).unwrap()).unwrap();
            assert_eq!(next.version(), version);
            assert_eq!(next.previous(), trust.in_force().map(Bundle::digest));
        }
    }
}

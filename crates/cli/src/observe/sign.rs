//! `countersign observe sign`: a statement about a chain, signed with the observer's key.

use std::{fmt, path::PathBuf};

use clap::Args;
use countersign_approval::{Body, Observation, Statement, seal};
use countersign_types::{ChainId, Duration, GenesisHash, StatementDigest};
use serde::Serialize;

use super::Post;
use crate::{
    clock,
    environment::Environment,
    failure::{Failure, Result},
    files,
    keys::SigningKey,
    output::Output,
};

/// Sign what your own node has of a network at finality.
///
/// FACTS is the JSON list `facts` of an observation (docs/formats.md), for example
/// [{"nonce-account": {"account": "solana:…:…", "authority": "solana:…:…", "value": "<64 hex>"}}]. Nothing is sent: `observe submit`
/// brings the file to each withdrawal that needs it.
#[derive(Debug, Args)]
#[command(after_help = "JSON: {file, statement, network, height, sequence, facts, expires_at}; facts is their number")]
pub(crate) struct Sign {
    #[command(flatten)]
    post: Post,
    /// The network (CAIP-2).
    #[arg(long)]
    network: ChainId,
    /// The finalised height at which your node was read: the block height, on Solana too, and not the slot.
    #[arg(long)]
    height: u64,
    /// Your own count on this network: a later observation never has a lower one.
    #[arg(long)]
    sequence: u64,
    /// The facts.
    #[arg(long, value_name = "FILE")]
    facts: PathBuf,
    /// Where the statement is written; a file that is there stays.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// How long accounts are as observed; what is final stays so.
    #[arg(long, value_name = "TIME", default_value = "1h")]
    valid_for: Duration,
    /// The observer's key file. Default: services/<observer>.key of the environment.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
}

/// The result: `{"file","statement","network","height","sequence","facts","expires_at"}`.
#[derive(Debug, Serialize)]
struct SignedObservation {
    file: PathBuf,
    statement: StatementDigest,
    network: ChainId,
    height: u64,
    sequence: u64,
    facts: usize,
    expires_at: String,
}

impl fmt::Display for SignedObservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "observation  {}", self.statement)?;
        writeln!(
            f,
            "network      {} at height {}, sequence {}",
            self.network, self.height, self.sequence
        )?;
        writeln!(f, "facts        {}, until {}", self.facts, self.expires_at)?;
        write!(f, "file         {}", self.file.display())
    }
}

impl Sign {
    pub(super) fn run(self, output: Output) -> Result<()> {
        let environment = Environment::open(&self.post.dir)?;
        let own = environment.layout().service_key(&self.post.observer);
        let key = SigningKey::read(self.key.as_ref().unwrap_or(&own))?;
        let signed = self.sign(environment.genesis()?.hash(), &key)?;
        output.report(&signed)
    }

    fn sign(self, deployment: GenesisHash, key: &SigningKey) -> Result<SignedObservation> {
        let observation = Observation {
            network: self.network,
            sequence: self.sequence,
            height: self.height,
            facts: files::read_json(&self.facts)?,
        };
        let statement = Statement {
            header: clock::header(deployment, self.valid_for)?,
            body: Body::Observation(observation.clone()),
        };
        let facts = self.facts.display();
        let envelope = seal(&statement, key).map_err(|error| Failure::failed(format!("`{facts}`: {error}")))?;
        files::create(&self.out, &envelope.to_bytes())?;
        Ok(SignedObservation {
            file: self.out,
            statement: envelope.statement_digest(),
            network: observation.network,
            height: observation.height,
            sequence: observation.sequence,
            facts: observation.facts.len(),
            expires_at: statement.header.validity.expires_at().to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use countersign_approval::{Envelope, Kind, ObservedFact};
    use serde_json::{Value, json};

    use super::*;
    use crate::keys;

    const NETWORK: &str = "solana:localnet";

    struct Bench {
        folder: tempfile::TempDir,
        key: SigningKey,
    }

    impl Bench {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("watch-1.key");
            keys::generate_seed(&path).unwrap();
            let key = SigningKey::read(&path).unwrap();
            Self { folder, key }
        }

        fn sign(&self, facts: &str) -> Result<SignedObservation> {
            let file = self.folder.path().join("facts.json");
            files::write(&file, facts.as_bytes()).unwrap();
            let sign = Sign {
                post: Post {
                    dir: self.folder.path().to_owned(),
                    observer: "watch-1".parse().unwrap(),
                },
                network: NETWORK.parse().unwrap(),
                height: 311,
                sequence: 8,
                facts: file,
                out: self.out(),
                valid_for: Duration::from_secs(60),
                key: None,
            };
            sign.sign(GenesisHash::of(b"g"), &self.key)
        }

        fn out(&self) -> PathBuf {
            self.folder.path().join("seen.json")
        }
    }

    /// One nonce account.
    fn fact() -> Value {
        let place = |n: &str| format!("{NETWORK}:{n}");
        json!({ "nonce-account": {
            "account": place("US517G5965aydkZ46HS38QLi7UQiSojurfbQfKCELFx"),
            "authority": place("YMN9Qj5jPNp7j14VPcML1B6xGgcPWVZUGLFU3Mnyfaf"),
            "value": "09".repeat(32),
        }})
    }

    #[test]
    fn the_file_states_what_was_asked_and_nothing_more() {
        let bench = Bench::new();
        let signed = bench.sign(&json!([fact()]).to_string()).unwrap();
        let envelope = Envelope::parse(&files::read(&bench.out()).unwrap()).unwrap();
        assert_eq!(
            (envelope.kind(), envelope.statement_digest()),
            (Kind::Observation, signed.statement)
        );
        let statement = Statement::parse(Kind::Observation, envelope.payload()).unwrap();
        assert_eq!(statement.header.deployment, GenesisHash::of(b"g"));
        let Body::Observation(observation) = statement.body else {
            panic!("another kind")
        };
        assert_eq!((observation.height, observation.sequence), (311, 8));
        let facts: Vec<ObservedFact> = serde_json::from_value(json!([fact()])).unwrap();
        assert_eq!(observation.facts, facts);
        assert_eq!(signed.facts, 1);
    }

    #[test]
    fn one_mutation_is_refused_and_leaves_no_file() {
        let bench = Bench::new();
        let with = |field: &str, value: Value| {
            let mut fact = fact();
            fact["nonce-account"][field] = value;
            json!([fact]).to_string()
        };
        let foreign = "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp:US517G5965aydkZ46HS38QLi7UQiSojurfbQfKCELFx";
        for (facts, says) in [
            (json!([]).to_string(), "1 to 64"),
            (json!([fact(), fact()]).to_string(), "stands twice"),
            (with("account", json!(foreign)), "another network"),
            (with("value", json!("09")), "64 lower-case hex"),
            (with("slot", json!(1)), "unknown field"),
            (json!({ "facts": [fact()] }).to_string(), "sequence"),
            (json!([{ "balance": {} }]).to_string(), "unknown variant"),
        ] {
            let failure = bench.sign(&facts).unwrap_err();
            assert!(failure.to_string().contains(says), "{says} in {failure}");
            assert!(failure.to_string().contains("facts.json"), "{failure}");
            assert!(!bench.out().exists(), "{facts}");
        }
    }

    #[test]
    fn a_statement_is_never_written_over_another() {
        let bench = Bench::new();
        let facts = json!([fact()]).to_string();
        bench.sign(&facts).unwrap();
        let before = files::read(&bench.out()).unwrap();
        bench.sign(&facts).unwrap_err();
        assert_eq!(files::read(&bench.out()).unwrap(), before);
    }
}

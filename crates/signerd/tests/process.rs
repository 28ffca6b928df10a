//! A withdrawal through a running process, and how the process starts, stops and refuses to start.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    reason = "tests fail by panicking"
)]

mod support;

#[path = "../../journal/tests/support/cluster.rs"]
mod cluster;

use std::{fs, os::unix::fs::PermissionsExt as _, time::Duration};

use countersign_approval::{Activation, Approval, Body, Environment, Freeze, GenesisFile};
use countersign_audit::{KeyName, SignedCheckpoint, VerifierKey};
use countersign_decision::{
    Acknowledgement,
    testing::{Ask, LOG_SEED, withdrawal},
};
use countersign_proto::{
    errors::tag_of,
    fields,
    signer::v1::{
        ActivateBundleRequest, AuthorizeRequest, FetchBundlesRequest, FetchCheckpointRequest, FetchReceiptRequest,
        RecordStatementRequest, SubmitStatementRequest, authorize_response::Outcome,
    },
};
use countersign_signerd::{
    commands,
    serve::{Process, ServeError},
};
use countersign_types::{StatementDigest, Tag};
use support::{Running, Site, wire_files};

const ORCHESTRATOR: &str = "countersign://orchestrator/main";
const PERSON: &str = "countersign://person/alice";

fn log_key(site: &Site) -> VerifierKey {
    let name: KeyName = site.world.genesis.log_origin().parse().unwrap();
    VerifierKey::new(name, site.world.genesis.log_key()).unwrap()
}

fn activations(site: &Site) -> Vec<countersign_proto::v1::Statement> {
    let bundle = site.world.bundle();
    let body = Activation {
        bundle: bundle.digest(),
        version: bundle.version(),
        previous: bundle.previous(),
        not_before: None,
    };
    let sign = |admin: &&str| fields::statement(site.sign(admin, Body::Activation(body.clone())));
    ["alice", "bob"].iter().map(sign).collect()
}

async fn activate(site: &Site, running: &Running) {
    let message = ActivateBundleRequest {
        files: wire_files(&site.world.files),
        statements: activations(site),
    };
    let activated = running
        .people(&site.client(PERSON))
        .activate_bundle(message)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(activated.version, 1);
    assert_eq!(activated.bundle_digest, site.world.bundle().digest().to_string());
}

async fn authorize(site: &Site, running: &Running, request: &[u8], ask: &Ask) -> Outcome {
    let message = AuthorizeRequest {
        request: Some(fields::statement(request.to_vec())),
        unsigned_transaction: ask.unsigned(),
        statements: Vec::new(),
    };
    let answer = running
        .signing(&site.client(ORCHESTRATOR))
        .authorize(message)
        .await
        .unwrap();
    answer.into_inner().outcome.unwrap()
}

#[tokio::test]
async fn one_withdrawal_over_both_listeners_and_a_restart() {
    let (site, running) = Site::running().await;
    activate(&site, &running).await;
    let ask = Ask::default();
    let request = site.sign("payout-service", Body::Request(Box::new(ask.request())));
    let envelope = countersign_approval::Envelope::parse(&request).unwrap();
    let Outcome::Pending(pending) = authorize(&site, &running, &request, &ask).await else {
        panic!()
    };
    assert_eq!((pending.missing[0].required, pending.missing[0].filled), (2, 0));
    // One approval through each listener.
    let approve = |person| {
        let item = site.world.item(&envelope, &ask);
        site.sign(person, Body::Approval(Approval { items: vec![item] }))
    };
    let first = approve("alice");
    let statement = Some(fields::statement(first.clone()));
    let mut people = running.people(&site.client(PERSON));
    let answer = people
        .submit_statement(SubmitStatementRequest { statement })
        .await
        .unwrap()
        .into_inner();
    let digest: StatementDigest = countersign_approval::Envelope::parse(&first)
        .unwrap()
        .statement_digest();
    let genesis = site.world.genesis.hash();
    Acknowledgement::verify(&answer.acknowledgement, &log_key(&site), genesis, digest).unwrap();
    let Outcome::Pending(pending) = authorize(&site, &running, &request, &ask).await else {
        panic!()
    };
    assert_eq!(pending.missing[0].filled, 1);
    let statement = Some(fields::statement(approve("bob")));
    let mut signing = running.signing(&site.client(ORCHESTRATOR));
    signing
        .record_statement(RecordStatementRequest { statement })
        .await
        .unwrap();
    let Outcome::Signed(signed) = authorize(&site, &running, &request, &ask).await else {
        panic!()
    };
    running.stop().await.unwrap();
    // The same answer from another process, and a receipt.
    let running = Running::start(&site).await;
    let Outcome::Signed(again) = authorize(&site, &running, &request, &ask).await else {
        panic!()
    };
    assert_eq!(again, signed);
    let withdrawal_id = withdrawal(&envelope).to_string();
    let receipt = running
        .signing(&site.client(ORCHESTRATOR))
        .fetch_receipt(FetchReceiptRequest { withdrawal_id })
        .await;
    let receipt = receipt.unwrap().into_inner().receipt;
    assert!(String::from_utf8(receipt).unwrap().contains(&signed.txid));
    let mut people = running.people(&site.client(PERSON));
    let bundles = people
        .fetch_bundles(FetchBundlesRequest { after_version: 0 })
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (bundles.active_version, bundles.bundles[0].files.len()),
        (1, site.world.files.len())
    );
    let checkpoint = people
        .fetch_checkpoint(FetchCheckpointRequest {})
        .await
        .unwrap()
        .into_inner()
        .checkpoint;
    SignedCheckpoint::parse(&checkpoint)
        .unwrap()
        .verify(&log_key(&site))
        .unwrap();
    running.stop().await.unwrap();
}

/// What a freeze keeps in does not leave as part of a receipt, except to those who read the log.
#[tokio::test]
async fn a_receipt_does_not_carry_out_what_is_frozen() {
    let (site, running) = Site::running().await;
    activate(&site, &running).await;
    let ask = Ask {
        amount: 50_000_000_000_000_000,
        ..Ask::default()
    };
    let request = site.sign("payout-service", Body::Request(Box::new(ask.request())));
    let Outcome::Signed(signed) = authorize(&site, &running, &request, &ask).await else {
        panic!()
    };
    let envelope = countersign_approval::Envelope::parse(&request).unwrap();
    let receipt = || FetchReceiptRequest {
        withdrawal_id: withdrawal(&envelope).to_string(),
    };
    let mut signing = running.signing(&site.client(ORCHESTRATOR));
    let mut people = running.people(&site.client(PERSON));
    signing.fetch_receipt(receipt()).await.unwrap();
    let freeze = Freeze {
        scope: "all".parse().unwrap(),
        reason: "stop".to_owned(),
    };
    let statement = Some(fields::statement(site.sign("dave", Body::Freeze(freeze))));
    people
        .submit_statement(SubmitStatementRequest { statement })
        .await
        .unwrap();
    let refused = signing.fetch_receipt(receipt()).await.unwrap_err();
    assert_eq!(tag_of(&refused), Some(Tag::FreezeActive));
    let read = people.fetch_receipt(receipt()).await.unwrap().into_inner().receipt;
    assert!(String::from_utf8(read).unwrap().contains(&signed.txid));
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_stop_is_clean_and_takes_the_ready_file_along() {
    let (site, running) = Site::running().await;
    // An open connection does not hold the stop up.
    let mut client = running.people(&site.client(PERSON));
    client.fetch_checkpoint(FetchCheckpointRequest {}).await.unwrap();
    tokio::time::timeout(Duration::from_secs(5), running.stop())
        .await
        .unwrap()
        .unwrap();
    assert!(!site.path("ready.json").exists());
    Running::start(&site).await.stop().await.unwrap();
}

/// Another process that takes the journal over ends this one, with its reason.
#[tokio::test]
async fn a_fenced_process_ends_by_itself() {
    let (site, running) = Site::running().await;
    fs::remove_file(site.path("state/lock")).unwrap();
    let second = Running::start(&site).await;
    activate(&site, &second).await;
    let client = site.client(PERSON);
    let message = ActivateBundleRequest {
        files: wire_files(&site.world.files),
        statements: activations(&site),
    };
    let mut people = running.people(&client);
    people.activate_bundle(message).await.unwrap_err();
    let ended = tokio::time::timeout(Duration::from_secs(5), running.end())
        .await
        .unwrap()
        .unwrap_err();
    assert!(ended.to_string().contains("`journal/fenced`"), "{ended}");
    second.stop().await.unwrap();
}

/// A database from before the last release has forgotten what was decided since: its anchor says so.
#[tokio::test]
async fn an_older_database_does_not_start() {
    let site = Site::new();
    site.init().await;
    let database = ["journal.sqlite", "journal.sqlite-wal"];
    let older = database.map(|name| fs::read(site.path("state").join(name)).unwrap_or_default());
    let running = Running::start(&site).await;
    activate(&site, &running).await;
    running.stop().await.unwrap();
    for (name, bytes) in database.iter().zip(older) {
        fs::write(site.path("state").join(name), bytes).unwrap();
    }
    match Process::start(site.config()).await {
        Err(ServeError::Journal(error)) => assert_eq!(error.source.tag(), Tag::JournalRewound, "{error}"),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it started"),
    }
}

/// Whoever reads the error looks into the file that names the database; what is secret in it is told to nobody.
#[tokio::test]
async fn a_database_that_does_not_answer_is_named_by_the_file_of_its_address() {
    let site = Site::new();
    site.init().await;
    site.share("postgresql://signer:hunter2@127.0.0.1:1/ledger");
    let said = match Process::start(site.config()).await {
        Err(error) => format!("{error} {error:?}"),
        Ok(_) => panic!("it started"),
    };
    assert!(said.contains("postgresql 127.0.0.1/ledger"), "{said}");
    assert!(said.contains(site.path("journal.url").to_str().unwrap()), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
}

/// Two processes over one database: what one decided and signed, the other knows.
#[tokio::test]
async fn signers_share_a_journal() {
    let site = Site::new();
    assert!(matches!(
        commands::join(&site.config(), &site.path("genesis.json")).await,
        Err(commands::CommandError::NotShared)
    ));
    site.share(&cluster::new_url());
    site.init().await;
    let first = Running::start(&site).await;
    activate(&site, &first).await;
    let folder = site.copy();
    let config = countersign_signerd::config::Config::read(&folder.path().join("signer.toml")).unwrap();
    commands::join(&config, &site.path("genesis.json")).await.unwrap();
    let second = Running::start_in(folder.path()).await;
    let ask = Ask::default();
    let request = site.sign("payout-service", Body::Request(Box::new(ask.request())));
    let envelope = countersign_approval::Envelope::parse(&request).unwrap();
    // One approval through each signer.
    for (person, running) in [("alice", &first), ("bob", &second)] {
        assert!(matches!(
            authorize(&site, running, &request, &ask).await,
            Outcome::Pending(_)
        ));
        let item = site.world.item(&envelope, &ask);
        let statement = site.sign(person, Body::Approval(Approval { items: vec![item] }));
        let message = RecordStatementRequest {
            statement: Some(fields::statement(statement)),
        };
        let mut signing = running.signing(&site.client(ORCHESTRATOR));
        signing.record_statement(message).await.unwrap();
    }
    let Outcome::Signed(signed) = authorize(&site, &first, &request, &ask).await else {
        panic!()
    };
    first.stop().await.unwrap();
    let Outcome::Signed(again) = authorize(&site, &second, &request, &ask).await else {
        panic!()
    };
    assert_eq!(again, signed);
    second.stop().await.unwrap();
}

async fn refusal(site: &Site) -> String {
    match Process::start(site.config()).await {
        Ok(_) => panic!("it started"),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn a_second_process_does_not_start_beside_the_first() {
    let (site, running) = Site::running().await;
    assert!(refusal(&site).await.contains("another signer process works in"));
    assert!(site.path("ready.json").exists(), "the first one's ready file stays");
    running.stop().await.unwrap();
}

/// One change to a site that starts, and a part of the reason that is given.
#[tokio::test]
async fn what_does_not_fit_together_does_not_start() {
    type Change = fn(&Site);
    let table: [(&str, Change); 11] = [
        ("`countersign-signer init` pins", |site| {
            fs::remove_file(site.path("state/genesis.json")).unwrap()
        }),
        ("there is no journal", |site| {
            fs::remove_file(site.path("state/journal.sqlite")).unwrap()
        }),
        ("anchor", |site| fs::remove_file(site.path("state/anchor")).unwrap()),
        ("log.key` holds a secret and has mode 0644", |site| {
            set_mode(site, "state/log.key", 0o644)
        }),
        ("passphrase` holds a secret and has mode 0640", |site| {
            set_mode(site, "passphrase", 0o640)
        }),
        ("signer.key` holds a secret and has mode 0604", |site| {
            set_mode(site, "signer.key", 0o604)
        }),
        ("genesis.json` can be changed by everybody", |site| {
            set_mode(site, "state/genesis.json", 0o646)
        }),
        ("state` can be changed by everybody", |site| {
            set_mode(site, "state", 0o777)
        }),
        ("pins log key", |site| {
            fs::write(site.path("state/log.key"), "11".repeat(32)).unwrap()
        }),
        ("the passphrase is wrong", |site| {
            fs::write(site.path("passphrase"), "wrong\n").unwrap()
        }),
        ("the certificates of `orchestrator_listener`", |site| {
            fs::write(site.path("signer.pem"), "x").unwrap()
        }),
    ];
    for (expected, change) in table {
        let site = Site::new();
        site.init().await;
        change(&site);
        let reason = refusal(&site).await;
        assert!(reason.contains(expected), "{expected}: {reason}");
    }
}

fn set_mode(site: &Site, name: &str, mode: u32) {
    fs::set_permissions(site.path(name), fs::Permissions::from_mode(mode)).unwrap();
}

#[tokio::test]
async fn init_never_repeats_itself() {
    let site = Site::new();
    let trust_root = site.path("genesis.json");
    let made = commands::init(&site.config(), &trust_root).await.unwrap();
    assert_eq!(
        (made.deployment, made.environment),
        (site.world.genesis.hash(), Environment::Development)
    );
    assert_eq!(
        fs::read(site.path("state/genesis.json")).unwrap(),
        site.world.genesis_bytes
    );
    let again = commands::init(&site.config(), &trust_root).await.unwrap_err();
    assert!(again.to_string().contains("journal.sqlite` exists"), "{again}");
    // Not even without the database: the anchor says that there was one.
    fs::remove_file(site.path("state/journal.sqlite")).unwrap();
    let again = commands::init(&site.config(), &trust_root).await.unwrap_err();
    assert!(again.to_string().contains("anchor` exists"), "{again}");
    let key = commands::log_key(&site.config()).unwrap_err();
    assert!(key.to_string().contains("log.key` already exists"), "{key}");
    assert_eq!(
        fs::read_to_string(site.path("state/log.key")).unwrap(),
        hex::encode(LOG_SEED)
    );
    let keystore = commands::token_init(&site.config()).unwrap_err();
    assert!(keystore.to_string().contains("already exists"), "{keystore}");
}

/// One change to a site that initializes; nothing is left behind that would stop a right one.
#[tokio::test]
async fn init_refuses_a_trust_root_that_does_not_fit() {
    let site = Site::new();
    let trust_root = site.path("genesis.json");
    let good: GenesisFile = serde_json::from_slice(&site.world.genesis_bytes).unwrap();
    let other_key = hex::encode(
        ed25519_dalek::SigningKey::from_bytes(&[77; 32])
            .verifying_key()
            .to_bytes(),
    );
    let table = [
        (b"{}".to_vec(), "the genesis file is malformed"),
        (
            GenesisFile {
                environment: Environment::Production,
                ..good.clone()
            }
            .to_bytes(),
            "production genesis",
        ),
        (
            GenesisFile {
                log_key: format!("ed25519:{other_key}"),
                ..good.clone()
            }
            .to_bytes(),
            "pins log key",
        ),
    ];
    for (bytes, expected) in table {
        fs::write(&trust_root, bytes).unwrap();
        let error = commands::init(&site.config(), &trust_root)
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains(expected), "{expected}: {error}");
    }
    fs::write(&trust_root, good.to_bytes()).unwrap();
    site.init().await;
}

/// An `init` that was interrupted after it pinned the trust root goes on with the same one, and no other.
#[tokio::test]
async fn an_interrupted_init_goes_on_with_the_same_trust_root() {
    let site = Site::new();
    let pinned = site.path("state/genesis.json");
    fs::write(&pinned, b"{}").unwrap();
    let error = commands::init(&site.config(), &site.path("genesis.json"))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("genesis.json` already exists"), "{error}");
    fs::write(&pinned, &site.world.genesis_bytes).unwrap();
    site.init().await;
    Running::start(&site).await.stop().await.unwrap();
}

//! `kill -9` of either process at random moments, while a pipeline submits.
//!
//! In the end every withdrawal that was acknowledged is signed, each under its own nonce; no payload is signed twice; nothing
//! is in the log that nobody asked for.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::wildcard_enum_match_arm,
    clippy::disallowed_methods,
    reason = "tests fail by panicking"
)]

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use countersign_client::{Client, State};
use countersign_integration::{Deployment, Relay};
use countersign_types::WithdrawalId;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use serde_json::Value;
use support::{Ask, Scene, Withdrawal, small};
use tokio::time::{sleep, timeout};

const WITHDRAWALS: u64 = 24;
/// Submitted and not signed yet: enough for nonces to overtake each other.
const IN_FLIGHT: usize = 4;
/// Kills while the pipeline works; how long it is left alone in between.
const KILLS: u32 = 14;
const LIFE_MS: std::ops::Range<u64> = 20..400;
const DEATH_MS: std::ops::Range<u64> = 0..150;
/// A generous bound for the whole, on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(300);
const POLL: Duration = Duration::from_millis(25);

/// A withdrawal of the pipeline: as it was acknowledged, and what it takes to build another attempt.
struct Sent {
    withdrawal: Withdrawal,
    ask: Ask,
    attempts: usize,
}

/// What a pipeline does: numbers its transactions, keeps a few in flight, asks again until it has an answer, and where a
/// nonce came before its predecessor (`conflict-key/gap`) submits another attempt.
struct Pipeline {
    client: Client,
    /// The next one last.
    prepared: Vec<(Ask, Withdrawal)>,
    sent: Vec<Sent>,
    signed: BTreeSet<WithdrawalId>,
}

impl Pipeline {
    async fn run(mut self) -> Vec<Sent> {
        while self.signed.len() < WITHDRAWALS as usize {
            while self.sent.len() - self.signed.len() < IN_FLIGHT {
                let Some((ask, withdrawal)) = self.prepared.pop() else {
                    break;
                };
                self.submit(&withdrawal).await;
                self.sent.push(Sent {
                    withdrawal,
                    ask,
                    attempts: 1,
                });
            }
            for at in 0..self.sent.len() {
                self.follow(at).await;
            }
            sleep(POLL).await;
        }
        self.sent
    }

    /// Until it is acknowledged: from then on it must not be lost.
    async fn submit(&self, withdrawal: &Withdrawal) {
        while let Err(error) = self.client.submit(&withdrawal.request, &withdrawal.unsigned).await {
            assert_eq!(error.tag().map(|tag| tag.class()), failed(&error), "{error}");
            sleep(POLL).await;
        }
    }

    async fn follow(&mut self, at: usize) {
        let sent = &mut self.sent[at];
        let id = sent.withdrawal.id;
        if self.signed.contains(&id) {
            return;
        }
        let Ok(found) = self.client.withdrawal(&id).await else {
            return;
        };
        match found.state {
            State::Signed => {
                self.signed.insert(id);
            }
            // The signature of an attempt that was overtaken arrived first.
            State::Received | State::Replacing => {}
            State::PendingApproval => {
                // Behind it, while the signer is dead: why nobody answers.
                let mut tags = found.reasons.iter().map(|reason| reason.tag.as_str());
                assert!(tags.any(|tag| tag == "conflict-key/gap"), "{found:?}");
                if found.attempts.len() == sent.attempts {
                    sent.ask.max_fee_gwei += 1;
                }
                let added = self.client.add_attempt(&id, &sent.ask.unsigned()).await;
                sent.attempts = added.map_or(sent.attempts, |added| added.attempts.len());
            }
            other => panic!("{other:?}: {found:?}"),
        }
    }
}

/// While a process is dead there is no answer, or one that says that it could not be decided.
fn failed(error: &countersign_client::ClientError) -> Option<countersign_types::Class> {
    error.tag().map(|_| countersign_types::Class::Failed)
}

/// The deployment behind addresses that stay. Its own connections break with the first kill.
struct Stage {
    scene: Scene,
    signer: Relay,
    orchestrator: Relay,
}

impl Stage {
    async fn start() -> Self {
        let mut deployment = Deployment::init().unwrap();
        let signer = deployment.start_signer().await.unwrap().orchestrators;
        let signer = Relay::start(signer).await.unwrap();
        let orchestrator = deployment.start_orchestrator_before(signer.address()).await.unwrap();
        Self {
            orchestrator: Relay::start(orchestrator).await.unwrap(),
            signer,
            scene: Scene::of(deployment).await,
        }
    }

    /// A pipeline with every request made, before anything dies. It connects through the relay and nowhere else.
    async fn pipeline(&self) -> Pipeline {
        let endpoint = self.scene.deployment.endpoint(self.orchestrator.address(), "pipeline");
        let ask = |nonce: u64| Ask {
            nonce,
            ..small(&format!("crash-{nonce}")).template()
        };
        let prepared = (0..WITHDRAWALS).rev();
        Pipeline {
            client: Client::connect(&endpoint).await.unwrap(),
            prepared: prepared
                .map(|nonce| (ask(nonce), self.scene.withdrawal(&ask(nonce))))
                .collect(),
            sent: Vec::new(),
            signed: BTreeSet::new(),
        }
    }

    async fn restart_signer(&mut self) {
        let addresses = self.scene.deployment.start_signer().await.unwrap();
        self.signer.point_to(addresses.orchestrators);
    }

    async fn restart_orchestrator(&mut self) {
        let address = self
            .scene
            .deployment
            .start_orchestrator_before(self.signer.address())
            .await
            .unwrap();
        self.orchestrator.point_to(address);
    }

    /// Kills one or both, and brings them back in either order.
    async fn crash(&mut self, random: &mut StdRng) {
        let (signer, orchestrator) = match random.random_range(0..4) {
            0 => (true, true),
            1 => (false, true),
            _ => (true, false),
        };
        if signer {
            self.scene.deployment.kill_signer().unwrap();
        }
        if orchestrator {
            self.scene.deployment.kill_orchestrator().unwrap();
        }
        sleep(Duration::from_millis(random.random_range(DEATH_MS))).await;
        if orchestrator && random.random_bool(0.5) {
            self.restart_orchestrator().await;
        }
        if signer {
            self.restart_signer().await;
        }
        if self.scene.deployment.orchestrator().is_err() {
            self.restart_orchestrator().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_is_signed_once_whatever_dies() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut stage = Stage::start().await;
    let pipeline = stage.pipeline().await;
    let pipeline = tokio::spawn(async move { timeout(PATIENCE, pipeline.run()).await });
    let mut kills = 0;
    while kills < KILLS && !pipeline.is_finished() {
        sleep(Duration::from_millis(random.random_range(LIFE_MS))).await;
        stage.crash(&mut random).await;
        kills += 1;
    }
    println!("{kills} kills");
    let sent = pipeline.await.unwrap().unwrap_or_else(|_| {
        let process = stage.scene.deployment.orchestrator_process();
        let said = process.map(|process| process.said()).unwrap_or_default();
        panic!("seed {seed}: not everything is signed in time\n{said}")
    });
    verify(stage.scene.deployment, &sent).await;
}

async fn verify(deployment: Deployment, sent: &[Sent]) {
    let scene = Scene::of(deployment).await;
    let client = scene.deployment.client("pipeline").await.unwrap();
    let mut logged: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let (mut payloads, mut txids) = (BTreeSet::new(), BTreeSet::new());
    for entry in scene.log().await {
        if entry["type"] == "signature/1" {
            assert!(payloads.insert(entry["payloads"].to_string()), "signed twice: {entry}");
            let text = |field: &str| entry[field].as_str().unwrap().to_owned();
            assert!(txids.insert(text("txid")), "{entry}");
            logged.entry(text("withdrawal")).or_default().push(text("txid"));
        }
    }
    assert_eq!(sent.len() as u64, WITHDRAWALS);
    assert_eq!(logged.len(), sent.len(), "one withdrawal each, and no other");
    for (nonce, sent) in sent.iter().enumerate() {
        assert_eq!(sent.ask.nonce, nonce as u64);
        let found = client.withdrawal(&sent.withdrawal.id).await.unwrap();
        assert_eq!(found.state, State::Signed);
        let logged = &logged[&found.id.to_string()];
        // An attempt is added only after the one before it was refused: one is signed. The exception is an attempt whose
        // call outlived the orchestrator that made it, and it shares the nonce: at most one of the two can be mined.
        assert!((1..=found.attempts.len()).contains(&logged.len()), "{logged:?}");
        // What the orchestrator holds is what the signer logged, and the receipt proves it.
        let (_, txid) = found.signed().unwrap();
        assert!(logged.contains(&txid.to_owned()), "{txid}: {logged:?}");
        verify_receipt(&scene, &found.id, logged).await;
    }
}

async fn verify_receipt(scene: &Scene, id: &WithdrawalId, logged: &[String]) {
    let file = scene.deployment.path("receipt.json");
    std::fs::write(&file, scene.people.receipt(id).await.unwrap()).unwrap();
    let root = scene.deployment.path("genesis.json");
    let (file, root) = (file.to_str().unwrap(), root.to_str().unwrap());
    let arguments = ["audit", "verify", file, "--trust-root", root, "--output", "json"];
    let output = scene.deployment.countersign(arguments, false).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let proven: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(proven["withdrawal"], id.to_string());
    let txid = proven["txid"].as_str().unwrap();
    assert!(logged.iter().any(|logged| logged == txid), "{txid}: {logged:?}");
}

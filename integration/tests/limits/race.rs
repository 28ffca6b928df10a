//! 16 submitters against one limit, two signers that share one PostgreSQL journal, and `kill -9` at random moments. Some payments
//! are taken off the chain again: one signer is asked for the cancel attempt while the other is for the payment at a higher fee.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use countersign_approval::{Body, Cancel, Envelope, Statement, seal};
use countersign_chains::evm::TransferDraft;
use countersign_integration::{Backend, Binaries, Deployment, Process, Relay, Started};
use countersign_proto::{
    signer::v1::{authorize_response::Outcome, signing_client::SigningClient},
    v1::Reason,
};
use countersign_types::{Amount, Destination, TransactionDigest};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use tokio::time::{Instant, sleep};
use tonic::transport::Channel;

use crate::{
    cluster,
    replay::{Asked, replay},
    site::{Site, join},
    support::{Ask, NETWORK, Scene, Withdrawal, authorize_request, denied, small, tags},
};

/// Rounds, one after another, each with a deployment of its own.
const ROUNDS: &str = "COUNTERSIGN_RACE_ROUNDS";
const SUBMITTERS: usize = 16;
const WITHDRAWALS_EACH: usize = 4;
/// Of so many withdrawals of a submitter the first is cancelled, if it was signed.
const CANCELLED_ONE_OF: usize = 2;
/// A third of what is asked for.
const LIMIT: &str = r#"id: eth-hour, effects: [transfer], assets: [ETH], scope: [], window: 1h, hard: "1 ETH""#;
const LIMIT_WEI: u128 = 1_000_000_000_000_000_000;
const AMOUNTS: [(&str, u128); 4] = [("0.03", 3), ("0.05", 5), ("0.06", 6), ("0.07", 7)];
const HUNDREDTH: u128 = 10_000_000_000_000_000;
const WALLET_PREFIX: &str = "eip155:31337:";
const LIFE_MS: std::ops::Range<u64> = 300..1_500;
const PATIENCE: Duration = Duration::from_secs(180);

/// One signer process behind an address that stays.
struct Node {
    folder: PathBuf,
    ready: PathBuf,
    process: Option<Process>,
    relay: Option<Relay>,
}

impl Node {
    async fn start(&mut self, deployment: &Deployment) {
        let (process, ready) = Process::start(&Started {
            program: Binaries::locate().unwrap().path("countersign-signer"),
            arguments: vec![
                "serve".into(),
                "--config".into(),
                self.folder.join("signer.toml").into(),
            ],
            environment: Vec::new(),
            ready_file: self.ready.clone(),
            log: deployment.path("signers.log"),
        })
        .await
        .unwrap();
        let address = ready["orchestrator_listener"].as_str().unwrap().parse().unwrap();
        self.process = Some(process);
        match &self.relay {
            Some(relay) => relay.point_to(address),
            None => self.relay = Some(Relay::start(address).await.unwrap()),
        }
    }

    fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            process.kill().unwrap();
        }
    }
}

/// What the submitters share: like pipelines of one wallet, they take the next nonce where they hear of it.
struct Shared {
    nonce: AtomicU64,
    signed: Mutex<Vec<String>>,
    failures: AtomicU64,
    /// The wallet itself, where a cancel attempt sends nothing.
    own: Destination,
    /// Bytes that pay nobody.
    cancels: Mutex<BTreeSet<String>>,
    /// Payments at a higher fee that were signed before the cancel came.
    replaced: AtomicU64,
}

async fn channel(deployment: &Deployment, relay: &Relay) -> SigningClient<Channel> {
    let tls = deployment.tls("orchestrator-client").unwrap();
    SigningClient::new(deployment.channel(relay.address(), tls).await.unwrap())
}

/// The number behind some words of a reason.
fn told(reasons: &[Reason], words: &[&str]) -> Option<u64> {
    reasons.iter().find_map(|reason| {
        let rest = words.iter().find_map(|words| reason.message.split(words).nth(1))?;
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok()
    })
}

/// An answer, of one signer after the other until one gives it.
async fn answer(
    clients: &mut [SigningClient<Channel>],
    mut at: usize,
    (withdrawal, statements): (&Withdrawal, &[Envelope]),
    shared: &Shared,
) -> Outcome {
    loop {
        match clients[at].authorize(authorize_request(withdrawal, statements)).await {
            Ok(answer) => return answer.into_inner().outcome.unwrap(),
            // Dead, or it does not know whether it committed: the other one does, or this one later.
            Err(_) => {
                shared.failures.fetch_add(1, Ordering::SeqCst);
                at = (at + 1) % clients.len();
                sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

/// Takes a signed payment off the chain again, while it is asked for at a higher fee where the cancel did not go.
async fn take_back(
    clients: &mut [SigningClient<Channel>],
    ask: &Ask,
    (withdrawal, cancel): (&Withdrawal, Envelope),
    shared: &Shared,
) {
    let with = |unsigned: Vec<u8>| Withdrawal {
        unsigned,
        ..withdrawal.clone()
    };
    let at_fee = |max_fee_gwei| Ask {
        max_fee_gwei,
        ..ask.clone()
    };
    let dearer = with(at_fee(45).unsigned());
    let nothing = TransferDraft {
        amount: Amount::from_base_units(0),
        destination: shared.own.clone(),
        ..at_fee(60).draft()
    };
    let attempt = with(nothing.encode().unwrap());
    shared
        .cancels
        .lock()
        .unwrap()
        .insert(TransactionDigest::of(&attempt.unsigned).to_string());
    let at = rand::random_range(0..clients.len());
    let cancel = [cancel];
    let mut others = clients.to_vec();
    let later = async {
        sleep(Duration::from_millis(rand::random_range(0..400))).await;
        answer(clients, at, (&attempt, &cancel), shared).await
    };
    let (cancelled, replaced) = tokio::join!(later, answer(&mut others, 1 - at, (&dearer, &[]), shared),);
    let Outcome::Signed(first) = cancelled else {
        panic!("the cancel attempt: {cancelled:?}")
    };
    let refused = |outcome: Outcome| assert_eq!(tags(&denied(outcome).reasons), ["withdrawal/cancelled"].into());
    match replaced {
        Outcome::Signed(_) => drop(shared.replaced.fetch_add(1, Ordering::SeqCst)),
        other => refused(other),
    }
    // From now on nobody is given the payment, and the attempt is what it was.
    for at in 0..clients.len() {
        refused(answer(clients, at, (withdrawal, &[]), shared).await);
        refused(answer(clients, at, (&dearer, &[]), shared).await);
        let again = answer(clients, at, (&attempt, &cancel), shared).await;
        assert_eq!(again, Outcome::Signed(first.clone()));
    }
}

/// One withdrawal until it is signed, or over the limit. Whether it was signed.
async fn submit(
    clients: &mut [SigningClient<Channel>],
    ask: &mut Ask,
    withdrawal: &mut Withdrawal,
    shared: &Shared,
) -> bool {
    // Once a call that nobody answered has authorized an attempt, its nonce is the withdrawal's.
    let mut own = None;
    loop {
        ask.nonce = own.unwrap_or_else(|| shared.nonce.load(Ordering::SeqCst));
        withdrawal.unsigned = ask.unsigned();
        let at = rand::random_range(0..clients.len());
        let reasons = match answer(clients, at, (withdrawal, &[]), shared).await {
            Outcome::Signed(_) => {
                shared.nonce.fetch_max(ask.nonce + 1, Ordering::SeqCst);
                shared.signed.lock().unwrap().push(withdrawal.id.to_string());
                return true;
            }
            Outcome::Denied(no) if no.reasons.iter().any(|reason| reason.tag == "limit/window-exceeded") => {
                return false;
            }
            Outcome::Denied(no) => no.reasons,
            Outcome::Pending(pending) => pending.reasons,
            other => panic!("{other:?}"),
        };
        let is_nonce =
            |reason: &Reason| reason.tag.starts_with("conflict-key/") || reason.tag == "lineage/anchor-changed";
        assert!(reasons.iter().all(is_nonce), "{reasons:?}");
        let anchor = format!("account-nonce {WALLET_PREFIX}");
        if let Some(kept) = reasons.iter().find(|reason| reason.tag == "lineage/anchor-changed") {
            assert!(kept.message.contains(&anchor), "{reasons:?}");
            own = kept.message.rsplit(' ').next().and_then(|nonce| nonce.parse().ok());
            assert!(own.is_some(), "{reasons:?}");
        } else if let Some(next) = told(&reasons, &["the next one is ", "the next nonce is "]) {
            shared.nonce.fetch_max(next, Ordering::SeqCst);
        }
        sleep(Duration::from_millis(rand::random_range(1..15))).await;
    }
}

/// The initiator's word that a payment may be taken off the chain, and at what fee.
fn cancel(scene: &Scene, withdrawal: &Withdrawal) -> Envelope {
    let statement = Statement {
        header: scene.header(),
        body: Body::Cancel(Cancel {
            withdrawal: withdrawal.id,
            fee_ceiling: Some(withdrawal.body.fee_ceiling.clone()),
            reason: "raced".to_owned(),
        }),
    };
    seal(&statement, &scene.deployment.initiator().unwrap()).unwrap()
}

async fn round(seed: u64) {
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let site = Site::new(Backend::InsecureDev, &[LIMIT]).shared(&cluster::new_url());
    let (mut scene, files) = site.start().await;
    scene.begin(&files).await.unwrap();
    let second = join(&scene.deployment);
    scene.deployment.kill_signer().unwrap();
    let mut nodes = [
        (scene.deployment.path("signer"), "run/signer.json"),
        (second, "run/signer-2.json"),
    ]
    .map(|(folder, ready)| Node {
        folder,
        ready: scene.deployment.path(ready),
        process: None,
        relay: None,
    });
    for node in &mut nodes {
        node.start(&scene.deployment).await;
    }
    let shared = Arc::new(Shared {
        nonce: AtomicU64::new(0),
        signed: Mutex::default(),
        failures: AtomicU64::new(0),
        own: scene
            .bundle
            .registry()
            .wallet_destination(&NETWORK.parse().unwrap(), &"eth-hot".parse().unwrap())
            .unwrap(),
        cancels: Mutex::default(),
        replaced: AtomicU64::new(0),
    });
    let mut asked = Asked::new();
    let mut submitters = Vec::new();
    for number in 0..SUBMITTERS {
        let mut work = Vec::new();
        for which in 0..WITHDRAWALS_EACH {
            let (amount, hundredths) = AMOUNTS[random.random_range(0..AMOUNTS.len())];
            let ask = Ask {
                amount,
                ..small(&format!("race-{number}-{which}")).template()
            };
            let withdrawal = scene.withdrawal(&ask);
            asked.insert(withdrawal.id.to_string(), hundredths * HUNDREDTH);
            let cancel = (which % CANCELLED_ONE_OF == 0).then(|| cancel(&scene, &withdrawal));
            work.push((ask, withdrawal, cancel));
        }
        let mut clients = Vec::new();
        for node in &nodes {
            clients.push(channel(&scene.deployment, node.relay.as_ref().unwrap()).await);
        }
        let shared = Arc::clone(&shared);
        submitters.push(tokio::spawn(async move {
            for (mut ask, mut withdrawal, cancel) in work {
                let is_signed = submit(&mut clients, &mut ask, &mut withdrawal, &shared).await;
                if let Some(cancel) = cancel.filter(|_| is_signed) {
                    take_back(&mut clients, &ask, (&withdrawal, cancel), &shared).await;
                }
            }
        }));
    }
    let (mut kills, start) = (0, Instant::now());
    while !submitters.iter().all(tokio::task::JoinHandle::is_finished) {
        assert!(
            start.elapsed() < PATIENCE,
            "seed {seed}: not everything is answered in time"
        );
        sleep(Duration::from_millis(random.random_range(LIFE_MS))).await;
        let node = &mut nodes[random.random_range(0..2)];
        node.kill();
        kills += 1;
        node.start(&scene.deployment).await;
    }
    for submitter in submitters {
        submitter.await.unwrap();
    }
    for node in &mut nodes {
        node.kill();
    }
    println!(
        "{kills} kills, {} failed calls, {} cancel attempts, {} payments replaced before theirs",
        shared.failures.load(Ordering::SeqCst),
        shared.cancels.lock().unwrap().len(),
        shared.replaced.load(Ordering::SeqCst)
    );
    verify(scene.deployment, asked, &shared).await;
}

/// With everything restarted: the log, the journal and what was released agree, and the limit holds.
async fn verify(mut deployment: Deployment, mut asked: Asked, shared: &Shared) {
    let cancels = shared.cancels.lock().unwrap().clone();
    deployment.start_signer().await.unwrap();
    let scene = Scene::of(deployment).await;
    let before = scene.log().await;
    // A probe that cannot fit asks the journal what it holds.
    let probe = Ask {
        amount: "0.09",
        nonce: shared.nonce.load(Ordering::SeqCst),
        ..small("probe").template()
    };
    let mut sums = replay(&before, &asked, &cancels, LIMIT_WEI);
    assert!(
        sums.authorized + 9 * HUNDREDTH > LIMIT_WEI,
        "the submitters left room for the probe: {sums:?}"
    );
    let probed = scene.withdrawal(&probe);
    asked.insert(probed.id.to_string(), 9 * HUNDREDTH);
    let no = denied(scene.authorize(&probed, &[]).await);
    assert!(
        no.reasons.iter().any(|reason| reason.tag == "limit/window-exceeded"),
        "{no:?}"
    );
    let log = scene.log().await;
    sums = replay(&log, &asked, &cancels, LIMIT_WEI);
    println!(
        "{} wei authorized, {} signed, {} entries",
        sums.authorized,
        sums.signed,
        log.len()
    );
    assert_eq!(
        sums.held_at_last_denial,
        Some(sums.authorized),
        "the journal holds what the log adds up to"
    );
    assert!(
        sums.signed <= sums.authorized && sums.authorized <= LIMIT_WEI,
        "{sums:?}"
    );
    // Everything that a submitter saw signed is in the log, and the limit was really contended.
    let released: u128 = shared.signed.lock().unwrap().iter().map(|id| asked[id]).sum();
    assert!(released <= sums.signed, "{released} {sums:?}");
    assert_eq!(sums.signed, sums.authorized, "what was authorized is signed in the end");
    assert_eq!(
        sums.cancels, cancels,
        "each cancel attempt is in the log, once authorized"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn racing_submitters_and_dying_signers_stay_within_the_limit() {
    let rounds = std::env::var(ROUNDS).map_or(1, |rounds| rounds.parse().unwrap());
    for _ in 0..rounds {
        round(rand::random()).await;
    }
}

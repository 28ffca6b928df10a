//! Limits over windows against a naive reader of the log: random withdrawals, attempts, observations, crashes and pauses.
//!
//! The reader knows what observers said and adds everything up again at each decision. Whatever happened, each decision saw
//! exactly that sum, and none goes over the limit.

use crate::support;

use std::collections::BTreeMap;

use countersign_approval::{Envelope, ObservedFact, ObservedOutcome};
use countersign_decision::testing::{solana::SolanaAsk, withdrawal};
use countersign_decision::{DecisionEntry, Entry, OutcomeKind};
use countersign_signer::{Answer, SignerError, Submission};
use countersign_types::{StatementDigest, Tag, Timestamp, TransactionDigest, WithdrawalId};
use proptest::prelude::*;
use support::Rig;
use support::faults::Fault;

/// Three payments fit.
const LIMIT: &str = r#"id: sol-hour, effects: [transfer], assets: [SOL], scope: [], window: 1h, hard: "1 SOL""#;
const LIMIT_LAMPORTS: u64 = 1_000_000_000;
const LAMPORTS: u64 = 300_000_000;
const HOUR_MS: i64 = 3_600_000;
const WITHDRAWALS: usize = 6;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Paid,
    Failed,
    Expired,
}

#[derive(Debug, Clone, Copy)]
enum Op {
    /// Somebody asks for a withdrawal's attempt, and a fault happens on the way.
    Ask {
        which: usize,
        attempt: u8,
        fault: Option<(u64, bool)>,
    },
    /// Observers say what became of the withdrawal's last signed attempt; a fault happens on the way.
    Observe {
        which: usize,
        fate: Fate,
        fault: Option<(u64, bool)>,
    },
    Wait {
        minutes: i64,
    },
    Restart,
    Resume,
}

fn op() -> impl Strategy<Value = Op> {
    let fault = || prop::option::weighted(0.3, (0_u64..14, any::<bool>()));
    let fate = prop::sample::select(vec![Fate::Paid, Fate::Failed, Fate::Expired]);
    prop_oneof![
        8 => (0..WITHDRAWALS, 0_u8..3, fault()).prop_map(|(which, attempt, fault)| Op::Ask { which, attempt, fault }),
        4 => (0..WITHDRAWALS, fate, fault()).prop_map(|(which, fate, fault)| Op::Observe { which, fate, fault }),
        3 => (1_i64..50).prop_map(|minutes| Op::Wait { minutes }),
        1 => Just(Op::Restart),
        1 => Just(Op::Resume),
    ]
}

fn ask(which: usize, attempt: u8) -> SolanaAsk {
    SolanaAsk {
        reference: format!("sol-{which}"),
        amount: LAMPORTS,
        blockhash: [which as u8 * 16 + attempt + 1; 32],
        ..SolanaAsk::default()
    }
}

/// Where a naive reader has an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Outstanding,
    Paid(Timestamp),
    Failed(Timestamp),
    Released,
}

type Facts = BTreeMap<StatementDigest, (TransactionDigest, Fate)>;

/// A naive reader of the log.
struct Reader<'a> {
    facts: &'a Facts,
    attempts: BTreeMap<(WithdrawalId, TransactionDigest), Stage>,
    /// How many observers said it.
    voices: BTreeMap<(WithdrawalId, TransactionDigest), u32>,
    decisions: usize,
}

impl Reader<'_> {
    fn read(&mut self, entry: &Entry) {
        match entry {
            Entry::Decision(entry) => self.decision(entry),
            Entry::Statement(entry) => {
                let Some((transaction, fate)) = self.facts.get(&entry.statement) else {
                    return;
                };
                for id in &entry.withdrawals {
                    let voices = self.voices.entry((*id, *transaction)).or_default();
                    *voices += 1;
                    if *voices == 2 {
                        self.settle(*id, *transaction, *fate, entry.first_seen_at);
                    }
                }
            }
            _ => {}
        }
    }

    fn settle(&mut self, id: WithdrawalId, transaction: TransactionDigest, fate: Fate, at: Timestamp) {
        for ((owner, of), stage) in &mut self.attempts {
            if *owner == id && *stage == Stage::Outstanding {
                *stage = match fate {
                    Fate::Paid => Stage::Paid(at),
                    Fate::Failed if *of == transaction => Stage::Failed(at),
                    Fate::Failed | Fate::Expired => Stage::Released,
                };
            }
        }
    }

    fn decision(&mut self, entry: &DecisionEntry) {
        self.decisions += 1;
        let (held, lineage) = (self.held(entry.decided_at), self.lineage(entry.withdrawal));
        assert_eq!(usage(entry), (held, lineage), "{entry:?}");
        if entry.outcome != OutcomeKind::Allowed {
            return;
        }
        let more = if lineage == 0 { LAMPORTS } else { 0 };
        assert!(held + more <= LIMIT_LAMPORTS, "over the limit: {entry:?}");
        let key = (entry.withdrawal, entry.transaction);
        self.attempts.entry(key).or_insert(Stage::Outstanding);
    }

    /// Everything that counts at a moment; of what may still land, a withdrawal counts once.
    fn held(&self, now: Timestamp) -> u64 {
        let is_within = |at: Timestamp| now.unix_millis() - at.unix_millis() < HOUR_MS;
        let mut lineages: BTreeMap<WithdrawalId, u64> = BTreeMap::new();
        let mut failed = 0;
        for ((id, _), stage) in &self.attempts {
            match stage {
                Stage::Outstanding => drop(lineages.insert(*id, LAMPORTS)),
                Stage::Paid(at) if is_within(*at) => drop(lineages.insert(*id, LAMPORTS)),
                Stage::Failed(at) if is_within(*at) => failed += LAMPORTS,
                Stage::Paid(_) | Stage::Failed(_) | Stage::Released => {}
            }
        }
        failed + lineages.values().sum::<u64>()
    }

    fn lineage(&self, id: WithdrawalId) -> u64 {
        let stands = |stage: &Stage| matches!(stage, Stage::Outstanding | Stage::Paid(_));
        let mut own = self.attempts.iter().filter(|((owner, _), _)| *owner == id);
        if own.any(|(_, stage)| stands(stage)) {
            LAMPORTS
        } else {
            0
        }
    }
}

fn usage(entry: &DecisionEntry) -> (u64, u64) {
    let json = serde_json::to_value(&entry.ledger.usage).unwrap();
    let counters = json.as_object().unwrap();
    assert_eq!(counters.len(), 1, "{json}");
    let counter = counters.values().next().unwrap();
    let number = |value: &serde_json::Value| value.as_str().unwrap().parse().unwrap();
    (number(&counter["windows"]["1h"]), number(&counter["lineage"]))
}

struct Run {
    rig: Rig,
    requests: Vec<Envelope>,
    facts: Facts,
    sequence: u64,
    /// The last attempt of each withdrawal that is known to be signed.
    signed: BTreeMap<usize, (SolanaAsk, String)>,
    /// What was said stays said: observers do not contradict themselves.
    said: Vec<TransactionDigest>,
}

impl Run {
    async fn new() -> Self {
        let rig = Rig::observed_limited(&[LIMIT]).await;
        let requests = (0..WITHDRAWALS).map(|which| rig.world.solana_request(&ask(which, 0)));
        Self {
            requests: requests.collect(),
            rig,
            facts: Facts::new(),
            sequence: 0,
            signed: BTreeMap::new(),
            said: Vec::new(),
        }
    }

    async fn take(mut self, op: Op) -> Self {
        match op {
            Op::Ask { which, attempt, fault } => self.ask(which, ask(which, attempt), &[], fault).await,
            Op::Observe { which, fate, fault } => self.observe(which, fate, fault).await,
            Op::Wait { minutes } => self.rig.advance(minutes * 60),
            Op::Restart => self.rig = self.rig.restart().await,
            Op::Resume => drop(self.rig.ask_again().await),
        }
        self
    }

    async fn ask(&mut self, which: usize, ask: SolanaAsk, statements: &[Envelope], fault: Option<(u64, bool)>) {
        if let Some((point, is_crash)) = fault {
            let fault = if is_crash { Fault::Crash } else { Fault::Fails };
            self.rig.key.faults.arm(point, fault);
        }
        let submission = Submission {
            request: self.requests[which].to_bytes(),
            unsigned: ask.unsigned(),
            statements: statements.iter().map(Envelope::to_bytes).collect(),
        };
        let answer: Option<Result<Answer, SignerError>> = tokio::select! {
            biased;
            () = self.rig.key.faults.crashed() => None,
            answer = self.rig.signer.authorize(submission) => Some(answer),
        };
        self.rig.key.faults.disarm();
        match answer {
            Some(Ok(Answer::Signed { transaction, .. })) => drop(self.signed.insert(which, (ask, transaction.txid))),
            Some(Ok(Answer::Denied { reasons, .. })) => {
                let expected = [Tag::LimitWindowExceeded, Tag::LineageAnchorChanged, Tag::LineageSettled];
                assert!(
                    reasons.iter().all(|reason| expected.contains(&reason.tag)),
                    "{reasons:?}"
                );
            }
            Some(Ok(other)) => panic!("{other:?}"),
            // A fault: the next one who asks finds out.
            Some(Err(_)) | None => {}
        }
    }

    async fn observe(&mut self, which: usize, fate: Fate, fault: Option<(u64, bool)>) {
        let Some((ask, txid)) = self.signed.get(&which).cloned() else {
            return;
        };
        let transaction = TransactionDigest::of(&ask.unsigned());
        if self.said.contains(&transaction) {
            return;
        }
        self.said.push(transaction);
        self.sequence += 1;
        let mined = |outcome| ObservedFact::Mined {
            transaction,
            txid,
            outcome,
        };
        let fact = match fate {
            Fate::Paid => mined(ObservedOutcome::Succeeded),
            Fate::Failed => mined(ObservedOutcome::Failed),
            Fate::Expired => ObservedFact::Expired {
                transaction,
                last_valid_height: 900,
            },
        };
        let seen = ["node-a", "node-b"].map(|node| {
            self.rig
                .world
                .observation(node, self.sequence, std::slice::from_ref(&fact))
        });
        for envelope in &seen {
            self.facts.insert(envelope.statement_digest(), (transaction, fate));
        }
        self.ask(which, ask.clone(), &seen, fault).await;
        // A call that died may have left them behind: they are brought again.
        self.ask(which, ask, &seen, None).await;
    }

    async fn verify(self) {
        let rig = self.rig.restart().await;
        let mut reader = Reader {
            facts: &self.facts,
            attempts: BTreeMap::new(),
            voices: BTreeMap::new(),
            decisions: 0,
        };
        let mut start = 0;
        loop {
            let page = rig.signer.entries(start, 256).await.unwrap();
            if page.is_empty() {
                break;
            }
            start += page.len() as u64;
            page.iter().for_each(|entry| reader.read(&Entry::parse(entry).unwrap()));
        }
        // What was released was authorized, under whoever asked for it.
        for (which, (ask, _)) in &self.signed {
            let key = (
                withdrawal(&self.requests[*which]),
                TransactionDigest::of(&ask.unsigned()),
            );
            assert!(reader.attempts.contains_key(&key), "{which}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn every_decision_saw_what_a_naive_reader_adds_up(ops in prop::collection::vec(op(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut run = Run::new().await;
            for op in ops {
                run = run.take(op).await;
            }
            run.verify().await;
        });
    }
}

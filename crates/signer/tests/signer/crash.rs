//! The pipeline ended, or failing, between any two of its steps: then everything starts again on what is on disk.
//!
//! Whatever happens: one signature is released for one payload, none that the log does not have, and what was authorized is
//! signed in the end unless somebody said no.

use crate::support;

use std::collections::BTreeMap;

use countersign_approval::{Envelope, Freeze};
use countersign_decision::testing::{Ask, THAW_DELAY, withdrawal};
use countersign_decision::{Entry, Receipt};
use countersign_signer::{Answer, SignerError};
use countersign_types::{FreezeId, PayloadDigest, RequestDigest, SignedTransaction, Tag};
use proptest::prelude::*;
use support::faults::Fault;
use support::{Mood, Rig, assert_signed};

fn small() -> Ask {
    Ask {
        amount: 50_000_000_000_000_000,
        ..Ask::default()
    }
}

/// The answer, or `None` if the process crashed before there was one.
async fn ask_or_crash(rig: &Rig, ask: &Ask, request: &Envelope) -> Option<Result<Answer, SignerError>> {
    tokio::select! {
        biased;
        () = rig.key.faults.crashed() => None,
        answer = rig.authorize(ask, request, &[]) => Some(answer),
    }
}

async fn log(rig: &Rig) -> Vec<Entry> {
    let mut entries = Vec::new();
    loop {
        let page = rig.signer.entries(entries.len() as u64, 256).await.unwrap();
        if page.is_empty() {
            return entries;
        }
        entries.extend(page.iter().map(|entry| Entry::parse(entry).unwrap()));
    }
}

/// What the log says was authorized and signed, and what must hold of it at every moment.
#[derive(Default)]
struct Seen {
    authorized: BTreeMap<PayloadDigest, RequestDigest>,
    signed: BTreeMap<PayloadDigest, String>,
}

impl Seen {
    async fn of(rig: &Rig) -> Self {
        let mut seen = Self::default();
        for entry in log(rig).await {
            match entry {
                Entry::Decision(entry) => {
                    for payload in entry
                        .authorization
                        .iter()
                        .flat_map(|authorization| &authorization.payloads)
                    {
                        let owner = seen.authorized.insert(*payload, entry.withdrawal.request());
                        assert!(owner.is_none_or(|owner| owner == entry.withdrawal.request()));
                    }
                }
                Entry::Signature(entry) => {
                    for payload in &entry.payloads {
                        assert!(
                            seen.authorized.contains_key(payload),
                            "signed and not authorized before"
                        );
                        let other = seen.signed.insert(*payload, entry.txid.clone());
                        assert_eq!(other, None, "two signatures of one payload in the log");
                    }
                }
                _ => {}
            }
        }
        seen
    }

    /// A released transaction is in the log.
    fn assert_logged(&self, released: &SignedTransaction) {
        assert!(
            self.signed.values().any(|txid| *txid == released.txid),
            "released {} and not logged",
            released.txid
        );
    }
}

async fn assert_receipt(rig: &Rig, request: &Envelope, released: Option<&SignedTransaction>) {
    match rig.signer.receipt(withdrawal(request)).await {
        Ok(receipt) => {
            let receipt = Receipt::verify(&receipt, &rig.world.genesis_bytes).unwrap();
            if let Some(released) = released {
                assert_eq!(receipt.txid.as_ref(), Some(&released.txid));
            }
        }
        Err(SignerError::NotFound(_)) => assert_eq!(released, None),
        Err(error) => panic!("{error}"),
    }
}

/// Every point in turn, until one call goes through without reaching its fault.
async fn at_every_point(fault: Fault) {
    let mut passed = 0;
    for point in 0.. {
        let rig = Rig::new().await;
        let ask = small();
        let request = rig.world.request(&ask);
        rig.key.faults.arm(point, fault);
        let answer = ask_or_crash(&rig, &ask, &request).await;
        let was_reached = !rig.key.faults.is_armed();
        rig.key.faults.disarm();
        if let Some(Ok(answer)) = &answer {
            Seen::of(&rig).await.assert_logged(&assert_signed(answer));
        }
        let rig = rig.restart().await;
        let before = Seen::of(&rig).await;
        let open = before.authorized.len() - before.signed.len();
        // Long behind its time: clearing up leaves it as it is.
        if point % 2 == 0 {
            rig.advance(60);
        }
        rig.clear().await;
        let (signed, left) = rig.ask_again().await;
        assert_eq!((signed as usize, left), (open, Vec::new()), "at point {point}");
        let released = assert_signed(&rig.authorize(&ask, &request, &[]).await.unwrap());
        if let Some(Ok(answer)) = answer {
            assert_eq!(assert_signed(&answer), released, "at point {point}");
        }
        let seen = Seen::of(&rig).await;
        assert_eq!((seen.authorized.len(), seen.signed.len()), (1, 1), "at point {point}");
        seen.assert_logged(&released);
        assert_receipt(&rig, &request, Some(&released)).await;
        if !was_reached {
            passed = point;
            break;
        }
    }
    // Statements twice, decision, basis, token, record, basis, with a point before and after where both are told apart.
    assert_eq!(passed, 10, "the pipeline has other steps than this test knows");
}

#[tokio::test]
async fn a_crash_at_every_point() {
    at_every_point(Fault::Crash).await;
}

#[tokio::test]
async fn a_failure_at_every_point() {
    at_every_point(Fault::Fails).await;
}

/// Something that happens to one of two withdrawals that want the same nonce.
#[derive(Debug, Clone, Copy)]
enum Op {
    /// Somebody asks, and a fault happens on the way.
    Ask {
        which: usize,
        gwei: u8,
        /// The bytes pay nobody: they are to take the place of what is signed.
        cancels: bool,
        fault: Option<(u64, bool)>,
    },
    /// The token is gone, or back.
    Token { works: bool },
    /// An officer cancels, and perhaps lets something take the place of what is signed.
    Cancel { which: usize, has_ceiling: bool },
    /// An officer freezes.
    Freeze { scope: &'static str },
    /// Two admins thaw everything, and the delay passes.
    Thaw,
    /// A member of the treasury approves: nobody is asked to, and it changes what the decision saw.
    Approve { which: usize },
    /// Time passes.
    Wait { secs: u8 },
    /// The process starts again.
    Restart,
    /// Everything that is not signed is asked for again.
    AskAgain,
    /// The process clears up behind what ended.
    Clear,
}

fn op() -> impl Strategy<Value = Op> {
    let fault = prop::option::of((0_u64..12, any::<bool>()));
    prop_oneof![
        6 => (0_usize..2, 0_u8..2, prop::bool::weighted(0.3), fault)
            .prop_map(|(which, gwei, cancels, fault)| Op::Ask { which, gwei, cancels, fault }),
        1 => any::<bool>().prop_map(|works| Op::Token { works }),
        1 => (0_usize..2, any::<bool>()).prop_map(|(which, has_ceiling)| Op::Cancel { which, has_ceiling }),
        1 => (0_usize..2).prop_map(|which| Op::Approve { which }),
        1 => prop::sample::select(vec!["all", "wallet eth-hot", "tenant main", "initiator dave"])
            .prop_map(|scope| Op::Freeze { scope }),
        1 => Just(Op::Thaw),
        1 => (0_u8..40).prop_map(|secs| Op::Wait { secs }),
        1 => Just(Op::Restart),
        1 => Just(Op::AskAgain),
        1 => Just(Op::Clear),
    ]
}

/// The world of a trace: what was released, and who was stopped when.
struct Play {
    rig: Rig,
    requests: [Envelope; 2],
    released: BTreeMap<Vec<u8>, SignedTransaction>,
    owner: Option<usize>,
    cancelled: [bool; 2],
    /// Whether a cancel named a fee ceiling.
    may_take_place: [bool; 2],
    /// Everything that is frozen: the name, and whether it stops these withdrawals.
    frozen: Vec<(FreezeId, bool)>,
}

fn bumped(which: usize, gwei: u8) -> Ask {
    Ask {
        reference: format!("order-{which}"),
        is_template: true,
        max_fee_per_gas: 20_000_000_000 + u128::from(gwei),
        ..small()
    }
}

impl Play {
    async fn new() -> Self {
        let rig = Rig::new().await;
        let requests = [rig.world.request(&bumped(0, 0)), rig.world.request(&bumped(1, 0))];
        Self {
            rig,
            requests,
            released: BTreeMap::new(),
            owner: None,
            cancelled: [false; 2],
            may_take_place: [false; 2],
            frozen: Vec::new(),
        }
    }

    async fn step(mut self, op: Op) -> Self {
        match op {
            Op::Ask {
                which,
                gwei,
                cancels,
                fault,
            } => {
                let mut ask = bumped(which, gwei);
                if cancels {
                    ask.amount = 0;
                    ask.destination = self.rig.world.wallet_address().to_string();
                }
                return self.ask(which, &ask, fault).await;
            }
            Op::Token { works } => self.rig.set_mood(if works { Mood::Signs } else { Mood::Fails }),
            Op::Cancel { which, has_ceiling } => {
                let (world, request) = (&self.rig.world, &self.requests[which]);
                let cancel = match has_ceiling {
                    true => world.cancel_for("dave", request, 1_000_000_000_000_000),
                    false => world.cancel("dave", request),
                };
                // The fifteenth cancel is refused; the first was not.
                if self.rig.signer.record_statement(&cancel.to_bytes()).await.is_ok() {
                    self.cancelled[which] = true;
                    self.may_take_place[which] |= has_ceiling;
                }
            }
            Op::Approve { which } => {
                let approval = self
                    .rig
                    .world
                    .approval("alice", &self.requests[which], &bumped(which, 0));
                if let Err(error) = self.rig.signer.record_statement(&approval.to_bytes()).await {
                    assert_eq!(error.tag(), Tag::MessageTooLarge);
                }
            }
            Op::Freeze { scope } => {
                let freeze = self.rig.world.freeze("dave", scope);
                self.rig.signer.record_statement(&freeze.to_bytes()).await.unwrap();
                // `dave` operates the initiator and is not it.
                let stops = scope != "initiator dave";
                self.frozen.push((Freeze::id(freeze.statement_digest()), stops));
            }
            Op::Thaw => {
                for (freeze, _) in std::mem::take(&mut self.frozen) {
                    for admin in ["alice", "bob"] {
                        let thaw = self.rig.world.thaw(admin, freeze);
                        self.rig.signer.record_statement(&thaw.to_bytes()).await.unwrap();
                    }
                }
                self.rig.advance(i64::from(THAW_DELAY.secs()));
            }
            Op::Wait { secs } => self.rig.advance(i64::from(secs)),
            Op::Restart => self.rig = self.rig.restart().await,
            Op::AskAgain => drop(self.rig.ask_again().await),
            Op::Clear => drop(self.rig.clear().await),
        }
        self
    }

    async fn ask(mut self, which: usize, ask: &Ask, fault: Option<(u64, bool)>) -> Self {
        if let Some((point, crashes)) = fault {
            let fault = if crashes { Fault::Crash } else { Fault::Fails };
            self.rig.key.faults.arm(point, fault);
        }
        let answer = ask_or_crash(&self.rig, ask, &self.requests[which]).await;
        self.rig.key.faults.disarm();
        match answer {
            None => self.rig = self.rig.restart().await,
            Some(Ok(Answer::Signed { transaction, .. })) => {
                match ask.amount {
                    0 => assert!(self.may_take_place[which], "nobody let it take the place of anything"),
                    _ => assert!(!self.cancelled[which], "released after a cancel was acknowledged"),
                }
                let is_frozen = self.frozen.iter().any(|(_, stops)| *stops);
                assert!(!is_frozen, "released after a freeze was acknowledged");
                let owner = *self.owner.get_or_insert(which);
                assert_eq!(owner, which, "one nonce for two withdrawals");
                let first = self.released.entry(ask.unsigned()).or_insert(transaction.clone());
                assert_eq!(*first, transaction, "two signatures released for one payload");
            }
            Some(Ok(_) | Err(_)) => {}
        }
        self
    }

    /// At the end everything works again, and everything that was authorized and not stopped is signed.
    async fn end(mut self) {
        self.rig.set_mood(Mood::Signs);
        self.rig = self.rig.restart().await;
        drop(self.rig.ask_again().await);
        let seen = Seen::of(&self.rig).await;
        for released in self.released.values() {
            seen.assert_logged(released);
        }
        for (payload, request) in &seen.authorized {
            let which = self
                .requests
                .iter()
                .position(|envelope| withdrawal(envelope).request() == *request);
            let is_frozen = self.frozen.iter().any(|(_, stops)| *stops);
            let is_stopped = is_frozen || self.cancelled[which.unwrap()];
            assert!(
                is_stopped || seen.signed.contains_key(payload),
                "an authorization was lost"
            );
        }
        for request in &self.requests {
            assert_receipt(&self.rig, request, None).await;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_trace(ops in prop::collection::vec(op(), 1..14)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut play = Play::new().await;
            for op in &ops {
                play = play.step(*op).await;
            }
            play.end().await;
        });
    }
}

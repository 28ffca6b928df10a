//! Random groups of proposals against a model that decides them one after the other in plain maps.

use countersign_signer::{Basis, LedgerView, WithdrawalRecord};
use countersign_types::{RawSignature, SignedTransaction};
use futures_util::future::join_all;
use proptest::prelude::*;

use super::*;

/// One proposal. Withdrawals, statements and references are small numbers, so that they often meet.
#[derive(Debug, Clone)]
enum Op {
    /// First sight of a withdrawal under a reference.
    See { withdrawal: u8, reference: u8 },
    /// Authorizes an attempt with the given nonce, or the account's next one, after looking at every owner.
    Authorize {
        withdrawal: u8,
        payment: u8,
        nonce: Option<u8>,
    },
    /// Authorizes attempt 1 without looking: the schema decides.
    Blind { withdrawal: u8, payment: u8, nonce: u8 },
    /// Records signatures of the last attempt.
    Sign { withdrawal: u8 },
    /// Cancels.
    Cancel { withdrawal: u8 },
    /// Journals a statement about withdrawals.
    State { statement: u8, subjects: Vec<u8> },
}

fn op() -> impl Strategy<Value = Op> {
    let small = 0u8..4;
    prop_oneof![
        3 => (small.clone(), small.clone()).prop_map(|(withdrawal, reference)| Op::See { withdrawal, reference }),
        4 => (small.clone(), small.clone(), proptest::option::of(0u8..6))
            .prop_map(|(withdrawal, payment, nonce)| Op::Authorize { withdrawal, payment, nonce }),
        2 => (small.clone(), small.clone(), 0u8..6)
            .prop_map(|(withdrawal, payment, nonce)| Op::Blind { withdrawal, payment, nonce }),
        2 => small.clone().prop_map(|withdrawal| Op::Sign { withdrawal }),
        1 => small.clone().prop_map(|withdrawal| Op::Cancel { withdrawal }),
        2 => (small.clone(), proptest::collection::vec(small, 0..3))
            .prop_map(|(statement, subjects)| Op::State { statement, subjects }),
    ]
}

fn name(withdrawal: u8) -> String {
    format!("w{withdrawal}")
}

fn claim(withdrawal: u8, number: u32, payment_of: u8, nonce: u64) -> Write {
    let mut write = attempt(&name(withdrawal), number, nonce);
    if let Write::Attempt { payments, .. } = &mut write {
        *payments = vec![payment(&payment_of.to_string())];
    }
    write
}

impl Op {
    fn reads(&self) -> Reads {
        let of = |withdrawal: u8| Some(request(&name(withdrawal)));
        match self {
            Self::See {
                withdrawal,
                reference: text,
            } => Reads {
                request: of(*withdrawal),
                reference: Some((tenant(), reference(&text.to_string()))),
                ..Reads::default()
            },
            Self::Authorize {
                withdrawal,
                payment: text,
                nonce,
            } => Reads {
                request: of(*withdrawal),
                payments: vec![(tenant(), payment(&text.to_string()))],
                conflict_keys: vec![account_nonce(nonce.unwrap_or(0).into())],
                ..Reads::default()
            },
            Self::Blind { .. } => Reads::default(),
            Self::Sign { withdrawal } | Self::Cancel { withdrawal } => Reads {
                request: of(*withdrawal),
                ..Reads::default()
            },
            Self::State { statement, .. } => Reads {
                statements: vec![statement_digest(&format!("s{statement}"))],
                ..Reads::default()
            },
        }
    }

    /// The decision, on the journal's view: what it answers and writes.
    fn decide(&self, view: &LedgerView) -> (&'static str, Vec<Write>) {
        match self {
            Self::See {
                withdrawal: number,
                reference: text,
            } => {
                if view.withdrawal.is_some() {
                    return ("known", vec![]);
                }
                if view.reference_owner.is_some() {
                    return ("conflict", vec![]);
                }
                let mut writes = withdrawal(&name(*number));
                if let Write::Withdrawal { reference: field, .. } = &mut writes[1] {
                    *field = reference(&text.to_string());
                }
                ("seen", writes)
            }
            Self::Authorize {
                withdrawal,
                payment: text,
                nonce,
            } => {
                let Some(record) = &view.withdrawal else {
                    return ("unknown", vec![]);
                };
                let next = view.next_nonces.get(&account()).copied().unwrap_or(0);
                let nonce = nonce.map_or(next, u64::from);
                let is_foreign = |owner: Option<&RequestDigest>| owner.is_some_and(|owner| *owner != record.request);
                if is_foreign(view.payment_owners.get(&(tenant(), payment(&text.to_string())))) {
                    return ("payment taken", vec![]);
                }
                if is_foreign(view.conflict_owners.get(&account_nonce(nonce))) {
                    return ("nonce taken", vec![]);
                }
                if record.attempts.last().is_some_and(|last| last.signed.is_none()) {
                    return ("unsigned", vec![]);
                }
                let number = record.attempts.len() as u32 + 1;
                ("authorized", vec![claim(*withdrawal, number, *text, nonce)])
            }
            Self::Blind {
                withdrawal,
                payment,
                nonce,
            } => ("authorized", vec![claim(*withdrawal, 1, *payment, u64::from(*nonce))]),
            Self::Sign { withdrawal } => {
                let last = view.withdrawal.as_ref().and_then(|record| record.attempts.last());
                match last {
                    Some(last) if last.signed.is_none() => ("signed", vec![signatures(*withdrawal, last.number)]),
                    _ => ("nothing to sign", vec![]),
                }
            }
            Self::Cancel { withdrawal } => match &view.withdrawal {
                Some(record) if record.ended.is_none() => {
                    let request = request(&name(*withdrawal));
                    ("cancelled", vec![ended(request)])
                }
                _ => ("nothing to cancel", vec![]),
            },
            Self::State {
                statement: number,
                subjects,
            } => {
                if !view.statements.is_empty() {
                    return ("known", vec![]);
                }
                let subjects: Vec<String> = subjects.iter().copied().map(name).collect();
                let subjects: Vec<&str> = subjects.iter().map(String::as_str).collect();
                ("stated", vec![statement(&format!("s{number}"), &subjects)])
            }
        }
    }
}

fn signatures(withdrawal: u8, number: u32) -> Write {
    Write::Signed {
        request: request(&name(withdrawal)),
        number,
        signatures: vec![RawSignature::Ecdsa([withdrawal; 64])],
        transaction: SignedTransaction {
            bytes: vec![withdrawal],
            txid: number.to_string(),
        },
    }
}

/// (nonce, payment, signed) of each attempt.
#[derive(Debug, Clone, Default, PartialEq)]
struct ModelWithdrawal {
    cancelled: bool,
    attempts: Vec<(u64, bool)>,
}

#[derive(Debug, Default)]
struct Model {
    withdrawals: BTreeMap<u8, ModelWithdrawal>,
    references: BTreeMap<u8, u8>,
    payments: BTreeMap<u8, u8>,
    nonces: BTreeMap<u64, u8>,
    stated: BTreeMap<u8, Vec<u8>>,
    order: Vec<u8>,
    log: Vec<String>,
}

impl Model {
    /// What the journal must answer; `None` where the schema refuses.
    fn apply(&mut self, op: &Op) -> Option<&'static str> {
        let answer = match op {
            Op::See { withdrawal, reference } => self.see(*withdrawal, *reference),
            Op::Authorize {
                withdrawal,
                payment,
                nonce,
            } => self.authorize(*withdrawal, *payment, *nonce),
            Op::Blind {
                withdrawal,
                payment,
                nonce,
            } => {
                let nonce = u64::from(*nonce);
                let record = self.withdrawals.get(withdrawal)?;
                let is_renewal = record.attempts == [(nonce, false)];
                let is_free = self.is_free(*withdrawal, *payment, nonce);
                if !is_free || !(record.attempts.is_empty() || is_renewal) {
                    return None;
                }
                if !is_renewal {
                    self.claim(*withdrawal, nonce);
                }
                self.payments.insert(*payment, *withdrawal);
                "authorized"
            }
            Op::Sign { withdrawal } => {
                let last = self
                    .withdrawals
                    .get_mut(withdrawal)
                    .and_then(|record| record.attempts.last_mut());
                match last {
                    Some((_, signed)) if !*signed => {
                        *signed = true;
                        "signed"
                    }
                    _ => "nothing to sign",
                }
            }
            Op::Cancel { withdrawal } => match self.withdrawals.get_mut(withdrawal) {
                Some(record) if !record.cancelled => {
                    record.cancelled = true;
                    "cancelled"
                }
                _ => "nothing to cancel",
            },
            Op::State { statement, subjects } => {
                if self.stated.contains_key(statement) {
                    "known"
                } else {
                    self.stated.insert(*statement, subjects.clone());
                    self.order.push(*statement);
                    "stated"
                }
            }
        };
        self.log.push(answer.to_owned());
        Some(answer)
    }

    fn see(&mut self, withdrawal: u8, reference: u8) -> &'static str {
        if self.withdrawals.contains_key(&withdrawal) {
            return "known";
        }
        if self.references.contains_key(&reference) {
            return "conflict";
        }
        self.references.insert(reference, withdrawal);
        self.withdrawals.insert(withdrawal, ModelWithdrawal::default());
        "seen"
    }

    fn authorize(&mut self, withdrawal: u8, payment: u8, nonce: Option<u8>) -> &'static str {
        let Some(record) = self.withdrawals.get(&withdrawal) else {
            return "unknown";
        };
        let next = self.nonces.keys().next_back().map_or(0, |highest| highest + 1);
        let nonce = nonce.map_or(next, u64::from);
        if self.payments.get(&payment).is_some_and(|owner| *owner != withdrawal) {
            return "payment taken";
        }
        if self.nonces.get(&nonce).is_some_and(|owner| *owner != withdrawal) {
            return "nonce taken";
        }
        if record.attempts.last().is_some_and(|(_, signed)| !signed) {
            return "unsigned";
        }
        self.payments.insert(payment, withdrawal);
        self.claim(withdrawal, nonce);
        "authorized"
    }

    fn is_free(&self, withdrawal: u8, payment: u8, nonce: u64) -> bool {
        self.payments.get(&payment).is_none_or(|owner| *owner == withdrawal)
            && self.nonces.get(&nonce).is_none_or(|owner| *owner == withdrawal)
    }

    fn claim(&mut self, withdrawal: u8, nonce: u64) {
        self.nonces.insert(nonce, withdrawal);
        self.withdrawals
            .get_mut(&withdrawal)
            .unwrap()
            .attempts
            .push((nonce, false));
    }

    fn statements_of(&self, withdrawal: u8) -> Vec<StatementDigest> {
        let is_about = |statement: &&u8| self.stated[*statement].contains(&withdrawal);
        let digest = |statement: &u8| statement_digest(&format!("s{statement}"));
        self.order.iter().filter(is_about).map(digest).collect()
    }
}

async fn perform(journal: &SqlJournal, op: Op) -> Option<&'static str> {
    let reads = op.reads();
    let decided = propose(journal, reads, move |view: &LedgerView, _| {
        let (answer, writes) = op.decide(view);
        Verdict {
            entries: vec![entry(answer, &["w0"])],
            writes,
            reply: answer,
        }
    });
    match decided.await {
        Ok((answer, _)) => Some(answer),
        Err(JournalError::NotCommitted(_)) => None,
        Err(error) => panic!("{error}"),
    }
}

async fn record_of(journal: &SqlJournal, withdrawal: u8) -> Option<WithdrawalRecord> {
    let history = journal.history(request(&name(withdrawal))).await.unwrap();
    history.map(|history| history.record)
}

async fn assert_agrees(journal: &SqlJournal, model: &Model) {
    for withdrawal in 0..4 {
        let record = record_of(journal, withdrawal).await;
        let seen = record.as_ref().map(|record| ModelWithdrawal {
            cancelled: record.ended.is_some(),
            attempts: record
                .attempts
                .iter()
                .map(|attempt| {
                    let [ConflictKey::AccountNonce { nonce, .. }] = attempt.conflict_keys[..] else {
                        panic!()
                    };
                    (nonce, attempt.signed.is_some())
                })
                .collect(),
        });
        assert_eq!(seen.as_ref(), model.withdrawals.get(&withdrawal));
        // Statements about a withdrawal are seen whether or not it has a record.
        let reads = Reads {
            request: Some(request(&name(withdrawal))),
            ..Reads::default()
        };
        let about = |view: &LedgerView, _| Verdict::unchanged(view.about.clone());
        let about = propose(journal, reads, about).await.unwrap().0;
        assert_eq!(about, model.statements_of(withdrawal));
        let basis = journal.basis(request(&name(withdrawal)), Vec::new()).await.unwrap();
        let expected = record.map(|record| Basis {
            bundle: Some(bundle_digest(1)),
            ended: record.ended,
            statements: about.len() as u64,
            freezes: 0,
            entries: BTreeMap::new(),
        });
        assert_eq!(basis, expected);
    }
    let unsigned = model
        .withdrawals
        .values()
        .flat_map(|one| &one.attempts)
        .filter(|(_, signed)| !signed);
    assert_eq!(journal.unfinished(Page::FIRST).await.unwrap().len(), unsigned.count());
    let entries = all_entries(journal).await;
    let log: Vec<_> = entries[1..]
        .iter()
        .map(|entry| String::from_utf8(entry.clone()).unwrap())
        .collect();
    assert_eq!(log, model.log);
    assert_log_is_whole(journal).await;
}

async fn run(kind: Kind, groups: Vec<(Vec<Op>, bool)>) {
    let place = Place::of(kind).await;
    let mut journal = with_bundle(&place).await;
    let mut model = Model::default();
    for (millis, (ops, reopens)) in (START..).zip(groups) {
        place.set_clock(millis);
        let expected: Vec<_> = ops.iter().map(|op| model.apply(op)).collect();
        // Polled in order the first time, so queued in order.
        let answers = join_all(ops.into_iter().map(|op| perform(&journal, op))).await;
        assert_eq!(answers, expected);
        if reopens {
            journal.close().await;
            journal = place.open().await;
        }
    }
    assert_agrees(&journal, &model).await;
}

fn groups() -> impl Strategy<Value = Vec<(Vec<Op>, bool)>> {
    let group = (proptest::collection::vec(op(), 1..12), proptest::bool::weighted(0.1));
    proptest::collection::vec(group, 1..8)
}

fn block_on(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(test);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, max_shrink_iters: 200, ..ProptestConfig::default() })]
    #[test]
    fn the_journal_agrees_with_plain_maps(groups in groups()) {
        block_on(run(Kind::Sqlite, groups));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 100, ..ProptestConfig::default() })]
    #[test]
    fn so_does_the_shared_one(groups in groups()) {
        block_on(run(Kind::Postgres, groups));
    }
}

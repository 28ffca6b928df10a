//! Counters against a naive model: a list of charges that is read again from the start for every sum.

use countersign_policy::{Charge, Usage, UsageQuery, Window};
use countersign_signer::{LateCharge, LedgerView};
use countersign_types::CounterId;
use futures_util::future::join_all;
use proptest::prelude::*;

use super::*;
use crate::{charged::Stage, fail::Step};

const WITHDRAWALS: u8 = 4;
const COUNTERS: u8 = 3;

fn counter(number: u8) -> CounterId {
    CounterId::of(&[number])
}

fn windows() -> Vec<Window> {
    let windows = [
        "1m",
        "10m",
        "1d",
        "day UTC",
        "day Europe/Berlin",
        "month America/New_York",
    ];
    windows.map(|window| window.parse().unwrap()).to_vec()
}

fn queries() -> Vec<UsageQuery> {
    let of = |number| {
        let counter = counter(number);
        windows().into_iter().map(move |window| UsageQuery { counter, window })
    };
    (0..COUNTERS).flat_map(of).collect()
}

fn name(withdrawal: u8) -> String {
    format!("w{withdrawal}")
}

/// One proposal.
#[derive(Debug, Clone)]
enum Op {
    /// Authorizes the next attempt, or renews the last one, with charges to the counters in turn.
    Spend {
        withdrawal: u8,
        renews: bool,
        amounts: Vec<u64>,
    },
    /// The attempt's charges begin to age.
    Age { withdrawal: u8, number: u32 },
    /// The attempt's charges are given back.
    Release { withdrawal: u8, number: u32 },
    /// The attempt landed and failed.
    Fail { withdrawal: u8, number: u32 },
    /// Counter 2 is defined late, or counts otherwise: what was spent is charged to it.
    Backfill { amount: u64 },
    /// Only looks.
    Look { withdrawal: u8 },
}

fn op() -> impl Strategy<Value = Op> {
    let withdrawal = 0..WITHDRAWALS;
    let number = 1u32..4;
    prop_oneof![
        6 => (withdrawal.clone(), any::<bool>(), proptest::collection::vec(0u64..50, 0..3))
            .prop_map(|(withdrawal, renews, amounts)| Op::Spend { withdrawal, renews, amounts }),
        3 => (withdrawal.clone(), number.clone()).prop_map(|(withdrawal, number)| Op::Age { withdrawal, number }),
        2 => (withdrawal.clone(), number.clone()).prop_map(|(withdrawal, number)| Op::Release { withdrawal, number }),
        2 => (withdrawal.clone(), number).prop_map(|(withdrawal, number)| Op::Fail { withdrawal, number }),
        1 => (0u64..50).prop_map(|amount| Op::Backfill { amount }),
        2 => withdrawal.prop_map(|withdrawal| Op::Look { withdrawal }),
    ]
}

/// How time goes on before a group: within a millisecond, seconds, over the ends of windows.
fn pause() -> impl Strategy<Value = i64> {
    prop_oneof![Just(0), 1i64..1_000, 1_000i64..120_000, 3_600_000i64..90_000_000]
}

fn crash() -> impl Strategy<Value = Option<(Step, bool)>> {
    let steps = [
        (Step::Begun, false),
        (Step::Decided, false),
        (Step::Sealed, false),
        (Step::Committed, true),
        (Step::Anchored, true),
    ];
    proptest::option::weighted(0.2, proptest::sample::select(steps.to_vec()))
}

#[derive(Debug, Clone)]
struct ModelSpend {
    withdrawal: u8,
    number: u32,
    stage: Stage,
    charges: BTreeMap<u8, u64>,
}

#[derive(Debug, Clone, Default)]
struct Model {
    /// In the order of authorization.
    spends: Vec<ModelSpend>,
}

impl Model {
    fn attempts(&self, withdrawal: u8) -> u32 {
        self.spends.iter().filter(|one| one.withdrawal == withdrawal).count() as u32
    }

    fn find(&mut self, withdrawal: u8, number: u32) -> Option<&mut ModelSpend> {
        let mut spends = self.spends.iter_mut();
        spends.find(|one| one.withdrawal == withdrawal && one.number == number)
    }

    /// The writes of a proposal, and whether the journal must take them.
    fn apply(&mut self, op: &Op, now: i64) -> (Vec<Write>, bool) {
        match op {
            Op::Spend {
                withdrawal,
                renews,
                amounts,
            } => self.spend(*withdrawal, *renews, amounts),
            Op::Age { withdrawal, number } => {
                let write = Write::Aged {
                    request: request(&name(*withdrawal)),
                    number: *number,
                };
                (vec![write], self.advance(*withdrawal, *number, Stage::Aged(at(now))))
            }
            Op::Release { withdrawal, number } => {
                let write = Write::Released {
                    request: request(&name(*withdrawal)),
                    number: *number,
                };
                (vec![write], self.advance(*withdrawal, *number, Stage::Released))
            }
            Op::Fail { withdrawal, number } => {
                let write = Write::Failed {
                    request: request(&name(*withdrawal)),
                    number: *number,
                };
                (vec![write], self.advance(*withdrawal, *number, Stage::Failed(at(now))))
            }
            Op::Backfill { amount } => {
                let mut charges = Vec::new();
                for spend in &mut self.spends {
                    let held = spend.charges.entry(2).or_default();
                    *held = (*amount).max(*held);
                    charges.push(LateCharge {
                        request: request(&name(spend.withdrawal)),
                        number: spend.number,
                        charge: charge(2, *amount),
                    });
                }
                (vec![Write::Backfill { charges }], true)
            }
            Op::Look { .. } => (Vec::new(), true),
        }
    }

    fn spend(&mut self, withdrawal: u8, renews: bool, amounts: &[u64]) -> (Vec<Write>, bool) {
        let last = self.attempts(withdrawal);
        let number = if renews { last.max(1) } else { last + 1 };
        let charges: BTreeMap<u8, u64> = (0..).zip(amounts.iter().copied()).collect();
        let writes = vec![
            attempt(
                &name(withdrawal),
                number,
                u64::from(withdrawal) * 1_000 + u64::from(number),
            ),
            Write::Spend {
                request: request(&name(withdrawal)),
                number,
                facts: facts(withdrawal, number),
                charges: charges
                    .iter()
                    .map(|(number, amount)| charge(*number, *amount))
                    .collect(),
            },
        ];
        match self.find(withdrawal, number) {
            Some(spend) if spend.stage == Stage::Outstanding => {
                for (counter, amount) in charges {
                    let kept = spend.charges.entry(counter).or_default();
                    *kept = amount.max(*kept);
                }
            }
            Some(_) => return (writes, false),
            None => self.spends.push(ModelSpend {
                withdrawal,
                number,
                stage: Stage::Outstanding,
                charges,
            }),
        }
        (writes, true)
    }

    fn advance(&mut self, withdrawal: u8, number: u32, to: Stage) -> bool {
        match self.find(withdrawal, number) {
            Some(spend) if spend.stage == Stage::Outstanding => {
                spend.stage = to;
                true
            }
            _ => false,
        }
    }

    /// What the counter's sum over a window is: everything is read again.
    fn sum(&self, counter: u8, outside: Timestamp) -> u64 {
        let of = |withdrawal| self.lineage_sum(withdrawal, counter, outside);
        (0..WITHDRAWALS).map(of).sum()
    }

    fn lineage_sum(&self, withdrawal: u8, counter: u8, outside: Timestamp) -> u64 {
        let (mut aged, mut outstanding, mut failed) = (Vec::new(), 0, 0);
        for spend in self.spends.iter().filter(|spend| spend.withdrawal == withdrawal) {
            let amount = spend.charges.get(&counter).copied().unwrap_or(0);
            match spend.stage {
                Stage::Aged(at) => aged.push((at, amount)),
                Stage::Outstanding => outstanding = amount.max(outstanding),
                Stage::Failed(at) => failed += if at > outside { amount } else { 0 },
                Stage::Released => {}
            }
        }
        aged.sort_unstable();
        let (mut counted, mut sum) = (0u64, 0);
        for (at, amount) in aged {
            let more = amount.saturating_sub(counted);
            counted += more;
            sum += if at > outside { more } else { 0 };
        }
        failed + sum + outstanding.saturating_sub(counted)
    }

    fn assert_agrees(&self, usage: &Usage, lineage: Option<u8>, now: Timestamp) {
        for number in 0..COUNTERS {
            for window in windows() {
                let expected = self.sum(number, window.last_outside(now).unwrap());
                let found = usage.before(counter(number), &window);
                assert_eq!(found, Some(expected.into()), "counter {number} over {window} at {now}");
            }
            let charged = lineage.map_or(0, |withdrawal| self.lineage_charge(withdrawal, number));
            // Whatever the window, only what goes beyond the lineage's charge is added; the charge at hand counts whole where that has left the
            // window.
            let after = usage.after(&charge(number, charged + 1), &windows()[0]);
            let before = self.sum(number, windows()[0].last_outside(now).unwrap());
            let expected = (before + 1).max(charged + 1);
            assert_eq!(after, Some(expected.into()), "counter {number} of {lineage:?}");
        }
    }

    fn lineage_charge(&self, withdrawal: u8, counter: u8) -> u64 {
        let of_lineage = self.spends.iter().filter(|spend| spend.withdrawal == withdrawal);
        let counted = of_lineage.filter(|spend| matches!(spend.stage, Stage::Outstanding | Stage::Aged(_)));
        let amounts = counted.map(|spend| spend.charges.get(&counter).copied().unwrap_or(0));
        amounts.max().unwrap_or(0)
    }
}

fn charge(number: u8, amount: u64) -> Charge {
    Charge {
        counter: counter(number),
        amount: amount.into(),
    }
}

fn facts(withdrawal: u8, number: u32) -> Vec<u8> {
    format!("facts of {withdrawal} {number}").into_bytes()
}

fn lineage(op: &Op) -> Option<u8> {
    match op {
        Op::Spend { withdrawal, .. }
        | Op::Age { withdrawal, .. }
        | Op::Release { withdrawal, .. }
        | Op::Fail { withdrawal, .. }
        | Op::Look { withdrawal } => Some(*withdrawal),
        Op::Backfill { .. } => None,
    }
}

/// Writes, and answers with the usage that the decision saw.
async fn perform(
    journal: &SqlJournal,
    lineage: Option<u8>,
    writes: Vec<Write>,
) -> Result<(Usage, Timestamp), JournalError> {
    let reads = Reads {
        request: lineage.map(|withdrawal| request(&name(withdrawal))),
        usage: queries(),
        ..Reads::default()
    };
    let decide = move |view: &LedgerView, _| Verdict {
        entries: Vec::new(),
        writes: writes.clone(),
        reply: view.usage.clone(),
    };
    propose(journal, reads, decide).await
}

async fn with_withdrawals(place: &Place) -> SqlJournal {
    let journal = with_bundle(place).await;
    for number in 0..WITHDRAWALS {
        write(&journal, withdrawal(&name(number)), Vec::new()).await.unwrap();
    }
    journal
}

/// Proposals that are waiting together, what time passes before them, and where the process dies while it writes them.
type Group = (i64, Vec<Op>, Option<(Step, bool)>);

async fn run(kind: Kind, groups: Vec<Group>) {
    let place = Place::of(kind).await;
    let mut journal = with_withdrawals(&place).await;
    let mut model = Model::default();
    let mut now = START;
    for (pause, ops, crash) in groups {
        now += pause;
        place.set_clock(now);
        let mut next = model.clone();
        let mut expected = Vec::new();
        let mut proposals = Vec::new();
        for op in &ops {
            let before = next.clone();
            let (writes, is_taken) = next.apply(op, now);
            expected.push((before, lineage(op), is_taken));
            proposals.push((lineage(op), writes));
        }
        let writes_something = proposals
            .iter()
            .zip(&expected)
            .any(|((_, writes), (.., taken))| *taken && !writes.is_empty());
        if let Some((step, is_durable)) = crash.filter(|_| writes_something) {
            place.fail.arm(step);
            let all = proposals
                .into_iter()
                .map(|(lineage, writes)| perform(&journal, lineage, writes));
            assert!(join_all(all).await.iter().all(Result::is_err), "{step:?}");
            drop(journal);
            journal = place.open().await;
            model = if is_durable { next } else { model };
            continue;
        }
        let all = proposals
            .into_iter()
            .map(|(lineage, writes)| perform(&journal, lineage, writes));
        for (found, (before, lineage, is_taken)) in join_all(all).await.into_iter().zip(expected) {
            match found {
                Ok((usage, at)) => {
                    assert!(is_taken);
                    before.assert_agrees(&usage, lineage, at);
                }
                Err(JournalError::NotCommitted(reason)) => assert!(!is_taken, "{reason}"),
                Err(error) => panic!("{error}"),
            }
        }
        model = next;
    }
    for withdrawal in 0..WITHDRAWALS {
        let (usage, at) = perform(&journal, Some(withdrawal), Vec::new()).await.unwrap();
        model.assert_agrees(&usage, Some(withdrawal), at);
    }
    journal.close().await;
}

fn groups() -> impl Strategy<Value = Vec<Group>> {
    proptest::collection::vec((pause(), proptest::collection::vec(op(), 1..8), crash()), 1..10)
}

fn block_on(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(test);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 400, ..ProptestConfig::default() })]
    #[test]
    fn counters_agree_with_a_rescan(groups in groups()) {
        block_on(run(Kind::Sqlite, groups));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 100, ..ProptestConfig::default() })]
    #[test]
    fn shared_counters_agree_with_a_rescan(groups in groups()) {
        block_on(run(Kind::Postgres, groups));
    }
}

fn charged(withdrawal: u8, number: u32, charges: Vec<Charge>) -> Vec<Write> {
    vec![
        attempt(
            &name(withdrawal),
            number,
            u64::from(withdrawal) * 1_000 + u64::from(number),
        ),
        Write::Spend {
            request: request(&name(withdrawal)),
            number,
            facts: facts(withdrawal, number),
            charges,
        },
    ]
}

/// Proposals that wait together are decided one after the other: the limit holds to the last unit.
#[tokio::test]
async fn a_group_cannot_exceed_a_limit() {
    for kind in KINDS {
        limited_group(kind).await;
    }
}

async fn limited_group(kind: Kind) {
    let place = Place::of(kind).await;
    let journal = with_bundle(&place).await;
    for number in 0..40 {
        write(&journal, withdrawal(&name(number)), Vec::new()).await.unwrap();
    }
    let window: Window = "1d".parse().unwrap();
    let hard = Amount::from_base_units(100);
    let submit = |withdrawal: u8| {
        let (reads, window) = (
            Reads {
                request: Some(request(&name(withdrawal))),
                usage: queries(),
                ..Reads::default()
            },
            window.clone(),
        );
        propose(&journal, reads, move |view: &LedgerView, _| {
            let charge = charge(0, 7);
            let fits = view.usage.after(&charge, &window).is_some_and(|after| after <= hard);
            let writes = if fits {
                charged(withdrawal, 1, vec![charge])
            } else {
                Vec::new()
            };
            Verdict {
                entries: Vec::new(),
                writes,
                reply: fits,
            }
        })
    };
    let answers = join_all((0..40).map(submit)).await;
    let allowed = answers.into_iter().filter(|answer| answer.as_ref().unwrap().0).count();
    assert_eq!(allowed, 14);
    let (usage, _) = perform(&journal, None, Vec::new()).await.unwrap();
    assert_eq!(usage.before(counter(0), &window), Some(98u64.into()));
    assert!(journal.stats().largest_group > 1);
}

#[tokio::test]
async fn what_cannot_be_charged_refuses_its_own_proposal_alone() {
    let most = |counter| Charge {
        amount: Amount::MAX,
        ..charge(counter, 0)
    };
    let too_long = vec![0; crate::MAX_FACTS_BYTES + 1];
    let long_facts = |mut writes: Vec<Write>| {
        if let Some(Write::Spend { facts, .. }) = writes.last_mut() {
            facts.clone_from(&too_long);
        }
        writes
    };
    let late = LateCharge {
        request: request(&name(0)),
        number: 9,
        charge: charge(2, 1),
    };
    let backfill = |late: &LateCharge| Write::Backfill {
        charges: vec![late.clone()],
    };
    let aged = |number| Write::Aged {
        request: request(&name(0)),
        number,
    };
    let table: [(&str, Vec<Write>); 8] = [
        ("256 bits", charged(1, 1, vec![charge(0, 1), most(1)])),
        ("twice", charged(1, 1, vec![charge(0, 1), charge(0, 2)])),
        ("bytes of facts", long_facts(charged(1, 1, vec![]))),
        ("spends nothing", vec![aged(7)]),
        ("for good", vec![aged(1)]),
        ("for good", charged(0, 1, vec![charge(0, 1)])),
        ("spends nothing", vec![backfill(&late)]),
        ("goes alone", vec![backfill(&late), aged(2)]),
    ];
    for (kind, (reason, writes)) in KINDS.into_iter().flat_map(|kind| table.clone().map(|row| (kind, row))) {
        let place = Place::of(kind).await;
        let journal = with_withdrawals(&place).await;
        let first = [charged(0, 1, vec![charge(0, 5), charge(1, 5)]), vec![aged(1)]].concat();
        write(&journal, first, Vec::new()).await.unwrap();
        let (refused, neighbour) = tokio::join!(
            write(&journal, writes, Vec::new()),
            write(&journal, charged(2, 1, vec![charge(0, 3)]), Vec::new())
        );
        let Err(JournalError::NotCommitted(message)) = refused else {
            panic!("{reason}");
        };
        assert!(message.contains(reason), "{message}");
        neighbour.unwrap();
        let (usage, _) = perform(&journal, None, Vec::new()).await.unwrap();
        assert_eq!(usage.before(counter(0), &windows()[0]), Some(8u64.into()), "{reason}");
    }
}

/// A bundle that defines a new counter sees what was spent, and what is spent later counts on.
#[tokio::test]
async fn spends_are_there_for_counters_that_are_defined_later() {
    let place = Place::new();
    let journal = with_withdrawals(&place).await;
    for withdrawal in 0..3 {
        let writes = charged(withdrawal, 1, vec![charge(0, 10)]);
        write(&journal, writes, Vec::new()).await.unwrap();
    }
    let of = |withdrawal| (request(&name(withdrawal)), 1);
    let (request, number) = of(1);
    write(&journal, vec![Write::Released { request, number }], Vec::new())
        .await
        .unwrap();
    let (request, number) = of(2);
    write(&journal, vec![Write::Aged { request, number }], Vec::new())
        .await
        .unwrap();
    let spends = async |since| {
        let reads = Reads {
            spends_since: Some(at(since)),
            ..Reads::default()
        };
        let looked = propose(&journal, reads, |view: &LedgerView, _| {
            Verdict::unchanged(view.spends.clone())
        });
        looked.await.unwrap().0
    };
    let found = spends(START - 1).await;
    let keys: Vec<_> = found.iter().map(|spend| (spend.request, spend.number)).collect();
    assert_eq!(keys, [of(0), of(2)]);
    assert_eq!(found[0].facts, facts(0, 1));
    assert_eq!((found[0].aged_at, found[1].aged_at), (None, Some(at(START))));
    assert_eq!(
        spends(START).await.len(),
        1,
        "what aged before the longest window is left out"
    );

    let late = |spend: &countersign_signer::SpendRecord| LateCharge {
        request: spend.request,
        number: spend.number,
        charge: charge(2, 4),
    };
    let charges = found.iter().map(late).collect();
    write(&journal, vec![Write::Backfill { charges }], Vec::new())
        .await
        .unwrap();
    place.set_clock(START + 120_000);
    let (usage, _) = perform(&journal, None, Vec::new()).await.unwrap();
    assert_eq!(
        usage.before(counter(2), &windows()[0]),
        Some(4u64.into()),
        "the aged one has left the minute"
    );
    assert_eq!(usage.before(counter(2), &windows()[1]), Some(8u64.into()));

    // A later bundle counts more of one, and less of the other: a charge never falls.
    let again = |(spend, amount): (&countersign_signer::SpendRecord, u64)| LateCharge {
        charge: charge(2, amount),
        ..late(spend)
    };
    let charges = found.iter().zip([6, 1]).map(again).collect();
    write(&journal, vec![Write::Backfill { charges }], Vec::new())
        .await
        .unwrap();
    let (usage, _) = perform(&journal, None, Vec::new()).await.unwrap();
    assert_eq!(usage.before(counter(2), &windows()[0]), Some(6u64.into()));
    assert_eq!(usage.before(counter(2), &windows()[1]), Some(10u64.into()));
}

/// The schema guards what may not change, whatever the program above it does.
#[tokio::test]
async fn the_schema_keeps_counters_from_falling() {
    for kind in KINDS {
        schema_guards(kind).await;
    }
}

async fn schema_guards(kind: Kind) {
    let place = Place::of(kind).await;
    let journal = with_withdrawals(&place).await;
    let (request, number) = (request(&name(0)), 1);
    let writes = charged(0, 1, vec![charge(0, 5)]);
    write(&journal, writes, Vec::new()).await.unwrap();
    write(&journal, vec![Write::Aged { request, number }], Vec::new())
        .await
        .unwrap();
    journal.close().await;
    let mut connection = crate::database::Connection::open(&place.config().database)
        .await
        .unwrap();
    for (sql, reason) in [
        ("UPDATE counters SET cum = pend", "a counter never falls"),
        (
            "UPDATE counter_entries SET cum_after = (SELECT pend FROM counters)",
            "a counter never falls",
        ),
        (
            "UPDATE charges SET amount = (SELECT pend FROM counters)",
            "a charge never falls",
        ),
        ("UPDATE spends SET aged_at = aged_at + 1", "the spend is final"),
        (
            "UPDATE spends SET aged_at = NULL, released_at = 1",
            "the spend is final",
        ),
        ("DELETE FROM spends", "nothing is deleted"),
        ("DELETE FROM charges", "nothing is deleted"),
        ("DELETE FROM counters", "nothing is deleted"),
        ("DELETE FROM counter_entries", "nothing is deleted"),
    ] {
        let error = connection.link().script(sql).await.unwrap_err();
        assert!(error.to_string().contains(reason), "{sql}: {error}");
    }
}

//! Never two transactions of one request that can both confirm, never one nonce for two requests, in any order of asking.

use crate::support;

use std::collections::BTreeMap;

use countersign_decision::testing::Ask;
use countersign_decision::{AttemptFact, Outcome};
use countersign_types::{RequestDigest, Tag, TransactionDigest};
use proptest::prelude::*;
use support::Fixture;

/// Somebody asks for bytes under one of three requests.
#[derive(Debug, Clone, Copy)]
struct Step {
    request: usize,
    nonce: u64,
    gwei: u128,
    /// A cancel is journaled instead.
    ends: bool,
    /// The bytes pay nobody: they are to take the place of what is signed.
    cancels: bool,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let chances = (prop::bool::weighted(0.1), prop::bool::weighted(0.3));
    let step = (0_usize..3, 0_u64..4, 1_u128..4, chances).prop_map(|(request, nonce, gwei, (ends, cancels))| Step {
        request,
        nonce,
        gwei: 20_000_000_000 + gwei,
        ends,
        cancels,
    });
    prop::collection::vec(step, 1..24)
}

/// What a journal holds, in plain maps.
#[derive(Default)]
struct Ledger {
    nonces: BTreeMap<u64, RequestDigest>,
    attempts: BTreeMap<RequestDigest, Vec<(u32, TransactionDigest, u64)>>,
    ended: BTreeMap<RequestDigest, Tag>,
}

impl Ledger {
    fn show(&self, fixture: &mut Fixture, nonce: u64) {
        let request = fixture.withdrawal().request();
        let account = fixture.world.wallet_address();
        let own = self.attempts.get(&request).cloned().unwrap_or_default();
        fixture.ledger.ended = self.ended.get(&request).copied();
        fixture.ledger.attempts = own
            .iter()
            .map(|(number, transaction, nonce)| AttemptFact {
                number: *number,
                transaction: *transaction,
                anchor: Some(fixture.nonce_key(*nonce)),
                txid: None,
            })
            .collect();
        fixture.ledger.conflict_owners = self
            .nonces
            .get(&nonce)
            .filter(|owner| **owner != request)
            .map(|owner| (fixture.nonce_key(nonce).to_string(), *owner))
            .into_iter()
            .collect();
        let own = self.nonces.get(&nonce).filter(|owner| **owner == request);
        fixture.ledger.own_nonces = own.map(|_| fixture.nonce_key(nonce).to_string()).into_iter().collect();
        let highest = self.nonces.keys().max();
        fixture.ledger.next_nonces = highest.map(|highest| (account, highest + 1)).into_iter().collect();
    }
}

fn ask(request: usize, nonce: u64, max_fee_per_gas: u128) -> Ask {
    Ask {
        reference: format!("order-{request}"),
        nonce,
        max_fee_per_gas,
        is_template: true,
        amount: 50_000_000_000_000_000,
        ..Ask::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_order_of_asking_authorizes_two_that_can_both_confirm(steps in steps()) {
        let mut fixture = Fixture::new();
        fixture.statements.clear();
        // One request statement for each reference: its digest must not change from step to step.
        let requests: Vec<_> = (0..3)
            .map(|request| fixture.world.request(&ask(request, 0, 20_000_000_000)))
            .collect();
        let itself = fixture.world.wallet_address().to_string();
        let mut ledger = Ledger::default();
        for step in steps {
            let ask = ask(step.request, step.nonce, step.gwei);
            fixture.request = requests[step.request].clone();
            fixture.body = ask.request();
            let nobody = Ask { destination: itself.clone(), amount: 0, ..ask.clone() };
            fixture.unsigned = if step.cancels { nobody.unsigned() } else { ask.unsigned() };
            ledger.show(&mut fixture, step.nonce);
            let request = fixture.withdrawal().request();
            if step.ends {
                ledger.ended.insert(request, Tag::WithdrawalCancelled);
                continue;
            }
            fixture.statements.clear();
            if ledger.ended.contains_key(&request) {
                let cancel = fixture.world.cancel_for("payout-service", &fixture.request, 1_000_000_000_000_000);
                fixture.say(cancel);
            }
            let decision = fixture.decide();
            prop_assert_eq!(decision.cancels, step.cancels && ledger.ended.contains_key(&request));
            prop_assert_eq!(decision.outcome == Outcome::Allowed, decision.entry.authorization.is_some());
            let Some(authorization) = decision.entry.authorization else { continue };
            prop_assert_eq!(decision.cancels, ledger.ended.contains_key(&request), "it had ended");
            let text = decision.effects.unwrap();
            prop_assert_eq!(text.effect_lines().any(|line| line.starts_with("transfer ")), !decision.cancels);
            let attempts = ledger.attempts.entry(request).or_default();
            // The same bytes keep their number; other bytes take the next one and the same nonce.
            let known = attempts.iter().find(|(_, transaction, _)| *transaction == decision.entry.transaction);
            match known {
                Some((number, _, _)) => prop_assert_eq!(authorization.attempt, *number),
                None => {
                    prop_assert!(!decision.cancels || !attempts.is_empty(), "nothing to cancel");
                    prop_assert_eq!(authorization.attempt as usize, attempts.len() + 1);
                    prop_assert!(attempts.iter().all(|(_, _, nonce)| *nonce == step.nonce), "two anchors");
                    attempts.push((authorization.attempt, decision.entry.transaction, step.nonce));
                }
            }
            let owner = *ledger.nonces.entry(step.nonce).or_insert(request);
            prop_assert_eq!(owner, request, "one nonce for two requests");
            prop_assert!(ledger.nonces.keys().copied().eq(0..ledger.nonces.len() as u64), "a gap");
        }
    }
}

#[test]
fn a_bump_and_then_the_next_request() {
    let mut fixture = Fixture::new();
    let mut ledger = Ledger::default();
    let request = fixture.withdrawal().request();
    ledger.nonces.insert(0, RequestDigest::of(b"other"));
    ledger.show(&mut fixture, 0);
    assert!(matches!(fixture.decide().outcome, Outcome::Denied { .. }));
    ledger.nonces.insert(0, request);
    ledger.show(&mut fixture, 0);
    fixture.ledger.attempts = vec![fixture.attempt(1, Some(fixture.nonce_key(0)))];
    assert_eq!(fixture.decide().entry.authorization.unwrap().attempt, 2);
}

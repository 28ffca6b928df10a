//! The analysis against `evaluate` itself: whatever random withdrawals show, it found or did not claim.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::{self, World, parts, world};
use countersign_policy::{analysis::*, *};
use countersign_types::*;
use proptest::{collection::vec, prelude::*};

const NETWORK: &str = "eip155:1";

/// Three wallets and two initiators, one of them in a group.
fn setting<'a>(policy: &'a Policy, assets: &'a AssetRegistry, lists: &'a DestinationLists) -> Setting<'a> {
    let asker = |groups: &[&str]| Asker {
        groups: groups.iter().map(|group| group.parse().unwrap()).collect(),
        tenants: BTreeSet::from(["tenant".parse().unwrap()]),
    };
    let site = |name: &str, tier| {
        let network: ChainId = NETWORK.parse().unwrap();
        let receives = Destination::new(&network, &format!("own-{name}")).unwrap();
        ((name.parse().unwrap(), network), Site { tier, receives })
    };
    Setting {
        policy,
        assets,
        lists,
        initiators: BTreeMap::from([
            ("bot".parse().unwrap(), asker(&["ops"])),
            ("alice".parse().unwrap(), asker(&["risk"])),
        ]),
        wallets: BTreeMap::from([
            site("hot", Tier::Hot),
            site("warm", Tier::Warm),
            site("cold", Tier::Cold),
        ]),
        fee_assets: BTreeMap::from([(NETWORK.parse().unwrap(), "eip155:1/slip44:60".parse().unwrap())]),
    }
}

/// The world as the setting knows it: its tiers and groups, its own addresses, assets of its network, ages of entries only.
fn withdrawal(world: &World, most: usize) -> Option<Withdrawal> {
    let network: ChainId = NETWORK.parse().unwrap();
    let own = |wallet: &WalletId| Destination::new(&network, &format!("own-{wallet}")).unwrap();
    let mut items = Vec::new();
    for (effect, subject) in world.effects.iter().take(most) {
        let mut effect = effect.clone();
        match &mut effect {
            Effect::Internal {
                wallet,
                destination,
                change,
                ..
            } => {
                *destination = own(wallet);
                *change = false;
            }
            Effect::Fee { asset, .. } => *asset = "eip155:1/slip44:60".parse().unwrap(),
            _ => {}
        }
        if effect.asset().is_some_and(|asset| asset.chain() != &network) {
            continue;
        }
        let is_moved = matches!(effect, Effect::Fee { .. } | Effect::Internal { .. });
        let known = effect
            .destination()
            .filter(|_| !is_moved)
            .and_then(|at| world.known.get(at));
        let subject = subject.clone().filter(|_| !is_moved);
        let books = known
            .and_then(|known| known.books.clone())
            .filter(|_| subject.is_some());
        let is_listed = effect.destination().is_some_and(|at| world.lists.is_listed(at));
        let has_entry = is_listed || books.as_ref().is_some_and(|books| books.values().any(|has| *has));
        items.push(Item {
            is_first_seen: known.and_then(|known| known.is_first_seen),
            entry_age: known.and_then(|known| known.entry_age).filter(|_| has_entry),
            subject,
            books,
            effect,
        });
    }
    Some(Withdrawal {
        initiator: world.initiator.clone(),
        tenant: "tenant".parse().unwrap(),
        wallet: world.wallet.clone(),
        network,
        now: world.now?,
        attributes: world.attributes.clone()?,
        fee_units: world.fee_units,
        items,
        prices: world.prices.clone(),
        held: None,
    })
}

fn allowed(evaluation: Option<Evaluation>) -> Option<Obligations> {
    match evaluation?.outcome {
        Outcome::Allow(obligations) => Some(obligations),
        Outcome::Deny => None,
    }
}

fn is_looser(old: Option<Obligations>, new: Option<Obligations>) -> bool {
    match (old, new) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(old), Some(new)) => !new.covers(&old),
    }
}

fn cases() -> u32 {
    let asked = std::env::var("COUNTERSIGN_ANALYSIS_CASES").ok();
    asked.map_or(16, |asked| asked.parse().unwrap())
}

/// Asks for one of the group `ops`, or denies.
fn promise() -> impl Strategy<Value = Promise> {
    prop_oneof![
        Just(Promise::Deny),
        (1_u32..=3, 0_u32..=1).prop_map(|(seats, secs)| {
            let seats = [("ops".parse().unwrap(), Seats::new(seats).unwrap())];
            Promise::Asks(Obligations::new(seats.into(), Duration::from_secs(secs)))
        }),
    ]
}

fn invariant() -> impl Strategy<Value = Invariant> {
    (support::require("inv".into()), promise()).prop_map(|(require, promise)| {
        let when = require.conditions().iter().cloned().collect();
        Invariant::new("inv".parse().unwrap(), when, promise).unwrap()
    })
}

/// The conditions of an invariant, as a require whose trace tells whether it matched.
fn matches(invariant: &Invariant, setting: &Setting<'_>, withdrawal: &Withdrawal) -> bool {
    let when = invariant.when().iter().cloned().collect();
    let asked = Obligations::new(BTreeMap::new(), Duration::from_secs(1));
    let require = Require::new("when".parse().unwrap(), when, asked).unwrap();
    let policy = Policy::new(PolicyParts {
        requires: vec![require],
        ..PolicyParts::default()
    })
    .unwrap();
    let alone = Setting {
        policy: &policy,
        ..setting.clone()
    };
    alone
        .decide(withdrawal)
        .is_some_and(|evaluation| !evaluation.requires.is_empty())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the transaction is, batches included: a promise that is proven is never broken.
    #[test]
    fn what_is_proven_holds(parts in parts(), invariant in invariant(), worlds in vec(world(), 200)) {
        let policy = Policy::new(parts).unwrap();
        let setting = setting(&policy, &worlds[0].assets, &worlds[0].lists);
        let conclusion = prove(&invariant, &setting, Budget::DEFAULT);
        prop_assert_ne!(&conclusion, &Conclusion::Undecided(Doubt::RanOut));
        if let Conclusion::Violated(found) = &conclusion {
            let (witness, evaluation) = &**found;
            prop_assert_eq!(setting.decide(witness), Some(evaluation.clone()));
            prop_assert!(matches(&invariant, &setting, witness) && !invariant.is_kept(Some(evaluation)));
        }
        for withdrawal in worlds.iter().filter_map(|world| withdrawal(world, 6)) {
            let evaluation = setting.decide(&withdrawal);
            if matches(&invariant, &setting, &withdrawal) && !invariant.is_kept(evaluation.as_ref()) {
                prop_assert_ne!(&conclusion, &Conclusion::Holds, "{}", withdrawal);
                // Single payments are exhausted.
                if withdrawal.items.len() == 1 {
                    prop_assert!(matches!(conclusion, Conclusion::Violated(_)), "{}: {:?}", withdrawal, conclusion);
                }
            }
        }
    }

    #[test]
    fn every_loosening_of_a_payment_is_found(old in parts(), new in parts(), worlds in vec(world(), 200)) {
        let (old, new) = (Policy::new(old).unwrap(), Policy::new(new).unwrap());
        let (assets, lists) = (&worlds[0].assets, &worlds[0].lists);
        let (old, new) = (setting(&old, assets, lists), setting(&new, assets, lists));
        let found = compare(&old, &new, Budget::DEFAULT);
        for loosening in &found.loosenings {
            prop_assert_eq!(&old.decide(&loosening.withdrawal), &loosening.old);
            prop_assert_eq!(new.decide(&loosening.withdrawal), Some(loosening.new.clone()));
            prop_assert!(is_looser(allowed(loosening.old.clone()), allowed(Some(loosening.new.clone()))));
        }
        for withdrawal in worlds.iter().filter_map(|world| withdrawal(world, 1)) {
            if is_looser(allowed(old.decide(&withdrawal)), allowed(new.decide(&withdrawal))) {
                prop_assert!(!found.loosenings.is_empty(), "{}", withdrawal);
            }
        }
    }

    #[test]
    fn a_policy_is_not_looser_than_itself(parts in parts(), world in world()) {
        let policy = Policy::new(parts).unwrap();
        let setting = setting(&policy, &world.assets, &world.lists);
        let found = compare(&setting, &setting, Budget::DEFAULT);
        prop_assert_eq!(found.loosenings, vec![]);
    }

    /// A rule that is said to decide nothing changes no decision about a payment when it is gone.
    #[test]
    fn a_rule_that_decides_nothing_can_go(parts in parts(), worlds in vec(world(), 100)) {
        let policy = Policy::new(parts.clone()).unwrap();
        let (assets, lists) = (&worlds[0].assets, &worlds[0].lists);
        let whole = setting(&policy, assets, lists);
        let found = survey(&whole, Budget::DEFAULT);
        let is_idle = |id: &RuleId| !found.deciding.contains(id);
        for id in policy.forbids().map(|rule| rule.id()).chain(policy.requires().map(|rule| rule.id())).filter(|id| is_idle(id)) {
            let mut fewer = parts.clone();
            fewer.forbids.retain(|rule| rule.id() != id);
            fewer.requires.retain(|rule| rule.id() != id);
            let fewer = Policy::new(fewer).unwrap();
            let without = setting(&fewer, assets, lists);
            for withdrawal in worlds.iter().filter_map(|world| withdrawal(world, 1)) {
                prop_assert_eq!(
                    allowed(whole.decide(&withdrawal)), allowed(without.decide(&withdrawal)), "{}: {}", id, withdrawal
                );
            }
        }
    }
}

/// The generators are worth something only if every conclusion comes up.
#[test]
fn random_invariants_reach_every_conclusion() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let (mut holds, mut violated, mut open) = (0, 0, 0);
    for _ in 0..40 {
        let (parts, invariant, world) = (parts(), invariant(), world()).new_tree(&mut runner).unwrap().current();
        let policy = Policy::new(parts).unwrap();
        match prove(
            &invariant,
            &setting(&policy, &world.assets, &world.lists),
            Budget::DEFAULT,
        ) {
            Conclusion::Holds => holds += 1,
            Conclusion::Violated(_) => violated += 1,
            Conclusion::Undecided(_) => open += 1,
        }
    }
    assert!(
        holds > 3 && violated > 8,
        "{holds} hold, {violated} violated, {open} open"
    );
}

/// Long lists are no more regions than short ones, and the entry that changed is the one that is shown: among a hundred thousand
/// customers one stops being sanctioned.
#[test]
fn the_entry_that_changed_is_found_among_a_hundred_thousand() {
    let customer = |n: usize| format!("eip155:1:0x{n:040}");
    let list = |entries: &mut dyn Iterator<Item = String>| {
        let text: String = entries.map(|at| at + "\n").collect();
        DestinationList::parse(text.as_bytes()).unwrap()
    };
    let lists = |sanctioned: &[usize]| {
        DestinationLists::new(BTreeMap::from([
            ("customers".parse().unwrap(), list(&mut (0..100_000).map(customer))),
            (
                "sanctions".parse().unwrap(),
                list(&mut sanctioned.iter().map(|n| customer(*n))),
            ),
        ]))
    };
    let to = |id: &str| Condition::To(To::List(id.parse().unwrap()));
    let transfers = Condition::Effects(Effects([EffectKind::Transfer].into_iter().collect()));
    let policy = Policy::new(PolicyParts {
        permits: vec![Permit::new("customers".parse().unwrap(), vec![transfers, to("customers")]).unwrap()],
        forbids: vec![Forbid::new("sanctions".parse().unwrap(), vec![to("sanctions")]).unwrap()],
        ..PolicyParts::default()
    })
    .unwrap();
    let assets = support::registry();
    let (before, after) = (lists(&[7, 77_777, 200_000]), lists(&[7, 200_000]));
    let (old, new) = (setting(&policy, &assets, &before), setting(&policy, &assets, &after));
    let seen = survey(&old, Budget::DEFAULT);
    assert!(!seen.ran_out && seen.deciding.len() == 2, "{seen:?}");
    let difference = compare(&old, &new, Budget::DEFAULT);
    assert!(!difference.ran_out);
    let shown = difference
        .loosenings
        .iter()
        .flat_map(|loosening| loosening.withdrawal.items.iter());
    let shown: BTreeSet<String> = shown
        .filter_map(|item| item.effect.destination())
        .map(ToString::to_string)
        .collect();
    assert_eq!(shown, BTreeSet::from([customer(77_777)]));
    let findings = change::compare(
        change::Ruleset {
            policy: &policy,
            lists: &before,
        },
        change::Ruleset {
            policy: &policy,
            lists: &after,
        },
    );
    let told: Vec<(change::Direction, String)> = findings.iter().map(|one| (one.direction(), one.why())).collect();
    let why = "entries removed: 1; because of rule `sanctions` that may allow more".to_owned();
    assert_eq!(told, [(change::Direction::Loosens, why)]);
}

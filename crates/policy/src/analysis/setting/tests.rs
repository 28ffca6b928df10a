use countersign_types::{Amount, CounterId};

use super::*;
use crate::{
    PolicyParts,
    analysis::{
        Held,
        testing::{Bundle, limit, permit, to_list, total_over, transfers, treasury, withdrawal},
    },
    testing::{destination, fee, internal, opaque, rule, transfer},
};

fn payment() -> Withdrawal {
    withdrawal(&[transfer("eth", 1, "a")])
}

fn bundle(limits: Vec<crate::Limit>) -> Bundle {
    Bundle::new(PolicyParts {
        permits: vec![permit("p", vec![to_list("customers")])],
        limits,
        ..PolicyParts::default()
    })
}

#[test]
fn what_the_bundle_does_not_know_is_not_decided() {
    let bundle = bundle(vec![]);
    let setting = bundle.setting();
    let allowed = setting.decide(&payment());
    assert_eq!(asked(allowed.as_ref()), Some(&Obligations::default()));
    for strange in [
        Withdrawal {
            initiator: "mallory".parse().unwrap(),
            ..payment()
        },
        Withdrawal {
            wallet: "cold".parse().unwrap(),
            ..payment()
        },
        Withdrawal {
            network: "eip155:2".parse().unwrap(),
            ..payment()
        },
        Withdrawal {
            tenant: "other".parse().unwrap(),
            ..payment()
        },
    ] {
        assert_eq!(setting.decide(&strange), None, "{strange}");
        assert!(!may_match(&setting, &Conditions::default(), &strange));
    }
}

#[test]
fn a_denial_asks_for_nothing() {
    let bundle = bundle(vec![]);
    let denied = bundle.setting().decide(&withdrawal(&[transfer("eth", 1, "z")]));
    assert!(denied.is_some());
    assert_eq!(asked(denied.as_ref()), None);
    assert_eq!(asked(None), None);
}

#[test]
fn what_goes_to_an_own_wallet_is_a_move_and_to_anybody_else_a_transfer() {
    let bundle = bundle(vec![]);
    let setting = bundle.setting();
    let named = |effect: Effect| setting.effects(&withdrawal(&[effect]))[0].clone().into_owned();
    assert_eq!(named(transfer("eth", 1, "a")), transfer("eth", 1, "a"));
    assert_eq!(named(transfer("eth", 1, "hot")), internal("eth", 1, "hot"));
    assert_eq!(named(internal("eth", 1, "hot")), internal("eth", 1, "hot"));
    assert_eq!(named(internal("eth", 1, "warm")), transfer("eth", 1, "warm"));
    let change = Effect::Internal {
        asset: crate::testing::asset("eth"),
        amount: 1_u64.into(),
        wallet: "warm".parse().unwrap(),
        destination: destination("warm"),
        change: true,
    };
    for other in [change, fee(1), opaque()] {
        assert_eq!(named(other.clone()), other);
    }
}

#[test]
fn conditions_may_match_what_they_select_or_cannot_tell() {
    let bundle = bundle(vec![]);
    let setting = bundle.setting();
    let conditions =
        |all: &[crate::Condition]| Conditions::new(&rule("c"), crate::RuleKind::Require, all.to_vec()).unwrap();
    let over = conditions(&[transfers(), total_over(3)]);
    let paid = |amount| withdrawal(&[transfer("eth", amount, "a")]);
    assert!(!may_match(&setting, &over, &paid(3)));
    assert!(may_match(&setting, &over, &paid(4)));
    let listed = conditions(&[to_list("customers")]);
    assert!(may_match(&setting, &listed, &withdrawal(&[opaque()])));
    assert!(!may_match(&setting, &listed, &withdrawal(&[fee(1)])));
}

fn held(counter: CounterId, window: &str, amount: u64) -> Withdrawal {
    Withdrawal {
        held: Some(Held {
            limit: rule("l"),
            counter,
            window: window.parse().unwrap(),
            currency: None,
            asset: None,
            amount: Amount::from(amount),
        }),
        ..payment()
    }
}

#[test]
fn counters_stand_at_zero_but_for_the_one_that_is_named() {
    let soft = Some((5, treasury(1)));
    let bundle = bundle(vec![limit("l", "24h", 9, soft, &[]), limit("m", "48h", 90, None, &[])]);
    let setting = bundle.setting();
    let befores = |withdrawal: &Withdrawal| {
        let limits = setting.decide(withdrawal).unwrap().limits;
        limits
            .iter()
            .map(|limit| limit.before.unwrap().to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(befores(&payment()), ["0", "0"]);
    let traces = setting.decide(&payment()).unwrap().limits;
    let counter = traces[0].counter.unwrap();
    assert_eq!(
        traces[1].counter,
        Some(counter),
        "the same is counted over both windows"
    );
    // What a day holds two days hold too, and not the other way round.
    assert_eq!(befores(&held(counter, "24h", 4)), ["4", "4"]);
    assert_eq!(befores(&held(counter, "48h", 4)), ["0", "4"]);
    let other = CounterId::from_bytes([7; 32]);
    assert_eq!(befores(&held(other, "24h", 4)), ["0", "0"]);
    assert_eq!(
        asked(setting.decide(&held(counter, "24h", 5)).as_ref()),
        Some(&treasury(1))
    );
    assert_eq!(asked(setting.decide(&held(counter, "24h", 9)).as_ref()), None);
}

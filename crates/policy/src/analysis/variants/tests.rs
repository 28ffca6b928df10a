use countersign_types::{AssetRecord, AssetRegistry, Decimals};

use super::*;
use crate::{
    AmountMax, AmountOver, Ceiling, FeeMax, Limit, Meter, Permit, PolicyParts, Window,
    analysis::{
        Budget,
        testing::{
            Bundle, Visits, assets, effects, forbid, lists, permit, require, short, to_list, total_max, treasury,
            withdrawal, worth_over,
        },
    },
    testing::{CHAIN, asset, bounds, destination, fee, internal, opaque, rule, transfer, usd},
};

fn permits(permits: Vec<Permit>) -> Bundle {
    Bundle::new(PolicyParts {
        permits,
        ..PolicyParts::default()
    })
}

/// What is paid to `a`, who is listed, by a customer that no rule names and that was paid before.
fn paid(visits: &Visits) -> Vec<String> {
    let all = visits.of(EffectKind::Transfer).into_iter();
    let to_a =
        all.filter(|text| text.starts_with("transfer ") && text.contains("ETH to a for customer-1, paid before"));
    to_a.map(|text| {
        text.replace(", paid before, entry 1d old", "")
            .replace(", paid before", "")
    })
    .collect()
}

fn fees(visits: &Visits) -> Vec<(String, Option<u64>)> {
    let fees = visits
        .whole
        .iter()
        .filter(|one| one.items[0].effect.kind() == EffectKind::Fee);
    fees.map(|fee| (short(fee), fee.fee_units)).collect()
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn money(dollars: u64, euros: u64) -> Bounds {
    let bounds = Bounds::default().with_money(Currency::Usd, usd(dollars));
    bounds.with_money(Currency::Eur, usd(euros))
}

/// Assets of two decimals and of none.
fn with_decimals(decimals: u8) -> AssetRegistry {
    let record = AssetRecord {
        id: asset("eth"),
        symbol: "ETH".parse().unwrap(),
        decimals: Decimals::new(decimals).unwrap(),
        quirks: BTreeSet::new(),
    };
    AssetRegistry::new([record]).unwrap()
}

#[test]
fn every_kind_of_effect_is_tried_wherever_it_may_go() {
    let visits = Bundle::new(PolicyParts::default()).walk(&[]);
    let count = |kind| visits.of(kind).len();
    // Three assets of the bundle and a stray one; to a stranger and to a customer; for somebody or for nobody known; and
    // three states of history.
    assert_eq!(count(EffectKind::Transfer), 4 * 2 * 2 * 3);
    assert_eq!(count(EffectKind::Allowance), 4 * 2 * 2 * 3);
    assert_eq!(count(EffectKind::DelayedAuthorization), 2 * 2 * 3);
    assert_eq!(count(EffectKind::ContractCall), 2 * 2 * 3);
    // These may go nowhere, which has no history.
    for kind in [EffectKind::AuthorityChange, EffectKind::CodeChange, EffectKind::Opaque] {
        assert_eq!(count(kind), 2 * 2 * 3 + 2, "{kind:?}");
    }
    assert_eq!(
        visits.of(EffectKind::PersonalMessage),
        ["personal-message for customer-1", "personal-message"]
    );
    assert_eq!(visits.of(EffectKind::Fee), ["fee 1 ETH"]);
    let stray = format!("internal 1 base units of {CHAIN}/token:unlisted to own wallet hot");
    let moves = [
        "internal 1 demo to own wallet hot",
        "internal 1 gold to own wallet hot",
        "internal 1 ETH to own wallet hot",
    ];
    assert_eq!(visits.of(EffectKind::Internal), [texts(&moves), vec![stray]].concat());
    assert_eq!((visits.entered, visits.ran_out), (visits.whole.len(), false));
}

#[test]
fn moves_go_to_the_wallets_of_the_network_and_transfers_to_nobody_of_them() {
    let mut bundle = Bundle::new(PolicyParts::default());
    bundle.wallets = vec!["a", "hot"];
    let elsewhere: ChainId = "eip155:2".parse().unwrap();
    let mut setting = bundle.setting();
    let site = setting.wallets.values().next().unwrap().clone();
    setting.wallets.insert(("far".parse().unwrap(), elsewhere), site);
    let settings = [&setting];
    let mut walk = Walk::new(&settings, &[], Budget::DEFAULT);
    let mut visits = Visits::default();
    walk.run(&mut visits);
    let here = |one: &&Withdrawal| one.network.as_str() == CHAIN;
    let moves: BTreeSet<String> = visits
        .whole
        .iter()
        .filter(here)
        .filter(|one| {
            one.items[0].effect.kind() == EffectKind::Internal && one.items[0].effect.asset() == Some(&asset("eth"))
        })
        .map(short)
        .collect();
    assert_eq!(
        Vec::from_iter(moves),
        ["internal 1 ETH to own wallet a", "internal 1 ETH to own wallet hot"]
    );
    let own = destination("a");
    let to_own = |kind: EffectKind| {
        let mut all = visits.whole.iter().map(|one| &one.items[0].effect);
        all.any(|effect| effect.kind() == kind && effect.destination() == Some(&own))
    };
    assert!(!to_own(EffectKind::Transfer));
    let first: Vec<&Withdrawal> = visits
        .whole
        .iter()
        .filter(|one| short(one).starts_with("transfer 1 ETH to b"))
        .collect();
    assert!(!first.is_empty(), "the next one of the list");
}

#[test]
fn amounts_are_tried_at_every_bound_and_over_it() {
    let max = Condition::AmountMax(AmountMax(bounds(&[("eth", 4)])));
    let found = paid(&permits(vec![permit("p", vec![max])]).walk(&[]));
    assert_eq!(
        found,
        [
            "transfer 4 ETH to a for customer-1",
            "transfer 5 ETH to a for customer-1"
        ]
    );
    // Of a rule that is out nothing is tried.
    let other = permit("p", vec![to_list("nobody"), total_max(4)]);
    let mut bundle = permits(vec![other]);
    bundle.lists = lists(&[("customers", &["a"]), ("nobody", &["z"])]);
    assert_eq!(paid(&bundle.walk(&[])), ["transfer 1 ETH to a for customer-1"]);
}

#[test]
fn without_a_bound_it_is_one_whole_unit() {
    let mut bundle = permits(vec![permit("p", vec![])]);
    bundle.assets = with_decimals(2);
    assert_eq!(paid(&bundle.walk(&[])), ["transfer 100 ETH to a for customer-1"]);
    bundle.assets = with_decimals(0);
    assert_eq!(paid(&bundle.walk(&[])), ["transfer 1 ETH to a for customer-1"]);
}

#[test]
fn batches_are_just_over_a_sum_that_one_payment_is_below() {
    let max = Condition::AmountMax(AmountMax(bounds(&[("eth", 4)])));
    let found = paid(&permits(vec![permit("p", vec![max, total_max(9)])]).walk(&[]));
    let expected = [
        "transfer 4 ETH to a for customer-1",
        // 12 is over 9; 8 is not.
        "transfer 4 ETH to a for customer-1; transfer 4 ETH to b for customer-2; transfer 4 ETH to c for customer-3",
        "transfer 9 ETH to a for customer-1",
        "transfer 9 ETH to a for customer-1; transfer 9 ETH to b for customer-2",
        "transfer 10 ETH to a for customer-1",
    ];
    assert_eq!(found, expected);
}

#[test]
fn batches_go_on_with_those_of_other_lists() {
    let mut bundle = permits(vec![permit("p", vec![total_max(1)])]);
    bundle.wallets = vec!["hot", "own"];
    bundle.lists = lists(&[("customers", &["a"]), ("others", &["own"])]);
    let found = paid(&bundle.walk(&[]));
    let batch = "transfer 1 ETH to a for customer-1; transfer 1 ETH to stranger-1 for customer-2";
    assert_eq!(
        found,
        [
            "transfer 1 ETH to a for customer-1",
            batch,
            "transfer 2 ETH to a for customer-1"
        ]
    );
}

#[test]
fn batches_for_nobody_known_stay_for_nobody() {
    let visits = permits(vec![permit("p", vec![total_max(1)])]).walk(&[]);
    let all = visits.of(EffectKind::Transfer);
    let to_a: Vec<&String> = all
        .iter()
        .filter(|text| text.starts_with("transfer 1 ETH to a, paid") && text.contains(';'))
        .collect();
    let batch = "transfer 1 ETH to a, paid before, entry 1d old; transfer 1 ETH to b, paid before, entry 1d old";
    assert_eq!(to_a, [batch]);
}

#[test]
fn batches_are_just_over_a_bound_in_money() {
    let require = require("r", vec![worth_over(3)], treasury(1));
    let bundle = Bundle::new(PolicyParts {
        permits: vec![permit("p", vec![total_max(10)])],
        requires: vec![require],
        ..PolicyParts::default()
    });
    let found = paid(&bundle.walk(&[]));
    let expected = [
        "transfer 10 ETH to a for customer-1; one ETH is worth 0.3 USD",
        "transfer 10 ETH to a for customer-1; transfer 10 ETH to b for customer-2; one ETH is worth 0.3 USD",
        "transfer 10 ETH to a for customer-1; one ETH is worth 0.300000001 USD",
        "transfer 10 ETH to a for customer-1; transfer 10 ETH to b for customer-2; one ETH is worth 0.300000001 USD",
        "transfer 10 ETH to a for customer-1",
        "transfer 10 ETH to a for customer-1; transfer 10 ETH to b for customer-2",
        "transfer 11 ETH to a for customer-1; one ETH is worth 0.272727272727272727 USD",
        "transfer 11 ETH to a for customer-1; transfer 11 ETH to b for customer-2; one ETH is worth 0.272727272727272727 USD",
        "transfer 11 ETH to a for customer-1; one ETH is worth 0.272727273636363636 USD",
        "transfer 11 ETH to a for customer-1",
    ];
    assert_eq!(found, expected);
}

#[test]
fn every_combination_of_worths_is_tried_and_no_price_at_all() {
    let mut bundle = Bundle::new(PolicyParts {
        permits: vec![permit("p", vec![])],
        forbids: vec![forbid("f", vec![Condition::AmountOver(AmountOver(money(3, 5)))])],
        ..PolicyParts::default()
    });
    bundle.assets = with_decimals(2);
    let expected = [
        "transfer 100 ETH to a for customer-1; one ETH is worth 5 EUR; one ETH is worth 3 USD",
        "transfer 100 ETH to a for customer-1; one ETH is worth 5.00000001 EUR; one ETH is worth 3 USD",
        "transfer 100 ETH to a for customer-1; one ETH is worth 5 EUR; one ETH is worth 3.00000001 USD",
        "transfer 100 ETH to a for customer-1; one ETH is worth 5.00000001 EUR; one ETH is worth 3.00000001 USD",
        "transfer 100 ETH to a for customer-1",
    ];
    let mut found = paid(&bundle.walk(&[]));
    found.sort();
    let mut expected = texts(&expected);
    expected.sort();
    assert_eq!(found, expected);
}

fn new_destinations(hard: u32, soft: Option<u32>) -> Limit {
    let meter = Meter {
        window: Window::Transaction,
        hard: Ceiling::NewDestinations(hard),
        soft: soft.map(|bound| (Ceiling::NewDestinations(bound), treasury(1))),
    };
    Limit::new(rule("l"), vec![], BTreeSet::new(), meter).unwrap()
}

#[test]
fn batches_are_just_over_the_new_destinations_that_are_allowed() {
    let batches = |limit| {
        let bundle = Bundle::new(PolicyParts {
            permits: vec![permit("p", vec![])],
            limits: vec![limit],
            ..PolicyParts::default()
        });
        let visits = bundle.walk(&[]);
        let eth = visits
            .whole
            .iter()
            .filter(|one| one.items[0].effect.asset() == Some(&asset("eth")));
        eth.map(|one| one.items.len()).collect::<BTreeSet<usize>>()
    };
    assert_eq!(batches(new_destinations(2, None)), BTreeSet::from([1, 3]));
    assert_eq!(batches(new_destinations(4, Some(1))), BTreeSet::from([1, 2, 5]));
    // Sixteen strangers and three customers are all there are.
    assert_eq!(batches(new_destinations(18, None)), BTreeSet::from([1, 19]));
    assert_eq!(batches(new_destinations(19, None)), BTreeSet::from([1]));
}

fn fee_permit(more: Vec<Condition>) -> Permit {
    Permit::new(rule("fees"), [vec![effects(&[EffectKind::Fee])], more].concat()).unwrap()
}

#[test]
fn fees_are_tried_for_just_as_many_units_as_a_rate_needs() {
    let rate = Condition::FeeRate(FeeRate(bounds(&[("eth", 3)])));
    let found = fees(&permits(vec![fee_permit(vec![rate])]).walk(&[]));
    let fee = |amount: u64, units| (format!("fee {amount} ETH"), units);
    let expected = [
        fee(3, Some(0)),
        fee(3, Some(1)),
        fee(3, None),
        fee(4, Some(1)),
        fee(4, Some(2)),
        fee(4, None),
    ];
    assert_eq!(found, expected);
    let max = Condition::FeeMax(FeeMax(bounds(&[("eth", 3)])));
    assert_eq!(
        fees(&permits(vec![fee_permit(vec![max])]).walk(&[])),
        [fee(3, None), fee(4, None)]
    );
}

#[test]
fn fees_are_tried_beside_transfers_of_which_they_are_the_share() {
    let share = |points| Condition::FeeShare(FeeShare::from_basis_points(points).unwrap());
    let max = Condition::FeeMax(FeeMax(bounds(&[("eth", 10)])));
    let payments = || permit("p", vec![to_list("customers")]);
    let visits = permits(vec![payments(), fee_permit(vec![share(300), max])]).walk(&[]);
    let found: Vec<String> = fees(&visits).into_iter().map(|(text, _)| text).collect();
    let beside = |fee: u64, base: u64| {
        format!("fee {fee} ETH; transfer {base} ETH to a for customer-1, never paid before, entry 1d old")
    };
    let expected = [
        "fee 10 ETH".to_owned(),
        "fee 11 ETH".to_owned(),
        // The least fee: 3 % of 33 are less than 1, and of 34 more.
        beside(1, 33),
        beside(1, 34),
        beside(10, 333),
        beside(10, 334),
        beside(1, 33),
        beside(1, 34),
        beside(11, 366),
        beside(11, 367),
    ];
    assert_eq!(found, expected);
    assert!(!visits.ran_out);
}

#[test]
fn where_no_transfer_is_permitted_no_fee_is_a_share_of_one() {
    let share = Condition::FeeShare(FeeShare::from_basis_points(100).unwrap());
    let visits = permits(vec![fee_permit(vec![share])]).walk(&[]);
    assert_eq!(fees(&visits), [("fee 1 ETH".to_owned(), None)]);
    assert!(!visits.ran_out);
}

/// Asked for as the fee was and as the companion was, and where next to nothing is worth anything.
#[test]
fn a_fee_and_its_companion_are_at_the_prices_of_both() {
    let bundle = permits(vec![permit("p", vec![])]);
    let setting = bundle.setting();
    let settings = [&setting];
    let mut walk = Walk::new(&settings, &[], Budget::DEFAULT);
    let priced = |currency, atto: u64| Prices::new([((asset("eth"), currency), Price::from_atto(atto.into()))].into());
    let paying = Withdrawal {
        prices: priced(Currency::Usd, 3),
        fee_units: Some(21_000),
        ..withdrawal(&[fee(5)])
    };
    let companion = Withdrawal {
        initiator: "treasury".parse().unwrap(),
        prices: priced(Currency::Eur, 4),
        ..withdrawal(&[transfer("eth", 1, "a")])
    };
    walk.companions.insert(asset("eth"), vec![companion]);
    let found = walk.accompanied(&paying, 100_u64.into());
    let told = found.iter().map(|both| {
        let atto = both.prices.iter().map(|(_, currency, price)| (currency, price));
        (both.initiator.to_string(), both.fee_units, atto.collect::<Vec<_>>())
    });
    let expected = |initiator: &str, usd: u64, eur: u64| {
        let price = |currency, atto: u64| (currency, Price::from_atto(atto.into()));
        let prices = vec![price(Currency::Eur, eur), price(Currency::Usd, usd)];
        (initiator.to_owned(), Some(21_000), prices)
    };
    assert_eq!(
        told.collect::<Vec<_>>(),
        [
            expected("bot", 1, 1),
            expected("bot", 3, 4),
            expected("treasury", 1, 1),
            expected("treasury", 3, 4),
        ]
    );
}

/// The companions that a walk held on to, by their destination.
fn companions(bundle: &Bundle) -> Vec<String> {
    let setting = bundle.setting();
    let settings = [&setting];
    let mut walk = Walk::new(&settings, &[], Budget::DEFAULT);
    walk.run(&mut Visits::default());
    let held = walk.companions.get(&asset("eth")).into_iter().flatten();
    held.map(|one| one.items[0].effect.destination().unwrap().address().to_owned())
        .collect()
}

#[test]
fn companions_are_a_few_permitted_transfers_to_different_destinations() {
    let everywhere = vec![permit("p", vec![])];
    assert_eq!(companions(&permits(everywhere.clone())), ["stranger-1", "a"]);
    assert_eq!(
        companions(&permits(vec![permit("p", vec![to_list("customers")])])),
        ["a"]
    );
    assert_eq!(companions(&Bundle::new(PolicyParts::default())), [""; 0]);
    let listed = ["a", "b", "c", "d"].map(|id| permit(id, vec![to_list(id)]));
    let mut bundle = permits([everywhere, listed.into()].concat());
    bundle.lists = lists(&[("a", &["a"]), ("b", &["b"]), ("c", &["c"]), ("d", &["d"])]);
    assert_eq!(companions(&bundle).len(), MAX_COMPANIONS);
    let moves = Permit::new(rule("m"), vec![effects(&[EffectKind::Internal]), assets(&["eth"])]).unwrap();
    assert_eq!(companions(&permits(vec![moves])), [""; 0]);
}

#[test]
fn an_effect_is_sent_elsewhere_and_resized() {
    let (to, five) = (destination("z"), Amount::from(5_u64));
    assert_eq!(directed(&transfer("eth", 1, "a"), &to), transfer("eth", 1, "z"));
    assert_eq!(directed(&internal("eth", 1, "warm"), &to), internal("eth", 1, "warm"));
    assert_eq!(directed(&fee(1), &to), fee(1));
    assert_eq!(resized(&transfer("eth", 1, "a"), five), transfer("eth", 5, "a"));
    assert_eq!(resized(&internal("eth", 1, "warm"), five), internal("eth", 5, "warm"));
    assert_eq!(resized(&fee(1), five), fee(5));
    assert_eq!(resized(&opaque(), five), opaque());
    let allowance = |amount: u64, name: &str| Effect::Allowance {
        asset: asset("eth"),
        amount: amount.into(),
        spender: destination(name),
    };
    assert_eq!(directed(&allowance(1, "a"), &to), allowance(1, "z"));
    assert_eq!(resized(&allowance(1, "a"), five), allowance(5, "a"));
    for effect in [
        Effect::AuthorityChange {
            subject: destination("a"),
            scope: AuthorityScope::Owner,
            holder: None,
        },
        Effect::CodeChange {
            subject: None,
            change: CodeChangeKind::Deploy,
            code: Vec::new(),
        },
        Effect::DelayedAuthorization {
            mechanism: destination("a"),
        },
        Effect::ContractCall {
            contract: destination("a"),
            selector: Selector([0; 4]),
            args: Vec::new(),
        },
        opaque(),
    ] {
        assert_eq!(directed(&effect, &to).destination(), Some(&to), "{effect:?}");
        assert_eq!(resized(&effect, five), effect);
    }
    let message = Effect::PersonalMessage { bytes: vec![1] };
    assert_eq!(
        (directed(&message, &to), resized(&message, five)),
        (message.clone(), message)
    );
}

#[test]
fn powers_of_ten_end_with_256_bits() {
    assert_eq!(power_of_ten(0), Some(Amount::from(1_u64)));
    assert_eq!(power_of_ten(3), Some(Amount::from(1_000_u64)));
    assert_eq!(power_of_ten(78), None);
}

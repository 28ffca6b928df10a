//! What solders builds and we sign, LiteSVM executes as the effects say.

use countersign_types::{Amount, ConflictKey, Effect, EffectKind, ParsedTransaction};
use serde_json::{Value, json};

use crate::{
    moved::{assert_as_said, says_everything},
    oracle::Disagreements,
    site::{DECIMALS, NONCE_VALUE, Site, reason, transaction},
};

const SOL: u64 = 1_000_000_000;
const TOKENS: u64 = 2_500_000;

/// A message and what it must parse to, but for the fee.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) message: Vec<u8>,
    effects: Vec<Effect>,
}

fn transfer(to: &str) -> Value {
    json!({ "do": "transfer", "to": to, "lamports": SOL })
}

fn transfer_checked(site: &Site, owner: &str) -> Value {
    let mint = &site.accounts.mint;
    json!({ "do": "transfer-checked", "mint": mint, "owner": owner, "amount": TOKENS, "decimals": DECIMALS })
}

fn native_effect(site: &Site, to: &str) -> Effect {
    Effect::Transfer {
        asset: site.native(),
        amount: Amount::from_base_units(SOL),
        destination: site.destination(to),
    }
}

fn token_effect(site: &Site, owner: &str) -> Effect {
    Effect::Transfer {
        asset: site.token(),
        amount: Amount::from_base_units(TOKENS),
        destination: site.destination(owner),
    }
}

fn delayed(site: &Site) -> Effect {
    Effect::DelayedAuthorization {
        mechanism: site.destination(&site.accounts.nonce),
    }
}

/// One of each kind that the machine can execute.
pub(crate) fn scenarios(site: &mut Site) -> Vec<Scenario> {
    let legacy = json!("legacy");
    let (stranger, customer) = (site.accounts.stranger.clone(), site.accounts.customer.clone());
    let (blockhash, nonce) = (site.blockhash.clone(), hex::encode(NONCE_VALUE));
    let advance = json!({ "do": "advance-nonce", "account": site.accounts.nonce });
    let open = json!({ "do": "open-associated", "owner": stranger, "mint": site.accounts.mint });
    let price = json!({ "do": "unit-price", "micro_lamports": 1_000_000 });
    let limit = json!({ "do": "unit-limit", "units": 200_000 });
    let (to_stranger, to_customer) = (transfer_checked(site, &stranger), transfer_checked(site, &customer));
    let (sol, tokens) = (native_effect(site, &stranger), token_effect(site, &stranger));
    let kinds = [
        (
            "transfer",
            &legacy,
            &blockhash,
            json!([transfer(&stranger)]),
            vec![sol.clone()],
        ),
        (
            "two transfers under a budget",
            &legacy,
            &blockhash,
            json!([limit, price, transfer(&stranger), transfer(&customer)]),
            vec![sol.clone(), native_effect(site, &customer)],
        ),
        (
            "tokens to a new account",
            &legacy,
            &blockhash,
            json!([open, to_stranger]),
            vec![tokens],
        ),
        (
            "transfer under a durable nonce",
            &legacy,
            &nonce,
            json!([advance, transfer(&stranger)]),
            vec![delayed(site), sol.clone()],
        ),
        (
            "version 0 with a looked-up recipient",
            &json!(0),
            &blockhash,
            json!([transfer(&stranger)]),
            vec![sol],
        ),
        (
            "version 0 with looked-up mint and owner",
            &json!(0),
            &blockhash,
            json!([{ "do": "open-associated", "owner": customer, "mint": site.accounts.mint }, to_customer]),
            vec![token_effect(site, &customer)],
        ),
    ];
    let scenario = |(name, version, hash, instructions, effects): (_, &Value, &String, Value, _)| Scenario {
        name,
        message: site.build(version, hash, &instructions),
        effects,
    };
    kinds.into_iter().map(scenario).collect()
}

fn without_fee(parsed: &ParsedTransaction) -> Vec<Effect> {
    let effects = parsed.effects().iter();
    effects
        .filter(|effect| effect.kind() != EffectKind::Fee)
        .cloned()
        .collect()
}

#[test]
fn balances_move_as_the_effects_say() {
    let Some(mut site) = Site::start() else { return };
    site.attest();
    for scenario in scenarios(&mut site) {
        let name = scenario.name;
        let parsed = site
            .world
            .parse(&scenario.message)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(without_fee(&parsed), scenario.effects, "{name}");
        assert!(says_everything(parsed.effects()), "{name}");
        let signed = site.sign(&scenario.message, &parsed);
        let answer = site.attempt(&signed.bytes);
        assert_as_said(&site, parsed.effects(), &answer, name);
        assert_eq!(answer["reencoded"], hex::encode(&signed.bytes), "{name}");

        // The judge does judge: with another signature nothing moves.
        let mut forged = signed.bytes.clone();
        forged[10] ^= 1;
        assert_ne!(site.attempt(&forged)["failed"], Value::Null, "{name}");
    }
}

/// Two messages under one nonce value exclude each other, as the conflict key says; two under one blockhash both land, and
/// have none.
#[test]
fn conflict_keys_exclude_what_the_machine_excludes() {
    let Some(mut site) = Site::start() else { return };
    site.attest();
    let (stranger, customer) = (site.accounts.stranger.clone(), site.accounts.customer.clone());
    let advance = json!({ "do": "advance-nonce", "account": site.accounts.nonce });
    let key = ConflictKey::NonceAccount {
        account: site.destination(&site.accounts.nonce),
        value: NONCE_VALUE,
    };
    let nonce = hex::encode(NONCE_VALUE);
    let mut land = |blockhash: &str, instructions: &Value, keys: &[ConflictKey]| {
        let message = site.build(&json!("legacy"), blockhash, instructions);
        let parsed = site.world.parse(&message).unwrap();
        assert_eq!(parsed.conflict_keys(), keys);
        let signed = site.sign(&message, &parsed);
        let answer = site.send(&signed.bytes);
        assert_eq!(answer["error"], Value::Null);
        answer["failed"].as_str().map(str::to_owned)
    };
    let under_nonce = |to: &str| json!([advance, transfer(to)]);
    assert_eq!(land(&nonce, &under_nonce(&stranger), std::slice::from_ref(&key)), None);
    let second = land(&nonce, &under_nonce(&customer), &[key]);
    assert!(second.is_some_and(|failed| failed.contains("BlockhashNotFound")));

    let Some(mut site) = Site::start() else { return };
    let blockhash = site.blockhash.clone();
    for to in [&stranger, &customer] {
        let message = site.build(&json!("legacy"), &blockhash, &json!([transfer(to)]));
        let parsed = site.world.parse(&message).unwrap();
        assert_eq!(parsed.conflict_keys(), []);
        let signed = site.sign(&message, &parsed);
        assert_eq!(site.send(&signed.bytes)["failed"], Value::Null);
    }
}

/// The same bytes without what observers attest: nothing is a transfer that rests on a table.
#[test]
fn without_attested_tables_the_recipient_is_unknown() {
    let Some(mut site) = Site::start() else { return };
    site.attest();
    let scenarios = scenarios(&mut site);
    let looked_up = scenarios
        .iter()
        .filter(|scenario| scenario.name.starts_with("version 0"));
    site.world.facts.tables.clear();
    for scenario in looked_up {
        let effects = without_fee(&site.world.parse(&scenario.message).unwrap());
        assert!(!effects.is_empty(), "{}", scenario.name);
        for effect in effects {
            assert_eq!(effect.kind(), EffectKind::Opaque, "{}", scenario.name);
        }
    }
}

/// The machine takes a byte behind the message; we do not.
#[test]
fn trailing_bytes() {
    let Some(mut site) = Site::start() else { return };
    site.attest();
    let mut disagreements = Disagreements::with("litesvm-trailing");
    for scenario in scenarios(&mut site) {
        let longer = [&scenario.message[..], &[0]].concat();
        let error = site.world.parse(&longer).unwrap_err();
        let answer = site.attempt(&[&transaction(&scenario.message)[..], &[0]].concat());
        if answer["failed"].is_null() && answer["error"].is_null() {
            disagreements.note(&format!("refused: {}", reason(&error)), scenario.name);
        }
    }
    disagreements.settle();
}

//! What moved in the machine, held against effects.

use std::collections::BTreeMap;

use countersign_types::{Amount, Effect, EffectKind};
use serde_json::Value;

use crate::site::Site;

/// Whether the effects account for every lamport and token: each names an amount and who receives it.
pub(crate) fn says_everything(effects: &[Effect]) -> bool {
    let moves = [
        EffectKind::Transfer,
        EffectKind::Internal,
        EffectKind::Fee,
        EffectKind::DelayedAuthorization,
    ];
    effects.iter().all(|effect| moves.contains(&effect.kind()))
}

fn number(amount: Amount) -> i128 {
    amount.to_string().parse().unwrap()
}

/// What effects say that accounts gain and lose.
#[derive(Default)]
struct Said {
    lamports: BTreeMap<String, i128>,
    /// By mint, and owner or token account.
    tokens: BTreeMap<(String, String), i128>,
    fee_ceiling: i128,
}

impl Said {
    fn of(site: &Site, effects: &[Effect]) -> Self {
        let mut said = Self::default();
        for effect in effects {
            if let Effect::Fee { max, .. } = effect {
                said.fee_ceiling += number(*max);
            }
            let (Effect::Transfer {
                asset,
                amount,
                destination,
            }
            | Effect::Internal {
                asset,
                amount,
                destination,
                ..
            }) = effect
            else {
                continue;
            };
            let wallet = site.world.address();
            for (account, change) in [
                (destination.address().to_owned(), number(*amount)),
                (wallet, -number(*amount)),
            ] {
                let sum = match *asset == site.native() {
                    true => said.lamports.entry(account).or_default(),
                    false => said.tokens.entry((asset.reference().to_owned(), account)).or_default(),
                };
                *sum += change;
            }
        }
        said
    }
}

/// Every account gains and loses exactly what the effects say; the wallet loses the fee besides, and the rent of the token
/// accounts that it opens, together no more than the fee's ceiling.
pub(crate) fn assert_as_said(site: &Site, effects: &[Effect], answer: &Value, name: &str) {
    assert_eq!(
        (&answer["error"], &answer["failed"]),
        (&Value::Null, &Value::Null),
        "{name}"
    );
    let mut said = Said::of(site, effects);
    let wallet = site.world.address();
    let (mut paid, mut rent) = (0, 0);
    for change in answer["changes"].as_array().unwrap() {
        let address = change["address"].as_str().unwrap();
        let lamports = i128::from(change["lamports"].as_i64().unwrap());
        let expected = said.lamports.remove(address).unwrap_or_default();
        if address == wallet {
            paid = expected - lamports;
        } else if change["created"] == true && !change["mint"].is_null() {
            rent += lamports - expected;
        } else {
            assert_eq!(lamports, expected, "{name}: lamports of {address}");
        }
        let tokens = i128::from(change["tokens"].as_i64().unwrap());
        let Some(mint) = change["mint"].as_str() else { continue };
        let holders = [change["owner"].as_str().unwrap(), address].map(|holder| (mint.to_owned(), holder.to_owned()));
        let expected: i128 = holders.iter().filter_map(|holder| said.tokens.remove(holder)).sum();
        assert_eq!(tokens, expected, "{name}: tokens of {address}");
    }
    let nothing = |said: i128| said == 0;
    assert!(
        said.lamports.into_values().all(nothing) && said.tokens.into_values().all(nothing),
        "{name}"
    );
    let fee = i128::from(answer["fee"].as_i64().unwrap());
    assert_eq!(paid, fee + rent, "{name}: what the wallet paid beside what it sent");
    assert!(
        fee > 0 && paid <= said.fee_ceiling,
        "{name}: {paid} is over {}",
        said.fee_ceiling
    );
}

//! The messages that our own drafts write: LiteSVM executes them, and their memo is the one thing that is a call besides.

use countersign_chains::solana::{ComputeBudget, Lifetime, TokenProgram, TokenTerms, TransferDraft};
use countersign_types::{Amount, Decimals, Effect, EffectKind};

use crate::{
    moved::assert_as_said,
    site::{DECIMALS, NONCE_VALUE, Site},
};

fn draft(site: &Site) -> TransferDraft {
    let blockhash = hex::decode(&site.blockhash).unwrap();
    TransferDraft {
        wallet: site.destination(&site.world.address()),
        asset: site.native(),
        token: None,
        amount: Amount::from_base_units(1_500_000_000),
        destination: site.destination(&site.accounts.stranger),
        lifetime: Lifetime::Blockhash(blockhash.try_into().unwrap()),
        budget: None,
        memo: None,
    }
}

#[test]
fn drafts_land_as_they_say() {
    let Some(mut site) = Site::start() else { return };
    site.attest();
    let plain = draft(&site);
    let token = TransferDraft {
        asset: site.token(),
        token: Some(TokenTerms {
            decimals: Decimals::new(DECIMALS).unwrap(),
            program: TokenProgram::Token,
        }),
        amount: Amount::from_base_units(2_500_000),
        ..plain.clone()
    };
    let under_nonce = TransferDraft {
        lifetime: Lifetime::Nonce {
            account: site.destination(&site.accounts.nonce),
            value: NONCE_VALUE,
        },
        ..token.clone()
    };
    let budget = Some(ComputeBudget {
        unit_limit: 300_000,
        unit_price: 5_000_000,
    });
    let with_budget = TransferDraft {
        budget,
        ..token.clone()
    };
    let with_memo = TransferDraft {
        memo: Some("invoice 7".to_owned()),
        ..plain.clone()
    };
    let drafts = [
        ("native", plain),
        ("token to a new account", token),
        ("token under a nonce", under_nonce),
        ("token with a budget", with_budget),
        ("native with a memo", with_memo),
    ];
    for (name, draft) in drafts {
        let message = draft.encode().unwrap();
        let parsed = site.world.parse(&message).unwrap();
        let transfer = Effect::Transfer {
            asset: draft.asset.clone(),
            amount: draft.amount,
            destination: draft.destination.clone(),
        };
        let transfers: Vec<&Effect> = parsed
            .effects()
            .iter()
            .filter(|e| e.kind() == EffectKind::Transfer)
            .collect();
        assert_eq!(transfers, [&transfer], "{name}");
        let calls = parsed
            .effects()
            .iter()
            .filter(|e| e.kind() == EffectKind::ContractCall)
            .count();
        assert_eq!(calls, usize::from(draft.memo.is_some()), "{name}");
        let signed = site.sign(&message, &parsed);
        let answer = site.attempt(&signed.bytes);
        assert_as_said(&site, parsed.effects(), &answer, name);
    }
}

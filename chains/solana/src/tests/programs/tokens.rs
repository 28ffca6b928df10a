//! SPL Token and Token-2022.

use countersign_types::{AuthorityScope, Effect};
use spl_token_interface::instruction as tokens;

use super::{certify_all, key};
use crate::{
    Address,
    tests::{
        expect::{Expect, certify},
        fixtures::{Ix, TOKEN, TOKEN_2022, USDC, World, address, alice, thief, token_account, us},
    },
};

#[test]
fn token_accounts() {
    let world = World::new();
    let ours = token_account(us());
    let program = || key(address(TOKEN));
    let (o, m, u, t) = (|| key(ours), || key(address(USDC)), || key(us()), || key(thief()));
    let to = token_account(alice());
    let held = |scope, holder| Expect::Effects(vec![world.authority(ours, scope, holder)]);
    let emptied = || Expect::EffectsThenCall(vec![world.authority(ours, AuthorityScope::Token, Some(thief()))]);
    let allowance = Effect::Allowance {
        asset: format!("{}/token:{USDC}", world.network.chain()).parse().unwrap(),
        amount: 5u64.into(),
        spender: world.on(thief()),
    };
    let transfer = || tokens::transfer_checked(&program(), &o(), &m(), &key(to), &u(), &[], 5, 6).unwrap();
    let freeze = || tokens::freeze_account(&program(), &o(), &m(), &u(), &[]).unwrap();
    let multisig = tokens::transfer_checked(&program(), &o(), &m(), &key(to), &u(), &[&u()], 5, 6).unwrap();
    let kinds = tokens::AuthorityType::AccountOwner;
    let cases = vec![
        (
            "InitializeMint",
            ix!(tokens::initialize_mint(&program(), &m(), &u(), Some(&t()), 6).unwrap()),
            Expect::Call,
        ),
        (
            "InitializeAccount",
            ix!(tokens::initialize_account(&program(), &o(), &m(), &t()).unwrap()),
            held(AuthorityScope::Owner, Some(thief())),
        ),
        (
            "InitializeMultisig",
            ix!(tokens::initialize_multisig(&program(), &o(), &[&u(), &t()], 1).unwrap()),
            Expect::Call,
        ),
        (
            "Transfer",
            ix!(tokens::transfer(&program(), &o(), &key(to), &u(), &[], 5).unwrap()),
            Expect::Opaque,
        ),
        (
            "Approve",
            ix!(tokens::approve(&program(), &o(), &t(), &u(), &[], 5).unwrap()),
            Expect::Opaque,
        ),
        (
            "Revoke",
            ix!(tokens::revoke(&program(), &o(), &u(), &[]).unwrap()),
            held(AuthorityScope::Delegate, None),
        ),
        (
            "SetAuthority",
            ix!(tokens::set_authority(&program(), &o(), Some(&t()), kinds.clone(), &u(), &[]).unwrap()),
            held(AuthorityScope::Owner, Some(thief())),
        ),
        (
            "SetAuthority of nobody",
            ix!(tokens::set_authority(&program(), &o(), None, kinds, &u(), &[]).unwrap()),
            held(AuthorityScope::Owner, None),
        ),
        (
            "MintTo",
            ix!(tokens::mint_to(&program(), &m(), &o(), &u(), &[], 5).unwrap()),
            Expect::Call,
        ),
        (
            "Burn",
            ix!(tokens::burn(&program(), &o(), &m(), &u(), &[], 5).unwrap()),
            Expect::Call,
        ),
        (
            "CloseAccount",
            ix!(tokens::close_account(&program(), &o(), &t(), &u(), &[]).unwrap()),
            emptied(),
        ),
        ("FreezeAccount", ix!(freeze()), Expect::Call),
        (
            "ThawAccount",
            ix!(tokens::thaw_account(&program(), &o(), &m(), &u(), &[]).unwrap()),
            Expect::Call,
        ),
        (
            "TransferChecked",
            ix!(transfer()),
            Expect::Effects(vec![world.usdc(5, to)]),
        ),
        ("TransferChecked of a multisig", ix!(multisig), Expect::Opaque),
        (
            "ApproveChecked",
            ix!(tokens::approve_checked(&program(), &o(), &m(), &t(), &u(), &[], 5, 6).unwrap()),
            Expect::Effects(vec![allowance]),
        ),
        (
            "MintToChecked",
            ix!(tokens::mint_to_checked(&program(), &m(), &o(), &u(), &[], 5, 6).unwrap()),
            Expect::Call,
        ),
        (
            "BurnChecked",
            ix!(tokens::burn_checked(&program(), &o(), &m(), &u(), &[], 5, 6).unwrap()),
            Expect::Call,
        ),
        (
            "InitializeAccount2",
            ix!(tokens::initialize_account2(&program(), &o(), &m(), &t()).unwrap()),
            held(AuthorityScope::Owner, Some(thief())),
        ),
        (
            "SyncNative",
            ix!(tokens::sync_native(&program(), &o()).unwrap()),
            Expect::Call,
        ),
        (
            "InitializeAccount3",
            ix!(tokens::initialize_account3(&program(), &o(), &m(), &t()).unwrap()),
            held(AuthorityScope::Owner, Some(thief())),
        ),
        (
            "InitializeMultisig2",
            ix!(tokens::initialize_multisig2(&program(), &o(), &[&u(), &t()], 1).unwrap()),
            Expect::Call,
        ),
        (
            "InitializeMint2",
            ix!(tokens::initialize_mint2(&program(), &m(), &u(), None, 6).unwrap()),
            Expect::Call,
        ),
        (
            "GetAccountDataSize",
            ix!(tokens::get_account_data_size(&program(), &m()).unwrap()),
            Expect::Call,
        ),
        (
            "InitializeImmutableOwner",
            ix!(tokens::initialize_immutable_owner(&program(), &o()).unwrap()),
            Expect::Call,
        ),
        (
            "AmountToUiAmount",
            ix!(tokens::amount_to_ui_amount(&program(), &m(), 5).unwrap()),
            Expect::Call,
        ),
        (
            "UiAmountToAmount",
            ix!(tokens::ui_amount_to_amount(&program(), &m(), "5").unwrap()),
            Expect::Call,
        ),
    ];
    certify_all(&world, cases, 1, 0..25);

    let later = vec![
        (
            "WithdrawExcessLamports",
            ix!(tokens::withdraw_excess_lamports(&program(), &o(), &t(), &u(), &[]).unwrap()),
            emptied(),
        ),
        (
            "UnwrapLamports",
            ix!(tokens::unwrap_lamports(&program(), &o(), &t(), &u(), &[], Some(7)).unwrap()),
            Expect::Effects(vec![world.sol(7, thief())]),
        ),
        (
            "UnwrapLamports, all of them",
            ix!(tokens::unwrap_lamports(&program(), &o(), &t(), &u(), &[], None).unwrap()),
            emptied(),
        ),
        (
            "Batch",
            ix!(tokens::batch(
                &program(),
                &[
                    transfer(),
                    tokens::set_authority(
                        &program(),
                        &o(),
                        Some(&t()),
                        tokens::AuthorityType::CloseAccount,
                        &u(),
                        &[]
                    )
                    .unwrap()
                ]
            )
            .unwrap()),
            Expect::Effects(vec![
                world.usdc(5, to),
                world.authority(ours, AuthorityScope::Token, Some(thief())),
            ]),
        ),
        (
            "Batch in a batch",
            ix!(tokens::batch(&program(), &[tokens::batch(&program(), &[transfer()]).unwrap()]).unwrap()),
            Expect::Opaque,
        ),
        (
            "Batch of nothing",
            ix!(tokens::batch(&program(), &[]).unwrap()),
            Expect::Opaque,
        ),
        (
            "Batch with an account over",
            ix!(tokens::batch(&program(), &[transfer()]).unwrap()).with(|ix| ix.accounts.push((thief(), true))),
            Expect::Opaque,
        ),
        (
            "Batch with an account short",
            ix!(tokens::batch(&program(), &[transfer()]).unwrap()).with(|ix| ix.accounts.truncate(3)),
            Expect::Opaque,
        ),
    ];
    for (name, ix, expect) in later {
        certify(&world, name, &ix, expect);
    }
}

#[test]
fn token_2022_extensions() {
    let world = World::new();
    let ours = token_account(us());
    let mint = address(USDC);
    let to = token_account(alice());
    let ix = |accounts: &[(Address, bool)], data: &[&[u8]]| Ix::new(TOKEN_2022, accounts, data);
    let four = [(ours, true), (mint, false), (to, true), (us(), true)];
    let with_fee: [&[u8]; 4] = [&[26, 1], &5u64.to_le_bytes(), &[6], &1u64.to_le_bytes()];
    let with_fee = ix(&four, &with_fee);
    let cases = vec![
        (
            "a transfer with a fee",
            with_fee.clone(),
            Expect::EffectsThenCall(vec![world.usdc(5, to)]),
        ),
        (
            "with other decimals",
            with_fee.with(|ix| ix.data[10] = 9),
            Expect::Opaque,
        ),
        (
            "with a hook's account",
            with_fee.with(|ix| ix.accounts.push((thief(), false))),
            Expect::Opaque,
        ),
        (
            "of somebody else",
            with_fee.with(|ix| ix.accounts[3].0 = thief()),
            Expect::Opaque,
        ),
        ("with a byte more", with_fee.with(|ix| ix.data.push(0)), Expect::Opaque),
        (
            "in the old program",
            with_fee.with(|ix| ix.program = address(TOKEN)),
            Expect::Opaque,
        ),
        (
            "a mint's close authority",
            ix(&[(mint, true)], &[&[25, 1], thief().as_bytes()]),
            Expect::Effects(vec![world.authority(mint, AuthorityScope::Token, Some(thief()))]),
        ),
        (
            "a permanent delegate",
            ix(&[(mint, true)], &[&[35], thief().as_bytes()]),
            Expect::Effects(vec![world.authority(mint, AuthorityScope::Delegate, Some(thief()))]),
        ),
    ];
    for (name, ix, expect) in cases {
        certify(&world, name, &ix, expect);
    }
    // Fees, confidential transfers, default states, memos, hooks, pointers, metadata: opaque, whatever stands in them.
    let opaque = (26..=44).filter(|tag| ![35, 38].contains(tag)).chain([46, 210, 255]);
    for tag in opaque {
        let three = [(ours, true), (thief(), true), (us(), true)];
        certify(
            &world,
            "an extension",
            &ix(&three, &[&[tag, 0, 7, 0, 0, 0, 0, 0, 0, 0]]),
            Expect::Opaque,
        );
    }
}

//! The System program, associated token accounts, and memos.

use countersign_types::{AuthorityScope, Effect};
use solana_system_interface::instruction as system;
use spl_associated_token_account_interface::instruction as associated;

use super::{certify_all, key};
use crate::{
    Address,
    tests::{
        expect::{Expect, certify},
        fixtures::{Ix, TOKEN, USDC, World, address, alice, message, nonce, thief, token_account, transfer, us, warm},
    },
};

fn seeded(seed: &str, owner: Address) -> Address {
    Address::with_seed(us(), seed.as_bytes(), owner)
}

#[test]
fn system() {
    let world = World::new();
    let program = address(TOKEN);
    let held = |subject, holder| world.authority(subject, AuthorityScope::Owner, Some(holder));
    let derived = seeded("s", program);
    let nonces = system::create_nonce_account(&key(us()), &key(nonce()), &key(thief()), 9);
    let cases = vec![
        (
            "CreateAccount",
            ix!(system::create_account(&key(us()), &key(thief()), 9, 200, &key(program))),
            Expect::Effects(vec![world.sol(9, thief()), held(thief(), program)]),
        ),
        (
            "Assign",
            ix!(system::assign(&key(us()), &key(program))),
            Expect::Effects(vec![held(us(), program)]),
        ),
        (
            "Transfer",
            ix!(system::transfer(&key(us()), &key(thief()), 7)),
            Expect::Effects(vec![world.sol(7, thief())]),
        ),
        (
            "CreateAccountWithSeed",
            ix!(system::create_account_with_seed(
                &key(us()),
                &key(derived),
                &key(us()),
                "s",
                9,
                200,
                &key(program)
            )),
            Expect::Effects(vec![world.sol(9, derived), held(derived, program)]),
        ),
        (
            "CreateAccountWithSeed at another address",
            ix!(system::create_account_with_seed(
                &key(us()),
                &key(derived),
                &key(us()),
                "t",
                9,
                200,
                &key(program)
            )),
            Expect::Opaque,
        ),
        (
            "WithdrawNonceAccount",
            ix!(system::withdraw_nonce_account(
                &key(nonce()),
                &key(us()),
                &key(thief()),
                7
            )),
            Expect::EffectsThenCall(vec![world.sol(7, thief())]),
        ),
        (
            "InitializeNonceAccount",
            ix!(nonces[1].clone()),
            Expect::Effects(vec![held(nonce(), thief())]),
        ),
        (
            "AuthorizeNonceAccount",
            ix!(system::authorize_nonce_account(
                &key(nonce()),
                &key(us()),
                &key(thief())
            )),
            Expect::Effects(vec![held(nonce(), thief())]),
        ),
        ("Allocate", ix!(system::allocate(&key(us()), 200)), Expect::Call),
        (
            "AllocateWithSeed",
            ix!(system::allocate_with_seed(
                &key(derived),
                &key(us()),
                "s",
                200,
                &key(program)
            )),
            Expect::Effects(vec![held(derived, program)]),
        ),
        (
            "AllocateWithSeed at another address",
            ix!(system::allocate_with_seed(
                &key(thief()),
                &key(us()),
                "s",
                200,
                &key(program)
            )),
            Expect::Opaque,
        ),
        (
            "AssignWithSeed",
            ix!(system::assign_with_seed(&key(derived), &key(us()), "s", &key(program))),
            Expect::Effects(vec![held(derived, program)]),
        ),
        (
            "TransferWithSeed",
            ix!(system::transfer_with_seed(
                &key(derived),
                &key(us()),
                "s".to_owned(),
                &key(program),
                &key(thief()),
                7
            )),
            Expect::Effects(vec![world.sol(7, thief())]),
        ),
        (
            "TransferWithSeed from another address",
            ix!(system::transfer_with_seed(
                &key(derived),
                &key(us()),
                "s".to_owned(),
                &key(warm()),
                &key(thief()),
                7
            )),
            Expect::Opaque,
        ),
        (
            "UpgradeNonceAccount",
            ix!(system::upgrade_nonce_account(key(nonce()))),
            Expect::Call,
        ),
        (
            "CreateAccountAllowPrefund without lamports",
            ix!(system::create_account_allow_prefund(
                &key(us()),
                None,
                200,
                &key(program)
            )),
            Expect::Effects(vec![held(us(), program)]),
        ),
        (
            "CreateAccountAllowPrefund",
            ix!(system::create_account_allow_prefund(
                &key(thief()),
                Some((&key(us()), 9)),
                200,
                &key(program)
            )),
            Expect::Effects(vec![world.sol(9, thief()), held(thief(), program)]),
        ),
    ];
    // The advance of a nonce stands first, or the message is refused.
    certify_all(&world, cases, 4, (0..14).filter(|tag| *tag != 4));
    let advance = ix!(system::advance_nonce_account(&key(nonce()), &key(us())));
    let parsed = world
        .parse(&message(&[advance, transfer(1, alice())]).encode())
        .unwrap();
    let delayed = Effect::DelayedAuthorization {
        mechanism: world.on(nonce()),
    };
    assert_eq!(parsed.effects()[..2], [delayed, world.sol(1, alice())]);
}

#[test]
fn associated_accounts() {
    let world = World::new();
    let (u, t, m, program) = (
        || key(us()),
        || key(thief()),
        || key(address(USDC)),
        || key(address(TOKEN)),
    );
    let create = ix!(associated::create_associated_token_account(
        &u(),
        &t(),
        &m(),
        &program()
    ));
    assert_eq!(create.accounts[1].0, token_account(thief()));
    let nested = ix!(associated::recover_nested(&u(), &m(), &m(), &program()));
    let cases = vec![
        ("Create", create, Expect::Call),
        (
            "CreateIdempotent",
            ix!(associated::create_associated_token_account_idempotent(
                &u(),
                &t(),
                &m(),
                &program()
            )),
            Expect::Call,
        ),
        ("RecoverNested", nested.clone(), Expect::Call),
        (
            "RecoverNested of tokens of a program that is none",
            nested
                .with(|ix| ix.accounts[6].0 = thief())
                .with(|ix| ix.accounts[2].0 = Address::associated(us(), thief(), address(USDC)).unwrap()),
            Expect::Opaque,
        ),
        (
            "RecoverNested to somebody else",
            nested.with(|ix| ix.accounts[2].0 = token_account(thief())),
            Expect::Opaque,
        ),
        (
            "RecoverNested of somebody else",
            ix!(associated::recover_nested(&t(), &m(), &m(), &program())),
            Expect::Opaque,
        ),
    ];
    certify_all(&world, cases, 1, 0..3);
}

#[test]
fn memos_are_calls_with_their_text() {
    let world = World::new();
    for program in [
        "Memo1UhkJRfHyvLMcVucJwxXeuD728EqVDDwQDxFMNo",
        "MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr",
    ] {
        let memo = Ix::new(program, &[], &[b"invoice 7"]);
        certify(&world, program, &memo, Expect::Call);
        certify(
            &world,
            program,
            &memo.with(|ix| ix.accounts.push((us(), true))),
            Expect::Call,
        );
        certify(&world, program, &memo.with(|ix| ix.data.clear()), Expect::Call);
    }
}

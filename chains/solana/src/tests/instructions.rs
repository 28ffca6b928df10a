//! Instruction by instruction: each known one, one change of it, and the exact effects.

use countersign_types::{Amount, AuthorityScope, Effect};

use super::{
    expect::{Expect, certify},
    fixtures::{
        CLOCK, Ix, STAKE, SYSTEM, TOKEN, TOKEN_2022, USDC, World, address, alice, nonce, stake, stake_authorize, thief,
        token_account, token_transfer, transfer, us, warm,
    },
};

fn token_ix(accounts: &[(crate::Address, bool)], data: &[&[u8]]) -> Ix {
    Ix::new(TOKEN, accounts, data)
}

fn set_authority(kind: u8) -> Ix {
    let accounts = [(token_account(us()), true), (us(), true)];
    token_ix(&accounts, &[&[6, kind, 1], thief().as_bytes()])
}

fn approve(amount: u64) -> Ix {
    let accounts = [
        (token_account(us()), true),
        (address(USDC), false),
        (thief(), false),
        (us(), true),
    ];
    token_ix(&accounts, &[&[13], &amount.to_le_bytes(), &[6]])
}

#[test]
fn system_instructions_and_their_changes() {
    let world = World::new();
    let pay = transfer(7, thief());
    let tag = |tag: u32| tag.to_le_bytes();
    let program = address(STAKE);
    let create: [&[u8]; 4] = [&tag(0), &9u64.to_le_bytes(), &200u64.to_le_bytes(), program.as_bytes()];
    let create = Ix::new(SYSTEM, &[(us(), true), (thief(), true)], &create);
    let withdraw = |authority| {
        let accounts = [
            (nonce(), true),
            (thief(), true),
            (address(CLOCK), false),
            (address(USDC), false),
            (authority, true),
        ];
        Ix::new(SYSTEM, &accounts, &[&tag(5), &7u64.to_le_bytes()])
    };
    let paid = || Expect::Effects(vec![world.sol(7, thief())]);
    let cases: Vec<(&str, Ix, Expect)> = vec![
        ("a transfer", pay.clone(), paid()),
        ("a byte more", pay.with(|ix| ix.data.push(0)), Expect::Opaque),
        (
            "a byte less",
            pay.with(|ix| ix.data.truncate(ix.data.len() - 1)),
            Expect::Opaque,
        ),
        (
            "an account more",
            pay.with(|ix| ix.accounts.push((warm(), false))),
            Expect::Opaque,
        ),
        (
            "an account less",
            pay.with(|ix| ix.accounts.truncate(ix.accounts.len() - 1)),
            Expect::Opaque,
        ),
        (
            "from somebody else",
            pay.with(|ix| ix.accounts.swap(0, 1)),
            Expect::Opaque,
        ),
        ("an unknown instruction", pay.with(|ix| ix.data[0] = 13), Expect::Opaque),
        ("a wide tag", pay.with(|ix| ix.data[3] = 1), Expect::Opaque),
        ("no data", pay.with(|ix| ix.data.clear()), Expect::Opaque),
        (
            "a new account under a program",
            create.clone(),
            Expect::Effects(vec![
                world.sol(9, thief()),
                world.authority(thief(), AuthorityScope::Owner, Some(program)),
            ]),
        ),
        (
            "a new account paid by others",
            create.with(|ix| ix.accounts[0].0 = alice()),
            Expect::Opaque,
        ),
        (
            "a nonce account is emptied",
            withdraw(us()),
            Expect::EffectsThenCall(vec![world.sol(7, thief())]),
        ),
        ("by somebody else", withdraw(thief()), Expect::Opaque),
        (
            "a nonce account is upgraded",
            Ix::new(SYSTEM, &[(nonce(), true)], &[&tag(12)]),
            Expect::Call,
        ),
    ];
    for (name, ix, expect) in cases {
        certify(&world, name, &ix, expect);
    }
}

#[test]
fn token_instructions_and_their_changes() {
    let world = World::new();
    let to = token_account(alice());
    let pay = token_transfer(5, to);
    let plain = |tag: u8| {
        let accounts = [(token_account(us()), true), (to, true), (us(), true)];
        token_ix(&accounts, &[&[tag], &5u64.to_le_bytes()])
    };
    let three = |tag: u8, data: &[u8]| {
        let accounts = [(token_account(us()), true), (address(USDC), true), (us(), true)];
        token_ix(&accounts, &[&[tag], data])
    };
    let held = |subject, scope, holder| Expect::Effects(vec![world.authority(subject, scope, holder)]);
    let ours = token_account(us());
    let cases: Vec<(&str, Ix, Expect)> = vec![
        ("a byte more", pay.with(|ix| ix.data.push(0)), Expect::Opaque),
        (
            "a byte less",
            pay.with(|ix| ix.data.truncate(ix.data.len() - 1)),
            Expect::Opaque,
        ),
        ("other decimals", pay.with(|ix| ix.data[9] = 9), Expect::Opaque),
        (
            "an unregistered mint",
            pay.with(|ix| ix.accounts[1].0 = thief()),
            Expect::Opaque,
        ),
        (
            "a multisig's or a hook's account",
            pay.with(|ix| ix.accounts.push((warm(), false))),
            Expect::Opaque,
        ),
        (
            "somebody else's authority",
            pay.with(|ix| ix.accounts[3].0 = thief()),
            Expect::Opaque,
        ),
        ("a transfer without mint", plain(3), Expect::Opaque),
        ("an approval without mint", plain(4), Expect::Opaque),
        ("an unknown instruction", plain(255), Expect::Opaque),
        ("an extension in the old program", plain(26), Expect::Opaque),
        (
            "an extension",
            plain(26).with(|ix| ix.program = address(TOKEN_2022)),
            Expect::Opaque,
        ),
        (
            "an approval",
            approve(77),
            Expect::Effects(vec![Effect::Allowance {
                asset: format!("{}/token:{USDC}", world.network.chain()).parse().unwrap(),
                amount: Amount::from_base_units(77),
                spender: world.on(thief()),
            }]),
        ),
        (
            "an approval with other decimals",
            approve(77).with(|ix| ix.data[9] = 0),
            Expect::Opaque,
        ),
        (
            "a revocation",
            token_ix(&[(ours, true), (us(), true)], &[&[5]]),
            held(ours, AuthorityScope::Delegate, None),
        ),
        (
            "minting authority",
            set_authority(0),
            held(ours, AuthorityScope::Owner, Some(thief())),
        ),
        (
            "freeze authority",
            set_authority(1),
            held(ours, AuthorityScope::Token, Some(thief())),
        ),
        (
            "close authority",
            set_authority(3),
            held(ours, AuthorityScope::Token, Some(thief())),
        ),
        ("an extension's authority", set_authority(4), Expect::Opaque),
        (
            "an authority given up",
            set_authority(2)
                .with(|ix| ix.data.truncate(3))
                .with(|ix| ix.data[2] = 0),
            held(ours, AuthorityScope::Owner, None),
        ),
        (
            "an authority cut off",
            set_authority(2).with(|ix| ix.data.truncate(ix.data.len() - 1)),
            Expect::Opaque,
        ),
        (
            "an option of neither kind",
            set_authority(2).with(|ix| ix.data[2] = 2),
            Expect::Opaque,
        ),
        ("minting", three(7, &5u64.to_le_bytes()), Expect::Call),
        ("burning", three(8, &5u64.to_le_bytes()), Expect::Call),
        ("checked minting", three(14, &[5, 0, 0, 0, 0, 0, 0, 0, 6]), Expect::Call),
        ("checked burning", three(15, &[5, 0, 0, 0, 0, 0, 0, 0, 6]), Expect::Call),
        ("burning with a byte more", three(8, &[0; 9]), Expect::Opaque),
        ("freezing", three(10, &[]), Expect::Call),
        ("thawing", three(11, &[]), Expect::Call),
        (
            "wrapped lamports are counted",
            token_ix(&[(ours, true)], &[&[17]]),
            Expect::Call,
        ),
        (
            "a new token account of somebody",
            token_ix(&[(ours, true), (address(USDC), false)], &[&[18], thief().as_bytes()]),
            held(ours, AuthorityScope::Owner, Some(thief())),
        ),
        (
            // Alice's key is in this message because she is paid lamports; her token account may be somebody else's by now.
            "to a token account whose owner is only derived",
            pay.clone(),
            Expect::Effects(vec![world.usdc(5, to)]),
        ),
        (
            "to a token account whose owner is not shown",
            pay.with(|ix| ix.accounts[2].0 = token_account(thief())),
            Expect::Effects(vec![world.usdc(5, token_account(thief()))]),
        ),
    ];
    for (name, ix, expect) in cases {
        certify(&world, name, &ix, expect);
    }
}

#[test]
fn stake_instructions_and_their_changes() {
    let world = World::new();
    let tag = |tag: u32| tag.to_le_bytes();
    let held = |scope| Expect::Effects(vec![world.authority(stake(), scope, Some(thief()))]);
    let lamports = |number: u32, accounts: &[(crate::Address, bool)]| {
        Ix::new(STAKE, accounts, &[&tag(number), &7u64.to_le_bytes()])
    };
    let sysvar = (address(CLOCK), false);
    let withdraw = lamports(4, &[(stake(), true), (thief(), true), sysvar, sysvar, (us(), true)]);
    let three = [(stake(), true), (thief(), true), (us(), true)];
    let paid = || Expect::Effects(vec![world.sol(7, thief())]);
    let (staker, holder) = (us(), thief());
    let initialize = |custodian: &[u8; 32]| {
        let data: [&[u8]; 5] = [&tag(0), staker.as_bytes(), holder.as_bytes(), &[0; 16], custodian];
        Ix::new(STAKE, &[(stake(), true), sysvar], &data)
    };
    let vote = [(stake(), true), (thief(), false), sysvar, sysvar, sysvar, (us(), true)];
    let seeded: [&[u8]; 6] = [&tag(8), holder.as_bytes(), &tag(1), &1u64.to_le_bytes(), b"s", &[9; 32]];
    let seeded = Ix::new(STAKE, &[(stake(), true), (us(), true), sysvar], &seeded);
    let cases: Vec<(&str, Ix, Expect)> = vec![
        ("a new staker", stake_authorize(0), held(AuthorityScope::Stake)),
        ("a new withdrawer", stake_authorize(1), held(AuthorityScope::Owner)),
        ("a new nobody", stake_authorize(2), Expect::Opaque),
        (
            "a byte more",
            stake_authorize(1).with(|ix| ix.data.push(0)),
            Expect::Opaque,
        ),
        (
            "a custodian",
            stake_authorize(1).with(|ix| ix.accounts.push((warm(), false))),
            Expect::Opaque,
        ),
        (
            "somebody else's stake",
            stake_authorize(1).with(|ix| ix.accounts[2].0 = thief()),
            Expect::Opaque,
        ),
        ("a new withdrawer by seed", seeded.clone(), held(AuthorityScope::Owner)),
        ("a seed cut off", seeded.with(|ix| ix.data[40] = 200), Expect::Opaque),
        (
            "a delegation",
            Ix::new(STAKE, &vote, &[&tag(2)]),
            held(AuthorityScope::Delegate),
        ),
        ("a split", lamports(3, &three), paid()),
        ("a withdrawal", withdraw.clone(), paid()),
        (
            "a withdrawal by others",
            withdraw.with(|ix| ix.accounts[4].0 = thief()),
            Expect::Opaque,
        ),
        ("stake is moved", lamports(16, &three), paid()),
        ("lamports are moved", lamports(17, &three), paid()),
        (
            "a new stake",
            initialize(&[0; 32]),
            Expect::Effects(vec![
                world.authority(stake(), AuthorityScope::Stake, Some(us())),
                world.authority(stake(), AuthorityScope::Owner, Some(thief())),
            ]),
        ),
        (
            "a new stake with a lock-up",
            initialize(&[1; 32]),
            Expect::EffectsThenCall(vec![
                world.authority(stake(), AuthorityScope::Stake, Some(us())),
                world.authority(stake(), AuthorityScope::Owner, Some(thief())),
                world.authority(stake(), AuthorityScope::Guard, Some(crate::Address::new([1; 32]))),
            ]),
        ),
        ("a deactivation", Ix::new(STAKE, &three, &[&tag(5)]), Expect::Call),
        ("a merge", Ix::new(STAKE, &three, &[&tag(7)]), Expect::Call),
        (
            "an unknown instruction",
            Ix::new(STAKE, &three, &[&tag(18)]),
            Expect::Opaque,
        ),
    ];
    for (name, ix, expect) in cases {
        certify(&world, name, &ix, expect);
    }
}

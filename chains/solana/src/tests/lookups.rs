//! Lookup tables: what is attested reads as if it were written out, and nothing else does.

use countersign_types::{Effect, FactKey, OpaqueKind};

use super::fixtures::{
    BLOCKHASHES, Ix, USDC, World, address, advance, alice, looked_up, message, nonce, open, table, thief,
    token_account, token_transfer, transfer, us, warm,
};
use crate::{
    AddressError, ParseError,
    message::{Lookup, Message},
    wanted_facts,
};

fn effects(world: &World, message: &Message) -> Result<Vec<Effect>, ParseError> {
    Ok(world.parse(&message.encode())?.effects().to_vec())
}

/// Alice is the second address of the table; the message names her by that index alone.
fn to_alice() -> Message {
    looked_up(&[transfer(5, alice())], &[warm(), alice()])
}

#[test]
fn a_destination_is_who_the_attested_table_says() {
    let mut world = World::new();
    let message = to_alice();
    assert_eq!(message.lookups()[0].writable, [1]);
    let unknown = Effect::Opaque {
        what: OpaqueKind::Instruction,
        target: Some(world.on(address("11111111111111111111111111111111"))),
        bytes: [
            &[2, 0],
            &us().as_bytes()[..],
            &[3],
            table().as_bytes(),
            &[6, 1],
            &transfer(5, alice()).data,
        ]
        .concat(),
    };
    let unattested = [unknown.clone(), world.fee(5_000)];
    assert_eq!(
        effects(&world, &message).unwrap(),
        unattested,
        "nobody attested the table"
    );
    world.attest(thief(), &[warm(), alice()]);
    assert_eq!(
        effects(&world, &message).unwrap(),
        unattested,
        "another table is attested"
    );
    world.attest(table(), &[warm()]);
    assert_eq!(
        effects(&world, &message).unwrap(),
        unattested,
        "the index is beyond what is attested"
    );

    let attested: [(&[_], _); 3] = [
        (&[warm(), alice()], world.sol(5, alice())),
        (&[warm(), alice(), thief()], world.sol(5, alice())),
        (&[warm(), thief()], world.sol(5, thief())),
    ];
    for (contents, effect) in attested {
        world.attest(table(), contents);
        assert_eq!(effects(&world, &message).unwrap(), [effect, world.fee(5_000)]);
    }
    world.attest(table(), &[alice(), warm()]);
    assert!(matches!(effects(&world, &message).unwrap()[0], Effect::Internal { .. }));
}

#[test]
fn only_what_touches_an_unknown_account_is_opaque() {
    let mut world = World::new();
    let message = looked_up(
        &[transfer(1, alice()), transfer(2, thief()), transfer(3, warm())],
        &[thief(), warm()],
    );
    world.attest(table(), &[thief()]);
    let found = effects(&world, &message).unwrap();
    assert_eq!(found[..2], [world.sol(1, alice()), world.sol(2, thief())]);
    assert!(matches!(found[2], Effect::Opaque { .. }));
}

/// Writable ones of every table come first, then read-only ones of every table.
#[test]
fn the_order_of_tables_is_the_protocols() {
    let mut world = World::new();
    let unknown = Ix::new(&thief().to_string(), &[(us(), true)], &[b"data"]);
    let mut message = message(std::slice::from_ref(&unknown));
    let lookup = |table, writable, readonly| Lookup {
        table,
        writable: vec![writable],
        readonly: vec![readonly],
    };
    message.lookups = Some(vec![lookup(table(), 0, 1), lookup(nonce(), 1, 0)]);
    message.instructions[0].accounts = vec![2, 3, 4, 5];
    world.attest(table(), &[alice(), warm()]);
    world.attest(nonce(), &[token_account(us()), token_account(alice())]);
    let Effect::ContractCall { args, .. } = &effects(&world, &message).unwrap()[0] else {
        panic!("a call");
    };
    let expected = [
        (alice(), 2),
        (token_account(alice()), 2),
        (warm(), 0),
        (token_account(us()), 0),
    ];
    let accounts = expected.map(|(account, flags)| [&account.as_bytes()[..], &[flags]].concat());
    assert_eq!(*args, [&[4, 0], &accounts.concat()[..], b"data"].concat());
}

#[test]
fn looked_up_and_written_out_are_the_same() {
    let mut world = World::new();
    let contents = [
        alice(),
        token_account(alice()),
        address(USDC),
        token_account(us()),
        thief(),
    ];
    world.attest(table(), &contents);
    let unknown = Ix::new(&nonce().to_string(), &[(us(), true), (thief(), false)], &[b"data"]);
    let cases: [&[Ix]; 4] = [
        &[transfer(5, alice())],
        &[open(alice()), token_transfer(5, token_account(alice()))],
        &[transfer(1, thief()), unknown],
        &[advance(), transfer(1, alice())],
    ];
    for instructions in cases {
        let (short, long) = (looked_up(instructions, &contents), message(instructions));
        assert!(!short.lookups().is_empty() && short.keys.len() < long.keys.len());
        let parsed = world.parse(&short.encode()).unwrap();
        let written = world.parse(&long.encode()).unwrap();
        assert_eq!(parsed.effects(), written.effects());
        assert_eq!(parsed.conflict_keys(), written.conflict_keys());
        assert_ne!(parsed.signing_payloads(), written.signing_payloads());
    }
}

#[test]
fn one_change_and_its_error() {
    type Change = fn(&mut World, &mut Message);
    let reserved = address("1nc1nerator11111111111111111111111111111111");
    let cases: Vec<(&str, Change, ParseError)> = vec![
        (
            "the table holds an account that is written out",
            |world, _| world.attest(table(), &[warm(), us()]),
            ParseError::DuplicateAccount,
        ),
        (
            "one address at two indices",
            |world, message| {
                world.attest(table(), &[alice(), alice()]);
                message.lookups.as_mut().unwrap()[0].readonly = vec![0];
                let last = message.keys.len() as u8 + 1;
                message.instructions[0].accounts.push(last);
            },
            ParseError::DuplicateAccount,
        ),
        (
            "an index twice",
            |_, message| {
                message.lookups.as_mut().unwrap()[0].writable = vec![1, 1];
                let last = message.keys.len() as u8 + 1;
                message.instructions[0].accounts.push(last);
            },
            ParseError::DuplicateAccount,
        ),
        (
            "a recipient nobody can spend from",
            |world, _| {
                world.attest(
                    table(),
                    &[warm(), address("1nc1nerator11111111111111111111111111111111")],
                )
            },
            ParseError::Address(AddressError::Reserved(reserved)),
        ),
        (
            "a looked-up program",
            |_, message| message.instructions[0].program = message.keys.len() as u8,
            ParseError::BadIndex,
        ),
    ];
    for (name, change, error) in cases {
        let (mut world, mut message) = (World::new(), to_alice());
        world.attest(table(), &[warm(), alice()]);
        assert!(effects(&world, &message).is_ok());
        change(&mut world, &mut message);
        assert_eq!(effects(&world, &message), Err(error), "{name}");
    }
}

#[test]
fn a_durable_nonce_is_written_out() {
    let mut world = World::new();
    for account in [nonce(), address(BLOCKHASHES)] {
        world.attest(table(), &[account]);
        let message = looked_up(&[advance(), transfer(1, alice())], &[account]);
        assert_eq!(effects(&world, &message), Err(ParseError::BadNonce));
    }
}

#[test]
fn wanted_are_the_tables_and_the_nonce() {
    let world = World::new();
    let wanted = |message: &Message| wanted_facts(&message.encode(), &world.sender());
    let (a_table, a_nonce) = (
        FactKey::LookupTable(world.on(table())),
        FactKey::NonceAccount(world.on(nonce())),
    );
    let cases: [(Message, Vec<FactKey>); 4] = [
        (message(&[transfer(1, alice())]), vec![]),
        (to_alice(), vec![a_table.clone()]),
        (message(&[advance(), transfer(1, alice())]), vec![a_nonce.clone()]),
        (
            looked_up(&[advance(), transfer(1, alice())], &[alice()]),
            vec![a_table, a_nonce],
        ),
    ];
    for (message, expected) in cases {
        assert_eq!(wanted(&message), Ok(expected));
    }
    let mut foreign = to_alice();
    foreign.keys[0] = thief();
    assert_eq!(wanted(&foreign), Err(ParseError::WrongFeePayer(thief())));
    assert_eq!(wanted_facts(&[], &world.sender()), Err(ParseError::Empty));
}

//! The most work that a message can ask for.

use countersign_types::Effect;

use super::fixtures::{
    ATA, Ix, SYSTEM, TOKEN, USDC, World, address, alice, looked_up, message, open, token_account, token_transfer,
    transfer, us,
};
use crate::{
    MAX_MESSAGE_BYTES,
    address::derivations,
    message::{Instruction, Lookup, Message},
};

/// As many copies of the first instruction as a packet takes.
fn filled(mut message: Message) -> Message {
    let first = message.instructions[0].clone();
    while message.encode().len() <= MAX_MESSAGE_BYTES {
        message.instructions.push(first.clone());
    }
    message.instructions.pop();
    message
}

#[test]
fn an_instruction_derives_one_address_at_most() {
    let mut world = World::new();
    let contents = [alice(), token_account(alice()), address(USDC), token_account(us())];
    world.attest(super::fixtures::table(), &contents);
    let nested = {
        let accounts = [
            alice(),
            address(USDC),
            token_account(us()),
            alice(),
            alice(),
            us(),
            address(TOKEN),
        ];
        Ix::new(ATA, &accounts.map(|account| (account, true)), &[&[2]])
    };
    let cases = [
        ("openings", filled(message(&[open(alice())]))),
        (
            "openings of looked-up accounts",
            filled(looked_up(&[open(alice())], &contents)),
        ),
        (
            "token transfers",
            filled(looked_up(&[token_transfer(5, token_account(alice()))], &contents)),
        ),
        ("recoveries", filled(looked_up(&[nested], &contents))),
    ];
    for (name, message) in cases {
        let before = derivations();
        let parsed = world.parse(&message.encode()).unwrap();
        let derived = derivations() - before;
        assert!(!parsed.effects().is_empty());
        let instructions = message.instructions.len() as u64;
        assert!(instructions > 25, "{name}: {instructions} instructions");
        assert!(
            derived > 0 && derived <= instructions,
            "{name}: {derived} for {instructions}"
        );
    }
}

/// An account is one byte of an instruction and at most 34 bytes of its effect, so effects are linear in the message too.
#[test]
fn effects_are_at_most_34_times_the_message() {
    let world = World::new();
    let lookup = Lookup {
        table: alice(),
        writable: (0..=253).collect(),
        readonly: vec![],
    };
    let instruction = Instruction {
        program: 1,
        accounts: (2..=255).collect(),
        data: vec![9],
    };
    let wide = Message {
        header: message(&[transfer(1, alice())]).header,
        keys: vec![us(), address(SYSTEM)],
        blockhash: [7; 32],
        instructions: vec![instruction],
        lookups: Some(vec![lookup]),
    };
    let unsigned = filled(wide).encode();
    let parsed = world.parse(&unsigned).unwrap();
    let opaque = parsed.effects().iter().map(|effect| match effect {
        Effect::Opaque { bytes, .. } => bytes.len(),
        _ => 0,
    });
    let total: usize = opaque.sum();
    assert!(total > 15_000 && total <= 34 * unsigned.len(), "{total}");
}

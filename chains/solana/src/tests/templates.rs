//! What a template leaves open, and what makes a message none.

use countersign_types::{ParsedTransaction, TemplateKind};

use super::fixtures::{
    BUDGET, Ix, MEMO, STAKE, TOKEN, World, address, advance, alice, looked_up, message, open, stake, stake_authorize,
    table, thief, token_account, token_transfer, transfer, us, warm,
};
use crate::message::Message;

const OPEN: Option<TemplateKind> = Some(TemplateKind::SolanaBlockhashAndFee);

fn parsed(world: &World, message: &Message) -> ParsedTransaction {
    world.parse(&message.encode()).unwrap()
}

fn budget(data: &[&[u8]]) -> Ix {
    Ix::new(BUDGET, &[], data)
}

/// A payment of tokens and of lamports, with a memo.
fn payments() -> Vec<Ix> {
    vec![
        open(alice()),
        token_transfer(5, token_account(alice())),
        transfer(7, alice()),
        Ix::new(MEMO, &[], &[b"invoice 7"]),
    ]
}

#[test]
fn what_is_open_changes_no_effect() {
    let mut world = World::new();
    world.attest(table(), &[alice(), token_account(alice())]);
    let plain = parsed(&world, &message(&payments()));
    assert_eq!(plain.template(), OPEN);
    let paid = &plain.effects()[..3];

    let mut later = message(&payments());
    later.blockhash = [0x78; 32];
    let mut version_0 = message(&payments());
    version_0.lookups = Some(vec![]);
    let mut writable = message(&payments());
    writable.header.readonly_unsigned -= 1;
    let mut priced = payments();
    priced.extend([
        budget(&[&[2, 1, 0, 0, 0]]),
        budget(&[&[3], &7u64.to_le_bytes()]),
        budget(&[&[1, 0, 0, 4, 0]]),
        budget(&[&[4, 0, 0, 4, 0]]),
    ]);
    let mut fallible = payments();
    fallible[0].data = vec![0];
    let open: [(&str, Message); 7] = [
        ("another blockhash", later),
        ("version 0", version_0),
        ("a writable program", writable),
        (
            "accounts of a table",
            looked_up(&payments(), &[alice(), token_account(alice())]),
        ),
        ("a compute budget", message(&priced)),
        ("an account that must be new", message(&fallible)),
        ("a durable nonce", message(&[vec![advance()], payments()].concat())),
    ];
    for (name, message) in open {
        let parsed = parsed(&world, &message);
        assert_eq!(parsed.template(), OPEN, "{name}");
        let effects = parsed.effects().iter();
        let skipped = usize::from(name == "a durable nonce");
        assert!(effects.skip(skipped).take(3).eq(paid), "{name}");
    }
}

#[test]
fn whatever_else_is_there_makes_it_none() {
    let world = World::new();
    // Another token account of the wallet's, and one whose key is no associated account.
    let from = |account| token_transfer(5, token_account(alice())).with(|ix| ix.accounts[0].0 = account);
    let split: [&[u8]; 2] = [&3u32.to_le_bytes(), &7u64.to_le_bytes()];
    let split = Ix::new(STAKE, &[(stake(), true), (thief(), true), (us(), true)], &split);
    let seeded = crate::Address::with_seed(us(), b"s", address(TOKEN));
    let (base, program) = (us(), address(TOKEN));
    let create: [&[u8]; 7] = [
        &3u32.to_le_bytes(),
        base.as_bytes(),
        &1u64.to_le_bytes(),
        b"s",
        &9u64.to_le_bytes(),
        &200u64.to_le_bytes(),
        program.as_bytes(),
    ];
    let others = [
        ("tokens from another account", from(warm())),
        ("an account for nobody in the message", open(thief())),
        ("an authority", stake_authorize(1)),
        ("stake that is split", split),
        (
            "an account with so much space",
            Ix::new(
                "11111111111111111111111111111111",
                &[(us(), true), (seeded, true)],
                &create,
            ),
        ),
        (
            "lamports of somebody else",
            transfer(1, us()).with(|ix| ix.accounts[0].0 = warm()),
        ),
        (
            "a transfer with a byte more",
            transfer(1, alice()).with(|ix| ix.data.push(0)),
        ),
        (
            "other decimals",
            token_transfer(5, token_account(alice())).with(|ix| ix.data[9] = 9),
        ),
        (
            "a program that nobody knows",
            Ix::new(&thief().to_string(), &[(us(), true)], &[&[1]]),
        ),
    ];
    for (name, other) in others {
        let mut instructions = payments();
        instructions.push(other);
        assert_eq!(parsed(&world, &message(&instructions)).template(), None, "{name}");
    }
    // The recipient is in a table that nobody attested.
    let unknown = looked_up(&[transfer(5, alice())], &[alice()]);
    assert_eq!(parsed(&world, &unknown).template(), None);
}

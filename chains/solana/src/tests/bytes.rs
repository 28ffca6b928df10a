//! Strictness: what is not the one encoding of a message of the wallet is refused with its own error.

use countersign_types::{ChainFacts, ConflictKey, ParsedTransaction, Tag};
use proptest::prelude::*;

use super::{
    fixtures::{
        ATA, BUDGET, Ix, USDC, World, address, advance, alice, looked_up, message, nonce, nonce_stores, open, stake,
        stake_authorize, table, thief, token_account, token_transfer, transfer, us, warm,
    },
    vectors::vectors,
};
use crate::{
    AddressError, MAX_MESSAGE_BYTES, ParseError,
    message::{Lookup, Message},
};

fn changed(change: impl FnOnce(&mut Message)) -> Vec<u8> {
    let mut message = message(&[transfer(1_000, alice())]);
    change(&mut message);
    message.encode()
}

fn of(instructions: &[Ix]) -> Vec<u8> {
    message(instructions).encode()
}

/// Where things stand in the message with one transfer: header, three keys, blockhash, one instruction.
const KEYS_LEN: usize = 3;
const BLOCKHASH_AT: usize = 4 + 3 * 32;
const DATA_LEN: usize = BLOCKHASH_AT + 32 + 1 + 1 + 3;

#[test]
fn one_change_and_its_error() {
    let valid = changed(|_| {});
    let splice = |at: usize, bytes: &[u8]| [&valid[..at], bytes, &valid[at + 1..]].concat();
    let version = |byte: u8| [&[byte], &valid[..], &[0]].concat();
    let lookup = |writable: &[u8]| Lookup {
        table: thief(),
        writable: writable.to_vec(),
        readonly: Vec::new(),
    };
    let (malformed, canonical) = (Tag::TransactionMalformed, Tag::TransactionNotCanonical);
    let cases: Vec<(&str, Vec<u8>, ParseError, Tag)> = vec![
        ("no bytes", vec![], ParseError::Empty, malformed),
        (
            "too many bytes",
            vec![1; MAX_MESSAGE_BYTES + 1],
            ParseError::TooLarge { found: 1_168 },
            Tag::TransactionTooLarge,
        ),
        (
            "a trailing byte",
            [&valid[..], &[0]].concat(),
            ParseError::TrailingBytes,
            malformed,
        ),
        (
            "a missing byte",
            valid[..valid.len() - 1].to_vec(),
            ParseError::Truncated,
            malformed,
        ),
        (
            "a long count of keys",
            splice(KEYS_LEN, &[0x83, 0]),
            ParseError::NotMinimal,
            canonical,
        ),
        (
            "a longer count of keys",
            splice(KEYS_LEN, &[0x83, 0x80, 0]),
            ParseError::NotMinimal,
            canonical,
        ),
        (
            "a long length of data",
            splice(DATA_LEN, &[0x8c, 0]),
            ParseError::NotMinimal,
            canonical,
        ),
        (
            "a length over 16 bits",
            splice(DATA_LEN, &[0x8c, 0x80, 4]),
            ParseError::NotMinimal,
            canonical,
        ),
        (
            "version 1",
            version(0x81),
            ParseError::UnsupportedVersion(1),
            Tag::TransactionUnsupportedType,
        ),
        (
            "a legacy message as version 0 without lookups",
            version(0x80)[..valid.len() + 1].to_vec(),
            ParseError::Truncated,
            malformed,
        ),
        (
            "no signer",
            changed(|m| m.header.required_signatures = 0),
            ParseError::BadHeader,
            malformed,
        ),
        (
            "a read-only fee payer",
            changed(|m| m.header.readonly_signed = 1),
            ParseError::BadHeader,
            malformed,
        ),
        (
            "more read-only accounts than accounts",
            changed(|m| m.header.readonly_unsigned = 3),
            ParseError::BadHeader,
            malformed,
        ),
        (
            "a second signer",
            changed(|m| m.header.required_signatures = 2),
            ParseError::ForeignSigner(2),
            malformed,
        ),
        (
            "another fee payer",
            changed(|m| m.keys[0] = thief()),
            ParseError::WrongFeePayer(thief()),
            malformed,
        ),
        (
            "fee payer and recipient in each other's place",
            changed(|m| m.keys.swap(0, 1)),
            ParseError::WrongFeePayer(alice()),
            malformed,
        ),
        (
            "an account twice",
            changed(|m| m.keys[1] = us()),
            ParseError::DuplicateAccount,
            malformed,
        ),
        (
            "an account that is not there",
            changed(|m| m.instructions[0].accounts[1] = 3),
            ParseError::BadIndex,
            malformed,
        ),
        (
            "a program that is not there",
            changed(|m| m.instructions[0].program = 3),
            ParseError::BadIndex,
            malformed,
        ),
        (
            "the fee payer as program",
            changed(|m| m.instructions[0].program = 0),
            ParseError::BadIndex,
            malformed,
        ),
        (
            "a looked-up program",
            changed(|m| {
                m.lookups = Some(vec![lookup(&[0])]);
                m.instructions[0].program = 3;
            }),
            ParseError::BadIndex,
            malformed,
        ),
        (
            "an empty lookup",
            changed(|m| m.lookups = Some(vec![lookup(&[])])),
            ParseError::BadLookup,
            malformed,
        ),
        (
            "a table twice",
            changed(|m| m.lookups = Some(vec![lookup(&[1]), lookup(&[2])])),
            ParseError::BadLookup,
            malformed,
        ),
        (
            "more accounts than a byte can name",
            changed(|m| m.lookups = Some(vec![lookup(&[0; 254])])),
            ParseError::TooManyAccounts(257),
            malformed,
        ),
        (
            "no instruction",
            changed(|m| {
                m.instructions.clear();
                m.keys.truncate(1);
                m.header.readonly_unsigned = 0;
            }),
            ParseError::NoEffects,
            malformed,
        ),
        (
            "an account that no instruction names",
            changed(|m| m.keys.insert(1, thief())),
            ParseError::UnusedAccount,
            malformed,
        ),
        (
            "an account right behind the fee payer that no instruction names",
            changed(|m| {
                m.keys.insert(1, thief());
                m.instructions[0].program = 3;
                m.instructions[0].accounts[1] = 2;
            }),
            ParseError::UnusedAccount,
            malformed,
        ),
        (
            "a looked-up account that no instruction names",
            changed(|m| m.lookups = Some(vec![lookup(&[0])])),
            ParseError::UnusedAccount,
            malformed,
        ),
        (
            "a recipient nobody can spend from",
            of(&[transfer(1, address("1nc1nerator11111111111111111111111111111111"))]),
            ParseError::Address(AddressError::Reserved(address(
                "1nc1nerator11111111111111111111111111111111",
            ))),
            Tag::TransactionBadDestination,
        ),
        (
            "a nonce advance behind another instruction",
            of(&[transfer(1, alice()), advance()]),
            ParseError::NonceNotFirst,
            malformed,
        ),
        (
            "two nonce advances",
            of(&[advance(), advance()]),
            ParseError::NonceNotFirst,
            malformed,
        ),
        (
            "somebody else's nonce",
            of(&[advance().with(|ix| ix.accounts[2].0 = thief()), transfer(1, alice())]),
            ParseError::ForeignNonce,
            malformed,
        ),
        (
            "a read-only nonce account",
            of(&[advance().with(|ix| ix.accounts[0].1 = false), transfer(1, alice())]),
            ParseError::BadNonce,
            malformed,
        ),
        (
            "a nonce advance with a byte more",
            of(&[advance().with(|ix| ix.data.push(0)), transfer(1, alice())]),
            ParseError::BadNonce,
            malformed,
        ),
        (
            "a nonce advance without the sysvar",
            of(&[
                advance().with(|ix| ix.accounts[1].0 = address(USDC)),
                transfer(1, alice()),
            ]),
            ParseError::BadNonce,
            malformed,
        ),
        (
            "a nonce advance with an account less",
            of(&[
                advance().with(|ix| ix.accounts.truncate(ix.accounts.len() - 1)),
                transfer(1, alice()),
            ]),
            ParseError::BadNonce,
            malformed,
        ),
    ];
    let world = World::new();
    assert!(world.parse(&valid).is_ok());
    for (name, bytes, error, tag) in cases {
        assert_eq!(world.parse(&bytes).unwrap_err(), error, "{name}");
        assert_eq!(error.tag(), tag, "{name}");
    }
}

#[test]
fn a_nonce_excludes_others_only_at_its_attested_value() {
    let mut world = World::new();
    let bytes = of(&[advance(), transfer(1, alice())]);
    let key = ConflictKey::NonceAccount {
        account: world.on(nonce()),
        value: [0x77; 32],
    };
    assert_eq!(world.parse(&bytes).unwrap().conflict_keys(), [key]);
    assert_eq!(world.parse(&of(&[transfer(1, alice())])).unwrap().conflict_keys(), []);
    // Nobody attested it: the blockhash may be a recent one, and then two such messages can both land.
    world.facts = ChainFacts::default();
    assert_eq!(world.parse(&bytes).unwrap().conflict_keys(), []);
    // What observers saw contradicts the message.
    world.facts = nonce_stores(world.on(nonce()), world.on(us()), [0x78; 32]);
    let stale = world.parse(&bytes).unwrap_err();
    let expected = ParseError::StaleNonce {
        nonce: nonce(),
        height: 1,
    };
    assert_eq!((stale.tag(), stale), (Tag::TransactionStaleNonce, expected));
    world.facts = nonce_stores(world.on(nonce()), world.on(thief()), [0x77; 32]);
    assert_eq!(world.parse(&bytes), Err(ParseError::ForeignNonce));
}

/// Everything that other implementations and the other tests have of valid messages, in the order of how much they do.
fn every_fixture() -> Vec<(String, Vec<u8>)> {
    let vectors = vectors().into_iter();
    let mut fixtures: Vec<_> = vectors
        .map(|vector| (vector.name, hex::decode(&vector.unsigned).unwrap()))
        .collect();
    let paid = [
        open(alice()),
        token_transfer(5, token_account(alice())),
        transfer(7, thief()),
    ];
    let contents = [thief(), alice(), token_account(alice()), address(USDC)];
    // The thief at an index that nobody attested.
    let beyond = [warm(), stake(), nonce(), table(), address(BUDGET), thief()];
    let named = [
        ("looked up", looked_up(&paid, &contents)),
        (
            "looked up and durable",
            looked_up(&[&[advance()], &paid[..]].concat(), &contents),
        ),
        ("looked up and unknown", looked_up(&paid, &beyond)),
        (
            "stake behind a looked-up transfer",
            looked_up(&[transfer(7, thief()), stake_authorize(1)], &contents),
        ),
    ];
    fixtures.extend(named.map(|(name, message)| (name.to_owned(), message.encode())));
    fixtures
}

/// What a template leaves open, taken out: blockhash, flags, compute budget, whether an account may be there already.
fn without_what_is_open(bytes: &[u8]) -> Message {
    let mut message = Message::decode(bytes).unwrap();
    message.blockhash = [0; 32];
    message.header.readonly_unsigned = 0;
    for instruction in &mut message.instructions {
        let program = message.keys[instruction.program as usize];
        if program == address(BUDGET) || program == address(ATA) {
            instruction.data.clear();
        }
    }
    message
}

/// What a byte is changed to: every bit of it, or with `COUNTERSIGN_EVERY_BYTE` set every other value (CONTRIBUTING.md).
#[expect(clippy::disallowed_methods, reason = "a test may be asked to go further")]
fn other_values(byte: u8) -> Vec<u8> {
    match std::env::var_os("COUNTERSIGN_EVERY_BYTE") {
        Some(_) => (0..=u8::MAX).filter(|value| *value != byte).collect(),
        None => (0..8).map(|bit| byte ^ (1 << bit)).collect(),
    }
}

/// A changed byte makes other bytes to sign, and where the message stays one of the template, it changes what is done, what
/// it costs or what it excludes, unless the byte is open.
#[test]
fn every_changed_byte_of_every_fixture_counts() {
    let mut world = World::new();
    world.attest(table(), &[thief(), alice(), token_account(alice()), address(USDC)]);
    let digest = |parsed: &ParsedTransaction| parsed.signing_payloads()[0].digest();
    let mut templates = 0;
    for (name, bytes) in every_fixture() {
        let parsed = world.parse(&bytes).unwrap();
        templates += usize::from(parsed.template().is_some());
        let changes = bytes.iter().enumerate();
        for (at, value) in changes.flat_map(|(at, byte)| other_values(*byte).into_iter().map(move |value| (at, value)))
        {
            let mut changed = bytes.clone();
            changed[at] = value;
            let Ok(other) = world.parse(&changed) else { continue };
            assert_ne!(digest(&other), digest(&parsed), "{name} byte {at}");
            let does = |parsed: &ParsedTransaction| (parsed.effects().to_vec(), parsed.conflict_keys().to_vec());
            if parsed.template().is_some() && other.template().is_some() && does(&other) == does(&parsed) {
                let (left, right) = (without_what_is_open(&bytes), without_what_is_open(&changed));
                assert_eq!(left, right, "{name} byte {at}");
            }
        }
    }
    assert!(templates > 10, "{templates}");
}

/// The payload is the whole message, so the test above is easily met. Here, what the message does must change.
#[test]
fn every_single_byte_of_a_transfer_but_the_blockhash_changes_what_it_does() {
    let world = World::new();
    for instructions in [
        vec![transfer(1_000, alice())],
        vec![transfer(1_000, alice()), transfer(999, thief())],
    ] {
        let message = message(&instructions);
        let bytes = message.encode();
        let parsed = world.parse(&bytes).unwrap();
        let blockhash = 4 + 32 * message.keys.len();
        // Byte 2 counts read-only accounts: a program that is called writable is still only called.
        let free = |at: usize| at == 2 || (blockhash..blockhash + 32).contains(&at);
        for at in (0..bytes.len()).filter(|at| !free(*at)) {
            for byte in (0..=u8::MAX).filter(|byte| *byte != bytes[at]) {
                let mut changed = bytes.clone();
                changed[at] = byte;
                if let Ok(other) = world.parse(&changed) {
                    assert_ne!(other.effects(), parsed.effects(), "byte {at} is {byte}");
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn parsing_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        drop(World::new().parse(&bytes));
    }

    #[test]
    fn parsing_messages_with_any_instruction_never_panics(
        accounts in proptest::collection::vec(0u8..12, 0..8),
        program in 1u8..12,
        data in proptest::collection::vec(any::<u8>(), 0..60),
        looked_up in any::<bool>(),
    ) {
        let mut message = message(&[transfer(1, alice()), token_transfer(1, thief()), advance()]);
        message.instructions.truncate(1);
        message.instructions[0].accounts = accounts;
        message.instructions[0].program = program;
        message.instructions[0].data = data;
        if looked_up {
            message.lookups = Some(vec![Lookup { table: thief(), writable: vec![0], readonly: vec![1] }]);
        }
        let bytes = message.encode();
        if let Ok(parsed) = World::new().parse(&bytes) {
            prop_assert!(!parsed.effects().is_empty());
            prop_assert_eq!(Message::decode(&bytes).unwrap().encode(), bytes);
        }
    }
}

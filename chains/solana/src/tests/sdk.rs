//! The SDK's own messages: what it compiles we read alike, and what we read it takes.

use proptest::prelude::*;
use solana_message::{AddressLookupTableAccount, Hash, Instruction, VersionedMessage, legacy, v0};

use super::fixtures::{
    ATA, BLOCKHASH, MEMO, STAKE, SYSTEM, TOKEN, USDC, World, address, alice, open, stake, table, thief, token_account,
    token_transfer, transfer, us, warm,
};
use crate::{Address, MAX_MESSAGE_BYTES, message::Message};

type Key = solana_message::Address;

fn key(address: Address) -> Key {
    Key::from(*address.as_bytes())
}

/// Who may take part.
fn pool() -> [Address; 10] {
    let (ours, hers) = (token_account(us()), token_account(alice()));
    [
        us(),
        alice(),
        thief(),
        warm(),
        stake(),
        ours,
        hers,
        address(USDC),
        address(SYSTEM),
        address(TOKEN),
    ]
}

/// An instruction of the fixtures, or any data for any program over any accounts.
fn instruction() -> impl Strategy<Value = Instruction> {
    let known = prop_oneof![
        Just(transfer(7, alice())),
        Just(open(alice())),
        Just(token_transfer(5, token_account(alice()))),
        Just(transfer(9, warm())),
    ];
    let known = known.prop_map(|ix| Instruction {
        program_id: key(ix.program),
        accounts: ix
            .accounts
            .iter()
            .map(|(account, writable)| meta(*account, *writable))
            .collect(),
        data: ix.data,
    });
    let program = prop::sample::select(vec![SYSTEM, TOKEN, ATA, STAKE, MEMO]);
    let accounts = prop::collection::vec((0usize..10, any::<bool>()), 0..6);
    let data = prop::collection::vec(prop_oneof![0u8..20, any::<u8>()], 0..24);
    let any = (program, accounts, data).prop_map(|(program, accounts, data)| Instruction {
        program_id: key(address(program)),
        accounts: accounts
            .into_iter()
            .map(|(at, writable)| meta(pool()[at], writable))
            .collect(),
        data,
    });
    prop_oneof![known, any]
}

fn meta(account: Address, is_writable: bool) -> solana_message::AccountMeta {
    solana_message::AccountMeta {
        pubkey: key(account),
        is_signer: account == us(),
        is_writable,
    }
}

proptest! {
    /// With and without tables, an account is where the SDK put it.
    #[test]
    fn a_message_with_tables_does_what_it_does_written_out(
        instructions in prop::collection::vec(instruction(), 1..5),
        first in prop::collection::vec(0usize..10, 0..8),
        second in prop::collection::vec(0usize..10, 0..8),
    ) {
        let mut world = World::new();
        let tables = [(table(), first), (Address::new([9; 32]), second)].map(|(place, indices)| {
            let contents: Vec<_> = indices.into_iter().map(|at| pool()[at]).collect();
            world.attest(place, &contents);
            AddressLookupTableAccount { key: key(place), addresses: contents.into_iter().map(key).collect() }
        });
        let hash = Hash::new_from_array(BLOCKHASH);
        let written = legacy::Message::new_with_blockhash(&instructions, Some(&key(us())), &hash).serialize();
        let short = v0::Message::try_compile(&key(us()), &instructions, &tables, hash).unwrap();
        let short = VersionedMessage::V0(short).serialize();
        let (written, short) = (world.parse(&written), world.parse(&short));
        match (written, short) {
            (Ok(written), Ok(short)) => {
                prop_assert_eq!(written.effects(), short.effects());
                prop_assert_eq!(written.template(), short.template());
            }
            (Err(written), Err(short)) => prop_assert_eq!(written, short),
            (written, short) => prop_assert!(false, "{written:?} and {short:?}"),
        }
    }

    /// What we decode, the SDK decodes to the same bytes and finds sane; it takes more than we do, never less.
    #[test]
    fn what_we_decode_the_sdk_takes(
        instructions in prop::collection::vec(instruction(), 1..4),
        is_versioned: bool,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in any::<prop::sample::Index>(),
        is_cut: bool,
    ) {
        let hash = Hash::new_from_array(BLOCKHASH);
        let mut bytes = if is_versioned {
            let message = v0::Message::try_compile(&key(us()), &instructions, &[], hash).unwrap();
            VersionedMessage::V0(message).serialize()
        } else {
            legacy::Message::new_with_blockhash(&instructions, Some(&key(us())), &hash).serialize()
        };
        if changes.is_empty() && bytes.len() <= MAX_MESSAGE_BYTES {
            prop_assert_eq!(Message::decode(&bytes).unwrap().encode(), bytes.clone());
        }
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if is_cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        if Message::decode(&bytes).is_ok() {
            let theirs: VersionedMessage = wincode::deserialize(&bytes).unwrap();
            prop_assert!(theirs.sanitize().is_ok());
            prop_assert_eq!(theirs.serialize(), bytes);
        }
    }
}

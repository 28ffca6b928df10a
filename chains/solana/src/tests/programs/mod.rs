//! Every instruction of every known program, as the program's own encoder writes it, with its exact effects.

use std::collections::BTreeSet;

use super::{
    expect::{Expect, certify},
    fixtures::{Ix, World, message, of_seed, us},
};
use crate::Address;

/// An instruction of whichever generation of the SDK; the modules below see it.
macro_rules! ix {
    ($instruction:expr) => {{
        let instruction = $instruction;
        let accounts = instruction.accounts.iter();
        Ix {
            program: Address::new(instruction.program_id.to_bytes()),
            accounts: accounts
                .map(|meta| (Address::new(meta.pubkey.to_bytes()), meta.is_writable))
                .collect(),
            data: instruction.data,
        }
    }};
}

/// A key of whichever generation of the SDK.
pub(super) fn key<K: From<[u8; 32]>>(address: Address) -> K {
    K::from(*address.as_bytes())
}

/// Somebody who is in none of the cases.
fn nobody() -> Address {
    of_seed(0x77)
}

/// Certifies each case, that the cases have all the tags, and that a byte more, an account less, or somebody else where the
/// wallet stood is another instruction.
pub(super) fn certify_all(
    world: &World,
    cases: Vec<(&str, Ix, Expect)>,
    tag_len: usize,
    tags: impl Iterator<Item = u32>,
) {
    let effects = |ix: &Ix| {
        let bytes = message(std::slice::from_ref(ix)).encode();
        world.parse(&bytes).map(|parsed| parsed.effects().to_vec())
    };
    let mut found = BTreeSet::new();
    for (name, ix, expect) in cases {
        let mut tag = [0; 4];
        tag[..tag_len].copy_from_slice(&ix.data[..tag_len]);
        found.insert(u32::from_le_bytes(tag));
        certify(world, name, &ix, expect);
        assert_ne!(effects(&ix.with(|ix| ix.data.push(0))), effects(&ix), "{name}");
        if !ix.accounts.is_empty() {
            let shorter = ix.with(|ix| ix.accounts.truncate(ix.accounts.len() - 1));
            assert_ne!(effects(&shorter), effects(&ix), "{name}");
        }
        for at in (0..ix.accounts.len()).filter(|at| ix.accounts[*at].0 == us()) {
            let foreign = ix.with(|ix| ix.accounts[at].0 = nobody());
            assert_ne!(effects(&foreign), effects(&ix), "{name}: account {at}");
        }
    }
    assert_eq!(found, tags.collect());
}

mod code;
mod native;
mod staking;
mod tokens;

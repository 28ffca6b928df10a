//! What a message needs observers for, and the accounts that their attestations fill in.

use std::collections::BTreeSet;

use countersign_types::{ChainFacts, ChainId, FactKey, LookupTable};

use crate::{
    Address, ParseError, Sender,
    call::{Call, Entry},
    message::Message,
    parse::decode_for,
    system::advanced_nonce,
};

/// Every fact that a parse of these bytes asks for: the lookup tables in the message's order, then the durable nonce
/// account that it advances.
pub fn wanted_facts(unsigned: &[u8], sender: &Sender<'_>) -> Result<Vec<FactKey>, ParseError> {
    let message = decode_for(unsigned, sender.account)?;
    let chain = sender.network.chain();
    let tables = message.lookups().iter();
    let tables = tables.map(|lookup| Ok(FactKey::LookupTable(lookup.table.on(chain)?)));
    let mut wanted = tables.collect::<Result<Vec<_>, ParseError>>()?;
    let accounts = accounts(&message, chain, ChainFacts::none())?;
    if let Some(nonce) = advanced_nonce(&Call::all(&message, &accounts)?) {
        wanted.push(FactKey::NonceAccount(nonce.on(chain)?));
    }
    Ok(wanted)
}

/// All accounts in the order of their indices: those written out (writable signers, read-only signers, writable,
/// read-only), the writable ones of every table, the read-only ones of every table.
///
/// The contents of a table come from an attestation, never from the message. What stands at an index stays there (tables
/// only grow), so an index that the attested contents have is certain, however old they are; any other is unknown.
pub(crate) fn accounts(message: &Message, chain: &ChainId, facts: &ChainFacts) -> Result<Vec<Entry>, ParseError> {
    let mut accounts = written(message);
    let places = message.lookups().iter().map(|lookup| lookup.table.on(chain));
    let places = places.collect::<Result<Vec<_>, _>>()?;
    for writable in [true, false] {
        for (lookup, place) in message.lookups().iter().zip(&places) {
            let contents = facts.tables.get(place);
            let indices = if writable { &lookup.writable } else { &lookup.readonly };
            accounts.extend(
                indices
                    .iter()
                    .map(|index| looked_up(lookup.table, contents, *index, writable)),
            );
        }
    }
    certify_distinct(&accounts)?;
    Ok(accounts)
}

fn written(message: &Message) -> Vec<Entry> {
    let header = message.header;
    let required = usize::from(header.required_signatures);
    let writable_signers = required.saturating_sub(usize::from(header.readonly_signed));
    let writable_end = message.keys.len().saturating_sub(usize::from(header.readonly_unsigned));
    let entry = |(at, key): (usize, &Address)| {
        let signer = at < required;
        let writable = if signer {
            at < writable_signers
        } else {
            at < writable_end
        };
        Entry::Key {
            key: *key,
            signer,
            writable,
        }
    };
    message.keys.iter().enumerate().map(entry).collect()
}

fn looked_up(table: Address, contents: Option<&LookupTable>, index: u8, writable: bool) -> Entry {
    let known = contents.and_then(|contents| contents.addresses.get(usize::from(index)));
    match known {
        Some(bytes) => Entry::Loaded {
            key: Address::new(*bytes),
            writable,
        },
        None => Entry::Unknown { table, index, writable },
    }
}

/// Validators refuse a message that loads an account twice, wherever its address stands.
fn certify_distinct(accounts: &[Entry]) -> Result<(), ParseError> {
    let mut seen = BTreeSet::new();
    let mut keys = accounts.iter().filter_map(Entry::key);
    keys.all(|key| seen.insert(key))
        .then_some(())
        .ok_or(ParseError::DuplicateAccount)
}

//! Address poisoning: an attacker makes an address that begins and ends like one that the victim pays, and waits for it to be
//! copied out of a history. People compare the ends; this compares them too, and then the rest.

use std::borrow::Cow;

use countersign_types::Destination;

use crate::{Network, Registry};

/// Characters that must agree at each end. Wallets and explorers shorten an address to about this many, and by chance two
/// addresses agree in that many once in 2³² (hex) or more.
pub const LOOKALIKE_END_CHARS: usize = 4;
/// Longer than any base58check address and shorter than any segwit address.
const MAX_BASE58CHECK_LEN: usize = 40;

impl Registry {
    /// Whether a person who compares only the ends of addresses would take one for the other: a warning, never a decision. The
    /// same address on two networks of a family is no lookalike.
    pub fn resembles(&self, one: &Destination, other: &Destination) -> bool {
        if one.chain().namespace() != other.chain().namespace() {
            return false;
        }
        match (self.glance(one), self.glance(other)) {
            (Some(one), Some(other)) => one != other && agree_at_the_ends(&one, &other),
            (None, _) | (_, None) => false,
        }
    }

    /// What tells addresses of a family apart: without what all of them begin with, and without the case where it carries
    /// nothing but a checksum.
    fn glance<'d>(&self, destination: &'d Destination) -> Option<Cow<'d, str>> {
        let address = destination.address();
        Some(match self.network(destination.chain())? {
            Network::Evm(_) => Cow::Owned(address.strip_prefix("0x").unwrap_or(address).to_ascii_lowercase()),
            Network::Bitcoin(_) => Cow::Borrowed(behind_version(address)),
            Network::Solana(_) => Cow::Borrowed(address),
        })
    }
}

/// A Bitcoin address behind the characters that its network and version fix (`bc1q`, `1`).
fn behind_version(address: &str) -> &str {
    let rest = match address.len() > MAX_BASE58CHECK_LEN {
        true => address.split_once('1').map_or(address, |(_, rest)| rest),
        false => address,
    };
    let mut chars = rest.chars();
    chars.next();
    chars.as_str()
}

fn agree_at_the_ends(one: &str, other: &str) -> bool {
    let agree = |one: &mut dyn Iterator<Item = char>, other: &mut dyn Iterator<Item = char>| {
        one.take(LOOKALIKE_END_CHARS).eq(other.take(LOOKALIKE_END_CHARS))
    };
    let is_long_enough = one.len().min(other.len()) > LOOKALIKE_END_CHARS.saturating_mul(2);
    is_long_enough
        && agree(&mut one.chars(), &mut other.chars())
        && agree(&mut one.chars().rev(), &mut other.chars().rev())
}

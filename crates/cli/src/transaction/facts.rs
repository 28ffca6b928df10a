//! Facts about a chain that the caller claims: `--facts FILE`. The signer believes observers' statements only, so what is
//! decoded with claims may be decided otherwise; every report says that it rests on them.

use std::path::Path;

use countersign_chains::{Registry, solana::Address};
use countersign_types::{ChainFacts, ChainId, Destination, LookupTable, MAX_TABLE_ADDRESSES, NonceAccount, Tag};
use serde::Deserialize;

use crate::{
    failure::{Failure, Result},
    files,
};

/// More tables or nonce accounts than one transaction can name.
const MAX_ACCOUNTS: usize = 256;

/// `{"lookup_tables": [{"account", "height", "addresses"}], "nonce_accounts": [{"account", "height", "authority", "value"}]}`, all of
/// it base58 but the heights.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    #[serde(default)]
    lookup_tables: Vec<ClaimedTable>,
    #[serde(default)]
    nonce_accounts: Vec<ClaimedNonce>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClaimedTable {
    account: String,
    height: u64,
    addresses: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClaimedNonce {
    account: String,
    height: u64,
    authority: String,
    value: String,
}

/// Reads claims about a network.
pub(crate) fn read(path: &Path, network: &ChainId, registry: &Registry) -> Result<ChainFacts> {
    let claims: Claims = files::read_json(path)?;
    if claims.lookup_tables.len().max(claims.nonce_accounts.len()) > MAX_ACCOUNTS {
        return Err(Failure::file(
            path,
            "understand",
            format!("over {MAX_ACCOUNTS} accounts"),
        ));
    }
    let account = |text: &str| {
        let parsed = registry.parse_destination(network, text);
        parsed.map_err(|error| Failure::refused(error.tag(), format!("`{text}`: {error}")))
    };
    let mut facts = ChainFacts::default();
    for table in &claims.lookup_tables {
        let known = facts.tables.insert(account(&table.account)?, lookup_table(table)?);
        refuse_twice(known.is_some(), &table.account)?;
    }
    for nonce in &claims.nonce_accounts {
        let authority = account(&nonce.authority)?;
        let known = facts
            .nonces
            .insert(account(&nonce.account)?, nonce_account(nonce, authority)?);
        refuse_twice(known.is_some(), &nonce.account)?;
    }
    Ok(facts)
}

fn lookup_table(claimed: &ClaimedTable) -> Result<LookupTable> {
    if claimed.addresses.len() > MAX_TABLE_ADDRESSES {
        return Err(wrong(&claimed.account, format!("over {MAX_TABLE_ADDRESSES} addresses")));
    }
    let addresses = claimed.addresses.iter().map(|text| bytes(text));
    Ok(LookupTable {
        height: claimed.height,
        addresses: addresses.collect::<Result<_>>()?,
    })
}

fn nonce_account(claimed: &ClaimedNonce, authority: Destination) -> Result<NonceAccount> {
    Ok(NonceAccount {
        height: claimed.height,
        authority,
        value: bytes(&claimed.value)?,
    })
}

fn bytes(text: &str) -> Result<[u8; 32]> {
    let address: Address = text.parse().map_err(|error| wrong(text, error))?;
    Ok(*address.as_bytes())
}

fn wrong(text: &str, why: impl std::fmt::Display) -> Failure {
    Failure::refused(Tag::TransactionBadDestination, format!("`{text}`: {why}"))
}

fn refuse_twice(is_known: bool, account: &str) -> Result<()> {
    match is_known {
        true => Err(wrong(account, "the file claims two things about it")),
        false => Ok(()),
    }
}

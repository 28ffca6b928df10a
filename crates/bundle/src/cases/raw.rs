//! A file of policy tests as it is written.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::policy::{RawAttestation, RawTrip};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CasesFile {
    pub(super) schema: String,
    pub(super) tests: Vec<RawCase>,
    #[serde(default)]
    pub(super) breakers: Vec<RawBreakerCase>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawBreakerCase {
    pub(super) name: String,
    pub(super) counted: RawTrip,
    pub(super) expect: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCase {
    pub(super) name: String,
    pub(super) initiator: String,
    pub(super) tenant: String,
    pub(super) wallet: String,
    pub(super) network: String,
    pub(super) at: Option<String>,
    pub(super) attributes: Option<BTreeMap<String, String>>,
    #[serde(rename = "fee-units")]
    pub(super) fee_units: Option<u64>,
    pub(super) prices: Option<BTreeMap<String, String>>,
    pub(super) spent: Option<BTreeMap<String, String>>,
    pub(super) effects: Vec<RawEffect>,
    pub(super) expect: RawExpect,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawEffect {
    pub(super) transfer: Option<String>,
    pub(super) internal: Option<String>,
    pub(super) fee: Option<String>,
    pub(super) allowance: Option<String>,
    pub(super) call: Option<String>,
    pub(super) words: Option<Vec<String>>,
    pub(super) opaque: Option<bool>,
    pub(super) authority_change: Option<bool>,
    pub(super) code_change: Option<bool>,
    pub(super) delayed_authorization: Option<bool>,
    pub(super) personal_message: Option<bool>,
    pub(super) to: Option<String>,
    pub(super) wallet: Option<String>,
    pub(super) subject: Option<String>,
    pub(super) first_seen: Option<bool>,
    pub(super) entry_age: Option<String>,
    pub(super) address_books: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawExpect {
    pub(super) allow: Option<BTreeMap<String, u64>>,
    pub(super) time_lock: Option<String>,
    pub(super) attestations: Option<Vec<RawAttestation>>,
    pub(super) deny: Option<Vec<String>>,
}

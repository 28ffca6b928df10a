//! `policy.yaml` as it is written, before any name in it means anything.

use std::{collections::BTreeMap, fmt};

use countersign_types::AttestationKind;
use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, Visitor, value::MapAccessDeserializer},
};

use crate::problem::Problem;

/// The whole file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PolicyFile {
    pub(super) schema: String,
    pub(super) permits: Vec<RawPermit>,
    pub(super) requires: Vec<RawRequire>,
    pub(super) limits: Vec<RawLimit>,
    pub(super) forbids: Vec<RawForbid>,
    pub(super) breakers: Option<Vec<RawBreaker>>,
    pub(super) invariants: Option<Vec<RawInvariant>>,
}

/// A breaker.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawBreaker {
    pub(super) id: String,
    pub(super) when: RawTrip,
    pub(super) freeze: Vec<String>,
}

/// What trips a breaker: one of the first three.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct RawTrip {
    pub(crate) rejections_on_lineage: Option<u64>,
    pub(crate) new_destinations: Option<u64>,
    pub(crate) networks: Option<u64>,
    pub(crate) within: Option<String>,
}

/// The conditions that every kind of rule may carry. `flatten` would lose positions and strictness, so the fields are
/// written into each struct.
pub(super) struct Selection<'a> {
    pub(super) effects: Option<&'a Vec<String>>,
    pub(super) initiators: Option<&'a Vec<String>>,
    pub(super) initiator_groups: Option<&'a Vec<String>>,
    pub(super) wallets: Option<&'a Vec<String>>,
    pub(super) tiers: Option<&'a Vec<String>>,
    pub(super) networks: Option<&'a Vec<String>>,
    pub(super) assets: Option<&'a Vec<String>>,
    pub(super) to: Option<&'a RawTo>,
    pub(super) subjects: Option<&'a Vec<String>>,
    pub(super) selectors: Option<&'a Vec<String>>,
    pub(super) words: Option<&'a Vec<RawWord>>,
    pub(super) hours: Option<&'a RawHours>,
    pub(super) attributes: Option<&'a BTreeMap<String, Vec<String>>>,
}

macro_rules! selecting {
    ($($(#[$doc:meta])* $name:ident { $($field:ident: $type:ty,)* })+) => {$(
        $(#[$doc])*
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields, rename_all = "kebab-case")]
        pub(super) struct $name {
            $(pub(super) $field: $type,)*
            effects: Option<Vec<String>>,
            initiators: Option<Vec<String>>,
            initiator_groups: Option<Vec<String>>,
            wallets: Option<Vec<String>>,
            tiers: Option<Vec<String>>,
            networks: Option<Vec<String>>,
            assets: Option<Vec<String>>,
            to: Option<RawTo>,
            subjects: Option<Vec<String>>,
            selectors: Option<Vec<String>>,
            words: Option<Vec<RawWord>>,
            hours: Option<RawHours>,
            attributes: Option<BTreeMap<String, Vec<String>>>,
        }
        impl $name {
            pub(super) fn selection(&self) -> Selection<'_> {
                Selection {
                    effects: self.effects.as_ref(),
                    initiators: self.initiators.as_ref(),
                    initiator_groups: self.initiator_groups.as_ref(),
                    wallets: self.wallets.as_ref(),
                    tiers: self.tiers.as_ref(),
                    networks: self.networks.as_ref(),
                    assets: self.assets.as_ref(),
                    to: self.to.as_ref(),
                    subjects: self.subjects.as_ref(),
                    selectors: self.selectors.as_ref(),
                    words: self.words.as_ref(),
                    hours: self.hours.as_ref(),
                    attributes: self.attributes.as_ref(),
                }
            }
        }
    )+};
}

selecting! {
    /// A permit carries its conditions itself.
    RawPermit { id: String, amount: Option<RawMax>, fee: Option<RawFee>, total: Option<RawMax>, }
    /// The conditions of a require or forbid.
    RawWhen { amount: Option<RawOver>, total: Option<RawOver>, }
    /// A limit carries its conditions itself.
    RawLimit {
        id: String,
        scope: Option<Vec<String>>,
        window: String,
        zone: Option<String>,
        hard: Option<String>,
        count: Option<u64>,
        new_destinations: Option<u64>,
        soft: Option<String>,
        over_soft: Option<RawObligations>,
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawRequire {
    pub(super) id: String,
    pub(super) when: Option<RawWhen>,
    pub(super) approvals: Option<BTreeMap<String, u64>>,
    pub(super) time_lock: Option<String>,
    pub(super) attestations: Option<Vec<RawAttestation>>,
}

/// What a limit asks for above its soft maximum.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawObligations {
    pub(super) approvals: Option<BTreeMap<String, u64>>,
    pub(super) time_lock: Option<String>,
    pub(super) attestations: Option<Vec<RawAttestation>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct RawAttestation {
    pub(super) kind: String,
    pub(crate) by: String,
    pub(crate) max_age: String,
}

impl RawAttestation {
    /// The kind that it names.
    pub(crate) fn kind(&self) -> Result<AttestationKind, Problem> {
        let kind = AttestationKind::ALL.into_iter().find(|kind| kind.as_str() == self.kind);
        kind.ok_or_else(|| Problem::BadWord {
            word: self.kind.chars().take(64).collect(),
            allowed: "`sanctions`, `travel-rule`",
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawForbid {
    pub(super) id: String,
    pub(super) when: RawWhen,
}

/// What must hold of every withdrawal.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawInvariant {
    pub(super) id: String,
    pub(super) when: Option<RawWhen>,
    pub(super) then: RawThen,
}

/// `deny`, or what is asked for at least.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "`then` is `deny`, or `approvals`, `time-lock` and `attestations` to ask for, and nothing else"
)]
pub(super) enum RawThen {
    Word(String),
    Asked(RawObligations),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawTo {
    pub(super) list: Option<String>,
    pub(super) own: Option<Vec<String>>,
    pub(super) unknown: Option<bool>,
    pub(super) address_book: Option<String>,
    pub(super) first_seen: Option<bool>,
    pub(super) entry_under: Option<String>,
    pub(super) entry_over: Option<String>,
}

/// One word of a call's arguments.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawWord {
    pub(super) at: u64,
    pub(super) values: Option<Vec<String>>,
    pub(super) max: Option<String>,
    pub(super) over: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawHours {
    pub(super) zone: String,
    pub(super) days: Vec<String>,
    pub(super) from: String,
    pub(super) to: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawMax {
    pub(super) max: RawBounds,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawOver {
    pub(super) over: RawBounds,
}

/// One bound alone, or each under its symbol. Not `untagged`: errors would lose their place.
pub(super) enum RawBounds {
    One(String),
    Each(BTreeMap<String, String>),
}

impl<'de> Deserialize<'de> for RawBounds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrEach;
        impl<'de> Visitor<'de> for OneOrEach {
            type Value = RawBounds;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("one bound in quotes, or a bound under each symbol")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<RawBounds, E> {
                Ok(RawBounds::One(text.to_owned()))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RawBounds, A::Error> {
                BTreeMap::deserialize(MapAccessDeserializer::new(map)).map(RawBounds::Each)
            }
        }
        deserializer.deserialize_any(OneOrEach)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawFee {
    pub(super) max: Option<String>,
    pub(super) share: Option<String>,
    pub(super) rate: Option<String>,
}

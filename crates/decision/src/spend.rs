//! What an authorized attempt spends, written down so that limits which are defined later can count it (docs/adr/0020).
//!
//! Everything that a limit's conditions look at, and nothing else: code, messages and bytes without meaning stay out.

use std::collections::{BTreeMap, BTreeSet};

use countersign_bundle::Bundle;
use countersign_policy::{
    Actor, Charge, Context, Currency, DestinationFacts, EffectFact, Evaluation, Facts, Price, Prices, Window, charges,
    evaluate,
};
use countersign_types::{
    Amount, AssetId, AttributeName, AttributeValue, AuthorityScope, ChainId, CodeChangeKind, Destination, Duration,
    Effect, OpaqueKind, PrincipalId, RuleId, Selector, SubjectId, Tag, TenantId, Timestamp, WalletId,
};
use serde::{Deserialize, Serialize};

/// The version of the JSON.
const FORMAT: &str = "countersign.spend/1";
/// The most bytes of a spend: what the journal takes.
pub const MAX_SPEND_BYTES: usize = 1 << 20;

/// What one attempt spends. JSON, `countersign.spend/1`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spend {
    format: String,
    tenant: TenantId,
    initiator: PrincipalId,
    wallet: WalletId,
    network: ChainId,
    effects: Vec<SpentEffect>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    attributes: BTreeMap<AttributeName, AttributeValue>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fee_units: Option<u64>,
    /// What the assets were worth, where prices were known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    prices: Vec<SpentPrice>,
}

/// One effect and what was known about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SpentEffect {
    does: Does,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject: Option<SubjectId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    first_seen: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    entry_age_secs: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    address_books: Option<BTreeMap<PrincipalId, bool>>,
}

/// An effect without what no rule sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum Does {
    Transfer {
        asset: AssetId,
        amount: Amount,
        destination: Destination,
    },
    Internal {
        asset: AssetId,
        amount: Amount,
        wallet: WalletId,
        destination: Destination,
        change: bool,
    },
    Fee {
        asset: AssetId,
        max: Amount,
    },
    Allowance {
        asset: AssetId,
        amount: Amount,
        spender: Destination,
    },
    AuthorityChange {
        subject: Destination,
        holder: Option<Destination>,
    },
    CodeChange {
        subject: Option<Destination>,
    },
    DelayedAuthorization {
        mechanism: Destination,
    },
    ContractCall {
        contract: Destination,
        selector: String,
        args: String,
    },
    Opaque {
        target: Option<Destination>,
    },
    PersonalMessage {},
}

/// The price of an asset when it was spent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SpentPrice {
    asset: AssetId,
    currency: Currency,
    atto: Price,
}

/// Why a spend has no bytes, bytes are no spend, or a limit cannot count one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpendError {
    /// Over [`MAX_SPEND_BYTES`].
    #[error("what an attempt spends takes {0} bytes; at most {MAX_SPEND_BYTES} are kept")]
    TooLong(usize),
    /// A value that JSON cannot write.
    #[error("what an attempt spends cannot be written: {0}")]
    Unprintable(String),
    /// Not a spend, or none of this version.
    #[error("what an attempt spends cannot be read: {0}")]
    Unreadable(String),
    /// Nobody knows what a limit would have been charged.
    #[error("limit `{rule}` cannot say what it would have been charged for what was spent earlier")]
    UnknownCharge {
        /// The limit.
        rule: RuleId,
    },
}

impl SpendError {
    /// The stable tag.
    pub fn tag(&self) -> Tag {
        match self {
            Self::TooLong(_) | Self::Unprintable(_) => Tag::MessageTooLarge,
            // Only the journal hands one in: it is damaged.
            Self::Unreadable(_) => Tag::JournalUnavailable,
            Self::UnknownCharge { .. } => Tag::LimitPastUnknown,
        }
    }
}

impl Spend {
    /// What an attempt spends, by the facts that it was decided on.
    pub(crate) fn of(facts: &Facts<'_>, tenant: &TenantId) -> Self {
        let assets: BTreeSet<&AssetId> = facts.effects.iter().filter_map(|fact| fact.effect.asset()).collect();
        let prices = assets.into_iter().flat_map(|asset| {
            let prices = facts.context.prices.of(asset);
            prices.map(|(currency, atto)| SpentPrice {
                asset: asset.clone(),
                currency,
                atto,
            })
        });
        Self {
            format: FORMAT.to_owned(),
            tenant: tenant.clone(),
            initiator: facts.actor.initiator.clone(),
            wallet: facts.actor.wallet.clone(),
            network: facts.network.clone(),
            effects: facts.effects.iter().map(SpentEffect::of).collect(),
            attributes: facts.context.attributes.cloned().unwrap_or_default(),
            fee_units: facts.context.fee_units,
            prices: prices.collect(),
        }
    }

    /// The bytes that the journal keeps.
    pub fn to_bytes(&self) -> Result<Vec<u8>, SpendError> {
        let bytes = serde_json::to_vec(self).map_err(|error| SpendError::Unprintable(error.to_string()))?;
        if bytes.len() > MAX_SPEND_BYTES {
            return Err(SpendError::TooLong(bytes.len()));
        }
        Ok(bytes)
    }

    /// Reads a spend back.
    pub fn parse(bytes: &[u8]) -> Result<Self, SpendError> {
        if bytes.len() > MAX_SPEND_BYTES {
            return Err(SpendError::TooLong(bytes.len()));
        }
        let spend: Self = serde_json::from_slice(bytes).map_err(|error| SpendError::Unreadable(error.to_string()))?;
        if spend.format != FORMAT {
            return Err(SpendError::Unreadable(format!(
                "it is of the format `{}`",
                spend.format
            )));
        }
        Ok(spend)
    }

    /// What the limits over windows of a bundle count of it, at the hours of both moments at which it was authorized: the larger charge. Its
    /// facts, prices among them, are those of the last one. A limit that cannot say, while its window still holds the spend, is an error: it would forget what was spent.
    pub fn charges(&self, bundle: &Bundle, past: Past) -> Result<Vec<Charge>, SpendError> {
        let moments = BTreeSet::from([past.charged_at, past.authorized_at]);
        let evaluations = moments.into_iter().map(|at| self.evaluate(bundle, at));
        past.charges(&evaluations.collect::<Result<Vec<_>, _>>()?)
    }

    /// What the limits over windows of a bundle would have counted of it, and those of them that cannot say.
    pub(crate) fn counted(
        &self,
        bundle: &Bundle,
        at: Timestamp,
    ) -> Result<(Vec<Charge>, BTreeSet<RuleId>), SpendError> {
        let evaluation = self.evaluate(bundle, at)?;
        let unknown = evaluation.limits.iter().filter(|limit| limit.charge.is_none());
        Ok((evaluation.charges(), unknown.map(|limit| limit.rule.clone()).collect()))
    }

    fn evaluate(&self, bundle: &Bundle, at: Timestamp) -> Result<Evaluation, SpendError> {
        let effects = self.effects.iter().map(|spent| Ok((spent, spent.does.effect()?)));
        let effects: Vec<(&SpentEffect, Effect)> = effects.collect::<Result<_, SpendError>>()?;
        let price = |price: &SpentPrice| ((price.asset.clone(), price.currency), price.atto);
        let prices = Prices::new(self.prices.iter().map(price).collect::<BTreeMap<_, _>>());
        let groups = bundle.roster().groups_of(&self.initiator);
        let wallet = bundle.registry().wallets().wallet(&self.wallet);
        let facts = Facts {
            actor: Actor {
                initiator: &self.initiator,
                initiator_groups: &groups,
                wallet: &self.wallet,
                tier: wallet.map(|wallet| wallet.tier),
            },
            network: &self.network,
            effects: effects.iter().map(|(spent, effect)| spent.fact(effect)).collect(),
            assets: bundle.registry().assets(),
            lists: bundle.destinations(),
            context: Context {
                now: Some(at),
                tenant: Some(&self.tenant),
                attributes: Some(&self.attributes),
                fee_units: self.fee_units,
                prices: &prices,
                ..Context::unknown()
            },
        };
        Ok(evaluate(bundle.policy(), &facts))
    }
}

/// When something was spent, seen from now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Past {
    /// When it was charged first.
    pub charged_at: Timestamp,
    /// When it was authorized last: the same bytes again, perhaps at an hour at which more is counted.
    pub authorized_at: Timestamp,
    /// When it began to age; until then every window holds it.
    pub aged_at: Option<Timestamp>,
    /// The signer's clock.
    pub now: Timestamp,
}

impl Past {
    fn charges(self, evaluations: &[Evaluation]) -> Result<Vec<Charge>, SpendError> {
        let limits = evaluations.iter().flat_map(|evaluation| &evaluation.limits);
        let mut unknown = limits.filter(|limit| limit.charge.is_none());
        match unknown.find(|limit| limit.window.as_ref().is_some_and(|window| self.is_within(window))) {
            None => Ok(charges(evaluations)),
            Some(limit) => Err(SpendError::UnknownCharge {
                rule: limit.rule.clone(),
            }),
        }
    }

    fn is_within(self, window: &Window) -> bool {
        let has_left = |aged_at| window.last_outside(self.now).is_some_and(|outside| aged_at <= outside);
        !self.aged_at.is_some_and(has_left)
    }
}

impl SpentEffect {
    fn of(fact: &EffectFact<'_>) -> Self {
        Self {
            does: Does::of(fact.effect),
            subject: fact.subject.cloned(),
            first_seen: fact.destination.is_first_seen,
            entry_age_secs: fact.destination.entry_age.map(Duration::secs),
            address_books: fact.destination.address_books.cloned(),
        }
    }

    fn fact<'a>(&'a self, effect: &'a Effect) -> EffectFact<'a> {
        EffectFact {
            effect,
            subject: self.subject.as_ref(),
            destination: DestinationFacts {
                is_first_seen: self.first_seen,
                entry_age: self.entry_age_secs.map(Duration::from_secs),
                address_books: self.address_books.as_ref(),
            },
        }
    }
}

impl Does {
    fn of(effect: &Effect) -> Self {
        match effect.clone() {
            Effect::Transfer {
                asset,
                amount,
                destination,
            } => Self::Transfer {
                asset,
                amount,
                destination,
            },
            Effect::Internal {
                asset,
                amount,
                wallet,
                destination,
                change,
            } => Self::Internal {
                asset,
                amount,
                wallet,
                destination,
                change,
            },
            Effect::Fee { asset, max } => Self::Fee { asset, max },
            Effect::Allowance { asset, amount, spender } => Self::Allowance { asset, amount, spender },
            Effect::AuthorityChange { subject, holder, .. } => Self::AuthorityChange { subject, holder },
            Effect::CodeChange { subject, .. } => Self::CodeChange { subject },
            Effect::DelayedAuthorization { mechanism } => Self::DelayedAuthorization { mechanism },
            Effect::ContractCall {
                contract,
                selector,
                args,
            } => Self::ContractCall {
                contract,
                selector: to_hex(&selector.0),
                args: to_hex(&args),
            },
            Effect::Opaque { target, .. } => Self::Opaque { target },
            Effect::PersonalMessage { .. } => Self::PersonalMessage {},
        }
    }

    /// The effect again, as far as rules see it: what they do not look at is filled in.
    fn effect(&self) -> Result<Effect, SpendError> {
        Ok(match self.clone() {
            Self::Transfer {
                asset,
                amount,
                destination,
            } => Effect::Transfer {
                asset,
                amount,
                destination,
            },
            Self::Internal {
                asset,
                amount,
                wallet,
                destination,
                change,
            } => Effect::Internal {
                asset,
                amount,
                wallet,
                destination,
                change,
            },
            Self::Fee { asset, max } => Effect::Fee { asset, max },
            Self::Allowance { asset, amount, spender } => Effect::Allowance { asset, amount, spender },
            Self::AuthorityChange { subject, holder } => Effect::AuthorityChange {
                subject,
                scope: AuthorityScope::Owner,
                holder,
            },
            Self::CodeChange { subject } => Effect::CodeChange {
                subject,
                change: CodeChangeKind::Deploy,
                code: Vec::new(),
            },
            Self::DelayedAuthorization { mechanism } => Effect::DelayedAuthorization { mechanism },
            Self::ContractCall {
                contract,
                selector,
                args,
            } => Effect::ContractCall {
                contract,
                selector: Selector(from_hex(&selector)?.try_into().map_err(|_| bad_hex())?),
                args: from_hex(&args)?,
            },
            Self::Opaque { target } => Effect::Opaque {
                what: OpaqueKind::Calldata,
                target,
                bytes: Vec::new(),
            },
            Self::PersonalMessage {} => Effect::PersonalMessage { bytes: Vec::new() },
        })
    }
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bad_hex() -> SpendError {
    SpendError::Unreadable("bytes are lower-case hex".to_owned())
}

fn from_hex(text: &str) -> Result<Vec<u8>, SpendError> {
    let is_hex = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() || !text.as_bytes().iter().all(is_hex) {
        return Err(bad_hex());
    }
    let byte = |pair: &[u8; 2]| {
        let pair = std::str::from_utf8(pair).map_err(|_| bad_hex())?;
        u8::from_str_radix(pair, 16).map_err(|_| bad_hex())
    };
    pairs.iter().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use countersign_types::EffectKind;

    use super::*;

    const ETH: &str = "eip155:31337/slip44:60";

    fn place(last: char) -> Destination {
        format!("eip155:31337:0x000000000000000000000000000000000000000{last}")
            .parse()
            .unwrap()
    }

    /// One effect of each kind.
    fn effects() -> Vec<Effect> {
        let (asset, amount): (AssetId, Amount) = (ETH.parse().unwrap(), Amount::from(5_u128));
        vec![
            Effect::Transfer {
                asset: asset.clone(),
                amount,
                destination: place('1'),
            },
            Effect::Internal {
                asset: asset.clone(),
                amount,
                wallet: "eth-hot".parse().unwrap(),
                destination: place('2'),
                change: true,
            },
            Effect::Fee {
                asset: asset.clone(),
                max: amount,
            },
            Effect::Allowance {
                asset,
                amount,
                spender: place('3'),
            },
            Effect::AuthorityChange {
                subject: place('4'),
                scope: AuthorityScope::Module,
                holder: Some(place('5')),
            },
            Effect::CodeChange {
                subject: Some(place('6')),
                change: CodeChangeKind::Upgrade,
                code: vec![1],
            },
            Effect::DelayedAuthorization { mechanism: place('7') },
            Effect::ContractCall {
                contract: place('8'),
                selector: Selector([1, 2, 3, 0xff]),
                args: vec![0, 0xab],
            },
            Effect::Opaque {
                what: OpaqueKind::Blob,
                target: Some(place('9')),
                bytes: vec![2],
            },
            Effect::PersonalMessage { bytes: vec![3] },
        ]
    }

    /// Whatever a rule looks at comes back.
    #[test]
    fn an_effect_keeps_what_rules_see() {
        let kinds: BTreeSet<EffectKind> = effects().iter().map(Effect::kind).collect();
        assert_eq!(kinds.len(), EffectKind::ALL.len());
        for effect in effects() {
            let json = serde_json::to_string(&Does::of(&effect)).unwrap();
            let back = serde_json::from_str::<Does>(&json).unwrap().effect().unwrap();
            assert_eq!(
                (
                    back.kind(),
                    back.asset(),
                    back.amount(),
                    back.destination(),
                    back.is_own_change()
                ),
                (
                    effect.kind(),
                    effect.asset(),
                    effect.amount(),
                    effect.destination(),
                    effect.is_own_change()
                ),
                "{json}"
            );
            if effect.kind() == EffectKind::ContractCall {
                assert_eq!(back, effect);
            }
        }
    }

    fn golden() -> &'static str {
        let formats = include_str!("../../../docs/formats.md");
        let mut lines = formats.lines();
        lines
            .find(|line| line.starts_with("{\"format\":\"countersign.spend/1\""))
            .unwrap()
    }

    #[test]
    fn golden_spend() {
        let spend = Spend::parse(golden().as_bytes()).unwrap();
        assert_eq!(String::from_utf8(spend.to_bytes().unwrap()).unwrap(), golden());
    }

    #[test]
    fn anything_else_is_no_spend() {
        let changes = [
            ("spend/1", "spend/2"),
            ("\"tenant\"", "\"tenants\""),
            ("\"transfer\"", "\"gift\""),
            ("\"subject\"", "\"customer\""),
            ("\"1000000000000000000\"", "1000000000000000000"),
        ];
        for (from, to) in changes {
            assert!(golden().contains(from), "{from}");
            let error = Spend::parse(golden().replacen(from, to, 1).as_bytes()).unwrap_err();
            assert_eq!(error.tag(), Tag::JournalUnavailable, "{from}: {error}");
        }
        for hex in ["0", "0G", "AB", "é"] {
            from_hex(hex).unwrap_err();
        }
        let long = vec![b' '; MAX_SPEND_BYTES + 1];
        assert_eq!(Spend::parse(&long), Err(SpendError::TooLong(MAX_SPEND_BYTES + 1)));
    }
}

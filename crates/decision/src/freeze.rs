//! Freezes in a decision: what made one, which of those in force stop a withdrawal, and how they are listed
//! (docs/adr/0016).

use std::fmt;

use countersign_approval::{Freeze, FreezeScope, Request};
use countersign_types::{
    AssetId, ConflictKey, Destination, Effect, FreezeId, ParsedTransaction, PrincipalId, RuleId, StatementDigest, Tag,
    Timestamp, WithdrawalId,
};
use serde::{Deserialize, Serialize};

use crate::Reason;

/// The most freezes that are told apart at one moment. With more of them in force everything is frozen: nobody gains by
/// making so many that one is overlooked.
pub const MAX_FREEZES: usize = 256;
/// The most freezes that a decision's entry names: one is enough for a no.
const MAX_ENTRY_FREEZES: usize = 16;

/// A freeze as a decision sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FreezeFact {
    /// Its name.
    pub freeze: FreezeId,
    /// What it stops.
    pub scope: FreezeScope,
    /// When the signer journaled it.
    pub since: Timestamp,
}

/// What made a freeze.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum FreezeCause {
    /// An officer's statement.
    Statement {
        /// The statement.
        statement: StatementDigest,
        /// Who signed it.
        officer: PrincipalId,
    },
    /// A breaker of the policy: the signer froze by itself.
    Breaker {
        /// The rule.
        rule: RuleId,
        /// The withdrawal that tipped it.
        withdrawal: WithdrawalId,
    },
    /// Observers saw a transaction that the journal does not know use up what is ours: the signer froze by itself.
    ForeignSpend {
        /// What was used up.
        conflict_key: ConflictKey,
        /// By what.
        txid: String,
    },
}

impl FreezeCause {
    /// The name of the freeze that this makes of a scope. The same cause makes it once: a thawed one does not come back
    /// from it.
    pub fn freeze(&self, scope: &FreezeScope) -> FreezeId {
        match self {
            Self::Statement { statement, .. } => Freeze::id(*statement),
            Self::Breaker { rule, withdrawal } => {
                FreezeId::of(format!("breaker {rule}\n{withdrawal}\n{scope}\n").as_bytes())
            }
            // Whatever used the key up, it is used up once.
            Self::ForeignSpend { conflict_key, .. } => {
                FreezeId::of(format!("foreign-spend {conflict_key}\n{scope}\n").as_bytes())
            }
        }
    }
}

impl fmt::Display for FreezeCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Statement { statement, officer } => write!(f, "statement {statement} of {officer}"),
            Self::Breaker { rule, withdrawal } => write!(f, "breaker {rule} at {withdrawal}"),
            Self::ForeignSpend { conflict_key, txid } => write!(f, "foreign spend of {conflict_key} by {txid}"),
        }
    }
}

/// A freeze came into force. It is logged before anything that it stops is decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FreezeEntry {
    /// Its name.
    pub freeze: FreezeId,
    /// What it stops.
    pub scope: FreezeScope,
    /// What made it.
    pub cause: FreezeCause,
    /// When the signer journaled it.
    pub since: Timestamp,
}

/// A quorum of admins thawed a freeze.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ThawEntry {
    /// The freeze.
    pub freeze: FreezeId,
    /// The admins who said so. Their statements stand before this entry.
    pub admins: Vec<PrincipalId>,
    /// When the signer journaled the statement that completed the quorum.
    pub completed_at: Timestamp,
    /// From when on the freeze is not in force any more.
    pub thaws_at: Timestamp,
}

/// What a freeze is held against.
pub(crate) struct Frozen<'a> {
    pub(crate) request: &'a Request,
    pub(crate) initiator: &'a PrincipalId,
    /// `None` where the bytes are not understood: then they may do anything on their network.
    pub(crate) parsed: Option<&'a ParsedTransaction>,
}

impl Frozen<'_> {
    /// Those of the freezes in force that stop the withdrawal, at most as many as an entry takes.
    pub(crate) fn matching(&self, in_force: &[FreezeFact]) -> Vec<FreezeFact> {
        let is_overflowing = in_force.len() > MAX_FREEZES;
        let stops = |fact: &&FreezeFact| is_overflowing || self.is_stopped_by(&fact.scope);
        in_force.iter().filter(stops).take(MAX_ENTRY_FREEZES).cloned().collect()
    }

    fn is_stopped_by(&self, scope: &FreezeScope) -> bool {
        match scope {
            FreezeScope::All => true,
            FreezeScope::Wallet(wallet) => *wallet == self.request.wallet,
            FreezeScope::Network(network) => *network == self.request.network,
            FreezeScope::Initiator(initiator) => initiator == self.initiator,
            FreezeScope::Tenant(tenant) => *tenant == self.request.tenant,
            FreezeScope::Asset(asset) => {
                *asset.chain() == self.request.network && self.effects_reach(|effect| may_touch(effect, asset))
            }
            FreezeScope::Destination(destination) => {
                *destination.chain() == self.request.network
                    && self.effects_reach(|effect| may_reach(effect, destination))
            }
        }
    }

    fn effects_reach(&self, reaches: impl Fn(&Effect) -> bool) -> bool {
        self.parsed.is_none_or(|parsed| parsed.effects().iter().any(reaches))
    }
}

/// What an effect without a known asset moves is anybody's guess, and so also this asset. The fee counts.
fn may_touch(effect: &Effect, asset: &AssetId) -> bool {
    effect.asset().is_none_or(|touched| touched == asset)
}

/// Why freezes in force stop what a request asks for and its bytes do (`None` where they are not understood); nothing where
/// none of them does.
pub fn stopped_by(
    in_force: &[FreezeFact],
    request: &Request,
    initiator: &PrincipalId,
    parsed: Option<&ParsedTransaction>,
) -> Vec<Reason> {
    let frozen = Frozen {
        request,
        initiator,
        parsed,
    };
    reasons(&frozen.matching(in_force))
}

/// As for assets: an effect without a known destination may reach this one.
fn may_reach(effect: &Effect, destination: &Destination) -> bool {
    match effect {
        // To the network.
        Effect::Fee { .. } => false,
        Effect::AuthorityChange { subject, holder, .. } => {
            subject == destination || holder.as_ref().is_none_or(|holder| holder == destination)
        }
        Effect::Transfer { .. }
        | Effect::Internal { .. }
        | Effect::Allowance { .. }
        | Effect::CodeChange { .. }
        | Effect::DelayedAuthorization { .. }
        | Effect::ContractCall { .. }
        | Effect::Opaque { .. }
        | Effect::PersonalMessage { .. } => effect.destination().is_none_or(|reached| reached == destination),
    }
}

/// Why a frozen withdrawal is denied. Without the moment of the decision, so that asking again is no news.
pub(crate) fn reasons(matching: &[FreezeFact]) -> Vec<Reason> {
    let reason = |fact: &FreezeFact| {
        let message = format!(
            "{} is frozen since {} ({})",
            fact.scope,
            fact.since.to_seconds(),
            fact.freeze
        );
        Reason::new(Tag::FreezeActive, message)
    };
    matching.iter().map(reason).collect()
}

#[cfg(test)]
mod tests {
    use countersign_types::{
        Amount, ConflictKey, KeyId, ParsedTransactionParts, PublicKey, Selector, SigningBytes, SigningPayload,
        TransactionDigest,
    };

    use super::*;
    use crate::testing::{Ask, CUSTOMER, DEMO, ETH, STRANGER, WALLET_KEY};

    const OTHER: &str = "eip155:1:0x70997970C51812dc3A010C7d01b50e0d17dc79C8";

    fn transfer() -> Effect {
        Effect::Transfer {
            asset: DEMO.parse().unwrap(),
            amount: Amount::from(1_u128),
            destination: CUSTOMER.parse().unwrap(),
        }
    }

    fn doing(effect: Effect) -> ParsedTransaction {
        let key: KeyId = WALLET_KEY.parse::<PublicKey>().unwrap().id();
        let fee = Effect::Fee {
            asset: ETH.parse().unwrap(),
            max: Amount::from(1_u128),
        };
        ParsedTransaction::new(ParsedTransactionParts {
            network: "eip155:31337".parse().unwrap(),
            wallet: "eth-hot".parse().unwrap(),
            transaction: TransactionDigest::of(b"bytes"),
            effects: vec![effect, fee],
            conflict_keys: Vec::<ConflictKey>::new(),
            signing_payloads: vec![SigningPayload::new(key, SigningBytes::EcdsaPrehash([1; 32]))],
            template: None,
            fee_units: None,
        })
        .unwrap()
    }

    fn fact(scope: &str) -> FreezeFact {
        FreezeFact {
            freeze: FreezeId::of(scope.as_bytes()),
            scope: scope.parse().unwrap(),
            since: Timestamp::from_unix_millis(0),
        }
    }

    fn is_stopped(scope: &str, effect: Option<Effect>) -> bool {
        let (request, initiator) = (Ask::default().request(), "payout-service".parse().unwrap());
        let parsed = effect.map(doing);
        let frozen = Frozen {
            request: &request,
            initiator: &initiator,
            parsed: parsed.as_ref(),
        };
        !frozen.matching(&[fact(scope)]).is_empty()
    }

    #[test]
    fn what_is_not_known_is_taken_for_what_is_frozen() {
        let call = Effect::ContractCall {
            contract: CUSTOMER.parse().unwrap(),
            selector: Selector([1; 4]),
            args: Vec::new(),
        };
        let opaque = Effect::Opaque {
            what: countersign_types::OpaqueKind::Calldata,
            target: None,
            bytes: vec![1],
        };
        let hand_over = Effect::AuthorityChange {
            subject: STRANGER.parse().unwrap(),
            scope: countersign_types::AuthorityScope::Owner,
            holder: Some(CUSTOMER.parse().unwrap()),
        };
        let (demo, eth) = (format!("asset {DEMO}"), format!("asset {ETH}"));
        let other = "asset eip155:31337/erc20:0x00000000000000000000000000000000000000aa".to_owned();
        let elsewhere = "asset eip155:1/slip44:60".to_owned();
        let (customer, stranger) = (format!("destination {CUSTOMER}"), format!("destination {STRANGER}"));
        let abroad = format!("destination {OTHER}");
        for (scope, effect, expected) in [
            (&demo, Some(transfer()), true),
            // The fee is paid in it.
            (&eth, Some(transfer()), true),
            (&other, Some(transfer()), false),
            (&other, Some(call.clone()), true),
            (&other, Some(opaque.clone()), true),
            (&other, None, true),
            (&elsewhere, Some(opaque.clone()), false),
            (&elsewhere, None, false),
            (&customer, Some(transfer()), true),
            (&stranger, Some(transfer()), false),
            (&customer, Some(call.clone()), true),
            (&stranger, Some(call), false),
            (&stranger, Some(opaque.clone()), true),
            (&stranger, Some(hand_over.clone()), true),
            (&customer, Some(hand_over), true),
            (&stranger, None, true),
            (&abroad, Some(opaque), false),
            (&abroad, Some(transfer()), false),
        ] {
            assert_eq!(is_stopped(scope, effect.clone()), expected, "{scope}, {effect:?}");
        }
    }

    #[test]
    fn too_many_stop_everything_and_an_entry_names_a_few() {
        let (request, initiator) = (Ask::default().request(), "payout-service".parse().unwrap());
        let parsed = doing(transfer());
        let frozen = Frozen {
            request: &request,
            initiator: &initiator,
            parsed: Some(&parsed),
        };
        let nobody = vec![fact("initiator nobody"); MAX_FREEZES];
        assert_eq!(frozen.matching(&nobody), []);
        let one_more = [nobody, vec![fact("initiator nobody")]].concat();
        assert_eq!(frozen.matching(&one_more).len(), MAX_ENTRY_FREEZES);
        // What an entry names stops the withdrawal again when the decision is taken again.
        let some = frozen.matching(&vec![fact("all"); MAX_FREEZES]);
        assert_eq!((some.len(), frozen.matching(&some)), (MAX_ENTRY_FREEZES, some.clone()));
    }

    #[test]
    fn one_cause_freezes_a_scope_once() {
        let wallet: FreezeScope = "wallet eth-hot".parse().unwrap();
        let spend = |txid: &str| FreezeCause::ForeignSpend {
            conflict_key: format!("account-nonce {CUSTOMER} 7").parse().unwrap(),
            txid: txid.to_owned(),
        };
        assert_eq!(spend("0xa").freeze(&wallet), spend("0xb").freeze(&wallet));
        assert_ne!(spend("0xa").freeze(&wallet), spend("0xa").freeze(&FreezeScope::All));
    }
}

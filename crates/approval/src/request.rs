//! The request: what an initiator asks for.

use std::collections::{BTreeMap, BTreeSet};

use countersign_types::{
    Amount, AssetId, AttributeName, AttributeValue, ChainId, Destination, PaymentReference, Reference, SubjectId,
    TemplateKind, TenantId, TransactionDigest, WalletId,
};
use serde::{Deserialize, Serialize};

use crate::{
    FeeCeiling,
    statement::{Bounded, is_line},
};

/// The most payments of one request: a payout batch that a person can still review.
pub const MAX_PAYMENTS: usize = 256;
/// The most other effects of one request.
pub const MAX_REQUEST_EFFECTS: usize = 64;
/// The most attributes of one request.
pub const MAX_ATTRIBUTES: usize = 16;
/// The longest line of an other effect.
const MAX_EFFECT_LINE_BYTES: usize = 4_096;

/// A request statement's body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Whose withdrawal.
    pub tenant: TenantId,
    /// The caller's name of it; with the tenant it fixes this request for ever.
    pub reference: Reference,
    /// The wallet that pays.
    pub wallet: WalletId,
    /// The network (CAIP-2).
    pub network: ChainId,
    /// Every transfer of the transaction, one to one.
    pub payments: Vec<Payment>,
    /// Every other effect except own change and fee, as its `effects/v1` line.
    pub effects: Vec<String>,
    /// The most that any attempt's fee may be.
    pub fee_ceiling: FeeCeiling,
    /// Which bytes may be signed for it.
    pub transaction: TransactionBinding,
    /// What the initiator says of the request, for rules to look at and approvers to read. It says nothing about the bytes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<AttributeName, AttributeValue>,
}

/// One payment of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Payment {
    /// The caller's name of it; signed under one request only.
    pub reference: PaymentReference,
    /// The customer behind it.
    pub subject: Option<SubjectId>,
    /// What (CAIP-19).
    pub asset: AssetId,
    /// How much, in base units.
    pub amount: Amount,
    /// To whom (CAIP-10).
    pub destination: Destination,
}

/// Which bytes may be signed for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TransactionBinding {
    /// These bytes and no others.
    Exact(TransactionDigest),
    /// Any bytes with exactly the requested effects; the template says what else may vary.
    Template(TemplateKind),
}

impl Bounded for Request {
    fn certify(&self) -> Result<(), String> {
        if self.payments.is_empty() && self.effects.is_empty() {
            return Err("a request needs at least one payment or effect".to_owned());
        }
        if self.payments.len() > MAX_PAYMENTS {
            return Err(format!(
                "`payments` has {} items; at most {MAX_PAYMENTS} are accepted",
                self.payments.len()
            ));
        }
        if self.effects.len() > MAX_REQUEST_EFFECTS {
            return Err(format!(
                "`effects` has {} items; at most {MAX_REQUEST_EFFECTS} are accepted",
                self.effects.len()
            ));
        }
        if self.attributes.len() > MAX_ATTRIBUTES {
            let found = self.attributes.len();
            return Err(format!(
                "`attributes` has {found} items; at most {MAX_ATTRIBUTES} are accepted"
            ));
        }
        let is_effect = |line: &String| !line.is_empty() && is_line(line, MAX_EFFECT_LINE_BYTES);
        if !self.effects.iter().all(is_effect) {
            return Err(format!(
                "an effect is one line of 1 to {MAX_EFFECT_LINE_BYTES} printable ASCII characters"
            ));
        }
        let mut references = BTreeSet::new();
        for payment in &self.payments {
            if !references.insert(&payment.reference) {
                return Err(format!("payment reference `{}` stands twice", payment.reference));
            }
            if *payment.asset.chain() != self.network || *payment.destination.chain() != self.network {
                return Err(format!(
                    "payment `{}` is not on network `{}`",
                    payment.reference, self.network
                ));
            }
        }
        if *self.fee_ceiling.asset.chain() != self.network {
            return Err(format!("the fee ceiling's asset is not on network `{}`", self.network));
        }
        Ok(())
    }
}

//! A withdrawal as the orchestrator tells it, in types. Advice.

use countersign_proto::{fields, v1};
use countersign_types::{ChainId, Reference, RuleId, Tag, TenantId, Timestamp, WalletId, WithdrawalId};

use crate::{ClientError, MissingApprovals};

/// Where a withdrawal stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Durable, not decided yet.
    Received,
    /// Approvals or a time-lock are outstanding.
    PendingApproval,
    /// The last attempt was denied, not for good.
    Refused,
    /// The last attempt was not understood.
    Malformed,
    /// Signed.
    Signed,
    /// Denied for good.
    Denied,
    /// Cancelled before anything was signed.
    Cancelled,
    /// Expired before anything was signed.
    Expired,
    /// A freeze holds it; it goes on by itself once the freeze is thawed.
    Frozen,
    /// Signed, and a later attempt is being decided.
    Replacing,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 10] = [
        Self::Received,
        Self::PendingApproval,
        Self::Refused,
        Self::Malformed,
        Self::Signed,
        Self::Denied,
        Self::Cancelled,
        Self::Expired,
        Self::Frozen,
        Self::Replacing,
    ];

    pub(crate) fn wire(self) -> v1::WithdrawalState {
        match self {
            Self::Received => v1::WithdrawalState::Received,
            Self::PendingApproval => v1::WithdrawalState::PendingApproval,
            Self::Refused => v1::WithdrawalState::Refused,
            Self::Malformed => v1::WithdrawalState::Malformed,
            Self::Signed => v1::WithdrawalState::Signed,
            Self::Denied => v1::WithdrawalState::Denied,
            Self::Cancelled => v1::WithdrawalState::Cancelled,
            Self::Expired => v1::WithdrawalState::Expired,
            Self::Frozen => v1::WithdrawalState::Frozen,
            Self::Replacing => v1::WithdrawalState::Replacing,
        }
    }

    fn parse(number: i32) -> Result<Self, ClientError> {
        let known = v1::WithdrawalState::try_from(number).ok();
        let named = Self::ALL.into_iter().find(|state| Some(state.wire()) == known);
        named.ok_or(ClientError::BadAnswer { field: "state" })
    }

    /// The name in texts.
    pub fn as_str(self) -> &'static str {
        self.wire().text()
    }
}

/// One reason of a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// The tag as text, also one that this version does not know.
    pub tag: String,
    /// The rule that gave the reason.
    pub rule: Option<RuleId>,
    /// For people, from the server: escape it before you show it.
    pub message: String,
}

impl Reason {
    /// The tag, if this version knows it.
    pub fn known_tag(&self) -> Option<Tag> {
        self.tag.parse().ok()
    }
}

/// One unsigned transaction under a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// From 1.
    pub number: u32,
    /// As it was submitted.
    pub unsigned_transaction: Vec<u8>,
    /// The raw signed transaction and its id, once signed, as the orchestrator says. That it is the unsigned one with signatures,
    /// `Registry::identify` of `countersign-chains` tells.
    pub signed: Option<(Vec<u8>, String)>,
    /// The orchestrator's word that it came with a cancel; no proof that it pays nobody. Believed, it could have a payment booked as not
    /// made, and made again: decode the bytes first (`takes_the_place` of `countersign-decision`; `countersign withdraw show` does so).
    /// Of a payment and what takes its place either may land.
    pub labelled_cancel: bool,
}

/// A withdrawal.
#[derive(Debug, Clone, PartialEq)]
pub struct Withdrawal {
    /// Its id: the request's digest.
    pub id: WithdrawalId,
    /// Its tenant.
    pub tenant: TenantId,
    /// The caller's name of it.
    pub reference: Reference,
    /// The wallet that pays.
    pub wallet: WalletId,
    /// The network.
    pub network: ChainId,
    /// Where it stands.
    pub state: State,
    /// In order.
    pub attempts: Vec<Attempt>,
    /// Of the last decision.
    pub reasons: Vec<Reason>,
    /// Seats that are not filled.
    pub missing: Vec<MissingApprovals>,
    /// When it became durable.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When a time-lock runs out, if there is one.
    pub not_before: Option<Timestamp>,
    /// Grows with every change.
    pub revision: u64,
}

fn parse<T: std::str::FromStr>(field: &'static str, text: &str) -> Result<T, ClientError> {
    text.parse().map_err(|_| ClientError::BadAnswer { field })
}

fn parse_attempt(attempt: v1::Attempt) -> Attempt {
    let is_signed = !attempt.signed_transaction.is_empty();
    Attempt {
        number: attempt.number,
        unsigned_transaction: attempt.unsigned_transaction,
        signed: is_signed.then_some((attempt.signed_transaction, attempt.txid)),
        labelled_cancel: attempt.cancels,
    }
}

fn parse_reason(reason: v1::Reason) -> Result<Reason, ClientError> {
    let rule = match reason.rule.as_str() {
        "" => None,
        rule => Some(parse("rule", rule)?),
    };
    Ok(Reason {
        tag: reason.tag,
        rule,
        message: reason.message,
    })
}

impl Withdrawal {
    pub(crate) fn parse(wire: Option<v1::Withdrawal>) -> Result<Self, ClientError> {
        let wire = wire.ok_or(ClientError::BadAnswer { field: "withdrawal" })?;
        let id = fields::parse_withdrawal_id(&wire.id).map_err(|_| ClientError::BadAnswer { field: "id" })?;
        let reasons: Result<Vec<Reason>, ClientError> = wire.reasons.into_iter().map(parse_reason).collect();
        Ok(Self {
            id,
            tenant: parse("tenant", &wire.tenant)?,
            reference: parse("reference", &wire.reference)?,
            wallet: parse("wallet", &wire.wallet)?,
            network: parse("network", &wire.network)?,
            state: State::parse(wire.state)?,
            attempts: wire.attempts.into_iter().map(parse_attempt).collect(),
            reasons: reasons?,
            missing: wire.missing,
            created_at: Timestamp::from_unix_millis(wire.created_at_ms),
            updated_at: Timestamp::from_unix_millis(wire.updated_at_ms),
            not_before: (wire.not_before_ms > 0).then(|| Timestamp::from_unix_millis(wire.not_before_ms)),
            revision: wire.revision,
        })
    }

    /// An answer about this withdrawal and no other.
    pub(crate) fn expect(self, id: &WithdrawalId) -> Result<Self, ClientError> {
        if self.id == *id {
            return Ok(self);
        }
        Err(ClientError::OtherSubject {
            expected: id.to_string(),
            found: self.id.to_string(),
        })
    }

    /// The latest signed attempt, which may be a cancel attempt.
    pub fn signed(&self) -> Option<(&[u8], &str)> {
        let signed = self.attempts.iter().rev().find_map(|attempt| attempt.signed.as_ref());
        signed.map(|(bytes, txid)| (bytes.as_slice(), txid.as_str()))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use countersign_types::RequestDigest;

    use super::*;

    pub(crate) fn wire() -> v1::Withdrawal {
        v1::Withdrawal {
            id: WithdrawalId::of(RequestDigest::of(b"{}")).to_string(),
            tenant: "exchange".to_owned(),
            reference: "w-1".to_owned(),
            wallet: "eth-hot".to_owned(),
            network: "eip155:1".to_owned(),
            state: v1::WithdrawalState::Signed.into(),
            attempts: vec![v1::Attempt {
                number: 1,
                signed_transaction: vec![1],
                txid: "0x1".into(),
                cancels: true,
                ..Default::default()
            }],
            reasons: vec![v1::Reason {
                tag: "future/tag".into(),
                rule: "pay".into(),
                message: "m".into(),
            }],
            ..Default::default()
        }
    }

    #[test]
    fn a_whole_withdrawal_parses() {
        let withdrawal = Withdrawal::parse(Some(wire())).unwrap();
        assert_eq!(withdrawal.signed(), Some((&[1][..], "0x1")));
        assert!(withdrawal.attempts[0].labelled_cancel);
        assert_eq!(withdrawal.reasons[0].known_tag(), None);
        assert_eq!(withdrawal.not_before, None);
        assert!(withdrawal.clone().expect(&withdrawal.id).is_ok());
        let other = WithdrawalId::of(RequestDigest::of(b"other"));
        assert!(matches!(
            withdrawal.expect(&other),
            Err(ClientError::OtherSubject { .. })
        ));
    }

    #[test]
    fn one_mutation_is_a_bad_answer_that_names_its_field() {
        type Mutation = fn(&mut v1::Withdrawal);
        let mutations: [(&str, Mutation); 7] = [
            ("id", |w| w.id.push('a')),
            ("tenant", |w| w.tenant = "Exchange\u{202e}".to_owned()),
            ("reference", |w| w.reference.clear()),
            ("wallet", |w| w.wallet = "a b".to_owned()),
            ("network", |w| w.network = "mainnet".to_owned()),
            ("state", |w| w.state = 0),
            ("rule", |w| w.reasons[0].rule = "\u{1b}[2J".to_owned()),
        ];
        for (expected, mutate) in mutations {
            let mut wire = wire();
            mutate(&mut wire);
            let error = Withdrawal::parse(Some(wire)).unwrap_err();
            assert!(
                matches!(error, ClientError::BadAnswer { field } if field == expected),
                "{error}"
            );
        }
        assert!(Withdrawal::parse(None).is_err());
    }

    #[test]
    fn states_round_trip() {
        for number in 1..=10 {
            let state = State::parse(number).unwrap();
            assert_eq!(i32::from(state.wire()), number);
            assert!(State::ALL.contains(&state), "{state:?}");
        }
        assert!(State::parse(11).is_err());
    }
}

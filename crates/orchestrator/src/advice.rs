//! What a statement says about itself, unverified: enough to file it, never a reason to believe it.
//!
//! The orchestrator links no statement code, on purpose: it cannot grant anything, so it need not judge anything. The ids
//! below are digests of the payload bytes, which the signer computes again from the same bytes.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use countersign_types::{
    ChainId, Reference, RequestDigest, StatementDigest, Tag, TenantId, Timestamp, UtcSeconds, WalletId, WithdrawalId,
};
use serde::{Deserialize, de::IgnoredAny};

mod word;

pub(crate) use word::Word;

/// Most withdrawals that one statement may name.
pub const MAX_ITEMS: usize = 100;

const PREFIX: &str = "application/vnd.countersign.";
const SUFFIX: &str = ".v1+json";

/// Why an envelope cannot be filed.
#[derive(Debug, thiserror::Error)]
pub enum AdviceError {
    /// Not a DSSE envelope of a payload in standard base64.
    #[error("the statement is not a DSSE envelope: {0}")]
    Envelope(String),
    /// The payload lacks what it is filed under.
    #[error("the payload of the {kind} cannot be read: {problem}")]
    Payload {
        /// The kind that the payload type names.
        kind: &'static str,
        /// What is wrong, and where.
        problem: String,
    },
    /// A payload type that is not taken here.
    #[error("a statement of type `{found}` is not taken here; {expected} is")]
    Kind {
        /// What was sent.
        found: String,
        /// What is taken.
        expected: &'static str,
    },
    /// No withdrawal, or more than [`MAX_ITEMS`].
    #[error("the statement names {0} withdrawals; 1 to {MAX_ITEMS} are accepted")]
    BadItemCount(usize),
    /// A cancel attempt came with a cancel that lets it pay no fee.
    #[error("the cancel names no `fee_ceiling`, so nothing may be signed in the place of what is signed")]
    NoFeeCeiling,
}

impl AdviceError {
    /// The stable tag.
    pub fn tag(&self) -> Tag {
        match self {
            Self::Envelope(_) | Self::Payload { .. } | Self::BadItemCount(_) => Tag::StatementMalformed,
            Self::Kind { .. } => Tag::StatementUnknownKind,
            Self::NoFeeCeiling => Tag::MessageInvalid,
        }
    }
}

/// What a request statement says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestAdvice {
    /// Its withdrawal: the digest of the payload bytes.
    pub id: WithdrawalId,
    /// Whose.
    pub tenant: TenantId,
    /// The caller's name of it.
    pub reference: Reference,
    /// The wallet that pays.
    pub wallet: WalletId,
    /// The network.
    pub network: ChainId,
    /// When nobody may sign it any more.
    pub expires_at: Timestamp,
}

/// The kinds of statements about withdrawals that are taken from callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StatementKind {
    /// A yes.
    Approval,
    /// A no.
    Rejection,
    /// The initiator or an officer takes it back.
    Cancel,
    /// The initiator or an officer raises the fee ceiling.
    Replace,
    /// What an observer's own node has of the chain.
    Observation,
    /// What a source says that an asset is worth.
    Price,
    /// What a service found about a payment.
    Screening,
    /// What an address book says of a destination.
    AddressBook,
}

impl StatementKind {
    const ALL: [Self; 8] = [
        Self::Approval,
        Self::Rejection,
        Self::Cancel,
        Self::Replace,
        Self::Observation,
        Self::Price,
        Self::Screening,
        Self::AddressBook,
    ];
    /// What attesters bring.
    pub const ATTESTED: [Self; 3] = [Self::Price, Self::Screening, Self::AddressBook];

    /// The word in the payload type; stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Approval => "approval",
            Self::Rejection => "rejection",
            Self::Cancel => "cancel",
            Self::Replace => "replace",
            Self::Observation => "observation",
            Self::Price => "price",
            Self::Screening => "screening",
            Self::AddressBook => "address-book",
        }
    }

    /// The kind of a stored word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// What an approval, a rejection, a cancel or a replace says, or for what an observation was brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatementAdvice {
    /// Its replay identity.
    pub digest: StatementDigest,
    /// Its kind.
    pub kind: StatementKind,
    /// The withdrawals it is about, each once.
    pub withdrawals: Vec<WithdrawalId>,
}

#[derive(Deserialize)]
struct Envelope {
    #[serde(rename = "payloadType")]
    payload_type: String,
    payload: String,
}

/// A payload as far as it is filed; the body depends on the kind.
#[derive(Deserialize)]
struct Payload<B> {
    expires_at: UtcSeconds,
    body: B,
}

#[derive(Deserialize)]
struct RequestBody {
    tenant: TenantId,
    reference: Reference,
    wallet: WalletId,
    network: ChainId,
}

#[derive(Deserialize)]
struct ItemsBody {
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    withdrawal: WithdrawalId,
}

#[derive(Deserialize)]
struct CancelBody {
    fee_ceiling: Option<IgnoredAny>,
}

/// Enough to tell an attestation from a mistake.
#[derive(Deserialize)]
#[expect(dead_code, reason = "read to refuse what lacks it, and used by the signer only")]
struct AttestationBody {
    sequence: u64,
}

/// Enough to tell an observation from a mistake.
#[derive(Deserialize)]
#[expect(dead_code, reason = "read to refuse what lacks it, and used by the signer only")]
struct ObservationBody {
    network: ChainId,
    sequence: u64,
}

struct Opened {
    payload_type: String,
    payload: Vec<u8>,
}

impl Opened {
    fn parse(envelope: &[u8]) -> Result<Self, AdviceError> {
        let bad = |problem: &dyn std::fmt::Display| AdviceError::Envelope(problem.to_string());
        let envelope: Envelope = serde_json::from_slice(envelope).map_err(|error| bad(&error))?;
        let payload = BASE64_STANDARD.decode(&envelope.payload).map_err(|error| bad(&error))?;
        Ok(Self {
            payload_type: envelope.payload_type,
            payload,
        })
    }

    fn kind(&self) -> &str {
        let inner = self.payload_type.strip_prefix(PREFIX);
        inner.and_then(|rest| rest.strip_suffix(SUFFIX)).unwrap_or_default()
    }

    fn wrong_kind(&self, expected: &'static str) -> AdviceError {
        AdviceError::Kind {
            found: self
                .payload_type
                .chars()
                .take(100)
                .flat_map(char::escape_default)
                .collect(),
            expected,
        }
    }

    fn read<'a, B: Deserialize<'a>>(&'a self, kind: &'static str) -> Result<Payload<B>, AdviceError> {
        serde_json::from_slice(&self.payload).map_err(|error| AdviceError::Payload {
            kind,
            problem: error.to_string(),
        })
    }

    fn digest(&self) -> StatementDigest {
        StatementDigest::of(&[self.payload_type.as_bytes(), b"\n", &self.payload].concat())
    }
}

impl RequestAdvice {
    /// Reads a request envelope.
    pub fn parse(envelope: &[u8]) -> Result<Self, AdviceError> {
        let opened = Opened::parse(envelope)?;
        if opened.kind() != "request" {
            return Err(opened.wrong_kind("a request"));
        }
        let payload: Payload<RequestBody> = opened.read("request")?;
        Ok(Self {
            id: WithdrawalId::of(RequestDigest::of(&opened.payload)),
            tenant: payload.body.tenant,
            reference: payload.body.reference,
            wallet: payload.body.wallet,
            network: payload.body.network,
            expires_at: payload.expires_at.to_timestamp(),
        })
    }
}

impl StatementAdvice {
    /// Reads an approval or a rejection.
    pub fn parse_decision(envelope: &[u8]) -> Result<Self, AdviceError> {
        let opened = Opened::parse(envelope)?;
        let kind = match StatementKind::parse(opened.kind()) {
            Some(kind @ (StatementKind::Approval | StatementKind::Rejection)) => kind,
            Some(
                StatementKind::Cancel
                | StatementKind::Replace
                | StatementKind::Observation
                | StatementKind::Price
                | StatementKind::Screening
                | StatementKind::AddressBook,
            )
            | None => {
                return Err(opened.wrong_kind("an approval or a rejection"));
            }
        };
        let body: ItemsBody = opened.read(kind.as_str())?.body;
        let count = body.items.len();
        if count == 0 || count > MAX_ITEMS {
            return Err(AdviceError::BadItemCount(count));
        }
        let mut withdrawals: Vec<WithdrawalId> = body.items.into_iter().map(|item| item.withdrawal).collect();
        withdrawals.sort_unstable();
        withdrawals.dedup();
        Ok(Self {
            digest: opened.digest(),
            kind,
            withdrawals,
        })
    }

    /// Reads a cancel.
    pub fn parse_cancel(envelope: &[u8]) -> Result<Self, AdviceError> {
        Self::parse_one(envelope, StatementKind::Cancel, "a cancel")
    }

    /// Reads a cancel that a cancel attempt comes with.
    pub fn parse_cancel_of_signed(envelope: &[u8]) -> Result<Self, AdviceError> {
        let cancel = Self::parse_cancel(envelope)?;
        let body: CancelBody = Opened::parse(envelope)?.read(StatementKind::Cancel.as_str())?.body;
        body.fee_ceiling.map(|_| cancel).ok_or(AdviceError::NoFeeCeiling)
    }

    /// Reads a replace statement.
    pub fn parse_replace(envelope: &[u8]) -> Result<Self, AdviceError> {
        Self::parse_one(envelope, StatementKind::Replace, "a replace statement")
    }

    /// Reads a statement of a kind that names one withdrawal.
    fn parse_one(envelope: &[u8], kind: StatementKind, expected: &'static str) -> Result<Self, AdviceError> {
        let opened = Opened::parse(envelope)?;
        if opened.kind() != kind.as_str() {
            return Err(opened.wrong_kind(expected));
        }
        let item: Item = opened.read(kind.as_str())?.body;
        Ok(Self {
            digest: opened.digest(),
            kind,
            withdrawals: vec![item.withdrawal],
        })
    }

    /// Reads an observation. It names no withdrawal: who brings it says which one needs it. What it observes is for the signer.
    pub fn parse_observation(envelope: &[u8], withdrawal: WithdrawalId) -> Result<Self, AdviceError> {
        let opened = Opened::parse(envelope)?;
        if opened.kind() != StatementKind::Observation.as_str() {
            return Err(opened.wrong_kind("an observation"));
        }
        let _: Payload<ObservationBody> = opened.read(StatementKind::Observation.as_str())?;
        Ok(Self {
            digest: opened.digest(),
            kind: StatementKind::Observation,
            withdrawals: vec![withdrawal],
        })
    }

    /// Reads a price, a screening or an address-book entry; who brings it says which withdrawal needs it.
    pub fn parse_attestation(envelope: &[u8], withdrawal: WithdrawalId) -> Result<Self, AdviceError> {
        let opened = Opened::parse(envelope)?;
        let mut kinds = StatementKind::ATTESTED.into_iter();
        let kind = kinds.find(|kind| kind.as_str() == opened.kind());
        let kind = kind.ok_or_else(|| opened.wrong_kind("a price, a screening or an address-book entry"))?;
        let _: Payload<AttestationBody> = opened.read(kind.as_str())?;
        Ok(Self {
            digest: opened.digest(),
            kind,
            withdrawals: vec![withdrawal],
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    /// The layout that `countersign-approval` writes.
    pub(super) fn payload(kind: &str, body: Value) -> Value {
        json!({
            "kind": kind, "deployment": format!("sha256:{}", "00".repeat(32)), "epoch": 0, "nonce": "00".repeat(16),
            "issued_at": "2025-12-31T00:00:00Z", "expires_at": "2026-01-01T00:00:00Z", "body": body
        })
    }

    fn request() -> Value {
        let body = json!({
            "tenant": "exchange", "reference": "w-1", "wallet": "eth-hot", "network": "eip155:31337", "payments": [],
            "effects": [], "fee_ceiling": {}, "transaction": {}
        });
        payload("request", body)
    }

    pub(super) fn envelope(kind: &str, payload: &Value) -> Vec<u8> {
        let payload = BASE64_STANDARD.encode(payload.to_string());
        let envelope = json!({
            "payloadType": format!("application/vnd.countersign.{kind}.v1+json"), "payload": payload,
            "signatures": [{"keyid": "alice", "sig": "AA=="}]
        });
        envelope.to_string().into_bytes()
    }

    #[test]
    fn a_request_is_filed_under_its_digest() {
        let advice = RequestAdvice::parse(&envelope("request", &request())).unwrap();
        assert_eq!(advice.id.request(), RequestDigest::of(request().to_string().as_bytes()));
        assert_eq!((advice.tenant.as_str(), advice.reference.as_str()), ("exchange", "w-1"));
        assert_eq!(advice.expires_at.to_string(), "2026-01-01T00:00:00Z");
    }

    #[test]
    fn signatures_are_no_part_of_the_identity() {
        let one = envelope("request", &request());
        let other = String::from_utf8(one.clone())
            .unwrap()
            .replace("AA==", "BB==")
            .into_bytes();
        assert_ne!(one, other);
        assert_eq!(
            RequestAdvice::parse(&one).unwrap(),
            RequestAdvice::parse(&other).unwrap()
        );
    }

    #[test]
    fn one_mutation_is_refused() {
        let with = |field: &str, value: Value| {
            let mut payload = request();
            match field {
                "expires_at" | "body" => payload[field] = value,
                field => payload["body"][field] = value,
            }
            envelope("request", &payload)
        };
        let malformed = [
            b"{}".to_vec(),
            b"not json".to_vec(),
            br#"{"payloadType":"application/vnd.countersign.request.v1+json","payload":"%%"}"#.to_vec(),
            with("tenant", json!("Exchange")),
            with("tenant", Value::Null),
            with("reference", json!("")),
            with("wallet", json!("a b")),
            with("network", json!("ethereum")),
            with("expires_at", json!("tomorrow")),
            with("body", json!([])),
        ];
        for bytes in malformed {
            let error = RequestAdvice::parse(&bytes).unwrap_err();
            assert_eq!(error.tag(), Tag::StatementMalformed, "{error}");
        }
        for kind in ["approval", "Request", "request.v1+json\n", ""] {
            let error = RequestAdvice::parse(&envelope(kind, &request())).unwrap_err();
            assert_eq!(error.tag(), Tag::StatementUnknownKind, "{kind}");
        }
    }

    #[test]
    fn a_decision_names_each_withdrawal_once() {
        let id = |n: u8| WithdrawalId::of(RequestDigest::of(&[n]));
        let items = |ids: &[WithdrawalId]| {
            let items: Vec<Value> = ids.iter().map(|id| json!({"withdrawal": id, "effects": "…"})).collect();
            payload("approval", json!({ "items": items }))
        };
        let read = |kind: &str, ids: &[WithdrawalId]| StatementAdvice::parse_decision(&envelope(kind, &items(ids)));
        let advice = read("approval", &[id(1), id(2), id(1)]).unwrap();
        assert_eq!(advice.withdrawals.len(), 2);
        assert_eq!(advice.kind, StatementKind::Approval);
        assert_eq!(read("rejection", &[id(1)]).unwrap().kind, StatementKind::Rejection);
        assert_eq!(read("approval", &[]).unwrap_err().tag(), Tag::StatementMalformed);
        let many: Vec<WithdrawalId> = (0..=100).map(id).collect();
        assert_eq!(read("approval", &many).unwrap_err().tag(), Tag::StatementMalformed);
        assert_eq!(read("cancel", &[id(1)]).unwrap_err().tag(), Tag::StatementUnknownKind);
        let cancel = envelope("cancel", &payload("cancel", json!({"withdrawal": id(3), "reason": ""})));
        assert_eq!(StatementAdvice::parse_cancel(&cancel).unwrap().withdrawals, [id(3)]);
        let error = StatementAdvice::parse_cancel_of_signed(&cancel).unwrap_err();
        assert_eq!(error.tag(), Tag::MessageInvalid, "{error}");
        let ceiling = json!({"withdrawal": id(3), "fee_ceiling": {}, "reason": ""});
        let with_ceiling = envelope("cancel", &payload("cancel", ceiling));
        let advice = StatementAdvice::parse_cancel_of_signed(&with_ceiling).unwrap();
        assert_eq!(advice, StatementAdvice::parse_cancel(&with_ceiling).unwrap());
        let replace = payload("replace", json!({"withdrawal": id(4), "fee_ceiling": {}, "reason": ""}));
        let replace = envelope("replace", &replace);
        let advice = StatementAdvice::parse_replace(&replace).unwrap();
        assert_eq!((advice.kind, advice.withdrawals), (StatementKind::Replace, vec![id(4)]));
        for refused in [
            StatementAdvice::parse_replace(&cancel),
            StatementAdvice::parse_cancel(&replace),
            StatementAdvice::parse_cancel_of_signed(&replace),
            StatementAdvice::parse_decision(&replace),
        ] {
            assert_eq!(refused.unwrap_err().tag(), Tag::StatementUnknownKind);
        }
        assert_eq!(
            StatementAdvice::parse_decision(&cancel).unwrap_err().tag(),
            Tag::StatementUnknownKind
        );
    }

    #[test]
    fn an_observation_is_filed_under_the_withdrawal_it_is_brought_for() {
        let id = WithdrawalId::of(RequestDigest::of(b"w"));
        let read = |kind: &str, body: Value| {
            StatementAdvice::parse_observation(&envelope(kind, &payload("observation", body)), id)
        };
        let good = || json!({"network": "eip155:31337", "sequence": 1, "height": 9, "facts": []});
        let advice = read("observation", good()).unwrap();
        assert_eq!(
            (advice.kind, advice.withdrawals),
            (StatementKind::Observation, vec![id])
        );
        for body in [
            json!({"sequence": 1}),
            json!({"network": "x", "sequence": 1}),
            json!({"network": "eip155:1"}),
        ] {
            assert_eq!(read("observation", body).unwrap_err().tag(), Tag::StatementMalformed);
        }
        for kind in ["approval", "rejection", "cancel", "request", "activation"] {
            assert_eq!(
                read(kind, good()).unwrap_err().tag(),
                Tag::StatementUnknownKind,
                "{kind}"
            );
        }
        let observation = envelope("observation", &payload("observation", good()));
        for other in [
            StatementAdvice::parse_decision(&observation),
            StatementAdvice::parse_cancel(&observation),
        ] {
            assert_eq!(other.unwrap_err().tag(), Tag::StatementUnknownKind);
        }
    }

    #[test]
    fn attestations_are_filed_under_the_withdrawal_they_are_brought_for() {
        let id = WithdrawalId::of(RequestDigest::of(b"w"));
        let read =
            |kind: &str, body: Value| StatementAdvice::parse_attestation(&envelope(kind, &payload(kind, body)), id);
        for kind in StatementKind::ATTESTED {
            let advice = read(kind.as_str(), json!({"sequence": 1})).unwrap();
            assert_eq!((advice.kind, advice.withdrawals), (kind, vec![id]));
            let lacking = read(kind.as_str(), json!({"asset": "x"})).unwrap_err();
            assert_eq!(lacking.tag(), Tag::StatementMalformed, "{kind:?}");
        }
        for kind in ["approval", "rejection", "cancel", "request", "observation"] {
            let error = read(kind, json!({"sequence": 1})).unwrap_err();
            assert_eq!(error.tag(), Tag::StatementUnknownKind, "{kind}");
        }
        let price = envelope("price", &payload("price", json!({"sequence": 1})));
        for other in [
            StatementAdvice::parse_decision(&price),
            StatementAdvice::parse_cancel(&price),
            StatementAdvice::parse_observation(&price, id),
        ] {
            assert_eq!(other.unwrap_err().tag(), Tag::StatementUnknownKind);
        }
    }

    proptest! {
        #[test]
        fn parsing_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            drop(RequestAdvice::parse(&bytes));
            drop(Word::parse(&bytes));
            drop(StatementAdvice::parse_decision(&bytes));
            drop(StatementAdvice::parse_cancel(&bytes));
            drop(StatementAdvice::parse_cancel_of_signed(&bytes));
            drop(StatementAdvice::parse_replace(&bytes));
            drop(StatementAdvice::parse_attestation(&bytes, WithdrawalId::of(RequestDigest::of(&bytes))));
            drop(StatementAdvice::parse_observation(&bytes, WithdrawalId::of(RequestDigest::of(&bytes))));
        }
    }
}

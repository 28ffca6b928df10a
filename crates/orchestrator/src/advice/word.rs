//! What an attestation says it is about, unverified: a later one of the same service takes its place.

use serde::{Deserialize, de::IgnoredAny};

use super::{AdviceError, Opened, Payload, StatementKind};

/// One service's word about one matter, as its envelope has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word {
    /// Who says so: the key id of the only signature, and what is spoken about.
    about: Vec<String>,
    /// The service's own count.
    sequence: u64,
    /// Whether it speaks for a payment. What speaks against one is never replaced.
    is_passing: bool,
}

#[derive(Deserialize)]
struct Signatures {
    signatures: [KeyId; 1],
}

#[derive(Deserialize)]
struct KeyId {
    keyid: String,
}

#[derive(Deserialize)]
struct Quote {
    asset: String,
    currency: String,
    sequence: u64,
}

#[derive(Deserialize)]
struct Screening {
    check: String,
    withdrawal: String,
    destination: String,
    asset: String,
    result: String,
    sequence: u64,
}

#[derive(Deserialize)]
struct BookEntry {
    tenant: String,
    subject: String,
    destination: String,
    entry: BookState,
    sequence: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum BookState {
    Registered(IgnoredAny),
    Removed,
}

impl Word {
    /// Reads an attestation; `None` for other statements.
    pub(crate) fn parse(envelope: &[u8]) -> Result<Option<Self>, AdviceError> {
        let opened = Opened::parse(envelope)?;
        let Some(kind) = StatementKind::parse(opened.kind()) else {
            return Ok(None);
        };
        let (mut about, sequence, is_passing) = match kind {
            StatementKind::Price => {
                let Payload { body, .. } = opened.read::<Quote>(kind.as_str())?;
                (vec![body.asset, body.currency], body.sequence, true)
            }
            StatementKind::Screening => {
                let Payload { body, .. } = opened.read::<Screening>(kind.as_str())?;
                let about = vec![body.check, body.withdrawal, body.destination, body.asset];
                (about, body.sequence, body.result == "pass")
            }
            StatementKind::AddressBook => {
                let Payload { body, .. } = opened.read::<BookEntry>(kind.as_str())?;
                let is_passing = matches!(body.entry, BookState::Registered(_));
                (
                    vec![body.tenant, body.subject, body.destination],
                    body.sequence,
                    is_passing,
                )
            }
            StatementKind::Approval
            | StatementKind::Rejection
            | StatementKind::Cancel
            | StatementKind::Replace
            | StatementKind::Observation => return Ok(None),
        };
        let signed: Signatures =
            serde_json::from_slice(envelope).map_err(|error| AdviceError::Envelope(error.to_string()))?;
        about.extend(signed.signatures.into_iter().map(|signature| signature.keyid));
        about.push(kind.as_str().to_owned());
        Ok(Some(Self {
            about,
            sequence,
            is_passing,
        }))
    }

    /// Whether it speaks for a payment, and another one speaks about the same with a later number.
    pub(crate) fn is_replaced_by(&self, other: &Self) -> bool {
        self.is_passing && self.about == other.about && self.sequence < other.sequence
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{
        super::tests::{envelope, payload},
        *,
    };

    fn word(kind: &str, body: &Value) -> Option<Word> {
        Word::parse(&envelope(kind, &payload(kind, body.clone()))).unwrap()
    }

    #[test]
    fn a_later_word_on_the_same_matter_replaces_what_speaks_for_a_payment() {
        let quote = json!({"asset": "a", "currency": "USD", "price": "1", "sequence": 7});
        let screening = json!({
            "check": "sanctions", "withdrawal": "wd_1", "destination": "d", "asset": "a", "amount": "1",
            "result": "pass", "sequence": 7
        });
        let changed = |body: &Value, field: &str, value: Value| {
            let mut body = body.clone();
            body[field] = value;
            body
        };
        let entry = json!({
            "tenant": "main", "subject": "s", "destination": "d", "entry": {"registered": {"at": "2026-01-01T00:00:00Z"}},
            "sequence": 7
        });
        for (kind, body) in [("price", &quote), ("screening", &screening), ("address-book", &entry)] {
            let first = word(kind, body).unwrap();
            let is_replaced = |other: &Value| first.is_replaced_by(&word(kind, other).unwrap());
            assert!(is_replaced(&changed(body, "sequence", json!(8))), "{kind}");
            assert!(!is_replaced(body), "{kind}: by the same number");
            let later = changed(body, "sequence", json!(8));
            let matter: &[&str] = match kind {
                "price" => &["asset", "currency"],
                "screening" => &["check", "withdrawal", "destination", "asset"],
                _ => &["tenant", "subject", "destination"],
            };
            for field in matter {
                assert!(!is_replaced(&changed(&later, field, json!("other"))), "{kind}: {field}");
            }
            let text = String::from_utf8(envelope(kind, &payload(kind, later))).unwrap();
            let other = Word::parse(text.replace("alice", "bob").as_bytes()).unwrap().unwrap();
            assert!(!first.is_replaced_by(&other), "{kind}: of another service");
        }
        let failed = changed(&screening, "result", json!("fail"));
        let [passed, failed] = [screening, failed].map(|body| word("screening", &body).unwrap());
        let later = Word {
            sequence: 8,
            ..failed.clone()
        };
        assert!(passed.is_replaced_by(&later), "by a no");
        assert!(!failed.is_replaced_by(&later), "no is said once");
        let removed = changed(&entry, "entry", json!("removed"));
        let [entered, removed] = [entry, removed].map(|body| word("address-book", &body).unwrap());
        let later = Word {
            sequence: 8,
            ..removed.clone()
        };
        assert!(entered.is_replaced_by(&later) && !removed.is_replaced_by(&later));
        assert_eq!(word("approval", &json!({"items": []})), None);
    }

    #[test]
    fn what_lacks_its_matter_or_its_signer_is_no_word() {
        let good = envelope(
            "price",
            &payload("price", json!({"asset": "a", "currency": "USD", "sequence": 7})),
        );
        assert!(Word::parse(&good).unwrap().is_some());
        let bare = envelope("price", &payload("price", json!({"sequence": 7})));
        assert!(matches!(Word::parse(&bare), Err(AdviceError::Payload { .. })));
        let text = String::from_utf8(good).unwrap();
        let unsigned = text.replace(r#"{"keyid":"alice","sig":"AA=="}"#, "");
        assert_ne!(unsigned, text);
        for bytes in [unsigned.as_bytes(), b"{}", b"text"] {
            assert!(matches!(Word::parse(bytes), Err(AdviceError::Envelope(_))));
        }
    }
}

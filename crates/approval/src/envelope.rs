//! DSSE envelopes. The signature is over the pre-authentication encoding of type and payload, so nothing is
//! canonicalised when verifying.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use countersign_types::{RequestDigest, StatementDigest};
use serde::{Deserialize, Serialize};

use crate::{Kind, StatementError, error::shown};

/// The largest envelope: an approval of 100 withdrawals with long effects texts, or a request of 256 payments.
pub const MAX_ENVELOPE_BYTES: usize = 256 * 1024;

/// Several times the longest signature of an accepted key, a security key's with a long application.
const MAX_SIGNATURE_BYTES: usize = 4_096;

/// One payload with one signature. That the signature holds is [`crate::verify`]'s to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    kind: Kind,
    payload: Vec<u8>,
    key_id: String,
    signature: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Dsse {
    #[serde(rename = "payloadType")]
    payload_type: String,
    payload: String,
    signatures: Vec<DsseSignature>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DsseSignature {
    keyid: String,
    sig: String,
}

fn malformed(reason: impl ToString) -> StatementError {
    StatementError::Envelope(shown(reason))
}

impl Envelope {
    /// Puts a signature on a payload. `signature` is an SSHSIG blob or 64 bytes of Ed25519.
    pub fn new(kind: Kind, payload: Vec<u8>, key_id: String, signature: Vec<u8>) -> Result<Self, StatementError> {
        let envelope = Self {
            kind,
            payload,
            key_id,
            signature,
        };
        // What we write must be what we would read.
        Self::parse(&envelope.to_bytes())
    }

    /// Reads the DSSE JSON: exactly one signature, no unknown field, bounded.
    pub fn parse(bytes: &[u8]) -> Result<Self, StatementError> {
        if bytes.len() > MAX_ENVELOPE_BYTES {
            return Err(StatementError::TooLarge(bytes.len()));
        }
        let dsse: Dsse = serde_json::from_slice(bytes).map_err(malformed)?;
        // A derived reader also takes an array for an object; other DSSE readers do not, and neither do we.
        let as_read: serde_json::Value = serde_json::from_slice(bytes).map_err(malformed)?;
        if serde_json::to_value(&dsse).map_err(malformed)? != as_read {
            return Err(malformed("an envelope is an object with a list of one object"));
        }
        let unknown = || StatementError::UnknownKind(shown(dsse.payload_type.chars().take(128).collect::<String>()));
        let kind = Kind::of_payload_type(&dsse.payload_type).ok_or_else(unknown)?;
        let payload = STANDARD
            .decode(&dsse.payload)
            .map_err(|error| malformed(format!("`payload`: {error}")))?;
        let [signature] = <[DsseSignature; 1]>::try_from(dsse.signatures)
            .map_err(|found| malformed(format!("{} signatures; exactly one is accepted", found.len())))?;
        let is_key_id = signature.keyid.len() <= 128 && signature.keyid.bytes().all(|b| b.is_ascii_graphic());
        if !is_key_id {
            return Err(malformed("`keyid` is at most 128 printable ASCII characters"));
        }
        let bytes = STANDARD
            .decode(&signature.sig)
            .map_err(|error| malformed(format!("`sig`: {error}")))?;
        if bytes.len() > MAX_SIGNATURE_BYTES {
            return Err(malformed(format!("`sig` is over {MAX_SIGNATURE_BYTES} bytes")));
        }
        Ok(Self {
            kind,
            payload,
            key_id: signature.keyid,
            signature: bytes,
        })
    }

    /// The DSSE JSON.
    pub fn to_bytes(&self) -> Vec<u8> {
        let dsse = Dsse {
            payload_type: self.kind.payload_type(),
            payload: STANDARD.encode(&self.payload),
            signatures: vec![DsseSignature {
                keyid: self.key_id.clone(),
                sig: STANDARD.encode(&self.signature),
            }],
        };
        // Strings and vectors of strings always have a JSON text; an empty envelope would be refused by `parse`.
        serde_json::to_vec(&dsse).unwrap_or_default()
    }

    /// What the statement states.
    pub fn kind(&self) -> Kind {
        self.kind
    }
    /// The payload bytes as signed.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }
    /// Which key the signer says it used: `ed25519:<hex>` for a plain signature, the OpenSSH fingerprint `SHA256:…` for
    /// an SSHSIG. [`crate::verify`] refuses one that does not name the signature's key.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }
    /// The signature bytes.
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }
    /// What is signed.
    pub fn pae(&self) -> Vec<u8> {
        pae(self.kind, &self.payload)
    }
    /// The replay identity: payload type and payload, never signature bytes.
    pub fn statement_digest(&self) -> StatementDigest {
        StatementDigest::of(&[self.kind.payload_type().as_bytes(), b"\n", &self.payload].concat())
    }
    /// The identity of the withdrawal, if this is a request.
    pub fn request_digest(&self) -> Option<RequestDigest> {
        (self.kind == Kind::Request).then(|| RequestDigest::of(&self.payload))
    }
}

/// The DSSE pre-authentication encoding: `DSSEv1 SP len SP type SP len SP body`, lengths in ASCII decimal.
pub(crate) fn pae(kind: Kind, payload: &[u8]) -> Vec<u8> {
    let payload_type = kind.payload_type();
    let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope() -> Envelope {
        Envelope::new(Kind::Cancel, b"{}".to_vec(), "ed25519:00".to_owned(), vec![1, 2, 3]).unwrap()
    }

    #[test]
    fn round_trips() {
        assert_eq!(Envelope::parse(&envelope().to_bytes()).unwrap(), envelope());
    }

    /// The form of the DSSE specification's own example, with our payload type.
    #[test]
    fn pre_authentication_encoding() {
        let expected = b"DSSEv1 42 application/vnd.countersign.cancel.v1+json 2 {}";
        assert_eq!(envelope().pae(), expected);
    }

    #[test]
    fn the_digest_ignores_the_signature_and_names_the_kind() {
        let other = Envelope {
            signature: vec![9],
            key_id: "x".to_owned(),
            ..envelope()
        };
        assert_eq!(other.statement_digest(), envelope().statement_digest());
        let other = Envelope {
            kind: Kind::Request,
            ..envelope()
        };
        assert_ne!(other.statement_digest(), envelope().statement_digest());
    }

    /// The last byte that is accepted and the first that is not, of an envelope and of a signature.
    #[test]
    fn bounds() {
        let long = |payload: usize, key_id: usize| Envelope {
            payload: vec![b'x'; payload],
            key_id: "k".repeat(key_id),
            ..envelope()
        };
        // Base64 grows by four for three bytes; the key's name fills what is left.
        let base = long(0, 1).to_bytes().len();
        let payload = (MAX_ENVELOPE_BYTES - base) / 4 * 3;
        let largest = long(payload, 1 + MAX_ENVELOPE_BYTES - base - payload / 3 * 4);
        assert_eq!(largest.to_bytes().len(), MAX_ENVELOPE_BYTES);
        assert_eq!(Envelope::parse(&largest.to_bytes()).as_ref(), Ok(&largest));
        let larger = long(payload, largest.key_id.len() + 1).to_bytes();
        let found = MAX_ENVELOPE_BYTES + 1;
        assert_eq!(Envelope::parse(&larger), Err(StatementError::TooLarge(found)));
        let signed = |length: usize| Envelope {
            signature: vec![7; length],
            ..envelope()
        };
        assert!(Envelope::parse(&signed(MAX_SIGNATURE_BYTES).to_bytes()).is_ok());
        assert!(Envelope::parse(&signed(MAX_SIGNATURE_BYTES + 1).to_bytes()).is_err());
        let named = |length: usize| long(0, length).to_bytes();
        assert!(Envelope::parse(&named(128)).is_ok());
        assert!(Envelope::parse(&named(129)).is_err());
    }

    #[test]
    fn one_mutation_one_refusal() {
        use countersign_types::Tag;
        let valid = String::from_utf8(envelope().to_bytes()).unwrap();
        let table = [
            (
                "unknown field",
                valid.replace("{\"payloadType\"", "{\"x\":1,\"payloadType\""),
                Tag::StatementMalformed,
            ),
            (
                "duplicate field",
                valid.replace("\"payload\":", "\"payload\":\"\",\"payload\":"),
                Tag::StatementMalformed,
            ),
            (
                "two signatures",
                valid.replace("}]", "},{\"keyid\":\"a\",\"sig\":\"\"}]"),
                Tag::StatementMalformed,
            ),
            (
                "no signature",
                valid.replace("{\"keyid\":\"ed25519:00\",\"sig\":\"AQID\"}", ""),
                Tag::StatementMalformed,
            ),
            (
                "loose base64",
                valid.replace("AQID", "AQID\\n"),
                Tag::StatementMalformed,
            ),
            ("unpadded base64", valid.replace("e30=", "e30"), Tag::StatementMalformed),
            (
                "other kind",
                valid.replace(".cancel.", ".invoice."),
                Tag::StatementUnknownKind,
            ),
            (
                "other version",
                valid.replace(".v1+json", ".v2+json"),
                Tag::StatementUnknownKind,
            ),
            ("trailing bytes", format!("{valid} x"), Tag::StatementMalformed),
            (
                "key id with a newline",
                valid.replace("ed25519:00", "a\\nb"),
                Tag::StatementMalformed,
            ),
            (
                "an array for the envelope",
                valid
                    .replace("{\"payloadType\":", "[")
                    .replace("\"payload\":", "")
                    .replace("\"signatures\":", "")
                    .replace("}]}", "}]]"),
                Tag::StatementMalformed,
            ),
            (
                "an array for the signature",
                valid
                    .replace("{\"keyid\":", "[")
                    .replace("\"sig\":", "")
                    .replace("}]}", "]]}"),
                Tag::StatementMalformed,
            ),
            (
                "no key id",
                valid.replace("\"keyid\":\"ed25519:00\",", ""),
                Tag::StatementMalformed,
            ),
            (
                "a huge signature",
                valid.replace("AQID", &"AAAA".repeat(1_366)),
                Tag::StatementMalformed,
            ),
            ("too large", " ".repeat(MAX_ENVELOPE_BYTES + 1), Tag::StatementTooLarge),
        ];
        for (mutation, text, tag) in table {
            assert_ne!(text, valid, "{mutation} changes nothing");
            assert_eq!(Envelope::parse(text.as_bytes()).unwrap_err().tag(), tag, "{mutation}");
        }
    }

    #[test]
    fn errors_quote_hostile_input_printably() {
        let valid = String::from_utf8(envelope().to_bytes()).unwrap();
        for text in [
            valid.replace("{\"payloadType\"", "{\"\\u001b[2J\":1,\"payloadType\""),
            valid.replace(".cancel.", "\\u202e\\u001b[2J"),
            valid.replace(".cancel.", &"x".repeat(100_000)),
            valid.replace(
                "{\"payloadType\"",
                &format!("{{\"{}\":1,\"payloadType\"", "x".repeat(100_000)),
            ),
        ] {
            let said = Envelope::parse(text.as_bytes()).unwrap_err().to_string();
            assert!(
                said.bytes().all(|b| (b' '..=b'~').contains(&b)) && said.len() < 700,
                "{said}"
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn parsing_never_panics(bytes in proptest::collection::vec(0u8.., 0..300)) {
            drop(Envelope::parse(&bytes));
        }
        #[test]
        fn any_payload_round_trips(payload in proptest::collection::vec(0u8.., 0..300), signature in proptest::collection::vec(0u8.., 0..99)) {
            let envelope = Envelope::new(Kind::Approval, payload, "k".to_owned(), signature).unwrap();
            proptest::prop_assert_eq!(Envelope::parse(&envelope.to_bytes()), Ok(envelope));
        }
    }
}

//! One type per digest, so that a policy digest can never stand where a bundle digest is meant.
//!
//! Every digest is SHA-256 over `"countersign/<kind>/v1\n"` followed by the bytes (DESIGN.md §10.1); golden vectors are
//! in `docs/formats.md`. Text form: `sha256:<64 lower-case hex>`.

use std::{fmt, str::FromStr};

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Why a text is not a digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a digest is written `sha256:` and 64 lower-case hex characters")]
pub struct DigestError;

fn parse_digest(text: &str) -> Result<[u8; 32], DigestError> {
    let hex = text.strip_prefix("sha256:").ok_or(DigestError)?;
    HEXLOWER
        .decode(hex.as_bytes())
        .map_err(|_| DigestError)?
        .try_into()
        .map_err(|_| DigestError)
}

macro_rules! digests {
    ($($(#[$doc:meta])* $name:ident = $kind:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name([u8; 32]);

        impl $name {
            /// The `<kind>` of the domain-separation prefix.
            pub const KIND: &'static str = $kind;

            const PREFIX: &'static str = concat!("countersign/", $kind, "/v1\n");

            /// Digests `bytes` under this kind's prefix.
            pub fn of(bytes: &[u8]) -> Self {
                Self(Sha256::new().chain_update(Self::PREFIX).chain_update(bytes).finalize().into())
            }

            /// A digest that was computed earlier and stored.
            pub fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// The 32 bytes.
            pub fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "sha256:{}", HEXLOWER.encode(&self.0))
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }
        impl FromStr for $name {
            type Err = DigestError;
            fn from_str(text: &str) -> Result<Self, DigestError> {
                parse_digest(text).map(Self)
            }
        }
        impl TryFrom<String> for $name {
            type Error = DigestError;
            fn try_from(text: String) -> Result<Self, DigestError> {
                text.parse()
            }
        }
        impl From<$name> for String {
            fn from(digest: $name) -> String {
                digest.to_string()
            }
        }
    )+};
}

digests! {
    /// Of the genesis file's bytes: the identity of a deployment, bound by every statement.
    GenesisHash = "genesis";
    /// Of a request statement's payload bytes: the identity of a withdrawal.
    RequestDigest = "request";
    /// Of any statement's payload type, a newline and its payload bytes: its replay identity, free of signature bytes.
    StatementDigest = "statement";
    /// Of the bytes of an unsigned transaction.
    TransactionDigest = "transaction";
    /// Of a canonical effects text.
    EffectsDigest = "effects";
    /// Of what is signed: scheme name, newline, the bytes handed to the token.
    PayloadDigest = "payload";
    /// Of a bundle's manifest bytes; the manifest names every file with its hash.
    BundleDigest = "bundle";
    /// Of the manifest lines marked `component: policy`: what an approval binds.
    PolicyDigest = "policy";
    /// Of one file of a bundle.
    FileDigest = "file";
    /// Of one audit log entry's bytes (the Merkle leaf hash is RFC 6962's, not this).
    EntryDigest = "entry";
    /// Of what an authorization covers: request, attempt, transaction and payload digests.
    AuthorizationId = "authorization";
    /// Of the canonical text of what a counter adds up: a limit's usage survives whatever else changes about the limit.
    CounterId = "counter";
    /// Of what made a freeze (docs/formats.md): how a thaw and the log name it, whoever wrote it.
    FreezeId = "freeze";
}

/// A counter's digest while its text comes piece by piece: how many texts begin is digested once, and copied.
#[derive(Debug, Clone)]
pub struct CounterDigest(Sha256);

impl CounterDigest {
    /// Of no bytes yet.
    pub fn new() -> Self {
        Self(Sha256::new().chain_update(CounterId::PREFIX))
    }

    /// The bytes that come next.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The id: [`CounterId::of`] all bytes.
    pub fn finish(self) -> CounterId {
        CounterId(self.0.finalize().into())
    }
}

impl Default for CounterDigest {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_digest_to_the_whole() {
        let mut begun = CounterDigest::new();
        begun.update(b"measure");
        for rest in ["", " ", " count\nscope wallet hot\n"] {
            let mut digest = begun.clone();
            rest.split_inclusive(' ')
                .for_each(|piece| digest.update(piece.as_bytes()));
            assert_eq!(
                digest.finish(),
                CounterId::of(format!("measure{rest}").as_bytes()),
                "{rest:?}"
            );
        }
    }

    #[test]
    fn kinds_are_domain_separated() {
        assert_ne!(RequestDigest::of(b"x").as_bytes(), StatementDigest::of(b"x").as_bytes());
    }

    #[test]
    fn text_form_is_strict() {
        let digest = BundleDigest::of(b"x");
        let text = digest.to_string();
        assert_eq!(text.parse::<BundleDigest>().unwrap(), digest);
        assert!(text.to_uppercase().parse::<BundleDigest>().is_err());
        assert!(text.replace("sha256:", "").parse::<BundleDigest>().is_err());
        assert!(format!("{text}00").parse::<BundleDigest>().is_err());
    }

    /// Golden vectors, also in `docs/formats.md`: stored data and signatures depend on them.
    #[test]
    fn golden_digests() {
        let golden = [
            (GenesisHash::of(b"abc").to_string(), GenesisHash::KIND),
            (RequestDigest::of(b"abc").to_string(), RequestDigest::KIND),
            (StatementDigest::of(b"abc").to_string(), StatementDigest::KIND),
            (TransactionDigest::of(b"abc").to_string(), TransactionDigest::KIND),
            (EffectsDigest::of(b"abc").to_string(), EffectsDigest::KIND),
            (PayloadDigest::of(b"abc").to_string(), PayloadDigest::KIND),
            (BundleDigest::of(b"abc").to_string(), BundleDigest::KIND),
            (PolicyDigest::of(b"abc").to_string(), PolicyDigest::KIND),
            (FileDigest::of(b"abc").to_string(), FileDigest::KIND),
            (EntryDigest::of(b"abc").to_string(), EntryDigest::KIND),
            (AuthorizationId::of(b"abc").to_string(), AuthorizationId::KIND),
            (CounterId::of(b"abc").to_string(), CounterId::KIND),
            (FreezeId::of(b"abc").to_string(), FreezeId::KIND),
        ];
        let formats = include_str!("../../../docs/formats.md");
        for (digest, kind) in golden {
            let row = format!("| `{kind}` | `abc` | `{digest}` |");
            assert!(formats.contains(&row), "docs/formats.md lacks the row {row}");
        }
    }
}

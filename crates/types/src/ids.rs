//! Identifiers. Each is a distinct type, so a wallet can never be passed where a group is meant.
//!
//! Names that people choose are restricted to lower-case ASCII: U+202E and homoglyphs cannot be written at all.

use std::{fmt, str::FromStr, sync::Arc};

use data_encoding::{BASE32_NOPAD, HEXLOWER};
use serde::{Deserialize, Serialize};

use crate::RequestDigest;

/// Why a text is not an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The text is empty.
    #[error("{what} is empty")]
    Empty {
        /// The kind of identifier.
        what: &'static str,
    },
    /// The text is longer than the bound of its kind.
    #[error("{what} `{text}` is longer than {max} characters")]
    TooLong {
        /// The kind of identifier.
        what: &'static str,
        /// The text, cut to the bound.
        text: String,
        /// The bound.
        max: usize,
    },
    /// A character outside the allowed set.
    #[error("{what} `{text}` may hold only {allowed}")]
    BadCharacter {
        /// The kind of identifier.
        what: &'static str,
        /// The text, with control characters escaped.
        text: String,
        /// The allowed set, in words.
        allowed: &'static str,
    },
    /// Not the fixed shape of its kind (withdrawal ids, nonces).
    #[error("`{text}` is not {what}")]
    BadShape {
        /// The kind of identifier.
        what: &'static str,
        /// The text, with control characters escaped.
        text: String,
    },
}

fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes
        .next()
        .is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.' | b'_'))
}

fn is_reference(text: &str) -> bool {
    text.bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b':' | b'/'))
}

fn is_symbol(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_uppercase()) && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'.')
}

/// A short, printable quotation of hostile input for an error message.
fn quote(text: &str, max: usize) -> String {
    text.chars().take(max).flat_map(char::escape_default).collect()
}

macro_rules! text_id {
    ($($(#[$doc:meta])* $name:ident($what:literal, max $max:literal, $check:path, $allowed:literal);)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// The most characters this identifier may have.
            pub const MAX_LEN: usize = $max;

            /// Parses the identifier, refusing anything outside its character set.
            pub fn parse(text: impl Into<String>) -> Result<Self, IdError> {
                let text = text.into();
                if text.is_empty() {
                    return Err(IdError::Empty { what: $what });
                }
                if text.len() > Self::MAX_LEN {
                    return Err(IdError::TooLong { what: $what, text: quote(&text, $max), max: $max });
                }
                if !$check(&text) {
                    return Err(IdError::BadCharacter { what: $what, text: quote(&text, $max), allowed: $allowed });
                }
                Ok(Self(text.into()))
            }

            /// The identifier as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::parse(text)
            }
        }
        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                Self::parse(text)
            }
        }
        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0.as_ref().to_owned()
            }
        }
    )+};
}

text_id! {
    /// Whose withdrawals: references are unique within a tenant.
    TenantId("tenant id", max 64, is_name, "a-z, 0-9, `-`, `.` and `_`, starting with a letter or digit");
    /// A person or a service of the roster. The two share one name space, so neither can pose as the other.
    PrincipalId("principal id", max 64, is_name, "a-z, 0-9, `-`, `.` and `_`, starting with a letter or digit");
    /// A group of people who fill approval seats.
    GroupId("group id", max 64, is_name, "a-z, 0-9, `-`, `.` and `_`, starting with a letter or digit");
    /// A wallet record of the bundle.
    WalletId("wallet id", max 64, is_name, "a-z, 0-9, `-`, `.` and `_`, starting with a letter or digit");
    /// A rule of the policy, unique among rules of all kinds.
    RuleId("rule id", max 64, is_name, "a-z, 0-9, `-`, `.` and `_`, starting with a letter or digit");
    /// A destination list of the bundle.
    ListId("list id", max 64, is_name, "a-z, 0-9, `-`, `.` and `_`, starting with a letter or digit");
    /// The ticker people read. Never an identity: [`crate::AssetId`] is.
    AssetSymbol("asset symbol", max 16, is_symbol, "A-Z, a-z, 0-9 and `.`, starting with A-Z");
    /// The caller's name of a withdrawal; with the tenant it fixes the request digest for ever.
    Reference("reference", max 128, is_reference, "A-Z, a-z, 0-9, `-`, `.`, `_`, `:` and `/`");
    /// The caller's name of one payment; claimed once within a tenant.
    PaymentReference("payment reference", max 128, is_reference, "A-Z, a-z, 0-9, `-`, `.`, `_`, `:` and `/`");
    /// What a request says of itself beside what its transaction does, for rules to look at: `purpose`.
    AttributeName("attribute name", max 32, is_name, "a-z, 0-9, `-`, `.` and `_`, starting with a letter or digit");
    /// What it says there.
    AttributeValue("attribute value", max 128, is_reference, "A-Z, a-z, 0-9, `-`, `.`, `_`, `:` and `/`");
    /// The customer behind a payment.
    SubjectId("subject id", max 128, is_reference, "A-Z, a-z, 0-9, `-`, `.`, `_`, `:` and `/`");
}

/// `wd_` and the lower-case RFC 4648 base32 (no padding) of the request digest. Never minted: it *is* the digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WithdrawalId(RequestDigest);

impl WithdrawalId {
    /// The withdrawal that a request names.
    pub fn of(request: RequestDigest) -> Self {
        Self(request)
    }

    /// The digest of the request statement that this withdrawal is.
    pub fn request(&self) -> RequestDigest {
        self.0
    }
}

impl fmt::Display for WithdrawalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "wd_{}", BASE32_NOPAD.encode(self.0.as_bytes()).to_ascii_lowercase())
    }
}

impl FromStr for WithdrawalId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let bad = || IdError::BadShape {
            what: "a withdrawal id (`wd_` and 52 base32 characters)",
            text: quote(text, 64),
        };
        let body = text.strip_prefix("wd_").ok_or_else(bad)?;
        if body.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(bad());
        }
        // The decoder refuses non-zero trailing bits, so each digest has exactly one text.
        let bytes = BASE32_NOPAD
            .decode(body.to_ascii_uppercase().as_bytes())
            .map_err(|_| bad())?;
        let bytes: [u8; 32] = bytes.try_into().map_err(|_| bad())?;
        Ok(Self(RequestDigest::from_bytes(bytes)))
    }
}
impl TryFrom<String> for WithdrawalId {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}
impl From<WithdrawalId> for String {
    fn from(id: WithdrawalId) -> String {
        id.to_string()
    }
}

/// 16 random bytes that make a statement unique to its signer; 32 lower-case hex characters as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StatementNonce([u8; 16]);

impl StatementNonce {
    /// Wraps bytes that the caller drew from its random source.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}
impl fmt::Display for StatementNonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}
impl FromStr for StatementNonce {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let bad = || IdError::BadShape {
            what: "a nonce (32 lower-case hex characters)",
            text: quote(text, 40),
        };
        let bytes = HEXLOWER.decode(text.as_bytes()).map_err(|_| bad())?;
        Ok(Self(bytes.try_into().map_err(|_| bad())?))
    }
}
impl TryFrom<String> for StatementNonce {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}
impl From<StatementNonce> for String {
    fn from(nonce: StatementNonce) -> String {
        nonce.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_refuse_what_a_person_could_misread() {
        for bad in [
            "",
            "Alice",
            "al ice",
            "-alice",
            "al\u{202e}ice",
            "аlice",
            "a\n",
            &"a".repeat(65),
        ] {
            assert!(PrincipalId::parse(bad).is_err(), "{bad:?}");
        }
        assert_eq!(PrincipalId::parse("alice-2.x_y").unwrap().as_str(), "alice-2.x_y");
    }

    #[test]
    fn a_withdrawal_id_has_one_text() {
        let id = WithdrawalId::of(RequestDigest::of(b"{}"));
        let text = id.to_string();
        assert_eq!(text.len(), 55);
        assert_eq!(text.parse::<WithdrawalId>().unwrap(), id);
        assert!(text.to_ascii_uppercase().parse::<WithdrawalId>().is_err());
        assert!(format!("{text}a").parse::<WithdrawalId>().is_err());
        // 52 characters hold 260 bits: the last character's spare bits must be zero.
        let mut tampered = text.clone().into_bytes();
        *tampered.last_mut().unwrap() = b'b';
        let tampered = String::from_utf8(tampered).unwrap();
        assert!(tampered.parse::<WithdrawalId>().is_err() || text.ends_with('b'));
    }

    #[test]
    fn errors_escape_hostile_input() {
        let error = PrincipalId::parse("a\u{1b}[2J").unwrap_err().to_string();
        assert!(error.contains("\\u{1b}"), "{error}");
    }
}

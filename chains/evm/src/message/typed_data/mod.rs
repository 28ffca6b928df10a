//! EIP-712 typed data: JSON whose hash a contract can check.
//!
//! The unsigned bytes are the canonical JSON of `docs/formats.md`. Reading is lenient in form, as wallets are, and the last
//! word is with the bytes: what is signed must be what its value is written as. The domain must name the network and a
//! contract, because a signature without them is good wherever somebody wants it to be.

mod effects;
mod error;
mod json;
mod known;
mod schema;
mod value;

pub use error::TypedDataError;
pub use schema::{MAX_STRUCT_FIELDS, MAX_STRUCT_TYPES, MAX_TYPE_NAME_BYTES};
pub use value::MAX_VALUE_DEPTH;

use alloy_primitives::{Address, B256, U256, keccak256};

pub(crate) use json::Json;
pub(crate) use schema::{Field, Primitive, Schema, Type};
pub(crate) use value::Value;

use json::push_text;
use schema::DOMAIN;

use crate::{EvmNetwork, MAX_TRANSACTION_BYTES, address::certify_spendable};

/// A message of `eth_signTypedData_v4`: its types, its domain and its values, each of the type that it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypedData {
    schema: Schema,
    primary: String,
    domain: Value,
    message: Value,
}

impl TypedData {
    /// Reads what a wallet would be asked to sign: members in any order, numbers as JSON numbers, decimal or hex, addresses
    /// with or without checksum, types that nothing uses, and a domain whose type is left out. Nothing is guessed: what is
    /// missing, unknown or out of range is an error.
    pub fn from_wallet_json(json: &[u8]) -> Result<Self, TypedDataError> {
        if json.len() > MAX_TRANSACTION_BYTES {
            return Err(TypedDataError::TooLarge { found: json.len() });
        }
        let json: Json = serde_json::from_slice(json).map_err(|error| TypedDataError::NotJson {
            line: error.line(),
            column: error.column(),
        })?;
        let Json::Object(members) = json else {
            return Err(TypedDataError::BadMember("types"));
        };
        let [types, primary, domain, message] = ["types", "primaryType", "domain", "message"].map(|wanted| {
            let found = members.iter().find(|(name, _)| name == wanted);
            found.map(|(_, json)| json).ok_or(TypedDataError::BadMember(wanted))
        });
        if let Some((name, _)) = members.get(4) {
            return Err(TypedDataError::UnknownMember(schema::printable(name)));
        }
        let Json::Text(primary) = primary? else {
            return Err(TypedDataError::BadMember("primaryType"));
        };
        let domain = domain?;
        let schema = Schema::read(types?, domain, primary)?;
        Ok(Self {
            domain: schema.read_struct(DOMAIN, domain, 0)?,
            message: schema.read_struct(primary, message?, 0)?,
            primary: primary.clone(),
            schema,
        })
    }

    /// Reads the canonical JSON, and only that.
    pub fn decode(bytes: &[u8]) -> Result<Self, TypedDataError> {
        let data = Self::from_wallet_json(bytes)?;
        if data.canonical_bytes()? != bytes {
            return Err(TypedDataError::NotCanonical);
        }
        Ok(data)
    }

    /// The one JSON of this message that is signed.
    pub fn canonical_bytes(&self) -> Result<Vec<u8>, TypedDataError> {
        let mut out = String::from("{\"types\":");
        self.schema.write(&mut out);
        out.push_str(",\"primaryType\":");
        push_text(&mut out, &self.primary);
        out.push_str(",\"domain\":");
        self.schema.write_struct(&mut out, DOMAIN, &self.domain)?;
        out.push_str(",\"message\":");
        self.schema.write_struct(&mut out, &self.primary, &self.message)?;
        out.push('}');
        Ok(out.into_bytes())
    }

    /// The Keccak-256 of `0x19 0x01 ‖ domainSeparator ‖ hashStruct(message)`, which is what is signed.
    pub fn signing_hash(&self) -> Result<[u8; 32], TypedDataError> {
        let domain = self.schema.hash_struct(DOMAIN, &self.domain)?;
        let message = self.schema.hash_struct(&self.primary, &self.message)?;
        let preimage = [&[0x19, 0x01], domain.as_slice(), message.as_slice()].concat();
        Ok(keccak256(preimage).0)
    }

    /// The `encodeType` of the message.
    pub(crate) fn type_text(&self) -> Option<&str> {
        Some(self.schema.get(&self.primary).ok()?.full_text.as_str())
    }

    /// The message's fields and their values, in one order.
    pub(crate) fn parts(&self) -> Option<(&[Field], &[Value])> {
        match &self.message {
            Value::Parts(parts) => Some((&self.schema.get(&self.primary).ok()?.fields, parts)),
            Value::Word(_) | Value::Bytes(_) => None,
        }
    }

    /// The contract that the message is for, on the network that it is for.
    pub(crate) fn certify_domain(&self, network: &EvmNetwork) -> Result<Address, TypedDataError> {
        let chain_id = self.domain_word("chainId").ok_or(TypedDataError::UnboundDomain)?;
        let contract = self.domain_word("verifyingContract").map(Address::from_word);
        let contract = contract.ok_or(TypedDataError::UnboundDomain)?;
        let found = U256::from_be_bytes(chain_id.0);
        if found != U256::from(network.chain_id()) {
            let network = network.chain().clone();
            return Err(TypedDataError::WrongChain { network, found });
        }
        // At none of these is there a contract whose business the message could be.
        certify_spendable(contract).map_err(|_| TypedDataError::UnboundDomain)?;
        Ok(contract)
    }

    /// The bytes of a text in the domain.
    pub(crate) fn domain_text(&self, wanted: &str) -> Option<&[u8]> {
        match self.domain_value(wanted)? {
            Value::Bytes(bytes) => Some(bytes),
            Value::Word(_) | Value::Parts(_) => None,
        }
    }

    fn domain_word(&self, wanted: &str) -> Option<B256> {
        match self.domain_value(wanted)? {
            Value::Word(word) => Some(word.into()),
            Value::Bytes(_) | Value::Parts(_) => None,
        }
    }

    fn domain_value(&self, wanted: &str) -> Option<&Value> {
        let Value::Parts(values) = &self.domain else {
            return None;
        };
        let fields = &self.schema.get(DOMAIN).ok()?.fields;
        let mut values = fields.iter().zip(values);
        values.find(|(field, _)| field.name == wanted).map(|(_, value)| value)
    }
}

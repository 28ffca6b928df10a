//! The messages that are understood, known by the whole text of their types (`encodeType`), never by a name alone.

use alloy_primitives::{Address, U256};
use countersign_types::Amount;

use super::{schema::Schema, value::Value};

/// EIP-2612.
const PERMIT: &str = "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)";
/// DAI's, which is older.
const DAI_PERMIT: &str = "Permit(address holder,address spender,uint256 nonce,uint256 expiry,bool allowed)";
/// Permit2, `AllowanceTransfer`.
const PERMIT_SINGLE: &str = "PermitSingle(PermitDetails details,address spender,uint256 sigDeadline)\
                             PermitDetails(address token,uint160 amount,uint48 expiration,uint48 nonce)";
const PERMIT_BATCH: &str = "PermitBatch(PermitDetails[] details,address spender,uint256 sigDeadline)\
                            PermitDetails(address token,uint160 amount,uint48 expiration,uint48 nonce)";
/// Permit2, `SignatureTransfer`.
const PERMIT_TRANSFER: &str = "PermitTransferFrom(TokenPermissions permitted,address spender,uint256 nonce,uint256 deadline)\
                               TokenPermissions(address token,uint256 amount)";
const PERMIT_BATCH_TRANSFER: &str = "PermitBatchTransferFrom(TokenPermissions[] permitted,address spender,uint256 nonce,uint256 deadline)\
     TokenPermissions(address token,uint256 amount)";
/// The same with a witness behind it, a value that the protocol on top gives a meaning.
const WITNESS_TRANSFER: &str =
    "PermitWitnessTransferFrom(TokenPermissions permitted,address spender,uint256 nonce,uint256 deadline,";
const WITNESS_BATCH_TRANSFER: &str =
    "PermitBatchWitnessTransferFrom(TokenPermissions[] permitted,address spender,uint256 nonce,uint256 deadline,";
const TOKEN_PERMISSIONS: &str = "TokenPermissions(address token,uint256 amount)";
/// Safe{Wallet}, 1.0 and later; from 1.3 on its domain names the chain.
const SAFE_TX: &str = "SafeTx(address to,uint256 value,bytes data,uint8 operation,uint256 safeTxGas,uint256 baseGas,\
                       uint256 gasPrice,address gasToken,address refundReceiver,uint256 nonce)";

/// A message that is understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Known<'a> {
    /// Whoever `owner` is lets `spender` move the verifying contract's tokens.
    Permit {
        owner: Address,
        spender: Address,
        amount: Amount,
    },
    /// The signer lets `spender` move tokens through Permit2.
    Permit2 {
        spender: Address,
        /// Token and amount.
        tokens: Vec<(Address, Amount)>,
        /// Whether there is more in the message than this.
        has_witness: bool,
    },
    /// What one owner of a Safe, the verifying contract, wants it to do.
    SafeTx {
        to: Address,
        value: U256,
        data: &'a [u8],
        operation: u8,
        /// Whether somebody is paid for bringing it to the chain.
        has_refund: bool,
    },
}

impl<'a> Known<'a> {
    pub(super) fn of(schema: &Schema, primary: &str, message: &'a Value) -> Option<Self> {
        let text = schema.get(primary).ok()?.full_text.as_str();
        let fields = Fields::of(message)?;
        match text {
            PERMIT => Some(Self::Permit {
                owner: fields.address(0)?,
                spender: fields.address(1)?,
                amount: fields.amount(2)?,
            }),
            DAI_PERMIT => Some(Self::Permit {
                owner: fields.address(0)?,
                spender: fields.address(1)?,
                amount: if fields.uint(4)?.is_zero() {
                    Amount::ZERO
                } else {
                    Amount::MAX
                },
            }),
            PERMIT_SINGLE | PERMIT_TRANSFER => fields.permit2(Shape::Single, false),
            PERMIT_BATCH | PERMIT_BATCH_TRANSFER => fields.permit2(Shape::Batch, false),
            SAFE_TX => fields.safe_tx(),
            _ => {
                let permissions = schema.get("TokenPermissions").ok()?;
                if permissions.own_text != TOKEN_PERMISSIONS {
                    return None;
                }
                if text.starts_with(WITNESS_TRANSFER) {
                    return fields.permit2(Shape::Single, true);
                }
                text.starts_with(WITNESS_BATCH_TRANSFER)
                    .then(|| fields.permit2(Shape::Batch, true))?
            }
        }
    }
}

/// How many tokens a permit of Permit2 is for.
#[derive(Clone, Copy)]
enum Shape {
    Single,
    Batch,
}

/// The fields of a struct by their place in its type.
struct Fields<'a>(&'a [Value]);

impl<'a> Fields<'a> {
    fn of(value: &'a Value) -> Option<Self> {
        match value {
            Value::Parts(parts) => Some(Self(parts)),
            Value::Word(_) | Value::Bytes(_) => None,
        }
    }

    fn word(&self, at: usize) -> Option<&'a [u8; 32]> {
        match self.0.get(at)? {
            Value::Word(word) => Some(word),
            Value::Bytes(_) | Value::Parts(_) => None,
        }
    }

    fn uint(&self, at: usize) -> Option<U256> {
        self.word(at).map(|word| U256::from_be_bytes(*word))
    }

    fn amount(&self, at: usize) -> Option<Amount> {
        self.word(at).map(|word| Amount::from_be_bytes(*word))
    }

    fn address(&self, at: usize) -> Option<Address> {
        self.word(at).map(|word| Address::from_word(word.into()))
    }

    fn bytes(&self, at: usize) -> Option<&'a [u8]> {
        match self.0.get(at)? {
            Value::Bytes(bytes) => Some(bytes),
            Value::Word(_) | Value::Parts(_) => None,
        }
    }

    /// Token and amount come first in `PermitDetails` and in `TokenPermissions`.
    fn permit2(&self, shape: Shape, has_witness: bool) -> Option<Known<'a>> {
        let permitted = self.0.first()?;
        let list = match shape {
            Shape::Single => std::slice::from_ref(permitted),
            Shape::Batch => Self::of(permitted)?.0,
        };
        let token = |value| {
            let fields = Fields::of(value)?;
            Some((fields.address(0)?, fields.amount(1)?))
        };
        Some(Known::Permit2 {
            spender: self.address(1)?,
            tokens: list.iter().map(token).collect::<Option<_>>()?,
            has_witness,
        })
    }

    fn safe_tx(&self) -> Option<Known<'a>> {
        let is_refund_free = self.uint(5)?.is_zero()
            && self.uint(6)?.is_zero()
            && self.address(7)?.is_zero()
            && self.address(8)?.is_zero();
        Some(Known::SafeTx {
            to: self.address(0)?,
            value: self.uint(1)?,
            data: self.bytes(2)?,
            operation: self.uint(3)?.try_into().ok()?,
            has_refund: !is_refund_free,
        })
    }
}

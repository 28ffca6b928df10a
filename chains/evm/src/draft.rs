//! Unsigned transactions from typed parameters, for clients and tests. The signer never drafts: it parses.

use alloy_consensus::{SignableTransaction as _, TxEip1559, TxLegacy};
use alloy_eips::eip2930::AccessList;
use alloy_primitives::{Address, Bytes, TxKind, U256};
use countersign_types::{Amount, AssetId, ChainId, Destination};

use crate::{
    AddressError, ERC20,
    address::{certify_spendable, parse_address},
    effects::TRANSFER,
    network::parse_chain_id,
    transaction::Unsigned,
};

/// Why parameters make no transaction.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DraftError {
    /// The asset is not on an EVM network.
    #[error("`{0}` is not an EVM network")]
    NotEvm(ChainId),
    /// Asset and destination are on different networks.
    #[error("the asset is on `{asset}`, the destination on `{destination}`")]
    OtherNetwork {
        /// The asset's network.
        asset: ChainId,
        /// The destination's network.
        destination: ChainId,
    },
    /// Neither a native asset nor an ERC-20 token.
    #[error("`{0}` is neither a native asset (`slip44`) nor an ERC-20 token (`erc20`)")]
    UnknownAssetKind(AssetId),
    /// A tip above the whole price.
    #[error("the priority fee is over the maximum fee")]
    PriorityFeeOverMax,
    /// The destination or the token contract is no acceptable address.
    #[error(transparent)]
    Address(#[from] AddressError),
}

/// What one unit of gas may cost, in wei.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GasPrice {
    /// A legacy transaction (EIP-155).
    Legacy {
        /// The price.
        gas_price: u128,
    },
    /// An EIP-1559 transaction.
    Eip1559 {
        /// The highest price, tip included.
        max_fee_per_gas: u128,
        /// The highest tip; not over the highest price.
        max_priority_fee_per_gas: u128,
    },
}

impl GasPrice {
    /// What unsigned bytes may cost; `None` of what is no transaction. One with a single price tips up to all of it.
    pub fn of(unsigned: &[u8]) -> Option<Self> {
        let of_two = |max_fee_per_gas, max_priority_fee_per_gas| Self::Eip1559 {
            max_fee_per_gas,
            max_priority_fee_per_gas,
        };
        Some(match Unsigned::decode(unsigned).ok()? {
            Unsigned::Legacy(tx) => Self::Legacy {
                gas_price: tx.gas_price,
            },
            Unsigned::Eip2930(tx) => Self::Legacy {
                gas_price: tx.gas_price,
            },
            Unsigned::Eip1559(tx) => of_two(tx.max_fee_per_gas, tx.max_priority_fee_per_gas),
            Unsigned::Eip4844(tx) => of_two(tx.max_fee_per_gas, tx.max_priority_fee_per_gas),
            Unsigned::Eip7702(tx) => of_two(tx.max_fee_per_gas, tx.max_priority_fee_per_gas),
        })
    }

    /// The highest price, tip included, and the highest tip alone.
    pub fn max_and_tip(self) -> (u128, u128) {
        match self {
            Self::Legacy { gas_price } => (gas_price, gas_price),
            Self::Eip1559 {
                max_fee_per_gas,
                max_priority_fee_per_gas,
            } => (max_fee_per_gas, max_priority_fee_per_gas),
        }
    }

    /// The least of both at which nodes take another transaction in the place of one at this price: a tenth more of each (geth's
    /// `--txpool.pricebump`, and what others do).
    pub fn outbid(self) -> (u128, u128) {
        let more = |price: u128| price.saturating_add(price.div_ceil(10));
        let (max, tip) = self.max_and_tip();
        (more(max), more(tip))
    }
}

/// The parameters of one transfer of a native asset or an ERC-20 token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferDraft {
    /// What moves; its chain is the network.
    pub asset: AssetId,
    /// How much, in base units.
    pub amount: Amount,
    /// To whom, on the same network.
    pub destination: Destination,
    /// The sending account's nonce.
    pub nonce: u64,
    /// The gas limit, in units of gas.
    pub gas_limit: u64,
    /// The type of the transaction and its price.
    pub price: GasPrice,
}

/// The fields that both types share.
struct Call {
    chain_id: u64,
    to: TxKind,
    value: U256,
    input: Bytes,
}

impl TransferDraft {
    /// The canonical unsigned bytes.
    pub fn encode(&self) -> Result<Vec<u8>, DraftError> {
        let call = self.call()?;
        Ok(match self.price {
            GasPrice::Legacy { gas_price } => TxLegacy {
                chain_id: Some(call.chain_id),
                nonce: self.nonce,
                gas_price,
                gas_limit: self.gas_limit,
                to: call.to,
                value: call.value,
                input: call.input,
            }
            .encoded_for_signing(),
            GasPrice::Eip1559 {
                max_fee_per_gas,
                max_priority_fee_per_gas,
            } if max_priority_fee_per_gas > max_fee_per_gas => return Err(DraftError::PriorityFeeOverMax),
            GasPrice::Eip1559 {
                max_fee_per_gas,
                max_priority_fee_per_gas,
            } => TxEip1559 {
                chain_id: call.chain_id,
                nonce: self.nonce,
                gas_limit: self.gas_limit,
                max_fee_per_gas,
                max_priority_fee_per_gas,
                to: call.to,
                value: call.value,
                access_list: AccessList::default(),
                input: call.input,
            }
            .encoded_for_signing(),
        })
    }

    fn call(&self) -> Result<Call, DraftError> {
        let chain = self.asset.chain();
        let chain_id = parse_chain_id(chain).ok_or_else(|| DraftError::NotEvm(chain.clone()))?;
        if self.destination.chain() != chain {
            return Err(DraftError::OtherNetwork {
                asset: chain.clone(),
                destination: self.destination.chain().clone(),
            });
        }
        let recipient = parse_address(self.destination.address())?;
        certify_spendable(recipient)?;
        let amount = self.amount.to_be_bytes();
        match self.asset.namespace() {
            "slip44" => Ok(Call {
                chain_id,
                to: TxKind::Call(recipient),
                value: U256::from_be_bytes(amount),
                input: Bytes::new(),
            }),
            ERC20 => Ok(Call {
                chain_id,
                to: TxKind::Call(parse_address(self.asset.reference())?),
                value: U256::ZERO,
                input: transfer_calldata(recipient, amount),
            }),
            _ => Err(DraftError::UnknownAssetKind(self.asset.clone())),
        }
    }
}

fn transfer_calldata(recipient: Address, amount: [u8; 32]) -> Bytes {
    [TRANSFER.as_slice(), &recipient.into_word().0, &amount].concat().into()
}

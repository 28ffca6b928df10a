//! An encoder of call data, written from the ABI's specification and not from the reader that it tests.

use alloy_primitives::{Address, Bytes, U256, keccak256};

/// A value of a Solidity type.
#[derive(Debug, Clone)]
pub(super) enum Arg {
    /// A static type.
    Word([u8; 32]),
    /// `bytes`.
    Bytes(Vec<u8>),
    /// `T[]`.
    List(Vec<Arg>),
    /// A tuple.
    Tuple(Vec<Arg>),
}

impl Arg {
    fn is_dynamic(&self) -> bool {
        match self {
            Self::Word(_) => false,
            Self::Bytes(_) | Self::List(_) => true,
            Self::Tuple(fields) => fields.iter().any(Self::is_dynamic),
        }
    }

    fn encode(&self) -> Vec<u8> {
        match self {
            Self::Word(word) => word.to_vec(),
            Self::Bytes(bytes) => {
                let padding = vec![0; bytes.len().next_multiple_of(32) - bytes.len()];
                [&length(bytes.len())[..], bytes, &padding].concat()
            }
            Self::List(items) => [&length(items.len())[..], &encode_all(items)].concat(),
            Self::Tuple(fields) => encode_all(fields),
        }
    }
}

fn length(length: usize) -> [u8; 32] {
    U256::from(length).to_be_bytes()
}

fn encode_all(values: &[Arg]) -> Vec<u8> {
    let head_size = |value: &Arg| if value.is_dynamic() { 32 } else { value.encode().len() };
    let heads_size: usize = values.iter().map(head_size).sum();
    let (mut heads, mut tails) = (Vec::new(), Vec::new());
    for value in values {
        if value.is_dynamic() {
            heads.extend(length(heads_size + tails.len()));
            tails.extend(value.encode());
        } else {
            heads.extend(value.encode());
        }
    }
    [heads, tails].concat()
}

/// Call data: the selector of a signature and its arguments.
pub(super) fn calldata(signature: &str, args: &[Arg]) -> Bytes {
    [&keccak256(signature)[..4], &encode_all(args)].concat().into()
}

pub(super) fn account(address: Address) -> Arg {
    Arg::Word(address.into_word().0)
}

pub(super) fn number(number: u64) -> Arg {
    Arg::Word(U256::from(number).to_be_bytes())
}

pub(super) fn most() -> Arg {
    Arg::Word([0xff; 32])
}

pub(super) fn blob(bytes: impl Into<Vec<u8>>) -> Arg {
    Arg::Bytes(bytes.into())
}

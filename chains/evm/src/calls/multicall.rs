//! Calls in calls: each inner call is decoded as if it stood alone, and the outer call stays beside them.

use alloy_primitives::{Address, U256};

use super::{Call, Message, Scene, function::Multicall};
use crate::{ParseError, abi};

/// One inner call of Multicall3: target, value, data.
type Part<'a> = (Address, U256, &'a [u8]);

impl Scene<'_> {
    pub(super) fn multicall(&mut self, function: Multicall, call: &Call<'_>) -> Result<(), ParseError> {
        match function {
            Multicall::Itself | Multicall::ItselfUntil | Multicall::ItselfAfter => {
                self.own_calls(call, read_own(function, call.args))
            }
            Multicall::Aggregate
            | Multicall::BlockAndAggregate
            | Multicall::TryAggregate
            | Multicall::TryBlockAndAggregate
            | Multicall::Aggregate3
            | Multicall::Aggregate3Value => self.passed_on(call, read_aggregate(function, call.args)),
        }
    }

    /// The contract calls itself and keeps the caller: what is inside is done by the wallet.
    fn own_calls(&mut self, call: &Call<'_>, read: Option<Vec<&[u8]>>) -> Result<(), ParseError> {
        let Some(inputs) = read else {
            return self.malformed(call);
        };
        self.contract_call(call)?;
        for input in inputs {
            self.calldata(&Message {
                actor: call.actor,
                to: call.contract,
                value: U256::ZERO,
                input,
                depth: call.depth.saturating_add(1),
            })?;
        }
        Ok(())
    }

    /// The contract calls others in its own name.
    fn passed_on(&mut self, call: &Call<'_>, read: Option<Vec<Part<'_>>>) -> Result<(), ParseError> {
        let Some(parts) = read else {
            return self.malformed(call);
        };
        self.contract_call(call)?;
        for (to, value, input) in parts {
            self.message(&Message {
                actor: call.contract,
                to,
                value,
                input,
                depth: call.depth.saturating_add(1),
            })?;
        }
        Ok(())
    }
}

/// `bytes[]`, behind a deadline or a block hash that bounds when the call is valid.
fn read_own(function: Multicall, args: &[u8]) -> Option<Vec<&[u8]>> {
    if function == Multicall::Itself {
        return abi::read(args, 1, |args| args.list(1, abi::Frame::bytes));
    }
    abi::read(args, 2, |args| {
        args.word()?;
        args.list(1, abi::Frame::bytes)
    })
}

fn read_aggregate(function: Multicall, args: &[u8]) -> Option<Vec<Part<'_>>> {
    let has_flag = matches!(function, Multicall::TryAggregate | Multicall::TryBlockAndAggregate);
    abi::read(args, if has_flag { 2 } else { 1 }, |args| {
        if has_flag {
            args.boolean()?;
        }
        args.list(1, |item| read_part(function, item))
    })
}

fn read_part<'a>(function: Multicall, item: &mut abi::Frame<'a>) -> Option<Part<'a>> {
    match function {
        Multicall::Aggregate3 => item.tuple(3, |part| {
            let to = part.address()?;
            part.boolean()?;
            Some((to, U256::ZERO, part.bytes()?))
        }),
        Multicall::Aggregate3Value => item.tuple(4, |part| {
            let to = part.address()?;
            part.boolean()?;
            Some((to, part.uint()?, part.bytes()?))
        }),
        Multicall::Aggregate
        | Multicall::BlockAndAggregate
        | Multicall::TryAggregate
        | Multicall::TryBlockAndAggregate => item.tuple(2, |part| Some((part.address()?, U256::ZERO, part.bytes()?))),
        Multicall::Itself | Multicall::ItselfUntil | Multicall::ItselfAfter => None,
    }
}

//! Safe accounts: the inner call's effects are the account's own, and the outer call stays beside them with account and
//! signatures. A `delegatecall` is never looked into: whatever code it runs owns the account (Bybit, February 2025).

use alloy_primitives::{Address, U256};
use countersign_types::{AuthorityScope, CodeChangeKind, Effect};

use super::{Call, Message, Scene, function::Safe};
use crate::{ParseError, abi};

/// What a Safe is told to do.
pub(crate) struct Inner<'a> {
    pub(crate) to: Address,
    pub(crate) value: U256,
    pub(crate) data: &'a [u8],
    pub(crate) operation: Operation,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Call,
    DelegateCall,
}

impl Operation {
    pub(crate) fn of(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Call),
            1 => Some(Self::DelegateCall),
            _ => None,
        }
    }
}

impl Scene<'_> {
    pub(super) fn safe(&mut self, function: Safe, call: &Call<'_>) -> Result<(), ParseError> {
        match function {
            Safe::ExecTransaction => self.execution(call, read_exec_transaction(call.args)),
            Safe::ExecTransactionFromModule | Safe::ExecTransactionFromModuleReturnData => {
                self.execution(call, read_exec_from_module(call.args))
            }
            Safe::AddOwnerWithThreshold
            | Safe::RemoveOwner
            | Safe::SwapOwner
            | Safe::ChangeThreshold
            | Safe::EnableModule
            | Safe::DisableModule
            | Safe::SetGuard
            | Safe::SetFallbackHandler
            | Safe::ApproveHash => self.settings(function, call),
        }
    }

    fn execution(&mut self, call: &Call<'_>, read: Option<Inner<'_>>) -> Result<(), ParseError> {
        let Some(inner) = read else {
            return self.malformed(call);
        };
        self.contract_call(call)?;
        self.account_operation(call.contract, &inner, call.depth)
    }

    /// The account acts; `depth` is that of the call or message that told it to.
    pub(crate) fn account_operation(
        &mut self,
        account: Address,
        inner: &Inner<'_>,
        depth: usize,
    ) -> Result<(), ParseError> {
        match inner.operation {
            Operation::Call => self.message(&Message {
                actor: account,
                to: inner.to,
                value: inner.value,
                input: inner.data,
                depth: depth.saturating_add(1),
            }),
            Operation::DelegateCall => {
                let subject = Some(self.destination(account)?);
                self.push(Effect::CodeChange {
                    subject,
                    change: CodeChangeKind::DelegateCall,
                    code: [inner.to.as_slice(), inner.data].concat(),
                });
                Ok(())
            }
        }
    }

    fn settings(&mut self, function: Safe, call: &Call<'_>) -> Result<(), ParseError> {
        let Some(effects) = read_settings(function, call.args) else {
            return self.malformed(call);
        };
        self.contract_call(call)?;
        let account = call.contract;
        for setting in effects {
            let effect = match setting {
                Setting::Holder(scope, holder) => self.hand_over(account, scope, holder)?,
                Setting::Terms(scope) => self.give_up(account, scope)?,
                Setting::Code(handler) => self.upgrade(account, handler, &[])?,
                Setting::Hash => Effect::DelayedAuthorization {
                    mechanism: self.destination(account)?,
                },
            };
            self.push(effect);
        }
        Ok(())
    }
}

/// What changes in the account.
enum Setting {
    /// Somebody gets a right.
    Holder(AuthorityScope, Address),
    /// Somebody loses a right, or how many must agree changes.
    Terms(AuthorityScope),
    /// Foreign code answers calls to the account.
    Code(Address),
    /// One owner's consent, to be used by whoever and whenever.
    Hash,
}

fn read_settings(function: Safe, args: &[u8]) -> Option<Vec<Setting>> {
    let (owner, threshold) = (AuthorityScope::Owner, Setting::Terms(AuthorityScope::Threshold));
    Some(match function {
        Safe::AddOwnerWithThreshold => {
            let (added, _) = abi::read(args, 2, |args| Some((args.address()?, args.uint()?)))?;
            vec![Setting::Holder(owner, added), threshold]
        }
        Safe::RemoveOwner => {
            abi::read(args, 3, |args| Some((args.address()?, args.address()?, args.uint()?)))?;
            vec![Setting::Terms(owner), threshold]
        }
        Safe::SwapOwner => {
            let read = |args: &mut abi::Frame<'_>| Some((args.address()?, args.address()?, args.address()?));
            let (_, _, added) = abi::read(args, 3, read)?;
            vec![Setting::Terms(owner), Setting::Holder(owner, added)]
        }
        Safe::ChangeThreshold => {
            abi::read(args, 1, abi::Frame::uint)?;
            vec![threshold]
        }
        Safe::EnableModule => {
            let module = abi::read(args, 1, abi::Frame::address)?;
            vec![Setting::Holder(AuthorityScope::Module, module)]
        }
        Safe::DisableModule => {
            abi::read(args, 2, |args| Some((args.address()?, args.address()?)))?;
            vec![Setting::Terms(AuthorityScope::Module)]
        }
        Safe::SetGuard => {
            let guard = abi::read(args, 1, abi::Frame::address)?;
            vec![Setting::Holder(AuthorityScope::Guard, guard)]
        }
        Safe::SetFallbackHandler => vec![Setting::Code(abi::read(args, 1, abi::Frame::address)?)],
        Safe::ApproveHash => {
            abi::read(args, 1, abi::Frame::uint)?;
            vec![Setting::Hash]
        }
        Safe::ExecTransaction | Safe::ExecTransactionFromModule | Safe::ExecTransactionFromModuleReturnData => {
            return None;
        }
    })
}

/// to, value, data, operation, safeTxGas, baseGas, gasPrice, gasToken, refundReceiver, signatures. A refund would be a
/// payment of an amount that nobody knows before execution: all of its fields must be zero.
fn read_exec_transaction(args: &[u8]) -> Option<Inner<'_>> {
    abi::read(args, 10, |args| {
        let inner = read_inner(args)?;
        args.uint()?;
        let base_gas = args.uint()?;
        let gas_price = args.uint()?;
        let (gas_token, receiver) = (args.address()?, args.address()?);
        args.bytes()?;
        let has_no_refund = base_gas.is_zero() && gas_price.is_zero() && gas_token.is_zero() && receiver.is_zero();
        has_no_refund.then_some(inner)
    })
}

fn read_exec_from_module(args: &[u8]) -> Option<Inner<'_>> {
    abi::read(args, 4, read_inner)
}

fn read_inner<'a>(args: &mut abi::Frame<'a>) -> Option<Inner<'a>> {
    Some(Inner {
        to: args.address()?,
        value: args.uint()?,
        data: args.bytes()?,
        operation: Operation::of(args.byte()?)?,
    })
}

//! ERC-20 tokens, and the two functions that ERC-721 shares with them (`transferFrom`, `approve`).

use alloy_primitives::Address;
use countersign_types::{Amount, AssetId};

use super::{Call, Scene, Standard, function::Erc20};
use crate::{ParseError, abi};

impl Scene<'_> {
    pub(super) fn erc20(&mut self, function: Erc20, call: &Call<'_>) -> Result<(), ParseError> {
        match function {
            Erc20::Transfer => self.erc20_transfer(call),
            Erc20::TransferFrom => self.transfer_from(call),
            Erc20::Approve => self.approve(call),
            Erc20::IncreaseAllowance | Erc20::DecreaseAllowance => self.relative_allowance(call),
            Erc20::Permit => self.permit(call, read_permit(call.args)),
            Erc20::DaiPermit => self.permit(call, read_dai_permit(call.args)),
        }
    }

    fn erc20_transfer(&mut self, call: &Call<'_>) -> Result<(), ParseError> {
        let Some((to, amount)) = abi::read(call.args, 2, |args| Some((args.address()?, args.amount()?))) else {
            return self.malformed(call);
        };
        match self.asset(call.contract, Standard::Erc20) {
            Some(asset) => self.token_transfer(call.contract, asset, amount, to),
            None => self.contract_call(call),
        }
    }

    /// Whose money moves decides. The caller's own is a transfer; another own wallet's is one beside the call, because
    /// the policy that is asked is not that wallet's; a third party's is a call that nobody here can judge.
    fn transfer_from(&mut self, call: &Call<'_>) -> Result<(), ParseError> {
        let read = abi::read(call.args, 3, |args| {
            Some((args.address()?, args.address()?, args.amount()?))
        });
        let Some((from, to, amount)) = read else {
            return self.malformed(call);
        };
        let registered = self.registered(call.contract);
        let Some((standard, asset)) = registered else {
            return self.contract_call(call);
        };
        match standard {
            Standard::Erc20 if from == call.actor => self.token_transfer(call.contract, asset, amount, to),
            Standard::Erc20 => self.foreign_transfer(call, (from, to), asset, amount),
            Standard::Erc721 => self.foreign_transfer(call, (from, to), asset, Amount::from_base_units(1)),
            Standard::Erc1155 => self.contract_call(call),
        }
    }

    /// The call, and the transfer behind it if the asset is ours.
    pub(super) fn foreign_transfer(
        &mut self,
        call: &Call<'_>,
        (from, to): (Address, Address),
        asset: AssetId,
        amount: Amount,
    ) -> Result<(), ParseError> {
        self.contract_call(call)?;
        if self.is_ours(from, call.actor)? {
            self.token_transfer(call.contract, asset, amount, to)?;
        }
        Ok(())
    }

    fn approve(&mut self, call: &Call<'_>) -> Result<(), ParseError> {
        let Some((spender, amount)) = abi::read(call.args, 2, |args| Some((args.address()?, args.amount()?))) else {
            return self.malformed(call);
        };
        match self.registered(call.contract) {
            Some((Standard::Erc20, asset)) => self.allowance(asset, amount, spender),
            // The second argument is a token's id; the zero address takes an approval back.
            Some((Standard::Erc721, asset)) => {
                self.contract_call(call)?;
                if spender.is_zero() {
                    return Ok(());
                }
                self.allowance(asset, Amount::from_base_units(1), spender)
            }
            Some((Standard::Erc1155, _)) | None => self.contract_call(call),
        }
    }

    /// What the allowance will be depends on what it was: nobody knows here, so it counts as unlimited.
    fn relative_allowance(&mut self, call: &Call<'_>) -> Result<(), ParseError> {
        let Some((spender, _)) = abi::read(call.args, 2, |args| Some((args.address()?, args.amount()?))) else {
            return self.malformed(call);
        };
        self.contract_call(call)?;
        match self.asset(call.contract, Standard::Erc20) {
            Some(asset) => self.allowance(asset, Amount::MAX, spender),
            None => Ok(()),
        }
    }

    /// Somebody's signature becomes an allowance; whose, shows in the call beside it.
    fn permit(&mut self, call: &Call<'_>, read: Option<(Address, Amount)>) -> Result<(), ParseError> {
        let Some((spender, amount)) = read else {
            return self.malformed(call);
        };
        self.contract_call(call)?;
        match self.asset(call.contract, Standard::Erc20) {
            Some(asset) => self.allowance(asset, amount, spender),
            None => Ok(()),
        }
    }
}

/// EIP-2612: owner, spender, value, deadline, v, r, s.
fn read_permit(args: &[u8]) -> Option<(Address, Amount)> {
    abi::read(args, 7, |args| {
        args.address()?;
        let permit = (args.address()?, args.amount()?);
        args.uint()?;
        args.byte()?;
        args.word()?;
        args.word()?;
        Some(permit)
    })
}

/// DAI: holder, spender, nonce, expiry, allowed, v, r, s.
fn read_dai_permit(args: &[u8]) -> Option<(Address, Amount)> {
    abi::read(args, 8, |args| {
        args.address()?;
        let spender = args.address()?;
        args.uint()?;
        args.uint()?;
        let amount = if args.boolean()? { Amount::MAX } else { Amount::ZERO };
        args.byte()?;
        args.word()?;
        args.word()?;
        Some((spender, amount))
    })
}

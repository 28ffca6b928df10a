//! ERC-721 and ERC-1155. A registered asset is a whole collection; which token moves stands in the call beside the effect.

use alloy_primitives::Address;
use countersign_types::Amount;

use super::{Call, Scene, Standard, function::Nft};
use crate::{ParseError, abi};

/// The parts of a transfer of ERC-1155 tokens.
type Batch = ((Address, Address), Vec<Amount>);

impl Scene<'_> {
    pub(super) fn nft(&mut self, function: Nft, call: &Call<'_>) -> Result<(), ParseError> {
        match function {
            Nft::SafeTransferFrom => self.one_token(call, read_one(call.args)),
            Nft::SafeTransferFromWithData => self.one_token(call, read_one_with_data(call.args)),
            Nft::SetApprovalForAll => self.approval_for_all(call),
            Nft::SafeTransferFromAmount => self.token_amounts(call, read_amount(call.args)),
            Nft::SafeBatchTransferFrom => self.token_amounts(call, read_batch(call.args)),
        }
    }

    fn one_token(&mut self, call: &Call<'_>, read: Option<(Address, Address)>) -> Result<(), ParseError> {
        let Some(route) = read else {
            return self.malformed(call);
        };
        match self.asset(call.contract, Standard::Erc721) {
            Some(asset) => self.foreign_transfer(call, route, asset, Amount::from_base_units(1)),
            None => self.contract_call(call),
        }
    }

    fn token_amounts(&mut self, call: &Call<'_>, read: Option<Batch>) -> Result<(), ParseError> {
        let Some(((from, to), amounts)) = read else {
            return self.malformed(call);
        };
        self.contract_call(call)?;
        let Some(asset) = self.asset(call.contract, Standard::Erc1155) else {
            return Ok(());
        };
        if !self.is_ours(from, call.actor)? {
            return Ok(());
        }
        for amount in amounts {
            self.token_transfer(call.contract, asset.clone(), amount, to)?;
        }
        Ok(())
    }

    /// Every token of the collection, now and later.
    fn approval_for_all(&mut self, call: &Call<'_>) -> Result<(), ParseError> {
        let Some((operator, is_approved)) = abi::read(call.args, 2, |args| Some((args.address()?, args.boolean()?)))
        else {
            return self.malformed(call);
        };
        let amount = if is_approved { Amount::MAX } else { Amount::ZERO };
        match self.registered(call.contract) {
            Some((Standard::Erc721 | Standard::Erc1155, asset)) => self.allowance(asset, amount, operator),
            Some((Standard::Erc20, _)) | None => self.contract_call(call),
        }
    }
}

fn read_one(args: &[u8]) -> Option<(Address, Address)> {
    abi::read(args, 3, |args| {
        let route = (args.address()?, args.address()?);
        args.uint()?;
        Some(route)
    })
}

fn read_one_with_data(args: &[u8]) -> Option<(Address, Address)> {
    abi::read(args, 4, |args| {
        let route = (args.address()?, args.address()?);
        args.uint()?;
        args.bytes()?;
        Some(route)
    })
}

fn read_amount(args: &[u8]) -> Option<Batch> {
    abi::read(args, 5, |args| {
        let route = (args.address()?, args.address()?);
        args.uint()?;
        let amount = args.amount()?;
        args.bytes()?;
        Some((route, vec![amount]))
    })
}

fn read_batch(args: &[u8]) -> Option<Batch> {
    abi::read(args, 5, |args| {
        let route = (args.address()?, args.address()?);
        let ids = args.list(1, abi::Frame::uint)?;
        let amounts = args.list(1, abi::Frame::amount)?;
        args.bytes()?;
        (ids.len() == amounts.len()).then_some((route, amounts))
    })
}

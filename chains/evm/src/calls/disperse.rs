//! Payouts to many through the Disperse contract: each of them is a transfer, and the outer call stays beside them.

use alloy_primitives::{Address, U256};
use countersign_types::Amount;

use super::{Call, Scene, Standard, function::Disperse};
use crate::{ParseError, abi, address::certify_spendable};

impl Scene<'_> {
    pub(super) fn disperse(&mut self, function: Disperse, call: &Call<'_>) -> Result<(), ParseError> {
        match function {
            Disperse::Ether => self.disperse_ether(call),
            Disperse::Token | Disperse::TokenSimple => self.disperse_token(call),
        }
    }

    /// The sum must be the value: less would leave the rest to the contract's manners, more cannot be paid.
    fn disperse_ether(&mut self, call: &Call<'_>) -> Result<(), ParseError> {
        let payouts = abi::read(call.args, 2, read_payouts).filter(|payouts| sum(payouts) == Some(call.value));
        let Some(payouts) = payouts else {
            return self.malformed(call);
        };
        self.contract_call(call)?;
        for (to, amount) in payouts {
            certify_spendable(to)?;
            self.native_transfer(to, amount)?;
        }
        Ok(())
    }

    fn disperse_token(&mut self, call: &Call<'_>) -> Result<(), ParseError> {
        let read = abi::read(call.args, 3, |args| Some((args.address()?, read_payouts(args)?)));
        let Some((token, payouts)) = read.filter(|(_, payouts)| sum(payouts).is_some()) else {
            return self.malformed(call);
        };
        self.contract_call(call)?;
        let Some(asset) = self.asset(token, Standard::Erc20) else {
            return Ok(());
        };
        for (to, amount) in payouts {
            self.token_transfer(token, asset.clone(), Amount::from_be_bytes(amount.to_be_bytes()), to)?;
        }
        Ok(())
    }
}

/// Two lists of one length.
fn read_payouts(args: &mut abi::Frame<'_>) -> Option<Vec<(Address, U256)>> {
    let recipients = args.list(1, abi::Frame::address)?;
    let amounts = args.list(1, abi::Frame::uint)?;
    (recipients.len() == amounts.len()).then(|| recipients.into_iter().zip(amounts).collect())
}

fn sum(payouts: &[(Address, U256)]) -> Option<U256> {
    payouts
        .iter()
        .try_fold(U256::ZERO, |sum, (_, amount)| sum.checked_add(*amount))
}

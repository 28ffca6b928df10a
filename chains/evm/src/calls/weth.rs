//! Wrapped native assets (WETH9). A registry does not say that a token is one, so the call stays beside the effect.

use super::{Call, Scene, Standard, function::Weth};
use crate::{ParseError, abi};

impl Scene<'_> {
    pub(super) fn weth(&mut self, function: Weth, call: &Call<'_>) -> Result<(), ParseError> {
        match function {
            // What is deposited is the value, which is an effect already.
            Weth::Deposit if call.args.is_empty() => self.contract_call(call),
            Weth::Deposit => self.malformed(call),
            Weth::Withdraw => self.withdraw(call),
        }
    }

    /// The contract takes its tokens back and pays the caller: the tokens leave the wallet.
    fn withdraw(&mut self, call: &Call<'_>) -> Result<(), ParseError> {
        let Some(amount) = abi::read(call.args, 1, abi::Frame::amount) else {
            return self.malformed(call);
        };
        self.contract_call(call)?;
        match self.asset(call.contract, Standard::Erc20) {
            Some(asset) => self.transfer(asset, amount, call.contract),
            None => Ok(()),
        }
    }
}

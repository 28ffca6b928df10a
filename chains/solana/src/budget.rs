//! The Compute Budget program and the fee.

use countersign_types::Amount;

use crate::{
    ParseError,
    call::{Call, Unread, end},
    message::Message,
    programs,
};

/// What each signature costs, also one that a signature verifying program checks.
const LAMPORTS_PER_SIGNATURE: u64 = 5_000;
/// No transaction gets more, whatever it asks for; without a limit, what it gets depends on the cluster's features.
const MAX_COMPUTE_UNITS: u32 = 1_400_000;
const MICRO_LAMPORTS_PER_LAMPORT: u128 = 1_000_000;

/// What a message asks of the scheduler; each at most once.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    heap_bytes: Option<u32>,
    unit_limit: Option<u32>,
    /// Micro-lamports for a compute unit.
    unit_price: Option<u64>,
    loaded_bytes: Option<u32>,
}

impl Budget {
    /// Takes one instruction. What cannot be read makes the fee unknown, so the message is refused.
    pub(crate) fn add(&mut self, call: &Call<'_>) -> Result<(), ParseError> {
        if !call.accounts.is_empty() {
            return Err(ParseError::BadComputeBudget);
        }
        self.read(call).map_err(|unread| match unread {
            Unread::Opaque => ParseError::BadComputeBudget,
            Unread::Refused(error) => error,
        })
    }

    fn read(&mut self, call: &Call<'_>) -> Result<(), Unread> {
        let mut data = call.reader();
        let is_second = match data.u8()? {
            1 => self.heap_bytes.replace(data.u32()?).is_some(),
            2 => self.unit_limit.replace(data.u32()?).is_some(),
            3 => self.unit_price.replace(data.u64()?).is_some(),
            4 => self.loaded_bytes.replace(data.u32()?).is_some(),
            _ => return Err(Unread::Opaque),
        };
        if is_second {
            return Err(ParseError::DuplicateComputeBudget.into());
        }
        if self.unit_limit > Some(MAX_COMPUTE_UNITS) {
            return Err(Unread::Opaque);
        }
        end(&data)
    }

    /// Price times limit, rounded up to a lamport.
    fn priority_lamports(&self) -> u128 {
        let limit = u128::from(self.unit_limit.unwrap_or(MAX_COMPUTE_UNITS));
        let price = u128::from(self.unit_price.unwrap_or(0));
        price.saturating_mul(limit).div_ceil(MICRO_LAMPORTS_PER_LAMPORT)
    }
}

/// The most that the message costs: signatures, priority, rent. 64 bits times 21 bits do not reach 128 bits.
pub(crate) fn fee(message: &Message, calls: &[Call<'_>], budget: &Budget, rent_lamports: u64) -> Amount {
    let verified = calls
        .iter()
        .filter(|call| programs::SIGNATURE_VERIFIERS.contains(&call.program))
        .filter_map(|call| call.data.first());
    let own = u64::from(message.header.required_signatures);
    let signatures = verified.fold(own, |sum, count| sum.saturating_add(u64::from(*count)));
    let base = LAMPORTS_PER_SIGNATURE.saturating_mul(signatures);
    let lamports = u128::from(base)
        .saturating_add(budget.priority_lamports())
        .saturating_add(u128::from(rent_lamports));
    Amount::from(lamports)
}

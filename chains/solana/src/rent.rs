//! Rent: what a program takes from the payer for the space of an account, without an amount in the instruction.
//!
//! Rent is a cost, so its most is in the fee. Accounts that the System program opens name their lamports: those are
//! transfers. What an unknown program takes nobody knows; that is what its `ContractCall` stands for.

use crate::{
    associated::{self, Opening},
    call::Call,
    loader, programs, tables,
};

/// Rent exemption is two years at 3 480 lamports a byte and year, for the data and 128 bytes beside it.
const LAMPORTS_PER_BYTE: u64 = 6_960;
const ACCOUNT_BYTES: u64 = 128;

/// The most that an instruction costs in rent, in lamports; also where it is opaque.
pub(crate) fn lamports(call: &Call<'_>, opening: Option<&Opening>) -> u64 {
    let bytes = match call.program {
        programs::ASSOCIATED_TOKEN => Some(associated::paid_bytes(opening)),
        programs::LOADER => loader::paid_bytes(call),
        programs::LOOKUP_TABLE => tables::paid_bytes(call),
        _ => None,
    };
    bytes.map_or(0, |bytes| {
        bytes.saturating_add(ACCOUNT_BYTES).saturating_mul(LAMPORTS_PER_BYTE)
    })
}

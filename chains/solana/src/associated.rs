//! The Associated Token Account program: accounts opened for owners.

use countersign_types::Effect;

use crate::{
    Address,
    call::{Call, Unread},
    effects::Scene,
    programs,
};

/// Rent exemption is two years at 3 480 lamports a byte and year, for the data and 128 bytes beside it.
const LAMPORTS_PER_BYTE: u64 = 6_960;
const TOKEN_ACCOUNT_BYTES: u64 = 128 + 165;
/// With every extension that a mint can force on a new account (Token-2022); under 300 bytes today.
const TOKEN_2022_ACCOUNT_BYTES: u64 = 128 + 512;

/// A `Create` or `CreateIdempotent` whose address is the one that follows from owner, token program and mint.
struct Opening {
    funder: Address,
    account: Address,
    token_program: Address,
}

fn read(call: &Call<'_>) -> Result<Opening, Unread> {
    if !matches!(call.data, [] | [0] | [1]) {
        return Err(Unread::Opaque);
    }
    let [funder, account, owner, mint, system, token_program] = call.keys()?;
    let is_derived = system == programs::SYSTEM
        && programs::is_token(token_program)
        && Address::associated(owner, token_program, mint) == Some(account);
    is_derived
        .then_some(Opening {
            funder,
            account,
            token_program,
        })
        .ok_or(Unread::Opaque)
}

/// None for the account of a recipient of the same message, whose rent is in the fee; a call for anybody else's.
pub(crate) fn effects(scene: &Scene<'_>, call: &Call<'_>) -> Result<Vec<Effect>, Unread> {
    // RecoverNested.
    if call.data == [2] {
        return Ok(vec![scene.contract_call(call)?]);
    }
    let opening = read(call)?;
    scene.certify_ours(opening.funder)?;
    if scene.is_paid(opening.account) {
        return Ok(Vec::new());
    }
    Ok(vec![scene.contract_call(call)?])
}

/// The most that an opening costs, in lamports; also where it is opaque, and nothing for other instructions.
pub(crate) fn rent_lamports(call: &Call<'_>) -> u64 {
    if call.program != programs::ASSOCIATED_TOKEN {
        return 0;
    }
    let bytes = match read(call) {
        Ok(opening) if opening.token_program == programs::TOKEN => TOKEN_ACCOUNT_BYTES,
        Ok(_) | Err(_) => TOKEN_2022_ACCOUNT_BYTES,
    };
    LAMPORTS_PER_BYTE.saturating_mul(bytes)
}

//! The Associated Token Account program: accounts opened for owners.

use countersign_types::Effect;

use crate::{
    Address,
    call::{Call, Unread},
    effects::Scene,
    programs,
};

const TOKEN_ACCOUNT_BYTES: u64 = 165;
/// With every extension that a mint can force on a new account (Token-2022); under 300 bytes today.
const TOKEN_2022_ACCOUNT_BYTES: u64 = 512;

/// A `Create` or `CreateIdempotent` whose address is the one that follows from owner, token program and mint. On chain it
/// fails, and the whole message with it, unless the account is the owner's when it has run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Opening {
    funder: Address,
    pub(crate) account: Address,
    pub(crate) owner: Address,
    pub(crate) mint: Address,
    pub(crate) token_program: Address,
}

/// The opening that an instruction is. One derivation an instruction, so that the work is linear in the message.
pub(crate) fn opening(call: &Call<'_>) -> Option<Opening> {
    if call.program != programs::ASSOCIATED_TOKEN || !matches!(call.data, [] | [0] | [1]) {
        return None;
    }
    let [funder, account, owner, mint, system, token_program] = call.keys().ok()?;
    let is_derived = system == programs::SYSTEM
        && programs::is_token(token_program)
        && Address::associated(owner, token_program, mint) == Some(account);
    is_derived.then_some(Opening {
        funder,
        account,
        owner,
        mint,
        token_program,
    })
}

/// None for the account of a recipient of the same message, whose rent is in the fee; a call for anybody else's.
pub(crate) fn effects(scene: &Scene<'_>, at: usize, call: &Call<'_>) -> Result<Vec<Effect>, Unread> {
    if call.data == [2] {
        return recover_nested(scene, call);
    }
    let opening = scene.opening(at).ok_or(Unread::Opaque)?;
    scene.certify_ours(opening.funder)?;
    if scene.is_paid(opening.account) {
        return Ok(Vec::new());
    }
    Ok(vec![scene.contract_call(call)?])
}

/// What sits in a token account of our token account moves to our own one: a call, as no amount is named. Another
/// destination than our own is opaque.
fn recover_nested(scene: &Scene<'_>, call: &Call<'_>) -> Result<Vec<Effect>, Unread> {
    let [_nested, mint, to, _outer, _outer_mint, owner, token_program] = call.keys()?;
    scene.certify_ours(owner)?;
    let is_ours = programs::is_token(token_program) && Address::associated(owner, token_program, mint) == Some(to);
    is_ours.then_some(()).ok_or(Unread::Opaque)?;
    Ok(vec![scene.contract_call(call)?])
}

/// The most bytes that an instruction of this program can make the payer keep rent-exempt.
pub(crate) fn paid_bytes(opening: Option<&Opening>) -> u64 {
    match opening {
        Some(opening) if opening.token_program == programs::TOKEN => TOKEN_ACCOUNT_BYTES,
        Some(_) | None => TOKEN_2022_ACCOUNT_BYTES,
    }
}

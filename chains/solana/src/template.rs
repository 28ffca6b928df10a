//! Which template a message is one of: whether all that it says is an effect, or blockhash and compute budget.

use countersign_types::TemplateKind;

use crate::{call::Call, effects::Scene, programs, system, token};

/// A template is a list of payments. Other instructions say more than their effects do (where lamports come from, how much
/// space an account gets) and mean something else in another order, which effects texts do not keep. They are bound byte
/// for byte; a durable nonce keeps their blockhash alive.
pub(crate) fn template(scene: &Scene<'_>, calls: &[Call<'_>]) -> Option<TemplateKind> {
    let mut calls = calls.iter().enumerate();
    calls
        .all(|(at, call)| is_plain(scene, at, call))
        .then_some(TemplateKind::SolanaBlockhashAndFee)
}

fn is_plain(scene: &Scene<'_>, at: usize, call: &Call<'_>) -> bool {
    match call.program {
        // Budgets were read, a nonce advance was held to its one form, and the call of a memo says all of it.
        programs::COMPUTE_BUDGET | programs::MEMO_1 | programs::MEMO_2 => true,
        programs::SYSTEM => system::is_advance_nonce(call) || system::is_plain_transfer(scene, call),
        programs::ASSOCIATED_TOKEN => scene.opening(at).is_some_and(|opening| scene.is_paid(opening.account)),
        program if programs::is_token(program) => token::is_plain_transfer(scene, call),
        _ => false,
    }
}

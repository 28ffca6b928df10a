//! The Vote program. A vote account's withdrawer owns it; its voter has the scope of a staker.

use countersign_types::{AuthorityScope, Effect};

use crate::{
    bytes::Reader,
    call::{Call, Unread, end},
    effects::Scene,
    system::seed,
};

pub(crate) fn effects(scene: &Scene<'_>, call: &Call<'_>) -> Result<Vec<Effect>, Unread> {
    let mut data = call.reader();
    let effects = match data.u32()? {
        0 => initialize(scene, call, &mut data)?,
        1 => {
            let [vote, _clock, authority] = call.keys()?;
            scene.certify_ours(authority)?;
            let holder = data.address()?;
            vec![scene.authority(vote, scope(&mut data)?, Some(holder))?]
        }
        3 => {
            let [_vote, to, authority] = call.keys()?;
            scene.certify_ours(authority)?;
            // Without its lamports the account is gone, whoever delegates to it.
            vec![scene.lamports(data.u64()?, to)?, scene.contract_call(call)?]
        }
        7 => {
            let [vote, _clock, authority, holder] = call.keys()?;
            scene.certify_ours(authority)?;
            vec![scene.authority(vote, scope(&mut data)?, Some(holder))?]
        }
        10 => {
            let [vote, _clock, base] = call.keys()?;
            scene.certify_ours(base)?;
            let scope = seeded_scope(&mut data)?;
            vec![scene.authority(vote, scope, Some(data.address()?))?]
        }
        11 => {
            let [vote, _clock, base, holder] = call.keys()?;
            scene.certify_ours(base)?;
            vec![scene.authority(vote, seeded_scope(&mut data)?, Some(holder))?]
        }
        19 => {
            let [vote, from, _system] = call.keys()?;
            scene.certify_ours(from)?;
            vec![scene.lamports(data.u64()?, vote)?]
        }
        // Votes, identity, commissions, a new account with BLS keys. The whole instruction is in the effect.
        2 | 4..=6 | 8 | 9 | 12..=18 => return Ok(vec![scene.contract_call(call)?]),
        _ => return Err(Unread::Opaque),
    };
    end(&data)?;
    Ok(effects)
}

/// Node, voter, withdrawer and a commission, which is in the call.
fn initialize(scene: &Scene<'_>, call: &Call<'_>, data: &mut Reader<'_>) -> Result<Vec<Effect>, Unread> {
    let [vote, _rent, _clock, node] = call.keys()?;
    scene.certify_ours(node)?;
    data.address()?;
    let (voter, withdrawer) = (data.address()?, data.address()?);
    data.u8()?;
    Ok(vec![
        scene.authority(vote, AuthorityScope::Stake, Some(voter))?,
        scene.authority(vote, AuthorityScope::Owner, Some(withdrawer))?,
        scene.contract_call(call)?,
    ])
}

/// Which authority, and from what the present one is derived: its owner and its seed.
fn seeded_scope(data: &mut Reader<'_>) -> Result<AuthorityScope, Unread> {
    let scope = scope(data)?;
    data.address()?;
    seed(data)?;
    Ok(scope)
}

/// A voter with a BLS key carries a proof that nobody here can check.
fn scope(data: &mut Reader<'_>) -> Result<AuthorityScope, Unread> {
    match data.u32()? {
        0 => Ok(AuthorityScope::Stake),
        1 => Ok(AuthorityScope::Owner),
        _ => Err(Unread::Opaque),
    }
}

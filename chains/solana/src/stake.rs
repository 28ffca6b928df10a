//! The Stake program.

use countersign_types::{AuthorityScope, Effect};

use crate::{
    Address,
    bytes::Reader,
    call::{Call, Unread, end},
    effects::Scene,
};

/// A lock-up of nothing: time, epoch and custodian are all zero.
const NO_LOCKUP: [u8; 48] = [0; 48];

/// A custodian's account behind the expected ones makes an instruction opaque: it lifts a lock-up.
pub(crate) fn effects(scene: &Scene<'_>, call: &Call<'_>) -> Result<Vec<Effect>, Unread> {
    let mut data = call.reader();
    let effects = match data.u32()? {
        0 => initialize(scene, call, &mut data)?,
        1 => {
            let [stake, _clock, authority] = call.keys()?;
            scene.certify_ours(authority)?;
            let holder = data.address()?;
            vec![scene.authority(stake, scope(&mut data)?, Some(holder))?]
        }
        2 => {
            let [stake, vote, _clock, _history, _config, authority] = call.keys()?;
            scene.certify_ours(authority)?;
            vec![scene.authority(stake, AuthorityScope::Delegate, Some(vote))?]
        }
        3 | 16 | 17 => {
            let [_from, to, authority] = call.keys()?;
            scene.certify_ours(authority)?;
            vec![scene.lamports(data.u64()?, to)?]
        }
        4 => {
            let [_stake, to, _clock, _history, authority] = call.keys()?;
            scene.certify_ours(authority)?;
            vec![scene.lamports(data.u64()?, to)?]
        }
        8 => authorize_with_seed(scene, call, &mut data)?,
        9 => {
            let [stake, _rent, staker, withdrawer] = call.keys()?;
            authorities(scene, stake, staker, withdrawer)?
        }
        10 => {
            let [stake, _clock, authority, holder] = call.keys()?;
            scene.certify_ours(authority)?;
            vec![scene.authority(stake, scope(&mut data)?, Some(holder))?]
        }
        // Deactivate, lock-ups, Merge, AuthorizeCheckedWithSeed, questions. The whole instruction is in the effect.
        5..=7 | 11..=14 => return Ok(vec![scene.contract_call(call)?]),
        _ => return Err(Unread::Opaque),
    };
    end(&data)?;
    Ok(effects)
}

fn initialize(scene: &Scene<'_>, call: &Call<'_>, data: &mut Reader<'_>) -> Result<Vec<Effect>, Unread> {
    let [stake, _rent] = call.keys()?;
    let (staker, withdrawer) = (data.address()?, data.address()?);
    if data.array()? != NO_LOCKUP {
        return Err(Unread::Opaque);
    }
    authorities(scene, stake, staker, withdrawer)
}

fn authorities(scene: &Scene<'_>, stake: Address, staker: Address, withdrawer: Address) -> Result<Vec<Effect>, Unread> {
    Ok(vec![
        scene.authority(stake, AuthorityScope::Stake, Some(staker))?,
        scene.authority(stake, AuthorityScope::Owner, Some(withdrawer))?,
    ])
}

/// The account's authority is derived from a base that signs, a seed and a program.
fn authorize_with_seed(scene: &Scene<'_>, call: &Call<'_>, data: &mut Reader<'_>) -> Result<Vec<Effect>, Unread> {
    let [stake, base, _clock] = call.keys()?;
    scene.certify_ours(base)?;
    let holder = data.address()?;
    let scope = scope(data)?;
    let seed_len = usize::try_from(data.u64()?).map_err(|_| Unread::Opaque)?;
    data.slice(seed_len)?;
    data.address()?;
    Ok(vec![scene.authority(stake, scope, Some(holder))?])
}

/// Who stakes, or who withdraws: the withdrawer can take everything, and owns the stake.
fn scope(data: &mut Reader<'_>) -> Result<AuthorityScope, Unread> {
    match data.u32()? {
        0 => Ok(AuthorityScope::Stake),
        1 => Ok(AuthorityScope::Owner),
        _ => Err(Unread::Opaque),
    }
}

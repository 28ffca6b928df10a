//! The Stake program.

use countersign_types::{AuthorityScope, Effect};

use crate::{
    Address,
    bytes::Reader,
    call::{Call, Entry, Unread, end},
    effects::Scene,
    programs,
    system::seed,
};

/// Whoever may also sign for a lock-up stands behind the expected accounts and makes an instruction opaque.
pub(crate) fn effects(scene: &Scene<'_>, call: &Call<'_>) -> Result<Vec<Effect>, Unread> {
    let mut data = call.reader();
    let effects = match data.u32()? {
        0 => initialize(scene, call, &mut data)?,
        1 => {
            let [stake, authority] = actors(call)?;
            scene.certify_ours(authority)?;
            let holder = data.address()?;
            vec![scene.authority(stake, scope(&mut data)?, Some(holder))?]
        }
        2 => {
            let [stake, vote, authority] = actors(call)?;
            scene.certify_ours(authority)?;
            vec![scene.authority(stake, AuthorityScope::Delegate, Some(vote))?]
        }
        3 | 4 | 16 | 17 => {
            let [_from, to, authority] = actors(call)?;
            scene.certify_ours(authority)?;
            vec![scene.lamports(data.u64()?, to)?]
        }
        6 => set_lockup(scene, call, &mut data)?,
        8 => {
            let [stake, base] = actors(call)?;
            let holder = data.address()?;
            vec![authority_by_seed(scene, stake, base, &mut data, holder)?]
        }
        9 => {
            let [stake, staker, withdrawer] = actors(call)?;
            authorities(scene, stake, staker, withdrawer)?
        }
        10 => {
            let [stake, authority, holder] = actors(call)?;
            scene.certify_ours(authority)?;
            vec![scene.authority(stake, scope(&mut data)?, Some(holder))?]
        }
        11 => {
            let [stake, base, holder] = actors(call)?;
            vec![authority_by_seed(scene, stake, base, &mut data, holder)?]
        }
        12 => set_lockup_checked(scene, call, &mut data)?,
        // Deactivate, Merge, questions, Redelegate (which no cluster enabled). The whole instruction is in the effect.
        5 | 7 | 13..=15 => vec![scene.contract_call(call)?],
        _ => return Err(Unread::Opaque),
    };
    end(&data)?;
    Ok(effects)
}

/// Who takes part, exactly `N`. Older clients also name sysvars, which the program reads by itself since it is a program
/// like others; it takes both forms.
fn actors<const N: usize>(call: &Call<'_>) -> Result<[Address; N], Unread> {
    const SYSVARS: [Address; 4] = [
        programs::SYSVAR_CLOCK,
        programs::SYSVAR_RENT,
        programs::SYSVAR_STAKE_HISTORY,
        programs::STAKE_CONFIG,
    ];
    let keys: Option<Vec<_>> = call.accounts.iter().map(Entry::key).collect();
    let mut keys = keys.ok_or(Unread::Opaque)?;
    keys.retain(|key| !SYSVARS.contains(key));
    keys.try_into().map_err(|_| Unread::Opaque)
}

/// Staker, withdrawer, and a lock-up: until when, until which epoch, and a custodian who may lift it.
fn initialize(scene: &Scene<'_>, call: &Call<'_>, data: &mut Reader<'_>) -> Result<Vec<Effect>, Unread> {
    let [stake] = actors(call)?;
    let (staker, withdrawer) = (data.address()?, data.address()?);
    let (time, epoch, custodian) = (data.u64()?, data.u64()?, data.array::<32>()?);
    let mut effects = authorities(scene, stake, staker, withdrawer)?;
    if (time, epoch, custodian) != (0, 0, [0; 32]) {
        let custodian = Address::new(custodian);
        effects.push(scene.authority(stake, AuthorityScope::Guard, Some(custodian))?);
        effects.push(scene.contract_call(call)?);
    }
    Ok(effects)
}

fn authorities(scene: &Scene<'_>, stake: Address, staker: Address, withdrawer: Address) -> Result<Vec<Effect>, Unread> {
    Ok(vec![
        scene.authority(stake, AuthorityScope::Stake, Some(staker))?,
        scene.authority(stake, AuthorityScope::Owner, Some(withdrawer))?,
    ])
}

/// The account's authority is derived from a base that signs, a seed and a program.
fn authority_by_seed(
    scene: &Scene<'_>,
    stake: Address,
    base: Address,
    data: &mut Reader<'_>,
    holder: Address,
) -> Result<Effect, Unread> {
    scene.certify_ours(base)?;
    let scope = scope(data)?;
    seed(data)?;
    data.address()?;
    scene.authority(stake, scope, Some(holder))
}

/// A lock-up keeps the withdrawer from withdrawing; a custodian may lift it. The dates are in the call.
fn set_lockup(scene: &Scene<'_>, call: &Call<'_>, data: &mut Reader<'_>) -> Result<Vec<Effect>, Unread> {
    let [stake, authority] = actors(call)?;
    scene.certify_ours(authority)?;
    lockup_dates(data)?;
    let custodian = match data.u8()? {
        0 => None,
        1 => Some(data.address()?),
        _ => return Err(Unread::Opaque),
    };
    guarded(scene, call, stake, custodian)
}

fn set_lockup_checked(scene: &Scene<'_>, call: &Call<'_>, data: &mut Reader<'_>) -> Result<Vec<Effect>, Unread> {
    let (stake, authority, custodian) = match actors::<3>(call) {
        Ok([stake, authority, custodian]) => (stake, authority, Some(custodian)),
        Err(_) => {
            let [stake, authority] = actors(call)?;
            (stake, authority, None)
        }
    };
    scene.certify_ours(authority)?;
    lockup_dates(data)?;
    guarded(scene, call, stake, custodian)
}

fn guarded(
    scene: &Scene<'_>,
    call: &Call<'_>,
    stake: Address,
    custodian: Option<Address>,
) -> Result<Vec<Effect>, Unread> {
    let mut effects = vec![scene.contract_call(call)?];
    if custodian.is_some() {
        effects.push(scene.authority(stake, AuthorityScope::Guard, custodian)?);
    }
    Ok(effects)
}

/// A time and an epoch, each behind a byte that says whether it is there.
fn lockup_dates(data: &mut Reader<'_>) -> Result<(), Unread> {
    for _ in 0..2 {
        match data.u8()? {
            0 => {}
            1 => drop(data.u64()?),
            _ => return Err(Unread::Opaque),
        }
    }
    Ok(())
}

/// Who stakes, or who withdraws: the withdrawer can take everything, and owns the stake.
fn scope(data: &mut Reader<'_>) -> Result<AuthorityScope, Unread> {
    match data.u32()? {
        0 => Ok(AuthorityScope::Stake),
        1 => Ok(AuthorityScope::Owner),
        _ => Err(Unread::Opaque),
    }
}

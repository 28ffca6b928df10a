//! The upgradeable loader: programs are code, and whoever holds a program's authority writes it.

use countersign_types::{AuthorityScope, CodeChangeKind, Effect};

use crate::{
    Address,
    call::{Call, Unread, end},
    effects::Scene,
};

/// What of a program data account is not code: its kind, the slot and the authority.
const PROGRAM_DATA_BYTES: u64 = 45;

pub(crate) fn effects(scene: &Scene<'_>, call: &Call<'_>) -> Result<Vec<Effect>, Unread> {
    let mut data = call.reader();
    let effects = match data.u32()? {
        0 => match call.keys::<2>() {
            Ok([buffer, authority]) => vec![scene.authority(buffer, AuthorityScope::Owner, Some(authority))?],
            Err(_) => {
                let [buffer] = call.keys()?;
                vec![scene.authority(buffer, AuthorityScope::Owner, None)?]
            }
        },
        // Nothing runs before it is deployed. The whole instruction, with the code in it, is in the effect.
        1 => {
            let [_buffer, authority] = call.keys()?;
            scene.certify_ours(authority)?;
            data.u32()?;
            let len = usize::try_from(data.u64()?).map_err(|_| Unread::Opaque)?;
            data.slice(len)?;
            vec![scene.contract_call(call)?]
        }
        2 => {
            let [payer, _data, program, _buffer, _rent, _clock, _system, authority] = call.keys()?;
            scene.certify_ours(payer)?;
            scene.certify_ours(authority)?;
            data.u64()?;
            vec![code(scene, call, program, CodeChangeKind::Deploy)?]
        }
        3 => {
            let [_data, program, buffer, spill, _rent, _clock, authority] = call.keys()?;
            scene.certify_ours(authority)?;
            let mut effects = spilled(scene, buffer, spill)?;
            effects.push(code(scene, call, program, CodeChangeKind::Upgrade)?);
            effects
        }
        4 => match call.keys::<3>() {
            Ok([subject, current, holder]) => authority(scene, subject, current, Some(holder))?,
            Err(_) => {
                let [subject, current] = call.keys()?;
                authority(scene, subject, current, None)?
            }
        },
        5 => close(scene, call)?,
        6 => {
            data.u32()?;
            vec![scene.contract_call(call)?]
        }
        7 => {
            let [subject, current, holder] = call.keys()?;
            authority(scene, subject, current, Some(holder))?
        }
        _ => return Err(Unread::Opaque),
    };
    end(&data)?;
    Ok(effects)
}

fn code(scene: &Scene<'_>, call: &Call<'_>, program: Address, change: CodeChangeKind) -> Result<Effect, Unread> {
    Ok(Effect::CodeChange {
        subject: Some(scene.place(program)?),
        change,
        code: call.to_bytes(),
    })
}

fn authority(
    scene: &Scene<'_>,
    subject: Address,
    current: Address,
    holder: Option<Address>,
) -> Result<Vec<Effect>, Unread> {
    scene.certify_ours(current)?;
    Ok(vec![scene.authority(subject, AuthorityScope::Owner, holder)?])
}

/// What the buffer holds beyond the program's rent goes to whom the authority change names, if that is not ourselves.
fn spilled(scene: &Scene<'_>, buffer: Address, spill: Address) -> Result<Vec<Effect>, Unread> {
    if spill == scene.account() {
        return Ok(Vec::new());
    }
    let holder = Some(spill.certify_spendable()?);
    Ok(vec![scene.authority(buffer, AuthorityScope::Owner, holder)?])
}

/// The lamports go to whom the authority change names. With a program behind it, the program is gone.
fn close(scene: &Scene<'_>, call: &Call<'_>) -> Result<Vec<Effect>, Unread> {
    let (account, to, authority, closed) = match call.keys::<4>() {
        Ok([account, to, authority, program]) => (
            account,
            to,
            authority,
            code(scene, call, program, CodeChangeKind::Upgrade)?,
        ),
        Err(_) => {
            let [account, to, authority] = call.keys()?;
            (account, to, authority, scene.contract_call(call)?)
        }
    };
    scene.certify_ours(authority)?;
    let holder = Some(to.certify_spendable()?);
    Ok(vec![scene.authority(account, AuthorityScope::Owner, holder)?, closed])
}

/// The bytes that the payer keeps rent-exempt: of a new program's data, and what a program is extended by.
pub(crate) fn paid_bytes(call: &Call<'_>) -> Option<u64> {
    let mut data = call.reader();
    match data.u32().ok()? {
        2 => Some(PROGRAM_DATA_BYTES.saturating_add(data.u64().ok()?)),
        6 => Some(data.u32().ok()?.into()),
        _ => None,
    }
}

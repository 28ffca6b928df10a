//! SPL Token and Token-2022: one instruction set, and extensions that are calls of their own.

use countersign_types::{Amount, AuthorityScope, Effect};

use crate::{
    Address,
    call::{Call, Unread, end},
    effects::Scene,
    programs,
};

const TRANSFER_CHECKED: u8 = 12;
const BATCH: u8 = 255;

pub(crate) fn effects(scene: &Scene<'_>, call: &Call<'_>) -> Result<Vec<Effect>, Unread> {
    let mut data = call.reader();
    let effects = match data.u8()? {
        // Transfer (3) and Approve (4) name no mint, so nobody knows what moves: they are opaque, like what is unknown.
        1 => {
            let [account, _mint, owner, _rent] = call.keys()?;
            vec![scene.authority(account, AuthorityScope::Owner, Some(owner))?]
        }
        5 => {
            let [account, owner] = call.keys()?;
            scene.certify_ours(owner)?;
            vec![scene.authority(account, AuthorityScope::Delegate, None)?]
        }
        6 => return set_authority(scene, call),
        7 | 8 => {
            let [_, _, authority] = call.keys()?;
            scene.certify_ours(authority)?;
            data.u64()?;
            vec![scene.contract_call(call)?]
        }
        9 => return emptied(scene, call),
        10 | 11 => {
            let [_account, _mint, authority] = call.keys()?;
            scene.certify_ours(authority)?;
            vec![scene.contract_call(call)?]
        }
        TRANSFER_CHECKED => return transfer_checked(scene, call),
        13 => return approve_checked(scene, call),
        14 | 15 => {
            let [_, _, authority] = call.keys()?;
            scene.certify_ours(authority)?;
            data.u64()?;
            data.u8()?;
            vec![scene.contract_call(call)?]
        }
        16 => {
            let [account, _mint, _rent] = call.keys()?;
            vec![scene.authority(account, AuthorityScope::Owner, Some(data.address()?))?]
        }
        17 => {
            let [_account] = call.keys()?;
            vec![scene.contract_call(call)?]
        }
        18 => {
            let [account, _mint] = call.keys()?;
            vec![scene.authority(account, AuthorityScope::Owner, Some(data.address()?))?]
        }
        // New mints and multisigs, and questions. The whole instruction is in the effect.
        0 | 2 | 19..=24 => return Ok(vec![scene.contract_call(call)?]),
        25 | 26 | 35 if call.program == programs::TOKEN_2022 => return extension(scene, call),
        38 => return emptied(scene, call),
        45 => return unwrap_lamports(scene, call),
        BATCH if call.program == programs::TOKEN => return batch(scene, call),
        _ => return Err(Unread::Opaque),
    };
    end(&data)?;
    Ok(effects)
}

/// The extensions of Token-2022 that move tokens or hand something over. All others are opaque: none of them is a payment,
/// and what they mean depends on the mint.
fn extension(scene: &Scene<'_>, call: &Call<'_>) -> Result<Vec<Effect>, Unread> {
    let mut data = call.reader();
    let effects = match (data.u8()?, data.u8()?) {
        (25, holder @ (0 | 1)) => {
            let [mint] = call.keys()?;
            let holder = if holder == 1 { Some(data.address()?) } else { None };
            vec![scene.authority(mint, AuthorityScope::Token, holder)?]
        }
        (26, 1) => return transfer_with_fee(scene, call),
        (35, _) => {
            let [mint] = call.keys()?;
            let mut data = call.reader();
            data.u8()?;
            let holder = data.address()?;
            end(&data)?;
            return Ok(vec![scene.authority(mint, AuthorityScope::Delegate, Some(holder))?]);
        }
        _ => return Err(Unread::Opaque),
    };
    end(&data)?;
    Ok(effects)
}

/// The amount leaves the wallet, and the recipient gets less; by how much is in the call.
fn transfer_with_fee(scene: &Scene<'_>, call: &Call<'_>) -> Result<Vec<Effect>, Unread> {
    let [_from, mint, to, authority] = call.keys()?;
    scene.certify_ours(authority)?;
    let mut data = call.reader();
    data.array::<2>()?;
    let (amount, decimals, _fee) = (data.u64()?, data.u8()?, data.u64()?);
    end(&data)?;
    let asset = scene.token(mint, decimals)?;
    let owner = scene.owner_of(to, call.program, mint);
    Ok(vec![scene.transfer(asset, amount, owner)?, scene.contract_call(call)?])
}

/// A `TransferChecked` as it stands in an instruction.
struct Transfer {
    from: Address,
    mint: Address,
    to: Address,
    authority: Address,
    amount: u64,
    decimals: u8,
}

/// Exactly four accounts: a fifth is a signer of a multisig or what a transfer hook runs on.
fn read_transfer(call: &Call<'_>) -> Result<Transfer, Unread> {
    let [from, mint, to, authority] = call.keys()?;
    let mut data = call.reader();
    if data.u8()? != TRANSFER_CHECKED {
        return Err(Unread::Opaque);
    }
    let (amount, decimals) = (data.u64()?, data.u8()?);
    end(&data)?;
    Ok(Transfer {
        from,
        mint,
        to,
        authority,
        amount,
        decimals,
    })
}

fn transfer_checked(scene: &Scene<'_>, call: &Call<'_>) -> Result<Vec<Effect>, Unread> {
    let transfer = read_transfer(call)?;
    scene.certify_ours(transfer.authority)?;
    let asset = scene.token(transfer.mint, transfer.decimals)?;
    let owner = scene.owner_of(transfer.to, call.program, transfer.mint);
    Ok(vec![scene.transfer(asset, transfer.amount, owner)?])
}

/// The token account that receives a registered token, if that is what the instruction does.
pub(crate) fn paid(scene: &Scene<'_>, call: &Call<'_>) -> Option<Address> {
    if !programs::is_token(call.program) {
        return None;
    }
    let transfer = read_transfer(call).ok()?;
    scene.certify_ours(transfer.authority).ok()?;
    scene.token(transfer.mint, transfer.decimals).ok()?;
    Some(transfer.to)
}

/// Whether an instruction is a transfer out of the wallet's own associated token account: which account it comes from is no
/// effect. One derivation an instruction, like an opening.
pub(crate) fn is_plain_transfer(scene: &Scene<'_>, call: &Call<'_>) -> bool {
    let is_own = |transfer: Transfer| {
        let own = Address::associated(scene.account(), call.program, transfer.mint);
        own == Some(transfer.from)
    };
    paid(scene, call).is_some() && read_transfer(call).is_ok_and(is_own)
}

fn approve_checked(scene: &Scene<'_>, call: &Call<'_>) -> Result<Vec<Effect>, Unread> {
    let [_account, mint, delegate, owner] = call.keys()?;
    scene.certify_ours(owner)?;
    let mut data = call.reader();
    data.u8()?;
    let (amount, decimals) = (data.u64()?, data.u8()?);
    end(&data)?;
    Ok(vec![Effect::Allowance {
        asset: scene.token(mint, decimals)?,
        amount: Amount::from_base_units(amount),
        spender: scene.place(delegate)?,
    }])
}

/// Mints have the kinds 0 and 1, token accounts 2 and 3, so subject and scope together say which one it is. Kinds of
/// Token-2022's extensions are opaque.
fn set_authority(scene: &Scene<'_>, call: &Call<'_>) -> Result<Vec<Effect>, Unread> {
    let [subject, authority] = call.keys()?;
    scene.certify_ours(authority)?;
    let mut data = call.reader();
    data.u8()?;
    let scope = match data.u8()? {
        0 | 2 => AuthorityScope::Owner,
        1 | 3 => AuthorityScope::Token,
        _ => return Err(Unread::Opaque),
    };
    let holder = match data.u8()? {
        0 => None,
        1 => Some(data.address()?),
        _ => return Err(Unread::Opaque),
    };
    end(&data)?;
    Ok(vec![scene.authority(subject, scope, holder)?])
}

/// A closed account, or one whose lamports over its rent are taken: they go to somebody, and how many, the message does not
/// say (for closed wrapped SOL, the whole balance). Who it is stands in the authority change for lists to look at; the call
/// tells it apart from a change of close authority.
fn emptied(scene: &Scene<'_>, call: &Call<'_>) -> Result<Vec<Effect>, Unread> {
    let [account, to, owner] = call.keys()?;
    scene.certify_ours(owner)?;
    let mut data = call.reader();
    data.u8()?;
    end(&data)?;
    Ok(vec![
        scene.authority(account, AuthorityScope::Token, Some(to.certify_spendable()?))?,
        scene.contract_call(call)?,
    ])
}

/// Wrapped SOL becomes lamports of somebody: so many, or all.
fn unwrap_lamports(scene: &Scene<'_>, call: &Call<'_>) -> Result<Vec<Effect>, Unread> {
    let [account, to, owner] = call.keys()?;
    scene.certify_ours(owner)?;
    let mut data = call.reader();
    data.u8()?;
    let effects = match data.u8()? {
        0 => vec![
            scene.authority(account, AuthorityScope::Token, Some(to.certify_spendable()?))?,
            scene.contract_call(call)?,
        ],
        1 => vec![scene.lamports(data.u64()?, to)?],
        _ => return Err(Unread::Opaque),
    };
    end(&data)?;
    Ok(effects)
}

/// Instructions of this program one behind the other, each behind the counts of its accounts and of its bytes. A batch in a
/// batch is none, so this goes one level deep.
fn batch(scene: &Scene<'_>, call: &Call<'_>) -> Result<Vec<Effect>, Unread> {
    let mut data = call.reader();
    data.u8()?;
    let mut accounts = &call.accounts[..];
    let mut effects = Vec::new();
    while !data.is_empty() {
        let (count, len) = (data.u8()?, data.u8()?);
        let (taken, rest) = accounts.split_at_checked(count.into()).ok_or(Unread::Opaque)?;
        accounts = rest;
        let inner = Call {
            program: call.program,
            accounts: taken.to_vec(),
            data: data.slice(len.into())?,
        };
        if inner.data.first() == Some(&BATCH) {
            return Err(Unread::Opaque);
        }
        effects.extend(scene.or_opaque(&inner, self::effects(scene, &inner))?);
    }
    let is_whole = accounts.is_empty() && !effects.is_empty();
    is_whole.then_some(effects).ok_or(Unread::Opaque)
}

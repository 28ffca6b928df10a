//! The System program: lamports, new accounts, durable nonces.

use countersign_types::{AuthorityScope, ConflictKey, Effect};

use crate::{
    Address, ParseError,
    bytes::Reader,
    call::{Call, Unread, end},
    effects::{Known, Scene},
    message::Message,
    programs,
};

const ADVANCE_NONCE: [u8; 4] = [4, 0, 0, 0];

pub(crate) fn effects(scene: &Scene<'_>, call: &Call<'_>) -> Result<Vec<Effect>, Unread> {
    let mut data = call.reader();
    let effects = match data.u32()? {
        0 => create(scene, call.keys()?, &mut data)?,
        1 => {
            let [account] = call.keys()?;
            scene.certify_ours(account)?;
            vec![scene.authority(account, AuthorityScope::Owner, Some(data.address()?))?]
        }
        2 => {
            let [from, to] = call.keys()?;
            scene.certify_ours(from)?;
            vec![scene.lamports(data.u64()?, to)?]
        }
        3 => create_with_seed(scene, call, &mut data)?,
        5 => {
            let [_nonce, to, _blockhashes, _rent, authority] = call.keys()?;
            scene.certify_ours(authority)?;
            vec![scene.lamports(data.u64()?, to)?]
        }
        6 => {
            let [nonce, _blockhashes, _rent] = call.keys()?;
            vec![scene.authority(nonce, AuthorityScope::Owner, Some(data.address()?))?]
        }
        7 => {
            let [nonce, authority] = call.keys()?;
            scene.certify_ours(authority)?;
            vec![scene.authority(nonce, AuthorityScope::Owner, Some(data.address()?))?]
        }
        8 => {
            let [account] = call.keys()?;
            scene.certify_ours(account)?;
            data.u64()?;
            vec![scene.contract_call(call)?]
        }
        tag @ (9 | 10) => assign_with_seed(scene, call.keys()?, &mut data, tag == 9)?,
        11 => {
            let [_from, base, to] = call.keys()?;
            scene.certify_ours(base)?;
            let lamports = data.u64()?;
            seed(&mut data)?;
            data.address()?;
            vec![scene.lamports(lamports, to)?]
        }
        12 => {
            let [_nonce] = call.keys()?;
            vec![scene.contract_call(call)?]
        }
        _ => return Err(Unread::Opaque),
    };
    end(&data)?;
    Ok(effects)
}

/// Lamports, space and owning program of a new account: what it costs, and who controls it from then on.
fn create(scene: &Scene<'_>, [from, new]: [Address; 2], data: &mut Reader<'_>) -> Result<Vec<Effect>, Unread> {
    scene.certify_ours(from)?;
    let lamports = data.u64()?;
    data.u64()?;
    Ok(vec![
        scene.lamports(lamports, new)?,
        scene.authority(new, AuthorityScope::Owner, Some(data.address()?))?,
    ])
}

fn create_with_seed(scene: &Scene<'_>, call: &Call<'_>, data: &mut Reader<'_>) -> Result<Vec<Effect>, Unread> {
    let base = data.address()?;
    seed(data)?;
    // The base is an account of its own only where it is not the funding one.
    let [from, new] = match call.accounts.len() {
        2 => call.keys()?,
        _ => {
            let [from, new, _base] = call.keys()?;
            [from, new]
        }
    };
    scene.certify_ours(base)?;
    create(scene, [from, new], data)
}

fn assign_with_seed(
    scene: &Scene<'_>,
    [account, base]: [Address; 2],
    data: &mut Reader<'_>,
    allocates: bool,
) -> Result<Vec<Effect>, Unread> {
    scene.certify_ours(base)?;
    scene.certify_ours(data.address()?)?;
    seed(data)?;
    if allocates {
        data.u64()?;
    }
    Ok(vec![scene.authority(
        account,
        AuthorityScope::Owner,
        Some(data.address()?),
    )?])
}

/// A text behind its length in eight bytes; validators take at most 32 bytes of UTF-8.
fn seed(data: &mut Reader<'_>) -> Result<(), Unread> {
    let len = usize::try_from(data.u64()?).map_err(|_| Unread::Opaque)?;
    let text = data.slice(len)?;
    (len <= 32 && std::str::from_utf8(text).is_ok())
        .then_some(())
        .ok_or(Unread::Opaque)
}

/// Whether validators would take this for the advance of a durable nonce. They look at the first four bytes.
pub(crate) fn is_advance_nonce(call: &Call<'_>) -> bool {
    call.program == programs::SYSTEM && call.data.starts_with(&ADVANCE_NONCE)
}

/// A nonce account under the wallet's authority, advanced by the first instruction and by no other.
pub(crate) fn advance_nonce(scene: &Scene<'_>, at: usize, call: &Call<'_>) -> Result<Vec<Effect>, Unread> {
    if at != 0 {
        return Err(ParseError::NonceNotFirst.into());
    }
    let nonce = nonce_account(call).ok_or(ParseError::BadNonce)?;
    let Ok([_, _, authority]) = call.keys() else {
        return Err(ParseError::BadNonce.into());
    };
    scene.certify_ours(authority).map_err(|_| ParseError::ForeignNonce)?;
    Ok(vec![Effect::DelayedAuthorization {
        mechanism: scene.place(nonce)?,
    }])
}

/// The writable nonce account of an advance that is whole.
fn nonce_account(call: &Call<'_>) -> Option<Address> {
    let [nonce, blockhashes, _authority] = call.keys().ok()?;
    let is_writable = call.accounts.first().is_some_and(|entry| entry.is_writable());
    let is_whole = call.data == ADVANCE_NONCE && blockhashes == programs::SYSVAR_RECENT_BLOCKHASHES;
    (is_writable && is_whole).then_some(nonce)
}

/// What excludes other messages: a durable nonce at an attested value. A plain blockhash excludes none.
pub(crate) fn conflict_keys(
    message: &Message,
    scene_chain: &countersign_types::ChainId,
    known: &Known<'_>,
) -> Result<Vec<ConflictKey>, ParseError> {
    let calls = Call::all(message)?;
    let first = calls.first().filter(|call| is_advance_nonce(call));
    let Some(nonce) = first.and_then(nonce_account) else {
        return Ok(Vec::new());
    };
    let account = nonce.on(scene_chain)?;
    let value = message.blockhash;
    match known.facts.nonces.get(&account) {
        Some(stored) if stored.value == value => Ok(vec![ConflictKey::NonceAccount { account, value }]),
        Some(_) | None => Ok(Vec::new()),
    }
}

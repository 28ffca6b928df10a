//! The System program: lamports, new accounts, durable nonces.

use countersign_types::{AuthorityScope, ConflictKey, Effect};

use crate::{
    Address, ParseError, Sender,
    bytes::Reader,
    call::{Call, Entry, Unread, end},
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

/// The nonce account of an advance that is whole: writable, and every account written out, as validators look for the nonce
/// account there and nowhere else.
fn nonce_account(call: &Call<'_>) -> Option<Address> {
    let [nonce, blockhashes, _authority] = call.keys().ok()?;
    let is_written = call.accounts.iter().all(|entry| entry.written_key().is_some());
    let is_writable = call.accounts.first().is_some_and(Entry::is_writable);
    let is_whole = call.data == ADVANCE_NONCE && blockhashes == programs::SYSVAR_RECENT_BLOCKHASHES;
    (is_written && is_writable && is_whole).then_some(nonce)
}

/// The nonce account that a message advances.
pub(crate) fn advanced_nonce(calls: &[Call<'_>]) -> Option<Address> {
    let first = calls.first().filter(|call| is_advance_nonce(call))?;
    nonce_account(first)
}

/// What excludes other messages: a durable nonce at its attested value. A plain blockhash excludes none, and neither does a
/// nonce that nobody attested: with a recent blockhash in place of the nonce, two such messages can both land.
///
/// What contradicts an attestation is refused. Under another authority or another value the chain would not take the
/// message as a durable one; it would still be a signature, and one that excludes nothing.
pub(crate) fn conflict_keys(
    message: &Message,
    calls: &[Call<'_>],
    sender: &Sender<'_>,
    known: &Known<'_>,
) -> Result<Vec<ConflictKey>, ParseError> {
    let Some(nonce) = advanced_nonce(calls) else {
        return Ok(Vec::new());
    };
    let chain = sender.network.chain();
    let account = nonce.on(chain)?;
    let Some(stored) = known.facts.nonces.get(&account) else {
        return Ok(Vec::new());
    };
    if stored.authority != sender.account.destination(chain)? {
        return Err(ParseError::ForeignNonce);
    }
    let value = message.blockhash;
    if stored.value != value {
        return Err(ParseError::StaleNonce {
            nonce,
            slot: stored.slot,
        });
    }
    Ok(vec![ConflictKey::NonceAccount { account, value }])
}

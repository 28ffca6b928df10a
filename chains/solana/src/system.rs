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

const TRANSFER: [u8; 4] = [2, 0, 0, 0];
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
            // Without its lamports the account is gone, and what was signed under its nonce can never land.
            vec![scene.lamports(data.u64()?, to)?, scene.contract_call(call)?]
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
        11 => transfer_with_seed(scene, call.keys()?, &mut data)?,
        12 => {
            let [_nonce] = call.keys()?;
            vec![scene.contract_call(call)?]
        }
        13 => create_prefunded(scene, call, &mut data)?,
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

/// The accounts stand the other way round, and without lamports nobody funds it.
fn create_prefunded(scene: &Scene<'_>, call: &Call<'_>, data: &mut Reader<'_>) -> Result<Vec<Effect>, Unread> {
    match call.keys::<2>() {
        Ok([new, from]) => create(scene, [from, new], data),
        Err(_) => {
            let [new] = call.keys()?;
            scene.certify_ours(new)?;
            if data.u64()? != 0 {
                return Err(Unread::Opaque);
            }
            data.u64()?;
            Ok(vec![scene.authority(
                new,
                AuthorityScope::Owner,
                Some(data.address()?),
            )?])
        }
    }
}

fn create_with_seed(scene: &Scene<'_>, call: &Call<'_>, data: &mut Reader<'_>) -> Result<Vec<Effect>, Unread> {
    let base = data.address()?;
    let seed = seed(data)?;
    // The base is an account of its own only where it is not the funding one.
    let [from, new] = match call.accounts.len() {
        2 => call.keys()?,
        _ => {
            let [from, new, listed] = call.keys()?;
            scene.certify_ours(listed)?;
            [from, new]
        }
    };
    scene.certify_ours(base)?;
    scene.certify_ours(from)?;
    let lamports = data.u64()?;
    data.u64()?;
    let owner = data.address()?;
    certify_seeded(new, base, seed, owner)?;
    Ok(vec![
        scene.lamports(lamports, new)?,
        scene.authority(new, AuthorityScope::Owner, Some(owner))?,
    ])
}

fn assign_with_seed(
    scene: &Scene<'_>,
    [account, listed]: [Address; 2],
    data: &mut Reader<'_>,
    allocates: bool,
) -> Result<Vec<Effect>, Unread> {
    let base = data.address()?;
    scene.certify_ours(listed)?;
    scene.certify_ours(base)?;
    let seed = seed(data)?;
    if allocates {
        data.u64()?;
    }
    let owner = data.address()?;
    certify_seeded(account, base, seed, owner)?;
    Ok(vec![scene.authority(account, AuthorityScope::Owner, Some(owner))?])
}

fn transfer_with_seed(
    scene: &Scene<'_>,
    [from, base, to]: [Address; 3],
    data: &mut Reader<'_>,
) -> Result<Vec<Effect>, Unread> {
    scene.certify_ours(base)?;
    let lamports = data.u64()?;
    let seed = seed(data)?;
    certify_seeded(from, base, seed, data.address()?)?;
    Ok(vec![scene.lamports(lamports, to)?])
}

/// Validators refuse another address than the one that follows.
fn certify_seeded(address: Address, base: Address, seed: &[u8], owner: Address) -> Result<(), Unread> {
    (Address::with_seed(base, seed, owner) == address)
        .then_some(())
        .ok_or(Unread::Opaque)
}

/// A text behind its length in eight bytes; validators take at most 32 bytes of UTF-8.
pub(crate) fn seed<'a>(data: &mut Reader<'a>) -> Result<&'a [u8], Unread> {
    let len = usize::try_from(data.u64()?).map_err(|_| Unread::Opaque)?;
    let text = data.slice(len)?;
    (len <= 32 && std::str::from_utf8(text).is_ok())
        .then_some(text)
        .ok_or(Unread::Opaque)
}

/// Whether an instruction is a transfer out of the wallet itself, and nothing more.
pub(crate) fn is_plain_transfer(scene: &Scene<'_>, call: &Call<'_>) -> bool {
    let is_ours = call.keys().is_ok_and(|[from, _to]| from == scene.account());
    is_ours && call.data.starts_with(&TRANSFER) && call.data.len() == TRANSFER.len().saturating_add(8)
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
            height: stored.height,
        });
    }
    Ok(vec![ConflictKey::NonceAccount { account, value }])
}

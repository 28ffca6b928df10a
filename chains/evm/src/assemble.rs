//! From unsigned bytes and a token's signature to the transaction that can be broadcast, or the signature of a message.

use alloy_consensus::{SignableTransaction, Signed, transaction::RlpEcdsaDecodableTx};
use alloy_eips::{Decodable2718 as _, Typed2718};
use alloy_primitives::{B256, Signature, U256, keccak256};
use countersign_types::{RawSignature, Scheme, SignedTransaction, Tag};
use k256::ecdsa::{RecoveryId, Signature as EcdsaSignature, VerifyingKey, signature::hazmat::PrehashVerifier as _};

use crate::{ParseError, Sender, message::Signable, transaction::Unsigned};

/// Why signatures do not make a signed transaction.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AssembleError {
    /// The unsigned bytes themselves are refused.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// An EVM transaction has one signature.
    #[error("an EVM transaction takes exactly one signature, not {0}")]
    NotOneSignature(usize),
    /// A signature of another scheme.
    #[error("an EVM transaction takes an ECDSA signature, not {0:?}")]
    WrongScheme(Scheme),
    /// The signature does not verify under the wallet's key.
    #[error("the signature does not verify under the wallet's key")]
    BadSignature,
    /// The assembled bytes, decoded again, are not what was signed by whom.
    #[error("the assembled transaction does not decode to the same fields and sender")]
    NotReproduced,
}

impl AssembleError {
    /// The stable reason.
    pub fn tag(&self) -> Tag {
        match self {
            Self::Parse(error) => error.tag(),
            Self::NotOneSignature(_) | Self::WrongScheme(_) | Self::BadSignature | Self::NotReproduced => {
                Tag::BackendBadSignature
            }
        }
    }
}

/// Verifies the one signature, makes it low-S (EIP-2), finds its parity, and encodes the signed transaction.
///
/// Of a message the bytes are its signature, r ‖ s ‖ v with v 27 or 28 as wallets return it, and the id is the hash that is
/// signed. An EIP-4844 transaction is as it stands in blocks: whoever broadcasts it adds the blobs.
pub fn assemble(
    unsigned: &[u8],
    sender: &Sender<'_>,
    signatures: &[RawSignature],
) -> Result<SignedTransaction, AssembleError> {
    let signable = Signable::decode_for(unsigned, sender.network)?;
    let key = sender.account.verifying_key();
    let hash = signable.signing_hash();
    let signature = recoverable(only_ecdsa(signatures)?, hash, key)?;
    match signable {
        Signable::Transaction(tx, _) => {
            let bytes = tx.signed_bytes(&signature);
            certify(&tx, &bytes, key)?;
            let txid = keccak256(&bytes).to_string();
            Ok(SignedTransaction { bytes, txid })
        }
        Signable::Personal(_) | Signable::TypedData(..) => {
            let bytes = signature.as_bytes().to_vec();
            certify_message(hash, &bytes, key)?;
            let txid = hash.to_string();
            Ok(SignedTransaction { bytes, txid })
        }
    }
}

/// The id of signed bytes that are `unsigned` with the signature of the wallet's key, as [`assemble`] makes them, and of no others.
pub fn identify(unsigned: &[u8], sender: &Sender<'_>, signed: &[u8]) -> Result<String, AssembleError> {
    let signable = Signable::decode_for(unsigned, sender.network)?;
    let (hash, key) = (signable.signing_hash(), sender.account.verifying_key());
    match signable {
        Signable::Transaction(tx, _) => {
            certify(&tx, signed, key)?;
            Ok(keccak256(signed).to_string())
        }
        Signable::Personal(_) | Signable::TypedData(..) => {
            certify_message(hash, signed, key)?;
            Ok(hash.to_string())
        }
    }
}

fn only_ecdsa(signatures: &[RawSignature]) -> Result<&[u8; 64], AssembleError> {
    let [signature] = signatures else {
        return Err(AssembleError::NotOneSignature(signatures.len()));
    };
    match signature {
        RawSignature::Ecdsa(bytes) => Ok(bytes),
        RawSignature::Schnorr(_) | RawSignature::Ed25519(_) => Err(AssembleError::WrongScheme(signature.scheme())),
    }
}

/// Verifies first. Then the key recovered with even parity is the wallet's or the parity is odd; that it is, the
/// decoded transaction shows in [`certify`].
fn recoverable(raw: &[u8; 64], hash: B256, key: &VerifyingKey) -> Result<Signature, AssembleError> {
    let signature = EcdsaSignature::from_slice(raw)
        .map_err(|_| AssembleError::BadSignature)?
        .normalize_s();
    key.verify_prehash(hash.as_slice(), &signature)
        .map_err(|_| AssembleError::BadSignature)?;
    let is_odd = recover(hash, &signature, false).as_ref() != Some(key);
    let (r, s) = signature.split_bytes();
    Ok(Signature::new(
        U256::from_be_bytes(r.into()),
        U256::from_be_bytes(s.into()),
        is_odd,
    ))
}

fn recover(hash: B256, signature: &EcdsaSignature, is_odd: bool) -> Option<VerifyingKey> {
    // EIP-2: with n − s and the other parity the key is the same, the bytes and their id are not.
    (signature.normalize_s() == *signature).then_some(())?;
    // EVM signatures have no room for an x that was reduced modulo n (probability 2⁻¹²⁷).
    VerifyingKey::recover_from_prehash(hash.as_slice(), signature, RecoveryId::new(is_odd, false)).ok()
}

/// Defence in depth: what leaves decodes with the reference decoder to the same fields and to the wallet's own key.
pub(crate) fn certify(tx: &Unsigned, bytes: &[u8], key: &VerifyingKey) -> Result<(), AssembleError> {
    let is_reproduced = match tx {
        Unsigned::Legacy(tx) => reproduces(tx, bytes, key),
        Unsigned::Eip2930(tx) => reproduces(tx, bytes, key),
        Unsigned::Eip1559(tx) => reproduces(tx, bytes, key),
        Unsigned::Eip4844(tx) => reproduces(tx, bytes, key),
        Unsigned::Eip7702(tx) => reproduces(tx, bytes, key),
    };
    is_reproduced.then_some(()).ok_or(AssembleError::NotReproduced)
}

/// The same for a message: what a contract would recover from the 65 bytes is the wallet's own key.
pub(crate) fn certify_message(hash: B256, bytes: &[u8], key: &VerifyingKey) -> Result<(), AssembleError> {
    let signer = bytes.split_last().and_then(|(v, scalars)| {
        let is_odd = match v {
            27 => false,
            28 => true,
            _ => return None,
        };
        recover(hash, &EcdsaSignature::from_slice(scalars).ok()?, is_odd)
    });
    (signer.as_ref() == Some(key))
        .then_some(())
        .ok_or(AssembleError::NotReproduced)
}

fn reproduces<T>(tx: &T, bytes: &[u8], key: &VerifyingKey) -> bool
where
    T: RlpEcdsaDecodableTx + SignableTransaction<Signature> + Typed2718 + PartialEq + Send + Sync,
{
    let Ok(decoded) = Signed::<T>::decode_2718_exact(bytes) else {
        return false;
    };
    let found = decoded.signature();
    let scalars = EcdsaSignature::from_scalars(found.r().to_be_bytes::<32>(), found.s().to_be_bytes::<32>());
    let sender = scalars
        .ok()
        .and_then(|signature| recover(decoded.signature_hash(), &signature, found.v()));
    decoded.tx() == tx && sender.as_ref() == Some(key)
}

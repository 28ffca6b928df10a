//! From unsigned bytes and a token's signature to the transaction that can be broadcast.

use countersign_types::{RawSignature, Scheme, SignedTransaction, Tag};
use ed25519_dalek::Signature;

use crate::{ParseError, Sender, bytes::write_compact_u16, parse::decode_for};

/// Why signatures do not make a signed transaction.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AssembleError {
    /// The unsigned bytes themselves are refused.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// A wallet's transaction has one signature.
    #[error("a Solana transaction of a wallet takes exactly one signature, not {0}")]
    NotOneSignature(usize),
    /// A signature of another scheme.
    #[error("a Solana transaction takes an Ed25519 signature, not {0:?}")]
    WrongScheme(Scheme),
    /// The signature does not verify under the wallet's key.
    #[error("the signature does not verify under the wallet's key")]
    BadSignature,
    /// Signed bytes are not one signature and the message.
    #[error("the signed transaction is not the message behind one signature")]
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

/// Verifies the one signature (strictly, as validators do) and puts it before the message. The transaction id is the
/// base58 text of the signature.
pub fn assemble(
    unsigned: &[u8],
    sender: &Sender<'_>,
    signatures: &[RawSignature],
) -> Result<SignedTransaction, AssembleError> {
    let message = decode_for(unsigned, sender.account)?.encode();
    join(&message, sender, only_ed25519(signatures)?)
}

/// The id of signed bytes that are `unsigned` behind the signature of the wallet's key, as [`assemble`] makes them, and of no others.
pub fn identify(unsigned: &[u8], sender: &Sender<'_>, signed: &[u8]) -> Result<String, AssembleError> {
    let message = decode_for(unsigned, sender.account)?.encode();
    let signature = signed.split_first().and_then(|(_, rest)| rest.first_chunk());
    let joined = join(&message, sender, signature.ok_or(AssembleError::NotReproduced)?)?;
    let is_reproduced = joined.bytes == signed;
    is_reproduced.then_some(joined.txid).ok_or(AssembleError::NotReproduced)
}

fn join(message: &[u8], sender: &Sender<'_>, signature: &[u8; 64]) -> Result<SignedTransaction, AssembleError> {
    let verified = sender
        .account
        .verifying_key()
        .verify_strict(message, &Signature::from_bytes(signature));
    verified.map_err(|_| AssembleError::BadSignature)?;
    let mut bytes = Vec::with_capacity(message.len().saturating_add(65));
    write_compact_u16(&mut bytes, 1);
    bytes.extend_from_slice(signature);
    bytes.extend_from_slice(message);
    let txid = bs58::encode(signature).into_string();
    Ok(SignedTransaction { bytes, txid })
}

fn only_ed25519(signatures: &[RawSignature]) -> Result<&[u8; 64], AssembleError> {
    let [signature] = signatures else {
        return Err(AssembleError::NotOneSignature(signatures.len()));
    };
    match signature {
        RawSignature::Ed25519(bytes) => Ok(bytes),
        RawSignature::Ecdsa(_) | RawSignature::Schnorr(_) => Err(AssembleError::WrongScheme(signature.scheme())),
    }
}

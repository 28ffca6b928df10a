//! From a PSBT and a token's signatures to the transaction that can be broadcast.

use bitcoin::{
    EcdsaSighashType, ScriptBuf, TapSighashType, Transaction, TxIn, Witness, XOnlyPublicKey,
    consensus::{deserialize, serialize},
    ecdsa,
    script::{Builder, Instruction, PushBytesBuf},
    secp256k1::{Message, Secp256k1, VerifyOnly, ecdsa::Signature as EcdsaSignature, schnorr},
    taproot,
};
use countersign_types::{RawSignature, Scheme, SignedTransaction, SigningBytes, Tag};

use crate::{
    ParseError, Sender,
    account::{KeyScript, OwnKey},
    address::p2wpkh,
    parse::{Read, read_for},
    sighash::Digest,
    spend::Unlock,
};

/// Why signatures do not make a signed transaction.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AssembleError {
    /// The unsigned bytes themselves are refused.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// Not one signature for each payload.
    #[error("the transaction takes {needed} signatures, not {found}")]
    WrongCount {
        /// The number of signing payloads.
        needed: usize,
        /// The number of signatures.
        found: usize,
    },
    /// A signature of another scheme.
    #[error("the signature of input {input} is of the wrong scheme: {found:?}")]
    WrongScheme {
        /// The input's index.
        input: usize,
        /// What came.
        found: Scheme,
    },
    /// The signature does not verify under its key.
    #[error("a signature of input {input} does not verify under the wallet's key")]
    BadSignature {
        /// The input's index.
        input: usize,
    },
    /// The assembled bytes, decoded again, are not what was signed.
    #[error("the assembled transaction does not decode to the same fields")]
    NotReproduced,
}

impl AssembleError {
    /// The stable reason.
    pub fn tag(&self) -> Tag {
        match self {
            Self::Parse(error) => error.tag(),
            Self::WrongCount { .. } | Self::WrongScheme { .. } | Self::BadSignature { .. } | Self::NotReproduced => {
                Tag::BackendBadSignature
            }
        }
    }
}

/// Verifies every signature, makes ECDSA low-S (BIP 146), fills in script signatures and witnesses, and encodes the
/// signed transaction. `signatures` are those of the payloads that [`crate::parse`] returned, in their order.
pub fn assemble(
    unsigned: &[u8],
    sender: &Sender<'_>,
    signatures: &[RawSignature],
) -> Result<SignedTransaction, AssembleError> {
    let read = read_for(unsigned, sender)?;
    let needed = read.digests.iter().map(Vec::len).sum();
    if signatures.len() != needed {
        let found = signatures.len();
        return Err(AssembleError::WrongCount { needed, found });
    }
    let signed = fill_in(&read, signatures)?;
    let bytes = serialize(&signed);
    certify(&read.psbt.tx, &signed, &bytes)?;
    let txid = signed.compute_txid().to_string();
    Ok(SignedTransaction { bytes, txid })
}

/// The id of signed bytes that are `unsigned` with signatures of the wallet's keys, as [`assemble`] makes them, and of no others: the
/// id of a P2PKH input's transaction takes in its script signature, so under other ones it is another id.
pub fn identify(unsigned: &[u8], sender: &Sender<'_>, signed: &[u8]) -> Result<String, AssembleError> {
    let read = read_for(unsigned, sender)?;
    let decoded: Transaction = deserialize(signed).map_err(|_| AssembleError::NotReproduced)?;
    certify(&read.psbt.tx, &decoded, signed)?;
    let signatures = signatures_in(&read, &decoded).ok_or(AssembleError::NotReproduced)?;
    match fill_in(&read, &signatures)? == decoded {
        true => Ok(decoded.compute_txid().to_string()),
        false => Err(AssembleError::NotReproduced),
    }
}

/// The signatures from where [`unlock`] puts them.
fn signatures_in(read: &Read<'_>, signed: &Transaction) -> Option<Vec<RawSignature>> {
    let mut found = Vec::new();
    for (input, spend) in signed.input.iter().zip(&read.spends) {
        match &spend.unlock {
            Unlock::Taproot { .. } => {
                let signature = taproot::Signature::from_slice(input.witness.nth(0)?).ok()?;
                found.push(RawSignature::Schnorr(signature.signature.serialize()));
            }
            Unlock::Key { script, .. } => found.push(read_ecdsa(match script {
                KeyScript::P2pkh => {
                    let Instruction::PushBytes(first) = input.script_sig.instructions_minimal().next()?.ok()? else {
                        return None;
                    };
                    first.as_bytes()
                }
                KeyScript::P2wpkh | KeyScript::P2shP2wpkh => input.witness.nth(0)?,
                KeyScript::P2tr => return None,
            })?),
            Unlock::Multisig { own, .. } => {
                for at in 1..=own.required {
                    found.push(read_ecdsa(input.witness.nth(at)?)?);
                }
            }
        }
    }
    Some(found)
}

fn read_ecdsa(bytes: &[u8]) -> Option<RawSignature> {
    let signature = ecdsa::Signature::from_slice(bytes).ok()?;
    Some(RawSignature::Ecdsa(signature.signature.serialize_compact()))
}

fn fill_in(read: &Read<'_>, signatures: &[RawSignature]) -> Result<Transaction, AssembleError> {
    let verifier = Verifier(Secp256k1::verification_only());
    let mut signatures = signatures.iter();
    let mut signed = read.psbt.tx.clone();
    let inputs = signed.input.iter_mut().zip(&read.spends).zip(&read.digests);
    for (index, ((input, spend), digests)) in inputs.enumerate() {
        let mut verified = Vec::with_capacity(digests.len());
        for (digest, raw) in digests.iter().zip(signatures.by_ref()) {
            verified.push(verifier.verify(index, digest, raw)?);
        }
        let unlocked = unlock(&spend.unlock, &verified).ok_or(AssembleError::NotReproduced)?;
        (input.script_sig, input.witness) = unlocked;
    }
    Ok(signed)
}

/// A signature that verified under its key.
#[derive(Debug, Clone, Copy)]
enum Verified {
    Ecdsa(EcdsaSignature),
    Schnorr(schnorr::Signature),
}

struct Verifier(Secp256k1<VerifyOnly>);

impl Verifier {
    fn verify(&self, input: usize, digest: &Digest, raw: &RawSignature) -> Result<Verified, AssembleError> {
        let verified = match (&digest.bytes, raw) {
            (SigningBytes::EcdsaPrehash(hash), RawSignature::Ecdsa(raw)) => self.ecdsa(&digest.key, hash, raw),
            (SigningBytes::SchnorrPrehash(hash), RawSignature::Schnorr(raw)) => self.schnorr(&digest.key, hash, raw),
            (
                SigningBytes::EcdsaPrehash(_) | SigningBytes::SchnorrPrehash(_) | SigningBytes::Ed25519Message(_),
                RawSignature::Ecdsa(_) | RawSignature::Schnorr(_) | RawSignature::Ed25519(_),
            ) => {
                let found = raw.scheme();
                return Err(AssembleError::WrongScheme { input, found });
            }
        };
        verified.ok_or(AssembleError::BadSignature { input })
    }

    fn ecdsa(&self, key: &OwnKey, hash: &[u8; 32], raw: &[u8; 64]) -> Option<Verified> {
        let mut signature = EcdsaSignature::from_compact(raw).ok()?;
        signature.normalize_s();
        let message = Message::from_digest(*hash);
        self.0.verify_ecdsa(&message, &signature, &key.point.0).ok()?;
        Some(Verified::Ecdsa(signature))
    }

    fn schnorr(&self, key: &OwnKey, hash: &[u8; 32], raw: &[u8; 64]) -> Option<Verified> {
        let signature = schnorr::Signature::from_slice(raw).ok()?;
        let output_key = XOnlyPublicKey::from(key.point);
        let message = Message::from_digest(*hash);
        self.0.verify_schnorr(&signature, &message, &output_key).ok()?;
        Some(Verified::Schnorr(signature))
    }
}

/// The script signature and the witness; `None` where signatures are not those that the script takes.
fn unlock(unlock: &Unlock, verified: &[Verified]) -> Option<(ScriptBuf, Witness)> {
    match unlock {
        Unlock::Taproot { sighash, .. } => {
            let [Verified::Schnorr(signature)] = verified else {
                return None;
            };
            Some((ScriptBuf::new(), key_path(*signature, *sighash)))
        }
        Unlock::Key { script, key } => {
            let [Verified::Ecdsa(signature)] = verified else {
                return None;
            };
            unlock_key(*script, key, &with_all(*signature))
        }
        Unlock::Multisig { script, .. } => {
            // OP_CHECKMULTISIG pops one element more than it uses, which must be empty (BIP 147).
            let mut witness = Witness::new();
            witness.push([]);
            for signature in verified {
                let Verified::Ecdsa(signature) = signature else {
                    return None;
                };
                witness.push_ecdsa_signature(&with_all(*signature));
            }
            witness.push(script.as_bytes());
            Some((ScriptBuf::new(), witness))
        }
    }
}

fn unlock_key(script: KeyScript, key: &OwnKey, signature: &ecdsa::Signature) -> Option<(ScriptBuf, Witness)> {
    let witness = Witness::p2wpkh(signature, &key.point.0);
    match script {
        KeyScript::P2pkh => {
            let script_sig = Builder::new()
                .push_slice(signature.serialize())
                .push_slice(key.point.to_bytes())
                .into_script();
            Some((script_sig, Witness::new()))
        }
        KeyScript::P2wpkh => Some((ScriptBuf::new(), witness)),
        KeyScript::P2shP2wpkh => {
            let program = p2wpkh(key.point.wpubkey_hash()).into_bytes();
            let push = PushBytesBuf::try_from(program).ok()?;
            Some((Builder::new().push_slice(push).into_script(), witness))
        }
        KeyScript::P2tr => None,
    }
}

fn with_all(signature: EcdsaSignature) -> ecdsa::Signature {
    ecdsa::Signature {
        signature,
        sighash_type: EcdsaSighashType::All,
    }
}

fn key_path(signature: schnorr::Signature, sighash_type: TapSighashType) -> Witness {
    Witness::p2tr_key_spend(&taproot::Signature {
        signature,
        sighash_type,
    })
}

/// Defence in depth: what leaves decodes to what was assembled, and without its signatures it is what was parsed.
fn certify(unsigned: &Transaction, signed: &Transaction, bytes: &[u8]) -> Result<(), AssembleError> {
    let decoded: Transaction = deserialize(bytes).map_err(|_| AssembleError::NotReproduced)?;
    let mut stripped = decoded.clone();
    for input in &mut stripped.input {
        *input = TxIn {
            previous_output: input.previous_output,
            sequence: input.sequence,
            ..TxIn::default()
        };
    }
    let is_reproduced = decoded == *signed && stripped == *unsigned;
    is_reproduced.then_some(()).ok_or(AssembleError::NotReproduced)
}

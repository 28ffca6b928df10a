//! Verification: from an envelope to a [`Verified`], which nothing else can make.

use countersign_types::{PrincipalId, StatementDigest};
use ssh_key::{HashAlg, PublicKey as SshPublicKey, SshSig, public::KeyData};

use crate::{
    Envelope, Fingerprint, KeyDirectory, KeyRecord, Statement, StatementError,
    key::{ed25519_fingerprint, fingerprint_of},
};

/// A statement whose signature holds under a key of a roster. Header and permission are checked where they are used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    statement: Statement,
    signer: PrincipalId,
    fingerprint: Fingerprint,
    envelope: Envelope,
}

impl Verified {
    /// What was stated.
    pub fn statement(&self) -> &Statement {
        &self.statement
    }
    /// By whom.
    pub fn signer(&self) -> &PrincipalId {
        &self.signer
    }
    /// With which key.
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }
    /// The envelope as it came.
    pub fn envelope(&self) -> &Envelope {
        &self.envelope
    }
    /// The replay identity.
    pub fn digest(&self) -> StatementDigest {
        self.envelope.statement_digest()
    }
}

/// The user-present flag of a security key's signature (OpenSSH PROTOCOL.u2f).
const SK_USER_PRESENT: u8 = 0x01;
/// Flags (1 byte) and counter (4 bytes) behind a security key's signature.
const SK_TRAILER_BYTES: usize = 5;

/// Verifies an envelope against a directory of keys.
pub fn verify(envelope: &Envelope, directory: &impl KeyDirectory) -> Result<Verified, StatementError> {
    let (fingerprint, signature) = claimed(envelope)?;
    let unknown = || StatementError::UnknownKey(fingerprint.to_string());
    let (signer, record) = directory.key(&fingerprint).ok_or_else(unknown)?;
    let bad = |reason| StatementError::BadSignature {
        signer: signer.clone(),
        reason,
    };
    match (record, &signature) {
        (KeyRecord::Ed25519(point), Claimed::Ed25519(bytes)) => {
            verify_ed25519(point, &envelope.pae(), bytes).ok_or_else(|| bad("it does not verify"))?;
        }
        (KeyRecord::Ssh(key), Claimed::Ssh(sshsig)) => {
            verify_sshsig(key, sshsig, envelope).map_err(bad)?;
            if !is_touched(sshsig) {
                return Err(StatementError::NoTouch(signer.clone()));
            }
        }
        (KeyRecord::Ed25519(_), Claimed::Ssh(_)) => return Err(bad("the roster asks for plain ed25519")),
        (KeyRecord::Ssh(_), Claimed::Ed25519(_)) => return Err(bad("the roster asks for an ssh signature")),
    }
    // The payload is read only now: nothing unsigned reaches the statement parser.
    let statement = Statement::parse(envelope.kind(), envelope.payload())?;
    Ok(Verified {
        statement,
        signer: signer.clone(),
        fingerprint,
        envelope: envelope.clone(),
    })
}

enum Claimed {
    Ssh(Box<SshSig>),
    Ed25519([u8; 64]),
}

/// Which key the signature says it is of. The roster decides whether that is enough.
fn claimed(envelope: &Envelope) -> Result<(Fingerprint, Claimed), StatementError> {
    let malformed = |reason: &str| StatementError::Envelope(reason.to_owned());
    if envelope.key_id().starts_with("ed25519:") {
        let point = KeyRecord::parse(envelope.key_id()).map_err(|error| malformed(&error.to_string()))?;
        let KeyRecord::Ed25519(point) = point else {
            return Err(malformed("`keyid` is no ed25519 key"));
        };
        let bytes = envelope
            .signature()
            .try_into()
            .map_err(|_| malformed("an ed25519 signature has 64 bytes"))?;
        return Ok((ed25519_fingerprint(&point), Claimed::Ed25519(bytes)));
    }
    let sshsig: SshSig = decode_exact(envelope.signature()).ok_or_else(|| malformed("`sig` is no SSHSIG blob"))?;
    Ok((fingerprint_of(sshsig.public_key()), Claimed::Ssh(Box::new(sshsig))))
}

/// Decodes the whole of `blob`: decoders accept trailing bytes, so the blob is encoded again and compared.
fn decode_exact(blob: &[u8]) -> Option<SshSig> {
    use ssh_encoding::{Decode as _, Encode as _};
    let sshsig = SshSig::decode(&mut &*blob).ok()?;
    let mut again = Vec::new();
    sshsig.encode(&mut again).ok()?;
    (again == blob).then_some(sshsig)
}

fn verify_sshsig(key: &KeyData, sshsig: &SshSig, envelope: &Envelope) -> Result<(), &'static str> {
    // The fingerprint names key material; the record also fixes its form: sk or not, and the sk application.
    if sshsig.public_key() != key {
        return Err("the key is not in the form that the roster lists");
    }
    if sshsig.namespace() != envelope.kind().namespace() {
        return Err("it was made for another namespace");
    }
    if !sshsig.reserved().is_empty() {
        return Err("its reserved field is not empty");
    }
    if sshsig.algorithm() != key.algorithm() {
        return Err("its algorithm is not the key's");
    }
    match sshsig.hash_alg() {
        HashAlg::Sha512 | HashAlg::Sha256 => {}
        _ => return Err("its hash algorithm is unknown"),
    }
    let key = SshPublicKey::new(key.clone(), "");
    key.verify(&envelope.kind().namespace(), &envelope.pae(), sshsig)
        .map_err(|_| "it does not verify")
}

/// A security key's signature counts only with a touch: `ssh-keygen` and ssh-key verify it without one.
fn is_touched(sshsig: &SshSig) -> bool {
    let is_security_key = sshsig.public_key().is_sk_ed25519() || sshsig.public_key().is_sk_ecdsa_p256();
    if !is_security_key {
        return true;
    }
    let bytes = sshsig.signature_bytes();
    let flags = bytes.len().checked_sub(SK_TRAILER_BYTES).and_then(|at| bytes.get(at));
    flags.is_some_and(|flags| flags & SK_USER_PRESENT == SK_USER_PRESENT)
}

fn verify_ed25519(point: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> Option<()> {
    let key = ed25519_dalek::VerifyingKey::from_bytes(point).ok()?;
    key.verify_strict(message, &ed25519_dalek::Signature::from_bytes(signature))
        .ok()
}

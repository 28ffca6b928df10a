//! Verification: from an envelope to a [`Verified`], which nothing else can make.

use countersign_types::{PrincipalId, StatementDigest};

use crate::{
    Envelope, Fingerprint, KeyDirectory, KeyRecord, Statement, StatementError,
    key::{fingerprint_of, ssh_key_id},
    sshsig::{EmbeddedKey, SshSignature, verify_ed25519},
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
        (KeyRecord::Ssh(key), Claimed::Ssh(signature)) => {
            signature
                .verify(key, &envelope.kind().namespace(), &envelope.pae())
                .map_err(bad)?;
            // `ssh-keygen -Y verify` calls it good without a touch; we do not.
            if !signature.is_touched() {
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

enum Claimed<'a> {
    Ssh(SshSignature<'a>),
    Ed25519(&'a [u8]),
}

/// Which key the signature says it is of. The roster decides whether that is enough.
fn claimed(envelope: &Envelope) -> Result<(Fingerprint, Claimed<'_>), StatementError> {
    let malformed = |reason: &str| StatementError::Envelope(reason.to_owned());
    let signature = envelope.signature();
    if envelope.key_id().starts_with("ed25519:") {
        let Ok(record @ KeyRecord::Ed25519(_)) = KeyRecord::parse(envelope.key_id()) else {
            return Err(malformed("`keyid` is no ed25519 key"));
        };
        if signature.len() != 64 {
            return Err(malformed("an ed25519 signature has 64 bytes"));
        }
        return Ok((record.fingerprint(), Claimed::Ed25519(signature)));
    }
    let sshsig = SshSignature::parse(signature).ok_or_else(|| malformed("`sig` is no SSHSIG blob"))?;
    let key = match &sshsig.key {
        EmbeddedKey::Known(key) => key,
        EmbeddedKey::Foreign(kind) => return Err(StatementError::UnknownKey(kind.clone())),
    };
    // The hint must not show people another key than the one that signed.
    if envelope.key_id() != ssh_key_id(key) {
        return Err(malformed("`keyid` names another key than the signature's"));
    }
    Ok((fingerprint_of(key), Claimed::Ssh(sshsig)))
}

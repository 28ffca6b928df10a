//! Bundles that the journal stores are believed as far as the log bears them out. Whoever writes to the journal's tables could
//! put a policy of his own there; he cannot write into the log, whose checkpoints the log key signs and whose head is anchored
//! outside of the database.

use countersign_audit::{Hash, InclusionProof, LeafHash, SignedCheckpoint, VerifierKey};
use countersign_bundle::Bundle;
use countersign_decision::Entry;

use crate::{JournalError, ProvenEntries, SignerError, StoredBundle};

/// Loads a bundle that came into force once: what is stored is what its digest names, and the log says that it was activated.
pub(crate) fn load_activated(
    stored: &StoredBundle,
    logged: &ProvenEntries,
    log_key: &VerifierKey,
) -> Result<Bundle, SignerError> {
    let damaged = |reason: String| JournalError::Damaged(format!("stored bundle {}: {reason}", stored.version));
    let bundle = Bundle::load(&stored.files).map_err(|errors| damaged(errors.to_string()))?;
    if (bundle.version(), bundle.digest()) != (stored.version, stored.digest) {
        return Err(damaged("its files are those of another bundle".to_owned()).into());
    }
    if !is_activated(&bundle, logged, log_key).map_err(damaged)? {
        return Err(damaged("the log does not say that it came into force".to_owned()).into());
    }
    Ok(bundle)
}

fn is_activated(bundle: &Bundle, logged: &ProvenEntries, log_key: &VerifierKey) -> Result<bool, String> {
    let broken = |error: &dyn std::error::Error| error.to_string();
    let note = SignedCheckpoint::parse(&logged.checkpoint).map_err(|error| broken(&error))?;
    let checkpoint = note.verify(log_key).map_err(|error| broken(&error))?;
    for entry in &logged.entries {
        let leaf = LeafHash::of(&entry.bytes).map_err(|error| broken(&error))?;
        let proof: Vec<Hash> = entry.proof.iter().copied().map(Hash::from_bytes).collect();
        let proof = InclusionProof::try_from(proof).map_err(|error| broken(&error))?;
        checkpoint
            .verify_inclusion(entry.index, &leaf, &proof)
            .map_err(|error| format!("log entry {}: {error}", entry.index))?;
        let parsed = Entry::parse(&entry.bytes).map_err(|error| broken(&error))?;
        if let Entry::Activation(activation) = parsed
            && (activation.version, activation.bundle) == (bundle.version(), bundle.digest())
        {
            return Ok(true);
        }
    }
    Ok(false)
}

//! One function an entry point: any bytes, and what must hold of them.
//!
//! Promises: none of them panics on bytes from outside, however wrong those are. A panic is a finding: in the code under
//! test, or in an assertion here that says what accepted bytes promise.

mod site;
mod transaction;

use std::collections::BTreeSet;

use countersign_approval::{Envelope, Kind, Statement};
use countersign_audit::SignedCheckpoint;
use countersign_bundle::{Bundle, Manifest};
use countersign_decision::{Entry, Receipt};
use countersign_policy::DestinationList;
use countersign_types::{Destination, EffectsText};

pub use crate::transaction::{bitcoin, descriptor, evm, solana, typed_data};

/// The payload of a statement: one statement has one text, so whatever is accepted is written the same again.
pub fn payload(bytes: &[u8]) {
    for kind in Kind::ALL {
        if let Ok(statement) = Statement::parse(kind, bytes) {
            assert_eq!(statement.body.kind(), kind);
            assert_eq!(statement.to_payload(), bytes, "another text of the same statement");
        }
    }
}

/// A DSSE envelope: read again from what it writes, it is the same, and nothing of it is lost.
pub fn envelope(bytes: &[u8]) {
    let Ok(envelope) = Envelope::parse(bytes) else { return };
    let written = envelope.to_bytes();
    let again = Envelope::parse(&written).expect("what an envelope writes is an envelope");
    assert_eq!(again, envelope);
    assert_eq!(again.to_bytes(), written);
    assert_eq!(again.statement_digest(), envelope.statement_digest());
    assert_eq!(again.pae(), envelope.pae());
    // Verifying finds no key; it must find that out without a panic.
    assert!(countersign_approval::verify(&envelope, site::bundle().roster()).is_err());
}

/// The manifest of a bundle: its digest is the bundle's identity, so whatever is accepted is written the same again.
pub fn manifest(bytes: &[u8]) {
    let Ok(manifest) = Manifest::parse(bytes) else { return };
    assert_eq!(manifest.to_bytes(), bytes, "another text of the same manifest");
    let paths: BTreeSet<&str> = manifest.files().iter().map(|file| file.path()).collect();
    assert_eq!(paths.len(), manifest.files().len(), "a file twice");
}

/// `policy.yaml` of the development bundle: a bundle that loads loads again, and has the digest of its files.
pub fn policy(bytes: &[u8]) {
    let files = site::sealed_with("policy.yaml", bytes);
    match Bundle::load(&files) {
        Err(errors) => assert!(!errors.to_string().is_empty(), "an error says something"),
        Ok(bundle) => {
            let again = Bundle::load(&files).expect("it loaded a moment ago");
            assert_eq!(again.policy(), bundle.policy());
            assert_eq!(again.policy_digest(), bundle.policy_digest());
        }
    }
}

/// The file of a destination list, and a hash table over it: it has its lines, each once and in order, and nothing that differs.
pub fn list(bytes: &[u8]) {
    let Ok(list) = DestinationList::parse(bytes) else {
        return;
    };
    let written: String = list.lines().flat_map(|line| [line, "\n"]).collect();
    assert_eq!(written.as_bytes(), bytes, "another text of the same list");
    let entries: BTreeSet<Destination> = list.iter().collect();
    assert_eq!(
        (entries.len(), list.len()),
        (list.lines().count(), list.lines().count())
    );
    for entry in &entries {
        assert!(list.contains(entry), "{entry} is not found");
        let others = [format!("{entry}0"), entry.to_string().replacen(':', ":0", 1)];
        for other in others.iter().filter_map(|other| other.parse().ok()) {
            assert_eq!(
                list.contains(&other),
                entries.contains(&other),
                "{other} beside {entry}"
            );
        }
    }
    // A list of the same destinations has the same text, and nothing beyond it.
    let again = DestinationList::from(entries);
    assert!(again.lines().eq(list.lines()));
    assert_eq!(again.lines_beyond(Some(&list)).count(), 0);
    assert_eq!(list.lines_beyond(None).count(), list.len());
}

/// An effects text that a statement carries.
pub fn effects_text(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(effects) = EffectsText::parse(text) else { return };
    assert_eq!(effects.as_str(), text);
    assert!(effects.effect_lines().count() <= text.lines().count());
    let json = serde_json::to_vec(&effects).expect("text is JSON");
    assert_eq!(serde_json::from_slice::<EffectsText>(&json).ok(), Some(effects));
}

/// A signed checkpoint of the log.
pub fn checkpoint(bytes: &[u8]) {
    let Ok(checkpoint) = SignedCheckpoint::parse(bytes) else {
        return;
    };
    assert_eq!(
        checkpoint.to_string().as_bytes(),
        bytes,
        "another text of the same checkpoint"
    );
    assert!(
        checkpoint.verify(site::log_key()).is_err(),
        "nobody signed it with this key"
    );
}

/// A receipt, and the log's entries in it. The trust root is that of a deployment which signed one withdrawal (the seed).
pub fn receipt(bytes: &[u8]) {
    if let Ok(receipt) = Receipt::verify(bytes, site::GENESIS) {
        assert_eq!(
            receipt.withdrawal.to_string(),
            site::WITHDRAWAL,
            "a forged receipt verifies"
        );
        assert!(
            receipt.txid.is_none_or(|txid| txid == site::TXID),
            "another transaction than was signed"
        );
    }
    if let Ok(entry) = Entry::parse(bytes) {
        assert_eq!(
            entry.to_bytes().ok().as_deref(),
            Some(bytes),
            "another text of the same entry"
        );
    }
}

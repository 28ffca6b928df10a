//! Security keys in software: what `ssh-keygen` calls good and we do not, and what neither does.

use countersign_approval::*;
use countersign_types::Tag;

use crate::{
    soft::{Blob, SoftKey, string},
    ssh_keygen::ssh_keygen_accepts,
    support::*,
};

const NAMESPACE: &str = "countersign-approval-v1";

fn verdict(key: &SoftKey, blob: &Blob) -> Result<(), Tag> {
    let envelope = Envelope::new(Kind::Approval, approval().to_payload(), key.key_id(), blob.bytes()).unwrap();
    let verified = verify(&envelope, &roster()).map_err(|error| error.tag())?;
    assert_eq!(*verified.statement(), approval());
    Ok(())
}

fn message() -> Vec<u8> {
    Envelope::message_to_sign(Kind::Approval, &approval().to_payload())
}

#[test]
fn a_touched_key_counts_for_us_and_for_ssh_keygen() {
    for key in [carol(), dave()] {
        for flags in [0x01, 0x05, 0xff] {
            let key = key.clone().with_flags(flags);
            let blob = key.sshsig(NAMESPACE, &message());
            assert!(ssh_keygen_accepts(&key.line(), NAMESPACE, &message(), &blob.armored()));
            assert_eq!(verdict(&key, &blob), Ok(()), "{flags:#x}");
            // What `ssh-keygen -Y sign` prints arrives unchanged.
            let payload = approval().to_payload();
            let envelope = Envelope::from_ssh_signature(Kind::Approval, payload, &blob.armored()).unwrap();
            assert_eq!(
                (envelope.key_id(), envelope.signature()),
                (key.key_id().as_str(), blob.bytes().as_slice())
            );
            assert!(verify(&envelope, &roster()).is_ok());
        }
    }
}

/// `ssh-keygen -Y verify` says good for an SSHSIG without touch; the roster of a custody system cannot.
#[test]
fn an_untouched_key_counts_for_ssh_keygen_and_not_for_us() {
    for key in [carol(), dave()] {
        for flags in [0x00, 0x04, 0xfe] {
            let key = key.clone().with_flags(flags);
            let blob = key.sshsig(NAMESPACE, &message());
            assert!(ssh_keygen_accepts(&key.line(), NAMESPACE, &message(), &blob.armored()));
            assert_eq!(verdict(&key, &blob), Err(Tag::StatementNoTouch), "{flags:#x}");
        }
    }
}

/// One change to a valid blob, and the tag. `ssh-keygen` refuses each of them too.
#[test]
fn one_mutation_one_refusal() {
    type Mutation = fn(&mut Blob);
    let table: [(&str, Mutation, Tag); 12] = [
        (
            "touch flag set afterwards",
            |b| b.trailer[0] = 0x03,
            Tag::StatementBadSignature,
        ),
        ("counter", |b| b.trailer[4] ^= 1, Tag::StatementBadSignature),
        ("counter cut", |b| b.trailer.truncate(4), Tag::StatementBadSignature),
        (
            "no flags and counter",
            |b| b.trailer.clear(),
            Tag::StatementBadSignature,
        ),
        (
            "bytes behind the counter",
            |b| b.trailer.push(0),
            Tag::StatementBadSignature,
        ),
        ("bytes behind the blob", |b| b.after.push(0), Tag::StatementMalformed),
        (
            "bytes behind the signature",
            |b| b.signature.push(0),
            Tag::StatementBadSignature,
        ),
        (
            "signature cut",
            |b| b.signature.truncate(60),
            Tag::StatementBadSignature,
        ),
        ("signature bit", |b| b.signature[9] ^= 1, Tag::StatementBadSignature),
        ("bytes behind the key", |b| b.key.push(0), Tag::StatementMalformed),
        ("other namespace", |b| b.namespace.push('x'), Tag::StatementBadSignature),
        (
            "algorithm of the plain key",
            |b| b.algorithm = b.algorithm.replace("sk-", ""),
            Tag::StatementBadSignature,
        ),
    ];
    for key in [carol(), dave()] {
        for (mutation, mutate, tag) in table {
            let mut blob = key.sshsig(NAMESPACE, &message());
            mutate(&mut blob);
            assert_eq!(verdict(&key, &blob), Err(tag), "{}: {mutation}", key.algorithm());
            let accepted = ssh_keygen_accepts(&key.line(), NAMESPACE, &message(), &blob.armored());
            assert!(!accepted, "ssh-keygen accepts {}: {mutation}", key.algorithm());
        }
    }
}

/// A key in software can sign any trailer; only flags and a counter of four bytes are one.
#[test]
fn a_trailer_has_five_bytes() {
    for key in [carol(), dave()] {
        for length in [0, 1, 4, 5, 6, 64] {
            let mut blob = key.sshsig(NAMESPACE, &message());
            blob.trailer.resize(length, 1);
            key.sign_with_trailer(&mut blob, &message());
            let expected = if length == 5 {
                Ok(())
            } else {
                Err(Tag::StatementBadSignature)
            };
            assert_eq!(verdict(&key, &blob), expected, "{length}");
        }
    }
}

#[test]
fn the_application_is_pinned() {
    for key in [carol(), dave()] {
        let other = key.clone().with_application("ssh:elsewhere");
        let blob = other.sshsig(NAMESPACE, &message());
        assert!(ssh_keygen_accepts(
            &other.line(),
            NAMESPACE,
            &message(),
            &blob.armored()
        ));
        assert_eq!(verdict(&other, &blob), Err(Tag::StatementBadSignature));
        // Signed for the roster's application, and relabelled: the signature does not cover the embedded key.
        let mut relabelled = key.sshsig(NAMESPACE, &message());
        relabelled.key = other.blob();
        assert_eq!(verdict(&other, &relabelled), Err(Tag::StatementBadSignature));
        // Signed for another application, and presented as the roster's key.
        let mut blob = blob;
        blob.key = key.blob();
        assert_eq!(verdict(&key, &blob), Err(Tag::StatementBadSignature));
    }
}

/// Whoever extracts or shares the point of a security key cannot sign as if it were a plain key, nor the other way round.
#[test]
fn a_security_key_is_never_a_plain_key() {
    for (key, plain) in [
        (carol(), carol().without_application()),
        (dave(), dave().without_application()),
    ] {
        let blob = plain.sshsig(NAMESPACE, &message());
        assert!(ssh_keygen_accepts(
            &plain.line(),
            NAMESPACE,
            &message(),
            &blob.armored()
        ));
        assert_eq!(verdict(&plain, &blob), Err(Tag::StatementBadSignature));
        // A plain signature with a trailer that says "touched", presented as the security key's.
        let mut posing = key.sshsig(NAMESPACE, &message());
        posing.signature = blob.signature;
        assert_eq!(verdict(&key, &posing), Err(Tag::StatementBadSignature));
    }
    for plain in [alice(), bob()] {
        let posing = plain.security_key();
        let blob = posing.sshsig(NAMESPACE, &message());
        assert_eq!(verdict(&posing, &blob), Err(Tag::StatementBadSignature));
    }
}

/// A web page can ask a token for WebAuthn signatures; OpenSSH has a signature type for them and we take none.
#[test]
fn webauthn_signatures_are_refused() {
    let key = dave();
    let mut blob = key.sshsig(NAMESPACE, &message());
    blob.algorithm = "webauthn-sk-ecdsa-sha2-nistp256@openssh.com".to_owned();
    blob.trailer = [
        blob.trailer.clone(),
        string("https://example.com"),
        string("{}"),
        string(""),
    ]
    .concat();
    assert_eq!(verdict(&key, &blob), Err(Tag::StatementBadSignature));
}

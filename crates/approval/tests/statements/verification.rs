//! One valid envelope, one change, the exact tag.

use countersign_approval::*;
use countersign_types::Tag;

use crate::{
    soft::{Blob, SoftKey, key_id, mpint, string},
    support::*,
};

fn verdict(envelope: &Envelope) -> Result<String, Tag> {
    verify(envelope, &roster())
        .map(|verified| verified.signer().to_string())
        .map_err(|error| error.tag())
}

fn envelope(kind: Kind, payload: Vec<u8>, key_id: &str, signature: Vec<u8>) -> Envelope {
    Envelope::new(kind, payload, key_id.to_owned(), signature).unwrap()
}

/// The key signs the payload of `statement` truthfully; `change` then alters the blob.
fn with_blob(key: &SoftKey, change: impl FnOnce(&mut Blob, &[u8])) -> Envelope {
    let payload = approval().to_payload();
    let message = Envelope::message_to_sign(Kind::Approval, &payload);
    let mut blob = key.sshsig(&Kind::Approval.namespace(), &message);
    change(&mut blob, &message);
    envelope(Kind::Approval, payload, &key_id(&blob.key), blob.bytes())
}

fn plain(key: &SoftKey, key_id: &str) -> Envelope {
    let payload = request().to_payload();
    let signature = key.raw(&Envelope::message_to_sign(Kind::Request, &payload));
    envelope(Kind::Request, payload, key_id, signature)
}

#[test]
fn everybody_of_the_roster_can_sign_every_kind() {
    for statement in every_kind() {
        for (key, name) in [
            (alice(), "alice"),
            (alice_backup(), "alice"),
            (bob(), "bob"),
            (carol(), "carol"),
            (dave(), "dave"),
        ] {
            let sealed = seal(&statement, &key).unwrap();
            let verified = verify(&sealed, &roster()).unwrap();
            assert_eq!((verified.signer().as_str(), verified.statement()), (name, &statement));
            assert_eq!(
                *verified.fingerprint(),
                KeyRecord::parse(&key.line()).unwrap().fingerprint()
            );
            assert_eq!(
                (verified.digest(), verified.envelope()),
                (sealed.statement_digest(), &sealed)
            );
        }
        let service = Ed25519Signer::new(ed25519_dalek::SigningKey::from_bytes(&[6; 32]));
        assert_eq!(verdict(&seal(&statement, &service).unwrap()), Ok("bot".to_owned()));
    }
    assert_eq!(verdict(&plain(&bot(), &bot().plain_id())), Ok("bot".to_owned()));
    assert_eq!(verdict(&with_blob(&alice(), |_, _| {})), Ok("alice".to_owned()));
}

/// Each signature is renewed after the change where the signer could have done so: the check itself must refuse.
#[test]
fn one_change_to_the_blob_one_refusal() {
    type Change = fn(&mut Blob, &[u8]);
    let bad = Tag::StatementBadSignature;
    let table: [(&str, Change, Tag); 21] = [
        (
            "namespace of another kind",
            |b, m| {
                b.namespace = Kind::Rejection.namespace();
                alice().sign_again(b, m)
            },
            bad,
        ),
        (
            "namespace of another version",
            |b, m| {
                b.namespace = "countersign-approval-v2".to_owned();
                alice().sign_again(b, m)
            },
            bad,
        ),
        (
            "namespace of git",
            |b, m| {
                b.namespace = "git".to_owned();
                alice().sign_again(b, m)
            },
            bad,
        ),
        (
            "empty namespace",
            |b, m| {
                b.namespace.clear();
                alice().sign_again(b, m)
            },
            bad,
        ),
        (
            "namespace relabelled",
            |b, m| {
                b.namespace = "git".to_owned();
                alice().sign_again(b, m);
                b.namespace = Kind::Approval.namespace()
            },
            bad,
        ),
        (
            "reserved field, signed",
            |b, m| {
                b.reserved = b"later".to_vec();
                alice().sign_again(b, m)
            },
            bad,
        ),
        ("reserved field, added", |b, _| b.reserved = vec![0], bad),
        ("version 0", |b, _| b.version = 0, Tag::StatementMalformed),
        ("version 2", |b, _| b.version = 2, Tag::StatementMalformed),
        ("hash relabelled", |b, _| b.hash = "sha256", bad),
        (
            "unknown hash",
            |b, m| {
                b.hash = "sha1";
                alice().sign_again(b, m)
            },
            Tag::StatementMalformed,
        ),
        (
            "bytes behind the blob",
            |b, _| b.after = vec![0],
            Tag::StatementMalformed,
        ),
        (
            "a second blob behind the blob",
            |b, _| b.after = b.bytes(),
            Tag::StatementMalformed,
        ),
        ("bytes behind the key", |b, _| b.key.push(0), Tag::StatementMalformed),
        ("bytes behind the signature", |b, _| b.signature.push(0), bad),
        (
            "a trailer as of a security key",
            |b, _| b.trailer = vec![1, 0, 0, 0, 0],
            bad,
        ),
        ("another algorithm", |b, _| b.algorithm = "ssh-rsa".to_owned(), bad),
        ("another person's signature", |b, m| stranger().sign_again(b, m), bad),
        ("another roster key in the blob", |b, _| b.key = bob().blob(), bad),
        (
            "a key that is not in the roster",
            |b, m| {
                b.key = stranger().blob();
                stranger().sign_again(b, m)
            },
            Tag::StatementUnknownKey,
        ),
        ("signature over other bytes", |b, _| alice().sign_again(b, b"x"), bad),
    ];
    for (change, apply, tag) in table {
        assert_eq!(verdict(&with_blob(&alice(), apply)), Err(tag), "{change}");
    }
}

#[test]
fn key_types_that_no_roster_lists_are_unknown_keys() {
    let certificate = [
        string("ssh-ed25519-cert-v01@openssh.com"),
        string([7; 32]),
        string(alice().point(false)),
    ]
    .concat();
    let rsa = [string("ssh-rsa"), mpint(&[1, 0, 1]), mpint(&[0xc1; 512])].concat();
    let dsa = [string("ssh-dss"), mpint(&[3]), mpint(&[5]), mpint(&[7]), mpint(&[9])].concat();
    let strange = string("\u{1b}[2J\u{202e}".repeat(40));
    for key in [certificate, rsa, dsa, strange] {
        let refused = verify(&with_blob(&alice(), |blob, _| blob.key = key.clone()), &roster()).unwrap_err();
        assert_eq!(refused.tag(), Tag::StatementUnknownKey);
        assert!(
            refused.to_string().is_ascii() && refused.to_string().len() < 400,
            "{refused}"
        );
    }
}

/// The compressed point is another encoding of bob's key, and would be another identity.
#[test]
fn a_compressed_point_is_another_key() {
    let compressed = with_blob(&bob(), |blob, _| blob.key = bob().blob_with_point(&bob().point(true)));
    assert_eq!(verdict(&compressed), Err(Tag::StatementUnknownKey));
}

#[test]
fn ecdsa_signatures_have_one_encoding_of_each_number() {
    let mut numbers = Vec::new();
    with_blob(&bob(), |blob, _| numbers.clone_from(&blob.signature));
    let (r, s) = numbers.split_at(4 + usize::from(numbers[3]));
    let (r, s) = (&r[4..], &s[4..]);
    assert_eq!(
        verdict(&with_blob(&bob(), |b, _| b.signature = [string(r), string(s)].concat())),
        Ok("bob".to_owned())
    );
    // A number with its high bit set has a zero byte in front; without it, it would be negative.
    let unsigned = |number: &[u8]| number.strip_prefix(&[0]).unwrap_or(number).to_vec();
    assert!(
        r[0] == 0 || s[0] == 0,
        "take another key: neither number has its high bit set"
    );
    let zero = [[0].as_slice(), r].concat();
    let table = [
        ("leading zero", [string(&zero), string(s)].concat()),
        ("sign byte cut", [string(unsigned(r)), string(unsigned(s))].concat()),
        ("empty r", [string(""), string(s)].concat()),
        ("zero s", [string(r), string([0])].concat()),
        ("negative r", [string([0x80; 32]), string(s)].concat()),
        ("long r", [string([1; 33]), string(s)].concat()),
        ("third number", [string(r), string(s), string(s)].concat()),
        ("one number", string(r)),
        ("numbers swapped", [string(s), string(r)].concat()),
        ("length over the end", [string(r), vec![0xff; 4]].concat()),
        (
            "order of the curve as s",
            [
                string(r),
                mpint(&hex::decode("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551").unwrap()),
            ]
            .concat(),
        ),
    ];
    for (mutation, signature) in table {
        let refused = with_blob(&bob(), |blob, _| blob.signature = signature.clone());
        assert_eq!(verdict(&refused), Err(Tag::StatementBadSignature), "{mutation}");
    }
}

/// A first byte of exactly 0x80 makes a number negative too: the first signature that has one is presented without the zero byte.
#[test]
fn the_smallest_number_with_a_sign_byte_needs_it() {
    let mut statement = approval();
    let is_smallest = |number: &[u8]| number.starts_with(&[0, 0x80]);
    for n in 0..4_096 {
        statement.header.nonce = format!("{n:032x}").parse().unwrap();
        let payload = statement.to_payload();
        let message = Envelope::message_to_sign(Kind::Approval, &payload);
        let mut blob = bob().sshsig(&Kind::Approval.namespace(), &message);
        let (r, s) = blob.signature.split_at(4 + usize::from(blob.signature[3]));
        let (r, s) = (r[4..].to_vec(), s[4..].to_vec());
        if !is_smallest(&r) && !is_smallest(&s) {
            continue;
        }
        let of = |blob: &Blob| {
            verdict(&envelope(
                Kind::Approval,
                payload.clone(),
                &bob().key_id(),
                blob.bytes(),
            ))
        };
        assert_eq!(of(&blob), Ok("bob".to_owned()));
        let cut = |number: &[u8]| string(&number[usize::from(is_smallest(number))..]);
        blob.signature = [cut(&r), cut(&s)].concat();
        assert_eq!(of(&blob), Err(Tag::StatementBadSignature));
        return;
    }
    panic!("no signature has such a number");
}

/// s and s + L are one signature to a lax verifier (RFC 8032, 5.1.7).
#[test]
fn ed25519_signatures_are_not_malleable() {
    let order = hex::decode("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010").unwrap();
    let add_order = |signature: &mut Vec<u8>| {
        let mut carry = 0;
        for (byte, term) in signature[32..].iter_mut().zip(&order) {
            let sum = u16::from(*byte) + u16::from(*term) + carry;
            *byte = sum as u8;
            carry = sum >> 8;
        }
    };
    assert_eq!(
        verdict(&with_blob(&alice(), |b, _| add_order(&mut b.signature))),
        Err(Tag::StatementBadSignature)
    );
    assert_eq!(
        verdict(&with_blob(&carol(), |b, _| add_order(&mut b.signature))),
        Err(Tag::StatementBadSignature)
    );
    let service = plain(&bot(), &bot().plain_id());
    let mut signature = service.signature().to_vec();
    add_order(&mut signature);
    let doubled = envelope(Kind::Request, service.payload().to_vec(), service.key_id(), signature);
    assert_eq!(verdict(&doubled), Err(Tag::StatementBadSignature));
}

#[test]
fn one_change_to_the_envelope_one_refusal() {
    let sealed = with_blob(&alice(), |_, _| {});
    let (payload, signature) = (sealed.payload().to_vec(), sealed.signature().to_vec());
    let changed = String::from_utf8(payload.clone())
        .unwrap()
        .replace("1.5 ETH", "1.6 ETH")
        .into_bytes();
    assert_ne!(changed, payload);
    let table = [
        (
            "a payload byte",
            envelope(Kind::Approval, changed, sealed.key_id(), signature.clone()),
            Tag::StatementBadSignature,
        ),
        (
            "a byte behind the payload",
            envelope(
                Kind::Approval,
                [payload.as_slice(), b"\n"].concat(),
                sealed.key_id(),
                signature.clone(),
            ),
            Tag::StatementBadSignature,
        ),
        (
            "another kind",
            envelope(Kind::Rejection, payload.clone(), sealed.key_id(), signature.clone()),
            Tag::StatementBadSignature,
        ),
        (
            "no payload",
            envelope(Kind::Approval, vec![], sealed.key_id(), signature.clone()),
            Tag::StatementBadSignature,
        ),
        (
            "no signature",
            envelope(Kind::Approval, payload.clone(), sealed.key_id(), vec![]),
            Tag::StatementMalformed,
        ),
        (
            "the armor around the blob",
            envelope(
                Kind::Approval,
                payload.clone(),
                sealed.key_id(),
                b"-----BEGIN SSH SIGNATURE-----".to_vec(),
            ),
            Tag::StatementMalformed,
        ),
        (
            "the key id of another",
            envelope(Kind::Approval, payload.clone(), &bob().key_id(), signature.clone()),
            Tag::StatementMalformed,
        ),
        (
            "no key id",
            envelope(Kind::Approval, payload.clone(), "", signature.clone()),
            Tag::StatementMalformed,
        ),
        (
            "the key id in its plain form",
            envelope(Kind::Approval, payload.clone(), &alice().plain_id(), signature.clone()),
            Tag::StatementMalformed,
        ),
    ];
    for (change, envelope, tag) in table {
        assert_eq!(verdict(&envelope), Err(tag), "{change}");
    }
}

/// The scheme is the roster's: the same key material in the other form does not count.
#[test]
fn the_roster_fixes_the_scheme() {
    let bad = Err(Tag::StatementBadSignature);
    assert_eq!(
        verdict(&plain(&alice(), &alice().plain_id())),
        bad,
        "plain where the roster says ssh"
    );
    assert_eq!(
        verdict(&plain(&carol(), &carol().plain_id())),
        bad,
        "a security key's point as a plain key"
    );
    assert_eq!(
        verdict(&with_blob(&bot(), |_, _| {})),
        bad,
        "ssh where the roster says plain"
    );
    assert_eq!(
        verdict(&plain(&stranger(), &stranger().plain_id())),
        Err(Tag::StatementUnknownKey)
    );
    assert_eq!(
        verdict(&plain(&stranger(), &bot().plain_id())),
        bad,
        "another key's plain signature"
    );
}

#[test]
fn plain_key_ids_are_strict() {
    let id = bot().plain_id();
    let weak = format!("ed25519:01{}", "00".repeat(31));
    for (game, key_id) in [
        ("upper case", id.to_uppercase().replace("ED25519", "ed25519")),
        ("short", id.split_at(id.len() - 2).0.to_owned()),
        ("long", format!("{id}00")),
        ("weak", weak),
        ("prefix in upper case", id.replace("ed25519", "ED25519")),
        ("no prefix", id.replace("ed25519:", "")),
    ] {
        assert_eq!(verdict(&plain(&bot(), &key_id)), Err(Tag::StatementMalformed), "{game}");
    }
    let valid = plain(&bot(), &id);
    for length in [0, 63, 65] {
        let mut signature = valid.signature().to_vec();
        signature.resize(length, 0);
        let cut = envelope(Kind::Request, valid.payload().to_vec(), &id, signature);
        assert_eq!(verdict(&cut), Err(Tag::StatementMalformed), "{length}");
    }
}

/// A valid signature over something that is no statement: the payload's tag, after the signature's.
#[test]
fn signed_nonsense_is_malformed() {
    for payload in [b"{}".to_vec(), rejection().to_payload(), vec![0xff]] {
        let blob = alice().sshsig(
            &Kind::Approval.namespace(),
            &Envelope::message_to_sign(Kind::Approval, &payload),
        );
        let nonsense = envelope(Kind::Approval, payload, &alice().key_id(), blob.bytes());
        assert_eq!(verdict(&nonsense), Err(Tag::StatementMalformed));
    }
}

/// What git, a file signature or a login signs is never a statement: `ssh-keygen` domain-separates by namespace.
#[test]
fn a_signature_of_one_kind_never_counts_as_another() {
    for statement in every_kind() {
        let sealed = seal(&statement, &alice()).unwrap();
        for other in Kind::ALL.into_iter().filter(|kind| *kind != sealed.kind()) {
            let moved = envelope(
                other,
                sealed.payload().to_vec(),
                sealed.key_id(),
                sealed.signature().to_vec(),
            );
            assert_eq!(
                verdict(&moved),
                Err(Tag::StatementBadSignature),
                "{} as {other}",
                sealed.kind()
            );
            assert_ne!(moved.statement_digest(), sealed.statement_digest());
        }
    }
}

#[test]
fn what_a_verifier_refuses_is_not_signed_in_the_first_place() {
    let Body::Cancel(mut body) = cancel().body else {
        panic!()
    };
    body.reason = "\u{1b}[2J".to_owned();
    let refused = seal(&of(Body::Cancel(body)), &alice());
    assert!(
        matches!(
            refused,
            Err(SealError::Statement(StatementError::Payload { kind: Kind::Cancel, .. }))
        ),
        "{refused:?}"
    );
}

#[test]
fn broken_armor_is_unusable() {
    let armored = alice().sshsig("countersign-cancel-v1", b"x").armored();
    let attach = |text: &str| Envelope::from_ssh_signature(Kind::Cancel, cancel().to_payload(), text);
    assert!(attach(&armored).is_ok());
    for (mutation, text) in [
        ("empty", String::new()),
        ("no begin", armored.replace("BEGIN", "BEGAN")),
        ("no end", armored.replace("END", "FIN")),
        ("other label", armored.replace("SSH SIGNATURE", "SSH KEY")),
        ("text in front", format!("x{armored}")),
        ("text behind", format!("{armored}x")),
        ("two signatures", format!("{armored}{armored}")),
        ("character outside base64", armored.replacen("U1NI", "U1N!", 1)),
        ("cut", armored.replacen("U1NI", "", 1)),
    ] {
        assert!(matches!(attach(&text), Err(SealError::Unusable(_))), "{mutation}");
    }
}

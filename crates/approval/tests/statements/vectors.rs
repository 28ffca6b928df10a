//! Golden vectors: `vectors/statements.json`, computed by `vectors/generate.py` without a line of this crate. Stored
//! statements and signatures depend on them (DESIGN.md §10); `docs/formats.md` shows their digests.

use countersign_approval::*;
use countersign_types::WithdrawalId;
use serde::Deserialize;

use crate::support::*;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vector {
    kind: String,
    payload_type: String,
    namespace: String,
    payload: String,
    pae_sha256: String,
    statement_digest: String,
    request_digest: Option<String>,
    withdrawal: Option<String>,
    signatures: Vec<Signature>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Signature {
    what: String,
    key: String,
    envelope: String,
    verdict: String,
}

fn vectors() -> Vec<Vector> {
    let vectors: Vec<Vector> = serde_json::from_str(include_str!("../../vectors/statements.json")).unwrap();
    assert_eq!(
        vectors.iter().map(|vector| vector.kind.as_str()).collect::<Vec<_>>(),
        Kind::ALL.map(Kind::as_str)
    );
    vectors
}

#[test]
fn payloads_and_digests() {
    for (vector, statement) in vectors().into_iter().zip(every_kind()) {
        let kind = statement.body.kind();
        assert_eq!(
            (kind.payload_type(), kind.namespace()),
            (vector.payload_type, vector.namespace)
        );
        assert_eq!(String::from_utf8(statement.to_payload()).unwrap(), vector.payload);
        assert_eq!(Statement::parse(kind, vector.payload.as_bytes()), Ok(statement.clone()));
        let sealed = seal(&statement, &alice()).unwrap();
        assert_eq!(sealed.statement_digest().to_string(), vector.statement_digest);
        assert_eq!(
            sealed.request_digest().map(|digest| digest.to_string()),
            vector.request_digest
        );
        assert_eq!(
            sealed
                .request_digest()
                .map(|digest| WithdrawalId::of(digest).to_string()),
            vector.withdrawal
        );
        use sha2::Digest as _;
        assert_eq!(hex::encode(sha2::Sha256::digest(sealed.pae())), vector.pae_sha256);
    }
}

#[test]
fn signatures() {
    for (vector, statement) in vectors().into_iter().zip(every_kind()) {
        for signature in vector.signatures {
            let mut file = roster_file();
            file.services[0].keys = vec![signature.key];
            file.people = vec![person("alice", &[crate::soft::SoftKey::p256(99)])];
            (file.groups, file.officers) = (vec![], vec![]);
            (file.admins.threshold, file.admins.members) = (1, ids(&["alice"]));
            let envelope = Envelope::parse(signature.envelope.as_bytes()).unwrap();
            assert_eq!(envelope.to_bytes(), signature.envelope.as_bytes(), "{}", signature.what);
            let found = match verify(&envelope, &Roster::new(file).unwrap()) {
                Ok(verified) => {
                    assert_eq!((verified.signer().as_str(), verified.statement()), ("bot", &statement));
                    "ok"
                }
                Err(error) => error.tag().as_str(),
            };
            assert_eq!(found, signature.verdict, "{} {}", vector.kind, signature.what);
        }
    }
}

/// Ed25519 is deterministic: what we sign is the vector, byte for byte.
#[test]
fn we_sign_what_the_vectors_hold() {
    for (vector, statement) in vectors().into_iter().zip(every_kind()) {
        let of = |what: &str| {
            vector
                .signatures
                .iter()
                .find(|signature| signature.what == what)
                .unwrap()
        };
        let pair = ssh_key::private::Ed25519Keypair::from_seed(&[1; 32]);
        let ssh = SshSigner::new(ssh_key::PrivateKey::from(pair));
        assert_eq!(
            seal(&statement, &ssh).unwrap().to_bytes(),
            of("ed25519").envelope.as_bytes()
        );
        let plain = Ed25519Signer::new(ed25519_dalek::SigningKey::from_bytes(&[1; 32]));
        assert_eq!(
            seal(&statement, &plain).unwrap().to_bytes(),
            of("plain ed25519").envelope.as_bytes()
        );
    }
}

/// `docs/formats.md` says what the vectors say.
#[test]
fn the_document_shows_the_vectors() {
    let formats = include_str!("../../../../docs/formats.md");
    for vector in vectors() {
        let rows = [
            format!(
                "| {} | `{}` | `{}` |",
                vector.kind, vector.payload_type, vector.namespace
            ),
            format!("| {} | `{}` |", vector.kind, vector.statement_digest),
        ];
        let ids = [vector.request_digest, vector.withdrawal]
            .into_iter()
            .flatten()
            .map(|id| format!("`{id}`"));
        for needed in rows.into_iter().chain(ids) {
            assert!(formats.contains(&needed), "docs/formats.md lacks {needed}");
        }
        assert!(
            vector.kind != "cancel" || formats.contains(&vector.payload),
            "docs/formats.md lacks the example"
        );
    }
}

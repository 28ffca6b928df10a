//! One valid genesis, one change, the refusal.

use countersign_approval::*;
use countersign_types::GenesisHash;

use crate::support::*;

fn log_key() -> String {
    crate::soft::SoftKey::ed25519(7).plain_id()
}

fn file() -> GenesisFile {
    GenesisFile {
        format: GenesisFile::format(),
        id: "000102030405060708090a0b0c0d0e0f".parse().unwrap(),
        environment: Environment::Production,
        people: roster_file().people,
        admins: roster_file().admins.quorum(),
        log_origin: "log.example.com/countersign".to_owned(),
        log_key: log_key(),
    }
}

#[test]
fn a_genesis_says_what_its_file_says() {
    let bytes = file().to_bytes();
    let genesis = Genesis::parse(&bytes).unwrap();
    assert_eq!(genesis.hash(), GenesisHash::of(&bytes));
    assert_eq!(genesis.environment(), Environment::Production);
    assert_eq!((genesis.admins().threshold(), genesis.admins().members().len()), (2, 3));
    assert_eq!(genesis.log_origin(), "log.example.com/countersign");
    assert_eq!(format!("ed25519:{}", hex::encode(genesis.log_key())), log_key());
    assert_eq!(genesis.admin_keys()[&ids(&["bob"])[0]], file().people[1].keys);
    let record = KeyRecord::parse(&alice().line()).unwrap();
    assert_eq!(genesis.key(&record.fingerprint()), Some((&ids(&["alice"])[0], &record)));
    let mut fingerprints = genesis.fingerprints();
    assert!(fingerprints.any(|(fingerprint, owner)| *fingerprint == record.fingerprint() && owner.as_str() == "alice"));
    let keys: usize = file().people.iter().map(|person| person.keys.len()).sum();
    assert_eq!(genesis.fingerprints().count(), keys);
    assert_eq!(
        genesis.key(&KeyRecord::parse(&log_key()).unwrap().fingerprint()),
        None,
        "the log signs no statements"
    );
    // Its statements are verified like those of a roster.
    assert_eq!(
        verify(&seal(&activation(), &bob()).unwrap(), &genesis)
            .unwrap()
            .signer()
            .as_str(),
        "bob"
    );
    assert!(verify(&seal(&activation(), &stranger()).unwrap(), &genesis).is_err());
    // The hash is over these very bytes.
    let spaced = [bytes.as_slice(), b"\n"].concat();
    assert_ne!(Genesis::parse(&spaced).unwrap().hash(), genesis.hash());
}

#[test]
fn one_change_one_refusal() {
    type Change = fn(&mut GenesisFile);
    let table: [(&str, Change); 15] = [
        ("`format` is not", |f| f.format = "countersign.genesis/2".to_owned()),
        ("`log_origin` is", |f| f.log_origin = String::new()),
        ("`log_origin` is", |f| f.log_origin = "x".repeat(256)),
        ("`log_origin` is", |f| f.log_origin = "a b".to_owned()),
        ("`log_origin` is", |f| f.log_origin = "a+b".to_owned()),
        ("`log_origin` is", |f| f.log_origin = "a\nb".to_owned()),
        ("`log_origin` is", |f| f.log_origin = "ä".to_owned()),
        ("`log_key` is `ed25519:`", |f| f.log_key = alice().line()),
        ("`log_key` is `ed25519:`", |f| {
            f.log_key = format!("ed25519:01{}", "00".repeat(31))
        }),
        ("`log_key` is `ed25519:`", |f| f.log_key = String::new()),
        ("one key has one purpose", |f| f.log_key = alice().plain_id()),
        ("one key has one purpose", |f| f.log_key = carol().plain_id()),
        ("admins: admins.threshold: a threshold is at least 1", |f| {
            f.admins.threshold = 0
        }),
        ("admins: admins.threshold: a threshold of 4", |f| f.admins.threshold = 4),
        ("admins: people[1].keys[0]: this key already belongs to `alice`", |f| {
            f.people[1].keys[0] = f.people[0].keys[0].clone()
        }),
    ];
    for (reason, change) in table {
        let mut changed = file();
        change(&mut changed);
        let said = Genesis::parse(&changed.to_bytes()).unwrap_err().to_string();
        assert!(said.contains(reason), "{reason}: {said}");
    }
    let mut empty = file();
    (empty.people, empty.admins.members) = (vec![], vec![]);
    assert!(matches!(
        Genesis::parse(&empty.to_bytes()),
        Err(GenesisError::Admins(_))
    ));
}

#[test]
fn the_text_is_strict() {
    let text = String::from_utf8(file().to_bytes()).unwrap();
    for (from, to, reason) in [
        ("\"format\"", "\"extra\": 1,\n  \"format\"", "unknown field `extra`"),
        (
            "\"format\"",
            "\"\\u001b[2J\": 1,\n  \"format\"",
            "unknown field `\\u{1b}[2J`",
        ),
        (
            "\"log_key\"",
            "\"log_origin\": \"x\",\n  \"log_key\"",
            "duplicate field `log_origin`",
        ),
        ("\"production\"", "\"staging\"", "unknown variant `staging`"),
        ("\"threshold\": 2", "\"threshold\": -2", "invalid value"),
        ("\"threshold\": 2", "\"threshold\": 2.0", "invalid type"),
        ("\"threshold\": 2,", "", "missing field `threshold`"),
        ("000102", "0001", "is not a nonce"),
    ] {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text, "{from}");
        let said = Genesis::parse(changed.as_bytes()).unwrap_err().to_string();
        assert!(said.contains(reason), "{reason}: {said}");
    }
    assert!(Genesis::parse(b"").is_err());
    let large = format!("{text}{}", " ".repeat(256 * 1024));
    assert!(
        Genesis::parse(large.as_bytes())
            .unwrap_err()
            .to_string()
            .contains("too large")
    );
}

/// The last byte that is accepted and the first that is not; white space counts.
#[test]
fn a_genesis_has_a_largest_size() {
    let mut bytes = file().to_bytes();
    bytes.resize(256 * 1024, b' ');
    assert!(Genesis::parse(&bytes).is_ok());
    bytes.push(b' ');
    let said = Genesis::parse(&bytes).unwrap_err().to_string();
    assert!(said.contains("too large"), "{said}");
}

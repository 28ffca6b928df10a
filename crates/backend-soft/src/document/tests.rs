use countersign_types::Algorithm;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn passphrase() -> Passphrase {
    Passphrase::new("correct horse".into())
}

/// A document with a key of each algorithm, as the JSON that is on disk.
fn valid() -> Value {
    let (mut document, sealer) = Document::create(&passphrase(), Cost::FOR_TESTS).unwrap();
    for algorithm in [Algorithm::Secp256k1, Algorithm::Ed25519] {
        let key = PrivateKey::generate(algorithm).unwrap();
        document = document.with(&key, key.public_key().unwrap(), &sealer).unwrap();
    }
    serde_json::from_slice(&document.to_bytes().unwrap()).unwrap()
}

fn open(json: &Value) -> Result<usize, KeystoreError> {
    let document = Document::parse(&serde_json::to_vec(json).unwrap())?;
    document.unseal(&passphrase()).map(|(keys, _)| keys.len())
}

/// Changes the first hex digit.
fn flip(value: &mut Value) {
    let text = value.as_str().unwrap();
    let first = if text.starts_with('0') { "1" } else { "0" };
    *value = json!(format!("{first}{}", &text[1..]));
}

fn swap(json: &mut Value, field: &str) {
    let first = json["keys"][0][field].take();
    json["keys"][0][field] = json["keys"][1][field].take();
    json["keys"][1][field] = first;
}

type Mutation = fn(&mut Value);
type Expected = fn(&KeystoreError) -> bool;

const MALFORMED: Expected = |e| matches!(e, KeystoreError::Malformed(_));
const WRONG: Expected = |e| matches!(e, KeystoreError::WrongPassphrase);
const TAMPERED: Expected = |e| matches!(e, KeystoreError::Tampered(_));
const INVENTORY_CHANGED: Expected = |e| matches!(e, KeystoreError::InventoryChanged);
const COST: Expected = |e| matches!(e, KeystoreError::CostOutOfBounds { .. });

const MUTATIONS: [(&str, Mutation, Expected); 21] = [
    (
        "another version",
        |j| j["format"] = json!("countersign/insecure-dev-keystore/v2"),
        MALFORMED,
    ),
    (
        "another derivation",
        |j| j["kdf"]["algorithm"] = json!("argon2i"),
        MALFORMED,
    ),
    ("an unknown field", |j| j["more"] = json!(1), MALFORMED),
    (
        "a missing field",
        |j| drop(j.as_object_mut().unwrap().remove("check")),
        MALFORMED,
    ),
    ("a short salt", |j| j["kdf"]["salt"] = json!("00"), MALFORMED),
    (
        "a key that is none",
        |j| j["keys"][0]["public_key"] = json!("ed25519:00"),
        MALFORMED,
    ),
    ("another salt", |j| flip(&mut j["kdf"]["salt"]), WRONG),
    ("more passes", |j| j["kdf"]["cost"]["passes"] = json!(2), WRONG),
    ("another check", |j| flip(&mut j["check"]["sealed"]), WRONG),
    ("the inventory as check", |j| j["check"] = j["inventory"].clone(), WRONG),
    (
        "a huge cost",
        |j| j["kdf"]["cost"]["memory_kib"] = json!(u32::MAX),
        COST,
    ),
    ("no cost", |j| j["kdf"]["cost"]["passes"] = json!(0), COST),
    (
        "another inventory",
        |j| flip(&mut j["inventory"]["sealed"]),
        INVENTORY_CHANGED,
    ),
    (
        "the check as inventory",
        |j| j["inventory"] = j["check"].clone(),
        INVENTORY_CHANGED,
    ),
    (
        "one key less",
        |j| drop(j["keys"].as_array_mut().unwrap().pop()),
        INVENTORY_CHANGED,
    ),
    ("no keys", |j| j["keys"] = json!([]), INVENTORY_CHANGED),
    (
        "a key twice",
        |j| {
            let key = j["keys"][0].clone();
            j["keys"].as_array_mut().unwrap().push(key);
        },
        INVENTORY_CHANGED,
    ),
    (
        "another order",
        |j| j["keys"].as_array_mut().unwrap().reverse(),
        INVENTORY_CHANGED,
    ),
    ("private keys swapped", |j| swap(j, "private_key"), TAMPERED),
    (
        "another private key",
        |j| flip(&mut j["keys"][1]["private_key"]["sealed"]),
        TAMPERED,
    ),
    (
        "another nonce",
        |j| flip(&mut j["keys"][0]["private_key"]["nonce"]),
        TAMPERED,
    ),
];

#[test]
fn a_changed_file_does_not_open() {
    let valid = valid();
    assert_eq!(open(&valid).unwrap(), 2);
    for (name, mutate, expected) in MUTATIONS {
        let mut changed = valid.clone();
        mutate(&mut changed);
        assert_ne!(changed, valid, "{name} changes nothing");
        let error = open(&changed).expect_err(name);
        assert!(expected(&error), "{name}: {error}");
    }
}

#[test]
fn a_wrong_passphrase_says_so() {
    let document = Document::parse(&serde_json::to_vec(&valid()).unwrap()).unwrap();
    let wrong = Passphrase::new("incorrect horse".into());
    let error = document.unseal(&wrong).err().unwrap();
    assert!(matches!(error, KeystoreError::WrongPassphrase));
    assert!(error.to_string().contains("the passphrase is wrong"), "{error}");
}

#[test]
fn an_empty_passphrase_is_refused() {
    let error = Document::create(&Passphrase::new(String::new()), Cost::FOR_TESTS)
        .err()
        .unwrap();
    assert!(matches!(error, KeystoreError::EmptyPassphrase));
}

/// A record that was sealed under the right passphrase still has to be the key that it says.
#[test]
fn a_private_key_of_another_public_key_is_refused() {
    let (document, sealer) = Document::create(&passphrase(), Cost::FOR_TESTS).unwrap();
    let [key, other] = [(); 2].map(|()| PrivateKey::generate(Algorithm::Ed25519).unwrap());
    let document = document.with(&key, other.public_key().unwrap(), &sealer).unwrap();
    let error = document.unseal(&passphrase()).err().unwrap();
    assert!(matches!(error, KeystoreError::Tampered(_)), "{error}");
}

#[test]
fn a_key_twice_is_refused_even_with_a_right_inventory() {
    let (document, sealer) = Document::create(&passphrase(), Cost::FOR_TESTS).unwrap();
    let key = PrivateKey::generate(Algorithm::Ed25519).unwrap();
    let public = key.public_key().unwrap();
    let document = document
        .with(&key, public, &sealer)
        .unwrap()
        .with(&key, public, &sealer)
        .unwrap();
    assert!(matches!(document.unseal(&passphrase()), Err(KeystoreError::Duplicate(twice)) if twice == public));
}

#[test]
fn the_number_of_keys_is_bounded() {
    let (mut document, sealer) = Document::create(&passphrase(), Cost::FOR_TESTS).unwrap();
    let key = PrivateKey::generate(Algorithm::Ed25519).unwrap();
    let public = key.public_key().unwrap();
    document = document.with(&key, public, &sealer).unwrap();
    document.keys = vec![document.keys[0].clone(); MAX_KEYS];
    assert!(Document::parse(&document.to_bytes().unwrap()).is_ok());
    assert!(matches!(
        document.with(&key, public, &sealer),
        Err(KeystoreError::TooManyKeys(_))
    ));
    document.keys.push(document.keys[0].clone());
    let error = Document::parse(&document.to_bytes().unwrap()).unwrap_err();
    assert!(matches!(error, KeystoreError::TooManyKeys(_)));
}

#[test]
fn no_private_key_is_in_the_file() {
    let (document, sealer) = Document::create(&passphrase(), Cost::FOR_TESTS).unwrap();
    let key = PrivateKey::generate(Algorithm::Secp256k1).unwrap();
    let document = document.with(&key, key.public_key().unwrap(), &sealer).unwrap();
    let text = String::from_utf8(document.to_bytes().unwrap()).unwrap();
    let secret = hex::encode(key.secret().as_slice());
    assert!(!text.contains(&secret) && !format!("{document:?}").contains(&secret));
}

proptest! {
    #[test]
    fn any_bytes_are_no_keystore_and_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Document::parse(&bytes).is_err());
    }
}

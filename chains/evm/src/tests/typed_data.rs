//! EIP-712: one form of each message, the hash that everybody else computes, and a domain that binds.

use alloy_dyn_abi::TypedData as Judge;
use alloy_primitives::{U256, hex};
use countersign_types::{RawSignature, Tag};
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::{
    fixtures::{CONTRACT, HOT_KEY, World, prehash, sign},
    vectors::effect_lines,
};
use crate::{
    AssembleError, MAX_STRUCT_FIELDS, MAX_STRUCT_TYPES, MAX_TRANSACTION_BYTES, MAX_VALUE_DEPTH, ParseError, TypedData,
    TypedDataError, abi::MAX_LIST_ITEMS,
};

/// A message as a wallet is asked for it, and what `eth-account` makes of it with the key of [`HOT_KEY`]. The canonical
/// bytes and the effects were written by a script that knows nothing of this crate.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Vector {
    pub(super) name: String,
    wallet: Json,
    pub(super) unsigned: String,
    hash: String,
    signed: String,
    effects: Vec<String>,
}

pub(super) fn vectors() -> Vec<Vector> {
    serde_json::from_str(include_str!("../../vectors/typed-data.json")).unwrap()
}

/// A small message of every shape: a struct, a list of structs, text, bytes, signed and unsigned numbers.
pub(super) fn order() -> Json {
    json!({
        "types": {
            "EIP712Domain": [
                { "name": "name", "type": "string" },
                { "name": "chainId", "type": "uint256" },
                { "name": "verifyingContract", "type": "address" },
            ],
            "Item": [{ "name": "id", "type": "uint8" }, { "name": "at", "type": "address" }],
            "Order": [
                { "name": "items", "type": "Item[]" },
                { "name": "pair", "type": "int16[2]" },
                { "name": "note", "type": "string" },
                { "name": "data", "type": "bytes" },
                { "name": "tag", "type": "bytes2" },
                { "name": "ok", "type": "bool" },
            ],
        },
        "primaryType": "Order",
        "domain": { "name": "Shop", "chainId": "1", "verifyingContract": CONTRACT.to_checksum(None) },
        "message": {
            "items": [{ "id": "7", "at": CONTRACT.to_checksum(None) }],
            "pair": ["-1", "32767"],
            "note": "hi",
            "data": "0x0102",
            "tag": "0xabcd",
            "ok": true,
        },
    })
}

pub(super) fn order_with(change: impl FnOnce(&mut Json)) -> Vec<u8> {
    let mut order = order();
    change(&mut order);
    order.to_string().into_bytes()
}

pub(super) fn canonical(json: &[u8]) -> Vec<u8> {
    TypedData::from_wallet_json(json).unwrap().canonical_bytes().unwrap()
}

fn judged(json: &[u8]) -> [u8; 32] {
    let data: Judge = serde_json::from_slice(json).unwrap();
    data.eip712_signing_hash().unwrap().0
}

#[test]
fn messages_that_eth_account_signed() {
    let world = World::new();
    assert!(vectors().len() >= 19);
    for vector in vectors() {
        let name = &vector.name;
        let wallet = vector.wallet.to_string();
        assert_eq!(
            String::from_utf8(canonical(wallet.as_bytes())).unwrap(),
            vector.unsigned,
            "{name}"
        );
        let unsigned = vector.unsigned.as_bytes();
        let parsed = world.parse(unsigned).unwrap();
        assert_eq!(hex::encode_prefixed(prehash(&parsed)), vector.hash, "{name}");
        assert_eq!(judged(unsigned), prehash(&parsed), "{name}");
        assert_eq!(effect_lines(&world, &parsed), vector.effects, "{name}");
        assert_eq!(parsed.conflict_keys(), [], "{name}");
        assert_eq!(parsed.template(), None, "{name}");
        assert_eq!(*parsed.effects().last().unwrap(), world.fee(0), "{name}");
        let theirs = hex::decode(&vector.signed).unwrap();
        let raw = RawSignature::Ecdsa(theirs[..64].try_into().unwrap());
        let signed = world.assemble(unsigned, &[raw]).unwrap();
        assert_eq!((signed.bytes, signed.txid), (theirs, vector.hash), "{name}");
    }
}

/// The hash that EIP-712 itself prints for its example.
#[test]
fn eip_712s_own_hash() {
    let example = vectors().swap_remove(0);
    assert_eq!(example.name, "EIP-712's own example");
    let data = TypedData::decode(example.unsigned.as_bytes()).unwrap();
    assert_eq!(
        hex::encode(data.signing_hash().unwrap()),
        "be609aee343fb3c4b28e1df9e632fca64fcfaede20f02e86244efddf30957bd2"
    );
}

/// Each is read as the same message, and none but the canonical form is signed.
#[test]
fn other_forms_of_the_same_message_are_read_and_not_signed() {
    let world = World::new();
    let valid = canonical(order().to_string().as_bytes());
    assert!(world.parse(&valid).is_ok());
    let text = String::from_utf8(valid.clone()).unwrap();
    let replaced = |from: &str, to: &str| {
        assert_eq!(text.matches(from).count(), 1, "{from}");
        text.replace(from, to).into_bytes()
    };
    let spaced = format!("{text}\n").into_bytes();
    let pretty = serde_json::to_vec_pretty(&order()).unwrap();
    let lower = CONTRACT.to_checksum(None).to_lowercase();
    let message_first = |order: &mut Json| {
        let members = order.as_object_mut().unwrap();
        let message = members.remove("message").unwrap();
        *order =
            json!({ "message": message, "domain": order["domain"], "types": order["types"], "primaryType": "Order" });
    };
    let without_domain_type = |order: &mut Json| drop(order["types"].as_object_mut().unwrap().remove("EIP712Domain"));
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("a line end behind it", spaced),
        ("indented", pretty),
        ("other order of members", order_with(message_first)),
        ("a space", replaced(",\"primaryType\"", ", \"primaryType\"")),
        (
            "other order of fields",
            replaced(
                "\"data\":\"0x0102\",\"tag\":\"0xabcd\"",
                "\"tag\":\"0xabcd\",\"data\":\"0x0102\"",
            ),
        ),
        ("a number as a number", replaced("\"32767\"", "32767")),
        ("a number in hex", replaced("\"32767\"", "\"0x7fff\"")),
        ("leading zeros", replaced("\"32767\"", "\"032767\"")),
        ("a negative number as a number", replaced("\"-1\"", "-1")),
        ("upper-case hex", replaced("\"0xabcd\"", "\"0xABCD\"")),
        (
            "an address in lower case",
            order_with(|order| order["message"]["items"][0]["at"] = lower.as_str().into()),
        ),
        ("an escaped letter", replaced("\"hi\"", "\"h\\u0069\"")),
        (
            "a type that nothing uses",
            order_with(|order| order["types"]["Unused"] = json!([{ "name": "a", "type": "bool" }])),
        ),
        ("a domain without its type", order_with(without_domain_type)),
    ];
    for (name, json) in cases {
        assert_eq!(canonical(&json), valid, "{name}");
        if json.first() == Some(&b'{') {
            let error = world.parse(&json).unwrap_err();
            assert_eq!(error, ParseError::TypedData(TypedDataError::NotCanonical), "{name}");
            assert_eq!(error.tag(), Tag::TransactionNotCanonical, "{name}");
        }
    }
}

/// Structure: each is refused even where forms are free.
#[test]
fn one_change_and_its_error() {
    use TypedDataError as E;
    let text = order().to_string();
    let replaced = |from: &str, to: &str| text.replacen(from, to, 1).into_bytes();
    let field = |kind: &'static str| order_with(move |order| order["types"]["Item"][0]["type"] = kind.into());
    let bad_type = || E::BadType("Item".to_owned());
    let value = |at: &'static str, value: Json| order_with(move |order| order["message"][at] = value);
    let bad = |field: &str| E::BadValue(field.to_owned());
    let cases: Vec<(&str, Vec<u8>, TypedDataError)> = vec![
        ("a list", b"[]".to_vec(), E::BadMember("types")),
        (
            "no types",
            order_with(|o| drop(o.as_object_mut().unwrap().remove("types"))),
            E::BadMember("types"),
        ),
        (
            "no message",
            order_with(|o| drop(o.as_object_mut().unwrap().remove("message"))),
            E::BadMember("message"),
        ),
        (
            "a fifth member",
            order_with(|o| o["zz"] = 1.into()),
            E::UnknownMember("zz".to_owned()),
        ),
        (
            "a member twice",
            replaced("{\"domain\"", "{\"domain\":{},\"domain\""),
            E::UnknownMember("types".to_owned()),
        ),
        (
            "a primary type that is no text",
            order_with(|o| o["primaryType"] = 1.into()),
            E::BadMember("primaryType"),
        ),
        (
            "a primary type that is not there",
            order_with(|o| o["primaryType"] = "Odrer".into()),
            E::UnknownType("Odrer".to_owned()),
        ),
        (
            "the domain as the message",
            order_with(|o| o["primaryType"] = "EIP712Domain".into()),
            E::BadPrimaryType,
        ),
        (
            "a type that is not there",
            field("Itme"),
            E::UnknownType("Itme".to_owned()),
        ),
        ("an alias", field("uint"), bad_type()),
        ("seven bits", field("uint7"), bad_type()),
        ("264 bits", field("uint264"), bad_type()),
        ("no bits", field("uint0"), bad_type()),
        ("33 bytes", field("bytes33"), bad_type()),
        ("a leading zero", field("uint08"), bad_type()),
        ("a function", field("function"), bad_type()),
        ("an array of none", field("uint8[0]"), bad_type()),
        ("an array that does not end", field("uint8["), bad_type()),
        ("an array and more", field("uint8[]x"), bad_type()),
        ("arrays five deep", field("uint8[][][][][]"), bad_type()),
        ("a space in a type", field("uint8 "), bad_type()),
        (
            "a bracket in a name",
            order_with(|o| o["types"]["Item"][0]["name"] = "id,uint8 x".into()),
            bad_type(),
        ),
        (
            "a field with a third member",
            order_with(|o| o["types"]["Item"][0]["x"] = 1.into()),
            bad_type(),
        ),
        (
            "a struct named as a type",
            replaced("\"Item\":[", "\"uint256\":["),
            E::BadType("uint256".to_owned()),
        ),
        (
            "a struct named as an alias",
            replaced("\"Item\":[", "\"uint\":["),
            E::BadType("uint".to_owned()),
        ),
        (
            "a struct with a text for a name",
            replaced("\"Item\":[", "\"Item(bool x)\":["),
            E::BadType("Item(bool x)".to_owned()),
        ),
        (
            "a type twice",
            replaced("\"Item\":[", "\"Item\":[{\"name\":\"a\",\"type\":\"bool\"}],\"Item\":["),
            E::NamedTwice("Item".to_owned()),
        ),
        (
            "a field twice",
            order_with(|o| o["types"]["Item"][1]["name"] = "id".into()),
            E::NamedTwice("Item".to_owned()),
        ),
        (
            "no fields",
            order_with(|o| o["types"]["Item"] = json!([])),
            E::BadFieldCount {
                name: "Item".to_owned(),
                found: 0,
            },
        ),
        ("the domain inside", field("EIP712Domain"), E::BadDomainType),
        (
            "another domain field",
            order_with(|o| o["types"]["EIP712Domain"][0]["name"] = "title".into()),
            E::BadDomainType,
        ),
        (
            "another domain type",
            order_with(|o| o["types"]["EIP712Domain"][1]["type"] = "uint64".into()),
            E::BadDomainType,
        ),
        (
            "domain fields swapped",
            order_with(|o| o["types"]["EIP712Domain"].as_array_mut().unwrap().swap(0, 1)),
            E::BadDomainType,
        ),
        (
            "a domain member without a type",
            order_with(|o| o["domain"]["salt"] = "0x".into()),
            E::BadMembers("EIP712Domain".to_owned()),
        ),
        (
            "a member missing",
            order_with(|o| drop(o["message"].as_object_mut().unwrap().remove("note"))),
            E::BadMembers("Order".to_owned()),
        ),
        (
            "a member unknown",
            value("x", 1.into()),
            E::BadMembers("Order".to_owned()),
        ),
        (
            "a member renamed",
            replaced("\"note\":\"hi\"", "\"nota\":\"hi\""),
            E::BadMembers("Order".to_owned()),
        ),
        (
            "a member for another",
            replaced("\"note\":\"hi\"", "\"ok\":true"),
            E::BadMembers("Order".to_owned()),
        ),
        (
            "a struct that is none",
            value("items", json!([1])),
            E::NotAStruct("Item".to_owned()),
        ),
        ("a list that is none", value("items", json!({})), bad("items")),
        ("too few for a fixed array", value("pair", json!(["1"])), bad("pair")),
        (
            "too many for a fixed array",
            value("pair", json!(["1", "2", "3"])),
            bad("pair"),
        ),
        ("over the range", value("pair", json!(["1", "32768"])), bad("pair")),
        ("under the range", value("pair", json!(["1", "-32769"])), bad("pair")),
        (
            "a sign for an unsigned number",
            order_with(|o| o["message"]["items"][0]["id"] = "-1".into()),
            bad("id"),
        ),
        ("a plus", value("pair", json!(["1", "+1"])), bad("pair")),
        ("an underscore", value("pair", json!(["1", "1_0"])), bad("pair")),
        ("no digits", value("pair", json!(["1", ""])), bad("pair")),
        ("no hex digits", value("pair", json!(["1", "0x"])), bad("pair")),
        ("two signs", value("pair", json!(["1", "--1"])), bad("pair")),
        (
            "nine bits of eight",
            order_with(|o| o["message"]["items"][0]["id"] = "256".into()),
            bad("id"),
        ),
        ("a word for a boolean", value("ok", "true".into()), bad("ok")),
        ("one for true", value("ok", 1.into()), bad("ok")),
        ("three bytes of two", value("tag", "0xabcdef".into()), bad("tag")),
        ("half a byte", value("data", "0x012".into()), bad("data")),
        ("no prefix", value("data", "0102".into()), bad("data")),
        ("two prefixes", value("data", "0x0x01".into()), bad("data")),
        ("no hex", value("data", "0xzz".into()), bad("data")),
        ("a number for text", value("note", 1.into()), bad("note")),
        (
            "an address of 19 bytes",
            order_with(|o| o["message"]["items"][0]["at"] = "0x70997970C51812dc3A010C7d01b50e0d17dc79".into()),
            bad("at"),
        ),
        (
            "a wrong checksum",
            order_with(|o| o["message"]["items"][0]["at"] = "0x70997970C51812dc3A010C7d01b50e0d17dc79c8".into()),
            bad("at"),
        ),
    ];
    let world = World::new();
    for (name, json, error) in cases {
        assert_eq!(TypedData::from_wallet_json(&json), Err(error.clone()), "{name}");
        assert_eq!(error.tag(), Tag::TransactionMalformed, "{name}");
        if json[0] == b'{' {
            assert_eq!(world.parse(&json), Err(ParseError::TypedData(error)), "{name}");
        }
    }
    for json in [
        "{",
        "{\"a\":null}",
        "{\"a\":1.5}",
        "{\"a\":18446744073709551616}",
        "{} {}",
        "{\"a\":1,}",
        "{\"a\":\"\u{1}\"}",
    ] {
        let error = world.parse(json.as_bytes()).unwrap_err();
        assert!(
            matches!(error, ParseError::TypedData(E::NotJson { .. })),
            "{json}: {error}"
        );
        assert_eq!(error.tag(), Tag::TransactionMalformed);
    }
}

/// Read, hashed, and still not signed: a signature would be good elsewhere.
#[test]
fn a_domain_that_does_not_bind_is_refused() {
    let world = World::new();
    let without = |at: usize, name: &'static str| {
        move |order: &mut Json| {
            order["types"]["EIP712Domain"].as_array_mut().unwrap().remove(at);
            order["domain"].as_object_mut().unwrap().remove(name);
        }
    };
    let wrong = |found: U256| TypedDataError::WrongChain {
        network: "eip155:1".parse().unwrap(),
        found,
    };
    let at = |address: &'static str| move |order: &mut Json| order["domain"]["verifyingContract"] = address.into();
    let chain = |id: &'static str| move |order: &mut Json| order["domain"]["chainId"] = id.into();
    let (unbound, other) = (Tag::TransactionUnboundMessage, Tag::TransactionWrongChain);
    let cases: Vec<(&str, Vec<u8>, TypedDataError, Tag)> = vec![
        (
            "no chain",
            order_with(without(1, "chainId")),
            TypedDataError::UnboundDomain,
            unbound,
        ),
        (
            "no contract",
            order_with(without(2, "verifyingContract")),
            TypedDataError::UnboundDomain,
            unbound,
        ),
        (
            "the zero address",
            order_with(at("0x0000000000000000000000000000000000000000")),
            TypedDataError::UnboundDomain,
            unbound,
        ),
        (
            "a precompile",
            order_with(at("0x0000000000000000000000000000000000000001")),
            TypedDataError::UnboundDomain,
            unbound,
        ),
        ("another chain", order_with(chain("10")), wrong(U256::from(10)), other),
        ("chain 0", order_with(chain("0")), wrong(U256::ZERO), other),
        (
            "2²⁵⁶ − 1",
            order_with(chain(
                "0xffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
            )),
            wrong(U256::MAX),
            other,
        ),
    ];
    for (name, json, error, tag) in cases {
        let unsigned = canonical(&json);
        assert_eq!(
            world.parse(&unsigned),
            Err(ParseError::TypedData(error.clone())),
            "{name}"
        );
        assert_eq!(error.tag(), tag, "{name}");
        let hash = TypedData::decode(&unsigned).unwrap().signing_hash().unwrap();
        let refused = world.assemble(&unsigned, &[sign(&HOT_KEY, &hash)]);
        assert_eq!(
            refused,
            Err(AssembleError::Parse(ParseError::TypedData(error))),
            "{name}"
        );
    }
}

#[test]
fn the_bounds_are_exact() {
    use TypedDataError as E;
    let read = |json: Vec<u8>| TypedData::from_wallet_json(&json).map(drop);
    let items = |count: usize| {
        order_with(|order| order["message"]["items"] = vec![order["message"]["items"][0].clone(); count].into())
    };
    assert_eq!(read(items(MAX_LIST_ITEMS)), Ok(()));
    let found = MAX_LIST_ITEMS + 1;
    let too_many = E::TooManyItems {
        field: "items".to_owned(),
        found,
    };
    assert_eq!(read(items(found)), Err(too_many));

    let types = |count: usize| {
        order_with(|order| {
            for number in 3..count {
                order["types"][format!("Unused{number}")] = json!([{ "name": "a", "type": "bool" }]);
            }
        })
    };
    assert_eq!(read(types(MAX_STRUCT_TYPES)), Ok(()));
    let found = MAX_STRUCT_TYPES + 1;
    assert_eq!(read(types(found)), Err(E::TooManyTypes { found }));

    let fields = |count: usize| {
        order_with(|order| {
            let fields: Vec<_> = (0..count)
                .map(|n| json!({ "name": format!("f{n}"), "type": "bool" }))
                .collect();
            order["types"]["Unused"] = fields.into();
        })
    };
    assert_eq!(read(fields(MAX_STRUCT_FIELDS)), Ok(()));
    let found = MAX_STRUCT_FIELDS + 1;
    assert_eq!(
        read(fields(found)),
        Err(E::BadFieldCount {
            name: "Unused".to_owned(),
            found
        })
    );

    // A struct in a list in a struct…: two levels each, and the innermost list is empty.
    let nested = |levels: usize| {
        let mut value = json!({ "in": [] });
        for _ in 1..levels / 2 + 1 {
            value = json!({ "in": [value] });
        }
        order_with(|order| {
            order["types"]["Order"] = json!([{ "name": "in", "type": "Order[]" }]);
            order["message"] = value;
        })
    };
    assert_eq!(read(nested(MAX_VALUE_DEPTH - 2)), Ok(()));
    assert_eq!(read(nested(MAX_VALUE_DEPTH)), Err(E::TooDeep));

    let sized = |count: usize| vec![b' '; count];
    let found = MAX_TRANSACTION_BYTES + 1;
    assert_eq!(read(sized(found)), Err(E::TooLarge { found }));
    assert_eq!(E::TooLarge { found }.tag(), Tag::TransactionTooLarge);
    assert!(matches!(read(sized(found - 1)), Err(E::NotJson { .. })));
    // serde_json's own bound keeps the stack.
    let deep = [vec![b'['; 60_000], vec![b']'; 60_000]].concat();
    assert!(matches!(read(deep), Err(E::NotJson { .. })));
}

/// Values of drawn types, and a form of each that wallets would take.
fn typed_value() -> impl Strategy<Value = (String, Json)> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(|value| ("bool".to_owned(), json!(value))),
        any::<[u8; 20]>().prop_map(|value| ("address".to_owned(), json!(hex::encode_prefixed(value)))),
        ".{0,12}".prop_map(|value| ("string".to_owned(), json!(value))),
        prop::collection::vec(any::<u8>(), 0..40)
            .prop_map(|value| ("bytes".to_owned(), json!(hex::encode_prefixed(value)))),
        (1_usize..=32, any::<[u8; 32]>())
            .prop_map(|(size, value)| (format!("bytes{size}"), json!(hex::encode_prefixed(&value[..size])))),
        (1_usize..=32, any::<[u8; 32]>()).prop_map(|(size, value)| {
            let number = U256::from_be_slice(&value[..size]);
            (format!("uint{}", size * 8), json!(number.to_string()))
        }),
        (any::<i64>()).prop_map(|value| ("int64".to_owned(), json!(value.to_string()))),
        (any::<i8>()).prop_map(|value| ("int8".to_owned(), json!(value))),
    ];
    (leaf, prop::option::of(0_usize..4), any::<bool>()).prop_map(|((kind, value), length, is_fixed)| match length {
        None => (kind, value),
        Some(length) if is_fixed && length > 0 => (format!("{kind}[{length}]"), vec![value; length].into()),
        Some(length) => (format!("{kind}[]"), vec![value; length].into()),
    })
}

proptest! {
    /// The hash is alloy's, whatever the types, and the canonical form is read back as the same message.
    #[test]
    fn the_judge_agrees(inner in prop::collection::vec(typed_value(), 1..4), outer in prop::collection::vec(typed_value(), 0..4), count in 0_usize..3) {
        let fields = |values: &[(String, Json)]| values.iter().enumerate()
            .map(|(at, (kind, _))| json!({ "name": format!("f{at}"), "type": kind })).collect::<Vec<_>>();
        let members = |values: &[(String, Json)]| values.iter().enumerate()
            .map(|(at, (_, value))| (format!("f{at}"), value.clone())).collect::<serde_json::Map<_, _>>();
        let json = order_with(|order| {
            let mut of_outer = fields(&outer);
            of_outer.push(json!({ "name": "inside", "type": "Zinner[]" }));
            let mut message = members(&outer);
            message.insert("inside".to_owned(), vec![Json::Object(members(&inner)); count].into());
            let domain = order["types"]["EIP712Domain"].clone();
            order["types"] = json!({ "EIP712Domain": domain, "Order": of_outer, "Zinner": fields(&inner) });
            order["message"] = message.into();
        });
        let data = TypedData::from_wallet_json(&json).unwrap();
        prop_assert_eq!(data.signing_hash().unwrap(), judged(&json));
        let bytes = data.canonical_bytes().unwrap();
        prop_assert_eq!(judged(&bytes), judged(&json));
        prop_assert_eq!(TypedData::decode(&bytes).unwrap(), data);
        prop_assert!(World::new().parse(&bytes).is_ok());
    }

    /// One character of a valid message replaced by any: never a panic, and what is accepted is canonical.
    #[test]
    fn arbitrary_changes_never_panic(at in any::<prop::sample::Index>(), with in ".{0,3}") {
        let mut text = String::from_utf8(canonical(order().to_string().as_bytes())).unwrap();
        let at = at.index(text.len());
        text.replace_range(at..at + 1, &with);
        if let Ok(data) = TypedData::decode(text.as_bytes()) {
            prop_assert_eq!(data.canonical_bytes().unwrap(), text.into_bytes());
        }
    }

    #[test]
    fn arbitrary_json_never_panics(text in r#"[\[\]{}:,"0-9a-z]{0,60}"#) {
        drop(World::new().parse(format!("{{{text}").as_bytes()));
    }
}

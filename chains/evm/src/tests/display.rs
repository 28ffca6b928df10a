//! ERC-7730: descriptors name what stands in the bytes, and leave nothing out.

use alloy_primitives::{Address, Bytes, TxKind, U256};
use countersign_types::AssetQuirk;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::{
    encoder::{Arg, account, blob, calldata, most, number},
    fixtures::{
        CONTRACT, STRANGER, THIEF, TOKEN, World, call_with, eip1559_with, eip4844_with, legacy_with, transfer_input,
    },
    messages::personal,
    permits::message_with,
};
use crate::{Descriptor, DescriptorError, Display, Known, MAX_DESCRIPTOR_BYTES, display};

const PERMIT: &str = "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)";
const BATCH: &str = "PermitBatch(PermitDetails[] details,address spender,uint256 sigDeadline)\
                     PermitDetails(address token,uint160 amount,uint48 expiration,uint48 nonce)";

pub(super) fn field(path: &str, label: &str, format: &str, params: Json) -> Json {
    let mut field = json!({ "path": path, "label": label, "format": format });
    if !params.is_null() {
        field["params"] = params;
    }
    field
}

pub(super) fn descriptor(kind: &str, contract: Address, formats: Json) -> Json {
    json!({
        "$schema": "erc7730-v1",
        "context": { kind: { "deployments": [{ "chainId": 1, "address": contract.to_checksum(None) }] } },
        "metadata": { "owner": "Example" },
        "display": { "formats": formats },
    })
}

/// `transfer` of a token.
fn token() -> Json {
    let fields = [
        field("value", "Amount", "tokenAmount", json!({ "tokenPath": "@.to" })),
        field("#.to", "To", "addressName", Json::Null),
    ];
    descriptor(
        "contract",
        TOKEN,
        json!({ "transfer(address to,uint256 value)": { "intent": "Send", "fields": fields } }),
    )
}

pub(super) fn read(json: &Json) -> Descriptor {
    Descriptor::read(json.to_string().as_bytes()).unwrap()
}

pub(super) fn shown_in(world: &World, unsigned: &[u8], descriptors: &[Descriptor]) -> Option<Display> {
    let known = Known {
        assets: &world.assets,
        contracts: &world.contracts,
        own: &world.own,
    };
    display(unsigned, &world.sender(), &known, descriptors).unwrap()
}

pub(super) fn shown(unsigned: &[u8], json: &Json) -> Option<Vec<(String, String)>> {
    let found = shown_in(&World::new(), unsigned, &[read(json)])?;
    assert_eq!(found.owner, "Example");
    Some(found.lines.into_iter().map(|line| (line.label, line.text)).collect())
}

fn lines(lines: &[(&str, &str)]) -> Option<Vec<(String, String)>> {
    Some(
        lines
            .iter()
            .map(|(label, text)| ((*label).to_owned(), (*text).to_owned()))
            .collect(),
    )
}

#[test]
fn a_call_in_the_words_of_its_descriptor() {
    let to = STRANGER.to_checksum(None);
    let warm = World::new().warm.address();
    let own = format!("{} (wallet eth-warm)", warm.to_checksum(None));
    let call = call_with(TOKEN, 0, &transfer_input(STRANGER, 5_000_001));
    assert_eq!(
        shown(&call, &token()),
        lines(&[("Amount", "5.000001 USDC"), ("To", &to)])
    );
    let call = call_with(TOKEN, 0, &transfer_input(warm, 5));
    assert_eq!(
        shown(&call, &token()),
        lines(&[("Amount", "0.000005 USDC"), ("To", &own)])
    );
    let intent = shown_in(&World::new(), &call, &[read(&token())]).unwrap().intent;
    assert_eq!(intent, "Send");
    // Every type of transaction.
    let input = transfer_input(STRANGER, 5);
    for unsigned in [
        legacy_with(|tx| (tx.to, tx.value, tx.input) = (TxKind::Call(TOKEN), U256::ZERO, input.clone())),
        eip4844_with(|tx| (tx.to, tx.value, tx.input) = (TOKEN, U256::ZERO, input.clone())),
    ] {
        assert_eq!(
            shown(&unsigned, &token()),
            lines(&[("Amount", "0.000005 USDC"), ("To", &to)])
        );
    }
}

/// What no field names is there all the same, and so is value sent along.
#[test]
fn a_descriptor_hides_nothing() {
    let mut harmless = token();
    harmless["display"]["formats"] = json!({ "transfer(address to,uint256 value)": {
        "intent": "Sign in",
        "fields": [field("@.to", "Site", "addressName", Json::Null)],
    } });
    let call = call_with(TOKEN, 7, &transfer_input(THIEF, 5));
    let (token, thief) = (TOKEN.to_checksum(None), THIEF.to_checksum(None));
    let expected = [
        ("Site", token.as_str()),
        ("`@.value`", "0.000000000000000007 ETH"),
        ("`to`", thief.as_str()),
        ("`value`", "5"),
    ];
    assert_eq!(shown(&call, &harmless), lines(&expected));
    harmless["display"]["formats"]["transfer(address to,uint256 value)"]["fields"][0] =
        field("@.value", "Paid", "amount", Json::Null);
    let expected = [
        ("Paid", "0.000000000000000007 ETH"),
        ("`to`", thief.as_str()),
        ("`value`", "5"),
    ];
    assert_eq!(shown(&call, &harmless), lines(&expected));
}

#[test]
fn a_descriptor_is_for_its_own_contract_and_function_alone() {
    let world = World::new();
    let none = |unsigned: &[u8], json: &Json| assert_eq!(shown_in(&world, unsigned, &[read(json)]), None);
    let call = call_with(TOKEN, 0, &transfer_input(STRANGER, 5));
    none(&call_with(CONTRACT, 0, &transfer_input(STRANGER, 5)), &token());
    let deployment = |chain: u64| {
        let mut json = token();
        json["context"]["contract"]["deployments"][0]["chainId"] = chain.into();
        json
    };
    assert!(shown(&call, &deployment(1)).is_some());
    none(&call, &deployment(10));
    none(&call_with(TOKEN, 0, &[]), &token());
    none(&call_with(TOKEN, 0, &[0xa9, 0x05, 0x9c]), &token());
    none(&call_with(TOKEN, 0, &[1, 2, 3, 4]), &token());
    // Not the canonical encoding of the arguments.
    let input = transfer_input(STRANGER, 5);
    none(&call_with(TOKEN, 0, &[&input[..], &[0]].concat()), &token());
    none(&call_with(TOKEN, 0, &input[..67]), &token());
    none(&call_with(TOKEN, 0, &[&input[..4], &[1; 64]].concat()), &token());
    none(
        &eip1559_with(|tx| (tx.to, tx.input) = (TxKind::Create, input.clone())),
        &token(),
    );
    none(&personal(b"hello"), &token());
    // A descriptor of messages is none of calls, and the other way round.
    let message = message_with("EIP-2612 permit", |_| ());
    none(&message, &token());
    let formats = json!({ PERMIT: { "intent": "Permit", "fields": [field("value", "V", "raw", Json::Null)] } });
    none(&call, &descriptor("eip712", TOKEN, formats.clone()));
    none(&message, &descriptor("eip712", CONTRACT, formats.clone()));
    assert!(shown(&message, &descriptor("eip712", TOKEN, formats)).is_some());
    let other = json!({ PERMIT.replace("deadline", "expiry"): { "intent": "Permit", "fields": [field("value", "V", "raw", Json::Null)] } });
    none(&message, &descriptor("eip712", TOKEN, other));
}

#[test]
fn every_format_of_every_type() {
    let signature =
        "all(uint256 a,int16 b,bool c,bytes3 d,bytes e,string f,address g,uint48 h,uint256[] i,address[] j)";
    let list = |items: &[u64]| Arg::List(items.iter().map(|item| number(*item)).collect());
    let word = |text: &str| {
        let mut word = [0; 32];
        word[..text.len()].copy_from_slice(text.as_bytes());
        Arg::Word(word)
    };
    let types = "all(uint256,int16,bool,bytes3,bytes,string,address,uint48,uint256[],address[])";
    let args = [
        number(1_500_000),
        most(),
        number(1),
        word("abc"),
        blob([1, 2]),
        blob("a\n\"\u{202e}".as_bytes()),
        account(STRANGER),
        number(1_767_225_600),
        list(&[7, 8]),
        Arg::List(vec![]),
    ];
    let unsigned = call_with(CONTRACT, 0, &calldata(types, &args));
    let to = STRANGER.to_checksum(None);
    let cases = [
        (field("a", "x", "raw", Json::Null), vec!["1500000"]),
        (field("a", "x", "amount", Json::Null), vec!["0.0000000000015 ETH"]),
        (field("a", "x", "unit", json!({ "base": "kg" })), vec!["1500000 kg"]),
        (
            field("a", "x", "unit", json!({ "base": "kg", "decimals": 3 })),
            vec!["1500 kg"],
        ),
        (
            field("a", "x", "tokenAmount", json!({ "tokenPath": "#.g" })),
            vec!["1500000 base units of 0x70997970C51812dc3A010C7d01b50e0d17dc79C8 (unregistered asset)"],
        ),
        (
            field("a", "x", "tokenAmount", json!({ "tokenPath": "b" })),
            vec!["1500000"],
        ),
        (field("b", "x", "raw", Json::Null), vec!["-1"]),
        (field("b", "x", "amount", Json::Null), vec!["-1"]),
        (field("c", "x", "raw", Json::Null), vec!["true"]),
        (field("d", "x", "raw", Json::Null), vec!["0x616263"]),
        (field("e", "x", "raw", Json::Null), vec!["0x0102"]),
        (field("f", "x", "raw", Json::Null), vec![r#""a\n\"\u{202e}""#]),
        (
            field("f", "x", "date", json!({ "encoding": "timestamp" })),
            vec![r#""a\n\"\u{202e}""#],
        ),
        (field("g", "x", "addressName", Json::Null), vec![to.as_str()]),
        (field("g", "x", "raw", Json::Null), vec![to.as_str()]),
        (
            field("h", "x", "date", json!({ "encoding": "timestamp" })),
            vec!["2026-01-01T00:00:00Z"],
        ),
        (field("i.[]", "x", "raw", Json::Null), vec!["7", "8"]),
        (field("j", "x", "addressName", Json::Null), vec!["(none)"]),
    ];
    for (field, expected) in cases {
        let json = descriptor(
            "contract",
            CONTRACT,
            json!({ signature: { "intent": "All", "fields": [field.clone()] } }),
        );
        let found = shown(&unsigned, &json).unwrap();
        let named: Vec<_> = found
            .iter()
            .filter(|(label, _)| label == "x")
            .map(|(_, text)| text.as_str())
            .collect();
        assert_eq!(named, expected, "{field}");
        assert_eq!(found.len(), 11, "one for each leaf: {found:?}");
    }
    let beyond = calldata("f(uint256)", &[most()]);
    let date = field("a", "x", "date", json!({ "encoding": "timestamp" }));
    let json = descriptor(
        "contract",
        CONTRACT,
        json!({ "f(uint256 a)": { "intent": "All", "fields": [date] } }),
    );
    let found = shown(&call_with(CONTRACT, 0, &beyond), &json);
    assert_eq!(found, lines(&[("x", &U256::MAX.to_string())]));
}

#[test]
fn words_out_of_their_types_range_are_not_displayed() {
    for (kind, word, is_shown) in [
        ("address", Arg::Word([1; 32]), false),
        ("bool", number(2), false),
        ("uint8", number(256), false),
        ("uint8", number(255), true),
        ("int8", number(128), false),
        ("int8", number(127), true),
        ("int8", most(), true),
        ("bytes3", number(1), false),
    ] {
        let input: Bytes = calldata(&format!("f({kind})"), &[word]);
        let fields = [field("a", "x", "raw", Json::Null)];
        let json = descriptor(
            "contract",
            CONTRACT,
            json!({ format!("f({kind} a)"): { "intent": "F", "fields": fields } }),
        );
        assert_eq!(
            shown(&call_with(CONTRACT, 0, &input), &json).is_some(),
            is_shown,
            "{kind}"
        );
    }
}

#[test]
fn a_message_in_the_words_of_its_descriptor() {
    let p2: Address = "0x000000000022D473030F116dDEE9F6B43aC78BA3".parse().unwrap();
    let fields = [
        field("spender", "Spender", "addressName", Json::Null),
        field(
            "details.[].amount",
            "Up to",
            "tokenAmount",
            json!({ "tokenPath": "details.[].token" }),
        ),
    ];
    let json = descriptor(
        "eip712",
        p2,
        json!({ BATCH: { "intent": "Let spend", "fields": fields } }),
    );
    let unsigned = message_with("Permit2 batch", |m| {
        m["message"]["details"][1]["token"] = CONTRACT.to_string().into()
    });
    let (spender, token, other) = (
        STRANGER.to_checksum(None),
        TOKEN.to_checksum(None),
        CONTRACT.to_checksum(None),
    );
    let unregistered = format!("8 base units of {other} (unregistered asset)");
    let (never, first) = (&(2_u64.pow(48) - 1).to_string(), "0");
    let expected = [
        ("Spender", spender.as_str()),
        ("Up to", "0.000007 USDC"),
        ("Up to", &unregistered),
        ("`details.[0].token`", &token),
        ("`details.[0].expiration`", never),
        ("`details.[0].nonce`", first),
        ("`details.[1].token`", &other),
        ("`details.[1].expiration`", never),
        ("`details.[1].nonce`", first),
        ("`sigDeadline`", "1"),
    ];
    assert_eq!(shown(&unsigned, &json), lines(&expected));
    let empty = message_with("Permit2 batch", |m| m["message"]["details"] = json!([]));
    let expected = [
        ("Spender", spender.as_str()),
        ("`details`", "(none)"),
        ("`sigDeadline`", "1"),
    ];
    assert_eq!(shown(&empty, &json), lines(&expected));
}

#[test]
fn quirks_stand_beside_the_asset() {
    let mut world = World::new();
    let records = world.assets.iter().cloned().map(|mut record| {
        record.quirks = [AssetQuirk::Freezable, AssetQuirk::FeeOnTransfer].into();
        record
    });
    world.list(countersign_types::AssetRegistry::new(records).unwrap());
    let call = call_with(
        TOKEN,
        0,
        &calldata("transfer(address,uint256)", &[account(STRANGER), most()]),
    );
    let found = shown_in(&world, &call, &[read(&token())]).unwrap();
    assert!(
        found.lines[0]
            .text
            .ends_with("639935 USDC (everything) (fee-on-transfer) (freezable)"),
        "{found:?}"
    );
}

/// One change of a valid descriptor and where its error is.
#[test]
fn one_change_and_its_error() {
    let formats = |key: &str| json!({ key: { "intent": "Send", "fields": [field("a", "A", "raw", Json::Null)] } });
    let with = |change: &dyn Fn(&mut Json)| {
        let mut json = token();
        change(&mut json);
        json.to_string()
    };
    let key = |key: &str| descriptor("contract", TOKEN, formats(key)).to_string();
    let at_field = |change: &'static dyn Fn(&mut Json)| {
        with(&|json| change(&mut json["display"]["formats"]["transfer(address to,uint256 value)"]["fields"][0]))
    };
    let of_format = |change: &'static dyn Fn(&mut Json)| {
        with(&|json| change(&mut json["display"]["formats"]["transfer(address to,uint256 value)"]))
    };
    let cases: Vec<(&str, String, &str)> = vec![
        ("no object", "[]".to_owned(), "`descriptor` is missing"),
        ("no JSON", "{".to_owned(), "line 1, column 1 "),
        ("a null", "{\"context\":null}".to_owned(), "line 1, column"),
        (
            "an include",
            with(&|json| json["includes"] = "x".into()),
            "merge it into this one",
        ),
        (
            "a member twice",
            token().to_string().replacen('{', "{\"metadata\":{},", 1),
            "`descriptor` has a member `metadata`",
        ),
        (
            "no context",
            with(&|json| drop(json.as_object_mut().unwrap().remove("context"))),
            "`descriptor.context` is missing",
        ),
        (
            "two contexts",
            with(&|json| json["context"]["eip712"] = json["context"]["contract"].clone()),
            "`descriptor.context.contract` is",
        ),
        (
            "no deployment",
            with(&|json| json["context"]["contract"]["deployments"] = json!([])),
            "`descriptor.context.contract.deployments` has 0",
        ),
        (
            "a chain as text",
            with(&|json| json["context"]["contract"]["deployments"][0]["chainId"] = "1".into()),
            "deployments.chainId` is",
        ),
        (
            "a negative chain",
            with(&|json| json["context"]["contract"]["deployments"][0]["chainId"] = (-1).into()),
            "deployments.chainId` is",
        ),
        (
            "an address with a wrong checksum",
            with(&|json| {
                json["context"]["contract"]["deployments"][0]["address"] =
                    TOKEN.to_checksum(None).replace('D', "d").into()
            }),
            "deployments.address` is",
        ),
        (
            "no owner",
            with(&|json| json["metadata"] = json!({})),
            "`descriptor.metadata.owner` is",
        ),
        (
            "an owner who moves the cursor",
            with(&|json| json["metadata"]["owner"] = "\u{202e}".into()),
            "`descriptor.metadata.owner` is",
        ),
        (
            "no formats",
            with(&|json| json["display"]["formats"] = json!({})),
            "`descriptor.display.formats` has 0",
        ),
        (
            "a reference to no definition",
            at_field(&|of| of["$ref"] = "$.display.definitions.x".into()),
            "fields.$ref` is",
        ),
        (
            "a selector for a signature",
            key("0xa9059cbb"),
            "formats.0xa9059cbb` is",
        ),
        ("no names", key("f(address)"), "formats.f(address)` is"),
        ("a name twice", key("f(address a,bool a)"), "a)` is"),
        ("a tuple without a name", key("f((address a))"), "a))` is"),
        ("a tuple of nothing", key("f(() a)"), "a)` is"),
        ("a tuple of names twice", key("f((bool b,bool b) a)"), "a)` is"),
        (
            "tuples without end",
            key(&format!("f({}bool a{})", "(".repeat(8), ") a".repeat(8))),
            " is",
        ),
        ("an array of nothing", key("f(uint8[0] a)"), "a)` is"),
        ("a type that is none", key("f(uint7 a)"), "a)` is"),
        ("a struct by its name", key("f(tuple0 a)"), "a)` is"),
        ("something behind", key("f(bool a) view"), "view` is"),
        ("another separator", key("f(bool a;bool b)"), "b)` is"),
        ("no function", key("(uint8 a)"), "a)` is"),
        (
            "a function twice under other names",
            descriptor(
                "contract",
                TOKEN,
                json!({
            "f(bool a)": formats("x")["x"], "f(bool b)": formats("x")["x"] }),
            )
            .to_string(),
            "formats.f(bool b)` is",
        ),
        (
            "no intent",
            of_format(&|of| drop(of.as_object_mut().unwrap().remove("intent"))),
            ".intent` is",
        ),
        (
            "an intent of two lines",
            of_format(&|of| of["intent"] = "Send\nto".into()),
            ".intent` is",
        ),
        (
            "an intent over 64 characters",
            of_format(&|of| of["intent"] = "a".repeat(65).into()),
            ".intent` is",
        ),
        (
            "an intent that is made of values",
            of_format(&|of| of["interpolatedIntent"] = "Send {to}".into()),
            "member `interpolatedIntent`",
        ),
        (
            "fields that are no list",
            of_format(&|of| of["fields"] = json!({})),
            ".fields` is",
        ),
        (
            "too many fields",
            of_format(&|of| of["fields"] = vec![of["fields"][0].clone(); 129].into()),
            ".fields` has 129",
        ),
        (
            "a field without a path",
            at_field(&|of| drop(of.as_object_mut().unwrap().remove("path"))),
            ".path` is",
        ),
        (
            "a path to nothing",
            at_field(&|of| of["path"] = "valeu".into()),
            ".path` is",
        ),
        (
            "a path into metadata",
            at_field(&|of| of["path"] = "$.metadata.owner".into()),
            ".path` is",
        ),
        (
            "an item of no list",
            at_field(&|of| of["path"] = "value.[0]".into()),
            ".path` is",
        ),
        (
            "another container's path",
            at_field(&|of| of["path"] = "@.nonce".into()),
            ".path` is",
        ),
        (
            "a label with a quote of paths",
            at_field(&|of| of["label"] = "`to`".into()),
            ".label` is",
        ),
        ("an empty label", at_field(&|of| of["label"] = "".into()), ".label` is"),
        (
            "a space in front",
            at_field(&|of| of["label"] = " A".into()),
            ".label` is",
        ),
        (
            "another format",
            at_field(&|of| of["format"] = "magic".into()),
            ".format` is",
        ),
        (
            "two tokens",
            at_field(&|of| of["params"]["token"] = TOKEN.to_checksum(None).into()),
            ".params.token` is",
        ),
        (
            "a token that is an amount",
            at_field(&|of| of["params"]["tokenPath"] = "@.value".into()),
            ".params.tokenPath` is",
        ),
        (
            "a threshold that is no number",
            at_field(&|of| of["params"]["threshold"] = "much".into()),
            ".params.threshold` is",
        ),
        (
            "a date by something else",
            at_field(&|of| (of["format"], of["params"]) = ("date".into(), json!({ "encoding": "epoch" }))),
            ".params.encoding` is",
        ),
        (
            "too many decimals",
            at_field(&|of| (of["format"], of["params"]) = ("unit".into(), json!({ "base": "x", "decimals": 37 }))),
            ".params.decimals` is",
        ),
        (
            "decimals as text",
            at_field(&|of| (of["format"], of["params"]) = ("unit".into(), json!({ "base": "x", "decimals": "3" }))),
            ".params.decimals` is",
        ),
    ];
    for (name, json, expected) in cases {
        let error = Descriptor::read(json.as_bytes()).unwrap_err();
        assert!(error.to_string().contains(expected), "{name}: {error}");
    }
    let found = MAX_DESCRIPTOR_BYTES + 1;
    let error = Descriptor::read(&vec![b' '; found]).unwrap_err();
    assert_eq!(error, DescriptorError::TooLarge { found });
}

#[test]
fn long_values_are_cut_and_say_how_long_they_are() {
    let fields = [field("a", "x", "raw", Json::Null), field("b", "y", "raw", Json::Null)];
    let json = descriptor(
        "contract",
        CONTRACT,
        json!({ "f(bytes a,string b)": { "intent": "F", "fields": fields } }),
    );
    let input = calldata("f(bytes,string)", &[blob([7; 200]), blob("a".repeat(300).as_bytes())]);
    let found = shown(&call_with(CONTRACT, 0, &input), &json).unwrap();
    assert!(found[0].1.ends_with("0707... (200 bytes)"), "{found:?}");
    assert!(found[1].1.ends_with("aa... (300 bytes)\""), "{found:?}");
}

proptest! {
    /// Whatever the arguments, a display is printable ASCII and has a line for each of them.
    #[test]
    fn displays_are_printable_and_whole(data in prop::collection::vec(any::<u8>(), 0..100), text in ".{0,20}", items in prop::collection::vec(any::<u64>(), 0..5)) {
        let fields = [field("c.[]", "x", "tokenAmount", json!({ "tokenPath": "c.[]" }))];
        let json = descriptor("contract", CONTRACT, json!({ "f(bytes a,string b,uint64[] c)": { "intent": "F", "fields": fields } }));
        let list = Arg::List(items.iter().map(|item| number(*item)).collect());
        let input = calldata("f(bytes,string,uint64[])", &[blob(data), blob(text.as_bytes()), list]);
        let found = shown(&call_with(CONTRACT, 0, &input), &json).unwrap();
        prop_assert_eq!(found.len(), 2 + items.len().max(1));
        for (label, text) in found {
            prop_assert!(label.bytes().chain(text.bytes()).all(|b| b == b' ' || b.is_ascii_graphic()));
        }
    }

    #[test]
    fn arbitrary_descriptors_never_panic(at in any::<prop::sample::Index>(), with in ".{0,3}") {
        let mut text = token().to_string();
        let at = at.index(text.len());
        text.replace_range(at..at + 1, &with);
        drop(Descriptor::read(text.as_bytes()));
    }
}

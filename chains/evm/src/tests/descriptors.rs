//! Descriptors in the shapes that are published (ERC-7730, versions 1 and 2): tuples, groups, definitions, calls in calls.

use alloy_dyn_abi::{DynSolType, DynSolValue};
use alloy_primitives::{Address, I256, U256, keccak256};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::{
    display::{descriptor, field, read, shown, shown_in},
    encoder::{Arg, account, blob, calldata, most, number},
    fixtures::{CONTRACT, STRANGER, THIEF, TOKEN, World, call_with, transfer_input},
    permits::message_with,
};
use crate::Display;

/// A published format, of one function of `CONTRACT`.
fn of(signature: &str, fields: &Json) -> Json {
    descriptor(
        "contract",
        CONTRACT,
        json!({ signature: { "intent": "Do", "fields": fields } }),
    )
}

fn lines(found: Option<Vec<(String, String)>>) -> Vec<String> {
    let found = found.expect("a descriptor is for it");
    found.iter().map(|(label, text)| format!("{label} = {text}")).collect()
}

fn flat(display: &Display) -> Vec<String> {
    let lines = display.lines.iter();
    lines.map(|line| format!("{} = {}", line.label, line.text)).collect()
}

/// The shape of a swap: a tuple of static and dynamic members, items by their number, addresses in packed bytes.
#[test]
fn tuples_items_and_bytes_within() {
    let signature =
        "swap((bytes path, address recipient, uint256[2] limits) params, (address to, uint amount)[] calldata parts)";
    let types = "swap((bytes,address,uint256[2]),(address,uint256)[])";
    let packed = [TOKEN.as_slice(), &[0, 1, 2], THIEF.as_slice()].concat();
    let part = |to, amount| Arg::Tuple(vec![account(to), number(amount)]);
    let params = Arg::Tuple(vec![blob(packed.clone()), account(STRANGER), number(7), number(8)]);
    let input = calldata(
        types,
        &[
            params,
            Arg::List(vec![part(STRANGER, 1), part(THIEF, 2), part(TOKEN, 3)]),
        ],
    );
    let fields = json!([
        field("params.path.[:20]", "Sell", "tokenTicker", Json::Null),
        field("#.params.path.[-20:]", "Buy", "addressName", Json::Null),
        field("params.path.[20:23]", "Pool fee", "unit", json!({ "base": "bp" })),
        field("params.path.[20:99]", "Nowhere", "raw", Json::Null),
        field("params.limits.[0]", "At least", "tokenAmount", json!({ "tokenPath": "params.path.[0:20]" })),
        field("params.limits.[-1]", "Last", "raw", Json::Null),
        field("parts.[1:].amount", "Later", "raw", Json::Null),
        field("parts.[-1].to", "Last to", "addressName", Json::Null),
        { "path": "params", "label": "All of it", "visible": "never" },
    ]);
    let [token, stranger, thief] = [TOKEN, STRANGER, THIEF].map(|address| address.to_checksum(None));
    let expected = [
        format!("Sell = USDC ({token})"),
        format!("Buy = {thief}"),
        "Pool fee = 258 bp".to_owned(),
        "Nowhere = (none)".to_owned(),
        "At least = 0.000007 USDC".to_owned(),
        "Last = 8".to_owned(),
        "Later = 2".to_owned(),
        "Later = 3".to_owned(),
        format!("Last to = {token}"),
        // Everything else, and the bytes of which parts were shown, whole.
        format!("`params.path` = 0x{}", hex::encode(&packed)),
        format!("`params.recipient` = {stranger}"),
        format!("`parts.[0].to` = {stranger}"),
        "`parts.[0].amount` = 1".to_owned(),
        format!("`parts.[1].to` = {thief}"),
    ];
    let call = call_with(CONTRACT, 0, &input);
    assert_eq!(lines(shown(&call, &of(signature, &fields))), expected);
    // Every byte counts: padding, order and length are those of the canonical encoding.
    for at in [4 + 31, 4 + 64 + 31, input.len() - 32 * 6 - 1] {
        let mut changed = input.to_vec();
        changed[at] ^= 0x20;
        let found = shown(&call_with(CONTRACT, 0, &changed), &of(signature, &fields));
        assert_eq!(found, None, "byte {at}");
    }
}

/// A group shows its items one after the other, each whole.
#[test]
fn groups_stand_together() {
    let signature = "pay((address to,uint256 amount)[] orders,bool fast)";
    let order = |to, amount| Arg::Tuple(vec![account(to), number(amount)]);
    let orders = Arg::List(vec![order(STRANGER, 5), order(THIEF, 6)]);
    let call = call_with(
        CONTRACT,
        0,
        &calldata("pay((address,uint256)[],bool)", &[orders, number(1)]),
    );
    let fields = json!([
        { "path": "orders.[]", "label": "Order", "iteration": "sequential", "fields": [
            field("to", "To", "addressName", Json::Null),
            field("amount", "Amount", "tokenAmount", json!({ "token": TOKEN.to_checksum(None) })),
            field("#.fast", "Fast", "raw", Json::Null),
        ] },
    ]);
    let [stranger, thief] = [STRANGER, THIEF].map(|address| address.to_checksum(None));
    let expected = [
        "Fast = true".to_owned(),
        format!("To = {stranger}"),
        "Amount = 0.000005 USDC".to_owned(),
        format!("To = {thief}"),
        "Amount = 0.000006 USDC".to_owned(),
    ];
    assert_eq!(lines(shown(&call, &of(signature, &fields))), expected);
}

/// What the descriptor says in a value's place stands beside the value.
#[test]
fn the_descriptors_words_hide_no_value() {
    let token = TOKEN.to_checksum(None);
    let mut json = of(
        "f(uint256 a,uint256 b,uint8 mode,address c,uint256 item,uint256 wait,uint256 at,uint256 chain,bool sure)",
        &json!([
            { "path": "a", "$ref": "$.display.definitions.amount", "params": { "token": "$.metadata.constants.usdc" } },
            { "path": "b", "$ref": "$.display.definitions.amount", "label": "Native", "params": { "token": "0xEeeeeEeeeEeEeeEeEeEeeEEEeeeeEeeeeeeeEEeE" } },
            field("mode", "Mode", "enum", json!({ "$ref": "$.metadata.enums.modes" })),
            field("c", "For", "addressName", json!({ "types": ["eoa"], "sources": ["local", "ens"], "senderAddress": ["$.metadata.constants.me"] })),
            field("item", "Item", "nftName", json!({ "collectionPath": "c" })),
            field("wait", "Wait", "duration", Json::Null),
            field("at", "At", "date", json!({ "encoding": "blockheight" })),
            field("chain", "On", "chainId", Json::Null),
            { "path": "sure", "label": "Sure", "visible": { "mustBe": [true] } },
            { "value": "$.metadata.constants.note", "label": "Note" },
            field("@.from", "By", "addressName", Json::Null),
        ]),
    );
    json["metadata"]["constants"] =
        json!({ "usdc": token, "me": STRANGER.to_checksum(None), "note": "Thank you", "max": "0x10" });
    json["metadata"]["enums"] = json!({ "modes": { "1": "stable", "2": "variable" } });
    json["metadata"]["info"] = json!({ "url": "https://example.com" });
    json["display"]["definitions"] = json!({ "amount": {
        "label": "Amount",
        "format": "tokenAmount",
        "params": {
            "threshold": "$.metadata.constants.max",
            "message": "All",
            "nativeCurrencyAddress": ["0xEeeeeEeeeEeEeeEeEeEeeEEEeeeeEeeeeeeeEEeE"],
        },
    } });
    let types = "f(uint256,uint256,uint8,address,uint256,uint256,uint256,uint256,bool)";
    let numbers = |a, b, mode, wait, sure| {
        let args = [a, b, mode].map(number);
        let rest = [3, wait, 20_000_000, 10, sure].map(number);
        call_with(
            CONTRACT,
            0,
            &calldata(types, &[&args[..], &[account(STRANGER)], &rest].concat()),
        )
    };
    let stranger = STRANGER.to_checksum(None);
    let me = World::new().sender().account.address().to_checksum(None);
    let expected = [
        "Amount = 0.000016 USDC (\"All\")".to_owned(),
        "Native = 0.000000000000000001 ETH (0xEeeeeEeeeEeEeeEeEeEeeEEEeeeeEeeeeeeeEEeE stands for it)".to_owned(),
        "Mode = variable (2)".to_owned(),
        format!("For = {stranger} (stands for the sender)"),
        format!("Item = item 3 of {stranger}"),
        "Wait = 1d 01:01:01".to_owned(),
        "At = block 20000000".to_owned(),
        "On = chain 10".to_owned(),
        "Sure = true".to_owned(),
        "Note = \"Thank you\"".to_owned(),
        format!("By = {me} (wallet eth-hot)"),
    ];
    assert_eq!(lines(shown(&numbers(16, 1, 2, 90_061, 1), &json)), expected);
    let found = lines(shown(&numbers(15, 1, 3, u64::MAX, 0), &json));
    assert_eq!(found[0], "Amount = 0.000015 USDC");
    assert_eq!(found[2], "Mode = 3");
    assert_eq!(found[5], "Wait = 18446744073709551615 seconds");
    assert_eq!(found[8], "Sure = false (NOT what its descriptor expects)");
}

/// A call in a call, in the words of the descriptor of whom it calls; bytes that are none of its calls stay bytes.
#[test]
fn calls_in_calls() {
    let mut token = descriptor(
        "contract",
        TOKEN,
        json!({ "transfer(address to,uint256 value)": { "intent": { "Kind": "Send", "Token": "USDC" }, "fields": [
            field("value", "Amount", "tokenAmount", json!({ "tokenPath": "@.to" })),
            field("@.from", "From", "addressName", Json::Null),
        ] } }),
    );
    token["context"]["$id"] = "USDC".into();
    let execute = of(
        "execute((address to,uint256 value,bytes data)[] calls)",
        &json!([
            field(
                "calls.[].data",
                "Call",
                "calldata",
                json!({ "calleePath": "calls.[].to", "amountPath": "calls.[].value" })
            ),
            field(
                "calls.[].data",
                "Again",
                "calldata",
                json!({ "calleePath": "calls.[].to" })
            ),
        ]),
    );
    let inner = |to, value, data: &[u8]| Arg::Tuple(vec![account(to), number(value), blob(data)]);
    let transfer = transfer_input(STRANGER, 5_000_000);
    let calls = vec![
        inner(TOKEN, 1, &transfer),
        inner(TOKEN, 0, &transfer[..67]),
        inner(THIEF, 0, &transfer),
    ];
    let input = calldata("execute((address,uint256,bytes)[])", &[Arg::List(calls)]);
    let found = shown_in(
        &World::new(),
        &call_with(CONTRACT, 0, &input),
        &[read(&execute), read(&token)],
    )
    .unwrap();
    let found = flat(&found);
    let [contract, token, stranger] = [CONTRACT, TOKEN, STRANGER].map(|address| address.to_checksum(None));
    assert_eq!(
        found[0],
        format!("Call = Kind: Send, Token: USDC (Example), a call of {token}")
    );
    assert_eq!(found[1], "Call: Amount = 5 USDC");
    assert_eq!(found[2], format!("Call: From = {contract}"));
    assert_eq!(found[3], "Call: `@.value` = 0.000000000000000001 ETH");
    assert_eq!(found[4], format!("Call: `to` = {stranger}"));
    assert!(found[5].starts_with("Call = 0xa9059cbb"), "cut short: {}", found[5]);
    assert!(
        found[6].starts_with("Call = 0xa9059cbb"),
        "another contract: {}",
        found[6]
    );
    assert!(
        found[7..10].iter().all(|line| line.starts_with("Again = 0xa9059cbb")),
        "{found:#?}"
    );
}

/// A call that holds itself: the display ends.
#[test]
fn calls_in_calls_have_a_bottom() {
    let json = of(
        "f(address to,bytes data)",
        &json!([field("data", "In", "calldata", json!({ "calleePath": "to" }))]),
    );
    let mut input = calldata("f(address,bytes)", &[account(CONTRACT), blob([1, 2, 3, 4])]);
    for _ in 0..8 {
        input = calldata("f(address,bytes)", &[account(CONTRACT), blob(input.to_vec())]);
    }
    let found = lines(shown(&call_with(CONTRACT, 0, &input), &json));
    assert!(found[2].starts_with("In: In: In = Do (Example)"), "{found:#?}");
    assert!(found[3].starts_with("In: In: In: In = 0x"), "{found:#?}");
}

/// A message whose domain is another one's is not displayed in these words.
#[test]
fn a_domain_is_compared_whole() {
    let type_text = "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)";
    let fields = json!([field("value", "V", "raw", Json::Null)]);
    let json = descriptor(
        "eip712",
        TOKEN,
        json!({ type_text: { "intent": "Permit", "fields": fields } }),
    );
    let message = message_with("EIP-2612 permit", |_| ());
    let with = |member: &str, value: Json| {
        let mut json = json.clone();
        json["context"]["eip712"]["domain"] = json!({ member: value });
        shown(&message, &json).is_some()
    };
    let unsigned: Json = serde_json::from_slice(&message).unwrap();
    let domain = &unsigned["domain"];
    assert!(with("name", domain["name"].clone()));
    assert!(with("version", domain["version"].clone()));
    assert!(with("chainId", 1.into()));
    assert!(with("verifyingContract", TOKEN.to_string().to_lowercase().into()));
    assert!(!with("name", "Permit2".into()));
    assert!(!with("version", "9".into()));
    assert!(!with("chainId", 10.into()));
    assert!(!with("verifyingContract", CONTRACT.to_checksum(None).into()));
}

#[test]
fn one_change_of_a_published_shape_and_its_error() {
    let message = |key: &str, path: &str| {
        let fields = json!([field(path, "V", "raw", Json::Null)]);
        descriptor("eip712", TOKEN, json!({ key: { "intent": "Do", "fields": fields } }))
    };
    let call = |signature: &str, fields: Json| of(signature, &fields);
    let tuple = "f((address to,uint256[] amounts) order)";
    let one = |path: &str| json!([field(path, "x", "raw", Json::Null)]);
    let deep = (0..5).fold(one("order.to"), |inner, _| json!([{ "fields": inner }]));
    for (name, json, expected) in [
        ("a type that is not there", message("A(B b)", "b"), "formats.A(B b)` is"),
        ("a type that rests on itself", message("A(B b)B(A[] a)", "b.a"), ")` is"),
        ("a type twice", message("A(bool b)A(bool b)", "b"), ")` is"),
        ("a path past a value", message("A(B b)B(bool c)", "b.c.d"), ".path` is"),
        ("a whole struct", message("A(B b)B(bool c)", "b"), ".path` is"),
        (
            "a member that is not there",
            call(tuple, one("order.from")),
            ".path` is",
        ),
        ("items of no list", call(tuple, one("order.to.[]")), ".path` is"),
        ("a name in a list", call(tuple, one("order.amounts.first")), ".path` is"),
        (
            "an index with a sign",
            call(tuple, one("order.amounts.[+1]")),
            ".path` is",
        ),
        (
            "a range with a step",
            call(tuple, one("order.amounts.[0:2:1]")),
            ".path` is",
        ),
        (
            "a range in the middle",
            call(tuple, one("order.to.[0:2].x")),
            ".path` is",
        ),
        ("groups without end", call(tuple, deep), ".fields` is"),
        (
            "a group at nothing",
            call(tuple, json!([{ "path": "x", "fields": [] }])),
            ".path` is",
        ),
        (
            "a group within a value",
            call(tuple, json!([{ "path": "order.to.[0:4]", "fields": [] }])),
            ".path` is",
        ),
        (
            "words without a label",
            call(tuple, json!([{ "value": "x" }])),
            ".label` is",
        ),
        (
            "words and a path",
            call(tuple, json!([{ "value": "x", "path": "order.to", "label": "x" }])),
            ".path` is",
        ),
        (
            "words of two lines",
            call(tuple, json!([{ "value": "x\ny", "label": "x" }])),
            ".value` is",
        ),
        (
            "a constant that is not there",
            call(tuple, json!([{ "value": "$.metadata.constants.x", "label": "x" }])),
            ".value` is",
        ),
        (
            "an enumeration that is not there",
            call(
                tuple,
                json!([field("order.to", "x", "enum", json!({ "$ref": "$.metadata.enums.x" }))]),
            ),
            "params.$ref` is",
        ),
        (
            "a rule that is none",
            call(tuple, json!([{ "path": "order.to", "label": "x", "visible": "maybe" }])),
            ".visible` is",
        ),
        (
            "two rules",
            call(
                tuple,
                json!([{ "path": "order.to", "label": "x", "visible": { "mustBe": [1], "ifNotIn": [1] } }]),
            ),
            ".visible` is",
        ),
        (
            "an encrypted value",
            call(tuple, json!([{ "path": "order.to", "label": "x", "encryption": {} }])),
            "member `encryption`",
        ),
        (
            "a token on another chain",
            call(
                tuple,
                json!([field(
                    "order.amounts",
                    "x",
                    "tokenAmount",
                    json!({ "tokenPath": "order.to", "chainId": 10 })
                )]),
            ),
            "member `chainId`",
        ),
        (
            "a call of nobody",
            call(tuple, json!([field("order.to", "x", "calldata", json!({}))])),
            "params.calleePath` is",
        ),
        (
            "an amount that is an account",
            call(
                tuple,
                json!([field(
                    "order.to",
                    "x",
                    "calldata",
                    json!({ "calleePath": "order.to", "amountPath": "@.to" })
                )]),
            ),
            "params.amountPath` is",
        ),
    ] {
        let error = crate::Descriptor::read(json.to_string().as_bytes()).unwrap_err();
        assert!(error.to_string().contains(expected), "{name}: {error}");
    }
}

/// A type and a value of it, for `alloy-dyn-abi` to encode.
fn value() -> impl Strategy<Value = DynSolValue> {
    let leaf = prop_oneof![
        any::<[u8; 20]>().prop_map(|address| DynSolValue::Address(Address::from(address))),
        any::<[u8; 32]>().prop_map(|word| DynSolValue::Uint(U256::from_be_bytes(word), 256)),
        any::<i64>().prop_map(|number| DynSolValue::Int(I256::try_from(number).unwrap(), 64)),
        any::<bool>().prop_map(DynSolValue::Bool),
        prop::collection::vec(any::<u8>(), 0..70).prop_map(DynSolValue::Bytes),
        "[ -~]{0,40}".prop_map(DynSolValue::String),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let items = (inner.clone(), 1_usize..4);
        prop_oneof![
            prop::collection::vec(inner, 1..4).prop_map(DynSolValue::Tuple),
            items
                .clone()
                .prop_map(|(item, count)| DynSolValue::Array(vec![item; count])),
            items.prop_map(|(item, count)| DynSolValue::FixedArray(vec![item; count])),
        ]
    })
}

/// The type as a descriptor's key has it, its members named after their number.
fn named(kind: &DynSolType) -> String {
    match kind {
        DynSolType::Tuple(fields) => {
            let fields = fields.iter().enumerate();
            let fields: Vec<_> = fields.map(|(at, field)| format!("{} m{at}", named(field))).collect();
            format!("({})", fields.join(", "))
        }
        DynSolType::Array(item) => format!("{}[]", named(item)),
        DynSolType::FixedArray(item, count) => format!("{}[{count}]", named(item)),
        other => other.sol_type_name().into_owned(),
    }
}

/// The leaves' texts, as another reader of the same value would write them.
fn texts(value: &DynSolValue, found: &mut Vec<String>) {
    match value {
        DynSolValue::Tuple(parts) | DynSolValue::Array(parts) | DynSolValue::FixedArray(parts) => {
            parts.iter().for_each(|part| texts(part, found));
        }
        DynSolValue::Address(address) => found.push(address.to_checksum(None)),
        DynSolValue::Uint(number, _) => found.push(number.to_string()),
        DynSolValue::Int(number, _) => found.push(number.to_string()),
        DynSolValue::Bool(is) => found.push(is.to_string()),
        DynSolValue::Bytes(bytes) => found.push(format!("0x{}", hex::encode(bytes))),
        DynSolValue::String(text) => found.push(format!("\"{}\"", text.escape_default())),
        other => panic!("not generated: {other:?}"),
    }
}

proptest! {
    /// Whatever the types, arguments are read as `alloy-dyn-abi` wrote them, whole, and no byte behind them is.
    #[test]
    fn arguments_agree_with_another_encoder(values in prop::collection::vec(value(), 1..4)) {
        let tuple = DynSolValue::Tuple(values);
        let kind = tuple.as_type().unwrap();
        let inner = named(&kind);
        // A tuple of one has a comma in alloy's texts, which Solidity does not know.
        let types = format!("f{}", kind.sol_type_name()).replace(",)", ")");
        let input = [&keccak256(&types)[..4], &tuple.abi_encode_params()].concat();
        let json = of(&format!("f{inner}"), &json!([]));
        let mut expected = Vec::new();
        texts(&tuple, &mut expected);
        let cut = |text: &str| text.chars().take(200).collect::<String>();
        let found = shown(&call_with(CONTRACT, 0, &input), &json);
        let found: Vec<_> = found.unwrap_or_default().iter().map(|(_, text)| cut(text)).collect();
        prop_assert_eq!(found, expected.iter().map(|text| cut(text)).collect::<Vec<_>>(), "{}", types);
        let longer = [&input[..], &[0; 32]].concat();
        prop_assert_eq!(shown(&call_with(CONTRACT, 0, &longer), &json), None);
    }

    #[test]
    fn arbitrary_keys_never_panic(key in "[a-z]{0,2}[(][a-z0-9 ,()\\[\\]]{0,40}", path in "[a-z@#$.\\[\\]:0-9-]{0,20}") {
        for kind in ["contract", "eip712"] {
            let fields = json!([field(&path, "x", "raw", Json::Null)]);
            let json = descriptor(kind, CONTRACT, json!({ &key: { "intent": "Do", "fields": fields } }));
            drop(crate::Descriptor::read(json.to_string().as_bytes()));
        }
    }
}

/// What an allowance of everything looks like: the number has its own words, and they stand behind it.
#[test]
fn everything_is_everything() {
    let fields = json!([field(
        "a",
        "x",
        "tokenAmount",
        json!({ "token": TOKEN.to_checksum(None), "threshold": "0x8000000000000000000000000000000000000000000000000000000000000000" })
    )]);
    let call = call_with(CONTRACT, 0, &calldata("f(uint256)", &[most()]));
    let found = lines(shown(&call, &of("f(uint256 a)", &fields)));
    assert!(found[0].ends_with("USDC (everything) (\"unlimited\")"), "{found:?}");
}

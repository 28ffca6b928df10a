//! Addresses that begin and end like others. The poisoned ones are made up; only their ends matter.

use countersign_types::Destination;

use super::{Records, network};

const BITCOIN: &str = "bip122:000000000019d6689c085ae165831e93";
const SOLANA: &str = "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp";

fn resemble(one: &str, other: &str) -> bool {
    let mut records = Records::new();
    records.networks.extend([
        network(include_str!("../../bitcoin/networks/bitcoin.yaml")),
        network(include_str!("../../solana/networks/mainnet.yaml")),
    ]);
    let registry = records.registry().unwrap();
    let [one, other] = [one, other].map(|text| text.parse::<Destination>().unwrap());
    let forth = registry.resembles(&one, &other);
    assert_eq!(forth, registry.resembles(&other, &one), "{one} {other}");
    forth
}

#[test]
fn one_change_of_an_address_and_whether_it_still_looks_the_same() {
    let bech32 = format!("{BITCOIN}:bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4");
    let base58 = format!("{BITCOIN}:1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2");
    let solana = format!("{SOLANA}:7EcDhSYGxXyscszYEp35KHN8vvw3svAuLKTzXwCFLtV");
    let evm = "eip155:1:0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
    let table = [
        ("itself", evm.to_owned(), evm.to_owned(), false),
        (
            "itself on another network",
            evm.to_owned(),
            evm.replace("155:1:", "155:31337:"),
            false,
        ),
        (
            "another middle",
            evm.to_owned(),
            "eip155:1:0x7099FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF79C8".to_owned(),
            true,
        ),
        (
            "another middle, other case",
            evm.to_owned(),
            "eip155:1:0x7099ffffffffffffffffffffffffffffffff79c8".to_owned(),
            true,
        ),
        (
            "another middle, another network",
            evm.to_owned(),
            "eip155:31337:0x7099FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF79C8".to_owned(),
            true,
        ),
        (
            "three digits in front",
            evm.to_owned(),
            "eip155:1:0x7090797970C51812dc3A010C7d01b50e0d1779C8".to_owned(),
            false,
        ),
        (
            "three digits behind",
            evm.to_owned(),
            "eip155:1:0x70997970C51812dc3A010C7d01b50e0d17dc09C8".to_owned(),
            false,
        ),
        (
            "a network nobody knows",
            evm.to_owned(),
            "eip155:5:0x7099FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF79C8".to_owned(),
            false,
        ),
        (
            "bech32, another middle",
            bech32.clone(),
            format!("{BITCOIN}:bc1qw508zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzf3t4"),
            true,
        ),
        (
            "bech32, the constant part is not counted",
            bech32.clone(),
            format!("{BITCOIN}:bc1qw50zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzf3t4"),
            false,
        ),
        (
            "bech32, another version",
            bech32,
            format!("{BITCOIN}:bc1pw508zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzf3t4"),
            true,
        ),
        (
            "base58check, another middle",
            base58.clone(),
            format!("{BITCOIN}:1BvBMzzzzzzzzzzzzzzzzzzzzzzzzzzNVN2"),
            true,
        ),
        (
            "base58check, the version is not counted",
            base58,
            format!("{BITCOIN}:1BvBzzzzzzzzzzzzzzzzzzzzzzzzzzzNVN2"),
            false,
        ),
        (
            "Solana, another middle",
            solana.clone(),
            format!("{SOLANA}:7EcDzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzFLtV"),
            true,
        ),
        (
            "Solana, another case",
            solana.clone(),
            format!("{SOLANA}:7ECDzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzFLtV"),
            false,
        ),
        (
            "Solana, too short to have a middle",
            solana,
            format!("{SOLANA}:7EcDFLtV"),
            false,
        ),
        (
            "another family",
            format!("{SOLANA}:7099zzzzzzzzzzzzzzzz79C8"),
            "eip155:1:0x7099ffffffffffff79C8".to_owned(),
            false,
        ),
    ];
    for (what, one, other, expected) in table {
        assert_eq!(resemble(&one, &other), expected, "{what}: {one} {other}");
    }
}

//! What a whole parse costs beside the bare decode of the library that wallets use, in one run: `cargo xtask bench parsers`
//! (docs/benchmarks.md).
//!
//! Ours: bytes → effects with amounts and own change proven, conflict keys, signature hashes, and the text that people sign.
//! Theirs: bytes → the library's own structure, no more. Decoding and our parse take turns within each round, so that a
//! disturbance hits both, and medians are compared.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a benchmark measures time, prints, and fails by panicking"
)]

use std::{
    collections::BTreeSet,
    hint::black_box,
    time::{Duration, Instant},
};

use alloy_consensus::TxEip1559;
use countersign_chains::{
    Network, Registry,
    evm::{GasPrice, TransferDraft},
};
use countersign_types::{
    Amount, AssetRecord, AssetRegistry, ChainFacts, ChainId, Decimals, Effect, EffectsText, PublicKey, Tier, WalletId,
    WalletNetwork, WalletRecord, WalletRegistry,
};
use solana_message::VersionedMessage;

const ETHEREUM: &str = "eip155:1";
const BITCOIN: &str = "bip122:000000000019d6689c085ae165831e93";
const SOLANA: &str = "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp";
const USDC: &str = "eip155:1/erc20:0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48";
/// The key of the Solana messages among the vectors.
const SOLANA_KEY: &str = "ed25519:ee93a4f66f8d16b819bb9beb9ffccdfcdc1412e87fee6a324c2a99a1e0e67148";
/// Of private keys 1 and 0x46…46 (the payer of the PSBT among the vectors).
const EVM_KEY: &str = "secp256k1:0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
const BITCOIN_KEY: &str = "secp256k1:024bc2a31265153f07e70e0bab08724e6b85e217f8cd628ceb62974247bb493382";

const ROUNDS: usize = 31;
/// One round of one contender takes about this long, so that the clock's own cost is nothing.
const ROUND_TIME: Duration = Duration::from_millis(10);

/// One transaction, and the library's decode of it.
struct Case {
    name: &'static str,
    network: ChainId,
    wallet: WalletId,
    bytes: Vec<u8>,
    decode: fn(&[u8]),
}

fn main() {
    let registry = registry();
    println!("medians of {ROUNDS} rounds, ns a transaction; ratio = whole parse with text ÷ bare decode");
    println!(
        "{:<34} {:>6} {:>12} {:>12} {:>12} {:>7}",
        "", "bytes", "bare decode", "parse", "with text", "ratio"
    );
    for case in cases() {
        let [bare, parsed, shown] = measure(&case, &registry);
        println!(
            "{:<34} {:>6} {:>12.0} {:>12.0} {:>12.0} {:>7.2}",
            case.name,
            case.bytes.len(),
            bare,
            parsed,
            shown,
            shown / bare
        );
    }
}

/// Medians in nanoseconds: the bare decode, our parse, our parse and its text.
fn measure(case: &Case, registry: &Registry) -> [f64; 3] {
    let contenders: [&dyn Fn(); 3] = [
        &|| (case.decode)(black_box(&case.bytes)),
        &|| drop(black_box(case.parse(registry))),
        &|| drop(black_box(case.show(registry))),
    ];
    let repeats = contenders.map(repeats);
    let mut times = [(); 3].map(|()| Vec::with_capacity(ROUNDS));
    for _ in 0..ROUNDS {
        for ((contender, repeats), times) in contenders.iter().zip(repeats).zip(&mut times) {
            times.push(time(contender, repeats).as_secs_f64() * 1e9 / f64::from(repeats));
        }
    }
    times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        times.get(ROUNDS / 2).copied().unwrap_or_default()
    })
}

/// How often a contender runs in [`ROUND_TIME`].
fn repeats(contender: &dyn Fn()) -> u32 {
    let mut repeats = 1;
    while time(contender, repeats) < ROUND_TIME {
        repeats = repeats.saturating_mul(2);
    }
    repeats
}

fn time(contender: &dyn Fn(), repeats: u32) -> Duration {
    let start = Instant::now();
    (0..repeats).for_each(|_| contender());
    start.elapsed()
}

impl Case {
    fn parse(&self, registry: &Registry) -> countersign_types::ParsedTransaction {
        let parsed = registry.parse(&self.network, &self.wallet, &self.bytes, ChainFacts::none());
        parsed.unwrap_or_else(|error| unusable(self.name, &error))
    }

    fn show(&self, registry: &Registry) -> EffectsText {
        let parsed = self.parse(registry);
        let fee = parsed.effects().iter().find_map(|effect| match effect {
            Effect::Fee { asset, max } => Some((asset, *max)),
            Effect::Transfer { .. }
            | Effect::Internal { .. }
            | Effect::Allowance { .. }
            | Effect::AuthorityChange { .. }
            | Effect::CodeChange { .. }
            | Effect::DelayedAuthorization { .. }
            | Effect::ContractCall { .. }
            | Effect::Opaque { .. }
            | Effect::PersonalMessage { .. } => None,
        });
        EffectsText::render(
            parsed.network(),
            parsed.wallet(),
            parsed.effects(),
            fee.unwrap(),
            registry.assets(),
        )
        .unwrap()
    }
}

#[expect(clippy::panic, reason = "a benchmark of a refusal measures nothing")]
fn unusable<T>(name: &str, error: &dyn std::error::Error) -> T {
    panic!("{name}: {error}")
}

// --- the transactions ---

fn cases() -> Vec<Case> {
    let case = |name, network: &str, wallet: &str, bytes, decode| Case {
        name,
        network: network.parse().unwrap(),
        wallet: wallet.parse().unwrap(),
        bytes,
        decode,
    };
    vec![
        case(
            "EVM: transfer of ETH",
            ETHEREUM,
            "eth-hot",
            draft("eip155:1/slip44:60"),
            decode_evm,
        ),
        case("EVM: ERC-20 transfer", ETHEREUM, "eth-hot", draft(USDC), decode_evm),
        case(
            "Bitcoin: PSBT, 1 input, 2 outputs",
            BITCOIN,
            "btc-hot",
            psbt(),
            decode_psbt,
        ),
        case(
            "Solana: transfer of SOL",
            SOLANA,
            "sol-hot",
            message("transfer"),
            decode_message,
        ),
        case(
            "Solana: version 0 transfer",
            SOLANA,
            "sol-hot",
            message("version 0 transfer"),
            decode_message,
        ),
        case(
            "Solana: token transfer, new account",
            SOLANA,
            "sol-hot",
            message("token transfer with account creation"),
            decode_message,
        ),
    ]
}

fn draft(asset: &str) -> Vec<u8> {
    let draft = TransferDraft {
        asset: asset.parse().unwrap(),
        amount: Amount::from_base_units(1_500_000),
        destination: "eip155:1:0x70997970C51812dc3A010C7d01b50e0d17dc79C8".parse().unwrap(),
        nonce: 7,
        gas_limit: 100_000,
        price: GasPrice::Eip1559 {
            max_fee_per_gas: 30_000_000_000,
            max_priority_fee_per_gas: 1_000_000_000,
        },
    };
    draft.encode().unwrap()
}

fn psbt() -> Vec<u8> {
    unhex(include_str!("../bitcoin/vectors/payment.psbt.hex").trim())
}

fn message(name: &str) -> Vec<u8> {
    let vectors: serde_json::Value = serde_json::from_str(include_str!("../solana/vectors/messages.json")).unwrap();
    let found = vectors.as_array().unwrap().iter().find(|vector| vector["name"] == name);
    unhex(found.unwrap()["unsigned"].as_str().unwrap())
}

fn unhex(text: &str) -> Vec<u8> {
    hex::decode(text).unwrap()
}

// --- what the libraries do ---

/// What stands behind the type byte.
fn decode_evm(bytes: &[u8]) {
    let mut fields = bytes.get(1..).unwrap();
    black_box(<TxEip1559 as alloy_rlp::Decodable>::decode(&mut fields).unwrap());
}

fn decode_psbt(bytes: &[u8]) {
    black_box(bitcoin::Psbt::deserialize(bytes).unwrap());
}

fn decode_message(bytes: &[u8]) {
    black_box(wincode::deserialize::<VersionedMessage>(bytes).unwrap());
}

// --- the registry ---

fn registry() -> Registry {
    let network = |yaml: &str| serde_saphyr::from_str::<Network>(yaml).unwrap();
    let networks = vec![
        network(include_str!("../evm/networks/ethereum.yaml")),
        network(include_str!("../bitcoin/networks/bitcoin.yaml")),
        network(include_str!("../solana/networks/mainnet.yaml")),
    ];
    let wallets = [
        ("eth-hot", EVM_KEY, ETHEREUM),
        ("btc-hot", BITCOIN_KEY, BITCOIN),
        ("sol-hot", SOLANA_KEY, SOLANA),
    ];
    let wallets = WalletRegistry::new(wallets.map(|(id, key, network)| WalletRecord {
        id: id.parse().unwrap(),
        tier: Tier::Hot,
        keys: vec![key.parse::<PublicKey>().unwrap()],
        table: None,
        networks: [(network.parse().unwrap(), WalletNetwork::default())].into(),
    }));
    let usdc = AssetRecord {
        id: USDC.parse().unwrap(),
        symbol: "USDC".parse().unwrap(),
        decimals: Decimals::new(6).unwrap(),
        quirks: BTreeSet::new(),
    };
    Registry::new(networks, wallets.unwrap(), AssetRegistry::new([usdc]).unwrap()).unwrap()
}

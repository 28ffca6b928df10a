//! What a whole parse costs beside the bare decode of the library that wallets use, in one run: `cargo xtask bench parsers`
//! (docs/benchmarks.md).
//!
//! Ours: bytes → effects with amounts and own change proven, conflict keys, signature hashes, and the text that people sign.
//! Theirs: bytes → the library's own structure, no more; and beside it the same with what nobody who signs can leave out: the
//! digest of the bytes, what is signed, and the addresses as text with their checksums, each computed once by the same or the
//! library's own primitives. All take turns within each round, so that a disturbance hits all, and medians are compared.

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
use alloy_primitives::{Address, keccak256};
use bitcoin::{EcdsaSighashType, TxOut, sighash::SighashCache};
use countersign_chains::{
    Network, Registry,
    evm::{GasPrice, TransferDraft},
};
use countersign_types::{
    Amount, AssetRecord, AssetRegistry, ChainFacts, ChainId, Decimals, Effect, EffectsText, PublicKey, Tier, WalletId,
    WalletNetwork, WalletRecord, WalletRegistry,
};
use sha2::{Digest as _, Sha256};
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

const ROUNDS: usize = 501;
/// One round of one contender takes about this long: long enough that the clock's own cost is nothing, and shorter than a time
/// slice, so that on a busy machine most rounds are not interrupted and the median is one of those.
const ROUND_TIME: Duration = Duration::from_micros(250);

/// One transaction, and the library's decode of it.
struct Case {
    name: &'static str,
    network: ChainId,
    wallet: WalletId,
    bytes: Vec<u8>,
    decode: fn(&[u8]),
    /// The same, and the hashes and addresses that a signer needs.
    hash: fn(&[u8]),
}

fn main() {
    let registry = registry();
    println!(
        "medians of {ROUNDS} rounds, ns a transaction; a parse ÷ the bare decode, ÷ the decode with hashes, and with its text"
    );
    println!(
        "{:<34} {:>6} {:>8} {:>8} {:>8} {:>9} {:>6} {:>7} {:>6}",
        "", "bytes", "decode", "+hashes", "parse", "with text", "÷ bare", "÷ hash", "text"
    );
    for case in cases() {
        let [bare, hashed, parsed, shown] = measure(&case, &registry);
        println!(
            "{:<34} {:>6} {:>8.0} {:>8.0} {:>8.0} {:>9.0} {:>6.1} {:>7.2} {:>6.2}",
            case.name,
            case.bytes.len(),
            bare,
            hashed,
            parsed,
            shown,
            parsed / bare,
            parsed / hashed,
            shown / hashed
        );
    }
}

/// Medians in nanoseconds: the bare decode, the decode with hashes, our parse, our parse and its text.
fn measure(case: &Case, registry: &Registry) -> [f64; 4] {
    let contenders: [&dyn Fn(); 4] = [
        &|| (case.decode)(black_box(&case.bytes)),
        &|| (case.hash)(black_box(&case.bytes)),
        &|| drop(black_box(case.parse(registry))),
        &|| drop(black_box(case.show(registry))),
    ];
    let repeats = contenders.map(repeats);
    let mut times = [(); 4].map(|()| Vec::with_capacity(ROUNDS));
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
    let case = |name, (network, wallet): (&str, &str), bytes, (decode, hash)| Case {
        name,
        network: network.parse().unwrap(),
        wallet: wallet.parse().unwrap(),
        bytes,
        decode,
        hash,
    };
    let evm = (ETHEREUM, "eth-hot");
    let bitcoin = (BITCOIN, "btc-hot");
    let solana = (SOLANA, "sol-hot");
    let ether: Measured = (decode_evm, hash_ether);
    let token: Measured = (decode_evm, hash_token);
    let transfer: Measured = (decode_message, hash_message);
    vec![
        case("EVM: transfer of ETH", evm, draft("eip155:1/slip44:60"), ether),
        case("EVM: ERC-20 transfer", evm, draft(USDC), token),
        case(
            "Bitcoin: PSBT, 1 input, 2 outputs",
            bitcoin,
            psbt(),
            (decode_psbt, hash_psbt),
        ),
        case("Solana: transfer of SOL", solana, message("transfer"), transfer),
        case(
            "Solana: version 0 transfer",
            solana,
            message("version 0 transfer"),
            transfer,
        ),
        case(
            "Solana: token transfer, new account",
            solana,
            message("token transfer with account creation"),
            (decode_message, hash_token_message),
        ),
    ]
}

/// Decode alone, and with hashes.
type Measured = (fn(&[u8]), fn(&[u8]));

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
    black_box(eip1559(bytes));
}

fn eip1559(bytes: &[u8]) -> TxEip1559 {
    let mut fields = bytes.get(1..).unwrap();
    <TxEip1559 as alloy_rlp::Decodable>::decode(&mut fields).unwrap()
}

/// The digest, what is signed, and the recipient with its checksum.
fn hash_ether(bytes: &[u8]) {
    let tx = eip1559(bytes);
    hash_to(bytes, *tx.to.to().unwrap());
    black_box(tx);
}

/// The same for the recipient in the call's arguments.
fn hash_token(bytes: &[u8]) {
    let tx = eip1559(bytes);
    hash_to(bytes, Address::from_slice(tx.input.get(16..36).unwrap()));
    black_box(tx);
}

fn hash_to(bytes: &[u8], recipient: Address) {
    black_box((Sha256::digest(bytes), keccak256(bytes), recipient.to_checksum(None)));
}

fn decode_psbt(bytes: &[u8]) {
    black_box(bitcoin::Psbt::deserialize(bytes).unwrap());
}

/// The digest, the id of the previous transaction, what is signed, and the outputs' addresses.
fn hash_psbt(bytes: &[u8]) {
    let psbt = bitcoin::Psbt::deserialize(bytes).unwrap();
    let previous = psbt.inputs.first().unwrap().non_witness_utxo.as_ref().unwrap();
    let spent = previous.output.first().unwrap();
    let mut cache = SighashCache::new(&psbt.unsigned_tx);
    let signed = cache.p2wpkh_signature_hash(0, &spent.script_pubkey, spent.value, EcdsaSighashType::All);
    let address = |output: &TxOut| bitcoin::Address::from_script(&output.script_pubkey, bitcoin::Network::Bitcoin);
    let addresses = psbt
        .unsigned_tx
        .output
        .iter()
        .map(|output| address(output).unwrap().to_string());
    black_box((Sha256::digest(bytes), previous.compute_txid(), signed.unwrap()));
    black_box(addresses.collect::<Vec<_>>());
    black_box(psbt);
}

fn decode_message(bytes: &[u8]) {
    black_box(versioned(bytes));
}

fn versioned(bytes: &[u8]) -> VersionedMessage {
    wincode::deserialize(bytes).unwrap()
}

/// The digest and the recipient; what is signed are the bytes.
fn hash_message(bytes: &[u8]) {
    let message = versioned(bytes);
    let recipient = message.static_account_keys().get(1).unwrap().to_string();
    black_box((Sha256::digest(bytes), recipient));
    black_box(message);
}

/// The same, and the token accounts of recipient and sender, which follow from owner, program and mint.
fn hash_token_message(bytes: &[u8]) {
    hash_message(bytes);
    let message = versioned(bytes);
    let keys = message.static_account_keys();
    let key = |at: &u8| keys.get(usize::from(*at)).unwrap().as_array();
    // The first instruction opens the account: funder, account, owner, mint, System program, token program.
    let opening = message.instructions().first().unwrap();
    let [funder, _, owner, mint, _, tokens] = opening.accounts.as_slice() else {
        unusable("opening", &std::fmt::Error)
    };
    let seeds = |owner| [key(owner), key(tokens), key(mint), key(&opening.program_id_index)];
    black_box([owner, funder].map(|owner| derive(seeds(owner))));
}

/// A derived address: the first hash from the top that is no point of the curve.
fn derive([owner, tokens, mint, program]: [&[u8; 32]; 4]) -> [u8; 32] {
    let hash = |bump: u8| -> [u8; 32] {
        let seeds = Sha256::new()
            .chain_update(owner)
            .chain_update(tokens)
            .chain_update(mint);
        let program = seeds.chain_update([bump]).chain_update(program);
        program.chain_update("ProgramDerivedAddress").finalize().into()
    };
    let mut hashes = (0..=u8::MAX).rev().map(hash);
    let is_free = |hash: &[u8; 32]| ed25519_dalek::VerifyingKey::from_bytes(hash).is_err();
    hashes.find(is_free).unwrap()
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

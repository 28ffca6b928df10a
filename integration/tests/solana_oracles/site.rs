//! A machine with a wallet of ours, its tokens, a durable nonce and a lookup table; and the messages that solders builds.

use std::collections::BTreeMap;

use countersign_chains::ParseError;
use countersign_types::{
    AssetId, AssetRecord, ChainFacts, Decimals, Destination, LookupTable, NonceAccount, ParsedTransaction, PublicKey,
    RawSignature, SignedTransaction, SigningBytes,
};
use ed25519_dalek::{Signer as _, SigningKey};
use serde_json::{Value, json};

use crate::oracle::{Judge, PYTHON, World};

const NETWORK: &str = r#"{"solana": {
    "chain": "solana:localnet", "name": "Solana development", "native": {"symbol": "SOL", "slip44": 501}
}}"#;
const HOT: [u8; 32] = [7; 32];
pub(crate) const DECIMALS: u8 = 6;
pub(crate) const NONCE_VALUE: [u8; 32] = [0x5a; 32];
const ATTESTED_AT_HEIGHT: u64 = 9;

/// An account that nobody holds the key of, for all that the machine knows.
fn account(byte: u8) -> String {
    bs58::encode([byte; 32]).into_string()
}

/// The accounts of the machine beside the wallet's.
pub(crate) struct Accounts {
    pub(crate) stranger: String,
    /// Has a token account already.
    pub(crate) customer: String,
    pub(crate) mint: String,
    pub(crate) nonce: String,
    pub(crate) table: String,
}

pub(crate) struct Site {
    pub(crate) world: World,
    pub(crate) judge: Judge,
    pub(crate) accounts: Accounts,
    pub(crate) blockhash: String,
}

impl Site {
    pub(crate) fn start() -> Option<Self> {
        let python = PYTHON.find()?;
        let accounts = Accounts {
            stranger: account(0x11),
            customer: account(0x12),
            mint: account(0x13),
            nonce: account(0x14),
            table: account(0x15),
        };
        let mint = AssetRecord {
            id: format!("solana:localnet/token:{}", accounts.mint).parse().unwrap(),
            symbol: "USDC".parse().unwrap(),
            decimals: Decimals::new(DECIMALS).unwrap(),
            quirks: std::collections::BTreeSet::new(),
        };
        let public = PublicKey::Ed25519(SigningKey::from_bytes(&HOT).verifying_key().to_bytes());
        let world = World::new(NETWORK, &[&[public]], vec![mint]);
        let mut judge = Judge::start(&python, "solana_vm.py", &[]);
        let blockhash = open(&mut judge, &world.address(), &accounts);
        Some(Self {
            world,
            judge,
            accounts,
            blockhash,
        })
    }

    pub(crate) fn native(&self) -> AssetId {
        self.world.registry.fee_asset(&self.world.chain).unwrap()
    }

    pub(crate) fn token(&self) -> AssetId {
        format!("{}/token:{}", self.world.chain, self.accounts.mint)
            .parse()
            .unwrap()
    }

    pub(crate) fn destination(&self, address: &str) -> Destination {
        Destination::new(&self.world.chain, address).unwrap()
    }

    /// The message that solders makes of instructions; `version` is `"legacy"` or 0.
    pub(crate) fn build(&mut self, version: &Value, blockhash: &str, instructions: &Value) -> Vec<u8> {
        let answer = self.judge.ask(&json!({
            "do": "build",
            "version": version,
            "payer": self.world.address(),
            "blockhash": blockhash,
            "tables": [self.accounts.table],
            "instructions": instructions,
        }));
        assert_eq!(answer["error"], Value::Null);
        hex::decode(answer["message"].as_str().unwrap()).unwrap()
    }

    /// Table and nonce as observers would attest them.
    pub(crate) fn attest(&mut self) {
        let addresses = [&self.accounts.stranger, &self.accounts.mint, &self.accounts.customer].map(|text| bytes(text));
        let table = LookupTable {
            height: ATTESTED_AT_HEIGHT,
            addresses: addresses.to_vec(),
        };
        let nonce = NonceAccount {
            height: ATTESTED_AT_HEIGHT,
            authority: self.destination(&self.world.address()),
            value: NONCE_VALUE,
        };
        self.world.facts = ChainFacts {
            tables: BTreeMap::from([(self.destination(&self.accounts.table), table)]),
            nonces: BTreeMap::from([(self.destination(&self.accounts.nonce), nonce)]),
        };
    }

    /// Signs and assembles what was parsed; the message that is signed is the very message.
    pub(crate) fn sign(&self, message: &[u8], parsed: &ParsedTransaction) -> SignedTransaction {
        let [payload] = parsed.signing_payloads() else {
            panic!("one payload");
        };
        assert_eq!(*payload.bytes(), SigningBytes::Ed25519Message(message.to_vec()));
        let signature = RawSignature::Ed25519(signature(message));
        let signed = self.world.assemble(message, &[signature]).unwrap();
        assert_eq!(signed.bytes, transaction(message));
        signed
    }

    /// What the machine makes of a signed transaction, without consequences.
    pub(crate) fn attempt(&mut self, signed: &[u8]) -> Value {
        self.judge.ask(&json!({ "do": "try", "signed": hex::encode(signed) }))
    }

    pub(crate) fn send(&mut self, signed: &[u8]) -> Value {
        self.judge.ask(&json!({ "do": "send", "signed": hex::encode(signed) }))
    }
}

/// The accounts of a new machine. The lookup table has a stranger, the mint and a customer, in this order.
fn open(judge: &mut Judge, wallet: &str, accounts: &Accounts) -> String {
    let tokens =
        |owner: &str, amount: u64| json!({ "kind": "tokens", "mint": accounts.mint, "owner": owner, "amount": amount });
    let answer = judge.ask(&json!({ "do": "open", "accounts": [
        { "kind": "lamports", "address": wallet, "lamports": 50_000_000_000_u64 },
        { "kind": "lamports", "address": accounts.customer, "lamports": 1_000_000_000_u64 },
        { "kind": "mint", "address": accounts.mint, "decimals": DECIMALS },
        tokens(wallet, 1_000_000_000),
        tokens(&accounts.customer, 5),
        { "kind": "nonce", "address": accounts.nonce, "authority": wallet, "value": hex::encode(NONCE_VALUE) },
        {
            "kind": "table",
            "address": accounts.table,
            "addresses": [accounts.stranger, accounts.mint, accounts.customer],
        },
    ] }));
    assert_eq!(answer["error"], Value::Null);
    answer["blockhash"].as_str().unwrap().to_owned()
}

fn bytes(address: &str) -> [u8; 32] {
    bs58::decode(address).into_vec().unwrap().try_into().unwrap()
}

fn signature(message: &[u8]) -> [u8; 64] {
    SigningKey::from_bytes(&HOT).sign(message).to_bytes()
}

/// One signature and the message, whatever the message is.
pub(crate) fn transaction(message: &[u8]) -> Vec<u8> {
    [&[1][..], &signature(message), message].concat()
}

/// The name of the error, which is the reason of a disagreement.
pub(crate) fn reason(error: &ParseError) -> String {
    let text = match error {
        ParseError::Solana(error) => format!("{error:?}"),
        other => panic!("not of the Solana family: {other}"),
    };
    let end = text.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(text.len());
    text[..end].to_owned()
}

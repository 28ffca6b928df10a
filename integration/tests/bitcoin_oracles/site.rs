//! A wallet of three keys on Bitcoin, outputs that it spends in every form, and Bitcoin Core's interpreter.

use bitcoin::{
    Address, Amount as BitcoinAmount, CompressedPublicKey, Network, OutPoint, Script, ScriptBuf, Sequence, Transaction,
    TxIn, TxOut, Txid, Witness,
    absolute::LockTime,
    consensus::{deserialize, serialize},
    hashes::Hash as _,
    opcodes::all::OP_CHECKMULTISIG,
    script::Builder,
    secp256k1::{Keypair, Message, Secp256k1},
    transaction::Version,
};
use bitcoinconsensus::{Utxo, VERIFY_ALL_PRE_TAPROOT, VERIFY_TAPROOT};
use countersign_chains::ParseError;
use countersign_types::{
    Amount, Destination, Effect, OpaqueKind, ParsedTransaction, PublicKey, RawSignature, SignedTransaction,
    SigningBytes,
};

use crate::oracle::{World, public_key, sign_ecdsa};

/// The wallet that signs.
pub(crate) const HOT: [[u8; 32]; 3] = [[0x46; 32], [0x47; 32], [0x48; 32]];
/// Nobody's.
pub(crate) const STRANGER: [u8; 32] = [0x4a; 32];

/// Bitcoin, with bounds that Core's vectors stay under.
const NETWORK: &str = r#"{"bitcoin": {
    "chain": "bip122:000000000019d6689c085ae165831e93", "name": "Bitcoin", "native": {"symbol": "BTC", "slip44": 0},
    "addresses": {"bech32": "bc", "taproot": true, "p2pkh": 0, "p2sh": 5}, "max-money-sat": 2100000000000000,
    "dust-sat": 1, "max-fee-sat": 10000000, "max-fee-rate-sat-vb": 10000000, "max-fee-percent": 100
}}"#;

pub(crate) fn world() -> World {
    World::new(NETWORK, &[&HOT.map(|secret| public_key(&secret))], vec![])
}

/// A key as Bitcoin's scripts take it.
pub(crate) fn point(secret: &[u8; 32]) -> CompressedPublicKey {
    match public_key(secret) {
        PublicKey::Secp256k1(bytes) => CompressedPublicKey::from_slice(&bytes).unwrap(),
        other => panic!("{other}"),
    }
}

pub(crate) fn p2wpkh(secret: &[u8; 32]) -> ScriptBuf {
    ScriptBuf::new_p2wpkh(&point(secret).wpubkey_hash())
}

/// How an output of the wallet is spent.
#[derive(Debug, Clone)]
pub(crate) struct Form {
    pub(crate) name: &'static str,
    pub(crate) script: ScriptBuf,
    pub(crate) redeem_script: Option<ScriptBuf>,
    pub(crate) witness_script: Option<ScriptBuf>,
    pub(crate) is_taproot: bool,
}

/// All forms, each of the wallet's second key; the multisig takes two of its three.
pub(crate) fn forms() -> Vec<Form> {
    let key = point(&HOT[1]);
    let plain = |name, script| Form {
        name,
        script,
        redeem_script: None,
        witness_script: None,
        is_taproot: false,
    };
    let program = ScriptBuf::new_p2wpkh(&key.wpubkey_hash());
    let mut multisig = Builder::new().push_int(2);
    for secret in &HOT {
        multisig = multisig.push_slice(point(secret).to_bytes());
    }
    let multisig = multisig.push_int(3).push_opcode(OP_CHECKMULTISIG).into_script();
    vec![
        plain("p2pkh", ScriptBuf::new_p2pkh(&key.pubkey_hash())),
        Form {
            redeem_script: Some(program.clone()),
            ..plain("p2sh-p2wpkh", program.to_p2sh())
        },
        plain("p2wpkh", program),
        Form {
            witness_script: Some(multisig.clone()),
            ..plain("p2wsh 2 of 3", multisig.to_p2wsh())
        },
        Form {
            is_taproot: true,
            ..plain(
                "p2tr",
                ScriptBuf::from_bytes([&[0x51, 0x20], &key.to_bytes()[1..]].concat()),
            )
        },
    ]
}

pub(crate) fn output(sat: u64, script_pubkey: ScriptBuf) -> TxOut {
    TxOut {
        value: BitcoinAmount::from_sat(sat),
        script_pubkey,
    }
}

/// A transaction whose one output can be spent; `number` makes its id its own.
pub(crate) fn previous(number: u8, spent: TxOut) -> Transaction {
    Transaction {
        version: Version::TWO,
        lock_time: LockTime::ZERO,
        input: vec![TxIn {
            previous_output: OutPoint::new(Txid::from_byte_array([number; 32]), 7),
            sequence: Sequence::MAX,
            script_sig: ScriptBuf::new(),
            witness: Witness::new(),
        }],
        output: vec![spent],
    }
}

/// A PSBT of version 0 with a full previous transaction for every input.
pub(crate) fn psbt(tx: &Transaction, previous: &[Vec<u8>], witness_scripts: &[Option<ScriptBuf>]) -> Vec<u8> {
    let field = |kind: u8, value: &[u8]| [&[1, kind][..], &serialize(&value.to_vec())].concat();
    let mut bytes = [&b"psbt\xff"[..], &field(0, &serialize(tx)), &[0]].concat();
    for (index, previous) in previous.iter().enumerate() {
        bytes.extend(field(0, previous));
        if let Some(script) = witness_scripts.get(index).and_then(Option::as_ref) {
            bytes.extend(field(5, script.as_bytes()));
        }
        bytes.push(0);
    }
    bytes.extend(vec![0; tx.output.len()]);
    bytes
}

/// What an output that is not ours must be.
pub(crate) fn effect(world: &World, output: &TxOut) -> Effect {
    let address = Address::from_script(&output.script_pubkey, Network::Bitcoin);
    // A public key alone has no address.
    match address {
        Ok(address) => Effect::Transfer {
            asset: world.registry.fee_asset(&world.chain).unwrap(),
            amount: Amount::from_base_units(output.value.to_sat()),
            destination: Destination::new(&world.chain, &address.to_string()).unwrap(),
        },
        Err(_) => Effect::Opaque {
            what: OpaqueKind::Script,
            target: None,
            bytes: serialize(output),
        },
    }
}

pub(crate) fn fee(world: &World, sat: u64) -> Effect {
    Effect::Fee {
        asset: world.registry.fee_asset(&world.chain).unwrap(),
        max: Amount::from_base_units(sat),
    }
}

/// A signature for each payload, without randomness.
pub(crate) fn signatures(parsed: &ParsedTransaction) -> Vec<RawSignature> {
    let sign = |payload: &countersign_types::SigningPayload| {
        let secret = HOT
            .iter()
            .find(|secret| public_key(secret).id() == payload.key())
            .unwrap();
        match payload.bytes() {
            SigningBytes::EcdsaPrehash(digest) => sign_ecdsa(secret, digest),
            SigningBytes::SchnorrPrehash(digest) => {
                let secp = Secp256k1::new();
                let key = Keypair::from_seckey_slice(&secp, secret).unwrap();
                let signature = secp.sign_schnorr_no_aux_rand(&Message::from_digest(*digest), &key);
                RawSignature::Schnorr(signature.serialize())
            }
            other => panic!("{other:?}"),
        }
    };
    parsed.signing_payloads().iter().map(sign).collect()
}

/// Signs, assembles, and has every input verified by Core's interpreter.
pub(crate) fn sign(world: &World, unsigned: &[u8], spent: &[TxOut], name: &str) -> SignedTransaction {
    let parsed = world.parse(unsigned).unwrap_or_else(|error| panic!("{name}: {error}"));
    let signed = world.assemble(unsigned, &signatures(&parsed)).unwrap();
    verify(&signed.bytes, spent).unwrap_or_else(|error| panic!("{name}: {error:?}"));
    let tx: Transaction = deserialize(&signed.bytes).unwrap();
    assert_eq!(tx.compute_txid().to_string(), signed.txid, "{name}");
    signed
}

/// Spent outputs are always passed: without them taproot is not checked at all.
pub(crate) fn verify(signed: &[u8], spent: &[TxOut]) -> Result<(), bitcoinconsensus::Error> {
    let utxo = |output: &TxOut| Utxo {
        script_pubkey: output.script_pubkey.as_bytes().as_ptr(),
        script_pubkey_len: output.script_pubkey.len() as u32,
        value: output.value.to_sat() as i64,
    };
    let utxos: Vec<Utxo> = spent.iter().map(utxo).collect();
    let flags = VERIFY_ALL_PRE_TAPROOT | VERIFY_TAPROOT;
    for (index, output) in spent.iter().enumerate() {
        let (script, value) = (output.script_pubkey.as_bytes(), output.value.to_sat());
        bitcoinconsensus::verify_with_flags(script, value, signed, Some(&utxos), index, flags)?;
    }
    Ok(())
}

/// The name of the error, which is the reason of a disagreement.
pub(crate) fn reason(error: &ParseError) -> String {
    let text = match error {
        ParseError::Bitcoin(error) => format!("{error:?}"),
        other => panic!("not of the Bitcoin family: {other}"),
    };
    let text = text.strip_prefix("Psbt(").unwrap_or(&text);
    let end = text.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(text.len());
    text[..end].to_owned()
}

pub(crate) fn hex_of(script: &Script) -> String {
    hex::encode(script.as_bytes())
}

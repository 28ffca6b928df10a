//! A wallet of three keys on Bitcoin, a second own wallet, and a PSBT writer that also writes what is wrong.

use std::collections::{BTreeMap, BTreeSet};

use bitcoin::{
    Amount as BitcoinAmount, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Txid, Witness,
    absolute::LockTime,
    consensus::{deserialize, encode::deserialize_partial, serialize},
    hashes::Hash as _,
    opcodes::all::OP_CHECKMULTISIG,
    script::Builder,
    secp256k1::{Keypair, Message, Secp256k1, SecretKey},
    transaction::Version,
};
use countersign_types::{
    Amount, Destination, Effect, KeyId, ParsedTransaction, PublicKey, RawSignature, ScriptForm, SignedTransaction,
    SigningBytes, WalletId,
};
use serde::Deserialize;

use crate::{
    Account, AssembleError, BitcoinNetwork, Holdings, Known, ParseError, Sender, account::KeyScript, address::p2wsh,
    assemble, parse,
};

/// The wallet `btc-hot`.
pub(super) const HOT: [[u8; 32]; 3] = [[0x46; 32], [0x47; 32], [0x48; 32]];
/// The wallet `btc-warm`.
pub(super) const WARM: [u8; 32] = [0x49; 32];
/// Nobody's.
pub(super) const STRANGER: [u8; 32] = [0x4a; 32];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    bitcoin: BitcoinNetwork,
}

pub(super) fn network_of(yaml: &str) -> Result<BitcoinNetwork, String> {
    let file: Result<File, _> = serde_saphyr::from_str(yaml);
    file.map(|file| file.bitcoin).map_err(|error| error.to_string())
}

pub(super) fn mainnet() -> BitcoinNetwork {
    network_of(include_str!("../../networks/bitcoin.yaml")).unwrap()
}

pub(super) fn dogecoin() -> BitcoinNetwork {
    network_of(include_str!("../../networks/dogecoin.yaml")).unwrap()
}

pub(super) fn public_key(secret: &[u8; 32]) -> PublicKey {
    let secret = SecretKey::from_slice(secret).unwrap();
    PublicKey::Secp256k1(secret.public_key(&Secp256k1::new()).serialize())
}

/// The script of one key.
pub(super) fn script_of(form: KeyScript, secret: &[u8; 32]) -> ScriptBuf {
    let PublicKey::Secp256k1(bytes) = public_key(secret) else {
        panic!("a secp256k1 key");
    };
    let key = bitcoin::CompressedPublicKey::from_slice(&bytes).unwrap();
    match form {
        KeyScript::P2pkh => ScriptBuf::new_p2pkh(&key.pubkey_hash()),
        KeyScript::P2wpkh => ScriptBuf::new_p2wpkh(&key.wpubkey_hash()),
        KeyScript::P2shP2wpkh => ScriptBuf::new_p2wpkh(&key.wpubkey_hash()).to_p2sh(),
        KeyScript::P2tr => ScriptBuf::from_bytes([&[0x51, 0x20][..], &bytes[1..]].concat()),
    }
}

pub(super) fn p2wpkh_of(secret: &[u8; 32]) -> ScriptBuf {
    script_of(KeyScript::P2wpkh, secret)
}

/// `m <keys> n OP_CHECKMULTISIG`.
pub(super) fn multisig_of(required: i64, secrets: &[[u8; 32]]) -> ScriptBuf {
    let mut builder = Builder::new().push_int(required);
    for secret in secrets {
        let PublicKey::Secp256k1(bytes) = public_key(secret) else {
            panic!("a secp256k1 key");
        };
        builder = builder.push_slice(bytes);
    }
    builder
        .push_int(secrets.len() as i64)
        .push_opcode(OP_CHECKMULTISIG)
        .into_script()
}

pub(super) type Field = (Vec<u8>, Vec<u8>);

/// The maps of a PSBT, written as they stand: in any order, with anything in them.
#[derive(Debug, Clone, Default)]
pub(super) struct Maps {
    pub(super) global: Vec<Field>,
    pub(super) inputs: Vec<Vec<Field>>,
    pub(super) outputs: Vec<Vec<Field>>,
}

pub(super) fn compact(number: usize) -> Vec<u8> {
    serialize(&bitcoin::consensus::encode::VarInt(number as u64))
}

fn take(rest: &mut &[u8]) -> Vec<u8> {
    let (len, used): (bitcoin::consensus::encode::VarInt, usize) = deserialize_partial(rest).unwrap();
    let (taken, left) = rest[used..].split_at(len.0 as usize);
    *rest = left;
    taken.to_vec()
}

impl Maps {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = b"psbt\xff".to_vec();
        for map in std::iter::once(&self.global).chain(&self.inputs).chain(&self.outputs) {
            for (key, value) in map {
                bytes.extend([compact(key.len()), key.clone(), compact(value.len()), value.clone()].concat());
            }
            bytes.push(0);
        }
        bytes
    }

    /// The same PSBT in version 2: what the transaction says moves into the maps.
    pub(super) fn to_v2(&self) -> Self {
        let at = self.global.iter().position(|(key, _)| *key == [0x00]).unwrap();
        let mut maps = self.clone();
        let tx: Transaction = deserialize(&maps.global.remove(at).1).unwrap();
        let count = |number: usize| compact(number);
        for (kind, value) in [
            (0x02, tx.version.0.to_le_bytes().to_vec()),
            (0x03, tx.lock_time.to_consensus_u32().to_le_bytes().to_vec()),
            (0x04, count(tx.input.len())),
            (0x05, count(tx.output.len())),
            (0xfb, vec![2, 0, 0, 0]),
        ] {
            Self::set(&mut maps.global, &[kind], &value);
        }
        for (map, input) in maps.inputs.iter_mut().zip(&tx.input) {
            let OutPoint { txid, vout } = input.previous_output;
            Self::set(map, &[0x0e], txid.as_ref());
            Self::set(map, &[0x0f], &vout.to_le_bytes());
            Self::set(map, &[0x10], &input.sequence.to_consensus_u32().to_le_bytes());
        }
        for (map, output) in maps.outputs.iter_mut().zip(&tx.output) {
            Self::set(map, &[0x03], &output.value.to_sat().to_le_bytes());
            Self::set(map, &[0x04], output.script_pubkey.as_bytes());
        }
        maps
    }

    /// The maps of any PSBT of the given counts.
    pub(super) fn decode(bytes: &[u8], inputs: usize, outputs: usize) -> Self {
        let mut rest = &bytes[5..];
        let mut map = || {
            let mut map = vec![];
            loop {
                let key = take(&mut rest);
                if key.is_empty() {
                    return map;
                }
                map.push((key, take(&mut rest)));
            }
        };
        Self {
            global: map(),
            inputs: (0..inputs).map(|_| map()).collect(),
            outputs: (0..outputs).map(|_| map()).collect(),
        }
    }

    /// Sets a field in its place among ascending keys.
    pub(super) fn set(map: &mut Vec<Field>, key: &[u8], value: &[u8]) {
        map.retain(|(found, _)| found != key);
        map.push((key.to_vec(), value.to_vec()));
        map.sort();
    }
}

/// A payment to change before it is written.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    pub(super) tx: Transaction,
    /// The transactions whose outputs are spent, one for each input.
    pub(super) previous: Vec<Transaction>,
}

pub(super) fn output(sat: u64, script: ScriptBuf) -> TxOut {
    TxOut {
        value: BitcoinAmount::from_sat(sat),
        script_pubkey: script,
    }
}

/// A transaction with the output to spend at index 1.
pub(super) fn funding(seed: u8, sat: u64, script: ScriptBuf) -> Transaction {
    let input = TxIn {
        previous_output: OutPoint::new(Txid::from_byte_array([seed; 32]), 7),
        script_sig: Builder::new().push_slice([seed; 3]).into_script(),
        sequence: Sequence::MAX,
        witness: Witness::new(),
    };
    Transaction {
        version: Version::TWO,
        lock_time: LockTime::ZERO,
        input: vec![input],
        output: vec![output(5_000, p2wpkh_of(&STRANGER)), output(sat, script)],
    }
}

impl Draft {
    /// Spends 100 000 for each script.
    pub(super) fn spending(scripts: &[ScriptBuf], outputs: Vec<TxOut>) -> Self {
        let fund = |(seed, script): (usize, &ScriptBuf)| funding(seed as u8 + 1, 100_000, script.clone());
        let previous: Vec<Transaction> = scripts.iter().enumerate().map(fund).collect();
        let spend = |previous: &Transaction| TxIn {
            previous_output: OutPoint::new(previous.compute_txid(), 1),
            sequence: Sequence::ENABLE_RBF_NO_LOCKTIME,
            ..TxIn::default()
        };
        let tx = Transaction {
            version: Version::TWO,
            lock_time: LockTime::ZERO,
            input: previous.iter().map(spend).collect(),
            output: outputs,
        };
        Self { tx, previous }
    }

    /// 60 000 to a stranger, 39 000 back, 1 000 for the miners.
    pub(super) fn payment() -> Self {
        let outputs = vec![output(60_000, p2wpkh_of(&STRANGER)), output(39_000, p2wpkh_of(&HOT[0]))];
        Self::spending(&[p2wpkh_of(&HOT[0])], outputs)
    }

    pub(super) fn maps(&self) -> Maps {
        let previous = |tx: &Transaction| vec![(vec![0x00], serialize(tx))];
        Maps {
            global: vec![(vec![0x00], serialize(&self.tx))],
            inputs: self.previous.iter().map(previous).collect(),
            outputs: vec![vec![]; self.tx.output.len()],
        }
    }

    /// The maps with each input's spent output as `witness_utxo` and no previous transaction.
    pub(super) fn taproot_maps(&self) -> Maps {
        let claimed = |tx: &Transaction| vec![(vec![0x01], serialize(&tx.output[1]))];
        Maps {
            inputs: self.previous.iter().map(claimed).collect(),
            ..self.maps()
        }
    }
}

/// The bytes of the payment in PSBT version 2 with one change of its maps.
pub(super) fn payment_v2_with(change: impl FnOnce(&mut Maps)) -> Vec<u8> {
    let mut maps = Draft::payment().maps().to_v2();
    change(&mut maps);
    maps.encode()
}

/// The bytes of the payment with one change of its maps.
pub(super) fn payment_with(change: impl FnOnce(&mut Maps)) -> Vec<u8> {
    let mut maps = Draft::payment().maps();
    change(&mut maps);
    maps.encode()
}

/// Every form that a network has.
pub(super) fn all_forms(network: &BitcoinNetwork) -> BTreeSet<ScriptForm> {
    let all = ScriptForm::ALL.into_iter();
    all.filter(|form| match form {
        ScriptForm::P2pkh => true,
        ScriptForm::P2shP2wpkh | ScriptForm::P2wpkh | ScriptForm::P2wsh => network.has_segwit(),
        ScriptForm::P2tr => network.has_taproot(),
    })
    .collect()
}

/// The account of listed keys that uses every form.
pub(super) fn account(secrets: &[[u8; 32]], network: &BitcoinNetwork) -> Account {
    let keys: Vec<PublicKey> = secrets.iter().map(public_key).collect();
    let holdings = Holdings {
        keys: &keys,
        table: None,
        forms: Some(&all_forms(network)),
    };
    Account::derive(&holdings, network).unwrap()
}

/// What a bundle with one network would give a parser.
pub(super) struct World {
    pub(super) network: BitcoinNetwork,
    pub(super) wallet: WalletId,
    pub(super) account: Account,
    pub(super) own: BTreeMap<Destination, WalletId>,
    secrets: BTreeMap<KeyId, [u8; 32]>,
}

impl World {
    pub(super) fn new() -> Self {
        Self::on(mainnet(), &HOT)
    }

    pub(super) fn on(network: BitcoinNetwork, hot: &[[u8; 32]]) -> Self {
        let account = account(hot, &network);
        let warm = self::account(&[WARM], &network);
        let mut own = BTreeMap::new();
        for (account, id) in [(&account, "btc-hot"), (&warm, "btc-warm")] {
            let wallet: WalletId = id.parse().unwrap();
            own.extend(
                account
                    .destinations(&network)
                    .unwrap()
                    .into_iter()
                    .map(|at| (at, wallet.clone())),
            );
        }
        Self {
            secrets: hot.iter().map(|secret| (public_key(secret).id(), *secret)).collect(),
            wallet: "btc-hot".parse().unwrap(),
            network,
            account,
            own,
        }
    }

    pub(super) fn sender(&self) -> Sender<'_> {
        Sender {
            network: &self.network,
            wallet: &self.wallet,
            account: &self.account,
        }
    }

    pub(super) fn parse(&self, unsigned: &[u8]) -> Result<ParsedTransaction, ParseError> {
        let known = Known {
            own: &self.own,
            tables: &[],
        };
        parse(unsigned, &self.sender(), &known)
    }

    pub(super) fn assemble(
        &self,
        unsigned: &[u8],
        signatures: &[RawSignature],
    ) -> Result<SignedTransaction, AssembleError> {
        assemble(unsigned, &self.sender(), signatures)
    }

    /// Signs every payload with its key.
    pub(super) fn sign(&self, parsed: &ParsedTransaction) -> Vec<RawSignature> {
        let sign = |payload: &countersign_types::SigningPayload| sign(&self.secrets[&payload.key()], payload.bytes());
        parsed.signing_payloads().iter().map(sign).collect()
    }

    pub(super) fn address(&self, script: &ScriptBuf) -> Destination {
        crate::address::destination(&self.network, script).unwrap().unwrap()
    }

    pub(super) fn transfer(&self, sat: u64, script: &ScriptBuf) -> Effect {
        Effect::Transfer {
            asset: self.network.native().id.clone(),
            amount: Amount::from_base_units(sat),
            destination: self.address(script),
        }
    }

    pub(super) fn internal(&self, sat: u64, script: &ScriptBuf, wallet: &str, change: bool) -> Effect {
        Effect::Internal {
            asset: self.network.native().id.clone(),
            amount: Amount::from_base_units(sat),
            wallet: wallet.parse().unwrap(),
            destination: self.address(script),
            change,
        }
    }

    pub(super) fn fee(&self, sat: u64) -> Effect {
        Effect::Fee {
            asset: self.network.native().id.clone(),
            max: Amount::from_base_units(sat),
        }
    }
}

pub(super) fn sign(secret: &[u8; 32], bytes: &SigningBytes) -> RawSignature {
    let secp = Secp256k1::new();
    match bytes {
        SigningBytes::EcdsaPrehash(hash) => {
            let secret = SecretKey::from_slice(secret).unwrap();
            let signature = secp.sign_ecdsa(&Message::from_digest(*hash), &secret);
            RawSignature::Ecdsa(signature.serialize_compact())
        }
        SigningBytes::SchnorrPrehash(hash) => {
            let pair = Keypair::from_seckey_slice(&secp, secret).unwrap();
            let signature = secp.sign_schnorr_no_aux_rand(&Message::from_digest(*hash), &pair);
            RawSignature::Schnorr(signature.serialize())
        }
        SigningBytes::Ed25519Message(_) => panic!("no such payload on Bitcoin"),
    }
}

/// 2 of the wallet's three keys.
pub(super) fn two_of_three() -> (ScriptBuf, ScriptBuf) {
    let witness_script = multisig_of(2, &HOT);
    (p2wsh(&witness_script), witness_script)
}

/// The bytes of the payment with one change of its transaction or of those it spends.
pub(super) fn drafted(change: impl FnOnce(&mut Draft)) -> Vec<u8> {
    let mut draft = Draft::payment();
    change(&mut draft);
    draft.maps().encode()
}

/// The key of a field in which the first key's derivation is claimed for an input.
pub(super) fn claimed_key() -> Vec<u8> {
    [&[0x06], public_key(&HOT[0]).as_bytes()].concat()
}

/// What a byte is changed to: these bits of it, or with `COUNTERSIGN_EVERY_BYTE` set every other value (CONTRIBUTING.md).
#[expect(clippy::disallowed_methods, reason = "a test may be asked to go further")]
pub(super) fn other_values(byte: u8, flips: &[u8]) -> Vec<u8> {
    match std::env::var_os("COUNTERSIGN_EVERY_BYTE") {
        Some(_) => (0..=u8::MAX).filter(|value| *value != byte).collect(),
        None => flips.iter().map(|flip| byte ^ flip).collect(),
    }
}

//! A wallet's keys on Bitcoin networks, and every script that one of them spends alone.

use std::collections::{BTreeMap, BTreeSet};

use bitcoin::{
    CompressedPublicKey, Script, ScriptBuf, XOnlyPublicKey,
    key::TweakedPublicKey,
    opcodes::all::OP_CHECKMULTISIG,
    script::{Builder, Instruction},
};
use countersign_types::{Algorithm, Destination, KeyId, PublicKey};

use crate::{
    AddressError, BitcoinNetwork,
    address::{destination, p2wpkh},
};

/// The most keys of a multisig script: Bitcoin Core's standardness bound for P2SH, kept for P2WSH.
pub const MAX_MULTISIG_KEYS: usize = 15;

/// Why keys are not those of a wallet on a Bitcoin network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    /// No key at all.
    #[error("a wallet on a Bitcoin network needs at least one key")]
    NoKey,
    /// A key of another curve.
    #[error("a wallet on a Bitcoin network has secp256k1 keys, not {}", .0.as_str())]
    WrongCurve(Algorithm),
    /// The bytes are no point of the curve.
    #[error("key `{0}` is not a point of secp256k1")]
    NotAPoint(KeyId),
    /// The same key twice.
    #[error("key `{0}` is listed twice")]
    DuplicateKey(KeyId),
}

/// How one key alone spends an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum KeyScript {
    /// Pay to public key hash.
    P2pkh,
    /// P2WPKH inside P2SH (BIP 141).
    P2shP2wpkh,
    /// Pay to witness public key hash (BIP 141).
    P2wpkh,
    /// The taproot output key is the wallet's key itself (BIP 341, `rawtr()` of BIP 386's descriptors): no script path
    /// that is known, and no tweak that a token would have to compute.
    P2tr,
}

impl KeyScript {
    const ALL: [Self; 4] = [Self::P2pkh, Self::P2shP2wpkh, Self::P2wpkh, Self::P2tr];

    fn exists_on(self, network: &BitcoinNetwork) -> bool {
        match self {
            Self::P2pkh => true,
            Self::P2shP2wpkh | Self::P2wpkh => network.has_segwit(),
            Self::P2tr => network.has_taproot(),
        }
    }

    fn script(self, key: &CompressedPublicKey) -> ScriptBuf {
        match self {
            Self::P2pkh => ScriptBuf::new_p2pkh(&key.pubkey_hash()),
            Self::P2shP2wpkh => ScriptBuf::new_p2sh(&p2wpkh(key.wpubkey_hash()).script_hash()),
            Self::P2wpkh => p2wpkh(key.wpubkey_hash()),
            Self::P2tr => {
                let output_key = XOnlyPublicKey::from(*key);
                ScriptBuf::new_p2tr_tweaked(TweakedPublicKey::dangerous_assume_tweaked(output_key))
            }
        }
    }
}

/// A key of the wallet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OwnKey {
    pub(crate) id: KeyId,
    pub(crate) point: CompressedPublicKey,
}

/// What a script of the wallet is: change goes back to the form that was spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Form {
    /// One key alone.
    Key(KeyScript),
    /// `required` of `total` own keys in a witness script.
    Multisig {
        /// m.
        required: usize,
        /// n.
        total: usize,
    },
}

/// An m-of-n witness script of which the wallet holds every key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OwnMultisig {
    pub(crate) required: usize,
    /// In the script's order, in which `OP_CHECKMULTISIG` expects the signatures.
    pub(crate) keys: Vec<OwnKey>,
}

impl OwnMultisig {
    pub(crate) fn form(&self) -> Form {
        Form::Multisig {
            required: self.required,
            total: self.keys.len(),
        }
    }
}

/// The keys of one wallet on one Bitcoin network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// By encoding.
    keys: BTreeMap<[u8; 33], OwnKey>,
    scripts: BTreeMap<ScriptBuf, (KeyScript, OwnKey)>,
    /// The wallet's first key in the form that the network prefers.
    main: ScriptBuf,
}

impl Account {
    /// Checks the keys and derives the scripts of each.
    pub fn derive(keys: &[PublicKey], network: &BitcoinNetwork) -> Result<Self, AccountError> {
        let preferred = if network.has_segwit() {
            KeyScript::P2wpkh
        } else {
            KeyScript::P2pkh
        };
        let first = parse_key(keys.first().ok_or(AccountError::NoKey)?)?;
        let mut account = Self {
            keys: BTreeMap::new(),
            scripts: BTreeMap::new(),
            main: preferred.script(&first.point),
        };
        for key in keys {
            account.add(parse_key(key)?, network)?;
        }
        Ok(account)
    }

    fn add(&mut self, key: OwnKey, network: &BitcoinNetwork) -> Result<(), AccountError> {
        for form in KeyScript::ALL.into_iter().filter(|form| form.exists_on(network)) {
            // A key and its negation share their taproot script: which of them signs would be left open.
            if self.scripts.insert(form.script(&key.point), (form, key)).is_some() {
                return Err(AccountError::DuplicateKey(key.id));
            }
        }
        self.keys.insert(key.point.to_bytes(), key);
        Ok(())
    }

    /// The ids of the wallet's keys.
    pub fn keys(&self) -> impl Iterator<Item = KeyId> + '_ {
        self.keys.values().map(|key| key.id)
    }

    /// The address that the wallet shows: its first key, P2WPKH where the network has it and P2PKH elsewhere.
    pub fn destination(&self, network: &BitcoinNetwork) -> Result<Destination, AddressError> {
        destination(network, &self.main)?.ok_or_else(|| AddressError::UnknownProgram(self.main.to_hex_string()))
    }

    /// Every address that one of the wallet's keys spends from alone. Multisig addresses are not among them: which keys
    /// stand together is not in the bundle.
    pub fn destinations(&self, network: &BitcoinNetwork) -> Result<BTreeSet<Destination>, AddressError> {
        self.scripts
            .keys()
            .filter_map(|script| destination(network, script).transpose())
            .collect()
    }

    /// The key that spends a script alone, and how.
    pub(crate) fn owner(&self, script: &Script) -> Option<(KeyScript, OwnKey)> {
        self.scripts.get(script).copied()
    }

    /// Reads `m <key> … n OP_CHECKMULTISIG`; `None` unless every key is a different one of the wallet's.
    pub(crate) fn multisig(&self, script: &Script) -> Option<OwnMultisig> {
        let mut keys = Vec::new();
        let mut seen = BTreeSet::new();
        for instruction in script.instructions_minimal() {
            if let Instruction::PushBytes(push) = instruction.ok()? {
                let key: [u8; 33] = push.as_bytes().try_into().ok()?;
                keys.push(*self.keys.get(&key)?);
                seen.insert(key);
            }
        }
        let required = small_number(*script.as_bytes().first()?)?;
        let is_sound = seen.len() == keys.len() && required <= keys.len() && keys.len() <= MAX_MULTISIG_KEYS;
        let multisig = OwnMultisig { required, keys };
        // Whatever else stood between the keys, it is not in the script that is built anew.
        (is_sound && script == write_multisig(&multisig)?.as_script()).then_some(multisig)
    }
}

fn parse_key(key: &PublicKey) -> Result<OwnKey, AccountError> {
    let PublicKey::Secp256k1(bytes) = key else {
        return Err(AccountError::WrongCurve(key.algorithm()));
    };
    let point = CompressedPublicKey::from_slice(bytes).map_err(|_| AccountError::NotAPoint(key.id()))?;
    Ok(OwnKey { id: key.id(), point })
}

/// The number that `OP_1` to `OP_16` push.
fn small_number(opcode: u8) -> Option<usize> {
    let number = usize::from(opcode.checked_sub(0x50)?);
    (1..=16).contains(&number).then_some(number)
}

fn write_multisig(multisig: &OwnMultisig) -> Option<ScriptBuf> {
    let mut builder = Builder::new().push_int(multisig.required.try_into().ok()?);
    for key in &multisig.keys {
        builder = builder.push_slice(key.point.to_bytes());
    }
    let total = multisig.keys.len().try_into().ok()?;
    Some(builder.push_int(total).push_opcode(OP_CHECKMULTISIG).into_script())
}

//! A wallet's keys on Bitcoin networks, and every script that one of them spends alone.
//!
//! Listed keys are few and have their scripts in a map. Of the keys of a table, of which there may be millions, only
//! hashes are kept: 24 bytes for each key and kind of hash.

use std::collections::{BTreeMap, BTreeSet};

use bitcoin::{
    CompressedPublicKey, Script, ScriptBuf, XOnlyPublicKey,
    key::TweakedPublicKey,
    opcodes::all::OP_CHECKMULTISIG,
    script::{Builder, Instruction},
};
use countersign_types::{Algorithm, Destination, KeyId, KeyTable, PublicKey, Scheme, ScriptForm};

use crate::{
    AddressError, BitcoinNetwork,
    address::{destination, p2wpkh, parse_address},
    table::TableIndex,
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
    /// No form of output to use.
    #[error("`forms` names no form: a wallet that uses none has no address")]
    NoForm,
    /// A form that the network does not have.
    #[error("`{0}` is a form that the network does not have")]
    FormNotOnNetwork(ScriptForm),
}

/// What a wallet's record says of its keys and of the outputs that they use.
#[derive(Debug, Clone, Copy)]
pub struct Holdings<'a> {
    /// The listed keys.
    pub keys: &'a [PublicKey],
    /// More keys.
    pub table: Option<&'a KeyTable>,
    /// The forms of output that the wallet uses; by default all that the network has but taproot, which needs a backend
    /// with Schnorr signatures.
    pub forms: Option<&'a BTreeSet<ScriptForm>>,
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
    /// The first one that a wallet uses is what its address is in.
    const PREFERENCE: [Self; 4] = [Self::P2wpkh, Self::P2tr, Self::P2shP2wpkh, Self::P2pkh];

    pub(crate) fn form(self) -> ScriptForm {
        match self {
            Self::P2pkh => ScriptForm::P2pkh,
            Self::P2shP2wpkh => ScriptForm::P2shP2wpkh,
            Self::P2wpkh => ScriptForm::P2wpkh,
            Self::P2tr => ScriptForm::P2tr,
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
    forms: BTreeSet<ScriptForm>,
    /// The listed ones, by encoding.
    keys: BTreeMap<[u8; 33], OwnKey>,
    scripts: BTreeMap<ScriptBuf, (KeyScript, OwnKey)>,
    table: Option<TableIndex>,
    /// The wallet's first key in the form that it prefers; none with multisig outputs alone.
    main: Option<ScriptBuf>,
}

impl Account {
    /// Checks the keys and derives the scripts of each.
    pub fn derive(holdings: &Holdings<'_>, network: &BitcoinNetwork) -> Result<Self, AccountError> {
        let forms = forms(holdings, network)?;
        let first = parse_key(holdings.keys.first().ok_or(AccountError::NoKey)?)?;
        let preferred = KeyScript::PREFERENCE
            .into_iter()
            .find(|script| forms.contains(&script.form()));
        let table = holdings.table.map(|table| TableIndex::derive(table, &forms));
        let mut account = Self {
            forms,
            keys: BTreeMap::new(),
            scripts: BTreeMap::new(),
            table: table.transpose()?,
            main: preferred.map(|script| script.script(&first.point)),
        };
        for key in holdings.keys {
            account.add(parse_key(key)?)?;
        }
        Ok(account)
    }

    fn add(&mut self, key: OwnKey) -> Result<(), AccountError> {
        let used = |script: &KeyScript| self.forms.contains(&script.form());
        for script in KeyScript::PREFERENCE.into_iter().filter(used) {
            // A key and its negation share their taproot script: which of them signs would be left open.
            if self.scripts.insert(script.script(&key.point), (script, key)).is_some() {
                return Err(AccountError::DuplicateKey(key.id));
            }
        }
        match self.keys.insert(key.point.to_bytes(), key) {
            Some(twice) => Err(AccountError::DuplicateKey(twice.id)),
            None => Ok(()),
        }
    }

    /// What the key backend must offer for each listed key. The keys of a table are not asked for one by one: they are
    /// in the same backend, and one that it lacks fails when it should sign.
    pub fn required_schemes(&self) -> impl Iterator<Item = (KeyId, Scheme)> + '_ {
        let schemes: BTreeSet<Scheme> = self.forms.iter().map(|form| scheme(*form)).collect();
        let of_key = move |key: &OwnKey| schemes.clone().into_iter().zip(std::iter::repeat(key.id));
        self.keys.values().flat_map(of_key).map(|(scheme, key)| (key, scheme))
    }

    /// The address that the wallet shows: its first key, P2WPKH where it uses that. None with multisig outputs alone:
    /// which keys stand together is not in the bundle.
    pub fn destination(&self, network: &BitcoinNetwork) -> Result<Option<Destination>, AddressError> {
        let main = self.main.as_ref().map(|script| destination(network, script));
        Ok(main.transpose()?.flatten())
    }

    /// Every address that one of the listed keys spends from alone. Neither multisig addresses nor those of a table are
    /// among them: [`Self::owns`] knows the latter.
    pub fn destinations(&self, network: &BitcoinNetwork) -> Result<BTreeSet<Destination>, AddressError> {
        self.scripts
            .keys()
            .filter_map(|script| destination(network, script).transpose())
            .collect()
    }

    /// Whether an address of the network is one that a key of the wallet spends from alone.
    pub fn owns(&self, network: &BitcoinNetwork, at: &Destination) -> bool {
        at.chain() == network.chain()
            && parse_address(network, at.address()).is_ok_and(|script| self.owner(&script).is_some())
    }

    /// Whether there are keys beside the listed ones.
    pub fn has_table(&self) -> bool {
        self.table.is_some()
    }

    /// The key that spends a script alone, and how.
    pub(crate) fn owner(&self, script: &Script) -> Option<(KeyScript, OwnKey)> {
        let listed = self.scripts.get(script).copied();
        listed.or_else(|| self.table.as_ref()?.owner(script, &self.forms))
    }

    fn key(&self, encoded: &[u8; 33]) -> Option<OwnKey> {
        let listed = self.keys.get(encoded).copied();
        listed.or_else(|| self.table.as_ref()?.key(encoded))
    }

    /// Reads `m <key> … n OP_CHECKMULTISIG`; `None` unless every key is a different one of the wallet's.
    pub(crate) fn multisig(&self, script: &Script) -> Option<OwnMultisig> {
        if !self.forms.contains(&ScriptForm::P2wsh) {
            return None;
        }
        let mut keys = Vec::new();
        let mut seen = BTreeSet::new();
        for instruction in script.instructions_minimal() {
            if let Instruction::PushBytes(push) = instruction.ok()? {
                let key: [u8; 33] = push.as_bytes().try_into().ok()?;
                keys.push(self.key(&key)?);
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

/// The forms that the wallet uses, each of which the network has.
fn forms(holdings: &Holdings<'_>, network: &BitcoinNetwork) -> Result<BTreeSet<ScriptForm>, AccountError> {
    let exists = |form: &ScriptForm| match form {
        ScriptForm::P2pkh => true,
        ScriptForm::P2shP2wpkh | ScriptForm::P2wpkh | ScriptForm::P2wsh => network.has_segwit(),
        ScriptForm::P2tr => network.has_taproot(),
    };
    let Some(forms) = holdings.forms else {
        let all = ScriptForm::ALL.into_iter().filter(exists);
        return Ok(all.filter(|form| *form != ScriptForm::P2tr).collect());
    };
    if forms.is_empty() {
        return Err(AccountError::NoForm);
    }
    match forms.iter().find(|form| !exists(form)) {
        Some(form) => Err(AccountError::FormNotOnNetwork(*form)),
        None => Ok(forms.clone()),
    }
}

fn scheme(form: ScriptForm) -> Scheme {
    match form {
        ScriptForm::P2pkh | ScriptForm::P2shP2wpkh | ScriptForm::P2wpkh | ScriptForm::P2wsh => Scheme::Ecdsa,
        ScriptForm::P2tr => Scheme::Schnorr,
    }
}

pub(crate) fn parse_key(key: &PublicKey) -> Result<OwnKey, AccountError> {
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

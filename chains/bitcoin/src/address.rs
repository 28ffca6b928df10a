//! Addresses: base58check, bech32 (BIP 173) and bech32m (BIP 350), by a network's own parameters.
//!
//! An address and the output script that it stands for are one to one; the text is canonical (lower-case bech32).

use bitcoin::{
    PubkeyHash, Script, ScriptBuf, ScriptHash, WPubkeyHash, WScriptHash, WitnessProgram, WitnessVersion,
    XOnlyPublicKey, base58,
    bech32::{Fe32, segwit},
    hashes::Hash as _,
    secp256k1::Secp256k1,
    taproot::TapNodeHash,
};
use countersign_types::{Destination, DestinationError, Tag};

use crate::BitcoinNetwork;

/// Longer than any address; bounds the work before decoding (base58 takes quadratic time).
const MAX_ADDRESS_LEN: usize = 90;

/// Hashes that were written by hand so that nobody has a key to them, with what was paid there to be destroyed.
const BURNT_HASHES: [[u8; 20]; 3] = [
    // 1BitcoinEaterAddressDontSendf59kuE
    *b"\x75\x9d\x66\x77\x09\x1e\x97\x3b\x9e\x9d\x99\xf1\x9c\x68\xfb\xf4\x3e\x3f\x05\xf9",
    // 1CounterpartyXXXXXXXXXXXXXXXUWLpVr
    *b"\x81\x88\x95\xf3\xdc\x2c\x17\x86\x29\xd3\xd2\xd8\xfa\x3e\xc4\xa3\xf8\x17\x98\x21",
    // DDogepartyxxxxxxxxxxxxxxxxxxw1dfzr
    *b"\x5f\x0d\x49\xfe\xb9\x84\x2f\x4e\xf9\x58\xd1\xa2\xf6\x9a\x77\x6c\xe1\x7f\x28\x08",
];
/// BIP 341's point without a known discrete logarithm. As an output key it is spent by nobody.
const NO_KEY: [u8; 32] = *b"\x50\x92\x9b\x74\xc1\xa0\x49\x54\xb7\x8b\x4b\x60\x35\xe9\x7a\x5e\
    \x07\x8a\x5a\x0f\x28\xec\x96\xd5\x47\xbf\xee\x9a\xce\x80\x3a\xc0";

/// Why a text or a script is not an address of a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Neither base58check nor bech32 nor bech32m.
    #[error("`{0}` is no address: its checksum, its length or a character is wrong")]
    NotAnAddress(String),
    /// A valid address of another network.
    #[error("`{0}` is an address of another network")]
    WrongNetwork(String),
    /// A valid address in another spelling.
    #[error("the address is not in canonical form; write `{0}`")]
    NotCanonical(String),
    /// A witness program that no known rule lets anybody spend.
    #[error("`{0}` is for a witness version or program that this network does not define")]
    UnknownProgram(String),
    /// A hash of zeros, a known burn address, or a taproot key that is no point of the curve or that nobody has the secret of.
    #[error("nobody can spend from `{0}`")]
    Unspendable(String),
    /// The address cannot be written as CAIP-10.
    #[error(transparent)]
    Destination(#[from] DestinationError),
}

impl AddressError {
    /// The stable reason.
    pub fn tag(&self) -> Tag {
        match self {
            Self::NotAnAddress(_)
            | Self::WrongNetwork(_)
            | Self::NotCanonical(_)
            | Self::UnknownProgram(_)
            | Self::Unspendable(_)
            | Self::Destination(_) => Tag::TransactionBadDestination,
        }
    }
}

/// Parses an address in canonical form; refuses those nobody can spend from.
pub fn parse_destination(network: &BitcoinNetwork, address: &str) -> Result<Destination, AddressError> {
    let script = parse_address(network, address)?;
    let written = write_address(network, &script).ok_or_else(|| AddressError::UnknownProgram(quoted(address)))?;
    if written != address {
        return Err(AddressError::NotCanonical(written));
    }
    destination(network, &script)?.ok_or_else(|| AddressError::UnknownProgram(quoted(address)))
}

/// The destination that an output script stands for; `None` for scripts without an address.
pub(crate) fn destination(network: &BitcoinNetwork, script: &Script) -> Result<Option<Destination>, AddressError> {
    let Some(address) = write_address(network, script) else {
        return Ok(None);
    };
    certify_spendable(script, &address)?;
    Ok(Some(Destination::new(network.chain(), &address)?))
}

/// The output script behind an address.
pub(crate) fn parse_address(network: &BitcoinNetwork, address: &str) -> Result<ScriptBuf, AddressError> {
    if address.len() > MAX_ADDRESS_LEN {
        return Err(AddressError::NotAnAddress(quoted(address)));
    }
    match segwit::decode(address) {
        Ok((hrp, version, program)) => {
            if network.hrp() != Some(hrp) {
                return Err(AddressError::WrongNetwork(quoted(address)));
            }
            witness_script(version, &program).ok_or_else(|| AddressError::UnknownProgram(quoted(address)))
        }
        Err(_) => parse_base58(network, address),
    }
}

fn witness_script(version: Fe32, program: &[u8]) -> Option<ScriptBuf> {
    let version = WitnessVersion::try_from(version).ok()?;
    let program = WitnessProgram::new(version, program).ok()?;
    Some(ScriptBuf::new_witness_program(&program))
}

fn parse_base58(network: &BitcoinNetwork, address: &str) -> Result<ScriptBuf, AddressError> {
    let payload = base58::decode_check(address).map_err(|_| AddressError::NotAnAddress(quoted(address)))?;
    let hash = payload.split_first().and_then(|(version, hash)| {
        let hash: [u8; 20] = hash.try_into().ok()?;
        Some((*version, hash))
    });
    let (version, hash) = hash.ok_or_else(|| AddressError::NotAnAddress(quoted(address)))?;
    match network.versions() {
        (p2pkh, _) if version == p2pkh => Ok(ScriptBuf::new_p2pkh(&PubkeyHash::from_byte_array(hash))),
        (_, p2sh) if version == p2sh => Ok(ScriptBuf::new_p2sh(&ScriptHash::from_byte_array(hash))),
        _ => Err(AddressError::WrongNetwork(quoted(address))),
    }
}

/// The address of an output script of a kind that somebody can spend by a rule of this network.
fn write_address(network: &BitcoinNetwork, script: &Script) -> Option<String> {
    let (p2pkh, p2sh) = network.versions();
    let base58check = |version: u8| {
        let hash = program_of(script)?;
        Some(base58::encode_check(&[&[version], hash].concat()))
    };
    if script.is_p2pkh() {
        return base58check(p2pkh);
    }
    if script.is_p2sh() {
        return base58check(p2sh);
    }
    let version = match () {
        () if script.is_p2wpkh() || script.is_p2wsh() => segwit::VERSION_0,
        () if script.is_p2tr() && network.has_taproot() => segwit::VERSION_1,
        () => return None,
    };
    segwit::encode(network.hrp()?, version, program_of(script)?).ok()
}

/// The hash or key inside a script of a known form.
pub(crate) fn program_of(script: &Script) -> Option<&[u8]> {
    let at = match () {
        () if script.is_p2pkh() => 3..23,
        () if script.is_p2sh() => 2..22,
        () if script.is_p2wpkh() => 2..22,
        () if script.is_p2wsh() || script.is_p2tr() => 2..34,
        () => return None,
    };
    script.as_bytes().get(at)
}

fn certify_spendable(script: &Script, address: &str) -> Result<(), AddressError> {
    let is_burnt = |program: &[u8]| {
        let is_zero = program.iter().all(|byte| *byte == 0);
        is_zero || program == NO_KEY || BURNT_HASHES.iter().any(|hash| program == hash)
    };
    let is_key = |program: &[u8]| !script.is_p2tr() || XOnlyPublicKey::from_slice(program).is_ok();
    let program = program_of(script);
    program
        .is_some_and(|program| !is_burnt(program) && is_key(program))
        .then_some(())
        .ok_or_else(|| AddressError::Unspendable(address.to_owned()))
}

/// The script that pays a key's hash in its segregated witness (BIP 141).
pub(crate) fn p2wpkh(hash: WPubkeyHash) -> ScriptBuf {
    ScriptBuf::new_p2wpkh(&hash)
}

/// The script that pays a witness script's hash (BIP 141).
pub(crate) fn p2wsh(script: &Script) -> ScriptBuf {
    ScriptBuf::new_p2wsh(&WScriptHash::hash(script.as_bytes()))
}

/// The script that pays an internal key and the root of a tree of scripts (BIP 341; without a tree as BIP 86 asks).
pub(crate) fn p2tr(internal_key: XOnlyPublicKey, merkle_root: Option<TapNodeHash>) -> ScriptBuf {
    ScriptBuf::new_p2tr(&Secp256k1::verification_only(), internal_key, merkle_root)
}

/// User input in errors: short, printable.
fn quoted(text: &str) -> String {
    text.chars()
        .take(MAX_ADDRESS_LEN)
        .flat_map(char::escape_default)
        .collect()
}

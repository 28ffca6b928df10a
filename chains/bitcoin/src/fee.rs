//! The fee, and the network's bounds on it.

use bitcoin::{Transaction, TxOut, consensus::serialize};

use crate::{
    BitcoinNetwork, ParseError,
    account::KeyScript,
    network::FeeBounds,
    spend::{Spend, Unlock},
};

/// An ECDSA signature in DER with a low S, at its longest, and its hash type. One in two is a byte shorter.
const ECDSA_BYTES: u64 = 72;
/// A BIP 340 signature; its hash type, where one is written, is not counted.
const SCHNORR_BYTES: u64 = 64;
/// A compressed public key.
const KEY_BYTES: u64 = 33;
/// What a length or an opcode takes before each of these pushes.
const PUSH_BYTES: u64 = 1;
/// A P2WPKH script, pushed by the script signature of a P2SH-P2WPKH input.
const PROGRAM_BYTES: u64 = 22;
/// BIP 141: a byte outside the witness weighs four, and so does a virtual byte.
const WEIGHT_OF_BASE: u64 = 4;

/// Inputs minus outputs, within every bound of the network.
pub(crate) fn certify_fee(tx: &Transaction, spends: &[Spend], network: &BitcoinNetwork) -> Result<u64, ParseError> {
    let inputs = sum(spends.iter().map(|spend| &spend.spent), network)?;
    let outputs = sum(tx.output.iter(), network)?;
    let found = inputs
        .checked_sub(outputs)
        .ok_or(ParseError::OutputsOverInputs { inputs, outputs })?;
    let FeeBounds {
        max_sat,
        max_rate_sat_vb,
        max_percent,
    } = network.fees();
    if found > max_sat {
        return Err(ParseError::FeeTooHigh { found, max: max_sat });
    }
    let vbytes = signed_vbytes(tx, spends).ok_or(ParseError::AmountOverflow)?;
    if found > max_rate_sat_vb.saturating_mul(vbytes) {
        let max = max_rate_sat_vb;
        return Err(ParseError::FeeRateTooHigh { found, vbytes, max });
    }
    let is_over = u128::from(found).saturating_mul(100) > u128::from(inputs).saturating_mul(u128::from(max_percent));
    match is_over {
        true => Err(ParseError::FeeShareTooHigh {
            found,
            inputs,
            max: max_percent,
        }),
        false => Ok(found),
    }
}

/// Nodes hold every output, every spent output and both sums against the network's maximum.
fn sum<'a>(mut outputs: impl Iterator<Item = &'a TxOut>, network: &BitcoinNetwork) -> Result<u64, ParseError> {
    let max = network.max_money_sat();
    let within = |found: u64| match found <= max {
        true => Ok(found),
        false => Err(ParseError::OverMaxMoney { found, max }),
    };
    outputs.try_fold(0_u64, |sum, output| {
        let found = within(output.value.to_sat())?;
        within(sum.checked_add(found).ok_or(ParseError::AmountOverflow)?)
    })
}

/// The virtual size of the signed transaction with signatures of the greatest length.
pub(crate) fn signed_vbytes(tx: &Transaction, spends: &[Spend]) -> Option<u64> {
    // Unsigned: no input has a witness yet.
    let mut base = u64::try_from(tx.base_size()).ok()?;
    let mut witness = 0_u64;
    for spend in spends {
        let size = Size::of(&spend.unlock)?;
        base = base.checked_add(size.script_sig)?;
        witness = witness.checked_add(size.witness)?;
    }
    if witness > 0 {
        // Marker and flag, and the number of elements of each input.
        let counts = u64::try_from(spends.len()).ok()?;
        witness = witness.checked_add(counts)?.checked_add(2)?;
    }
    let weight = base.checked_mul(WEIGHT_OF_BASE)?.checked_add(witness)?;
    Some(weight.div_ceil(WEIGHT_OF_BASE))
}

/// What unlocking an input adds: bytes of its script signature (whose length is in the unsigned transaction already), and
/// of its witness without the number of elements.
struct Size {
    script_sig: u64,
    witness: u64,
}

impl Size {
    fn of(unlock: &Unlock) -> Option<Self> {
        const ONE_KEY: u64 = PUSH_BYTES + ECDSA_BYTES + PUSH_BYTES + KEY_BYTES;
        let (script_sig, witness) = match unlock {
            Unlock::Taproot { .. } => (0, PUSH_BYTES + SCHNORR_BYTES),
            Unlock::Key { script, .. } => match script {
                KeyScript::P2pkh => (ONE_KEY, 0),
                KeyScript::P2wpkh => (0, ONE_KEY),
                KeyScript::P2shP2wpkh => (PUSH_BYTES + PROGRAM_BYTES, ONE_KEY),
                KeyScript::P2tr => return None,
            },
            Unlock::Multisig { script, own } => {
                let signatures = u64::try_from(own.required).ok()?;
                let signatures = signatures.checked_mul(PUSH_BYTES + ECDSA_BYTES)?;
                // The empty element first, the script with its length last.
                let shown = u64::try_from(serialize(script).len()).ok()?;
                (0, signatures.checked_add(PUSH_BYTES)?.checked_add(shown)?)
            }
        };
        Some(Self { script_sig, witness })
    }
}

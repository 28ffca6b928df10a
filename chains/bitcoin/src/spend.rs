//! Inputs: what each of them spends, proven, and which of the wallet's keys sign for it.

use bitcoin::{EcdsaSighashType, OutPoint, ScriptBuf, TapSighashType, TxIn, TxOut};

use crate::{
    BitcoinNetwork, ParseError, Sender,
    account::{Form, KeyScript, OwnKey, OwnMultisig},
    address::{destination, p2tr, p2wpkh, p2wsh},
    psbt::{InputFields, Psbt},
};

/// An input of the transaction.
#[derive(Debug, Clone)]
pub(crate) struct Spend {
    pub(crate) outpoint: OutPoint,
    pub(crate) spent: TxOut,
    pub(crate) unlock: Unlock,
}

/// What satisfies the spent output's script.
#[derive(Debug, Clone)]
pub(crate) enum Unlock {
    /// One ECDSA signature; `script` is never `P2tr`.
    Key { script: KeyScript, key: OwnKey },
    /// One Schnorr signature.
    Taproot { key: OwnKey, sighash: TapSighashType },
    /// An ECDSA signature of each of the first m keys.
    Multisig { script: ScriptBuf, own: OwnMultisig },
}

impl Spend {
    pub(crate) fn form(&self) -> Form {
        match &self.unlock {
            Unlock::Key { script, .. } => Form::Key(*script),
            Unlock::Taproot { .. } => Form::Key(KeyScript::P2tr),
            Unlock::Multisig { own, .. } => own.form(),
        }
    }
}

/// Proves every spent output and finds who signs. Only BIP 341 signatures commit to the amounts and scripts of all
/// inputs; a BIP 143 signature commits to its own amount alone, so that two sessions that lie about one input each
/// make one transaction with a fee that neither showed. So amounts are taken on trust (`witness_utxo`) only when every
/// input is taproot.
pub(crate) fn prove_spends(psbt: &Psbt<'_>, sender: &Sender<'_>) -> Result<Vec<Spend>, ParseError> {
    let mut spends = Vec::with_capacity(psbt.inputs.len());
    for (index, (input, fields)) in psbt.tx.input.iter().zip(&psbt.inputs).enumerate() {
        let spent = spent_output(index, input, fields)?;
        let unlock = unlock(index, &spent, fields, sender)?;
        let outpoint = input.previous_output;
        spends.push(Spend {
            outpoint,
            spent,
            unlock,
        });
    }
    let is_taproot = |spend: &Spend| matches!(spend.unlock, Unlock::Taproot { .. });
    let unproven = psbt.inputs.iter().position(|fields| fields.previous.is_none());
    match unproven {
        Some(input) if !spends.iter().all(is_taproot) => Err(ParseError::MissingPrevious { input }),
        Some(_) | None => Ok(spends),
    }
}

fn spent_output(index: usize, input: &TxIn, fields: &InputFields<'_>) -> Result<TxOut, ParseError> {
    let Some(previous) = &fields.previous else {
        let claimed = fields.witness_utxo.clone();
        return claimed.ok_or(ParseError::MissingPrevious { input: index });
    };
    let outpoint = input.previous_output;
    if previous.compute_txid() != outpoint.txid {
        return Err(ParseError::WrongPrevious { input: index });
    }
    let output = usize::try_from(outpoint.vout)
        .ok()
        .and_then(|at| previous.output.get(at));
    let proven = output.ok_or(ParseError::WrongPrevious { input: index })?;
    match &fields.witness_utxo {
        Some(claimed) if claimed != proven => Err(ParseError::FalseUtxo { input: index }),
        Some(_) | None => Ok(proven.clone()),
    }
}

fn unlock(index: usize, spent: &TxOut, fields: &InputFields<'_>, sender: &Sender<'_>) -> Result<Unlock, ParseError> {
    let script = &spent.script_pubkey;
    certify_taproot(index, spent, fields)?;
    if let Some((form, key)) = sender.account.owner(script) {
        certify_scripts(index, form, key, fields)?;
        if form == KeyScript::P2tr {
            let sighash = taproot_sighash(index, fields)?;
            return Ok(Unlock::Taproot { key, sighash });
        }
        certify_ecdsa_sighash(index, fields)?;
        return Ok(Unlock::Key { script: form, key });
    }
    let own = own_multisig(index, spent, fields, sender)?;
    certify_ecdsa_sighash(index, fields)?;
    Ok(own)
}

/// Scripts that are shown must be the ones that the output commits to; where there are none, none may be shown.
fn certify_scripts(index: usize, form: KeyScript, key: OwnKey, fields: &InputFields<'_>) -> Result<(), ParseError> {
    let is_true = match (form, fields.redeem_script) {
        (_, None) => true,
        (KeyScript::P2shP2wpkh, Some(shown)) => *shown == *p2wpkh(key.point.wpubkey_hash()),
        (KeyScript::P2pkh | KeyScript::P2wpkh | KeyScript::P2tr, Some(_)) => false,
    };
    match is_true && fields.witness_script.is_none() {
        true => Ok(()),
        false => Err(ParseError::FalseScript { input: index }),
    }
}

/// An internal key and a tree's root that are shown must make the output key (BIP 341). A root alone proves nothing.
fn certify_taproot(index: usize, spent: &TxOut, fields: &InputFields<'_>) -> Result<(), ParseError> {
    let claim = &fields.taproot;
    let is_true = match claim.internal_key {
        Some(internal_key) => spent.script_pubkey == p2tr(internal_key, claim.merkle_root),
        None => claim.merkle_root.is_none(),
    };
    match is_true {
        true => Ok(()),
        false => Err(ParseError::FalseScript { input: index }),
    }
}

fn own_multisig(
    index: usize,
    spent: &TxOut,
    fields: &InputFields<'_>,
    sender: &Sender<'_>,
) -> Result<Unlock, ParseError> {
    let foreign = || ParseError::ForeignInput { input: index };
    let is_p2wsh = spent.script_pubkey.is_p2wsh() && has_address(sender.network, spent)?;
    let shown = fields.witness_script.filter(|_| is_p2wsh).ok_or_else(foreign)?;
    if p2wsh(shown) != spent.script_pubkey || fields.redeem_script.is_some() {
        return Err(ParseError::FalseScript { input: index });
    }
    let own = sender.account.multisig(shown).ok_or_else(foreign)?;
    let script = shown.to_owned();
    Ok(Unlock::Multisig { script, own })
}

fn has_address(network: &BitcoinNetwork, output: &TxOut) -> Result<bool, ParseError> {
    Ok(destination(network, &output.script_pubkey)?.is_some())
}

/// Anything but ALL leaves parts of the transaction for others to fill in.
fn certify_ecdsa_sighash(index: usize, fields: &InputFields<'_>) -> Result<(), ParseError> {
    match fields.sighash_type {
        None => Ok(()),
        Some(found) if found == EcdsaSighashType::All.to_u32() => Ok(()),
        Some(found) => Err(ParseError::SighashType { input: index, found }),
    }
}

fn taproot_sighash(index: usize, fields: &InputFields<'_>) -> Result<TapSighashType, ParseError> {
    match fields.sighash_type {
        None | Some(0) => Ok(TapSighashType::Default),
        Some(1) => Ok(TapSighashType::All),
        Some(found) => Err(ParseError::SighashType { input: index, found }),
    }
}

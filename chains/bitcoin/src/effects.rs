//! What a transaction does: every output, every field that is not known, and the fee last.

use std::collections::BTreeMap;

use bitcoin::{Script, TxOut, consensus::serialize};
use countersign_types::{
    Amount, AssetId, Destination, Effect, MAX_EFFECTS, OpaqueKind, ParsedTransactionError, WalletId,
};

use crate::{
    Account, BitcoinNetwork, ParseError, Sender,
    account::Form,
    address::{destination, p2tr, p2wsh},
    fee::certify_fee,
    psbt::{OutputFields, Place, Psbt, Unknown},
    spend::Spend,
};

/// What a parser may know of the bundle beside the sender.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// The addresses of all own wallets, derived from their listed public keys.
    pub own: &'a BTreeMap<Destination, WalletId>,
    /// The accounts with key tables on the network, the sender's among them or not.
    pub tables: &'a [(&'a WalletId, &'a Account)],
}

impl<'a> Known<'a> {
    /// The own wallet of which a key spends the output alone.
    fn wallet(&self, script: &Script, destination: &Destination) -> Option<&'a WalletId> {
        let of_table = || self.tables.iter().find(|(_, account)| account.owner(script).is_some());
        let listed = self.own.get(destination);
        listed.or_else(|| of_table().map(|(wallet, _)| *wallet))
    }
}

/// Why a registered asset is none of a Bitcoin network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not its network's native asset; a Bitcoin network has no other")]
pub struct AssetError(pub AssetId);

/// Accepts the network's native asset alone: what is written into outputs beside amounts (inscriptions, tokens) is not
/// seen by this family.
pub fn certify_asset(network: &BitcoinNetwork, asset: &AssetId) -> Result<(), AssetError> {
    match *asset == network.native().id {
        true => Ok(()),
        false => Err(AssetError(asset.clone())),
    }
}

pub(crate) fn derive_effects(
    psbt: &Psbt<'_>,
    spends: &[Spend],
    sender: &Sender<'_>,
    known: &Known<'_>,
) -> Result<Vec<Effect>, ParseError> {
    let scene = Scene {
        sender,
        known,
        spent_form: common_form(spends),
    };
    // A megabyte of empty fields is hundreds of thousands of effects: they are counted before they are made.
    let count = psbt.outputs.len().saturating_add(psbt.unknown.len()).saturating_add(1);
    if count > MAX_EFFECTS {
        return Err(ParsedTransactionError::TooManyEffects(count).into());
    }
    let mut effects = Vec::with_capacity(count);
    for (index, (output, fields)) in psbt.tx.output.iter().zip(&psbt.outputs).enumerate() {
        effects.push(scene.output(index, output, fields)?);
    }
    for field in &psbt.unknown {
        effects.push(opaque_field(field)?);
    }
    effects.push(Effect::Fee {
        asset: sender.network.native().id.clone(),
        max: Amount::from_base_units(certify_fee(&psbt.tx, spends, sender.network)?),
    });
    Ok(effects)
}

/// The one form of everything that is spent; without one, nothing is change.
fn common_form(spends: &[Spend]) -> Option<Form> {
    let (first, rest) = spends.split_first()?;
    let form = first.form();
    rest.iter().all(|spend| spend.form() == form).then_some(form)
}

struct Scene<'a> {
    sender: &'a Sender<'a>,
    known: &'a Known<'a>,
    spent_form: Option<Form>,
}

impl Scene<'_> {
    fn output(&self, index: usize, output: &TxOut, fields: &OutputFields<'_>) -> Result<Effect, ParseError> {
        certify_scripts(index, output, fields)?;
        let network = self.sender.network;
        let Some(destination) = destination(network, &output.script_pubkey)? else {
            return opaque_output(index, output);
        };
        let found = output.value.to_sat();
        if found < network.dust_sat() {
            return Err(ParseError::Dust { output: index, found });
        }
        let asset = network.native().id.clone();
        let amount = Amount::from_base_units(found);
        let own_form = self.own_form(output, fields);
        let wallet = match own_form {
            Some(_) => Some(self.sender.wallet),
            None => self.known.wallet(&output.script_pubkey, &destination),
        };
        Ok(match wallet {
            Some(wallet) => Effect::Internal {
                asset,
                amount,
                wallet: wallet.clone(),
                destination,
                change: own_form.is_some() && own_form == self.spent_form,
            },
            None => Effect::Transfer {
                asset,
                amount,
                destination,
            },
        })
    }

    /// The form of an output that this very wallet spends, by its keys and not by what the PSBT claims of them.
    fn own_form(&self, output: &TxOut, fields: &OutputFields<'_>) -> Option<Form> {
        let account = self.sender.account;
        if let Some((script, _)) = account.owner(&output.script_pubkey) {
            return Some(Form::Key(script));
        }
        // That the witness script is the output's own was certified before.
        Some(account.multisig(fields.witness_script?)?.form())
    }
}

/// Scripts, or a taproot internal key, that are shown for an output must be those that it commits to.
fn certify_scripts(index: usize, output: &TxOut, fields: &OutputFields<'_>) -> Result<(), ParseError> {
    let script = &output.script_pubkey;
    let is_redeem = fields.redeem_script.is_none_or(|shown| shown.to_p2sh() == *script);
    let is_witness = fields.witness_script.is_none_or(|shown| p2wsh(shown) == *script);
    let is_internal = fields.internal_key.is_none_or(|shown| p2tr(shown, None) == *script);
    match is_redeem && is_witness && is_internal {
        true => Ok(()),
        false => Err(ParseError::FalseOutputScript { output: index }),
    }
}

/// An output without an address: OP_RETURN, bare keys and multisig, unknown witness versions. An opaque effect has no asset
/// that a limit could count, and of a long script the text for approvers has the hash alone: so no coins may be in it.
fn opaque_output(index: usize, output: &TxOut) -> Result<Effect, ParseError> {
    let found = output.value.to_sat();
    if found > 0 {
        return Err(ParseError::CoinsWithoutAddress { output: index, found });
    }
    Ok(Effect::Opaque {
        what: OpaqueKind::Script,
        target: None,
        bytes: serialize(output),
    })
}

/// Where the field stands (a byte for the kind of map, four big-endian bytes for its index), the length of its key in
/// eight bytes, the key and the value: two fields never have the same bytes.
fn opaque_field(field: &Unknown<'_>) -> Result<Effect, ParseError> {
    let (map, index) = match field.place {
        Place::Global => (0, 0),
        Place::Input(index) => (1, index),
        Place::Output(index) => (2, index),
    };
    let index = u32::try_from(index).map_err(|_| ParseError::AmountOverflow)?;
    let key_len = u64::try_from(field.key.len()).map_err(|_| ParseError::AmountOverflow)?;
    let place = [&[map][..], &index.to_be_bytes(), &key_len.to_be_bytes()].concat();
    Ok(Effect::Opaque {
        what: OpaqueKind::PsbtField,
        target: None,
        bytes: [&place[..], field.key, field.value].concat(),
    })
}

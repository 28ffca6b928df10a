//! What each key signs: legacy, BIP 143 and BIP 341 signature hashes over everything.

use bitcoin::{
    EcdsaSighashType, Transaction, TxOut,
    hashes::Hash as _,
    sighash::{Prevouts, SighashCache},
};
use countersign_types::SigningBytes;

use crate::{
    ParseError,
    account::{KeyScript, OwnKey},
    address::p2wpkh,
    spend::{Spend, Unlock},
};

/// One digest, and the key that signs it.
#[derive(Debug, Clone)]
pub(crate) struct Digest {
    pub(crate) key: OwnKey,
    pub(crate) bytes: SigningBytes,
}

/// The digests of each input, in the order of the inputs and, within a multisig, of its keys.
pub(crate) fn digests(tx: &Transaction, spends: &[Spend]) -> Result<Vec<Vec<Digest>>, ParseError> {
    let mut hasher = Hasher {
        cache: SighashCache::new(tx),
        spent: spends.iter().map(|spend| &spend.spent).collect(),
    };
    let of_input = |(index, spend)| hasher.input(index, spend).ok_or(ParseError::NoSighash { input: index });
    spends.iter().enumerate().map(of_input).collect()
}

struct Hasher<'a> {
    cache: SighashCache<&'a Transaction>,
    spent: Vec<&'a TxOut>,
}

impl Hasher<'_> {
    /// `None` is for indices outside the transaction, which do not come up.
    fn input(&mut self, index: usize, spend: &Spend) -> Option<Vec<Digest>> {
        const ALL: EcdsaSighashType = EcdsaSighashType::All;
        let value = spend.spent.value;
        match &spend.unlock {
            Unlock::Taproot { key, sighash } => {
                let spent = Prevouts::All(&self.spent);
                let hash = self.cache.taproot_key_spend_signature_hash(index, &spent, *sighash);
                let bytes = SigningBytes::SchnorrPrehash(hash.ok()?.to_byte_array());
                Some(vec![Digest { key: *key, bytes }])
            }
            Unlock::Multisig { script, own } => {
                let hash = self.cache.p2wsh_signature_hash(index, script, value, ALL).ok()?;
                let signers = own.keys.iter().take(own.required);
                Some(signers.map(|key| ecdsa(*key, hash.to_byte_array())).collect())
            }
            Unlock::Key { script, key } => {
                let hash = match script {
                    KeyScript::P2pkh => {
                        let script = &spend.spent.script_pubkey;
                        let hash = self.cache.legacy_signature_hash(index, script, ALL.to_u32());
                        hash.ok()?.to_byte_array()
                    }
                    KeyScript::P2wpkh | KeyScript::P2shP2wpkh => {
                        let program = p2wpkh(key.point.wpubkey_hash());
                        let hash = self.cache.p2wpkh_signature_hash(index, &program, value, ALL);
                        hash.ok()?.to_byte_array()
                    }
                    KeyScript::P2tr => return None,
                };
                Some(vec![ecdsa(*key, hash)])
            }
        }
    }
}

fn ecdsa(key: OwnKey, hash: [u8; 32]) -> Digest {
    Digest {
        key,
        bytes: SigningBytes::EcdsaPrehash(hash),
    }
}

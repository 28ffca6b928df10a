//! The wallets of an activated bundle: their keys, and where and how these sign.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
};

use serde::{Deserialize, Serialize};

use crate::{ChainId, KeyId, KeyTable, PublicKey, RegistryError, WalletId};

/// How far a wallet is from the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// Pays customers.
    Hot,
    /// Refills hot wallets.
    Warm,
    /// Pays own wallets only.
    Cold,
}

/// A form of output script that a wallet of a Bitcoin network may use. What it does not use is not its own: an output in
/// such a form is a payment to a stranger, whoever has the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ScriptForm {
    /// One key, pay to public key hash.
    P2pkh,
    /// One key, P2WPKH inside P2SH (BIP 141).
    P2shP2wpkh,
    /// One key, pay to witness public key hash (BIP 141).
    P2wpkh,
    /// m of n keys of the wallet in a witness script (BIP 141).
    P2wsh,
    /// One key, taproot by key path (BIP 341). It needs a key backend with Schnorr signatures.
    P2tr,
}

/// A word that names no form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no form of output: use `p2pkh`, `p2sh-p2wpkh`, `p2wpkh`, `p2wsh` or `p2tr`")]
pub struct UnknownForm(String);

impl ScriptForm {
    /// Every form.
    pub const ALL: [Self; 5] = [Self::P2pkh, Self::P2shP2wpkh, Self::P2wpkh, Self::P2wsh, Self::P2tr];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::P2pkh => "p2pkh",
            Self::P2shP2wpkh => "p2sh-p2wpkh",
            Self::P2wpkh => "p2wpkh",
            Self::P2wsh => "p2wsh",
            Self::P2tr => "p2tr",
        }
    }
}

impl fmt::Display for ScriptForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
impl FromStr for ScriptForm {
    type Err = UnknownForm;
    fn from_str(text: &str) -> Result<Self, UnknownForm> {
        let found = Self::ALL.into_iter().find(|form| form.as_str() == text);
        found.ok_or_else(|| UnknownForm(text.chars().take(64).flat_map(char::escape_default).collect()))
    }
}

/// What a wallet is on one network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WalletNetwork {
    /// The first account nonce that is ours to use (0 for a fresh account; families without account nonces ignore it).
    pub first_nonce: u64,
    /// The forms of output that it uses; none where the family's default is meant, or has no forms.
    pub forms: Option<BTreeSet<ScriptForm>>,
    /// From when on what it spends leaves windows as time passes.
    pub ages_from: AgesFrom,
}

/// From when on a charge ages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AgesFrom {
    /// From when observers attest what became of it: limits bound what leaves.
    #[default]
    Mined,
    /// From its signature, where no observers are: limits bound what is signed.
    Signature,
}

/// A wallet of the bundle: it pins its public keys and its networks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WalletRecord {
    /// The identity.
    pub id: WalletId,
    /// Its tier.
    pub tier: Tier,
    /// The keys that the key backend must hold when the bundle loads; never shared with another wallet.
    pub keys: Vec<PublicKey>,
    /// More keys, too many to ask the backend for. One that it lacks fails when it should sign.
    pub table: Option<KeyTable>,
    /// The networks it may sign for.
    pub networks: BTreeMap<ChainId, WalletNetwork>,
}

/// All wallets of a bundle.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WalletRegistry {
    by_id: BTreeMap<WalletId, WalletRecord>,
    owners: BTreeMap<PublicKey, WalletId>,
    /// The listed keys by their ids.
    listed: BTreeMap<KeyId, PublicKey>,
}

impl WalletRegistry {
    /// Checks that ids are unique, that no key is shared, and that no wallet is empty.
    pub fn new(records: impl IntoIterator<Item = WalletRecord>) -> Result<Self, RegistryError> {
        let mut registry = Self::default();
        for record in records {
            if record.keys.is_empty() || record.networks.is_empty() {
                return Err(RegistryError::EmptyWallet(record.id));
            }
            for key in &record.keys {
                registry.listed.insert(key.id(), *key);
                if let Some(first) = registry.owners.insert(*key, record.id.clone()) {
                    return Err(RegistryError::SharedKey {
                        key: key.id(),
                        first,
                        second: record.id,
                    });
                }
            }
            if let Some(twice) = registry.by_id.insert(record.id.clone(), record) {
                return Err(RegistryError::DuplicateWallet(twice.id));
            }
        }
        registry.certify_tables()?;
        Ok(registry)
    }

    /// Where there are tables, no x coordinate is there twice in the whole bundle: whoever holds the secret of a key
    /// holds that of its negation.
    fn certify_tables(&self) -> Result<(), RegistryError> {
        let tables: Vec<_> = self.tables().collect();
        if tables.is_empty() {
            return Ok(());
        }
        let of_tables = tables
            .iter()
            .flat_map(|(id, table)| table.keys().iter().map(move |key| (key, *id)));
        let listed = self.owners.iter().filter_map(|(key, id)| match key {
            PublicKey::Secp256k1(key) => Some((key, id)),
            PublicKey::Ed25519(_) => None,
        });
        let x_of = |[_, x @ ..]: &'_ [u8; 33]| *x;
        let mut all: Vec<(&[u8; 33], &WalletId)> = of_tables.chain(listed).collect();
        all.sort_unstable_by_key(|(key, _)| x_of(key));
        let twice = all
            .array_windows()
            .find(|[(first, _), (second, _)]| x_of(first) == x_of(second));
        match twice {
            None => Ok(()),
            Some([(_, first), (key, second)]) => Err(shared(PublicKey::Secp256k1(**key).id(), first, second)),
        }
    }

    fn tables(&self) -> impl Iterator<Item = (&WalletId, &KeyTable)> {
        self.by_id
            .values()
            .filter_map(|record| Some((&record.id, record.table.as_ref()?)))
    }

    /// The public key with an id, of whatever wallet: what signatures are verified under.
    pub fn key(&self, id: &KeyId) -> Option<PublicKey> {
        let listed = self.listed.get(id).copied();
        listed.or_else(|| self.tables().find_map(|(_, table)| table.key(id)))
    }

    /// The record of a wallet, if the bundle has it.
    pub fn wallet(&self, id: &WalletId) -> Option<&WalletRecord> {
        self.by_id.get(id)
    }

    /// The wallet that a key belongs to.
    pub fn owner(&self, key: &PublicKey) -> Option<&WalletId> {
        let of_table = || self.tables().find(|(_, table)| table.contains(key));
        self.owners.get(key).or_else(|| of_table().map(|(wallet, _)| wallet))
    }

    /// Every record, in order of id.
    pub fn iter(&self) -> impl Iterator<Item = &WalletRecord> {
        self.by_id.values()
    }
}

fn shared(key: KeyId, first: &WalletId, second: &WalletId) -> RegistryError {
    if first == second {
        return RegistryError::RepeatedKey {
            key,
            wallet: first.clone(),
        };
    }
    RegistryError::SharedKey {
        key,
        first: first.clone(),
        second: second.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wallet(id: &str, key: u8) -> WalletRecord {
        WalletRecord {
            id: id.parse().unwrap(),
            tier: Tier::Hot,
            keys: vec![PublicKey::Ed25519([key; 32])],
            table: None,
            networks: BTreeMap::from([("eip155:1".parse().unwrap(), WalletNetwork::default())]),
        }
    }

    #[test]
    fn a_key_belongs_to_one_wallet() {
        assert!(WalletRegistry::new([wallet("a", 1), wallet("b", 2)]).is_ok());
        let shared = WalletRegistry::new([wallet("a", 1), wallet("b", 1)]);
        assert!(matches!(shared, Err(RegistryError::SharedKey { .. })));
        let twice = WalletRegistry::new([wallet("a", 1), wallet("a", 2)]);
        assert_eq!(twice, Err(RegistryError::DuplicateWallet("a".parse().unwrap())));
    }

    #[test]
    fn a_wallet_without_keys_is_refused() {
        let empty = WalletRecord {
            keys: vec![],
            ..wallet("a", 1)
        };
        assert_eq!(
            WalletRegistry::new([empty]),
            Err(RegistryError::EmptyWallet("a".parse().unwrap()))
        );
    }

    fn record(prefix: u8, x: u8) -> [u8; 33] {
        let mut key = [x; 33];
        key[0] = prefix;
        key
    }

    fn with_table(id: &str, key: u8, table: &[[u8; 33]]) -> WalletRecord {
        WalletRecord {
            keys: vec![PublicKey::Secp256k1(record(2, key))],
            table: Some(KeyTable::parse("keys/hot.keys", table.as_flattened()).unwrap()),
            ..wallet(id, 0)
        }
    }

    #[test]
    fn table_keys_belong_to_one_wallet() {
        let table = [record(2, 5), record(3, 6)];
        let (a, b) = (with_table("a", 1, &table), with_table("b", 2, &[record(2, 7)]));
        let registry = WalletRegistry::new([a.clone(), b, wallet("c", 3)]).unwrap();
        let (own, negated) = (PublicKey::Secp256k1(record(3, 6)), PublicKey::Secp256k1(record(2, 6)));
        assert_eq!(registry.owner(&own), Some(&"a".parse().unwrap()));
        assert_eq!(registry.owner(&negated), None);
        assert_eq!(registry.key(&own.id()), Some(own));
        assert_eq!(registry.key(&negated.id()), None);
        let listed = PublicKey::Secp256k1(record(2, 1));
        assert_eq!(registry.key(&listed.id()), Some(listed));

        let repeated = |key: &PublicKey| RegistryError::RepeatedKey {
            key: key.id(),
            wallet: "a".parse().unwrap(),
        };
        let cases = [
            (
                "in two tables",
                vec![a.clone(), with_table("b", 2, &[record(3, 6)])],
                None,
            ),
            (
                "negated, in two tables",
                vec![a.clone(), with_table("b", 2, &[record(2, 6)])],
                None,
            ),
            (
                "listed elsewhere",
                vec![a.clone(), with_table("b", 5, &[record(2, 9)])],
                None,
            ),
            (
                "listed and in the table",
                vec![with_table("a", 5, &table)],
                Some(record(2, 5)),
            ),
            ("negated beside the table", vec![with_table("a", 6, &table)], None),
        ];
        for (name, records, key) in cases {
            let is_one = records.len() == 1;
            let error = WalletRegistry::new(records).unwrap_err();
            let is_expected = match is_one {
                true => matches!(error, RegistryError::RepeatedKey { .. }),
                false => matches!(&error, RegistryError::SharedKey { first, second, .. } if first != second),
            };
            assert!(is_expected, "{name}: {error}");
            if let Some(key) = key {
                assert_eq!(error, repeated(&PublicKey::Secp256k1(key)), "{name}");
            }
        }
    }

    #[test]
    fn forms_are_words() {
        for form in ScriptForm::ALL {
            assert_eq!(form.to_string().parse(), Ok(form));
        }
        for text in ["", "P2WPKH", "p2sh", "p2wpkh "] {
            assert_eq!(text.parse::<ScriptForm>(), Err(UnknownForm(text.to_owned())));
        }
    }
}

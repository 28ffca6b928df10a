//! The forms that a wallet uses, and wallets with a key table.

use std::collections::{BTreeMap, BTreeSet};

use bitcoin::ScriptBuf;
use countersign_types::{KeyTable, PublicKey, RawSignature, Scheme, ScriptForm, WalletId};
use proptest::prelude::*;

use super::{
    fixtures::{
        Draft, HOT, Maps, STRANGER, WARM, World, dogecoin, mainnet, multisig_of, output, p2wpkh_of, public_key,
        script_of, sign, two_of_three,
    },
    signing::{judge, spent},
};
use crate::{
    Account, AccountError, BitcoinNetwork, Holdings, Known, ParseError, Sender, account::KeyScript, address::p2wsh,
    assemble, parse,
};

const KEY_SCRIPTS: [KeyScript; 4] = [
    KeyScript::P2pkh,
    KeyScript::P2shP2wpkh,
    KeyScript::P2wpkh,
    KeyScript::P2tr,
];

fn derive(
    listed: &[[u8; 32]],
    table: Option<&KeyTable>,
    forms: Option<&[ScriptForm]>,
    network: &BitcoinNetwork,
) -> Result<Account, AccountError> {
    let keys: Vec<PublicKey> = listed.iter().map(public_key).collect();
    let forms: Option<BTreeSet<ScriptForm>> = forms.map(|forms| forms.iter().copied().collect());
    let holdings = Holdings {
        keys: &keys,
        table,
        forms: forms.as_ref(),
    };
    Account::derive(&holdings, network)
}

fn table_of(secrets: &[[u8; 32]]) -> KeyTable {
    let mut keys: Vec<Vec<u8>> = secrets
        .iter()
        .map(|secret| public_key(secret).as_bytes().to_vec())
        .collect();
    keys.sort();
    KeyTable::parse("keys/hot.keys", &keys.concat()).unwrap()
}

/// Secrets of a table.
fn secrets(count: u8) -> Vec<[u8; 32]> {
    (1..=count).map(|n| [n; 32]).collect()
}

#[test]
fn forms_that_are_not_used_are_a_strangers() {
    let mut world = World::new();
    let own = |world: &World, script: &ScriptBuf| world.account.owner(script).is_some();
    for form in KEY_SCRIPTS {
        world.account = derive(&HOT, None, Some(&[form.form()]), &world.network).unwrap();
        world.own = BTreeMap::new();
        for other in KEY_SCRIPTS {
            let script = script_of(other, &HOT[0]);
            assert_eq!(own(&world, &script), other == form, "{form:?} {other:?}");
            let spend = Draft::spending(
                std::slice::from_ref(&script),
                vec![output(99_000, p2wpkh_of(&STRANGER))],
            );
            let spent = world.parse(&spend.maps().encode()).map(drop);
            let foreign = Err(ParseError::ForeignInput { input: 0 });
            assert_eq!(spent, if other == form { Ok(()) } else { foreign });

            let pay = Draft::spending(&[script_of(form, &HOT[0])], vec![output(99_000, script.clone())]);
            let paid = world.parse(&pay.maps().encode()).unwrap().effects()[0].clone();
            match other == form {
                true => assert_eq!(paid, world.internal(99_000, &script, "btc-hot", true)),
                false => assert_eq!(paid, world.transfer(99_000, &script)),
            }
        }
    }
}

#[test]
fn multisig_is_a_form_too() {
    let mut world = World::new();
    let (script, witness_script) = two_of_three();
    let draft = Draft::spending(std::slice::from_ref(&script), vec![output(99_000, script.clone())]);
    let mut maps = draft.maps();
    Maps::set(&mut maps.inputs[0], &[0x05], witness_script.as_bytes());
    Maps::set(&mut maps.outputs[0], &[0x01], witness_script.as_bytes());
    let bytes = maps.encode();
    assert!(world.parse(&bytes).is_ok());
    world.account = derive(&HOT, None, Some(&[ScriptForm::P2wpkh]), &world.network).unwrap();
    assert_eq!(world.parse(&bytes), Err(ParseError::ForeignInput { input: 0 }));
    world.account = derive(&HOT, None, Some(&[ScriptForm::P2wsh]), &world.network).unwrap();
    assert!(world.parse(&bytes).is_ok());
    assert_eq!(world.account.destination(&world.network), Ok(None));
    assert_eq!(world.account.destinations(&world.network), Ok(BTreeSet::new()));
}

#[test]
fn taproot_is_no_default_and_asks_for_schnorr() {
    let network = mainnet();
    let id = |secret: &[u8; 32]| public_key(secret).id();
    let asked = |account: &Account| account.required_schemes().collect::<BTreeSet<_>>();
    let plain = derive(&HOT[..1], None, None, &network).unwrap();
    assert!(plain.owner(&script_of(KeyScript::P2tr, &HOT[0])).is_none());
    assert_eq!(asked(&plain), BTreeSet::from([(id(&HOT[0]), Scheme::Ecdsa)]));
    let taproot = derive(&HOT[..1], None, Some(&[ScriptForm::P2tr]), &network).unwrap();
    assert_eq!(asked(&taproot), BTreeSet::from([(id(&HOT[0]), Scheme::Schnorr)]));
    let both = [ScriptForm::P2tr, ScriptForm::P2wsh];
    let both = derive(&HOT[..1], Some(&table_of(&[WARM])), Some(&both), &network).unwrap();
    let expected = BTreeSet::from([(id(&HOT[0]), Scheme::Ecdsa), (id(&HOT[0]), Scheme::Schnorr)]);
    assert_eq!(asked(&both), expected);
    let doge = derive(&HOT[..1], None, None, &dogecoin()).unwrap();
    assert_eq!(doge.destinations(&dogecoin()).unwrap().len(), 1);
}

#[test]
fn one_change_of_the_holdings_and_its_error() {
    let off = {
        let mut key = [4; 33];
        key[0] = 2;
        key
    };
    let off_table = KeyTable::parse("keys/hot.keys", &off).unwrap();
    let good = table_of(&secrets(3));
    let (bitcoin, doge) = (mainnet(), dogecoin());
    let forms = [ScriptForm::P2tr];
    assert!(derive(&HOT, Some(&good), Some(&forms), &bitcoin).is_ok());
    let not_a_point = AccountError::NotAPoint(PublicKey::Secp256k1(off).id());
    let cases = [
        (derive(&HOT, Some(&good), Some(&[]), &bitcoin), AccountError::NoForm),
        (
            derive(&HOT, Some(&good), Some(&forms), &doge),
            AccountError::FormNotOnNetwork(ScriptForm::P2tr),
        ),
        (
            derive(&HOT, Some(&good), Some(&[ScriptForm::P2wsh]), &doge),
            AccountError::FormNotOnNetwork(ScriptForm::P2wsh),
        ),
        (derive(&[], Some(&good), None, &bitcoin), AccountError::NoKey),
        (derive(&HOT, Some(&off_table), None, &bitcoin), not_a_point.clone()),
        (derive(&HOT, Some(&off_table), Some(&forms), &bitcoin), not_a_point),
        (
            derive(&[HOT[0], HOT[0]], None, Some(&[ScriptForm::P2wsh]), &bitcoin),
            AccountError::DuplicateKey(public_key(&HOT[0]).id()),
        ),
    ];
    for (found, error) in cases {
        assert_eq!(found, Err(error));
    }
}

/// A wallet with 40 keys in a table, and another one that watches.
struct Tables {
    network: BitcoinNetwork,
    hot: WalletId,
    warm: WalletId,
    hot_account: Account,
    warm_account: Account,
}

impl Tables {
    fn new() -> Self {
        let network = mainnet();
        let forms = ScriptForm::ALL;
        let table = |secrets: &[[u8; 32]]| Some(table_of(secrets));
        Self {
            hot: "btc-hot".parse().unwrap(),
            warm: "btc-warm".parse().unwrap(),
            hot_account: derive(&HOT, table(&secrets(40)).as_ref(), Some(&forms), &network).unwrap(),
            warm_account: derive(
                &[WARM],
                table(&[[0x60; 32], [0x61; 32]]).as_ref(),
                Some(&forms),
                &network,
            )
            .unwrap(),
            network,
        }
    }

    fn sender(&self) -> Sender<'_> {
        Sender {
            network: &self.network,
            wallet: &self.hot,
            account: &self.hot_account,
        }
    }

    fn parse(&self, bytes: &[u8]) -> Result<countersign_types::ParsedTransaction, ParseError> {
        let own = BTreeMap::new();
        let tables = [(&self.hot, &self.hot_account), (&self.warm, &self.warm_account)];
        parse(
            bytes,
            &self.sender(),
            &Known {
                own: &own,
                tables: &tables,
            },
        )
    }
}

/// Every form is spent by a key of the table, whose id is in the payload, and Bitcoin Core accepts the signature.
#[test]
fn keys_of_a_table_sign() {
    let (tables, all) = (Tables::new(), secrets(40));
    let by_id: BTreeMap<_, _> = all.iter().map(|secret| (public_key(secret).id(), *secret)).collect();
    let witness_script = multisig_of(2, &[all[3], all[30], HOT[1]]);
    let mut scripts: Vec<ScriptBuf> = KEY_SCRIPTS.iter().map(|form| script_of(*form, &all[17])).collect();
    scripts.push(p2wsh(&witness_script));
    let draft = Draft::spending(&scripts, vec![output(400_000, p2wpkh_of(&STRANGER))]);
    let mut maps = draft.maps();
    Maps::set(&mut maps.inputs[4], &[0x05], witness_script.as_bytes());
    let unsigned = maps.encode();
    let parsed = tables.parse(&unsigned).unwrap();
    let ids: Vec<_> = parsed.signing_payloads().iter().map(|payload| payload.key()).collect();
    let id = |secret: &[u8; 32]| public_key(secret).id();
    assert_eq!(
        ids,
        [
            id(&all[17]),
            id(&all[17]),
            id(&all[17]),
            id(&all[17]),
            id(&all[3]),
            id(&all[30])
        ]
    );
    let raw = parsed
        .signing_payloads()
        .iter()
        .map(|payload| sign(&by_id[&payload.key()], payload.bytes()));
    let raw: Vec<RawSignature> = raw.collect();
    let signed = assemble(&unsigned, &tables.sender(), &raw).unwrap();
    judge(&signed.bytes, &spent(&draft)).unwrap();
}

/// Change to any key of the table; a derivation that claims one for a stranger's output makes nothing.
#[test]
fn change_and_consolidation_match_the_table() {
    let (tables, world) = (Tables::new(), World::new());
    let all = secrets(40);
    let claim = [&[0x02], public_key(&all[5]).as_bytes()].concat();
    for form in KEY_SCRIPTS {
        let cases = [
            (all[39], Some("btc-hot")),
            ([0x60; 32], Some("btc-warm")),
            ([0x62; 32], None),
            (STRANGER, None),
        ];
        for (secret, wallet) in cases {
            let script = script_of(form, &secret);
            let outputs = vec![output(60_000, p2wpkh_of(&STRANGER)), output(39_000, script.clone())];
            let mut maps = Draft::spending(&[script_of(form, &all[0])], outputs).maps();
            Maps::set(&mut maps.outputs[1], &claim, &[1, 2, 3, 4, 5, 0, 0, 0]);
            let found = tables.parse(&maps.encode()).unwrap().effects()[1].clone();
            let expected = match wallet {
                Some(wallet) => world.internal(39_000, &script, wallet, wallet == "btc-hot"),
                None => world.transfer(39_000, &script),
            };
            assert_eq!(found, expected, "{form:?}");
            let at = world.address(&script);
            assert_eq!(tables.hot_account.owns(&tables.network, &at), wallet == Some("btc-hot"));
            assert_eq!(
                tables.warm_account.owns(&tables.network, &at),
                wallet == Some("btc-warm")
            );
            assert!(!tables.hot_account.owns(&dogecoin(), &at));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// A key in a table and the same key in the list are found by the same scripts, in whatever forms.
    #[test]
    fn tables_and_lists_agree(
        in_table in prop::collection::btree_set(1_u8..0x40, 1..12),
        asked in 1_u8..0x40,
        used in prop::collection::btree_set(prop::sample::select(ScriptForm::ALL.to_vec()), 1..5),
    ) {
        let network = mainnet();
        let of_table: Vec<[u8; 32]> = in_table.iter().map(|n| [*n; 32]).collect();
        let forms: Vec<ScriptForm> = used.into_iter().collect();
        let tabled = derive(&[WARM], Some(&table_of(&of_table)), Some(&forms), &network).unwrap();
        let listed = derive(&[&[WARM][..], &of_table].concat(), None, Some(&forms), &network).unwrap();
        for form in KEY_SCRIPTS {
            let script = script_of(form, &[asked; 32]);
            prop_assert_eq!(tabled.owner(&script), listed.owner(&script));
        }
        let witness_script = multisig_of(1, &[[asked; 32], WARM]);
        prop_assert_eq!(tabled.multisig(&witness_script), listed.multisig(&witness_script));
    }
}

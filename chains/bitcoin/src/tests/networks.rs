//! The templates, one change of a record and its error, and addresses against Bitcoin Core's own list.

use bitcoin::{
    BlockHash, CompactTarget, ScriptBuf,
    block::{Header, Version},
    constants::genesis_block,
    hashes::{Hash as _, sha256},
    secp256k1::constants::{GENERATOR_X, GENERATOR_Y},
};
use countersign_types::{PublicKey, Tag};
use serde_json::Value;

use super::fixtures::{
    HOT, STRANGER, World, all_forms, dogecoin, mainnet, network_of, p2wpkh_of, public_key, script_of,
};
use crate::{
    Account, AccountError, AddressError, AssetError, BitcoinNetwork, Holdings, account::KeyScript,
    address::destination, certify_asset, parse_destination,
};

const TEMPLATES: [(&str, Option<bitcoin::Network>); 6] = [
    (
        include_str!("../../networks/bitcoin.yaml"),
        Some(bitcoin::Network::Bitcoin),
    ),
    (
        include_str!("../../networks/testnet4.yaml"),
        Some(bitcoin::Network::Testnet4),
    ),
    (
        include_str!("../../networks/signet.yaml"),
        Some(bitcoin::Network::Signet),
    ),
    (
        include_str!("../../networks/regtest.yaml"),
        Some(bitcoin::Network::Regtest),
    ),
    (include_str!("../../networks/litecoin.yaml"), None),
    (include_str!("../../networks/dogecoin.yaml"), None),
];

fn network(index: usize) -> BitcoinNetwork {
    network_of(TEMPLATES[index].0).unwrap()
}

#[test]
fn templates_name_their_genesis_block_and_write_known_addresses() {
    for (yaml, known) in TEMPLATES {
        let network = network_of(yaml).unwrap();
        let Some(known) = known else {
            continue;
        };
        let genesis = genesis_block(known).block_hash().to_string();
        assert!(genesis.starts_with(network.chain().reference()), "{}", network.name());
        for form in [
            KeyScript::P2pkh,
            KeyScript::P2shP2wpkh,
            KeyScript::P2wpkh,
            KeyScript::P2tr,
        ] {
            let script = script_of(form, &HOT[0]);
            let theirs = bitcoin::Address::from_script(&script, known).unwrap().to_string();
            let ours = destination(&network, &script).unwrap().unwrap();
            assert_eq!(ours.address(), theirs);
            assert_eq!(parse_destination(&network, &theirs), Ok(ours));
        }
    }
}

/// A genesis block: its hash in full, and the fields of its header (time, target, nonce, merkle root).
type Genesis = (usize, &'static str, (u32, u32, u32, &'static str));

const BITCOIN_ROOT: &str = "4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b";

/// From `src/chainparams.cpp` of Bitcoin Core (testnet4: BIP 94, signet: BIP 325), of Litecoin Core (commit 17f16cef) and
/// of Dogecoin Core (as eight other code bases repeat it). The hash is computed from the fields here, so that a mistake in
/// either shows.
const GENESIS: [Genesis; 6] = [
    (
        0,
        "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f",
        (1_231_006_505, 0x1d00_ffff, 2_083_236_893, BITCOIN_ROOT),
    ),
    (
        1,
        "00000000da84f2bafbbc53dee25a72ae507ff4914b867c565be350b0da8bf043",
        (
            1_714_777_860,
            0x1d00_ffff,
            393_743_547,
            "7aa0a7ae1e223414cb807e40cd57e667b718e42aaf9306db9102fe28912b7b4e",
        ),
    ),
    (
        2,
        "00000008819873e925422c1ff0f99f7cc9bbb232af63a077a480a3633bee1ef6",
        (1_598_918_400, 0x1e03_77ae, 52_613_770, BITCOIN_ROOT),
    ),
    (
        3,
        "0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206",
        (1_296_688_602, 0x207f_ffff, 2, BITCOIN_ROOT),
    ),
    (
        4,
        "12a765e31ffd4059bada1e25190f6e98c99d9714d334efa41a195a7e7e04bfe2",
        (
            1_317_972_665,
            0x1e0f_fff0,
            2_084_524_493,
            "97ddfbbae6be97fd6cdf3e7ca13232a3afff2353e29badfab7f73011edd4ced9",
        ),
    ),
    (
        5,
        "1a91e3dace36e2be3bf030a65679fe821aa1d6ef92e7c9902eb318182c355691",
        (
            1_386_325_540,
            0x1e0f_fff0,
            99_943,
            "5b2a3f53f605d62c53e62932dac6925e3d74afa5a4b459745c36d42d0ed26a69",
        ),
    ),
];

#[test]
fn chain_ids_are_the_beginnings_of_genesis_hashes() {
    for (index, hash, (time, target, nonce, root)) in GENESIS {
        let network = network(index);
        assert_eq!(Some(network.chain().reference()), hash.get(..32), "{}", network.name());
        let header = Header {
            version: Version::ONE,
            prev_blockhash: BlockHash::all_zeros(),
            merkle_root: root.parse().unwrap(),
            time,
            bits: CompactTarget::from_consensus(target),
            nonce,
        };
        assert_eq!(header.block_hash().to_string(), hash, "{}", network.name());
    }
}

/// Addresses that explorers show: Litecoin's and Dogecoin's formats.
#[test]
fn other_coins_have_their_own_formats() {
    let script = |form| script_of(form, &HOT[0]);
    let starts = |network: &BitcoinNetwork, form| {
        let found = destination(network, &script(form)).unwrap();
        found.and_then(|found| found.address().chars().next())
    };
    let (litecoin, doge) = (network(4), dogecoin());
    assert_eq!(starts(&litecoin, KeyScript::P2pkh), Some('L'));
    assert_eq!(starts(&litecoin, KeyScript::P2shP2wpkh), Some('M'));
    assert_eq!(starts(&doge, KeyScript::P2pkh), Some('D'));
    assert_eq!(starts(&doge, KeyScript::P2wpkh), None);
    let address = destination(&litecoin, &script(KeyScript::P2wpkh)).unwrap().unwrap();
    assert!(address.address().starts_with("ltc1q"));
}

/// `key_io_valid.json`: each address of each network is its script there, and no address elsewhere.
#[test]
fn addresses_are_those_of_bitcoin_core() {
    let rows: Vec<(String, String, Value)> =
        serde_json::from_str(include_str!("../../vectors/key_io_valid.json")).unwrap();
    let mut compared = 0;
    for (address, script, about) in rows.iter().filter(|(.., about)| about["isPrivkey"] == false) {
        let script = ScriptBuf::from_hex(script).unwrap();
        let index = match about["chain"].as_str().unwrap() {
            "main" => 0,
            "testnet4" => 1,
            "signet" => 2,
            "regtest" => 3,
            // The old test network has no template; its formats are the new one's.
            "test" => 1,
            other => panic!("{other}"),
        };
        let home = network(index);
        let parsed = parse_destination(&home, address);
        let is_upper = about["tryCaseFlip"] == true && address.to_uppercase() == *address;
        match destination(&home, &script) {
            Ok(Some(found)) if !is_upper => assert_eq!(parsed, Ok(found)),
            Ok(Some(found)) => assert_eq!(parsed, Err(AddressError::NotCanonical(found.address().to_owned()))),
            // Witness versions and programs without a rule, and keys off the curve.
            Ok(None) => assert_eq!(parsed, Err(AddressError::UnknownProgram(address.clone()))),
            Err(_) => assert!(matches!(parsed, Err(AddressError::Unspendable(_))), "{address}"),
        }
        let elsewhere = if index == 0 { network(1) } else { network(0) };
        assert_eq!(
            parse_destination(&elsewhere, address),
            Err(AddressError::WrongNetwork(address.clone()))
        );
        compared += 1;
    }
    assert!(compared >= 40, "{compared}");
}

#[test]
fn what_bitcoin_core_refuses_is_refused() {
    let rows: Vec<(String,)> = serde_json::from_str(include_str!("../../vectors/key_io_invalid.json")).unwrap();
    assert!(rows.len() >= 60);
    for (address,) in rows {
        for (yaml, _) in TEMPLATES {
            assert!(
                parse_destination(&network_of(yaml).unwrap(), &address).is_err(),
                "{address}"
            );
        }
    }
}

#[test]
fn one_change_of_an_address_and_its_error() {
    let network = mainnet();
    let good = destination(&network, &p2wpkh_of(&STRANGER)).unwrap().unwrap();
    let good = good.address().to_owned();
    let mut typo = good.clone();
    typo.replace_range(10..11, if good.as_bytes()[10] == b'q' { "p" } else { "q" });
    let taproot = |program: [u8; 32]| {
        let hrp = bitcoin::bech32::Hrp::parse("bc").unwrap();
        bitcoin::bech32::segwit::encode_v1(hrp, &program).unwrap()
    };
    let zeros = bitcoin::base58::encode_check(&[0; 21]);
    // H of BIP 341, the hash of the generator as a point: a key of the curve, but nobody's.
    let no_key = hex::decode("50929b74c1a04954b78b4b6035e97a5e078a5a0f28ec96d547bfee9ace803ac0").unwrap();
    let no_key: [u8; 32] = no_key.try_into().unwrap();
    let generator = [&[4][..], &GENERATOR_X, &GENERATOR_Y].concat();
    assert_eq!(sha256::Hash::hash(&generator).to_byte_array(), no_key);
    let cases = [
        (String::new(), AddressError::NotAnAddress(String::new())),
        (typo.clone(), AddressError::NotAnAddress(typo)),
        (good.to_uppercase(), AddressError::NotCanonical(good.clone())),
        (format!(" {good}"), AddressError::NotAnAddress(format!(" {good}"))),
        ("1".repeat(91), AddressError::NotAnAddress("1".repeat(90))),
        (zeros.clone(), AddressError::Unspendable(zeros)),
        (taproot([0xff; 32]), AddressError::Unspendable(taproot([0xff; 32]))),
        (taproot([0; 32]), AddressError::Unspendable(taproot([0; 32]))),
        (taproot(no_key), AddressError::Unspendable(taproot(no_key))),
    ];
    assert!(parse_destination(&network, &good).is_ok());
    for (text, error) in cases {
        assert_eq!(parse_destination(&network, &text), Err(error.clone()), "{text}");
        assert_eq!(error.tag(), Tag::TransactionBadDestination);
    }
}

/// Addresses that were made up to burn coins, in the form that people know and in every other form of the same hash.
#[test]
fn burn_addresses_are_refused_in_every_form() {
    for (home, text) in [
        (mainnet(), "1BitcoinEaterAddressDontSendf59kuE"),
        (mainnet(), "1CounterpartyXXXXXXXXXXXXXXXUWLpVr"),
        (mainnet(), "1111111111111111111114oLvT2"),
        (dogecoin(), "DDogepartyxxxxxxxxxxxxxxxxxxw1dfzr"),
    ] {
        assert_eq!(
            parse_destination(&home, text),
            Err(AddressError::Unspendable(text.to_owned()))
        );
        let hash: [u8; 20] = bitcoin::base58::decode_check(text).unwrap()[1..].try_into().unwrap();
        for script in [
            ScriptBuf::new_p2pkh(&bitcoin::PubkeyHash::from_byte_array(hash)),
            ScriptBuf::new_p2wpkh(&bitcoin::WPubkeyHash::from_byte_array(hash)),
            ScriptBuf::new_p2sh(&bitcoin::ScriptHash::from_byte_array(hash)),
        ] {
            let refused = destination(&mainnet(), &script);
            assert!(
                matches!(refused, Err(AddressError::Unspendable(_))),
                "{text}: {refused:?}"
            );
        }
        let near = ScriptBuf::new_p2pkh(&bitcoin::PubkeyHash::from_byte_array(hash.map(|byte| byte ^ 1)));
        assert!(destination(&mainnet(), &near).is_ok());
    }
}

#[test]
fn one_change_of_a_record_and_its_error() {
    let yaml = TEMPLATES[0].0;
    let id = "bip122:000000000019d6689c085ae165831e93";
    let chain = |text: &str| yaml.replace(id, text);
    let cases = [
        (
            "another family",
            chain("eip155:1"),
            "is not the id of a Bitcoin network",
        ),
        (
            "upper case",
            chain(&id.replace("9d", "9D")),
            "is not the id of a Bitcoin network",
        ),
        (
            "a short reference",
            chain(id.trim_end_matches('3')),
            "is not the id of a Bitcoin network",
        ),
        (
            "no name",
            yaml.replace("name: Bitcoin", "name: \" \""),
            "a network name has",
        ),
        (
            "an upper-case prefix",
            yaml.replace("bech32: bc", "bech32: BC"),
            "human-readable part",
        ),
        (
            "one version for two",
            yaml.replace("p2sh: 5", "p2sh: 0"),
            "different version bytes",
        ),
        (
            "taproot alone",
            yaml.replace("bech32: bc, ", ""),
            "needs a bech32 prefix",
        ),
        (
            "no money",
            yaml.replace("max-money-sat: 2100000000000000", "max-money-sat: 0"),
            "at least 1",
        ),
        ("no dust", yaml.replace("dust-sat: 546", "dust-sat: 0"), "at least 1"),
        (
            "no fee",
            yaml.replace("max-fee-sat: 10000000", "max-fee-sat: 0"),
            "at least 1",
        ),
        (
            "no fee rate",
            yaml.replace("max-fee-rate-sat-vb: 5000", "max-fee-rate-sat-vb: 0"),
            "at least 1",
        ),
        (
            "a fee of no share",
            yaml.replace("max-fee-percent: 50", "max-fee-percent: 0"),
            "max-fee-percent is 1 to 100, not 0",
        ),
        (
            "a fee over all",
            yaml.replace("max-fee-percent: 50", "max-fee-percent: 101"),
            "max-fee-percent is 1 to 100, not 101",
        ),
        (
            "no bound by rate",
            yaml.replace("  max-fee-rate-sat-vb: 5000", "  # max-fee-rate-sat-vb: 5000"),
            "missing field `max-fee-rate-sat-vb`",
        ),
        (
            "an unknown field",
            yaml.replace("p2sh: 5", "p2sh: 5, p2x: 6"),
            "unknown field",
        ),
        ("a version over a byte", yaml.replace("p2sh: 5", "p2sh: 256"), "256"),
    ];
    for (name, text, expected) in cases {
        assert_ne!(text, yaml, "{name}");
        let error = network_of(&text).unwrap_err();
        assert!(error.contains(expected), "{name}: {error}");
    }
}

#[test]
fn one_change_of_the_keys_and_its_error() {
    let network = mainnet();
    let good = public_key(&HOT[0]);
    let PublicKey::Secp256k1(mut negated) = good else {
        panic!("a secp256k1 key");
    };
    negated[0] ^= 0x01;
    let negated = PublicKey::Secp256k1(negated);
    let off = PublicKey::Secp256k1([4; 33]);
    let cases = [
        (vec![], AccountError::NoKey),
        (
            vec![PublicKey::Ed25519([1; 32])],
            AccountError::WrongCurve(countersign_types::Algorithm::Ed25519),
        ),
        (vec![good, off], AccountError::NotAPoint(off.id())),
        (vec![good, good], AccountError::DuplicateKey(good.id())),
        // The same taproot key under two names.
        (vec![good, negated], AccountError::DuplicateKey(negated.id())),
    ];
    let derive = |keys: &[PublicKey], network: &BitcoinNetwork| {
        let holdings = Holdings {
            keys,
            table: None,
            forms: Some(&all_forms(network)),
        };
        Account::derive(&holdings, network)
    };
    for (keys, error) in cases {
        assert_eq!(derive(&keys, &network), Err(error));
    }
    assert!(derive(&[good, negated], &dogecoin()).is_ok());
}

#[test]
fn own_addresses_are_every_form_of_every_key() {
    let world = World::new();
    let own = world.account.destinations(&world.network).unwrap();
    assert_eq!(own.len(), 4 * HOT.len());
    let main = world.account.destination(&world.network).unwrap();
    assert_eq!(main, Some(world.address(&p2wpkh_of(&HOT[0]))));

    let doge = World::on(dogecoin(), &HOT);
    let own = doge.account.destinations(&doge.network).unwrap();
    assert_eq!(own.len(), HOT.len());
    assert_eq!(
        doge.account.destination(&doge.network),
        Ok(Some(doge.address(&script_of(KeyScript::P2pkh, &HOT[0]))))
    );
}

#[test]
fn a_network_has_its_native_asset_alone() {
    let network = mainnet();
    let asset = |text: &str| text.parse::<countersign_types::AssetId>().unwrap();
    assert_eq!(certify_asset(&network, &network.native().id), Ok(()));
    let chain = network.chain();
    for other in [
        format!("{chain}/slip44:1"),
        format!("{chain}/brc20:ordi"),
        "eip155:1/slip44:0".to_owned(),
    ] {
        let other = asset(&other);
        assert_eq!(certify_asset(&network, &other), Err(AssetError(other)));
    }
}

//! Published vectors: the signature hashes of BIP 143 and BIP 341.

use bitcoin::{OutPoint, ScriptBuf, TapSighashType, Transaction, consensus::deserialize};
use countersign_types::{RawSignature, SigningBytes};

use super::fixtures::{output, public_key, sign};
use crate::{
    account::{KeyScript, OwnKey},
    sighash::digests,
    spend::{Spend, Unlock},
};

fn key(secret: &str) -> ([u8; 32], OwnKey) {
    let secret: [u8; 32] = hex::decode(secret).unwrap().try_into().unwrap();
    let public = public_key(&secret);
    let point = bitcoin::CompressedPublicKey::from_slice(public.as_bytes()).unwrap();
    let own = OwnKey { id: public.id(), point };
    (secret, own)
}

fn transaction(bytes: &str) -> Transaction {
    deserialize(&hex::decode(bytes).unwrap()).unwrap()
}

fn spend(sat: u64, script: &str, unlock: Unlock) -> Spend {
    Spend {
        outpoint: OutPoint::null(),
        spent: output(sat, ScriptBuf::from_hex(script).unwrap()),
        unlock,
    }
}

fn ecdsa_hash(text: &str) -> SigningBytes {
    SigningBytes::EcdsaPrehash(hex::decode(text).unwrap().try_into().unwrap())
}

/// The examples "Native P2WPKH" and "P2SH-P2WPKH" of BIP 143.
#[test]
fn bip143_signature_hashes() {
    let native = transaction(
        "0100000002fff7f7881a8099afa6940d42d1e7f6362bec38171ea3edf433541db4e4ad969f0000000000eeffffffef51e1b804cc89d182\
         d279655c3aa89e815b1b309fe287d9b2b55d57b90ec68a0100000000ffffffff02202cb206000000001976a9148280b37df378db99f66f\
         85c95a783a76ac7a6d5988ac9093510d000000001976a9143bde42dbee7e4dbe6a21b2d50ce2f0167faa815988ac11000000",
    );
    let (_, own) = key("619c335025c7f4012e556c2a58b2506e30b8511b53ade95ea316fd8c3286feb9");
    let unlock = |script| Unlock::Key { script, key: own };
    let spends = [
        spend(625_000_000, "76a914", unlock(KeyScript::P2pkh)),
        spend(
            600_000_000,
            "00141d0f172a0ecb48aee1be1f2687d2963ae33f71a1",
            unlock(KeyScript::P2wpkh),
        ),
    ];
    let found = digests(&native, &spends).unwrap();
    assert_eq!(
        found[1][0].bytes,
        ecdsa_hash("c37af31116d1b27caf68aae9e3ac82f1477929014d5b917657d0eb49478cb670")
    );

    let nested = transaction(
        "0100000001db6b1b20aa0fd7b23880be2ecbd4a98130974cf4748fb66092ac4d3ceb1a54770100000000feffffff02b8b4eb0b00000000\
         1976a914a457b684d7f0d539a46a45bbc043f35b59d0d96388ac0008af2f000000001976a914fd270b1ee6abcaea97fea7ad0402e8bd8a\
         d6d77c88ac92040000",
    );
    let (_, own) = key("eb696a065ef48a2192da5b28b694f87544b30fae8327c4510137a922f32c6dcf");
    let unlock = Unlock::Key {
        script: KeyScript::P2shP2wpkh,
        key: own,
    };
    let spends = [spend(
        1_000_000_000,
        "a9144733f37cf4db86fbc2efed2500b4f4e49f31202387",
        unlock,
    )];
    assert_eq!(
        digests(&nested, &spends).unwrap()[0][0].bytes,
        ecdsa_hash("64f3b0f4dd2bb3aa1ce8566d220cc74dda9df97d8490cc81d89d735c92e59fb6")
    );
}

/// The one vector of BIP 341 with SIGHASH_DEFAULT: its hash, and the witness that its key makes of it.
#[test]
fn bip341_signature_hash() {
    let file: serde_json::Value = serde_json::from_str(include_str!("../../vectors/bip341.json")).unwrap();
    let vector = &file["keyPathSpending"][0];
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let tx = transaction(&text(&vector["given"]["rawUnsignedTx"]));
    let inputs = vector["inputSpending"].as_array().unwrap();
    let input = inputs.iter().find(|input| input["given"]["hashType"] == 0).unwrap();
    let (secret, own) = key(&text(&input["intermediary"]["tweakedPrivkey"]));
    let unlock = Unlock::Taproot {
        key: own,
        sighash: TapSighashType::Default,
    };
    let spent = vector["given"]["utxosSpent"].as_array().unwrap();
    let spends: Vec<Spend> = spent
        .iter()
        .map(|utxo| {
            let sat = utxo["amountSats"].as_u64().unwrap();
            spend(sat, &text(&utxo["scriptPubKey"]), unlock.clone())
        })
        .collect();
    let index = input["given"]["txinIndex"].as_u64().unwrap() as usize;
    let found = &digests(&tx, &spends).unwrap()[index][0].bytes;
    assert_eq!(hex::encode(found.as_bytes()), text(&input["intermediary"]["sigHash"]));
    let RawSignature::Schnorr(signature) = sign(&secret, found) else {
        panic!("a Schnorr signature");
    };
    assert_eq!(hex::encode(signature), text(&input["expected"]["witness"][0]));
}

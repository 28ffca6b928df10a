//! Published transactions, with what we make of them beside what others made of them.

use alloy_primitives::hex;
use countersign_types::{AssetId, Effect, EffectsText, ParsedTransaction, PublicKey, RawSignature};
use serde::Deserialize;

use super::fixtures::{World, call_with, network_of, prehash};
use crate::EvmNetwork;

/// One transaction as others published it, and the parse that we expect.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Vector {
    name: String,
    /// Who published it.
    #[serde(rename = "source")]
    _source: String,
    chain: String,
    key: PublicKey,
    sender: String,
    unsigned: String,
    /// Published only for some.
    signing_hash: Option<String>,
    signature: String,
    signed: String,
    /// Published only for some.
    txid: Option<String>,
    expect: Expectation,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Expectation {
    /// The lines of `effects/v1` between wallet and fee.
    effects: Vec<String>,
    /// In wei.
    fee: String,
    conflict_key: String,
}

fn vectors() -> Vec<Vector> {
    let files = [
        include_str!("../../vectors/transactions.json"),
        include_str!("../../vectors/typed-transactions.json"),
    ];
    let vectors = files.map(|file| serde_json::from_str::<Vec<Vector>>(file).unwrap());
    vectors.into_iter().flatten().collect()
}

/// The published transactions draw gas limits at random.
fn unbounded(chain: &str) -> EvmNetwork {
    let gas = u64::MAX;
    network_of(&format!(
        "evm: {{ chain: '{chain}', name: any, native: {{ symbol: ETH, slip44: 60 }}, max-gas-limit: {gas} }}"
    ))
    .unwrap()
}

fn fee_of(parsed: &ParsedTransaction) -> (AssetId, String) {
    let fee = parsed.effects().iter().find_map(|effect| match effect {
        Effect::Fee { asset, max } => Some((asset.clone(), max.to_string())),
        _ => None,
    });
    fee.unwrap()
}

pub(super) fn effect_lines(world: &World, parsed: &ParsedTransaction) -> Vec<String> {
    let (asset, fee) = fee_of(parsed);
    let ceiling = (&asset, fee.parse().unwrap());
    let text = EffectsText::render(
        parsed.network(),
        parsed.wallet(),
        parsed.effects(),
        ceiling,
        &world.assets,
    );
    text.unwrap().effect_lines().map(str::to_owned).collect()
}

#[test]
fn published_transactions() {
    for vector in vectors() {
        let world = World::on(unbounded(&vector.chain), vector.key);
        let account = world.account.destination(world.network.chain()).unwrap();
        assert_eq!(
            account.address().to_lowercase(),
            vector.sender.to_lowercase(),
            "{}",
            vector.name
        );

        let unsigned = hex::decode(&vector.unsigned).unwrap();
        let parsed = world.parse(&unsigned).unwrap();
        assert_eq!(effect_lines(&world, &parsed), vector.expect.effects, "{}", vector.name);
        assert_eq!(fee_of(&parsed).1, vector.expect.fee, "{}", vector.name);
        let [conflict_key] = parsed.conflict_keys() else {
            panic!("one conflict key");
        };
        assert_eq!(conflict_key.to_string(), vector.expect.conflict_key, "{}", vector.name);
        if let Some(hash) = vector.signing_hash {
            assert_eq!(hex::encode_prefixed(prehash(&parsed)), hash, "{}", vector.name);
        }

        let signature: [u8; 64] = hex::decode(&vector.signature).unwrap().try_into().unwrap();
        let signed = world.assemble(&unsigned, &[RawSignature::Ecdsa(signature)]).unwrap();
        assert_eq!(hex::encode_prefixed(&signed.bytes), vector.signed, "{}", vector.name);
        if let Some(txid) = vector.txid {
            assert_eq!(signed.txid, txid, "{}", vector.name);
        }
    }
}

/// Call data that an encoder not ours wrote, and the effects text written down beside it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CallVector {
    name: String,
    #[serde(rename = "source")]
    _source: String,
    to: String,
    value: String,
    calldata: String,
    effects: Vec<String>,
}

#[test]
fn call_data_of_another_encoder() {
    let vectors: Vec<CallVector> = serde_json::from_str(include_str!("../../vectors/calls.json")).unwrap();
    let world = World::new();
    for CallVector {
        name,
        to,
        value,
        calldata,
        effects,
        ..
    } in vectors
    {
        let (to, calldata) = (to.parse().unwrap(), hex::decode(calldata).unwrap());
        let unsigned = call_with(to, value.parse().unwrap(), &calldata);
        assert_eq!(
            effect_lines(&world, &world.parse(&unsigned).unwrap()),
            effects,
            "{name}"
        );
    }
}

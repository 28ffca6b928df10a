//! Messages and addresses that another implementation made, with what we make of them.

use countersign_types::{EffectsText, RawSignature, SigningBytes};
use serde::Deserialize;

use super::fixtures::{TOKEN, TOKEN_2022, USDC, World, address};
use crate::{Address, assemble, tests::effects::fee_of};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Vector {
    pub(super) name: String,
    /// Who made it.
    #[serde(rename = "source")]
    _source: String,
    pub(super) unsigned: String,
    signature: String,
    signed: String,
    txid: String,
    expect: Expectation,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Expectation {
    /// The lines of `effects/v1` between wallet and fee.
    effects: Vec<String>,
    /// In lamports.
    fee: String,
    conflict_keys: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Derivation {
    owner: String,
    token: String,
    token_2022: String,
}

pub(super) fn vectors() -> Vec<Vector> {
    serde_json::from_str(include_str!("../../vectors/messages.json")).unwrap()
}

#[test]
fn messages_of_another_implementation() {
    let world = World::new();
    assert!(vectors().len() > 20);
    for vector in vectors() {
        let unsigned = hex::decode(&vector.unsigned).unwrap();
        let parsed = world.parse(&unsigned).unwrap();
        let (asset, fee) = fee_of(&parsed);
        let (network, wallet) = (parsed.network(), parsed.wallet());
        let text = EffectsText::render(network, wallet, parsed.effects(), (&asset, fee), &world.assets).unwrap();
        let lines: Vec<_> = text.effect_lines().collect();
        assert_eq!(lines, vector.expect.effects, "{}", vector.name);
        assert_eq!(fee.to_string(), vector.expect.fee, "{}", vector.name);
        let keys: Vec<_> = parsed.conflict_keys().iter().map(ToString::to_string).collect();
        assert_eq!(keys, vector.expect.conflict_keys, "{}", vector.name);
        let [payload] = parsed.signing_payloads() else {
            panic!("one payload");
        };
        assert_eq!(*payload.bytes(), SigningBytes::Ed25519Message(unsigned.clone()));
        assert_eq!(payload.key(), world.account.key());

        let signature = hex::decode(&vector.signature).unwrap().try_into().unwrap();
        let signed = assemble(&unsigned, &world.sender(), &[RawSignature::Ed25519(signature)]).unwrap();
        assert_eq!(hex::encode(&signed.bytes), vector.signed, "{}", vector.name);
        assert_eq!(signed.txid, vector.txid, "{}", vector.name);
    }
}

#[test]
fn associated_token_accounts_of_another_implementation() {
    let cases: Vec<Derivation> = serde_json::from_str(include_str!("../../vectors/associated.json")).unwrap();
    assert_eq!(cases.len(), 40);
    for case in cases {
        let derive = |program| Address::associated(address(&case.owner), address(program), address(USDC)).unwrap();
        assert_eq!(derive(TOKEN).to_string(), case.token);
        assert_eq!(derive(TOKEN_2022).to_string(), case.token_2022);
    }
}

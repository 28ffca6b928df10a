//! Bytes that are no transaction, or one for somewhere else.

use countersign_approval::{TemplateKind, TransactionBinding};
use countersign_client::State;
use countersign_types::TransactionDigest;

use crate::{
    outcome,
    support::{Ask, CUSTOMER, Scene, Withdrawal, large, small},
};

/// A request that binds exactly these bytes, whatever they are.
fn exactly(scene: &Scene, name: &str, nonce: u64, unsigned: Vec<u8>) -> Withdrawal {
    let ask = Ask { nonce, ..small(name) };
    let mut body = ask.body(&unsigned);
    body.transaction = TransactionBinding::Exact(TransactionDigest::of(&unsigned));
    let initiator = scene.deployment.initiator().unwrap();
    scene.request(body, unsigned, scene.header(), &initiator)
}

fn address() -> Vec<u8> {
    hex_bytes(CUSTOMER.trim_start_matches("0x"))
}

fn hex_bytes(text: &str) -> Vec<u8> {
    let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(byte).collect()
}

/// The valid bytes with every occurrence of one replaced by the other, of the same length.
fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let at = bytes.windows(from.len()).position(|window| window == from);
    let at = at.expect("the valid bytes hold it");
    [&bytes[..at], to, &bytes[at + from.len()..]].concat()
}

/// One mutation of valid bytes each, and the one tag that it meets.
fn mutations(valid: &[u8]) -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let with_first = |byte: u8| [&[byte], &valid[1..]].concat();
    // 02 and the list of: chain id (82 7a69), nonce (80), tip, price, gas, to, value, data, access list.
    vec![
        ("a string", b"\x85hello".to_vec(), "transaction/malformed"),
        ("truncated", valid[..valid.len() - 1].to_vec(), "transaction/malformed"),
        ("a trailing byte", [valid, &[0]].concat(), "transaction/malformed"),
        ("the fields of another type", with_first(1), "transaction/malformed"),
        (
            "the fields of no blob transaction",
            with_first(3),
            "transaction/malformed",
        ),
        ("a type of tomorrow", with_first(0x7e), "transaction/unsupported-type"),
        (
            "another chain id",
            replaced(valid, &[0x82, 0x7a, 0x69], &[0x82, 0x7a, 0x6a]),
            "transaction/wrong-chain",
        ),
        (
            "a chain id with a leading zero",
            replaced(valid, &[0x82, 0x7a, 0x69], &[0x82, 0x00, 0x69]),
            "transaction/not-canonical",
        ),
        (
            "to the zero address",
            replaced(valid, &address(), &[0; 20]),
            "transaction/bad-destination",
        ),
    ]
}

#[tokio::test]
async fn bytes_that_are_not_understood_are_malformed() {
    let scene = Scene::with_both().await;
    let client = scene.deployment.client("pipeline").await.unwrap();
    let valid = small("valid").unsigned();
    for (at, (what, unsigned, tag)) in mutations(&valid).into_iter().enumerate() {
        assert_ne!(unsigned, valid, "{what} changes nothing");
        let withdrawal = exactly(&scene, &format!("bytes-{at}"), 0, unsigned);
        let found = outcome(&client, &withdrawal).await;
        assert_eq!(found, (State::Malformed, vec![tag.to_owned()]), "{what}");
        scene.assert_unsigned(&withdrawal).await;
    }
    // None of them took the nonce.
    scene.assert_signed_with(&scene.withdrawal(&small("valid")), &[]).await;
}

/// A template that was not understood is mended with another attempt.
#[tokio::test]
async fn a_malformed_template_is_mended() {
    let scene = Scene::with_both().await;
    let client = scene.deployment.client("pipeline").await.unwrap();
    let good = small("mended").template().unsigned();
    let mut body = small("mended").body(&good);
    body.transaction = TransactionBinding::Template(TemplateKind::EvmNonceAndFee);
    let initiator = scene.deployment.initiator().unwrap();
    let withdrawal = scene.request(body, good[..good.len() - 1].to_vec(), scene.header(), &initiator);
    let found = outcome(&client, &withdrawal).await;
    assert_eq!(found, (State::Malformed, vec!["transaction/malformed".to_owned()]));
    client.add_attempt(&withdrawal.id, &good).await.unwrap();
    let signed = client
        .wait(&withdrawal.id, countersign_client::Until::Decided, crate::PATIENCE)
        .await
        .unwrap();
    assert_eq!(signed.state, State::Signed);
    assert_eq!(scene.signatures(&withdrawal.id).await.len(), 1);
}

#[tokio::test]
async fn wallets_and_networks_are_those_of_the_bundle() {
    let scene = Scene::with_both().await;
    let client = scene.deployment.client("pipeline").await.unwrap();
    let unknown_wallet = scene.withdrawal(&Ask {
        wallet: "eth-hott",
        ..small("unknown-wallet")
    });
    let elsewhere = {
        let unsigned = small("unknown-network").unsigned();
        let body = small("unknown-network").body(&unsigned);
        // The same request for the main network, as JSON: every name of the network is changed at once.
        let text = serde_json::to_string(&body)
            .unwrap()
            .replace("eip155:31337", "eip155:1");
        let initiator = scene.deployment.initiator().unwrap();
        let body = serde_json::from_str(&text).unwrap();
        scene.request(body, unsigned, scene.header(), &initiator)
    };
    for (withdrawal, tag) in [
        (unknown_wallet, "request/unknown-wallet"),
        (elsewhere, "request/unknown-network"),
    ] {
        let (state, tags) = outcome(&client, &withdrawal).await;
        assert_eq!(tags, [tag]);
        assert!(matches!(state, State::Refused | State::Denied), "{state:?}");
        scene.assert_unsigned(&withdrawal).await;
    }
}

/// People approved these bytes; one byte is another when the attempt arrives.
#[tokio::test]
async fn a_byte_that_changed_after_the_approval_is_denied() {
    let scene = Scene::with_both().await;
    let client = scene.deployment.client("pipeline").await.unwrap();
    let alice = scene.deployment.client("alice").await.unwrap();
    let withdrawal = scene.withdrawal(&large("approved"));
    assert_eq!(outcome(&client, &withdrawal).await.0, State::PendingApproval);
    alice
        .send_statement(&scene.approval("alice", &withdrawal))
        .await
        .unwrap();
    // A transaction of one withdrawal is one: another under the same request is a conflict at once.
    let mut changed = withdrawal.unsigned.clone();
    let at = changed.len() / 2;
    changed[at] ^= 1;
    let refusal = client.submit(&withdrawal.request, &changed).await;
    assert_eq!(
        crate::support::refused_client(refusal),
        countersign_types::Tag::ReferenceConflict
    );
    client.add_attempt(&withdrawal.id, &changed).await.unwrap();
    alice.send_statement(&scene.approval("bob", &withdrawal)).await.unwrap();
    let answer = client
        .wait(&withdrawal.id, countersign_client::Until::Decided, crate::PATIENCE)
        .await
        .unwrap();
    let tags: Vec<_> = answer.reasons.iter().map(|reason| reason.tag.as_str()).collect();
    assert_eq!(answer.state, State::Refused);
    assert!(tags.contains(&"request/transaction-mismatch"), "{tags:?}");
    assert_eq!(answer.signed(), None);
    scene.assert_unsigned(&withdrawal).await;
}

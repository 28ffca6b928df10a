//! Room for what services say: a lineage never runs out of it for what its next attempt needs, nor a service for a no.

use countersign_approval::{Body, Ed25519Signer, Envelope, Kind, Screening, ScreeningResult, Statement, seal};
use countersign_bundle::Bundle;
use countersign_decision::testing::attested::{DESK, POLICY, SOURCES, attested_files};
use countersign_decision::testing::{Ask, sealed, withdrawal};
use countersign_decision::{MAX_ATTEMPTS, Receipt};
use countersign_types::Tag;
use data_encoding::BASE64;
use ed25519_dalek::SigningKey;

use crate::attested::{approvals, entry, logged, order, quotes, say, screening};
use crate::support::{Rig, assert_pending, assert_signed};

/// However much of what a service says was journaled for a withdrawal: what it says against a payment finds room.
#[tokio::test]
async fn there_is_room_for_a_failed_screening() {
    let rig = Rig::attested(POLICY).await;
    let ask = order(0);
    let request = rig.world.request(&ask);
    // None of them replaces another.
    for _ in 1..=50 {
        drop(say(&rig, &ask, &request, &[&entry(&rig, 3)]).await);
    }
    assert_eq!(logged(&rig, Kind::AddressBook).await, 48);
    let failed = screening(&rig, &request, |s| s.result = ScreeningResult::Fail);
    rig.signer.record_statement(&failed.to_bytes()).await.unwrap();
}

/// Where the wallet may pay itself, which is what a cancel attempt does.
fn policy() -> String {
    const OWN: &str =
        "  - id: own\n    effects: [internal]\n    total: { max: { USD: \"50000 USD\" } }\n  - id: network-fees\n";
    POLICY.replace("  - id: network-fees\n", OWN)
}

/// A lineage that has been bumped as often as one may be, each time with what services say by then.
struct Bumped {
    rig: Rig,
    ask: Ask,
    request: Envelope,
}

const ATTEMPTS: u64 = 64;

impl Bumped {
    async fn new() -> Self {
        assert_eq!(ATTEMPTS, u64::from(MAX_ATTEMPTS));
        let rig = Rig::attested(&policy()).await;
        let ask = Ask {
            is_template: true,
            ..order(0)
        };
        let request = rig.world.request(&ask);
        let [alice, bob] = approvals(&rig, &request, &ask);
        drop(say(&rig, &ask, &request, &[&alice, &bob, &entry(&rig, 3)]).await);
        for n in 1..=ATTEMPTS {
            let bumped = Ask {
                max_fee_per_gas: 20_000_000_000 + u128::from(n),
                ..ask.clone()
            };
            let [a, b] = quotes(&rig, n);
            let passed = screening(&rig, &request, |s| s.sequence = n);
            assert_signed(&say(&rig, &bumped, &request, &[&a, &b, &passed]).await);
        }
        Self { rig, ask, request }
    }

    async fn receipt(&self) -> Receipt {
        let bytes = self.rig.signer.receipt(withdrawal(&self.request)).await.unwrap();
        Receipt::verify(&bytes, &self.rig.world.genesis_bytes).unwrap()
    }

    /// What takes the place of what is signed.
    fn to_itself(&self) -> Ask {
        Ask {
            amount: 0,
            destination: self.rig.world.wallet_address().to_string(),
            max_fee_per_gas: 40_000_000_000,
            ..self.ask.clone()
        }
    }

    fn failed(&self) -> Screening {
        Screening {
            result: ScreeningResult::Fail,
            sequence: ATTEMPTS + 1,
            ..self
                .rig
                .world
                .screening_body(&self.request, &Ask::default(), self.rig.world.issued_at)
        }
    }

    fn cancel(&self) -> Envelope {
        self.rig
            .world
            .cancel_for("payout-service", &self.request, 10_000_000_000_000_000)
    }
}

#[tokio::test]
async fn what_was_replaced_takes_no_room() {
    let mut bumped = Bumped::new().await;
    let receipt = bumped.receipt().await;
    // Two people, the book, two quotes and one screening, whatever was said before.
    assert_eq!(receipt.decision.unwrap().statements.len(), 6);
    assert_eq!(receipt.others.len(), 63);
    let failed = bumped.rig.world.sign(DESK, Body::Screening(bumped.failed()));
    bumped.rig.signer.record_statement(&failed.to_bytes()).await.unwrap();
    bumped.rig = bumped.rig.restart().await;
    bumped.rig.advance(301);
    let (attempt, cancel) = (bumped.to_itself(), bumped.cancel());
    let answer = say(&bumped.rig, &attempt, &bumped.request, &[&cancel]).await;
    assert_pending(&answer, Tag::PriceMissing);
    let [a, b] = quotes(&bumped.rig, ATTEMPTS + 1);
    assert_signed(&say(&bumped.rig, &attempt, &bumped.request, &[&a, &b]).await);
    bumped.receipt().await;
}

/// The key pairs of RFC 8032, 7.1, tests 1 and 2.
const KEYS: [(&str, &str); 2] = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "ed25519:d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "ed25519:3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
    ),
];

/// Signs with one of these keys.
fn signed(rig: &Rig, key: usize, body: Body) -> Envelope {
    let digits = KEYS[key].0.as_bytes().chunks(2);
    let digits = digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap());
    let seed: Vec<u8> = digits.collect();
    let signer = Ed25519Signer::new(SigningKey::from_bytes(&seed.try_into().unwrap()));
    let header = rig.world.header();
    seal(&Statement { header, body }, &signer).unwrap()
}

/// A receipt with one letter of the signature changed of the first statement of a type.
fn spoiled(receipt: &[u8], of_type: &str) -> Vec<u8> {
    let mut json: serde_json::Value = serde_json::from_slice(receipt).unwrap();
    let statements = json["statements"].as_array_mut().unwrap().iter_mut();
    for statement in statements {
        let envelope = BASE64
            .decode(statement["envelope"].as_str().unwrap().as_bytes())
            .unwrap();
        let mut envelope: serde_json::Value = serde_json::from_slice(&envelope).unwrap();
        if envelope["payloadType"] == of_type {
            let signature = envelope["signatures"][0]["sig"].as_str().unwrap();
            let other = if signature.starts_with('A') { "B" } else { "A" };
            envelope["signatures"][0]["sig"] = format!("{other}{}", &signature[1..]).into();
            let keys = ["payloadType", "payload", "signatures"].map(|key| format!("\"{key}\":{}", envelope[key]));
            let text = format!("{{{}}}", keys.join(","));
            statement["envelope"] = BASE64.encode(text.as_bytes()).into();
            return serde_json::to_vec(&json).unwrap();
        }
    }
    panic!("no statement of {of_type}")
}

/// Nor does what services said under keys that they have no more: the same service says no, and quotes for the cancel attempt.
#[tokio::test]
async fn what_verifies_no_more_takes_no_room() {
    let bumped = Bumped::new().await;
    let rig = &bumped.rig;
    let mut roster = rig.world.roster();
    for (service, (_, key)) in [DESK, SOURCES[0]].into_iter().zip(KEYS) {
        let record = roster.services.iter_mut().find(|record| record.id.as_str() == service);
        record.unwrap().keys = vec![key.to_owned()];
    }
    let in_force = Bundle::load(&rig.world.files).unwrap();
    let next = sealed(2, Some(in_force.digest()), attested_files(&roster, &policy()));
    rig.activate(&["alice", "bob"], next).await.unwrap();
    let failed = signed(rig, 0, Body::Screening(bumped.failed()));
    rig.signer.record_statement(&failed.to_bytes()).await.unwrap();
    rig.advance(301);
    let [a, b] = quotes(rig, ATTEMPTS + 1);
    let verified = countersign_approval::verify(&a, rig.world.bundle().roster()).unwrap();
    let a = signed(rig, 1, verified.statement().body.clone());
    let (attempt, cancel) = (bumped.to_itself(), bumped.cancel());
    let answer = say(rig, &attempt, &bumped.request, &[&cancel, &a, &b]).await;
    assert_signed(&answer);
    // Two people, who cancelled, the no, and two quotes.
    let receipt = bumped.receipt().await;
    assert_eq!(receipt.decision.unwrap().statements.len(), 6);
    // What verifies under no roster that was in force was said by nobody, and excuses nothing.
    let bytes = rig.signer.receipt(withdrawal(&bumped.request)).await.unwrap();
    let spoiled = spoiled(&bytes, "application/vnd.countersign.screening.v1+json");
    let refused = Receipt::verify(&spoiled, &rig.world.genesis_bytes).unwrap_err();
    assert!(refused.to_string().contains("did not consider"), "{refused}");
}

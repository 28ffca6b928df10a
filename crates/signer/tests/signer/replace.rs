//! A higher fee ceiling for what is stuck: raised by statement, never lowered, and approved anew.

use crate::support;

use countersign_approval::{Approval, Body, Envelope};
use countersign_decision::testing::{Ask, withdrawal};
use countersign_decision::{Entry, Receipt};
use countersign_types::{Amount, EffectsText, Tag};
use support::{Rig, assert_denied, assert_pending, assert_signed, tags};

/// 0.021 ETH of fee, which is over the request's ceiling of 0.01 ETH.
fn expensive() -> Ask {
    Ask {
        is_template: true,
        max_fee_per_gas: 1_000_000_000_000,
        ..Ask::default()
    }
}

const RAISED: u128 = 30_000_000_000_000_000;

impl Rig {
    /// What a person approves under the raised ceiling.
    fn approval_of_raised(&self, person: &str, request: &Envelope, ask: &Ask) -> Envelope {
        let mut item = self.world.item(request, ask);
        let text = item.effects.as_str();
        let (old, new) = ("fee at most 10000000000000000 ", "fee at most 30000000000000000 ");
        assert!(text.contains(old) && text.contains("(0.01 ETH)"), "{text}");
        let text = text.replace(old, new).replace("(0.01 ETH)", "(0.03 ETH)");
        item.effects = EffectsText::parse(text).unwrap();
        item.fee_ceiling.amount = Amount::from(RAISED);
        self.world.sign(person, Body::Approval(Approval { items: vec![item] }))
    }
}

#[tokio::test]
async fn a_raised_ceiling_is_approved_anew_and_signed() {
    let rig = Rig::new().await;
    let ask = expensive();
    let request = rig.world.request(&ask);
    let old = ["alice", "bob"].map(|person| rig.world.approval(person, &request, &ask));
    let answer = rig.authorize(&ask, &request, &[&old[0], &old[1]]).await.unwrap();
    assert_denied(&answer, Tag::RequestFeeOverCeiling);

    let replace = rig.world.replace("dave", &request, RAISED);
    rig.signer.record_statement(&replace.to_bytes()).await.unwrap();
    let answer = rig.authorize(&ask, &request, &[]).await.unwrap();
    assert_pending(&answer, Tag::ApprovalMissing);
    assert!(tags(&answer).contains(&Tag::ApprovalEffectsMismatch), "{answer:?}");
    let new = ["alice", "bob"].map(|person| rig.approval_of_raised(person, &request, &ask));
    assert_signed(&rig.authorize(&ask, &request, &[&new[0], &new[1]]).await.unwrap());
    let receipt = rig.signer.receipt(withdrawal(&request)).await.unwrap();
    let receipt = Receipt::verify(&receipt, &rig.world.genesis_bytes).unwrap();
    assert!(receipt.txid.is_some() && receipt.effects.unwrap().as_str().contains("(0.03 ETH)"));
}

/// A receipt names every attempt that was signed, and does not verify without the entry of one that its decisions saw.
#[tokio::test]
async fn a_receipt_tells_of_the_other_attempts() {
    let rig = Rig::new().await;
    let ask = Ask {
        is_template: true,
        amount: 50_000_000_000_000_000,
        ..Ask::default()
    };
    let request = rig.world.request(&ask);
    let first = assert_signed(&rig.authorize(&ask, &request, &[]).await.unwrap());
    let bumped = Ask {
        max_fee_per_gas: 2 * ask.max_fee_per_gas,
        ..ask
    };
    let second = assert_signed(&rig.authorize(&bumped, &request, &[]).await.unwrap());
    let bytes = rig.signer.receipt(withdrawal(&request)).await.unwrap();
    let receipt = Receipt::verify(&bytes, &rig.world.genesis_bytes).unwrap();
    let names_native = receipt
        .assets
        .iter()
        .any(|record| record.id.to_string() == bumped.asset);
    assert!(names_native, "the trace can be written in units");
    assert_eq!(
        (receipt.txid, receipt.others),
        (Some(second.txid), vec![first.txid.clone()])
    );
    let mut json: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    let entries = json["entries"].as_array_mut().unwrap();
    let length = entries.len();
    let log = rig.signer.entries(0, 256).await.unwrap();
    let is_first = |bytes: &Vec<u8>| matches!(Entry::parse(bytes).unwrap(), Entry::Signature(signature) if signature.txid == first.txid);
    let index = log.iter().position(is_first).unwrap();
    entries.retain(|entry| entry["index"] != index);
    assert_eq!(entries.len(), length - 1);
    let refused = Receipt::verify(json.to_string().as_bytes(), &rig.world.genesis_bytes).unwrap_err();
    assert!(
        refused.to_string().contains("the entry of its signature is missing"),
        "{refused}"
    );
}

#[tokio::test]
async fn what_does_not_raise_or_may_not_does_not_count() {
    let rig = Rig::new().await;
    let ask = Ask {
        amount: 50_000_000_000_000_000,
        ..expensive()
    };
    let request = rig.world.request(&ask);
    assert_denied(
        &rig.authorize(&ask, &request, &[]).await.unwrap(),
        Tag::RequestFeeOverCeiling,
    );
    let strangers = rig.world.replace("carol", &request, RAISED);
    let refused = rig.signer.record_statement(&strangers.to_bytes()).await.unwrap_err();
    assert_eq!(refused.tag(), Tag::StatementNotPermitted);
    // The orchestrator brings it all the same, and one that lowers: neither counts.
    let lower = rig.world.replace("dave", &request, 1);
    let answer = rig.authorize(&ask, &request, &[&strangers, &lower]).await.unwrap();
    assert_denied(&answer, Tag::RequestFeeOverCeiling);
    // The service that asked may raise, and a lower one later takes nothing back.
    let raised = rig.world.replace("payout-service", &request, RAISED);
    let lower = rig.world.replace("dave", &request, RAISED - 1);
    assert_signed(&rig.authorize(&ask, &request, &[&raised, &lower]).await.unwrap());
    let log = rig.signer.entries(0, 256).await.unwrap();
    let decision = log.iter().rev().find_map(|entry| match Entry::parse(entry).unwrap() {
        Entry::Decision(decision) => Some(decision),
        _ => None,
    });
    let discounted: Vec<Option<Tag>> = decision.unwrap().statements.iter().map(|one| one.discounted).collect();
    let expected = [
        Some(Tag::StatementNotPermitted),
        Some(Tag::ReplaceNotRaised),
        None,
        Some(Tag::ReplaceNotRaised),
    ];
    assert_eq!(discounted, expected);
}

/// A ceiling is the initiator's bound; the policy has its own.
#[tokio::test]
async fn policy_bounds_fees_whatever_the_ceiling() {
    let rig = Rig::new().await;
    let ask = Ask {
        amount: 50_000_000_000_000_000,
        max_fee_per_gas: 3_000_000_000_000,
        ..expensive()
    };
    let request = rig.world.request(&ask);
    let raised = rig.world.replace("payout-service", &request, 10 * RAISED);
    assert_denied(
        &rig.authorize(&ask, &request, &[&raised]).await.unwrap(),
        Tag::PermitUncovered,
    );
}

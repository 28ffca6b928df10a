//! Bytes other than those that were asked for or approved.

use std::collections::BTreeSet;

use countersign_types::Amount;

use crate::support::{
    Ask, CUSTOMER, OTHER_CUSTOMER, STRANGER, Scene, Withdrawal, denied, filled, large, pending, tags,
};

/// The same request, other bytes.
fn with_bytes(withdrawal: &Withdrawal, ask: &Ask) -> Withdrawal {
    Withdrawal {
        unsigned: ask.unsigned(),
        ..withdrawal.clone()
    }
}

/// A change of bytes and the tags that it meets, in no order.
struct Change {
    what: &'static str,
    ask: Ask,
    tags: &'static [&'static str],
}

fn changes(asked: &Ask) -> Vec<Change> {
    let change = |what, tags, ask| Change { what, ask, tags };
    vec![
        change(
            "another recipient",
            &["request/payments-mismatch"],
            Ask {
                to: OTHER_CUSTOMER,
                ..asked.clone()
            },
        ),
        change(
            "the attacker",
            &["request/payments-mismatch"],
            Ask {
                to: STRANGER,
                ..asked.clone()
            },
        ),
        change(
            "more",
            &["request/payments-mismatch"],
            Ask {
                amount: "1.000000000000000001",
                ..asked.clone()
            },
        ),
        change(
            "a fee over the ceiling",
            &["request/fee-over-ceiling"],
            Ask {
                max_fee_gwei: asked.ceiling_gwei + 1,
                ..asked.clone()
            },
        ),
    ]
}

#[tokio::test]
async fn other_bytes_than_the_exact_ones_are_denied() {
    let scene = Scene::with_signer().await;
    let ask = large("exact");
    let withdrawal = scene.withdrawal(&ask);
    let approvals = ["alice", "bob"].map(|person| scene.approval(person, &withdrawal));
    let mut changes = changes(&ask);
    // What a template would leave open, an exact request does not.
    changes.push(Change {
        what: "another nonce",
        ask: Ask {
            nonce: 1,
            ..ask.clone()
        },
        tags: &[],
    });
    changes.push(Change {
        what: "a higher fee under the ceiling",
        ask: Ask {
            max_fee_gwei: 31,
            ..ask.clone()
        },
        tags: &[],
    });
    for change in changes {
        let answer = denied(scene.authorize(&with_bytes(&withdrawal, &change.ask), &approvals).await);
        let mut expected: BTreeSet<&str> = change.tags.iter().copied().collect();
        expected.insert("request/transaction-mismatch");
        assert_eq!(tags(&answer.reasons), expected, "{}", change.what);
        scene.assert_unsigned(&withdrawal).await;
    }
    scene.assert_signed_with(&withdrawal, &approvals).await;
}

#[tokio::test]
async fn other_effects_than_the_templates_are_denied() {
    let scene = Scene::with_signer().await;
    let ask = large("template").template();
    let withdrawal = scene.withdrawal(&ask);
    let approvals = ["alice", "bob"].map(|person| scene.approval(person, &withdrawal));
    for change in changes(&ask) {
        let answer = denied(scene.authorize(&with_bytes(&withdrawal, &change.ask), &approvals).await);
        let expected: BTreeSet<&str> = change.tags.iter().copied().collect();
        assert_eq!(tags(&answer.reasons), expected, "{}", change.what);
        scene.assert_unsigned(&withdrawal).await;
    }
    // A template leaves the fee open up to its ceiling, and the approvals count for that.
    let dearer = with_bytes(
        &withdrawal,
        &Ask {
            max_fee_gwei: 60,
            ..ask
        },
    );
    scene.assert_signed_with(&dearer, &approvals).await;
}

/// An approver who was shown other bytes signed other effects: the signature is good, and about something else.
#[tokio::test]
async fn approvals_of_other_effects_do_not_count() {
    let scene = Scene::with_signer().await;
    let ask = large("shown");
    let withdrawal = scene.withdrawal(&ask);
    let shown = with_bytes(
        &withdrawal,
        &Ask {
            to: OTHER_CUSTOMER,
            ..ask.clone()
        },
    );
    let mut item = scene.item(&shown);
    let wrong_effects = scene.approval_by(&scene.person("alice"), scene.header(), item.clone());
    item = scene.item(&withdrawal);
    item.fee_ceiling.amount = item.fee_ceiling.amount.checked_add(Amount::from_base_units(1)).unwrap();
    let wrong_ceiling = scene.approval_by(&scene.person("bob"), scene.header(), item);
    let answer = pending(scene.authorize(&withdrawal, &[wrong_effects, wrong_ceiling]).await);
    let expected = [
        "approval/missing",
        "approval/effects-mismatch",
        "approval/fee-ceiling-mismatch",
    ];
    assert_eq!(tags(&answer.reasons), expected.into());
    assert_eq!(filled(&answer), 0);
    scene.assert_unsigned(&withdrawal).await;
    let honest = ["carol", "bob"].map(|person| scene.approval(person, &withdrawal));
    scene.assert_signed_with(&withdrawal, &honest).await;
}

/// One flipped bit in what people signed.
#[tokio::test]
async fn changed_statements_do_not_verify() {
    let scene = Scene::with_signer().await;
    let withdrawal = scene.withdrawal(&large("changed"));
    let approval = scene.approval("alice", &withdrawal);
    let payload = String::from_utf8(approval.payload().to_vec()).unwrap();
    assert!(payload.contains(CUSTOMER));
    let forged = countersign_approval::Envelope::new(
        approval.kind(),
        payload.replace(CUSTOMER, OTHER_CUSTOMER).into_bytes(),
        approval.key_id().to_owned(),
        approval.signature().to_vec(),
    )
    .unwrap();
    let answer = pending(
        scene
            .authorize(&withdrawal, &[forged, scene.approval("bob", &withdrawal)])
            .await,
    );
    assert_eq!(
        tags(&answer.reasons),
        ["approval/missing", "statement/bad-signature"].into()
    );
    assert_eq!(filled(&answer), 1);
    scene.assert_unsigned(&withdrawal).await;
    scene.assert_signed_with(&withdrawal, &[approval]).await;
}

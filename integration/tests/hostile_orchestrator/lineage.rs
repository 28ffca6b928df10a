//! Paying twice, in every way that an orchestrator has.

use countersign_proto::signer::v1::evaluate_response;

use crate::support::{Ask, OTHER_CUSTOMER, Scene, Withdrawal, denied, large, pending, signed, small, tags};

#[tokio::test]
async fn a_reference_names_one_request_for_ever() {
    let scene = Scene::with_signer().await;
    let first = scene.withdrawal(&large("reference"));
    pending(scene.authorize(&first, &[]).await);
    let changes = [
        Ask {
            to: OTHER_CUSTOMER,
            ..small("reference")
        },
        small("reference"),
        // Nothing but the payment's name, and not even that: another statement of the same.
        Ask {
            payment: "payment-else".to_owned(),
            ..large("reference")
        },
        large("reference"),
    ];
    for ask in changes {
        let other = scene.withdrawal(&ask);
        let answer = denied(scene.authorize(&other, &[]).await);
        assert_eq!(tags(&answer.reasons), ["reference/conflict"].into(), "{ask:?}");
        scene.assert_unsigned(&other).await;
    }
    let approvals = ["alice", "bob"].map(|person| scene.approval(person, &first));
    scene.assert_signed_with(&first, &approvals).await;
}

/// Asking again, also many times at once, returns the very same bytes: one signature is made.
#[tokio::test]
async fn the_same_withdrawal_is_signed_once() {
    let scene = Scene::with_signer().await;
    let withdrawal = scene.withdrawal(&small("twice"));
    let request = || crate::support::authorize_request(&withdrawal, &[]);
    let calls: Vec<_> = (0..8)
        .map(|_| {
            let (mut signing, request) = (scene.signing.clone(), request());
            tokio::spawn(async move { signing.authorize(request).await.unwrap().into_inner().outcome.unwrap() })
        })
        .collect();
    let mut answers = Vec::new();
    for call in calls {
        answers.push(signed(call.await.unwrap()));
    }
    answers.push(signed(scene.authorize(&withdrawal, &[]).await));
    for answer in &answers {
        assert_eq!(*answer, answers[0]);
    }
    assert_eq!(scene.signatures(&withdrawal.id).await.len(), 1);
}

/// The keystore for development stands behind the same wall.
#[tokio::test]
async fn the_keystore_signs_what_is_approved_and_nothing_else() {
    let scene = Scene::with_signer_on_keystore().await;
    let withdrawal = scene.withdrawal(&large("keystore"));
    let approvals = ["alice", "bob"].map(|person| scene.approval(person, &withdrawal));
    let other = Withdrawal {
        unsigned: Ask {
            to: OTHER_CUSTOMER,
            ..large("keystore")
        }
        .unsigned(),
        ..withdrawal.clone()
    };
    let answer = denied(scene.authorize(&other, &approvals).await);
    let expected = ["request/payments-mismatch", "request/transaction-mismatch"];
    assert_eq!(tags(&answer.reasons), expected.into());
    scene.assert_unsigned(&withdrawal).await;
    scene.assert_signed_with(&withdrawal, &approvals).await;
}

/// A template leaves the nonce open, until it is signed: with another nonce both could be mined.
#[tokio::test]
async fn a_signed_template_keeps_its_nonce() {
    let scene = Scene::with_signer().await;
    let ask = small("anchor").template();
    let withdrawal = scene.withdrawal(&ask);
    let first = scene.assert_signed_with(&withdrawal, &[]).await;
    for (nonce, expected) in [(1, vec!["lineage/anchor-changed"]), (7, vec!["lineage/anchor-changed"])] {
        let other = Withdrawal {
            unsigned: Ask { nonce, ..ask.clone() }.unsigned(),
            ..withdrawal.clone()
        };
        let answer = denied(scene.authorize(&other, &[]).await);
        assert_eq!(tags(&answer.reasons), expected.into_iter().collect());
        assert_eq!(scene.signatures(&withdrawal.id).await.len(), 1);
    }
    // A dearer transaction with the same nonce replaces it: at most one of the two is ever mined.
    let dearer = Withdrawal {
        unsigned: Ask {
            max_fee_gwei: 40,
            ..ask
        }
        .unsigned(),
        ..withdrawal.clone()
    };
    let second = signed(scene.authorize(&dearer, &[]).await);
    assert_eq!((first.attempt, second.attempt), (1, 2));
    assert_ne!(first.txid, second.txid);
}

#[tokio::test]
async fn a_payment_is_claimed_by_one_request() {
    let scene = Scene::with_signer().await;
    let first = scene.withdrawal(&small("first"));
    scene.assert_signed_with(&first, &[]).await;
    let again = scene.withdrawal(&Ask {
        payment: "payment-first".to_owned(),
        nonce: 1,
        ..small("second")
    });
    let answer = denied(scene.authorize(&again, &[]).await);
    assert_eq!(tags(&answer.reasons), ["payment/already-claimed"].into());
    assert!(answer.r#final);
    scene.assert_unsigned(&again).await;
    let other = scene.withdrawal(&Ask {
        nonce: 1,
        ..small("third")
    });
    scene.assert_signed_with(&other, &[]).await;
}

#[tokio::test]
async fn nonces_follow_each_other() {
    let scene = Scene::with_signer().await;
    let at = |name: &str, nonce| scene.withdrawal(&Ask { nonce, ..small(name) });
    // A signature for a later nonce waits for whoever fills the gap.
    for nonce in [1, 5, u64::MAX - 1] {
        let early = at(&format!("gap-{nonce}"), nonce);
        let answer = pending(scene.authorize(&early, &[]).await);
        assert_eq!(tags(&answer.reasons), ["conflict-key/gap"].into());
        assert!(answer.reasons[0].message.contains("the next one is 0"), "{answer:?}");
        scene.assert_unsigned(&early).await;
    }
    scene.assert_signed_with(&at("nonce-0", 0), &[]).await;
    let taken = at("taken", 0);
    let answer = denied(scene.authorize(&taken, &[]).await);
    assert_eq!(tags(&answer.reasons), ["conflict-key/taken"].into());
    scene.assert_unsigned(&taken).await;
    scene.assert_signed_with(&at("nonce-1", 1), &[]).await;
}

/// A preview leaves nothing behind: no entry, no claim, no statement.
#[tokio::test]
async fn an_evaluation_has_no_side_effects() {
    let scene = Scene::with_signer().await;
    let before = scene.log().await;
    let withdrawal = scene.withdrawal(&small("preview"));
    let approved = scene.withdrawal(&large("preview-large"));
    let approvals = ["alice", "bob"].map(|person| scene.approval(person, &approved));
    for _ in 0..3 {
        let answer = scene.evaluate(&withdrawal, &[]).await;
        assert!(matches!(answer, evaluate_response::Outcome::Allowed(_)), "{answer:?}");
        let answer = scene.evaluate(&approved, &approvals).await;
        assert!(matches!(answer, evaluate_response::Outcome::Allowed(_)), "{answer:?}");
        let stranger = Ask {
            to: crate::support::STRANGER,
            ..small("preview-stranger")
        };
        let answer = scene.evaluate(&scene.withdrawal(&stranger), &[]).await;
        assert!(matches!(answer, evaluate_response::Outcome::Denied(_)), "{answer:?}");
    }
    assert_eq!(scene.log().await, before);
    // The approvals that it showed were not journaled: they must be sent.
    let answer = pending(scene.authorize(&approved, &[]).await);
    assert_eq!(crate::support::filled(&answer), 0);
    // Neither reference nor nonce was taken.
    let other = scene.withdrawal(&Ask {
        to: OTHER_CUSTOMER,
        ..small("preview")
    });
    scene.assert_signed_with(&other, &[]).await;
}

/// Statements are single use: one nonce, one statement, whatever it says.
#[tokio::test]
async fn a_nonce_is_used_once() {
    let scene = Scene::with_signer().await;
    let first = scene.withdrawal(&large("nonce-first"));
    let second = scene.withdrawal(&large("nonce-second"));
    let header = scene.header();
    let alice = scene.person("alice");
    let used = scene.approval_by(&alice, header, scene.item(&first));
    pending(scene.authorize(&first, &[used]).await);
    let again = scene.approval_by(&alice, header, scene.item(&second));
    let answer = pending(scene.authorize(&second, &[again]).await);
    assert_eq!(
        tags(&answer.reasons),
        ["approval/missing", "statement/nonce-reused"].into()
    );
    assert_eq!(crate::support::filled(&answer), 0);
    scene.assert_unsigned(&second).await;
}

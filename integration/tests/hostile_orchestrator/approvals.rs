//! Approvals that are real and do not count, and rejections that somebody would rather not pass on.

use std::{slice, time::Duration};

use countersign_client::Until;
use countersign_integration::{Deployment, Person, header, header_between, now_secs};
use countersign_types::Tag;
use serde_json::{Value, json};

use crate::support::{Scene, denied, filled, large, pending, refused, replace, small, tags};

#[tokio::test]
async fn approvals_of_another_withdrawal_do_not_count() {
    let scene = Scene::with_signer().await;
    let approved = scene.withdrawal(&large("approved"));
    let approvals = ["alice", "bob"].map(|person| scene.approval(person, &approved));
    // The same payment in everything but its name: the effects text is the same, byte for byte.
    let other = scene.withdrawal(&large("other"));
    let answer = pending(scene.authorize(&other, &approvals).await);
    assert_eq!(
        tags(&answer.reasons),
        ["approval/missing", "approval/other-withdrawal"].into()
    );
    assert_eq!(filled(&answer), 0);
    scene.assert_unsigned(&other).await;
    scene.assert_signed_with(&approved, &approvals).await;
}

#[tokio::test]
async fn one_approver_with_two_keys_fills_one_seat() {
    let mut scene = Scene::with_signer().await;
    let second = Person::generate("alice-2").unwrap();
    let first_line = scene.person("alice").public_line().to_owned();
    let both = format!("{first_line}\"\n      - \"{}", second.public_line());
    scene
        .amend(|files| replace(files, "roster.yaml", &first_line, &both))
        .await;
    let withdrawal = scene.withdrawal(&large("two-keys"));
    let approvals = [
        scene.approval("alice", &withdrawal),
        scene.approval_by(&second, scene.header(), scene.item(&withdrawal)),
    ];
    let answer = pending(scene.authorize(&withdrawal, &approvals).await);
    assert_eq!(
        tags(&answer.reasons),
        ["approval/missing", "approval/same-person"].into()
    );
    assert_eq!(filled(&answer), 1);
    scene.assert_unsigned(&withdrawal).await;
    let bob = scene.approval("bob", &withdrawal);
    scene.assert_signed_with(&withdrawal, &[bob]).await;
}

/// dave operates the payout service: as a member of the treasury he still does not approve what it asks for.
#[tokio::test]
async fn who_operates_the_initiator_does_not_approve() {
    let mut scene = Scene::with_signer().await;
    let (without, with) = (
        "{ id: \"treasury\", members: [\"alice\", \"bob\", \"carol\"] }",
        "{ id: \"treasury\", members: [\"alice\", \"bob\", \"carol\", \"dave\"] }",
    );
    scene.amend(|files| replace(files, "roster.yaml", without, with)).await;
    let withdrawal = scene.withdrawal(&large("insider"));
    let approvals = ["dave", "alice"].map(|person| scene.approval(person, &withdrawal));
    let answer = pending(scene.authorize(&withdrawal, &approvals).await);
    assert_eq!(
        tags(&answer.reasons),
        ["approval/missing", "approval/by-initiator"].into()
    );
    assert_eq!(filled(&answer), 1);
    scene.assert_unsigned(&withdrawal).await;
    let bob = scene.approval("bob", &withdrawal);
    scene.assert_signed_with(&withdrawal, &[bob]).await;
}

/// Membership is as of signing: carol approved while she was a member, and left before the withdrawal was complete.
#[tokio::test]
async fn an_approver_who_left_does_not_count() {
    let mut scene = Scene::with_signer().await;
    let withdrawal = scene.withdrawal(&large("left"));
    let early = scene.approval("carol", &withdrawal);
    assert_eq!(filled(&pending(scene.authorize(&withdrawal, &[early]).await)), 1);
    // Still a person of the roster, no longer in the treasury.
    let (member, left) = (
        "members: [\"alice\", \"bob\", \"carol\"] }\ninitiators",
        "members: [\"alice\", \"bob\"] }\ninitiators",
    );
    scene.amend(|files| replace(files, "roster.yaml", member, left)).await;
    let approvals = ["alice", "carol"].map(|person| scene.approval(person, &withdrawal));
    let answer = pending(scene.authorize(&withdrawal, &approvals).await);
    // Her first one is of the old policy as well, and that is found first.
    let expected = ["approval/missing", "approval/not-member", "approval/policy-mismatch"];
    assert_eq!(tags(&answer.reasons), expected.into());
    assert_eq!(filled(&answer), 1);
    scene.assert_unsigned(&withdrawal).await;
}

#[tokio::test]
async fn the_key_of_somebody_who_is_gone_is_unknown() {
    let mut scene = Scene::with_signer().await;
    let withdrawal = scene.withdrawal(&large("gone"));
    let early = scene.approval("carol", &withdrawal);
    assert_eq!(filled(&pending(scene.authorize(&withdrawal, &[early]).await)), 1);
    let line = scene.person("carol").public_line().to_owned();
    scene
        .amend(|files| {
            let record = format!("  - id: \"carol\"\n    keys:\n      - \"{line}\"\n");
            replace(files, "roster.yaml", &record, "");
            replace(files, "roster.yaml", ", \"carol\"]", "]");
        })
        .await;
    let approvals = ["alice", "carol"].map(|person| scene.approval(person, &withdrawal));
    let answer = pending(scene.authorize(&withdrawal, &approvals).await);
    assert_eq!(
        tags(&answer.reasons),
        ["approval/missing", "statement/unknown-key"].into()
    );
    assert_eq!(filled(&answer), 1);
    scene.assert_unsigned(&withdrawal).await;
    let bob = scene.approval("bob", &withdrawal);
    scene.assert_signed_with(&withdrawal, &[bob]).await;
}

#[tokio::test]
async fn an_expired_approval_does_not_count() {
    let scene = Scene::with_signer().await;
    let withdrawal = scene.withdrawal(&large("expired"));
    let expired = scene.approval_by(&scene.person("alice"), scene.expired_header(), scene.item(&withdrawal));
    let future = now_secs().unwrap() + 3_600;
    let early = header_between(scene.genesis, future, future + 3_600).unwrap();
    let early = scene.approval_by(&scene.person("carol"), early, scene.item(&withdrawal));
    let answer = pending(
        scene
            .authorize(&withdrawal, &[expired, early, scene.approval("bob", &withdrawal)])
            .await,
    );
    let expected = ["approval/missing", "statement/expired", "statement/not-yet-valid"];
    assert_eq!(tags(&answer.reasons), expected.into());
    assert_eq!(filled(&answer), 1);
    scene.assert_unsigned(&withdrawal).await;
    let fresh = scene.approval("alice", &withdrawal);
    scene.assert_signed_with(&withdrawal, &[fresh]).await;
}

/// It counted while it was valid; keeping it in the journal does not make it last.
#[tokio::test]
async fn an_approval_expires_after_it_was_journaled_too() {
    let scene = Scene::with_signer().await;
    let withdrawal = scene.withdrawal(&large("lapsed"));
    let now = now_secs().unwrap();
    let short = header_between(scene.genesis, now, now + 3).unwrap();
    let lapsing = scene.approval_by(&scene.person("alice"), short, scene.item(&withdrawal));
    pending(scene.authorize(&withdrawal, slice::from_ref(&lapsing)).await);
    while now_secs().unwrap() <= now + 3 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let bob = scene.approval("bob", &withdrawal);
    let answer = pending(scene.authorize(&withdrawal, &[lapsing, bob]).await);
    assert_eq!(tags(&answer.reasons), ["approval/missing", "statement/expired"].into());
    assert_eq!(filled(&answer), 1);
    scene.assert_unsigned(&withdrawal).await;
}

#[tokio::test]
async fn statements_of_another_deployment_do_not_count() {
    let scene = Scene::with_signer().await;
    let other = Deployment::init().unwrap();
    let elsewhere = other.genesis().unwrap().hash();
    assert_ne!(elsewhere, scene.genesis);
    let ask = large("elsewhere");
    let withdrawal = scene.withdrawal(&ask);
    // Our people's own keys, for another deployment.
    let moved = scene.approval_by(
        &scene.person("alice"),
        header(elsewhere).unwrap(),
        scene.item(&withdrawal),
    );
    // The other deployment's people.
    let stranger = other.person("bob").unwrap();
    let foreign = scene.approval_by(&stranger, header(elsewhere).unwrap(), scene.item(&withdrawal));
    let answer = pending(scene.authorize(&withdrawal, &[moved, foreign]).await);
    let expected = [
        "approval/missing",
        "statement/unknown-key",
        "statement/wrong-deployment",
    ];
    assert_eq!(tags(&answer.reasons), expected.into());
    assert_eq!(filled(&answer), 0);
    // And requests.
    let initiator = scene.deployment.initiator().unwrap();
    let moved = scene.withdrawal_with(&ask, header(elsewhere).unwrap(), &initiator);
    let answer = denied(scene.authorize(&moved, &[]).await);
    assert_eq!(tags(&answer.reasons), ["statement/wrong-deployment"].into());
    let foreign = scene.withdrawal_with(&ask, scene.header(), &other.initiator().unwrap());
    assert_eq!(
        refused(scene.try_authorize(&foreign, &[]).await),
        Tag::StatementUnknownKey
    );
    for withdrawal in [&withdrawal, &moved, &foreign] {
        scene.assert_unsigned(withdrawal).await;
    }
}

/// bob rejects at the signer itself; the orchestrator shows two approvals and keeps quiet about him.
#[tokio::test]
async fn a_withheld_rejection_ends_the_withdrawal() {
    let scene = Scene::with_signer().await;
    for (name, is_known) in [("rejected-first", false), ("rejected-later", true)] {
        let withdrawal = scene.withdrawal(&large(name));
        let alice = scene.approval("alice", &withdrawal);
        if is_known {
            pending(scene.authorize(&withdrawal, slice::from_ref(&alice)).await);
        }
        let bob = scene.deployment.people("bob").await.unwrap();
        bob.submit_statement(&scene.rejection("bob", &withdrawal))
            .await
            .unwrap();
        let answer = denied(
            scene
                .authorize(&withdrawal, &[alice, scene.approval("carol", &withdrawal)])
                .await,
        );
        assert_eq!(tags(&answer.reasons), ["approval/rejected"].into(), "{name}");
        assert!(answer.r#final);
        scene.assert_unsigned(&withdrawal).await;
    }
}

/// The initiator's operator and the officer take it back at the signer itself.
#[tokio::test]
async fn a_withheld_cancel_ends_the_withdrawal() {
    let scene = Scene::with_signer().await;
    let withdrawal = scene.withdrawal(&large("cancelled"));
    let approvals = ["alice", "bob"].map(|person| scene.approval(person, &withdrawal));
    pending(scene.authorize(&withdrawal, &approvals[..1]).await);
    let dave = scene.deployment.people("dave").await.unwrap();
    dave.submit_statement(&scene.cancel("dave", &withdrawal)).await.unwrap();
    let answer = denied(scene.authorize(&withdrawal, &approvals).await);
    assert_eq!(tags(&answer.reasons), ["withdrawal/cancelled"].into());
    assert!(answer.r#final);
    scene.assert_unsigned(&withdrawal).await;
}

/// Approvals that say that they are an hour old do not shorten a time-lock: it counts from the signer's own first sight.
#[tokio::test]
async fn a_backdated_approval_does_not_shorten_a_time_lock() {
    let mut scene = Scene::with_signer().await;
    let (without, with) = (
        "approvals: { treasury: 2 }",
        "approvals: { treasury: 2 }\n    time-lock: 30m",
    );
    scene.amend(|files| replace(files, "policy.yaml", without, with)).await;
    let withdrawal = scene.withdrawal(&large("locked"));
    let before = now_secs().unwrap();
    let backdated = || header_between(scene.genesis, before - 7_200, before + 7_200).unwrap();
    let approvals = ["alice", "bob"].map(|name| {
        let person = scene.person(name);
        scene.approval_by(&person, backdated(), scene.item(&withdrawal))
    });
    for _ in 0..2 {
        let answer = pending(scene.authorize(&withdrawal, &approvals).await);
        assert_eq!(tags(&answer.reasons), ["approval/time-lock"].into());
        assert!(
            answer.not_before_ms >= (before + 1_800) * 1_000,
            "{}",
            answer.not_before_ms
        );
        scene.assert_unsigned(&withdrawal).await;
    }
}

#[tokio::test]
async fn an_approval_under_the_old_policy_does_not_count() {
    let mut scene = Scene::with_signer().await;
    let withdrawal = scene.withdrawal(&large("old-policy"));
    let old = ["alice", "bob"].map(|person| scene.approval(person, &withdrawal));
    scene
        .amend(|files| replace(files, "policy.yaml", "hard: \"8 ETH\"", "hard: \"7 ETH\""))
        .await;
    let answer = pending(scene.authorize(&withdrawal, &old).await);
    assert_eq!(
        tags(&answer.reasons),
        ["approval/missing", "approval/policy-mismatch"].into()
    );
    assert_eq!(filled(&answer), 0);
    scene.assert_unsigned(&withdrawal).await;
    let new = ["alice", "bob"].map(|person| scene.approval(person, &withdrawal));
    scene.assert_signed_with(&withdrawal, &new).await;
}

/// Whoever cancels or rejects refunds the customer next. What was signed before is known from the signer's own log, whatever the orchestrator says.
#[tokio::test]
async fn whoever_stops_what_is_signed_is_told() {
    let scene = Scene::with_both().await;
    let client = scene.deployment.client("pipeline").await.unwrap();
    let stop = |command: [&str; 2], person: &str, id: &str| {
        let arguments = [
            "--output", "json", command[0], command[1], id, "--as", person, "--reason", "drill",
        ];
        let output = scene.deployment.countersign(arguments, true).unwrap();
        let told: Value = serde_json::from_slice(&output.stdout).unwrap();
        (output.status.code().unwrap(), told)
    };
    let cancel = |id: &str| stop(["withdraw", "cancel"], "dave", id);
    let reject = |person: &str, id: &str| stop(["approvals", "reject"], person, id);
    let late = scene.withdrawal(&small("late"));
    let signed = client
        .submit_and_wait(&late.request, &late.unsigned, Until::Decided, Duration::from_secs(60))
        .await
        .unwrap();
    let (_, txid) = signed.signed().unwrap();
    let (code, told) = cancel(&late.id.to_string());
    assert_eq!((code, &told["signed"]), (1, &json!([txid])), "{told}");
    assert!(told["in_force_since"].is_string(), "later attempts are stopped");
    let said = told["orchestrator"].as_str().unwrap();
    assert!(said.contains("the withdrawal is signed"), "{said}");
    let (code, told) = reject("alice", &late.id.to_string());
    assert_eq!(
        (code, &told["signed"], &told["counts"]),
        (1, &json!([txid]), &json!(true)),
        "{told}"
    );

    // Nor is anybody told that they stopped what they cannot stop.
    let asked = scene.withdrawal(&large("asked"));
    client.submit(&asked.request, &asked.unsigned).await.unwrap();
    client
        .wait(&asked.id, Until::Answered, Duration::from_secs(60))
        .await
        .unwrap();
    // A person's own folder has no copy of the bundle: who is in which group the signer's verified chain says.
    std::fs::remove_dir_all(scene.deployment.path("bundle")).unwrap();
    let (code, told) = reject("dave", &asked.id.to_string());
    assert_eq!(
        (code, &told["signed"], &told["counts"]),
        (1, &json!([]), &json!(false)),
        "{told}"
    );
    let (code, told) = reject("bob", &asked.id.to_string());
    assert_eq!(
        (code, &told["signed"], &told["counts"]),
        (0, &json!([]), &json!(true)),
        "{told}"
    );

    let early = scene.withdrawal(&large("early"));
    client.submit(&early.request, &early.unsigned).await.unwrap();
    client
        .wait(&early.id, Until::Answered, Duration::from_secs(60))
        .await
        .unwrap();
    let (code, told) = cancel(&early.id.to_string());
    assert_eq!((code, &told["signed"]), (0, &json!([])), "{told}");
    // What the signer never saw is not signed either.
    let unseen = scene.withdrawal(&large("unseen"));
    let (code, told) = cancel(&unseen.id.to_string());
    assert_eq!((code, &told["signed"]), (0, &json!([])), "{told}");
}

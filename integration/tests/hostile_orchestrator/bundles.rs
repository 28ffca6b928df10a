//! Policies that the quorum did not put in force.

use std::collections::BTreeMap;

use countersign_bundle::Bundle;
use countersign_client::ClientError;
use countersign_integration::Deployment;
use countersign_types::{BundleDigest, Tag};

use crate::support::{Ask, Files, STRANGER, Scene, denied, large, refused_client, replace, small, tags};

/// What the attacker wants: everybody is a customer, and nobody needs to approve.
fn loosen(files: &mut Files) {
    replace(files, "destinations.yaml", crate::support::CUSTOMER, STRANGER);
    replace(
        files,
        "policy.yaml",
        "over: { ETH: \"0.1 ETH\"",
        "over: { ETH: \"9 ETH\"",
    );
}

fn loose(name: &str) -> Ask {
    Ask {
        to: STRANGER,
        ..small(name)
    }
}

async fn assert_version(scene: &Scene, version: u64) {
    let (_, active) = scene.people.bundles(0).await.unwrap();
    assert_eq!(active, version);
}

#[tokio::test]
async fn a_bundle_whose_quorum_is_short_is_refused() {
    let scene = Scene::with_signer().await;
    let files = scene.next_bundle(loosen);
    let alice = || scene.activation(&scene.person("alice"), &files);
    let dave = scene.activation(&scene.person("dave"), &files);
    let stranger = Deployment::init().unwrap().person("bob").unwrap();
    let stranger = scene.activation(&stranger, &files);
    let table = [
        (vec![], Tag::BundleQuorumShort),
        (vec![alice()], Tag::BundleQuorumShort),
        // Two statements of one admin.
        (vec![alice(), alice()], Tag::BundleQuorumShort),
        // An officer is no admin: what loosens does not count their word.
        (vec![alice(), dave], Tag::BundleQuorumShort),
        // The bob of another deployment.
        (vec![alice(), stranger], Tag::StatementUnknownKey),
    ];
    for (statements, tag) in table {
        assert_eq!(refused_client(scene.activate(&files, &statements).await), tag);
        assert_version(&scene, 1).await;
    }
    let withdrawal = scene.withdrawal(&loose("short"));
    let answer = denied(scene.authorize(&withdrawal, &[]).await);
    assert_eq!(tags(&answer.reasons), ["permit/uncovered"].into());
    scene.assert_unsigned(&withdrawal).await;
}

/// Under version 2 the first customer is gone. Version 1, with its real activation statements, does not bring it back.
#[tokio::test]
async fn an_older_bundle_is_not_put_in_force_again() {
    let mut scene = Scene::with_signer().await;
    let old = scene.bundle.files().clone();
    let old_statements = {
        let (bundles, _) = scene.people.bundles(0).await.unwrap();
        let envelopes = bundles[0].statements.iter();
        let parse = |seen: &countersign_client::SeenStatement| {
            let statement = seen.statement.as_ref().unwrap();
            countersign_approval::Envelope::parse(&statement.envelope).unwrap()
        };
        envelopes.map(parse).collect::<Vec<_>>()
    };
    scene
        .amend(|files| replace(files, "destinations.yaml", crate::support::CUSTOMER, STRANGER))
        .await;
    let again = scene.activate(&old, &old_statements).await;
    assert_eq!(refused_client(again), Tag::BundleVersionNotNext);
    assert_version(&scene, 2).await;
    let withdrawal = scene.withdrawal(&small("removed-customer"));
    let answer = denied(scene.authorize(&withdrawal, &[]).await);
    assert_eq!(tags(&answer.reasons), ["permit/uncovered"].into());
    scene.assert_unsigned(&withdrawal).await;
}

/// One bundle, one thing wrong with it, signed by a full quorum nevertheless.
#[tokio::test]
async fn only_the_next_bundle_of_the_chain_is_taken() {
    let scene = Scene::with_signer().await;
    let active = scene.bundle.digest();
    let elsewhere = BundleDigest::of(b"another bundle");
    let skipped = scene.bundle_as(3, active, loosen);
    let grafted = scene.bundle_as(2, elsewhere, loosen);
    for (files, tag) in [
        (&skipped, Tag::BundleVersionNotNext),
        (&grafted, Tag::BundlePreviousMismatch),
    ] {
        let statements = ["alice", "bob"].map(|admin| scene.activation(&scene.person(admin), files));
        assert_eq!(refused_client(scene.activate(files, &statements).await), tag);
    }
    assert_version(&scene, 1).await;
}

/// Statements for one bundle, files of another; or one file swapped under the manifest that was signed.
#[tokio::test]
async fn files_that_the_quorum_did_not_sign_are_refused() {
    let scene = Scene::with_signer().await;
    let tighter = |files: &mut Files| replace(files, "policy.yaml", "hard: \"8 ETH\"", "hard: \"7 ETH\"");
    let signed = scene.next_bundle(tighter);
    let statements = ["alice", "bob"].map(|admin| scene.activation(&scene.person(admin), &signed));
    let other = scene.next_bundle(loosen);
    let mut swapped = signed.clone();
    loosen(&mut swapped);
    let mut longer = signed.clone();
    longer.insert("networks/extra.yaml".to_owned(), signed["networks/dev.yaml"].clone());
    for files in [&other, &swapped, &longer] {
        assert_eq!(
            refused_client(scene.activate(files, &statements).await),
            Tag::BundleDigestMismatch
        );
    }
    assert_version(&scene, 1).await;
    assert_eq!(scene.activate(&signed, &statements).await.unwrap(), 2);
}

/// What follows from an activation is what the bundle says, and the withdrawal that was pending meets both policies.
#[tokio::test]
async fn a_looser_bundle_does_not_help_what_was_seen_before_it() {
    let mut scene = Scene::with_signer().await;
    let withdrawal = scene.withdrawal(&large("seen-before"));
    crate::support::pending(scene.authorize(&withdrawal, &[]).await);
    scene
        .amend(|files| {
            replace(
                files,
                "policy.yaml",
                "over: { ETH: \"0.1 ETH\"",
                "over: { ETH: \"9 ETH\"",
            )
        })
        .await;
    let answer = crate::support::pending(scene.authorize(&withdrawal, &[]).await);
    assert_eq!(tags(&answer.reasons), ["approval/missing"].into());
    scene.assert_unsigned(&withdrawal).await;
    // One that is first seen under the new policy needs nobody.
    let later = scene.withdrawal(&large("seen-after"));
    scene.assert_signed_with(&later, &[]).await;
}

/// The orchestrator itself has no business with bundles, whatever it sends.
#[tokio::test]
async fn the_orchestrator_activates_nothing() {
    let scene = Scene::with_signer().await;
    let files = scene.next_bundle(|files| replace(files, "policy.yaml", "hard: \"8 ETH\"", "hard: \"7 ETH\""));
    let statements = ["alice", "bob"].map(|admin| scene.activation(&scene.person(admin), &files));
    let sent = |files: &BTreeMap<String, Vec<u8>>| {
        let file = |(path, data): (&String, &Vec<u8>)| countersign_client::BundleFile {
            path: path.clone(),
            data: data.clone(),
        };
        files.iter().map(file).collect::<Vec<_>>()
    };
    for name in ["orchestrator-client", "auditor", "pipeline"] {
        let people = scene.deployment.people(name).await.unwrap();
        let refusal: Result<_, ClientError> = people.activate_bundle(sent(&files), &statements).await;
        assert_eq!(refused_client(refusal), Tag::CallerNotAllowed, "{name}");
    }
    assert_version(&scene, 1).await;
    assert_eq!(Bundle::load(&files).unwrap().version(), 2);
}

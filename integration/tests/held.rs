//! What waits through the worst: a replacement between its acknowledgement and its signature, and withdrawals that a freeze holds.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::wildcard_enum_match_arm,
    clippy::disallowed_methods,
    reason = "tests fail by panicking"
)]

mod support;

use std::time::Duration;

use countersign_approval::{Body, Envelope, FeeCeiling, Replace, Statement, seal};
use countersign_client::{State, Until};
use countersign_integration::{Deployment, header_between, now_secs};
use countersign_types::{Amount, ChainFacts};
use serde_json::{Value, json};
use support::{Ask, Scene, Withdrawal, large, replace, small};

const PATIENCE: Duration = Duration::from_secs(120);

/// The initiator raises the fee ceiling.
fn raise(scene: &Scene, withdrawal: &Withdrawal, gwei: u64) -> Envelope {
    let statement = Statement {
        header: scene.header(),
        body: Body::Replace(Replace {
            withdrawal: withdrawal.id,
            fee_ceiling: FeeCeiling {
                asset: withdrawal.body.fee_ceiling.asset.clone(),
                amount: Amount::from_base_units(21_000 * gwei * 1_000_000_000),
            },
            reason: "stuck".to_owned(),
        }),
    };
    seal(&statement, &scene.deployment.initiator().unwrap()).unwrap()
}

/// The replacement is acknowledged while the signer is dead, and then the orchestrator dies: it is signed all the same, once, and so is
/// what it replaces.
#[tokio::test]
async fn a_replacement_survives_the_death_of_both_processes() {
    let mut scene = Scene::with_both().await;
    let ask = small("stuck").template();
    let withdrawal = scene.withdrawal(&ask);
    let client = scene.deployment.client("pipeline").await.unwrap();
    let (request, unsigned) = (&withdrawal.request, &withdrawal.unsigned);
    let first = client
        .submit_and_wait(request, unsigned, Until::Decided, PATIENCE)
        .await
        .unwrap();
    assert_eq!(first.state, State::Signed, "{first:?}");

    scene.deployment.kill_signer().unwrap();
    let bumped = Ask {
        max_fee_gwei: 90,
        ..ask
    };
    let raised = raise(&scene, &withdrawal, 100);
    for _ in 0..2 {
        let added = client
            .replace(&withdrawal.id, &bumped.unsigned(), &raised)
            .await
            .unwrap();
        assert_eq!(
            (added.state, added.attempts.len()),
            (State::Replacing, 2),
            "the same again changes nothing"
        );
    }
    scene.deployment.kill_orchestrator().unwrap();
    scene.deployment.start().await.unwrap();

    let client = scene.deployment.client("pipeline").await.unwrap();
    let signed = client.wait(&withdrawal.id, Until::Decided, PATIENCE).await.unwrap();
    assert_eq!(signed.state, State::Signed, "{signed:?}");
    let txids: Vec<&str> = signed
        .attempts
        .iter()
        .map(|attempt| attempt.signed.as_ref().map(|(_, txid)| txid.as_str()).unwrap())
        .collect();
    assert_eq!(txids.len(), 2);
    let scene = Scene::of(scene.deployment).await;
    let logged = scene.signatures(&withdrawal.id).await;
    let logged: Vec<&str> = logged.iter().map(|entry| entry["txid"].as_str().unwrap()).collect();
    assert_eq!(logged, txids, "each attempt once, in order");
}

/// Runs the command line as a person; what it prints as JSON.
fn countersign(scene: &Scene, arguments: &[&str]) -> Value {
    let arguments = [&["--output", "json"], arguments].concat();
    let output = scene.deployment.countersign(arguments, true).unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{error}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{error}"))
}

/// One is submitted into a freeze, the other one gets its approvals in it. Nobody does anything after the thaw.
#[tokio::test]
async fn what_a_freeze_held_is_signed_by_itself_after_the_thaw() {
    let mut scene = Scene::with_both().await;
    scene
        .amend(|files| replace(files, "roster.yaml", "officers:", "thaw-delay: 2s\nofficers:"))
        .await;
    let client = scene.deployment.client("pipeline").await.unwrap();
    let set = [
        "freeze", "set", "--as", "dave", "--wallet", "eth-hot", "--reason", "drill",
    ];
    let freeze = countersign(&scene, &set)["freeze"].as_str().unwrap().to_owned();

    let submitted = scene.withdrawal(&small("into-the-freeze"));
    let approved = scene.withdrawal(&Ask {
        nonce: 1,
        ..large("approved-in-it")
    });
    for withdrawal in [&submitted, &approved] {
        let (request, unsigned) = (&withdrawal.request, &withdrawal.unsigned);
        let held = client
            .submit_and_wait(request, unsigned, Until::Answered, PATIENCE)
            .await
            .unwrap();
        assert_eq!(held.state, State::Frozen, "{held:?}");
        assert_eq!(held.reasons[0].tag, "freeze/active");
        scene.assert_unsigned(withdrawal).await;
    }
    for person in ["alice", "bob"] {
        let approvals = scene.deployment.client(person).await.unwrap();
        approvals
            .send_statement(&scene.approval(person, &approved))
            .await
            .unwrap();
    }

    for admin in ["alice", "bob"] {
        countersign(
            &scene,
            &["freeze", "thaw", &freeze, "--as", admin, "--reason", "drill is over"],
        );
    }
    for withdrawal in [&submitted, &approved] {
        let signed = client.wait(&withdrawal.id, Until::Decided, PATIENCE).await.unwrap();
        assert_eq!(signed.state, State::Signed, "{signed:?}");
        assert_eq!(scene.signatures(&withdrawal.id).await.len(), 1, "once");
    }
}

/// A back-test over everything that was signed: complete, verified, and nothing is missing from it unnoticed.
#[tokio::test]
async fn an_exported_log_is_decided_again_under_a_candidate() {
    let scene = Scene::with_signer_on_keystore().await;
    for (nonce, ask) in [small("one"), large("two")].into_iter().enumerate() {
        let withdrawal = scene.withdrawal(&Ask {
            nonce: nonce as u64,
            ..ask
        });
        let approvals = ["alice", "bob"].map(|person| scene.approval(person, &withdrawal));
        scene.assert_signed_with(&withdrawal, &approvals).await;
    }
    let path = |below: &str| scene.deployment.path(below).to_str().unwrap().to_owned();
    let (out, root, candidate) = (path("export"), path("genesis.json"), path("candidate"));
    let plain = countersign(&scene, &["audit", "export", "--out", &out]);
    assert_eq!(plain["receipts"], 0);
    let simulate = |format: &str| {
        let arguments = [
            "--output",
            format,
            "policy",
            "simulate",
            &candidate,
            &out,
            "--trust-root",
            &root,
        ];
        scene.deployment.countersign(arguments, false).unwrap()
    };
    copy_bundle(&scene, &candidate, "8 ETH");
    let refused = simulate("json");
    assert_eq!(
        refused.status.code(),
        Some(1),
        "without receipts there is nothing to decide"
    );
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains("no receipts of 2 of the 2"),
        "{refused:?}"
    );

    assert_eq!(
        countersign(&scene, &["audit", "export", "--out", &out, "--receipts"])["receipts"],
        2
    );
    assert_eq!(
        countersign(&scene, &["audit", "export", "--out", &out, "--receipts"])["receipts"],
        0
    );
    let same: Value = serde_json::from_slice(&simulate("json").stdout).unwrap();
    assert_eq!(
        (&same["receipts"], &same["changed"]),
        (&Value::from(2), &Value::Array(vec![]))
    );
    assert!(same["log_entries"].as_u64().unwrap() > 6, "{same}");

    copy_bundle(&scene, &candidate, "0.5 ETH");
    let tighter: Value = serde_json::from_slice(&simulate("json").stdout).unwrap();
    assert_eq!(tighter["changed"].as_array().unwrap().len(), 1, "{tighter}");
    assert_eq!(tighter["changed"][0]["change"], "denied");
    let text = String::from_utf8(simulate("text").stdout).unwrap();
    assert!(
        text.contains("log entries verified\n2 receipts verified, 1 would end otherwise\n"),
        "{text}"
    );

    // A limit that was not there is added up over what was signed, and a comparison shows the same.
    copy_bundle(&scene, &candidate, "8 ETH");
    let policy = path("candidate/policy.yaml");
    let rules = std::fs::read_to_string(&policy).unwrap();
    let day =
        "\nlimits:\n  - { id: day, effects: [transfer], assets: [ETH], scope: [], window: 24h, hard: \"1 ETH\" }\n";
    std::fs::write(&policy, rules.replacen("\nlimits:\n", day, 1)).unwrap();
    let limited: Value = serde_json::from_slice(&simulate("json").stdout).unwrap();
    let changed = limited["changed"].as_array().unwrap();
    assert_eq!(changed.len(), 1, "{limited}");
    assert_eq!(changed[0]["now"], "deny, limit/window-exceeded day");
    let diff = ["bundle", "diff", "--as", "alice", "--files", &candidate, "--past", &out];
    let diff = countersign(&scene, &diff);
    assert_eq!((&diff["class"], &diff["past"]), (&"tightening".into(), &limited));

    // One byte of the log, and it is not the log any more.
    let entries = path("export/entries.jsonl");
    let log = std::fs::read_to_string(&entries).unwrap();
    std::fs::write(
        &entries,
        log.replacen("\"type\":\"signature/1\"", "\"type\":\"signature/2\"", 1),
    )
    .unwrap();
    assert_eq!(simulate("json").status.code(), Some(6));
    let (cut, _) = log.trim_end().rsplit_once('\n').unwrap();
    std::fs::write(&entries, format!("{cut}\n")).unwrap();
    let refused = simulate("json");
    assert_eq!(
        refused.status.code(),
        Some(6),
        "a log that was cut off leaves withdrawals out"
    );
    assert!(String::from_utf8_lossy(&refused.stderr).contains("is not the log that its checkpoint signs"));
}

/// The bundle in force with another bound, as a candidate.
fn copy_bundle(scene: &Scene, to: &str, hard: &str) {
    for (name, data) in scene.bundle.files() {
        let path = std::path::Path::new(to).join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let text = String::from_utf8(data.clone()).unwrap();
        std::fs::write(path, text.replace("hard: \"8 ETH\"", &format!("hard: \"{hard}\""))).unwrap();
    }
    std::fs::remove_file(std::path::Path::new(to).join("manifest.json")).unwrap();
}

/// A payment that landed and failed has used its nonce up: the replacement that is drafted for it takes the next one.
#[tokio::test]
async fn what_failed_on_chain_is_drafted_anew_under_the_next_nonce() {
    let mut deployment = Deployment::init_observing("eip155:31337").unwrap();
    deployment.start().await.unwrap();
    let scene = Scene::of(deployment).await;
    let run = |arguments: &[&str]| {
        let arguments = [arguments, &["--output", "json"]].concat();
        let output = scene.deployment.countersign(arguments, true).unwrap();
        let told: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        (output.status.code().unwrap(), told)
    };
    let to = [
        "--to",
        support::CUSTOMER,
        "--amount",
        "0.05 ETH",
        "--network",
        support::NETWORK,
        "--wallet",
        "eth-hot",
    ];
    let template = [
        "--reference",
        "failed",
        "--template",
        "--fee-ceiling",
        "0.01 ETH",
        "--wait",
    ];
    let (code, signed) = run(&[&["withdraw", "submit"][..], &to, &template].concat());
    assert_eq!(code, 0, "{signed}");
    let (id, txid) = (signed["id"].as_str().unwrap(), signed["attempts"][0]["txid"].clone());
    let client = scene.deployment.client("pipeline").await.unwrap();
    let known = client.withdrawal(&id.parse().unwrap()).await.unwrap();
    let (wallet, unsigned) = (&known.wallet, &known.attempts[0].unsigned_transaction);
    let parsed = scene
        .bundle
        .registry()
        .parse(&known.network, wallet, unsigned, ChainFacts::none())
        .unwrap();
    let nonce = parsed.conflict_keys()[0].to_string();
    for observer in ["watch-1", "watch-3"] {
        let spent = json!({ "conflict_key": nonce, "txid": txid, "outcome": "failed" });
        let (facts, out) = (
            scene.deployment.path("facts.json"),
            scene.deployment.path(&format!("{observer}.json")),
        );
        std::fs::write(&facts, json!([{ "spent": spent }]).to_string()).unwrap();
        let (facts, out) = (facts.to_str().unwrap(), out.to_str().unwrap());
        let about = [
            "--network",
            support::NETWORK,
            "--height",
            "9",
            "--sequence",
            "1",
            "--facts",
            facts,
            "--out",
            out,
        ];
        assert_eq!(run(&[&["observe", "sign", "--as", observer][..], &about].concat()).0, 0);
        assert_eq!(run(&["observe", "submit", id, out, "--as", observer]).0, 0);
    }
    let replace = ["withdraw", "replace", id, "--max-fee", "60 gwei", "--wait"];
    let (code, denied) = run(&replace);
    assert_eq!(
        (code, &denied["reasons"][0]["tag"]),
        (3, &json!("lineage/settled")),
        "{denied}"
    );
    let (code, signed) = run(&replace);
    assert_eq!((code, &signed["state"]), (0, &json!("signed")), "{signed}");
    let attempts = signed["attempts"].as_array().unwrap();
    assert_eq!(attempts.len(), 3, "{signed}");
    assert!(
        attempts[1]["txid"].is_null() && attempts[2]["txid"].is_string(),
        "{signed}"
    );
}

/// The payment is signed, its request runs out, and what takes its place needs people: it waits for them through the death of both
/// processes, and what they sign is what they see.
#[tokio::test]
async fn a_cancel_attempt_outlives_its_request_and_both_processes() {
    let mut scene = Scene::with_both().await;
    let asking = "requires:\n  - { id: moves, when: { effects: [internal] }, approvals: { treasury: 2 } }\n";
    scene
        .amend(|files| replace(files, "policy.yaml", "requires:\n", asking))
        .await;
    let now = now_secs().unwrap();
    let expires_at = now + 8;
    let header = header_between(scene.genesis, now, expires_at).unwrap();
    let withdrawal = scene.withdrawal_with(&small("stuck"), header, &scene.deployment.initiator().unwrap());
    let client = scene.deployment.client("pipeline").await.unwrap();
    let (request, unsigned) = (&withdrawal.request, &withdrawal.unsigned);
    let paid = client
        .submit_and_wait(request, unsigned, Until::Decided, PATIENCE)
        .await;
    assert_eq!(paid.unwrap().state, State::Signed);

    let id = withdrawal.id.to_string();
    let cancel = [
        "withdraw",
        "cancel",
        &id,
        "--max-fee",
        "60 gwei",
        "--fee-ceiling",
        "0.0015 ETH",
    ];
    let cancel = [
        &cancel[..],
        &["--reason", "wrong address", "--wait", "--output", "json"],
    ]
    .concat();
    let output = scene.deployment.countersign(cancel, true).unwrap();
    assert_eq!(
        output.status.code(),
        Some(4),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let waiting: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&waiting["state"], &waiting["missing"][0]["required"]),
        (&json!("replacing"), &json!(2))
    );

    scene.deployment.kill_signer().unwrap();
    scene.deployment.kill_orchestrator().unwrap();
    scene.deployment.start().await.unwrap();
    while now_secs().unwrap() <= expires_at {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let shown = countersign(&scene, &["approvals", "show", &id, "--as", "alice"]);
    assert_eq!(
        shown["cancels"],
        json!({ "by": "payout-service", "reason": "wrong address" }),
        "{shown}"
    );
    for person in ["alice", "bob"] {
        countersign(&scene, &["approvals", "approve", &id, "--as", person]);
    }
    let client = scene.deployment.client("pipeline").await.unwrap();
    let done = client.wait(&withdrawal.id, Until::Decided, PATIENCE).await.unwrap();
    let told: Vec<(bool, bool)> = done
        .attempts
        .iter()
        .map(|attempt| (attempt.labelled_cancel, attempt.signed.is_some()))
        .collect();
    assert_eq!(
        (done.state, told),
        (State::Signed, vec![(false, true), (true, true)]),
        "{done:?}"
    );
    let scene = Scene::of(scene.deployment).await;
    assert_eq!(scene.signatures(&withdrawal.id).await.len(), 2);
}

//! A freeze through real processes: set from the command line, past the orchestrator, and thawed by a quorum and time.

use std::{fs, time::Duration};

use serde_json::Value;
use tokio::time::sleep;

use crate::support::{Scene, denied, large, pending, replace, small, tags};

/// What the command line answers as JSON, and its exit code.
fn countersign(scene: &Scene, arguments: &[&str]) -> (i32, Value) {
    let arguments = [&["--output", "json"], arguments].concat();
    let output = scene.deployment.countersign(arguments, true).unwrap();
    let written = if output.status.success() {
        &output.stdout
    } else {
        &output.stderr
    };
    let last = String::from_utf8_lossy(written)
        .lines()
        .last()
        .unwrap_or_default()
        .to_owned();
    (
        output.status.code().unwrap(),
        serde_json::from_str(&last).unwrap_or_else(|_| panic!("{last}")),
    )
}

#[tokio::test]
async fn a_freeze_holds_until_a_quorum_and_its_delay() {
    let mut scene = Scene::with_signer().await;
    scene
        .amend(|files| replace(files, "roster.yaml", "officers:", "thaw-delay: 2s\nofficers:"))
        .await;
    let withdrawal = scene.withdrawal(&small("frozen"));
    let (code, frozen) = countersign(
        &scene,
        &[
            "freeze", "set", "--as", "dave", "--wallet", "eth-hot", "--reason", "drill",
        ],
    );
    assert_eq!(
        (code, &frozen["scope"]["wallet"]),
        (0, &Value::from("eth-hot")),
        "{frozen}"
    );
    assert!(frozen["in_force_since"].is_string());
    let freeze = frozen["freeze"].as_str().unwrap().to_owned();
    let answer = denied(scene.authorize(&withdrawal, &[]).await);
    assert_eq!(tags(&answer.reasons), ["freeze/active"].into());
    assert!(!answer.r#final);
    scene.assert_unsigned(&withdrawal).await;

    let (_, list) = countersign(&scene, &["freeze", "list", "--as", "dave"]);
    assert_eq!(list["freezes"][0]["freeze"], Value::from(freeze.clone()), "{list}");
    // Whoever may not: an admin who is no officer freezes nothing, an officer who is no admin thaws nothing.
    let (code, refused) = countersign(
        &scene,
        &["freeze", "set", "--as", "alice", "--all", "--reason", "drill"],
    );
    assert_eq!(
        (code, &refused["error"]["tag"]),
        (3, &Value::from("statement/not-permitted")),
        "{refused}"
    );
    let (code, refused) = countersign(
        &scene,
        &["freeze", "thaw", &freeze, "--as", "dave", "--reason", "drill"],
    );
    assert_eq!(
        (code, &refused["error"]["tag"]),
        (3, &Value::from("statement/not-permitted")),
        "{refused}"
    );

    let (_, one) = countersign(
        &scene,
        &["freeze", "thaw", &freeze, "--as", "alice", "--reason", "drill"],
    );
    assert_eq!(
        (&one["in_force"], &one["thaws_at"]),
        (&Value::Bool(true), &Value::Null),
        "{one}"
    );
    let missing = one["missing"].as_str().unwrap();
    assert!(missing.starts_with("once 1 more admin speaks before "), "{one}");
    let (_, two) = countersign(&scene, &["freeze", "thaw", &freeze, "--as", "bob", "--reason", "drill"]);
    assert!(two["thaws_at"].is_string(), "{two}");
    sleep(Duration::from_secs(3)).await;
    scene.assert_signed_with(&withdrawal, &[]).await;
    let (_, list) = countersign(&scene, &["freeze", "list", "--as", "dave"]);
    assert_eq!(list["freezes"], Value::Array(Vec::new()));
    // An asset by its symbol, as the bundle in force has it.
    let (_, asset) = countersign(
        &scene,
        &["freeze", "set", "--as", "dave", "--asset", "DEMO", "--reason", "drill"],
    );
    let demo = "eip155:31337/erc20:0x5FbDB2315678afecb367f032d93F642f64180aa3";
    assert_eq!(asset["scope"]["asset"], Value::from(demo), "{asset}");
    let (_, list) = countersign(&scene, &["freeze", "list", "--as", "dave"]);
    assert_eq!(list["freezes"][0]["reason"], Value::from("drill"), "{list}");

    // The log has both, and the receipt of what was signed afterwards verifies without a server.
    let log = scene.log().await;
    let count = |kind: &str| log.iter().filter(|entry| entry["type"] == kind).count();
    assert_eq!((count("freeze/1"), count("thaw/1")), (2, 1));
    let people = scene.deployment.people("dave").await.unwrap();
    let receipt = people.receipt(&withdrawal.id).await.unwrap();
    let file = scene.deployment.path("receipt.json");
    fs::write(&file, receipt).unwrap();
    let genesis = scene.deployment.path("genesis.json");
    let arguments = [
        "audit",
        "verify",
        file.to_str().unwrap(),
        "--trust-root",
        genesis.to_str().unwrap(),
    ];
    let verified = scene.deployment.countersign(arguments, false).unwrap();
    assert!(
        verified.status.success(),
        "{}",
        String::from_utf8_lossy(&verified.stderr)
    );
}

/// What the signer's log says of freezes, as far as it warns.
fn warnings(scene: &Scene) -> Vec<Value> {
    let said = scene.deployment.signer_process().unwrap().said();
    let lines = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines
        .filter(|line| line["level"] == "WARN" && line["message"] == "froze by itself")
        .collect()
}

/// An officer knows what they froze; what the signer froze by itself is for whoever reads its log.
#[tokio::test]
async fn what_freezes_by_itself_is_warned_of() {
    let mut scene = Scene::with_signer().await;
    let breaker =
        "breakers:\n  - { id: refused-once, when: { rejections-on-lineage: 1 }, freeze: [wallet] }\nforbids:\n";
    scene
        .amend(|files| replace(files, "policy.yaml", "forbids:\n", breaker))
        .await;
    let withdrawal = scene.withdrawal(&large("refused"));
    pending(scene.authorize(&withdrawal, &[]).await);
    let (_, officers) = countersign(
        &scene,
        &[
            "freeze",
            "set",
            "--as",
            "dave",
            "--network",
            "eip155:31337",
            "--reason",
            "drill",
        ],
    );
    assert!(officers["in_force_since"].is_string(), "{officers}");
    assert_eq!(warnings(&scene), Vec::<Value>::new());

    let bob = scene.deployment.people("bob").await.unwrap();
    let rejection = scene.rejection("bob", &withdrawal);
    // Said again, it is no second freeze.
    for _ in 0..2 {
        bob.submit_statement(&rejection).await.unwrap();
    }
    let (_, list) = countersign(&scene, &["freeze", "list", "--as", "dave"]);
    let freezes = list["freezes"].as_array().unwrap();
    let own = freezes
        .iter()
        .find(|freeze| freeze["freeze"] != officers["freeze"])
        .unwrap();
    let [warned] = &warnings(&scene)[..] else {
        panic!("{:?}", warnings(&scene))
    };
    assert_eq!(warned["freeze"], own["freeze"]);
    assert_eq!(warned["scope"], "wallet eth-hot");
    assert_eq!(warned["cause"], format!("breaker refused-once at {}", withdrawal.id));
}

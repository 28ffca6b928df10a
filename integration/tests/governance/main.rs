//! Bundles from the command line through the signer: proposed, compared, approved, waiting, activated, listed, rolled back.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    reason = "tests fail by panicking"
)]

mod lists;

use std::{fs, path::PathBuf, thread, time::Duration};

use countersign_integration::Deployment;
use serde_json::{Value, json};

/// Long enough that nothing is early by accident, short enough to wait for.
const TIME_LOCK: Duration = Duration::from_secs(4);

/// A test of a policy, which does not hold.
const NOTHING_IS_PAID: &str = r#"schema: countersign.policy-tests/1
tests:
  - name: nothing is paid
    initiator: payout-service
    tenant: main
    wallet: eth-hot
    network: "eip155:31337"
    effects:
      - { transfer: "0.01 ETH", to: "eip155:31337:0x70997970C51812dc3A010C7d01b50e0d17dc79C8" }
      - { fee: "0.001 ETH" }
    expect: { deny: ["forbid/matched"] }
"#;

struct Desk {
    deployment: Deployment,
    /// The files that people edit.
    files: PathBuf,
}

impl Desk {
    async fn open() -> Self {
        let mut deployment = Deployment::init().unwrap();
        deployment.start_signer().await.unwrap();
        let files = deployment.path("bundle");
        Self { deployment, files }
    }

    fn edit(&self, file: &str, from: &str, to: &str) {
        let path = self.files.join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.matches(from).count(), 1, "`{from}` in {file}:\n{text}");
        fs::write(&path, text.replace(from, to)).unwrap();
    }

    /// Runs `bundle …`; what it prints, or the error that it reports.
    fn bundle(&self, command: &str, person: &str, more: &[&str], code: i32) -> Value {
        let fixed = ["--output", "json", "bundle", command, "--as", person];
        let output = self.deployment.countersign([&fixed, more].concat(), true).unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{command}: {error}");
        let text = if code == 0 { &output.stdout } else { &output.stderr };
        // Behind what was shown before a key was used.
        let last = text.trim_ascii_end().rsplit(|byte| *byte == b'\n').next();
        serde_json::from_slice(last.unwrap()).unwrap_or_else(|_| panic!("{command}: {error}"))
    }

    fn files(&self) -> &str {
        self.files.to_str().unwrap()
    }

    fn approve(&self, person: &str) -> Value {
        self.bundle("approve", person, &["--files", self.files()], 0)
    }

    fn activate(&self, code: i32) -> Value {
        self.bundle("activate", "alice", &["--files", self.files()], code)
    }
}

#[tokio::test]
async fn a_bundle_from_its_proposal_to_its_rollback() {
    let desk = Desk::open().await;
    let files = desk.files().to_owned();

    // A time-lock from now on: an environment of `init` has none, so the quorum's word is enough.
    desk.edit(
        "roster.yaml",
        "admins: { threshold: 2, members: [\"alice\", \"bob\", \"carol\"] }",
        "admins: { threshold: 2, members: [\"alice\", \"bob\", \"carol\"], time-lock: 4s }",
    );
    let proposal = desk.bundle("propose", "alice", &["--files", &files], 0);
    assert_eq!(
        (&proposal["version"], &proposal["class"]),
        (&json!(2), &json!("loosening"))
    );
    assert_eq!(
        proposal["needs"],
        json!({ "officer": false, "admins": 2, "time_lock": "0s" })
    );
    // Who says it twice is one voice, and stands in the history once.
    for _ in 0..2 {
        desk.approve("alice");
        assert_eq!(desk.activate(3)["error"]["tag"], "bundle/quorum-short");
    }
    desk.approve("bob");
    assert_eq!(desk.activate(0)["version"], 2);

    // What breaks an invariant nobody signs by accident: each who approves checks for themselves.
    let kept = fs::read(desk.files.join("policy.yaml")).unwrap();
    let broken = "invariants: [{ id: nothing-leaves, when: { effects: [transfer] }, then: deny }]\n\npermits:\n";
    desk.edit("policy.yaml", "permits:\n", broken);
    desk.edit("policy.yaml", "hard: \"8 ETH\"", "hard: \"9 ETH\"");
    fs::remove_file(desk.files.join("manifest.json")).unwrap();
    let alice = desk.deployment.path("people/alice/id_ed25519");
    let with_key = ["--files", &files, "--key", alice.to_str().unwrap()];
    for (command, more) in [
        ("propose", &with_key[..2]),
        ("approve", &with_key[..2]),
        ("activate", &with_key),
    ] {
        let refused = desk.bundle(command, "alice", more, 3);
        assert_eq!(refused["error"]["tag"], "policy/not-proven", "{command}");
        let mistake = &refused["error"]["errors"][0];
        assert_eq!(
            (&mistake["file"], &mistake["tag"]),
            (&json!("policy.yaml"), &json!("policy/not-proven"))
        );
        let message = mistake["message"].as_str().unwrap();
        assert!(message.contains("nothing-leaves"), "{message}");
    }
    // Nor what fails its tests, in another's name, or for a moment at which no word of today counts.
    fs::write(desk.files.join("policy.yaml"), &kept).unwrap();
    desk.edit("policy.yaml", "hard: \"8 ETH\"", "hard: \"9 ETH\"");
    let tests = desk.files.join("tests");
    fs::create_dir(&tests).unwrap();
    fs::write(tests.join("policy.yaml"), NOTHING_IS_PAID).unwrap();
    for (command, more) in [("propose", &with_key[..2]), ("activate", &with_key)] {
        let refused = desk.bundle(command, "alice", more, 3);
        assert_eq!(refused["error"]["tag"], "policy/test-failed", "{command}");
    }
    fs::remove_dir_all(&tests).unwrap();
    let refused = desk.bundle("approve", "bob", &with_key, 3);
    assert_eq!(refused["error"]["tag"], "statement/not-permitted");
    // Nor what follows another bundle than the one in force, whatever the manifest says.
    let last = fs::read_to_string(desk.files.join("roster.yaml")).unwrap();
    assert!(last.contains("time-lock: 4s"));
    desk.bundle("propose", "alice", &with_key[..2], 0);
    let manifest = desk.files.join("manifest.json");
    let proposed = fs::read_to_string(&manifest).unwrap();
    let later = proposed.replacen("\"version\": 3", "\"version\": 7", 1);
    let later = later.replacen("\"version\":3", "\"version\":7", 1);
    assert_ne!(later, proposed);
    fs::write(&manifest, later).unwrap();
    let refused = desk.bundle("activate", "alice", &with_key, 3);
    assert_eq!(refused["error"]["tag"], "bundle/version-not-next");
    fs::write(&manifest, proposed).unwrap();
    let never = ["--files", &files, "--not-before", "2096-01-01T00:00:00Z"];
    desk.bundle("approve", "alice", &never, 2);
    assert_eq!(desk.bundle("pending", "dave", &[], 0)["proposals"], json!([]));
    fs::write(desk.files.join("policy.yaml"), kept).unwrap();

    // What loosens waits.
    desk.edit("policy.yaml", "hard: \"8 ETH\"", "hard: \"9 ETH\"");
    let diff = desk.bundle("diff", "carol", &["--files", &files], 0);
    assert_eq!(diff["class"], "loosening");
    assert_eq!(diff["findings"][0]["subject"], "limit eth-per-transaction");
    desk.bundle("propose", "alice", &["--files", &files], 0);
    // Files that changed behind their proposal are another bundle: whoever meant to approve what was proposed signs nothing.
    desk.edit("policy.yaml", "hard: \"9 ETH\"", "hard: \"10 ETH\"");
    let refused = desk.bundle("approve", "alice", &["--files", &files], 5);
    assert_eq!(refused["error"]["tag"], "bundle/digest-mismatch", "{refused}");
    desk.edit("policy.yaml", "hard: \"10 ETH\"", "hard: \"9 ETH\"");
    for (admin, missing) in [("alice", 1), ("bob", 0)] {
        let approved = desk.approve(admin);
        assert_eq!(approved["needs"]["time_lock"], "4s");
        let said = (&approved["signer"], &approved["waits"]["missing"]);
        assert_eq!(said, (&json!(admin), &json!(missing)));
    }
    // An officer stops it while it waits; it takes the quorum again, and the time-lock starts over.
    let waiting = desk.bundle("propose", "alice", &["--files", &files], 0)["bundle"].clone();
    let waiting = waiting.as_str().unwrap().to_owned();
    let pending = || desk.bundle("pending", "dave", &[], 0)["proposals"].clone();
    assert_eq!(pending()[0]["bundle"], json!(waiting));
    assert_eq!((&pending()[0]["missing"], &pending()[1]), (&json!(0), &Value::Null));
    assert!(pending()[0]["opening"]["opens_at"].is_i64(), "{}", pending());
    let veto = |person: &str, code| desk.bundle("veto", person, &[&waiting, "--reason", "nobody told us"], code);
    assert_eq!(veto("carol", 3)["error"]["tag"], "statement/not-permitted");
    assert_eq!(veto("dave", 0)["vetoed"], json!(waiting));
    assert_eq!(pending()[0]["vetoes"][0]["reason"], "nobody told us");
    assert_eq!(
        (&pending()[0]["missing"], &pending()[0]["opening"]),
        (&json!(2), &Value::Null)
    );
    thread::sleep(TIME_LOCK);
    assert_eq!(desk.activate(3)["error"]["tag"], "bundle/vetoed");
    for admin in ["alice", "bob"] {
        desk.approve(admin);
    }
    assert_eq!(desk.activate(4)["error"]["tag"], "bundle/time-locked");
    thread::sleep(TIME_LOCK);
    assert_eq!(desk.activate(0)["version"], 3);

    // One officer tightens at once.
    desk.edit("policy.yaml", "hard: \"9 ETH\"", "hard: \"7 ETH\"");
    let tighter = desk.bundle("propose", "dave", &["--files", &files], 0);
    assert_eq!(tighter["needs"]["officer"], true);
    let key = desk.deployment.path("people/dave/id_ed25519");
    let activated = desk.bundle(
        "activate",
        "dave",
        &["--files", &files, "--key", key.to_str().unwrap()],
        0,
    );
    assert_eq!(activated["version"], 4);

    // An older version again is a new bundle, and takes what a bundle takes.
    let older = desk.deployment.path("older");
    let older = older.to_str().unwrap();
    let back = desk.bundle("rollback", "alice", &["--to", "3", "--files", older], 0);
    assert_eq!((&back["version"], &back["class"]), (&json!(5), &json!("loosening")));
    let refused = desk.bundle(
        "activate",
        "dave",
        &["--files", older, "--key", key.to_str().unwrap()],
        3,
    );
    assert_eq!(refused["error"]["tag"], "bundle/quorum-short");
    let again = desk.bundle("rollback", "alice", &["--to", "3", "--files", older], 2);
    assert!(
        again["error"]["message"]
            .as_str()
            .unwrap()
            .contains("holds a bundle already")
    );
    desk.bundle("rollback", "alice", &["--to", "9", "--files", "/nowhere"], 2);

    let history = desk.bundle("history", "dave", &[], 0);
    let vetoed = &history["vetoes"];
    assert_eq!(vetoed.as_array().map(Vec::len), Some(1), "{history}");
    assert_eq!(
        (&vetoed[0]["bundle"], &vetoed[0]["officer"], &vetoed[0]["reason"]),
        (&json!(waiting), &json!("dave"), &json!("nobody told us"))
    );
    let versions = history["versions"].as_array().unwrap();
    let told: Vec<Value> = versions
        .iter()
        .map(|version| {
            json!([
                version["version"],
                version["class"],
                version["authority"],
                version["signers"]
            ])
        })
        .collect();
    assert_eq!(
        told,
        [
            json!([1, null, "genesis", ["alice", "bob"]]),
            json!([2, "loosening", "quorum", ["alice", "bob"]]),
            json!([3, "loosening", "quorum", ["alice", "bob"]]),
            json!([4, "tightening", "officer", ["dave"]]),
        ]
    );
    let waited = versions[2]["activated_at"].as_i64().unwrap() - versions[2]["complete_at"].as_i64().unwrap();
    assert!(waited >= 4_000, "{waited} ms");
}

//! A list in a file of its own, from the command line through both processes: what leaves it is denied before the next
//! signature, on one officer's word; what comes in waits for people.

use std::{collections::BTreeSet, fs};

use serde_json::{Value, json};

use crate::Desk;

const NETWORK: &str = "eip155:31337";
const CUSTOMER: &str = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
const BY_FILE: &str = "lists:\n  - id: customers\n    file: lists/customers.list\n";
const YOUNG: &str = "requires:\n  - id: young\n    when: { to: { entry-under: 1h } }\n    approvals: { treasury: 2 }\n";

impl Desk {
    /// Writes five hundred destinations, and the customer's if it is one of them.
    fn list(&self, with_customer: bool) {
        let many = (0..500).map(|n| format!("{NETWORK}:0x{:040}\n", 1_000_000 + n));
        let customer = with_customer.then(|| format!("{NETWORK}:{CUSTOMER}\n"));
        let lines: BTreeSet<String> = many.chain(customer).collect();
        fs::create_dir_all(self.files.join("lists")).unwrap();
        fs::write(
            self.files.join("lists/customers.list"),
            lines.into_iter().collect::<String>(),
        )
        .unwrap();
    }

    /// Proposes what stands in the files, and puts it in force on two admins' word: the proposal.
    fn put_in_force(&self) -> Value {
        let proposal = self.bundle("propose", "alice", &["--files", self.files()], 0);
        for admin in ["alice", "bob"] {
            self.approve(admin);
        }
        self.activate(0);
        proposal
    }

    fn said(&self, arguments: &[&str], code: i32) -> Value {
        let arguments = [arguments, &["--output", "json"]].concat();
        let output = self.deployment.countersign(arguments, true).unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{error}");
        serde_json::from_slice(&output.stdout).unwrap_or_default()
    }

    /// Asks for a payment to the customer that is too small for the rules on amounts.
    fn pay(&self, reference: &str) -> String {
        let to = ["--network", NETWORK, "--to", CUSTOMER, "--amount", "0.01 ETH"];
        let fixed = ["withdraw", "submit", "--wallet", "eth-hot", "--reference", reference];
        let submitted = self.said(&[&fixed[..], &to].concat(), 0);
        submitted["id"].as_str().unwrap().to_owned()
    }

    fn outcome(&self, id: &str, code: i32) -> Value {
        self.said(&["withdraw", "show", id, "--wait", "--patience", "20"], code)
    }
}

#[tokio::test]
async fn a_list_in_a_file_from_the_command_line_to_the_signature() {
    let mut desk = Desk::open().await;
    desk.deployment.start_orchestrator().await.unwrap();

    fs::write(desk.files.join("destinations.yaml"), BY_FILE).unwrap();
    desk.list(true);
    let proposal = desk.put_in_force();
    // What was there is there, without its name; what is new is new.
    let told = proposal["findings"].to_string();
    assert!(
        told.contains("entries added: 500") && told.contains("entries renamed: 1"),
        "{told}"
    );
    let first = desk.pay("order-1");
    assert_eq!(desk.outcome(&first, 0)["state"], "signed");

    // One officer takes the customer out, at once.
    desk.list(false);
    let diff = desk.bundle("diff", "dave", &["--files", desk.files()], 0);
    assert_eq!(diff["class"], "tightening", "{diff}");
    desk.bundle("propose", "dave", &["--files", desk.files()], 0);
    let key = desk.deployment.path("people/dave/id_ed25519");
    let by_dave = ["--files", desk.files(), "--key", key.to_str().unwrap()];
    assert_eq!(desk.bundle("activate", "dave", &by_dave, 0)["version"], 3);
    let second = desk.pay("order-2");
    let denied = desk.outcome(&second, 3);
    assert_eq!(denied["state"], "denied");
    assert!(denied.to_string().contains("permit/uncovered"), "{denied}");

    // Back in the list it is young, and a rule asks two people for what is young.
    desk.list(true);
    desk.edit("policy.yaml", "requires:\n", YOUNG);
    assert_eq!(desk.put_in_force()["class"], json!("both"));
    let third = desk.pay("order-3");
    let waiting = desk.said(&["withdraw", "show", &third, "--wait", "--patience", "5"], 4);
    assert!(waiting.to_string().contains("approval/missing"), "{waiting}");
    for person in ["alice", "bob"] {
        let shown = desk.said(&["approvals", "show", &third, "--as", person], 0);
        assert!(shown.to_string().contains("a destination of list customers"), "{shown}");
        desk.said(&["approvals", "approve", &third, "--as", person], 0);
    }
    assert_eq!(desk.outcome(&third, 0)["state"], "signed");

    // The receipt has every version of the list, and needs nothing else.
    let file = desk.deployment.path("receipt.json");
    let (file, root) = (file.to_str().unwrap(), desk.deployment.path("genesis.json"));
    desk.said(&["receipt", &third, "--out", file], 0);
    let arguments = [
        "audit",
        "verify",
        file,
        "--trust-root",
        root.to_str().unwrap(),
        "--output",
        "json",
    ];
    let verified = desk.deployment.countersign(arguments, false).unwrap();
    assert!(
        verified.status.success(),
        "{}",
        String::from_utf8_lossy(&verified.stderr)
    );
}

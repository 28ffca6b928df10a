//! One valid task, one mutation, the exact tag: whatever an orchestrator sends, nothing else is shown or signed.

use countersign_approval::{
    Approval, ApprovalItem, BookEntry, BookState, FeeCeiling, Header, Kind, Payment, Rejection, RejectionItem,
    Statement, TemplateKind, TransactionBinding, seal,
};
use countersign_chains::evm::{GasPrice, TransferDraft};
use countersign_types::{GenesisHash, Validity};

use super::*;
use crate::{failure::Exit, init::fixture::Fixture, keys::SigningKey};

mod cancelling;

const CUSTOMER: &str = "eip155:31337:0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
const STRANGER: &str = "eip155:31337:0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65";
const ETH: &str = "eip155:31337/slip44:60";
const GWEI: u128 = 1_000_000_000;

fn draft() -> TransferDraft {
    TransferDraft {
        asset: ETH.parse().unwrap(),
        amount: Amount::from_base_units(1_500_000_000_000_000_000),
        destination: CUSTOMER.parse().unwrap(),
        nonce: 7,
        gas_limit: 21_000,
        price: GasPrice::Eip1559 {
            max_fee_per_gas: 30 * GWEI,
            max_priority_fee_per_gas: GWEI,
        },
    }
}

/// A request and the bytes beside it, before they are sealed.
struct Plan {
    draft: TransferDraft,
    bytes: Vec<u8>,
    request: Request,
    header: Header,
}

impl Plan {
    fn new(fixture: &Fixture) -> Self {
        let draft = draft();
        let bytes = draft.encode().unwrap();
        let payment = Payment {
            reference: "pay-1".parse().unwrap(),
            subject: Some("customer-1".parse().unwrap()),
            asset: draft.asset.clone(),
            amount: draft.amount,
            destination: draft.destination.clone(),
        };
        let request = Request {
            tenant: "main".parse().unwrap(),
            reference: "r-1".parse().unwrap(),
            wallet: "eth-hot".parse().unwrap(),
            network: "eip155:31337".parse().unwrap(),
            payments: vec![payment],
            effects: vec![],
            fee_ceiling: FeeCeiling {
                asset: draft.asset.clone(),
                amount: Amount::from_base_units(630_000_000_000_000),
            },
            transaction: TransactionBinding::Exact(TransactionDigest::of(&bytes)),
            attributes: BTreeMap::from([("purpose".parse().unwrap(), "payout".parse().unwrap())]),
        };
        let header = clock::header(fixture.genesis.hash(), Duration::from_secs(3_600)).unwrap();
        Self {
            draft,
            bytes,
            request,
            header,
        }
    }

    /// Takes the draft's bytes as they are now.
    fn encode(&mut self) {
        self.bytes = self.draft.encode().unwrap();
    }

    fn open(&mut self) {
        self.request.transaction = TransactionBinding::Template(TemplateKind::EvmNonceAndFee);
    }

    fn seal(self, key: &SigningKey) -> (WithdrawalId, ApprovalTask) {
        let body = Body::Request(Box::new(self.request));
        let request = seal(
            &Statement {
                header: self.header,
                body,
            },
            key,
        )
        .unwrap();
        let task = ApprovalTask {
            request,
            unsigned_transaction: self.bytes,
            statements: vec![],
            unreadable_statements: 0,
            missing: vec![],
        };
        (WithdrawalId::of(task.request.request_digest().unwrap()), task)
    }
}

fn reviewed(fixture: &Fixture, (id, task): &(WithdrawalId, ApprovalTask)) -> Result<Reviewed> {
    review(&fixture.trust(), *id, task, clock::now().unwrap())
}

/// As `approvals list` shows it.
struct Inbox<'r>(&'r Reviewed);

impl fmt::Display for Inbox<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.summarize(f)
    }
}

fn refusal(fixture: &Fixture, task: &(WithdrawalId, ApprovalTask)) -> Tag {
    let failure = reviewed(fixture, task).map(drop).unwrap_err();
    assert_eq!(failure.exit(), Exit::Refused, "{failure}");
    failure.tag().unwrap()
}

#[test]
fn what_is_shown_is_what_the_bytes_do() {
    let fixture = Fixture::new();
    let task = Plan::new(&fixture).seal(&fixture.service());
    let reviewed = reviewed(&fixture, &task).unwrap();
    assert_eq!(
        reviewed.effects.as_str(),
        "effects/v1\nnetwork eip155:31337\nwallet eth-hot\n\
         transfer 1500000000000000000 eip155:31337/slip44:60 (1.5 ETH) to eip155:31337:0x70997970C51812dc3A010C7d01b50e0d17dc79C8\n\
         fee at most 630000000000000 eip155:31337/slip44:60 (0.00063 ETH)\n"
    );
    let text = reviewed.to_string();
    for line in [
        "payment      pay-1 for customer-1: Customer one (customers)",
        "approvals    treasury: 0 of 2 counted here",
        "this fee     at most 0.00063 ETH",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
    }
}

/// Two entries of the list that a person who compares the ends takes for one another.
#[test]
fn a_payment_that_looks_like_another_customers_is_warned_about() {
    let fixture = Fixture::new();
    let list = fixture.layout.bundle().join("destinations.yaml");
    let entries = crate::files::read_text(&list).unwrap();
    let poisoned = "eip155:31337:0x70990000000000000000000000000000000079c8";
    let more = format!("{entries}      - {{ name: Poisoned, address: \"{poisoned}\" }}\n");
    crate::files::write(&list, more.as_bytes()).unwrap();
    let task = Plan::new(&fixture).seal(&fixture.service());
    let reviewed = reviewed(&fixture, &task).unwrap();
    let warning = format!("WARNING      {CUSTOMER} begins and ends like Poisoned (customers), which is {poisoned}");
    let text = reviewed.to_string();
    assert!(text.lines().any(|line| line == warning), "{text}");
    let json = serde_json::to_value(&reviewed).unwrap();
    assert_eq!(json["lookalikes"][0]["resembles"], poisoned);
}

/// A transfer of DEMO, with a descriptor and quirks in the bundle: they stand behind what is signed and are no part of it.
#[test]
fn descriptors_and_quirks_stand_behind_the_effects() {
    let fixture = Fixture::new();
    let token = "eip155:31337/erc20:0x5FbDB2315678afecb367f032d93F642f64180aa3";
    let plan = || {
        let mut plan = Plan::new(&fixture);
        plan.draft.asset = token.parse().unwrap();
        plan.draft.amount = Amount::from_base_units(2_500_000);
        plan.encode();
        plan.request.payments[0].asset = plan.draft.asset.clone();
        plan.request.payments[0].amount = plan.draft.amount;
        plan.request.transaction = TransactionBinding::Exact(TransactionDigest::of(&plan.bytes));
        plan.seal(&fixture.service())
    };
    let bare = reviewed(&fixture, &plan()).unwrap();
    assert!(!bare.to_string().contains("to help reading"), "{bare}");
    let folder = fixture.layout.bundle();
    let assets = crate::files::read_text(&folder.join("assets.yaml")).unwrap();
    let quirks = assets.replacen("symbol: DEMO, ", "symbol: DEMO, quirks: [rebasing], ", 1);
    crate::files::write(&folder.join("assets.yaml"), quirks.as_bytes()).unwrap();
    crate::files::create_folder(&folder.join("descriptors")).unwrap();
    let descriptor = serde_json::json!({
        "context": { "contract": { "deployments": [
            { "chainId": 31337, "address": "0x5FbDB2315678afecb367f032d93F642f64180aa3" }
        ] } },
        "metadata": { "owner": "Demo" },
        "display": { "formats": { "transfer(address to,uint256 value)": { "intent": "Send", "fields": [
            { "path": "to", "label": "To", "format": "addressName" },
        ] } } },
    });
    crate::files::write_json(&folder.join("descriptors/demo.json"), &descriptor).unwrap();
    let described = reviewed(&fixture, &plan()).unwrap();
    assert_eq!(described.effects, bare.effects);
    let text = described.to_string();
    let (_, behind) = text.split_once("what you sign, decoded here:\n").unwrap();
    let effects: String = bare
        .effects
        .as_str()
        .lines()
        .map(|line| format!("  {line}\n"))
        .collect();
    assert_eq!(
        behind.strip_prefix(&effects).unwrap(),
        format!(
            "to help reading (what is decided and approved are the effects above):\n  in the words of Demo: Send\n    \
             To: 0x70997970C51812dc3A010C7d01b50e0d17dc79C8\n    `value`: 2500000\n  \
             DEMO ({token}) has quirks: rebasing\n"
        )
    );
    // The inbox has them too, behind the effects and marked as no part of them.
    let inbox = Inbox(&described).to_string();
    let helping =
        "  to help reading (what is decided and approved are the effects above):\n    in the words of Demo: Send\n";
    let at = inbox.find(helping).unwrap_or_else(|| panic!("{inbox}"));
    assert!(
        inbox.find("  transfer 2500000 ").is_some_and(|effects| effects < at),
        "{inbox}"
    );
    assert!(
        inbox.contains(&format!("    DEMO ({token}) has quirks: rebasing\n")),
        "{inbox}"
    );
    assert!(!Inbox(&bare).to_string().contains("to help reading"));
    let json = serde_json::to_value(&described).unwrap();
    assert_eq!(json["display"]["intent"], "Send");
    assert_eq!(json["quirks"][0]["quirks"], serde_json::json!(["rebasing"]));
    assert_eq!(json["typed_data"], serde_json::Value::Null);
}

type Mutation = fn(&mut Plan);

#[test]
fn one_mutation_of_request_or_bytes_is_refused_with_its_tag() {
    let fixture = Fixture::new();
    let table: [(Mutation, Tag); 12] = [
        (|plan| plan.bytes.truncate(20), Tag::TransactionMalformed),
        (|plan| plan.bytes.push(0), Tag::TransactionMalformed),
        (
            |plan| {
                plan.draft.nonce = 8;
                plan.encode();
            },
            Tag::RequestTransactionMismatch,
        ),
        (
            |plan| {
                plan.open();
                plan.draft.amount = Amount::from_base_units(1_500_000_000_000_000_001);
                plan.encode();
            },
            Tag::RequestPaymentsMismatch,
        ),
        (
            |plan| {
                plan.open();
                plan.draft.destination = STRANGER.parse().unwrap();
                plan.encode();
            },
            Tag::RequestPaymentsMismatch,
        ),
        (
            |plan| {
                plan.draft.destination = STRANGER.parse().unwrap();
                plan.encode();
                plan.request.payments[0].destination = STRANGER.parse().unwrap();
                plan.request.transaction = TransactionBinding::Exact(TransactionDigest::of(&plan.bytes));
            },
            Tag::PermitUncovered,
        ),
        (
            |plan| plan.request.fee_ceiling.amount = Amount::from_base_units(629_999_999_999_999),
            Tag::RequestFeeOverCeiling,
        ),
        (
            |plan| {
                plan.request
                    .effects
                    .push("opaque calldata to none 0 bytes 0x".to_owned())
            },
            Tag::RequestEffectsMismatch,
        ),
        (
            |plan| plan.request.wallet = "eth-cold".parse().unwrap(),
            Tag::RequestUnknownWallet,
        ),
        (
            |plan| plan.request.tenant = "other".parse().unwrap(),
            Tag::RequestNotInitiator,
        ),
        (
            |plan| plan.header.deployment = GenesisHash::of(b"other"),
            Tag::StatementWrongDeployment,
        ),
        (
            |plan| {
                let (from, to) = (
                    "2020-01-01T00:00:00Z".parse().unwrap(),
                    "2020-01-02T00:00:00Z".parse().unwrap(),
                );
                plan.header.validity = Validity::new(from, to).unwrap();
            },
            Tag::StatementExpired,
        ),
    ];
    for (at, (mutate, tag)) in table.into_iter().enumerate() {
        let mut plan = Plan::new(&fixture);
        mutate(&mut plan);
        assert_eq!(refusal(&fixture, &plan.seal(&fixture.service())), tag, "mutation {at}");
    }
}

#[test]
fn a_template_leaves_nonce_and_fee_open() {
    let fixture = Fixture::new();
    let mut plan = Plan::new(&fixture);
    plan.open();
    plan.draft.nonce = 9;
    plan.draft.gas_limit = 20_999;
    plan.draft.price = GasPrice::Legacy { gas_price: 30 * GWEI };
    plan.encode();
    reviewed(&fixture, &plan.seal(&fixture.service())).unwrap();
}

#[test]
fn one_mutation_of_who_and_what_is_refused_with_its_tag() {
    let fixture = Fixture::new();
    let plan = || Plan::new(&fixture);
    assert_eq!(
        refusal(&fixture, &plan().seal(&fixture.person("alice"))),
        Tag::RequestNotInitiator
    );
    assert_eq!(
        refusal(&fixture, &plan().seal(&Fixture::new().service())),
        Tag::StatementUnknownKey
    );
    let (_, task) = plan().seal(&fixture.service());
    let (other, _) = plan().seal(&fixture.service());
    assert_eq!(refusal(&fixture, &(other, task.clone())), Tag::ApprovalOtherWithdrawal);
    // The signature of one payload on another.
    let (_, second) = plan().seal(&fixture.service());
    let request = Envelope::new(
        Kind::Request,
        second.request.payload().to_vec(),
        task.request.key_id().to_owned(),
        task.request.signature().to_vec(),
    );
    let forged = ApprovalTask {
        request: request.unwrap(),
        ..task
    };
    let id = WithdrawalId::of(forged.request.request_digest().unwrap());
    assert_eq!(refusal(&fixture, &(id, forged)), Tag::StatementBadSignature);
}

#[test]
fn a_withdrawal_that_was_rejected_is_not_approved_by_others() {
    let fixture = Fixture::new();
    let (id, mut task) = Plan::new(&fixture).seal(&fixture.service());
    let body = Body::Rejection(Rejection {
        items: vec![RejectionItem {
            withdrawal: id,
            reason: "no".to_owned(),
        }],
    });
    let header = clock::header(fixture.genesis.hash(), Duration::from_secs(60)).unwrap();
    task.statements
        .push(seal(&Statement { header, body }, &fixture.person("bob")).unwrap());
    assert_eq!(refusal(&fixture, &(id, task)), Tag::ApprovalRejected);
}

/// A decision without prices ends before it hears people: the no is there all the same.
#[test]
fn a_rejection_is_heard_where_prices_are_missing() {
    let fixture = Fixture::attesting();
    let policy = BOOK_POLICY.replace(
        "to: { address-book: desk }",
        r#"to: { list: customers }, amount: { max: { USD: "9000 USD" } }"#,
    );
    crate::files::write(&fixture.layout.bundle().join("policy.yaml"), policy.as_bytes()).unwrap();
    let (id, mut task) = Plan::new(&fixture).seal(&fixture.service());
    assert!(reviewed(&fixture, &(id, task.clone())).is_ok(), "it waits for prices");
    let rejection = |name: &str, withdrawal: WithdrawalId| {
        let item = RejectionItem {
            withdrawal,
            reason: "no".to_owned(),
        };
        let header = clock::header(fixture.genesis.hash(), Duration::from_secs(60)).unwrap();
        let body = Body::Rejection(Rejection { items: vec![item] });
        seal(&Statement { header, body }, &fixture.person(name)).unwrap()
    };
    let other = WithdrawalId::of(countersign_types::RequestDigest::of(b"other"));
    // Dave is in no group.
    task.statements = vec![rejection("dave", id), rejection("bob", other)];
    assert!(reviewed(&fixture, &(id, task.clone())).is_ok());
    task.statements.push(rejection("bob", id));
    assert_eq!(refusal(&fixture, &(id, task)), Tag::ApprovalRejected);
}

fn approval(fixture: &Fixture, name: &str, item: ApprovalItem) -> Envelope {
    let header = clock::header(fixture.genesis.hash(), Duration::from_secs(60)).unwrap();
    let body = Body::Approval(Approval { items: vec![item] });
    seal(&Statement { header, body }, &fixture.person(name)).unwrap()
}

#[test]
fn an_approval_that_would_not_count_is_not_handed_in() {
    let fixture = Fixture::new();
    let (id, mut task) = Plan::new(&fixture).seal(&fixture.service());
    let item = {
        let reviewed = reviewed(&fixture, &(id, task.clone())).unwrap();
        move || ApprovalItem {
            withdrawal: id,
            effects: reviewed.effects.clone(),
            fee_ceiling: reviewed.fee_ceiling.bound(),
            policy: reviewed.policy,
        }
    };
    let counts = |task: &ApprovalTask, own: &Envelope| {
        let now = clock::now().unwrap();
        certify_counts(&fixture.trust(), id, task, own, now).map_err(|failure| failure.tag().unwrap())
    };
    let alice = approval(&fixture, "alice", item());
    assert_eq!(counts(&task, &alice), Ok(()));
    assert_eq!(
        counts(&task, &approval(&fixture, "dave", item())),
        Err(Tag::ApprovalByInitiator)
    );
    let policy = ApprovalItem {
        policy: PolicyDigest::of(b"other"),
        ..item()
    };
    assert_eq!(
        counts(&task, &approval(&fixture, "alice", policy)),
        Err(Tag::ApprovalPolicyMismatch)
    );
    let effects = ApprovalItem {
        effects: EffectsText::parse("effects/v1\n").unwrap(),
        ..item()
    };
    assert_eq!(
        counts(&task, &approval(&fixture, "alice", effects)),
        Err(Tag::ApprovalEffectsMismatch)
    );
    let mut ceiling = item();
    ceiling.fee_ceiling.amount = Amount::from_base_units(1);
    assert_eq!(
        counts(&task, &approval(&fixture, "alice", ceiling)),
        Err(Tag::ApprovalFeeCeilingMismatch)
    );
    task.statements.push(alice.clone());
    assert_eq!(
        counts(&task, &alice),
        Ok(()),
        "the same statement again changes nothing"
    );
    assert_eq!(
        counts(&task, &approval(&fixture, "alice", item())),
        Err(Tag::ApprovalSamePerson)
    );
    assert_eq!(counts(&task, &approval(&fixture, "bob", item())), Ok(()));
}

/// A replacement whose fee is over the request's ceiling, and the statement of `by` that raises it to this.
fn raised(fixture: &Fixture, by: &SigningKey, to: u64) -> (WithdrawalId, ApprovalTask) {
    let mut plan = Plan::new(fixture);
    plan.open();
    plan.draft.price = GasPrice::Legacy { gas_price: 90 * GWEI };
    plan.encode();
    let (id, mut task) = plan.seal(&fixture.service());
    let header = clock::header(fixture.genesis.hash(), Duration::from_secs(60)).unwrap();
    let body = Body::Replace(countersign_approval::Replace {
        withdrawal: id,
        fee_ceiling: FeeCeiling {
            asset: ETH.parse().unwrap(),
            amount: Amount::from_base_units(to),
        },
        reason: "stuck since noon".to_owned(),
    });
    task.statements.push(seal(&Statement { header, body }, by).unwrap());
    (id, task)
}

#[test]
fn a_raised_ceiling_is_shown_from_old_to_new_and_bound() {
    let fixture = Fixture::new();
    let (id, task) = raised(&fixture, &fixture.service(), 2_000_000_000_000_000);
    let reviewed = reviewed(&fixture, &(id, task.clone())).unwrap();
    let text = reviewed.to_string();
    let line = "RAISED       fee ceiling 0.00063 ETH -> 0.002 ETH by payout-service: stuck since noon";
    assert!(text.lines().any(|found| found == line), "{text}");
    let signed = "  fee at most 2000000000000000 eip155:31337/slip44:60 (0.002 ETH)";
    assert!(
        text.lines().any(|found| found == signed),
        "what is signed is what is shown: {text}"
    );
    assert!(
        text.lines().any(|found| found == "this fee     at most 0.00189 ETH"),
        "{text}"
    );
    let inbox = Inbox(&reviewed).to_string();
    assert!(
        inbox.contains("  RAISED: fee ceiling 0.00063 ETH -> 0.002 ETH"),
        "{inbox}"
    );
    let json = serde_json::to_value(&reviewed).unwrap();
    assert_eq!(json["fee_ceiling"]["raised"]["from"], "630000000000000");
    assert_eq!(json["fee_ceiling"]["amount"], "2000000000000000");
    // An approval of exactly this counts; one of the request's own ceiling does not.
    let item = |fee_ceiling: FeeCeiling| ApprovalItem {
        withdrawal: id,
        effects: reviewed.effects.clone(),
        fee_ceiling,
        policy: reviewed.policy,
    };
    let new = approval(&fixture, "alice", item(reviewed.fee_ceiling.bound()));
    let old = approval(&fixture, "alice", item(reviewed.request.fee_ceiling.clone()));
    // Not before they were made.
    let now = clock::now().unwrap();
    certify_counts(&fixture.trust(), id, &task, &new, now).unwrap();
    let failure = certify_counts(&fixture.trust(), id, &task, &old, now).unwrap_err();
    assert_eq!(failure.tag(), Some(Tag::ApprovalFeeCeilingMismatch));
}

/// Whoever is neither the initiator nor an officer raises nothing, and neither does what does not cover the fee.
#[test]
fn a_ceiling_that_was_not_raised_is_not_shown_as_raised() {
    let fixture = Fixture::new();
    let over = 2_000_000_000_000_000;
    assert_eq!(
        refusal(&fixture, &raised(&fixture, &fixture.person("carol"), over)),
        Tag::RequestFeeOverCeiling
    );
    assert_eq!(
        refusal(&fixture, &raised(&fixture, &fixture.service(), 1_000_000_000_000_000)),
        Tag::RequestFeeOverCeiling
    );
    let plain = reviewed(&fixture, &Plan::new(&fixture).seal(&fixture.service())).unwrap();
    assert!(!plain.to_string().contains("RAISED"), "{plain}");
}

/// Customers stand in a book, and what is new there gets little: as in `policies/exchange-hot`.
const BOOK_POLICY: &str = r#"schema: countersign.policy/1
permits:
  - { id: payouts, effects: [transfer], wallets: [eth-hot], to: { address-book: desk } }
  - { id: fees, effects: [fee], wallets: [eth-hot], fee: { max: "0.05 ETH" } }
requires:
  - { id: two, when: { effects: [transfer] }, approvals: { treasury: 2 } }
limits:
  - { id: cool-off, effects: [transfer], assets: [ETH], to: { entry-under: 24h }, scope: [destination], window: 24h, hard: "1 ETH" }
forbids: []
"#;

/// What the desk says of the customer's destination.
fn entry(fixture: &Fixture, state: BookState, sequence: u64) -> Envelope {
    let key = SigningKey::read(&fixture.layout.service_key(&"desk".parse().unwrap())).unwrap();
    let header = clock::header(fixture.genesis.hash(), Duration::from_secs(3_600)).unwrap();
    let body = Body::AddressBook(BookEntry {
        tenant: "main".parse().unwrap(),
        subject: "customer-1".parse().unwrap(),
        destination: STRANGER.parse().unwrap(),
        entry: state,
        sequence,
    });
    seal(&Statement { header, body }, &key).unwrap()
}

/// Since when the journal has an entry nobody tells the approver: what an old entry is paid may be approved.
#[test]
fn a_customer_of_a_book_is_named_and_may_be_paid_what_an_old_entry_is() {
    let fixture = Fixture::attesting();
    crate::files::write(&fixture.layout.bundle().join("policy.yaml"), BOOK_POLICY.as_bytes()).unwrap();
    let mut plan = Plan::new(&fixture);
    plan.draft.destination = STRANGER.parse().unwrap();
    plan.request.payments[0].destination = STRANGER.parse().unwrap();
    plan.encode();
    plan.request.transaction = TransactionBinding::Exact(TransactionDigest::of(&plan.bytes));
    let (id, mut task) = plan.seal(&fixture.service());
    assert_eq!(refusal(&fixture, &(id, task.clone())), Tag::PermitUncovered);

    let days_ago = |days: i64| {
        let now = clock::now().unwrap().unix_millis();
        Timestamp::from_unix_millis(now - days * 86_400_000).to_seconds()
    };
    task.statements = vec![entry(&fixture, BookState::Registered { at: days_ago(2) }, 1)];
    let named = reviewed(&fixture, &(id, task.clone())).unwrap().to_string();
    assert!(
        named.contains("payment      pay-1 for customer-1: in the book of desk\n"),
        "{named}"
    );
    // The service itself says that it is young: 1.5 ETH are over what that gets.
    task.statements = vec![entry(&fixture, BookState::Registered { at: days_ago(0) }, 1)];
    assert_eq!(refusal(&fixture, &(id, task.clone())), Tag::LimitWindowExceeded);
    task.statements.push(entry(&fixture, BookState::Removed, 2));
    assert_eq!(refusal(&fixture, &(id, task)), Tag::PermitUncovered);
}

/// A limit asks above its soft maximum, a forbid keeps strangers to little: what was spent and who was paid, only the journal knows.
const JOURNAL_POLICY: &str = r#"schema: countersign.policy/1
permits:
  - { id: payouts, effects: [transfer], wallets: [eth-hot], to: { list: customers } }
  - { id: fees, effects: [fee], wallets: [eth-hot], fee: { max: "0.05 ETH" } }
requires: []
limits:
  - id: day
    effects: [transfer]
    assets: [ETH]
    scope: []
    window: 24h
    soft: "2 ETH"
    hard: "8 ETH"
    over-soft: { approvals: { treasury: 2 } }
forbids:
  - { id: first-a-little, when: { effects: [transfer], to: { first-seen: true }, amount: { over: { ETH: "1 ETH" } } } }
"#;

#[test]
fn what_a_soft_limit_may_ask_is_shown_and_its_approvals_are_handed_in() {
    let fixture = Fixture::new();
    let policy = JOURNAL_POLICY.replace(r#""1 ETH""#, r#""2 ETH""#);
    crate::files::write(&fixture.layout.bundle().join("policy.yaml"), policy.as_bytes()).unwrap();
    let (id, task) = Plan::new(&fixture).seal(&fixture.service());
    let reviewed = reviewed(&fixture, &(id, task.clone())).unwrap();
    let line = "treasury: 2 once limit `day` is over its soft maximum, which only the signer knows";
    for text in [reviewed.to_string(), Inbox(&reviewed).to_string()] {
        assert!(text.contains(line), "{text}");
    }
    let item = || ApprovalItem {
        withdrawal: id,
        effects: reviewed.effects.clone(),
        fee_ceiling: reviewed.fee_ceiling.bound(),
        policy: reviewed.policy,
    };
    let counts = |name: &str, item: ApprovalItem| {
        let now = clock::now().unwrap();
        let own = approval(&fixture, name, item);
        certify_counts(&fixture.trust(), id, &task, &own, now).map_err(|failure| failure.tag().unwrap())
    };
    assert_eq!(counts("alice", item()), Ok(()));
    assert_eq!(counts("dave", item()), Err(Tag::ApprovalByInitiator));
    let other = ApprovalItem {
        policy: PolicyDigest::of(b"other"),
        ..item()
    };
    assert_eq!(counts("alice", other), Err(Tag::ApprovalPolicyMismatch));
}

/// The limit concerns tokens: nobody is asked for ether, and nobody's approval of it counts.
#[test]
fn what_no_soft_limit_asks_is_not_handed_in() {
    let fixture = Fixture::new();
    let policy = JOURNAL_POLICY
        .replace(r#""1 ETH""#, r#""2 ETH""#)
        .replace("assets: [ETH]", "assets: [DEMO]")
        .replace(r#"soft: "2 ETH""#, r#"soft: "2 DEMO""#)
        .replace("8 ETH", "8 DEMO");
    crate::files::write(&fixture.layout.bundle().join("policy.yaml"), policy.as_bytes()).unwrap();
    let (id, task) = Plan::new(&fixture).seal(&fixture.service());
    let reviewed = reviewed(&fixture, &(id, task.clone())).unwrap();
    assert!(!reviewed.to_string().contains("soft maximum"), "{reviewed}");
    let item = ApprovalItem {
        withdrawal: id,
        effects: reviewed.effects.clone(),
        fee_ceiling: reviewed.fee_ceiling.bound(),
        policy: reviewed.policy,
    };
    let own = approval(&fixture, "alice", item);
    let failure = certify_counts(&fixture.trust(), id, &task, &own, clock::now().unwrap()).unwrap_err();
    assert_eq!(failure.tag(), Some(Tag::ApprovalNotMember));
}

/// Whether a destination was paid before nobody tells the approver: what a known one is paid may be approved.
#[test]
fn what_a_destination_that_was_paid_before_may_get_is_shown() {
    let fixture = Fixture::new();
    crate::files::write(&fixture.layout.bundle().join("policy.yaml"), JOURNAL_POLICY.as_bytes()).unwrap();
    let task = Plan::new(&fixture).seal(&fixture.service());
    assert!(reviewed(&fixture, &task).is_ok());
    let mut plan = Plan::new(&fixture);
    plan.draft.amount = Amount::from_base_units(8_000_000_000_000_000_001);
    plan.request.payments[0].amount = plan.draft.amount;
    plan.encode();
    plan.request.transaction = TransactionBinding::Exact(TransactionDigest::of(&plan.bytes));
    let over = plan.seal(&fixture.service());
    assert_eq!(
        refusal(&fixture, &over),
        Tag::ForbidMatched,
        "what is denied either way stays denied, as before"
    );
}

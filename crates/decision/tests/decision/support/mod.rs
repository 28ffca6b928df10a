//! A valid case: 1 ETH to a listed customer, approved by alice and bob.

use std::collections::BTreeMap;

use countersign_approval::{Approval, ApprovalItem, Body, Envelope, Header, Request, verify};
use countersign_bundle::Bundle;
use countersign_decision::testing::{Ask, World, bundle_files, sealed};
use countersign_decision::{
    AttemptFact, Case, Decision, Entry, LedgerFacts, Observatory, Outcome, OutcomeKind, Reading, Reason, Seen, decide,
};
use countersign_types::{
    ChainFacts, ConflictKey, Duration, EffectsText, RequestDigest, Tag, Timestamp, TransactionDigest, UtcSeconds,
    Validity, WithdrawalId,
};

/// Everything that a decision is made from; a test changes one thing.
pub(crate) struct Fixture {
    pub(crate) world: World,
    pub(crate) active: Bundle,
    pub(crate) first: Bundle,
    pub(crate) body: Request,
    pub(crate) header: Header,
    pub(crate) initiator: &'static str,
    pub(crate) request: Envelope,
    pub(crate) unsigned: Vec<u8>,
    pub(crate) statements: Vec<(Envelope, Timestamp)>,
    pub(crate) ledger: LedgerFacts,
    pub(crate) first_seen_at: Timestamp,
    pub(crate) now: Timestamp,
    pub(crate) sign_within: Duration,
}

pub(crate) fn later(from: Timestamp, millis: i64) -> Timestamp {
    Timestamp::from_unix_millis(from.unix_millis() + millis)
}

fn seconds(at: Timestamp) -> UtcSeconds {
    at.to_seconds()
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let world = World::new();
        let ask = Ask::default();
        let header = world.header();
        let issued_at = world.issued_at;
        let mut fixture = Self {
            active: world.bundle(),
            first: world.bundle(),
            body: ask.request(),
            request: world.request(&ask),
            initiator: "payout-service",
            unsigned: ask.unsigned(),
            statements: Vec::new(),
            ledger: LedgerFacts {
                epoch: header.epoch,
                ..LedgerFacts::default()
            },
            first_seen_at: later(issued_at, 1_000),
            now: later(issued_at, 60_000),
            sign_within: Duration::from_secs(30),
            header,
            world,
        };
        fixture.seal();
        fixture.approve(&["alice", "bob"]);
        fixture
    }

    /// Signs the request again after a change of its body, header or signer. Approvals are of the old one then.
    pub(crate) fn seal(&mut self) {
        let body = Body::Request(Box::new(self.body.clone()));
        self.request = self.world.sign_with(self.initiator, self.header, body);
    }

    /// Takes other bytes, and binds them.
    pub(crate) fn pay(&mut self, ask: &Ask) {
        self.unsigned = ask.unsigned();
        self.body = ask.request();
        self.seal();
        self.approve(&["alice", "bob"]);
    }

    pub(crate) fn withdrawal(&self) -> WithdrawalId {
        WithdrawalId::of(RequestDigest::of(self.request.payload()))
    }

    /// What an approver's own program makes of the bytes under the bundle in force.
    pub(crate) fn item(&self) -> ApprovalItem {
        let registry = self.active.registry();
        let parsed = registry
            .parse(
                &self.body.network,
                &self.body.wallet,
                &self.unsigned,
                ChainFacts::none(),
            )
            .unwrap();
        let ceiling = (&self.body.fee_ceiling.asset, self.body.fee_ceiling.amount);
        let text = EffectsText::render(
            &self.body.network,
            &self.body.wallet,
            parsed.effects(),
            ceiling,
            registry.assets(),
        );
        ApprovalItem {
            withdrawal: self.withdrawal(),
            effects: text.unwrap(),
            fee_ceiling: self.body.fee_ceiling.clone(),
            policy: self.active.policy_digest(),
        }
    }

    pub(crate) fn approval(&self, person: &str, change: impl FnOnce(&mut ApprovalItem, &mut Header)) -> Envelope {
        let (mut item, mut header) = (self.item(), self.world.header());
        change(&mut item, &mut header);
        let body = Body::Approval(Approval { items: vec![item] });
        self.world.sign_with(person, header, body)
    }

    /// Replaces the statements by approvals, seen one second after the other.
    pub(crate) fn approve(&mut self, people: &[&str]) {
        self.statements.clear();
        for person in people {
            let approval = self.approval(person, |_, _| {});
            self.say(approval);
        }
    }

    /// Adds a statement, seen a second after the last one.
    pub(crate) fn say(&mut self, envelope: Envelope) {
        let last = self.statements.last().map_or(self.first_seen_at, |(_, at)| *at);
        self.statements.push((envelope, later(last, 1_000)));
    }

    /// Puts a bundle with changed files in force, and approves under it.
    pub(crate) fn put_in_force(&mut self, files: BTreeMap<String, Vec<u8>>) {
        self.active = Bundle::load(&sealed(1, None, files)).unwrap();
        self.first = self.active.clone();
        self.approve(&["alice", "bob"]);
    }

    pub(crate) fn decide(&self) -> Decision {
        let verified = verify(&self.request, self.active.roster()).unwrap();
        let Body::Request(request) = &verified.statement().body else {
            panic!()
        };
        let seen = |(envelope, at): &(Envelope, Timestamp)| Seen {
            digest: envelope.statement_digest(),
            verified: verify(envelope, self.active.roster()),
            first_seen_at: *at,
        };
        let statements: Vec<Seen> = self.statements.iter().map(seen).collect();
        let observatory = Observatory {
            deployment: self.world.genesis.hash(),
            epoch: self.ledger.epoch,
            network: &request.network,
            roster: self.active.roster(),
            now: self.now,
        };
        let facts = observatory.observe(&statements).facts().clone();
        let reading = Reading::new(&self.active, request, &self.unsigned, facts);
        decide(&Case {
            deployment: self.world.genesis.hash(),
            active: &self.active,
            first: &self.first,
            verified: &verified,
            request,
            first_seen_at: self.first_seen_at,
            reading: &reading,
            statements: &statements,
            ledger: &self.ledger,
            now: self.now,
            sign_within: self.sign_within,
        })
    }

    pub(crate) fn nonce_key(&self, nonce: u64) -> ConflictKey {
        let account = self.world.wallet_address();
        ConflictKey::AccountNonce { account, nonce }
    }

    pub(crate) fn attempt(&self, number: u32, anchor: Option<ConflictKey>) -> AttemptFact {
        AttemptFact {
            number,
            transaction: TransactionDigest::of(&number.to_be_bytes()),
            anchor,
            txid: None,
        }
    }
}

pub(crate) fn expired(at: Timestamp) -> Validity {
    Validity::new(seconds(later(at, -60_000)), seconds(at)).unwrap()
}

/// The policy of the development bundle with a text replaced.
pub(crate) fn policy_with(from: &str, to: &str) -> BTreeMap<String, Vec<u8>> {
    let mut files = bundle_files(&World::new().roster());
    let policy = String::from_utf8(files["policy.yaml"].clone()).unwrap();
    let changed = policy.replace(from, to);
    assert_ne!(changed, policy);
    files.insert("policy.yaml".to_owned(), changed.into_bytes());
    files
}

pub(crate) fn tags(reasons: &[Reason]) -> Vec<Tag> {
    reasons.iter().map(|reason| reason.tag).collect()
}

#[track_caller]
pub(crate) fn assert_allowed(decision: &Decision) {
    assert_eq!(decision.outcome, Outcome::Allowed, "{:#?}", decision.entry);
    assert_eq!(decision.entry.outcome, OutcomeKind::Allowed);
    assert!(decision.entry.authorization.is_some() && decision.entry.reasons.is_empty());
}

#[track_caller]
pub(crate) fn assert_denied(what: &str, decision: &Decision, expected: Tag) -> bool {
    let Outcome::Denied { reasons, is_final } = &decision.outcome else {
        panic!("{what}: {:?}", decision.outcome)
    };
    assert_eq!(tags(reasons), [expected], "{what}: {reasons:?}");
    assert_eq!(decision.entry.outcome, OutcomeKind::Denied, "{what}");
    assert_eq!(tags(&decision.entry.reasons), [expected], "{what}");
    assert_eq!(decision.entry.authorization, None, "{what}");
    *is_final
}

#[track_caller]
pub(crate) fn assert_pending(what: &str, decision: &Decision, expected: &[Tag]) {
    let Outcome::Pending { reasons, .. } = &decision.outcome else {
        panic!("{what}: {:?}", decision.outcome)
    };
    assert_eq!(tags(reasons), expected, "{what}: {reasons:?}");
    assert_eq!(decision.entry.outcome, OutcomeKind::Pending, "{what}");
    assert_eq!(decision.entry.authorization, None, "{what}");
}

/// An entry is read back as it was written.
#[track_caller]
pub(crate) fn assert_round_trips(decision: &Decision) -> Vec<u8> {
    let entry = Entry::Decision(Box::new(decision.entry.clone()));
    let bytes = entry.to_bytes().unwrap();
    assert_eq!(Entry::parse(&bytes).unwrap(), entry);
    bytes
}

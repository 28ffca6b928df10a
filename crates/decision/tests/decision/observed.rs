//! What observers attest: a valid case whose recipient stands in a lookup table, and one change of who says what.

use crate::support;

use countersign_approval::{Body, Envelope, Header, Observation, ObservedFact, ObservedOutcome, verify};
use countersign_bundle::Bundle;
use countersign_decision::testing::solana::{
    NETWORK, NONCE_VALUE, Shape, SolanaAsk, customer, files, honest_facts, nonce_account, nonce_fact, observed_roster,
    table, table_fact, thief, wallet,
};
use countersign_decision::testing::{World, sealed};
use countersign_decision::{
    AttemptFact, Case, Decision, Fate, LedgerFacts, Observatory, Observed, Reading, Seen, decide, is_about,
};
use countersign_types::{
    ChainFacts, ConflictKey, Duration, GenesisHash, RequestDigest, Tag, Timestamp, TransactionDigest,
};
use support::{assert_allowed, assert_denied, assert_pending, assert_round_trips, expired, later};

/// Everything that one decision is made from; a test changes one thing.
pub(crate) struct Scene {
    pub(crate) world: World,
    bundle: Bundle,
    pub(crate) ask: SolanaAsk,
    pub(crate) request: Envelope,
    statements: Vec<(Envelope, Timestamp)>,
    pub(crate) ledger: LedgerFacts,
    now: Timestamp,
    /// Read with these facts instead of what the statements attest.
    facts: Option<ChainFacts>,
}

impl Scene {
    /// Two of the treasury approved, and nobody has observed anything yet.
    pub(crate) fn new(ask: SolanaAsk) -> Self {
        let world = World::observed();
        let request = world.solana_request(&ask);
        let mut scene = Self {
            bundle: Bundle::load(&world.files).map_err(|errors| errors.to_string()).unwrap(),
            now: later(world.issued_at, 60_000),
            request,
            ledger: LedgerFacts {
                epoch: countersign_approval::FIRST_EPOCH,
                ..LedgerFacts::default()
            },
            statements: Vec::new(),
            facts: None,
            ask,
            world,
        };
        for person in ["alice", "bob"] {
            let approval = scene.world.solana_approval(person, &scene.request, &scene.ask);
            scene.say(approval);
        }
        scene
    }

    /// The recipient is looked up, and two observers say where.
    fn looked_up() -> Self {
        let mut scene = Self::new(SolanaAsk::looked_up());
        scene.observe("node-a", 1, &[table_fact()]);
        scene.observe("node-b", 1, &[table_fact()]);
        scene
    }

    pub(crate) fn say(&mut self, envelope: Envelope) {
        self.statements.push((envelope, later(self.world.issued_at, 2_000)));
    }

    pub(crate) fn observe(&mut self, node: &str, sequence: u64, facts: &[ObservedFact]) {
        let observation = self.world.observation(node, sequence, facts);
        self.say(observation);
    }

    /// Replaces the last statement by one with another header or network.
    fn resay(&mut self, node: &str, change: impl FnOnce(&mut Observation, &mut Header)) {
        let (last, _) = self.statements.pop().unwrap();
        let verified = verify(&last, self.bundle.roster()).unwrap();
        let Body::Observation(mut observation) = verified.statement().body.clone() else {
            panic!("no observation")
        };
        let mut header = self.world.header();
        change(&mut observation, &mut header);
        let again = self.world.sign_with(node, header, Body::Observation(observation));
        self.say(again);
    }

    fn put_in_force(&mut self, files: std::collections::BTreeMap<String, Vec<u8>>) {
        self.bundle = Bundle::load(&sealed(1, None, files))
            .map_err(|errors| errors.to_string())
            .unwrap();
    }

    fn seen(&self) -> Vec<Seen> {
        let one = |(envelope, at): &(Envelope, Timestamp)| Seen {
            digest: envelope.statement_digest(),
            verified: verify(envelope, self.bundle.roster()),
            first_seen_at: *at,
        };
        self.statements.iter().map(one).collect()
    }

    fn observed(&self) -> Observed {
        let network = NETWORK.parse().unwrap();
        let observatory = Observatory {
            deployment: self.world.genesis.hash(),
            epoch: self.ledger.epoch,
            network: &network,
            roster: self.bundle.roster(),
            now: self.now,
        };
        observatory.observe(&self.seen())
    }

    fn reading(&self) -> Reading {
        let facts = self.facts.clone().unwrap_or_else(|| self.observed().facts().clone());
        Reading::new(&self.bundle, &self.ask.request(), &self.ask.unsigned(), facts)
    }

    pub(crate) fn decide(&self) -> Decision {
        let verified = verify(&self.request, self.bundle.roster()).unwrap();
        decide(&Case {
            deployment: self.world.genesis.hash(),
            active: &self.bundle,
            first: &self.bundle,
            verified: &verified,
            request: &self.ask.request(),
            first_seen_at: later(self.world.issued_at, 1_000),
            reading: &self.reading(),
            statements: &self.seen(),
            ledger: &self.ledger,
            now: self.now,
            sign_within: Duration::from_secs(30),
        })
    }

    /// An attempt of these bytes, signed and recorded.
    pub(crate) fn attempt(&self, number: u32, ask: &SolanaAsk) -> AttemptFact {
        let anchor = (ask.blockhash == NONCE_VALUE).then(nonce_key);
        AttemptFact {
            number,
            transaction: TransactionDigest::of(&ask.unsigned()),
            anchor,
            txid: Some(format!("own{number}")),
        }
    }
}

fn nonce_key() -> ConflictKey {
    ConflictKey::NonceAccount {
        account: nonce_account(),
        value: NONCE_VALUE,
    }
}

fn other_blockhash() -> SolanaAsk {
    SolanaAsk {
        blockhash: [0x78; 32],
        ..SolanaAsk::default()
    }
}

fn table_of(addresses: &[[u8; 32]]) -> ObservedFact {
    ObservedFact::LookupTable {
        account: table(),
        addresses: addresses.to_vec(),
    }
}

fn first() -> [u8; 32] {
    let ObservedFact::LookupTable { addresses, .. } = table_fact() else {
        panic!()
    };
    addresses[0]
}

fn expires(ask: &SolanaAsk) -> ObservedFact {
    ObservedFact::Expired {
        transaction: TransactionDigest::of(&ask.unsigned()),
        last_valid_height: 900,
    }
}

pub(crate) fn spend(txid: &str, outcome: ObservedOutcome) -> ObservedFact {
    ObservedFact::Spent {
        conflict_key: nonce_key(),
        txid: txid.to_owned(),
        outcome,
    }
}

type Change = fn(&mut Scene);

#[test]
fn the_valid_cases_are_allowed() {
    let looked_up = Scene::looked_up();
    let decision = looked_up.decide();
    assert_allowed(&decision);
    assert_round_trips(&decision);
    // Every statement is considered, observations too, and none is discounted.
    assert_eq!(decision.entry.statements.len(), 4);
    assert!(decision.entry.statements.iter().all(|seen| seen.discounted.is_none()));
    assert_eq!(looked_up.observed().facts().tables, honest_facts(1_000).tables);

    let mut durable = Scene::new(SolanaAsk::durable());
    durable.observe("node-c", 1, &[nonce_fact()]);
    durable.observe("node-d", 1, &[nonce_fact()]);
    assert_allowed(&durable.decide());
    let reading = durable.reading();
    assert_eq!(reading.parsed().unwrap().conflict_keys(), [nonce_key()]);

    assert_allowed(&Scene::new(SolanaAsk::default()).decide());
}

/// Each change leaves fewer than two voices for what the bytes rest on: it is not signed, and the answer says what to get.
#[test]
fn one_change_leaves_the_table_unattested() {
    let cases: Vec<(&str, Change)> = vec![
        ("nobody has said anything", |s| s.statements.truncate(2)),
        ("one observer", |s| s.statements.truncate(3)),
        ("one observer twice", |s| {
            s.statements.pop();
            s.observe("node-a", 2, &[table_fact()]);
        }),
        ("they disagree", |s| {
            s.statements.pop();
            s.observe("node-b", 1, &[table_of(&[thief(), thief()])]);
        }),
        ("two on each side", |s| {
            s.observe("node-c", 1, &[table_of(&[thief(), thief()])]);
            s.observe("node-d", 1, &[table_of(&[thief(), thief()])]);
        }),
        ("the later word of one is another", |s| {
            s.observe("node-b", 2, &[table_of(&[thief(), thief()])]);
        }),
        ("of another table", |s| {
            s.statements.pop();
            let ObservedFact::LookupTable { addresses, .. } = table_fact() else {
                panic!()
            };
            let account = nonce_account();
            s.observe("node-b", 1, &[ObservedFact::LookupTable { account, addresses }]);
        }),
        ("of another network", |s| {
            s.resay("node-b", |observation, _| {
                observation.network = "solana:other".parse().unwrap();
                let account = table().to_string().replace("localnet", "other").parse().unwrap();
                observation.facts = vec![ObservedFact::LookupTable {
                    account,
                    addresses: vec![first(), customer()],
                }];
            });
        }),
        ("of another deployment", |s| {
            s.resay("node-b", |_, header| header.deployment = GenesisHash::of(b"other"));
        }),
        ("of another epoch", |s| s.resay("node-b", |_, header| header.epoch += 1)),
        ("expired since", |s| {
            let now = s.now;
            s.resay("node-b", |_, header| header.validity = expired(now));
        }),
        ("by the initiator, who observes nothing", |s| {
            s.resay("payout-service", |_, _| {})
        }),
        ("by a person", |s| s.resay("carol", |_, _| {})),
        ("one has left the roster", |s| {
            let mut roster = observed_roster();
            roster.observers[0].members.remove(1);
            let files = files(&roster);
            s.put_in_force(files);
        }),
        ("nobody observes any more", |s| {
            let mut roster = observed_roster();
            roster.observers.clear();
            let files = files(&roster);
            s.put_in_force(files);
        }),
        ("three are asked for", |s| {
            let mut roster = observed_roster();
            roster.observers[0].threshold = 3;
            let files = files(&roster);
            s.put_in_force(files);
        }),
    ];
    for (what, change) in cases {
        let mut scene = Scene::looked_up();
        change(&mut scene);
        let decision = scene.decide();
        assert_pending(what, &decision, &[Tag::FactsUnattested]);
        assert!(
            decision.entry.reasons[0].message.contains(&table().to_string()),
            "{what}"
        );
        assert_eq!(decision.effects, None, "{what}: nothing is shown that is not known");
        assert_round_trips(&decision);
    }
}

/// What was said under one roster or is over by now is listed with the reason for which it does not count.
#[test]
fn what_does_not_count_says_why() {
    let cases: Vec<(&str, Change, Tag)> = vec![
        (
            "expired since",
            |s| {
                let now = s.now;
                s.resay("node-c", |_, header| header.validity = expired(now));
            },
            Tag::StatementExpired,
        ),
        (
            "no observer",
            |s| s.resay("payout-service", |_, _| {}),
            Tag::StatementNotPermitted,
        ),
        (
            "another network",
            |s| {
                s.resay("node-c", |observation, _| {
                    observation.network = "solana:other".parse().unwrap();
                    observation.facts = vec![expires(&SolanaAsk::default())];
                });
            },
            Tag::ObservationIrrelevant,
        ),
    ];
    for (what, change, tag) in cases {
        let mut scene = Scene::looked_up();
        scene.observe("node-c", 1, &[table_fact()]);
        change(&mut scene);
        let decision = scene.decide();
        assert_allowed(&decision);
        assert_eq!(decision.entry.statements[4].discounted, Some(tag), "{what}");
    }
    // What is final counts for good, even if how things are now was said too long ago.
    let mut scene = Scene::looked_up();
    let now = scene.now;
    scene.observe("node-c", 1, &[table_fact(), expires(&SolanaAsk::default())]);
    scene.resay("node-c", |_, header| header.validity = expired(now));
    let decision = scene.decide();
    assert_allowed(&decision);
    assert_eq!(decision.entry.statements[4].discounted, None);
}

#[test]
fn tables_are_agreed_as_far_as_two_see_the_same() {
    let address = |letter: char| match letter {
        'a' => first(),
        'b' => customer(),
        _ => thief(),
    };
    let addresses = |letters: &str| letters.chars().map(address).collect::<Vec<_>>();
    /// Who says what, with which sequence.
    type Voices = Vec<(&'static str, u64, &'static str)>;
    // The last column is what is agreed.
    let cases: Vec<(&str, Voices, &str)> = vec![
        ("the shorter one", vec![("node-a", 1, "abc"), ("node-b", 1, "ab")], "ab"),
        (
            "a common beginning",
            vec![("node-a", 1, "ab"), ("node-b", 1, "ac")],
            "a",
        ),
        (
            "two of three",
            vec![("node-a", 1, "abc"), ("node-b", 1, "c"), ("node-c", 1, "abc")],
            "abc",
        ),
        (
            "the longest that two share",
            vec![("node-a", 1, "a"), ("node-b", 1, "ab"), ("node-c", 1, "abc")],
            "ab",
        ),
        (
            "two against two",
            vec![
                ("node-a", 1, "ab"),
                ("node-b", 1, "ab"),
                ("node-c", 1, "ac"),
                ("node-d", 1, "ac"),
            ],
            "a",
        ),
        (
            "the later word counts",
            vec![("node-a", 2, "ab"), ("node-a", 1, "cc"), ("node-b", 1, "ab")],
            "ab",
        ),
        ("nothing in common", vec![("node-a", 1, "a"), ("node-b", 1, "b")], ""),
    ];
    for (what, says, expected) in cases {
        let mut scene = Scene::new(SolanaAsk::looked_up());
        for (node, sequence, letters) in says {
            scene.observe(node, sequence, &[table_of(&addresses(letters))]);
        }
        let observed = scene.observed();
        let agreed = observed.facts().tables.get(&table());
        let agreed = agreed.map(|table| table.addresses.clone()).unwrap_or_default();
        assert_eq!(agreed, addresses(expected), "{what}");
    }
}

#[test]
fn nonce_accounts_are_agreed_whole() {
    let says = |value: [u8; 32]| ObservedFact::NonceAccount {
        account: nonce_account(),
        authority: wallet(),
        value,
    };
    let agreed = |values: &[[u8; 32]]| {
        let mut scene = Scene::new(SolanaAsk::durable());
        for (node, value) in ["node-a", "node-b", "node-c", "node-d"].into_iter().zip(values) {
            scene.observe(node, 1, &[says(*value)]);
        }
        scene
            .observed()
            .facts()
            .nonces
            .get(&nonce_account())
            .map(|stored| stored.value)
    };
    assert_eq!(agreed(&[[1; 32], [1; 32]]), Some([1; 32]));
    assert_eq!(agreed(&[[1; 32], [2; 32]]), None);
    assert_eq!(agreed(&[[1; 32], [2; 32], [2; 32]]), Some([2; 32]));
    assert_eq!(agreed(&[[1; 32], [1; 32], [2; 32], [2; 32]]), None);
    // Another value than the message's: the chain would not take it as a durable one.
    let mut scene = Scene::new(SolanaAsk::durable());
    scene.observe("node-a", 1, &[says([9; 32])]);
    scene.observe("node-b", 1, &[says([9; 32])]);
    assert!(matches!(
        scene.decide().outcome,
        countersign_decision::Outcome::Malformed { .. }
    ));
}

/// The contents of the table are swapped between reading and decision: the decision derives them itself and refuses.
#[test]
fn a_reading_with_other_facts_is_refused() {
    let mut scene = Scene::looked_up();
    let mut facts = honest_facts(1_000);
    facts.tables.get_mut(&table()).unwrap().addresses[1] = thief();
    for facts in [facts, ChainFacts::default(), honest_facts(999)] {
        scene.facts = Some(facts);
        let is_final = assert_denied("other facts", &scene.decide(), Tag::FactsUnattested);
        assert!(!is_final);
    }
    scene.facts = Some(scene.observed().facts().clone());
    assert_allowed(&scene.decide());
    // The thief's table, attested by a whole quorum, pays the thief: that is not what the request asks for.
    let mut scene = Scene::new(SolanaAsk::looked_up());
    for node in ["node-a", "node-b"] {
        scene.observe(node, 1, &[table_of(&[first(), thief()])]);
    }
    assert_denied("k observers lie", &scene.decide(), Tag::RequestPaymentsMismatch);
}

/// A message with a plain blockhash is signed again only when every earlier one is provably over.
#[test]
fn blockhash_attempts_follow_one_another() {
    let earlier = SolanaAsk::default();
    let again = |change: &dyn Fn(&mut Scene)| {
        let mut scene = Scene::new(other_blockhash());
        scene.ledger.attempts = vec![scene.attempt(1, &earlier)];
        change(&mut scene);
        scene.decide()
    };
    let over = [expires(&earlier)];
    let mined = |outcome| ObservedFact::Mined {
        transaction: TransactionDigest::of(&earlier.unsigned()),
        txid: "own1".to_owned(),
        outcome,
    };
    let both = |s: &mut Scene, fact: ObservedFact| {
        s.observe("node-a", 1, std::slice::from_ref(&fact));
        s.observe("node-b", 1, &[fact]);
    };
    let changed = Tag::LineageAnchorChanged;
    assert_denied("nobody saw it expire", &again(&|_| {}), changed);
    assert_denied("one saw it expire", &again(&|s| s.observe("node-a", 1, &over)), changed);
    assert_denied(
        "one saw it twice",
        &again(&|s| {
            s.observe("node-a", 1, &over);
            s.observe("node-a", 2, &over);
        }),
        changed,
    );
    assert_denied(
        "another one expired",
        &again(&|s| both(s, expires(&other_blockhash()))),
        changed,
    );
    assert_denied(
        "two say that it expired, two that it landed",
        &again(&|s| {
            both(s, expires(&earlier));
            s.observe("node-c", 1, &[mined(ObservedOutcome::Succeeded)]);
            s.observe("node-d", 1, &[mined(ObservedOutcome::Succeeded)]);
        }),
        changed,
    );
    assert_denied(
        "it landed",
        &again(&|s| both(s, mined(ObservedOutcome::Succeeded))),
        Tag::LineageSettled,
    );
    let decision = again(&|s| both(s, expires(&earlier)));
    assert_allowed(&decision);
    assert_eq!(decision.entry.authorization.as_ref().unwrap().attempt, 2);
    assert_eq!(decision.fates.into_iter().collect::<Vec<_>>(), [(1, Fate::Dead)]);
    assert_allowed(&again(&|s| both(s, mined(ObservedOutcome::Failed))));
    // The second attempt, now signed, keeps a third one out until it is over as well.
    let third = |also: bool| {
        again(&|s| {
            both(s, expires(&earlier));
            let second = SolanaAsk {
                blockhash: [0x79; 32],
                ..SolanaAsk::default()
            };
            let attempt = s.attempt(2, &second);
            s.ledger.attempts.push(attempt);
            if also {
                s.observe("node-c", 1, &[expires(&second)]);
                s.observe("node-d", 1, &[expires(&second)]);
            }
        })
    };
    assert_denied("the second may land", &third(false), changed);
    assert_allowed(&third(true));
}

/// A durable nonce never expires: its attempt is over when the nonce is used up.
#[test]
fn anchored_attempts_are_over_when_their_anchor_is_spent() {
    let scene = |spends: &[(&str, ObservedFact)]| {
        let mut scene = Scene::new(SolanaAsk::default());
        scene.ledger.attempts = vec![scene.attempt(1, &SolanaAsk::durable())];
        for (node, fact) in spends {
            scene.observe(node, 1, std::slice::from_ref(fact));
        }
        scene.decide()
    };
    let own = |outcome| spend("own1", outcome);
    let (good, bad) = (ObservedOutcome::Succeeded, ObservedOutcome::Failed);
    let durable = expires(&SolanaAsk::durable());
    assert_denied("live", &scene(&[]), Tag::LineageAnchorChanged);
    assert_denied(
        "it cannot expire",
        &scene(&[("node-a", durable.clone()), ("node-b", durable)]),
        Tag::LineageAnchorChanged,
    );
    assert_denied("one says", &scene(&[("node-a", own(bad))]), Tag::LineageAnchorChanged);
    assert_denied(
        "they disagree on what became of it",
        &scene(&[("node-a", own(bad)), ("node-b", own(good))]),
        Tag::LineageAnchorChanged,
    );
    let settled = scene(&[("node-a", own(good)), ("node-b", own(good))]);
    assert_denied("it did what it says", &settled, Tag::LineageSettled);
    assert_eq!(settled.fates.into_iter().collect::<Vec<_>>(), [(1, Fate::Settled)]);
    assert_allowed(&scene(&[("node-a", own(bad)), ("node-b", own(bad))]));
    let foreign = spend("stranger", good);
    let decision = scene(&[("node-a", foreign.clone()), ("node-c", foreign)]);
    assert_denied("somebody else has our key", &decision, Tag::ConflictKeyForeignSpend);
}

/// A failed attempt frees the payment for other bytes, but none that need what it used up: they could never land, and limits
/// would count them for as long as nobody saw them land.
#[test]
fn a_new_attempt_is_not_built_on_what_a_failed_one_used_up() {
    let mut scene = Scene::new(SolanaAsk::durable());
    let mut failed = scene.attempt(1, &SolanaAsk::durable());
    failed.transaction = TransactionDigest::of(b"the same payment with another fee");
    scene.ledger.attempts = vec![failed];
    for node in ["node-a", "node-b"] {
        scene.observe(node, 1, &[nonce_fact(), spend("own1", ObservedOutcome::Failed)]);
    }
    let decision = scene.decide();
    assert_denied("its nonce is used up", &decision, Tag::LineageSettled);
    let message = &decision.entry.reasons[0].message;
    assert!(message.contains("was used up by `own1`"), "{message}");
}

/// The same bytes again are no new claim; but not when somebody else has used up what they hold.
#[test]
fn a_foreign_spend_stops_the_attempt_itself() {
    let mut scene = Scene::new(SolanaAsk::durable());
    for node in ["node-a", "node-b"] {
        scene.observe(node, 1, &[nonce_fact()]);
    }
    let mut own = scene.attempt(1, &SolanaAsk::durable());
    own.txid = None;
    scene.ledger.attempts = vec![own];
    assert_allowed(&scene.decide());
    for node in ["node-a", "node-b"] {
        scene.observe(node, 2, &[spend("stranger", ObservedOutcome::Failed)]);
    }
    assert_denied("foreign", &scene.decide(), Tag::ConflictKeyForeignSpend);
}

/// A later attempt, at once dead and alive in nobody's eyes, keeps the first one's anchor.
#[test]
fn a_new_attempt_keeps_the_anchor_of_every_live_one() {
    let mut scene = Scene::new(SolanaAsk::durable());
    for node in ["node-a", "node-b"] {
        scene.observe(node, 1, &[nonce_fact()]);
    }
    scene.ledger.attempts = vec![AttemptFact {
        number: 1,
        transaction: TransactionDigest::of(b"the first bytes"),
        anchor: Some(nonce_key()),
        txid: None,
    }];
    let decision = scene.decide();
    assert_allowed(&decision);
    assert_eq!(decision.entry.authorization.unwrap().attempt, 2);
}

/// What a template's effects do not say may not vary: here, where the lamports come from.
#[test]
fn a_template_is_of_plain_transfers() {
    let ask = |shape, is_template| SolanaAsk {
        shape,
        is_template,
        ..SolanaAsk::default()
    };
    assert_allowed(&Scene::new(ask(Shape::Plain, true)).decide());
    assert_allowed(&Scene::new(ask(Shape::Seeded, false)).decide());
    let seeded = Scene::new(ask(Shape::Seeded, true)).decide();
    assert_denied("a template", &seeded, Tag::RequestTransactionMismatch);
}

#[test]
fn an_observation_is_about_whoever_needs_it() {
    let scene = Scene::new(SolanaAsk::looked_up());
    let (reading, attempts) = (scene.reading(), [scene.attempt(1, &SolanaAsk::durable())]);
    let says = |facts: &[ObservedFact], network: &str| Observation {
        network: network.parse().unwrap(),
        sequence: 1,
        height: 1_000,
        facts: facts.to_vec(),
    };
    let attempt = TransactionDigest::of(&SolanaAsk::durable().unsigned());
    let cases = [
        ("the table", table_fact(), true),
        ("a nonce that it does not advance", nonce_fact(), false),
        ("its attempt", expires(&SolanaAsk::durable()), true),
        ("somebody's attempt", expires(&SolanaAsk::default()), false),
        ("what its attempt holds", spend("t", ObservedOutcome::Failed), true),
        (
            "its attempt, landed",
            ObservedFact::Mined {
                transaction: attempt,
                txid: "t".to_owned(),
                outcome: ObservedOutcome::Failed,
            },
            true,
        ),
    ];
    for (what, fact, expected) in cases {
        assert_eq!(
            is_about(&says(std::slice::from_ref(&fact), NETWORK), &reading, &attempts),
            expected,
            "{what}"
        );
        assert!(!is_about(&says(&[fact], "solana:other"), &reading, &attempts), "{what}");
    }
    assert!(is_about(&says(&[nonce_fact(), table_fact()], NETWORK), &reading, &[]));
    assert_ne!(RequestDigest::of(scene.request.payload()), RequestDigest::of(b""));
}

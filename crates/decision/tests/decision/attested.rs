//! Prices, screenings and address books: one valid case, one change, the exact tags.

use crate::support;

use std::collections::BTreeSet;

use countersign_approval::{Body, Envelope, Screening, ScreeningResult, verify};
use countersign_bundle::Bundle;
use countersign_decision::testing::attested::{DESK, POLICY, SOURCES, attested_files, attested_roster};
use countersign_decision::testing::{Ask, STRANGER, World, sealed};
use countersign_decision::{Decision, DestinationsRecord, FailedScreening, Outcome, outdated};
use countersign_types::{Amount, AttestationKind, StatementDigest, Tag, Timestamp, Validity};
use support::{Fixture, assert_allowed, assert_pending, later, tags};

/// The fixture without attestations, under a policy.
fn bare(policy: &str) -> Fixture {
    let mut fixture = Fixture::new();
    fixture.world = World::attested(policy);
    fixture.active = fixture.world.bundle();
    fixture.first = fixture.active.clone();
    fixture.seal();
    fixture.approve(&["alice", "bob"]);
    fixture
}

/// Adds an attestation that stands since its first sight.
fn attest(fixture: &mut Fixture, envelope: Envelope) -> StatementDigest {
    let digest = envelope.statement_digest();
    fixture.say(envelope);
    let at = fixture.statements.last().unwrap().1;
    fixture.ledger.standing.insert(digest, at);
    digest
}

fn quote(fixture: &mut Fixture, source: &str, price: &str) -> StatementDigest {
    let envelope = fixture.world.quote(source, 7, price, fixture.world.issued_at);
    attest(fixture, envelope)
}

fn screen(fixture: &mut Fixture, change: impl FnOnce(&mut Screening)) -> StatementDigest {
    let world = &fixture.world;
    let mut screening = world.screening_body(&fixture.request, &Ask::default(), world.issued_at);
    change(&mut screening);
    let envelope = world.sign(DESK, Body::Screening(screening));
    attest(fixture, envelope)
}

fn register(fixture: &mut Fixture) -> StatementDigest {
    let entry = fixture
        .world
        .book_entry(&Ask::default(), 3, Some(fixture.world.issued_at));
    attest(fixture, entry)
}

/// Everything is attested: one ether is worth 2 500 dollars, which takes the two approvals that are there.
fn attested() -> Fixture {
    let mut fixture = bare(POLICY);
    quote(&mut fixture, SOURCES[0], "2500");
    quote(&mut fixture, SOURCES[1], "2510");
    screen(&mut fixture, |_| {});
    register(&mut fixture);
    fixture
}

fn tier(decision: &Decision) -> &countersign_policy::RequireTrace {
    let mut requires = decision.trace[0].requires.iter();
    requires.find(|require| require.rule.as_str() == "tier-1").unwrap()
}

fn discounted(decision: &Decision) -> Vec<Tag> {
    let statements = decision.entry.statements.iter();
    statements.filter_map(|statement| statement.discounted).collect()
}

/// The reasons, whether it waits or was refused; never final, because the next word may be another one.
#[track_caller]
fn open_tags(decision: &Decision) -> Vec<Tag> {
    match &decision.outcome {
        Outcome::Pending { reasons, .. } => tags(reasons),
        Outcome::Denied {
            reasons,
            is_final: false,
        } => tags(reasons),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_valid_case_is_allowed() {
    let fixture = attested();
    let decision = fixture.decide();
    assert_allowed(&decision);
    assert_eq!(discounted(&decision), []);
    support::assert_round_trips(&decision);
    let over = &tier(&decision).over[0];
    assert_eq!(over.value, Some(Amount::from(251_000_000_000_u64)), "the highest quote");
}

#[test]
fn without_prices_the_tiers_are_met_and_the_permit_waits() {
    for quotes in [
        vec![],
        vec![("node-a", "2500")],
        vec![("node-a", "2500"), ("node-b", "2551")],
    ] {
        let mut fixture = bare(POLICY);
        quotes.iter().for_each(|(source, price)| {
            quote(&mut fixture, source, price);
        });
        screen(&mut fixture, |_| {});
        register(&mut fixture);
        let tags = open_tags(&fixture.decide());
        assert_eq!(tags, [Tag::PriceMissing, Tag::PermitUncovered], "{quotes:?}");
    }
    // Where no permit needs the price, the largest tier is asked for instead.
    let lists = POLICY.replace("    total: { max: { USD: \"50000 USD\" } }\n", "");
    let mut fixture = bare(&lists);
    fixture.approve(&["alice"]);
    screen(&mut fixture, |_| {});
    register(&mut fixture);
    assert_pending(
        "one of two",
        &fixture.decide(),
        &[Tag::ApprovalMissing, Tag::PriceMissing],
    );
    fixture.approve(&["alice", "bob"]);
    screen(&mut fixture, |_| {});
    register(&mut fixture);
    assert_allowed(&fixture.decide());
}

/// One change of the first quote, what the statement is discounted with; the other source alone makes no price.
#[test]
fn a_quote_that_does_not_count() {
    type Change = fn(&mut Fixture, StatementDigest);
    let cases: [(&str, Change, Option<Tag>); 6] = [
        ("as it is", |_, _| {}, None),
        (
            "behind a later one of its source",
            |f, digest| {
                f.ledger.standing.remove(&digest);
            },
            Some(Tag::AttestationSuperseded),
        ),
        (
            "five minutes old",
            |f, _| f.now = later(f.world.issued_at, 300_000),
            Some(Tag::AttestationStale),
        ),
        (
            "a second younger",
            |f, _| f.now = later(f.world.issued_at, 299_000),
            None,
        ),
        (
            "of another epoch",
            |f, _| f.ledger.epoch += 1,
            Some(Tag::StatementWrongEpoch),
        ),
        (
            "of a service that quotes no more",
            |f, _| {
                let mut roster = attested_roster();
                roster.price_sources[0].members.remove(0);
                let files = sealed(1, None, attested_files(&roster, POLICY));
                f.active = Bundle::load(&files).unwrap();
            },
            Some(Tag::StatementNotPermitted),
        ),
    ];
    for (what, change, tag) in cases {
        let mut fixture = bare(POLICY);
        let first = quote(&mut fixture, SOURCES[0], "2500");
        quote(&mut fixture, SOURCES[1], "2510");
        screen(&mut fixture, |_| {});
        register(&mut fixture);
        change(&mut fixture, first);
        let decision = fixture.decide();
        match tag {
            None => assert_allowed(&decision),
            // The request itself is of another epoch.
            Some(Tag::StatementWrongEpoch) => assert_ne!(decision.outcome, Outcome::Allowed),
            Some(_) => assert!(open_tags(&decision).contains(&Tag::PriceMissing), "{what}"),
        }
    }
}

#[test]
fn a_quote_from_the_future_and_one_source_twice_make_no_price() {
    for quotes in [
        vec![("node-a", 7, 120_000), ("node-b", 7, 0)],
        vec![("node-a", 7, 0), ("node-a", 8, 0)],
        vec![("node-a", 7, 0), ("node-d", 7, 0)],
    ] {
        let mut fixture = bare(POLICY);
        for (source, sequence, at) in &quotes {
            let at = later(fixture.world.issued_at, *at);
            let envelope = fixture.world.quote(source, *sequence, "2500", at);
            attest(&mut fixture, envelope);
        }
        screen(&mut fixture, |_| {});
        register(&mut fixture);
        assert_eq!(open_tags(&fixture.decide())[0], Tag::PriceMissing, "{quotes:?}");
    }
}

/// Whoever colludes with one source cannot lower the price, and a source that is far off does not stop it.
#[test]
fn one_source_alone_moves_nothing() {
    for off in ["1", "99999"] {
        let mut fixture = attested();
        quote(&mut fixture, SOURCES[2], off);
        let decision = fixture.decide();
        assert_allowed(&decision);
        let over = &tier(&decision).over[0];
        assert_eq!(over.value, Some(Amount::from(251_000_000_000_u64)), "{off}");
    }
}

#[test]
fn a_screening_is_about_this_payment_only() {
    type Change = fn(&mut Screening);
    let other = |fixture: &Fixture| {
        fixture.world.request(&Ask {
            reference: "order-2".to_owned(),
            ..Ask::default()
        })
    };
    let cases: [(&str, Change, Tag); 6] = [
        (
            "another amount",
            |s| s.amount = Amount::from(1_u64),
            Tag::AttestationMissing,
        ),
        (
            "another destination",
            |s| s.destination = STRANGER.parse().unwrap(),
            Tag::AttestationMissing,
        ),
        (
            "another asset",
            |s| s.asset = countersign_decision::testing::DEMO.parse().unwrap(),
            Tag::AttestationMissing,
        ),
        (
            "another check",
            |s| s.check = AttestationKind::TravelRule,
            Tag::AttestationMissing,
        ),
        ("failed", |s| s.result = ScreeningResult::Fail, Tag::AttestationFailed),
        (
            "failed about another amount",
            |s| (s.result, s.amount) = (ScreeningResult::Fail, Amount::from(1_u64)),
            Tag::AttestationFailed,
        ),
    ];
    let base = |screened: &mut dyn FnMut(&mut Fixture)| {
        let mut fixture = bare(POLICY);
        quote(&mut fixture, SOURCES[0], "2500");
        quote(&mut fixture, SOURCES[1], "2510");
        register(&mut fixture);
        screened(&mut fixture);
        fixture.decide()
    };
    for (what, change, tag) in cases {
        let decision = base(&mut |fixture| {
            screen(fixture, change);
        });
        assert_eq!(open_tags(&decision), [tag], "{what}");
    }
    let decision = base(&mut |fixture| {
        let id = countersign_decision::testing::withdrawal(&other(fixture));
        screen(fixture, |screening| screening.withdrawal = id);
    });
    assert_eq!(
        open_tags(&decision),
        [Tag::AttestationMissing, Tag::ApprovalOtherWithdrawal]
    );
    // By somebody else, too old to the second, of the future, replaced, and not at all.
    let decision = base(&mut |fixture| {
        let world = &fixture.world;
        let screening = world.screening_body(&fixture.request, &Ask::default(), world.issued_at);
        let envelope = world.sign(SOURCES[0], Body::Screening(screening));
        attest(fixture, envelope);
    });
    assert_eq!(open_tags(&decision), [Tag::AttestationMissing]);
    for (past, tags) in [
        (899_000, None),
        (900_000, Some(Tag::AttestationMissing)),
        (-1_000, Some(Tag::AttestationMissing)),
    ] {
        let decision = base(&mut |fixture| {
            let at = later(fixture.now, -past);
            screen(fixture, |screening| screening.screened_at = at.to_seconds());
        });
        match tags {
            None => assert_allowed(&decision),
            Some(tag) => assert_eq!(open_tags(&decision)[0], tag, "{past}"),
        }
    }
    let decision = base(&mut |fixture| {
        let digest = screen(fixture, |_| {});
        fixture.ledger.standing.remove(&digest);
    });
    assert_eq!(
        open_tags(&decision),
        [Tag::AttestationMissing, Tag::AttestationSuperseded]
    );
    assert_eq!(open_tags(&base(&mut |_| {})), [Tag::AttestationMissing]);
}

/// A failed screening outlives its validity, and a later one that passed replaces it.
#[test]
fn what_failed_stays_failed_until_it_is_looked_at_again() {
    let mut fixture = attested();
    screen(&mut fixture, |s| (s.result, s.sequence) = (ScreeningResult::Fail, 2));
    assert_eq!(open_tags(&fixture.decide()), [Tag::AttestationFailed]);
    // Of two with one number the failed one holds.
    let mut fixture = attested();
    screen(&mut fixture, |s| s.result = ScreeningResult::Fail);
    assert_eq!(open_tags(&fixture.decide()), [Tag::AttestationFailed]);
    // So does one whose service's clock is ahead.
    let mut fixture = attested();
    let ahead = later(fixture.now, 7_200_000).to_seconds();
    screen(&mut fixture, |s| {
        (s.result, s.screened_at) = (ScreeningResult::Fail, ahead)
    });
    assert_eq!(open_tags(&fixture.decide()), [Tag::AttestationFailed]);
    let mut fixture = attested();
    screen(&mut fixture, |s| (s.result, s.sequence) = (ScreeningResult::Fail, 2));
    screen(&mut fixture, |s| s.sequence = 3);
    assert_allowed(&fixture.decide());
}

/// By a statement that verifies no more, where the journal says that its service has said nothing else since.
#[test]
fn what_failed_under_another_key_denies_what_it_is_about_alone() {
    let failed = |by: &str, asset: &str| {
        let mut fixture = attested();
        fixture.ledger.failed.insert(FailedScreening {
            check: AttestationKind::Sanctions,
            by: by.parse().unwrap(),
            destination: countersign_decision::testing::CUSTOMER.parse().unwrap(),
            asset: asset.parse().unwrap(),
        });
        fixture.decide()
    };
    let (eth, demo) = (countersign_decision::testing::ETH, countersign_decision::testing::DEMO);
    assert_eq!(open_tags(&failed(DESK, eth)), [Tag::AttestationFailed]);
    assert_allowed(&failed(DESK, demo));
    assert_allowed(&failed(SOURCES[0], eth));
}

/// Whoever chooses the moment chooses what is asked: here the screening, until another withdrawal has paid the customer.
#[test]
fn what_failed_denies_when_nobody_asks_for_it_any_more() {
    let policy = POLICY.replace(
        "when: { effects: [transfer] }\n    attestations",
        "when: { effects: [transfer], to: { first-seen: true } }\n    attestations",
    );
    let waited = |screened: &dyn Fn(&mut Fixture)| {
        let mut fixture = bare(&policy);
        quote(&mut fixture, SOURCES[0], "2500");
        quote(&mut fixture, SOURCES[1], "2510");
        register(&mut fixture);
        screened(&mut fixture);
        fixture.ledger.destinations = Some(DestinationsRecord {
            paid: [countersign_decision::testing::CUSTOMER.parse().unwrap()].into(),
            ..DestinationsRecord::default()
        });
        fixture.decide()
    };
    let failed = |fixture: &mut Fixture| {
        screen(fixture, |s| s.result = ScreeningResult::Fail);
    };
    assert_eq!(open_tags(&waited(&failed)), [Tag::AttestationFailed]);
    assert_allowed(&waited(&|_| {}));
    // About nobody whom the bytes pay, and of a service that no rule asks.
    assert_allowed(&waited(&|fixture| {
        let stranger = STRANGER.parse().unwrap();
        screen(fixture, |s| {
            (s.result, s.destination) = (ScreeningResult::Fail, stranger)
        });
    }));
    assert_allowed(&waited(&|fixture| {
        let world = &fixture.world;
        let mut screening = world.screening_body(&fixture.request, &Ask::default(), world.issued_at);
        screening.result = ScreeningResult::Fail;
        let envelope = world.sign(SOURCES[0], Body::Screening(screening));
        attest(fixture, envelope);
    }));
}

#[test]
fn an_address_book_knows_the_customer_and_the_destination() {
    let base = |entry: &dyn Fn(&Fixture) -> Option<Envelope>| {
        let mut fixture = bare(POLICY);
        quote(&mut fixture, SOURCES[0], "2500");
        quote(&mut fixture, SOURCES[1], "2510");
        screen(&mut fixture, |_| {});
        if let Some(envelope) = entry(&fixture) {
            attest(&mut fixture, envelope);
        }
        fixture
    };
    let uncovered = [Tag::PermitUncovered];
    assert_eq!(open_tags(&base(&|_| None).decide()), uncovered);
    let removed = |f: &Fixture| Some(f.world.book_entry(&Ask::default(), 3, None));
    assert_eq!(open_tags(&base(&removed).decide()), uncovered);
    let stranger = |f: &Fixture| {
        let ask = Ask {
            destination: STRANGER.to_owned(),
            ..Ask::default()
        };
        Some(f.world.book_entry(&ask, 3, Some(f.world.issued_at)))
    };
    assert_eq!(open_tags(&base(&stranger).decide()), uncovered);
    let registered = |f: &Fixture| Some(f.world.book_entry(&Ask::default(), 3, Some(f.world.issued_at)));
    assert_allowed(&base(&registered).decide());
    // Of two words the later one, whatever order they come in; with one number, the removal.
    for (sequence, is_allowed) in [(2, true), (3, false), (4, false)] {
        let mut fixture = base(&registered);
        let removal = fixture.world.book_entry(&Ask::default(), sequence, None);
        attest(&mut fixture, removal);
        let decision = fixture.decide();
        match is_allowed {
            true => assert_allowed(&decision),
            false => assert_eq!(open_tags(&decision), uncovered),
        }
    }
    // Its time has run out.
    let mut fixture = base(&|f| {
        let mut header = f.world.header();
        header.validity = Validity::new(header.validity.issued_at(), f.now.to_seconds()).unwrap();
        let envelope = f.world.book_entry(&Ask::default(), 3, Some(f.world.issued_at));
        let statement = verify(&envelope, f.active.roster()).unwrap();
        Some(f.world.sign_with(DESK, header, statement.statement().body.clone()))
    });
    assert_eq!(open_tags(&fixture.decide()), uncovered);
    fixture.now = later(fixture.now, -1_000);
    assert_allowed(&fixture.decide());
}

/// The cool-off of an entry counts from when the journal had it, or from when the customer made it, whichever is later.
#[test]
fn a_cool_off_cannot_be_backdated() {
    let policy = POLICY.replace(
        "requires:\n",
        "requires:\n  - id: young\n    when: { to: { entry-under: 1h } }\n    approvals: { treasury: 3 }\n",
    );
    let day = 86_400_000;
    for (registered, journaled, is_young) in [
        (-day, -day, false),
        (-day, -3_599_000, true),
        (-3_599_000, -day, true),
        (-3_600_000, -3_600_000, false),
        (-day, 0, true),
        (day, -day, true),
    ] {
        let mut fixture = bare(&policy);
        quote(&mut fixture, SOURCES[0], "2500");
        quote(&mut fixture, SOURCES[1], "2510");
        screen(&mut fixture, |_| {});
        let now = fixture.now;
        let at = |millis| later(now, millis);
        let envelope = fixture.world.book_entry(&Ask::default(), 3, Some(at(registered)));
        let since = at(journaled);
        let digest = attest(&mut fixture, envelope);
        fixture.ledger.standing.insert(digest, since);
        // The customer is on a list, too, and has been for long.
        let customer = countersign_decision::testing::CUSTOMER.parse().unwrap();
        fixture.ledger.destinations = Some(DestinationsRecord {
            listed: [(customer, at(-day))].into(),
            ..DestinationsRecord::default()
        });
        let decision = fixture.decide();
        match is_young {
            true => assert_eq!(open_tags(&decision), [Tag::ApprovalMissing], "{registered} {journaled}"),
            false => assert_allowed(&decision),
        }
    }
}

/// An entry counts where the policy names its book: one that the policy in force names no more opens no permit by its age.
#[test]
fn an_entry_in_a_book_that_nobody_names_has_no_age() {
    let aged = POLICY.replace("to: { address-book: node-d }", "to: { entry-over: 1h }");
    let named = aged.replace(
        "forbids:\n",
        "forbids:\n  - { id: named, when: { effects: [allowance], to: { address-book: node-d } } }\n",
    );
    for (policy, is_allowed) in [(named, true), (aged, false)] {
        let mut fixture = bare(POLICY);
        let files = attested_files(&attested_roster(), &policy);
        fixture.active = Bundle::load(&sealed(1, None, files)).unwrap();
        fixture.approve(&["alice", "bob"]);
        quote(&mut fixture, SOURCES[0], "2500");
        quote(&mut fixture, SOURCES[1], "2510");
        screen(&mut fixture, |_| {});
        let since = later(fixture.now, -86_400_000);
        let envelope = fixture.world.book_entry(&Ask::default(), 3, Some(since));
        let digest = attest(&mut fixture, envelope);
        fixture.ledger.standing.insert(digest, since);
        // The development bundle's list has the customer as well; a list of nobody's, and the book alone speaks.
        let mut files = fixture.active.files().clone();
        files.insert(
            "destinations.yaml".to_owned(),
            b"lists:\n  - id: customers\n    entries: []\n".to_vec(),
        );
        fixture.active = Bundle::load(&sealed(1, None, files)).unwrap();
        let decision = fixture.decide();
        let covered = &decision.trace[0].effects[0].permits;
        assert_eq!(!covered.is_empty(), is_allowed, "{covered:?}");
        assert_eq!(decision.outcome == Outcome::Allowed, is_allowed);
    }
}

/// What was taken from a list keeps what the journal noted of it: an entry in a book becomes no older by it, and no younger where
/// the note is the older one. Without an entry a note is no age.
#[test]
fn an_entry_in_a_book_is_no_older_for_what_left_a_list() {
    let young = "requires:\n  - id: young\n    when: { to: { entry-under: 1h } }\n    approvals: { treasury: 3 }\n";
    let day = 86_400_000;
    let young_entry = Some(Tag::ApprovalMissing);
    for (in_book, noted, expected) in [
        (Some(-day), None, None),
        (Some(-day), Some(-day), None),
        (Some(-day), Some(-3_599_000), young_entry),
        (Some(-day), Some(-3_600_000), None),
        (Some(-3_599_000), Some(-day), young_entry),
        (None, Some(-day), Some(Tag::PermitUncovered)),
    ] {
        let mut fixture = bare(&POLICY.replace("requires:\n", young));
        let mut files = fixture.world.files.clone();
        let others = "lists:\n  - id: customers\n    entries: []\n";
        files.insert("destinations.yaml".to_owned(), others.into());
        fixture.put_in_force(files);
        quote(&mut fixture, SOURCES[0], "2500");
        quote(&mut fixture, SOURCES[1], "2510");
        screen(&mut fixture, |_| {});
        let at = |millis| later(fixture.now, millis);
        let customer = countersign_decision::testing::CUSTOMER.parse().unwrap();
        fixture.ledger.destinations = Some(DestinationsRecord {
            listed: noted.map(|noted| (customer, at(noted))).into_iter().collect(),
            ..DestinationsRecord::default()
        });
        if let Some(registered) = in_book.map(at) {
            let envelope = fixture.world.book_entry(&Ask::default(), 3, Some(registered));
            let digest = attest(&mut fixture, envelope);
            fixture.ledger.standing.insert(digest, registered);
        }
        let decision = fixture.decide();
        match expected {
            Some(tag) => assert!(open_tags(&decision).contains(&tag), "{in_book:?} {noted:?}"),
            None => assert_allowed(&decision),
        }
    }
}

#[test]
fn a_list_entry_has_the_age_that_the_journal_knows() {
    let policy = |rule: &str| {
        let when =
            format!("requires:\n  - id: history\n    when: {{ to: {{ {rule} }} }}\n    approvals: {{ treasury: 3 }}\n");
        POLICY
            .replace("to: { address-book: node-d }", "to: { list: customers }")
            .replace("requires:\n", &when)
    };
    let decide = |rule: &str, record: Option<DestinationsRecord>| {
        let mut fixture = bare(&policy(rule));
        quote(&mut fixture, SOURCES[0], "2500");
        quote(&mut fixture, SOURCES[1], "2510");
        screen(&mut fixture, |_| {});
        fixture.ledger.destinations = record;
        fixture.decide().outcome == Outcome::Allowed
    };
    let now = Fixture::new().now;
    let customer = || countersign_decision::testing::CUSTOMER.parse().unwrap();
    let listed = |at: Timestamp| DestinationsRecord {
        listed: [(customer(), at)].into(),
        ..DestinationsRecord::default()
    };
    let paid = || DestinationsRecord {
        paid: [customer()].into(),
        ..DestinationsRecord::default()
    };
    let table = [
        ("entry-under: 1h", None, false),
        ("entry-under: 1h", Some(DestinationsRecord::default()), false),
        ("entry-under: 1h", Some(listed(later(now, -3_599_000))), false),
        ("entry-under: 1h", Some(listed(later(now, -3_600_000))), true),
        ("entry-over: 1h", Some(listed(later(now, -3_599_000))), true),
        ("first-seen: true", None, false),
        ("first-seen: true", Some(DestinationsRecord::default()), false),
        ("first-seen: true", Some(paid()), true),
    ];
    for (rule, record, is_allowed) in table {
        assert_eq!(decide(rule, record.clone()), is_allowed, "{rule} {record:?}");
    }
}

/// What spoke for the payment and was replaced by a later number of the same service on the same matter, and nothing else.
#[test]
fn what_a_later_word_replaces() {
    let fixture = bare(POLICY);
    let (world, ask) = (&fixture.world, Ask::default());
    let at = world.issued_at;
    let screened = |sequence: u64, result: ScreeningResult| {
        let body = world.screening_body(&fixture.request, &ask, at);
        let body = Screening {
            sequence,
            result,
            ..body
        };
        world.sign(DESK, Body::Screening(body))
    };
    let elsewhere = |sequence: u64| {
        let body = world.screening_body(&fixture.request, &ask, at);
        let body = Screening {
            sequence,
            destination: STRANGER.parse().unwrap(),
            ..body
        };
        world.sign(DESK, Body::Screening(body))
    };
    let priced = |source: &str, sequence: u64, price: &str| world.quote(source, sequence, price, at);
    let entered = |sequence: u64| world.book_entry(&ask, sequence, Some(at));
    let removed = |sequence: u64| world.book_entry(&ask, sequence, None);
    let (pass, fail) = (ScreeningResult::Pass, ScreeningResult::Fail);
    let [a, b, _] = SOURCES;
    // How many of the first ones are replaced.
    let table: [(&str, Vec<Envelope>, usize); 12] = [
        ("alone", vec![priced(a, 7, "2500")], 0),
        ("by a later number", vec![priced(a, 7, "2500"), priced(a, 8, "2500")], 1),
        (
            "by two",
            vec![priced(a, 7, "1"), priced(a, 8, "2"), priced(a, 9, "3")],
            2,
        ),
        (
            "not by the same number",
            vec![priced(a, 7, "2500"), priced(a, 7, "2600")],
            0,
        ),
        (
            "nor by another source",
            vec![priced(a, 7, "2500"), priced(b, 8, "2500")],
            0,
        ),
        ("a pass by a pass", vec![screened(1, pass), screened(2, pass)], 1),
        ("a pass by a fail", vec![screened(1, pass), screened(2, fail)], 1),
        ("never a fail", vec![screened(1, fail), screened(2, pass)], 0),
        (
            "nor by what is about another payment",
            vec![screened(1, pass), elsewhere(2)],
            0,
        ),
        ("an entry of a book by an entry", vec![entered(1), entered(2)], 1),
        ("and by a removal", vec![entered(1), removed(2)], 1),
        ("never a removal", vec![removed(1), entered(2)], 0),
    ];
    let roster = fixture.active.roster();
    for (what, said, replaced) in table {
        let verified: Vec<_> = said.iter().map(|envelope| verify(envelope, roster).unwrap()).collect();
        let expected: BTreeSet<_> = said[..replaced].iter().map(Envelope::statement_digest).collect();
        assert_eq!(outdated(verified.iter()), expected, "{what}");
        assert_eq!(outdated(verified.iter().rev()), expected, "{what}, the other way round");
    }
}

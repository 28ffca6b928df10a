//! A group is decided as if each of its proposals had been committed before the next: whatever waits is seen.

use countersign_policy::{Charge, UsageQuery};
use countersign_signer::{LastWord, LedgerView, TallyQuery};
use countersign_types::{ChainId, CounterId, Duration, EntryDigest, FreezeId, ListId, RawSignature, SignedTransaction};
use futures_util::future::join_all;

use super::*;

on_each_database! {
    whatever_waits_is_seen_by_each_kind_of_read,
    what_is_written_twice_is_as_it_was_written_last,
    a_counter_that_waits_counts,
    whatever_a_text_holds_comes_back,
}

fn destination(name: &str) -> Destination {
    format!("eip155:1:{name}").parse().unwrap()
}

fn counter() -> CounterId {
    CounterId::of(b"hot")
}

fn network() -> ChainId {
    "eip155:1".parse().unwrap()
}

fn charged(name: &str, number: u32, amount: u64) -> Write {
    Write::Spend {
        request: request(name),
        number,
        facts: b"facts".to_vec(),
        charges: vec![Charge {
            counter: counter(),
            amount: amount.into(),
        }],
    }
}

fn aged(name: &str, number: u32) -> Write {
    Write::Aged {
        request: request(name),
        number,
    }
}

fn signed(name: &str) -> Write {
    Write::Signed {
        request: request(name),
        number: 1,
        signatures: vec![RawSignature::Ecdsa([7; 64])],
        transaction: SignedTransaction {
            bytes: vec![7],
            txid: format!("txid-{name}"),
        },
    }
}

fn paid(name: &str, to: &str) -> Write {
    Write::Paid {
        request: request(name),
        destinations: [destination(to)].into(),
    }
}

fn mark(topic: &str, name: &str) -> Write {
    Write::Mark {
        topic: topic.to_owned(),
        name: name.to_owned(),
    }
}

/// Every kind of write, in an order in which the journal takes them.
fn script() -> Vec<Vec<Write>> {
    let decision = |text: &str| Write::Decision {
        request: request("a"),
        decision: EntryDigest::of(text.as_bytes()),
    };
    vec![
        vec![statement("early", &["a"])],
        withdrawal("a"),
        withdrawal("b"),
        vec![decision("first")],
        vec![attempt("a", 1, 4), charged("a", 1, 10)],
        vec![attempt("b", 1, 5), charged("b", 1, 30)],
        vec![decision("second"), signed("a")],
        vec![signed("b"), paid("b", "0x1")],
        vec![paid("a", "0x1"), paid("a", "0x2")],
        vec![aged("a", 1)],
        vec![mark("topic", "one"), mark("topic", "one"), mark("other", "one")],
        vec![mark("topic", "two")],
        vec![Write::Subject {
            statement: statement_digest("early"),
            request: request("b"),
        }],
        vec![attempt("a", 2, 6), charged("a", 2, 25)],
        vec![Write::Sequence {
            observer: signer(),
            network: network(),
            sequence: 3,
        }],
        vec![Write::LastWord {
            service: signer(),
            matter: "price".to_owned(),
            word: LastWord {
                sequence: 2,
                since: Some(at(START)),
            },
        }],
        vec![Write::Listed {
            lists: ["customers".parse().unwrap()].into(),
            added: [destination("0x2")].into(),
            kept: [(destination("0x3"), at(START))].into(),
        }],
        vec![Write::Failed {
            request: request("b"),
            number: 1,
        }],
        vec![Write::Released {
            request: request("a"),
            number: 2,
        }],
        vec![Write::Freeze {
            freeze: FreezeId::of(b"freeze"),
            scope: "all".parse().unwrap(),
            cause: "test".to_owned(),
        }],
        vec![Write::Thaw {
            freeze: FreezeId::of(b"freeze"),
            at: at(START + 60_000),
        }],
        bundle(2),
        vec![ended(request("a"))],
        vec![statement("late", &["a", "b"])],
    ]
}

/// Each kind of read by itself, so that nothing but it can make waiting writes be written.
fn each_read() -> Vec<Reads> {
    let none = Reads::default;
    let within = Duration::from_secs(60);
    let usage = |window: &str| UsageQuery {
        counter: counter(),
        window: window.parse().unwrap(),
    };
    let customers: ListId = "customers".parse().unwrap();
    vec![
        Reads {
            request: Some(request("a")),
            ..none()
        },
        Reads {
            request: Some(request("b")),
            ..none()
        },
        Reads {
            reference: Some((tenant(), reference("b"))),
            ..none()
        },
        Reads {
            payments: vec![(tenant(), payment("a")), (tenant(), payment("b"))],
            ..none()
        },
        Reads {
            conflict_keys: vec![account_nonce(5)],
            ..none()
        },
        // The next nonce of the account, which no claim of this very key moves.
        Reads {
            conflict_keys: vec![account_nonce(99)],
            ..none()
        },
        Reads {
            statements: vec![statement_digest("b"), statement_digest("late")],
            ..none()
        },
        Reads {
            nonces: vec![(signer(), nonce_of("early")), (signer(), nonce_of("late"))],
            ..none()
        },
        Reads {
            voices: vec![(request("a"), signer()), (request("b"), signer())],
            ..none()
        },
        Reads {
            usage: vec![usage("24h"), usage("1h")],
            ..none()
        },
        Reads {
            usage: vec![usage("24h")],
            request: Some(request("a")),
            ..none()
        },
        Reads {
            spends_since: Some(at(0)),
            ..none()
        },
        Reads {
            sequences: vec![(signer(), network())],
            ..none()
        },
        Reads {
            freezes: true,
            ..none()
        },
        Reads {
            marks: vec!["topic".to_owned()],
            ..none()
        },
        Reads {
            made: vec![FreezeId::of(b"freeze")],
            ..none()
        },
        Reads {
            matters: vec![(signer(), "price".to_owned())],
            ..none()
        },
        Reads {
            destinations: vec![destination("0x1"), destination("0x2")],
            ..none()
        },
        Reads {
            lists: vec![customers],
            ..none()
        },
        Reads {
            tallies: vec![TallyQuery {
                topic: "topic".to_owned(),
                within,
            }],
            ..none()
        },
        Reads {
            marked: vec![("topic".to_owned(), "two".to_owned())],
            ..none()
        },
    ]
}

/// What a read saw after each write of the script.
async fn seen(journal: &SqlJournal, reads: &Reads, is_one_group: bool) -> Vec<LedgerView> {
    let look = || view(journal, reads.clone());
    let steps = script().into_iter().map(async |writes| {
        let (written, view) = tokio::join!(write(journal, writes, Vec::new()), look());
        written.unwrap();
        view
    });
    if is_one_group {
        return join_all(steps).await;
    }
    let mut views = Vec::new();
    for writes in script() {
        write(journal, writes, Vec::new()).await.unwrap();
        views.push(look().await);
    }
    views
}

async fn whatever_waits_is_seen_by_each_kind_of_read(place: Place) {
    let place_kind = if place.database.is_some() {
        Kind::Postgres
    } else {
        Kind::Sqlite
    };
    for reads in each_read() {
        let [together, apart] = [Place::of(place_kind).await, Place::of(place_kind).await];
        let journal = with_bundle(&together).await;
        let in_a_group = seen(&journal, &reads, true).await;
        assert_eq!(journal.stats().largest_group as usize, 2 * script().len(), "one group");
        let one_by_one = seen(&with_bundle(&apart).await, &reads, false).await;
        assert_eq!(in_a_group.len(), one_by_one.len());
        let changes = one_by_one.windows(2).filter(|pair| pair[0] != pair[1]).count();
        assert!(changes > 0, "nothing of the script is seen by {reads:?}");
        for (step, (together, apart)) in in_a_group.iter().zip(&one_by_one).enumerate() {
            assert_eq!(together, apart, "after {:?}, reading {reads:?}", script()[step]);
        }
    }
}

/// Proposals of one group that write the same rows without having read them.
async fn what_is_written_twice_is_as_it_was_written_last(place: Place) {
    let journal = with_bundle(&place).await;
    let first = [withdrawal("a"), withdrawal("b")].concat();
    write(&journal, first, Vec::new()).await.unwrap();
    let renewed = |text: &str| {
        let mut write = attempt("a", 1, 4);
        if let Write::Attempt { authorization, .. } = &mut write {
            *authorization = AuthorizationId::of(text.as_bytes());
        }
        write
    };
    let group = [
        vec![renewed("first"), charged("a", 1, 10)],
        vec![paid("a", "0x1"), mark("topic", "one")],
        vec![renewed("second"), charged("a", 1, 7)],
        vec![paid("b", "0x1"), mark("topic", "one")],
    ];
    let written = join_all(group.map(|writes| write(&journal, writes, Vec::new()))).await;
    assert!(written.iter().all(Result::is_ok), "{written:?}");
    assert_eq!(journal.stats().largest_group, 4);
    let reads = Reads {
        request: Some(request("a")),
        destinations: vec![destination("0x1")],
        usage: vec![UsageQuery {
            counter: counter(),
            window: "24h".parse().unwrap(),
        }],
        ..Reads::default()
    };
    let view = view(&journal, reads).await;
    let attempts = view.withdrawal.unwrap().attempts;
    assert_eq!(attempts.len(), 1);
    assert_eq!(attempts[0].authorization, AuthorizationId::of(b"second"));
    assert!(
        view.paid.contains(&destination("0x1")),
        "another withdrawal paid it as well"
    );
    // A renewal keeps the larger charge.
    let stands_at = view.usage.before(counter(), &"24h".parse().unwrap());
    assert_eq!(stands_at, Some(10u64.into()));
    assert_eq!(journal.stats().largest_group, 4);
}

/// One limit, as many proposals as fit, one over; all in one group, and the sums of a later reader.
async fn a_counter_that_waits_counts(place: Place) {
    let journal = with_bundle(&place).await;
    let window: countersign_policy::Window = "24h".parse().unwrap();
    let query = UsageQuery {
        counter: counter(),
        window: window.clone(),
    };
    let names: Vec<String> = (0..6).map(|number| format!("w{number}")).collect();
    let decided = join_all(names.iter().zip(0u64..).map(async |(name, nonce)| {
        let reads = Reads {
            request: Some(request(name)),
            usage: vec![query.clone()],
            ..Reads::default()
        };
        let window = window.clone();
        let (name, limit) = (name.clone(), Amount::from(50u64));
        let reserve = move |view: &LedgerView, _: Timestamp| {
            let before = view.usage.before(counter(), &window).unwrap();
            let fits = before.checked_add(10u64.into()).unwrap() <= limit;
            let writes = [
                withdrawal(&name),
                vec![attempt(&name, 1, nonce), charged(&name, 1, 10), aged(&name, 1)],
            ];
            Verdict {
                entries: Vec::new(),
                writes: if fits { writes.concat() } else { Vec::new() },
                reply: (before, fits),
            }
        };
        propose(&journal, reads, reserve).await.unwrap().0
    }))
    .await;
    let expected: Vec<(Amount, bool)> = (0u64..6).map(|n| ((n * 10).into(), n < 5)).collect();
    assert_eq!(decided, expected);
    assert_eq!(journal.stats().largest_group, 6);
}

async fn whatever_a_text_holds_comes_back(place: Place) {
    let journal = with_bundle(&place).await;
    let texts = [
        "'); DROP TABLE commits; --",
        "\\",
        "\\+000041 \\x41 ?$1",
        "\"E'\\n'",
        "ä€🔑\u{10ffff}",
        "\r\n\t ",
    ];
    for topic in texts {
        write(&journal, vec![mark(topic, "name"), mark("names", topic)], Vec::new())
            .await
            .unwrap();
    }
    let reads = Reads {
        marks: texts
            .iter()
            .chain(&["names"])
            .map(|topic| (*topic).to_owned())
            .collect(),
        ..Reads::default()
    };
    let view = view(&journal, reads).await;
    assert_eq!(view.marks.len(), texts.len() + 1);
    assert_eq!(view.marks["names"].len(), texts.len());
    assert!(
        texts
            .iter()
            .all(|text| view.marks.contains_key(*text) && view.marks["names"].contains_key(*text))
    );
}

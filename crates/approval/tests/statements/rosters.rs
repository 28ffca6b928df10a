//! One valid roster, one change, the exact path.

use countersign_approval::*;
use countersign_types::{Currency, Duration, GroupId, Tag};

use crate::{soft::*, support::*};

/// Path and problem of the one thing that is wrong.
fn problem(change: impl FnOnce(&mut RosterFile)) -> (String, String) {
    let mut file = roster_file();
    change(&mut file);
    let errors = Roster::new(file).expect_err("the change is accepted");
    let [error] = <[RosterError; 1]>::try_from(errors).expect("one change, one error");
    assert_eq!(error.to_string(), format!("{}: {}", error.path, error.problem));
    (error.path, error.problem)
}

#[test]
fn one_change_one_path() {
    type Change = fn(&mut RosterFile);
    let table: [(&str, &str, Change); 43] = [
        ("people[1].id", "`alice` is listed twice", |f| {
            f.people[1].id = f.people[0].id.clone();
            f.groups.clear();
            f.admins.members = ids(&["alice", "carol"]);
        }),
        ("people[1].keys", "`bob` needs 1 to 8 keys", |f| {
            f.people[1].keys.clear()
        }),
        ("people[1].keys", "`bob` needs 1 to 8 keys", |f| {
            f.people[1].keys = (20..29).map(|n| SoftKey::ed25519(n).line()).collect()
        }),
        ("people[0].keys[1]", "this key already belongs to `alice`", |f| {
            f.people[0].keys[1] = f.people[0].keys[0].clone()
        }),
        ("people[1].keys[0]", "this key already belongs to `alice`", |f| {
            f.people[1].keys[0] = f.people[0].keys[1].clone()
        }),
        ("people[2].keys[0]", "this key already belongs to `alice`", |f| {
            f.people[2].keys[0] = alice().security_key().line()
        }),
        ("people[2].keys[0]", "this key already belongs to `alice`", |f| {
            f.people[2].keys[0] = alice_backup().security_key().line()
        }),
        ("people[3].keys[0]", "this key already belongs to `carol`", |f| {
            f.people[3].keys[0] = carol().with_application("ssh:other").line()
        }),
        (
            "people[1].keys[0]",
            "people sign with ssh keys; plain ed25519 is for services",
            |f| f.people[1].keys[0] = bob_plain(),
        ),
        ("people[1].keys[0]", NOT_A_POINT, |f| {
            f.people[1].keys[0] = compressed(&bob())
        }),
        ("people[3].keys[0]", NOT_A_POINT, |f| {
            f.people[3].keys[0] = compressed(&dave())
        }),
        ("people[1].keys[0]", NOT_A_POINT, |f| {
            f.people[1].keys[0] = with_point(&bob(), &off_curve())
        }),
        ("people[3].keys[0]", NOT_A_POINT, |f| {
            f.people[3].keys[0] = with_point(&dave(), &off_curve())
        }),
        ("people[0].keys[0]", NOT_A_POINT, |f| {
            f.people[0].keys[0] = with_point(&alice(), &[0; 32])
        }),
        ("people[2].keys[0]", NOT_A_POINT, |f| {
            f.people[2].keys[0] = with_point(&carol(), &[0; 32])
        }),
        ("people[0].keys[0]", NOT_A_POINT, |f| {
            f.people[0].keys[0] = with_point(&alice(), &low_order())
        }),
        ("people[0].keys[0]", NOT_A_POINT, |f| {
            f.people[0].keys[0] = with_point(&alice(), &unreduced())
        }),
        ("people[0].keys[0]", UNSUPPORTED_RSA, |f| f.people[0].keys[0] = rsa()),
        ("people[0].keys[0]", BAD_SHAPE, |f| f.people[0].keys[0] += "\u{1b}[2J"),
        ("people[0].keys[0]", BAD_SHAPE, |f| f.people[0].keys[0] += "\n"),
        ("people[0].keys[0]", BAD_SHAPE, |f| {
            f.people[0].keys[0] += &"x".repeat(1_024)
        }),
        ("services[0].id", "`alice` is listed twice", |f| {
            f.services[0].id = f.people[0].id.clone();
            f.initiators[0].principals = ids(&["alice"]);
        }),
        ("services[1].id", "`bot` is listed twice", |f| {
            let again = ServiceRecord {
                keys: vec![stranger().plain_id()],
                ..f.services[0].clone()
            };
            f.services.push(again);
        }),
        (
            "services[0].operators",
            "a service names the people who operate it",
            |f| f.services[0].operators.clear(),
        ),
        (
            "services[0].operators[0]",
            "`mallory` is not a person of the roster",
            |f| f.services[0].operators = ids(&["mallory"]),
        ),
        ("services[0].operators[0]", "`bot` is not a person of the roster", |f| {
            f.services[0].operators = ids(&["bot"])
        }),
        ("services[0].operators", "`alice` is listed twice", |f| {
            f.services[0].operators = ids(&["alice", "alice"])
        }),
        ("services[0].keys", "`bot` needs 1 to 8 keys", |f| {
            f.services[0].keys.clear()
        }),
        ("services[0].keys[0]", "this key already belongs to `alice`", |f| {
            f.services[0].keys[0] = alice().plain_id()
        }),
        ("services[0].keys[0]", NOT_A_POINT, |f| {
            f.services[0].keys[0] = format!("ed25519:01{}", "00".repeat(31))
        }),
        ("groups[0].members", "group `treasury` has no people", |f| {
            f.groups[0].members.clear()
        }),
        ("groups[0].members[1]", "`bot` is not a person of the roster", |f| {
            f.groups[0].members[1] = ids(&["bot"]).remove(0)
        }),
        ("groups[0].members", "`bob` is listed twice", |f| {
            f.groups[0].members[1] = ids(&["bob"]).remove(0)
        }),
        ("groups[1].id", "`treasury` is listed twice", |f| {
            f.groups.push(f.groups[0].clone())
        }),
        ("initiators[0].principals[1]", "`mallory` is not in the roster", |f| {
            f.initiators[0].principals[1] = ids(&["mallory"]).remove(0)
        }),
        ("initiators[0].principals", "`alice` is listed twice", |f| {
            f.initiators[0].principals[1] = ids(&["alice"]).remove(0)
        }),
        ("initiators[1].tenant", "`main` is listed twice", |f| {
            f.initiators.push(f.initiators[0].clone())
        }),
        ("officers[0]", "`bot` is not a person of the roster", |f| {
            f.officers = ids(&["bot"])
        }),
        (
            "observers[0].members[1]",
            "`alice` is not a service of the roster",
            |f| observed(f).members[1] = ids(&["alice"]).remove(0),
        ),
        (
            "observers[0].members[1]",
            "`carol` operates both `node-1` and `node-2`: they would be one voice",
            |f| {
                observed(f);
                f.services[2].operators = ids(&["bob", "carol"])
            },
        ),
        ("observers[0].members", "`node-1` is listed twice", |f| {
            observed(f).members[1] = ids(&["node-1"]).remove(0)
        }),
        (
            "observers[0].threshold",
            "a threshold of 3 can never be reached by 2 members",
            |f| observed(f).threshold = 3,
        ),
        ("observers[1].network", "`eip155:1` is listed twice", |f| {
            let again = observed(f).clone();
            f.observers.push(again);
        }),
    ];
    for (path, message, change) in table {
        assert_eq!(problem(change), (path.to_owned(), message.to_owned()));
    }
}

/// Two observers of one network, operated by carol and by dave.
fn observed(file: &mut RosterFile) -> &mut ObserverRecord {
    for (n, person) in ["carol", "dave"].iter().enumerate() {
        file.services.push(ServiceRecord {
            id: format!("node-{}", n + 1).parse().unwrap(),
            operators: ids(&[person]),
            keys: vec![SoftKey::ed25519(30 + n as u8).plain_id()],
        });
    }
    file.observers = vec![ObserverRecord {
        network: "eip155:1".parse().unwrap(),
        threshold: 2,
        members: ids(&["node-1", "node-2"]),
    }];
    &mut file.observers[0]
}

#[test]
fn observers_are_of_one_network() {
    let mut file = roster_file();
    observed(&mut file);
    let roster = Roster::new(file).unwrap();
    let quorum = roster.observers(&"eip155:1".parse().unwrap()).unwrap();
    assert_eq!((quorum.threshold(), quorum.members().len()), (2, 2));
    assert_eq!(roster.observers(&"eip155:8453".parse().unwrap()), None);
    assert_eq!(roster.observed_networks().count(), 1);
    let none = problem(|file| observed(file).threshold = 0);
    assert_eq!(
        none,
        (
            "observers[0].threshold".to_owned(),
            "a threshold is at least 1".to_owned()
        )
    );
    let many = problem(|file| {
        let record = observed(file).clone();
        file.observers = vec![record; 257];
    });
    assert_eq!(
        many,
        (
            "observers".to_owned(),
            "257 observers; at most 256 are accepted".to_owned()
        )
    );
}

#[test]
fn quorums_are_reachable_and_never_empty() {
    for (threshold, members, path, message) in [
        (0, &["alice"][..], "admins.threshold", "a threshold is at least 1"),
        (0, &[], "admins.threshold", "a threshold is at least 1"),
        (
            1,
            &[],
            "admins.threshold",
            "a threshold of 1 can never be reached by 0 members",
        ),
        (
            3,
            &["alice", "bob"],
            "admins.threshold",
            "a threshold of 3 can never be reached by 2 members",
        ),
        (
            u32::MAX,
            &["alice"],
            "admins.threshold",
            "a threshold of 4294967295 can never be reached by 1 members",
        ),
        (2, &["alice", "alice"], "admins.members", "`alice` is listed twice"),
        (
            1,
            &["alice", "bot"],
            "admins.members[1]",
            "`bot` is not a person of the roster",
        ),
        (
            2,
            &["alice", "mallory"],
            "admins.members[1]",
            "`mallory` is not a person of the roster",
        ),
    ] {
        let admins = AdminsRecord {
            threshold,
            members: ids(members),
            time_lock: None,
        };
        assert_eq!(
            problem(|file| file.admins = admins),
            (path.to_owned(), message.to_owned())
        );
    }
    let week = problem(|file| file.admins.time_lock = Some(Duration::from_secs(30 * 86_400 + 1)));
    let too_long = "a time-lock is at most 30d: nobody could correct it for that long";
    assert_eq!(week, ("admins.time-lock".to_owned(), too_long.to_owned()));
    let twice = problem(|file| file.officers = ids(&["dave", "dave"]));
    assert_eq!(twice, ("officers".to_owned(), "`dave` is listed twice".to_owned()));
}

#[test]
fn delays_are_what_the_file_says() {
    let of = |time_lock, thaw_delay| {
        let mut file = roster_file();
        file.admins.time_lock = time_lock;
        file.thaw_delay = thaw_delay;
        let roster = Roster::new(file).unwrap();
        (roster.time_lock(), roster.thaw_delay())
    };
    let (longest, hour) = (Duration::from_secs(30 * 86_400), Duration::from_secs(3_600));
    assert_eq!(of(None, None), (Duration::ZERO, Duration::from_secs(86_400)));
    assert_eq!(of(Some(longest), Some(hour)), (longest, hour));
}

/// Two services with different operators quote; who initiates or shares an operator does not.
/// What is wrong is told apart by a stable tag: one vector for each kind.
#[test]
fn each_kind_of_mistake_has_its_tag() {
    type Change = fn(&mut RosterFile);
    let table: [(Tag, Change); 10] = [
        (Tag::BundleListedTwice, |f| {
            f.people[0].keys[1] = f.people[0].keys[0].clone()
        }),
        (Tag::BundleListedTwice, |f| {
            f.groups[0].members = ids(&["alice", "alice"])
        }),
        (Tag::BundleBadValue, |f| f.people[1].keys.clear()),
        (Tag::BundleBadValue, |f| f.people[1].keys[0] = bob_plain()),
        (Tag::BundleUnknownName, |f| f.officers = ids(&["nobody"])),
        (Tag::BundleEmptyGroup, |f| f.groups[0].members.clear()),
        (Tag::BundleEmptyQuorum, |f| f.admins.threshold = 0),
        (Tag::BundleUnreachableQuorum, |f| f.admins.threshold = 9),
        (Tag::BundleMissingValue, |f| f.services[0].operators.clear()),
        (Tag::BundleTooMany, |f| f.people = crowd(1_025)),
    ];
    for (tag, change) in table {
        let mut file = roster_file();
        change(&mut file);
        let found = Roster::new(file).unwrap_err();
        assert!(found.iter().any(|error| error.tag == tag), "{tag}: {found:?}");
    }
}

#[test]
fn price_sources_are_independent_of_each_other_and_of_initiators() {
    let quoting = |change: &dyn Fn(&mut RosterFile)| {
        let mut file = roster_file();
        for (name, operator, key) in [("feed-a", "bob", 40), ("feed-b", "carol", 41)] {
            file.services.push(ServiceRecord {
                id: ids(&[name]).remove(0),
                operators: ids(&[operator]),
                keys: vec![SoftKey::ed25519(key).plain_id()],
            });
        }
        file.price_sources.push(PriceSourceRecord {
            currency: Currency::Usd,
            threshold: 2,
            members: ids(&["feed-a", "feed-b"]),
            max_age: Duration::from_secs(90),
            max_spread: "2 %".parse().unwrap(),
        });
        change(&mut file);
        Roster::new(file)
    };
    let roster = quoting(&|_| ()).unwrap();
    let sources = roster.price_sources(Currency::Usd).unwrap();
    assert_eq!(sources.quorum(), &Quorum::new(2, ids(&["feed-a", "feed-b"])).unwrap());
    assert_eq!(sources.max_age(), Duration::from_secs(90));
    assert_eq!(sources.max_spread().basis_points(), 200);
    assert_eq!(roster.price_sources(Currency::Eur), None);
    let with = |currency, service: &str| roster.price_sources_with(currency, &service.parse().unwrap());
    assert_eq!(with(Currency::Usd, "feed-b"), Some(sources));
    assert_eq!(
        (with(Currency::Usd, "bot"), with(Currency::Eur, "feed-b")),
        (None, None)
    );
    type Change = fn(&mut RosterFile);
    let table: [(&str, &str, Change); 8] = [
        (
            "price-sources[0].members[0]",
            "`bob` operates `feed-a` and is behind the initiator `bot`: name a service whose people ask for no withdrawals",
            |f| f.services[0].operators = ids(&["bob"]),
        ),
        (
            "price-sources[0].members[1]",
            "`carol` operates `feed-b` and is behind the initiator `carol`: name a service whose people ask for no withdrawals",
            |f| f.initiators[0].principals = ids(&["bot", "carol"]),
        ),
        (
            "price-sources[0].members[0]",
            "`bot` initiates withdrawals: what it says of them proves nothing",
            |f| f.price_sources[0].members = ids(&["bot", "feed-b"]),
        ),
        (
            "price-sources[0].members[1]",
            "`bob` operates both `feed-a` and `feed-b`: they would be one voice",
            |f| f.services[2].operators = ids(&["bob"]),
        ),
        (
            "price-sources[0].members[0]",
            "`alice` is not a service of the roster",
            |f| {
                f.initiators[0].principals = ids(&["bot"]);
                f.price_sources[0].members[0] = ids(&["alice"]).remove(0);
            },
        ),
        ("price-sources[0].members", "`feed-a` is listed twice", |f| {
            f.price_sources[0].members = ids(&["feed-a", "feed-a"])
        }),
        (
            "price-sources[0].threshold",
            "a threshold of 3 can never be reached by 2 members",
            |f| f.price_sources[0].threshold = 3,
        ),
        ("price-sources[1].currency", "`USD` is listed twice", |f| {
            f.price_sources.push(f.price_sources[0].clone())
        }),
    ];
    for (path, problem, change) in table {
        let errors = quoting(&change).unwrap_err();
        let found: Vec<_> = errors.iter().map(|error| (&*error.path, &*error.problem)).collect();
        let is_conflict = problem.contains("operates") || problem.contains("initiates");
        assert_eq!(errors[0].tag == Tag::BundleConflictingDuties, is_conflict, "{problem}");
        assert_eq!(found, [(path, problem)]);
    }
}

fn crowd(count: usize) -> Vec<PersonRecord> {
    (0..count)
        .map(|n| {
            let mut seed = [0xa5; 32];
            seed[..8].copy_from_slice(&n.to_le_bytes());
            let point = ed25519_dalek::SigningKey::from_bytes(&seed).verifying_key().to_bytes();
            PersonRecord {
                id: format!("p{n}").parse().unwrap(),
                keys: vec![with_point(&alice(), &point)],
            }
        })
        .collect()
}

#[test]
fn sizes_are_bounded() {
    let people = problem(|file| file.people = crowd(1_025));
    assert_eq!(
        people,
        ("people".to_owned(), "1025 people; at most 1024 are accepted".to_owned())
    );
    let services = problem(|file| file.services = vec![file.services[0].clone(); 1_025]);
    assert_eq!(
        services,
        (
            "services".to_owned(),
            "1025 services; at most 1024 are accepted".to_owned()
        )
    );
    let sixty_five = || crowd(65);
    let members = problem(|file| {
        file.people.extend(sixty_five());
        file.admins.members = sixty_five().into_iter().map(|person| person.id).collect();
    });
    assert_eq!(
        members,
        (
            "admins.members".to_owned(),
            "65 members; at most 64 are accepted".to_owned()
        )
    );
    let group = problem(|file| {
        file.people.extend(sixty_five());
        file.groups[0].members = sixty_five().into_iter().map(|person| person.id).collect();
    });
    assert_eq!(
        group,
        (
            "groups[0].members".to_owned(),
            "65 members; at most 64 are accepted".to_owned()
        )
    );
}

#[test]
fn all_that_is_wrong_is_reported() {
    let mut file = roster_file();
    file.people[1].keys.clear();
    file.groups[0].members.clear();
    file.admins.threshold = 9;
    let paths: Vec<String> = Roster::new(file)
        .unwrap_err()
        .into_iter()
        .map(|error| error.path)
        .collect();
    assert_eq!(paths, ["people[1].keys", "groups[0].members", "admins.threshold"]);
}

#[test]
fn a_roster_answers_what_it_lists_and_nothing_else() {
    let roster = roster();
    let id = |name: &str| ids(&[name]).remove(0);
    let main = "main".parse().unwrap();
    assert!(roster.is_person(&id("alice")) && !roster.is_person(&id("bot")) && !roster.is_person(&id("mallory")));
    assert!(roster.contains(&id("alice")) && roster.contains(&id("bot")) && !roster.contains(&id("mallory")));
    assert!(roster.may_initiate(&main, &id("bot")) && !roster.may_initiate(&main, &id("bob")));
    assert!(!roster.may_initiate(&"other".parse().unwrap(), &id("bot")));
    assert!(roster.is_officer(&id("dave")) && !roster.is_officer(&id("alice")));
    assert!(roster.officers().contains(&id("dave")) && !roster.officers().contains(&id("alice")));
    // Alice is behind the bot, which initiates; so is what the bot would say of a withdrawal her own word.
    let behind = roster.conflict(&id("bot"));
    assert_eq!(behind.map(|(person, _)| person), Some(&id("alice")));
    assert_eq!(roster.conflict(&id("bob")), None, "a person is no service");
    assert_eq!(
        roster.initiating_people(&id("bot")),
        ids(&["alice"]).into_iter().collect()
    );
    assert_eq!(
        roster.initiating_people(&id("bob")),
        ids(&["bob"]).into_iter().collect()
    );
    assert_eq!(roster.initiators(), [&id("alice"), &id("bot")].into_iter().collect());
    let treasury: GroupId = "treasury".parse().unwrap();
    assert_eq!(roster.groups_of(&id("bob")), [treasury.clone()].into_iter().collect());
    assert!(roster.groups_of(&id("alice")).is_empty() && roster.group(&"risk".parse().unwrap()).is_none());
    let people = ids(&["bob", "carol", "dave"]).into_iter().collect();
    assert_eq!(roster.group(&treasury), Some(&people));
    assert!(roster.is_service(&id("bot")) && !roster.is_service(&id("alice")) && !roster.is_service(&id("mallory")));
    assert_eq!(roster.tenants().collect::<Vec<_>>(), [&main]);
    assert_eq!(roster.fingerprints().count(), 6);
    for (key, owner) in [
        (alice().line(), "alice"),
        (bot().plain_id(), "bot"),
        (dave().line(), "dave"),
    ] {
        let record = KeyRecord::parse(&key).unwrap();
        assert_eq!(roster.key(&record.fingerprint()), Some((&id(owner), &record)));
    }
    assert_eq!(
        roster.key(&KeyRecord::parse(&stranger().line()).unwrap().fingerprint()),
        None
    );
}

const NOT_A_POINT: &str = "the key is not a point of its curve in its usual encoding, or is weak";
const UNSUPPORTED_RSA: &str = "key type `ssh-rsa` is not accepted: use ed25519, ecdsa-sha2-nistp256 or their sk- forms";
const BAD_SHAPE: &str =
    "a key is an OpenSSH public key line (`ssh-ed25519 AAAA…`) or `ed25519:` and 64 lower-case hex characters";

fn with_point(key: &SoftKey, point: &[u8]) -> String {
    line(key.algorithm(), &key.blob_with_point(point))
}

/// The same key in SEC 1's other form.
fn compressed(key: &SoftKey) -> String {
    with_point(key, &key.point(true))
}

fn off_curve() -> Vec<u8> {
    let mut point = bob().point(false);
    point[64] ^= 1;
    point
}

/// y = -1: the point of order 2.
fn low_order() -> [u8; 32] {
    let mut point = [0xff; 32];
    (point[0], point[31]) = (0xec, 0x7f);
    point
}

/// p + 3, a second encoding of the point with y = 3, which is on the curve.
fn unreduced() -> [u8; 32] {
    let mut point = [0xff; 32];
    (point[0], point[31]) = (0xf0, 0x7f);
    point
}

fn bob_plain() -> String {
    stranger().plain_id()
}

fn rsa() -> String {
    line(
        "ssh-rsa",
        &[string("ssh-rsa"), mpint(&[1, 0, 1]), mpint(&[0xc1; 256])].concat(),
    )
}

#[test]
fn the_points_of_this_table_are_what_they_say() {
    use ed25519_dalek::VerifyingKey;
    let reduced = [[3].as_slice(), &[0; 31]].concat().try_into().unwrap();
    let [point, again] = [reduced, unreduced()].map(|bytes| VerifyingKey::from_bytes(&bytes).unwrap());
    assert_eq!(point.to_edwards(), again.to_edwards());
    assert!(!again.is_weak(), "only its encoding is wrong");
    assert!(VerifyingKey::from_bytes(&low_order()).unwrap().is_weak());
}

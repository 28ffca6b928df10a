//! Who may put which change in force, and when: an officer alone where nothing is decided more leniently, the admin quorum
//! behind the time-lock for everything else.

use std::{collections::BTreeMap, sync::Arc};

use countersign_approval::{Activation, Body, Envelope, FIRST_EPOCH};
use countersign_bundle::{Bundle, Class};
use countersign_decision::testing::{World, bundle_files, sealed};
use countersign_decision::{ActivatedBundle, Authority, BundleChain, Candidate, ChainError, SeenStatement, Step};
use countersign_types::{BundleDigest, Duration, Tag, Timestamp};

type Files = BTreeMap<String, Vec<u8>>;

const LOCK_SECS: u32 = 3_600;
const TIGHTER: (&str, &str) = ("hard: \"8 ETH\"", "hard: \"7 ETH\"");
const LOOSER: (&str, &str) = ("hard: \"8 ETH\"", "hard: \"9 ETH\"");
const COMMENT: (&str, &str) = ("# docs/policy.md explains every key.", "# See docs/policy.md.");

/// Version 1 with a time-lock of an hour; alice, bob and carol are admins, two of them a quorum; dave is the officer.
struct Scene {
    world: World,
    first: ActivatedBundle,
}

impl Scene {
    fn new() -> Self {
        let world = World::new();
        let mut roster = world.roster();
        roster.admins.time_lock = Some(Duration::from_secs(LOCK_SECS));
        let files = sealed(1, None, bundle_files(&roster));
        let first = ActivatedBundle {
            statements: vec![
                seen(world.activation("alice", &files), world.issued_at),
                seen(world.activation("bob", &files), world.issued_at),
            ],
            files,
            activated_at: world.issued_at,
        };
        Self { world, first }
    }

    /// So many seconds behind the beginning.
    fn at(&self, secs: u32) -> Timestamp {
        self.world.issued_at.after(Duration::from_secs(secs))
    }

    fn in_force(&self) -> Bundle {
        Bundle::load(&self.first.files).unwrap()
    }

    /// Version 2: one text of the policy replaced.
    fn next(&self, (from, to): (&str, &str)) -> Files {
        let mut files = self.first.files.clone();
        let policy = String::from_utf8(files["policy.yaml"].clone()).unwrap();
        assert_eq!(policy.matches(from).count(), 1, "`{from}`");
        files.insert("policy.yaml".to_owned(), policy.replace(from, to).into_bytes());
        sealed(2, Some(self.in_force().digest()), files)
    }

    /// Everybody's statements about a bundle, each seen so many seconds behind the beginning.
    fn said(&self, files: &Files, by: &[(&str, u32)]) -> Vec<SeenStatement> {
        by.iter()
            .map(|(person, secs)| seen(self.world.activation(person, files), self.at(*secs)))
            .collect()
    }

    /// What the signer makes of everything that was said, and what an auditor makes of what it filed.
    fn choose(&self, files: &Files, said: &[SeenStatement], secs: u32) -> Result<Step, ChainError> {
        let in_force = Arc::new(self.in_force());
        let bundle = Arc::new(Bundle::load(files).unwrap());
        let candidate = Candidate::follow(&self.world.genesis, FIRST_EPOCH, Some(&in_force), bundle)?;
        let step = candidate.choose(said, self.at(secs))?;
        let filed = step.statements.iter().map(|verified| {
            let envelope = verified.envelope().to_bytes();
            said.iter().find(|seen| seen.envelope == envelope).unwrap().clone()
        });
        let chain = self.verify(files, filed.collect(), step.activated_at).unwrap();
        let again = chain.steps().last().unwrap();
        assert_eq!(
            (again.class, again.authority, again.complete_at, again.activated_at),
            (step.class, step.authority, step.complete_at, step.activated_at),
            "an auditor finds what the signer found"
        );
        Ok(step)
    }

    fn verify(&self, files: &Files, statements: Vec<SeenStatement>, at: Timestamp) -> Result<BundleChain, ChainError> {
        let second = ActivatedBundle {
            files: files.clone(),
            statements,
            activated_at: at,
        };
        BundleChain::verify(&self.world.genesis, FIRST_EPOCH, &[self.first.clone(), second])
    }

    fn later(&self, person: &str, files: &Files, secs: u32) -> Envelope {
        let bundle = Bundle::load(files).unwrap();
        let body = Activation {
            bundle: bundle.digest(),
            version: bundle.version(),
            previous: bundle.previous(),
            not_before: Some(self.at(secs).to_seconds()),
        };
        self.world.sign(person, Body::Activation(body))
    }
}

fn seen(envelope: Envelope, first_seen_at: Timestamp) -> SeenStatement {
    SeenStatement {
        envelope: envelope.to_bytes(),
        first_seen_at,
    }
}

#[test]
fn one_officer_tightens_at_once() {
    let scene = Scene::new();
    let files = scene.next(TIGHTER);
    let step = scene.choose(&files, &scene.said(&files, &[("dave", 10)]), 10).unwrap();
    assert_eq!(
        (step.class, step.authority, step.complete_at),
        (Some(Class::Tightening), Authority::Officer, scene.at(10))
    );
}

#[test]
fn an_officer_alone_does_nothing_else() {
    let scene = Scene::new();
    for change in [LOOSER, COMMENT] {
        let files = scene.next(change);
        let said = scene.said(&files, &[("dave", 10)]);
        for secs in [10, LOCK_SECS + 10] {
            let error = scene.choose(&files, &said, secs).unwrap_err();
            assert_eq!(error.tag(), Tag::BundleQuorumShort, "{change:?} {error}");
        }
        // Nor does a server that files it as if it had.
        let error = scene.verify(&files, said, scene.at(LOCK_SECS + 10)).unwrap_err();
        assert_eq!(error.tag(), Tag::StatementNotPermitted, "{error}");
    }
    // What loosens is no tightening because something else in it tightens.
    let mut both = scene.next(TIGHTER);
    let policy = String::from_utf8(both["policy.yaml"].clone()).unwrap();
    let policy = policy.replace("hard: \"8000 DEMO\"", "hard: \"8001 DEMO\"");
    both.insert("policy.yaml".to_owned(), policy.into_bytes());
    let both = sealed(2, Some(scene.in_force().digest()), both);
    let error = scene
        .choose(&both, &scene.said(&both, &[("dave", 10)]), 10)
        .unwrap_err();
    assert_eq!(error.tag(), Tag::BundleQuorumShort);
}

#[test]
fn the_quorum_waits_for_the_time_lock_from_the_statement_that_completed_it() {
    let scene = Scene::new();
    for change in [LOOSER, COMMENT, TIGHTER] {
        let files = scene.next(change);
        // Alice's second statement and carol's late one complete nothing.
        let said = scene.said(&files, &[("alice", 5), ("alice", 20), ("bob", 100), ("carol", 200)]);
        for (secs, is_open) in [(200, false), (LOCK_SECS + 99, false), (LOCK_SECS + 100, true)] {
            match scene.choose(&files, &said, secs) {
                Ok(step) => {
                    assert!(is_open, "{change:?} at {secs}");
                    assert_eq!((step.authority, step.complete_at), (Authority::Quorum, scene.at(100)));
                }
                Err(error) => {
                    assert!(!is_open, "{change:?} at {secs}: {error}");
                    assert_eq!(error.tag(), Tag::BundleTimeLocked);
                    assert!(matches!(error, ChainError::TimeLocked(until) if until == scene.at(LOCK_SECS + 100)));
                }
            }
        }
    }
}

#[test]
fn the_officer_beside_the_admins_makes_a_loosening_no_faster() {
    let scene = Scene::new();
    let files = scene.next(LOOSER);
    let said = scene.said(&files, &[("alice", 5), ("bob", 10), ("dave", 15)]);
    assert_eq!(
        scene.choose(&files, &said, 20).unwrap_err().tag(),
        Tag::BundleTimeLocked
    );
    let step = scene.choose(&files, &said, LOCK_SECS + 10).unwrap();
    assert_eq!((step.authority, step.statements.len()), (Authority::Quorum, 2));
}

#[test]
fn an_auditor_refuses_a_step_that_did_not_wait() {
    let scene = Scene::new();
    let files = scene.next(LOOSER);
    let said = scene.said(&files, &[("alice", 5), ("bob", 10)]);
    let at = |secs| scene.verify(&files, said.clone(), scene.at(secs));
    assert!(at(LOCK_SECS + 10).is_ok());
    assert_eq!(at(LOCK_SECS + 9).unwrap_err().tag(), Tag::BundleTimeLocked);
    // A first sight behind the activation is no first sight.
    assert_eq!(at(9).unwrap_err().tag(), Tag::StatementNotYetValid);
    // A stranger beside a quorum is an error: what is filed must be what counted.
    let with_officer = scene.said(&files, &[("alice", 5), ("bob", 10), ("dave", 11)]);
    let error = scene
        .verify(&files, with_officer, scene.at(LOCK_SECS + 10))
        .unwrap_err();
    assert_eq!(error.tag(), Tag::StatementNotPermitted);
}

#[test]
fn a_statement_must_count_when_it_is_seen_and_when_the_bundle_comes_into_force() {
    let scene = Scene::new();
    let files = scene.next(LOOSER);
    let (day, hour) = (86_400, LOCK_SECS);
    // Statements of this world are valid for a day.
    let said = scene.said(&files, &[("alice", 5), ("bob", 10)]);
    assert!(scene.choose(&files, &said, day - 1).is_ok());
    assert_eq!(
        scene.choose(&files, &said, day).unwrap_err().tag(),
        Tag::BundleQuorumShort
    );
    let error = scene.verify(&files, said, scene.at(day)).unwrap_err();
    assert_eq!(error.tag(), Tag::StatementExpired);
    let early = vec![
        SeenStatement {
            first_seen_at: Timestamp::from_unix_millis(scene.world.issued_at.unix_millis() - 600_000),
            ..scene.said(&files, &[("alice", 5)]).remove(0)
        },
        scene.said(&files, &[("bob", 10)]).remove(0),
    ];
    let error = scene.verify(&files, early, scene.at(hour + 10)).unwrap_err();
    assert_eq!(error.tag(), Tag::StatementNotYetValid);
}

#[test]
fn those_who_agree_on_a_moment_wait_for_it() {
    let scene = Scene::new();
    let files = scene.next(LOOSER);
    let later = |person| seen(scene.later(person, &files, 7_200), scene.at(5));
    // Half for now and half for later is no quorum for either.
    let half = [vec![later("alice")], scene.said(&files, &[("bob", 5)])].concat();
    assert_eq!(
        scene.choose(&files, &half, 9_000).unwrap_err().tag(),
        Tag::BundleQuorumShort
    );
    let both = vec![later("alice"), later("bob")];
    assert_eq!(
        scene.choose(&files, &both, 7_199).unwrap_err().tag(),
        Tag::BundleTimeLocked
    );
    assert!(scene.choose(&files, &both, 7_200).is_ok());
    // Whoever changes their mind signs again, and the others' statements count with it.
    let changed = [half, scene.said(&files, &[("alice", 100)])].concat();
    let step = scene.choose(&files, &changed, LOCK_SECS + 100).unwrap();
    assert_eq!(step.complete_at, scene.at(100));
}

#[test]
fn nobody_and_others_are_short_of_a_quorum() {
    let scene = Scene::new();
    let files = scene.next(LOOSER);
    let other = scene.next(TIGHTER);
    assert_eq!(scene.choose(&files, &[], 10).unwrap_err().tag(), Tag::BundleQuorumShort);
    // Statements about another bundle are not about this one.
    let said = scene.said(&other, &[("alice", 5), ("bob", 6)]);
    let error = scene.choose(&files, &said, LOCK_SECS + 10).unwrap_err();
    assert_eq!(error.tag(), Tag::BundleDigestMismatch);
}

/// An auditor finds it however many bundles lie between: carol's key comes back as erin's.
#[test]
fn a_key_stays_its_persons_for_good() {
    let world = World::new();
    let of = |version, previous: Option<BundleDigest>, roster: &countersign_approval::RosterFile| {
        let files = sealed(version, previous, bundle_files(roster));
        ActivatedBundle {
            statements: vec![
                seen(world.activation("alice", &files), world.issued_at),
                seen(world.activation("bob", &files), world.issued_at),
            ],
            files,
            activated_at: world.issued_at,
        }
    };
    let digest = |bundle: &ActivatedBundle| Some(Bundle::load(&bundle.files).unwrap().digest());
    let mut without = world.roster();
    without.groups[0].members.pop();
    without.admins.members.pop();
    let carol = without.people.iter().position(|person| person.id.as_str() == "carol");
    let mut carol = without.people.remove(carol.unwrap());
    let first = of(1, None, &world.roster());
    let second = of(2, digest(&first), &without);
    for (name, refused) in [("carol", None), ("erin", Some(Tag::BundleKeyReused))] {
        carol.id = name.parse().unwrap();
        let mut roster = without.clone();
        roster.people.push(carol.clone());
        let third = of(3, digest(&second), &roster);
        let chain = BundleChain::verify(&world.genesis, FIRST_EPOCH, &[first.clone(), second.clone(), third]);
        assert_eq!(chain.err().map(|error| error.tag()), refused, "{name}");
    }
}

#[test]
fn a_waiting_bundle_dies_with_its_predecessor() {
    let scene = Scene::new();
    let (tighter, looser) = (scene.next(TIGHTER), scene.next(LOOSER));
    let officer = scene
        .choose(&tighter, &scene.said(&tighter, &[("dave", 10)]), 10)
        .unwrap();
    let bundle = Arc::new(Bundle::load(&looser).unwrap());
    let error = Candidate::follow(&scene.world.genesis, FIRST_EPOCH, Some(&officer.bundle), bundle).unwrap_err();
    assert_eq!(error.tag(), Tag::BundleVersionNotNext);
    let renumbered = sealed(3, Some(BundleDigest::of(b"before")), looser);
    let bundle = Arc::new(Bundle::load(&renumbered).unwrap());
    let error = Candidate::follow(&scene.world.genesis, FIRST_EPOCH, Some(&officer.bundle), bundle).unwrap_err();
    assert_eq!(error.tag(), Tag::BundlePreviousMismatch);
}

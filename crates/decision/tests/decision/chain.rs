//! The chain of bundles: one valid step, one change.

use std::collections::BTreeMap;

use countersign_approval::{Activation, Body, Envelope, FIRST_EPOCH, Genesis, Header};
use countersign_bundle::Bundle;
use countersign_decision::testing::{World, bundle_files, sealed};
use countersign_decision::{ActivatedBundle, BundleChain, ChainError, SeenStatement};
use countersign_types::{BundleDigest, Duration, GenesisHash, Tag, Timestamp};

type Files = BTreeMap<String, Vec<u8>>;

/// Version 1, and a version 2 whose admins are carol and dave, built on it.
struct Chain {
    world: World,
    genesis: Genesis,
    steps: Vec<ActivatedBundle>,
}

fn at(world: &World) -> Timestamp {
    world.issued_at.after(Duration::from_secs(1))
}

/// First seen as the bundle comes into force.
fn seen(world: &World, statements: &[Envelope]) -> Vec<SeenStatement> {
    let seen = |envelope: &Envelope| SeenStatement {
        envelope: envelope.to_bytes(),
        first_seen_at: at(world),
    };
    statements.iter().map(seen).collect()
}

fn step(world: &World, files: &Files, statements: &[Envelope]) -> ActivatedBundle {
    ActivatedBundle {
        files: files.clone(),
        statements: seen(world, statements),
        activated_at: at(world),
    }
}

fn digest(files: &Files) -> BundleDigest {
    Bundle::load(files).unwrap().digest()
}

/// The files of version `version` with carol and dave as admins, two of two.
fn handed_over(world: &World, version: u64, previous: Option<BundleDigest>) -> Files {
    let mut roster = world.roster();
    roster.admins.members = vec!["carol".parse().unwrap(), "dave".parse().unwrap()];
    sealed(version, previous, bundle_files(&roster))
}

fn sign(world: &World, admins: &[&str], files: &Files) -> Vec<Envelope> {
    admins.iter().map(|admin| world.activation(admin, files)).collect()
}

fn sign_changed(
    world: &World,
    admin: &str,
    files: &Files,
    change: impl FnOnce(&mut Header, &mut Activation),
) -> Envelope {
    let bundle = Bundle::load(files).unwrap();
    let mut body = Activation {
        bundle: bundle.digest(),
        version: bundle.version(),
        previous: bundle.previous(),
        not_before: None,
    };
    let mut header = world.header();
    change(&mut header, &mut body);
    world.sign_with(admin, header, Body::Activation(body))
}

impl Chain {
    fn new() -> Self {
        let world = World::new();
        let second = handed_over(&world, 2, Some(digest(&world.files)));
        let steps = vec![
            step(&world, &world.files, &sign(&world, &["alice", "bob"], &world.files)),
            step(&world, &second, &sign(&world, &["bob", "carol"], &second)),
        ];
        Self {
            genesis: world.genesis.clone(),
            world,
            steps,
        }
    }

    fn verify(&self) -> Result<BundleChain, ChainError> {
        BundleChain::verify(&self.genesis, FIRST_EPOCH, &self.steps)
    }

    fn resign(&mut self, at: usize, statements: &[Envelope]) {
        self.steps[at].statements = seen(&self.world, statements);
    }
}

#[test]
fn a_chain_verifies_each_step_under_the_one_before() {
    let mut chain = Chain::new();
    let verified = chain.verify().unwrap();
    assert_eq!(verified.active().unwrap().version(), 2);
    let first = digest(&chain.world.files);
    assert_eq!(verified.bundle(first).unwrap().version(), 1);
    assert!(verified.bundle(BundleDigest::of(b"other")).is_none());

    // Version 3 is signed by the admins of version 2, and no longer by those of version 1.
    let second = chain.steps[1].files.clone();
    let third = handed_over(&chain.world, 3, Some(digest(&second)));
    let new = sign(&chain.world, &["carol", "dave"], &third);
    chain.steps.push(step(&chain.world, &third, &new));
    assert_eq!(chain.verify().unwrap().active().unwrap().version(), 3);
    let old = sign(&chain.world, &["bob", "carol"], &third);
    chain.resign(2, &old);
    assert_eq!(chain.verify().unwrap_err().tag(), Tag::StatementNotPermitted);
}

#[test]
fn an_empty_chain_puts_nothing_in_force() {
    let chain = Chain::new();
    let empty = BundleChain::verify(&chain.genesis, FIRST_EPOCH, &[]).unwrap();
    assert!(empty.active().is_none());
}

#[test]
fn one_change_breaks_the_chain() {
    type Change = fn(&mut Chain);
    let cases: Vec<(&str, Change, Tag)> = vec![
        (
            "one admin",
            |c| {
                let one = sign(&c.world, &["carol"], &c.steps[1].files);
                c.resign(1, &one);
            },
            Tag::BundleQuorumShort,
        ),
        (
            "one admin, two statements",
            |c| {
                let twice = sign(&c.world, &["carol", "carol"], &c.steps[1].files);
                assert_ne!(twice[0], twice[1]);
                c.resign(1, &twice);
            },
            Tag::BundleQuorumShort,
        ),
        (
            "one statement twice",
            |c| {
                let one = sign(&c.world, &["carol"], &c.steps[1].files);
                c.resign(1, &[one[0].clone(), one[0].clone()]);
            },
            Tag::BundleQuorumShort,
        ),
        ("nobody", |c| c.resign(1, &[]), Tag::BundleQuorumShort),
        (
            "the next admins vote themselves in",
            |c| {
                let own = sign(&c.world, &["carol", "dave"], &c.steps[1].files);
                c.resign(1, &own);
            },
            // Dave is in the roster in force, and no admin.
            Tag::StatementNotPermitted,
        ),
        (
            "a version left out",
            |c| {
                let files = handed_over(&c.world, 3, Some(digest(&c.world.files)));
                let both = sign(&c.world, &["alice", "bob"], &files);
                c.steps[1] = step(&c.world, &files, &both);
            },
            Tag::BundleVersionNotNext,
        ),
        (
            "the older bundle again",
            |c| {
                let older = c.steps[0].clone();
                c.steps.push(older);
            },
            Tag::BundleVersionNotNext,
        ),
        (
            "the first step missing",
            |c| drop(c.steps.remove(0)),
            Tag::BundleVersionNotNext,
        ),
        (
            "built on another bundle",
            |c| {
                let files = handed_over(&c.world, 2, Some(BundleDigest::of(b"other")));
                let both = sign(&c.world, &["alice", "bob"], &files);
                c.steps[1] = step(&c.world, &files, &both);
            },
            Tag::BundlePreviousMismatch,
        ),
        (
            "a statement about the bundle before",
            |c| {
                let both = [
                    c.world.activation("alice", &c.world.files),
                    c.world.activation("bob", &c.steps[1].files),
                ];
                c.resign(1, &both);
            },
            Tag::BundleDigestMismatch,
        ),
        (
            "a statement for another deployment",
            |c| {
                let foreign = sign_changed(&c.world, "alice", &c.steps[1].files, |header, _| {
                    header.deployment = GenesisHash::of(b"other");
                });
                let both = [foreign, c.world.activation("bob", &c.steps[1].files)];
                c.resign(1, &both);
            },
            Tag::StatementWrongDeployment,
        ),
        (
            "a statement of an epoch before",
            |c| {
                let old = sign_changed(&c.world, "alice", &c.steps[1].files, |header, _| header.epoch = 0);
                let both = [old, c.world.activation("bob", &c.steps[1].files)];
                c.resign(1, &both);
            },
            Tag::StatementWrongEpoch,
        ),
        (
            "another trust root",
            |c| {
                let text = String::from_utf8(c.world.genesis_bytes.clone()).unwrap();
                let other = text.replace("countersign.test/log", "countersign.test/lag");
                c.genesis = Genesis::parse(other.as_bytes()).unwrap();
            },
            Tag::StatementWrongDeployment,
        ),
        (
            "a tampered file",
            |c| c.steps[1].files.get_mut("policy.yaml").unwrap().push(b'\n'),
            Tag::BundleDigestMismatch,
        ),
        (
            "not in force yet",
            |c| {
                let soon = at(&c.world).after(Duration::from_secs(1)).to_seconds();
                let files = c.steps[1].files.clone();
                let set = |admin| sign_changed(&c.world, admin, &files, |_, body| body.not_before = Some(soon));
                let both = [set("alice"), set("bob")];
                c.resign(1, &both);
            },
            Tag::BundleTimeLocked,
        ),
        (
            "the statements have expired",
            |c| c.steps[1].activated_at = at(&c.world).after(Duration::from_secs(86_400)),
            Tag::StatementExpired,
        ),
        (
            "too many statements",
            |c| {
                let many = sign(&c.world, &["alice"; 65], &c.steps[1].files);
                c.resign(1, &many);
            },
            Tag::MessageTooLarge,
        ),
        (
            "a statement of another kind",
            |c| {
                let request = c.world.request(&Default::default());
                let both = [
                    c.world.activation("alice", &c.steps[1].files),
                    c.world.activation("bob", &c.steps[1].files),
                    c.world.rejection("carol", &request),
                ];
                c.resign(1, &both);
            },
            Tag::BundleDigestMismatch,
        ),
    ];
    for (what, change, tag) in cases {
        let mut chain = Chain::new();
        change(&mut chain);
        let error = chain.verify().expect_err(what);
        assert_eq!(error.tag(), tag, "{what}: {error}");
    }
}

#[test]
fn a_time_that_has_come_is_in_force() {
    let mut chain = Chain::new();
    let now = at(&chain.world).to_seconds();
    let files = chain.steps[1].files.clone();
    let set = |admin| sign_changed(&chain.world, admin, &files, |_, body| body.not_before = Some(now));
    let both = [set("alice"), set("bob")];
    chain.resign(1, &both);
    assert_eq!(chain.verify().unwrap().active().unwrap().version(), 2);
}

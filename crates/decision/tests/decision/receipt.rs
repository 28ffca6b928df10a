//! A real receipt, and one change that must not pass.

use crate::support;

use std::collections::BTreeMap;

use countersign_approval::{Envelope, FIRST_EPOCH, Verified, verify};
use countersign_audit::{Checkpoint, Frontier, InclusionProof, LeafHash, SignedCheckpoint, TreeSize, VerifierKey};
use countersign_decision::testing::{Ask, LOG_SEED, WALLET_SEED, World, sealed};
use countersign_decision::{
    ActivatedBundle, ActivationEntry, BundleChain, DecisionEntry, Entry, GenesisEntry, ProvenEntry, Receipt,
    ReceiptFile, ReceiptStatement, SeenStatement, SignatureEntry, SignedFile, StatementEntry,
};
use countersign_types::{AuthorizationId, ChainFacts, PayloadDigest, RawSignature, SigningBytes, Tag, Timestamp};
use ed25519_dalek::Signer as _;
use k256::ecdsa::signature::hazmat::PrehashSigner as _;
use support::{Fixture, assert_allowed, assert_pending, later, policy_with};

/// Entries in the order of the log, and everything else that a receipt is written from.
pub(crate) struct Draft {
    pub(crate) fixture: Fixture,
    bundles: Vec<ActivatedBundle>,
    pub(crate) entries: Vec<Entry>,
    /// What the log has of the bundles that came into force before the request: it stands behind the genesis.
    activation: Vec<Entry>,
    pub(crate) unsigned: Option<Vec<u8>>,
    pub(crate) signed: Option<SignedFile>,
    log_seed: [u8; 32],
    /// After the entries are proven and the checkpoint is signed.
    tamper: fn(&mut ReceiptFile),
}

fn statement_entry(world: &World, fixture: &Fixture, envelope: &Envelope, at: Timestamp) -> Entry {
    let verified = verify(envelope, world.bundle().roster()).unwrap();
    let entry = StatementEntry {
        statement: envelope.statement_digest(),
        kind: envelope.kind(),
        signer: verified.signer().clone(),
        withdrawals: vec![fixture.withdrawal()],
        first_seen_at: at,
    };
    if envelope.request_digest().is_some() {
        Entry::Request(entry)
    } else {
        Entry::Statement(entry)
    }
}

/// A version, signed by two admins.
fn activated(world: &World, files: &BTreeMap<String, Vec<u8>>) -> ActivatedBundle {
    let statement = |admin| SeenStatement {
        envelope: world.activation(admin, files).to_bytes(),
        first_seen_at: later(world.issued_at, 10),
    };
    ActivatedBundle {
        files: files.clone(),
        statements: vec![statement("alice"), statement("bob")],
        activated_at: later(world.issued_at, 10),
    }
}

/// What the log says of the last of these versions.
fn activation_entries(world: &World, bundles: &[ActivatedBundle]) -> Vec<Entry> {
    let chain = BundleChain::verify(&world.genesis, FIRST_EPOCH, bundles).unwrap();
    let step = chain.steps().last().unwrap();
    let statement = |verified: &Verified| {
        Entry::Statement(StatementEntry {
            statement: verified.digest(),
            kind: verified.envelope().kind(),
            signer: verified.signer().clone(),
            withdrawals: vec![],
            first_seen_at: later(world.issued_at, 10),
        })
    };
    let mut entries: Vec<Entry> = step.statements.iter().map(statement).collect();
    entries.push(Entry::Activation(ActivationEntry::of(step)));
    entries
}

fn decision(entry: &DecisionEntry) -> Entry {
    Entry::Decision(Box::new(entry.clone()))
}

/// Signs as the token does, and as the signing core logs it.
fn sign(fixture: &Fixture, allowed: &DecisionEntry) -> (SignedFile, Entry) {
    let registry = fixture.active.registry();
    let (network, wallet) = (&fixture.body.network, &fixture.body.wallet);
    let parsed = registry
        .parse(network, wallet, &fixture.unsigned, ChainFacts::none())
        .unwrap();
    let SigningBytes::EcdsaPrehash(digest) = parsed.signing_payloads()[0].bytes() else {
        panic!()
    };
    let key = k256::ecdsa::SigningKey::from_slice(&WALLET_SEED).unwrap();
    let signature: k256::ecdsa::Signature = key.sign_prehash(digest).unwrap();
    let signature: [u8; 64] = signature.normalize_s().to_bytes().into();
    let signatures = vec![RawSignature::Ecdsa(signature)];
    let assembled = registry
        .assemble(network, wallet, &fixture.unsigned, &signatures)
        .unwrap();
    let authorization = allowed.authorization.clone().unwrap();
    let entry = Entry::Signature(SignatureEntry {
        withdrawal: allowed.withdrawal,
        attempt: authorization.attempt,
        authorization: authorization.id,
        payloads: authorization.payloads,
        signatures: vec![signature.iter().map(|byte| format!("{byte:02x}")).collect()],
        txid: assembled.txid.clone(),
        recorded_at: later(allowed.decided_at, 20),
    });
    let file = SignedFile {
        signatures,
        transaction: assembled.bytes,
        txid: assembled.txid,
    };
    (file, entry)
}

impl Draft {
    /// Asked, approved twice, pending in between, allowed, signed.
    pub(crate) fn new() -> Self {
        Self::of(Fixture::new())
    }

    /// The same, decided so many seconds after the request was issued.
    pub(crate) fn decided_at(secs: i64) -> Self {
        let mut fixture = Fixture::new();
        fixture.now = later(fixture.world.issued_at, 1_000 * secs);
        Self::of(fixture)
    }

    fn of(mut fixture: Fixture) -> Self {
        let world = World::new();
        let mut entries = vec![Entry::Genesis(GenesisEntry {
            deployment: world.genesis.hash(),
        })];
        entries.push(statement_entry(
            &world,
            &fixture,
            &fixture.request,
            fixture.first_seen_at,
        ));
        let bob = fixture.statements.pop().unwrap();
        let (alice, seen) = fixture.statements[0].clone();
        entries.push(statement_entry(&world, &fixture, &alice, seen));
        let pending = fixture.decide();
        assert_pending("alice alone", &pending, &[Tag::ApprovalMissing]);
        entries.push(decision(&pending.entry));
        entries.push(statement_entry(&world, &fixture, &bob.0, bob.1));
        fixture.statements.push(bob);
        let allowed = fixture.decide();
        assert_allowed(&allowed);
        entries.push(decision(&allowed.entry));
        let (signed, signature) = sign(&fixture, &allowed.entry);
        entries.push(signature);
        let bundles = vec![activated(&world, &world.files)];
        Self {
            unsigned: Some(fixture.unsigned.clone()),
            fixture,
            activation: activation_entries(&world, &bundles),
            bundles,
            entries,
            signed: Some(signed),
            log_seed: LOG_SEED,
            tamper: |_| {},
        }
    }

    pub(crate) fn decision(&mut self, at: usize) -> &mut DecisionEntry {
        match &mut self.entries[at] {
            Entry::Decision(entry) => entry,
            other => panic!("{other:?}"),
        }
    }

    fn signature(&mut self, at: usize) -> &mut SignatureEntry {
        match &mut self.entries[at] {
            Entry::Signature(entry) => entry,
            other => panic!("{other:?}"),
        }
    }

    fn logged(&self) -> impl Iterator<Item = &Entry> {
        let (genesis, others) = self.entries.split_at(1);
        genesis.iter().chain(&self.activation).chain(others)
    }

    /// Version 2 comes into force: what the log says of it.
    fn replace_bundle(&mut self) -> Vec<Entry> {
        let world = World::new();
        let files = sealed(2, Some(world.bundle().digest()), world.files.clone());
        self.bundles.push(activated(&world, &files));
        activation_entries(&world, &self.bundles)
    }

    /// Logs the entries, honestly or not, under a checkpoint of the log key.
    pub(crate) fn write(&self) -> Vec<u8> {
        let world = &self.fixture.world;
        let bytes: Vec<Vec<u8>> = self.logged().map(|entry| entry.to_bytes().unwrap()).collect();
        let (mut log, mut nodes) = (Frontier::empty(), BTreeMap::new());
        for entry in &bytes {
            for node in log.append(LeafHash::of(entry).unwrap()).unwrap() {
                nodes.insert(node.id, node.hash);
            }
        }
        let size = TreeSize::new(bytes.len() as u64).unwrap();
        let prove = |(index, bytes): (usize, &Vec<u8>)| ProvenEntry {
            index: index as u64,
            bytes: bytes.clone(),
            proof: InclusionProof::build(index as u64, size, |id| nodes.get(&id).copied())
                .unwrap()
                .hashes()
                .iter()
                .map(|hash| *hash.as_bytes())
                .collect(),
        };
        let seed = ed25519_dalek::SigningKey::from_bytes(&self.log_seed);
        let name: countersign_audit::KeyName = world.genesis.log_origin().parse().unwrap();
        let key = VerifierKey::new(name.clone(), seed.verifying_key().as_bytes()).unwrap();
        let checkpoint = Checkpoint::new(name, log.head(), later(self.fixture.now, 1_000)).unwrap();
        let signature = seed.sign(checkpoint.to_string().as_bytes()).to_bytes();
        let checkpoint = SignedCheckpoint::assemble(checkpoint, &key, &signature).unwrap();
        let statement = |(envelope, at): &(Envelope, Timestamp)| ReceiptStatement {
            envelope: envelope.to_bytes(),
            first_seen_at: *at,
        };
        let mut file = ReceiptFile {
            withdrawal: self.fixture.withdrawal(),
            genesis: world.genesis_bytes.clone(),
            epoch: FIRST_EPOCH,
            bundles: self.bundles.clone(),
            request: statement(&(self.fixture.request.clone(), self.fixture.first_seen_at)),
            unsigned: self.unsigned.clone(),
            statements: self.fixture.statements.iter().map(statement).collect(),
            // The genesis entry is of no withdrawal.
            entries: bytes.iter().enumerate().skip(1).map(prove).collect(),
            checkpoint: checkpoint.to_string().into_bytes(),
            signed: self.signed.clone(),
        };
        (self.tamper)(&mut file);
        file.to_bytes().unwrap()
    }

    fn verify(&self) -> Result<Receipt, countersign_decision::ReceiptError> {
        Receipt::verify(&self.write(), &World::new().genesis_bytes)
    }
}

#[test]
fn a_receipt_is_recomputed() {
    let draft = Draft::new();
    let receipt = draft.verify().unwrap();
    assert_eq!(receipt.txid, draft.signed.as_ref().map(|signed| signed.txid.clone()));
    assert_eq!(receipt.decision.unwrap(), draft.fixture.decide().entry);
    assert!(receipt.effects.unwrap().as_str().contains("(1 ETH)"));
    assert_eq!(receipt.withdrawal, draft.fixture.withdrawal());
    assert_eq!(receipt.entries, 9);
    assert_eq!(receipt.as_of, later(draft.fixture.now, 1_000));
}

/// Before anything was authorized there is nothing to recompute, and the receipt says what the log says.
#[test]
fn a_pending_withdrawal_has_a_receipt() {
    let mut draft = Draft::new();
    draft.entries.truncate(5);
    (draft.unsigned, draft.signed) = (None, None);
    let receipt = draft.verify().unwrap();
    assert_eq!((receipt.txid, receipt.effects), (None, None));
    assert_eq!(decision(&receipt.decision.unwrap()), draft.entries[3]);
}

#[test]
fn an_authorization_that_was_not_used_has_a_receipt() {
    let mut draft = Draft::new();
    draft.entries.truncate(6);
    draft.signed = None;
    assert_eq!(draft.verify().unwrap().txid, None);
}

/// What comes into force later is no matter of what was signed before.
#[test]
fn a_later_bundle_changes_no_receipt() {
    let mut draft = Draft::new();
    let second = draft.replace_bundle();
    draft.entries.extend(second);
    assert!(draft.verify().unwrap().txid.is_some());
}

/// The same bytes authorized again after the signature's authorization: the signature is checked against its own.
#[test]
fn a_renewed_authorization_does_not_hide_the_signature() {
    let mut draft = Draft::new();
    let signature = draft.entries.pop().unwrap();
    draft.fixture.now = later(draft.fixture.now, 15_000);
    draft.entries.push(decision(&draft.fixture.decide().entry));
    draft.entries.push(signature);
    assert!(draft.verify().unwrap().txid.is_some());
}

/// A later attempt was authorized and never signed: the receipt shows the signed one.
#[test]
fn an_unsigned_bump_does_not_hide_the_signature() {
    let mut draft = Draft::new();
    let mut bump = draft.fixture.decide().entry;
    bump.transaction = countersign_types::TransactionDigest::of(b"a bump");
    let authorization = bump.authorization.as_mut().unwrap();
    authorization.id = AuthorizationId::of(b"a bump");
    authorization.attempt = 2;
    draft.entries.push(decision(&bump));
    assert!(draft.verify().unwrap().txid.is_some());
}

#[test]
fn one_change_is_refused() {
    type Change = fn(&mut Draft);
    let cases: Vec<(&str, Change, &str)> = vec![
        (
            "a statement seen earlier than logged",
            |d| d.tamper = |file| file.statements[0].first_seen_at = Timestamp::from_unix_millis(0),
            "is not in the log as the receipt has it",
        ),
        (
            "the request seen earlier than logged",
            |d| d.tamper = |file| file.request.first_seen_at = Timestamp::from_unix_millis(0),
            "is not in the log as the receipt has it",
        ),
        (
            "a time changed in the log's entry",
            |d| {
                d.tamper = |file| {
                    let text = String::from_utf8(file.entries[3].bytes.clone()).unwrap();
                    assert!(text.contains("1780272001000"), "{text}");
                    file.entries[3].bytes = text.replace("1780272001000", "1780272000000").into_bytes();
                }
            },
            "log entry 4",
        ),
        (
            "an approval dropped",
            |d| d.tamper = |file| drop(file.statements.remove(0)),
            "is missing",
        ),
        (
            "an approval of another withdrawal",
            |d| {
                let other = Ask {
                    reference: "order-2".to_owned(),
                    ..Ask::default()
                };
                let world = World::new();
                let request = world.request(&other);
                let envelope = world.approval("alice", &request, &other).to_bytes();
                assert_ne!(envelope, d.fixture.statements[0].0.to_bytes());
                d.tamper = |file| {
                    let world = World::new();
                    let ask = Ask {
                        reference: "order-2".to_owned(),
                        ..Ask::default()
                    };
                    let request = world.request(&ask);
                    file.statements[0].envelope = world.approval("alice", &request, &ask).to_bytes();
                };
            },
            "is not in the log as the receipt has it",
        ),
        (
            "a rejection that the logged decision did not consider",
            |d| {
                let world = World::new();
                let rejection = world.rejection("carol", &d.fixture.request);
                d.fixture.say(rejection.clone());
                let at = d.fixture.statements[2].1;
                d.entries.insert(5, statement_entry(&world, &d.fixture, &rejection, at));
            },
            "did not consider",
        ),
        (
            "a byte of the transaction",
            |d| d.tamper = |file| *file.unsigned.as_mut().unwrap().last_mut().unwrap() ^= 1,
            "no decision that allowed them",
        ),
        (
            "other bytes",
            |d| {
                d.unsigned = Some(
                    Ask {
                        nonce: 1,
                        ..Ask::default()
                    }
                    .unsigned(),
                );
            },
            "no decision that allowed them",
        ),
        ("no bytes", |d| d.unsigned = None, "lacks"),
        (
            "a decision in the log that was never taken",
            |d| d.decision(5).ledger.epoch = 2,
            "taking the decision again",
        ),
        (
            "an approval counted that did not count",
            |d| d.decision(5).statements[1].discounted = Some(Tag::ApprovalNotMember),
            "taking the decision again",
        ),
        (
            "more time to sign than a whole second",
            |d| {
                let authorization = d.decision(5).authorization.as_mut().unwrap();
                authorization.sign_by = later(authorization.sign_by, 1);
            },
            "taking the decision again",
        ),
        (
            "another payload authorized",
            |d| {
                let authorization = d.decision(5).authorization.as_mut().unwrap();
                authorization.payloads = vec![PayloadDigest::of(b"other")];
            },
            "taking the decision again",
        ),
        (
            "another trace",
            |d| d.decision(5).trace = countersign_types::EntryDigest::of(b"other"),
            "taking the decision again",
        ),
        (
            "semantics of another version",
            |d| d.decision(5).semantics = "cs-eval/0".to_owned(),
            "cannot recompute",
        ),
        (
            "a bundle that is not in the chain",
            |d| d.decision(5).bundle = countersign_types::BundleDigest::of(b"other"),
            "was not taken under the bundles that were in force",
        ),
        (
            "a bundle with another policy",
            |d| {
                let world = World::new();
                let files = sealed(1, None, policy_with("10 ETH", "9 ETH"));
                d.bundles = vec![activated(&world, &files)];
                d.activation = activation_entries(&world, &d.bundles);
            },
            "was not taken under the bundles that were in force",
        ),
        (
            "an activation at another moment than the log has",
            |d| d.bundles[0].activated_at = later(d.bundles[0].activated_at, 1),
            "is not in the log as the receipt has it",
        ),
        (
            "an activation whose statement was seen at another moment",
            |d| {
                let seen = &mut d.bundles[0].statements[0].first_seen_at;
                *seen = Timestamp::from_unix_millis(seen.unix_millis() - 1);
            },
            "is not in the log as the receipt has it",
        ),
        (
            "an activation that the log lacks",
            |d| drop(d.activation.pop()),
            "is not in the log as the receipt has it",
        ),
        (
            "a bundle that one admin activated",
            |d| drop(d.bundles[0].statements.pop()),
            "do not follow from the genesis",
        ),
        (
            "a bundle that was not in force any more",
            |d| {
                let second = d.replace_bundle();
                d.entries.splice(5..5, second);
            },
            "was not taken under the bundles that were in force",
        ),
        (
            "a first bundle that was not in force any more",
            |d| {
                let second = d.replace_bundle();
                d.activation.extend(second);
            },
            "was not taken under the bundles that were in force",
        ),
        (
            "a bundle that came into force afterwards",
            |d| {
                let first = std::mem::take(&mut d.activation);
                d.entries.extend(first);
            },
            "was not taken under the bundles that were in force",
        ),
        (
            "a signature under a bundle that was not in force any more",
            |d| {
                let second = d.replace_bundle();
                d.entries.splice(6..6, second);
            },
            "the signature was not recorded",
        ),
        (
            "a signature when its authorization had run out",
            |d| {
                let sign_by = d.decision(5).authorization.as_ref().unwrap().sign_by;
                d.signature(6).recorded_at = sign_by;
            },
            "the signature was not recorded",
        ),
        (
            "a signature before its decision",
            |d| d.entries.swap(5, 6),
            "the signature was not recorded",
        ),
        (
            "a signature of another authorization",
            |d| d.signature(6).authorization = AuthorizationId::of(b"other"),
            "no signature for it",
        ),
        (
            "another signature in the log",
            |d| d.signature(6).signatures = vec!["00".repeat(64)],
            "assembling the transaction again",
        ),
        (
            "a changed signature",
            |d| {
                d.tamper = |file| {
                    let signed = file.signed.as_mut().unwrap();
                    let mut bytes = *signed.signatures[0].as_bytes();
                    bytes[5] ^= 1;
                    signed.signatures[0] = RawSignature::Ecdsa(bytes);
                }
            },
            "",
        ),
        (
            "another signed transaction",
            |d| d.tamper = |file| file.signed.as_mut().unwrap().transaction.push(0),
            "assembling the transaction again",
        ),
        (
            "another transaction id",
            |d| d.tamper = |file| file.signed.as_mut().unwrap().txid = "0x00".to_owned(),
            "assembling the transaction again",
        ),
        (
            "the signed transaction kept back",
            |d| d.tamper = |file| file.signed = None,
            "the log has a signature that the receipt lacks",
        ),
        (
            "a signed transaction that the log does not have",
            |d| drop(d.entries.pop()),
            "no signature for it",
        ),
        (
            "an entry at another place",
            |d| d.tamper = |file| file.entries[5].index = 7,
            "log entry 7",
        ),
        (
            "entries out of order",
            |d| d.tamper = |file| file.entries.swap(0, 1),
            "not in order",
        ),
        (
            "a proof of another entry",
            |d| d.tamper = |file| file.entries[0].proof = file.entries[1].proof.clone(),
            "log entry 1",
        ),
        (
            "a checkpoint of another key",
            |d| d.log_seed = [1; 32],
            "the checkpoint",
        ),
        (
            "another genesis inside",
            |d| {
                d.tamper = |file| {
                    let text = String::from_utf8(file.genesis.clone()).unwrap();
                    file.genesis = text
                        .replace("countersign.test/log", "countersign.test/lag")
                        .into_bytes();
                }
            },
            "you trust",
        ),
        (
            "another withdrawal's name",
            |d| {
                d.tamper = |file| {
                    file.withdrawal =
                        countersign_types::WithdrawalId::of(countersign_types::RequestDigest::of(b"other"))
                }
            },
            "",
        ),
        ("another epoch", |d| d.tamper = |file| file.epoch = 2, "do not follow"),
    ];
    for (what, change, words) in cases {
        let mut draft = Draft::new();
        change(&mut draft);
        let error = draft.verify().expect_err(what);
        assert_eq!(error.tag(), Tag::ReceiptInvalid, "{what}");
        assert!(error.to_string().contains(words), "{what}: {error}");
    }
}

#[test]
fn bytes_that_are_no_receipt_are_refused() {
    let genesis = World::new().genesis_bytes;
    let whole = Draft::new().write();
    let text = String::from_utf8(whole.clone()).unwrap();
    for bad in [
        Vec::new(),
        b"{}".to_vec(),
        whole[..whole.len() / 2].to_vec(),
        text.replace("countersign.receipt/1", "countersign.receipt/2")
            .into_bytes(),
        text.replacen('{', "{\"more\": 1,", 1).into_bytes(),
    ] {
        assert_eq!(Receipt::verify(&bad, &genesis).unwrap_err().tag(), Tag::ReceiptInvalid);
    }
    assert!(Receipt::verify(&whole, b"{}").is_err());
}

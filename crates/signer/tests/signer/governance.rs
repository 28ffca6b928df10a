//! Bundles through the signer: statements are journaled first, the time-lock counts from there, an officer tightens at once.

use crate::support;

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use countersign_approval::{Activation, Body, Rejection, RejectionItem, Veto};
use countersign_bundle::{Bundle, Class};
use countersign_decision::testing::{Ask, bundle_files, sealed, withdrawal};
use countersign_decision::{ActivationEntry, Authority, Entry, Outlook, Proposal, Receipt, SeenStatement};
use countersign_signer::{LedgerView, Reads, Verdict, Write, propose};
use countersign_types::{BundleDigest, Duration, RequestDigest, Tag, Timestamp, WithdrawalId};
use support::Rig;

type Files = BTreeMap<String, Vec<u8>>;

const LOCK_SECS: i64 = 3_600;

/// Version 1 with a time-lock of an hour in force.
async fn locked() -> (Rig, Files) {
    let rig = Rig::bare().await;
    let mut roster = rig.world.roster();
    roster.admins.time_lock = Some(Duration::from_secs(3_600));
    let files = sealed(1, None, bundle_files(&roster));
    rig.activate(&["alice", "bob"], files.clone()).await.unwrap();
    (rig, files)
}

/// The next version, with another limit.
fn next(first: &Files, hard: &str) -> Files {
    let before = Bundle::load(first).unwrap();
    let mut files = first.clone();
    let policy = String::from_utf8(files["policy.yaml"].clone()).unwrap();
    let policy = policy.replace("hard: \"7 ETH\"", "hard: \"8 ETH\"");
    let policy = policy.replace("hard: \"8 ETH\"", &format!("hard: \"{hard}\""));
    files.insert("policy.yaml".to_owned(), policy.into_bytes());
    sealed(before.version() + 1, Some(before.digest()), files)
}

async fn activations(rig: &Rig) -> Vec<ActivationEntry> {
    let entries = rig.signer.entries(0, 256).await.unwrap();
    let entries = entries.iter().map(|bytes| Entry::parse(bytes).unwrap());
    entries
        .filter_map(|entry| match entry {
            Entry::Activation(entry) => Some(entry),
            _ => None,
        })
        .collect()
}

/// A signer that started before the first bundle came into force, through another one, learns of it from the journal.
#[tokio::test]
async fn what_another_signer_put_in_force_is_in_force() {
    let rig = Rig::bare().await;
    let (deciding, listing) = (rig.another().await, rig.another().await);
    let ask = Ask::default();
    let request = rig.world.request(&ask);
    let none = deciding.authorize(support::submission(&ask, &request, &[])).await;
    assert_eq!(none.unwrap_err().tag(), Tag::BundleNoneActive);
    let files = sealed(1, None, bundle_files(&rig.world.roster()));
    rig.activate(&["alice", "bob"], files.clone()).await.unwrap();
    let answer = deciding
        .authorize(support::submission(&ask, &request, &[]))
        .await
        .unwrap();
    support::assert_pending(&answer, Tag::ApprovalMissing);
    assert_eq!(listing.bundles(0).await.unwrap().1, 1);
    rig.activate(&["alice", "bob"], next(&files, "6 ETH")).await.unwrap();
    assert_eq!(listing.bundles(1).await.unwrap().1, 2);
    // What is told of freezes is told under the bundle in force as well.
    let mut roster = rig.world.roster();
    roster.admins.threshold = 3;
    let second = Bundle::load(&next(&files, "6 ETH")).unwrap();
    let third = sealed(3, Some(second.digest()), bundle_files(&roster));
    rig.activate(&["alice", "bob"], third).await.unwrap();
    let list = String::from_utf8(listing.freezes().await.unwrap()).unwrap();
    assert!(list.contains("quorum 3\n"), "{list}");
}

/// Whoever may write to the journal's tables puts a bundle there that loosens: no signer takes it up.
#[tokio::test]
async fn a_stored_bundle_that_never_came_into_force_is_not_believed() {
    let (rig, first) = locked().await;
    let forged = next(&first, "9 ETH");
    let bundle = Bundle::load(&forged).unwrap();
    let (version, digest) = (bundle.version(), bundle.digest());
    let forge = move |_: &LedgerView, _: Timestamp| Verdict {
        entries: Vec::new(),
        writes: vec![Write::Bundle {
            version,
            digest,
            files: forged.clone(),
            statements: Vec::new(),
        }],
        reply: (),
    };
    propose(rig.journal.as_ref(), Reads::default(), forge).await.unwrap();
    let ask = Ask::default();
    let request = rig.world.request(&ask);
    let refused = rig.authorize(&ask, &request, &[]).await.unwrap_err();
    assert_eq!(refused.tag(), Tag::JournalUnavailable);
    let refused = rig.refusal_of_another().await;
    assert!(
        refused
            .to_string()
            .contains("stored bundle 2: the log does not say that it came into force"),
        "{refused}"
    );
}

/// The same with other files under the digest of the bundle in force.
#[tokio::test]
async fn stored_files_are_those_that_the_digest_names() {
    let (rig, first) = locked().await;
    rig.another().await;
    rig.key.faults.swap_files(next(&first, "9 ETH"));
    let refused = rig.refusal_of_another().await;
    assert!(
        refused
            .to_string()
            .contains("stored bundle 1: its files are those of another bundle"),
        "{refused}"
    );
}

#[tokio::test]
async fn what_loosens_waits_from_the_statement_that_completed_the_quorum() {
    let (rig, first) = locked().await;
    let looser = next(&first, "9 ETH");
    let tag = |error: countersign_signer::SignerError| error.tag();
    assert_eq!(
        rig.activate(&["alice"], looser.clone()).await.map_err(tag).unwrap_err(),
        Tag::BundleQuorumShort
    );
    rig.advance(60);
    // Alice's word is journaled: bob's completes the quorum, and the lock counts from now.
    assert_eq!(
        rig.activate(&["bob"], looser.clone()).await.map_err(tag).unwrap_err(),
        Tag::BundleTimeLocked
    );
    rig.advance(LOCK_SECS - 1);
    assert_eq!(
        rig.activate(&[], looser.clone()).await.map_err(tag).unwrap_err(),
        Tag::BundleTimeLocked
    );
    assert_eq!(rig.signer.bundles(0).await.unwrap().1, 1);
    rig.advance(1);
    let activated = rig.activate(&[], looser.clone()).await.unwrap();
    assert_eq!(activated.version, 2);
    let logged = activations(&rig).await.pop().unwrap();
    assert_eq!(
        (logged.class, logged.authority),
        (Some(Class::Loosening), Authority::Quorum)
    );
    assert_eq!(
        logged.activated_at.unix_millis() - logged.complete_at.unix_millis(),
        LOCK_SECS * 1_000
    );
}

#[tokio::test]
async fn one_officer_tightens_at_once_and_voids_what_waits() {
    let (rig, first) = locked().await;
    let (looser, tighter) = (next(&first, "9 ETH"), next(&first, "7 ETH"));
    let waits = rig.activate(&["alice", "bob"], looser.clone()).await.unwrap_err();
    assert_eq!(waits.tag(), Tag::BundleTimeLocked);
    let refused = rig.activate(&["dave"], looser.clone()).await.unwrap_err();
    assert_eq!(refused.tag(), Tag::BundleTimeLocked, "an officer makes it no faster");
    assert_eq!(rig.activate(&["dave"], tighter.clone()).await.unwrap().version, 2);
    let logged = activations(&rig).await.pop().unwrap();
    assert_eq!(
        (logged.class, logged.authority),
        (Some(Class::Tightening), Authority::Officer)
    );
    rig.advance(LOCK_SECS);
    let void = rig.activate(&[], looser).await.unwrap_err();
    assert_eq!(void.tag(), Tag::BundleVersionNotNext);
}

#[tokio::test]
async fn a_word_given_before_counts_after_a_restart() {
    let (rig, first) = locked().await;
    let looser = next(&first, "9 ETH");
    for admin in ["alice", "carol"] {
        let statement = rig.world.activation(admin, &looser).to_bytes();
        rig.signer.record_statement(&statement).await.unwrap();
        // The same statement again has the same first sight.
        rig.advance(1);
        rig.signer.record_statement(&statement).await.unwrap();
    }
    let rig = rig.restart().await;
    rig.advance(LOCK_SECS);
    assert_eq!(rig.activate(&[], looser).await.unwrap().version, 2);
}

#[tokio::test]
async fn only_those_who_count_speak_about_the_bundle_that_comes_next() {
    let (rig, first) = locked().await;
    let looser = next(&first, "9 ETH");
    let say = async |person: &str, files: &Files| {
        let statement = rig.world.activation(person, files).to_bytes();
        rig.signer
            .record_statement(&statement)
            .await
            .map(drop)
            .map_err(|error| error.tag())
    };
    assert_eq!(say("payout-service", &looser).await, Err(Tag::StatementNotPermitted));
    assert_eq!(say("alice", &first).await, Err(Tag::BundleVersionNotNext));
    let elsewhere = sealed(2, Some(BundleDigest::of(b"other")), looser.clone());
    assert_eq!(say("alice", &elsewhere).await, Err(Tag::BundlePreviousMismatch));
    for _ in 0..4 {
        assert_eq!(say("alice", &looser).await, Ok(()));
    }
    let enough = say("alice", &looser).await;
    assert!(enough.is_err(), "one person does not fill the log");
    // The others still can.
    assert_eq!(say("bob", &looser).await, Ok(()));
}

impl Rig {
    /// A person vetoes a bundle behind another one.
    async fn veto(&self, person: &str, files: &Files, behind: &Files) -> Result<(), Tag> {
        let body = Body::Veto(Veto {
            bundle: Bundle::load(files).unwrap().digest(),
            previous: Bundle::load(behind).unwrap().digest(),
            reason: "nobody told us".to_owned(),
        });
        let statement = self.world.sign(person, body).to_bytes();
        let recorded = self.signer.record_statement(&statement).await;
        recorded.map(drop).map_err(|error| error.tag())
    }

    async fn propose(&self, person: &str, files: &Files) -> Result<(), Tag> {
        let statement = self.world.activation(person, files).to_bytes();
        let recorded = self.signer.record_statement(&statement).await;
        recorded.map(drop).map_err(|error| error.tag())
    }

    /// Why these people's word does not put a bundle in force.
    async fn held(&self, admins: &[&str], files: &Files) -> Tag {
        self.activate(admins, files.clone()).await.unwrap_err().tag()
    }
}

/// One call with the files and many statements is no way around what is refused one after the other.
#[tokio::test]
async fn what_is_handed_in_together_has_no_more_room() {
    let (rig, first) = locked().await;
    let looser = next(&first, "9 ETH");
    let alice = ["alice"; 5];
    assert_eq!(rig.held(&alice, &looser).await, Tag::MessageTooLarge);
    let bundle = Bundle::load(&looser).unwrap();
    let header = rig.world.header();
    let word = |not_before| {
        let body = Activation {
            bundle: bundle.digest(),
            version: bundle.version(),
            previous: bundle.previous(),
            not_before,
        };
        let statement = rig.world.sign_with("alice", header, Body::Activation(body));
        statement.to_bytes()
    };
    let words = vec![word(None), word(Some(rig.world.issued_at.to_seconds()))];
    let refused = rig.signer.activate(looser.clone(), words).await.unwrap_err();
    assert_eq!(refused.tag(), Tag::StatementNonceReused);
    assert_eq!(rig.pending(&first).await, [], "nothing of either was journaled");
    assert_eq!(rig.held(&alice[..4], &looser).await, Tag::BundleQuorumShort);
    assert_eq!(rig.held(&alice[..1], &looser).await, Tag::MessageTooLarge);
}

/// The roster without carol, and with her key as erin's.
fn others(rig: &Rig) -> [countersign_approval::RosterFile; 2] {
    let mut without = rig.world.roster();
    without.groups[0].members.pop();
    without.admins.members.pop();
    let mut renamed = without.clone();
    for person in &mut renamed.people {
        if person.id.as_str() == "carol" {
            person.id = "erin".parse().unwrap();
        }
    }
    without.people.retain(|person| person.id.as_str() != "carol");
    [without, renamed]
}

/// What carol signed would count as erin's: in the next bundle as in any later one, whatever a signer forgot between.
#[tokio::test]
async fn a_key_stays_its_persons_for_good() {
    let rig = Rig::new().await;
    let first = rig.world.bundle().digest();
    let [without, renamed] = others(&rig);
    let at_once = sealed(2, Some(first), bundle_files(&renamed));
    assert_eq!(rig.held(&["alice", "bob"], &at_once).await, Tag::BundleKeyReused);
    let second = sealed(2, Some(first), bundle_files(&without));
    rig.activate(&["alice", "bob"], second.clone()).await.unwrap();
    let second = Bundle::load(&second).unwrap().digest();
    let rig = rig.restart().await;
    let later = sealed(3, Some(second), bundle_files(&renamed));
    assert_eq!(rig.held(&["alice", "bob"], &later).await, Tag::BundleKeyReused);
    let back = sealed(3, Some(second), bundle_files(&rig.world.roster()));
    assert_eq!(rig.activate(&["alice", "bob"], back).await.unwrap().version, 3);
}

#[tokio::test]
async fn one_officer_stops_what_waits_and_the_quorum_signs_again() {
    let (rig, first) = locked().await;
    let looser = next(&first, "9 ETH");
    assert_eq!(rig.veto("dave", &looser, &first).await, Err(Tag::BundleNotWaiting));
    assert_eq!(rig.held(&["alice", "bob"], &looser).await, Tag::BundleTimeLocked);
    for person in ["alice", "payout-service"] {
        let refused = rig.veto(person, &looser, &first).await;
        assert_eq!(refused, Err(Tag::StatementNotPermitted), "{person}");
    }
    assert_eq!(
        rig.veto("dave", &looser, &looser).await,
        Err(Tag::BundlePreviousMismatch)
    );
    rig.advance(LOCK_SECS - 1);
    rig.veto("dave", &looser, &first).await.unwrap();
    rig.advance(1);
    let stopped = rig.activate(&[], looser.clone()).await.unwrap_err();
    assert_eq!(stopped.tag(), Tag::BundleVetoed);
    assert!(stopped.to_string().starts_with("`dave` vetoed"), "{stopped}");
    let rig = rig.restart().await;
    assert_eq!(rig.held(&[], &looser).await, Tag::BundleVetoed);
    assert_eq!(rig.signer.bundles(0).await.unwrap().1, 1, "it is not in force");
    // Half of a quorum from before and half from now is none, and then the time-lock starts over.
    assert_eq!(rig.held(&["alice"], &looser).await, Tag::BundleVetoed);
    assert_eq!(rig.held(&["carol"], &looser).await, Tag::BundleTimeLocked);
    rig.advance(LOCK_SECS - 1);
    assert_eq!(rig.held(&[], &looser).await, Tag::BundleTimeLocked);
    rig.advance(1);
    assert_eq!(rig.activate(&[], looser).await.unwrap().version, 2);
    // The veto is found by the bundle that it stands behind, and receipts still verify.
    let digest = Bundle::load(&first).unwrap().digest();
    assert_eq!(rig.signer.vetoes(&[digest]).await.unwrap().len(), 1);
    let ask = Ask {
        amount: 50_000_000_000_000_000,
        ..Ask::default()
    };
    let request = rig.world.request(&ask);
    rig.authorize(&ask, &request, &[]).await.unwrap();
    let receipt = rig.signer.receipt(withdrawal(&request)).await.unwrap();
    Receipt::verify(&receipt, &rig.world.genesis_bytes).unwrap();
}

impl Rig {
    /// What may follow a bundle, as people work it out from what the signer lists.
    async fn pending(&self, in_force: &Files) -> Vec<Proposal> {
        let said = self.signer.proposals().await.unwrap();
        let seen = said.into_iter().map(|statement| SeenStatement {
            envelope: statement.envelope,
            first_seen_at: statement.first_seen_at,
        });
        let outlook = Outlook {
            deployment: self.world.genesis.hash(),
            epoch: countersign_approval::FIRST_EPOCH,
            in_force: &Bundle::load(in_force).unwrap(),
            now: Timestamp::from_unix_millis(self.clock.load(Ordering::SeqCst)),
        };
        outlook.proposals(&seen.collect::<Vec<_>>()).unwrap()
    }
}

/// An officer who is to stop a bundle learns of it, whoever brought it and wherever it was signed.
#[tokio::test]
async fn what_waits_is_listed_until_something_is_in_force() {
    let (rig, first) = locked().await;
    let (looser, other) = (next(&first, "9 ETH"), next(&first, "9.5 ETH"));
    assert_eq!(rig.pending(&first).await, []);
    rig.propose("alice", &looser).await.unwrap();
    assert_eq!(rig.held(&["bob"], &looser).await, Tag::BundleTimeLocked);
    rig.propose("dave", &other).await.unwrap();
    rig.veto("dave", &looser, &first).await.unwrap();
    let rig = rig.restart().await;
    let mut pending = rig.pending(&first).await;
    pending.sort_by_key(|proposal| proposal.words.len());
    let [by_officer, stopped] = <[Proposal; 2]>::try_from(pending).unwrap();
    assert_eq!(by_officer.bundle, Bundle::load(&other).unwrap().digest());
    assert!(by_officer.words[0].is_officer && by_officer.words[0].counts);
    assert_eq!((by_officer.missing, by_officer.opening), (2, None));
    assert_eq!(stopped.bundle, Bundle::load(&looser).unwrap().digest());
    assert_eq!((stopped.vetoes.len(), stopped.missing), (1, 2));
    for admin in ["alice", "carol"] {
        rig.propose(admin, &other).await.unwrap();
    }
    let pending = rig.pending(&first).await;
    let opens_at = pending.iter().find_map(|proposal| proposal.opening).unwrap().opens_at;
    assert_eq!(
        opens_at,
        Timestamp::from_unix_millis(rig.clock.load(Ordering::SeqCst)).after(Duration::from_secs(3_600))
    );
    // As listed, so decided.
    rig.advance(LOCK_SECS - 1);
    assert_eq!(rig.held(&[], &other).await, Tag::BundleTimeLocked);
    rig.advance(1);
    assert_eq!(rig.activate(&[], other.clone()).await.unwrap().version, 2);
    assert_eq!(rig.pending(&other).await, []);
}

/// A person may reject any 32 bytes as a withdrawal's, a bundle's digest among them, or that of what is filed behind one. It is said of
/// no bundle: it stops none, hides none, and is no veto.
#[tokio::test]
async fn what_is_said_of_a_withdrawal_is_said_of_no_bundle() {
    let (rig, first) = locked().await;
    let looser = next(&first, "9 ETH");
    let digest = |files: &Files| Bundle::load(files).unwrap().digest();
    let named = |bundle: BundleDigest| WithdrawalId::of(RequestDigest::from_bytes(*bundle.as_bytes()));
    let behind = format!("countersign vetoes behind {}\n", digest(&first));
    let names = [
        named(digest(&looser)),
        named(digest(&first)),
        WithdrawalId::of(RequestDigest::of(behind.as_bytes())),
    ];
    let reject = async |person: &str| {
        let item = |withdrawal| RejectionItem {
            withdrawal,
            reason: "nobody asked for it".to_owned(),
        };
        let items = names.map(item).to_vec();
        let rejection = rig.world.sign(person, Body::Rejection(Rejection { items }));
        rig.signer.record_statement(&rejection.to_bytes()).await.unwrap();
    };
    reject("carol").await;
    assert_eq!(rig.veto("dave", &looser, &first).await, Err(Tag::BundleNotWaiting));
    assert_eq!(rig.held(&["alice", "bob"], &looser).await, Tag::BundleTimeLocked);
    // Also an admin's, and behind what the quorum said.
    reject("alice").await;
    assert_eq!(rig.signer.vetoes(&[digest(&first)]).await.unwrap().len(), 0);
    let pending = rig.pending(&first).await;
    assert_eq!(pending.len(), 1);
    assert_eq!((pending[0].words.len(), pending[0].missing), (2, 0));
    rig.advance(LOCK_SECS);
    let rig = rig.restart().await;
    assert_eq!(rig.activate(&[], looser).await.unwrap().version, 2);
    // Nor is it in receipts, which carry what is said of bundles: two words and an activation for each, and three entries of the withdrawal.
    let ask = Ask {
        amount: 50_000_000_000_000_000,
        ..Ask::default()
    };
    let request = rig.world.request(&ask);
    rig.authorize(&ask, &request, &[]).await.unwrap();
    let receipt = rig.signer.receipt(withdrawal(&request)).await.unwrap();
    let receipt = Receipt::verify(&receipt, &rig.world.genesis_bytes).unwrap();
    assert_eq!(receipt.entries, 9);
}

/// An admin who says the same again is one voice, and what puts a bundle in force has each voice once.
#[tokio::test]
async fn who_says_it_again_is_in_a_step_once() {
    let (rig, first) = locked().await;
    let looser = next(&first, "9 ETH");
    for admin in ["alice", "alice", "bob", "alice", "bob"] {
        rig.propose(admin, &looser).await.unwrap();
    }
    rig.advance(LOCK_SECS);
    assert_eq!(rig.activate(&[], looser).await.unwrap().version, 2);
    let (bundles, _) = rig.signer.bundles(1).await.unwrap();
    assert_eq!(bundles[0].statements.len(), 2);
}

#[tokio::test]
async fn a_veto_stops_one_bundle_and_no_other() {
    let (rig, first) = locked().await;
    let (looser, other) = (next(&first, "9 ETH"), next(&first, "9.5 ETH"));
    for files in [&looser, &other] {
        assert_eq!(rig.held(&["alice", "bob"], files).await, Tag::BundleTimeLocked);
    }
    rig.veto("dave", &looser, &first).await.unwrap();
    rig.advance(LOCK_SECS);
    assert_eq!(rig.held(&[], &looser).await, Tag::BundleVetoed);
    assert_eq!(rig.activate(&[], other).await.unwrap().version, 2);
}

/// Three admins can sign for 16 bundles each, four times each: however they go about it, an officer has a word against every quorum.
#[tokio::test]
async fn no_quorum_wears_an_officer_out() {
    let (rig, first) = locked().await;
    let looser = next(&first, "9 ETH");
    assert_eq!(rig.held(&["alice"], &looser).await, Tag::BundleQuorumShort);
    for n in 1..=3 * 16 * 4 {
        assert_eq!(rig.veto("dave", &looser, &first).await, Ok(()), "{n}");
    }
    assert_eq!(rig.veto("dave", &looser, &first).await, Err(Tag::MessageTooLarge));
}

#[tokio::test]
async fn one_admin_names_so_many_bundles_only() {
    let (rig, first) = locked().await;
    let proposal = |n: u32| next(&first, &format!("8.{n:03} ETH"));
    for n in 1..=16 {
        assert_eq!(rig.propose("alice", &proposal(n)).await, Ok(()), "{n}");
    }
    let refused = rig.propose("alice", &proposal(17)).await;
    assert_eq!(refused, Err(Tag::BundleTooManyProposals));
    let handed = rig.held(&["alice"], &proposal(18)).await;
    assert_eq!(handed, Tag::BundleTooManyProposals, "at the other door too");
    // What was named can be signed again, others are not kept out, and the next bundle in force begins a new count.
    assert_eq!(rig.propose("alice", &proposal(16)).await, Ok(()));
    assert_eq!(rig.propose("bob", &proposal(17)).await, Ok(()));
    let tighter = next(&first, "7 ETH");
    rig.activate(&["dave"], tighter.clone()).await.unwrap();
    assert_eq!(rig.propose("alice", &next(&tighter, "9 ETH")).await, Ok(()));
}

/// A receipt has the activations of every bundle with their proofs, and an auditor computes time-locks from the log's moments.
#[tokio::test]
async fn receipts_prove_when_bundles_came_into_force() {
    let (rig, first) = locked().await;
    let looser = next(&first, "9 ETH");
    rig.activate(&["alice", "bob"], looser.clone()).await.unwrap_err();
    rig.advance(LOCK_SECS);
    rig.activate(&[], looser).await.unwrap();
    let ask = Ask {
        amount: 50_000_000_000_000_000,
        ..Ask::default()
    };
    let request = rig.world.request(&ask);
    rig.authorize(&ask, &request, &[]).await.unwrap();
    let receipt = rig.signer.receipt(withdrawal(&request)).await.unwrap();
    Receipt::verify(&receipt, &rig.world.genesis_bytes).unwrap();
    // A moment later, as if the time-lock had run longer: the log says otherwise.
    let at = activations(&rig).await.pop().unwrap().activated_at.unix_millis();
    let text = String::from_utf8(receipt).unwrap();
    let (from, to) = (
        format!("\"activated_at\":{at}"),
        format!("\"activated_at\":{}", at + 1_000),
    );
    assert_eq!(text.replace(": ", ":").matches(&from).count(), 1);
    let forged = text.replace(": ", ":").replace(&from, &to);
    let error = Receipt::verify(forged.as_bytes(), &rig.world.genesis_bytes).unwrap_err();
    assert!(error.to_string().contains("not in the log"), "{error}");
}

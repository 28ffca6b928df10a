//! Each write read back through each read; each uniqueness rule broken by one mutation.

use countersign_audit::{Hash, InclusionProof, LeafHash};
use countersign_signer::{
    ActiveBundle, AttemptRecord, Basis, JournaledStatement, SignedAttempt, StoredBundle, Unfinished,
};
use countersign_types::{EntryDigest, RawSignature, SignedTransaction};

use super::*;

on_each_database! {
    an_empty_journal_has_the_genesis_entry_and_a_checkpoint,
    bundles_read_back,
    the_life_of_a_withdrawal_reads_back,
    lookups_name_owners_and_leave_out_the_unowned,
    the_next_nonce_is_read_as_a_number,
    the_schema_refuses_a_second_owner,
    what_is_given_up_has_the_next_owner,
    a_history_holds_everything_with_proofs_to_one_checkpoint,
    pages_are_bounded,
}

fn of(name: &str) -> Reads {
    Reads {
        request: Some(request(name)),
        ..Reads::default()
    }
}

pub(super) fn signed(name: &str, number: u32) -> Write {
    Write::Signed {
        request: request(name),
        number,
        signatures: vec![RawSignature::Ecdsa([1; 64]), RawSignature::Ed25519([2; 64])],
        transaction: SignedTransaction {
            bytes: b"signed".to_vec(),
            txid: "0xabc".to_owned(),
        },
    }
}

fn recorded(name: &str, number: u32, nonce: u64, authorized_at: i64) -> AttemptRecord {
    let Write::Attempt {
        transaction,
        unsigned,
        conflict_keys,
        fee_max,
        authorization,
        sign_by,
        ..
    } = attempt(name, number, nonce)
    else {
        panic!("not an attempt")
    };
    AttemptRecord {
        number,
        transaction,
        unsigned,
        conflict_keys,
        fee_max,
        authorization,
        authorized_at: at(authorized_at),
        sign_by,
        signed: None,
        spend: None,
    }
}

async fn an_empty_journal_has_the_genesis_entry_and_a_checkpoint(place: Place) {
    let journal = place.create().await;
    assert_eq!(all_entries(&journal).await, [GENESIS_ENTRY]);
    assert_log_is_whole(&journal).await;
    let empty = view(&journal, Reads::default()).await;
    assert_eq!(
        (empty.epoch, empty.bundle, empty.withdrawal),
        (crate::FIRST_EPOCH, None, None)
    );
    assert_eq!(journal.active_bundle().await.unwrap(), None);
    assert_eq!(journal.history(request("a")).await.unwrap(), None);
}

async fn bundles_read_back(place: Place) {
    let journal = place.create().await;
    for version in 1..=3 {
        place.set_clock(START + version as i64);
        write(&journal, bundle(version), Vec::new()).await.unwrap();
    }
    let stored = |version: u64| StoredBundle {
        version,
        digest: bundle_digest(version),
        files: BTreeMap::from([
            ("manifest.json".to_owned(), format!("manifest {version}").into_bytes()),
            ("policy.yaml".to_owned(), b"rules".to_vec()),
        ]),
        statements: vec![JournaledStatement {
            envelope: envelope(&format!("activation-{version}")),
            signer: signer(),
            first_seen_at: at(START + version as i64),
        }],
        activated_at: at(START + version as i64),
    };
    assert_eq!(journal.active_bundle().await.unwrap(), Some(stored(3)));
    assert_eq!(journal.bundles(1).await.unwrap(), [stored(2), stored(3)]);
    assert_eq!(journal.bundles(u64::MAX).await.unwrap(), []);
    let active = ActiveBundle {
        version: 3,
        digest: bundle_digest(3),
        activated_at: at(START + 3),
    };
    assert_eq!(view(&journal, Reads::default()).await.bundle, Some(active.clone()));
    journal.close().await;
    assert_eq!(view(&place.open().await, Reads::default()).await.bundle, Some(active));
}

async fn the_life_of_a_withdrawal_reads_back(place: Place) {
    let journal = with_bundle(&place).await;
    write(&journal, vec![statement("early", &["a", "b", "a"])], vec![])
        .await
        .unwrap();
    place.set_clock(START + 1);
    write(&journal, withdrawal("a"), vec![]).await.unwrap();
    place.set_clock(START + 2);
    let decision = EntryDigest::of(b"decision");
    let decided = Write::Decision {
        request: request("a"),
        decision,
    };
    write(&journal, vec![statement("late", &["a"]), decided], vec![])
        .await
        .unwrap();

    let record = view(&journal, of("a")).await.withdrawal.unwrap();
    assert_eq!(record.first_seen_at, at(START + 1));
    assert_eq!(record.first_bundle, bundle_digest(1));
    assert_eq!(record.last_decision, Some(decision));
    assert_eq!(record.decisions, 1);
    assert!(record.attempts.is_empty() && record.ended.is_none());
    let early_and_late = [statement_digest("early"), statement_digest("late")];
    assert_eq!(view(&journal, of("a")).await.about, early_and_late);
    // `b` was never seen, and people spoke about it all the same.
    assert_eq!(view(&journal, of("b")).await.about, early_and_late[..1]);
    let journaled = |name, millis| JournaledStatement {
        envelope: envelope(name),
        signer: signer(),
        first_seen_at: at(millis),
    };
    let both = [journaled("early", START), journaled("late", START + 2)];
    assert_eq!(journal.statements(request("a")).await.unwrap(), both);
    assert_eq!(journal.statements(request("b")).await.unwrap(), both[..1]);

    place.set_clock(START + 3);
    write(&journal, vec![attempt("a", 1, 0)], vec![]).await.unwrap();
    let pending = recorded("a", 1, 0, START + 3);
    let unfinished = Unfinished {
        request: request("a"),
        envelope: envelope("a"),
        attempt: pending.clone(),
        ended: None,
    };
    assert_eq!(journal.unfinished(Page::FIRST).await.unwrap(), [unfinished]);
    place.set_clock(START + 4);
    write(&journal, vec![attempt("a", 1, 0)], vec![]).await.unwrap();
    let renewed = recorded("a", 1, 0, START + 4);
    assert_eq!(
        view(&journal, of("a")).await.withdrawal.unwrap().attempts,
        std::slice::from_ref(&renewed)
    );

    let unstopped = Basis {
        bundle: Some(bundle_digest(1)),
        ended: None,
        statements: 2,
        freezes: 0,
        entries: BTreeMap::new(),
    };
    assert_eq!(
        journal.basis(request("a"), Vec::new()).await.unwrap(),
        Some(unstopped.clone())
    );
    assert_eq!(journal.basis(request("b"), Vec::new()).await.unwrap(), None);
    write(&journal, vec![signed("a", 1)], vec![]).await.unwrap();
    place.set_clock(START + 5);
    write(&journal, vec![ended(request("a"))], vec![]).await.unwrap();
    let stopped = Basis {
        ended: Some(Tag::WithdrawalCancelled),
        ..unstopped
    };
    assert_eq!(journal.basis(request("a"), Vec::new()).await.unwrap(), Some(stopped));
    // The first end stays.
    let rejected = Write::Ended {
        request: request("a"),
        tag: Tag::ApprovalRejected,
    };
    write(&journal, vec![rejected], vec![]).await.unwrap();
    assert_eq!(journal.unfinished(Page::FIRST).await.unwrap(), []);
    let finished = AttemptRecord {
        signed: Some(SignedAttempt {
            signatures: vec![RawSignature::Ecdsa([1; 64]), RawSignature::Ed25519([2; 64])],
            transaction: SignedTransaction {
                bytes: b"signed".to_vec(),
                txid: "0xabc".to_owned(),
            },
            recorded_at: at(START + 4),
        }),
        ..renewed
    };
    let record = view(&journal, of("a")).await.withdrawal.unwrap();
    assert_eq!(record.ended, Some(Tag::WithdrawalCancelled));
    assert_eq!(record.attempts, [finished]);
}

async fn lookups_name_owners_and_leave_out_the_unowned(place: Place) {
    let journal = with_bundle(&place).await;
    write(&journal, withdrawal("a"), vec![]).await.unwrap();
    write(&journal, vec![attempt("a", 1, 7)], vec![]).await.unwrap();
    let outpoint = ConflictKey::Outpoint {
        chain: "eip155:1".parse().unwrap(),
        txid: [9; 32],
        index: 1,
    };
    let seen = view(
        &journal,
        Reads {
            request: None,
            reference: Some((tenant(), reference("a"))),
            payments: vec![(tenant(), payment("a")), (tenant(), payment("b"))],
            conflict_keys: vec![account_nonce(7), account_nonce(8), outpoint],
            statements: vec![statement_digest("a"), statement_digest("b")],
            nonces: vec![(signer(), nonce_of("a")), (signer(), nonce_of("b"))],
            ..Reads::default()
        },
    )
    .await;
    let owner = request("a");
    assert_eq!(seen.reference_owner, Some(owner));
    assert_eq!(seen.payment_owners, BTreeMap::from([((tenant(), payment("a")), owner)]));
    assert_eq!(seen.conflict_owners, BTreeMap::from([(account_nonce(7), owner)]));
    assert_eq!(seen.next_nonces, BTreeMap::from([(account(), 8)]));
    assert_eq!(seen.statements, BTreeMap::from([(statement_digest("a"), at(START))]));
    let nonce_owner = BTreeMap::from([((signer(), nonce_of("a")), statement_digest("a"))]);
    assert_eq!(seen.nonce_owners, nonce_owner);

    let foreign = Reads {
        reference: Some(("other".parse().unwrap(), reference("a"))),
        payments: vec![("other".parse().unwrap(), payment("a"))],
        nonces: vec![("other".parse().unwrap(), nonce_of("a"))],
        ..Reads::default()
    };
    let seen = view(&journal, foreign).await;
    assert_eq!(
        (seen.reference_owner, seen.payment_owners.len(), seen.nonce_owners.len()),
        (None, 0, 0)
    );
}

async fn the_next_nonce_is_read_as_a_number(place: Place) {
    let journal = with_bundle(&place).await;
    write(&journal, withdrawal("a"), vec![]).await.unwrap();
    for (number, nonce) in [(1, 9), (2, 255), (3, 10), (4, 256), (5, 1 << 63), (6, 100)] {
        write(&journal, vec![attempt("a", number, nonce)], vec![])
            .await
            .unwrap();
    }
    let reads = Reads {
        conflict_keys: vec![account_nonce(0)],
        ..Reads::default()
    };
    assert_eq!(view(&journal, reads).await.next_nonces[&account()], (1 << 63) + 1);
}

/// The state: bundle 1, withdrawal `a` with attempt 1 (nonce 0) signed and attempt 2 (nonce 0) authorized; `b` without.
async fn the_schema_refuses_a_second_owner(place: Place) {
    let journal = with_bundle(&place).await;
    let mut writes = withdrawal("a");
    writes.extend(withdrawal("b"));
    writes.extend([attempt("a", 1, 0), signed("a", 1), attempt("a", 2, 0)]);
    write(&journal, writes, vec![]).await.unwrap();
    let with = |change: &dyn Fn(&mut Write), mut write: Write| {
        change(&mut write);
        vec![write]
    };
    let mut same_reference = withdrawal("c");
    if let Write::Withdrawal { reference: text, .. } = &mut same_reference[1] {
        *text = reference("a");
    }
    let taken_payment = with(
        &|write| {
            if let Write::Attempt { payments, .. } = write {
                *payments = vec![payment("a")];
            }
        },
        attempt("b", 1, 1),
    );
    let same_nonce = with(
        &|write| {
            if let Write::Statement { nonce, .. } = write {
                *nonce = nonce_of("a");
            }
        },
        statement("c", &[]),
    );
    let unknown_bundle = {
        let mut writes = withdrawal("c");
        if let Write::Withdrawal { bundle, .. } = &mut writes[1] {
            *bundle = bundle_digest(9);
        }
        writes
    };
    let cancelled = |name| ended(request(name));
    let cases: Vec<(&str, Vec<Write>, &str)> = vec![
        ("a statement twice", vec![statement("a", &[])], "UNIQUE"),
        ("a signer's nonce twice", same_nonce, "UNIQUE"),
        ("a reference twice", same_reference, "UNIQUE"),
        (
            "a withdrawal without its statement",
            withdrawal("c")[1..].to_vec(),
            "FOREIGN KEY",
        ),
        ("a withdrawal under an unknown bundle", unknown_bundle, "FOREIGN KEY"),
        ("a payment twice", taken_payment, "another withdrawal"),
        ("a conflict key twice", vec![attempt("b", 1, 0)], "another withdrawal"),
        ("an attempt behind a gap", vec![attempt("b", 2, 1)], "does not follow"),
        ("an attempt number zero", vec![attempt("b", 0, 1)], "CHECK"),
        ("an attempt of nobody", vec![attempt("c", 1, 1)], "FOREIGN KEY"),
        (
            "another transaction for an attempt",
            vec![attempt("a", 2, 1)],
            "another transaction",
        ),
        ("a renewal after signing", vec![attempt("a", 1, 0)], "signed"),
        ("signatures twice", vec![signed("a", 1)], "signed"),
        (
            "signatures of no attempt",
            vec![signed("b", 1)],
            "names what the journal does not hold",
        ),
        (
            "the cancel of nobody",
            vec![cancelled("c")],
            "names what the journal does not hold",
        ),
        (
            "a nonce without a next",
            vec![attempt("b", 1, u64::MAX)],
            "no next nonce",
        ),
        ("a bundle version twice", bundle(1), "UNIQUE"),
        ("a bundle version that falls", bundle(0), "does not follow"),
        (
            "a bundle without its activation",
            bundle(2)[1..].to_vec(),
            "FOREIGN KEY",
        ),
    ];
    let (entries, commits) = (all_entries(&journal).await, journal.stats().commits);
    for (what, writes, reason) in cases {
        let error = write(&journal, writes, vec![entry("never", &[])]).await.unwrap_err();
        let JournalError::NotCommitted(text) = &error else {
            panic!("{what}: {error}")
        };
        // The two databases name their constraints in different case.
        assert!(text.to_lowercase().contains(&reason.to_lowercase()), "{what}: {text}");
    }
    assert_eq!(all_entries(&journal).await, entries);
    assert_eq!(journal.stats().commits, commits);
    assert_eq!(journal.statements(request("c")).await.unwrap(), []);
    // The same cancel again is no contradiction, and keeps its time.
    write(&journal, vec![cancelled("b")], vec![]).await.unwrap();
    write(&journal, vec![cancelled("b")], vec![]).await.unwrap();
}

/// And until then it is the account's next nonce, whatever was claimed behind it.
async fn what_is_given_up_has_the_next_owner(place: Place) {
    let journal = with_bundle(&place).await;
    for name in ["a", "b", "c", "d"] {
        write(&journal, withdrawal(name), vec![]).await.unwrap();
    }
    let claims = vec![attempt("a", 1, 254), attempt("b", 1, 255), attempt("d", 1, 256)];
    write(&journal, claims, vec![]).await.unwrap();
    let give_up = |name: &str, nonces: &[u64]| {
        let keys = nonces.iter().copied().map(account_nonce).collect();
        vec![Write::GivenUp {
            request: request(name),
            keys,
        }]
    };
    let stand = async |journal: &SqlJournal| {
        let reads = Reads {
            conflict_keys: (254..258).map(account_nonce).collect(),
            ..Reads::default()
        };
        let seen = view(journal, reads).await;
        (seen.conflict_owners, seen.next_nonces[&account()])
    };
    let owners = |names: &[(&str, u64)]| -> BTreeMap<_, _> {
        let owned = names.iter().map(|(name, nonce)| (account_nonce(*nonce), request(name)));
        owned.collect()
    };
    assert_eq!(
        stand(&journal).await,
        (owners(&[("a", 254), ("b", 255), ("d", 256)]), 257)
    );
    // Only what is one's own, and once.
    for (name, nonces) in [("a", &[255][..]), ("a", &[254, 255]), ("c", &[257])] {
        let refused = write(&journal, give_up(name, nonces), vec![]).await;
        assert!(refused.is_err(), "{name} {nonces:?}: {refused:?}");
    }
    write(&journal, give_up("b", &[255]), vec![]).await.unwrap();
    assert!(write(&journal, give_up("b", &[255]), vec![]).await.is_err());
    write(&journal, give_up("a", &[254]), vec![]).await.unwrap();
    assert_eq!(stand(&journal).await, (owners(&[("d", 256)]), 254));
    journal.close().await;
    let journal = place.open().await;
    write(&journal, vec![attempt("c", 1, 254)], vec![]).await.unwrap();
    assert_eq!(stand(&journal).await, (owners(&[("c", 254), ("d", 256)]), 255));
    // The new owner's is as final as the first one's was.
    let error = write(&journal, vec![attempt("a", 2, 254)], vec![]).await.unwrap_err();
    assert!(error.to_string().contains("another withdrawal"), "{error}");
    write(&journal, vec![attempt("c", 2, 255)], vec![]).await.unwrap();
    assert_eq!(stand(&journal).await.1, 257);
    journal.close().await;
}

async fn a_history_holds_everything_with_proofs_to_one_checkpoint(place: Place) {
    let journal = with_bundle(&place).await;
    let mut expected = Vec::new();
    for round in 0..40 {
        let subjects: &[&str] = match round % 3 {
            0 => &["a"],
            1 => &["b"],
            _ => &["b", "a"],
        };
        let text = format!("entry {round}");
        if subjects.contains(&"a") {
            expected.push(text.clone().into_bytes());
        }
        let writes = if round == 0 { withdrawal("a") } else { Vec::new() };
        write(&journal, writes, vec![entry(&text, subjects)]).await.unwrap();
    }
    let history = journal.history(request("a")).await.unwrap().unwrap();
    assert_eq!(history.request.envelope, envelope("a"));
    let head = verified_head(&history.checkpoint);
    let bytes: Vec<_> = history.entries.iter().map(|entry| entry.bytes.clone()).collect();
    assert_eq!(bytes, expected);
    for entry in &history.entries {
        let proof: Vec<Hash> = entry.proof.iter().copied().map(Hash::from_bytes).collect();
        let proof = InclusionProof::try_from(proof).unwrap();
        let leaf = LeafHash::of(&entry.bytes).unwrap();
        head.verify_inclusion(entry.index, &leaf, &proof).unwrap();
        assert!(head.verify_inclusion(entry.index + 1, &leaf, &proof).is_err());
    }
    assert_log_is_whole(&journal).await;
}

async fn pages_are_bounded(place: Place) {
    let journal = with_bundle(&place).await;
    let names: Vec<String> = (0..5).map(|n| format!("w{n}")).collect();
    for (nonce, name) in names.iter().enumerate() {
        let mut writes = withdrawal(name);
        writes.push(attempt(name, 1, nonce as u64));
        write(&journal, writes, vec![]).await.unwrap();
    }
    let page = |offset, limit| journal.unfinished(Page { offset, limit });
    let requests = |page: Vec<Unfinished>| page.iter().map(|one| one.request).collect::<Vec<_>>();
    let expected: Vec<_> = names.iter().map(|name| request(name)).collect();
    assert_eq!(requests(page(0, u32::MAX).await.unwrap()), expected);
    assert_eq!(requests(page(3, 1).await.unwrap()), expected[3..4]);
    assert!(page(u64::MAX, 1).await.unwrap().is_empty());
    assert!(journal.entries(u64::MAX, 1).await.unwrap().is_empty());
    assert_eq!(journal.entries(0, 0).await.unwrap(), Vec::<Vec<u8>>::new());
    let many: Vec<_> = (0..crate::MAX_ENTRIES).map(|n| entry(&n.to_string(), &[])).collect();
    write(&journal, vec![], many.clone()).await.unwrap();
    write(&journal, vec![], many).await.unwrap();
    assert_eq!(journal.entries(0, u32::MAX).await.unwrap().len(), Page::MAX as usize);
    let too_many = vec![entry("x", &[]); crate::MAX_ENTRIES + 1];
    let error = write(&journal, vec![], too_many).await.unwrap_err();
    assert_eq!(error.tag(), Tag::JournalUnavailable);
    let too_large = entry(&"x".repeat(countersign_audit::MAX_ENTRY_BYTES + 1), &[]);
    assert!(write(&journal, vec![], vec![too_large]).await.is_err());
}

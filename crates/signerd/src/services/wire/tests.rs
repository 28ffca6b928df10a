use countersign_proto::{
    errors::tag_of,
    limits::{MAX_MESSAGE_CHARS, MAX_STATEMENT_BYTES},
};
use countersign_types::{BundleDigest, SignedTransaction};

use super::*;

fn reason(tag: Tag, rule: Option<&str>, message: &str) -> Reason {
    Reason {
        tag,
        rule: rule.map(|rule| rule.parse().unwrap()),
        message: message.to_owned(),
    }
}

fn signed() -> Answer {
    let transaction = SignedTransaction {
        bytes: vec![1, 2],
        txid: "0x12".to_owned(),
    };
    Answer::Signed {
        transaction,
        attempt: 3,
        decision: b"d".to_vec(),
    }
}

fn undecided() -> Answer {
    Answer::Pending {
        missing: vec![("treasury".parse().unwrap(), 2, 1)],
        not_before: Some(Timestamp::from_unix_millis(7)),
        reasons: vec![reason(Tag::ApprovalMissing, Some("two-of-three"), "1 of 2")],
        decision: b"d".to_vec(),
    }
}

fn refused() -> Answer {
    Answer::Denied {
        reasons: vec![reason(Tag::PermitUncovered, None, "x")],
        is_final: true,
        decision: Vec::new(),
    }
}

fn misunderstood() -> Answer {
    Answer::Malformed {
        reasons: vec![reason(Tag::TransactionMalformed, None, "x")],
        decision: Vec::new(),
    }
}

fn wire(tag: &str, rule: &str, message: &str) -> v1::Reason {
    v1::Reason {
        tag: tag.to_owned(),
        rule: rule.to_owned(),
        message: message.to_owned(),
    }
}

#[test]
fn each_answer_of_authorize_keeps_its_kind() {
    use authorize_response::Outcome;
    let outcome = |answer| authorize_response(answer).unwrap().outcome.unwrap();
    let expected = Signed {
        transaction: vec![1, 2],
        txid: "0x12".to_owned(),
        attempt: 3,
    };
    assert_eq!(outcome(signed()), Outcome::Signed(expected));
    let missing = v1::MissingApprovals {
        group: "treasury".to_owned(),
        required: 2,
        filled: 1,
    };
    let expected = Pending {
        missing: vec![missing],
        not_before_ms: 7,
        reasons: vec![wire("approval/missing", "two-of-three", "1 of 2")],
    };
    assert_eq!(outcome(undecided()), Outcome::Pending(expected));
    let expected = Denied {
        reasons: vec![wire("permit/uncovered", "", "x")],
        r#final: true,
    };
    assert_eq!(outcome(refused()), Outcome::Denied(expected));
    let expected = Malformed {
        reasons: vec![wire("transaction/malformed", "", "x")],
    };
    assert_eq!(outcome(misunderstood()), Outcome::Malformed(expected));
    assert_eq!(authorize_response(signed()).unwrap().decision, b"d");
    assert_eq!(authorize_response(undecided()).unwrap().decision, b"d");
}

#[test]
fn each_answer_of_evaluate_keeps_its_kind() {
    use evaluate_response::Outcome;
    let response = evaluate_response(Answer::Allowed {
        decision: b"d".to_vec(),
    })
    .unwrap();
    assert_eq!(
        (response.outcome, response.decision),
        (Some(Outcome::Allowed(Allowed {})), b"d".to_vec())
    );
    assert!(matches!(
        evaluate_response(undecided()).unwrap().outcome,
        Some(Outcome::Pending(_))
    ));
    assert!(matches!(
        evaluate_response(refused()).unwrap().outcome,
        Some(Outcome::Denied(_))
    ));
    assert!(matches!(
        evaluate_response(misunderstood()).unwrap().outcome,
        Some(Outcome::Malformed(_))
    ));
}

/// A signature never leaves through a preview, and an `allowed` never passes for one.
#[test]
fn an_answer_to_another_question_is_a_failure() {
    let refusals = [
        evaluate_response(signed()).unwrap_err(),
        authorize_response(Answer::Allowed { decision: Vec::new() }).unwrap_err(),
    ];
    for refusal in refusals {
        assert_eq!(tag_of(&refusal), Some(Tag::SignerUnavailable));
    }
}

#[test]
fn messages_of_reasons_are_cut() {
    let answer = Answer::Malformed {
        reasons: vec![reason(Tag::TransactionMalformed, None, &"é".repeat(5_000))],
        decision: Vec::new(),
    };
    let Some(authorize_response::Outcome::Malformed(cut)) = authorize_response(answer).unwrap().outcome else {
        panic!()
    };
    assert_eq!(cut.reasons[0].message.chars().count(), MAX_MESSAGE_CHARS);
}

fn file(path: &str, size: usize) -> BundleFile {
    BundleFile {
        path: path.to_owned(),
        data: vec![0; size],
    }
}

#[test]
fn files_of_a_bundle_are_bounded_and_distinct() {
    let good = vec![file("manifest.json", 1), file("policy.yaml", MAX_BUNDLE_BYTES - 1)];
    assert_eq!(parse_files(good).unwrap().len(), 2);
    let many = |count: usize| (0..count).map(|at| file(&at.to_string(), 0)).collect::<Vec<_>>();
    assert_eq!(parse_files(many(MAX_BUNDLE_FILES)).unwrap().len(), MAX_BUNDLE_FILES);
    let table = [
        (vec![], Tag::MessageInvalid),
        (many(MAX_BUNDLE_FILES + 1), Tag::MessageTooLarge),
        (vec![file("a", MAX_BUNDLE_BYTES), file("b", 1)], Tag::MessageTooLarge),
        (vec![file("a", 1), file("a", 1)], Tag::MessageInvalid),
        (vec![file("", 1)], Tag::MessageInvalid),
        (vec![file(&"a".repeat(MAX_PATH_BYTES + 1), 1)], Tag::MessageInvalid),
    ];
    for (files, tag) in table {
        assert_eq!(tag_of(&parse_files(files).unwrap_err()), Some(tag));
    }
}

#[test]
fn statements_are_bounded() {
    let statements = |count: usize, size: usize| vec![fields::statement(vec![b'{'; size]); count];
    assert_eq!(parse_statements(statements(4, 2), 4).unwrap(), vec![vec![b'{'; 2]; 4]);
    assert_eq!(parse_statements(Vec::new(), 4).unwrap().len(), 0);
    let table = [
        (statements(5, 2), Tag::MessageTooLarge),
        (statements(1, 0), Tag::MessageInvalid),
        (statements(1, MAX_STATEMENT_BYTES + 1), Tag::MessageTooLarge),
    ];
    for (statements, tag) in table {
        assert_eq!(tag_of(&parse_statements(statements, 4).unwrap_err()), Some(tag));
    }
}

#[test]
fn numbers_have_exact_edges() {
    for (count, parsed) in [(0, 256), (1, 1), (256, 256)] {
        assert_eq!(parse_entry_count(count).unwrap(), parsed);
    }
    assert_eq!(tag_of(&parse_entry_count(257).unwrap_err()), Some(Tag::MessageInvalid));
    parse_tree_size(0).unwrap();
    assert_eq!(tag_of(&parse_tree_size(1).unwrap_err()), Some(Tag::MessageInvalid));
}

#[test]
fn entries_carry_their_positions() {
    let listed = entries(7, vec![b"a".to_vec(), b"b".to_vec()]);
    let positions: Vec<_> = listed
        .iter()
        .map(|entry| (entry.index, entry.data.as_slice()))
        .collect();
    assert_eq!(positions, [(7, &b"a"[..]), (8, b"b")]);
    assert!(entries(u64::MAX, Vec::new()).is_empty());
}

fn stored(version: u64, size: usize) -> StoredBundle {
    StoredBundle {
        version,
        digest: BundleDigest::of(b"x"),
        files: BTreeMap::from([("manifest.json".to_owned(), vec![0; size])]),
        statements: vec![JournaledStatement {
            envelope: b"s".to_vec(),
            signer: "alice".parse().unwrap(),
            first_seen_at: Timestamp::from_unix_millis(8),
        }],
        activated_at: Timestamp::from_unix_millis(9),
    }
}

#[test]
fn a_page_of_bundles_fits_its_answer_and_is_never_empty() {
    let versions = |sizes: &[usize]| -> Vec<u64> {
        let bundles = (1..).zip(sizes).map(|(version, size)| stored(version, *size));
        bundles_page(bundles.collect())
            .0
            .into_iter()
            .map(|bundle| bundle.version)
            .collect()
    };
    let half = MAX_BUNDLE_BYTES;
    assert_eq!(versions(&[]), [0; 0]);
    assert_eq!(versions(&[1, 2, 3]), [1, 2, 3]);
    assert_eq!(versions(&[half, half]), [1]);
    assert_eq!(versions(&[2 * half, 1]), [1]);
    assert_eq!(versions(&[1; 70]).len(), MAX_BUNDLES);
    let (page, _) = bundles_page(vec![stored(4, 2)]);
    let expected = ActivatedBundle {
        version: 4,
        files: vec![file("manifest.json", 2)],
        statements: vec![SeenStatement {
            statement: Some(fields::statement(b"s".to_vec())),
            first_seen_at_ms: 8,
        }],
        activated_at_ms: 9,
    };
    assert_eq!(page, [expected]);
}

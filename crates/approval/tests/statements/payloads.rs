//! One valid payload of each kind, one change, and the field that the refusal names.

use countersign_approval::*;
use countersign_types::{AssetId, Destination, Tag};
use serde_json::{Value, json};

use crate::support::*;

/// The refusal's reason; the tag is the same for all.
pub(crate) fn refusal(kind: Kind, payload: impl AsRef<[u8]>) -> String {
    let error = Statement::parse(kind, payload.as_ref()).expect_err("the change is accepted");
    assert_eq!(error.tag(), Tag::StatementMalformed);
    let text = error.to_string();
    assert!(
        text.bytes().all(|b| (b' '..=b'~').contains(&b)) && text.len() < 1_000,
        "{text}"
    );
    text
}

pub(crate) fn text(statement: &Statement) -> String {
    String::from_utf8(statement.to_payload()).unwrap()
}

#[test]
fn every_kind_round_trips_and_has_one_text() {
    for statement in every_kind() {
        let (kind, payload) = (statement.body.kind(), text(&statement));
        assert_eq!(Statement::parse(kind, payload.as_bytes()), Ok(statement.clone()));
        let value: Value = serde_json::from_str(&payload).unwrap();
        let (opening, rest) = payload.split_once('\n').unwrap();
        let escaped = payload.replacen("\"deployment\"", "\"\\u0064eployment\"", 1);
        let variants = [
            ("compact", serde_json::to_string(&value).unwrap()),
            ("sorted keys", serde_json::to_string_pretty(&value).unwrap() + "\n"),
            ("no last line end", payload.trim_end().to_owned()),
            ("two line ends", format!("{payload}\n")),
            ("leading space", format!(" {payload}")),
            (
                "a screenful of empty lines",
                format!("{opening}{}{rest}", "\n".repeat(81)),
            ),
            ("escaped field name", escaped),
            ("escaped value", payload.replacen("T12:00", "T\\u00312:00", 1)),
            ("tab", payload.replace("  ", "\t")),
            ("carriage return", payload.replace('\n', "\r\n")),
            (
                "kind as an object",
                payload.replacen(
                    &format!("\"kind\": \"{kind}\""),
                    &format!("\"kind\": {{\"{kind}\": null}}"),
                    1,
                ),
            ),
            (
                "as an array",
                serde_json::to_string_pretty(&json!([
                    value["kind"],
                    value["deployment"],
                    value["epoch"],
                    value["nonce"],
                    value["issued_at"],
                    value["expires_at"],
                    value["body"]
                ]))
                .unwrap()
                    + "\n",
            ),
        ];
        for (variant, changed) in variants {
            assert_ne!(changed, payload, "{variant}");
            refusal(kind, changed);
        }
    }
}

#[test]
fn headers() {
    for statement in every_kind() {
        let (kind, payload) = (statement.body.kind(), text(&statement));
        let other = if kind == Kind::Cancel {
            Kind::Approval
        } else {
            Kind::Cancel
        };
        let table = [
            (
                format!("\"kind\": \"{kind}\""),
                format!("\"kind\": \"{other}\""),
                "`kind` is `",
            ),
            (
                format!("\"kind\": \"{kind}\""),
                "\"kind\": \"invoice\"".to_owned(),
                "unknown variant",
            ),
            ("  \"epoch\": 0,\n".to_owned(), String::new(), "missing field `epoch`"),
            (
                "  \"epoch\": 0,\n".to_owned(),
                "  \"epoch\": 0,\n  \"epoch\": 0,\n".to_owned(),
                "duplicate field `epoch`",
            ),
            (
                "  \"epoch\": 0,\n".to_owned(),
                "  \"epoch\": 0,\n  \"extra\": 0,\n".to_owned(),
                "unknown field `extra`",
            ),
            (
                "  \"epoch\": 0,\n".to_owned(),
                "  \"epoch\": 0,\n  \"\\u001b[2J\\u202e\": 0,\n".to_owned(),
                "unknown field `\\u{1b}[2J\\u{202e}`",
            ),
            ("\"epoch\": 0".to_owned(), "\"epoch\": -1".to_owned(), "invalid value"),
            ("\"epoch\": 0".to_owned(), "\"epoch\": 0.0".to_owned(), "invalid type"),
            ("\"epoch\": 0".to_owned(), "\"epoch\": \"0\"".to_owned(), "invalid type"),
            (
                "\"epoch\": 0".to_owned(),
                "\"epoch\": 18446744073709551616".to_owned(),
                "invalid",
            ),
            ("\"epoch\": 0".to_owned(), "\"epoch\": null".to_owned(), "invalid type"),
            ("sha256:".to_owned(), "sha512:".to_owned(), "a digest is written"),
            ("0001020304".to_owned(), "00010203".to_owned(), "is not a nonce"),
            ("0a0b0c".to_owned(), "0A0b0c".to_owned(), "is not a nonce"),
            (
                "T13:00:00Z".to_owned(),
                "T12:00:00Z".to_owned(),
                "must end after it starts",
            ),
            (
                "T13:00:00Z".to_owned(),
                "T11:59:59Z".to_owned(),
                "must end after it starts",
            ),
            (
                "2026-01-31T13".to_owned(),
                "2027-02-01T13".to_owned(),
                "valid for at most",
            ),
            ("T13:00:00Z".to_owned(), "T13:00:00.5Z".to_owned(), "a time is written"),
            (
                "T13:00:00Z".to_owned(),
                "T13:00:00+00:00".to_owned(),
                "a time is written",
            ),
            ("T13:00:00Z".to_owned(), "T13:00:00é".to_owned(), "printable ASCII"),
            (
                "\"body\": {".to_owned(),
                "\"body\": {\n    \"extra\": 0,".to_owned(),
                "unknown field `extra`",
            ),
        ];
        for (from, to, reason) in table {
            let changed = payload.replacen(&from, &to, 1);
            assert_ne!(changed, payload, "{kind}: {from}");
            let said = refusal(kind, changed);
            assert!(said.contains(reason), "{kind}: {to}: {said}");
        }
        for other in Kind::ALL.into_iter().filter(|other| *other != kind) {
            refusal(other, &payload);
        }
    }
}

#[test]
fn the_longest_validity_is_accepted_and_a_second_more_is_not() {
    let mut statement = cancel();
    statement.header.validity = validity("2026-01-31T12:00:00Z", "2027-02-01T12:00:00Z");
    assert_eq!(
        Statement::parse(Kind::Cancel, &statement.to_payload()),
        Ok(statement.clone())
    );
    statement.header.validity = validity("2026-01-31T12:00:00Z", "2027-02-01T12:00:01Z");
    assert!(refusal(Kind::Cancel, statement.to_payload()).contains("at most 366d"));
}

/// Every field of every object is required, even where its value may be null.
#[test]
fn no_field_may_be_missing() {
    for statement in every_kind() {
        let (kind, payload) = (statement.body.kind(), text(&statement));
        let lines: Vec<&str> = payload.lines().collect();
        let mut removed = 0;
        for n in 0..lines.len() {
            // A scalar field stands on one line.
            if !lines[n].contains("\": ") || lines[n].ends_with('{') || lines[n].ends_with('[') {
                continue;
            }
            let mut kept = lines.clone();
            kept.remove(n);
            let mut changed = kept.join("\n") + "\n";
            if !lines[n].ends_with(',') {
                let last = kept[n - 1];
                changed = changed.replacen(
                    &format!("{last}\n{}", kept[n]),
                    &format!("{}\n{}", last.trim_end_matches(','), kept[n]),
                    1,
                );
            }
            assert!(serde_json::from_str::<Value>(&changed).is_ok(), "{changed}");
            refusal(kind, &changed);
            removed += 1;
        }
        assert!(removed >= 8, "{kind}: {removed} fields");
    }
}

/// A cancel without a ceiling has no field for one: cancels from before there were ceilings keep their text.
#[test]
fn a_cancel_has_a_fee_ceiling_or_no_such_field() {
    let Body::Cancel(body) = cancel().body else { panic!() };
    let with = of(Body::Cancel(Cancel {
        fee_ceiling: Some(fee_ceiling()),
        ..body
    }));
    let payload = text(&with);
    let written = "    \"fee_ceiling\": {\n      \"asset\": \"eip155:31337/slip44:60\",\n      \"amount\": \"420000000000000\"\n    },\n";
    assert!(payload.contains(written), "{payload}");
    assert_eq!(Statement::parse(Kind::Cancel, payload.as_bytes()), Ok(with));
    assert_eq!(payload.replace(written, ""), text(&cancel()));
    let null = payload.replace(written, "    \"fee_ceiling\": null,\n");
    assert!(refusal(Kind::Cancel, null).contains("not written in its one form"));
}

fn request_with(change: impl FnOnce(&mut Request)) -> Statement {
    let Body::Request(mut body) = request().body else {
        panic!()
    };
    change(&mut body);
    of(Body::Request(body))
}

#[test]
fn requests() {
    type Change = fn(&mut Request);
    let table: [(&str, Change); 14] = [
        ("needs at least one payment or effect", |r| r.payments.clear()),
        ("`payments` has 257 items", |r| {
            r.payments = vec![r.payments[0].clone(); 257]
        }),
        ("payment reference `INV-2026/0001` stands twice", |r| {
            r.payments[1].reference = r.payments[0].reference.clone()
        }),
        ("`INV-2026/0001` is not on network `eip155:31337`", |r| {
            r.payments[0].asset = "eip155:1/slip44:60".parse::<AssetId>().unwrap()
        }),
        ("`INV-2026/0002` is not on network `eip155:31337`", |r| {
            r.payments[1].destination = "eip155:1:0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
                .parse::<Destination>()
                .unwrap();
        }),
        ("`INV-2026/0001` is not on network `eip155:1`", |r| {
            r.network = "eip155:1".parse().unwrap()
        }),
        ("fee ceiling's asset is not on network", |r| {
            r.fee_ceiling.asset = "eip155:1/slip44:60".parse().unwrap()
        }),
        ("`effects` has 65 items", |r| r.effects = vec!["x".to_owned(); 65]),
        ("an effect is one line", |r| r.effects = vec![String::new()]),
        ("an effect is one line", |r| r.effects = vec!["a\nb".to_owned()]),
        ("an effect is one line", |r| r.effects = vec!["a\tb".to_owned()]),
        ("an effect is one line", |r| r.effects = vec!["a\u{1b}[2J".to_owned()]),
        ("an effect is one line", |r| r.effects = vec!["x".repeat(4_097)]),
        // The escape passes as ASCII in the payload; the text behind it does not.
        ("printable ASCII", |r| r.effects = vec!["a\u{202e}b".to_owned()]),
    ];
    for (reason, change) in table {
        let said = refusal(Kind::Request, request_with(change).to_payload());
        assert!(said.contains(reason), "{reason}: {said}");
    }
    let escaped = text(&request_with(|r| r.effects = vec!["aXb".to_owned()])).replace("aXb", "a\\u202eb");
    assert!(refusal(Kind::Request, escaped).contains("an effect is one line"));
}

#[test]
fn requests_at_their_bounds() {
    let many = request_with(|request| {
        let payment = request.payments[0].clone();
        request.payments = (0..MAX_PAYMENTS)
            .map(|n| Payment {
                reference: format!("p{n}").parse().unwrap(),
                ..payment.clone()
            })
            .collect();
        request.effects = vec!["x".repeat(900); MAX_REQUEST_EFFECTS];
    });
    assert_eq!(Statement::parse(Kind::Request, &many.to_payload()), Ok(many.clone()));
    assert!(seal(&many, &alice()).is_ok());
    let long = request_with(|request| request.effects = vec!["x".repeat(4_096); MAX_REQUEST_EFFECTS]);
    assert!(matches!(
        seal(&long, &alice()),
        Err(SealError::Statement(StatementError::TooLarge(_)))
    ));
    let effects_only = request_with(|request| {
        request.payments.clear();
        request.effects = vec!["delayed-authorization through permit2".to_owned()];
    });
    assert_eq!(
        Statement::parse(Kind::Request, &effects_only.to_payload()),
        Ok(effects_only)
    );
    let attributes = |count: usize| {
        let of = |n: usize| (format!("a{n}").parse().unwrap(), "x".parse().unwrap());
        request_with(|request| request.attributes = (0..count).map(of).collect())
    };
    let most = attributes(MAX_ATTRIBUTES);
    assert_eq!(Statement::parse(Kind::Request, &most.to_payload()), Ok(most));
    let more = refusal(Kind::Request, attributes(MAX_ATTRIBUTES + 1).to_payload());
    assert!(more.contains("`attributes` has 17 items; at most 16"), "{more}");
    let template =
        request_with(|request| request.transaction = TransactionBinding::Template(TemplateKind::EvmNonceAndFee));
    assert!(text(&template).contains("\"template\": \"evm-nonce-and-fee\""));
    assert_eq!(Statement::parse(Kind::Request, &template.to_payload()), Ok(template));
}

#[test]
fn requests_as_json() {
    let payload = text(&request());
    let digest = payload
        .lines()
        .find(|line| line.contains("\"exact\""))
        .unwrap()
        .trim()
        .to_owned();
    let table = [
        (
            "\"amount\": \"1500000000000000000\"".to_owned(),
            "\"amount\": 1500000000000000000".to_owned(),
            "invalid type",
        ),
        (
            "\"1500000000000000000\"".to_owned(),
            "\"1.5\"".to_owned(),
            "an amount is",
        ),
        (
            "\"1500000000000000000\"".to_owned(),
            "\"01500000000000000000\"".to_owned(),
            "an amount is",
        ),
        (
            "\"1500000000000000000\"".to_owned(),
            "\"-1\"".to_owned(),
            "an amount is",
        ),
        (
            "\"1500000000000000000\"".to_owned(),
            format!("\"1{}\"", "0".repeat(78)),
            "256 bits",
        ),
        (
            "\"tenant\": \"main\"".to_owned(),
            "\"tenant\": \"Main\"".to_owned(),
            "tenant id",
        ),
        (
            "\"tenant\": \"main\"".to_owned(),
            "\"tenant\": \"\"".to_owned(),
            "tenant id is empty",
        ),
        (
            "\"subject\": null".to_owned(),
            "\"subject\": \"\"".to_owned(),
            "subject id is empty",
        ),
        (
            digest.clone(),
            format!("{digest},\n      \"template\": \"evm-nonce-and-fee\""),
            "expected",
        ),
        (digest.clone(), format!("{digest},\n      {digest}"), "expected"),
        (digest.clone(), "\"anything\": 1".to_owned(), "unknown variant"),
        (
            digest.clone(),
            "\"template\": \"anything\"".to_owned(),
            "unknown variant",
        ),
        (digest.clone(), String::new(), "expected"),
        (
            "\"asset\"".to_owned(),
            "\"asset_id\"".to_owned(),
            "unknown field `asset_id`",
        ),
    ];
    for (from, to, reason) in table {
        let changed = payload.replacen(&from, &to, 1);
        assert_ne!(changed, payload, "{from}");
        let said = refusal(Kind::Request, changed);
        assert!(said.contains(reason), "{to}: {said}");
    }
}

#[test]
fn approvals_and_rejections() {
    let Body::Approval(approval) = approval().body else {
        panic!()
    };
    let Body::Rejection(rejection) = rejection().body else {
        panic!()
    };
    let approved = |items: Vec<ApprovalItem>| of(Body::Approval(Approval { items })).to_payload();
    let rejected = |items: Vec<RejectionItem>| of(Body::Rejection(Rejection { items })).to_payload();
    let numbered = |n: usize| withdrawal(&n.to_string());
    let approvals = |count| {
        (0..count)
            .map(|n| ApprovalItem {
                withdrawal: numbered(n),
                ..approval.items[0].clone()
            })
            .collect()
    };
    let rejections = |count| {
        (0..count)
            .map(|n| RejectionItem {
                withdrawal: numbered(n),
                ..rejection.items[0].clone()
            })
            .collect()
    };
    let says = |reason: String| {
        let item = RejectionItem {
            reason,
            ..rejection.items[0].clone()
        };
        rejected(vec![item])
    };
    for (kind, payload, reason) in [
        (Kind::Approval, approved(vec![]), "`items` has 0 items"),
        (Kind::Rejection, rejected(vec![]), "`items` has 0 items"),
        (Kind::Approval, approved(approvals(101)), "`items` has 101 items"),
        (Kind::Rejection, rejected(rejections(101)), "`items` has 101 items"),
        (
            Kind::Approval,
            approved(vec![approval.items[0].clone(); 2]),
            "stands twice",
        ),
        (
            Kind::Rejection,
            rejected(vec![rejection.items[0].clone(); 2]),
            "stands twice",
        ),
        (
            Kind::Rejection,
            says("x".repeat(513)),
            "a reason is one line of at most 512",
        ),
        (Kind::Rejection, says("a\nb".to_owned()), "a reason is one line"),
        (
            Kind::Rejection,
            says("\u{1b}]0;owned\u{7}".to_owned()),
            "a reason is one line",
        ),
        (Kind::Rejection, says("nicht für uns".to_owned()), "printable ASCII"),
    ] {
        let said = refusal(kind, payload);
        assert!(said.contains(reason), "{reason}: {said}");
    }
    assert!(Statement::parse(Kind::Approval, &approved(approvals(100))).is_ok());
    assert!(Statement::parse(Kind::Rejection, &rejected(rejections(100))).is_ok());
    assert!(Statement::parse(Kind::Rejection, &says("x".repeat(512))).is_ok());
    assert!(Statement::parse(Kind::Rejection, &says(String::new())).is_ok());
    let payload = text(&of(Body::Approval(approval)));
    for (from, to, reason) in [
        ("effects/v1\\n", "effects/v2\\n", "an effects text is"),
        ("wallet eth-hot\\n", "wallet eth-hot\\u202e\\n", "an effects text is"),
        ("wallet eth-hot\\n", "wallet eth-hot\\u001b[2J\\n", "an effects text is"),
        ("\"wd_", "\"WD_", "is not a withdrawal id"),
        ("\"policy\": \"sha256:", "\"policy\": \"", "a digest is written"),
    ] {
        let changed = payload.replacen(from, to, 1);
        assert_ne!(changed, payload, "{from}");
        let said = refusal(Kind::Approval, changed);
        assert!(said.contains(reason), "{to}: {said}");
    }
}

/// Of every kind that says why.
#[test]
fn reasons_are_one_printable_line() {
    let mut kinds = 0;
    for statement in every_kind() {
        let kind = statement.body.kind();
        let payload: Value = serde_json::from_str(&text(&statement)).unwrap();
        if payload["body"]["reason"].is_null() {
            continue;
        }
        kinds += 1;
        let written = format!("\"reason\": {}", payload["body"]["reason"]);
        let says =
            |reason: &str| text(&statement).replacen(&written, &format!("\"reason\": {}", Value::from(reason)), 1);
        for reason in [&*"x".repeat(513), "a\nb", "\u{1b}[2J", "\u{7f}", "für uns"] {
            refusal(kind, says(reason));
        }
        for reason in ["", "it's ~ok", &*"x".repeat(512)] {
            assert!(
                Statement::parse(kind, says(reason).as_bytes()).is_ok(),
                "{kind} {reason:?}"
            );
        }
    }
    assert!(
        kinds >= 5,
        "cancel, freeze, thaw, replace and veto at least, not {kinds}"
    );
}

#[test]
fn activations() {
    let Body::Activation(body) = activation().body else {
        panic!()
    };
    let read = |change: fn(&mut Activation)| {
        let mut body = body.clone();
        change(&mut body);
        Statement::parse(Kind::Activation, &of(Body::Activation(body)).to_payload()).map_err(|error| error.to_string())
    };
    assert!(read(|a| a.not_before = Some("2026-02-01T00:00:00Z".parse().unwrap())).is_ok());
    assert!(read(|a| (a.version, a.previous) = (1, None)).is_ok());
    assert!(read(|a| a.version = u64::MAX).is_ok());
    assert!(
        read(|a| a.version = 1)
            .unwrap_err()
            .contains("version 1 has no previous bundle")
    );
    assert!(
        read(|a| a.previous = None)
            .unwrap_err()
            .contains("every other version has one")
    );
    assert!(read(|a| a.version = 0).unwrap_err().contains("versions start at 1"));
    assert!(
        read(|a| (a.version, a.previous) = (0, None))
            .unwrap_err()
            .contains("versions start at 1")
    );
}

/// Much in 256 KiB: refused in a moment, without deep recursion.
#[test]
fn hostile_sizes() {
    let room = MAX_ENVELOPE_BYTES / 2;
    for payload in [
        "[".repeat(room),
        "{\"body\":".repeat(room / 8),
        "\"".repeat(room),
        "9".repeat(room),
    ] {
        refusal(Kind::Approval, payload);
    }
    let header = text(&approval()).split("\"body\"").next().unwrap().to_owned();
    let items = |item: &str| {
        format!(
            "{header}\"body\": {{\"items\": [{}{item}]}}}}",
            format!("{item},").repeat(room / (item.len() + 1))
        )
    };
    refusal(Kind::Approval, items("{}"));
    refusal(Kind::Approval, items("[]"));
    let reason = format!("{{\"withdrawal\":\"{}\",\"reason\":\"\"}}", withdrawal("one"));
    refusal(
        Kind::Rejection,
        items(&reason).replacen("\"approval\"", "\"rejection\"", 1),
    );
}

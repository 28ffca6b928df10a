//! One valid observation, one change, and what the refusal says.

use countersign_approval::*;

use crate::{
    payloads::{refusal, text},
    support::*,
};

#[test]
fn observations() {
    type Change = fn(&mut Observation);
    let Body::Observation(valid) = observation().body else {
        panic!()
    };
    let table: [(&str, Change); 14] = [
        ("`facts` has 0 items", |o| o.facts.clear()),
        ("`facts` has 65 items", |o| o.facts = vec![o.facts[2].clone(); 65]),
        (
            "lookup-table `solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1:8qbHbw2BbbTHBW1sbeqakYXVKRQM8Ne7pLK7m6CVfeR` stands twice",
            |o| o.facts.push(o.facts[0].clone()),
        ),
        ("stands twice", |o| {
            let ObservedFact::Expired { transaction, .. } = o.facts[2] else {
                panic!()
            };
            let ObservedFact::Mined { transaction: mined, .. } = &mut o.facts[4] else {
                panic!()
            };
            *mined = transaction;
        }),
        ("can land until height 300000000 has not expired at 300000000", |o| {
            let ObservedFact::Expired { last_valid_height, .. } = &mut o.facts[2] else {
                panic!()
            };
            *last_valid_height += 1;
        }),
        ("has not expired at 1", |o| o.height = 1),
        ("names another network than `eip155:1`", |o| {
            o.network = "eip155:1".parse().unwrap()
        }),
        ("has 0 addresses; 1 to 256", |o| {
            let ObservedFact::LookupTable { addresses, .. } = &mut o.facts[0] else {
                panic!()
            };
            addresses.clear();
        }),
        ("has 257 addresses; 1 to 256", |o| {
            let ObservedFact::LookupTable { addresses, .. } = &mut o.facts[0] else {
                panic!()
            };
            *addresses = vec![[1; 32]; 257];
        }),
        (
            "nonce-account `solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1:CktRuQ2mttgRGkXJtyksdKHjUdc2C4TgDzyB98oEzy8` names another",
            |o| {
                let ObservedFact::NonceAccount { authority, .. } = &mut o.facts[1] else {
                    panic!()
                };
                *authority = "eip155:1:0x70997970C51812dc3A010C7d01b50e0d17dc79C8".parse().unwrap();
            },
        ),
        ("names another network", |o| {
            let ObservedFact::Spent { conflict_key, .. } = &mut o.facts[3] else {
                panic!()
            };
            *conflict_key = "account-nonce eip155:1:0x70997970C51812dc3A010C7d01b50e0d17dc79C8 5"
                .parse()
                .unwrap();
        }),
        ("a txid has 1 to 128", |o| {
            let ObservedFact::Spent { txid, .. } = &mut o.facts[3] else {
                panic!()
            };
            txid.clear();
        }),
        ("a txid has 1 to 128", |o| {
            let ObservedFact::Spent { txid, .. } = &mut o.facts[3] else {
                panic!()
            };
            *txid = "x".repeat(129);
        }),
        ("a txid has 1 to 128", |o| {
            let ObservedFact::Mined { txid, .. } = &mut o.facts[4] else {
                panic!()
            };
            *txid = "0x 1".to_owned();
        }),
    ];
    for (reason, change) in table {
        let mut body = valid.clone();
        change(&mut body);
        let said = refusal(Kind::Observation, of(Body::Observation(body)).to_payload());
        assert!(said.contains(reason), "{reason}: {said}");
    }
    let payload = text(&observation());
    let (hex, short) = ("01".repeat(32), "01".repeat(31));
    for (from, to, reason) in [
        (hex.as_str(), "zz", "64 lower-case hex"),
        (hex.as_str(), short.as_str(), "64 lower-case hex"),
        ("\"succeeded\"", "\"dropped\"", "unknown variant"),
        ("\"expired\"", "\"gone\"", "unknown variant"),
        ("\"last_valid_height\"", "\"height\"", "unknown field"),
        ("nonce-account solana", "nonce solana", "a conflict key is written"),
        ("\"sequence\": 7", "\"sequence\": -7", "invalid value"),
    ] {
        let changed = payload.replacen(from, to, 1);
        assert_ne!(changed, payload, "{from}");
        let said = refusal(Kind::Observation, changed);
        assert!(said.contains(reason), "{to}: {said}");
    }
    let mut full = valid.clone();
    full.facts = (0..9)
        .map(|n| ObservedFact::LookupTable {
            account: format!("{SOLANA}:table{n}").parse().unwrap(),
            addresses: vec![[n; 32]; 256],
        })
        .collect();
    assert!(seal(&of(Body::Observation(full)), &bot()).is_ok());
}

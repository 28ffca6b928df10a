//! One valid statement of each kind, and the roster of the people who sign them.

use countersign_approval::*;
use countersign_types::*;

use crate::soft::SoftKey;

pub(crate) const TOKEN: &str = "eip155:31337/erc20:0x5FbDB2315678afecb367f032d93F642f64180aa3";
pub(crate) const EFFECTS: &str = "effects/v1
network eip155:31337
wallet eth-hot
transfer 1500000000000000000 eip155:31337/slip44:60 (1.5 ETH) to eip155:31337:0x70997970C51812dc3A010C7d01b50e0d17dc79C8
fee at most 420000000000000 eip155:31337/slip44:60 (0.00042 ETH)
";

pub(crate) fn header() -> Header {
    Header {
        deployment: GenesisHash::of(b"abc"),
        epoch: 0,
        nonce: "000102030405060708090a0b0c0d0e0f".parse().unwrap(),
        validity: validity("2026-01-31T12:00:00Z", "2026-01-31T13:00:00Z"),
    }
}

pub(crate) fn validity(issued_at: &str, expires_at: &str) -> Validity {
    Validity::new(issued_at.parse().unwrap(), expires_at.parse().unwrap()).unwrap()
}

pub(crate) fn of(body: Body) -> Statement {
    Statement { header: header(), body }
}

pub(crate) fn fee_ceiling() -> FeeCeiling {
    FeeCeiling {
        asset: "eip155:31337/slip44:60".parse().unwrap(),
        amount: Amount::from_base_units(420_000_000_000_000),
    }
}

pub(crate) fn withdrawal(name: &str) -> WithdrawalId {
    WithdrawalId::of(RequestDigest::of(name.as_bytes()))
}

pub(crate) fn request() -> Statement {
    let destination: Destination = "eip155:31337:0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
        .parse()
        .unwrap();
    let ether = Payment {
        reference: "INV-2026/0001".parse().unwrap(),
        subject: Some("customer:42".parse().unwrap()),
        asset: "eip155:31337/slip44:60".parse().unwrap(),
        amount: Amount::from_base_units(1_500_000_000_000_000_000),
        destination: destination.clone(),
    };
    let token = Payment {
        reference: "INV-2026/0002".parse().unwrap(),
        subject: None,
        asset: TOKEN.parse().unwrap(),
        amount: Amount::MAX,
        destination,
    };
    of(Body::Request(Box::new(Request {
        tenant: "main".parse().unwrap(),
        reference: "payout-7".parse().unwrap(),
        wallet: "eth-hot".parse().unwrap(),
        network: "eip155:31337".parse().unwrap(),
        payments: vec![ether, token],
        effects: vec![],
        fee_ceiling: fee_ceiling(),
        transaction: TransactionBinding::Exact(TransactionDigest::of(b"abc")),
        attributes: std::collections::BTreeMap::new(),
    })))
}

pub(crate) fn approval() -> Statement {
    let item = |name| ApprovalItem {
        withdrawal: withdrawal(name),
        effects: EffectsText::parse(EFFECTS).unwrap(),
        fee_ceiling: fee_ceiling(),
        policy: PolicyDigest::of(b"abc"),
    };
    of(Body::Approval(Approval {
        items: vec![item("one"), item("two")],
    }))
}

pub(crate) fn rejection() -> Statement {
    let item = |name| RejectionItem {
        withdrawal: withdrawal(name),
        reason: "the customer said: \"not me\"".to_owned(),
    };
    of(Body::Rejection(Rejection {
        items: vec![item("one"), item("two")],
    }))
}

pub(crate) fn cancel() -> Statement {
    of(Body::Cancel(Cancel {
        withdrawal: withdrawal("one"),
        fee_ceiling: None,
        reason: "sent twice by the pipeline".to_owned(),
    }))
}

pub(crate) fn activation() -> Statement {
    of(Body::Activation(Activation {
        bundle: BundleDigest::of(b"abc"),
        version: 2,
        previous: Some(BundleDigest::of(b"before")),
        not_before: None,
    }))
}

pub(crate) const SOLANA: &str = "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1";

pub(crate) fn observation() -> Statement {
    let account = |name: &str| format!("{SOLANA}:{name}").parse::<Destination>().unwrap();
    let facts = vec![
        ObservedFact::LookupTable {
            account: account("8qbHbw2BbbTHBW1sbeqakYXVKRQM8Ne7pLK7m6CVfeR"),
            addresses: vec![[1; 32], [2; 32]],
        },
        ObservedFact::NonceAccount {
            account: account("CktRuQ2mttgRGkXJtyksdKHjUdc2C4TgDzyB98oEzy8"),
            authority: account("GgBaCs3NCBuZN12kCJgAW63ydqohFkHEdfdEXBPzLHq"),
            value: [3; 32],
        },
        ObservedFact::Expired {
            transaction: TransactionDigest::of(b"abc"),
            last_valid_height: 299_999_999,
        },
        ObservedFact::Spent {
            conflict_key: format!(
                "nonce-account {SOLANA}:CktRuQ2mttgRGkXJtyksdKHjUdc2C4TgDzyB98oEzy8 {}",
                "04".repeat(32)
            )
            .parse()
            .unwrap(),
            txid: "5h6xBEauJ3PK6SWCZ1PGjBvj8vDdWG3KpwATGy1ARAXFSDwt8GFXM7W5Ncn16wmqokgpiKRLuS83KUxyZyv2sUYv".to_owned(),
            outcome: ObservedOutcome::Succeeded,
        },
        ObservedFact::Mined {
            transaction: TransactionDigest::of(b"def"),
            txid: "2AXDGYSE4f2sz7tvMMzyHvUfcoJmxudvdhBcmiUSo6iu".to_owned(),
            outcome: ObservedOutcome::Failed,
        },
    ];
    of(Body::Observation(Observation {
        network: SOLANA.parse().unwrap(),
        sequence: 7,
        height: 300_000_000,
        facts,
    }))
}

pub(crate) fn freeze() -> Statement {
    of(Body::Freeze(Freeze {
        scope: FreezeScope::Wallet("eth-hot".parse().unwrap()),
        reason: "a laptop was stolen".to_owned(),
    }))
}

pub(crate) fn thaw() -> Statement {
    of(Body::Thaw(Thaw {
        freeze: Freeze::id(StatementDigest::of(b"abc")),
        reason: "the laptop was found".to_owned(),
    }))
}

pub(crate) fn replace() -> Statement {
    of(Body::Replace(Replace {
        withdrawal: withdrawal("one"),
        fee_ceiling: FeeCeiling {
            asset: "eip155:1/slip44:60".parse().unwrap(),
            amount: Amount::from(3_000_000_000_000_000_u128),
        },
        reason: "stuck since noon".to_owned(),
    }))
}

pub(crate) fn veto() -> Statement {
    of(Body::Veto(Veto {
        bundle: BundleDigest::of(b"next"),
        previous: BundleDigest::of(b"previous"),
        reason: "nobody told us".to_owned(),
    }))
}

const RECIPIENT: &str = "eip155:31337:0x70997970C51812dc3A010C7d01b50e0d17dc79C8";

pub(crate) fn quote() -> Statement {
    of(Body::Price(Quote {
        asset: "eip155:31337/slip44:60".parse().unwrap(),
        currency: Currency::Usd,
        price: "2500.25".parse().unwrap(),
        sequence: 7,
        observed_at: "2026-01-31T11:59:58Z".parse().unwrap(),
    }))
}

pub(crate) fn screening() -> Statement {
    of(Body::Screening(Screening {
        check: AttestationKind::TravelRule,
        withdrawal: withdrawal("one"),
        destination: RECIPIENT.parse().unwrap(),
        asset: "eip155:31337/slip44:60".parse().unwrap(),
        amount: Amount::from_base_units(1_500_000_000_000_000_000),
        result: ScreeningResult::Pass,
        sequence: 1,
        screened_at: "2026-01-31T11:59:00Z".parse().unwrap(),
    }))
}

pub(crate) fn book_entry() -> Statement {
    of(Body::AddressBook(BookEntry {
        tenant: "main".parse().unwrap(),
        subject: "customer:42".parse().unwrap(),
        destination: RECIPIENT.parse().unwrap(),
        entry: BookState::Registered {
            at: "2026-01-01T00:00:00Z".parse().unwrap(),
        },
        sequence: 3,
    }))
}

pub(crate) fn every_kind() -> [Statement; 13] {
    [
        request(),
        approval(),
        rejection(),
        cancel(),
        activation(),
        observation(),
        freeze(),
        thaw(),
        replace(),
        quote(),
        screening(),
        book_entry(),
        veto(),
    ]
}

pub(crate) fn alice() -> SoftKey {
    SoftKey::ed25519(1)
}
/// Her other key.
pub(crate) fn alice_backup() -> SoftKey {
    SoftKey::p256(2)
}
pub(crate) fn bob() -> SoftKey {
    SoftKey::p256(3)
}
pub(crate) fn carol() -> SoftKey {
    SoftKey::ed25519(4).security_key()
}
pub(crate) fn dave() -> SoftKey {
    SoftKey::p256(5).security_key()
}
pub(crate) fn bot() -> SoftKey {
    SoftKey::ed25519(6)
}
pub(crate) fn stranger() -> SoftKey {
    SoftKey::ed25519(9)
}

pub(crate) fn ids(names: &[&str]) -> Vec<PrincipalId> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

pub(crate) fn person(name: &str, keys: &[SoftKey]) -> PersonRecord {
    PersonRecord {
        id: name.parse().unwrap(),
        keys: keys.iter().map(SoftKey::line).collect(),
    }
}

pub(crate) fn roster_file() -> RosterFile {
    RosterFile {
        people: vec![
            person("alice", &[alice(), alice_backup()]),
            person("bob", &[bob()]),
            person("carol", &[carol()]),
            person("dave", &[dave()]),
        ],
        services: vec![ServiceRecord {
            id: "bot".parse().unwrap(),
            operators: ids(&["alice"]),
            keys: vec![bot().plain_id()],
        }],
        groups: vec![GroupRecord {
            id: "treasury".parse().unwrap(),
            members: ids(&["bob", "carol", "dave"]),
        }],
        initiators: vec![InitiatorRecord {
            tenant: "main".parse().unwrap(),
            principals: ids(&["alice", "bot"]),
        }],
        admins: AdminsRecord {
            threshold: 2,
            members: ids(&["alice", "bob", "carol"]),
            time_lock: None,
        },
        officers: ids(&["dave"]),
        observers: vec![],
        thaw_delay: None,
        price_sources: vec![],
    }
}

pub(crate) fn roster() -> Roster {
    Roster::new(roster_file()).unwrap()
}

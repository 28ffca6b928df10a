//! Which nonces a transaction claims, in which order, and what it waits for; and of which template bytes are.

use crate::support;

use countersign_approval::{Body, FeeCeiling, Payment, Request, TemplateKind, TransactionBinding, verify};
use countersign_decision::testing::{Ask, STRANGER, World, bundle_files, sealed};
use countersign_decision::{Case, Decision, LedgerFacts, Outcome, Reading, decide};
use countersign_types::{ChainFacts, ChainId, Duration, Effect, Tag, TransactionDigest, WalletId};
use support::{Fixture, assert_allowed, assert_denied, assert_pending, assert_round_trips, later, tags};

type Change = fn(&mut Fixture);

fn at(nonce: u64) -> Ask {
    Ask {
        nonce,
        ..Ask::default()
    }
}

/// A nonce ahead of its turn is approved and waits; everything else about it is decided meanwhile.
#[test]
fn a_nonce_ahead_waits() {
    let gap = Tag::ConflictKeyGap;
    let cases: Vec<(&str, Change, &[Tag])> = vec![
        ("the first nonce is skipped", |f| f.pay(&at(1)), &[Tag::ConflictKeyGap]),
        (
            "far ahead",
            |f| {
                f.pay(&at(1_000));
                f.ledger.next_nonces.insert(f.world.wallet_address(), 7);
            },
            &[Tag::ConflictKeyGap],
        ),
        (
            "one approval is missing",
            |f| {
                f.pay(&at(1));
                f.approve(&["alice"]);
            },
            &[Tag::ApprovalMissing, Tag::ConflictKeyGap],
        ),
    ];
    for (what, change, expected) in cases {
        let mut fixture = Fixture::new();
        change(&mut fixture);
        let decision = fixture.decide();
        assert_pending(what, &decision, expected);
        assert!(!decision.entry.seats.is_empty() && decision.effects.is_some(), "{what}");
        assert_round_trips(&decision);
    }
    let mut fixture = Fixture::new();
    fixture.pay(&Ask {
        destination: STRANGER.to_owned(),
        ..at(1)
    });
    assert_denied("denied at once", &fixture.decide(), Tag::PermitUncovered);
    let mut fixture = Fixture::new();
    fixture.pay(&at(1));
    let rejection = fixture.world.rejection("carol", &fixture.request);
    fixture.say(rejection);
    let is_final = assert_denied("rejected while it waits", &fixture.decide(), Tag::ApprovalRejected);
    assert!(is_final);
    let mut fixture = Fixture::new();
    fixture.pay(&at(1));
    assert_pending("its turn has not come", &fixture.decide(), &[gap]);
    fixture.ledger.next_nonces.insert(fixture.world.wallet_address(), 1);
    assert_allowed(&fixture.decide());
}

/// Valid bytes of a template, and one mutation that leaves it; requests for the templates of other families are refused.
#[test]
fn each_family_has_its_template() {
    let mut evm = Fixture::new();
    evm.pay(&Ask {
        is_template: true,
        ..Ask::default()
    });
    assert_allowed(&evm.decide());
    evm.unsigned = with_access_list(&evm.unsigned);
    let mismatch = Tag::RequestTransactionMismatch;
    assert_eq!(reasons_of(&evm), [mismatch], "an access list");

    let other = |template: TemplateKind, fixture: &mut Fixture| {
        fixture.body.transaction = TransactionBinding::Template(template);
        fixture.seal();
        fixture.approve(&["alice", "bob"]);
        reasons_of(fixture)
    };
    for template in [TemplateKind::BitcoinInputsAndFee, TemplateKind::SolanaBlockhashAndFee] {
        let mut evm = Fixture::new();
        assert_eq!(other(template, &mut evm), [mismatch], "{template:?}");
    }
}

/// The PSBT among the vectors of `chains/bitcoin`, and the same with a lock time: the effects are the same.
#[test]
fn a_lock_time_leaves_the_template_of_bitcoin() {
    let plain = hex(include_str!("../../../../chains/bitcoin/vectors/payment.psbt.hex").trim());
    let mut locked = plain.clone();
    // It ends the unsigned transaction, which stands behind eight bytes.
    let at = 8 + usize::from(plain[7]) - 4;
    assert_eq!(locked[at..at + 4], [0; 4]);
    locked[at] = 1;
    let template = || TransactionBinding::Template(TemplateKind::BitcoinInputsAndFee);
    assert_allowed(&decide_psbt(&plain, template()));
    let exact = TransactionBinding::Exact(TransactionDigest::of(&locked));
    assert_allowed(&decide_psbt(&locked, exact));
    let denied = decide_psbt(&locked, template());
    assert_denied("a lock time", &denied, Tag::RequestTransactionMismatch);
}

fn hex(text: &str) -> Vec<u8> {
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    text.as_bytes().chunks(2).map(byte).collect()
}

/// A request for what the PSBT does, from the wallet of its key, which the policy lets pay whom it likes.
fn decide_psbt(psbt: &[u8], transaction: TransactionBinding) -> Decision {
    let mut world = World::new();
    let mut files = bundle_files(&world.roster());
    let mut append = |path: &str, text: &str| files.get_mut(path).unwrap().extend_from_slice(text.as_bytes());
    append("wallets.yaml", BITCOIN_WALLET);
    let policy = String::from_utf8(files["policy.yaml"].clone()).unwrap();
    let policy = policy.replacen("permits:\n", BITCOIN_PERMIT, 1);
    files.insert("policy.yaml".to_owned(), policy.into_bytes());
    let network = include_bytes!("../../../../chains/bitcoin/networks/bitcoin.yaml");
    files.insert("networks/bitcoin.yaml".to_owned(), network.to_vec());
    world.files = sealed(1, None, files);
    let bundle = world.bundle();

    let (network, wallet): (ChainId, WalletId) = (BITCOIN.parse().unwrap(), "btc-hot".parse().unwrap());
    let registry = bundle.registry();
    let parsed = registry.parse(&network, &wallet, psbt, ChainFacts::none()).unwrap();
    let payments = parsed.effects().iter().filter_map(|effect| match effect {
        Effect::Transfer {
            asset,
            amount,
            destination,
        } => Some(Payment {
            reference: "psbt/1".parse().unwrap(),
            subject: None,
            asset: asset.clone(),
            amount: *amount,
            destination: destination.clone(),
        }),
        _ => None,
    });
    let request = Request {
        reference: "psbt".parse().unwrap(),
        payments: payments.collect(),
        fee_ceiling: FeeCeiling {
            asset: registry.fee_asset(&network).unwrap(),
            amount: 1_000_u64.into(),
        },
        wallet,
        network,
        transaction,
        ..Ask::default().request()
    };
    let envelope = world.sign("payout-service", Body::Request(Box::new(request.clone())));
    decide(&Case {
        deployment: world.genesis.hash(),
        active: &bundle,
        first: &bundle,
        verified: &verify(&envelope, bundle.roster()).unwrap(),
        request: &request,
        first_seen_at: later(world.issued_at, 1_000),
        reading: &Reading::new(&bundle, &request, psbt, ChainFacts::default()),
        statements: &[],
        ledger: &LedgerFacts {
            epoch: countersign_approval::FIRST_EPOCH,
            ..LedgerFacts::default()
        },
        now: later(world.issued_at, 60_000),
        sign_within: Duration::from_secs(30),
    })
}

const BITCOIN: &str = "bip122:000000000019d6689c085ae165831e93";
/// Of the private key 0x46…46.
const BITCOIN_WALLET: &str = r#"  - id: btc-hot
    tier: hot
    keys: ["secp256k1:024bc2a31265153f07e70e0bab08724e6b85e217f8cd628ceb62974247bb493382"]
    networks: [{ chain: "bip122:000000000019d6689c085ae165831e93", first-nonce: 0 }]
"#;
const BITCOIN_PERMIT: &str = "permits:\n  - { id: bitcoin, effects: [transfer, fee], wallets: [btc-hot] }\n";

fn reasons_of(fixture: &Fixture) -> Vec<Tag> {
    match fixture.decide().outcome {
        Outcome::Denied { reasons, .. } => tags(&reasons),
        other => panic!("{other:?}"),
    }
}

/// The transaction with one entry in its access list: EIP-1559 ends in `c0`, an empty list.
fn with_access_list(unsigned: &[u8]) -> Vec<u8> {
    let (body, end) = unsigned[2..].split_at(unsigned.len() - 3);
    assert_eq!((unsigned[0], end), (2, &[0xc0][..]));
    // [[address, []]] in RLP.
    let entry = [&[0xd7, 0xd6, 0x94][..], &[0x42; 20], &[0xc0]].concat();
    let length = body.len() + entry.len();
    assert!((56..256).contains(&length));
    // The head of the outer list was one byte below 56, and is two now.
    [&[2, 0xf8, length as u8], body, &entry].concat()
}

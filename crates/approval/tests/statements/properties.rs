//! What holds for every statement and every change of an envelope.

use countersign_approval::*;
use countersign_types::*;
use proptest::{collection::vec, option, prelude::*, sample::select};

use crate::support::*;

fn timed() -> impl Strategy<Value = Header> {
    (
        any::<[u8; 32]>(),
        any::<u64>(),
        any::<[u8; 16]>(),
        0i64..4_000_000_000,
        1i64..=366 * 86_400,
    )
        .prop_map(|(deployment, epoch, nonce, start, length)| Header {
            deployment: GenesisHash::from_bytes(deployment),
            epoch,
            nonce: StatementNonce::from_bytes(nonce),
            validity: Validity::new(
                UtcSeconds::from_unix_seconds(start).unwrap(),
                UtcSeconds::from_unix_seconds(start + length).unwrap(),
            )
            .unwrap(),
        })
}

prop_compose! {
    fn fee_ceiling(network: ChainId)(amount: [u8; 32], namespace in "[a-z0-9]{3,8}", reference in "[-.%a-zA-Z0-9]{1,40}") -> FeeCeiling {
        FeeCeiling {
            asset: AssetId::new(&network, &namespace, &reference).unwrap(),
            amount: Amount::from_be_bytes(amount),
        }
    }
}

prop_compose! {
    fn payment(network: ChainId)(
        subject in option::of("[-A-Za-z0-9._:/]{1,128}"),
        of in fee_ceiling(network.clone()),
        address in "[-.%a-zA-Z0-9]{1,128}",
    ) -> Payment {
        Payment {
            reference: "r".parse().unwrap(),
            subject: subject.map(|subject| subject.parse().unwrap()),
            asset: of.asset,
            amount: of.amount,
            destination: Destination::new(&network, &address).unwrap(),
        }
    }
}

fn network() -> impl Strategy<Value = ChainId> {
    "[-a-z0-9]{3,8}:[-_a-zA-Z0-9]{1,32}".prop_map(|text| text.parse().unwrap())
}

fn binding() -> impl Strategy<Value = TransactionBinding> {
    prop_oneof![
        any::<[u8; 32]>().prop_map(|bytes| TransactionBinding::Exact(TransactionDigest::from_bytes(bytes))),
        Just(TransactionBinding::Template(TemplateKind::EvmNonceAndFee)),
    ]
}

fn request_body() -> impl Strategy<Value = Body> {
    (
        network(),
        "[a-z0-9][-a-z0-9._]{0,63}",
        "[-A-Za-z0-9._:/]{1,128}",
        vec("[ -~]{1,80}", 1..4),
        binding(),
        proptest::collection::btree_map("[a-z]{1,32}", "[-A-Za-z0-9._:/]{1,128}", 0..3),
    )
        .prop_flat_map(|(network, name, reference, effects, transaction, attributes)| {
            let attributes: std::collections::BTreeMap<_, _> = attributes
                .into_iter()
                .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
                .collect();
            (vec(payment(network.clone()), 0..5), fee_ceiling(network.clone())).prop_map(
                move |(mut payments, fee_ceiling)| {
                    for (n, payment) in payments.iter_mut().enumerate() {
                        payment.reference = format!("p/{n}").parse().unwrap();
                    }
                    Body::Request(Box::new(Request {
                        tenant: name.parse().unwrap(),
                        reference: reference.parse().unwrap(),
                        wallet: name.parse().unwrap(),
                        network: network.clone(),
                        payments,
                        effects: effects.clone(),
                        fee_ceiling,
                        transaction,
                        attributes: attributes.clone(),
                    }))
                },
            )
        })
}

fn withdrawals() -> impl Strategy<Value = Vec<WithdrawalId>> {
    proptest::collection::btree_set(any::<[u8; 32]>(), 1..6).prop_map(|digests| {
        digests
            .into_iter()
            .map(|digest| WithdrawalId::of(RequestDigest::from_bytes(digest)))
            .collect()
    })
}

fn review_body() -> impl Strategy<Value = Body> {
    let approval = (
        withdrawals(),
        network().prop_flat_map(fee_ceiling),
        "[ -~\n]{0,200}",
        any::<[u8; 32]>(),
    )
        .prop_map(|(withdrawals, fee_ceiling, text, policy)| {
            let item = |withdrawal| ApprovalItem {
                withdrawal,
                effects: EffectsText::parse(format!("effects/v1\n{text}\n")).unwrap(),
                fee_ceiling: fee_ceiling.clone(),
                policy: PolicyDigest::from_bytes(policy),
            };
            Body::Approval(Approval {
                items: withdrawals.into_iter().map(item).collect(),
            })
        });
    let rejection = (withdrawals(), "[ -~]{0,512}").prop_map(|(withdrawals, reason)| {
        let item = |withdrawal| RejectionItem {
            withdrawal,
            reason: reason.clone(),
        };
        Body::Rejection(Rejection {
            items: withdrawals.into_iter().map(item).collect(),
        })
    });
    prop_oneof![approval, rejection]
}

fn governance_body() -> impl Strategy<Value = Body> {
    let ceiling = option::of(network().prop_flat_map(fee_ceiling));
    let cancel = (withdrawals(), ceiling, "[ -~]{0,512}").prop_map(|(withdrawals, fee_ceiling, reason)| {
        Body::Cancel(Cancel {
            withdrawal: withdrawals[0],
            fee_ceiling,
            reason,
        })
    });
    let activation = (
        any::<[u8; 32]>(),
        2u64..,
        any::<[u8; 32]>(),
        option::of(0i64..4_000_000_000),
    )
        .prop_map(|(bundle, version, previous, not_before)| {
            Body::Activation(Activation {
                bundle: BundleDigest::from_bytes(bundle),
                version,
                previous: Some(BundleDigest::from_bytes(previous)),
                not_before: not_before.map(|second| UtcSeconds::from_unix_seconds(second).unwrap()),
            })
        });
    let thaw = (any::<[u8; 32]>(), "[ -~]{0,512}").prop_map(|(freeze, reason)| {
        Body::Thaw(Thaw {
            freeze: FreezeId::from_bytes(freeze),
            reason,
        })
    });
    let veto = (any::<[u8; 32]>(), any::<[u8; 32]>(), "[ -~]{0,512}").prop_map(|(bundle, previous, reason)| {
        Body::Veto(Veto {
            bundle: BundleDigest::from_bytes(bundle),
            previous: BundleDigest::from_bytes(previous),
            reason,
        })
    });
    let freeze = (freeze_scope(), "[ -~]{0,512}").prop_map(|(scope, reason)| Body::Freeze(Freeze { scope, reason }));
    let replace = (withdrawals(), network().prop_flat_map(fee_ceiling), "[ -~]{0,512}").prop_map(
        |(withdrawals, fee_ceiling, reason)| {
            Body::Replace(Replace {
                withdrawal: withdrawals[0],
                fee_ceiling,
                reason,
            })
        },
    );
    prop_oneof![cancel, activation, freeze, thaw, replace, veto]
}

fn freeze_scope() -> impl Strategy<Value = FreezeScope> {
    let name = || "[a-z][a-z0-9]{0,20}";
    prop_oneof![
        Just(FreezeScope::All),
        name().prop_map(|name| FreezeScope::Wallet(name.parse().unwrap())),
        network().prop_map(FreezeScope::Network),
        network().prop_map(|network| FreezeScope::Asset(format!("{network}/slip44:60").parse().unwrap())),
        network().prop_map(|network| FreezeScope::Destination(format!("{network}:Abc123").parse().unwrap())),
        name().prop_map(|name| FreezeScope::Initiator(name.parse().unwrap())),
        name().prop_map(|name| FreezeScope::Tenant(name.parse().unwrap())),
    ]
}

fn observed_fact() -> impl Strategy<Value = ObservedFact> {
    let account = || "[1-9A-Za-z]{32,44}".prop_map(|address| format!("{SOLANA}:{address}").parse().unwrap());
    let word = any::<[u8; 32]>;
    let transaction = || word().prop_map(TransactionDigest::from_bytes);
    let outcome = prop_oneof![Just(ObservedOutcome::Succeeded), Just(ObservedOutcome::Failed)];
    prop_oneof![
        (account(), vec(word(), 1..8))
            .prop_map(|(account, addresses)| ObservedFact::LookupTable { account, addresses }),
        (account(), account(), word()).prop_map(|(account, authority, value)| ObservedFact::NonceAccount {
            account,
            authority,
            value
        }),
        (transaction(), 0..1_000_u64).prop_map(|(transaction, last_valid_height)| ObservedFact::Expired {
            transaction,
            last_valid_height
        }),
        (account(), word(), "[1-9A-Za-z]{64,88}", outcome.clone()).prop_map(|(account, value, txid, outcome)| {
            ObservedFact::Spent {
                conflict_key: ConflictKey::NonceAccount { account, value },
                txid,
                outcome,
            }
        }),
        (transaction(), "[1-9A-Za-z]{64,88}", outcome).prop_map(|(transaction, txid, outcome)| ObservedFact::Mined {
            transaction,
            txid,
            outcome
        }),
    ]
}

fn observation_body() -> impl Strategy<Value = Body> {
    // Random accounts and digests do not repeat.
    (any::<u64>(), 1_000_u64.., vec(observed_fact(), 1..6)).prop_map(|(sequence, height, facts)| {
        Body::Observation(Observation {
            network: SOLANA.parse().unwrap(),
            sequence,
            height,
            facts,
        })
    })
}

fn attested_body() -> impl Strategy<Value = Body> {
    let second = || (0..4_000_000_000_i64).prop_map(|second| UtcSeconds::from_unix_seconds(second).unwrap());
    let to = || "[0-9a-f]{40}".prop_map(|address| format!("eip155:1:0x{address}").parse().unwrap());
    let price = (1_u64.., any::<u64>(), second(), select(Currency::ALL.to_vec())).prop_map(
        |(atto, sequence, observed_at, currency)| {
            Body::Price(Quote {
                asset: "eip155:1/slip44:60".parse().unwrap(),
                currency,
                price: Price::from_atto(atto.into()),
                sequence,
                observed_at,
            })
        },
    );
    let screening = (to(), any::<u64>(), any::<u64>(), any::<bool>(), second()).prop_map(
        |(destination, amount, sequence, passes, screened_at)| {
            Body::Screening(Screening {
                check: AttestationKind::ALL[usize::from(passes)],
                withdrawal: withdrawal("one"),
                destination,
                asset: "eip155:1/slip44:60".parse().unwrap(),
                amount: amount.into(),
                result: if passes {
                    ScreeningResult::Pass
                } else {
                    ScreeningResult::Fail
                },
                sequence,
                screened_at,
            })
        },
    );
    let entry = prop_oneof![
        Just(BookState::Removed),
        second().prop_map(|at| BookState::Registered { at })
    ];
    let book = (to(), entry, any::<u64>()).prop_map(|(destination, entry, sequence)| {
        Body::AddressBook(BookEntry {
            tenant: "main".parse().unwrap(),
            subject: "customer:42".parse().unwrap(),
            destination,
            entry,
            sequence,
        })
    });
    prop_oneof![price, screening, book]
}

fn statement() -> impl Strategy<Value = Statement> {
    let body = prop_oneof![
        request_body(),
        review_body(),
        governance_body(),
        observation_body(),
        attested_body()
    ];
    (timed(), body).prop_map(|(mut header, body)| {
        let start = header.validity.issued_at();
        let latest = start.to_timestamp().after(body.kind().max_validity()).to_seconds();
        header.validity = Validity::new(start, header.validity.expires_at().min(latest)).unwrap();
        Statement { header, body }
    })
}

proptest! {
    #[test]
    fn every_statement_round_trips(statement in statement()) {
        let payload = statement.to_payload();
        prop_assert_eq!(Statement::parse(statement.body.kind(), &payload), Ok(statement));
    }

    /// What is accepted is what would be written: there is no second text.
    #[test]
    fn a_changed_payload_is_refused_or_another_statement(
        statement in statement(), at: prop::sample::Index, byte in b' '..=b'~', insert: bool,
    ) {
        let (kind, mut payload) = (statement.body.kind(), statement.to_payload());
        let at = at.index(payload.len());
        if insert { payload.insert(at, byte) } else { payload[at] = byte }
        if let Ok(read) = Statement::parse(kind, &payload) {
            prop_assert_eq!(read == statement, payload == statement.to_payload());
            prop_assert_eq!(read.to_payload(), payload);
        }
    }

    #[test]
    fn parsing_never_panics(kind in select(Kind::ALL.to_vec()), payload in vec(any::<u8>(), 0..300), text in "\\PC{0,300}") {
        drop(Statement::parse(kind, &payload));
        drop(Statement::parse(kind, text.as_bytes()));
        drop(Envelope::parse(text.as_bytes()));
        drop(Genesis::parse(text.as_bytes()));
        drop(KeyRecord::parse(&text));
        drop(Envelope::from_ssh_signature(kind, payload, &text));
    }

    /// No byte of kind, payload, key id or signature can change: a touched security key, the others alike.
    #[test]
    fn a_changed_envelope_never_verifies(
        signer in select(vec![alice(), bob(), carol(), dave()]),
        at: prop::sample::Index, change in 1u8.., in_payload: bool,
    ) {
        let sealed = seal(&cancel(), &signer).unwrap();
        let (mut payload, mut signature) = (sealed.payload().to_vec(), sealed.signature().to_vec());
        let bytes = if in_payload { &mut payload } else { &mut signature };
        let at = at.index(bytes.len());
        bytes[at] ^= change;
        let changed = Envelope::new(Kind::Cancel, payload, sealed.key_id().to_owned(), signature).unwrap();
        prop_assert!(verify(&changed, &roster()).is_err());
    }

    #[test]
    fn verifying_never_panics(
        signature in vec(any::<u8>(), 0..400), cut: prop::sample::Index, tail in vec(any::<u8>(), 0..80),
        signer in select(vec![alice(), bob(), carol(), dave()]),
    ) {
        let sealed = seal(&cancel(), &signer).unwrap();
        let spliced = [&sealed.signature()[..cut.index(sealed.signature().len())], &tail].concat();
        prop_assume!(spliced != sealed.signature());
        for signature in [signature, spliced] {
            for key_id in [sealed.key_id(), "", "ed25519:"] {
                let envelope = Envelope::new(Kind::Cancel, sealed.payload().to_vec(), key_id.to_owned(), signature.clone());
                prop_assert!(verify(&envelope.unwrap(), &roster()).is_err());
            }
        }
    }
}

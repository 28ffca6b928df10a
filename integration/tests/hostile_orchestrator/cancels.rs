//! Cancel attempts: taking a payment off the chain that nobody cancelled, and paying somebody by way of a cancel.

use std::time::Duration;

use countersign_approval::{Body, Cancel, Envelope, FeeCeiling, seal};
use countersign_chains::evm::TransferDraft;
use countersign_client::{State, Until};
use countersign_types::{Amount, Destination};
use serde_json::Value;
use sqlx::{Connection as _, SqliteConnection};

use crate::support::{
    Ask, CUSTOMER, GAS, NETWORK, STRANGER, Scene, Withdrawal, denied, large, pending, signed, small, tags,
};

const PATIENCE: Duration = Duration::from_secs(60);
const GWEI: u64 = 1_000_000_000;

/// What takes the place of a payment.
struct Attempt {
    to: Destination,
    amount: u64,
    ask: Ask,
}

impl Scene {
    fn own(&self) -> Destination {
        let (network, wallet) = (NETWORK.parse().unwrap(), "eth-hot".parse().unwrap());
        self.bundle.registry().wallet_destination(&network, &wallet).unwrap()
    }

    /// Nothing, to the wallet itself, under the nonce of the payment and at twice its price.
    fn attempt(&self, ask: &Ask) -> Attempt {
        Attempt {
            to: self.own(),
            amount: 0,
            ask: Ask {
                max_fee_gwei: 60,
                ..ask.clone()
            },
        }
    }

    fn cancel_for(&self, person: &str, withdrawal: &Withdrawal, gwei: u64) -> Envelope {
        self.person(person)
            .seal(self.header(), cancel(withdrawal, gwei))
            .unwrap()
    }

    /// A payment that needs nobody, signed.
    async fn paid(&self, name: &str) -> (Ask, Withdrawal) {
        let ask = small(name);
        let withdrawal = self.withdrawal(&ask);
        self.assert_signed_with(&withdrawal, &[]).await;
        (ask, withdrawal)
    }
}

fn cancel(withdrawal: &Withdrawal, gwei: u64) -> Body {
    Body::Cancel(Cancel {
        withdrawal: withdrawal.id,
        fee_ceiling: Some(FeeCeiling {
            asset: withdrawal.body.fee_ceiling.asset.clone(),
            amount: Amount::from_base_units(GAS * gwei * GWEI),
        }),
        reason: "wrong address".to_owned(),
    })
}

impl Attempt {
    fn under(&self, withdrawal: &Withdrawal) -> Withdrawal {
        let draft = TransferDraft {
            amount: Amount::from_base_units(self.amount),
            destination: self.to.clone(),
            ..self.ask.draft()
        };
        Withdrawal {
            unsigned: draft.encode().unwrap(),
            ..withdrawal.clone()
        }
    }
}

/// Without a word that lets it cost something, of somebody who may, about this withdrawal, the bytes are only bytes that nobody asked for.
#[tokio::test]
async fn nobody_takes_a_payment_off_the_chain_without_a_cancel() {
    let scene = Scene::with_signer().await;
    let (ask, withdrawal) = scene.paid("paid").await;
    let other = scene.withdrawal(&Ask {
        nonce: 1,
        ..small("other")
    });
    let attempt = scene.attempt(&ask).under(&withdrawal);
    let statements: [(&str, Option<Envelope>); 5] = [
        ("no cancel", None),
        (
            "a cancel of another withdrawal",
            Some(scene.cancel_for("dave", &other, 60)),
        ),
        ("an approver's cancel", Some(scene.cancel_for("alice", &withdrawal, 60))),
        ("an approval", Some(scene.approval("alice", &withdrawal))),
        ("a raised ceiling", {
            let body = Body::Replace(countersign_approval::Replace {
                withdrawal: withdrawal.id,
                fee_ceiling: FeeCeiling {
                    asset: withdrawal.body.fee_ceiling.asset.clone(),
                    amount: Amount::from_base_units(GAS * 90 * GWEI),
                },
                reason: String::new(),
            });
            Some(scene.person("dave").seal(scene.header(), body).unwrap())
        }),
    ];
    for (what, statement) in statements {
        let statements: Vec<Envelope> = statement.into_iter().collect();
        let answer = denied(scene.authorize(&attempt, &statements).await);
        let expected = [
            "request/effects-mismatch",
            "request/payments-mismatch",
            "request/transaction-mismatch",
        ];
        let also = (what == "a cancel of another withdrawal").then_some("approval/other-withdrawal");
        assert_eq!(
            tags(&answer.reasons),
            expected.into_iter().chain(also).collect(),
            "{what}"
        );
        assert!(!answer.r#final, "{what}");
    }
    // An expired one, which the signer sees for the first time.
    let body = cancel(&withdrawal, 60);
    let expired = scene.person("dave").seal(scene.expired_header(), body).unwrap();
    let answer = denied(scene.authorize(&attempt, &[expired]).await);
    assert!(tags(&answer.reasons).contains("request/payments-mismatch"));
    assert_eq!(scene.signatures(&withdrawal.id).await.len(), 1);
    // Nothing of it stands in the way of the other one.
    scene.assert_signed_with(&other, &[]).await;
}

#[tokio::test]
async fn one_change_of_a_cancel_attempt_is_denied_with_its_tag() {
    let scene = Scene::with_signer().await;
    let (ask, withdrawal) = scene.paid("paid").await;
    let good = || scene.attempt(&ask);
    let cancelled = [scene.cancel_for("dave", &withdrawal, 60)];
    let dearer = Ask {
        max_fee_gwei: 61,
        ..good().ask
    };
    let next = Ask { nonce: 1, ..good().ask };
    let to = |address: &str| format!("{NETWORK}:{address}").parse().unwrap();
    let changes = [
        (
            "a fee over the ceiling",
            "request/fee-over-ceiling",
            Attempt { ask: dearer, ..good() },
        ),
        (
            "another nonce",
            "lineage/anchor-changed",
            Attempt { ask: next, ..good() },
        ),
        (
            "1 wei to a stranger",
            "withdrawal/cancelled",
            Attempt {
                to: to(STRANGER),
                amount: 1,
                ..good()
            },
        ),
        (
            "1 wei to the customer",
            "withdrawal/cancelled",
            Attempt {
                to: to(CUSTOMER),
                amount: 1,
                ..good()
            },
        ),
        (
            "nothing, to a stranger",
            "withdrawal/cancelled",
            Attempt {
                to: to(STRANGER),
                ..good()
            },
        ),
    ];
    for (what, tag, attempt) in changes {
        let answer = denied(scene.authorize(&attempt.under(&withdrawal), &cancelled).await);
        assert_eq!(tags(&answer.reasons), [tag].into(), "{what}");
        assert_eq!(scene.signatures(&withdrawal.id).await.len(), 1, "{what}");
    }
    // The payment is not handed out again either, and what was put right is signed, once.
    let answer = denied(scene.authorize(&withdrawal, &cancelled).await);
    assert_eq!(tags(&answer.reasons), ["withdrawal/cancelled"].into());
    let attempt = good().under(&withdrawal);
    let first = signed(scene.authorize(&attempt, &[]).await);
    assert_eq!(signed(scene.authorize(&attempt, &cancelled).await), first);
    assert_eq!(scene.signatures(&withdrawal.id).await.len(), 2);
    // The pair has one nonce: the next one is the next.
    let other = scene.withdrawal(&Ask {
        nonce: 1,
        ..small("other")
    });
    scene.assert_signed_with(&other, &[]).await;
}

/// A ceiling is what lets it cost anything: the cancel of an orchestrator that kept it back for bytes of its own does not.
#[tokio::test]
async fn a_cancel_without_a_ceiling_lets_nothing_be_signed() {
    let scene = Scene::with_signer().await;
    let (ask, withdrawal) = scene.paid("paid").await;
    let attempt = scene.attempt(&ask).under(&withdrawal);
    let plain = scene.cancel("dave", &withdrawal);
    scene.people.submit_statement(&plain).await.unwrap();
    let answer = denied(scene.authorize(&attempt, &[plain]).await);
    assert_eq!(tags(&answer.reasons), ["withdrawal/cancelled"].into());
    assert!(answer.r#final);
    assert_eq!(scene.signatures(&withdrawal.id).await.len(), 1);
    // A later one has it.
    let service = scene.deployment.initiator().unwrap();
    let statement = countersign_approval::Statement {
        header: scene.header(),
        body: cancel(&withdrawal, 60),
    };
    signed(scene.authorize(&attempt, &[seal(&statement, &service).unwrap()]).await);
}

#[tokio::test]
async fn where_nothing_is_signed_there_is_nothing_to_take_the_place_of() {
    let scene = Scene::with_signer().await;
    let ask = large("waiting");
    let withdrawal = scene.withdrawal(&ask);
    pending(scene.authorize(&withdrawal, &[]).await);
    let attempt = scene.attempt(&ask).under(&withdrawal);
    let cancelled = [scene.cancel_for("dave", &withdrawal, 60)];
    let answer = denied(scene.authorize(&attempt, &cancelled).await);
    assert_eq!(tags(&answer.reasons), ["lineage/nothing-to-cancel"].into());
    scene.assert_unsigned(&withdrawal).await;
    // It is cancelled all the same, whoever approves it now.
    let approvals = ["alice", "bob"].map(|person| scene.approval(person, &withdrawal));
    let answer = denied(scene.authorize(&withdrawal, &approvals).await);
    assert_eq!(tags(&answer.reasons), ["withdrawal/cancelled"].into());
    scene.assert_unsigned(&withdrawal).await;
}

/// Whoever owns the orchestrator and its database says of a payment that it is a cancel attempt, or hands it out as one, so that it is booked
/// as not made and made again. Whoever looks decodes the bytes, and believes neither.
#[tokio::test]
async fn a_payment_is_not_called_a_cancel_attempt() {
    let mut scene = Scene::with_both().await;
    let withdrawal = scene.withdrawal(&small("paid"));
    let client = scene.deployment.client("pipeline").await.unwrap();
    let paid = client.submit_and_wait(&withdrawal.request, &withdrawal.unsigned, Until::Decided, PATIENCE);
    assert_eq!(paid.await.unwrap().state, State::Signed);
    let id = withdrawal.id.to_string();
    let attempt = ["--max-fee", "60 gwei", "--fee-ceiling", "0.0015 ETH", "--wait"];
    let (code, cancelled, _) = run(&scene, &[&["withdraw", "cancel", &id][..], &attempt].concat());
    let cancels = |shown: &Value| [0, 1].map(|at: usize| shown["attempts"][at]["cancels"].clone());
    assert_eq!((code, cancels(&cancelled)), (Some(0), [false.into(), true.into()]));

    let show = ["withdraw", "show", &id];
    scene.rewrite("UPDATE attempts SET cancels = 1").await;
    let (code, shown, error) = run(&scene, &show);
    assert_eq!(
        (code, cancels(&shown)),
        (Some(5), [false.into(), true.into()]),
        "{error}"
    );
    assert!(
        error.contains("attempt/contradicted") && error.contains(CUSTOMER),
        "{error}"
    );
    assert_eq!(shown["warnings"][0]["tag"], "attempt/contradicted");
    let (code, _, error) = run(&scene, &["withdraw", "list"]);
    assert!(code == Some(5) && error.contains("attempt/contradicted"), "{error}");

    // The other way round it is the bytes that count, too. What was asked for is not known here: the request was made elsewhere.
    scene.rewrite("UPDATE attempts SET cancels = 0").await;
    let (code, shown, error) = run(&scene, &show);
    let found = [0, 1].map(|at: usize| shown["attempts"][at]["pays_nobody"].clone());
    assert_eq!((code, found), (Some(0), [false.into(), true.into()]), "{error}");

    // What pays stands behind bytes that pay nobody.
    let payments = "(SELECT signed, txid FROM attempts WHERE number = 1)";
    scene
        .rewrite(&format!(
            "UPDATE attempts SET cancels = number - 1, (signed, txid) = {payments}"
        ))
        .await;
    let (code, shown, error) = run(&scene, &show);
    assert_eq!(
        (code, cancels(&shown)),
        (Some(5), [false.into(), Value::Null]),
        "{error}"
    );
    assert!(
        error.contains("is not its bytes with the wallet's signature"),
        "{error}"
    );
}

/// An orchestrator that does not say what it was given, or was never given it: the signer has recorded the signature, and keeps it in.
#[tokio::test]
async fn a_signature_that_is_kept_in_is_not_called_unsigned() {
    let mut scene = Scene::with_both().await;
    let withdrawal = scene.withdrawal(&small("stopped"));
    let client = scene.deployment.client("pipeline").await.unwrap();
    let paid = client.submit_and_wait(&withdrawal.request, &withdrawal.unsigned, Until::Decided, PATIENCE);
    assert_eq!(paid.await.unwrap().state, State::Signed);
    let hide = "UPDATE attempts SET signed = NULL, txid = NULL; UPDATE withdrawals SET state = 6";
    scene.rewrite(hide).await;
    let show = ["withdraw", "show", &withdrawal.id.to_string()];
    let (code, shown, error) = run(&scene, &show);
    assert_eq!(
        (code, &shown["state"], &shown["kept_in"]),
        (Some(0), &"cancelled".into(), &Value::Null),
        "nothing stops it yet: {error}"
    );
    let cancel = scene.cancel("dave", &withdrawal);
    scene.people.submit_statement(&cancel).await.unwrap();
    let (_, shown, error) = run(&scene, &show);
    assert_eq!(shown["kept_in"]["tag"], "withdrawal/cancelled", "{error}");
    let text = scene.deployment.countersign(show, true).unwrap().stdout;
    let text = String::from_utf8(text).unwrap();
    assert!(
        text.contains("unreleased  attempt 1\nkept in     a signature"),
        "{text}"
    );
}

fn run(scene: &Scene, arguments: &[&str]) -> (Option<i32>, Value, String) {
    let arguments = [arguments, &["--output", "json"]].concat();
    let output = scene.deployment.countersign(arguments, true).unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    let shown = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{error}"));
    (output.status.code(), shown, error)
}

impl Scene {
    /// As the owner of the orchestrator's database, while nothing else has it open.
    async fn rewrite(&mut self, statement: &str) {
        self.deployment.kill_orchestrator().unwrap();
        let database = self.deployment.path("orchestrator/store.sqlite");
        let mut database = SqliteConnection::connect(&format!("sqlite://{}", database.display()))
            .await
            .unwrap();
        let changed = sqlx::raw_sql(sqlx::AssertSqlSafe(statement.to_owned())).execute(&mut database);
        assert_eq!(changed.await.unwrap().rows_affected(), 2, "{statement}");
        database.close().await.unwrap();
        self.deployment.start_orchestrator().await.unwrap();
    }
}

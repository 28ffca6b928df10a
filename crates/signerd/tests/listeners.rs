//! Who may call what, over real mutual TLS, and what is refused before it reaches the core.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    reason = "tests fail by panicking"
)]

mod support;

use countersign_proto::{
    errors::tag_of,
    fields,
    limits::{MAX_PEOPLE_REQUEST_BYTES, MAX_SIGNING_REQUEST_BYTES, MAX_STATEMENT_BYTES, MAX_TRANSACTION_BYTES},
    signer::v1::{
        ActivateBundleRequest, AuthorizeRequest, BundleFile, EvaluateRequest, FetchBundlesRequest,
        FetchCheckpointRequest, FetchEntriesRequest, FetchReceiptRequest, ListFreezesRequest, ListProposalsRequest,
        RecordStatementRequest, SubmitStatementRequest,
    },
    tls::Pem,
};
use countersign_types::{RequestDigest, Tag, WithdrawalId};
use support::{Ca, Running, Site};
use tonic::{Code, Status};

const ORCHESTRATOR: &str = "countersign://orchestrator/main";
const PERSON: &str = "countersign://person/alice";
const AUDITOR: &str = "countersign://auditor/export-1";
const ATTESTER: &str = "countersign://attester/desk";
const OBSERVER: &str = "countersign://observer/watch-1";
const PIPELINE: &str = "countersign://pipeline/main/payout-service";

fn withdrawal_id() -> String {
    WithdrawalId::of(RequestDigest::of(b"unknown")).to_string()
}

fn authorize() -> AuthorizeRequest {
    AuthorizeRequest {
        request: Some(fields::statement(b"{}".to_vec())),
        unsigned_transaction: vec![2],
        statements: Vec::new(),
    }
}

fn tag<T: std::fmt::Debug>(result: Result<T, Status>) -> Tag {
    let status = result.unwrap_err();
    tag_of(&status).unwrap_or_else(|| panic!("no tag: {status:?}"))
}

/// The tag of every call of the first listener.
async fn signing_tags(running: &Running, pem: &Pem) -> Vec<Tag> {
    let mut client = running.signing(pem);
    let record = RecordStatementRequest {
        statement: Some(fields::statement(b"{}".to_vec())),
    };
    let receipt = FetchReceiptRequest {
        withdrawal_id: withdrawal_id(),
    };
    vec![
        tag(client.authorize(authorize()).await),
        tag(client
            .evaluate(EvaluateRequest {
                authorize: Some(authorize()),
            })
            .await),
        tag(client.record_statement(record).await),
        tag(client.fetch_receipt(receipt).await),
    ]
}

/// What every writing call of the second listener answers, then every reading one; `None` for an answer.
async fn people_tags(running: &Running, pem: &Pem) -> (Vec<Tag>, Vec<Option<Tag>>) {
    let mut client = running.people(pem);
    let statement = Some(fields::statement(b"{}".to_vec()));
    let file = BundleFile {
        path: "manifest.json".to_owned(),
        data: vec![1],
    };
    let activation = ActivateBundleRequest {
        files: vec![file],
        statements: Vec::new(),
    };
    let writing = vec![
        tag(client.submit_statement(SubmitStatementRequest { statement }).await),
        tag(client.activate_bundle(activation).await),
    ];
    let receipt = FetchReceiptRequest {
        withdrawal_id: withdrawal_id(),
    };
    let reading = vec![
        client
            .fetch_bundles(FetchBundlesRequest { after_version: 0 })
            .await
            .err(),
        client.fetch_checkpoint(FetchCheckpointRequest {}).await.err(),
        client.fetch_entries(FetchEntriesRequest::default()).await.err(),
        client.fetch_receipt(receipt).await.err(),
        client.list_freezes(ListFreezesRequest {}).await.err(),
        client.list_proposals(ListProposalsRequest {}).await.err(),
    ];
    let tag = |refusal: Option<Status>| refusal.map(|status| tag_of(&status).unwrap());
    (writing, reading.into_iter().map(tag).collect())
}

#[tokio::test]
async fn the_first_listener_is_for_orchestrators_alone() {
    let (site, running) = Site::running().await;
    let tags = signing_tags(&running, &site.client(ORCHESTRATOR)).await;
    // Let in: the core itself refuses.
    assert_eq!(tags[3], Tag::WithdrawalNotFound);
    assert!(!tags.contains(&Tag::CallerNotAllowed), "{tags:?}");
    for uri in [PERSON, AUDITOR, ATTESTER, OBSERVER, PIPELINE] {
        let tags = signing_tags(&running, &site.client(uri)).await;
        assert_eq!(tags, [Tag::CallerNotAllowed; 4], "{uri}");
    }
    running.stop().await.unwrap();
}

#[tokio::test]
async fn the_second_listener_is_for_people_and_auditors_only_read() {
    let (site, running) = Site::running().await;
    let readable = [None, None, None, Some(Tag::WithdrawalNotFound), None, None];
    let (writing, reading) = people_tags(&running, &site.client(PERSON)).await;
    assert!(!writing.contains(&Tag::CallerNotAllowed), "{writing:?}");
    assert_eq!(reading, readable);
    let (writing, reading) = people_tags(&running, &site.client(AUDITOR)).await;
    assert_eq!(writing, [Tag::CallerNotAllowed; 2]);
    assert_eq!(reading, readable);
    // Attesters speak. The log has signatures that are kept in, and is not for them to read.
    let (writing, reading) = people_tags(&running, &site.client(ATTESTER)).await;
    assert_eq!(writing, [Tag::StatementMalformed, Tag::CallerNotAllowed]);
    assert_eq!(reading, [Some(Tag::CallerNotAllowed); 6]);
    for uri in [ORCHESTRATOR, OBSERVER, PIPELINE] {
        let (writing, reading) = people_tags(&running, &site.client(uri)).await;
        assert_eq!(writing, [Tag::CallerNotAllowed; 2], "{uri}");
        assert_eq!(reading, [Some(Tag::CallerNotAllowed); 6], "{uri}");
    }
    running.stop().await.unwrap();
}

/// Of our CA, but not exactly one name of ours.
#[tokio::test]
async fn a_certificate_without_one_identity_is_nobody() {
    let (site, running) = Site::running().await;
    for uris in [
        &[][..],
        &["https://example.com/"],
        &[ORCHESTRATOR, PERSON],
        &["countersign://admin/alice"],
    ] {
        let pem = site.ca.client(uris, &site.ca);
        assert_eq!(
            signing_tags(&running, &pem).await,
            [Tag::CallerUnauthenticated; 4],
            "{uris:?}"
        );
        let (writing, reading) = people_tags(&running, &pem).await;
        assert_eq!(writing, [Tag::CallerUnauthenticated; 2], "{uris:?}");
        assert_eq!(reading, [Some(Tag::CallerUnauthenticated); 6], "{uris:?}");
    }
    running.stop().await.unwrap();
}

/// The transport failed: in TLS 1.3 the client may have sent its call before it hears of the refusal.
fn assert_unconnected(refused: &Status) {
    assert!(
        matches!(refused.code(), Code::Unavailable | Code::Unknown),
        "{refused:?}"
    );
    assert!(
        refused.message().contains("transport error") || refused.message().contains("tcp connect"),
        "{refused:?}"
    );
    assert_eq!(tag_of(refused), None);
}

/// These do not come as far as a message: no tag of ours, no connection.
#[tokio::test]
async fn a_certificate_of_another_ca_or_none_does_not_connect() {
    let (site, running) = Site::running().await;
    let foreign = Ca::new().client(&[ORCHESTRATOR], &site.ca);
    let refused = running.signing(&foreign).authorize(authorize()).await.unwrap_err();
    assert_unconnected(&refused);
    let foreign = Ca::new().client(&[PERSON], &site.ca);
    let refused = running
        .people(&foreign)
        .fetch_checkpoint(FetchCheckpointRequest {})
        .await
        .unwrap_err();
    assert_unconnected(&refused);
    for address in [&running.orchestrators, &running.people] {
        let tls = tonic::transport::ClientTlsConfig::new()
            .ca_certificate(tonic::transport::Certificate::from_pem(&foreign.ca))
            .domain_name("localhost");
        let endpoint = tonic::transport::Endpoint::from_shared(address.clone()).unwrap();
        let channel = endpoint.tls_config(tls).unwrap().connect_lazy();
        let mut client = countersign_proto::signer::v1::people_client::PeopleClient::new(channel);
        let refused = client.fetch_checkpoint(FetchCheckpointRequest {}).await.unwrap_err();
        assert_unconnected(&refused);
    }
    running.stop().await.unwrap();
}

/// A valid message with one field changed.
#[tokio::test]
async fn fields_over_their_bounds_are_refused() {
    let (site, running) = Site::running().await;
    let mut client = running.signing(&site.client(ORCHESTRATOR));
    let statement = |size: usize| fields::statement(vec![b'{'; size]);
    let table = [
        (
            AuthorizeRequest {
                request: None,
                ..authorize()
            },
            Tag::MessageInvalid,
        ),
        (
            AuthorizeRequest {
                request: Some(statement(0)),
                ..authorize()
            },
            Tag::MessageInvalid,
        ),
        (
            AuthorizeRequest {
                request: Some(statement(MAX_STATEMENT_BYTES + 1)),
                ..authorize()
            },
            Tag::MessageTooLarge,
        ),
        (
            AuthorizeRequest {
                unsigned_transaction: vec![],
                ..authorize()
            },
            Tag::MessageInvalid,
        ),
        (
            AuthorizeRequest {
                unsigned_transaction: vec![0; MAX_TRANSACTION_BYTES + 1],
                ..authorize()
            },
            Tag::MessageTooLarge,
        ),
        (
            AuthorizeRequest {
                statements: vec![statement(2); 257],
                ..authorize()
            },
            Tag::MessageTooLarge,
        ),
        (
            AuthorizeRequest {
                statements: vec![statement(MAX_STATEMENT_BYTES); 17],
                ..authorize()
            },
            Tag::MessageTooLarge,
        ),
        (
            AuthorizeRequest {
                statements: vec![statement(0)],
                ..authorize()
            },
            Tag::MessageInvalid,
        ),
    ];
    for (message, expected) in table {
        assert_eq!(tag(client.authorize(message.clone()).await), expected, "{expected}");
        assert_eq!(
            tag(client
                .evaluate(EvaluateRequest {
                    authorize: Some(message)
                })
                .await),
            expected,
            "{expected}"
        );
    }
    assert_eq!(
        tag(client.evaluate(EvaluateRequest { authorize: None }).await),
        Tag::MessageInvalid
    );
    for withdrawal_id in [String::new(), "wd_x".to_owned(), withdrawal_id().to_uppercase()] {
        assert_eq!(
            tag(client.fetch_receipt(FetchReceiptRequest { withdrawal_id }).await),
            Tag::MessageInvalid
        );
    }
    let mut people = running.people(&site.client(PERSON));
    for (count, tree_size) in [(257, 0), (1, 1)] {
        let message = FetchEntriesRequest {
            start: 0,
            count,
            tree_size,
        };
        assert_eq!(tag(people.fetch_entries(message).await), Tag::MessageInvalid);
    }
    running.stop().await.unwrap();
}

/// The server says no on the length in the frame's head: what is over the bound is never decoded.
#[tokio::test]
async fn messages_over_their_bounds_are_not_decoded() {
    let (site, running) = Site::running().await;
    let large = AuthorizeRequest {
        unsigned_transaction: vec![0; MAX_SIGNING_REQUEST_BYTES],
        ..authorize()
    };
    let refused = running
        .signing(&site.client(ORCHESTRATOR))
        .authorize(large)
        .await
        .unwrap_err();
    assert_eq!(tag_of(&refused), Some(Tag::MessageTooLarge));
    let file = BundleFile {
        path: "manifest.json".to_owned(),
        data: vec![0; MAX_PEOPLE_REQUEST_BYTES],
    };
    let large = ActivateBundleRequest {
        files: vec![file],
        statements: Vec::new(),
    };
    let refused = running
        .people(&site.client(PERSON))
        .activate_bundle(large)
        .await
        .unwrap_err();
    assert_eq!(tag_of(&refused), Some(Tag::MessageTooLarge));
    running.stop().await.unwrap();
}

/// A position at the end of numbers is a question like another.
#[tokio::test]
async fn entries_are_listed_from_any_position() {
    let (site, running) = Site::running().await;
    let mut client = running.people(&site.client(AUDITOR));
    let all = client
        .fetch_entries(FetchEntriesRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(all.entries.iter().map(|entry| entry.index).collect::<Vec<_>>(), [0]);
    let first = String::from_utf8(all.entries[0].data.clone()).unwrap();
    assert!(
        first.contains("genesis/1") && first.contains(&site.world.genesis.hash().to_string()),
        "{first}"
    );
    for start in [1, 1_000, u64::MAX] {
        let message = FetchEntriesRequest {
            start,
            ..Default::default()
        };
        match client.fetch_entries(message).await {
            Ok(none) => assert!(none.into_inner().entries.is_empty(), "{start}"),
            Err(status) => panic!("{start}: {status:?}"),
        }
    }
    running.stop().await.unwrap();
}

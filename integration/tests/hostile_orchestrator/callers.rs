//! Certificates: who may call which listener, and who does not even get through the handshake.

use std::{fs, net::SocketAddr};

use countersign_approval::Envelope;
use countersign_client::PeopleClient;
use countersign_integration::Deployment;
use countersign_proto::{
    errors, fields,
    signer::v1::{
        EvaluateRequest, FetchCheckpointRequest, FetchReceiptRequest, RecordStatementRequest,
        people_client::PeopleClient as RawPeople, signing_client::SigningClient,
    },
};
use countersign_types::Tag;
use tonic::{
    Status,
    transport::{Certificate, Channel, ClientTlsConfig, Identity},
};

use crate::support::{Scene, Withdrawal, authorize_request, large, refused, refused_client, signed, small};

/// Every call of the first listener.
async fn call_signing(
    mut signing: SigningClient<Channel>,
    withdrawal: &Withdrawal,
    statement: &Envelope,
) -> Vec<Result<(), Status>> {
    let authorize = authorize_request(withdrawal, &[]);
    let evaluate = EvaluateRequest {
        authorize: Some(authorize.clone()),
    };
    let record = RecordStatementRequest {
        statement: Some(fields::statement(statement.to_bytes())),
    };
    let receipt = FetchReceiptRequest {
        withdrawal_id: withdrawal.id.to_string(),
    };
    vec![
        signing.authorize(authorize).await.map(drop),
        signing.evaluate(evaluate).await.map(drop),
        signing.record_statement(record).await.map(drop),
        signing.fetch_receipt(receipt).await.map(drop),
    ]
}

#[tokio::test]
async fn only_orchestrators_call_the_first_listener() {
    let scene = Scene::with_signer().await;
    let withdrawal = scene.withdrawal(&small("not-for-you"));
    let rejection = scene.rejection("bob", &withdrawal);
    let before = scene.log().await;
    for name in ["alice", "dave", "auditor", "pipeline"] {
        let signing = scene.deployment.signing(name).await.unwrap();
        for answer in call_signing(signing, &withdrawal, &rejection).await {
            assert_eq!(refused(answer), Tag::CallerNotAllowed, "{name}");
        }
    }
    assert_eq!(scene.log().await, before);
    scene.assert_signed_with(&withdrawal, &[]).await;
}

/// Every call of the second listener but activation, which `bundles.rs` tries.
async fn call_people(people: &PeopleClient, withdrawal: &Withdrawal, statement: &Envelope) -> Vec<Tag> {
    vec![
        refused_client(people.submit_statement(statement).await),
        refused_client(people.bundles(0).await),
        refused_client(people.checkpoint().await),
        refused_client(people.entries(0, 1, 0).await),
        refused_client(people.receipt(&withdrawal.id).await),
    ]
}

#[tokio::test]
async fn only_people_and_auditors_call_the_second_listener() {
    let scene = Scene::with_signer().await;
    let withdrawal = scene.withdrawal(&large("people-only"));
    let rejection = scene.rejection("bob", &withdrawal);
    let before = scene.log().await;
    for name in ["orchestrator-client", "orchestrator-server", "pipeline"] {
        let people = scene.deployment.people(name).await.unwrap();
        let found = call_people(&people, &withdrawal, &rejection).await;
        assert_eq!(found, [Tag::CallerNotAllowed; 5], "{name}");
    }
    // An auditor reads, and does no more.
    let auditor = scene.deployment.people("auditor").await.unwrap();
    assert!(!auditor.checkpoint().await.unwrap().is_empty());
    let refusal = auditor.submit_statement(&rejection).await;
    assert_eq!(refused_client(refusal), Tag::CallerNotAllowed);
    assert_eq!(scene.log().await, before);
}

/// How far somebody gets: the handshake's failure is seen when connecting or at the first call.
async fn knock(scene: &Scene, address: SocketAddr, tls: ClientTlsConfig, is_first: bool) -> Result<(), Option<Tag>> {
    let channel = scene.deployment.channel(address, tls).await.map_err(|_| None)?;
    let answer = if is_first {
        let withdrawal = scene.withdrawal(&small("knock"));
        let authorize = authorize_request(&withdrawal, &[]);
        SigningClient::new(channel).authorize(authorize).await.map(drop)
    } else {
        RawPeople::new(channel)
            .fetch_checkpoint(FetchCheckpointRequest {})
            .await
            .map(drop)
    };
    answer.map_err(|status| errors::tag_of(&status))
}

#[tokio::test]
async fn without_a_certificate_of_the_ca_there_is_no_connection() {
    let scene = Scene::with_signer().await;
    let other = Deployment::init().unwrap();
    let ca = || Certificate::from_pem(fs::read(scene.deployment.path("ca/ca.pem")).unwrap());
    let bare = || ClientTlsConfig::new().ca_certificate(ca()).domain_name("localhost");
    let identity = |name: &str| {
        let read = |end| fs::read(other.path(&format!("tls/{name}.{end}"))).unwrap();
        Identity::from_pem(read("pem"), read("key"))
    };
    let addresses = scene.deployment.signer().unwrap();
    let before = scene.log().await;
    for (address, name, is_first) in [
        (addresses.orchestrators, "orchestrator-client", true),
        (addresses.people, "alice", false),
    ] {
        // No certificate, and one of the same name from another deployment's CA: no answer of ours, so no tag.
        assert_eq!(knock(&scene, address, bare(), is_first).await, Err(None));
        let foreign = bare().identity(identity(name));
        assert_eq!(knock(&scene, address, foreign, is_first).await, Err(None));
        // And a client that does not know our CA does not believe the signer.
        let distrusting = other.tls(name).unwrap();
        assert_eq!(knock(&scene, address, distrusting, is_first).await, Err(None));
        let ours = scene.deployment.tls(name).unwrap();
        if !is_first {
            assert_eq!(knock(&scene, address, ours, is_first).await, Ok(()));
        }
    }
    assert_eq!(scene.log().await, before);
}

/// The listeners are two servers: what is served on one is not there on the other.
#[tokio::test]
async fn each_listener_serves_its_own_calls_alone() {
    let scene = Scene::with_signer().await;
    let withdrawal = scene.withdrawal(&small("crossed"));
    let addresses = scene.deployment.signer().unwrap();
    let alice = scene.deployment.tls("alice").unwrap();
    let channel = scene.deployment.channel(addresses.people, alice).await.unwrap();
    let crossed = SigningClient::new(channel)
        .authorize(authorize_request(&withdrawal, &[]))
        .await;
    assert_eq!(crossed.unwrap_err().code(), tonic::Code::Unimplemented);
    let orchestrator = scene.deployment.tls("orchestrator-client").unwrap();
    let channel = scene
        .deployment
        .channel(addresses.orchestrators, orchestrator)
        .await
        .unwrap();
    let crossed = RawPeople::new(channel)
        .fetch_checkpoint(FetchCheckpointRequest {})
        .await;
    assert_eq!(crossed.unwrap_err().code(), tonic::Code::Unimplemented);
    signed(scene.authorize(&withdrawal, &[]).await);
}

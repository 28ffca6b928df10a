//! Certificates of the wrong role, the wrong tenant, with no name or two, and of another CA.

use std::fs;

use countersign_integration::Deployment;
use countersign_proto::{
    errors::tag_of,
    fields,
    tls::Pem,
    v1::{self, approvals_client::ApprovalsClient, withdrawals_client::WithdrawalsClient},
};
use countersign_types::Tag;
use rcgen::{CertificateParams, DistinguishedName, DnType, Issuer, KeyPair, SanType};
use tonic::{
    Status,
    transport::{Channel, ClientTlsConfig},
};

use crate::{
    assert_forgotten,
    support::{Ask, Scene, Withdrawal, refused, small},
};

/// A certificate of the deployment's own CA with these URI names.
fn issue(deployment: &Deployment, uris: &[&str]) -> ClientTlsConfig {
    let read = |path: &str| fs::read(deployment.path(path)).unwrap();
    let ca_key = KeyPair::from_pem(&String::from_utf8(read("ca/ca.key")).unwrap()).unwrap();
    let mut ca = CertificateParams::default();
    // What a certificate says of its issuer: the name, as `countersign init` gives it.
    ca.distinguished_name = DistinguishedName::new();
    ca.distinguished_name
        .push(DnType::CommonName, "Countersign development CA");
    let issuer = Issuer::new(ca, ca_key);
    let mut params = CertificateParams::default();
    params.subject_alt_names = uris
        .iter()
        .map(|uri| SanType::URI((*uri).try_into().unwrap()))
        .collect();
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    let pem = Pem {
        ca: read("ca/ca.pem"),
        certificate: certificate.pem().into_bytes(),
        key: key.serialize_pem().into_bytes(),
    };
    pem.client("localhost")
}

async fn connect(scene: &Scene, tls: ClientTlsConfig) -> anyhow::Result<Channel> {
    let address = scene.deployment.orchestrator().unwrap();
    scene.deployment.channel(address, tls).await
}

async fn create(channel: Channel, withdrawal: &Withdrawal) -> Result<v1::CreateWithdrawalResponse, Status> {
    let message = v1::CreateWithdrawalRequest {
        request: Some(fields::statement(withdrawal.request.to_bytes())),
        unsigned_transaction: withdrawal.unsigned.clone(),
    };
    let answer = WithdrawalsClient::new(channel).create_withdrawal(message).await;
    answer.map(tonic::Response::into_inner)
}

fn get(withdrawal: &Withdrawal) -> v1::GetWithdrawalRequest {
    v1::GetWithdrawalRequest {
        withdrawal_id: withdrawal.id.to_string(),
        reference: String::new(),
    }
}

#[tokio::test]
async fn each_role_has_its_own_calls() {
    let scene = Scene::with_both().await;
    let client = scene.deployment.client("pipeline").await.unwrap();
    let withdrawal = scene.withdrawal(&small("roles"));
    for name in ["alice", "auditor", "orchestrator-client"] {
        let channel = connect(&scene, scene.deployment.tls(name).unwrap()).await.unwrap();
        assert_eq!(
            refused(create(channel, &withdrawal).await),
            Tag::CallerNotAllowed,
            "{name}"
        );
    }
    assert_forgotten(&scene, &client).await;
    let pipeline = connect(&scene, scene.deployment.tls("pipeline").unwrap())
        .await
        .unwrap();
    let statement = Some(fields::statement(scene.rejection("bob", &withdrawal).to_bytes()));
    create(pipeline.clone(), &withdrawal).await.unwrap();
    let mut approvals = ApprovalsClient::new(pipeline);
    let sent = approvals
        .submit_statement(v1::SubmitStatementRequest { statement })
        .await;
    assert_eq!(refused(sent), Tag::CallerNotAllowed);
    let listed = approvals
        .list_pending_approvals(v1::ListPendingApprovalsRequest::default())
        .await;
    assert_eq!(refused(listed), Tag::CallerNotAllowed);
}

#[tokio::test]
async fn a_pipeline_sees_its_own_tenant_alone() {
    let scene = Scene::with_both().await;
    let client = scene.deployment.client("pipeline").await.unwrap();
    let other = issue(&scene.deployment, &["countersign://pipeline/other/payout-service"]);
    let other = connect(&scene, other).await.unwrap();
    let ours = scene.withdrawal(&small("ours"));
    // Neither for our tenant with another's certificate, nor for another with ours.
    assert_eq!(refused(create(other.clone(), &ours).await), Tag::CallerNotAllowed);
    let theirs = scene.withdrawal(&Ask {
        tenant: "other",
        ..small("theirs")
    });
    let pipeline = connect(&scene, scene.deployment.tls("pipeline").unwrap())
        .await
        .unwrap();
    assert_eq!(refused(create(pipeline.clone(), &theirs).await), Tag::CallerNotAllowed);
    assert_forgotten(&scene, &client).await;
    create(pipeline, &ours).await.unwrap();
    let mut withdrawals = WithdrawalsClient::new(other.clone());
    assert_eq!(
        refused(withdrawals.get_withdrawal(get(&ours)).await),
        Tag::WithdrawalNotFound
    );
    let listed = withdrawals
        .list_withdrawals(v1::ListWithdrawalsRequest::default())
        .await;
    assert_eq!(listed.unwrap().into_inner().withdrawals, []);
    // With its own certificate the request goes as far as the signer: payout-service initiates for tenant main alone.
    create(other, &theirs).await.unwrap();
    let denied = loop {
        let found = withdrawals.get_withdrawal(get(&theirs)).await.unwrap().into_inner();
        let found = found.withdrawal.unwrap();
        if found.state != i32::from(v1::WithdrawalState::Received) {
            break found;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    assert_eq!(denied.reasons[0].tag, "request/not-initiator");
    scene.assert_unsigned(&theirs).await;
}

#[tokio::test]
async fn a_certificate_names_exactly_one_caller() {
    let scene = Scene::with_both().await;
    let client = scene.deployment.client("pipeline").await.unwrap();
    let withdrawal = scene.withdrawal(&small("names"));
    let pipeline = "countersign://pipeline/main/payout-service";
    let table: [&[&str]; 5] = [
        &[],
        &[pipeline, "countersign://person/alice"],
        &["https://pipeline/main/payout-service"],
        &["countersign://admin/main"],
        &["countersign://pipeline/main/payout-service/x"],
    ];
    for uris in table {
        let channel = connect(&scene, issue(&scene.deployment, uris)).await.unwrap();
        let status = create(channel, &withdrawal).await;
        assert_eq!(refused(status), Tag::CallerUnauthenticated, "{uris:?}");
    }
    assert_forgotten(&scene, &client).await;
    // The same hand-made certificate with the one right name is taken.
    let channel = connect(&scene, issue(&scene.deployment, &[pipeline])).await.unwrap();
    create(channel, &withdrawal).await.unwrap();
}

/// The handshake fails when connecting or at the first call: no answer of ours, so no tag.
#[tokio::test]
async fn another_ca_is_not_believed() {
    let scene = Scene::with_both().await;
    let client = scene.deployment.client("pipeline").await.unwrap();
    let withdrawal = scene.withdrawal(&small("ca"));
    let other = Deployment::init().unwrap();
    let read = |deployment: &Deployment, path: &str| fs::read(deployment.path(path)).unwrap();
    let foreign = Pem {
        ca: read(&scene.deployment, "ca/ca.pem"),
        certificate: read(&other, "tls/pipeline.pem"),
        key: read(&other, "tls/pipeline.key"),
    };
    let anonymous = ClientTlsConfig::new()
        .ca_certificate(tonic::transport::Certificate::from_pem(&foreign.ca))
        .domain_name("localhost");
    for tls in [foreign.client("localhost"), anonymous] {
        if let Ok(channel) = connect(&scene, tls).await {
            let status = create(channel, &withdrawal).await.unwrap_err();
            assert_eq!(tag_of(&status), None, "{status:?}");
        }
    }
    assert_forgotten(&scene, &client).await;
}

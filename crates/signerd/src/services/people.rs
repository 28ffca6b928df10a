//! The second listener: people hand in statements and bundles; they and auditors read the log.

use std::sync::Arc;

use countersign_proto::{
    errors, fields,
    identity::Caller,
    limits::MAX_STATEMENTS,
    signer::v1::{
        ActivateBundleRequest, ActivateBundleResponse, FetchBundlesRequest, FetchBundlesResponse,
        FetchCheckpointRequest, FetchCheckpointResponse, FetchEntriesRequest, FetchEntriesResponse,
        FetchReceiptRequest, FetchReceiptResponse, ListFreezesRequest, ListFreezesResponse, ListProposalsRequest,
        ListProposalsResponse, SubmitStatementRequest, SubmitStatementResponse, people_server::People,
    },
};
use countersign_signer::Signer;
use countersign_types::Tag;
use tonic::{Request, Response, Status};

use super::{run, wire};
use crate::gate::Admitted;

/// The calls of people and auditors.
#[derive(Clone)]
pub struct PeopleService {
    signer: Arc<Signer>,
}

impl PeopleService {
    /// In front of a core.
    pub fn new(signer: Arc<Signer>) -> Self {
        Self { signer }
    }
}

/// Attesters say what must not wait for an orchestrator: a removal, a failed screening, the start of a cool-off.
fn certify_speaker(caller: &Caller) -> Result<(), Status> {
    match caller {
        Caller::Attester(_) => Ok(()),
        Caller::Person(_)
        | Caller::Auditor(_)
        | Caller::Observer(_)
        | Caller::Orchestrator(_)
        | Caller::Pipeline { .. } => certify_writer(caller),
    }
}

/// People and auditors read. The log holds every signature, also those that are kept in: it is not for those who only speak.
fn certify_reader(caller: &Caller) -> Result<(), Status> {
    match caller {
        Caller::Person(_) | Caller::Auditor(_) => Ok(()),
        Caller::Attester(_) | Caller::Observer(_) | Caller::Orchestrator(_) | Caller::Pipeline { .. } => {
            Err(errors::status(
                Tag::CallerNotAllowed,
                format!("`{caller}` may submit statements here and nothing else"),
            ))
        }
    }
}

/// Auditors read.
fn certify_writer(caller: &Caller) -> Result<(), Status> {
    match caller {
        Caller::Person(_) => Ok(()),
        Caller::Auditor(_)
        | Caller::Observer(_)
        | Caller::Attester(_)
        | Caller::Orchestrator(_)
        | Caller::Pipeline { .. } => Err(errors::status(
            Tag::CallerNotAllowed,
            format!("`{caller}` may read here and nothing else"),
        )),
    }
}

#[tonic::async_trait]
impl People for PeopleService {
    async fn submit_statement(
        &self,
        request: Request<SubmitStatementRequest>,
    ) -> Result<Response<SubmitStatementResponse>, Status> {
        let Admitted { caller, place, message } = Admitted::of(request)?;
        certify_speaker(&caller)?;
        let envelope = fields::parse_statement("statement", message.statement)?;
        let signer = Arc::clone(&self.signer);
        let call = async move { signer.record_statement(&envelope).await };
        let acknowledgement = run(place, "submit_statement", call).await?;
        tracing::info!(%caller, "acknowledged a statement");
        Ok(Response::new(SubmitStatementResponse { acknowledgement }))
    }

    async fn activate_bundle(
        &self,
        request: Request<ActivateBundleRequest>,
    ) -> Result<Response<ActivateBundleResponse>, Status> {
        let Admitted { caller, place, message } = Admitted::of(request)?;
        certify_writer(&caller)?;
        let files = wire::parse_files(message.files)?;
        let statements = wire::parse_statements(message.statements, MAX_STATEMENTS)?;
        let signer = Arc::clone(&self.signer);
        let call = async move { signer.activate(files, statements).await };
        let activated = run(place, "activate_bundle", call).await?;
        tracing::info!(%caller, version = activated.version, bundle = %activated.digest, "activated a bundle");
        Ok(Response::new(ActivateBundleResponse {
            version: activated.version,
            bundle_digest: activated.digest.to_string(),
            acknowledgement: activated.acknowledgement,
        }))
    }

    async fn fetch_bundles(
        &self,
        request: Request<FetchBundlesRequest>,
    ) -> Result<Response<FetchBundlesResponse>, Status> {
        let Admitted { caller, place, message } = Admitted::of(request)?;
        certify_reader(&caller)?;
        let signer = Arc::clone(&self.signer);
        let call = async move {
            let (bundles, active_version) = signer.bundles(message.after_version).await?;
            let (page, digests) = wire::bundles_page(bundles);
            Ok((page, active_version, signer.vetoes(&digests).await?))
        };
        let (bundles, active_version, vetoes) = run(place, "fetch_bundles", call).await?;
        Ok(Response::new(FetchBundlesResponse {
            bundles,
            active_version,
            vetoes: vetoes.into_iter().map(wire::seen_statement).collect(),
        }))
    }

    async fn list_proposals(
        &self,
        request: Request<ListProposalsRequest>,
    ) -> Result<Response<ListProposalsResponse>, Status> {
        let Admitted { caller, place, .. } = Admitted::of(request)?;
        certify_reader(&caller)?;
        let signer = Arc::clone(&self.signer);
        let said = run(place, "list_proposals", async move { signer.proposals().await }).await?;
        Ok(Response::new(ListProposalsResponse {
            statements: said.into_iter().map(wire::seen_statement).collect(),
        }))
    }

    async fn fetch_checkpoint(
        &self,
        request: Request<FetchCheckpointRequest>,
    ) -> Result<Response<FetchCheckpointResponse>, Status> {
        let Admitted { caller, place, .. } = Admitted::of(request)?;
        certify_reader(&caller)?;
        let signer = Arc::clone(&self.signer);
        let checkpoint = run(place, "fetch_checkpoint", async move { signer.checkpoint().await }).await?;
        Ok(Response::new(FetchCheckpointResponse { checkpoint }))
    }

    async fn fetch_entries(
        &self,
        request: Request<FetchEntriesRequest>,
    ) -> Result<Response<FetchEntriesResponse>, Status> {
        let Admitted { caller, place, message } = Admitted::of(request)?;
        certify_reader(&caller)?;
        let count = wire::parse_entry_count(message.count)?;
        wire::parse_tree_size(message.tree_size)?;
        let signer = Arc::clone(&self.signer);
        // The checkpoint second: each commit signs one that covers its entries, so that it covers these.
        let call = async move { Ok((signer.entries(message.start, count).await?, signer.checkpoint().await?)) };
        let (entries, checkpoint) = run(place, "fetch_entries", call).await?;
        Ok(Response::new(FetchEntriesResponse {
            entries: wire::entries(message.start, entries),
            checkpoint,
        }))
    }

    async fn fetch_receipt(
        &self,
        request: Request<FetchReceiptRequest>,
    ) -> Result<Response<FetchReceiptResponse>, Status> {
        let Admitted { caller, place, message } = Admitted::of(request)?;
        certify_reader(&caller)?;
        let id = fields::parse_withdrawal_id(&message.withdrawal_id)?;
        let signer = Arc::clone(&self.signer);
        let receipt = run(place, "fetch_receipt", async move { signer.receipt(id).await }).await?;
        Ok(Response::new(FetchReceiptResponse { receipt }))
    }

    async fn list_freezes(
        &self,
        request: Request<ListFreezesRequest>,
    ) -> Result<Response<ListFreezesResponse>, Status> {
        let Admitted { caller, place, .. } = Admitted::of(request)?;
        certify_reader(&caller)?;
        let signer = Arc::clone(&self.signer);
        let list = run(place, "list_freezes", async move { signer.freezes().await }).await?;
        Ok(Response::new(ListFreezesResponse { list }))
    }
}

//! `countersign.v1.Approvals`.

use countersign_proto::{fields, identity::Caller, v1, v1::approvals_server::Approvals};
use tonic::{Request, Response, Status};

use super::{Api, not_allowed, parse_page_token};
use crate::{
    advice::StatementAdvice,
    states::State,
    store::{Found, NewStatement, Scope, StoreError, reads::Filter},
};

/// People, and nobody else.
fn approving(caller: &Caller) -> Result<(), Status> {
    match caller {
        Caller::Person(_) => Ok(()),
        Caller::Pipeline { .. }
        | Caller::Auditor(_)
        | Caller::Observer(_)
        | Caller::Attester(_)
        | Caller::Orchestrator(_) => Err(not_allowed(caller, "use the approvals service")),
    }
}

/// Observers, and nobody else.
fn observing(caller: &Caller) -> Result<(), Status> {
    match caller {
        Caller::Observer(_) => Ok(()),
        Caller::Person(_)
        | Caller::Pipeline { .. }
        | Caller::Auditor(_)
        | Caller::Attester(_)
        | Caller::Orchestrator(_) => Err(not_allowed(caller, "bring observations")),
    }
}

/// Attesters, and nobody else.
fn attesting(caller: &Caller) -> Result<(), Status> {
    match caller {
        Caller::Attester(_) => Ok(()),
        Caller::Person(_)
        | Caller::Pipeline { .. }
        | Caller::Auditor(_)
        | Caller::Observer(_)
        | Caller::Orchestrator(_) => Err(not_allowed(caller, "bring attestations")),
    }
}

fn pending(found: Found) -> v1::PendingApproval {
    v1::PendingApproval {
        withdrawal_id: found.withdrawal.id,
        tenant: found.withdrawal.tenant,
        reference: found.withdrawal.reference,
        missing: found.withdrawal.missing,
        created_at_ms: found.withdrawal.created_at_ms,
    }
}

impl Api {
    /// Stores a statement for the withdrawals that the advice names: its digest.
    async fn file(&self, advice: StatementAdvice, envelope: Vec<u8>, caller: &Caller) -> Result<String, Status> {
        let statement_digest = advice.digest.to_string();
        let new = NewStatement {
            advice,
            envelope,
            submitted_by: caller.to_string(),
            scope: Scope::All,
        };
        self.0.store.add_statement(new).await?;
        Ok(statement_digest)
    }
}

#[tonic::async_trait]
impl Approvals for Api {
    async fn list_pending_approvals(
        &self,
        request: Request<v1::ListPendingApprovalsRequest>,
    ) -> Result<Response<v1::ListPendingApprovalsResponse>, Status> {
        let admitted = self.0.admission.admit(&request)?;
        approving(&admitted.caller)?;
        let message = request.into_inner();
        let filter = Filter {
            scope: Scope::All,
            states: vec![State::PendingApproval, State::Replacing],
            id: None,
            cursor: parse_page_token(&message.page_token)?.unwrap_or_default(),
            rows: fields::parse_page_size(message.page_size)?,
        };
        let page = self.0.store.list_oldest(&filter).await?;
        let last = page.found.last().filter(|_| page.has_more);
        // A replacement may also wait for the signer or for a thaw.
        let waits = |found: &Found| {
            found.withdrawal.state == i32::from(State::PendingApproval.wire()) || !found.withdrawal.missing.is_empty()
        };
        Ok(Response::new(v1::ListPendingApprovalsResponse {
            next_page_token: last.map(|found| found.seq.to_string()).unwrap_or_default(),
            pending: page.found.into_iter().filter(waits).map(pending).collect(),
        }))
    }

    async fn get_approval_task(
        &self,
        request: Request<v1::GetApprovalTaskRequest>,
    ) -> Result<Response<v1::GetApprovalTaskResponse>, Status> {
        let admitted = self.0.admission.admit(&request)?;
        approving(&admitted.caller)?;
        let id = fields::parse_withdrawal_id(&request.into_inner().withdrawal_id)?;
        let found = self.0.store.find(&id, &Scope::All).await?.ok_or(StoreError::NotFound)?;
        let work = self.0.store.work(found.seq).await?.ok_or(StoreError::NotFound)?;
        let statements = work
            .statements
            .into_iter()
            .map(|statement| fields::statement(statement.envelope));
        Ok(Response::new(v1::GetApprovalTaskResponse {
            request: Some(fields::statement(work.request)),
            unsigned_transaction: work.unsigned,
            statements: statements.collect(),
            missing: found.withdrawal.missing,
        }))
    }

    async fn submit_statement(
        &self,
        request: Request<v1::SubmitStatementRequest>,
    ) -> Result<Response<v1::SubmitStatementResponse>, Status> {
        let admitted = self.0.admission.admit(&request)?;
        approving(&admitted.caller)?;
        let envelope = fields::parse_statement("statement", request.into_inner().statement)?;
        let advice = StatementAdvice::parse_decision(&envelope)?;
        let statement_digest = self.file(advice, envelope, &admitted.caller).await?;
        Ok(Response::new(v1::SubmitStatementResponse { statement_digest }))
    }

    async fn submit_observation(
        &self,
        request: Request<v1::SubmitObservationRequest>,
    ) -> Result<Response<v1::SubmitObservationResponse>, Status> {
        let admitted = self.0.admission.admit(&request)?;
        observing(&admitted.caller)?;
        let message = request.into_inner();
        let withdrawal = fields::parse_withdrawal_id(&message.withdrawal_id)?;
        let envelope = fields::parse_statement("statement", message.statement)?;
        let advice = StatementAdvice::parse_observation(&envelope, withdrawal)?;
        let statement_digest = self.file(advice, envelope, &admitted.caller).await?;
        Ok(Response::new(v1::SubmitObservationResponse { statement_digest }))
    }
    async fn submit_attestation(
        &self,
        request: Request<v1::SubmitAttestationRequest>,
    ) -> Result<Response<v1::SubmitAttestationResponse>, Status> {
        let admitted = self.0.admission.admit(&request)?;
        attesting(&admitted.caller)?;
        let message = request.into_inner();
        let withdrawal = fields::parse_withdrawal_id(&message.withdrawal_id)?;
        let envelope = fields::parse_statement("statement", message.statement)?;
        let advice = StatementAdvice::parse_attestation(&envelope, withdrawal)?;
        let statement_digest = self.file(advice, envelope, &admitted.caller).await?;
        Ok(Response::new(v1::SubmitAttestationResponse { statement_digest }))
    }
}

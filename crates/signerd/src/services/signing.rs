//! The first listener: everything that arrives is assumed hostile.

use std::sync::Arc;

use countersign_proto::{
    fields::{self, FieldError},
    limits::{MAX_STATEMENTS, MAX_STATEMENTS_TOTAL_BYTES},
    signer::v1::{
        AuthorizeRequest, AuthorizeResponse, EvaluateRequest, EvaluateResponse, FetchReceiptRequest,
        FetchReceiptResponse, RecordStatementRequest, RecordStatementResponse, signing_server::Signing,
    },
};
use countersign_signer::{Answer, Signer, Submission};
use tonic::{Request, Response, Status};

use super::{run, wire};
use crate::gate::Admitted;

/// The calls of orchestrators.
#[derive(Clone)]
pub struct SigningService {
    signer: Arc<Signer>,
}

impl SigningService {
    /// In front of a core.
    pub fn new(signer: Arc<Signer>) -> Self {
        Self { signer }
    }
}

/// Fields within their bounds. What they hold is the core's business.
fn parse_submission(message: AuthorizeRequest) -> Result<Submission, Status> {
    let request = fields::parse_statement("request", message.request)?;
    let unsigned = fields::parse_transaction(message.unsigned_transaction)?;
    let statements = wire::parse_statements(message.statements, MAX_STATEMENTS)?;
    let size = statements.iter().map(Vec::len).fold(0, usize::saturating_add);
    if size > MAX_STATEMENTS_TOTAL_BYTES {
        return Err(FieldError::TooLarge {
            field: "statements",
            size,
            max: MAX_STATEMENTS_TOTAL_BYTES,
        }
        .into());
    }
    Ok(Submission {
        request,
        unsigned,
        statements,
    })
}

/// What an operator follows. Pending withdrawals are asked about again and again, and are left out.
fn log_answer(caller: &dyn std::fmt::Display, answer: &Answer) {
    match answer {
        Answer::Signed {
            transaction, attempt, ..
        } => {
            tracing::info!(%caller, txid = transaction.txid, attempt, "released a signed transaction");
        }
        Answer::Denied { reasons, is_final, .. } => {
            tracing::info!(%caller, is_final, tags = wire::tags(reasons), "denied a withdrawal");
        }
        Answer::Malformed { reasons, .. } => {
            tracing::info!(%caller, tags = wire::tags(reasons), "did not understand a transaction");
        }
        Answer::Allowed { .. } | Answer::Pending { .. } => {}
    }
}

#[tonic::async_trait]
impl Signing for SigningService {
    async fn authorize(&self, request: Request<AuthorizeRequest>) -> Result<Response<AuthorizeResponse>, Status> {
        let Admitted { caller, place, message } = Admitted::of(request)?;
        let submission = parse_submission(message)?;
        let signer = Arc::clone(&self.signer);
        let answer = run(place, "authorize", async move { signer.authorize(submission).await }).await?;
        log_answer(&caller, &answer);
        Ok(Response::new(wire::authorize_response(answer)?))
    }

    async fn evaluate(&self, request: Request<EvaluateRequest>) -> Result<Response<EvaluateResponse>, Status> {
        let Admitted { place, message, .. } = Admitted::of(request)?;
        let missing = FieldError::Missing { field: "authorize" };
        let submission = parse_submission(message.authorize.ok_or(missing)?)?;
        let signer = Arc::clone(&self.signer);
        let answer = run(place, "evaluate", async move { signer.evaluate(submission).await }).await?;
        Ok(Response::new(wire::evaluate_response(answer)?))
    }

    async fn record_statement(
        &self,
        request: Request<RecordStatementRequest>,
    ) -> Result<Response<RecordStatementResponse>, Status> {
        let Admitted { caller, place, message } = Admitted::of(request)?;
        let envelope = fields::parse_statement("statement", message.statement)?;
        let signer = Arc::clone(&self.signer);
        let call = async move { signer.record_statement(&envelope).await };
        let acknowledgement = run(place, "record_statement", call).await?;
        tracing::info!(%caller, "acknowledged a statement");
        Ok(Response::new(RecordStatementResponse { acknowledgement }))
    }

    async fn fetch_receipt(
        &self,
        request: Request<FetchReceiptRequest>,
    ) -> Result<Response<FetchReceiptResponse>, Status> {
        let Admitted { place, message, .. } = Admitted::of(request)?;
        let id = fields::parse_withdrawal_id(&message.withdrawal_id)?;
        let signer = Arc::clone(&self.signer);
        let call = async move { signer.released_receipt(id).await };
        let receipt = run(place, "fetch_receipt", call).await?;
        Ok(Response::new(FetchReceiptResponse { receipt }))
    }
}

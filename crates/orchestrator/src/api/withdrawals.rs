//! `countersign.v1.Withdrawals`.

use std::pin::Pin;

use countersign_proto::{errors, fields, identity::Caller, v1, v1::withdrawals_server::Withdrawals};
use countersign_types::{Reference, Tag, TenantId, WithdrawalId};
use tokio::{sync::broadcast, time::timeout};
use tokio_stream::Stream;
use tonic::{Request, Response, Status};

use super::{Api, missing, not_allowed, parse_page_token, reading, watch};
use crate::{
    advice::{AdviceError, RequestAdvice, StatementAdvice},
    states::State,
    store::{
        Answer, Found, NewAttempt, NewStatement, NewWithdrawal, News, Scope, StoreError,
        reads::{Filter, Page},
    },
};

impl From<AdviceError> for Status {
    fn from(error: AdviceError) -> Self {
        errors::status(error.tag(), error.to_string())
    }
}

/// The tenant of a pipeline; nobody else creates withdrawals.
fn creating(caller: &Caller) -> Result<&TenantId, Status> {
    match caller {
        Caller::Pipeline { tenant, .. } => Ok(tenant),
        Caller::Person(_)
        | Caller::Auditor(_)
        | Caller::Observer(_)
        | Caller::Attester(_)
        | Caller::Orchestrator(_) => Err(not_allowed(caller, "create withdrawals")),
    }
}

fn cancelling(caller: &Caller) -> Result<Scope, Status> {
    match caller {
        Caller::Pipeline { tenant, .. } => Ok(Scope::Tenant(tenant.clone())),
        Caller::Person(_) => Ok(Scope::All),
        Caller::Auditor(_) | Caller::Observer(_) | Caller::Attester(_) | Caller::Orchestrator(_) => {
            Err(not_allowed(caller, "cancel withdrawals"))
        }
    }
}

/// Which withdrawals a caller may bring attempts for. A person brings one with the ceiling that they raise: whether they may, the
/// signer knows, and an attempt without a word of theirs is the pipeline's to bring.
fn replacing_in(caller: &Caller, is_raised: bool) -> Result<Scope, Status> {
    match caller {
        Caller::Pipeline { tenant, .. } => Ok(Scope::Tenant(tenant.clone())),
        Caller::Person(_) if is_raised => Ok(Scope::All),
        Caller::Person(_) => Err(not_allowed(
            caller,
            "replace transactions without raising their fee ceiling",
        )),
        Caller::Auditor(_) | Caller::Observer(_) | Caller::Attester(_) | Caller::Orchestrator(_) => {
            Err(not_allowed(caller, "replace transactions"))
        }
    }
}

/// A replace statement that is about the withdrawal of its attempt.
fn replacing(
    caller: &Caller,
    (id, scope): (&WithdrawalId, &Scope),
    statement: v1::Statement,
) -> Result<NewStatement, Status> {
    let envelope = fields::parse_statement("replace", Some(statement))?;
    let advice = StatementAdvice::parse_replace(&envelope)?;
    if advice.withdrawals != [*id] {
        let message = format!("the replace statement is not about `{id}`");
        return Err(errors::status(Tag::ApprovalOtherWithdrawal, message));
    }
    Ok(NewStatement {
        advice,
        envelope,
        submitted_by: caller.to_string(),
        scope: scope.clone(),
    })
}

impl Api {
    async fn found(&self, id: &WithdrawalId, scope: &Scope) -> Result<Found, Status> {
        let found = self.0.store.find(id, scope).await?;
        found.ok_or_else(|| StoreError::NotFound.into())
    }

    async fn create(&self, caller: &Caller, message: v1::CreateWithdrawalRequest) -> Result<v1::Withdrawal, Status> {
        let tenant = creating(caller)?;
        let request = fields::parse_statement("request", message.request)?;
        let unsigned = fields::parse_transaction(message.unsigned_transaction)?;
        let advice = RequestAdvice::parse(&request)?;
        if advice.tenant != *tenant {
            return Err(not_allowed(
                caller,
                &format!("create withdrawals of tenant `{}`", advice.tenant),
            ));
        }
        if *self.0.depth.borrow() >= self.0.open_withdrawals {
            let message = "too many withdrawals wait for their decision; try again later";
            return Err(errors::status(Tag::CallerRateLimited, message));
        }
        let id = advice.id;
        self.0
            .store
            .create(NewWithdrawal {
                advice,
                request,
                unsigned,
            })
            .await?;
        Ok(self.found(&id, &Scope::All).await?.withdrawal)
    }

    async fn add(&self, caller: &Caller, message: v1::AddAttemptRequest) -> Result<v1::Withdrawal, Status> {
        let scope = replacing_in(caller, message.replace.is_some())?;
        let id = fields::parse_withdrawal_id(&message.withdrawal_id)?;
        let unsigned = fields::parse_transaction(message.unsigned_transaction)?;
        let statement = match message.replace {
            Some(statement) => Some(replacing(caller, (&id, &scope), statement)?),
            None => None,
        };
        self.0
            .store
            .add_attempt(NewAttempt {
                id,
                scope: scope.clone(),
                unsigned,
                statement,
            })
            .await?;
        Ok(self.found(&id, &scope).await?.withdrawal)
    }

    /// Stores a cancel, and the cancel attempt where it comes with one: the statement's row and the withdrawal.
    async fn add_cancel(
        &self,
        caller: &Caller,
        message: v1::CancelWithdrawalRequest,
    ) -> Result<(i64, WithdrawalId), Status> {
        let scope = cancelling(caller)?;
        let envelope = fields::parse_statement("cancel", message.cancel)?;
        let unsigned = match message.unsigned_transaction {
            bytes if bytes.is_empty() => None,
            bytes => Some(fields::parse_transaction(bytes)?),
        };
        let advice = match unsigned {
            None => StatementAdvice::parse_cancel(&envelope)?,
            Some(_) => StatementAdvice::parse_cancel_of_signed(&envelope)?,
        };
        let id = advice.withdrawals.first().copied().ok_or(StoreError::NotFound)?;
        let statement = NewStatement {
            advice,
            envelope,
            submitted_by: caller.to_string(),
            scope: scope.clone(),
        };
        let statement = match unsigned {
            None => self.0.store.add_statement(statement).await?,
            Some(unsigned) => {
                let attempt = NewAttempt {
                    id,
                    scope,
                    unsigned,
                    statement: Some(statement),
                };
                let filed = self.0.store.add_attempt(attempt).await?;
                filed.ok_or(StoreError::Corrupt("statement"))?
            }
        };
        Ok((statement, id))
    }

    /// Waits until the signer has said something about a cancel, at most as long as a call may take.
    async fn await_cancel(
        &self,
        mut news: broadcast::Receiver<News>,
        statement: i64,
        id: &WithdrawalId,
    ) -> Result<v1::Withdrawal, Status> {
        let settled = async {
            loop {
                if let Some(settled) = self.cancel_outcome(statement, id).await? {
                    return Ok(settled);
                }
                await_news(&mut news, statement, id).await?;
            }
        };
        // Less than the call's own bound, so that the answer below still arrives.
        let patience = self.0.call_timeout.mul_f32(0.8);
        if let Ok(settled) = timeout(patience, settled).await {
            return settled;
        }
        match self.0.store.statement(statement).await?.answer {
            Some(_) => Ok(self.found(id, &Scope::All).await?.withdrawal),
            None => {
                let message = "the cancel is stored and will be passed on; the signer has not acknowledged it";
                Err(errors::status(Tag::SignerUnavailable, message))
            }
        }
    }

    async fn cancel_outcome(&self, statement: i64, id: &WithdrawalId) -> Result<Option<v1::Withdrawal>, Status> {
        match self.0.store.statement(statement).await?.answer {
            None => {
                // Heard with the first decision: there is no acknowledgement of its own.
                let withdrawal = self.found(id, &Scope::All).await?.withdrawal;
                Ok((withdrawal.state() == v1::WithdrawalState::Cancelled).then_some(withdrawal))
            }
            Some(Answer::Refused { tag, message }) => Err(errors::status(tag, message)),
            Some(Answer::Acknowledged(_)) => {
                let found = self.found(id, &Scope::All).await?;
                let state = fields::parse_state(found.withdrawal.state)?;
                let is_open = State::from_wire(state).is_some_and(State::is_open);
                Ok((!is_open).then_some(found.withdrawal))
            }
        }
    }
}

/// Returns when something about the statement or the withdrawal became durable, or may have.
async fn await_news(news: &mut broadcast::Receiver<News>, statement: i64, id: &WithdrawalId) -> Result<(), StoreError> {
    loop {
        match news.recv().await {
            Ok(News::Answered { statement: found }) if found == statement => return Ok(()),
            Ok(News::Changed { id: found, .. }) if found == *id => return Ok(()),
            Ok(News::Answered { .. } | News::Changed { .. }) => {}
            Err(broadcast::error::RecvError::Lagged(_)) => return Ok(()),
            Err(broadcast::error::RecvError::Closed) => return Err(StoreError::Closing),
        }
    }
}

fn list_response(page: Page) -> v1::ListWithdrawalsResponse {
    let last = page.found.last().filter(|_| page.has_more);
    v1::ListWithdrawalsResponse {
        next_page_token: last.map(|found| found.seq.to_string()).unwrap_or_default(),
        withdrawals: page.found.into_iter().map(|found| found.withdrawal).collect(),
    }
}

#[tonic::async_trait]
impl Withdrawals for Api {
    type WatchWithdrawalsStream = Pin<Box<dyn Stream<Item = Result<v1::WatchWithdrawalsResponse, Status>> + Send>>;

    async fn create_withdrawal(
        &self,
        request: Request<v1::CreateWithdrawalRequest>,
    ) -> Result<Response<v1::CreateWithdrawalResponse>, Status> {
        let admitted = self.0.admission.admit(&request)?;
        let withdrawal = Some(self.create(&admitted.caller, request.into_inner()).await?);
        Ok(Response::new(v1::CreateWithdrawalResponse { withdrawal }))
    }

    async fn add_attempt(
        &self,
        request: Request<v1::AddAttemptRequest>,
    ) -> Result<Response<v1::AddAttemptResponse>, Status> {
        let admitted = self.0.admission.admit(&request)?;
        let withdrawal = Some(self.add(&admitted.caller, request.into_inner()).await?);
        Ok(Response::new(v1::AddAttemptResponse { withdrawal }))
    }

    async fn get_withdrawal(
        &self,
        request: Request<v1::GetWithdrawalRequest>,
    ) -> Result<Response<v1::GetWithdrawalResponse>, Status> {
        let admitted = self.0.admission.admit(&request)?;
        let scope = reading(&admitted.caller)?;
        let message = request.into_inner();
        let found = if message.withdrawal_id.is_empty() && !message.reference.is_empty() {
            let Scope::Tenant(tenant) = &scope else {
                return Err(missing("withdrawal_id"));
            };
            let reference = Reference::parse(message.reference);
            let bad = |source| fields::FieldError::BadId {
                field: "reference",
                source,
            };
            let reference = reference.map_err(bad)?;
            let found = self.0.store.find_reference(tenant.as_str(), reference.as_str()).await?;
            found.ok_or(StoreError::NotFound)?
        } else {
            self.found(&fields::parse_withdrawal_id(&message.withdrawal_id)?, &scope)
                .await?
        };
        let withdrawal = Some(found.withdrawal);
        Ok(Response::new(v1::GetWithdrawalResponse { withdrawal }))
    }

    async fn list_withdrawals(
        &self,
        request: Request<v1::ListWithdrawalsRequest>,
    ) -> Result<Response<v1::ListWithdrawalsResponse>, Status> {
        let admitted = self.0.admission.admit(&request)?;
        let scope = reading(&admitted.caller)?;
        let message = request.into_inner();
        let states: Result<Vec<_>, _> = message.states.into_iter().map(fields::parse_state).collect();
        let filter = Filter {
            scope,
            states: states?.into_iter().filter_map(State::from_wire).collect(),
            id: None,
            cursor: parse_page_token(&message.page_token)?.unwrap_or(i64::MAX),
            rows: fields::parse_page_size(message.page_size)?,
        };
        let page = self.0.store.list(&filter).await?;
        Ok(Response::new(list_response(page)))
    }

    async fn watch_withdrawals(
        &self,
        request: Request<v1::WatchWithdrawalsRequest>,
    ) -> Result<Response<Self::WatchWithdrawalsStream>, Status> {
        let admitted = self.0.admission.admit(&request)?;
        let scope = reading(&admitted.caller)?;
        let message = request.into_inner();
        let id = match message.withdrawal_id.as_str() {
            "" => None,
            text => Some(fields::parse_withdrawal_id(text)?),
        };
        if let Some(id) = &id {
            self.found(id, &scope).await?;
        }
        let stream = watch::start(&self.0, scope, id, message.after_revision)?;
        Ok(Response::new(Box::pin(stream)))
    }

    async fn cancel_withdrawal(
        &self,
        request: Request<v1::CancelWithdrawalRequest>,
    ) -> Result<Response<v1::CancelWithdrawalResponse>, Status> {
        let admitted = self.0.admission.admit(&request)?;
        let news = self.0.store.subscribe();
        let (statement, id) = self.add_cancel(&admitted.caller, request.into_inner()).await?;
        let withdrawal = Some(self.await_cancel(news, statement, &id).await?);
        Ok(Response::new(v1::CancelWithdrawalResponse { withdrawal }))
    }

    async fn get_receipt(
        &self,
        request: Request<v1::GetReceiptRequest>,
    ) -> Result<Response<v1::GetReceiptResponse>, Status> {
        let admitted = self.0.admission.admit(&request)?;
        let scope = reading(&admitted.caller)?;
        let id = fields::parse_withdrawal_id(&request.into_inner().withdrawal_id)?;
        self.found(&id, &scope).await?;
        let receipt = self.0.signer.receipt(&id).await?;
        Ok(Response::new(v1::GetReceiptResponse { receipt }))
    }
}

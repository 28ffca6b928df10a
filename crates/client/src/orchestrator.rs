//! The public API.

use std::time::Duration;

use countersign_approval::{Envelope, Kind};
use countersign_proto::{
    fields,
    limits::MAX_RESPONSE_BYTES,
    v1::{self, approvals_client::ApprovalsClient, withdrawals_client::WithdrawalsClient},
};
use countersign_types::{Reference, StatementDigest, Tag, WithdrawalId};
use tokio::time::{Instant, sleep, timeout_at};
use tonic::{Streaming, transport::Channel};

use crate::{
    ClientError, Endpoint, MissingApprovals, PendingApproval, Reason, State, Withdrawal,
    call::{Repeat::Allowed, call},
};

/// The pause before a broken watch is opened again.
const REOPEN_PAUSE: Duration = Duration::from_millis(250);

/// What a caller waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// The signer's first answer, which may be that approvals are missing.
    Answered,
    /// A state in which nothing happens by itself any more.
    Decided,
}

impl Until {
    fn holds(self, withdrawal: &Withdrawal) -> bool {
        match withdrawal.state {
            State::Received => false,
            State::PendingApproval | State::Frozen => self == Self::Answered,
            // The orchestrator forgets what was said of the attempt before, and says why the signer does not answer.
            State::Replacing => self == Self::Answered && withdrawal.reasons.iter().any(is_answer),
            // The orchestrator asks again by itself: once the nonce before its own is signed it is decided.
            State::Refused => self == Self::Answered || !withdrawal.reasons.iter().any(is_gap),
            State::Malformed | State::Signed | State::Denied | State::Cancelled | State::Expired => true,
        }
    }
}

fn is_gap(reason: &Reason) -> bool {
    reason.known_tag() == Some(Tag::ConflictKeyGap)
}

/// Whether it is a reason of a decision, and not why there is none.
fn is_answer(reason: &Reason) -> bool {
    reason.known_tag().is_none_or(Tag::is_answer)
}

/// One page of withdrawals.
#[derive(Debug, Clone, PartialEq)]
pub struct ListPage {
    /// Newest first.
    pub withdrawals: Vec<Withdrawal>,
    /// For the next page.
    pub next: Option<String>,
}

/// One page of the inbox.
#[derive(Debug, Clone, PartialEq)]
pub struct PendingPage {
    /// Oldest first.
    pub pending: Vec<PendingApproval>,
    /// For the next page.
    pub next: Option<String>,
}

/// What an approver needs to decide for themselves. Only that the request is that of the withdrawal was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalTask {
    /// The initiator's request; its digest is the withdrawal's id.
    pub request: Envelope,
    /// The bytes of the latest attempt.
    pub unsigned_transaction: Vec<u8>,
    /// Statements so far, as far as they are statements.
    pub statements: Vec<Envelope>,
    /// How many others came: whoever may send statements may send nonsense, and must not hide the rest by it.
    pub unreadable_statements: usize,
    /// What the signer last missed.
    pub missing: Vec<MissingApprovals>,
}

/// A connection to an orchestrator; cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    withdrawals: WithdrawalsClient<Channel>,
    approvals: ApprovalsClient<Channel>,
    timeout: Duration,
}

fn statement(envelope: &Envelope) -> Option<v1::Statement> {
    Some(fields::statement(envelope.to_bytes()))
}

fn next(token: String) -> Option<String> {
    (!token.is_empty()).then_some(token)
}

fn expect_kind(envelope: &Envelope, expected: Kind) -> Result<(), ClientError> {
    let found = envelope.kind();
    if found == expected {
        Ok(())
    } else {
        Err(ClientError::WrongKind { expected, found })
    }
}

/// A price, a screening or an address-book entry.
fn expect_attestation(envelope: &Envelope) -> Result<(), ClientError> {
    match envelope.kind() {
        Kind::Price | Kind::Screening | Kind::AddressBook => Ok(()),
        found @ (Kind::Request
        | Kind::Approval
        | Kind::Rejection
        | Kind::Cancel
        | Kind::Activation
        | Kind::Observation
        | Kind::Freeze
        | Kind::Thaw
        | Kind::Veto
        | Kind::Replace) => Err(ClientError::WrongKind {
            expected: Kind::Price,
            found,
        }),
    }
}

/// The withdrawal that a request is.
fn id_of(request: &Envelope) -> Result<WithdrawalId, ClientError> {
    let digest = request.request_digest().ok_or(ClientError::WrongKind {
        expected: Kind::Request,
        found: request.kind(),
    })?;
    Ok(WithdrawalId::of(digest))
}

impl Client {
    /// Connects, and so tells a wrong address or certificate from a refusal.
    pub async fn connect(endpoint: &Endpoint) -> Result<Self, ClientError> {
        let channel = endpoint.connect().await?;
        Ok(Self {
            withdrawals: WithdrawalsClient::new(channel.clone()).max_decoding_message_size(MAX_RESPONSE_BYTES),
            approvals: ApprovalsClient::new(channel).max_decoding_message_size(MAX_RESPONSE_BYTES),
            timeout: endpoint.timeout,
        })
    }

    /// Submits a request with its first transaction; durable when this returns. May be repeated.
    pub async fn submit(&self, request: &Envelope, unsigned: &[u8]) -> Result<Withdrawal, ClientError> {
        let id = id_of(request)?;
        let message = v1::CreateWithdrawalRequest {
            request: statement(request),
            unsigned_transaction: unsigned.to_vec(),
        };
        let answer = call(self.timeout, Allowed, || {
            let (mut client, message) = (self.withdrawals.clone(), message.clone());
            async move { client.create_withdrawal(message).await }
        });
        Withdrawal::parse(answer.await?.withdrawal)?.expect(&id)
    }

    /// Submits and waits for the outcome, at most as long as `patience`.
    pub async fn submit_and_wait(
        &self,
        request: &Envelope,
        unsigned: &[u8],
        until: Until,
        patience: Duration,
    ) -> Result<Withdrawal, ClientError> {
        let withdrawal = self.submit(request, unsigned).await?;
        if until.holds(&withdrawal) {
            return Ok(withdrawal);
        }
        self.wait(&withdrawal.id, until, patience).await
    }

    /// Waits for a state, over broken connections too, at most as long as `patience`.
    pub async fn wait(&self, id: &WithdrawalId, until: Until, patience: Duration) -> Result<Withdrawal, ClientError> {
        let deadline = Instant::now().checked_add(patience).unwrap_or_else(Instant::now);
        let mut last = None;
        loop {
            match timeout_at(deadline, self.follow(id, until, &mut last)).await {
                Ok(Ok(withdrawal)) => return Ok(withdrawal),
                Ok(Err(error)) if !error.is_passing() => return Err(error),
                Ok(Err(_)) => {}
                Err(_) => return Err(ClientError::NotDecided { last }),
            }
            if timeout_at(deadline, sleep(REOPEN_PAUSE)).await.is_err() {
                return Err(ClientError::NotDecided { last });
            }
        }
    }

    async fn follow(
        &self,
        id: &WithdrawalId,
        until: Until,
        last: &mut Option<Box<Withdrawal>>,
    ) -> Result<Withdrawal, ClientError> {
        let mut changes = self.watch(Some(id), 0).await?;
        loop {
            let withdrawal = changes.next().await?.expect(id)?;
            if until.holds(&withdrawal) {
                return Ok(withdrawal);
            }
            *last = Some(Box::new(withdrawal));
        }
    }

    /// Changes behind a revision, as they become durable.
    pub async fn watch(&self, id: Option<&WithdrawalId>, after_revision: u64) -> Result<Changes, ClientError> {
        let message = v1::WatchWithdrawalsRequest {
            withdrawal_id: id.map(ToString::to_string).unwrap_or_default(),
            after_revision,
        };
        let stream = call(self.timeout, Allowed, || {
            let (mut client, message) = (self.withdrawals.clone(), message.clone());
            async move { client.watch_withdrawals(message).await }
        });
        Ok(Changes(stream.await?))
    }

    /// Adds another transaction under a request. May be repeated.
    pub async fn add_attempt(&self, id: &WithdrawalId, unsigned: &[u8]) -> Result<Withdrawal, ClientError> {
        self.add(id, unsigned, None).await
    }

    /// The same with the statement that raises the fee ceiling for it: both are durable when this returns. May be repeated.
    pub async fn replace(
        &self,
        id: &WithdrawalId,
        unsigned: &[u8],
        raise: &Envelope,
    ) -> Result<Withdrawal, ClientError> {
        expect_kind(raise, Kind::Replace)?;
        self.add(id, unsigned, statement(raise)).await
    }

    async fn add(
        &self,
        id: &WithdrawalId,
        unsigned: &[u8],
        replace: Option<v1::Statement>,
    ) -> Result<Withdrawal, ClientError> {
        let message = v1::AddAttemptRequest {
            withdrawal_id: id.to_string(),
            unsigned_transaction: unsigned.to_vec(),
            replace,
        };
        let answer = call(self.timeout, Allowed, || {
            let (mut client, message) = (self.withdrawals.clone(), message.clone());
            async move { client.add_attempt(message).await }
        });
        Withdrawal::parse(answer.await?.withdrawal)?.expect(id)
    }

    /// One withdrawal.
    pub async fn withdrawal(&self, id: &WithdrawalId) -> Result<Withdrawal, ClientError> {
        let message = v1::GetWithdrawalRequest {
            withdrawal_id: id.to_string(),
            reference: String::new(),
        };
        self.read(message).await?.expect(id)
    }

    /// One withdrawal of the caller's tenant.
    pub async fn withdrawal_of(&self, reference: &Reference) -> Result<Withdrawal, ClientError> {
        let message = v1::GetWithdrawalRequest {
            withdrawal_id: String::new(),
            reference: reference.to_string(),
        };
        let withdrawal = self.read(message).await?;
        if withdrawal.reference == *reference {
            return Ok(withdrawal);
        }
        Err(ClientError::OtherSubject {
            expected: reference.to_string(),
            found: withdrawal.reference.to_string(),
        })
    }

    async fn read(&self, message: v1::GetWithdrawalRequest) -> Result<Withdrawal, ClientError> {
        let answer = call(self.timeout, Allowed, || {
            let (mut client, message) = (self.withdrawals.clone(), message.clone());
            async move { client.get_withdrawal(message).await }
        });
        Withdrawal::parse(answer.await?.withdrawal)
    }

    /// A page of withdrawals in the given states (all, if none is given). `page` is empty or from the page before.
    pub async fn list(&self, states: &[State], rows: u32, page: &str) -> Result<ListPage, ClientError> {
        let message = v1::ListWithdrawalsRequest {
            states: states.iter().map(|state| state.wire().into()).collect(),
            page_size: rows,
            page_token: page.to_owned(),
        };
        let answer = call(self.timeout, Allowed, || {
            let (mut client, message) = (self.withdrawals.clone(), message.clone());
            async move { client.list_withdrawals(message).await }
        });
        let answer = answer.await?;
        let withdrawals: Result<Vec<_>, _> = answer
            .withdrawals
            .into_iter()
            .map(|wire| Withdrawal::parse(Some(wire)))
            .collect();
        Ok(ListPage {
            withdrawals: withdrawals?,
            next: next(answer.next_page_token),
        })
    }

    /// Passes a cancel on; returns once the signer has journaled it and decided. May be repeated.
    pub async fn cancel(&self, cancel: &Envelope) -> Result<Withdrawal, ClientError> {
        self.pass_cancel(cancel, &[]).await
    }

    /// The same with a cancel attempt, which takes the place of what is signed and pays nobody: the cancel names the most that its fee
    /// may be. Both are durable when this returns, and the cancel is journaled; wait for the decision. May be repeated.
    pub async fn cancel_with(
        &self,
        id: &WithdrawalId,
        unsigned: &[u8],
        cancel: &Envelope,
    ) -> Result<Withdrawal, ClientError> {
        self.pass_cancel(cancel, unsigned).await?.expect(id)
    }

    async fn pass_cancel(&self, cancel: &Envelope, unsigned: &[u8]) -> Result<Withdrawal, ClientError> {
        expect_kind(cancel, Kind::Cancel)?;
        let message = v1::CancelWithdrawalRequest {
            cancel: statement(cancel),
            unsigned_transaction: unsigned.to_vec(),
        };
        let answer = call(self.timeout, Allowed, || {
            let (mut client, message) = (self.withdrawals.clone(), message.clone());
            async move { client.cancel_withdrawal(message).await }
        });
        Withdrawal::parse(answer.await?.withdrawal)
    }

    /// The receipt file. Verify it; nothing in it was checked here.
    pub async fn receipt(&self, id: &WithdrawalId) -> Result<Vec<u8>, ClientError> {
        let withdrawal_id = id.to_string();
        let answer = call(self.timeout, Allowed, || {
            let (mut client, withdrawal_id) = (self.withdrawals.clone(), withdrawal_id.clone());
            async move { client.get_receipt(v1::GetReceiptRequest { withdrawal_id }).await }
        });
        Ok(answer.await?.receipt)
    }

    /// A page of the inbox.
    pub async fn pending(&self, rows: u32, page: &str) -> Result<PendingPage, ClientError> {
        let message = v1::ListPendingApprovalsRequest {
            page_size: rows,
            page_token: page.to_owned(),
        };
        let answer = call(self.timeout, Allowed, || {
            let (mut client, message) = (self.approvals.clone(), message.clone());
            async move { client.list_pending_approvals(message).await }
        });
        let answer = answer.await?;
        Ok(PendingPage {
            pending: answer.pending,
            next: next(answer.next_page_token),
        })
    }

    /// What is needed to decide one withdrawal; the request is the one that the id names.
    pub async fn approval_task(&self, id: &WithdrawalId) -> Result<ApprovalTask, ClientError> {
        let withdrawal_id = id.to_string();
        let answer = call(self.timeout, Allowed, || {
            let (mut client, withdrawal_id) = (self.approvals.clone(), withdrawal_id.clone());
            async move {
                client
                    .get_approval_task(v1::GetApprovalTaskRequest { withdrawal_id })
                    .await
            }
        });
        let answer = answer.await?;
        let request = answer.request.ok_or(ClientError::BadAnswer { field: "request" })?;
        let request = Envelope::parse(&request.envelope)?;
        let found = id_of(&request)?;
        if found != *id {
            let (expected, found) = (id.to_string(), found.to_string());
            return Err(ClientError::OtherSubject { expected, found });
        }
        let parsed = answer
            .statements
            .iter()
            .filter_map(|statement| Envelope::parse(&statement.envelope).ok());
        let statements: Vec<Envelope> = parsed.collect();
        Ok(ApprovalTask {
            request,
            unsigned_transaction: answer.unsigned_transaction,
            unreadable_statements: answer.statements.len().saturating_sub(statements.len()),
            statements,
            missing: answer.missing,
        })
    }

    /// Sends an approval or a rejection; durable at the orchestrator when this returns. May be repeated.
    pub async fn send_statement(&self, envelope: &Envelope) -> Result<StatementDigest, ClientError> {
        let message = v1::SubmitStatementRequest {
            statement: statement(envelope),
        };
        let answer = call(self.timeout, Allowed, || {
            let (mut client, message) = (self.approvals.clone(), message.clone());
            async move { client.submit_statement(message).await }
        });
        same_digest(envelope, answer.await?.statement_digest)
    }

    /// Brings an observation for a withdrawal, as an observer; durable at the orchestrator when this returns. May be repeated.
    pub async fn send_observation(
        &self,
        id: &WithdrawalId,
        envelope: &Envelope,
    ) -> Result<StatementDigest, ClientError> {
        expect_kind(envelope, Kind::Observation)?;
        let message = v1::SubmitObservationRequest {
            withdrawal_id: id.to_string(),
            statement: statement(envelope),
        };
        let answer = call(self.timeout, Allowed, || {
            let (mut client, message) = (self.approvals.clone(), message.clone());
            async move { client.submit_observation(message).await }
        });
        same_digest(envelope, answer.await?.statement_digest)
    }
}

impl Client {
    /// Brings a price, a screening or an address-book entry for a withdrawal, as an attester; durable at the orchestrator when this
    /// returns. May be repeated.
    pub async fn send_attestation(
        &self,
        id: &WithdrawalId,
        envelope: &Envelope,
    ) -> Result<StatementDigest, ClientError> {
        expect_attestation(envelope)?;
        let message = v1::SubmitAttestationRequest {
            withdrawal_id: id.to_string(),
            statement: statement(envelope),
        };
        let answer = call(self.timeout, Allowed, || {
            let (mut client, message) = (self.approvals.clone(), message.clone());
            async move { client.submit_attestation(message).await }
        });
        same_digest(envelope, answer.await?.statement_digest)
    }
}

/// The digest of what was sent, if the answer is about it.
fn same_digest(sent: &Envelope, found: String) -> Result<StatementDigest, ClientError> {
    let expected = sent.statement_digest();
    if found == expected.to_string() {
        return Ok(expected);
    }
    let expected = expected.to_string();
    Err(ClientError::OtherSubject { expected, found })
}

/// An open watch.
#[derive(Debug)]
pub struct Changes(Streaming<v1::WatchWithdrawalsResponse>);

impl Changes {
    /// The next change; waits for it as long as it takes. The end of the stream is [`ClientError::NoAnswer`].
    pub async fn next(&mut self) -> Result<Withdrawal, ClientError> {
        let change = self.0.message().await?;
        let ended = || ClientError::NoAnswer {
            code: tonic::Code::Unavailable,
            message: "the stream has ended".to_owned(),
            is_sent: false,
        };
        Withdrawal::parse(change.ok_or_else(ended)?.withdrawal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::withdrawal::tests::wire;

    #[test]
    fn whoever_waits_waits_for_what_happens_by_itself() {
        use Until::{Answered, Decided};
        for (state, tag, expected) in [
            (State::Received, "backend/unavailable", [false, false]),
            (State::PendingApproval, "approval/missing", [true, false]),
            (State::Frozen, "freeze/active", [true, false]),
            (State::Refused, "permit/uncovered", [true, true]),
            (State::Refused, "conflict-key/gap", [true, false]),
            (State::Refused, "a-tag/of-tomorrow", [true, true]),
            (State::Replacing, "approval/missing", [true, false]),
            (State::Replacing, "signer/unavailable", [false, false]),
            (State::Replacing, "a-tag/of-tomorrow", [true, false]),
            (State::Signed, "request/fee-over-ceiling", [true, true]),
        ] {
            let mut wire = wire();
            wire.state = state.wire().into();
            wire.reasons[0].tag = tag.to_owned();
            let withdrawal = Withdrawal::parse(Some(wire)).unwrap();
            let holds = [Answered, Decided].map(|until| until.holds(&withdrawal));
            assert_eq!(holds, expected, "{state:?} {tag}");
        }
    }
}

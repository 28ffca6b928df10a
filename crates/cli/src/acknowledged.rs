//! Statements that nobody may withhold go two ways: to the signer's people listener, which acknowledges them, and to the
//! orchestrator, so that it stops waiting.

use std::{fmt, pin::Pin};

use countersign_approval::{Envelope, Genesis};
use countersign_client::{Client, ClientError};
use countersign_decision::{Acknowledgement, Receipt};
use countersign_types::{PrincipalId, StatementDigest, Tag, UtcSeconds, WithdrawalId};
use serde::Serialize;

use crate::{
    connect,
    environment::Layout,
    failure::{Exit, Failure, Result},
    files, trust,
};

/// A person who sends both ways.
pub(crate) struct Both<'a> {
    pub(crate) layout: &'a Layout,
    pub(crate) genesis: &'a Genesis,
    pub(crate) person: &'a PrincipalId,
}

/// What came of it; the statement is in force at the signer.
#[derive(Debug, Serialize)]
pub(crate) struct Sent {
    statement: StatementDigest,
    /// When the signer first journaled it, under the log key's signature.
    in_force_since: UtcSeconds,
    /// What the orchestrator said, where it did not take the statement. That changes nothing.
    orchestrator: Option<String>,
    /// The transactions that were signed before; `None` where that is not known.
    signed: Option<Vec<String>>,
    /// Why it is not known.
    #[serde(skip)]
    unknown: Option<String>,
    /// Whether a cancel attempt is to take the place of what was signed before.
    #[serde(skip)]
    is_contested: bool,
}

impl Sent {
    /// The same, where a cancel attempt is to take the place of what was signed before.
    pub(crate) fn contested(self) -> Self {
        Self {
            is_contested: true,
            ..self
        }
    }

    /// Whether the orchestrator took the statement.
    pub(crate) fn is_told(&self) -> bool {
        self.orchestrator.is_none()
    }

    /// Whoever stops a withdrawal pays in another way next: only what is known to be unsigned was stopped.
    pub(crate) fn exit(&self) -> Exit {
        match &self.signed {
            Some(signed) if signed.is_empty() => Exit::Done,
            Some(_) | None => Exit::Failed,
        }
    }
}

impl fmt::Display for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "statement    {}", self.statement)?;
        writeln!(
            f,
            "in force     since {} (acknowledged under the log key)",
            self.in_force_since
        )?;
        match &self.orchestrator {
            None => write!(f, "orchestrator informed")?,
            Some(failure) => write!(
                f,
                "orchestrator not informed: {failure}\n             the signer knows, and that is what counts"
            )?,
        }
        for txid in self.signed.iter().flatten() {
            match self.is_contested {
                true => write!(
                    f,
                    "\nMAY LAND     {txid} was signed before: of what is signed the chain takes one"
                )?,
                false => write!(
                    f,
                    "\nTOO LATE     {txid} was signed before and cannot be recalled: expect it on chain"
                )?,
            }
        }
        match &self.unknown {
            Some(why) => write!(f, "\nNOT KNOWN    whether something was signed before: {why}"),
            None => Ok(()),
        }
    }
}

type Told<'c> = Pin<Box<dyn Future<Output = std::result::Result<(), ClientError>> + Send + 'c>>;

impl Both<'_> {
    /// Sends to the signer; when it first journaled the statement, under the log key's signature.
    pub(crate) async fn submit(&self, envelope: &Envelope) -> Result<UtcSeconds> {
        let people = connect::people(self.layout, self.person.as_str()).await?;
        let answer = people.submit_statement(envelope).await;
        let answer = answer.map_err(|error| Failure::answered("signer", &error))?;
        let (key, statement) = (trust::log_key(self.genesis)?, envelope.statement_digest());
        Acknowledgement::verify(&answer, &key, self.genesis.hash(), statement)
            .map_err(|error| Failure::unverified(error.tag(), format!("the signer's answer: {error}")))
    }

    /// Sends to the signer and verifies its acknowledgement, then `tell`s the orchestrator, and asks the signer what it had signed.
    pub(crate) async fn send(
        &self,
        withdrawal: WithdrawalId,
        envelope: &Envelope,
        tell: impl for<'c> FnOnce(&'c Client, &'c Envelope) -> Told<'c>,
    ) -> Result<Sent> {
        let in_force_since = self.submit(envelope).await?;
        let statement = envelope.statement_digest();
        // Behind the acknowledgement nothing of a payment is signed, so what the receipt does not have is never signed; and ahead of the
        // orchestrator, which may have a cancel attempt signed.
        let signed = self.signed_before(withdrawal).await;
        let told = match connect::orchestrator(self.layout, self.person.as_str()).await {
            Ok(client) => tell(&client, envelope)
                .await
                .map_err(|error| Failure::answered("orchestrator", &error)),
            Err(failure) => Err(failure),
        };
        Ok(Sent {
            is_contested: false,
            unknown: signed.as_ref().err().map(|failure| failure.message().to_owned()),
            signed: signed.ok(),
            statement,
            in_force_since,
            orchestrator: told.err().map(|failure| failure.message().to_owned()),
        })
    }

    /// The transactions of a withdrawal that the signer signed, under its log's proofs.
    async fn signed_before(&self, id: WithdrawalId) -> Result<Vec<String>> {
        let people = connect::people(self.layout, self.person.as_str()).await?;
        let receipt = match people.receipt(&id).await {
            Ok(receipt) => receipt,
            // It was never decided.
            Err(ClientError::Refused {
                tag: Tag::WithdrawalNotFound,
                ..
            }) => return Ok(Vec::new()),
            Err(error) => return Err(Failure::answered("signer", &error)),
        };
        let broken = |why: String| Failure::unverified(Tag::ReceiptInvalid, why);
        let receipt = Receipt::verify(&receipt, &files::read(&self.layout.genesis())?)
            .map_err(|error| broken(format!("the signer's receipt does not verify: {error}")))?;
        if receipt.withdrawal != id {
            return Err(broken(format!("the signer sent the receipt of {}", receipt.withdrawal)));
        }
        Ok(receipt.txid.into_iter().chain(receipt.others).collect())
    }
}

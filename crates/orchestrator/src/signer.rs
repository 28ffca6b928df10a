//! The signer as the orchestrator knows it: two calls that may fail, and what their answers mean for the life cycle.

use std::time::Duration;

use countersign_proto::{
    errors, fields,
    limits::MAX_RESPONSE_BYTES,
    signer::v1::{
        AuthorizeRequest, AuthorizeResponse, FetchReceiptRequest, Pending, RecordStatementRequest,
        authorize_response::Outcome, signing_client::SigningClient,
    },
    v1,
};
use countersign_types::{Class, Tag, WithdrawalId};
use tonic::{Request, Status, transport::Channel};

use crate::{states::Event, store::Answer};

/// A call that was not answered, or not understood: nothing changes, it is tried again.
#[derive(Debug, thiserror::Error)]
#[error("the signer did not answer: {tag}: {message}")]
pub struct Unavailable {
    /// Why, as the signer says, or else that it does not.
    pub tag: Tag,
    /// For our log.
    pub message: String,
}

/// The signer's first listener.
#[derive(Debug, Clone)]
pub struct Signer {
    client: SigningClient<Channel>,
    timeout: Duration,
}

/// What the signer decided.
#[derive(Debug)]
pub struct Decision {
    /// For the life cycle.
    pub event: Event,
    /// Reasons, what is missing and until when.
    pub standing: Pending,
    /// Raw signed transaction and its id.
    pub signed: Option<(Vec<u8>, String)>,
}

impl Signer {
    /// Over a channel; `timeout` bounds each call.
    pub fn new(channel: Channel, timeout: Duration) -> Self {
        let client = SigningClient::new(channel).max_decoding_message_size(MAX_RESPONSE_BYTES);
        Self { client, timeout }
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.set_timeout(self.timeout);
        request
    }

    /// Bounded here as well: a signer that hangs does not hold a worker.
    async fn call<T>(&self, call: impl Future<Output = Result<tonic::Response<T>, Status>>) -> Result<T, Status> {
        let late = || errors::status(Tag::SignerUnavailable, "the signer did not answer in time");
        let answer = tokio::time::timeout(self.timeout, call).await.map_err(|_| late())?;
        answer.map(tonic::Response::into_inner)
    }

    /// Decides and, if allowed, signs.
    pub async fn authorize(&self, request: AuthorizeRequest) -> Result<Decision, Unavailable> {
        let mut client = self.client.clone();
        let answer = self.call(client.authorize(self.request(request))).await;
        match answer {
            Ok(response) => Decision::of(response),
            Err(status) => Decision::of_refusal(&status),
        }
    }

    /// Journals a statement ahead of the next [`Signer::authorize`]; nothing where the signer has not seen the withdrawal, and
    /// will hear the statement with its first decision.
    pub async fn record(&self, envelope: Vec<u8>) -> Result<Option<Answer>, Unavailable> {
        let mut client = self.client.clone();
        let statement = Some(fields::statement(envelope));
        let answer = self
            .call(client.record_statement(self.request(RecordStatementRequest { statement })))
            .await;
        match answer {
            Ok(response) => Ok(Some(Answer::Acknowledged(response.acknowledgement))),
            Err(status) if errors::tag_of(&status) == Some(Tag::WithdrawalNotFound) => Ok(None),
            Err(status) => {
                let tag = refusal_of(&status)?;
                let message = status.message().to_owned();
                Ok(Some(Answer::Refused { tag, message }))
            }
        }
    }

    /// The receipt as the signer writes it; its refusals come through, its silence is `signer/unavailable`.
    pub async fn receipt(&self, id: &WithdrawalId) -> Result<Vec<u8>, Status> {
        let mut client = self.client.clone();
        let withdrawal_id = id.to_string();
        let answer = self
            .call(client.fetch_receipt(self.request(FetchReceiptRequest { withdrawal_id })))
            .await;
        match answer {
            Ok(response) => Ok(response.receipt),
            Err(status) if errors::tag_of(&status).is_some() => Err(status),
            Err(_) => Err(errors::status(Tag::SignerUnavailable, "the signer did not answer")),
        }
    }
}

/// The tag of a refusal that asking again will not change; anything else is tried again.
fn refusal_of(status: &Status) -> Result<Tag, Unavailable> {
    let found = errors::tag_of(status);
    let again = || Unavailable {
        tag: found.unwrap_or(Tag::SignerUnavailable),
        message: format!("{:?}: {}", status.code(), status.message()),
    };
    found.filter(|tag| tag.is_answer()).ok_or_else(again)
}

/// Whether freezes are all that stands in the way: they end without anybody telling us.
fn is_frozen(reasons: &[v1::Reason]) -> bool {
    let is_freeze = |reason| fields::tag_of_reason(reason) == Some(Tag::FreezeActive);
    !reasons.is_empty() && reasons.iter().all(is_freeze)
}

/// Whether somebody who may took the withdrawal back, wherever the signer heard it.
fn is_cancelled(reasons: &[v1::Reason]) -> bool {
    let is_cancel = |reason| fields::tag_of_reason(reason) == Some(Tag::WithdrawalCancelled);
    reasons.iter().any(is_cancel)
}

impl Decision {
    fn of(response: AuthorizeResponse) -> Result<Self, Unavailable> {
        let outcome = response.outcome.ok_or_else(|| Unavailable {
            tag: Tag::SignerUnavailable,
            message: "an answer without outcome".to_owned(),
        })?;
        Ok(match outcome {
            Outcome::Signed(signed) => Self {
                event: Event::Signed,
                standing: Pending::default(),
                signed: Some((signed.transaction, signed.txid)),
            },
            Outcome::Pending(standing) => Self {
                event: Event::Pending,
                standing,
                signed: None,
            },
            Outcome::Denied(denied) if denied.r#final && is_cancelled(&denied.reasons) => {
                Self::no(Event::Cancelled, denied.reasons)
            }
            Outcome::Denied(denied) if denied.r#final => Self::no(Event::Denied, denied.reasons),
            Outcome::Denied(denied) if is_frozen(&denied.reasons) => Self::no(Event::Frozen, denied.reasons),
            Outcome::Denied(denied) => Self::no(Event::Refused, denied.reasons),
            Outcome::Malformed(malformed) => Self::no(Event::Malformed, malformed.reasons),
        })
    }

    /// A refusal by status: never for good, since nothing was journaled.
    fn of_refusal(status: &Status) -> Result<Self, Unavailable> {
        let tag = refusal_of(status)?;
        let event = match tag.class() {
            Class::Malformed => Event::Malformed,
            Class::Pending => Event::Pending,
            Class::Denied
            | Class::Conflict
            | Class::Exhausted
            | Class::Failed
            | Class::Unauthorized
            | Class::NotFound => Event::Refused,
        };
        Ok(Self::no(event, vec![fields::reason(tag, None, status.message())]))
    }

    fn no(event: Event, reasons: Vec<v1::Reason>) -> Self {
        let standing = Pending {
            reasons,
            ..Pending::default()
        };
        Self {
            event,
            standing,
            signed: None,
        }
    }

    /// What the answer means once a cancel was acknowledged or the request has expired: anything but a signature ends it.
    pub fn ending(mut self, event: Event) -> Self {
        if self.event != Event::Signed {
            self.event = event;
        }
        self
    }

    /// What the answer about a cancel attempt means once its cancel was acknowledged: it may wait, for approvals or for a thaw, and any no
    /// to it leaves the cancel alone.
    pub fn refusing(mut self, event: Event) -> Self {
        if !matches!(self.event, Event::Signed | Event::Pending | Event::Frozen) {
            self.event = event;
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use countersign_proto::signer::v1::{Denied, Malformed, Signed};

    use super::*;

    #[test]
    fn every_refusal_is_either_lasting_or_tried_again() {
        for tag in Tag::ALL {
            let is_lasting = match tag.class() {
                Class::Denied | Class::Pending | Class::Malformed | Class::Conflict => true,
                Class::Exhausted => *tag != Tag::CallerRateLimited,
                _ => false,
            };
            let found = Decision::of_refusal(&errors::status(*tag, "m"));
            assert_eq!(found.is_ok(), is_lasting, "{tag}");
            if let Ok(decision) = found {
                assert_ne!(decision.event, Event::Denied, "{tag}: a status is never for good");
                assert_eq!(decision.standing.reasons[0].tag, tag.as_str());
            }
        }
        assert!(Decision::of_refusal(&Status::permission_denied("not ours")).is_err());
    }

    #[test]
    fn outcomes_map_one_to_one() {
        let of = |outcome| {
            Decision::of(AuthorizeResponse {
                outcome,
                decision: vec![],
            })
        };
        let reasons = vec![fields::reason(Tag::PermitUncovered, None, "m")];
        let denied = |r#final| {
            Outcome::Denied(Denied {
                reasons: reasons.clone(),
                r#final,
            })
        };
        let cases = [
            (Outcome::Signed(Signed::default()), Event::Signed),
            (Outcome::Pending(Pending::default()), Event::Pending),
            (denied(true), Event::Denied),
            (denied(false), Event::Refused),
            (
                Outcome::Malformed(Malformed {
                    reasons: reasons.clone(),
                }),
                Event::Malformed,
            ),
        ];
        for (outcome, event) in cases {
            assert_eq!(of(Some(outcome.clone())).unwrap().event, event);
            let ended = of(Some(outcome.clone())).unwrap().ending(Event::Cancelled).event;
            let expected = if event == Event::Signed {
                Event::Signed
            } else {
                Event::Cancelled
            };
            assert_eq!(ended, expected, "a signature wins, anything else ends");
            let refused = of(Some(outcome)).unwrap().refusing(Event::Cancelled).event;
            let expected = match event {
                Event::Signed | Event::Pending => event,
                _ => Event::Cancelled,
            };
            assert_eq!(refused, expected, "a cancel attempt may wait");
        }
        assert!(of(None).is_err(), "no outcome is no answer");
    }

    #[test]
    fn only_freezes_alone_hold_it() {
        let (freeze, other) = (Tag::FreezeActive, Tag::PermitUncovered);
        let table: [(&[Tag], bool, Event); 5] = [
            (&[freeze], false, Event::Frozen),
            (&[freeze, freeze], false, Event::Frozen),
            (&[freeze, other], false, Event::Refused),
            (&[], false, Event::Refused),
            (&[freeze], true, Event::Denied),
        ];
        for (tags, r#final, event) in table {
            let reasons = tags.iter().map(|tag| fields::reason(*tag, None, "m")).collect();
            let outcome = Some(Outcome::Denied(Denied { reasons, r#final }));
            let decision = Decision::of(AuthorizeResponse {
                outcome,
                decision: vec![],
            });
            let decision = decision.unwrap();
            assert_eq!(decision.event, event, "{tags:?} {}", r#final);
            let is_kept = decision.refusing(Event::Cancelled).event == Event::Frozen;
            assert_eq!(is_kept, event == Event::Frozen, "{tags:?}");
        }
    }
}

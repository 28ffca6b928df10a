//! The public API: who may ask what, bounds, and the answers from the store.

mod admission;
mod approvals;
mod watch;
mod withdrawals;

use std::{sync::Arc, time::Duration};

use countersign_proto::{errors, fields::FieldError, identity::Caller};
use countersign_types::Tag;
use tokio::sync::{Semaphore, watch as channel};
use tonic::Status;

use crate::{
    config::{self, Limits},
    signer::Signer,
    store::{Scope, Store},
};
pub use admission::Admission;

/// Both services; cheap to clone.
#[derive(Debug, Clone)]
pub struct Api(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    store: Arc<Store>,
    signer: Signer,
    admission: Admission,
    watchers: Arc<Semaphore>,
    /// Withdrawals that the driver has not finished.
    depth: channel::Receiver<usize>,
    open_withdrawals: usize,
    call_timeout: Duration,
    shutdown: channel::Receiver<bool>,
}

impl Api {
    /// Over an open store. `depth` comes from the driver; `shutdown` ends the streams when it turns true.
    pub fn new(
        store: Arc<Store>,
        signer: Signer,
        limits: &Limits,
        depth: channel::Receiver<usize>,
        shutdown: channel::Receiver<bool>,
    ) -> Self {
        Self(Arc::new(Shared {
            store,
            signer,
            admission: Admission::new(limits),
            watchers: Arc::new(Semaphore::new(limits.watchers)),
            depth,
            open_withdrawals: limits.open_withdrawals,
            call_timeout: config::span(limits.call_timeout),
            shutdown,
        }))
    }
}

fn not_allowed(caller: &Caller, call: &str) -> Status {
    errors::status(Tag::CallerNotAllowed, format!("`{caller}` may not {call}"))
}

/// Pipelines see their tenant; people, auditors, observers and attesters (who look up what is to be said) see all; an orchestrator
/// has no business here.
fn reading(caller: &Caller) -> Result<Scope, Status> {
    match caller {
        Caller::Pipeline { tenant, .. } => Ok(Scope::Tenant(tenant.clone())),
        Caller::Person(_) | Caller::Auditor(_) | Caller::Observer(_) | Caller::Attester(_) => Ok(Scope::All),
        Caller::Orchestrator(_) => Err(not_allowed(caller, "read withdrawals")),
    }
}

/// A page token is the last row of the page before.
fn parse_page_token(text: &str) -> Result<Option<i64>, Status> {
    if text.is_empty() {
        return Ok(None);
    }
    let row = text
        .parse::<i64>()
        .ok()
        .filter(|row| *row > 0 && row.to_string() == text);
    let bad = || errors::status(Tag::MessageInvalid, "`page_token` is not one that was given out");
    row.map(Some).ok_or_else(bad)
}

fn missing(field: &'static str) -> Status {
    FieldError::Missing { field }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_tokens_are_strict() {
        assert_eq!(parse_page_token("").unwrap(), None);
        assert_eq!(parse_page_token("17").unwrap(), Some(17));
        for bad in ["0", "-1", "+1", "01", "x", "9223372036854775808"] {
            let status = parse_page_token(bad).unwrap_err();
            assert_eq!(errors::tag_of(&status), Some(Tag::MessageInvalid), "{bad}");
        }
    }
}

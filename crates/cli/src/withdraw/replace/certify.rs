//! Whether bytes can replace what a request asked for. The signer decides it again; here nothing hopeless is sent.

use countersign_approval::{Request, TransactionBinding};
use countersign_chains::Registry;
use countersign_types::{ParsedTransaction, Tag};

use crate::{
    failure::{Failure, Result},
    withdraw::{
        ask::{Transfer, other_effects, transfer},
        stored::Stored,
    },
};

/// Refuses bytes that pay otherwise than the request says, do more, or vary in more than its template leaves open.
pub(super) fn certify(stored: &Stored, parsed: &ParsedTransaction, registry: &Registry) -> Result<()> {
    let request = stored.request()?;
    certify_template(&request, parsed)?;
    certify_payments(&request, parsed)?;
    let mut found = other_effects(registry, parsed, &request.fee_ceiling)?;
    let mut asked = request.effects.clone();
    found.sort_unstable();
    asked.sort_unstable();
    if found == asked {
        return Ok(());
    }
    let why = "the replacement does other things than the request lists";
    Err(Failure::refused(Tag::RequestEffectsMismatch, why))
}

fn certify_template(request: &Request, parsed: &ParsedTransaction) -> Result<()> {
    let tag = Tag::RequestTransactionMismatch;
    match request.transaction {
        TransactionBinding::Template(template) if parsed.template() == Some(template) => Ok(()),
        TransactionBinding::Template(_) => {
            let why = "the replacement varies in more than the request's template leaves open";
            Err(Failure::refused(tag, why))
        }
        TransactionBinding::Exact(bound) if parsed.transaction() == bound => Ok(()),
        TransactionBinding::Exact(_) => {
            let why = "the request binds exactly one transaction: nothing else can be signed under it";
            Err(Failure::refused(tag, why).advise(
                "what may have to be replaced is submitted with --template; cancel this one if it is not signed",
            ))
        }
    }
}

fn certify_payments(request: &Request, parsed: &ParsedTransaction) -> Result<()> {
    let payments = request.payments.iter();
    let mut asked: Vec<Transfer<'_>> = payments
        .map(|payment| (&payment.asset, payment.amount, &payment.destination))
        .collect();
    let mut found: Vec<Transfer<'_>> = parsed.effects().iter().filter_map(transfer).collect();
    asked.sort_unstable();
    found.sort_unstable();
    if asked == found {
        return Ok(());
    }
    let other = found.iter().find(|leg| !asked.contains(leg));
    let why = match other {
        Some((asset, amount, destination)) => {
            format!("the replacement pays {amount} {asset} to {destination}, which the request does not")
        }
        None => "the replacement lacks payments of the request".to_owned(),
    };
    Err(Failure::refused(Tag::RequestPaymentsMismatch, why))
}

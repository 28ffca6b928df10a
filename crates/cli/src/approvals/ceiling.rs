//! The fee ceiling that an approval binds, and who raised it.

use std::fmt;

use countersign_approval::{Body, FeeCeiling, Request};
use countersign_decision::{Decision, Seen};
use countersign_types::{Amount, AssetId, AssetRegistry, PrincipalId};
use serde::Serialize;

/// `{"asset","amount","shown","raised":{"from","from_shown","by","reason"}}`
#[derive(Debug, Serialize)]
pub(super) struct Ceiling {
    asset: AssetId,
    amount: Amount,
    shown: String,
    /// `null` while it is the request's own.
    raised: Option<Raised>,
}

#[derive(Debug, Serialize)]
struct Raised {
    /// The request's own ceiling.
    from: Amount,
    from_shown: String,
    /// Who raised it to what it is now; the statement's signature holds.
    by: PrincipalId,
    /// In the words of that person or service.
    reason: String,
}

impl Ceiling {
    /// The ceiling that a decision over these statements came to.
    pub(super) fn of(decision: &Decision, request: &Request, statements: &[Seen], assets: &AssetRegistry) -> Self {
        let (own, effective) = (&request.fee_ceiling, &decision.fee_ceiling);
        let raising = named_by(statements.iter(), effective, of_replace);
        // That of a cancel attempt is the cancel's: nothing was raised.
        let is_raised = own != effective && !decision.cancels;
        let raised = raising.filter(|_| is_raised).map(|(by, reason)| Raised {
            from: own.amount,
            from_shown: assets.shown(&own.asset, own.amount),
            by: by.clone(),
            reason: reason.to_owned(),
        });
        Self {
            shown: assets.shown(&effective.asset, effective.amount),
            asset: effective.asset.clone(),
            amount: effective.amount,
            raised,
        }
    }

    /// What an approval binds.
    pub(super) fn bound(&self) -> FeeCeiling {
        FeeCeiling {
            asset: self.asset.clone(),
            amount: self.amount,
        }
    }

    pub(super) fn is_raised(&self) -> bool {
        self.raised.is_some()
    }
}

/// Who named this ceiling, and in which words. The decision took one of them; equal ones say the same.
pub(super) fn named_by<'s>(
    statements: impl IntoIterator<Item = &'s Seen>,
    ceiling: &FeeCeiling,
    of: fn(&Body) -> Option<(&FeeCeiling, &str)>,
) -> Option<(&'s PrincipalId, &'s str)> {
    let verified = statements.into_iter().filter_map(|seen| seen.verified.as_ref().ok());
    let mut named = verified.filter_map(|verified| {
        let (named, reason) = of(&verified.statement().body)?;
        (named == ceiling).then(|| (verified.signer(), reason))
    });
    named.next()
}

fn of_replace(body: &Body) -> Option<(&FeeCeiling, &str)> {
    let Body::Replace(replace) = body else { return None };
    Some((&replace.fee_ceiling, &replace.reason))
}

impl fmt::Display for Ceiling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.raised {
            None => write!(f, "{}", self.shown),
            Some(raised) => {
                let Raised {
                    from_shown, by, reason, ..
                } = raised;
                write!(f, "fee ceiling {from_shown} -> {} by {by}", self.shown)?;
                if reason.is_empty() {
                    Ok(())
                } else {
                    write!(f, ": {reason}")
                }
            }
        }
    }
}

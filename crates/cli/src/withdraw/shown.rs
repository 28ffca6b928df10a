//! A withdrawal as the orchestrator tells it. Advice: the signer's log is the truth, and a receipt proves it.

use std::fmt;

use countersign_client::{State, Withdrawal};
use countersign_types::{Tag, Timestamp, WithdrawalId};
use serde::Serialize;

use crate::{failure::Exit, output::harmless};

/// The result: `{"id","tenant","reference","wallet","network","state","attempts":[{"number","txid","signed_transaction","cancels"}],
/// "reasons":[{"tag","rule","message"}],"missing":[{"group","required","filled"}],"not_before"}`.
#[derive(Debug, Serialize)]
pub(crate) struct Shown {
    id: WithdrawalId,
    tenant: String,
    reference: String,
    wallet: String,
    network: String,
    state: &'static str,
    attempts: Vec<Attempt>,
    reasons: Vec<Reason>,
    missing: Vec<Missing>,
    not_before: Option<Timestamp>,
}

#[derive(Debug, Serialize)]
struct Attempt {
    number: u32,
    txid: Option<String>,
    signed_transaction: Option<String>,
    /// It pays nobody, and takes the place of the payment.
    cancels: bool,
}

#[derive(Debug, Serialize)]
struct Reason {
    tag: String,
    rule: Option<String>,
    message: String,
}

/// Open seats of a group.
#[derive(Debug, Serialize)]
pub(crate) struct Missing {
    pub(crate) group: String,
    pub(crate) required: u32,
    pub(crate) filled: u32,
}

impl Shown {
    pub(crate) fn of(withdrawal: &Withdrawal) -> Self {
        Self {
            id: withdrawal.id,
            tenant: withdrawal.tenant.to_string(),
            reference: withdrawal.reference.to_string(),
            wallet: withdrawal.wallet.to_string(),
            network: withdrawal.network.to_string(),
            state: withdrawal.state.as_str(),
            attempts: withdrawal.attempts.iter().map(attempt).collect(),
            reasons: withdrawal.reasons.iter().map(reason).collect(),
            missing: missing(&withdrawal.missing),
            not_before: withdrawal.not_before,
        }
    }
}

fn attempt(attempt: &countersign_client::Attempt) -> Attempt {
    let (bytes, txid) = attempt.signed.clone().unzip();
    Attempt {
        number: attempt.number,
        txid: txid.map(|txid| harmless(&txid)),
        signed_transaction: bytes.map(|bytes| format!("0x{}", hex::encode(bytes))),
        cancels: attempt.cancels,
    }
}

fn reason(reason: &countersign_client::Reason) -> Reason {
    Reason {
        tag: harmless(&reason.tag),
        rule: reason.rule.as_ref().map(ToString::to_string),
        message: harmless(&reason.message),
    }
}

/// Open seats as a server says.
pub(crate) fn missing(missing: &[countersign_client::MissingApprovals]) -> Vec<Missing> {
    let one = |missing: &countersign_client::MissingApprovals| Missing {
        group: harmless(&missing.group),
        required: missing.required,
        filled: missing.filled,
    };
    missing.iter().map(one).collect()
}

impl Shown {
    /// Whether both a payment and what takes its place are signed.
    fn is_contested(&self) -> bool {
        let signed = |cancels| {
            let mut attempts = self.attempts.iter();
            attempts.any(|attempt| attempt.cancels == cancels && attempt.txid.is_some())
        };
        signed(true) && signed(false)
    }

    /// Two lines and the first reason, for a list.
    pub(super) fn summarize(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let signed = self.attempts.iter().filter(|attempt| attempt.txid.is_some()).count();
        writeln!(f, "{}  {}", self.id, self.state)?;
        write!(
            f,
            "  {} (tenant {}), {} on {}",
            self.reference, self.tenant, self.wallet, self.network
        )?;
        write!(f, ", {signed} of {} attempts signed", self.attempts.len())?;
        let is_cancelled = self.attempts.iter().any(|one| one.cancels && one.txid.is_some());
        writeln!(
            f,
            "{}",
            if is_cancelled {
                ", a cancel attempt among them"
            } else {
                ""
            }
        )?;
        match self.reasons.first() {
            Some(reason) => writeln!(f, "  {}: {}", reason.tag, reason.message),
            None => Ok(()),
        }
    }
}

/// The exit code of an outcome.
pub(super) fn exit_of(withdrawal: &Withdrawal) -> Exit {
    match withdrawal.state {
        State::Signed => Exit::Done,
        State::Received | State::PendingApproval | State::Frozen | State::Replacing => Exit::Pending,
        State::Malformed => Exit::Refused,
        State::Denied | State::Cancelled | State::Expired => Exit::Denied,
        // Not for good, and for whatever reason the tag names: a gap in nonces is no denial by policy, but it is a no.
        State::Refused => exit_of_no(withdrawal),
    }
}

/// The exit code of the latest attempt: what was signed before stays signed, and is not what was asked for.
pub(super) fn exit_of_latest(withdrawal: &Withdrawal) -> Exit {
    let is_replaced = withdrawal
        .attempts
        .last()
        .is_none_or(|attempt| attempt.signed.is_some());
    match withdrawal.state {
        State::Signed if !is_replaced => exit_of_no(withdrawal),
        State::Signed
        | State::Replacing
        | State::Received
        | State::PendingApproval
        | State::Frozen
        | State::Malformed
        | State::Denied
        | State::Cancelled
        | State::Expired
        | State::Refused => exit_of(withdrawal),
    }
}

/// The exit code of a no that its reasons explain.
fn exit_of_no(withdrawal: &Withdrawal) -> Exit {
    let mut reasons = withdrawal.reasons.iter();
    reasons
        .find_map(countersign_client::Reason::known_tag)
        .map_or(Exit::Denied, refused)
}

fn refused(tag: Tag) -> Exit {
    match Exit::of(tag) {
        Exit::Pending | Exit::Done => Exit::Denied,
        exit @ (Exit::Failed | Exit::Usage | Exit::Denied | Exit::Refused | Exit::Unverified) => exit,
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "withdrawal  {}", self.id)?;
        writeln!(f, "reference   {} (tenant {})", self.reference, self.tenant)?;
        writeln!(f, "wallet      {} on {}", self.wallet, self.network)?;
        writeln!(f, "state       {}", self.state)?;
        for attempt in &self.attempts {
            let number = attempt.number;
            let what = if attempt.cancels {
                ", a cancel attempt: it pays nobody"
            } else {
                ""
            };
            match &attempt.txid {
                Some(txid) => writeln!(f, "txid        {txid} (attempt {number}{what})")?,
                None if self.attempts.len() > 1 => writeln!(f, "not signed  attempt {number}{what}")?,
                None => {}
            }
        }
        if self.is_contested() {
            let which = "the payment or the cancel attempt, whichever the chain takes first";
            writeln!(f, "may land    {which}")?;
        }
        for reason in &self.reasons {
            let rule = reason
                .rule
                .as_ref()
                .map(|rule| format!(" (rule {rule})"))
                .unwrap_or_default();
            writeln!(f, "reason      {}{rule}: {}", reason.tag, reason.message)?;
        }
        for missing in &self.missing {
            writeln!(
                f,
                "missing     {}: {} of {} approved",
                missing.group, missing.filled, missing.required
            )?;
        }
        if let Some(moment) = self.not_before {
            writeln!(f, "not before  {moment}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use countersign_client::MissingApprovals;
    use countersign_types::RequestDigest;

    use super::*;

    fn withdrawal(state: State, tag: &str) -> Withdrawal {
        Withdrawal {
            id: WithdrawalId::of(RequestDigest::of(b"x")),
            tenant: "main".parse().unwrap(),
            reference: "r-1".parse().unwrap(),
            wallet: "eth-hot".parse().unwrap(),
            network: "eip155:31337".parse().unwrap(),
            state,
            attempts: vec![countersign_client::Attempt {
                number: 1,
                unsigned_transaction: vec![2],
                signed: Some((vec![2, 3], "0xabc\u{1b}".to_owned())),
                cancels: false,
            }],
            reasons: vec![countersign_client::Reason {
                tag: tag.to_owned(),
                rule: Some("customer-payouts".parse().unwrap()),
                message: "no\npermit".to_owned(),
            }],
            missing: vec![MissingApprovals {
                group: "treasury".to_owned(),
                required: 2,
                filled: 1,
            }],
            created_at: Timestamp::from_unix_millis(0),
            updated_at: Timestamp::from_unix_millis(0),
            not_before: None,
            revision: 1,
        }
    }

    #[test]
    fn each_state_has_its_exit_code() {
        let table = [
            (State::Signed, "", 0),
            (State::Received, "", 4),
            (State::PendingApproval, "approval/missing", 4),
            (State::Denied, "approval/rejected", 3),
            (State::Refused, "permit/uncovered", 3),
            (State::Refused, "conflict-key/gap", 1),
            (State::Refused, "a-tag/of-tomorrow", 3),
            (State::Malformed, "transaction/malformed", 5),
            (State::Cancelled, "", 3),
            (State::Expired, "", 3),
            (State::Frozen, "freeze/active", 4),
            (State::Replacing, "approval/missing", 4),
        ];
        for (state, tag, code) in table {
            assert_eq!(exit_of(&withdrawal(state, tag)).number(), code, "{state:?} {tag}");
        }
    }

    #[test]
    fn the_exit_code_is_that_of_the_latest_attempt() {
        let mut replaced = withdrawal(State::Signed, "request/fee-over-ceiling");
        assert_eq!(exit_of_latest(&replaced).number(), 0);
        replaced.attempts.push(countersign_client::Attempt {
            number: 2,
            unsigned_transaction: vec![3],
            signed: None,
            cancels: true,
        });
        assert_eq!(exit_of_latest(&replaced).number(), 3);
        replaced.state = State::Replacing;
        assert_eq!(exit_of_latest(&replaced).number(), 4);
    }

    /// A pipeline that takes the latest signed attempt for the payment would book what was never paid.
    #[test]
    fn a_cancel_attempt_is_told_from_the_payment() {
        let mut cancelled = withdrawal(State::Signed, "");
        cancelled.attempts.push(countersign_client::Attempt {
            number: 2,
            unsigned_transaction: vec![3],
            signed: None,
            cancels: true,
        });
        let text = Shown::of(&cancelled).to_string();
        assert!(
            text.contains("not signed  attempt 2, a cancel attempt: it pays nobody\n"),
            "{text}"
        );
        assert!(!text.contains("may land"), "{text}");
        cancelled.attempts[1].signed = Some((vec![4], "0xdef".to_owned()));
        let text = Shown::of(&cancelled).to_string();
        for line in [
            "txid        0xdef (attempt 2, a cancel attempt: it pays nobody)",
            "may land    the payment or the cancel attempt, whichever the chain takes first",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
        let json = serde_json::to_value(Shown::of(&cancelled)).unwrap();
        assert_eq!(json["attempts"][1]["cancels"], true);
    }

    #[test]
    fn golden_text_and_json() {
        let shown = Shown::of(&withdrawal(State::Refused, "permit/uncovered"));
        let id = shown.id;
        assert_eq!(
            shown.to_string(),
            format!(
                "withdrawal  {id}\nreference   r-1 (tenant main)\nwallet      eth-hot on eip155:31337\nstate       refused\n\
                 txid        0xabc\\u{{1b}} (attempt 1)\n\
                 reason      permit/uncovered (rule customer-payouts): no\\npermit\n\
                 missing     treasury: 1 of 2 approved\n"
            )
        );
        assert_eq!(
            serde_json::to_string(&shown).unwrap(),
            format!(
                r#"{{"id":"{id}","tenant":"main","reference":"r-1","wallet":"eth-hot","network":"eip155:31337","state":"refused","attempts":[{{"number":1,"txid":"0xabc\\u{{1b}}","signed_transaction":"0x0203","cancels":false}}],"reasons":[{{"tag":"permit/uncovered","rule":"customer-payouts","message":"no\\npermit"}}],"missing":[{{"group":"treasury","required":2,"filled":1}}],"not_before":null}}"#
            )
        );
    }
}

//! A withdrawal as the orchestrator tells it, and its attempts as their bytes are. Advice: the signer's log is the truth, and a receipt
//! proves it.

use std::fmt;

use countersign_client::{Client, ClientError, State, Withdrawal};
use countersign_types::{Class, Tag, Timestamp, WithdrawalId};
use serde::Serialize;

use super::decoded::{Contradiction, Decoded, Decoder, Made};
use crate::{
    failure::{Exit, Result},
    output::harmless,
};

/// The result: `{"id","tenant","reference","wallet","network","state","attempts":[{"number","txid","signed_transaction","cancels",
/// "pays_nobody","not_decoded"}],"warnings":[{"tag","message"}],"reasons":[{"tag","rule","message"}],"missing":[{"group","required","filled"}],"not_before","kept_in"}`.
#[derive(Debug, Serialize)]
pub(crate) struct Shown {
    id: WithdrawalId,
    tenant: String,
    reference: String,
    wallet: String,
    network: String,
    state: &'static str,
    attempts: Vec<Attempt>,
    /// In what the orchestrator contradicts the bytes.
    warnings: Vec<Contradiction>,
    reasons: Vec<Reason>,
    missing: Vec<Missing>,
    not_before: Option<Timestamp>,
    kept_in: Option<KeptIn>,
}

/// A signature is recorded, and something keeps the signer from handing it out: its nonce or its outpoints are used up.
#[derive(Debug, Serialize)]
pub(super) struct KeptIn {
    tag: Tag,
    message: String,
}

#[derive(Debug, Serialize)]
struct Attempt {
    number: u32,
    txid: Option<String>,
    signed_transaction: Option<String>,
    /// It pays nobody, and takes the place of the payment; `None` where that is not known here.
    cancels: Option<bool>,
    pays_nobody: Option<bool>,
    /// Why that is not known.
    not_decoded: Option<String>,
    /// The orchestrator's word.
    #[serde(skip)]
    labelled_cancel: bool,
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
    pub(super) fn of(withdrawal: &Withdrawal, decoder: Decoder<'_>) -> Self {
        let decoded = decoder.decode(withdrawal);
        let attempts = withdrawal.attempts.iter().zip(&decoded);
        Self {
            attempts: attempts
                .map(|(attempt, decoded)| Attempt::of(attempt, &decoded.made))
                .collect(),
            warnings: decoded
                .into_iter()
                .flat_map(|Decoded { contradictions, .. }| contradictions)
                .collect(),
            id: withdrawal.id,
            tenant: withdrawal.tenant.to_string(),
            reference: withdrawal.reference.to_string(),
            wallet: withdrawal.wallet.to_string(),
            network: withdrawal.network.to_string(),
            state: withdrawal.state.as_str(),
            reasons: withdrawal.reasons.iter().map(reason).collect(),
            missing: missing(&withdrawal.missing),
            not_before: withdrawal.not_before,
            kept_in: None,
        }
    }
}

impl Attempt {
    fn of(attempt: &countersign_client::Attempt, made: &Made) -> Self {
        let (bytes, txid) = attempt.signed.clone().unzip();
        let (cancels, pays_nobody) = match made {
            Made::Payment => (Some(false), Some(false)),
            Made::Nothing => (Some(false), Some(true)),
            Made::Cancel => (Some(true), Some(true)),
            Made::Unknown(_) => (None, None),
        };
        Self {
            number: attempt.number,
            txid: txid.map(|txid| harmless(&txid)),
            signed_transaction: bytes.map(|bytes| format!("0x{}", hex::encode(bytes))),
            cancels,
            pays_nobody,
            not_decoded: match made {
                Made::Unknown(why) => Some(harmless(why)),
                Made::Payment | Made::Nothing | Made::Cancel => None,
            },
            labelled_cancel: attempt.labelled_cancel,
        }
    }

    /// What it is, where it may be something else than a payment.
    fn what(&self) -> String {
        match (self.cancels, self.pays_nobody, &self.not_decoded) {
            (Some(true), _, _) => ", a cancel attempt: it pays nobody".to_owned(),
            (_, Some(true), _) => ", which pays nobody".to_owned(),
            (_, _, Some(why)) if self.labelled_cancel => {
                format!(", a cancel attempt as the orchestrator says; not decoded here: {why}")
            }
            (_, _, _) => String::new(),
        }
    }

    fn is_signed(&self) -> bool {
        self.txid.is_some()
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
    /// The same, with what the signer keeps in.
    pub(super) fn holding(self, kept_in: Option<KeptIn>) -> Self {
        Self { kept_in, ..self }
    }

    /// Fails where the orchestrator says of an attempt what could have a payment taken for none.
    pub(super) fn certify(&self) -> Result<()> {
        let failure = self.warnings.iter().find_map(Contradiction::failure);
        failure.map_or(Ok(()), |failure| Err(failure.within(self.id)))
    }

    /// Whether a payment, or what may be one, and what takes its place are signed.
    fn is_contested(&self) -> bool {
        let (cancels, others): (Vec<&Attempt>, Vec<&Attempt>) = self
            .attempts
            .iter()
            .filter(|attempt| attempt.is_signed())
            .partition(|attempt| attempt.cancels == Some(true));
        !cancels.is_empty() && !others.is_empty()
    }

    /// Two lines and the first reason, for a list.
    pub(super) fn summarize(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let signed = self.attempts.iter().filter(|attempt| attempt.is_signed()).count();
        writeln!(f, "{}  {}", self.id, self.state)?;
        write!(
            f,
            "  {} (tenant {}), {} on {}",
            self.reference, self.tenant, self.wallet, self.network
        )?;
        write!(f, ", {signed} of {} attempts signed", self.attempts.len())?;
        let mut attempts = self.attempts.iter();
        let is_cancelled = attempts.any(|attempt| attempt.is_signed() && attempt.cancels == Some(true));
        writeln!(
            f,
            "{}",
            if is_cancelled {
                ", a cancel attempt among them"
            } else {
                ""
            }
        )?;
        for warning in &self.warnings {
            writeln!(f, "  WARNING: {warning}")?;
        }
        match self.reasons.first() {
            Some(reason) => writeln!(f, "  {}: {}", reason.tag, reason.message),
            None => Ok(()),
        }
    }
}

/// What the signer has recorded and keeps in, of a withdrawal that is stopped and has nothing signed to show: there is a receipt then, and the
/// orchestrator is refused it. Not known where nobody answers.
pub(super) async fn kept_in(client: &Client, withdrawal: &Withdrawal) -> Option<KeptIn> {
    let is_stopped = match withdrawal.state {
        State::Denied | State::Cancelled | State::Expired | State::Frozen => true,
        State::Received
        | State::PendingApproval
        | State::Refused
        | State::Malformed
        | State::Signed
        | State::Replacing => false,
    };
    if !is_stopped || withdrawal.signed().is_some() {
        return None;
    }
    match client.receipt(&withdrawal.id).await {
        Err(ClientError::Refused { tag, message }) if tag.class() == Class::Denied => Some(KeptIn {
            tag,
            message: harmless(&message),
        }),
        Ok(_) | Err(_) => None,
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

/// The exit code of the attempt with these bytes: whatever else was signed stays signed, and is not what was asked for.
pub(super) fn exit_of_attempt(withdrawal: &Withdrawal, unsigned: &[u8]) -> Exit {
    let mut attempts = withdrawal.attempts.iter();
    let is_signed = attempts.any(|attempt| attempt.unsigned_transaction == unsigned && attempt.signed.is_some());
    match withdrawal.state {
        State::Signed if !is_signed => exit_of_no(withdrawal),
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
            let (number, what) = (attempt.number, attempt.what());
            match &attempt.txid {
                Some(txid) => writeln!(f, "txid        {txid} (attempt {number}{what})")?,
                None if self.kept_in.is_some() => writeln!(f, "unreleased  attempt {number}{what}")?,
                None if self.attempts.len() > 1 => writeln!(f, "not signed  attempt {number}{what}")?,
                None => {}
            }
        }
        if self.is_contested() {
            let which = "the payment or the cancel attempt, whichever the chain takes first";
            writeln!(f, "may land    {which}")?;
        }
        if let Some(KeptIn { tag, message }) = &self.kept_in {
            writeln!(
                f,
                "kept in     a signature, which is recorded and not handed out: {tag}: {message}"
            )?;
            let until = match *tag == Tag::FreezeActive {
                true => "it goes on by itself after the thaw",
                false => "its nonce or outpoints stay used up until a cancel attempt takes its place",
            };
            writeln!(f, "            {until}")?;
        }
        for warning in &self.warnings {
            writeln!(f, "WARNING     {warning}")?;
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
    use crate::withdraw::decoded::tests::Bench;

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
                labelled_cancel: false,
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
    fn the_exit_code_is_that_of_the_attempt_with_the_bytes() {
        let mut replaced = withdrawal(State::Signed, "request/fee-over-ceiling");
        assert_eq!(exit_of_attempt(&replaced, &[2]).number(), 0);
        assert_eq!(exit_of_attempt(&replaced, &[3]).number(), 3, "another one is signed");
        replaced.attempts.push(countersign_client::Attempt {
            number: 2,
            unsigned_transaction: vec![3],
            signed: None,
            labelled_cancel: true,
        });
        assert_eq!(exit_of_attempt(&replaced, &[3]).number(), 3);
        replaced.state = State::Replacing;
        assert_eq!(exit_of_attempt(&replaced, &[3]).number(), 4);
    }

    /// A pipeline that takes the latest signed attempt for the payment would book what was never paid.
    #[test]
    fn a_cancel_attempt_is_told_from_the_payment() {
        let bench = Bench::new();
        let mut cancelled = bench.withdrawal(&[(&bench.payment(), false), (&bench.to_itself(), true)]);
        let signed = cancelled.attempts[1].signed.take();
        let text = bench.shown(&cancelled).to_string();
        assert!(
            text.contains("not signed  attempt 2, a cancel attempt: it pays nobody\n"),
            "{text}"
        );
        assert!(!text.contains("may land"), "{text}");
        let txid = signed.clone().unwrap().1;
        cancelled.attempts[1].signed = signed;
        let text = bench.shown(&cancelled).to_string();
        let signed = format!("txid        {txid} (attempt 2, a cancel attempt: it pays nobody)");
        for line in [
            signed.as_str(),
            "may land    the payment or the cancel attempt, whichever the chain takes first",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
        let json = serde_json::to_value(bench.shown(&cancelled)).unwrap();
        assert_eq!(json["attempts"][1]["cancels"], true);
    }

    /// Nothing was handed out, and all the same the nonce is gone.
    #[test]
    fn what_is_kept_in_is_not_called_unsigned() {
        let bench = Bench::new();
        for (state, tag, until) in [
            (
                State::Cancelled,
                Tag::WithdrawalCancelled,
                "until a cancel attempt takes its place",
            ),
            (State::Frozen, Tag::FreezeActive, "it goes on by itself after the thaw"),
        ] {
            let mut stopped = withdrawal(state, "withdrawal/cancelled");
            stopped.attempts[0].signed = None;
            let message = "what is signed is kept in\n".to_owned();
            let shown = bench.shown(&stopped).holding(Some(KeptIn {
                tag,
                message: harmless(&message),
            }));
            let text = shown.to_string();
            let expected = format!(
                "unreleased  attempt 1\nkept in     a signature, which is recorded and not handed out: {tag}: what is signed is kept in\\n\n"
            );
            assert!(text.contains(&expected) && text.contains(until), "{text}");
            assert!(!text.contains("not signed"), "{text}");
            assert_eq!(serde_json::to_value(&shown).unwrap()["kept_in"]["tag"], tag.to_string());
        }
    }

    #[test]
    fn golden_text_and_json() {
        let shown = Bench::new().shown(&withdrawal(State::Refused, "permit/uncovered"));
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
        let why = "the transaction: the transaction is not valid RLP: input too short";
        assert_eq!(
            serde_json::to_string(&shown).unwrap(),
            format!(
                r#"{{"id":"{id}","tenant":"main","reference":"r-1","wallet":"eth-hot","network":"eip155:31337","state":"refused","attempts":[{{"number":1,"txid":"0xabc\\u{{1b}}","signed_transaction":"0x0203","cancels":null,"pays_nobody":null,"not_decoded":"{why}"}}],"warnings":[],"reasons":[{{"tag":"permit/uncovered","rule":"customer-payouts","message":"no\\npermit"}}],"missing":[{{"group":"treasury","required":2,"filled":1}}],"not_before":null,"kept_in":null}}"#
            )
        );
    }
}

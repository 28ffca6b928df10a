//! Statements that let a fee be higher than was asked for, or let a cancel attempt cost anything. Each is for one transaction, and
//! stored before it is sent (docs/adr/0001): a retry sends the same one.

use std::path::{Path, PathBuf};

use countersign_approval::{Body, Cancel, Envelope, FeeCeiling, Replace, Roster, Statement};
use countersign_chains::Registry;
use countersign_client::Withdrawal;
use countersign_decision::may_take_back;
use countersign_types::{Duration, ParsedTransaction, PrincipalId, Tag, WithdrawalId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{amounts, stored::escaped};
use crate::{
    clock,
    environment::{Environment, Layout},
    failure::{Failure, Result},
    files,
    signing::{Draft, Signed, SigningOptions},
    transaction,
};

/// Hexadecimal digits of the transaction's digest in the file's name: no two transactions of one request share them.
const NAME_DIGITS: usize = 16;

/// What the statement is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    /// The same payments may cost more.
    Replace,
    /// Nothing is paid any more, and what takes the place of what is signed may cost this much.
    Cancel,
}

impl Word {
    fn as_str(self) -> &'static str {
        match self {
            Self::Replace => "replace",
            Self::Cancel => "cancel",
        }
    }

    fn format(self) -> &'static str {
        match self {
            Self::Replace => "countersign.stored-replace/1",
            Self::Cancel => "countersign.stored-cancel/1",
        }
    }
}

/// What is stated, by whom, and for how long it may be on its way.
#[derive(Debug)]
pub(super) struct Stating<'a> {
    pub(super) word: Word,
    pub(super) fee_ceiling: FeeCeiling,
    pub(super) reason: &'a str,
    pub(super) validity: Duration,
    /// An officer, or else the initiating service.
    pub(super) officer: Option<&'a PrincipalId>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    format: String,
    withdrawal: WithdrawalId,
    fee_ceiling: FeeCeiling,
    reason: String,
    /// The officer who stated it; absent for the initiator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    officer: Option<PrincipalId>,
    /// The DSSE envelope.
    envelope: Value,
}

/// A ceiling that covers what the fee of these bytes can be.
pub(super) fn parse(
    text: &str,
    known: &Withdrawal,
    parsed: &ParsedTransaction,
    registry: &Registry,
) -> Result<FeeCeiling> {
    let (fee_asset, max) = transaction::fee(parsed)?;
    let (asset, amount) = amounts::parse(text, &known.network, registry)?;
    if asset.id != *fee_asset || amount < max {
        let max = registry.assets().shown(fee_asset, max);
        let why = format!("the fee can be {max}; `{text}` does not cover it");
        return Err(Failure::refused(Tag::RequestFeeOverCeiling, why));
    }
    Ok(FeeCeiling {
        asset: fee_asset.clone(),
        amount,
    })
}

/// Refuses whose word the signer would not count.
pub(super) fn certify_person(person: Option<&PrincipalId>, environment: &Environment, roster: &Roster) -> Result<()> {
    let Some(person) = person else { return Ok(()) };
    if may_take_back(person, environment.initiator(), roster) {
        return Ok(());
    }
    let why = format!("`{person}` is neither an officer nor among the people who initiate");
    Err(Failure::refused(Tag::StatementNotPermitted, why))
}

impl Stating<'_> {
    /// The stored statement for this transaction again, or a new one, stored.
    pub(super) fn sign(
        &self,
        environment: &Environment,
        (known, parsed): (&Withdrawal, &ParsedTransaction),
        signing: &SigningOptions,
    ) -> Result<Signed> {
        let layout = environment.layout();
        let path = self.path(&layout, known, parsed);
        if let Some(envelope) = self.read(&path, known.id)? {
            return Ok(Signed::Envelope(envelope));
        }
        let envelope = match self.seal(environment, known.id, signing)? {
            Signed::Envelope(envelope) => envelope,
            printed @ Signed::Printed { .. } => return Ok(printed),
        };
        let record = Record {
            format: self.word.format().to_owned(),
            withdrawal: known.id,
            fee_ceiling: self.fee_ceiling.clone(),
            reason: self.reason.to_owned(),
            officer: self.officer.cloned(),
            envelope: serde_json::from_slice(&envelope.to_bytes()).map_err(Failure::failed)?,
        };
        files::create_folder(&layout.requests())?;
        files::write_json(&path, &record)?;
        Ok(Signed::Envelope(envelope))
    }

    fn body(&self, withdrawal: WithdrawalId) -> Body {
        let reason = self.reason.to_owned();
        match self.word {
            Word::Replace => Body::Replace(Replace {
                withdrawal,
                fee_ceiling: self.fee_ceiling.clone(),
                reason,
            }),
            Word::Cancel => Body::Cancel(Cancel {
                withdrawal,
                fee_ceiling: Some(self.fee_ceiling.clone()),
                reason,
            }),
        }
    }

    fn seal(&self, environment: &Environment, id: WithdrawalId, signing: &SigningOptions) -> Result<Signed> {
        let draft = Draft {
            deployment: environment.genesis()?.hash(),
            validity: self.validity,
            body: self.body(id),
        };
        let layout = environment.layout();
        match self.officer {
            Some(officer) => signing.sign(&layout, officer, draft),
            None => signing
                .sign_as_service(&layout, environment.initiator(), draft)
                .map(Signed::Envelope),
        }
    }

    /// `requests/<reference>.<word>-<digits of the transaction's digest>.json`.
    fn path(&self, layout: &Layout, known: &Withdrawal, parsed: &ParsedTransaction) -> PathBuf {
        let digest: String = parsed
            .transaction()
            .as_bytes()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let digits: String = digest.chars().take(NAME_DIGITS).collect();
        let (reference, word) = (escaped(&known.reference), self.word.as_str());
        layout.requests().join(format!("{reference}.{word}-{digits}.json"))
    }

    /// The stored statement, if it says the same and still counts. Another one replaces it: the signer takes the highest ceiling.
    fn read(&self, path: &Path, withdrawal: WithdrawalId) -> Result<Option<Envelope>> {
        if !path.is_file() {
            return Ok(None);
        }
        let record: Record = files::read_json(path)?;
        let broken = |why: &str| Failure::file(path, "understand", why);
        if record.format != self.word.format() {
            return Err(broken("it has another format"));
        }
        let is_same = record.withdrawal == withdrawal
            && record.fee_ceiling == self.fee_ceiling
            && record.reason == self.reason
            && record.officer.as_ref() == self.officer;
        let envelope = serde_json::to_vec(&record.envelope).map_err(Failure::failed)?;
        let envelope = Envelope::parse(&envelope).map_err(|error| broken(&error.to_string()))?;
        let statement = Statement::parse(envelope.kind(), envelope.payload());
        let statement = statement.map_err(|error| broken(&error.to_string()))?;
        let is_over = statement.header.validity.is_expired(clock::now()?);
        Ok((is_same && !is_over).then_some(envelope))
    }
}

//! The statement that raises a fee ceiling, stored before it is sent: a retry sends the same one.

use std::path::PathBuf;

use clap::Args;
use countersign_approval::{Body, Envelope, FeeCeiling, Replace, Roster, Statement};
use countersign_chains::Registry;
use countersign_client::Withdrawal;
use countersign_types::{Duration, ParsedTransaction, PrincipalId, Tag, WithdrawalId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    clock,
    environment::{Environment, Layout},
    failure::{Failure, Result},
    files,
    signing::{Draft, Signed, SigningOptions},
    transaction,
    withdraw::amounts,
};

const FORMAT: &str = "countersign.stored-replace/1";
/// Hexadecimal digits of the transaction's digest in the file's name: no two replacements of one request share them.
const NAME_DIGITS: usize = 16;

#[derive(Debug, Args)]
pub(super) struct Raise {
    /// The most that any attempt's fee may be from now on, for example "0.002 ETH". It can only be raised. Needed where the fee is
    /// over the ceiling so far.
    #[arg(long, value_name = "AMOUNT")]
    fee_ceiling: Option<String>,
    /// Why, for the people who approve it; at most 512 characters.
    #[arg(long, default_value = "", requires = "fee_ceiling")]
    reason: String,
    /// How long the raised ceiling may be on its way to the signer. Once it is there it stays.
    #[arg(long, value_name = "TIME", default_value = "24h", requires = "fee_ceiling")]
    valid_for: Duration,
    /// Raise it as an officer, not as the initiating service (whose key is services/<initiator>.key of the environment).
    #[arg(long = "as", value_name = "PERSON", requires = "fee_ceiling")]
    officer: Option<PrincipalId>,
    #[command(flatten)]
    signing: SigningOptions,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    format: String,
    withdrawal: WithdrawalId,
    fee_ceiling: FeeCeiling,
    reason: String,
    /// The officer who raised it; absent for the initiator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    officer: Option<PrincipalId>,
    /// The DSSE envelope.
    envelope: Value,
}

impl Raise {
    /// Who raises it, if not the initiator.
    pub(super) fn officer(&self) -> Option<&PrincipalId> {
        self.officer.as_ref()
    }

    /// Refuses whose word the signer would not count.
    pub(super) fn certify(&self, environment: &Environment, roster: &Roster) -> Result<()> {
        let Some(person) = &self.officer else { return Ok(()) };
        let initiating = roster.initiating_people(environment.initiator());
        if roster.is_officer(person) || initiating.contains(person) {
            return Ok(());
        }
        let why = format!("`{person}` is neither an officer nor among the people who initiate");
        Err(Failure::refused(Tag::StatementNotPermitted, why))
    }

    /// The statement, where one was asked for: the stored one again, or a new one, stored.
    pub(super) fn sign(
        &self,
        environment: &Environment,
        known: &Withdrawal,
        parsed: &ParsedTransaction,
        registry: &Registry,
    ) -> Result<Option<Signed>> {
        let Some(text) = &self.fee_ceiling else {
            return match self.signing.is_default() {
                true => Ok(None),
                false => Err(Failure::usage(
                    "only a raised ceiling is signed: name it with --fee-ceiling",
                )),
            };
        };
        let replace = Replace {
            withdrawal: known.id,
            fee_ceiling: ceiling(text, known, parsed, registry)?,
            reason: self.reason.clone(),
        };
        let path = path(&environment.layout(), known, parsed);
        if let Some(envelope) = read(&path, &replace, self.officer.as_ref())? {
            return Ok(Some(Signed::Envelope(envelope)));
        }
        let envelope = match self.seal(environment, &replace)? {
            Signed::Envelope(envelope) => envelope,
            printed @ Signed::Printed { .. } => return Ok(Some(printed)),
        };
        let record = Record {
            format: FORMAT.to_owned(),
            withdrawal: replace.withdrawal,
            fee_ceiling: replace.fee_ceiling,
            reason: replace.reason,
            officer: self.officer.clone(),
            envelope: serde_json::from_slice(&envelope.to_bytes()).map_err(Failure::failed)?,
        };
        files::create_folder(&environment.layout().requests())?;
        files::write_json(&path, &record)?;
        Ok(Some(Signed::Envelope(envelope)))
    }

    fn seal(&self, environment: &Environment, replace: &Replace) -> Result<Signed> {
        let draft = Draft {
            deployment: environment.genesis()?.hash(),
            validity: self.valid_for,
            body: Body::Replace(replace.clone()),
        };
        let layout = environment.layout();
        match &self.officer {
            Some(officer) => self.signing.sign(&layout, officer, draft),
            None => self
                .signing
                .sign_as_service(&layout, environment.initiator(), draft)
                .map(Signed::Envelope),
        }
    }
}

fn ceiling(text: &str, known: &Withdrawal, parsed: &ParsedTransaction, registry: &Registry) -> Result<FeeCeiling> {
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

/// `requests/<reference>.replace-<digits of the transaction's digest>.json`.
fn path(layout: &Layout, known: &Withdrawal, parsed: &ParsedTransaction) -> PathBuf {
    let digest: String = parsed
        .transaction()
        .as_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let digits: String = digest.chars().take(NAME_DIGITS).collect();
    let reference = super::super::stored::escaped(&known.reference);
    layout.requests().join(format!("{reference}.replace-{digits}.json"))
}

/// The stored statement, if it says the same and still counts. Another one replaces it: the signer takes the highest ceiling.
fn read(path: &std::path::Path, replace: &Replace, officer: Option<&PrincipalId>) -> Result<Option<Envelope>> {
    if !path.is_file() {
        return Ok(None);
    }
    let record: Record = files::read_json(path)?;
    let broken = |why: &str| Failure::file(path, "understand", why);
    if record.format != FORMAT {
        return Err(broken("it has another format"));
    }
    let is_same = record.withdrawal == replace.withdrawal
        && record.fee_ceiling == replace.fee_ceiling
        && record.reason == replace.reason
        && record.officer.as_ref() == officer;
    let envelope = serde_json::to_vec(&record.envelope).map_err(Failure::failed)?;
    let envelope = Envelope::parse(&envelope).map_err(|error| broken(&error.to_string()))?;
    let statement = Statement::parse(envelope.kind(), envelope.payload());
    let statement = statement.map_err(|error| broken(&error.to_string()))?;
    let is_over = statement.header.validity.is_expired(clock::now()?);
    Ok((is_same && !is_over).then_some(envelope))
}

//! The statement that raises a fee ceiling.

use clap::Args;
use countersign_approval::Roster;
use countersign_chains::Registry;
use countersign_client::Withdrawal;
use countersign_types::{Duration, ParsedTransaction, PrincipalId};

use crate::{
    environment::Environment,
    failure::{Failure, Result},
    signing::{Signed, SigningOptions},
    withdraw::ceiling::{self, Stating, Word},
};

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

impl Raise {
    /// Who raises it, if not the initiator.
    pub(super) fn officer(&self) -> Option<&PrincipalId> {
        self.officer.as_ref()
    }

    /// Refuses whose word the signer would not count.
    pub(super) fn certify(&self, environment: &Environment, roster: &Roster) -> Result<()> {
        ceiling::certify_person(self.officer(), environment, roster)
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
        let stating = Stating {
            word: Word::Replace,
            fee_ceiling: ceiling::parse(text, known, parsed, registry)?,
            reason: &self.reason,
            validity: self.valid_for,
            officer: self.officer(),
        };
        stating.sign(environment, (known, parsed), &self.signing).map(Some)
    }
}

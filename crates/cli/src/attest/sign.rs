//! `countersign attest price`, `screening` and `address-book`: statements signed with the attester's key.

use std::{fmt, path::PathBuf};

use clap::{Args, ValueEnum};
use countersign_approval::{Body, BookEntry, BookState, Kind, Quote, Screening, ScreeningResult, Statement, seal};
use countersign_types::{
    Amount, AssetId, AttestationKind, Currency, Destination, Duration, GenesisHash, Price as UnitPrice,
    StatementDigest, SubjectId, TenantId, UtcSeconds, WithdrawalId,
};
use serde::Serialize;

use super::Post;
use crate::{
    clock,
    environment::Environment,
    failure::{Failure, Result},
    files,
    keys::SigningKey,
    output::Output,
};

/// What every attestation is signed with.
#[derive(Debug, Args)]
struct Signing {
    #[command(flatten)]
    post: Post,
    /// Your own count for the matter: a later word never has a lower one.
    #[arg(long)]
    sequence: u64,
    /// Where the statement is written; a file that is there stays.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// How long the statement counts. Default: an hour of a price, a day of a screening, 31 days of an entry.
    #[arg(long, value_name = "TIME")]
    valid_for: Option<Duration>,
    /// The attester's key file. Default: services/<attester>.key of the environment.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
}

/// Sign what one whole unit of an asset is worth.
///
/// The quote is yours, from your own market data: the signer compares it with other sources. Nothing is sent: `attest submit`
/// brings the file to each withdrawal that needs it.
#[derive(Debug, Args)]
#[command(after_help = "JSON: {file, statement, kind, matter, expires_at}")]
pub(crate) struct Price {
    #[command(flatten)]
    signing: Signing,
    /// The asset (CAIP-19).
    #[arg(long)]
    asset: AssetId,
    /// CHF, CNY, EUR, GBP, JPY or USD.
    #[arg(long)]
    currency: Currency,
    /// One whole unit in whole units of the currency, as 2500.25.
    #[arg(long)]
    price: UnitPrice,
    /// When the market was read. Default: now.
    #[arg(long, value_name = "TIME")]
    observed_at: Option<UtcSeconds>,
}

/// What is looked at.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Check {
    Sanctions,
    TravelRule,
}

/// What was found.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Found {
    Pass,
    Fail,
}

/// Sign whether a payment of a withdrawal passed a check.
///
/// It counts for this withdrawal, destination, asset and amount only: amount is all that the withdrawal pays the destination of
/// the asset, in base units. Nothing is sent: `attest submit` brings the file, and `attest record` a failed one to the signer.
#[derive(Debug, Args)]
#[command(after_help = "JSON: {file, statement, kind, matter, expires_at}")]
pub(crate) struct Screened {
    #[command(flatten)]
    signing: Signing,
    /// The withdrawal (wd_…).
    id: WithdrawalId,
    /// What was looked at.
    #[arg(long, value_enum)]
    check: Check,
    /// Where the payment goes (CAIP-10).
    #[arg(long)]
    destination: Destination,
    /// The asset (CAIP-19).
    #[arg(long)]
    asset: AssetId,
    /// In base units.
    #[arg(long)]
    amount: Amount,
    /// What was found.
    #[arg(long, value_enum)]
    result: Found,
}

/// Sign that a destination is a customer's, or is not any more.
///
/// An entry holds until the statement expires: sign it again, with a higher sequence, before then. Nothing is sent: `attest record`
/// brings a removal to the signer, and starts the cool-off of a new entry.
#[derive(Debug, Args)]
#[command(after_help = "JSON: {file, statement, kind, matter, expires_at}")]
pub(crate) struct Entry {
    #[command(flatten)]
    signing: Signing,
    /// Whose customer it is.
    #[arg(long)]
    tenant: TenantId,
    /// The customer.
    #[arg(long)]
    subject: SubjectId,
    /// The customer's destination (CAIP-10).
    #[arg(long)]
    destination: Destination,
    /// When the customer registered it.
    #[arg(
        long,
        value_name = "TIME",
        required_unless_present = "removed",
        conflicts_with = "removed"
    )]
    registered_at: Option<UtcSeconds>,
    /// It is not in the book any more.
    #[arg(long)]
    removed: bool,
}

/// The result: `{"file","statement","kind","matter","expires_at"}`.
#[derive(Debug, Serialize)]
struct Signed {
    file: PathBuf,
    statement: StatementDigest,
    kind: Kind,
    matter: String,
    expires_at: String,
}

impl fmt::Display for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "attestation  {}", self.statement)?;
        writeln!(f, "says         {} until {}", self.matter, self.expires_at)?;
        write!(f, "file         {}", self.file.display())
    }
}

impl Signing {
    fn run(self, body: Body, matter: String, output: Output) -> Result<()> {
        let environment = Environment::open(&self.post.dir)?;
        let own = environment.layout().service_key(&self.post.attester);
        let key = SigningKey::read(self.key.as_ref().unwrap_or(&own))?;
        let signed = self.sign(environment.genesis()?.hash(), &key, (body, matter))?;
        output.report(&signed)
    }

    fn sign(self, deployment: GenesisHash, key: &SigningKey, (body, matter): (Body, String)) -> Result<Signed> {
        let kind = body.kind();
        let valid_for = self.valid_for.unwrap_or_else(|| usual_validity(kind));
        let header = clock::header(deployment, valid_for)?;
        let envelope = seal(&Statement { header, body }, key).map_err(Failure::failed)?;
        files::create(&self.out, &envelope.to_bytes())?;
        Ok(Signed {
            file: self.out,
            statement: envelope.statement_digest(),
            kind,
            matter,
            expires_at: header.validity.expires_at().to_string(),
        })
    }
}

/// An hour of a price, a day of a screening, and as long as may be of an entry.
fn usual_validity(kind: Kind) -> Duration {
    let longest = kind.max_validity();
    match kind {
        Kind::Price => Duration::from_secs(3_600),
        Kind::Screening => Duration::from_secs(86_400),
        Kind::AddressBook
        | Kind::Request
        | Kind::Approval
        | Kind::Rejection
        | Kind::Cancel
        | Kind::Activation
        | Kind::Observation
        | Kind::Freeze
        | Kind::Thaw
        | Kind::Veto
        | Kind::Replace => longest,
    }
}

fn now() -> Result<UtcSeconds> {
    Ok(clock::now()?.to_seconds())
}

impl Price {
    pub(super) fn run(self, output: Output) -> Result<()> {
        let body = Quote {
            asset: self.asset,
            currency: self.currency,
            price: self.price,
            sequence: self.signing.sequence,
            observed_at: self.observed_at.map_or_else(now, Ok)?,
        };
        let matter = format!("one {} is {} {}", body.asset, body.price, body.currency);
        self.signing.run(Body::Price(body), matter, output)
    }
}

impl Screened {
    pub(super) fn run(self, output: Output) -> Result<()> {
        let body = Screening {
            check: match self.check {
                Check::Sanctions => AttestationKind::Sanctions,
                Check::TravelRule => AttestationKind::TravelRule,
            },
            withdrawal: self.id,
            destination: self.destination,
            asset: self.asset,
            amount: self.amount,
            result: match self.result {
                Found::Pass => ScreeningResult::Pass,
                Found::Fail => ScreeningResult::Fail,
            },
            sequence: self.signing.sequence,
            screened_at: now()?,
        };
        let word = match body.result {
            ScreeningResult::Pass => "passed",
            ScreeningResult::Fail => "failed",
        };
        let matter = format!(
            "{} of {} {} to {} {word}",
            body.check, body.amount, body.asset, body.destination
        );
        self.signing.run(Body::Screening(body), matter, output)
    }
}

impl Entry {
    pub(super) fn run(self, output: Output) -> Result<()> {
        let entry = self
            .registered_at
            .map_or(BookState::Removed, |at| BookState::Registered { at });
        let body = BookEntry {
            tenant: self.tenant,
            subject: self.subject,
            destination: self.destination,
            entry,
            sequence: self.signing.sequence,
        };
        let word = match body.entry {
            BookState::Registered { .. } => "is",
            BookState::Removed => "is no longer",
        };
        let matter = format!("{} {word} of {} ({})", body.destination, body.subject, body.tenant);
        self.signing.run(Body::AddressBook(body), matter, output)
    }
}

#[cfg(test)]
mod tests {
    use countersign_approval::Envelope;

    use super::*;
    use crate::keys;

    fn signing(folder: &std::path::Path, valid_for: Option<u32>) -> Signing {
        Signing {
            post: Post {
                dir: folder.to_owned(),
                attester: "prices-1".parse().unwrap(),
            },
            sequence: 7,
            out: folder.join("said.json"),
            valid_for: valid_for.map(Duration::from_secs),
            key: None,
        }
    }

    fn quote(price: &str) -> (Body, String) {
        let body = Quote {
            asset: "eip155:1/slip44:60".parse().unwrap(),
            currency: Currency::Usd,
            price: price.parse().unwrap(),
            sequence: 7,
            observed_at: "2026-06-01T00:00:00Z".parse().unwrap(),
        };
        (Body::Price(body), String::new())
    }

    #[test]
    fn what_is_written_is_the_statement() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("prices-1.key");
        keys::generate_seed(&path).unwrap();
        let key = SigningKey::read(&path).unwrap();
        let sign = |valid_for, said| signing(folder.path(), valid_for).sign(GenesisHash::of(b"g"), &key, said);
        assert!(sign(None, quote("0")).is_err(), "a price is not zero");
        assert!(sign(Some(86_401), quote("1")).is_err(), "a price is valid for a day");
        let signed = sign(None, quote("2500.25")).unwrap();
        let envelope = Envelope::parse(&std::fs::read(&signed.file).unwrap()).unwrap();
        assert_eq!(
            (envelope.kind(), envelope.statement_digest()),
            (Kind::Price, signed.statement)
        );
        assert!(sign(None, quote("1")).is_err(), "a file that is there stays");
    }
}

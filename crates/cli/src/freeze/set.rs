//! `countersign freeze set`: one officer stops signatures.

use std::{fmt, str::FromStr};

use clap::Args;
use countersign_approval::{Body, Freeze, FreezeScope};
use countersign_types::{
    AssetId, AssetRegistry, AssetSymbol, CaipError, ChainId, Destination, FreezeId, IdError, PrincipalId,
    StatementDigest, Tag, TenantId, UtcSeconds, WalletId,
};
use serde::Serialize;

use super::{Seat, VALIDITY};
use crate::{
    acknowledged::Both,
    approvals::Printed,
    environment::Environment,
    failure::{Failure, Result},
    output::Output,
    signing::{Draft, Signed, SigningOptions},
    trust::Trust,
};

/// Freeze: from the signer's acknowledgement on, nothing in the scope is signed. What was released before cannot be recalled.
///
/// Only a quorum of admins lifts it, after the roster's `thaw-delay`.
#[derive(Debug, Args)]
#[command(after_help = "JSON: {freeze, scope, statement, in_force_since}; with --print-message {file, command}")]
pub(crate) struct Set {
    #[command(flatten)]
    seat: Seat,
    #[command(flatten)]
    scope: Scope,
    /// Why, for people; at most 512 characters.
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    signing: SigningOptions,
}

/// What is frozen; exactly one of them.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Scope {
    /// Everything.
    #[arg(long)]
    all: bool,
    /// What this wallet signs.
    #[arg(long, value_name = "WALLET")]
    wallet: Option<WalletId>,
    /// What is signed for this network (CAIP-2).
    #[arg(long, value_name = "NETWORK")]
    network: Option<ChainId>,
    /// What moves or touches this asset (CAIP-19, or a symbol that names one asset of the bundle in force), fees paid in it too.
    #[arg(long, value_name = "ASSET")]
    asset: Option<Asset>,
    /// What goes to this destination (CAIP-10).
    #[arg(long, value_name = "DESTINATION")]
    destination: Option<Destination>,
    /// What this person or service asks for.
    #[arg(long, value_name = "INITIATOR")]
    initiator: Option<PrincipalId>,
    /// What is asked for on behalf of this tenant.
    #[arg(long, value_name = "TENANT")]
    tenant: Option<TenantId>,
}

/// An asset as people name it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Asset {
    Id(AssetId),
    Symbol(AssetSymbol),
}

impl FromStr for Asset {
    type Err = String;

    /// An id has a slash, a symbol has none.
    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text.contains('/') {
            true => text.parse().map(Self::Id).map_err(|error: CaipError| error.to_string()),
            false => text
                .parse()
                .map(Self::Symbol)
                .map_err(|error: IdError| error.to_string()),
        }
    }
}

/// The one asset that a symbol means. Freezing one of several would be believed to have frozen all.
fn meant(symbol: &AssetSymbol, assets: &AssetRegistry) -> Result<AssetId> {
    let ids: Vec<&AssetId> = assets.all_by_symbol(symbol).map(|record| &record.id).collect();
    match ids.as_slice() {
        [only] => Ok((*only).clone()),
        [] => {
            let message = format!("the bundle in force has no asset `{symbol}`");
            Err(Failure::denied(Tag::FreezeUnknownScope, message))
        }
        several => {
            let ids: Vec<String> = several.iter().map(ToString::to_string).collect();
            let ids = ids.join(", ");
            Err(Failure::usage(format!(
                "`{symbol}` names several assets: freeze each that is meant of {ids}"
            )))
        }
    }
}

impl Scope {
    /// Clap takes exactly one; without any, the widest is meant rather than none.
    fn read(self, asset: Option<AssetId>) -> FreezeScope {
        let named = self.wallet.map(FreezeScope::Wallet);
        let named = named.or(self.network.map(FreezeScope::Network));
        let named = named.or(asset.map(FreezeScope::Asset));
        let named = named.or(self.destination.map(FreezeScope::Destination));
        let named = named.or(self.initiator.map(FreezeScope::Initiator));
        let named = named.or(self.tenant.map(FreezeScope::Tenant));
        named.unwrap_or(FreezeScope::All)
    }
}

/// The result: `{"freeze","scope","statement","in_force_since"}`.
#[derive(Debug, Serialize)]
struct Frozen {
    freeze: FreezeId,
    scope: FreezeScope,
    statement: StatementDigest,
    /// When the signer first journaled it, under the log key's signature.
    in_force_since: UtcSeconds,
}

impl fmt::Display for Frozen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "frozen       {}", self.scope)?;
        writeln!(f, "freeze       {}", self.freeze)?;
        writeln!(f, "statement    {}", self.statement)?;
        write!(
            f,
            "in force     since {} (acknowledged under the log key)",
            self.in_force_since
        )
    }
}

impl Set {
    pub(super) async fn run(self, output: Output) -> Result<()> {
        let environment = Environment::open(&self.seat.dir)?;
        let (layout, genesis) = (environment.layout(), environment.genesis()?);
        let asset = match self.scope.asset.clone() {
            None => None,
            Some(Asset::Id(id)) => Some(id),
            // What symbols mean is the bundle's to say, and which one is in force is verified here.
            Some(Asset::Symbol(symbol)) => {
                let trust = Trust::fetch(&layout, self.seat.person.as_str()).await?;
                Some(meant(&symbol, trust.active()?.registry().assets())?)
            }
        };
        let scope = self.scope.read(asset);
        let draft = Draft {
            deployment: genesis.hash(),
            validity: VALIDITY,
            body: Body::Freeze(Freeze {
                scope: scope.clone(),
                reason: self.reason,
            }),
        };
        let envelope = match self.signing.sign(&layout, &self.seat.person, draft)? {
            Signed::Envelope(envelope) => envelope,
            Signed::Printed { file, command } => return output.report(&Printed { file, command }),
        };
        let both = Both {
            layout: &layout,
            genesis: &genesis,
            person: &self.seat.person,
        };
        let in_force_since = both.submit(&envelope).await?;
        let statement = envelope.statement_digest();
        output.report(&Frozen {
            freeze: Freeze::id(statement),
            scope,
            statement,
            in_force_since,
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use countersign_types::{AssetRecord, Decimals};

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        scope: Scope,
    }

    #[test]
    fn exactly_one_scope_is_named() {
        let read = |words: &[&str]| {
            let words = ["freeze"].iter().chain(words);
            let asset = |scope: &Scope| match &scope.asset {
                Some(Asset::Id(id)) => Some(id.clone()),
                Some(Asset::Symbol(_)) | None => None,
            };
            Line::try_parse_from(words).map(|line| {
                let asset = asset(&line.scope);
                line.scope.read(asset).to_string()
            })
        };
        for (flag, name) in [
            ("wallet", "eth-hot"),
            ("network", "eip155:1"),
            ("asset", "eip155:1/slip44:60"),
            ("destination", "eip155:1:0x70997970C51812dc3A010C7d01b50e0d17dc79C8"),
            ("initiator", "payout-service"),
            ("tenant", "main"),
        ] {
            assert_eq!(read(&[&format!("--{flag}"), name]).unwrap(), format!("{flag} {name}"));
            assert!(read(&["--all", &format!("--{flag}"), name]).is_err());
        }
        assert_eq!(read(&["--all"]).unwrap(), "all");
        assert!(read(&[]).is_err());
    }

    #[test]
    fn a_symbol_means_one_asset_or_none() {
        let record = |id: &str, symbol: &str| AssetRecord {
            id: id.parse().unwrap(),
            symbol: symbol.parse().unwrap(),
            decimals: Decimals::new(6).unwrap(),
            quirks: Default::default(),
        };
        let (here, there) = ("eip155:1/erc20:0xa", "eip155:2/erc20:0xa");
        let assets = [
            record(here, "USDC"),
            record(there, "USDC"),
            record("eip155:1/slip44:60", "ETH"),
        ];
        let assets = AssetRegistry::new(assets).unwrap();
        let read = |text: &str| match text.parse().unwrap() {
            Asset::Id(id) => Ok(id.to_string()),
            Asset::Symbol(symbol) => meant(&symbol, &assets).map(|id| id.to_string()),
        };
        assert_eq!(read("ETH").unwrap(), "eip155:1/slip44:60");
        assert_eq!(read(there).unwrap(), there);
        let several = read("USDC").unwrap_err().to_string();
        assert!(several.contains(here) && several.contains(there), "{several}");
        assert_eq!(read("DAI").unwrap_err().tag(), Some(Tag::FreezeUnknownScope));
        for text in ["", "a/b", "eip155:1/", "E TH"] {
            assert!(text.parse::<Asset>().is_err(), "{text:?}");
        }
    }
}

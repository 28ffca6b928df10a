//! `countersign tx decode`, and unsigned transactions as every command reads and shows them.

mod facts;
mod input;

use std::{fmt, path::PathBuf};

use clap::Args;
use countersign_bundle::Bundle;
use countersign_chains::Registry;
use countersign_types::{
    Amount, AssetId, AssetRegistry, BundleDigest, ChainFacts, ChainId, Destination, Effect, EffectsText,
    ParsedTransaction, Scheme, SigningPayload, Tag, TemplateKind, WalletId,
};
use serde::Serialize;

pub(crate) use self::{
    facts::read as claimed,
    input::{REWRITTEN, Unsigned, read},
};
use crate::{
    beside::Beside,
    bundle_files,
    environment::Environment,
    failure::{Failure, Result},
    lookalikes::{self, Lookalike},
    output::Output,
    trust,
};

/// Decode an unsigned transaction with a bundle: what it does, what it can cost, what excludes it, what would be signed.
///
/// Nothing is sent or asked anywhere. With --dir the bundle is the environment's copy, and the report says whether it is the
/// newest one that was verified here from the genesis on; with --bundle nobody vouches for it.
#[derive(Debug, Args)]
#[command(
    after_help = "JSON: {transaction, rewritten, effects, typed_data, display: {owner, intent, lines: [{label, text}]}, quirks: [{asset, symbol, quirks}], fee: {asset, max, shown}, change: [{asset, amount, shown, wallet, destination}], template, conflict_keys, payloads: [{key, scheme, bytes, digest}], lookalikes: [{destination, resembles, known_as}], bundle: {digest, version, verified}, claimed_facts}; amounts in base units"
)]
pub(crate) struct Decode {
    /// The environment.
    #[arg(long, value_name = "DIR", required_unless_present = "bundle")]
    dir: Option<PathBuf>,
    /// A bundle's folder instead of the environment's own copy.
    #[arg(long, value_name = "BUNDLE_DIR", conflicts_with = "dir")]
    bundle: Option<PathBuf>,
    /// The network (CAIP-2), for example eip155:31337.
    #[arg(long)]
    network: ChainId,
    /// The wallet that would sign; needed where the network has several.
    #[arg(long)]
    wallet: Option<WalletId>,
    /// Lookup tables and nonce accounts as you claim them to be (JSON: docs/transactions.md). The signer believes observers
    /// instead.
    #[arg(long, value_name = "FILE")]
    facts: Option<PathBuf>,
    /// The unsigned bytes: raw, as hex or base64 text, or typed data as wallets take it (JSON of eth_signTypedData_v4); `-` is
    /// standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl Decode {
    pub(crate) fn run(self, output: Output) -> Result<()> {
        let (bundle, used) = self.bundle()?;
        let wallet = match self.wallet {
            Some(wallet) => wallet,
            None => only_wallet(&bundle, &self.network)?,
        };
        let registry = bundle.registry();
        let claims = match &self.facts {
            Some(file) => Some(claimed(file, &self.network, registry)?),
            None => None,
        };
        let Unsigned { bytes, is_rewritten } = input::read_or_listen(&self.file, &self.network)?;
        let facts = claims.as_ref().unwrap_or(ChainFacts::none());
        let parsed = parse(registry, &self.network, &wallet, &bytes, facts)?;
        let mut decoded = Decoded::of(&parsed, &bytes, &bundle, used)?;
        decoded.rewritten = is_rewritten;
        decoded.claimed_facts = claims.is_some();
        output.report(&decoded)
    }

    fn bundle(&self) -> Result<(Bundle, Used)> {
        let (folder, newest) = match (&self.bundle, &self.dir) {
            (Some(bundle), _) => (bundle.clone(), None),
            (None, Some(dir)) => {
                let layout = Environment::open(dir)?.layout();
                (layout.bundle(), trust::newest_verified(&layout)?)
            }
            (None, None) => return Err(Failure::usage("name an environment (--dir) or a bundle (--bundle)")),
        };
        let bundle = bundle_files::load(&folder)?;
        let used = Used {
            digest: bundle.digest(),
            version: bundle.version(),
            verified: newest == Some(bundle.digest()),
        };
        Ok((bundle, used))
    }
}

fn only_wallet(bundle: &Bundle, network: &ChainId) -> Result<WalletId> {
    let mut wallets = bundle
        .registry()
        .wallets()
        .iter()
        .filter(|wallet| wallet.networks.contains_key(network));
    match (wallets.next(), wallets.next()) {
        (Some(wallet), None) => Ok(wallet.id.clone()),
        (Some(_), Some(_)) => Err(Failure::usage(format!(
            "`{network}` has several wallets: name one with --wallet"
        ))),
        (None, _) => Err(Failure::refused(
            Tag::RequestUnknownNetwork,
            format!("no wallet is on `{network}`"),
        )),
    }
}

/// Parses bytes with a bundle's own networks, wallets and assets, and facts that somebody claims.
pub(crate) fn parse(
    registry: &Registry,
    network: &ChainId,
    wallet: &WalletId,
    unsigned: &[u8],
    facts: &ChainFacts,
) -> Result<ParsedTransaction> {
    let parsed = registry.parse(network, wallet, unsigned, facts);
    parsed.map_err(|error| Failure::refused(error.tag(), format!("the transaction: {error}")))
}

/// The one fee of a parse.
pub(crate) fn fee(parsed: &ParsedTransaction) -> Result<(&AssetId, Amount)> {
    let fee = parsed.effects().iter().find_map(|effect| match effect {
        Effect::Fee { asset, max } => Some((asset, *max)),
        Effect::Transfer { .. }
        | Effect::Internal { .. }
        | Effect::Allowance { .. }
        | Effect::AuthorityChange { .. }
        | Effect::CodeChange { .. }
        | Effect::DelayedAuthorization { .. }
        | Effect::ContractCall { .. }
        | Effect::Opaque { .. }
        | Effect::PersonalMessage { .. } => None,
    });
    fee.ok_or_else(|| Failure::refused(Tag::TransactionMalformed, "the transaction has no fee"))
}

/// The result; `--help` lists its fields.
#[derive(Debug, Serialize)]
struct Decoded {
    transaction: String,
    /// Whether the file held another text of the typed data than the one that is signed.
    rewritten: bool,
    effects: EffectsText,
    #[serde(flatten)]
    beside: Beside,
    fee: Fee,
    /// What comes back; no effects text has it, because it varies between attempts.
    change: Vec<Change>,
    template: Option<TemplateKind>,
    conflict_keys: Vec<String>,
    payloads: Vec<Payload>,
    lookalikes: Vec<Lookalike>,
    bundle: Used,
    claimed_facts: bool,
}

#[derive(Debug, Serialize)]
struct Fee {
    asset: AssetId,
    max: Amount,
    shown: String,
}

#[derive(Debug, Serialize)]
struct Change {
    asset: AssetId,
    amount: Amount,
    shown: String,
    wallet: WalletId,
    destination: Destination,
}

#[derive(Debug, Serialize)]
struct Payload {
    key: String,
    scheme: &'static str,
    bytes: String,
    digest: String,
}

/// The bundle that gave names, keys and decimals.
#[derive(Debug, Serialize)]
struct Used {
    digest: BundleDigest,
    version: u64,
    /// Whether it is the newest that was verified here from the genesis on.
    verified: bool,
}

impl Decoded {
    fn of(parsed: &ParsedTransaction, unsigned: &[u8], bundle: &Bundle, used: Used) -> Result<Self> {
        let (asset, max) = fee(parsed)?;
        let assets = bundle.registry().assets();
        let effects = EffectsText::render(
            parsed.network(),
            parsed.wallet(),
            parsed.effects(),
            (asset, max),
            assets,
        );
        Ok(Self {
            transaction: parsed.transaction().to_string(),
            rewritten: false,
            effects: effects.map_err(|error| Failure::refused(Tag::TransactionTooLarge, error))?,
            beside: Beside::of(parsed, unsigned, bundle)?,
            fee: Fee {
                asset: asset.clone(),
                max,
                shown: assets.shown(asset, max),
            },
            change: parsed
                .effects()
                .iter()
                .filter_map(|effect| change(effect, assets))
                .collect(),
            template: parsed.template(),
            conflict_keys: parsed.conflict_keys().iter().map(ToString::to_string).collect(),
            payloads: parsed.signing_payloads().iter().map(payload).collect(),
            lookalikes: lookalikes::among(parsed.effects(), bundle),
            bundle: used,
            claimed_facts: false,
        })
    }
}

fn change(effect: &Effect, assets: &AssetRegistry) -> Option<Change> {
    let Effect::Internal {
        asset,
        amount,
        wallet,
        destination,
        change: true,
    } = effect
    else {
        return None;
    };
    Some(Change {
        asset: asset.clone(),
        amount: *amount,
        shown: assets.shown(asset, *amount),
        wallet: wallet.clone(),
        destination: destination.clone(),
    })
}

fn payload(payload: &SigningPayload) -> Payload {
    Payload {
        key: payload.key().to_string(),
        scheme: match payload.bytes().scheme() {
            Scheme::Ecdsa => "ecdsa",
            Scheme::Schnorr => "schnorr",
            Scheme::Ed25519 => "ed25519",
        },
        bytes: format!("0x{}", hex::encode(payload.bytes().as_bytes())),
        digest: payload.digest().to_string(),
    }
}

/// As requests write it.
fn name(template: TemplateKind) -> &'static str {
    match template {
        TemplateKind::EvmNonceAndFee => "evm-nonce-and-fee",
        TemplateKind::BitcoinInputsAndFee => "bitcoin-inputs-and-fee",
        TemplateKind::SolanaBlockhashAndFee => "solana-blockhash-and-fee",
    }
}

impl fmt::Display for Decoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "transaction {}", self.transaction)?;
        if self.rewritten {
            writeln!(f, "note: {REWRITTEN}")?;
        }
        write!(f, "{}{}", self.effects.as_str(), self.beside)?;
        for change in &self.change {
            let Change {
                shown,
                wallet,
                destination,
                ..
            } = change;
            writeln!(f, "change {shown} back to wallet {wallet} at {destination}")?;
        }
        if let Some(template) = self.template {
            writeln!(f, "is one of template {}", name(template))?;
        }
        for key in &self.conflict_keys {
            writeln!(f, "excluded by {key}")?;
        }
        for payload in &self.payloads {
            writeln!(
                f,
                "to sign {} {} with key {}",
                payload.scheme, payload.bytes, payload.key
            )?;
        }
        for lookalike in &self.lookalikes {
            writeln!(f, "warning: {lookalike}")?;
        }
        if self.claimed_facts {
            writeln!(
                f,
                "warning: lookup tables and nonce accounts are as the facts file claims"
            )?;
        }
        writeln!(f, "decoded with bundle {}", self.bundle)
    }
}

impl fmt::Display for Used {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let trust = match self.verified {
            true => "the newest that was verified here",
            false => "NOT verified here",
        };
        write!(f, "{} (version {}), {trust}", self.digest, self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{bundle_files, files, init::fixture::Fixture};

    fn decode(fixture: &Fixture) -> Decode {
        Decode {
            dir: Some(fixture.layout.root().to_owned()),
            bundle: None,
            network: "eip155:31337".parse().unwrap(),
            wallet: None,
            facts: None,
            file: "unused".into(),
        }
    }

    /// `approvals show` remembers what it verified; only that bundle, and no other, is then said to be verified.
    #[test]
    fn the_environments_copy_is_verified_once_the_signer_showed_it() {
        let fixture = Fixture::new();
        let command = decode(&fixture);
        assert!(!command.bundle().unwrap().1.verified, "nothing was verified yet");
        let digest = bundle_files::load(&fixture.layout.bundle()).unwrap().digest();
        files::create_folder(&fixture.layout.path("trust")).unwrap();
        let remember = |digest: BundleDigest| {
            let seen = serde_json::json!({ "version": 1, "bundle": digest });
            files::write_json(&fixture.layout.path("trust/bundle.json"), &seen).unwrap();
        };
        remember(BundleDigest::of(b"another"));
        assert!(!command.bundle().unwrap().1.verified);
        remember(digest);
        let (_, used) = command.bundle().unwrap();
        assert!(used.verified);
        assert!(
            used.to_string()
                .ends_with("(version 1), the newest that was verified here"),
            "{used}"
        );
        let elsewhere = Decode {
            bundle: Some(fixture.layout.bundle()),
            dir: None,
            ..decode(&fixture)
        };
        assert!(!elsewhere.bundle().unwrap().1.verified, "nobody vouches for a folder");
    }
}

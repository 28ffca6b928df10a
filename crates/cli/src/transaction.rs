//! `countersign tx decode`, and unsigned transactions as every command reads and shows them.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use clap::Args;
use countersign_bundle::Bundle;
use countersign_chains::Registry;
use countersign_types::{Amount, AssetId, ChainFacts, ChainId, Effect, EffectsText, ParsedTransaction, Tag, WalletId};
use serde::Serialize;

use crate::{
    bundle_files,
    environment::Environment,
    failure::{Failure, Result},
    files,
    output::Output,
};

/// The API's own bound.
const MAX_TRANSACTION_BYTES: usize = 128 * 1024;

/// Decode an unsigned transaction with the environment's bundle: what it does, what it can cost, what excludes it, what
/// would be signed. Nothing is sent.
#[derive(Debug, Args)]
#[command(
    after_help = "JSON: {transaction, effects, fee: {asset, max}, conflict_keys, payloads: [{key, scheme, bytes, digest}]}; amounts in base units"
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
    /// The unsigned bytes, raw or as text `0x…`.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl Decode {
    pub(crate) fn run(self, output: Output) -> Result<()> {
        let folder = match (self.bundle, self.dir) {
            (Some(bundle), _) => bundle,
            (None, Some(dir)) => Environment::open(&dir)?.layout().bundle(),
            (None, None) => return Err(Failure::usage("name an environment (--dir) or a bundle (--bundle)")),
        };
        let bundle = bundle_files::load(&folder)?;
        let wallet = match self.wallet {
            Some(wallet) => wallet,
            None => only_wallet(&bundle, &self.network)?,
        };
        let parsed = parse(bundle.registry(), &self.network, &wallet, &read(&self.file)?)?;
        output.report(&Decoded::of(&parsed, &bundle)?)
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

/// Unsigned bytes from a file: raw, or as text `0x…`.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    let bytes = files::read(path)?;
    // No raw transaction of any family starts with the characters `0x`.
    let bytes = match bytes.strip_prefix(b"0x") {
        Some(text) => hex::decode(text.trim_ascii_end()).map_err(|error| Failure::file(path, "understand", error))?,
        None => bytes,
    };
    match bytes.len() > MAX_TRANSACTION_BYTES {
        true => Err(Failure::refused(
            Tag::TransactionTooLarge,
            format!("`{}` is over {MAX_TRANSACTION_BYTES} bytes", path.display()),
        )),
        false => Ok(bytes),
    }
}

/// Parses bytes with a bundle's own networks, wallets and assets.
pub(crate) fn parse(
    registry: &Registry,
    network: &ChainId,
    wallet: &WalletId,
    unsigned: &[u8],
) -> Result<ParsedTransaction> {
    let parsed = registry.parse(network, wallet, unsigned, ChainFacts::none());
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

/// The result: `{"transaction","effects","fee":{"asset","max"},"conflict_keys","payloads":[{"key","scheme","bytes","digest"}]}`.
#[derive(Debug, Serialize)]
pub(crate) struct Decoded {
    transaction: String,
    effects: EffectsText,
    fee: Fee,
    conflict_keys: Vec<String>,
    payloads: Vec<Payload>,
}

#[derive(Debug, Serialize)]
struct Fee {
    asset: AssetId,
    max: Amount,
}

#[derive(Debug, Serialize)]
struct Payload {
    key: String,
    scheme: String,
    bytes: String,
    digest: String,
}

impl Decoded {
    fn of(parsed: &ParsedTransaction, bundle: &Bundle) -> Result<Self> {
        let (asset, max) = fee(parsed)?;
        let assets = bundle.registry().assets();
        let effects = EffectsText::render(
            parsed.network(),
            parsed.wallet(),
            parsed.effects(),
            (asset, max),
            assets,
        );
        let payload = |payload: &countersign_types::SigningPayload| Payload {
            key: payload.key().to_string(),
            scheme: format!("{:?}", payload.bytes().scheme()).to_ascii_lowercase(),
            bytes: format!("0x{}", hex::encode(payload.bytes().as_bytes())),
            digest: payload.digest().to_string(),
        };
        Ok(Self {
            transaction: parsed.transaction().to_string(),
            effects: effects.map_err(|error| Failure::refused(Tag::TransactionTooLarge, error))?,
            fee: Fee {
                asset: asset.clone(),
                max,
            },
            conflict_keys: parsed.conflict_keys().iter().map(ToString::to_string).collect(),
            payloads: parsed.signing_payloads().iter().map(payload).collect(),
        })
    }
}

impl fmt::Display for Decoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "transaction {}", self.transaction)?;
        write!(f, "{}", self.effects.as_str())?;
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
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_raw_or_as_hex() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tx");
        for (written, expected) in [
            (&b"\x02\xff"[..], &b"\x02\xff"[..]),
            (b"0x02ff\n", b"\x02\xff"),
            (b"0x", b""),
        ] {
            files::write(&path, written).unwrap();
            assert_eq!(read(&path).unwrap(), expected);
        }
        for bad in ["0x0", "0xzz", "0x02 ff"] {
            files::write(&path, bad.as_bytes()).unwrap();
            read(&path).unwrap_err();
        }
        files::write(&path, &vec![2; MAX_TRANSACTION_BYTES + 1]).unwrap();
        assert_eq!(read(&path).unwrap_err().tag(), Some(Tag::TransactionTooLarge));
    }
}

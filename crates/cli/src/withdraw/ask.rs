//! What is asked for, from flags to an unsigned transaction and a request's body.

use std::{collections::BTreeMap, path::PathBuf};

use clap::Args;
use countersign_approval::{FeeCeiling, Payment, Request, TemplateKind, TransactionBinding};
use countersign_bundle::Bundle;
use countersign_chains::{
    Registry,
    evm::{GasPrice, TransferDraft},
};
use countersign_types::{
    Amount, AssetId, AttributeName, AttributeValue, ChainFacts, ChainId, Destination, Effect, EffectsText, IdError,
    ParsedTransaction, PaymentReference, Reference, SubjectId, Tag, TenantId, WalletId,
};
use serde::{Deserialize, Serialize};

use super::amounts;
use crate::{
    failure::{Failure, Result},
    transaction::{self, Unsigned},
};

/// Gas of a plain transfer of the native asset.
pub(super) const NATIVE_GAS: u64 = 21_000;
/// More than usual token contracts need for `transfer`.
const TOKEN_GAS: u64 = 100_000;

/// The payment, or the transaction that makes it. Stored with the request, so that a retry can be told from another ask.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Args)]
#[serde(deny_unknown_fields)]
pub(super) struct Ask {
    /// The wallet that pays.
    #[arg(long)]
    pub(super) wallet: WalletId,
    /// The network (CAIP-2), for example eip155:31337.
    #[arg(long)]
    pub(super) network: ChainId,
    /// Your name of the withdrawal. With the tenant it fixes the request for ever.
    #[arg(long)]
    pub(super) reference: Reference,
    /// The address to pay, in its canonical form (EIP-55 on EVM networks).
    #[arg(long, value_name = "ADDR", required_unless_present = "tx", conflicts_with = "tx")]
    to: Option<String>,
    /// How much of what, for example "1.5 ETH"; symbols and decimals come from the bundle.
    #[arg(long, value_name = "AMOUNT", required_unless_present = "tx", conflicts_with = "tx")]
    amount: Option<String>,
    /// Unsigned bytes (raw, hex or base64) instead of a draft from --to and --amount: an EVM transaction or message, a PSBT, a
    /// Solana message. On EVM networks also typed data as wallets take it (JSON of eth_signTypedData_v4).
    #[arg(long, value_name = "FILE", visible_aliases = ["psbt", "transaction", "typed-data"])]
    tx: Option<PathBuf>,
    /// Lookup tables and nonce accounts of Solana as your own node has them (JSON: docs/transactions.md): the request is for what
    /// the bytes do with them. It waits until observers attest the same; if they say otherwise, it is refused.
    #[arg(long, value_name = "FILE", requires = "tx")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    facts: Option<PathBuf>,
    /// Your name of the payment, signed under one request only. Default: the reference; with several payments, the
    /// reference and `/1`, `/2` ….
    #[arg(long)]
    payment_reference: Option<PaymentReference>,
    /// The customer behind the payment.
    #[arg(long)]
    subject: Option<SubjectId>,
    /// Something that the request says of itself, for the policy's rules and for approvers: NAME=VALUE, up to 16 of them.
    #[arg(long = "attribute", value_name = "NAME=VALUE", value_parser = attribute)]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    attributes: Vec<(AttributeName, AttributeValue)>,
    /// The account's nonce. Default: the first one that an ended withdrawal of the wallet on this network left below signed ones, or else
    /// the first one that no open or signed withdrawal uses.
    #[arg(long, conflicts_with = "tx")]
    pub(super) nonce: Option<u64>,
    /// Units of gas at most. Default: 21000 for the native asset, 100000 for tokens.
    #[arg(long, conflicts_with = "tx")]
    gas_limit: Option<u64>,
    /// The highest price of a unit of gas.
    #[arg(long, value_name = "PRICE", default_value = "30 gwei", conflicts_with = "tx")]
    max_fee: String,
    /// The highest tip for a unit of gas.
    #[arg(long, value_name = "PRICE", default_value = "1 gwei", conflicts_with = "tx")]
    max_priority_fee: String,
    /// The most that any attempt's fee may be. Default: the most that this transaction's fee can be.
    #[arg(long, value_name = "AMOUNT")]
    fee_ceiling: Option<String>,
    /// Let later attempts change what the family's template leaves open (EVM: nonce, gas limit and fee fields; Bitcoin: inputs,
    /// own change and fee; Solana: blockhash and priority fee). Without it exactly these bytes may be signed.
    #[arg(long)]
    template: bool,
}

impl Ask {
    /// The unsigned bytes: read, or drafted with a nonce.
    pub(super) fn unsigned(&self, registry: &Registry, nonce: u64) -> Result<Unsigned> {
        match (&self.tx, &self.to, &self.amount) {
            (Some(file), _, _) => transaction::read(file, &self.network),
            (None, Some(to), Some(amount)) => Ok(Unsigned {
                bytes: self.draft(registry, (to, amount), nonce)?,
                is_rewritten: false,
            }),
            (None, None, _) | (None, _, None) => Err(Failure::usage("name --to and --amount, or --tx")),
        }
    }

    /// What the bytes do, with the facts that the flags claim.
    pub(super) fn parse(&self, registry: &Registry, unsigned: &[u8]) -> Result<ParsedTransaction> {
        let claimed = match &self.facts {
            Some(file) => Some(transaction::claimed(file, &self.network, registry)?),
            None => None,
        };
        let facts = claimed.as_ref().unwrap_or(ChainFacts::none());
        transaction::parse(registry, &self.network, &self.wallet, unsigned, facts)
    }

    /// The same payment at other prices of gas.
    pub(super) fn at(&self, max_fee: String, max_priority_fee: String) -> Self {
        Self {
            max_fee,
            max_priority_fee,
            ..self.clone()
        }
    }

    /// The highest tip for a unit of gas.
    pub(super) fn tip(&self) -> &str {
        &self.max_priority_fee
    }

    /// Whether the nonce is already inside the bytes.
    pub(super) fn is_drafted(&self) -> bool {
        self.tx.is_none()
    }

    fn draft(&self, registry: &Registry, (to, amount): (&str, &str), nonce: u64) -> Result<Vec<u8>> {
        let (asset, amount) = amounts::parse(amount, &self.network, registry)?;
        let is_native = registry.fee_asset(&self.network).as_ref() == Some(&asset.id);
        let destination = registry.parse_destination(&self.network, to);
        let destination = destination.map_err(|error| Failure::refused(error.tag(), format!("`{to}`: {error}")))?;
        let draft = TransferDraft {
            asset: asset.id.clone(),
            amount,
            destination,
            nonce,
            gas_limit: self.gas_limit.unwrap_or(if is_native { NATIVE_GAS } else { TOKEN_GAS }),
            price: GasPrice::Eip1559 {
                max_fee_per_gas: amounts::parse_gwei(&self.max_fee)?,
                max_priority_fee_per_gas: amounts::parse_gwei(&self.max_priority_fee)?,
            },
        };
        draft.encode().map_err(Failure::usage)
    }

    /// The body of the request: its payments and effects are those of the bytes, as they were parsed here.
    pub(super) fn request(&self, tenant: &TenantId, bundle: &Bundle, parsed: &ParsedTransaction) -> Result<Request> {
        let registry = bundle.registry();
        let fee_ceiling = self.ceiling(registry, parsed)?;
        Ok(Request {
            tenant: tenant.clone(),
            reference: self.reference.clone(),
            wallet: self.wallet.clone(),
            network: self.network.clone(),
            payments: self.payments(parsed)?,
            effects: other_effects(registry, parsed, &fee_ceiling)?,
            fee_ceiling,
            transaction: match self.template {
                true => TransactionBinding::Template(template(parsed)?),
                false => TransactionBinding::Exact(parsed.transaction()),
            },
            attributes: self.attributes()?,
        })
    }

    fn attributes(&self) -> Result<BTreeMap<AttributeName, AttributeValue>> {
        let mut attributes = BTreeMap::new();
        for (name, value) in &self.attributes {
            if attributes.insert(name.clone(), value.clone()).is_some() {
                return Err(Failure::usage(format!("--attribute names `{name}` twice")));
            }
        }
        Ok(attributes)
    }

    fn ceiling(&self, registry: &Registry, parsed: &ParsedTransaction) -> Result<FeeCeiling> {
        let (fee_asset, max) = transaction::fee(parsed)?;
        let amount = match &self.fee_ceiling {
            None => max,
            Some(text) => {
                let (asset, amount) = amounts::parse(text, &self.network, registry)?;
                let is_fee_asset = asset.id == *fee_asset;
                if !is_fee_asset || amount < max {
                    let max = registry.assets().shown(fee_asset, max);
                    let why = format!("the fee can be {max}; `{text}` does not cover it");
                    return Err(Failure::refused(Tag::RequestFeeOverCeiling, why));
                }
                amount
            }
        };
        Ok(FeeCeiling {
            asset: fee_asset.clone(),
            amount,
        })
    }

    fn payments(&self, parsed: &ParsedTransaction) -> Result<Vec<Payment>> {
        let transfers: Vec<_> = parsed.effects().iter().filter_map(transfer).collect();
        let is_single = transfers.len() == 1;
        if !is_single && (self.payment_reference.is_some() || self.subject.is_some()) {
            let why = format!(
                "the transaction makes {} payments: --payment-reference and --subject name one",
                transfers.len()
            );
            return Err(Failure::usage(why));
        }
        let payment = |(at, (asset, amount, destination)): (usize, Transfer<'_>)| {
            Ok(Payment {
                reference: self.payment_name(at, is_single)?,
                subject: self.subject.clone(),
                asset: asset.clone(),
                amount,
                destination: destination.clone(),
            })
        };
        transfers.into_iter().enumerate().map(payment).collect()
    }

    fn payment_name(&self, at: usize, is_single: bool) -> Result<PaymentReference> {
        let text = match (&self.payment_reference, is_single) {
            (Some(name), _) => return Ok(name.clone()),
            (None, true) => self.reference.to_string(),
            (None, false) => format!("{}/{}", self.reference, at.saturating_add(1)),
        };
        PaymentReference::parse(text).map_err(Failure::usage)
    }
}

/// The template that the bytes are one of: a request for another would be refused.
fn template(parsed: &ParsedTransaction) -> Result<TemplateKind> {
    parsed.template().ok_or_else(|| {
        let why = "the transaction is one of no template: more of it varies than a template leaves open";
        Failure::refused(Tag::RequestTransactionMismatch, why).advise("ask for exactly these bytes, without --template")
    })
}

/// `purpose=refund`.
fn attribute(text: &str) -> std::result::Result<(AttributeName, AttributeValue), String> {
    let (name, value) = text
        .split_once('=')
        .ok_or_else(|| "write NAME=VALUE, for example purpose=refund".to_owned())?;
    let name = name.parse().map_err(|error: IdError| error.to_string())?;
    let value = value.parse().map_err(|error: IdError| error.to_string())?;
    Ok((name, value))
}

pub(super) type Transfer<'p> = (&'p AssetId, Amount, &'p Destination);

pub(super) fn transfer(effect: &Effect) -> Option<Transfer<'_>> {
    match effect {
        Effect::Transfer {
            asset,
            amount,
            destination,
        } => Some((asset, *amount, destination)),
        Effect::Internal { .. }
        | Effect::Fee { .. }
        | Effect::Allowance { .. }
        | Effect::AuthorityChange { .. }
        | Effect::CodeChange { .. }
        | Effect::DelayedAuthorization { .. }
        | Effect::ContractCall { .. }
        | Effect::Opaque { .. }
        | Effect::PersonalMessage { .. } => None,
    }
}

/// Lines of what the transaction does besides payments, own change and the fee.
pub(super) fn other_effects(
    registry: &Registry,
    parsed: &ParsedTransaction,
    ceiling: &FeeCeiling,
) -> Result<Vec<String>> {
    let others: Vec<Effect> = parsed
        .effects()
        .iter()
        .filter(|effect| transfer(effect).is_none())
        .cloned()
        .collect();
    let ceiling = (&ceiling.asset, ceiling.amount);
    let text = EffectsText::render(parsed.network(), parsed.wallet(), &others, ceiling, registry.assets());
    let text = text.map_err(|error| Failure::refused(Tag::TransactionTooLarge, error))?;
    Ok(text.effect_lines().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use countersign_types::TransactionDigest;

    use super::*;
    use crate::{bundle_files, failure::Exit, files, init::fixture::Fixture};

    const CUSTOMER: &str = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
    const FIXED: [&str; 7] = [
        "ask",
        "--wallet",
        "eth-hot",
        "--network",
        "eip155:31337",
        "--reference",
        "r-1",
    ];

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        ask: Ask,
    }

    fn ask(rest: &[&str]) -> Ask {
        Line::try_parse_from(FIXED.iter().chain(rest)).unwrap().ask
    }

    fn asked(rest: &[&str]) -> Ask {
        ask(&[&["--to", CUSTOMER, "--amount", "1.5 ETH"], rest].concat())
    }

    struct Bench {
        _fixture: Fixture,
        bundle: Bundle,
    }

    impl Bench {
        fn new() -> Self {
            let fixture = Fixture::new();
            let bundle = bundle_files::load(&fixture.layout.bundle()).unwrap();
            Self {
                _fixture: fixture,
                bundle,
            }
        }

        fn request(&self, ask: &Ask) -> Result<(Vec<u8>, Request)> {
            let unsigned = ask.unsigned(self.bundle.registry(), 7)?.bytes;
            let parsed = ask.parse(self.bundle.registry(), &unsigned)?;
            let request = ask.request(&TenantId::parse("main").unwrap(), &self.bundle, &parsed)?;
            Ok((unsigned, request))
        }
    }

    #[test]
    fn a_request_asks_for_exactly_what_the_bytes_do() {
        let bench = Bench::new();
        let attributes = ["--attribute", "purpose=refund", "--attribute", "desk=otc"];
        let flags = [&["--subject", "c-1"][..], &attributes].concat();
        let (unsigned, request) = bench.request(&asked(&flags)).unwrap();
        let stated: Vec<String> = request.attributes.iter().map(|(n, v)| format!("{n}={v}")).collect();
        assert_eq!(stated, ["desk=otc", "purpose=refund"]);
        let [payment] = request.payments.as_slice() else {
            panic!("{request:?}")
        };
        assert_eq!(payment.reference.as_str(), "r-1");
        assert_eq!(payment.subject, Some("c-1".parse().unwrap()));
        assert_eq!(payment.amount.to_string(), "1500000000000000000");
        assert_eq!(payment.destination.address(), CUSTOMER);
        assert!(request.effects.is_empty());
        assert_eq!(request.fee_ceiling.amount.to_string(), "630000000000000");
        assert_eq!(
            request.transaction,
            TransactionBinding::Exact(TransactionDigest::of(&unsigned))
        );
    }

    #[test]
    fn tokens_templates_and_ceilings() {
        let bench = Bench::new();
        let token = ask(&[
            "--to",
            CUSTOMER,
            "--amount",
            "2.5 DEMO",
            "--template",
            "--fee-ceiling",
            "0.01 ETH",
        ]);
        let (_, request) = bench.request(&token).unwrap();
        assert_eq!(request.payments[0].amount.to_string(), "2500000");
        assert_eq!(request.payments[0].asset.namespace(), "erc20");
        assert_eq!(
            request.transaction,
            TransactionBinding::Template(TemplateKind::EvmNonceAndFee)
        );
        assert_eq!(request.fee_ceiling.amount.to_string(), "10000000000000000");
    }

    #[test]
    fn given_bytes_are_asked_for_as_they_are() {
        let bench = Bench::new();
        let (unsigned, drafted) = bench.request(&asked(&[])).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tx");
        files::write(&file, &unsigned).unwrap();
        let given = ask(&["--tx", file.to_str().unwrap()]);
        assert_eq!(bench.request(&given).unwrap(), (unsigned, drafted));
        assert!(!given.is_drafted());
    }

    #[test]
    fn one_wrong_flag_is_refused() {
        let bench = Bench::new();
        let lower = CUSTOMER.to_lowercase();
        let to = |to: &'static str| ask(&["--to", to, "--amount", "1 ETH"]);
        let table = [
            (ask(&["--to", CUSTOMER, "--amount", "1.5 BTC"]), Exit::Refused),
            (ask(&["--to", CUSTOMER, "--amount", "1.5ETH"]), Exit::Usage),
            (
                ask(&["--to", CUSTOMER, "--amount", "0.0000000000000000001 ETH"]),
                Exit::Usage,
            ),
            (ask(&["--to", &lower, "--amount", "1 ETH"]), Exit::Refused),
            (to("0x0000000000000000000000000000000000000000"), Exit::Refused),
            (asked(&["--fee-ceiling", "0.0006 ETH"]), Exit::Refused),
            (asked(&["--fee-ceiling", "1 DEMO"]), Exit::Refused),
            (asked(&["--max-fee", "0.5 gwei"]), Exit::Usage),
            (asked(&["--gas-limit", "20000000"]), Exit::Refused),
            (asked(&["--attribute", "a=1", "--attribute", "a=2"]), Exit::Usage),
        ];
        for (at, (ask, exit)) in table.into_iter().enumerate() {
            assert_eq!(bench.request(&ask).map(drop).unwrap_err().exit(), exit, "row {at}");
        }
    }
}

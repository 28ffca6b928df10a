//! What takes the place of a signed transaction and pays nobody: read or drafted, held against what it may do, and sent with the cancel
//! that it needs.

use std::{fmt, path::PathBuf, time::Duration as Span};

use clap::Args;
use countersign_bundle::Bundle;
use countersign_chains::{
    Registry,
    evm::{self, GasPrice, TransferDraft},
};
use countersign_client::{Client, Until, Withdrawal};
use countersign_decision::pays_nobody;
use countersign_types::{Amount, ParsedTransaction, PrincipalId, Tag};
use serde::Serialize;

use super::{Cancel, Cancelled, VALIDITY};
use crate::{
    acknowledged::Both,
    approvals::Printed,
    bundle_files, connect,
    environment::Environment,
    failure::{Exit, Failure, Result},
    output::Output,
    signing::Signed,
    transaction::{self, Unsigned},
    withdraw::{
        PIPELINE, Shown, amounts, as_last_seen,
        ask::{NATIVE_GAS, transfer},
        ceiling::{self, Stating, Word},
        decoded::{self, Decoder},
        nonce, prices, shown,
        stored::Stored,
    },
};

/// Twice that of a payment.
const USUAL_TIP: &str = "2 gwei";

#[derive(Debug, Args)]
pub(super) struct Attempt {
    /// Unsigned bytes of a cancel attempt (raw, hex or base64): they spend what the signed transaction spends (EVM: the same nonce;
    /// Bitcoin: an outpoint in common; Solana: the same durable nonce), and do nothing but move the wallet's own coins to itself.
    #[arg(long, value_name = "FILE", visible_aliases = ["psbt", "transaction"], group = "attempt", requires = "fee_ceiling")]
    tx: Option<PathBuf>,
    /// Nonce accounts of Solana as your own node has them (JSON: docs/transactions.md). Default: as the request was submitted with.
    #[arg(long, value_name = "FILE", requires = "tx", conflicts_with = "max_fee")]
    facts: Option<PathBuf>,
    /// EVM networks: draft the cancel attempt, a transfer of nothing from the wallet's account to itself, with this highest price of a
    /// unit of gas, for example "60 gwei".
    #[arg(long, value_name = "PRICE", group = "attempt", requires = "fee_ceiling")]
    max_fee: Option<String>,
    /// The highest tip for a unit of gas. Default: 2 gwei, or else a tenth more than what is signed has, which nodes ask for (of --max-fee
    /// too), and not over --max-fee.
    #[arg(long, value_name = "PRICE", requires = "max_fee", conflicts_with = "tx")]
    max_priority_fee: Option<String>,
    /// The account's nonce. Default: that of the latest signed attempt.
    #[arg(long, requires = "max_fee", conflicts_with = "tx")]
    nonce: Option<u64>,
    /// The most that the fee of a cancel attempt may be, for example "0.002 ETH": the cancel states it.
    #[arg(long, value_name = "AMOUNT", requires = "attempt")]
    fee_ceiling: Option<String>,
    /// Wait for the signer's answer to the cancel attempt: signed, denied, or approvals pending.
    #[arg(long, requires = "attempt")]
    wait: bool,
    /// How long to wait at most, in seconds.
    #[arg(long, value_name = "SECS", default_value_t = 60, requires = "wait")]
    patience: u64,
}

impl Attempt {
    /// The ceiling, where there is an attempt.
    pub(super) fn ceiling(&self) -> Option<&str> {
        self.fee_ceiling.as_deref()
    }

    fn unsigned(&self, bundle: &Bundle, known: &Withdrawal) -> Result<Unsigned> {
        match (&self.tx, &self.max_fee) {
            (Some(file), _) => transaction::read(file, &known.network),
            (None, Some(max_fee)) => Ok(Unsigned {
                bytes: self.draft(max_fee, bundle, known)?,
                is_rewritten: false,
            }),
            (None, None) => Err(Failure::usage("name --tx or --max-fee")),
        }
    }

    /// Nothing, from the wallet's account to itself.
    fn draft(&self, max_fee: &str, bundle: &Bundle, known: &Withdrawal) -> Result<Vec<u8>> {
        let registry = bundle.registry();
        if known.network.namespace() != evm::NAMESPACE {
            let why = format!(
                "only on EVM networks is a cancel attempt drafted, not on `{}`",
                known.network
            );
            return Err(Failure::usage(why).advise("build the cancel attempt, and name it with --tx"));
        }
        let unknown = || {
            let why = format!("the bundle has no wallet `{}` on `{}`", known.wallet, known.network);
            Failure::refused(Tag::RequestUnknownWallet, why)
        };
        let tip = match &self.max_priority_fee {
            Some(tip) => tip.clone(),
            None => prices::tip(known, USUAL_TIP, max_fee)?,
        };
        let draft = TransferDraft {
            asset: registry.fee_asset(&known.network).ok_or_else(unknown)?,
            amount: Amount::ZERO,
            destination: registry
                .wallet_destination(&known.network, &known.wallet)
                .ok_or_else(unknown)?,
            nonce: match self.nonce {
                Some(nonce) => nonce,
                None => nonce::of_latest_signed(bundle, known)?,
            },
            gas_limit: NATIVE_GAS,
            price: GasPrice::Eip1559 {
                max_fee_per_gas: amounts::parse_gwei(max_fee)?,
                max_priority_fee_per_gas: amounts::parse_gwei(&tip)?,
            },
        };
        draft.encode().map_err(Failure::usage)
    }

    /// What the bytes do, with the facts that are claimed now or were claimed when the request was made.
    fn parse(
        &self,
        registry: &Registry,
        known: &Withdrawal,
        stored: Option<&Stored>,
        bytes: &[u8],
    ) -> Result<ParsedTransaction> {
        decoded::parse(registry, (known, stored), self.facts.as_deref(), bytes)
    }
}

/// Refuses bytes that pay somebody or do more. The signer decides it again; here nobody signs for what would be denied.
fn certify(parsed: &ParsedTransaction, registry: &Registry) -> Result<()> {
    if pays_nobody(parsed) {
        return Ok(());
    }
    let why = format!("the bytes {}", decoded::does_too_much(parsed, registry));
    match parsed.effects().iter().find_map(transfer) {
        Some(_) => Err(Failure::refused(
            Tag::RequestPaymentsMismatch,
            format!("{why}: a cancel attempt pays nobody"),
        )),
        None => Err(Failure::refused(Tag::RequestEffectsMismatch, why).advise("`tx decode` says what they do")),
    }
}

/// Signs the cancel, stores it, and sends both.
pub(super) async fn run(cancel: &Cancel, text: &str, environment: &Environment, output: Output) -> Result<Exit> {
    let layout = environment.layout();
    let bundle = bundle_files::load_own(&layout)?;
    let registry = bundle.registry();
    let officer = cancel.officer.as_ref();
    let caller = officer.map_or(PIPELINE, PrincipalId::as_str);
    let client = connect::orchestrator(&layout, caller).await?;
    let known = client.withdrawal(&cancel.id).await;
    let known = known.map_err(|error| Failure::answered("orchestrator", &error))?;
    let stored = Stored::of(&layout, &known.reference, cancel.id)?;
    let decoder = Decoder {
        layout: &layout,
        bundle: Ok(&bundle),
        facts: cancel.attempt.facts.as_deref(),
    };
    let unsigned = cancel.attempt.unsigned(&bundle, &known)?;
    if let Some(why) = prices::too_low(&known, &unsigned.bytes) {
        output.progress(why);
    }
    let parsed = cancel
        .attempt
        .parse(registry, &known, stored.as_ref(), &unsigned.bytes)?;
    certify(&parsed, registry)?;
    ceiling::certify_person(officer, environment, bundle.roster())?;
    let stating = Stating {
        word: Word::Cancel,
        fee_ceiling: ceiling::parse(text, &known, &parsed, registry)?,
        reason: &cancel.reason,
        validity: VALIDITY,
        officer,
    };
    let envelope = match stating.sign(environment, (&known, &parsed), &cancel.signing)? {
        Signed::Envelope(envelope) => envelope,
        Signed::Printed { file, command } => {
            output.report(&Printed { file, command })?;
            return Ok(Exit::Done);
        }
    };
    let Some(officer) = officer else {
        let sent = client.cancel_with(&cancel.id, &unsigned.bytes, &envelope).await;
        let sent = sent.map_err(|error| Failure::answered("orchestrator", &error))?;
        let withdrawal = cancel.decided(&client, sent).await?;
        let shown = Shown::of(&withdrawal, decoder);
        output.report(&shown)?;
        shown.certify()?;
        return Ok(cancel.exit_of(&withdrawal, &unsigned.bytes));
    };
    let genesis = environment.genesis()?;
    let both = Both {
        layout: &layout,
        genesis: &genesis,
        person: officer,
    };
    let (id, bytes) = (cancel.id, unsigned.bytes);
    let sent = both.send(id, &envelope, |client, envelope| {
        let bytes = bytes.clone();
        Box::pin(async move { client.cancel_with(&id, &bytes, envelope).await.map(drop) })
    });
    let sent = sent.await?.contested();
    // Without the orchestrator nobody asks for the cancel attempt; the payment is stopped as far as it was not signed.
    let attempted = match sent.is_told() {
        true => Some(cancel.decided(&client, known).await?),
        false => None,
    };
    let exit = attempted
        .as_ref()
        .map_or(Exit::Failed, |found| cancel.exit_of(found, &bytes));
    let report = Attempted {
        cancelled: Cancelled { withdrawal: id, sent },
        attempted: attempted.as_ref().map(|found| Shown::of(found, decoder)),
    };
    output.report(&report)?;
    report.attempted.as_ref().map_or(Ok(()), Shown::certify)?;
    Ok(exit)
}

impl Cancel {
    /// The withdrawal once the cancel attempt is answered, where that was asked for.
    async fn decided(&self, client: &Client, last: Withdrawal) -> Result<Withdrawal> {
        match self.attempt.wait {
            true => {
                let patience = Span::from_secs(self.attempt.patience);
                as_last_seen(client.wait(&last.id, Until::Answered, patience).await)
            }
            false => {
                let found = client.withdrawal(&last.id).await;
                found.map_err(|error| Failure::answered("orchestrator", &error))
            }
        }
    }

    fn exit_of(&self, withdrawal: &Withdrawal, bytes: &[u8]) -> Exit {
        match (self.attempt.wait, shown::exit_of_attempt(withdrawal, bytes)) {
            // Durable, and nobody asked for more.
            (false, Exit::Pending) => Exit::Done,
            (_, exit) => exit,
        }
    }
}

/// The result for an officer: `{"withdrawal","statement","in_force_since","orchestrator","signed","attempted"}`.
#[derive(Debug, Serialize)]
struct Attempted {
    #[serde(flatten)]
    cancelled: Cancelled,
    /// The withdrawal with its cancel attempt, where the orchestrator took it.
    attempted: Option<Shown>,
}

impl fmt::Display for Attempted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.cancelled)?;
        match &self.attempted {
            Some(shown) => write!(f, "\n{shown}"),
            None => write!(f, "\nNOT SENT     the cancel attempt: repeat the command"),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use countersign_client::State;
    use countersign_types::{ConflictKey, Effect, RequestDigest, Timestamp, WithdrawalId};

    use super::*;
    use crate::{files, init::fixture::Fixture};

    const NETWORK: &str = "eip155:31337";
    const CUSTOMER: &str = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        attempt: Attempt,
    }

    fn line(flags: &[&str]) -> std::result::Result<Attempt, clap::Error> {
        Line::try_parse_from([&["cancel"], flags].concat()).map(|line| line.attempt)
    }

    fn drafted(flags: &[&str]) -> Attempt {
        line(&[&["--fee-ceiling", "0.01 ETH", "--max-fee"], flags].concat()).unwrap()
    }

    struct Bench {
        fixture: Fixture,
        bundle: Bundle,
    }

    impl Bench {
        fn new() -> Self {
            let fixture = Fixture::new();
            let bundle = bundle_files::load_own(&fixture.layout).unwrap();
            Self { fixture, bundle }
        }

        /// Bytes of the hot wallet.
        fn bytes(&self, to: &str, amount: u64, nonce: u64) -> Vec<u8> {
            let draft = TransferDraft {
                asset: format!("{NETWORK}/slip44:60").parse().unwrap(),
                amount: Amount::from_base_units(amount),
                destination: format!("{NETWORK}:{to}").parse().unwrap(),
                nonce,
                gas_limit: NATIVE_GAS,
                price: GasPrice::Legacy { gas_price: 1 },
            };
            draft.encode().unwrap()
        }

        fn own(&self) -> String {
            let (network, wallet) = (NETWORK.parse().unwrap(), "eth-hot".parse().unwrap());
            let own = self.bundle.registry().wallet_destination(&network, &wallet);
            own.unwrap().address().to_owned()
        }

        /// Signed under nonce 7, and replaced in vain under nonce 9.
        fn known(&self) -> Withdrawal {
            let attempt = |number, nonce, signed| countersign_client::Attempt {
                number,
                unsigned_transaction: self.bytes(CUSTOMER, 5, nonce),
                signed,
                labelled_cancel: false,
            };
            Withdrawal {
                id: WithdrawalId::of(RequestDigest::of(b"x")),
                tenant: "main".parse().unwrap(),
                reference: "r/1".parse().unwrap(),
                wallet: "eth-hot".parse().unwrap(),
                network: NETWORK.parse().unwrap(),
                state: State::Signed,
                attempts: vec![attempt(1, 7, Some((vec![1], "0x1".to_owned()))), attempt(2, 9, None)],
                reasons: vec![],
                missing: vec![],
                created_at: Timestamp::from_unix_millis(0),
                updated_at: Timestamp::from_unix_millis(0),
                not_before: None,
                revision: 1,
            }
        }

        fn parsed(&self, attempt: &Attempt) -> Result<ParsedTransaction> {
            let known = self.known();
            let bytes = attempt.unsigned(&self.bundle, &known)?.bytes;
            attempt.parse(self.bundle.registry(), &known, None, &bytes)
        }
    }

    #[test]
    fn a_draft_moves_nothing_to_the_wallet_itself_under_the_signed_nonce() {
        let bench = Bench::new();
        let parsed = bench.parsed(&drafted(&["60 gwei"])).unwrap();
        certify(&parsed, bench.bundle.registry()).unwrap();
        let [moved, fee] = parsed.effects() else {
            panic!("{parsed:?}")
        };
        assert!(
            matches!(moved, Effect::Internal { amount, wallet, .. } if amount.is_zero() && wallet.as_str() == "eth-hot")
        );
        assert!(matches!(fee, Effect::Fee { max, .. } if max.to_string() == "1260000000000000"));
        let nonce = |parsed: &ParsedTransaction| match parsed.conflict_keys() {
            [ConflictKey::AccountNonce { nonce, .. }] => *nonce,
            keys => panic!("{keys:?}"),
        };
        assert_eq!(nonce(&parsed), 7);
        let named = bench.parsed(&drafted(&["60 gwei", "--nonce", "3"])).unwrap();
        assert_eq!(nonce(&named), 3);
        let unsigned = Withdrawal {
            attempts: bench.known().attempts.split_off(1),
            ..bench.known()
        };
        assert_eq!(nonce::of_latest_signed(&bench.bundle, &unsigned).unwrap(), 9);
        assert_eq!(nonce::of_latest(&bench.bundle, &bench.known()).unwrap(), 9);
    }

    #[test]
    fn bytes_that_pay_somebody_are_not_signed_for() {
        let bench = Bench::new();
        let file = bench.fixture.layout.path("attempt");
        let attempt = line(&["--fee-ceiling", "1 ETH", "--tx", file.to_str().unwrap()]).unwrap();
        let tag = |bytes: &[u8]| {
            files::write(&file, bytes).unwrap();
            let certified = bench
                .parsed(&attempt)
                .and_then(|parsed| certify(&parsed, bench.bundle.registry()));
            certified.map_err(|failure| (failure.tag(), failure.message().to_owned()))
        };
        tag(&bench.bytes(&bench.own(), 0, 7)).unwrap();
        tag(&bench.bytes(&bench.own(), 5, 7)).unwrap();
        let (found, why) = tag(&bench.bytes(CUSTOMER, 1, 7)).unwrap_err();
        assert_eq!(found, Some(Tag::RequestPaymentsMismatch));
        assert!(
            why.contains("0.000000000000000001 ETH") && why.contains(CUSTOMER),
            "{why}"
        );
        let token = TransferDraft {
            asset: format!("{NETWORK}/erc20:0x5FbDB2315678afecb367f032d93F642f64180aa3")
                .parse()
                .unwrap(),
            amount: Amount::from_base_units(1),
            destination: format!("{NETWORK}:{CUSTOMER}").parse().unwrap(),
            nonce: 7,
            gas_limit: 100_000,
            price: GasPrice::Legacy { gas_price: 1 },
        };
        let mut call = token.encode().unwrap();
        assert_eq!(tag(&call).unwrap_err().0, Some(Tag::RequestPaymentsMismatch));
        // Another selector is nothing that anybody knows.
        let at = call
            .windows(4)
            .position(|bytes| bytes == [0xa9, 0x05, 0x9c, 0xbb])
            .unwrap();
        call[at] = 0xaa;
        assert_eq!(tag(&call).unwrap_err().0, Some(Tag::RequestEffectsMismatch));
        tag(b"\x02nonsense").unwrap_err();
    }

    #[test]
    fn the_ceiling_covers_the_fee_and_the_statement_is_stored() {
        let bench = Bench::new();
        let environment = Environment::open(bench.fixture.layout.root()).unwrap();
        let (known, registry) = (bench.known(), bench.bundle.registry());
        let parsed = bench.parsed(&drafted(&["60 gwei"])).unwrap();
        for short in ["0.00125999 ETH", "1 DEMO"] {
            let failure = ceiling::parse(short, &known, &parsed, registry).unwrap_err();
            assert_eq!(failure.tag(), Some(Tag::RequestFeeOverCeiling), "{short}");
        }
        let officer: PrincipalId = "dave".parse().unwrap();
        let stating = |reason: &'static str, officer| Stating {
            word: Word::Cancel,
            fee_ceiling: ceiling::parse("0.00126 ETH", &known, &parsed, registry).unwrap(),
            reason,
            validity: VALIDITY,
            officer,
        };
        let sign = |reason, officer| {
            let signed = stating(reason, officer).sign(&environment, (&known, &parsed), &Default::default());
            match signed.unwrap() {
                Signed::Envelope(envelope) => envelope,
                Signed::Printed { .. } => panic!("nobody asked for a message"),
            }
        };
        let first = sign("stuck", None);
        assert_eq!(sign("stuck", None), first, "a retry sends the same");
        assert_ne!(sign("another", None), first);
        assert_ne!(sign("another", Some(&officer)), first);
        let mut names = std::fs::read_dir(bench.fixture.layout.requests()).unwrap();
        let name = names.next().unwrap().unwrap().file_name().into_string().unwrap();
        assert!(name.starts_with("r%2F1.cancel-") && names.next().is_none(), "{name}");
        for (person, expected) in [("dave", None), ("carol", Some(Tag::StatementNotPermitted))] {
            let person: PrincipalId = person.parse().unwrap();
            let certified = ceiling::certify_person(Some(&person), &environment, bench.bundle.roster());
            assert_eq!(certified.err().and_then(|failure| failure.tag()), expected, "{person}");
        }
    }

    #[test]
    fn only_evm_networks_are_drafted_for_and_prices_must_fit() {
        let bench = Bench::new();
        let elsewhere = Withdrawal {
            network: "solana:localnet".parse().unwrap(),
            ..bench.known()
        };
        let failure = drafted(&["60 gwei"]).unsigned(&bench.bundle, &elsewhere).unwrap_err();
        assert!(failure.to_string().contains("name it with --tx"), "{failure}");
        let failure = drafted(&["1 gwei", "--max-priority-fee", "2 gwei"])
            .unsigned(&bench.bundle, &bench.known())
            .unwrap_err();
        assert_eq!(failure.exit(), Exit::Usage, "the tip is over the price: {failure}");
        drafted(&["1 gwei"]).unsigned(&bench.bundle, &bench.known()).unwrap();
    }

    /// A ceiling without bytes would let anybody who has the cancel bring some; bytes without a ceiling cannot be signed.
    #[test]
    fn a_ceiling_and_one_attempt_belong_together() {
        assert!(line(&[]).unwrap().ceiling().is_none());
        let ceiling = ["--fee-ceiling", "1 ETH"];
        for wrong in [
            &ceiling[..],
            &["--tx", "x"],
            &["--max-fee", "1 gwei"],
            &["--wait"],
            &["--facts", "x"],
            &["--nonce", "1"],
            &[&ceiling[..], &["--tx", "x", "--max-fee", "1 gwei"]].concat(),
            &[&ceiling[..], &["--tx", "x", "--nonce", "1"]].concat(),
            &[&ceiling[..], &["--max-fee", "1 gwei", "--facts", "x"]].concat(),
            &[&ceiling[..], &["--tx", "x", "--patience", "1"]].concat(),
        ] {
            line(wrong).unwrap_err();
        }
        for right in [
            &["--psbt", "x"][..],
            &["--transaction", "x", "--facts", "y", "--wait", "--patience", "1"],
            &["--max-fee", "1 gwei", "--nonce", "1", "--max-priority-fee", "1 gwei"],
        ] {
            assert_eq!(line(&[&ceiling[..], right].concat()).unwrap().ceiling(), Some("1 ETH"));
        }
    }
}

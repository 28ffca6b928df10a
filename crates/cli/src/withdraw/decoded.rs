//! What the attempts of a withdrawal are, from their bytes. What the orchestrator says of them is its word: one that calls a payment a
//! cancel attempt would have it booked as not made, and made again.

use std::path::Path;

use countersign_approval::Request;
use countersign_bundle::Bundle;
use countersign_chains::Registry;
use countersign_client::{Attempt, Withdrawal};
use countersign_decision::{pays_nobody, takes_the_place};
use countersign_types::{ChainFacts, ParsedTransaction, Tag};
use serde::Serialize;

use super::{ask::transfer, stored::Stored};
use crate::{
    environment::Layout,
    failure::{Failure, Result},
    output::harmless,
    transaction,
};

/// With what bytes are decoded here.
#[derive(Debug, Clone, Copy)]
pub(super) struct Decoder<'a> {
    pub(super) layout: &'a Layout,
    /// The environment's own copy, or why it does not load.
    pub(super) bundle: std::result::Result<&'a Bundle, &'a Failure>,
    /// Nonce accounts and lookup tables that are claimed now.
    pub(super) facts: Option<&'a Path>,
}

/// What an attempt is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Made {
    /// It pays somebody, or does more.
    Payment,
    /// It pays nobody, as was asked for; or what was asked for is not known here, and nobody calls it a cancel attempt.
    Nothing,
    /// It pays nobody and takes the place of what does.
    Cancel,
    /// Not decoded here, and why.
    Unknown(String),
}

/// Something that the orchestrator says of an attempt and its bytes do not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Contradiction {
    tag: Tag,
    message: String,
    /// Whoever believed it would take a payment for none, or one transaction for another.
    #[serde(skip)]
    is_refused: bool,
}

/// One attempt, decoded here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Decoded {
    pub(super) made: Made,
    pub(super) contradictions: Vec<Contradiction>,
}

impl Contradiction {
    fn new(is_refused: bool, message: String) -> Self {
        Self {
            tag: Tag::AttemptContradicted,
            message,
            is_refused,
        }
    }

    /// What a command ends with because of it.
    pub(super) fn failure(&self) -> Option<Failure> {
        let failure = || Failure::refused(self.tag, &self.message);
        self.is_refused.then(failure)
    }
}

impl std::fmt::Display for Contradiction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.tag, self.message)
    }
}

impl<'a> Decoder<'a> {
    /// With the environment's bundle, and no facts but those of stored requests.
    pub(super) fn with(layout: &'a Layout, bundle: &'a Result<Bundle>) -> Self {
        Self {
            layout,
            bundle: bundle.as_ref(),
            facts: None,
        }
    }

    /// What each attempt is.
    pub(super) fn decode(&self, known: &Withdrawal) -> Vec<Decoded> {
        let stored = Stored::of(self.layout, &known.reference, known.id);
        let decode = |attempt: &Attempt| match (self.bundle, &stored) {
            (Ok(bundle), Ok(stored)) => self.decode_one(bundle.registry(), known, stored.as_ref(), attempt),
            (Err(failure), _) | (_, Err(failure)) => Decoded::unknown(failure),
        };
        known.attempts.iter().map(decode).collect()
    }

    fn decode_one(
        &self,
        registry: &Registry,
        known: &Withdrawal,
        stored: Option<&Stored>,
        attempt: &Attempt,
    ) -> Decoded {
        let parsed = parse(registry, (known, stored), self.facts, &attempt.unsigned_transaction);
        let read = parsed.and_then(|parsed| Ok((parsed, stored.map(Stored::request).transpose()?)));
        let (parsed, request) = match read {
            Ok(read) => read,
            Err(failure) => return Decoded::unknown(&failure),
        };
        if let Err(contradiction) = certify_signed(registry, &parsed, attempt) {
            return Decoded {
                made: Made::Unknown("what is signed is something else".to_owned()),
                contradictions: vec![contradiction],
            };
        }
        let made = made(request.as_ref(), &parsed, registry, attempt);
        Decoded {
            contradictions: mislabelled(&made, &parsed, registry, attempt).into_iter().collect(),
            made,
        }
    }
}

impl Decoded {
    fn unknown(failure: &Failure) -> Self {
        Self {
            made: Made::Unknown(failure.message().to_owned()),
            contradictions: Vec::new(),
        }
    }
}

/// What bytes do, with the facts that are claimed now or were claimed when the request was made.
pub(super) fn parse(
    registry: &Registry,
    (known, stored): (&Withdrawal, Option<&Stored>),
    facts: Option<&Path>,
    bytes: &[u8],
) -> Result<ParsedTransaction> {
    let claimed = match (facts, stored) {
        (Some(file), _) => transaction::claimed(file, &known.network, registry)?,
        (None, Some(stored)) => return stored.asked.parse(registry, bytes),
        (None, None) => ChainFacts::none().clone(),
    };
    transaction::parse(registry, &known.network, &known.wallet, bytes, &claimed)
}

/// In words that follow `the bytes`: what a cancel attempt may not do.
pub(super) fn does_too_much(parsed: &ParsedTransaction, registry: &Registry) -> String {
    match parsed.effects().iter().find_map(transfer) {
        Some((asset, amount, destination)) => {
            format!("pay {} to {destination}", registry.assets().shown(asset, amount))
        }
        None => "do more than move coins of their wallet to itself and pay a fee".to_owned(),
    }
}

/// What is broadcast has to be the bytes that were decoded.
fn certify_signed(
    registry: &Registry,
    parsed: &ParsedTransaction,
    attempt: &Attempt,
) -> std::result::Result<(), Contradiction> {
    let Some((signed, txid)) = &attempt.signed else {
        return Ok(());
    };
    let number = attempt.number;
    let unsigned = &attempt.unsigned_transaction;
    let found = registry.identify(parsed.network(), parsed.wallet(), unsigned, signed);
    let found = found.map_err(|error| {
        let why = format!(
            "what is handed out as signed of attempt {number} is not its bytes with the wallet's signature: {error}"
        );
        Contradiction::new(true, why)
    })?;
    if found == *txid {
        return Ok(());
    }
    let why = format!(
        "the signed attempt {number} has the id {found}, not `{}`",
        harmless(txid)
    );
    Err(Contradiction::new(true, why))
}

fn made(request: Option<&Request>, parsed: &ParsedTransaction, registry: &Registry, attempt: &Attempt) -> Made {
    if !pays_nobody(parsed) {
        return Made::Payment;
    }
    match request {
        Some(request) if takes_the_place(request, parsed, registry) => Made::Cancel,
        Some(_) => Made::Nothing,
        None if attempt.labelled_cancel => Made::Cancel,
        None => Made::Nothing,
    }
}

/// Whether the orchestrator calls it what it is not.
fn mislabelled(
    made: &Made,
    parsed: &ParsedTransaction,
    registry: &Registry,
    attempt: &Attempt,
) -> Option<Contradiction> {
    let number = attempt.number;
    match (made, attempt.labelled_cancel) {
        (Made::Payment, true) => {
            let what = does_too_much(parsed, registry);
            let why = format!("the orchestrator calls attempt {number} a cancel attempt, and its bytes {what}");
            Some(Contradiction::new(true, why))
        }
        (Made::Nothing, true) => {
            let why = format!(
                "the orchestrator calls attempt {number} a cancel attempt, and its bytes do what was asked for"
            );
            Some(Contradiction::new(true, why))
        }
        // Somebody brought the bytes without the cancel, which the signer had already.
        (Made::Cancel, false) => {
            let why = format!("the orchestrator does not call attempt {number} a cancel attempt, which its bytes are");
            Some(Contradiction::new(false, why))
        }
        (Made::Payment | Made::Nothing, false) | (Made::Cancel, true) | (Made::Unknown(_), true | false) => None,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use clap::Parser;
    use countersign_approval::{Body, Statement, seal};
    use countersign_chains::evm::{GasPrice, TransferDraft};
    use countersign_client::State;
    use countersign_types::{Amount, Duration, RawSignature, RequestDigest, SigningBytes, Timestamp, WithdrawalId};
    use k256::ecdsa::{Signature, SigningKey, signature::hazmat::PrehashSigner as _};

    use super::*;
    use crate::{
        bundle_files, clock,
        failure::Exit,
        init::fixture::Fixture,
        withdraw::{
            ask::{Ask, NATIVE_GAS},
            shown::Shown,
        },
    };

    const NETWORK: &str = "eip155:31337";
    const CUSTOMER: &str = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        ask: Ask,
    }

    /// An environment, and an orchestrator whose owner writes what it says.
    pub(in crate::withdraw) struct Bench {
        fixture: Fixture,
        bundle: Bundle,
    }

    impl Bench {
        pub(in crate::withdraw) fn new() -> Self {
            let fixture = Fixture::new();
            let bundle = bundle_files::load_own(&fixture.layout).unwrap();
            Self { fixture, bundle }
        }

        /// Bytes of the hot wallet that move some wei, under nonce 7.
        pub(in crate::withdraw) fn bytes(&self, to: &str, amount: u64) -> Vec<u8> {
            Self::draft(to, amount, GasPrice::Legacy { gas_price: 1 })
        }

        /// A payment at this price.
        pub(in crate::withdraw) fn priced(&self, price: GasPrice) -> Vec<u8> {
            Self::draft(CUSTOMER, 5, price)
        }

        fn draft(to: &str, amount: u64, price: GasPrice) -> Vec<u8> {
            let draft = TransferDraft {
                asset: format!("{NETWORK}/slip44:60").parse().unwrap(),
                amount: Amount::from_base_units(amount),
                destination: format!("{NETWORK}:{to}").parse().unwrap(),
                nonce: 7,
                gas_limit: NATIVE_GAS,
                price,
            };
            draft.encode().unwrap()
        }

        pub(in crate::withdraw) fn payment(&self) -> Vec<u8> {
            self.bytes(CUSTOMER, 5)
        }

        pub(in crate::withdraw) fn to_itself(&self) -> Vec<u8> {
            let (network, wallet) = (NETWORK.parse().unwrap(), "eth-hot".parse().unwrap());
            let own = self.bundle.registry().wallet_destination(&network, &wallet);
            self.bytes(own.unwrap().address(), 0)
        }

        /// The wallet's key of the fixture is the generator of the curve.
        fn signed(&self, unsigned: &[u8]) -> (Vec<u8>, String) {
            let (network, wallet) = (NETWORK.parse().unwrap(), "eth-hot".parse().unwrap());
            let registry = self.bundle.registry();
            let parsed = registry.parse(&network, &wallet, unsigned, ChainFacts::none()).unwrap();
            let SigningBytes::EcdsaPrehash(hash) = parsed.signing_payloads()[0].bytes() else {
                panic!("a digest for ECDSA");
            };
            let one: [u8; 32] = std::array::from_fn(|at| u8::from(at == 31));
            let signature: Signature = SigningKey::from_slice(&one).unwrap().sign_prehash(hash).unwrap();
            let raw = RawSignature::Ecdsa(signature.to_bytes().into());
            let signed = registry.assemble(&network, &wallet, unsigned, &[raw]).unwrap();
            (signed.bytes, signed.txid)
        }

        /// Signed attempts, and whether the orchestrator calls them cancel attempts.
        pub(in crate::withdraw) fn withdrawal(&self, attempts: &[(&[u8], bool)]) -> Withdrawal {
            let attempt = |(number, (unsigned, labelled_cancel)): (u32, &(&[u8], bool))| Attempt {
                number,
                unsigned_transaction: unsigned.to_vec(),
                signed: Some(self.signed(unsigned)),
                labelled_cancel: *labelled_cancel,
            };
            Withdrawal {
                id: WithdrawalId::of(RequestDigest::of(b"x")),
                tenant: "main".parse().unwrap(),
                reference: "r-1".parse().unwrap(),
                wallet: "eth-hot".parse().unwrap(),
                network: NETWORK.parse().unwrap(),
                state: State::Signed,
                attempts: (1..).zip(attempts).map(attempt).collect(),
                reasons: vec![],
                missing: vec![],
                created_at: Timestamp::from_unix_millis(0),
                updated_at: Timestamp::from_unix_millis(0),
                not_before: None,
                revision: 1,
            }
        }

        pub(in crate::withdraw) fn shown(&self, known: &Withdrawal) -> Shown {
            let decoder = Decoder {
                layout: &self.fixture.layout,
                bundle: Ok(&self.bundle),
                facts: None,
            };
            Shown::of(known, decoder)
        }

        fn made(&self, known: &Withdrawal) -> Vec<Made> {
            let bundle = Ok(self.bundle.clone());
            let decoder = Decoder::with(&self.fixture.layout, &bundle);
            decoder.decode(known).into_iter().map(|decoded| decoded.made).collect()
        }

        /// Stores a request for these bytes, whatever they do; the withdrawal that it is.
        fn ask(&self, unsigned: &[u8]) -> WithdrawalId {
            let line = ["ask", "--wallet", "eth-hot", "--network", NETWORK, "--reference", "r-1"];
            let line = Line::try_parse_from(line.iter().chain(&["--tx", "unused", "--template"])).unwrap();
            let tenant = "main".parse().unwrap();
            let parsed = line.ask.parse(self.bundle.registry(), unsigned).unwrap();
            let request = line.ask.request(&tenant, &self.bundle, &parsed).unwrap();
            let statement = Statement {
                header: clock::header(self.fixture.genesis.hash(), Duration::from_secs(60)).unwrap(),
                body: Body::Request(Box::new(request)),
            };
            let envelope = seal(&statement, &self.fixture.service()).unwrap();
            let stored = Stored::new(line.ask, envelope, unsigned.to_vec()).unwrap();
            stored.write(&self.fixture.layout).unwrap();
            stored.id
        }
    }

    fn refusal(shown: &Shown) -> String {
        let failure = shown.certify().unwrap_err();
        assert_eq!(
            (failure.exit(), failure.tag()),
            (Exit::Refused, Some(Tag::AttemptContradicted))
        );
        failure.message().to_owned()
    }

    /// Whoever owns the orchestrator would have the payment booked as not made, and made again under another request.
    #[test]
    fn a_payment_is_no_cancel_attempt_whatever_the_orchestrator_calls_it() {
        let bench = Bench::new();
        let lie = bench.withdrawal(&[(&bench.payment(), true)]);
        assert_eq!(bench.made(&lie), [Made::Payment]);
        let shown = bench.shown(&lie);
        let why = refusal(&shown);
        assert!(
            why.contains("calls attempt 1 a cancel attempt, and its bytes pay 0.000000000000000005 ETH"),
            "{why}"
        );
        let text = shown.to_string();
        assert!(
            text.contains("\nWARNING     attempt/contradicted: the orchestrator calls"),
            "{text}"
        );
        assert!(!text.contains("nobody"), "{text}");
        let json = serde_json::to_value(&shown).unwrap();
        assert_eq!(json["attempts"][0]["cancels"], false);
        assert_eq!(json["warnings"][0]["tag"], "attempt/contradicted");
        bench
            .shown(&bench.withdrawal(&[(&bench.payment(), false)]))
            .certify()
            .unwrap();
    }

    /// The bytes pay nobody, and what is to be broadcast is something else.
    #[test]
    fn what_is_signed_is_what_was_decoded() {
        let bench = Bench::new();
        let good = bench.withdrawal(&[(&bench.payment(), false), (&bench.to_itself(), true)]);
        bench.shown(&good).certify().unwrap();
        assert_eq!(bench.made(&good), [Made::Payment, Made::Cancel]);
        type Lie = fn(&mut Withdrawal);
        let lies: [(Lie, &str); 3] = [
            (
                |w| w.attempts[1].signed = w.attempts[0].signed.clone(),
                "is not its bytes",
            ),
            (
                |w| w.attempts[1].signed.as_mut().unwrap().1 = w.attempts[0].signed.clone().unwrap().1,
                "has the id 0x",
            ),
            (|w| w.attempts[1].signed.as_mut().unwrap().0.push(0), "is not its bytes"),
        ];
        for (lie, expected) in lies {
            let mut known = good.clone();
            lie(&mut known);
            let shown = bench.shown(&known);
            let why = refusal(&shown);
            assert!(why.contains(expected), "{why}");
            assert!(!shown.to_string().contains("nobody"), "{shown}");
            assert_eq!(
                serde_json::to_value(&shown).unwrap()["attempts"][1]["cancels"],
                serde_json::Value::Null
            );
        }
    }

    /// An officer's cancel is at the signer, and the bytes came without it.
    #[test]
    fn a_cancel_attempt_is_one_without_the_label() {
        let bench = Bench::new();
        let mut known = bench.withdrawal(&[(&bench.payment(), false), (&bench.to_itself(), false)]);
        assert_eq!(bench.made(&known), [Made::Payment, Made::Nothing]);
        let text = bench.shown(&known).to_string();
        assert!(text.contains("(attempt 2, which pays nobody)"), "{text}");
        known.id = bench.ask(&bench.payment());
        assert_eq!(bench.made(&known), [Made::Payment, Made::Cancel]);
        let shown = bench.shown(&known);
        shown.certify().unwrap();
        let text = shown.to_string();
        assert!(text.contains("(attempt 2, a cancel attempt: it pays nobody)"), "{text}");
        assert!(
            text.contains("WARNING     attempt/contradicted: the orchestrator does not call attempt 2"),
            "{text}"
        );
    }

    /// A request may ask for nothing but a move to the wallet itself: no cancel ends that one.
    #[test]
    fn what_was_asked_for_is_no_cancel_attempt() {
        let bench = Bench::new();
        let mut known = bench.withdrawal(&[(&bench.to_itself(), false)]);
        known.id = bench.ask(&bench.to_itself());
        assert_eq!(bench.made(&known), [Made::Nothing]);
        bench.shown(&known).certify().unwrap();
        known.attempts[0].labelled_cancel = true;
        assert!(refusal(&bench.shown(&known)).contains("do what was asked for"));
    }

    #[test]
    fn what_is_not_decoded_here_is_the_orchestrators_word() {
        let bench = Bench::new();
        let known = bench.withdrawal(&[(&bench.to_itself(), true)]);
        let missing = Err(Failure::failed("no bundle here"));
        let shown = Shown::of(&known, Decoder::with(&bench.fixture.layout, &missing));
        shown.certify().unwrap();
        let text = shown.to_string();
        let expected = "(attempt 1, a cancel attempt as the orchestrator says; not decoded here: no bundle here)";
        assert!(text.contains(expected), "{text}");
        let json = serde_json::to_value(&shown).unwrap();
        assert_eq!(json["attempts"][0]["cancels"], serde_json::Value::Null);
        assert_eq!(json["attempts"][0]["not_decoded"], "no bundle here");
    }
}

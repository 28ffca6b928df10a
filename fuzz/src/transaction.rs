//! Unsigned transactions of each family, through the registry as the signer asks it.

use countersign_chains::evm::{Descriptor, TypedData, TypedDataError};
use countersign_types::{
    ChainFacts, Effect, EffectsText, EffectsTextError, ParsedTransaction, PayloadDigest, RawSignature, Scheme,
    TransactionDigest, WalletId,
};

use crate::site::{self, BITCOIN, DEV, ETHEREUM, SOLANA};

/// EVM transactions and messages, on a network with tokens and on the development network.
pub fn evm(bytes: &[u8]) {
    for network in [ETHEREUM, DEV] {
        Site {
            network,
            wallet: "eth-hot",
            facts: ChainFacts::none(),
        }
        .hold(bytes);
    }
}

/// Typed data (EIP-712) as wallets are asked for it: whatever is read has one canonical JSON and one hash, and that JSON is held to
/// what every accepted transaction promises, on both networks.
pub fn typed_data(bytes: &[u8]) {
    let Ok(data) = TypedData::from_wallet_json(bytes) else {
        assert!(
            TypedData::decode(bytes).is_err(),
            "canonical, and not what a wallet reads"
        );
        return;
    };
    let canonical = match data.canonical_bytes() {
        Ok(canonical) => canonical,
        Err(error) => return assert!(!error.to_string().is_empty(), "an error says something"),
    };
    // Written out, a message can be longer than what was asked for, and then nobody signs it.
    match TypedData::decode(&canonical) {
        Ok(again) => {
            assert_eq!(
                again.canonical_bytes().as_ref(),
                Ok(&canonical),
                "another JSON of the same message"
            );
            assert_eq!(
                again.signing_hash(),
                data.signing_hash(),
                "another hash of the same message"
            );
        }
        Err(error) => assert!(
            matches!(error, TypedDataError::TooLarge { .. }),
            "not read again: {error}"
        ),
    }
    evm(&canonical);
}

/// An ERC-7730 descriptor, a zero byte, and what it displays: printable, and no value without a line.
pub fn descriptor(bytes: &[u8]) {
    let mut parts = bytes.splitn(2, |byte| *byte == 0);
    let (json, unsigned) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let descriptor = match Descriptor::read(json) {
        Ok(descriptor) => descriptor,
        Err(error) => return assert!(!error.to_string().is_empty(), "an error says something"),
    };
    let wallet: WalletId = "eth-hot".parse().expect("a wallet of the site");
    for network in [ETHEREUM, DEV] {
        let registry = site::bundle().registry();
        let shown = registry.display(
            &site::chain(network),
            &wallet,
            unsigned,
            std::slice::from_ref(&descriptor),
        );
        let Ok(Some(display)) = shown else { continue };
        for line in &display.lines {
            let is_plain = |text: &str| text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
            assert!(!line.label.is_empty() && is_plain(&line.label), "{line:?}");
            assert!(is_plain(&line.text), "{line:?}");
        }
    }
}

/// PSBTs.
pub fn bitcoin(bytes: &[u8]) {
    Site {
        network: BITCOIN,
        wallet: "btc-hot",
        facts: ChainFacts::none(),
    }
    .hold(bytes);
}

/// Solana messages, without facts and with some.
pub fn solana(bytes: &[u8]) {
    for facts in [ChainFacts::none(), site::facts()] {
        Site {
            network: SOLANA,
            wallet: "sol-hot",
            facts,
        }
        .hold(bytes);
    }
}

struct Site {
    network: &'static str,
    wallet: &'static str,
    facts: &'static ChainFacts,
}

impl Site {
    fn parse(&self, bytes: &[u8]) -> Option<ParsedTransaction> {
        let registry = site::bundle().registry();
        match registry.parse(&site::chain(self.network), &self.wallet(), bytes, self.facts) {
            Ok(parsed) => Some(parsed),
            Err(error) => {
                assert!(!error.to_string().is_empty(), "an error says something");
                assert!(!error.tag().to_string().is_empty(), "an error has a tag");
                None
            }
        }
    }

    fn wallet(&self) -> WalletId {
        self.wallet.parse().expect("a wallet")
    }

    /// What accepted bytes promise.
    fn hold(&self, bytes: &[u8]) {
        let Some(parsed) = self.parse(bytes) else { return };
        assert_eq!(
            self.parse(bytes).as_ref(),
            Some(&parsed),
            "a parse is a function of the bytes"
        );
        assert_eq!(parsed.transaction(), TransactionDigest::of(bytes));
        self.is_shown_whole(&parsed);
        self.signs_nothing_else(bytes, &parsed);
        self.refuses_foreign_signatures(bytes, &parsed);
    }

    /// Each effect but fee and own change has a line of the text that people sign.
    fn is_shown_whole(&self, parsed: &ParsedTransaction) {
        let fee = parsed.effects().iter().find_map(|effect| match effect {
            Effect::Fee { asset, max } => Some((asset, *max)),
            _ => None,
        });
        let fee = fee.expect("every transaction has a fee");
        let assets = site::bundle().registry().assets();
        match EffectsText::render(parsed.network(), parsed.wallet(), parsed.effects(), fee, assets) {
            Ok(text) => {
                assert_eq!(EffectsText::parse(text.as_str()).as_ref(), Ok(&text));
                let is_shown = |effect: &&Effect| !matches!(effect, Effect::Fee { .. }) && !effect.is_own_change();
                assert_eq!(
                    text.effect_lines().count(),
                    parsed.effects().iter().filter(is_shown).count()
                );
            }
            Err(error) => assert_eq!(error, EffectsTextError::TooLong),
        }
    }

    /// Bytes that differ in one place and are accepted too do something else or sign something else.
    fn signs_nothing_else(&self, bytes: &[u8], parsed: &ParsedTransaction) {
        // Where and by how much comes from the bytes themselves, so that a finding is found again.
        let seed = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let mut changed = bytes.to_vec();
        let at = usize::try_from(seed >> 8).unwrap_or_default() % bytes.len().max(1);
        if let Some(byte) = changed.get_mut(at) {
            *byte ^= u8::try_from(seed & 0xff).unwrap_or_default() | 1;
        }
        let Some(other) = self.parse(&changed) else { return };
        let same = other.effects() == parsed.effects() && digests(&other) == digests(parsed);
        assert!(!same, "byte {at} changes nothing that is shown or signed");
    }

    /// Signatures of nobody make no signed transaction.
    fn refuses_foreign_signatures(&self, bytes: &[u8], parsed: &ParsedTransaction) {
        let registry = site::bundle().registry();
        let signatures: Vec<RawSignature> = parsed
            .signing_payloads()
            .iter()
            .map(|payload| match payload.bytes().scheme() {
                Scheme::Ecdsa => RawSignature::Ecdsa([1; 64]),
                Scheme::Schnorr => RawSignature::Schnorr([1; 64]),
                Scheme::Ed25519 => RawSignature::Ed25519([1; 64]),
            })
            .collect();
        for given in [&signatures[..], &[]] {
            assert!(
                registry
                    .assemble(&site::chain(self.network), &self.wallet(), bytes, given)
                    .is_err()
            );
        }
    }
}

fn digests(parsed: &ParsedTransaction) -> Vec<PayloadDigest> {
    parsed
        .signing_payloads()
        .iter()
        .map(|payload| payload.digest())
        .collect()
}

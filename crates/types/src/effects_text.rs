//! `effects/v1`: the canonical text of effects that approvers sign and the signer renders again.
//!
//! ```text
//! effects/v1
//! network eip155:31337
//! wallet eth-hot
//! transfer 1500000000000000000 eip155:31337/slip44:60 (1.5 ETH) to eip155:31337:0x7099…79C8
//! fee at most 420000000000000 eip155:31337/slip44:60 (0.00042 ETH)
//! ```
//!
//! Fixed order: header, network, wallet, one line per effect sorted bytewise (repeated lines stay), the fee ceiling.
//! Own change and the attempt's own fee are absent: they vary between the attempts of one withdrawal, and the ceiling
//! bounds the fee. Every line ends in a newline; the text is printable ASCII.

use std::fmt::Write as _;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{Amount, AssetId, AssetRegistry, ChainId, Destination, Effect, EffectsDigest, WalletId};

/// The longest effects text: an approver must be able to read it, and an approval carries up to 100 of them.
pub const MAX_EFFECTS_TEXT_BYTES: usize = 64 * 1024;

/// Call arguments longer than this stand as length and hash.
const MAX_INLINE_BYTES: usize = 256;
/// Messages longer than this stand as length and hash: a sign-in message (EIP-4361) with its resources is shorter, and
/// an approval carries up to 100 texts.
const MAX_QUOTED_BYTES: usize = 2_048;

/// Why effects have no text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EffectsTextError {
    /// Over [`MAX_EFFECTS_TEXT_BYTES`].
    #[error("the effects text is over {MAX_EFFECTS_TEXT_BYTES} bytes: split the withdrawal")]
    TooLong,
    /// Not a text that [`EffectsText::render`] could have written.
    #[error("an effects text is printable ASCII lines, the first of them `effects/v1`")]
    BadShape,
}

/// A canonical effects text.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EffectsText(String);

impl EffectsText {
    /// Renders the text for effects of one wallet on one network under a fee ceiling.
    pub fn render(
        network: &ChainId,
        wallet: &WalletId,
        effects: &[Effect],
        fee_ceiling: (&AssetId, Amount),
        assets: &AssetRegistry,
    ) -> Result<Self, EffectsTextError> {
        let mut lines: Vec<String> = effects.iter().filter_map(|effect| line(effect, assets)).collect();
        lines.sort_unstable();
        let (asset, max) = fee_ceiling;
        let mut ceiling = Line::new("fee at most ");
        ceiling.quantity(asset, max, assets);
        let head = ["effects/v1\nnetwork ", network.as_str(), "\nwallet ", wallet.as_str()];
        let lines = lines.iter().map(String::as_str).chain([ceiling.0.as_str(), ""]);
        Self::parse(
            [head.concat().as_str()]
                .into_iter()
                .chain(lines)
                .collect::<Vec<_>>()
                .join("\n"),
        )
    }

    /// Takes a text that a statement carries. Its meaning is only ever compared with what [`Self::render`] writes.
    pub fn parse(text: impl Into<String>) -> Result<Self, EffectsTextError> {
        let text = text.into();
        if text.len() > MAX_EFFECTS_TEXT_BYTES {
            return Err(EffectsTextError::TooLong);
        }
        let is_printable = text.bytes().all(|b| b == b'\n' || (b' '..=b'~').contains(&b));
        if !is_printable || !text.starts_with("effects/v1\n") || !text.ends_with('\n') {
            return Err(EffectsTextError::BadShape);
        }
        Ok(Self(text))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The effect lines alone, without header, network, wallet and fee ceiling.
    pub fn effect_lines(&self) -> impl Iterator<Item = &str> {
        self.0.lines().skip(3).filter(|line| !line.starts_with("fee "))
    }

    /// Its digest.
    pub fn digest(&self) -> EffectsDigest {
        EffectsDigest::of(self.0.as_bytes())
    }
}

impl TryFrom<String> for EffectsText {
    type Error = EffectsTextError;
    fn try_from(text: String) -> Result<Self, EffectsTextError> {
        Self::parse(text)
    }
}
impl From<EffectsText> for String {
    fn from(text: EffectsText) -> String {
        text.0
    }
}

/// The effect's line; `None` for what varies between attempts (the fee, own change).
fn line(effect: &Effect, assets: &AssetRegistry) -> Option<String> {
    if effect.is_own_change() {
        return None;
    }
    let mut line = Line::new(effect.kind().as_str());
    match effect {
        Effect::Fee { .. } => return None,
        Effect::Transfer {
            asset,
            amount,
            destination,
        } => {
            line.say(&[" "]).quantity(asset, *amount, assets);
            line.say(&[" to "]).place(destination);
        }
        Effect::Internal {
            asset,
            amount,
            wallet,
            destination,
            change: _,
        } => {
            line.say(&[" "]).quantity(asset, *amount, assets);
            line.say(&[" to wallet ", wallet.as_str(), " at "]).place(destination);
        }
        Effect::Allowance { asset, amount, spender } => {
            line.say(&[" "]).quantity(asset, *amount, assets);
            line.say(&[" for "]).place(spender);
        }
        Effect::AuthorityChange { subject, scope, holder } => {
            line.say(&[" ", scope.as_str(), " of "]).place(subject);
            line.say(&[" to "]).place_or_none(holder.as_ref());
        }
        Effect::CodeChange { subject, change, code } => {
            line.say(&[" ", change.as_str(), " at "])
                .place_or_none(subject.as_ref());
            line.say(&[" with ", &blob(code)]);
        }
        Effect::DelayedAuthorization { mechanism } => {
            line.say(&[" through "]).place(mechanism);
        }
        Effect::ContractCall {
            contract,
            selector,
            args,
        } => {
            line.say(&[" "]).place(contract);
            line.say(&[" selector ", &selector.to_string(), " args ", &blob(args)]);
        }
        Effect::Opaque { what, target, bytes } => {
            line.say(&[" ", what.as_str(), " to "]).place_or_none(target.as_ref());
            line.say(&[" ", &blob(bytes)]);
        }
        Effect::PersonalMessage { bytes } => {
            line.say(&[" ", &quoted(bytes)]);
        }
    }
    Some(line.0)
}

/// A line while it is written.
struct Line(String);

impl Line {
    fn new(start: &str) -> Self {
        // Longer than a transfer with two of the longest usual ids.
        let mut text = String::with_capacity(256);
        text.push_str(start);
        Self(text)
    }

    fn say(&mut self, words: &[&str]) -> &mut Self {
        self.0.extend(words.iter().copied());
        self
    }

    fn place(&mut self, place: &Destination) -> &mut Self {
        self.say(&[place.chain().as_str(), ":", place.address()])
    }

    fn place_or_none(&mut self, place: Option<&Destination>) -> &mut Self {
        match place {
            Some(place) => self.place(place),
            None => self.say(&["none"]),
        }
    }

    /// Base units and CAIP-19 id, and in parentheses what a person reads; a symbol comes from the signed registry only.
    fn quantity(&mut self, asset: &AssetId, amount: Amount, assets: &AssetRegistry) -> &mut Self {
        let chain = asset.chain().as_str();
        self.say(&[
            &amount.to_string(),
            " ",
            chain,
            "/",
            asset.namespace(),
            ":",
            asset.reference(),
        ]);
        match assets.asset(asset) {
            Some(record) => {
                let units = amount.to_decimal(record.decimals);
                self.say(&[" (", &units, " ", record.symbol.as_str(), ")"])
            }
            None => self.say(&[" (unregistered asset)"]),
        }
    }
}

/// Printable ASCII and line ends as they are read, in quotes that the message cannot close; anything else as bytes.
fn quoted(bytes: &[u8]) -> String {
    let is_text = |byte: &u8| (b' '..=b'~').contains(byte) || *byte == b'\n';
    if bytes.len() > MAX_QUOTED_BYTES || !bytes.iter().all(is_text) {
        return blob(bytes);
    }
    let mut text = format!("{} bytes \"", bytes.len());
    for character in bytes.iter().copied().map(char::from) {
        match character {
            '\n' => text.push_str("\\n"),
            '"' | '\\' => text.extend(['\\', character]),
            character => text.push(character),
        }
    }
    text.push('"');
    text
}

fn blob(bytes: &[u8]) -> String {
    let mut text = format!("{} bytes", bytes.len());
    // Writing to a String cannot fail; the result is used so that nothing is silently dropped.
    let written = if bytes.len() <= MAX_INLINE_BYTES {
        write!(text, " 0x{}", HEXLOWER.encode(bytes))
    } else {
        write!(text, " sha256:{}", HEXLOWER.encode(&Sha256::digest(bytes)))
    };
    written.map_or_else(|_| "unprintable".to_owned(), |()| text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AssetRecord, Selector};

    fn assets() -> AssetRegistry {
        AssetRegistry::new([AssetRecord {
            id: "eip155:31337/slip44:60".parse().unwrap(),
            symbol: "ETH".parse().unwrap(),
            decimals: crate::Decimals::new(18).unwrap(),
            quirks: std::collections::BTreeSet::new(),
        }])
        .unwrap()
    }

    fn render(effects: &[Effect]) -> EffectsText {
        let eth = "eip155:31337/slip44:60".parse().unwrap();
        EffectsText::render(
            &"eip155:31337".parse().unwrap(),
            &"eth-hot".parse().unwrap(),
            effects,
            (&eth, Amount::from_base_units(420_000_000_000_000)),
            &assets(),
        )
        .unwrap()
    }

    fn transfer(amount: u64) -> Effect {
        Effect::Transfer {
            asset: "eip155:31337/slip44:60".parse().unwrap(),
            amount: Amount::from_base_units(amount),
            destination: "eip155:31337:0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
                .parse()
                .unwrap(),
        }
    }

    /// Golden: approvals sign this text; also in `docs/formats.md`.
    #[test]
    fn golden_text() {
        let text = render(&[transfer(1_500_000_000_000_000_000)]);
        let formats = include_str!("../../../docs/formats.md");
        assert!(
            formats.contains(text.as_str()),
            "docs/formats.md lacks:\n{}",
            text.as_str()
        );
        assert!(
            formats.contains(&text.digest().to_string()),
            "docs/formats.md lacks {}",
            text.digest()
        );
    }

    #[test]
    fn order_does_not_matter_and_repetition_does() {
        assert_eq!(render(&[transfer(1), transfer(2)]), render(&[transfer(2), transfer(1)]));
        assert_ne!(render(&[transfer(1)]), render(&[transfer(1), transfer(1)]));
    }

    #[test]
    fn the_attempts_fee_and_own_change_are_not_in_the_text() {
        let fee = Effect::Fee {
            asset: "eip155:31337/slip44:60".parse().unwrap(),
            max: Amount::from_base_units(7),
        };
        assert_eq!(render(&[transfer(1), fee]), render(&[transfer(1)]));
    }

    #[test]
    fn an_unregistered_asset_has_no_symbol() {
        let token = Effect::Transfer {
            asset: "eip155:31337/erc20:0x5FbDB2315678afecb367f032d93F642f64180aa3"
                .parse()
                .unwrap(),
            amount: Amount::from_base_units(5),
            destination: "eip155:31337:0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
                .parse()
                .unwrap(),
        };
        assert!(render(&[token]).as_str().contains("(unregistered asset)"));
    }

    #[test]
    fn long_arguments_stand_as_their_hash_and_still_differ() {
        let call = |byte| Effect::ContractCall {
            contract: "eip155:31337:0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
                .parse::<Destination>()
                .unwrap(),
            selector: Selector([1, 2, 3, 4]),
            args: vec![byte; 300],
        };
        assert_ne!(render(&[call(1)]), render(&[call(2)]));
        assert!(render(&[call(1)]).as_str().contains("300 bytes sha256:"));
    }

    #[test]
    fn a_message_is_quoted_and_cannot_close_its_quotes() {
        let line = |bytes: &[u8]| {
            let text = render(&[Effect::PersonalMessage { bytes: bytes.to_vec() }]);
            let lines: Vec<_> = text.effect_lines().map(str::to_owned).collect();
            assert_eq!(lines.len(), 1, "{lines:?}");
            lines.concat()
        };
        let cases: [(&[u8], &str); 8] = [
            (b"", r#"personal-message 0 bytes """#),
            (b"sign in", r#"personal-message 7 bytes "sign in""#),
            (b"it's", r#"personal-message 4 bytes "it's""#),
            (b"a\nfee at most 1", r#"personal-message 15 bytes "a\nfee at most 1""#),
            (br#"a"b"#, r#"personal-message 3 bytes "a\"b""#),
            (br"a\n", r#"personal-message 3 bytes "a\\n""#),
            (b"a\tb", "personal-message 3 bytes 0x610962"),
            ("\u{202e}".as_bytes(), "personal-message 3 bytes 0xe280ae"),
        ];
        for (bytes, expected) in cases {
            assert_eq!(line(bytes), expected);
        }
        let long = vec![b'a'; MAX_QUOTED_BYTES];
        assert!(line(&long).ends_with("aaa\""));
        assert!(line(&[&long[..], b"a"].concat()).contains("2049 bytes sha256:"));
    }

    #[test]
    fn foreign_text_is_bounded_and_printable() {
        assert_eq!(
            EffectsText::parse("effects/v1\nx\u{202e}\n"),
            Err(EffectsTextError::BadShape)
        );
        assert_eq!(EffectsText::parse("effects/v2\nx\n"), Err(EffectsTextError::BadShape));
        assert_eq!(
            EffectsText::parse("a".repeat(MAX_EFFECTS_TEXT_BYTES + 1)),
            Err(EffectsTextError::TooLong)
        );
    }
}

//! C2SP signed-note: a text, a blank line, signature lines.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use countersign_types::Tag;

use crate::{KeyName, KeyNameError, VerifierKey};

/// The longest note: a list of 257 freezes with the reasons of their officers and the admins who thaw them, and 16 post-quantum
/// signatures of 5 kB, which the spec asks readers to accept.
pub const MAX_NOTE_BYTES: usize = 1024 * 1024;
/// The most signatures of a note; the spec asks for at least 16.
pub const MAX_NOTE_SIGNATURES: usize = 32;

/// Why bytes are not a note, or why a note is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Over [`MAX_NOTE_BYTES`].
    #[error("the note has {0} bytes; at most {MAX_NOTE_BYTES} are read")]
    TooLarge(usize),
    /// Not UTF-8.
    #[error("the note is not UTF-8")]
    NotUtf8,
    /// A control character other than newline.
    #[error("the note contains a control character other than newline")]
    ControlCharacter,
    /// A text to be signed that does not end in a newline.
    #[error("the text of a note ends in a newline")]
    TextWithoutNewline,
    /// No blank line with signature lines behind it.
    #[error("the note has no signatures behind a blank line")]
    NoSignatures,
    /// Over [`MAX_NOTE_SIGNATURES`].
    #[error("the note has more than {MAX_NOTE_SIGNATURES} signatures")]
    TooManySignatures,
    /// Not `— <name> <base64>`.
    #[error("signature {0} of the note is not written `\u{2014} <name> <base64>`")]
    BadSignatureLine(usize),
    /// No signature of the key.
    #[error("the note is not signed by `{0}`")]
    Unsigned(KeyName),
    /// Two signatures of the key.
    #[error("the note is signed twice by `{0}`")]
    SignedTwice(KeyName),
    /// A signature of the key that does not verify.
    #[error("the signature of `{0}` does not verify")]
    BadSignature(KeyName),
}

impl NoteError {
    /// The stable tag.
    pub fn tag(&self) -> Tag {
        match self {
            Self::TooLarge(_) | Self::TooManySignatures => Tag::MessageTooLarge,
            Self::NotUtf8
            | Self::ControlCharacter
            | Self::TextWithoutNewline
            | Self::NoSignatures
            | Self::BadSignatureLine(_)
            | Self::Unsigned(_)
            | Self::SignedTwice(_)
            | Self::BadSignature(_) => Tag::ReceiptInvalid,
        }
    }
}

/// One signature line. Of keys that the reader does not know, it is carried along and proves nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteSignature {
    name: KeyName,
    key_id: u32,
    signature: Vec<u8>,
}

impl NoteSignature {
    /// The signature that a key made over a note's text. Whether it verifies is not looked at.
    pub fn new(key: &VerifierKey, signature: &[u8; 64]) -> Self {
        Self {
            name: key.name().clone(),
            key_id: key.id(),
            signature: signature.to_vec(),
        }
    }

    /// The name that the line states.
    pub fn name(&self) -> &KeyName {
        &self.name
    }

    /// The key id that the line states.
    pub fn key_id(&self) -> u32 {
        self.key_id
    }

    fn is_of(&self, key: &VerifierKey) -> bool {
        self.name == *key.name() && self.key_id == key.id()
    }

    fn parse(line: &str) -> Option<Self> {
        let (name, text) = line.strip_prefix("\u{2014} ")?.split_once(' ')?;
        let bytes = STANDARD.decode(text).ok()?;
        let (key_id, signature) = bytes.split_first_chunk()?;
        let name: Result<KeyName, KeyNameError> = name.parse();
        Some(Self {
            name: name.ok()?,
            key_id: u32::from_be_bytes(*key_id),
            signature: signature.to_vec(),
        })
    }
}

impl fmt::Display for NoteSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [self.key_id.to_be_bytes().as_slice(), &self.signature].concat();
        write!(f, "\u{2014} {} {}", self.name, STANDARD.encode(bytes))
    }
}

/// A note that was read, not believed: its text comes out of [`SignedNote::verify`] alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedNote {
    text: String,
    signatures: Vec<NoteSignature>,
}

impl SignedNote {
    /// A text (ending in a newline) and the first signature over it.
    pub fn new(text: String, signature: NoteSignature) -> Result<Self, NoteError> {
        if !text.ends_with('\n') {
            return Err(NoteError::TextWithoutNewline);
        }
        let note = Self {
            text,
            signatures: vec![signature],
        };
        // What cannot be read back is not written.
        Self::parse(note.to_string().as_bytes())
    }

    /// Reads a note; verifies nothing.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        if bytes.len() > MAX_NOTE_BYTES {
            return Err(NoteError::TooLarge(bytes.len()));
        }
        let note = str::from_utf8(bytes).map_err(|_| NoteError::NotUtf8)?;
        if note.contains(|c: char| c < ' ' && c != '\n') {
            return Err(NoteError::ControlCharacter);
        }
        // The last blank line separates: the text may contain blank lines of its own.
        let (text, lines) = note.rsplit_once("\n\n").ok_or(NoteError::NoSignatures)?;
        let lines = lines.strip_suffix('\n').ok_or(NoteError::NoSignatures)?;
        let signatures = lines
            .split('\n')
            .enumerate()
            .map(|(at, line)| match NoteSignature::parse(line) {
                _ if at >= MAX_NOTE_SIGNATURES => Err(NoteError::TooManySignatures),
                signature => signature.ok_or(NoteError::BadSignatureLine(at.saturating_add(1))),
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            text: format!("{text}\n"),
            signatures,
        })
    }

    /// The text, once it is known that `key` signed it. Signatures of other keys are ignored, as the spec asks: they may
    /// be cosigners. Two of this key are refused, since a log signs a text once.
    pub fn verify(&self, key: &VerifierKey) -> Result<&str, NoteError> {
        let name = || key.name().clone();
        let mut of_key = self.signatures.iter().filter(|signature| signature.is_of(key));
        let found = of_key.next().ok_or_else(|| NoteError::Unsigned(name()))?;
        if of_key.next().is_some() {
            return Err(NoteError::SignedTwice(name()));
        }
        if !key.is_signed(self.text.as_bytes(), &found.signature) {
            return Err(NoteError::BadSignature(name()));
        }
        Ok(&self.text)
    }

    /// For a reader of this crate that shows nothing of it before `verify`.
    pub(crate) fn unverified_text(&self) -> &str {
        &self.text
    }

    /// Every signature line, verified or not.
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }
}

impl fmt::Display for SignedNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures
            .iter()
            .try_for_each(|signature| writeln!(f, "{signature}"))
    }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signer as _, SigningKey};
    use proptest::prelude::*;

    use super::*;

    /// Key and note of the documentation of Go's `golang.org/x/mod/sumdb/note`.
    const PETER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const NOTE: &str = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n\
        — PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

    fn peter() -> VerifierKey {
        PETER.parse().unwrap()
    }

    fn peter_line() -> &'static str {
        NOTE.lines().last().unwrap()
    }

    fn signer(name: &str, seed: u8) -> (VerifierKey, SigningKey) {
        let key = SigningKey::from_bytes(&[seed; 32]);
        let verifier = VerifierKey::new(name.parse().unwrap(), key.verifying_key().as_bytes());
        (verifier.unwrap(), key)
    }

    #[test]
    fn the_note_of_the_go_documentation_verifies() {
        let note = SignedNote::parse(NOTE.as_bytes()).unwrap();
        let text = note.verify(&peter()).unwrap();
        assert_eq!(
            text,
            "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
        );
        assert_eq!(note.to_string(), NOTE);
    }

    #[test]
    fn one_mutation_is_one_error() {
        let line = peter_line();
        let lines = |count| format!("text\n\n{}", format!("{line}\n").repeat(count));
        let table = [
            (" ".repeat(MAX_NOTE_BYTES + 1), NoteError::TooLarge(MAX_NOTE_BYTES + 1)),
            (NOTE.replace("\n\n", "\n"), NoteError::NoSignatures),
            (NOTE.trim_end().to_owned(), NoteError::NoSignatures),
            (NOTE.replace("If", "\tIf"), NoteError::ControlCharacter),
            (NOTE.replace('\n', "\r\n"), NoteError::ControlCharacter),
            (NOTE.replace('—', "-"), NoteError::BadSignatureLine(1)),
            (NOTE.replace("— ", "—  "), NoteError::BadSignatureLine(1)),
            (NOTE.replace("Neumann x", "Neumann  x"), NoteError::BadSignatureLine(1)),
            (
                NOTE.replace("Neumann x", "Neumann\u{a0}x"),
                NoteError::BadSignatureLine(1),
            ),
            (NOTE.replace("rN", "r+N"), NoteError::BadSignatureLine(1)),
            (NOTE.replace("AM=", "AM"), NoteError::BadSignatureLine(1)),
            (NOTE.replace("AM=", "AN="), NoteError::BadSignatureLine(1)),
            (
                NOTE.replace(line, "— PeterNeumann x08="),
                NoteError::BadSignatureLine(1),
            ),
            (format!("{NOTE}\n"), NoteError::NoSignatures),
            (format!("{NOTE}x\n"), NoteError::BadSignatureLine(2)),
            (lines(MAX_NOTE_SIGNATURES + 1), NoteError::TooManySignatures),
        ];
        for (text, expected) in table {
            assert_eq!(SignedNote::parse(text.as_bytes()), Err(expected), "{text:.200?}");
        }
        assert_eq!(SignedNote::parse(b"\xff\n\n"), Err(NoteError::NotUtf8));
        assert!(SignedNote::parse(lines(MAX_NOTE_SIGNATURES).as_bytes()).is_ok());
    }

    #[test]
    fn one_mutation_of_a_readable_note_is_not_believed() {
        let name = || peter().name().clone();
        let line = peter_line();
        let table = [
            (NOTE.replace("If", "if"), NoteError::BadSignature(name())),
            (
                NOTE.replace("problem,\n", "problem,\n\n"),
                NoteError::BadSignature(name()),
            ),
            (NOTE.replace("JnAM=", "JnAA="), NoteError::BadSignature(name())),
            (
                NOTE.replace(line, "— PeterNeumann x08gow=="),
                NoteError::BadSignature(name()),
            ),
            (
                NOTE.replace("— PeterNeumann", "— PetraNeumann"),
                NoteError::Unsigned(name()),
            ),
            (NOTE.replace(" x08g", " x18g"), NoteError::Unsigned(name())),
            (format!("{NOTE}{line}\n"), NoteError::SignedTwice(name())),
        ];
        for (text, expected) in table {
            let note = SignedNote::parse(text.as_bytes()).unwrap();
            assert_eq!(note.verify(&peter()), Err(expected), "{text:?}");
        }
    }

    #[test]
    fn signatures_of_strangers_are_ignored() {
        let (witness, key) = signer("witness.example", 7);
        let note = SignedNote::parse(NOTE.as_bytes()).unwrap();
        let line = NoteSignature::new(&witness, &key.sign(note.text.as_bytes()).to_bytes());
        let forged = NoteSignature::new(&witness, &[0; 64]);
        let others = format!("{NOTE}{line}\n{forged}\n— same.example x08go/ZJ\n");
        let note = SignedNote::parse(others.as_bytes()).unwrap();
        assert!(note.verify(&peter()).is_ok());
        assert_eq!(
            note.verify(&witness),
            Err(NoteError::SignedTwice(witness.name().clone()))
        );
        assert_eq!(note.signatures().len(), 4);
        assert_eq!(note.to_string(), others);
    }

    #[test]
    fn what_cannot_be_read_back_is_not_written() {
        let signature = || NoteSignature::new(&peter(), &[0; 64]);
        let new = |text: &str| SignedNote::new(text.to_owned(), signature());
        assert_eq!(new("text"), Err(NoteError::TextWithoutNewline));
        assert_eq!(new("te\0xt\n"), Err(NoteError::ControlCharacter));
        assert_eq!(new("text\n").unwrap().text, "text\n");
        assert_eq!(new("a\n\n").unwrap().text, "a\n\n");
    }

    proptest! {
        #[test]
        fn what_is_signed_verifies_and_one_changed_bit_does_not(text in "[a-z \n]{0,80}\n", seed: u8, at: prop::sample::Index, bit in 0u8..8) {
            let (verifier, key) = signer("log.example", seed);
            let signature = NoteSignature::new(&verifier, &key.sign(text.as_bytes()).to_bytes());
            let note = SignedNote::new(text.clone(), signature).unwrap();
            prop_assert_eq!(note.verify(&verifier), Ok(text.as_str()));
            let mut bytes = note.to_string().into_bytes();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            let believed = SignedNote::parse(&bytes).is_ok_and(|note| note.verify(&verifier).is_ok());
            prop_assert!(!believed);
        }

        #[test]
        fn parsing_never_panics(text in "(\n|\n\n|— |name |x08go/ZJ|AAAA|=|\\PC){0,12}\n?") {
            if let Ok(note) = SignedNote::parse(text.as_bytes()) {
                prop_assert_eq!(note.to_string(), text);
            }
        }
    }
}

//! C2SP tlog-checkpoint with one extension line: what the log signs at least every minute.

use std::fmt;

use countersign_types::{Duration, Tag, Timestamp};

use crate::{
    ConsistencyProof, Hash, InclusionProof, KeyName, LeafHash, NoteError, NoteSignature, ProofError, RootHash,
    SignedNote, TreeHead, TreeSize, VerifierKey,
};

/// How far a checkpoint's time may be ahead of the reader's clock.
pub const MAX_CLOCK_SKEW: Duration = Duration::from_secs(60);
/// What the extension line starts with.
const TIME: &str = "time ";

/// Why a checkpoint cannot be made, read or believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// The note around it.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// Not four lines.
    #[error("a checkpoint has the four lines origin, size, root and `time <unix milliseconds>`")]
    BadLineCount,
    /// The first line is no name.
    #[error("the checkpoint's origin is not a key name")]
    BadOrigin,
    /// The second line is no size.
    #[error("the checkpoint's size is not a plain decimal of at most {}", TreeSize::MAX)]
    BadSize,
    /// The third line is no hash.
    #[error("the checkpoint's root is not the base64 of 32 bytes")]
    BadRoot,
    /// The fourth line is no time.
    #[error("the checkpoint's last line is not `time <unix milliseconds>`")]
    BadTime,
    /// An empty log with entries in its root.
    #[error("the checkpoint's root is not that of an empty log")]
    EmptyRootMismatch,
    /// The key is another log's.
    #[error("the checkpoint is of the log `{found}`, the key of `{expected}`")]
    OriginMismatch {
        /// The name of the key.
        expected: KeyName,
        /// What the checkpoint states.
        found: KeyName,
    },
    /// Older than the reader accepts.
    #[error("the checkpoint was made at {made_at}, more than {max_age} ago")]
    Stale {
        /// When the log signed it.
        made_at: Timestamp,
        /// The oldest that is accepted.
        max_age: Duration,
    },
    /// Ahead of the reader's clock by more than [`MAX_CLOCK_SKEW`].
    #[error("the checkpoint was made at {made_at}, which is in the future")]
    FromFuture {
        /// When the log says it signed it.
        made_at: Timestamp,
    },
}

impl CheckpointError {
    /// The stable tag.
    pub fn tag(&self) -> Tag {
        match self {
            Self::Note(error) => error.tag(),
            Self::BadLineCount
            | Self::BadOrigin
            | Self::BadSize
            | Self::BadRoot
            | Self::BadTime
            | Self::EmptyRootMismatch
            | Self::OriginMismatch { .. }
            | Self::Stale { .. }
            | Self::FromFuture { .. } => Tag::ReceiptInvalid,
        }
    }
}

/// What a log states about itself at one moment: origin, tree head and time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    origin: KeyName,
    head: TreeHead,
    made_at: Timestamp,
}

impl Checkpoint {
    /// A statement to be signed. `made_at` is the log's clock, not before 1970.
    pub fn new(origin: KeyName, head: TreeHead, made_at: Timestamp) -> Result<Self, CheckpointError> {
        if made_at.unix_millis() < 0 {
            return Err(CheckpointError::BadTime);
        }
        Ok(Self { origin, head, made_at })
    }

    /// The log; also the name of its key.
    pub fn origin(&self) -> &KeyName {
        &self.origin
    }

    /// Size and root.
    pub fn head(&self) -> &TreeHead {
        &self.head
    }

    /// When the log made it, by its own clock.
    pub fn made_at(&self) -> Timestamp {
        self.made_at
    }

    fn parse(text: &str) -> Result<Self, CheckpointError> {
        let body = text.strip_suffix('\n').ok_or(CheckpointError::BadLineCount)?;
        let lines: Vec<&str> = body.split('\n').collect();
        let [origin, size, root, time] = lines.as_slice() else {
            return Err(CheckpointError::BadLineCount);
        };
        let size = parse_decimal(size).ok_or(CheckpointError::BadSize)?;
        let size = TreeSize::new(size).map_err(|_| CheckpointError::BadSize)?;
        let root: Hash = root.parse().map_err(|_| CheckpointError::BadRoot)?;
        let millis = time.strip_prefix(TIME).and_then(parse_decimal);
        let millis = millis.and_then(|millis| i64::try_from(millis).ok());
        Ok(Self {
            origin: origin.parse().map_err(|_| CheckpointError::BadOrigin)?,
            head: TreeHead::new(size, RootHash::from_hash(root)).map_err(|_| CheckpointError::EmptyRootMismatch)?,
            made_at: Timestamp::from_unix_millis(millis.ok_or(CheckpointError::BadTime)?),
        })
    }
}

/// Digits without sign or leading zeros.
fn parse_decimal(text: &str) -> Option<u64> {
    text.parse().ok().filter(|number: &u64| number.to_string() == text)
}

/// The text that is signed: origin, size, root and `time <unix milliseconds>`, each line ending in a newline.
impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (size, root) = (self.head.size(), self.head.root());
        writeln!(
            f,
            "{}\n{size}\n{root}\n{TIME}{}",
            self.origin,
            self.made_at.unix_millis()
        )
    }
}

/// A checkpoint that was read, not believed: [`SignedCheckpoint::verify`] shows what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCheckpoint {
    note: SignedNote,
    checkpoint: Checkpoint,
}

impl SignedCheckpoint {
    /// Has `sign` make the log's signature (RFC 8032 over the message handed to it) and verifies it before anything
    /// leaves. A key that answers later signs `checkpoint.to_string()` and hands the signature to
    /// [`SignedCheckpoint::assemble`].
    pub fn sign(
        checkpoint: Checkpoint,
        key: &VerifierKey,
        sign: impl FnOnce(&[u8]) -> [u8; 64],
    ) -> Result<Self, CheckpointError> {
        let signature = sign(checkpoint.to_string().as_bytes());
        Self::assemble(checkpoint, key, &signature)
    }

    /// Puts a checkpoint and the log's signature together and verifies it.
    pub fn assemble(checkpoint: Checkpoint, key: &VerifierKey, signature: &[u8; 64]) -> Result<Self, CheckpointError> {
        let note = SignedNote::new(checkpoint.to_string(), NoteSignature::new(key, signature))?;
        let signed = Self { note, checkpoint };
        signed.verify(key)?;
        Ok(signed)
    }

    /// Reads a signed note whose text is a checkpoint; verifies nothing.
    pub fn parse(bytes: &[u8]) -> Result<Self, CheckpointError> {
        let note = SignedNote::parse(bytes)?;
        let checkpoint = Checkpoint::parse(note.unverified_text())?;
        Ok(Self { note, checkpoint })
    }

    /// What the checkpoint says, once it is known that the log's key signed it and that it is about that log.
    pub fn verify(&self, key: &VerifierKey) -> Result<VerifiedCheckpoint<'_>, CheckpointError> {
        self.note.verify(key)?;
        if self.checkpoint.origin != *key.name() {
            return Err(CheckpointError::OriginMismatch {
                expected: key.name().clone(),
                found: self.checkpoint.origin.clone(),
            });
        }
        Ok(VerifiedCheckpoint(&self.checkpoint))
    }

    /// Every signature line: the log's, and those of cosigners.
    pub fn signatures(&self) -> &[NoteSignature] {
        self.note.signatures()
    }
}

/// The signed note, as `<prefix>/checkpoint` serves it.
impl fmt::Display for SignedCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.note.fmt(f)
    }
}

/// What a checkpoint says, its signature verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifiedCheckpoint<'a>(&'a Checkpoint);

impl<'a> VerifiedCheckpoint<'a> {
    /// The checkpoint.
    pub fn checkpoint(&self) -> &'a Checkpoint {
        self.0
    }

    /// Refuses a checkpoint older than `max_age` or ahead of `now` by more than [`MAX_CLOCK_SKEW`]: a log that is held
    /// back looks like a log without news.
    pub fn check_age(&self, now: Timestamp, max_age: Duration) -> Result<(), CheckpointError> {
        let made_at = self.0.made_at;
        if now > made_at.after(max_age) {
            return Err(CheckpointError::Stale { made_at, max_age });
        }
        if made_at > now.after(MAX_CLOCK_SKEW) {
            return Err(CheckpointError::FromFuture { made_at });
        }
        Ok(())
    }

    /// Verifies that `leaf` is entry `index` of the log.
    pub fn verify_inclusion(&self, index: u64, leaf: &LeafHash, proof: &InclusionProof) -> Result<(), ProofError> {
        self.0.head.verify_inclusion(index, leaf, proof)
    }

    /// Verifies that the log continues what an older checkpoint saw.
    pub fn verify_consistency(&self, older: &TreeHead, proof: &ConsistencyProof) -> Result<(), ProofError> {
        self.0.head.verify_consistency(older, proof)
    }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signer as _, SigningKey};
    use proptest::prelude::*;

    use super::*;
    use crate::test_tree::TestTree;

    const NOW: i64 = 1_780_000_000_123;

    fn log_key(name: &str) -> (VerifierKey, SigningKey) {
        let key = SigningKey::from_bytes(&[3; 32]);
        let verifier = VerifierKey::new(name.parse().unwrap(), key.verifying_key().as_bytes());
        (verifier.unwrap(), key)
    }

    fn checkpoint(size: usize, millis: i64) -> Checkpoint {
        let head = TestTree::of_size(size).frontier.head();
        Checkpoint::new(
            "log.example/1".parse().unwrap(),
            head,
            Timestamp::from_unix_millis(millis),
        )
        .unwrap()
    }

    fn sign(checkpoint: Checkpoint) -> SignedCheckpoint {
        let (verifier, key) = log_key("log.example/1");
        SignedCheckpoint::sign(checkpoint, &verifier, |message| key.sign(message).to_bytes()).unwrap()
    }

    /// Signs any text with the log's key.
    fn sign_text(text: &str) -> Vec<u8> {
        let (verifier, key) = log_key("log.example/1");
        let signature = NoteSignature::new(&verifier, &key.sign(text.as_bytes()).to_bytes());
        SignedNote::new(text.to_owned(), signature)
            .unwrap()
            .to_string()
            .into_bytes()
    }

    #[test]
    fn one_mutation_of_the_text_is_one_error() {
        use CheckpointError as E;
        let good = checkpoint(7, NOW).to_string();
        let size = |text: &str| good.replace("\n7\n", &format!("\n{text}\n"));
        let time = |text: &str| good.replace(&format!("time {NOW}"), text);
        let table = [
            (good.replace("\ntime 1780000000123", ""), E::BadLineCount),
            (format!("{good}more\n"), E::BadLineCount),
            (format!("{good}\n"), E::BadLineCount),
            (format!("\n{good}"), E::BadLineCount),
            (good.replace("log.example/1", ""), E::BadOrigin),
            (good.replace("log.example/1", "log example"), E::BadOrigin),
            (good.replace("log.example/1", "log+example"), E::BadOrigin),
            (size(""), E::BadSize),
            (size("07"), E::BadSize),
            (size("+7"), E::BadSize),
            (size("-7"), E::BadSize),
            (size("7 "), E::BadSize),
            (size("0x7"), E::BadSize),
            (size("9223372036854775808"), E::BadSize),
            (size("18446744073709551616"), E::BadSize),
            (size("0"), E::EmptyRootMismatch),
            (good.replace("=\n", "\n"), E::BadRoot),
            (good.replace("=\n", "= \n"), E::BadRoot),
            (time(&NOW.to_string()), E::BadTime),
            (time("time"), E::BadTime),
            (time("time "), E::BadTime),
            (time("time  1"), E::BadTime),
            (time("time -1"), E::BadTime),
            (time("time 01"), E::BadTime),
            (time("time 1.5"), E::BadTime),
            (time("Time 1"), E::BadTime),
            (time("time 9223372036854775808"), E::BadTime),
        ];
        for (text, expected) in table {
            assert_eq!(SignedCheckpoint::parse(&sign_text(&text)), Err(expected), "{text:?}");
        }
        assert!(SignedCheckpoint::parse(&sign_text(&good)).is_ok());
        let past = Checkpoint::new(
            "a".parse().unwrap(),
            TestTree::of_size(0).frontier.head(),
            Timestamp::from_unix_millis(-1),
        );
        assert_eq!(past, Err(E::BadTime));
    }

    #[test]
    fn only_the_log_speaks_for_the_log() {
        let signed = sign(checkpoint(7, NOW));
        let (other, other_key) = log_key("log.example/2");
        let name = || other.name().clone();
        let unsigned = NoteError::Unsigned(name()).into();
        assert_eq!(signed.verify(&other), Err(unsigned));
        // Another log's key signs a checkpoint of this one.
        let mismatch = CheckpointError::OriginMismatch {
            expected: name(),
            found: "log.example/1".parse().unwrap(),
        };
        let foreign = SignedCheckpoint::sign(checkpoint(7, NOW), &other, |message| other_key.sign(message).to_bytes());
        assert_eq!(foreign, Err(mismatch));
        // A signer that answers with something else is noticed before anything leaves.
        let (verifier, _) = log_key("log.example/1");
        let bad = NoteError::BadSignature(verifier.name().clone()).into();
        assert_eq!(
            SignedCheckpoint::sign(checkpoint(7, NOW), &verifier, |_| [0; 64]),
            Err(bad)
        );
    }

    #[test]
    fn cosigners_are_ignored_and_a_second_log_signature_is_refused() {
        let (verifier, key) = log_key("log.example/1");
        let text = sign(checkpoint(7, NOW)).to_string();
        let cosigned = format!("{text}— witness.example {}\n", "AAAA".repeat(25));
        let parsed = SignedCheckpoint::parse(cosigned.as_bytes()).unwrap();
        assert_eq!(parsed.verify(&verifier).unwrap().checkpoint(), &checkpoint(7, NOW));
        assert_eq!((parsed.signatures().len(), parsed.to_string()), (2, cosigned));
        let again = NoteSignature::new(
            &verifier,
            &key.sign(checkpoint(7, NOW).to_string().as_bytes()).to_bytes(),
        );
        let twice = SignedCheckpoint::parse(format!("{text}{again}\n").as_bytes()).unwrap();
        let error = NoteError::SignedTwice(verifier.name().clone());
        assert_eq!(twice.verify(&verifier), Err(error.into()));
    }

    #[test]
    fn age_has_exact_edges() {
        let signed = sign(checkpoint(7, NOW));
        let (verifier, _) = log_key("log.example/1");
        let verified = signed.verify(&verifier).unwrap();
        let made_at = Timestamp::from_unix_millis(NOW);
        let max_age = Duration::from_secs(90);
        let check = |after_millis| verified.check_age(Timestamp::from_unix_millis(NOW + after_millis), max_age);
        assert_eq!(check(0), Ok(()));
        assert_eq!(check(90_000), Ok(()));
        assert_eq!(check(90_001), Err(CheckpointError::Stale { made_at, max_age }));
        assert_eq!(check(-60_000), Ok(()));
        assert_eq!(check(-60_001), Err(CheckpointError::FromFuture { made_at }));
    }

    #[test]
    fn proofs_verify_against_a_verified_checkpoint() {
        let tree = TestTree::of_size(7);
        let signed = sign(checkpoint(7, NOW));
        let (verifier, _) = log_key("log.example/1");
        let verified = signed.verify(&verifier).unwrap();
        let (older, size) = (tree.head_at(5), verified.checkpoint().head().size());
        let inclusion = InclusionProof::build(3, size, |id| tree.stored(id)).unwrap();
        let consistency = ConsistencyProof::build(older.size(), size, |id| tree.stored(id)).unwrap();
        assert_eq!(verified.verify_inclusion(3, &TestTree::leaf(3), &inclusion), Ok(()));
        assert_eq!(
            verified.verify_inclusion(4, &TestTree::leaf(3), &inclusion),
            Err(ProofError::RootMismatch)
        );
        assert_eq!(verified.verify_consistency(&older, &consistency), Ok(()));
        assert_eq!(
            verified.verify_consistency(&tree.head_at(4), &consistency),
            Err(ProofError::TooLong)
        );
    }

    proptest! {
        #[test]
        fn text_round_trips(size in 0usize..40, millis in 0i64..) {
            let signed = sign(checkpoint(size, millis));
            let text = signed.to_string();
            prop_assert_eq!(SignedCheckpoint::parse(text.as_bytes()), Ok(signed.clone()));
            prop_assert_eq!(signed.verify(&log_key("log.example/1").0).unwrap().checkpoint(), &checkpoint(size, millis));
        }

        /// Index and root apart, a changed size too is caught: here, by the signature.
        #[test]
        fn one_changed_bit_is_never_believed(at: prop::sample::Index, bit in 0u8..8) {
            let mut bytes = sign(checkpoint(7, NOW)).to_string().into_bytes();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            let (verifier, _) = log_key("log.example/1");
            let believed = SignedCheckpoint::parse(&bytes).is_ok_and(|signed| signed.verify(&verifier).is_ok());
            prop_assert!(!believed);
        }

        #[test]
        fn parsing_never_panics(text in "(log\\.example|\n|[0-9]{1,20}|time |[A-Za-z0-9+/]{43}=|\\PC){0,10}\n") {
            if let Ok(checkpoint) = Checkpoint::parse(&text) {
                prop_assert_eq!(checkpoint.to_string(), text);
            }
        }
    }
}

//! How values stand in the database and in what a commit's hash covers.
//!
//! Stored data depends on every byte of this file (DESIGN.md §10): the golden test below must never change.

use std::collections::BTreeSet;

use countersign_policy::Charge;
use countersign_signer::{LogEntry, Write};
use countersign_types::{ConflictKey, Destination, RawSignature, RequestDigest, Timestamp};

/// A stored value that does not read back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a stored {0} does not read back")]
pub(crate) struct BadValue(pub(crate) &'static str);

/// An unsigned number as SQLite holds it; every such column counts things, so the upper half is never reached.
pub(crate) fn to_sql(number: u64) -> Result<i64, BadValue> {
    i64::try_from(number).map_err(|_| BadValue("number over 63 bits"))
}

/// The inverse of [`to_sql`].
pub(crate) fn from_sql(number: i64) -> Result<u64, BadValue> {
    u64::try_from(number).map_err(|_| BadValue("negative number"))
}

/// A digest, hash or amount.
pub(crate) fn bytes32(bytes: &[u8]) -> Result<[u8; 32], BadValue> {
    bytes.try_into().map_err(|_| BadValue("32-byte value"))
}

/// The stored text of a conflict key: the one that people see in errors.
pub(crate) fn conflict_key_text(key: &ConflictKey) -> String {
    key.to_string()
}

/// Reads [`conflict_key_text`] back.
pub(crate) fn parse_conflict_key(text: &str) -> Result<ConflictKey, BadValue> {
    text.parse().map_err(|_| BadValue("conflict key"))
}

/// The keys of an attempt, one a line, in their order.
pub(crate) fn conflict_keys_text(keys: &[ConflictKey]) -> String {
    keys.iter().map(conflict_key_text).collect::<Vec<_>>().join("\n")
}

/// Reads [`conflict_keys_text`] back.
pub(crate) fn parse_conflict_keys(text: &str) -> Result<Vec<ConflictKey>, BadValue> {
    match text {
        "" => Ok(Vec::new()),
        lines => lines.split('\n').map(parse_conflict_key).collect(),
    }
}

/// The account and nonce of a key that has them; the nonce as bytes that sort like the number.
pub(crate) fn account_nonce(key: &ConflictKey) -> Option<(&Destination, [u8; 8])> {
    match key {
        ConflictKey::AccountNonce { account, nonce } => Some((account, nonce.to_be_bytes())),
        ConflictKey::Outpoint { .. } | ConflictKey::NonceAccount { .. } => None,
    }
}

/// One byte of scheme and 64 bytes for each signature.
pub(crate) fn signatures_bytes(signatures: &[RawSignature]) -> Vec<u8> {
    let scheme = |signature: &RawSignature| match signature {
        RawSignature::Ecdsa(_) => 1u8,
        RawSignature::Schnorr(_) => 2,
        RawSignature::Ed25519(_) => 3,
    };
    let mut bytes = Vec::new();
    for signature in signatures {
        bytes.push(scheme(signature));
        bytes.extend_from_slice(signature.as_bytes());
    }
    bytes
}

/// Reads [`signatures_bytes`] back.
pub(crate) fn parse_signatures(bytes: &[u8]) -> Result<Vec<RawSignature>, BadValue> {
    let bad = || BadValue("signature");
    let one = |chunk: &[u8]| {
        let (scheme, signature) = chunk.split_first().ok_or_else(bad)?;
        let signature: [u8; 64] = signature.try_into().map_err(|_| bad())?;
        match scheme {
            1 => Ok(RawSignature::Ecdsa(signature)),
            2 => Ok(RawSignature::Schnorr(signature)),
            3 => Ok(RawSignature::Ed25519(signature)),
            _ => Err(bad()),
        }
    };
    bytes.chunks(65).map(one).collect()
}

/// An injective encoding: fixed-width numbers, length-prefixed bytes, counted lists.
#[derive(Default)]
pub(crate) struct Encoder(Vec<u8>);

impl Encoder {
    pub(crate) fn tag(&mut self, tag: u8) -> &mut Self {
        self.0.push(tag);
        self
    }
    pub(crate) fn number(&mut self, number: u64) -> &mut Self {
        self.0.extend_from_slice(&number.to_be_bytes());
        self
    }
    pub(crate) fn time(&mut self, time: Timestamp) -> &mut Self {
        self.0.extend_from_slice(&time.unix_millis().to_be_bytes());
        self
    }
    pub(crate) fn digest(&mut self, digest: &[u8; 32]) -> &mut Self {
        self.0.extend_from_slice(digest);
        self
    }
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.count(bytes.len());
        self.0.extend_from_slice(bytes);
        self
    }
    pub(crate) fn text(&mut self, text: &impl ToString) -> &mut Self {
        self.bytes(text.to_string().as_bytes())
    }
    /// A length; 64 bits hold every `usize` of the platforms we build for.
    fn count(&mut self, count: usize) -> &mut Self {
        self.number(u64::try_from(count).unwrap_or(u64::MAX))
    }
    fn list<T>(&mut self, items: &[T], mut one: impl FnMut(&mut Self, &T)) -> &mut Self {
        self.count(items.len());
        for item in items {
            one(self, item);
        }
        self
    }
    fn texts<T: ToString>(&mut self, items: &BTreeSet<T>) -> &mut Self {
        self.count(items.len());
        for item in items {
            self.text(item);
        }
        self
    }
    fn requests(&mut self, requests: &[RequestDigest]) -> &mut Self {
        self.list(requests, |to, request| {
            to.digest(request.as_bytes());
        })
    }
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// Everything that one proposal commits: its time, its entries, its writes.
pub(crate) fn encode_verdict(to: &mut Encoder, at: Timestamp, entries: &[LogEntry], writes: &[Write]) {
    to.time(at);
    to.list(entries, |to, entry| {
        to.bytes(&entry.bytes).requests(&entry.subjects);
    });
    to.list(writes, encode_write);
}

fn encode_write(to: &mut Encoder, write: &Write) {
    match write {
        Write::Statement { .. } => encode_statement(to, write),
        Write::Withdrawal { .. } => encode_withdrawal(to, write),
        Write::Ended { request, tag } => {
            to.tag(3).digest(request.as_bytes()).text(tag);
        }
        Write::Decision { request, decision } => {
            to.tag(4).digest(request.as_bytes()).digest(decision.as_bytes());
        }
        Write::Attempt { .. } => encode_attempt(to, write),
        Write::Signed {
            request,
            number,
            signatures,
            transaction,
        } => {
            to.tag(6).digest(request.as_bytes()).number(u64::from(*number));
            to.bytes(&signatures_bytes(signatures))
                .bytes(&transaction.bytes)
                .text(&transaction.txid);
        }
        Write::Bundle { .. } => encode_bundle(to, write),
        Write::Subject { statement, request } => {
            to.tag(8).digest(statement.as_bytes()).digest(request.as_bytes());
        }
        Write::Sequence {
            observer,
            network,
            sequence,
        } => {
            to.tag(9).text(observer).text(network).number(*sequence);
        }
        Write::Freeze { freeze, scope, cause } => {
            to.tag(10).digest(freeze.as_bytes());
            to.text(scope).text(cause);
        }
        Write::Thaw { freeze, at } => {
            to.tag(11).digest(freeze.as_bytes()).time(*at);
        }
        Write::Mark { topic, name } => {
            to.tag(12).text(topic).text(name);
        }
        Write::LastWord { service, matter, word } => {
            to.tag(24).text(service).text(matter).number(word.sequence);
            to.list(word.since.as_slice(), |to, since| {
                to.time(*since);
            });
        }
        Write::Paid { request, destinations } => {
            to.tag(25).digest(request.as_bytes()).texts(destinations);
        }
        // 26 and 27 were the same with less.
        Write::Listed { lists, added, kept } => {
            let kept: Vec<_> = kept.iter().collect();
            to.tag(29)
                .texts(lists)
                .texts(added)
                .list(&kept, |to, (destination, since)| {
                    to.text(destination).time(**since);
                });
        }
        Write::Spend { .. } => encode_spend(to, write),
        Write::Aged { request, number } => {
            to.tag(21).digest(request.as_bytes()).number(u64::from(*number));
        }
        Write::Released { request, number } => {
            to.tag(22).digest(request.as_bytes()).number(u64::from(*number));
        }
        Write::Failed { request, number } => {
            to.tag(28).digest(request.as_bytes()).number(u64::from(*number));
        }
        Write::GivenUp { request, keys } => {
            to.tag(30).digest(request.as_bytes()).list(keys, |to, key| {
                to.text(key);
            });
        }
        Write::Backfill { charges } => {
            to.tag(23).list(charges, |to, late| {
                to.digest(late.request.as_bytes()).number(u64::from(late.number));
                encode_charge(to, &late.charge);
            });
        }
    }
}

fn encode_spend(to: &mut Encoder, write: &Write) {
    if let Write::Spend {
        request,
        number,
        facts,
        charges,
    } = write
    {
        to.tag(20).digest(request.as_bytes()).number(u64::from(*number));
        to.bytes(facts).list(charges, encode_charge);
    }
}

fn encode_charge(to: &mut Encoder, charge: &Charge) {
    to.digest(charge.counter.as_bytes())
        .digest(&charge.amount.to_be_bytes());
}

fn encode_statement(to: &mut Encoder, write: &Write) {
    if let Write::Statement {
        digest,
        signer,
        nonce,
        subjects,
        envelope,
    } = write
    {
        to.tag(1).digest(digest.as_bytes()).text(signer).text(nonce);
        to.requests(subjects).bytes(envelope);
    }
}

fn encode_withdrawal(to: &mut Encoder, write: &Write) {
    if let Write::Withdrawal {
        request,
        statement,
        tenant,
        reference,
        bundle,
    } = write
    {
        to.tag(2).digest(request.as_bytes()).digest(statement.as_bytes());
        to.text(tenant).text(reference).digest(bundle.as_bytes());
    }
}

fn encode_attempt(to: &mut Encoder, write: &Write) {
    if let Write::Attempt {
        request,
        tenant,
        payments,
        number,
        transaction,
        unsigned,
        conflict_keys,
        fee_max,
        authorization,
        sign_by,
    } = write
    {
        to.tag(5).digest(request.as_bytes()).text(tenant);
        to.list(payments, |to, payment| {
            to.text(payment);
        });
        to.number(u64::from(*number));
        to.digest(transaction.as_bytes()).bytes(unsigned);
        to.list(conflict_keys, |to, key| {
            to.text(key);
        });
        to.digest(&fee_max.to_be_bytes())
            .digest(authorization.as_bytes())
            .time(*sign_by);
    }
}

fn encode_bundle(to: &mut Encoder, write: &Write) {
    if let Write::Bundle {
        version,
        digest,
        files,
        statements,
    } = write
    {
        to.tag(7).number(*version).digest(digest.as_bytes()).count(files.len());
        for (path, bytes) in files {
            to.text(path).bytes(bytes);
        }
        to.list(statements, |to, statement| {
            to.digest(statement.as_bytes());
        });
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use countersign_signer::{LastWord, LateCharge};
    use countersign_types::{
        Amount, AuthorizationId, BundleDigest, CounterId, EntryDigest, FreezeId, SignedTransaction, StatementDigest,
        StatementNonce, Tag, TransactionDigest,
    };
    use data_encoding::HEXLOWER;
    use proptest::prelude::*;

    use super::*;
    use crate::chain::{CommitParts, NO_PREVIOUS, content_digest};

    const ACCOUNT: &str = "eip155:1:0x52908400098527886E0F7030069857D2E4169EE7";

    fn keys() -> Vec<ConflictKey> {
        let account: Destination = ACCOUNT.parse().unwrap();
        vec![
            ConflictKey::AccountNonce {
                account: account.clone(),
                nonce: u64::MAX,
            },
            ConflictKey::Outpoint {
                chain: "bip122:000000000019d6689c085ae165831e93".parse().unwrap(),
                txid: [0xab; 32],
                index: 7,
            },
            ConflictKey::NonceAccount {
                account,
                value: [0xcd; 32],
            },
        ]
    }

    #[test]
    fn conflict_keys_read_back_and_have_one_text() {
        assert_eq!(parse_conflict_keys(&conflict_keys_text(&keys())).unwrap(), keys());
        assert_eq!(parse_conflict_keys("").unwrap(), []);
        let good = format!("account-nonce {ACCOUNT} 5");
        assert!(parse_conflict_key(&good).is_ok());
        for bad in [
            format!("account-nonce {ACCOUNT} 05"),
            format!("account-nonce {ACCOUNT} +5"),
            format!("account-nonce  {ACCOUNT} 5"),
            format!("account-nonce {ACCOUNT}"),
            format!("Account-nonce {ACCOUNT} 5"),
            "outpoint eip155:1 AB 0".to_owned(),
            "\n".to_owned(),
        ] {
            assert!(parse_conflict_keys(&bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn signatures_read_back(signatures in proptest::collection::vec((0u8..3, any::<[u8; 32]>()), 0..4)) {
            let signatures: Vec<RawSignature> = signatures
                .into_iter()
                .map(|(scheme, half)| {
                    let bytes: [u8; 64] = [half, half].concat().try_into().unwrap();
                    match scheme {
                        0 => RawSignature::Ecdsa(bytes),
                        1 => RawSignature::Schnorr(bytes),
                        _ => RawSignature::Ed25519(bytes),
                    }
                })
                .collect();
            prop_assert_eq!(parse_signatures(&signatures_bytes(&signatures)), Ok(signatures));
        }

        #[test]
        fn parsing_never_panics(bytes: Vec<u8>, text in "\\PC{0,80}") {
            drop(parse_signatures(&bytes));
            drop(parse_conflict_keys(&text));
        }
    }

    #[test]
    fn torn_or_unknown_signatures_are_refused() {
        for bad in [&[1u8; 64][..], &[4; 65], &[1; 66], &[0]] {
            assert_eq!(parse_signatures(bad), Err(BadValue("signature")));
        }
    }

    fn every_write() -> Vec<Write> {
        let request = RequestDigest::from_bytes([1; 32]);
        let statement = StatementDigest::from_bytes([2; 32]);
        let bundle = BundleDigest::from_bytes([3; 32]);
        vec![
            Write::Statement {
                digest: statement,
                signer: "alice".parse().unwrap(),
                nonce: StatementNonce::from_bytes([4; 16]),
                subjects: vec![request],
                envelope: b"envelope".to_vec(),
            },
            Write::Withdrawal {
                request,
                statement,
                tenant: "acme".parse().unwrap(),
                reference: "ref".parse().unwrap(),
                bundle,
            },
            Write::Ended {
                request,
                tag: Tag::WithdrawalCancelled,
            },
            Write::Decision {
                request,
                decision: EntryDigest::from_bytes([5; 32]),
            },
            Write::Attempt {
                request,
                tenant: "acme".parse().unwrap(),
                payments: vec!["pay".parse().unwrap()],
                number: 1,
                transaction: TransactionDigest::from_bytes([6; 32]),
                unsigned: b"unsigned".to_vec(),
                conflict_keys: keys()[..1].to_vec(),
                fee_max: Amount::from_base_units(7),
                authorization: AuthorizationId::from_bytes([8; 32]),
                sign_by: Timestamp::from_unix_millis(9),
            },
            Write::Signed {
                request,
                number: 1,
                signatures: vec![RawSignature::Ecdsa([10; 64])],
                transaction: SignedTransaction {
                    bytes: b"signed".to_vec(),
                    txid: "0x0b".to_owned(),
                },
            },
            Write::Bundle {
                version: 12,
                digest: bundle,
                files: BTreeMap::from([("policy.yaml".to_owned(), b"rules".to_vec())]),
                statements: vec![statement],
            },
        ]
    }

    fn every_counter_write() -> Vec<Write> {
        let (request, number) = (RequestDigest::from_bytes([1; 32]), 2);
        let charge = Charge {
            counter: CounterId::from_bytes([14; 32]),
            amount: Amount::from_base_units(15),
        };
        let late = LateCharge {
            request,
            number,
            charge: charge.clone(),
        };
        vec![
            Write::Spend {
                request,
                number,
                facts: b"facts".to_vec(),
                charges: vec![charge],
            },
            Write::Aged { request, number },
            Write::Released { request, number },
            Write::Failed { request, number },
            Write::Backfill { charges: vec![late] },
        ]
    }

    fn every_observer_write() -> Vec<Write> {
        vec![
            Write::Subject {
                statement: StatementDigest::from_bytes([2; 32]),
                request: RequestDigest::from_bytes([1; 32]),
            },
            Write::Sequence {
                observer: "node-a".parse().unwrap(),
                network: "solana:localnet".parse().unwrap(),
                sequence: 16,
            },
        ]
    }

    fn every_freeze_write() -> Vec<Write> {
        let freeze = FreezeId::from_bytes([17; 32]);
        vec![
            Write::Freeze {
                freeze,
                scope: "wallet eth-hot".parse().unwrap(),
                cause: "a cause".to_owned(),
            },
            Write::Thaw {
                freeze,
                at: Timestamp::from_unix_millis(1_780_000_000_001),
            },
            Write::Mark {
                topic: "a topic".to_owned(),
                name: "alice".to_owned(),
            },
        ]
    }

    fn every_service_write() -> Vec<Write> {
        let destination = || ACCOUNT.parse().unwrap();
        let word = |since| Write::LastWord {
            service: "book".parse().unwrap(),
            matter: "address-book main customer-1 somewhere".to_owned(),
            word: LastWord { sequence: 17, since },
        };
        vec![
            word(Some(Timestamp::from_unix_millis(18))),
            word(None),
            Write::Paid {
                request: RequestDigest::from_bytes([1; 32]),
                destinations: BTreeSet::from([destination()]),
            },
            Write::Listed {
                lists: BTreeSet::from(["customers".parse().unwrap()]),
                added: BTreeSet::from([destination()]),
                kept: BTreeMap::new(),
            },
            Write::Listed {
                lists: BTreeSet::new(),
                added: BTreeSet::new(),
                kept: BTreeMap::from([(destination(), Timestamp::from_unix_millis(19))]),
            },
        ]
    }

    fn encoded(writes: &[Write]) -> Vec<u8> {
        let entries = [LogEntry {
            bytes: b"entry".to_vec(),
            subjects: vec![RequestDigest::from_bytes([1; 32])],
        }];
        let mut to = Encoder::default();
        encode_verdict(
            &mut to,
            Timestamp::from_unix_millis(1_780_000_000_000),
            &entries,
            writes,
        );
        to.into_bytes()
    }

    /// Stored chains depend on these: they were computed by `tests/golden.py`, which shares no code with this crate.
    #[test]
    fn golden_commit() {
        let content = content_digest(&encoded(&every_write()));
        let parts = CommitParts {
            number: 1,
            at: Timestamp::from_unix_millis(1_780_000_000_000),
            previous: NO_PREVIOUS,
            content,
            log_size: 1,
            log_root: [13; 32],
        };
        assert_eq!(
            HEXLOWER.encode(&content),
            "53fce57a498992370cab61408eb6f81623f00b7d0d13d67b6f8a033fb8acd028"
        );
        assert_eq!(
            HEXLOWER.encode(&parts.hash()),
            "cb17ecee4022b83622db5ecee8b82d8e79cde244acd6b2cb2dd72949b975a871"
        );
    }

    #[test]
    fn golden_counter_writes() {
        let content = content_digest(&encoded(&every_counter_write()));
        assert_eq!(
            HEXLOWER.encode(&content),
            "b98cefa6bda3e8f070ccea95afde3fc292e4deb0f701c1c69e6c6dd81858508a"
        );
    }

    #[test]
    fn golden_observer_writes() {
        let content = content_digest(&encoded(&every_observer_write()));
        assert_eq!(
            HEXLOWER.encode(&content),
            "b2c5140bd5f40366504b4f4627135f930cdfd6d715fdda5853efe5e8c1a2b28e"
        );
    }

    #[test]
    fn golden_freeze_writes() {
        let content = content_digest(&encoded(&every_freeze_write()));
        assert_eq!(
            HEXLOWER.encode(&content),
            "c6b4ee070c5c4a5d7b0dcc1b0d15a63dc0214f5b4a01d1845b3be4184c749ad3"
        );
    }

    #[test]
    fn golden_service_writes() {
        let content = content_digest(&encoded(&every_service_write()));
        assert_eq!(
            HEXLOWER.encode(&content),
            "ca02ca2cbdb7d8d1373bb6fd5cab63cacf069013fd2196040d4ba5f6b8c2af47"
        );
    }

    fn given_up() -> Vec<Write> {
        vec![Write::GivenUp {
            request: RequestDigest::from_bytes([1; 32]),
            keys: keys()[..2].to_vec(),
        }]
    }

    #[test]
    fn golden_given_up() {
        let content = content_digest(&encoded(&given_up()));
        assert_eq!(
            HEXLOWER.encode(&content),
            "6824b5dadb2be1564c24a912b73e44d022e860258d4915de5549fd228c19da9b"
        );
    }

    /// A tag that two kinds shared would let one stand for the other.
    #[test]
    fn each_kind_of_write_has_a_tag_of_its_own() {
        let mut all = every_write();
        all.extend(every_counter_write());
        all.extend(every_observer_write());
        all.extend(every_freeze_write());
        all.extend(every_service_write());
        all.extend(given_up());
        all.push(Write::Failed {
            request: RequestDigest::from_bytes([1; 32]),
            number: 1,
        });
        let mut kinds = BTreeMap::new();
        for write in &all {
            let mut encoder = Encoder::default();
            encode_write(&mut encoder, write);
            let tag = *encoder.into_bytes().first().unwrap();
            let kind = kinds.entry(tag).or_insert(std::mem::discriminant(write));
            assert_eq!(*kind, std::mem::discriminant(write), "{tag}: {write:?}");
        }
        let found: std::collections::HashSet<_> = kinds.values().collect();
        assert_eq!(found.len(), kinds.len(), "one kind under two tags");
    }

    #[test]
    fn each_write_counts() {
        let mut all = every_write();
        all.extend(every_counter_write());
        all.extend(every_observer_write());
        all.extend(every_freeze_write());
        all.extend(every_service_write());
        for left_out in 0..all.len() {
            let mut writes = all.clone();
            writes.remove(left_out);
            assert_ne!(encoded(&writes), encoded(&all));
        }
    }
}

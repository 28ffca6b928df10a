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
mod tests;

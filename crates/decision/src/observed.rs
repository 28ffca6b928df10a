//! What observers attest: from signed observations to facts (docs/adr/0024).
//!
//! Purely from the statements: signer, receipt and command line derive the same facts, and nobody hands them in.

use std::collections::{BTreeMap, BTreeSet};

use countersign_approval::{Body, Header, Observation, ObservedFact, ObservedOutcome, Quorum, Roster, StatementError};
use countersign_types::{
    ChainFacts, ChainId, ConflictKey, Destination, FactKey, GenesisHash, LookupTable, NonceAccount, ParsedTransaction,
    PrincipalId, Tag, Timestamp, TransactionDigest,
};

use crate::{AttemptFact, Reading, Reason, Seen, review::timeless};

/// What an observation must fit to count.
#[derive(Debug, Clone, Copy)]
pub struct Observatory<'a> {
    /// The deployment.
    pub deployment: GenesisHash,
    /// The recovery epoch.
    pub epoch: u64,
    /// The network that is asked about.
    pub network: &'a ChainId,
    /// The roster in force: who observes.
    pub roster: &'a Roster,
    /// The signer's clock.
    pub now: Timestamp,
}

/// What a quorum of observers attests about one network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observed {
    facts: ChainFacts,
    expired: BTreeSet<TransactionDigest>,
    mined: BTreeMap<TransactionDigest, Landed>,
    spent: BTreeMap<ConflictKey, Landed>,
}

/// A transaction that is final.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Landed {
    pub(crate) txid: String,
    pub(crate) outcome: ObservedOutcome,
}

impl Observed {
    /// What bytes are parsed with.
    pub fn facts(&self) -> &ChainFacts {
        &self.facts
    }

    pub(crate) fn is_expired(&self, transaction: TransactionDigest) -> bool {
        self.expired.contains(&transaction)
    }

    pub(crate) fn mined(&self, transaction: TransactionDigest) -> Option<&Landed> {
        self.mined.get(&transaction)
    }

    pub(crate) fn spent(&self, key: &ConflictKey) -> Option<&Landed> {
        self.spent.get(key)
    }

    /// Every conflict key that is used up, and by what.
    pub(crate) fn spends(&self) -> impl Iterator<Item = &Landed> {
        self.spent.values()
    }
}

/// An observation that counts, of an observer of the network.
struct Voice<'a> {
    observer: &'a PrincipalId,
    observation: &'a Observation,
    /// Whether it says how things are now; what it says is final counts for good.
    is_current: bool,
}

impl<'a> Observatory<'a> {
    /// Goes through the statements in the order of first sight; other kinds are passed over.
    pub fn observe(&self, statements: &'a [Seen]) -> Observed {
        let Some(quorum) = self.roster.observers(self.network) else {
            return Observed::default();
        };
        let voices: Vec<Voice<'a>> = statements.iter().filter_map(|seen| self.voice(seen)).collect();
        Observed {
            facts: ChainFacts {
                tables: tables(&voices, quorum),
                nonces: nonces(&voices, quorum),
            },
            ..finals(&voices, quorum)
        }
    }

    /// Why an observation says nothing here.
    pub(crate) fn discount(&self, seen: &Seen, header: &Header, observation: &Observation) -> Option<Reason> {
        let observer = seen.verified.as_ref().ok()?.signer();
        if observation.network != *self.network {
            let message = format!("`{observer}` observed network `{}`", observation.network);
            return Some(Reason::new(Tag::ObservationIrrelevant, message));
        }
        if !self.is_observer(observer) {
            let message = format!("`{observer}` is not an observer of `{}`", self.network);
            return Some(Reason::new(Tag::StatementNotPermitted, message));
        }
        let error = match self.certify(header, seen.first_seen_at) {
            Err(error) => error,
            Ok(()) if observation.facts.iter().any(is_final) => return None,
            Ok(()) => self.certify(header, self.now).err()?,
        };
        Some(Reason::new(error.tag(), format!("`{observer}`: {}", timeless(&error))))
    }

    fn voice(&self, seen: &'a Seen) -> Option<Voice<'a>> {
        let verified = seen.verified.as_ref().ok()?;
        let Body::Observation(observation) = &verified.statement().body else {
            return None;
        };
        let header = &verified.statement().header;
        let counts = observation.network == *self.network
            && self.is_observer(verified.signer())
            && self.certify(header, seen.first_seen_at).is_ok();
        counts.then(|| Voice {
            observer: verified.signer(),
            observation,
            is_current: self.certify(header, self.now).is_ok(),
        })
    }

    fn is_observer(&self, id: &PrincipalId) -> bool {
        let quorum = self.roster.observers(self.network);
        quorum.is_some_and(|quorum| quorum.members().contains(id))
    }

    fn certify(&self, header: &Header, at: Timestamp) -> Result<(), StatementError> {
        header.certify(self.deployment, self.epoch, at)
    }
}

/// Whether a fact stays true whatever happens later.
fn is_final(fact: &ObservedFact) -> bool {
    match fact {
        ObservedFact::Expired { .. } | ObservedFact::Spent { .. } | ObservedFact::Mined { .. } => true,
        ObservedFact::LookupTable { .. } | ObservedFact::NonceAccount { .. } => false,
    }
}

/// Whether an observation says something that a withdrawal needs: a fact that its bytes rest on, or the fate of its attempts
/// and of what they use up. Only such a one is journaled for it.
pub fn is_about(observation: &Observation, reading: &Reading, attempts: &[AttemptFact]) -> bool {
    let is_attempt = |transaction| attempts.iter().any(|attempt| attempt.transaction == transaction);
    let uses_up = |key: &ConflictKey| {
        let parsed = reading.parsed().map(ParsedTransaction::conflict_keys);
        parsed.unwrap_or_default().contains(key) || attempts.iter().any(|attempt| attempt.anchor.as_ref() == Some(key))
    };
    observation.network == *reading.network()
        && observation.facts.iter().any(|fact| match fact {
            ObservedFact::LookupTable { account, .. } => {
                reading.wanted().contains(&FactKey::LookupTable(account.clone()))
            }
            ObservedFact::NonceAccount { account, .. } => {
                reading.wanted().contains(&FactKey::NonceAccount(account.clone()))
            }
            ObservedFact::Expired { transaction, .. } | ObservedFact::Mined { transaction, .. } => {
                is_attempt(*transaction)
            }
            ObservedFact::Spent { conflict_key, .. } => uses_up(conflict_key),
        })
}

/// What each observer says of an account now: its observation with the highest sequence, and of those the last one.
struct Latest<'a, T> {
    by_account: BTreeMap<&'a Destination, BTreeMap<&'a PrincipalId, (u64, u64, T)>>,
}

impl<'a, T> Latest<'a, T> {
    fn of(voices: &[Voice<'a>], read: impl Fn(&'a ObservedFact) -> Option<(&'a Destination, T)>) -> Self {
        let mut by_account: BTreeMap<_, BTreeMap<_, (u64, u64, T)>> = BTreeMap::new();
        for voice in voices.iter().filter(|voice| voice.is_current) {
            let (sequence, height) = (voice.observation.sequence, voice.observation.height);
            for (account, said) in voice.observation.facts.iter().filter_map(&read) {
                let voices = by_account.entry(account).or_default();
                let is_newer = voices.get(voice.observer).is_none_or(|(known, ..)| *known <= sequence);
                if is_newer {
                    voices.insert(voice.observer, (sequence, height, said));
                }
            }
        }
        Self { by_account }
    }

    /// Height and content, one of each observer.
    fn iter(self) -> impl Iterator<Item = (&'a Destination, Vec<(u64, T)>)> {
        self.by_account.into_iter().map(|(account, voices)| {
            let said = voices.into_values().map(|(_, height, said)| (height, said));
            (account, said.collect())
        })
    }
}

fn tables(voices: &[Voice<'_>], quorum: &Quorum) -> BTreeMap<Destination, LookupTable> {
    let latest = Latest::of(voices, |fact| match fact {
        ObservedFact::LookupTable { account, addresses } => Some((account, addresses)),
        ObservedFact::NonceAccount { .. }
        | ObservedFact::Expired { .. }
        | ObservedFact::Spent { .. }
        | ObservedFact::Mined { .. } => None,
    });
    let agreed = latest
        .iter()
        .filter_map(|(account, said)| Some((account.clone(), agreed_table(said, quorum)?)));
    agreed.collect()
}

/// What a table holds, by index.
type Addresses = Vec<[u8; 32]>;

/// The longest prefix that a quorum shares. Tables only grow, so honest observers at different heights share the shorter
/// one; where two quorums go different ways, nothing is agreed from there on.
fn agreed_table(mut said: Vec<(u64, &Addresses)>, quorum: &Quorum) -> Option<LookupTable> {
    let mut addresses = Vec::new();
    let mut height = None;
    loop {
        let mut groups: BTreeMap<[u8; 32], Vec<(u64, &Addresses)>> = BTreeMap::new();
        for (height, table) in said {
            if let Some(next) = table.get(addresses.len()) {
                groups.entry(*next).or_default().push((height, table));
            }
        }
        let mut agreeing = groups.into_iter().filter(|(_, group)| is_quorum(group.len(), quorum));
        let (Some((address, group)), None) = (agreeing.next(), agreeing.next()) else {
            let height = height?;
            return Some(LookupTable { height, addresses });
        };
        addresses.push(address);
        height = group.iter().map(|(at, _)| *at).min();
        said = group;
    }
}

fn nonces(voices: &[Voice<'_>], quorum: &Quorum) -> BTreeMap<Destination, NonceAccount> {
    let latest = Latest::of(voices, |fact| match fact {
        ObservedFact::NonceAccount {
            account,
            authority,
            value,
        } => Some((account, (authority, *value))),
        ObservedFact::LookupTable { .. }
        | ObservedFact::Expired { .. }
        | ObservedFact::Spent { .. }
        | ObservedFact::Mined { .. } => None,
    });
    let agreed = latest.iter().filter_map(|(account, said)| {
        let mut groups: BTreeMap<(&Destination, [u8; 32]), Vec<u64>> = BTreeMap::new();
        for (height, content) in said {
            groups.entry(content).or_default().push(height);
        }
        let ((authority, value), heights) = the_one(groups, |heights| is_quorum(heights.len(), quorum))?;
        let stored = NonceAccount {
            height: heights.into_iter().min()?,
            authority: authority.clone(),
            value,
        };
        Some((account.clone(), stored))
    });
    agreed.collect()
}

/// What is final. Whoever says that a transaction landed contradicts whoever says that it expired: one quorum on each side
/// is none on both.
fn finals(voices: &[Voice<'_>], quorum: &Quorum) -> Observed {
    let mut expired: BTreeMap<TransactionDigest, BTreeSet<&PrincipalId>> = BTreeMap::new();
    let mut mined: BTreeMap<TransactionDigest, BTreeMap<Landed, BTreeSet<&PrincipalId>>> = BTreeMap::new();
    let mut spent: BTreeMap<ConflictKey, BTreeMap<Landed, BTreeSet<&PrincipalId>>> = BTreeMap::new();
    for voice in voices {
        for fact in &voice.observation.facts {
            let landed = |txid: &String, outcome: ObservedOutcome| Landed {
                txid: txid.clone(),
                outcome,
            };
            let sayers = match fact {
                ObservedFact::Expired { transaction, .. } => expired.entry(*transaction).or_default(),
                ObservedFact::Mined {
                    transaction,
                    txid,
                    outcome,
                } => {
                    let claims = mined.entry(*transaction).or_default();
                    claims.entry(landed(txid, *outcome)).or_default()
                }
                ObservedFact::Spent {
                    conflict_key,
                    txid,
                    outcome,
                } => {
                    let claims = spent.entry(conflict_key.clone()).or_default();
                    claims.entry(landed(txid, *outcome)).or_default()
                }
                ObservedFact::LookupTable { .. } | ObservedFact::NonceAccount { .. } => continue,
            };
            sayers.insert(voice.observer);
        }
    }
    let is_agreed = |sayers: &BTreeSet<&PrincipalId>| is_quorum(sayers.len(), quorum);
    let one = |claims: BTreeMap<Landed, _>| Some(the_one(claims, is_agreed)?.0);
    expired.retain(|_, sayers| is_agreed(sayers));
    mined.retain(|_, claims| claims.values().any(is_agreed));
    let contradicted: BTreeSet<_> = mined.keys().filter(|one| expired.contains_key(one)).copied().collect();
    let is_plain = |transaction: &TransactionDigest| !contradicted.contains(transaction);
    Observed {
        facts: ChainFacts::default(),
        expired: expired.into_keys().filter(is_plain).collect(),
        mined: mined
            .into_iter()
            .filter(|(transaction, _)| is_plain(transaction))
            .filter_map(|(transaction, claims)| Some((transaction, one(claims)?)))
            .collect(),
        spent: spent
            .into_iter()
            .filter_map(|(key, claims)| Some((key, one(claims)?)))
            .collect(),
    }
}

/// The only group of which this holds.
fn the_one<K, V>(groups: BTreeMap<K, V>, holds: impl Fn(&V) -> bool) -> Option<(K, V)> {
    let mut agreeing = groups.into_iter().filter(|(_, group)| holds(group));
    let first = agreeing.next()?;
    agreeing.next().is_none().then_some(first)
}

fn is_quorum(voices: usize, quorum: &Quorum) -> bool {
    u32::try_from(voices).is_ok_and(|voices| voices >= quorum.threshold())
}

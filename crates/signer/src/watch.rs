//! What the second listener watches for: rejections, which end withdrawals and trip breakers, and spends that nobody here
//! signed.

use std::collections::BTreeSet;
use std::sync::Arc;

use countersign_approval::{
    Body, Envelope, FreezeScope, Observation, ObservedFact, Quorum, Request, Statement, Verified, verify,
};
use countersign_bundle::Bundle;
use countersign_decision::{EntryError, FreezeCause};
use countersign_types::{
    ChainId, ConflictKey, FreezeId, PrincipalId, RequestDigest, Tag, Timestamp, WalletId, WithdrawalId,
};

use crate::{
    JournalError, LedgerView, Reads, Signer, SignerError, Verdict, WithdrawalHistory, Write,
    breakers::{Adds, Suspect, frozen, is_voice, rejections},
    changes::Changes,
    freezes::freeze_now,
    propose,
    statements::subjects,
};

/// A withdrawal that the journal knows.
struct Known {
    withdrawal: WithdrawalId,
    request: Request,
    initiator: PrincipalId,
}

/// What a rejection does beyond being journaled.
pub(crate) struct Rejecting {
    bundle: Arc<Bundle>,
    /// What it is about; nothing where its signer is in no group.
    withdrawals: Vec<WithdrawalId>,
    /// Those that have a record and have not ended. The others end when they are first seen.
    open: Vec<WithdrawalId>,
    /// Whether there are others.
    is_ahead: bool,
    /// Those that are known, where there are breakers. The others are looked at when they are first seen.
    known: Vec<Known>,
}

impl Rejecting {
    fn suspects(&self) -> impl Iterator<Item = Suspect<'_>> {
        self.known.iter().map(|known| Suspect {
            bundle: &self.bundle,
            withdrawal: known.withdrawal,
            request: &known.request,
            initiator: &known.initiator,
        })
    }

    /// Whether one of them had no record when that was looked up.
    pub(crate) fn is_ahead(&self) -> bool {
        self.is_ahead
    }

    pub(crate) fn reads(&self, reads: Reads) -> Reads {
        Reads {
            marks: self
                .withdrawals
                .iter()
                .map(|withdrawal| rejections(*withdrawal))
                .collect(),
            made: self.suspects().flat_map(|suspect| suspect.possible()).collect(),
            marked: self.suspects().flat_map(|suspect| suspect.covered()).collect(),
            freezes: true,
            ..reads
        }
    }

    /// Ends what it is about: at once, because its signer may have left the roster, or changed the key, before anybody asks for
    /// a decision. Marks the rejection where it is not marked yet, and freezes what its breakers ask for.
    pub(crate) fn count(
        &self,
        person: &PrincipalId,
        view: &LedgerView,
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<(), EntryError> {
        let topics = self.withdrawals.iter().map(|withdrawal| rejections(*withdrawal));
        let is_marked = |topic: &String| {
            let marks = view.marks.get(topic);
            marks.is_some_and(|marks| marks.contains_key(person.as_str()))
        };
        let mark = |topic| Write::Mark {
            topic,
            name: person.to_string(),
        };
        let end = |withdrawal: &WithdrawalId| Write::Ended {
            request: withdrawal.request(),
            tag: Tag::ApprovalRejected,
        };
        changes.writes.extend(self.open.iter().map(end));
        changes
            .writes
            .extend(topics.filter(|topic| !is_marked(topic)).map(mark));
        let adds = Adds {
            rejections: BTreeSet::from([person.to_string()]),
            paid: None,
        };
        let mut frozen = frozen(view);
        for suspect in self.suspects() {
            let trips = suspect.tripped((view, now), &adds, &mut frozen);
            changes.writes.extend(trips.marks());
            for tripped in trips.freezes {
                tripped.freeze(now, changes)?;
            }
        }
        Ok(())
    }
}

/// A spend of something of ours by a transaction that the journal does not know.
pub(crate) struct ForeignSpend {
    wallet: WalletId,
    key: ConflictKey,
    txid: String,
}

impl ForeignSpend {
    pub(crate) fn new(wallet: WalletId, key: &ConflictKey, txid: &str) -> Self {
        Self {
            wallet,
            key: key.clone(),
            txid: txid.to_owned(),
        }
    }

    fn topic(&self) -> String {
        format!("spent {} by {}", self.key, self.txid)
    }

    /// What it freezes, and why.
    pub(crate) fn freeze(&self) -> (FreezeScope, FreezeCause) {
        let cause = FreezeCause::ForeignSpend {
            conflict_key: self.key.clone(),
            txid: self.txid.clone(),
        };
        (FreezeScope::Wallet(self.wallet.clone()), cause)
    }

    /// The name of that freeze, whatever the transaction was.
    pub(crate) fn id(&self) -> FreezeId {
        let (scope, cause) = self.freeze();
        cause.freeze(&scope)
    }
}

/// An observer's report of such spends.
pub(crate) struct Reporting {
    network: ChainId,
    sequence: u64,
    observers: Quorum,
    spends: Vec<ForeignSpend>,
}

impl Reporting {
    pub(crate) fn reads(&self, observer: &PrincipalId, reads: Reads) -> Reads {
        Reads {
            marks: self.spends.iter().map(ForeignSpend::topic).collect(),
            made: self.spends.iter().map(ForeignSpend::id).collect(),
            sequences: vec![(observer.clone(), self.network.clone())],
            ..reads
        }
    }

    /// Counts one voice for each spend, and freezes the wallet with the one that makes the quorum.
    pub(crate) fn count(
        &self,
        observer: &PrincipalId,
        view: &LedgerView,
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<(), SignerError> {
        let source = (observer.clone(), self.network.clone());
        let known = view.sequences.get(&source).copied();
        if known.is_some_and(|known| known > self.sequence) {
            return Err(SignerError::StaleObservation(observer.clone()));
        }
        // One statement for what it has not said yet: an observer does not grow the journal by saying it again.
        if !self.voice(observer, (view, now), changes)? {
            return Err(SignerError::ReportedAlready(observer.clone()));
        }
        if known.is_none_or(|known| known < self.sequence) {
            changes.writes.push(Write::Sequence {
                observer: observer.clone(),
                network: self.network.clone(),
                sequence: self.sequence,
            });
        }
        Ok(())
    }

    /// Whether the observer had not said all of it before. Its order was held at the door.
    pub(crate) fn voice(
        &self,
        observer: &PrincipalId,
        (view, now): (&LedgerView, Timestamp),
        changes: &mut Changes,
    ) -> Result<bool, EntryError> {
        let mut is_news = false;
        for spend in &self.spends {
            is_news |= self.count_one(spend, observer, (view, now), changes)?;
        }
        Ok(is_news)
    }

    fn count_one(
        &self,
        spend: &ForeignSpend,
        observer: &PrincipalId,
        (view, now): (&LedgerView, Timestamp),
        changes: &mut Changes,
    ) -> Result<bool, EntryError> {
        let topic = spend.topic();
        let earlier = view.marks.get(&topic);
        let has_said = |one: &PrincipalId| earlier.is_some_and(|voices| voices.contains_key(one.as_str()));
        if has_said(observer) {
            return Ok(false);
        }
        changes.writes.push(Write::Mark {
            topic,
            name: observer.to_string(),
        });
        let members = self.observers.members().iter();
        let voices = members.filter(|member| *member == observer || has_said(member)).count();
        let is_quorum = u32::try_from(voices).is_ok_and(|voices| voices >= self.observers.threshold());
        if is_quorum && !view.made.contains(&spend.id()) {
            let (scope, cause) = spend.freeze();
            freeze_now(scope, cause, now, changes)?;
        }
        Ok(true)
    }
}

impl Signer {
    /// What a rejection ends, and what breakers must know of it.
    pub(crate) async fn rejecting(&self, bundle: &Arc<Bundle>, verified: &Verified) -> Result<Rejecting, SignerError> {
        let withdrawals = if is_voice(bundle.roster(), verified.signer()) {
            subjects(verified)
        } else {
            Vec::new()
        };
        let (mut open, mut is_ahead) = (Vec::new(), false);
        for withdrawal in &withdrawals {
            let basis = self.journal.basis(withdrawal.request(), Vec::new()).await?;
            is_ahead |= basis.is_none();
            open.extend(basis.filter(|basis| basis.ended.is_none()).map(|_| *withdrawal));
        }
        let mut known = Vec::new();
        if bundle.policy().breakers().next().is_some() {
            for withdrawal in &withdrawals {
                if let Some(history) = self.journal.history(withdrawal.request()).await? {
                    known.extend(known_of(bundle, *withdrawal, &history)?);
                }
            }
        }
        Ok(Rejecting {
            bundle: Arc::clone(bundle),
            withdrawals,
            open,
            is_ahead,
            known,
        })
    }

    /// The spends of an observation that nobody here signed. What else it says is for the withdrawals that need it.
    pub(crate) async fn reporting(
        &self,
        bundle: &Bundle,
        observer: &PrincipalId,
        observation: &Observation,
    ) -> Result<Reporting, SignerError> {
        let observers = bundle.roster().observers(&observation.network);
        let observers = observers.filter(|observers| observers.members().contains(observer));
        let observers = observers.ok_or_else(|| SignerError::NotPermitted {
            signer: observer.clone(),
            reason: "it is not an observer of this network",
        })?;
        let mut spends = Vec::new();
        for fact in &observation.facts {
            if let ObservedFact::Spent { conflict_key, txid, .. } = fact {
                spends.extend(self.foreign_spend(bundle, conflict_key, txid).await?);
            }
        }
        if spends.is_empty() {
            return Err(SignerError::NoForeignSpend(observer.clone()));
        }
        Ok(Reporting {
            network: observation.network.clone(),
            sequence: observation.sequence,
            observers: observers.clone(),
            spends,
        })
    }

    /// `None` where the key is not ours, or the journal knows the transaction. What we release is recorded before: whoever has
    /// seen it on a chain comes later.
    async fn foreign_spend(
        &self,
        bundle: &Bundle,
        key: &ConflictKey,
        txid: &str,
    ) -> Result<Option<ForeignSpend>, SignerError> {
        let foreign = |wallet: WalletId| ForeignSpend::new(wallet, key, txid);
        let Some(owner) = self.owner(key).await? else {
            return Ok(unclaimed(bundle, key).map(foreign));
        };
        let Some(history) = self.journal.history(owner).await? else {
            return Ok(None);
        };
        let mut signed = history
            .record
            .attempts
            .iter()
            .filter_map(|attempt| attempt.signed.as_ref());
        if signed.any(|signed| signed.transaction.txid == txid) {
            return Ok(None);
        }
        Ok(Some(foreign(wallet_of(&history)?)))
    }

    async fn owner(&self, key: &ConflictKey) -> Result<Option<RequestDigest>, SignerError> {
        let reads = Reads {
            conflict_keys: vec![key.clone()],
            ..Reads::default()
        };
        let owner = |view: &LedgerView, _| Verdict::unchanged(view.conflict_owners.values().next().copied());
        Ok(propose(self.journal.as_ref(), reads, owner).await?.0)
    }
}

/// The wallet of an account nonce that no withdrawal has claimed and that is ours to use. An outpoint that nobody claimed
/// says nothing of its wallet.
pub(crate) fn unclaimed(bundle: &Bundle, key: &ConflictKey) -> Option<WalletId> {
    let ConflictKey::AccountNonce { account, nonce } = key else {
        return None;
    };
    let wallet = bundle.registry().own_wallet(account)?;
    let record = bundle.registry().wallets().wallet(wallet)?;
    let site = record.networks.get(account.chain())?;
    (*nonce >= site.first_nonce).then(|| wallet.clone())
}

/// The wallet of a journaled request, whoever may sign by now.
fn wallet_of(history: &WithdrawalHistory) -> Result<WalletId, SignerError> {
    let envelope = Envelope::parse(&history.request.envelope)?;
    let statement = Statement::parse(envelope.kind(), envelope.payload())?;
    let Body::Request(request) = statement.body else {
        return Err(JournalError::Damaged("a withdrawal without a request".to_owned()).into());
    };
    Ok(request.wallet)
}

/// The request of a withdrawal; `None` where its signer has left the roster.
fn known_of(
    bundle: &Bundle,
    withdrawal: WithdrawalId,
    history: &WithdrawalHistory,
) -> Result<Option<Known>, SignerError> {
    let envelope = Envelope::parse(&history.request.envelope)?;
    let Ok(verified) = verify(&envelope, bundle.roster()) else {
        return Ok(None);
    };
    let Body::Request(request) = &verified.statement().body else {
        return Ok(None);
    };
    Ok(Some(Known {
        withdrawal,
        request: request.as_ref().clone(),
        initiator: verified.signer().clone(),
    }))
}

//! The writes of a group that the database does not have yet.
//!
//! Proposals of one group are decided one after the other, and each sees all earlier ones. Their writes wait here, so that
//! many go to the database in one statement a table; what waits is written at once when a later proposal could read it or
//! write the same row. Counters and the nonces of accounts are what proposals share most: their sums with everything that
//! waits are known to the [`Ledger`], the next nonces to [`Pending`].

use std::collections::{BTreeMap, BTreeSet};

use countersign_signer::{Reads, Write};
use countersign_types::{
    ConflictKey, Destination, PaymentReference, PrincipalId, Reference, RequestDigest, StatementDigest, StatementNonce,
    TenantId, Timestamp,
};

use crate::{backfill, batch::Batch, counters::Ledger, error::StepError, sql::Link};

/// More than this does not wait: it is in memory twice when it goes.
const MAX_WAITING_BYTES: usize = 4 << 20;

/// Something that one proposal writes and another could read or write.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Thing {
    /// A withdrawal, its attempts and spends, and the statements about it.
    Withdrawal(RequestDigest),
    Reference(TenantId, Reference),
    Payment(TenantId, PaymentReference),
    ConflictKey(ConflictKey),
    Statement(StatementDigest),
    Nonce(PrincipalId, StatementNonce),
    /// Who has paid it.
    Destination(Destination),
    /// The marks under a topic.
    Topic(String),
    Mark(String, String),
}

/// See the module. All of it is of one transaction and of one moment.
pub(crate) struct Pending {
    at: Timestamp,
    batch: Batch,
    /// What waits touches these.
    waiting: BTreeSet<Thing>,
    /// What waited before touches these.
    written: BTreeSet<Thing>,
    /// Something was written that touches more than can be told.
    is_opaque: bool,
    /// One more than the highest nonce that the group claims of each account.
    next_nonces: BTreeMap<Destination, u64>,
    ledger: Ledger,
}

impl Pending {
    /// Nothing waits.
    pub(crate) fn at(at: Timestamp) -> Self {
        Self {
            at,
            batch: Batch::default(),
            waiting: BTreeSet::new(),
            written: BTreeSet::new(),
            is_opaque: false,
            next_nonces: BTreeMap::new(),
            ledger: Ledger::default(),
        }
    }

    /// The moment of the transaction.
    pub(crate) fn moment(&self) -> Timestamp {
        self.at
    }

    /// What counters stand at, with everything that waits.
    pub(crate) fn ledger(&mut self) -> &mut Ledger {
        &mut self.ledger
    }

    /// The next nonce of an account, where the group claims any.
    pub(crate) fn next_nonce(&self, account: &Destination) -> Option<u64> {
        self.next_nonces.get(account).copied()
    }

    fn note_nonces(&mut self, writes: &[Write]) {
        for write in writes {
            let Write::Attempt { conflict_keys, .. } = write else {
                continue;
            };
            for key in conflict_keys {
                let ConflictKey::AccountNonce { account, nonce } = key else {
                    continue;
                };
                let next = self.next_nonces.entry(account.clone()).or_default();
                // The last nonce is refused before it comes here.
                *next = nonce.saturating_add(1).max(*next);
            }
        }
    }

    /// Whether these reads find what they found before the first proposal of the group, but for counters and next nonces.
    pub(crate) fn is_untouched(&self, reads: &Reads) -> bool {
        let touches = |things: BTreeSet<Thing>| {
            let is_among = |touched: &BTreeSet<Thing>| !things.is_disjoint(touched);
            is_among(&self.waiting) || is_among(&self.written)
        };
        !self.is_opaque && !things_read(reads).is_none_or(touches)
    }

    /// Makes sure that the database has everything that these reads could find, but for counters and next nonces.
    pub(crate) async fn settle(&mut self, link: &mut Link<'_>, reads: &Reads) -> Result<(), StepError> {
        let is_settled = things_read(reads).is_some_and(|things| things.is_disjoint(&self.waiting));
        if is_settled { Ok(()) } else { self.write(link).await }
    }

    /// Takes the writes of one proposal. Refused, it has changed nothing.
    pub(crate) async fn add(&mut self, link: &mut Link<'_>, writes: &[Write]) -> Result<(), StepError> {
        let Some(things) = things_written(writes) else {
            return self.add_alone(link, writes).await;
        };
        if !things.is_disjoint(&self.waiting) {
            self.write(link).await?;
        }
        let mut batch = Batch::default();
        for write in writes {
            batch.write(write, self.at)?;
        }
        self.ledger.apply(link, &mut batch, writes, self.at).await?;
        self.batch.append(batch);
        self.waiting.extend(things);
        self.note_nonces(writes);
        if self.batch.bytes() > MAX_WAITING_BYTES {
            self.write(link).await?;
        }
        Ok(())
    }

    /// What changes more than can be told goes to the database at once, and what was known of counters is read again.
    async fn add_alone(&mut self, link: &mut Link<'_>, writes: &[Write]) -> Result<(), StepError> {
        self.write(link).await?;
        self.is_opaque = true;
        self.ledger = Ledger::default();
        let mut batch = Batch::default();
        for write in writes {
            batch.write(write, self.at)?;
            if let Write::Backfill { charges } = write {
                backfill::apply(link, &mut batch, charges).await?;
            }
        }
        let mut ledger = Ledger::default();
        ledger.apply(link, &mut batch, writes, self.at).await?;
        ledger.push(&mut batch, self.at);
        batch.execute(link).await?;
        self.note_nonces(writes);
        Ok(())
    }

    /// Writes everything that waits.
    async fn write(&mut self, link: &mut Link<'_>) -> Result<(), StepError> {
        self.written.append(&mut self.waiting);
        self.take().execute(link).await
    }

    /// Everything that waits, for the caller to write.
    pub(crate) fn take(&mut self) -> Batch {
        let mut batch = std::mem::take(&mut self.batch);
        self.ledger.push(&mut batch, self.at);
        batch
    }
}

/// What reads could find; `None` where that cannot be told. What only [`Pending::add_alone`] writes is never waiting, and
/// counters are the ledger's.
fn things_read(reads: &Reads) -> Option<BTreeSet<Thing>> {
    let Reads {
        request,
        reference,
        payments,
        conflict_keys,
        statements,
        nonces,
        voices,
        usage: _,
        spends_since,
        sequences: _,
        freezes: _,
        marks,
        made: _,
        matters: _,
        destinations,
        lists: _,
        tallies,
        marked,
    } = reads;
    if spends_since.is_some() {
        return None;
    }
    let mut things = BTreeSet::new();
    things.extend(request.map(Thing::Withdrawal));
    things.extend(
        reference
            .clone()
            .map(|(tenant, reference)| Thing::Reference(tenant, reference)),
    );
    let payments = payments.iter().cloned();
    things.extend(payments.map(|(tenant, payment)| Thing::Payment(tenant, payment)));
    things.extend(conflict_keys.iter().cloned().map(Thing::ConflictKey));
    things.extend(statements.iter().copied().map(Thing::Statement));
    things.extend(
        nonces
            .iter()
            .cloned()
            .map(|(signer, nonce)| Thing::Nonce(signer, nonce)),
    );
    things.extend(voices.iter().map(|(request, _)| Thing::Withdrawal(*request)));
    things.extend(destinations.iter().cloned().map(Thing::Destination));
    let topics = marks.iter().chain(tallies.iter().map(|tally| &tally.topic));
    things.extend(topics.cloned().map(Thing::Topic));
    things.extend(marked.iter().cloned().map(|(topic, name)| Thing::Mark(topic, name)));
    Some(things)
}

/// What writes touch; `None` where that cannot be told.
fn things_written(writes: &[Write]) -> Option<BTreeSet<Thing>> {
    let mut things = BTreeSet::new();
    for write in writes {
        match write {
            Write::Statement {
                digest,
                signer,
                nonce,
                subjects,
                envelope: _,
            } => {
                things.insert(Thing::Statement(*digest));
                things.insert(Thing::Nonce(signer.clone(), *nonce));
                things.extend(subjects.iter().copied().map(Thing::Withdrawal));
            }
            Write::Withdrawal {
                request,
                tenant,
                reference,
                statement: _,
                bundle: _,
            } => {
                things.insert(Thing::Withdrawal(*request));
                things.insert(Thing::Reference(tenant.clone(), reference.clone()));
            }
            Write::Attempt {
                request,
                tenant,
                payments,
                conflict_keys,
                number: _,
                transaction: _,
                unsigned: _,
                fee_max: _,
                authorization: _,
                sign_by: _,
            } => {
                things.insert(Thing::Withdrawal(*request));
                let payments = payments.iter().cloned();
                things.extend(payments.map(|payment| Thing::Payment(tenant.clone(), payment)));
                things.extend(conflict_keys.iter().cloned().map(Thing::ConflictKey));
            }
            Write::Paid { request, destinations } => {
                things.insert(Thing::Withdrawal(*request));
                things.extend(destinations.iter().cloned().map(Thing::Destination));
            }
            Write::Mark { topic, name } => {
                things.insert(Thing::Topic(topic.clone()));
                things.insert(Thing::Mark(topic.clone(), name.clone()));
            }
            Write::Subject { request, .. }
            | Write::Ended { request, .. }
            | Write::Decision { request, .. }
            | Write::Signed { request, .. }
            | Write::Spend { request, .. }
            | Write::Aged { request, .. } => drop(things.insert(Thing::Withdrawal(*request))),
            // Rare, and about more than one withdrawal or about what every decision reads.
            Write::Sequence { .. }
            | Write::LastWord { .. }
            | Write::Listed { .. }
            | Write::GivenUp { .. }
            | Write::Failed { .. }
            | Write::Released { .. }
            | Write::Backfill { .. }
            | Write::Freeze { .. }
            | Write::Thaw { .. }
            | Write::Bundle { .. } => return None,
        }
    }
    Some(things)
}

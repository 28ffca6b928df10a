//! Lineage: never pay twice (DESIGN.md §6).
//!
//! Of all authorized attempts of one request at most one can land: a new one must exclude every earlier one that is not
//! provably dead. From its authorization on, an attempt counts as signed, whether or not the token answered.

use std::collections::{BTreeMap, BTreeSet};

use countersign_approval::{ObservedOutcome, Request};
use countersign_bundle::Bundle;
use countersign_types::{
    ConflictKey, Destination, ParsedTransaction, RequestDigest, Tag, TransactionDigest, WithdrawalId,
};

use crate::{AttemptFact, LedgerFacts, Observed, Reason, decide::MAX_ATTEMPTS, observed::Landed};

/// Where an attempt stands in its lineage, if it may stand there.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The attempt's number, from 1; an authorized attempt keeps its own.
    pub(crate) attempt: u32,
    /// A nonce before its own is not signed yet: it may be approved and must wait.
    pub(crate) waiting: Option<Reason>,
}

/// What an attempt is placed among.
pub(crate) struct Surroundings<'a> {
    pub(crate) ledger: &'a LedgerFacts,
    pub(crate) observed: &'a Observed,
    /// Whether a message of this network can expire (Solana's with a plain blockhash).
    pub(crate) expires: bool,
    pub(crate) bundle: &'a Bundle,
}

/// What became of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It may still land.
    Live,
    /// It landed and did what it says.
    Settled,
    /// It landed and did nothing but pay its fee.
    Failed,
    /// It can never land.
    Dead,
}

/// What the ledger knows of the request itself, before any bytes.
pub(crate) fn conflicts(request: &Request, ledger: &LedgerFacts) -> Vec<Reason> {
    let mut reasons = Vec::new();
    if let Some(owner) = &ledger.reference_owner {
        let message = format!(
            "reference `{}` of tenant `{}` already names {}",
            request.reference,
            request.tenant,
            named(*owner)
        );
        reasons.push(Reason::new(Tag::ReferenceConflict, message));
    }
    for (payment, owner) in &ledger.payment_owners {
        reasons.push(Reason::new(
            Tag::PaymentAlreadyClaimed,
            format!("payment `{payment}` is signed under {}", named(*owner)),
        ));
    }
    reasons
}

/// As people call it, and as the log does.
fn named(request: RequestDigest) -> String {
    format!("{} (request {request})", WithdrawalId::of(request))
}

/// What ended the withdrawal, once somebody took it back or refused it.
pub(crate) fn ended(ledger: &LedgerFacts) -> Option<Reason> {
    let tag = ledger.ended?;
    Some(Reason::new(tag, format!("it ended for good: {}", tag.meaning())))
}

impl Surroundings<'_> {
    /// Places an attempt, or says why it cannot be signed beside what is signed already.
    pub(crate) fn place(
        &self,
        transaction: TransactionDigest,
        parsed: &ParsedTransaction,
    ) -> Result<Place, Vec<Reason>> {
        self.place_within(MAX_ATTEMPTS, transaction, parsed)
    }

    fn place_within(
        &self,
        most: u32,
        transaction: TransactionDigest,
        parsed: &ParsedTransaction,
    ) -> Result<Place, Vec<Reason>> {
        let mut reasons = self.foreign_spends(parsed);
        let attempts = &self.ledger.attempts;
        if let Some(settled) = attempts.iter().find(|attempt| self.fate(attempt) == Fate::Settled) {
            let message = format!("attempt {} is final and did what it says", settled.number);
            reasons.push(Reason::new(Tag::LineageSettled, message));
        }
        if let Some(known) = attempts.iter().find(|attempt| attempt.transaction == transaction) {
            // The same bytes again: no new claim, and what they exclude was judged when they were first authorized.
            let attempt = known.number;
            // But what was given up since and claimed by somebody else is theirs.
            reasons.extend(self.taken(parsed));
            if reasons.is_empty() && matches!(self.fate(known), Fate::Failed | Fate::Dead) {
                let message = format!("attempt {attempt} has these bytes and cannot land any more");
                reasons.push(Reason::new(Tag::LineageSettled, message));
            }
            return placed(reasons, Place { attempt, waiting: None });
        }
        if reasons.is_empty() {
            reasons.extend(self.used_up(parsed));
        }
        reasons.extend(self.live_beside(parsed));
        let (refused, waiting) = self.claims(parsed);
        reasons.extend(refused);
        let highest = attempts.iter().map(|attempt| attempt.number).max().unwrap_or(0);
        let attempt = highest.saturating_add(1);
        if attempt > most {
            let message = format!("the withdrawal has {highest} signed attempts; at most {most} are accepted");
            reasons.push(Reason::new(Tag::LineageTooManyAttempts, message));
        }
        placed(reasons, Place { attempt, waiting })
    }

    /// Only our keys spend our nonces and outpoints: a transaction that the lineage does not know and that uses up what it
    /// holds was signed by somebody else.
    fn foreign_spends(&self, parsed: &ParsedTransaction) -> Vec<Reason> {
        let foreign = self.foreign(Some(parsed)).into_iter();
        let reason = |(key, txid)| {
            let message = format!("{key} was used up by `{txid}`, which the journal does not know");
            Reason::new(Tag::ConflictKeyForeignSpend, message)
        };
        foreign.map(reason).collect()
    }

    /// What was used up of what the bytes and the lineage hold, by which transaction that the lineage does not know. The
    /// ledger's facts do not tell whether another withdrawal knows it.
    pub(crate) fn foreign(&self, parsed: Option<&ParsedTransaction>) -> BTreeMap<ConflictKey, String> {
        let attempts = self.ledger.attempts.iter();
        let anchors = attempts.filter_map(|attempt| attempt.anchor.as_ref());
        let keys = parsed.map(ParsedTransaction::conflict_keys).unwrap_or_default();
        let keys: BTreeSet<&ConflictKey> = keys.iter().chain(anchors).collect();
        let foreign = keys.into_iter().filter_map(|key| {
            let spend = self.observed.spent(key).filter(|spend| !self.is_own(spend))?;
            Some((key.clone(), spend.txid.clone()))
        });
        foreign.collect()
    }

    fn is_own(&self, landed: &Landed) -> bool {
        let mut txids = self.ledger.attempts.iter().filter_map(|attempt| attempt.txid.as_ref());
        txids.any(|txid| *txid == landed.txid)
    }

    /// A cancel attempt takes the place of something that may still land, also where the payment's attempts are used up: behind them
    /// there is room for some.
    pub(crate) fn place_cancel(
        &self,
        room: u32,
        transaction: TransactionDigest,
        parsed: &ParsedTransaction,
    ) -> Result<Place, Vec<Reason>> {
        let most = MAX_ATTEMPTS.saturating_add(room);
        let place = self.place_within(most, transaction, parsed)?;
        if self
            .ledger
            .attempts
            .iter()
            .any(|attempt| self.fate(attempt) == Fate::Live)
        {
            return Ok(place);
        }
        let message = "nothing of this withdrawal was authorized that may still land";
        Err(vec![Reason::new(Tag::LineageNothingToCancel, message)])
    }

    /// What became of each attempt, by number.
    pub(crate) fn fates(&self) -> BTreeMap<u32, Fate> {
        let attempts = self.ledger.attempts.iter();
        attempts.map(|attempt| (attempt.number, self.fate(attempt))).collect()
    }

    fn fate(&self, attempt: &AttemptFact) -> Fate {
        let mut spends = self.observed.spends();
        let own = spends.find(|spend| attempt.txid.as_ref() == Some(&spend.txid));
        let landed = own.or_else(|| self.observed.mined(attempt.transaction));
        if let Some(landed) = landed {
            return match landed.outcome {
                ObservedOutcome::Succeeded => Fate::Settled,
                ObservedOutcome::Failed => Fate::Failed,
            };
        }
        let is_dead = match &attempt.anchor {
            Some(anchor) => self.observed.spent(anchor).is_some(),
            None => self.expires && self.observed.is_expired(attempt.transaction),
        };
        if is_dead { Fate::Dead } else { Fate::Live }
    }

    /// New bytes beside an attempt that landed and failed: built on what it used up they would be charged and never land.
    fn used_up(&self, parsed: &ParsedTransaction) -> Vec<Reason> {
        let spent = parsed.conflict_keys().iter().filter_map(|key| {
            let spend = self.observed.spent(key)?;
            let message = format!(
                "{key} was used up by `{}`, so these bytes cannot land any more: build the attempt on another one",
                spend.txid
            );
            Some(Reason::new(Tag::LineageSettled, message))
        });
        spent.collect()
    }

    /// While an attempt may still land, a new one must exclude it: it has the same anchor among its keys.
    fn live_beside(&self, parsed: &ParsedTransaction) -> Option<Reason> {
        let mut live = self
            .ledger
            .attempts
            .iter()
            .filter(|attempt| self.fate(attempt) == Fate::Live);
        let beside = live.find(|attempt| {
            let excluded = |anchor| parsed.conflict_keys().contains(anchor);
            !attempt.anchor.as_ref().is_some_and(excluded)
        })?;
        let number = beside.number;
        let message = match &beside.anchor {
            Some(anchor) => {
                format!("attempt {number} is signed and not provably dead; a new attempt must keep its {anchor}")
            }
            None if self.expires => {
                format!("attempt {number} is signed and excludes nothing; collect observations that it has expired")
            }
            None => format!("attempt {number} is signed, excludes nothing and never expires"),
        };
        Some(Reason::new(Tag::LineageAnchorChanged, message))
    }

    /// The keys of the bytes that another request has.
    fn taken(&self, parsed: &ParsedTransaction) -> Vec<Reason> {
        let owned = parsed.conflict_keys().iter().filter_map(|key| {
            let owner = self.ledger.conflict_owners.get(&key.to_string())?;
            let message = format!("{key} belongs to {}{}", named(*owner), self.hint(key));
            Some(Reason::new(Tag::ConflictKeyTaken, message))
        });
        owned.collect()
    }

    /// What the attempt may not claim, and what it must wait for. A transaction claims the nonces of an account in order,
    /// its own and those of the authorizations that it carries.
    fn claims(&self, parsed: &ParsedTransaction) -> (Vec<Reason>, Option<Reason>) {
        let mut reasons = self.taken(parsed);
        if !reasons.is_empty() {
            return (reasons, None);
        }
        let mut nonces: BTreeMap<&Destination, BTreeSet<u64>> = BTreeMap::new();
        for key in parsed.conflict_keys() {
            match key {
                ConflictKey::AccountNonce { account, nonce } => {
                    nonces.entry(account).or_default().insert(*nonce);
                }
                // Outpoints and nonce accounts have no order: only ownership counts.
                ConflictKey::Outpoint { .. } | ConflictKey::NonceAccount { .. } => {}
            }
        }
        let mut waiting = None;
        for (account, nonces) in nonces {
            match self.in_order(account, &nonces) {
                Ok(gap) => waiting = waiting.or(gap),
                Err(reason) => reasons.push(reason),
            }
        }
        (reasons, waiting)
    }

    /// New nonces follow the journal without gaps: a later nonce would be a signature that waits for somebody to fill the
    /// gap. It is not signed before the gap is closed.
    fn in_order(&self, account: &Destination, nonces: &BTreeSet<u64>) -> Result<Option<Reason>, Reason> {
        let first = self.ledger.next_nonces.get(account).copied();
        let Some(mut next) = first.or_else(|| self.first_nonce(account)) else {
            let message = format!("no wallet record names a first nonce for {account}");
            return Err(Reason::new(Tag::ConflictKeyGap, message));
        };
        for nonce in nonces {
            match nonce.cmp(&next) {
                std::cmp::Ordering::Equal => next = next.saturating_add(1),
                std::cmp::Ordering::Less if self.has_claimed(account, *nonce) => {}
                std::cmp::Ordering::Less => {
                    let message = format!("nonce {nonce} is not ours to use; the next one is {next}");
                    return Err(Reason::new(Tag::ConflictKeyTaken, message));
                }
                std::cmp::Ordering::Greater => {
                    let message = format!("nonce {nonce} leaves a gap; the next one is {next}");
                    return Ok(Some(Reason::new(Tag::ConflictKeyGap, message)));
                }
            }
        }
        Ok(None)
    }

    /// The first nonce of an own account that is ours to use.
    fn first_nonce(&self, account: &Destination) -> Option<u64> {
        let registry = self.bundle.registry();
        let wallet = registry.wallets().wallet(registry.own_wallet(account)?)?;
        wallet.networks.get(account.chain()).map(|site| site.first_nonce)
    }

    fn has_claimed(&self, account: &Destination, nonce: u64) -> bool {
        let account = account.clone();
        let key = ConflictKey::AccountNonce { account, nonce };
        let mut anchors = self
            .ledger
            .attempts
            .iter()
            .filter_map(|attempt| attempt.anchor.as_ref());
        anchors.any(|anchor| *anchor == key) || self.ledger.own_nonces.contains(&key.to_string())
    }

    fn hint(&self, key: &ConflictKey) -> String {
        match key {
            ConflictKey::AccountNonce { account, .. } => {
                let next = self.ledger.next_nonces.get(account);
                next.map(|next| format!("; the next nonce is {next}"))
                    .unwrap_or_default()
            }
            ConflictKey::Outpoint { .. } | ConflictKey::NonceAccount { .. } => String::new(),
        }
    }
}

fn placed(reasons: Vec<Reason>, place: Place) -> Result<Place, Vec<Reason>> {
    if reasons.is_empty() { Ok(place) } else { Err(reasons) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use countersign_types::{
        Amount, Effect, KeyId, ParsedTransactionParts, RequestDigest, SigningBytes, SigningPayload,
    };

    use super::*;
    use crate::testing::{ETH, WALLET_KEY, World};

    /// Bytes of the wallet that claim these nonces of it.
    fn claiming(account: &Destination, nonces: &[u64]) -> ParsedTransaction {
        let key: KeyId = WALLET_KEY.parse::<countersign_types::PublicKey>().unwrap().id();
        let of = |nonce: &u64| ConflictKey::AccountNonce {
            account: account.clone(),
            nonce: *nonce,
        };
        ParsedTransaction::new(ParsedTransactionParts {
            network: account.chain().clone(),
            wallet: "eth-hot".parse().unwrap(),
            transaction: TransactionDigest::of(format!("{nonces:?}").as_bytes()),
            effects: vec![Effect::Fee {
                asset: ETH.parse().unwrap(),
                max: Amount::from(1_u128),
            }],
            conflict_keys: nonces.iter().map(of).collect(),
            signing_payloads: vec![SigningPayload::new(key, SigningBytes::EcdsaPrehash([1; 32]))],
            template: None,
            fee_units: None,
        })
        .unwrap()
    }

    /// Where they stand when the journal's next nonce is this one and the request owns these already.
    fn stand(nonces: &[u64], next: Option<u64>, own: &[u64]) -> (Vec<Tag>, Option<Tag>) {
        let world = World::new();
        let (bundle, account) = (world.bundle(), world.wallet_address());
        let text = |nonce: &u64| format!("account-nonce {account} {nonce}");
        let ledger = LedgerFacts {
            next_nonces: next.map(|next| (account.clone(), next)).into_iter().collect(),
            own_nonces: own.iter().map(text).collect(),
            ..LedgerFacts::default()
        };
        let surroundings = Surroundings {
            ledger: &ledger,
            observed: &Observed::default(),
            expires: false,
            bundle: &bundle,
        };
        let parsed = claiming(&account, nonces);
        match surroundings.place(parsed.transaction(), &parsed) {
            Ok(place) => (Vec::new(), place.waiting.map(|reason| reason.tag)),
            Err(reasons) => (reasons.iter().map(|reason| reason.tag).collect(), None),
        }
    }

    /// What refuses it, and what it waits for.
    type Standing = (Vec<Tag>, Option<Tag>);
    type Row<'a> = (&'a str, &'a [u64], Option<u64>, &'a [u64], Standing);

    /// An EIP-7702 transaction with an authorization of its own account: the chain counts the transaction's nonce first and
    /// the authorization's behind it.
    #[test]
    fn a_transaction_claims_its_own_authorizations_in_order() {
        let (gap, taken) = (Some(Tag::ConflictKeyGap), vec![Tag::ConflictKeyTaken]);
        let cases: Vec<Row<'_>> = vec![
            ("one behind the other", &[5, 6], Some(5), &[], (vec![], None)),
            (
                "from the wallet record's first nonce",
                &[0, 1],
                None,
                &[],
                (vec![], None),
            ),
            ("written the other way round", &[6, 5], Some(5), &[], (vec![], None)),
            ("three", &[5, 6, 7], Some(5), &[], (vec![], None)),
            ("the authorization leaves a gap", &[5, 7], Some(5), &[], (vec![], gap)),
            ("both are ahead", &[6, 7], Some(5), &[], (vec![], gap)),
            ("the first one is used", &[4, 5], Some(5), &[], (taken.clone(), None)),
            ("a replacement of its own", &[5, 6], Some(7), &[5, 6], (vec![], None)),
            (
                "a replacement that claims more",
                &[5, 6, 7],
                Some(7),
                &[5, 6],
                (vec![], None),
            ),
            (
                "a replacement that claims another's",
                &[5, 6],
                Some(7),
                &[5],
                (taken, None),
            ),
        ];
        for (what, nonces, next, own, expected) in cases {
            assert_eq!(stand(nonces, next, own), expected, "{what}");
        }
    }

    /// A message without conflict keys on a network where nothing expires is signed once.
    #[test]
    fn what_excludes_nothing_and_never_expires_is_signed_once() {
        let world = World::new();
        let (bundle, account) = (world.bundle(), world.wallet_address());
        let attempt = AttemptFact {
            number: 1,
            transaction: TransactionDigest::of(b"a message"),
            anchor: None,
            txid: None,
        };
        let ledger = LedgerFacts {
            attempts: vec![attempt],
            payment_owners: BTreeMap::from([("p".parse().unwrap(), RequestDigest::of(b"other"))]),
            ..LedgerFacts::default()
        };
        let surroundings = Surroundings {
            ledger: &ledger,
            observed: &Observed::default(),
            expires: false,
            bundle: &bundle,
        };
        let parsed = claiming(&account, &[]);
        let refused = surroundings
            .place(parsed.transaction(), &parsed)
            .map(|place| place.attempt);
        let reasons = refused.unwrap_err();
        assert_eq!(reasons[0].tag, Tag::LineageAnchorChanged);
        assert!(reasons[0].message.contains("never expires"), "{reasons:?}");
        // The very same message again is the same attempt.
        let again = surroundings.place(TransactionDigest::of(b"a message"), &parsed);
        assert_eq!(again.map(|place| place.attempt), Ok(1));
    }
}

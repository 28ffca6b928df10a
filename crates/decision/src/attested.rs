//! What services attest: from signed statements to prices, screenings and entries of address books (docs/adr/0018).
//!
//! Purely from the statements and from which of them stand: signer, receipt and command line derive the same facts.

use std::collections::{BTreeMap, BTreeSet};

use countersign_approval::{
    Attestation, BookEntry, BookState, Header, Quote, Roster, Screening, ScreeningResult, Verified,
};
use countersign_bundle::Bundle;
use countersign_policy::{DestinationFacts, Evaluation, Prices};
use countersign_types::{
    Amount, AssetId, AttestationKind, Currency, Destination, Duration, Effect, GenesisHash, ParsedTransaction,
    PrincipalId, SubjectId, Tag, TenantId, Timestamp, WithdrawalId,
};

use crate::{
    LedgerFacts, Reason, Seen,
    prices::{Quotations, Quoted, Quotes, agreed},
    review::timeless,
};

/// The most attestations that are considered for one withdrawal: a batch of 30 payments, each screened and in a book. Services
/// have no share of the people's statements.
pub const MAX_ATTESTATIONS: usize = 64;
/// The most reasons that name what is missing: a batch to hundreds of customers lacks one thing, not hundreds.
const MAX_MISSING: usize = 16;

/// What an attestation must fit to count.
pub(crate) struct Witnesses<'a> {
    pub(crate) deployment: GenesisHash,
    pub(crate) withdrawal: WithdrawalId,
    pub(crate) tenant: &'a TenantId,
    pub(crate) roster: &'a Roster,
    pub(crate) ledger: &'a LedgerFacts,
    pub(crate) now: Timestamp,
}

/// What services attest about one withdrawal.
#[derive(Debug, Default)]
pub(crate) struct Attested {
    prices: Prices,
    books: BTreeMap<(SubjectId, Destination), Known>,
    screenings: BTreeMap<Screened, Finding>,
}

/// What address books say of one destination of one customer.
#[derive(Debug, Default)]
struct Known {
    /// Which services have it, and which say that they have not.
    says: BTreeMap<PrincipalId, bool>,
    /// When the youngest entry took effect.
    since: Option<Timestamp>,
}

/// What was screened, and by whom.
type Screened = (AttestationKind, PrincipalId, Destination, AssetId);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    sequence: u64,
    /// Of two findings with one number the worse one holds.
    result: ScreeningResult,
    amount: Amount,
    at: Timestamp,
}

/// An attestation that counts.
enum Word<'a> {
    Quote(&'a PrincipalId, &'a Quote),
    Screening(&'a PrincipalId, &'a Screening),
    Entry(&'a PrincipalId, &'a BookEntry, Timestamp),
}

/// What is asked of screenings: by kind and service, the oldest that one may be and the effects that it must be about.
type Asked = BTreeMap<(AttestationKind, PrincipalId), (Duration, BTreeSet<u32>)>;

/// What screenings leave open.
#[derive(Default)]
pub(crate) struct Open {
    pub(crate) missing: Vec<Reason>,
    pub(crate) failed: Vec<Reason>,
}

impl<'a> Witnesses<'a> {
    /// Goes through the statements; other kinds are passed over.
    pub(crate) fn attest(&self, statements: &'a [Seen]) -> Attested {
        let mut quotes: Quotes<'a> = BTreeMap::new();
        let mut entries: BTreeMap<(&SubjectId, &Destination), BTreeMap<&PrincipalId, Said>> = BTreeMap::new();
        let mut attested = Attested::default();
        for seen in statements {
            match self.hear(seen) {
                Ok(Some(Word::Quote(source, quote))) => {
                    let said = quotes.entry((&quote.asset, quote.currency)).or_default();
                    let word = (quote.sequence, quote.price);
                    let held = said.entry(source).or_insert(word);
                    *held = word.max(*held);
                }
                Ok(Some(Word::Screening(service, screening))) => attested.screen(service, screening),
                Ok(Some(Word::Entry(service, entry, since))) => {
                    let said = entries.entry((&entry.subject, &entry.destination)).or_default();
                    let word = Said::of(entry, since);
                    let held = said.entry(service).or_insert(word);
                    *held = word.max(*held);
                }
                Ok(None) | Err(_) => {}
            }
        }
        // No statement of today's rosters replaces it: the journal says that nothing does.
        for lost in &self.ledger.failed {
            let about = (
                lost.check,
                lost.by.clone(),
                lost.destination.clone(),
                lost.asset.clone(),
            );
            let finding = Finding {
                sequence: 0,
                result: ScreeningResult::Fail,
                amount: Amount::ZERO,
                at: self.now,
            };
            attested.screenings.insert(about, finding);
        }
        attested.prices = self.prices(quotes);
        attested.books = entries.into_iter().map(|(key, said)| known(key, said)).collect();
        attested
    }

    /// Why an attestation says nothing here.
    pub(crate) fn discount(&self, seen: &'a Seen) -> Option<Reason> {
        self.hear(seen).err()
    }

    fn hear(&self, seen: &'a Seen) -> Result<Option<Word<'a>>, Reason> {
        let Ok(verified) = &seen.verified else { return Ok(None) };
        let Some(attestation) = verified.statement().body.attestation() else {
            return Ok(None);
        };
        let signer = verified.signer();
        match attestation {
            Attestation::Price(quote) => self.hear_quote(verified, quote, seen),
            Attestation::Screening(screening) => {
                self.certify_service(signer)?;
                if screening.withdrawal != self.withdrawal {
                    let message = format!("a screening of `{signer}` is not about {}", self.withdrawal);
                    return Err(Reason::new(Tag::ApprovalOtherWithdrawal, message));
                }
                // What was found against a payment does not expire into nothing found.
                let at = match screening.result {
                    ScreeningResult::Pass => self.now,
                    ScreeningResult::Fail => seen.first_seen_at,
                };
                self.standing(verified, seen, at)?;
                // A clock that is ahead makes what speaks against a payment no later than it was seen.
                match screening.result {
                    ScreeningResult::Pass => self.certify_past(signer, screening.screened_at.to_timestamp())?,
                    ScreeningResult::Fail => {}
                }
                Ok(Some(Word::Screening(signer, screening)))
            }
            Attestation::AddressBook(entry) => {
                self.certify_service(signer)?;
                if entry.tenant != *self.tenant {
                    let message = format!("`{signer}` knows a customer of tenant `{}`", entry.tenant);
                    return Err(Reason::new(Tag::AttestationIrrelevant, message));
                }
                let at = match entry.entry {
                    BookState::Registered { .. } => self.now,
                    BookState::Removed => seen.first_seen_at,
                };
                let since = self.standing(verified, seen, at)?;
                Ok(Some(Word::Entry(signer, entry, since)))
            }
        }
    }

    fn hear_quote(&self, verified: &'a Verified, quote: &'a Quote, seen: &Seen) -> Result<Option<Word<'a>>, Reason> {
        let source = verified.signer();
        let Some(sources) = self.roster.price_sources_with(quote.currency, source) else {
            let message = format!("`{source}` is not a price source in {}", quote.currency);
            return Err(Reason::new(Tag::StatementNotPermitted, message));
        };
        self.standing(verified, seen, self.now)?;
        let observed_at = quote.observed_at.to_timestamp();
        self.certify_past(source, observed_at)?;
        if observed_at.after(sources.max_age()) <= self.now {
            let message = format!("`{source}` read the market at {}, too long ago", quote.observed_at);
            return Err(Reason::new(Tag::AttestationStale, message));
        }
        Ok(Some(Word::Quote(source, quote)))
    }

    fn certify_service(&self, signer: &PrincipalId) -> Result<(), Reason> {
        if self.roster.is_service(signer) {
            return Ok(());
        }
        let message = format!("`{signer}` is not a service of the roster");
        Err(Reason::new(Tag::StatementNotPermitted, message))
    }

    /// Since when the journal has what it says; refuses what is not valid then, and what its service has replaced.
    fn standing(&self, verified: &Verified, seen: &Seen, at: Timestamp) -> Result<Timestamp, Reason> {
        let signer = verified.signer();
        let header: &Header = &verified.statement().header;
        header
            .certify(self.deployment, self.ledger.epoch, at)
            .map_err(|error| Reason::new(error.tag(), format!("`{signer}`: {}", timeless(&error))))?;
        let standing = self.ledger.standing.get(&seen.digest).copied();
        standing.ok_or_else(|| {
            let kind = verified.envelope().kind();
            let message = format!("`{signer}` has said something later than a statement of kind `{kind}`");
            Reason::new(Tag::AttestationSuperseded, message)
        })
    }

    fn certify_past(&self, signer: &PrincipalId, at: Timestamp) -> Result<(), Reason> {
        if at <= self.now {
            return Ok(());
        }
        let message = format!("`{signer}` speaks of {at}, which has not come yet");
        Err(Reason::new(Tag::StatementNotYetValid, message))
    }

    fn prices(&self, quotes: Quotes<'_>) -> Prices {
        let price = |((asset, currency), said): (Quoted<'_>, Quotations<'_>)| {
            let sources = self.roster.price_sources(currency)?;
            let threshold = usize::try_from(sources.quorum().threshold()).ok()?;
            let quoted = said.into_values().map(|(_, price)| price).collect();
            let price = agreed(quoted, threshold, sources.max_spread().basis_points())?;
            Some(((asset.clone(), currency), price))
        };
        Prices::new(quotes.into_iter().filter_map(price).collect())
    }
}

/// A service's latest word on one entry; of two with one number, the removal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Said {
    sequence: u64,
    is_removed: bool,
    since: Timestamp,
}

impl Said {
    /// An entry counts from when the journal had it, or from when the customer made it, whichever is later.
    fn of(entry: &BookEntry, journaled: Timestamp) -> Self {
        let (is_removed, since) = match entry.entry {
            BookState::Registered { at } => (false, journaled.max(at.to_timestamp())),
            BookState::Removed => (true, journaled),
        };
        Self {
            sequence: entry.sequence,
            is_removed,
            since,
        }
    }
}

fn known(
    (subject, destination): (&SubjectId, &Destination),
    said: BTreeMap<&PrincipalId, Said>,
) -> ((SubjectId, Destination), Known) {
    let held = said.values().filter(|said| !said.is_removed);
    let known = Known {
        since: held.map(|said| said.since).max(),
        says: said
            .into_iter()
            .map(|(service, said)| (service.clone(), !said.is_removed))
            .collect(),
    };
    ((subject.clone(), destination.clone()), known)
}

impl Attested {
    /// What assets are worth.
    pub(crate) fn prices(&self) -> &Prices {
        &self.prices
    }

    fn screen(&mut self, service: &PrincipalId, screening: &Screening) {
        let about = (
            screening.check,
            service.clone(),
            screening.destination.clone(),
            screening.asset.clone(),
        );
        let finding = Finding {
            sequence: screening.sequence,
            result: screening.result,
            amount: screening.amount,
            at: screening.screened_at.to_timestamp(),
        };
        let held = self.screenings.entry(about).or_insert(finding);
        *held = finding.max(*held);
    }

    /// What is known of where an effect goes.
    pub(crate) fn destination<'a>(
        &'a self,
        (effect, subject): (&Effect, Option<&SubjectId>),
        bundle: &Bundle,
        ledger: &LedgerFacts,
        now: Timestamp,
    ) -> DestinationFacts<'a> {
        let Some(destination) = effect.destination() else {
            return DestinationFacts::default();
        };
        let record = ledger.destinations.as_ref();
        let known = subject.and_then(|subject| self.books.get(&(subject.clone(), destination.clone())));
        let in_book = known.and_then(|known| known.since);
        // What a service says whose book the policy does not name, or names no more, is an entry for nobody.
        let mut books = bundle.policy().wants().books.iter();
        let is_entered = known.is_some_and(|known| books.any(|book| known.says.get(book) == Some(&true)));
        let listed = record.and_then(|record| record.listed.get(destination).copied());
        let since = match bundle.destinations().is_listed(destination) {
            // Taken from a list, what a book has as well becomes no older.
            false => in_book
                .filter(|_| is_entered)
                .map(|in_book| listed.map_or(in_book, |listed| listed.max(in_book))),
            // An entry whose age nobody knows may be the youngest.
            true => listed.map(|listed| in_book.map_or(listed, |in_book| in_book.max(listed))),
        };
        DestinationFacts {
            is_first_seen: record.map(|record| !record.paid.contains(destination)),
            entry_age: since.map(|since| since.until(now)),
            address_books: known.map(|known| &known.says),
        }
    }

    /// The prices that a policy may compare by and that too few sources agree on.
    pub(crate) fn missing_prices(
        &self,
        currencies: &BTreeSet<Currency>,
        parsed: &ParsedTransaction,
        roster: &Roster,
    ) -> Vec<Reason> {
        let assets: BTreeSet<&AssetId> = parsed.effects().iter().filter_map(Effect::asset).collect();
        let mut missing = Vec::new();
        for currency in currencies {
            // Without sources nothing can come in: that is the policy's to answer for.
            let Some(sources) = roster.price_sources(*currency) else {
                continue;
            };
            for asset in assets
                .iter()
                .filter(|asset| self.prices.price(asset, *currency).is_none())
            {
                let message = format!(
                    "{asset} in {currency}: collect quotes of {} price sources, at most {} old and {} apart",
                    sources.quorum().threshold(),
                    sources.max_age(),
                    sources.max_spread()
                );
                missing.push(Reason::new(Tag::PriceMissing, message));
            }
        }
        missing.truncate(MAX_MISSING);
        missing
    }

    /// Holds the screenings against what the matched rules ask. One that failed counts whenever a rule may ask its service.
    pub(crate) fn open(
        &self,
        (trace, attesters): (&[Evaluation], &BTreeSet<PrincipalId>),
        parsed: &ParsedTransaction,
        now: Timestamp,
    ) -> Open {
        let paid = paid(parsed);
        let mut open = Open {
            failed: self.failed(attesters, &paid),
            missing: Vec::new(),
        };
        for ((kind, by), (max_age, effects)) in asked(trace) {
            for effect in effects {
                let effect = usize::try_from(effect).ok().and_then(|at| parsed.effects().get(at));
                match counterparty(effect) {
                    Counterparty::Nobody => {}
                    Counterparty::Unknown => {
                        let message =
                            format!("no attestation of kind `{kind}` can be about an effect without a payment");
                        open.missing.push(Reason::new(Tag::AttestationMissing, message));
                    }
                    Counterparty::Paid(destination, asset) => {
                        let about = (kind, by.clone(), destination.clone(), asset.clone());
                        let amount = paid.get(&(destination, asset)).copied().flatten();
                        self.hold(&about, amount, (max_age, now), &mut open);
                    }
                }
            }
        }
        for reasons in [&mut open.missing, &mut open.failed] {
            reasons.dedup();
            reasons.truncate(MAX_MISSING);
        }
        open
    }

    /// What these services found against a payment of the bytes, whether or not a rule asks them now: the orchestrator chooses the
    /// moment, and with it what is asked (docs/adr/0035).
    fn failed(&self, attesters: &BTreeSet<PrincipalId>, paid: &Paid<'_>) -> Vec<Reason> {
        let is_against = |((_, by, destination, asset), finding): &(&Screened, &Finding)| {
            finding.result == ScreeningResult::Fail
                && attesters.contains(by)
                && paid.contains_key(&(destination, asset))
        };
        let against = self.screenings.iter().filter(is_against);
        against.map(|(about, _)| failure(about)).collect()
    }

    fn hold(&self, about: &Screened, amount: Option<Amount>, (max_age, now): (Duration, Timestamp), open: &mut Open) {
        let (kind, by, destination, asset) = about;
        let missing = |why: String| {
            let message = format!("an attestation of kind `{kind}` by `{by}`, at most {max_age} old, {why}");
            Reason::new(Tag::AttestationMissing, message)
        };
        match self.screenings.get(about) {
            None => open
                .missing
                .push(missing(format!("of {asset} to {destination} is missing"))),
            // Most are among what failed already; none passes because it is not.
            Some(finding) if finding.result == ScreeningResult::Fail => {
                let failed = failure(about);
                if !open.failed.contains(&failed) {
                    open.failed.push(failed);
                }
            }
            Some(finding) if Some(finding.amount) != amount => {
                let why = format!(
                    "is about {} of {asset} to {destination}, another amount",
                    finding.amount
                );
                open.missing.push(missing(why));
            }
            Some(finding) if finding.at.after(max_age) <= now => {
                open.missing
                    .push(missing(format!("of {asset} to {destination} is missing or stale")));
            }
            Some(_) => {}
        }
    }
}

/// Whom an effect pays.
enum Counterparty<'a> {
    /// An own wallet, or the network.
    Nobody,
    /// Somebody, and a screening can say what.
    Paid(&'a Destination, &'a AssetId),
    /// Nobody can say.
    Unknown,
}

fn counterparty(effect: Option<&Effect>) -> Counterparty<'_> {
    match effect {
        Some(Effect::Fee { .. } | Effect::Internal { .. }) => Counterparty::Nobody,
        None => Counterparty::Unknown,
        Some(effect) => match (effect.destination(), effect.asset(), effect.amount()) {
            (Some(destination), Some(asset), Some(_)) => Counterparty::Paid(destination, asset),
            (_, _, _) => Counterparty::Unknown,
        },
    }
}

fn failure((kind, by, destination, asset): &Screened) -> Reason {
    let message = format!("`{by}` says of {asset} to {destination}: `{kind}` failed");
    Reason::new(Tag::AttestationFailed, message)
}

/// By destination and asset; a sum over 256 bits is unknown.
type Paid<'a> = BTreeMap<(&'a Destination, &'a AssetId), Option<Amount>>;

/// All that is paid.
fn paid(parsed: &ParsedTransaction) -> Paid<'_> {
    let mut paid = BTreeMap::new();
    for effect in parsed.effects() {
        if let (Counterparty::Paid(destination, asset), Some(amount)) = (counterparty(Some(effect)), effect.amount()) {
            let sum = paid.entry((destination, asset)).or_insert(Some(Amount::ZERO));
            *sum = sum.and_then(|sum: Amount| sum.checked_add(amount));
        }
    }
    paid
}

/// What the matched requires and the exceeded soft limits ask, with the shortest age of each.
fn asked(trace: &[Evaluation]) -> Asked {
    let mut asked = Asked::new();
    for evaluation in trace {
        for require in &evaluation.requires {
            let matched = evaluation.effects.iter();
            let matched = matched.filter(|effect| effect.requires.contains(&require.rule));
            let effects: BTreeSet<u32> = matched.map(|effect| effect.index).collect();
            ask(&mut asked, require.obligations.attestations(), &effects);
        }
        // A limit adds up, so everything that is paid is part of what exceeded it.
        let every: BTreeSet<u32> = evaluation.effects.iter().map(|effect| effect.index).collect();
        for over in evaluation.limits.iter().filter_map(|limit| limit.over_soft.as_ref()) {
            ask(&mut asked, over.attestations(), &every);
        }
    }
    asked
}

fn ask<'o>(
    asked: &mut Asked,
    attestations: impl Iterator<Item = (AttestationKind, &'o PrincipalId, Duration)>,
    effects: &BTreeSet<u32>,
) {
    for (kind, by, max_age) in attestations {
        let (age, about) = asked.entry((kind, by.clone())).or_insert((max_age, BTreeSet::new()));
        *age = max_age.min(*age);
        about.extend(effects);
    }
}

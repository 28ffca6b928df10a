//! The cells: for each attribute, values of which every other value is met by the same rules as one of them.
//!
//! The constants come from the conditions in question. Attributes that a bundle lists (initiators, wallets, assets) are taken
//! as they are; the walk merges those that no rule tells apart.

use std::collections::{BTreeMap, BTreeSet};

use countersign_types::{
    Amount, AssetId, AttributeName, AttributeValue, ChainId, Destination, Duration, PrincipalId, Selector, SubjectId,
    Timestamp,
};

use super::Setting;
use crate::{
    Bounds, Ceiling, Condition, Conditions, Currency, DestinationList, Hours, Meter, Policy, Selectors, Subjects,
    Words, Zone,
    condition::{To, Word, WordTest},
};

/// The most equal payments of one batch that the walk tries.
pub const MAX_COPIES: usize = 16;
/// The most combinations of argument words, of attributes, or of books: what rules name beyond is not exhausted.
const MAX_COMBINATIONS: usize = 256;
/// 2026-01-01T00:00:00Z, from where the cells of time are cut: one year of quarter hours has every offset that zones have
/// between two changes of law, and most ways in which those of several zones meet.
const YEAR_START_SECS: i64 = 1_767_225_600;
/// 2101-01-01T00:00:00Z, until where the other ways are looked for: some zones follow the moon in when they set their clocks.
const HORIZON_SECS: i64 = 4_133_980_800;
/// A moment like any other, where no rule looks at the clock; cells of hours leave it out.
pub(super) const ANY_MOMENT: Timestamp = Timestamp::from_unix_millis(YEAR_START_SECS.saturating_mul(1_000));
/// Zones are whole quarters of an hour apart at the finest (Kathmandu, Eucla, Chatham).
const STEP_SECS: i64 = 900;
/// Steps of a year.
const STEPS: i64 = 35_040;
/// A week, and a quarter of an hour on either side: what hours can tell apart of one way in which zones meet.
const WEEK_SECS: i64 = 7 * 86_400 + 2 * STEP_SECS;

/// What a request says of itself.
pub(super) type Attributes = BTreeMap<AttributeName, AttributeValue>;

/// Cut from every condition of the policies in question.
#[derive(Debug, Default)]
pub(super) struct Cells {
    /// Named ones first, then one that no rule names, then nobody.
    pub(super) subjects: Vec<Option<SubjectId>>,
    /// How many customers that no rule names there are for a batch, in order.
    pub(super) strangers: Vec<SubjectId>,
    pub(super) books: Vec<Option<BTreeMap<PrincipalId, bool>>>,
    pub(super) ages: Vec<Option<Duration>>,
    pub(super) calls: Vec<(Selector, Vec<u8>)>,
    pub(super) moments: Vec<Timestamp>,
    pub(super) attributes: Vec<Attributes>,
    /// By network: destinations of the same lists stand together.
    pub(super) destinations: BTreeMap<ChainId, Vec<Vec<Destination>>>,
    /// Whether some cells were left out because there are too many.
    pub(super) is_cut: bool,
}

/// Every condition of a policy's rules.
pub(super) fn conditions(policy: &Policy) -> impl Iterator<Item = &Conditions> {
    let permits = policy.permits().map(|rule| rule.conditions());
    let requires = policy.requires().map(|rule| rule.conditions());
    let limits = policy.limits().map(|rule| rule.conditions());
    let forbids = policy.forbids().map(|rule| rule.conditions());
    permits.chain(requires).chain(limits).chain(forbids)
}

/// The bounds of a meter, by asset and by currency.
pub(super) fn meter_bounds(meter: &Meter) -> Vec<Bounds> {
    let soft = meter.soft.as_ref().map(|(ceiling, _)| ceiling);
    let ceilings = std::iter::once(&meter.hard).chain(soft);
    let bounds = ceilings.filter_map(|ceiling| match ceiling {
        Ceiling::Amounts(bounds) => Some(bounds.clone()),
        Ceiling::Money(currency, bound) => Some(Bounds::default().with_money(*currency, *bound)),
        Ceiling::Count(_) | Ceiling::NewDestinations(_) => None,
    });
    bounds.collect()
}

/// Constants by attribute, while they are being collected.
#[derive(Default)]
struct Constants<'a> {
    subjects: BTreeSet<SubjectId>,
    books: BTreeSet<PrincipalId>,
    ages: BTreeSet<Duration>,
    selectors: BTreeSet<Selector>,
    /// By place.
    words: BTreeMap<u8, Vec<&'a WordTest>>,
    hours: Vec<&'a Hours>,
    attributes: BTreeMap<AttributeName, BTreeSet<AttributeValue>>,
}

impl<'a> Constants<'a> {
    fn collect(&mut self, condition: &'a Condition) {
        match condition {
            Condition::Subjects(Subjects(ids)) => self.subjects.extend(ids.iter().cloned()),
            Condition::Selectors(Selectors(ids)) => self.selectors.extend(ids.iter().copied()),
            Condition::Words(Words(words)) => {
                for Word { at, test } in words {
                    self.words.entry(*at).or_default().push(test);
                }
            }
            Condition::Hours(hours) => self.hours.push(hours),
            Condition::Attributes(attributes) => {
                for (name, values) in &attributes.0 {
                    self.attributes
                        .entry(name.clone())
                        .or_default()
                        .extend(values.iter().cloned());
                }
            }
            Condition::To(To::AddressBook(service)) => drop(self.books.insert(service.clone())),
            Condition::To(To::EntryUnder(age) | To::EntryOver(age)) => drop(self.ages.insert(*age)),
            Condition::To(To::List(_) | To::Own(_) | To::Unlisted | To::FirstSeen)
            | Condition::Effects(_)
            | Condition::Initiators(_)
            | Condition::InitiatorGroups(_)
            | Condition::Wallets(_)
            | Condition::Tiers(_)
            | Condition::Networks(_)
            | Condition::Assets(_)
            | Condition::AmountMax(_)
            | Condition::AmountOver(_)
            | Condition::FeeMax(_)
            | Condition::FeeShare(_)
            | Condition::FeeRate(_)
            | Condition::TotalMax(_)
            | Condition::TotalOver(_) => {}
        }
    }

    /// Every combination of the named values, of another value and of none, for each attribute.
    fn attributes(&self) -> (Vec<Attributes>, bool) {
        let (mut all, mut is_cut) = (vec![Attributes::new()], false);
        for (name, values) in &self.attributes {
            let other = (1_u32..).filter_map(|n| format!("other-{n}").parse().ok());
            let other = other.into_iter().find(|value: &AttributeValue| !values.contains(value));
            let values: Vec<Option<AttributeValue>> =
                values.iter().cloned().chain(other).map(Some).chain([None]).collect();
            let longer = all.iter().flat_map(|held| {
                values.iter().map(move |value| {
                    let stated = value.clone().map(|value| (name.clone(), value));
                    held.clone().into_iter().chain(stated).collect()
                })
            });
            let longer: Vec<Attributes> = longer.take(MAX_COMBINATIONS.saturating_add(1)).collect();
            is_cut |= longer.len() > MAX_COMBINATIONS;
            all = longer;
        }
        (all, is_cut)
    }

    fn subjects(&self) -> (Vec<Option<SubjectId>>, Vec<SubjectId>) {
        let fresh = (1_u32..).filter_map(|n| format!("customer-{n}").parse::<SubjectId>().ok());
        let fresh: Vec<SubjectId> = fresh
            .filter(|id| !self.subjects.contains(id))
            .take(MAX_COPIES)
            .collect();
        let named = self.subjects.iter().cloned();
        let all = named.chain(fresh.first().cloned()).map(Some);
        (all.chain([None]).collect(), fresh)
    }

    /// In every set of the books, and not at hand.
    fn books(&self) -> (Vec<Option<BTreeMap<PrincipalId, bool>>>, bool) {
        let (mut all, mut is_cut) = (vec![BTreeMap::new()], false);
        for book in &self.books {
            let longer = all.iter().flat_map(|said: &BTreeMap<PrincipalId, bool>| {
                [false, true].map(|has| said.clone().into_iter().chain([(book.clone(), has)]).collect())
            });
            let longer: Vec<_> = longer.take(MAX_COMBINATIONS.saturating_add(1)).collect();
            is_cut |= longer.len() > MAX_COMBINATIONS;
            all = longer;
        }
        (all.into_iter().map(Some).chain([None]).collect(), is_cut)
    }

    fn ages(&self) -> Vec<Option<Duration>> {
        let before = |age: &Duration| age.secs().checked_sub(1).map(Duration::from_secs);
        let both = self.ages.iter().flat_map(|age| [before(age), Some(*age)]);
        let ages: BTreeSet<Duration> = both.flatten().collect();
        let ages: Vec<Option<Duration>> = ages.into_iter().map(Some).collect();
        let old = ages.is_empty().then_some(Some(Duration::from_secs(86_400)));
        ages.into_iter().chain(old).chain([None]).collect()
    }

    /// Every function that is named and one that is not, with every combination of the named words.
    fn calls(&self) -> (Vec<(Selector, Vec<u8>)>, bool) {
        let mut other = (0..=u32::MAX).map(|n| Selector(n.to_be_bytes()));
        let other = other.find(|selector| !self.selectors.contains(selector));
        let selectors: Vec<Selector> = self.selectors.iter().copied().chain(other).collect();
        let (args, is_cut) = self.arguments();
        let calls = selectors
            .iter()
            .flat_map(|selector| args.iter().map(move |args| (*selector, args.clone())));
        (calls.collect(), is_cut)
    }

    /// Arguments of as many words as rules look at, and those that end before one of them, which is unknown then; and whether
    /// there were more than [`MAX_COMBINATIONS`].
    fn arguments(&self) -> (Vec<Vec<u8>>, bool) {
        let mut is_cut = false;
        let places = self.words.keys().next_back().map_or(0, |last| last.saturating_add(1));
        let (mut whole, mut short) = (vec![Vec::new()], Vec::new());
        for place in 0..places {
            let tests = self.words.get(&place).map(Vec::as_slice).unwrap_or_default();
            if !tests.is_empty() {
                short.extend(whole.iter().cloned());
            }
            let values = numbers(tests);
            let longer = whole.iter().flat_map(|args: &Vec<u8>| {
                values
                    .iter()
                    .map(move |value| [args.as_slice(), &value.to_be_bytes()].concat())
            });
            let longer: Vec<Vec<u8>> = longer.take(MAX_COMBINATIONS.saturating_add(1)).collect();
            is_cut |= longer.len() > MAX_COMBINATIONS;
            whole = longer;
        }
        (whole.into_iter().chain(short).collect(), is_cut)
    }

    /// One moment of each way in which the hours stand to each other over a year, and in the weeks to come in which their zones meet otherwise.
    fn moments(&self) -> Vec<Timestamp> {
        let at = |secs: i64| Timestamp::from_unix_millis(secs.saturating_mul(1_000));
        if self.hours.is_empty() {
            return vec![ANY_MOMENT];
        }
        let spans = self.hours.iter().map(|hours| hours.span_secs());
        let within = spans.flat_map(|(from, to)| [i64::from(from), i64::from(to)]);
        let within: BTreeSet<i64> = within.map(|secs| secs.rem_euclid(STEP_SECS)).chain([0]).collect();
        let year = (1..=STEPS).map(|step| step.saturating_mul(STEP_SECS).saturating_add(YEAR_START_SECS));
        let later = self.later_weeks().into_iter();
        let later = later.flat_map(|(from, until)| (from..until).step_by(usize::try_from(STEP_SECS).unwrap_or(1)));
        let mut found: BTreeMap<Vec<bool>, Timestamp> = BTreeMap::new();
        for start in year.chain(later) {
            for offset in &within {
                let moment = at(start.saturating_add(*offset));
                let column = self.hours.iter().map(|hours| hours.hold_at(moment) == Some(true));
                found.entry(column.collect()).or_insert(moment);
            }
        }
        found.into_values().collect()
    }

    /// Seconds from and until which the zones meet in a way that no whole week before has shown: summer time in one, and not yet in another.
    fn later_weeks(&self) -> Vec<(i64, i64)> {
        let zones: BTreeMap<&str, &Zone> = self
            .hours
            .iter()
            .map(|hours| (hours.zone().name(), hours.zone()))
            .collect();
        if zones.len() < 2 {
            return Vec::new();
        }
        let at = |secs: i64| Timestamp::from_unix_millis(secs.saturating_mul(1_000));
        let (start, end) = (at(YEAR_START_SECS), at(HORIZON_SECS));
        let changes = zones.values().flat_map(|zone| zone.changes(start, end));
        let cuts: BTreeSet<i64> = changes.map(|change| change.unix_millis().div_euclid(1_000)).collect();
        let cuts: Vec<i64> = [YEAR_START_SECS]
            .into_iter()
            .chain(cuts)
            .chain([HORIZON_SECS])
            .collect();
        let (mut shown, mut weeks) = (BTreeSet::new(), Vec::new());
        for (from, until) in cuts.iter().zip(cuts.iter().skip(1)) {
            let offsets: Vec<_> = zones.values().map(|zone| zone.offset_secs(at(*from))).collect();
            let week = from.saturating_add(WEEK_SECS);
            if !shown.contains(&offsets) {
                // Quarters of an hour begin together everywhere.
                let from = from.saturating_sub(from.rem_euclid(STEP_SECS));
                weeks.push((from, week.min(*until)));
            }
            if week <= *until {
                shown.insert(offsets);
            }
        }
        weeks
    }
}

/// The least number of each way in which tests of a word come out. A test changes its answer only at a number that it names,
/// or right behind one.
fn numbers(tests: &[&WordTest]) -> Vec<Amount> {
    let behind = |named: &Amount| named.checked_add(Amount::from_base_units(1));
    let mut starts = BTreeSet::from([Amount::ZERO]);
    for test in tests {
        match test {
            WordTest::OneOf(values) => {
                starts.extend(values.iter().flat_map(|value| [Some(*value), behind(value)]).flatten())
            }
            WordTest::Max(bound) | WordTest::Over(bound) => starts.extend(behind(bound)),
        }
    }
    let mut found: BTreeMap<Vec<bool>, Amount> = BTreeMap::new();
    for start in starts {
        let column = tests.iter().map(|test| test.holds(&start));
        found.entry(column.collect()).or_insert(start);
    }
    found.into_values().collect()
}

impl Cells {
    /// Cuts the cells from the rules of the settings and from further conditions.
    pub(super) fn of<'a>(settings: &'a [&'a Setting<'a>], more: &'a [&'a Conditions]) -> Self {
        let mut constants = Constants::default();
        let rules = settings.iter().flat_map(|setting| conditions(setting.policy));
        for condition in rules
            .chain(more.iter().copied())
            .flat_map(|conditions| conditions.iter())
        {
            constants.collect(condition);
        }
        let (subjects, strangers) = constants.subjects();
        let (calls, too_many_calls) = constants.calls();
        let (attributes, too_many_attributes) = constants.attributes();
        let (books, too_many_books) = constants.books();
        Self {
            subjects,
            strangers,
            books,
            ages: constants.ages(),
            calls,
            attributes,
            is_cut: too_many_calls || too_many_attributes || too_many_books,
            moments: constants.moments(),
            destinations: destinations(settings),
        }
    }
}

/// Destinations by network and by the lists that have them, at most [`MAX_COPIES`] of each; strangers too.
fn destinations(settings: &[&Setting<'_>]) -> BTreeMap<ChainId, Vec<Vec<Destination>>> {
    let mut by_chain: BTreeMap<ChainId, Vec<Vec<Destination>>> = BTreeMap::new();
    let chains: BTreeSet<&ChainId> = settings
        .iter()
        .flat_map(|setting| setting.wallets.keys().map(|(_, chain)| chain))
        .collect();
    let is_listed = |at: &Destination| settings.iter().any(|setting| setting.lists.is_listed(at));
    for chain in chains {
        let strangers = (1_u32..).filter_map(|n| Destination::new(chain, &format!("stranger-{n}")).ok());
        let strangers = strangers.filter(|destination| !is_listed(destination));
        let class = strangers.take(MAX_COPIES).collect();
        by_chain.entry(chain.clone()).or_default().push(class);
    }
    for (chain, classes) in listed(settings) {
        by_chain.entry(chain).or_default().extend(classes.into_values());
    }
    by_chain
}

/// By network, by which lists have them, in the order of the settings' lists, and by whether they are own addresses, to which
/// nothing is a transfer: at most [`MAX_COPIES`] destinations each. A list of a million is read once; of a class that is full
/// nothing more is kept.
fn listed(settings: &[&Setting<'_>]) -> BTreeMap<ChainId, BTreeMap<Vec<bool>, Vec<Destination>>> {
    let lists: Vec<&DestinationList> = settings
        .iter()
        .flat_map(|setting| setting.lists.iter().map(|(_, list)| list))
        .collect();
    let sites = settings.iter().flat_map(|setting| setting.wallets.values());
    let own: BTreeSet<&Destination> = sites.map(|site| &site.receives).collect();
    let mut by_chain: BTreeMap<ChainId, BTreeMap<Vec<bool>, Vec<Destination>>> = BTreeMap::new();
    for (n, list) in lists.iter().enumerate() {
        // What an earlier list has was placed with it.
        let (earlier, later) = lists.split_at(n);
        for destination in list.iter() {
            if earlier.iter().any(|list| list.contains(&destination)) {
                continue;
            }
            let column = earlier.iter().map(|_| false);
            let column = column
                .chain(later.iter().map(|list| list.contains(&destination)))
                .chain([own.contains(&destination)])
                .collect();
            let class = by_chain.entry(destination.chain().clone()).or_default();
            let members = class.entry(column).or_default();
            if members.len() < MAX_COPIES {
                members.push(destination);
            }
        }
    }
    by_chain
}

/// The amounts of an asset between which no bound lies: each bound and one more than the last. Where nothing bounds it, one
/// whole unit.
pub(super) fn amounts<'b>(bounds: impl Iterator<Item = &'b Bounds>, asset: &AssetId, whole: Amount) -> Vec<Amount> {
    let cut: BTreeSet<Amount> = bounds.filter_map(|bounds| bounds.bound(asset)).collect();
    cells(cut, whole)
}

/// The same for money.
pub(super) fn worths<'b>(bounds: impl Iterator<Item = &'b Bounds>, currency: Currency) -> Vec<Amount> {
    let of = |bounds: &'b Bounds| {
        bounds
            .money()
            .filter(move |(other, _)| *other == currency)
            .map(|(_, bound)| bound)
    };
    let cut: BTreeSet<Amount> = bounds.flat_map(of).collect();
    cells(cut, Amount::from_base_units(1))
}

fn cells(cut: BTreeSet<Amount>, otherwise: Amount) -> Vec<Amount> {
    let one = Amount::from_base_units(1);
    let over = cut.last().and_then(|last| last.checked_add(one));
    let all: Vec<Amount> = cut.into_iter().chain(over).collect();
    if all.is_empty() { vec![otherwise] } else { all }
}

/// How many equal parts it takes to be over a bound: `None` unless it is more than one and at most [`MAX_COPIES`].
pub(super) fn parts_over(bound: Amount, part: Amount) -> Option<usize> {
    let over = bound.checked_add(Amount::from_base_units(1))?;
    let parts = over.checked_div_ceil(part)?;
    (2..=MAX_COPIES).find(|n| u64::try_from(*n).is_ok_and(|n| Amount::from_base_units(n) == parts))
}

#[cfg(test)]
mod tests;

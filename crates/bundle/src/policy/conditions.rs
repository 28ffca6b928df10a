//! Conditions as written → conditions that mean something: every name is looked up where it must be.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
    str::FromStr,
};

use countersign_approval::Roster;
use countersign_chains::Registry;
use countersign_policy::{
    Assets, Bounds, Condition, Currency, DestinationLists, Effects, InitiatorGroups, Initiators, Networks, OneOf,
    Selectors, Subjects, Tiers, To, Wallets,
};
use countersign_types::{
    AssetId, AssetSymbol, ChainId, Duration, EffectKind, GroupId, ListId, PrincipalId, Selector, SubjectId, Tag,
    WalletId,
};
use data_encoding::HEXLOWER;

use super::raw::{RawBounds, RawTo, Selection};
use crate::{
    LoadError, amount,
    assets::{PricedAssets, unknown_network},
    problem::Problem,
    wallets::tier,
    yaml::Doc,
};

const NO_AGE: &str = "no entry is younger than 0s, and all are that old: write an age, such as `24h`";

/// Everything that a policy may name.
pub(crate) struct Names<'a> {
    pub(crate) registry: &'a Registry,
    pub(crate) roster: &'a Roster,
    pub(crate) lists: &'a DestinationLists,
    pub(crate) priced: &'a PricedAssets,
}

/// Reads one rule's conditions and collects what is wrong with them.
pub(super) struct Reader<'r, T> {
    pub(super) doc: &'r Doc<'r, T>,
    pub(super) names: &'r Names<'r>,
    pub(super) errors: Vec<LoadError>,
}

impl<T> Reader<'_, T> {
    /// The conditions that every kind of rule may carry.
    pub(super) fn selection(&mut self, path: &str, raw: &Selection<'_>) -> Vec<Condition> {
        let names = self.names;
        let at = |field: &str| format!("{path}.{field}");
        let lists = [
            self.one_of(&at("effects"), raw.effects, effect_kind)
                .map(|s| Condition::Effects(Effects(s))),
            self.one_of(&at("initiators"), raw.initiators, |text| names.initiator(text))
                .map(|s| Condition::Initiators(Initiators(s))),
            self.one_of(&at("initiator-groups"), raw.initiator_groups, |text| names.group(text))
                .map(|s| Condition::InitiatorGroups(InitiatorGroups(s))),
            self.one_of(&at("wallets"), raw.wallets, |text| names.wallet(text))
                .map(|s| Condition::Wallets(Wallets(s))),
            self.one_of(&at("tiers"), raw.tiers, tier)
                .map(|s| Condition::Tiers(Tiers(s))),
            self.one_of(&at("networks"), raw.networks, |text| names.network(text))
                .map(|s| Condition::Networks(Networks(s))),
            self.assets(&at("assets"), raw.assets),
            raw.to.and_then(|to| self.to(&at("to"), to)),
            self.one_of(&at("subjects"), raw.subjects, parse::<SubjectId>)
                .map(|s| Condition::Subjects(Subjects(s))),
            self.one_of(&at("selectors"), raw.selectors, selector)
                .map(|s| Condition::Selectors(Selectors(s))),
            raw.words.and_then(|words| self.words(&at("words"), words)),
            raw.hours.and_then(|hours| self.hours(&at("hours"), hours)),
            raw.attributes
                .and_then(|attributes| self.attributes(&at("attributes"), attributes)),
        ];
        lists.into_iter().flatten().collect()
    }

    /// A list of names; an empty one stays, and the rule refuses it.
    pub(super) fn one_of<V: Ord + Clone>(
        &mut self,
        path: &str,
        raw: Option<&Vec<String>>,
        parse: impl Fn(&str) -> Result<V, Problem>,
    ) -> Option<OneOf<V>> {
        let mut values = Vec::new();
        for (n, text) in raw?.iter().enumerate() {
            match parse(text) {
                Ok(value) if values.contains(&value) => {
                    let problem = Problem::Duplicate {
                        what: "name",
                        id: text.clone(),
                    };
                    self.errors.push(self.doc.value(&format!("{path}[{n}]"), problem));
                }
                Ok(value) => values.push(value),
                Err(problem) => self.errors.push(self.doc.value(&format!("{path}[{n}]"), problem)),
            }
        }
        Some(values.into_iter().collect())
    }

    /// A symbol means every asset that has it.
    fn assets(&mut self, path: &str, raw: Option<&Vec<String>>) -> Option<Condition> {
        let names = self.names;
        let symbols = self.one_of(path, raw, |text| names.symbol(text))?;
        let ids = symbols.iter().flat_map(|symbol| names.assets(symbol)).collect();
        Some(Condition::Assets(Assets(ids)))
    }

    fn to(&mut self, path: &str, raw: &RawTo) -> Option<Condition> {
        let names = self.names;
        let age = |text: &String| match text.parse::<Duration>()? {
            Duration::ZERO => Err(Problem::Said(Tag::BundleBadRule, NO_AGE)),
            age => Ok(age),
        };
        let at = |field: &str| format!("{path}.{field}");
        let forms = [
            raw.list.as_ref().map(|text| ("list", names.list(text).map(To::List))),
            raw.address_book
                .as_ref()
                .map(|text| ("address-book", names.service(text).map(To::AddressBook))),
            raw.entry_under
                .as_ref()
                .map(|text| ("entry-under", age(text).map(To::EntryUnder))),
            raw.entry_over
                .as_ref()
                .map(|text| ("entry-over", age(text).map(To::EntryOver))),
            raw.unknown
                .map(|is_so| ("unknown", is_so.then_some(To::Unlisted).ok_or(Problem::BadTo))),
            raw.first_seen
                .map(|is_so| ("first-seen", is_so.then_some(To::FirstSeen).ok_or(Problem::BadTo))),
        ];
        let own = raw.own.as_ref();
        let mut forms: Vec<(&str, Result<To, Problem>)> = forms.into_iter().flatten().collect();
        let to = match (forms.pop(), own) {
            (Some((field, form)), None) if forms.is_empty() => match form {
                Err(Problem::BadTo) => Err((path.to_owned(), Problem::BadTo)),
                form => form.map_err(|problem| (at(field), problem)),
            },
            (None, Some(own)) => Ok(To::Own(self.one_of(&at("own"), Some(own), |text| names.wallet(text))?)),
            (_, _) => Err((path.to_owned(), Problem::BadTo)),
        };
        match to {
            Ok(to) => Some(Condition::To(to)),
            Err((_, Problem::BadTo)) => {
                self.errors.push(self.doc.key(path, Problem::BadTo));
                None
            }
            Err((at, problem)) => {
                self.errors.push(self.doc.value(&at, problem));
                None
            }
        }
    }

    /// One bound, `"10 ETH"`, or bounds by symbol: `{ ETH: "10 ETH", DEMO: "10000 DEMO" }`.
    pub(super) fn bounds(&mut self, path: &str, raw: &RawBounds) -> Bounds {
        match raw {
            RawBounds::One(text) => self.bound(path, text),
            RawBounds::Each(raw) => self.bounds_by_symbol(path, raw),
        }
    }

    fn bounds_by_symbol(&mut self, path: &str, raw: &BTreeMap<String, String>) -> Bounds {
        let (mut bounds, mut money) = (Vec::new(), Vec::new());
        for (key, text) in raw {
            let at = format!("{path}.{key}");
            let is_money = key.parse::<Currency>().is_ok();
            if let Some(problem) = self.names.symbol(key).err().filter(|_| !is_money) {
                self.errors.push(self.doc.key(&at, problem));
                continue;
            }
            match self.amount(&at, text) {
                Ok((symbol, _)) if symbol.as_str() != key => {
                    let problem = Problem::OtherSymbol {
                        found: symbol.to_string(),
                        key: key.clone(),
                    };
                    self.errors.push(self.doc.value(&at, problem));
                }
                Ok((_, bound)) => {
                    bounds.extend(bound.iter().map(|(asset, amount)| (asset.clone(), amount)));
                    money.extend(bound.money());
                }
                Err(problem) => self.errors.push(self.doc.value(&at, problem)),
            }
        }
        let with_money = |bounds: Bounds, (currency, bound)| bounds.with_money(currency, bound);
        money.into_iter().fold(bounds.into_iter().collect(), with_money)
    }

    /// A bound in money needs a price for everything that the rule may concern: an amount without one is unknown, and would
    /// deny what the author meant to allow.
    pub(super) fn certify_prices(
        &mut self,
        path: &str,
        conditions: &[Condition],
        money: impl IntoIterator<Item = Currency>,
    ) {
        let bounds = conditions.iter().filter_map(Condition::bounds);
        let currencies: BTreeSet<Currency> = bounds
            .flat_map(|bounds| bounds.money().map(|(c, _)| c))
            .chain(money)
            .collect();
        let named = conditions.iter().find_map(|condition| {
            if let Condition::Assets(Assets(assets)) = condition {
                Some(assets)
            } else {
                None
            }
        });
        for currency in currencies {
            if self.names.roster.price_sources(currency).is_none() {
                let problem = Problem::NobodyQuotes(currency);
                self.errors.push(self.doc.value(&format!("{path}.id"), problem));
            }
            let concerned = self.names.registry.assets().iter().map(|record| &record.id);
            let mut concerned = concerned.filter(|asset| named.is_none_or(|named| named.contains(asset)));
            let unpriced = concerned.find(|asset| !self.names.priced.contains(&((*asset).clone(), currency)));
            if let Some(asset) = unpriced.cloned() {
                let problem = Problem::NoPriceSource { asset, currency };
                self.errors.push(self.doc.value(&format!("{path}.id"), problem));
            }
        }
    }

    /// In quotes: without them a comma or a comment beside it would be a part of it, or not.
    fn amount(&self, path: &str, text: &str) -> Result<(AssetSymbol, Bounds), Problem> {
        if !self.doc.places.is_quoted(path) {
            return Err(Problem::UnquotedAmount);
        }
        amount::bounds(text, self.names.registry.assets())
    }

    /// One bound: `"0.05 ETH"`.
    pub(super) fn bound(&mut self, path: &str, text: &str) -> Bounds {
        match self.amount(path, text) {
            Ok((_, bounds)) => bounds,
            Err(problem) => {
                self.errors.push(self.doc.value(path, problem));
                Bounds::default()
            }
        }
    }
}

fn parse<V: FromStr>(text: &str) -> Result<V, Problem>
where
    Problem: From<V::Err>,
{
    Ok(text.parse::<V>()?)
}

pub(crate) fn selector(text: &str) -> Result<Selector, Problem> {
    let bytes = text.strip_prefix("0x").filter(|hex| hex.len() == 8);
    let bytes = bytes.and_then(|hex| HEXLOWER.decode(hex.as_bytes()).ok());
    let bytes: Option<[u8; 4]> = bytes.and_then(|bytes| bytes.try_into().ok());
    bytes.map(Selector).ok_or(Problem::BadSelector)
}

fn effect_kind(text: &str) -> Result<EffectKind, Problem> {
    EffectKind::ALL
        .into_iter()
        .find(|kind| kind.as_str() == text)
        .ok_or_else(|| Problem::BadWord {
            word: text.chars().take(64).collect(),
            allowed: "`transfer`, `internal`, `fee`, `allowance`, `authority-change`, `code-change`, \
                  `delayed-authorization`, `contract-call`, `opaque`, `personal-message`",
        })
}

fn known<V: Display>(value: V, is_known: bool, what: &'static str, hint: &'static str) -> Result<V, Problem> {
    if is_known {
        return Ok(value);
    }
    Err(Problem::Unknown {
        what,
        id: value.to_string(),
        hint,
    })
}

impl Names<'_> {
    fn initiator(&self, text: &str) -> Result<PrincipalId, Problem> {
        let id: PrincipalId = text.parse()?;
        let is_known = self.roster.initiators().contains(&id);
        known(
            id,
            is_known,
            "initiator",
            "roster.yaml lists it under no tenant of `initiators`",
        )
    }

    pub(super) fn group(&self, text: &str) -> Result<GroupId, Problem> {
        let id: GroupId = text.parse()?;
        if self.roster.group(&id).is_none() {
            return Err(Problem::UnknownGroup(id));
        }
        Ok(id)
    }

    /// A service of the roster: what it attests is signed, and no person can be it. Nobody behind it asks for withdrawals.
    pub(super) fn service(&self, text: &str) -> Result<PrincipalId, Problem> {
        let id: PrincipalId = text.parse()?;
        if !self.roster.contains(&id) || self.roster.is_person(&id) {
            return Err(Problem::UnknownService(id));
        }
        if self.roster.initiators().contains(&id) {
            return Err(Problem::InitiatingService(id));
        }
        if let Some((person, initiator)) = self.roster.conflict(&id) {
            let (person, initiator) = (person.clone(), initiator.clone());
            return Err(Problem::ConflictedService {
                service: id,
                person,
                initiator,
            });
        }
        Ok(id)
    }

    fn wallet(&self, text: &str) -> Result<WalletId, Problem> {
        let id: WalletId = text.parse()?;
        let is_known = self.registry.wallets().wallet(&id).is_some();
        known(id, is_known, "wallet", "wallets.yaml has no such wallet")
    }

    fn network(&self, text: &str) -> Result<ChainId, Problem> {
        let id: ChainId = text.parse()?;
        if self.registry.network(&id).is_none() {
            return Err(unknown_network(&id));
        }
        Ok(id)
    }

    fn list(&self, text: &str) -> Result<ListId, Problem> {
        let id: ListId = text.parse()?;
        let is_known = self.lists.list(&id).is_some();
        known(id, is_known, "list", "destinations.yaml has no such list")
    }

    fn symbol(&self, text: &str) -> Result<AssetSymbol, Problem> {
        let symbol: AssetSymbol = text.parse()?;
        if self.assets(&symbol).next().is_none() {
            return Err(amount::unknown(&symbol));
        }
        Ok(symbol)
    }

    fn assets(&self, symbol: &AssetSymbol) -> impl Iterator<Item = AssetId> {
        let ids: Vec<AssetId> = self
            .registry
            .assets()
            .all_by_symbol(symbol)
            .map(|record| record.id.clone())
            .collect();
        ids.into_iter()
    }
}

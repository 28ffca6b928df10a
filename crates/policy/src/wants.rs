//! What a policy may look at that neither the bytes nor the bundle say, so that whoever evaluates it knows what to ask for.

use std::collections::BTreeSet;

use countersign_types::PrincipalId;

use crate::{Ceiling, Condition, Conditions, Currency, Obligations, Policy, To, Window};

/// What the rules of a policy may look at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wants {
    /// The currencies that amounts are compared in.
    pub currencies: BTreeSet<Currency>,
    /// The services whose address books it looks into.
    pub books: BTreeSet<PrincipalId>,
    /// The services whose attestations it asks for.
    pub attesters: BTreeSet<PrincipalId>,
    /// Whether it looks at what was paid before.
    pub history: bool,
    /// Whether it looks at how old entries are.
    pub ages: bool,
    /// Whether it looks at the clock or at what limits have added up.
    pub time: bool,
}

impl Wants {
    /// Whether the same transaction may be decided otherwise later, under the same policy.
    pub fn may_change(&self) -> bool {
        !self.currencies.is_empty() || !self.books.is_empty() || self.history || self.ages || self.time
    }

    /// Wants what the other one wants too.
    pub fn join(&mut self, other: &Self) {
        self.currencies.extend(&other.currencies);
        self.books.extend(other.books.iter().cloned());
        self.attesters.extend(other.attesters.iter().cloned());
        self.history |= other.history;
        self.ages |= other.ages;
        self.time |= other.time;
    }

    fn conditions(&mut self, conditions: &Conditions) {
        for condition in conditions.iter() {
            let bounds = condition.bounds();
            let money = bounds.into_iter().flat_map(|bounds| bounds.money());
            self.currencies.extend(money.map(|(currency, _)| currency));
            match condition {
                Condition::To(to) => self.destination(to),
                Condition::Hours(_) => self.time = true,
                Condition::Effects(_)
                | Condition::Initiators(_)
                | Condition::InitiatorGroups(_)
                | Condition::Wallets(_)
                | Condition::Tiers(_)
                | Condition::Networks(_)
                | Condition::Assets(_)
                | Condition::Subjects(_)
                | Condition::Selectors(_)
                | Condition::Words(_)
                | Condition::Attributes(_)
                | Condition::AmountMax(_)
                | Condition::AmountOver(_)
                | Condition::FeeMax(_)
                | Condition::FeeShare(_)
                | Condition::FeeRate(_)
                | Condition::TotalMax(_)
                | Condition::TotalOver(_) => {}
            }
        }
    }

    fn destination(&mut self, to: &To) {
        match to {
            To::AddressBook(service) => drop(self.books.insert(service.clone())),
            To::FirstSeen => self.history = true,
            To::EntryUnder(_) | To::EntryOver(_) => self.ages = true,
            To::List(_) | To::Own(_) | To::Unlisted => {}
        }
    }

    fn obligations(&mut self, obligations: &Obligations) {
        let asked = obligations.attestations();
        self.attesters.extend(asked.map(|(_, by, _)| by.clone()));
    }

    fn ceiling(&mut self, ceiling: &Ceiling) {
        match ceiling {
            Ceiling::Money(currency, _) => drop(self.currencies.insert(*currency)),
            Ceiling::NewDestinations(_) => self.history = true,
            Ceiling::Amounts(_) | Ceiling::Count(_) => {}
        }
    }
}

impl Wants {
    /// What the rules of a policy may look at.
    pub(crate) fn of(policy: &Policy) -> Self {
        let mut wants = Self::default();
        policy
            .permits()
            .for_each(|permit| wants.conditions(permit.conditions()));
        policy
            .forbids()
            .for_each(|forbid| wants.conditions(forbid.conditions()));
        for require in policy.requires() {
            wants.conditions(require.conditions());
            wants.obligations(require.obligations());
        }
        for limit in policy.limits() {
            wants.conditions(limit.conditions());
            let meter = limit.meter();
            wants.ceiling(&meter.hard);
            wants.time |= !matches!(meter.window, Window::Transaction);
            if let Some((soft, over)) = &meter.soft {
                wants.ceiling(soft);
                wants.obligations(over);
            }
        }
        wants
    }
}

//! What a policy may look at that neither the bytes nor the bundle say, so that whoever evaluates it knows what to ask for.

use std::collections::BTreeSet;

use countersign_types::{PrincipalId, RuleId};

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

    /// What a forbid of a policy looks at; `None` where it has none of that id.
    pub fn of_forbid(policy: &Policy, id: &RuleId) -> Option<Self> {
        let forbid = policy.forbids().find(|forbid| forbid.id() == id)?;
        let mut wants = Self::default();
        wants.conditions(forbid.conditions());
        Some(wants)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        AmountMax, Bounds, Day, Effects, Forbid, Hours, Limit, Meter, Permit, PolicyParts, Require,
        testing::{bounds, obligations, rule, usd},
    };
    use countersign_types::{AttestationKind, Duration, EffectKind};

    fn attested(by: &str) -> Obligations {
        let hour = Duration::from_secs(3_600);
        obligations(&[], 0).with_attestation(AttestationKind::Sanctions, by.parse().unwrap(), hour)
    }

    fn transfers() -> Condition {
        Condition::Effects(Effects([EffectKind::Transfer].into_iter().collect()))
    }

    fn book(by: &str) -> Condition {
        Condition::To(To::AddressBook(by.parse().unwrap()))
    }

    fn permit(condition: Condition) -> PolicyParts {
        PolicyParts {
            permits: vec![Permit::new(rule("p"), vec![transfers(), condition]).unwrap()],
            ..PolicyParts::default()
        }
    }

    fn require(condition: Condition, asked: Obligations) -> PolicyParts {
        PolicyParts {
            requires: vec![Require::new(rule("r"), vec![condition], asked).unwrap()],
            ..PolicyParts::default()
        }
    }

    fn limit(conditions: Vec<Condition>, meter: Meter) -> PolicyParts {
        PolicyParts {
            limits: vec![Limit::new(rule("l"), conditions, BTreeSet::new(), meter).unwrap()],
            ..PolicyParts::default()
        }
    }

    fn metered(window: &str, hard: Ceiling, soft: Option<(Ceiling, Obligations)>) -> Meter {
        let window = window.parse().unwrap();
        Meter { window, hard, soft }
    }

    /// One rule that looks at one thing, and that thing alone is wanted.
    #[test]
    fn each_rule_wants_what_it_looks_at() {
        let two = || obligations(&[("treasury", 2)], 0);
        let one = |by: &str| BTreeSet::from([by.parse::<PrincipalId>().unwrap()]);
        let dollars = |bound| Bounds::default().with_money(Currency::Usd, usd(bound));
        let always = Hours::new("UTC".parse().unwrap(), [Day::Mon].into_iter().collect(), 0, 86_400).unwrap();
        let count = |window| metered(window, Ceiling::Count(1), None);
        let none = Wants::default;
        let (usd_wanted, book_wanted) = (
            || Wants {
                currencies: [Currency::Usd].into(),
                ..none()
            },
            |by| Wants {
                books: one(by),
                ..none()
            },
        );
        let (history, ages, time) = (
            || Wants {
                history: true,
                ..none()
            },
            || Wants { ages: true, ..none() },
            || Wants { time: true, ..none() },
        );
        let young = Duration::from_secs(60);
        let soft = (Ceiling::Money(Currency::Usd, usd(1)), attested("screening"));
        let table = [
            (permit(Condition::To(To::Unlisted)), none()),
            (permit(Condition::AmountMax(AmountMax(bounds(&[("eth", 1)])))), none()),
            (permit(Condition::AmountMax(AmountMax(dollars(1)))), usd_wanted()),
            (permit(book("book")), book_wanted("book")),
            (permit(Condition::Hours(always)), time()),
            (
                PolicyParts {
                    forbids: vec![Forbid::new(rule("f"), vec![Condition::To(To::FirstSeen)]).unwrap()],
                    ..PolicyParts::default()
                },
                history(),
            ),
            (require(Condition::To(To::EntryUnder(young)), two()), ages()),
            (require(Condition::To(To::EntryOver(young)), two()), ages()),
            (
                require(transfers(), attested("screening")),
                Wants {
                    attesters: one("screening"),
                    ..none()
                },
            ),
            (limit(vec![], count("transaction")), none()),
            (limit(vec![], count("1h")), time()),
            (limit(vec![book("book")], count("transaction")), book_wanted("book")),
            (
                limit(vec![], metered("transaction", Ceiling::NewDestinations(1), None)),
                history(),
            ),
            (
                limit(
                    vec![],
                    metered("transaction", Ceiling::Money(Currency::Usd, usd(2)), Some(soft)),
                ),
                Wants {
                    attesters: one("screening"),
                    ..usd_wanted()
                },
            ),
        ];
        for (parts, expected) in table {
            let policy = Policy::new(parts.clone()).unwrap();
            assert_eq!(policy.wants(), &expected, "{parts:?}");
        }
    }

    /// Prices, books, what was paid, ages and the clock move; each alone is enough.
    #[test]
    fn whatever_moves_may_change_a_decision() {
        assert!(!Wants::default().may_change());
        let moving = [
            Wants {
                currencies: [Currency::Usd].into(),
                ..Wants::default()
            },
            Wants {
                books: ["book".parse().unwrap()].into(),
                ..Wants::default()
            },
            Wants {
                history: true,
                ..Wants::default()
            },
            Wants {
                ages: true,
                ..Wants::default()
            },
            Wants {
                time: true,
                ..Wants::default()
            },
        ];
        let mut all = Wants {
            attesters: ["screening".parse().unwrap()].into(),
            ..Wants::default()
        };
        for wants in &moving {
            assert!(wants.may_change(), "{wants:?}");
            all.join(wants);
            all.join(&Wants::default());
        }
        let expected = Wants {
            currencies: [Currency::Usd].into(),
            books: ["book".parse().unwrap()].into(),
            attesters: ["screening".parse().unwrap()].into(),
            history: true,
            ages: true,
            time: true,
        };
        assert_eq!(all, expected);
        let mut joined = Wants::default();
        joined.join(&expected);
        assert_eq!(joined, expected);
    }
}

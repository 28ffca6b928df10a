//! `subjects`: the customer behind a payment.

use countersign_types::{Effect, SubjectId};

use super::{OneOf, View};
use crate::Truth;

/// The payment's subject is one of these. Fees and moves between own wallets have no customer behind them: false. Any
/// other effect whose subject the request does not name may be anybody's: unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subjects(pub OneOf<SubjectId>);

impl Subjects {
    pub(super) fn matches(&self, view: &View<'_>) -> Truth {
        if matches!(view.fact.effect, Effect::Fee { .. } | Effect::Internal { .. }) {
            return Truth::False;
        }
        view.fact
            .subject
            .map_or(Truth::Unknown, |subject| self.0.contains(subject).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{World, fee, internal, one_of, transfer};

    #[test]
    fn an_unnamed_subject_is_unknown() {
        let mut world = World::with(&[
            transfer("eth", 1, "a"),
            transfer("eth", 1, "a"),
            transfer("eth", 1, "a"),
            fee(1),
            internal("eth", 1, "warm"),
        ]);
        world.effects[0].1 = Some("x".parse().unwrap());
        world.effects[1].1 = Some("y".parse().unwrap());
        let subjects = Subjects(one_of(&["x"]));
        use Truth::{False, True, Unknown};
        assert_eq!(
            world.each(|view| subjects.matches(view)),
            [True, False, Unknown, False, False]
        );
    }
}

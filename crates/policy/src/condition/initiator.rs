//! `initiators` and `initiator-groups`: who signed the request.

use countersign_types::{GroupId, PrincipalId};

use super::OneOf;
use crate::{Actor, Truth};

/// The initiator is one of these people or services.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Initiators(pub OneOf<PrincipalId>);

impl Initiators {
    pub(crate) fn matches(&self, actor: &Actor<'_>) -> Truth {
        self.0.contains(actor.initiator).into()
    }
}

/// The initiator is a member of one of these groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InitiatorGroups(pub OneOf<GroupId>);

impl InitiatorGroups {
    #[inline(never)]
    pub(crate) fn matches(&self, actor: &Actor<'_>) -> Truth {
        self.0.contains_any(actor.initiator_groups).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{World, one_of};

    #[test]
    fn compares_the_initiator() {
        let world = World::default();
        assert_eq!(
            Initiators(one_of(&["bot", "other"])).matches(&world.facts().actor),
            Truth::True
        );
        assert_eq!(
            Initiators(one_of(&["other"])).matches(&world.facts().actor),
            Truth::False
        );
    }

    #[test]
    fn compares_every_group_of_the_initiator() {
        let world = World {
            initiator_groups: ["ops", "risk"].map(|g| g.parse().unwrap()).into(),
            ..World::default()
        };
        assert_eq!(
            InitiatorGroups(one_of(&["risk"])).matches(&world.facts().actor),
            Truth::True
        );
        assert_eq!(
            InitiatorGroups(one_of(&["treasury"])).matches(&world.facts().actor),
            Truth::False
        );
        assert_eq!(
            InitiatorGroups(one_of(&["risk"])).matches(&World::default().facts().actor),
            Truth::False
        );
    }
}

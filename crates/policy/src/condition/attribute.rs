//! `attributes`: what the initiator says of the request.

use std::collections::BTreeMap;

use countersign_types::{AttributeName, AttributeValue};

use super::OneOf;
use crate::{Facts, Truth};

/// Each listed attribute of the request is one of its values. An attribute that the request does not have may be anything:
/// unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attributes(pub BTreeMap<AttributeName, OneOf<AttributeValue>>);

impl Attributes {
    #[inline(never)]
    pub(super) fn matches(&self, facts: &Facts<'_>) -> Truth {
        let stated = facts.context.attributes;
        let each = self.0.iter().map(|(name, values)| {
            let value = stated.and_then(|stated| stated.get(name));
            Truth::from(value.map(|value| values.contains(value)))
        });
        each.fold(Truth::True, Truth::and)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty() || self.0.values().any(OneOf::is_empty)
    }

    /// The words of a counter's text. A name has no `=`.
    pub(super) fn canonical(&self) -> Vec<String> {
        let each = self.0.iter();
        each.flat_map(|(name, values)| values.iter().map(move |value| format!("{name}={value}")))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{World, fee, one_of, transfer};

    #[test]
    fn every_attribute_is_one_of_its_values() {
        let name = |name: &str| name.parse::<AttributeName>().unwrap();
        let attributes = Attributes(BTreeMap::from([
            (name("purpose"), one_of(&["payout", "refund"])),
            (name("desk"), one_of(&["otc"])),
        ]));
        use Truth::{False, True, Unknown};
        let table: [(&[(&str, &str)], Truth); 6] = [
            (&[("purpose", "payout"), ("desk", "otc")], True),
            (&[("purpose", "refund"), ("desk", "otc"), ("more", "x")], True),
            (&[("purpose", "Payout"), ("desk", "otc")], False),
            (&[("purpose", "payout")], Unknown),
            (&[("purpose", "loan")], False),
            (&[], Unknown),
        ];
        for (stated, expected) in table {
            let mut world = World::with(&[transfer("eth", 1, "a"), fee(1)]);
            let stated = stated.iter().map(|(key, value)| (name(key), value.parse().unwrap()));
            world.attributes = Some(stated.collect());
            assert_eq!(attributes.matches(&world.facts()), expected, "{:?}", world.attributes);
        }
        let world = World::with(&[fee(1)]);
        assert_eq!(attributes.matches(&world.facts()), Unknown, "nothing is known");
    }
}

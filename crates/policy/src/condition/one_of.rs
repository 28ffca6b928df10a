//! Membership in a fixed set.

use std::collections::BTreeSet;

/// A set of values, one of which a fact must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneOf<T: Ord>(BTreeSet<T>);

impl<T: Ord> OneOf<T> {
    /// Whether the value is one of them.
    pub fn contains(&self, value: &T) -> bool {
        self.0.contains(value)
    }

    /// Whether any of the values is one of them.
    pub fn contains_any<'a>(&self, values: impl IntoIterator<Item = &'a T>) -> bool
    where
        T: 'a,
    {
        values.into_iter().any(|value| self.0.contains(value))
    }

    /// Whether nothing is.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The values, in order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter()
    }
}

impl<T: Ord> FromIterator<T> for OneOf<T> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        Self(values.into_iter().collect())
    }
}

//! Membership in a fixed set.

/// Up to so many values are looked at one after the other: whether two of them are equal is found out sooner than their order.
const FEW: usize = 8;

/// A set of values, one of which a fact must be: in order, each once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneOf<T: Ord>(Box<[T]>);

impl<T: Ord> OneOf<T> {
    /// Whether the value is one of them.
    // Apart: many conditions ask it, and each stays short.
    #[inline(never)]
    pub fn contains(&self, value: &T) -> bool {
        if self.0.len() <= FEW {
            self.0.contains(value)
        } else {
            self.0.binary_search(value).is_ok()
        }
    }

    /// Whether any of the values is one of them.
    pub fn contains_any<'a>(&self, values: impl IntoIterator<Item = &'a T>) -> bool
    where
        T: 'a,
    {
        values.into_iter().any(|value| self.contains(value))
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
        let mut values: Vec<T> = values.into_iter().collect();
        values.sort_unstable();
        values.dedup();
        Self(values.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Few or many, in whatever order and however often they are given.
        #[test]
        fn it_is_a_set(values in prop::collection::vec(0_u8..40, 0..30), sought in 0_u8..40) {
            let set: OneOf<u8> = values.iter().copied().collect();
            prop_assert_eq!(set.contains(&sought), values.contains(&sought));
            prop_assert!(set.iter().is_sorted_by(|a, b| a < b));
            prop_assert_eq!(set.is_empty(), values.is_empty());
        }
    }
}

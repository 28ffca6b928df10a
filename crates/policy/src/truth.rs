//! Three-valued matching: true, false, or unknown because a fact is missing.

/// Whether a condition holds. A permit needs [`Truth::True`]; forbid, require and limit match unless [`Truth::False`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truth {
    /// It does not hold.
    False,
    /// A fact that it needs is missing.
    Unknown,
    /// It holds.
    True,
}

impl Truth {
    /// Both: false if either is false, else unknown if either is unknown.
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::False, _) | (_, Self::False) => Self::False,
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            (Self::True, Self::True) => Self::True,
        }
    }

    /// Either: true if either is true, else unknown if either is unknown.
    pub fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::True, _) | (_, Self::True) => Self::True,
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            (Self::False, Self::False) => Self::False,
        }
    }

    /// How a permit reads it: only what is known to hold.
    pub fn is_certain(self) -> bool {
        self == Self::True
    }

    /// How forbid, require and limit read it: everything that is not known to be false.
    pub fn is_possible(self) -> bool {
        self != Self::False
    }
}

impl From<Option<bool>> for Truth {
    fn from(holds: Option<bool>) -> Self {
        holds.map_or(Self::Unknown, Self::from)
    }
}
impl From<bool> for Truth {
    fn from(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }
}

#[cfg(test)]
mod tests {
    use super::Truth::{self, False, True, Unknown};

    #[test]
    fn and_is_kleenes() {
        let table = [
            (True, True, True),
            (True, Unknown, Unknown),
            (Unknown, Unknown, Unknown),
            (False, Unknown, False),
            (False, True, False),
            (False, False, False),
        ];
        for (a, b, both) in table {
            assert_eq!((a.and(b), b.and(a)), (both, both), "{a:?} {b:?}");
        }
    }

    #[test]
    fn or_is_kleenes() {
        let table = [
            (True, True, True),
            (True, Unknown, True),
            (True, False, True),
            (Unknown, Unknown, Unknown),
            (Unknown, False, Unknown),
            (False, False, False),
        ];
        for (a, b, either) in table {
            assert_eq!((a.or(b), b.or(a)), (either, either), "{a:?} {b:?}");
        }
    }

    #[test]
    fn unknown_counts_against_the_withdrawal_both_ways() {
        assert!(!Unknown.is_certain() && Unknown.is_possible());
        assert!(True.is_certain() && True.is_possible());
        assert!(!False.is_certain() && !False.is_possible());
        assert_eq!((Truth::from(true), Truth::from(false)), (True, False));
    }
}

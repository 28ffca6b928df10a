//! `selectors` and `words`: which function of a contract is called, and with what in the fixed places of its arguments.
//!
//! Only the 32-byte words that the ABI puts in front are looked at, by position. What a word points to is not followed, so
//! each word is one attribute that is compared with constants, and policies stay decidable.

use countersign_types::{Amount, Effect, Selector};

use super::{OneOf, View};
use crate::{RuleKind, Truth};

/// Bytes of one word of the ABI.
const WORD_BYTES: usize = 32;
/// The last word that a rule may look at: no function that a policy names has more arguments.
pub const MAX_WORD: u8 = 31;

/// A call of one of these functions. Other kinds of effect call none that a rule could name: false.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selectors(pub OneOf<Selector>);

impl Selectors {
    #[inline(never)]
    pub(super) fn matches(&self, view: &View<'_>) -> Truth {
        match view.fact.effect {
            Effect::ContractCall { selector, .. } => self.0.contains(selector).into(),
            Effect::Transfer { .. }
            | Effect::Internal { .. }
            | Effect::Fee { .. }
            | Effect::Allowance { .. }
            | Effect::AuthorityChange { .. }
            | Effect::DelayedAuthorization { .. }
            | Effect::PersonalMessage { .. } => Truth::False,
            // Bytes whose meaning is unknown may hold any call.
            Effect::CodeChange { .. } | Effect::Opaque { .. } => Truth::Unknown,
        }
    }
}

/// What is asked of the 32-byte word at a position. Where the arguments do not reach so far, or are not whole words:
/// unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// Which word, from 0, at most [`MAX_WORD`].
    pub at: u8,
    /// What is asked of it.
    pub test: WordTest,
}

/// What a word is compared with; it is read as an unsigned number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WordTest {
    /// It is one of these.
    OneOf(OneOf<Amount>),
    /// It is at most this. Permits only.
    Max(Amount),
    /// It is over this. Requires and forbids only.
    Over(Amount),
}

impl WordTest {
    /// Whether a rule of this kind may ask it: as with amounts, a larger maximum permits more and a larger minimum catches
    /// less.
    pub fn is_allowed_in(&self, rule: RuleKind) -> bool {
        match self {
            Self::OneOf(_) => true,
            Self::Max(_) => rule == RuleKind::Permit,
            Self::Over(_) => rule == RuleKind::Require || rule == RuleKind::Forbid,
        }
    }

    pub(crate) fn holds(&self, word: &Amount) -> bool {
        match self {
            Self::OneOf(values) => values.contains(word),
            Self::Max(max) => word <= max,
            Self::Over(over) => word > over,
        }
    }

    fn canonical(&self, at: u8) -> Vec<String> {
        match self {
            Self::OneOf(values) => values.iter().map(|value| format!("{at}:{value}")).collect(),
            Self::Max(max) => vec![format!("{at}:max:{max}")],
            Self::Over(over) => vec![format!("{at}:over:{over}")],
        }
    }
}

/// Every listed word of the call's arguments is what is asked of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words(pub Vec<Word>);

impl Words {
    #[inline(never)]
    pub(super) fn matches(&self, view: &View<'_>) -> Truth {
        let args = match view.fact.effect {
            Effect::ContractCall { args, .. } => args,
            Effect::Transfer { .. }
            | Effect::Internal { .. }
            | Effect::Fee { .. }
            | Effect::Allowance { .. }
            | Effect::AuthorityChange { .. }
            | Effect::DelayedAuthorization { .. }
            | Effect::PersonalMessage { .. } => return Truth::False,
            Effect::CodeChange { .. } | Effect::Opaque { .. } => return Truth::Unknown,
        };
        let words = self.0.iter().map(|word| word.matches(args));
        words.fold(Truth::True, Truth::and)
    }

    pub(super) fn is_empty(&self) -> bool {
        let is_empty = |word: &Word| matches!(&word.test, WordTest::OneOf(values) if values.is_empty());
        self.0.is_empty() || self.0.iter().any(is_empty)
    }

    /// The words of a counter's text.
    pub(super) fn canonical(&self) -> Vec<String> {
        let mut words: Vec<String> = self.0.iter().flat_map(|word| word.test.canonical(word.at)).collect();
        words.sort_unstable();
        words
    }
}

impl Word {
    fn matches(&self, args: &[u8]) -> Truth {
        let (words, rest) = args.as_chunks::<WORD_BYTES>();
        let word = words.get(usize::from(self.at)).filter(|_| rest.is_empty());
        let holds = word.map(|word| self.test.holds(&Amount::from_be_bytes(*word)));
        holds.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{World, destination, fee, opaque, transfer};

    fn call(selector: u8, words: &[u64], tail: usize) -> Effect {
        let args = words
            .iter()
            .flat_map(|word| Amount::from_base_units(*word).to_be_bytes());
        Effect::ContractCall {
            contract: destination("a"),
            selector: Selector([selector; 4]),
            args: args.chain(std::iter::repeat_n(0, tail)).collect(),
        }
    }

    fn word(at: u8, values: &[u64]) -> Word {
        let values = values.iter().map(|value| Amount::from_base_units(*value)).collect();
        let test = WordTest::OneOf(values);
        Word { at, test }
    }

    #[test]
    fn compares_the_function() {
        let selectors = Selectors([Selector([1; 4])].into_iter().collect());
        let world = World::with(&[
            call(1, &[], 0),
            call(2, &[], 0),
            transfer("eth", 1, "a"),
            fee(1),
            opaque(),
        ]);
        use Truth::{False, True, Unknown};
        assert_eq!(
            world.each(|view| selectors.matches(view)),
            [True, False, False, False, Unknown]
        );
    }

    #[test]
    fn compares_words_by_position() {
        let words = Words(vec![word(0, &[7, 8]), word(2, &[9])]);
        use Truth::{False, True, Unknown};
        let table = [
            (call(1, &[7, 0, 9], 0), True),
            (call(1, &[8, 5, 9, 4], 0), True),
            (call(1, &[6, 0, 9], 0), False),
            (call(1, &[7, 0, 8], 0), False),
            (call(1, &[7, 0], 0), Unknown),
            (call(1, &[6, 0], 0), False),
            (call(1, &[7, 0, 9], 1), Unknown),
            (transfer("eth", 1, "a"), False),
            (opaque(), Unknown),
        ];
        for (effect, expected) in table {
            let world = World::with(std::slice::from_ref(&effect));
            assert_eq!(world.each(|view| words.matches(view)), [expected], "{effect:?}");
        }
    }

    #[test]
    fn compares_words_as_numbers() {
        let max = Words(vec![Word {
            at: 1,
            test: WordTest::Max(10_u64.into()),
        }]);
        let over = Words(vec![Word {
            at: 1,
            test: WordTest::Over(10_u64.into()),
        }]);
        use Truth::{False, True, Unknown};
        let table = [
            (call(1, &[0, 10], 0), True, False),
            (call(1, &[0, 11], 0), False, True),
            (call(1, &[11], 0), Unknown, Unknown),
            (transfer("eth", 1, "a"), False, False),
        ];
        for (effect, is_within, is_over) in table {
            let world = World::with(std::slice::from_ref(&effect));
            assert_eq!(world.each(|view| max.matches(view)), [is_within], "{effect:?}");
            assert_eq!(world.each(|view| over.matches(view)), [is_over], "{effect:?}");
        }
    }
}

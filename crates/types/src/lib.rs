//! Ids, amounts, CAIP identifiers, effects and digests: the vocabulary of every other crate.

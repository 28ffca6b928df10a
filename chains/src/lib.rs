//! The closed enum of chain families.

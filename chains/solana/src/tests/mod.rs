//! Tests of the family as a whole. One valid fixture, one change, the exact error or effect.

mod assembling;
mod bytes;
mod effects;
mod fixtures;
mod instructions;
mod lookups;
mod networks;
mod vectors;

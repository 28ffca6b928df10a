//! Tests of the family as a whole. One valid fixture, one change, the exact error or effect.

mod assembling;
mod authorizations;
mod bytes;
mod calldata;
mod calls;
mod effects;
mod encoder;
mod fixtures;
mod incidents;
mod nesting;
mod networks;
mod refusals;
mod vectors;

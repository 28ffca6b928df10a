//! Tests of the family as a whole. One valid fixture, one change, the exact error or effect.

mod assembling;
mod authorizations;
mod blobs;
mod bytes;
mod calldata;
mod calls;
mod descriptors;
mod display;
mod effects;
mod encoder;
mod fixtures;
mod incidents;
mod messages;
mod nesting;
mod networks;
mod permits;
mod prices;
mod refusals;
mod shapes;
mod typed_data;
mod vectors;

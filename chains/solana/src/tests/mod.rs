//! Tests of the family as a whole. One valid fixture, one change, the exact error or effect.

mod assembling;
mod bounds;
mod bytes;
mod drafts;
mod effects;
mod expect;
mod fixtures;
mod instructions;
mod lookups;
mod networks;
mod programs;
mod sdk;
mod templates;
mod vectors;

//! The family against Bitcoin Core's interpreter, published vectors, and one mutation at a time.

mod bytes;
mod effects;
mod fixtures;
mod incidents;
mod keys;
mod networks;
mod psbt_v2;
mod psbt_vectors;
mod refusals;
mod signing;
mod vectors;

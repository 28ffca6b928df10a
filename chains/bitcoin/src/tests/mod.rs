//! The family against Bitcoin Core's interpreter, published vectors, and one mutation at a time.

mod bytes;
mod effects;
mod fixtures;
mod networks;
mod refusals;
mod signing;
mod vectors;

//! The policy engine: total, pure, deterministic.

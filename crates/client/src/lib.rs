//! The Rust client for pipelines, bots, tests and the command line.

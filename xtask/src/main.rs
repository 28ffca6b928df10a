//! Developer commands: demo, test, tidy, bench.

fn main() {}

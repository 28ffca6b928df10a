//! The YAML bundle: strict loading into typed policy, roster, wallets, networks and assets.

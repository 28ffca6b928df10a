//! The EVM family: unsigned transactions to effects, signing payloads and assembly.

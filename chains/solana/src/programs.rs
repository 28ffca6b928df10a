//! The addresses that have a meaning of their own.

use crate::Address;

/// An address from its text, while compiling: a misspelt one does not build.
const fn fixed(text: &str) -> Address {
    Address::new(bs58::decode(text.as_bytes()).into_array_const_unwrap())
}

pub(crate) const SYSTEM: Address = fixed("11111111111111111111111111111111");
pub(crate) const TOKEN: Address = fixed("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA");
pub(crate) const TOKEN_2022: Address = fixed("TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb");
pub(crate) const ASSOCIATED_TOKEN: Address = fixed("ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL");
pub(crate) const COMPUTE_BUDGET: Address = fixed("ComputeBudget111111111111111111111111111111");
pub(crate) const STAKE: Address = fixed("Stake11111111111111111111111111111111111111");
pub(crate) const STAKE_CONFIG: Address = fixed("StakeConfig11111111111111111111111111111111");
pub(crate) const VOTE: Address = fixed("Vote111111111111111111111111111111111111111");
pub(crate) const MEMO_1: Address = fixed("Memo1UhkJRfHyvLMcVucJwxXeuD728EqVDDwQDxFMNo");
pub(crate) const MEMO_2: Address = fixed("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr");
pub(crate) const LOADER: Address = fixed("BPFLoaderUpgradeab1e11111111111111111111111");
pub(crate) const LOOKUP_TABLE: Address = fixed("AddressLookupTab1e1111111111111111111111111");

/// Programs that verify signatures in their data; each costs as much as a signature of the transaction.
pub(crate) const SIGNATURE_VERIFIERS: [Address; 3] = [
    fixed("Ed25519SigVerify111111111111111111111111111"),
    fixed("KeccakSecp256k11111111111111111111111111111"),
    fixed("Secp256r1SigVerify1111111111111111111111111"),
];

const INCINERATOR: Address = fixed("1nc1nerator11111111111111111111111111111111");
pub(crate) const SYSVAR_CLOCK: Address = fixed("SysvarC1ock11111111111111111111111111111111");
pub(crate) const SYSVAR_RENT: Address = fixed("SysvarRent111111111111111111111111111111111");
pub(crate) const SYSVAR_RECENT_BLOCKHASHES: Address = fixed("SysvarRecentB1ockHashes11111111111111111111");
pub(crate) const SYSVAR_STAKE_HISTORY: Address = fixed("SysvarStakeHistory1111111111111111111111111");
const SYSVAR_INSTRUCTIONS: Address = fixed("Sysvar1nstructions1111111111111111111111111");

/// What is sent to one of these is lost: programs, sysvars, and what the clusters keep for themselves.
pub(crate) const RESERVED: [Address; 37] = [
    SYSTEM,
    TOKEN,
    TOKEN_2022,
    ASSOCIATED_TOKEN,
    COMPUTE_BUDGET,
    STAKE,
    STAKE_CONFIG,
    VOTE,
    MEMO_1,
    MEMO_2,
    LOADER,
    LOOKUP_TABLE,
    fixed("BPFLoader1111111111111111111111111111111111"),
    fixed("BPFLoader2111111111111111111111111111111111"),
    fixed("Config1111111111111111111111111111111111111"),
    fixed("Ed25519SigVerify111111111111111111111111111"),
    fixed("Feature111111111111111111111111111111111111"),
    fixed("KeccakSecp256k11111111111111111111111111111"),
    fixed("LoaderV411111111111111111111111111111111111"),
    fixed("NativeLoader1111111111111111111111111111111"),
    fixed("Secp256r1SigVerify1111111111111111111111111"),
    fixed("ZkE1Gama1Proof11111111111111111111111111111"),
    fixed("ZkTokenProof1111111111111111111111111111111"),
    INCINERATOR,
    fixed("Sysvar1111111111111111111111111111111111111"),
    SYSVAR_CLOCK,
    SYSVAR_RENT,
    SYSVAR_RECENT_BLOCKHASHES,
    SYSVAR_STAKE_HISTORY,
    SYSVAR_INSTRUCTIONS,
    fixed("SysvarEpochRewards1111111111111111111111111"),
    fixed("SysvarEpochSchedu1e111111111111111111111111"),
    fixed("SysvarFees111111111111111111111111111111111"),
    fixed("SysvarLastRestartS1ot1111111111111111111111"),
    fixed("SysvarRewards111111111111111111111111111111"),
    fixed("SysvarS1otHashes111111111111111111111111111"),
    fixed("SysvarS1otHistory11111111111111111111111111"),
];

/// Whether a program is one of the two token programs.
pub(crate) fn is_token(program: Address) -> bool {
    program == TOKEN || program == TOKEN_2022
}

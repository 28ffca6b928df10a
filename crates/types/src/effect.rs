//! Effects: everything that a transaction does, one taxonomy for all chains.
//!
//! Total: what a parser does not recognise is [`Effect::Opaque`], never absent. Everything after `Fee` is denied unless a
//! rule names its kind.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Amount, AssetId, Destination, WalletId};

/// One thing that a transaction does.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effect {
    /// An asset leaves the wallet.
    Transfer {
        /// What.
        asset: AssetId,
        /// How much, in base units.
        amount: Amount,
        /// To whom; not one of the bundle's own wallets.
        destination: Destination,
    },
    /// An asset moves to a wallet key that the bundle lists (matched by public key, never by claim).
    Internal {
        /// What.
        asset: AssetId,
        /// How much, in base units.
        amount: Amount,
        /// The receiving wallet.
        wallet: WalletId,
        /// The receiving address.
        destination: Destination,
        /// Proven change: same wallet and same script type as the inputs. Only UTXO chains have it.
        change: bool,
    },
    /// What the network may take at most.
    Fee {
        /// The network's fee asset.
        asset: AssetId,
        /// The most that can be taken.
        max: Amount,
    },
    /// Somebody may move an asset of the wallet later.
    Allowance {
        /// What.
        asset: AssetId,
        /// The new allowance.
        amount: Amount,
        /// Who may.
        spender: Destination,
    },
    /// Who controls an account or a contract changes.
    AuthorityChange {
        /// The account whose control changes.
        subject: Destination,
        /// Which kind of control.
        scope: AuthorityScope,
        /// The new holder; `None` where control is given up.
        holder: Option<Destination>,
    },
    /// Code is deployed, upgraded or run with the wallet's authority.
    CodeChange {
        /// The account whose code or storage changes; `None` for a new contract.
        subject: Option<Destination>,
        /// How.
        change: CodeChangeKind,
        /// The code or the inner call.
        code: Vec<u8>,
    },
    /// A signature that stays usable at a moment that somebody else chooses.
    DelayedAuthorization {
        /// What it rests on (a durable nonce account, an off-chain permit's contract).
        mechanism: Destination,
    },
    /// A call to a contract function that the parser knows nothing about.
    ContractCall {
        /// The contract.
        contract: Destination,
        /// The function.
        selector: Selector,
        /// The raw arguments behind the selector.
        args: Vec<u8>,
    },
    /// Bytes whose meaning is unknown.
    Opaque {
        /// Where they stood.
        what: OpaqueKind,
        /// The account that they are handed to, where there is one.
        target: Option<Destination>,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// A message for people (EIP-191). What a signature under it will be taken for is up to whoever it is shown to.
    PersonalMessage {
        /// The message.
        bytes: Vec<u8>,
    },
}

impl Effect {
    /// The kind that rules name.
    pub fn kind(&self) -> EffectKind {
        match self {
            Self::Transfer { .. } => EffectKind::Transfer,
            Self::Internal { .. } => EffectKind::Internal,
            Self::Fee { .. } => EffectKind::Fee,
            Self::Allowance { .. } => EffectKind::Allowance,
            Self::AuthorityChange { .. } => EffectKind::AuthorityChange,
            Self::CodeChange { .. } => EffectKind::CodeChange,
            Self::DelayedAuthorization { .. } => EffectKind::DelayedAuthorization,
            Self::ContractCall { .. } => EffectKind::ContractCall,
            Self::Opaque { .. } => EffectKind::Opaque,
            Self::PersonalMessage { .. } => EffectKind::PersonalMessage,
        }
    }

    /// Proven own change, the one effect that policy does not see (POLICY.md step 1).
    pub fn is_own_change(&self) -> bool {
        matches!(self, Self::Internal { change: true, .. })
    }

    /// The asset, where the effect moves or promises one.
    pub fn asset(&self) -> Option<&AssetId> {
        match self {
            Self::Transfer { asset, .. }
            | Self::Internal { asset, .. }
            | Self::Fee { asset, .. }
            | Self::Allowance { asset, .. } => Some(asset),
            Self::AuthorityChange { .. }
            | Self::CodeChange { .. }
            | Self::DelayedAuthorization { .. }
            | Self::ContractCall { .. }
            | Self::Opaque { .. }
            | Self::PersonalMessage { .. } => None,
        }
    }

    /// The amount that counts against rules: the transfer, the new allowance, the most that the fee can be.
    pub fn amount(&self) -> Option<Amount> {
        match self {
            Self::Transfer { amount, .. } | Self::Internal { amount, .. } | Self::Allowance { amount, .. } => {
                Some(*amount)
            }
            Self::Fee { max, .. } => Some(*max),
            Self::AuthorityChange { .. }
            | Self::CodeChange { .. }
            | Self::DelayedAuthorization { .. }
            | Self::ContractCall { .. }
            | Self::Opaque { .. }
            | Self::PersonalMessage { .. } => None,
        }
    }

    /// Who receives, may spend, takes control or is called.
    pub fn destination(&self) -> Option<&Destination> {
        match self {
            Self::Transfer { destination, .. } | Self::Internal { destination, .. } => Some(destination),
            Self::Allowance { spender, .. } => Some(spender),
            Self::AuthorityChange { holder, .. } => holder.as_ref(),
            Self::CodeChange { subject, .. } => subject.as_ref(),
            Self::DelayedAuthorization { mechanism } => Some(mechanism),
            Self::ContractCall { contract, .. } => Some(contract),
            Self::Opaque { target, .. } => target.as_ref(),
            Self::Fee { .. } | Self::PersonalMessage { .. } => None,
        }
    }
}

/// The kind of an effect, as policies write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EffectKind {
    /// See [`Effect::Transfer`].
    Transfer,
    /// See [`Effect::Internal`].
    Internal,
    /// See [`Effect::Fee`].
    Fee,
    /// See [`Effect::Allowance`].
    Allowance,
    /// See [`Effect::AuthorityChange`].
    AuthorityChange,
    /// See [`Effect::CodeChange`].
    CodeChange,
    /// See [`Effect::DelayedAuthorization`].
    DelayedAuthorization,
    /// See [`Effect::ContractCall`].
    ContractCall,
    /// See [`Effect::Opaque`].
    Opaque,
    /// See [`Effect::PersonalMessage`].
    PersonalMessage,
}

impl EffectKind {
    /// Every kind, in the order of the taxonomy.
    pub const ALL: [Self; 10] = [
        Self::Transfer,
        Self::Internal,
        Self::Fee,
        Self::Allowance,
        Self::AuthorityChange,
        Self::CodeChange,
        Self::DelayedAuthorization,
        Self::ContractCall,
        Self::Opaque,
        Self::PersonalMessage,
    ];

    /// The name in policies and effects texts.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Transfer => "transfer",
            Self::Internal => "internal",
            Self::Fee => "fee",
            Self::Allowance => "allowance",
            Self::AuthorityChange => "authority-change",
            Self::CodeChange => "code-change",
            Self::DelayedAuthorization => "delayed-authorization",
            Self::ContractCall => "contract-call",
            Self::Opaque => "opaque",
            Self::PersonalMessage => "personal-message",
        }
    }
}
impl fmt::Display for EffectKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

macro_rules! slugs {
    ($($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $slug:literal,)+ })+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant,)+ }
        impl $name {
            /// The name in effects texts.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $slug,)+ }
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    )+};
}

slugs! {
    /// Which control an authority change hands over.
    AuthorityScope {
        /// Ownership of a contract or account.
        Owner = "owner",
        /// A delegate of the account's code (EIP-7702).
        Delegate = "delegate",
        /// The right to stake or to withdraw stake.
        Stake = "stake",
        /// The right to mint, freeze or close.
        Token = "token",
        /// A role of a contract with access control (OpenZeppelin `AccessControl`).
        Role = "role",
        /// A module that may act for a contract account without its owners.
        Module = "module",
        /// A guard that may refuse what the owners of a contract account decide.
        Guard = "guard",
        /// How many owners must agree; nobody in particular holds it.
        Threshold = "threshold",
    }
    /// How code changes.
    CodeChangeKind {
        /// A new contract.
        Deploy = "deploy",
        /// A proxy points to other code.
        Upgrade = "upgrade",
        /// Foreign code runs on the wallet's own storage.
        DelegateCall = "delegatecall",
    }
    /// Where bytes of unknown meaning stood.
    OpaqueKind {
        /// Call data too short for a selector, or with arguments of the wrong length for a known function.
        Calldata = "calldata",
        /// An output script that is no known form.
        Script = "script",
        /// An instruction of an unknown program.
        Instruction = "instruction",
        /// A field of a PSBT (BIP 174) that is not known, with the place where it stands.
        PsbtField = "psbt-field",
        /// Typed data (EIP-712) whose meaning is up to the contract that it is for.
        TypedData = "typed-data",
        /// The versioned hash of a blob (EIP-4844), whose contents the bytes do not carry.
        Blob = "blob",
    }
}

/// The first four bytes of EVM call data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Selector(pub [u8; 4]);

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{}", data_encoding::HEXLOWER.encode(&self.0))
    }
}

//! A wallet on Solana, a second own wallet, a registered token, and messages to change.

use std::collections::BTreeMap;

use countersign_types::{
    Amount, AssetRecord, AssetRegistry, AuthorityScope, ChainFacts, CodeChangeKind, Decimals, Destination, Effect,
    LookupTable, NonceAccount, OpaqueKind, ParsedTransaction, PublicKey, RawSignature, Selector, WalletId,
};
use ed25519_dalek::{Signer as _, SigningKey};
use serde::Deserialize;

use crate::{
    Account, Address, Known, Mints, ParseError, Sender, SolanaNetwork,
    message::{Header, Instruction, Lookup, Message},
    parse,
};

pub(super) const HOT_SEED: [u8; 32] = [0x46; 32];
pub(super) const BLOCKHASH: [u8; 32] = [0x77; 32];
pub(super) const USDC: &str = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    solana: SolanaNetwork,
}

pub(super) fn network_of(yaml: &str) -> Result<SolanaNetwork, String> {
    let file: Result<File, _> = serde_saphyr::from_str(yaml);
    file.map(|file| file.solana).map_err(|error| error.to_string())
}

pub(super) fn mainnet() -> SolanaNetwork {
    network_of(include_str!("../../networks/mainnet.yaml")).unwrap()
}

pub(super) fn address(text: &str) -> Address {
    text.parse().unwrap()
}

pub(super) fn of_seed(byte: u8) -> Address {
    Address::new(SigningKey::from_bytes(&[byte; 32]).verifying_key().to_bytes())
}

pub(super) fn us() -> Address {
    of_seed(0x46)
}
pub(super) fn warm() -> Address {
    of_seed(0x47)
}
pub(super) fn alice() -> Address {
    of_seed(0x11)
}
pub(super) fn thief() -> Address {
    of_seed(0x12)
}
pub(super) fn nonce() -> Address {
    of_seed(0x13)
}
pub(super) fn stake() -> Address {
    of_seed(0x14)
}

pub(super) fn table() -> Address {
    of_seed(0x15)
}

pub(super) fn sign(seed: &[u8; 32], message: &[u8]) -> RawSignature {
    RawSignature::Ed25519(SigningKey::from_bytes(seed).sign(message).to_bytes())
}

/// One durable nonce account, attested.
pub(super) fn nonce_stores(account: Destination, authority: Destination, value: [u8; 32]) -> ChainFacts {
    let nonce = NonceAccount {
        height: 1,
        authority,
        value,
    };
    ChainFacts {
        nonces: [(account, nonce)].into(),
        ..ChainFacts::default()
    }
}

/// What a bundle with one network would give a parser.
pub(super) struct World {
    pub(super) network: SolanaNetwork,
    pub(super) wallet: WalletId,
    pub(super) account: Account,
    pub(super) assets: AssetRegistry,
    /// Of the assets, made once: tests parse millions of times.
    pub(super) mints: Mints,
    pub(super) own: BTreeMap<Destination, WalletId>,
    pub(super) facts: ChainFacts,
}

impl World {
    pub(super) fn new() -> Self {
        let network = mainnet();
        let on = |address: Address| address.on(network.chain()).unwrap();
        let token = AssetRecord {
            id: format!("{}/token:{USDC}", network.chain()).parse().unwrap(),
            symbol: "USDC".parse().unwrap(),
            decimals: Decimals::new(6).unwrap(),
            quirks: std::collections::BTreeSet::new(),
        };
        let assets = AssetRegistry::new([network.native().clone(), token]).unwrap();
        Self {
            mints: Mints::new(&assets),
            assets,
            wallet: "sol-hot".parse().unwrap(),
            account: Account::derive(&[PublicKey::Ed25519(*us().as_bytes())]).unwrap(),
            own: [(on(us()), "sol-hot"), (on(warm()), "sol-warm")]
                .map(|(place, wallet)| (place, wallet.parse().unwrap()))
                .into(),
            facts: nonce_stores(on(nonce()), on(us()), BLOCKHASH),
            network,
        }
    }

    pub(super) fn sender(&self) -> Sender<'_> {
        Sender {
            network: &self.network,
            wallet: &self.wallet,
            account: &self.account,
        }
    }

    pub(super) fn parse(&self, unsigned: &[u8]) -> Result<ParsedTransaction, ParseError> {
        let known = Known {
            mints: &self.mints,
            own: &self.own,
            facts: &self.facts,
        };
        parse(unsigned, &self.sender(), &known)
    }

    /// Observers attest the contents of the lookup table.
    pub(super) fn attest(&mut self, table: Address, contents: &[Address]) {
        let table = self.on(table);
        let contents = LookupTable {
            height: 1,
            addresses: contents.iter().map(|address| *address.as_bytes()).collect(),
        };
        self.facts.tables.insert(table, contents);
    }

    pub(super) fn on(&self, address: Address) -> Destination {
        address.on(self.network.chain()).unwrap()
    }

    pub(super) fn sol(&self, lamports: u64, to: Address) -> Effect {
        Effect::Transfer {
            asset: self.network.native().id.clone(),
            amount: Amount::from_base_units(lamports),
            destination: self.on(to),
        }
    }

    pub(super) fn usdc(&self, amount: u64, to: Address) -> Effect {
        Effect::Transfer {
            asset: format!("{}/token:{USDC}", self.network.chain()).parse().unwrap(),
            amount: Amount::from_base_units(amount),
            destination: self.on(to),
        }
    }

    pub(super) fn authority(&self, subject: Address, scope: AuthorityScope, holder: Option<Address>) -> Effect {
        Effect::AuthorityChange {
            subject: self.on(subject),
            scope,
            holder: holder.map(|holder| self.on(holder)),
        }
    }

    /// The effect of an instruction that is not understood, as it stands in a message.
    pub(super) fn opaque(&self, ix: &Ix, message: &Message) -> Effect {
        Effect::Opaque {
            what: OpaqueKind::Instruction,
            target: Some(self.on(ix.program)),
            bytes: ix.to_bytes(message),
        }
    }

    pub(super) fn call(&self, ix: &Ix, message: &Message) -> Effect {
        let mut selector = ix.data.clone();
        selector.resize(selector.len().max(4), 0);
        Effect::ContractCall {
            contract: self.on(ix.program),
            selector: Selector(selector[..4].try_into().unwrap()),
            args: ix.to_bytes(message),
        }
    }

    pub(super) fn code(&self, ix: &Ix, message: &Message, program: Address, change: CodeChangeKind) -> Effect {
        Effect::CodeChange {
            subject: Some(self.on(program)),
            change,
            code: ix.to_bytes(message),
        }
    }

    pub(super) fn fee(&self, lamports: u64) -> Effect {
        Effect::Fee {
            asset: self.network.native().id.clone(),
            max: Amount::from_base_units(lamports),
        }
    }
}

/// An instruction before it has a place in a message: accounts with whether they are writable.
#[derive(Debug, Clone)]
pub(super) struct Ix {
    pub(super) program: Address,
    pub(super) accounts: Vec<(Address, bool)>,
    pub(super) data: Vec<u8>,
}

impl Ix {
    pub(super) fn new(program: &str, accounts: &[(Address, bool)], data: &[&[u8]]) -> Self {
        Self {
            program: address(program),
            accounts: accounts.to_vec(),
            data: data.concat(),
        }
    }

    pub(super) fn with(&self, change: impl FnOnce(&mut Self)) -> Self {
        let mut changed = self.clone();
        change(&mut changed);
        changed
    }

    /// The documented form in effects, written a second time.
    fn to_bytes(&self, message: &Message) -> Vec<u8> {
        let readonly_from = message.keys.len() - message.header.readonly_unsigned as usize;
        let mut out = vec![self.accounts.len() as u8, 0];
        for (key, _) in &self.accounts {
            let at = message.keys.iter().position(|other| other == key).unwrap();
            out.extend_from_slice(key.as_bytes());
            out.push(match at {
                0 => 3,
                at if at < readonly_from => 2,
                _ => 0,
            });
        }
        out.extend_from_slice(&self.data);
        out
    }
}

pub(super) const SYSTEM: &str = "11111111111111111111111111111111";
pub(super) const TOKEN: &str = "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA";
pub(super) const TOKEN_2022: &str = "TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb";
pub(super) const ATA: &str = "ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL";
pub(super) const STAKE: &str = "Stake11111111111111111111111111111111111111";
pub(super) const BUDGET: &str = "ComputeBudget111111111111111111111111111111";
pub(super) const MEMO: &str = "MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr";
pub(super) const CLOCK: &str = "SysvarC1ock11111111111111111111111111111111";
pub(super) const BLOCKHASHES: &str = "SysvarRecentB1ockHashes11111111111111111111";

pub(super) fn transfer(lamports: u64, to: Address) -> Ix {
    Ix::new(
        SYSTEM,
        &[(us(), true), (to, true)],
        &[&2u32.to_le_bytes(), &lamports.to_le_bytes()],
    )
}

pub(super) fn token_account(owner: Address) -> Address {
    Address::associated(owner, address(TOKEN), address(USDC)).unwrap()
}

pub(super) fn token_transfer(amount: u64, to: Address) -> Ix {
    let accounts = [
        (token_account(us()), true),
        (address(USDC), false),
        (to, true),
        (us(), true),
    ];
    Ix::new(TOKEN, &accounts, &[&[12], &amount.to_le_bytes(), &[6]])
}

pub(super) fn open(owner: Address) -> Ix {
    let accounts = [
        (us(), true),
        (token_account(owner), true),
        (owner, false),
        (address(USDC), false),
        (address(SYSTEM), false),
        (address(TOKEN), false),
    ];
    Ix::new(ATA, &accounts, &[&[1]])
}

pub(super) fn advance() -> Ix {
    let accounts = [(nonce(), true), (address(BLOCKHASHES), false), (us(), true)];
    Ix::new(SYSTEM, &accounts, &[&4u32.to_le_bytes()])
}

pub(super) fn stake_authorize(kind: u32) -> Ix {
    let accounts = [(stake(), true), (address(CLOCK), false), (us(), true)];
    let holder = thief();
    let data: [&[u8]; 3] = [&1u32.to_le_bytes(), holder.as_bytes(), &kind.to_le_bytes()];
    Ix::new(STAKE, &accounts, &data)
}

/// A legacy message that the wallet alone signs.
pub(super) fn message(instructions: &[Ix]) -> Message {
    let mut roles: BTreeMap<Address, bool> = BTreeMap::new();
    for ix in instructions {
        roles.entry(ix.program).or_default();
        for (key, writable) in &ix.accounts {
            *roles.entry(*key).or_default() |= writable;
        }
    }
    roles.remove(&us());
    let of = |writable| roles.iter().filter(move |role| *role.1 == writable).map(|role| *role.0);
    let keys: Vec<Address> = [us()].into_iter().chain(of(true)).chain(of(false)).collect();
    let index = |key: &Address| keys.iter().position(|other| other == key).unwrap() as u8;
    let instructions = instructions.iter().map(|ix| Instruction {
        program: index(&ix.program),
        accounts: ix.accounts.iter().map(|(key, _)| index(key)).collect(),
        data: ix.data.clone(),
    });
    Message {
        header: Header {
            required_signatures: 1,
            readonly_signed: 0,
            readonly_unsigned: of(false).count() as u8,
        },
        blockhash: BLOCKHASH,
        instructions: instructions.collect(),
        lookups: None,
        keys,
    }
}

/// A version 0 message that takes from [`table`] whatever stands in `contents`.
pub(super) fn looked_up(instructions: &[Ix], contents: &[Address]) -> Message {
    let written = message(instructions);
    let readonly_from = written.keys.len() - written.header.readonly_unsigned as usize;
    let position = |key: &Address| contents.iter().position(|other| other == key).map(|at| at as u8);
    let moved = |writable: bool| {
        let keys = written.keys.iter().enumerate();
        let keys = keys.filter(move |(at, _)| (*at < readonly_from) == writable);
        keys.filter_map(|(at, key)| Some((at as u8, position(key)?)))
            .collect::<Vec<_>>()
    };
    let (writable, readonly) = (moved(true), moved(false));
    let kept = (0..written.keys.len() as u8).filter(|at| position(&written.keys[*at as usize]).is_none());
    let kept: Vec<u8> = kept.collect();
    let order: Vec<u8> = kept
        .iter()
        .copied()
        .chain(writable.iter().chain(&readonly).map(|(at, _)| *at))
        .collect();
    let renumber = |at: u8| order.iter().position(|other| *other == at).unwrap() as u8;
    let indices = |moved: &[(u8, u8)]| moved.iter().map(|(_, index)| *index).collect();
    let lookup = Lookup {
        table: table(),
        writable: indices(&writable),
        readonly: indices(&readonly),
    };
    let instructions = written.instructions.iter().map(|instruction| Instruction {
        program: renumber(instruction.program),
        accounts: instruction.accounts.iter().map(|at| renumber(*at)).collect(),
        data: instruction.data.clone(),
    });
    Message {
        header: Header {
            readonly_unsigned: written.header.readonly_unsigned - readonly.len() as u8,
            ..written.header
        },
        keys: kept.iter().map(|at| written.keys[*at as usize]).collect(),
        blockhash: written.blockhash,
        instructions: instructions.collect(),
        lookups: Some(vec![lookup]),
    }
}

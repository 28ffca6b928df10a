//! Unsigned messages from typed parameters, for clients and tests. The signer never drafts: it parses.

use std::collections::BTreeMap;

use countersign_types::{Amount, AssetId, ChainId, Decimals, Destination};

use crate::{
    Address, AddressError, MAX_MESSAGE_BYTES, TOKEN,
    message::{Header, Instruction, Message},
    network::NAMESPACE,
    programs,
};

/// Why parameters make no message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DraftError {
    /// The asset is not on a Solana network.
    #[error("`{0}` is not a Solana network")]
    NotSolana(ChainId),
    /// Asset, wallet, destination or nonce account are on different networks.
    #[error("the asset is on `{asset}`, `{other}` is on another network")]
    OtherNetwork {
        /// The asset's network.
        asset: ChainId,
        /// What is elsewhere.
        other: Destination,
    },
    /// Neither the native asset with lamports nor a token with its program.
    #[error("`{0}` is neither a native asset (`slip44`) nor a token (`token`) with its decimals and program")]
    UnknownAssetKind(AssetId),
    /// More than 64 bits of base units.
    #[error("Solana moves at most 2⁶⁴ − 1 base units at once, not {0}")]
    TooMuch(Amount),
    /// Over [`MAX_MESSAGE_BYTES`]: the memo is too long.
    #[error("the message has {0} bytes; at most {MAX_MESSAGE_BYTES} fit into a packet: shorten the memo")]
    TooLarge(usize),
    /// No owner has an associated account with this mint, with a probability of 2⁻²⁵⁶.
    #[error("`{0}` has no associated token account")]
    NoTokenAccount(Address),
    /// An address is refused.
    #[error(transparent)]
    Address(#[from] AddressError),
}

/// Which program a token lives in; a mint is one's or the other's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenProgram {
    /// SPL Token.
    Token,
    /// Token-2022.
    Token2022,
}

/// What a token transfer states beside the asset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenTerms {
    /// The registered decimals.
    pub decimals: Decimals,
    /// The mint's program.
    pub program: TokenProgram,
}

/// How long a message can land.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lifetime {
    /// While the blockhash is recent, about a minute.
    Blockhash([u8; 32]),
    /// Until the wallet's nonce account moves on.
    Nonce {
        /// The nonce account, under the wallet's authority.
        account: Destination,
        /// The value that it stores.
        value: [u8; 32],
    },
}

/// What the message may use and pays for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ComputeBudget {
    /// The most compute units.
    pub unit_limit: u32,
    /// The price of a unit, in micro-lamports.
    pub unit_price: u64,
}

/// The parameters of one transfer of lamports or of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferDraft {
    /// The wallet's account, which pays the fee.
    pub wallet: Destination,
    /// What moves; its chain is the network.
    pub asset: AssetId,
    /// For tokens and for nothing else: what the transfer states.
    pub token: Option<TokenTerms>,
    /// How much, in base units.
    pub amount: Amount,
    /// To whom. A token goes to the owner's associated token account, which is opened if it is not there.
    pub destination: Destination,
    /// How long the message can land.
    pub lifetime: Lifetime,
    /// Without one, the network's own limit and no priority.
    pub budget: Option<ComputeBudget>,
    /// A text for the recipient (a tag of an exchange, an invoice).
    pub memo: Option<String>,
}

/// An instruction before its accounts have indices; with each, whether it is writable.
struct Step {
    program: Address,
    accounts: Vec<(Address, bool)>,
    data: Vec<u8>,
}

impl TransferDraft {
    /// The canonical unsigned bytes of a legacy message.
    pub fn encode(&self) -> Result<Vec<u8>, DraftError> {
        let chain = self.asset.chain();
        if chain.namespace() != NAMESPACE {
            return Err(DraftError::NotSolana(chain.clone()));
        }
        let wallet = self.address(&self.wallet)?;
        let (advance, blockhash) = self.lifetime(wallet)?;
        let mut steps: Vec<Step> = advance.into_iter().collect();
        steps.extend(self.budget.iter().flat_map(ComputeBudget::steps));
        steps.extend(self.transfer(wallet)?);
        steps.extend(self.memo.iter().map(|text| Step {
            program: programs::MEMO_2,
            accounts: Vec::new(),
            data: text.as_bytes().to_vec(),
        }));
        let bytes = compile(wallet, &steps, blockhash).encode();
        if bytes.len() > MAX_MESSAGE_BYTES {
            return Err(DraftError::TooLarge(bytes.len()));
        }
        Ok(bytes)
    }

    fn address(&self, place: &Destination) -> Result<Address, DraftError> {
        if place.chain() != self.asset.chain() {
            return Err(DraftError::OtherNetwork {
                asset: self.asset.chain().clone(),
                other: place.clone(),
            });
        }
        Ok(place.address().parse::<Address>()?.certify_spendable()?)
    }

    fn lifetime(&self, wallet: Address) -> Result<(Option<Step>, [u8; 32]), DraftError> {
        Ok(match &self.lifetime {
            Lifetime::Blockhash(blockhash) => (None, *blockhash),
            Lifetime::Nonce { account, value } => {
                let accounts = vec![
                    (self.address(account)?, true),
                    (programs::SYSVAR_RECENT_BLOCKHASHES, false),
                    (wallet, false),
                ];
                let advance = Step {
                    program: programs::SYSTEM,
                    accounts,
                    data: vec![4, 0, 0, 0],
                };
                (Some(advance), *value)
            }
        })
    }

    fn transfer(&self, wallet: Address) -> Result<Vec<Step>, DraftError> {
        let to = self.address(&self.destination)?;
        let units = base_units(self.amount)?.to_le_bytes();
        match (self.asset.namespace(), &self.token) {
            ("slip44", None) => Ok(vec![Step {
                program: programs::SYSTEM,
                accounts: vec![(wallet, true), (to, true)],
                data: [&[2, 0, 0, 0], &units[..]].concat(),
            }]),
            (TOKEN, Some(terms)) => self.token_transfer(wallet, to, units, *terms),
            _ => Err(DraftError::UnknownAssetKind(self.asset.clone())),
        }
    }

    /// Opens the recipient's account where it is not there, which also proves whose it is; then pays.
    fn token_transfer(
        &self,
        wallet: Address,
        owner: Address,
        units: [u8; 8],
        terms: TokenTerms,
    ) -> Result<Vec<Step>, DraftError> {
        let mint = self.asset.reference().parse::<Address>()?.certify_spendable()?;
        let program = terms.program.address();
        let account = |owner| Address::associated(owner, program, mint).ok_or(DraftError::NoTokenAccount(owner));
        let (from, to) = (account(wallet)?, account(owner)?);
        let open = Step {
            program: programs::ASSOCIATED_TOKEN,
            accounts: vec![
                (wallet, true),
                (to, true),
                (owner, false),
                (mint, false),
                (programs::SYSTEM, false),
                (program, false),
            ],
            data: vec![1],
        };
        let pay = Step {
            program,
            accounts: vec![(from, true), (mint, false), (to, true), (wallet, false)],
            data: [&[12], &units[..], &[u8::from(terms.decimals)]].concat(),
        };
        Ok(vec![open, pay])
    }
}

impl TokenProgram {
    fn address(self) -> Address {
        match self {
            Self::Token => programs::TOKEN,
            Self::Token2022 => programs::TOKEN_2022,
        }
    }
}

impl ComputeBudget {
    fn steps(&self) -> [Step; 2] {
        let limit = [&[2], &self.unit_limit.to_le_bytes()[..]].concat();
        let price = [&[3], &self.unit_price.to_le_bytes()[..]].concat();
        [limit, price].map(|data| Step {
            program: programs::COMPUTE_BUDGET,
            accounts: Vec::new(),
            data,
        })
    }
}

fn base_units(amount: Amount) -> Result<u64, DraftError> {
    let bytes = amount.to_be_bytes();
    match bytes.split_last_chunk::<8>() {
        Some((high, low)) if high.iter().all(|byte| *byte == 0) => Ok(u64::from_be_bytes(*low)),
        Some(_) | None => Err(DraftError::TooMuch(amount)),
    }
}

/// Gives every account its one place: the payer, then what is written to, then the rest, each in order of address.
fn compile(payer: Address, steps: &[Step], blockhash: [u8; 32]) -> Message {
    let mut writable: BTreeMap<Address, bool> = BTreeMap::new();
    for step in steps {
        for (account, is_written) in step.accounts.iter().chain(&[(step.program, false)]) {
            *writable.entry(*account).or_default() |= is_written;
        }
    }
    writable.remove(&payer);
    let of = |is_written| {
        writable
            .iter()
            .filter(move |role| *role.1 == is_written)
            .map(|role| *role.0)
    };
    let keys: Vec<Address> = [payer].into_iter().chain(of(true)).chain(of(false)).collect();
    // A draft has a dozen accounts; were there more than a byte can name, the message would be refused as malformed.
    let index = |key: &Address| {
        let at = keys.iter().position(|other| other == key);
        at.and_then(|at| u8::try_from(at).ok()).unwrap_or(u8::MAX)
    };
    let instructions = steps.iter().map(|step| Instruction {
        program: index(&step.program),
        accounts: step.accounts.iter().map(|(account, _)| index(account)).collect(),
        data: step.data.clone(),
    });
    Message {
        header: Header {
            required_signatures: 1,
            readonly_signed: 0,
            readonly_unsigned: u8::try_from(of(false).count()).unwrap_or(u8::MAX),
        },
        blockhash,
        instructions: instructions.collect(),
        lookups: None,
        keys,
    }
}

//! ERC-7730 descriptors: what a call or a typed message means in the words of whoever made the contract.
//!
//! For the eyes of approvers and for nothing else: no effect, no decision and no digest depends on them. A descriptor is
//! somebody's claim, pinned by the bundle, so it can name things and never hide them: what it does not show is shown as it
//! is, under its own name.

mod calldata;
mod descriptor;
mod field;
mod format;
mod leaves;
mod lines;
mod object;
mod path;
mod signature;

pub use descriptor::{Descriptor, DescriptorError, MAX_DESCRIPTOR_BYTES};

use alloy_primitives::{Address, TxKind, U256};

use crate::{Known, ParseError, Sender, message::Signable};

use format::Context;
use lines::Page;

/// One line of a display.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisplayLine {
    /// What the descriptor calls it; for what it leaves out, the path in quotes.
    pub label: String,
    /// Printable ASCII.
    pub text: String,
}

/// What a descriptor says of unsigned bytes, in printable ASCII.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Display {
    /// Who wrote the descriptor, as it says itself.
    pub owner: String,
    /// What signing is for, in its words.
    pub intent: String,
    /// Every argument or member, in the descriptor's order; then those that it does not name.
    pub lines: Vec<DisplayLine>,
}

/// Displays unsigned bytes with the first descriptor that is for their contract and function, or message; `None` where no
/// descriptor is for them or the arguments are not the canonical encoding of its function's parameters.
pub fn display(
    unsigned: &[u8],
    sender: &Sender<'_>,
    known: &Known<'_>,
    descriptors: &[Descriptor],
) -> Result<Option<Display>, ParseError> {
    let page = |contract: Address, value| Page {
        context: Context {
            sender,
            known,
            contract,
            from: sender.account.address(),
            value,
        },
        descriptors,
        depth: 0,
    };
    Ok(match &Signable::decode_for(unsigned, sender.network)? {
        Signable::Transaction(tx, _) => match tx.to() {
            TxKind::Call(to) => page(to, tx.value()).call(tx.input()),
            TxKind::Create => None,
        },
        Signable::TypedData(data, _) => {
            let contract = data.certify_domain(sender.network)?;
            let chain_id = sender.network.chain_id();
            let mut found = descriptors.iter();
            let found = found.find_map(|of| Some((of, of.message(chain_id, contract, data)?)));
            found.and_then(|(of, format)| Some(page(contract, U256::ZERO).message(of, format, data.parts()?)))
        }
        Signable::Personal(_) => None,
    })
}

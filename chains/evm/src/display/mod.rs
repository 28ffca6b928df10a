//! ERC-7730 descriptors: what a call or a typed message means in the words of whoever made the contract.
//!
//! For the eyes of approvers and for nothing else: no effect, no decision and no digest depends on them. A descriptor is
//! somebody's claim, pinned by the bundle, so it can name things and never hide them: what it does not show is shown as it
//! is, under its own name.

mod calldata;
mod descriptor;
mod format;
mod leaves;

pub use descriptor::{Descriptor, DescriptorError, MAX_DESCRIPTOR_BYTES};

use alloy_primitives::{Address, TxKind};

use crate::{Known, ParseError, Sender, message::Signable};

use format::Context;
use leaves::leaves;

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
    let chain_id = sender.network.chain_id();
    let context = |contract: Address, value| Context {
        network: sender.network,
        known,
        contract,
        value,
    };
    Ok(match &Signable::decode_for(unsigned, sender.network)? {
        Signable::Transaction(tx, _) => {
            let TxKind::Call(to) = tx.to() else {
                return Ok(None);
            };
            let found = descriptors
                .iter()
                .find_map(|of| Some((of, of.call(chain_id, to, tx.input())?)));
            found.and_then(|(of, format)| {
                let (signature, args) = (format.signature.as_ref()?, tx.input().get(4..)?);
                let parts = calldata::read(&signature.fields, args)?;
                let leaves = leaves(&signature.fields, &parts, None);
                Some(of.lines(format, &leaves, &context(to, tx.value())))
            })
        }
        Signable::TypedData(data, _) => {
            let contract = data.certify_domain(sender.network)?;
            let found = descriptors
                .iter()
                .find_map(|of| Some((of, of.message(chain_id, contract, data.type_text()?)?)));
            found.and_then(|(of, format)| {
                let (fields, parts) = data.parts()?;
                let leaves = leaves(fields, parts, Some(data.schema()));
                Some(of.lines(format, &leaves, &context(contract, alloy_primitives::U256::ZERO)))
            })
        }
        Signable::Personal(_) => None,
    })
}

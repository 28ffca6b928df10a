//! What typed data lets others do.
//!
//! Every message is a `DelayedAuthorization` through its contract: it is used by whoever holds it, when they like, and what
//! it says of deadlines only narrows that. Beside it stand the effects of a message that is understood whole; of any other the
//! bytes stand there too, as `Opaque`. Nothing is less visible for being understood in part.

use alloy_primitives::{Address, address};
use countersign_types::{Effect, OpaqueKind};

use super::{TypedData, known::Known as KnownMessage};
use crate::{
    Known, ParseError, Sender,
    calls::{Inner, Operation, Scene},
    message::no_fee,
};

/// Permit2, at the same address on every network that has it.
const PERMIT2: Address = address!("000000000022D473030F116dDEE9F6B43aC78BA3");

impl TypedData {
    /// The effects of a message whose canonical bytes are `unsigned`.
    pub(crate) fn effects(
        &self,
        unsigned: &[u8],
        sender: &Sender<'_>,
        known: &Known<'_>,
    ) -> Result<Vec<Effect>, ParseError> {
        let contract = self.certify_domain(sender.network)?;
        let mut scene = Scene::new(sender.network, known);
        let signer = sender.account.address();
        let is_whole = match KnownMessage::of(&self.schema, &self.primary, &self.message) {
            Some(message) => scene.typed_message(&message, contract, signer)?,
            None => false,
        };
        let mechanism = scene.destination(contract)?;
        scene.push(Effect::DelayedAuthorization {
            mechanism: mechanism.clone(),
        });
        if !is_whole {
            scene.push(Effect::Opaque {
                what: OpaqueKind::TypedData,
                target: Some(mechanism),
                bytes: unsigned.to_vec(),
            });
        }
        scene.push(no_fee(sender.network));
        Ok(scene.into_effects())
    }
}

impl Scene<'_> {
    /// Whether the effects are the whole message.
    fn typed_message(
        &mut self,
        message: &KnownMessage<'_>,
        contract: Address,
        signer: Address,
    ) -> Result<bool, ParseError> {
        match message {
            KnownMessage::Permit { owner, spender, amount } => {
                // Another own wallet's tokens are none of this wallet's policy; a third party's are none of ours.
                let is_ours = self.is_ours(*owner, signer)?;
                match self.registered_erc20(contract).filter(|_| is_ours) {
                    Some(asset) => self.allowance(asset, *amount, *spender).map(|()| *owner == signer),
                    None => Ok(false),
                }
            }
            KnownMessage::Permit2 {
                spender,
                tokens,
                has_witness,
            } if contract == PERMIT2 => {
                let mut is_whole = !has_witness;
                for (token, amount) in tokens {
                    match self.registered_erc20(*token) {
                        Some(asset) => self.allowance(asset, *amount, *spender)?,
                        None => is_whole = false,
                    }
                }
                Ok(is_whole)
            }
            KnownMessage::Permit2 { .. } => Ok(false),
            KnownMessage::SafeTx {
                to,
                value,
                data,
                operation,
                has_refund,
            } => {
                let Some(operation) = Operation::of(*operation) else {
                    return Ok(false);
                };
                // A `delegatecall` passes no value on: what one says is not what happens.
                let is_whole = !has_refund && (operation == Operation::Call || value.is_zero());
                let (to, value) = (*to, *value);
                self.account_operation(
                    contract,
                    &Inner {
                        to,
                        value,
                        data,
                        operation,
                    },
                    0,
                )?;
                Ok(is_whole)
            }
        }
    }
}

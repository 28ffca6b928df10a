//! EIP-7702 authorizations: accounts that let foreign code act for them, from now on and until they say otherwise.

use alloy_eips::eip7702::SignedAuthorization;
use alloy_primitives::{Address, U256};
use countersign_types::{AuthorityScope, ConflictKey, Effect};
use k256::ecdsa::{RecoveryId, Signature, VerifyingKey};

use crate::{
    Known, ParseError, Sender,
    address::{address_of, destination},
    transaction::Unsigned,
};

/// One authorization whose signature was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Delegation {
    /// Who signed it.
    authority: Address,
    /// Whose code acts for them; the zero address takes an earlier delegation back.
    delegate: Address,
    /// The authority's nonce that it uses up.
    nonce: u64,
}

/// Recovers who signed each authorization of a transaction. A network skips authorizations that it finds invalid; here
/// they are refused, since what nobody signed says nothing.
pub(crate) fn recover_delegations(tx: &Unsigned, sender: &Sender<'_>) -> Result<Vec<Delegation>, ParseError> {
    let authorizations = tx.authorizations().iter().enumerate();
    authorizations
        .map(|(index, authorization)| {
            certify_chain(index, authorization, sender)?;
            recover(authorization).ok_or(ParseError::BadAuthorization { index })
        })
        .collect()
}

/// Chain id 0 would be valid on every network.
fn certify_chain(index: usize, authorization: &SignedAuthorization, sender: &Sender<'_>) -> Result<(), ParseError> {
    if *authorization.chain_id() == U256::from(sender.network.chain_id()) {
        return Ok(());
    }
    Err(ParseError::AuthorizationWrongChain {
        index,
        network: sender.network.chain().clone(),
    })
}

/// EIP-7702: the nonce is below 2⁶⁴ − 1, r and s are scalars of the curve, s is low, and the parity is a bit.
fn recover(authorization: &SignedAuthorization) -> Option<Delegation> {
    let is_odd = match authorization.y_parity() {
        0 => false,
        1 => true,
        _ => return None,
    };
    let (r, s) = (
        authorization.r().to_be_bytes::<32>(),
        authorization.s().to_be_bytes::<32>(),
    );
    let signature = Signature::from_scalars(r, s).ok()?;
    if signature.normalize_s() != signature || authorization.nonce() == u64::MAX {
        return None;
    }
    let hash = authorization.inner().signature_hash();
    let key = VerifyingKey::recover_from_prehash(hash.as_slice(), &signature, RecoveryId::new(is_odd, false)).ok()?;
    Some(Delegation {
        authority: address_of(&key)?,
        delegate: *authorization.address(),
        nonce: authorization.nonce(),
    })
}

impl Delegation {
    pub(crate) fn effect(&self, sender: &Sender<'_>) -> Result<Effect, ParseError> {
        let at = |address| destination(sender.network.chain(), address);
        let has_delegate = !self.delegate.is_zero();
        Ok(Effect::AuthorityChange {
            subject: at(self.authority)?,
            scope: AuthorityScope::Delegate,
            holder: has_delegate.then(|| at(self.delegate)).transpose()?,
        })
    }

    /// The nonce that an own account would lose: no other transaction of ours may use it.
    pub(crate) fn conflict_key(
        &self,
        sender: &Sender<'_>,
        known: &Known<'_>,
    ) -> Result<Option<ConflictKey>, ParseError> {
        let account = destination(sender.network.chain(), self.authority)?;
        let is_own = self.authority == sender.account.address() || known.own.contains_key(&account);
        let nonce = self.nonce;
        Ok(is_own.then_some(ConflictKey::AccountNonce { account, nonce }))
    }
}

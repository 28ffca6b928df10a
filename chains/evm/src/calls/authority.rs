//! Who owns, administers and implements a contract. The call stays beside each effect: roles and inner calls are in it.

use alloy_primitives::Address;
use countersign_types::{AuthorityScope, CodeChangeKind, Destination, Effect};

use super::{Call, Scene, function::Authority};
use crate::{ParseError, abi};

impl Scene<'_> {
    pub(super) fn authority(&mut self, function: Authority, call: &Call<'_>) -> Result<(), ParseError> {
        let Some(effect) = self.authority_effect(function, call)? else {
            return self.malformed(call);
        };
        self.contract_call(call)?;
        self.push(effect);
        Ok(())
    }

    fn authority_effect(&self, function: Authority, call: &Call<'_>) -> Result<Option<Effect>, ParseError> {
        let one = || abi::read(call.args, 1, abi::Frame::address);
        let two = || abi::read(call.args, 2, |args| Some((args.address()?, args.address()?)));
        let role = || abi::read(call.args, 2, |args| args.word().and_then(|_| args.address()));
        let nothing = || call.args.is_empty().then_some(());
        let (owner, this) = (AuthorityScope::Owner, call.contract);
        Ok(match function {
            Authority::TransferOwnership | Authority::ChangeAdmin => {
                one().map(|holder| self.hand_over(this, owner, holder)).transpose()?
            }
            Authority::RenounceOwnership => nothing().map(|()| self.give_up(this, owner)).transpose()?,
            Authority::AcceptOwnership => nothing()
                .map(|()| self.hand_over(this, owner, call.actor))
                .transpose()?,
            Authority::ChangeProxyAdmin => two()
                .map(|(proxy, holder)| self.hand_over(proxy, owner, holder))
                .transpose()?,
            Authority::GrantRole => role()
                .map(|holder| self.hand_over(this, AuthorityScope::Role, holder))
                .transpose()?,
            Authority::RevokeRole | Authority::RenounceRole => {
                role().map(|_| self.give_up(this, AuthorityScope::Role)).transpose()?
            }
            Authority::UpgradeTo => one().map(|code| self.upgrade(this, code, &[])).transpose()?,
            Authority::Upgrade => two().map(|(proxy, code)| self.upgrade(proxy, code, &[])).transpose()?,
            Authority::UpgradeToAndCall => abi::read(call.args, 2, |args| Some((args.address()?, args.bytes()?)))
                .map(|(code, inner)| self.upgrade(this, code, inner))
                .transpose()?,
            Authority::UpgradeAndCall => abi::read(call.args, 3, |args| {
                Some((args.address()?, args.address()?, args.bytes()?))
            })
            .map(|(proxy, code, inner)| self.upgrade(proxy, code, inner))
            .transpose()?,
        })
    }

    /// A new holder; the zero address is nobody.
    pub(super) fn hand_over(
        &self,
        subject: Address,
        scope: AuthorityScope,
        holder: Address,
    ) -> Result<Effect, ParseError> {
        Ok(self.authority_change(self.destination(subject)?, scope, self.holder(holder)?))
    }

    /// A right is taken from somebody, or its terms change.
    pub(super) fn give_up(&self, subject: Address, scope: AuthorityScope) -> Result<Effect, ParseError> {
        Ok(self.authority_change(self.destination(subject)?, scope, None))
    }

    fn authority_change(&self, subject: Destination, scope: AuthorityScope, holder: Option<Destination>) -> Effect {
        Effect::AuthorityChange { subject, scope, holder }
    }

    /// The new code's address and the call that runs it at once, if any.
    pub(super) fn upgrade(&self, proxy: Address, code: Address, inner: &[u8]) -> Result<Effect, ParseError> {
        Ok(Effect::CodeChange {
            subject: Some(self.destination(proxy)?),
            change: CodeChangeKind::Upgrade,
            code: [code.as_slice(), inner].concat(),
        })
    }
}

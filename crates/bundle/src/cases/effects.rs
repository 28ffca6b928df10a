//! The effects of a policy test.

use std::collections::BTreeMap;

use countersign_types::{
    Amount, AssetId, AuthorityScope, ChainId, CodeChangeKind, Destination, Effect, OpaqueKind, PrincipalId, Tag,
    WalletId,
};

use super::{At, CaseEffect, field, raw::RawEffect};
use crate::{
    Bundle,
    amount::quantity,
    policy::{selector, word_value},
    problem::Problem,
};

/// What every effect of one test is read with.
pub(super) struct Effects<'a> {
    pub(super) network: &'a ChainId,
    pub(super) bundle: &'a Bundle,
}

const FORMS: &str = "an effect is exactly one of `transfer`, `internal`, `fee`, `allowance`, `call`, `opaque: true`, \
                     `authority-change: true`, `code-change: true`, `delayed-authorization: true` and `personal-message: true`";

/// How the addresses begin that stand for any that no rule names ([`countersign_policy::analysis`]).
const STRANGER: &str = "stranger-";

impl Effects<'_> {
    pub(super) fn read(&self, path: &str, raw: &RawEffect) -> Result<CaseEffect, At> {
        let one = OneEffect {
            effects: self,
            path,
            raw,
        };
        one.certify_fields()?;
        let books = raw.address_books.as_ref();
        let books = books.map(|books| {
            books
                .iter()
                .map(|id| self.service(id).map(|id| (id, true)))
                .collect::<Result<BTreeMap<PrincipalId, bool>, _>>()
        });
        let place = |name: &str| format!("{path}.{name}");
        Ok(CaseEffect {
            effect: one.effect()?,
            subject: raw
                .subject
                .as_ref()
                .map(|text| field(&place("subject"), text.parse()))
                .transpose()?,
            is_first_seen: raw.first_seen,
            entry_age: raw
                .entry_age
                .as_ref()
                .map(|text| field(&place("entry-age"), text.parse()))
                .transpose()?,
            books: books.map(|books| field(&place("address-books"), books)).transpose()?,
        })
    }

    /// A service of the roster; nobody else keeps a book.
    fn service(&self, text: &str) -> Result<PrincipalId, Problem> {
        let id: PrincipalId = text.parse()?;
        match self.bundle.roster().is_service(&id) {
            true => Ok(id),
            false => Err(Problem::UnknownService(id)),
        }
    }
}

struct OneEffect<'a> {
    effects: &'a Effects<'a>,
    path: &'a str,
    raw: &'a RawEffect,
}

impl OneEffect<'_> {
    fn effect(&self) -> Result<Effect, At> {
        let raw = self.raw;
        let amounts = [&raw.transfer, &raw.internal, &raw.fee, &raw.allowance, &raw.call];
        let flags = [
            raw.opaque,
            raw.authority_change,
            raw.code_change,
            raw.delayed_authorization,
            raw.personal_message,
        ];
        let named = amounts.iter().filter(|form| form.is_some()).count();
        let set = flags.iter().filter(|flag| **flag == Some(true)).count();
        let is_false = flags.contains(&Some(false));
        if named.saturating_add(set) != 1 || is_false {
            return Err((self.path.to_owned(), Problem::Said(Tag::BundleBadValue, FORMS)));
        }
        match (&raw.transfer, &raw.internal, &raw.fee, &raw.allowance) {
            (Some(text), ..) => self.transfer(text),
            (_, Some(text), ..) => self.internal(text),
            (_, _, Some(text), _) => {
                let (asset, max) = self.amount("fee", text)?;
                Ok(Effect::Fee { asset, max })
            }
            (_, _, _, Some(text)) => {
                let (asset, amount) = self.amount("allowance", text)?;
                let spender = self.to()?;
                Ok(Effect::Allowance { asset, amount, spender })
            }
            (None, None, None, None) => self.other(),
        }
    }

    /// What would say nothing of this effect: whoever wrote it meant something.
    fn certify_fields(&self) -> Result<(), At> {
        let raw = self.raw;
        let is_moved = raw.fee.is_some() || raw.internal.is_some();
        let surplus = [
            ("words", raw.words.is_some() && raw.call.is_none()),
            ("wallet", raw.wallet.is_some() && raw.internal.is_none()),
            ("to", raw.to.is_some() && (is_moved || raw.personal_message.is_some())),
            ("subject", raw.subject.is_some() && is_moved),
            ("first-seen", raw.first_seen.is_some() && is_moved),
            ("entry-age", raw.entry_age.is_some() && is_moved),
            ("address-books", raw.address_books.is_some() && is_moved),
        ];
        match surplus.into_iter().find(|(_, is_surplus)| *is_surplus) {
            None => Ok(()),
            Some((name, _)) => Err((
                self.place(name),
                Problem::Said(Tag::BundleUnknownField, "this kind of effect has no such field"),
            )),
        }
    }

    fn place(&self, name: &str) -> String {
        format!("{}.{name}", self.path)
    }

    fn amount(&self, name: &str, text: &str) -> Result<(AssetId, Amount), At> {
        let assets = self.effects.bundle.registry().assets();
        field(&self.place(name), quantity(text, self.effects.network, assets))
    }

    fn transfer(&self, text: &str) -> Result<Effect, At> {
        let (asset, amount) = self.amount("transfer", text)?;
        let destination = self.to()?;
        if let Some(wallet) = self.effects.bundle.registry().own_wallet(&destination) {
            let error =
                format!("the address is wallet `{wallet}` of the bundle: write `internal`, and `wallet: {wallet}`");
            return Err((self.place("to"), bad(destination.as_str(), error)));
        }
        Ok(Effect::Transfer {
            asset,
            amount,
            destination,
        })
    }

    fn internal(&self, text: &str) -> Result<Effect, At> {
        let (asset, amount) = self.amount("internal", text)?;
        let missing = || {
            (
                self.path.to_owned(),
                Problem::Said(Tag::BundleMissingValue, "the effect needs `wallet`"),
            )
        };
        let wallet = self.raw.wallet.as_ref().ok_or_else(missing)?;
        let wallet: WalletId = field(&self.place("wallet"), wallet.parse())?;
        let own = self
            .effects
            .bundle
            .registry()
            .wallet_destination(self.effects.network, &wallet);
        let absent = || {
            (
                self.place("wallet"),
                Problem::Said(Tag::BundleUnknownName, "no such wallet on the network"),
            )
        };
        Ok(Effect::Internal {
            asset,
            amount,
            wallet,
            destination: own.ok_or_else(absent)?,
            change: false,
        })
    }

    /// What moves no amount that could be named.
    fn other(&self) -> Result<Effect, At> {
        let raw = self.raw;
        if let Some(text) = &raw.call {
            let words = raw.words.iter().flatten().enumerate();
            let words = words.map(|(n, word)| field(&self.place(&format!("words[{n}]")), word_value(word)));
            let words: Vec<Amount> = words.collect::<Result<_, _>>()?;
            return Ok(Effect::ContractCall {
                contract: self.to()?,
                selector: field(&self.place("call"), selector(text))?,
                args: words.into_iter().flat_map(Amount::to_be_bytes).collect(),
            });
        }
        if raw.authority_change.is_some() {
            let holder = self.maybe_to()?;
            let subject = self.own_or_to(holder.as_ref())?;
            let scope = AuthorityScope::Owner;
            return Ok(Effect::AuthorityChange { subject, scope, holder });
        }
        if raw.code_change.is_some() {
            return Ok(Effect::CodeChange {
                subject: self.maybe_to()?,
                change: CodeChangeKind::Deploy,
                code: Vec::new(),
            });
        }
        if raw.delayed_authorization.is_some() {
            let mechanism = self.to()?;
            return Ok(Effect::DelayedAuthorization { mechanism });
        }
        if raw.personal_message.is_some() {
            return Ok(Effect::PersonalMessage { bytes: Vec::new() });
        }
        Ok(Effect::Opaque {
            what: OpaqueKind::Calldata,
            target: self.maybe_to()?,
            bytes: Vec::new(),
        })
    }

    /// Whose authority changes matters to no rule: any own account stands for it.
    fn own_or_to(&self, holder: Option<&Destination>) -> Result<Destination, At> {
        let registry = self.effects.bundle.registry();
        let mut wallets = registry.wallets().iter();
        let own = wallets.find_map(|wallet| registry.wallet_destination(self.effects.network, &wallet.id));
        let missing = || {
            (
                self.path.to_owned(),
                Problem::Said(Tag::BundleUnknownName, "no wallet is on the network"),
            )
        };
        own.or_else(|| holder.cloned()).ok_or_else(missing)
    }

    fn to(&self) -> Result<Destination, At> {
        self.maybe_to()?.ok_or_else(|| {
            (
                self.path.to_owned(),
                Problem::Said(Tag::BundleMissingValue, "the effect needs `to`"),
            )
        })
    }

    fn maybe_to(&self) -> Result<Option<Destination>, At> {
        let parse = |text: &String| field(&self.place("to"), self.destination(text));
        self.raw.to.as_ref().map(parse).transpose()
    }

    /// In the form in which a parse of the network writes it, or one of the strangers that the analysis makes up.
    fn destination(&self, text: &str) -> Result<Destination, Problem> {
        let destination = text.parse::<Destination>();
        let destination = destination.map_err(|error| bad(text, error.to_string()))?;
        if destination.chain() != self.effects.network {
            return Err(bad(text, "the address is of another network than the test".to_owned()));
        }
        if destination.address().starts_with(STRANGER) {
            return Ok(destination);
        }
        let registry = self.effects.bundle.registry();
        let written = registry.parse_destination(destination.chain(), destination.address());
        written.map_err(|error| bad(text, error.to_string()))
    }
}

fn bad(address: &str, error: String) -> Problem {
    let address = address.chars().take(128).collect();
    Problem::BadDestination { address, error }
}

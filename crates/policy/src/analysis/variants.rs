//! The kinds of effect with their assets and destinations, amounts with prices, and batches of equal payments.

use std::collections::BTreeSet;

use countersign_types::{
    Amount, AssetId, AuthorityScope, ChainId, CodeChangeKind, Destination, Effect, EffectKind, OpaqueKind, Selector,
};

use super::{
    Item, Withdrawal,
    cells::{self, parts_over},
    regions::{Active, Visitor, Walk},
    setting::asked,
};
use crate::{Assets, Bounds, Condition, Currency, FeeRate, FeeShare, MONEY_DECIMALS, PRICE_DECIMALS, Price, Prices};

/// The most transfers that a fee is tried beside: to destinations that other permits may cover.
const MAX_COMPANIONS: usize = 4;

impl Walk<'_> {
    /// Every kind of effect on a network, with every asset where it has one, and one that no bundle knows.
    pub(super) fn effects(&self, network: &ChainId) -> Vec<Effect> {
        let Some(nowhere) = self.strangers(network).into_iter().next() else {
            return Vec::new();
        };
        let kinds = EffectKind::ALL.into_iter();
        kinds
            .flat_map(|kind| self.effects_of(kind, network, &nowhere))
            .collect()
    }

    fn effects_of(&self, kind: EffectKind, network: &ChainId, nowhere: &Destination) -> Vec<Effect> {
        let amount = Amount::from_base_units(1);
        let assets = || self.assets(network).into_iter();
        let to = || nowhere.clone();
        match kind {
            EffectKind::Transfer => {
                let transfer = |asset| Effect::Transfer {
                    asset,
                    amount,
                    destination: to(),
                };
                assets().map(transfer).collect()
            }
            EffectKind::Internal => assets().flat_map(|asset| self.moves(network, &asset, amount)).collect(),
            EffectKind::Fee => {
                let taken = assets().filter(|asset| {
                    let mut settings = self.settings.iter();
                    settings.any(|setting| setting.fee_assets.get(network) == Some(asset))
                });
                taken.map(|asset| Effect::Fee { asset, max: amount }).collect()
            }
            EffectKind::Allowance => {
                let allowance = |asset| Effect::Allowance {
                    asset,
                    amount,
                    spender: to(),
                };
                assets().map(allowance).collect()
            }
            EffectKind::AuthorityChange => vec![Effect::AuthorityChange {
                subject: to(),
                scope: AuthorityScope::Owner,
                holder: None,
            }],
            EffectKind::CodeChange => vec![Effect::CodeChange {
                subject: None,
                change: CodeChangeKind::Deploy,
                code: Vec::new(),
            }],
            EffectKind::DelayedAuthorization => vec![Effect::DelayedAuthorization { mechanism: to() }],
            EffectKind::ContractCall => vec![Effect::ContractCall {
                contract: to(),
                selector: Selector([0; 4]),
                args: Vec::new(),
            }],
            EffectKind::Opaque => vec![Effect::Opaque {
                what: OpaqueKind::Calldata,
                target: None,
                bytes: Vec::new(),
            }],
            EffectKind::PersonalMessage => vec![Effect::PersonalMessage { bytes: Vec::new() }],
        }
    }

    fn assets(&self, network: &ChainId) -> BTreeSet<AssetId> {
        let records = self.settings.iter().flat_map(|setting| setting.assets.iter());
        let known = records
            .map(|record| record.id.clone())
            .filter(|asset| asset.chain() == network);
        let stray = format!("{network}/token:unlisted").parse().ok();
        // Bundles name assets that they have; what is asked of another one is about it as well.
        let conditions = self.rules.iter().flat_map(|rule| rule.conditions.iter());
        let named = conditions.filter_map(|condition| {
            if let Condition::Assets(Assets(named)) = condition {
                Some(named.iter().filter(|asset| asset.chain() == network).cloned())
            } else {
                None
            }
        });
        known.chain(stray).chain(named.flatten()).collect()
    }

    fn strangers(&self, network: &ChainId) -> Vec<Destination> {
        let classes = self.cells.destinations.get(network);
        let is_listed = |at: &Destination| self.settings.iter().any(|setting| setting.lists.is_listed(at));
        let class = classes
            .into_iter()
            .flatten()
            .find(|class| class.first().is_some_and(|at| !is_listed(at)));
        class.cloned().unwrap_or_default()
    }

    /// A move to each own wallet of the network.
    fn moves(&self, network: &ChainId, asset: &AssetId, amount: Amount) -> BTreeSet<Effect> {
        let sites = self.settings.iter().flat_map(|setting| &setting.wallets);
        let sites = sites.filter(|((_, chain), _)| chain == network);
        let moves = sites.map(|((wallet, _), site)| Effect::Internal {
            asset: asset.clone(),
            amount,
            wallet: wallet.clone(),
            destination: site.receives.clone(),
            change: false,
        });
        moves.collect()
    }

    fn is_own(&self, destination: &Destination) -> bool {
        let mut sites = self.settings.iter().flat_map(|setting| setting.wallets.values());
        sites.any(|site| site.receives == *destination)
    }

    /// The effect to one destination of each class, and to none where it may have none.
    pub(super) fn destinations(&self, withdrawal: &Withdrawal, effect: &Effect) -> Vec<Effect> {
        let classes = self.cells.destinations.get(&withdrawal.network);
        // What is paid to an own address is a move, and those were told apart with the kinds of effect.
        let is_transfer = effect.kind() == EffectKind::Transfer;
        let each = classes
            .into_iter()
            .flatten()
            .filter_map(|class| class.iter().find(|to| !is_transfer || !self.is_own(to)));
        let nowhere = match effect.kind() {
            EffectKind::AuthorityChange | EffectKind::CodeChange | EffectKind::Opaque => Some(effect.clone()),
            EffectKind::Fee | EffectKind::Internal | EffectKind::PersonalMessage => return vec![effect.clone()],
            EffectKind::Transfer
            | EffectKind::Allowance
            | EffectKind::DelayedAuthorization
            | EffectKind::ContractCall => None,
        };
        each.map(|to| directed(effect, to)).chain(nowhere).collect()
    }

    /// Every amount that bounds tell apart, at every price that bounds tell apart, alone and in batches.
    pub(super) fn amounts(&mut self, withdrawal: &Withdrawal, active: &Active, visitor: &mut dyn Visitor) {
        let Some(asset) = withdrawal.items.first().and_then(|item| item.effect.asset()).cloned() else {
            if self.step() {
                visitor.visit(withdrawal);
            }
            return;
        };
        let bounds = self.bounds(active, false);
        for amount in cells::amounts(bounds.iter(), &asset, self.whole(&asset)) {
            let paid = scaled(withdrawal, amount);
            let rated = self.rated(&paid, &asset, amount, active);
            let priced = rated.iter().flat_map(|paid| self.priced(paid, &asset, amount, &bounds));
            for priced in priced.collect::<Vec<_>>() {
                if !self.step() {
                    return;
                }
                visitor.visit(&priced);
                self.remember(&priced, &asset);
                self.batches(&priced, &asset, active, visitor);
                self.await_companions(&priced, active);
            }
        }
    }

    fn whole(&self, asset: &AssetId) -> Amount {
        let record = self.settings.iter().find_map(|setting| setting.assets.asset(asset));
        let whole = record.and_then(|record| power_of_ten(u8::from(record.decimals)));
        whole.unwrap_or(Amount::from_base_units(1))
    }

    /// A fee for just as many units as a rate needs for it, for one less, and for nobody knows how many.
    fn rated(&self, paid: &Withdrawal, asset: &AssetId, amount: Amount, active: &Active) -> Vec<Withdrawal> {
        let rules = self.rules.iter().zip(active).filter(|(_, is_active)| **is_active);
        let conditions = rules.flat_map(|(rule, _)| rule.conditions.iter());
        let rates = conditions.filter_map(|condition| {
            if let Condition::FeeRate(FeeRate(bounds)) = condition {
                bounds.bound(asset)
            } else {
                None
            }
        });
        let enough = rates.filter_map(|rate| amount.checked_div_ceil(rate)?.to_string().parse::<u64>().ok());
        let units: BTreeSet<u64> = enough
            .flat_map(|units| [Some(units), units.checked_sub(1)])
            .flatten()
            .collect();
        let with = |fee_units| Withdrawal {
            fee_units,
            ..paid.clone()
        };
        units.into_iter().map(Some).chain([None]).map(with).collect()
    }

    /// At each price at which the amount's worth lies in another cell, and at none.
    fn priced(&self, paid: &Withdrawal, asset: &AssetId, amount: Amount, bounds: &[Bounds]) -> Vec<Withdrawal> {
        let money = bounds.iter().flat_map(Bounds::money);
        let currencies: BTreeSet<Currency> = money.map(|(currency, _)| currency).collect();
        let mut all: Vec<Vec<((AssetId, Currency), Price)>> = vec![Vec::new()];
        for currency in &currencies {
            let worths = cells::worths(bounds.iter(), *currency);
            let prices: Vec<Price> = worths
                .iter()
                .filter_map(|worth| self.price(asset, amount, *worth))
                .collect();
            let each = all.iter().flat_map(|held| {
                prices.iter().map(move |price| {
                    let mut held = held.clone();
                    held.push(((asset.clone(), *currency), *price));
                    held
                })
            });
            all = each.collect();
        }
        if !currencies.is_empty() {
            all.push(Vec::new());
        }
        let with = |prices: Vec<_>| Withdrawal {
            prices: Prices::new(prices.into_iter().collect()),
            ..paid.clone()
        };
        all.into_iter().map(with).collect()
    }

    /// The price at which an amount is worth so much.
    fn price(&self, asset: &AssetId, amount: Amount, worth: Amount) -> Option<Price> {
        let record = self.settings.iter().find_map(|setting| setting.assets.asset(asset))?;
        // Nothing is worth nothing at any price, and with one its worth is known.
        if amount == Amount::ZERO {
            return Some(Price::from_atto(Amount::ZERO));
        }
        let digits = u8::from(record.decimals).checked_add(PRICE_DECIMALS.checked_sub(MONEY_DECIMALS)?)?;
        let scaled = worth.checked_mul(power_of_ten(digits)?)?;
        // Rounded down: the value rounds up again, and must not pass the worth.
        let one = Amount::from_base_units(1);
        let above = scaled.checked_add(one)?.checked_div_ceil(amount)?;
        above.checked_sub(one).map(Price::from_atto)
    }

    /// Batches of equal payments to different destinations, just over each bound of a sum that one payment is below.
    fn batches(&mut self, one: &Withdrawal, asset: &AssetId, active: &Active, visitor: &mut dyn Visitor) {
        let amount = amount_of(one);
        let bounds = self.bounds(active, true);
        let by_asset = bounds
            .iter()
            .filter_map(|bounds| parts_over(bounds.bound(asset)?, amount));
        let record = self.settings.iter().find_map(|setting| setting.assets.asset(asset));
        let by_money = bounds
            .iter()
            .flat_map(Bounds::money)
            .filter_map(|(currency, bound)| parts_over(bound, one.prices.value(record?, amount, currency)?));
        let new = self.new_destinations(active).into_iter();
        let new = new.filter_map(|bound| usize::try_from(bound).ok()?.checked_add(1));
        let sizes: BTreeSet<usize> = by_asset.chain(by_money).chain(new).collect();
        let batches: Vec<Withdrawal> = sizes.into_iter().filter_map(|size| self.batch(one, size)).collect();
        for batch in batches {
            if !self.step() {
                return;
            }
            visitor.visit(&batch);
        }
    }

    fn batch(&self, one: &Withdrawal, size: usize) -> Option<Withdrawal> {
        let item = one.items.first()?;
        let to = item.effect.destination()?;
        let classes = self.cells.destinations.get(&one.network)?;
        // Its own class first; what other lists have may be permitted as well.
        let (own, others): (Vec<_>, Vec<_>) = classes.iter().partition(|class| class.contains(to));
        let others = others.into_iter().flatten().filter(|to| !self.is_own(to));
        let receivers: Vec<&Destination> = own.into_iter().flatten().chain(others).take(size).collect();
        if receivers.len() < size {
            return None;
        }
        let is_fresh = item.subject.as_ref() == self.cells.strangers.first();
        let copy = |(n, to): (usize, &Destination)| Item {
            effect: directed(&item.effect, to),
            subject: self
                .cells
                .strangers
                .get(n)
                .cloned()
                .filter(|_| is_fresh)
                .or_else(|| item.subject.clone()),
            ..item.clone()
        };
        let items = receivers.into_iter().enumerate().map(copy).collect();
        Some(Withdrawal { items, ..one.clone() })
    }

    fn remember(&mut self, withdrawal: &Withdrawal, asset: &AssetId) {
        let to = |withdrawal: &Withdrawal| withdrawal.items.first()?.effect.destination().cloned();
        let is_transfer = withdrawal
            .items
            .first()
            .is_some_and(|item| item.effect.kind() == EffectKind::Transfer);
        let held = self.companions.get(asset).map(Vec::as_slice).unwrap_or_default();
        let is_held = held.iter().any(|other| to(other) == to(withdrawal));
        if is_transfer && !is_held && held.len() < MAX_COMPANIONS {
            let last = self.settings.last().and_then(|setting| setting.decide(withdrawal));
            if asked(last.as_ref()).is_some() {
                self.companions
                    .entry(asset.clone())
                    .or_default()
                    .push(withdrawal.clone());
            }
        }
    }

    /// Keeps a fee of which rules ask for a share, until it is known beside which transfers it can be.
    fn await_companions(&mut self, fee: &Withdrawal, active: &Active) {
        let is_fee = fee
            .items
            .first()
            .is_some_and(|item| item.effect.kind() == EffectKind::Fee);
        let rules = self.rules.iter().zip(active).filter(|(_, is_active)| **is_active);
        let shares = rules
            .flat_map(|(rule, _)| rule.conditions.iter())
            .filter_map(|condition| {
                if let Condition::FeeShare(share) = condition {
                    Some(share.basis_points())
                } else {
                    None
                }
            });
        let shares: BTreeSet<u16> = shares.collect();
        if is_fee && !shares.is_empty() {
            self.fees.push((fee.clone(), shares));
        }
    }

    /// Fees beside transfers of which they are just the share that a rule names, and just more. Where no transfer of the asset is
    /// permitted, no fee is a share of one.
    pub(super) fn shares(&mut self, visitor: &mut dyn Visitor) {
        let one = Amount::from_base_units(1);
        for (fee, shares) in std::mem::take(&mut self.fees) {
            // The least fee too: beside it the least has to be transferred.
            for amount in BTreeSet::from([amount_of(&fee), one]) {
                let fee = scaled(&fee, amount);
                for base in shares
                    .iter()
                    .flat_map(|share| bases(amount, *share))
                    .collect::<BTreeSet<_>>()
                {
                    for both in self.accompanied(&fee, base) {
                        if !self.step() {
                            return;
                        }
                        visitor.visit(&both);
                    }
                }
            }
        }
    }

    /// A fee beside so much of each companion: asked for as the fee was and as the companion was, at the prices of both, and where
    /// next to nothing is worth anything, which leaves bounds in money the most room.
    fn accompanied(&self, fee: &Withdrawal, base: Amount) -> Vec<Withdrawal> {
        let asset = fee.items.first().and_then(|item| item.effect.asset());
        let companions = asset.and_then(|asset| self.companions.get(asset));
        let mut all = Vec::new();
        for companion in companions.into_iter().flatten() {
            let as_fee = fee.beside(&scaled(companion, base));
            let as_companion = Withdrawal {
                items: as_fee.items.clone(),
                prices: as_fee.prices.clone(),
                fee_units: fee.fee_units,
                ..companion.clone()
            };
            for both in [as_fee, as_companion] {
                for both in [both.at_least_worth(), both] {
                    if !all.contains(&both) {
                        all.push(both);
                    }
                }
            }
        }
        all
    }
}

/// What has to be transferred for a fee to be just a share of it, in basis points, and one unit less.
fn bases(fee: Amount, share: u16) -> impl Iterator<Item = Amount> {
    let all = Amount::from_base_units(FeeShare::MAX_BASIS_POINTS.into());
    let enough = fee
        .checked_mul(all)
        .and_then(|fee| fee.checked_div_ceil(u64::from(share).into()));
    let less = enough.and_then(|enough| enough.checked_sub(Amount::from_base_units(1)));
    enough.into_iter().chain(less)
}

/// The same effect to another destination.
fn directed(effect: &Effect, to: &Destination) -> Effect {
    let to = || to.clone();
    let mut effect = effect.clone();
    match &mut effect {
        Effect::Transfer { destination, .. } => *destination = to(),
        Effect::Allowance { spender, .. } => *spender = to(),
        Effect::AuthorityChange { holder, .. } => *holder = Some(to()),
        Effect::CodeChange { subject, .. } => *subject = Some(to()),
        Effect::DelayedAuthorization { mechanism } => *mechanism = to(),
        Effect::ContractCall { contract, .. } => *contract = to(),
        Effect::Opaque { target, .. } => *target = Some(to()),
        // An own wallet receives at its own address, and the others go nowhere.
        Effect::Internal { .. } | Effect::Fee { .. } | Effect::PersonalMessage { .. } => {}
    }
    effect
}

/// The same effect with another amount.
pub(super) fn resized(effect: &Effect, to: Amount) -> Effect {
    let mut effect = effect.clone();
    match &mut effect {
        Effect::Transfer { amount, .. } | Effect::Internal { amount, .. } | Effect::Allowance { amount, .. } => {
            *amount = to
        }
        Effect::Fee { max, .. } => *max = to,
        Effect::AuthorityChange { .. }
        | Effect::CodeChange { .. }
        | Effect::DelayedAuthorization { .. }
        | Effect::ContractCall { .. }
        | Effect::Opaque { .. }
        | Effect::PersonalMessage { .. } => {}
    }
    effect
}

fn power_of_ten(exponent: u8) -> Option<Amount> {
    let ten = Amount::from_base_units(10);
    (0..exponent).try_fold(Amount::from_base_units(1), |power, _| power.checked_mul(ten))
}

/// What its first effect moves.
fn amount_of(withdrawal: &Withdrawal) -> Amount {
    let item = withdrawal.items.first();
    item.and_then(|item| item.effect.amount()).unwrap_or_default()
}

fn scaled(withdrawal: &Withdrawal, amount: Amount) -> Withdrawal {
    let mut paid = withdrawal.clone();
    paid.items
        .iter_mut()
        .for_each(|item| item.effect = resized(&item.effect, amount));
    paid
}

#[cfg(test)]
mod tests;

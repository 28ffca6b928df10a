//! A concrete withdrawal: what an answer shows, and what anybody can evaluate again.

use std::{collections::BTreeMap, fmt};

use countersign_types::{
    Amount, AssetId, AssetRegistry, AttributeName, AttributeValue, ChainId, CounterId, Duration, Effect, PrincipalId,
    RuleId, SubjectId, TenantId, Timestamp, WalletId,
};

use super::cells::ANY_MOMENT;
use crate::{Currency, Price, Prices, Window};

/// A withdrawal with every fact that a policy may ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Withdrawal {
    /// Who asks.
    pub initiator: PrincipalId,
    /// For whom.
    pub tenant: TenantId,
    /// The wallet that signs.
    pub wallet: WalletId,
    /// The network that the bytes are for.
    pub network: ChainId,
    /// When.
    pub now: Timestamp,
    /// What the request says of itself.
    pub attributes: BTreeMap<AttributeName, AttributeValue>,
    /// The units that the fee is paid for; `None` where it has no one rate.
    pub fee_units: Option<u64>,
    /// What it does.
    pub items: Vec<Item>,
    /// What assets are worth; one that is not here has no known price.
    pub prices: Prices,
    /// The one counter that does not stand at zero, if there is one.
    pub held: Option<Held>,
}

/// One effect and what is known about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// What it does.
    pub effect: Effect,
    /// The customer behind it; `None` is unknown.
    pub subject: Option<SubjectId>,
    /// Whether the destination was never paid before; `None` is unknown.
    pub is_first_seen: Option<bool>,
    /// How old its youngest entry is; `None` is unknown.
    pub entry_age: Option<Duration>,
    /// Which books have it, and which have not; another one, or `None`, is unknown.
    pub books: Option<BTreeMap<PrincipalId, bool>>,
}

impl Item {
    /// An effect of which no more is known.
    pub fn new(effect: Effect) -> Self {
        Self {
            effect,
            subject: None,
            is_first_seen: None,
            entry_age: None,
            books: None,
        }
    }
}

/// What a counter stands at before the withdrawal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// A limit that counts by it.
    pub limit: RuleId,
    /// The counter.
    pub counter: CounterId,
    /// Over which window.
    pub window: Window,
    /// The currency, where it counts money.
    pub currency: Option<Currency>,
    /// The asset, where it counts one.
    pub asset: Option<AssetId>,
    /// How much: of money in 10⁻⁸.
    pub amount: Amount,
}

/// With amounts in base units: a withdrawal does not know its assets.
impl fmt::Display for Withdrawal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tell(&AssetRegistry::default(), f)
    }
}

impl Withdrawal {
    /// For people: amounts in the units of the assets that are known, in base units of their ids where they are not.
    pub fn told<'a>(&'a self, assets: &'a AssetRegistry) -> impl fmt::Display + 'a {
        fmt::from_fn(move |f| self.tell(assets, f))
    }

    /// The same with what another one does beside it, at the prices of both.
    pub(super) fn beside(&self, other: &Self) -> Self {
        let prices = self.prices.iter().chain(other.prices.iter());
        let prices = prices.map(|(asset, currency, price)| ((asset.clone(), currency), price));
        Self {
            items: self.items.iter().chain(&other.items).cloned().collect(),
            prices: Prices::new(prices.collect()),
            fee_units: self.fee_units.or(other.fee_units),
            ..self.clone()
        }
    }

    /// The same where next to nothing is worth anything: bounds in money leave the most room.
    pub(super) fn at_least_worth(&self) -> Self {
        let prices = self.prices.iter();
        let least = prices.map(|(asset, currency, _)| ((asset.clone(), currency), Price::from_atto(1_u64.into())));
        Self {
            prices: Prices::new(least.collect()),
            ..self.clone()
        }
    }

    fn tell(&self, assets: &AssetRegistry, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (who, tenant) = (&self.initiator, &self.tenant);
        write!(f, "{who} for {tenant}, wallet {} on {}", self.wallet, self.network)?;
        for item in &self.items {
            write!(f, "\n  ")?;
            item.tell(assets, f)?;
        }
        if let Some(units) = self.fee_units {
            write!(f, "\n  the fee is for {units} units")?;
        }
        // Where no rule looks at the clock it would only distract.
        if self.now != ANY_MOMENT {
            write!(f, "\n  at {}", self.now.to_seconds())?;
        }
        for (name, value) in &self.attributes {
            write!(f, "\n  the request says {name}: {value}")?;
        }
        for (asset, currency, price) in self.prices.iter() {
            match assets.asset(asset) {
                Some(record) => write!(f, "\n  one {} is worth {price} {currency}", record.symbol)?,
                None => write!(f, "\n  one {asset} is worth {price} {currency}")?,
            }
        }
        if let Some(held) = &self.held {
            let (limit, window) = (&held.limit, &held.window);
            write!(f, "\n  limit {limit} holds ")?;
            match (held.currency, &held.asset) {
                (Some(currency), _) => write!(f, "{}", currency.shown(held.amount))?,
                (None, Some(asset)) => write!(f, "{}", assets.shown(asset, held.amount))?,
                (None, None) => write!(f, "{}", held.amount)?,
            }
            write!(f, " over {window} already")?;
        }
        Ok(())
    }
}

impl Item {
    fn tell(&self, assets: &AssetRegistry, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.effect.kind())?;
        if let (Some(asset), Some(moved)) = (self.effect.asset(), self.effect.amount()) {
            write!(f, " {}", assets.shown(asset, moved))?;
        }
        if let Effect::Internal { wallet, .. } = &self.effect {
            write!(f, " to own wallet {wallet}")?;
        } else if let Some(destination) = self.effect.destination() {
            write!(f, " to {destination}")?;
        }
        if let Effect::ContractCall { selector, args, .. } = &self.effect {
            write!(f, " calling {selector}")?;
            for (n, word) in args.as_chunks::<32>().0.iter().enumerate() {
                let before = if n == 0 { " with" } else { "," };
                write!(f, "{before} {}", Amount::from_be_bytes(*word))?;
            }
        }
        if let Some(subject) = &self.subject {
            write!(f, " for {subject}")?;
        }
        if let Some(is_first_seen) = self.is_first_seen {
            let seen = if is_first_seen {
                "never paid before"
            } else {
                "paid before"
            };
            write!(f, ", {seen}")?;
        }
        if let Some(age) = self.entry_age {
            write!(f, ", entry {age} old")?;
        }
        let books = self.books.iter().flatten();
        for (book, _) in books.filter(|(_, has)| **has) {
            write!(f, ", in the book of {book}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use countersign_types::{AssetRecord, Decimals, Selector};

    use super::*;
    use crate::{
        analysis::testing::withdrawal,
        testing::{asset, destination, fee, internal, opaque, transfer, usd},
    };

    #[test]
    fn a_withdrawal_shows_every_fact_that_decides_it() {
        let call = Effect::ContractCall {
            contract: destination("token"),
            selector: Selector([0xa9, 5, 9, 0xcb]),
            args: [[0; 31].as_slice(), &[5], &[0; 31], &[7], &[1]].concat(),
        };
        let mut shown = withdrawal(&[
            transfer("eth", 5, "a"),
            internal("demo", 6, "warm"),
            fee(7),
            call,
            opaque(),
        ]);
        let books = [("book", true), ("other", false)].map(|(id, has)| (id.parse().unwrap(), has));
        if let Some(first) = shown.items.first_mut() {
            first.subject = Some("x".parse().unwrap());
            first.is_first_seen = Some(false);
            first.entry_age = Some(Duration::from_secs(60));
            first.books = Some(books.into());
        }
        shown.items[3].is_first_seen = Some(true);
        shown.fee_units = Some(21_000);
        shown.now = Timestamp::from_unix_millis(1_770_000_000_000);
        shown.attributes = BTreeMap::from([("note".parse().unwrap(), "rush".parse().unwrap())]);
        let price = Price::from_atto(Amount::from(1_500_000_000_000_000_000_u64));
        shown.prices = Prices::new([((asset("eth"), Currency::Usd), price)].into());
        shown.held = Some(Held {
            limit: "day".parse().unwrap(),
            counter: CounterId::from_bytes([7; 32]),
            window: "24h".parse().unwrap(),
            currency: Some(Currency::Usd),
            asset: None,
            amount: usd(3),
        });
        let expected = "bot for demo, wallet hot on eip155:31337
  transfer 5 base units of eip155:31337/slip44:60 to eip155:31337:a for x, paid before, entry 1m old, in the book of book
  internal 6 base units of eip155:31337/erc20:0xdemo to own wallet warm
  fee 7 base units of eip155:31337/slip44:60
  contract-call to eip155:31337:token calling 0xa90509cb with 5, 7, never paid before
  opaque
  the fee is for 21000 units
  at 2026-02-02T02:40:00Z
  the request says note: rush
  one eip155:31337/slip44:60 is worth 1.5 USD
  limit day holds 3 USD over 1d already";
        assert_eq!(shown.to_string(), expected);
        let count = shown.held.map(|held| Held { currency: None, ..held });
        shown.held = count;
        assert!(shown.to_string().ends_with("limit day holds 300000000 over 1d already"));
        // Who knows the assets reads units.
        let record = AssetRecord {
            id: asset("eth"),
            symbol: "ETH".parse().unwrap(),
            decimals: Decimals::new(1).unwrap(),
            quirks: BTreeSet::new(),
        };
        let assets = AssetRegistry::new([record]).unwrap();
        let of_asset = shown.held.map(|held| Held {
            asset: Some(asset("eth")),
            ..held
        });
        shown.held = of_asset;
        let told = shown.told(&assets).to_string();
        for line in [
            "  transfer 0.5 ETH to eip155:31337:a for x, ",
            "  internal 6 base units of eip155:31337/erc20:0xdemo to own wallet warm",
            "  one ETH is worth 1.5 USD",
            "  limit day holds 30000000 ETH over 1d already",
        ] {
            assert!(told.contains(line), "{line}: {told}");
        }
    }
}

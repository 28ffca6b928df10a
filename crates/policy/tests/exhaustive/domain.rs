//! A small world, whole: every withdrawal of up to three effects out of a few, by everybody, through every wallet.

use std::collections::{BTreeMap, BTreeSet};

use countersign_policy::{analysis::*, *};
use countersign_types::*;

pub(crate) const NETWORK: &str = "eip155:1";
/// How old the entries of the book are: younger than those of lists, and than what rules ask for.
const BOOK_AGE: Duration = Duration::from_secs(1_800);
pub(crate) const HOUR: Duration = Duration::from_secs(3_600);

pub(crate) fn network() -> ChainId {
    NETWORK.parse().unwrap()
}

pub(crate) fn asset(name: &str) -> AssetId {
    match name {
        "eth" => "eip155:1/slip44:60".parse().unwrap(),
        name => format!("eip155:1/erc20:0x{name}").parse().unwrap(),
    }
}

pub(crate) fn at(name: &str) -> Destination {
    Destination::new(&network(), name).unwrap()
}

pub(crate) fn units(amount: u64) -> Amount {
    Amount::from_base_units(amount)
}

/// What every bundle of the world has in common.
pub(crate) struct World {
    pub(crate) assets: AssetRegistry,
    prices: Prices,
    nobody: BTreeMap<AttributeName, AttributeValue>,
}

impl World {
    pub(crate) fn new() -> Self {
        let record = |name: &str, symbol: &str| AssetRecord {
            id: asset(name),
            symbol: symbol.parse().unwrap(),
            decimals: Decimals::new(0).unwrap(),
            quirks: BTreeSet::new(),
        };
        let dollar = Amount::parse_decimal("1", Decimals::new(PRICE_DECIMALS).unwrap()).unwrap();
        // One ETH is worth a dollar; what one DEMO is worth nobody knows.
        let prices = BTreeMap::from([((asset("eth"), Currency::Usd), Price::from_atto(dollar))]);
        Self {
            assets: AssetRegistry::new([record("eth", "ETH"), record("demo", "DEMO")]).unwrap(),
            prices: Prices::new(prices),
            nobody: BTreeMap::new(),
        }
    }

    /// Two initiators, one of them in a group, and two wallets of different tiers.
    pub(crate) fn setting<'a>(&'a self, policy: &'a Policy, lists: &'a DestinationLists) -> Setting<'a> {
        let asker = |groups: &[&str]| Asker {
            groups: groups.iter().map(|group| group.parse().unwrap()).collect(),
            tenants: BTreeSet::from(["tenant".parse().unwrap()]),
        };
        let site = |name: &str, tier| {
            let receives = at(&format!("own-{name}"));
            ((name.parse().unwrap(), network()), Site { tier, receives })
        };
        Setting {
            policy,
            assets: &self.assets,
            lists,
            initiators: [("alice", asker(&["risk"])), ("bot", asker(&[]))]
                .map(|(id, asker)| (id.parse().unwrap(), asker))
                .into(),
            wallets: BTreeMap::from([site("hot", Tier::Hot), site("warm", Tier::Warm)]),
            fee_assets: BTreeMap::from([(network(), asset("eth"))]),
        }
    }

    /// Every withdrawal of the world.
    pub(crate) fn withdrawals(&self) -> Vec<Withdrawal> {
        let (singles, small) = (atoms(), small_atoms());
        let mut batches: Vec<Vec<Item>> = singles.iter().map(|one| vec![one.clone()]).collect();
        for (n, first) in singles.iter().enumerate() {
            batches.extend(singles[n..].iter().map(|second| vec![first.clone(), second.clone()]));
        }
        for (n, first) in small.iter().enumerate() {
            for (m, second) in small.iter().enumerate().skip(n) {
                batches.extend(
                    small[m..]
                        .iter()
                        .map(|third| vec![first.clone(), second.clone(), third.clone()]),
                );
            }
        }
        let mut withdrawals = Vec::new();
        for (initiator, wallet) in [("bot", "hot"), ("alice", "hot"), ("bot", "warm")] {
            withdrawals.extend(batches.iter().map(|items| Withdrawal {
                initiator: initiator.parse().unwrap(),
                tenant: "tenant".parse().unwrap(),
                wallet: wallet.parse().unwrap(),
                network: network(),
                now: Timestamp::from_unix_millis(1_770_000_000_000),
                attributes: self.nobody.clone(),
                fee_units: None,
                items: items.clone(),
                prices: self.prices.clone(),
                held: None,
            }));
        }
        withdrawals
    }

    /// What the signer makes of a withdrawal where every counter stands at so much.
    pub(crate) fn rule(
        &self,
        rules: (&Policy, &DestinationLists),
        withdrawal: &Withdrawal,
        spent: Amount,
    ) -> Option<Obligations> {
        self.decide(rules, &gathered(rules, withdrawal), spent)
    }

    /// What `evaluate` makes of a withdrawal and its facts as they stand; the obligations, or none for a denial. Facts are put
    /// together here, not by the analysis.
    pub(crate) fn decide(
        &self,
        rules: (&Policy, &DestinationLists),
        withdrawal: &Withdrawal,
        spent: Amount,
    ) -> Option<Obligations> {
        let (policy, lists) = rules;
        let groups: BTreeSet<GroupId> = match withdrawal.initiator.as_str() {
            "alice" => BTreeSet::from(["risk".parse().unwrap()]),
            _ => BTreeSet::new(),
        };
        let tier = match withdrawal.wallet.as_str() {
            "hot" => Tier::Hot,
            _ => Tier::Warm,
        };
        let effects = withdrawal.items.iter().map(|item| EffectFact {
            destination: DestinationFacts {
                is_first_seen: item.is_first_seen,
                entry_age: item.entry_age,
                address_books: item.books.as_ref(),
            },
            ..EffectFact::new(&item.effect, item.subject.as_ref())
        });
        let mut facts = Facts {
            actor: Actor {
                initiator: &withdrawal.initiator,
                initiator_groups: &groups,
                wallet: &withdrawal.wallet,
                tier: Some(tier),
            },
            network: &withdrawal.network,
            effects: effects.collect(),
            assets: &self.assets,
            lists,
            context: Context {
                now: Some(withdrawal.now),
                tenant: Some(&withdrawal.tenant),
                attributes: Some(&withdrawal.attributes),
                fee_units: withdrawal.fee_units,
                prices: &withdrawal.prices,
                usage: Usage::unknown(),
            },
        };
        let mut counters: BTreeMap<_, CounterUsage> = BTreeMap::new();
        for query in policy.usage_queries(&facts) {
            counters
                .entry(query.counter)
                .or_default()
                .windows
                .insert(query.window, spent);
        }
        let usage = Usage::new(counters);
        facts.context.usage = &usage;
        match evaluate(policy, &facts).outcome {
            Outcome::Allow(obligations) => Some(obligations),
            Outcome::Deny => None,
        }
    }
}

/// The facts that the signer gathers: it looks only into the books that rules name, and of the entries that it knows the
/// youngest counts.
pub(crate) fn gathered((policy, lists): (&Policy, &DestinationLists), withdrawal: &Withdrawal) -> Withdrawal {
    let wants = policy.wants();
    let mut gathered = withdrawal.clone();
    for item in &mut gathered.items {
        let mut books = item.books.take();
        books
            .iter_mut()
            .for_each(|books| books.retain(|book, _| wants.books.contains(book)));
        item.books = books.filter(|books| !books.is_empty());
        let is_listed = item.effect.destination().is_some_and(|at| lists.is_listed(at));
        let in_book = item.books.iter().flatten().any(|(_, has)| *has).then_some(BOOK_AGE);
        let noted = item.entry_age;
        item.entry_age = match (is_listed, in_book) {
            // What a list had stays noted.
            (false, in_book) => in_book.map(|in_book| noted.map_or(in_book, |noted| noted.min(in_book))),
            // An entry whose age nobody knows may be the youngest.
            (true, in_book) => noted.map(|noted| in_book.map_or(noted, |in_book| in_book.min(noted))),
        };
    }
    gathered
}

fn transfer(name: &str, amount: u64, to: &str) -> Item {
    let subject = match to {
        "a" => Some("x"),
        "b" => Some("y"),
        // Nobody said who is behind it.
        _ => None,
    };
    let books = |has: bool| Some(BTreeMap::from([("book".parse().unwrap(), has)]));
    Item {
        effect: Effect::Transfer {
            asset: asset(name),
            amount: units(amount),
            destination: at(to),
        },
        is_first_seen: Some(to == "s"),
        entry_age: Some(Duration::from_secs(7 * 86_400)),
        books: subject.and_then(|_| books(to == "b")),
        subject: subject.map(|id| id.parse().unwrap()),
    }
}

fn internal(amount: u64, to: &str) -> Item {
    Item::new(Effect::Internal {
        asset: asset("eth"),
        amount: units(amount),
        wallet: to.parse().unwrap(),
        destination: at(&format!("own-{to}")),
        change: false,
    })
}

fn fee(max: u64) -> Item {
    let max = units(max);
    Item::new(Effect::Fee {
        asset: asset("eth"),
        max,
    })
}

/// Effects that stand alone and in pairs: around every bound of the grammar, to everybody, with facts known and not.
fn atoms() -> Vec<Item> {
    let mut atoms = small_atoms();
    atoms.extend([3].map(|amount| transfer("eth", amount, "a")));
    atoms.extend([3].map(|amount| transfer("eth", amount, "s")));
    atoms.extend([
        transfer("demo", 1, "a"),
        transfer("demo", 3, "a"),
        transfer("demo", 2, "s"),
    ]);
    let known = |change: &dyn Fn(&mut Item)| {
        let mut item = transfer("eth", 1, "a");
        change(&mut item);
        item
    };
    atoms.extend([
        known(&|item| item.is_first_seen = Some(true)),
        known(&|item| item.is_first_seen = None),
        known(&|item| item.entry_age = Some(HOUR)),
        known(&|item| item.entry_age = None),
        known(&|item| item.books = None),
        known(&|item| item.subject = Some("y".parse().unwrap())),
    ]);
    atoms.extend([internal(1, "warm"), internal(3, "hot"), fee(2)]);
    atoms.push(Item::new(Effect::Opaque {
        what: OpaqueKind::Calldata,
        target: None,
        bytes: vec![1],
    }));
    atoms.push(Item::new(Effect::Allowance {
        asset: asset("eth"),
        amount: units(2),
        spender: at("s"),
    }));
    atoms.push(transfer("stray", 1, "a"));
    atoms
}

/// Effects that stand in threes.
fn small_atoms() -> Vec<Item> {
    vec![
        transfer("eth", 1, "a"),
        transfer("eth", 2, "a"),
        transfer("eth", 1, "b"),
        transfer("eth", 2, "b"),
        transfer("eth", 1, "s"),
        fee(1),
    ]
}

//! Policy tests: a transaction, the people and the history around it, and the decision with its tags.
//!
//! A file of them lies beside the bundle, not in it: it says nothing about what is in force. It is read as strictly as the
//! bundle, because a test that asks something else than its author reads is worse than none.

use std::collections::{BTreeMap, BTreeSet};

use countersign_policy::{
    Actor, AttestationKind, Context, CounterUsage, DestinationFacts, EffectFact, Evaluation, Facts, Near, Obligations,
    Outcome, Price, Prices, Usage, evaluate, nearest,
};
use countersign_types::{
    Amount, AttributeName, AttributeValue, ChainId, Duration, Effect, PrincipalId, RuleId, SubjectId, Tag, TenantId,
    Timestamp, UtcSeconds, WalletId,
};

use self::{
    effects::Effects,
    raw::{CasesFile, RawCase, RawExpect},
};
use crate::{
    Bundle, LoadErrors,
    amount::money,
    assets::unknown_network,
    error::Found,
    policy::RawAttestation,
    problem::Problem,
    yaml::{self, Doc},
};

mod breakers;
mod effects;
mod raw;
mod write;

pub use breakers::BreakerCase;

const SCHEMA: &str = "countersign.policy-tests/1";

/// A policy test.
#[derive(Debug, Clone)]
pub struct Case {
    name: String,
    line: u32,
    initiator: PrincipalId,
    tenant: TenantId,
    wallet: WalletId,
    network: ChainId,
    now: Option<Timestamp>,
    attributes: BTreeMap<AttributeName, AttributeValue>,
    fee_units: Option<u64>,
    prices: Prices,
    /// What limits have added up before this transaction; one that is not named has added up nothing.
    spent: BTreeMap<RuleId, Amount>,
    effects: Vec<CaseEffect>,
    expected: Expected,
}

#[derive(Debug, Clone)]
struct CaseEffect {
    effect: Effect,
    subject: Option<SubjectId>,
    is_first_seen: Option<bool>,
    entry_age: Option<Duration>,
    books: Option<BTreeMap<PrincipalId, bool>>,
}

/// What the decision must be.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Expected {
    /// Allowed with exactly these seats and this time-lock, and exactly these attestations where the test names some.
    Allow {
        seats: BTreeMap<String, u64>,
        time_lock: Duration,
        attestations: Option<BTreeSet<String>>,
    },
    /// Denied for exactly these reasons: a tag, or a tag and the rule.
    Deny(BTreeSet<String>),
}

/// What a test found.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// The name of the test.
    pub name: String,
    /// Where it stands in its file.
    pub line: u32,
    /// What was expected and what was found, if they differ.
    pub difference: Option<String>,
    /// The whole trace.
    pub evaluation: Evaluation,
    /// The permits that come near to covering what none covers, by the places of the effects.
    pub near: BTreeMap<u32, Vec<Near>>,
}

fn document<'a>(file: &'a str, bytes: &[u8], found: &mut Found) -> Option<Doc<'a, CasesFile>> {
    let doc = yaml::read::<CasesFile>(file, bytes, found)?;
    if doc.raw.schema != SCHEMA {
        found.push(doc.value("schema", Problem::BadSchema(SCHEMA)));
    }
    Some(doc)
}

fn twice(name: &str) -> Problem {
    let (what, id) = ("test", name.chars().take(128).collect());
    Problem::Duplicate { what, id }
}

impl Case {
    /// Reads a file of policy tests for a bundle. `file` is what errors call it.
    pub fn load(file: &str, bytes: &[u8], bundle: &Bundle) -> Result<Vec<Self>, LoadErrors> {
        let mut found = Found::default();
        let Some(doc) = document(file, bytes, &mut found) else {
            return Err(found.fail());
        };
        if doc.raw.tests.is_empty() {
            found.push(doc.value("tests", Problem::Said(Tag::BundleMissingValue, "the file has no tests")));
        }
        let (mut cases, mut names) = (Vec::new(), BTreeSet::new());
        for (n, raw) in doc.raw.tests.iter().enumerate() {
            let path = format!("tests[{n}]");
            if !names.insert(&raw.name) {
                found.push(doc.value(&format!("{path}.name"), twice(&raw.name)));
            }
            match read(raw, bundle) {
                Ok(case) => cases.push(Self {
                    line: doc.places.value(&format!("{path}.name")).0,
                    ..case
                }),
                Err((field, problem)) => found.push(at(&doc, &path, &field, problem)),
            }
        }
        found.conclude()?;
        Ok(cases)
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Decides the case under the bundle and compares.
    pub fn run(&self, bundle: &Bundle) -> Verdict {
        let (evaluation, near) = self.evaluate(bundle);
        let decided = Expected::of(&evaluation);
        let difference = (!self.expected.is_met(&evaluation))
            .then(|| format!("expected {}, found {}", self.expected.text(), decided.text()));
        Verdict {
            name: self.name.clone(),
            line: self.line,
            difference,
            evaluation,
            near,
        }
    }

    /// The effect at a place.
    pub fn effect(&self, at: u32) -> Option<&Effect> {
        let effect = self.effects.get(usize::try_from(at).ok()?)?;
        Some(&effect.effect)
    }

    fn evaluate(&self, bundle: &Bundle) -> (Evaluation, BTreeMap<u32, Vec<Near>>) {
        let groups = bundle.roster().groups_of(&self.initiator);
        let wallet = bundle.registry().wallets().wallet(&self.wallet);
        let mut facts = Facts {
            actor: Actor {
                initiator: &self.initiator,
                initiator_groups: &groups,
                wallet: &self.wallet,
                tier: wallet.map(|wallet| wallet.tier),
            },
            network: &self.network,
            effects: self.effects.iter().map(CaseEffect::fact).collect(),
            assets: bundle.registry().assets(),
            lists: bundle.destinations(),
            context: Context {
                now: self.now,
                tenant: Some(&self.tenant),
                attributes: Some(&self.attributes),
                fee_units: self.fee_units,
                prices: &self.prices,
                usage: Usage::unknown(),
            },
        };
        // The first evaluation says which counters the limits ask for.
        let usage = self.usage(&evaluate(bundle.policy(), &facts));
        facts.context.usage = &usage;
        let evaluation = evaluate(bundle.policy(), &facts);
        let near = nearest(bundle.policy(), &facts, &evaluation.uncovered());
        (evaluation, near)
    }

    fn usage(&self, asked: &Evaluation) -> Usage {
        let mut counters: BTreeMap<_, CounterUsage> = BTreeMap::new();
        for limit in &asked.limits {
            if let (Some(counter), Some(window)) = (limit.counter, &limit.window) {
                let spent = self.spent.get(&limit.rule).copied().unwrap_or_default();
                let held = counters
                    .entry(counter)
                    .or_default()
                    .windows
                    .entry(window.clone())
                    .or_default();
                *held = spent.max(*held);
            }
        }
        Usage::new(counters)
    }
}

impl CaseEffect {
    fn fact(&self) -> EffectFact<'_> {
        EffectFact {
            destination: DestinationFacts {
                is_first_seen: self.is_first_seen,
                entry_age: self.entry_age,
                address_books: self.books.as_ref(),
            },
            ..EffectFact::new(&self.effect, self.subject.as_ref())
        }
    }
}

impl Expected {
    fn of(evaluation: &Evaluation) -> Self {
        match &evaluation.outcome {
            Outcome::Allow(obligations) => Self::Allow {
                seats: seats(obligations),
                time_lock: obligations.time_lock(),
                attestations: Some(attestations(obligations)),
            },
            Outcome::Deny => Self::Deny(expected_reasons(evaluation)),
        }
    }

    /// A reason without a rule stands for that tag of whatever rule; nothing may be left over on either side.
    fn is_met(&self, evaluation: &Evaluation) -> bool {
        let found = Self::of(evaluation);
        match (self, &found) {
            (Self::Deny(expected), Self::Deny(found)) => {
                let is_same =
                    |expected: &str, found: &str| expected == found || found.split(' ').next() == Some(expected);
                expected.iter().all(|one| found.iter().any(|other| is_same(one, other)))
                    && found.iter().all(|one| expected.iter().any(|other| is_same(other, one)))
            }
            (
                Self::Allow {
                    seats,
                    time_lock,
                    attestations,
                },
                Self::Allow {
                    seats: other_seats,
                    time_lock: other_lock,
                    attestations: others,
                },
            ) => {
                let is_attested = attestations.is_none() || attestations == others;
                seats == other_seats && time_lock == other_lock && is_attested
            }
            (Self::Allow { .. }, Self::Deny(_)) | (Self::Deny(_), Self::Allow { .. }) => false,
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Allow {
                seats,
                time_lock,
                attestations,
            } => {
                let seats: Vec<String> = seats
                    .iter()
                    .map(|(group, seats)| format!("{seats} of {group}"))
                    .collect();
                let who = if seats.is_empty() {
                    "nobody".to_owned()
                } else {
                    seats.join(", ")
                };
                let attested = attestations.iter().flatten().cloned().collect::<Vec<_>>().join(" and ");
                let with = if attested.is_empty() { "" } else { ", with " };
                format!("allow by {who} after {time_lock}{with}{attested}")
            }
            Self::Deny(reasons) => {
                let reasons: Vec<&str> = reasons.iter().map(String::as_str).collect();
                format!("deny with {}", reasons.join(", "))
            }
        }
    }
}

/// The reasons of a denial as a test writes them: the tag, and the rule where there is one.
fn expected_reasons(evaluation: &Evaluation) -> BTreeSet<String> {
    let text = |reason: &countersign_policy::Reason| match &reason.rule {
        Some(rule) => format!("{} {rule}", reason.tag),
        None => reason.tag.to_string(),
    };
    evaluation.reasons.iter().map(text).collect()
}

fn seats(obligations: &Obligations) -> BTreeMap<String, u64> {
    let seats = obligations.seats().into_iter();
    seats
        .map(|(group, seats)| (group.to_string(), u64::from(seats)))
        .collect()
}

fn attestations(obligations: &Obligations) -> BTreeSet<String> {
    let asked = obligations.attestations();
    asked
        .map(|(kind, by, max_age)| attestation(kind, by, max_age))
        .collect()
}

fn attestation(kind: AttestationKind, by: &PrincipalId, max_age: Duration) -> String {
    format!("{kind} by {by} at most {max_age} old")
}

/// A field of a test, and what is wrong with it.
type At = (String, Problem);

fn at(doc: &Doc<'_, CasesFile>, path: &str, field: &str, problem: Problem) -> crate::LoadError {
    doc.value(&format!("{path}.{field}"), problem)
}

fn field<T>(name: &str, read: Result<T, impl Into<Problem>>) -> Result<T, At> {
    read.map_err(|error| (name.to_owned(), error.into()))
}

fn read(raw: &RawCase, bundle: &Bundle) -> Result<Case, At> {
    let network: ChainId = field("network", raw.network.parse())?;
    let (initiator, tenant) = asker(raw, bundle)?;
    let wallet = wallet(raw, &network, bundle)?;
    let now = raw
        .at
        .as_ref()
        .map(|text| field("at", text.parse::<UtcSeconds>()))
        .transpose()?;
    let mut prices = BTreeMap::new();
    for (symbol, text) in raw.prices.iter().flatten() {
        let place = format!("prices.{symbol}");
        let (currency, price) = field(&place, money(text))?;
        let assets = bundle
            .registry()
            .assets()
            .iter()
            .filter(|record| record.symbol.as_str() == symbol);
        let before = prices.len();
        prices.extend(assets.map(|record| ((record.id.clone(), currency), Price::from_atto(price))));
        if prices.len() == before {
            let hint = "assets.yaml has no asset with this symbol";
            return Err((place, unknown("asset", symbol, hint)));
        }
    }
    let mut spent = BTreeMap::new();
    for (rule, text) in raw.spent.iter().flatten() {
        let place = format!("spent.{rule}");
        let id: RuleId = field(&place, rule.parse())?;
        let Some(limit) = bundle.policy().limits().find(|limit| *limit.id() == id) else {
            let hint = "policy.yaml has no such limit";
            return Err((place, unknown("limit", rule, hint)));
        };
        let amount = field(&place, crate::amount::spent(text, limit, &network, bundle))?;
        spent.insert(id, amount);
    }
    let attributes = raw.attributes.iter().flatten().map(|(name, value)| {
        let place = format!("attributes.{name}");
        Ok((field(&place, name.parse())?, field(&place, value.parse())?))
    });
    let reader = Effects {
        network: &network,
        bundle,
    };
    let effects = raw.effects.iter().enumerate();
    let effects: Vec<CaseEffect> = effects
        .map(|(n, raw)| reader.read(&format!("effects[{n}]"), raw))
        .collect::<Result<_, _>>()?;
    Ok(Case {
        name: raw.name.clone(),
        line: 0,
        initiator,
        tenant,
        wallet,
        now: now.map(UtcSeconds::to_timestamp),
        attributes: attributes.collect::<Result<_, _>>()?,
        fee_units: raw.fee_units,
        prices: Prices::new(prices),
        spent,
        effects,
        expected: expected(&raw.expect, bundle)?,
        network,
    })
}

/// Who asks, for whom. Nobody else reaches the policy, so what it would decide about them says nothing.
fn asker(raw: &RawCase, bundle: &Bundle) -> Result<(PrincipalId, TenantId), At> {
    let roster = bundle.roster();
    let tenant: TenantId = field("tenant", raw.tenant.parse())?;
    let initiator: PrincipalId = field("initiator", raw.initiator.parse())?;
    if !roster.tenants().any(|known| *known == tenant) {
        let hint = "roster.yaml has no such tenant under `initiators`";
        return Err(("tenant".to_owned(), unknown("tenant", &raw.tenant, hint)));
    }
    if !roster.may_initiate(&tenant, &initiator) {
        let hint = "roster.yaml does not list it under the tenant of the test";
        return Err(("initiator".to_owned(), unknown("initiator", &raw.initiator, hint)));
    }
    Ok((initiator, tenant))
}

/// A wallet that is on the network.
fn wallet(raw: &RawCase, network: &ChainId, bundle: &Bundle) -> Result<WalletId, At> {
    let wallet: WalletId = field("wallet", raw.wallet.parse())?;
    if bundle.registry().network(network).is_none() {
        return Err(("network".to_owned(), unknown_network(network)));
    }
    let Some(record) = bundle.registry().wallets().wallet(&wallet) else {
        let hint = "wallets.yaml has no such wallet";
        return Err(("wallet".to_owned(), unknown("wallet", &raw.wallet, hint)));
    };
    if !record.networks.contains_key(network) {
        let hint = "the wallet of the test is not on it";
        return Err(("network".to_owned(), unknown("network", &raw.network, hint)));
    }
    Ok(wallet)
}

fn unknown(what: &'static str, id: &str, hint: &'static str) -> Problem {
    let id = id.chars().take(128).collect();
    Problem::Unknown { what, id, hint }
}

fn expected(raw: &RawExpect, bundle: &Bundle) -> Result<Expected, At> {
    match (&raw.allow, &raw.deny) {
        (Some(seats), None) => {
            let time_lock = raw.time_lock.as_ref().map_or(Ok(Duration::ZERO), |text| text.parse());
            let attestations = raw.attestations.as_ref();
            Ok(Expected::Allow {
                seats: seats.clone(),
                time_lock: field("expect.time-lock", time_lock)?,
                attestations: attestations.map(|raw| expected_attestations(raw, bundle)).transpose()?,
            })
        }
        (None, Some(reasons)) if !reasons.is_empty() && raw.time_lock.is_none() && raw.attestations.is_none() => {
            Ok(Expected::Deny(reasons.iter().cloned().collect()))
        }
        (_, _) => {
            let problem = Problem::Said(
                Tag::BundleBadValue,
                "`expect` needs `allow` with seats (`{}` for none), or `deny` with tags",
            );
            Err(("expect".to_owned(), problem))
        }
    }
}

fn expected_attestations(raw: &[RawAttestation], bundle: &Bundle) -> Result<BTreeSet<String>, At> {
    let each = raw.iter().enumerate().map(|(n, raw)| {
        let place = |name: &str| format!("expect.attestations[{n}].{name}");
        let kind = field(&place("kind"), raw.kind())?;
        let by: PrincipalId = field(&place("by"), raw.by.parse())?;
        if !bundle.roster().is_service(&by) {
            return Err((place("by"), Problem::UnknownService(by)));
        }
        let max_age = field(&place("max-age"), raw.max_age.parse::<Duration>())?;
        Ok(attestation(kind, &by, max_age))
    });
    each.collect()
}

//! `countersign policy explain`: the whole trace of a decision, with the numbers that were compared.

use std::{
    collections::BTreeSet,
    fmt,
    path::{Path, PathBuf},
};

use clap::Args;
use countersign_bundle::{Bundle, Case, Verdict};
use countersign_decision::{Receipt, explain};
use countersign_policy::{
    Comparison, EffectTrace, Evaluation, LimitKey, LimitTrace, Obligations, Outcome, Reason, RequireTrace, tier_word,
};
use countersign_types::{Amount, AssetId, AssetRegistry, Duration, RuleId, Tag};
use serde::Serialize;

use super::load;
use crate::{
    environment::read_genesis,
    failure::{Failure, Result, what_to_do},
    files,
    output::Output,
};

/// Shows why policy decides as it does: every effect with the rules that match it, what is asked for and why, every limit
/// before and after. Either for the tests of a file under a bundle, or for what a receipt proves.
#[derive(Debug, Args)]
#[command(
    after_help = "JSON: {decisions: [{name, decision, reasons: [{tag, rule, effect, message, advice}]}]}; decision is the trace as \
                  receipts have it, amounts in base units; reasons are its reasons in words, as a denial tells them, with what \
                  to do (null where that is nothing). A receipt has one trace for the bundle in force and one for the bundle at \
                  first sight, if that was another"
)]
pub(crate) struct Explain {
    /// The bundle's folder, with or without manifest.json.
    #[arg(value_name = "BUNDLE_DIR", requires = "tests", required_unless_present = "receipt")]
    files: Option<PathBuf>,
    /// The test file (`schema: countersign.policy-tests/1`).
    #[arg(value_name = "TEST_FILE")]
    tests: Option<PathBuf>,
    /// Only the test of this name.
    #[arg(long, value_name = "NAME", requires = "tests")]
    test: Option<String>,
    /// A receipt, verified first.
    #[arg(long, value_name = "RECEIPT", requires = "trust_root", conflicts_with = "files")]
    receipt: Option<PathBuf>,
    /// The genesis file that you pinned, for a receipt.
    #[arg(long, value_name = "GENESIS")]
    trust_root: Option<PathBuf>,
}

/// The result.
#[derive(Debug, Serialize)]
struct Explained {
    decisions: Vec<One>,
}

#[derive(Debug, Serialize)]
struct One {
    name: String,
    decision: Evaluation,
    reasons: Vec<Told>,
    /// For people: what the numbers are in.
    #[serde(skip)]
    assets: AssetRegistry,
    /// Whether what is asked for may still be missing: of a receipt's withdrawal only the decision is known here.
    #[serde(skip)]
    is_open: bool,
}

/// A reason in the words of a denial, and what to do about it.
#[derive(Debug, Serialize)]
struct Told {
    tag: Tag,
    rule: Option<RuleId>,
    effect: Option<u32>,
    message: String,
    advice: Option<&'static str>,
}

impl Explain {
    pub(crate) fn run(self, output: Output) -> Result<()> {
        let decisions = match (&self.receipt, &self.trust_root, &self.files, &self.tests) {
            (Some(receipt), Some(genesis), _, _) => of_receipt(receipt, genesis)?,
            (_, _, Some(files), Some(tests)) => of_tests(files, tests, self.test.as_deref())?,
            (_, _, _, _) => {
                return Err(Failure::usage(
                    "name a bundle and a test file, or a receipt and a trust root",
                ));
            }
        };
        output.report(&Explained { decisions })
    }
}

fn of_receipt(receipt: &Path, genesis: &Path) -> Result<Vec<One>> {
    read_genesis(genesis)?;
    let receipt = Receipt::verify(&files::read(receipt)?, &files::read(genesis)?)
        .map_err(|error| Failure::unverified(error.tag(), format!("the receipt does not verify: {error}")))?;
    if receipt.trace.is_empty() {
        return Err(Failure::failed(
            "the receipt has no decision of the policy that could be taken again",
        ));
    }
    let names = ["under the bundle in force", "under the bundle at first sight"];
    let one = |(name, decision): (&str, Evaluation)| One {
        name: format!("{} {name}", receipt.withdrawal),
        // What a receipt proves was allowed: should there be a reason, it is told without the effect, which is not at hand.
        reasons: told_each(&decision, |reason| explain(reason, None, &[], &receipt.assets)),
        decision,
        assets: receipt.assets.clone(),
        is_open: false,
    };
    Ok(names.into_iter().zip(receipt.trace.clone()).map(one).collect())
}

fn of_tests(folder: &Path, tests: &Path, name: Option<&str>) -> Result<Vec<One>> {
    let (bundle, _) = load(folder)?;
    let file = tests.display().to_string();
    let cases = Case::load(&file, &files::read(tests)?, &bundle);
    let cases = cases.map_err(|errors| Failure::does_not_load(format!("`{file}` does not load"), &errors))?;
    let wanted = cases.iter().filter(|case| name.is_none_or(|name| name == case.name()));
    let decisions: Vec<One> = wanted.map(|case| One::of_test(case, &bundle)).collect();
    if decisions.is_empty() {
        return Err(Failure::usage(format!("`{file}` has no test of this name")));
    }
    Ok(decisions)
}

/// The reasons of a decision, as `say` has them in words.
fn told_each(decision: &Evaluation, say: impl Fn(&Reason) -> countersign_decision::Reason) -> Vec<Told> {
    let told = |reason: &Reason| {
        let countersign_decision::Reason { tag, rule, message } = say(reason);
        Told {
            tag,
            rule,
            effect: reason.effect,
            message,
            advice: what_to_do(tag),
        }
    };
    decision.reasons.iter().map(told).collect()
}

/// The decision in one line.
pub(crate) fn outcome(evaluation: &Evaluation) -> String {
    match &evaluation.outcome {
        Outcome::Allow(obligations) => format!("allow, asking for {}", asked(obligations)),
        Outcome::Deny => {
            let reasons = evaluation.reasons.iter().map(|reason| match &reason.rule {
                Some(rule) => format!("{} {rule}", reason.tag),
                None => reason.tag.to_string(),
            });
            let mut reasons: Vec<String> = reasons.collect();
            reasons.dedup();
            format!("deny, {}", reasons.join(", "))
        }
    }
}

/// What is asked for, in words.
pub(super) fn asked(obligations: &Obligations) -> String {
    let seats = obligations
        .seats()
        .into_iter()
        .map(|(group, seats)| format!("{seats} of {group}"));
    let attested = obligations
        .attestations()
        .map(|(kind, by, age)| format!("{kind} by {by} at most {age} old"));
    let lock = obligations.time_lock();
    let lock = (lock != Duration::ZERO).then(|| format!("a wait of {lock}"));
    let parts: Vec<String> = seats.chain(attested).chain(lock).collect();
    if parts.is_empty() {
        "nothing".to_owned()
    } else {
        parts.join(", ")
    }
}

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, one) in self.decisions.iter().enumerate() {
            let separator = if n == 0 { "" } else { "\n\n" };
            write!(f, "{separator}{one}")?;
        }
        Ok(())
    }
}

impl fmt::Display for One {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Evaluation {
            effects,
            requires,
            limits,
            reasons_left_out,
            semantics,
            ..
        } = &self.decision;
        writeln!(f, "{}", self.name)?;
        write!(f, "decision     {} ({semantics})", outcome(&self.decision))?;
        effects
            .iter()
            .try_for_each(|effect| write!(f, "\n{}", matched(effect)))?;
        requires
            .iter()
            .try_for_each(|require| write!(f, "\n{}", self.require(require)))?;
        limits
            .iter()
            .try_for_each(|limit| write!(f, "\n{}", self.limit(limit)))?;
        self.reasons.iter().try_for_each(|reason| write!(f, "\n{reason}"))?;
        if *reasons_left_out > 0 {
            write!(f, "\n             and {reasons_left_out} more reasons")?;
        }
        self.remedies()
            .iter()
            .try_for_each(|(tag, remedy)| write!(f, "\nto do        {tag}: {remedy}"))
    }
}

/// What a withdrawal is held by until its obligations are met.
fn held_by(obligations: &Obligations) -> Vec<Tag> {
    let held = [
        (!obligations.seats().is_empty(), Tag::ApprovalMissing),
        (obligations.attestations().next().is_some(), Tag::AttestationMissing),
        (obligations.time_lock() != Duration::ZERO, Tag::ApprovalTimeLock),
    ];
    held.into_iter()
        .filter(|(is_asked, _)| *is_asked)
        .map(|(_, tag)| tag)
        .collect()
}

/// An effect and the rules that matched it.
fn matched(effect: &EffectTrace) -> String {
    let names = |ids: &[RuleId]| {
        let names: Vec<&str> = ids.iter().map(|id| id.as_str()).collect();
        if names.is_empty() {
            "none".to_owned()
        } else {
            names.join(", ")
        }
    };
    let mut text = format!(
        "effect {:<5} {}: permits {}",
        effect.index,
        effect.kind,
        names(&effect.permits)
    );
    for (what, ids) in [("requires", &effect.requires), ("forbids", &effect.forbids)] {
        if !ids.is_empty() {
            text.push_str(&format!("; {what} {}", names(ids)));
        }
    }
    text
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "reason       {}", self.tag)?;
        if let Some(rule) = &self.rule {
            write!(f, " (rule {rule})")?;
        }
        if let Some(effect) = self.effect {
            write!(f, " at effect {effect}")?;
        }
        write!(f, ": {}", self.message)
    }
}

impl One {
    fn of_test(case: &Case, bundle: &Bundle) -> Self {
        let Verdict {
            evaluation, near, name, ..
        } = case.run(bundle);
        let assets = bundle.registry().assets();
        let say = |reason: &Reason| {
            let effect = reason.effect.and_then(|at| case.effect(at));
            let near = reason.effect.and_then(|at| near.get(&at));
            explain(reason, effect, near.map_or(&[], Vec::as_slice), assets)
        };
        Self {
            name,
            reasons: told_each(&evaluation, say),
            decision: evaluation,
            assets: assets.clone(),
            is_open: true,
        }
    }

    /// What would change a no, or what a yes still waits for: each tag once, as the table of tags has it.
    fn remedies(&self) -> Vec<(Tag, &'static str)> {
        let tags: Vec<Tag> = match &self.decision.outcome {
            Outcome::Deny => self.reasons.iter().map(|reason| reason.tag).collect(),
            Outcome::Allow(obligations) if self.is_open => held_by(obligations),
            Outcome::Allow(_) => Vec::new(),
        };
        let mut told = BTreeSet::new();
        let new = tags.into_iter().filter(|tag| told.insert(*tag));
        new.filter_map(|tag| Some((tag, what_to_do(tag)?))).collect()
    }

    fn require(&self, require: &RequireTrace) -> String {
        let why: Vec<String> = require.over.iter().map(|over| self.compared(over)).collect();
        let why = if why.is_empty() {
            String::new()
        } else {
            format!(" because {}", why.join(", "))
        };
        format!(
            "require      {} asks for {}{why}",
            require.rule,
            asked(&require.obligations)
        )
    }

    fn limit(&self, limit: &LimitTrace) -> String {
        let asset = limit.key.asset.as_ref().filter(|_| limit.currency.is_none());
        let amount = |amount: Option<Amount>| self.amount(amount, asset, limit.currency);
        let window = limit
            .window
            .as_ref()
            .map_or("in one transaction".to_owned(), |window| format!("over {window}"));
        let soft = limit
            .soft
            .map(|soft| format!(", soft {}", amount(Some(soft))))
            .unwrap_or_default();
        let asks = limit
            .over_soft
            .as_ref()
            .map(|o| format!(", asks for {}", asked(o)))
            .unwrap_or_default();
        format!(
            "limit        {}{} {window}: {} before, {} charged, {} after, at most {}{soft}{asks}",
            limit.rule,
            self.counted(limit),
            amount(limit.before),
            amount(limit.charge),
            amount(limit.after),
            amount(limit.hard)
        )
    }

    /// What a limit counts separately from the rest, which tells its lines apart; an amount names its asset already.
    fn counted(&self, limit: &LimitTrace) -> String {
        // Whole, without `..`: what limits may count separately besides must be told too.
        let LimitKey {
            asset,
            destination,
            wallet,
            subject,
            initiator,
            network,
            tier,
            tenant,
        } = &limit.key;
        let asset = asset.as_ref().filter(|_| limit.currency.is_some());
        let asset = asset.map(|id| match self.assets.asset(id) {
            Some(record) => format!("asset {}", record.symbol),
            None => format!("asset {id}"),
        });
        let parts = [
            asset,
            destination.as_ref().map(|at| format!("destination {at}")),
            wallet.as_ref().map(|id| format!("wallet {id}")),
            subject.as_ref().map(|id| format!("subject {id}")),
            initiator.as_ref().map(|id| format!("initiator {id}")),
            network.as_ref().map(|id| format!("network {id}")),
            tier.map(|tier| format!("tier {}", tier_word(tier))),
            tenant.as_ref().map(|id| format!("tenant {id}")),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        if parts.is_empty() {
            String::new()
        } else {
            format!(" ({})", parts.join(", "))
        }
    }

    fn compared(&self, compared: &Comparison) -> String {
        let amount = |amount| self.amount(amount, compared.asset.as_ref(), compared.currency);
        format!("{} over {}", amount(compared.value), amount(compared.bound))
    }

    /// In units where the asset is known, in base units of its id where it is not, or as a count.
    fn amount(
        &self,
        amount: Option<Amount>,
        asset: Option<&AssetId>,
        currency: Option<countersign_policy::Currency>,
    ) -> String {
        let Some(amount) = amount else {
            return "unknown".to_owned();
        };
        match (currency, asset) {
            (Some(currency), _) => currency.shown(amount),
            (None, Some(asset)) => self.assets.shown(asset, amount),
            (None, None) => amount.to_string(),
        }
    }
}

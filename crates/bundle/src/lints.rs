//! Lints: a policy that loads and still does not say what its author meant, or says more.

use std::fmt;

use countersign_policy::{
    Asking, Condition, ConditionKind, Conditions, Effects, Obligations, Permit,
    analysis::{Budget, Survey, survey},
};
use countersign_types::{AssetId, EffectKind, GroupId, PrincipalId, RuleId};

use crate::{
    Bundle, Problem, caps,
    places::{Place, TOP},
};

/// How much a lint matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The bundle must not be proposed like this.
    Error,
    /// Somebody should look.
    Warning,
}

impl Severity {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

macro_rules! lints {
    ($($(#[$doc:meta])* $name:ident = $tag:literal, $severity:ident;)+) => {
        /// What kind of lint; the tags are stable.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum LintKind { $($(#[$doc])* $name,)+ }

        impl LintKind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The stable tag.
            pub fn tag(self) -> &'static str {
                match self { $(Self::$name => $tag,)+ }
            }
            /// How much it matters.
            pub fn severity(self) -> Severity {
                match self { $(Self::$name => Severity::$severity,)+ }
            }
        }
    };
}

lints! {
    /// A permit lets an outflow go anywhere, in any amount.
    AllowAll = "lint/allow-all", Error;
    /// An outflow that no limit over time caps; outside development it does not load.
    MissingCap = "lint/missing-cap", Warning;
    /// A cold wallet that pays others; outside development it does not load.
    ColdWalletPays = "lint/cold-wallet-pays", Warning;
    /// A rule that matches nothing that any permit covers.
    Unreachable = "lint/unreachable", Warning;
    /// A rule that matches, and without which every decision would be the same.
    Shadowed = "lint/shadowed", Warning;
    /// A quorum of one person.
    QuorumOfOne = "lint/quorum-of-one", Warning;
    /// A quorum whose group is mostly operators of an initiator that it judges.
    OperatorsDominate = "lint/operators-dominate", Warning;
    /// A person who approves what a service of theirs attests.
    ApproverAttests = "lint/approver-attests", Warning;
    /// Nobody may stop anything alone.
    NobodyFreezes = "lint/nobody-freezes", Warning;
    /// A setting of the roster or of a wallet that a production genesis refuses.
    DevelopmentOnly = "lint/development-only", Warning;
    /// An asset of the bundle that no withdrawal may move.
    AssetNeverPermitted = "lint/asset-never-permitted", Warning;
}

/// One finding, with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lint {
    /// What kind.
    pub kind: LintKind,
    /// The file within the bundle.
    pub file: &'static str,
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// What, in words.
    pub message: String,
}

impl fmt::Display for Lint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (severity, tag) = (self.kind.severity().as_str(), self.kind.tag());
        write!(
            f,
            "{}:{}:{}: {severity}: {tag}: {}",
            self.file, self.line, self.column, self.message
        )
    }
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lints {
    /// The findings, in order of file, place and kind.
    pub findings: Vec<Lint>,
    /// Whether the analysis ran out of its budget: then nothing is said of rules that decide nothing.
    pub ran_out: bool,
}

impl Bundle {
    /// Everything that is worth a look, within a budget.
    pub fn lint(&self, budget: Budget) -> Lints {
        let mut findings = Vec::new();
        findings.extend(self.policy().permits().filter_map(|permit| self.allow_all(permit)));
        findings.extend(self.policy().asking().filter_map(|rule| self.quorum_of_one(&rule)));
        findings.extend(self.policy().asking().flat_map(|rule| self.dominated(&rule)));
        findings.extend(self.duties());
        findings.extend(caps::uncapped(self.registry(), self.policy()).into_iter().map(uncapped));
        findings.extend(self.development_only().into_iter().map(development_only));
        let seen = survey(&self.setting(), budget);
        if !seen.ran_out {
            findings.extend(self.idle(&seen));
            findings.extend(self.assets(&seen));
        }
        findings.sort_by(|a, b| (a.file, a.line, a.column, a.kind).cmp(&(b.file, b.line, b.column, b.kind)));
        findings.dedup();
        Lints {
            findings,
            ran_out: seen.ran_out,
        }
    }

    pub(crate) fn at_rule(&self, kind: LintKind, rule: &RuleId, message: String) -> Lint {
        let (line, column) = self.rule_place(rule).unwrap_or(TOP);
        Lint {
            kind,
            file: "policy.yaml",
            line,
            column,
            message,
        }
    }

    /// A permit for an outflow, or for what only code understands, that says neither where it goes nor how much it is.
    fn allow_all(&self, permit: &Permit) -> Option<Lint> {
        let conditions = permit.conditions();
        let is_outflow = conditions.iter().any(|condition| {
            matches!(condition, Condition::Effects(Effects(kinds)) if kinds.iter().any(|kind| is_outflow(*kind)))
        });
        let narrowing = [
            ConditionKind::To,
            ConditionKind::Subjects,
            ConditionKind::Selectors,
            ConditionKind::AmountMax,
            ConditionKind::TotalMax,
        ];
        let is_narrow = narrowing.iter().any(|kind| conditions.of(*kind).is_some());
        let id = permit.id();
        let message =
            format!("permit `{id}` lets an outflow go anywhere in any amount: give it `to`, `amount` or `total`");
        (is_outflow && !is_narrow).then(|| self.at_rule(LintKind::AllowAll, id, message))
    }

    fn quorum_of_one(&self, rule: &Asking<'_>) -> Option<Lint> {
        let seats = rule.obligations.seats().into_values().fold(0_u32, u32::saturating_add);
        let (kind, id) = (rule.kind, rule.id);
        let message = format!("{kind} `{id}` is fulfilled by one person alone");
        (seats == 1).then(|| self.at_rule(LintKind::QuorumOfOne, id, message))
    }

    /// For each initiator that a rule may judge: whether most of a group that it asks operate the initiator.
    fn dominated(&self, rule: &Asking<'_>) -> Vec<Lint> {
        let mut found = Vec::new();
        for initiator in self.roster().initiators() {
            if !self.may_judge(rule.conditions, initiator) {
                continue;
            }
            for group in groups(rule.obligations) {
                if self.is_dominated(group, initiator) {
                    let (kind, id) = (rule.kind, rule.id);
                    let message = format!(
                        "{kind} `{id}` asks group `{group}`, most of whom operate `{initiator}`: they do not count, and the rest decide"
                    );
                    found.push(self.at_rule(LintKind::OperatorsDominate, id, message));
                }
            }
        }
        found
    }

    fn may_judge(&self, conditions: &Conditions, initiator: &PrincipalId) -> bool {
        let groups = self.roster().groups_of(initiator);
        let mut wallets = self.registry().wallets().iter();
        wallets.any(|wallet| {
            conditions.may_concern(&countersign_policy::Actor {
                initiator,
                initiator_groups: &groups,
                wallet: &wallet.id,
                tier: Some(wallet.tier),
            })
        })
    }

    fn is_dominated(&self, group: &GroupId, initiator: &PrincipalId) -> bool {
        let operators = self.roster().initiating_people(initiator);
        let members = self.roster().group(group);
        let (operating, others): (Vec<_>, Vec<_>) = members
            .into_iter()
            .flatten()
            .partition(|member| operators.contains(*member));
        operating.len() > others.len()
    }

    /// Rules that match nothing permitted, and rules that change nothing.
    fn idle(&self, seen: &Survey) -> Vec<Lint> {
        let policy = self.policy();
        let permits = policy.permits().map(|rule| ("permit", rule.id()));
        let requires = policy.requires().map(|rule| ("require", rule.id()));
        let limits = policy.limits().map(|rule| ("limit", rule.id()));
        let forbids = policy.forbids().map(|rule| ("forbid", rule.id()));
        let all = permits.chain(requires).chain(limits).chain(forbids);
        all.filter_map(|(kind, id)| {
            if !seen.matching.contains(id) {
                let guards = if kind == "forbid" {
                    ", today: it guards against permits to come"
                } else {
                    ""
                };
                let message = format!("{kind} `{id}` matches nothing that a permit could cover{guards}");
                return Some(self.at_rule(LintKind::Unreachable, id, message));
            }
            let message =
                format!("{kind} `{id}` changes no decision about a payment: other rules decide all that it matches");
            (!seen.deciding.contains(id)).then(|| self.at_rule(LintKind::Shadowed, id, message))
        })
        .collect()
    }

    fn assets(&self, seen: &Survey) -> Vec<Lint> {
        let held = |asset: &&AssetId| {
            let mut wallets = self.registry().wallets().iter();
            wallets.any(|wallet| wallet.networks.contains_key(asset.chain()))
        };
        let assets = self.registry().assets().iter().map(|record| &record.id);
        let never = assets
            .filter(held)
            .filter(|asset| !seen.permitted_assets.contains(*asset));
        let lint = |asset: &AssetId| Lint {
            kind: LintKind::AssetNeverPermitted,
            file: "assets.yaml",
            line: TOP.0,
            column: TOP.1,
            message: format!("no withdrawal may ever move `{asset}`"),
        };
        never.map(lint).collect()
    }
}

fn groups(obligations: &Obligations) -> impl Iterator<Item = &GroupId> {
    obligations.approvals().map(|(group, _)| group)
}

/// Kinds by which something leaves for good, or somebody else may take it.
fn is_outflow(kind: EffectKind) -> bool {
    match kind {
        EffectKind::Internal | EffectKind::Fee | EffectKind::PersonalMessage => false,
        EffectKind::Transfer
        | EffectKind::Allowance
        | EffectKind::AuthorityChange
        | EffectKind::CodeChange
        | EffectKind::DelayedAuthorization
        | EffectKind::ContractCall
        | EffectKind::Opaque => true,
    }
}

fn development_only((file, problem): (&'static str, Problem)) -> Lint {
    let (line, column): Place = TOP;
    Lint {
        kind: LintKind::DevelopmentOnly,
        file,
        line,
        column,
        message: problem.to_string(),
    }
}

fn uncapped(problem: Problem) -> Lint {
    let kind = if matches!(problem, Problem::ColdWalletPays { .. }) {
        LintKind::ColdWalletPays
    } else {
        LintKind::MissingCap
    };
    let (line, column): Place = TOP;
    Lint {
        kind,
        file: "policy.yaml",
        line,
        column,
        message: problem.to_string(),
    }
}

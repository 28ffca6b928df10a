//! Lints about people: who could do alone, or twice over, what the policy wants done by several.

use std::collections::BTreeSet;

use countersign_policy::Asking;
use countersign_types::PrincipalId;

use crate::{
    Bundle, Lint, LintKind,
    places::{Place, TOP},
};

impl Bundle {
    /// What the roster lets people do alone, and who approves what their own service attests.
    pub(crate) fn duties(&self) -> Vec<Lint> {
        let roster = self.roster();
        let mut found = Vec::new();
        if roster.admins().threshold() == 1 {
            let message = "one admin alone changes the policy and thaws what is frozen".to_owned();
            found.push(in_roster(LintKind::QuorumOfOne, message));
        }
        if roster.officers().is_empty() {
            let message = "`officers` is empty: nobody can freeze, tighten at once or veto a bundle".to_owned();
            found.push(in_roster(LintKind::NobodyFreezes, message));
        }
        found.extend(self.policy().asking().flat_map(|rule| self.approving_attesters(&rule)));
        found
    }

    /// Members of a group that a rule asks who operate a service whose word the policy goes by.
    fn approving_attesters(&self, rule: &Asking<'_>) -> Vec<Lint> {
        let mut found = Vec::new();
        for (group, _) in rule.obligations.approvals() {
            for member in self.roster().group(group).into_iter().flatten() {
                let Some(service) = self.attesting_services_of(member).pop_first() else {
                    continue;
                };
                let (kind, id) = (rule.kind, rule.id);
                let message = format!(
                    "{kind} `{id}` asks group `{group}`, and its member `{member}` operates `{service}`, by whose word payments \
                     are judged: one person checks twice"
                );
                found.push(self.at_rule(LintKind::ApproverAttests, id, message));
            }
        }
        found
    }

    /// The screening services and address books of the policy that a person operates.
    fn attesting_services_of(&self, person: &PrincipalId) -> BTreeSet<PrincipalId> {
        let wants = self.policy().wants();
        let services = wants.attesters.iter().chain(&wants.books);
        let operated = services.filter(|service| self.roster().initiating_people(service).contains(person));
        operated.cloned().collect()
    }
}

fn in_roster(kind: LintKind, message: String) -> Lint {
    let (line, column): Place = TOP;
    Lint {
        kind,
        file: "roster.yaml",
        line,
        column,
        message,
    }
}

//! What the step from one bundle to the next does: tightens, loosens, or both (docs/adr/0023).
//!
//! Promises: what is called a tightening decides no transaction more leniently. Rules and list entries are compared
//! ([`countersign_policy::change`]); every other file, and every name that people read, loosens by being another one.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use countersign_policy::{
    analysis::Invariant,
    change::{self, Direction, Ruleset, Subject},
};
use countersign_types::{Destination, ListId};
use serde::{Deserialize, Serialize};

use crate::{Bundle, Manifest, bundle::Compared, manifest::is_list};

const POLICY: &str = "policy.yaml";
const DESTINATIONS: &str = "destinations.yaml";

/// What a change is as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Only the text changed: nothing is decided otherwise.
    None,
    /// Nothing is decided more leniently.
    Tightening,
    /// Something may be, and nothing is known to be decided more strictly.
    Loosening,
    /// Some of each.
    Both,
}

impl Class {
    /// The word in reports and log entries.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Tightening => "tightening",
            Self::Loosening => "loosening",
            Self::Both => "both",
        }
    }

    /// Whether one officer may put it in force, at once. What changes nothing needs no haste.
    pub fn is_pure_tightening(self) -> bool {
        match self {
            Self::Tightening => true,
            Self::None | Self::Loosening | Self::Both => false,
        }
    }
}
impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The file.
    pub file: String,
    /// The rule or the list in it; absent where the whole file is meant.
    pub subject: Option<String>,
    /// Which way it goes.
    pub direction: Direction,
    /// Why, in one line.
    pub why: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let direction = match self.direction {
            Direction::Tightens => "tightens",
            Direction::Loosens => "loosens ",
        };
        write!(f, "{direction}  {}", self.file)?;
        if let Some(subject) = &self.subject {
            write!(f, ", {subject}")?;
        }
        write!(f, ": {}", self.why)
    }
}

/// Every change from one bundle to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    findings: Vec<Finding>,
}

impl Change {
    /// Each change: rules, lists, names, then whole files.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// The changes of one direction.
    pub fn going(&self, direction: Direction) -> impl Iterator<Item = &Finding> {
        self.findings
            .iter()
            .filter(move |finding| finding.direction == direction)
    }

    /// What they are together.
    pub fn class(&self) -> Class {
        let has = |direction| self.going(direction).next().is_some();
        match (has(Direction::Tightens), has(Direction::Loosens)) {
            (false, false) => Class::None,
            (true, false) => Class::Tightening,
            (false, true) => Class::Loosening,
            (true, true) => Class::Both,
        }
    }
}

/// Compares two bundles. Versions and predecessors are not part of it.
pub fn classify(old: &Bundle, new: &Bundle) -> Change {
    // Whole, without `..`: what is added to bundles must be compared here too, or belong to a file that is.
    let Compared {
        manifest,
        policy,
        invariants,
        lists,
        names: _,
    } = new.compared();
    let before = old.compared();
    let old_rules = Ruleset {
        policy: before.policy,
        lists: before.lists,
    };
    let mut findings: Vec<Finding> = change::compare(old_rules, Ruleset { policy, lists })
        .iter()
        .map(Finding::from)
        .collect();
    findings.extend(of_names(before, new.compared()));
    findings.extend(of_invariants(before.invariants, invariants));
    findings.extend(of_files(before.manifest, manifest));
    Change { findings }
}

/// A change of rules and lists, with its file.
impl From<&change::Finding> for Finding {
    fn from(finding: &change::Finding) -> Self {
        let (file, subject) = match &finding.subject {
            Subject::Rule(kind, id) => (POLICY, format!("{kind} {id}")),
            Subject::List(id) => (DESTINATIONS, format!("list {id}")),
            Subject::Book(service) => (POLICY, format!("address book of {service}")),
        };
        Self {
            file: file.to_owned(),
            subject: Some(subject),
            direction: finding.direction(),
            why: finding.why(),
        }
    }
}

/// Destinations that a list keeps and that people read another name for, or none any more.
fn of_names(old: Compared<'_>, new: Compared<'_>) -> Vec<Finding> {
    let ids: BTreeSet<&ListId> = old.names.keys().chain(new.names.keys()).collect();
    let mut findings = Vec::new();
    for id in ids {
        let (Some(was), Some(list)) = (old.lists.list(id), new.lists.list(id)) else {
            continue;
        };
        let (old_names, new_names) = (old.names.get(id), new.names.get(id));
        let named = old_names.into_iter().chain(new_names).flat_map(|names| names.keys());
        let named: BTreeSet<&Destination> = named.filter(|at| was.contains(at) && list.contains(at)).collect();
        let name =
            |names: Option<&'_ BTreeMap<Destination, String>>, at| names.and_then(|names| names.get(at)).cloned();
        let count = named
            .into_iter()
            .filter(|at| name(old_names, at) != name(new_names, at))
            .count();
        if count > 0 {
            findings.push(Finding {
                file: DESTINATIONS.to_owned(),
                subject: Some(format!("list {id}")),
                direction: Direction::Loosens,
                why: format!("entries renamed: {count}; people read the names"),
            });
        }
    }
    findings
}

/// Invariants decide nothing, but one that is gone or changed guards the next change no more.
fn of_invariants(old: &[Invariant], new: &[Invariant]) -> Vec<Finding> {
    let gone = old.iter().filter(|invariant| !new.contains(invariant));
    let finding = |invariant: &Invariant| Finding {
        file: POLICY.to_owned(),
        subject: Some(format!("invariant {}", invariant.id())),
        direction: Direction::Loosens,
        why: "an invariant is removed or changed".to_owned(),
    };
    gone.map(finding).collect()
}

/// Files other than those whose content is compared: the rules and the lists.
fn of_files(old: &Manifest, new: &Manifest) -> Vec<Finding> {
    let digest = |manifest: &Manifest, path: &str| manifest.file(path).map(|file| (file.digest(), file.component()));
    let paths: BTreeSet<&str> = old.files().iter().chain(new.files()).map(|file| file.path()).collect();
    let mut findings = Vec::new();
    let mut note = |path: &str, why: &str| {
        findings.push(Finding {
            file: path.to_owned(),
            subject: None,
            direction: Direction::Loosens,
            why: why.to_owned(),
        });
    };
    let is_compared = |path: &str| [POLICY, DESTINATIONS].contains(&path) || is_list(path);
    for path in paths.into_iter().filter(|path| !is_compared(path)) {
        match (digest(old, path), digest(new, path)) {
            (Some(old), Some(new)) if old == new => {}
            (Some(_), Some(_)) => note(
                path,
                "the file is another one; only rules and list entries are compared",
            ),
            (None, Some(_)) => note(path, "the file is new; only rules and list entries are compared"),
            (Some(_), None) | (None, None) => note(path, "the file is gone; only rules and list entries are compared"),
        }
    }
    if old.semantics() != new.semantics() {
        note(crate::MANIFEST_PATH, "the semantics are others");
    }
    findings
}

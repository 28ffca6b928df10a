//! What comes from outside: `deny.toml` says which crates and licences, and this keeps it. cargo-deny, which would have to be compiled
//! first, says the same when it is asked (`cargo xtask deny`).

use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::Violation;
use super::graph::{Dependency, Graph, Package};

/// The part of `deny.toml` that we read.
pub(super) struct Rules {
    pub(super) licences: Vec<String>,
    bans: Vec<Ban>,
}

#[derive(Deserialize)]
struct Ban {
    #[serde(rename = "crate")]
    name: String,
    /// Only these may depend on it. Empty: nobody may.
    #[serde(default)]
    wrappers: Vec<String>,
    reason: String,
}

#[derive(Deserialize)]
struct File {
    licenses: Licences,
    bans: Bans,
}

#[derive(Deserialize)]
struct Licences {
    allow: Vec<String>,
}

#[derive(Deserialize)]
struct Bans {
    deny: Vec<Ban>,
}

impl Rules {
    pub(super) fn load(root: &Path) -> Result<Self> {
        let path = root.join("deny.toml");
        let text = std::fs::read_to_string(&path).with_context(|| format!("could not read `{}`", path.display()))?;
        Self::parse(&text)
    }

    fn parse(text: &str) -> Result<Self> {
        let file: File = toml::from_str(text).context("deny.toml is not what xtask reads from it")?;
        Ok(Self {
            licences: file.licenses.allow,
            bans: file.bans.deny,
        })
    }
}

/// The one source of packages, as cargo writes it. In pieces, so that this file names no host.
pub(super) fn default_registry() -> String {
    ["registry+https://github.com/rust-lang/", "crates", ".io-index"].concat()
}

pub(super) fn check(graph: &Graph, rules: &Rules) -> Vec<Violation> {
    let mut violations = Vec::new();
    for package in &graph.packages {
        violations.extend(source(package));
        for ban in rules
            .bans
            .iter()
            .filter(|ban| ban.wrappers.is_empty() && ban.name == package.name)
        {
            let message = format!(
                "`{}` {} is banned ({}): find out who brings it with cargo tree -i {}",
                ban.name, package.version, ban.reason, ban.name
            );
            violations.push(Violation::new("Cargo.lock", 1, message));
        }
    }
    for package in graph.first_party() {
        let manifest = graph.manifest(package);
        let declared = package
            .dependencies
            .iter()
            .flat_map(|dependency| about(package, dependency, rules));
        violations.extend(declared.map(|message| Violation::new(manifest, 1, message)));
    }
    violations
}

fn source(package: &Package) -> Option<Violation> {
    let source = package.source.as_deref()?;
    (source != default_registry()).then(|| {
        let message = format!(
            "`{}` comes from `{source}`: use a release from the default registry",
            package.name
        );
        Violation::new("Cargo.lock", 1, message)
    })
}

fn about(package: &Package, dependency: &Dependency, rules: &Rules) -> Vec<String> {
    let mut messages = Vec::new();
    for ban in rules
        .bans
        .iter()
        .filter(|ban| ban.name == dependency.name && !ban.wrappers.contains(&package.name))
    {
        let who = if ban.wrappers.is_empty() {
            "nobody".to_owned()
        } else {
            format!("only {}", ban.wrappers.join(", "))
        };
        messages.push(format!(
            "`{}` depends on `{}`, which {who} may ({})",
            package.name, ban.name, ban.reason
        ));
    }
    if dependency.source.is_some() && dependency.req == "*" {
        messages.push(format!(
            "`{}` takes any version of `{}`: name one",
            package.name, dependency.name
        ));
    }
    messages
}

#[cfg(test)]
mod tests {
    use super::super::graph::sample;
    use super::*;

    const DENY: &str = r#"
        [licenses]
        allow = ["MIT"]
        [bans]
        deny = [
            { crate = "rsa", reason = "a timing leak" },
            { crate = "serde-saphyr", wrappers = ["countersign-bundle"], reason = "one crate reads YAML" },
        ]
    "#;

    fn messages(graph: &Graph) -> Vec<String> {
        check(graph, &Rules::parse(DENY).unwrap())
            .into_iter()
            .map(|violation| violation.message)
            .collect()
    }

    #[test]
    fn the_one_wrapper_passes() {
        let none: [String; 0] = [];
        assert_eq!(
            messages(&sample(&[
                ("countersign-bundle", &["serde-saphyr"]),
                ("serde-saphyr", &[])
            ])),
            none
        );
    }

    #[test]
    fn anybody_else_is_named_also_in_tests() {
        let found = messages(&sample(&[("countersign-cli", &["dev:serde-saphyr"])]));
        assert!(
            found[0].contains("`countersign-cli` depends on `serde-saphyr`"),
            "{found:?}"
        );
    }

    #[test]
    fn a_banned_crate_is_found_wherever_it_comes_from() {
        assert_eq!(messages(&sample(&[("rsa", &[])])).len(), 1);
    }

    #[test]
    fn git_sources_and_stars_are_refused() {
        let mut graph = sample(&[("countersign-a", &["serde"]), ("serde", &[])]);
        graph.packages[1].source = Some("git+https://example.com/serde".to_owned());
        graph.packages[0].dependencies[0].req = "*".to_owned();
        assert_eq!(messages(&graph).len(), 2);
    }

    #[test]
    fn our_own_deny_toml_is_understood() {
        let rules = Rules::parse(include_str!("../../../deny.toml")).unwrap();
        assert!(rules.licences.iter().any(|licence| licence == "Apache-2.0"));
        assert!(rules.bans.iter().any(|ban| ban.name == "serde_yaml"));
    }
}

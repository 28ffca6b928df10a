//! What `cargo metadata --locked` says about packages and the dependencies that they declare.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::shell;

#[derive(Deserialize)]
pub(super) struct Graph {
    pub(super) packages: Vec<Package>,
    #[serde(default)]
    workspace_root: String,
}

#[derive(Deserialize)]
pub(super) struct Package {
    pub(super) name: String,
    #[serde(default)]
    pub(super) version: String,
    /// None for our own.
    #[serde(default)]
    pub(super) source: Option<String>,
    #[serde(default)]
    manifest_path: String,
    #[serde(default)]
    pub(super) dependencies: Vec<Dependency>,
}

/// A dependency as declared, whatever feature or platform it is for: what may be switched on counts.
#[derive(Deserialize)]
pub(super) struct Dependency {
    pub(super) name: String,
    #[serde(default)]
    kind: Option<String>,
    #[serde(default)]
    pub(super) req: String,
    #[serde(default)]
    pub(super) source: Option<String>,
}

impl Dependency {
    /// Whether it is for tests alone.
    pub(super) fn is_dev(&self) -> bool {
        self.kind.as_deref() == Some("dev")
    }

    pub(super) fn is_normal(&self) -> bool {
        self.kind.is_none()
    }
}

impl Package {
    pub(super) fn is_first_party(&self) -> bool {
        self.source.is_none()
    }
}

impl Graph {
    pub(super) fn load(root: &Path) -> Result<Self> {
        let text = shell::output(shell::cargo(root).args(["metadata", "--locked", "--format-version", "1"]))?;
        Self::parse(&text)
    }

    pub(super) fn parse(text: &str) -> Result<Self> {
        serde_json::from_str(text).context("`cargo metadata` printed JSON that xtask does not understand")
    }

    pub(super) fn first_party(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| package.is_first_party())
    }

    /// The path of the manifest, relative to the repository.
    pub(super) fn manifest<'a>(&self, package: &'a Package) -> &'a str {
        let path = package.manifest_path.as_str();
        path.strip_prefix(&self.workspace_root)
            .unwrap_or(path)
            .trim_start_matches('/')
    }

    /// Every first-party package that a product build of this one contains or runs, itself left out.
    pub(super) fn reach(&self, name: &str) -> BTreeSet<&str> {
        let ours: BTreeMap<&str, &Package> = self
            .first_party()
            .map(|package| (package.name.as_str(), package))
            .collect();
        let mut seen = BTreeSet::new();
        let mut next = vec![name];
        while let Some(package) = next.pop().and_then(|name| ours.get(name)) {
            let product = package.dependencies.iter().filter(|dependency| !dependency.is_dev());
            for dependency in product {
                if ours.contains_key(dependency.name.as_str()) && seen.insert(dependency.name.as_str()) {
                    next.push(&dependency.name);
                }
            }
        }
        seen
    }
}

/// `name: [dependencies]`; `dev:` or `build:` before a dependency says its kind. Ours have no source.
#[cfg(test)]
pub(super) fn sample(packages: &[(&str, &[&str])]) -> Graph {
    let ours = |name: &str| name == "xtask" || name.starts_with("countersign-");
    let source = |name: &str| (!ours(name)).then(super::outside::default_registry);
    let dependency = |text: &&str| {
        let (kind, name) = text
            .split_once(':')
            .map_or((None, *text), |(kind, name)| (Some(kind.to_owned()), name));
        Dependency {
            name: name.to_owned(),
            kind,
            req: "^1".to_owned(),
            source: source(name),
        }
    };
    let package = |(name, dependencies): &(&str, &[&str])| Package {
        name: (*name).to_owned(),
        version: "1.0.0".to_owned(),
        source: source(name),
        manifest_path: format!("/repo/crates/{}/Cargo.toml", name.trim_start_matches("countersign-")),
        dependencies: dependencies.iter().map(dependency).collect(),
    };
    Graph {
        packages: packages.iter().map(package).collect(),
        workspace_root: "/repo".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reach_follows_product_edges_only() {
        let graph = sample(&[
            ("countersign-a", &["build:countersign-b", "dev:countersign-d", "serde"]),
            ("countersign-b", &["countersign-c"]),
            ("countersign-c", &[]),
            ("countersign-d", &[]),
        ]);
        let reach: Vec<_> = graph.reach("countersign-a").into_iter().collect();
        assert_eq!(reach, ["countersign-b", "countersign-c"]);
    }

    #[test]
    fn manifests_are_relative_to_the_repository() {
        let graph = sample(&[("countersign-a", &[])]);
        assert_eq!(graph.manifest(&graph.packages[0]), "crates/a/Cargo.toml");
    }
}

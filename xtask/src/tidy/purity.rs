//! Pure crates: few dependencies, none that does I/O, keeps a clock or makes randomness, and no way around clippy's
//! `disallowed-methods`.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;

use super::Violation;
use super::direction::short;
use super::graph::{Graph, Package};
use super::rust_source;
use super::tree::{Tree, folder_of};
use crate::shell;

const PURE: [&str; 11] = [
    "types", "approval", "policy", "bundle", "chains", "evm", "bitcoin", "solana", "audit", "decision", "signer",
];

/// Direct dependencies from outside. Ten people's work is what one reviewer can follow.
const DIRECT_MAX: usize = 10;

/// What may not be anywhere in a pure crate's normal build. `rand_core` is not here: it is the traits that signature
/// crates name, and without `getrandom` it has no source of randomness.
const IMPURE: [&str; 17] = [
    "async-std",
    "getrandom",
    "h2",
    "hyper",
    "libsqlite3-sys",
    "mio",
    "notify",
    "polling",
    "rand",
    "rand_chacha",
    "reqwest",
    "rusqlite",
    "rustix",
    "smol",
    "socket2",
    "tempfile",
    "walkdir",
];

/// Families of crates, by how their names start.
const IMPURE_FAMILIES: [&str; 3] = ["sqlx", "tokio", "tonic"];

/// The packages in the normal build of each pure crate, by its name.
pub(super) type Trees = BTreeMap<String, Vec<String>>;

/// Asks `cargo tree` one crate at a time: `cargo metadata` unites the features of the whole workspace, and would show
/// a pure crate the randomness that only a backend switched on.
pub(super) fn trees(root: &Path, graph: &Graph) -> Result<Trees> {
    let mut trees = Trees::new();
    for package in pure(graph) {
        let mut tree = shell::cargo(root);
        tree.args([
            "tree",
            "--locked",
            "--all-features",
            "--edges",
            "normal",
            "--prefix",
            "none",
            "--package",
            &package.name,
        ]);
        let listed = shell::output(&mut tree)?;
        let names = listed
            .lines()
            .filter_map(|line| line.split_whitespace().next())
            .map(str::to_owned);
        trees.insert(package.name.clone(), names.collect());
    }
    Ok(trees)
}

pub(super) fn check(graph: &Graph, tree: &Tree, trees: &Trees) -> Vec<Violation> {
    let mut violations = Vec::new();
    for package in pure(graph) {
        violations.extend(too_many(graph, package));
        violations.extend(impure_dependencies(graph, package, trees));
        violations.extend(opt_outs(graph, package, tree));
    }
    violations
}

fn pure(graph: &Graph) -> impl Iterator<Item = &Package> {
    graph
        .first_party()
        .filter(|package| PURE.contains(&short(&package.name)))
}

fn too_many(graph: &Graph, package: &Package) -> Option<Violation> {
    let direct = package
        .dependencies
        .iter()
        .filter(|dependency| dependency.is_normal() && dependency.source.is_some())
        .count();
    (direct > DIRECT_MAX).then(|| {
        let message = format!(
            "`{}` is pure and has {direct} direct dependencies from outside, {DIRECT_MAX} at most",
            package.name
        );
        Violation::new(graph.manifest(package), 1, message)
    })
}

fn impure_dependencies(graph: &Graph, package: &Package, trees: &Trees) -> Vec<Violation> {
    let names = trees.get(&package.name).map(Vec::as_slice).unwrap_or_default();
    let mut bad: Vec<&str> = names
        .iter()
        .map(String::as_str)
        .filter(|name| is_impure(name))
        .collect();
    bad.sort_unstable();
    bad.dedup();
    let message = |name| {
        format!(
            "`{}` is pure and `{name}` is in its build: take the feature away (who brings it: cargo tree -p {} -e normal -i {name})",
            package.name, package.name
        )
    };
    bad.into_iter()
        .map(|name| Violation::new(graph.manifest(package), 1, message(name)))
        .collect()
}

fn is_impure(name: &str) -> bool {
    let in_family =
        |family: &str| name == family || name.strip_prefix(family).is_some_and(|rest| rest.starts_with('-'));
    IMPURE.contains(&name) || IMPURE_FAMILIES.iter().any(|family| in_family(family))
}

/// A pure crate's product code must not switch the rule off that keeps it pure.
fn opt_outs(graph: &Graph, package: &Package, tree: &Tree) -> Vec<Violation> {
    let source = format!("{}/src/", folder_of(graph.manifest(package)));
    let mut violations = Vec::new();
    for (path, text) in tree.with_extension("rs").filter(|(path, _)| path.starts_with(&source)) {
        if rust_source::is_test_file(tree, path) {
            continue;
        }
        let product = rust_source::product_code(text);
        for (line, attribute) in rust_source::attributes(&product) {
            if attribute.contains("disallowed_methods") && !attribute.contains("cfg_attr(test") {
                let message = format!(
                    "`{}` is pure: take the value as an argument instead of switching the rule off",
                    package.name
                );
                violations.push(Violation::new(path, line, message));
            }
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::super::graph::sample;
    use super::*;

    fn trees_of(name: &str, packages: &[&str]) -> Trees {
        Trees::from([(
            name.to_owned(),
            packages.iter().map(|package| (*package).to_owned()).collect(),
        )])
    }

    fn found(dependencies: &[&str], source: &str, tree: &[&str]) -> Vec<Violation> {
        let graph = sample(&[("countersign-policy", dependencies)]);
        check(
            &graph,
            &Tree::of(&[("crates/policy/src/lib.rs", source)]),
            &trees_of("countersign-policy", tree),
        )
    }

    #[test]
    fn a_pure_crate_passes() {
        let source =
            "#![cfg_attr(test, allow(clippy::disallowed_methods, reason = \"vectors\"))]\n// disallowed_methods\n";
        assert_eq!(
            found(&["serde", "dev:tokio"], source, &["serde", "rand_core", "tokenizer"]),
            []
        );
    }

    #[test]
    fn io_in_the_build_is_named_once() {
        let found = found(&[], "", &["serde", "tokio-util", "getrandom", "getrandom", "sqlx"]);
        assert_eq!(found.len(), 3);
        assert!(found[0].message.contains("`getrandom`"));
    }

    #[test]
    fn more_than_ten_are_too_many() {
        let many = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
        assert_eq!(found(&many, "", &[]), []);
        let more: Vec<&str> = many.into_iter().chain(["k"]).collect();
        assert_eq!(found(&more, "", &[]).len(), 1);
    }

    #[test]
    fn switching_the_rule_off_is_seen_on_its_line() {
        let source = "//! Docs.\n\n#![allow(\n    clippy::disallowed_methods,\n    reason = \"an I/O shell\"\n)]\n";
        assert_eq!(found(&[], source, &[])[0].line, 3);
    }

    #[test]
    fn shells_are_left_alone() {
        let graph = sample(&[("countersign-journal", &["sqlx"])]);
        assert_eq!(
            check(&graph, &Tree::of(&[]), &trees_of("countersign-journal", &["sqlx"])),
            []
        );
    }
}

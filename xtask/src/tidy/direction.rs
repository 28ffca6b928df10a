//! Which of our crates may depend on which (DESIGN.md §2). Dependencies point left only.

use super::Violation;
use super::graph::{Graph, Package};
use super::tree::Tree;

/// What a crate may name in `[dependencies]` and `[build-dependencies]`. A crate that is not here is an error: where
/// it stands is decided, not found out.
const ALLOWED: [(&str, &[&str]); 21] = [
    ("types", &[]),
    ("approval", &["types"]),
    ("policy", &["types", "approval"]),
    ("evm", &["types"]),
    ("bitcoin", &["types"]),
    ("solana", &["types"]),
    ("chains", &["types", "evm", "solana", "bitcoin"]),
    ("audit", &["types"]),
    ("proto", &["types"]),
    ("bundle", &["types", "approval", "policy", "chains"]),
    (
        "decision",
        &["types", "approval", "policy", "chains", "bundle", "audit"],
    ),
    (
        "signer",
        &["types", "approval", "policy", "chains", "bundle", "audit", "decision"],
    ),
    (
        "journal",
        &["types", "approval", "policy", "audit", "decision", "signer"],
    ),
    ("backend-pkcs11", &["types", "signer"]),
    ("backend-soft", &["types", "signer"]),
    (
        "signerd",
        &[
            "types",
            "approval",
            "policy",
            "chains",
            "bundle",
            "audit",
            "decision",
            "signer",
            "journal",
            "backend-pkcs11",
            "backend-soft",
            "proto",
        ],
    ),
    ("client", &["types", "approval", "proto"]),
    (
        "cli",
        &[
            "types", "approval", "policy", "chains", "bundle", "audit", "decision", "client", "proto",
        ],
    ),
    ("orchestrator", &["types", "proto"]),
    ("integration", &["types", "approval", "client", "proto"]),
    ("xtask", &[]),
];

/// What must stay out of a product build however the table above is edited, and why. For the orchestrator and the
/// client this holds in tests too: a test that links the signer into them tests something that does not exist.
const NEVER: [(&str, &[&str], &str); 3] = [
    (
        "orchestrator",
        &[
            "signer",
            "decision",
            "policy",
            "bundle",
            "journal",
            "signerd",
            "backend-pkcs11",
            "backend-soft",
        ],
        "the orchestrator is untrusted: it has no policy and no keys to misuse",
    ),
    (
        "client",
        &["signer", "journal", "signerd", "backend-pkcs11", "backend-soft"],
        "what pipelines and bots link cannot sign",
    ),
    (
        "cli",
        &["signer", "journal", "signerd", "backend-pkcs11", "backend-soft"],
        "the command line verifies and signs statements, never transactions",
    ),
];

/// Crates that nothing depends on, not even a test.
const TOPS: [&str; 2] = ["integration", "xtask"];

pub(super) fn check(graph: &Graph, tree: &Tree) -> Vec<Violation> {
    graph
        .first_party()
        .flat_map(|package| {
            let declared = declared(graph, tree, package);
            declared.into_iter().chain(reached(graph, package))
        })
        .collect()
}

/// Crates of ours that the table does not know.
pub(super) fn unlisted(graph: &Graph) -> Vec<Violation> {
    let listed = |package: &&Package| ALLOWED.iter().any(|(name, _)| *name == short(&package.name));
    graph
        .first_party()
        .filter(|package| !listed(package))
        .map(|package| {
            let message = format!(
                "`{}` has no row in xtask/src/tidy/direction.rs: decide what it may depend on",
                package.name
            );
            Violation::new(graph.manifest(package), 1, message)
        })
        .collect()
}

fn declared(graph: &Graph, tree: &Tree, package: &Package) -> Vec<Violation> {
    let name = short(&package.name);
    let Some((_, allowed)) = ALLOWED.iter().find(|(listed, _)| *listed == name) else {
        return Vec::new();
    };
    let never = NEVER
        .iter()
        .filter(|(listed, ..)| *listed == name && name != "cli")
        .flat_map(|(_, never, _)| never.iter());
    let never: Vec<&str> = never.copied().collect();
    let mut violations = Vec::new();
    for dependency in package
        .dependencies
        .iter()
        .filter(|dependency| dependency.source.is_none())
    {
        let on = short(&dependency.name);
        let fine = if dependency.is_dev() {
            !TOPS.contains(&on) && !never.contains(&on)
        } else {
            allowed.contains(&on)
        };
        if !fine {
            let manifest = graph.manifest(package);
            let kind = if dependency.is_dev() {
                "in tests"
            } else {
                "in the product"
            };
            let message = format!(
                "`{name}` may not depend on `{on}` {kind}: remove the dependency, or move the code to a crate further left \
                 (xtask/src/tidy/direction.rs has the table)"
            );
            violations.push(Violation::new(
                manifest,
                tree.line_of(manifest, &dependency.name),
                message,
            ));
        }
    }
    violations
}

fn reached(graph: &Graph, package: &Package) -> Vec<Violation> {
    let name = short(&package.name);
    let reach = graph.reach(&package.name);
    let mut violations = Vec::new();
    for (_, never, why) in NEVER.iter().filter(|(listed, ..)| *listed == name) {
        for bad in never
            .iter()
            .filter(|bad| reach.iter().any(|reached| short(reached) == **bad))
        {
            let message = format!("`{name}` reaches `{bad}` through its dependencies, and never may: {why}");
            violations.push(Violation::new(graph.manifest(package), 1, message));
        }
    }
    violations
}

/// The name without our prefix.
pub(super) fn short(package: &str) -> &str {
    package.strip_prefix("countersign-").unwrap_or(package)
}

#[cfg(test)]
mod tests {
    use super::super::graph::sample;
    use super::*;

    fn messages(packages: &[(&str, &[&str])]) -> Vec<String> {
        check(&sample(packages), &Tree::of(&[]))
            .into_iter()
            .map(|violation| violation.message)
            .collect()
    }

    #[test]
    fn left_is_fine_and_tests_may_look_further() {
        let none: [String; 0] = [];
        assert_eq!(
            messages(&[
                ("countersign-types", &["serde"]),
                ("countersign-policy", &["countersign-types", "dev:countersign-bundle"]),
            ]),
            none
        );
    }

    #[test]
    fn right_is_refused_also_in_build_scripts() {
        let found = messages(&[
            ("countersign-types", &["countersign-policy"]),
            ("countersign-evm", &["build:countersign-chains"]),
        ]);
        assert!(
            found[0].starts_with("`types` may not depend on `policy` in the product"),
            "{found:?}"
        );
        assert!(found[1].starts_with("`evm` may not depend on `chains`"), "{found:?}");
    }

    #[test]
    fn the_orchestrator_never_reaches_the_signer() {
        let found = messages(&[
            ("countersign-orchestrator", &["countersign-proto"]),
            ("countersign-proto", &["countersign-signer"]),
            ("countersign-signer", &[]),
        ]);
        assert!(
            found
                .iter()
                .any(|message| message.starts_with("`orchestrator` reaches `signer`")),
            "{found:?}"
        );
        assert!(!messages(&[("countersign-orchestrator", &["dev:countersign-policy"])]).is_empty());
    }

    #[test]
    fn nothing_depends_on_the_integration_tests() {
        assert!(!messages(&[("countersign-cli", &["dev:countersign-integration"])]).is_empty());
    }

    #[test]
    fn a_crate_without_a_row_is_named() {
        assert_eq!(
            unlisted(&sample(&[
                ("countersign-types", &[]),
                ("countersign-unlisted", &[]),
                ("serde", &[])
            ]))
            .len(),
            1
        );
    }

    #[test]
    fn rows_only_name_rows() {
        let rows: Vec<&str> = ALLOWED.iter().map(|(name, _)| *name).collect();
        for name in ALLOWED
            .iter()
            .flat_map(|(_, names)| names.iter())
            .chain(NEVER.iter().flat_map(|(_, names, _)| names.iter()))
        {
            assert!(rows.contains(name), "{name}");
        }
    }
}

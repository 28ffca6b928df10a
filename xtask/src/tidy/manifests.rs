//! Every crate of the workspace takes the workspace's lints.

use super::Violation;
use super::tree::Tree;

/// The workspace's own manifest, and what is a workspace of its own: the fuzz targets, the policy bench, and the name of the crate that
/// carries Bitcoin Core's vectors.
const LEFT_OUT: [&str; 4] = [
    "Cargo.toml",
    "bench-policy/Cargo.toml",
    "fuzz/Cargo.toml",
    "integration/tools/vectors/Cargo.toml",
];

pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    tree.files()
        .filter(|(path, _)| (path.ends_with("/Cargo.toml") || *path == "Cargo.toml") && !LEFT_OUT.contains(path))
        .filter(|(_, text)| !takes_workspace_lints(text))
        .map(|(path, _)| Violation::new(path, 1, "add `[lints]` with `workspace = true`"))
        .collect()
}

fn takes_workspace_lints(manifest: &str) -> bool {
    let Ok(manifest) = manifest.parse::<toml::Table>() else {
        return false;
    };
    let workspace = manifest.get("lints").and_then(|lints| lints.get("workspace"));
    workspace.and_then(toml::Value::as_bool) == Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lints_come_from_the_workspace() {
        let good = (
            "crates/a/Cargo.toml",
            "[package]\nname = \"a\"\n[lints]\nworkspace = true\n",
        );
        let bad = (
            "chains/b/Cargo.toml",
            "[package]\nname = \"b\"\n# [lints] workspace = true\n",
        );
        let found = check(&Tree::of(&[good, bad, ("Cargo.toml", "[workspace]")]));
        assert_eq!(
            found
                .iter()
                .map(|violation| violation.file.as_str())
                .collect::<Vec<_>>(),
            ["chains/b/Cargo.toml"]
        );
    }
}

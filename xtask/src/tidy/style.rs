//! Rust files: how long they may be, exceptions that give no reason, and what was left behind.

use super::Violation;
use super::rust_source;
use super::tree::Tree;

const LINES_MAX: usize = 700;

/// Files that may be longer, each with the reason.
const LONG_FILES: [(&str, &str); 0] = [];

/// What a person leaves for later, or for a debugger.
const LEFTOVERS: [&str; 3] = ["todo!", "unimplemented!", "dbg!"];

pub(super) fn sizes(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (path, text) in tree.with_extension("rs") {
        let lines = text.lines().count();
        if lines > LINES_MAX && !LONG_FILES.iter().any(|(long, _)| *long == path) {
            let message = format!(
                "{lines} lines, {LINES_MAX} at most: split it by concept, or list it with a reason in xtask/src/tidy/style.rs"
            );
            violations.push(Violation::new(path, LINES_MAX, message));
        }
    }
    violations
}

pub(super) fn leftovers(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (path, text) in tree
        .with_extension("rs")
        .filter(|(path, _)| !rust_source::is_test_file(tree, path))
    {
        let code = rust_source::product_code(text);
        for (line, attribute) in rust_source::attributes(&code) {
            if (attribute.contains("allow(") || attribute.contains("expect(")) && !attribute.contains("reason") {
                violations.push(Violation::new(
                    path,
                    line,
                    "an exception without a reason: add `reason = \"…\"`",
                ));
            }
        }
        for (line, text) in super::tree::numbered(&code) {
            for leftover in LEFTOVERS.iter().filter(|leftover| has_macro(text, leftover)) {
                violations.push(Violation::new(
                    path,
                    line,
                    format!("`{leftover}` in product code: finish it or remove it"),
                ));
            }
        }
    }
    violations
}

fn has_macro(line: &str, name: &str) -> bool {
    line.match_indices(name).any(|(at, _)| {
        let before = line.get(..at).and_then(|before| before.chars().next_back());
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(usize, String)> {
        let tree = Tree::of(&[("crates/a/src/lib.rs", text)]);
        leftovers(&tree)
            .into_iter()
            .map(|violation| (violation.line, violation.message))
            .collect()
    }

    #[test]
    fn good_code_passes() {
        let text = "#![allow(dead_code, reason = \"x\")]\n// todo!\nfn f() { my_todo!(\"dbg!\") }\n#[cfg(test)]\nmod t { fn g() { todo!() } }";
        assert_eq!(found(text), []);
    }

    #[test]
    fn each_leftover_has_its_line() {
        let found = found("#[allow(dead_code)]\nfn f() { todo!() }\n#[expect(\n    unused\n)]\nfn g() { dbg!(1); }");
        assert_eq!(found.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [1, 3, 2, 6]);
    }

    #[test]
    fn a_long_file_is_named() {
        let long = "x\n".repeat(LINES_MAX + 1);
        assert_eq!(
            sizes(&Tree::of(&[
                ("a.rs", &long),
                ("b.rs", &"x\n".repeat(LINES_MAX)),
                ("c.md", &long)
            ]))
            .len(),
            1
        );
    }
}

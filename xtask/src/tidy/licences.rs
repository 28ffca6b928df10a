//! Licences of everything that is built, for any platform, held against the list in `deny.toml`.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;

use super::Violation;
use crate::shell;

/// Licence expressions by package and version. `cargo tree`, not `cargo metadata`: the latter also lists packages
/// behind features that nobody switches on.
pub(super) type Shipped = BTreeMap<String, String>;

pub(super) fn shipped(root: &Path) -> Result<Shipped> {
    let mut tree = shell::cargo(root);
    tree.args([
        "tree",
        "--locked",
        "--workspace",
        "--all-features",
        "--target",
        "all",
        "--prefix",
        "none",
        "--format",
        "{p}|{l}|",
    ]);
    let listed = shell::output(&mut tree)?;
    let row = |line: &str| {
        let mut fields = line.split('|');
        let package = fields.next()?.split(" (").next()?.to_owned();
        Some((package, fields.next()?.to_owned()))
    };
    Ok(listed.lines().filter_map(row).collect())
}

pub(super) fn check(shipped: &Shipped, allowed: &[String]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (package, expression) in shipped {
        if !permits(expression, allowed) {
            let message = format!(
                "`{package}` is licensed `{expression}`, which deny.toml does not allow: replace it, or decide to allow it"
            );
            violations.push(Violation::new("Cargo.lock", 1, message));
        }
    }
    violations
}

/// Whether the expression lets us choose only licences from the list. An expression that we cannot read does not.
fn permits(expression: &str, allowed: &[String]) -> bool {
    // `MIT/Apache-2.0` is how crates wrote "or" before SPDX expressions.
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut reader = Reader { words: &words, allowed };
    reader.any_of() == Some(true) && reader.words.is_empty()
}

/// Reads `any-of`: `all-of {OR all-of}`, `all-of`: `one {AND one}`, `one`: `( any-of )` or `id [WITH exception]`.
struct Reader<'a> {
    words: &'a [&'a str],
    allowed: &'a [String],
}

impl Reader<'_> {
    fn any_of(&mut self) -> Option<bool> {
        let mut permitted = self.all_of()?;
        while self.takes("OR") {
            permitted |= self.all_of()?;
        }
        Some(permitted)
    }

    fn all_of(&mut self) -> Option<bool> {
        let mut permitted = self.one()?;
        while self.takes("AND") {
            permitted &= self.one()?;
        }
        Some(permitted)
    }

    fn one(&mut self) -> Option<bool> {
        let (first, rest) = self.words.split_first()?;
        self.words = rest;
        if *first == "(" {
            let permitted = self.any_of()?;
            return self.takes(")").then_some(permitted);
        }
        let mut id = (*first).to_owned();
        if self.takes("WITH") {
            let (exception, rest) = self.words.split_first()?;
            self.words = rest;
            id = format!("{id} WITH {exception}");
        }
        Some(self.allowed.contains(&id))
    }

    fn takes(&mut self, word: &str) -> bool {
        match self.words.split_first() {
            Some((first, rest)) if *first == word => {
                self.words = rest;
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(expression: &str) -> bool {
        permits(
            expression,
            &["MIT".to_owned(), "ISC".to_owned(), "Unicode-3.0".to_owned()],
        )
    }

    #[test]
    fn one_choice_is_enough_and_every_part_is_needed() {
        for good in [
            "MIT",
            "MIT OR GPL-3.0",
            "GPL-3.0/MIT",
            "(MIT OR Apache-2.0) AND Unicode-3.0",
            "ISC AND (GPL-3.0 OR MIT)",
        ] {
            assert!(allows(good), "{good}");
        }
        for bad in [
            "GPL-3.0",
            "MIT AND GPL-3.0",
            "MIT WITH exception",
            "(MIT OR GPL-3.0) AND GPL-3.0",
        ] {
            assert!(!allows(bad), "{bad}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_not_allowed() {
        for bad in ["", "MIT OR", "(MIT", "MIT)", "MIT MIT", "MIT AND"] {
            assert!(!allows(bad), "{bad}");
        }
    }

    #[test]
    fn the_package_is_named() {
        let shipped = Shipped::from([
            ("a v1.0.0".to_owned(), "MIT".to_owned()),
            ("b v2.0.0".to_owned(), String::new()),
        ]);
        let found = check(&shipped, &["MIT".to_owned()]);
        assert!(
            found.len() == 1 && found[0].message.starts_with("`b v2.0.0`"),
            "{found:?}"
        );
    }
}

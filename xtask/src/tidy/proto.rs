//! Every proto enum's zero value ends in `_UNSPECIFIED`: a field left out must not mean something.

use super::Violation;
use super::tree::{Tree, numbered};

pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    tree.with_extension("proto")
        .flat_map(|(path, text)| enums(path, text))
        .collect()
}

fn enums(path: &str, text: &str) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut open: Option<(usize, String, bool)> = None; // line, name, whether zero was seen
    for (number, line) in numbered(text) {
        let code = line.split("//").next().unwrap_or_default();
        for part in code.split_inclusive(['{', ';', '}']) {
            let words: Vec<&str> = part
                .split([' ', '\t', '=', ';', '{', '}'])
                .filter(|word| !word.is_empty())
                .collect();
            match (words.as_slice(), &mut open) {
                (["enum", name], None) if part.ends_with('{') => open = Some((number, (*name).to_owned(), false)),
                ([value, "0", ..], Some((_, name, seen))) => {
                    *seen = true;
                    if !value.ends_with("_UNSPECIFIED") {
                        let message = format!(
                            "the zero value of enum `{name}` is `{value}`: put one that ends in `_UNSPECIFIED` there"
                        );
                        violations.push(Violation::new(path, number, message));
                    }
                }
                _ => {}
            }
            if part.ends_with('}')
                && let Some((start, name, false)) = open.take()
            {
                let message = format!("enum `{name}` has no zero value: add one that ends in `_UNSPECIFIED`");
                violations.push(Violation::new(path, start, message));
            }
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<usize> {
        check(&Tree::of(&[("proto/a.proto", text)]))
            .into_iter()
            .map(|violation| violation.line)
            .collect()
    }

    #[test]
    fn unspecified_comes_first() {
        let text = "message M { enum S { S_UNSPECIFIED = 0; S_DONE = 1; } int32 zero = 10; }\nenum T {\n  // T = 0;\n  T_UNSPECIFIED = 0;\n}";
        assert_eq!(found(text), [0_usize; 0]);
    }

    #[test]
    fn a_zero_that_means_something_and_no_zero_are_found() {
        assert_eq!(found("enum S {\n  S_DONE = 0;\n}\nenum T {\n  T_A = 1;\n}\n"), [2, 4]);
    }
}

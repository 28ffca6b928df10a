//! Just enough of Rust's grammar to tell code from comments and strings, and product code from tests.

use std::collections::BTreeSet;

use super::tree::{Tree, folder_of, numbered};

/// The text with comments and the insides of strings replaced by spaces; every line keeps its number.
pub(super) fn code_only(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    let mut in_word = false;
    while let Some(first) = rest.chars().next() {
        let (length, keep_edges) = blank_length(rest, in_word).unwrap_or((first.len_utf8(), false));
        let (taken, after) = rest.split_at_checked(length).unwrap_or((rest, ""));
        if keep_edges {
            code.push('"');
        }
        if taken.len() > first.len_utf8() {
            code.extend(taken.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        } else {
            code.push(first);
        }
        if keep_edges {
            code.push('"');
        }
        in_word = first.is_alphanumeric() || first == '_';
        rest = after;
    }
    code
}

/// The length of the comment or literal that starts here, and whether it is a string.
fn blank_length(rest: &str, in_word: bool) -> Option<(usize, bool)> {
    if rest.starts_with("//") {
        return Some((rest.find('\n').unwrap_or(rest.len()), false));
    }
    if rest.starts_with("/*") {
        return Some((block_comment(rest), false));
    }
    if rest.starts_with('"') {
        return Some((quoted(rest, '"'), true));
    }
    if rest.starts_with('\'') {
        return char_literal(rest).map(|length| (length, false));
    }
    if in_word {
        None
    } else {
        raw_string(rest).map(|length| (length, true))
    }
}

fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0_usize);
    while let Some(tail) = rest.get(at..) {
        let Some(first) = tail.chars().next() else { break };
        let step = if tail.starts_with("/*") {
            depth = depth.saturating_add(1);
            2
        } else if tail.starts_with("*/") {
            depth = depth.saturating_sub(1);
            2
        } else {
            first.len_utf8()
        };
        at = at.saturating_add(step);
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

/// The length of a literal in quotes with backslash escapes; it starts with the quote.
fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        if !escaped && c == quote {
            return at.saturating_add(1);
        }
        escaped = !escaped && c == '\\';
    }
    rest.len()
}

/// `'a'` and `'\n'` are literals, `'a` is a lifetime.
fn char_literal(rest: &str) -> Option<usize> {
    let mut after = rest.chars().skip(1);
    let (first, second) = (after.next()?, after.next()?);
    (first == '\\' || second == '\'').then(|| quoted(rest, '\''))
}

/// `r"…"`, `r#"…"#`, and the byte and C variants.
fn raw_string(rest: &str) -> Option<usize> {
    let body = ["br", "cr", "r"].iter().find_map(|prefix| rest.strip_prefix(prefix))?;
    let text = body.trim_start_matches('#');
    let hashes = body.len().checked_sub(text.len())?;
    let inside = text.strip_prefix('"')?;
    let closing = format!("\"{}", "#".repeat(hashes));
    let end = inside
        .find(&closing)
        .map_or(inside.len(), |at| at.saturating_add(closing.len()));
    rest.len().checked_sub(inside.len())?.checked_add(end)
}

/// Code without the items under `#[cfg(test)]`; every line keeps its number.
pub(super) fn product_code(text: &str) -> String {
    let code = code_only(text);
    let tests = test_lines(&code);
    let keep = |(number, line)| {
        if tests.contains(&number) {
            "\n".to_owned()
        } else {
            format!("{line}\n")
        }
    };
    numbered(&code).map(keep).collect()
}

/// The original lines under `#[cfg(test)]`.
pub(super) fn test_code(text: &str) -> String {
    let tests = test_lines(&code_only(text));
    numbered(text)
        .filter(|(number, _)| tests.contains(number))
        .flat_map(|(_, line)| [line, "\n"])
        .collect()
}

/// Line numbers from each `#[cfg(test)]` to the end of the item that follows it.
fn test_lines(code: &str) -> BTreeSet<usize> {
    let mut lines = BTreeSet::new();
    let mut depth: Option<usize> = None; // how many brackets are open since the attribute; None: not under one
    for (number, line) in numbered(code) {
        let start = if depth.is_none() {
            line.find("#[cfg(test)]")
        } else {
            Some(0)
        };
        let Some(tail) = start.and_then(|start| line.get(start..)) else {
            continue;
        };
        lines.insert(number);
        depth = Some(depth.unwrap_or(0));
        for c in tail.chars() {
            depth = match (c, depth) {
                ('{' | '(' | '[', Some(open)) => Some(open.saturating_add(1)),
                ('}', Some(0 | 1)) | (';', Some(0)) => None,
                ('}' | ')' | ']', Some(open)) => Some(open.saturating_sub(1)),
                (_, other) => other,
            };
        }
    }
    lines
}

/// Files that are tests as a whole: `tests/` folders, `tests.rs`, the integration crate, and modules that their
/// parent declares under `#[cfg(test)]`.
pub(super) fn is_test_file(tree: &Tree, path: &str) -> bool {
    let by_name = path.contains("/tests/") || path.contains("/benches/") || path.ends_with("/tests.rs");
    by_name
        || path.starts_with("integration/")
        || path.starts_with("fuzz/")
        || path.starts_with("bench-policy/")
        || declared_as_test(tree, path)
}

fn declared_as_test(tree: &Tree, path: &str) -> bool {
    let stem = path
        .strip_suffix("/mod.rs")
        .or_else(|| path.strip_suffix(".rs"))
        .unwrap_or(path);
    let folder = folder_of(stem);
    let Some(module) = stem.rsplit('/').next() else {
        return false;
    };
    let parents = [
        format!("{folder}/lib.rs"),
        format!("{folder}/main.rs"),
        format!("{folder}/mod.rs"),
        format!("{folder}.rs"),
    ];
    let declaration = format!("mod {module};");
    parents
        .iter()
        .filter_map(|parent| tree.text(parent))
        .any(|text| test_code(text).contains(&declaration))
}

/// The attributes in code that has no comments and strings any more, each with its first line, on one line.
pub(super) fn attributes(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (number, line) in numbered(code) {
        let trimmed = line.trim();
        if open.is_none() && (trimmed.starts_with("#[") || trimmed.starts_with("#![")) {
            open = Some((number, String::new()));
        }
        let Some((start, mut text)) = open.take() else { continue };
        text.push_str(trimmed);
        if text.matches('[').count() > text.matches(']').count() {
            open = Some((start, text));
        } else {
            found.push((start, text));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_strings_are_blanked_and_lines_stay() {
        let text = "let a = \"{ todo!\"; // dbg!\n/* x /* y */\n z */ let b = '{'; let c: &'a str = r#\"}\"\n\"#;\nend";
        let code = code_only(text);
        assert!(
            !code.contains(['{', '}']) && !code.contains("todo") && !code.contains("dbg") && !code.contains('y'),
            "{code}"
        );
        assert_eq!(code.lines().count(), text.lines().count());
        assert!(code.contains("let c: &'a str = ") && code.ends_with("end"), "{code}");
    }

    #[test]
    fn escapes_do_not_end_a_literal() {
        assert!(code_only(r#"let q = '\''; let s = "\"{"; x"#).ends_with("; x"));
        assert!(!code_only(r#"let s = "\"{"; x"#).contains('{'));
    }

    #[test]
    fn tests_are_told_from_the_product() {
        let text = "fn a() { b() }\n#[cfg(test)]\nmod tests {\n    fn inner() { \"}\"; }\n}\nfn c() {}\n#[cfg(test)]\nfn other(a: [u8; 3]) {}\nfn d() {}";
        let product = product_code(text);
        assert!(
            product.contains("fn c")
                && product.contains("fn d")
                && !product.contains("inner")
                && !product.contains("other")
        );
        assert!(test_code(text).contains("inner() { \"}\"; }"));
        assert_eq!(
            numbered(&product)
                .find(|(_, line)| line.contains("fn d"))
                .map(|(number, _)| number),
            Some(9)
        );
    }

    #[test]
    fn modules_that_only_tests_see_are_tests() {
        let tree = Tree::of(&[
            ("crates/a/src/lib.rs", "mod real;\n#[cfg(test)]\nmod samples;"),
            ("crates/a/src/real.rs", "#[cfg(test)]\nmod cases;"),
        ]);
        assert!(is_test_file(&tree, "crates/a/src/samples.rs") && is_test_file(&tree, "crates/a/src/real/cases.rs"));
        assert!(is_test_file(&tree, "crates/a/tests/x.rs") && !is_test_file(&tree, "crates/a/src/real.rs"));
    }

    #[test]
    fn attributes_over_several_lines_are_one() {
        let found = attributes("#![deny(x)]\n#[allow(\n  a,\n  reason = \"\"\n)]\nfn f() {}\n  #[test] fn g() {}");
        assert_eq!(found[1], (2, "#[allow(a,reason = \"\")]".to_owned()));
        assert_eq!(found.len(), 3);
    }
}

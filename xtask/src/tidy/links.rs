//! Every relative link in a Markdown file points to something that is in the repository.

use super::Violation;
use super::tree::{Tree, folder_of, numbered};

pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (path, text) in tree.with_extension("md") {
        for (line, target) in targets(text) {
            let exists = resolve(folder_of(path), target).is_some_and(|resolved| tree.contains(&resolved));
            if !exists {
                violations.push(Violation::new(
                    path,
                    line,
                    format!("the link `{target}` points to nothing in the repository"),
                ));
            }
        }
    }
    violations
}

/// The relative targets of `[text](target)` and `[name]: target`, outside of code.
fn targets(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut fenced = false;
    for (number, line) in numbered(text) {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            // Every second piece between backticks is code; a link may have code as its text, so `](` opens the piece.
            let prose = line.split('`').step_by(2);
            let inline = prose
                .flat_map(|piece| piece.split("](").skip(1))
                .filter_map(|rest| rest.split(')').next());
            let named = line
                .strip_prefix('[')
                .and_then(|rest| rest.split_once("]: "))
                .map(|(_, target)| target);
            let relative = inline.chain(named).filter_map(relative);
            found.extend(relative.map(|target| (number, target)));
        }
    }
    found
}

/// The path of a link without its anchor and title; none for other sites and for places in the same file.
fn relative(target: &str) -> Option<&str> {
    let path = target.trim().trim_start_matches('<').split(['#', ' ', '>']).next()?;
    let elsewhere = path.contains("://") || path.starts_with("mailto:");
    (!path.is_empty() && !elsewhere).then_some(path)
}

/// The path from the root; none when it leaves the repository.
fn resolve(folder: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    if target.starts_with('/') {
        parts.clear();
    }
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(usize, String)> {
        let tree = Tree::of(&[("docs/a.md", text), ("docs/adr/1.md", ""), ("README.md", "")]);
        check(&tree)
            .into_iter()
            .map(|violation| (violation.line, violation.message))
            .collect()
    }

    #[test]
    fn links_to_what_is_there_pass() {
        let text = "[a](adr/1.md#x) [`b`](../README.md \"title\") [c](adr/) [d](#here) [e](https://x.example/y)\n\
                    ```\n[f](nothing.md)\n```\n`[g](nothing.md)`\n[h]: adr/1.md\n";
        assert_eq!(found(text), []);
    }

    #[test]
    fn links_to_nothing_have_their_line() {
        let found = found("fine\n[a](adr/2.md)\n[b](../../other/README.md)\n[c]: gone.md\n");
        assert_eq!(found.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [2, 3, 4]);
    }
}

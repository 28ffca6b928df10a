//! No host of a package registry in any file: packages are named, where they come from is each machine's own setting.

use super::Violation;
use super::outside;
use super::tree::{Tree, numbered};

/// In pieces, so that this file passes its own check.
const HOSTS: [&[&str]; 17] = [
    &["index.crates", ".io"],
    &["static.crates", ".io"],
    &["crates", ".io-index"],
    &["crates", ".io/api"],
    &["registry.npm", "js.org"],
    &["registry.yarn", "pkg.com"],
    &["npm.pkg.git", "hub.com"],
    &["py", "pi.org"],
    &["files.python", "hosted.org"],
    &["py", "pi.python.org"],
    &["deb.deb", "ian.org"],
    &["ftp.deb", "ian.org"],
    &["security.deb", "ian.org"],
    &["archive.ub", "untu.com"],
    &["proxy.go", "lang.org"],
    &["sum.go", "lang.org"],
    &["repo.maven", ".apache.org"],
];

pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    let hosts: Vec<String> = HOSTS.iter().map(|pieces| pieces.concat()).collect();
    let standard = format!("source = \"{}\"", outside::default_registry());
    let mut violations = Vec::new();
    for (path, text) in tree.files() {
        let is_cargo_lock = path == "Cargo.lock" || path.ends_with("/Cargo.lock");
        for (number, line) in numbered(text).filter(|(_, line)| !(is_cargo_lock && *line == standard)) {
            for host in hosts.iter().filter(|host| line.contains(host.as_str())) {
                let message =
                    format!("names the registry host `{host}`: name the package and leave the host to the machine");
                violations.push(Violation::new(path, number, message));
            }
        }
        violations.extend(resolved(path, text));
    }
    violations
}

/// npm writes the address of every package into its lock file, whatever the host.
fn resolved(path: &str, text: &str) -> Option<Violation> {
    if !path.ends_with("package-lock.json") {
        return None;
    }
    let (line, _) = numbered(text).find(|(_, line)| line.trim_start().starts_with("\"resolved\""))?;
    let message = "`resolved` names a registry host: write the file with `npm install --package-lock-only --omit-lockfile-registry-resolved=true`";
    Some(Violation::new(path, line, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standard_line_of_cargo_lock_is_fine_there_alone() {
        let line = format!("source = \"{}\"\n", outside::default_registry());
        assert_eq!(
            check(&Tree::of(&[
                ("Cargo.lock", &line),
                ("fuzz/Cargo.lock", &line),
                ("README.md", "cargo, npm, apt")
            ])),
            []
        );
        assert_eq!(check(&Tree::of(&[("docs/x.md", &line)])).len(), 1);
    }

    #[test]
    fn hosts_are_found_in_any_file() {
        let text = format!("ok\nsee https://{}/simple\n", ["py", "pi.org"].concat());
        let found = check(&Tree::of(&[("docs/x.md", &text)]));
        assert_eq!((found.len(), found[0].line), (1, 2));
    }

    #[test]
    fn a_lock_file_of_npm_names_no_host_at_all() {
        let bad = "{\n  \"resolved\": \"https://mirror.example/x.tgz\"\n}";
        assert_eq!(
            check(&Tree::of(&[("integration/tools/package-lock.json", bad)])).len(),
            1
        );
        assert_eq!(
            check(&Tree::of(&[(
                "integration/tools/package-lock.json",
                "{ \"integrity\": \"sha512-x\" }"
            )])),
            []
        );
    }
}

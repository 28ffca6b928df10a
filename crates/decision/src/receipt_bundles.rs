//! The files of a receipt's bundles. What a bundle has from the one before is not written again, and of a long list only what
//! changed: otherwise a receipt would grow by all lists with every change of any file.
//!
//! Nothing is believed of it: the manifest of a bundle has the digests of its files, however they came about.

use std::collections::{BTreeMap, BTreeSet};

use countersign_bundle::{MANIFEST_PATH, Manifest};
use serde::{Deserialize, Serialize};

use crate::{
    ReceiptError,
    receipt_error::broken,
    receipt_file::{Blob, BundleJson},
};

/// Files by path.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// The most bytes that the bundles of one receipt have together once they are whole: a short receipt cannot fill a machine.
const MAX_WHOLE_BYTES: usize = 1024 * 1024 * 1024;
/// Where lists of their own files are.
const LISTS: &str = "lists/";

/// What became of a list since the bundle before: destinations, ascending.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListStep {
    removed: Vec<String>,
    added: Vec<String>,
}

impl ListStep {
    /// `None` where the whole list is shorter, or is no list.
    fn between(old: &[u8], new: &[u8]) -> Option<Self> {
        let (before, after) = (lines(old)?, lines(new)?);
        let texts = |one: &BTreeSet<&str>, other: &BTreeSet<&str>| -> Vec<String> {
            one.difference(other).map(|line| (*line).to_owned()).collect()
        };
        let step = Self {
            removed: texts(&before, &after),
            added: texts(&after, &before),
        };
        let changed = step.removed.len().saturating_add(step.added.len());
        let is_short = changed <= after.len().checked_div(2).unwrap_or_default();
        (is_short && step.apply(old).as_deref() == Some(new)).then_some(step)
    }

    /// The list behind the step; `None` where the step is not one of this list.
    fn apply(&self, old: &[u8]) -> Option<Vec<u8>> {
        let mut list = lines(old)?;
        let is_gone = self.removed.iter().all(|line| list.remove(line.as_str()));
        let is_new = self.added.iter().all(|line| list.insert(line));
        let whole = list.into_iter().flat_map(|line| [line, "\n"]);
        (is_gone && is_new).then(|| whole.collect::<String>().into_bytes())
    }
}

fn lines(bytes: &[u8]) -> Option<BTreeSet<&str>> {
    Some(std::str::from_utf8(bytes).ok()?.lines().collect())
}

/// A bundle's files as a receipt has them: whole ones, and steps of lists.
pub(crate) fn pack(files: &Files, before: Option<&Files>) -> (BTreeMap<String, Blob>, BTreeMap<String, ListStep>) {
    let (mut whole, mut steps) = (BTreeMap::new(), BTreeMap::new());
    for (path, bytes) in files {
        let held = before.and_then(|before| before.get(path));
        if held == Some(bytes) {
            continue;
        }
        let step = held.filter(|_| path.starts_with(LISTS));
        match step.and_then(|held| ListStep::between(held, bytes)) {
            Some(step) => drop(steps.insert(path.clone(), step)),
            None => drop(whole.insert(path.clone(), Blob(bytes.clone()))),
        }
    }
    (whole, steps)
}

/// The files of each bundle, whole.
pub(crate) fn unpack(bundles: &[BundleJson]) -> Result<Vec<Files>, ReceiptError> {
    unpack_up_to(MAX_WHOLE_BYTES, bundles)
}

fn unpack_up_to(max: usize, bundles: &[BundleJson]) -> Result<Vec<Files>, ReceiptError> {
    let mut all: Vec<Files> = Vec::new();
    let mut size = 0_usize;
    for bundle in bundles {
        let files = whole(bundle, all.last())?;
        size = files.values().map(Vec::len).fold(size, usize::saturating_add);
        if size > max {
            return Err(broken(format!("its bundles have over {max} bytes")));
        }
        all.push(files);
    }
    Ok(all)
}

fn whole(bundle: &BundleJson, before: Option<&Files>) -> Result<Files, ReceiptError> {
    let mut files: Files = bundle
        .files
        .iter()
        .map(|(path, blob)| (path.clone(), blob.0.clone()))
        .collect();
    let held = |path: &str| before.and_then(|before| before.get(path));
    for (path, step) in &bundle.lists {
        let list = held(path).and_then(|held| step.apply(held));
        let list = list.filter(|_| !files.contains_key(path));
        let list =
            list.ok_or_else(|| broken(format!("its step of `{}` is of no list before", path.escape_default())))?;
        files.insert(path.clone(), list);
    }
    // Without a manifest that can be read the bundle does not load, which says more.
    let manifest = files.get(MANIFEST_PATH).and_then(|bytes| Manifest::parse(bytes).ok());
    for file in manifest.iter().flat_map(|manifest| manifest.files()) {
        if let Some(held) = held(file.path())
            && !files.contains_key(file.path())
        {
            files.insert(file.path().to_owned(), held.clone());
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use countersign_types::Timestamp;

    use super::*;

    fn list(entries: impl Iterator<Item = u32>) -> Vec<u8> {
        entries
            .map(|n| format!("dev:1:{n:04}\n"))
            .collect::<String>()
            .into_bytes()
    }

    /// A bundle with its manifest; what else is in it is no matter here.
    fn bundle(version: u64, more: &[(&str, Vec<u8>)]) -> Files {
        let required = ["assets", "destinations", "policy", "roster", "wallets"];
        let required = required.map(|name| (format!("{name}.yaml"), format!("{name}\n").into_bytes()));
        let more = more.iter().map(|(path, bytes)| ((*path).to_owned(), bytes.clone()));
        let mut files: Files = required.into_iter().chain(more).collect();
        let previous = (version > 1).then(|| countersign_types::BundleDigest::of(b"the one before"));
        let manifest = Manifest::build(version, previous, &files).unwrap();
        files.insert(MANIFEST_PATH.to_owned(), manifest.to_bytes());
        files
    }

    fn packed(bundles: &[Files]) -> Vec<BundleJson> {
        let before = std::iter::once(None).chain(bundles.iter().map(Some));
        let pack = |(files, before)| {
            let (files, lists) = pack(files, before);
            BundleJson {
                files,
                lists,
                statements: Vec::new(),
                activated_at: Timestamp::from_unix_millis(0),
            }
        };
        bundles.iter().zip(before).map(pack).collect()
    }

    /// The list grows, shrinks, is replaced, stays, goes and comes back.
    fn history() -> Vec<Files> {
        let lists = [
            Some(list(0..1_000)),
            Some(list(0..1_002)),
            Some(list((0..1_002).filter(|n| *n != 7))),
            Some(list(5_000..6_000)),
            Some(list(5_000..6_000)),
            None,
            Some(list(0..10)),
            Some(Vec::new()),
        ];
        let one = |(version, list): (u64, Option<Vec<u8>>)| {
            let list = list.map(|list| ("lists/customers.list", list));
            bundle(version, list.as_slice())
        };
        (1..).zip(lists).map(one).collect()
    }

    #[test]
    fn what_is_packed_comes_back() {
        let history = history();
        let packed = packed(&history);
        assert_eq!(unpack(&packed).unwrap(), history);
        // The first is whole; of later ones the manifest is, and of the list what changed, unless that is most of it.
        let shape = |bundle: &BundleJson| {
            let step = bundle.lists.values().next();
            let step = step.map(|step| (step.removed.len(), step.added.len()));
            (bundle.files.len(), step)
        };
        let shapes: Vec<_> = packed.iter().map(shape).collect();
        let expected = [
            (7, None),
            (1, Some((0, 2))),
            (1, Some((1, 0))),
            (2, None),
            (1, None),
            (1, None),
            (2, None),
            (2, None),
        ];
        assert_eq!(shapes, expected);
        // A receipt that repeats everything says the same.
        let mut long = packed;
        for (bundle, files) in long.iter_mut().zip(&history) {
            bundle.lists.clear();
            bundle.files = files
                .iter()
                .map(|(path, bytes)| (path.clone(), Blob(bytes.clone())))
                .collect();
        }
        assert_eq!(unpack(&long).unwrap(), history);
    }

    #[test]
    fn a_step_of_another_list_is_refused() {
        type Change = fn(&mut Vec<BundleJson>);
        let changes: [(&str, Change); 6] = [
            ("it takes out what is not there", |b| {
                b[1].lists
                    .values_mut()
                    .for_each(|step| step.removed.push("dev:1:9999".to_owned()));
            }),
            ("it brings what is there", |b| {
                b[1].lists
                    .values_mut()
                    .for_each(|step| step.added.push("dev:1:0001".to_owned()));
            }),
            ("it brings one twice", |b| {
                b[1].lists
                    .values_mut()
                    .for_each(|step| step.added.push("dev:1:1001".to_owned()));
            }),
            ("nothing is before it", |b| drop(b.remove(0))),
            ("the list is whole beside it", |b| {
                b[1].files.insert("lists/customers.list".to_owned(), Blob(Vec::new()));
            }),
            ("it is of a list that is not there", |b| {
                let step = b[1].lists.remove("lists/customers.list").unwrap();
                b[1].lists.insert("lists/others.list".to_owned(), step);
            }),
        ];
        for (what, change) in changes {
            let mut bundles = packed(&history());
            change(&mut bundles);
            assert!(unpack(&bundles).is_err(), "{what}");
        }
        // Another list than the manifest's comes back as what it is, and does not load.
        let mut bundles = packed(&history());
        bundles[1].lists.values_mut().for_each(|step| drop(step.added.pop()));
        let files = unpack(&bundles).unwrap();
        let errors = countersign_bundle::Bundle::load(&files[1]).unwrap_err().to_string();
        assert!(
            errors.starts_with("lists/customers.list:1:1: bundle/digest-mismatch: the file has"),
            "{errors}"
        );
    }

    /// Many bundles of few words are a lot of bytes when they are whole.
    #[test]
    fn a_short_receipt_cannot_fill_a_machine() {
        let bundles = packed(&history());
        let size: usize = history().iter().flat_map(|files| files.values().map(Vec::len)).sum();
        assert!(unpack_up_to(size, &bundles).is_ok());
        let error = unpack_up_to(size - 1, &bundles).unwrap_err().to_string();
        assert!(
            error.ends_with(&format!("its bundles have over {} bytes", size - 1)),
            "{error}"
        );
    }
}

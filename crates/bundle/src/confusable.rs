//! Names that a person takes for each other: two of one kind in one bundle are an error, because a reviewer would read one
//! and mean the other.

use std::collections::BTreeMap;

use crate::problem::Problem;

/// What looks alike in the fonts of terminals, each written as the last of its row.
const LOOKALIKES: [(&str, &str); 9] = [
    ("0", "o"),
    ("1", "l"),
    ("i", "l"),
    ("|", "l"),
    ("_", "-"),
    (".", "-"),
    ("rn", "m"),
    ("vv", "w"),
    ("cl", "d"),
];

/// A text as it looks at a glance. Applying it twice changes nothing.
fn skeleton(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let replace = |text: String, (from, to): &(&str, &str)| text.replace(from, to);
    let alike = LOOKALIKES.iter().fold(lower, replace);
    // Nobody counts dashes, or sees the one at an end.
    let parts: Vec<&str> = alike.split('-').filter(|part| !part.is_empty()).collect();
    parts.join("-")
}

/// The names of one kind, as they look.
#[derive(Debug, Default)]
pub(crate) struct Looks {
    by_skeleton: BTreeMap<String, String>,
}

impl Looks {
    /// Takes a name in; what is wrong if another one looks like it. The same name twice is for others to judge.
    pub(crate) fn add(&mut self, what: &'static str, id: &str) -> Option<Problem> {
        let held = self.by_skeleton.entry(skeleton(id)).or_insert_with(|| id.to_owned());
        (held != id).then(|| Problem::Confusable {
            what,
            id: id.to_owned(),
            other: held.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_alike_has_one_skeleton() {
        for (a, b) in [
            ("hot-1", "hot-l"),
            ("hot-i", "hot-1"),
            ("treasury0", "treasuryo"),
            ("modern", "modem"),
            ("vvarm", "warm"),
            ("clesk", "desk"),
            ("eth_hot", "eth-hot"),
            ("eth.hot", "eth-hot"),
            ("USDC", "usdc"),
            ("eth--hot", "eth-hot"),
            ("eth-.hot", "eth-hot"),
            ("eth-hot-", "eth-hot"),
        ] {
            assert_eq!(skeleton(a), skeleton(b), "{a} {b}");
        }
        for (a, b) in [
            ("hot-1", "hot-2"),
            ("warm", "hot"),
            ("eth-hot", "ethhot"),
            ("alice", "bob"),
        ] {
            assert_ne!(skeleton(a), skeleton(b), "{a} {b}");
        }
    }

    #[test]
    fn the_other_name_is_told_and_the_same_is_not() {
        let mut looks = Looks::default();
        assert_eq!(looks.add("wallet", "hot-1"), None);
        assert_eq!(looks.add("wallet", "hot-1"), None);
        let (what, id, other) = ("wallet", "hot-l".to_owned(), "hot-1".to_owned());
        assert_eq!(
            looks.add("wallet", "hot-l"),
            Some(Problem::Confusable { what, id, other })
        );
    }
}

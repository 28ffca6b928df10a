//! Lists: what is one, what is not, and that they answer as sets do.

use proptest::{collection::btree_set, prelude::*};

use super::*;

const GOOD: &str = "eip155:10:0xa\neip155:1:0xa\neip155:1:0xb\nsolana:x:9\n";

fn destination(text: &str) -> Destination {
    text.parse().unwrap()
}

#[test]
fn a_list_is_what_its_lines_say() {
    let list = DestinationList::parse(GOOD.as_bytes()).unwrap();
    assert_eq!((list.len(), list.is_empty()), (4, false));
    let lines: Vec<String> = list.iter().map(|destination| destination.to_string()).collect();
    assert_eq!(lines.join("\n") + "\n", GOOD);
    let strangers = [
        "eip155:1:0xc",
        "eip155:1:0x",
        "eip155:1:0xaa",
        "eip155:11:0xa",
        "eip155:137:0xa",
        "solana:x:99",
    ];
    assert!(lines.iter().all(|text| list.contains(&destination(text))));
    assert!(strangers.iter().all(|text| !list.contains(&destination(text))));
    let written: DestinationList = lines.iter().map(|text| destination(text)).collect();
    assert_eq!(written, list, "one content has one text, however it came in");
    assert!(DestinationList::parse(b"").unwrap().is_empty());
}

/// One line changed, and what is said about it.
#[test]
fn what_is_no_list_is_refused_with_its_line() {
    let unordered = |text: &str| ListError::Unordered(text.to_owned());
    let shape = |line: &str| ListError::NotADestination {
        line: line.to_owned(),
        error: DestinationError::BadShape,
    };
    let changed = |from: &str, to: &str| GOOD.replace(from, to).into_bytes();
    let table = [
        (changed("solana:x:9\n", "solana:x:9"), 4, ListError::NoLineEnd),
        (changed("solana:x:9\n", "solana:x:9\n\n"), 5, ListError::Blank),
        (changed("eip155:1:0xb\n", "\n"), 3, ListError::Blank),
        (changed("0xb\n", "0xb\r\n"), 3, ListError::CarriageReturn),
        (
            changed("0xb", "0xa"),
            3,
            ListError::Duplicate("eip155:1:0xa".to_owned()),
        ),
        (changed("0xb", "0X"), 3, unordered("eip155:1:0X")),
        (
            changed("eip155:10:0xa\n", "eip155:2:0xa\n"),
            2,
            unordered("eip155:1:0xa"),
        ),
        (changed("eip155:1:0xb", "# comment"), 3, shape("# comment")),
        (changed("eip155:1:0xb", "eip155:1:0xb "), 3, shape("eip155:1:0xb ")),
        (changed("eip155:1:0xb", "0xb"), 3, shape("0xb")),
        (
            changed("eip155:1:0xb", "eip155:1:0x\u{e9}"),
            3,
            shape("eip155:1:0x\\u{e9}"),
        ),
        ([GOOD.as_bytes(), b"tron:1:\xff\n"].concat(), 5, ListError::NotAscii),
    ];
    for (bytes, line, error) in table {
        assert_eq!(
            DestinationList::parse(&bytes),
            Err((line, error)),
            "{:?}",
            String::from_utf8_lossy(&bytes)
        );
    }
}

/// A million is accepted, and one more is not: neither as lines nor as bytes.
#[test]
fn what_is_too_much_is_refused() {
    let bytes = vec![b'a'; MAX_LIST_BYTES + 1];
    assert_eq!(
        DestinationList::parse(&bytes),
        Err((1, ListError::TooLarge(MAX_LIST_BYTES + 1)))
    );
    let no_larger = DestinationList::parse(bytes.get(..MAX_LIST_BYTES).unwrap());
    assert_eq!(no_larger, Err((1, ListError::NoLineEnd)), "its size is no fault");
    let text: String = (0..=MAX_LIST_ENTRIES).map(|n| format!("dev:1:{n:07}\n")).collect();
    assert_eq!(
        DestinationList::parse(text.as_bytes()),
        Err((MAX_LIST_ENTRIES + 1, ListError::TooMany))
    );
    let (most, _) = text.split_at(text.len() - "dev:1:1000000\n".len());
    let list = DestinationList::parse(most.as_bytes()).unwrap();
    assert_eq!(list.len(), MAX_LIST_ENTRIES);
    for (text, is_there) in [
        ("dev:1:0000000", true),
        ("dev:1:0999999", true),
        ("dev:1:1000000", false),
    ] {
        assert_eq!(list.contains(&destination(text)), is_there, "{text}");
    }
}

/// A stranger whose search meets an entry with the same bits of the hash: only the text tells them apart.
#[test]
fn a_stranger_that_shares_bits_of_a_hash_is_none_of_the_list() {
    let entries = (0..4_000).map(|n| destination(&format!("dev:1:{n}")));
    let list: DestinationList = entries.collect();
    let meets_its_bits = |text: &String| {
        let hash = mixed(list.seed, Destination::hash_text(text));
        let mut met = probes(hash, list.slots.len()).map_while(|at| list.slots.get(at).filter(|slot| **slot != EMPTY));
        met.any(|slot| tag(*slot) == tag(hash))
    };
    let strangers = (4_000..2_000_000).map(|n| format!("dev:1:{n}"));
    let alike: Vec<String> = strangers.filter(meets_its_bits).take(3).collect();
    assert_eq!(alike.len(), 3, "one search in tens of thousands meets its own bits");
    for text in alike {
        assert!(!list.contains(&destination(&text)), "{text}");
    }
}

#[test]
fn lists_are_equal_by_content_and_shown_by_size() {
    let numbered = |count: usize| {
        (0..count)
            .map(|n| destination(&format!("dev:1:{n}")))
            .collect::<DestinationList>()
    };
    assert_ne!(numbered(2), numbered(3));
    assert_ne!(numbered(0), numbered(1));
    assert_eq!(format!("{:?}", numbered(2)), r#"{"dev:1:0", "dev:1:1"}"#);
    assert_eq!(format!("{:?}", numbered(17)), "DestinationList(17 destinations)");
}

/// Somebody who compares the ends of two addresses by eye takes one for the other.
#[test]
fn lookalikes_end_alike_whatever_their_case() {
    let names = ["dev:1:abcX", "dev:1:abcY", "dev:1:x", "dev:1:zbCx", "dev:2:bcx"];
    let list: DestinationList = names.iter().map(|name| destination(name)).collect();
    let like = |name: &str, count| {
        let found = list.ending_like(&destination(name), count);
        found.map(|destination| destination.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(like("dev:3:qqBCx", 3), ["dev:1:abcX", "dev:1:zbCx", "dev:2:bcx"]);
    assert_eq!(like("dev:3:qqBCx", 4), Vec::<String>::new());
    assert_eq!(like("dev:3:abcy", 99), ["dev:1:abcY"], "no more characters than it has");
}

#[test]
fn a_difference_is_what_the_other_lacks() {
    let list = |names: &[&str]| names.iter().map(|name| destination(name)).collect::<DestinationList>();
    let (one, other) = (list(&["dev:1:a", "dev:1:b", "dev:2:b"]), list(&["dev:1:b", "dev:3:b"]));
    assert_eq!(
        one.lines_beyond(Some(&other)).collect::<Vec<_>>(),
        ["dev:1:a", "dev:2:b"]
    );
    assert_eq!(other.lines_beyond(Some(&one)).collect::<Vec<_>>(), ["dev:3:b"]);
    assert_eq!(
        one.beyond(Some(&other)).collect::<Vec<_>>(),
        [destination("dev:1:a"), destination("dev:2:b")]
    );
    assert_eq!(one.lines_beyond(None).count(), 3);
    assert_eq!(one.lines_beyond(Some(&one)).count(), 0);
}

#[test]
fn lists_of_a_bundle_come_in_order_of_their_ids() {
    let ids = ["sanctions", "customers"].map(|id| id.parse::<ListId>().unwrap());
    let list = |name: &str| DestinationList::from_iter([destination(name)]);
    let lists = DestinationLists::new(
        ids.clone()
            .into_iter()
            .zip([list("dev:1:a"), list("dev:1:b")])
            .collect(),
    );
    assert_eq!(lists.ids().collect::<Vec<_>>(), [&ids[1], &ids[0]]);
    let (customers, sanctions) = (list("dev:1:b"), list("dev:1:a"));
    assert_eq!(
        lists.iter().collect::<Vec<_>>(),
        [(&ids[1], &customers), (&ids[0], &sanctions)]
    );
}

/// Names that collide often and differ at either end.
fn any_destination() -> impl Strategy<Value = Destination> {
    let text = ("(eip155:1|eip155:10|dev:1)", "[ab]{1,4}");
    text.prop_map(|(chain, address)| destination(&format!("{chain}:{address}")))
}

proptest! {
    /// A list answers as the set of its destinations does, whether it was written or read.
    #[test]
    fn a_list_is_a_set(
        entries in btree_set(any_destination(), 0..60), others in btree_set(any_destination(), 0..60),
        probes in proptest::collection::vec(any_destination(), 30),
    ) {
        let written: DestinationList = entries.iter().cloned().collect();
        let text: String = written.lines().map(|line| format!("{line}\n")).collect();
        let read = DestinationList::parse(text.as_bytes()).unwrap();
        prop_assert_eq!(&read, &written);
        prop_assert_eq!(read.len(), entries.len());
        prop_assert_eq!(read.iter().collect::<BTreeSet<_>>(), entries.clone());
        for probe in probes.iter().chain(&entries).chain(&others) {
            prop_assert_eq!(read.contains(probe), entries.contains(probe), "{}", probe);
            prop_assert_eq!(written.contains(probe), entries.contains(probe), "{}", probe);
        }
        let other = DestinationList::from(others.clone());
        let beyond: BTreeSet<Destination> = read.lines_beyond(Some(&other)).map(destination).collect();
        prop_assert_eq!(beyond, entries.difference(&others).cloned().collect());
    }

    /// Whatever bytes come in, there is a list or an error, and a list is written as it was read.
    #[test]
    fn reading_never_panics(lines in proptest::collection::vec("(dev:[12]:[ab]{1,2}|\\PC{0,6})", 0..6), end in "(\n|)") {
        let text = lines.join("\n") + &end;
        if let Ok(list) = DestinationList::parse(text.as_bytes()) {
            let written: String = list.lines().map(|line| format!("{line}\n")).collect();
            prop_assert_eq!(written, text);
        }
    }
}

//! The destination lists of a bundle: up to a million destinations each, in the memory that their text needs and not much more.
//!
//! A list is its text, one destination a line in ascending order, and a hash table of places in it. Whether a list has a
//! destination costs the same however long the list is, and builds nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    hash::{DefaultHasher, Hasher as _},
    sync::Arc,
};

use countersign_types::{Destination, DestinationError, ListId};

/// The most destinations of one list: they load in seconds.
pub const MAX_LIST_ENTRIES: usize = 1_000_000;
/// The most bytes of a list's text: [`MAX_LIST_ENTRIES`] of the longest destinations that chains have (a witness program of 32
/// bytes on a `bip122` network takes 103 with its line end).
pub const MAX_LIST_BYTES: usize = MAX_LIST_ENTRIES * 104;

/// What a line cannot be, or a whole text, to be a list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// Over [`MAX_LIST_BYTES`].
    #[error("{0} bytes; at most {MAX_LIST_BYTES} are accepted in one list")]
    TooLarge(usize),
    /// More lines than [`MAX_LIST_ENTRIES`].
    #[error("more than {MAX_LIST_ENTRIES} destinations: spread them over several lists")]
    TooMany,
    /// Text in another encoding, or none.
    #[error("a list is ASCII text, one destination a line")]
    NotAscii,
    /// The last line does not end.
    #[error("the last line has no line end: every line ends with LF, or the file may be cut off")]
    NoLineEnd,
    /// The line end of another system.
    #[error("the line ends with CR LF: lines end with LF alone")]
    CarriageReturn,
    /// Nothing between two line ends.
    #[error("the line is blank: a list holds destinations and nothing else")]
    Blank,
    /// No destination.
    #[error("`{line}`: {error}")]
    NotADestination {
        /// What stands there.
        line: String,
        /// Why.
        error: DestinationError,
    },
    /// The line before is the same.
    #[error("`{0}` is listed twice")]
    Duplicate(String),
    /// The line before is behind this one.
    #[error("`{0}` is not above the line before it: lines ascend by their bytes, as `LC_ALL=C sort -u` puts them")]
    Unordered(String),
}

/// A slot of the hash table without a place.
const EMPTY: u64 = u64::MAX;
/// The bits of a slot that are the place; those above are of the entry's hash, so that what shares a slot is seldom read.
const PLACE_BITS: u32 = 48;
const PLACE_MASK: u64 = (1 << PLACE_BITS) - 1;

/// A list: destinations, each once.
#[derive(Clone)]
pub struct DestinationList {
    /// A line for each, ascending by bytes, each with its LF.
    text: Arc<str>,
    len: usize,
    /// Of the whole text, and mixed into every hash: who may add some entries cannot choose those that meet in the table.
    seed: u64,
    /// By hash, linear probing, at most half full: the start of a line beside bits of its hash.
    slots: Arc<[u64]>,
}

impl DestinationList {
    /// Reads a list of its own file. The error comes with its line, from 1. That addresses are those of a network is for
    /// others to certify.
    pub fn parse(bytes: &[u8]) -> Result<Self, (usize, ListError)> {
        if bytes.len() > MAX_LIST_BYTES {
            return Err((1, ListError::TooLarge(bytes.len())));
        }
        let text =
            std::str::from_utf8(bytes).map_err(|error| (line_of(bytes, error.valid_up_to()), ListError::NotAscii))?;
        let (mut number, mut before) = (0_usize, "");
        for line in text.split_inclusive('\n') {
            number = number.saturating_add(1);
            certify(line, before).map_err(|error| (number, error))?;
            if number > MAX_LIST_ENTRIES {
                return Err((number, ListError::TooMany));
            }
            before = line;
        }
        Ok(Self::of_lines(text.into(), number))
    }

    /// Indexes lines that are a list.
    fn of_lines(text: Arc<str>, len: usize) -> Self {
        let mut seed = DefaultHasher::new();
        seed.write(text.as_bytes());
        let seed = seed.finish();
        let size = len.saturating_mul(2).next_power_of_two();
        let mut slots = vec![EMPTY; size];
        let mut start = 0_u64;
        for line in text.split_inclusive('\n') {
            let hash = mixed(seed, Destination::hash_text(without_end(line)));
            let mut probes = probes(hash, size);
            let free = probes.find(|at| slots.get(*at) == Some(&EMPTY));
            if let Some(slot) = free.and_then(|at| slots.get_mut(at)) {
                *slot = tag(hash) | start;
            }
            start = start.saturating_add(u64::try_from(line.len()).unwrap_or(u64::MAX));
        }
        Self {
            text,
            len,
            seed,
            slots: slots.into(),
        }
    }

    /// How many destinations there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether the destination is there.
    pub fn contains(&self, destination: &Destination) -> bool {
        self.has(destination.as_str(), destination.text_hash())
    }

    fn has(&self, text: &str, text_hash: u64) -> bool {
        let hash = mixed(self.seed, text_hash);
        for at in probes(hash, self.slots.len()) {
            match self.slots.get(at) {
                Some(&EMPTY) | None => return false,
                Some(slot) => {
                    if slot & !PLACE_MASK == tag(hash) && self.is_at(slot & PLACE_MASK, text) {
                        return true;
                    }
                }
            }
        }
        false
    }

    fn is_at(&self, place: u64, text: &str) -> bool {
        let rest = usize::try_from(place)
            .ok()
            .and_then(|place| self.text.as_bytes().get(place..));
        let rest = rest.and_then(|rest| rest.strip_prefix(text.as_bytes()));
        rest.is_some_and(|rest| rest.first() == Some(&b'\n'))
    }

    /// The texts of the destinations, ascending by bytes.
    pub fn lines(&self) -> impl Iterator<Item = &str> + use<'_> {
        self.text.lines()
    }

    /// The destinations, in the order of their texts.
    pub fn iter(&self) -> impl Iterator<Item = Destination> + use<'_> {
        // Every line was written from a destination or read as one.
        self.lines().filter_map(|line| line.parse().ok())
    }

    /// The destinations whose addresses end in the same `count` characters as this one, whatever their case: those among which
    /// lookalikes are. It reads the whole text.
    pub fn ending_like(&self, destination: &Destination, count: usize) -> impl Iterator<Item = Destination> + use<'_> {
        let address = destination.address();
        let end = address
            .get(address.len().saturating_sub(count)..)
            .unwrap_or(address)
            .to_owned();
        let is_like = move |line: &&str| {
            let tail = line.get(line.len().saturating_sub(end.len())..);
            tail.is_some_and(|tail| tail.eq_ignore_ascii_case(&end))
        };
        self.lines().filter(is_like).filter_map(|line| line.parse().ok())
    }

    /// The texts of the destinations that `other` lacks, in order.
    pub fn lines_beyond<'a>(&'a self, other: Option<&'a Self>) -> impl Iterator<Item = &'a str> {
        self.lines()
            .filter(move |line| other.is_none_or(|other| !other.has(line, Destination::hash_text(line))))
    }

    /// The destinations that `other` lacks, in the order of their texts.
    pub fn beyond<'a>(&'a self, other: Option<&'a Self>) -> impl Iterator<Item = Destination> {
        self.lines_beyond(other).filter_map(|line| line.parse().ok())
    }
}

impl FromIterator<Destination> for DestinationList {
    fn from_iter<I: IntoIterator<Item = Destination>>(destinations: I) -> Self {
        let lines = destinations.into_iter().map(|destination| format!("{destination}\n"));
        // A line end is below every character of a destination, so lines ascend as their destinations' texts do.
        let lines: BTreeSet<String> = lines.collect();
        let text: String = lines.iter().map(String::as_str).collect();
        Self::of_lines(text.into(), lines.len())
    }
}

/// A list of nothing.
impl Default for DestinationList {
    fn default() -> Self {
        Self::of_lines("".into(), 0)
    }
}

impl From<BTreeSet<Destination>> for DestinationList {
    fn from(destinations: BTreeSet<Destination>) -> Self {
        destinations.into_iter().collect()
    }
}

/// The text is everything; the rest follows from it.
impl PartialEq for DestinationList {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}
impl Eq for DestinationList {}

impl fmt::Debug for DestinationList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.len {
            0..=16 => f.debug_set().entries(self.lines()).finish(),
            len => write!(f, "DestinationList({len} destinations)"),
        }
    }
}

/// A line is a destination, with its line end, and above the one before.
fn certify(line: &str, before: &str) -> Result<(), ListError> {
    let Some(text) = line.strip_suffix('\n') else {
        return Err(ListError::NoLineEnd);
    };
    if text.is_empty() {
        return Err(ListError::Blank);
    }
    if text.ends_with('\r') {
        return Err(ListError::CarriageReturn);
    }
    if let Err(error) = text.parse::<Destination>() {
        let line = shown(text);
        return Err(ListError::NotADestination { line, error });
    }
    match before.cmp(line) {
        std::cmp::Ordering::Less => Ok(()),
        std::cmp::Ordering::Equal => Err(ListError::Duplicate(text.to_owned())),
        std::cmp::Ordering::Greater => Err(ListError::Unordered(text.to_owned())),
    }
}

/// What a person needs to find a line again.
fn shown(text: &str) -> String {
    text.chars().take(128).flat_map(char::escape_default).collect()
}

/// The line, from 1, in which a byte stands.
fn line_of(bytes: &[u8], at: usize) -> usize {
    let ends = bytes.iter().take(at).filter(|byte| **byte == b'\n');
    ends.count().saturating_add(1)
}

fn without_end(line: &str) -> &str {
    line.strip_suffix('\n').unwrap_or(line)
}

/// The hash of a text as one list uses it: each bit depends on every bit of both, and no two hashes become one. The text is
/// hashed once for all lists; what collides in all of them has one hash of 64 bits, and nobody finds more than a few such texts.
fn mixed(seed: u64, hash: u64) -> u64 {
    let mut mixed = seed ^ hash;
    for odd in [0xbf58_476d_1ce4_e5b9_u64, 0x94d0_49bb_1331_11eb] {
        mixed = (mixed ^ (mixed >> 31)).wrapping_mul(odd);
    }
    mixed ^ (mixed >> 31)
}

fn tag(hash: u64) -> u64 {
    hash & !PLACE_MASK
}

/// Every slot once, from the one that the hash names on; `size` is a power of two.
fn probes(hash: u64, size: usize) -> impl Iterator<Item = usize> {
    let mask = size.saturating_sub(1);
    let first = usize::try_from(hash & PLACE_MASK).unwrap_or(usize::MAX);
    (0..size).map(move |step| first.wrapping_add(step) & mask)
}

/// The destination lists of a bundle.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DestinationLists {
    /// In order of id, each once. There are few, and whether two ids are equal is found out sooner than their order.
    by_id: Vec<(ListId, DestinationList)>,
}

impl DestinationLists {
    /// The lists by id.
    pub fn new<L: Into<DestinationList>>(by_id: BTreeMap<ListId, L>) -> Self {
        let lists = by_id.into_iter().map(|(id, list)| (id, list.into()));
        Self { by_id: lists.collect() }
    }

    /// The destinations of a list, if there is such a list.
    pub fn list(&self, id: &ListId) -> Option<&DestinationList> {
        let mut lists = self.iter();
        lists.find_map(|(held, list)| (held == id).then_some(list))
    }

    /// Whether any list names the destination.
    pub fn is_listed(&self, destination: &Destination) -> bool {
        self.iter().any(|(_, list)| list.contains(destination))
    }

    /// The lists with their ids, in order of id.
    pub fn iter(&self) -> impl Iterator<Item = (&ListId, &DestinationList)> {
        self.by_id.iter().map(|(id, list)| (id, list))
    }

    /// The ids, in order.
    pub fn ids(&self) -> impl Iterator<Item = &ListId> {
        self.iter().map(|(id, _)| id)
    }
}

#[cfg(test)]
mod tests;

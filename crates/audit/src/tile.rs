//! C2SP tlog-tiles: the tree and the entries as files of at most 256 items, so that other people's verifiers can read an
//! export.

use std::{fmt, ops::Range, str::FromStr};

use countersign_types::Tag;

use crate::{Hash, MAX_ENTRY_BYTES, NodeId, TreeSize};

/// The items of a full tile: the spec fixes a height of 8.
pub const TILE_WIDTH: u16 = 256;
/// The highest level with a tile in a tree of [`TreeSize::MAX`] entries; the spec would allow 63.
pub const MAX_TILE_LEVEL: u8 = 7;
/// The tile that holds the last entry of the largest tree.
const MAX_TILE_INDEX: u64 = TreeSize::MAX.entries() >> 8;

/// Why there is no such tile, or why bytes are not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TileError {
    /// A text that is not the one path of a tile.
    #[error("not the path of a tile, such as `tile/0/x001/067` or `tile/entries/003.p/17`")]
    BadPath,
    /// Over [`MAX_TILE_LEVEL`].
    #[error("there is no tile at level {0}; the highest is {MAX_TILE_LEVEL}")]
    LevelOutOfBounds(u8),
    /// Beyond the last entry of the largest tree.
    #[error("there is no tile {0}")]
    IndexOutOfBounds(u64),
    /// Not 1 to [`TILE_WIDTH`].
    #[error("a tile has 1 to {TILE_WIDTH} items, not {0}")]
    WidthOutOfBounds(u16),
    /// The store lacks a complete subtree.
    #[error("the store has no hash of node {0}")]
    MissingNode(NodeId),
    /// Not as many items as the tile is wide.
    #[error("the tile has {expected} items, {found} were given")]
    WrongItemCount {
        /// The width of the tile.
        expected: u16,
        /// The number of items.
        found: usize,
    },
    /// Not as many bytes as the tile's items need.
    #[error("the tile ends too early, or goes on behind its last item")]
    WrongLength,
    /// Longer than [`MAX_ENTRY_BYTES`].
    #[error("an entry has {0} bytes; a bundle holds at most {MAX_ENTRY_BYTES} each")]
    EntryTooLarge(usize),
}

impl TileError {
    /// The stable tag.
    pub fn tag(&self) -> Tag {
        match self {
            Self::MissingNode(_) => Tag::JournalUnavailable,
            Self::EntryTooLarge(_) => Tag::MessageTooLarge,
            Self::BadPath
            | Self::LevelOutOfBounds(_)
            | Self::IndexOutOfBounds(_)
            | Self::WidthOutOfBounds(_)
            | Self::WrongItemCount { .. }
            | Self::WrongLength => Tag::MessageInvalid,
        }
    }
}

/// The place of a tile within its level, and how much of it there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Slot {
    index: u64,
    width: u16,
}

impl Slot {
    fn new(index: u64, width: u16) -> Result<Self, TileError> {
        if index > MAX_TILE_INDEX {
            return Err(TileError::IndexOutOfBounds(index));
        }
        if width == 0 || width > TILE_WIDTH {
            return Err(TileError::WidthOutOfBounds(width));
        }
        Ok(Self { index, width })
    }

    /// The positions of its items within their level.
    fn items(self) -> Range<u64> {
        let first = self.index.saturating_mul(u64::from(TILE_WIDTH)); // at most 2⁶³, see `MAX_TILE_INDEX`
        first..first.saturating_add(u64::from(self.width))
    }

    /// The slots that a level of `new` items has and a level of `old` items had not, or not as wide.
    fn between(old: u64, new: u64) -> impl Iterator<Item = Self> {
        let tile_width = u64::from(TILE_WIDTH);
        let slots = if old < new {
            (old >> 8)..new.div_ceil(tile_width)
        } else {
            0..0
        };
        slots.map(move |index| {
            let rest = new.saturating_sub(index.saturating_mul(tile_width));
            let width = u16::try_from(rest).map_or(TILE_WIDTH, |rest| rest.min(TILE_WIDTH));
            Self { index, width }
        })
    }

    fn parse(text: &str) -> Result<Self, TileError> {
        let (index, width) = text.split_once(".p/").map_or((text, None), |(i, w)| (i, Some(w)));
        let digits = index.replace("/x", "").replace('/', "").replacen('x', "", 1);
        let index = digits.parse().map_err(|_| TileError::BadPath)?;
        let width = width
            .map_or(Ok(TILE_WIDTH), str::parse)
            .map_err(|_| TileError::BadPath)?;
        Self::new(index, width)
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.index.to_string();
        let digits = format!("{digits:0>width$}", width = digits.len().next_multiple_of(3));
        let (groups, _) = digits.as_bytes().as_chunks::<3>();
        if let Some((last, groups)) = groups.split_last() {
            for group in groups {
                write!(f, "x{}/", group.escape_ascii())?;
            }
            write!(f, "{}", last.escape_ascii())?;
        }
        if self.width < TILE_WIDTH {
            write!(f, ".p/{}", self.width)?;
        }
        Ok(())
    }
}

/// A tile of hashes: `tile/<level>/<index>[.p/<width>]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HashTile {
    level: u8,
    slot: Slot,
}

impl HashTile {
    /// Tile `index` of tile level `level`, `width` hashes wide.
    pub fn new(level: u8, index: u64, width: u16) -> Result<Self, TileError> {
        if level > MAX_TILE_LEVEL {
            return Err(TileError::LevelOutOfBounds(level));
        }
        let slot = Slot::new(index, width)?;
        Ok(Self { level, slot })
    }

    /// The stored nodes that it is made of, in order: tile level *l* holds nodes of tree level 8·*l*.
    pub fn required_nodes(&self) -> impl Iterator<Item = NodeId> + use<> {
        let level = self.level.saturating_mul(8); // at most 56
        self.slot.items().map(move |index| NodeId { level, index })
    }

    /// The bytes of the tile.
    pub fn encode(&self, stored: impl Fn(NodeId) -> Option<Hash>) -> Result<Vec<u8>, TileError> {
        let mut bytes = Vec::with_capacity(usize::from(self.slot.width).saturating_mul(32));
        for id in self.required_nodes() {
            let hash = stored(id).ok_or(TileError::MissingNode(id))?;
            bytes.extend(hash.as_bytes());
        }
        Ok(bytes)
    }

    /// The hashes of the tile.
    pub fn decode(&self, bytes: &[u8]) -> Result<Vec<Hash>, TileError> {
        let (hashes, tail) = bytes.as_chunks::<32>();
        if hashes.len() != usize::from(self.slot.width) || !tail.is_empty() {
            return Err(TileError::WrongLength);
        }
        Ok(hashes.iter().copied().map(Hash::from_bytes).collect())
    }
}

impl fmt::Display for HashTile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tile/{}/{}", self.level, self.slot)
    }
}
impl FromStr for HashTile {
    type Err = TileError;
    fn from_str(path: &str) -> Result<Self, TileError> {
        let rest = path.strip_prefix("tile/").ok_or(TileError::BadPath)?;
        let (level, slot) = rest.split_once('/').ok_or(TileError::BadPath)?;
        let level = level.parse().map_err(|_| TileError::BadPath)?;
        let slot = Slot::parse(slot)?;
        let tile = Self::new(level, slot.index, slot.width)?;
        require_canonical(tile, path)
    }
}

/// A tile of entries: `tile/entries/<index>[.p/<width>]`, each entry behind its length in 16 bits, big-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryBundle(Slot);

impl EntryBundle {
    /// Bundle `index`, `width` entries wide.
    pub fn new(index: u64, width: u16) -> Result<Self, TileError> {
        Slot::new(index, width).map(Self)
    }

    /// The indices of its entries in the log.
    pub fn entries(&self) -> Range<u64> {
        self.0.items()
    }

    /// The bytes of the bundle.
    pub fn encode<E: AsRef<[u8]>>(&self, entries: &[E]) -> Result<Vec<u8>, TileError> {
        if entries.len() != usize::from(self.0.width) {
            return Err(TileError::WrongItemCount {
                expected: self.0.width,
                found: entries.len(),
            });
        }
        let mut bytes = Vec::new();
        for entry in entries.iter().map(AsRef::as_ref) {
            let length = u16::try_from(entry.len()).map_err(|_| TileError::EntryTooLarge(entry.len()))?;
            bytes.extend(length.to_be_bytes());
            bytes.extend(entry);
        }
        Ok(bytes)
    }

    /// The entries of the bundle.
    pub fn decode<'a>(&self, bytes: &'a [u8]) -> Result<Vec<&'a [u8]>, TileError> {
        let mut entries = Vec::new();
        let mut rest = bytes;
        for _ in 0..self.0.width {
            let (length, tail) = rest.split_first_chunk().ok_or(TileError::WrongLength)?;
            let length = usize::from(u16::from_be_bytes(*length));
            let (entry, tail) = tail.split_at_checked(length).ok_or(TileError::WrongLength)?;
            entries.push(entry);
            rest = tail;
        }
        if !rest.is_empty() {
            return Err(TileError::WrongLength);
        }
        Ok(entries)
    }
}

impl fmt::Display for EntryBundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tile/entries/{}", self.0)
    }
}
impl FromStr for EntryBundle {
    type Err = TileError;
    fn from_str(path: &str) -> Result<Self, TileError> {
        let slot = path.strip_prefix("tile/entries/").ok_or(TileError::BadPath)?;
        require_canonical(Self(Slot::parse(slot)?), path)
    }
}

/// One tile has one path: whatever else the parser accepted is refused.
fn require_canonical<T: fmt::Display>(tile: T, path: &str) -> Result<T, TileError> {
    if tile.to_string() != path {
        return Err(TileError::BadPath);
    }
    Ok(tile)
}

/// The hash tiles that an export at `new` needs beyond one at `old`, lowest level first.
pub fn hash_tiles_between(old: TreeSize, new: TreeSize) -> impl Iterator<Item = HashTile> {
    (0..=MAX_TILE_LEVEL).flat_map(move |level| {
        let shift = u32::from(level).saturating_mul(8);
        let items = |size: TreeSize| size.entries().checked_shr(shift).unwrap_or_default();
        Slot::between(items(old), items(new)).map(move |slot| HashTile { level, slot })
    })
}

/// The entry bundles that an export at `new` needs beyond one at `old`.
pub fn entry_bundles_between(old: TreeSize, new: TreeSize) -> impl Iterator<Item = EntryBundle> {
    Slot::between(old.entries(), new.entries()).map(EntryBundle)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn size(entries: u64) -> TreeSize {
        TreeSize::new(entries).unwrap()
    }

    /// The worked example of the tlog-tiles text: 70 000 entries, and 256.
    #[test]
    fn the_tiles_of_the_spec() {
        let tiles: Vec<_> = hash_tiles_between(size(0), size(70_000))
            .map(|tile| tile.to_string())
            .collect();
        assert_eq!(tiles.len(), 273 + 1 + 1 + 1 + 1);
        assert_eq!(tiles[0], "tile/0/000");
        assert_eq!(
            tiles[272..],
            [
                "tile/0/272",
                "tile/0/273.p/112",
                "tile/1/000",
                "tile/1/001.p/17",
                "tile/2/000.p/1"
            ]
        );
        let tiles: Vec<_> = hash_tiles_between(size(0), size(256))
            .map(|tile| tile.to_string())
            .collect();
        assert_eq!(tiles, ["tile/0/000", "tile/1/000.p/1"]);
        assert_eq!(
            HashTile::new(0, 1_234_067, 256).unwrap().to_string(),
            "tile/0/x001/x234/067"
        );
    }

    #[test]
    fn an_export_is_continued_where_it_ended() {
        let paths = |old, new| {
            hash_tiles_between(size(old), size(new))
                .map(|tile| tile.to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(paths(0, 0), [""; 0]);
        assert_eq!(paths(300, 300), [""; 0]);
        assert_eq!(paths(300, 299), [""; 0]);
        assert_eq!(paths(255, 256), ["tile/0/000", "tile/1/000.p/1"]);
        assert_eq!(paths(256, 257), ["tile/0/001.p/1"]);
        assert_eq!(paths(300, 513), ["tile/0/001", "tile/0/002.p/1", "tile/1/000.p/2"]);
        let bundles: Vec<_> = entry_bundles_between(size(300), size(513))
            .map(|bundle| bundle.entries())
            .collect();
        assert_eq!(bundles, [256..512, 512..513]);
    }

    #[test]
    fn one_tile_has_one_path() {
        for bad in [
            "",
            "tile",
            "tile/0",
            "tile/0/",
            "tile/0/0",
            "tile/0/00",
            "tile/0/0000",
            "tile/00/000",
            "tile/+0/000",
            "tile/0/x000/000",
            "tile/0/001/067",
            "tile/0/x001/x067",
            "tile/0/x1/067",
            "tile/0/001067",
            "/tile/0/000",
            "tile/0/000/",
            "tile/0/000.p/",
            "tile/0/000.p/01",
            "tile/0/000.p/256",
            "tile/0/000.p/+1",
            "tile/0/-01",
            "tile/entries/000",
            "tile/0/000.p/1.p/1",
            "tile/0/xx01/067",
            "tile/0/00a",
            "tile/0/000\n",
            "tile/0/x٠٠١/067",
            "tile/256/000",
            "tile/0/x999/x999/x999/x999/x999/x999/x999/999",
        ] {
            assert_eq!(bad.parse::<HashTile>(), Err(TileError::BadPath), "{bad:?}");
        }
        for bad in [
            "tile/0/000",
            "tile/entries",
            "tile/entries/",
            "tile/entries/0",
            "tile/entries/000.p/256",
        ] {
            assert_eq!(bad.parse::<EntryBundle>(), Err(TileError::BadPath), "{bad:?}");
        }
        assert_eq!("tile/8/000".parse::<HashTile>(), Err(TileError::LevelOutOfBounds(8)));
        assert_eq!(
            "tile/0/000.p/0".parse::<HashTile>(),
            Err(TileError::WidthOutOfBounds(0))
        );
        assert_eq!(
            "tile/0/000.p/257".parse::<HashTile>(),
            Err(TileError::WidthOutOfBounds(257))
        );
        assert_eq!(
            HashTile::new(0, MAX_TILE_INDEX + 1, 1),
            Err(TileError::IndexOutOfBounds(1 << 55))
        );
        assert!(HashTile::new(MAX_TILE_LEVEL, MAX_TILE_INDEX, 256).is_ok());
    }

    #[test]
    fn tiles_are_exactly_as_long_as_they_are_wide() {
        let tile = HashTile::new(0, 0, 2).unwrap();
        assert_eq!(tile.decode(&[1; 64]).unwrap().len(), 2);
        for length in [0, 32, 63, 65, 96] {
            assert_eq!(tile.decode(&vec![1; length]), Err(TileError::WrongLength));
        }
        let hole = NodeId { level: 0, index: 1 };
        let stored = |id| (id != hole).then_some(Hash::from_bytes([1; 32]));
        assert_eq!(tile.encode(stored), Err(TileError::MissingNode(hole)));
    }

    #[test]
    fn bundles_are_strict() {
        let bundle = EntryBundle::new(0, 2).unwrap();
        let good = bundle.encode(&[b"a".as_slice(), b""]).unwrap();
        assert_eq!(good, [0, 1, b'a', 0, 0]);
        assert_eq!(bundle.decode(&good[..4]), Err(TileError::WrongLength));
        assert_eq!(bundle.decode(&[0, 1, b'a', 0, 1]), Err(TileError::WrongLength));
        assert_eq!(bundle.decode(&[0, 1, b'a', 0, 0, 0]), Err(TileError::WrongLength));
        let few = TileError::WrongItemCount { expected: 2, found: 1 };
        assert_eq!(bundle.encode(&[b"a"]), Err(few));
        let large = TileError::EntryTooLarge(MAX_ENTRY_BYTES + 1);
        assert_eq!(bundle.encode(&[vec![], vec![0; MAX_ENTRY_BYTES + 1]]), Err(large));
        assert!(bundle.encode(&[vec![], vec![0; MAX_ENTRY_BYTES]]).is_ok());
    }

    proptest! {
        #[test]
        fn paths_round_trip(level in 0..=MAX_TILE_LEVEL, index in 0..=MAX_TILE_INDEX, shift in 0u32..55, width in 1..=TILE_WIDTH) {
            let tile = HashTile::new(level, index >> shift, width).unwrap();
            prop_assert_eq!(tile.to_string().parse::<HashTile>(), Ok(tile));
            let bundle = EntryBundle::new(index >> shift, width).unwrap();
            prop_assert_eq!(bundle.to_string().parse::<EntryBundle>(), Ok(bundle));
        }

        #[test]
        fn bundles_round_trip(entries in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..=256)) {
            let bundle = EntryBundle::new(3, entries.len() as u16).unwrap();
            let bytes = bundle.encode(&entries).unwrap();
            prop_assert_eq!(bundle.decode(&bytes).unwrap(), entries);
        }

        #[test]
        fn parsing_never_panics(text in "(tile/|entries/|[0-9]{1,3}/|x[0-9]{3}/|\\.p/|[0-9]{3}|\\PC){0,6}", width in 1..=TILE_WIDTH, bytes: Vec<u8>) {
            drop(text.parse::<HashTile>());
            drop(text.parse::<EntryBundle>());
            let bundle = EntryBundle::new(0, width).unwrap();
            if let Ok(entries) = bundle.decode(&bytes) {
                prop_assert_eq!(bundle.encode(&entries), Ok(bytes));
            }
        }
    }
}

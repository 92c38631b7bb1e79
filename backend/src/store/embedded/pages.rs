//! How the engine lays out its file: the head, the trees of pages, and the checksums that bind them. PURE.
//!
//! The engine trusts a file that was closed cleanly and checks no page when it reads; on a damaged one it may panic. This
//! reads the same file without it and never fails but by saying so. It is the format of redb's files, version 3, and only
//! what checking and salvaging need of it. Absent: writing, and what our own tables hold (`layout`).

use twox_hash::XxHash3_128;

use super::layout::array;

/// Bytes of the head that mean something.
pub(super) const HEAD_BYTES: usize = 320;
/// Bytes of the smallest page, and of the space that the head takes.
pub(super) const PAGE_BYTES: u64 = 4096;
/// What every file of the engine begins with.
pub(super) const MAGIC: [u8; 9] = *b"redb\x1a\x0a\xa9\x0d\x0a";
/// Most levels of a tree. None comes near; a damaged one must not make us go down for ever.
pub(super) const MAX_DEPTH: usize = 64;

/// Flags of the byte behind the magic.
const SECOND_IS_PRIMARY: u8 = 1;
const TWO_PHASE: u8 = 4;

/// A tree: its first page, the checksum of that page, and the rows in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Root {
    pub(super) page: PageNumber,
    pub(super) checksum: u128,
    pub(super) rows: u64,
}

impl Root {
    /// A root as it is written, with a byte before it that says whether there is one.
    fn read(present: u8, bytes: &[u8]) -> Option<Self> {
        let (page, checksum, rows) = (array(bytes, 0)?, array(bytes, 8)?, array(bytes, 24)?);
        let (page, rows) = (PageNumber(u64::from_le_bytes(page)), u64::from_le_bytes(rows));
        (present != 0).then_some(Self { page, checksum: u128::from_le_bytes(checksum), rows })
    }
}

/// Where a page lies: region, index within it and order, in one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PageNumber(u64);

impl PageNumber {
    fn order(self) -> u32 {
        // Five bits fit.
        u32::try_from(self.0 >> 59).unwrap_or(u32::MAX)
    }

    fn index(self) -> u64 {
        self.0 & (0x000f_ffff >> self.order())
    }

    fn region(self) -> u64 {
        (self.0 >> 20) & 0x000f_ffff
    }
}

/// Where regions begin and end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Geometry {
    header_pages: u32,
    data_pages: u32,
}

impl Geometry {
    /// As the engine makes files today.
    pub(super) const USUAL: Self = Self { header_pages: 0, data_pages: 1 << 20 };

    /// Offset and length of a page; `None` where it does not end within `file_bytes`.
    pub(super) fn place(self, page: PageNumber, file_bytes: u64) -> Option<(u64, usize)> {
        let length = PAGE_BYTES.checked_shl(page.order())?;
        let region = (u64::from(self.header_pages) + u64::from(self.data_pages)) * PAGE_BYTES;
        let in_region = u64::from(self.header_pages) * PAGE_BYTES + page.index().checked_mul(length)?;
        let offset = PAGE_BYTES.checked_add(page.region().checked_mul(region)?)?.checked_add(in_region)?;
        (offset.checked_add(length)? <= file_bytes).then_some((offset, usize::try_from(length).ok()?))
    }
}

/// One of the two last commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    /// Whether its own checksum is right.
    pub(super) sound: bool,
    /// Later commits have higher numbers.
    pub(super) transaction: u64,
    /// The tree of our tables.
    pub(super) ours: Option<Root>,
    /// The tree of the engine's own tables.
    pub(super) system: Option<Root>,
}

impl Slot {
    const BYTES: usize = 128;
    const VERSION: u8 = 3;

    fn read(bytes: &[u8]) -> Option<Self> {
        let (signed, checksum) = bytes.split_at_checked(Self::BYTES - 16)?;
        let sound = u128::from_le_bytes(array(checksum, 0)?) == checksum_of(signed);
        Some(Self {
            sound: sound && bytes.first() == Some(&Self::VERSION),
            transaction: u64::from_le_bytes(array(bytes, 104)?),
            ours: Root::read(*bytes.get(1)?, bytes.get(8..)?),
            system: Root::read(*bytes.get(2)?, bytes.get(40..)?),
        })
    }
}

/// The head of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// Whether the file says that it is the engine's.
    pub(super) has_magic: bool,
    /// Whether both commits are of the version that this reads. The engine opens no file where one is not.
    pub(super) has_version: bool,
    /// Whether the newest commit was written so that the engine never goes back behind it.
    pub(super) two_phase: bool,
    /// `None` where the numbers cannot be.
    pub(super) geometry: Option<Geometry>,
    primary: Slot,
    secondary: Slot,
}

impl Head {
    /// The head in a file's first bytes; `None` where there are too few.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let flags = *bytes.get(9)?;
        let number = |at| Some(u32::from_le_bytes(array(bytes, at)?));
        let (page_bytes, header_pages, data_pages) = (number(12)?, number(16)?, number(20)?);
        let possible = u64::from(page_bytes) == PAGE_BYTES
            && header_pages <= 1 << 20
            && (1..=1 << 20).contains(&data_pages);
        let first = Slot::read(bytes.get(64..64 + Slot::BYTES)?)?;
        let second = Slot::read(bytes.get(64 + Slot::BYTES..HEAD_BYTES)?)?;
        let (primary, secondary) =
            if flags & SECOND_IS_PRIMARY == 0 { (first, second) } else { (second, first) };
        Some(Self {
            has_magic: bytes.starts_with(&MAGIC),
            has_version: bytes.get(64) == Some(&Slot::VERSION) && bytes.get(192) == Some(&Slot::VERSION),
            two_phase: flags & TWO_PHASE != 0,
            geometry: possible.then_some(Geometry { header_pages, data_pages }),
            primary,
            secondary,
        })
    }

    /// The commits in the order in which the engine tries them when it opens the file. It goes on to the second where the
    /// first does not read back, unless that was written in two phases.
    pub(super) fn in_order(&self) -> [Slot; 2] {
        let second_first = !self.two_phase
            && self.secondary.sound
            && (!self.primary.sound || self.secondary.transaction > self.primary.transaction);
        if second_first { [self.secondary, self.primary] } else { [self.primary, self.secondary] }
    }
}

/// How wide the keys and values of a table are; `None` where each has its own width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Widths {
    pub(super) key: Option<usize>,
    pub(super) value: Option<usize>,
}

impl Widths {
    /// Those of the table of tables: names, and what [`Table::read`] reads.
    pub(super) const OF_TABLES: Self = Self { key: None, value: None };
}

/// A table, as the table of tables has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) root: Option<Root>,
    pub(super) widths: Widths,
}

impl Table {
    const PLAIN: u8 = 3;

    /// `None` where it is of a kind that the engine makes for others.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let width = |at: usize| {
            let width = usize::try_from(u32::from_le_bytes(array(bytes, at + 1)?)).ok()?;
            Some((*bytes.get(at)? != 0).then_some(width))
        };
        let root = Root::read(*bytes.get(9)?, bytes.get(10..)?);
        let widths = Widths { key: width(42)?, value: width(47)? };
        (bytes.first() == Some(&Self::PLAIN)).then_some(Self { root, widths })
    }
}

/// A page that is what its parent says.
#[derive(Clone, Copy, Debug)]
pub(super) enum Page<'a> {
    Leaf(Leaf<'a>),
    Branch(Branch<'a>),
}

/// Rows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leaf<'a> {
    bytes: &'a [u8],
    rows: usize,
    widths: Widths,
}

/// Further pages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Branch<'a> {
    bytes: &'a [u8],
    children: usize,
}

impl<'a> Page<'a> {
    /// The page in `bytes`; `None` where it is not the one with this checksum.
    pub(super) fn read(bytes: &'a [u8], widths: Widths, checksum: u128) -> Option<Self> {
        let count = usize::from(u16::from_le_bytes(array(bytes, 2)?));
        let (page, end) = match bytes.first()? {
            1 => {
                let leaf = Leaf { bytes, rows: count, widths };
                (Self::Leaf(leaf), leaf.value_end(count.checked_sub(1)?)?)
            }
            2 => {
                let branch = Branch { bytes, children: count + 1 };
                (Self::Branch(branch), branch.end(count.checked_sub(1)?, widths.key)?)
            }
            _ => return None,
        };
        (checksum_of(bytes.get(..end)?) == checksum).then_some(page)
    }
}

impl<'a> Leaf<'a> {
    /// Key and value of each row; `None` for one that does not lie within the page.
    pub(super) fn rows(self) -> impl Iterator<Item = Option<(&'a [u8], &'a [u8])>> {
        (0..self.rows).map(move |row| self.row(row))
    }

    fn row(self, row: usize) -> Option<(&'a [u8], &'a [u8])> {
        let last = self.rows.checked_sub(1)?;
        let key_start = row.checked_sub(1).map_or(Some(self.keys_start()), |before| self.key_end(before))?;
        let value_start = match row.checked_sub(1) {
            Some(before) => self.value_end(before)?,
            None => self.key_end(last)?,
        };
        let key = self.bytes.get(key_start..self.key_end(row)?)?;
        Some((key, self.bytes.get(value_start..self.value_end(row)?)?))
    }

    fn keys_start(self) -> usize {
        let lists = usize::from(self.widths.key.is_none()) + usize::from(self.widths.value.is_none());
        4 + 4 * self.rows * lists
    }

    fn key_end(self, row: usize) -> Option<usize> {
        match self.widths.key {
            Some(width) => self.keys_start().checked_add(width.checked_mul(row + 1)?),
            None => offset(self.bytes, 4 + 4 * row),
        }
    }

    fn value_end(self, row: usize) -> Option<usize> {
        match self.widths.value {
            Some(width) => self.key_end(self.rows.checked_sub(1)?)?.checked_add(width.checked_mul(row + 1)?),
            None => {
                let before = if self.widths.key.is_none() { 4 * self.rows } else { 0 };
                offset(self.bytes, 4 + before + 4 * row)
            }
        }
    }
}

impl Branch<'_> {
    /// The children, each with its checksum, in the order of their keys.
    pub(super) fn children(self) -> impl Iterator<Item = Option<(PageNumber, u128)>> {
        (0..self.children).map(move |child| {
            let checksum = u128::from_le_bytes(array(self.bytes, 8 + 16 * child)?);
            let number = u64::from_le_bytes(array(self.bytes, 8 + 16 * self.children + 8 * child)?);
            Some((PageNumber(number), checksum))
        })
    }

    /// Where the last key ends, and with it the page.
    fn end(self, last: usize, width: Option<usize>) -> Option<usize> {
        let keys = 8 + 24 * self.children;
        match width {
            Some(width) => keys.checked_add(width.checked_mul(last + 1)?),
            None => offset(self.bytes, keys + 4 * last),
        }
    }
}

fn offset(bytes: &[u8], at: usize) -> Option<usize> {
    usize::try_from(u32::from_le_bytes(array(bytes, at)?)).ok()
}

/// The engine's checksum.
pub(super) fn checksum_of(bytes: &[u8]) -> u128 {
    XxHash3_128::oneshot(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever stands in a file, reading it says what is wrong and nothing else happens.
        #[test]
        fn no_bytes_make_the_reader_panic(
            bytes in vec(any::<u8>(), 0..700),
            kind in 1u8..3,
            rows in prop_oneof![0u8..4, Just(255)],
            key in proptest::option::of(prop_oneof![0usize..40, Just(usize::MAX)]),
            value in proptest::option::of(prop_oneof![0usize..40, Just(usize::MAX)]),
        ) {
            let widths = Widths { key, value };
            let mut page = vec![kind, 0, rows, 0];
            page.extend_from_slice(&bytes);
            prop_assert!(Page::read(&page, widths, 0).is_none(), "no page has this checksum");
            let leaf = Leaf { bytes: &page, rows: usize::from(rows), widths };
            prop_assert_eq!(leaf.rows().count(), usize::from(rows));
            prop_assert_eq!(Branch { bytes: &page, children: 3 }.children().count(), 3);
            prop_assert!(Table::read(&bytes).is_none() || bytes[0] == Table::PLAIN);
            if let Some(head) = Head::read(&bytes) {
                prop_assert!(head.in_order().contains(&head.primary));
            }
        }

        #[test]
        fn a_page_lies_within_the_file_or_nowhere(number in any::<u64>(), file in 0u64..1 << 40) {
            for geometry in [Geometry::USUAL, Geometry { header_pages: 1 << 20, data_pages: 1 }] {
                if let Some((offset, length)) = geometry.place(PageNumber(number), file) {
                    prop_assert!(offset >= PAGE_BYTES && offset + length as u64 <= file);
                }
            }
        }
    }
}

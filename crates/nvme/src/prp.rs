//! PRP entries and lists (4.1.1): how a command names its data.
//!
//! Page size is 4 KiB. The first entry may start anywhere in a page, at a multiple of 4; all others name whole pages.
//! One page: PRP1. Two: PRP1 and PRP2. More: PRP2 names a list of the second to the last; the last entry of a list
//! page names the next list page when the list goes on.

use crate::PAGE_BYTES;

/// Offset inside a page.
const OFFSET_MASK: u64 = (PAGE_BYTES - 1) as u64;
/// Bytes of one list entry.
const ENTRY_BYTES: u64 = size_of::<u64>() as u64;
/// Entries of a full list page.
const ENTRIES_PER_PAGE: u32 = PAGE_BYTES / size_of::<u64>() as u32;

/// A contiguous piece of the data: one element of a scatter list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Device address of the first byte.
    pub address: u64,
    /// Length in bytes.
    pub bytes: u32,
}

/// Memory for list entries that lies in one page.
#[derive(Debug)]
pub struct Fragment<'a> {
    /// Device address of the first entry, a multiple of 8.
    pub address: u64,
    /// The entries; they end where the page ends or before.
    pub entries: &'a mut [u64],
}

/// The data pointer of a command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DataPointer {
    /// PRP Entry 1.
    pub prp1: u64,
    /// PRP Entry 2: zero, the second page, or the list.
    pub prp2: u64,
}

/// Why PRP entries cannot name the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrpError {
    /// No bytes to transfer.
    Empty,
    /// The data does not start at a multiple of 4.
    Misaligned,
    /// The data leaves a page before its end, or enters one after its start.
    Gap,
    /// A segment wraps around the address space.
    Address,
    /// The segments hold fewer bytes than the transfer.
    TooShort,
    /// The list needs more memory than was given.
    ListFull,
    /// A list fragment is not inside one page, is not aligned to 8 bytes, or cannot continue the list: a list goes on
    /// only from the end of a page to the start of one.
    BadFragment,
}

/// The most PRP entries, PRP1 included, that `bytes` can need: the data starts 4 bytes before the end of a page.
#[must_use]
pub const fn max_entries(bytes: u32) -> u32 {
    if bytes == 0 {
        return 0;
    }
    let tail = bytes.saturating_sub(4);
    (tail / PAGE_BYTES)
        .saturating_add(1)
        .saturating_add(!tail.is_multiple_of(PAGE_BYTES) as u32)
}

/// The most list entries, those that continue the list included, that `bytes` can need, wherever in a page the list starts.
#[must_use]
pub const fn max_list_entries(bytes: u32) -> u32 {
    let entries = max_entries(bytes);
    if entries <= 2 {
        return 0;
    }
    let data = entries.saturating_sub(1);
    data.saturating_add(1)
        .saturating_add(data / (ENTRIES_PER_PAGE - 1))
}

/// Builds the data pointer of a command that transfers the first `bytes` of `segments`, with its list, if it needs one,
/// in `fragments`, in order.
pub fn build<'a>(
    segments: impl IntoIterator<Item = Segment>,
    bytes: u32,
    fragments: impl IntoIterator<Item = Fragment<'a>>,
) -> Result<DataPointer, PrpError> {
    if bytes == 0 {
        return Err(PrpError::Empty);
    }
    let mut entries = Entries::new(fragments.into_iter());
    let mut left = u64::from(bytes);
    let mut expected = None;
    for segment in segments {
        let length = u64::from(segment.bytes).min(left);
        if length == 0 {
            continue;
        }
        let start = segment.address;
        let end = start.checked_add(length).ok_or(PrpError::Address)?;
        match expected {
            None if start & 3 != 0 => return Err(PrpError::Misaligned),
            None => entries.push(start)?,
            Some(expected) if start == expected => push_page_start(&mut entries, start)?,
            Some(expected) if (start | expected) & OFFSET_MASK == 0 => entries.push(start)?,
            Some(_) => return Err(PrpError::Gap),
        }
        let mut page = (start | OFFSET_MASK).checked_add(1);
        while let Some(next) = page.filter(|next| *next < end) {
            entries.push(next)?;
            page = next.checked_add(u64::from(PAGE_BYTES));
        }
        expected = Some(end);
        left = left.saturating_sub(length);
    }
    if left > 0 {
        return Err(PrpError::TooShort);
    }
    Ok(entries.pointer)
}

/// A segment that continues its predecessor needs an entry only where it starts a page.
fn push_page_start<'a>(
    entries: &mut Entries<'a, impl Iterator<Item = Fragment<'a>>>,
    start: u64,
) -> Result<(), PrpError> {
    if start & OFFSET_MASK == 0 {
        entries.push(start)?;
    }
    Ok(())
}

/// PRP entries as they are written: two in the command, or one and a list.
struct Entries<'a, F> {
    pointer: DataPointer,
    written: Written,
    fragments: F,
    fragment: Option<Fragment<'a>>,
    /// Entries used in `fragment`.
    used: usize,
}

/// Where the entries so far went.
#[derive(Clone, Copy)]
enum Written {
    Nowhere,
    Prp1,
    Both,
    List,
}

impl<'a, F: Iterator<Item = Fragment<'a>>> Entries<'a, F> {
    fn new(fragments: F) -> Self {
        Self {
            pointer: DataPointer::default(),
            written: Written::Nowhere,
            fragments,
            fragment: None,
            used: 0,
        }
    }

    fn push(&mut self, entry: u64) -> Result<(), PrpError> {
        match self.written {
            Written::Nowhere => {
                self.pointer.prp1 = entry;
                self.written = Written::Prp1;
            }
            Written::Prp1 => {
                self.pointer.prp2 = entry;
                self.written = Written::Both;
            }
            Written::Both => {
                let second = self.pointer.prp2;
                self.pointer.prp2 = self.open()?;
                self.written = Written::List;
                self.list(second)?;
                self.list(entry)?;
            }
            Written::List => self.list(entry)?,
        }
        Ok(())
    }

    /// Goes to the next fragment and returns its address.
    fn open(&mut self) -> Result<u64, PrpError> {
        let fragment = self.fragments.next().ok_or(PrpError::ListFull)?;
        let bytes = (fragment.entries.len() as u64).saturating_mul(ENTRY_BYTES);
        let end = (fragment.address & OFFSET_MASK).saturating_add(bytes);
        let aligned = fragment.address & (ENTRY_BYTES - 1) == 0;
        if !aligned || bytes == 0 || end > u64::from(PAGE_BYTES) {
            return Err(PrpError::BadFragment);
        }
        let address = fragment.address;
        self.fragment = Some(fragment);
        self.used = 0;
        Ok(address)
    }

    /// Appends an entry to the list.
    fn list(&mut self, entry: u64) -> Result<(), PrpError> {
        let full = self
            .fragment
            .as_ref()
            .is_none_or(|fragment| self.used >= fragment.entries.len());
        if full {
            self.chain()?;
        }
        let slot = self
            .fragment
            .as_mut()
            .and_then(|fragment| fragment.entries.get_mut(self.used))
            .ok_or(PrpError::ListFull)?;
        *slot = entry;
        self.used = self.used.wrapping_add(1);
        Ok(())
    }

    /// Continues a full fragment: its last entry moves to the next one, whose address takes the place.
    fn chain(&mut self) -> Result<(), PrpError> {
        let full = self.fragment.take().ok_or(PrpError::ListFull)?;
        let bytes = (full.entries.len() as u64).saturating_mul(ENTRY_BYTES);
        let address = self.open()?;
        let continues = full.address.wrapping_add(bytes) & OFFSET_MASK == 0;
        if !continues || address & OFFSET_MASK != 0 {
            return Err(PrpError::BadFragment);
        }
        let last = full.entries.last_mut().ok_or(PrpError::BadFragment)?;
        let moved = core::mem::replace(last, address);
        self.list_first(moved);
        Ok(())
    }

    /// Puts an entry at the start of the fragment that was just opened, which has room for one.
    fn list_first(&mut self, entry: u64) {
        if let Some(first) = self
            .fragment
            .as_mut()
            .and_then(|fragment| fragment.entries.first_mut())
        {
            *first = entry;
            self.used = 1;
        }
    }
}

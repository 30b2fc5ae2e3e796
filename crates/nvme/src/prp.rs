//! PRP entries and lists (4.1.1): how a command names its data.
//!
//! Page size is 4 KiB. The first entry may start anywhere in a page, at a multiple of 4; all others name whole pages.
//! One page: PRP1. Two: PRP1 and PRP2. More: PRP2 names a list of the second to the last; the last entry of a list
//! page names the next list page when the list goes on.
//!
//! The last entry of a list page names data where the list ends with it. There are controllers that take it for the address of
//! another list page all the same, and transfer to where it says. So no list here begins or ends with the last eight bytes of a
//! page: it begins an entry or two later instead.

use core::mem;

use crate::PAGE_BYTES;

/// Offset inside a page.
const OFFSET_MASK: u64 = (PAGE_BYTES - 1) as u64;
/// Base-2 logarithm of the size of a page.
const PAGE_SHIFT: u32 = PAGE_BYTES.trailing_zeros();
/// Bytes of one list entry.
const ENTRY_BYTES: usize = size_of::<u64>();
/// Entries of a list page.
const ENTRIES_PER_PAGE: u32 = PAGE_BYTES / ENTRY_BYTES as u32;
/// The place of the last entry in its page, which never names data, and so the number of those that do.
const LAST_ENTRY: usize = ENTRIES_PER_PAGE as usize - 1;
/// So many entries stay unused at the start of a list at most.
const MOST_SKIPPED: usize = 2;
/// So many pieces of a page each are taken at a time.
const BATCH: usize = 8;

/// A contiguous piece of the data: one element of a scatter list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Device address of the first byte.
    pub address: u64,
    /// Length in bytes.
    pub bytes: u32,
}

/// Memory for a list. It is contiguous for the processor; for the device only inside each page.
#[derive(Debug)]
pub struct ListMemory<'a, F> {
    /// The entries.
    pub entries: &'a mut [u64],
    /// Where in its page the first entry lies, in bytes: a multiple of 8.
    pub page_offset: usize,
    /// The device address of the entry with this number, asked for the first entry of the list in each page.
    pub address: F,
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
    /// The memory of the list is not where it is said to be.
    BadList,
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
    // One more for each full page, beside those that stay unused at the start.
    let data = entries.saturating_sub(1);
    let full_pages = data / (ENTRIES_PER_PAGE - 1);
    data.saturating_add(MOST_SKIPPED as u32)
        .saturating_add(full_pages)
}

/// Builds the data pointer of a command that transfers the first `bytes` of `pieces`, each of which `segment` describes, with
/// its list, if it needs one, in `list`.
pub fn build<P>(
    pieces: &[P],
    segment: impl Fn(&P) -> Segment + Copy,
    bytes: u32,
    list: ListMemory<'_, impl FnMut(usize) -> Option<u64>>,
) -> Result<DataPointer, PrpError> {
    // One piece of one or two pages needs no list and nothing to be compared.
    if let [piece] = pieces {
        let Segment {
            address,
            bytes: length,
        } = segment(piece);
        let span = (address & OFFSET_MASK).wrapping_add(u64::from(bytes));
        let second = (address | OFFSET_MASK).wrapping_add(1);
        let aligned = address.is_multiple_of(4);
        let plain = aligned && bytes != 0 && length >= bytes && second != 0;
        if plain && span <= 2 * u64::from(PAGE_BYTES) {
            let one_page = span <= u64::from(PAGE_BYTES);
            return Ok(DataPointer {
                prp1: address,
                prp2: if one_page { 0 } else { second },
            });
        }
    }
    build_from_pieces(pieces, segment, bytes, list)
}

/// The same for any data.
#[inline(never)]
fn build_from_pieces<P>(
    pieces: &[P],
    segment: impl Fn(&P) -> Segment + Copy,
    bytes: u32,
    list: ListMemory<'_, impl FnMut(usize) -> Option<u64>>,
) -> Result<DataPointer, PrpError> {
    if bytes == 0 {
        return Err(PrpError::Empty);
    }
    let first = pieces.iter().map(segment).find(|first| first.bytes != 0);
    let prp1 = first.ok_or(PrpError::TooShort)?.address;
    if prp1 & 3 != 0 {
        return Err(PrpError::Misaligned);
    }
    // The data leaves no page before its end, so its length says how many pages it has.
    let span = (prp1 & OFFSET_MASK).wrapping_add(u64::from(bytes));
    let prp2 = if span <= u64::from(PAGE_BYTES) {
        fill(pieces, segment, bytes, Writer::new(&mut [], 0, |_| None))?;
        0
    } else if span <= 2 * u64::from(PAGE_BYTES) {
        let mut second = [0];
        fill(
            pieces,
            segment,
            bytes,
            Writer::new(&mut second, 1, |_| None),
        )?;
        let [second] = second;
        second
    } else {
        let data_entries = span.wrapping_sub(1) >> PAGE_SHIFT;
        let (address, writer) = begin(list, data_entries)?;
        fill(pieces, segment, bytes, writer)?;
        address
    };
    Ok(DataPointer { prp1, prp2 })
}

/// The device address of a list of so many data entries, and what writes it.
fn begin<F: FnMut(usize) -> Option<u64>>(
    list: ListMemory<'_, F>,
    data_entries: u64,
) -> Result<(u64, Writer<'_, F>), PrpError> {
    let ListMemory {
        entries,
        page_offset,
        mut address,
    } = list;
    let place = page_offset / ENTRY_BYTES;
    let skipped = skipped_entries(place, data_entries);
    let first = place.wrapping_add(skipped) & LAST_ENTRY;
    let rest = entries.get_mut(skipped..).unwrap_or_default();
    if rest.is_empty() {
        return Err(PrpError::ListFull);
    }
    let start = address(skipped).ok_or(PrpError::BadList)?;
    let misplaced = start & OFFSET_MASK != first.wrapping_mul(ENTRY_BYTES) as u64;
    if misplaced || !page_offset.is_multiple_of(ENTRY_BYTES) {
        return Err(PrpError::BadList);
    }
    let room = LAST_ENTRY.saturating_sub(first);
    let mut writer = Writer::new(rest, room, address);
    writer.index = skipped;
    Ok((start, writer))
}

/// How many entries stay unused at the start of a list that would begin at entry `place` of a page: the list may neither begin
/// nor end with the last entry of a page.
fn skipped_entries(place: usize, data_entries: u64) -> usize {
    let fits = |skipped: &usize| {
        let place = place.wrapping_add(*skipped) & LAST_ENTRY;
        let room = LAST_ENTRY.saturating_sub(place);
        let behind = (data_entries as usize).saturating_sub(room);
        room > 0 && (behind == 0 || behind % LAST_ENTRY != 1)
    };
    (0..MOST_SKIPPED).find(fits).unwrap_or(MOST_SKIPPED)
}

/// Goes through the pieces and writes an entry for every page of the data but the first.
fn fill<P, F: FnMut(usize) -> Option<u64>>(
    pieces: &[P],
    segment: impl Fn(&P) -> Segment + Copy,
    bytes: u32,
    mut writer: Writer<'_, F>,
) -> Result<(), PrpError> {
    let mut left = u64::from(bytes);
    let mut expected: Option<u64> = None;
    let mut rest = pieces;
    while left > 0 {
        let (piece, others) = rest.split_first().ok_or(PrpError::TooShort)?;
        rest = others;
        let Segment { address, bytes } = segment(piece);
        let length = u64::from(bytes).min(left);
        if length == 0 {
            continue;
        }
        let end = address.checked_add(length).ok_or(PrpError::Address)?;
        let first_page = match expected {
            // The page that the data begins in is the command's own.
            None => (address | OFFSET_MASK).checked_add(1),
            Some(expected) if (expected | address) & OFFSET_MASK == 0 => Some(address),
            Some(expected) if expected == address => page_from(address),
            Some(_) => return Err(PrpError::Gap),
        };
        if let Some(page) = first_page
            && let Some(span) = end.checked_sub(page)
        {
            let pages = span.wrapping_add(OFFSET_MASK) >> PAGE_SHIFT;
            writer.pages(page, pages as usize)?;
        }
        left = left.wrapping_sub(length);
        expected = Some(end);
        if end & OFFSET_MASK == 0 {
            let taken = writer.whole_pages(rest, segment, (left >> PAGE_SHIFT) as usize)?;
            left = left.wrapping_sub((taken.pages as u64) << PAGE_SHIFT);
            rest = rest.get(taken.pieces..).unwrap_or_default();
        }
    }
    Ok(())
}

/// Where the first page begins at or after `address`.
fn page_from(address: u64) -> Option<u64> {
    Some(address.checked_add(OFFSET_MASK)? & !OFFSET_MASK)
}

/// A list as it is written.
struct Writer<'a, F> {
    /// What is not written yet.
    entries: &'a mut [u64],
    /// How many data entries are left in this page.
    room: usize,
    /// The number of the first of `entries` in the memory of the list.
    index: usize,
    address: F,
}

impl<'a, F: FnMut(usize) -> Option<u64>> Writer<'a, F> {
    fn new(entries: &'a mut [u64], room: usize, address: F) -> Self {
        Self {
            entries,
            room,
            index: 0,
            address,
        }
    }

    /// Appends `count` pages from the one at `page` on.
    fn pages(&mut self, mut page: u64, mut count: usize) -> Result<(), PrpError> {
        while count > 0 {
            let run = self.run()?;
            let written = count.min(run.len());
            for entry in run.iter_mut().take(written) {
                *entry = page;
                page = page.wrapping_add(u64::from(PAGE_BYTES));
            }
            self.advance(written);
            count = count.wrapping_sub(written);
        }
        Ok(())
    }

    /// Appends the first of `pieces` that are whole pages, at most `most` pages.
    fn whole_pages<P>(
        &mut self,
        pieces: &[P],
        segment: impl Fn(&P) -> Segment + Copy,
        most: usize,
    ) -> Result<Taken, PrpError> {
        let mut taken = Taken {
            pieces: 0,
            pages: 0,
        };
        // All bits of the addresses: one that does not start a page shows among them.
        let mut bits = 0;
        while let Some(rest) = pieces.get(taken.pieces..).filter(|rest| !rest.is_empty())
            && taken.pages < most
        {
            let run = self.run()?;
            let possible = most.saturating_sub(taken.pages).min(run.len());
            let run = run.get_mut(..possible).unwrap_or_default();
            let copied = copy_pages(run, rest, segment, &mut bits);
            self.advance(copied.pages);
            taken.add(copied);
            // What stopped it: the end of the list page, of the data, or a piece that is too long or is not whole pages.
            let Some(piece) = rest.get(copied.pieces) else {
                continue;
            };
            if copied.pages == possible {
                continue;
            }
            let Segment { address, bytes } = segment(piece);
            let pages = (bytes >> PAGE_SHIFT) as usize;
            if u64::from(bytes) & OFFSET_MASK != 0
                || !(1..=most.saturating_sub(taken.pages)).contains(&pages)
            {
                break;
            }
            address
                .checked_add(u64::from(bytes))
                .ok_or(PrpError::Address)?;
            bits |= address;
            self.pages(address, pages)?;
            taken.add(Taken { pieces: 1, pages });
        }
        if bits & OFFSET_MASK != 0 {
            return Err(PrpError::Gap);
        }
        Ok(taken)
    }

    /// The entries of this page that can be written, at least one; goes to the next page where there are none left.
    fn run(&mut self) -> Result<&mut [u64], PrpError> {
        if self.room == 0 {
            self.chain()?;
        }
        let run = self.room.min(self.entries.len());
        let run = self.entries.get_mut(..run);
        run.filter(|run| !run.is_empty()).ok_or(PrpError::ListFull)
    }

    /// Writes where the list goes on into the last entry of a page.
    fn chain(&mut self) -> Result<(), PrpError> {
        let next = self.index.wrapping_add(1);
        if self.entries.len() < 2 {
            return Err(PrpError::ListFull);
        }
        let address = (self.address)(next).ok_or(PrpError::BadList)?;
        if address & OFFSET_MASK != 0 {
            return Err(PrpError::BadList);
        }
        if let Some(last) = self.entries.first_mut() {
            *last = address;
        }
        self.advance(1);
        self.room = LAST_ENTRY;
        Ok(())
    }

    fn advance(&mut self, written: usize) {
        let entries = mem::take(&mut self.entries);
        self.entries = entries.get_mut(written..).unwrap_or_default();
        self.room = self.room.saturating_sub(written);
        self.index = self.index.wrapping_add(written);
    }
}

/// How many pieces were taken, and how many pages those are.
#[derive(Clone, Copy)]
struct Taken {
    pieces: usize,
    pages: usize,
}

impl Taken {
    fn add(&mut self, more: Self) {
        self.pieces = self.pieces.wrapping_add(more.pieces);
        self.pages = self.pages.wrapping_add(more.pages);
    }
}

/// Writes entries for the first pieces that are whole pages, as far as they fit. Adds the bits of the addresses to `bits`.
fn copy_pages<P>(
    entries: &mut [u64],
    pieces: &[P],
    segment: impl Fn(&P) -> Segment + Copy,
    bits: &mut u64,
) -> Taken {
    let room = entries.len();
    let mut left = entries;
    let mut rest = pieces;
    loop {
        // Most pieces are a page each: batches of a fixed size cost one comparison of the ends for all of them.
        while let Some((batch, others)) = rest.split_first_chunk::<BATCH>()
            && let Some(places) = left.first_chunk_mut::<BATCH>()
            && copy_singles(places, batch, segment, bits) == BATCH
        {
            left = mem::take(&mut left).get_mut(BATCH..).unwrap_or_default();
            rest = others;
        }
        let singles = copy_singles(left, rest, segment, bits);
        left = mem::take(&mut left).get_mut(singles..).unwrap_or_default();
        rest = rest.get(singles..).unwrap_or_default();
        let Some((piece, others)) = rest.split_first() else {
            break;
        };
        let Segment { address, bytes } = segment(piece);
        let pages = (bytes >> PAGE_SHIFT) as usize;
        if u64::from(bytes) & OFFSET_MASK != 0 || !(1..=left.len()).contains(&pages) {
            break;
        }
        *bits |= address;
        let (places, free) = mem::take(&mut left).split_at_mut(pages);
        let mut page = address;
        for entry in places {
            *entry = page;
            page = page.wrapping_add(u64::from(PAGE_BYTES));
        }
        left = free;
        rest = others;
    }
    Taken {
        pieces: pieces.len().saturating_sub(rest.len()),
        pages: room.saturating_sub(left.len()),
    }
}

/// Writes entries for the first pieces that are a page each; how many those are. Adds the bits of the addresses to `bits`.
#[inline]
fn copy_singles<P>(
    entries: &mut [u64],
    pieces: &[P],
    segment: impl Fn(&P) -> Segment + Copy,
    bits: &mut u64,
) -> usize {
    let mut singles = 0_usize;
    for (entry, piece) in entries.iter_mut().zip(pieces) {
        let Segment { address, bytes } = segment(piece);
        if bytes != PAGE_BYTES {
            break;
        }
        *bits |= address;
        *entry = address;
        singles = singles.wrapping_add(1);
    }
    singles
}

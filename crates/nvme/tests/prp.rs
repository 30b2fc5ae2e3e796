//! PRP entries against a naive model: the controller's reading of the data pointer gives back exactly the bytes' addresses.

use nvme::prp::{DataPointer, ListMemory, PrpError, Segment, build, max_entries, max_list_entries};
use proptest::prelude::*;

const PAGE: u64 = 4096;
/// Entries of a page.
const ENTRIES: usize = 512;

/// Where a list lives: the entry of a page that it begins with, and how many entries it has. No two pages of it touch.
#[derive(Clone, Copy, Debug)]
struct Layout {
    first: usize,
    entries: usize,
}

impl Layout {
    const NONE: Self = Self {
        first: 0,
        entries: 0,
    };

    fn address(self, index: usize) -> u64 {
        let place = self.first + index;
        0x7000_0000 + (place / ENTRIES) as u64 * 2 * PAGE + (place % ENTRIES) as u64 * 8
    }

    /// The entry at an address, which lies inside the memory of the list.
    fn index(self, address: u64) -> usize {
        let offset = usize::try_from(address - 0x7000_0000).unwrap();
        let page = offset / 8192;
        let index = (page * ENTRIES + offset % 8192 / 8) - self.first;
        assert_eq!(self.address(index), address);
        index
    }
}

/// Builds, with a list in memory of that layout.
fn built(
    pieces: &[(u64, u32)],
    bytes: u32,
    layout: Layout,
) -> Result<(DataPointer, Vec<u64>), PrpError> {
    let mut entries = vec![!0; layout.entries];
    let list = ListMemory {
        entries: &mut entries,
        page_offset: layout.first * 8,
        address: |index| Some(layout.address(index)),
    };
    let pointer = build(pieces, segment, bytes, list)?;
    Ok((pointer, entries))
}

fn segment(&(address, bytes): &(u64, u32)) -> Segment {
    Segment { address, bytes }
}

/// How a controller takes the last entry of a page of a list.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum LastEntry {
    /// As data where the data ends with it, as the specification has it.
    MayBeData,
    /// Always as the address of the next page, as some controllers do.
    Continues,
}

/// Reads a data pointer as a controller does: the pieces of memory that it names, for a transfer of `bytes`.
fn read(
    pointer: DataPointer,
    bytes: u32,
    layout: Layout,
    memory: &[u64],
    last: LastEntry,
) -> Vec<(u64, u64)> {
    let mut left = u64::from(bytes);
    let mut pieces = Vec::new();
    let mut piece = |address: u64| {
        let length = left.min(PAGE - address % PAGE);
        pieces.push((address, length));
        left -= length;
        left
    };
    let left = piece(pointer.prp1);
    if left == 0 {
        return pieces;
    }
    if left <= PAGE {
        assert_eq!(piece(pointer.prp2), 0);
        return pieces;
    }
    let entry = |address: u64| memory[layout.index(address)];
    let mut at = pointer.prp2;
    let mut left = left;
    while left > 0 {
        let last_of_page = at % PAGE == PAGE - 8;
        if last_of_page && (left > PAGE || last == LastEntry::Continues) {
            at = entry(at);
            assert_eq!(at % PAGE, 0, "a continued list starts a page");
        } else {
            let data = entry(at);
            assert_eq!(data % PAGE, 0, "an entry after the first names a page");
            left = piece(data);
            at += 8;
        }
    }
    pieces
}

/// The addresses of each byte, as runs that are merged where they touch.
fn merged(pieces: impl IntoIterator<Item = (u64, u64)>) -> Vec<(u64, u64)> {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for (address, length) in pieces.into_iter().filter(|&(_, length)| length > 0) {
        match runs.last_mut() {
            Some(last) if last.0 + last.1 == address => last.1 += length,
            _ => runs.push((address, length)),
        }
    }
    runs
}

#[test]
fn one_page_needs_prp1_only() {
    let (pointer, _) = built(&[(0x1004, 512)], 512, Layout::NONE).unwrap();
    assert_eq!(
        pointer,
        DataPointer {
            prp1: 0x1004,
            prp2: 0
        }
    );
}

#[test]
fn two_pages_need_no_list() {
    let (pointer, _) = built(&[(0x1E00, 4096)], 4096, Layout::NONE).unwrap();
    assert_eq!(
        pointer,
        DataPointer {
            prp1: 0x1E00,
            prp2: 0x2000
        }
    );
}

#[test]
fn three_pages_need_a_list() {
    let layout = Layout {
        first: 509,
        entries: 3,
    };
    let (pointer, memory) = built(&[(0x1E00, 512), (0x5000, 4608)], 5120, layout).unwrap();
    assert_eq!(
        pointer,
        DataPointer {
            prp1: 0x1E00,
            prp2: 0x7000_0FE8
        }
    );
    assert_eq!(memory, [0x5000, 0x6000, !0]);
}

#[test]
fn a_list_goes_on_at_the_start_of_another_page() {
    let layout = Layout {
        first: 510,
        entries: 5,
    };
    let (pointer, memory) = built(&[(0x1000, 5 * 4096)], 5 * 4096, layout).unwrap();
    assert_eq!(pointer.prp2, 0x7000_0FF0);
    assert_eq!(memory, [0x2000, 0x7000_2000, 0x3000, 0x4000, 0x5000]);
}

#[test]
fn no_list_begins_or_ends_with_the_last_entry_of_a_page() {
    let at = |first| Layout { first, entries: 5 };
    let data = [(0x1000, 3 * 4096)];
    for (first, start, list) in [
        (509, 0x7000_0FE8, [0x2000, 0x3000, !0, !0, !0]),
        (510, 0x7000_2000, [!0, !0, 0x2000, 0x3000, !0]),
        (511, 0x7000_2000, [!0, 0x2000, 0x3000, !0, !0]),
    ] {
        let (pointer, memory) = built(&data, 3 * 4096, at(first)).unwrap();
        assert_eq!((pointer.prp2, &memory[..]), (start, &list[..]), "{first}");
    }
}

/// Every place of a list in a page, with as many entries as make it end about there.
#[test]
fn every_controller_reads_the_same_wherever_a_list_lies() {
    for first in 0..ENTRIES {
        let to_page_end = ENTRIES - first;
        let lengths = [0, 1, 2, 511, 512, 513, 1023].map(|more| to_page_end + more);
        for pages in [3, 4].into_iter().chain(lengths) {
            let bytes = u32::try_from(pages.max(3) * 4096).unwrap();
            let data = [(0x10_0000, bytes)];
            let layout = enough(first, bytes);
            let (pointer, memory) = built(&data, bytes, layout).unwrap();
            for last in [LastEntry::MayBeData, LastEntry::Continues] {
                let pieces = read(pointer, bytes, layout, &memory, last);
                assert_eq!(
                    merged(pieces),
                    [(0x10_0000, u64::from(bytes))],
                    "{first} {pages} {last:?}"
                );
            }
        }
    }
}

#[test]
fn what_cannot_be_prps_is_refused() {
    let layout = Layout {
        first: 0,
        entries: 8,
    };
    let refused = |pieces: &[(u64, u32)], bytes| built(pieces, bytes, layout).unwrap_err();
    assert_eq!(refused(&[(0x1000, 512)], 0), PrpError::Empty);
    assert_eq!(refused(&[(0x1002, 512)], 512), PrpError::Misaligned);
    assert_eq!(
        refused(&[(0x1000, 512), (0x3000, 512)], 1024),
        PrpError::Gap
    );
    assert_eq!(
        refused(&[(0x1000, 4096), (0x3200, 512)], 4608),
        PrpError::Gap
    );
    assert_eq!(refused(&[(0x1000, 512)], 1024), PrpError::TooShort);
    assert_eq!(refused(&[], 512), PrpError::TooShort);
    assert_eq!(refused(&[(u64::MAX - 3, 512)], 512), PrpError::Address);
    assert_eq!(
        refused(&[(0x1000, 20 * 4096)], 20 * 4096),
        PrpError::ListFull
    );
    let last = Layout {
        first: 511,
        entries: 1,
    };
    let data = [(0x1000, 3 * 4096)];
    assert_eq!(built(&data, 3 * 4096, last), Err(PrpError::ListFull));
}

/// A page in the middle that is entered late or left early, at every place of a long run of whole pages.
#[test]
fn a_gap_is_found_wherever_it_is() {
    let layout = Layout {
        first: 0,
        entries: 64,
    };
    for at in 1..40 {
        for odd in [(0x9000_0200, 3584), (0x9000_0000, 3584)] {
            let mut pieces: Vec<(u64, u32)> =
                (1..=40).map(|page| (page * 2 * PAGE, 4096)).collect();
            pieces[at] = odd;
            let whole: u32 = pieces.iter().map(|piece| piece.1).sum();
            let answer = built(&pieces, whole, layout);
            let ends_early = odd.0 == 0x9000_0000 && at == 39;
            assert_eq!(answer.is_err(), !ends_early, "{at} {odd:x?}");
        }
    }
}

#[test]
fn a_list_is_where_it_is_said_to_be() {
    for addresses in [[0x9000, 0xA008], [0x9FF8, 0xA000], [0x9FF4, 0xA000]] {
        let mut entries = [0; 16];
        let list = ListMemory {
            entries: &mut entries,
            page_offset: 4080,
            address: |index| Some(addresses[usize::from(index > 0)]),
        };
        let answer = build(&[(0x1000, 6 * 4096)], segment, 6 * 4096, list);
        assert_eq!(answer, Err(PrpError::BadList));
    }
}

#[test]
fn limits_are_those_of_the_worst_alignment() {
    assert_eq!(
        [0, 1, 4, 5, 4096, 4100, 4101].map(max_entries),
        [0, 1, 1, 2, 2, 2, 3]
    );
    assert_eq!(max_entries(1 << 20), 257);
    assert_eq!(max_list_entries(4096), 0);
    assert_eq!(max_list_entries(1 << 20), 258);
}

prop_compose! {
    /// Data as a scatter list names it: runs of pages in any order, the first entered and the last left anywhere.
    fn data()(
        offset in (0u64..1024).prop_map(|dwords| dwords * 4),
        runs in prop::collection::vec(
            ((1u64..0x10_0000).prop_map(|page| page * PAGE), prop_oneof![6 => Just(1u64), 2 => 2u64..5, 1 => 5u64..700]),
            1..400,
        ),
        tail in 1u64..=4096,
    ) -> (Vec<(u64, u32)>, u32) {
        let count = runs.len();
        let segments: Vec<(u64, u32)> = runs.into_iter().enumerate().map(|(index, (address, pages))| {
            let start = if index == 0 { offset } else { 0 };
            let before = (pages - 1) * PAGE;
            let end = if index + 1 == count { (before + tail).max(start + 1) } else { pages * PAGE };
            (address + start, u32::try_from(end - start).unwrap())
        }).collect();
        let bytes = segments.iter().map(|segment| segment.1).sum();
        (segments, bytes)
    }
}

/// List memory of just the size that `max_list_entries` promises to be enough.
fn enough(first: usize, bytes: u32) -> Layout {
    Layout {
        first,
        entries: max_list_entries(bytes) as usize,
    }
}

proptest! {
    #[test]
    fn the_controller_reads_back_the_data((segments, bytes) in data(), first in 0..ENTRIES) {
        let layout = enough(first, bytes);
        let (pointer, memory) = built(&segments, bytes, layout).unwrap();
        for last in [LastEntry::MayBeData, LastEntry::Continues] {
            let pieces = read(pointer, bytes, layout, &memory, last);
            prop_assert!(pieces.len() <= max_entries(bytes) as usize);
            let expected = segments.iter().map(|&(address, bytes)| (address, u64::from(bytes)));
            prop_assert_eq!(merged(pieces), merged(expected));
        }
    }

    /// Segments that are split anywhere, as long as the pieces touch, name the same data.
    #[test]
    fn splits_do_not_matter((segments, bytes) in data(), cuts in prop::collection::vec(1u32..4096, 1..50), first in 0..ENTRIES) {
        let layout = enough(first, bytes);
        let whole = built(&segments, bytes, layout).unwrap();
        let mut cuts = cuts.into_iter().cycle();
        let split: Vec<(u64, u32)> = segments.iter().flat_map(|&(address, bytes)| {
            let cut = cuts.next().unwrap().min(bytes);
            [(address, cut), (address + u64::from(cut), bytes - cut)]
        }).collect();
        prop_assert_eq!(built(&split, bytes, layout).unwrap(), whole);
    }

    #[test]
    fn anything_at_all_is_survived(
        segments in prop::collection::vec((any::<u64>(), any::<u32>()), 0..20),
        bytes in any::<u32>().prop_map(|bytes| bytes % (1 << 22)),
        entries in 0usize..1200,
        page_offset in any::<usize>(),
        addresses in prop::collection::vec(any::<Option<u64>>(), 1..4),
    ) {
        let mut entries = vec![0; entries];
        let list = ListMemory {
            entries: &mut entries,
            page_offset,
            address: |index| addresses[index % addresses.len()],
        };
        let _ = build(&segments, segment, bytes, list);
    }
}

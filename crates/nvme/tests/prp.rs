//! PRP entries against a naive model: the controller's reading of the data pointer gives back exactly the bytes' addresses.

use nvme::prp::{DataPointer, Fragment, PrpError, Segment, build, max_entries, max_list_entries};
use proptest::prelude::*;

const PAGE: u64 = 4096;

/// Where a list lives: device address and number of entries of each fragment.
type Layout = Vec<(u64, usize)>;

/// Builds, with a list in memory of that layout.
fn built(
    segments: &[(u64, u32)],
    bytes: u32,
    layout: &Layout,
) -> Result<(DataPointer, Vec<Vec<u64>>), PrpError> {
    let mut memory: Vec<Vec<u64>> = layout
        .iter()
        .map(|&(_, entries)| vec![!0; entries])
        .collect();
    let segments = segments
        .iter()
        .map(|&(address, bytes)| Segment { address, bytes });
    let fragments = layout
        .iter()
        .zip(&mut memory)
        .map(|(&(address, _), entries)| Fragment { address, entries });
    let pointer = build(segments, bytes, fragments)?;
    Ok((pointer, memory))
}

/// Reads a data pointer as a controller does: the pieces of memory that it names, for a transfer of `bytes`.
fn read(pointer: DataPointer, bytes: u32, layout: &Layout, memory: &[Vec<u64>]) -> Vec<(u64, u64)> {
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
    let entry = |address: u64| {
        let (index, (start, _)) = layout
            .iter()
            .enumerate()
            .find(|(_, (start, entries))| (*start..start + 8 * *entries as u64).contains(&address))
            .expect("a list address inside the list memory");
        memory[index][usize::try_from((address - start) / 8).unwrap()]
    };
    let mut at = pointer.prp2;
    let mut left = left;
    while left > 0 {
        let last_of_page = at % PAGE == PAGE - 8;
        if last_of_page && left > PAGE {
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
    let (pointer, _) = built(&[(0x1004, 512)], 512, &vec![]).unwrap();
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
    let (pointer, _) = built(&[(0x1E00, 4096)], 4096, &vec![]).unwrap();
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
    let layout = vec![(0x9FF0, 2)];
    let (pointer, memory) = built(&[(0x1E00, 512), (0x5000, 4608)], 5120, &layout).unwrap();
    assert_eq!(
        pointer,
        DataPointer {
            prp1: 0x1E00,
            prp2: 0x9FF0
        }
    );
    assert_eq!(memory, [[0x5000, 0x6000]]);
}

#[test]
fn a_list_goes_on_at_the_start_of_another_page() {
    let layout = vec![(0x9FF0, 2), (0xC000, 3)];
    let (pointer, memory) = built(&[(0x1000, 5 * 4096)], 5 * 4096, &layout).unwrap();
    assert_eq!(pointer.prp2, 0x9FF0);
    assert_eq!(memory[0], [0x2000, 0xC000]);
    assert_eq!(memory[1], [0x3000, 0x4000, 0x5000]);
}

#[test]
fn what_cannot_be_prps_is_refused() {
    let layout = vec![(0x9000, 8)];
    let refused = |segments: &[(u64, u32)], bytes| built(segments, bytes, &layout).unwrap_err();
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
    assert_eq!(refused(&[(u64::MAX - 3, 512)], 512), PrpError::Address);
    assert_eq!(
        refused(&[(0x1000, 20 * 4096)], 20 * 4096),
        PrpError::ListFull
    );
}

#[test]
fn a_list_cannot_go_on_in_the_middle_of_a_page() {
    let data = [(0x1000, 6 * 4096)];
    for layout in [
        vec![(0x9000, 2), (0xC000, 8)],
        vec![(0x9FF0, 2), (0xC008, 8)],
    ] {
        assert_eq!(built(&data, 6 * 4096, &layout), Err(PrpError::BadFragment));
    }
    for fragment in [(0x9004, 8), (0x9FF8, 2), (0x9000, 0)] {
        assert_eq!(
            built(&data, 6 * 4096, &vec![fragment]),
            Err(PrpError::BadFragment)
        );
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
    assert_eq!(max_list_entries(1 << 20), 257);
}

prop_compose! {
    /// Data as a scatter list names it: pages in any order, the first entered and the last left anywhere.
    fn data()(
        offset in (0u64..1024).prop_map(|dwords| dwords * 4),
        pages in prop::collection::vec((1u64..0x10_0000).prop_map(|page| page * PAGE), 1..1200),
        tail in 1u32..=4096,
    ) -> (Vec<(u64, u32)>, u32) {
        let count = pages.len();
        let segments: Vec<(u64, u32)> = pages.into_iter().enumerate().map(|(index, page)| {
            let start = if index == 0 { offset } else { 0 };
            let end = if index + 1 == count { u64::from(tail).max(start + 1) } else { PAGE };
            (page + start, u32::try_from(end - start).unwrap())
        }).collect();
        let bytes = segments.iter().map(|segment| segment.1).sum();
        (segments, bytes)
    }
}

/// List memory of just the size that `max_list_entries` promises to be enough, from anywhere in a page on.
fn layout(first: usize, entries: usize) -> Layout {
    let start = 512 - first;
    let mut left = entries;
    let mut layout = vec![(0x7000_0000 + 8 * start as u64, first.min(left))];
    left -= first.min(left);
    let mut page = 0x7100_0000;
    while left > 0 {
        layout.push((page, left.min(512)));
        left -= left.min(512);
        page += 2 * PAGE;
    }
    layout
}

proptest! {
    #[test]
    fn the_controller_reads_back_the_data((segments, bytes) in data(), first in 1usize..=512) {
        let layout = layout(first, usize::try_from(max_list_entries(bytes)).unwrap());
        let (pointer, memory) = built(&segments, bytes, &layout).unwrap();
        let pieces = read(pointer, bytes, &layout, &memory);
        prop_assert!(pieces.len() <= max_entries(bytes) as usize);
        let expected = segments.iter().map(|&(address, bytes)| (address, u64::from(bytes)));
        prop_assert_eq!(merged(pieces), merged(expected));
    }

    /// Segments that are split anywhere, as long as the pieces touch, name the same data.
    #[test]
    fn splits_do_not_matter((segments, bytes) in data(), cuts in prop::collection::vec(1u32..4096, 1..50), first in 1usize..=512) {
        let layout = layout(first, usize::try_from(max_list_entries(bytes)).unwrap());
        let whole = built(&segments, bytes, &layout).unwrap();
        let mut cuts = cuts.into_iter().cycle();
        let split: Vec<(u64, u32)> = segments.iter().flat_map(|&(address, bytes)| {
            let cut = cuts.next().unwrap().min(bytes);
            [(address, cut), (address + u64::from(cut), bytes - cut)]
        }).collect();
        prop_assert_eq!(built(&split, bytes, &layout).unwrap(), whole);
    }

    #[test]
    fn anything_at_all_is_survived(
        segments in prop::collection::vec((any::<u64>(), any::<u32>()), 0..20),
        bytes in any::<u32>().prop_map(|bytes| bytes % (1 << 22)),
        layout in prop::collection::vec((any::<u64>(), 0usize..600), 0..4),
    ) {
        let _ = built(&segments, bytes, &layout);
    }
}

//! PRP entries and lists.

use nvme_model::Rule;
use nvme_spec::command::{Command, NvmOpcode};
use nvme_spec::status::Status;
use proptest::prelude::*;

use crate::host::{Host, PAGE, Pair, nvm, status};

fn with_io() -> (Host, Pair) {
    let mut host = Host::ready(&[
        ("mdts", "0"),
        ("capacity", "8M"),
        ("hmpre", "0"),
        ("hmmin", "0"),
    ]);
    let pair = host.io_queues(1, 8);
    (host, pair)
}

fn read(blocks: u32, prp1: u64, prp2: u64) -> Command {
    Command {
        prp1,
        prp2,
        cdw12: blocks - 1,
        ..nvm(NvmOpcode::READ, 1)
    }
}

/// Where a page boundary cuts `bytes` bytes that begin `offset` bytes into a page.
fn pages_of(offset: u64, bytes: u64) -> Vec<u64> {
    let mut rest = bytes;
    let mut lengths = vec![rest.min(PAGE - offset)];
    rest -= lengths[0];
    while rest > 0 {
        lengths.push(rest.min(PAGE));
        rest -= rest.min(PAGE);
    }
    lengths
}

/// The PRP entries of a buffer of scattered pages: PRP1, PRP2, and each piece of the buffer.
///
/// A list begins so many entries before the end of its page, so that lists are chained.
fn describe(
    host: &mut Host,
    offset: u64,
    bytes: u64,
    list_entries: u64,
) -> (u64, u64, Vec<(u64, u64)>) {
    let lengths = pages_of(offset, bytes);
    let mut pieces: Vec<_> = lengths
        .iter()
        .map(|length| {
            let page = host.alloc(PAGE);
            host.alloc(PAGE);
            (page, *length)
        })
        .collect();
    pieces[0].0 += offset;
    let prp1 = pieces[0].0;
    let prp2 = match pieces.len() {
        1 => 0,
        2 => pieces[1].0,
        _ => {
            let rest: Vec<_> = pieces[1..].iter().map(|piece| piece.0).collect();
            chain(host, &rest, list_entries)
        }
    };
    (prp1, prp2, pieces)
}

fn chain(host: &mut Host, entries: &[u64], room: u64) -> u64 {
    let list = host.alloc(PAGE) + PAGE - room * 8;
    let fit = if entries.len() as u64 > room {
        room as usize - 1
    } else {
        entries.len()
    };
    let (here, later) = entries.split_at(fit);
    let mut here = here.to_vec();
    if !later.is_empty() {
        here.push(chain(host, later, PAGE / 8));
    }
    for (index, entry) in (0..).zip(here) {
        host.machine.put(list + index * 8, &entry.to_le_bytes());
    }
    list
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn data_goes_where_the_entries_say(
        offset in (0..PAGE / 4).prop_map(|dword| dword * 4),
        blocks in prop_oneof![1..64_u32, 4100..4400_u32],
        list_entries in prop_oneof![1..6_u64, Just(512)],
    ) {
        let (mut host, mut pair) = with_io();
        let bytes = u64::from(blocks) * 512;
        let (prp1, prp2, pieces) = describe(&mut host, offset, bytes, list_entries);
        let content: Vec<u8> = (0..bytes).map(|at| (at * 31 % 251) as u8).collect();
        let mut rest = content.as_slice();
        for (at, length) in &pieces {
            let (piece, next) = rest.split_at(*length as usize);
            host.machine.put(*at, piece);
            rest = next;
        }
        let write = Command { cdw0: nvm(NvmOpcode::WRITE, 1).cdw0, ..read(blocks, prp1, prp2) };
        prop_assert_eq!(status(&host.execute(&mut pair, write)), Status::SUCCESS);
        for (at, length) in &pieces {
            host.machine.put(*at, &vec![0xEE; *length as usize]);
        }
        prop_assert_eq!(status(&host.execute(&mut pair, read(blocks, prp1, prp2))), Status::SUCCESS);
        let gathered: Vec<u8> = pieces
            .iter()
            .flat_map(|(at, length)| host.machine.get(*at, *length as usize).to_vec())
            .collect();
        prop_assert!(gathered == content);
        host.assert_clean();
    }
}

#[test]
fn the_second_page_of_two_is_no_list() {
    let (mut host, mut pair) = with_io();
    let (first, second) = (host.alloc(PAGE), host.alloc(PAGE));
    host.machine.put(first, &[0xEE; 4096]);
    host.machine.put(second, &[0xEE; 4096]);
    let completion = host.execute(&mut pair, read(9, first + PAGE - 512, second));
    assert_eq!(status(&completion), Status::SUCCESS);
    assert_eq!(host.machine.get(first + PAGE - 512, 512), [0; 512]);
    assert_eq!(host.machine.get(second, 4096), [0; 4096]);
}

#[test]
fn offsets_are_checked() {
    for (blocks, prp1, prp2) in [
        (1, 2, 0),       // PRP1 is not dword aligned
        (16, 0, 0x1004), // PRP2 is a page with an offset
        (24, 0, 0x1004), // PRP2 is a list that is not qword aligned
    ] {
        let (mut host, mut pair) = with_io();
        let base = host.alloc(4 * PAGE);
        let completion = host.execute(&mut pair, read(blocks, base + prp1, base + prp2));
        assert_eq!(status(&completion), Status::PRP_OFFSET_INVALID);
        assert_eq!(host.broken(), [Rule::PrpOffset]);
    }
}

#[test]
fn entries_of_a_list_are_pages() {
    let (mut host, mut pair) = with_io();
    let (base, list) = (host.alloc(4 * PAGE), host.alloc(PAGE));
    host.machine.put(list, &(base + PAGE).to_le_bytes());
    host.machine
        .put(list + 8, &(base + 2 * PAGE + 512).to_le_bytes());
    let completion = host.execute(&mut pair, read(24, base, list));
    assert_eq!(status(&completion), Status::PRP_OFFSET_INVALID);
    assert_eq!(host.broken(), [Rule::PrpOffset]);
}

#[test]
fn a_chained_list_begins_a_page() {
    let (mut host, mut pair) = with_io();
    let base = host.alloc(4 * PAGE);
    let list = host.alloc(PAGE) + PAGE - 8;
    host.machine.put(list, &(base + 8).to_le_bytes());
    let completion = host.execute(&mut pair, read(24, base, list));
    assert_eq!(status(&completion), Status::PRP_OFFSET_INVALID);
}

#[test]
fn no_more_of_a_list_is_read_than_is_needed() {
    let (mut host, mut pair) = with_io();
    let (prp1, prp2, _) = describe(&mut host, 512, 24 * 512, 512);
    host.machine.accesses.clear();
    host.execute(&mut pair, read(24, prp1, prp2));
    let lists: Vec<_> = host
        .machine
        .accesses
        .iter()
        .filter(|(why, ..)| matches!(why, nvme_model::Access::PrpList { .. }))
        .map(|(_, at, bytes)| (*at, *bytes))
        .collect();
    assert_eq!(lists, [(prp2, 24)]);
}

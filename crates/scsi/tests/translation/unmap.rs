//! UNMAP.

use nvme_spec::command::Command;
use proptest::prelude::*;
use scsi::{
    Action, Deallocate, Deallocation, LogicalUnit, Outcome, RANGES_BYTES, Sense, SenseKey, Transfer,
};

use crate::disk::{
    CONTROLLER, INVALID_FIELD, INVALID_OPERATION_CODE, LBA_OUT_OF_RANGE, data_in, data_out,
    illegal_request, translate, unit,
};

const LIST_LENGTH: u8 = 0x1A;
const INVALID_PARAMETER: u8 = 0x26;
const LIMITS: Deallocation = Deallocation {
    ranges: 0,
    range_blocks: 0,
    blocks: 0,
    reads_zeroes: true,
    write_zeroes: true,
};

fn limited(limits: Deallocation) -> LogicalUnit<'static> {
    LogicalUnit {
        deallocation: Some(limits),
        ..unit(&CONTROLLER)
    }
}

fn cdb(anchor: bool, length: usize) -> [u8; 10] {
    let [high, low] = u16::try_from(length).unwrap().to_be_bytes();
    [0x42, anchor.into(), 0, 0, 0, 0, 0, high, low, 0]
}

/// A parameter list of descriptors.
fn list(descriptors: &[(u64, u32)]) -> Vec<u8> {
    let bytes = u16::try_from(descriptors.len() * 16).unwrap();
    let mut list = [
        (bytes + 6).to_be_bytes(),
        bytes.to_be_bytes(),
        [0; 2],
        [0; 2],
    ]
    .concat();
    for (lba, blocks) in descriptors {
        list.extend(lba.to_be_bytes());
        list.extend(blocks.to_be_bytes());
        list.extend([0; 4]);
    }
    list
}

fn unmap(cdb: &[u8], list: &[u8], unit: &LogicalUnit<'_>) -> Action {
    let bytes = u32::try_from(list.len()).unwrap();
    translate(cdb, unit, data_out(bytes), &mut list.to_vec())
}

fn ended(action: &Action) -> Outcome {
    match action {
        Action::Done(outcome) => *outcome,
        other => panic!("{other:?}"),
    }
}

/// The ranges of the next command.
fn next(deallocate: &mut Deallocate, list: &[u8]) -> Option<(Command, Vec<(u64, u32)>)> {
    let mut page = [0xEE; RANGES_BYTES];
    let command = deallocate.next_command(list, &mut page).unwrap()?;
    assert_eq!((command.cdw0.opcode(), command.nsid), (0x09, 3));
    assert_eq!(command.cdw11, 1 << 2, "deallocate, no other hint");
    assert_eq!(command.cdw10 & !0xFF, 0);
    let count = (command.cdw10 & 0xFF) as usize + 1;
    let (used, unused) = page.split_at(count * 16);
    assert!(
        unused.iter().all(|byte| *byte == 0),
        "nothing else is in it"
    );
    let ranges = used.chunks(16).map(|range| {
        assert_eq!(range[..4], [0; 4]);
        let blocks = u32::from_le_bytes(range[4..8].try_into().unwrap());
        (u64::from_le_bytes(range[8..].try_into().unwrap()), blocks)
    });
    Some((command, ranges.collect()))
}

/// The ranges of every command that an UNMAP becomes.
fn commands(descriptors: &[(u64, u32)], unit: &LogicalUnit<'_>) -> Vec<Vec<(u64, u32)>> {
    let list = list(descriptors);
    let Action::Deallocate(mut deallocate) = unmap(&cdb(false, list.len()), &list, unit) else {
        panic!("{descriptors:?}");
    };
    assert_eq!(deallocate.bytes as usize, list.len());
    let mut all = Vec::new();
    while let Some((_, ranges)) = next(&mut deallocate, &list) {
        all.push(ranges);
    }
    assert_eq!(next(&mut deallocate, &list), None, "it stays at its end");
    all
}

#[test]
fn descriptors_become_ranges() {
    let unit = limited(LIMITS);
    assert_eq!(commands(&[(5, 3)], &unit), [[(5, 3)]]);
    // Overlapping ones, one without blocks, and the last block.
    let descriptors = [(0, 8), (4, 8), (7, 0), (999_999, 1)];
    assert_eq!(
        commands(&descriptors, &unit),
        [[(0, 8), (4, 8), (999_999, 1)]]
    );
    let many: Vec<(u64, u32)> = (0..256).map(|index| (index * 10, 5)).collect();
    assert_eq!(commands(&many, &unit), std::slice::from_ref(&many));
}

#[test]
fn limits_of_the_device_split_ranges_and_commands() {
    let unit = limited(Deallocation {
        ranges: 3,
        range_blocks: 10,
        blocks: 25,
        ..LIMITS
    });
    assert_eq!(
        commands(&[(100, 25)], &unit),
        [[(100, 10), (110, 10), (120, 5)]]
    );
    assert_eq!(
        commands(&[(0, 8), (50, 8), (90, 9)], &unit),
        [[(0, 8), (50, 8), (90, 9)]]
    );
    assert_eq!(
        commands(&[(0, 11), (50, 11)], &unit),
        [vec![(0, 10), (10, 1), (50, 10)], vec![(60, 1)]]
    );
}

#[test]
fn nothing_to_deallocate_is_done() {
    let unit = limited(LIMITS);
    assert_eq!(ended(&unmap(&cdb(false, 0), &[], &unit)), Outcome::good(0));
    for (descriptors, bytes) in [(&[][..], 8), (&[(0, 0)], 24), (&[(1_000_000, 0)], 24)] {
        let list = list(descriptors);
        assert_eq!(list.len(), bytes);
        let end = ended(&unmap(&cdb(false, bytes), &list, &unit));
        assert_eq!(end, Outcome::good(bytes as u32));
    }
}

#[test]
fn what_the_list_length_cuts_off_is_ignored() {
    let unit = limited(LIMITS);
    let list = list(&[(1, 2), (3, 4)]);
    for length in 24..40 {
        let Action::Deallocate(mut deallocate) = unmap(&cdb(false, length), &list, &unit) else {
            panic!("{length}");
        };
        let (_, ranges) = next(&mut deallocate, &list).unwrap();
        assert_eq!(ranges, [(1, 2)], "{length}");
    }
    // A descriptor length that is no multiple of 16.
    let mut odd = list.clone();
    odd[3] = 31;
    let Action::Deallocate(mut deallocate) = unmap(&cdb(false, 40), &odd, &unit) else {
        panic!("odd");
    };
    assert_eq!(next(&mut deallocate, &odd).unwrap().1, [(1, 2)]);
}

#[test]
fn what_is_wrong_is_refused_before_anything_is_done() {
    let unit = limited(LIMITS);
    let good = list(&[(5, 3)]);
    for length in 1..8 {
        let end = ended(&unmap(&cdb(false, length), &good, &unit));
        assert_eq!(end, illegal_request(LIST_LENGTH), "{length}");
    }
    let short = ended(&unmap(&cdb(false, 25), &good, &unit));
    assert_eq!(short, illegal_request(LIST_LENGTH), "the buffer is shorter");
    let anchor = ended(&unmap(&cdb(true, 24), &good, &unit));
    assert_eq!(anchor, illegal_request(INVALID_FIELD));
    for descriptor in [(999_999, 2), (1_000_001, 0), (u64::MAX, 1), (0, u32::MAX)] {
        let list = list(&[(5, 3), descriptor]);
        let end = ended(&unmap(&cdb(false, 40), &list, &unit));
        assert_eq!(end, illegal_request(LBA_OUT_OF_RANGE), "{descriptor:?}");
    }
    let few = limited(Deallocation {
        ranges: 2,
        blocks: 9,
        ..LIMITS
    });
    for descriptors in [&[(0, 1), (1, 1), (2, 1)][..], &[(0, 5), (0, 5)]] {
        let list = list(descriptors);
        let end = ended(&unmap(&cdb(false, list.len()), &list, &few));
        assert_eq!(end, illegal_request(INVALID_PARAMETER), "{descriptors:?}");
    }
    let protected = LogicalUnit {
        write_protected: true,
        ..unit
    };
    let end = ended(&unmap(&cdb(false, 24), &good, &protected));
    let expected = Sense::new(SenseKey::DataProtect, 0x27, 0);
    assert_eq!(end, Outcome::check_condition(expected));
    // Data that does not come from the host is none.
    let action = translate(&cdb(false, 24), &unit, data_in(24), &mut good.clone());
    assert_eq!(ended(&action), illegal_request(LIST_LENGTH));
}

#[test]
fn a_unit_that_does_not_deallocate_does_not_know_it() {
    let list = list(&[(5, 3)]);
    let end = ended(&unmap(&cdb(false, 24), &list, &unit(&CONTROLLER)));
    assert_eq!(end, illegal_request(INVALID_OPERATION_CODE));
    let mut reserved = cdb(false, 24);
    reserved[2] = 1;
    let end = ended(&unmap(&reserved, &list, &unit(&CONTROLLER)));
    assert_eq!(end, illegal_request(INVALID_OPERATION_CODE));
    let end = ended(&unmap(&reserved, &list, &limited(LIMITS)));
    assert_eq!(end, illegal_request(INVALID_FIELD));
    let nothing = translate(&cdb(false, 0), &unit(&CONTROLLER), Transfer::NONE, &mut []);
    assert_eq!(ended(&nothing), illegal_request(INVALID_OPERATION_CODE));
}

#[test]
fn a_list_that_changes_meanwhile_is_checked_again() {
    let unit = limited(LIMITS);
    let before = list(&[(5, 3)]);
    let Action::Deallocate(deallocate) = unmap(&cdb(false, 24), &before, &unit) else {
        panic!("a deallocation");
    };
    let mut page = [0; RANGES_BYTES];
    let beyond = deallocate
        .clone()
        .next_command(&list(&[(999_999, 2)]), &mut page);
    assert_eq!(beyond, Err(Sense::LOGICAL_BLOCK_ADDRESS_OUT_OF_RANGE));
    let shorter = deallocate.clone().next_command(&before[..20], &mut page);
    assert_eq!(shorter, Err(Sense::PARAMETER_LIST_LENGTH_ERROR));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5_000))]

    /// Any parameter list becomes commands for exactly the blocks that it names, within the limits, or nothing.
    #[test]
    fn any_list_is_carried_out_within_the_limits(
        mut descriptors in prop::collection::vec(
            (prop_oneof![4 => 0_u64..1_000_010, 1 => any::<u64>()],
             prop_oneof![4 => 0_u32..40, 1 => any::<u32>()]), 0..20),
        noise in prop::option::weighted(0.3, (prop_oneof![0_usize..8, 0_usize..400], any::<u8>())),
        claimed in prop::option::weighted(0.2, 0_u16..400),
        length in prop::option::weighted(0.3, any::<u16>()),
        ranges in 0_u8..5,
        range_blocks in 0_u32..20,
        blocks in prop_oneof![Just(0_u64), 1_u64..200],
    ) {
        let limits = Deallocation { ranges, range_blocks, blocks, ..LIMITS };
        let unit = limited(limits);
        let mut list = list(&descriptors);
        if let Some((at, byte)) = noise && let Some(place) = list.get_mut(at) {
            *place = byte;
        }
        if let Some(bytes) = claimed {
            // The length of the descriptors, whatever there is.
            list[2..4].copy_from_slice(&bytes.to_be_bytes());
        }
        let length = length.map_or(list.len(), usize::from);
        let Action::Deallocate(mut deallocate) = unmap(&cdb(false, length), &list, &unit) else {
            return Ok(());
        };
        let mut done: Vec<(u64, u32)> = Vec::new();
        for turn in 0.. {
            prop_assert!(turn < 20_000, "it ends");
            let Some((_, command)) = next(&mut deallocate, &list) else { break };
            prop_assert!(ranges == 0 || command.len() <= ranges.into());
            let sum: u64 = command.iter().map(|(_, count)| u64::from(*count)).sum();
            prop_assert!(blocks == 0 || sum <= blocks);
            for (lba, count) in command {
                prop_assert!(count != 0 && (range_blocks == 0 || count <= range_blocks));
                prop_assert!(lba + u64::from(count) <= 1_000_000);
                match done.last_mut() {
                    Some((first, before)) if *first + u64::from(*before) == lba => *before += count,
                    _ => done.push((lba, count)),
                }
            }
        }
        if noise.is_none() && claimed.is_none() && length == list.len() {
            descriptors.retain(|(_, count)| *count != 0);
            let mut expected: Vec<(u64, u32)> = Vec::new();
            for (lba, count) in descriptors {
                match expected.last_mut() {
                    Some((first, before)) if *first + u64::from(*before) == lba => *before += count,
                    _ => expected.push((lba, count)),
                }
            }
            prop_assert_eq!(done, expected);
        }
    }
}

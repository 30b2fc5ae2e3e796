//! READ CAPACITY and REPORT LUNS.

use core::num::NonZeroU64;

use crate::disk::{CONTROLLER, INVALID_FIELD, answer, done, illegal_request, unit};
use scsi::{BlockSize, Controller, IoHints, LogicalUnit, PreferredSizes, Transfer};

const CAPACITY_10: [u8; 10] = [0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0];
const CAPACITY_16: [u8; 16] = [0x9E, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0];

fn of_blocks(blocks: u64) -> LogicalUnit<'static> {
    LogicalUnit {
        blocks: NonZeroU64::new(blocks).unwrap(),
        block_size: BlockSize::Bytes4096,
        ..unit(&CONTROLLER)
    }
}

#[test]
fn ten_bytes_name_the_last_block_up_to_32_bits() {
    for (blocks, last) in [
        (1, [0, 0, 0, 0]),
        (0x1234_5678, [0x12, 0x34, 0x56, 0x77]),
        (0xFFFF_FFFF, [0xFF, 0xFF, 0xFF, 0xFE]),
        (0x1_0000_0000, [0xFF; 4]),
        (0x1_0000_0001, [0xFF; 4]),
        (u64::MAX, [0xFF; 4]),
    ] {
        let data = answer(&CAPACITY_10, &of_blocks(blocks));
        assert_eq!(data[..4], last, "{blocks}");
        assert_eq!(data[4..], [0, 0, 0x10, 0]);
    }
}

#[test]
fn sixteen_bytes_name_every_last_block() {
    for blocks in [1, 0x1_0000_0000, 0x0123_4567_89AB_CDEF, u64::MAX] {
        let data = answer(&CAPACITY_16, &of_blocks(blocks));
        assert_eq!(data.len(), 32);
        assert_eq!(data[..8], (blocks - 1).to_be_bytes());
        assert_eq!(data[8..12], [0, 0, 0x10, 0]);
        assert!(data[12..].iter().all(|byte| *byte == 0));
    }
}

#[test]
fn physical_blocks_are_what_is_written_at_once_up_to_4_kib() {
    for (size, granularity, alignment, exponent) in [
        (BlockSize::Bytes512, 1, 1, 0),
        (BlockSize::Bytes512, 2, 2, 1),
        (BlockSize::Bytes512, 8, 8, 3),
        (BlockSize::Bytes512, 8, 1, 3),
        (BlockSize::Bytes512, 32, 8, 3),
        (BlockSize::Bytes512, 0x1_0000, 0x1_0000, 3),
        (BlockSize::Bytes4096, 1, 1, 0),
        (BlockSize::Bytes4096, 4, 4, 0),
        // No power of two, and no multiple of the alignment.
        (BlockSize::Bytes512, 6, 2, 0),
        (BlockSize::Bytes512, 8, 16, 0),
    ] {
        let preferred = PreferredSizes {
            write_granularity_z: u16::try_from(granularity - 1).unwrap(),
            write_alignment_z: u16::try_from(alignment - 1).unwrap(),
            ..PreferredSizes::default()
        };
        let unit = LogicalUnit {
            block_size: size,
            hints: IoHints {
                boundary_blocks: 0,
                preferred: Some(preferred),
            },
            ..unit(&CONTROLLER)
        };
        let data = answer(&CAPACITY_16, &unit);
        assert_eq!(
            data[12..16],
            [0, exponent, 0, 0],
            "{granularity} {alignment}"
        );
    }
}

#[test]
fn other_service_actions_are_refused() {
    for action in (0..0x20).filter(|action| *action != 0x10) {
        let mut cdb = CAPACITY_16;
        cdb[1] = action;
        assert_eq!(
            done(&cdb, &unit(&CONTROLLER), Transfer::NONE),
            illegal_request(INVALID_FIELD),
            "{action:02X}h"
        );
    }
}

fn report_luns(select: u8, allocation_length: u32) -> [u8; 12] {
    let [a, b, c, d] = allocation_length.to_be_bytes();
    [0xA0, 0, select, 0, 0, 0, a, b, c, d, 0, 0]
}

#[test]
fn luns_are_listed_with_their_count_of_bytes() {
    for select in [0, 2] {
        let data = answer(&report_luns(select, 4096), &unit(&CONTROLLER));
        let mut expected = vec![0, 0, 0, 24, 0, 0, 0, 0];
        for lun in [0, 1, 7] {
            expected.extend([0, lun, 0, 0, 0, 0, 0, 0]);
        }
        assert_eq!(data, expected);
    }
}

#[test]
fn there_are_no_well_known_units() {
    assert_eq!(answer(&report_luns(1, 16), &unit(&CONTROLLER)), [0; 8]);
}

#[test]
fn every_lun_of_one_byte_is_listed() {
    let luns: Vec<u8> = (0..=0xFF).collect();
    let controller = Controller {
        luns: &luns,
        ..CONTROLLER
    };
    let data = answer(&report_luns(0, u32::MAX), &unit(&controller));
    assert_eq!(data[..4], [0, 0, 8, 0]);
    assert_eq!(data.len(), 8 + 256 * 8);
    assert_eq!(data[8 + 255 * 8..][..2], [0, 255]);
}

#[test]
fn a_short_allocation_or_another_selection_is_refused() {
    for allocation_length in 0..16 {
        assert_eq!(
            done(
                &report_luns(0, allocation_length),
                &unit(&CONTROLLER),
                Transfer::NONE
            ),
            illegal_request(INVALID_FIELD)
        );
    }
    for select in 3..=0xFF {
        assert_eq!(
            done(
                &report_luns(select, 4096),
                &unit(&CONTROLLER),
                Transfer::NONE
            ),
            illegal_request(INVALID_FIELD)
        );
    }
}

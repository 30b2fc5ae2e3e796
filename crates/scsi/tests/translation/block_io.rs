//! READ, WRITE, VERIFY, SYNCHRONIZE CACHE, START STOP UNIT, TEST UNIT READY.

use core::num::NonZeroU64;

use nvme_spec::command::{Command, CommandDword0};
use scsi::{
    Action, BlockSize, Controller, DataDirection, LogicalUnit, Outcome, Transfer, next_verify,
};

use crate::disk::{
    CONTROLLER, INVALID_FIELD, LBA_OUT_OF_RANGE, data_in, data_out, done, illegal_request,
    submitted, translate, unit,
};

const FUA: u8 = 0x08;
const DPO: u8 = 0x10;

fn ten(operation_code: u8, flags: u8, lba: u32, blocks: u16) -> [u8; 10] {
    let mut cdb = [0; 10];
    cdb[0] = operation_code;
    cdb[1] = flags;
    cdb[2..6].copy_from_slice(&lba.to_be_bytes());
    cdb[7..9].copy_from_slice(&blocks.to_be_bytes());
    cdb
}

fn sixteen(operation_code: u8, flags: u8, lba: u64, blocks: u32) -> [u8; 16] {
    let mut cdb = [0; 16];
    cdb[0] = operation_code;
    cdb[1] = flags;
    cdb[2..10].copy_from_slice(&lba.to_be_bytes());
    cdb[10..14].copy_from_slice(&blocks.to_be_bytes());
    cdb
}

fn command(opcode: u8, cdw10: u32, cdw11: u32, cdw12: u32) -> Command {
    Command {
        cdw0: CommandDword0::new().with_opcode(opcode),
        nsid: 3,
        cdw10,
        cdw11,
        cdw12,
        ..Command::default()
    }
}

/// A disk whose blocks need more than 32 bits to count.
fn large() -> LogicalUnit<'static> {
    LogicalUnit {
        blocks: NonZeroU64::new(0x0000_0012_0000_0000).unwrap(),
        block_size: BlockSize::Bytes4096,
        ..unit(&CONTROLLER)
    }
}

#[test]
fn read_10_becomes_a_read() {
    assert_eq!(
        submitted(
            &ten(0x28, 0, 0x000A_BCDE, 8),
            &unit(&CONTROLLER),
            data_in(4096)
        ),
        (command(0x02, 0x000A_BCDE, 0, 7), DataDirection::In, 4096)
    );
}

#[test]
fn write_10_becomes_a_write() {
    assert_eq!(
        submitted(&ten(0x2A, 0, 5, 1), &unit(&CONTROLLER), data_out(512)),
        (command(0x01, 5, 0, 0), DataDirection::Out, 512)
    );
}

#[test]
fn sixteen_reaches_every_block() {
    assert_eq!(
        submitted(
            &sixteen(0x88, 0, 0x11_2233_4455, 32),
            &large(),
            data_in(0x2_0000)
        ),
        (
            command(0x02, 0x2233_4455, 0x11, 31),
            DataDirection::In,
            0x2_0000
        )
    );
    assert_eq!(
        submitted(
            &sixteen(0x8A, 0, 0x11_FFFF_FFFF, 1),
            &large(),
            data_out(4096)
        ),
        (
            command(0x01, 0xFFFF_FFFF, 0x11, 0),
            DataDirection::Out,
            4096
        )
    );
}

#[test]
fn fua_goes_along_and_dpo_does_not() {
    for cdb in [
        &ten(0x2A, FUA | DPO, 0, 1)[..],
        &sixteen(0x8A, FUA | DPO, 0, 1),
    ] {
        let (sent, ..) = submitted(cdb, &unit(&CONTROLLER), data_out(512));
        assert_eq!(sent, command(0x01, 0, 0, 1 << 30));
    }
    let (sent, ..) = submitted(&ten(0x28, DPO, 0, 1), &unit(&CONTROLLER), data_in(512));
    assert_eq!(sent, command(0x02, 0, 0, 0));
}

#[test]
fn protection_is_refused() {
    for protect in 1..8 {
        for operation_code in [0x28, 0x2A] {
            assert_eq!(
                done(
                    &ten(operation_code, protect << 5, 0, 1),
                    &unit(&CONTROLLER),
                    Transfer {
                        bytes: 512,
                        data_in: true,
                        data_out: true
                    }
                ),
                illegal_request(INVALID_FIELD)
            );
        }
    }
}

#[test]
fn nothing_to_transfer_is_done() {
    for cdb in [
        &ten(0x28, 0, 0, 0)[..],
        &ten(0x2A, 0, 1_000_000, 0),
        &sixteen(0x88, 0, 7, 0),
        &sixteen(0x8A, 0, 1_000_000, 0),
    ] {
        assert_eq!(
            done(cdb, &unit(&CONTROLLER), Transfer::NONE),
            Outcome::good(0)
        );
    }
}

#[test]
fn the_last_block_can_be_reached_and_the_next_cannot() {
    let unit = unit(&CONTROLLER);
    let _ = submitted(&ten(0x28, 0, 999_999, 1), &unit, data_in(512));
    let out_of_range = illegal_request(LBA_OUT_OF_RANGE);
    for cdb in [
        &ten(0x28, 0, 999_999, 2)[..],
        &ten(0x2A, 0, 1_000_000, 2),
        &ten(0x28, 0, 1_000_001, 0),
        &sixteen(0x88, 0, 999_999, 2),
        &sixteen(0x8A, 0, u64::MAX, 2),
        &sixteen(0x88, 0, u64::MAX - 1, 2),
        &sixteen(0x88, 0, 0, u32::MAX),
    ] {
        let both = Transfer {
            bytes: 1024,
            data_in: true,
            data_out: true,
        };
        assert_eq!(done(cdb, &unit, both), out_of_range, "{cdb:02X?}");
    }
}

#[test]
fn a_transfer_beyond_the_limit_is_refused() {
    let unit = unit(&CONTROLLER);
    let _ = submitted(&ten(0x28, 0, 0, 256), &unit, data_in(256 * 512));
    assert_eq!(
        done(&ten(0x28, 0, 0, 257), &unit, data_in(257 * 512)),
        illegal_request(INVALID_FIELD)
    );
}

#[test]
fn nvme_counts_up_to_65536_blocks() {
    let controller = Controller {
        maximum_transfer_bytes: u32::MAX,
        ..CONTROLLER
    };
    let unit = unit(&controller);
    let (sent, _, bytes) = submitted(&sixteen(0x88, 0, 0, 0x1_0000), &unit, data_in(0x200_0000));
    assert_eq!((sent.cdw12, bytes), (0xFFFF, 0x200_0000));
    assert_eq!(
        done(&sixteen(0x88, 0, 0, 0x1_0001), &unit, data_in(0x200_0200)),
        illegal_request(INVALID_FIELD)
    );
}

#[test]
fn a_block_count_that_overflows_the_byte_count_is_refused() {
    let controller = Controller {
        maximum_transfer_bytes: u32::MAX,
        ..CONTROLLER
    };
    let unit = LogicalUnit {
        controller: &controller,
        ..large()
    };
    // 2^20 blocks of 4096 bytes are 2^32 bytes, 0 in 32 bits.
    assert_eq!(
        done(&sixteen(0x88, 0, 0, 1 << 20), &unit, data_in(0)),
        illegal_request(INVALID_FIELD)
    );
}

#[test]
fn a_buffer_of_another_length_or_direction_is_refused() {
    let unit = unit(&CONTROLLER);
    for bytes in [0, 1, 511, 1023, 1025, 1536, u32::MAX] {
        for cdb in [&ten(0x28, 0, 0, 2)[..], &sixteen(0x8A, 0, 0, 2)] {
            let both = Transfer {
                bytes,
                data_in: true,
                data_out: true,
            };
            assert_eq!(done(cdb, &unit, both), illegal_request(INVALID_FIELD));
        }
    }
    assert_eq!(
        done(&ten(0x28, 0, 0, 2), &unit, data_out(1024)),
        illegal_request(INVALID_FIELD),
        "the device would write to a buffer that it may read only"
    );
    assert_eq!(
        done(&ten(0x2A, 0, 0, 2), &unit, data_in(1024)),
        illegal_request(INVALID_FIELD)
    );
}

/// Requests that make what was written last: SYNCHRONIZE CACHE and START STOP UNIT with START = 0.
fn flushing() -> Vec<Vec<u8>> {
    vec![
        ten(0x35, 0, 0, 0).to_vec(),
        ten(0x35, 0x02, 999_999, 1).to_vec(),
        sixteen(0x91, 0, 0, 1_000_000).to_vec(),
        vec![0x1B, 0, 0, 0, 0, 0],
        vec![0x1B, 1, 0, 0, 0, 0],
    ]
}

#[test]
fn flushing_is_a_flush_where_there_is_something_volatile() {
    for cdb in flushing() {
        assert_eq!(
            submitted(&cdb, &unit(&CONTROLLER), Transfer::NONE),
            (command(0x00, 0, 0, 0), DataDirection::None, 0)
        );
        let controller = Controller {
            volatile_write_cache: false,
            ..CONTROLLER
        };
        assert_eq!(
            done(&cdb, &unit(&controller), Transfer::NONE),
            Outcome::good(0)
        );
    }
}

#[test]
fn a_present_cache_is_flushed_even_while_it_is_disabled() {
    let controller = Controller {
        write_cache_enabled: false,
        ..CONTROLLER
    };
    for cdb in flushing() {
        let (sent, ..) = submitted(&cdb, &unit(&controller), Transfer::NONE);
        assert_eq!(sent, command(0x00, 0, 0, 0));
    }
}

#[test]
fn synchronizing_beyond_the_end_is_refused() {
    for cdb in [
        &ten(0x35, 0, 999_999, 2)[..],
        &ten(0x35, 0, 1_000_001, 0),
        &sixteen(0x91, 0, u64::MAX, 1),
    ] {
        assert_eq!(
            done(cdb, &unit(&CONTROLLER), Transfer::NONE),
            illegal_request(LBA_OUT_OF_RANGE)
        );
    }
}

#[test]
fn starting_or_stopping_without_flush_is_done() {
    for flags in [0x01, 0x04, 0x05] {
        assert_eq!(
            done(
                &[0x1B, 0, 0, 0, flags, 0],
                &unit(&CONTROLLER),
                Transfer::NONE
            ),
            Outcome::good(0)
        );
    }
}

#[test]
fn loading_ejecting_and_power_conditions_are_refused() {
    let power_conditions = (1..16).map(|condition| condition << 4);
    for flags in [0x02, 0x03].into_iter().chain(power_conditions) {
        assert_eq!(
            done(
                &[0x1B, 0, 0, 0, flags, 0],
                &unit(&CONTROLLER),
                Transfer::NONE
            ),
            illegal_request(INVALID_FIELD),
            "{flags:02X}h"
        );
    }
}

#[test]
fn the_unit_is_ready() {
    assert_eq!(
        done(&[0; 6], &unit(&CONTROLLER), Transfer::NONE),
        Outcome::good(0)
    );
}

/// VERIFY(10), VERIFY(12) and VERIFY(16) of the same blocks.
fn verifies(flags: u8, lba: u32, blocks: u16) -> [Vec<u8>; 3] {
    let mut twelve = [0; 12];
    twelve[0] = 0xAF;
    twelve[1] = flags;
    twelve[2..6].copy_from_slice(&lba.to_be_bytes());
    twelve[6..10].copy_from_slice(&u32::from(blocks).to_be_bytes());
    [
        ten(0x2F, flags, lba, blocks).to_vec(),
        twelve.to_vec(),
        sixteen(0x8F, flags, lba.into(), blocks.into()).to_vec(),
    ]
}

#[test]
fn verify_without_a_comparison_is_about_blocks_that_exist() {
    for (lba, blocks, end) in [
        (0, 0, Outcome::good(0)),
        (0, 0xFFFF, Outcome::good(0)),
        (999_999, 1, Outcome::good(0)),
        (1_000_000, 0, Outcome::good(0)),
        (999_999, 2, illegal_request(LBA_OUT_OF_RANGE)),
        (1_000_001, 0, illegal_request(LBA_OUT_OF_RANGE)),
        (u32::MAX, 0xFFFF, illegal_request(LBA_OUT_OF_RANGE)),
    ] {
        for cdb in [verifies(0, lba, blocks), verifies(DPO, lba, blocks)].concat() {
            assert_eq!(
                done(&cdb, &unit(&CONTROLLER), Transfer::NONE),
                end,
                "{cdb:02X?}"
            );
        }
    }
    let past = sixteen(0x8F, 0, u64::MAX, 1);
    assert_eq!(
        done(&past, &unit(&CONTROLLER), Transfer::NONE),
        illegal_request(LBA_OUT_OF_RANGE)
    );
}

#[test]
fn verify_with_a_comparison_or_protection_is_refused() {
    for flags in [0x02, 0x04, 0x06, 0x20, 0xE0] {
        for cdb in verifies(flags, 0, 1) {
            assert_eq!(
                done(&cdb, &unit(&CONTROLLER), Transfer::NONE),
                illegal_request(INVALID_FIELD),
                "{cdb:02X?}"
            );
        }
    }
}

/// The blocks of each Verify command that a VERIFY becomes: first and count.
fn commands_of(cdb: &[u8], unit: &LogicalUnit<'_>) -> Vec<(u64, u32)> {
    let Action::Submit {
        mut command,
        direction: DataDirection::None,
        bytes: 0,
        mut more_blocks,
    } = translate(cdb, unit, Transfer::NONE, &mut [])
    else {
        panic!("{cdb:02X?} becomes no command");
    };
    let mut all = Vec::new();
    loop {
        assert_eq!(command.cdw0.opcode(), 0x0C);
        assert_eq!((command.nsid, command.prp1), (unit.namespace_id, 0));
        assert_eq!(command.cdw12 & !0xFFFF, 1 << 30, "from the medium");
        let lba = u64::from(command.cdw11) << 32 | u64::from(command.cdw10);
        all.push((lba, (command.cdw12 & 0xFFFF) + 1));
        match next_verify(&mut command, more_blocks) {
            Some(left) => more_blocks = left,
            None => return all,
        }
    }
}

fn verifying(bytes: u64) -> Controller<'static> {
    Controller {
        verify_bytes: NonZeroU64::new(bytes),
        ..CONTROLLER
    }
}

#[test]
fn verify_becomes_the_command_where_there_is_one() {
    let controller = verifying(u64::MAX);
    let unit = unit(&controller);
    for cdb in verifies(0, 0x1234, 0xFFFF) {
        assert_eq!(commands_of(&cdb, &unit), [(0x1234, 0xFFFF)]);
    }
    for cdb in verifies(0, 0x1234, 0) {
        assert_eq!(done(&cdb, &unit, Transfer::NONE), Outcome::good(0));
    }
    for cdb in verifies(0, 999_999, 2) {
        assert_eq!(
            done(&cdb, &unit, Transfer::NONE),
            illegal_request(LBA_OUT_OF_RANGE)
        );
    }
}

#[test]
fn verify_of_more_blocks_than_a_command_covers_becomes_several() {
    let most = verifying(u64::MAX);
    let all = sixteen(0x8F, 0, 1, 0x1_0000);
    assert_eq!(commands_of(&all, &unit(&most)), [(1, 0x1_0000)]);
    let all = sixteen(0x8F, 0, 1, 0x2_0001);
    assert_eq!(
        commands_of(&all, &unit(&most)),
        [(1, 0x1_0000), (0x1_0001, 0x1_0000), (0x2_0001, 1)]
    );
    let limited = verifying(4096);
    let all = sixteen(0x8F, 0, 8, 17);
    assert_eq!(
        commands_of(&all, &unit(&limited)),
        [(8, 8), (16, 8), (24, 1)]
    );
}

#[test]
fn limit_below_a_block_leaves_the_check_of_the_range() {
    let controller = verifying(511);
    for cdb in verifies(0, 0, 1) {
        assert_eq!(
            done(&cdb, &unit(&controller), Transfer::NONE),
            Outcome::good(0)
        );
    }
}

//! VERIFY.

use core::num::NonZeroU64;

use scsi::{Action, Controller, DataDirection, LogicalUnit, Outcome, Transfer, next_in_series};

use crate::disk::{
    CONTROLLER, INVALID_FIELD, LBA_OUT_OF_RANGE, done, illegal_request, sixteen, ten, translate,
    twelve, unit,
};

const DPO: u8 = 0x10;

/// VERIFY(10), VERIFY(12) and VERIFY(16) of the same blocks.
fn verifies(flags: u8, lba: u32, blocks: u16) -> [Vec<u8>; 3] {
    [
        ten(0x2F, flags, lba, blocks).to_vec(),
        twelve(0xAF, flags, lba, blocks.into()).to_vec(),
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
        match next_in_series(&mut command, more_blocks) {
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

//! READ and WRITE.

use core::num::NonZeroU64;

use scsi::{BlockSize, Controller, DataDirection, LogicalUnit, Outcome, Transfer};

use crate::disk::{
    CONTROLLER, INVALID_FIELD, LBA_OUT_OF_RANGE, command, data_in, data_out, done, illegal_request,
    six, sixteen, submitted, ten, twelve, unit,
};

const FUA: u8 = 0x08;
const DPO: u8 = 0x10;

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
fn six_reaches_21_bits_and_256_blocks() {
    let unit = unit(&CONTROLLER);
    for (cdb, expected, transfer, direction) in [
        (
            six(0x08, 0x0B_CDEF, 8),
            command(0x02, 0x0B_CDEF, 0, 7),
            data_in(4096),
            DataDirection::In,
        ),
        (
            six(0x0A, 5, 1),
            command(0x01, 5, 0, 0),
            data_out(512),
            DataDirection::Out,
        ),
        (
            six(0x08, 0, 0),
            command(0x02, 0, 0, 255),
            data_in(0x2_0000),
            DataDirection::In,
        ),
    ] {
        let sent = submitted(&cdb, &unit, transfer);
        assert_eq!(sent, (expected, direction, transfer.bytes), "{cdb:02X?}");
    }
    assert_eq!(
        done(&six(0x08, 0x1F_FFFF, 1), &unit, data_in(512)),
        illegal_request(LBA_OUT_OF_RANGE)
    );
    assert_eq!(
        done(&six(0x0A, 0, 2), &unit, data_out(512)),
        illegal_request(INVALID_FIELD)
    );
}

#[test]
fn twelve_is_as_ten_with_more_blocks() {
    let unit = unit(&CONTROLLER);
    for (cdb, expected, transfer, direction) in [
        (
            twelve(0xA8, 0, 0x000A_BCDE, 256),
            command(0x02, 0x000A_BCDE, 0, 255),
            data_in(0x2_0000),
            DataDirection::In,
        ),
        (
            twelve(0xAA, FUA | DPO, 5, 1),
            command(0x01, 5, 0, 1 << 30),
            data_out(512),
            DataDirection::Out,
        ),
    ] {
        let sent = submitted(&cdb, &unit, transfer);
        assert_eq!(sent, (expected, direction, transfer.bytes), "{cdb:02X?}");
    }
    for (cdb, code) in [
        (twelve(0xA8, 0x20, 0, 1), INVALID_FIELD),
        (twelve(0xA8, 0, 999_999, 2), LBA_OUT_OF_RANGE),
        (twelve(0xAA, 0, 0, u32::MAX), LBA_OUT_OF_RANGE),
        (twelve(0xA8, 0, 0, 257), INVALID_FIELD),
    ] {
        let blocks = u32::from_be_bytes([cdb[6], cdb[7], cdb[8], cdb[9]]);
        let both = Transfer {
            bytes: blocks.wrapping_mul(512),
            data_in: true,
            data_out: true,
        };
        assert_eq!(done(&cdb, &unit, both), illegal_request(code), "{cdb:02X?}");
    }
    assert_eq!(
        done(&twelve(0xA8, 0, 0, 0), &unit, Transfer::NONE),
        Outcome::good(0)
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

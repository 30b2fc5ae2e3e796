//! What an NVMe status becomes, by the Translation Reference.

use nvme_spec::completion::StatusField;
use scsi::{Outcome, ScsiStatus, completed};

const BYTES: u32 = 4096;

fn field(status: u16, do_not_retry: bool) -> StatusField {
    StatusField::new()
        .with_code(status as u8)
        .with_code_type((status >> 8) as u8)
        .with_do_not_retry(do_not_retry)
}

/// Sense key, additional sense code and qualifier of CHECK CONDITION.
fn sense(status: u16, do_not_retry: bool) -> [u8; 3] {
    let outcome = completed(field(status, do_not_retry), BYTES);
    assert_eq!(outcome.status, ScsiStatus(0x02), "{status:03X}h");
    assert_eq!(outcome.transferred_bytes, 0);
    let bytes = outcome.sense.unwrap().fixed();
    [bytes[2], bytes[12], bytes[13]]
}

#[test]
fn success_transfers_everything() {
    assert_eq!(completed(field(0, false), BYTES), Outcome::good(BYTES));
    let with_phase = field(0, false).with_phase(true).with_more(true).with_crd(3);
    assert_eq!(completed(with_phase, 0), Outcome::good(0));
}

#[test]
fn a_reservation_conflict_has_no_sense_data() {
    assert_eq!(
        completed(field(0x083, true), BYTES),
        Outcome {
            status: ScsiStatus(0x18),
            sense: None,
            transferred_bytes: 0
        }
    );
}

#[test]
fn listed_failures_have_their_own_sense_data_whether_to_be_retried_or_not() {
    for (status, expected) in [
        (0x001, [0x5, 0x20, 0x00]),
        (0x002, [0x5, 0x24, 0x00]),
        (0x004, [0x3, 0x00, 0x00]),
        (0x005, [0xB, 0x0B, 0x08]),
        (0x006, [0x4, 0x44, 0x00]),
        (0x007, [0xB, 0x00, 0x00]),
        (0x008, [0xB, 0x00, 0x00]),
        (0x009, [0xB, 0x00, 0x00]),
        (0x00A, [0xB, 0x00, 0x00]),
        (0x00B, [0x5, 0x20, 0x09]),
        (0x00C, [0x5, 0x2C, 0x00]),
        (0x01C, [0x3, 0x31, 0x03]),
        (0x01D, [0x2, 0x04, 0x1B]),
        (0x020, [0x7, 0x27, 0x00]),
        (0x080, [0x5, 0x21, 0x00]),
        (0x081, [0x3, 0x00, 0x00]),
        (0x084, [0x2, 0x04, 0x04]),
        (0x180, [0x5, 0x24, 0x00]),
        (0x182, [0x7, 0x27, 0x00]),
        (0x280, [0x3, 0x03, 0x00]),
        (0x281, [0x3, 0x11, 0x00]),
        (0x282, [0x3, 0x10, 0x01]),
        (0x283, [0x3, 0x10, 0x02]),
        (0x284, [0x3, 0x10, 0x03]),
        (0x285, [0xE, 0x1D, 0x00]),
        (0x286, [0x7, 0x20, 0x02]),
        (0x371, [0xB, 0x00, 0x00]),
    ] {
        for do_not_retry in [false, true] {
            assert_eq!(sense(status, do_not_retry), expected, "{status:03X}h");
        }
    }
}

#[test]
fn a_namespace_that_is_not_ready_may_become_so() {
    assert_eq!(sense(0x082, false), [0x2, 0x04, 0x01]);
    assert_eq!(sense(0x082, true), [0x2, 0x04, 0x00]);
}

#[test]
fn failures_that_are_not_listed_say_whether_to_try_again() {
    for status in [0x013, 0x021, 0x07F, 0x0C5, 0x300, 0x3FF, 0x456, 0x7C0] {
        assert_eq!(sense(status, false), [0xB, 0x00, 0x00], "{status:03X}h");
        assert_eq!(sense(status, true), [0x4, 0x44, 0x00], "{status:03X}h");
    }
    assert_eq!(sense(0x1FF, false), [0x5, 0x00, 0x00]);
    assert_eq!(sense(0x287, true), [0x3, 0x00, 0x00]);
}

#[test]
fn only_success_is_good() {
    for status in 1..0x800 {
        for do_not_retry in [false, true] {
            let outcome = completed(field(status, do_not_retry), BYTES);
            assert_ne!(outcome.status, ScsiStatus::GOOD, "{status:03X}h");
            assert_eq!(outcome.transferred_bytes, 0);
        }
    }
}

//! SEND DIAGNOSTIC.

use scsi::{Outcome, Transfer};

use crate::disk::{CONTROLLER, INVALID_FIELD, done, illegal_request, unit};

fn end(flags: u8, length: u16) -> Outcome {
    let [high, low] = length.to_be_bytes();
    let cdb = [0x1D, flags, 0, high, low, 0];
    done(&cdb, &unit(&CONTROLLER), Transfer::NONE)
}

#[test]
fn the_default_self_test_and_none_succeed() {
    // SELFTEST, DEVOFFL, UNITOFFL and PF.
    for flags in [0x00, 0x04, 0x05, 0x06, 0x07, 0x10, 0x14] {
        assert_eq!(end(flags, 0), Outcome::good(0), "{flags:02X}h");
    }
}

#[test]
fn the_self_tests_of_the_device_and_pages_are_refused() {
    for code in 1..8 {
        assert_eq!(end(code << 5, 0), illegal_request(INVALID_FIELD));
        assert_eq!(end(code << 5 | 0x04, 0), illegal_request(INVALID_FIELD));
    }
    for length in [1, 4, 0x100, u16::MAX] {
        assert_eq!(end(0x10, length), illegal_request(INVALID_FIELD));
    }
}

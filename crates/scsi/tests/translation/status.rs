//! What an NVMe status becomes, by the Translation Reference and by what class drivers do with sense data.

use nvme_spec::completion::StatusField;
use nvme_spec::status::Status;
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
    assert_eq!(outcome.information, None, "which block is not known");
    let bytes = outcome.sense.unwrap().fixed(None);
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
            information: None,
            transferred_bytes: 0
        }
    );
}

const ABORTED: [u8; 3] = [0xB, 0x00, 0x00];
const FAILURE: [u8; 3] = [0x4, 0x44, 0x00];
const INVALID_FIELD: [u8; 3] = [0x5, 0x24, 0x00];
const INVALID_PARAMETER: [u8; 3] = [0x5, 0x26, 0x00];
const NOTHING_MORE: [u8; 3] = [0x5, 0x00, 0x00];
const SEQUENCE: [u8; 3] = [0x5, 0x2C, 0x00];
const NO_RESOURCES: [u8; 3] = [0x5, 0x55, 0x03];
const PROTECTED: [u8; 3] = [0x7, 0x27, 0x00];
const NO_RIGHTS: [u8; 3] = [0x7, 0x20, 0x02];

/// Every status that the specification names, other than success and the reservation conflict.
const STATUSES: [(u16, [u8; 3]); 106] = [
    (0x001, [0x5, 0x20, 0x00]),
    (0x002, INVALID_FIELD),
    (0x003, ABORTED),
    (0x004, [0xB, 0x4B, 0x00]),
    (0x005, [0xB, 0x0B, 0x08]),
    (0x006, FAILURE),
    (0x007, ABORTED),
    (0x008, ABORTED),
    (0x009, ABORTED),
    (0x00A, ABORTED),
    (0x00B, [0x5, 0x20, 0x09]),
    (0x00C, SEQUENCE),
    (0x00D, FAILURE),
    (0x00E, FAILURE),
    (0x00F, FAILURE),
    (0x010, FAILURE),
    (0x011, FAILURE),
    (0x012, FAILURE),
    (0x013, FAILURE),
    (0x014, INVALID_FIELD),
    (0x015, NO_RIGHTS),
    (0x016, FAILURE),
    (0x018, FAILURE),
    (0x019, ABORTED),
    (0x01A, FAILURE),
    (0x01B, ABORTED),
    (0x01C, [0x3, 0x31, 0x03]),
    (0x01D, [0x2, 0x04, 0x1B]),
    (0x01E, FAILURE),
    (0x01F, FAILURE),
    (0x020, PROTECTED),
    (0x021, ABORTED),
    (0x022, ABORTED),
    (0x023, NO_RIGHTS),
    (0x024, [0x2, 0x04, 0x01]),
    (0x070, INVALID_FIELD),
    (0x071, INVALID_FIELD),
    (0x080, [0x5, 0x21, 0x00]),
    (0x081, [0x7, 0x27, 0x07]),
    (0x082, [0x2, 0x04, 0x01]),
    (0x084, [0x2, 0x04, 0x04]),
    (0x100, NOTHING_MORE),
    (0x101, NOTHING_MORE),
    (0x102, NOTHING_MORE),
    (0x103, NOTHING_MORE),
    (0x105, NOTHING_MORE),
    (0x106, INVALID_FIELD),
    (0x107, INVALID_PARAMETER),
    (0x108, NOTHING_MORE),
    (0x109, INVALID_FIELD),
    (0x10A, [0x5, 0x31, 0x01]),
    (0x10B, SEQUENCE),
    (0x10C, NOTHING_MORE),
    (0x10D, [0x5, 0x39, 0x00]),
    (0x10E, INVALID_PARAMETER),
    (0x10F, INVALID_FIELD),
    (0x110, SEQUENCE),
    (0x111, SEQUENCE),
    (0x112, SEQUENCE),
    (0x113, NO_RIGHTS),
    (0x114, INVALID_PARAMETER),
    (0x115, NO_RESOURCES),
    (0x116, NOTHING_MORE),
    (0x118, NOTHING_MORE),
    (0x119, NOTHING_MORE),
    (0x11A, NOTHING_MORE),
    (0x11B, NOTHING_MORE),
    (0x11C, NOTHING_MORE),
    (0x11D, [0x2, 0x04, 0x09]),
    (0x11E, PROTECTED),
    (0x11F, NOTHING_MORE),
    (0x120, NOTHING_MORE),
    (0x121, NOTHING_MORE),
    (0x122, NOTHING_MORE),
    (0x123, SEQUENCE),
    (0x124, NOTHING_MORE),
    (0x125, NOTHING_MORE),
    (0x126, NO_RESOURCES),
    (0x127, NOTHING_MORE),
    (0x128, NOTHING_MORE),
    (0x129, NOTHING_MORE),
    (0x12A, NOTHING_MORE),
    (0x12B, NOTHING_MORE),
    (0x12C, NOTHING_MORE),
    (0x12D, NOTHING_MORE),
    (0x17F, NO_RESOURCES),
    (0x180, INVALID_FIELD),
    (0x181, INVALID_FIELD),
    (0x182, PROTECTED),
    (0x183, INVALID_FIELD),
    (0x280, [0x3, 0x03, 0x00]),
    (0x281, [0x3, 0x11, 0x00]),
    (0x282, [0x3, 0x10, 0x01]),
    (0x283, [0x3, 0x10, 0x02]),
    (0x284, [0x3, 0x10, 0x03]),
    (0x285, [0xE, 0x1D, 0x00]),
    (0x286, NO_RIGHTS),
    (0x287, [0x3, 0x11, 0x00]),
    (0x288, [0x3, 0x10, 0x03]),
    (0x300, ABORTED),
    (0x301, [0x4, 0x3E, 0x01]),
    (0x302, [0x2, 0x04, 0x0C]),
    (0x303, [0x2, 0x04, 0x0A]),
    (0x360, ABORTED),
    (0x370, ABORTED),
    (0x371, ABORTED),
];

#[test]
fn every_status_has_its_sense_data() {
    for (status, expected) in STATUSES {
        assert_eq!(sense(status, false), expected, "{status:03X}h");
    }
}

#[test]
fn every_named_status_is_tested() {
    for status in 1..0x800 {
        let named = Status(status).name() != Status(0x7FF).name();
        let tested = STATUSES.iter().any(|(tested, _)| *tested == status);
        assert_eq!(named, tested || status == 0x083, "{status:03X}h");
    }
}

/// Whether the class driver of Windows repeats a command that ended so.
fn is_repeated([key, code, qualifier]: [u8; 3]) -> bool {
    match key {
        0x0 | 0x6 | 0xB => true,
        0x2 => code != 0x04 || !matches!(qualifier, 0x00 | 0x03 | 0x04),
        _ => false,
    }
}

#[test]
fn nothing_that_would_fail_again_is_shown_as_one_to_repeat() {
    for status in (1..0x800).filter(|status| *status != 0x083) {
        let (once, finally) = (sense(status, false), sense(status, true));
        assert!(!is_repeated(finally), "{status:03X}h");
        // Where it is not repeated anyhow, the cause is told as it is.
        assert!(is_repeated(once) || once == finally, "{status:03X}h");
    }
    assert_eq!(sense(0x082, true), [0x2, 0x04, 0x00]);
    assert_eq!(sense(0x01D, true), [0x2, 0x04, 0x00]);
    assert_eq!(sense(0x084, true), [0x2, 0x04, 0x04]);
    assert_eq!(sense(0x007, true), FAILURE);
}

#[test]
fn a_status_without_a_name_is_mapped_by_its_type() {
    for status in [0x07F, 0x0C5, 0x3FF, 0x456, 0x5FF, 0x7C0] {
        assert_eq!(sense(status, false), ABORTED, "{status:03X}h");
        assert_eq!(sense(status, true), FAILURE, "{status:03X}h");
    }
    for do_not_retry in [false, true] {
        assert_eq!(sense(0x1FF, do_not_retry), NOTHING_MORE);
        assert_eq!(sense(0x2FF, do_not_retry), [0x3, 0x00, 0x00]);
    }
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

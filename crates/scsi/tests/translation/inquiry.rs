//! Standard INQUIRY data.

use crate::disk::{CONTROLLER, INVALID_FIELD, answer, answer_into, illegal_request, unit};
use scsi::Controller;

const STANDARD: [u8; 6] = [0x12, 0, 0, 0, 96, 0];

#[test]
fn describes_a_disk_by_nvme_vendor_model_and_revision() {
    let data = answer(&STANDARD, &unit(&CONTROLLER));
    assert_eq!(data[0], 0x00, "connected, direct access block device");
    assert_eq!(data[1] & 0x80, 0, "not removable");
    assert_eq!(data[2], 0x06, "SPC-4");
    assert_eq!(
        data[3], 0x02,
        "response data format 2, no NORMACA, no HISUP"
    );
    assert_eq!(usize::from(data[4]), data.len() - 5, "additional length");
    assert_eq!(data[5] & 1, 0, "no protection information");
    assert_eq!(data[7], 0x02, "CMDQUE");
    assert_eq!(&data[8..16], b"NVMe    ");
    assert_eq!(&data[16..32], b"Ferro DRAM-less ");
    assert_eq!(&data[32..36], b"20.7", "the last four characters of 1.20.7");
    assert_eq!(data[58..64], [0x00, 0xA0, 0x04, 0x60, 0x04, 0xC0]);
}

#[test]
fn revision_is_what_a_padded_firmware_revision_ends_with() {
    for (firmware, revision) in [
        (b"ABCDEFGH", b"EFGH"),
        (b"ABCDEF  ", b"CDEF"),
        (b"A1      ", b"A1  "),
        (b"A1\0\0\0\0\0\0", b"A1  "),
        (b"        ", b"    "),
        (b" A B C  ", b"A B C".last_chunk().unwrap()),
    ] {
        let controller = Controller {
            firmware,
            ..CONTROLLER
        };
        let data = answer(&STANDARD, &unit(&controller));
        assert_eq!(&data[32..36], revision, "{firmware:?}");
    }
}

#[test]
fn text_of_a_device_is_made_printable() {
    let controller = Controller {
        model: b"bad\0\x07\xFFmodel\x7F                            ",
        ..CONTROLLER
    };
    let data = answer(&STANDARD, &unit(&controller));
    assert_eq!(&data[16..32], b"bad   model     ");
}

#[test]
fn a_page_code_without_evpd_is_refused() {
    for page in 1..=0xFF {
        let (outcome, data) = answer_into(&[0x12, 0, page, 0, 96, 0], &unit(&CONTROLLER), 96);
        assert_eq!(outcome, illegal_request(INVALID_FIELD));
        assert!(data.iter().all(|byte| *byte == 0xEE));
    }
}

#[test]
fn allocation_length_has_two_bytes() {
    let data = answer(&[0x12, 0, 0, 1, 0, 0], &unit(&CONTROLLER));
    assert_eq!(data.len(), 74);
}

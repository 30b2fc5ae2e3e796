//! LOG SENSE.

use scsi::Transfer;

use crate::disk::{CONTROLLER, INVALID_FIELD, answer, done, illegal_request, unit};

fn log(flags: u8, page: u8, subpage: u8, pointer: u8) -> [u8; 10] {
    [0x4D, flags, page, subpage, 0, 0, pointer, 1, 0, 0]
}

#[test]
fn the_pages_are_listed_whatever_the_page_control() {
    for page_control in [0x00, 0x40, 0x80, 0xC0] {
        let pages = answer(&log(0, page_control, 0, 0), &unit(&CONTROLLER));
        assert_eq!(pages, [0x00, 0, 0, 1, 0x00]);
        let subpages = answer(&log(0, page_control, 0xFF, 0), &unit(&CONTROLLER));
        assert_eq!(subpages, [0x40, 0xFF, 0, 4, 0x00, 0x00, 0x00, 0xFF]);
    }
}

#[test]
fn what_is_not_listed_is_refused() {
    let mut refused: Vec<[u8; 10]> = (1..0x40).map(|page| log(0, page, 0, 0)).collect();
    refused.extend((1..0xFF).map(|subpage| log(0, 0, subpage, 0)));
    // SP, and a parameter pointer.
    refused.extend([log(1, 0, 0, 0), log(0, 0, 0, 1)]);
    for cdb in refused {
        assert_eq!(
            done(&cdb, &unit(&CONTROLLER), Transfer::NONE),
            illegal_request(INVALID_FIELD),
            "{cdb:02X?}"
        );
    }
}

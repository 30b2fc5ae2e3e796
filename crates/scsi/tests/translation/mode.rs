//! MODE SENSE(6) and MODE SENSE(10).

use core::num::NonZeroU64;

use crate::disk::{
    CONTROLLER, INVALID_FIELD, SAVING_NOT_SUPPORTED, answer, answer_into, done, illegal_request,
    unit,
};
use scsi::{BlockSize, Controller, LogicalUnit, Transfer};

const DBD: u8 = 0x08;
const LLBAA: u8 = 0x10;
const CHANGEABLE: u8 = 0x40;
const DEFAULT: u8 = 0x80;
const SAVED: u8 = 0xC0;

fn six(flags: u8, page: u8) -> [u8; 6] {
    [0x1A, flags, page, 0, 0xFF, 0]
}

fn ten(flags: u8, page: u8) -> [u8; 10] {
    [0x5A, flags, page, 0, 0, 0, 0, 0x01, 0, 0]
}

fn caching(flags: u8) -> Vec<u8> {
    let mut page = vec![0x08, 0x12, flags];
    page.resize(20, 0);
    page
}

/// Power condition, no timer; informational exceptions control, DEXCPT.
fn power_condition() -> Vec<u8> {
    let mut page = vec![0x1A, 0x26];
    page.resize(40, 0);
    page
}

const EXCEPTIONS: [u8; 12] = [0x1C, 0x0A, 0x08, 0, 0, 0, 0, 0, 0, 0, 0, 0];
const PAGES: [u8; 4] = [0x08, 0x0A, 0x1A, 0x1C];
const CONTROL: [u8; 12] = [0x0A, 0x0A, 0x02, 0x10, 0, 0, 0, 0, 0xFF, 0xFF, 0, 0];

#[test]
fn six_has_a_short_header_and_a_short_block_descriptor() {
    let data = answer(&six(0, 0x08), &unit(&CONTROLLER));
    // Mode data length, medium type, DPOFUA without WP, block descriptor length.
    assert_eq!(data[..4], [31, 0, 0x10, 8]);
    assert_eq!(data[4..12], [0x00, 0x0F, 0x42, 0x40, 0, 0, 0x02, 0x00]);
    assert_eq!(data[12..], caching(0x04));
}

#[test]
fn ten_has_a_long_header() {
    let data = answer(&ten(0, 0x08), &unit(&CONTROLLER));
    assert_eq!(data[..8], [0, 34, 0, 0x10, 0, 0, 0, 8]);
    assert_eq!(data[8..16], [0x00, 0x0F, 0x42, 0x40, 0, 0, 0x02, 0x00]);
    assert_eq!(data[16..], caching(0x04));
}

#[test]
fn a_long_block_descriptor_comes_with_llbaa_of_ten_only() {
    let large = LogicalUnit {
        blocks: NonZeroU64::new(0x12_3456_789A).unwrap(),
        block_size: BlockSize::Bytes4096,
        ..unit(&CONTROLLER)
    };
    let long = answer(&ten(LLBAA, 0x0A), &large);
    assert_eq!(long[..8], [0, 34, 0, 0x10, 1, 0, 0, 16]);
    assert_eq!(long[8..16], [0, 0, 0, 0x12, 0x34, 0x56, 0x78, 0x9A]);
    assert_eq!(long[16..24], [0, 0, 0, 0, 0, 0, 0x10, 0]);
    assert_eq!(long[24..], CONTROL);
    let short = answer(&ten(0, 0x0A), &large);
    assert_eq!(short[8..16], [0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0x10, 0]);
    assert_eq!(
        done(&six(LLBAA, 0x0A), &large, Transfer::NONE),
        illegal_request(INVALID_FIELD),
        "LLBAA is reserved in MODE SENSE(6)"
    );
}

#[test]
fn dbd_leaves_the_block_descriptor_out() {
    assert_eq!(
        answer(&six(DBD, 0x0A), &unit(&CONTROLLER)),
        [&[15, 0, 0x10, 0], &CONTROL[..]].concat()
    );
    assert_eq!(
        answer(&ten(DBD | LLBAA, 0x0A), &unit(&CONTROLLER)),
        [&[0, 18, 0, 0x10, 0, 0, 0, 0], &CONTROL[..]].concat()
    );
}

#[test]
fn all_pages_come_in_ascending_order() {
    let pages = [
        caching(0x04),
        CONTROL.to_vec(),
        power_condition(),
        EXCEPTIONS.to_vec(),
    ]
    .concat();
    for (code, page) in PAGES.into_iter().zip([
        caching(0x04),
        CONTROL.to_vec(),
        power_condition(),
        EXCEPTIONS.to_vec(),
    ]) {
        assert_eq!(answer(&six(DBD, code), &unit(&CONTROLLER))[4..], page);
        let with_subpages = [0x5A, DBD, code, 0xFF, 0, 0, 0, 1, 0, 0];
        assert_eq!(answer(&with_subpages, &unit(&CONTROLLER))[8..], page);
    }
    assert_eq!(answer(&six(DBD, 0x3F), &unit(&CONTROLLER))[4..], pages);
    assert_eq!(answer(&ten(DBD, 0x3F), &unit(&CONTROLLER))[8..], pages);
    let with_subpages = [0x1A, DBD, 0x3F, 0xFF, 0xFF, 0];
    assert_eq!(answer(&with_subpages, &unit(&CONTROLLER))[4..], pages);
}

#[test]
fn wce_follows_the_volatile_write_cache() {
    for (present, enabled, page_control, flags) in [
        (true, true, 0, 0x04),
        (true, false, 0, 0x00),
        (false, true, 0, 0x00),
        (false, false, 0, 0x00),
        (true, false, DEFAULT, 0x04),
        (false, true, DEFAULT, 0x00),
        (true, true, CHANGEABLE, 0x00),
    ] {
        let controller = Controller {
            volatile_write_cache: present,
            write_cache_enabled: enabled,
            ..CONTROLLER
        };
        let data = answer(&six(DBD, 0x08 | page_control), &unit(&controller));
        assert_eq!(
            data[4..],
            caching(flags),
            "{present} {enabled} {page_control:02X}h"
        );
    }
}

#[test]
fn wce_is_changeable_where_the_cache_can_be_turned_off() {
    for (present, changeable, mask) in [(true, true, 4), (false, true, 0), (true, false, 0)] {
        let controller = Controller {
            volatile_write_cache: present,
            write_cache_changeable: changeable,
            ..CONTROLLER
        };
        let data = answer(&six(DBD, 0x08 | CHANGEABLE), &unit(&controller));
        assert_eq!(data[4..], caching(mask));
    }
}

#[test]
fn nothing_is_changeable_and_the_default_is_current() {
    for page in PAGES {
        let data = answer(&six(DBD, page | CHANGEABLE), &unit(&CONTROLLER));
        assert_eq!(data[4], page);
        assert!(data[6..].iter().all(|byte| *byte == 0), "{page:02X}h");
        let default = answer(&six(DBD, page | DEFAULT), &unit(&CONTROLLER));
        assert_eq!(default, answer(&six(DBD, page), &unit(&CONTROLLER)));
    }
}

#[test]
fn saved_values_are_refused() {
    for page in [0x08, 0x0A, 0x3F] {
        for cdb in [&six(0, page | SAVED)[..], &ten(0, page | SAVED)] {
            assert_eq!(
                done(cdb, &unit(&CONTROLLER), Transfer::NONE),
                illegal_request(SAVING_NOT_SUPPORTED)
            );
        }
    }
}

#[test]
fn other_pages_and_subpages_are_refused() {
    for page in (0..0x40).filter(|page| !PAGES.contains(page) && *page != 0x3F) {
        let (outcome, data) = answer_into(&six(0, page), &unit(&CONTROLLER), 255);
        assert_eq!(outcome, illegal_request(INVALID_FIELD), "{page:02X}h");
        assert!(data.iter().all(|byte| *byte == 0xEE));
    }
    for subpage in 1..0xFF {
        let cdb = [0x1A, 0, 0x0A, subpage, 0xFF, 0];
        assert_eq!(
            done(&cdb, &unit(&CONTROLLER), Transfer::NONE),
            illegal_request(INVALID_FIELD)
        );
    }
}

#[test]
fn a_write_protected_namespace_says_so() {
    let protected = LogicalUnit {
        write_protected: true,
        ..unit(&CONTROLLER)
    };
    assert_eq!(answer(&six(DBD, 0x08), &protected)[2], 0x90);
    assert_eq!(answer(&ten(DBD, 0x08), &protected)[3], 0x90);
}

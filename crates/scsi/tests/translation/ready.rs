//! TEST UNIT READY, START STOP UNIT and SYNCHRONIZE CACHE.

use scsi::{Controller, DataDirection, Outcome, Transfer};

use crate::disk::{
    CONTROLLER, INVALID_FIELD, LBA_OUT_OF_RANGE, command, done, illegal_request, sixteen,
    submitted, ten, unit,
};

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

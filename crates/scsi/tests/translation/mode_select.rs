//! MODE SELECT(6) and MODE SELECT(10).

use proptest::prelude::*;
use scsi::{Action, Controller, LogicalUnit, Outcome, Transfer};

use crate::disk::{
    CONTROLLER, INVALID_FIELD, answer, data_in, data_out, illegal_request, translate, unit,
};

const PF: u8 = 0x10;
const SP: u8 = 0x01;
const LIST_LENGTH: u8 = 0x1A;
const INVALID_PARAMETER: u8 = 0x26;

const CHANGEABLE: Controller<'static> = Controller {
    write_cache_changeable: true,
    ..CONTROLLER
};

fn six(flags: u8, bytes: usize) -> Vec<u8> {
    vec![0x15, flags, 0, 0, u8::try_from(bytes).unwrap(), 0]
}

fn ten(flags: u8, bytes: usize) -> Vec<u8> {
    let [high, low] = u16::try_from(bytes).unwrap().to_be_bytes();
    vec![0x55, flags, 0, 0, 0, 0, 0, high, low, 0]
}

fn select(cdb: &[u8], list: &[u8], unit: &LogicalUnit<'_>) -> Action {
    let bytes = u32::try_from(list.len()).unwrap();
    translate(cdb, unit, data_out(bytes), &mut list.to_vec())
}

/// WCE and the bytes transferred of a change, or the end of the request.
fn outcome(cdb: &[u8], list: &[u8], unit: &LogicalUnit<'_>) -> Result<(bool, u32), Outcome> {
    match select(cdb, list, unit) {
        Action::SetWriteCache { enable, bytes } => Ok((enable, bytes)),
        Action::Done(outcome) => Err(outcome),
        other => panic!("{other:?}"),
    }
}

/// The parameter list that MODE SENSE returns, which class drivers change and send back: as MODE SELECT of the same length.
fn sensed(ten_bytes: bool, flags: u8, page: u8, unit: &LogicalUnit<'_>) -> (Vec<u8>, Vec<u8>) {
    if ten_bytes {
        let list = answer(&[0x5A, flags, page, 0, 0, 0, 0, 1, 0, 0], unit);
        (ten(PF, list.len()), list)
    } else {
        let list = answer(&[0x1A, flags, page, 0, 0xFF, 0], unit);
        (six(PF, list.len()), list)
    }
}

/// Where the pages begin in the four kinds of list: DBD or not, LLBAA or not.
const LISTS: [(bool, u8, usize); 5] = [
    (false, 0x08, 4),
    (false, 0x00, 12),
    (true, 0x08, 8),
    (true, 0x00, 16),
    (true, 0x10, 24),
];

#[test]
fn what_mode_sense_returned_may_be_sent_back() {
    for controller in [CONTROLLER, CHANGEABLE] {
        let unit = unit(&controller);
        for (ten_bytes, flags, _) in LISTS {
            for page in [0x08, 0x0A, 0x1A, 0x1C, 0x3F] {
                let (cdb, list) = sensed(ten_bytes, flags, page, &unit);
                let expected = Outcome::good(u32::try_from(list.len()).unwrap());
                assert_eq!(outcome(&cdb, &list, &unit), Err(expected), "{list:02X?}");
            }
        }
    }
}

#[test]
fn the_write_cache_is_turned_on_and_off() {
    for (enabled, flags) in [(true, 0x00), (false, 0x04)] {
        let controller = Controller {
            write_cache_enabled: enabled,
            ..CHANGEABLE
        };
        for (ten_bytes, dbd, at) in LISTS {
            let (cdb, mut list) = sensed(ten_bytes, dbd, 0x3F, &unit(&controller));
            list[at + 2] = flags;
            let bytes = u32::try_from(list.len()).unwrap();
            assert_eq!(
                outcome(&cdb, &list, &unit(&controller)),
                Ok((!enabled, bytes))
            );
        }
    }
}

#[test]
fn the_write_cache_is_not_changed_where_it_cannot_be() {
    let absent = Controller {
        volatile_write_cache: false,
        ..CHANGEABLE
    };
    for (controller, flags) in [(CONTROLLER, 0x00), (absent, 0x04)] {
        let (cdb, mut list) = sensed(false, 0x08, 0x08, &unit(&controller));
        list[6] = flags;
        let end = outcome(&cdb, &list, &unit(&controller));
        assert_eq!(end, Err(illegal_request(INVALID_PARAMETER)));
    }
}

#[test]
fn every_other_bit_of_every_page_is_fixed() {
    let unit = unit(&CHANGEABLE);
    let (cdb, list) = sensed(false, 0x08, 0x3F, &unit);
    for at in 4..list.len() {
        for bit in (0..8).map(|bit| 1 << bit) {
            if (at, bit) == (6, 0x04) {
                continue;
            }
            let mut list = list.clone();
            list[at] ^= bit;
            let end = outcome(&cdb, &list, &unit).unwrap_err();
            assert_eq!(
                end,
                illegal_request(INVALID_PARAMETER),
                "byte {at}, {bit:02X}h"
            );
        }
    }
}

#[test]
fn the_header_and_the_medium_stay_as_they_are() {
    let unit = unit(&CHANGEABLE);
    let refused = Err(illegal_request(INVALID_PARAMETER));
    // MEDIUM TYPE, the length of the block descriptor, its number of blocks and their size.
    for (ten_bytes, flags, at, byte) in [
        (false, 0x08, 1, 1),
        (false, 0x00, 3, 4),
        (false, 0x00, 7, 1),
        (false, 0x00, 10, 4),
        (true, 0x08, 2, 1),
        (true, 0x00, 4, 1),
        (true, 0x10, 4, 0),
        (true, 0x10, 15, 1),
        (true, 0x10, 22, 1),
    ] {
        let (cdb, mut list) = sensed(ten_bytes, flags, 0x08, &unit);
        list[at] = byte;
        assert_eq!(outcome(&cdb, &list, &unit), refused, "{list:02X?}");
    }
    // No number of blocks, and all there are.
    for blocks in [[0; 4], [0xFF; 4]] {
        let (cdb, mut list) = sensed(false, 0x00, 0x08, &unit);
        list[4..8].copy_from_slice(&blocks);
        assert!(outcome(&cdb, &list, &unit).unwrap_err().sense.is_none());
    }
    // MODE DATA LENGTH and the device-specific parameter are reserved.
    let (cdb, mut list) = sensed(false, 0x08, 0x08, &unit);
    (list[0], list[2]) = (0, 0);
    assert!(outcome(&cdb, &list, &unit).unwrap_err().sense.is_none());
}

#[test]
fn a_list_that_is_cut_off_is_refused() {
    let unit = unit(&CHANGEABLE);
    for (ten_bytes, flags, at) in LISTS {
        let (_, list) = sensed(ten_bytes, flags, 0x3F, &unit);
        // Pages end after 20, 12, 40 and 12 bytes.
        let ends = [0, 20, 32, 72, 84].map(|page| at + page);
        for length in 1..list.len() {
            let cdb = if ten_bytes {
                ten(PF, length)
            } else {
                six(PF, length)
            };
            let end = outcome(&cdb, &list[..length], &unit).unwrap_err();
            if ends.contains(&length) {
                assert!(end.sense.is_none(), "{length}");
            } else {
                assert_eq!(end, illegal_request(LIST_LENGTH), "{length}");
            }
        }
        // The buffer has less than the CDB says, or does not come from the host.
        let length = list.len();
        let cdb = if ten_bytes {
            ten(PF, length)
        } else {
            six(PF, length)
        };
        let short = outcome(&cdb, &list[..length - 1], &unit);
        assert_eq!(short, Err(illegal_request(LIST_LENGTH)));
        let data = data_in(length as u32);
        let wrong = translate(&cdb, &unit, data, &mut list.clone());
        let expected = illegal_request(LIST_LENGTH);
        assert!(matches!(wrong, Action::Done(outcome) if outcome == expected));
    }
}

#[test]
fn an_empty_list_changes_nothing() {
    for cdb in [six(PF, 0), ten(PF, 0), six(0, 0)] {
        let end = translate(&cdb, &unit(&CHANGEABLE), Transfer::NONE, &mut []);
        assert!(matches!(end, Action::Done(outcome) if outcome == Outcome::good(0)));
    }
}

#[test]
fn saving_and_pages_of_a_vendors_own_are_refused() {
    let unit = unit(&CHANGEABLE);
    let (_, list) = sensed(false, 0x08, 0x08, &unit);
    for flags in [0, PF | SP, SP] {
        let end = outcome(&six(flags, list.len()), &list, &unit);
        assert_eq!(end, Err(illegal_request(INVALID_FIELD)), "{flags:02X}h");
    }
    for code in (0..=0xFF).filter(|code| ![0x08, 0x0A, 0x1A, 0x1C].contains(code)) {
        let list = [0, 0, 0, 0, code, 2, 0, 0];
        let end = outcome(&six(PF, 8), &list, &unit);
        assert_eq!(end, Err(illegal_request(INVALID_PARAMETER)), "{code:02X}h");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5_000))]

    /// Any parameter list changes the cache, or nothing.
    #[test]
    fn any_list_is_carried_out_or_refused(
        ten_bytes in any::<bool>(),
        flags in prop::sample::select(vec![0x00_u8, 0x08, 0x10]),
        changes in prop::collection::vec((0_usize..120, any::<u8>()), 0..3),
        length in prop::option::weighted(0.3, 0_usize..130),
    ) {
        let unit = unit(&CHANGEABLE);
        let flags = if ten_bytes { flags } else { flags & 0x08 };
        let (_, mut list) = sensed(ten_bytes, flags, 0x3F, &unit);
        for (at, byte) in changes {
            if let Some(place) = list.get_mut(at) {
                *place = byte;
            }
        }
        let length = length.unwrap_or(list.len());
        let cdb = if ten_bytes { ten(PF, length) } else { six(PF, length) };
        match outcome(&cdb, &list, &unit) {
            Ok((enable, bytes)) => {
                prop_assert!(!enable && bytes as usize == length && length <= list.len());
            }
            Err(end) => {
                let transferred = if end.sense.is_some() { 0 } else { length };
                prop_assert!(end.sense.is_some() || length <= list.len());
                prop_assert_eq!(end.transferred_bytes as usize, transferred);
            }
        }
    }
}

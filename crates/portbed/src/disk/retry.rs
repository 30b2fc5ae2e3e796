//! Which requests a disk class driver sends again, and when: as Windows does, a few times.

use super::unit::sense_code;
use crate::abi::srb::status;
use crate::machine::Completed;

/// How often a request is sent again.
pub(super) const RETRIES: u32 = 8;

/// Pause before a unit that is becoming ready is asked again.
const BECOMING_READY_NS: u64 = 2_000_000_000;
/// Pause before a unit that is busy is asked again.
const BUSY_NS: u64 = 1_000_000_000;
/// Pause after a reset, and between the attempts of anything else.
const SHORT_NS: u64 = 100_000_000;

/// SCSI status codes (SAM-5, 5.3.1).
const BUSY: u8 = 0x08;
const TASK_SET_FULL: u8 = 0x28;
/// Sense keys (SPC-5, 4.4.8).
const NOT_READY: u8 = 0x2;
const UNIT_ATTENTION: u8 = 0x6;
const ABORTED_COMMAND: u8 = 0xB;

/// The pause before the request is sent again, in nanoseconds; `None` where it has succeeded, or has failed for good.
pub(super) fn pause_ns(completed: &Completed) -> Option<u64> {
    if completed.succeeded() {
        return None;
    }
    match (completed.srb_status, completed.scsi_status) {
        (status::BUS_RESET, _) => return Some(SHORT_NS),
        (status::BUSY, _) | (_, BUSY | TASK_SET_FULL) => return Some(BUSY_NS),
        _ => {}
    }
    match sense_code(completed.sense.as_deref()?)? {
        (NOT_READY, 0x04, 0x01) => Some(BECOMING_READY_NS),
        (UNIT_ATTENTION | ABORTED_COMMAND, ..) => Some(SHORT_NS),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sense(key: u8, code: u8, qualifier: u8) -> Completed {
        Completed {
            srb_status: status::ERROR,
            scsi_status: 2,
            sense: Some(vec![0x72, key, code, qualifier, 0, 0, 0, 0]),
            ..Completed::default()
        }
    }

    #[test]
    fn what_passes_by_itself_is_sent_again_and_nothing_else() {
        let of_status = |srb_status| Completed {
            srb_status,
            ..Completed::default()
        };
        for again in [
            of_status(status::BUS_RESET),
            of_status(status::BUSY),
            sense(2, 4, 1),
            sense(6, 0x29, 0),
            sense(0xB, 0, 0),
        ] {
            assert!(pause_ns(&again).is_some(), "{again:?}");
        }
        for over in [
            of_status(status::SUCCESS),
            of_status(status::NO_DEVICE),
            of_status(status::ERROR),
            sense(2, 0x3A, 0),
            sense(3, 0x11, 0),
            sense(4, 0x44, 0),
            sense(5, 0x20, 0),
        ] {
            assert_eq!(pause_ns(&over), None, "{over:?}");
        }
    }
}

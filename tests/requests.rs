//! What a class driver gets for each request: the tables of docs/requests.md, executed by the built image.
#![cfg(target_os = "linux")]

mod bed;

use bed::{Bed, transfer_16};
use portbed::machine::{Completed, Data};
use rusty_fork::rusty_fork_test;

const SRB_STATUS_ERROR: u8 = 0x04;
const CHECK_CONDITION: u8 = 0x02;
const RESERVATION_CONFLICT: u8 = 0x18;

/// Sense key, additional sense code and qualifier of sense data in fixed format.
type Sense = (u8, u8, u8);

fn sense(completed: &Completed) -> Option<Sense> {
    let sense = completed.sense.as_deref()?;
    assert_eq!(sense[0], 0x70, "fixed format, INFORMATION not valid");
    assert_eq!(sense[7], 10, "eighteen bytes");
    Some((sense[2] & 0xF, sense[12], sense[13]))
}

/// Status codes of an I/O command, whether it is not to be repeated, and what a read that ends so becomes.
const STATUSES: [(u16, bool, Option<Sense>); 22] = [
    (0x001, true, Some((0x5, 0x20, 0x00))),
    (0x002, true, Some((0x5, 0x24, 0x00))),
    (0x004, false, Some((0xB, 0x4B, 0x00))),
    (0x004, true, Some((0x4, 0x44, 0x00))),
    (0x006, false, Some((0x4, 0x44, 0x00))),
    (0x007, false, Some((0xB, 0x00, 0x00))),
    (0x00B, true, Some((0x5, 0x20, 0x09))),
    (0x013, false, Some((0x4, 0x44, 0x00))),
    (0x01D, false, Some((0x2, 0x04, 0x1B))),
    (0x01D, true, Some((0x2, 0x04, 0x00))),
    (0x021, false, Some((0xB, 0x00, 0x00))),
    (0x080, true, Some((0x5, 0x21, 0x00))),
    (0x081, false, Some((0x7, 0x27, 0x07))),
    (0x082, false, Some((0x2, 0x04, 0x01))),
    (0x083, true, None),
    (0x182, true, Some((0x7, 0x27, 0x00))),
    (0x281, false, Some((0x3, 0x11, 0x00))),
    (0x281, true, Some((0x3, 0x11, 0x00))),
    (0x286, true, Some((0x7, 0x20, 0x02))),
    (0x302, false, Some((0x2, 0x04, 0x0C))),
    (0x7C0, false, Some((0xB, 0x00, 0x00))),
    (0x7C0, true, Some((0x4, 0x44, 0x00))),
];

rusty_fork_test! {
    #![rusty_fork(timeout_ms = 120_000)]

    #[test]
    fn every_status_comes_back_as_the_sense_data_of_its_row() {
        let faults = STATUSES.iter().zip(1..).map(|((status, do_not_retry, _), nth)| {
            let field = u32::from(*do_not_retry) << 14 | u32::from(*status);
            format!("read:entry.status={field:#x}:nth={nth}")
        });
        let faults: Vec<String> = faults.collect();
        let faults: Vec<&str> = faults.iter().map(String::as_str).collect();
        let mut bed = Bed::with_faults("plain,capacity=8M", &faults);
        let units = bed.start();
        for (status, do_not_retry, expected) in STATUSES {
            let read = bed.execute(&units[0], &transfer_16(0x88, 0, 1), Data::In(512));
            assert_eq!(read.srb_status, SRB_STATUS_ERROR, "{status:03X}h: {read:?}");
            let scsi_status = if expected.is_some() { CHECK_CONDITION } else { RESERVATION_CONFLICT };
            assert_eq!(read.scsi_status, scsi_status, "{status:03X}h");
            assert_eq!(sense(&read), expected, "{status:03X}h, {do_not_retry}");
            assert_eq!(read.transferred, 0);
        }
        let read = bed.execute(&units[0], &transfer_16(0x88, 0, 1), Data::In(512));
        assert!(read.succeeded());
        bed.finish();
    }
}

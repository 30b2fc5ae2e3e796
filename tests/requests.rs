//! What a class driver gets for each request: the tables of docs/requests.md, executed by the built image.
#![cfg(target_os = "linux")]

mod bed;

use bed::{Bed, transfer_16};
use portbed::machine::{Completed, Data, LogicalUnit};
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

const UNKNOWN: Sense = (0x5, 0x20, 0x00);
const INVALID_FIELD: Sense = (0x5, 0x24, 0x00);
const NOT_SAVED: Sense = (0x5, 0x39, 0x00);

/// Requests that are answered by the driver alone, and the start of the data that they return.
const ANSWERS: [(&[u8], &[u8]); 22] = [
    (&[0x00, 0, 0, 0, 0, 0], &[]),
    (
        &[0x03, 0, 0, 0, 252, 0],
        &[0x70, 0, 0, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    ),
    (&[0x03, 1, 0, 0, 252, 0], &[0x72, 0, 0, 0, 0, 0, 0, 0]),
    (&[0x03, 1, 0, 0, 3, 0], &[0x72, 0, 0]),
    (&[0x12, 0, 0, 0, 5, 0], &[0, 0, 6, 2, 69]),
    (
        &[0x12, 1, 0x00, 0, 252, 0],
        &[0, 0, 0, 7, 0x00, 0x80, 0x83, 0x86, 0xB0, 0xB1, 0xB2],
    ),
    (&[0x12, 1, 0x86, 0, 7, 0], &[0, 0x86, 0, 0x3C, 0, 1, 1]),
    (&[0x12, 1, 0xB1, 0, 6, 0], &[0, 0xB1, 0, 0x3C, 0, 1]),
    (&[0x12, 1, 0xB2, 0, 252, 0], &[0, 0xB2, 0, 4, 0, 0xE4, 1, 0]),
    (&[0x1A, 8, 0x08, 0, 7, 0], &[23, 0, 0x10, 0, 0x08, 0x12, 4]),
    (
        &[0x1A, 0, 0x0A, 0, 24, 0],
        &[
            23, 0, 0x10, 8, 0, 0, 0x40, 0, 0, 0, 2, 0, 0x0A, 0x0A, 2, 0x10, 0, 0, 0, 0, 0xFF, 0xFF,
            0, 0,
        ],
    ),
    (
        &[0x1A, 8, 0x1C, 0, 252, 0],
        &[15, 0, 0x10, 0, 0x1C, 0x0A, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    ),
    (
        &[0x5A, 8, 0x1A, 0xFF, 0, 0, 0, 0, 12, 0],
        &[0, 46, 0, 0x10, 0, 0, 0, 0, 0x1A, 0x26, 0, 0],
    ),
    (
        &[0x5A, 8, 0x48, 0, 0, 0, 0, 0, 11, 0],
        &[0, 26, 0, 0x10, 0, 0, 0, 0, 0x08, 0x12, 0],
    ),
    (&[0x1B, 0, 0, 0, 1, 0], &[]),
    (&[0x1D, 4, 0, 0, 0, 0], &[]),
    (&[0x1D, 0, 0, 0, 0, 0], &[]),
    (
        &[0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        &[0, 0, 0x3F, 0xFF, 0, 0, 2, 0],
    ),
    (
        &[0x4D, 0, 0x40, 0xFF, 0, 0, 0, 0, 252, 0],
        &[0x40, 0xFF, 0, 4, 0, 0, 0, 0xFF],
    ),
    (
        &[0x9E, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0],
        &[0, 0, 0, 0, 0, 0, 0x3F, 0xFF, 0, 0, 2, 0, 0, 0, 0xC0, 0],
    ),
    (
        &[0xA0, 0, 0, 0, 0, 0, 0, 0, 0, 252, 0, 0],
        &[0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    ),
    (
        &[0xA3, 0x0C, 1, 0x12, 0, 0, 0, 0, 1, 0, 0, 0],
        &[0, 3, 0, 6, 0x12, 1, 0xFF, 0xFF, 0xFF, 4],
    ),
];

/// Requests that are refused, and why: commands that are not carried out, pages that there are not, reserved bits, NACA.
const REFUSED: [(&[u8], Sense); 21] = [
    (&[0x15, 0x11, 0, 0, 24, 0], INVALID_FIELD),
    (&[0x04, 0, 0, 0, 0, 0], UNKNOWN),
    (
        &[0x83, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        UNKNOWN,
    ),
    (
        &[0x85, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        UNKNOWN,
    ),
    (&[0xA1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], UNKNOWN),
    (&[0x12, 1, 0x89, 0, 252, 0], INVALID_FIELD),
    (&[0x12, 1, 0x8F, 0, 252, 0], INVALID_FIELD),
    (&[0x12, 0, 0x80, 0, 252, 0], INVALID_FIELD),
    (&[0x12, 2, 0, 0, 252, 0], INVALID_FIELD),
    (&[0x12, 0, 0, 0, 252, 4], INVALID_FIELD),
    (&[0x1A, 0, 0xC8, 0, 252, 0], NOT_SAVED),
    (&[0x1A, 0, 0x08, 1, 252, 0], INVALID_FIELD),
    (&[0x1A, 0, 0x01, 0, 252, 0], INVALID_FIELD),
    (&[0x1D, 0x20, 0, 0, 0, 0], INVALID_FIELD),
    (&[0x1D, 0x10, 0, 0, 8, 0], INVALID_FIELD),
    (&[0x03, 2, 0, 0, 252, 0], INVALID_FIELD),
    (&[0x4D, 0, 0x42, 0, 0, 0, 0, 0, 252, 0], INVALID_FIELD),
    (
        &[0x9E, 0x12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0],
        INVALID_FIELD,
    ),
    (
        &[0xA3, 0x0C, 1, 0x9E, 0, 0, 0, 0, 1, 0, 0, 0],
        INVALID_FIELD,
    ),
    (&[0xA3, 0x05, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0], INVALID_FIELD),
    (&[0xA0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0], INVALID_FIELD),
];

/// READ or WRITE of four blocks at block 9, in each length of CDB.
fn accesses(read: bool) -> [Vec<u8>; 4] {
    let operation_code = |write: u8| if read { write - 2 } else { write };
    [
        vec![operation_code(0x0A), 0, 0, 9, 4, 0],
        vec![operation_code(0x2A), 0, 0, 0, 0, 9, 0, 0, 4, 0],
        vec![operation_code(0xAA), 0, 0, 0, 0, 9, 0, 0, 0, 4, 0, 0],
        transfer_16(operation_code(0x8A), 9, 4),
    ]
}

/// OPTIMAL TRANSFER LENGTH GRANULARITY, MAXIMUM TRANSFER LENGTH, OPTIMAL TRANSFER LENGTH, and the physical block exponent.
fn hints(bed: &mut Bed, unit: &LogicalUnit) -> (u16, u32, u32, u8) {
    let limits = bed.execute(unit, &[0x12, 1, 0xB0, 0, 64, 0], Data::In(64));
    let be32 = |at: usize| u32::from_be_bytes(limits.data[at..at + 4].try_into().expect("four"));
    let capacity = [0x9E, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0];
    let capacity = bed.execute(unit, &capacity, Data::In(32));
    let granularity = u16::from_be_bytes([limits.data[6], limits.data[7]]);
    (granularity, be32(8), be32(12), capacity.data[13])
}

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

    #[test]
    fn every_answer_is_what_the_tables_say() {
        let (mut bed, units) = Bed::started("plain,capacity=8M");
        for (cdb, expected) in ANSWERS {
            let data = if expected.is_empty() { Data::None } else { Data::In(252) };
            let answer = bed.execute(&units[0], cdb, data);
            assert!(answer.succeeded(), "{cdb:02X?}: {answer:?}");
            assert_eq!(answer.data, expected, "{cdb:02X?}");
            // As much as there is room for, and the length says how much.
            for room in [1, expected.len() / 2, expected.len().saturating_sub(1)] {
                if room == 0 || expected.is_empty() {
                    continue;
                }
                let short = bed.execute(&units[0], cdb, Data::In(room));
                assert_eq!(short.data, expected[..room.min(expected.len())], "{cdb:02X?}");
                assert_eq!(short.transferred as usize, short.data.len());
            }
        }
        bed.finish();
    }

    #[test]
    fn what_is_not_carried_out_is_refused_with_its_sense_data() {
        let (mut bed, units) = Bed::started("plain,capacity=8M");
        for (cdb, expected) in REFUSED {
            let refused = bed.execute(&units[0], cdb, Data::In(252));
            assert_eq!(refused.scsi_status, CHECK_CONDITION, "{cdb:02X?}");
            assert_eq!(sense(&refused), Some(expected), "{cdb:02X?}");
            assert_eq!(refused.transferred, 0);
        }
        bed.finish();
    }

    #[test]
    fn commands_that_are_listed_are_known_and_no_others() {
        let (mut bed, units) = Bed::started("plain,capacity=8M");
        let all = bed.execute(&units[0], &[0xA3, 0x0C, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0], Data::In(1024));
        let listed: Vec<u8> = all.data[4..].chunks(8).map(|command| command[0]).collect();
        assert_eq!(all.data[..4], (listed.len() as u32 * 8).to_be_bytes());
        for operation_code in 0..=0xFF {
            // A CDB that no command has: its reserved bits are set.
            let mut cdb = [0xFF; 16];
            cdb[0] = operation_code;
            let answer = bed.execute(&units[0], &cdb, Data::None);
            let known = sense(&answer) != Some(UNKNOWN);
            assert_eq!(known, listed.contains(&operation_code), "{operation_code:02X}h");
        }
        bed.finish();
    }

    #[test]
    fn every_length_of_read_and_write_reaches_the_same_blocks() {
        let (mut bed, units) = Bed::started("plain,capacity=8M");
        for (salt, write) in (1u8..).zip(accesses(false)) {
            let data: Vec<u8> = (0..2048u32).map(|byte| (byte / 7) as u8 ^ salt).collect();
            let written = bed.execute(&units[0], &write, Data::Out(data.clone()));
            assert!(written.succeeded(), "{write:02X?}");
            assert_eq!(written.transferred, 2048);
            for read in accesses(true) {
                let back = bed.execute(&units[0], &read, Data::In(2048));
                assert!(back.data == data, "{write:02X?}, {read:02X?}");
            }
        }
        bed.finish();
    }

    #[test]
    fn mode_parameters_may_be_sent_back_and_not_changed() {
        let (mut bed, units) = Bed::started("plain,capacity=8M");
        for (sense_cdb, select_cdb, wce) in [
            (vec![0x1A, 0, 0x3F, 0, 252, 0], vec![0x15, 0x10, 0, 0, 96, 0], 14),
            (
                vec![0x5A, 0x10, 0x3F, 0, 0, 0, 0, 0, 252, 0],
                vec![0x55, 0x10, 0, 0, 0, 0, 0, 0, 108, 0],
                26,
            ),
        ] {
            let mut list = bed.execute(&units[0], &sense_cdb, Data::In(252)).data;
            let selected = bed.execute(&units[0], &select_cdb, Data::Out(list.clone()));
            assert!(selected.succeeded(), "{selected:?}");
            assert_eq!(selected.transferred as usize, list.len());
            let short = bed.execute(&units[0], &select_cdb, Data::Out(list[..30].to_vec()));
            assert_eq!(sense(&short), Some((0x5, 0x1A, 0x00)));
            list[wce] ^= 4;
            let changed = bed.execute(&units[0], &select_cdb, Data::Out(list));
            assert_eq!(sense(&changed), Some((0x5, 0x26, 0x00)));
        }
        bed.finish();
    }

    #[test]
    fn hints_are_those_of_the_namespace() {
        for (profile, expected) in [
            ("plain,capacity=8M", (0, 1024, 0, 0)),
            ("plain,capacity=8M,noiob=256", (256, 1024, 256, 0)),
            ("plain,capacity=8M,noiob=256,preferred=16/8/64/8/512", (16, 1024, 512, 3)),
            ("plain,capacity=8M,preferred=2/2/1/1/4096", (2, 1024, 1024, 1)),
            ("4k,capacity=8M,preferred=4/4/1/1/8", (4, 128, 8, 0)),
        ] {
            let (mut bed, units) = Bed::started(profile);
            assert_eq!(hints(&mut bed, &units[0]), expected, "{profile}");
            bed.finish();
        }
    }

    #[test]
    fn request_sense_returns_a_unit_attention_condition_and_ends_it() {
        let mut bed = Bed::with_faults("plain,capacity=8M", &["namespace.1:resize=4M:at=start,after=200ms"]);
        let units = bed.start();
        bed.machine.pass(400_000_000).expect("the driver runs on");
        for expected in [[6, 0x2A, 9], [0, 0, 0]] {
            let answer = bed.execute(&units[0], &[0x03, 0, 0, 0, 18, 0], Data::In(18));
            assert!(answer.succeeded(), "{answer:?}");
            assert_eq!([answer.data[2], answer.data[12], answer.data[13]], expected);
        }
        let ready = bed.execute(&units[0], &[0; 6], Data::None);
        assert!(ready.succeeded());
        bed.finish();
    }
}

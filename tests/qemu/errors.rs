//! What the image behind a namespace refuses: how it is told, and that the disk works on.

use portbed::machine::{Completed, Data, LogicalUnit};
use rusty_fork::rusty_fork_test;

use crate::bed::Bed;
use crate::{started, write_16};

/// `SRB_STATUS_ERROR`, and the SCSI status CHECK CONDITION.
const ERROR: u8 = 0x04;
const CHECK_CONDITION: u8 = 0x02;
/// Sense key MEDIUM ERROR, and additional sense codes with their qualifiers.
const MEDIUM_ERROR: u8 = 0x03;
const UNRECOVERED_READ_ERROR: [u8; 2] = [0x11, 0x00];
const WRITE_FAULT: [u8; 2] = [0x03, 0x00];

/// The block that is bad, and how many a request of these tests has.
const BAD: u64 = 5000;
const BLOCKS: u32 = 16;

/// A disk on which `what` (read, write, flush) fails with this `errno` of Linux at the bad block.
fn bad_disk(what: &str, errno: u32) -> Option<(Bed, LogicalUnit)> {
    let rule = "blkdebug.inject-error.0";
    let place = match what {
        "flush" => String::new(),
        _ => format!(",{rule}.sector={BAD}"),
    };
    let profile =
        format!("capacity=64M,{rule}.event=none,{rule}.iotype={what},{rule}.errno={errno}");
    let (bed, mut units, _) = started(&(profile + &place))?;
    Some((bed, units.remove(0)))
}

fn read(bed: &mut Bed, unit: &LogicalUnit, lba: u64) -> Completed {
    let mut cdb = write_16(lba, BLOCKS);
    cdb[0] = 0x88;
    bed.execute(unit, &cdb, Data::In(BLOCKS as usize * 512))
}

fn write(bed: &mut Bed, unit: &LogicalUnit, lba: u64, value: u8) -> Completed {
    let data = Data::Out(vec![value; BLOCKS as usize * 512]);
    bed.execute(unit, &write_16(lba, BLOCKS), data)
}

/// Failed with MEDIUM ERROR and this code. There is no address in the sense data: a completion does not tell which block
/// it was, and a wrong address would be worse than none.
#[track_caller]
fn assert_medium_error(completed: &Completed, code: [u8; 2]) {
    assert_eq!(completed.srb_status, ERROR);
    assert_eq!(completed.scsi_status, CHECK_CONDITION);
    assert_eq!(completed.transferred, 0);
    let sense = completed.sense.as_deref().expect("sense data");
    assert_eq!(sense[0], 0x70, "fixed format, no valid address: {sense:x?}");
    assert_eq!(sense[2] & 0xF, MEDIUM_ERROR, "{sense:x?}");
    assert_eq!(sense[12..14], code, "{sense:x?}");
}

/// Everything but the bad block can be written and read, around it too.
fn works_elsewhere(bed: &mut Bed, unit: &LogicalUnit) {
    let span = u64::from(BLOCKS);
    for (value, lba) in (1..).zip([0, BAD - span, BAD + 1, unit.blocks - span]) {
        assert!(write(bed, unit, lba, value).succeeded(), "{lba}");
        let found = read(bed, unit, lba);
        assert!(found.succeeded(), "{lba}");
        assert!(found.data.iter().all(|&byte| byte == value), "{lba}");
    }
}

rusty_fork_test! {
    #![rusty_fork(timeout_ms = 180_000)]

    #[test]
    fn block_that_cannot_be_read() {
        let Some((mut bed, unit)) = bad_disk("read", 5) else {
            return;
        };
        for lba in [BAD, BAD - 1, BAD + 1 - u64::from(BLOCKS)] {
            assert_medium_error(&read(&mut bed, &unit, lba), UNRECOVERED_READ_ERROR);
        }
        works_elsewhere(&mut bed, &unit);
        bed.finish();
    }

    #[test]
    fn block_that_cannot_be_written_for_want_of_space() {
        let Some((mut bed, unit)) = bad_disk("write", 28) else {
            return;
        };
        for lba in [BAD, BAD - 1, BAD + 1 - u64::from(BLOCKS)] {
            assert_medium_error(&write(&mut bed, &unit, lba, 9), WRITE_FAULT);
        }
        works_elsewhere(&mut bed, &unit);
        bed.finish();
    }

    #[test]
    fn cache_that_cannot_be_written_back() {
        let Some((mut bed, unit)) = bad_disk("flush", 5) else {
            return;
        };
        // Only what was written since the last time is written back.
        assert!(write(&mut bed, &unit, 0, 1).succeeded());
        let flushed = bed.execute(&unit, &[0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0], Data::None);
        assert_medium_error(&flushed, WRITE_FAULT);
        works_elsewhere(&mut bed, &unit);
        bed.finish();
    }
}

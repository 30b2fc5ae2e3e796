//! A cache that QEMU cannot write back: how it is told, and that the disk works on. Bad blocks are in `tests/controllers`.

use portbed::machine::Data;
use rusty_fork::rusty_fork_test;

use crate::{started, submit_writes};

/// SYNCHRONIZE CACHE (10) of everything.
const SYNCHRONIZE: [u8; 10] = [0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0];

rusty_fork_test! {
    #![rusty_fork(timeout_ms = 180_000)]

    #[test]
    fn cache_that_cannot_be_written_back() {
        let rule = "blkdebug.inject-error.0";
        let profile = format!("capacity=64M,{rule}.event=none,{rule}.iotype=flush,{rule}.errno=5");
        let Some((mut bed, units, _)) = started(&profile) else {
            return;
        };
        for _ in 0..2 {
            // Only what was written since the last time is written back.
            submit_writes(&mut bed, &units[0], (0..64).map(|lba| lba * 8), 1);
            let completed = bed.machine.drain().expect("the driver runs on");
            assert!(completed.iter().all(|(_, completed)| completed.succeeded()));
            let flushed = bed.execute(&units[0], &SYNCHRONIZE, Data::None);
            assert_eq!((flushed.srb_status, flushed.scsi_status), (4, 2));
            let sense = flushed.sense.as_deref().expect("sense data");
            // MEDIUM ERROR, PERIPHERAL DEVICE WRITE FAULT.
            assert_eq!((sense[2] & 0xF, &sense[12..14]), (3, &[3, 0][..]));
        }
        bed.finish();
    }
}

//! The device leaves its slot.

use rusty_fork::rusty_fork_test;

use crate::{started, submit_writes};

rusty_fork_test! {
    #![rusty_fork(timeout_ms = 180_000)]

    #[test]
    fn surprise_removal() {
        if let Some((mut bed, units, _)) = started("capacity=64M") {
            submit_writes(&mut bed, &units[0], (0..64).map(|lba| lba * 8), 1);
            bed.pulled();
        }
    }
}

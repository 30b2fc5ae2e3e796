//! The driver unloaded, and loaded again: it leaves nothing behind that the next one would need or stumble over.
#![cfg(target_os = "linux")]

mod bed;

use bed::Bed;
use rusty_fork::rusty_fork_test;

const MIB: u64 = 1 << 20;

/// Three lives of the image in one machine, each mapped anew, with the data of the one before.
fn lives_again(profile: &str) -> Bed {
    let mut bed = Bed::new(profile);
    for life in 1..=3 {
        let units = bed.start();
        if life > 1 {
            bed.expect_filled(&units[0], life - 1);
        }
        bed.fill(&units[0], life);
        bed.machine.stop_and_remove().expect("the adapter stops");
        bed.unload();
        assert_eq!(bed.count("driver unloaded"), life as usize);
        let report = bed.machine.hmb();
        assert_eq!((report.enabled, report.freed), (life, life));
        assert_eq!(report.granted_bytes, life * 64 * MIB);
        bed.load();
    }
    bed
}

rusty_fork_test! {
    #![rusty_fork(timeout_ms = 120_000)]

    #[test]
    fn loaded_again_after_removal() {
        lives_again("hmb");
    }

    #[test]
    fn loaded_again_after_a_stop_at_dirql() {
        lives_again("hmb,pnp=off,stop=dirql");
    }

    #[test]
    fn loaded_again_with_a_line_interrupt() {
        lives_again("hmb,interrupts=line");
    }

    #[test]
    fn adapter_added_again_to_a_loaded_driver() {
        let (mut bed, units) = Bed::started("hmb");
        bed.fill(&units[0], 1);
        bed.machine.stop_and_remove().expect("the adapter stops");
        let units = bed.start();
        bed.expect_filled(&units[0], 1);
        let report = bed.finish();
        assert_eq!((report.enabled, report.freed), (2, 2));
    }

    #[test]
    fn loaded_again_after_a_start_that_failed() {
        let mut bed = Bed::new("hmb,ready=9000,timeout=500");
        for _ in 0..2 {
            assert!(bed.machine.start_adapter().is_err());
            bed.unload();
            bed.load();
        }
        assert_eq!(bed.count("driver unloaded"), 2);
    }
}

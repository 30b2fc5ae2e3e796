//! Power states and resets: the memory goes back and forth, and is asked for once.

use portbed::machine::{HmbReport, PowerAction};
use rusty_fork::rusty_fork_test;

use crate::bed::Bed;
use crate::lending::{MIB, SECOND_NS, assert_all_returned, number, read, submit_reads};

/// Power down, up, and removal: one allocation serves both lendings.
fn power_cycle(profile: &str, action: PowerAction) -> HmbReport {
    let (mut bed, _) = Bed::started(profile);
    bed.machine
        .power_down(action)
        .expect("the adapter powers down");
    bed.machine.power_up().expect("the adapter powers up");
    bed.machine.enumerate().expect("the disk answers again");
    let report = bed.finish();
    assert_eq!(report.granted_bytes, 64 * MIB);
    assert_eq!((report.enabled, report.freed), (2, 1));
    assert_all_returned(&report);
    report
}

/// A controller whose shutdown and whose resets take three seconds.
const SLOW: &str = "hmb,ready=3000,timeout=3500";

/// Power down, up, and removal of a slow controller: how many of its shutdowns were not cut off.
fn slow_shutdowns(profile: &str) -> usize {
    let (mut bed, _) = Bed::started(&format!("{SLOW},{profile}"));
    bed.machine
        .power_down(PowerAction::Sleep)
        .expect("the adapter powers down");
    bed.machine.power_up().expect("the adapter powers up");
    bed.machine.enumerate().expect("the disk answers again");
    bed.machine.stop_and_remove().expect("the adapter stops");
    let complete = bed.controller_said("shutdown complete");
    let report = bed.unloaded();
    assert_eq!((report.enabled, report.disabled, report.freed), (2, 2, 1));
    assert_all_returned(&report);
    complete
}

rusty_fork_test! {
    #![rusty_fork(timeout_ms = 120_000)]

    #[test]
    fn memory_is_returned_after_runtime_power_down() {
        let report = power_cycle("hmb", PowerAction::None);
        assert_eq!((report.disabled, report.memory_returned), (2, 1));
    }

    #[test]
    fn memory_is_new_to_the_device_after_sleep() {
        // Hybrid sleep comes as sleep, and another system may have run in between.
        let report = power_cycle("hmb", PowerAction::Sleep);
        assert_eq!((report.disabled, report.memory_returned), (2, 0));
    }

    #[test]
    fn memory_is_new_to_the_device_after_hibernation() {
        let report = power_cycle("hmb", PowerAction::Hibernate);
        assert_eq!((report.disabled, report.memory_returned), (2, 0));
    }

    #[test]
    fn memory_that_was_not_given_up_in_order_is_new_to_the_device() {
        let report = power_cycle("hmb,disable=fails", PowerAction::None);
        assert_eq!((report.disabled, report.memory_returned), (0, 0));
    }

    #[test]
    fn power_down_does_not_wait_long_for_a_disable() {
        let report = power_cycle("hmb,disable=never", PowerAction::Sleep);
        assert_eq!((report.disabled, report.memory_returned), (0, 0));
    }

    #[test]
    fn requests_do_not_wait_for_a_buffer_that_holds_the_start_up() {
        // Memory is only there when the power comes back; then the enable takes longer than a request may.
        let (mut bed, units) = Bed::started("hmb,enable=never,grant=later:1");
        bed.machine.power_down(PowerAction::Sleep).expect("the adapter powers down");
        bed.machine.power_up().expect("the adapter powers up");
        let held_up = bed
            .machine
            .execute(read(&units[0], 0))
            .expect("it comes back");
        assert!(!held_up.succeeded(), "it was reset");
        let again = bed
            .machine
            .execute(read(&units[0], 0))
            .expect("it runs on");
        assert!(again.succeeded());
        let not_lent = bed.logged("HMB not lent");
        assert_eq!(not_lent.iter().map(|event| number(event, "Why")).collect::<Vec<_>>(), [6, 9]);
        assert_all_returned(&bed.finish());
    }

    #[test]
    fn reset_under_io_lends_the_same_memory_again() {
        let (mut bed, units) = Bed::started("hmb");
        let tokens = submit_reads(&mut bed, &units[0], 16);
        bed.machine.reset_bus().expect("the bus is reset");
        bed.machine.drain().expect("every request comes back");
        assert!(tokens.into_iter().all(|token| bed.machine.poll(token).is_none()), "once");
        bed.machine.pass(SECOND_NS).expect("time passes");
        let again = bed.machine.execute(read(&units[0], 0)).expect("it runs on");
        assert!(again.succeeded());
        let lent = bed.logged("HMB lent");
        assert_eq!(lent.len(), 2);
        assert_eq!(number(&lent[1], "MemoryReturned"), 0);
        let report = bed.finish();
        assert_eq!((report.granted_bytes, report.freed), (64 * MIB, 1));
        assert_eq!((report.enabled, report.disabled, report.memory_returned), (2, 1, 0));
        assert_all_returned(&report);
    }

    #[test]
    fn slow_shutdown_is_waited_for_at_passive_level() {
        assert_eq!(slow_shutdowns("powerirql=passive"), 2);
    }

    #[test]
    fn slow_shutdown_is_waited_for_on_an_older_port_driver() {
        assert_eq!(slow_shutdowns("powerirql=passive,irqlquery=off"), 2);
    }

    #[test]
    fn slow_shutdown_is_cut_off_at_dispatch_level() {
        assert_eq!(slow_shutdowns("powerirql=dispatch"), 1);
    }

    #[test]
    fn slow_shutdown_is_cut_off_at_dispatch_level_of_an_older_port_driver() {
        assert_eq!(slow_shutdowns("powerirql=dispatch,irqlquery=off"), 1);
    }
}

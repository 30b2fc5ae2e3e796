//! The Host Memory Buffer, from what the controller asks for to what is freed.
#![cfg(target_os = "linux")]

mod bed;

use bed::Bed;
use portbed::machine::{HmbReport, PowerAction};
use rusty_fork::rusty_fork_test;

const MIB: u64 = 1 << 20;
const SECOND_NS: u64 = 1_000_000_000;

/// Nothing of a grant may be left anywhere.
fn assert_all_returned(report: &HmbReport) {
    assert_eq!(report.outstanding_bytes, 0);
    assert_eq!(report.retained_bytes, 0);
    assert_eq!(report.left_to_port_bytes, 0);
}

/// Starts and removes an adapter of this profile; checks that what was granted was lent and came back.
fn lends(profile: &str, granted_bytes: u64) -> HmbReport {
    let (bed, _) = Bed::started(profile);
    assert_eq!(bed.logged("HMB lent").len(), 1);
    let report = bed.finish();
    assert_eq!(report.granted_bytes, granted_bytes);
    assert_eq!((report.enabled, report.disabled, report.freed), (1, 1, 1));
    assert_all_returned(&report);
    report
}

/// Starts and removes an adapter of this profile; checks that it runs without a buffer and says why.
fn runs_without(profile: &str, why: &str) -> HmbReport {
    let (bed, units) = Bed::started(profile);
    assert_eq!(units.len(), 1, "the disk works all the same");
    let logged = bed.logged("HMB not lent");
    assert!(
        matches!(&logged[..], [event] if event.contains(why)),
        "{logged:?}"
    );
    let report = bed.finish();
    assert_eq!(report.enabled, 0);
    assert_all_returned(&report);
    report
}

rusty_fork_test! {
    #![rusty_fork(timeout_ms = 120_000)]

    #[test]
    fn preferred_size_is_lent() {
        let report = lends("hmb", 64 * MIB);
        assert_eq!(report.memory_returned, 0);
    }

    #[test]
    fn less_than_preferred_is_lent() {
        lends("hmb,grant=half", 32 * MIB);
    }

    #[test]
    fn minimum_is_lent() {
        lends("hmb,grant=minimum", 16 * MIB);
    }

    #[test]
    fn many_ranges_are_lent() {
        let report = lends("hmb,grant=ranges:32", 64 * MIB);
        assert_eq!(report.ranges, 32);
    }

    #[test]
    fn cap_of_the_registry_is_kept() {
        lends("hmb,reg.HmbMaximumMegabytes=24", 24 * MIB);
    }

    #[test]
    fn minimum_above_the_cap_is_honoured() {
        lends("hmb,reg.HmbMaximumMegabytes=8", 16 * MIB);
    }

    #[test]
    fn nothing_is_asked_for_when_the_device_wants_none() {
        let report = runs_without("plain", "Why=1,");
        assert_eq!(report.granted_bytes, 0);
    }

    #[test]
    fn nothing_is_asked_for_when_turned_off() {
        let report = runs_without("hmb,reg.HmbMaximumMegabytes=0", "Why=2,");
        assert_eq!(report.granted_bytes, 0);
    }

    #[test]
    fn minimum_above_what_is_honoured_is_not_lent() {
        runs_without("hmb,reg.HmbMaximumMegabytes=8,reg.HmbHonourMinimumUpToMegabytes=8", "Why=4,");
    }

    #[test]
    fn refused_allocation_is_no_failure() {
        runs_without("hmb,grant=refuse", "Why=6,");
    }

    #[test]
    fn refused_allocation_is_tried_again_after_growing_pauses() {
        let (mut bed, _) = Bed::started("hmb,grant=later:3");
        // Refused at the start, after one minute, and after two more.
        bed.machine.pass(185 * SECOND_NS).expect("time passes");
        assert_eq!(bed.logged("HMB lent"), Vec::<String>::new());
        // Granted four minutes later.
        bed.machine.pass(240 * SECOND_NS).expect("time passes");
        assert_eq!(bed.logged("HMB lent").len(), 1);
        assert_eq!(bed.logged("HMB not lent").len(), 1, "told once");
        bed.machine.enumerate().expect("the disk answers");
        let report = bed.finish();
        assert_eq!((report.granted_bytes, report.enabled, report.freed), (64 * MIB, 1, 1));
        assert_all_returned(&report);
    }

    #[test]
    fn older_port_driver_is_no_failure() {
        runs_without("hmb,grant=notimplemented", "Why=6,");
    }

    #[test]
    fn grant_below_the_minimum_is_given_back() {
        let report = runs_without("hmb,hmmin=48M,grant=half", "Why=7,");
        assert_eq!((report.granted_bytes, report.freed), (32 * MIB, 1));
    }

    #[test]
    fn ranges_too_small_for_the_device_are_not_offered() {
        let report = runs_without("hmb,hmminds=4M,grant=ranges:32", "Why=7,");
        assert_eq!(report.freed, 1);
    }

    #[test]
    fn more_ranges_than_the_device_takes_are_never_asked_for() {
        let report = lends("hmb,hmmaxd=4,grant=ranges:32", 64 * MIB);
        assert_eq!(report.ranges, 4);
    }

    #[test]
    fn refused_enable_gives_the_memory_back() {
        let report = runs_without("hmb,enable=refused", "Why=8,");
        assert_eq!(report.freed, 1);
    }

    #[test]
    fn unanswered_enable_is_no_proof_and_a_reset_is() {
        let report = runs_without_after_reset("hmb,enable=never");
        assert_eq!(report.freed, 1);
    }

    #[test]
    fn late_enable_is_treated_as_unanswered() {
        let report = runs_without_after_reset("hmb,enable=late");
        assert_eq!(report.freed, 1);
    }

    #[test]
    fn failed_disable_is_made_good_by_the_shutdown() {
        let (bed, _) = Bed::started("hmb,disable=fails");
        let report = bed.finish();
        assert_eq!((report.enabled, report.disabled, report.freed), (1, 0, 1));
        assert_all_returned(&report);
    }

    #[test]
    fn unanswered_disable_is_made_good_by_the_shutdown() {
        let (bed, _) = Bed::started("hmb,disable=never");
        let report = bed.finish();
        assert_eq!((report.enabled, report.disabled, report.freed), (1, 0, 1));
        assert_all_returned(&report);
    }

    #[test]
    fn memory_is_returned_after_runtime_power_down() {
        assert_eq!(power_cycle(PowerAction::None).memory_returned, 1);
    }

    #[test]
    fn memory_is_returned_after_sleep() {
        assert_eq!(power_cycle(PowerAction::Sleep).memory_returned, 1);
    }

    #[test]
    fn memory_is_new_to_the_device_after_hibernation() {
        assert_eq!(power_cycle(PowerAction::Hibernate).memory_returned, 0);
    }
}

/// The memory counts as lent until the controller was reset; then it is freed and the disk works without.
fn runs_without_after_reset(profile: &str) -> HmbReport {
    let (bed, units) = Bed::started(profile);
    assert_eq!(units.len(), 1);
    assert!(matches!(&bed.logged("HMB not lent")[..], [event] if event.contains("Why=9,")));
    let report = bed.finish();
    assert_all_returned(&report);
    report
}

/// Power down, up, and removal: one allocation serves both lendings.
fn power_cycle(action: PowerAction) -> HmbReport {
    let (mut bed, _) = Bed::started("hmb");
    bed.machine
        .power_down(action)
        .expect("the adapter powers down");
    bed.machine.power_up().expect("the adapter powers up");
    bed.machine.enumerate().expect("the disk answers again");
    let report = bed.finish();
    assert_eq!((report.enabled, report.disabled, report.freed), (2, 2, 1));
    assert_all_returned(&report);
    report
}

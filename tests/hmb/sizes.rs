//! How much is asked for, what is granted, and what of it fits the controller.

use rusty_fork::rusty_fork_test;

use crate::bed::Bed;
use crate::lending::{MIB, SECOND_NS, assert_all_returned, lends, number, runs_without, the_event};

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
        let report = runs_without("plain", 1);
        assert_eq!(report.granted_bytes, 0);
    }

    #[test]
    fn nothing_is_asked_for_when_turned_off() {
        let report = runs_without("hmb,reg.HmbMaximumMegabytes=0", 2);
        assert_eq!(report.granted_bytes, 0);
    }

    #[test]
    fn cap_above_the_preference_changes_nothing() {
        let (bed, _) = Bed::started("hmb,reg.HmbMaximumMegabytes=128");
        assert_eq!(number(&the_event(&bed, "HMB lent"), "LimitedBy"), 0);
        assert_eq!(bed.finish().granted_bytes, 64 * MIB);
    }

    #[test]
    fn minimum_above_the_preference_is_a_contradiction() {
        let report = runs_without("hmb,hmpre=8M,hmmin=16M", 3);
        assert_eq!(report.granted_bytes, 0);
    }

    #[test]
    fn any_size_is_good_for_a_device_without_a_minimum() {
        lends("hmb,hmmin=0", 64 * MIB);
    }

    #[test]
    fn one_page_is_lent_to_a_device_without_a_minimum() {
        lends("hmb,hmmin=0,grant=minimum", 4096);
    }

    #[test]
    fn total_of_all_adapters_limits_one() {
        let (bed, _) = Bed::started("hmb,reg.HmbTotalMegabytes=32");
        assert_eq!(number(&the_event(&bed, "HMB lent"), "LimitedBy"), 3);
        assert_eq!(bed.finish().granted_bytes, 32 * MIB);
    }

    #[test]
    fn minimum_above_the_total_is_not_lent() {
        let report = runs_without("hmb,reg.HmbTotalMegabytes=8", 5);
        assert_eq!(report.granted_bytes, 0);
    }

    #[test]
    fn more_than_4_gib_is_capped_by_default() {
        lends("hmb,hmpre=6G", 64 * MIB);
    }

    #[test]
    fn more_than_4_gib_is_lent_where_the_registry_allows_it() {
        let caps = "reg.HmbMaximumMegabytes=4500,reg.HmbTotalMegabytes=8192";
        let report = lends(&format!("hmb,hmpre=6G,hmmin=4200M,{caps},grant=ranges:8"), 4500 * MIB);
        assert_eq!(report.ranges, 8);
    }

    #[test]
    fn minimum_above_what_is_honoured_is_not_lent() {
        runs_without("hmb,reg.HmbMaximumMegabytes=8,reg.HmbHonourMinimumUpToMegabytes=8", 4);
    }

    #[test]
    fn refused_allocation_is_no_failure() {
        let report = runs_without("hmb,grant=refuse", 6);
        assert_eq!(report.granted_bytes, 0);
    }

    #[test]
    fn allocation_that_is_called_invalid_is_no_failure_and_not_repeated() {
        is_not_asked_again("invalid", INVALID_PARAMETER);
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
    fn older_port_driver_is_no_failure_and_not_asked_again() {
        is_not_asked_again("notimplemented", NOT_IMPLEMENTED);
    }

    #[test]
    fn grant_below_the_minimum_is_given_back() {
        let report = runs_without("hmb,hmmin=48M,grant=half", 7);
        assert_eq!((report.granted_bytes, report.freed), (32 * MIB, 1));
    }

    #[test]
    fn ranges_too_small_for_the_device_are_not_offered() {
        let (bed, _) = Bed::started("hmb,hmminds=2M,grant=ranges:32");
        let lent = the_event(&bed, "HMB lent");
        let (bytes, ranges) = (number(&lent, "LentBytes"), number(&lent, "Ranges"));
        assert!((16 * MIB..64 * MIB).contains(&bytes) && (1..32).contains(&ranges), "{lent}");
        let report = bed.finish();
        assert_eq!((report.ranges, report.freed_bytes), (32, 64 * MIB), "freed with the others");
        assert_all_returned(&report);
    }

    #[test]
    fn nothing_is_lent_when_all_ranges_are_too_small() {
        let report = runs_without("hmb,hmminds=4M,grant=ranges:32", 7);
        assert_eq!((report.enabled, report.freed), (0, 1));
    }

    #[test]
    fn any_range_is_good_for_a_device_without_a_least_size() {
        let report = lends("hmb,hmminds=0,hmmin=0,grant=ranges:256", 64 * MIB);
        assert_eq!(report.ranges, 256);
    }

    #[test]
    fn more_ranges_than_the_device_takes_are_never_asked_for() {
        let report = lends("hmb,hmmaxd=4,grant=ranges:32", 64 * MIB);
        assert_eq!(report.ranges, 4);
    }

    #[test]
    fn one_range_is_asked_for_when_the_device_takes_one() {
        let report = lends("hmb,hmmaxd=1,grant=ranges:32", 64 * MIB);
        assert_eq!(report.ranges, 1);
    }

    #[test]
    fn as_many_ranges_as_fit_a_page_are_asked_for_when_the_device_has_no_limit() {
        let report = lends("hmb,hmmaxd=0,grant=ranges:300", 64 * MIB);
        assert_eq!(report.ranges, 256);
    }

    #[test]
    fn fewer_ranges_than_asked_for_are_lent() {
        let report = lends("hmb,hmmaxd=8,grant=ranges:3", 64 * MIB);
        assert_eq!(report.ranges, 3);
    }
}

/// `STOR_STATUS_NOT_IMPLEMENTED` and `STOR_STATUS_INVALID_PARAMETER`.
const NOT_IMPLEMENTED: u64 = 0xC100_0002;
const INVALID_PARAMETER: u64 = 0xC100_0006;

/// The port driver answers so; hours later it was asked once.
fn is_not_asked_again(grant: &str, status: u64) {
    let (mut bed, units) = Bed::started(&format!("hmb,grant={grant}"));
    assert_eq!(units.len(), 1, "the disk works all the same");
    let not_lent = the_event(&bed, "HMB not lent");
    assert_eq!(
        (number(&not_lent, "Why"), number(&not_lent, "Status")),
        (6, status)
    );
    bed.machine
        .pass(10 * 3600 * SECOND_NS)
        .expect("time passes");
    assert_eq!(bed.asked_for_host_memory(), 1);
    assert_eq!(bed.finish().granted_bytes, 0);
}

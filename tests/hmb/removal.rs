//! Stop and removal at every moment.

use portbed::machine::PowerAction;
use rusty_fork::rusty_fork_test;

use crate::bed::Bed;
use crate::lending::{
    MIB, assert_all_retained, assert_all_returned, does_not_start, number, submit_reads, the_event,
};

/// The command that enables the buffer at the start, counted from the first one.
const ENABLING: u32 = 14;

rusty_fork_test! {
    #![rusty_fork(timeout_ms = 120_000)]

    #[test]
    fn removal_at_the_first_command_leaves_nothing() {
        let report = does_not_start("hmb,dies=command:1,death=gone", |_| {});
        assert_eq!(report.granted_bytes, 0);
    }

    #[test]
    fn removal_before_the_memory_is_asked_for_leaves_nothing() {
        // The creation of the I/O completion queue.
        let report = does_not_start("hmb,dies=command:7,death=gone", |_| {});
        assert_eq!(report.granted_bytes, 0);
    }

    #[test]
    fn removal_while_enabling_keeps_the_memory_without_a_notice() {
        let profile = format!("hmb,dies=command:{ENABLING},death=gone");
        let report = does_not_start(&profile, |bed| {
            assert_eq!(number(&the_event(bed, "HMB retained"), "Bytes"), 64 * MIB);
        });
        assert_eq!((report.enabled, report.freed), (0, 0));
        assert_all_retained(&report);
    }

    #[test]
    fn controller_that_dies_while_enabling_is_reset_and_runs() {
        let (bed, units) = Bed::started(&format!("hmb,dies=command:{ENABLING}"));
        assert_eq!(units.len(), 1);
        let report = bed.finish();
        assert_all_returned(&report);
    }

    #[test]
    fn surprise_removal_without_a_plug_and_play_request() {
        let (bed, _) = Bed::started("hmb,pnp=off");
        let report = bed.pulled();
        assert_eq!((report.enabled, report.disabled, report.freed), (1, 0, 1));
        assert_all_returned(&report);
    }

    #[test]
    fn surprise_removal_under_io_returns_requests_and_memory() {
        let (mut bed, units) = Bed::started("hmb");
        let tokens = submit_reads(&mut bed, &units[0], 16);
        bed.machine.surprise_remove().expect("the adapter goes");
        let failed = tokens.into_iter().filter(|&token| {
            !bed.machine.poll(token).expect("every request comes back").succeeded()
        });
        assert!(failed.count() > 0, "some were on their way");
        let report = bed.unloaded();
        assert_eq!((report.disabled, report.freed), (0, 1));
        assert_all_returned(&report);
    }

    #[test]
    fn surprise_removal_at_d3_frees_what_was_kept() {
        let (mut bed, _) = Bed::started("hmb");
        bed.machine.power_down(PowerAction::Sleep).expect("the adapter powers down");
        let report = bed.pulled();
        assert_eq!((report.enabled, report.disabled, report.freed), (1, 1, 1));
        assert_all_returned(&report);
    }

    #[test]
    fn stop_at_dirql_resets_a_controller_that_does_not_disable() {
        let (bed, _) = Bed::started("hmb,pnp=off,stop=dirql,disable=fails");
        let report = bed.finish();
        assert_eq!((report.disabled, report.freed), (0, 1));
        assert_all_returned(&report);
    }

    #[test]
    fn stop_at_dirql_goes_on_from_the_dpc_when_the_controller_is_slow() {
        let (bed, _) = Bed::started("hmb,pnp=off,stop=dirql,disable=never,ready=100");
        let report = bed.finish();
        assert_eq!((report.disabled, report.freed), (0, 1));
        assert_all_returned(&report);
    }

    #[test]
    fn stop_at_dirql_tells_from_the_dpc_what_it_has_to_keep() {
        let (mut bed, _) = Bed::started("hmb,pnp=off,stop=dirql,disable=never,reset=never");
        bed.machine.stop_and_remove().expect("the stop comes to its end");
        assert_eq!(number(&the_event(&bed, "HMB retained"), "Bytes"), 64 * MIB);
        assert_all_retained(&bed.unloaded());
    }
}

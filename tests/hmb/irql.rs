//! At which IRQL the port driver is asked for memory, and to take it back: contiguous memory is scarce at `DISPATCH_LEVEL`, and no
//! page gives the free call an IRQL.

use portbed::machine::{HmbReport, PowerAction};
use rusty_fork::rusty_fork_test;

use crate::bed::Bed;
use crate::lending::{MIB, SECOND_NS, assert_all_returned, number, read, submit_reads, the_event};

/// A port driver that grants and takes back nothing at `DISPATCH_LEVEL`.
const STRICT: &str = "hmb,hmb-dispatch=refuse,free-dispatch=refuse";

/// All that was granted was freed, and neither at `DISPATCH_LEVEL`.
fn assert_below_dispatch(report: &HmbReport) {
    assert_all_returned(report);
    let HmbReport {
        granted_at_dispatch,
        freed_at_dispatch,
        left_to_port_bytes,
        ..
    } = *report;
    assert_eq!(
        (granted_at_dispatch, freed_at_dispatch, left_to_port_bytes),
        (0, 0, 0)
    );
}

/// Starts and removes an adapter of this kind.
fn comes_and_goes(profile: &str) {
    let (bed, _) = Bed::started(&format!("{STRICT},{profile}"));
    assert_eq!(number(&the_event(&bed, "HMB lent"), "LentBytes"), 64 * MIB);
    let report = bed.finish();
    assert_eq!((report.granted_bytes, report.freed), (64 * MIB, 1));
    assert_below_dispatch(&report);
}

/// Power down and up, with another allocation where the first one was given back; then removal.
fn sleeps_and_wakes(profile: &str) {
    let (mut bed, units) = Bed::started(&format!("{STRICT},{profile}"));
    bed.machine
        .power_down(PowerAction::Sleep)
        .expect("the adapter powers down");
    bed.machine.power_up().expect("the adapter powers up");
    bed.machine.pass(SECOND_NS).expect("time passes");
    let again = bed.machine.execute(read(&units[0], 0)).expect("it runs on");
    assert!(again.succeeded());
    assert_eq!(bed.logged("HMB lent").len(), 2);
    assert_below_dispatch(&bed.finish());
}

rusty_fork_test! {
    #![rusty_fork(timeout_ms = 120_000)]

    #[test]
    fn start_with_messages_asks_at_passive_level() {
        comes_and_goes("interrupts=messages");
    }

    #[test]
    fn start_with_messages_from_the_first_command_on_asks_at_passive_level() {
        comes_and_goes("interrupts=early");
    }

    #[test]
    fn start_with_a_line_interrupt_asks_at_passive_level() {
        comes_and_goes("interrupts=line");
    }

    #[test]
    fn stop_without_plug_and_play_request_at_passive_level_frees_there() {
        comes_and_goes("pnp=off,stop=passive");
    }

    #[test]
    fn removal_frees_what_was_kept_over_power_down() {
        sleeps_and_wakes("powerirql=passive");
    }

    #[test]
    fn removal_after_a_wake_at_dispatch_level_frees_at_passive_level() {
        sleeps_and_wakes("powerirql=dispatch");
    }

    #[test]
    fn restart_after_a_stop_asks_anew_in_a_work_item() {
        sleeps_and_wakes("power=stop,stop=passive");
    }

    #[test]
    fn reset_lends_the_same_memory_again_whatever_is_granted() {
        let (mut bed, units) = Bed::started(STRICT);
        submit_reads(&mut bed, &units[0], 16);
        bed.machine.reset_bus().expect("the bus is reset");
        bed.machine.drain().expect("every request comes back");
        bed.machine.pass(SECOND_NS).expect("time passes");
        assert_eq!(bed.logged("HMB lent").len(), 2);
        assert_below_dispatch(&bed.finish());
    }

    #[test]
    fn refused_allocation_is_tried_again_in_a_work_item() {
        let (mut bed, _) = Bed::started(&format!("{STRICT},grant=later:1"));
        bed.machine.pass(70 * SECOND_NS).expect("time passes");
        assert_eq!(number(&the_event(&bed, "HMB lent"), "LentBytes"), 64 * MIB);
        assert_below_dispatch(&bed.finish());
    }

    #[test]
    fn refused_enable_frees_at_passive_level() {
        let (bed, _) = Bed::started(&format!("{STRICT},enable=refused"));
        let report = bed.finish();
        assert_eq!((report.enabled, report.freed), (0, 1));
        assert_below_dispatch(&report);
    }

    #[test]
    fn surprise_removal_frees_at_passive_level() {
        let (bed, _) = Bed::started(STRICT);
        let report = bed.pulled();
        assert_eq!((report.disabled, report.freed), (0, 1));
        assert_below_dispatch(&report);
    }

    #[test]
    fn stop_at_dirql_frees_in_a_work_item_that_the_dpc_asks_for() {
        comes_and_goes("pnp=off,stop=dirql");
    }

    #[test]
    fn removal_without_work_items_frees_at_dispatch_level() {
        let (bed, _) = Bed::started("hmb,hmb-dispatch=refuse,workitems=stop");
        let report = bed.finish();
        assert_eq!((report.freed, report.freed_at_dispatch), (1, 1));
        assert_all_returned(&report);
    }

    #[test]
    fn stop_at_dirql_without_work_items_frees_in_the_dpc() {
        let (bed, _) = Bed::started("hmb,hmb-dispatch=refuse,workitems=stop,pnp=off,stop=dirql");
        let report = bed.finish();
        assert_eq!((report.freed, report.freed_at_dispatch), (1, 1));
        assert_all_returned(&report);
    }

    #[test]
    fn free_that_is_refused_at_dispatch_level_is_told() {
        let (mut bed, _) = Bed::started(&format!("{STRICT},workitems=stop"));
        bed.machine.stop_and_remove().expect("the adapter stops");
        assert_eq!(number(&the_event(&bed, "HMB free failed"), "Bytes"), 64 * MIB);
        let report = bed.unloaded();
        assert_eq!((report.freed, report.freed_at_dispatch), (0, 1));
        assert_eq!(report.left_to_port_bytes, 64 * MIB);
    }

    #[test]
    fn scarce_memory_at_dispatch_level_is_none_of_the_start() {
        let (bed, _) = Bed::started("hmb,hmb-dispatch=small");
        let lent = the_event(&bed, "HMB lent");
        assert_eq!(number(&lent, "LentBytes"), 64 * MIB);
        assert_below_dispatch(&bed.finish());
    }
}

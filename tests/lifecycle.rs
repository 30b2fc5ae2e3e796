//! Start, interrupts, stop and removal of an adapter.
#![cfg(target_os = "linux")]

mod bed;

use bed::Bed;
use portbed::machine::{HmbReport, MachineError};
use rusty_fork::rusty_fork_test;

const MIB: u64 = 1 << 20;

/// Starts, enumerates and removes: everything in between works, and nothing is left.
fn comes_and_goes(profile: &str) -> HmbReport {
    let (bed, units) = Bed::started(profile);
    assert_eq!(units.len(), 1);
    bed.finish()
}

/// The adapter refuses to start, says why first of all, and leaves nothing behind.
fn is_refused(profile: &str, why: &str) {
    let mut bed = Bed::new(profile);
    let error = bed.machine.start_adapter().expect_err("the start fails");
    assert!(matches!(error, MachineError::Start(_)), "{error}");
    let logged = bed.logged("");
    let failures = |event: &String| event.starts_with("Controller failed");
    assert!(logged.iter().all(failures), "{logged:?}");
    let first = logged.first().expect("an event");
    assert!(first.contains(why), "{logged:?}");
    let report = bed.unloaded();
    assert_eq!(report, HmbReport::default());
}

rusty_fork_test! {
    #![rusty_fork(timeout_ms = 120_000)]

    #[test]
    fn message_for_each_queue() {
        comes_and_goes("hmb,interrupts=messages");
    }

    #[test]
    fn message_that_is_pending_before_the_adapter_is_initialised() {
        comes_and_goes("hmb,interrupts=early");
    }

    #[test]
    fn one_message_for_all() {
        comes_and_goes("hmb,interrupts=message");
    }

    #[test]
    fn line_interrupt() {
        comes_and_goes("hmb,interrupts=line");
    }

    #[test]
    fn controller_without_messages() {
        comes_and_goes("line");
    }

    #[test]
    fn smallest_controller() {
        comes_and_goes("small");
    }

    #[test]
    fn slow_controller_is_waited_for() {
        comes_and_goes("hmb,ready=7000,timeout=7500");
    }

    #[test]
    fn controller_that_takes_longer_than_it_says_is_given_up() {
        is_refused("hmb,ready=9000,timeout=500", "Controller failed, Reason=3,");
    }

    #[test]
    fn controller_with_larger_pages_is_refused() {
        is_refused("hmb,mpsmin=8K", "Controller failed, Reason=6,");
    }

    #[test]
    fn controller_without_room_in_its_queues_is_refused() {
        is_refused("hmb,mqes=1", "Controller failed, Reason=6, Detail=3");
    }

    #[test]
    fn ready_timeout_of_crto_counts_where_it_is_the_larger() {
        comes_and_goes("hmb,version=2.0,timeout=500,crto=9000,ready=7000");
        comes_and_goes("hmb,version=2.0,timeout=9000,crto=500,ready=7000");
    }

    #[test]
    fn crto_is_not_read_of_an_older_controller() {
        is_refused("hmb,timeout=500,crto=9000,ready=7000", "Controller failed, Reason=3,");
    }

    #[test]
    fn time_out_that_changes_with_cc_is_read_again() {
        comes_and_goes("hmb,cap=late,timeout=9000,ready=7000");
    }

    #[test]
    fn controller_with_larger_pages_as_a_choice_runs_at_4_kib() {
        comes_and_goes("hmb,mpsmax=64K");
    }

    #[test]
    fn stop_without_plug_and_play_request() {
        let report = comes_and_goes("hmb,pnp=off,stop=passive");
        assert_eq!(report.freed, 1);
    }

    #[test]
    fn stop_takes_the_timer_back_that_was_to_ask_for_memory_again() {
        comes_and_goes("hmb,grant=refuse,pnp=off,stop=passive");
    }

    #[test]
    fn stop_at_dirql_frees_from_the_dpc() {
        let report = comes_and_goes("hmb,pnp=off,stop=dirql");
        assert_eq!((report.freed, report.left_to_port_bytes), (1, 0));
    }

    #[test]
    fn stop_at_dirql_on_an_older_port_driver() {
        let report = comes_and_goes("hmb,pnp=off,stop=dirql,irqlquery=off");
        assert_eq!((report.freed, report.left_to_port_bytes), (1, 0));
    }

    #[test]
    fn start_on_an_older_port_driver_sleeps_while_it_waits() {
        let (bed, _) = Bed::started("hmb,ready=3000,timeout=3500,irqlquery=off");
        let evaluated = bed.machine.rules().evaluated();
        let stalls = evaluated.iter().find(|(id, _)| *id == "stall-length");
        assert_eq!(stalls, None, "nothing is waited for in a loop");
        bed.finish();
    }

    #[test]
    fn stop_at_dirql_without_a_dpc_leaves_safe_memory_to_the_port_driver() {
        let report = comes_and_goes("hmb,pnp=off,stop=dirql-nodpc");
        assert_eq!((report.freed, report.left_to_port_bytes), (0, 64 * MIB));
    }

    #[test]
    fn surprise_removal_frees_without_a_command() {
        let (bed, _) = Bed::started("hmb");
        let report = bed.pulled();
        assert_eq!((report.enabled, report.disabled, report.freed), (1, 0, 1));
        assert_eq!(report.outstanding_bytes, 0);
    }
}

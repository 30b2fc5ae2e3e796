//! Power by stop and restart: what a port driver does that does not know `ScsiAdapterPower`.
#![cfg(target_os = "linux")]

mod bed;

use bed::Bed;
use portbed::machine::{HmbReport, PowerAction};
use rusty_fork::rusty_fork_test;

const MIB: u64 = 1 << 20;

/// Stops the adapter, takes its power away, restarts it, twice, and finds the data again.
fn sleeps_and_wakes(profile: &str, action: PowerAction) -> HmbReport {
    let (mut bed, units) = Bed::started(&format!("hmb,power=stop,{profile}"));
    for round in 1..=2 {
        bed.fill(&units[0], round);
        bed.machine.power_down(action).expect("the adapter stops");
        bed.machine.power_up().expect("the adapter restarts");
        bed.expect_filled(&units[0], round);
        let report = bed.machine.hmb();
        assert_eq!(report.enabled, 1 + round, "lent again");
    }
    assert_eq!(bed.count("adapter is restarted at DIRQL"), 2);
    bed.finish()
}

/// The memory was granted once and freed once, at the end.
fn assert_kept(report: &HmbReport) {
    assert_eq!(
        (report.granted_bytes, report.freed, report.outstanding_bytes),
        (64 * MIB, 1, 0),
        "{report:?}"
    );
}

rusty_fork_test! {
    #![rusty_fork(timeout_ms = 120_000)]

    #[test]
    fn stop_at_passive_level_and_restart() {
        sleeps_and_wakes("stop=passive", PowerAction::Sleep);
    }

    #[test]
    fn stop_at_dirql_and_restart() {
        sleeps_and_wakes("stop=dirql", PowerAction::Sleep);
    }

    #[test]
    fn stop_at_dirql_without_dpcs_and_restart_keeps_the_memory() {
        assert_kept(&sleeps_and_wakes("stop=dirql-nodpc", PowerAction::Sleep));
    }

    #[test]
    fn stop_and_restart_on_an_older_port_driver() {
        sleeps_and_wakes("stop=dirql,irqlquery=off", PowerAction::Sleep);
    }

    #[test]
    fn restart_after_hibernation_tells_that_the_contents_are_new() {
        let report = sleeps_and_wakes("stop=dirql", PowerAction::Hibernate);
        assert_eq!(report.memory_returned, 0);
    }

    #[test]
    fn restart_with_a_line_interrupt() {
        sleeps_and_wakes("stop=dirql,interrupts=line", PowerAction::Sleep);
    }
}

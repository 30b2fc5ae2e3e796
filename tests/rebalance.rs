//! Other resources for an adapter that runs: other registers and interrupts, the same device extension, and no request lost.
#![cfg(target_os = "linux")]

mod bed;

use bed::Bed;
use portbed::machine::{HmbReport, Interrupts, Rebalance};
use rusty_fork::rusty_fork_test;

/// Writes while the adapter is rebalanced, once for each of `interrupts`, and finds all of it afterwards.
fn moves(profile: &str, interrupts: &[Interrupts], under_requests: bool) -> HmbReport {
    let (mut bed, units) = Bed::started(profile);
    for (salt, &interrupts) in (1..).zip(interrupts) {
        let begun = bed.begin_fill(&units[0], salt);
        let rebalance = Rebalance {
            interrupts,
            under_requests,
        };
        bed.machine
            .rebalance(rebalance)
            .expect("the adapter starts again");
        let announced = bed.count("requests outstanding");
        assert_eq!(announced as u64, if under_requests { salt } else { 0 });
        bed.finish_fill(begun);
        bed.expect_filled(&units[0], salt);
        assert_eq!(bed.count("timed out"), 0, "{interrupts:?}");
        assert!(
            bed.logged("Interrupts are missing").is_empty(),
            "{interrupts:?}"
        );
    }
    bed.finish()
}

rusty_fork_test! {
    #![rusty_fork(timeout_ms = 60_000)]

    #[test]
    fn to_other_registers_and_back_to_work() {
        let report = moves("hmb", &[Interrupts::Messages; 3], false);
        assert_eq!((report.enabled, report.freed), (4, 4));
    }

    #[test]
    fn to_fewer_interrupts_and_more() {
        let interrupts = [
            Interrupts::OneMessage,
            Interrupts::Line,
            Interrupts::Messages,
        ];
        moves("hmb", &interrupts, false);
    }

    /// The stop masks the line. From when MSI-X is enabled nobody can lift that mask, which is before the adapter is found again.
    #[test]
    fn from_a_line_to_messages_that_are_enabled_early_and_back() {
        let interrupts = [
            Interrupts::Early,
            Interrupts::Line,
            Interrupts::Late,
            Interrupts::Line,
            Interrupts::Early,
        ];
        for profile in [
            "hmb,interrupts=line",
            "hmb,interrupts=line,intx=kept",
            "hmb,interrupts=line,stop=dirql,pnp=off",
            "hmb,interrupts=line,stop=dirql-nodpc,pnp=off",
        ] {
            moves(profile, &interrupts, false);
        }
    }

    #[test]
    fn announced_while_the_miniport_has_requests() {
        moves("hmb", &[Interrupts::Messages; 3], true);
    }

    #[test]
    fn announced_while_the_miniport_has_requests_with_a_stop_at_dirql() {
        moves("hmb,stop=dirql", &[Interrupts::Messages], true);
    }

    #[test]
    fn with_a_stop_at_dirql() {
        moves("hmb,stop=dirql", &[Interrupts::Messages], false);
    }

    #[test]
    fn without_an_announcement() {
        moves("hmb,pnp=off,stop=dirql", &[Interrupts::Messages], false);
    }

    #[test]
    fn without_an_announcement_and_without_dpcs() {
        moves("hmb,pnp=off,stop=dirql-nodpc", &[Interrupts::Messages; 2], false);
    }
}

//! Interrupts that do not come, come for nothing, or stay.

use crate::bed::Bed;
use crate::survives;
use rusty_fork::rusty_fork_test;

/// The controller was brought up once, and its buffer was not blamed for anything.
fn was_left_alone(bed: &Bed) {
    assert_eq!(
        bed.controller_said("I/O submission queue 1 "),
        1,
        "it was reset"
    );
    assert_eq!(bed.logged("HMB downgraded"), Vec::<String>::new());
}

rusty_fork_test! {
    #![rusty_fork(timeout_ms = 120_000)]

    #[test]
    fn one_that_is_lost_is_not_blamed_on_the_controller() {
        for interrupts in ["messages", "line"] {
            let bed = survives(&format!("hmb,interrupts={interrupts}"), &["interrupt:drop:nth=260"]);
            assert_eq!(bed.fired(), [1]);
            was_left_alone(&bed);
            assert_eq!(bed.logged("Interrupts are missing"), Vec::<String>::new());
            bed.finish();
        }
    }

    #[test]
    fn the_queues_are_polled_where_many_are_lost() {
        let bed = survives("hmb", &["interrupt:drop:every=3"]);
        was_left_alone(&bed);
        assert_eq!(bed.logged("Interrupts are missing").len(), 1);
        assert!(bed.machine.now_ns() < 60_000_000_000, "{}", bed.machine.now_ns());
        bed.finish();
    }

    #[test]
    fn none_at_all_is_a_slow_disk() {
        let bed = survives("hmb", &["interrupt:drop"]);
        assert_eq!(bed.logged("HMB downgraded"), Vec::<String>::new());
        assert_eq!(bed.logged("Interrupts are missing").len(), 1);
        bed.finish();
    }

    #[test]
    fn those_that_come_for_nothing_change_nothing() {
        let bed = survives("hmb", &["interrupt:stray:every=2", "interrupt:stray:at=stop", "interrupt:stray:at=rest"]);
        was_left_alone(&bed);
        bed.finish();
    }
}

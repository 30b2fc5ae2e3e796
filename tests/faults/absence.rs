//! Registers that read as all ones for a while, although the device is there and goes on with DMA.

use crate::bed::Bed;
use crate::survives;
use portbed::machine::PowerAction;
use rusty_fork::rusty_fork_test;

/// Power is taken and comes back, twice.
fn sleeps_and_wakes(bed: &mut Bed) {
    for action in [PowerAction::None, PowerAction::Sleep] {
        bed.machine.power_down(action).expect("it sleeps");
        bed.machine.power_up().expect("it wakes");
    }
}

rusty_fork_test! {
    #![rusty_fork(timeout_ms = 120_000)]

    /// Whichever read it is that gets no answer.
    #[test]
    fn of_any_read_of_a_start_is_waited_for() {
        for nth in (1..40).step_by(3) {
            let bed = survives("hmb", &[&format!("register:absent=80ms:nth={nth}")]);
            assert_eq!(bed.fired(), [1], "read {nth}");
            assert_eq!(bed.logged("Controller failed"), Vec::<String>::new());
            bed.finish();
        }
    }

    #[test]
    fn after_a_reset_is_waited_for_as_long_as_the_reset_may_take() {
        let mut bed = survives("hmb", &["register:absent=1s:at=reset", "write:never:nth=40"]);
        sleeps_and_wakes(&mut bed);
        assert!(bed.fired()[0] > 2);
        assert_eq!(bed.logged("Controller failed"), Vec::<String>::new());
        bed.finish();
    }

    #[test]
    fn after_d0_is_waited_for() {
        let mut bed = survives("hmb", &["register:absent=700ms:at=d0"]);
        sleeps_and_wakes(&mut bed);
        let units = bed.machine.enumerate().expect("the disks answer");
        bed.expect_filled(&units[0], 1);
        assert_eq!(bed.fired(), [2]);
        assert_eq!(bed.logged("Controller failed"), Vec::<String>::new());
        bed.finish();
    }

    /// A notice of removal and one read decide nothing: the device answers again, and is stopped.
    #[test]
    fn of_a_device_that_is_said_to_be_gone_is_no_proof() {
        let mut bed = survives("hmb,removal=present", &["register:absent=50ms:at=start"]);
        bed.machine.surprise_remove().expect("the adapter goes");
        assert_eq!(bed.logged("HMB retained"), Vec::<String>::new());
        assert_eq!(bed.unloaded().freed, 1);
    }

    #[test]
    fn a_device_that_is_said_to_be_gone_and_answers_is_stopped() {
        for profile in ["hmb,removal=present", "plain,removal=present", "plain,removal=present,pnp=off"] {
            let mut bed = survives(profile, &[]);
            bed.machine.surprise_remove().expect("the adapter goes");
            assert!(bed.controller_said("CSTS.RDY = 0") > 0, "{profile}");
            bed.unloaded();
        }
    }
}

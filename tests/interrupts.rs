//! Interrupts that the controller holds back or keeps up: masks that were left behind, plain MSI, a line that stays asserted.
#![cfg(target_os = "linux")]

mod bed;

use bed::Bed;
use portbed::machine::{Data, PowerAction, Request};
use rusty_fork::rusty_fork_test;

const SECOND_NS: u64 = 1_000_000_000;
const WRITE_10: u8 = 0x2A;

/// Starts, does I/O and sleeps without a request that had to wait for a time-out, and goes.
fn interrupts_come(profile: &str) {
    let (mut bed, units) = Bed::started(profile);
    bed.fill(&units[0], 1);
    bed.machine
        .power_down(PowerAction::Sleep)
        .expect("it sleeps");
    bed.machine.power_up().expect("it wakes");
    bed.expect_filled(&units[0], 1);
    assert_eq!(bed.count("timed out"), 0);
    assert!(
        bed.machine.now_ns() < 20 * SECOND_NS,
        "{} ns",
        bed.machine.now_ns()
    );
    bed.finish();
}

rusty_fork_test! {
    #![rusty_fork(timeout_ms = 120_000)]

    #[test]
    fn plain_msi() {
        interrupts_come("hmb,interrupts=msi");
    }

    #[test]
    fn several_messages_of_plain_msi() {
        interrupts_come("hmb,interrupts=msi,msi=4");
    }

    #[test]
    fn plain_msi_of_a_controller_without_msi_x() {
        interrupts_come("hmb,messages=0,interrupts=msi,handover=masked");
    }

    #[test]
    fn msi_x_that_is_enabled_after_the_adapter_was_found() {
        interrupts_come("hmb,interrupts=late");
    }

    #[test]
    fn masks_that_were_left_behind() {
        interrupts_come("hmb,handover=masked");
        interrupts_come("hmb,handover=masked,interrupts=msi");
        interrupts_come("line,handover=masked");
    }

    /// The registers of the mask must not be accessed then: a reset takes it away.
    #[test]
    fn masks_that_were_left_behind_with_msi_x_enabled_before_the_adapter_is_found() {
        interrupts_come("hmb,handover=masked,interrupts=early");
        interrupts_come("hmb,handover=masked,interrupts=early,intx=kept");
    }

    #[test]
    fn bus_mastering_that_was_left_off() {
        interrupts_come("hmb,handover=idle");
        interrupts_come("line,handover=idle");
    }

    #[test]
    fn line_that_stays_up_after_a_reset() {
        interrupts_come("line,intx=kept");
        interrupts_come("line,intx=kept,power=stop,stop=dirql");
        interrupts_come("line,intx=kept,pnp=off,stop=dirql-nodpc");
    }

    /// The line stays up for nothing from some completion on, until a reset.
    #[test]
    fn line_that_is_held_up_for_nothing_is_silenced_and_the_queues_are_polled() {
        let mut bed = Bed::with_faults("line", &["interrupt:held:nth=60"]);
        let units = bed.start();
        bed.fill(&units[0], 1);
        bed.expect_filled(&units[0], 1);
        assert_eq!(bed.fired(), [1]);
        assert_eq!(bed.count("timed out"), 0);
        assert_eq!(bed.logged("Interrupt line held up").len(), 1);
        // The reset ends it: then interrupts come again, and nothing is polled.
        bed.machine.power_down(PowerAction::Sleep).expect("it sleeps");
        bed.machine.power_up().expect("it wakes");
        let woken_ns = bed.machine.now_ns();
        bed.expect_filled(&units[0], 1);
        let took_ns = bed.machine.now_ns() - woken_ns;
        assert!(took_ns < SECOND_NS / 10, "{took_ns} ns");
        assert_eq!(bed.logged("Interrupt line held up").len(), 1);
        bed.finish();
    }

    /// As above, with nothing to do that would tell the two apart: the disk is idle.
    #[test]
    fn line_that_is_held_up_stays_silent_while_the_disk_is_idle() {
        let mut bed = Bed::with_faults("line", &["interrupt:held:nth=60"]);
        let units = bed.start();
        bed.fill(&units[0], 1);
        bed.machine.pass(600 * SECOND_NS).expect("the driver runs on");
        bed.expect_filled(&units[0], 1);
        assert_eq!(bed.logged("Interrupt line held up").len(), 1);
        bed.finish();
    }

    #[test]
    fn line_that_is_shared_with_a_working_device() {
        interrupts_come("line,neighbour=working");
        interrupts_come("line,neighbour=working,intx=kept");
    }

    /// A storm of another device's is nobody's to end, and must not cost this one its interrupts.
    #[test]
    fn line_that_is_shared_with_a_device_that_never_ends() {
        for interrupts in [200, 5000, 50_000] {
            let (mut bed, units) = Bed::started(&format!("line,neighbour=broken:{interrupts}"));
            bed.fill(&units[0], 1);
            let begun_ns = bed.machine.now_ns();
            bed.expect_filled(&units[0], 1);
            let took_ns = bed.machine.now_ns() - begun_ns;
            assert!(took_ns < SECOND_NS / 10, "{took_ns} ns");
            assert_eq!(bed.logged("Interrupt line held up"), Vec::<String>::new());
            assert_eq!(bed.logged("Interrupts are missing"), Vec::<String>::new());
            bed.finish();
        }
    }

    #[test]
    fn line_of_a_controller_that_has_failed_is_claimed_and_leads_to_a_reset() {
        let (mut bed, units) = Bed::started("line,hmpre=0,hmmin=0,dies=command:40,capacity=8M");
        let mut resets = 0;
        // Many at once: a completion waits at the moment of the failure, so that the line is up.
        for lba in 0..128 {
            let request = Request {
                unit: units[0].address,
                cdb: vec![WRITE_10, 0, 0, 0, 0, lba, 0, 0, 1, 0],
                data: Data::Out(vec![7; 512]),
                ..Request::default()
            };
            bed.machine.submit(request).expect("it fits");
        }
        while let Some((_, completed)) = bed.machine.wait_any().expect("the driver runs on") {
            resets += usize::from(completed.srb_status == 0x0E);
        }
        assert!(resets > 0);
        assert_eq!(bed.logged("Controller failed, Reason=2,").len(), 1);
        assert!(bed.machine.now_ns() < 5 * SECOND_NS, "{} ns", bed.machine.now_ns());
        bed.finish();
    }
}

//! What the controller answers, or fails to, and what the port driver does.

use rusty_fork::rusty_fork_test;

use crate::bed::Bed;
use crate::lending::{
    MIB, SECOND_NS, assert_all_retained, assert_all_returned, does_not_start, number,
    read_until_dead, runs_without, runs_without_for, the_event,
};

/// The driver's numbers for why no memory is lent.
const REFUSED: u64 = 8;
const NO_ANSWER: u64 = 9;

/// The controller takes the memory, and its completion says Invalid Field.
const REFUSED_ALTHOUGH_TAKEN: &str = "set-features.fid=0x0d:entry.status=0x4002:nth=1";

/// The commands to disable fail so: the reset that a shutdown ends with is the proof.
fn shutdown_is_the_proof(profile: &str) {
    let (bed, _) = Bed::started(profile);
    let report = bed.finish();
    assert_eq!((report.enabled, report.disabled, report.freed), (1, 0, 1));
    assert_all_returned(&report);
}

/// The controller can neither be made to give the memory up nor be stopped: it is told once, and kept.
fn is_retained(profile: &str) {
    let (mut bed, _) = Bed::started(profile);
    bed.machine
        .stop_and_remove()
        .expect("the stop comes to its end");
    assert_eq!(number(&the_event(&bed, "HMB retained"), "Bytes"), 64 * MIB);
    let report = bed.unloaded();
    assert_eq!((report.enabled, report.disabled, report.freed), (1, 0, 0));
    assert_all_retained(&report);
}

rusty_fork_test! {
    #![rusty_fork(timeout_ms = 120_000)]

    #[test]
    fn refused_enable_gives_the_memory_back() {
        let report = runs_without("hmb,enable=refused", REFUSED);
        assert_eq!((report.enabled, report.freed), (0, 1));
    }

    #[test]
    fn refused_enable_that_was_carried_out_is_taken_back() {
        let report = runs_without_for("hmb", &[REFUSED_ALTHOUGH_TAKEN], REFUSED);
        assert_eq!((report.enabled, report.disabled, report.freed), (1, 1, 1));
    }

    #[test]
    fn refused_enable_and_refused_disable_need_a_reset() {
        let report = runs_without("hmb,enable=refused,disable=fails", REFUSED);
        assert_eq!((report.enabled, report.disabled, report.freed), (0, 0, 1));
        let report = runs_without_for("hmb,disable=fails", &[REFUSED_ALTHOUGH_TAKEN], REFUSED);
        assert_eq!((report.enabled, report.disabled, report.freed), (1, 0, 1));
    }

    #[test]
    fn unanswered_enable_is_no_proof_and_a_reset_is() {
        let report = runs_without("hmb,enable=never", NO_ANSWER);
        assert_eq!((report.enabled, report.disabled, report.freed), (1, 0, 1));
    }

    #[test]
    fn late_enable_is_treated_as_unanswered() {
        let report = runs_without("hmb,enable=late", NO_ANSWER);
        assert_eq!((report.enabled, report.disabled, report.freed), (1, 0, 1));
    }

    #[test]
    fn slow_enable_within_its_deadline_is_waited_for() {
        let (bed, _) = Bed::started("hmb,enable=late,late=5000");
        the_event(&bed, "HMB lent");
        let report = bed.finish();
        assert_eq!((report.enabled, report.disabled), (1, 1));
        assert_all_returned(&report);
    }

    #[test]
    fn failed_disable_is_made_good_by_the_shutdown() {
        shutdown_is_the_proof("hmb,disable=fails");
    }

    #[test]
    fn unanswered_disable_is_made_good_by_the_shutdown() {
        shutdown_is_the_proof("hmb,disable=never");
    }

    #[test]
    fn late_disable_is_made_good_by_the_shutdown() {
        shutdown_is_the_proof("hmb,disable=late");
    }

    #[test]
    fn slow_disable_within_its_deadline_is_waited_for() {
        let (bed, _) = Bed::started("hmb,disable=late,late=5000");
        let report = bed.finish();
        assert_eq!((report.disabled, report.freed), (1, 1));
        assert_all_returned(&report);
    }

    #[test]
    fn disable_is_enough_for_a_controller_that_does_not_reset() {
        let (bed, _) = Bed::started("hmb,reset=never");
        let report = bed.finish();
        assert_eq!((report.disabled, report.freed), (1, 1));
        assert_all_returned(&report);
    }

    #[test]
    fn memory_is_retained_when_neither_disable_nor_reset_succeeds() {
        is_retained("hmb,disable=fails,reset=never");
    }

    #[test]
    fn ranges_that_were_not_offered_are_retained_with_the_others() {
        is_retained("hmb,hmminds=2M,grant=ranges:32,disable=fails,reset=never");
    }

    #[test]
    fn memory_is_retained_when_neither_disable_nor_reset_is_answered() {
        is_retained("hmb,disable=never,reset=never");
    }

    #[test]
    fn memory_is_retained_when_the_disable_comes_too_late_and_no_reset_succeeds() {
        is_retained("hmb,disable=late,late=600000,reset=never");
    }

    #[test]
    fn memory_is_retained_without_a_plug_and_play_request_too() {
        is_retained("hmb,disable=never,reset=never,pnp=off");
    }

    #[test]
    fn unanswered_enable_of_a_controller_that_does_not_reset_is_retained() {
        let report = does_not_start("hmb,enable=never,reset=never", |bed| {
            assert_eq!(number(&the_event(bed, "HMB not lent"), "Why"), NO_ANSWER);
            assert_eq!(number(&the_event(bed, "HMB retained"), "Bytes"), 64 * MIB);
        });
        assert_eq!((report.enabled, report.freed), (1, 0));
        assert_all_retained(&report);
    }

    #[test]
    fn controller_that_does_not_reset_is_given_up_and_not_spoken_to() {
        let (mut bed, _) = Bed::started("hmb,reset=never");
        bed.machine.reset_bus().expect("the bus is reset");
        bed.machine.pass(60 * SECOND_NS).expect("time passes");
        the_event(&bed, "HMB retained");
        // No command goes to it any more, not even one to disable the buffer: it would break a rule.
        assert_all_retained(&bed.finish());
    }

    #[test]
    fn controller_that_panicked_and_ignores_cc_keeps_its_buffer() {
        let (mut bed, units) = Bed::started("hmb,dies=lent:0,death=panic");
        assert_eq!(read_until_dead(&mut bed, &units[0]), 2);
        bed.machine.reset_bus().expect("the bus is reset");
        bed.machine.pass(60 * SECOND_NS).expect("time passes");
        bed.machine.stop_and_remove().expect("the stop comes to its end");
        // CSTS.RDY was 0 all the time: that it reads as 0 after CC.EN = 0 proves nothing.
        assert_eq!(number(&the_event(&bed, "HMB retained"), "Bytes"), 64 * MIB);
        assert_all_retained(&bed.unloaded());
    }

    #[test]
    fn all_ones_without_a_notice_prove_nothing() {
        let (mut bed, units) = Bed::started("hmb,dies=lent:0,death=gone");
        assert_eq!(read_until_dead(&mut bed, &units[0]), 2);
        bed.machine.stop_and_remove().expect("the stop comes to its end");
        assert_eq!(number(&the_event(&bed, "HMB retained"), "Bytes"), 64 * MIB);
        assert_all_retained(&bed.unloaded());
    }

    #[test]
    fn all_ones_with_a_notice_are_proof() {
        let (mut bed, units) = Bed::started("hmb,dies=lent:0,death=gone");
        assert_eq!(read_until_dead(&mut bed, &units[0]), 2);
        let report = bed.pulled();
        assert_eq!((report.disabled, report.freed), (0, 1));
        assert_all_returned(&report);
    }

    #[test]
    fn free_that_the_port_driver_refuses_is_told_and_not_repeated() {
        let (mut bed, _) = Bed::started("hmb,free=unsuccessful");
        bed.machine.stop_and_remove().expect("the stop comes to its end");
        let failed = the_event(&bed, "HMB free failed");
        assert_eq!((number(&failed, "Bytes"), number(&failed, "Status")), (64 * MIB, 0xC100_0001));
        // A second call would free what is not granted, which is a violation.
        let report = bed.unloaded();
        assert_eq!((report.freed, report.left_to_port_bytes), (0, 64 * MIB));
    }
}

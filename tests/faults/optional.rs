//! Commands that a controller can be used without: the disk is there, whatever becomes of them.

use crate::bed::{Bed, transfer_16};
use crate::survives;
use portbed::machine::{Data, PowerAction};
use rusty_fork::rusty_fork_test;

const READ_16: u8 = 0x88;
/// SRB status.
const NO_HBA: u8 = 0x11;

/// The optional commands of a start.
const OPTIONAL: [&str; 5] = [
    "identify.cns=2",
    "identify.cns=3",
    "set-features.fid=7",
    "set-features.fid=0x0b",
    "get-features",
];

rusty_fork_test! {
    #![rusty_fork(timeout_ms = 240_000)]

    #[test]
    fn are_done_without_where_they_are_refused() {
        for command in OPTIONAL {
            let bed = survives("hmb", &[&format!("{command}:status=0/02")]);
            assert!(bed.fired()[0] > 0, "{command}");
            assert_eq!(bed.logged("Controller failed"), Vec::<String>::new(), "{command}");
            bed.finish();
        }
    }

    #[test]
    fn are_done_without_where_they_are_never_answered() {
        for command in OPTIONAL {
            let bed = survives("hmb", &[&format!("{command}:never")]);
            assert_eq!(bed.fired(), [1], "{command}: it is left out from then on");
            assert_eq!(bed.logged("Controller failed").len(), 1, "{command}");
            bed.finish();
        }
    }

    #[test]
    fn are_done_without_where_their_completions_are_damaged() {
        for command in OPTIONAL {
            for entry in ["sqid=7", "cid=0xffff", "sqhd=0xffff"] {
                let bed = survives("hmb", &[&format!("{command}:entry.{entry}")]);
                assert_eq!(bed.fired(), [1], "{command}: it is left out from then on");
                assert_eq!(bed.logged("Controller failed").len(), 1, "{command}");
                bed.finish();
            }
        }
    }

    #[test]
    fn are_done_without_one_after_the_other() {
        // The number of queues, the events, and the Host Memory Buffer.
        let bed = survives("hmb", &["set-features:entry.sqid=7:at=enable"]);
        assert_eq!(bed.fired(), [3]);
        bed.finish();
    }

    #[test]
    fn are_done_without_where_they_are_answered_with_nonsense() {
        for command in ["identify.cns=2", "identify.cns=3"] {
            for data in ["zeros", "ones", "noise", "same"] {
                let bed = survives("hmb", &[&format!("{command}:data={data}")]);
                assert!(bed.fired()[0] > 0, "{command}");
                bed.finish();
            }
        }
    }

    #[test]
    fn that_are_needed_are_sent_again_after_a_reset() {
        for command in ["identify.cns=1", "identify.cns=0", "create-io-completion-queue", "create-io-submission-queue"] {
            for fault in ["never", "status=0/06"] {
                // A namespace that cannot be identified is no reason to reset a controller.
                if (command, fault) == ("identify.cns=0", "status=0/06") {
                    continue;
                }
                let bed = survives("hmb", &[&format!("{command}:{fault}:nth=1")]);
                assert_eq!(bed.logged("Controller failed").len(), 1, "{command}");
                bed.finish();
            }
        }
    }

    /// The port driver's patience ends each time before the start does: that is not for ever.
    #[test]
    fn that_are_always_answered_too_late_for_the_port_driver_end_the_disk() {
        let mut bed = Bed::with_faults("hmb", &["create-io-completion-queue:delay=12s:at=reset"]);
        let units = bed.start();
        bed.machine.power_down(PowerAction::Sleep).expect("it sleeps");
        bed.machine.power_up().expect("it wakes");
        let ends: Vec<u8> = (0..8)
            .map(|_| bed.execute(&units[0], &transfer_16(READ_16, 0, 8), Data::In(4096)).srb_status)
            .collect();
        assert_eq!(ends.last(), Some(&NO_HBA), "{ends:x?}");
        assert!(!bed.logged("Controller failed").is_empty());
        bed.finish();
    }
}

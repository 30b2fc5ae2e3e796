//! Requests whose buffers the device may still use are held until it is known to have stopped.

use crate::bed::{Bed, transfer_16};
use portbed::machine::{Data, HmbReport, LogicalUnit, Request};
use rusty_fork::rusty_fork_test;

const MIB: u64 = 1 << 20;
const READ_16: u8 = 0x88;

/// Sends a read that is never answered, and waits for whatever comes: the SRB status, if it came back.
fn reads(bed: &mut Bed, unit: &LogicalUnit) -> Option<u8> {
    let request = Request {
        unit: unit.address,
        cdb: transfer_16(READ_16, 0, 8),
        data: Data::In(4096),
        ..Request::default()
    };
    let token = bed.machine.submit(request).expect("it fits");
    bed.machine
        .drain()
        .expect("the driver runs on")
        .into_iter()
        .find_map(|(done, completed)| (done == token).then_some(completed.srb_status))
}

/// The controller dies of the first read in this way: the read is held, and comes back when the adapter is removed.
fn is_held(death: &str, removed: impl Fn(Bed) -> HmbReport) -> HmbReport {
    let mut bed = Bed::with_faults("hmb", &[&format!("read:{death}:nth=1")]);
    let units = bed.start();
    assert_eq!(reads(&mut bed, &units[0]), None, "{death}");
    assert!(!bed.logged("Requests held").is_empty(), "{death}");
    assert_eq!(bed.count("a request is held"), 1);
    removed(bed)
}

rusty_fork_test! {
    #![rusty_fork(timeout_ms = 120_000)]

    #[test]
    fn of_a_controller_that_panicked_until_it_is_removed() {
        for panic in ["panic=2", "panic=0x3", "panic=0"] {
            let report = is_held(panic, Bed::finish);
            assert_eq!(report.retained_bytes, 64 * MIB, "{panic}");
        }
    }

    #[test]
    fn of_a_controller_whose_link_is_down_until_it_is_removed() {
        let report = is_held("die=gone", Bed::finish);
        assert_eq!(report.retained_bytes, 64 * MIB);
    }

    /// A device that was pulled out uses nothing any more.
    #[test]
    fn and_come_back_with_proof_where_it_is_pulled_out() {
        let report = is_held("die=gone", Bed::pulled);
        assert_eq!((report.retained_bytes, report.freed), (0, 1));
    }

    #[test]
    fn not_by_a_controller_that_restarts_in_time() {
        let mut bed = Bed::with_faults("hmb", &["read:panic=2,2s:nth=1"]);
        let units = bed.start();
        assert_eq!(reads(&mut bed, &units[0]), Some(0x0E));
        assert_eq!(bed.logged("Requests held"), Vec::<String>::new());
        assert_eq!(bed.finish().retained_bytes, 0);
    }

    /// What was given up may still stop later.
    #[test]
    fn until_a_later_reset_is_obeyed() {
        let mut bed = Bed::with_faults("hmb", &["read:panic=2,19s:nth=1"]);
        let units = bed.start();
        assert!(reads(&mut bed, &units[0]).is_some());
        assert!(!bed.logged("Requests held").is_empty());
        assert_eq!(bed.finish().retained_bytes, 0);
    }

    #[test]
    fn at_dirql_where_nothing_can_wait_memory_is_retained() {
        let (mut bed, _) = Bed::started("hmb,disable=fails,stop=dirql-nodpc,pnp=off");
        bed.machine.stop_and_remove().expect("the adapter stops");
        let report = bed.unloaded();
        assert_eq!((report.retained_bytes, report.outstanding_bytes), (64 * MIB, 0));
    }
}

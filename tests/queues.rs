//! I/O queue pairs: how many there are, which of them a request goes to, and what becomes of requests on all of them.
#![cfg(target_os = "linux")]

mod bed;

use bed::{Bed, transfer_16};
use portbed::cli::profile::Selection;
use portbed::controller::ModelController;
use portbed::machine::{Clock, Data, LogicalUnit, PowerAction, Request};
use rusty_fork::rusty_fork_test;

const READ_16: u8 = 0x88;

/// The driver on so many processors, its disks enumerated.
fn started(profile: &str, cpus: u32, faults: &[&str]) -> (Bed, Vec<LogicalUnit>) {
    let mut selection = Selection::parse(profile).expect("a profile");
    let faults = faults.iter().map(|fault| fault.parse().expect("a fault"));
    selection.device.faults = faults.collect();
    selection.device.check().expect("a possible controller");
    let media = selection.device.memory();
    let controller = ModelController::new(&selection.device, media);
    let mut bed = Bed::with_clock(selection, Box::new(controller), Clock::Deterministic, cpus);
    let units = bed.start();
    (bed, units)
}

/// How many pairs there are on so many processors, as the controller and the driver say.
fn pairs(profile: &str, cpus: u32) -> usize {
    let (mut bed, units) = started(profile, cpus, &[]);
    bed.fill(&units[0], 1);
    let pairs = bed.controller_said("I/O submission queue");
    let told = bed.logged(&format!("I/O queue pairs, Pairs={pairs},"));
    assert_eq!(told.len(), 1, "{pairs}");
    bed.machine
        .power_down(PowerAction::None)
        .expect("it sleeps");
    bed.machine.power_up().expect("it wakes");
    bed.expect_filled(&units[0], 1);
    assert_eq!(bed.controller_said("I/O submission queue"), 2 * pairs);
    bed.finish();
    pairs
}

rusty_fork_test! {
    #![rusty_fork(timeout_ms = 120_000)]

    #[test]
    fn each_processor_has_a_pair() {
        assert_eq!(pairs("hmb", 1), 1);
        assert_eq!(pairs("hmb", 4), 4);
        assert_eq!(pairs("hmb", 11), 11);
    }

    #[test]
    fn processors_share_pairs_where_there_are_fewer() {
        assert_eq!(pairs("hmb,queues=3", 8), 3);
        assert_eq!(pairs("hmb,messages=5", 8), 4);
        assert_eq!(pairs("hmb,interrupts=message", 4), 1);
        assert_eq!(pairs("hmb,interrupts=line", 4), 1);
        assert_eq!(pairs("hmb,interrupts=msi,msi=4", 8), 3);
    }

    #[test]
    fn requests_of_every_pair_come_back_from_a_reset() {
        let faults = ["write:never:every=9"];
        let (mut bed, units) = started("hmb,capacity=64M", 4, &faults);
        let begun = bed.begin_fill(&units[0], 3);
        bed.finish_fill(begun);
        bed.expect_filled(&units[0], 3);
        assert!(bed.controller_said("CC.EN cleared") > 0);
        bed.finish();
    }

    #[test]
    fn a_thousand_requests_are_with_the_controller_at_once() {
        const REQUESTS: u64 = 1000;
        let (mut bed, units) = started("plain,capacity=64M", 4, &["read:delay=1s:every=1"]);
        let before_ns = bed.machine.now_ns();
        for lba in 0..REQUESTS {
            let request = Request {
                unit: units[0].address,
                cdb: transfer_16(READ_16, lba, 1),
                data: Data::In(512),
                ..Request::default()
            };
            bed.machine.submit(request).expect("it fits");
        }
        let mut answered = 0;
        while let Some((_, completed)) = bed.machine.wait_any().expect("the driver runs on") {
            assert!(completed.succeeded(), "{completed:?}");
            answered += 1;
        }
        assert_eq!(answered, REQUESTS);
        // Each takes a second; a thousand of them take no more than two together.
        assert!(bed.machine.now_ns() - before_ns < 2_000_000_000);
        bed.finish();
    }
}

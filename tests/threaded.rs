//! The driver on processors that run in parallel, in real time: what it does at once on several of them.
#![cfg(target_os = "linux")]

mod bed;

use std::io::Write as _;

use bed::{Bed, transfer_16};
use portbed::cli::profile::Selection;
use portbed::controller::{Controller, ModelController, Qemu, QemuController};
use portbed::disk::Backing;
use portbed::machine::{Clock, Completed, Data, LogicalUnit, MachineError, PowerAction, Request};
use rusty_fork::rusty_fork_test;

const BUS_RESET: u8 = 0x0E;

/// Blocks of 512 bytes in a request.
const BLOCKS: u32 = 8;
/// Requests that are sent at once.
const REQUESTS: u64 = 64;
/// As many times: more than enough for requests of any turn to meet a reset.
const TURNS: u8 = 12;

/// The driver on four processors with the model of this profile, its disks enumerated.
fn started(profile: &str) -> (Bed, Vec<LogicalUnit>) {
    let selection = Selection::parse(profile).expect("a profile");
    selection.device.check().expect("a possible controller");
    let media = selection.device.memory();
    let controller = ModelController::new(&selection.device, media);
    started_on(selection, Box::new(controller))
}

fn started_on(selection: Selection, controller: Box<dyn Controller>) -> (Bed, Vec<LogicalUnit>) {
    let mut bed = Bed::with_clock(selection, controller, Clock::Threaded, 4);
    bed.machine.start_adapter().expect("the adapter starts");
    let units = bed.machine.enumerate().expect("the disks answer");
    (bed, units)
}

/// The same on QEMU's NVMe device; the file behind its namespace is to be kept.
fn started_on_qemu(profile: &str) -> Option<(Bed, Vec<LogicalUnit>, Backing)> {
    let program = match Qemu::find(None) {
        Ok(program) => program,
        Err(why) if std::env::var_os("CI").is_none() => {
            // Around the capture of the test harness, so that it is seen.
            let _ = writeln!(std::io::stderr(), "not tested: {why}");
            return None;
        }
        Err(why) => panic!("{why}"),
    };
    let selection = Selection::parse(&format!("qemu:{profile}")).expect("a profile");
    let device = selection.qemu.clone().expect("a profile of QEMU's device");
    let backing = Backing::temporary(device.geometry().capacity_bytes).expect("an image");
    let file = backing.handle().expect("a handle");
    let controller = QemuController::new(program, device, vec![file]);
    let (bed, units) = started_on(selection, Box::new(controller));
    Some((bed, units, backing))
}

/// What turn `turn` writes with its request `request`.
fn content(turn: u8, request: u64) -> Vec<u8> {
    let bytes = BLOCKS as usize * 512;
    let word = u64::from(turn) << 32 | request;
    word.to_le_bytes().into_iter().cycle().take(bytes).collect()
}

/// Sends every write of a turn at once.
fn submit_writes(bed: &mut Bed, unit: &LogicalUnit, turn: u8) {
    for request in 0..REQUESTS {
        let data = Data::Out(content(turn, request));
        submit(bed, unit, 0x8A, request, data).expect("the driver runs on");
    }
}

fn submit(
    bed: &mut Bed,
    unit: &LogicalUnit,
    opcode: u8,
    request: u64,
    data: Data,
) -> Result<portbed::machine::Token, MachineError> {
    bed.machine.submit(Request {
        unit: unit.address,
        cdb: transfer_16(opcode, request * u64::from(BLOCKS), BLOCKS),
        data,
        ..Request::default()
    })
}

/// Waits for every request: as many as were sent.
fn drain(bed: &mut Bed) -> Vec<Completed> {
    let completed = bed.machine.drain().expect("the driver runs on");
    assert_eq!(completed.len() as u64, REQUESTS, "each comes back once");
    completed
        .into_iter()
        .map(|(_, completed)| completed)
        .collect()
}

/// Writes everything, reads it back all at once, and compares.
fn write_and_compare(bed: &mut Bed, unit: &LogicalUnit, turn: u8) {
    submit_writes(bed, unit, turn);
    assert!(drain(bed).iter().all(Completed::succeeded));
    compare(bed, unit, turn);
}

fn compare(bed: &mut Bed, unit: &LogicalUnit, turn: u8) {
    let mut tokens = Vec::new();
    for request in 0..REQUESTS {
        let data = Data::In(BLOCKS as usize * 512);
        tokens.push(submit(bed, unit, 0x88, request, data).expect("the driver runs on"));
    }
    let mut read = bed.machine.drain().expect("the driver runs on");
    read.sort_by_key(|(token, _)| tokens.iter().position(|sent| sent == token));
    assert_eq!(read.len() as u64, REQUESTS);
    for (request, (_, completed)) in (0..).zip(&read) {
        assert!(
            completed.data == content(turn, request),
            "request {request}"
        );
    }
}

/// Resets the bus while requests are on their way: each comes back once, done or reset, and afterwards all work. How many came back
/// as reset: none where a fast device has answered them all by then.
fn reset_under_io(bed: &mut Bed, unit: &LogicalUnit) -> u32 {
    let mut reset = 0;
    for turn in 1..=TURNS {
        submit_writes(bed, unit, turn);
        bed.machine.reset_bus().expect("the driver runs on");
        for completed in drain(bed) {
            let status = completed.srb_status;
            assert!(completed.succeeded() || status == BUS_RESET, "{status:#x}");
            reset += u32::from(status == BUS_RESET);
        }
        write_and_compare(bed, unit, 100 + turn);
    }
    reset
}

/// Starts, moves data, and is removed.
fn comes_and_goes(profile: &str) {
    let (mut bed, units) = started(profile);
    for turn in 1..=TURNS {
        write_and_compare(&mut bed, &units[0], turn);
    }
    bed.finish();
}

rusty_fork_test! {
    #![rusty_fork(timeout_ms = 180_000)]

    #[test]
    fn requests_of_several_processors_keep_their_data() {
        comes_and_goes("hmb,capacity=64M");
    }

    #[test]
    fn one_message_serves_several_processors() {
        comes_and_goes("hmb,capacity=64M,interrupts=message");
    }

    #[test]
    fn the_line_serves_several_processors() {
        comes_and_goes("hmb,capacity=64M,interrupts=line");
    }

    #[test]
    fn lent_memory_survives_every_kind_of_power_cycle() {
        let (mut bed, units) = started("hmb,capacity=64M");
        let actions = [PowerAction::None, PowerAction::Sleep, PowerAction::Hibernate];
        for (turn, action) in (1..).zip(actions) {
            write_and_compare(&mut bed, &units[0], turn);
            bed.machine.power_down(action).expect("the adapter sleeps");
            bed.machine.power_up().expect("the adapter wakes");
            compare(&mut bed, &units[0], turn);
        }
        let hmb = bed.finish();
        assert_eq!((hmb.enabled, hmb.disabled, hmb.freed), (4, 4, 1), "{hmb:?}");
        assert_eq!(hmb.outstanding_bytes, 0);
    }

    #[test]
    fn memory_in_many_ranges_is_given_back_at_a_stop_at_dirql() {
        let (mut bed, units) = started("hmb,capacity=64M,grant=ranges:16,pnp=off,stop=dirql");
        write_and_compare(&mut bed, &units[0], 1);
        let hmb = bed.finish();
        assert_eq!((hmb.freed, hmb.outstanding_bytes), (1, 0), "{hmb:?}");
    }

    #[test]
    fn reset_under_io_loses_no_request_and_no_data() {
        let (mut bed, units) = started("hmb,capacity=64M");
        let reset = reset_under_io(&mut bed, &units[0]);
        assert!(reset > 0, "no reset came while requests were outstanding");
        let hmb = bed.finish();
        assert!(hmb.enabled > 1 && hmb.freed > 0, "lent again after a reset: {hmb:?}");
        assert_eq!(hmb.outstanding_bytes, 0);
    }

    #[test]
    fn removal_under_io_brings_every_request_back() {
        let (mut bed, units) = started("hmb,capacity=64M");
        write_and_compare(&mut bed, &units[0], 1);
        submit_writes(&mut bed, &units[0], 2);
        bed.machine.surprise_remove().expect("the adapter goes");
        drain(&mut bed);
        let hmb = bed.unloaded();
        assert_eq!((hmb.freed, hmb.outstanding_bytes), (1, 0), "{hmb:?}");
    }

    #[test]
    fn qemu_keeps_the_data_through_resets_and_a_power_cycle() {
        let Some((mut bed, units, _backing)) = started_on_qemu("capacity=64M") else {
            return;
        };
        reset_under_io(&mut bed, &units[0]);
        bed.machine.power_down(PowerAction::Sleep).expect("the adapter sleeps");
        bed.machine.power_up().expect("the adapter wakes");
        compare(&mut bed, &units[0], 100 + TURNS);
        bed.finish();
    }

    #[test]
    fn qemu_that_goes_under_io_brings_every_request_back() {
        let Some((mut bed, units, _backing)) = started_on_qemu("capacity=64M") else {
            return;
        };
        submit_writes(&mut bed, &units[0], 1);
        bed.machine.surprise_remove().expect("the adapter goes");
        drain(&mut bed);
        bed.unloaded();
    }
}

//! The driver on QEMU's NVMe device, which nobody here wrote: start, I/O, resets, power, removal.
#![cfg(target_os = "linux")]

mod bed;
mod differential;

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::FileExt;
use std::process::Command;

use bed::Bed;
use portbed::cli::profile::Selection;
use portbed::controller::{Qemu, QemuController};
use portbed::disk::{Backing, Disk, Unit};
use portbed::machine::{Data, LogicalUnit, PowerAction, Request};
use portbed::workload;
use rusty_fork::rusty_fork_test;

const BUS_RESET: u8 = 0x0E;

/// QEMU, which everybody must have where CI says so; elsewhere its absence is told.
fn qemu() -> Option<Qemu> {
    match Qemu::find(None) {
        Ok(program) => Some(program),
        Err(why) if std::env::var_os("CI").is_none() => {
            // Around the capture of the test harness, so that it is seen.
            let _ = writeln!(std::io::stderr(), "not tested: {why}");
            None
        }
        Err(why) => panic!("{why}"),
    }
}

/// The driver on QEMU's device of this profile, with an image behind each namespace.
fn on_qemu(profile: &str, program: Qemu) -> (Bed, Vec<Backing>) {
    let selection = Selection::parse(&format!("qemu:{profile}")).expect("a profile");
    let device = selection.qemu.clone().expect("a profile of QEMU's device");
    let geometry = device.geometry();
    let backings: Vec<Backing> = (0..geometry.namespaces)
        .map(|_| Backing::temporary(geometry.capacity_bytes).expect("an image"))
        .collect();
    let files: Vec<File> = backings
        .iter()
        .map(|backing| backing.handle().expect("a handle"))
        .collect();
    let controller = QemuController::new(program, device, files);
    (
        Bed::with_controller(selection, Box::new(controller)),
        backings,
    )
}

/// As [`on_qemu`], with the adapter started and its disks enumerated.
fn started(profile: &str) -> Option<(Bed, Vec<LogicalUnit>, Vec<Backing>)> {
    let (mut bed, backings) = on_qemu(profile, qemu()?);
    bed.machine.start_adapter().expect("the adapter starts");
    let units = bed.machine.enumerate().expect("the disks answer");
    assert_eq!(units.len(), backings.len());
    Some((bed, units, backings))
}

/// Starts, answers, and is removed.
fn comes_and_goes(profile: &str) {
    if let Some((mut bed, units, _)) = started(profile) {
        assert!(bed.execute(&units[0], &[0; 6], Data::None).succeeded());
        bed.finish();
    }
}

/// A file system on every namespace, a power cycle, everything read back and compared: through the driver, and in the
/// files behind the namespaces.
fn main_job(profile: &str) {
    let Some((mut bed, units, backings)) = started(profile) else {
        return;
    };
    let mut disks = Vec::new();
    for (seed, (unit, backing)) in (1..).zip(units.iter().zip(&backings)) {
        let shadow = backing.shadow(unit.block_bytes).expect("a shadow copy");
        let mut disk = Disk::new(shadow, seed);
        assert_eq!(disk.geometry().blocks, unit.blocks);
        let mut transport = Unit::new(&mut bed.machine, unit, seed);
        let content = workload::fill(&mut disk, &mut transport, seed).expect("a file system");
        disks.push((disk, content));
    }
    cycle(&mut bed, PowerAction::None);
    for (unit, (disk, content)) in units.iter().zip(&mut disks) {
        let mut transport = Unit::new(&mut bed.machine, unit, 9);
        let reading = workload::read_back(disk, &mut transport, content).expect("reads");
        assert_eq!(reading.wrong, Vec::<String>::new());
        disk.verify(&mut transport, u64::MAX).expect("reads");
    }
    bed.finish();
    for ((mut disk, _), backing) in disks.into_iter().zip(&backings) {
        disk.verify_outside(backing).expect("the file");
        assert_eq!(disk.io().failed, 0);
        assert_eq!(disk.io().mismatched_bytes, 0, "{:?}", disk.differences());
    }
}

fn cycle(bed: &mut Bed, action: PowerAction) {
    bed.machine.power_down(action).expect("the adapter sleeps");
    bed.machine.power_up().expect("the adapter wakes");
}

fn write_16(lba: u64, blocks: u32) -> Vec<u8> {
    let mut cdb = vec![0x8A, 0];
    cdb.extend(lba.to_be_bytes());
    cdb.extend(blocks.to_be_bytes());
    cdb.extend([0, 0]);
    cdb
}

/// Sends a write for each of `lbas`, eight blocks of 512 bytes that all hold `value`.
fn submit_writes(bed: &mut Bed, unit: &LogicalUnit, lbas: impl Iterator<Item = u64>, value: u8) {
    for lba in lbas {
        let request = Request {
            unit: unit.address,
            cdb: write_16(lba, 8),
            data: Data::Out(vec![value; 4096]),
            ..Request::default()
        };
        bed.machine.submit(request).expect("the driver runs on");
    }
}

/// The processes that this one has started.
fn children() -> String {
    let threads = std::fs::read_dir("/proc/self/task").expect("threads");
    threads
        .map(|thread| thread.expect("a thread").path().join("children"))
        .map(|path| std::fs::read_to_string(path).unwrap_or_default())
        .collect()
}

rusty_fork_test! {
    #![rusty_fork(timeout_ms = 180_000)]

    #[test]
    fn message_for_each_queue() {
        comes_and_goes("capacity=64M,interrupts=messages");
    }

    #[test]
    fn one_message_for_all() {
        comes_and_goes("capacity=64M,interrupts=message");
    }

    #[test]
    fn one_queue_pair_and_two_messages() {
        comes_and_goes("capacity=64M,max_ioqpairs=1,msix_qsize=2");
    }

    #[test]
    fn stop_at_dirql_without_a_dpc() {
        comes_and_goes("capacity=64M,pnp=off,stop=dirql-nodpc");
    }

    #[test]
    fn file_system_in_blocks_of_512() {
        main_job("capacity=64M");
    }

    #[test]
    fn file_system_in_blocks_of_4096_and_small_transfers() {
        main_job("capacity=64M,logical_block_size=4096,mdts=2");
    }

    #[test]
    fn file_systems_on_two_namespaces() {
        main_job("capacity=32M,namespaces=2");
    }

    #[test]
    fn every_kind_of_power_cycle_keeps_the_data() {
        let Some((mut bed, units, backings)) = started("capacity=64M") else {
            return;
        };
        let actions = [PowerAction::None, PowerAction::Sleep, PowerAction::Hibernate];
        for (turn, action) in (1..).zip(actions) {
            submit_writes(&mut bed, &units[0], (0..64).map(|lba| lba * 8), turn);
            let completed = bed.machine.drain().expect("the driver runs on");
            assert!(completed.iter().all(|(_, completed)| completed.succeeded()));
            cycle(&mut bed, action);
            let read = bed.execute(&units[0], &[0x28, 0, 0, 0, 0, 0, 0, 0, 128, 0], Data::In(65536));
            assert!(read.succeeded());
            assert!(read.data.iter().all(|&byte| byte == turn), "{action:?}");
        }
        bed.finish();
        let mut found = vec![0; 64 * 4096];
        let file = backings[0].handle().expect("a handle");
        file.read_exact_at(&mut found, 0).expect("the data");
        assert!(found.iter().all(|&byte| byte == 3));
    }

    #[test]
    fn reset_under_io_loses_no_request_and_no_data() {
        let Some((mut bed, units, _)) = started("capacity=64M") else {
            return;
        };
        let mut reset = 0;
        for turn in 1..=20 {
            submit_writes(&mut bed, &units[0], (0..64).map(|lba| lba * 8), turn);
            bed.machine.reset_bus().expect("the driver runs on");
            let completed = bed.machine.drain().expect("the driver runs on");
            assert_eq!(completed.len(), 64);
            for (_, completed) in &completed {
                let status = completed.srb_status;
                assert!(completed.succeeded() || status == BUS_RESET, "{status:#x}");
                reset += u32::from(status == BUS_RESET);
            }
            submit_writes(&mut bed, &units[0], (0..64).map(|lba| lba * 8), 100 + turn);
            let completed = bed.machine.drain().expect("the driver runs on");
            assert!(completed.iter().all(|(_, completed)| completed.succeeded()));
            let read = bed.execute(&units[0], &[0x28, 0, 0, 0, 0, 0, 0, 2, 0, 0], Data::In(262_144));
            assert!(read.data.iter().all(|&byte| byte == 100 + turn));
        }
        assert!(reset > 0, "no reset came while requests were outstanding");
        bed.finish();
    }

    #[test]
    fn surprise_removal() {
        if let Some((mut bed, units, _)) = started("capacity=64M") {
            submit_writes(&mut bed, &units[0], (0..64).map(|lba| lba * 8), 1);
            bed.pulled();
        }
    }

    #[test]
    fn qemu_that_stops_to_answer_ends_the_run() {
        let Some((mut bed, units, _)) = started("capacity=64M") else {
            return;
        };
        let process = children();
        let stopped = Command::new("sh").args(["-c", &format!("kill -STOP {process}")]).status();
        assert!(stopped.expect("a shell").success());
        let completed = bed.execute(&units[0], &write_16(0, 1), Data::Out(vec![1; 512]));
        assert!(!completed.succeeded());
        let failure = bed.machine.controller_failure().expect("a failure");
        assert!(failure.contains("has not answered"), "{failure}");
        assert_eq!(children(), "", "nothing is left running");
    }

    #[test]
    fn property_that_qemu_does_not_have_is_told_in_one_line() {
        if let Some(program) = qemu() {
            let told = std::panic::catch_unwind(|| on_qemu("nosuch=1", program));
            let told = told.err().expect("no machine");
            let told = told.downcast_ref::<String>().expect("a message");
            assert!(told.contains("Property 'nvme.nosuch' not found"), "{told}");
        }
    }
}

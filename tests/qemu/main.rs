//! What is special to QEMU's NVMe device. What happens to the driver on it as on other controllers is in `tests/controllers`.
#![cfg(target_os = "linux")]

#[path = "../bed/mod.rs"]
mod bed;
#[path = "../differential/mod.rs"]
mod differential;
mod dma;
mod errors;
#[path = "../seeded/breaker/src/faults.rs"]
#[allow(dead_code, reason = "one table for all tests of the breaker")]
mod faults;
mod lifecycle;
mod process;
mod slot;

use std::fs::File;
use std::io::Write as _;

use bed::Bed;
use portbed::cli::profile::Selection;
use portbed::controller::{Qemu, QemuController};
use portbed::disk::Backing;
use portbed::machine::{Data, LogicalUnit, Request};

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

/// QEMU's device of this profile, with an image behind each namespace.
fn device(profile: &str, program: Qemu) -> (Selection, QemuController, Vec<Backing>) {
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
    (selection, controller, backings)
}

/// The driver on [`device`].
fn on_qemu(profile: &str, program: Qemu) -> (Bed, Vec<Backing>) {
    let (selection, controller, backings) = device(profile, program);
    let bed = Bed::with_controller(selection, Box::new(controller));
    (bed, backings)
}

/// Starts the adapter and enumerates its disks.
fn start(bed: &mut Bed, disks: usize) -> Vec<LogicalUnit> {
    bed.machine.start_adapter().expect("the adapter starts");
    let units = bed.machine.enumerate().expect("the disks answer");
    assert_eq!(units.len(), disks);
    units
}

/// As [`on_qemu`], with the adapter started and its disks enumerated.
fn started(profile: &str) -> Option<(Bed, Vec<LogicalUnit>, Vec<Backing>)> {
    let (mut bed, backings) = on_qemu(profile, qemu()?);
    let units = start(&mut bed, backings.len());
    Some((bed, units, backings))
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

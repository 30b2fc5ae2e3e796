//! The built image on a virtual machine, ready for a scenario. Each scenario runs in a process of its own, because a driver
//! that faults cannot be unwound.
#![allow(dead_code, reason = "each test file uses what it needs")]

use std::collections::HashMap;

use portbed::cli::profile::Selection;
use portbed::controller::{Controller, ModelController};
use portbed::journal::{Event, Journal, Who};
use portbed::machine::{
    Clock, Completed, Data, HmbReport, LogicalUnit, Machine, MachineOptions, Request, Token,
};

use nvme_model::Media;

/// SRB status.
const BUSY: u8 = 0x05;
const BUS_RESET: u8 = 0x0E;
const WRITE_16: u8 = 0x8A;
const READ_16: u8 = 0x88;
const FILLED_BLOCKS: u64 = 4096;
const FILLED_AT_ONCE: u32 = 16;

/// READ (16), WRITE (16) and their like, of so many blocks.
pub fn transfer_16(opcode: u8, lba: u64, blocks: u32) -> Vec<u8> {
    let mut cdb = vec![opcode, 0];
    cdb.extend(lba.to_be_bytes());
    cdb.extend(blocks.to_be_bytes());
    cdb.extend([0, 0]);
    cdb
}

/// Data that no other block and no other salt has.
fn contents(unit: &LogicalUnit, lba: u64, salt: u64) -> Vec<u8> {
    let words = u64::from(FILLED_AT_ONCE * unit.block_bytes) / 8;
    (0..words)
        .flat_map(|word| (salt << 56 ^ lba << 32 ^ word.wrapping_mul(0x9E37_79B9)).to_le_bytes())
        .collect()
}

/// The driver in a machine.
pub struct Bed {
    pub machine: Machine,
    journal: Journal,
}

impl Bed {
    /// Loads the image into a machine with the controller, port driver and registry that `profile` describes.
    pub fn new(profile: &str) -> Self {
        let selection = Selection::parse(profile).expect("a profile");
        let media = selection.device.memory();
        Self::with_media(selection, media)
    }

    /// As [`new`](Self::new), with faults of the controller.
    pub fn with_faults(profile: &str, faults: &[&str]) -> Self {
        let mut selection = Selection::parse(profile).expect("a profile");
        let faults = faults.iter().map(|spec| spec.parse().expect("a fault"));
        selection.device.faults = faults.collect();
        let media = selection.device.memory();
        Self::with_media(selection, media)
    }

    /// How often each fault of the controller happened.
    pub fn fired(&self) -> Vec<u64> {
        let faults = self.machine.faults();
        faults.iter().map(|fault| fault.fired).collect()
    }

    /// As [`new`](Self::new), with media of the caller's.
    pub fn with_media(selection: Selection, media: Vec<Box<dyn Media>>) -> Self {
        selection.device.check().expect("a possible controller");
        let controller = ModelController::new(&selection.device, media);
        Self::with_controller(selection, Box::new(controller))
    }

    /// As [`new`](Self::new), with a controller of the caller's.
    pub fn with_controller(selection: Selection, controller: Box<dyn Controller>) -> Self {
        Self::with_clock(selection, controller, Clock::Deterministic, 2)
    }

    /// As [`with_controller`](Self::with_controller), on `cpus` processors that run by `clock`.
    pub fn with_clock(
        selection: Selection,
        controller: Box<dyn Controller>,
        clock: Clock,
        cpus: u32,
    ) -> Self {
        Self::with_controllers(selection, vec![controller], clock, cpus)
    }

    /// As [`new`](Self::new), with several adapters, all of the same kind.
    pub fn with_adapters(profile: &str, adapters: usize) -> Self {
        let selection = Selection::parse(profile).expect("a profile");
        selection.device.check().expect("a possible controller");
        let controllers = (0..adapters).map(|_| {
            let media = selection.device.memory();
            Box::new(ModelController::new(&selection.device, media)) as Box<dyn Controller>
        });
        let controllers = controllers.collect();
        Self::with_controllers(selection, controllers, Clock::Deterministic, 2)
    }

    /// As [`new`](Self::new), with an adapter for each profile. The port driver and the registry are those of the first.
    pub fn with_each(profiles: &[&str]) -> Self {
        let select = |profile: &&str| Selection::parse(profile).expect("a profile");
        let selections: Vec<Selection> = profiles.iter().map(select).collect();
        let controllers = selections.iter().map(|selection| {
            selection.device.check().expect("a possible controller");
            let media = selection.device.memory();
            Box::new(ModelController::new(&selection.device, media)) as Box<dyn Controller>
        });
        let controllers = controllers.collect();
        let first = selections.into_iter().next().expect("an adapter");
        Self::with_controllers(first, controllers, Clock::Deterministic, 2)
    }

    fn with_controllers(
        selection: Selection,
        controllers: Vec<Box<dyn Controller>>,
        clock: Clock,
        cpus: u32,
    ) -> Self {
        let journal = Journal::default();
        let machine = Machine::new(MachineOptions {
            cpus,
            clock,
            seed: 1,
            port: selection.port,
            registry: selection.registry,
            controllers,
            journal: journal.clone(),
        })
        .expect("a machine");
        let mut bed = Self { machine, journal };
        bed.load();
        bed
    }

    /// Loads the image, as `new` does.
    pub fn load(&mut self) {
        let image = wdk_linux::image().expect("the image builds");
        self.machine.load(&image.sys).expect("DriverEntry succeeds");
    }

    /// Starts the adapter and enumerates its disks.
    pub fn start(&mut self) -> Vec<LogicalUnit> {
        self.machine.start_adapter().expect("the adapter starts");
        self.machine.enumerate().expect("the disks answer")
    }

    /// As [`new`](Self::new), with the adapter started and its disks enumerated.
    pub fn started(profile: &str) -> (Self, Vec<LogicalUnit>) {
        let mut bed = Self::new(profile);
        let units = bed.start();
        (bed, units)
    }

    /// One request, to its end.
    pub fn execute(&mut self, unit: &LogicalUnit, cdb: &[u8], data: Data) -> Completed {
        let request = Request {
            unit: unit.address,
            cdb: cdb.to_vec(),
            data,
            ..Request::default()
        };
        self.machine.execute(request).expect("the driver runs on")
    }

    /// Writes data that says where it belongs to the first blocks of a unit.
    pub fn fill(&mut self, unit: &LogicalUnit, salt: u64) {
        let begun = self.begin_fill(unit, salt);
        self.finish_fill(begun);
    }

    /// Sends the writes of [`fill`](Self::fill), several more than the controller can have finished by then.
    pub fn begin_fill(&mut self, unit: &LogicalUnit, salt: u64) -> Vec<(Token, Request)> {
        let starts = (0..FILLED_BLOCKS).step_by(FILLED_AT_ONCE as usize);
        let requests = starts.map(|lba| Request {
            unit: unit.address,
            cdb: transfer_16(WRITE_16, lba, FILLED_AT_ONCE),
            data: Data::Out(contents(unit, lba, salt)),
            ..Request::default()
        });
        requests.map(|request| self.begin(request)).collect()
    }

    fn begin(&mut self, request: Request) -> (Token, Request) {
        let token = self.machine.submit(request.clone()).expect("it fits");
        (token, request)
    }

    /// Waits for writes that were begun. One that a reset ended is sent again, as a disk class driver does.
    pub fn finish_fill(&mut self, begun: Vec<(Token, Request)>) {
        let mut begun: HashMap<Token, Request> = begun.into_iter().collect();
        while let Some((token, completed)) = self.machine.wait_any().expect("the driver runs on") {
            let Some(request) = begun.remove(&token) else {
                continue;
            };
            if completed.srb_status == BUS_RESET {
                begun.extend([self.begin(request)]);
            } else {
                assert!(completed.succeeded(), "{completed:?}");
            }
        }
        assert!(begun.is_empty(), "{begun:?}");
    }

    /// Reads back what [`fill`](Self::fill) wrote.
    pub fn expect_filled(&mut self, unit: &LogicalUnit, salt: u64) {
        for lba in (0..FILLED_BLOCKS).step_by(FILLED_AT_ONCE as usize) {
            let expected = contents(unit, lba, salt);
            let read = self.execute(
                unit,
                &transfer_16(READ_16, lba, FILLED_AT_ONCE),
                Data::In(expected.len()),
            );
            assert!(read.succeeded(), "{read:?}");
            assert!(read.data == expected, "blocks from {lba} on differ");
        }
    }

    /// What the driver logged with this text, oldest first.
    pub fn logged(&self, text: &str) -> Vec<String> {
        let events = self.journal.events();
        let ours = events.iter().filter(|event| event.who == Who::Driver);
        ours.filter(|event| event.what.starts_with(text))
            .map(|event| event.what.clone())
            .collect()
    }

    /// How often the driver asked the port driver for host memory.
    pub fn asked_for_host_memory(&self) -> usize {
        let asked = |what: &str| what.starts_with("host memory asked for");
        let events = self.journal.events();
        events.iter().filter(|event| asked(&event.what)).count()
    }

    /// How often the controller told this.
    pub fn controller_said(&self, text: &str) -> usize {
        let events = self.journal.events();
        let told = |event: &&Event| event.who == Who::Controller && event.what.contains(text);
        events.iter().filter(told).count()
    }

    /// How often the port driver told this.
    pub fn count(&self, text: &str) -> usize {
        let events = self.journal.events();
        let told = |event: &&Event| event.who == Who::Port && event.what.contains(text);
        events.iter().filter(told).count()
    }

    /// Removes the adapter in order, unloads the driver, and holds it to every rule.
    pub fn finish(mut self) -> HmbReport {
        self.machine.stop_and_remove().expect("the adapter stops");
        self.unloaded()
    }

    /// As [`finish`](Self::finish), after the device was pulled.
    pub fn pulled(mut self) -> HmbReport {
        self.machine.surprise_remove().expect("the adapter goes");
        self.unloaded()
    }

    /// Unloads the driver after its adapter is gone, and holds it to every rule.
    pub fn unloaded(mut self) -> HmbReport {
        self.unload();
        self.machine.hmb()
    }

    /// Unloads the driver, whose adapters are gone, and holds it to every rule.
    pub fn unload(&mut self) {
        let leaks = self.machine.unload().expect("the driver unloads");
        assert_eq!(self.machine.controller_failure(), None);
        assert_eq!(leaks, Vec::<String>::new(), "nothing is left behind");
        // Busy is what a miniport answers whose queue is full. This one keeps what it cannot start.
        assert_eq!(
            self.machine.ended().get(&BUSY),
            None,
            "{:?}",
            self.machine.ended()
        );
        let violations = self.machine.rules().violations();
        assert!(violations.is_empty(), "{violations:#?}");
    }
}

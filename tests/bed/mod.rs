//! The built image on a virtual machine, ready for a scenario. Each scenario runs in a process of its own, because a driver
//! that faults cannot be unwound.
#![allow(dead_code, reason = "each test file uses what it needs")]

use portbed::cli::profile::Selection;
use portbed::controller::{Controller, ModelController};
use portbed::journal::{Journal, Who};
use portbed::machine::{
    Clock, Completed, Data, HmbReport, LogicalUnit, Machine, MachineError, MachineOptions, Request,
};

use nvme_model::Media;

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
        let image = wdk_linux::image().expect("the image builds");
        let journal = Journal::default();
        let mut machine = Machine::new(MachineOptions {
            cpus,
            clock,
            seed: 1,
            port: selection.port,
            registry: selection.registry,
            controller,
            journal: journal.clone(),
        })
        .expect("a machine");
        machine.load(&image.sys).expect("DriverEntry succeeds");
        Self { machine, journal }
    }

    /// As [`new`](Self::new), with the adapter started and its disks enumerated.
    pub fn started(profile: &str) -> (Self, Vec<LogicalUnit>) {
        let mut bed = Self::new(profile);
        bed.machine.start_adapter().expect("the adapter starts");
        let units = bed.machine.enumerate().expect("the disks answer");
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

    /// Unloads the driver after a start that failed.
    pub fn start_fails(mut self) -> (MachineError, HmbReport) {
        let error = self.machine.start_adapter().expect_err("the start fails");
        (error, self.unloaded())
    }

    /// Unloads the driver after its adapter is gone, and holds it to every rule.
    pub fn unloaded(mut self) -> HmbReport {
        let leaks = self.machine.unload().expect("the driver unloads");
        assert_eq!(self.machine.controller_failure(), None);
        assert_eq!(leaks, Vec::<String>::new(), "nothing is left behind");
        let violations = self.machine.rules().violations();
        assert!(violations.is_empty(), "{violations:#?}");
        self.machine.hmb()
    }
}

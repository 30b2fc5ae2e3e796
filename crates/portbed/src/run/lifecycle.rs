//! The order of the main job: start, enumerate, fill, power cycle, verify, stop, remove, unload.

use std::io;

use super::failure::{Failure, Kind};
use super::namespace::{Findings, Namespace};
use super::storage::{Outside, Storage};
use super::{CannotRun, Setup, Work};
use crate::controller::NvmeClient;
use crate::disk::Unit;
use crate::journal::{Journal, Who};
use crate::machine::{LogicalUnit, Machine, MachineError, PowerAction};
use crate::timeline::Bytes;

/// All disks together are read wholly up to this size; beyond, what was never written is sampled.
const VERIFY_BYTES: u64 = 4 << 30;

/// A run, and what it has found so far.
pub struct Job<'s> {
    pub(super) setup: &'s Setup,
    pub(super) machine: Machine,
    pub(super) journal: Journal,
    pub(super) namespaces: Vec<Namespace>,
    pub(super) leaks: Vec<String>,
    /// Cache lines that several processors have written, where a stream was counted.
    pub(super) shared_lines: Option<usize>,
    pub(super) failures: Vec<Failure>,
}

impl<'s> Job<'s> {
    /// A job on a machine whose driver is loaded.
    pub fn new(
        setup: &'s Setup,
        machine: Machine,
        journal: Journal,
        storage: Vec<Storage>,
    ) -> io::Result<Self> {
        let share = VERIFY_BYTES / storage.len().max(1) as u64;
        let namespaces = storage
            .into_iter()
            .zip(0..)
            .map(|(storage, index)| {
                let seed = setup.seed.wrapping_add(index);
                Namespace::new(storage, setup.device.block_bytes, share, seed)
            })
            .collect::<io::Result<_>>()?;
        Ok(Self {
            setup,
            machine,
            journal,
            namespaces,
            leaks: Vec::new(),
            shared_lines: None,
            failures: Vec::new(),
        })
    }

    /// Does all that follows `DriverEntry`. What goes wrong is among the failures; after that, only what still makes sense is done.
    pub fn run(&mut self, entered: Result<(), MachineError>) {
        if let Err(error) = entered.and_then(|()| self.lifecycle()) {
            let kind = match error {
                MachineError::Start(_) | MachineError::Entry(_) => Kind::Disk,
                _ => Kind::Other,
            };
            self.fail(kind, error.to_string());
        }
    }

    fn lifecycle(&mut self) -> Result<(), MachineError> {
        self.machine.start_adapter()?;
        match self.work() {
            Err(fatal @ MachineError::Fatal { .. }) => return Err(fatal),
            Err(error) => self.fail(Kind::Disk, error.to_string()),
            Ok(()) => {}
        }
        self.machine.stop_and_remove()?;
        self.leaks = self.machine.unload()?;
        Ok(())
    }

    fn work(&mut self) -> Result<(), MachineError> {
        let units = self.machine.enumerate()?;
        if !self.shows_every_namespace(&units) {
            return Ok(());
        }
        match self.setup.work {
            Work::MainJob => self.main_job(&units)?,
            Work::Stream(stream) => {
                self.on_each(&units, |namespace, unit| namespace.stream(unit, &stream));
                self.tell_hottest(stream.hottest);
                self.tell_shared_lines(stream.hottest);
            }
        }
        Ok(())
    }

    /// Tells the functions of the driver with the most instructions.
    fn tell_hottest(&self, most: usize) {
        let hottest = self.machine.hottest();
        let sum: u64 = hottest.iter().map(|(_, instructions)| instructions).sum();
        for (name, instructions) in hottest.iter().take(most) {
            let tenths = instructions * 1000 / sum.max(1);
            self.note(format!(
                "{}.{} % of the instructions in {name}",
                tenths / 10,
                tenths % 10
            ));
        }
    }

    /// Keeps the number of cache lines that several processors have written, and tells the first ones.
    fn tell_shared_lines(&mut self, most: usize) {
        let shared = self.machine.shared_lines();
        for (place, processors) in shared.iter().take(most) {
            self.note(format!(
                "a cache line is written by processors {processors:?}: {place}"
            ));
        }
        self.shared_lines = Some(shared.len());
    }

    fn main_job(&mut self, units: &[LogicalUnit]) -> Result<(), MachineError> {
        self.on_each(units, Namespace::fill);
        self.machine.power_down(PowerAction::None)?;
        self.machine.power_up()?;
        self.on_each(units, Namespace::read_back);
        self.on_each(units, Namespace::verify);
        Ok(())
    }

    /// Compares the logical units with the namespaces behind them.
    fn shows_every_namespace(&mut self, units: &[LogicalUnit]) -> bool {
        for LogicalUnit {
            address,
            vendor,
            product,
            serial,
            blocks,
            block_bytes,
            ..
        } in units
        {
            let size = Bytes(blocks * u64::from(*block_bytes));
            self.note(format!(
                "logical unit {}: {vendor} {product}, serial {serial}, {size} in blocks of {block_bytes} bytes",
                address.lun
            ));
        }
        let shown = units.iter().map(|unit| (unit.blocks, unit.block_bytes));
        let present = self.present();
        let expected = present
            .iter()
            .map(|&index| self.namespaces[index].geometry());
        let same = shown.eq(expected.map(|geometry| (geometry.blocks, geometry.block_bytes)));
        if !same {
            let what = "the logical units are not the namespaces of the controller";
            self.fail(Kind::Disk, what.to_owned());
        }
        same
    }

    /// The namespaces that are there from the start: no fault adds them later.
    fn present(&self) -> Vec<usize> {
        let faults = &self.setup.device.faults;
        let added = |nsid| {
            faults
                .iter()
                .any(|fault| fault.adds_namespace() == Some(nsid))
        };
        let all = (0..self.namespaces.len()).zip(1..);
        all.filter(|&(_, nsid)| !added(nsid))
            .map(|(index, _)| index)
            .collect()
    }

    /// Does `step` on each namespace that has not failed yet.
    fn on_each(
        &mut self,
        units: &[LogicalUnit],
        step: impl Fn(&mut Namespace, &mut Unit<'_>) -> io::Result<Findings>,
    ) {
        for (index, unit) in self.present().into_iter().zip(units) {
            let namespace = &mut self.namespaces[index];
            if namespace.has_failed() {
                continue;
            }
            self.look_after_change(units);
            let namespace = &mut self.namespaces[index];
            let (seed, failed_before) = (namespace.next_seed(), namespace.io().failed);
            let mut unit = Unit::new(&mut self.machine, unit, seed);
            let found = step(namespace, &mut unit);
            namespace.retried(unit.retried());
            let found = namespace.judge_step(found, failed_before);
            self.take(index, found);
        }
    }

    /// Finds the logical units again, where the driver has said that they have changed. The number of one that was found before is
    /// not that of another: what was on its way to the first would reach the second.
    fn look_after_change(&mut self, before: &[LogicalUnit]) {
        if !self.machine.take_bus_change() {
            return;
        }
        let now = match self.machine.enumerate() {
            Ok(now) => now,
            Err(error) => return self.note(format!("after the change: {error}")),
        };
        for unit in &now {
            let LogicalUnit {
                address, serial, ..
            } = unit;
            let size = Bytes(unit.blocks * u64::from(unit.block_bytes));
            self.note(format!(
                "after the change: logical unit {}, serial {serial}, {size}",
                address.lun
            ));
            let mut known = before.iter().filter(|known| known.address == *address);
            if known.any(|known| (&known.serial, known.block_bytes) != (serial, unit.block_bytes)) {
                let what = format!("logical unit {} is another disk now", address.lun);
                self.fail(Kind::Data, what);
            }
        }
    }

    /// Checks what is behind the namespaces, now that nothing else uses it.
    pub fn check_outside(&mut self, outside: &Outside) -> Result<(), CannotRun> {
        match outside {
            Outside::Files(tools) => {
                for index in 0..self.namespaces.len() {
                    let found = self.namespaces[index].check_file(tools)?;
                    self.take(index, found);
                }
            }
            Outside::Device(function) => match NvmeClient::start(function) {
                Ok(mut client) => {
                    for index in 0..self.namespaces.len() {
                        let namespace = &mut self.namespaces[index];
                        let failed_before = namespace.io().failed;
                        let found = namespace.check_device(&mut client);
                        let found = namespace.judge_step(found, failed_before);
                        self.take(index, found);
                    }
                }
                Err(why) => self.fail(Kind::Other, why.to_string()),
            },
        }
        Ok(())
    }

    fn take(&mut self, index: usize, found: Findings) {
        let several = self.namespaces.len() > 1;
        let named = |what| {
            if several {
                format!("logical unit {index}: {what}")
            } else {
                what
            }
        };
        for what in found.said {
            self.note(named(what));
        }
        for Failure { kind, what } in found.wrong {
            self.fail(kind, named(what));
        }
    }

    fn note(&self, what: String) {
        self.journal.note(self.machine.now_ns(), Who::Disk, what);
    }

    /// What went wrong, a line each.
    pub fn failures(&self) -> Vec<String> {
        self.failures
            .iter()
            .map(|failure| failure.what.clone())
            .collect()
    }

    pub(super) fn fail(&mut self, kind: Kind, what: String) {
        self.journal
            .note(self.machine.now_ns(), Who::Bed, format!("failed: {what}"));
        self.failures.push(Failure { kind, what });
    }
}

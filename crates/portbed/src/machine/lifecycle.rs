//! The life of a driver and its adapter: loaded, started, asleep and awake, stopped, removed, unloaded.

use std::path::Path;
use std::sync::Arc;

use super::{Completed, DriverEntry, Machine, MachineError, PowerAction, Rebalance, Stop, faults};
use crate::controller::Moment;
use crate::image::Image;
use crate::journal::Who;
use crate::port::{self, Announcement, Phase};
use crate::schedule::{Cpu, Outcome};

impl Machine {
    /// Maps the image, binds its imports and calls its `DriverEntry`. Where a fault of its code is told is a matter of
    /// the whole process: a process has one machine that loads an image.
    pub fn load(&mut self, image: &Path) -> Result<(), MachineError> {
        let loaded = Image::load(image, &port::imports::resolve);
        let loaded =
            loaded.map_err(|error| MachineError::Image(format!("{} {error}", image.display())))?;
        self.note_refusals(&loaded);
        let loaded = Arc::new(loaded);
        faults::install(&self.core, &loaded)
            .map_err(|error| MachineError::Resources(error.to_string()))?;
        loaded.sha256().clone_into(&mut self.image_sha256);
        let entry = loaded.entry();
        self.image = Some(loaded);
        self.load_entry(entry)
    }

    /// Tells why a Windows system would not load the image.
    fn note_refusals(&self, image: &Image) {
        let now_ns = self.now_ns();
        for finding in image.refusals() {
            let by = finding.refused_by().unwrap_or_default();
            let what = format!("the image runs here, but {by} of Windows refuses it: {finding}");
            self.core.journal.note(now_ns, Who::Bed, what);
        }
    }

    /// Calls `entry` as the `DriverEntry` of a miniport that is linked into this process. Such a miniport calls the port
    /// driver through [`resolve`](super::resolve); its faults are the process's own.
    pub fn load_entry(&mut self, entry: DriverEntry) -> Result<(), MachineError> {
        let status = self
            .core
            .run(0, move |cpu| port::enter_driver(cpu, entry))?;
        match status {
            Some(0) if self.core.state_of(self.adapter).driver.is_registered() => Ok(()),
            Some(status) => Err(MachineError::Entry(status)),
            None => Err(MachineError::Resources(
                "no memory for the driver object".to_owned(),
            )),
        }
    }

    /// From now on, the adapter that is started and stopped, whose power changes, that is enumerated and told of is the
    /// one of this place among the machine's controllers; at first it is the first one.
    ///
    /// # Panics
    /// When there is no such place.
    pub fn select_adapter(&mut self, adapter: usize) {
        assert!(adapter < self.adapters, "there are {}", self.adapters);
        self.adapter = adapter;
    }

    /// Adds the adapter to the driver: `HwFindAdapter`, `HwInitialize`, passive initialisation.
    pub fn start_adapter(&mut self) -> Result<(), MachineError> {
        if self.core.state_of(self.adapter).port.adapter.phase == Phase::Stopped {
            self.judge_removed()?;
        }
        self.find_and_initialize()
    }

    fn find_and_initialize(&self) -> Result<(), MachineError> {
        self.run(port::find_adapter)?.map_err(MachineError::Start)?;
        self.run(port::initialize_adapter)?
            .map_err(MachineError::Start)
    }

    /// Puts the adapter into D3: caches are flushed first, and requests that are outstanding come back.
    pub fn power_down(&mut self, action: PowerAction) -> Result<(), MachineError> {
        self.settle()?;
        self.asleep[self.adapter] = action;
        self.run(move |cpu| {
            port::prepare_power_down(cpu, action);
        })?;
        if self
            .core
            .state_of(self.adapter)
            .port
            .adapter
            .stops_for_power()
        {
            self.rest()?;
        }
        self.run(move |cpu| port::power_down(cpu, action))?;
        Ok(())
    }

    /// Brings the adapter back to D0.
    pub fn power_up(&mut self) -> Result<(), MachineError> {
        let action = self.asleep[self.adapter];
        self.run(move |cpu| port::power_up(cpu, action))?;
        Ok(())
    }

    /// Stops the adapter, assigns other resources, and starts it with the same device extension. Requests that come
    /// meanwhile wait, and those that the miniport has come back.
    pub fn rebalance(&mut self, rebalance: Rebalance) -> Result<(), MachineError> {
        self.run(port::hold)?;
        if !rebalance.under_requests {
            self.await_outstanding()?;
        }
        let flushes = self.begin_flush()?;
        if !rebalance.under_requests {
            self.await_all(&flushes)?;
        }
        self.announce(Announcement::Stop)?;
        self.await_all(&flushes)?;
        self.await_outstanding()?;
        self.run(port::stop_for_rebalance)?;
        self.rest()?;
        self.run(move |cpu| {
            port::reassign(cpu, rebalance.interrupts);
        })?;
        self.find_and_initialize()?;
        self.run(|cpu| {
            port::resume(cpu.core(), &mut cpu.state());
        })?;
        Ok(())
    }

    /// Stops and removes the adapter in an orderly way.
    pub fn stop_and_remove(&mut self) -> Result<(), MachineError> {
        self.settle()?;
        self.remove(false)
    }

    /// Takes the device away and removes the adapter.
    pub fn surprise_remove(&mut self) -> Result<(), MachineError> {
        self.run(port::surprise)?;
        self.remove(true)
    }

    /// Puts a fresh device, with the same disks, where the one was that was taken away. The adapter can be started then.
    pub fn insert_device(&mut self) -> Result<(), MachineError> {
        let inserted = self.run(port::insert)?;
        inserted.map_err(|error| MachineError::Resources(error.to_string()))
    }

    fn remove(&mut self, surprise: bool) -> Result<(), MachineError> {
        self.announce(if surprise {
            Announcement::SurpriseRemoval
        } else {
            Announcement::Removal
        })?;
        let adapter = self.adapter;
        // What is outstanding comes back by itself, after its time-out, or after the bus was reset.
        self.core
            .run_until(move |state| state.slots[adapter].port.queues.unanswered() == 0)?;
        let units: Vec<_> = self
            .units
            .extract_if(.., |unit| unit.adapter == adapter)
            .collect();
        self.run(move |cpu| {
            port::stop_adapter(cpu, &units, surprise);
        })?;
        self.rest()?;
        self.run(port::retire)?;
        Ok(())
    }

    /// The adapter's plug-and-play request, where the port driver sends one.
    fn announce(&mut self, announcement: Announcement) -> Result<(), MachineError> {
        if !self.core.options.pnp {
            return Ok(());
        }
        let token = self.internal_token();
        self.run(move |cpu| {
            port::announce(cpu, token, announcement);
        })?;
        let completed = self.await_internal(token)?;
        self.core.judge.check(
            &crate::rules::port::SRB_PNP,
            completed.succeeded(),
            || "the adapter's plug-and-play request".to_owned(),
            || format!("completed with SRB status {:#04x}", completed.srb_status),
        );
        Ok(())
    }

    /// After a stop: what the miniport has left to its DPCs is done, where they run, and then nothing any more.
    fn rest(&mut self) -> Result<(), MachineError> {
        let adapter = self.adapter;
        if self.core.options.stop == Stop::DirqlNoDpc {
            // What has begun on another processor comes to its end all the same.
            self.run(port::drop_what_waits)?;
            self.core
                .run_until(move |state| state.in_no_callback(adapter))?;
        } else {
            self.core.run_until(move |state| state.quiet(adapter))?;
            self.run(|cpu| port::moment(cpu, Moment::Rest))?;
            self.core.run_until(move |state| state.quiet(adapter))?;
        }
        self.run(port::silence)?;
        Ok(())
    }

    /// Judges what the driver left behind, unloads it and takes its image away; one line for each leak. Then the same
    /// or another driver may be loaded.
    pub fn unload(&mut self) -> Result<Vec<String>, MachineError> {
        let selected = self.adapter;
        for adapter in 0..self.adapters {
            self.adapter = adapter;
            // After a start that failed, the adapter is not stopped.
            self.rest()?;
            self.judge_removed()?;
        }
        self.adapter = selected;
        self.core.run(0, port::unload_driver)?;
        self.image = None;
        Ok(std::mem::take(&mut self.leaks))
    }

    /// Judges what the driver left behind of the adapter that is gone, and takes back what it had.
    fn judge_removed(&mut self) -> Result<(), MachineError> {
        let leaks = self.run(port::remove_adapter)?;
        let several = self.adapters > 1;
        let named = |leak| {
            if several {
                format!("adapter {}: {leak}", self.adapter)
            } else {
                leak
            }
        };
        self.leaks.extend(leaks.into_iter().map(named));
        Ok(())
    }

    /// Runs `work` for the adapter.
    fn run<R: Send + 'static>(
        &self,
        work: impl FnOnce(&Cpu) -> R + Send + 'static,
    ) -> Result<R, MachineError> {
        Ok(self.core.run(self.adapter, work)?)
    }

    /// Brings every request back, and flushes what is cached.
    fn settle(&mut self) -> Result<(), MachineError> {
        let adapter = self.adapter;
        self.core
            .run_until(move |state| state.slots[adapter].port.queues.unanswered() == 0)?;
        let flushes = self.begin_flush()?;
        self.await_all(&flushes)?;
        // One that was given up may still be the miniport's.
        self.await_outstanding()?;
        self.core.run_until(move |state| state.quiet(adapter))?;
        Ok(())
    }

    /// Begins to flush what is cached, where the adapter runs.
    fn begin_flush(&mut self) -> Result<Vec<u64>, MachineError> {
        let phase = self.core.state_of(self.adapter).port.adapter.phase;
        if !matches!(phase, Phase::Started | Phase::Stopping) {
            return Ok(Vec::new());
        }
        let adapter = self.adapter;
        let units = self.units.clone().into_iter();
        let flushes = units
            .filter(|unit| unit.adapter == adapter)
            .map(|unit| (self.internal_token(), unit));
        let flushes: Vec<_> = flushes.collect();
        let tokens = flushes.iter().map(|&(token, _)| token).collect();
        self.run(move |cpu| {
            for (token, unit) in flushes {
                port::flush(cpu, token, unit);
            }
        })?;
        Ok(tokens)
    }

    /// Waits for requests of the port driver's own.
    fn await_all(&mut self, tokens: &[u64]) -> Result<(), MachineError> {
        for &token in tokens {
            self.await_internal(token)?;
        }
        Ok(())
    }

    /// Waits until the miniport has no requests.
    fn await_outstanding(&self) -> Result<(), MachineError> {
        let adapter = self.adapter;
        self.core
            .run_until(move |state| state.slots[adapter].port.queues.outstanding() == 0)?;
        Ok(())
    }

    fn internal_token(&mut self) -> u64 {
        self.internal_tokens += 1;
        self.internal_tokens
    }

    fn await_internal(&mut self, token: u64) -> Result<Completed, MachineError> {
        let adapter = self.adapter;
        let outcome = self
            .core
            .run_until(move |state| state.slots[adapter].port.queues.has(token))?;
        let completed = self.core.state_of(self.adapter).port.queues.take(token);
        match (outcome, completed) {
            (_, Some(completed)) => Ok(completed),
            (Outcome::Satisfied | Outcome::Stuck, None) => Ok(Completed::default()),
        }
    }
}

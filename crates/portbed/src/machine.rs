//! The virtual Windows machine: processors, virtual clock, port driver, driver image, controller.

mod enumerate;
mod faults;
mod lifecycle;
mod options;
mod request;

pub use options::{
    Affinity, Clock, DispatchFree, DispatchGrant, DmaGrant, Grant, Interrupts, Isolation,
    MachineOptions, Neighbour, Performance, PerformanceOffer, PortKey, PortOptionError,
    PortOptions, Power, PowerIrql, Removal, StartIoAnswer, Stop, WorkItems,
};
pub use request::{
    Completed, Cost, Data, HmbReport, Instructions, LogicalUnit, PowerAction, Rebalance, Request,
    SrbKind, Token, UnitAddress,
};

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use crate::controller::{FiredFault, Identity};
use crate::image::Image;
use crate::memory::PhysicalMemory;
use crate::port::{self, Function, Spec};
use crate::rules::Judge;
use crate::schedule::{Core, Dispatch, Fatal};
use crate::trap::lines;
use crate::trap::step::{self, Part};

/// A miniport's `DriverEntry`: driver object, registry path, `NTSTATUS`.
pub type DriverEntry = crate::image::EntryPoint;

/// Physical memory of the machine, half of it below the registers under 4 GiB. Nothing is used until it is touched.
const MEMORY_BYTES: u64 = 7 << 30;
/// Tokens from here on name requests of the port driver itself.
const INTERNAL_TOKENS: u64 = 1 << 62;

/// Why the machine could not do what it was asked to.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum MachineError {
    /// The image cannot be loaded.
    #[error("{0}")]
    Image(String),
    /// `DriverEntry` failed.
    #[error("DriverEntry failed with status {0:#010x}")]
    Entry(u32),
    /// The adapter did not start.
    #[error("the adapter did not start: {0}")]
    Start(String),
    /// No logical unit, or one that does not answer as a disk.
    #[error("the disk could not be enumerated: {0}")]
    Enumerate(String),
    /// The driver did something after which it cannot be run on, such as touching memory that it must not. The rule is
    /// among the violations.
    #[error("the driver cannot be run on: {what} ({rule})")]
    Fatal {
        /// The id of the broken rule.
        rule: &'static str,
        /// What happened.
        what: String,
    },
    /// The machine itself lacks something.
    #[error("the machine cannot be made: {0}")]
    Resources(String),
    /// A request is larger than the adapter takes.
    #[error("a transfer of {bytes} bytes is larger than the {most} that the adapter takes")]
    TooLarge {
        /// What was asked for.
        bytes: usize,
        /// What the adapter takes.
        most: u32,
    },
}

impl From<Fatal> for MachineError {
    fn from(fatal: Fatal) -> Self {
        Self::Fatal {
            rule: fatal.rule,
            what: fatal.what,
        }
    }
}

/// The machine.
pub struct Machine {
    core: Arc<Core>,
    image: Option<Arc<Image>>,
    image_sha256: String,
    tokens: u64,
    internal_tokens: u64,
    units: Vec<UnitAddress>,
    leaks: Vec<String>,
    /// The action that each adapter was powered down for.
    asleep: Vec<PowerAction>,
    adapters: usize,
    /// Which of them is meant.
    adapter: usize,
}

impl Machine {
    /// A machine that is switched on and has no driver yet.
    pub fn new(mut options: MachineOptions) -> Result<Self, MachineError> {
        let resources = |error: std::io::Error| MachineError::Resources(error.to_string());
        let controllers = &mut options.controllers;
        if controllers.is_empty() {
            return Err(MachineError::Resources("it has no controller".to_owned()));
        }
        let most = controllers.iter().map(|it| it.most_memory_bytes()).min();
        let bytes = MEMORY_BYTES.min(most.unwrap_or(MEMORY_BYTES));
        let memory = PhysicalMemory::new(bytes, options.seed).map_err(resources)?;
        let adapters = controllers.len();
        for controller in controllers {
            controller.attach(&memory, bytes).map_err(resources)?;
        }
        let cpus = options.cpus.clamp(1, 128) as usize;
        let core = Core::start(
            cpus,
            options.clock,
            options.seed,
            memory,
            options.journal,
            options.port,
            options.registry,
            options.controllers,
        );
        Ok(Self {
            core: core.map_err(resources)?,
            image: None,
            image_sha256: String::new(),
            tokens: 0,
            internal_tokens: INTERNAL_TOKENS,
            units: Vec::new(),
            leaks: Vec::new(),
            asleep: vec![PowerAction::None; adapters],
            adapters,
            adapter: 0,
        })
    }

    /// Finds the logical units as the port driver and a disk class driver do.
    pub fn enumerate(&mut self) -> Result<Vec<LogicalUnit>, MachineError> {
        self.take_bus_change();
        let found = enumerate::units(self)?;
        self.units = found.iter().map(|unit| unit.address).collect();
        Ok(found)
    }

    /// Whether the miniport has said that logical units have changed, since they were found last or this was asked.
    pub fn take_bus_change(&mut self) -> bool {
        let mut state = self.core.state_of(self.adapter);
        std::mem::take(&mut state.port.adapter.bus_changed)
    }

    /// Sends one request and waits for it.
    pub fn execute(&mut self, request: Request) -> Result<Completed, MachineError> {
        let token = self.submit(request)?;
        self.core.run_until(move |state| state.has(token.0))?;
        Ok(self.poll(token).unwrap_or_default())
    }

    /// Sends one request; it runs whenever the machine does.
    pub fn submit(&mut self, request: Request) -> Result<Token, MachineError> {
        let bytes = match &request.data {
            Data::None => 0,
            Data::In(bytes) => *bytes,
            Data::Out(content) => content.len(),
        };
        let most = self.max_transfer_bytes();
        if bytes > most as usize {
            return Err(MachineError::TooLarge { bytes, most });
        }
        self.tokens += 1;
        let token = self.tokens;
        let spec = Spec {
            token,
            unit: request.unit,
            what: Function::Execute(request.cdb),
            data: request.data,
            buffer_offset: request.buffer_offset,
            pages_apart: request.pages_apart,
            srb: request.srb,
            timeout_s: request.timeout_s,
            flags: request.flags,
            retries: 0,
        };
        let mut state = self.core.state_of(request.unit.adapter);
        port::submit(&self.core, &mut state, spec);
        Ok(Token(token))
    }

    /// Takes a request that has come back, without running the machine.
    pub fn poll(&mut self, token: Token) -> Option<Completed> {
        let mut state = self.core.state();
        let mut slots = state.slots.iter_mut();
        slots.find_map(|slot| slot.port.queues.take(token.0))
    }

    /// Runs the machine until any submitted request has come back, and takes it; `None` when none is outstanding.
    pub fn wait_any(&mut self) -> Result<Option<(Token, Completed)>, MachineError> {
        self.core
            .run_until(|state| state.has_any(INTERNAL_TOKENS) || state.unanswered() == 0)?;
        let any = self.core.state().take_any(INTERNAL_TOKENS);
        Ok(any.map(|(token, completed)| (Token(token), completed)))
    }

    /// Runs the machine until every submitted request has come back, and takes them, in order of completion.
    pub fn drain(&mut self) -> Result<Vec<(Token, Completed)>, MachineError> {
        self.core.run_until(|state| state.unanswered() == 0)?;
        let mut state = self.core.state();
        Ok(std::iter::from_fn(|| state.take_any(INTERNAL_TOKENS))
            .map(|(token, completed)| (Token(token), completed))
            .collect())
    }

    /// Lets virtual time pass, with whatever happens in it.
    pub fn pass(&mut self, ns: u64) -> Result<(), MachineError> {
        self.core.run(0, move |cpu| cpu.sleep(ns))?;
        Ok(())
    }

    /// Resets bus 0, whatever is on its way.
    pub fn reset_bus(&mut self) -> Result<(), MachineError> {
        self.core
            .run(self.adapter, |cpu| cpu.run_dispatch(Dispatch::ResetBus(0)))?;
        Ok(())
    }

    /// The largest transfer that the adapter takes at any alignment, in bytes.
    #[must_use]
    pub fn max_transfer_bytes(&self) -> u32 {
        self.core
            .state_of(self.adapter)
            .port
            .adapter
            .max_transfer_bytes()
    }

    /// The device extension of the first adapter.
    #[cfg(test)]
    pub(crate) fn extension(&self) -> u64 {
        self.core.state().port.adapter.extension
    }

    /// The verdicts.
    #[must_use]
    pub fn rules(&self) -> &Judge {
        &self.core.judge
    }

    /// How many allocations of the virtual machine's memory were not freed.
    #[cfg(test)]
    pub(crate) fn allocations(&self) -> usize {
        self.core.memory.live().len()
    }

    /// The host memory buffer so far.
    #[must_use]
    pub fn hmb(&self) -> HmbReport {
        let state = self.core.state_of(self.adapter);
        let view = state.controller.hmb();
        let ledger = &state.port.hmb;
        HmbReport {
            granted_bytes: ledger.granted_bytes,
            ranges: ledger.ranges,
            enabled: view.enabled,
            disabled: view.disabled,
            memory_returned: view.memory_returned,
            freed: ledger.freed,
            freed_bytes: ledger.freed_bytes,
            granted_at_dispatch: ledger.granted_at_dispatch,
            freed_at_dispatch: ledger.freed_at_dispatch,
            retained_bytes: ledger.retained_bytes,
            left_to_port_bytes: ledger.left_to_port_bytes,
            outstanding_bytes: ledger.outstanding_bytes,
        }
    }

    /// Judges what was written next to memory that was not freed, at the end of a run.
    pub fn judge_memory(&self) {
        port::judge_overruns(&self.core.memory, &self.core.judge);
    }

    /// How requests came back so far, to all adapters: each SRB status without its flags, and how often. A request that was busy
    /// and sent again counts each time.
    #[must_use]
    pub fn ended(&self) -> BTreeMap<u8, u64> {
        self.core.state().ended.clone()
    }

    /// What requests have cost so far.
    #[must_use]
    pub fn cost(&self) -> Cost {
        let mut cost = self.core.state().cost;
        cost.instructions.build = step::counted(Part::Build);
        cost.instructions.start = step::counted(Part::Start);
        cost.instructions.interrupt = step::counted(Part::Interrupt);
        cost.instructions.dpc = step::counted(Part::Dpc);
        cost
    }

    /// Begins or ends the count of instructions. It is exact where no request is outstanding at the time, and one machine in the
    /// process runs: code under test is stepped through, which takes a thousand times as long.
    pub fn count_instructions(&self, on: bool) {
        step::count(on);
    }

    /// The functions of the image with how many of their instructions were counted, the dearest first.
    #[must_use]
    pub fn hottest(&self) -> Vec<(String, u64)> {
        let Some(image) = &self.image else {
            return Vec::new();
        };
        let functions: Vec<(u64, &str)> = image.functions().collect();
        let ends = functions.iter().skip(1).map(|&(start, _)| start);
        let ends = ends.chain([image.range().end]);
        let counted = |range: Range<u64>| range.map(|at| u64::from(step::counted_at(at))).sum();
        let mut hottest: Vec<(String, u64)> = functions
            .iter()
            .zip(ends)
            .map(|(&(start, name), end)| (name.to_owned(), counted(start..end)))
            .filter(|&(_, instructions)| instructions > 0)
            .collect();
        hottest.sort_by_key(|&(_, instructions)| Reverse(instructions));
        hottest
    }

    /// The cache lines of the miniport's own memory and of its image that it has written on several processors while
    /// instructions were counted: what each lies in, and the processors. Requests, which go from one processor to another by
    /// their nature, are left out, as registers are.
    #[must_use]
    pub fn shared_lines(&self) -> Vec<(String, Vec<usize>)> {
        let mut places: Vec<(Range<u64>, Cow<'static, str>)> = Vec::new();
        for live in self.core.memory.live() {
            if let Some(va) = live.va.filter(|_| port::is_of_adapter(&live.label)) {
                places.push((va..va + live.bytes, live.label));
            }
        }
        if let Some(image) = &self.image {
            places.push((image.range(), "the image".into()));
        }
        let place = |(line, by): (u64, u128)| {
            // The first bytes of what lies there may be in the middle of the line.
            let end = line + lines::LINE_BYTES;
            let overlaps = |range: &Range<u64>| range.start < end && line < range.end;
            let (range, label) = places.iter().find(|(range, _)| overlaps(range))?;
            let offset = line.saturating_sub(range.start);
            let processors = (0..128).filter(|index| by >> index & 1 != 0).collect();
            Some((format!("{label}, offset {offset:#x}"), processors))
        };
        lines::shared().into_iter().filter_map(place).collect()
    }

    /// Who the controller is.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.core.state_of(self.adapter).controller.identity()
    }

    /// The faults that the controller was given, and how often each happened.
    #[must_use]
    pub fn faults(&self) -> Vec<FiredFault> {
        self.core.state_of(self.adapter).controller.faults()
    }

    /// Why the controller stopped to work by itself, if it did.
    #[must_use]
    pub fn controller_failure(&self) -> Option<String> {
        self.core.state_of(self.adapter).controller.failure()
    }

    /// Virtual time since the machine was made, in nanoseconds.
    #[must_use]
    pub fn now_ns(&self) -> u64 {
        self.core.state().now_ns
    }

    /// The SHA-256 of the image that was loaded last, in hexadecimal; empty for an entry that is linked in.
    #[must_use]
    pub fn image_sha256(&self) -> &str {
        &self.image_sha256
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if !self.core.switch_off() {
            // A processor was left in the middle of driver code: what it uses stays for the rest of the process.
            std::mem::forget((Arc::clone(&self.core), self.image.clone()));
        }
    }
}

/// Address of a function that an image may import, for miniports that are linked into this process.
#[must_use]
pub fn resolve(library: &str, name: &str) -> Option<*const std::ffi::c_void> {
    port::imports::resolve(library, name)
}

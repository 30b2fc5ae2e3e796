//! A real NVMe controller of this machine, through VFIO.
//!
//! The miniport reaches the registers straight, interrupt messages come by event files, and the IOMMU lets the device use what
//! the driver was given and nothing else. The device works in real time and the machine in virtual time: while the machine
//! waits, its time goes on in small steps, none of which is over before as much real time has passed or the device has
//! interrupted.

mod address;
mod admin;
mod arena;
mod client;
mod contents;
mod dma;
mod error;
mod function;
mod host;
mod messages;

use std::cell::RefCell;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nvme_model::{Access, Bus, Power, Width};

use self::admin::AdminWatch;
use self::arena::Arena;
use self::dma::{Dma, Gate, Notes};
use self::messages::Messages;
use super::{Controller, HmbView, Identity, Iommu};
use crate::journal::Journal;
use crate::memory::PhysicalMemory;
use crate::pci;
pub use address::PciAddress;
pub use client::{NamespaceSize, NvmeClient};
pub use error::VfioError;
pub use function::VfioFunction;

/// Steps of virtual time while the machine waits: short after something happened, longer as nothing does.
const SHORT_STEP_NS: u64 = 20_000;
const LONG_STEP_NS: u64 = 500_000;
/// Where time is real by itself, messages are looked for this often.
const GLANCE_NS: u64 = 50_000;
/// A jump of virtual time is waited for at most this long.
const LONGEST_WAIT: Duration = Duration::from_millis(10);
/// After so long without an interrupt nothing more is expected: longer than any controller may take to become ready.
const PATIENCE: Duration = Duration::from_mins(3);

/// A controller behind VFIO.
pub struct VfioController {
    function: Arc<VfioFunction>,
    identity: Identity,
    notes: Notes,
    dma: Option<Arc<Dma>>,
    messages: Messages,
    admin: RefCell<AdminWatch>,
    power_capability: Option<u16>,
    power: Power,
    removed: bool,
    failure: Option<String>,
    /// When it was looked at last, in virtual and in real time.
    seen: (u64, Instant),
    step_ns: u64,
    real_time: bool,
    /// When it interrupted last.
    active: Instant,
}

impl VfioController {
    /// The controller of `function`, which identifies as `identity`; what happens to its memory is told in `journal`.
    pub fn new(function: Arc<VfioFunction>, identity: Identity, journal: Journal) -> Self {
        let now = Instant::now();
        let power_capability = function.capability(pci::POWER);
        let messages = Messages::new(&function);
        Self {
            function,
            identity,
            notes: Notes::new(journal),
            dma: None,
            messages,
            admin: RefCell::default(),
            power_capability,
            power: Power::D0,
            removed: false,
            failure: None,
            seen: (0, now),
            step_ns: SHORT_STEP_NS,
            real_time: false,
            active: now,
        }
    }

    /// Whether registers answer.
    fn answers(&self) -> bool {
        self.power == Power::D0 && !self.removed
    }

    /// Looks at what passes through the admin queue.
    fn look(&self) {
        if let Some(dma) = self.dma.as_ref().filter(|_| self.answers()) {
            let registers = |offset: u32| self.function.bar().load_u32(offset.into()).ok();
            let memory = |pa: u64, into: &mut [u8]| dma.arena().read(pa, into).is_ok();
            self.admin.borrow_mut().look(&registers, &memory);
        }
    }

    /// Passes on what the device has signalled within `wait`; whether it was anything.
    fn deliver(&mut self, wait: Duration, bus: &mut dyn Bus) -> bool {
        let connected = self.messages.connect(&self.function);
        let arrived = connected.and_then(|()| self.messages.take(wait));
        let arrived = arrived.unwrap_or_else(|why| {
            self.failure
                .get_or_insert(format!("messages do not arrive: {why}"));
            Vec::new()
        });
        self.look();
        for (address, bytes) in self.admin.get_mut().take_lists() {
            // The port driver judges what was lent when a list was read: here it is read for that.
            let mut list = vec![0; bytes];
            let _ = bus.read(address, &mut list, Access::HmbDescriptors);
        }
        for what in self.admin.get_mut().take_notes() {
            bus.note(what);
        }
        for &message in &arrived {
            bus.interrupt(message);
        }
        if !arrived.is_empty() {
            self.active = Instant::now();
            self.step_ns = SHORT_STEP_NS;
        }
        !arrived.is_empty()
    }

    /// Resets the function. What its queues and its host memory were is void then.
    fn reset(&mut self) {
        if let Err(why) = self.function.reset() {
            self.failure
                .get_or_insert(format!("the function cannot be reset: {why}"));
        }
        self.admin.get_mut().forget();
    }
}

impl Controller for VfioController {
    fn attach(&mut self, memory: &PhysicalMemory, bytes: u64) -> io::Result<()> {
        let arena = Arena::new(memory, bytes)?;
        let function = Arc::clone(&self.function);
        self.dma = Some(Arc::new(Dma::new(function, arena, self.notes.clone())));
        self.reset();
        self.notes.note(format!(
            "{} is reset; its registers are mapped straight, and what only trapped registers show is not judged",
            self.function.address()
        ));
        Ok(())
    }

    fn run_in_real_time(&mut self) {
        self.real_time = true;
    }

    fn failure(&self) -> Option<String> {
        let of_memory = self.dma.as_ref().and_then(|dma| dma.failure());
        self.failure.clone().or(of_memory)
    }

    fn mapped_registers(&self) -> Option<u64> {
        Some(self.function.bar().address())
    }

    fn iommu(&self) -> Option<Box<dyn Iommu>> {
        let dma = Arc::clone(self.dma.as_ref()?);
        Some(Box::new(Gate(dma)))
    }

    fn identity(&self) -> Identity {
        self.identity.clone()
    }

    fn bar_bytes(&self) -> u64 {
        self.function.bar_bytes()
    }

    fn config_read(&self, offset: u16, bytes: u8) -> u32 {
        if self.removed {
            return u32::MAX;
        }
        self.function.config_read(offset, bytes)
    }

    fn config_write(&mut self, offset: u16, bytes: u8, value: u32, _: u64, bus: &mut dyn Bus) {
        if self.removed {
            return;
        }
        match self.messages.config_write(offset, bytes, value) {
            Some(enable) => self.messages.enable(enable),
            None => self.function.config_write(offset, bytes, value),
        }
        self.deliver(Duration::ZERO, bus);
    }

    fn read(&mut self, offset: u64, width: Width, _: u64, _: &mut dyn Bus) -> u64 {
        let bar = self.function.bar();
        let half = |offset| bar.load_u32(offset).map_or(u64::MAX, u64::from);
        match width {
            _ if !self.answers() || self.messages.in_table(offset) => u64::MAX,
            Width::Eight => half(offset + 4) << 32 | half(offset),
            Width::Four | Width::Other(_) => half(offset & !3) >> (offset % 4 * 8),
        }
    }

    fn write(&mut self, offset: u64, width: Width, value: u64, _: u64, _: &mut dyn Bus) {
        if self.messages.in_table(offset) {
            // The table is the system's: which messages are wanted is all that it is told.
            self.messages.table_write(offset, value as u32);
            return;
        }
        if self.answers() {
            let bar = self.function.bar();
            // What is not aligned, or outside, no device takes.
            let _ = bar.store_u32(offset, value as u32);
            if width == Width::Eight {
                let _ = bar.store_u32(offset + 4, (value >> 32) as u32);
            }
        }
    }

    fn run(&mut self, now_ns: u64, bus: &mut dyn Bus) {
        self.notes.tick(now_ns);
        let (seen_ns, seen) = self.seen;
        let (passed, longest_ns) = if self.real_time {
            (Duration::ZERO, GLANCE_NS)
        } else {
            let passed = Duration::from_nanos(now_ns.saturating_sub(seen_ns));
            (passed.min(LONGEST_WAIT), LONG_STEP_NS)
        };
        self.step_ns = (self.step_ns * 2).min(longest_ns);
        self.deliver(passed.saturating_sub(seen.elapsed()), bus);
        self.seen = (now_ns, Instant::now());
    }

    fn next_event_ns(&self) -> Option<u64> {
        let expected = self.answers() && self.active.elapsed() < PATIENCE;
        expected.then(|| self.seen.0 + self.step_ns)
    }

    fn power(&mut self, to: Power, now_ns: u64, bus: &mut dyn Bus) {
        self.notes.tick(now_ns);
        self.deliver(Duration::ZERO, bus);
        let from = std::mem::replace(&mut self.power, to);
        let dma = self.dma.clone();
        if to != Power::D0
            && let Some(dma) = &dma
        {
            dma.fall_asleep();
        }
        if let Some(at) = self.power_capability {
            let state = if to == Power::D0 { 0 } else { pci::POWER_STATE };
            self.function.config_write(at + 4, 2, state);
        }
        if to == Power::D0 {
            // A slot whose power was taken away cannot be had here: a reset forgets as much.
            if from == Power::D3Cold {
                self.reset();
            }
            self.active = Instant::now();
            if let Some(dma) = &dma {
                dma.wake();
            }
        }
    }

    fn remove(&mut self, _: &mut dyn Bus) {
        self.reset();
        self.function.disconnect();
        self.removed = true;
        if let Some(dma) = &self.dma {
            dma.take_back();
        }
        if let Err(why) = self.function.go_away() {
            self.failure.get_or_insert(why.to_string());
        }
    }

    fn hmb(&self) -> HmbView {
        self.look();
        self.admin.borrow().hmb().clone()
    }
}

//! An NVMe controller that QEMU emulates, in a process of its own: configuration space, registers and interrupts over
//! qtest, DMA in memory that both share.
//!
//! QEMU works in real time and the machine in virtual time. While processors do something, each register access takes
//! what it takes; while the machine waits, its time goes on in small steps, none of which is over before as much real time
//! has passed or the controller has interrupted. Where the machine's time is real, nothing is waited for.

mod messages;
mod process;
mod profile;
mod program;
mod qtest;

use std::cell::{Cell, RefCell};
use std::fmt::Arguments;
use std::fs::File;
use std::io::{self, Error};
use std::thread;
use std::time::{Duration, Instant};

use nvme_model::{Bus, Power, Width};

use self::messages::Messages;
use self::process::{GuestMemory, Parts, Process};
use super::{Controller, HmbView, Identity};
use crate::memory::PhysicalMemory;
pub use profile::QemuProfile;
pub use program::{Program, ProgramError};

/// Ports through which configuration space is reached.
const CONFIG_ADDRESS: u16 = 0xCF8;
const CONFIG_DATA: u16 = 0xCFC;
/// Device 4 on bus 0, in the terms of [`CONFIG_ADDRESS`].
const FUNCTION: u32 = 0x8000_0000 | 4 << 11;

/// Offsets in configuration space, and what the registers there hold.
const COMMAND: u16 = 0x04;
const MEMORY_AND_BUS_MASTER: u32 = 0x6;
const CLASS: u16 = 0x08;
const CLASS_NVME: u32 = 0x01_0802;
const BAR0: u16 = 0x10;
const CAPABILITIES: u16 = 0x34;
const CAPABILITY_POWER: u32 = 0x01;
const CAPABILITY_MSI_X: u32 = 0x11;
const POWER_STATE: u32 = 0x3;

/// Where BAR0 is put: QEMU has nothing else there, and no RAM between 2 and 4 GiB.
const BAR_ADDRESS: u64 = 0xF000_0000;
/// QEMU's q35 has at most this much RAM below 4 GiB, and as much again is put above it.
const MEMORY_BYTES: u64 = 4 << 30;

/// Steps of virtual time while the machine waits: short after something happened, longer as nothing does.
const SHORT_STEP_NS: u64 = 20_000;
const LONG_STEP_NS: u64 = 500_000;
/// A wait that is shorter gives the processor away only for a moment.
const NAP: Duration = Duration::from_micros(50);
/// A jump of virtual time is waited for at most this long.
const LONGEST_WAIT: Duration = Duration::from_millis(10);
/// After so long without an access or an interrupt nothing more is expected.
const PATIENCE: Duration = Duration::from_mins(1);

/// QEMU's NVMe controller.
pub struct QemuController {
    parts: Parts,
    memory: Option<GuestMemory>,
    messages: Option<Messages>,
    process: RefCell<Option<Process>>,
    failure: RefCell<Option<String>>,
    bar_bytes: u64,
    power_capability: Option<u16>,
    power: Power,
    line: bool,
    /// When it was looked at last, in virtual and in real time.
    seen: (u64, Instant),
    step_ns: u64,
    real_time: bool,
    /// When it was accessed or interrupted last.
    active: Cell<Instant>,
}

impl QemuController {
    /// A controller of this profile, with the image behind each of its namespaces. It is there when it is attached to a
    /// machine, and ends with the thread that attaches it.
    #[must_use]
    pub fn new(program: Program, profile: QemuProfile, disks: Vec<File>) -> Self {
        let now = Instant::now();
        Self {
            parts: Parts {
                program,
                profile,
                disks,
            },
            memory: None,
            messages: None,
            process: RefCell::new(None),
            failure: RefCell::new(None),
            bar_bytes: 0,
            power_capability: None,
            power: Power::D0,
            line: false,
            seen: (0, now),
            step_ns: SHORT_STEP_NS,
            real_time: false,
            active: Cell::new(now),
        }
    }

    /// Starts QEMU and does what firmware does: finds the function, places its BAR and enables it.
    fn start(&mut self) -> io::Result<()> {
        let memory = self.memory.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        *self.process.get_mut() = Some(Process::start(&self.parts, memory)?);
        let class = self.config_read(CLASS, 4) >> 8;
        self.config(BAR0, 4, Some(u32::MAX));
        let sizing = self.config_read(BAR0, 4) & !0xF;
        self.config(BAR0, 4, Some(BAR_ADDRESS as u32));
        self.config(BAR0 + 4, 4, Some((BAR_ADDRESS >> 32) as u32));
        self.config(COMMAND, 2, Some(MEMORY_AND_BUS_MASTER));
        self.bar_bytes = u64::from(sizing.wrapping_neg());
        self.power_capability = self.capability(CAPABILITY_POWER);
        let msi_x = self.capability(CAPABILITY_MSI_X);
        if let (Some(at), Some(mut messages)) = (msi_x, self.messages.take()) {
            let vectors = u64::from(self.config_read(at + 2, 2) & 0x7FF) + 1;
            let table = u64::from(self.config_read(at + 4, 4) & !7);
            messages.set_table(table, vectors);
            self.messages = Some(messages);
        }
        self.ask(format_args!("irq_intercept_in ioapic"));
        match self.failure() {
            Some(failure) => Err(Error::other(failure)),
            None if class == CLASS_NVME => Ok(()),
            None => Err(Error::other("QEMU shows no NVMe controller")),
        }
    }

    /// Sends a command, and gives its answer, or all ones when there is no QEMU, or none any more.
    fn ask(&self, command: Arguments<'_>) -> u64 {
        self.active.set(Instant::now());
        self.with_process(|process| process.qtest().ask(command))
            .unwrap_or(u64::MAX)
    }

    /// Does something with the process. If that fails, it is ended, and the failure kept.
    fn with_process<R>(&self, work: impl FnOnce(&mut Process) -> io::Result<R>) -> Option<R> {
        let mut slot = self.process.borrow_mut();
        let error = match work(slot.as_mut()?) {
            Ok(value) => return Some(value),
            Err(error) => error,
        };
        let failure = slot.take()?.explain(&error);
        self.failure.borrow_mut().get_or_insert(failure);
        None
    }

    fn config(&self, offset: u16, bytes: u8, value: Option<u32>) -> u32 {
        let address = FUNCTION | u32::from(offset & 0xFC);
        self.ask(format_args!("outl {CONFIG_ADDRESS:#x} {address:#x}"));
        let port = CONFIG_DATA + (offset & 3);
        let suffix = match bytes {
            1 => 'b',
            2 => 'w',
            _ => 'l',
        };
        match value {
            Some(value) => self.ask(format_args!("out{suffix} {port:#x} {value:#x}")) as u32,
            None => self.ask(format_args!("in{suffix} {port:#x}")) as u32,
        }
    }

    fn capability(&self, id: u32) -> Option<u16> {
        let mut at = self.config_read(CAPABILITIES, 1) as u16 & 0xFC;
        for _ in 0..48 {
            let header = self.config_read(at, 2);
            if at == 0 || header & 0xFF == id {
                break;
            }
            at = (header >> 8) as u16 & 0xFC;
        }
        (at != 0).then_some(at)
    }

    /// Whether registers answer.
    fn answers(&self) -> bool {
        self.power == Power::D0 && self.process.borrow().is_some()
    }

    /// Passes on what QEMU has signalled; whether it was anything.
    fn deliver(&mut self, bus: &mut dyn Bus) -> bool {
        let arrived = self
            .messages
            .as_ref()
            .map_or(Ok(Vec::new()), Messages::take);
        // Memory of the test bed itself can always be read.
        let arrived = arrived.unwrap_or_default();
        for &message in &arrived {
            bus.interrupt(message);
        }
        let line = self
            .with_process(|process| {
                process.qtest().listen()?;
                Ok(process.qtest().raised())
            })
            .unwrap_or_default();
        let changed = line != self.line;
        if changed {
            self.line = line;
            bus.line(line);
        }
        let signalled = changed || !arrived.is_empty();
        if signalled {
            self.active.set(Instant::now());
            self.step_ns = SHORT_STEP_NS;
        }
        signalled
    }

    fn is_silent(&self) -> bool {
        self.active.get().elapsed() > PATIENCE
    }
}

impl Controller for QemuController {
    fn attach(&mut self, memory: &PhysicalMemory, bytes: u64) -> io::Result<()> {
        self.memory = Some(GuestMemory {
            file: memory.file().try_clone()?,
            bytes,
            low_bytes: memory.low_bytes(),
        });
        self.messages = Some(Messages::new(memory)?);
        self.start()
    }

    fn run_in_real_time(&mut self) {
        self.real_time = true;
    }

    fn most_memory_bytes(&self) -> u64 {
        MEMORY_BYTES
    }

    fn failure(&self) -> Option<String> {
        self.failure.borrow().clone()
    }

    fn identity(&self) -> Identity {
        Identity {
            kind: "qemu",
            model: format!("QEMU {} NVMe Ctrl", self.parts.program.version),
            // No version of QEMU takes a host memory buffer.
            ..Identity::default()
        }
    }

    fn bar_bytes(&self) -> u64 {
        self.bar_bytes
    }

    fn config_read(&self, offset: u16, bytes: u8) -> u32 {
        let value = self.config(offset, bytes, None);
        match bytes {
            1 => value & 0xFF,
            2 => value & 0xFFFF,
            _ => value,
        }
    }

    fn config_write(&mut self, offset: u16, bytes: u8, value: u32, _: u64, bus: &mut dyn Bus) {
        self.config(offset, bytes, Some(value));
        self.deliver(bus);
    }

    fn read(&mut self, offset: u64, width: Width, _: u64, bus: &mut dyn Bus) -> u64 {
        if !self.answers() {
            return u64::MAX;
        }
        let address = BAR_ADDRESS + offset;
        let value = self.ask(format_args!("read{} {address:#x}", suffix(width)));
        self.deliver(bus);
        value
    }

    fn write(&mut self, offset: u64, width: Width, value: u64, _: u64, bus: &mut dyn Bus) {
        if !self.answers() {
            return;
        }
        self.step_ns = SHORT_STEP_NS;
        let address = BAR_ADDRESS + offset;
        let messages = self.messages.as_ref();
        let value = messages.map_or(value, |messages| messages.redirect(offset, value));
        self.ask(format_args!(
            "write{} {address:#x} {value:#x}",
            suffix(width)
        ));
        self.deliver(bus);
    }

    fn run(&mut self, now_ns: u64, bus: &mut dyn Bus) {
        let (seen_ns, seen) = self.seen;
        let passed = if self.real_time {
            Duration::ZERO
        } else {
            Duration::from_nanos(now_ns.saturating_sub(seen_ns)).min(LONGEST_WAIT)
        };
        self.step_ns = (self.step_ns * 2).min(LONG_STEP_NS);
        while !self.deliver(bus) {
            let left = passed.saturating_sub(seen.elapsed());
            if left.is_zero() {
                break;
            }
            if left > NAP {
                thread::sleep(NAP);
            } else {
                thread::yield_now();
            }
        }
        self.seen = (now_ns, Instant::now());
    }

    fn next_event_ns(&self) -> Option<u64> {
        let expected = self.answers() && !self.is_silent();
        expected.then(|| self.seen.0 + self.step_ns)
    }

    fn power(&mut self, to: Power, _: u64, bus: &mut dyn Bus) {
        let from = std::mem::replace(&mut self.power, to);
        match (from, to) {
            (Power::D3Cold, Power::D0) => {
                if let Err(error) = self.start() {
                    let mut failure = self.failure.borrow_mut();
                    failure.get_or_insert_with(|| error.to_string());
                }
            }
            (_, Power::D3Cold) => *self.process.get_mut() = None,
            (_, to) => {
                if let Some(at) = self.power_capability {
                    let state = if to == Power::D0 { 0 } else { POWER_STATE };
                    self.config(at + 4, 2, Some(state));
                }
            }
        }
        self.deliver(bus);
    }

    fn remove(&mut self, bus: &mut dyn Bus) {
        *self.process.get_mut() = None;
        self.deliver(bus);
    }

    fn hmb(&self) -> HmbView {
        HmbView::default()
    }
}

fn suffix(width: Width) -> char {
    match width {
        Width::Eight => 'q',
        Width::Other(1) => 'b',
        Width::Other(2) => 'w',
        Width::Four | Width::Other(_) => 'l',
    }
}

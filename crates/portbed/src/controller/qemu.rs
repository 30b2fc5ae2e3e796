//! An NVMe controller that QEMU emulates, in a process of its own: configuration space, registers and interrupts over
//! qtest, DMA in memory that both share.
//!
//! QEMU works in real time and the machine in virtual time. While processors do something, each register access takes
//! what it takes; while the machine waits, its time goes on in small steps, none of which is over before as much real time
//! has passed or the controller has interrupted. Where the machine's time is real, nothing is waited for.

mod commands;
mod messages;
mod monitor;
mod process;
mod profile;
mod program;
mod qtest;
mod slot;

use std::cell::{Cell, RefCell};
use std::fmt::Arguments;
use std::fs::File;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use nvme_model::{Bus, Power, Width};
use nvme_spec::registers::CC;

use self::commands::Commands;
use self::messages::Messages;
pub use self::monitor::Monitor;
use self::process::{GuestMemory, Parts, Process};
use self::slot::Function;
use super::{Controller, HmbView, Identity};
use crate::memory::PhysicalMemory;
use crate::pci;
pub use profile::QemuProfile;
pub use program::{Program, ProgramError};

/// The power state in PMCSR, and where PMCSR is in its capability.
const POWER_CONTROL: u16 = 4;

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
    commands: Commands,
    memory: Option<GuestMemory>,
    messages: Option<Messages>,
    monitor: Monitor,
    process: RefCell<Option<Process>>,
    failure: RefCell<Option<String>>,
    /// Whether it is in its slot.
    present: bool,
    bar_bytes: u64,
    power_capability: Option<u16>,
    msi_x_capability: Option<u16>,
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
        let commands = Commands::new(profile.geometry());
        Self {
            parts: Parts {
                program,
                profile,
                disks,
            },
            commands,
            memory: None,
            messages: None,
            monitor: Monitor::default(),
            process: RefCell::new(None),
            present: true,
            failure: RefCell::new(None),
            bar_bytes: 0,
            power_capability: None,
            msi_x_capability: None,
            power: Power::D0,
            line: false,
            seen: (0, now),
            step_ns: SHORT_STEP_NS,
            real_time: false,
            active: Cell::new(now),
        }
    }

    /// What an engineer at the machine can do to it.
    #[must_use]
    pub fn monitor(&self) -> Monitor {
        self.monitor.clone()
    }

    /// Starts QEMU and does what firmware does.
    fn start(&mut self) -> io::Result<()> {
        let memory = self.memory.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        *self.process.get_mut() = Some(Process::start(&self.parts, memory)?);
        self.open_port();
        self.ask(format_args!("irq_intercept_in ioapic"));
        let monitor = self.monitor.clone();
        self.with_process(|process| process.connect(&monitor));
        self.place()
    }

    /// Ends QEMU.
    fn end(&mut self) {
        *self.process.get_mut() = None;
        self.monitor.disconnect();
    }

    fn fail(&self, why: String) {
        self.failure.borrow_mut().get_or_insert(why);
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
        self.fail(failure);
        None
    }

    /// Whether registers answer.
    fn answers(&self) -> bool {
        self.power == Power::D0 && self.present && self.process.borrow().is_some()
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
        self.config(Function::Controller, offset, bytes, None)
    }

    fn config_write(&mut self, offset: u16, bytes: u8, value: u32, _: u64, bus: &mut dyn Bus) {
        self.config(Function::Controller, offset, bytes, Some(value));
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
        let bytes = match width {
            Width::Four => 4,
            Width::Eight => 8,
            Width::Other(bytes) => bytes.into(),
        };
        // Before QEMU hears of it: what a command names may be taken back as soon as it is done.
        self.commands.written(offset, bytes, value, bus);
        let messages = self.messages.as_ref();
        let value = messages.map_or(value, |messages| messages.redirect(offset, value));
        let enables = offset == u64::from(CC) && value & 1 == 1;
        // QEMU never sends a message for a queue that was made while MSI-X was off, as the admin queue is when a miniport
        // enables the controller before its interrupts are connected. No specification has that.
        let control = enables.then(|| self.allow_messages()).flatten();
        self.ask(format_args!(
            "write{} {address:#x} {value:#x}",
            suffix(width)
        ));
        if let Some((at, control)) = control {
            self.config(Function::Controller, at, 2, Some(control));
        }
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
                    self.fail(error.to_string());
                }
            }
            (_, Power::D3Cold) => self.end(),
            (_, to) => {
                if let Some(at) = self.power_capability {
                    let state = if to == Power::D0 { 0 } else { pci::POWER_STATE };
                    let at = at + POWER_CONTROL;
                    self.config(Function::Controller, at, 2, Some(state));
                }
            }
        }
        self.deliver(bus);
    }

    fn remove(&mut self, bus: &mut dyn Bus) {
        self.pull();
        self.deliver(bus);
    }

    fn insert(&mut self, bus: &mut dyn Bus) -> io::Result<()> {
        self.plug()?;
        self.deliver(bus);
        Ok(())
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

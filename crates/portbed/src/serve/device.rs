//! The model as a PCI device: regions, interrupts, memory, and the rules that it is judged by.

use std::time::{Duration, Instant};

use nvme_model::{Access, Bus, BusFault, Controller, FiredFault, HmbCounters, Power, Rule, Width};
use rustix::io::Errno;

use super::client_memory::ClientMemory;
use super::interrupts::{Change, Interrupts};
use super::message::RegionInfo;
use crate::journal::{Event, Who};
use crate::pci;
use crate::rules::{Judge, of_controller, port as rules};
use crate::timeline::Timeline;

/// The regions of a PCI device: six BARs, the ROM, configuration space, VGA.
pub const REGIONS: u32 = 9;
const BAR: u32 = 0;
const CONFIG: u32 = 7;
const CONFIG_BYTES: u64 = 4096;
const READ_AND_WRITE: u32 = 3;

/// In the capabilities of the function: MSI-X is switched on, and a reset is asked for.
const MSIX_ENABLE: u32 = 1 << 15;
const FUNCTION_RESET: u32 = 1 << 15;

/// How long the device works before who waits is looked at again: its client, and whoever asks it to end.
const SLICE: Duration = Duration::from_millis(20);

/// The device, and what it is connected to.
pub struct Device {
    controller: Controller,
    pub machine: Machine,
}

/// The machine around the model: the client.
pub struct Machine {
    pub memory: ClientMemory,
    pub interrupts: Interrupts,
    pub traffic: Traffic,
    judge: Judge,
    told: usize,
    timeline: Timeline,
    now_ns: u64,
    /// What was lent last, once a list of host memory descriptors was read.
    hmb_changed: bool,
}

/// What went between the device and the client's memory.
#[derive(Clone, Copy, Debug, Default)]
pub struct Traffic {
    /// Bytes that the device read.
    pub read_bytes: u64,
    /// Bytes that it wrote.
    pub written_bytes: u64,
    /// Size and number of ranges of the Host Memory Buffer that was lent last.
    pub lent: Option<(u64, usize)>,
}

impl Device {
    /// A device that nobody uses yet.
    pub fn new(controller: Controller, judge: Judge, timeline: Timeline) -> Self {
        let messages = controller.profile().messages;
        Self {
            controller,
            machine: Machine {
                memory: ClientMemory::default(),
                interrupts: Interrupts::new(messages),
                traffic: Traffic::default(),
                judge,
                told: 0,
                timeline,
                now_ns: 0,
                hmb_changed: false,
            },
        }
    }

    /// What became of the Host Memory Buffer.
    pub fn hmb(&self) -> HmbCounters {
        self.controller.hmb()
    }

    /// The faults that it was given, and how often each happened.
    pub fn faults(&self) -> Vec<FiredFault> {
        self.controller.faults()
    }

    /// What the device has of a region.
    pub fn region(&self, index: u32) -> Option<RegionInfo> {
        let bytes = match index {
            BAR => self.controller.bar_bytes(),
            CONFIG => CONFIG_BYTES,
            _ if index < REGIONS => 0,
            _ => return None,
        };
        Some(RegionInfo {
            argsz: size_of::<RegionInfo>() as u32,
            flags: if bytes > 0 { READ_AND_WRITE } else { 0 },
            index,
            capabilities: 0,
            bytes,
            offset: 0,
        })
    }

    /// Time has come to this, or, where there is much to do, to what is done in [`SLICE`]: one doorbell can be for more
    /// than seconds of work.
    pub fn run(&mut self, now_ns: u64) {
        let began = Instant::now();
        while began.elapsed() < SLICE {
            let next = self.controller.next_event_ns();
            let next = next.map_or(now_ns, |at_ns| at_ns.min(now_ns));
            self.machine.now_ns = next.max(self.machine.now_ns);
            self.controller.run(self.machine.now_ns, &mut self.machine);
            if self.machine.now_ns >= now_ns {
                break;
            }
        }
        if std::mem::take(&mut self.machine.hmb_changed) {
            let HmbCounters {
                lent_bytes, ranges, ..
            } = self.controller.hmb();
            if lent_bytes > 0 {
                self.machine.traffic.lent = Some((lent_bytes, ranges.len()));
            }
        }
    }

    /// When the device next does something by itself.
    pub fn next_event_ns(&self) -> Option<u64> {
        self.controller.next_event_ns()
    }

    /// A client is there: the device is powered up, out of reset.
    pub fn connect(&mut self) {
        self.controller
            .power(Power::D0, self.machine.now_ns, &mut self.machine);
        self.reset();
    }

    /// The client has gone, its memory with it: the machine is switched off.
    pub fn disconnect(&mut self) {
        self.controller.switch_off(&mut self.machine);
        self.let_go();
    }

    /// The client is sent away, which is not its choice.
    pub fn cut_off(&mut self) {
        self.reset();
        self.let_go();
    }

    fn let_go(&mut self) {
        self.machine.memory = ClientMemory::default();
        self.machine.interrupts.let_go();
    }

    /// Resets the function.
    pub fn reset(&mut self) {
        if let Some(express) = self.capability(pci::EXPRESS) {
            self.config_write(express + 8, 2, FUNCTION_RESET);
        }
    }

    /// Reads a region.
    pub fn read(&mut self, index: u32, offset: u64, into: &mut [u8]) -> Result<(), Errno> {
        self.check(index, offset, into.len())?;
        if index == CONFIG {
            for (at, bytes) in aligned(offset, into.len()) {
                let value = self.controller.config_read(at, bytes).to_le_bytes();
                let start = usize::from(at) - offset as usize;
                let bytes = usize::from(bytes);
                into[start..start + bytes].copy_from_slice(&value[..bytes]);
            }
            return Ok(());
        }
        let width = width(into.len())?;
        let now_ns = self.machine.now_ns;
        let value = self
            .controller
            .read(offset, width, now_ns, &mut self.machine);
        into.copy_from_slice(&value.to_le_bytes()[..into.len()]);
        Ok(())
    }

    /// Writes a region.
    pub fn write(&mut self, index: u32, offset: u64, data: &[u8]) -> Result<(), Errno> {
        self.check(index, offset, data.len())?;
        if index == CONFIG {
            for (at, bytes) in aligned(offset, data.len()) {
                let start = usize::from(at) - offset as usize;
                let part = &data[start..start + usize::from(bytes)];
                self.config_write(at, bytes, number(part) as u32);
            }
            // A reset of the function is among what can be written, and masks every message.
            self.sync_masks();
            return Ok(());
        }
        let width = width(data.len())?;
        let now_ns = self.machine.now_ns;
        self.controller
            .write(offset, width, number(data), now_ns, &mut self.machine);
        Ok(())
    }

    fn check(&self, index: u32, offset: u64, bytes: usize) -> Result<(), Errno> {
        let region = self.region(index).ok_or(Errno::INVAL)?;
        match offset.checked_add(bytes as u64) {
            Some(end) if bytes > 0 && end <= region.bytes => Ok(()),
            _ => Err(Errno::INVAL),
        }
    }

    /// The client has changed what becomes of interrupts.
    pub fn interrupts_changed(&mut self, change: Change) {
        let enable = match change {
            Change::None => return,
            Change::Masks => None,
            Change::MessagesOn => Some(MSIX_ENABLE),
            Change::MessagesOff => Some(0),
        };
        if let (Some(enable), Some(msix)) = (enable, self.capability(pci::MSI_X)) {
            let control = self.controller.config_read(msix + 2, 2);
            self.config_write(msix + 2, 2, control & !MSIX_ENABLE | enable);
        }
        self.sync_masks();
    }

    /// The client keeps the MSI-X table: the device sends the messages that have somewhere to go.
    fn sync_masks(&mut self) {
        let open: Vec<_> = self.machine.interrupts.open().collect();
        for (message, open) in open {
            self.controller
                .mask_message(message, !open, &mut self.machine);
        }
    }

    fn config_write(&mut self, offset: u16, bytes: u8, value: u32) {
        let now_ns = self.machine.now_ns;
        self.controller
            .config_write(offset, bytes, value, now_ns, &mut self.machine);
    }

    /// Where a capability lies in configuration space.
    fn capability(&self, wanted: u32) -> Option<u16> {
        pci::capability(
            |offset, bytes| self.controller.config_read(offset, bytes),
            wanted,
        )
    }
}

/// The accesses of one, two and four aligned bytes that a range of configuration space is made of.
fn aligned(offset: u64, bytes: usize) -> impl Iterator<Item = (u16, u8)> {
    // The range lies within the space.
    let (mut at, end) = (offset as u16, offset as u16 + bytes as u16);
    std::iter::from_fn(move || {
        let width = [4, 2, 1]
            .into_iter()
            .find(|width| at.is_multiple_of(*width) && at + width <= end)?;
        at += width;
        Some((at - width, width as u8))
    })
}

/// The width of an access to the BAR.
fn width(bytes: usize) -> Result<Width, Errno> {
    match bytes {
        4 => Ok(Width::Four),
        8 => Ok(Width::Eight),
        1 | 2 => Ok(Width::Other(bytes as u8)),
        _ => Err(Errno::INVAL),
    }
}

/// Up to eight bytes as a number.
fn number(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .rev()
        .fold(0, |value, byte| value << 8 | u64::from(*byte))
}

impl Machine {
    fn check(&mut self, rule: &'static crate::rules::Rule, held: bool, what: &dyn Fn() -> String) {
        if self
            .judge
            .check(rule, held, || "controller".to_owned(), what)
        {
            return;
        }
        let violations = self.judge.violations();
        for violation in violations.iter().skip(self.told) {
            self.tell(format!("broken: {}: {}", violation.rule, violation.what));
        }
        self.told = violations.len();
    }

    fn tell(&self, what: String) {
        self.timeline.event(&Event {
            t_ns: self.now_ns,
            who: Who::Controller,
            what,
        });
    }

    fn reached(
        &mut self,
        done: Result<(), BusFault>,
        verb: &str,
        start: u64,
        bytes: usize,
        why: Access,
    ) -> Result<(), BusFault> {
        self.check(&rules::DMA_TARGET, done.is_ok(), &|| {
            format!(
                "the controller {verb} {bytes} bytes at {start:#x} ({why:?}), where the client has mapped nothing for that"
            )
        });
        done
    }
}

impl Bus for Machine {
    fn read(&mut self, from: u64, into: &mut [u8], why: Access) -> Result<(), BusFault> {
        self.hmb_changed |= why == Access::HmbDescriptors;
        self.traffic.read_bytes += into.len() as u64;
        let done = self.memory.read(from, into);
        self.reached(done, "reads", from, into.len(), why)
    }

    fn write(&mut self, to: u64, data: &[u8], why: Access) -> Result<(), BusFault> {
        self.traffic.written_bytes += data.len() as u64;
        let done = match (why, data.split_last_chunk::<4>()) {
            // The phase tag is in the last dword: nobody may see it before the rest.
            (Access::CompletionEntry { .. }, Some((first, last))) => self
                .memory
                .write(to, first)
                .and_then(|()| self.memory.write(to + first.len() as u64, last)),
            _ => self.memory.write(to, data),
        };
        self.reached(done, "writes", to, data.len(), why)
    }

    fn interrupt(&mut self, message: u16) {
        self.interrupts.message(message);
    }

    fn line(&mut self, asserted: bool) {
        self.interrupts.line(asserted);
    }

    fn judge(&mut self, rule: Rule, held: bool, what: &dyn Fn() -> String) {
        self.check(of_controller(rule), held, what);
    }

    fn note(&mut self, what: String) {
        self.tell(what);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_configuration_space_is_read_in_aligned_accesses() {
        let parts: Vec<_> = aligned(1, 10).collect();
        assert_eq!(parts, [(1, 1), (2, 2), (4, 4), (8, 2), (10, 1)]);
        assert_eq!(aligned(0, 4096).count(), 1024);
    }
}

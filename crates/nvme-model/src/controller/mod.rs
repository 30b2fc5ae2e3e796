//! The controller as the machine sees it: configuration space, BAR, power, time.

mod death;
mod doorbell;
mod execute;
mod fault;
mod group;
mod power;
mod state;

use nvme_spec::registers::{ACQ, AQA, ASQ, CC, CMBLOC, CSTS, DOORBELLS, INTMC, INTMS};

use crate::bus::Bus;
use crate::event::Events;
use crate::fault::Faults;
use crate::feature::Features;
use crate::hmb::HostMemory;
use crate::interrupt::Interrupts;
use crate::log::Logs;
use crate::media::Media;
use crate::namespace::Namespace;
use crate::pci::{ConfigEffect, ConfigSpace};
use crate::profile::{Handover, Profile};
use crate::queue::{Outstanding, Queues};
use crate::registers::{AQA_BITS, BASE_BITS, Change, Registers, set_half, width_fits};
use crate::rule::Rule;
use death::Mortality;
pub use power::Power;

/// How wide an access to the BAR is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// Four bytes.
    Four,
    /// Eight bytes.
    Eight,
    /// Anything else, in bytes.
    Other(u8),
}

impl Width {
    pub(crate) fn bytes(self) -> u8 {
        match self {
            Self::Four => 4,
            Self::Eight => 8,
            Self::Other(bytes) => bytes,
        }
    }

    /// The bits that an access of this width carries.
    pub(crate) fn mask(self) -> u64 {
        u64::MAX >> (64 - 8 * u32::from(self.bytes().clamp(1, 8)))
    }
}

/// What became of the Host Memory Buffer so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HmbCounters {
    /// How often it was enabled.
    pub enabled: u64,
    /// How often it was disabled by a command.
    pub disabled: u64,
    /// How often it was enabled with MR = 1.
    pub memory_returned: u64,
    /// Bytes lent now.
    pub lent_bytes: u64,
    /// The ranges lent now: address and bytes.
    pub ranges: Vec<(u64, u64)>,
}

/// A software NVMe controller.
pub struct Controller {
    pub(crate) profile: Profile,
    pub(crate) config: ConfigSpace,
    pub(crate) registers: Registers,
    pub(crate) interrupts: Interrupts,
    pub(crate) queues: Queues,
    pub(crate) outstanding: Vec<Outstanding>,
    pub(crate) features: Features,
    pub(crate) events: Events,
    pub(crate) logs: Logs,
    pub(crate) namespaces: Vec<Namespace>,
    pub(crate) hmb: HostMemory,
    mortality: Mortality,
    faults: Faults,
    /// Number of Queues was asked for once, whatever came of it.
    pub(crate) asked_for_queues: bool,
    /// The time of what is done now.
    pub(crate) now_ns: u64,
    power: Power,
    present: bool,
}

/// What lies at an offset of the BAR.
enum Region {
    Register,
    Doorbell,
    Table(u64),
    Pending(u64),
    Nothing,
}

/// Something that happens by itself, in the order in which it does when several are due at once.
enum Event {
    Change(Change),
    Shutdown,
    /// A fault at its moment.
    Fault,
    /// Firmware that panicked looks at CC again.
    Restart,
    Fetch(u16),
    Command(usize),
}

impl Controller {
    /// A controller of this profile, with a namespace for each of the media.
    ///
    /// The profile is one that [`Profile::check`] accepts. A namespace has as many whole blocks as fit its media; the media
    /// keep what they hold.
    #[must_use]
    pub fn new(profile: &Profile, media: Vec<Box<dyn Media>>) -> Self {
        let faults = Faults::new(&profile.faults);
        let mut namespaces: Vec<_> = (1..)
            .zip(media)
            .map(|(nsid, media)| Namespace::new(nsid, media, profile.block_bytes))
            .collect();
        for namespace in &mut namespaces {
            namespace.active = faults.added_later().all(|nsid| nsid != namespace.nsid);
        }
        let mut controller = Self {
            config: ConfigSpace::new(profile),
            registers: Registers::new(profile),
            interrupts: Interrupts::new(profile.messages.max(profile.msi)),
            queues: Queues::default(),
            outstanding: Vec::new(),
            features: Features::new(profile),
            events: Events::default(),
            logs: Logs::new(),
            namespaces,
            hmb: HostMemory::new(profile),
            mortality: Mortality::default(),
            faults,
            asked_for_queues: false,
            now_ns: 0,
            power: Power::D0,
            present: true,
            profile: profile.clone(),
        };
        if profile.handover == Handover::Masked {
            controller.registers.mask = u32::MAX;
            controller.interrupts.mask_all();
        }
        controller
    }

    /// What the controller was made from.
    #[must_use]
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// What became of the Host Memory Buffer so far.
    #[must_use]
    pub fn hmb(&self) -> HmbCounters {
        self.hmb.counters()
    }

    /// Size of BAR 0, a power of two.
    #[must_use]
    pub fn bar_bytes(&self) -> u64 {
        self.config.layout().bytes
    }

    /// Reads `bytes` (1, 2 or 4) bytes of configuration space.
    #[must_use]
    pub fn config_read(&self, offset: u16, bytes: u8) -> u32 {
        if !self.is_reachable() {
            return u32::MAX >> (32 - 8 * u32::from(bytes.clamp(1, 4)));
        }
        self.config.read(offset, bytes)
    }

    /// Writes `bytes` (1, 2 or 4) bytes of configuration space.
    pub fn config_write(
        &mut self,
        offset: u16,
        bytes: u8,
        value: u32,
        now_ns: u64,
        bus: &mut dyn Bus,
    ) {
        if !self.is_reachable() {
            return;
        }
        let slept = self.config.sleeps();
        let effect = self.config.write(offset, bytes, value);
        if self.config.sleeps() && !slept {
            self.config.sleep(false);
            self.power(Power::D3Hot, now_ns, bus);
        } else if slept && !self.config.sleeps() {
            self.power(Power::D0, now_ns, bus);
        }
        if effect == ConfigEffect::Reset {
            bus.note("function level reset".to_owned());
            self.reset_function(bus);
            self.power = Power::D0;
            self.config = ConfigSpace::reset(&self.profile);
            self.interrupts.reset();
        }
        self.interrupts.release(&self.config, bus);
        self.sync_line(bus);
    }

    /// Whether configuration space answers.
    fn is_reachable(&self) -> bool {
        self.present && self.power != Power::D3Cold && !self.mortality.is_gone()
    }

    /// Masks a message or lifts its mask, without the MSI-X table in the BAR: for a machine that keeps the table itself, as a
    /// virtual machine monitor does, and tells the device what becomes of it.
    pub fn mask_message(&mut self, message: u16, masked: bool, bus: &mut dyn Bus) {
        self.interrupts.mask(message, masked, &self.config, bus);
    }

    /// Whether registers answer.
    fn responds(&self) -> bool {
        self.is_reachable() && self.power == Power::D0 && self.config.decodes_memory()
    }

    fn region(&self, offset: u64) -> Region {
        let layout = self.config.layout();
        let doorbells = u64::from(DOORBELLS);
        let messages = u64::from(self.profile.messages);
        if offset < doorbells {
            Region::Register
        } else if offset < doorbells + self.profile.doorbells_bytes() {
            Region::Doorbell
        } else if (layout.table..layout.table + messages * 16).contains(&offset) {
            Region::Table(offset - layout.table)
        } else if (layout.pending..layout.pending + messages.div_ceil(64) * 8).contains(&offset) {
            Region::Pending(offset - layout.pending)
        } else {
            Region::Nothing
        }
    }

    fn judge_width(&self, offset: u64, width: Width, what: &str, bus: &mut dyn Bus) {
        let bytes = width.bytes();
        let fits = match self.region(offset) {
            Region::Register => width_fits(offset, bytes),
            Region::Doorbell => {
                bytes == 4 && offset.is_multiple_of(u64::from(self.profile.doorbell_bytes))
            }
            _ => matches!(bytes, 4 | 8) && offset.is_multiple_of(u64::from(bytes)),
        };
        bus.judge(Rule::RegisterWidth, fits, &|| {
            format!("a {what} of {bytes} bytes at {offset:#x}")
        });
    }

    /// Reads the BAR at this offset, after what is due by now was done.
    pub fn read(&mut self, offset: u64, width: Width, now_ns: u64, bus: &mut dyn Bus) -> u64 {
        self.run(now_ns, bus);
        if !self.responds() {
            return width.mask();
        }
        self.judge_width(offset, width, "read", bus);
        let doorbell = matches!(self.region(offset), Region::Doorbell);
        bus.judge(Rule::DoorbellWriteOnly, !doorbell, &|| {
            format!("the doorbell at {offset:#x} is read")
        });
        let answer = self.register_fault(offset, width, bus);
        let aligned = offset & !3;
        let low = u64::from(self.read_dword(aligned));
        let high = u64::from(self.read_dword(aligned.saturating_add(4)));
        answer.unwrap_or((high << 32 | low) >> (8 * (offset - aligned))) & width.mask()
    }

    fn read_dword(&self, offset: u64) -> u32 {
        match self.region(offset) {
            Region::Register => self.registers.read(offset as u32),
            Region::Table(offset) => self.interrupts.read_table(offset),
            Region::Pending(offset) => self.interrupts.read_pending(offset),
            Region::Doorbell | Region::Nothing => 0,
        }
    }

    /// Writes the BAR at this offset, after what is due by now was done.
    ///
    /// A write that is not of one or two aligned dwords is ignored.
    pub fn write(&mut self, offset: u64, width: Width, value: u64, now_ns: u64, bus: &mut dyn Bus) {
        self.run(now_ns, bus);
        if !self.responds() {
            return;
        }
        self.judge_width(offset, width, "write", bus);
        if !offset.is_multiple_of(4) || matches!(width, Width::Other(_)) {
            return;
        }
        self.write_dword(offset, value as u32, now_ns, bus);
        if width == Width::Eight {
            self.write_dword(offset.saturating_add(4), (value >> 32) as u32, now_ns, bus);
        }
        self.sync_line(bus);
    }

    fn write_dword(&mut self, offset: u64, value: u32, now_ns: u64, bus: &mut dyn Bus) {
        match self.region(offset) {
            Region::Register => self.write_register(offset as u32, value, now_ns, bus),
            Region::Doorbell => self.ring(offset, value, now_ns, bus),
            Region::Table(offset) => {
                self.interrupts
                    .write_table(offset, value, &self.config, bus);
            }
            Region::Pending(_) | Region::Nothing => judge_writable(false, offset, bus),
        }
    }

    fn write_register(&mut self, offset: u32, value: u32, now_ns: u64, bus: &mut dyn Bus) {
        const BASE_END: u32 = ACQ + 8;
        let writable = match offset {
            INTMS | INTMC | CC | AQA | ASQ..BASE_END => true,
            CSTS => value & !0x10 == 0, // NSSRO is cleared by writing 1
            _ => false,
        };
        judge_writable(writable, u64::from(offset), bus);
        match offset {
            INTMS | INTMC => self.write_mask(offset, value, bus),
            CC => self.configure(value, now_ns, bus),
            AQA => {
                judge_reserved(value & !AQA_BITS, "AQA", bus);
                if self.judge_disabled("AQA", bus) {
                    self.registers.aqa = (value & AQA_BITS).into();
                }
            }
            ASQ..BASE_END => self.write_base(offset, value, bus),
            _ => {}
        }
    }

    fn write_mask(&mut self, offset: u32, value: u32, bus: &mut dyn Bus) {
        let messages = self.config.uses_msix();
        bus.judge(Rule::MaskWithMsix, !messages, &|| {
            format!("{value:#x} is written to the register at {offset:#x}")
        });
        match offset {
            _ if messages => {}
            INTMS => self.registers.mask |= value,
            _ => self.registers.mask &= !value,
        }
        self.interrupts
            .hold_back(self.registers.mask, &self.config, bus);
    }

    fn write_base(&mut self, offset: u32, value: u32, bus: &mut dyn Bus) {
        let (name, base) = if offset < ACQ {
            ("ASQ", ASQ)
        } else {
            ("ACQ", ACQ)
        };
        let reserved = if offset == base { value & 0xFFF } else { 0 };
        judge_reserved(reserved, name, bus);
        if self.judge_disabled(name, bus) {
            let register = if base == ASQ {
                &mut self.registers.asq
            } else {
                &mut self.registers.acq
            };
            set_half(register, offset, base, value);
            *register &= BASE_BITS;
        }
    }

    fn judge_disabled(&self, name: &str, bus: &mut dyn Bus) -> bool {
        let disabled = !self.registers.cc.en();
        bus.judge(Rule::ConfigurationKept, disabled, &|| {
            format!("{name} is written while CC.EN = 1")
        });
        disabled
    }

    /// The INTx line shows whether completions wait.
    fn sync_line(&mut self, bus: &mut dyn Bus) {
        let waits = self.queues.interrupts(self.registers.mask);
        let wanted = self.is_reachable() && self.interrupts.line_shows(waits, self.registers.mask);
        let stopped = self.registers.csts.cfs() || !self.registers.csts.rdy();
        let explained = self.interrupts.line_is_explained(waits, stopped);
        self.interrupts
            .drive_line(wanted, explained, &mut self.config, bus);
    }

    /// Does what is due by now, in the order in which it falls due.
    pub fn run(&mut self, now_ns: u64, bus: &mut dyn Bus) {
        while let Some((at_ns, event)) = self.next_event().filter(|(at_ns, _)| *at_ns <= now_ns) {
            self.now_ns = at_ns;
            match event {
                Event::Fault => self.faults_due(at_ns, bus),
                Event::Restart => self.restart(at_ns, bus),
                Event::Change(change) => self.finish_change(change, bus),
                Event::Shutdown => self.finish_shutdown(bus),
                Event::Fetch(queue) => self.fetch(queue, at_ns, bus),
                Event::Command(index) => self.proceed(index, at_ns, bus),
            }
            self.sync_line(bus);
        }
        self.now_ns = now_ns;
    }

    /// When [`Controller::run`] next has something to do.
    #[must_use]
    pub fn next_event_ns(&self) -> Option<u64> {
        self.next_event().map(|(at_ns, _)| at_ns)
    }

    fn next_event(&self) -> Option<(u64, Event)> {
        if !self.is_reachable() || self.power != Power::D0 || self.config.sleeps() {
            return None;
        }
        let change = self
            .registers
            .change
            .map(|(at, change)| (at, Event::Change(change)));
        let shutdown = self.registers.shutdown_ns.map(|at| (at, Event::Shutdown));
        let works = self.config.masters_bus() && self.mortality.works();
        let fetches = self
            .queues
            .submission
            .iter()
            .filter(|_| works && self.accepts_commands())
            .filter_map(|(id, queue)| Some((queue.fetch_ns?, Event::Fetch(*id))));
        let commands = self
            .outstanding
            .iter()
            .enumerate()
            .filter(|_| works && (self.mortality.is_panicked() || !self.registers.csts.cfs()))
            .filter_map(|(index, command)| Some((command.stage.due_ns()?, Event::Command(index))));
        let fault = self.faults.due_ns().map(|at| (at, Event::Fault));
        let restart = self.mortality.restart_ns().map(|at| (at, Event::Restart));
        fault
            .into_iter()
            .chain(restart)
            .chain(change)
            .chain(shutdown)
            .chain(fetches)
            .chain(commands)
            .min_by_key(|(at, _)| *at)
    }
}

fn judge_writable(writable: bool, offset: u64, bus: &mut dyn Bus) {
    bus.judge(Rule::RegisterWritable, writable, &|| {
        format!("a write at {offset:#x}, where no bit can be written")
    });
}

fn judge_reserved(bits: u32, register: &str, bus: &mut dyn Bus) {
    bus.judge(Rule::ReservedBits, bits == 0, &|| {
        format!("reserved bits {bits:#x} of {register} are written as 1")
    });
}

const _: () = assert!(ACQ + 8 == CMBLOC);

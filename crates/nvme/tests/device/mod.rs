//! A scripted controller with virtual time: a register file and the admin queue. What it answers, and when, is up to the test.

#![allow(dead_code, reason = "each test program uses a part")]

mod answers;
mod host;
mod memory;

use std::cell::{Cell, RefCell};

use nvme::lifecycle::AdminMemory;
use nvme::{Instant, Registers};
use nvme_spec::command::{AdminOpcode, Command};
use nvme_spec::completion::Completion;
use nvme_spec::registers::{
    ACQ, AQA, ASQ, CAP, CC, CSTS, Capabilities, ControllerConfiguration, ControllerStatus,
    DOORBELLS, ShutdownNotification, ShutdownStatus, VS, Version,
};
use nvme_spec::status::Status;
use zerocopy::IntoBytes;

#[allow(unused_imports, reason = "each test program uses a part")]
pub use self::{
    answers::{controller, identify, namespace, well_behaved},
    host::{Host, configurations, failed, last},
    memory::{BASE, Memory},
};

/// How the controller answers a command.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Success, with dword 0.
    Success(u32),
    /// Success, with data at PRP1.
    Data(Vec<u8>),
    /// Failure.
    Fail(Status),
    /// Success, by a completion queue entry that is changed so.
    Entry(fn(&mut Completion)),
    /// No answer; [`Device::complete`] can give one later.
    Never,
}

/// A moment, by virtual time.
pub fn at_us(us: u64) -> Instant {
    Instant::from_ns(us * 1000)
}

type Script = Box<dyn FnMut(&Command) -> Answer>;

/// The controller.
pub struct Device {
    pub memory: Memory,
    pub now_us: Cell<u64>,
    pub capabilities: Cell<Capabilities>,
    /// A read of CAP that gives something else: after how many, and what.
    pub odd_capabilities: Cell<Option<(u32, u64)>>,
    pub version: Cell<Version>,
    /// After how long RDY follows EN; `None` for never.
    pub ready_us: Cell<Option<u64>>,
    /// After how long RDY follows EN = 0; `None` for never.
    pub stop_us: Cell<Option<u64>>,
    /// After how long a shutdown is complete; `None` for never.
    pub shutdown_us: Cell<Option<u64>>,
    pub removed: Cell<bool>,
    pub fatal: Cell<bool>,
    pub script: RefCell<Script>,
    /// Every admin command fetched, in order.
    pub commands: RefCell<Vec<Command>>,
    /// Every register write but for doorbells: offset and value.
    pub writes: RefCell<Vec<(u32, u64)>>,
    registers: RefCell<RegisterFile>,
}

#[derive(Default)]
struct RegisterFile {
    configuration: ControllerConfiguration,
    ready: bool,
    /// When EN changed last, and SHN.
    enabled_at: u64,
    shutdown_at: u64,
    aqa: u32,
    asq: u64,
    acq: u64,
    head: u16,
    tail: u16,
    completions: u16,
    phase: bool,
}

impl Device {
    /// A controller with one namespace of 1 GiB that answers everything; RDY takes a millisecond.
    pub fn new() -> Self {
        let capabilities = Capabilities::new()
            .with_mqes_z(255)
            .with_cqr(true)
            .with_to(4)
            .with_css_nvm(true);
        Self {
            memory: Memory::pages(16),
            now_us: Cell::new(0),
            capabilities: Cell::new(capabilities),
            odd_capabilities: Cell::new(None),
            version: Cell::new(Version::new().with_mjr(1).with_mnr(4)),
            ready_us: Cell::new(Some(1000)),
            stop_us: Cell::new(Some(1000)),
            shutdown_us: Cell::new(Some(1000)),
            removed: Cell::new(false),
            fatal: Cell::new(false),
            script: RefCell::new(Box::new(well_behaved)),
            commands: RefCell::default(),
            writes: RefCell::default(),
            registers: RefCell::default(),
        }
    }

    pub fn admin_memory(&self) -> AdminMemory<Memory> {
        AdminMemory {
            submission: self.memory.page(0),
            completion: self.memory.page(1),
            data: self.memory.page(2),
            hmb_list: self.memory.page(3),
        }
    }

    pub fn answer(&self, script: impl FnMut(&Command) -> Answer + 'static) {
        *self.script.borrow_mut() = Box::new(script);
    }

    pub fn now(&self) -> Instant {
        Instant::from_ns(self.now_us.get() * 1000)
    }

    /// The opcodes of the commands since `from`.
    pub fn opcodes(&self, from: usize) -> Vec<AdminOpcode> {
        let commands = self.commands.borrow();
        commands[from..]
            .iter()
            .map(|command| AdminOpcode(command.cdw0.opcode()))
            .collect()
    }

    /// Posts a completion.
    pub fn complete(&self, cid: u16, dw0: u32, status: Status) {
        let entry = self.entry(cid, dw0, status);
        self.post(entry);
    }

    fn entry(&self, cid: u16, dw0: u32, status: Status) -> Completion {
        Completion {
            dw0,
            dw1: 0,
            sq_head: self.registers.borrow().head,
            sq_id: 0,
            cid,
            status: status.into_field(),
        }
    }

    /// Posts whatever, but for its phase tag.
    pub fn post(&self, mut completion: Completion) {
        let mut registers = self.registers.borrow_mut();
        completion.status.set_phase(registers.phase);
        let entries = (registers.aqa >> 16 & 0xFFF) as u16 + 1;
        let address = registers.acq + 16 * u64::from(registers.completions);
        self.memory.put(address, completion.as_bytes());
        registers.completions = (registers.completions + 1) % entries;
        if registers.completions == 0 {
            registers.phase = !registers.phase;
        }
    }

    /// Fetches and answers what is in the submission queue.
    fn run(&self) {
        loop {
            let command: Command = {
                let mut registers = self.registers.borrow_mut();
                if registers.head == registers.tail {
                    return;
                }
                let address = registers.asq + 64 * u64::from(registers.head);
                let entries = (registers.aqa & 0xFFF) as u16 + 1;
                registers.head = (registers.head + 1) % entries;
                self.memory.get(address)
            };
            self.commands.borrow_mut().push(command);
            let answer = (self.script.borrow_mut())(&command);
            let cid = command.cdw0.cid();
            match answer {
                Answer::Success(dw0) => self.complete(cid, dw0, Status::SUCCESS),
                Answer::Data(data) => {
                    self.memory.put(command.prp1, &data);
                    self.complete(cid, 0, Status::SUCCESS);
                }
                Answer::Fail(status) => self.complete(cid, 0, status),
                Answer::Entry(change) => {
                    let mut entry = self.entry(cid, 0, Status::SUCCESS);
                    change(&mut entry);
                    self.post(entry);
                }
                Answer::Never => {}
            }
        }
    }

    fn status(&self) -> ControllerStatus {
        let mut registers = self.registers.borrow_mut();
        let now = self.now_us.get();
        let enabled = registers.configuration.en();
        let delay = if enabled {
            self.ready_us.get()
        } else {
            self.stop_us.get()
        };
        if delay.is_some_and(|delay| now >= registers.enabled_at + delay) {
            registers.ready = enabled;
        }
        let done = self
            .shutdown_us
            .get()
            .is_some_and(|delay| now >= registers.shutdown_at + delay);
        let shst = match registers.configuration.shn() {
            ShutdownNotification::NONE => ShutdownStatus::NORMAL_OPERATION,
            _ if done => ShutdownStatus::COMPLETE,
            _ => ShutdownStatus::IN_PROGRESS,
        };
        ControllerStatus::new()
            .with_rdy(registers.ready)
            .with_cfs(self.fatal.get())
            .with_shst(shst)
    }

    fn configure(&self, value: ControllerConfiguration) {
        let ready = self.status().rdy();
        let mut registers = self.registers.borrow_mut();
        let before = registers.configuration;
        if before.en() != value.en() {
            assert!(
                before.en() == ready || self.fatal.get() || self.ready_us.get().is_none(),
                "EN changed while RDY differs"
            );
            registers.enabled_at = self.now_us.get();
            registers.head = 0;
            registers.tail = 0;
            registers.completions = 0;
            registers.phase = true;
            if !value.en() {
                self.fatal.set(false);
            }
        }
        if before.shn() != value.shn() {
            registers.shutdown_at = self.now_us.get();
        }
        registers.configuration = value;
    }
}

impl Registers for Device {
    fn read32(&self, offset: u32) -> u32 {
        if self.removed.get() {
            return u32::MAX;
        }
        match offset {
            VS => self.version.get().into(),
            CC => self.registers.borrow().configuration.into(),
            CSTS => self.status().into(),
            _ => panic!("read of register {offset:#x}"),
        }
    }

    fn write32(&self, offset: u32, value: u32) {
        if self.removed.get() {
            return;
        }
        let stride = 4 << self.capabilities.get().dstrd();
        if offset < DOORBELLS {
            self.writes.borrow_mut().push((offset, u64::from(value)));
        }
        match offset {
            CC => self.configure(value.into()),
            AQA => self.registers.borrow_mut().aqa = value,
            DOORBELLS => {
                self.registers.borrow_mut().tail = u16::try_from(value).unwrap();
                self.run();
            }
            _ if offset == DOORBELLS + stride => {}
            _ => panic!("write of register {offset:#x}"),
        }
    }

    fn read64(&self, offset: u32) -> u64 {
        assert_eq!(offset, CAP);
        if self.removed.get() {
            return u64::MAX;
        }
        let odd = self.odd_capabilities.get();
        self.odd_capabilities
            .set(odd.and_then(|(after, value)| Some((after.checked_sub(1)?, value))));
        match odd {
            Some((0, value)) => value,
            _ => self.capabilities.get().into(),
        }
    }

    fn write64(&self, offset: u32, value: u64) {
        self.writes.borrow_mut().push((offset, value));
        match offset {
            ASQ => self.registers.borrow_mut().asq = value,
            ACQ => self.registers.borrow_mut().acq = value,
            _ => panic!("write of register {offset:#x}"),
        }
    }
}

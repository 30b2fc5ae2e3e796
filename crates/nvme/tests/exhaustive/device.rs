//! A controller that leaves every choice to the search: when it executes a command, what it answers, when it is ready, and
//! whether it is there at all. It keeps book of the memory that it uses.

use std::cell::RefCell;
use std::rc::Rc;

use nvme::{DmaMemory, Registers};
use nvme_spec::command::{AdminOpcode, Command, FeatureCdw10, IdentifyCdw10};
use nvme_spec::completion::Completion;
use nvme_spec::feature::{FeatureId, HostMemoryBufferCdw11};
use nvme_spec::identify::{Cns, IdentifyController, QueueEntrySize};
use nvme_spec::registers::{
    ACQ, AQA, ASQ, CAP, CC, CSTS, Capabilities, ControllerConfiguration, ControllerStatus,
    DOORBELLS, ShutdownNotification, ShutdownStatus, VS, Version,
};
use nvme_spec::status::Status;
use zerocopy::{FromZeros, IntoBytes};

pub const PAGE: usize = 4096;
const BASE: u64 = 0x4_0000_0000;
const SUBMISSION_TAIL: u32 = DOORBELLS;
const COMPLETION_HEAD: u32 = DOORBELLS + 4;

/// The memory of a lending, as the driver's side names it: which grant, and which contents of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Memory {
    pub grant: u32,
    pub contents: u32,
}

/// A command of the buffer that was fetched and not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pending {
    pub cid: u16,
    /// The memory that it lends; none for a disable.
    pub lends: Option<Memory>,
    /// MR = 1.
    pub returned: bool,
    pub executed: bool,
}

/// What the controller is at a moment.
#[expect(clippy::struct_excessive_bools, reason = "most are bits of a register")]
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Condition {
    pub enabled: bool,
    pub ready: bool,
    pub fatal: bool,
    /// Its firmware does not look at CC any more, and goes on using memory.
    pub panicked: bool,
    pub shutting_down: bool,
    pub shut_down: bool,
    /// It was disabled behind the driver's back.
    pub lost: bool,
    /// Registers read as all ones.
    pub dark: bool,
    /// They have done so for longer than a device that is there ever does.
    pub lasting: bool,
    /// It was taken away, as the system says: with registers that agree for long enough, it uses nothing any more.
    pub announced: bool,
    /// The memory that it uses.
    pub in_use: Option<Memory>,
    /// The memory that it gave up by command, as it left it.
    pub given_up: Option<Memory>,
    pub pending: Vec<Pending>,
}

impl Condition {
    /// Whether the device has been taken away.
    pub fn is_gone(&self) -> bool {
        self.dark && self.lasting && self.announced
    }

    /// Whether the device may read or write this grant now, or later without being told to again.
    pub fn may_use(&self, grant: u32) -> bool {
        let gone = self.is_gone();
        let enabling = self.pending.iter().filter(|command| !command.executed);
        let mut memory = self
            .in_use
            .iter()
            .copied()
            .chain(enabling.filter_map(|command| command.lends));
        !gone && memory.any(|memory| memory.grant == grant)
    }
}

/// The controller.
#[derive(Debug)]
pub struct Device {
    bytes: RefCell<Vec<u8>>,
    inner: RefCell<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    condition: Condition,
    /// What the driver's side holds at this moment: the descriptor list tells of it.
    offered: Memory,
    /// Rules that the driver broke.
    broken: Vec<String>,
    /// Counts whatever the driver does to the controller.
    activity: u64,
    configuration: ControllerConfiguration,
    aqa: u32,
    asq: u64,
    acq: u64,
    head: u16,
    completions: u16,
    phase: bool,
}

/// A page of the memory that both sides share.
#[derive(Clone)]
pub struct Block {
    device: Rc<Device>,
    start: usize,
}

impl std::fmt::Debug for Block {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "page at {:#x}", self.start)
    }
}

impl DmaMemory for Block {
    fn address(&self) -> u64 {
        BASE + self.start as u64
    }

    fn len(&self) -> usize {
        PAGE
    }

    fn read(&self, offset: usize, into: &mut [u8]) {
        let at = self.start + offset;
        into.copy_from_slice(&self.device.bytes.borrow()[at..at + into.len()]);
    }

    fn write(&self, offset: usize, from: &[u8]) {
        let at = self.start + offset;
        self.device.bytes.borrow_mut()[at..at + from.len()].copy_from_slice(from);
    }
}

impl Device {
    pub fn new() -> Rc<Self> {
        Rc::new(Self {
            bytes: RefCell::new(vec![0; 4 * PAGE]),
            inner: RefCell::default(),
        })
    }

    pub fn page(self: &Rc<Self>, index: usize) -> Block {
        Block {
            device: Rc::clone(self),
            start: index * PAGE,
        }
    }

    pub fn condition(&self) -> Condition {
        self.inner.borrow().condition.clone()
    }

    pub fn change(&self, change: impl FnOnce(&mut Condition)) {
        change(&mut self.inner.borrow_mut().condition);
    }

    pub fn offer(&self, memory: Memory) {
        self.inner.borrow_mut().offered = memory;
    }

    pub fn activity(&self) -> u64 {
        self.inner.borrow().activity
    }

    pub fn broken(&self) -> Vec<String> {
        self.inner.borrow().broken.clone()
    }

    /// CC.EN and CSTS.RDY read as 0.
    pub fn reads_as_stopped(&self) -> bool {
        let inner = self.inner.borrow();
        !inner.configuration.en() && !inner.condition.ready
    }

    /// CSTS.RDY follows CC.EN. Without EN everything is forgotten.
    pub fn follow(&self) {
        self.change(|condition| {
            if condition.panicked {
                return;
            }
            condition.ready = condition.enabled;
            if !condition.enabled {
                condition.pending.clear();
                condition.in_use = None;
            }
        });
    }

    /// The firmware panics: RDY is 0, nothing is answered, and memory is used as before.
    pub fn panic(&self, fatal: bool) {
        self.change(|condition| {
            condition.panicked = true;
            condition.ready = false;
            condition.fatal = fatal;
        });
    }

    /// The firmware is started again from nothing, and does what CC says.
    pub fn restart(&self) {
        let mut inner = self.inner.borrow_mut();
        let enabled = inner.configuration.en();
        inner.head = 0;
        inner.completions = 0;
        inner.phase = true;
        inner.condition = Condition {
            enabled,
            lost: inner.condition.lost,
            announced: inner.condition.announced,
            given_up: inner.condition.given_up,
            ..Condition::default()
        };
    }

    /// The power goes: the controller comes back as after a reset.
    pub fn lose_power(&self) {
        let mut inner = self.inner.borrow_mut();
        let old = inner.condition.clone();
        inner.configuration = ControllerConfiguration::new();
        inner.condition = Condition {
            lost: old.enabled || old.lost,
            dark: true,
            announced: old.announced,
            given_up: old.given_up,
            ..Condition::default()
        };
    }

    /// Carries out a command of the buffer.
    pub fn execute(&self, index: usize) {
        let mut inner = self.inner.borrow_mut();
        let Inner {
            condition, broken, ..
        } = &mut *inner;
        condition.pending[index].executed = true;
        let Pending {
            lends, returned, ..
        } = condition.pending[index];
        match lends {
            Some(memory) => {
                if condition.in_use.is_some() {
                    broken.push("a buffer is enabled while one is".to_owned());
                }
                if returned && condition.given_up != Some(memory) {
                    broken
                        .push("MR = 1 for memory that is not as the controller left it".to_owned());
                }
                condition.in_use = Some(memory);
                condition.given_up = None;
            }
            None => {
                condition.given_up = condition.in_use.take().or(condition.given_up);
            }
        }
    }

    /// Answers a command of the buffer.
    pub fn answer(&self, index: usize, status: Status) {
        let command = {
            let mut inner = self.inner.borrow_mut();
            inner.condition.pending.remove(index)
        };
        self.complete(command.cid, status);
    }

    fn complete(&self, cid: u16, status: Status) {
        let mut inner = self.inner.borrow_mut();
        let completion = Completion {
            dw0: 0,
            dw1: 0,
            sq_head: inner.head,
            sq_id: 0,
            cid,
            status: status.into_field().with_phase(inner.phase),
        };
        let at = (inner.acq - BASE) as usize + 16 * usize::from(inner.completions);
        self.bytes.borrow_mut()[at..at + 16].copy_from_slice(completion.as_bytes());
        let entries = (inner.aqa >> 16 & 0xFFF) as u16 + 1;
        inner.completions = (inner.completions + 1) % entries;
        if inner.completions == 0 {
            inner.phase = !inner.phase;
        }
    }

    /// Fetches what is in the submission queue. All but the buffer's commands are answered at once.
    fn fetch(&self, tail: u16) {
        loop {
            let command = {
                let mut inner = self.inner.borrow_mut();
                if inner.head == tail {
                    return;
                }
                let at = (inner.asq - BASE) as usize + 64 * usize::from(inner.head);
                inner.head = (inner.head + 1) % ((inner.aqa & 0xFFF) as u16 + 1);
                let mut command = Command::new_zeroed();
                command
                    .as_mut_bytes()
                    .copy_from_slice(&self.bytes.borrow()[at..at + 64]);
                command
            };
            self.accept(&command);
        }
    }

    fn accept(&self, command: &Command) {
        let cid = command.cdw0.cid();
        let fid = FeatureCdw10::from_bits(command.cdw10).fid();
        match AdminOpcode(command.cdw0.opcode()) {
            AdminOpcode::SET_FEATURES if fid == FeatureId::HOST_MEMORY_BUFFER => {
                let attributes = HostMemoryBufferCdw11::from_bits(command.cdw11);
                let mut inner = self.inner.borrow_mut();
                let lends = attributes.ehm().then_some(inner.offered);
                inner.condition.pending.push(Pending {
                    cid,
                    lends,
                    returned: attributes.mr(),
                    executed: false,
                });
            }
            AdminOpcode::ASYNC_EVENT_REQUEST => {}
            AdminOpcode::IDENTIFY => {
                self.identify(command);
                self.complete(cid, Status::SUCCESS);
            }
            _ => self.complete(cid, Status::SUCCESS),
        }
    }

    fn identify(&self, command: &Command) {
        let at = (command.prp1 - BASE) as usize;
        let page = &mut self.bytes.borrow_mut()[at..at + PAGE];
        page.fill(0);
        if IdentifyCdw10::from_bits(command.cdw10).cns() == Cns::CONTROLLER {
            let mut data = IdentifyController::new_zeroed();
            data.sqes = QueueEntrySize::new().with_required(6).with_maximum(6);
            data.cqes = QueueEntrySize::new().with_required(4).with_maximum(4);
            data.hmpre = 16384;
            data.hmmin = 4096;
            page.copy_from_slice(data.as_bytes());
        }
    }

    fn status(&self) -> ControllerStatus {
        let inner = self.inner.borrow();
        let shst = if inner.condition.shut_down {
            ShutdownStatus::COMPLETE
        } else if inner.condition.shutting_down {
            ShutdownStatus::IN_PROGRESS
        } else {
            ShutdownStatus::NORMAL_OPERATION
        };
        ControllerStatus::new()
            .with_rdy(inner.condition.ready)
            .with_cfs(inner.condition.fatal)
            .with_shst(shst)
    }

    fn configure(&self, value: ControllerConfiguration) {
        let mut inner = self.inner.borrow_mut();
        let was = inner.configuration;
        inner.configuration = value;
        let condition = &mut inner.condition;
        if condition.panicked {
            return;
        }
        condition.enabled = value.en();
        condition.lost &= !value.en();
        if was.en() != value.en() {
            condition.fatal = false;
            condition.shutting_down = false;
            condition.shut_down = false;
        }
        if value.shn() != ShutdownNotification::NONE {
            condition.shutting_down = true;
        }
        if value.en() && !was.en() {
            inner.head = 0;
            inner.completions = 0;
            inner.phase = true;
        }
    }
}

impl Registers for Device {
    fn read32(&self, offset: u32) -> u32 {
        if self.inner.borrow().condition.dark {
            return u32::MAX;
        }
        match offset {
            VS => Version::new().with_mjr(1).into(),
            CC => self.inner.borrow().configuration.into(),
            CSTS => self.status().into(),
            _ => panic!("read of register {offset:#x}"),
        }
    }

    fn write32(&self, offset: u32, value: u32) {
        let taken = {
            let mut inner = self.inner.borrow_mut();
            inner.activity += 1;
            !inner.condition.dark
        };
        match offset {
            _ if !taken => {}
            CC => self.configure(value.into()),
            AQA => self.inner.borrow_mut().aqa = value,
            SUBMISSION_TAIL => {
                let Condition {
                    enabled,
                    ready,
                    lost,
                    ..
                } = self.condition();
                if enabled && ready {
                    self.fetch(value as u16);
                } else if !lost {
                    let mut inner = self.inner.borrow_mut();
                    inner
                        .broken
                        .push("a command for a controller that is not enabled".to_owned());
                }
            }
            COMPLETION_HEAD => {}
            _ => panic!("write of register {offset:#x}"),
        }
    }

    fn read64(&self, offset: u32) -> u64 {
        assert_eq!(offset, CAP);
        if self.inner.borrow().condition.dark {
            return u64::MAX;
        }
        let capabilities = Capabilities::new()
            .with_mqes_z(255)
            .with_to(4)
            .with_css_nvm(true);
        capabilities.into()
    }

    fn write64(&self, offset: u32, value: u64) {
        let mut inner = self.inner.borrow_mut();
        inner.activity += 1;
        match offset {
            _ if inner.condition.dark => {}
            ASQ => inner.asq = value,
            ACQ => inner.acq = value,
            _ => panic!("write of register {offset:#x}"),
        }
    }
}

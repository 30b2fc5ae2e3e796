//! Driver and device, and all that can happen to them. The driver's side is what is tested: [`Controller`] and the states of
//! [`nvme::hmb`]. Nobody decides anything for it: every goal, and every use that the types allow, is tried at every moment.

use std::rc::Rc;

use nvme::Instant;
use nvme::hmb::{Granted, Lent, Needs, Policy, Range, Ranges, Wanted};
use nvme::lifecycle::{
    AdminMemory, Contents, Controller, Event as DriverEvent, Failure, Goal, Inventory, Progress,
    QueueMemory, Settings, Shutdown,
};
use nvme_spec::status::Status;

use crate::device::{Block, Condition, Device, Memory};

/// Longer than any wait of the driver.
const PATIENCE_US: u64 = 200_000_000;
/// Commands of the buffer that are left without an answer, at most.
const MOST_PENDING: usize = 3;
/// More steps than any goal takes without the device.
const MOST_STEPS: u32 = 200;
const BYTES: u64 = 64 << 20;

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The driver begins a goal, whatever is going on.
    Begin(Goal),
    /// The driver lends its memory.
    Lend,
    /// The driver frees its memory and is granted other.
    Replace,
    /// Somebody rewrites the driver's memory, as hibernation does.
    Rewrite,
    /// The driver looks whether an announced removal is true.
    ConfirmRemoval,
    /// The device carries out a command of the buffer, and does not say so.
    Execute(usize),
    /// The device answers a command of the buffer.
    Answer(usize, Status),
    /// CSTS.RDY follows CC.EN.
    Follow,
    /// Shutdown processing is complete.
    ShutDown,
    /// The device fails (CSTS.CFS), and goes on with what it does.
    Fatal,
    /// The device's firmware panics (CSTS.RDY = 0, with or without CFS): it ignores CC and goes on with what it does.
    Panic { fatal: bool },
    /// The firmware of a device that panicked starts from nothing.
    Restart,
    /// Registers read as all ones: the link is down, or the device sleeps.
    Darken,
    /// They do not any more.
    Brighten,
    /// The device loses its power.
    LosePower,
    /// The system announces that the device was removed.
    Announce,
    /// Nothing more happens within the driver's deadlines.
    TimeOut,
}

/// A fault of the driver, to see that the search would find it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A command that timed out is taken for proof.
    TimeOut,
    /// A goal that failed by the status of a command is taken for proof.
    AnyFailure,
    /// An enable that failed is taken for proof, before the disable after it succeeds.
    RefusedEnable,
    /// Registers that read all ones are taken for proof.
    AllOnes,
    /// A disable that succeeds is taken for proof, even if the enable was outstanding.
    AnyDisable,
    /// A disable that was answered late is taken for proof, whichever lending it was of.
    LateDisable,
    /// The proof that comes with a refusal is lost.
    LostProof,
    /// CSTS.RDY = 0 is taken for proof, also where it was 0 before CC.EN was cleared.
    ReadyWasClear,
    /// A notice of removal and one read of all ones are taken for proof.
    NoticeAndOneRead,
}

/// The ranges of a grant.
#[derive(Debug)]
struct Grant;

impl Ranges for Grant {
    fn range(&self, index: usize) -> Option<Range> {
        let address = 0x1_0000_0000;
        (index == 0).then_some(Range {
            address,
            bytes: BYTES,
        })
    }
}

fn grant() -> Granted<Grant> {
    let needs = Needs {
        preferred_bytes: BYTES,
        ..Needs::default()
    };
    let wanted = Wanted::decide(&needs, &Policy::default(), 0, 0);
    wanted.expect("memory is wanted").granted(Grant)
}

/// Who has the memory.
#[derive(Debug)]
enum Holder {
    Driver(Granted<Grant>),
    Device(Lent<Grant>),
    /// Only within a change.
    Nobody,
}

/// A command of the buffer that the device answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answered {
    Enable,
    RefusedEnable,
    Disable,
}

/// Bytes that the port driver granted, and where they are.
#[derive(Clone, Copy, Debug, Default)]
pub struct Account {
    pub granted: u64,
    pub freed: u64,
}

pub struct World {
    controller: Controller<Block>,
    inventory: Box<Inventory>,
    device: Rc<Device>,
    now: Instant,
    holder: Holder,
    memory: Memory,
    contents: Contents,
    account: Account,
    fault: Option<Fault>,
    /// The driver waits for the device.
    waits: bool,
    /// The goal that was begun last; none for a lending.
    goal: Option<Goal>,
    /// The command that was answered last.
    answered: Option<Answered>,
    /// A disable was answered with success after its deadline.
    late: bool,
}

impl World {
    /// A started controller, and memory that was not lent yet.
    pub fn new(fault: Option<Fault>) -> Self {
        let device = Device::new();
        let memory = AdminMemory {
            submission: device.page(0),
            completion: device.page(1),
            data: device.page(2),
            hmb_list: device.page(3),
        };
        let mut inventory = Box::new(Inventory::new());
        inventory.queues[0] = QueueMemory {
            submission_address: 0x10_0000,
            completion_address: 0x20_0000,
            submission_entries: 8,
            completion_entries: 8,
            vector: 0,
        };
        let mut world = Self {
            controller: Controller::new(memory, Settings::default()).expect("whole pages"),
            inventory,
            device,
            now: Instant::default(),
            holder: Holder::Driver(grant()),
            memory: Memory::default(),
            contents: Contents::Kept,
            account: Account {
                granted: BYTES,
                freed: 0,
            },
            fault,
            waits: false,
            goal: None,
            answered: None,
            late: false,
        };
        world.begin(Goal::Identify);
        world.device.follow();
        assert_eq!(world.advance(), Some(Progress::Done));
        assert_eq!(world.begin(Goal::Start { pairs: 1 }), Some(Progress::Done));
        world
    }

    /// What can happen next.
    pub fn events(&self) -> Vec<Event> {
        let condition = self.device.condition();
        let mut events: Vec<Event> = [Goal::Reset, Goal::Disable, Goal::Shutdown(Shutdown::Normal)]
            .map(Event::Begin)
            .into();
        let has = matches!(self.holder, Holder::Driver(_));
        if has {
            events.extend([Event::Replace, Event::Rewrite]);
        }
        if condition.pending.len() < MOST_PENDING {
            events.push(Event::Begin(Goal::DisableHmb));
            events.extend(has.then_some(Event::Lend));
        }
        events.extend(device_events(&condition));
        if condition.announced {
            events.push(Event::ConfirmRemoval);
        }
        if self.waits {
            events.push(Event::TimeOut);
        }
        events
    }

    /// Lets it happen; why it must not have, if it must not.
    pub fn apply(&mut self, event: Event) -> Result<(), String> {
        let progress = match event {
            Event::Begin(goal) => self.begin(goal),
            Event::Lend => self.lend(),
            Event::Replace => {
                self.replace();
                None
            }
            Event::Rewrite => {
                self.memory.contents += 1;
                self.contents = Contents::Lost;
                None
            }
            Event::ConfirmRemoval => {
                self.controller.confirm_removal(&*self.device);
                self.settle();
                None
            }
            Event::TimeOut => {
                self.now = self.now.after_us(PATIENCE_US);
                self.device
                    .change(|condition| condition.lasting = condition.dark);
                self.advance()
            }
            _ => {
                self.happen(event);
                self.advance()
            }
        };
        self.mistake(progress);
        self.judge()
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Execute(index) => self.device.execute(index),
            Event::Answer(index, status) => {
                let command = self.device.condition().pending[index];
                self.answered = Some(match command.lends {
                    None => Answered::Disable,
                    Some(_) if status.is_success() => Answered::Enable,
                    Some(_) => Answered::RefusedEnable,
                });
                if status.is_success() && !command.executed {
                    self.device.execute(index);
                }
                self.device.answer(index, status);
            }
            Event::Follow => self.device.follow(),
            Event::ShutDown => self.device.change(|condition| condition.shut_down = true),
            Event::Fatal => self.device.change(|condition| condition.fatal = true),
            Event::Panic { fatal } => self.device.panic(fatal),
            Event::Restart => self.device.restart(),
            Event::Darken => self.device.change(|condition| condition.dark = true),
            Event::Brighten => self.device.change(|condition| {
                condition.dark = false;
                condition.lasting = false;
            }),
            Event::LosePower => self.device.lose_power(),
            Event::Announce => {
                self.device.change(|condition| condition.announced = true);
                self.controller.announce_removal();
            }
            _ => unreachable!("the driver does that"),
        }
    }

    fn begin(&mut self, goal: Goal) -> Option<Progress> {
        self.controller.begin(goal, self.now).ok()?;
        self.goal = Some(goal);
        self.advance()
    }

    fn lend(&mut self) -> Option<Progress> {
        let Holder::Driver(granted) = std::mem::replace(&mut self.holder, Holder::Nobody) else {
            unreachable!("the device has it");
        };
        let needs = Needs::default();
        let plan = granted.plan(&needs).expect("any size will do");
        match self.controller.lend(plan, self.contents, self.now) {
            Ok(lent) => {
                self.device.offer(self.memory);
                self.contents = Contents::Kept;
                self.answered = None;
                self.holder = Holder::Device(lent);
                self.goal = None;
                self.advance()
            }
            Err(plan) => {
                self.holder = Holder::Driver(plan.into_granted());
                None
            }
        }
    }

    fn replace(&mut self) {
        self.account.freed += BYTES;
        self.account.granted += BYTES;
        self.memory = Memory {
            grant: self.memory.grant + 1,
            contents: 0,
        };
        self.contents = Contents::Kept;
        self.holder = Holder::Driver(grant());
    }

    /// Steps until the driver waits for the device; how a goal ended, if one did.
    fn advance(&mut self) -> Option<Progress> {
        for _ in 0..MOST_STEPS {
            let before = self.device.activity();
            let progress = self
                .controller
                .step(&*self.device, &mut self.inventory, self.now);
            while let Some(event) = self.controller.take_event() {
                self.late |= self.answered == Some(Answered::Disable)
                    && matches!(event, DriverEvent::Late(_, Status::SUCCESS));
            }
            if self.fault == Some(Fault::LostProof)
                && matches!(progress, Progress::Failed(Failure::Refused(..)))
            {
                let _lost = self.controller.detached();
            }
            self.settle();
            match progress {
                Progress::Again { after_us } => {
                    self.waits = true;
                    if after_us > 0 && self.device.activity() == before {
                        return None;
                    }
                }
                end => {
                    self.waits = false;
                    return Some(end);
                }
            }
        }
        panic!("a goal without an end");
    }

    /// Takes the memory back with the driver's proof.
    fn settle(&mut self) {
        let Some(proof) = self.controller.detached() else {
            return;
        };
        self.holder = match std::mem::replace(&mut self.holder, Holder::Nobody) {
            Holder::Device(lent) => match lent.reclaim(proof) {
                Ok(granted) => Holder::Driver(granted),
                Err(lent) => Holder::Device(lent),
            },
            other => other,
        };
    }

    /// Takes the memory back without proof, as the fault would.
    fn mistake(&mut self, progress: Option<Progress>) {
        let Some(fault) = self.fault else {
            return;
        };
        let wrong = match (fault, progress) {
            (Fault::TimeOut, Some(Progress::Failed(Failure::TimedOut(_))))
            | (Fault::AnyFailure, Some(Progress::Failed(Failure::Refused(..))))
            | (Fault::AllOnes, Some(Progress::Failed(Failure::Removed))) => true,
            (Fault::AnyDisable, Some(Progress::Done)) => self.goal == Some(Goal::DisableHmb),
            (Fault::LateDisable, _) => self.late,
            (Fault::RefusedEnable, _) => self.answered == Some(Answered::RefusedEnable),
            (Fault::NoticeAndOneRead, _) => {
                let condition = self.device.condition();
                condition.announced && condition.dark
            }
            (Fault::ReadyWasClear, _) => {
                self.goal == Some(Goal::Disable) && self.device.reads_as_stopped()
            }
            _ => false,
        };
        if wrong && matches!(self.holder, Holder::Device(_)) {
            self.holder = Holder::Driver(grant());
        }
    }

    fn judge(&self) -> Result<(), String> {
        if let Some(broken) = self.device.broken().first() {
            return Err(broken.clone());
        }
        let condition = self.device.condition();
        let kept = matches!(self.holder, Holder::Device(_));
        if !kept && condition.may_use(self.memory.grant) {
            return Err("the driver may free memory that the device may use".to_owned());
        }
        if (0..self.memory.grant).any(|freed| condition.may_use(freed)) {
            return Err("the device may use memory that was freed".to_owned());
        }
        Ok(())
    }

    /// Gets the memory back by a reset that the device obeys; why that fails, if it does. Every byte that was granted is then
    /// freed or the driver's.
    pub fn give_back(mut self) -> Result<(), String> {
        self.device.change(|condition| {
            condition.dark = false;
            condition.lasting = false;
        });
        if self.device.condition().panicked {
            self.device.restart();
        }
        // A controller whose RDY is 0 is enabled once more, so that RDY = 1 shows that it was reset.
        self.begin(Goal::Disable);
        for _ in 0..6 {
            self.device.follow();
            self.now = self.now.after_us(PATIENCE_US);
            self.advance();
        }
        self.judge()?;
        let held = match &self.holder {
            Holder::Driver(granted) => granted.bytes(),
            Holder::Device(_) | Holder::Nobody => 0,
        };
        if self.account.freed + held == self.account.granted {
            Ok(())
        } else {
            Err("a reset does not get the memory back".to_owned())
        }
    }

    /// All that decides what can happen from here on, to the last field.
    pub fn fingerprint(&self) -> String {
        let Self {
            controller,
            device,
            now,
            holder,
            memory,
            contents,
            ..
        } = self;
        let condition = device.condition();
        format!("{controller:?} {condition:?} {now:?} {holder:?} {memory:?} {contents:?}")
    }
}

fn device_events(condition: &Condition) -> Vec<Event> {
    let mut events = Vec::new();
    if condition.dark {
        events.push(Event::LosePower);
        if !condition.is_gone() {
            events.push(Event::Brighten);
        }
    } else {
        events.push(Event::Darken);
        if condition.panicked {
            events.push(Event::Restart);
        } else if condition.enabled != condition.ready {
            events.push(Event::Follow);
        }
        if condition.shutting_down && !condition.shut_down {
            events.push(Event::ShutDown);
        }
        if condition.enabled && !condition.fatal {
            events.push(Event::Fatal);
        }
        if condition.enabled && !condition.panicked {
            events.push(Event::Panic { fatal: true });
            events.push(Event::Panic { fatal: false });
        }
        for (index, command) in condition.pending.iter().enumerate() {
            if !command.executed {
                events.push(Event::Execute(index));
            }
            if !condition.panicked {
                // Whether or not it was executed.
                events.push(Event::Answer(index, Status::INVALID_FIELD));
            }
            if condition.enabled && !condition.panicked {
                events.push(Event::Answer(index, Status::SUCCESS));
            }
        }
    }
    if !condition.announced {
        events.push(Event::Announce);
    }
    events
}

//! One state machine over a clock: it brings a controller up, starts its queues, lends and takes back the Host Memory
//! Buffer, resets it and shuts it down (3.5 and 3.6).
//!
//! A goal is begun, then stepped until it is done or has failed. A step never waits: it says after how long it is worth
//! to step again. Who steps is free: a delay loop at `PASSIVE_LEVEL`, a timer, the interrupt, bounded polling. Every wait
//! inside has a deadline, so a goal ends whatever the controller does. With no goal begun a step only serves the admin
//! completion queue: events, and answers that come after their deadline.
//!
//! The caller makes sure that one step runs at a time.

mod absence;
mod admin;
mod command;
mod enable;
mod events;
mod goal;
mod lending;
mod namespaces;
mod optional;
mod resources;

pub use goal::{
    Contents, Event, Failure, Goal, Impossible, NotNow, Progress, Shutdown, Unsupported, WriteCache,
};
pub use resources::{
    ADMIN_ENTRIES, AdminMemory, Inventory, MAX_QUEUE_PAIRS, QueueMemory, Settings,
};

use nvme_spec::completion::Completion;
use nvme_spec::registers::{CSTS, Capabilities, ControllerStatus, Version};

use crate::hmb::{Detached, Lent, Plan, Ranges};
use crate::identify::ControllerInfo;
use crate::pair::QueuePair;
use crate::queue::{CompletionQueue, SubmissionQueue};
use crate::{DmaMemory, Instant, PAGE_BYTES, Registers};

use absence::Absence;
use admin::AdminTask;
use enable::ResetProof;
use events::{EventLogs, Events, Told};
use lending::Lending;
use namespaces::Listed;
use optional::Unanswered;

/// The first version with CRTO, and with Identify data that are special to a command set (CNS 06h).
const VERSION_2_0: Version = Version::new().with_mjr(2);
/// The most Asynchronous Event Requests held by the controller.
const MAX_EVENT_REQUESTS: u8 = 4;
/// The longest pause that is asked for at once, in microseconds.
const MOST_QUIET_US: u64 = 100_000;
/// Admin commands that can be outstanding: event requests, the command of a goal, and late ones.
const ADMIN_SLOTS: usize = 16;

/// What the state machine does at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Task {
    Idle,
    /// Reads what every other task needs to know of the registers, then stops the controller.
    Attach,
    /// Clears CC.EN, as soon as that is defined.
    Stop,
    AwaitNotReady,
    AwaitReady,
    Admin(AdminTask),
    NotifyShutdown,
    AwaitShutdown,
}

/// A controller, from the host's side.
#[derive(Debug)]
pub struct Controller<D> {
    queues: QueuePair<D, admin::Purpose, ADMIN_SLOTS>,
    data: D,
    hmb_list: D,
    settings: Settings,
    goal: Option<Goal>,
    task: Task,
    /// When the present task began and when it has to be over.
    since: Instant,
    deadline: Instant,
    /// Until then no register is read.
    quiet_until: Instant,
    /// When all admin commands of the goal have to be over.
    goal_deadline: Instant,
    capabilities: Capabilities,
    /// CRTO.CRWMT; 0 where there is none.
    ready_units: u16,
    version: Version,
    /// RDY = 1 was seen after the last EN = 1: the admin queue is in use.
    live: bool,
    reset: ResetProof,
    absence: Absence,
    info: Option<ControllerInfo>,
    write_cache: WriteCache,
    /// I/O queue pairs created.
    pairs: u16,
    /// A completion queue was asked for, and not yet its submission queue created: a start that fails here leaves it behind,
    /// up to the next reset.
    unpaired: bool,
    /// I/O queue pairs to create.
    pairs_wanted: u16,
    /// The active namespaces, during a search for them.
    listed: Listed,
    unanswered: Unanswered,
    /// The identifier of the present task's command.
    pending: Option<u16>,
    /// Its completion.
    answer: Option<Completion>,
    /// Event requests that the controller holds, and how many it should.
    requests: u8,
    requests_wanted: u8,
    events: Events,
    event_logs: EventLogs,
    told: Told,
    lending: Lending,
    /// Shutdown processing did not complete in time.
    shutdown_missed: bool,
}

impl<D: DmaMemory> Controller<D> {
    /// A controller that nothing was asked of yet. `None` when a part of the memory is too small or does not start a page.
    #[must_use]
    pub fn new(memory: AdminMemory<D>, settings: Settings) -> Option<Self> {
        let page = |memory: &D| {
            memory.address() & u64::from(PAGE_BYTES - 1) == 0 && memory.len() >= PAGE_BYTES as usize
        };
        if !page(&memory.data) || !page(&memory.hmb_list) {
            return None;
        }
        let mut queues = QueuePair::new();
        queues.place((
            SubmissionQueue::new(memory.submission, 0, ADMIN_ENTRIES, 0)?,
            CompletionQueue::new(memory.completion, 0, ADMIN_ENTRIES, 0)?,
        ));
        Some(Self {
            queues,
            data: memory.data,
            hmb_list: memory.hmb_list,
            settings,
            goal: None,
            task: Task::Idle,
            since: Instant::default(),
            deadline: Instant::default(),
            quiet_until: Instant::default(),
            goal_deadline: Instant::default(),
            capabilities: Capabilities::new(),
            ready_units: 0,
            version: Version::new(),
            live: false,
            reset: ResetProof::default(),
            absence: Absence::default(),
            info: None,
            write_cache: WriteCache::Absent,
            pairs: 0,
            unpaired: false,
            pairs_wanted: 0,
            listed: Listed::NONE,
            unanswered: Unanswered::default(),
            pending: None,
            answer: None,
            requests: 0,
            requests_wanted: 0,
            events: Events::default(),
            event_logs: EventLogs::default(),
            told: Told::default(),
            lending: Lending::default(),
            shutdown_missed: false,
        })
    }

    /// Has other deadlines and limits from now on. That of a transfer counts at the next [`Goal::Identify`].
    pub const fn set_settings(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// Begins a goal. It replaces the one going on, where [`Goal`] says that it can be begun at any time.
    pub fn begin(&mut self, goal: Goal, now: Instant) -> Result<(), NotNow> {
        let task = match goal {
            Goal::Identify | Goal::Reset | Goal::Disable => Task::Attach,
            Goal::Start { pairs } => {
                if !self.is_idle() || self.info.is_none() || self.has_io_queues() {
                    return Err(NotNow);
                }
                self.pairs_wanted = pairs;
                Task::Admin(AdminTask::RequestQueues)
            }
            Goal::FindNamespaces => {
                if !self.is_idle() || self.info.is_none() {
                    return Err(NotNow);
                }
                self.told.namespaces_changed = false;
                Task::Admin(AdminTask::ListNamespaces)
            }
            Goal::DisableHmb => {
                if !self.live || !self.uses_admin_queue() {
                    return Err(NotNow);
                }
                Task::Admin(AdminTask::DisableHmb(self.lending.to_end()))
            }
            Goal::Shutdown(kind) => self.first_of_shutdown(kind),
        };
        self.shutdown_missed = false;
        self.absence.answered();
        if matches!(goal, Goal::Identify | Goal::Reset) {
            self.expect();
        }
        self.goal = Some(goal);
        self.goal_deadline = now.after_us(self.settings.goal_us);
        self.enter(task, now);
        Ok(())
    }

    /// Lends memory to the controller and begins to tell it so. The memory counts as lent from this call on, whatever becomes
    /// of the command. Gives the plan back when the controller is not enabled, has a goal, or still has a lending of before.
    ///
    /// Memory is *returned* (MR = 1) when `contents` were kept, and grant, size, list address and list contents are those
    /// that the controller had until it gave the buffer up by command.
    pub fn lend<R: Ranges>(
        &mut self,
        plan: Plan<R>,
        contents: Contents,
        now: Instant,
    ) -> Result<Lent<R>, Plan<R>> {
        if !self.is_idle() || self.lending.is_open() {
            return Err(plan);
        }
        let unchanged = plan.write_list(&self.hmb_list);
        let kept = unchanged && contents == Contents::Kept;
        let number = self.lending.open(&plan, kept);
        self.goal_deadline = now.after_us(self.settings.goal_us);
        self.enter(Task::Admin(AdminTask::EnableHmb), now);
        Ok(plan.lend(number))
    }

    /// Takes a step towards the goal. `inventory` is the same in each call.
    pub fn step(
        &mut self,
        registers: &impl Registers,
        inventory: &mut Inventory,
        now: Instant,
    ) -> Progress {
        self.advance(registers, inventory, now)
            .unwrap_or_else(|failure| {
                self.enter(Task::Idle, now);
                self.goal = None;
                Progress::Failed(failure)
            })
    }

    /// The proof that the controller does not use the memory lent last. It is given once for each lending.
    pub fn detached(&mut self) -> Option<Detached> {
        self.lending.take_proof()
    }

    /// Whether the controller has gone: its removal was announced, a goal has failed because registers read all ones for as
    /// long as that takes, and they still do. Then nothing that it was given is in use. One that still answers has to be
    /// reset.
    pub fn confirm_removal(&mut self, registers: &impl Registers) -> bool {
        let gone = self.is_gone() && registers.read32(CSTS) == u32::MAX;
        if gone {
            self.forget();
        }
        gone
    }

    /// Takes the oldest event.
    pub fn take_event(&mut self) -> Option<Event> {
        self.events.take()
    }

    /// Whether an event has said that namespaces have changed since [`Goal::FindNamespaces`] was begun last.
    pub const fn namespaces_changed(&self) -> bool {
        self.told.namespaces_changed
    }

    /// Whether the media are read-only, as SMART / Health Information said at the last [`Goal::Start`] or after an event.
    pub const fn is_read_only(&self) -> bool {
        self.told.read_only
    }

    /// How many events were lost because nobody took them in time.
    pub const fn events_lost(&self) -> u32 {
        self.events.lost()
    }

    /// What Identify Controller said; `None` before the first [`Goal::Identify`] got so far.
    pub const fn info(&self) -> Option<&ControllerInfo> {
        self.info.as_ref()
    }

    /// CAP, as it was read last.
    pub const fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    /// VS, as it was read last.
    pub const fn version(&self) -> Version {
        self.version
    }

    /// The most entries of an I/O queue.
    pub const fn max_queue_entries(&self) -> u16 {
        self.capabilities.mqes_z().saturating_add(1)
    }

    /// I/O queue pairs that exist.
    pub const fn pairs(&self) -> u16 {
        self.pairs
    }

    /// State of the volatile write cache, as of the last [`Goal::Start`].
    pub const fn write_cache(&self) -> WriteCache {
        self.write_cache
    }

    /// Whether the memory lent last is being returned, or was (MR = 1).
    pub const fn memory_returned(&self) -> bool {
        self.lending.is_return()
    }

    /// The admin completion queue, while the controller has it.
    pub fn completions(&self) -> Option<&CompletionQueue<D>> {
        self.queues.completions().filter(|_| self.live)
    }

    /// Whether the controller has posted an admin completion that no step has taken.
    pub fn has_completions(&self) -> bool {
        self.completions().is_some_and(CompletionQueue::is_pending)
    }

    /// When a step is to be taken for a log page that an event named: it has to wait, or to be answered.
    pub fn deferred(&mut self) -> Option<Instant> {
        self.live.then(|| self.event_logs.deferred()).flatten()
    }

    /// Whether the controller says that it has failed: CSTS.CFS, or no RDY any more. One that is gone says nothing.
    pub fn has_failed(&self, registers: &impl Registers) -> bool {
        self.live && has_stopped(registers)
    }

    /// Whether the controller may read or write what it was told of: queues, data of commands, host memory. It may from
    /// EN = 1 on until it has shown that it was reset, or that it has gone.
    pub const fn may_use_memory(&self) -> bool {
        self.reset.is_exposed()
    }

    /// The controller is enabled and no goal is going on.
    pub const fn is_idle(&self) -> bool {
        self.live && matches!(self.task, Task::Idle)
    }

    /// Goes to a task. The command of the one before, if it is still outstanding, is late from now on.
    fn enter(&mut self, task: Task, now: Instant) {
        let limit_us = match task {
            Task::AwaitShutdown => self.shutdown_limit_us(),
            Task::Idle | Task::Attach | Task::Admin(_) | Task::NotifyShutdown => 0,
            Task::Stop | Task::AwaitNotReady | Task::AwaitReady => self.ready_limit_us(),
        };
        self.task = task;
        self.since = now;
        self.deadline = now.after_us(limit_us);
        self.pending = None;
        self.answer = None;
    }

    fn advance(
        &mut self,
        registers: &impl Registers,
        inventory: &mut Inventory,
        now: Instant,
    ) -> Result<Progress, Failure> {
        if now < self.quiet_until {
            let left_us = self.quiet_until.us_since(now).clamp(1, MOST_QUIET_US);
            return Ok(Progress::Again {
                after_us: left_us as u32,
            });
        }
        let status = registers.read32(CSTS);
        if status == u32::MAX {
            return self.absent(now);
        }
        self.absence.answered();
        let status = ControllerStatus::from(status);
        if self.live && self.uses_admin_queue() {
            if works_no_more(status) {
                return self.fatal(now);
            }
            self.serve(registers, now)
                .inspect_err(|&failure| self.doubt_task(failure))?;
        }
        match self.task {
            Task::Idle => Ok(Progress::Done),
            Task::Attach => self.attach(registers, now),
            Task::Stop => self.stop(registers, status, now),
            Task::AwaitNotReady => self.await_not_ready(registers, status, now),
            Task::AwaitReady => self.await_ready(registers, status, now),
            Task::Admin(task) => self.admin(task, registers, inventory, now),
            Task::NotifyShutdown => self.notify_shutdown(registers, now),
            Task::AwaitShutdown => Ok(self.await_shutdown(status, now)),
        }
    }

    const fn has_io_queues(&self) -> bool {
        self.pairs > 0 || self.unpaired
    }

    const fn uses_admin_queue(&self) -> bool {
        matches!(self.task, Task::Idle | Task::Admin(_))
    }

    /// Looks again after an eighth of the wait so far, between 10 us and 10 ms.
    fn poll(&self, now: Instant) -> Progress {
        let waited_us = now.us_since(self.since) / 8;
        Progress::Again {
            after_us: waited_us.clamp(10, 10_000) as u32,
        }
    }

    /// Goes on with `task` at once.
    fn then(&mut self, task: Task, now: Instant) -> Progress {
        self.enter(task, now);
        Progress::Again { after_us: 0 }
    }

    /// The goal is reached.
    fn finish(&mut self, now: Instant) -> Progress {
        self.enter(Task::Idle, now);
        self.goal = None;
        Progress::Done
    }
}

/// Whether a controller that answers has failed or stopped: CSTS.CFS = 1 or CSTS.RDY = 0. One that reads as all ones says nothing.
pub fn has_stopped(registers: &impl Registers) -> bool {
    let status = registers.read32(CSTS);
    status != u32::MAX && works_no_more(ControllerStatus::from(status))
}

/// Whether an enabled controller works no more: it says so, or is not ready any more, which only a failure leads to.
const fn works_no_more(status: ControllerStatus) -> bool {
    status.cfs() || !status.rdy()
}

//! The adapter's state, and what moves it on: one step at a time, from whichever callback comes next.

use nvme::hmb::{Policy, Symptom};
use nvme::lifecycle::{Contents, Controller, Failure, Goal, Inventory, Progress, Shutdown};

use crate::control::call::Call;
use crate::control::hmb::Hmb;
use crate::control::naming;
use crate::control::recovery::MissedInterrupts;
use crate::control::report;
use crate::io::gate::Gate;
use crate::io::pair::Found;
use crate::storport::{DmaBlock, Irql, RegisterWindow, Srb, SrbFunction, SrbList, SrbStatus};

/// What an adapter is good for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Life {
    /// No controller yet.
    Empty,
    /// Requests go to the controller.
    Running,
    /// On the way to running: requests wait.
    Waking,
    /// Powered down, or on the way there: requests wait.
    Asleep,
    /// Stopped for good, or until it is found or restarted again: requests are refused.
    Stopped,
    /// The controller does not work: requests are refused.
    Dead,
}

/// Where the controller is being taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Stage {
    /// Nowhere.
    Idle,
    /// Reset, on the way to running.
    Resetting,
    /// Namespaces are being identified again: after a reset, or because they have changed.
    Identifying,
    /// I/O queues are being created.
    Starting,
    /// Memory is being asked for, or there is too much of it: see [`Errand`](crate::control::hmb::Errand).
    Asking,
    /// The Host Memory Buffer is being enabled.
    Lending,
    /// The Host Memory Buffer is being disabled, on the way to rest.
    TakingBack,
    /// An orderly shutdown, on the way to rest.
    ShuttingDown,
    /// CC.EN = 0 without ceremony: the last resort on the way to rest.
    Disabling,
    /// The controller is at rest for good, and the Host Memory Buffer is being freed.
    Freeing,
}

/// How often a controller that does not come up is reset before it is given up.
pub(crate) const MAX_RESETS: u8 = 3;

/// How many stages one call goes through at most.
const MAX_STEPS: u32 = 64;

/// What the callbacks share, one at a time.
pub(crate) struct State {
    pub(crate) controller: Option<Controller<DmaBlock>>,
    pub(crate) registers: Option<RegisterWindow>,
    pub(crate) inventory: Inventory,
    /// Memory of the I/O queues, until their size is known.
    pub(crate) io_memory: Option<DmaBlock>,
    pub(crate) hmb: Hmb,
    pub(crate) policy: Option<Policy>,
    pub(crate) life: Life,
    pub(crate) stage: Stage,
    /// Resets since the controller last ran.
    pub(crate) resets: u8,
    pub(crate) missed_interrupts: MissedInterrupts,
    /// The system has announced that the device is gone.
    pub(crate) removed: bool,
    /// How requests come back that are not finished when the controller comes to rest for good.
    pub(crate) unfinished: SrbStatus,
    /// What becomes of requests, as the data plane was told.
    pub(crate) gate: Gate,
    /// Requests that are completed when the controller has come to rest or runs again.
    pub(crate) then_complete: SrbList,
}

impl State {
    pub(crate) const EMPTY: Self = Self {
        controller: None,
        registers: None,
        inventory: Inventory::new(),
        io_memory: None,
        hmb: Hmb::NONE,
        policy: None,
        life: Life::Empty,
        stage: Stage::Idle,
        resets: 0,
        missed_interrupts: MissedInterrupts::NONE,
        removed: false,
        unfinished: SrbStatus::NO_HBA,
        gate: Gate::Closed,
        then_complete: SrbList::new(),
    };

    /// A request of the control plane's, out of `HwStartIo`.
    pub(crate) fn accept(&mut self, call: Call<'_>, srb: Srb, done: &mut SrbList) {
        if srb.function() == SrbFunction::PNP {
            return self.plug_and_play(call, srb, done);
        }
        let io = &call.adapter.io;
        io.return_waiting(call.irql, SrbStatus::BUS_RESET, done);
        if self.recover(call, done) {
            self.then_complete.push(srb, SrbStatus::SUCCESS);
        } else {
            done.push(srb, SrbStatus::SUCCESS);
        }
    }

    /// What becomes of requests, as things are.
    const fn gate(&self) -> Gate {
        match self.life {
            Life::Running if matches!(self.stage, Stage::Identifying) => Gate::Paused,
            Life::Running => Gate::Open,
            Life::Waking | Life::Asleep => Gate::Closed,
            Life::Stopped => Gate::Refusing(self.unfinished),
            Life::Empty | Life::Dead => Gate::Refusing(SrbStatus::NO_HBA),
        }
    }

    /// Tells the data plane what becomes of requests. False where it could not be told everywhere, at DIRQL: again then.
    pub(crate) fn set_gate(&mut self, call: Call<'_>, done: &mut SrbList) -> bool {
        let gate = self.gate();
        if gate == self.gate {
            return true;
        }
        let set = call.adapter.io.set_gate(call.irql, gate, done);
        if set {
            self.gate = gate;
        }
        set
    }

    /// Drains the I/O completion queues, and has a controller reset that is not to be believed.
    pub(crate) fn drain(&mut self, call: Call<'_>, done: &mut SrbList) -> Found {
        let found = call.adapter.io.drain(call.irql, done);
        if found.sampled {
            self.hmb.answered(call.port.now());
        }
        self.turn_lookouts(call);
        if found.broken && self.life == Life::Running {
            self.suspect(call, Symptom::Dead);
            self.reset(call);
        }
        found
    }

    /// Brings an identified controller into service: I/O queues, event requests, Host Memory Buffer.
    pub(crate) fn begin_start(&mut self, call: Call<'_>) {
        self.life = Life::Waking;
        self.resets = 0;
        self.start_queues(call);
    }

    /// Has the I/O queues created. A mask that was left on the interrupt would hold the answer back. A line stays masked while the
    /// start polls at `PASSIVE_LEVEL`: its interrupts would find what they tell of taken. The DPC at the end lifts that mask.
    fn start_queues(&mut self, call: Call<'_>) {
        self.place_queues(call);
        if let Some(registers) = &self.registers {
            let (mask, messages) = (&call.adapter.mask, call.adapter.messages());
            if messages == 0 && call.irql == Irql::Passive {
                mask.close(messages, registers);
            } else {
                mask.open(messages, registers);
            }
        }
        let pairs = call.adapter.wanted_pairs();
        self.begin(call, Goal::Start { pairs }, Stage::Starting);
    }

    /// Says where the I/O queue pairs are and which messages they interrupt with.
    fn place_queues(&mut self, call: Call<'_>) {
        let Some(controller) = &self.controller else {
            return;
        };
        let dstrd = controller.capabilities().dstrd();
        let own = call.adapter.io_has_own_messages();
        let vector = |index: usize| {
            if own {
                (index as u16).saturating_add(1)
            } else {
                0
            }
        };
        let places = &mut self.inventory.queues;
        call.adapter.io.restart(call.irql, dstrd, vector, places);
    }

    /// Wakes a controller that lost its power or was disabled. `unprepared` says that it lost its power as it ran.
    pub(crate) fn wake(&mut self, call: Call<'_>, unprepared: bool) {
        let rested = matches!(self.life, Life::Asleep | Life::Stopped);
        if (rested || unprepared) && self.life != Life::Empty && !self.removed {
            if !rested {
                self.hmb.contents = Contents::Lost;
            }
            self.life = Life::Waking;
            self.resets = 0;
            self.begin(call, Goal::Reset, Stage::Resetting);
        }
    }

    /// Brings the controller to rest: Host Memory Buffer disabled, shut down, disabled. `life` says what for.
    pub(crate) fn rest(&mut self, call: Call<'_>, life: Life) {
        let was = self.life;
        if matches!(was, Life::Empty | Life::Stopped) {
            return;
        }
        self.life = life;
        self.hmb.ask_for_nothing();
        if self.stage == Stage::Asking {
            self.stage = Stage::Idle;
        }
        if was == Life::Asleep && self.stage == Stage::Idle {
            return;
        }
        let begun = self.hmb.is_lent() && self.begin(call, Goal::DisableHmb, Stage::TakingBack);
        if !begun {
            self.begin(call, Goal::Shutdown(Shutdown::Normal), Stage::ShuttingDown);
        }
    }

    /// Begins to disable the controller at once: the last resort. False when there is none.
    pub(crate) fn disable(&mut self, call: Call<'_>) -> bool {
        self.begin(call, Goal::Disable, Stage::Disabling)
    }

    pub(crate) fn begin(&mut self, call: Call<'_>, goal: Goal, stage: Stage) -> bool {
        let begun = self
            .controller
            .as_mut()
            .is_some_and(|controller| controller.begin(goal, call.port.now()).is_ok());
        if begun {
            self.stage = stage;
        }
        begun
    }

    /// Tells the routine of a line interrupt where the next completions will show. Messages need nobody to look.
    fn turn_lookouts(&self, call: Call<'_>) {
        if call.adapter.messages() == 0 {
            let admin = self.controller.as_ref().and_then(Controller::completions);
            call.adapter.admin_lookout.turn_to(admin);
            call.adapter.io.turn_lookouts(call.irql);
        }
    }

    /// Whether interrupts are served. A controller at rest, or on the way through a reset, stays masked until its next start.
    pub(crate) fn takes_interrupts(&self) -> bool {
        match self.life {
            Life::Running => true,
            Life::Waking => !matches!(self.stage, Stage::Resetting | Stage::Identifying),
            _ => false,
        }
    }

    /// Whether the controller is being taken somewhere.
    pub(crate) fn is_busy(&self) -> bool {
        self.stage != Stage::Idle
    }

    /// Takes as many steps as can be taken now: after how many microseconds to call again, or `None` when there is
    /// nothing to wait for.
    pub(crate) fn advance(&mut self, call: Call<'_>, done: &mut SrbList) -> Option<u32> {
        for _ in 0..MAX_STEPS {
            // Before the controller is taken anywhere, no request is on its way to it.
            if !self.set_gate(call, done) {
                return Some(1);
            }
            if self.stage == Stage::Freeing {
                return None;
            }
            if self.stage == Stage::Idle && self.life != Life::Running {
                self.hmb.release(call, self.life);
                return None;
            }
            let waits = matches!(self.stage, Stage::Idle | Stage::Asking);
            let (Some(controller), Some(registers)) = (&mut self.controller, &self.registers)
            else {
                return None;
            };
            // A step reads a register, which takes longer than all else that an interrupt for I/O needs.
            if waits
                && !controller.has_completions()
                && !call.adapter.mask.take_alarm()
                && controller
                    .deferred()
                    .is_none_or(|due| call.port.now() < due)
            {
                return None;
            }
            let progress = controller.step(registers, &mut self.inventory, call.port.now());
            self.hmb.settle(call, controller);
            self.turn_lookouts(call);
            match progress {
                Progress::Again { after_us: 0 } => {}
                Progress::Again { after_us } => return Some(after_us),
                Progress::Done if waits => {
                    self.tell_events(call);
                    self.show_health(call);
                    if !self.find_changed_namespaces(call) {
                        return None;
                    }
                }
                Progress::Done => self.reached(call, done),
                Progress::Failed(failure) => self.missed(call, failure, done),
            }
        }
        Some(1)
    }

    /// The controller is where the stage took it: on to the next.
    fn reached(&mut self, call: Call<'_>, done: &mut SrbList) {
        match self.stage {
            Stage::Idle | Stage::Asking | Stage::Freeing => {}
            Stage::Resetting => {
                let io = &call.adapter.io;
                io.return_outstanding(call.irql, SrbStatus::BUS_RESET, done);
                if !self.find_namespaces(call) {
                    self.start_queues(call);
                }
            }
            Stage::Identifying => {
                self.show_units(call);
                if self.life == Life::Running {
                    self.stage = Stage::Idle;
                } else {
                    self.start_queues(call);
                }
            }
            Stage::Starting => {
                let pairs = self.controller.as_ref().map_or(1, Controller::pairs);
                call.adapter.io.set_used(usize::from(pairs));
                self.lend(call, done);
            }
            Stage::Lending => {
                self.hmb.enabled(call, self.controller.as_ref());
                self.run(call, done);
            }
            Stage::TakingBack => {
                self.begin(call, Goal::Shutdown(Shutdown::Normal), Stage::ShuttingDown);
            }
            Stage::ShuttingDown | Stage::Disabling => self.at_rest(call, done),
        }
    }

    /// The controller did not get where the stage was to take it.
    fn missed(&mut self, call: Call<'_>, failure: Failure, done: &mut SrbList) {
        match self.stage {
            Stage::Idle
            | Stage::Resetting
            | Stage::Identifying
            | Stage::Starting
            | Stage::Asking
            | Stage::Freeing => {
                self.failed(call, failure, done);
            }
            Stage::Lending => {
                // Refused: the memory is back and the controller runs on. No answer: only a reset gets it back.
                let refused = matches!(failure, Failure::Refused(..)) && !self.hmb.is_lent();
                if let Some(controller) = &self.controller {
                    self.hmb.not_enabled(call, controller, failure);
                }
                if refused {
                    self.run(call, done);
                } else {
                    self.failed(call, failure, done);
                }
            }
            Stage::TakingBack => {
                if !self.begin(call, Goal::Shutdown(Shutdown::Normal), Stage::ShuttingDown) {
                    self.at_rest(call, done);
                }
            }
            // Shutdown processing ran out of time, but the controller was stopped all the same.
            Stage::ShuttingDown if failure == Failure::NotShutDown => self.at_rest(call, done),
            Stage::ShuttingDown if !is_final(failure) => {
                self.disable(call);
            }
            Stage::ShuttingDown | Stage::Disabling => {
                let _gone = self.confirm_removal(call);
                if failure != Failure::Removed {
                    report::failed(call, failure);
                }
                self.at_rest(call, done);
            }
        }
    }

    /// The controller failed on its way to running, or while it ran: reset it, a few times.
    fn failed(&mut self, call: Call<'_>, failure: Failure, done: &mut SrbList) {
        self.resets = self.resets.saturating_add(1);
        let gone = failure == Failure::Removed;
        if !gone {
            self.suspect(call, Symptom::Dead);
        }
        report::failed(call, failure);
        if !is_final(failure)
            && self.resets <= MAX_RESETS
            && self.begin(call, Goal::Reset, Stage::Resetting)
        {
            self.life = Life::Waking;
            return;
        }
        // Whatever it still does, it must not do it to memory that the port driver takes back.
        self.life = Life::Dead;
        if matches!(failure, Failure::StillReady | Failure::NoReset) || !self.disable(call) {
            self.at_rest(call, done);
        }
    }

    /// The controller runs.
    pub(crate) fn run(&mut self, call: Call<'_>, done: &mut SrbList) {
        self.stage = Stage::Idle;
        self.life = Life::Running;
        self.resets = 0;
        self.hmb.release(call, self.life);
        self.then_complete.move_to(done);
        self.show_health(call);
    }

    /// The controller has come to rest, or cannot be brought to it.
    pub(crate) fn at_rest(&mut self, call: Call<'_>, done: &mut SrbList) {
        self.stage = Stage::Idle;
        if self.life == Life::Stopped {
            naming::withdraw(call.port);
        }
        // There are controllers that leave the line asserted after CC.EN = 0.
        if let Some(registers) = &self.registers {
            call.adapter.mask.close(call.adapter.messages(), registers);
        }
        self.hmb.release(call, self.life);
        if matches!(self.life, Life::Stopped | Life::Dead) {
            self.give_up(call, done);
        } else {
            self.return_proven(call, done, SrbStatus::BUS_RESET);
        }
        self.end_rest(call, done);
    }

    /// What asked for the rest is completed, for good only when the memory is back.
    pub(crate) fn end_rest(&mut self, call: Call<'_>, done: &mut SrbList) {
        let over = matches!(self.life, Life::Stopped | Life::Dead);
        if over && self.hmb.has_errand() {
            self.stage = Stage::Freeing;
            return;
        }
        self.stage = Stage::Idle;
        if self.life == Life::Stopped {
            // Nothing is looked at again: none is to come when the adapter has gone.
            call.port.tick_no_more();
        }
        self.then_complete.move_to(done);
    }

    /// After how many microseconds a log page that an event named may be read, where one has to wait.
    pub(crate) fn log_after_us(&mut self, call: Call<'_>) -> Option<u32> {
        if self.stage != Stage::Idle || self.life != Life::Running {
            return None;
        }
        let due = self.controller.as_mut().and_then(Controller::deferred)?;
        u32::try_from(due.us_since(call.port.now()).max(1)).ok()
    }

    /// Tells the asynchronous events of the controller.
    fn tell_events(&mut self, call: Call<'_>) {
        let Some(controller) = &mut self.controller else {
            return;
        };
        while let Some(event) = controller.take_event() {
            report::event(call, event);
        }
    }
}

/// Whether a reset is in vain: there is nobody to reset, or the controller had its time to stop and did not. Whatever waits
/// for it should not wait for the same thing again.
pub(crate) const fn is_final(failure: Failure) -> bool {
    matches!(
        failure,
        Failure::Removed | Failure::StillReady | Failure::NoReset
    )
}

//! An I/O queue pair: requests on their way to the controller and back, under the pair's own lock.

use nvme::Instant;
use nvme::hmb::Sampling;
use nvme::lifecycle::QueueMemory;
use nvme::pair::{QueuePair, Rings};
use nvme_spec::status::Status;
use sync::{Held, Lock};

use super::finish;
use super::gate::Gate;
use super::units::Units;
use crate::storport::{DmaBlock, Dpc, Irql, Lookout, RegisterWindow, Srb, SrbList, SrbStatus};

/// The most entries of a queue pair.
pub(crate) const MAX_ENTRIES: u16 = 1024;

/// How long is waited for a pair by who must not wait for another: at DIRQL the holder may be what was interrupted, and in a DPC
/// it may be passive initialisation. In turns of a loop.
const PATIENCE: u32 = 1000;

/// A queue pair. Its lock is taken at `DISPATCH_LEVEL`, for some hundred instructions, and no routine of the port driver is called
/// under it. At `PASSIVE_LEVEL` only those take it beside whom there is no request: `HwFindAdapter` and passive initialisation.
///
/// It shares no cache line with another pair.
#[repr(align(64))]
pub(crate) struct Pair {
    shared: Lock<Shared>,
    /// Where the interrupt of the pair's own message leaves its work.
    pub(crate) dpc: Dpc,
    /// Where a line interrupt looks for completions.
    pub(crate) lookout: Lookout,
}

/// What the lock of a pair protects.
pub(crate) struct Shared {
    queues: QueuePair<DmaBlock, Srb, { MAX_ENTRIES as usize }>,
    registers: Option<RegisterWindow>,
    gate: Gate,
    /// Requests that are held, or for which there was no room.
    waiting: SrbList,
    sampling: Sampling,
    /// When the controller answered, as far as that was looked at.
    answered: Option<Instant>,
    /// The controller posted what no working one does, or nothing else for too long.
    broken: bool,
    /// Interrupts cannot be relied on: the timer looks, as long as there are requests.
    polled: bool,
}

/// What became of a request.
pub(crate) enum Submitted {
    /// The controller has it, or it is held.
    Taken,
    /// As before, and it is the first one of a pair that is polled.
    Polled,
    /// It is for the first pair.
    Elsewhere(Srb),
    /// It comes back.
    Ended(Srb, SrbStatus),
}

/// What was found in completion queues.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Found {
    /// The pairs in which requests ended, as a bit mask.
    pub(crate) answering: u64,
    /// There may be more.
    pub(crate) more: bool,
    /// The controller has to be reset.
    pub(crate) broken: bool,
    /// The clock is to be looked at, for [`Shared::answered_at`].
    pub(crate) sampled: bool,
}

impl Pair {
    #[expect(
        clippy::declare_interior_mutable_const,
        reason = "a value to copy from, never used in place"
    )]
    pub(crate) const EMPTY: Self = Self::new();

    const fn new() -> Self {
        Self {
            shared: Lock::new(Shared {
                queues: QueuePair::new(),
                registers: None,
                gate: Gate::Closed,
                waiting: SrbList::new(),
                sampling: Sampling::OFF,
                answered: None,
                broken: false,
                polled: false,
            }),
            dpc: Dpc::new(),
            lookout: Lookout::new(),
        }
    }

    /// The pair, at `DISPATCH_LEVEL`.
    pub(crate) fn lock(&self) -> Held<'_, Shared> {
        self.shared.lock()
    }

    /// The pair, where its holder may be what this call has interrupted.
    pub(crate) fn lock_briefly(&self) -> Option<Held<'_, Shared>> {
        self.shared.lock_within(PATIENCE)
    }

    /// The pair, at an IRQL that control runs at; `None` only at DIRQL.
    pub(crate) fn lock_at(&self, irql: Irql) -> Option<Held<'_, Shared>> {
        match irql {
            Irql::Device => self.lock_briefly(),
            Irql::Passive | Irql::Dispatch => Some(self.lock()),
        }
    }
}

impl Shared {
    /// Gives the pair its rings, for a controller with these registers.
    pub(crate) fn place(&mut self, rings: Rings<DmaBlock>, registers: RegisterWindow) {
        self.queues.place(rings);
        self.registers = Some(registers);
        self.gate = Gate::Closed;
        self.sampling = Sampling::OFF;
        self.answered = None;
        self.broken = false;
        self.polled = false;
    }

    /// Empties the rings for their creation, and says where they are; interrupts come by `vector`.
    pub(crate) fn restart(&mut self, dstrd: u8, vector: u16) -> Option<QueueMemory> {
        self.queues.reset(dstrd);
        self.broken = false;
        self.queues.memory(vector)
    }

    /// How many requests the controller can have at a time.
    pub(crate) fn depth(&self) -> u16 {
        self.queues.depth()
    }

    /// How many requests the controller has.
    pub(crate) const fn outstanding(&self) -> usize {
        self.queues.outstanding()
    }

    /// Sets what becomes of requests from now on, and of those that are held.
    pub(crate) fn set_gate(&mut self, gate: Gate, units: &Units, done: &mut SrbList) {
        self.gate = gate;
        match gate {
            Gate::Open => self.submit_waiting(units, done),
            Gate::Paused | Gate::Closed | Gate::Elsewhere => {}
            Gate::Refusing(status) => self.return_waiting(status, done),
        }
    }

    /// Has the clock looked at when the controller answers.
    pub(crate) const fn listen(&mut self) {
        self.sampling.begin();
        self.answered = None;
    }

    /// When the controller answered last since [`listen`](Self::listen), as far as that was looked at.
    pub(crate) const fn answered(&self) -> Option<Instant> {
        self.answered
    }

    /// The controller has answered by then.
    pub(crate) const fn answered_at(&mut self, now: Instant) {
        self.answered = Some(now);
    }

    /// Has the pair polled as long as there are requests, or not.
    pub(crate) const fn poll(&mut self, polled: bool) {
        self.polled = polled;
    }

    /// A request: to the controller, held, or back. One whose logical unit went after it was translated does not reach the
    /// controller: another namespace may have its NSID by now.
    pub(crate) fn submit(&mut self, units: &Units, mut srb: Srb) -> Submitted {
        match self.gate {
            Gate::Open => {}
            Gate::Paused | Gate::Closed => return self.hold(srb),
            Gate::Elsewhere => return Submitted::Elsewhere(srb),
            Gate::Refusing(status) => return Submitted::Ended(srb, status),
        }
        if !units.has(srb.lun()) {
            let status = finish::gone(&mut srb);
            return Submitted::Ended(srb, status);
        }
        let Some(registers) = &self.registers else {
            return self.hold(srb);
        };
        let idle = self.queues.outstanding() == 0;
        let sent = self
            .queues
            .send(srb, |srb, entry| entry.write(srb.command()));
        if let Err(srb) = sent {
            return self.hold(srb);
        }
        self.queues.ring(registers);
        if idle && self.polled {
            Submitted::Polled
        } else {
            Submitted::Taken
        }
    }

    #[cold]
    fn hold(&mut self, srb: Srb) -> Submitted {
        self.waiting.push(srb, SrbStatus::SUCCESS);
        Submitted::Taken
    }

    /// Gives held requests to the controller, as far as there is room.
    fn submit_waiting(&mut self, units: &Units, done: &mut SrbList) {
        for _ in 0..self.queues.room() {
            let Some((srb, _)) = self.waiting.pop() else {
                return;
            };
            match self.submit(units, srb) {
                Submitted::Taken | Submitted::Polled => {}
                Submitted::Elsewhere(srb) => self.waiting.push(srb, SrbStatus::SUCCESS),
                Submitted::Ended(srb, status) => done.push(srb, status),
            }
        }
    }

    /// Takes every completion that there is: their requests go to `done`.
    pub(crate) fn drain(&mut self, units: &Units, done: &mut SrbList) -> Found {
        let (true, Some(registers)) = (self.gate.drains(), &self.registers) else {
            return Found::default();
        };
        let mut again = SrbList::new();
        let drained = self.queues.drain(registers, |mut srb, completion| {
            if Status::from(completion.status) != Status::SUCCESS {
                finish::fail(srb, completion, done);
            } else if srb.prepare_next() {
                again.push(srb, SrbStatus::SUCCESS);
            } else {
                finish::succeed(srb, done);
            }
        });
        let found = match drained {
            Ok(drained) => Found {
                answering: u64::from(drained.ended > 0),
                more: drained.more,
                broken: false,
                sampled: drained.ended > 0 && self.sampling.answer(),
            },
            Err(_) => Found {
                broken: true,
                ..Found::default()
            },
        };
        again.move_to(&mut self.waiting);
        self.broken |= found.broken;
        if self.gate == Gate::Open && !self.waiting.is_empty() {
            self.submit_waiting(units, done);
        }
        found
    }

    /// Whether the controller has to be reset for what it posted, since the last call.
    pub(crate) const fn take_broken(&mut self) -> bool {
        core::mem::replace(&mut self.broken, false)
    }

    /// The controller has forgotten every command: their requests come back.
    pub(crate) fn return_outstanding(&mut self, status: SrbStatus, done: &mut SrbList) {
        self.queues.take_all(|srb| done.push(srb, status));
    }

    /// Requests that the controller never saw.
    pub(crate) const fn waiting(&mut self) -> &mut SrbList {
        &mut self.waiting
    }

    /// Requests that the controller never saw come back: nothing holds them up.
    pub(crate) fn return_waiting(&mut self, status: SrbStatus, done: &mut SrbList) {
        self.waiting.end_to(done, status);
    }

    /// Shows `lookout` where the next completion will be.
    pub(crate) fn show(&self, lookout: &Lookout) {
        lookout.turn_to(self.queues.completions());
    }
}

//! Resets that the port driver asks for, and interrupts that do not come.

use nvme::hmb::Symptom;
use nvme::lifecycle::{Failure, Goal};
use nvme::line::LineVisit;
use nvme_spec::command::AdminOpcode;

use crate::adapter::Adapter;
use crate::control::call::Call;
use crate::control::interrupt::visit;
use crate::control::report;
use crate::control::state::{Life, MAX_RESETS, Stage, State};
use crate::io::request::POLL_US;
use crate::storport::{Port, SrbList, SrbStatus};

/// How often an interrupt has to be missed before the queues are polled.
const MISSED_LIMIT: u8 = 2;
/// How often a line that is held up is looked at, at least, in microseconds.
const HELD_US: u64 = 100_000;
/// How often the ring is drained at most when answers are looked for.
const LOOKS: u8 = 4;

/// Interrupts that did not come although completions were posted.
pub(crate) struct MissedInterrupts {
    count: u8,
    /// The line is masked because the controller holds it up: none can come.
    line_held: bool,
    line_told: bool,
}

impl MissedInterrupts {
    pub(crate) const NONE: Self = Self {
        count: 0,
        line_held: false,
        line_told: false,
    };

    /// Completions were found that no interrupt told of.
    fn add(&mut self, call: Call<'_>) {
        if self.line_held {
            return;
        }
        self.count = self.count.saturating_add(1);
        if self.count == MISSED_LIMIT {
            call.adapter.io.poll(call.irql, true);
            report::polling(call, self.count, POLL_US);
        }
    }

    /// It happened: silence may be for want of an interrupt.
    const fn are_known(&self) -> bool {
        self.count > 0 || self.line_held
    }

    /// The queues are polled, because interrupts cannot be relied on.
    const fn are_many(&self) -> bool {
        self.count >= MISSED_LIMIT || self.line_held
    }
}

/// `HwStorResetBus`, with the StartIo lock: resets the controller. Requests that it never got come back at once, for the port
/// driver has waited for them long enough; those that it has come back once it has stopped, not
/// before: until then it may still read or write their buffers. False when another callback has the adapter for too long.
pub(crate) fn reset(adapter: &Adapter, port: Port) -> bool {
    let mut done = SrbList::new();
    let reset = Call::held(adapter, port).with(|state, call| {
        let io = &call.adapter.io;
        io.return_waiting(call.irql, SrbStatus::BUS_RESET, &mut done);
        state.return_resets(&mut done);
        state.recover(call, &mut done);
        visit(state, call, &mut done);
    });
    done.complete(port);
    reset.is_some()
}

impl State {
    /// Requests for a reset come back at once where the bus is reset: they have no buffer that the controller may use.
    fn return_resets(&mut self, done: &mut SrbList) {
        let mut kept = SrbList::new();
        while let Some((srb, status)) = self.then_complete.pop() {
            if srb.function().is_reset() {
                done.push(srb, SrbStatus::BUS_RESET);
            } else {
                kept.push(srb, status);
            }
        }
        kept.move_to(&mut self.then_complete);
    }

    /// As somebody asks for it, because requests were not answered in time: looks whether they were, and if any is left
    /// resets the controller and brings it back. False where there is nothing to reset.
    pub(crate) fn recover(&mut self, call: Call<'_>, done: &mut SrbList) -> bool {
        let found = self.finds_answers(call, done);
        if let (Life::Running, Some(controller), Some(registers)) =
            (self.life, &self.controller, &self.registers)
        {
            let waits = call.adapter.io.outstanding(call.irql) > 0;
            if controller.has_failed(registers) {
                self.suspect(call, Symptom::Dead);
            } else if found && !waits {
                return false;
            } else if waits && !found && !self.missed_interrupts.are_known() {
                self.suspect(call, Symptom::Silent);
            }
        }
        if self.stage == Stage::Lending
            && let Some(controller) = &self.controller
        {
            // It is reset before it answered, or the next lending would hold its requests up as long.
            let failure = Failure::TimedOut(AdminOpcode::SET_FEATURES);
            self.hmb.not_enabled(call, controller, failure);
        }
        self.reset(call)
    }

    /// Looks into the ring for answers before anything is concluded from silence. True when there were any: then it was the
    /// interrupt that did not come, unless the DPC is about to look anyway.
    fn finds_answers(&mut self, call: Call<'_>, done: &mut SrbList) -> bool {
        if self.life != Life::Running {
            return false;
        }
        let mut answering = 0;
        for _ in 0..LOOKS {
            let found = self.drain(call, done);
            answering |= found.answering;
            if !found.more {
                break;
            }
        }
        if call.adapter.look_again(call.port, answering) {
            self.missed_interrupts.add(call);
        }
        answering != 0
    }

    /// Goes on with a line interrupt that nothing explains: after how long to look again, in microseconds. At rest, and on the way
    /// there or through a reset, the mask is not the line's.
    pub(crate) fn watch_line(&mut self, call: Call<'_>) -> Option<u32> {
        if call.adapter.messages() != 0 || !self.takes_interrupts() {
            return None;
        }
        let registers = self.registers.as_ref()?;
        let now = || call.port.now();
        let visit = call.adapter.mask.watch_line(registers, now);
        if let LineVisit::Held(_) = visit
            && !self.missed_interrupts.line_told
        {
            self.missed_interrupts.line_told = true;
            report::line_held(call, POLL_US);
        }
        let (held, after_us) = match visit {
            LineVisit::Quiet | LineVisit::Unmask => (false, None),
            LineVisit::Held(after_us) => (true, Some(after_us)),
            LineVisit::Masked(after_us) => (self.missed_interrupts.line_held, Some(after_us)),
        };
        if held != self.missed_interrupts.line_held {
            self.missed_interrupts.line_held = held;
            let polled = self.missed_interrupts.are_many();
            call.adapter.io.poll(call.irql, polled);
        }
        u32::try_from(after_us?.min(HELD_US)).ok()
    }

    /// After how long to look at the queues whether or not an interrupt comes, in microseconds.
    pub(crate) fn poll_after_us(&self, call: Call<'_>) -> Option<u32> {
        let polls = self.life == Life::Running && self.missed_interrupts.are_many();
        (polls && call.adapter.io.outstanding(call.irql) > 0).then_some(POLL_US)
    }

    /// The controller does not work: its Host Memory Buffer may be why.
    pub(crate) fn suspect(&mut self, call: Call<'_>, symptom: Symptom) {
        if self.life == Life::Running {
            if let Some(at) = call.adapter.io.answered(call.irql) {
                self.hmb.answered(at);
            }
            self.hmb.suspect(call, self.controller.as_ref(), symptom);
        }
    }

    /// Resets the controller; what it had in hand comes back as reset. One that was given up without proof that it stopped is
    /// disabled once more: requests are held until there is proof.
    pub(crate) fn reset(&mut self, call: Call<'_>) -> bool {
        if self.holds_requests(call) {
            return self.is_busy() || self.disable(call);
        }
        if !matches!(self.life, Life::Running | Life::Waking) {
            return false;
        }
        if self.life == Life::Waking && self.stage != Stage::Resetting {
            // A start that was too slow for the port driver would be so again and again.
            self.resets = self.resets.saturating_add(1);
            if self.resets > MAX_RESETS {
                report::given_up(call, self.resets);
                self.life = Life::Dead;
                return self.disable(call);
            }
        }
        self.life = Life::Waking;
        if self.stage != Stage::Resetting {
            self.begin(call, Goal::Reset, Stage::Resetting);
        }
        true
    }
}

//! Pre-emption inside driver code: at an instruction that the seed chose, or because it runs on.

use super::core::{Core, GLANCE, PATIENCE, SPIN_GLANCE};
use super::cpu::Cpu;
use super::state::State;
use crate::rules::port as rules;
use crate::trap::step::{self, Reason};

/// An instruction that is chosen is at most 2 to this power away: near ones are as likely as far ones.
const FARTHEST_BITS: u32 = 8;
/// Virtual time that a pre-emption costs.
const COUNTED_NS: u64 = 100;
/// Virtual time that code took which was interrupted because it ran on.
const INTERRUPTED_NS: u64 = 1_000_000;
/// How long a callback may run on, in interruptions: those for waiting for another processor count for less.
const MOST_INTERRUPTIONS: u32 = (PATIENCE.as_millis() / SPIN_GLANCE.as_millis()) as u32;
const INTERRUPTION: u32 = (GLANCE.as_millis() / SPIN_GLANCE.as_millis()) as u32;

/// Pre-empts the driver code on this thread, which belongs to a processor.
pub(super) fn preempt(reason: Reason) {
    Cpu::current().preempt(reason);
}

impl Cpu {
    /// Chooses, now and then, an instruction at which the driver code that comes next is pre-empted.
    pub(super) fn count_out(&self, state: &mut State) {
        if let Some(one_in) = self.core().preempt_one_in
            && state.random.u32(..one_in.get()) == 0
        {
            let bits = state.random.u32(..=FARTHEST_BITS);
            step::preempt_after(state.random.u32(1..=1 << bits));
        }
    }

    /// Lets another processor go on in the middle of driver code.
    fn preempt(&self, reason: Reason) {
        self.core().step();
        let runs_on = {
            let mut state = self.state();
            let interrupted = reason == Reason::Interrupted;
            state.pass(if interrupted {
                INTERRUPTED_NS
            } else {
                COUNTED_NS
            });
            self.core().run_due(&mut state);
            let frame = state.processors[self.index()].frames.last_mut();
            frame.is_some_and(|frame| {
                frame.interrupted += match reason {
                    Reason::Counted => 0,
                    Reason::Interrupted => INTERRUPTION,
                    Reason::Spins => 1,
                };
                frame.interrupted > MOST_INTERRUPTIONS
            })
        };
        if runs_on {
            self.end(
                &rules::CALLBACK_PROGRESS,
                format!(
                    "{} runs on without a port driver call or a register access",
                    super::core::place(self.callback())
                ),
            );
        }
        self.serve();
        self.core().let_another(self.index());
        self.serve();
    }
}

impl Core {
    /// Interrupts driver code that has not come to a point for a while, and keeps its processor from what it should do.
    pub(super) fn interrupt_for_service(state: &State) {
        let long_ns = GLANCE.as_nanos() as u64;
        for (index, processor) in state.processors.iter().enumerate() {
            let waits = !processor.parked && state.service(index).is_some();
            if waits && state.now_ns.saturating_sub(processor.moved_ns) > long_ns {
                processor.interrupt();
            }
        }
    }
}

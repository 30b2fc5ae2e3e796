//! The deterministic clock: one processor runs at a time, and time is virtual.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::baton::{Baton, Seat};
use super::core::{Core, GLANCE, PATIENCE, SPIN_GLANCE, place};
use super::processor::{Activity, Processor};
use super::state::State;
use crate::rules::port as rules;

/// Whose turn it is, and whether anything moves.
pub(super) struct Turns {
    baton: Baton,
    progress: AtomicU64,
}

impl Turns {
    pub(super) fn new(processors: usize) -> Self {
        Self {
            baton: Baton::new(processors),
            progress: AtomicU64::new(0),
        }
    }

    /// Notes that something has moved.
    pub(super) fn step(&self) {
        self.progress.fetch_add(1, Ordering::Relaxed);
    }

    /// Waits for the turn of processor `index`.
    pub(super) fn wait(&self, index: usize) {
        self.baton.wait(Seat::Processor(index));
    }

    /// Ends the turn of a processor whose thread ends.
    pub(super) fn pass_outside(&self) {
        self.baton.pass(Seat::Outside);
    }

    /// Ends the last turn of processor `index`, which never goes on.
    pub(super) fn leave(&self, index: usize) {
        self.pass_outside();
        self.wait(index);
    }
}

impl Core {
    /// Lets the processors run until the thread outside has what it waits for, or nothing will ever happen any more.
    pub(super) fn take_turns(&self, turns: &Turns) {
        let next = self.choose(turns, &mut self.state());
        if next != Seat::Outside {
            turns.baton.pass(next);
            self.watch(turns);
        }
    }

    /// Waits for the baton, and takes it from driver code that does not come to a point any more.
    fn watch(&self, turns: &Turns) {
        let mut seen = turns.progress.load(Ordering::Relaxed);
        let mut since = Instant::now();
        let mut looked = since;
        while !turns.baton.wait_for(Seat::Outside, SPIN_GLANCE) {
            let now = turns.progress.load(Ordering::Relaxed);
            if now != seen {
                seen = now;
                since = Instant::now();
                looked = since;
            } else if since.elapsed() > PATIENCE {
                let callback = self.running_callback();
                self.fatal(
                    callback.clone(),
                    &rules::CALLBACK_PROGRESS,
                    format!("{callback} runs on without a port driver call or a register access"),
                );
                return;
            } else if let Some(index) = turns.baton.processor() {
                // Driver code that waits for another processor has to let it go on.
                let runs_on = looked.elapsed() > GLANCE;
                let processor = &self.state().processors[index];
                if runs_on {
                    looked = Instant::now();
                    processor.interrupt();
                } else {
                    processor.interrupt_spinning();
                }
            }
        }
    }

    fn running_callback(&self) -> String {
        let state = self.state();
        let running = state
            .processors
            .iter()
            .filter_map(Processor::callback)
            .next_back();
        place(running)
    }

    /// Hands the baton to whoever runs next, and waits until it comes back to processor `index`.
    pub(super) fn switch(&self, turns: &Turns, index: usize) {
        let next = self.choose(turns, &mut self.state());
        if next != Seat::Processor(index) {
            turns.baton.pass(next);
            turns.baton.wait(Seat::Processor(index));
        }
    }

    /// Who runs next: outside when it has what it waits for, else a processor that can, else nobody until time has
    /// moved on to the next event.
    fn choose(&self, turns: &Turns, state: &mut State) -> Seat {
        loop {
            if state.fatal.is_some() || state.satisfied() || self.is_switched_off() {
                return Seat::Outside;
            }
            let runnable: Vec<usize> = (0..state.processors.len())
                .filter(|&index| state.runnable(index))
                .collect();
            if !runnable.is_empty() {
                let choice = state.random.usize(..runnable.len());
                return Seat::Processor(runnable[choice]);
            }
            let Some(next_ns) = state.next_event_ns() else {
                return Seat::Outside;
            };
            state.now_ns = state.now_ns.max(next_ns);
            // A controller in another process may take a while, and that is nobody's fault.
            turns.step();
            self.run_due(state);
        }
    }

    /// Ends the threads of idle processors; whether those were all.
    pub(super) fn end_turns(&self, turns: &Turns) -> bool {
        let idle: Vec<bool> = {
            let state = self.state();
            let idle = |processor: &Processor| processor.activity == Activity::Idle;
            state.processors.iter().map(idle).collect()
        };
        for (index, _) in idle.iter().enumerate().filter(|(_, idle)| **idle) {
            turns.baton.pass(Seat::Processor(index));
            turns.baton.wait(Seat::Outside);
        }
        idle.iter().all(|&idle| idle)
    }
}

//! The threaded clock: every processor runs whenever it can, and time is real.
//!
//! A processor that cannot go on rests until a change of the state lets it: a lock is released, an interrupt or a DPC
//! arrives, a sleep is over. Whoever changes the state wakes those who can go on, when the lock of the state is given
//! up. One more thread keeps the time: it lets the controller work and timers expire when they are due.

use std::sync::{Condvar, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::core::{Core, GLANCE, PATIENCE, Pace, place};
use super::processor::Activity;
use super::state::State;
use crate::rules::port as rules;

/// How long the threads may take to end.
const FAREWELL: Duration = Duration::from_secs(5);

/// What the threads rest on.
pub(super) struct Threads {
    started: Instant,
    processors: Vec<Condvar>,
    outside: Condvar,
    timekeeper: Condvar,
}

/// Who is to be woken; done when it is dropped.
#[derive(Default)]
pub(super) struct Calls<'a> {
    threads: Option<&'a Threads>,
    processors: u128,
    outside: bool,
    timekeeper: bool,
}

impl Drop for Calls<'_> {
    fn drop(&mut self) {
        let Some(threads) = self.threads else {
            return;
        };
        for (index, processor) in threads.processors.iter().enumerate() {
            if self.processors & 1 << index != 0 {
                processor.notify_one();
            }
        }
        if self.outside {
            threads.outside.notify_one();
        }
        if self.timekeeper {
            threads.timekeeper.notify_one();
        }
    }
}

impl Threads {
    pub(super) fn new(processors: usize) -> Self {
        Self {
            started: Instant::now(),
            processors: (0..processors).map(|_| Condvar::new()).collect(),
            outside: Condvar::new(),
            timekeeper: Condvar::new(),
        }
    }

    /// Real time since the machine was made, in nanoseconds.
    pub(super) fn now_ns(&self) -> u64 {
        self.started.elapsed().as_nanos() as u64
    }

    /// Who rests and can go on.
    pub(super) fn calls(&self, state: &mut State) -> Calls<'_> {
        let ends = state.fatal.is_some();
        let mut calls = Calls {
            threads: Some(self),
            ..Calls::default()
        };
        for index in 0..state.processors.len() {
            if state.processors[index].parked && (ends || state.runnable(index)) {
                state.processors[index].parked = false;
                calls.processors |= 1 << index;
            }
        }
        if state.outside_waits && (ends || state.satisfied() || stuck(state)) {
            state.outside_waits = false;
            calls.outside = true;
        }
        let earlier = |alarm_ns| ends || state.next_due_ns().is_some_and(|at_ns| at_ns < alarm_ns);
        if state.alarm_ns.is_some_and(earlier) {
            state.alarm_ns = None;
            calls.timekeeper = true;
        }
        calls
    }
}

/// Whether nothing will ever happen any more.
fn stuck(state: &State) -> bool {
    let rests = |index: usize| state.processors[index].parked && !state.runnable(index);
    (0..state.processors.len()).all(rests) && state.next_event_ns().is_none()
}

impl Core {
    /// Waits until the thread outside has what it waits for, or nothing will ever happen any more.
    pub(super) fn wait_outside(&self, threads: &Threads) {
        let mut state = self.lock_now(threads);
        loop {
            if state.fatal.is_some() || state.satisfied() || stuck(&state) {
                return;
            }
            if let Some((callback, index)) = stalled(&state) {
                drop(state);
                self.fatal(
                    callback.clone(),
                    &rules::CALLBACK_PROGRESS,
                    format!(
                        "{callback} on processor {index} runs on without a port driver call or a register access"
                    ),
                );
                return;
            }
            Self::interrupt_for_service(&state);
            state.outside_waits = true;
            state = wait(&threads.outside, state, GLANCE);
            state.outside_waits = false;
            state.now_ns = threads.now_ns();
        }
    }

    /// Rests until processor `index` can go on.
    pub(super) fn park(&self, threads: &Threads, index: usize) {
        let mut state = self.lock_now(threads);
        loop {
            let over = state.fatal.is_some() || self.is_switched_off();
            if over && (state.fatal.is_some() || state.processors[index].activity != Activity::Idle)
            {
                drop(state);
                self.abandon(index);
            }
            if over || state.runnable(index) {
                state.processors[index].moved_ns = state.now_ns;
                return;
            }
            let nap = match state.processors[index].activity {
                Activity::Sleeping(until_ns) | Activity::Stalling(until_ns) => {
                    Duration::from_nanos(until_ns.saturating_sub(state.now_ns)).min(GLANCE)
                }
                _ => GLANCE,
            };
            state.processors[index].parked = true;
            // It may have been the last that moved.
            drop(threads.calls(&mut state));
            state = wait(&threads.processors[index], state, nap);
            state.processors[index].parked = false;
            state.now_ns = threads.now_ns();
        }
    }

    /// The life of the thread that keeps the time.
    pub(super) fn keep_time(&self) {
        let Pace::Threads(threads) = &self.pace else {
            return;
        };
        while !self.is_switched_off() && self.state().fatal.is_none() {
            self.run_due(&mut self.state());
            let mut state = self.lock_now(threads);
            let next_ns = state.next_due_ns();
            let nap = next_ns.map_or(GLANCE, |at_ns| {
                Duration::from_nanos(at_ns.saturating_sub(state.now_ns)).min(GLANCE)
            });
            if !nap.is_zero() && state.fatal.is_none() {
                state.alarm_ns = Some(next_ns.unwrap_or(u64::MAX));
                // What was due may have been the last that was expected.
                drop(threads.calls(&mut state));
                state = wait(&threads.timekeeper, state, nap);
                state.alarm_ns = None;
            }
            drop(state);
        }
        self.thread_ends(threads);
    }

    /// Counts a thread that ends.
    pub(super) fn thread_ends(&self, threads: &Threads) {
        let mut state = self.lock_now(threads);
        state.ended_threads += 1;
        threads.outside.notify_one();
    }

    /// Waits until all threads have ended; whether they have.
    pub(super) fn end_threads(&self, threads: &Threads) -> bool {
        let since = Instant::now();
        let mut state = self.lock_now(threads);
        let all = state.processors.len() + 1;
        for processor in &threads.processors {
            processor.notify_one();
        }
        threads.timekeeper.notify_one();
        while state.ended_threads < all && since.elapsed() < FAREWELL {
            state = wait(&threads.outside, state, GLANCE);
        }
        state.ended_threads == all
    }

    fn lock_now(&self, threads: &Threads) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.now_ns = threads.now_ns();
        state
    }
}

/// Waits to be woken, at most for `nap`.
fn wait<'a>(bell: &Condvar, state: MutexGuard<'a, State>, nap: Duration) -> MutexGuard<'a, State> {
    bell.wait_timeout(state, nap)
        .unwrap_or_else(PoisonError::into_inner)
        .0
}

/// A processor that is in driver code and has not come to a point for too long, and in which callback.
fn stalled(state: &State) -> Option<(String, usize)> {
    let long_ns = PATIENCE.as_nanos() as u64;
    let processors = state.processors.iter().enumerate();
    processors
        .filter(|(_, processor)| !processor.parked && processor.callback().is_some())
        .find(|(_, processor)| state.now_ns.saturating_sub(processor.moved_ns) > long_ns)
        .map(|(index, processor)| (place(processor.callback()), index))
}

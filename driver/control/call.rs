//! A callback of the port driver: how it gets at the adapter's state, and the steps that it takes.
//!
//! The state is had under the StartIo lock, which keeps whoever has it from being pre-empted. [`Call::with`] is the one place that
//! takes the lock; each callback says with [`StartIo`] what its page allows.

use crate::adapter::Adapter;
use crate::control::state::State;
use crate::storport::{Event, Irql, Port, SrbList};

/// What the StartIo lock is to a callback (`StorPortAcquireSpinLock`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum StartIo {
    /// The port driver holds it for the callback: `HwTimer`, `HwResetBus`.
    Held,
    /// The callback may take it: a DPC, a work item, `HwAdapterControl` up to `DISPATCH_LEVEL`.
    Free,
    /// The callback has taken it, and releases it when it has done with the state.
    Taken,
    /// The callback may not take it: `HwFindAdapter`, passive initialisation, anything at DIRQL.
    Barred,
}

/// In which callback a step is taken.
#[derive(Clone, Copy)]
pub(crate) struct Call<'a> {
    /// Whose.
    pub(crate) adapter: &'a Adapter,
    /// The port driver.
    pub(crate) port: Port,
    /// What may be called.
    pub(crate) irql: Irql,
    /// How the state is had.
    pub(crate) lock: StartIo,
}

/// How long another callback may have the state although the StartIo lock is held, in microseconds. It has it for a few steps, at
/// DIRQL for less than 10 ms.
const ENTER_BUDGET_US: u64 = 20_000;
/// As above, for a callback at DIRQL, which may lie above the one that has the state.
const ENTER_BUDGET_DEVICE_US: u64 = 1_000;
/// How often it is tried to hand over what an errand came to.
const HAND_OVERS: u8 = 50;

impl<'a> Call<'a> {
    /// A callback for which the port driver holds the StartIo lock. `DISPATCH_LEVEL`.
    pub(crate) const fn held(adapter: &'a Adapter, port: Port) -> Self {
        Self {
            adapter,
            port,
            irql: Irql::Dispatch,
            lock: StartIo::Held,
        }
    }

    /// A callback that holds no lock, and takes the StartIo lock for the state where its IRQL allows it.
    pub(crate) const fn free(adapter: &'a Adapter, port: Port, irql: Irql) -> Self {
        let lock = match irql {
            Irql::Passive | Irql::Dispatch => StartIo::Free,
            Irql::Device => StartIo::Barred,
        };
        Self {
            adapter,
            port,
            irql,
            lock,
        }
    }

    /// A callback that may take no lock: nothing else of the adapter runs that would have the state for long.
    pub(crate) const fn barred(adapter: &'a Adapter, port: Port, irql: Irql) -> Self {
        Self {
            adapter,
            port,
            irql,
            lock: StartIo::Barred,
        }
    }

    /// Does `work` with the state, where it must be had: waits until another callback has done with it. `None` where that takes
    /// too long: `work` was not begun. `work` calls nothing that may not be called under a spin lock.
    pub(crate) fn with<R>(self, work: impl FnOnce(&mut State, Self) -> R) -> Option<R> {
        let budget_us = match self.irql {
            Irql::Device => ENTER_BUDGET_DEVICE_US,
            Irql::Passive | Irql::Dispatch => ENTER_BUDGET_US,
        };
        let mut work = Some(work);
        let mut end = None;
        loop {
            let result = self.try_with(&mut work);
            if result.is_some() {
                return result;
            }
            let now = self.port.now();
            if now >= *end.get_or_insert_with(|| now.after_us(budget_us)) {
                return None;
            }
            self.port.pause(1, self.irql);
        }
    }

    /// As [`with`](Self::with), but without waiting.
    pub(crate) fn once<R>(self, work: impl FnOnce(&mut State, Self) -> R) -> Option<R> {
        self.try_with(&mut Some(work))
    }

    fn try_with<R, W: FnOnce(&mut State, Self) -> R>(self, work: &mut Option<W>) -> Option<R> {
        if self.lock != StartIo::Free {
            return self.enter(work);
        }
        let taken = Self {
            irql: Irql::Dispatch,
            lock: StartIo::Taken,
            ..self
        };
        self.port.under_start_io_lock(|| taken.enter(work))
    }

    /// Whatever the locks of the port driver say, one callback has the state.
    fn enter<R, W: FnOnce(&mut State, Self) -> R>(self, work: &mut Option<W>) -> Option<R> {
        let mut state = self.adapter.state.try_lock()?;
        work.take().map(|work| work(&mut state, self))
    }

    /// Writes an event, where the IRQL allows it: at DIRQL nothing can be told.
    pub(crate) fn log(self, event: &Event<'_>) {
        if self.irql != Irql::Device {
            self.port.log(event);
        }
    }

    /// Takes steps until there is nothing to wait for: every wait has a deadline, so this ends.
    pub(crate) fn advance_to_end(self) {
        while let Some(after_us) = self.step() {
            self.port.pause(after_us, self.irql);
        }
    }

    /// Takes steps for at most `budget_us` microseconds; true when there is nothing left to wait for.
    pub(crate) fn advance_within(self, budget_us: u32) -> bool {
        let end = self.port.now().after_us(u64::from(budget_us));
        while let Some(after_us) = self.step() {
            if self.port.now() >= end {
                return false;
            }
            self.port.pause(after_us, self.irql);
        }
        true
    }

    /// Takes the steps that can be taken now, runs the errands that they lead to, and completes what they end: how many
    /// microseconds to wait, if at all.
    fn step(self) -> Option<u32> {
        loop {
            let mut done = SrbList::new();
            let after_us = self
                .once(|state, call| state.advance(call, &mut done))
                .unwrap_or(Some(1));
            done.complete(self.port);
            if !self.see_to_errands() {
                return after_us;
            }
        }
    }

    /// Asks the port driver for what the Host Memory Buffer needs of it, outside the state and its lock. False when there was
    /// nothing to ask.
    pub(crate) fn run_errands(self) -> bool {
        let mut any = false;
        while let Some(errand) = self.with(|state, _| state.hmb.take_errand()).flatten() {
            any = true;
            let mut done = SrbList::new();
            let mut outcome = Some(errand.run(self));
            for _ in 0..HAND_OVERS {
                let handed_over = self.with(|state, call| {
                    if let Some(outcome) = outcome.take() {
                        state.errand_is_over(call, outcome, &mut done);
                    }
                });
                if handed_over.is_some() {
                    break;
                }
            }
            if let Some(outcome) = outcome {
                outcome.abandon(self);
            }
            done.complete(self.port);
        }
        any
    }

    /// Has the errands run that are due: here at `PASSIVE_LEVEL`, else in a work item, for contiguous memory is scarce above that; and
    /// here all the same where no work item can be had. True when they were run here. At DIRQL nothing can be asked.
    pub(crate) fn see_to_errands(self) -> bool {
        let here = match self.irql {
            Irql::Passive => true,
            Irql::Dispatch => self
                .once(|state, call| state.hmb.is_unsent() && !state.hmb.send_errand(call.port))
                .unwrap_or(false),
            Irql::Device => false,
        };
        here && self.run_errands()
    }
}

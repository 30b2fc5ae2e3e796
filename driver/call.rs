//! A callback of the port driver, and the steps that one takes which may wait.

use crate::adapter::Adapter;
use crate::state::State;
use crate::storport::{Entered, Event, Irql, Port, SrbList};

/// In which callback a step is taken.
#[derive(Clone, Copy)]
pub(crate) struct Call<'a> {
    /// Whose.
    pub(crate) adapter: &'a Adapter,
    /// The port driver.
    pub(crate) port: Port,
    /// What may be called.
    pub(crate) irql: Irql,
}

/// How long a callback on another processor may have the state, in microseconds. It has it for a few steps.
const ENTER_BUDGET_US: u64 = 8_000;
/// As above, for a callback at DIRQL, which may lie above the one that has the state.
const ENTER_BUDGET_DEVICE_US: u64 = 1_000;

impl<'a> Call<'a> {
    /// The state, where it must be had: waits until a callback on another processor has done with it.
    pub(crate) fn enter(self) -> Option<Entered<'a, State>> {
        let budget_us = match self.irql {
            Irql::Device => ENTER_BUDGET_DEVICE_US,
            Irql::Passive | Irql::Dispatch => ENTER_BUDGET_US,
        };
        let mut end = None;
        loop {
            let entered = self.adapter.state.enter();
            if entered.is_some() {
                return entered;
            }
            let now = self.port.now();
            if now >= *end.get_or_insert_with(|| now.after_us(budget_us)) {
                return None;
            }
            self.port.pause(1, self.irql);
        }
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

    /// Takes the steps that can be taken now, and completes what they end: how many microseconds to wait, if at all.
    fn step(self) -> Option<u32> {
        let mut done = SrbList::new();
        let after_us = match self.adapter.state.enter() {
            Some(mut state) => state.advance(self, &mut done),
            None => Some(1),
        };
        done.complete(self.port);
        after_us
    }
}

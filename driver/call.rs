//! A callback of the port driver, and the steps that one takes which may wait.

use crate::adapter::Adapter;
use crate::storport::{Irql, Port, SrbList};

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

impl Call<'_> {
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

//! What the Host Memory Buffer does to the adapter's state: lent on the way to running, asked for again, and waited for.

use crate::control::call::Call;
use crate::control::hmb::{Lending, Outcome};
use crate::control::interrupt::visit;
use crate::control::state::{Life, Stage, State};
use crate::storport::SrbList;

impl State {
    /// Asks once more for memory that was refused, when it is time to: after how many microseconds to call again.
    pub(crate) fn retry_hmb(&mut self, call: Call<'_>, done: &mut SrbList) -> Option<u32> {
        if self.life != Life::Running || self.stage != Stage::Idle {
            return None;
        }
        let after_us = self.hmb.retry_after_us(call.port)?;
        if after_us > 0 {
            return Some(after_us);
        }
        self.lend(call, done);
        if self.stage == Stage::Lending {
            return self.advance(call, done);
        }
        None
    }

    /// Begins to lend the Host Memory Buffer, or runs without where there is nothing to lend.
    pub(crate) fn lend(&mut self, call: Call<'_>, done: &mut SrbList) {
        let Self {
            hmb,
            controller: Some(controller),
            inventory,
            policy,
            ..
        } = self
        else {
            return;
        };
        let policy = policy.unwrap_or_default();
        match hmb.lend(call, controller, inventory, &policy) {
            Lending::Begun => self.stage = Stage::Lending,
            Lending::Errand => self.stage = Stage::Asking,
            Lending::Without => self.run(call, done),
        }
    }

    /// The port driver has answered: on from where the adapter waited for that, if it does.
    pub(crate) fn errand_is_over(&mut self, call: Call<'_>, outcome: Outcome, done: &mut SrbList) {
        let Some(controller) = &self.controller else {
            return;
        };
        let lends = self.hmb.errand_is_over(call, controller, outcome);
        self.hmb.release(call, self.life);
        match self.stage {
            Stage::Asking if lends => self.lend(call, done),
            Stage::Asking => self.run(call, done),
            Stage::Freeing => self.end_rest(call, done),
            _ => {}
        }
        visit(self, call, done);
    }
}

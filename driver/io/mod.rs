//! The data plane: what a request touches on its way to the controller and back.
//!
//! [`request`] (`HwBuildIo`, `HwStartIo`) -> [`pair`] (the queue pair, under its own lock) -> [`completion`] (its DPC) -> [`finish`].
//! Nothing on this way reads the control plane's state. That one reaches in here by the calls of [`Io`]: it sets the [`gate`], counts
//! what the controller has, and takes it back.

pub(crate) mod completion;
mod finish;
pub(crate) mod gate;
pub(crate) mod pair;
pub(crate) mod request;
pub(crate) mod units;

use core::slice;

use gate::Gate;
use nvme::Instant;
use nvme::lifecycle::QueueMemory;
use pair::{Found, Pair};
use units::Units;

use crate::storport::{Irql, Published, Srb, SrbList, SrbStatus};

/// The data plane of an adapter.
pub(crate) struct Io {
    /// The logical units.
    pub(crate) units: Published<Units>,
    pair: Pair,
}

impl Io {
    #[expect(
        clippy::declare_interior_mutable_const,
        reason = "a value to copy from, never used in place"
    )]
    pub(crate) const EMPTY: Self = Self {
        units: Published::new(Units::EMPTY),
        pair: Pair::new(),
    };

    /// The queue pairs.
    pub(crate) const fn pairs(&self) -> &[Pair] {
        slice::from_ref(&self.pair)
    }

    /// The queue pair that a request goes to.
    const fn route(&self, _srb: &Srb) -> &Pair {
        &self.pair
    }

    /// Sets what becomes of requests. Whatever was on its way to the controller has reached it when this returns. False where a
    /// pair could not be had, which happens at DIRQL only.
    pub(crate) fn set_gate(&self, irql: Irql, gate: Gate, done: &mut SrbList) -> bool {
        let mut all = true;
        for pair in self.pairs() {
            match pair.lock_at(irql) {
                Some(mut pair) => pair.set_gate(gate, self.units.get(), done),
                None => all = false,
            }
        }
        all
    }

    /// Empties the rings of every pair for their creation, and hands each one's place to `place`.
    pub(crate) fn restart(
        &self,
        irql: Irql,
        dstrd: u8,
        vector: impl Fn(usize) -> u16,
        places: &mut [QueueMemory],
    ) {
        for ((index, pair), place) in self.pairs().iter().enumerate().zip(places) {
            let memory = pair
                .lock_at(irql)
                .and_then(|mut pair| pair.restart(dstrd, vector(index)));
            *place = memory.unwrap_or_default();
        }
    }

    /// How many requests the controller has; those of a pair that cannot be had at DIRQL are counted as one.
    pub(crate) fn outstanding(&self, irql: Irql) -> usize {
        let each = self.pairs().iter().map(|pair| {
            let pair = pair.lock_at(irql);
            pair.map_or(1, |pair| pair.outstanding())
        });
        each.fold(0, usize::saturating_add)
    }

    /// The controller has forgotten every command: the requests come back.
    pub(crate) fn return_outstanding(&self, irql: Irql, status: SrbStatus, done: &mut SrbList) {
        for mut pair in self.pairs().iter().filter_map(|pair| pair.lock_at(irql)) {
            pair.return_outstanding(status, done);
        }
    }

    /// Requests that the controller never saw come back.
    pub(crate) fn return_waiting(&self, irql: Irql, status: SrbStatus, done: &mut SrbList) {
        for mut pair in self.pairs().iter().filter_map(|pair| pair.lock_at(irql)) {
            pair.return_waiting(status, done);
        }
    }

    /// Takes the completions of every pair. What was found in all of them together.
    pub(crate) fn drain(&self, irql: Irql, done: &mut SrbList) -> Found {
        let mut all = Found::default();
        for (index, pair) in self.pairs().iter().enumerate() {
            let Some(mut pair) = pair.lock_at(irql) else {
                continue;
            };
            let found = pair.drain(self.units.get(), done);
            all.answering |= found.answering << index;
            all.more |= found.more;
            all.sampled |= found.sampled;
            all.broken |= pair.take_broken();
        }
        all
    }

    /// Has the pairs polled as long as there are requests, or not.
    pub(crate) fn poll(&self, irql: Irql, polled: bool) {
        for mut pair in self.pairs().iter().filter_map(|pair| pair.lock_at(irql)) {
            pair.poll(polled);
        }
    }

    /// Has the clock looked at when the controller answers.
    pub(crate) fn listen(&self, irql: Irql) {
        for mut pair in self.pairs().iter().filter_map(|pair| pair.lock_at(irql)) {
            pair.listen();
        }
    }

    /// When the controller answered last, as far as that was looked at.
    pub(crate) fn answered(&self, irql: Irql) -> Option<Instant> {
        let each = self.pairs().iter();
        each.filter_map(|pair| pair.lock_at(irql)?.answered()).max()
    }

    /// The routine of a line interrupt: whether a completion waits. It holds nothing.
    pub(crate) fn sees_completion(&self) -> bool {
        let mut each = self.pairs().iter();
        each.any(|pair| pair.lookout.sees_completion())
    }

    /// Shows the routine of a line interrupt where the next completions will be.
    pub(crate) fn turn_lookouts(&self, irql: Irql) {
        for pair in self.pairs() {
            if let Some(shared) = pair.lock_at(irql) {
                shared.show(&pair.lookout);
            }
        }
    }

    /// There is nothing to look at for the routine of a line interrupt.
    pub(crate) fn look_away(&self) {
        for pair in self.pairs() {
            pair.lookout.turn_to(None);
        }
    }
}

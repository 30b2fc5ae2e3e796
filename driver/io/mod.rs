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

use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use gate::Gate;
use nvme::Instant;
use nvme::lifecycle::QueueMemory;
use pair::{Found, Pair, Shared, Submitted};
use sync::Held;
use units::Units;

use crate::storport::{Irql, Port, Published, Srb, SrbList, SrbStatus, Table};

/// The data plane of an adapter.
pub(crate) struct Io {
    /// The logical units.
    pub(crate) units: Published<Units>,
    /// One for each processor that there was when the driver was loaded.
    table: Table<Pair>,
    /// So many of them, the first, have rings.
    placed: AtomicUsize,
    /// So many of them, the first, the controller has.
    used: AtomicUsize,
    /// The port driver says for each request by which message the answer is best given.
    assigned: AtomicBool,
}

impl Io {
    #[expect(
        clippy::declare_interior_mutable_const,
        reason = "a value to copy from, never used in place"
    )]
    pub(crate) const EMPTY: Self = Self {
        units: Published::new(Units::EMPTY),
        table: Table::EMPTY,
        placed: AtomicUsize::new(0),
        used: AtomicUsize::new(1),
        assigned: AtomicBool::new(false),
    };

    /// Gives the adapter its queue pairs.
    pub(crate) const fn set_pairs(&mut self, table: Table<Pair>) {
        self.table = table;
    }

    /// Every queue pair that the adapter could have.
    pub(crate) const fn all_pairs(&self) -> &[Pair] {
        self.table.get()
    }

    /// The queue pairs that have rings.
    pub(crate) fn pairs(&self) -> &[Pair] {
        let placed = self.placed.load(Ordering::Relaxed);
        self.table.get().get(..placed).unwrap_or_default()
    }

    /// The first so many pairs have rings.
    pub(crate) fn set_placed(&self, placed: usize) {
        self.placed.store(placed, Ordering::Relaxed);
    }

    /// How many queue pairs the controller has.
    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// The controller has so many queue pairs, the first ones. Counts from the next [`set_gate`](Self::set_gate) on.
    pub(crate) fn set_used(&self, used: usize) {
        self.used.store(used.max(1), Ordering::Relaxed);
    }

    /// Whether the port driver says by which message a request is best answered.
    pub(crate) fn set_assigned(&self, assigned: bool) {
        self.assigned.store(assigned, Ordering::Relaxed);
    }

    /// Gives a request to its queue pair: the one whose message the port driver wants the answer by, else the one of this processor.
    fn submit(&self, port: Port, srb: Srb) -> Submitted {
        let used = self.used();
        let index = if used <= 1 {
            0
        } else if self.assigned.load(Ordering::Relaxed) {
            // The first message is that of admin commands.
            let message = port.message_of(&srb).unwrap_or(1) as usize;
            message.wrapping_sub(1)
        } else {
            port.current_processor()
        };
        let (pairs, units) = (self.table.get(), self.units.get());
        let index = if index < used {
            index
        } else {
            index.checked_rem(used).unwrap_or(0)
        };
        let Some(pair) = pairs.get(index).or(pairs.first()) else {
            return Submitted::Ended(srb, SrbStatus::NO_HBA);
        };
        let submitted = pair.lock().submit(units, srb);
        match (submitted, pairs.first()) {
            (Submitted::Elsewhere(srb), Some(first)) => first.lock().submit(units, srb),
            (submitted, _) => submitted,
        }
    }

    /// Each pair in turn, while it is locked; one that cannot be had at DIRQL is left out.
    fn locked(&self, irql: Irql) -> impl Iterator<Item = Held<'_, Shared>> {
        let each = self.pairs().iter();
        each.filter_map(move |pair| pair.lock_at(irql))
    }

    /// Sets what becomes of requests. Whatever was on its way to the controller has reached it when this returns. False where a
    /// pair could not be had, which happens at DIRQL only.
    pub(crate) fn set_gate(&self, irql: Irql, gate: Gate, done: &mut SrbList) -> bool {
        let (used, mut all) = (self.used(), true);
        let mut moved = SrbList::new();
        // The last first: what waits for a pair that is not used any more goes to the first.
        for (index, pair) in self.pairs().iter().enumerate().rev() {
            let Some(mut pair) = pair.lock_at(irql) else {
                all = false;
                continue;
            };
            if index >= used {
                pair.set_gate(Gate::Elsewhere, self.units.get(), done);
                pair.waiting().move_to(&mut moved);
                continue;
            }
            if index == 0 {
                moved.move_to(pair.waiting());
            }
            pair.set_gate(gate, self.units.get(), done);
        }
        moved.end_to(done, SrbStatus::BUS_RESET);
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
        for mut pair in self.locked(irql) {
            pair.return_outstanding(status, done);
        }
    }

    /// Requests that the controller never saw come back.
    pub(crate) fn return_waiting(&self, irql: Irql, status: SrbStatus, done: &mut SrbList) {
        for mut pair in self.locked(irql) {
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
        for mut pair in self.locked(irql) {
            pair.poll(polled);
        }
    }

    /// Has the clock looked at when the controller answers.
    pub(crate) fn listen(&self, irql: Irql) {
        for mut pair in self.locked(irql) {
            pair.listen();
        }
    }

    /// When the controller answered last, as far as that was looked at.
    pub(crate) fn answered(&self, irql: Irql) -> Option<Instant> {
        self.locked(irql).filter_map(|pair| pair.answered()).max()
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

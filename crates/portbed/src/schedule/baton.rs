//! Who runs.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Who may hold the baton.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Seat {
    /// The thread that drives the machine from outside.
    Outside,
    /// The thread of a processor.
    Processor(usize),
}

/// The right to run, which exactly one thread has.
pub(super) struct Baton {
    holder: Mutex<Seat>,
    outside: Condvar,
    processors: Vec<Condvar>,
}

impl Baton {
    /// The baton of a machine with `processors` processors, held outside.
    pub(super) fn new(processors: usize) -> Self {
        Self {
            holder: Mutex::new(Seat::Outside),
            outside: Condvar::new(),
            processors: (0..processors).map(|_| Condvar::new()).collect(),
        }
    }

    /// Hands the baton over; the caller waits before it does anything else.
    pub(super) fn pass(&self, to: Seat) {
        *self.lock() = to;
        self.seat(to).notify_one();
    }

    /// The processor that holds it, if one does.
    pub(super) fn processor(&self) -> Option<usize> {
        match *self.lock() {
            Seat::Processor(index) => Some(index),
            Seat::Outside => None,
        }
    }

    /// Waits for the baton.
    pub(super) fn wait(&self, seat: Seat) {
        let holder = self.lock();
        drop(self.seat(seat).wait_while(holder, |holder| *holder != seat));
    }

    /// Waits for the baton, at most for `patience`; whether it came.
    pub(super) fn wait_for(&self, seat: Seat, patience: Duration) -> bool {
        let holder = self.lock();
        let waited = self
            .seat(seat)
            .wait_timeout_while(holder, patience, |holder| *holder != seat);
        waited.is_ok_and(|(_, result)| !result.timed_out())
    }

    fn seat(&self, seat: Seat) -> &Condvar {
        match seat {
            Seat::Outside => &self.outside,
            Seat::Processor(index) => &self.processors[index],
        }
    }

    fn lock(&self) -> MutexGuard<'_, Seat> {
        self.holder.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

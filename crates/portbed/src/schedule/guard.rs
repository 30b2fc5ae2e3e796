//! The machine's state, locked.

use std::ops::{Deref, DerefMut};
use std::sync::{MutexGuard, PoisonError};

use super::core::{Core, Pace};
use super::state::State;
use super::threads::Calls;

/// The state, locked. Under the threaded clock its time is the present, and whoever can go on after what was changed is
/// woken as soon as the lock is given up.
pub(crate) struct StateGuard<'a> {
    core: &'a Core,
    // The order matters: the lock is given up before anybody is woken.
    locked: MutexGuard<'a, State>,
    calls: Calls<'a>,
}

impl<'a> StateGuard<'a> {
    /// Locks the state.
    pub(super) fn lock(core: &'a Core) -> Self {
        let mut locked = core.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Pace::Threads(threads) = &core.pace {
            locked.now_ns = threads.now_ns();
        }
        Self {
            core,
            locked,
            calls: Calls::default(),
        }
    }
}

impl Deref for StateGuard<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        &self.locked
    }
}

impl DerefMut for StateGuard<'_> {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.locked
    }
}

impl Drop for StateGuard<'_> {
    fn drop(&mut self) {
        if let Pace::Threads(threads) = &self.core.pace {
            self.calls = threads.calls(&mut self.locked);
        }
    }
}

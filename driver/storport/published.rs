//! What `HwFindAdapter` writes, and every other callback only reads.

use core::cell::UnsafeCell;

/// A value that `HwFindAdapter` writes and every other callback only reads.
pub(crate) struct Published<T> {
    value: UnsafeCell<T>,
}

// SAFETY: written only by `HwFindAdapter`, which the port driver never runs beside another callback of the adapter.
unsafe impl<T: Send + Sync> Sync for Published<T> {}

impl<T> Published<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self {
            value: UnsafeCell::new(value),
        }
    }

    /// The value, to read.
    pub(crate) fn get(&self) -> &T {
        // SAFETY: the only writer is `HwFindAdapter`, and no other callback runs beside it.
        unsafe { &*self.value.get() }
    }

    /// The value, to write. `finding` is the proof that `HwFindAdapter` is running.
    pub(crate) fn get_mut<'a>(&'a self, _finding: &'a mut Finding) -> &'a mut T {
        // SAFETY: `Finding` exists once, inside `HwFindAdapter`, and is borrowed mutably: no other reference is alive.
        unsafe { &mut *self.value.get() }
    }
}

/// Proof that the current call is `HwFindAdapter`: no other callback of the adapter runs.
pub(crate) struct Finding {
    _private: (),
}

impl Finding {
    /// Only the entry point of `HwFindAdapter` makes one, one at a time.
    pub(super) const fn new() -> Self {
        Self { _private: () }
    }
}

//! State inside the device extension, which the port driver lets several processors see at once.

use core::cell::UnsafeCell;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicBool, Ordering};

/// A value that one caller at a time may use.
///
/// The locks of the port driver order the callers; this flag is what soundness rests on, so that a port driver that
/// breaks its own locking rules costs a refused call, not two mutable references.
pub(crate) struct Guarded<T> {
    entered: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: `enter` hands out at most one reference at a time, so sharing the cell only moves `T` between processors.
unsafe impl<T: Send> Sync for Guarded<T> {}

impl<T> Guarded<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self {
            entered: AtomicBool::new(false),
            value: UnsafeCell::new(value),
        }
    }

    /// The value, until the guard goes; `None` while somebody else has it.
    pub(crate) fn enter(&self) -> Option<Entered<'_, T>> {
        self.entered
            .compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
            .then(|| Entered { guarded: self })
    }
}

/// Exclusive use of the value of a [`Guarded`].
pub(crate) struct Entered<'a, T> {
    guarded: &'a Guarded<T>,
}

impl<T> Deref for Entered<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: `entered` was false when this guard was made, so no other reference exists while it lives.
        unsafe { &*self.guarded.value.get() }
    }
}

impl<T> DerefMut for Entered<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`; the guard itself is borrowed mutably.
        unsafe { &mut *self.guarded.value.get() }
    }
}

impl<T> Drop for Entered<'_, T> {
    fn drop(&mut self) {
        self.guarded.entered.store(false, Ordering::Release);
    }
}

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

//! A lock that is held for a few instructions.

use core::ops::{Deref, DerefMut};

use crate::atomic::{AtomicBool, Cell, Ordering, spin_loop};

/// A value that one holder at a time may use.
///
/// Whoever holds it runs at an IRQL at which nothing that wants it can pre-empt it, does little, and makes no call that could want
/// it. Who may be pre-empted, or may itself pre-empt the holder, does not wait: [`try_lock`](Self::try_lock) or
/// [`lock_within`](Self::lock_within).
pub struct Lock<T> {
    pub(crate) held: AtomicBool,
    pub(crate) value: Cell<T>,
}

// SAFETY: one `Held` exists at a time, so sharing the lock only moves `T` between processors.
unsafe impl<T: Send> Sync for Lock<T> {}

impl<T> Lock<T> {
    /// The value, until the guard goes; `None` while somebody else has it.
    #[inline]
    pub fn try_lock(&self) -> Option<Held<'_, T>> {
        self.held
            .compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
            .then(|| Held { lock: self })
    }

    /// The value; waits until whoever has it is done.
    #[inline]
    pub fn lock(&self) -> Held<'_, T> {
        loop {
            if let Some(held) = self.try_lock() {
                return held;
            }
            self.wait();
        }
    }

    /// The value; waits for about as many turns of a loop as `patience` says, each of some nanoseconds.
    pub fn lock_within(&self, patience: u32) -> Option<Held<'_, T>> {
        for _ in 0..patience {
            if let Some(held) = self.try_lock() {
                return Some(held);
            }
            spin_loop();
        }
        self.try_lock()
    }

    /// Reads until the lock looks free: only writes take the cache line from its holder.
    #[cold]
    fn wait(&self) {
        while self.held.load(Ordering::Relaxed) {
            spin_loop();
        }
    }
}

/// Exclusive use of the value of a [`Lock`].
pub struct Held<'a, T> {
    lock: &'a Lock<T>,
}

impl<T> Deref for Held<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        let place = self.lock.value.place();
        // SAFETY: `held` was false when this guard was made, so no other reference exists while it lives.
        unsafe { &*place }
    }
}

impl<T> DerefMut for Held<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        let place = self.lock.value.place();
        // SAFETY: as in `deref`; the guard itself is borrowed mutably.
        unsafe { &mut *place }
    }
}

impl<T> Drop for Held<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.lock.held.store(false, Ordering::Release);
    }
}

//! What the rest of the crate is made of. A test puts instrumented ones in their place.

use core::cell::UnsafeCell;

pub(crate) use core::hint::spin_loop;
pub(crate) use core::sync::atomic::{AtomicBool, Ordering, fence};

/// A value that one holder of a lock at a time reaches.
pub(crate) struct Cell<T>(UnsafeCell<T>);

impl<T> Cell<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }

    /// The value's place, for whoever holds the lock.
    #[inline]
    pub(crate) const fn place(&self) -> *mut T {
        self.0.get()
    }
}

//! What the device extension has one of for each processor.

use core::ptr::NonNull;
use core::slice;

/// Values in a row behind the adapter, in its device extension.
pub(crate) struct Table<T> {
    first: NonNull<T>,
    count: usize,
}

// SAFETY: only shared references to the values are handed out.
unsafe impl<T: Sync> Sync for Table<T> {}

impl<T> Table<T> {
    /// A table of nothing.
    pub(crate) const EMPTY: Self = Self {
        first: NonNull::dangling(),
        count: 0,
    };

    /// # Safety
    /// `count` values lie in a row from `first` on, for as long as the adapter lives, and are never borrowed mutably.
    pub(super) const unsafe fn new(first: NonNull<T>, count: usize) -> Self {
        Self { first, count }
    }

    /// The values.
    pub(crate) const fn get(&self) -> &[T] {
        // SAFETY: as `new` was promised; none is a valid slice as well.
        unsafe { slice::from_raw_parts(self.first.as_ptr(), self.count) }
    }
}

//! Where the port driver notes which processors an interrupt message goes to.

use core::cell::UnsafeCell;

use nvme::lifecycle::MAX_QUEUE_PAIRS;
use wdk_sys::GROUP_AFFINITY;

/// One entry for each message that tells of requests. Nothing here reads them: a request's message is asked for with it.
pub(crate) struct Targets {
    entries: UnsafeCell<[GROUP_AFFINITY; MAX_QUEUE_PAIRS]>,
}

// SAFETY: the miniport only passes the address.
unsafe impl Sync for Targets {}

impl Targets {
    pub(crate) const fn new() -> Self {
        // SAFETY: a GROUP_AFFINITY is plain data, for which all zeroes is a value.
        let entries = unsafe { core::mem::zeroed() };
        Self {
            entries: UnsafeCell::new(entries),
        }
    }

    /// The first entry.
    pub(super) const fn as_ptr(&self) -> *mut GROUP_AFFINITY {
        self.entries.get().cast()
    }
}

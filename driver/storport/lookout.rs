//! Where the routine of a line interrupt looks for completions. It runs above the locks of everybody who has the adapter's
//! state, so it must do without.

use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering};

use nvme::queue::{CompletionQueue, phase};

use super::DmaBlock;

/// Marks a place where a completion has phase tag 1. Places are those of dwords, so the bit is free.
const POSTED: usize = 1;

/// The phase tag that turns when the next completion of a queue is posted. Nobody has to hold anything to look at it.
pub(crate) struct Lookout {
    /// The dword with the tag, and in the lowest bit of the address what the tag will be. Null: nothing to see.
    place: AtomicPtr<u32>,
}

impl Lookout {
    pub(crate) const fn new() -> Self {
        Self {
            place: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// Looks at `queue` as it is now, or at nothing. Whoever looked before may have seen a completion that has been taken
    /// since, and never misses one: what is posted later interrupts again.
    pub(crate) fn turn_to(&self, queue: Option<&CompletionQueue<DmaBlock>>) {
        let place = queue.and_then(|queue| {
            let tag = queue.next_phase_tag();
            let dword = tag.memory.word(tag.offset)?;
            Some(dword.map_addr(|address| address | usize::from(tag.posted)))
        });
        let place = place.unwrap_or(ptr::null_mut());
        self.place.store(place, Ordering::Release);
    }

    /// Whether the controller has posted a completion. Any IRQL.
    pub(crate) fn sees_completion(&self) -> bool {
        let place = self.place.load(Ordering::Acquire);
        let dword = place.map_addr(|address| address & !POSTED);
        if dword.is_null() {
            return false;
        }
        // SAFETY: the dword lies in the adapter's uncached memory, which stays until the adapter is removed or found anew;
        // both happen without interrupts, and the second begins with turning away.
        let dword = unsafe { dword.read_volatile() };
        phase(dword) == (place.addr() & POSTED != 0)
    }
}

//! In which order a controller and the processors see what is written: to rings, to doorbells, and by the controller.

use crate::atomic::{Ordering, fence};

/// Between what a command or a free entry is made of, and the doorbell that tells of it: whoever sees the doorbell sees all of it.
#[inline]
pub fn before_doorbell() {
    fence(Ordering::Release);
}

/// Between the phase tag of a completion and the rest of it, which was written first.
#[inline]
pub fn after_phase_tag() {
    fence(Ordering::Acquire);
}

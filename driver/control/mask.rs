//! The interrupt mask of the controller, INTMS and INTMC (Base 3.1.3.3 and 3.1.3.4): for the line and for plain MSI. With MSI-X
//! the registers must not be accessed.

use core::sync::atomic::{AtomicBool, Ordering};

use nvme::Registers;
use nvme::lifecycle::has_stopped;
use nvme_spec::registers::{INTMC, INTMS};

use crate::storport::RegisterWindow;

/// Vector 0: the only one there is with a line interrupt.
const VECTOR_0: u32 = 1;
const ALL: u32 = u32::MAX;

/// What is known of the mask.
pub(crate) struct Mask {
    /// The function has an MSI-X capability: messages, if it gets any, come by that.
    msi_x: AtomicBool,
    /// The line is masked until the DPC has seen what it is about.
    line: AtomicBool,
    /// The line is up because the controller has stopped, not because of a completion.
    alarm: AtomicBool,
}

impl Mask {
    pub(crate) const fn new() -> Self {
        Self {
            msi_x: AtomicBool::new(false),
            line: AtomicBool::new(false),
            alarm: AtomicBool::new(false),
        }
    }

    /// Whether messages come by MSI-X, as `HwFindAdapter` sees it.
    pub(crate) fn set_msi_x(&self, msi_x: bool) {
        self.msi_x.store(msi_x, Ordering::Relaxed);
    }

    /// Masks every vector of an adapter that has so many messages, where the registers may be used.
    pub(crate) fn close(&self, messages: u16, registers: &RegisterWindow) {
        if self.is_in_use(messages) {
            registers.write32(INTMS, ALL);
            self.line.store(true, Ordering::Release);
        }
    }

    /// Takes every mask away that the driver, an earlier one or firmware has left, where the registers may be used.
    pub(crate) fn open(&self, messages: u16, registers: &RegisterWindow) {
        self.alarm.store(false, Ordering::Relaxed);
        if self.is_in_use(messages) {
            self.line.store(false, Ordering::Release);
            registers.write32(INTMC, ALL);
        }
    }

    fn is_in_use(&self, messages: u16) -> bool {
        messages == 0 || !self.msi_x.load(Ordering::Relaxed)
    }

    /// A line interrupt: masks it if it is the controller's, or the line would stay asserted. `posted` says that a completion
    /// waits. Without one the line may be up because the controller has failed or stopped. That is claimed once for each mask,
    /// which a reset takes away: one that is masked asserts no line, nor does one that is gone and reads all ones, so that the
    /// interrupt is another device's.
    pub(crate) fn claim_line(&self, posted: bool, registers: &RegisterWindow) -> bool {
        if !posted {
            if !has_stopped(registers) || registers.read32(INTMS) & VECTOR_0 != 0 {
                return false;
            }
            self.alarm.store(true, Ordering::Release);
        }
        registers.write32(INTMS, VECTOR_0);
        // Only then: whoever finds the mark takes the mask away.
        self.line.store(true, Ordering::Release);
        true
    }

    /// Takes the mask of the line away, if it was masked by [`claim_line`](Self::claim_line).
    pub(crate) fn release_line(&self, registers: &RegisterWindow) {
        if self.line.load(Ordering::Relaxed) && self.line.swap(false, Ordering::AcqRel) {
            registers.write32(INTMC, VECTOR_0);
        }
    }

    /// Whether a line interrupt said that the controller has stopped, since the last call.
    pub(crate) fn take_alarm(&self) -> bool {
        self.alarm.load(Ordering::Relaxed) && self.alarm.swap(false, Ordering::AcqRel)
    }
}

//! The interrupt mask of the controller, INTMS and INTMC (Base 3.1.3.3 and 3.1.3.4): for the line and for plain MSI. With MSI-X
//! the registers must not be accessed.

use core::sync::atomic::{AtomicBool, Ordering};

use nvme::lifecycle::has_stopped;
use nvme::line::{LineVisit, LineWatch};
use nvme::{Instant, Registers};
use nvme_spec::registers::{INTMC, INTMS};

use crate::storport::RegisterWindow;

/// Vector 0: the only one there is with a line interrupt.
const VECTOR_0: u32 = 1;
const ALL: u32 = u32::MAX;

/// Whose a line interrupt is, and what it leads to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum LineInterrupt {
    /// The controller's: masked until the DPC has seen what it is about.
    Claimed,
    /// Not known to be the controller's, and the DPC is to look all the same.
    Watched,
    /// Not known to be the controller's.
    Refused,
}

/// What is known of the mask.
pub(crate) struct Mask {
    /// The function has an MSI-X capability: messages, if it gets any, come by that.
    msi_x: AtomicBool,
    /// The line is masked until the DPC has seen what it is about.
    line: AtomicBool,
    /// The line is up because the controller has stopped, not because of a completion.
    alarm: AtomicBool,
    /// Interrupts that nothing explains.
    watch: LineWatch,
}

impl Mask {
    pub(crate) const fn new() -> Self {
        Self {
            msi_x: AtomicBool::new(false),
            line: AtomicBool::new(false),
            alarm: AtomicBool::new(false),
            watch: LineWatch::new(),
        }
    }

    /// Whether messages come by MSI-X, as `HwFindAdapter` sees it.
    pub(crate) fn set_msi_x(&self, msi_x: bool) {
        self.msi_x.store(msi_x, Ordering::Relaxed);
    }

    /// Masks every vector of an adapter that has so many messages, where the registers may be used.
    pub(crate) fn close(&self, messages: u16, registers: &RegisterWindow) {
        if self.is_in_use(messages) {
            self.watch.start_anew();
            registers.write32(INTMS, ALL);
            self.line.store(true, Ordering::Release);
        }
    }

    /// Takes every mask away that the driver, an earlier one or firmware has left, where the registers may be used.
    pub(crate) fn open(&self, messages: u16, registers: &RegisterWindow) {
        self.alarm.store(false, Ordering::Relaxed);
        if self.is_in_use(messages) {
            self.watch.start_anew();
            self.line.store(false, Ordering::Release);
            registers.write32(INTMC, ALL);
        }
    }

    fn is_in_use(&self, messages: u16) -> bool {
        messages == 0 || !self.msi_x.load(Ordering::Relaxed)
    }

    /// A line interrupt. `posted` says that a completion waits. Without one the line may be up because the controller has failed
    /// or stopped. A masked controller asserts no line, nor does one that is gone and reads all ones: the interrupt is another
    /// device's. So may be one that nothing explains; those are watched.
    pub(crate) fn line_interrupt(
        &self,
        posted: bool,
        registers: &RegisterWindow,
        now: impl Fn() -> Instant,
    ) -> LineInterrupt {
        let is_masked = || registers.read32(INTMS) & VECTOR_0 != 0;
        let watched = self.watch.masks();
        if (watched || self.line.load(Ordering::Relaxed)) && is_masked() {
            if self.watch.while_masked(now) {
                self.lift(registers);
            }
            return if watched {
                LineInterrupt::Watched
            } else {
                LineInterrupt::Refused
            };
        }
        if !posted {
            if !has_stopped(registers) {
                return if self.watch.unexplained(now) {
                    self.set(registers);
                    LineInterrupt::Watched
                } else {
                    LineInterrupt::Refused
                };
            }
            if is_masked() {
                return LineInterrupt::Refused;
            }
            self.alarm.store(true, Ordering::Release);
        }
        self.set(registers);
        LineInterrupt::Claimed
    }

    fn set(&self, registers: &RegisterWindow) {
        registers.write32(INTMS, VECTOR_0);
        // Only then: whoever finds the mark takes the mask away.
        self.line.store(true, Ordering::Release);
    }

    fn lift(&self, registers: &RegisterWindow) {
        if self.line.load(Ordering::Relaxed) && self.line.swap(false, Ordering::AcqRel) {
            registers.write32(INTMC, VECTOR_0);
        }
    }

    /// Takes the mask of the line away, if it was masked for a completion or a failure that the DPC has seen by now.
    pub(crate) fn release_line(&self, registers: &RegisterWindow) {
        if !self.watch.masks() {
            self.lift(registers);
        }
    }

    /// Goes on with a line that nothing explains: what is known of it.
    pub(crate) fn watch_line(
        &self,
        registers: &RegisterWindow,
        now: impl FnOnce() -> Instant,
    ) -> LineVisit {
        let visit = self.watch.visit(now);
        if visit == LineVisit::Unmask {
            self.lift(registers);
        }
        visit
    }

    /// Whether a line interrupt said that the controller has stopped, since the last call.
    pub(crate) fn take_alarm(&self) -> bool {
        self.alarm.load(Ordering::Relaxed) && self.alarm.swap(false, Ordering::AcqRel)
    }
}

//! Whether the controller answers at all: registers that read as all ones.
//!
//! A read that no device answers returns all ones: the device has gone, its link is down, it is powered down, or it is not
//! back yet after a reset or in D0. One such read decides nothing. Memory operations of the device may go on meanwhile.

use super::{Controller, Failure, Progress, Task};
use crate::{DmaMemory, Instant};

/// How long a controller that answered before may be silent, in microseconds.
const GRACE_US: u64 = 100_000;
/// How long one may be silent that was just powered up or reset by the bus, in microseconds: PCI Express gives a function a
/// second before it has to answer (PCIe Base 6.6.1).
const APPEARANCE_US: u64 = 1_000_000;
/// How often it is looked whether it answers again, in microseconds.
const LOOK_US: u32 = 1_000;

/// What is known of a controller that does not answer.
#[derive(Debug, Default)]
pub(super) struct Absence {
    /// The first read that got all ones, without another answer since.
    since: Option<Instant>,
    /// It has been silent for longer than one that is there ever is.
    lasting: bool,
    /// The system says that it was removed.
    announced: bool,
}

impl Absence {
    /// A register read got something else than all ones.
    pub(super) fn answered(&mut self) {
        self.since = None;
        self.lasting = false;
    }
}

impl<D: DmaMemory> Controller<D> {
    /// The system says that the controller was removed: one that is silent is not waited for any longer than needed.
    pub const fn announce_removal(&mut self) {
        self.absence.announced = true;
    }

    /// The controller was found or is powered up: whatever was announced is over.
    pub(super) const fn expect(&mut self) {
        self.absence.announced = false;
    }

    /// Whether the controller has gone: its removal was announced, and its registers have read as all ones for long enough.
    pub(super) const fn is_gone(&self) -> bool {
        self.absence.announced && self.absence.lasting
    }

    /// A register reads as all ones: waits whether the controller comes back, and gives it up in the end.
    pub(super) fn absent(&mut self, now: Instant) -> Result<Progress, Failure> {
        let since = *self.absence.since.get_or_insert(now);
        let mut end = since.after_us(GRACE_US);
        if !self.absence.announced {
            end = match self.task {
                Task::Attach => since.after_us(APPEARANCE_US),
                Task::Stop | Task::AwaitNotReady | Task::AwaitReady | Task::AwaitShutdown => {
                    end.max(self.deadline)
                }
                Task::Idle | Task::Admin(_) | Task::NotifyShutdown => end,
            };
        }
        if now < end {
            return Ok(Progress::Again { after_us: LOOK_US });
        }
        self.absence.lasting = true;
        Err(Failure::Removed)
    }
}

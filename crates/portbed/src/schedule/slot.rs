//! One adapter of the machine, with all that is its own.

use std::ops::{Deref, DerefMut};

use super::interrupt::Interrupts;
use super::state::State;
use crate::controller::Controller;
use crate::port::Port;

/// A slot of the bus: the controller in it, its interrupts, and the port driver's memory of the adapter that it is.
pub(crate) struct Slot {
    pub(crate) controller: Box<dyn Controller>,
    pub(crate) interrupts: Interrupts,
    pub(crate) port: Port,
}

impl Slot {
    /// A slot whose adapter nobody has found yet.
    pub(super) fn new(controller: Box<dyn Controller>, port: Port, interrupts: Interrupts) -> Self {
        Self {
            controller,
            interrupts,
            port,
        }
    }
}

/// The slot on whose behalf the state is locked.
impl Deref for State {
    type Target = Slot;

    fn deref(&self) -> &Slot {
        &self.slots[self.selected]
    }
}

impl DerefMut for State {
    fn deref_mut(&mut self) -> &mut Slot {
        &mut self.slots[self.selected]
    }
}

//! Virtual processors, and the two clocks that they run by.
//!
//! Each processor is a thread with a stack of its own. It acts at points: port driver calls, register accesses, returns
//! of callbacks. There it serves what its IRQL lets through, interrupts and then dispatch work.
//!
//! Under the deterministic clock ([`turns`]) only the holder of the baton runs, and at a point, as the seed decides,
//! another processor goes on. Time advances by what calls and accesses cost and by stalls, and jumps to the next event
//! when every processor is idle. Under the threaded clock ([`threads`]) all run at once, and time is real.
//!
//! Lock order of the test bed: the machine's state, then nothing. Driver code is never called with it held.

mod baton;
mod clock;
mod core;
mod cpu;
mod guard;
mod interrupt;
pub(crate) mod irql;
mod lock;
mod neighbour;
mod preemption;
mod processor;
mod slot;
mod state;
#[cfg(test)]
mod tests;
mod threads;
mod turns;

pub(crate) use self::core::{Core, Fatal, Outcome};
pub(crate) use clock::{Appointment, Due};
pub(crate) use cpu::Cpu;
pub(crate) use interrupt::Interrupts;
pub(crate) use lock::LockId;
pub(crate) use processor::{Callback, Dispatch};
pub(crate) use state::State;

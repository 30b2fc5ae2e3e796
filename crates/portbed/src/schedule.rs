//! Virtual processors and virtual time.
//!
//! Each processor is a thread with a stack of its own, but only the holder of the baton runs. Control changes at
//! points: port driver calls, register accesses, returns of callbacks. At a point, the processor first serves what its
//! IRQL lets through, interrupts and then dispatch work; then, as the seed decides, another processor goes on. Time
//! advances by what calls and accesses cost and by stalls, and jumps to the next event when every processor is idle.
//!
//! Lock order of the test bed: the machine's state, then nothing. Driver code is never called with it held.

mod baton;
mod clock;
mod core;
mod cpu;
mod interrupt;
pub(crate) mod irql;
mod lock;
mod processor;
mod state;

pub(crate) use self::core::{Core, Fatal, Outcome};
pub(crate) use clock::Due;
pub(crate) use cpu::Cpu;
pub(crate) use interrupt::Interrupts;
pub(crate) use lock::LockId;
pub(crate) use processor::{Callback, Dispatch};
pub(crate) use state::State;

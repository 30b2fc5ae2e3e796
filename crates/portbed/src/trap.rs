//! Memory-mapped registers and faults of the code under test.
//!
//! Driver code reads and writes device registers with plain loads and stores. A [`MmioWindow`] is inaccessible memory:
//! each access faults, and the signal handler carries the faulting instruction out by asking the window's handler.
//! Faults of the code under test anywhere else are told to the callback given to [`install`].
//!
//! The signal handler runs on the thread that faulted, with the signal unblocked, and treats the fault as if the
//! instruction had called a function. Window handlers and the fault callback may therefore allocate, lock and wait, even
//! give the processor to another thread: the code that faulted is driver code, which holds no lock of the test bed. The
//! test bed itself must not touch a window while it holds a lock that a handler takes.
//! The handler has stacks of its own on the threads of processors (`stack`). Any other thread that touches a window has
//! to have them too: those that threads usually have are too small.
//! A fault outside the image that happens in a callback is the miniport's as well: it jumped there. Any other fault ends
//! the process, with a verdict where one is due.

mod arithmetic;
mod emulate;
pub(crate) mod lines;
mod registers;
mod rseq;
mod signal;
pub(crate) mod stack;
pub(crate) mod step;
mod window;

use std::io;
use std::ops::Range;

pub use window::{MmioAccess, MmioWindow};

/// What the code under test did wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Fault {
    /// Address of the instruction in the image; for a fault in a leaf function of [`crate::ntoskrnl`] or a jump to
    /// nowhere, the address that it returns to; where that is not in the image either, of the instruction all the same.
    pub rip: u64,
    /// The stack pointer.
    pub stack: u64,
    /// Address that was touched; 0 where the cause is no memory access.
    pub address: u64,
    /// Whether it was a write.
    pub write: bool,
    /// What kind of fault it is.
    pub cause: Cause,
}

/// The kinds of fault.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Cause {
    /// Memory that is inaccessible, or not accessible in this way.
    Memory,
    /// A jump or call to memory that is not executable.
    Execute,
    /// An instruction that the window at `address` cannot carry out.
    Mmio,
    /// A privileged instruction, or `__fastfail`.
    Privileged,
    /// An undefined instruction: where a compiler lets a program end.
    Undefined,
    /// A breakpoint.
    Breakpoint,
    /// A division by zero, or a floating-point exception.
    Arithmetic,
}

/// What happens after the callback has heard of a fault.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Resolution {
    /// The cause was removed: the instruction is tried again.
    Retry,
    /// The process ends with exit status 1.
    End,
}

/// Handles faults from now on. Those of code in `image` (addresses), and of what it jumps to, call `on_fault`, on the
/// thread that faulted; those of any other code take their usual course. A later call replaces those for addresses that overlap its own.
pub fn install(
    image: Range<u64>,
    on_fault: impl Fn(Fault) -> Resolution + Send + Sync + 'static,
) -> io::Result<()> {
    signal::watch(image, Box::new(on_fault));
    signal::handle()
}

#[cfg(test)]
mod tests;

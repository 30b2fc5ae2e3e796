//! What several processors share in a driver: a [`Lock`], and the [`order`] in which memory and doorbells are seen.
//!
//! Everything is made of the types of one module, in whose place a test puts those of a model checker: `nvme`'s test `loom` runs the
//! queue pair on them.
#![no_std]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod atomic;
mod lock;
pub mod order;

pub use lock::{Held, Lock};

impl<T> Lock<T> {
    /// A lock that nobody holds. Constant, so that it can be placed without passing over a stack.
    pub const fn new(value: T) -> Self {
        Self {
            held: atomic::AtomicBool::new(false),
            value: atomic::Cell::new(value),
        }
    }
}

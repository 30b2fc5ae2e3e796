//! The NVM Express logic of a driver, without an operating system: rings, command slots, PRP lists, what Identify says,
//! the Host Memory Buffer, and one state machine that brings a controller up, resets it and shuts it down.
//!
//! The operating system gives [`Registers`], [`DmaMemory`] and the time; nothing here waits, allocates or panics.
//! Nothing that the controller says is trusted: an impossible value becomes an error.
//!
//! Source of all section numbers: NVM Express Base Specification 2.0c, unless another document is named.
#![no_std]
#![forbid(unsafe_code)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

pub mod hmb;
pub mod identify;
pub mod identity;
pub mod lifecycle;
pub mod line;
mod machine;
pub mod pair;
pub mod prp;
pub mod queue;
pub mod quirks;
pub mod slots;

pub use machine::{DmaMemory, Instant, PAGE_BYTES, Registers};
use sync::order;

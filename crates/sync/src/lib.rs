//! What several processors share in a driver: a [`Lock`], and the [`order`] in which memory and doorbells are seen.
#![no_std]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod atomic;
mod lock;
pub mod order;

pub use lock::{Held, Lock};

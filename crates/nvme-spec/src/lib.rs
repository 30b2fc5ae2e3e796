//! The NVMe wire format: registers, commands, completions, Identify data, log pages, features and status codes.
//!
//! Sources, cited as *Base* (NVM Express Base Specification 2.0c), *NVM* (NVM Command Set Specification 1.0c) and
//! *PCIe* (NVMe over PCIe Transport Specification 1.0c). Field names are the specification's own, in lower case.
//!
//! - A name that ends in `_z` is a zero-based value: the quantity is one more than the number.
//! - Every bit pattern is representable: a code that the specification does not define stays a number, so nothing that
//!   a controller says has to be rejected in order to be read.
//! - A setter of a field that is narrower than its type keeps the bits that fit. A build with debug assertions panics
//!   instead, so that a test notices.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]
// `clippy::arithmetic_side_effects` stays out: it finds the shifts by constants in what `bitfield` generates. The crate
// has no arithmetic of its own but saturating and wrapping calls.

#[cfg(not(target_endian = "little"))]
compile_error!("NVMe is little-endian, and so are the types of this crate");

mod code;
mod width;

pub mod async_event;
pub mod command;
pub mod completion;
pub mod feature;
pub mod identify;
pub mod log;
pub mod registers;
pub mod status;
pub mod text;

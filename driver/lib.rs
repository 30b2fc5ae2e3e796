//! Ferrostor: a Storport miniport driver for NVMe with a Host Memory Buffer.
//!
//! [`storport`] is the safe layer over the port driver, and holds the entry points; everything else is safe code over it
//! and over the portable crates: `scsi` translates requests, `nvme` knows the controller.
//!
//! Two planes: [`io`] is what a request touches on its way to the controller and back, [`control`] is everything that takes the
//! adapter from one state to the next.
#![cfg(windows)]
#![no_std]
#![forbid(
    clippy::multiple_unsafe_ops_per_block,
    clippy::undocumented_unsafe_blocks
)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

extern crate wdk_panic;

use wdk_alloc::WdkAllocator;

mod adapter;
mod control;
mod io;
mod storport;

/// Registered as the ecosystem asks; nothing in the driver allocates through it.
#[global_allocator]
static ALLOCATOR: WdkAllocator = WdkAllocator;

//! Ferrostor: a Storport miniport driver for NVMe with a Host Memory Buffer.
//!
//! [`storport`] is the safe layer over the port driver, and holds the entry points; everything else is safe code over it
//! and over the portable crates: `scsi` translates requests, `nvme` knows the controller.
//!
//! A request's way: [`request`] (`HwBuildIo`, `HwStartIo`) -> [`io`] (the queue) -> [`completion`] (interrupt, DPC). The
//! adapter's life: [`find`] -> [`start`] -> [`recovery`] and [`power`]. [`hmb`] lends memory to the
//! controller and takes it back.
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
mod call;
mod completion;
mod downgrade;
mod find;
mod hmb;
mod io;
mod lending;
mod mask;
mod namespaces;
mod naming;
mod plug_and_play;
mod policy;
mod power;
mod recovery;
mod report;
mod request;
mod returned;
mod start;
mod state;
mod storport;
mod units;

/// Registered as the ecosystem asks; nothing in the driver allocates through it.
#[global_allocator]
static ALLOCATOR: WdkAllocator = WdkAllocator;

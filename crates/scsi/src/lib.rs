//! SCSI to NVMe and back: a command descriptor block becomes an NVMe command or an answer, and an NVMe status becomes a
//! SCSI status with sense data.
//!
//! [`Request`] is what a class driver sends to a disk; [`completed`] turns the completion of the NVMe command, where
//! one was needed, into what the class driver gets. The crate holds no state: what it has to know of the controller and of
//! the namespace behind a logical unit comes in as [`LogicalUnit`].
//!
//! Sources: SPC-4 (primary commands), SBC-3 (block commands), SAM-5 (status codes), and the NVM Express SCSI Translation
//! Reference 1.5 for everything that maps one world to the other.

#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

mod block_io;
mod capacity;
mod cdb;
mod inquiry;
mod luns;
mod mode;
mod reply;
mod sense;
mod status;
mod translate;
mod unit;
mod vpd;

pub use block_io::{access, next_verify};
pub use cdb::Access;
pub use sense::{Sense, SenseKey};
pub use status::{Outcome, ScsiStatus, completed};
pub use translate::{Action, DataDirection, Other, Request, Transfer, gone};
pub use unit::{BlockSize, Controller, LogicalUnit, Medium, Naming};

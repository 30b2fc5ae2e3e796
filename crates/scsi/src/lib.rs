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

mod access;
mod capacity;
mod cdb;
mod diagnostic;
mod extent;
mod inquiry;
mod log_sense;
mod luns;
mod mode_pages;
mod mode_select;
mod mode_sense;
mod operation_codes;
mod ready;
mod reply;
mod request_sense;
mod sense;
mod series;
mod status;
mod synchronize_cache;
mod translate;
mod unit;
mod unmap;
mod verify;
mod vpd;
mod write_same;

pub use access::{Access, access};
pub use sense::{Sense, SenseKey};
pub use series::next_in_series;
pub use status::{Outcome, ScsiStatus, completed};
pub use translate::{Action, DataDirection, Other, Request, Transfer, gone};
pub use unit::{
    BlockSize, Controller, Deallocation, IoHints, LogicalUnit, Medium, Naming, PreferredSizes,
};
pub use unmap::{Deallocate, RANGES_BYTES};

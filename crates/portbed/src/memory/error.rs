//! What can go wrong with addresses.

use super::Overrun;

/// Why memory cannot be freed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum FreeError {
    /// No allocation starts there.
    #[error("no allocation starts at {0:#x}")]
    Unknown(u64),
    /// It was freed, but bytes right before or after it had been overwritten.
    #[error("{0}")]
    Overrun(Overrun),
}

/// An access to memory that nobody allocated.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("address {0:#x} is not allocated")]
pub struct Unallocated(pub u64);

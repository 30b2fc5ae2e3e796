//! What can go wrong with addresses.

/// Why memory cannot be freed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum FreeError {
    /// No allocation starts there.
    #[error("no allocation starts at {0:#x}")]
    Unknown(u64),
    /// It was freed, but bytes right before or after it had been overwritten.
    #[error("bytes next to the {bytes} bytes at {address:#x} were overwritten")]
    Overrun {
        /// Where the allocation starts.
        address: u64,
        /// Its size in bytes.
        bytes: u64,
    },
}

/// An access to memory that nobody allocated.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("address {0:#x} is not allocated")]
pub struct Unallocated(pub u64);

//! Dwords and data of the commands of the NVM Command Set (NVM section 3.2).

use bitfield_struct::bitfield;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::width;

/// Read and Write, dword 12 (NVM 3.2.4 and 3.2.6). Dwords 10 and 11 hold the starting LBA, lower half first.
/// Compare, Verify and Write Zeroes use the same places (NVM 3.2.1, 3.2.5 and 3.2.8).
#[bitfield(u32)]
#[derive(PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct ReadWriteCdw12 {
    /// Number of Logical Blocks, zero-based.
    pub nlb_z: u16,
    #[bits(4)]
    __: u8,
    /// Directive Type, of Write: 0 none, 1 streams.
    #[bits(4, into = width::u8::<4>)]
    pub dtype: u8,
    /// Storage Tag Check.
    pub stc: bool,
    /// Deallocate, of Write Zeroes: the controller should deallocate the blocks. Reserved in the other commands.
    pub deac: bool,
    /// Protection Information Field: bits 0 to 2 check reference tag, application tag and guard; bit 3 is the action.
    #[bits(4, into = width::u8::<4>)]
    pub prinfo: u8,
    /// Force Unit Access: data is on, or comes from, the non-volatile media when the command completes.
    pub fua: bool,
    /// Limited Retry: the controller should make fewer attempts to recover an error.
    pub limited_retry: bool,
}

/// Read and Write, dword 13 (NVM 3.2.4 and 3.2.6).
#[bitfield(u32)]
#[derive(PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct ReadWriteCdw13 {
    /// Access Frequency, a hint: 0 none, 1 typical, up to 6 for a speculative read.
    #[bits(4, into = width::u8::<4>)]
    pub access_frequency: u8,
    /// Access Latency, a hint: 0 none, 1 idle, 2 normal, 3 low.
    #[bits(2, into = width::u8::<2>)]
    pub access_latency: u8,
    /// Sequential Request, a hint: the command is part of a sequential stream.
    pub sequential_request: bool,
    /// Incompressible, a hint: the data is not compressible.
    pub incompressible: bool,
    __: u8,
    /// Directive Specific, of Write.
    pub dspec: u16,
}

/// Dataset Management, dword 10 (NVM 3.2.3).
#[bitfield(u32)]
#[derive(PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct DatasetManagementCdw10 {
    /// Number of Ranges, zero-based.
    pub nr_z: u8,
    #[bits(24)]
    __: u32,
}

/// Dataset Management, dword 11 (NVM 3.2.3).
#[bitfield(u32)]
#[derive(PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct DatasetManagementCdw11 {
    /// Integral Dataset for Read, a hint.
    pub idr: bool,
    /// Integral Dataset for Write, a hint.
    pub idw: bool,
    /// Deallocate the ranges.
    pub ad: bool,
    #[bits(29)]
    __: u32,
}

/// Most ranges that one Dataset Management command can carry (NVM 3.2.3).
pub const DATASET_RANGES_MAX: usize = 256;

/// Dataset Management range (NVM 3.2.3.1).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct DatasetRange {
    /// Context Attributes: hints.
    pub attributes: ContextAttributes,
    /// Length in logical blocks; not zero-based.
    pub length_blocks: u32,
    /// Starting LBA.
    pub starting_lba: u64,
}

/// Context Attributes of a range, all hints (NVM 3.2.3.1.1).
#[bitfield(u32)]
#[derive(PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct ContextAttributes {
    /// Access Frequency: 0 none, 1 typical, up to 5.
    #[bits(4, into = width::u8::<4>)]
    pub access_frequency: u8,
    /// Access Latency: 0 none, 1 idle, 2 normal, 3 low.
    #[bits(2, into = width::u8::<2>)]
    pub access_latency: u8,
    #[bits(2)]
    __: u8,
    /// Sequential Read Range.
    pub sequential_read: bool,
    /// Sequential Write Range.
    pub sequential_write: bool,
    /// Write Prepare: the range is expected to be written soon.
    pub write_prepare: bool,
    #[bits(13)]
    __: u16,
    /// Command Access Size: logical blocks that one command is expected to transfer; 0 says nothing.
    pub command_access_blocks: u8,
}

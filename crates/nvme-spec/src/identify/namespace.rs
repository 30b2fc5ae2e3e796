//! Identify Namespace for the NVM Command Set (NVM 4.1.5.1).

use bitfield_struct::bitfield;
use zerocopy::little_endian::U128;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::IDENTIFY_BYTES;
use crate::width;

/// Identify Namespace data structure, CNS 00h (NVM 4.1.5.1).
#[derive(Clone, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct IdentifyNamespace {
    /// Namespace Size, in logical blocks: LBAs 0 to `nsze - 1`. 0 for a namespace that is not active.
    pub nsze: u64,
    /// Namespace Capacity, in logical blocks: how many may be allocated at a time.
    pub ncap: u64,
    /// Namespace Utilization, in logical blocks: how many are allocated now.
    pub nuse: u64,
    /// Namespace Features.
    pub nsfeat: NamespaceFeatures,
    /// Number of LBA Formats, zero-based; see `lbaf`.
    pub nlbaf_z: u8,
    /// Formatted LBA Size.
    pub flbas: FormattedLbaSize,
    /// Metadata Capabilities.
    pub mc: MetadataCapabilities,
    /// End-to-end Data Protection Capabilities.
    pub dpc: DataProtectionCapabilities,
    /// End-to-end Data Protection Type Settings.
    pub dps: DataProtectionSettings,
    /// Namespace Multi-path I/O and Namespace Sharing Capabilities.
    pub nmic: NamespaceSharing,
    /// Reservation Capabilities.
    pub rescap: ReservationCapabilities,
    /// Format Progress Indicator.
    pub fpi: FormatProgress,
    /// Deallocate Logical Block Features.
    pub dlfeat: DeallocateFeatures,
    /// Namespace Atomic Write Unit Normal, in logical blocks, zero-based; where `nsfeat.nsabp` is set.
    pub nawun_z: u16,
    /// Namespace Atomic Write Unit Power Fail, in logical blocks, zero-based; where `nsfeat.nsabp` is set.
    pub nawupf_z: u16,
    /// Namespace Atomic Compare & Write Unit, in logical blocks, zero-based; where `nsfeat.nsabp` is set.
    pub nacwu_z: u16,
    /// Namespace Atomic Boundary Size Normal, in logical blocks, zero-based; 0 for none.
    pub nabsn_z: u16,
    /// Namespace Atomic Boundary Offset, in logical blocks.
    pub nabo: u16,
    /// Namespace Atomic Boundary Size Power Fail, in logical blocks, zero-based; 0 for none.
    pub nabspf_z: u16,
    /// Namespace Optimal I/O Boundary, in logical blocks; 0 for none.
    pub noiob: u16,
    /// NVM Capacity, in bytes; 0 where the controller does not report it.
    pub nvmcap: U128,
    /// Namespace Preferred Write Granularity, in logical blocks, zero-based; where `nsfeat.optperf` is set.
    pub npwg_z: u16,
    /// Namespace Preferred Write Alignment, in logical blocks, zero-based; where `nsfeat.optperf` is set.
    pub npwa_z: u16,
    /// Namespace Preferred Deallocate Granularity, in logical blocks, zero-based; where `nsfeat.optperf` is set.
    pub npdg_z: u16,
    /// Namespace Preferred Deallocate Alignment, in logical blocks, zero-based; where `nsfeat.optperf` is set.
    pub npda_z: u16,
    /// Namespace Optimal Write Size, in logical blocks, zero-based; where `nsfeat.optperf` is set.
    pub nows_z: u16,
    /// Maximum Single Source Range Length of Copy, in logical blocks.
    pub mssrl: u16,
    /// Maximum Copy Length, in logical blocks.
    pub mcl: u32,
    /// Maximum Source Range Count of Copy, zero-based.
    pub msrc_z: u8,
    /// Reserved.
    pub reserved_81: [u8; 11],
    /// ANA Group Identifier; 0 for none.
    pub anagrpid: u32,
    /// Reserved.
    pub reserved_96: [u8; 3],
    /// Namespace Attributes.
    pub nsattr: NamespaceAttributes,
    /// NVM Set Identifier; 0 for none.
    pub nvmsetid: u16,
    /// Endurance Group Identifier; 0 for none.
    pub endgid: u16,
    /// Namespace Globally Unique Identifier, big-endian; all zeroes for none.
    pub nguid: [u8; 16],
    /// IEEE Extended Unique Identifier, big-endian; all zeroes for none.
    pub eui64: [u8; 8],
    /// LBA Formats: `nlbaf_z + 1` of them are valid.
    pub lbaf: [LbaFormat; 64],
    /// Vendor Specific.
    pub vs: [u8; 3712],
}
const _: () = assert!(size_of::<IdentifyNamespace>() == IDENTIFY_BYTES);

/// Namespace Features (NVM 4.1.5.1).
#[bitfield(u8)]
#[derive(PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct NamespaceFeatures {
    /// Thin Provisioning.
    pub thinp: bool,
    /// NAWUN, NAWUPF and NACWU are this namespace's: use them, not AWUN, AWUPF and ACWU.
    pub nsabp: bool,
    /// Deallocated or Unwritten Logical Block error is supported.
    pub dae: bool,
    /// NGUID and EUI64 are never reused.
    pub uidreuse: bool,
    /// NPWG, NPWA, NPDG, NPDA and NOWS are valid.
    pub optperf: bool,
    #[bits(3)]
    __: u8,
}

/// Formatted LBA Size: the LBA format in use (NVM 4.1.5.1).
#[bitfield(u8)]
#[derive(PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct FormattedLbaSize {
    /// Format Index, lower 4 bits.
    #[bits(4, into = width::u8::<4>)]
    pub index_low: u8,
    /// Metadata is transferred at the end of each block (1) or as a separate buffer (0).
    pub extended: bool,
    /// Format Index, upper 2 bits; to be ignored where there are no more than 16 formats.
    #[bits(2, into = width::u8::<2>)]
    pub index_high: u8,
    #[bits(1)]
    __: u8,
}

impl FormattedLbaSize {
    /// Index in `lbaf` of the format in use, in a namespace that has `nlbaf_z + 1` formats.
    /// It can be greater than `nlbaf_z` where a controller contradicts itself, but is always less than 64.
    #[must_use]
    pub const fn index(self, nlbaf_z: u8) -> u8 {
        if nlbaf_z < 16 {
            self.index_low()
        } else {
            self.index_high() << 4 | self.index_low()
        }
    }
}

/// Metadata Capabilities (NVM 4.1.5.1).
#[bitfield(u8)]
#[derive(PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct MetadataCapabilities {
    /// Metadata can be part of an extended logical block.
    pub extended: bool,
    /// Metadata can be a separate buffer.
    pub separate: bool,
    #[bits(6)]
    __: u8,
}

/// End-to-end Data Protection Capabilities (NVM 4.1.5.1).
#[bitfield(u8)]
#[derive(PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct DataProtectionCapabilities {
    /// Protection Information Type 1.
    pub type_1: bool,
    /// Protection Information Type 2.
    pub type_2: bool,
    /// Protection Information Type 3.
    pub type_3: bool,
    /// Protection information can be the first bytes of metadata.
    pub first_bytes: bool,
    /// Protection information can be the last bytes of metadata.
    pub last_bytes: bool,
    #[bits(3)]
    __: u8,
}

/// End-to-end Data Protection Type Settings (NVM 4.1.5.1).
#[bitfield(u8)]
#[derive(PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct DataProtectionSettings {
    /// Protection Information Type in use; 0 for none.
    #[bits(3, into = width::u8::<3>)]
    pub pi_type: u8,
    /// Protection information is the first (1) or last (0) bytes of metadata.
    pub first_bytes: bool,
    #[bits(4)]
    __: u8,
}

/// Namespace Multi-path I/O and Namespace Sharing Capabilities (NVM 4.1.5.1).
#[bitfield(u8)]
#[derive(PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct NamespaceSharing {
    /// The namespace may be attached to two or more controllers at a time.
    pub shared: bool,
    #[bits(7)]
    __: u8,
}

/// Reservation Capabilities (NVM 4.1.5.1).
#[bitfield(u8)]
#[derive(PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct ReservationCapabilities {
    /// Persist Through Power Loss.
    pub persist_through_power_loss: bool,
    /// Write Exclusive.
    pub write_exclusive: bool,
    /// Exclusive Access.
    pub exclusive_access: bool,
    /// Write Exclusive - Registrants Only.
    pub write_exclusive_registrants_only: bool,
    /// Exclusive Access - Registrants Only.
    pub exclusive_access_registrants_only: bool,
    /// Write Exclusive - All Registrants.
    pub write_exclusive_all_registrants: bool,
    /// Exclusive Access - All Registrants.
    pub exclusive_access_all_registrants: bool,
    /// Ignore Existing Key is used as revision 1.3 or later defines it.
    pub ignore_existing_key_1_3: bool,
}

/// Format Progress Indicator (NVM 4.1.5.1).
#[bitfield(u8)]
#[derive(PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct FormatProgress {
    /// Percentage of the format that remains; 0 when none is in progress.
    #[bits(7, into = width::u8::<7>)]
    pub remaining_percent: u8,
    /// The indicator is supported.
    pub supported: bool,
}

/// Deallocate Logical Block Features (NVM 4.1.5.1).
#[bitfield(u8)]
#[derive(PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct DeallocateFeatures {
    /// What a deallocated block reads as: 0 not reported, 1 all bytes 00h, 2 all bytes `FFh`.
    #[bits(3, into = width::u8::<3>)]
    pub read_behavior: u8,
    /// Write Zeroes with the Deallocate bit is supported.
    pub write_zeroes_deallocate: bool,
    /// The guard field of a deallocated block is the CRC of what it reads as (1) or `FFFFh` (0).
    pub guard_crc: bool,
    #[bits(3)]
    __: u8,
}

/// Namespace Attributes (NVM 4.1.5.1).
#[bitfield(u8)]
#[derive(PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct NamespaceAttributes {
    /// The namespace is write protected.
    pub write_protected: bool,
    #[bits(7)]
    __: u8,
}

/// LBA Format (NVM 4.1.5.1).
#[bitfield(u32)]
#[derive(PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct LbaFormat {
    /// Metadata Size, in bytes per logical block.
    pub ms: u16,
    /// LBA Data Size: `2 ^ lbads` bytes; less than 9 is not supported, and 0 says that the format is not available.
    pub lbads: u8,
    /// Relative Performance: 0 best, 3 degraded.
    #[bits(2, into = width::u8::<2>)]
    pub rp: u8,
    #[bits(6)]
    __: u8,
}

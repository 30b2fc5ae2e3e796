//! Identify Controller (Base 5.17.2.1).

use zerocopy::little_endian::U128;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::capabilities::{
    AsymmetricAccessCapabilities, AutonomousPowerStateAttributes, ControllerAttributes,
    ControllerType, FirmwareUpdates, FormatAttributes, LogPageAttributes, MultiPathCapabilities,
    OptionalAdminCommands, OptionalAsyncEvents, OptionalNvmCommands, QueueEntrySize,
    ReplayProtectedMemoryBlocks, SanitizeCapabilities, SglSupport, VolatileWriteCacheAttributes,
    WriteProtectionCapabilities,
};
use super::{IDENTIFY_BYTES, PowerStateDescriptor};
use crate::registers::Version;
use crate::text::Ascii;

/// Identify Controller data structure, CNS 01h (Base 5.17.2.1, figure 275).
#[derive(Clone, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct IdentifyController {
    /// PCI Vendor ID.
    pub vid: u16,
    /// PCI Subsystem Vendor ID.
    pub ssvid: u16,
    /// Serial Number.
    pub sn: Ascii<20>,
    /// Model Number.
    pub mn: Ascii<40>,
    /// Firmware Revision.
    pub fr: Ascii<8>,
    /// Recommended Arbitration Burst: `2 ^ rab` commands.
    pub rab: u8,
    /// IEEE OUI Identifier, little-endian.
    pub ieee: [u8; 3],
    /// Controller Multi-Path I/O and Namespace Sharing Capabilities.
    pub cmic: MultiPathCapabilities,
    /// Maximum Data Transfer Size: `2 ^ mdts` pages of CAP.MPSMIN; 0 for no limit.
    pub mdts: u8,
    /// Controller ID.
    pub cntlid: u16,
    /// Version; 0 before revision 1.2.
    pub ver: Version,
    /// RTD3 Resume Latency, in us; 0 says nothing.
    pub rtd3r_us: u32,
    /// RTD3 Entry Latency, in us; 0 says nothing.
    pub rtd3e_us: u32,
    /// Optional Asynchronous Events Supported.
    pub oaes: OptionalAsyncEvents,
    /// Controller Attributes.
    pub ctratt: ControllerAttributes,
    /// Read Recovery Levels Supported: a bit for each level.
    pub rrls: u16,
    /// Reserved.
    pub reserved_102: [u8; 9],
    /// Controller Type.
    pub cntrltype: ControllerType,
    /// FRU Globally Unique Identifier.
    pub fguid: [u8; 16],
    /// Command Retry Delay Time 1, in units of 100 ms.
    pub crdt1: u16,
    /// Command Retry Delay Time 2, in units of 100 ms.
    pub crdt2: u16,
    /// Command Retry Delay Time 3, in units of 100 ms.
    pub crdt3: u16,
    /// Reserved, the last 13 bytes for the NVMe Management Interface.
    pub reserved_134: [u8; 119],
    /// NVM Subsystem Report.
    pub nvmsr: u8,
    /// VPD Write Cycle Information.
    pub vwci: u8,
    /// Management Endpoint Capabilities.
    pub mec: u8,
    /// Optional Admin Command Support.
    pub oacs: OptionalAdminCommands,
    /// Abort Command Limit: most concurrent Abort commands, zero-based.
    pub acl_z: u8,
    /// Asynchronous Event Request Limit: most outstanding requests, zero-based.
    pub aerl_z: u8,
    /// Firmware Updates.
    pub frmw: FirmwareUpdates,
    /// Log Page Attributes.
    pub lpa: LogPageAttributes,
    /// Error Log Page Entries, zero-based.
    pub elpe_z: u8,
    /// Number of Power States Support, zero-based.
    pub npss_z: u8,
    /// Admin Vendor Specific Command Configuration: bit 0, the standard format is used.
    pub avscc: u8,
    /// Autonomous Power State Transition Attributes.
    pub apsta: AutonomousPowerStateAttributes,
    /// Warning Composite Temperature Threshold, in kelvins; 0 says nothing.
    pub wctemp: u16,
    /// Critical Composite Temperature Threshold, in kelvins; 0 says nothing.
    pub cctemp: u16,
    /// Maximum Time for Firmware Activation, in units of 100 ms; 0 says nothing.
    pub mtfa: u16,
    /// Host Memory Buffer Preferred Size, in units of 4 KiB; 0 where the controller uses none.
    pub hmpre: u32,
    /// Host Memory Buffer Minimum Size, in units of 4 KiB; not more than `hmpre`. 0 for no minimum.
    pub hmmin: u32,
    /// Total NVM Capacity, in bytes.
    pub tnvmcap: U128,
    /// Unallocated NVM Capacity, in bytes.
    pub unvmcap: U128,
    /// Replay Protected Memory Block Support.
    pub rpmbs: ReplayProtectedMemoryBlocks,
    /// Extended Device Self-test Time, in minutes.
    pub edstt_minutes: u16,
    /// Device Self-test Options: bit 0, one self-test at a time in the NVM subsystem.
    pub dsto: u8,
    /// Firmware Update Granularity, in units of 4 KiB; 0 says nothing, `FFh` no restriction.
    pub fwug: u8,
    /// Keep Alive Support: granularity in units of 100 ms; 0 where it is not supported.
    pub kas: u16,
    /// Host Controlled Thermal Management Attributes: bit 0, supported.
    pub hctma: u16,
    /// Minimum Thermal Management Temperature, in kelvins.
    pub mntmt: u16,
    /// Maximum Thermal Management Temperature, in kelvins.
    pub mxtmt: u16,
    /// Sanitize Capabilities.
    pub sanicap: SanitizeCapabilities,
    /// Host Memory Buffer Minimum Descriptor Entry Size, in units of 4 KiB; 0 for no limit.
    pub hmminds: u32,
    /// Host Memory Maximum Descriptors Entries; 0 for no limit.
    pub hmmaxd: u16,
    /// NVM Set Identifier Maximum.
    pub nsetidmax: u16,
    /// Endurance Group Identifier Maximum.
    pub endgidmax: u16,
    /// ANA Transition Time, in seconds.
    pub anatt_seconds: u8,
    /// Asymmetric Namespace Access Capabilities.
    pub anacap: AsymmetricAccessCapabilities,
    /// ANA Group Identifier Maximum.
    pub anagrpmax: u32,
    /// Number of ANA Group Identifiers.
    pub nanagrpid: u32,
    /// Persistent Event Log Size, in units of 64 KiB.
    pub pels: u32,
    /// Domain Identifier; 0 where there are no domains.
    pub domain_id: u16,
    /// Reserved.
    pub reserved_358: [u8; 10],
    /// Max Endurance Group Capacity, in bytes.
    pub megcap: U128,
    /// Reserved.
    pub reserved_384: [u8; 128],
    /// Submission Queue Entry Size.
    pub sqes: QueueEntrySize,
    /// Completion Queue Entry Size.
    pub cqes: QueueEntrySize,
    /// Maximum Outstanding Commands of a queue; 0 says nothing.
    pub maxcmd: u16,
    /// Number of Namespaces: the greatest valid NSID.
    pub nn: u32,
    /// Optional NVM Command Support.
    pub oncs: OptionalNvmCommands,
    /// Fused Operation Support: bit 0, Compare and Write.
    pub fuses: u16,
    /// Format NVM Attributes.
    pub fna: FormatAttributes,
    /// Volatile Write Cache.
    pub vwc: VolatileWriteCacheAttributes,
    /// Atomic Write Unit Normal, in logical blocks, zero-based.
    pub awun_z: u16,
    /// Atomic Write Unit Power Fail, in logical blocks, zero-based.
    pub awupf_z: u16,
    /// I/O Command Set Vendor Specific Command Configuration: bit 0, the standard format is used.
    pub icsvscc: u8,
    /// Namespace Write Protection Capabilities.
    pub nwpc: WriteProtectionCapabilities,
    /// Atomic Compare & Write Unit, in logical blocks, zero-based.
    pub acwu_z: u16,
    /// Copy Descriptor Formats Supported: a bit for each.
    pub cdfs: u16,
    /// SGL Support.
    pub sgls: SglSupport,
    /// Maximum Number of Allowed Namespaces; 0 for NN.
    pub mnan: u32,
    /// Maximum Domain Namespace Attachments.
    pub maxdna: U128,
    /// Maximum I/O Controller Namespace Attachments.
    pub maxcna: u32,
    /// Reserved.
    pub reserved_564: [u8; 204],
    /// NVM Subsystem NVMe Qualified Name: UTF-8, ended by NUL.
    pub subnqn: [u8; 256],
    /// Reserved.
    pub reserved_1024: [u8; 768],
    /// NVMe over Fabrics.
    pub fabrics: [u8; 256],
    /// Power State Descriptors: `npss_z + 1` of them are valid.
    pub psd: [PowerStateDescriptor; 32],
    /// Vendor Specific.
    pub vs: [u8; 1024],
}
const _: () = assert!(size_of::<IdentifyController>() == IDENTIFY_BYTES);

/// Identify Controller data structure of the NVM Command Set, CNS 06h with CSI 0 (NVM 4.1.5.4).
#[derive(Clone, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct IdentifyControllerNvm {
    /// Verify Size Limit: a power of two in units of the minimum memory page size; 0 for no limit.
    pub vsl: u8,
    /// Write Zeroes Size Limit, likewise.
    pub wzsl: u8,
    /// Write Uncorrectable Size Limit, likewise.
    pub wusl: u8,
    /// Dataset Management Ranges Limit; 0 for no limit.
    pub dmrl: u8,
    /// Dataset Management Range Size Limit in logical blocks; 0 for no limit.
    pub dmrsl_blocks: u32,
    /// Dataset Management Size Limit in logical blocks; 0 for no limit.
    pub dmsl_blocks: u64,
    /// Reserved.
    pub reserved_16: [u8; 4080],
}
const _: () = assert!(size_of::<IdentifyControllerNvm>() == IDENTIFY_BYTES);

/// The unit of HMPRE, HMMIN and HMMINDS in bytes: 4 KiB, whatever CC.MPS is (Base 5.17.2.1).
pub const HOST_MEMORY_UNIT_BYTES: u64 = 4096;

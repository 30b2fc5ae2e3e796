//! What the fields of Identify Controller are made of: capabilities and attributes, bit by bit (Base 5.17.2.1).

use bitfield_struct::bitfield;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::code::code;
use crate::width;

code! {
    /// Controller Type (Base 5.17.2.1).
    pub struct ControllerType(u8: 8) {
        NOT_REPORTED = 0, "not reported";
        IO = 1, "I/O controller";
        DISCOVERY = 2, "Discovery controller";
        ADMINISTRATIVE = 3, "Administrative controller";
        _ => "reserved controller type";
    }
}

/// Controller Multi-Path I/O and Namespace Sharing Capabilities (Base 5.17.2.1).
#[bitfield(u8)]
#[derive(PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct MultiPathCapabilities {
    /// The NVM subsystem may have two or more ports.
    pub multiple_ports: bool,
    /// The NVM subsystem may have two or more controllers.
    pub multiple_controllers: bool,
    /// The controller is an SR-IOV virtual function.
    pub sr_iov: bool,
    /// Asymmetric Namespace Access Reporting.
    pub ana_reporting: bool,
    #[bits(4)]
    __: u8,
}

/// Optional Asynchronous Events Supported (Base 5.17.2.1); bits as in Asynchronous Event Configuration.
#[bitfield(u32)]
#[derive(PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct OptionalAsyncEvents {
    __: u8,
    /// Namespace Attribute Notices.
    pub namespace_attribute: bool,
    /// Firmware Activation Notices.
    pub firmware_activation: bool,
    #[bits(1)]
    __: u8,
    /// Asymmetric Namespace Access Change Notices.
    pub ana_change: bool,
    /// Predictable Latency Event Aggregate Log Change Notices.
    pub predictable_latency_log: bool,
    /// LBA Status Information Alert Notices.
    pub lba_status: bool,
    /// Endurance Group Event Aggregate Log Page Change Notices.
    pub endurance_group_log: bool,
    /// Normal NVM Subsystem Shutdown.
    pub normal_subsystem_shutdown: bool,
    #[bits(11)]
    __: u16,
    /// Zone Descriptor Changed Notices.
    pub zone_descriptor: bool,
    #[bits(3)]
    __: u8,
    /// Discovery Log Page Change Notification.
    pub discovery_log: bool,
}

/// Controller Attributes (Base 5.17.2.1).
#[bitfield(u32)]
#[derive(PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct ControllerAttributes {
    /// 128-bit Host Identifier.
    pub host_identifier_128: bool,
    /// Non-Operational Power State Permissive Mode.
    pub non_operational_permissive: bool,
    /// NVM Sets.
    pub nvm_sets: bool,
    /// Read Recovery Levels.
    pub read_recovery_levels: bool,
    /// Endurance Groups.
    pub endurance_groups: bool,
    /// Predictable Latency Mode.
    pub predictable_latency: bool,
    /// Traffic Based Keep Alive Support.
    pub tbkas: bool,
    /// Namespace Granularity.
    pub namespace_granularity: bool,
    /// SQ Associations.
    pub sq_associations: bool,
    /// UUID List.
    pub uuid_list: bool,
    /// Multi-Domain Subsystem.
    pub mds: bool,
    /// Fixed Capacity Management.
    pub fixed_capacity: bool,
    /// Variable Capacity Management.
    pub variable_capacity: bool,
    /// Delete Endurance Group.
    pub delete_endurance_group: bool,
    /// Delete NVM Set.
    pub delete_nvm_set: bool,
    /// Extended LBA Formats Supported.
    pub elbas: bool,
    __: u16,
}

/// Optional Admin Command Support (Base 5.17.2.1).
#[bitfield(u16)]
#[derive(PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct OptionalAdminCommands {
    /// Security Send and Security Receive.
    pub security: bool,
    /// Format NVM.
    pub format: bool,
    /// Firmware Commit and Firmware Image Download.
    pub firmware: bool,
    /// Namespace Management and Namespace Attachment.
    pub namespaces: bool,
    /// Device Self-test.
    pub self_test: bool,
    /// Directives.
    pub directives: bool,
    /// NVMe-MI Send and NVMe-MI Receive.
    pub nvme_mi: bool,
    /// Virtualization Management.
    pub virtualization: bool,
    /// Doorbell Buffer Config.
    pub doorbell_buffer: bool,
    /// Get LBA Status.
    pub lba_status: bool,
    /// Command and Feature Lockdown.
    pub lockdown: bool,
    #[bits(5)]
    __: u8,
}

/// Firmware Updates (Base 5.17.2.1).
#[bitfield(u8)]
#[derive(PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct FirmwareUpdates {
    /// Firmware slot 1 is read-only.
    pub slot_1_read_only: bool,
    /// Number of firmware slots: 1 to 7.
    #[bits(3, into = width::u8::<3>)]
    pub slots: u8,
    /// Firmware can be activated without a reset.
    pub activate_without_reset: bool,
    /// Overlapping firmware image updates are detected.
    pub overlap_detection: bool,
    #[bits(2)]
    __: u8,
}

/// Log Page Attributes (Base 5.17.2.1).
#[bitfield(u8)]
#[derive(PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct LogPageAttributes {
    /// SMART / Health Information for a namespace.
    pub smart_per_namespace: bool,
    /// Commands Supported and Effects.
    pub command_effects: bool,
    /// Extended data for Get Log Page: a 32-bit number of dwords and an offset.
    pub extended_data: bool,
    /// Telemetry Host-Initiated and Controller-Initiated, and their notices.
    pub telemetry: bool,
    /// Persistent Event log.
    pub persistent_event: bool,
    /// Supported Log Pages and the pages that go with it.
    pub supported_log_pages: bool,
    /// Telemetry Data Area 4.
    pub telemetry_area_4: bool,
    #[bits(1)]
    __: u8,
}

/// Autonomous Power State Transition Attributes (Base 5.17.2.1).
#[bitfield(u8)]
#[derive(PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct AutonomousPowerStateAttributes {
    /// Autonomous power state transitions are supported.
    pub supported: bool,
    #[bits(7)]
    __: u8,
}

/// Replay Protected Memory Block Support (Base 5.17.2.1).
#[bitfield(u32)]
#[derive(PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct ReplayProtectedMemoryBlocks {
    /// Number of RPMB Units; 0 where there are none.
    #[bits(3, into = width::u8::<3>)]
    pub units: u8,
    /// Authentication Method: 0 for HMAC SHA-256.
    #[bits(3, into = width::u8::<3>)]
    pub authentication: u8,
    #[bits(10)]
    __: u16,
    /// Total Size of a unit, in units of 128 KiB, zero-based.
    pub total_z: u8,
    /// Access Size: how much one command reads or writes, in units of 512 bytes, zero-based.
    pub access_z: u8,
}

/// Sanitize Capabilities (Base 5.17.2.1).
#[bitfield(u32)]
#[derive(PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct SanitizeCapabilities {
    /// Crypto Erase.
    pub crypto_erase: bool,
    /// Block Erase.
    pub block_erase: bool,
    /// Overwrite.
    pub overwrite: bool,
    #[bits(26)]
    __: u32,
    /// No-Deallocate Inhibited.
    pub ndi: bool,
    /// No-Deallocate Modifies Media After Sanitize: 0 not defined, 1 no, 2 yes.
    #[bits(2, into = width::u8::<2>)]
    pub nodmmas: u8,
}

/// Asymmetric Namespace Access Capabilities (Base 5.17.2.1).
#[bitfield(u8)]
#[derive(PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct AsymmetricAccessCapabilities {
    /// ANA Optimized state is reported.
    pub optimized: bool,
    /// ANA Non-Optimized state is reported.
    pub non_optimized: bool,
    /// ANA Inaccessible state is reported.
    pub inaccessible: bool,
    /// ANA Persistent Loss state is reported.
    pub persistent_loss: bool,
    /// ANA Change state is reported.
    pub change: bool,
    #[bits(1)]
    __: u8,
    /// ANAGRPID of a namespace does not change while it is attached.
    pub static_group: bool,
    /// A non-zero ANAGRPID is accepted by Namespace Management.
    pub group_assignable: bool,
}

/// SQES and CQES: sizes of queue entries (Base 5.17.2.1).
#[bitfield(u8)]
#[derive(PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct QueueEntrySize {
    /// Required size: `2 ^ required` bytes; 6 for submission and 4 for completion queues.
    #[bits(4, into = width::u8::<4>)]
    pub required: u8,
    /// Maximum size: `2 ^ maximum` bytes.
    #[bits(4, into = width::u8::<4>)]
    pub maximum: u8,
}

/// Optional NVM Command Support (Base 5.17.2.1).
#[bitfield(u16)]
#[derive(PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct OptionalNvmCommands {
    /// Compare.
    pub compare: bool,
    /// Write Uncorrectable.
    pub write_uncorrectable: bool,
    /// Dataset Management.
    pub dataset_management: bool,
    /// Write Zeroes.
    pub write_zeroes: bool,
    /// Save in Set Features and Select in Get Features.
    pub save_and_select: bool,
    /// Reservations.
    pub reservations: bool,
    /// Timestamp.
    pub timestamp: bool,
    /// Verify.
    pub verify: bool,
    /// Copy.
    pub copy: bool,
    #[bits(7)]
    __: u8,
}

/// Format NVM Attributes (Base 5.17.2.1).
#[bitfield(u8)]
#[derive(PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct FormatAttributes {
    /// A format applies to all namespaces.
    pub format_all: bool,
    /// A secure erase applies to all namespaces.
    pub erase_all: bool,
    /// Cryptographic erase is supported.
    pub crypto_erase: bool,
    /// Format NVM with NSID `FFFFFFFFh` is **not** supported.
    pub broadcast_unsupported: bool,
    #[bits(4)]
    __: u8,
}

/// Volatile Write Cache (Base 5.17.2.1).
#[bitfield(u8)]
#[derive(PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct VolatileWriteCacheAttributes {
    /// A volatile write cache is present.
    pub present: bool,
    /// Flush with NSID `FFFFFFFFh`: 0 not reported, 2 not supported, 3 supported.
    #[bits(2, into = width::u8::<2>)]
    pub flush_behavior: u8,
    #[bits(5)]
    __: u8,
}

/// Namespace Write Protection Capabilities (Base 5.17.2.1).
#[bitfield(u8)]
#[derive(PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct WriteProtectionCapabilities {
    /// No Write Protect and Write Protect.
    pub write_protect: bool,
    /// Write Protect Until Power Cycle.
    pub until_power_cycle: bool,
    /// Permanent Write Protect.
    pub permanent: bool,
    #[bits(5)]
    __: u8,
}

/// SGL Support (Base 5.17.2.1).
#[bitfield(u32)]
#[derive(PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct SglSupport {
    /// 0 not supported, 1 supported without alignment, 2 supported for dword aligned and granular data blocks.
    #[bits(2, into = width::u8::<2>)]
    pub supported: u8,
    /// Keyed SGL Data Block descriptor.
    pub keyed: bool,
    #[bits(5)]
    __: u8,
    /// SGL Descriptor Threshold: recommended number of descriptors; 0 says nothing.
    pub threshold: u8,
    /// SGL Bit Bucket descriptor.
    pub bit_bucket: bool,
    /// A byte aligned contiguous physical buffer of metadata.
    pub byte_aligned_metadata: bool,
    /// An SGL may be longer than the data to transfer.
    pub longer_than_data: bool,
    /// MPTR may contain an SGL descriptor.
    pub mptr_descriptor: bool,
    /// The address of a descriptor may be an offset.
    pub offset_address: bool,
    /// Transport SGL Data Block descriptor.
    pub transport: bool,
    #[bits(10)]
    __: u16,
}

//! Features: identifiers, and the dword 11 and data of those that a host uses (Base 5.27.1, NVM 4.1.3).

use bitfield_struct::bitfield;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::code::code;
use crate::width;

code! {
    /// Feature Identifier (Base 5.27.1; NVM 4.1.3).
    pub struct FeatureId(u8: 8) {
        ARBITRATION = 0x01, "Arbitration";
        POWER_MANAGEMENT = 0x02, "Power Management";
        LBA_RANGE_TYPE = 0x03, "LBA Range Type";
        TEMPERATURE_THRESHOLD = 0x04, "Temperature Threshold";
        ERROR_RECOVERY = 0x05, "Error Recovery";
        VOLATILE_WRITE_CACHE = 0x06, "Volatile Write Cache";
        NUMBER_OF_QUEUES = 0x07, "Number of Queues";
        INTERRUPT_COALESCING = 0x08, "Interrupt Coalescing";
        INTERRUPT_VECTOR_CONFIGURATION = 0x09, "Interrupt Vector Configuration";
        WRITE_ATOMICITY_NORMAL = 0x0A, "Write Atomicity Normal";
        ASYNC_EVENT_CONFIGURATION = 0x0B, "Asynchronous Event Configuration";
        AUTONOMOUS_POWER_STATE_TRANSITION = 0x0C, "Autonomous Power State Transition";
        HOST_MEMORY_BUFFER = 0x0D, "Host Memory Buffer";
        TIMESTAMP = 0x0E, "Timestamp";
        KEEP_ALIVE_TIMER = 0x0F, "Keep Alive Timer";
        HOST_CONTROLLED_THERMAL_MANAGEMENT = 0x10, "Host Controlled Thermal Management";
        NON_OPERATIONAL_POWER_STATE_CONFIG = 0x11, "Non-Operational Power State Config";
        READ_RECOVERY_LEVEL_CONFIG = 0x12, "Read Recovery Level Config";
        PREDICTABLE_LATENCY_MODE_CONFIG = 0x13, "Predictable Latency Mode Config";
        PREDICTABLE_LATENCY_MODE_WINDOW = 0x14, "Predictable Latency Mode Window";
        LBA_STATUS_INFORMATION_REPORT_INTERVAL = 0x15, "LBA Status Information Report Interval";
        HOST_BEHAVIOR_SUPPORT = 0x16, "Host Behavior Support";
        SANITIZE_CONFIG = 0x17, "Sanitize Config";
        ENDURANCE_GROUP_EVENT_CONFIGURATION = 0x18, "Endurance Group Event Configuration";
        IO_COMMAND_SET_PROFILE = 0x19, "I/O Command Set Profile";
        SPINUP_CONTROL = 0x1A, "Spinup Control";
        ENHANCED_CONTROLLER_METADATA = 0x7D, "Enhanced Controller Metadata";
        CONTROLLER_METADATA = 0x7E, "Controller Metadata";
        NAMESPACE_METADATA = 0x7F, "Namespace Metadata";
        SOFTWARE_PROGRESS_MARKER = 0x80, "Software Progress Marker";
        HOST_IDENTIFIER = 0x81, "Host Identifier";
        RESERVATION_NOTIFICATION_MASK = 0x82, "Reservation Notification Mask";
        RESERVATION_PERSISTENCE = 0x83, "Reservation Persistence";
        NAMESPACE_WRITE_PROTECTION_CONFIG = 0x84, "Namespace Write Protection Config";
        _ => "unknown feature";
    }
}

code! {
    /// Select, of Get Features: which value of the feature to return (Base 5.15).
    pub struct Select(u8: 3) {
        CURRENT = 0, "current value";
        DEFAULT = 1, "default value";
        SAVED = 2, "saved value";
        SUPPORTED_CAPABILITIES = 3, "supported capabilities";
        _ => "reserved selection";
    }
}

/// Get Features with [`Select::SUPPORTED_CAPABILITIES`], dword 0 of the completion (Base 5.15).
#[bitfield(u32)]
#[derive(PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct SupportedCapabilities {
    /// The feature can be saved.
    pub saveable: bool,
    /// The feature is a namespace's, not the controller's.
    pub namespace_specific: bool,
    /// The feature can be changed.
    pub changeable: bool,
    #[bits(29)]
    __: u32,
}

/// Arbitration, dword 11 (Base 5.27.1.1).
#[bitfield(u32)]
#[derive(PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Arbitration {
    /// Arbitration Burst: at most `2 ^ ab` commands at a time from a queue; 7 for no limit.
    #[bits(3, into = width::u8::<3>)]
    pub ab: u8,
    #[bits(5)]
    __: u8,
    /// Low Priority Weight, zero-based, in commands.
    pub lpw_z: u8,
    /// Medium Priority Weight, zero-based, in commands.
    pub mpw_z: u8,
    /// High Priority Weight, zero-based, in commands.
    pub hpw_z: u8,
}

/// Power Management, dword 11 (Base 5.27.1.2).
#[bitfield(u32)]
#[derive(PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct PowerManagement {
    /// Power State: index of the power state descriptor.
    #[bits(5, into = width::u8::<5>)]
    pub ps: u8,
    /// Workload Hint.
    #[bits(3, into = width::u8::<3>)]
    pub wh: u8,
    #[bits(24)]
    __: u32,
}

/// Temperature Threshold, dword 11 (Base 5.27.1.3).
#[bitfield(u32)]
#[derive(PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct TemperatureThreshold {
    /// Temperature Threshold, in kelvins.
    pub tmpth: u16,
    /// Threshold Temperature Select: 0 composite, 1 to 8 a sensor, 15 all (Set Features only).
    #[bits(4, into = width::u8::<4>)]
    pub tmpsel: u8,
    /// Threshold Type Select: 0 over, 1 under.
    #[bits(2, into = width::u8::<2>)]
    pub thsel: u8,
    #[bits(10)]
    __: u16,
}

/// Error Recovery, dword 11 (NVM 4.1.3.2).
#[bitfield(u32)]
#[derive(PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct ErrorRecovery {
    /// Time Limited Error Recovery, in units of 100 ms; 0 for no limit.
    pub tler: u16,
    /// Deallocated or Unwritten Logical Block Error Enable.
    pub dulbe: bool,
    #[bits(15)]
    __: u16,
}

/// Volatile Write Cache, dword 11 (Base 5.27.1.4).
#[bitfield(u32)]
#[derive(PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct VolatileWriteCache {
    /// Volatile Write Cache Enable.
    pub wce: bool,
    #[bits(31)]
    __: u32,
}

/// Number of Queues: dword 11 of Set Features says what the host requests, dword 0 of the completion of Set or Get
/// Features what the controller allocated (Base 5.27.1.5). The admin queues do not count.
#[bitfield(u32)]
#[derive(PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct NumberOfQueues {
    /// Number of I/O Submission Queues, requested or allocated, zero-based. `FFFFh` must not be requested.
    pub nsqr_z: u16,
    /// Number of I/O Completion Queues, requested or allocated, zero-based. `FFFFh` must not be requested.
    pub ncqr_z: u16,
}

/// Interrupt Coalescing, dword 11 (Base 5.27.1.6).
#[bitfield(u32)]
#[derive(PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct InterruptCoalescing {
    /// Aggregation Threshold, zero-based, in completion queue entries.
    pub thr_z: u8,
    /// Aggregation Time, in units of 100 us; 0 for no delay.
    pub time: u8,
    __: u16,
}

/// Interrupt Vector Configuration, dword 11 (Base 5.27.1.7).
#[bitfield(u32)]
#[derive(PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct InterruptVectorConfiguration {
    /// Interrupt Vector.
    pub iv: u16,
    /// Coalescing Disable, for this vector.
    pub cd: bool,
    #[bits(15)]
    __: u16,
}

/// Write Atomicity Normal, dword 11 (NVM 4.1.3.3).
#[bitfield(u32)]
#[derive(PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct WriteAtomicityNormal {
    /// Disable Normal: only the atomicity across a power failure (AWUPF) is asked for.
    pub dn: bool,
    #[bits(31)]
    __: u32,
}

/// Asynchronous Event Configuration, dword 11 (Base 5.27.1.8): which events are reported.
/// Bits 8 to 31 have the same places in Identify Controller's OAES.
#[bitfield(u32)]
#[derive(PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct AsyncEventConfiguration {
    /// SMART / Health Critical Warnings: a bit for each of [`crate::log::CriticalWarning`].
    #[bits(8)]
    pub critical_warnings: crate::log::CriticalWarning,
    /// Namespace Attribute Notices.
    pub namespace_attribute: bool,
    /// Firmware Activation Notices.
    pub firmware_activation: bool,
    /// Telemetry Log Notices.
    pub telemetry_log: bool,
    /// Asymmetric Namespace Access Change Notices.
    pub ana_change: bool,
    /// Predictable Latency Event Aggregate Log Change Notices.
    pub predictable_latency_log: bool,
    /// LBA Status Information Alert Notices.
    pub lba_status: bool,
    /// Endurance Group Event Aggregate Log Change Notices.
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

/// Autonomous Power State Transition, dword 11 (Base 5.27.1.9). The data is an [`AutonomousTransition`] for each power state.
#[bitfield(u32)]
#[derive(PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct AutonomousPowerStateTransition {
    /// Autonomous Power State Transition Enable.
    pub apste: bool,
    #[bits(31)]
    __: u32,
}

/// Autonomous Power State Transition, an entry of the 32 in the data (Base 5.27.1.9).
#[bitfield(u64)]
#[derive(PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct AutonomousTransition {
    #[bits(3)]
    __: u8,
    /// Idle Transition Power State: a non-operational state.
    #[bits(5, into = width::u8::<5>)]
    pub itps: u8,
    /// Idle Time Prior to Transition, in ms; 0 disables the transition.
    #[bits(24, into = width::u32::<24>)]
    pub itpt_ms: u32,
    __: u32,
}

/// Host Memory Buffer, dword 11 of Set Features, and dword 0 of the completion of Get Features (Base 5.27.1.10).
///
/// Dword 12 is the size of the buffer in units of CC.MPS, dwords 13 and 14 the address of the descriptor list (16-byte
/// aligned), dword 15 the number of its entries.
#[bitfield(u32)]
#[derive(PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct HostMemoryBufferCdw11 {
    /// Enable Host Memory: 1 lends the buffer, 0 takes it back. It is an error to enable an enabled buffer.
    pub ehm: bool,
    /// Memory Return: the ranges are those that were lent before, with contents unchanged.
    pub mr: bool,
    #[bits(30)]
    __: u32,
}

/// Alignment of the host memory buffer's descriptor list in bytes: bits 3:0 of dword 13 are reserved (Base 5.27.1.10).
pub const HOST_MEMORY_DESCRIPTOR_LIST_ALIGNMENT: u64 = 16;

/// Host Memory Buffer Descriptor Entry (Base 5.27.1.10).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct HostMemoryBufferDescriptor {
    /// Buffer Address: aligned to the memory page size, CC.MPS.
    pub badd: u64,
    /// Buffer Size, in units of CC.MPS.
    pub bsize: u32,
    /// Reserved.
    pub reserved: u32,
}

/// Host Memory Buffer Attributes: the data of Get Features (Base 5.27.1.10).
#[derive(Clone, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct HostMemoryBufferAttributes {
    /// Host Memory Buffer Size, in units of CC.MPS.
    pub hsize: u32,
    /// Host Memory Descriptor List Address, lower half.
    pub hmdlal: u32,
    /// Host Memory Descriptor List Address, upper half.
    pub hmdlau: u32,
    /// Host Memory Descriptor List Entry Count.
    pub hmdlec: u32,
    /// Reserved.
    pub reserved: [u8; 4080],
}
const _: () = assert!(size_of::<HostMemoryBufferAttributes>() == 4096);

/// Timestamp: the data of Set and Get Features (Base 5.27.1.11).
#[bitfield(u64)]
#[derive(PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Timestamp {
    /// Milliseconds since 1 January 1970, UTC, or since the reset that cleared it.
    #[bits(48, into = width::u64::<48>)]
    pub timestamp_ms: u64,
    /// Synch: the controller may have stopped counting while it was in a non-operational power state. Get Features only.
    pub synch: bool,
    /// Timestamp Origin: 0 cleared by a reset, 1 set by Set Features. Get Features only.
    #[bits(3, into = width::u8::<3>)]
    pub origin: u8,
    #[bits(12)]
    __: u16,
}

/// Host Identifier, dword 11 (Base 5.27.1.25).
#[bitfield(u32)]
#[derive(PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct HostIdentifier {
    /// Enable Extended Host Identifier: the data is 16 bytes, not 8.
    pub exhid: bool,
    #[bits(31)]
    __: u32,
}

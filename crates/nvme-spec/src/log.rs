//! Log pages (Base 5.16.1).

use bitfield_struct::bitfield;
use zerocopy::little_endian::U128;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned, little_endian};

use crate::code::code;
use crate::completion::StatusField;
use crate::text::Ascii;
use crate::width;

code! {
    /// Log Page Identifier (Base 5.16.1).
    pub struct LogPageId(u8: 8) {
        SUPPORTED_LOG_PAGES = 0x00, "Supported Log Pages";
        ERROR_INFORMATION = 0x01, "Error Information";
        SMART_HEALTH = 0x02, "SMART / Health Information";
        FIRMWARE_SLOT = 0x03, "Firmware Slot Information";
        CHANGED_NAMESPACES = 0x04, "Changed Namespace List";
        COMMAND_EFFECTS = 0x05, "Commands Supported and Effects";
        DEVICE_SELF_TEST = 0x06, "Device Self-test";
        TELEMETRY_HOST = 0x07, "Telemetry Host-Initiated";
        TELEMETRY_CONTROLLER = 0x08, "Telemetry Controller-Initiated";
        ENDURANCE_GROUP = 0x09, "Endurance Group Information";
        PREDICTABLE_LATENCY_NVM_SET = 0x0A, "Predictable Latency Per NVM Set";
        PREDICTABLE_LATENCY_AGGREGATE = 0x0B, "Predictable Latency Event Aggregate";
        ASYMMETRIC_NAMESPACE_ACCESS = 0x0C, "Asymmetric Namespace Access";
        PERSISTENT_EVENT = 0x0D, "Persistent Event Log";
        LBA_STATUS = 0x0E, "LBA Status Information";
        ENDURANCE_GROUP_AGGREGATE = 0x0F, "Endurance Group Event Aggregate";
        MEDIA_UNIT_STATUS = 0x10, "Media Unit Status";
        SUPPORTED_CAPACITY_CONFIGURATIONS = 0x11, "Supported Capacity Configuration List";
        FEATURE_EFFECTS = 0x12, "Feature Identifiers Supported and Effects";
        NVME_MI_EFFECTS = 0x13, "NVMe-MI Commands Supported and Effects";
        LOCKDOWN = 0x14, "Command and Feature Lockdown";
        BOOT_PARTITION = 0x15, "Boot Partition";
        ROTATIONAL_MEDIA = 0x16, "Rotational Media Information";
        DISCOVERY = 0x70, "Discovery";
        RESERVATION_NOTIFICATION = 0x80, "Reservation Notification";
        SANITIZE_STATUS = 0x81, "Sanitize Status";
        _ => "unknown log page";
    }
}

/// Error Information, an entry of the log page; there are up to ELPE + 1, the newest first (Base 5.16.1.2).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct ErrorInformation {
    /// Error Count: a number for this error, unique and increasing for the life of the controller; 0 for an invalid entry.
    pub error_count: u64,
    /// Submission Queue ID of the command; `FFFFh` where there is none.
    pub sq_id: u16,
    /// Command ID of the command; `FFFFh` where there is none.
    pub cid: u16,
    /// Status Field of the completion; its phase may be 0.
    pub status: StatusField,
    /// Parameter Error Location: where in the command the error is; `FFFFh` where there is none.
    pub parameter_error: ParameterErrorLocation,
    /// LBA: the first that met the error.
    pub lba: u64,
    /// Namespace of the command.
    pub nsid: u32,
    /// Vendor Specific Information Available: the log page that tells more; 0 for none.
    pub vendor_log_page: u8,
    /// Transport Type; 0 for none or a host memory controller.
    pub trtype: u8,
    /// Reserved.
    pub reserved_30: [u8; 2],
    /// Command Specific Information.
    pub command_specific: u64,
    /// Transport Type Specific Information.
    pub transport_specific: u16,
    /// Reserved.
    pub reserved_42: [u8; 22],
}
const _: () = assert!(size_of::<ErrorInformation>() == 64);

/// Parameter Error Location (Base 5.16.1.2).
#[bitfield(u16)]
#[derive(PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct ParameterErrorLocation {
    /// Byte in the command: 0 to 63.
    pub byte: u8,
    /// Bit in that byte.
    #[bits(3, into = width::u8::<3>)]
    pub bit: u8,
    #[bits(5)]
    __: u8,
}

/// SMART / Health Information (Base 5.16.1.3).
#[derive(Clone, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct SmartHealthInformation {
    /// Critical Warning.
    pub critical_warning: CriticalWarning,
    /// Composite Temperature, in kelvins.
    pub composite_temperature: little_endian::U16,
    /// Available Spare, in percent.
    pub available_spare_percent: u8,
    /// Available Spare Threshold, in percent.
    pub available_spare_threshold_percent: u8,
    /// Percentage Used, an estimate: may exceed 100; 255 for anything above 254.
    pub percentage_used: u8,
    /// Endurance Group Critical Warning Summary.
    pub endurance_group_warning: u8,
    /// Reserved.
    pub reserved_7: [u8; 25],
    /// Data Units Read, in thousands of 512-byte units, rounded up; 0 says nothing.
    pub data_units_read: U128,
    /// Data Units Written, in thousands of 512-byte units, rounded up; 0 says nothing.
    pub data_units_written: U128,
    /// Host Read Commands: Read, Compare and Verify completed.
    pub host_read_commands: U128,
    /// Host Write Commands: user data out commands completed.
    pub host_write_commands: U128,
    /// Controller Busy Time, in minutes.
    pub controller_busy_minutes: U128,
    /// Power Cycles.
    pub power_cycles: U128,
    /// Power On Hours.
    pub power_on_hours: U128,
    /// Unsafe Shutdowns: power lost without a shutdown notification.
    pub unsafe_shutdowns: U128,
    /// Media and Data Integrity Errors.
    pub media_errors: U128,
    /// Number of Error Information Log Entries over the life of the controller.
    pub error_log_entries: U128,
    /// Warning Composite Temperature Time, in minutes.
    pub warning_temperature_minutes: u32,
    /// Critical Composite Temperature Time, in minutes.
    pub critical_temperature_minutes: u32,
    /// Temperature Sensors 1 to 8, in kelvins; 0 for one that is not implemented.
    pub temperature_sensors: [u16; 8],
    /// Thermal Management Temperature 1 and 2 Transition Count.
    pub thermal_transitions: [u32; 2],
    /// Total Time For Thermal Management Temperature 1 and 2, in seconds.
    pub thermal_seconds: [u32; 2],
    /// Reserved.
    pub reserved_232: [u8; 280],
}
const _: () = assert!(size_of::<SmartHealthInformation>() == 512);

/// Critical Warning of SMART / Health Information (Base 5.16.1.3).
#[bitfield(u8)]
#[derive(PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
pub struct CriticalWarning {
    /// Available spare has fallen below the threshold.
    pub spare_low: bool,
    /// A temperature is over an over temperature threshold or under an under temperature threshold.
    pub temperature: bool,
    /// Reliability is degraded by media errors or an internal error.
    pub reliability_degraded: bool,
    /// The media is read-only.
    pub read_only: bool,
    /// The volatile memory backup device has failed.
    pub backup_failed: bool,
    /// The Persistent Memory Region is read-only or unreliable.
    pub persistent_memory_unreliable: bool,
    #[bits(2)]
    __: u8,
}

/// Firmware Slot Information (Base 5.16.1.4).
#[derive(Clone, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct FirmwareSlotInformation {
    /// Active Firmware Info.
    pub afi: ActiveFirmware,
    /// Reserved.
    pub reserved_1: [u8; 7],
    /// Firmware Revision for Slots 1 to 7; NULs for an empty slot.
    pub frs: [Ascii<8>; 7],
    /// Reserved.
    pub reserved_64: [u8; 448],
}
const _: () = assert!(size_of::<FirmwareSlotInformation>() == 512);

/// Active Firmware Info (Base 5.16.1.4).
#[bitfield(u8)]
#[derive(PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct ActiveFirmware {
    /// Slot of the firmware that runs: 1 to 7.
    #[bits(3, into = width::u8::<3>)]
    pub active_slot: u8,
    #[bits(1)]
    __: u8,
    /// Slot of the firmware that the next Controller Level Reset activates; 0 says nothing.
    #[bits(3, into = width::u8::<3>)]
    pub next_slot: u8,
    #[bits(1)]
    __: u8,
}

/// Changed Namespace List: those whose Identify data changed since the page was last read (Base 5.16.1.5).
#[derive(Clone, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(transparent)]
pub struct ChangedNamespaces(
    /// The identifiers, ended by 0 unless the list is full; `FFFFFFFFh` and 0 where more than 1,024 have changed.
    pub [u32; 1024],
);
const _: () = assert!(size_of::<ChangedNamespaces>() == 4096);

impl ChangedNamespaces {
    /// Whether more have changed than the list holds: look at all of them.
    #[must_use]
    pub fn overflowed(&self) -> bool {
        self.0.first() == Some(&crate::command::NSID_ALL)
    }

    /// The identifiers before the first 0. A controller may have put anything there.
    pub fn identifiers(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.iter().copied().take_while(|&nsid| nsid != 0)
    }
}

/// Commands Supported and Effects (Base 5.16.1.6).
#[derive(Clone, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct CommandEffects {
    /// Admin Command Supported, by opcode.
    pub acs: [CommandEffect; 256],
    /// I/O Command Supported, by opcode.
    pub iocs: [CommandEffect; 256],
    /// Reserved.
    pub reserved_2048: [u8; 2048],
}
const _: () = assert!(size_of::<CommandEffects>() == 4096);

/// Commands Supported and Effects data structure (Base 5.16.1.6).
#[bitfield(u32)]
#[derive(PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct CommandEffect {
    /// Command Supported.
    pub csupp: bool,
    /// Logical Block Content Change.
    pub lbcc: bool,
    /// Namespace Capability Change.
    pub ncc: bool,
    /// Namespace Inventory Change.
    pub nic: bool,
    /// Controller Capability Change.
    pub ccc: bool,
    #[bits(11)]
    __: u16,
    /// Command Submission and Execution: 0 no restriction, 1 alone in the namespace, 2 alone in all namespaces.
    #[bits(3, into = width::u8::<3>)]
    pub cse: u8,
    /// UUID Selection Supported.
    pub uuid_selection: bool,
    /// Command Scope: namespace.
    pub scope_namespace: bool,
    /// Command Scope: controller.
    pub scope_controller: bool,
    /// Command Scope: NVM Set.
    pub scope_nvm_set: bool,
    /// Command Scope: Endurance Group.
    pub scope_endurance_group: bool,
    /// Command Scope: domain.
    pub scope_domain: bool,
    /// Command Scope: NVM subsystem.
    pub scope_subsystem: bool,
    #[bits(6)]
    __: u8,
}

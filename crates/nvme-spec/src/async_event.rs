//! Asynchronous events: what the completion of an Asynchronous Event Request tells (Base 5.2).

use bitfield_struct::bitfield;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::code::code;
use crate::log::LogPageId;

/// Asynchronous Event Request, dword 0 of the completion (Base 5.2.1).
#[bitfield(u32)]
#[derive(PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct AsyncEventDw0 {
    /// Asynchronous Event Type.
    #[bits(3)]
    pub event_type: AsyncEventType,
    #[bits(5)]
    __: u8,
    /// Asynchronous Event Information: which event of that type, as in [`AsyncEvent`].
    pub info: u8,
    /// Log Page Identifier: the page that tells more, and that clears the event when it is read.
    #[bits(8)]
    pub log_page: LogPageId,
    __: u8,
}

impl AsyncEventDw0 {
    /// The event: type and information in one.
    #[must_use]
    pub const fn event(self) -> AsyncEvent {
        AsyncEvent(u16::from_be_bytes([self.event_type().0, self.info()]))
    }
}

code! {
    /// Asynchronous Event Type (Base 5.2.1).
    pub struct AsyncEventType(u8: 3) {
        ERROR = 0, "error status";
        HEALTH = 1, "SMART / health status";
        NOTICE = 2, "notice";
        IMMEDIATE = 3, "immediate";
        IO_COMMAND_SET = 6, "I/O Command Set specific status";
        VENDOR = 7, "vendor specific";
        _ => "reserved event type";
    }
}

code! {
    /// An asynchronous event: `event_type << 8 | info` (Base 5.2.1).
    pub struct AsyncEvent(u16: 11) {
        INVALID_DOORBELL = 0x000, "write to an invalid doorbell register";
        INVALID_DOORBELL_VALUE = 0x001, "invalid doorbell write value";
        DIAGNOSTIC_FAILURE = 0x002, "diagnostic failure";
        PERSISTENT_INTERNAL_ERROR = 0x003, "persistent internal error";
        TRANSIENT_INTERNAL_ERROR = 0x004, "transient internal error";
        FIRMWARE_IMAGE_LOAD_ERROR = 0x005, "firmware image load error";
        RELIABILITY = 0x100, "NVM subsystem reliability";
        TEMPERATURE = 0x101, "temperature threshold";
        SPARE_BELOW_THRESHOLD = 0x102, "spare below threshold";
        NAMESPACE_CHANGED = 0x200, "namespace attribute changed";
        FIRMWARE_ACTIVATION_STARTING = 0x201, "firmware activation starting";
        TELEMETRY_CHANGED = 0x202, "telemetry log changed";
        ANA_CHANGED = 0x203, "asymmetric namespace access change";
        PREDICTABLE_LATENCY_CHANGED = 0x204, "predictable latency event aggregate log change";
        LBA_STATUS_ALERT = 0x205, "LBA status information alert";
        ENDURANCE_GROUP_CHANGED = 0x206, "endurance group event aggregate log page change";
        ZONE_DESCRIPTOR_CHANGED = 0x2EF, "zone descriptor changed";
        DISCOVERY_CHANGED = 0x2F0, "discovery log page change";
        NORMAL_SUBSYSTEM_SHUTDOWN = 0x300, "normal NVM subsystem shutdown";
        RESERVATION_LOG_AVAILABLE = 0x600, "reservation log page available";
        SANITIZE_COMPLETED = 0x601, "sanitize operation completed";
        SANITIZE_COMPLETED_WITH_DEALLOCATION = 0x602, "sanitize operation completed with unexpected deallocation";
        _ => "unknown event";
    }
}

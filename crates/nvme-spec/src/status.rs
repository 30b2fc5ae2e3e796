//! Status codes (Base 3.3.3.2.1; NVM 3.1.2).

use crate::code::code;
use crate::completion::StatusField;

impl Status {
    /// Whether the command completed without error.
    #[must_use]
    pub const fn is_success(self) -> bool {
        self.0 == Self::SUCCESS.0
    }

    /// Status Code Type: what kind of status it is.
    #[must_use]
    pub const fn code_type(self) -> StatusCodeType {
        StatusCodeType((self.0 >> 8) as u8)
    }

    /// Status Code, to be read together with its type.
    #[must_use]
    pub const fn code(self) -> u8 {
        self.0 as u8
    }

    /// The status field of a completion with this status; phase, retry delay, More and Do Not Retry are 0.
    #[must_use]
    pub const fn into_field(self) -> StatusField {
        StatusField::new()
            .with_code(self.code())
            .with_code_type(self.code_type().0)
    }
}

impl From<StatusField> for Status {
    fn from(field: StatusField) -> Self {
        Self(u16::from_be_bytes([field.code_type(), field.code()]))
    }
}

code! {
    /// Status Code Type (Base 3.3.3.2.1).
    pub struct StatusCodeType(u8: 3) {
        GENERIC = 0, "generic command status";
        COMMAND_SPECIFIC = 1, "command specific status";
        MEDIA = 2, "media and data integrity error";
        PATH = 3, "path related status";
        VENDOR = 7, "vendor specific status";
        _ => "reserved status code type";
    }
}

code! {
    /// Status of a command: `code_type << 8 | code`.
    ///
    /// Generic and path related status are Base 3.3.3.2.1, command specific status and media and data integrity errors are
    /// there and, for the NVM Command Set, in NVM 3.1.2.
    pub struct Status(u16: 11) {
        SUCCESS = 0x000, "Successful Completion";
        INVALID_OPCODE = 0x001, "Invalid Command Opcode";
        INVALID_FIELD = 0x002, "Invalid Field in Command";
        COMMAND_ID_CONFLICT = 0x003, "Command ID Conflict";
        DATA_TRANSFER_ERROR = 0x004, "Data Transfer Error";
        ABORTED_POWER_LOSS = 0x005, "Commands Aborted due to Power Loss Notification";
        INTERNAL_ERROR = 0x006, "Internal Error";
        ABORT_REQUESTED = 0x007, "Command Abort Requested";
        ABORTED_SQ_DELETION = 0x008, "Command Aborted due to SQ Deletion";
        ABORTED_FAILED_FUSED = 0x009, "Command Aborted due to Failed Fused Command";
        ABORTED_MISSING_FUSED = 0x00A, "Command Aborted due to Missing Fused Command";
        INVALID_NAMESPACE_OR_FORMAT = 0x00B, "Invalid Namespace or Format";
        COMMAND_SEQUENCE_ERROR = 0x00C, "Command Sequence Error";
        INVALID_SGL_SEGMENT_DESCRIPTOR = 0x00D, "Invalid SGL Segment Descriptor";
        INVALID_SGL_DESCRIPTOR_COUNT = 0x00E, "Invalid Number of SGL Descriptors";
        DATA_SGL_LENGTH_INVALID = 0x00F, "Data SGL Length Invalid";
        METADATA_SGL_LENGTH_INVALID = 0x010, "Metadata SGL Length Invalid";
        SGL_DESCRIPTOR_TYPE_INVALID = 0x011, "SGL Descriptor Type Invalid";
        INVALID_USE_OF_CMB = 0x012, "Invalid Use of Controller Memory Buffer";
        PRP_OFFSET_INVALID = 0x013, "PRP Offset Invalid";
        ATOMIC_WRITE_UNIT_EXCEEDED = 0x014, "Atomic Write Unit Exceeded";
        OPERATION_DENIED = 0x015, "Operation Denied";
        SGL_OFFSET_INVALID = 0x016, "SGL Offset Invalid";
        HOST_IDENTIFIER_INCONSISTENT_FORMAT = 0x018, "Host Identifier Inconsistent Format";
        KEEP_ALIVE_TIMER_EXPIRED = 0x019, "Keep Alive Timer Expired";
        KEEP_ALIVE_TIMEOUT_INVALID = 0x01A, "Keep Alive Timeout Invalid";
        ABORTED_PREEMPT_AND_ABORT = 0x01B, "Command Aborted due to Preempt and Abort";
        SANITIZE_FAILED = 0x01C, "Sanitize Failed";
        SANITIZE_IN_PROGRESS = 0x01D, "Sanitize In Progress";
        SGL_DATA_BLOCK_GRANULARITY_INVALID = 0x01E, "SGL Data Block Granularity Invalid";
        COMMAND_NOT_SUPPORTED_FOR_QUEUE_IN_CMB = 0x01F, "Command Not Supported for Queue in CMB";
        NAMESPACE_WRITE_PROTECTED = 0x020, "Namespace is Write Protected";
        COMMAND_INTERRUPTED = 0x021, "Command Interrupted";
        TRANSIENT_TRANSPORT_ERROR = 0x022, "Transient Transport Error";
        PROHIBITED_BY_LOCKDOWN = 0x023, "Command Prohibited by Command and Feature Lockdown";
        ADMIN_MEDIA_NOT_READY = 0x024, "Admin Command Media Not Ready";
        DIRECTIVE_TYPE_INVALID = 0x070, "Directive Type Invalid";
        DIRECTIVE_ID_INVALID = 0x071, "Directive ID Invalid";
        LBA_OUT_OF_RANGE = 0x080, "LBA Out of Range";
        CAPACITY_EXCEEDED = 0x081, "Capacity Exceeded";
        NAMESPACE_NOT_READY = 0x082, "Namespace Not Ready";
        RESERVATION_CONFLICT = 0x083, "Reservation Conflict";
        FORMAT_IN_PROGRESS = 0x084, "Format In Progress";

        COMPLETION_QUEUE_INVALID = 0x100, "Completion Queue Invalid";
        INVALID_QUEUE_IDENTIFIER = 0x101, "Invalid Queue Identifier";
        INVALID_QUEUE_SIZE = 0x102, "Invalid Queue Size";
        ABORT_COMMAND_LIMIT_EXCEEDED = 0x103, "Abort Command Limit Exceeded";
        ASYNC_EVENT_REQUEST_LIMIT_EXCEEDED = 0x105, "Asynchronous Event Request Limit Exceeded";
        INVALID_FIRMWARE_SLOT = 0x106, "Invalid Firmware Slot";
        INVALID_FIRMWARE_IMAGE = 0x107, "Invalid Firmware Image";
        INVALID_INTERRUPT_VECTOR = 0x108, "Invalid Interrupt Vector";
        INVALID_LOG_PAGE = 0x109, "Invalid Log Page";
        INVALID_FORMAT = 0x10A, "Invalid Format";
        FIRMWARE_NEEDS_CONVENTIONAL_RESET = 0x10B, "Firmware Activation Requires Conventional Reset";
        INVALID_QUEUE_DELETION = 0x10C, "Invalid Queue Deletion";
        FEATURE_NOT_SAVEABLE = 0x10D, "Feature Identifier Not Saveable";
        FEATURE_NOT_CHANGEABLE = 0x10E, "Feature Not Changeable";
        FEATURE_NOT_NAMESPACE_SPECIFIC = 0x10F, "Feature Not Namespace Specific";
        FIRMWARE_NEEDS_SUBSYSTEM_RESET = 0x110, "Firmware Activation Requires NVM Subsystem Reset";
        FIRMWARE_NEEDS_CONTROLLER_RESET = 0x111, "Firmware Activation Requires Controller Level Reset";
        FIRMWARE_NEEDS_MAXIMUM_TIME_VIOLATION = 0x112, "Firmware Activation Requires Maximum Time Violation";
        FIRMWARE_ACTIVATION_PROHIBITED = 0x113, "Firmware Activation Prohibited";
        OVERLAPPING_RANGE = 0x114, "Overlapping Range";
        NAMESPACE_INSUFFICIENT_CAPACITY = 0x115, "Namespace Insufficient Capacity";
        NAMESPACE_IDENTIFIER_UNAVAILABLE = 0x116, "Namespace Identifier Unavailable";
        NAMESPACE_ALREADY_ATTACHED = 0x118, "Namespace Already Attached";
        NAMESPACE_IS_PRIVATE = 0x119, "Namespace Is Private";
        NAMESPACE_NOT_ATTACHED = 0x11A, "Namespace Not Attached";
        THIN_PROVISIONING_NOT_SUPPORTED = 0x11B, "Thin Provisioning Not Supported";
        CONTROLLER_LIST_INVALID = 0x11C, "Controller List Invalid";
        SELF_TEST_IN_PROGRESS = 0x11D, "Device Self-test In Progress";
        BOOT_PARTITION_WRITE_PROHIBITED = 0x11E, "Boot Partition Write Prohibited";
        INVALID_CONTROLLER_IDENTIFIER = 0x11F, "Invalid Controller Identifier";
        INVALID_SECONDARY_CONTROLLER_STATE = 0x120, "Invalid Secondary Controller State";
        INVALID_CONTROLLER_RESOURCE_COUNT = 0x121, "Invalid Number of Controller Resources";
        INVALID_RESOURCE_IDENTIFIER = 0x122, "Invalid Resource Identifier";
        SANITIZE_PROHIBITED_WITH_PMR = 0x123, "Sanitize Prohibited While Persistent Memory Region is Enabled";
        ANA_GROUP_IDENTIFIER_INVALID = 0x124, "ANA Group Identifier Invalid";
        ANA_ATTACH_FAILED = 0x125, "ANA Attach Failed";
        INSUFFICIENT_CAPACITY = 0x126, "Insufficient Capacity";
        NAMESPACE_ATTACHMENT_LIMIT_EXCEEDED = 0x127, "Namespace Attachment Limit Exceeded";
        PROHIBITION_NOT_SUPPORTED = 0x128, "Prohibition of Command Execution Not Supported";
        COMMAND_SET_NOT_SUPPORTED = 0x129, "I/O Command Set Not Supported";
        COMMAND_SET_NOT_ENABLED = 0x12A, "I/O Command Set Not Enabled";
        COMMAND_SET_COMBINATION_REJECTED = 0x12B, "I/O Command Set Combination Rejected";
        INVALID_COMMAND_SET = 0x12C, "Invalid I/O Command Set";
        IDENTIFIER_UNAVAILABLE = 0x12D, "Identifier Unavailable";
        STREAM_RESOURCE_ALLOCATION_FAILED = 0x17F, "Stream Resource Allocation Failed";
        CONFLICTING_ATTRIBUTES = 0x180, "Conflicting Attributes";
        INVALID_PROTECTION_INFORMATION = 0x181, "Invalid Protection Information";
        WRITE_TO_READ_ONLY_RANGE = 0x182, "Attempted Write to Read Only Range";
        COMMAND_SIZE_LIMIT_EXCEEDED = 0x183, "Command Size Limit Exceeded";

        WRITE_FAULT = 0x280, "Write Fault";
        UNRECOVERED_READ_ERROR = 0x281, "Unrecovered Read Error";
        GUARD_CHECK_ERROR = 0x282, "End-to-end Guard Check Error";
        APPLICATION_TAG_CHECK_ERROR = 0x283, "End-to-end Application Tag Check Error";
        REFERENCE_TAG_CHECK_ERROR = 0x284, "End-to-end Reference Tag Check Error";
        COMPARE_FAILURE = 0x285, "Compare Failure";
        ACCESS_DENIED = 0x286, "Access Denied";
        DEALLOCATED_OR_UNWRITTEN_BLOCK = 0x287, "Deallocated or Unwritten Logical Block";
        STORAGE_TAG_CHECK_ERROR = 0x288, "End-to-End Storage Tag Check Error";

        INTERNAL_PATH_ERROR = 0x300, "Internal Path Error";
        ANA_PERSISTENT_LOSS = 0x301, "Asymmetric Access Persistent Loss";
        ANA_INACCESSIBLE = 0x302, "Asymmetric Access Inaccessible";
        ANA_TRANSITION = 0x303, "Asymmetric Access Transition";
        CONTROLLER_PATHING_ERROR = 0x360, "Controller Pathing Error";
        HOST_PATHING_ERROR = 0x370, "Host Pathing Error";
        ABORTED_BY_HOST = 0x371, "Command Aborted By Host";
        _ => "unknown status";
    }
}

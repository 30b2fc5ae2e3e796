//! How a request ends: SCSI status and sense data, also for what an NVMe controller says of a command.

use nvme_spec::completion::StatusField;
use nvme_spec::status::{Status, StatusCodeType};

use crate::sense::SenseKey::{
    AbortedCommand, DataProtect, HardwareError, IllegalRequest, MediumError, Miscompare, NotReady,
};
use crate::sense::{Sense, SenseKey};

/// SCSI status code (SAM-5, 5.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScsiStatus(pub u8);

impl ScsiStatus {
    /// The command completed without error.
    pub const GOOD: Self = Self(0x00);
    /// Sense data says what happened.
    pub const CHECK_CONDITION: Self = Self(0x02);
    /// The logical unit cannot take the command now.
    pub const BUSY: Self = Self(0x08);
    /// A reservation of another initiator forbids the command.
    pub const RESERVATION_CONFLICT: Self = Self(0x18);
    /// TASK SET FULL, "queue full" in Windows: there is no room for another command until one completes.
    pub const TASK_SET_FULL: Self = Self(0x28);
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The status.
    pub status: ScsiStatus,
    /// Sense data: with CHECK CONDITION, and only then.
    pub sense: Option<Sense>,
    /// INFORMATION of the sense data: the first block that the error is about, where the controller has told which.
    pub information: Option<u64>,
    /// The bytes of the request's data buffer that were read or written.
    pub transferred_bytes: u32,
}

impl Outcome {
    /// GOOD.
    #[must_use]
    pub const fn good(transferred_bytes: u32) -> Self {
        Self {
            status: ScsiStatus::GOOD,
            sense: None,
            information: None,
            transferred_bytes,
        }
    }

    /// CHECK CONDITION. No data counts as transferred.
    #[must_use]
    pub const fn check_condition(sense: Sense) -> Self {
        Self {
            status: ScsiStatus::CHECK_CONDITION,
            sense: Some(sense),
            information: None,
            transferred_bytes: 0,
        }
    }

    /// A status other than GOOD that needs no sense data.
    #[must_use]
    pub const fn refused(status: ScsiStatus) -> Self {
        Self {
            status,
            sense: None,
            information: None,
            transferred_bytes: 0,
        }
    }
}

/// The end of a request whose NVMe command, with so many bytes of data, completed with this status.
#[must_use]
#[cold]
pub fn completed(field: StatusField, bytes: u32) -> Outcome {
    let status = Status::from(field);
    if status == Status::SUCCESS {
        return Outcome::good(bytes);
    }
    let listed = STATUSES.iter().find(|(listed, _)| *listed == status);
    let meaning = listed.map_or_else(|| unlisted(status), |(_, meaning)| *meaning);
    match meaning {
        Meaning::Status(status) => Outcome::refused(status),
        Meaning::Sense(sense) if field.do_not_retry() => Outcome::check_condition(finally(sense)),
        Meaning::Sense(sense) => Outcome::check_condition(sense),
    }
}

/// What a status means to an initiator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    /// CHECK CONDITION with this sense data.
    Sense(Sense),
    /// This status, without sense data.
    Status(ScsiStatus),
}

/// CHECK CONDITION with sense data of this key, additional sense code and qualifier.
const fn sense(key: SenseKey, code: u8, qualifier: u8) -> Meaning {
    Meaning::Sense(Sense::new(key, code, qualifier))
}

/// What sense data says where Do Not Retry is set. A class driver repeats a command that was aborted and one whose unit is not
/// ready, unless the cause is not reportable (04h/00h), manual intervention is required (04h/03h) or a format is in progress
/// (04h/04h): *Windows-driver-samples*, `ClassInterpretSenseInfo`. A repeat would fail again, so the sense data asks for none.
const fn finally(sense: Sense) -> Sense {
    match (sense.key, sense.code, sense.qualifier) {
        (SenseKey::AbortedCommand, ..) => INTERNAL_TARGET_FAILURE,
        (SenseKey::NotReady, 0x04, 0x03 | 0x04) => sense,
        (SenseKey::NotReady, ..) => Sense::new(SenseKey::NotReady, 0x04, 0x00),
        _ => sense,
    }
}

/// What a status without a row means: by its type alone.
const fn unlisted(status: Status) -> Meaning {
    match status.code_type() {
        StatusCodeType::MEDIA => sense(MediumError, 0x00, 0x00),
        StatusCodeType::COMMAND_SPECIFIC => NOTHING_MORE,
        _ => ABORTED,
    }
}

const INTERNAL_TARGET_FAILURE: Sense = Sense::new(HardwareError, 0x44, 0x00);
const FAILURE: Meaning = Meaning::Sense(INTERNAL_TARGET_FAILURE);
const ABORTED: Meaning = sense(AbortedCommand, 0x00, 0x00);
const INVALID_FIELD: Meaning = Meaning::Sense(Sense::INVALID_FIELD_IN_CDB);
const INVALID_PARAMETER: Meaning = Meaning::Sense(Sense::INVALID_FIELD_IN_PARAMETER_LIST);
/// ILLEGAL REQUEST without additional sense information.
const NOTHING_MORE: Meaning = sense(IllegalRequest, 0x00, 0x00);
const COMMAND_SEQUENCE_ERROR: Meaning = sense(IllegalRequest, 0x2C, 0x00);
const INSUFFICIENT_RESOURCES: Meaning = sense(IllegalRequest, 0x55, 0x03);
const WRITE_PROTECTED: Meaning = Meaning::Sense(Sense::WRITE_PROTECTED);
const NO_ACCESS_RIGHTS: Meaning = sense(DataProtect, 0x20, 0x02);
const BECOMING_READY: Meaning = sense(NotReady, 0x04, 0x01);

/// What each status means: the Translation Reference's status code mapping, and what it does not list.
///
/// It differs from the reference in two places. Commands that were aborted end with CHECK CONDITION and not with TASK ABORTED:
/// SAM-5 keeps that for commands that another initiator aborted, and initiators look at sense data only with CHECK CONDITION. A
/// data transfer error and a lack of capacity are no medium errors: Windows would take the blocks for bad ones, and would not
/// repeat the transfer.
static STATUSES: [(Status, Meaning); 107] = [
    // Generic.
    (
        Status::INVALID_OPCODE,
        Meaning::Sense(Sense::INVALID_COMMAND_OPERATION_CODE),
    ),
    (Status::INVALID_FIELD, INVALID_FIELD),
    (Status::COMMAND_ID_CONFLICT, ABORTED),
    // DATA PHASE ERROR.
    (
        Status::DATA_TRANSFER_ERROR,
        sense(AbortedCommand, 0x4B, 0x00),
    ),
    // WARNING - POWER LOSS EXPECTED.
    (
        Status::ABORTED_POWER_LOSS,
        sense(AbortedCommand, 0x0B, 0x08),
    ),
    (Status::INTERNAL_ERROR, FAILURE),
    (Status::ABORT_REQUESTED, ABORTED),
    (Status::ABORTED_SQ_DELETION, ABORTED),
    (Status::ABORTED_FAILED_FUSED, ABORTED),
    (Status::ABORTED_MISSING_FUSED, ABORTED),
    // ACCESS DENIED - INVALID LU IDENTIFIER.
    (
        Status::INVALID_NAMESPACE_OR_FORMAT,
        sense(IllegalRequest, 0x20, 0x09),
    ),
    (Status::COMMAND_SEQUENCE_ERROR, COMMAND_SEQUENCE_ERROR),
    // The data pointer is the driver's: the initiator can do nothing about it.
    (Status::INVALID_SGL_SEGMENT_DESCRIPTOR, FAILURE),
    (Status::INVALID_SGL_DESCRIPTOR_COUNT, FAILURE),
    (Status::DATA_SGL_LENGTH_INVALID, FAILURE),
    (Status::METADATA_SGL_LENGTH_INVALID, FAILURE),
    (Status::SGL_DESCRIPTOR_TYPE_INVALID, FAILURE),
    (Status::INVALID_USE_OF_CMB, FAILURE),
    (Status::PRP_OFFSET_INVALID, FAILURE),
    (Status::ATOMIC_WRITE_UNIT_EXCEEDED, INVALID_FIELD),
    (Status::OPERATION_DENIED, NO_ACCESS_RIGHTS),
    (Status::SGL_OFFSET_INVALID, FAILURE),
    (Status::HOST_IDENTIFIER_INCONSISTENT_FORMAT, FAILURE),
    (Status::KEEP_ALIVE_TIMER_EXPIRED, ABORTED),
    (Status::KEEP_ALIVE_TIMEOUT_INVALID, FAILURE),
    (Status::ABORTED_PREEMPT_AND_ABORT, ABORTED),
    // SANITIZE COMMAND FAILED.
    (Status::SANITIZE_FAILED, sense(MediumError, 0x31, 0x03)),
    // LOGICAL UNIT NOT READY, SANITIZE IN PROGRESS.
    (Status::SANITIZE_IN_PROGRESS, sense(NotReady, 0x04, 0x1B)),
    (Status::SGL_DATA_BLOCK_GRANULARITY_INVALID, FAILURE),
    (Status::COMMAND_NOT_SUPPORTED_FOR_QUEUE_IN_CMB, FAILURE),
    (Status::NAMESPACE_WRITE_PROTECTED, WRITE_PROTECTED),
    (Status::COMMAND_INTERRUPTED, ABORTED),
    (Status::TRANSIENT_TRANSPORT_ERROR, ABORTED),
    (Status::PROHIBITED_BY_LOCKDOWN, NO_ACCESS_RIGHTS),
    (Status::ADMIN_MEDIA_NOT_READY, BECOMING_READY),
    (Status::DIRECTIVE_TYPE_INVALID, INVALID_FIELD),
    (Status::DIRECTIVE_ID_INVALID, INVALID_FIELD),
    (
        Status::LBA_OUT_OF_RANGE,
        Meaning::Sense(Sense::LOGICAL_BLOCK_ADDRESS_OUT_OF_RANGE),
    ),
    // SPACE ALLOCATION FAILED WRITE PROTECT: to Windows the disk is full.
    (Status::CAPACITY_EXCEEDED, sense(DataProtect, 0x27, 0x07)),
    (Status::NAMESPACE_NOT_READY, BECOMING_READY),
    (
        Status::RESERVATION_CONFLICT,
        Meaning::Status(ScsiStatus::RESERVATION_CONFLICT),
    ),
    // LOGICAL UNIT NOT READY, FORMAT IN PROGRESS.
    (Status::FORMAT_IN_PROGRESS, sense(NotReady, 0x04, 0x04)),
    // Command specific.
    (Status::COMPLETION_QUEUE_INVALID, NOTHING_MORE),
    (Status::INVALID_QUEUE_IDENTIFIER, NOTHING_MORE),
    (Status::INVALID_QUEUE_SIZE, NOTHING_MORE),
    (Status::ABORT_COMMAND_LIMIT_EXCEEDED, NOTHING_MORE),
    (Status::ASYNC_EVENT_REQUEST_LIMIT_EXCEEDED, NOTHING_MORE),
    (Status::INVALID_FIRMWARE_SLOT, INVALID_FIELD),
    (Status::INVALID_FIRMWARE_IMAGE, INVALID_PARAMETER),
    (Status::INVALID_INTERRUPT_VECTOR, NOTHING_MORE),
    (Status::INVALID_LOG_PAGE, INVALID_FIELD),
    // FORMAT COMMAND FAILED.
    (Status::INVALID_FORMAT, sense(IllegalRequest, 0x31, 0x01)),
    (
        Status::FIRMWARE_NEEDS_CONVENTIONAL_RESET,
        COMMAND_SEQUENCE_ERROR,
    ),
    (Status::INVALID_QUEUE_DELETION, NOTHING_MORE),
    (
        Status::FEATURE_NOT_SAVEABLE,
        Meaning::Sense(Sense::SAVING_PARAMETERS_NOT_SUPPORTED),
    ),
    (Status::FEATURE_NOT_CHANGEABLE, INVALID_PARAMETER),
    (Status::FEATURE_NOT_NAMESPACE_SPECIFIC, INVALID_FIELD),
    (
        Status::FIRMWARE_NEEDS_SUBSYSTEM_RESET,
        COMMAND_SEQUENCE_ERROR,
    ),
    (
        Status::FIRMWARE_NEEDS_CONTROLLER_RESET,
        COMMAND_SEQUENCE_ERROR,
    ),
    (
        Status::FIRMWARE_NEEDS_MAXIMUM_TIME_VIOLATION,
        COMMAND_SEQUENCE_ERROR,
    ),
    (Status::FIRMWARE_ACTIVATION_PROHIBITED, NO_ACCESS_RIGHTS),
    (Status::OVERLAPPING_RANGE, INVALID_PARAMETER),
    (
        Status::NAMESPACE_INSUFFICIENT_CAPACITY,
        INSUFFICIENT_RESOURCES,
    ),
    (Status::NAMESPACE_IDENTIFIER_UNAVAILABLE, NOTHING_MORE),
    (Status::NAMESPACE_ALREADY_ATTACHED, NOTHING_MORE),
    (Status::NAMESPACE_IS_PRIVATE, NOTHING_MORE),
    (Status::NAMESPACE_NOT_ATTACHED, NOTHING_MORE),
    (Status::THIN_PROVISIONING_NOT_SUPPORTED, NOTHING_MORE),
    (Status::CONTROLLER_LIST_INVALID, NOTHING_MORE),
    // LOGICAL UNIT NOT READY, SELF-TEST IN PROGRESS.
    (Status::SELF_TEST_IN_PROGRESS, sense(NotReady, 0x04, 0x09)),
    (Status::BOOT_PARTITION_WRITE_PROHIBITED, WRITE_PROTECTED),
    (Status::INVALID_CONTROLLER_IDENTIFIER, NOTHING_MORE),
    (Status::INVALID_SECONDARY_CONTROLLER_STATE, NOTHING_MORE),
    (Status::INVALID_CONTROLLER_RESOURCE_COUNT, NOTHING_MORE),
    (Status::INVALID_RESOURCE_IDENTIFIER, NOTHING_MORE),
    (Status::SANITIZE_PROHIBITED_WITH_PMR, COMMAND_SEQUENCE_ERROR),
    (Status::ANA_GROUP_IDENTIFIER_INVALID, NOTHING_MORE),
    (Status::ANA_ATTACH_FAILED, NOTHING_MORE),
    (Status::INSUFFICIENT_CAPACITY, INSUFFICIENT_RESOURCES),
    (Status::NAMESPACE_ATTACHMENT_LIMIT_EXCEEDED, NOTHING_MORE),
    (Status::PROHIBITION_NOT_SUPPORTED, NOTHING_MORE),
    (Status::COMMAND_SET_NOT_SUPPORTED, NOTHING_MORE),
    (Status::COMMAND_SET_NOT_ENABLED, NOTHING_MORE),
    (Status::COMMAND_SET_COMBINATION_REJECTED, NOTHING_MORE),
    (Status::INVALID_COMMAND_SET, NOTHING_MORE),
    (Status::IDENTIFIER_UNAVAILABLE, NOTHING_MORE),
    (
        Status::STREAM_RESOURCE_ALLOCATION_FAILED,
        INSUFFICIENT_RESOURCES,
    ),
    (Status::CONFLICTING_ATTRIBUTES, INVALID_FIELD),
    (Status::INVALID_PROTECTION_INFORMATION, INVALID_FIELD),
    (Status::WRITE_TO_READ_ONLY_RANGE, WRITE_PROTECTED),
    (Status::COMMAND_SIZE_LIMIT_EXCEEDED, INVALID_FIELD),
    // Media and data integrity. PERIPHERAL DEVICE WRITE FAULT.
    (Status::WRITE_FAULT, sense(MediumError, 0x03, 0x00)),
    // UNRECOVERED READ ERROR.
    (
        Status::UNRECOVERED_READ_ERROR,
        sense(MediumError, 0x11, 0x00),
    ),
    // LOGICAL BLOCK GUARD, APPLICATION TAG, REFERENCE TAG CHECK FAILED; a storage tag is a part of the reference tag.
    (Status::GUARD_CHECK_ERROR, sense(MediumError, 0x10, 0x01)),
    (
        Status::APPLICATION_TAG_CHECK_ERROR,
        sense(MediumError, 0x10, 0x02),
    ),
    (
        Status::REFERENCE_TAG_CHECK_ERROR,
        sense(MediumError, 0x10, 0x03),
    ),
    // MISCOMPARE DURING VERIFY OPERATION.
    (Status::COMPARE_FAILURE, sense(Miscompare, 0x1D, 0x00)),
    (Status::ACCESS_DENIED, NO_ACCESS_RIGHTS),
    (
        Status::DEALLOCATED_OR_UNWRITTEN_BLOCK,
        sense(MediumError, 0x11, 0x00),
    ),
    (
        Status::STORAGE_TAG_CHECK_ERROR,
        sense(MediumError, 0x10, 0x03),
    ),
    // Path related.
    (Status::INTERNAL_PATH_ERROR, ABORTED),
    // LOGICAL UNIT FAILURE.
    (
        Status::ANA_PERSISTENT_LOSS,
        sense(HardwareError, 0x3E, 0x01),
    ),
    // LOGICAL UNIT NOT ACCESSIBLE, TARGET PORT IN UNAVAILABLE STATE and ASYMMETRIC ACCESS STATE TRANSITION.
    (Status::ANA_INACCESSIBLE, sense(NotReady, 0x04, 0x0C)),
    (Status::ANA_TRANSITION, sense(NotReady, 0x04, 0x0A)),
    (Status::CONTROLLER_PATHING_ERROR, ABORTED),
    (Status::HOST_PATHING_ERROR, ABORTED),
    (Status::ABORTED_BY_HOST, ABORTED),
];

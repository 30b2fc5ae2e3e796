//! How a request ends: SCSI status and sense data, also for what an NVMe controller says of a command.

use nvme_spec::completion::StatusField;
use nvme_spec::status::{Status, StatusCodeType};

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
            transferred_bytes,
        }
    }

    /// CHECK CONDITION. No data counts as transferred.
    #[must_use]
    pub const fn check_condition(sense: Sense) -> Self {
        Self {
            status: ScsiStatus::CHECK_CONDITION,
            sense: Some(sense),
            transferred_bytes: 0,
        }
    }

    /// A status other than GOOD that needs no sense data.
    #[must_use]
    pub const fn refused(status: ScsiStatus) -> Self {
        Self {
            status,
            sense: None,
            transferred_bytes: 0,
        }
    }
}

/// The end of a request whose NVMe command, with so many bytes of data, completed with this status.
#[must_use]
pub fn completed(field: StatusField, bytes: u32) -> Outcome {
    match Status::from(field) {
        Status::SUCCESS => Outcome::good(bytes),
        Status::RESERVATION_CONFLICT => Outcome::refused(ScsiStatus::RESERVATION_CONFLICT),
        status => Outcome::check_condition(sense_of(status, field.do_not_retry())),
    }
}

/// What sense data says of a failed command (Translation Reference, status code mapping).
///
/// Commands that were aborted end with CHECK CONDITION and not with TASK ABORTED as the reference has it: SAM-5 keeps that
/// for commands that another initiator aborted, and initiators look at sense data only with CHECK CONDITION.
fn sense_of(status: Status, do_not_retry: bool) -> Sense {
    use SenseKey::{
        AbortedCommand, DataProtect, HardwareError, IllegalRequest, MediumError, Miscompare,
        NotReady,
    };
    let (key, code, qualifier) = match status {
        Status::INVALID_OPCODE => return Sense::INVALID_COMMAND_OPERATION_CODE,
        Status::INVALID_FIELD | Status::CONFLICTING_ATTRIBUTES => {
            return Sense::INVALID_FIELD_IN_CDB;
        }
        Status::LBA_OUT_OF_RANGE => return Sense::LOGICAL_BLOCK_ADDRESS_OUT_OF_RANGE,
        // ACCESS DENIED - INVALID LU IDENTIFIER.
        Status::INVALID_NAMESPACE_OR_FORMAT => (IllegalRequest, 0x20, 0x09),
        // COMMAND SEQUENCE ERROR.
        Status::COMMAND_SEQUENCE_ERROR => (IllegalRequest, 0x2C, 0x00),
        // WARNING - POWER LOSS EXPECTED.
        Status::ABORTED_POWER_LOSS => (AbortedCommand, 0x0B, 0x08),
        Status::ABORT_REQUESTED
        | Status::ABORTED_SQ_DELETION
        | Status::ABORTED_FAILED_FUSED
        | Status::ABORTED_MISSING_FUSED
        | Status::ABORTED_BY_HOST => (AbortedCommand, 0x00, 0x00),
        // INTERNAL TARGET FAILURE.
        Status::INTERNAL_ERROR => (HardwareError, 0x44, 0x00),
        Status::DATA_TRANSFER_ERROR | Status::CAPACITY_EXCEEDED => (MediumError, 0x00, 0x00),
        // SANITIZE COMMAND FAILED.
        Status::SANITIZE_FAILED => (MediumError, 0x31, 0x03),
        // LOGICAL UNIT NOT READY: SANITIZE IN PROGRESS, FORMAT IN PROGRESS, CAUSE NOT REPORTABLE, BECOMING READY.
        Status::SANITIZE_IN_PROGRESS => (NotReady, 0x04, 0x1B),
        Status::FORMAT_IN_PROGRESS => (NotReady, 0x04, 0x04),
        Status::NAMESPACE_NOT_READY if do_not_retry => (NotReady, 0x04, 0x00),
        Status::NAMESPACE_NOT_READY => (NotReady, 0x04, 0x01),
        // WRITE PROTECTED.
        Status::NAMESPACE_WRITE_PROTECTED | Status::WRITE_TO_READ_ONLY_RANGE => {
            (DataProtect, 0x27, 0x00)
        }
        // PERIPHERAL DEVICE WRITE FAULT.
        Status::WRITE_FAULT => (MediumError, 0x03, 0x00),
        // UNRECOVERED READ ERROR.
        Status::UNRECOVERED_READ_ERROR => (MediumError, 0x11, 0x00),
        // LOGICAL BLOCK GUARD, APPLICATION TAG, REFERENCE TAG CHECK FAILED.
        Status::GUARD_CHECK_ERROR => (MediumError, 0x10, 0x01),
        Status::APPLICATION_TAG_CHECK_ERROR => (MediumError, 0x10, 0x02),
        Status::REFERENCE_TAG_CHECK_ERROR => (MediumError, 0x10, 0x03),
        // MISCOMPARE DURING VERIFY OPERATION.
        Status::COMPARE_FAILURE => (Miscompare, 0x1D, 0x00),
        // ACCESS DENIED - NO ACCESS RIGHTS.
        Status::ACCESS_DENIED => (DataProtect, 0x20, 0x02),
        other => return unlisted(other.code_type(), do_not_retry),
    };
    Sense::new(key, code, qualifier)
}

/// Sense data for a status that the reference does not list: by its type, and by whether a repeat can succeed.
fn unlisted(code_type: StatusCodeType, do_not_retry: bool) -> Sense {
    match code_type {
        StatusCodeType::MEDIA => Sense::new(SenseKey::MediumError, 0x00, 0x00),
        StatusCodeType::COMMAND_SPECIFIC => Sense::new(SenseKey::IllegalRequest, 0x00, 0x00),
        _ if do_not_retry => Sense::new(SenseKey::HardwareError, 0x44, 0x00),
        _ => Sense::new(SenseKey::AbortedCommand, 0x00, 0x00),
    }
}

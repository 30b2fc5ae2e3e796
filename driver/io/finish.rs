//! How a request ends: what the NVMe command came to becomes the status of its request.

use nvme_spec::completion::Completion;

use crate::storport::{Srb, SrbFunction, SrbList, SrbStatus};

/// Turns success of an NVMe command into the end of its request.
pub(super) fn succeed(mut srb: Srb, done: &mut SrbList) {
    let bytes = srb.command_bytes();
    let status = if srb.function() == SrbFunction::EXECUTE_SCSI {
        srb.set_good(bytes)
    } else {
        SrbStatus::SUCCESS
    };
    done.push(srb, status);
}

/// Turns the failure of an NVMe command into the end of its request.
pub(super) fn fail(mut srb: Srb, completion: &Completion, done: &mut SrbList) {
    let bytes = srb.command_bytes();
    let status = if srb.function() == SrbFunction::EXECUTE_SCSI {
        end_scsi(&mut srb, scsi::completed(completion.status, bytes))
    } else {
        SrbStatus::ERROR
    };
    done.push(srb, status);
}

/// The logical unit of a request is gone.
pub(super) fn gone(srb: &mut Srb) -> SrbStatus {
    if srb.function() == SrbFunction::EXECUTE_SCSI {
        end_scsi(srb, scsi::gone())
    } else {
        SrbStatus::NO_DEVICE
    }
}

/// Records the end of a SCSI command in its request.
pub(super) fn end_scsi(srb: &mut Srb, outcome: scsi::Outcome) -> SrbStatus {
    srb.set_scsi(outcome.status.0, outcome.transferred_bytes, |buffer| {
        outcome.sense.map_or(0, |sense| sense.write_fixed(buffer))
    })
}

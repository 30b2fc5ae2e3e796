//! The I/O queue pair: requests on their way to the controller and back.

use nvme::lifecycle::Impossible;
use nvme::pair::{Drained, QueuePair};
use nvme_spec::completion::Completion;
use nvme_spec::status::Status;

use crate::storport::{DmaBlock, RegisterWindow, Srb, SrbFunction, SrbList, SrbStatus};

/// The most entries of the queue pair.
pub(crate) const MAX_ENTRIES: u16 = 1024;

/// The queue pair, and the requests that the controller has.
pub(crate) type IoPair = QueuePair<DmaBlock, Srb, { MAX_ENTRIES as usize }>;

/// Gives a prepared request to the controller, or back to the caller when there is no room.
pub(crate) fn submit(pair: &mut IoPair, srb: Srb, registers: &RegisterWindow) -> Result<(), Srb> {
    pair.send(srb, |srb, entry| entry.write(srb.command()))?;
    pair.ring(registers);
    Ok(())
}

/// Takes every completion there is and puts its request on `done`, or on `again` where another command has to follow.
pub(crate) fn drain(
    pair: &mut IoPair,
    registers: &RegisterWindow,
    done: &mut SrbList,
    again: &mut SrbList,
) -> Result<Drained, Impossible> {
    pair.drain(registers, |mut srb, completion| {
        if Status::from(completion.status) != Status::SUCCESS {
            fail(srb, completion, done);
        } else if srb.prepare_next() {
            again.push(srb, SrbStatus::SUCCESS);
        } else {
            succeed(srb, done);
        }
    })
}

/// Turns success of an NVMe command into the end of its request.
fn succeed(mut srb: Srb, done: &mut SrbList) {
    let bytes = srb.command_bytes();
    let status = if srb.function() == SrbFunction::EXECUTE_SCSI {
        srb.set_good(bytes)
    } else {
        SrbStatus::SUCCESS
    };
    done.push(srb, status);
}

/// Turns the failure of an NVMe command into the end of its request.
fn fail(mut srb: Srb, completion: &Completion, done: &mut SrbList) {
    let bytes = srb.command_bytes();
    let status = if srb.function() == SrbFunction::EXECUTE_SCSI {
        end_scsi(&mut srb, scsi::completed(completion.status, bytes))
    } else {
        SrbStatus::ERROR
    };
    done.push(srb, status);
}

/// Records the end of a SCSI command in its request.
pub(crate) fn end_scsi(srb: &mut Srb, outcome: scsi::Outcome) -> SrbStatus {
    srb.set_scsi(outcome.status.0, outcome.transferred_bytes, |buffer| {
        outcome.sense.map_or(0, |sense| sense.write_fixed(buffer))
    })
}

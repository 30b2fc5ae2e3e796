//! The I/O queue pair: requests on their way to the controller and back.

use nvme::queue::{CompletionQueue, SubmissionQueue};
use nvme::slots::{SlotError, Slots};
use nvme_spec::completion::Completion;
use nvme_spec::status::Status;

use crate::storport::{DmaBlock, RegisterWindow, Srb, SrbFunction, SrbList, SrbStatus};

/// The most entries of the queue pair.
pub(crate) const MAX_ENTRIES: u16 = 1024;

/// How often the ring is gone through in one DPC before the processor is given back.
const PASSES: usize = 4;

/// A submission and a completion queue, and the requests that the controller has.
pub(crate) struct IoQueue {
    pub(crate) submission: SubmissionQueue<DmaBlock>,
    pub(crate) completion: CompletionQueue<DmaBlock>,
}

/// The requests that the controller has, by command identifier.
pub(crate) type Outstanding = Slots<Srb, { MAX_ENTRIES as usize }>;

/// What draining the completion queue found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Drained {
    /// All there was.
    All,
    /// There may be more: the controller posts as fast as it is drained.
    More,
    /// A completion that no working controller posts: it has to be reset.
    Impossible,
}

impl IoQueue {
    /// Gives a prepared request to the controller, or back to the caller when there is no room.
    pub(crate) fn submit(
        &mut self,
        outstanding: &mut Outstanding,
        srb: Srb,
        registers: &RegisterWindow,
    ) -> Result<(), Srb> {
        let mut command = *srb.command();
        if self.submission.free() == 0 {
            return Err(srb);
        }
        let id = outstanding.issue(srb)?;
        command.cdw0.set_cid(id);
        // There is room, as was just seen.
        let _full = self.submission.write(&command);
        self.submission.commit(registers);
        Ok(())
    }

    /// Takes every completion there is and puts its request on `done`, or on `again` where another command has to follow; one
    /// doorbell write for each pass over the ring.
    pub(crate) fn drain(
        &mut self,
        outstanding: &mut Outstanding,
        registers: &RegisterWindow,
        done: &mut SrbList,
        again: &mut SrbList,
    ) -> Drained {
        for _ in 0..PASSES {
            let mut empty = true;
            for completion in self.completion.by_ref() {
                empty = false;
                let head = self.submission.advance_head(completion.sq_head);
                let request = outstanding.retire(completion.cid);
                if let Ok(mut srb) = request {
                    let succeeded = Status::from(completion.status) == Status::SUCCESS;
                    if succeeded && srb.prepare_next() {
                        again.push(srb, SrbStatus::SUCCESS);
                    } else {
                        finish(srb, &completion, done);
                    }
                } else if request.is_err_and(|error| error == SlotError::Impossible)
                    || head.is_err()
                {
                    return Drained::Impossible;
                }
            }
            self.completion.commit(registers);
            if empty {
                return Drained::All;
            }
        }
        Drained::More
    }
}

/// Turns an NVMe completion into the end of its request.
fn finish(mut srb: Srb, completion: &Completion, done: &mut SrbList) {
    let bytes = srb.command_bytes();
    let status = if srb.function() == SrbFunction::EXECUTE_SCSI {
        end_scsi(&mut srb, scsi::completed(completion.status, bytes))
    } else if Status::from(completion.status) == Status::SUCCESS {
        SrbStatus::SUCCESS
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

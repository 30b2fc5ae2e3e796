//! Creating and deleting I/O queues.

use nvme_spec::command::{
    COMMAND_SHIFT, Command, CreateCompletionQueueCdw11, CreateQueueCdw10,
    CreateSubmissionQueueCdw11, DeleteQueueCdw10,
};
use nvme_spec::completion::{COMPLETION_SHIFT, Completion};
use nvme_spec::feature::NumberOfQueues;
use nvme_spec::status::Status;

use super::{CDW10_BYTE, CDW11_BYTE, aborted};
use crate::bus::Bus;
use crate::controller::Controller;
use crate::failure::{Failure, Outcome, Request, Verdict, ensure};
use crate::queue::{CompletionQueue, Outstanding, Stage, SubmissionQueue};
use crate::rule::Rule;

/// Where PRP1 is in a command.
const PRP1_BYTE: u8 = 24;

/// What there is to know of a queue that is to be created, whichever kind it is.
#[derive(Clone, Copy)]
struct Wanted {
    /// How many queues of its kind there may be.
    granted: u32,
    /// There is such a queue already.
    exists: bool,
    /// CC has the size of its entries.
    entry_size_set: bool,
    /// It is physically contiguous.
    contiguous: bool,
}

impl Controller {
    pub(super) fn create_completion_queue(
        &mut self,
        request: Request<'_>,
        bus: &mut dyn Bus,
    ) -> Verdict {
        let cdw10 = CreateQueueCdw10::from_bits(request.command.cdw10);
        let cdw11 = CreateCompletionQueueCdw11::from_bits(request.command.cdw11);
        self.judge_count(cdw10.qid(), true, bus);
        let wanted = Wanted {
            granted: self.granted(true),
            exists: self.queues.completion.contains_key(&cdw10.qid()),
            entry_size_set: self.registers.cc.iocqes() == COMPLETION_SHIFT,
            contiguous: cdw11.pc(),
        };
        let result = self
            .check_queue(request, wanted)
            .and_then(|()| self.check_vector(cdw11));
        judge_creation("completion", cdw10, result, bus)?;
        self.judge_memory(request.command.prp1, cdw10, size_of::<Completion>(), bus);
        let vector = cdw11.ien().then_some(cdw11.iv());
        let entries = u32::from(cdw10.qsize_z()) + 1;
        let queue = CompletionQueue::new(request.command.prp1, entries, vector);
        self.queues.completion.insert(cdw10.qid(), queue);
        bus.note(format!(
            "I/O completion queue {} of {entries} entries",
            cdw10.qid()
        ));
        Ok(Outcome::Done(0))
    }

    pub(super) fn create_submission_queue(
        &mut self,
        request: Request<'_>,
        bus: &mut dyn Bus,
    ) -> Verdict {
        let cdw10 = CreateQueueCdw10::from_bits(request.command.cdw10);
        let cdw11 = CreateSubmissionQueueCdw11::from_bits(request.command.cdw11);
        self.judge_count(cdw10.qid(), false, bus);
        let wanted = Wanted {
            granted: self.granted(false),
            exists: self.queues.submission.contains_key(&cdw10.qid()),
            entry_size_set: self.registers.cc.iosqes() == COMMAND_SHIFT,
            contiguous: cdw11.pc(),
        };
        let result = self
            .check_queue(request, wanted)
            .and_then(|()| self.check_target(cdw11.cqid()));
        judge_creation("submission", cdw10, result, bus)?;
        self.judge_memory(request.command.prp1, cdw10, size_of::<Command>(), bus);
        let entries = u32::from(cdw10.qsize_z()) + 1;
        let queue = SubmissionQueue::new(request.command.prp1, entries, cdw11.cqid());
        self.queues.submission.insert(cdw10.qid(), queue);
        bus.note(format!(
            "I/O submission queue {} of {entries} entries",
            cdw10.qid()
        ));
        Ok(Outcome::Done(0))
    }

    /// How many I/O queues of a kind there may be.
    fn granted(&self, completion: bool) -> u32 {
        let all = u32::from(self.profile.queues_of(completion));
        let count = |queues: NumberOfQueues| {
            let count_z = if completion {
                queues.ncqr_z()
            } else {
                queues.nsqr_z()
            };
            u32::from(count_z) + 1
        };
        self.features.queues.map_or(all, count)
    }

    fn judge_count(&self, id: u16, completion: bool, bus: &mut dyn Bus) {
        let granted = self.granted(completion);
        let held = match self.features.queues {
            Some(_) => u32::from(id) <= granted,
            // A host that was refused may count on one pair.
            None => self.asked_for_queues && id == 1,
        };
        bus.judge(Rule::QueueCount, held, &|| match self.features.queues {
            None => "an I/O queue is created before Number of Queues is set".to_owned(),
            Some(_) => format!("queue {id} is created, {granted} were granted"),
        });
    }

    /// What the creation of either kind of queue has in common.
    fn check_queue(&self, request: Request<'_>, wanted: Wanted) -> Result<(), Failure> {
        let cdw10 = CreateQueueCdw10::from_bits(request.command.cdw10);
        let numbered = cdw10.qid() != 0 && u32::from(cdw10.qid()) <= wanted.granted;
        ensure(
            numbered && !wanted.exists,
            Failure::field(Status::INVALID_QUEUE_IDENTIFIER, CDW10_BYTE),
        )?;
        let entries = u32::from(cdw10.qsize_z()) + 1;
        ensure(
            (2..=self.profile.queue_entries).contains(&entries) && wanted.entry_size_set,
            Failure::field(Status::INVALID_QUEUE_SIZE, CDW10_BYTE + 2),
        )?;
        ensure(
            wanted.contiguous,
            Failure::field(Status::INVALID_FIELD, CDW11_BYTE),
        )?;
        let base = request.command.prp1;
        ensure(
            base != 0 && base.is_multiple_of(self.registers.page_bytes()),
            Failure::field(Status::PRP_OFFSET_INVALID, PRP1_BYTE),
        )
    }

    /// The memory of a queue is its own: it overlaps that of no other queue.
    fn judge_memory(&self, base: u64, cdw10: CreateQueueCdw10, entry: usize, bus: &mut dyn Bus) {
        let end = base.saturating_add((u64::from(cdw10.qsize_z()) + 1) * entry as u64);
        let queues = self.queue_memory();
        let other = queues
            .iter()
            .find(|&&(other, bytes)| base < other.saturating_add(bytes) && other < end);
        bus.judge(Rule::QueueOverlap, other.is_none(), &|| {
            let id = cdw10.qid();
            format!(
                "queue {id} is created from {base:#x} to {end:#x}, over the queue in {other:x?}"
            )
        });
    }

    /// The vector exists. The INTx line is vector 0.
    fn check_vector(&self, cdw11: CreateCompletionQueueCdw11) -> Result<(), Failure> {
        let vectors = match self.config.msi_messages() {
            Some(messages) => messages,
            None if self.config.uses_msix() => self.profile.messages,
            None => 1,
        };
        ensure(
            !cdw11.ien() || cdw11.iv() < vectors,
            Failure::field(Status::INVALID_INTERRUPT_VECTOR, CDW11_BYTE + 2),
        )
    }

    /// The completion queue of a submission queue exists.
    fn check_target(&self, id: u16) -> Result<(), Failure> {
        let byte = CDW11_BYTE + 2;
        if id > self.profile.queues_of(true) {
            return Err(Failure::field(Status::INVALID_QUEUE_IDENTIFIER, byte));
        }
        ensure(
            id != 0 && self.queues.completion.contains_key(&id),
            Failure::field(Status::COMPLETION_QUEUE_INVALID, byte),
        )
    }

    pub(super) fn delete_completion_queue(
        &mut self,
        request: Request<'_>,
        bus: &mut dyn Bus,
    ) -> Verdict {
        let id = DeleteQueueCdw10::from_bits(request.command.cdw10).qid();
        let exists = id != 0 && self.queues.completion.contains_key(&id);
        judge_deletion(exists, id, "it does not exist", bus)?;
        let used = self
            .queues
            .submission
            .values()
            .any(|queue| queue.completion_queue == id);
        bus.judge(Rule::QueueDeletion, !used, &|| {
            format!("completion queue {id} is deleted before its submission queues")
        });
        if used {
            return Err(Failure::field(Status::INVALID_QUEUE_DELETION, CDW10_BYTE));
        }
        self.queues.completion.remove(&id);
        Ok(Outcome::Done(0))
    }

    /// Commands of the queue that were not completed are aborted; those that are never completed go silently.
    pub(super) fn delete_submission_queue(
        &mut self,
        request: Request<'_>,
        bus: &mut dyn Bus,
    ) -> Verdict {
        let id = DeleteQueueCdw10::from_bits(request.command.cdw10).qid();
        let exists = id != 0 && self.queues.submission.contains_key(&id);
        judge_deletion(exists, id, "it does not exist", bus)?;
        let (gone, kept): (Vec<_>, Vec<_>) = std::mem::take(&mut self.outstanding)
            .into_iter()
            .partition(|command| command.queue == id);
        self.outstanding = kept;
        for command in gone {
            let end = match command.stage {
                Stage::Complete(_, end) | Stage::Gathered(end) => end,
                _ => aborted(Status::ABORTED_SQ_DELETION),
            };
            self.complete(&command, end, bus);
        }
        self.outstanding
            .retain(|command: &Outstanding| command.queue != id);
        self.queues.submission.remove(&id);
        Ok(Outcome::Done(0))
    }
}

fn judge_creation(
    kind: &str,
    cdw10: CreateQueueCdw10,
    result: Result<(), Failure>,
    bus: &mut dyn Bus,
) -> Result<(), Failure> {
    bus.judge(Rule::QueueCreation, result.is_ok(), &|| {
        let status = result.err().map_or("", |failure| failure.status.name());
        format!("{kind} queue {}: {status}", cdw10.qid())
    });
    result
}

fn judge_deletion(held: bool, id: u16, why: &str, bus: &mut dyn Bus) -> Result<(), Failure> {
    bus.judge(Rule::QueueDeletion, held, &|| {
        format!("queue {id} is deleted: {why}")
    });
    ensure(
        held,
        Failure::field(Status::INVALID_QUEUE_IDENTIFIER, CDW10_BYTE),
    )
}

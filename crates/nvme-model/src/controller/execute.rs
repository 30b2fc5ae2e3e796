//! The way of a command: fetched, carried out, completed.

use nvme_spec::command::{AdminOpcode, Command, FeatureCdw10, NvmOpcode, ReadWriteCdw12};
use nvme_spec::completion::Completion;
use nvme_spec::feature::{FeatureId, HostMemoryBufferCdw11};
use nvme_spec::status::Status;
use zerocopy::{FromZeros, IntoBytes};

use super::Controller;
use super::doorbell::FETCH_NS;
use crate::bus::{Access, Bus};
use crate::failure::{Failure, Outcome, Request, Verdict};
use crate::fault::{Injected, Moment, Silence};
use crate::profile::Answer;
use crate::queue::{End, Outstanding, Stage};
use crate::rule::Rule;

/// Most commands that the controller works on; the others stay in their queues.
const OUTSTANDING_MAX: usize = 4096;
/// How long it takes to refuse a command.
const REFUSE_NS: u64 = 1_000;

impl Controller {
    /// Fetches the next entry of a submission queue.
    pub(super) fn fetch(&mut self, id: u16, at_ns: u64, bus: &mut dyn Bus) {
        let room = self.outstanding.len() < OUTSTANDING_MAX;
        let Some(queue) = self.queues.submission.get_mut(&id) else {
            return;
        };
        queue.fetch_ns = None;
        if !room || !queue.waits() {
            return;
        }
        let address = queue.consume();
        queue.fetch_ns = queue.waits().then(|| at_ns.saturating_add(FETCH_NS));
        let mut command = Command::new_zeroed();
        let why = Access::SubmissionEntry { queue: id };
        if bus.read(address, command.as_mut_bytes(), why).is_err() {
            self.fail("a submission queue entry cannot be read", bus);
            return;
        }
        self.accept(id, command, at_ns, bus);
    }

    fn accept(&mut self, queue: u16, command: Command, at_ns: u64, bus: &mut dyn Bus) {
        let cid = command.cdw0.cid();
        let unique = !self
            .outstanding
            .iter()
            .any(|other| (other.queue, other.cid) == (queue, cid));
        bus.judge(Rule::CommandIdentifier, unique, &|| {
            format!("identifier {cid:#x} is in use in submission queue {queue}")
        });
        let injected = self.faults.command(queue, &command, at_ns);
        self.asked_for_queues |= queue == 0 && asks_for_queues(&command);
        let stage = if unique {
            let latency = self
                .latency_ns(queue, &command)
                .saturating_add(injected.delay_ns);
            let due = at_ns.saturating_add(latency);
            Stage::Execute(due, Box::new(command))
        } else {
            let failure = Failure::from(Status::COMMAND_ID_CONFLICT);
            let request = Request {
                queue,
                command: &command,
            };
            let end = self.end(request, Err(failure));
            Stage::Complete(Some(at_ns.saturating_add(REFUSE_NS)), end)
        };
        self.outstanding.push(Outstanding {
            queue,
            cid,
            opcode: command.cdw0.opcode(),
            stage,
            injected,
        });
    }

    /// How long a command takes: different for each, so that completions overtake one another.
    fn latency_ns(&self, queue: u16, command: &Command) -> u64 {
        if queue == 0 {
            let late = self.profile.disable == Answer::Late && is_hmb_disable(command);
            return if late { self.profile.late_ns } else { 20_000 };
        }
        let blocks = u64::from(ReadWriteCdw12::from_bits(command.cdw12).nlb_z()) + 1;
        let transfer = blocks * u64::from(self.profile.block_bytes) / 4;
        let spread = u64::from(command.cdw10.wrapping_mul(0x9E37_79B9) >> 20) * 10;
        match NvmOpcode(command.cdw0.opcode()) {
            NvmOpcode::READ | NvmOpcode::COMPARE => 60_000 + transfer + spread,
            NvmOpcode::WRITE => 15_000 + transfer + spread,
            _ => 100_000,
        }
    }

    /// The next step of an outstanding command is due.
    pub(super) fn proceed(&mut self, index: usize, at_ns: u64, bus: &mut dyn Bus) {
        let command = self.outstanding.remove(index);
        let starts = matches!(command.stage, Stage::Execute(..));
        if starts && self.dies_of_command(&command, bus) {
            return;
        }
        match command.stage.clone() {
            Stage::Execute(_, entry) => {
                let lent = self.hmb.times_enabled();
                self.execute(command, &entry, at_ns, bus);
                if self.hmb.times_enabled() != lent {
                    self.moment(Moment::Lend, at_ns, bus);
                }
            }
            Stage::Complete(_, end) => self.complete(&command, end, bus),
            Stage::Gathered(_) | Stage::Held | Stage::Lost => {}
        }
        self.resume_fetching(at_ns);
    }

    fn execute(
        &mut self,
        mut command: Outstanding,
        entry: &Command,
        at_ns: u64,
        bus: &mut dyn Bus,
    ) {
        let request = Request {
            queue: command.queue,
            command: entry,
        };
        let verdict = self.carry_out(request, command.injected, at_ns, bus);
        command.stage = match verdict {
            Ok(Outcome::Held) => Stage::Held,
            Ok(Outcome::Lost) => Stage::Lost,
            Ok(Outcome::Later(ns)) => {
                Stage::Complete(Some(at_ns.saturating_add(ns)), self.end(request, verdict))
            }
            Ok(Outcome::Done(_)) | Err(_) => {
                let end = self.end(request, verdict);
                return self.complete_in_group(command, end, bus);
            }
        };
        let held = matches!(command.stage, Stage::Held);
        self.outstanding.push(command);
        if held {
            self.deliver_events(at_ns);
        }
    }

    /// Carries the command out, as far as its faults let it.
    fn carry_out(
        &mut self,
        request: Request<'_>,
        injected: Injected,
        at_ns: u64,
        bus: &mut dyn Bus,
    ) -> Verdict {
        if injected.silence == Some(Silence::Lost) {
            return Ok(Outcome::Lost);
        }
        if let Some(status) = injected.status {
            return Err(Failure::transient(status));
        }
        let mut bus = injected.bus(bus);
        let verdict = match request.queue {
            0 => self.admin(request, at_ns, &mut bus),
            _ => self.nvm(request, &mut bus),
        };
        match injected.silence {
            Some(_) => Ok(Outcome::Lost),
            None => verdict,
        }
    }

    /// How the command ends; an error is logged.
    fn end(&mut self, request: Request<'_>, verdict: Verdict) -> End {
        match verdict {
            Ok(outcome) => End {
                status: Status::SUCCESS,
                do_not_retry: false,
                more: false,
                dw0: if let Outcome::Done(dw0) = outcome {
                    dw0
                } else {
                    0
                },
            },
            Err(failure) => {
                self.logs.add_error(request, failure);
                End {
                    status: failure.status,
                    do_not_retry: failure.do_not_retry,
                    more: true,
                    dw0: 0,
                }
            }
        }
    }

    /// Posts a completion and interrupts, or keeps it until its queue has room.
    pub(crate) fn complete(&mut self, command: &Outstanding, end: End, bus: &mut dyn Bus) {
        if let Some(vector) = self.post(command, end, bus) {
            self.interrupt(vector, bus);
        }
        if command.injected.twice {
            let command = Outstanding {
                stage: Stage::Lost,
                injected: command.injected.once(),
                ..*command
            };
            self.complete(&command, end, bus);
        }
    }

    /// Posts a completion, or keeps it until its queue has room; the vector to interrupt with.
    pub(super) fn post(
        &mut self,
        command: &Outstanding,
        end: End,
        bus: &mut dyn Bus,
    ) -> Option<u16> {
        let submission = self.queues.submission.get_mut(&command.queue)?;
        let id = submission.completion_queue;
        let queue = self.queues.completion.get_mut(&id)?;
        if queue.is_full() {
            let stage = Stage::Complete(None, end);
            self.outstanding.push(Outstanding { stage, ..*command });
            return None;
        }
        let (address, phase) = queue.produce();
        let vector = queue.vector;
        let status = end.status.into_field().with_do_not_retry(end.do_not_retry);
        let entry = Completion {
            dw0: end.dw0,
            dw1: 0,
            sq_head: submission.report_head(),
            sq_id: command.queue,
            cid: command.cid,
            status: status.with_more(end.more).with_phase(phase),
        };
        let why = Access::CompletionEntry { queue: id };
        let entry = command.injected.damage(entry);
        if bus.write(address, entry.as_bytes(), why).is_err() {
            self.fail("a completion cannot be posted", bus);
            return None;
        }
        vector
    }

    /// Queues whose entries were left because the controller was full are fetched again.
    fn resume_fetching(&mut self, at_ns: u64) {
        if self.outstanding.len() < OUTSTANDING_MAX {
            for queue in self.queues.submission.values_mut() {
                if queue.waits() && queue.fetch_ns.is_none() {
                    queue.fetch_ns = Some(at_ns.saturating_add(FETCH_NS));
                }
            }
        }
    }
}

/// The command sets Number of Queues.
fn asks_for_queues(command: &Command) -> bool {
    AdminOpcode(command.cdw0.opcode()) == AdminOpcode::SET_FEATURES
        && FeatureCdw10::from_bits(command.cdw10).fid() == FeatureId::NUMBER_OF_QUEUES
}

/// The command takes host memory back.
fn is_hmb_disable(command: &Command) -> bool {
    AdminOpcode(command.cdw0.opcode()) == AdminOpcode::SET_FEATURES
        && FeatureCdw10::from_bits(command.cdw10).fid() == FeatureId::HOST_MEMORY_BUFFER
        && !HostMemoryBufferCdw11::from_bits(command.cdw11).ehm()
}

//! Admin commands.

mod features;
mod identify;
mod log_page;
mod queues;

use nvme_spec::command::{AbortCdw10, AdminOpcode};
use nvme_spec::status::Status;

use crate::bus::Bus;
use crate::command::{self, ADMIN};
use crate::controller::Controller;
use crate::failure::{Failure, Outcome, Request, Verdict, ensure};
use crate::prp;
use crate::queue::{End, Stage};
use crate::rule::Rule;

/// Most Abort commands at a time, zero-based.
const ABORTS_Z: u8 = 3;

/// Where dwords 10 to 15 are in a command.
const CDW10_BYTE: u8 = 40;
const CDW11_BYTE: u8 = 44;
const CDW12_BYTE: u8 = 48;

impl Controller {
    /// Carries out an admin command.
    pub(crate) fn admin(&mut self, request: Request<'_>, at_ns: u64, bus: &mut dyn Bus) -> Verdict {
        if command::look_up(ADMIN, request, bus).is_none() {
            return Err(Failure::field(Status::INVALID_OPCODE, 0));
        }
        if request.command.cdw0.fuse() != 0 {
            return Err(Failure::field(Status::INVALID_FIELD, 1));
        }
        match AdminOpcode(request.command.cdw0.opcode()) {
            AdminOpcode::CREATE_COMPLETION_QUEUE => self.create_completion_queue(request, bus),
            AdminOpcode::CREATE_SUBMISSION_QUEUE => self.create_submission_queue(request, bus),
            AdminOpcode::DELETE_COMPLETION_QUEUE => self.delete_completion_queue(request, bus),
            AdminOpcode::DELETE_SUBMISSION_QUEUE => self.delete_submission_queue(request, bus),
            AdminOpcode::IDENTIFY => self.identify(request, bus),
            AdminOpcode::GET_LOG_PAGE => self.get_log_page(request, at_ns, bus),
            AdminOpcode::SET_FEATURES => self.set_features(request, at_ns, bus),
            AdminOpcode::GET_FEATURES => self.get_features(request, bus),
            AdminOpcode::ABORT => self.abort(request, at_ns, bus),
            _ => self.hold_event_request(bus),
        }
    }

    /// Writes the data of an admin command to host memory.
    fn send(&self, request: Request<'_>, data: &[u8], bus: &mut dyn Bus) -> Verdict {
        let bytes = data.len() as u64;
        let segments = prp::segments(request, bytes, self.registers.page_bytes(), bus)?;
        prp::scatter(request, &segments, data, bus)?;
        Ok(Outcome::Done(0))
    }

    fn hold_event_request(&mut self, bus: &mut dyn Bus) -> Verdict {
        let held = self
            .outstanding
            .iter()
            .filter(|command| matches!(command.stage, Stage::Held))
            .count();
        let most = usize::from(self.profile.event_requests);
        bus.judge(Rule::EventRequestLimit, held < most, &|| {
            format!("{held} Asynchronous Event Requests are outstanding already")
        });
        ensure(
            held < most,
            Status::ASYNC_EVENT_REQUEST_LIMIT_EXCEEDED.into(),
        )?;
        Ok(Outcome::Held)
    }

    /// Ends a command that was not carried out yet, or a request that is held. Bit 0 of dword 0 says that nothing was
    /// aborted.
    fn abort(&mut self, request: Request<'_>, at_ns: u64, bus: &mut dyn Bus) -> Verdict {
        let others = self
            .outstanding
            .iter()
            .filter(|command| command.queue == 0 && command.opcode == AdminOpcode::ABORT.0)
            .count();
        let allowed = others <= usize::from(ABORTS_Z);
        bus.judge(Rule::AbortLimit, allowed, &|| {
            format!("{others} other Abort commands are outstanding")
        });
        ensure(
            allowed,
            Failure::transient(Status::ABORT_COMMAND_LIMIT_EXCEEDED),
        )?;
        let wanted = AbortCdw10::from_bits(request.command.cdw10);
        let found = self.outstanding.iter_mut().find(|command| {
            (command.queue, command.cid) == (wanted.sqid(), wanted.cid())
                && matches!(command.stage, Stage::Execute(..) | Stage::Held)
        });
        let Some(command) = found else {
            return Ok(Outcome::Done(1));
        };
        let end = aborted(Status::ABORT_REQUESTED);
        command.stage = Stage::Complete(Some(at_ns), end);
        Ok(Outcome::Done(0))
    }
}

/// How a command ends that was never carried out.
fn aborted(status: Status) -> End {
    End {
        status,
        do_not_retry: false,
        more: false,
        dw0: 0,
    }
}

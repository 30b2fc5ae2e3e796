//! The tasks that are admin commands: what is sent, and what follows from the answer.

use core::mem::offset_of;

use nvme_spec::async_event::AsyncEventDw0;
use nvme_spec::command::{AdminOpcode, Command, CommandDword0};
use nvme_spec::completion::Completion;
use nvme_spec::feature::{NumberOfQueues, VolatileWriteCache};
use nvme_spec::log::{CriticalWarning, LogPageId, SmartHealthInformation};
use nvme_spec::status::Status;

use super::namespaces::Scan;
use super::optional::left_out;
use super::{
    Controller, Event, Failure, Inventory, MAX_EVENT_REQUESTS, MAX_QUEUE_PAIRS, Progress, Task,
    Unsupported, WriteCache,
};
use crate::identify::{ControllerInfo, NamespaceInfo};
use crate::pair::Taken;
use crate::{DmaMemory, Instant, PAGE_BYTES, Registers};

/// A task that is one admin command. Queues are named by their identifiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AdminTask {
    IdentifyController,
    /// Identify Controller of the NVM Command Set: how much one Verify command covers.
    IdentifyNvm,
    ListNamespaces,
    IdentifyNamespace(Scan),
    NamespaceDescriptors(Scan),
    RequestQueues,
    CreateCompletionQueue(u16),
    CreateSubmissionQueue(u16),
    ReadWriteCache,
    ReadHealth,
    ConfigureEvents,
    EnableHmb,
    /// After an enabling command that failed with this status, which does not say whether it was executed: the disabling
    /// command that ends this lending.
    WithdrawHmb(Option<u32>, Status),
    /// Its success ends the lending with this number; see [`super::lending::Lending::to_end`].
    DisableHmb(Option<u32>),
    DeleteSubmissionQueue(u16),
    DeleteCompletionQueue(u16),
}

impl AdminTask {
    const fn opcode(self) -> AdminOpcode {
        match self {
            Self::IdentifyController
            | Self::IdentifyNvm
            | Self::ListNamespaces
            | Self::IdentifyNamespace(_)
            | Self::NamespaceDescriptors(_) => AdminOpcode::IDENTIFY,
            Self::RequestQueues
            | Self::ConfigureEvents
            | Self::EnableHmb
            | Self::WithdrawHmb(..)
            | Self::DisableHmb(_) => AdminOpcode::SET_FEATURES,
            Self::ReadWriteCache => AdminOpcode::GET_FEATURES,
            Self::ReadHealth => AdminOpcode::GET_LOG_PAGE,
            Self::CreateCompletionQueue(_) => AdminOpcode::CREATE_COMPLETION_QUEUE,
            Self::CreateSubmissionQueue(_) => AdminOpcode::CREATE_SUBMISSION_QUEUE,
            Self::DeleteSubmissionQueue(_) => AdminOpcode::DELETE_SUBMISSION_QUEUE,
            Self::DeleteCompletionQueue(_) => AdminOpcode::DELETE_COMPLETION_QUEUE,
        }
    }

    /// Whether its answer comes into the data page.
    const fn uses_data(self) -> bool {
        matches!(
            self.opcode(),
            AdminOpcode::IDENTIFY | AdminOpcode::GET_LOG_PAGE
        )
    }
}

/// What an outstanding admin command is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    AsyncEvent,
    /// A log page is read because an event named it.
    EventLog,
    Task(AdminTask),
}

impl<D: DmaMemory> Controller<D> {
    /// Sends the task's command, waits for its answer, and goes on with what follows.
    pub(super) fn admin(
        &mut self,
        task: AdminTask,
        registers: &impl Registers,
        inventory: &mut Inventory,
        now: Instant,
    ) -> Result<Progress, Failure> {
        if self.pending.is_none() && self.leaves_out(task) {
            return self.answered(task, &left_out(), registers, inventory, now);
        }
        if let Some(answer) = self.answer.take() {
            return self.answered(task, &answer, registers, inventory, now);
        }
        let deadline = if self.pending.is_some() {
            self.deadline
        } else {
            self.goal_deadline
        };
        if now < deadline {
            if self.pending.is_none() {
                self.send_task(task, registers, inventory, now)?;
            }
            return Ok(self.poll(now));
        }
        match task {
            // A controller that does not answer is shut down without its queues being deleted.
            AdminTask::DeleteSubmissionQueue(_) | AdminTask::DeleteCompletionQueue(_) => {
                Ok(self.then(Task::NotifyShutdown, now))
            }
            _ => {
                self.unanswered.add(task);
                Err(Failure::TimedOut(task.opcode()))
            }
        }
    }

    fn send_task(
        &mut self,
        task: AdminTask,
        registers: &impl Registers,
        inventory: &Inventory,
        now: Instant,
    ) -> Result<(), Failure> {
        let command = self.command(task, inventory)?;
        if command.prp1 == self.data.address() {
            if self.event_logs.is_reading() {
                // The page is in use.
                return Ok(());
            }
            self.clear_data();
        }
        match task {
            AdminTask::EnableHmb => self.lending.enable_sent(),
            AdminTask::CreateCompletionQueue(_) => self.unpaired = true,
            _ => {}
        }
        self.pending = Some(self.send(Purpose::Task(task), command)?);
        self.queues.ring(registers);
        self.since = now;
        self.deadline = now
            .after_us(self.settings.command_us)
            .min(self.goal_deadline);
        Ok(())
    }

    /// What an earlier command left in the data page is not taken for the answer to the next one.
    fn clear_data(&self) {
        const PART: [u8; 64] = [0; 64];
        for offset in (0..PAGE_BYTES as usize).step_by(PART.len()) {
            self.data.write(offset, &PART);
        }
    }

    /// Takes what the controller posted in the admin completion queue, sends new event requests for those that came back, and
    /// reads the log pages that their events named.
    pub(super) fn serve(
        &mut self,
        registers: &impl Registers,
        now: Instant,
    ) -> Result<(), Failure> {
        while let Some(taken) = self.queues.take().map_err(Failure::Impossible)? {
            if let Taken::Command(purpose, completion) = taken {
                self.accept(purpose, &completion);
            }
        }
        self.queues.give_back(registers);
        self.read_event_log(now)?;
        self.request_events()?;
        self.queues.ring(registers);
        Ok(())
    }

    /// The admin completion queue holds an entry that no controller can post: it may be the answer to the present task's command,
    /// which is left out from now on if it is optional.
    pub(super) fn doubt_task(&mut self, failure: Failure) {
        let awaits = self.pending.is_some() && self.answer.is_none();
        if let (Failure::Impossible(_), Task::Admin(task), true) = (failure, self.task, awaits) {
            self.unanswered.add(task);
        }
    }

    /// Puts a command into the queue and returns its identifier.
    fn send(&mut self, purpose: Purpose, command: Command) -> Result<u16, Failure> {
        let opcode = match purpose {
            Purpose::AsyncEvent => AdminOpcode::ASYNC_EVENT_REQUEST,
            Purpose::EventLog => AdminOpcode::GET_LOG_PAGE,
            Purpose::Task(task) => task.opcode(),
        };
        let cdw0 = CommandDword0::new().with_opcode(opcode.0);
        let command = Command { cdw0, ..command };
        self.queues
            .send(purpose, |_, entry| entry.write(&command))
            .map_err(|_| Failure::Full)
    }

    fn accept(&mut self, purpose: Purpose, completion: &Completion) {
        let status = Status::from(completion.status);
        match purpose {
            Purpose::AsyncEvent => self.accept_event(completion, status),
            Purpose::EventLog => {
                if let Some(page) = self.event_logs.read() {
                    self.event_log_read(page, status);
                }
            }
            Purpose::Task(task) => self.accept_task(task, completion, status),
        }
    }

    fn accept_event(&mut self, completion: &Completion, status: Status) {
        self.requests = self.requests.saturating_sub(1);
        if status.is_success() {
            let event = AsyncEventDw0::from(completion.dw0);
            self.events.push(Event::Async(event));
            self.event_logs.want(event.log_page());
        } else {
            // A controller that refuses a request would refuse the next one too.
            self.requests_wanted = self.requests_wanted.min(self.requests);
        }
    }

    fn accept_task(&mut self, task: AdminTask, completion: &Completion, status: Status) {
        match task {
            AdminTask::EnableHmb => self.lending.enable_answered(status),
            AdminTask::WithdrawHmb(ends, _) | AdminTask::DisableHmb(ends) => {
                self.lending.disable_answered(ends, status);
            }
            _ => {}
        }
        if self.pending == Some(completion.cid) {
            self.answer = Some(*completion);
        } else {
            self.events.push(Event::Late(task.opcode(), status));
        }
    }

    fn request_events(&mut self) -> Result<(), Failure> {
        let held = self.event_logs.held_requests();
        while self.requests.saturating_add(held) < self.requests_wanted {
            self.send(Purpose::AsyncEvent, Command::default())?;
            self.requests = self.requests.saturating_add(1);
        }
        Ok(())
    }

    /// Reads the next log page that an event named, which lets the controller report events of that type again. It takes no
    /// part in a goal, and waits where a command of a goal uses the data page.
    fn read_event_log(&mut self, now: Instant) -> Result<(), Failure> {
        if let Some(page) = self.event_logs.overdue(now) {
            self.unanswered.add_page(page);
            return Err(Failure::TimedOut(AdminOpcode::GET_LOG_PAGE));
        }
        if matches!(self.task, Task::Admin(task) if task.uses_data()) {
            return Ok(());
        }
        let deadline = now.after_us(self.settings.command_us);
        while let Some(page) = self.event_logs.next(now, deadline) {
            if self.unanswered.contains_page(page) {
                self.event_logs.read();
                self.event_log_read(page, Status::INVALID_LOG_PAGE);
                continue;
            }
            self.clear_data();
            self.send(Purpose::EventLog, self.get_log_page(page))?;
        }
        Ok(())
    }

    /// A log page that an event named was read, or could not be. The list of changed namespaces is not looked at: it may be cut
    /// short, so that all of them are identified again.
    fn event_log_read(&mut self, page: LogPageId, status: Status) {
        match page {
            LogPageId::CHANGED_NAMESPACES => self.told.namespaces_changed = true,
            LogPageId::SMART_HEALTH if status.is_success() => self.read_health(),
            _ => {}
        }
    }

    /// Takes what SMART / Health Information at the start of the data page says of the media.
    fn read_health(&mut self) {
        let mut warning = [0];
        self.data.read(
            offset_of!(SmartHealthInformation, critical_warning),
            &mut warning,
        );
        let [warning] = warning;
        self.told.read_only = CriticalWarning::from(warning).read_only();
    }

    /// Whether a command is not sent: the controller does not answer it, or does not have it.
    fn leaves_out(&self, task: AdminTask) -> bool {
        self.unanswered.contains(task) || task == AdminTask::ListNamespaces && !self.has_list()
    }

    /// Takes the answer to a task's command and goes on with what follows.
    fn answered(
        &mut self,
        task: AdminTask,
        answer: &Completion,
        registers: &impl Registers,
        inventory: &mut Inventory,
        now: Instant,
    ) -> Result<Progress, Failure> {
        let status = Status::from(answer.status);
        let refused = if status.is_success() {
            Ok(())
        } else {
            Err(Failure::Refused(task.opcode(), status))
        };
        let next = match task {
            AdminTask::IdentifyController => {
                refused?;
                let limit = self.settings.max_transfer_bytes;
                let info = ControllerInfo::read(&self.data, limit);
                self.info = Some(info.map_err(|_| Failure::Unsupported(Unsupported::EntrySizes))?);
                Some(self.first_after_controller())
            }
            AdminTask::IdentifyNvm => {
                // Without an answer there is no limit, as before version 2.0.
                if let (Ok(()), Some(info)) = (refused, &mut self.info) {
                    info.read_nvm(&self.data);
                }
                Some(AdminTask::ListNamespaces)
            }
            AdminTask::ListNamespaces => self.listed(refused.is_ok(), inventory),
            AdminTask::IdentifyNamespace(scan) => {
                let found = refused
                    .ok()
                    .and_then(|()| NamespaceInfo::read(&self.data, scan.nsid));
                self.found(scan, found, inventory)
            }
            AdminTask::NamespaceDescriptors(scan) => {
                if refused.is_ok()
                    && let Some(namespace) = inventory.namespaces.last_mut()
                {
                    namespace.read_descriptors(&self.data);
                }
                self.search(scan, inventory)
            }
            AdminTask::RequestQueues => {
                // Without an answer there is one pair, which every controller has.
                let queues = refused.map_or(0, |()| answer.dw0);
                self.allocated(NumberOfQueues::from(queues));
                Some(AdminTask::CreateCompletionQueue(1))
            }
            AdminTask::CreateCompletionQueue(id) => {
                refused?;
                Some(AdminTask::CreateSubmissionQueue(id))
            }
            AdminTask::CreateSubmissionQueue(id) => {
                refused?;
                self.pairs = id;
                self.unpaired = false;
                Some(self.created(id))
            }
            AdminTask::ReadWriteCache => {
                let cache = VolatileWriteCache::from(answer.dw0);
                self.write_cache = match refused {
                    Ok(()) if !cache.wce() => WriteCache::Disabled,
                    _ => WriteCache::Enabled,
                };
                Some(AdminTask::ReadHealth)
            }
            AdminTask::ReadHealth => {
                if refused.is_ok() {
                    self.read_health();
                }
                Some(AdminTask::ConfigureEvents)
            }
            AdminTask::ConfigureEvents => {
                self.hold_events(registers)?;
                None
            }
            AdminTask::EnableHmb if refused.is_err() => {
                Some(AdminTask::WithdrawHmb(self.lending.to_end(), status))
            }
            // Whether the memory is back or not: it was not lent as asked for.
            AdminTask::WithdrawHmb(_, refusal) => {
                return Err(Failure::Refused(task.opcode(), refusal));
            }
            AdminTask::EnableHmb | AdminTask::DisableHmb(_) => {
                refused?;
                None
            }
            // A queue that is still there keeps its completion queue: none of the others is deleted, and the shutdown goes on.
            AdminTask::DeleteSubmissionQueue(_) | AdminTask::DeleteCompletionQueue(_)
                if refused.is_err() =>
            {
                return Ok(self.then(Task::NotifyShutdown, now));
            }
            AdminTask::DeleteSubmissionQueue(id) => Some(match id {
                2.. => AdminTask::DeleteSubmissionQueue(id.wrapping_sub(1)),
                _ => AdminTask::DeleteCompletionQueue(self.pairs),
            }),
            AdminTask::DeleteCompletionQueue(id @ 2..) => {
                Some(AdminTask::DeleteCompletionQueue(id.wrapping_sub(1)))
            }
            AdminTask::DeleteCompletionQueue(_) => {
                self.pairs = 0;
                return Ok(self.then(Task::NotifyShutdown, now));
            }
        };
        Ok(match next {
            Some(task) => self.then(Task::Admin(task), now),
            None => self.finish(now),
        })
    }

    /// Takes how many queues the controller allocated: it may be fewer than were asked for.
    fn allocated(&mut self, queues: NumberOfQueues) {
        let pairs = queues.nsqr_z().min(queues.ncqr_z()).saturating_add(1);
        self.pairs_wanted = self.pairs_wanted.min(pairs).min(MAX_QUEUE_PAIRS as u16);
    }

    /// What follows the creation of queue pair `id`.
    fn created(&mut self, id: u16) -> AdminTask {
        if id < self.pairs_wanted {
            return AdminTask::CreateCompletionQueue(id.saturating_add(1));
        }
        let cached = self.info.as_ref().is_some_and(|info| info.vwc.present());
        self.write_cache = WriteCache::Absent;
        if cached {
            AdminTask::ReadWriteCache
        } else {
            AdminTask::ReadHealth
        }
    }

    /// Gives the controller as many event requests as it takes, up to a few.
    fn hold_events(&mut self, registers: &impl Registers) -> Result<(), Failure> {
        let limit = self.info.as_ref().map_or(0, |info| info.aerl_z);
        self.requests_wanted = limit.saturating_add(1).min(MAX_EVENT_REQUESTS);
        self.request_events()?;
        self.queues.ring(registers);
        Ok(())
    }
}

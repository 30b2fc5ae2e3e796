//! The tasks that work on registers: stop, enable, shut down (3.5.1, 3.6).

use nvme_spec::command::COMMAND_SHIFT;
use nvme_spec::completion::COMPLETION_SHIFT;
use nvme_spec::registers::{
    ACQ, AQA, ASQ, AdminQueueAttributes, CAP, CC, CRTO, Capabilities, CommandSetSelected,
    ControllerConfiguration, ControllerStatus, ReadyTimeouts, ShutdownNotification, ShutdownStatus,
    VS, Version,
};

use super::admin::AdminTask;
use super::events::EventLogs;
use super::{
    ADMIN_ENTRIES, Controller, Failure, Goal, Progress, Shutdown, Task, Unsupported, VERSION_2_0,
};
use crate::{DmaMemory, Instant, Registers};

/// The unit of CAP.TO in microseconds.
const READY_UNIT_US: u64 = 500_000;
/// The longest that CAP.TO can say, 127.5 s.
const READY_UNITS_MOST: u16 = 255;
/// The least time that shutdown processing is given, as 3.6.1 recommends.
const SHUTDOWN_LEAST_US: u64 = 1_000_000;

/// What is known of whether the controller was reset.
#[derive(Debug, Default)]
pub(super) struct ResetProof {
    /// EN = 1 was written after the controller showed last that it was reset: it may use whatever it was told of.
    exposed: bool,
    /// It was `exposed` when EN = 1 was written last, so that RDY = 1 is the first sign of a reset.
    unproven: bool,
    /// RDY = 1 was seen since the present attempt to stop began.
    was_ready: bool,
}

impl ResetProof {
    pub(super) const fn is_exposed(&self) -> bool {
        self.exposed
    }
}

impl<D: DmaMemory> Controller<D> {
    /// Reads CAP and VS, which may have changed with a firmware activation.
    pub(super) fn attach(
        &mut self,
        registers: &impl Registers,
        now: Instant,
    ) -> Result<Progress, Failure> {
        let version = registers.read32(VS);
        if version == u32::MAX {
            return self.absent(now);
        }
        self.version = Version::from(version);
        if self.read_capabilities(registers).is_none() {
            return self.absent(now);
        }
        Ok(self.then(Task::Stop, now))
    }

    /// Reads CAP, and CRTO where version and CAP.CRMS say that it exists (3.1.3.1, 3.1.3.21). `None` where they read as all ones.
    fn read_capabilities(&mut self, registers: &impl Registers) -> Option<()> {
        let capabilities = registers.read64(CAP);
        if capabilities == u64::MAX {
            return None;
        }
        self.capabilities = Capabilities::from(capabilities);
        self.ready_units = 0;
        if self.version >= VERSION_2_0 && self.capabilities.crwms() {
            let timeouts = registers.read32(CRTO);
            if timeouts == u32::MAX {
                return None;
            }
            self.ready_units = ReadyTimeouts::from(timeouts).crwmt();
        }
        Some(())
    }

    /// Why this driver cannot use a controller with these capabilities.
    const fn unsupported(&self) -> Option<Unsupported> {
        if self.capabilities.mpsmin() != 0 {
            Some(Unsupported::PageSize)
        } else if !self.capabilities.css_nvm() {
            Some(Unsupported::CommandSet)
        } else if self.capabilities.mqes_z() == 0 {
            Some(Unsupported::QueueSize)
        } else {
            None
        }
    }

    /// Refuses a controller that this driver cannot use. The refusal is for good, so CAP is read once more before it.
    fn check_capabilities(&mut self, registers: &impl Registers) -> Result<(), Failure> {
        if self.unsupported().is_some() {
            // A read of all ones leaves what CAP said before.
            let _ = self.read_capabilities(registers);
        }
        self.unsupported()
            .map_or(Ok(()), |why| Err(Failure::Unsupported(why)))
    }

    /// Clears CC.EN. With RDY = 0 that is undefined while the controller is starting, so that is waited for, but not
    /// longer than the start may take; one with a fatal status never gets ready.
    pub(super) fn stop(
        &mut self,
        registers: &impl Registers,
        status: ControllerStatus,
        now: Instant,
    ) -> Result<Progress, Failure> {
        let Some(configuration) = read_configuration(registers) else {
            return self.absent(now);
        };
        if configuration.en() {
            if !status.rdy() && !status.cfs() && now < self.deadline {
                return Ok(self.poll(now));
            }
            registers.write32(CC, configuration.with_en(false).into());
            self.quiet_until = now.after_us(self.settings.ready_delay_us);
        }
        self.reset.was_ready = status.rdy();
        // Whether or not RDY follows: it takes no commands any more.
        self.live = false;
        // The deadline counts from when registers are read again.
        Ok(self.then(Task::AwaitNotReady, now.max(self.quiet_until)))
    }

    /// Waits for CSTS.RDY = 0. It shows that the controller was reset where RDY was 1 before, and CFS went with it (3.1.3.6,
    /// 3.7.2). Where RDY was 0 already it says nothing: firmware that does not look at CC any more reads the same. Then EN = 0
    /// is held for as long as a reset may take, and RDY has to become 1 after the next EN = 1.
    pub(super) fn await_not_ready(
        &mut self,
        registers: &impl Registers,
        status: ControllerStatus,
        now: Instant,
    ) -> Result<Progress, Failure> {
        if status.rdy() {
            self.reset.was_ready = true;
            return if now < self.deadline {
                Ok(self.poll(now))
            } else {
                Err(Failure::StillReady)
            };
        }
        if self.reset.exposed && (!self.reset.was_ready || status.cfs()) {
            return if now < self.deadline {
                Ok(self.poll(now))
            } else {
                self.enable(registers, now)
            };
        }
        self.forget();
        match self.goal {
            Some(Goal::Identify | Goal::Reset) => self.enable(registers, now),
            _ if self.shutdown_missed => Err(Failure::NotShutDown),
            _ => Ok(self.finish(now)),
        }
    }

    /// Configures and enables a controller that is not ready. One that has not shown that it was reset does so by RDY = 1.
    fn enable(&mut self, registers: &impl Registers, now: Instant) -> Result<Progress, Failure> {
        self.check_capabilities(registers)?;
        let attributes = AdminQueueAttributes::new()
            .with_asqs_z(ADMIN_ENTRIES - 1)
            .with_acqs_z(ADMIN_ENTRIES - 1);
        registers.write32(AQA, attributes.into());
        let queues = self.queues.memory(0).unwrap_or_default();
        registers.write64(ASQ, queues.submission_address);
        registers.write64(ACQ, queues.completion_address);
        let configuration = ControllerConfiguration::new()
            .with_css(CommandSetSelected::NVM)
            .with_shn(ShutdownNotification::NONE)
            .with_iosqes(COMMAND_SHIFT)
            .with_iocqes(COMPLETION_SHIFT);
        // The fields may only change while EN is 0: they are set before it is.
        registers.write32(CC, configuration.into());
        // What the controller can do, and how long it takes, may depend on what was selected.
        if self.read_capabilities(registers).is_none() {
            return self.absent(now);
        }
        self.check_capabilities(registers)?;
        let dstrd = self.capabilities.dstrd();
        self.queues.reset(dstrd);
        self.reset.unproven = self.reset.exposed;
        self.reset.exposed = true;
        registers.write32(CC, configuration.with_en(true).into());
        self.enter(Task::AwaitReady, now);
        Ok(self.poll(now))
    }

    pub(super) fn await_ready(
        &mut self,
        registers: &impl Registers,
        status: ControllerStatus,
        now: Instant,
    ) -> Result<Progress, Failure> {
        let starts = matches!(self.goal, Some(Goal::Identify | Goal::Reset));
        let failure = if status.cfs() {
            Some(Failure::Fatal)
        } else if status.rdy() {
            None
        } else if now < self.deadline {
            return Ok(self.poll(now));
        } else {
            Some(Failure::NotReady)
        };
        if let Some(failure) = failure {
            if !self.reset.unproven {
                return Err(failure);
            }
            // Enabling it was to show that it was reset.
            let Some(configuration) = read_configuration(registers) else {
                return self.absent(now);
            };
            registers.write32(CC, configuration.with_en(false).into());
            return Err(Failure::NoReset);
        }
        if self.reset.unproven {
            self.forget();
            self.reset.exposed = true;
        }
        if !starts {
            return Ok(self.then(Task::Stop, now));
        }
        self.live = true;
        self.goal_deadline = now.after_us(self.settings.goal_us);
        if self.goal == Some(Goal::Identify) {
            self.info = None;
            return Ok(self.then(Task::Admin(AdminTask::IdentifyController), now));
        }
        Ok(self.finish(now))
    }

    /// A controller with a fatal status only gets out of it by a reset, which a shutdown ends with. Until then it is given no
    /// command, whatever CSTS says later: firmware that starts again by itself would fetch the old ones.
    pub(super) fn fatal(&mut self, now: Instant) -> Result<Progress, Failure> {
        self.live = false;
        if matches!(self.goal, Some(Goal::Shutdown(_))) {
            return Ok(self.then(Task::Attach, now));
        }
        Err(Failure::Fatal)
    }

    /// Where a shutdown starts: with the I/O queues, when there is time for them; a controller that is not enabled
    /// has nothing to shut down.
    pub(super) const fn first_of_shutdown(&self, kind: Shutdown) -> Task {
        match (kind, self.pairs) {
            _ if !self.live => Task::Attach,
            (Shutdown::Normal, 1..) => Task::Admin(AdminTask::DeleteSubmissionQueue(self.pairs)),
            _ => Task::NotifyShutdown,
        }
    }

    pub(super) fn notify_shutdown(
        &mut self,
        registers: &impl Registers,
        now: Instant,
    ) -> Result<Progress, Failure> {
        let notification = match self.goal {
            Some(Goal::Shutdown(Shutdown::Abrupt)) => ShutdownNotification::ABRUPT,
            _ => ShutdownNotification::NORMAL,
        };
        let Some(configuration) = read_configuration(registers) else {
            return self.absent(now);
        };
        registers.write32(CC, configuration.with_shn(notification).into());
        self.enter(Task::AwaitShutdown, now);
        Ok(self.poll(now))
    }

    pub(super) fn await_shutdown(&mut self, status: ControllerStatus, now: Instant) -> Progress {
        let complete = status.shst() == ShutdownStatus::COMPLETE;
        if !complete && !status.cfs() && now < self.deadline {
            return self.poll(now);
        }
        self.shutdown_missed = !complete;
        self.then(Task::Attach, now)
    }

    /// The larger of CAP.TO and CRTO.CRWMT, which is not smaller by right, up to what CAP.TO can say. A controller that says 0
    /// is given one unit.
    pub(super) fn ready_limit_us(&self) -> u64 {
        let units = u16::from(self.capabilities.to()).max(self.ready_units);
        u64::from(units.clamp(1, READY_UNITS_MOST)).saturating_mul(READY_UNIT_US)
    }

    pub(super) fn shutdown_limit_us(&self) -> u64 {
        let rtd3e_us = self.info.as_ref().map_or(0, |info| info.rtd3e_us);
        u64::from(rtd3e_us)
            .max(SHUTDOWN_LEAST_US)
            .min(self.settings.shutdown_us)
    }

    /// The controller was reset or has gone: it has no queues, no commands, and uses no memory.
    pub(super) fn forget(&mut self) {
        self.live = false;
        self.reset = ResetProof::default();
        self.pairs = 0;
        self.unpaired = false;
        self.requests = 0;
        self.requests_wanted = 0;
        self.event_logs = EventLogs::default();
        self.queues.take_all(drop);
        self.pending = None;
        self.answer = None;
        self.lending.stopped();
    }
}

/// CC; `None` where nobody answers the read.
fn read_configuration(registers: &impl Registers) -> Option<ControllerConfiguration> {
    let configuration = registers.read32(CC);
    (configuration != u32::MAX).then(|| configuration.into())
}

//! Enable, reset, shutdown and fatal status: what CC asks for and CSTS answers.

use nvme_spec::command::Command;
use nvme_spec::completion::Completion;
use nvme_spec::registers::{
    CommandSetSelected, ControllerConfiguration, ControllerStatus, ShutdownNotification,
    ShutdownStatus,
};

use super::{Controller, judge_reserved};
use crate::bus::Bus;
use crate::event::Events;
use crate::fault::Moment;
use crate::feature::Features;
use crate::profile::IntxLine;
use crate::queue::{CompletionQueue, Queues, Stage, SubmissionQueue};
use crate::registers::{CC_BITS, Change, Registers};
use crate::rule::Rule;

impl Controller {
    /// CC is written.
    pub(super) fn configure(&mut self, value: u32, now_ns: u64, bus: &mut dyn Bus) {
        judge_reserved(value & !CC_BITS, "CC", bus);
        let old = self.registers.cc;
        let mut new = ControllerConfiguration::from_bits(value & CC_BITS);
        if old.en() && new.en() {
            let kept = (old.css(), old.mps(), old.ams()) == (new.css(), new.mps(), new.ams());
            bus.judge(Rule::ConfigurationKept, kept, &|| {
                format!(
                    "CC goes from {:#x} to {value:#x} while enabled",
                    old.into_bits()
                )
            });
            new = new
                .with_css(old.css())
                .with_mps(old.mps())
                .with_ams(old.ams());
        }
        self.registers.cc = new;
        self.registers.settle();
        if self.mortality.is_panicked() {
            return;
        }
        match (old.en(), new.en()) {
            (false, true) => {
                self.enable(now_ns, bus);
                self.moment(Moment::Enable, now_ns, bus);
            }
            (true, false) => {
                self.disable(now_ns, bus);
                self.moment(Moment::Reset, now_ns, bus);
            }
            _ => {}
        }
        if new.shn() != ShutdownNotification::NONE && old.shn() != new.shn() {
            self.shut_down(now_ns, bus);
        }
    }

    /// Doorbells are obeyed and commands fetched.
    pub(crate) fn accepts_commands(&self) -> bool {
        let status = self.registers.csts;
        self.registers.cc.en()
            && status.rdy()
            && !status.cfs()
            && status.shst() == ShutdownStatus::NORMAL_OPERATION
    }

    /// Memory that queues lie in while the controller may use them: bus address and bytes of each. It does not once it has
    /// shut down.
    #[must_use]
    pub fn queue_memory(&self) -> Vec<(u64, u64)> {
        let shut_down = self.registers.csts.shst() == ShutdownStatus::COMPLETE;
        if !self.registers.csts.rdy() || shut_down || !self.responds() {
            return Vec::new();
        }
        let submission = self.queues.submission.values();
        let submission = submission.map(|queue| {
            (
                queue.base,
                u64::from(queue.entries) * size_of::<Command>() as u64,
            )
        });
        let completion = self.queues.completion.values();
        let completion = completion.map(|queue| {
            (
                queue.base,
                u64::from(queue.entries) * size_of::<Completion>() as u64,
            )
        });
        submission.chain(completion).collect()
    }

    pub(super) fn enable(&mut self, now_ns: u64, bus: &mut dyn Bus) {
        let ready = self.registers.csts.rdy();
        if self.registers.change.is_some() {
            self.clear();
        }
        bus.judge(Rule::EnableTransition, !ready, &|| {
            "CC.EN is set while CSTS.RDY = 1".to_owned()
        });
        self.hmb.reset(bus);
        self.registers.csts.set_rdy(false);
        self.registers.enabled_ns = now_ns;
        bus.note("CC.EN set".to_owned());
        if self.judge_configuration(bus) && self.judge_admin_queues(bus) {
            self.create_admin_queues();
            let at = now_ns.saturating_add(self.profile.ready_ns);
            self.registers.change = Some((at, Change::Ready));
        } else {
            self.registers.change = None;
            self.fail(
                "it was enabled with a configuration that it does not support",
                bus,
            );
        }
    }

    fn judge_configuration(&self, bus: &mut dyn Bus) -> bool {
        let Registers { cap, cc, .. } = &self.registers;
        let supported = (cap.mpsmin()..=cap.mpsmax()).contains(&cc.mps())
            && cc.css() == CommandSetSelected::NVM
            && cc.ams() == 0;
        bus.judge(Rule::ConfigurationSupported, supported, &|| {
            format!("CC is {:#x}, CAP is {:#x}", cc.into_bits(), cap.into_bits())
        });
        supported
    }

    fn judge_admin_queues(&self, bus: &mut dyn Bus) -> bool {
        let Registers { aqa, asq, acq, .. } = &self.registers;
        let page = self.registers.page_bytes();
        let based = |base: u64| base != 0 && base.is_multiple_of(page);
        let usable = aqa.asqs_z() > 0 && aqa.acqs_z() > 0 && based(*asq) && based(*acq);
        bus.judge(Rule::AdminQueues, usable, &|| {
            format!("AQA is {:#x}, ASQ {asq:#x}, ACQ {acq:#x}", aqa.into_bits())
        });
        usable
    }

    fn create_admin_queues(&mut self) {
        let Registers { aqa, asq, acq, .. } = &self.registers;
        let submission = SubmissionQueue::new(*asq, u32::from(aqa.asqs_z()) + 1, 0);
        let completion = CompletionQueue::new(*acq, u32::from(aqa.acqs_z()) + 1, Some(0));
        self.queues.submission.insert(0, submission);
        self.queues.completion.insert(0, completion);
    }

    /// CC.EN goes from 1 to 0: a Controller Level Reset. Until CSTS.RDY = 0 tells otherwise host memory is in use, and commands
    /// that were fetched are carried out and completed (3.7.2).
    fn disable(&mut self, now_ns: u64, bus: &mut dyn Bus) {
        let waited = now_ns.saturating_sub(self.registers.enabled_ns) >= self.profile.timeout_ns;
        let allowed = self.registers.csts.rdy() || self.registers.csts.cfs() || waited;
        bus.judge(Rule::EnableTransition, allowed, &|| {
            "CC.EN is cleared before CSTS.RDY = 1".to_owned()
        });
        bus.note("CC.EN cleared: controller reset".to_owned());
        let ready = self.registers.csts.rdy();
        self.registers.csts = ControllerStatus::new().with_rdy(ready);
        self.registers.shutdown_ns = None;
        let at = now_ns.saturating_add(self.profile.ready_ns);
        self.registers.change = self.profile.resets.then_some((at, Change::NotReady));
    }

    /// What any reset clears.
    pub(super) fn clear(&mut self) {
        self.queues = Queues::default();
        self.outstanding.clear();
        self.features = Features::new(&self.profile);
        self.events = Events::default();
        self.interrupts.forget();
        self.mortality.reset();
        self.registers.mask = 0;
        self.registers.shutdown_ns = None;
    }

    /// A reset of the whole function. AQA, ASQ and ACQ are not kept.
    pub(super) fn reset_function(&mut self, bus: &mut dyn Bus) {
        self.hmb.reset(bus);
        self.clear();
        self.registers = Registers::new(&self.profile);
    }

    /// CSTS.RDY follows CC.EN.
    pub(super) fn finish_change(&mut self, change: Change, bus: &mut dyn Bus) {
        self.registers.change = None;
        let ready = change == Change::Ready;
        if ready {
            self.interrupts.let_line_go();
        } else {
            self.clear();
            self.hmb.reset(bus);
            if self.profile.intx == IntxLine::Kept {
                self.interrupts.hold_line();
            }
        }
        self.registers.csts.set_rdy(ready);
        bus.note(format!("CSTS.RDY = {}", u8::from(ready)));
    }

    /// Nothing works any more until a reset.
    pub(crate) fn fail(&mut self, why: &str, bus: &mut dyn Bus) {
        bus.note(format!("controller fatal status: {why}"));
        self.registers.csts.set_cfs(true);
        self.outstanding.clear();
    }

    fn shut_down(&mut self, now_ns: u64, bus: &mut dyn Bus) {
        let normal = self.registers.cc.shn() == ShutdownNotification::NORMAL;
        if normal {
            let busy = self
                .outstanding
                .iter()
                .filter(|command| command.queue != 0 && !matches!(command.stage, Stage::Lost))
                .count();
            bus.judge(Rule::ShutdownQuiet, busy == 0, &|| {
                format!("{busy} I/O commands are outstanding")
            });
        }
        bus.note(format!(
            "{} shutdown",
            if normal { "normal" } else { "abrupt" }
        ));
        self.registers.csts.set_shst(ShutdownStatus::IN_PROGRESS);
        self.registers.shutdown_ns = Some(now_ns.saturating_add(self.profile.ready_ns));
    }

    pub(super) fn finish_shutdown(&mut self, bus: &mut dyn Bus) {
        self.registers.shutdown_ns = None;
        self.outstanding.clear();
        for namespace in &mut self.namespaces {
            if namespace.flush().is_err() {
                bus.note(format!("namespace {} could not be flushed", namespace.nsid));
            }
        }
        self.hmb.rest(bus);
        self.registers.csts.set_shst(ShutdownStatus::COMPLETE);
        self.logs.shut_down();
        bus.note("shutdown complete".to_owned());
    }

    /// Whether the host can do anything: not behind a link that is down, not where RDY never clears, not
    /// where the firmware looks at nothing any more, and not while registers read as all ones.
    #[must_use]
    pub fn listens(&self) -> bool {
        !self.mortality.is_gone()
            && !self.mortality.is_panicked()
            && self.profile.resets
            && !self.faults.hide_registers(self.now_ns)
    }

    /// Whether the host has told it to stop: CC.EN = 0.
    #[must_use]
    pub fn is_disabled(&self) -> bool {
        !self.registers.cc.en()
    }

    /// Power is about to go. Of a controller that does not listen nothing can be asked.
    pub(super) fn judge_power_off(&self, bus: &mut dyn Bus) {
        if !self.listens() {
            return;
        }
        let complete = self.registers.csts.shst() == ShutdownStatus::COMPLETE;
        bus.judge(
            Rule::ShutdownBeforePowerOff,
            complete || !self.registers.cc.en(),
            &|| "CC.EN = 1 and the shutdown is not complete".to_owned(),
        );
    }

    /// The function is about to enter D3.
    pub(super) fn judge_d3(&self, bus: &mut dyn Bus) {
        if !self.listens() {
            return;
        }
        bus.judge(Rule::HmbBeforePowerOff, !self.hmb.is_enabled(), &|| {
            "the Host Memory Buffer is enabled".to_owned()
        });
    }
}

//! The end of the transcript of a served device.

use nvme_model::{FiredFault, HmbCounters};

use super::device::Traffic;
use crate::rules::Judge;
use crate::timeline::{Bytes, Timeline};

/// What the device has seen of its clients.
pub struct Served<'a> {
    pub model: &'a str,
    pub clients: u64,
    pub hmb: HmbCounters,
    pub traffic: Traffic,
    pub interrupts: u64,
    pub judge: &'a Judge,
    /// What the device was to do wrong.
    pub injected: &'a [FiredFault],
    /// Why clients were sent away.
    pub faults: &'a [String],
}

impl Served<'_> {
    /// Whether every client kept to the rules.
    pub fn held(&self) -> bool {
        self.faults.is_empty() && self.judge.violations().is_empty()
    }

    /// Prints it, and the verdict.
    pub fn print(&self, timeline: &Timeline) {
        let violations = self.judge.violations();
        timeline.heading("Summary");
        timeline.entry("controller", self.model);
        timeline.entry("clients", self.clients);
        timeline.entry("HMB", self.borrowed());
        timeline.entry(
            "DMA",
            format_args!(
                "{} read, {} written, {} interrupts",
                Bytes(self.traffic.read_bytes),
                Bytes(self.traffic.written_bytes),
                self.interrupts
            ),
        );
        for fault in self.injected {
            timeline.entry(
                "fault",
                format_args!("{}: happened: {}", fault.spec, fault.fired),
            );
        }
        timeline.entry(
            "rules",
            format_args!(
                "{} evaluated, {} broken",
                self.judge.checked(),
                violations.len()
            ),
        );
        for violation in &violations {
            timeline.wrong(
                "broken",
                format_args!("{}: {}", violation.rule, violation.what),
            );
        }
        for fault in self.faults {
            timeline.wrong("client", fault);
        }
        let why = if self.held() {
            "every rule held".to_owned()
        } else {
            format!(
                "broken rules: {}, clients sent away: {}",
                violations.len(),
                self.faults.len()
            )
        };
        timeline.verdict(self.held(), &why);
    }

    fn borrowed(&self) -> String {
        let Some((bytes, ranges)) = self.traffic.lent else {
            return "never lent".to_owned();
        };
        format!(
            "enabled: {}, with its contents kept (MR = 1): {}, disabled: {}; last lent {} in ranges: {ranges}; lent now {}",
            self.hmb.enabled,
            self.hmb.memory_returned,
            self.hmb.disabled,
            Bytes(bytes),
            Bytes(self.hmb.lent_bytes)
        )
    }
}

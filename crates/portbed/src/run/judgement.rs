//! The verdict over a run, and the report.

use std::path::Path;

use nvme_model::{Fault, Losses};

use super::failure::Kind;
use super::lifecycle::Job;
use super::namespace::Namespace;
use super::{ControllerKind, Work};
use crate::journal::Who;
use crate::machine::Stop;
use crate::report::{self, Controller, Cost, Driver, Hmb, Io, Report, Rules, Verdict};
use crate::timeline::Bytes;

/// A run in which fewer distinct rules were evaluated has not tested the driver.
const LEAST_RULES: usize = 40;

/// A run that compared less than this, where the disks are large enough, has not tested the driver.
const LEAST_VERIFIED_BYTES: u64 = 64 << 20;

impl Job<'_> {
    /// Judges the run as a whole, and gives the report.
    pub fn judge(&mut self, driver: &Path) -> Report {
        self.machine.judge_memory();
        let rules = Rules {
            checked: self.machine.rules().checked(),
            evaluated: self.evaluated(),
            violations: self.machine.rules().violations(),
        };
        let hmb = Hmb::from(self.machine.hmb());
        let io = self.io();
        if let Some(what) = self.machine.controller_failure() {
            self.fail(Kind::Other, format!("the controller stopped: {what}"));
        }
        for what in self.shortcomings(&rules, &hmb, &io) {
            self.fail(Kind::Other, what);
        }
        let losses = self.take_losses();
        let clean =
            self.failures.is_empty() && rules.violations.is_empty() && self.leaks.is_empty();
        Report {
            driver: Driver {
                path: driver.display().to_string(),
                sha256: self.machine.image_sha256().to_owned(),
            },
            controller: Controller::from(self.machine.identity()),
            hmb,
            io,
            ended: report::ended(self.machine.ended()),
            cost: self.cost(),
            faults: self.machine.faults().into_iter().map(Into::into).collect(),
            rules,
            leaks: self.leaks.clone(),
            losses,
            events: self.journal.events(),
            result: if clean { Verdict::Pass } else { Verdict::Fail },
        }
    }

    /// Takes the failures out that faults which happened made unavoidable, a line each.
    fn take_losses(&mut self) -> Vec<String> {
        let fired = self.machine.faults();
        let happened = self.setup.device.faults.iter().filter(|fault| {
            fired
                .iter()
                .any(|told| told.spec == fault.spec() && told.fired > 0)
        });
        let unavoidable = happened
            .map(Fault::losses)
            .fold(Losses::default(), Losses::or);
        // What is told of the Host Memory Buffer says nothing of the disk.
        let events = self.journal.events();
        let told = events
            .iter()
            .any(|event| event.who == Who::Driver && !event.what.starts_with("HMB "));
        self.failures
            .extract_if(.., |failure| failure.is_excused(unavoidable, told))
            .map(|failure| failure.what)
            .collect()
    }

    fn evaluated(&self) -> Vec<&'static str> {
        let rules = self.machine.rules().evaluated();
        rules.into_iter().map(|(id, _)| id).collect()
    }

    /// What a request has cost, of a stream if there was one, as far as that could be counted: accesses of registers that are mapped straight cannot.
    fn cost(&self) -> Cost {
        let streams = self.namespaces.iter().filter_map(Namespace::cost);
        let cost = streams.reduce(|sum, cost| sum + cost);
        let mut cost = Cost::from(cost.unwrap_or_else(|| self.machine.cost()));
        // Where nothing was counted, no store was looked at.
        let counted = self.shared_lines.filter(|_| cost.instructions.is_some());
        cost.shared_lines = counted;
        if let ControllerKind::Vfio { .. } = self.setup.controller {
            (cost.mmio_writes_per_io, cost.mmio_reads_per_io) = (None, None);
        }
        cost
    }

    fn io(&self) -> Io {
        let mut sum = Io::default();
        for namespace in &self.namespaces {
            sum.add(&namespace.io());
        }
        sum
    }

    /// What the run as a whole lacks or leaves, beside what was noticed on the way.
    fn shortcomings(&self, rules: &Rules, hmb: &Hmb, io: &Io) -> Vec<String> {
        let capacity: u64 = self
            .namespaces
            .iter()
            .map(|namespace| namespace.geometry().bytes())
            .sum();
        let least = LEAST_VERIFIED_BYTES.min(capacity);
        // A run that was cut short has said why; how little it covered is no news.
        let whole = matches!(self.setup.work, Work::MainJob) && self.failures.is_empty();
        let told = [
            (
                whole && rules.checked < LEAST_RULES,
                format!(
                    "only {} distinct rules were evaluated, fewer than {LEAST_RULES}",
                    rules.checked
                ),
            ),
            (
                whole && io.verified_bytes < least,
                format!(
                    "only {} were verified, less than {}",
                    Bytes(io.verified_bytes),
                    Bytes(least)
                ),
            ),
            (
                hmb.outstanding_bytes > 0,
                format!(
                    "{} of the HMB were never freed",
                    Bytes(hmb.outstanding_bytes)
                ),
            ),
            (
                hmb.left_to_port_bytes > 0 && self.setup.port.stop != Stop::DirqlNoDpc,
                format!(
                    "{} of the HMB were left to the port driver",
                    Bytes(hmb.left_to_port_bytes)
                ),
            ),
        ];
        told.into_iter()
            .filter_map(|(wrong, what)| wrong.then_some(what))
            .collect()
    }
}

//! What a run found, in the shape that `--report` writes.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;

use crate::abi::srb::status::name as srb_status_name;
use crate::controller::{self, Identity};
use crate::journal::Event;
use crate::machine;
use crate::rules::Violation;

/// Everything that a run found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The image that ran.
    pub driver: Driver,
    /// The controller it ran against.
    pub controller: Controller,
    /// What became of the Host Memory Buffer.
    pub hmb: Hmb,
    /// Requests that the disk on top sent, and how their data compared.
    pub io: Io,
    /// How the miniport ended requests, by SRB status: how often. One that was busy and sent again counts each time.
    pub ended: BTreeMap<String, u64>,
    /// What a request cost.
    pub cost: Cost,
    /// The faults that the controller was given, and how often each happened.
    pub faults: Vec<Fault>,
    /// The rules that were checked.
    pub rules: Rules,
    /// What was still allocated, lent, mapped or pending after the unload, a line each.
    pub leaks: Vec<String>,
    /// What went wrong because a fault of the controller made it unavoidable, a line each.
    pub losses: Vec<String>,
    /// What happened, in order.
    pub events: Vec<Event>,
    /// The verdict.
    pub result: Verdict,
}

/// The image that ran.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Driver {
    /// Where it was loaded from.
    pub path: String,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: String,
}

/// The controller of the run.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Controller {
    /// `model`, for the software controller.
    pub kind: String,
    /// Model number (Identify Controller, MN).
    pub model: String,
    /// HMPRE, the preferred buffer.
    pub hmpre_bytes: u64,
    /// HMMIN, the smallest useful buffer.
    pub hmmin_bytes: u64,
    /// HMMINDS, the smallest useful range; 0 is no limit.
    pub hmminds_bytes: u64,
    /// HMMAXD, the longest usable descriptor list; 0 is no limit.
    pub hmmaxd: u16,
}

/// The Host Memory Buffer over the run.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Hmb {
    /// What the port driver last granted.
    pub granted_bytes: u64,
    /// In how many ranges.
    pub ranges: u64,
    /// Enables that the controller accepted.
    pub enabled: u64,
    /// Disables that the controller accepted.
    pub disabled: u64,
    /// Enables with MR = 1.
    pub memory_returned: u64,
    /// Successful free calls.
    pub freed: u64,
    /// Calls at `DISPATCH_LEVEL` that were granted memory.
    pub granted_at_dispatch: u64,
    /// Free calls at `DISPATCH_LEVEL`.
    pub freed_at_dispatch: u64,
    /// Never freed for want of proof that the controller is done with it.
    pub retained_bytes: u64,
    /// Made safe, but left to the port driver to free.
    pub left_to_port_bytes: u64,
    /// Granted and not freed when the driver was unloaded.
    pub outstanding_bytes: u64,
}

/// A fault of the controller.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Fault {
    /// As it was asked for.
    pub spec: String,
    /// How often it happened.
    pub fired: u64,
}

/// Requests and data.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Io {
    /// Read, write and flush requests sent.
    pub requests: u64,
    /// Bytes read through the driver.
    pub read_bytes: u64,
    /// Bytes written through the driver.
    pub written_bytes: u64,
    /// Bytes read through the driver and compared with the shadow copy.
    pub verified_bytes: u64,
    /// Bytes of blocks that differed, through the driver or in the backing file.
    pub mismatched_bytes: u64,
    /// Requests that failed.
    pub failed: u64,
    /// Requests that were sent again, because of a reset, a busy unit, or one that was becoming ready.
    pub retried: u64,
}

impl Io {
    /// Adds the numbers of another disk.
    pub fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.read_bytes += other.read_bytes;
        self.written_bytes += other.written_bytes;
        self.verified_bytes += other.verified_bytes;
        self.mismatched_bytes += other.mismatched_bytes;
        self.failed += other.failed;
        self.retried += other.retried;
    }
}

/// The cost of a request, averaged over the run. What was not measured is `null`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Cost {
    /// Instructions inside the image.
    pub instructions_per_io: Option<f64>,
    /// The same, by where they are executed.
    pub instructions: Option<Instructions>,
    /// Register writes.
    pub mmio_writes_per_io: Option<f64>,
    /// Register reads.
    pub mmio_reads_per_io: Option<f64>,
    /// Calls into the port driver and the kernel.
    pub port_calls_per_io: Option<f64>,
    /// Cache lines that several processors have written for the requests whose instructions were counted.
    pub shared_lines: Option<usize>,
}

/// Instructions inside the image for a request, averaged over those requests for which they were counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Instructions {
    /// Those of `HwStorBuildIo`.
    pub build: f64,
    /// Those of `HwStorStartIo`.
    pub start: f64,
    /// Those of interrupt routines.
    pub interrupt: f64,
    /// Those of DPCs and timers.
    pub dpc: f64,
}

impl Instructions {
    fn sum(&self) -> f64 {
        self.build + self.start + self.interrupt + self.dpc
    }
}

/// The rules that were checked, and those that were broken.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Rules {
    /// Distinct rules that were evaluated at least once.
    pub checked: usize,
    /// Their ids, in alphabetical order.
    pub evaluated: Vec<&'static str>,
    /// Every time that a rule was broken.
    pub violations: Vec<Violation>,
}

/// How the run ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Everything held.
    Pass,
    /// A rule was broken, data differed, or something leaked.
    Fail,
}

impl Report {
    /// Writes the report as indented JSON with a final newline.
    pub fn write(&self, mut to: impl Write) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut to, self)?;
        to.write_all(b"\n")?;
        to.flush()
    }
}

/// How requests ended, with the names that srb.h gives to SRB statuses.
#[must_use]
pub fn ended(by_status: BTreeMap<u8, u64>) -> BTreeMap<String, u64> {
    by_status
        .into_iter()
        .map(|(status, times)| (srb_status_name(status), times))
        .collect()
}

impl From<Identity> for Controller {
    fn from(identity: Identity) -> Self {
        let Identity {
            kind,
            model,
            hmpre_bytes,
            hmmin_bytes,
            hmminds_bytes,
            hmmaxd,
        } = identity;
        Self {
            kind: kind.to_owned(),
            model,
            hmpre_bytes,
            hmmin_bytes,
            hmminds_bytes,
            hmmaxd,
        }
    }
}

impl From<controller::FiredFault> for Fault {
    fn from(fault: controller::FiredFault) -> Self {
        let controller::FiredFault { spec, fired } = fault;
        Self { spec, fired }
    }
}

impl From<machine::HmbReport> for Hmb {
    fn from(hmb: machine::HmbReport) -> Self {
        Self {
            granted_bytes: hmb.granted_bytes,
            ranges: hmb.ranges,
            enabled: hmb.enabled,
            disabled: hmb.disabled,
            memory_returned: hmb.memory_returned,
            freed: hmb.freed,
            granted_at_dispatch: hmb.granted_at_dispatch,
            freed_at_dispatch: hmb.freed_at_dispatch,
            retained_bytes: hmb.retained_bytes,
            left_to_port_bytes: hmb.left_to_port_bytes,
            outstanding_bytes: hmb.outstanding_bytes,
        }
    }
}

impl From<machine::Cost> for Cost {
    fn from(cost: machine::Cost) -> Self {
        // Below 2^52 requests and accesses the division is as exact as an average can be.
        #[allow(clippy::cast_precision_loss)]
        let per = |sum: u64, requests: u64| sum as f64 / requests as f64;
        let average = |sum| (cost.requests > 0).then(|| per(sum, cost.requests));
        let counted = cost.instructions;
        let instructions = (counted.requests > 0).then(|| Instructions {
            build: per(counted.build, counted.requests),
            start: per(counted.start, counted.requests),
            interrupt: per(counted.interrupt, counted.requests),
            dpc: per(counted.dpc, counted.requests),
        });
        Self {
            instructions_per_io: instructions.as_ref().map(Instructions::sum),
            instructions,
            mmio_writes_per_io: average(cost.mmio_writes),
            mmio_reads_per_io: average(cost.mmio_reads),
            port_calls_per_io: average(cost.port_calls),
            shared_lines: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::journal::Who;

    fn sample() -> Report {
        Report {
            driver: Driver {
                path: "a.sys".into(),
                sha256: "00".into(),
            },
            controller: Controller {
                kind: "model".into(),
                model: "M".into(),
                hmpre_bytes: 4,
                hmmin_bytes: 3,
                hmminds_bytes: 2,
                hmmaxd: 1,
            },
            hmb: Hmb::default(),
            io: Io::default(),
            ended: ended([(5, 2), (0x3E, 1)].into()),
            cost: Cost {
                mmio_writes_per_io: Some(1.5),
                ..Cost::default()
            },
            faults: vec![Fault {
                spec: "read:never".into(),
                fired: 2,
            }],
            rules: Rules {
                checked: 1,
                evaluated: vec!["r"],
                violations: vec![Violation {
                    rule: "r",
                    place: "w".into(),
                    what: "x".into(),
                    times: 2,
                    first_ns: 3,
                    last_ns: 4,
                }],
            },
            leaks: vec!["l".into()],
            losses: vec!["s".into()],
            events: vec![Event {
                t_ns: 7,
                who: Who::Driver,
                what: "e".into(),
            }],
            result: Verdict::Fail,
        }
    }

    #[test]
    fn the_json_has_the_documented_shape() {
        let mut bytes = Vec::new();
        sample().write(&mut bytes).unwrap();
        let parsed: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(
            parsed,
            json!({
                "driver": { "path": "a.sys", "sha256": "00" },
                "controller": {
                    "kind": "model", "model": "M",
                    "hmpre_bytes": 4, "hmmin_bytes": 3, "hmminds_bytes": 2, "hmmaxd": 1
                },
                "hmb": {
                    "granted_bytes": 0, "ranges": 0, "enabled": 0, "disabled": 0, "memory_returned": 0, "freed": 0,
                    "granted_at_dispatch": 0, "freed_at_dispatch": 0, "retained_bytes": 0, "left_to_port_bytes": 0, "outstanding_bytes": 0
                },
                "io": {
                    "requests": 0, "read_bytes": 0, "written_bytes": 0, "verified_bytes": 0, "mismatched_bytes": 0,
                    "failed": 0, "retried": 0
                },
                "ended": { "BUSY": 2, "0x3E": 1 },
                "cost": {
                    "instructions_per_io": null, "instructions": null, "mmio_writes_per_io": 1.5, "mmio_reads_per_io": null,
                    "port_calls_per_io": null, "shared_lines": null
                },
                "faults": [{ "spec": "read:never", "fired": 2 }],
                "rules": { "checked": 1, "evaluated": ["r"], "violations": [{
                    "rule": "r", "where": "w", "what": "x", "times": 2, "first_ns": 3, "last_ns": 4,
                }] },
                "leaks": ["l"],
                "losses": ["s"],
                "events": [{ "t_ns": 7, "who": "driver", "what": "e" }],
                "result": "fail"
            })
        );
        assert_eq!(bytes.last(), Some(&b'\n'));
    }
}

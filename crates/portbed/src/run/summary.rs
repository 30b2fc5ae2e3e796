//! The end of the transcript.

use crate::report::{Controller, Cost, Fault, Hmb, Report, Verdict};
use crate::rules::Violation;
use crate::timeline::{Bytes, Timeline};
use crate::trap::step;

/// Prints what the run has shown, and the verdict; where that is bad, `replay` too, the command for the same run.
pub fn print(timeline: &Timeline, report: &Report, failures: &[String], replay: &str) {
    timeline.heading("Summary");
    let Report {
        controller,
        hmb,
        io,
        cost,
        rules,
        ..
    } = report;
    timeline.entry(
        "driver",
        format_args!("{} (SHA-256 {})", report.driver.path, report.driver.sha256),
    );
    timeline.entry(
        "controller",
        format_args!("{} ({})", controller.model, controller.kind),
    );
    timeline.entry("HMB wanted", wanted(controller));
    timeline.entry("HMB", borrowed(hmb));
    timeline.entry(
        "I/O",
        format_args!(
            "{} requests, {} written, {} read and verified, {} differ, {} failed{}",
            io.requests,
            Bytes(io.written_bytes),
            Bytes(io.verified_bytes),
            Bytes(io.mismatched_bytes),
            io.failed,
            retried(io.retried)
        ),
    );
    if report.ended.keys().any(|status| status != "SUCCESS") {
        let ended = report.ended.iter();
        let ended: Vec<String> = ended
            .map(|(status, times)| format!("{times} {status}"))
            .collect();
        timeline.entry("SRB status", ended.join(", "));
    }
    if let Some(cost) = price(cost) {
        timeline.entry("a request", cost);
    }
    for fault in &report.faults {
        let Fault { spec, fired } = fault;
        timeline.entry("fault", format_args!("{spec}: happened {}", times(*fired)));
    }
    let (reached, lost) = step::tally();
    if reached + lost > 0 {
        timeline.entry(
            "pre-empted",
            format_args!("at {reached} instructions; {lost} were chosen and not reached"),
        );
    }
    timeline.entry(
        "rules",
        format_args!(
            "{} evaluated, {} broken",
            rules.checked,
            rules.violations.len()
        ),
    );
    for violation in &rules.violations {
        timeline.wrong(
            "broken",
            format_args!(
                "{} in {}: {}{}",
                violation.rule,
                violation.place,
                violation.what,
                repeated(violation)
            ),
        );
    }
    for leak in &report.leaks {
        timeline.wrong("leaked", leak);
    }
    for loss in &report.losses {
        timeline.entry("lost", format_args!("{loss}: unavoidable with such faults"));
    }
    for failure in failures {
        timeline.wrong("failed", failure);
    }
    if report.result == Verdict::Fail {
        timeline.entry("replay", replay);
    }
    timeline.verdict(report.result == Verdict::Pass, &reason(report, failures));
}

/// How often the same was found, where that was more than once.
fn repeated(violation: &Violation) -> String {
    let ms = |ns: u64| format!("{}.{:03} ms", ns / 1_000_000, ns / 1000 % 1000);
    if violation.times == 1 {
        return String::new();
    }
    format!(
        " ({}, from {} to {})",
        times(violation.times),
        ms(violation.first_ns),
        ms(violation.last_ns)
    )
}

/// Requests that were sent again, where there are any.
fn retried(number: u64) -> String {
    if number == 0 {
        String::new()
    } else {
        format!(", {number} retried")
    }
}

/// What was counted of the cost of a request.
fn price(cost: &Cost) -> Option<String> {
    let counted = [
        (cost.instructions_per_io, "instructions"),
        (cost.mmio_writes_per_io, "register writes"),
        (cost.mmio_reads_per_io, "register reads"),
        (cost.port_calls_per_io, "calls of the port driver"),
    ];
    let counted = counted
        .into_iter()
        .filter_map(|(average, what)| Some(format!("{:.2} {what}", average?)));
    let lines = cost.shared_lines;
    let lines = lines.map(|lines| format!("{lines} cache lines written by several processors"));
    let counted = counted.chain(lines);
    let told = counted.collect::<Vec<_>>().join(", ");
    (!told.is_empty()).then_some(told)
}

fn wanted(controller: &Controller) -> String {
    let Controller {
        hmpre_bytes,
        hmmin_bytes,
        hmminds_bytes,
        hmmaxd,
        ..
    } = controller;
    if *hmpre_bytes == 0 {
        return "none".to_owned();
    }
    let usual = format!(
        "{} preferred, {} at least",
        Bytes(*hmpre_bytes),
        Bytes(*hmmin_bytes)
    );
    let size =
        (*hmminds_bytes > 0).then(|| format!("ranges of at least {}", Bytes(*hmminds_bytes)));
    let number = (*hmmaxd > 0).then(|| format!("at most {}", count(u64::from(*hmmaxd), "range")));
    [usual]
        .into_iter()
        .chain(size)
        .chain(number)
        .collect::<Vec<_>>()
        .join(", ")
}

fn borrowed(hmb: &Hmb) -> String {
    if hmb.granted_bytes == 0 {
        return "none granted".to_owned();
    }
    let usual = format!(
        "{} granted in {}; enabled {}, {} of them with its contents kept (MR = 1); disabled {}; freed {}",
        Bytes(hmb.granted_bytes),
        count(hmb.ranges, "range"),
        times(hmb.enabled),
        hmb.memory_returned,
        times(hmb.disabled),
        times(hmb.freed),
    );
    let rest = [
        (hmb.retained_bytes, "retained"),
        (hmb.left_to_port_bytes, "left to the port driver"),
        (hmb.outstanding_bytes, "outstanding"),
    ];
    let rest = rest.into_iter().filter(|(bytes, _)| *bytes > 0);
    let rest = rest.map(|(bytes, what)| format!("{} {what}", Bytes(bytes)));
    [usual]
        .into_iter()
        .chain(rest)
        .collect::<Vec<_>>()
        .join("; ")
}

fn reason(report: &Report, failures: &[String]) -> String {
    if report.result == Verdict::Pass && !report.losses.is_empty() {
        return format!(
            "every rule held, nothing is left behind; what the faults made unavoidable was lost: {}",
            count(report.losses.len() as u64, "failure")
        );
    }
    if report.result == Verdict::Pass {
        return "every rule held, all data is as it was written, nothing is left behind".to_owned();
    }
    [
        (report.rules.violations.len(), "broken rule"),
        (report.leaks.len(), "leak"),
        (failures.len(), "failure"),
    ]
    .into_iter()
    .filter(|(number, _)| *number > 0)
    .map(|(number, what)| count(number as u64, what))
    .collect::<Vec<_>>()
    .join(", ")
}

fn count(number: u64, what: &str) -> String {
    if number == 1 {
        format!("1 {what}")
    } else {
        format!("{number} {what}s")
    }
}

fn times(number: u64) -> String {
    match number {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        _ => format!("{number} times"),
    }
}

//! Miniports that portbed has never seen: each gets a clear verdict, whatever is wrong with it.

#[path = "../../../tests/seeded/breaker/src/faults.rs"]
#[allow(dead_code, reason = "one table for all tests of the breaker")]
mod faults;
mod pe;

use std::fs;
use std::path::Path;
use std::process::Command;

use faults::Fault;
use serde_json::Value;
use tempfile::TempDir;

/// What came of a run of `driver`: the exit status, what was said, and the report.
struct Run {
    status: Option<i32>,
    said: String,
    complaint: String,
    report: Option<Value>,
}

fn run(driver: &Path, keys: &str) -> Run {
    let folder = TempDir::new().unwrap();
    let report = folder.path().join("report.json");
    let output = Command::new(env!("CARGO_BIN_EXE_portbed"))
        .args(["run", "--profile"])
        .arg(format!("plain,capacity=16M{keys}"))
        .arg("--driver")
        .arg(driver)
        .arg("--report")
        .arg(&report)
        .output()
        .unwrap();
    Run {
        status: output.status.code(),
        said: String::from_utf8_lossy(&output.stdout).into_owned(),
        complaint: String::from_utf8_lossy(&output.stderr).into_owned(),
        report: fs::read(report)
            .ok()
            .map(|text| serde_json::from_slice(&text).unwrap()),
    }
}

/// A run of the breaker miniport with one fault.
fn broken(fault: Fault) -> Run {
    let image = wdk_linux::breaker().expect("the image builds");
    run(&image, &format!(",reg.Fault={}", fault as u32))
}

/// The rule, with the place where it was broken, is told and in the report, and the verdict is that it failed.
#[track_caller]
fn names(fault: Fault, rule: &str) {
    let run = broken(fault);
    assert_eq!(run.status, Some(1), "{}{}", run.said, run.complaint);
    let told = run.said.lines().find(|line| {
        line.trim_start().starts_with("broken") && line.contains(&format!(" {rule} in "))
    });
    assert!(told.is_some(), "{rule}: {}", run.said);
    assert!(
        run.said.lines().any(|line| line.starts_with("FAIL")),
        "{}",
        run.said
    );
    let report = run.report.expect("a report");
    assert_eq!(report["result"], "fail");
    let violations = report["rules"]["violations"].as_array().unwrap();
    assert!(violations.iter().any(|violation| violation["rule"] == rule));
}

#[test]
fn every_import_that_is_missing_is_named() {
    let folder = TempDir::new().unwrap();
    let driver = folder.path().join("net.sys");
    let imports = [
        ("storport.sys", "StorPortInitialize"),
        ("storport.sys", "StorPortNoSuchCall"),
        ("ndis.sys", "NdisAllocateMdl"),
    ];
    fs::write(&driver, pe::driver_of(pe::AMD64, &imports)).unwrap();
    let run = run(&driver, "");
    assert_eq!(run.status, Some(2), "{}", run.complaint);
    assert_eq!(run.complaint.lines().count(), 1, "{}", run.complaint);
    let told = "net.sys imports what is not implemented: ndis.sys!NdisAllocateMdl, storport.sys!StorPortNoSuchCall\n";
    assert!(run.complaint.ends_with(told), "{}", run.complaint);
}

#[test]
fn an_entry_that_registers_nothing_has_failed() {
    let folder = TempDir::new().unwrap();
    let driver = folder.path().join("idle.sys");
    fs::write(
        &driver,
        pe::driver(pe::AMD64, "storport.sys", "StorPortInitialize"),
    )
    .unwrap();
    let run = run(&driver, "");
    assert_eq!(run.status, Some(1), "{}{}", run.said, run.complaint);
    assert!(run.said.contains("DriverEntry"), "{}", run.said);
}

#[test]
fn a_command_that_a_miniport_does_not_know_is_no_broken_rule_but_a_failed_request() {
    // The breaker knows WRITE (10) only.
    let run = broken(Fault::None);
    assert_eq!(run.status, Some(1), "{}{}", run.said, run.complaint);
    let told = "WRITE of 1 blocks at 0 failed: SRB status 04h, SCSI status 02h, sense 5h/20h/00h";
    assert!(run.said.contains(told), "{}", run.said);
    let report = run.report.expect("a report");
    assert_eq!(report["result"], "fail");
    assert_eq!(report["io"]["failed"], 1);
    assert_eq!(report["rules"]["violations"], Value::Array(Vec::new()));
    assert!(report["rules"]["checked"].as_u64() >= Some(50));
}

#[test]
fn a_rule_that_is_broken_is_named() {
    names(Fault::OddAlignment, "find-adapter-alignment");
    names(Fault::IrqlKept, "callback-irql");
}

#[test]
fn a_miniport_that_touches_what_is_not_its_own_is_stopped_and_the_rule_named() {
    names(Fault::NullRead, "memory-access");
}

#[test]
fn a_miniport_that_never_comes_back_is_stopped_and_the_rule_named() {
    names(Fault::EndlessDpc, "no-progress");
}

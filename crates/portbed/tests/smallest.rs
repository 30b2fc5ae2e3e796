//! A small miniport in C that does what real miniports do and a test bed may take for a fault: it passes, with exact figures.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

/// Runs the miniport; what was said, and the report. It passes, and no rule is broken.
#[track_caller]
fn passes(arguments: &[&str]) -> (String, Value) {
    let driver = wdk_linux::smallest().expect("the image builds");
    let (status, said, report) = run(&driver, arguments);
    assert_eq!(status, Some(0), "{said}");
    assert_eq!(report["result"], "pass");
    assert_eq!(report["rules"]["violations"], Value::Array(Vec::new()));
    (said, report)
}

fn run(driver: &Path, arguments: &[&str]) -> (Option<i32>, String, Value) {
    let folder = TempDir::new().unwrap();
    let report = folder.path().join("report.json");
    let output = Command::new(env!("CARGO_BIN_EXE_portbed"))
        .args(arguments)
        .arg("--driver")
        .arg(driver)
        .arg("--report")
        .arg(&report)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    let report = fs::read(&report).unwrap_or_else(|_| panic!("{said}"));
    (
        output.status.code(),
        said,
        serde_json::from_slice(&report).unwrap(),
    )
}

/// Among what it does: 32 breaks for 128 KiB (`find-adapter-breaks`), targets for the messages 1 and 2 only in pool of that length
/// (`memory-overrun`), imports that are not called, BAR0, no REPORT LUNS, tags as indices (`srb-known`, failed writes).
#[test]
fn a_correct_miniport_that_is_not_ours_passes_the_main_job() {
    let (said, report) = passes(&["run", "--profile", "plain,capacity=16M"]);
    assert!(said.contains("logical unit 0: Smallest Miniport"), "{said}");
    assert!(said.contains("bus data type 5"), "{said}");
    assert!(said.contains("transfers up to 128 KiB"), "{said}");
    assert!(report["io"]["verified_bytes"].as_u64() >= Some(16 << 20));
    assert_eq!(report["io"]["failed"], 0);
    assert_eq!(report["io"]["mismatched_bytes"], 0);
}

#[test]
fn it_passes_with_other_interrupts_and_other_ways_to_stop() {
    for keys in [
        "line,capacity=8M",
        "plain,capacity=8M,interrupts=msi",
        "plain,capacity=8M,interrupts=message,power=stop,stop=dirql",
        "plain,capacity=8M,stop=dirql-nodpc,pnp=off",
    ] {
        for seed in ["1", "2"] {
            passes(&[
                "io",
                "--ios",
                "60",
                "--qd",
                "64",
                "--seed",
                seed,
                "--profile",
                keys,
            ]);
        }
    }
}

/// It rings the doorbell of the completion queue after the request was completed, when no request may be outstanding: that is part of
/// what a request costs. Each takes two doorbells; the scatter/gather list and the MDL, the begin and the end of its activity, the DPC, its lock twice, the
/// completion.
#[test]
fn what_is_done_after_a_completion_is_counted() {
    let (said, _) = passes(&["io", "--ios", "1000", "--profile", "plain,capacity=8M"]);
    let counted = "2.00 register writes, 0.00 register reads, 8.00 port driver calls a request";
    assert!(said.contains(counted), "{said}");
}

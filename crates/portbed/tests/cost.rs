//! What a request costs the driver: instructions in the image, register accesses, calls of the port driver.

use std::process::{Command, Stdio};

use serde_json::Value;

/// Runs a stream of requests and returns what the report says of their cost.
fn cost(arguments: &[&str]) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("report.json");
    let output = Command::new(env!("CARGO_BIN_EXE_portbed"))
        .args(["io", "--report", report.to_str().unwrap()])
        .args(arguments)
        .env("TMPDIR", folder.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let report: Value = serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
    report["cost"].clone()
}

const SMALL: [&str; 4] = ["--profile", "plain,capacity=8M", "--ios", "40"];

#[test]
fn instructions_are_counted_alike_in_every_run_and_by_where_they_are_executed() {
    let counted = cost(&SMALL);
    assert_eq!(counted, cost(&SMALL));
    let parts = ["build", "start", "interrupt", "dpc"].map(|part| {
        let instructions = counted["instructions"][part].as_f64().unwrap();
        assert!(instructions > 1.0, "{part}: {counted}");
        instructions
    });
    let sum: f64 = parts.iter().sum();
    let told = counted["instructions_per_io"].as_f64().unwrap();
    assert!((told - sum).abs() < 1e-6, "{counted}");
}

#[test]
fn what_was_not_counted_is_not_told() {
    let counted = cost(&[&SMALL[..], &["--count", "0"]].concat());
    assert_eq!(counted["instructions_per_io"], Value::Null);
    assert!(counted["mmio_writes_per_io"].as_f64().unwrap() > 1.0);
}

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
fn cache_lines_are_shared_by_several_processors_only() {
    let shared = |cpus| cost(&[&SMALL[..], &["--cpus", cpus]].concat())["shared_lines"].clone();
    assert_eq!(shared("1"), 0);
    assert_ne!(shared("2"), Value::Null);
}

#[test]
fn what_was_not_counted_is_not_told() {
    let counted = cost(&[&SMALL[..], &["--count", "0"]].concat());
    assert_eq!(counted["instructions_per_io"], Value::Null);
    assert_eq!(counted["shared_lines"], Value::Null);
    assert!(counted["mmio_writes_per_io"].as_f64().unwrap() > 1.0);
}

/// The rows of the table in docs/performance.md: a kind of requests and the numbers behind it.
fn documented() -> Vec<(String, Vec<f64>)> {
    let document = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/performance.md");
    let document = std::fs::read_to_string(document).unwrap();
    let rows = document.lines().filter_map(|line| {
        let mut cells = line.trim().trim_matches('|').split('|').map(str::trim);
        let name = cells.next()?.to_owned();
        let numbers: Vec<f64> = cells.map_while(|cell| cell.parse().ok()).collect();
        (numbers.len() == 8).then_some((name, numbers))
    });
    rows.collect()
}

/// Another compiler changes the count a little; a change of the driver that costs more than this belongs into the table.
const MORE: f64 = 1.1;

#[test]
fn the_documented_costs_are_those_of_the_driver() {
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("table.json");
    let output = Command::new(env!("CARGO_BIN_EXE_portbed"))
        .args(["bench", "--count", "64", "--json", json.to_str().unwrap()])
        .env("TMPDIR", folder.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let table: Vec<Value> = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
    let documented = documented();
    assert_eq!(documented.len(), table.len());
    for (row, (name, numbers)) in table.iter().zip(&documented) {
        assert_eq!(row["workload"], name.as_str());
        let cost = &row["cost"];
        for (key, documented) in [
            ("instructions_per_io", numbers[4]),
            ("mmio_writes_per_io", numbers[5]),
            ("mmio_reads_per_io", numbers[6]),
            ("port_calls_per_io", numbers[7]),
        ] {
            let counted = cost[key].as_f64().unwrap();
            let most = documented * MORE + 0.01;
            assert!(
                counted <= most,
                "{name}: {key} is {counted}, documented as {documented}"
            );
        }
    }
}

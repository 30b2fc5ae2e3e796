//! Faults on the command line: each example of the grammar is played, told and counted; what cannot be is refused.
#![cfg(target_os = "linux")]

use std::process::{Command, Output, Stdio};

use nvme_model::{GRAMMAR, GrammarEntry};
use serde_json::Value;
use tempfile::TempDir;

/// Starts `portbed` with its temporary files in `folder`.
fn portbed(folder: &TempDir, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_portbed"))
        .args(arguments)
        .env("TMPDIR", folder.path())
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// A short stream of requests with these options: the exit status and the report.
fn stream(profile: &str, faults: &[&str]) -> (Option<i32>, Value) {
    let arguments = ["io", "--rw", "rw", "--qd", "4", "--ios", "200"];
    reported(&arguments, profile, faults)
}

/// The main job with these options: the exit status and the report.
fn main_job(profile: &str, fault: &str) -> (Option<i32>, Value) {
    reported(&["run", "--seed", "1"], profile, &[fault])
}

fn reported(command: &[&str], profile: &str, faults: &[&str]) -> (Option<i32>, Value) {
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("report.json");
    let mut arguments = command.to_vec();
    arguments.extend(["--profile", profile, "--report", report.to_str().unwrap()]);
    for fault in faults {
        arguments.extend(["--fault", fault]);
    }
    let output = portbed(&folder, &arguments);
    let written = std::fs::read(&report)
        .unwrap_or_else(|_| panic!("{faults:?}: {}", String::from_utf8_lossy(&output.stderr)));
    (
        output.status.code(),
        serde_json::from_slice(&written).unwrap(),
    )
}

#[track_caller]
fn refuses(arguments: &[&str], why: &str) {
    let folder = tempfile::tempdir().unwrap();
    let output = portbed(&folder, arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains(why), "{arguments:?}: {said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert_eq!(output.status.code(), Some(2), "{said}");
}

#[test]
fn every_example_of_the_grammar_is_played_and_counted() {
    for entry in GRAMMAR {
        let GrammarEntry {
            example, profile, ..
        } = entry;
        let profile = format!("{},capacity=8M", profile.unwrap_or("hmb"));
        let (status, report) = stream(&profile, &[example]);
        assert_eq!(status, Some(0), "{example}: {report:#}");
        let fault = &report["faults"][0];
        assert_eq!(fault["spec"], **example);
        assert!(
            fault["fired"].as_u64() > Some(0),
            "{example} never happened"
        );
    }
}

#[test]
fn a_fault_that_never_happened_is_told_and_fails_nothing() {
    let faults = ["read:never:nth=1000000", "io:delay=10us:every=2"];
    let (status, report) = stream("capacity=8M", &faults);
    assert_eq!(status, Some(0), "{report:#}");
    assert_eq!(report["faults"][0]["fired"], 0);
    assert!(report["faults"][1]["fired"].as_u64() > Some(50));
}

#[test]
fn what_a_reset_has_brought_back_is_sent_again_and_recovers() {
    for fault in ["read:never:nth=5", "write:lost:nth=5", "write:never:nth=7"] {
        let (status, report) = stream("capacity=8M", &[fault]);
        assert_eq!(status, Some(0), "{fault}: {report:#}");
        assert_eq!(report["faults"][0]["fired"], 1);
        assert!(report["io"]["retried"].as_u64() > Some(0), "{fault}");
        assert_eq!(report["io"]["failed"], 0);
    }
}

#[test]
fn what_a_fault_makes_unavoidable_is_told_and_fails_nothing() {
    for (fault, lost) in [
        ("any:die=gone:nth=400", true),
        ("io:panic=2:nth=300", true),
        ("identify.cns=1:status=0/06", true),
        ("read:status=2/81:nth=3", true),
        ("any:die=fatal:nth=400", false),
        ("io:panic=2,2s:nth=300", false),
    ] {
        let (status, report) = stream("capacity=8M", &[fault]);
        assert_eq!(status, Some(0), "{fault}: {report:#}");
        let losses = report["losses"].as_array().unwrap();
        assert_eq!(!losses.is_empty(), lost, "{fault}: {losses:?}");
    }
}

#[test]
fn what_a_file_system_makes_of_a_loss_is_part_of_it() {
    for (fault, lost) in [
        // Writes whose failure the file system keeps to itself.
        ("write:status=2/80:nth=10", "the file system went on"),
        ("write:status=2/80:nth=20", "the file system went on"),
        // A partition table that is not the one that was written.
        ("read:data=ones:at=d0", "GPT"),
        ("read:data=noise:at=lend", "GPT"),
    ] {
        let (status, report) = main_job("hmb,capacity=16M", fault);
        assert_eq!(status, Some(0), "{fault}: {report:#}");
        let losses = report["losses"].as_array().unwrap();
        let told = |loss: &Value| loss.as_str().unwrap().contains(lost);
        assert!(losses.iter().any(told), "{fault}: {losses:?}");
    }
}

#[test]
fn the_documents_name_every_behaviour() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/faults.md");
    let document = std::fs::read_to_string(root).unwrap();
    for entry in GRAMMAR.iter().filter(|entry| entry.part == "BEHAVIOUR") {
        let name = entry.form.split(['=', '|']).next().unwrap();
        assert!(
            document.contains(&format!("`{name}")) || document.contains(&format!("`{name}=")),
            "{name}"
        );
    }
}

#[test]
fn the_grammar_is_listed_with_its_examples() {
    let folder = tempfile::tempdir().unwrap();
    let listed = String::from_utf8(portbed(&folder, &["profiles"]).stdout).unwrap();
    for GrammarEntry { form, example, .. } in GRAMMAR {
        assert!(listed.contains(form), "{form}");
        assert!(listed.contains(&format!("--fault {example}")), "{example}");
    }
}

#[test]
fn what_makes_no_sense_is_refused_in_one_line() {
    refuses(&["run", "--fault", "read:nevre"], "no behaviour");
    refuses(&["io", "--fault", "write:data=ones"], "return data");
    refuses(&["run", "--fault", "interrupt:held"], "line interrupts");
    refuses(
        &[
            "run",
            "--profile",
            "line",
            "--fault",
            "interrupt:stray:every=2",
        ],
        "needs messages",
    );
    refuses(
        &["run", "--fault", "namespace.2:add:at=start"],
        "beyond the last",
    );
    refuses(
        &["run", "--controller", "qemu", "--fault", "read:never"],
        "QEMU's device",
    );
    let real = ["run", "--controller", "vfio:0000:ff:1f.7", "--read-only"];
    refuses(
        &[&real[..], &["--fault", "register:absent=1ms:nth=3"]].concat(),
        "a real controller",
    );
    refuses(
        &[
            "serve",
            "--socket",
            "unused",
            "--fault",
            "any:die=gone:at=stop",
        ],
        "port driver",
    );
}

#[test]
fn writes_that_are_outstanding_when_one_fails_are_awaited_and_known() {
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("report.json");
    let fault = "write:status=2/80:nth=9";
    let arguments = [
        "io",
        "--profile",
        "plain,capacity=8M",
        "--rw",
        "write",
        "--qd",
        "8",
        "--ios",
        "64",
        "--fault",
        fault,
        "--report",
        report.to_str().unwrap(),
    ];
    portbed(&folder, &arguments);
    let report: Value = serde_json::from_slice(&std::fs::read(&report).unwrap()).unwrap();
    assert_eq!(report["faults"][0]["fired"], 1);
    assert_eq!(report["io"]["failed"], 1, "{:#}", report["io"]);
    assert_eq!(report["io"]["mismatched_bytes"], 0, "{:#}", report["io"]);
}

//! The command line with `--controller qemu`: what reaches the device, what is refused, and what is measured.

use std::io::Write as _;
use std::process::{Command, Output};

use portbed::controller::Qemu;
use serde_json::Value;

/// Runs the command on QEMU, which everybody must have where CI says so; elsewhere its absence is told.
fn portbed(command: &str, arguments: &[&str]) -> Option<Output> {
    if let Err(why) = Qemu::find(None) {
        assert!(std::env::var_os("CI").is_none(), "{why}");
        // Around the capture of the test harness, so that it is seen.
        let _ = writeln!(std::io::stderr(), "not tested: {why}");
        return None;
    }
    let mut portbed = Command::new(env!("CARGO_BIN_EXE_portbed"));
    portbed
        .args([command, "--controller", "qemu"])
        .args(arguments);
    Some(portbed.output().expect("portbed runs"))
}

/// What a run that passes says.
#[track_caller]
fn passes(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{complaint}");
    said
}

/// One line on standard error that says `why`, and exit status 2.
#[track_caller]
fn refuses(profile: &str, why: &str) {
    let Some(output) = portbed("run", &["--profile", profile]) else {
        return;
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains(why), "{profile}: {said}");
    assert_eq!(said.lines().count(), 1, "{profile}: {said}");
    assert_eq!(output.status.code(), Some(2), "{profile}: {said}");
}

#[test]
fn properties_reach_the_device_and_its_namespaces() {
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("report.json");
    let profile = "qemu:max_ioqpairs=4,mdts=5,logical_block_size=4096,capacity=16M,namespaces=2";
    let Some(output) = portbed(
        "run",
        &["--profile", profile, "--report", report.to_str().unwrap()],
    ) else {
        return;
    };
    let said = passes(&output);
    for part in [
        "transfers up to 128 KiB",
        "logical unit 0: NVMe QEMU NVMe Ctrl",
        "logical unit 1: NVMe QEMU NVMe Ctrl",
        "16 MiB in blocks of 4096 bytes",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let report: Value = serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
    assert_eq!(report["result"], "pass");
    assert_eq!(report["controller"]["kind"], "qemu");
    assert_eq!(report["controller"]["hmpre_bytes"], 0);
    assert_eq!(report["hmb"]["granted_bytes"], 0);
    assert!(report["io"]["verified_bytes"].as_u64() >= Some(32 << 20));
}

#[test]
fn a_property_that_qemu_does_not_take_is_refused_in_one_line() {
    refuses("qemu:nosuch=1", "Property 'nvme.nosuch' not found");
    refuses("qemu:max_ioqpairs=many", "max_ioqpairs");
    refuses("qemu:max_ioqpairs=0", "max_ioqpairs");
    refuses("qemu:logical_block_size=1000", "512 to 4096");
    refuses("qemu:mdts=99", "1 to 12");
    refuses("qemu:uuid=nonsense", "uuid");
    refuses("qemu:blkdebug.nosuch=1", "nosuch");
    refuses("qemu:blkdebug.inject-error.0.event=lunch", "lunch");
    refuses("qemu:mdts", "with a value");
}

#[test]
fn a_register_of_qemus_device_reads_as_it_should_not() {
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("report.json");
    let Some(output) = portbed(
        "io",
        &[
            "--fault",
            "register.vs:value=0x00010300:nth=1",
            "--ios",
            "20",
            "--report",
            report.to_str().unwrap(),
        ],
    ) else {
        return;
    };
    passes(&output);
    let report: Value = serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
    assert_eq!(report["faults"][0]["fired"], 1);
}

#[test]
fn a_stream_of_requests_is_verified_and_its_throughput_told() {
    let Some(output) = portbed(
        "io",
        &[
            "--rw",
            "randrw",
            "--bs",
            "16K",
            "--qd",
            "16",
            "--ios",
            "2000",
            "--cpus",
            "3",
            "--profile",
            "qemu:capacity=16M",
        ],
    ) else {
        return;
    };
    let said = passes(&output);
    let line = said
        .lines()
        .find(|line| line.contains("2000 requests of 16384 bytes, depth 16"));
    let line = line.unwrap_or_else(|| panic!("no throughput in {said}"));
    let number = |before: &str| {
        let end = line
            .find(before)
            .unwrap_or_else(|| panic!("{before}: {line}"));
        let digits = line[..end].rsplit([' ', '(']).next().unwrap_or_default();
        digits
            .parse::<f64>()
            .unwrap_or_else(|_| panic!("{before}: {line}"))
    };
    assert!(number(" a second here") > 0.0, "{line}");
    assert!(number(" MB/s") > 0.0, "{line}");
    // A submission doorbell for each request, and a completion doorbell for each or for several.
    assert!((1.0..=2.5).contains(&number(" register writes")), "{line}");
    assert!(number(" port driver calls") > 0.0, "{line}");
}

//! The command line: what it answers, what it refuses, and what it leaves behind.

mod pe;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A folder of its own for each test, for its files and for the temporary files of the command.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn file(&self, name: &str, contents: &[u8]) -> String {
        let path = self.path(name);
        fs::write(&path, contents).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portbed"));
        command
            .args(arguments)
            .current_dir(&self.folder)
            .env("TMPDIR", self.folder.path())
            .stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    fn contents(&self) -> BTreeSet<PathBuf> {
        fs::read_dir(&self.folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect()
    }

    /// One line on standard error that says `why`, exit status 2, and nothing left behind.
    #[track_caller]
    fn refuses(&self, arguments: &[&str], why: &str) {
        let before = self.contents();
        let output = self.run(arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(why), "{arguments:?}: {said}");
        assert_eq!(said.lines().count(), 1, "{arguments:?}: {said}");
        assert!(said.starts_with("portbed: "), "{said}");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{arguments:?}");
        assert_eq!(self.contents(), before, "{arguments:?}");
    }
}

#[test]
fn a_driver_that_cannot_be_loaded_is_refused() {
    let place = Place::new();
    let refuses = |file: &str, why: &str| place.refuses(&["run", "--driver", file], why);
    refuses("missing.sys", "missing.sys");
    refuses("/dev/zero", "no regular file");
    let pipe = place.path("pipe.sys");
    let mode = rustix::fs::Mode::RWXU;
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    refuses(pipe.to_str().unwrap(), "no regular file");
    let large = place.file("large.sys", b"");
    let file = File::options().write(true).open(&large).unwrap();
    file.set_len(1 << 40).unwrap();
    refuses(&large, "larger than 256 MiB");
    refuses(place.folder.path().to_str().unwrap(), "cannot be read");
    refuses(&place.file("empty.sys", b""), "not a PE");
    refuses(&place.file("text.sys", b"#!/bin/sh\n"), "not a PE");
    refuses(
        &place.file(
            "cut.sys",
            &pe::driver(pe::AMD64, "storport.sys", "X")[..300],
        ),
        "cut.sys",
    );
    refuses(
        &place.file(
            "arm.sys",
            &pe::driver(pe::ARM64, "storport.sys", "StorPortInitialize"),
        ),
        "x64",
    );
    refuses(
        &place.file(
            "odd.sys",
            &pe::driver(pe::AMD64, "storport.sys", "StorPortNoSuchCall"),
        ),
        "StorPortNoSuchCall",
    );
    refuses(
        &place.file(
            "net.sys",
            &pe::driver(pe::AMD64, "ndis.sys", "NdisAllocateMdl"),
        ),
        "NdisAllocateMdl",
    );
}

#[test]
fn a_disk_that_cannot_be_used_is_refused() {
    let place = Place::new();
    let refuses = |file: &str, why: &str| place.refuses(&["run", "--disk", file], why);
    refuses("missing.img", "No such file");
    refuses(place.folder.path().to_str().unwrap(), "no regular file");
    refuses("/dev/null", "no regular file");
    refuses(&place.file("empty.img", b""), "whole number");
    refuses(&place.file("odd.img", &[0; 1000]), "whole number");
    refuses(&place.file("small.img", &[0; 4096]), "8 MiB");
    let blocks = place.file("blocks.img", &vec![0; (16 << 20) + 512]);
    place.refuses(
        &["run", "--profile", "4k", "--disk", &blocks],
        "4096-byte blocks",
    );
    let read_only = place.file("read-only.img", &vec![0; 16 << 20]);
    let mut permissions = fs::metadata(&read_only).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(&read_only, permissions).unwrap();
    refuses(&read_only, "read-only");
    let held = place.file("held.img", &vec![0; 16 << 20]);
    let holder = File::open(&held).unwrap();
    holder.lock().unwrap();
    refuses(&held, "locked");
    let full = place.file("full.img", &vec![1; 16 << 20]);
    place.refuses(&["io", "--rw", "randwrite", "--disk", &full], "not blank");
}

#[test]
fn an_impossible_profile_is_refused() {
    let place = Place::new();
    let refuses = |profile: &str, why: &str| place.refuses(&["--profile", profile], why);
    refuses("dies=early", "lent:BYTES");
    refuses("hmpref=64M", "did you mean 'hmpre'");
    refuses("plian", "did you mean 'plain'");
    refuses("grant=all", "grant");
    refuses("block=513", "512 to 4096");
    refuses("capacity=1000", "whole number of blocks");
    refuses("capacity=1M", "8 MiB");
    refuses("namespaces=0", "one namespace");
    refuses(
        "hmpre=4M,hmmin=8M",
        "hmmin=8388608 is more than hmpre=4194304",
    );
    refuses("reg.HmbMaximumMegabytes=lots", "32 bits");
    refuses("", "''");
}

#[test]
fn a_report_that_could_not_be_written_is_refused_before_the_run() {
    let place = Place::new();
    let refuses = |file: &str, why: &str| place.refuses(&["run", "--report", file], why);
    refuses("missing/report.json", "missing/report.json");
    refuses(place.folder.path().to_str().unwrap(), "directory");
    refuses("/proc/portbed-report.json", "No such file or directory");
    refuses(&"n".repeat(300), "File name too long");
    refuses("/dev/full", "No space left on device");
    let pipe = place.path("pipe.json");
    let mode = rustix::fs::Mode::RWXU;
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    refuses(pipe.to_str().unwrap(), "No such device or address");
    let read_only = place.file("read-only.json", b"kept");
    let mut permissions = fs::metadata(&read_only).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(&read_only, permissions).unwrap();
    refuses(&read_only, "Permission denied");
}

/// A terminal would obey the control characters of an argument, whoever has written it.
#[test]
fn control_characters_of_arguments_do_not_reach_the_terminal() {
    let place = Place::new();
    let escape = "\u{1b}[31mred\u{7}\u{9b}1m";
    // Of options that are not known the sequences are left out, and what is no part of one is shown.
    let shown = r"\u{9b}1m";
    for arguments in [
        &["run", "--driver", escape][..],
        &["run", "--profile", escape],
        &["run", &format!("--{escape}")],
        &["run", "--controller", escape],
        &["run", "--disk", escape],
        &["run", "--report", &format!("missing/{escape}")],
        &["run", "--controller", "qemu", "--qemu", escape],
        &["serve", "--socket", "x", "--disk", escape],
    ] {
        place.refuses(arguments, shown);
        let said = place.run(arguments).stderr;
        assert!(!said.contains(&0x1b), "{arguments:?}");
    }
    place.refuses(&["run", "--driver", &"d".repeat(5000)], "...");
    let said = place.run(&["run", "--driver", &"d".repeat(5000)]).stderr;
    assert!(said.len() < 1100, "{}", said.len());
}

#[test]
fn an_option_that_is_not_understood_is_refused() {
    let place = Place::new();
    place.refuses(&["--cpus", "0"], "1..=128");
    place.refuses(&["--clock", "wall"], "threaded");
    place.refuses(&["--clock", "threaded", "--preempt", "9"], "--preempt");
    place.refuses(&["--preempt", "0"], "--preempt");
    place.refuses(&["--seeds", "2", "--report", "x"], "--seeds");
    place.refuses(&["run", "--cpus", "129"], "1..=128");
    place.refuses(&["run", "--seed", "lots"], "--seed");
    place.refuses(&["run", "--sed", "1"], "--seed");
    place.refuses(&["run", "--driver"], "--driver");
    place.refuses(&["run", "extra"], "extra");
    place.refuses(&["--controller", "qemu", "--profile", "4k"], "qemu:");
    place.refuses(&["--profile", "qemu:mdts=4"], "qemu:");
    let qemu = ["--controller", "qemu", "--qemu", "/bin/true"];
    place.refuses(&qemu, "/bin/true is no qemu");
    place.refuses(&["--controller", "vfio:0000:01:00.0"], "--yes-destroy-data");
    place.refuses(&["--controller", "nvme"], "no such controller");
    place.refuses(&["faults"], "faults");
    place.refuses(&["io", "--rw", "trim"], "randrw");
    place.refuses(&["io", "--bs", "100"], "--bs");
    place.refuses(&["io", "--bs", "1M", "--profile", "mdts=64K"], "mdts");
    place.refuses(&["io", "--qd", "0"], "--qd");
    place.refuses(&["io", "--ios", "0"], "--ios");
    place.refuses(&["run", "--qemu", "/bin/true"], "--controller qemu");
    place.refuses(&["--profile", "hmb,hmpre=1M,hmpre=2M"], "given twice");
}

#[test]
fn rules_and_profiles_are_listed() {
    let place = Place::new();
    let listed = |what: &str| {
        let output = place.run(&[what]);
        assert!(output.status.success());
        assert!(output.stderr.is_empty());
        String::from_utf8(output.stdout).unwrap()
    };
    let rules = listed("rules");
    assert!(
        portbed::rules::catalog()
            .iter()
            .all(|rule| rules.contains(rule.id) && rules.contains(rule.meaning))
    );
    let profiles = listed("profiles");
    for key in [
        "capacity",
        "hmminds",
        "grant",
        "stop",
        "reg.NAME",
        "two-namespaces",
    ] {
        assert!(profiles.contains(key), "{key}");
    }
    assert!(
        !rules.contains('\x1B') && !profiles.contains('\x1B'),
        "no colours in a pipe"
    );
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let place = Place::new();
    for arguments in [&["rules"][..], &["profiles"], &["--help"], &["run"]] {
        let mut child = place
            .command(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let mut said = String::new();
        child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut said)
            .unwrap();
        assert!(child.wait().unwrap().success(), "{arguments:?}: {said}");
        assert!(!said.contains("panicked"), "{arguments:?}: {said}");
    }
}

#[test]
fn the_main_job_passes_and_reports() {
    let place = Place::new();
    let report = report(&place, &[]);
    assert_eq!(report["result"], "pass");
    assert_eq!(report["rules"]["violations"], Value::Array(Vec::new()));
    let evaluated = report["rules"]["evaluated"].as_array().unwrap();
    assert_eq!(report["rules"]["checked"], evaluated.len());
    assert!(evaluated.contains(&"srb-once".into()) && evaluated.len() >= 40);
    assert!(report["io"]["verified_bytes"].as_u64() >= Some(64 << 20));
    assert_eq!(report["io"]["mismatched_bytes"], 0);
    let hmb = &report["hmb"];
    assert_eq!(hmb["granted_bytes"], report["controller"]["hmpre_bytes"]);
    assert!(hmb["enabled"].as_u64() > Some(0) && hmb["freed"].as_u64() > Some(0));
    assert_eq!(hmb["outstanding_bytes"], 0);
    assert_eq!(place.contents().len(), 1, "only the report is left");
}

#[test]
fn a_stream_of_requests_is_verified_and_measured() {
    let place = Place::new();
    let output = place.run(&[
        "io",
        "--rw",
        "randrw",
        "--qd",
        "8",
        "--ios",
        "500",
        "--profile",
        "capacity=8M",
    ]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}");
    assert!(
        said.contains("500 requests of 4096 bytes, depth 8"),
        "{said}"
    );
}

/// After the highest seed comes 0: of a namespace behind the first, and of the next run.
#[test]
fn the_highest_seed_is_one_like_any_other() {
    let place = Place::new();
    let small = [
        "io",
        "--ios",
        "5",
        "--profile",
        "plain,capacity=8M,namespaces=2",
    ];
    let seeded = |options: &[&str]| place.run(&[&small[..], options].concat());
    let output = seeded(&["--seed", "18446744073709551615"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let output = seeded(&["--seed", "18446744073709551615", "--seeds", "2"]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        said.contains("seed 18446744073709551615 held\n  seed 0      held"),
        "{said}"
    );
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let profile = ["--profile", "capacity=32M", "--seed", "77"];
    assert_eq!(
        report(&Place::new(), &profile),
        report(&Place::new(), &profile)
    );
}

#[test]
fn the_same_seed_pre_empts_at_the_same_instructions() {
    let profile = ["--profile", "capacity=8M", "--preempt", "64", "--seed"];
    let run = |seed| report(&Place::new(), &[&profile[..], &[seed]].concat());
    let first = run("5");
    assert_eq!(first, run("5"));
    assert_ne!(first["events"], run("6")["events"]);
}

#[test]
fn few_instructions_that_are_chosen_for_a_pre_emption_are_not_reached() {
    let output = Place::new().run(&[
        "io",
        "--profile",
        "plain,capacity=8M",
        "--ios",
        "30",
        "--qd",
        "4",
        "--preempt",
        "2",
    ]);
    let said = String::from_utf8_lossy(&output.stdout);
    let told = said
        .lines()
        .find(|line| line.contains("pre-empted"))
        .unwrap();
    let words = told.split_whitespace();
    let numbers: Vec<u64> = words.filter_map(|word| word.parse().ok()).collect();
    let [reached, lost] = numbers[..] else {
        panic!("{told}");
    };
    assert!(reached > 1000 && lost * 10 < reached, "{told}");
}

#[test]
fn a_failing_seed_is_told_and_replays() {
    let place = Place::new();
    // The controller is gone under I/O: requests fail.
    let profile = "capacity=8M,death=gone,dies=command:900";
    let failing = ["run", "--profile", profile, "--cpus", "3"];
    let first = place.run(&failing);
    let said = String::from_utf8(first.stdout).unwrap();
    assert_eq!(first.status.code(), Some(1), "{said}");
    let replay = said
        .lines()
        .find_map(|line| line.trim().strip_prefix("replay"));
    let replay = replay.expect("the command is told").trim();
    assert!(replay.ends_with("--seed 1"), "{replay}");
    let again = Command::new("sh").args(["-c", replay]).output().unwrap();
    assert_eq!(again.status.code(), Some(1));
    assert_eq!(String::from_utf8(again.stdout).unwrap(), said);

    let swept = place.run(&[&failing[..], &["--seeds", "2"]].concat());
    let told = String::from_utf8(swept.stdout).unwrap();
    assert_eq!(swept.status.code(), Some(1), "{told}");
    assert!(told.contains(replay), "{told}");
    assert!(told.contains("seeds [1, 2] of 2"), "{told}");
    let held = place.run(&["run", "--profile", "capacity=8M", "--seeds", "3"]);
    assert!(
        held.status.success(),
        "{}",
        String::from_utf8_lossy(&held.stdout)
    );
}

#[test]
fn a_blank_image_is_filled_and_what_it_then_holds_is_preserved() {
    let place = Place::new();
    let image = place.file("disk.img", b"");
    File::options()
        .write(true)
        .open(&image)
        .unwrap()
        .set_len(64 << 20)
        .unwrap();
    let first = report(&place, &["--disk", &image]);
    assert_eq!(first["result"], "pass");
    assert!(first["io"]["written_bytes"].as_u64() > Some(1 << 20));
    let filled = fs::read(&image).unwrap();
    let second = report(&place, &["--disk", &image]);
    assert_eq!(second["result"], "pass");
    assert_eq!(second["io"]["written_bytes"], 0);
    assert_eq!(second["io"]["verified_bytes"], 64 << 20);
    assert!(fs::read(&image).unwrap() == filled, "the image has changed");
}

/// Runs the project's own driver and gives the report.
#[track_caller]
fn report(place: &Place, arguments: &[&str]) -> Value {
    let path = place.path("report.json");
    let output = place.run(&[&["run", "--report", path.to_str().unwrap()], arguments].concat());
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    read(&path)
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn a_device_that_cannot_be_served_is_refused() {
    let place = Place::new();
    let refuses = |arguments: &[&str], why: &str| {
        place.refuses(&[&["serve"], arguments].concat(), why);
    };
    let taken = place.file("taken", b"");
    refuses(&[], "--socket");
    refuses(&["--socket", &taken], "exists already");
    refuses(&["--socket", "missing/socket"], "No such file");
    refuses(&["--socket", &"s".repeat(200)], "cannot listen");
    let profile = |text, why| refuses(&["--socket", "socket", "--profile", text], why);
    profile("grant=half", "'grant=half' is no profile");
    profile("reg.HmbMaximumMegabytes=1", "no registry");
    profile("qemu:mdts=5", "'qemu:mdts=5' is no profile");
    profile("block=513", "'513'");
    let without = [
        "--socket",
        "x",
        "--disk",
        &taken,
        "--profile",
        "namespaces=0",
    ];
    refuses(&without, "no namespace");
    refuses(&["--socket", "socket", "--disk", &taken], "whole number");
}

//! The faults of `tests/seeded/*.patch` can be put into the driver as it is now, and name what has to catch them. Whether they are
//! caught is for `scripts/seeded`, which builds a driver for each.
#![cfg(target_os = "linux")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nvme_model::Fault;
use portbed::cli::profile::Selection;
use portbed::rules::catalog;

fn workspace() -> PathBuf {
    wdk_linux::workspace().expect("the checkout")
}

fn patches() -> Vec<PathBuf> {
    patches_in("tests/seeded")
}

fn patches_in(folder: &str) -> Vec<PathBuf> {
    let folder = workspace().join(folder);
    let entries = fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let patches: Vec<PathBuf> = paths
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "patch")
        })
        .collect();
    assert!(!patches.is_empty());
    patches
}

/// The lines of this name in a patch's header, which is before the first file.
fn header_lines(patch: &Path, name: &str) -> Vec<String> {
    let text = fs::read_to_string(patch).unwrap();
    let (header, _) = text.split_once("\n--- a/").unwrap();
    let lines = header.lines();
    lines
        .filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
        .map(str::to_owned)
        .collect()
}

/// The only line of this name.
fn header(patch: &Path, name: &str) -> String {
    match header_lines(patch, name).as_slice() {
        [value] => value.clone(),
        _ => panic!("{} says no {name}, or several", patch.display()),
    }
}

/// A driver that has moved on takes its faults along: whoever moves the place of one mends its patch.
#[test]
fn every_fault_fits_the_driver() {
    let parsers = patches_in("tests/seeded/parsers");
    let misfits: Vec<String> = patches()
        .iter()
        .chain(&parsers)
        .filter_map(|patch| {
            let git = Command::new("git")
                .args(["apply", "--check"])
                .arg(patch)
                .current_dir(workspace())
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&git.stderr).into_owned();
            (!git.status.success()).then_some(said)
        })
        .collect();
    assert_eq!(misfits, [""; 0]);
}

#[test]
fn every_fault_names_a_rule_and_a_run() {
    let rules: BTreeSet<&str> = catalog().iter().map(|rule| rule.id).collect();
    for patch in patches() {
        let rule = header(&patch, "Caught by");
        assert!(
            ["data", "failure"].contains(&rule.as_str())
                || rule.starts_with("event ")
                || rules.contains(rule.as_str()),
            "{}: no rule is called {rule}",
            patch.display()
        );
        for fault in header_lines(&patch, "Fault") {
            let fault: Result<Fault, _> = fault.parse();
            assert!(fault.is_ok(), "{}: {fault:?}", patch.display());
        }
        let profile = Selection::parse(&header(&patch, "Profile"));
        assert!(profile.is_ok(), "{}: {profile:?}", patch.display());
    }
}

#[test]
fn the_faults_that_the_script_picks_are_there() {
    let script = fs::read_to_string(workspace().join("scripts/seeded")).unwrap();
    let (_, few) = script.split_once("\nfew=(").unwrap();
    let names: Vec<&str> = few.split(')').next().unwrap().split(' ').collect();
    let patches = patches();
    for name in names {
        let file = format!("{name}.patch");
        assert!(patches.iter().any(|patch| patch.ends_with(&file)), "{name}");
    }
}

#[test]
fn every_fault_of_a_parser_names_a_test() {
    let folder = workspace().join("crates/scsi/tests/translation");
    let files = fs::read_dir(folder).unwrap();
    let texts = files.map(|file| fs::read_to_string(file.unwrap().path()).unwrap());
    let texts: String = texts.collect();
    for patch in patches_in("tests/seeded/parsers") {
        let caught_by = header(&patch, "Caught by");
        let name = caught_by.strip_prefix("test ").unwrap();
        assert!(texts.contains(&format!("fn {name}(")), "{name}");
    }
}

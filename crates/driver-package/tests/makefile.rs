//! The tasks of `cargo make` on Linux, held against those of windows-drivers-rs and against the steps that they run.
#![cfg(target_os = "linux")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use driver_package::pipeline::STEPS;
use toml::{Table, Value};

fn workspace() -> PathBuf {
    wdk_linux::workspace().unwrap()
}

fn tasks(makefile: &Path) -> Table {
    let text = fs::read_to_string(makefile).unwrap();
    let makefile: Table = text.parse().unwrap();
    makefile["tasks"].as_table().unwrap().clone()
}

fn ours() -> Table {
    tasks(&workspace().join("wdk-linux/rust-driver-makefile.toml"))
}

/// The makefile of the wdk-build that the lock file names.
fn windows() -> Table {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked"])
        .current_dir(workspace())
        .output()
        .unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let wdk_build = packages
        .iter()
        .find(|package| package["name"] == "wdk-build");
    let manifest = wdk_build.unwrap()["manifest_path"].as_str().unwrap();
    tasks(&Path::new(manifest).with_file_name("rust-driver-makefile.toml"))
}

fn dependencies(tasks: &Table, task: &str) -> Vec<String> {
    let dependencies = tasks[task].get("dependencies").and_then(Value::as_array);
    let names = dependencies.into_iter().flatten();
    names
        .map(|name| name.as_str().unwrap().to_owned())
        .collect()
}

/// The tasks that one of windows-drivers-rs leads to, but for those that set up what only Windows needs.
fn reached(tasks: &Table, task: &str, into: &mut BTreeSet<String>) {
    const WINDOWS_ONLY: [&str; 5] = [
        "build",
        "copy-inx-to-output",
        "generate-driver-binary-file",
        "setup-wdk-config-env-vars",
        "signtool-verify",
    ];
    if WINDOWS_ONLY.contains(&task) || !into.insert(task.to_owned()) {
        return;
    }
    for dependency in dependencies(tasks, task) {
        reached(tasks, &dependency, into);
    }
}

#[test]
fn linux_has_the_tasks_of_windows_drivers_rs() {
    let (ours, windows) = (ours(), windows());
    let mut names = BTreeSet::new();
    reached(&windows, "package-driver-flow", &mut names);
    reached(&windows, "package-driver", &mut names);
    let present: BTreeSet<String> = ours
        .keys()
        .filter(|name| *name != "step")
        .cloned()
        .collect();
    assert_eq!(present, names);
    assert_eq!(
        dependencies(&ours, "package-driver"),
        dependencies(&windows, "package-driver")
    );
}

#[test]
fn every_task_runs_the_step_of_its_name() {
    let ours = ours();
    let mut run = Vec::new();
    for (name, task) in &ours {
        if let Some(step) = task.get("env").and_then(|env| env.get("STEP")) {
            assert_eq!(step.as_str(), Some(name.as_str()));
            assert_eq!(task["extend"].as_str(), Some("step"), "{name}");
            run.push(name.clone());
        }
    }
    let mut steps: Vec<String> = STEPS.iter().map(ToString::to_string).collect();
    steps.sort();
    run.sort();
    assert_eq!(run, steps);
}

/// A step that reads what a later one writes would work only where an earlier run has left it.
#[test]
fn the_steps_are_in_an_order_of_their_dependencies() {
    let ours = ours();
    for (index, step) in STEPS.iter().enumerate() {
        let before: Vec<String> = STEPS[..index].iter().map(ToString::to_string).collect();
        for dependency in dependencies(&ours, &step.to_string()) {
            assert!(
                dependency == "build" || before.contains(&dependency),
                "{step} needs {dependency}"
            );
        }
    }
}

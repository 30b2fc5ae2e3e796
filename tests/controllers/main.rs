//! One table: what is done on which controller, and what came of it.
//!
//! The scenarios of the model and of QEMU's device are executed here, each in a process of its own, and docs/controllers.md
//! has to say what came of them. Those of the guests are executed by scripts; `scripts/controllers` runs all and writes the
//! document.
#![cfg(target_os = "linux")]

#[path = "../bed/mod.rs"]
mod bed;
mod place;
mod scenarios;
mod table;

use std::collections::{BTreeMap, VecDeque};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use place::Place;
use portbed::controller::Qemu;
use scenarios::{Here, SCENARIOS, Scenario};

/// The environment variable that makes a test the process of one scenario: its number and its place.
const CASE: &str = "SCENARIO";
/// What a scenario may take, on a machine that does much else.
const LIMIT: Duration = Duration::from_mins(5);

impl Scenario {
    fn here(&self, place: Place) -> Here {
        match place {
            Place::Model => self.model,
            Place::Qemu => self.qemu,
        }
    }
}

/// The process of one scenario, when this test is called as that.
#[test]
fn one_scenario() {
    let Ok(case) = std::env::var(CASE) else {
        return;
    };
    let (number, place) = case.split_once(' ').expect("a number and a place");
    let number: usize = number.parse().expect("a number");
    let places = Place::ALL.into_iter();
    let place = places.clone().find(|known| known.name() == place);
    let place = place.expect("a place");
    match SCENARIOS[number].here(place) {
        Here::Done(done) => done(place),
        Here::Not(why) => panic!("not possible: {why}"),
    }
}

/// Executes a scenario in a process of its own: what it said, if it failed.
fn execute(number: usize, place: Place) -> Result<(), String> {
    let said = tempfile::NamedTempFile::new().expect("a file");
    let output = |file: &tempfile::NamedTempFile| Stdio::from(file.reopen().expect("a file"));
    let mut child = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "one_scenario", "--nocapture"])
        .env(CASE, format!("{number} {}", place.name()))
        .stdout(output(&said))
        .stderr(output(&said))
        .spawn()
        .expect("this test runs");
    let began = Instant::now();
    let status = loop {
        match child.try_wait().expect("a child") {
            Some(status) => break Some(status),
            None if began.elapsed() > LIMIT => break None,
            None => thread::sleep(Duration::from_millis(20)),
        }
    };
    if status.is_some_and(|status| status.success()) {
        return Ok(());
    }
    // One that has ended already cannot be killed, and needs not.
    let _ = child.kill();
    let _ = child.wait();
    let said = std::fs::read(said.path()).unwrap_or_default();
    let said = String::from_utf8_lossy(&said).into_owned();
    Err(format!(
        "{} on {}: {status:?}\n{said}",
        SCENARIOS[number].name,
        place.name()
    ))
}

/// Executes everything that can be done here, two at a time: what each came to.
fn execute_all(places: &[Place]) -> BTreeMap<(usize, &'static str), Result<(), String>> {
    let numbers = 0..SCENARIOS.len();
    let cases = numbers.flat_map(|number| places.iter().map(move |&place| (number, place)));
    let possible =
        cases.filter(|&(number, place)| matches!(SCENARIOS[number].here(place), Here::Done(_)));
    let left: Mutex<VecDeque<_>> = Mutex::new(possible.collect());
    let found = Mutex::new(BTreeMap::new());
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let next = left.lock().expect("no panic").pop_front();
                    let Some((number, place)) = next else {
                        break;
                    };
                    let result = execute(number, place);
                    let mut found = found.lock().expect("no panic");
                    found.insert((number, place.name()), result);
                }
            });
        }
    });
    found.into_inner().expect("no panic")
}

#[test]
fn the_document_says_what_came_of_the_scenarios() {
    if std::env::var_os(CASE).is_some() {
        return;
    }
    // Where CI says so, everybody has QEMU; elsewhere its absence is told in the table.
    let absent = Qemu::find(None).err().map(|why| why.to_string());
    assert!(
        absent.is_none() || std::env::var_os("CI").is_none(),
        "{absent:?}"
    );
    wdk_linux::image().expect("the image builds");
    let places = if absent.is_none() {
        &Place::ALL[..]
    } else {
        &[Place::Model]
    };
    let results = execute_all(places);
    let failures = results.values().filter_map(|result| result.as_ref().err());
    let failures: Vec<&String> = failures.collect();
    for failure in &failures {
        println!("{failure}");
    }
    assert!(failures.is_empty(), "{} scenarios failed", failures.len());
    table::agree(&results, absent.as_deref());
}

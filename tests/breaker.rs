//! Proof that rules fire: a small miniport is wrong in one way at a time, and the rule that this breaks is named.
//!
//! Each fault runs in a process of its own, because a driver that faults cannot be unwound.
#![cfg(target_os = "linux")]

#[path = "seeded/document.rs"]
mod document;
#[path = "seeded/breaker/src/faults.rs"]
mod faults;
#[path = "seeded/sdv.rs"]
mod sdv;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::thread;

use faults::{FAULTS, Fault};
use portbed::cli::profile::Selection;
use portbed::controller::ModelController;
use portbed::journal::Journal;
use portbed::machine::{
    Clock, Data, Machine, MachineError, MachineOptions, PowerAction, Request, SrbKind,
};
use portbed::rules::catalog;

/// Rules that no image can break, and why.
const UNBREAKABLE: &[(&str, &str)] = &[
    (
        "leak-requests",
        "the port driver gives a request up before it stops the adapter: srb-answered is broken then",
    ),
    (
        "leak-locks",
        "a lock is taken back when the callback that kept it returns: callback-locks is broken then",
    ),
];

/// What is written into the image where `DriverEntry` looks for its fault.
const MARK: &[u8] = b"fault at entry";
/// The environment variable that makes a test the process of one fault: the image, and the fault's number.
const CASE: &str = "BREAKER_CASE";
/// What precedes the rules that a fault broke, in the output of its process.
const BROKEN: &str = "broken:";
/// A command that the miniport keeps until the bus is reset.
const KEEP: u8 = 0xD0;

/// Everything from `DriverEntry` to removal, with some requests in between.
fn live(machine: &mut Machine, image: &Path, fault: Fault) -> Result<(), MachineError> {
    machine.load(image)?;
    machine.start_adapter()?;
    machine.enumerate()?;
    for round in 0..8_u8 {
        let opcode = if round % 2 == 0 { 0x2A } else { 0x28 };
        let cdb = vec![opcode, 0, 0, 0, 0, round, 0, 0, 32, 0];
        let data = if round % 2 == 0 {
            Data::Out(vec![round; 32 * 512])
        } else {
            Data::In(32 * 512)
        };
        let srb = if round < 4 {
            SrbKind::Scsi
        } else {
            SrbKind::Storage
        };
        machine.submit(Request {
            cdb,
            data,
            srb,
            buffer_offset: 516,
            ..Request::default()
        })?;
    }
    machine.drain()?;
    if matches!(fault, Fault::ResetFails | Fault::RequestLost) {
        machine.execute(Request {
            cdb: vec![KEEP; 6],
            timeout_s: 2,
            ..Request::default()
        })?;
    }
    machine.power_down(PowerAction::None)?;
    machine.power_up()?;
    machine.stop_and_remove()?;
    machine.pass(1_000_000_000)?;
    machine.unload()?;
    Ok(())
}

/// The rules that a fault breaks, in order, and the violations.
fn run(image: &Path, fault: Fault, profile: &str) -> (Vec<&'static str>, String) {
    let mut selection = Selection::parse(profile).expect("a profile");
    selection.registry.insert("Fault".to_owned(), fault as u32);
    selection.device.check().expect("a possible controller");
    let media = selection.device.memory();
    let mut machine = Machine::new(MachineOptions {
        cpus: 2,
        clock: Clock::default(),
        seed: 1,
        port: selection.port,
        registry: selection.registry,
        controllers: vec![Box::new(ModelController::new(&selection.device, media))],
        journal: Journal::default(),
    })
    .expect("a machine");
    // What broke a rule may well fail; what failed without that is told.
    let result = live(&mut machine, image, fault);
    let violations = machine.rules().violations();
    let mut rules = Vec::new();
    for violation in &violations {
        if !rules.contains(&violation.rule) {
            rules.push(violation.rule);
        }
    }
    assert!(!rules.is_empty() || result.is_ok(), "{result:?}");
    (rules, format!("{result:?} {violations:#?}"))
}

/// The image with the fault of `DriverEntry`, in a folder of its own.
fn marked(image: &Path, fault: Fault) -> tempfile::TempPath {
    let mut bytes = std::fs::read(image).expect("the image is there");
    let mark = bytes.windows(MARK.len()).position(|window| window == MARK);
    let place = mark.expect("the image has its mark") + MARK.len();
    bytes[place..place + 2].copy_from_slice(&(fault as u16).to_le_bytes());
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), bytes).expect("the image is written");
    file.into_temp_path()
}

/// The process of one fault, when this test is called as that.
#[test]
fn one_fault() {
    let Ok(case) = std::env::var(CASE) else {
        return;
    };
    let (number, image) = case.split_once(' ').expect("a number and an image");
    let number: u32 = number.parse().expect("a number");
    let chosen = FAULTS.iter().find(|(fault, ..)| *fault as u32 == number);
    let (fault, profile) = match chosen {
        None => (Fault::None, "hmb".to_owned()),
        Some(&(fault, _, own)) if own.contains("hmpre=") => (fault, own.to_owned()),
        // A small host memory buffer, where the fault needs no other.
        Some(&(fault, _, own)) => (fault, format!("{own},hmpre=2M,hmmin=1M")),
    };
    let image = marked(Path::new(image), fault);
    let (rules, violations) = run(&image, fault, &profile);
    println!("{BROKEN} {}\n{violations}", rules.join(" "));
}

/// Runs a fault in a process of its own: the rules that it broke, and everything that was said.
fn observe(image: &Path, fault: Fault) -> (Vec<String>, String) {
    let output = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "one_fault", "--nocapture"])
        .env(CASE, format!("{} {}", fault as u32, image.display()))
        .output()
        .expect("this test runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    let broken = said.lines().find_map(|line| line.split_once(BROKEN));
    let rules = broken.map_or_else(
        || vec!["(none was named)".to_owned()],
        |(_, rules)| rules.split_whitespace().map(str::to_owned).collect(),
    );
    (rules, said)
}

#[test]
fn each_fault_breaks_the_rules_that_it_names_and_every_rule_can_be_broken() {
    if std::env::var_os(CASE).is_some() {
        return;
    }
    let image = wdk_linux::breaker().expect("the image builds");
    let none = [(Fault::None, &[][..], "")];
    let left: Mutex<VecDeque<_>> = Mutex::new(none.iter().chain(FAULTS).collect());
    let found = Mutex::new(BTreeMap::new());
    let workers = thread::available_parallelism().map_or(2, usize::from);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let next = left.lock().expect("no panic").pop_front();
                    let Some(&(fault, expected, _)) = next else {
                        break;
                    };
                    let (rules, said) = observe(&image, fault);
                    let wrong = rules != expected;
                    let report = wrong.then(|| {
                        format!("{fault:?} broke {rules:?} instead of {expected:?}\n{said}")
                    });
                    found
                        .lock()
                        .expect("no panic")
                        .insert(fault as u32, (rules, report));
                }
            });
        }
    });
    let found = found.into_inner().expect("no panic");
    let wrong: Vec<&String> = found
        .values()
        .filter_map(|(_, report)| report.as_ref())
        .collect();
    for report in &wrong {
        println!("{report}");
    }
    assert!(wrong.is_empty(), "{} faults", wrong.len());
    let broken: BTreeSet<&str> = found
        .values()
        .flat_map(|(rules, _)| rules)
        .map(String::as_str)
        .collect();
    let unbroken: Vec<&str> = catalog()
        .iter()
        .map(|rule| rule.id)
        .filter(|id| !broken.contains(id))
        .collect();
    let excused: Vec<&str> = UNBREAKABLE.iter().map(|&(id, _)| id).collect();
    assert_eq!(
        unbroken, excused,
        "rules that no fault broke, and those that none can break"
    );
}

//! `docs/controllers.md`: a row for each scenario, a column for each controller.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

use crate::place::Place;
use crate::scenarios::{Elsewhere, Here, SCENARIOS, Scenario};

/// The environment variable with which the document is written instead of compared.
const WRITE: &str = "WRITE_DOCS";
/// Where `scripts/controllers` puts what the guests said.
const LOGS: &str = "target/controllers";
const GUESTS: [&str; 2] = ["vfio-guest", "linux-guest"];

const HEAD: &str = "# Controllers

What is done on which controller, and what came of it. `scripts/controllers` executes everything and writes this page; nothing in the
table is written by hand, and `cargo test` executes the columns *model* and *QEMU* again and compares.

- **model**: the driver, in portbed, on the software model of `crates/nvme-model`.
- **QEMU**: the driver, in portbed, on QEMU's NVMe device, which nobody here wrote.
- **VFIO guest**: the driver, in portbed, in a Linux guest with an emulated IOMMU, on a PCI device (`scripts/vfio-guest`).
- **Linux on the model**: Linux's own NVMe driver in a guest, on the model, which portbed serves as a PCI device
  (`scripts/linux-guest`).

*n/a* and *skipped* come with their reason.

| scenario | model | QEMU | VFIO guest | Linux on the model |
|---|---|---|---|---|
";

const TAIL: &str = "
What differs between the answers of the model and of QEMU's device to the same sequence of requests, and why, is listed in
`tests/differential`. What is special to QEMU's device (its slot, DMA, properties, other versions of QEMU) is tested in `tests/qemu`;
`scripts/qemu-versions` does so with newer versions than the distribution's.
";

fn root() -> PathBuf {
    wdk_linux::workspace().expect("the checkout")
}

type Results = BTreeMap<(usize, &'static str), Result<(), String>>;

/// The document is what came of the scenarios; with [`WRITE`] it is made so.
pub fn agree(results: &Results, absent: Option<&str>) {
    let path = root().join("docs/controllers.md");
    let rows: Vec<[String; 3]> = (0..)
        .zip(SCENARIOS)
        .map(|(number, scenario)| row(number, scenario, results, absent))
        .collect();
    if std::env::var_os(WRITE).is_some() {
        fs::write(&path, document(&rows)).expect("docs/controllers.md is written");
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    let table: Vec<Vec<&str>> = found.lines().filter_map(cells).skip(2).collect();
    let advice = format!("run scripts/controllers, or `{WRITE}=1 cargo test --test controllers`");
    assert_eq!(
        table.len(),
        rows.len(),
        "rows of docs/controllers.md: {advice}"
    );
    for (found, expected) in table.iter().zip(&rows) {
        let known = if absent.is_some() { 2 } else { 3 };
        assert_eq!(found[..known], expected[..known], "{advice}");
        let guests = &found[3..];
        let told = ["passed", "n/a: ", "skipped: "];
        let sound = |cell: &&str| told.iter().any(|start| cell.starts_with(start));
        assert!(guests.iter().all(sound), "{found:?}");
        assert_eq!(guests.len(), GUESTS.len(), "{found:?}");
    }
}

/// The cells of a row of a table.
fn cells(line: &str) -> Option<Vec<&str>> {
    let row = line.strip_prefix('|')?.strip_suffix('|')?;
    Some(row.split('|').map(str::trim).collect())
}

fn row(number: usize, scenario: &Scenario, results: &Results, absent: Option<&str>) -> [String; 3] {
    let cell = |place: Place| match (scenario.here(place), results.get(&(number, place.name()))) {
        (Here::Not(why), _) => format!("n/a: {why}"),
        (Here::Done(_), Some(Ok(()))) => "passed".to_owned(),
        (Here::Done(_), Some(Err(_))) => "failed".to_owned(),
        (Here::Done(_), None) => format!("skipped: {}", absent.unwrap_or("it was not done")),
    };
    [
        scenario.name.to_owned(),
        cell(Place::Model),
        cell(Place::Qemu),
    ]
}

fn document(rows: &[[String; 3]]) -> String {
    let logs = GUESTS.map(|guest| {
        let log = fs::read_to_string(root().join(LOGS).join(format!("{guest}.log")));
        log.map_err(|_| format!("scripts/{guest} was not run"))
    });
    let mut text = HEAD.to_owned();
    for (row, scenario) in rows.iter().zip(SCENARIOS) {
        let guests = [scenario.vfio, scenario.linux];
        let guests = guests.iter().zip(&logs);
        let guests = guests.map(|(scenario, log)| guest(*scenario, log.as_deref()));
        let cells: Vec<String> = row.iter().cloned().chain(guests).collect();
        writeln!(text, "| {} |", cells.join(" | ")).expect("a string takes everything");
    }
    text + TAIL
}

/// What the lines `scenario: NAME passed|failed: REASON|skipped: REASON` of a guest's script say of a row.
fn guest(scenario: Elsewhere, log: Result<&str, &String>) -> String {
    let (names, log) = match (scenario, log) {
        (Elsewhere::Not(why), _) => return format!("n/a: {why}"),
        (Elsewhere::By(_), Err(why)) => return format!("skipped: {why}"),
        (Elsewhere::By(names), Ok(log)) => (names, log),
    };
    let outcome = |name: &&str| {
        let start = format!("scenario: {name} ");
        let line = log.lines().find_map(|line| line.strip_prefix(&start));
        line.map_or_else(
            || format!("skipped: the guest's script does not know {name}"),
            |outcome| outcome.replace('|', "/"),
        )
    };
    let outcomes: Vec<String> = names.iter().map(outcome).collect();
    let worst = |start: &str| outcomes.iter().find(|outcome| outcome.starts_with(start));
    let worst = worst("failed").or_else(|| worst("skipped"));
    worst.map_or_else(|| "passed".to_owned(), Clone::clone)
}

#[test]
fn a_row_is_passed_only_when_all_that_shows_it_passed() {
    let log = "noise\nscenario: a passed\nscenario: b failed: it broke\nscenario: c skipped: no | kernel\n";
    let row = |names| guest(Elsewhere::By(names), Ok(log));
    assert_eq!(row(&["a"]), "passed");
    assert_eq!(row(&["a", "c"]), "skipped: no / kernel");
    assert_eq!(row(&["c", "b"]), "failed: it broke");
    assert_eq!(
        row(&["a", "d"]),
        "skipped: the guest's script does not know d"
    );
    assert_eq!(guest(Elsewhere::Not("so"), Ok(log)), "n/a: so");
    let absent = "scripts/x was not run".to_owned();
    assert_eq!(
        guest(Elsewhere::By(&["a"]), Err(&absent)),
        "skipped: scripts/x was not run"
    );
    assert_eq!(cells("| a | b: c |"), Some(vec!["a", "b: c"]));
    assert_eq!(cells("| a"), None);
}

//! The tables of settings and events in the guide, held against the driver's sources and the INF.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use driver_package::inf::Inf;

/// As cargo names it at run time: the test program may have been copied with the `target` folder that it is in.
fn workspace() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").unwrap();
    Path::new(&package).join("../..")
}

fn read(name: &str) -> String {
    fs::read_to_string(workspace().join(name)).unwrap()
}

/// The rows of the table below a heading of the guide: the cells, without code marks.
fn table(heading: &str) -> Vec<Vec<String>> {
    let guide = read("docs/windows.md");
    let (_, section) = guide.split_once(&format!("\n## {heading}\n")).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with('|'));
    rows.skip(2)
        .map(|row| {
            let row = row.trim_matches('|').replace('`', "");
            row.split('|').map(|cell| cell.trim().to_owned()).collect()
        })
        .collect()
}

/// All sources of the driver.
fn sources() -> String {
    fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, files);
            } else {
                files.push(path);
            }
        }
    }
    let mut files = Vec::new();
    collect(&workspace().join("driver"), &mut files);
    files.sort();
    files
        .iter()
        .map(|file| fs::read_to_string(file).unwrap())
        .collect()
}

/// What stands between two marks, each time that they occur.
fn between<'a>(text: &'a str, from: &'a str, to: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(from)
        .skip(1)
        .filter_map(move |rest| rest.split(to).next())
}

/// Every `REG_DWORD` that the INF writes: name and value.
fn written() -> BTreeMap<String, String> {
    let inf = Inf::parse(read("inf/ferrostor.inx").as_bytes());
    let sections = ["Hardware", "PortParameters", "DriverParameters"];
    let entries = sections.iter().flat_map(|section| inf.entries(section));
    entries
        .filter(|entry| entry.values.len() == 5)
        .map(|entry| (inf.text(entry, 2), inf.text(entry, 4)))
        .collect()
}

#[test]
fn every_setting_that_the_inf_writes_is_documented_with_its_default() {
    let documented: BTreeMap<String, String> = table("Settings")
        .into_iter()
        .map(|row| {
            let name = row[0].split(' ').next().unwrap().to_owned();
            (name, row[1].clone())
        })
        .collect();
    assert_eq!(documented, written());
}

#[test]
fn every_parameter_that_the_driver_reads_has_its_default_in_the_inf() {
    let default = nvme::hmb::Policy::default();
    let defaults = [
        ("HmbMaximumMegabytes", default.maximum_megabytes),
        (
            "HmbHonourMinimumUpToMegabytes",
            default.honour_minimum_up_to_megabytes,
        ),
        ("HmbTotalMegabytes", default.total_megabytes),
        ("Quirks", 0),
    ];
    let read = read("driver/control/policy.rs");
    let names: Vec<&str> = between(&read, "c\"", "\"").collect();
    assert_eq!(
        names,
        defaults.map(|(name, _)| name),
        "the parameters of driver/control/policy.rs"
    );
    for (name, value) in defaults {
        assert_eq!(written()[name], value.to_string(), "{name}");
    }
    let driver: Vec<String> = table("Settings")
        .into_iter()
        .filter(|row| row[2] == "driver")
        .map(|row| row[0].clone())
        .collect();
    assert_eq!(driver, names);
}

#[test]
fn every_event_is_documented_with_its_text_and_parameters() {
    let sources = sources();
    let numbers: BTreeMap<&str, &str> = between(&sources, "mod event_id {", "}")
        .flat_map(|module| between(module, "const ", ";"))
        .filter_map(|constant| constant.split_once(": u32 = "))
        .collect();
    let mut events = BTreeMap::new();
    for event in between(&sources, "id: event_id::", "\n}\n") {
        let (name, rest) = event.split_once(',').unwrap();
        let mut texts = between(rest, "text!(\"", "\"");
        let text = texts.next().unwrap().to_owned();
        let parameters: Vec<&str> = texts.collect();
        events.insert(numbers[name], (text, parameters.join(", ")));
    }
    assert_eq!(events.len(), numbers.len(), "every number is an event's");
    let documented = table("Events");
    let documented: BTreeMap<&str, (String, String)> = documented
        .iter()
        .map(|row| (row[0].as_str(), (row[1].clone(), row[2].clone())))
        .collect();
    assert_eq!(documented, events);
}

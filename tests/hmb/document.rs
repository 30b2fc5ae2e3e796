//! The table of scenarios in `docs/hmb.md`, held against the tests.

use std::collections::BTreeSet;
use std::fs;

/// Parts of this program whose tests are scenarios, each with a row.
const SCENARIOS: [&str; 6] = ["answers", "downgrade", "irql", "power", "removal", "sizes"];

fn read(path: &str) -> String {
    let root = wdk_linux::workspace().expect("the checkout");
    fs::read_to_string(root.join(path)).expect(path)
}

/// The tests in a source, by module and name.
fn tests(module: &str, path: &str) -> BTreeSet<String> {
    let source = read(path);
    let after = source.split("#[test]").skip(1);
    after
        .filter_map(|text| text.split_once("fn ")?.1.split_once('('))
        .map(|(name, _)| format!("{module}::{name}"))
        .collect()
}

/// The tests that the rows name.
fn rows() -> Vec<String> {
    let page = read("docs/hmb.md");
    let (_, section) = page.split_once("\n## Scenarios\n").expect("the section");
    let section = section.split("\n## ").next().expect("its text");
    let cells = section.lines().filter_map(|line| line.strip_suffix("` |"));
    cells
        .filter_map(|line| Some(line.rsplit_once('`')?.1.to_owned()))
        .collect()
}

#[test]
fn every_row_names_a_test_and_every_scenario_has_a_row() {
    let of_module = |module: &&str| tests(module, &format!("tests/hmb/{module}.rs"));
    let scenarios: BTreeSet<String> = SCENARIOS.iter().flat_map(of_module).collect();
    let mut known = tests("lifecycle", "tests/lifecycle.rs");
    known.extend(scenarios.iter().cloned());
    let rows = rows();
    let named: BTreeSet<String> = rows.iter().cloned().collect();
    assert_eq!(named.len(), rows.len(), "a test has one row");
    let gone: Vec<_> = named.difference(&known).collect();
    assert!(gone.is_empty(), "rows without a test: {gone:#?}");
    let untold: Vec<_> = scenarios.difference(&named).collect();
    assert!(untold.is_empty(), "scenarios without a row: {untold:#?}");
    assert!(named.len() > 60, "only {} rows", named.len());
}

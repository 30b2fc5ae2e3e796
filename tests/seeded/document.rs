//! `docs/rules.md` is what the code says.

use std::fmt::Write;

use portbed::rules::{Rule, catalog, not_carried_out};

use crate::faults::FAULTS;
use crate::sdv::SDV;

/// The environment variable with which the document is written instead of compared.
const WRITE: &str = "WRITE_DOCS";

const HEAD: &str = "# Rules

What portbed holds a miniport to. Each rule has a source: a page of the Windows driver documentation by its name, a bug check, a rule
of Static Driver Verifier (SDV), or a section of the NVMe specifications. `portbed rules` prints the same list. A run reports a rule
as checked once it was evaluated; a broken one is reported with the callback or call in which that happened.

The last column names the faults of `tests/seeded/breaker`, a small miniport that is wrong in one way at a time, that break the rule
in `tests/breaker.rs`. The rules without one are listed there with the reason why no miniport can break them.
";

const SDV_HEAD: &str = "
## Rules of Static Driver Verifier

SDV looks at the source of a driver; its last version came with a WDK that is no longer current. These are its rules for Storport, and
what holds a miniport to them here, when it runs: a path that no run takes is not judged.

| rule of SDV | here | |
|---|---|---|
";

const NOT_CARRIED_OUT: &str = "
## Extended functions that are not carried out

`StorPortExtendedFunction` answers these with STOR_STATUS_NOT_IMPLEMENTED, as an older Windows does, and the timeline names each when
it is called for the first time. A code of no documented function breaks `call-documented`.

| code | function | why not |
|---|---|---|
";

fn document() -> String {
    let (controller, port): (Vec<&Rule>, Vec<&Rule>) = catalog()
        .into_iter()
        .partition(|rule| rule.id.starts_with("nvme-"));
    let mut text = HEAD.to_owned();
    table(&mut text, "What the port driver judges", &port);
    table(&mut text, "What the controller judges", &controller);
    text += SDV_HEAD;
    for rule in SDV {
        let ours: Vec<String> = rule.covered_by.iter().map(|id| format!("`{id}`")).collect();
        let ours = ours.join(", ");
        writeln!(text, "| {} | {ours} | {} |", rule.name, rule.note)
            .expect("a string takes everything");
    }
    text += NOT_CARRIED_OUT;
    for (code, name, why) in not_carried_out() {
        writeln!(text, "| {code} | {name} | {why} |").expect("a string takes everything");
    }
    text
}

fn table(text: &mut String, title: &str, rules: &[&Rule]) {
    let head = "| rule | what holds | source | faults |\n|---|---|---|---|";
    writeln!(text, "\n## {title}\n\n{head}").expect("a string takes everything");
    for Rule {
        id,
        meaning,
        source,
    } in rules
    {
        let faults: Vec<String> = FAULTS
            .iter()
            .filter(|(_, broken, _)| broken.contains(id))
            .map(|(fault, ..)| format!("{fault:?}"))
            .collect();
        let faults = faults.join(", ");
        writeln!(text, "| `{id}` | {meaning} | {source} | {faults} |")
            .expect("a string takes everything");
    }
}

#[test]
fn every_rule_of_sdv_is_covered_or_concerns_others() {
    let known: Vec<&str> = catalog().iter().map(|rule| rule.id).collect();
    for (rule, next) in SDV.iter().zip(SDV.iter().skip(1)) {
        assert!(rule.name < next.name, "{} is out of order", next.name);
    }
    assert_eq!(SDV.len(), 44, "the documented rules");
    for rule in SDV {
        let name = rule.name;
        assert!(
            !rule.covered_by.is_empty() || !rule.note.is_empty(),
            "{name}"
        );
        for id in rule.covered_by {
            assert!(known.contains(id), "{name}: there is no rule {id}");
        }
    }
    // A rule here that names one of SDV as its source covers it.
    for rule in catalog() {
        let Some((_, named)) = rule.source.split_once("SDV rule") else {
            continue;
        };
        for name in named.trim_start_matches('s').split(',').map(str::trim) {
            let listed = SDV.iter().find(|sdv| sdv.name == name);
            let covers = listed.is_some_and(|sdv| sdv.covered_by.contains(&rule.id));
            assert!(covers, "{} names {name}", rule.id);
        }
    }
}

#[test]
fn the_document_lists_the_rules_of_the_code() {
    let path = wdk_linux::workspace()
        .expect("the checkout")
        .join("docs/rules.md");
    let document = document();
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(&path, &document).expect("docs/rules.md is written");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == document,
        "docs/rules.md is not what the code says: run `{WRITE}=1 cargo test --test breaker`"
    );
}

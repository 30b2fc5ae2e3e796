//! The rules that the INF of an isolated storage driver keeps, each with an id, and what breaks them, each with its line.
//!
//! Windows accepts much of what is forbidden here, and then installs something that cannot be removed, fails the hardware
//! laboratory's `InfVerif`, or does not start from the boot loader.

mod install;
mod registry;
mod rule;
mod service;
mod standard;
mod storage;
mod strings;
#[cfg(test)]
mod tests;
mod version;

use std::collections::BTreeSet;
use std::fmt;

use crate::inf::{Entry, Inf, Section};
pub use rule::{RULES, Rule};

/// Something that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The line, counted from 1.
    pub line: usize,
    /// The rule that is broken.
    pub rule: Rule,
    /// What breaks it.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}: {}", self.line, self.rule, self.what)
    }
}

/// Checks an INF. The findings are in the order of their lines; an INF that is fit to ship has none.
#[must_use]
pub fn lint(inf: &Inf) -> Vec<Finding> {
    let mut lint = Lint {
        inf,
        findings: Vec::new(),
        reached: BTreeSet::new(),
        copied: Vec::new(),
        values: Vec::new(),
    };
    lint.file();
    lint.version();
    lint.strings();
    lint.manufacturers();
    lint.source_files();
    lint.storage();
    lint.standard_sections();
    lint.every_section_is_reached();
    lint.findings
        .sort_by_key(|finding| (finding.line, finding.rule.id()));
    lint.findings.dedup();
    lint.findings
}

/// An INF on the way through the rules.
struct Lint<'a> {
    inf: &'a Inf,
    findings: Vec<Finding>,
    /// The sections that something leads to, in lower case.
    reached: BTreeSet<String>,
    /// The files that are copied, and where that is said.
    copied: Vec<(String, usize)>,
    /// The registry values that are written.
    values: Vec<registry::Value>,
}

impl<'a> Lint<'a> {
    fn find(&mut self, line: usize, rule: Rule, what: impl Into<String>) {
        self.findings.push(Finding {
            line,
            rule,
            what: what.into(),
        });
    }

    /// Encoding, syntax, and sections that are there twice.
    fn file(&mut self) {
        if self.inf.encoding.is_none() {
            let what = "the file is neither ASCII nor UTF-16 with a little-endian mark";
            self.find(1, Rule::Encoding, what);
        }
        for fault in &self.inf.faults {
            self.find(fault.line, Rule::Syntax, fault.what);
        }
        let mut seen = BTreeSet::new();
        for section in &self.inf.sections {
            if !seen.insert(section.name.to_ascii_lowercase()) {
                let what = format!("[{}] is there already", section.name);
                self.find(section.line, Rule::SectionOnce, what);
            }
        }
    }

    /// The section that a directive names, which must exist.
    fn section(&mut self, name: &str, line: usize) -> Option<&'a Section> {
        let found = self.inf.sections_named(name).next();
        self.reached.insert(name.to_ascii_lowercase());
        if found.is_none() {
            self.find(
                line,
                Rule::SectionExists,
                format!("there is no section [{name}]"),
            );
        }
        found
    }

    /// Entries whose keys must be among some, and there once.
    fn keys(&mut self, section: &'a Section, allowed: &[&str]) {
        let mut seen = BTreeSet::new();
        for entry in &section.entries {
            let Some(key) = &entry.key else {
                let what = format!("[{}] takes directives only", section.name);
                self.find(entry.line, Rule::Directive, what);
                continue;
            };
            if !allowed.iter().any(|name| key.eq_ignore_ascii_case(name)) {
                let what = format!("{key} is not allowed in [{}]", section.name);
                self.find(entry.line, Rule::Directive, what);
            }
            if !seen.insert(key.to_ascii_lowercase()) && !standard::repeats(key) {
                self.find(entry.line, Rule::EntryOnce, format!("{key} is set already"));
            }
        }
    }

    /// The values of an entry with their strings put in.
    fn texts(&self, entry: &Entry) -> Vec<String> {
        (0..entry.values.len())
            .map(|index| self.inf.text(entry, index))
            .collect()
    }

    fn every_section_is_reached(&mut self) {
        for name in ["version", "manufacturer"] {
            self.reached.insert(name.to_owned());
        }
        for section in &self.inf.sections {
            if !self.reached.contains(&section.name.to_ascii_lowercase()) {
                let what = format!("nothing leads to [{}]", section.name);
                self.find(section.line, Rule::SectionReached, what);
            }
        }
    }
}

/// A number as an INF has it: decimal, or hexadecimal after `0x`.
fn number(text: &str) -> Option<u32> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

//! Sections and directives that an INF may have by Windows' documentation, whether or not this driver's INF does.

use super::{Lint, Rule};
use crate::inf::Section;

/// Sections that Windows looks for by their names, beside `[Version]`, `[Manufacturer]` and `[Strings]`.
const STANDARD: [&str; 2] = ["DestinationDirs", "ControlFlags"];

/// Sections that may end in the name of an architecture.
const BY_ARCHITECTURE: [&str; 2] = ["SourceDisksFiles", "SourceDisksNames"];

/// The architectures that such names end in.
const SUFFIXES: [&str; 6] = ["", ".x86", ".ia64", ".amd64", ".arm", ".arm64"];

/// What the name of a section may end in that belongs to an install section, beside `.HW` and `.Services`.
const PARTS: [&str; 6] = [
    "Interfaces",
    "Wdf",
    "Components",
    "Software",
    "Events",
    "Filters",
];

/// Directives that may be given on several lines: each is processed.
const REPEATED: [&str; 13] = [
    "AddReg",
    "CopyFiles",
    "Include",
    "Needs",
    "AddService",
    "AddInterface",
    "AddComponent",
    "AddSoftware",
    "AddEventProvider",
    "AddFilter",
    "AddProperty",
    "AddTrigger",
    "KmdfService",
];

/// Entries of `[ControlFlags]`; the first may end in an architecture.
const CONTROL: [&str; 4] = [
    "ExcludeFromSelect",
    "CopyFilesOnly",
    "InteractiveInstall",
    "RequestAdditionalSoftware",
];

/// May this directive stand on several lines of a section?
pub(super) fn repeats(key: &str) -> bool {
    REPEATED.iter().any(|name| key.eq_ignore_ascii_case(name))
}

/// The names that a section has for all architectures and for each.
pub(super) fn by_architecture(name: &str) -> impl Iterator<Item = String> {
    SUFFIXES.iter().map(move |suffix| format!("{name}{suffix}"))
}

/// Is this `[Strings]`, or those of a language: `[Strings.0407]`?
pub(super) fn is_strings(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let language = |rest: &str| {
        rest.strip_prefix('.')
            .is_some_and(|id| id.len() == 4 && id.bytes().all(|digit| digit.is_ascii_hexdigit()))
    };
    lower
        .strip_prefix("strings")
        .is_some_and(|rest| rest.is_empty() || language(rest))
}

/// The name of an entry without the architecture that it is for: `CatalogFile` of `CatalogFile.NTamd64`.
pub(super) fn undecorated(key: &str) -> &str {
    match key.split_once('.') {
        Some((name, architecture)) if is_architecture(architecture) => name,
        _ => key,
    }
}

fn is_architecture(decoration: &str) -> bool {
    let names = ["NT", "NTx86", "NTia64", "NTamd64", "NTarm", "NTarm64"];
    names
        .iter()
        .any(|name| decoration.eq_ignore_ascii_case(name))
}

impl<'a> Lint<'a> {
    /// Marks what Windows finds by its name, and what that leads to; tells what a package for devices may not have.
    pub(super) fn standard_sections(&mut self) {
        let by_architecture = BY_ARCHITECTURE
            .iter()
            .flat_map(|name| by_architecture(name));
        let names = STANDARD.iter().map(|name| (*name).to_owned());
        for name in names.chain(by_architecture) {
            self.reached.insert(name.to_ascii_lowercase());
        }
        let inf = self.inf;
        for section in &inf.sections {
            let lower = section.name.to_ascii_lowercase();
            if is_strings(&lower) {
                self.reached.insert(lower);
            } else if lower.starts_with("signatureattributes") || lower == "interfaceinstall32" {
                self.follow(section);
            } else if lower.starts_with("defaultuninstall") {
                // Of a package that is for no device; harmless here.
                self.follow(section);
            } else if lower.starts_with("defaultinstall") || lower.starts_with("classinstall32") {
                self.follow(section);
                let what = format!(
                    "[{}] is not for a package with devices of a class of Windows",
                    section.name
                );
                self.find(section.line, Rule::Directive, what);
            }
        }
        self.control_flags();
    }

    fn control_flags(&mut self) {
        let inf = self.inf;
        for entry in inf.entries("ControlFlags") {
            let key = entry.key.as_deref().unwrap_or_default();
            let name = undecorated(key);
            if !CONTROL.iter().any(|known| known.eq_ignore_ascii_case(name)) {
                let what = format!("{key:?} is not allowed in [ControlFlags]");
                self.find(entry.line, Rule::Directive, what);
            }
        }
    }

    /// The other parts of an install section.
    pub(super) fn parts(&mut self, install: &str) {
        for part in PARTS {
            let name = format!("{install}.{part}");
            if let Some(section) = self.inf.sections_named(&name).next() {
                self.follow(section);
            }
        }
    }

    /// Marks a section and those that its values name. What is in them is not looked at: it is none of this driver's.
    fn follow(&mut self, section: &'a Section) {
        if !self.reached.insert(section.name.to_ascii_lowercase()) {
            return;
        }
        for entry in &section.entries {
            for name in self.texts(entry) {
                if let Some(section) = self.inf.sections_named(&name).next() {
                    self.follow(section);
                }
            }
        }
    }
}

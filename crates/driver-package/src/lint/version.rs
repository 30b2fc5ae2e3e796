//! `[Version]`.

use super::{Lint, Rule};
use crate::stamp::{Date, Version};

/// The class of storage controllers.
const CLASS: &str = "SCSIAdapter";
const CLASS_GUID: &str = "{4d36e97b-e325-11ce-bfc1-08002be10318}";

const ENTRIES: [&str; 7] = [
    "Signature",
    "Class",
    "ClassGuid",
    "Provider",
    "CatalogFile",
    "DriverVer",
    "PnpLockdown",
];

impl Lint<'_> {
    pub(super) fn version(&mut self) {
        let Some(section) = self.section("Version", 1) else {
            return;
        };
        self.keys(section, &ENTRIES);
        for name in ENTRIES {
            match section.entries.iter().find(|entry| entry.has_key(name)) {
                Some(entry) => {
                    let value = self.inf.text(entry, 0);
                    self.version_entry(name, &value, &entry.values, entry.line);
                }
                None => self.find(
                    section.line,
                    Rule::VersionEntry,
                    format!("{name} is missing"),
                ),
            }
        }
    }

    fn version_entry(&mut self, name: &str, value: &str, values: &[String], line: usize) {
        let (rule, held, wanted) = match name {
            "Signature" => {
                let held = value.eq_ignore_ascii_case("$WINDOWS NT$");
                (Rule::VersionEntry, held, "\"$WINDOWS NT$\"")
            }
            "Provider" => (Rule::VersionEntry, !value.is_empty(), "a name"),
            "Class" => (Rule::Class, value.eq_ignore_ascii_case(CLASS), CLASS),
            "ClassGuid" => (
                Rule::Class,
                value.eq_ignore_ascii_case(CLASS_GUID),
                CLASS_GUID,
            ),
            "CatalogFile" => {
                let stem = value.strip_suffix(".cat");
                let plain = |stem: &str| !stem.is_empty() && !stem.contains(['\\', '/', ':']);
                (
                    Rule::CatalogName,
                    stem.is_some_and(plain),
                    "a file name that ends in .cat",
                )
            }
            "PnpLockdown" => (Rule::PnpLockdown, value == "1", "1"),
            _ => {
                let form = "a date as mm/dd/yyyy and a version as 1.2.3.4, each number below 65536";
                (Rule::DriverVersion, is_driver_version(values), form)
            }
        };
        if !held {
            self.find(line, rule, format!("{name} is not {wanted}"));
        }
    }
}

fn is_driver_version(values: &[String]) -> bool {
    let [date, version] = values else {
        return false;
    };
    let digits = date.len() == "mm/dd/yyyy".len();
    let numbers = version.split('.').count() == 4;
    digits && numbers && Date::from_inf(date).is_some() && Version::parse(version).is_some()
}

//! `[Version]`.

use super::standard::undecorated;
use super::{Lint, Rule};
use crate::stamp::{Date, Version};

/// The class of storage controllers.
const CLASS: &str = "SCSIAdapter";
const CATALOG: &str = "CatalogFile";
const CLASS_GUID: &str = "{4d36e97b-e325-11ce-bfc1-08002be10318}";

/// What has to be there.
const ENTRIES: [&str; 7] = [
    "Signature",
    "Class",
    "ClassGuid",
    "Provider",
    CATALOG,
    "DriverVer",
    "PnpLockdown",
];

/// What may be there besides.
const OPTIONAL: [&str; 2] = ["DriverPackageDisplayName", "DriverPackageType"];

/// The first day that `Inf2Cat` takes for a version of a driver of these systems.
const FIRST_DAY: (u16, u8, u8) = (2009, 4, 21);

impl Lint<'_> {
    pub(super) fn version(&mut self) {
        let Some(section) = self.section("Version", 1) else {
            return;
        };
        let decorated = section.entries.iter().filter_map(|entry| {
            let key = entry.key.as_deref()?;
            undecorated(key)
                .eq_ignore_ascii_case(CATALOG)
                .then_some(key)
        });
        let allowed: Vec<&str> = [&ENTRIES[..], &OPTIONAL].concat();
        let allowed: Vec<&str> = allowed.into_iter().chain(decorated).collect();
        self.keys(section, &allowed);
        for name in ENTRIES {
            let mut missing = true;
            for entry in &section.entries {
                let key = entry.key.as_deref().unwrap_or_default();
                let key = if name == CATALOG {
                    undecorated(key)
                } else {
                    key
                };
                if key.eq_ignore_ascii_case(name) {
                    missing = false;
                    let value = self.inf.text(entry, 0);
                    self.version_entry(name, &value, &entry.values, entry.line);
                }
            }
            if missing {
                let what = format!("{name} is missing");
                self.find(section.line, Rule::VersionEntry, what);
            }
        }
    }

    fn version_entry(&mut self, name: &str, value: &str, values: &[String], line: usize) {
        let (rule, held, wanted) = match name {
            "Signature" => {
                let held = value.eq_ignore_ascii_case("$WINDOWS NT$");
                (Rule::VersionEntry, held, "\"$WINDOWS NT$\"")
            }
            "Provider" => {
                let held = !value.is_empty() && !value.eq_ignore_ascii_case("Microsoft");
                (
                    Rule::VersionEntry,
                    held,
                    "the name of a vendor that is not Microsoft",
                )
            }
            "Class" => (Rule::Class, value.eq_ignore_ascii_case(CLASS), CLASS),
            "ClassGuid" => (
                Rule::Class,
                value.eq_ignore_ascii_case(CLASS_GUID),
                CLASS_GUID,
            ),
            CATALOG => {
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
                let form = "a date as mm/dd/yyyy, not before 04/21/2009, and a version as 1.2.3.4, each number below 65536";
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
    let known = Date::from_inf(date).is_some_and(|date| date.parts() >= FIRST_DAY);
    digits && numbers && known && Version::parse(version).is_some()
}

//! The service.

use super::registry::Owner;
use super::{Lint, Rule, number};
use crate::inf::{Entry, Section};

/// `SPSVCINST_ASSOCSERVICE`: the service is the device's function driver.
const FUNCTION_DRIVER: u32 = 0x2;

/// The longest name that a service may have.
const LONGEST_NAME: usize = 256;

const ENTRIES: [&str; 11] = [
    "DisplayName",
    "Dependencies",
    "Security",
    "AddTrigger",
    "Description",
    "ServiceType",
    "StartType",
    "ErrorControl",
    "ServiceBinary",
    "LoadOrderGroup",
    "AddReg",
];

impl<'a> Lint<'a> {
    pub(super) fn services(&mut self, section: &'a Section) {
        self.keys(section, &["AddService", "Include", "Needs"]);
        let mut function_drivers = 0;
        for entry in &section.entries {
            if !entry.has_key("AddService") {
                continue;
            }
            let texts = self.texts(entry);
            let text = |index: usize| texts.get(index).map_or("", String::as_str);
            let flags = number(text(1)).unwrap_or(0);
            function_drivers += usize::from(flags & FUNCTION_DRIVER != 0);
            let name = text(0);
            if name.is_empty() {
                self.find(entry.line, Rule::Service, "the service has no name");
            } else if name.contains(['/', '\\']) || name.chars().count() > LONGEST_NAME {
                let what = "a service's name has no slash and at most 256 characters";
                self.find(entry.line, Rule::Service, what);
            }
            if let Some(service) = self.section(text(2), entry.line) {
                self.service(service);
            }
            match text(3) {
                "" => self.find(
                    entry.line,
                    Rule::EventLog,
                    "the service has no event source",
                ),
                name => {
                    if let Some(events) = self.section(name, entry.line) {
                        self.keys(events, &["AddReg"]);
                        self.registry(events, Owner::EventLog);
                        self.event_log(events.line);
                    }
                }
            }
        }
        if function_drivers != 1 {
            let what = format!("{function_drivers} services have flag 2, and one must");
            self.find(section.line, Rule::Service, what);
        }
    }

    fn service(&mut self, section: &'a Section) {
        self.keys(section, &ENTRIES);
        self.registry(section, Owner::Service);
        let entry = |key: &str| section.entries.iter().find(|entry| entry.has_key(key));
        for (key, wanted) in [
            ("ServiceType", &[1][..]),
            ("StartType", &[0]),
            ("ErrorControl", &[0, 1, 2, 3]),
        ] {
            let value = |entry| number(&self.inf.text(entry, 0));
            let held =
                entry(key).is_some_and(|entry| value(entry).is_some_and(|n| wanted.contains(&n)));
            self.service_entry(
                held,
                entry(key),
                section,
                &format!("{key} is not {wanted:?}"),
            );
        }
        let group = entry("LoadOrderGroup");
        let held = group.is_some_and(|entry| {
            self.inf
                .text(entry, 0)
                .eq_ignore_ascii_case("SCSI Miniport")
        });
        self.service_entry(held, group, section, "LoadOrderGroup is not SCSI Miniport");

        let binary = entry("ServiceBinary");
        let line = binary.map_or(section.line, |entry| entry.line);
        let path = binary
            .map(|entry| self.inf.text(entry, 0))
            .unwrap_or_default();
        let file = path.strip_prefix("%13%\\");
        let copied = |file: &str| {
            self.copied
                .iter()
                .any(|(name, _)| name.eq_ignore_ascii_case(file))
        };
        if !file.is_some_and(copied) {
            let what = format!("{path:?} is not a file that is copied to %13%");
            self.find(line, Rule::ServiceBinary, what);
        }
    }

    fn service_entry(&mut self, held: bool, entry: Option<&Entry>, section: &Section, what: &str) {
        if !held {
            let line = entry.map_or(section.line, |entry| entry.line);
            self.find(line, Rule::ServiceEntry, what);
        }
    }

    fn event_log(&mut self, line: usize) {
        let file = self.written(Owner::EventLog, "", "EventMessageFile");
        let types = self.written(Owner::EventLog, "", "TypesSupported");
        if file.is_none_or(|value| value.text.is_empty()) {
            self.find(line, Rule::EventLog, "EventMessageFile is missing");
        } else if types.and_then(|value| number(&value.text)) != Some(7) {
            let line = types.map_or(line, |value| value.line);
            self.find(line, Rule::EventLog, "TypesSupported is not 7");
        }
    }
}

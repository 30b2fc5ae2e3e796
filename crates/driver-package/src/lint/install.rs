//! From the manufacturer to the files: models, install sections, what is copied and where to.

use super::registry::Owner;
use super::standard::by_architecture;
use super::{Lint, Rule, number};
use crate::inf::{Entry, Section};

/// The first build of Windows 10 whose drivers run from the driver store.
const ISOLATION_BUILD: u32 = 16299;

/// The class code of an NVMe controller: mass storage, non-volatile memory, NVMe.
const CLASS_CODE: &str = "CC_010802";

/// The architectures that the driver is built for.
const ARCHITECTURES: [&str; 2] = ["NTamd64", "NTarm64"];

/// Others that a package may have models for besides.
const OTHER_ARCHITECTURES: [&str; 3] = ["NTx86", "NTarm", "NTia64"];

fn is_among(architectures: &[&str], decoration: &str) -> bool {
    let own = decoration.split('.').next().unwrap_or_default();
    architectures
        .iter()
        .any(|name| name.eq_ignore_ascii_case(own))
}

impl<'a> Lint<'a> {
    pub(super) fn manufacturers(&mut self) {
        let Some(section) = self.section("Manufacturer", 1) else {
            return;
        };
        for entry in &section.entries {
            let values = self.texts(entry);
            let Some((name, decorations)) = values.split_first() else {
                self.find(entry.line, Rule::SectionExists, "no models are named");
                continue;
            };
            if decorations.is_empty() {
                let what = "the models are for any architecture";
                self.find(entry.line, Rule::Architecture, what);
            } else if !decorations.iter().any(|own| is_among(&ARCHITECTURES, own)) {
                let what = "no models are for an architecture that the driver is built for";
                self.find(entry.line, Rule::Architecture, what);
            }
            // What is chosen where no decoration fits: on the systems before those that know decorations.
            self.reached.insert(name.to_ascii_lowercase());
            for decoration in decorations {
                self.decoration(decoration, entry.line);
                if let Some(models) = self.section(&format!("{name}.{decoration}"), entry.line) {
                    self.models(models);
                }
            }
        }
    }

    /// `NTamd64.10.0...19041`: architecture, major and minor version, product type, suite, build.
    fn decoration(&mut self, decoration: &str, line: usize) {
        let parts: Vec<&str> = decoration.split('.').collect();
        let known = [&ARCHITECTURES[..], &OTHER_ARCHITECTURES].concat();
        if !is_among(&known, decoration) {
            let what = format!("{decoration} is for no architecture of Windows");
            self.find(line, Rule::Architecture, what);
        }
        let part = |index: usize| parts.get(index).and_then(|part| number(part)).unwrap_or(0);
        if (part(1), part(2), part(5)) < (10, 0, ISOLATION_BUILD) {
            let what =
                format!("{decoration} includes systems before Windows 10 build {ISOLATION_BUILD}");
            self.find(line, Rule::MinimumSystem, what);
        }
    }

    fn models(&mut self, models: &'a Section) {
        for entry in &models.entries {
            let values = self.texts(entry);
            let ids = values.get(1..).unwrap_or_default();
            if entry.key.is_none() || ids.iter().all(String::is_empty) {
                self.find(entry.line, Rule::DeviceId, "the model names no device");
            }
            for id in ids.iter().filter(|id| !id.is_empty() && !may_be_nvme(id)) {
                let what = format!("{id} is not the id of NVMe controllers");
                self.find(entry.line, Rule::DeviceId, what);
            }
            if let Some(id) = ids.first().filter(|id| is_generic(id)) {
                let what = format!(
                    "{id} is the hardware id, which ranks as high as the inbox driver's: it belongs among the compatible ids, \
                     after an empty hardware id"
                );
                self.find(entry.line, Rule::DeviceId, what);
            }
            if let Some(name) = values.first() {
                self.install(name, entry.line);
            }
        }
    }

    /// An install section, under any of the names that it may have, with what belongs to it.
    fn install(&mut self, name: &str, line: usize) {
        let suffixes = ["", ".NT"].into_iter().map(str::to_owned);
        let decorated = ARCHITECTURES.iter().chain(&OTHER_ARCHITECTURES);
        let suffixes = suffixes.chain(decorated.map(|name| format!(".{name}")));
        let names = suffixes.map(|suffix| format!("{name}{suffix}"));
        let present: Vec<String> = names
            .filter(|name| self.inf.sections_named(name).next().is_some())
            .collect();
        if present.is_empty() {
            self.section(name, line);
        }
        for name in present {
            let Some(section) = self.section(&name, line) else {
                continue;
            };
            self.keys(section, &INSTALL);
            for entry in &section.entries {
                if entry.has_key("CopyFiles") {
                    self.copy_files(entry);
                }
            }
            self.registry(section, Owner::Software);
            let hardware = format!("{name}.HW");
            if self.inf.sections_named(&hardware).next().is_some()
                && let Some(section) = self.section(&hardware, line)
            {
                self.keys(section, &["AddReg", "Include", "Needs"]);
                self.registry(section, Owner::Device);
            }
            self.parts(&name);
            if let Some(section) = self.section(&format!("{name}.Services"), line) {
                self.services(section);
            }
        }
    }

    fn copy_files(&mut self, entry: &'a Entry) {
        for name in self.texts(entry) {
            if let Some(file) = name.strip_prefix('@') {
                self.copied.push((file.to_owned(), entry.line));
                self.destination("DefaultDestDir", entry.line);
            } else if let Some(section) = self.section(&name, entry.line) {
                for file in &section.entries {
                    let place = self.inf.text(file, 0);
                    let source = match self.inf.text(file, 1) {
                        same if same.is_empty() => place.clone(),
                        other => other,
                    };
                    if !source.eq_ignore_ascii_case(&place) {
                        let what = format!("{source} is renamed to {place}, and cannot be in 13");
                        self.find(file.line, Rule::Destination, what);
                    }
                    self.copied.push((source, file.line));
                }
                self.destination(&name, entry.line);
            }
        }
    }

    /// Where the files of a section are copied to.
    fn destination(&mut self, section: &str, line: usize) {
        let folders = "DestinationDirs";
        let entry = self
            .inf
            .entry(folders, section)
            .or_else(|| self.inf.entry(folders, "DefaultDestDir"));
        match entry {
            None => self.find(line, Rule::Destination, format!("[{section}] goes nowhere")),
            Some(entry) if self.inf.text(entry, 0) != "13" => {
                let what = format!(
                    "the files go to folder {}, not to 13",
                    self.inf.text(entry, 0)
                );
                self.find(entry.line, Rule::Destination, what);
            }
            Some(_) => {}
        }
    }

    /// Every copied file is on a disk, and every file on a disk is copied.
    pub(super) fn source_files(&mut self) {
        let entries = |name: &str| -> Vec<&'a Entry> {
            let sections: Vec<String> = by_architecture(name).collect();
            let entries = self.inf.sections.iter().filter(|section| {
                let own = &section.name;
                sections.iter().any(|name| name.eq_ignore_ascii_case(own))
            });
            entries.flat_map(|section| &section.entries).collect()
        };
        let on_disk = entries("SourceDisksFiles");
        let disks = entries("SourceDisksNames");
        for (file, line) in self.copied.clone() {
            if !on_disk.iter().any(|entry| entry.has_key(&file)) {
                self.find(line, Rule::SourceFile, format!("{file} is on no disk"));
            }
        }
        for entry in on_disk {
            let file = entry.key.clone().unwrap_or_default();
            let disk = self.inf.text(entry, 0);
            if !self
                .copied
                .iter()
                .any(|(name, _)| name.eq_ignore_ascii_case(&file))
            {
                self.find(
                    entry.line,
                    Rule::SourceFile,
                    format!("{file} is not copied"),
                );
            }
            if !disks.iter().any(|entry| entry.has_key(&disk)) {
                self.find(
                    entry.line,
                    Rule::SourceFile,
                    format!("there is no disk {disk}"),
                );
            }
        }
    }
}

/// What an install section may do.
const INSTALL: [&str; 6] = [
    "CopyFiles",
    "AddReg",
    "FeatureScore",
    "AddProperty",
    "Include",
    "Needs",
];

/// Can this be an id of NVMe controllers: by the class code, or, where there is none, by a vendor's and a device's?
fn may_be_nvme(id: &str) -> bool {
    let Some((bus, id)) = id.split_once('\\') else {
        return false;
    };
    let parts: Vec<&str> = id.split('&').collect();
    let has = |prefix: &str| parts.iter().any(|part| starts_with(part, prefix));
    bus.eq_ignore_ascii_case("PCI")
        && (has(CLASS_CODE) || !has("CC_") && has("VEN_") && has("DEV_"))
}

/// Is this an id of many vendors' devices, or of all of one vendor's? PCI has those among the compatible ids.
fn is_generic(id: &str) -> bool {
    let device = |part: &str| starts_with(part, "DEV_");
    starts_with(id, "PCI\\") && !id.split(['\\', '&']).any(device)
}

fn starts_with(text: &str, prefix: &str) -> bool {
    text.get(..prefix.len())
        .is_some_and(|own| own.eq_ignore_ascii_case(prefix))
}

//! `--profile`: a name, keys of the device, of the port driver and of the registry.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use nvme_model::{Profile, ProfileError};
use thiserror::Error;

use crate::controller::QemuProfile;
use crate::machine::{Interrupts, Neighbour, PortOptionError, PortOptions};

/// Keys with this prefix are values of the registry.
pub const REGISTRY_PREFIX: &str = "reg.";

/// A profile with this prefix is one of QEMU's device.
pub const QEMU_PREFIX: &str = "qemu:";

/// A profile with this prefix is for a real controller.
pub const VFIO_PREFIX: &str = "vfio:";

/// What a profile selects.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Selection {
    /// The controller that the model is; of QEMU's, the geometry and the largest transfer.
    pub device: Profile,
    /// QEMU's device, if it is that.
    pub qemu: Option<QemuProfile>,
    /// The port driver.
    pub port: PortOptions,
    /// Values of the service's `Parameters\Device` key.
    pub registry: BTreeMap<String, u32>,
}

/// Why a profile cannot be understood. One line.
#[derive(Debug, Error)]
pub enum SelectionError {
    /// No profile and no key is called that.
    #[error(
        "--profile: nothing is called '{given}'; did you mean '{nearest}'? `portbed profiles` lists all"
    )]
    Unknown {
        /// What was given.
        given: String,
        /// What comes nearest.
        nearest: String,
    },
    /// A name stands behind something else.
    #[error("--profile: the name '{0}' must come first")]
    NameNotFirst(String),
    /// A key is given twice.
    #[error("--profile: '{0}' is given twice")]
    Twice(String),
    /// Only QEMU's device needs QEMU.
    #[error("--qemu is for --controller qemu")]
    NoQemu,
    /// The sizes of the host memory that is wanted contradict each other.
    #[error(
        "--profile: hmmin={minimum} is more than hmpre={preferred}: no controller needs more host memory than it prefers \
         (NVMe Base, Identify Controller, HMPRE)"
    )]
    Minimum {
        /// HMMIN in bytes.
        minimum: u64,
        /// HMPRE in bytes.
        preferred: u64,
    },
    /// A disk is behind the first namespace.
    #[error("--disk: the controller of this profile has no namespace for it")]
    NoNamespace,
    /// A profile of QEMU's device is made of keys and values only.
    #[error("--profile: '{0}' is no property of QEMU's with a value, such as mdts=5")]
    NoProperty(String),
    /// The profile is one of another controller.
    #[error("--profile: '{given}' is no profile for --controller {controller}: {hint}")]
    OtherController {
        /// What was given.
        given: String,
        /// The controller that was asked for.
        controller: &'static str,
        /// What it takes.
        hint: &'static str,
    },
    /// A real controller is what it is.
    #[error(
        "--profile: '{0}' is nothing that can be chosen of a real controller: keys of the port driver and the registry can"
    )]
    NotChosen(String),
    /// This controller cannot have the fault.
    #[error("--fault: '{spec}' cannot be played: {why}")]
    Fault {
        /// The fault.
        spec: String,
        /// What it lacks.
        why: &'static str,
    },
    /// Its disks hold something.
    #[error(
        "a run writes to the disks of the controller: --yes-destroy-data lets it, --read-only does all that does not write"
    )]
    Consent,
    /// The other controllers have disks of their own.
    #[error("--yes-destroy-data and --read-only are for --controller vfio:ADDRESS")]
    NothingToDestroy,
    /// A real controller has its own disks.
    #[error("--disk: a real controller has disks of its own")]
    DiskOfItsOwn,
    /// Line interrupts are not played.
    #[error(
        "--profile: interrupts=line is not possible with a real controller, take messages or message"
    )]
    NoLine,
    /// No line to be shared.
    #[error("--profile: neighbour={0} needs a line interrupt, take interrupts=line")]
    NoSharedLine(&'static str),
    /// What a real controller does with memory is for the system's IOMMU to say.
    #[error(
        "--profile: iommu=off is not possible with a real controller: its DMA is held to the memory that the driver was given"
    )]
    NoIommu,
    /// A value of the device.
    #[error("--profile: {0}")]
    Device(ProfileError),
    /// A value of the port driver.
    #[error("--profile: {0}")]
    Port(PortOptionError),
    /// A registry value that is no number.
    #[error("--profile: '{value}' is no value of '{key}': a number of 32 bits, decimal or with 0x")]
    Registry {
        /// The key.
        key: String,
        /// The value.
        value: String,
    },
}

impl Selection {
    /// Reads `NAME`, `k=v,...`, `NAME,k=v,...`, `qemu:k=v,...` or `vfio:k=v,...`.
    pub fn parse(text: &str) -> Result<Self, SelectionError> {
        let mut selection = Self::default();
        if let Some(properties) = text.strip_prefix(QEMU_PREFIX) {
            return Self::parse_qemu(properties);
        }
        if let Some(keys) = text.strip_prefix(VFIO_PREFIX) {
            return Self::parse_vfio(keys);
        }
        once(text)?;
        for (index, item) in text.split(',').map(str::trim).enumerate() {
            match item.split_once('=') {
                Some((key, value)) => selection.set(key.trim(), value.trim())?,
                None => match Profile::named(item) {
                    Some(_) if index > 0 => {
                        return Err(SelectionError::NameNotFirst(item.to_owned()));
                    }
                    Some(device) => selection.device = device,
                    None => return Err(unknown(item)),
                },
            }
        }
        let given = |key| text.split(',').any(|item| item.trim().starts_with(key));
        if given("hmpre=") && !given("hmmin=") {
            let device = &mut selection.device;
            device.hmmin_bytes = device.hmmin_bytes.min(device.hmpre_bytes);
        }
        if selection.port.interrupts == Interrupts::Msi && selection.device.msi == 0 {
            selection.device.msi = 1;
        }
        selection.check_neighbour()?;
        Ok(selection)
    }

    /// A neighbour needs a line that it can share.
    fn check_neighbour(&self) -> Result<(), SelectionError> {
        let line = self.port.interrupts == Interrupts::Line
            || (self.device.messages == 0 && self.device.msi == 0);
        match self.port.neighbour {
            Neighbour::Working if !line => Err(SelectionError::NoSharedLine("working")),
            Neighbour::Broken(_) if !line => Err(SelectionError::NoSharedLine("broken")),
            _ => Ok(()),
        }
    }

    fn parse_qemu(properties: &str) -> Result<Self, SelectionError> {
        let mut selection = Self::default();
        let mut qemu = QemuProfile::default();
        once(properties)?;
        for item in properties.split(',').map(str::trim) {
            match item.split_once('=') {
                None if item.is_empty() => {}
                None => return Err(SelectionError::NoProperty(item.to_owned())),
                Some((key, value)) if selection.set_registry(key, value)? => {}
                Some((key, value)) => match selection.port.set(key, value) {
                    Err(PortOptionError::UnknownKey(_)) => {
                        qemu.set(key, value).map_err(SelectionError::Device)?;
                    }
                    other => other.map_err(SelectionError::Port)?,
                },
            }
        }
        selection.device = qemu.geometry().clone();
        selection.qemu = Some(qemu);
        Ok(selection)
    }

    fn parse_vfio(keys: &str) -> Result<Self, SelectionError> {
        let mut selection = Self::default();
        // What its largest transfer is, the driver finds out.
        selection.device.mdts_bytes = 0;
        once(keys)?;
        for item in keys
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
        {
            let not_chosen = || SelectionError::NotChosen(item.to_owned());
            let (key, value) = item.split_once('=').ok_or_else(not_chosen)?;
            if selection.set_registry(key, value)? {
                continue;
            }
            match selection.port.set(key, value) {
                Err(PortOptionError::UnknownKey(_)) => return Err(not_chosen()),
                other => other.map_err(SelectionError::Port)?,
            }
        }
        Ok(selection)
    }

    /// Sets a value of the registry, if `key` names one.
    fn set_registry(&mut self, key: &str, value: &str) -> Result<bool, SelectionError> {
        let Some(name) = key.strip_prefix(REGISTRY_PREFIX) else {
            return Ok(false);
        };
        let number = number(value).filter(|_| !name.is_empty());
        let bad = || SelectionError::Registry {
            key: key.to_owned(),
            value: value.to_owned(),
        };
        self.registry
            .insert(name.to_owned(), number.ok_or_else(bad)?);
        Ok(true)
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), SelectionError> {
        if self.set_registry(key, value)? {
            return Ok(());
        }
        match self.device.set(key, value) {
            Err(ProfileError::UnknownKey(_)) => match self.port.set(key, value) {
                Err(PortOptionError::UnknownKey(_)) => Err(unknown(key)),
                other => other.map_err(SelectionError::Port),
            },
            other => other.map_err(SelectionError::Device),
        }
    }
}

/// Each key is given once: of two values one would be ignored. The names of registry values have no case.
fn once(items: &str) -> Result<(), SelectionError> {
    let mut seen = BTreeSet::new();
    for (key, _) in items.split(',').filter_map(|item| item.split_once('=')) {
        let key = key.trim();
        let name = match key.strip_prefix(REGISTRY_PREFIX) {
            Some(_) => key.to_ascii_lowercase(),
            None => key.to_owned(),
        };
        if !seen.insert(name) {
            return Err(SelectionError::Twice(key.to_owned()));
        }
    }
    Ok(())
}

/// What is chosen by itself goes together: the sizes of host memory, and a disk with a namespace that it is behind.
pub(super) fn goes_together(disk: Option<&Path>, device: &Profile) -> Result<(), SelectionError> {
    if device.hmmin_bytes > device.hmpre_bytes {
        return Err(SelectionError::Minimum {
            minimum: device.hmmin_bytes,
            preferred: device.hmpre_bytes,
        });
    }
    if disk.is_some() && device.namespaces == 0 {
        return Err(SelectionError::NoNamespace);
    }
    Ok(())
}

fn number(text: &str) -> Option<u32> {
    match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

fn unknown(given: &str) -> SelectionError {
    let names = Profile::names().iter().map(|named| named.name);
    let device = Profile::keys().iter().map(|key| key.name);
    let port = PortOptions::keys().iter().map(|key| key.name);
    let known = names.chain(device).chain(port).chain([REGISTRY_PREFIX]);
    let nearest = known
        .min_by_key(|known| strsim::damerau_levenshtein(given, known))
        .unwrap_or_default();
    SelectionError::Unknown {
        given: given.to_owned(),
        nearest: nearest.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Grant;

    #[test]
    fn a_name_and_keys_of_all_three_kinds_go_together() {
        let selection =
            Selection::parse("4k, hmpre=32M,hmmin=8M,grant=ranges:5,reg.HmbMaximumMegabytes=0x10")
                .unwrap();
        assert_eq!(selection.device.block_bytes, 4096);
        assert_eq!(selection.device.hmpre_bytes, 32 << 20);
        assert_eq!(selection.port.grant, Grant::Ranges(5));
        assert_eq!(
            selection.registry,
            BTreeMap::from([("HmbMaximumMegabytes".to_owned(), 16)])
        );
    }

    #[test]
    fn properties_for_qemu_go_together_with_keys_of_the_port_driver_and_the_registry() {
        let selection =
            Selection::parse("qemu:mdts=5,logical_block_size=4096,stop=dirql,reg.X=1,namespaces=2")
                .unwrap();
        assert_eq!(selection.device.block_bytes, 4096);
        assert_eq!(selection.device.mdts_bytes, 128 << 10);
        assert_eq!(selection.device.namespaces, 2);
        assert_eq!(selection.port.stop, crate::machine::Stop::Dirql);
        assert_eq!(selection.registry["X"], 1);
        assert!(selection.qemu.is_some());
        assert!(Selection::parse("qemu:").unwrap().qemu.is_some());
        let error = Selection::parse("qemu:4k").unwrap_err().to_string();
        assert!(error.contains("'4k'"), "{error}");
    }

    #[test]
    fn of_a_real_controller_only_its_surroundings_can_be_chosen() {
        let selection = Selection::parse("vfio:grant=half, reg.X=2,stop=dirql").unwrap();
        assert_eq!(selection.port.grant, Grant::Half);
        assert_eq!(selection.registry["X"], 2);
        assert!(selection.qemu.is_none());
        assert!(Selection::parse("vfio:").is_ok());
        for given in ["vfio:hmpre=32M", "vfio:4k", "vfio:mdts=5"] {
            let error = Selection::parse(given).unwrap_err().to_string();
            assert!(error.contains("real controller"), "{error}");
        }
    }

    #[test]
    fn what_is_not_understood_is_told_in_one_line_with_what_comes_nearest() {
        let refused = |text| Selection::parse(text).unwrap_err().to_string();
        assert!(refused("hmpref=1M").contains("'hmpre'"));
        assert!(refused("grnat=half").contains("'grant'"));
        assert!(refused("plian").contains("'plain'"));
        assert!(refused("hmpre=1M,plain").contains("must come first"));
        assert!(refused("reg.X=many").contains("'reg.X'"));
        assert!(refused("reg.=1").contains("'reg.'"));
        assert!(refused("grant=all").contains("preferred"));
        assert!(refused("block=513").contains("512 to 4096"));
        assert!(!refused("").contains('\n'));
        for twice in [
            "hmb,hmpre=1M,hmpre=2M",
            "grant=half,mqes=4,grant=half",
            "reg.X=1,reg.x=2",
            "qemu:mdts=4,stop=dirql,mdts=5",
            "vfio:grant=half, grant=half",
        ] {
            assert!(refused(twice).contains("is given twice"), "{twice}");
        }
    }
}

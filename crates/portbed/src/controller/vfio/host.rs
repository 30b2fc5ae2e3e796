//! What the host says of a function before it is touched: whether it may be taken, and what has to be done first.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::address::PciAddress;
use super::error::VfioError;
use crate::pci;

/// Class and subclass of a bridge between PCI buses.
const CLASS_BRIDGE: u32 = 0x0604;
/// The driver that a function has to be bound to.
const DRIVER: &str = "vfio-pci";
/// Drivers that do nothing with their device, beside which another one of its group may be used.
const HARMLESS: [&str; 3] = [DRIVER, "pci-stub", "pcieport"];

/// Where the host tells of its devices.
#[derive(Clone, Debug)]
pub(super) struct Host {
    /// `/sys`.
    sys: PathBuf,
    /// `/proc`.
    proc: PathBuf,
}

impl Default for Host {
    fn default() -> Self {
        Self {
            sys: "/sys".into(),
            proc: "/proc".into(),
        }
    }
}

impl Host {
    /// The folder of a function.
    pub(super) fn folder(&self, address: PciAddress) -> PathBuf {
        self.sys.join("bus/pci/devices").join(address.to_string())
    }

    /// Refuses a function that is not there, is no NVMe controller, is in use, is not isolated by an IOMMU, or is not bound to
    /// vfio-pci; in this order, so that nobody is told how to take a disk away that is in use. Gives the number of its group.
    pub(super) fn check(&self, address: PciAddress) -> Result<u32, VfioError> {
        let folder = self.folder(address);
        if !folder.exists() {
            return Err(VfioError::Absent(address));
        }
        let class = class(&folder);
        if class != Some(pci::CLASS_NVME) {
            let class = class.unwrap_or_default();
            return Err(VfioError::OtherClass { address, class });
        }
        if let Some(use_) = self.in_use(&folder) {
            return Err(VfioError::InUse { address, use_ });
        }
        let group = name_behind(&folder.join("iommu_group"))
            .and_then(|name| name.parse().ok())
            .ok_or(VfioError::NoIommu(address))?;
        let driver = name_behind(&folder.join("driver"));
        if driver.as_deref() != Some(DRIVER) {
            return Err(VfioError::OtherDriver { address, driver });
        }
        let others = others_in_group(&folder);
        if others.is_empty() {
            Ok(group)
        } else {
            let others = others.join(", ");
            Err(VfioError::SharedGroup {
                address,
                group,
                others,
            })
        }
    }

    /// What uses a disk of the function, if anything does.
    fn in_use(&self, folder: &Path) -> Option<String> {
        let disks = self.disks(folder);
        let parts: Vec<Part> = disks.iter().flat_map(|disk| parts(disk)).collect();
        let held = parts.iter().find_map(|part| {
            let holder = entries(&part.folder.join("holders")).into_iter().next()?;
            Some(format!("{} is a part of {}", part.name, file_name(&holder)))
        });
        self.mounted(&parts).or_else(|| self.swap(&parts)).or(held)
    }

    /// The folders in `/sys/block` of the function's namespaces.
    fn disks(&self, folder: &Path) -> Vec<PathBuf> {
        let controllers = entries(&folder.join("nvme"));
        let below = controllers
            .iter()
            .flat_map(|controller| entries(controller));
        let names: BTreeSet<String> = below
            .map(|entry| file_name(&entry))
            .filter_map(|name| disk_name(&name))
            .collect();
        names
            .into_iter()
            .map(|name| self.sys.join("block").join(name))
            .collect()
    }

    /// A mounted file system: by the number of its device, or, where a file system has a number of its own, by its source.
    fn mounted(&self, parts: &[Part]) -> Option<String> {
        let mounts = text(&self.proc.join("self/mountinfo"));
        mounts.lines().find_map(|line| {
            let (mount, source) = line.split_once(" - ")?;
            let mut mount = mount.split(' ').skip(2);
            let (number, point) = (mount.next()?, mount.nth(1)?);
            let source = source.split(' ').nth(1).unwrap_or_default();
            let part = parts
                .iter()
                .find(|part| part.number == number || part.is_called(source))?;
            Some(format!("{} is mounted at {point}", part.name))
        })
    }

    fn swap(&self, parts: &[Part]) -> Option<String> {
        let swaps = text(&self.proc.join("swaps"));
        swaps.lines().skip(1).find_map(|line| {
            let source = line.split_whitespace().next()?;
            let part = parts.iter().find(|part| part.is_called(source))?;
            Some(format!("{} is swap space", part.name))
        })
    }
}

/// A disk or a partition of it.
struct Part {
    name: String,
    number: String,
    folder: PathBuf,
}

impl Part {
    fn is_called(&self, source: &str) -> bool {
        source.strip_prefix("/dev/") == Some(&self.name)
    }
}

/// A disk and its partitions.
fn parts(disk: &Path) -> Vec<Part> {
    let name = file_name(disk);
    let partitions = entries(disk)
        .into_iter()
        .filter(|entry| file_name(entry).starts_with(&name));
    [disk.to_path_buf()]
        .into_iter()
        .chain(partitions)
        .map(|folder| Part {
            name: file_name(&folder),
            number: text(&folder.join("dev")),
            folder,
        })
        .collect()
}

/// The block device of an entry below a controller: `nvme0n1`, also where several ways lead to it and this is one, `nvme0c1n1`.
fn disk_name(entry: &str) -> Option<String> {
    let rest = entry.strip_prefix("nvme")?;
    let (controller, namespace) = rest.split_once('n')?;
    let subsystem = controller.split('c').next()?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    (digits(subsystem) && digits(namespace)).then(|| format!("nvme{subsystem}n{namespace}"))
}

/// Functions of the same group that another driver uses.
fn others_in_group(folder: &Path) -> Vec<String> {
    entries(&folder.join("iommu_group/devices"))
        .into_iter()
        .filter(|other| file_name(other) != file_name(folder))
        .filter(|other| class(other).is_none_or(|class| class >> 8 != CLASS_BRIDGE))
        .filter_map(|other| {
            let driver = name_behind(&other.join("driver"))?;
            let used = !HARMLESS.contains(&driver.as_str());
            used.then(|| format!("{} ({driver})", file_name(&other)))
        })
        .collect()
}

fn class(folder: &Path) -> Option<u32> {
    let text = text(&folder.join("class"));
    u32::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

/// What a file of one line holds; nothing where there is no such file.
fn text(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.trim_end().to_owned()
}

/// The name of what a link leads to.
fn name_behind(link: &Path) -> Option<String> {
    fs::read_link(link).ok().map(|target| file_name(&target))
}

fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// The entries of a folder, in order; none where there is no such folder.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let found = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut entries: Vec<PathBuf> = found.map(|entry| entry.path()).collect();
    entries.sort();
    entries
}

#[cfg(test)]
mod tests;

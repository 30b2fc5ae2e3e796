//! Why a function cannot be used.

use std::io;

use thiserror::Error;

use super::address::PciAddress;

/// Each is one line that says what to do, where something can be done.
#[derive(Debug, Error)]
pub enum VfioError {
    /// Nothing has the address.
    #[error("there is no PCI function {0}; `lspci -D -d ::0108` lists disks")]
    Absent(PciAddress),
    /// It is another kind of device.
    #[error("{address} is no NVMe controller: its class is {class:#08x}")]
    OtherClass {
        /// The function.
        address: PciAddress,
        /// Its class, subclass and programming interface.
        class: u32,
    },
    /// A disk of it is in use.
    #[error("{address} is in use: {use_}")]
    InUse {
        /// The function.
        address: PciAddress,
        /// The use.
        use_: String,
    },
    /// Nothing would confine its DMA.
    #[error(
        "no IOMMU isolates {0}: switch VT-d or AMD-Vi on in the firmware, and boot with intel_iommu=on or amd_iommu=on"
    )]
    NoIommu(PciAddress),
    /// Another driver has it, or none.
    #[error("{address} is bound to {}, not to vfio-pci: {}", driver.as_deref().unwrap_or("no driver"), binding(*address, driver.is_some()))]
    OtherDriver {
        /// The function.
        address: PciAddress,
        /// Its driver.
        driver: Option<String>,
    },
    /// Others that are in use share its isolation.
    #[error(
        "{address} shares IOMMU group {group} with {others}, which must be bound to vfio-pci too, or the disk be put into \
         another slot"
    )]
    SharedGroup {
        /// The function.
        address: PciAddress,
        /// The number of the group.
        group: u32,
        /// The others, with their drivers.
        others: String,
    },
    /// VFIO refused.
    #[error("VFIO does not give {address} away: {why}")]
    Vfio {
        /// The function.
        address: PciAddress,
        /// What it said, and what that means.
        why: String,
    },
    /// The controller does not do what a controller has to do.
    #[error("the controller {address} cannot be used: {why}")]
    Controller {
        /// The function.
        address: PciAddress,
        /// What it did.
        why: String,
    },
    /// The system failed.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// What binds a function to vfio-pci.
fn binding(address: PciAddress, bound: bool) -> String {
    let folder = format!("/sys/bus/pci/devices/{address}");
    let unbind = if bound {
        format!("echo {address} > {folder}/driver/unbind && ")
    } else {
        String::new()
    };
    format!(
        "as root, `driverctl set-override {address} vfio-pci`; or `modprobe -a vfio-pci vfio_iommu_type1 && echo vfio-pci > \
         {folder}/driver_override && {unbind}echo {address} > /sys/bus/pci/drivers_probe`"
    )
}

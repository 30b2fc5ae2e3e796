//! A PCI function that VFIO gives to this process: its registers, its configuration space, its interrupts and its reset.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::Arc;

use vfio_bindings::bindings::vfio::{
    VFIO_BASE, VFIO_DMA_MAP_FLAG_READ, VFIO_DMA_MAP_FLAG_WRITE, VFIO_PCI_BAR0_REGION_INDEX,
    VFIO_PCI_CONFIG_REGION_INDEX, VFIO_PCI_MSIX_IRQ_INDEX, VFIO_REGION_INFO_FLAG_MMAP, VFIO_TYPE,
    vfio_iommu_type1_dma_map,
};
use vfio_ioctls::{VfioContainer, VfioDevice, VfioError as Refusal, VfioRegionInfoCap};
use vmm_sys_util::eventfd::EventFd;

use super::address::PciAddress;
use super::dma::Tables;
use super::error::VfioError;
use super::host::Host;
use crate::pages::{Access, Pages};
use crate::pci;

/// Request numbers that carry no size (Linux, `linux/vfio.h`).
const fn request(number: u32) -> libc::c_ulong {
    (VFIO_TYPE as libc::c_ulong) << 8 | (VFIO_BASE + number) as libc::c_ulong
}
const DEVICE_RESET: libc::c_ulong = request(11);
const MAP_DMA: libc::c_ulong = request(13);

/// What the command register holds.
const MEMORY_AND_BUS_MASTER: u16 = 0x6;

/// An NVMe controller of this machine, out of the hands of its kernel.
pub struct VfioFunction {
    address: PciAddress,
    // The device is closed before the container: fields are dropped in order.
    device: VfioDevice,
    container: Arc<VfioContainer>,
    bar: Pages,
    bar_bytes: u64,
}

impl VfioFunction {
    /// Takes the function, if nothing speaks against it, and resets it.
    pub fn open(address: PciAddress) -> Result<Arc<Self>, VfioError> {
        let host = Host::default();
        let group = host.check(address)?;
        let refused = |why: Refusal| VfioError::Vfio {
            address,
            why: explain(&why, group),
        };
        let container = Arc::new(VfioContainer::new(None).map_err(refused)?);
        let device = VfioDevice::new(&host.folder(address), Arc::clone(&container) as _, true);
        let device = device.map_err(refused)?;
        let (bar, bar_bytes) = registers(&device).map_err(|why| VfioError::Vfio {
            address,
            why: format!("its registers cannot be mapped: {why}"),
        })?;
        let function = Self {
            address,
            device,
            container,
            bar,
            bar_bytes,
        };
        function.reset().map_err(|why| VfioError::Vfio {
            address,
            why: format!("its reset fails: {why}"),
        })?;
        Ok(Arc::new(function))
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> PciAddress {
        self.address
    }

    /// The size of BAR0.
    pub(super) fn bar_bytes(&self) -> u64 {
        self.bar_bytes
    }

    /// BAR0, as far as the system lets it be mapped; the rest, which can only be the message table, is inaccessible.
    pub(super) fn bar(&self) -> &Pages {
        &self.bar
    }

    /// Has the registers read as all ones from now on, as those of a device that was pulled out do.
    pub(super) fn go_away(&self) -> io::Result<()> {
        self.bar.unmap(0, self.bar_bytes)?;
        self.bar.protect(0, self.bar_bytes, Access::ReadWrite)?;
        self.bar.fill(0, self.bar_bytes, 0xFF)
    }

    /// Resets the function, and lets it decode its registers and use memory again, which a reset forbids.
    pub(super) fn reset(&self) -> io::Result<()> {
        // SAFETY: the request has no argument, and changes the device only.
        succeeded(unsafe { libc::ioctl(self.device.as_raw_fd(), DEVICE_RESET) })?;
        let command = self.config_read(pci::COMMAND, 2) as u16 | MEMORY_AND_BUS_MASTER;
        self.config_write(pci::COMMAND, 2, u32::from(command));
        Ok(())
    }

    /// Reads 1, 2 or 4 bytes of configuration space; all ones where that fails.
    pub(super) fn config_read(&self, offset: u16, bytes: u8) -> u32 {
        let mut value = [0xFF; 4];
        let into = &mut value[..usize::from(bytes.min(4))];
        self.device
            .region_read(VFIO_PCI_CONFIG_REGION_INDEX, into, offset.into());
        let value = u32::from_le_bytes(value);
        match bytes {
            1 => value & 0xFF,
            2 => value & 0xFFFF,
            _ => value,
        }
    }

    /// Where the function has a capability.
    pub(super) fn capability(&self, id: u32) -> Option<u16> {
        pci::capability(|offset, bytes| self.config_read(offset, bytes), id)
    }

    /// Writes 1, 2 or 4 bytes of configuration space, as far as the system lets it be written.
    pub(super) fn config_write(&self, offset: u16, bytes: u8, value: u32) {
        let value = &value.to_le_bytes()[..usize::from(bytes.min(4))];
        self.device
            .region_write(VFIO_PCI_CONFIG_REGION_INDEX, value, offset.into());
    }

    /// Has messages 0 and up signalled by these events.
    pub(super) fn connect(&self, events: &[EventFd]) -> io::Result<()> {
        self.device
            .enable_msix(events.iter().collect())
            .map_err(io::Error::other)
    }

    /// Has no message signalled any more.
    pub(super) fn disconnect(&self) {
        // One that has none connected refuses, and needs not.
        let _ = self.device.disable_irq(VFIO_PCI_MSIX_IRQ_INDEX);
    }
}

impl Tables for VfioFunction {
    unsafe fn map(&self, iova: u64, bytes: u64, address: u64, writable: bool) -> io::Result<()> {
        let write = if writable { VFIO_DMA_MAP_FLAG_WRITE } else { 0 };
        let map = vfio_iommu_type1_dma_map {
            argsz: size_of::<vfio_iommu_type1_dma_map>() as u32,
            flags: VFIO_DMA_MAP_FLAG_READ | write,
            vaddr: address,
            iova,
            size: bytes,
        };
        // SAFETY: the structure is valid, and what the device does with the pages is the caller's promise.
        succeeded(unsafe { libc::ioctl(self.container.as_raw_fd(), MAP_DMA, &raw const map) })
    }

    fn unmap(&self, iova: u64, bytes: u64) -> io::Result<()> {
        self.container
            .vfio_dma_unmap(iova, bytes as usize)
            .map_err(io::Error::other)
    }
}

impl Drop for VfioFunction {
    fn drop(&mut self) {
        self.disconnect();
        // The system resets it once more when the file is closed: there is nothing to be told.
        let _ = self.reset();
    }
}

impl fmt::Debug for VfioFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VfioFunction({})", self.address)
    }
}

/// Maps the registers of BAR0, except for parts that the system keeps.
fn registers(device: &VfioDevice) -> io::Result<(Pages, u64)> {
    let region = VFIO_PCI_BAR0_REGION_INDEX;
    let (bytes, at) = (
        device.get_region_size(region),
        device.get_region_offset(region),
    );
    if bytes == 0 || device.get_region_flags(region) & VFIO_REGION_INFO_FLAG_MMAP == 0 {
        return Err(io::Error::other("the system does not let BAR0 be mapped"));
    }
    let sparse =
        device
            .get_region_caps(region)
            .into_iter()
            .find_map(|capability| match capability {
                VfioRegionInfoCap::SparseMmap(sparse) => Some(sparse.areas),
                _ => None,
            });
    let areas: Vec<(u64, u64)> = match sparse {
        Some(areas) => areas.iter().map(|area| (area.offset, area.size)).collect(),
        None => vec![(0, bytes)],
    };
    // SAFETY: the descriptor is open as long as the device, which outlives the borrow.
    let descriptor = unsafe { BorrowedFd::borrow_raw(device.as_raw_fd()) };
    let file = File::from(descriptor.try_clone_to_owned()?);
    let pages = Pages::reserve(bytes)?;
    for (offset, bytes) in areas.into_iter().filter(|&(_, bytes)| bytes > 0) {
        pages.map(offset, bytes, &file, at + offset)?;
    }
    Ok((pages, bytes))
}

/// What VFIO's refusal means.
fn explain(why: &Refusal, group: u32) -> String {
    let denied = |error: &io::Error| error.kind() == io::ErrorKind::PermissionDenied;
    match why {
        Refusal::OpenContainer(error) if denied(error) => {
            "run as root, or be given /dev/vfio/vfio".to_owned()
        }
        Refusal::OpenContainer(_) => {
            "there is no /dev/vfio/vfio: `modprobe vfio-pci` as root".to_owned()
        }
        Refusal::OpenGroup(error, _) if denied(error) => {
            format!("run as root, or be given /dev/vfio/{group} (`chown` it as root)")
        }
        Refusal::OpenGroup(error, _) if error.raw_os_error() == Some(libc::EBUSY) => {
            format!("another process has /dev/vfio/{group} open")
        }
        Refusal::VfioExtension => {
            "VFIO has no IOMMU to work with: `modprobe vfio_iommu_type1` as root".to_owned()
        }
        Refusal::GroupViable => format!("something else uses a device of IOMMU group {group}"),
        other => other.to_string(),
    }
}

fn succeeded(result: i32) -> io::Result<()> {
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

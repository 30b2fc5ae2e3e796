//! The logical units: namespaces in the order of their identifiers, as `HwFindAdapter` found them.

use core::num::NonZeroU64;

use nvme::identify::{ControllerInfo, MAX_NAMESPACES, NamespaceInfo, Usability};
use scsi::{BlockSize, Controller, LogicalUnit, Medium, Naming};

/// A namespace that Windows can use as a disk.
#[derive(Clone, Copy)]
struct Unit {
    medium: Medium,
    nguid: [u8; 16],
    eui64: [u8; 8],
    uuid: [u8; 16],
    write_protected: bool,
    optimal_io_boundary_blocks: u16,
}

/// What translation has to know: written by `HwFindAdapter`, read by every `HwBuildIo`.
pub(crate) struct Units {
    model: [u8; 40],
    serial: [u8; 20],
    firmware: [u8; 8],
    pci_vendor_id: u16,
    volatile_write_cache: bool,
    max_transfer_bytes: u32,
    verify_bytes: Option<NonZeroU64>,
    naming: Naming,
    entries: [Option<Unit>; MAX_NAMESPACES],
    count: usize,
}

/// Logical unit numbers: they count up from 0.
const LUNS: [u8; MAX_NAMESPACES] = {
    let mut luns = [0; MAX_NAMESPACES];
    let mut lun = 0;
    #[expect(clippy::indexing_slicing, reason = "runs at compile time only")]
    while lun < MAX_NAMESPACES {
        luns[lun] = lun as u8;
        lun += 1;
    }
    luns
};

impl Units {
    pub(crate) const EMPTY: Self = Self {
        model: [b' '; 40],
        serial: [b' '; 20],
        firmware: [b' '; 8],
        pci_vendor_id: 0,
        volatile_write_cache: false,
        max_transfer_bytes: 0,
        verify_bytes: None,
        naming: Naming::Reported,
        entries: [None; MAX_NAMESPACES],
        count: 0,
    };

    /// Takes over what Identify said, and what the namespaces are named by; `unusable` hears of each namespace that cannot be a
    /// disk.
    pub(crate) fn set(
        &mut self,
        info: &ControllerInfo,
        namespaces: &[NamespaceInfo],
        naming: Naming,
        unusable: impl Fn(&NamespaceInfo),
    ) {
        self.naming = naming;
        self.model = info.model.0;
        self.serial = info.serial.0;
        self.firmware = info.firmware.0;
        self.pci_vendor_id = info.vendor_id;
        self.volatile_write_cache = info.vwc.present();
        self.max_transfer_bytes = info.max_transfer_bytes;
        self.verify_bytes = info.verify_bytes;
        self.count = 0;
        let usable = namespaces.iter().filter_map(|namespace| {
            let unit = unit(namespace, info.max_transfer_bytes);
            if unit.is_none() {
                unusable(namespace);
            }
            unit
        });
        for (place, unit) in self.entries.iter_mut().zip(usable) {
            *place = Some(unit);
            self.count = self.count.saturating_add(1);
        }
    }

    /// The controller's firmware revision.
    pub(crate) const fn firmware(&self) -> [u8; 8] {
        self.firmware
    }

    /// How many there are.
    pub(crate) const fn count(&self) -> usize {
        self.count
    }

    /// The longest transfer in bytes.
    pub(crate) const fn max_transfer_bytes(&self) -> u32 {
        self.max_transfer_bytes
    }

    /// Whether the controller has a volatile write cache: only then a flush has something to do.
    pub(crate) const fn volatile_write_cache(&self) -> bool {
        self.volatile_write_cache
    }

    /// The blocks of logical unit `lun`; `None` when there is none.
    pub(crate) fn medium(&self, lun: u8) -> Option<&Medium> {
        let unit = self.entries.get(usize::from(lun))?;
        unit.as_ref().map(|unit| &unit.medium)
    }

    /// Calls `work` with logical unit `lun`; `None` when there is none.
    pub(crate) fn with<R>(&self, lun: u8, work: impl FnOnce(&LogicalUnit<'_>) -> R) -> Option<R> {
        let luns = LUNS.get(..self.count)?;
        let unit = self
            .entries
            .get(usize::from(*luns.get(usize::from(lun))?))?
            .as_ref()?;
        let controller = Controller {
            model: &self.model,
            serial: &self.serial,
            firmware: &self.firmware,
            pci_vendor_id: self.pci_vendor_id,
            volatile_write_cache: self.volatile_write_cache,
            write_cache_enabled: self.volatile_write_cache,
            maximum_transfer_bytes: self.max_transfer_bytes,
            verify_bytes: self.verify_bytes,
            luns,
        };
        Some(work(&LogicalUnit {
            controller: &controller,
            namespace_id: unit.medium.namespace_id,
            blocks: unit.medium.blocks,
            block_size: unit.medium.block_size,
            nguid: &unit.nguid,
            eui64: &unit.eui64,
            uuid: &unit.uuid,
            naming: self.naming,
            write_protected: unit.write_protected,
            optimal_io_boundary_blocks: unit.optimal_io_boundary_blocks,
        }))
    }
}

/// A namespace as a unit; `None` for one that Windows could not use.
fn unit(namespace: &NamespaceInfo, max_transfer_bytes: u32) -> Option<Unit> {
    let block_size = match namespace.block_bytes {
        512 => BlockSize::Bytes512,
        4096 => BlockSize::Bytes4096,
        _ => return None,
    };
    let usable = namespace.usability == Usability::Usable;
    let blocks = NonZeroU64::new(namespace.blocks).filter(|_| usable)?;
    Some(Unit {
        medium: Medium {
            blocks,
            namespace_id: namespace.nsid,
            maximum_transfer_blocks: block_size.maximum_transfer_blocks(max_transfer_bytes),
            block_size,
        },
        nguid: namespace.nguid,
        eui64: namespace.eui64,
        uuid: namespace.uuid,
        write_protected: namespace.write_protected,
        optimal_io_boundary_blocks: namespace.optimal_boundary_blocks,
    })
}

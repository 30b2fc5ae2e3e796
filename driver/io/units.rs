//! The logical units: which namespace each stands for, and how large it is now.
//!
//! `HwBuildIo` reads them on any processor without a lock, while a callback that has the adapter's state writes them. A logical
//! unit number stands for one namespace in one format as long as the adapter lives: NSID, block size and identifiers are
//! written before the unit is shown for the first time, and never again. What changes is its size, one atomic number, 0 where
//! the namespace is gone. Whoever loads a size other than 0 (acquire) sees what was written before it was stored (release),
//! on any processor: the number of blocks and all that goes with it are of one namespace. A request that is under way when its
//! namespace goes is caught when it is submitted, see [`Units::has`]; one that is under way when the namespace shrinks, by the
//! controller.

use core::num::NonZeroU64;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicBool, AtomicUsize};

use nvme::identify::{ControllerInfo, DatasetLimits, MAX_NAMESPACES, NamespaceInfo, Namespaces};
use scsi::{Controller, LogicalUnit, Medium, Naming, Request, Sense};

mod unit;

use unit::{Unit, attention, block_size};

/// What became of a namespace.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Change {
    /// It is there, as a logical unit.
    Added = 1,
    /// It is gone, or another one.
    Removed = 2,
    /// It has another size.
    Resized = 3,
    /// There is no logical unit number left for it.
    NoNumber = 4,
}

/// What translation has to know: the controller is written by `HwFindAdapter`, the units whenever namespaces were identified.
pub(crate) struct Units {
    model: [u8; 40],
    serial: [u8; 20],
    firmware: [u8; 8],
    pci_vendor_id: u16,
    volatile_write_cache: bool,
    max_transfer_bytes: u32,
    verify_bytes: Option<NonZeroU64>,
    write_zeroes_bytes: Option<NonZeroU64>,
    dataset: Option<DatasetLimits>,
    naming: Naming,
    /// The media are read-only.
    read_only: AtomicBool,
    entries: [Unit; MAX_NAMESPACES],
    /// Logical unit numbers that were given: they count up from 0.
    given: AtomicUsize,
}

impl Units {
    #[expect(
        clippy::declare_interior_mutable_const,
        reason = "a value to copy from, never used in place"
    )]
    pub(crate) const EMPTY: Self = Self {
        model: [b' '; 40],
        serial: [b' '; 20],
        firmware: [b' '; 8],
        pci_vendor_id: 0,
        volatile_write_cache: false,
        max_transfer_bytes: 0,
        verify_bytes: None,
        write_zeroes_bytes: None,
        dataset: None,
        naming: Naming::Reported,
        read_only: AtomicBool::new(false),
        entries: [Unit::NONE; MAX_NAMESPACES],
        given: AtomicUsize::new(0),
    };

    /// Takes over what Identify said of the controller, and what its namespaces are named by. The numbers that were given stay
    /// with their namespaces; those of another controller are given to none of this one's.
    pub(crate) fn set(&mut self, info: &ControllerInfo, naming: Naming) {
        if self.model != info.model.0 || self.serial != info.serial.0 {
            for unit in &self.entries {
                unit.hide();
                // No namespace has this identifier.
                unit.namespace_id.store(0, Relaxed);
            }
        }
        self.naming = naming;
        self.model = info.model.0;
        self.serial = info.serial.0;
        self.firmware = info.firmware.0;
        self.pci_vendor_id = info.vendor_id;
        self.volatile_write_cache = info.vwc.present();
        self.max_transfer_bytes = info.max_transfer_bytes;
        self.verify_bytes = info.verify_bytes;
        self.write_zeroes_bytes = info.write_zeroes_bytes;
        self.dataset = info.dataset;
    }

    /// Shows the namespaces that were found, whole: what is gone is hidden before anything new is shown. One caller at a time,
    /// which has the adapter's state. `unusable` hears of each namespace that cannot be a disk, `changed` of each change. True
    /// when units came, went or were resized.
    pub(crate) fn renew(
        &self,
        namespaces: &Namespaces,
        unusable: impl Fn(&NamespaceInfo),
        changed: impl Fn(u32, Change),
    ) -> bool {
        let mut resized = false;
        let mut came_or_went = false;
        for unit in self.given().iter().filter(|unit| unit.blocks().is_some()) {
            if !self.stays(unit, namespaces) {
                unit.hide();
                changed(unit.namespace_id.load(Relaxed), Change::Removed);
                came_or_went = true;
            }
        }
        let mut new = [false; MAX_NAMESPACES];
        for namespace in namespaces.as_slice() {
            if block_size(namespace).is_none() {
                if namespace.is_known() || !self.knows(namespace.nsid) {
                    unusable(namespace);
                }
                continue;
            }
            let Some(lun) = self.number_for(namespace) else {
                changed(namespace.nsid, Change::NoNumber);
                continue;
            };
            let (Some(unit), Some(new)) = (self.entries.get(lun), new.get_mut(lun)) else {
                continue;
            };
            *new = unit.blocks().is_none();
            if unit.show(namespace) {
                changed(namespace.nsid, Change::Resized);
                resized = true;
            }
            if *new {
                changed(namespace.nsid, Change::Added);
                came_or_went = true;
            }
        }
        if came_or_went {
            let present = self.entries.iter().zip(new);
            for (unit, _) in present.filter(|(unit, new)| !new && unit.blocks().is_some()) {
                unit.attend(attention::LUNS);
            }
        }
        resized || came_or_went
    }

    /// Whether a unit that is there stays: its namespace was found, or the controller lists it and said nothing of it, or it was
    /// not looked for because there are too many.
    fn stays(&self, unit: &Unit, namespaces: &Namespaces) -> bool {
        let nsid = unit.namespace_id.load(Relaxed);
        let mut found = namespaces.as_slice().iter();
        match found.find(|namespace| namespace.nsid == nsid) {
            Some(namespace) if namespace.is_known() => unit.stands_for(namespace, self.naming),
            Some(_) => true,
            None => {
                let last = namespaces.as_slice().last();
                namespaces.more() && last.is_some_and(|last| last.nsid < nsid)
            }
        }
    }

    /// Whether the namespace is a unit now.
    fn knows(&self, nsid: u32) -> bool {
        let there = |unit: &Unit| unit.blocks().is_some();
        let mut given = self.given().iter();
        given.any(|unit| there(unit) && unit.namespace_id.load(Relaxed) == nsid)
    }

    /// The number of a namespace: the one that it had, or the next one.
    fn number_for(&self, namespace: &NamespaceInfo) -> Option<usize> {
        let mut given = self.given().iter();
        let known = given.position(|unit| unit.stands_for(namespace, self.naming));
        if known.is_some() {
            return known;
        }
        let lun = self.given.load(Relaxed);
        let identifiers = namespace.identifiers();
        let mut there = self.given().iter().filter(|unit| unit.blocks().is_some());
        let repeated = there.any(|unit| unit.identifiers().same(&identifiers) == Some(true));
        self.entries.get(lun)?.define(namespace, repeated);
        self.given.store(lun.saturating_add(1), Release);
        Some(lun)
    }

    /// The units whose numbers were given.
    fn given(&self) -> &[Unit] {
        let given = self.given.load(Acquire);
        self.entries.get(..given).unwrap_or_default()
    }

    /// The media became read-only, or are not any more.
    pub(crate) fn set_read_only(&self, read_only: bool) {
        if self.read_only.load(Relaxed) == read_only {
            return;
        }
        self.read_only.store(read_only, Relaxed);
        for unit in self.given().iter().filter(|unit| unit.blocks().is_some()) {
            unit.attend(attention::MODE);
        }
    }

    /// The controller's firmware revision.
    pub(crate) const fn firmware(&self) -> [u8; 8] {
        self.firmware
    }

    /// The longest transfer in bytes.
    pub(crate) const fn max_transfer_bytes(&self) -> u32 {
        self.max_transfer_bytes
    }

    /// Whether the controller has a volatile write cache: only then a flush has something to do.
    pub(crate) const fn volatile_write_cache(&self) -> bool {
        self.volatile_write_cache
    }

    /// Whether `lun` is the number of a unit, be it gone. Unit 0 is asked for the others, whether it is there or not.
    pub(crate) fn is_given(&self, lun: u8) -> bool {
        lun == 0 || usize::from(lun) < self.given.load(Acquire)
    }

    /// Whether logical unit `lun` is there. For a caller that has the adapter's state it stays so.
    pub(crate) fn has(&self, lun: u8) -> bool {
        let unit = self.entries.get(usize::from(lun));
        unit.is_some_and(|unit| unit.blocks.load(Relaxed) != 0)
    }

    /// Whether logical unit `lun` has a unit attention condition that was not reported yet.
    pub(crate) fn has_attention(&self, lun: u8) -> bool {
        let unit = self.entries.get(usize::from(lun));
        unit.is_some_and(|unit| unit.attention.load(Relaxed) != 0)
    }

    /// The unit attention condition that `request` reports, which is over then. INQUIRY and REPORT LUNS report none; the latter
    /// ends those that are about its answer (SPC-4, 5.14 and 6.33).
    #[cold]
    pub(crate) fn attention(&self, lun: u8, request: &Request) -> Option<Sense> {
        let unit = self.entries.get(usize::from(lun))?;
        if request.is_report_luns() {
            for unit in self.given() {
                unit.attention.fetch_and(!attention::LUNS, Acquire);
            }
        }
        if !request.reports_unit_attention() {
            return None;
        }
        let all = [
            (attention::LUNS, Sense::REPORTED_LUNS_DATA_HAS_CHANGED),
            (attention::CAPACITY, Sense::CAPACITY_DATA_HAS_CHANGED),
            (attention::MODE, Sense::MODE_PARAMETERS_CHANGED),
        ];
        let mut all = all.into_iter();
        all.find(|(bit, _)| unit.attention.fetch_and(!bit, Acquire) & bit != 0)
            .map(|(_, sense)| sense)
    }

    /// The blocks of logical unit `lun`; `None` when it is not there.
    pub(crate) fn medium(&self, lun: u8) -> Option<Medium> {
        let unit = self.entries.get(usize::from(lun))?;
        let blocks = unit.blocks()?;
        let block_size = unit.block_size()?;
        Some(Medium {
            blocks,
            namespace_id: unit.namespace_id.load(Relaxed),
            maximum_transfer_blocks: block_size.maximum_transfer_blocks(self.max_transfer_bytes),
            block_size,
        })
    }

    /// Calls `work` with logical unit `lun`, or with the controller alone where that is not there.
    pub(crate) fn with<R>(
        &self,
        lun: u8,
        work: impl FnOnce(Result<&LogicalUnit<'_>, &Controller<'_>>) -> R,
    ) -> R {
        let mut luns = [0; MAX_NAMESPACES];
        let controller = Controller {
            model: &self.model,
            serial: &self.serial,
            firmware: &self.firmware,
            pci_vendor_id: self.pci_vendor_id,
            volatile_write_cache: self.volatile_write_cache,
            write_cache_enabled: self.volatile_write_cache,
            write_cache_changeable: false,
            maximum_transfer_bytes: self.max_transfer_bytes,
            verify_bytes: self.verify_bytes,
            write_zeroes_bytes: self.write_zeroes_bytes,
            luns: self.present(&mut luns),
        };
        let (Some(medium), Some(unit)) = (self.medium(lun), self.entries.get(usize::from(lun)))
        else {
            return work(Err(&controller));
        };
        let identifiers = unit.identifiers();
        work(Ok(&LogicalUnit {
            controller: &controller,
            namespace_id: medium.namespace_id,
            blocks: medium.blocks,
            block_size: medium.block_size,
            nguid: &identifiers.nguid,
            eui64: &identifiers.eui64,
            uuid: &identifiers.uuid,
            naming: if unit.named_by_serial.load(Relaxed) && self.naming == Naming::Reported {
                Naming::Serial
            } else {
                self.naming
            },
            write_protected: unit.write_protected.load(Relaxed) || self.read_only.load(Relaxed),
            hints: unit.hints(),
            deallocation: self.dataset.map(|limits| unit.deallocation(limits)),
        }))
    }

    /// The numbers of the units that are there, in ascending order.
    fn present<'a>(&self, luns: &'a mut [u8; MAX_NAMESPACES]) -> &'a [u8] {
        let given = (0u8..).zip(self.given());
        let there = given.filter(|(_, unit)| unit.blocks().is_some());
        let mut count = 0usize;
        for (place, (lun, _)) in luns.iter_mut().zip(there) {
            *place = lun;
            count = count.saturating_add(1);
        }
        luns.get(..count).unwrap_or_default()
    }
}

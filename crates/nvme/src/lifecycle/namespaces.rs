//! The search for namespaces: by the controller's list, or, where it has none that makes sense, one identifier after the other.

use nvme_spec::registers::Version;

use super::admin::AdminTask;
use super::{Controller, Inventory, VERSION_2_0};
use crate::DmaMemory;
use crate::identify::{ControllerInfo, MAX_NAMESPACES, NamespaceInfo, Usability};

/// The first version with a list of active namespaces (CNS 02h).
const VERSION_1_1: Version = Version::new().with_mjr(1).with_mnr(1);
/// The first version with namespace identification descriptors (CNS 03h).
const VERSION_1_3: Version = Version::new().with_mjr(1).with_mnr(3);
/// The highest identifier that a namespace can have.
const HIGHEST_NSID: u32 = 0xFFFF_FFFD;

/// Where the search for namespaces is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Scan {
    /// The namespace looked at last; 0 before the first.
    pub(super) nsid: u32,
    /// How many were looked at.
    count: u8,
}

/// The active namespaces as the controller lists them: as many as are looked at.
#[derive(Debug)]
pub(super) struct Listed {
    nsids: [u32; MAX_NAMESPACES],
    count: u8,
}

impl Listed {
    pub(super) const NONE: Self = Self {
        nsids: [0; MAX_NAMESPACES],
        count: 0,
    };

    /// Reads a list. One that is empty, or not in order, is none.
    fn read(&mut self, data: &impl DmaMemory) {
        self.count = 0;
        let mut last = 0;
        for (index, place) in (0..).zip(&mut self.nsids) {
            let mut entry = [0; 4];
            data.read(size_of_val(&entry).saturating_mul(index), &mut entry);
            let nsid = u32::from_le_bytes(entry);
            if nsid == 0 {
                return;
            }
            if nsid <= last || nsid > HIGHEST_NSID {
                self.count = 0;
                return;
            }
            last = nsid;
            *place = nsid;
            self.count = self.count.saturating_add(1);
        }
    }

    fn get(&self, index: u8) -> Option<u32> {
        let known = self.nsids.get(..usize::from(self.count))?;
        known.get(usize::from(index)).copied()
    }
}

impl<D: DmaMemory> Controller<D> {
    /// What follows Identify Controller.
    pub(super) fn first_after_controller(&self) -> AdminTask {
        let info = self.info.as_ref();
        let limited = info.is_some_and(ControllerInfo::has_limited_commands);
        if limited && self.version >= VERSION_2_0 {
            AdminTask::IdentifyNvm
        } else {
            AdminTask::ListNamespaces
        }
    }

    /// Whether there is a list of active namespaces: every controller has it from version 1.1 on.
    pub(super) fn has_list(&self) -> bool {
        self.version >= VERSION_1_1 && self.settings.namespace_list
    }

    /// Begins the search: takes the list of active namespaces from the lowest identifier on, if the controller gave one. A list
    /// has room for more than are looked at, so there is no need for the next.
    pub(super) fn listed(&mut self, known: bool, inventory: &mut Inventory) -> Option<AdminTask> {
        inventory.namespaces.clear();
        self.listed.count = 0;
        if known {
            self.listed.read(&self.data);
        }
        self.search(Scan::default(), inventory)
    }

    /// How the search for namespaces goes on after those of `scan`; `None` when it is over.
    pub(super) fn search(&self, scan: Scan, inventory: &mut Inventory) -> Option<AdminTask> {
        if inventory.namespaces.is_full() || usize::from(scan.count) >= MAX_NAMESPACES {
            return None;
        }
        let nsid = if self.listed.count > 0 {
            self.listed.get(scan.count)?
        } else {
            self.counted(scan)?
        };
        Some(AdminTask::IdentifyNamespace(Scan {
            nsid,
            count: scan.count.saturating_add(1),
        }))
    }

    /// The next identifier in turn, up to NN.
    fn counted(&self, scan: Scan) -> Option<u32> {
        let nsid = scan.nsid.checked_add(1)?;
        let highest = self.info.as_ref()?.namespaces.min(HIGHEST_NSID);
        (nsid <= highest).then_some(nsid)
    }

    /// Keeps a namespace, if it is one, or if the controller lists it and says nothing of it, and asks for its identifiers where
    /// they exist.
    pub(super) fn found(
        &self,
        scan: Scan,
        namespace: Option<NamespaceInfo>,
        inventory: &mut Inventory,
    ) -> Option<AdminTask> {
        let listed = self.listed.count > 0;
        let unknown = || listed.then(|| NamespaceInfo::impossible(scan.nsid));
        let Some(namespace) = namespace.or_else(unknown) else {
            return self.search(scan, inventory);
        };
        inventory.namespaces.push(namespace);
        let described = self.version >= VERSION_1_3 && self.settings.descriptors;
        if described && namespace.usability == Usability::Usable {
            Some(AdminTask::NamespaceDescriptors(scan))
        } else {
            self.search(scan, inventory)
        }
    }
}

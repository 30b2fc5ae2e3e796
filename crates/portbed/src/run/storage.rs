//! What is behind the namespaces of a run: files, or a device; and how that is looked at without the driver.

use std::sync::Arc;

use super::{CannotRun, ControllerKind, Setup};
use crate::controller::{NamespaceSize, NvmeClient, PciAddress, VfioFunction};
use crate::disk::{Backing, Geometry};
use crate::workload::{LEAST_BYTES, Tools};

/// What is behind a namespace.
#[derive(Debug)]
pub enum Storage {
    /// A raw image.
    File(Backing),
    /// A namespace of a real controller.
    Device(Device),
}

/// A namespace of a real controller.
#[derive(Clone, Copy, Debug)]
pub struct Device {
    /// Which one.
    pub namespace: NamespaceSize,
    /// Whether what it holds may be destroyed.
    pub writable: bool,
}

impl Storage {
    /// Whether it may be written to.
    pub fn is_writable(&self) -> bool {
        match self {
            Self::File(backing) => !backing.is_preserved(),
            Self::Device(device) => device.writable,
        }
    }

    /// Its size; a file is one in blocks of `block_bytes`.
    pub fn geometry(&self, block_bytes: u32) -> Geometry {
        match self {
            Self::File(backing) => Geometry {
                blocks: backing.bytes() / u64::from(block_bytes),
                block_bytes,
            },
            Self::Device(device) => device.namespace.geometry,
        }
    }
}

/// A real controller that was asked who it is.
pub struct Found {
    /// The function.
    pub function: Arc<VfioFunction>,
    /// Who it says it is.
    pub client: NvmeClient,
}

impl Found {
    /// Takes the function, and asks the controller.
    fn take(address: PciAddress) -> Result<Self, CannotRun> {
        let function = VfioFunction::open(address)?;
        let client = NvmeClient::start(&function)?;
        Ok(Self { function, client })
    }

    /// What is going to be done to which disk, for the timeline.
    pub fn introduction(&self, writable: bool) -> String {
        let (model, serial) = (&self.client.identity().model, self.client.serial());
        let what = if writable {
            "what it holds is destroyed"
        } else {
            "nothing is written to it"
        };
        format!(
            "{}: {model}, serial {serial}: {what}",
            self.function.address()
        )
    }
}

/// What is behind each namespace of the controller that `setup` names, and the controller, if it is a real one.
pub fn open(setup: &Setup) -> Result<(Vec<Storage>, Option<Found>), CannotRun> {
    let (storage, found) = match setup.controller {
        ControllerKind::Vfio { address, writable } => {
            let mut found = Found::take(address)?;
            let namespaces = found.client.namespaces()?;
            let storage = namespaces.into_iter().map(|namespace| {
                Storage::Device(Device {
                    namespace,
                    writable,
                })
            });
            (storage.collect(), Some(found))
        }
        _ => (files(setup)?, None),
    };
    let too_small = |storage: &Storage| {
        storage.is_writable() && storage.geometry(setup.device.block_bytes).bytes() < LEAST_BYTES
    };
    if storage.is_empty() || storage.iter().any(too_small) {
        return Err(CannotRun::NoDisk);
    }
    Ok((storage, found))
}

/// The file behind each namespace: the given one behind the first, temporary ones behind the others.
fn files(setup: &Setup) -> Result<Vec<Storage>, CannotRun> {
    let device = &setup.device;
    let files = (0..device.namespaces).map(|namespace| match &setup.disk {
        Some(path) if namespace == 0 => Backing::existing(path, device.block_bytes),
        _ => Backing::temporary(device.capacity_bytes),
    });
    let files = files.map(|file| Ok(Storage::File(file?)));
    files.collect()
}

/// How what is behind the namespaces is looked at when the driver has gone.
pub enum Outside {
    /// By tools that read images.
    Files(Tools),
    /// By the test bed's own client of the controller.
    Device(Arc<VfioFunction>),
}

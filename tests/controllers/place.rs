//! Where a scenario takes place: the driver on one of the controllers, with its disks.

use std::fs::File;
use std::io;

use nvme_model::{FileMedia, Media};
use portbed::cli::profile::Selection;
use portbed::controller::{Controller, ModelController, Monitor, Qemu, QemuController};
use portbed::disk::Backing;
use portbed::machine::{Completed, Data, LogicalUnit, Request};

use crate::bed::{Bed, transfer_16};

/// A controller that is at hand everywhere.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Place {
    Model,
    Qemu,
}

/// A block that is bad in one way.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Bad {
    Read(u64),
    Write(u64),
}

/// The driver on a controller, started, with its disks enumerated.
pub struct Stand {
    pub bed: Bed,
    pub units: Vec<LogicalUnit>,
    pub backings: Vec<Backing>,
    pub monitor: Option<Monitor>,
}

impl Place {
    pub const ALL: [Self; 2] = [Self::Model, Self::Qemu];

    pub fn name(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Qemu => "qemu",
        }
    }

    /// The profile of a controller without a host memory buffer; each has names of its own for blocks.
    fn profile(self, block_bytes: u32, keys: &str) -> String {
        match self {
            Self::Model => format!("plain,block={block_bytes},{keys}"),
            Self::Qemu => format!("qemu:logical_block_size={block_bytes},{keys}"),
        }
    }

    /// A disk of blocks of 512 bytes, with these keys.
    pub fn start(self, keys: &str) -> Stand {
        Self::start_with(&self.profile(512, keys), None)
    }

    /// As [`start`](Self::start), in blocks of this size.
    pub fn start_in_blocks(self, block_bytes: u32, keys: &str) -> Stand {
        Self::start_with(&self.profile(block_bytes, keys), None)
    }

    /// As [`start`](Self::start), with a block of 512 bytes that is bad.
    pub fn start_on_bad_disk(self, bad: Bad) -> Stand {
        let (what, errno, block) = match bad {
            Bad::Read(block) => ("read", 5, block),
            Bad::Write(block) => ("write", 28, block),
        };
        let rule = "blkdebug.inject-error.0";
        let keys = match self {
            Self::Model => "capacity=64M".to_owned(),
            Self::Qemu => format!(
                "capacity=64M,{rule}.event=none,{rule}.iotype={what},{rule}.errno={errno},{rule}.sector={block}"
            ),
        };
        Self::start_with(&self.profile(512, &keys), Some(bad))
    }

    /// As [`start`](Self::start), of a whole profile, which says which controller it is for.
    pub fn start_with(profile: &str, bad: Option<Bad>) -> Stand {
        let selection = Selection::parse(profile).expect("a profile");
        selection.device.check().expect("a possible controller");
        let geometry = &selection.device;
        let backings: Vec<Backing> = (0..geometry.namespaces)
            .map(|_| Backing::temporary(geometry.capacity_bytes).expect("an image"))
            .collect();
        let files = backings
            .iter()
            .map(|backing| backing.handle().expect("a handle"));
        let (controller, monitor): (Box<dyn Controller>, _) = match &selection.qemu {
            None => {
                let media = files.map(|file| media(file, bad)).collect();
                (Box::new(ModelController::new(geometry, media)), None)
            }
            Some(device) => {
                let program = Qemu::find(None).expect("QEMU");
                let controller = QemuController::new(program, device.clone(), files.collect());
                let monitor = controller.monitor();
                (Box::new(controller), Some(monitor))
            }
        };
        let mut bed = Bed::with_controller(selection, controller);
        bed.machine.start_adapter().expect("the adapter starts");
        let units = bed.machine.enumerate().expect("the disks answer");
        assert_eq!(units.len(), backings.len());
        Stand {
            bed,
            units,
            backings,
            monitor,
        }
    }
}

impl Stand {
    /// Sends a write for each of `lbas`, eight blocks of 512 bytes that all hold `value`.
    pub fn submit_writes(&mut self, lbas: impl Iterator<Item = u64>, value: u8) {
        for lba in lbas {
            let request = Request {
                unit: self.units[0].address,
                cdb: transfer_16(0x8A, lba, 8),
                data: Data::Out(vec![value; 4096]),
                ..Request::default()
            };
            self.bed
                .machine
                .submit(request)
                .expect("the driver runs on");
        }
    }

    /// Everything that was submitted succeeds.
    #[track_caller]
    pub fn all_succeed(&mut self) {
        let completed = self.bed.machine.drain().expect("the driver runs on");
        assert!(completed.iter().all(|(_, completed)| completed.succeeded()));
    }

    pub fn write(&mut self, lba: u64, blocks: u32, value: u8) -> Completed {
        let data = Data::Out(vec![value; blocks as usize * 512]);
        self.bed
            .execute(&self.units[0], &transfer_16(0x8A, lba, blocks), data)
    }

    pub fn read(&mut self, lba: u64, blocks: u32) -> Completed {
        let data = Data::In(blocks as usize * 512);
        self.bed
            .execute(&self.units[0], &transfer_16(0x88, lba, blocks), data)
    }
}

/// What is behind a namespace of the model.
fn media(file: File, bad: Option<Bad>) -> Box<dyn Media> {
    let file = FileMedia::new(file).expect("an image");
    match bad {
        None => Box::new(file),
        Some(bad) => Box::new(BadMedia { file, bad }),
    }
}

struct BadMedia {
    file: FileMedia,
    bad: Bad,
}

/// Fails when the block is among `bytes` at `offset`.
fn refuse(block: u64, offset: u64, bytes: usize) -> io::Result<()> {
    if (offset..offset + bytes as u64).contains(&(block * 512)) {
        return Err(io::Error::other("a bad block"));
    }
    Ok(())
}

impl Media for BadMedia {
    fn len_bytes(&self) -> u64 {
        self.file.len_bytes()
    }

    fn read_at(&mut self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        if let Bad::Read(block) = self.bad {
            refuse(block, offset, into.len())?;
        }
        self.file.read_at(offset, into)
    }

    fn write_at(&mut self, offset: u64, data: &[u8]) -> io::Result<()> {
        if let Bad::Write(block) = self.bad {
            refuse(block, offset, data.len())?;
        }
        self.file.write_at(offset, data)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }

    fn zero(&mut self, offset: u64, bytes: u64) -> io::Result<()> {
        self.file.zero(offset, bytes)
    }
}

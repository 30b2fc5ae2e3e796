//! The main job: a miniport from its installation to its removal, with verified I/O in between.

mod failure;
mod judgement;
mod lifecycle;
mod namespace;
mod report_file;
mod storage;
mod summary;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nvme_model::{FileMedia, Media, Profile, ProfileError};
use thiserror::Error;

use crate::controller::{
    Controller, FaultyRegisters, ModelController, PciAddress, Qemu, QemuController, QemuError,
    QemuProfile, VfioController, VfioError,
};
use crate::disk::BackingError;
use crate::journal::{Journal, Who};
use crate::last_words;
use crate::machine::{Clock, Machine, MachineError, MachineOptions, PortOptions};
use crate::report::Verdict;
use crate::timeline::{Bytes, Timeline};
use crate::workload::{LEAST_BYTES, OutsideError, Stream, Tools};
use lifecycle::Job;
use report_file::ReportFile;
use storage::{Found, Outside, Storage};

/// Which kind of controller a run is connected to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ControllerKind {
    /// The software model in this process.
    Model,
    /// QEMU's NVMe device.
    Qemu {
        /// Which device it is.
        profile: Box<QemuProfile>,
        /// QEMU; without it, the one on the PATH.
        program: Option<PathBuf>,
    },
    /// A controller of this machine, through VFIO.
    Vfio {
        /// Where it is.
        address: PciAddress,
        /// Whether what its namespaces hold may be destroyed.
        writable: bool,
    },
}

/// What is done between the start and the removal.
#[derive(Clone, Copy, Debug)]
pub enum Work {
    /// A file system, a power cycle, every block verified.
    MainJob,
    /// A stream of requests.
    Stream(Stream),
}

/// What a run is made of.
#[derive(Clone, Debug)]
pub struct Setup {
    /// What is done.
    pub work: Work,
    /// The image; without one, the project's own driver is built and taken.
    pub driver: Option<PathBuf>,
    /// The kind of controller.
    pub controller: ControllerKind,
    /// Which controller the model is; of another one, the geometry of its namespaces and its largest transfer.
    pub device: Profile,
    /// How the port driver behaves.
    pub port: PortOptions,
    /// Values of the service's `Parameters\Device` key.
    pub registry: BTreeMap<String, u32>,
    /// The image behind the first namespace; without one, a temporary file.
    pub disk: Option<PathBuf>,
    /// Virtual processors.
    pub cpus: u32,
    /// What decides when they run.
    pub clock: Clock,
    /// Decides everything that is not decided otherwise.
    pub seed: u64,
    /// The command that does the same again, told when a run fails.
    pub replay: String,
    /// Where the report goes.
    pub report: Option<PathBuf>,
}

/// Why nothing could be found out. Each is one line that says what to do, where something can be done.
#[derive(Debug, Error)]
pub enum CannotRun {
    /// The report would be lost.
    #[error("the report cannot be written to {}: {why}", path.display())]
    Report {
        /// Where it was to go.
        path: PathBuf,
        /// What the system said.
        why: io::Error,
    },
    /// No controller is like that.
    #[error("--profile: {0}")]
    Profile(#[from] ProfileError),
    /// The main job needs a disk.
    #[error(
        "a run needs a disk of at least {} in each namespace, and one namespace",
        Bytes(LEAST_BYTES)
    )]
    NoDisk,
    /// The disk cannot be used.
    #[error(transparent)]
    Disk(#[from] BackingError),
    /// The stream would write over data.
    #[error(
        "{0} is not blank, or is only to be read: only reads are possible, --rw read or randread"
    )]
    WouldOverwrite(String),
    /// No controller of this profile takes such requests.
    #[error("--bs: whole blocks of {block_bytes} bytes are needed, and not more than mdts")]
    Request {
        /// The size of a logical block.
        block_bytes: u32,
    },
    /// A real controller cannot be used.
    #[error(transparent)]
    Vfio(#[from] VfioError),
    /// The driver could not be built, or a tool fetched.
    #[error(transparent)]
    SetUp(#[from] wdk_linux::Error),
    /// There is no QEMU.
    #[error(transparent)]
    Qemu(#[from] QemuError),
    /// The machine could not be made, or the driver not be loaded.
    #[error(transparent)]
    Machine(MachineError),
    /// The volume could not be checked from outside.
    #[error(transparent)]
    Outside(#[from] OutsideError),
    /// The system failed.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// Does the work, prints its timeline and summary, and writes the report.
pub fn run(setup: &Setup, timeline: &Timeline) -> Result<Verdict, CannotRun> {
    let report_file = setup
        .report
        .as_deref()
        .map(ReportFile::prepare)
        .transpose()?;
    setup.device.check()?;
    let (storage, found) = storage::open(setup)?;
    if let Work::Stream(stream) = &setup.work {
        check(stream, setup, &storage)?;
    }
    let outside = match &found {
        None => Outside::Files(tools()?),
        Some(found) => Outside::Device(Arc::clone(&found.function)),
    };
    let journal = Journal::default();
    let controller = controller(setup, &storage, found, &journal)?;
    let driver = match &setup.driver {
        Some(path) => path.clone(),
        None => wdk_linux::image()?.sys,
    };
    let mut machine = machine(setup, controller, &journal)?;
    last_words::prepare(&setup.replay);
    journal.note(machine.now_ns(), Who::Bed, introduction(setup, &driver));
    let entered = load(&mut machine, &driver)?;
    // What cannot run has no timeline.
    timeline.follow(&journal);
    let mut job = Job::new(setup, machine, journal, storage)?;
    job.run(entered);
    job.check_outside(&outside)?;
    let report = job.judge(&driver);
    summary::print(timeline, &report, &job.failures(), &setup.replay);
    if let Some(file) = report_file {
        file.write(&report)?;
    }
    Ok(report.result)
}

/// Refuses a stream that the profile or the disk does not allow.
fn check(stream: &Stream, setup: &Setup, storage: &[Storage]) -> Result<(), CannotRun> {
    let mdts_bytes = setup.device.mdts_bytes;
    for storage in storage {
        let block_bytes = storage.geometry(setup.device.block_bytes).block_bytes;
        if !stream.bytes.is_multiple_of(block_bytes)
            || mdts_bytes != 0 && u64::from(stream.bytes) > mdts_bytes
        {
            return Err(CannotRun::Request { block_bytes });
        }
    }
    if stream.pattern.writes && !storage.iter().all(Storage::is_writable) {
        let disk = setup.disk.as_ref().map(|path| path.display().to_string());
        return Err(CannotRun::WouldOverwrite(
            disk.unwrap_or_else(|| "the disk".to_owned()),
        ));
    }
    Ok(())
}

/// The tools that check a volume from outside, fetched when they are not there yet.
fn tools() -> Result<Tools, CannotRun> {
    let root = wdk_linux::packages::unpacked("disk-tools", &["dosfstools", "mtools"])?;
    Ok(Tools {
        fsck_fat: root.join("sbin/fsck.fat"),
        mdir: root.join("usr/bin/mdir"),
        mcopy: root.join("usr/bin/mcopy"),
    })
}

fn machine(
    setup: &Setup,
    controller: Box<dyn Controller>,
    journal: &Journal,
) -> Result<Machine, CannotRun> {
    Machine::new(MachineOptions {
        cpus: setup.cpus,
        clock: setup.clock,
        seed: setup.seed,
        port: setup.port.clone(),
        registry: setup.registry.clone(),
        controllers: vec![controller],
        journal: journal.clone(),
    })
    .map_err(CannotRun::Machine)
}

fn controller(
    setup: &Setup,
    storage: &[Storage],
    found: Option<Found>,
    journal: &Journal,
) -> Result<Box<dyn Controller>, CannotRun> {
    let files = storage.iter().filter_map(|storage| match storage {
        Storage::File(backing) => Some(backing.handle()),
        Storage::Device(_) => None,
    });
    Ok(match (&setup.controller, found) {
        (ControllerKind::Qemu { profile, program }, _) => {
            let program = Qemu::find(program.as_deref())?;
            let files = files.collect::<io::Result<_>>()?;
            let qemu = QemuController::new(program, QemuProfile::clone(profile), files);
            Box::new(FaultyRegisters::new(Box::new(qemu), &setup.device.faults))
        }
        (ControllerKind::Vfio { writable, .. }, Some(found)) => {
            journal.note(0, Who::Bed, found.introduction(*writable));
            let identity = found.client.identity().clone();
            Box::new(VfioController::new(
                found.function,
                identity,
                journal.clone(),
            ))
        }
        (ControllerKind::Model | ControllerKind::Vfio { .. }, _) => {
            let mut media: Vec<Box<dyn Media>> = Vec::new();
            for file in files {
                media.push(Box::new(FileMedia::new(file?)?));
            }
            Box::new(ModelController::new(&setup.device, media))
        }
    })
}

/// Loads the image. One that cannot be loaded has not run, and so has not failed either; one whose `DriverEntry` failed has.
fn load(machine: &mut Machine, driver: &Path) -> Result<Result<(), MachineError>, CannotRun> {
    match machine.load(driver) {
        Err(error @ (MachineError::Image(_) | MachineError::Resources(_))) => {
            Err(CannotRun::Machine(error))
        }
        entered => Ok(entered),
    }
}

fn introduction(setup: &Setup, driver: &Path) -> String {
    let name = driver
        .file_name()
        .unwrap_or(driver.as_os_str())
        .to_string_lossy();
    let processors = if setup.cpus == 1 {
        "processor"
    } else {
        "processors"
    };
    format!(
        "loading {name}; {} virtual {processors}, seed {}",
        setup.cpus, setup.seed
    )
}

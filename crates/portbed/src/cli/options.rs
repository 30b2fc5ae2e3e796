//! The options of `portbed run` and `portbed io`.

use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::Args;
use nvme_model::{Fault, FaultError, Profile};

use super::profile::{QEMU_PREFIX, Selection, SelectionError, VFIO_PREFIX, goes_together};
use crate::controller::PciAddress;
use crate::disk::Form;
use crate::machine::{Clock, Interrupts, Isolation, PortOptions};
use crate::run::{ControllerKind, Setup, Work};
use crate::workload::{Pattern, Stream};

/// The most virtual processors.
pub(super) const MOST_CPUS: i64 = 128;

/// The most requests outstanding at a time.
const MOST_OUTSTANDING: i64 = 1024;

/// The options of a run.
#[derive(Args, Debug)]
pub struct RunOptions {
    /// The miniport image to run, instead of the project's own, which is built first
    #[arg(long, value_name = "FILE")]
    driver: Option<PathBuf>,
    /// The controller: model, qemu for QEMU's NVMe device, or vfio:ADDRESS for a real one of this machine, such as
    /// vfio:0000:01:00.0
    #[arg(long, value_name = "KIND", default_value = "model", value_parser = controller)]
    controller: Kind,
    /// Which controller the model is: a name, keys with values, or both, separated by commas; or qemu:K=V,... with
    /// properties of QEMU's device; or vfio:K=V,... with keys of the port driver and the registry; see `portbed profiles`
    /// [default: hmb, qemu: or vfio:]
    #[arg(long, value_name = "NAME|K=V,...")]
    profile: Option<String>,
    /// Something that the controller does wrong, and when: MATCH:BEHAVIOUR[:WHEN[,WHEN]], such as read:never:nth=5; may be
    /// repeated; see `portbed profiles`
    #[arg(long = "fault", value_name = "MATCH:BEHAVIOUR[:WHEN]", value_parser = fault)]
    faults: Vec<Fault>,
    /// QEMU, instead of the one that `FERROSTOR_QEMU` names or the `qemu-system-x86_64` on the PATH
    #[arg(long, value_name = "PATH")]
    qemu: Option<PathBuf>,
    /// What the disks of a real controller hold may be destroyed
    #[arg(long, conflicts_with = "read_only")]
    yes_destroy_data: bool,
    /// Nothing is written to the disks of a real controller: what is read is read twice, and once more without the driver
    #[arg(long)]
    read_only: bool,
    /// A raw disk image behind the first namespace. A blank one, all zero, is partitioned, formatted and filled; what any
    /// other holds is only read, and preserved
    #[arg(long, value_name = "FILE")]
    disk: Option<PathBuf>,
    /// Virtual processors, 1 to 128; those above 64 are in a second processor group
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=MOST_CPUS))]
    cpus: u32,
    /// What decides when processors run: deterministic, one at a time as the seed decides, in virtual time; or threaded,
    /// all in parallel, in real time
    #[arg(long, value_name = "CLOCK", default_value = "deterministic", value_parser = clock)]
    clock: Clock,
    /// Under the deterministic clock: after one in N calls and register accesses of the driver, let another processor go
    /// on at an instruction that the seed chooses
    #[arg(long, value_name = "N", conflicts_with = "clock")]
    preempt: Option<NonZeroU32>,
    /// Decides the order of events and the data: under the deterministic clock, the same seed gives the same run
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Run once with each of N seeds, from --seed on, and tell which fail and how each is replayed
    #[arg(long, value_name = "N", conflicts_with_all = ["report", "disk"], value_parser = clap::value_parser!(u32).range(1..))]
    seeds: Option<u32>,
    /// Write a report in JSON
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

/// The kinds of controllers.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Model,
    Qemu,
    Vfio(PciAddress),
}

/// The options of a stream of requests.
#[derive(Args, Debug)]
pub struct StreamOptions {
    #[command(flatten)]
    run: RunOptions,
    /// What is asked for: read, write, randread, randwrite, rw, randrw
    #[arg(long, value_name = "PATTERN", default_value = "randread", value_parser = pattern)]
    rw: Pattern,
    /// Bytes in a request; takes K and M
    #[arg(long, value_name = "BYTES", default_value = "4K", value_parser = bytes)]
    bs: u32,
    /// Requests outstanding at a time, 1 to 1024
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=MOST_OUTSTANDING))]
    qd: u32,
    /// Requests in all
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    ios: u64,
    /// Of how many requests, the first, the driver's instructions are counted, which is slow; 0 of none
    /// [default: 32 under the deterministic clock, else 0]
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// Tell the N functions of the driver with the most of these instructions, by the map beside the image, and N of the cache
    /// lines that several processors have written meanwhile
    #[arg(long, value_name = "N", default_value_t = 0)]
    hottest: usize,
    /// Requests all alike, as costs are compared by: READ(10) or WRITE(10) in a `STORAGE_REQUEST_BLOCK`, data that start a page,
    /// no page of them next to another
    #[arg(long)]
    uniform: bool,
}

/// For so many requests instructions are counted without `--count`: each takes about 30 ms.
const COUNTED: u64 = 32;

impl StreamOptions {
    /// The options of the run itself.
    pub fn run(&self) -> &RunOptions {
        &self.run
    }

    /// The stream.
    pub fn stream(&self) -> Stream {
        Stream {
            pattern: self.rw,
            bytes: self.bs,
            depth: self.qd,
            requests: self.ios,
            counted: self.count.unwrap_or(match self.run.clock {
                Clock::Threaded => 0,
                _ => COUNTED,
            }),
            hottest: self.hottest,
            form: if self.uniform {
                Form::Uniform
            } else {
                Form::Varied
            },
        }
    }
}

impl RunOptions {
    /// What the profile selects; one of another controller is refused.
    fn selection(&self) -> Result<Selection, SelectionError> {
        let (default, controller, hint) = match self.controller {
            Kind::Model => (
                "hmb",
                "model",
                "one that begins with qemu: or vfio: is for those",
            ),
            Kind::Qemu => (QEMU_PREFIX, "qemu", "one for it begins with qemu:"),
            Kind::Vfio(_) => (VFIO_PREFIX, "vfio", "one for it begins with vfio:"),
        };
        let text = self.profile.as_deref().unwrap_or(default);
        let other = |prefix| text.starts_with(prefix) != default.starts_with(prefix);
        if other(QEMU_PREFIX) || other(VFIO_PREFIX) {
            return Err(SelectionError::OtherController {
                given: text.to_owned(),
                controller,
                hint,
            });
        }
        Selection::parse(text)
    }

    /// The faults, as far as this controller can have them.
    fn faults(&self, device: &Profile, port: &PortOptions) -> Result<Vec<Fault>, SelectionError> {
        let line = device.messages == 0 || port.interrupts == Interrupts::Line;
        for fault in &self.faults {
            let why = match (self.controller, fault.needs_line()) {
                (Kind::Vfio(_), _) => "a real controller has no faults but its own",
                (Kind::Qemu, _) if !fault.is_of_registers() => {
                    "QEMU's device can only be made to have faults of what registers read as"
                }
                (_, Some(true)) if !line => "it needs line interrupts: --profile line",
                (_, Some(false)) if line => "it needs messages, and there is the line only",
                _ => continue,
            };
            return Err(SelectionError::Fault {
                spec: fault.spec().to_owned(),
                why,
            });
        }
        Ok(self.faults.clone())
    }

    /// Whether the disks of the controller may be written to. Of a real one that has to be said; of others there is no need.
    fn writable(&self) -> Result<bool, SelectionError> {
        let real = matches!(self.controller, Kind::Vfio(_));
        match (real, self.yes_destroy_data, self.read_only) {
            (false, false, false) => Ok(true),
            (false, ..) => Err(SelectionError::NothingToDestroy),
            (true, false, false) => Err(SelectionError::Consent),
            (true, _, _) if self.disk.is_some() => Err(SelectionError::DiskOfItsOwn),
            (true, destroy, _) => Ok(destroy),
        }
    }

    /// The first seed, and how many if they are to be run one after the other.
    pub fn seeds(&self) -> (u64, Option<u32>) {
        (self.seed, self.seeds)
    }

    /// What the options ask for; `replay` is the command that asks for it again.
    pub fn setup(&self, work: Work, replay: String) -> Result<Setup, SelectionError> {
        let Selection {
            mut device,
            qemu,
            port,
            registry,
        } = self.selection()?;
        let writable = self.writable()?;
        device.faults = self.faults(&device, &port)?;
        if self.qemu.is_some() && !matches!(self.controller, Kind::Qemu) {
            return Err(SelectionError::NoQemu);
        }
        goes_together(self.disk.as_deref(), &device)?;
        let controller = match (self.controller, qemu) {
            (Kind::Vfio(_), _) if port.interrupts == Interrupts::Line => {
                return Err(SelectionError::NoLine);
            }
            (Kind::Vfio(_), _) if port.iommu == Isolation::Off => {
                return Err(SelectionError::NoIommu);
            }
            (Kind::Vfio(address), _) => ControllerKind::Vfio { address, writable },
            (_, Some(profile)) => ControllerKind::Qemu {
                profile: Box::new(profile),
                program: self.qemu.clone(),
            },
            (_, None) => ControllerKind::Model,
        };
        Ok(Setup {
            work,
            driver: self.driver.clone(),
            controller,
            device,
            port,
            registry,
            disk: self.disk.clone(),
            cpus: self.cpus,
            clock: self.preempt.map_or(self.clock, Clock::Preemptive),
            seed: self.seed,
            replay,
            report: self.report.clone(),
        })
    }
}

fn controller(kind: &str) -> Result<Kind, String> {
    match (kind, kind.strip_prefix(VFIO_PREFIX)) {
        (_, Some(address)) => address.parse().map(Kind::Vfio),
        ("model", _) => Ok(Kind::Model),
        ("qemu", _) => Ok(Kind::Qemu),
        _ => Err("there is no such controller, take model, qemu or vfio:ADDRESS".to_owned()),
    }
}

/// Reads a fault.
pub(super) fn fault(spec: &str) -> Result<Fault, String> {
    spec.parse().map_err(|error: FaultError| error.why)
}

fn clock(name: &str) -> Result<Clock, String> {
    match name {
        "deterministic" => Ok(Clock::Deterministic),
        "threaded" => Ok(Clock::Threaded),
        _ => Err("deterministic and threaded are possible".to_owned()),
    }
}

fn pattern(name: &str) -> Result<Pattern, String> {
    let (random, what) = name
        .strip_prefix("rand")
        .map_or((false, name), |what| (true, what));
    let (reads, writes) = match what {
        "read" => (true, false),
        "write" => (false, true),
        "rw" => (true, true),
        _ => return Err("read, write, randread, randwrite, rw and randrw are possible".to_owned()),
    };
    Ok(Pattern {
        reads,
        writes,
        random,
    })
}

fn bytes(text: &str) -> Result<u32, String> {
    let (digits, unit) = match text.as_bytes().last() {
        Some(b'K' | b'k') => (&text[..text.len() - 1], 1 << 10),
        Some(b'M' | b'm') => (&text[..text.len() - 1], 1 << 20),
        _ => (text, 1),
    };
    let bytes = digits
        .parse::<u32>()
        .ok()
        .and_then(|number| number.checked_mul(unit));
    bytes
        .filter(|bytes| (512..=16 << 20).contains(bytes))
        .ok_or("512 to 16M are possible".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        run: RunOptions,
    }

    /// What is set up, or why not.
    fn setup(options: &str) -> Result<ControllerKind, String> {
        let words = ["portbed"].into_iter().chain(options.split_whitespace());
        let line = Line::try_parse_from(words).map_err(|error| error.to_string())?;
        let setup = line.run.setup(Work::MainJob, String::new());
        setup
            .map(|setup| setup.controller)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_real_controller_is_written_to_only_where_that_was_said() {
        let address = "0000:01:00.0".parse().unwrap();
        for (options, writable) in [
            ("--controller vfio:0000:01:00.0 --read-only", false),
            ("--controller vfio:01:00.0 --yes-destroy-data", true),
            (
                "--controller vfio:01:00.0 --read-only --profile vfio:grant=half",
                false,
            ),
        ] {
            let expected = ControllerKind::Vfio { address, writable };
            assert_eq!(setup(options), Ok(expected), "{options}");
        }
    }

    #[test]
    fn what_makes_no_sense_with_a_real_controller_is_refused() {
        for (options, told) in [
            ("--controller vfio:01:00.0", "--yes-destroy-data"),
            (
                "--controller vfio:01:00.0 --read-only --yes-destroy-data",
                "cannot be used with",
            ),
            ("--controller vfio:nvme0 --read-only", "no address"),
            (
                "--controller vfio:01:00.0 --read-only --disk x",
                "disks of its own",
            ),
            (
                "--controller vfio:01:00.0 --read-only --profile vfio:interrupts=line",
                "interrupts=line",
            ),
            (
                "--controller vfio:01:00.0 --read-only --profile 4k",
                "begins with vfio:",
            ),
            ("--profile vfio:grant=half", "is for those"),
            ("--read-only", "are for --controller vfio:ADDRESS"),
            ("--qemu /usr/bin/true", "is for --controller qemu"),
            (
                "--controller vfio:01:00.0 --read-only --qemu x",
                "is for --controller qemu",
            ),
            ("--disk x --profile namespaces=0", "no namespace"),
            (
                "--disk x --controller qemu --profile qemu:namespaces=0",
                "no namespace",
            ),
            (
                "--controller qemu --yes-destroy-data",
                "are for --controller vfio:ADDRESS",
            ),
            ("--controller pci:01:00.0", "vfio:ADDRESS"),
        ] {
            let refused = setup(options).unwrap_err();
            assert!(refused.contains(told), "{options}: {refused}");
        }
    }
}

//! The pipeline on Linux: a package, step by step, in the folder that the image is built into.
//!
//! The steps are those of windows-drivers-rs' makefile, under its names, so that `cargo make` has the same tasks on both systems; each
//! reads what the ones before it have written. [`collect`](crate::collect) gathers the package when the last one is done.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Error;
use crate::catalog::{Catalog, Kind, Member};
use crate::digest::Digests;
use crate::files::{self, create_folder, read, write};
use crate::inf::Inf;
use crate::lint::lint;
use crate::signing::Tools;
use crate::stamp::{Date, Stamp, Version, stamp_file};
use crate::verify::{DRIVER, Fault};

/// What a package is made of, but for the image, which is built when it is not there.
#[derive(Debug, Clone)]
pub struct Sources {
    /// The INX.
    pub inx: PathBuf,
    /// The version that the package gets.
    pub version: Version,
    /// The date that the version gets.
    pub date: Date,
}

/// Where the pipeline reads and writes.
#[derive(Debug, Clone)]
pub struct Pipeline {
    sources: Sources,
    output: PathBuf,
    keys: PathBuf,
}

macro_rules! steps {
    ($($(#[doc = $meaning:literal])+ $name:ident = $task:literal,)*) => {
        /// A step of the pipeline.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Step {
            $($(#[doc = $meaning])+ $name,)*
        }

        /// Every step, in an order in which each finds what it reads.
        pub const STEPS: &[Step] = &[$(Step::$name),*];

        impl fmt::Display for Step {
            /// The name of its task.
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(match self { $(Self::$name => $task),* })
            }
        }
    };
}

steps! {
    /// Makes the INF from the INX.
    StampInf = "stampinf",
    /// Holds the INF to the rules of an isolated driver.
    VerifyInf = "infverif",
    /// Puts the image into the package.
    CopyImage = "copy-driver-binary-to-package",
    /// Puts the debug information into the package.
    CopyPdb = "copy-pdb-to-package",
    /// Puts the INF into the package.
    CopyInf = "copy-inf-to-package",
    /// Makes a test certificate, if there is none that still lasts.
    GenerateCertificate = "generate-certificate",
    /// Puts the certificate into the package.
    CopyCertificate = "copy-certificate-to-package",
    /// Signs the image in the package.
    SignImage = "sign-driver-binary",
    /// Makes the catalogue of the package.
    MakeCatalog = "inf2cat",
    /// Signs the catalogue.
    SignCatalog = "sign-cat",
    /// Checks the signature of the image.
    VerifyImage = "verify-signature-driver-binary",
    /// Checks the signature of the catalogue, and the image by it.
    VerifyCatalog = "verify-signature-cat",
}

impl Step {
    /// The step with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        STEPS.iter().copied().find(|step| step.to_string() == name)
    }
}

impl Pipeline {
    /// A pipeline that writes into `output` and keeps its certificate and key in `keys`.
    #[must_use]
    pub fn new(sources: Sources, output: &Path, keys: &Path) -> Self {
        Self {
            sources,
            output: output.to_owned(),
            keys: keys.to_owned(),
        }
    }

    /// The folder of the package in the making.
    #[must_use]
    pub fn package(&self) -> PathBuf {
        self.output.join(format!("{DRIVER}_package"))
    }

    /// Does one step.
    pub fn run(&self, step: Step) -> Result<(), Error> {
        match step {
            Step::StampInf => self.stamp_inf(),
            Step::VerifyInf => self.verify_inf(),
            Step::CopyImage => self.copy(&wdk_linux::image()?.sys, "sys"),
            Step::CopyPdb => self.copy(&wdk_linux::image()?.pdb, "pdb"),
            Step::CopyInf => self.copy(&self.inf(), "inf"),
            Step::GenerateCertificate => Tools::find()?.identity(&self.keys).map(drop),
            Step::CopyCertificate => self.copy_certificate(),
            Step::SignImage => self.sign("sys"),
            Step::MakeCatalog => self.make_catalog(),
            Step::SignCatalog => self.sign("cat"),
            Step::VerifyImage => self.verify(Tools::check_image),
            Step::VerifyCatalog => self.verify(Tools::check_catalog),
        }
    }

    /// The stamped INF.
    fn inf(&self) -> PathBuf {
        self.output.join(DRIVER).with_extension("inf")
    }

    /// A file of the package in the making.
    fn file(&self, extension: &str) -> PathBuf {
        self.package().join(DRIVER).with_extension(extension)
    }

    fn stamp_inf(&self) -> Result<(), Error> {
        let inx = &self.sources.inx;
        let bytes = stamp_file(
            &read(inx)?,
            &Stamp {
                architecture: "amd64",
                date: self.sources.date,
                version: self.sources.version,
                catalog: format!("{DRIVER}.cat"),
            },
        );
        create_folder(&self.output)?;
        write(&self.inf(), &bytes)
    }

    /// An INF that breaks a rule goes no further. Stamping keeps the lines, so that a finding's is that of the INX.
    fn verify_inf(&self) -> Result<(), Error> {
        let findings: Vec<String> = lint(&Inf::parse(&read(&self.inf())?))
            .iter()
            .map(|finding| format!("{}:{finding}", self.sources.inx.display()))
            .collect();
        if findings.is_empty() {
            Ok(())
        } else {
            Err(Error::Lint(findings.join("\n")))
        }
    }

    fn copy(&self, from: &Path, extension: &str) -> Result<(), Error> {
        create_folder(&self.package())?;
        files::copy(from, &self.file(extension))
    }

    fn copy_certificate(&self) -> Result<(), Error> {
        create_folder(&self.package())?;
        let identity = Tools::find()?.identity(&self.keys)?;
        write(&self.file("cer"), &identity.certificate()?)
    }

    fn sign(&self, extension: &str) -> Result<(), Error> {
        let tools = Tools::find()?;
        tools.sign(&tools.identity(&self.keys)?, &self.file(extension))
    }

    fn make_catalog(&self) -> Result<(), Error> {
        let inf = read(&self.file("inf"))?;
        let name = |extension: &str| format!("{DRIVER}.{extension}");
        let catalog = Catalog {
            date: self.sources.date,
            systems: "_v100_X64".to_owned(),
            versions: "2:10.0".to_owned(),
            device_ids: device_ids(&Inf::parse(&inf)),
            members: vec![
                Member {
                    name: name("sys"),
                    kind: Kind::Image,
                    digests: Digests::of_image(&read(&self.file("sys"))?, &name("sys"))?,
                },
                Member {
                    name: name("inf"),
                    kind: Kind::File,
                    digests: Digests::of_file(&inf),
                },
            ],
        };
        write(&self.file("cat"), &catalog.to_der()?)
    }

    fn verify(&self, check: Check) -> Result<(), Error> {
        let faults = check(&Tools::find()?, &self.package())?;
        match faults.first() {
            None => Ok(()),
            Some(fault) => Err(Error::Signature(fault.to_string())),
        }
    }
}

/// A check of signatures, by the tools, of the package in a folder.
type Check = fn(&Tools, &Path) -> Result<Vec<Fault>, Error>;

/// The devices that the models of an INF are for.
fn device_ids(inf: &Inf) -> Vec<String> {
    let models = inf.entries("Manufacturer").flat_map(|entry| {
        let name = inf.text(entry, 0);
        (1..entry.values.len()).map(move |index| format!("{name}.{}", inf.text(entry, index)))
    });
    let mut ids: Vec<String> = models
        .flat_map(|section| {
            let entries = inf.entries(&section);
            entries
                .flat_map(|entry| (1..entry.values.len()).map(|index| inf.text(entry, index)))
                .collect::<Vec<String>>()
        })
        .filter(|id| !id.is_empty())
        .collect();
    ids.sort();
    ids.dedup();
    ids
}

/// The date of the sources: `SOURCE_DATE_EPOCH`, else that of the last commit.
pub fn source_date(workspace: &Path) -> Result<Date, Error> {
    if let Ok(seconds) = std::env::var("SOURCE_DATE_EPOCH") {
        let date = seconds.parse().ok().and_then(Date::of_unix_time);
        return date.ok_or(Error::NoDate);
    }
    let log = Command::new("git")
        .args(["log", "-1", "--format=%ct"])
        .current_dir(workspace)
        .output();
    log.ok()
        .and_then(|output| String::from_utf8(output.stdout).ok())
        .and_then(|seconds| Date::of_unix_time(seconds.trim().parse().ok()?))
        .ok_or(Error::NoDate)
}

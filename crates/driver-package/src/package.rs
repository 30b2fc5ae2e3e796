//! Puts a package together, step by step, in a folder of its own; the last step puts it where it is looked for.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Error;
use crate::catalog::{Catalog, Kind, Member};
use crate::digest::Digests;
use crate::inf::Inf;
use crate::lint::lint;
use crate::manifest::{self, Manifest};
use crate::signing::{Identity, Tools};
use crate::stamp::{Date, Stamp, Version, stamp};
use crate::verify::DRIVER;

/// What a package is made of.
#[derive(Debug, Clone)]
pub struct Sources {
    /// The image.
    pub sys: PathBuf,
    /// Its debug information.
    pub pdb: PathBuf,
    /// The INX.
    pub inx: PathBuf,
    /// The scripts that install and remove it.
    pub scripts: Vec<PathBuf>,
    /// The version that it gets.
    pub version: Version,
    /// The date that the version gets.
    pub date: Date,
}

/// A package in the making, and the tools that sign it.
#[derive(Debug)]
pub struct Assembly<'a> {
    sources: &'a Sources,
    folder: PathBuf,
    tools: Tools,
    identity: Identity,
}

impl<'a> Assembly<'a> {
    /// Begins a package in `folder`, which is emptied, with the identity in `keys`.
    pub fn begin(sources: &'a Sources, folder: &Path, keys: &Path) -> Result<Self, Error> {
        if folder.exists() {
            fs::remove_dir_all(folder).map_err(Error::file("empty the folder", folder))?;
        }
        fs::create_dir_all(folder).map_err(Error::file("create the folder", folder))?;
        let tools = Tools::find()?;
        let identity = tools.identity(keys)?;
        Ok(Self {
            sources,
            folder: folder.to_owned(),
            tools,
            identity,
        })
    }

    /// All steps in their order; the finished package is in `place`, where it replaces the one before it.
    pub fn finish(self, place: &Path) -> Result<Manifest, Error> {
        let inf = self.stamp()?;
        self.sign_image()?;
        self.catalog(&inf)?;
        self.copy()?;
        let manifest = self.manifest()?;
        manifest.write(&self.folder)?;
        if place.exists() {
            fs::remove_dir_all(place).map_err(Error::file("replace the folder", place))?;
        }
        fs::rename(&self.folder, place).map_err(Error::file("put the package at", place))?;
        Ok(manifest)
    }

    fn file(&self, extension: &str) -> PathBuf {
        self.folder.join(DRIVER).with_extension(extension)
    }

    /// Stamps the INX, and goes no further with an INF that breaks a rule.
    fn stamp(&self) -> Result<Inf, Error> {
        let inx = &self.sources.inx;
        let text = fs::read_to_string(inx).map_err(Error::file("read", inx))?;
        let text = stamp(
            &text,
            &Stamp {
                architecture: "amd64",
                date: self.sources.date,
                version: self.sources.version,
                catalog: format!("{DRIVER}.cat"),
            },
        );
        let path = self.file("inf");
        fs::write(&path, &text).map_err(Error::file("write", &path))?;
        let inf = Inf::parse(text.as_bytes());
        let findings: Vec<String> = lint(&inf)
            .iter()
            .map(|finding| format!("{}:{finding}", inx.display()))
            .collect();
        if findings.is_empty() {
            Ok(inf)
        } else {
            Err(Error::Lint(findings.join("\n")))
        }
    }

    fn sign_image(&self) -> Result<(), Error> {
        self.tools
            .sign(&self.identity, &self.sources.sys, &self.file("sys"))
    }

    fn catalog(&self, inf: &Inf) -> Result<(), Error> {
        let read = |path: &Path| fs::read(path).map_err(Error::file("read", path));
        let name = |extension: &str| format!("{DRIVER}.{extension}");
        let catalog = Catalog {
            date: self.sources.date,
            systems: "_v100_X64".to_owned(),
            versions: "2:10.0".to_owned(),
            device_ids: device_ids(inf),
            members: vec![
                Member {
                    name: name("sys"),
                    kind: Kind::Image,
                    digests: Digests::of_image(&read(&self.file("sys"))?, &name("sys"))?,
                },
                Member {
                    name: name("inf"),
                    kind: Kind::File,
                    digests: Digests::of_file(&read(&self.file("inf"))?),
                },
            ],
        };
        let unsigned = self.file("unsigned");
        fs::write(&unsigned, catalog.to_der()?).map_err(Error::file("write", &unsigned))?;
        self.tools
            .sign(&self.identity, &unsigned, &self.file("cat"))?;
        fs::remove_file(&unsigned).map_err(Error::file("remove", &unsigned))
    }

    /// What needs no more than to be there.
    fn copy(&self) -> Result<(), Error> {
        let certificate = self.file("cer");
        fs::write(&certificate, self.identity.certificate()?)
            .map_err(Error::file("write", &certificate))?;
        let pdb = (&self.sources.pdb, self.file("pdb"));
        let scripts = self.sources.scripts.iter().map(|script| {
            let name = script.file_name().unwrap_or_default();
            (script, self.folder.join(name))
        });
        for (from, to) in scripts.chain([pdb]) {
            fs::copy(from, &to).map_err(Error::file("copy", from))?;
        }
        Ok(())
    }

    fn manifest(&self) -> Result<Manifest, Error> {
        manifest::of(
            &self.folder,
            &self.sources.version.to_string(),
            self.sources.date,
        )
    }
}

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

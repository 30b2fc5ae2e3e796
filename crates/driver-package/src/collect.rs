//! Gathers what the pipeline has made, the WDK's tools on Windows or ours on Linux, into one folder, with the same names on both.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Error;
use crate::files::{copy, create_folder, read, remove_folder};
use crate::inf::Inf;
use crate::manifest::{self, Manifest};
use crate::stamp::Date;
use crate::verify::DRIVER;

/// Copies a package's files, with scripts beside them and a manifest. The certificate may have any name. The finished package is in
/// `place`, where it replaces the one before it.
pub fn collect(from: &Path, scripts: &[PathBuf], place: &Path) -> Result<Manifest, Error> {
    let unfinished = place.with_extension("unfinished");
    remove_folder(&unfinished)?;
    create_folder(&unfinished)?;
    let manifest = gather(from, scripts, &unfinished)?;
    remove_folder(place)?;
    fs::rename(&unfinished, place).map_err(Error::file("put the package at", place))?;
    Ok(manifest)
}

fn gather(from: &Path, scripts: &[PathBuf], place: &Path) -> Result<Manifest, Error> {
    let named = |extension: &str| Path::new(DRIVER).with_extension(extension);
    let mut files: Vec<(PathBuf, PathBuf)> = ["sys", "inf", "cat", "pdb"]
        .map(|extension| (from.join(named(extension)), place.join(named(extension))))
        .into();
    files.push((certificate(from)?, place.join(named("cer"))));
    for script in scripts {
        files.push((
            script.clone(),
            place.join(script.file_name().unwrap_or_default()),
        ));
    }
    for (from, to) in &files {
        copy(from, to)?;
    }
    let path = place.join(named("inf"));
    let inf = Inf::parse(&read(&path)?);
    let stamped = inf.entry("Version", "DriverVer");
    let value = |index| {
        stamped
            .map(|entry| inf.text(entry, index))
            .unwrap_or_default()
    };
    let date = Date::from_inf(&value(0))
        .ok_or_else(|| Error::Lint("DriverVer is not stamped".to_owned()))?;
    let manifest = manifest::of(place, &value(1), date)?;
    manifest.write(place)?;
    Ok(manifest)
}

/// The one certificate in a folder.
pub fn certificate(folder: &Path) -> Result<PathBuf, Error> {
    let entries = fs::read_dir(folder).map_err(Error::file("list", folder))?;
    let mut paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let found = paths.find(|path| path.extension().is_some_and(|extension| extension == "cer"));
    found.ok_or_else(|| {
        let missing = folder.join("*.cer");
        Error::file("find", &missing)(std::io::ErrorKind::NotFound.into())
    })
}

//! Gathers what the WDK's tools have made on Windows into the same folder, with the same names, that a package made on Linux has.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Error;
use crate::inf::Inf;
use crate::manifest::{self, Manifest};
use crate::stamp::Date;
use crate::verify::DRIVER;

/// Copies a package's files, with scripts beside them and a manifest. The certificate may have any name.
pub fn collect(from: &Path, scripts: &[PathBuf], place: &Path) -> Result<Manifest, Error> {
    if place.exists() {
        fs::remove_dir_all(place).map_err(Error::file("replace the folder", place))?;
    }
    fs::create_dir_all(place).map_err(Error::file("create the folder", place))?;
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
        fs::copy(from, to).map_err(Error::file("copy", from))?;
    }
    let path = place.join(named("inf"));
    let inf = Inf::parse(&fs::read(&path).map_err(Error::file("read", &path))?);
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
fn certificate(folder: &Path) -> Result<PathBuf, Error> {
    let entries = fs::read_dir(folder).map_err(Error::file("list", folder))?;
    let mut paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let found = paths.find(|path| path.extension().is_some_and(|extension| extension == "cer"));
    found.ok_or_else(|| {
        let missing = folder.join("*.cer");
        Error::file("find", &missing)(std::io::ErrorKind::NotFound.into())
    })
}

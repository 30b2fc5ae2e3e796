//! Where the report goes, tried before the run starts.

use std::error::Error;
use std::fs::{File, Metadata, OpenOptions, Permissions};
use std::io::{self, Seek, Write};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{OFlags, fcntl_setfl};
use rustix::io::Errno;
use tempfile::Builder;

use super::CannotRun;
use crate::report::Report;

/// About what a report takes.
const REPORT_BYTES: usize = 64 << 10;

/// A place that the report can be written to. Without [`ReportFile::write`] nothing is left there.
pub struct ReportFile {
    path: PathBuf,
    place: Place,
}

enum Place {
    /// There is something already, perhaps a pipe or a terminal: it is written over.
    Existing(File),
    /// A new file in this folder: it gets its name when it is complete.
    New(PathBuf),
}

impl ReportFile {
    /// Makes sure that the report can be written.
    pub fn prepare(path: &Path) -> Result<Self, CannotRun> {
        let place = match path.metadata() {
            Ok(found) => Place::existing(path, &found),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Place::absent(path),
            Err(error) => Err(error),
        };
        match place {
            Ok(place) => Ok(Self {
                path: path.into(),
                place,
            }),
            Err(why) => Err(CannotRun::Report {
                path: path.into(),
                why,
            }),
        }
    }

    /// Writes the report.
    pub fn write(self, report: &Report) -> Result<(), CannotRun> {
        let written = match self.place {
            Place::Existing(mut file) => overwrite(&mut file, report),
            Place::New(folder) => create(&folder, &self.path, report),
        };
        written.map_err(|why| CannotRun::Report {
            path: self.path,
            why,
        })
    }
}

impl Place {
    fn existing(path: &Path, found: &Metadata) -> io::Result<Self> {
        if found.permissions().readonly() {
            return Err(Errno::ACCESS.into());
        }
        let mut file = OpenOptions::new()
            .write(true)
            // A pipe without a reader is refused, and not waited for.
            .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
            .open(path)?;
        fcntl_setfl(&file, OFlags::empty())?;
        if found.is_file() {
            match room(folder(path)) {
                Err(error) if error.kind() == io::ErrorKind::StorageFull => return Err(error),
                // Nothing else has to be written next to it.
                _ => {}
            }
        } else if found.file_type().is_char_device() {
            // A device such as /dev/full says only to whoever writes; a space before it does not change a report.
            file.write_all(b" ")?;
        }
        Ok(Self::Existing(file))
    }

    fn absent(path: &Path) -> io::Result<Self> {
        let folder = folder(path);
        room(folder)?;
        Ok(Self::New(folder.into()))
    }
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Can a report be written in this folder? A file without a name shows it, and leaves nothing, however the process ends.
fn room(folder: &Path) -> io::Result<()> {
    let mut file = tempfile::tempfile_in(folder).map_err(|error| system_error(&error))?;
    file.write_all(&vec![b' '; REPORT_BYTES])
}

/// What the system said, without the temporary name that it was said of.
fn system_error(error: &io::Error) -> io::Error {
    let mut source: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(inner) = source {
        let code = inner
            .downcast_ref::<io::Error>()
            .and_then(io::Error::raw_os_error);
        if let Some(code) = code {
            return io::Error::from_raw_os_error(code);
        }
        source = match inner
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
        {
            Some(wrapped) => Some(wrapped),
            None => inner.source(),
        };
    }
    error.kind().into()
}

fn create(folder: &Path, path: &Path, report: &Report) -> io::Result<()> {
    let mut file = Builder::new()
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(folder)?;
    report.write(io::BufWriter::new(file.as_file_mut()))?;
    file.persist(path)?;
    Ok(())
}

fn overwrite(file: &mut File, report: &Report) -> io::Result<()> {
    if file.metadata()?.is_file() {
        file.set_len(0)?;
        file.rewind()?;
    }
    report.write(io::BufWriter::new(file))
}

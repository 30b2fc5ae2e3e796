//! Where the report goes, tried before the run starts.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Seek};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::Builder;

use super::CannotRun;
use crate::report::Report;

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
        let place = if path.exists() {
            Place::existing(path)
        } else {
            Place::absent(path)
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
    fn existing(path: &Path) -> io::Result<Self> {
        if path.metadata()?.permissions().readonly() {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        OpenOptions::new()
            .write(true)
            .open(path)
            .map(Self::Existing)
    }

    fn absent(path: &Path) -> io::Result<Self> {
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        // A file without a name shows whether one can be made, and leaves nothing, however the process ends.
        tempfile::tempfile_in(folder).map_err(|error| io::Error::from(error.kind()))?;
        Ok(Self::New(folder.into()))
    }
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

//! Files that are replaced as a whole, and the locks that keep builders apart.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::Path;

use crate::Error;

/// Creates a folder and those above it.
pub(crate) fn create_folder(path: &Path) -> Result<(), Error> {
    fs::create_dir_all(path).map_err(Error::file("create the folder", path))
}

/// Removes a folder and everything in it, if it is there.
pub(crate) fn remove_folder(path: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::file("remove the folder", path)(error))
        }
        _ => Ok(()),
    }
}

/// Reads a text file.
pub(crate) fn read(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path).map_err(Error::file("read", path))
}

/// Writes a file unless it has these contents already: cargo goes by the time of the last change.
pub(crate) fn write_changed(path: &Path, contents: &str) -> Result<(), Error> {
    if fs::read_to_string(path).is_ok_and(|present| present == contents) {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        create_folder(folder)?;
    }
    fs::write(path, contents).map_err(Error::file("write", path))
}

/// Renames a finished folder to where others look for it.
pub(crate) fn put_in_place(finished: &Path, place: &Path) -> Result<(), Error> {
    remove_folder(place)?;
    fs::rename(finished, place).map_err(Error::file("move a finished folder to", place))
}

/// Takes the lock that `path` stands for, waiting for whoever holds it; it is released when the file is dropped, or its holder dies.
pub(crate) fn lock(path: &Path, holder: &str) -> Result<File, Error> {
    if let Some(folder) = path.parent() {
        create_folder(folder)?;
    }
    let file = File::create(path).map_err(Error::file("create", path))?;
    match file.try_lock() {
        Ok(()) => return Ok(file),
        Err(TryLockError::WouldBlock) => eprintln!("waiting for {holder}"),
        Err(TryLockError::Error(error)) => return Err(Error::file("lock", path)(error)),
    }
    file.lock().map_err(Error::file("lock", path))?;
    Ok(file)
}

//! Files that are replaced as a whole, and the locks that keep builders apart.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::Path;

use crate::Error;

/// Creates a folder and those above it.
pub(crate) fn create_folder(path: &Path) -> Result<(), Error> {
    fs::create_dir_all(path).map_err(Error::file("create the folder", path))
}

/// Removes a file, or a folder and everything in it, if it is there.
pub(crate) fn remove(path: &Path) -> Result<(), Error> {
    let removed = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::file("remove", path)(error))
        }
        _ => Ok(()),
    }
}

/// Is this a path that every tool can be given: UTF-8 without control characters?
pub(crate) fn is_plain(path: &Path) -> bool {
    path.to_str()
        .is_some_and(|text| !text.chars().any(char::is_control))
}

/// The path as one word of a shell.
pub(crate) fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
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

/// Renames a finished folder to where others look for it. What is in it is on the disk before its name is: a machine that loses its
/// power leaves a whole folder, or none.
pub(crate) fn put_in_place(finished: &Path, place: &Path) -> Result<(), Error> {
    let synced = File::open(finished).and_then(|folder| Ok(rustix::fs::syncfs(folder)?));
    synced.map_err(Error::file("write to the disk", finished))?;
    remove(place)?;
    fs::rename(finished, place).map_err(Error::file("move a finished folder to", place))
}

/// Makes sure that so many bytes can be written into a folder: apt-get waits for ever on a disk that is full.
pub(crate) fn require_space(folder: &Path, bytes: u64) -> Result<(), Error> {
    let disk = rustix::fs::statvfs(folder)
        .map_err(|error| Error::file("ask for the free space of", folder)(error.into()))?;
    let free_bytes = disk.f_bavail.saturating_mul(disk.f_frsize);
    if free_bytes >= bytes {
        return Ok(());
    }
    Err(Error::NoSpace {
        folder: folder.to_owned(),
        free_megabytes: free_bytes / 1_000_000,
        needed_megabytes: bytes.div_ceil(1_000_000),
    })
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

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_unchanged_file_is_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("new/file");
        write_changed(&file, "a").unwrap();
        let written = fs::metadata(&file).unwrap().modified().unwrap();
        thread::sleep(Duration::from_millis(20));
        write_changed(&file, "a").unwrap();
        assert_eq!(fs::metadata(&file).unwrap().modified().unwrap(), written);
        write_changed(&file, "b").unwrap();
        assert!(fs::metadata(&file).unwrap().modified().unwrap() > written);
    }

    #[test]
    fn a_finished_folder_replaces_the_one_before_it() {
        let folder = tempfile::tempdir().unwrap();
        let (place, finished) = (folder.path().join("place"), folder.path().join("finished"));
        write_changed(&place.join("old"), "").unwrap();
        write_changed(&finished.join("new"), "").unwrap();
        put_in_place(&finished, &place).unwrap();
        assert!(place.join("new").is_file() && !place.join("old").exists() && !finished.exists());
    }

    #[test]
    fn a_lock_is_held_until_it_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("below/lock");
        let first = lock(&path, "the first").unwrap();
        let (taken, taking) = mpsc::channel();
        thread::scope(|scope| {
            scope.spawn(|| {
                let _second = lock(&path, "the first").unwrap();
                taken.send(()).unwrap();
            });
            assert!(taking.recv_timeout(Duration::from_millis(100)).is_err());
            drop(first);
            assert!(taking.recv_timeout(Duration::from_secs(10)).is_ok());
        });
    }

    #[test]
    fn too_small_a_disk_is_one_line_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        assert!(require_space(folder.path(), 1).is_ok());
        let line = require_space(folder.path(), u64::MAX)
            .unwrap_err()
            .to_string();
        let (path, rest) = line.split_once(" has ").unwrap();
        assert_eq!(path, folder.path().display().to_string());
        assert!(
            rest.contains(" MB free and needs 18446744073710 MB; "),
            "{line}"
        );
        assert!(
            rest.ends_with("point XDG_CACHE_HOME at a larger disk"),
            "{line}"
        );
    }
}

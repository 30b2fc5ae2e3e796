//! The file behind a namespace, as it is seen from outside of the machine.

use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;
use thiserror::Error;

use super::{Geometry, Shadow};

/// The file is read in windows of this many bytes.
const WINDOW_BYTES: u64 = 1 << 20;

/// A raw disk image.
#[derive(Debug)]
pub struct Backing {
    file: File,
    bytes: u64,
    preserved: Option<SystemTime>,
}

/// Why a file cannot serve as a disk. Each is one line.
#[derive(Debug, Error)]
pub enum BackingError {
    /// A temporary image could not be made.
    #[error("cannot make a temporary disk image of {bytes} bytes in {}: {why}", dir.display())]
    Temporary {
        /// Size of the image.
        bytes: u64,
        /// The folder for temporary files.
        dir: PathBuf,
        /// What the system said.
        why: io::Error,
    },
    /// The image could not be opened or read.
    #[error("cannot use {} as a disk: {why}", path.display())]
    Io {
        /// The image.
        path: PathBuf,
        /// What the system said.
        why: io::Error,
    },
    /// The image is something else than a file.
    #[error("cannot use {} as a disk: it is no regular file", .0.display())]
    NotAFile(PathBuf),
    /// The image has no write permission.
    #[error("cannot use {} as a disk: it is read-only; make it writable or use a copy", .0.display())]
    ReadOnly(PathBuf),
    /// The image is not a whole number of blocks.
    #[error("cannot use {} as a disk: its {bytes} bytes are no whole number of {block_bytes}-byte blocks", path.display())]
    OddSize {
        /// The image.
        path: PathBuf,
        /// Its size.
        bytes: u64,
        /// The size of a logical block.
        block_bytes: u32,
    },
    /// Somebody else has it locked.
    #[error("cannot use {} as a disk: another process has it locked", .0.display())]
    InUse(PathBuf),
}

impl Backing {
    /// A sparse image without a name: it is gone when the last user closes it, however the process ends.
    pub fn temporary(bytes: u64) -> Result<Self, BackingError> {
        let make = || {
            let file = tempfile::tempfile()?;
            file.set_len(bytes)?;
            Ok(file)
        };
        let file = make().map_err(|why| BackingError::Temporary {
            bytes,
            dir: std::env::temp_dir(),
            why,
        })?;
        Ok(Self {
            file,
            bytes,
            preserved: None,
        })
    }

    /// An existing image, opened for reading and writing, and locked. Unless every byte of it is zero, its contents are
    /// to be preserved.
    pub fn existing(path: &Path, block_bytes: u32) -> Result<Self, BackingError> {
        let failed = |why| BackingError::Io {
            path: path.into(),
            why,
        };
        let metadata = path.metadata().map_err(failed)?;
        check(path, &metadata, block_bytes)?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .map_err(|why| match why.kind() {
                ErrorKind::ReadOnlyFilesystem => BackingError::ReadOnly(path.into()),
                _ => failed(why),
            })?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => return Err(BackingError::InUse(path.into())),
            // Where the file system has no locks, nothing is protected, and nothing else is wrong.
            Ok(()) | Err(TryLockError::Error(_)) => {}
        }
        let mut backing = Self {
            file,
            bytes: metadata.len(),
            preserved: None,
        };
        if !backing.is_zero().map_err(failed)? {
            backing.preserved = Some(metadata.modified().map_err(failed)?);
        }
        Ok(backing)
    }

    /// Size of the image.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether the image holds something that must not be written over.
    #[must_use]
    pub fn is_preserved(&self) -> bool {
        self.preserved.is_some()
    }

    /// Another handle of the file.
    pub fn handle(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// Lets other programs use the image again.
    pub fn release(&self) -> io::Result<()> {
        self.file.unlock()
    }

    /// What the disk must hold at first.
    pub fn shadow(&self, block_bytes: u32) -> io::Result<Shadow> {
        let geometry = Geometry {
            blocks: self.bytes / u64::from(block_bytes),
            block_bytes,
        };
        Ok(if self.is_preserved() {
            Shadow::of_file(geometry, self.handle()?)
        } else {
            Shadow::zero(geometry)
        })
    }

    /// Whether something wrote to an image that is to be preserved.
    pub fn was_disturbed(&self) -> io::Result<bool> {
        let metadata = self.file.metadata()?;
        Ok(match self.preserved {
            Some(modified) => metadata.modified()? != modified || metadata.len() != self.bytes,
            None => metadata.len() != self.bytes,
        })
    }

    /// Calls `each` with an offset and the bytes there, for all of the file that holds data, and for all that `shadow`
    /// says was written. The rest are holes: they are zero, as they must be.
    pub fn each_extent(
        &self,
        shadow: &Shadow,
        mut each: impl FnMut(u64, &[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        self.windows(
            0..self.bytes,
            |window| shadow.wrote_within(window),
            |start, bytes| each(start, bytes),
        )
    }

    /// Copies a part of the image, a partition, into a file without a name. Holes stay holes.
    pub fn extract(&self, part: Range<u64>) -> io::Result<File> {
        let copy = tempfile::tempfile()?;
        copy.set_len(part.end - part.start)?;
        let origin = part.start;
        self.windows(
            part,
            |_| false,
            |start, bytes| copy.write_all_at(bytes, start - origin),
        )?;
        Ok(copy)
    }

    fn is_zero(&self) -> io::Result<bool> {
        let mut zero = true;
        let found = self.windows(
            0..self.bytes,
            |_| false,
            |_, bytes| {
                zero &= bytes.iter().all(|byte| *byte == 0);
                // The first byte that is not zero answers the question.
                if zero {
                    Ok(())
                } else {
                    Err(ErrorKind::Other.into())
                }
            },
        );
        if zero {
            found.map(|()| true)
        } else {
            Ok(false)
        }
    }

    fn windows(
        &self,
        range: Range<u64>,
        wanted: impl Fn(Range<u64>) -> bool,
        mut each: impl FnMut(u64, &[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut buffer = vec![0; WINDOW_BYTES as usize];
        let mut start = range.start;
        while start < range.end {
            let end = range.end.min(start + WINDOW_BYTES);
            if wanted(start..end) || self.has_data(start..end)? {
                let bytes = &mut buffer[..(end - start) as usize];
                self.file.read_exact_at(bytes, start)?;
                each(start, bytes)?;
            }
            start = end;
        }
        Ok(())
    }

    fn has_data(&self, range: Range<u64>) -> io::Result<bool> {
        match seek(&self.file, SeekFrom::Data(range.start)) {
            Ok(data) => Ok(data < range.end),
            Err(Errno::NXIO) => Ok(false),
            // A file system that does not tell its holes.
            Err(Errno::INVAL | Errno::OPNOTSUPP) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }
}

fn check(path: &Path, metadata: &Metadata, block_bytes: u32) -> Result<(), BackingError> {
    if !metadata.is_file() {
        return Err(BackingError::NotAFile(path.into()));
    }
    // The superuser could write to it all the same, but was told not to.
    if metadata.permissions().readonly() {
        return Err(BackingError::ReadOnly(path.into()));
    }
    let bytes = metadata.len();
    if bytes == 0 || !bytes.is_multiple_of(u64::from(block_bytes)) {
        return Err(BackingError::OddSize {
            path: path.into(),
            bytes,
            block_bytes,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    fn image(bytes: &[u8]) -> (TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("disk.img");
        fs::write(&path, bytes).unwrap();
        (dir, path)
    }

    #[test]
    fn an_image_that_is_all_zero_is_blank_and_any_other_is_preserved() {
        let (_dir, path) = image(&[0; 8192]);
        assert!(!Backing::existing(&path, 512).unwrap().is_preserved());
        let mut bytes = vec![0; 3 << 20];
        *bytes.last_mut().unwrap() = 1;
        let (_dir, path) = image(&bytes);
        assert!(Backing::existing(&path, 512).unwrap().is_preserved());
    }

    #[test]
    fn an_image_must_be_a_writable_file_of_whole_blocks_that_nobody_else_uses() {
        let (dir, path) = image(&[0; 8192 + 512]);
        let refused = |path: &Path, block| Backing::existing(path, block).unwrap_err().to_string();
        assert!(refused(&path, 4096).contains("no whole number of 4096-byte blocks"));
        assert!(refused(dir.path(), 512).contains("no regular file"));
        assert!(refused(&dir.path().join("missing"), 512).contains("No such file"));
        let held = Backing::existing(&path, 512).unwrap();
        assert!(refused(&path, 512).contains("another process"));
        drop(held);
        let mut permissions = path.metadata().unwrap().permissions();
        permissions.set_readonly(true);
        fs::set_permissions(&path, permissions).unwrap();
        assert!(refused(&path, 512).contains("read-only"));
    }

    #[test]
    fn a_write_to_a_preserved_image_is_noticed() {
        let (_dir, path) = image(&[1; 8192]);
        let long_ago = SystemTime::UNIX_EPOCH;
        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_modified(long_ago)
            .unwrap();
        let backing = Backing::existing(&path, 512).unwrap();
        assert!(!backing.was_disturbed().unwrap());
        backing.handle().unwrap().write_all_at(&[1], 0).unwrap();
        assert!(backing.was_disturbed().unwrap());
    }

    #[test]
    fn a_part_is_extracted_with_its_data_and_its_holes() {
        let backing = Backing::temporary(16 << 20).unwrap();
        backing
            .handle()
            .unwrap()
            .write_all_at(&[5; 4096], (8 << 20) + 4096)
            .unwrap();
        let part = backing.extract(8 << 20..12 << 20).unwrap();
        let mut found = vec![0; 4 << 20];
        part.read_exact_at(&mut found, 0).unwrap();
        assert_eq!(part.metadata().unwrap().len(), 4 << 20);
        assert!(found[4096..8192].iter().all(|byte| *byte == 5));
        assert_eq!(found.iter().filter(|byte| **byte != 0).count(), 4096);
    }
}

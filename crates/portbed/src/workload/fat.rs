//! The FAT volume: formatted, changed and read back through the driver.

use std::collections::BTreeSet;
use std::io::{self, Read, Seek, SeekFrom, Write};

use fastrand::Rng;
use fatfs::{
    Dir, FatType, FileSystem, FormatVolumeOptions, FsOptions, LossyOemCpConverter,
    NullTimeProvider, StdIoWrapper,
};

use super::change::{Change, Tree};
use crate::disk::Volume;

type Storage<'v, 'd> = StdIoWrapper<&'v mut Volume<'d>>;
type Directory<'fs, 'v, 'd> = Dir<'fs, Storage<'v, 'd>, NullTimeProvider, LossyOemCpConverter>;

/// Files are read and written in pieces of this many bytes.
const PIECE_BYTES: usize = 1 << 20;

/// What reading a volume back has shown.
#[derive(Debug, Default)]
pub struct Reading {
    /// Files read.
    pub files: usize,
    /// Bytes in them.
    pub bytes: u64,
    /// What is not as it was written, a line each.
    pub wrong: Vec<String>,
}

/// Makes an empty FAT volume, and gives its type.
pub fn format(
    volume: &mut Volume<'_>,
    block_bytes: u32,
    blocks: u64,
    rng: &mut Rng,
) -> io::Result<&'static str> {
    let sector = u16::try_from(block_bytes).map_err(io::Error::other)?;
    let options = FormatVolumeOptions::new()
        .bytes_per_sector(sector)
        .total_sectors(u32::try_from(blocks).map_err(io::Error::other)?)
        .volume_id(rng.u32(..))
        .volume_label(*b"FERROSTOR  ");
    fatfs::format_volume(&mut StdIoWrapper::new(&mut *volume), options)?;
    volume.flush()?;
    let fs = mount(volume)?;
    Ok(match fs.fat_type() {
        FatType::Fat12 => "FAT12",
        FatType::Fat16 => "FAT16",
        FatType::Fat32 => "FAT32",
    })
}

/// Time stands still in the volume: the same seed gives the same bytes.
fn mount<'v, 'd>(
    volume: &'v mut Volume<'d>,
) -> io::Result<FileSystem<Storage<'v, 'd>, NullTimeProvider>> {
    volume.seek(SeekFrom::Start(0))?;
    let options = FsOptions::new().time_provider(NullTimeProvider::new());
    Ok(FileSystem::new(StdIoWrapper::new(volume), options)?)
}

/// Makes the changes, in order, and flushes the disk.
pub fn apply(volume: &mut Volume<'_>, changes: &[Change]) -> io::Result<()> {
    let fs = mount(volume)?;
    for change in changes {
        make(&fs.root_dir(), change)?;
    }
    fs.unmount()?;
    volume.flush()
}

fn make(root: &Directory<'_, '_, '_>, change: &Change) -> io::Result<()> {
    match change {
        Change::MakeDirectory(path) => {
            root.create_dir(path)?;
        }
        Change::Create(path, data) => write(&mut root.create_file(path)?, data)?,
        Change::Overwrite(path, at, data) => {
            let mut file = root.open_file(path)?;
            Seek::seek(&mut file, SeekFrom::Start(*at as u64))?;
            write(&mut file, data)?;
        }
        Change::Append(path, data) => {
            let mut file = root.open_file(path)?;
            Seek::seek(&mut file, SeekFrom::End(0))?;
            write(&mut file, data)?;
        }
        Change::Truncate(path, len) => {
            let mut file = root.open_file(path)?;
            Seek::seek(&mut file, SeekFrom::Start(*len as u64))?;
            file.truncate()?;
            Write::flush(&mut file)?;
        }
        Change::Rename(from, to) => root.rename(from, root, to)?,
        Change::Remove(path) => root.remove(path)?,
    }
    Ok(())
}

fn write(file: &mut impl Write, data: &[u8]) -> io::Result<()> {
    for piece in data.chunks(PIECE_BYTES) {
        file.write_all(piece)?;
    }
    file.flush()
}

/// Reads everything and compares it with `tree`.
pub fn read_back(volume: &mut Volume<'_>, tree: &Tree, reading: &mut Reading) -> io::Result<()> {
    let fs = mount(volume)?;
    let (mut directories, mut files) = (BTreeSet::new(), BTreeSet::new());
    list(&fs.root_dir(), "", &mut directories, &mut files)?;
    if directories != tree.directories || !files.iter().eq(tree.files.keys()) {
        reading
            .wrong
            .push("the directories do not list what was written".to_owned());
    }
    for (path, expected) in tree.files.iter().filter(|(path, _)| files.contains(*path)) {
        reading.files += 1;
        reading.bytes += expected.len() as u64;
        if !holds(&mut fs.root_dir().open_file(path)?, expected)? {
            reading
                .wrong
                .push(format!("the file '{path}' does not hold what was written"));
        }
    }
    Ok(())
}

fn holds(file: &mut impl Read, expected: &[u8]) -> io::Result<bool> {
    let mut found = Vec::with_capacity(expected.len());
    file.read_to_end(&mut found)?;
    Ok(found == expected)
}

fn list(
    directory: &Directory<'_, '_, '_>,
    prefix: &str,
    directories: &mut BTreeSet<String>,
    files: &mut BTreeSet<String>,
) -> io::Result<()> {
    for entry in directory.iter() {
        let entry = entry?;
        let name = entry.file_name();
        if name == "." || name == ".." {
            continue;
        }
        let path = format!("{prefix}{name}");
        if entry.is_dir() {
            list(&entry.to_dir(), &format!("{path}/"), directories, files)?;
            directories.insert(path);
        } else {
            files.insert(path);
        }
    }
    Ok(())
}

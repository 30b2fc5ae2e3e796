//! What a namespace stores its blocks in.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

/// The storage behind one namespace: a fixed number of bytes that survives the controller's power.
///
/// The controller stays within [`Media::len_bytes`].
pub trait Media: Send {
    /// The size, which never changes.
    fn len_bytes(&self) -> u64;
    /// Fills `into` with the bytes at `offset`.
    fn read_at(&mut self, offset: u64, into: &mut [u8]) -> io::Result<()>;
    /// Stores `data` at `offset`.
    fn write_at(&mut self, offset: u64, data: &[u8]) -> io::Result<()>;
    /// Returns when everything written is durable.
    fn flush(&mut self) -> io::Result<()>;
    /// Makes `bytes` bytes at `offset` read as zero.
    fn zero(&mut self, offset: u64, bytes: u64) -> io::Result<()>;
}

const CHUNK_BYTES: u64 = 64 << 10;

/// Media in memory, all zero at first. Only what is written takes up space.
#[derive(Default)]
pub struct MemoryMedia {
    len_bytes: u64,
    chunks: HashMap<u64, Box<[u8]>>,
}

impl MemoryMedia {
    /// Media of `len_bytes` bytes.
    #[must_use]
    pub fn new(len_bytes: u64) -> Self {
        Self {
            len_bytes,
            chunks: HashMap::new(),
        }
    }

    fn check(&self, offset: u64, bytes: u64) -> io::Result<()> {
        match offset.checked_add(bytes) {
            Some(end) if end <= self.len_bytes => Ok(()),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// The parts of `bytes` bytes at `offset`, none of which crosses a chunk: (chunk, start in the chunk, length).
fn parts(offset: u64, bytes: u64) -> impl Iterator<Item = (u64, usize, usize)> {
    let end = offset + bytes;
    let mut at = offset;
    std::iter::from_fn(move || {
        let start = at % CHUNK_BYTES;
        let len = (CHUNK_BYTES - start).min(end - at);
        let part = (at / CHUNK_BYTES, start as usize, len as usize);
        at += len;
        (len > 0).then_some(part)
    })
}

impl Media for MemoryMedia {
    fn len_bytes(&self) -> u64 {
        self.len_bytes
    }

    fn read_at(&mut self, offset: u64, mut into: &mut [u8]) -> io::Result<()> {
        self.check(offset, into.len() as u64)?;
        for (chunk, start, len) in parts(offset, into.len() as u64) {
            let (part, rest) = into.split_at_mut(len);
            match self.chunks.get(&chunk) {
                Some(bytes) => part.copy_from_slice(&bytes[start..start + len]),
                None => part.fill(0),
            }
            into = rest;
        }
        Ok(())
    }

    fn write_at(&mut self, offset: u64, mut data: &[u8]) -> io::Result<()> {
        self.check(offset, data.len() as u64)?;
        for (chunk, start, len) in parts(offset, data.len() as u64) {
            let (part, rest) = data.split_at(len);
            let bytes = self
                .chunks
                .entry(chunk)
                .or_insert_with(|| vec![0; CHUNK_BYTES as usize].into());
            bytes[start..start + len].copy_from_slice(part);
            data = rest;
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn zero(&mut self, offset: u64, bytes: u64) -> io::Result<()> {
        self.check(offset, bytes)?;
        let first = offset / CHUNK_BYTES;
        let last = (offset + bytes).div_ceil(CHUNK_BYTES);
        self.chunks.retain(|&chunk, content| {
            if !(first..last).contains(&chunk) {
                return true;
            }
            let base = chunk * CHUNK_BYTES;
            let start = offset.saturating_sub(base);
            let end = (offset + bytes - base).min(CHUNK_BYTES);
            content[start as usize..end as usize].fill(0);
            end - start < CHUNK_BYTES
        });
        Ok(())
    }
}

/// Media in a file, whose length when it is opened is the size of the media. What is zero already is not zeroed again, so
/// that a sparse file stays sparse.
pub struct FileMedia {
    file: File,
    len_bytes: u64,
}

impl FileMedia {
    /// Opens an existing file for reading and writing.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        Self::new(file)
    }

    /// Uses an open file.
    pub fn new(mut file: File) -> io::Result<Self> {
        let len_bytes = file.seek(SeekFrom::End(0))?;
        Ok(Self { file, len_bytes })
    }
}

impl Media for FileMedia {
    fn len_bytes(&self) -> u64 {
        self.len_bytes
    }

    fn read_at(&mut self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(offset))?;
        self.file.read_exact(into)
    }

    fn write_at(&mut self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(offset))?;
        self.file.write_all(data)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn zero(&mut self, offset: u64, bytes: u64) -> io::Result<()> {
        let mut rest = bytes;
        while rest > 0 {
            let at = offset + (bytes - rest);
            let mut part = vec![0; rest.min(CHUNK_BYTES) as usize];
            self.read_at(at, &mut part)?;
            if part.iter().any(|byte| *byte != 0) {
                part.fill(0);
                self.write_at(at, &part)?;
            }
            rest -= part.len() as u64;
        }
        Ok(())
    }
}

//! A part of a disk as a stream of bytes, with a small write-back cache as an operating system has one.

use std::collections::HashMap;
use std::fmt;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::ops::Range;

use super::{BlockTransport, Disk};

/// Blocks in a cache line. One bit of a mask stands for each.
const LINE_BLOCKS: u64 = 64;

/// The cache holds this many lines.
const LINES: usize = 64;

/// A range of blocks of a disk, as bytes. What is written reaches the disk when the cache is full and on
/// [`Write::flush`], which also flushes the disk.
pub struct Volume<'a> {
    disk: &'a mut Disk,
    transport: &'a mut dyn BlockTransport,
    first_lba: u64,
    blocks: u64,
    position: u64,
    lines: HashMap<u64, Line>,
    clock: u64,
}

/// Some consecutive blocks. Bit n of a mask is the n-th of them.
struct Line {
    data: Vec<u8>,
    valid: u64,
    dirty: u64,
    used: u64,
}

impl fmt::Debug for Volume<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Volume")
            .field("first_lba", &self.first_lba)
            .field("blocks", &self.blocks)
            .finish()
    }
}

impl<'a> Volume<'a> {
    /// The whole disk.
    pub fn whole(disk: &'a mut Disk, transport: &'a mut dyn BlockTransport) -> Self {
        let blocks = disk.geometry().blocks;
        Self::part(disk, transport, 0..blocks)
    }

    /// The blocks `part` of the disk.
    pub fn part(
        disk: &'a mut Disk,
        transport: &'a mut dyn BlockTransport,
        part: Range<u64>,
    ) -> Self {
        Self {
            first_lba: part.start,
            blocks: part.end - part.start,
            disk,
            transport,
            position: 0,
            lines: HashMap::new(),
            clock: 0,
        }
    }

    fn block_bytes(&self) -> u64 {
        u64::from(self.disk.geometry().block_bytes)
    }

    fn len(&self) -> u64 {
        self.blocks * self.block_bytes()
    }

    /// The part of the next `bytes` bytes that lies in one line: the line, the bytes in it.
    fn next_part(&self, bytes: usize) -> (u64, Range<usize>) {
        let line_bytes = LINE_BLOCKS * self.block_bytes();
        let within = self.position % line_bytes;
        let left = self.len().saturating_sub(self.position);
        let bytes = left.min(line_bytes - within).min(bytes as u64);
        (
            self.position / line_bytes,
            within as usize..(within + bytes) as usize,
        )
    }

    /// The blocks of the volume that a line holds.
    fn blocks_of(&self, line: u64) -> Range<u64> {
        line * LINE_BLOCKS..((line + 1) * LINE_BLOCKS).min(self.blocks)
    }

    /// Makes the line present and the blocks in `needed` valid.
    fn load(&mut self, index: u64, needed: u64) -> io::Result<&mut Line> {
        if !self.lines.contains_key(&index) {
            if self.lines.len() >= LINES {
                self.evict()?;
            }
            let data = vec![0; (LINE_BLOCKS * self.block_bytes()) as usize];
            self.lines.insert(
                index,
                Line {
                    data,
                    valid: 0,
                    dirty: 0,
                    used: 0,
                },
            );
        }
        let (first_lba, blocks, block_bytes) = (
            self.first_lba + index * LINE_BLOCKS,
            self.blocks_of(index),
            self.block_bytes() as usize,
        );
        self.clock += 1;
        let line = self.lines.get_mut(&index).ok_or(ErrorKind::NotFound)?;
        line.used = self.clock;
        if needed & !line.valid != 0 {
            // A miss reads all of the line that is not there yet, not only what was asked for.
            let absent = !line.valid & low_bits(blocks.end - blocks.start);
            for run in runs(absent) {
                let bytes = run.start as usize * block_bytes..run.end as usize * block_bytes;
                self.disk
                    .read(self.transport, first_lba + run.start, &mut line.data[bytes])?;
            }
            line.valid |= absent;
        }
        Ok(line)
    }

    /// Writes back everything when the least recently used line is dirty, so that writes get long, and drops that line.
    fn evict(&mut self) -> io::Result<()> {
        let Some(oldest) = self
            .lines
            .iter()
            .min_by_key(|(_, line)| line.used)
            .map(|(index, _)| *index)
        else {
            return Ok(());
        };
        if self.lines[&oldest].dirty != 0 {
            self.write_back()?;
        }
        self.lines.remove(&oldest);
        Ok(())
    }

    fn write_back(&mut self) -> io::Result<()> {
        let block_bytes = self.block_bytes() as usize;
        let mut dirty: Vec<u64> = self
            .lines
            .iter()
            .filter(|(_, line)| line.dirty != 0)
            .map(|(at, _)| *at)
            .collect();
        dirty.sort_unstable();
        let mut pending = Pending::default();
        for index in dirty {
            let Some(line) = self.lines.get_mut(&index) else {
                continue;
            };
            for run in runs(std::mem::take(&mut line.dirty)) {
                let lba = self.first_lba + index * LINE_BLOCKS + run.start;
                let data =
                    &line.data[run.start as usize * block_bytes..run.end as usize * block_bytes];
                if lba != pending.next(block_bytes) {
                    pending.write(self.disk, self.transport)?;
                    pending.lba = lba;
                }
                pending.data.extend_from_slice(data);
            }
        }
        pending.write(self.disk, self.transport)
    }
}

/// Adjacent dirty blocks, gathered into one write.
#[derive(Default)]
struct Pending {
    lba: u64,
    data: Vec<u8>,
}

impl Pending {
    fn next(&self, block_bytes: usize) -> u64 {
        self.lba + (self.data.len() / block_bytes) as u64
    }

    fn write(&mut self, disk: &mut Disk, transport: &mut dyn BlockTransport) -> io::Result<()> {
        if !self.data.is_empty() {
            disk.write(transport, self.lba, &self.data)?;
            self.data.clear();
        }
        Ok(())
    }
}

fn low_bits(count: u64) -> u64 {
    if count >= 64 {
        u64::MAX
    } else {
        (1 << count) - 1
    }
}

fn mask(blocks: Range<u64>) -> u64 {
    low_bits(blocks.end) & !low_bits(blocks.start)
}

/// The runs of ones in a mask.
fn runs(mut mask: u64) -> impl Iterator<Item = Range<u64>> {
    std::iter::from_fn(move || {
        (mask != 0).then(|| {
            let start = u64::from(mask.trailing_zeros());
            let end = start + u64::from((mask >> start).trailing_ones());
            mask &= !low_bits(end);
            start..end
        })
    })
}

impl Read for Volume<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let (index, within) = self.next_part(into.len());
        if within.is_empty() {
            return Ok(0);
        }
        let block = self.block_bytes() as usize;
        let needed = mask((within.start / block) as u64..within.end.div_ceil(block) as u64);
        let bytes = within.len();
        into[..bytes].copy_from_slice(&self.load(index, needed)?.data[within]);
        self.position += bytes as u64;
        Ok(bytes)
    }
}

impl Write for Volume<'_> {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        let (index, within) = self.next_part(from.len());
        if within.is_empty() {
            return Ok(0);
        }
        let block = self.block_bytes() as usize;
        let touched = mask((within.start / block) as u64..within.end.div_ceil(block) as u64);
        let whole = mask(within.start.div_ceil(block) as u64..(within.end / block) as u64);
        let bytes = within.len();
        // Only a block that is written in part needs to be read first.
        let line = self.load(index, touched & !whole)?;
        line.data[within].copy_from_slice(&from[..bytes]);
        line.valid |= touched;
        line.dirty |= touched;
        self.position += bytes as u64;
        Ok(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.write_back()?;
        self.disk.flush(self.transport)
    }
}

impl Seek for Volume<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
            SeekFrom::End(offset) => self.len().checked_add_signed(offset),
        };
        self.position = position.ok_or(ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

#[cfg(test)]
mod tests {
    use fastrand::Rng;

    use super::super::memory::Memory;
    use super::super::{Geometry, Shadow};
    use super::*;

    #[test]
    fn random_bytes_at_random_places_read_back_and_reach_the_disk() {
        for block_bytes in [512, 4096] {
            let geometry = Geometry {
                blocks: 3001,
                block_bytes,
            };
            let (mut disk, mut memory) =
                (Disk::new(Shadow::zero(geometry), 3), Memory::new(geometry));
            let mut plain = vec![0; 2901 * block_bytes as usize];
            let mut volume = Volume::part(&mut disk, &mut memory, 100..3001);
            let mut rng = Rng::with_seed(4);
            for _ in 0..2000 {
                let start = rng.usize(..plain.len());
                let bytes = rng.usize(..20_000).min(plain.len() - start);
                volume.seek(SeekFrom::Start(start as u64)).unwrap();
                if rng.bool() {
                    rng.fill(&mut plain[start..start + bytes]);
                    volume.write_all(&plain[start..start + bytes]).unwrap();
                } else {
                    let mut found = vec![0; bytes];
                    volume.read_exact(&mut found).unwrap();
                    assert_eq!(found, plain[start..start + bytes]);
                }
            }
            volume.flush().unwrap();
            drop(volume);
            assert_eq!(disk.io().mismatched_bytes, 0);
            assert_eq!(&memory.bytes[100 * block_bytes as usize..], plain);
            assert!(
                memory.bytes[..100 * block_bytes as usize]
                    .iter()
                    .all(|byte| *byte == 0)
            );
        }
    }

    #[test]
    fn the_end_of_a_volume_is_the_end() {
        let geometry = Geometry {
            blocks: 100,
            block_bytes: 512,
        };
        let (mut disk, mut memory) = (Disk::new(Shadow::zero(geometry), 3), Memory::new(geometry));
        let mut volume = Volume::part(&mut disk, &mut memory, 10..90);
        assert_eq!(volume.seek(SeekFrom::End(-1)).unwrap(), 80 * 512 - 1);
        assert_eq!(volume.write(&[1, 2, 3]).unwrap(), 1);
        assert_eq!(volume.read(&mut [0; 4]).unwrap(), 0);
        assert!(
            volume.seek(SeekFrom::Start(0)).is_ok() && volume.seek(SeekFrom::Current(-1)).is_err()
        );
        volume.flush().unwrap();
        drop(volume);
        assert_eq!(memory.bytes[90 * 512 - 1], 1);
        assert_eq!(memory.bytes[90 * 512], 0);
    }

    #[test]
    fn whole_blocks_are_written_without_reading_them_and_in_long_requests() {
        let geometry = Geometry {
            blocks: 10_000,
            block_bytes: 512,
        };
        let (mut disk, mut memory) = (Disk::new(Shadow::zero(geometry), 3), Memory::new(geometry));
        let mut volume = Volume::whole(&mut disk, &mut memory);
        for _ in 0..512 {
            volume.write_all(&[7; 4096]).unwrap();
        }
        volume.flush().unwrap();
        drop(volume);
        assert_eq!(disk.io().read_bytes, 0);
        assert!(memory.requests.len() < 100, "{}", memory.requests.len());
    }
}

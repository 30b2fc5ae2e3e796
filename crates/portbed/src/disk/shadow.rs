//! What every block must hold.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use super::Geometry;

/// The shadow copy is kept in chunks of this many bytes, from the first write to one on.
const CHUNK_BYTES: u64 = 64 << 10;

/// The contents that a disk must have: what was there at first, and what was written since.
pub struct Shadow {
    geometry: Geometry,
    base: Base,
    written: BTreeMap<u64, Vec<u8>>,
}

/// What a block holds that was never written.
enum Base {
    Zero,
    File(File),
}

/// A block that does not hold what it must.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Difference {
    /// Through the driver, or in the backing file.
    pub place: &'static str,
    /// The block.
    pub lba: u64,
    /// The first byte in it that differs.
    pub offset: usize,
    /// What that byte must be.
    pub expected: u8,
    /// What it is.
    pub found: u8,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            place,
            lba,
            offset,
            expected,
            found,
        } = self;
        write!(
            f,
            "block {lba} {place}: byte {offset} is {found:#04x} and must be {expected:#04x}"
        )
    }
}

impl Shadow {
    /// A disk that is all zero.
    #[must_use]
    pub fn zero(geometry: Geometry) -> Self {
        Self {
            geometry,
            base: Base::Zero,
            written: BTreeMap::new(),
        }
    }

    /// A disk that holds what `image` holds. The shadow reads it as it compares.
    #[must_use]
    pub fn of_file(geometry: Geometry, image: File) -> Self {
        Self {
            geometry,
            base: Base::File(image),
            written: BTreeMap::new(),
        }
    }

    /// Size of the disk.
    #[must_use]
    pub fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// Bytes of the chunks that were written to.
    #[must_use]
    pub fn written_bytes(&self) -> u64 {
        self.written.len() as u64 * CHUNK_BYTES
    }

    /// Whether something was written to the bytes `range`, or near them.
    #[must_use]
    pub fn wrote_within(&self, range: Range<u64>) -> bool {
        self.written
            .range(range.start / CHUNK_BYTES..range.end.div_ceil(CHUNK_BYTES))
            .next()
            .is_some()
    }

    /// The byte ranges that were written to, in whole chunks, in order.
    pub fn written(&self) -> impl Iterator<Item = Range<u64>> {
        let end = self.geometry.bytes();
        self.written
            .keys()
            .map(move |chunk| chunk * CHUNK_BYTES..((chunk + 1) * CHUNK_BYTES).min(end))
    }

    /// Records a write of whole blocks.
    pub fn write(&mut self, lba: u64, data: &[u8]) -> io::Result<()> {
        for (chunk, within, from) in self.parts(lba, data.len()) {
            if !self.written.contains_key(&chunk) {
                let mut bytes = vec![0; CHUNK_BYTES as usize];
                if within.len() < bytes.len() {
                    self.base.read(chunk * CHUNK_BYTES, &mut bytes)?;
                }
                self.written.insert(chunk, bytes);
            }
            if let Some(bytes) = self.written.get_mut(&chunk) {
                bytes[within].copy_from_slice(&data[from]);
            }
        }
        Ok(())
    }

    /// What the blocks from `lba` on must hold.
    pub fn expected(&self, lba: u64, into: &mut [u8]) -> io::Result<()> {
        for (chunk, within, to) in self.parts(lba, into.len()) {
            match self.written.get(&chunk) {
                Some(bytes) => into[to].copy_from_slice(&bytes[within]),
                None => self
                    .base
                    .read(chunk * CHUNK_BYTES + within.start as u64, &mut into[to])?,
            }
        }
        Ok(())
    }

    /// The blocks from `lba` on that differ from `found`, which was read at `place`.
    pub fn compare(
        &self,
        place: &'static str,
        lba: u64,
        found: &[u8],
    ) -> io::Result<Vec<Difference>> {
        let mut expected = vec![0; found.len()];
        self.expected(lba, &mut expected)?;
        if expected == found {
            return Ok(Vec::new());
        }
        let block = self.geometry.block_bytes as usize;
        let blocks = expected.chunks(block).zip(found.chunks(block)).zip(lba..);
        Ok(blocks
            .filter_map(|((expected, found), lba)| difference(place, lba, expected, found))
            .collect())
    }

    /// Cuts a transfer at chunk ends: the chunk, the bytes in it, the bytes in the transfer.
    fn parts(
        &self,
        lba: u64,
        bytes: usize,
    ) -> impl Iterator<Item = (u64, Range<usize>, Range<usize>)> + use<> {
        let start = lba * u64::from(self.geometry.block_bytes);
        let end = start + bytes as u64;
        (start / CHUNK_BYTES..end.div_ceil(CHUNK_BYTES)).map(move |chunk| {
            let base = chunk * CHUNK_BYTES;
            let (from, to) = (start.max(base), end.min(base + CHUNK_BYTES));
            let relative = |origin: u64| (from - origin) as usize..(to - origin) as usize;
            (chunk, relative(base), relative(start))
        })
    }
}

fn difference(place: &'static str, lba: u64, expected: &[u8], found: &[u8]) -> Option<Difference> {
    let offset = expected
        .iter()
        .zip(found)
        .position(|(expected, found)| expected != found)?;
    Some(Difference {
        place,
        lba,
        offset,
        expected: expected[offset],
        found: found[offset],
    })
}

impl Base {
    /// Reads what was there at first. Past the end there are zeros.
    fn read(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        into.fill(0);
        let Self::File(file) = self else {
            return Ok(());
        };
        let mut at = 0;
        while at < into.len() {
            match file.read_at(&mut into[at..], offset + at as u64) {
                Ok(0) => break,
                Ok(read) => at += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    const GEOMETRY: Geometry = Geometry {
        blocks: 1000,
        block_bytes: 4096,
    };

    #[test]
    fn unwritten_blocks_are_zero_and_written_ones_are_not_forgotten() {
        let mut shadow = Shadow::zero(GEOMETRY);
        shadow.write(15, &[1; 4096 * 3]).unwrap();
        shadow.write(16, &[2; 4096]).unwrap();
        let mut found = vec![9; 4096 * 5];
        shadow.expected(14, &mut found).unwrap();
        let firsts: Vec<u8> = found.iter().step_by(4096).copied().collect();
        assert_eq!(firsts, [0, 1, 2, 1, 0]);
        assert!(shadow.compare("here", 14, &found).unwrap().is_empty());
    }

    #[test]
    fn a_difference_is_told_by_block_and_byte() {
        let shadow = Shadow::zero(GEOMETRY);
        let mut found = vec![0; 4096 * 3];
        found[4096 + 7] = 5;
        let told = shadow.compare("here", 100, &found).unwrap();
        assert_eq!(
            told,
            [Difference {
                place: "here",
                lba: 101,
                offset: 7,
                expected: 0,
                found: 5
            }]
        );
    }

    #[test]
    fn an_image_shows_through_where_nothing_was_written() {
        let mut image = tempfile::tempfile().unwrap();
        image.write_all(&vec![7; 4096 * 40]).unwrap();
        let mut shadow = Shadow::of_file(GEOMETRY, image);
        shadow.write(1, &[1; 4096]).unwrap();
        let mut found = vec![0; 4096 * 3];
        shadow.expected(0, &mut found).unwrap();
        let firsts: Vec<u8> = found.iter().step_by(4096).copied().collect();
        assert_eq!(firsts, [7, 1, 7]);
        assert!(shadow.wrote_within(0..4096));
        assert!(!shadow.wrote_within(1 << 20..2 << 20));
    }
}

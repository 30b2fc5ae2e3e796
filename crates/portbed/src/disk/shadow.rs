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
    written: BTreeMap<u64, Chunk>,
    /// What else a block may hold, because a write to it has failed: the newest last.
    doubtful: BTreeMap<u64, Vec<Vec<u8>>>,
    learnt_bytes: u64,
}

/// What a block holds that was never written.
enum Base {
    Zero,
    File(File),
    /// Nobody knows, until it is read.
    Unknown,
}

/// The contents of a chunk.
struct Chunk {
    bytes: Vec<u8>,
    /// A bit for each 512 bytes whose contents are known.
    known: u128,
}

const _: () = assert!(CHUNK_BYTES / SECTOR_BYTES as u64 == u128::BITS as u64);

/// What a bit of [`Chunk::known`] stands for; blocks are multiples of it.
const SECTOR_BYTES: usize = 512;

impl Chunk {
    fn know(&mut self, within: Range<usize>) {
        self.known |= sectors(within);
    }

    fn knows(&self, within: Range<usize>) -> bool {
        self.known & sectors(within.clone()) == sectors(within)
    }
}

/// The bits of the bytes `within` a chunk.
fn sectors(within: Range<usize>) -> u128 {
    let below = |end: usize| match end.div_ceil(SECTOR_BYTES) {
        128.. => u128::MAX,
        bits => (1 << bits) - 1,
    };
    below(within.end) & !below(within.start / SECTOR_BYTES * SECTOR_BYTES)
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
            doubtful: BTreeMap::new(),
            learnt_bytes: 0,
        }
    }

    /// A disk that holds what `image` holds. The shadow reads it as it compares.
    #[must_use]
    pub fn of_file(geometry: Geometry, image: File) -> Self {
        Self {
            geometry,
            base: Base::File(image),
            written: BTreeMap::new(),
            doubtful: BTreeMap::new(),
            learnt_bytes: 0,
        }
    }

    /// A disk that nobody knows: what a block holds is learnt when it is first read or written.
    #[must_use]
    pub fn unknown(geometry: Geometry) -> Self {
        Self {
            geometry,
            base: Base::Unknown,
            written: BTreeMap::new(),
            doubtful: BTreeMap::new(),
            learnt_bytes: 0,
        }
    }

    /// Size of the disk.
    #[must_use]
    pub fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// Takes what was read from blocks that nobody knew for what they hold. Gives how many bytes were known before.
    pub fn learn(&mut self, lba: u64, found: &[u8]) -> usize {
        if !matches!(self.base, Base::Unknown) {
            return found.len();
        }
        let block = self.geometry.block_bytes as usize;
        let mut known = 0;
        for (lba, bytes) in (lba..).zip(found.chunks(block)) {
            for (chunk, within, from) in self.parts(lba, bytes.len()) {
                let chunk = self.written.entry(chunk).or_insert_with(Chunk::unknown);
                if chunk.knows(within.clone()) {
                    known += from.len();
                } else {
                    self.learnt_bytes += from.len() as u64;
                    chunk.know(within.clone());
                    chunk.bytes[within].copy_from_slice(&bytes[from]);
                }
            }
        }
        known
    }

    /// How many bytes were learnt since this was asked.
    pub fn take_learnt(&mut self) -> u64 {
        std::mem::take(&mut self.learnt_bytes)
    }

    /// Whether it is known what the bytes of a block hold.
    fn knows(&self, lba: u64) -> bool {
        let block = self.geometry.block_bytes as usize;
        let known = |(chunk, within, _): (u64, Range<usize>, _)| {
            let chunk = self.written.get(&chunk);
            chunk.is_some_and(|chunk| chunk.knows(within))
        };
        !matches!(self.base, Base::Unknown) || self.parts(lba, block).all(known)
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
        let blocks = lba..lba + self.geometry.blocks_in(data.len());
        self.doubtful.extract_if(blocks, |_, _| true).for_each(drop);
        for (chunk, within, from) in self.parts(lba, data.len()) {
            if !self.written.contains_key(&chunk) {
                let mut new = Chunk::unknown();
                if within.len() < new.bytes.len() && !matches!(self.base, Base::Unknown) {
                    self.base.read(chunk * CHUNK_BYTES, &mut new.bytes)?;
                }
                self.written.insert(chunk, new);
            }
            if let Some(chunk) = self.written.get_mut(&chunk) {
                chunk.know(within.clone());
                chunk.bytes[within].copy_from_slice(&data[from]);
            }
        }
        Ok(())
    }

    /// Records a write of whole blocks of which nobody knows whether it was carried out.
    pub fn doubt(&mut self, lba: u64, data: &[u8]) {
        let blocks = data.chunks(self.geometry.block_bytes as usize);
        for (lba, block) in (lba..).zip(blocks) {
            self.doubtful.entry(lba).or_default().push(block.to_vec());
        }
    }

    /// Whether a block may hold `found`, which a write brought that has failed.
    fn may_hold(&self, lba: u64, found: &[u8]) -> bool {
        let doubtful = self.doubtful.get(&lba);
        doubtful.is_some_and(|contents| contents.iter().any(|content| content == found))
    }

    /// What the blocks from `lba` on must hold, unless a write to them has failed.
    pub fn expected(&self, lba: u64, into: &mut [u8]) -> io::Result<()> {
        for (chunk, within, to) in self.parts(lba, into.len()) {
            match self.written.get(&chunk) {
                Some(chunk) => into[to].copy_from_slice(&chunk.bytes[within]),
                None => self
                    .base
                    .read(chunk * CHUNK_BYTES + within.start as u64, &mut into[to])?,
            }
        }
        Ok(())
    }

    /// The blocks from `lba` on that differ from `found`, which was read at `place`. What nobody knows does not differ.
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
            .filter(|&((_, found), lba)| !self.may_hold(lba, found))
            .filter_map(|((expected, found), lba)| difference(place, lba, expected, found))
            .filter(|difference| self.knows(difference.lba))
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

impl Chunk {
    fn unknown() -> Self {
        Self {
            bytes: vec![0; CHUNK_BYTES as usize],
            known: 0,
        }
    }
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

    #[test]
    fn a_disk_that_nobody_knows_is_learnt_as_it_is_read() {
        let sectors = Geometry {
            blocks: 1024,
            block_bytes: 512,
        };
        let mut shadow = Shadow::unknown(sectors);
        let first = vec![3; 512 * 2];
        // Across the end of a chunk.
        assert!(shadow.compare("read", 127, &first).unwrap().is_empty());
        assert_eq!(shadow.learn(127, &first), 0);
        assert_eq!(shadow.take_learnt(), 1024);
        shadow.write(200, &[4; 512]).unwrap();
        let mut second = vec![3; 512 * 4];
        second[512] = 9;
        let found = shadow.compare("read", 126, &second).unwrap();
        let lbas: Vec<u64> = found.iter().map(|difference| difference.lba).collect();
        assert_eq!(lbas, [127], "what was not read before cannot differ");
        assert_eq!(shadow.learn(126, &second), 1024);
        assert_eq!(shadow.take_learnt(), 1024);
        let third = vec![9; 512];
        assert_eq!(shadow.compare("read", 200, &third).unwrap().len(), 1);
        assert_eq!(shadow.compare("read", 201, &third).unwrap().len(), 0);
    }

    #[test]
    fn blocks_of_4096_bytes_are_learnt_as_a_whole() {
        let mut shadow = Shadow::unknown(GEOMETRY);
        shadow.learn(15, &vec![1; 4096 * 2]);
        let found = shadow.compare("read", 14, &vec![2; 4096 * 4]).unwrap();
        let lbas: Vec<u64> = found.iter().map(|difference| difference.lba).collect();
        assert_eq!(lbas, [15, 16]);
    }

    #[test]
    fn what_is_learnt_of_a_known_disk_changes_nothing() {
        let mut shadow = Shadow::zero(GEOMETRY);
        assert_eq!(shadow.learn(0, &[7; 4096]), 4096);
        assert_eq!(shadow.compare("read", 0, &[7; 4096]).unwrap().len(), 1);
    }
}

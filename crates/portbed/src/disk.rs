//! The disk on top of the driver: blocks that go through it, a shadow copy of what they must hold, and the backing file.

mod backing;
mod retry;
mod shadow;
mod unit;
mod volume;

use std::io;

use fastrand::Rng;
use thiserror::Error;

pub use backing::{Backing, BackingError};
pub use shadow::{Difference, Shadow};
pub use unit::{Form, Outcome, Unit};
pub use volume::Volume;

use crate::report::Io;

/// The size of a disk.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Geometry {
    /// Number of logical blocks.
    pub blocks: u64,
    /// Bytes in a logical block.
    pub block_bytes: u32,
}

impl Geometry {
    /// Capacity in bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.blocks * self.block_bytes as u64
    }

    /// How many blocks `bytes` are; a last partial block does not count.
    const fn blocks_in(self, bytes: usize) -> u64 {
        bytes as u64 / self.block_bytes as u64
    }
}

/// Moves whole blocks to and from a logical unit, one request a call.
pub trait BlockTransport {
    /// The longest transfer that one request may ask for, in bytes; a multiple of the block size.
    fn max_transfer_bytes(&self) -> usize;
    /// Reads the blocks from `lba` on.
    fn read(&mut self, lba: u64, into: &mut [u8]) -> Result<(), TransportError>;
    /// Writes the blocks from `lba` on.
    fn write(&mut self, lba: u64, from: &[u8]) -> Result<(), TransportError>;
    /// Makes what was written durable.
    fn flush(&mut self) -> Result<(), TransportError>;
}

/// A request that did not succeed.
#[derive(Clone, Debug, Error)]
#[error("{request} failed: {why}")]
pub struct TransportError {
    /// The request, for example `READ (16) of 8 blocks at 2048`.
    pub request: String,
    /// What the driver answered.
    pub why: String,
}

impl From<TransportError> for io::Error {
    fn from(error: TransportError) -> Self {
        Self::other(error)
    }
}

/// What is known of one logical unit, while the machine under it comes and goes: what it must hold, and what was asked
/// of it.
pub struct Disk {
    geometry: Geometry,
    shadow: Shadow,
    io: Io,
    differences: Vec<Difference>,
    rng: Rng,
}

/// Every so many transfers are cut into pieces of random lengths.
const CUT_ONE_IN: u32 = 8;

/// The longest read of a pass over the whole disk.
const PASS_BYTES: usize = 1 << 20;

/// Only the first differences are told, the rest are counted.
const DIFFERENCES_TOLD: usize = 16;

impl Disk {
    /// A disk whose contents are those of `shadow`.
    #[must_use]
    pub fn new(shadow: Shadow, seed: u64) -> Self {
        Self {
            geometry: shadow.geometry(),
            shadow,
            io: Io::default(),
            differences: Vec::new(),
            rng: Rng::with_seed(seed),
        }
    }

    /// Size of the disk.
    #[must_use]
    pub fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// What was asked so far.
    #[must_use]
    pub fn io(&self) -> Io {
        self.io
    }

    /// The first blocks that did not hold what they must.
    #[must_use]
    pub fn differences(&self) -> &[Difference] {
        &self.differences
    }

    /// What every block must hold.
    #[must_use]
    pub fn shadow(&self) -> &Shadow {
        &self.shadow
    }

    /// Reads blocks through the driver and compares them with the shadow copy. A difference is recorded, and the caller
    /// gets what was read.
    pub fn read(
        &mut self,
        transport: &mut dyn BlockTransport,
        lba: u64,
        into: &mut [u8],
    ) -> io::Result<()> {
        let mut at = 0;
        for bytes in self.pieces(transport, into.len()) {
            let lba = lba + self.geometry.blocks_in(at);
            let piece = &mut into[at..at + bytes];
            transport.read(lba, piece).inspect_err(|_| self.failed())?;
            self.got(lba, piece)?;
            at += bytes;
        }
        Ok(())
    }

    /// Writes blocks through the driver and into the shadow copy.
    pub fn write(
        &mut self,
        transport: &mut dyn BlockTransport,
        lba: u64,
        from: &[u8],
    ) -> io::Result<()> {
        let mut at = 0;
        for bytes in self.pieces(transport, from.len()) {
            let lba = lba + self.geometry.blocks_in(at);
            let piece = &from[at..at + bytes];
            if let Err(error) = transport.write(lba, piece) {
                self.failed();
                self.may_have_written(lba, piece);
                return Err(error.into());
            }
            self.wrote(lba, piece)?;
            at += bytes;
        }
        Ok(())
    }

    /// Makes what was written durable.
    pub fn flush(&mut self, transport: &mut dyn BlockTransport) -> io::Result<()> {
        transport.flush().inspect_err(|_| self.failed())?;
        self.io.requests += 1;
        Ok(())
    }

    /// Takes note of a read that has succeeded, and compares what it gave.
    pub fn got(&mut self, lba: u64, data: &[u8]) -> io::Result<()> {
        self.io.requests += 1;
        self.io.read_bytes += data.len() as u64;
        let differences = self.shadow.compare("through the driver", lba, data)?;
        self.io.verified_bytes += self.shadow.learn(lba, data) as u64;
        self.record(differences);
        Ok(())
    }

    /// Takes note of a write that has succeeded.
    pub fn wrote(&mut self, lba: u64, data: &[u8]) -> io::Result<()> {
        self.io.requests += 1;
        self.io.written_bytes += data.len() as u64;
        self.shadow.write(lba, data)
    }

    /// Takes note of a write that has failed, or never came back: until its blocks are written again each may hold what it
    /// held before, or what was to be written.
    pub fn may_have_written(&mut self, lba: u64, data: &[u8]) {
        self.shadow.doubt(lba, data);
    }

    /// Takes note of requests that were sent again.
    pub fn retried(&mut self, number: u64) {
        self.io.retried += number;
    }

    /// Takes note of a request that has failed.
    pub fn failed(&mut self) {
        self.io.requests += 1;
        self.io.failed += 1;
    }

    /// Reads through the driver and compares all that was written, and what was not: every block up to `budget_bytes`,
    /// beyond that a sample. Gives the number of bytes read.
    pub fn verify(
        &mut self,
        transport: &mut dyn BlockTransport,
        budget_bytes: u64,
    ) -> io::Result<u64> {
        let mut buffer = vec![0; PASS_BYTES];
        let passes = self.geometry.bytes().div_ceil(PASS_BYTES as u64);
        let sampled = budget_bytes / PASS_BYTES as u64;
        let mut read_bytes = 0;
        for pass in 0..passes {
            let start = pass * PASS_BYTES as u64;
            let bytes = (self.geometry.bytes() - start).min(PASS_BYTES as u64);
            // With `sampled` passes wanted of `passes`, each is taken with the probability that gives that many.
            if passes <= sampled
                || self.shadow.wrote_within(start..start + bytes)
                || self.rng.u64(..passes) < sampled
            {
                let lba = start / u64::from(self.geometry.block_bytes);
                self.read(transport, lba, &mut buffer[..bytes as usize])?;
                read_bytes += bytes;
            }
        }
        Ok(read_bytes)
    }

    /// Compares the backing file, read from outside, with the shadow copy. Gives the number of bytes compared.
    pub fn verify_outside(&mut self, backing: &Backing) -> io::Result<u64> {
        let Self {
            geometry, shadow, ..
        } = self;
        let mut compared = 0;
        let mut differences = Vec::new();
        backing.each_extent(shadow, |start, bytes| {
            compared += bytes.len() as u64;
            let lba = start / u64::from(geometry.block_bytes);
            differences.extend(shadow.compare("in the backing file", lba, bytes)?);
            Ok(())
        })?;
        self.record(differences);
        Ok(compared)
    }

    /// Compares what `read` finds at each place that is known with the shadow copy. Gives the number of bytes compared.
    pub fn verify_known(
        &mut self,
        mut read: impl FnMut(u64, &mut [u8]) -> io::Result<()>,
    ) -> io::Result<u64> {
        let known: Vec<_> = self.shadow.written().collect();
        let mut compared = 0;
        for range in known {
            let mut found = vec![0; (range.end - range.start) as usize];
            let lba = range.start / u64::from(self.geometry.block_bytes);
            read(lba, &mut found)?;
            let differences = self.shadow.compare("by another reader", lba, &found)?;
            self.record(differences);
            compared += found.len() as u64;
        }
        // What was read through the driver for the first time could not be compared then, and was now.
        self.io.verified_bytes += self.shadow.take_learnt();
        Ok(compared)
    }

    fn record(&mut self, differences: Vec<Difference>) {
        self.io.mismatched_bytes += differences.len() as u64 * u64::from(self.geometry.block_bytes);
        let room = DIFFERENCES_TOLD - self.differences.len();
        self.differences.extend(differences.into_iter().take(room));
    }

    /// Cuts a transfer into requests: as long as the transport allows, or now and then into random lengths.
    fn pieces(&mut self, transport: &dyn BlockTransport, bytes: usize) -> Vec<usize> {
        let block = self.geometry.block_bytes as usize;
        assert!(bytes.is_multiple_of(block), "whole blocks only");
        let longest = transport.max_transfer_bytes() / block;
        let cut = self.rng.u32(..CUT_ONE_IN) == 0;
        let mut left = bytes / block;
        let mut pieces = Vec::new();
        while left > 0 {
            let blocks = if cut {
                self.rng.usize(1..=left.min(longest))
            } else {
                left.min(longest)
            };
            pieces.push(blocks * block);
            left -= blocks;
        }
        pieces
    }
}

#[cfg(test)]
pub(crate) mod memory {
    //! A transport without a driver, and one that goes wrong on request.

    use super::*;

    pub struct Memory {
        pub bytes: Vec<u8>,
        pub block_bytes: usize,
        pub requests: Vec<(u64, usize)>,
        pub drop_writes_at: Option<u64>,
        pub fail: bool,
        /// A write ends badly when it has written this many bytes.
        pub cut_writes: Option<usize>,
    }

    impl Memory {
        pub fn new(geometry: Geometry) -> Self {
            Self {
                bytes: vec![0; geometry.bytes() as usize],
                block_bytes: geometry.block_bytes as usize,
                requests: Vec::new(),
                drop_writes_at: None,
                fail: false,
                cut_writes: None,
            }
        }

        fn request(
            &mut self,
            lba: u64,
            bytes: usize,
        ) -> Result<std::ops::Range<usize>, TransportError> {
            self.requests.push((lba, bytes));
            assert!(bytes <= self.max_transfer_bytes() && bytes > 0);
            if self.fail {
                return Err(TransportError {
                    request: "a request".into(),
                    why: "asked to".into(),
                });
            }
            let start = lba as usize * self.block_bytes;
            Ok(start..start + bytes)
        }
    }

    impl BlockTransport for Memory {
        fn max_transfer_bytes(&self) -> usize {
            256 << 10
        }
        fn read(&mut self, lba: u64, into: &mut [u8]) -> Result<(), TransportError> {
            let range = self.request(lba, into.len())?;
            into.copy_from_slice(&self.bytes[range]);
            Ok(())
        }
        fn write(&mut self, lba: u64, from: &[u8]) -> Result<(), TransportError> {
            let mut range = self.request(lba, from.len())?;
            if let Some(bytes) = self.cut_writes {
                range.end = range.start + bytes;
                self.bytes[range].copy_from_slice(&from[..bytes]);
                self.fail = true;
                return self.request(lba, from.len()).map(drop);
            }
            if self.drop_writes_at != Some(lba) {
                self.bytes[range].copy_from_slice(from);
            }
            Ok(())
        }
        fn flush(&mut self) -> Result<(), TransportError> {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::memory::Memory;
    use super::*;

    const GEOMETRY: Geometry = Geometry {
        blocks: 8192,
        block_bytes: 512,
    };

    fn disk() -> (Disk, Memory) {
        (Disk::new(Shadow::zero(GEOMETRY), 1), Memory::new(GEOMETRY))
    }

    #[test]
    fn what_was_written_is_found_again_and_counted() {
        let (mut disk, mut memory) = disk();
        disk.write(&mut memory, 3, &vec![0xA5; 512 * 2000]).unwrap();
        let read = disk.verify(&mut memory, u64::MAX).unwrap();
        assert_eq!(read, GEOMETRY.bytes());
        let io = disk.io();
        assert_eq!(io.written_bytes, 512 * 2000);
        assert_eq!(io.verified_bytes, GEOMETRY.bytes());
        assert_eq!((io.mismatched_bytes, io.failed), (0, 0));
        assert_eq!(io.requests as usize, memory.requests.len());
    }

    #[test]
    fn a_lost_write_is_found_and_told() {
        let (mut disk, mut memory) = disk();
        memory.drop_writes_at = Some(7);
        disk.write(&mut memory, 7, &[1; 512]).unwrap();
        disk.verify(&mut memory, u64::MAX).unwrap();
        assert_eq!(disk.io().mismatched_bytes, 512);
        assert_eq!(disk.differences()[0].lba, 7);
    }

    #[test]
    fn a_write_to_the_wrong_place_is_found_where_nothing_was_written() {
        let (mut disk, mut memory) = disk();
        memory.bytes[512 * 4000] = 1;
        disk.verify(&mut memory, u64::MAX).unwrap();
        assert_eq!(disk.differences()[0].lba, 4000);
    }

    #[test]
    fn a_failed_request_is_an_error_and_counted() {
        let (mut disk, mut memory) = disk();
        memory.fail = true;
        assert!(disk.write(&mut memory, 0, &[1; 512]).is_err());
        assert_eq!(disk.io().failed, 1);
        memory.fail = false;
        disk.verify(&mut memory, u64::MAX).unwrap();
        assert_eq!(disk.io().mismatched_bytes, 0);
    }

    #[test]
    fn blocks_of_a_failed_write_are_old_or_new_until_they_are_written_again() {
        let (mut disk, mut memory) = disk();
        disk.write(&mut memory, 8, &[1; 512 * 4]).unwrap();
        memory.cut_writes = Some(512 * 2);
        assert!(disk.write(&mut memory, 8, &[2; 512 * 4]).is_err());
        (memory.cut_writes, memory.fail) = (None, false);
        disk.verify(&mut memory, u64::MAX).unwrap();
        assert_eq!(disk.io().mismatched_bytes, 0, "{:?}", disk.differences());

        memory.bytes[512 * 9] = 3;
        disk.verify(&mut memory, u64::MAX).unwrap();
        assert_eq!(disk.io().mismatched_bytes, 512, "neither old nor new");

        disk.write(&mut memory, 8, &[4; 512 * 4]).unwrap();
        memory.bytes[512 * 10..512 * 11].fill(2);
        disk.verify(&mut memory, u64::MAX).unwrap();
        assert_eq!(disk.io().mismatched_bytes, 1024, "written again since");
    }

    #[test]
    fn a_disk_beyond_the_budget_is_sampled_but_all_that_was_written_is_read() {
        let (mut disk, mut memory) = disk();
        disk.write(&mut memory, 8191, &[1; 512]).unwrap();
        let read = disk.verify(&mut memory, 0).unwrap();
        assert_eq!(read, PASS_BYTES as u64);
    }

    #[test]
    fn transfers_are_cut_now_and_then() {
        let (mut disk, mut memory) = disk();
        for _ in 0..100 {
            disk.write(&mut memory, 0, &vec![1; 512 * 64]).unwrap();
        }
        let whole = memory
            .requests
            .iter()
            .filter(|(_, bytes)| *bytes == 512 * 64)
            .count();
        assert!(whole > 50 && whole < 100, "{whole}");
    }
}

//! What a device left in the host memory buffer.

use std::fmt;
use std::hash::{DefaultHasher, Hasher};
use std::io;

use sha2::{Digest, Sha256};

use super::arena::Arena;
use crate::memory::PAGE_BYTES;

/// Memory is read in pieces of this many bytes.
const PIECE_BYTES: u64 = 1 << 20;
/// Bytes of the checksum that are told.
const TOLD_BYTES: usize = 8;

/// The contents of a range at one time: a checksum of all, and one of each page.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Contents {
    checksum: [u8; TOLD_BYTES],
    pages: Vec<u64>,
}

impl Contents {
    /// What the `bytes` at physical address `pa` hold now.
    pub(super) fn of(arena: &Arena, pa: u64, bytes: u64) -> io::Result<Self> {
        let mut sum = Sha256::new();
        let mut pages = Vec::new();
        let mut buffer = vec![0; PIECE_BYTES as usize];
        for at in (0..bytes).step_by(PIECE_BYTES as usize) {
            let piece = &mut buffer[..PIECE_BYTES.min(bytes - at) as usize];
            arena.read(pa + at, piece)?;
            sum.update(&*piece);
            for page in piece.chunks(PAGE_BYTES as usize) {
                let mut hasher = DefaultHasher::new();
                hasher.write(page);
                pages.push(hasher.finish());
            }
        }
        let mut checksum = [0; TOLD_BYTES];
        checksum.copy_from_slice(&sum.finalize()[..TOLD_BYTES]);
        Ok(Self { checksum, pages })
    }

    /// How many pages are not as they were in `before`, of how many.
    pub(super) fn changed_since(&self, before: &Self) -> (usize, usize) {
        let pages = self.pages.iter().zip(&before.pages);
        let changed = pages.filter(|(now, then)| now != then).count();
        (changed, self.pages.len())
    }
}

/// The first bytes of the SHA-256.
impl fmt::Display for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.checksum
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{PhysicalMemory, Request};

    #[test]
    fn a_change_is_found_in_the_page_that_it_is_in() {
        let memory = PhysicalMemory::new(64 << 20, 1).unwrap();
        let arena = Arena::new(&memory, 64 << 20).unwrap();
        let bytes = (3 << 20) + PAGE_BYTES;
        let request = Request::new(bytes, "host memory buffer").aligned(PAGE_BYTES);
        let pa = memory.alloc_controller_only(request).unwrap();
        let before = Contents::of(&arena, pa, bytes).unwrap();
        memory.write(pa + 5 * PAGE_BYTES - 1, &[1, 1]).unwrap();
        memory.write(pa + bytes - 1, &[1]).unwrap();
        let after = Contents::of(&arena, pa, bytes).unwrap();
        assert_eq!(after.changed_since(&before), (3, 769));
        assert_eq!(after.changed_since(&after), (0, 769));
        assert_ne!(after.to_string(), before.to_string());
        // The SHA-256 of as many zeroes, from another implementation.
        memory.write(pa, &vec![0; bytes as usize]).unwrap();
        let zero = Contents::of(&arena, pa, 4096).unwrap();
        assert_eq!(zero.to_string(), "ad7facb2586fc6e9");
    }
}

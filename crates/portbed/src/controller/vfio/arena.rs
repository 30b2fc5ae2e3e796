//! The memory of the virtual machine, as a real device and the watch over it see it.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use crate::memory::PhysicalMemory;
use crate::pages::{PAGE_BYTES, Pages};

/// Where physical memory continues above what devices with 32-bit addresses reach.
const HIGH_PA: u64 = 4 << 30;
/// A huge page of the processor.
const HUGE_BYTES: u64 = 2 << 20;
/// In an entry of `/proc/self/pagemap`: the page is there, and the bits of its frame's number.
const PRESENT: u64 = 1 << 63;
const FRAME: u64 = (1 << 55) - 1;

/// A mapping of all of the memory, aligned so that huge pages fit.
#[derive(Debug)]
pub(super) struct Arena {
    pages: Pages,
    skew: u64,
    low_bytes: u64,
}

/// How memory lies in the machine's real memory.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Pieces {
    /// Physically contiguous pieces.
    pub(super) pieces: u64,
    /// Bytes of the largest.
    pub(super) largest_bytes: u64,
}

impl Arena {
    /// The `bytes` of `memory`.
    pub(super) fn new(memory: &PhysicalMemory, bytes: u64) -> io::Result<Self> {
        let pages = Pages::reserve(bytes + HUGE_BYTES)?;
        let skew = pages.address().next_multiple_of(HUGE_BYTES) - pages.address();
        pages.map(skew, bytes, memory.file(), 0)?;
        Ok(Self {
            pages,
            skew,
            low_bytes: memory.low_bytes(),
        })
    }

    /// Where physical address `pa` lies in this process.
    pub(super) fn address(&self, pa: u64) -> u64 {
        self.pages.address() + self.offset(pa)
    }

    /// Reads from physical address `pa`.
    pub(super) fn read(&self, pa: u64, into: &mut [u8]) -> io::Result<()> {
        self.pages.read(self.offset(pa), into)
    }

    /// Asks for huge pages behind the `bytes` at `pa`, as far as they fit. The system may have none.
    pub(super) fn use_huge_pages(&self, pa: u64, bytes: u64) {
        let start = self.offset(pa) - self.skew;
        let first = start.next_multiple_of(HUGE_BYTES);
        let end = (start + bytes) / HUGE_BYTES * HUGE_BYTES;
        if first < end {
            let _ = self.pages.collapse(self.skew + first, end - first);
        }
    }

    /// How the `bytes` at `pa`, which are locked, lie in real memory; nothing where the system does not tell this user.
    pub(super) fn pieces(&self, pa: u64, bytes: u64) -> Option<Pieces> {
        let mut map = File::open("/proc/self/pagemap").ok()?;
        map.seek(SeekFrom::Start(self.address(pa) / PAGE_BYTES * 8))
            .ok()?;
        let mut entries = vec![0; (bytes / PAGE_BYTES) as usize * 8];
        map.read_exact(&mut entries).ok()?;
        let frames = entries.chunks_exact(8).map(|entry| {
            let entry = entry
                .iter()
                .rev()
                .fold(0, |value, &byte| value << 8 | u64::from(byte));
            (entry & PRESENT != 0).then_some(entry & FRAME)
        });
        count(frames.collect::<Option<Vec<u64>>>()?)
    }

    fn offset(&self, pa: u64) -> u64 {
        let in_file = if pa >= HIGH_PA {
            pa - HIGH_PA + self.low_bytes
        } else {
            pa
        };
        self.skew + in_file
    }
}

/// Counts contiguous pieces of page frames. Frame 0 is what the system shows to those who may not know.
fn count(frames: Vec<u64>) -> Option<Pieces> {
    let mut found = Pieces {
        pieces: 0,
        largest_bytes: 0,
    };
    let (mut next, mut bytes) = (None, 0);
    for frame in frames {
        if frame == 0 {
            return None;
        }
        if next != Some(frame) {
            found.pieces += 1;
            bytes = 0;
        }
        bytes += PAGE_BYTES;
        found.largest_bytes = found.largest_bytes.max(bytes);
        next = Some(frame + 1);
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Request;

    #[test]
    fn pieces_are_counted_where_frames_do_not_follow_each_other() {
        let counted = count(vec![7, 8, 9, 20, 21, 5]);
        let expected = Pieces {
            pieces: 3,
            largest_bytes: 3 * PAGE_BYTES,
        };
        assert_eq!(counted, Some(expected));
        assert_eq!(count(vec![0, 0]), None);
    }

    #[test]
    fn memory_is_found_at_its_physical_address_below_and_above_4_gib() {
        let memory = PhysicalMemory::new(64 << 20, 1).unwrap();
        let arena = Arena::new(&memory, 64 << 20).unwrap();
        let low = Request::new(PAGE_BYTES, "low").up_to(u64::from(u32::MAX));
        let mut blocks = vec![memory.alloc_contiguous(low).unwrap()];
        while blocks.iter().all(|block| block.pa < HIGH_PA) {
            let any = Request::new(PAGE_BYTES, "any");
            blocks.push(memory.alloc_contiguous(any).unwrap());
        }
        for (value, block) in (1_u8..).zip(&blocks) {
            memory.write(block.pa, &[value; 16]).unwrap();
            let mut found = [0; 16];
            arena.read(block.pa, &mut found).unwrap();
            assert_eq!(found, [value; 16]);
        }
    }

    #[test]
    fn huge_pages_keep_what_memory_holds() {
        let memory = PhysicalMemory::new(64 << 20, 1).unwrap();
        let arena = Arena::new(&memory, 64 << 20).unwrap();
        let request = Request::new(8 << 20, "host memory buffer").aligned(PAGE_BYTES);
        let pa = memory.alloc_controller_only(request).unwrap();
        let pattern: Vec<u8> = (0_u32..8 << 20).map(|at| (at >> 12) as u8).collect();
        memory.write(pa, &pattern).unwrap();
        arena.use_huge_pages(pa, 8 << 20);
        let mut found = vec![0; 8 << 20];
        arena.read(pa, &mut found).unwrap();
        assert!(found == pattern);
    }
}

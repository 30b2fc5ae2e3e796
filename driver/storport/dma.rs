//! Memory that the miniport and the controller share.

use core::ptr::NonNull;

use nvme::DmaMemory;
use nvme_spec::command::COMMAND_BYTES;

/// A stretch of memory that is contiguous for the processor and for the controller alike.
///
/// Every access is volatile: the controller may write at any time.
pub(crate) struct DmaBlock {
    start: NonNull<u8>,
    address: u64,
    bytes: usize,
}

// SAFETY: the block is reached from one processor at a time through its owner; the memory is not bound to a thread.
unsafe impl Send for DmaBlock {}

impl DmaBlock {
    /// # Safety
    /// `start` is valid for `bytes` bytes for as long as the adapter exists, 8-byte aligned, contiguous at the bus
    /// address `address`, and used through this block alone.
    pub(super) const unsafe fn new(start: NonNull<u8>, address: u64, bytes: usize) -> Self {
        Self {
            start,
            address,
            bytes,
        }
    }

    /// Cuts the first `bytes` off, a multiple of 8; `None` when the block is shorter.
    pub(crate) fn take(&mut self, bytes: usize) -> Option<Self> {
        if !bytes.is_multiple_of(ALIGNMENT) {
            return None;
        }
        let left = self.bytes.checked_sub(bytes)?;
        let address = self.address.checked_add(bytes as u64)?;
        let first = Self {
            start: self.start,
            address: self.address,
            bytes,
        };
        // SAFETY: `bytes` is at most the length of the block.
        self.start = unsafe { self.start.add(bytes) };
        self.address = address;
        self.bytes = left;
        Some(first)
    }

    /// Gives up what lies before the next multiple of `alignment`, a power of two.
    pub(crate) fn align(&mut self, alignment: usize) -> Option<()> {
        let skip = self.address.wrapping_neg() & (alignment as u64).wrapping_sub(1);
        self.take(skip as usize).map(drop)
    }

    /// The address of byte `offset`, when `bytes` more are inside.
    fn at(&self, offset: usize, bytes: usize) -> Option<*mut u8> {
        let end = offset.checked_add(bytes)?;
        // SAFETY: `offset` is at most the length of the block.
        (end <= self.bytes).then(|| unsafe { self.start.as_ptr().add(offset) })
    }

    /// The address of the word at byte `offset`, where there is one.
    pub(super) fn word(&self, offset: usize) -> Option<*mut u32> {
        self.words(offset, WORD)
    }

    /// The address of the words from byte `offset` on, when `bytes` are inside.
    fn words(&self, offset: usize, bytes: usize) -> Option<*mut u32> {
        // The block itself is aligned, as `new` is promised and `take` sees to.
        let words = self.at(offset, bytes)?.cast();
        offset.is_multiple_of(WORD).then_some(words)
    }
}

impl DmaMemory for DmaBlock {
    fn address(&self) -> u64 {
        self.address
    }

    fn len(&self) -> usize {
        self.bytes
    }

    fn read_dwords<const N: usize>(&self, offset: usize) -> [u32; N] {
        let words = self.words(offset, size_of::<[u32; N]>());
        let Some(mut word) = words else {
            return [0; N];
        };
        [(); N].map(|()| {
            // SAFETY: `at` has checked that N words from the first on lie inside the block.
            let value = unsafe { word.read_volatile() };
            word = word.wrapping_add(1);
            value
        })
    }

    fn write_dword(&self, offset: usize, value: u32) {
        if let Some(word) = self.word(offset) {
            // SAFETY: `word` gives only aligned places inside the block.
            unsafe { word.write_volatile(value) };
        }
    }

    fn write_command(&self, offset: usize, command: &[u8; COMMAND_BYTES], dword0: u32) {
        if let Some(to) = self.words(offset, COMMAND_BYTES) {
            let bytes = to.cast::<u8>();
            // SAFETY: `words` has checked that the copy stays inside the block, which nothing else refers to.
            unsafe { bytes.copy_from_nonoverlapping(command.as_ptr(), COMMAND_BYTES) };
            // SAFETY: as above; the first word is aligned.
            unsafe { to.write(dword0) };
        }
    }

    fn read(&self, offset: usize, into: &mut [u8]) {
        let Some(from) = self.at(offset, into.len()) else {
            into.fill(0);
            return;
        };
        let mut at = from;
        if let Some(mut word) = as_words(from) {
            let (words, _) = into.as_chunks_mut::<WORD>();
            for to in words {
                // SAFETY: `at` has checked that the copy stays inside the block; four bytes of it are left.
                *to = unsafe { word.read_volatile() }.to_le_bytes();
                word = word.wrapping_add(1);
            }
            at = word.cast();
        }
        let copied = at.addr().wrapping_sub(from.addr());
        for to in into.iter_mut().skip(copied) {
            // SAFETY: as above, for one byte.
            *to = unsafe { at.read_volatile() };
            at = at.wrapping_add(1);
        }
    }

    fn write(&self, offset: usize, from: &[u8]) {
        let Some(to) = self.at(offset, from.len()) else {
            return;
        };
        let mut at = to;
        if let Some(mut word) = as_words(to) {
            let (words, _) = from.as_chunks::<WORD>();
            for from in words {
                // SAFETY: `at` has checked that the copy stays inside the block; four bytes of it are left.
                unsafe { word.write_volatile(u32::from_le_bytes(*from)) };
                word = word.wrapping_add(1);
            }
            at = word.cast();
        }
        let copied = at.addr().wrapping_sub(to.addr());
        for from in from.iter().skip(copied) {
            // SAFETY: as above, for one byte.
            unsafe { at.write_volatile(*from) };
            at = at.wrapping_add(1);
        }
    }
}

/// A block starts at a multiple of this.
const ALIGNMENT: usize = 8;

/// Bytes of a word: what is never torn.
const WORD: usize = size_of::<u32>();

/// The place as one of whole words, where it is aligned to them.
fn as_words(at: *mut u8) -> Option<*mut u32> {
    at.addr().is_multiple_of(WORD).then(|| at.cast())
}

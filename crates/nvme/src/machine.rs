//! What the operating system gives: register access, memory that the controller shares, and the time.

use nvme_spec::command::COMMAND_BYTES;

/// The memory page size that this driver sets in CC.MPS, in bytes.
pub const PAGE_BYTES: u32 = 4096;

/// The registers of a controller in BAR0, by byte offset. Every access is one volatile access of exactly that width;
/// writes reach the controller in the order of the calls, after all earlier writes to [`DmaMemory`].
/// A controller that has gone reads as all ones.
pub trait Registers {
    /// Reads 4 bytes.
    fn read32(&self, offset: u32) -> u32;
    /// Writes 4 bytes.
    fn write32(&self, offset: u32, value: u32);
    /// Reads 8 bytes, at once or as two 4-byte reads.
    fn read64(&self, offset: u32) -> u64;
    /// Writes 8 bytes, at once or as two 4-byte writes, the lower half first.
    fn write64(&self, offset: u32, value: u64);
}

/// Memory that the controller reads and writes at the same time: contiguous for the device, accessed by volatile copies.
/// What is out of range reads as zero and is not written.
///
/// A copy may be torn between dwords, never inside an aligned dword.
#[allow(
    clippy::len_without_is_empty,
    reason = "memory of no bytes is never handed out"
)]
pub trait DmaMemory {
    /// Where the controller finds it: device address of the first byte.
    fn address(&self) -> u64;
    /// Size in bytes.
    fn len(&self) -> usize;
    /// Copies from `offset` on into `into`.
    fn read(&self, offset: usize, into: &mut [u8]);
    /// Copies `from` to `offset` on.
    fn write(&self, offset: usize, from: &[u8]);

    /// Reads `N` dwords from `offset` on, a multiple of 4.
    fn read_dwords<const N: usize>(&self, offset: usize) -> [u32; N] {
        let mut at = offset;
        [(); N].map(|()| {
            let mut bytes = [0; 4];
            self.read(at, &mut bytes);
            at = at.saturating_add(bytes.len());
            u32::from_le_bytes(bytes)
        })
    }

    /// Writes the dword at `offset`, a multiple of 4.
    fn write_dword(&self, offset: usize, value: u32) {
        self.write(offset, &value.to_le_bytes());
    }

    /// Writes the 64 bytes of a command at `offset`, with `dword0` in the place of its first dword. The controller reads them only after
    /// the doorbell, so the bytes may be written in any order and by writes of any width.
    fn write_command(&self, offset: usize, command: &[u8; COMMAND_BYTES], dword0: u32) {
        self.write(offset, command);
        self.write_dword(offset, dword0);
    }
}

/// A moment on a clock that never runs backwards, in nanoseconds from any origin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant(u64);

impl Instant {
    /// The moment `ns` nanoseconds after the clock's origin.
    #[must_use]
    pub const fn from_ns(ns: u64) -> Self {
        Self(ns)
    }

    /// Nanoseconds since the clock's origin.
    #[must_use]
    pub const fn as_ns(self) -> u64 {
        self.0
    }

    /// The moment `us` microseconds later.
    #[must_use]
    pub const fn after_us(self, us: u64) -> Self {
        Self(self.0.saturating_add(us.saturating_mul(1000)))
    }

    /// Microseconds from `earlier` to this moment; 0 when it is not earlier.
    #[must_use]
    pub const fn us_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0) / 1000
    }
}

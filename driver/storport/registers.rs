//! The registers of the controller: its memory BAR.

use core::ptr::NonNull;

use nvme::Registers;

/// The mapped BAR. `StorPortReadRegisterUlong` and its kin are plain volatile accesses on x64 and ARM64.
#[derive(Clone, Copy)]
pub(crate) struct RegisterWindow {
    start: NonNull<u8>,
    /// How many registers of 4 bytes there are.
    dwords: u32,
}

// SAFETY: registers are not bound to a processor, and every access is one volatile instruction.
unsafe impl Send for RegisterWindow {}
// SAFETY: as for `Send`; the order of accesses is the caller's business.
unsafe impl Sync for RegisterWindow {}

impl RegisterWindow {
    /// # Safety
    /// `start` is the page-aligned start of a device mapping of `bytes` bytes that stays until the adapter is gone.
    pub(super) const unsafe fn new(start: NonNull<u8>, bytes: u32) -> Self {
        Self {
            start,
            dwords: bytes / DWORD,
        }
    }

    /// Where the register at `offset` is mapped, when it is.
    const fn at<T>(self, offset: u32) -> Option<*mut T> {
        const { assert!(size_of::<T>() == 4 || size_of::<T>() == 8) };
        // The number of the register. An offset inside one becomes a number that none has.
        let first = offset.rotate_right(DWORD.trailing_zeros());
        let more = const { (size_of::<T>() as u32 / DWORD).saturating_sub(1) };
        let last = first.saturating_add(more);
        let aligned = size_of::<T>() == 4 || first & 1 == 0;
        if last >= self.dwords || !aligned {
            return None;
        }
        // SAFETY: `offset` is inside the mapping.
        Some(unsafe { self.start.add(offset as usize) }.as_ptr().cast())
    }
}

/// Bytes of the smallest register.
const DWORD: u32 = 4;

impl Registers for RegisterWindow {
    fn read32(&self, offset: u32) -> u32 {
        // SAFETY: `at` gives only aligned addresses inside the mapping.
        self.at::<u32>(offset)
            .map_or(u32::MAX, |register| unsafe { register.read_volatile() })
    }

    fn write32(&self, offset: u32, value: u32) {
        if let Some(register) = self.at::<u32>(offset) {
            // SAFETY: `at` gives only aligned addresses inside the mapping.
            unsafe { register.write_volatile(value) };
        }
    }

    fn read64(&self, offset: u32) -> u64 {
        // SAFETY: `at` gives only aligned addresses inside the mapping.
        self.at::<u64>(offset)
            .map_or(u64::MAX, |register| unsafe { register.read_volatile() })
    }

    fn write64(&self, offset: u32, value: u64) {
        if let Some(register) = self.at::<u64>(offset) {
            // SAFETY: `at` gives only aligned addresses inside the mapping.
            unsafe { register.write_volatile(value) };
        }
    }
}

//! Windows of memory-mapped registers.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::emulate::Bus;
use super::signal;
use crate::pages::{PAGE_BYTES, Pages};

/// One access to a window, in the order the code under test makes them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MmioAccess {
    /// Offset of the first byte in the window.
    pub offset: u64,
    /// Width in bytes: 1, 2, 4 or 8 for integer instructions; 16 for whole vector registers.
    pub bytes: u8,
    /// The value that is written (its lower 64 bits), or nothing for a read.
    pub value: Option<u64>,
}

/// Memory-mapped registers: address space that calls a handler at each access.
#[derive(Debug)]
pub struct MmioWindow {
    window: Arc<Window>,
}

impl MmioWindow {
    /// Reserves `bytes` of address space whose accesses call `handler`. It returns the value that is read; for a write
    /// the result is ignored. The window is gone when the value is dropped.
    pub fn reserve(
        bytes: u64,
        handler: impl Fn(MmioAccess) -> u64 + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let with_guards = bytes
            .checked_add(2 * PAGE_BYTES)
            .ok_or(io::ErrorKind::InvalidInput)?;
        let window = Arc::new(Window {
            pages: Pages::reserve(with_guards)?,
            bytes,
            handler: Box::new(handler),
            reads: AtomicU64::new(0),
            writes: AtomicU64::new(0),
        });
        signal::handle()?;
        WINDOWS
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Arc::clone(&window));
        Ok(Self { window })
    }

    /// Address of the first register.
    #[must_use]
    pub fn address(&self) -> u64 {
        self.window.address()
    }

    /// Size in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.window.bytes
    }

    /// Reads so far.
    #[must_use]
    pub fn reads(&self) -> u64 {
        self.window.reads.load(Ordering::Relaxed)
    }

    /// Writes so far.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.window.writes.load(Ordering::Relaxed)
    }
}

impl Drop for MmioWindow {
    fn drop(&mut self) {
        let mut windows = WINDOWS.write().unwrap_or_else(PoisonError::into_inner);
        windows.retain(|window| !Arc::ptr_eq(window, &self.window));
    }
}

/// All windows of this process. The lock is held only to look one up, never while a handler runs.
static WINDOWS: RwLock<Vec<Arc<Window>>> = RwLock::new(Vec::new());

struct Window {
    /// The registers, and an inaccessible page before and after them.
    pages: Pages,
    bytes: u64,
    handler: Box<dyn Fn(MmioAccess) -> u64 + Send + Sync>,
    reads: AtomicU64,
    writes: AtomicU64,
}

impl fmt::Debug for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Window")
            .field("pages", &self.pages)
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

impl Window {
    fn address(&self) -> u64 {
        self.pages.address() + PAGE_BYTES
    }

    /// How many of the `bytes` at `address` are registers.
    fn overlap(&self, address: u64, bytes: usize) -> u64 {
        let start = address.max(self.address());
        let end = address
            .saturating_add(bytes as u64)
            .min(self.address() + self.bytes);
        end.saturating_sub(start)
    }

    fn access(&self, address: u64, bytes: usize, value: Option<u64>) -> u64 {
        let counter = if value.is_some() {
            &self.writes
        } else {
            &self.reads
        };
        counter.fetch_add(1, Ordering::Relaxed);
        (self.handler)(MmioAccess {
            offset: address - self.address(),
            bytes: bytes as u8,
            value,
        })
    }
}

/// Whether `address` is a register.
pub(super) fn is_register(address: u64) -> bool {
    find(address, 1).is_some()
}

fn find(address: u64, bytes: usize) -> Option<Arc<Window>> {
    let windows = WINDOWS.read().unwrap_or_else(PoisonError::into_inner);
    windows
        .iter()
        .find(|window| window.overlap(address, bytes) > 0)
        .cloned()
}

/// What an instruction can reach: the registers of all windows, and memory.
pub(super) struct Devices;

impl Bus for Devices {
    fn read(&mut self, address: u64, bytes: usize) -> Option<u64> {
        match find(address, bytes) {
            Some(window) if window.overlap(address, bytes) == bytes as u64 => {
                Some(window.access(address, bytes, None))
            }
            Some(_) => None,
            None => read_memory(address, bytes),
        }
    }

    fn write(&mut self, address: u64, bytes: usize, value: u64) -> Option<()> {
        match find(address, bytes) {
            Some(window) if window.overlap(address, bytes) == bytes as u64 => {
                window.access(address, bytes, Some(value));
                Some(())
            }
            Some(_) => None,
            None => write_memory(address, bytes, value),
        }
    }
}

/// Reads the other operand of a string instruction.
fn read_memory(address: u64, bytes: usize) -> Option<u64> {
    let mut value = [0; 8];
    let into = value.get_mut(..bytes)?;
    let from = std::ptr::with_exposed_provenance::<u8>(address as usize);
    // SAFETY: the code under test was about to read these bytes itself: if they are inaccessible this faults as it
    // would have.
    unsafe { from.copy_to_nonoverlapping(into.as_mut_ptr(), bytes) };
    Some(u64::from_le_bytes(value))
}

/// Writes the other operand of a string instruction.
fn write_memory(address: u64, bytes: usize, value: u64) -> Option<()> {
    let value = value.to_le_bytes();
    let from = value.get(..bytes)?;
    let to = std::ptr::with_exposed_provenance_mut::<u8>(address as usize);
    // SAFETY: the code under test was about to write these bytes itself: if they are inaccessible this faults as it
    // would have.
    unsafe { to.copy_from_nonoverlapping(from.as_ptr(), bytes) };
    Some(())
}

//! DMA: what the driver was given is mapped by the IOMMU as long as it was given, and nothing else is.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::arena::Arena;
use super::client::locked;
use super::contents::Contents;
use crate::controller::{DmaUse, Iommu};
use crate::journal::{Journal, Who};
use crate::memory::PAGE_BYTES;

/// Tells what happens at the time when the controller was looked at last.
#[derive(Clone)]
pub(super) struct Notes {
    journal: Journal,
    now_ns: Arc<AtomicU64>,
}

impl Notes {
    /// Notes in `journal`.
    pub(super) fn new(journal: Journal) -> Self {
        Self {
            journal,
            now_ns: Arc::default(),
        }
    }

    /// It is `now_ns`.
    pub(super) fn tick(&self, now_ns: u64) {
        self.now_ns.store(now_ns, Ordering::Relaxed);
    }

    /// Adds a note about the controller.
    pub(super) fn note(&self, what: String) {
        let now_ns = self.now_ns.load(Ordering::Relaxed);
        self.journal.note(now_ns, Who::Controller, what);
    }
}

impl fmt::Debug for Notes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Notes")
    }
}

/// The tables of an IOMMU for one device.
pub(super) trait Tables: fmt::Debug + Send + Sync {
    /// Lets the device use the `bytes` at `address` of this process, whole pages, as `iova`. The pages are locked.
    ///
    /// # Safety
    /// Until [`Tables::unmap`], the pages stay mapped and no reference into them is made: the device writes there.
    unsafe fn map(&self, iova: u64, bytes: u64, address: u64, writable: bool) -> io::Result<()>;
    /// Takes from the device what was mapped at `iova`.
    fn unmap(&self, iova: u64, bytes: u64) -> io::Result<()>;
}

/// What the device may use at this moment.
#[derive(Debug)]
pub(super) struct Dma {
    tables: Arc<dyn Tables>,
    arena: Arena,
    notes: Notes,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// What is mapped: physical address to bytes, both of whole pages.
    mapped: BTreeMap<u64, u64>,
    /// Host memory, and what it held when it was granted, and when the device slept.
    host_memory: BTreeMap<u64, Watched>,
    failure: Option<String>,
}

#[derive(Debug)]
struct Watched {
    bytes: u64,
    granted: Contents,
    asleep: Option<Contents>,
}

impl Dma {
    /// No memory of `arena` is given to the device yet.
    pub(super) fn new(tables: Arc<dyn Tables>, arena: Arena, notes: Notes) -> Self {
        Self {
            tables,
            arena,
            notes,
            state: Mutex::default(),
        }
    }

    /// The memory of the machine.
    pub(super) fn arena(&self) -> &Arena {
        &self.arena
    }

    /// Why the device could not be given what its driver was given, if that happened.
    pub(super) fn failure(&self) -> Option<String> {
        self.state().failure.clone()
    }

    /// Takes everything from the device.
    pub(super) fn take_back(&self) {
        let mapped = std::mem::take(&mut self.state().mapped);
        for (start, bytes) in mapped {
            self.note_failure(self.tables.unmap(start, bytes));
        }
    }

    /// The device sleeps, and has no host memory until it wakes: what it then holds is remembered.
    pub(super) fn fall_asleep(&self) {
        let arena = &self.arena;
        for (&start, watched) in &mut self.state().host_memory {
            watched.asleep = Contents::of(arena, start, watched.bytes).ok();
        }
    }

    /// The device wakes: tells whether the host memory is as it was.
    pub(super) fn wake(&self) {
        let arena = &self.arena;
        for (&start, watched) in &mut self.state().host_memory {
            let Some(before) = watched.asleep.take() else {
                continue;
            };
            let Ok(now) = Contents::of(arena, start, watched.bytes) else {
                continue;
            };
            let what = match now.changed_since(&before) {
                (0, _) => format!("unchanged while the device slept, checksum {now}"),
                (changed, pages) => format!(
                    "{changed} of {pages} pages changed while the device slept and had none; checksum before {before}, after {now}"
                ),
            };
            self.notes
                .note(format!("host memory at {start:#x}: {what}"));
        }
    }

    fn map(&self, start: u64, bytes: u64, use_: DmaUse) -> io::Result<()> {
        let (first, length) = whole_pages(start, bytes);
        if use_ == DmaUse::Hmb {
            self.arena.use_huge_pages(first, length);
        }
        let address = self.arena.address(first);
        // SAFETY: the arena stays mapped as long as this value, which takes everything from the device when it is dropped, and
        // is only copied from; a driver that is given the memory knows that a device writes there.
        unsafe {
            self.tables
                .map(first, length, address, use_ != DmaUse::Read)
        }
        .map_err(|why| locked(&why))?;
        self.state().mapped.insert(first, length);
        if use_ == DmaUse::Hmb {
            self.watch(first, length)?;
        }
        Ok(())
    }

    fn unmap(&self, start: u64) -> io::Result<()> {
        let (first, _) = whole_pages(start, 0);
        let Some(bytes) = self.state().mapped.remove(&first) else {
            return Ok(());
        };
        self.tables.unmap(first, bytes)?;
        let watched = self.state().host_memory.remove(&first);
        if let Some(Watched { bytes, granted, .. }) = watched {
            let now = Contents::of(&self.arena, first, bytes)?;
            let (changed, pages) = now.changed_since(&granted);
            self.notes.note(format!(
                "host memory at {first:#x} taken back: the device left {changed} of {pages} pages changed; checksum before \
                 {granted}, after {now}"
            ));
        }
        Ok(())
    }

    /// Remembers what the host memory holds as it is granted, and tells how it lies.
    fn watch(&self, start: u64, bytes: u64) -> io::Result<()> {
        let granted = Contents::of(&self.arena, start, bytes)?;
        let lies = self.arena.pieces(start, bytes).map_or_else(
            || "only root is told how it lies".to_owned(),
            |pieces| {
                format!(
                    "in real memory {} contiguous pieces, the largest of {} KiB",
                    pieces.pieces,
                    pieces.largest_bytes >> 10
                )
            },
        );
        self.notes.note(format!(
            "host memory at {start:#x}: {} KiB locked and mapped by the IOMMU, contiguous for the device; {lies}; checksum {granted}",
            bytes >> 10
        ));
        let watched = Watched {
            bytes,
            granted,
            asleep: None,
        };
        self.state().host_memory.insert(start, watched);
        Ok(())
    }

    fn note_failure(&self, outcome: io::Result<()>) {
        if let Err(why) = outcome {
            self.state().failure.get_or_insert(why.to_string());
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Dma {
    fn drop(&mut self) {
        self.take_back();
    }
}

/// The port driver's hand on the IOMMU.
#[derive(Debug)]
pub(super) struct Gate(pub(super) Arc<Dma>);

impl Iommu for Gate {
    fn map(&mut self, start: u64, bytes: u64, use_: DmaUse) {
        self.0.note_failure(self.0.map(start, bytes, use_));
    }

    fn unmap(&mut self, start: u64) {
        self.0.note_failure(self.0.unmap(start));
    }
}

/// The pages that the `bytes` at `start` lie in. No other allocation has a part of them.
fn whole_pages(start: u64, bytes: u64) -> (u64, u64) {
    let first = start & !(PAGE_BYTES - 1);
    (first, (start + bytes).next_multiple_of(PAGE_BYTES) - first)
}

#[cfg(test)]
mod tests;

//! Physical memory of the virtual machine, and the virtual addresses under which the driver sees it.
//!
//! One memory file holds all of it, so that another process can use it as a guest's RAM: offset 0 is physical address
//! 0, and what lies above [`PhysicalMemory::low_bytes`] continues at 4 GiB. Every allocation has pages, and an
//! inaccessible page before and after them, of its own; a freed one faults when touched. Virtual addresses are above
//! every physical address, so that one can never be taken for the other.

mod allocation;
mod error;
mod frames;
mod overrun;
mod ranges;
mod request;

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use allocation::{Allocation, Kind};
pub use error::{FreeError, Unallocated};
use frames::{Frames, Run};
pub use overrun::Overrun;
use ranges::Ranges;
pub use request::{Block, Live, Mapping, Request};

use crate::pages::{self, Pages};
pub use crate::pages::{Access, PAGE_BYTES};

/// What fresh memory is filled with: as an address it is not canonical, as a size it is absurd.
const FRESH: u8 = 0xBD;

/// Where physical memory continues above what devices with 32-bit addresses reach.
const HIGH_PA: u64 = 4 << 30;

/// The lowest physical addresses are never given out: small numbers are no addresses.
const LOWEST_PA: u64 = 16 << 20;

/// Address space for all allocations. Large, so that an address is not reused soon after it was freed.
const VIRTUAL_BYTES: u64 = 16 << 30;

/// From this size on, freed memory is given back to the system.
const DISCARDED_BYTES: u64 = 1 << 20;

/// The physical memory of the virtual machine. All methods may be called from any thread.
#[derive(Debug)]
pub struct PhysicalMemory {
    file: File,
    low_bytes: u64,
    /// All of the file, always accessible: how devices see it.
    physical: Pages,
    /// Where the allocations appear to code.
    visible: Pages,
    state: RwLock<State>,
}

#[derive(Debug)]
struct State {
    frames: Frames,
    /// Free offsets in the virtual pages.
    space: Ranges,
    /// By their addresses: virtual ones, or physical ones for controller-only memory. The two never coincide.
    allocations: BTreeMap<u64, Allocation>,
    /// What devices may touch: physical address to size and address of the allocation.
    parts: BTreeMap<u64, (u64, u64)>,
    count: u64,
}

impl PhysicalMemory {
    /// Memory of `bytes`, half of it below 4 GiB; `seed` decides where allocations lie. Nothing is used until touched.
    pub fn new(bytes: u64, seed: u64) -> io::Result<Self> {
        let low_bytes = (bytes / 2).next_multiple_of(PAGE_BYTES);
        let high_bytes = (bytes - bytes / 2).next_multiple_of(PAGE_BYTES);
        let (bytes, lowest) = (
            low_bytes + high_bytes,
            LOWEST_PA.min((low_bytes / 2).next_multiple_of(PAGE_BYTES)),
        );
        let end = HIGH_PA + high_bytes;
        let file = pages::memory_file(bytes)?;
        let physical = Pages::of_file(&file, bytes)?;
        let visible = Pages::reserve(VIRTUAL_BYTES)?;
        if low_bytes > HIGH_PA || bytes == 0 || visible.address() < end {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let state = State {
            frames: Frames::new([lowest..low_bytes, HIGH_PA..end], seed),
            space: Ranges::new(PAGE_BYTES..VIRTUAL_BYTES),
            allocations: BTreeMap::new(),
            parts: BTreeMap::new(),
            count: 0,
        };
        Ok(Self {
            file,
            low_bytes,
            physical,
            visible,
            state: RwLock::new(state),
        })
    }

    /// The file that holds the memory.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Bytes from physical address 0; the rest lies from 4 GiB.
    #[must_use]
    pub fn low_bytes(&self) -> u64 {
        self.low_bytes
    }

    /// Allocates contiguous memory. It ends where its last page ends, as far as its alignment allows, so that code that
    /// runs past it faults.
    pub fn alloc_contiguous(&self, request: Request) -> Option<Block> {
        let state = &mut *self.write_state();
        let page_bytes = request.page_bytes(0)?;
        let offset = (page_bytes - request.bytes) & !(request.align - 1);
        let run = state.frames.take_contiguous(
            page_bytes,
            request.align.max(PAGE_BYTES),
            request.lowest..=request.highest,
        )?;
        let bytes = request.bytes;
        let va = self.place(state, Kind::Contiguous, vec![run], offset, request)?;
        Some(Block {
            va,
            pa: run.pa + offset,
            bytes,
        })
    }

    /// Allocates memory whose pages are scattered; it starts at `offset_in_page` (the request's alignment is ignored).
    pub fn alloc_scattered(&self, request: Request, offset_in_page: u64) -> Option<Mapping> {
        let state = &mut *self.write_state();
        let offset = offset_in_page % PAGE_BYTES;
        let page_bytes = request.page_bytes(offset)?;
        let runs = state
            .frames
            .take_scattered(page_bytes, request.highest, request.apart)?;
        let bytes = request.bytes;
        let va = self.place(state, Kind::Scattered, runs, offset, request)?;
        Some(Mapping { va, bytes })
    }

    /// Allocates contiguous memory that has no virtual address, and returns its physical one. What it holds is not
    /// defined.
    pub fn alloc_controller_only(&self, request: Request) -> Option<u64> {
        let state = &mut *self.write_state();
        let page_bytes = request.page_bytes(0)?;
        let run = state.frames.take_contiguous(
            page_bytes,
            request.align.max(PAGE_BYTES),
            request.lowest..=request.highest,
        )?;
        let allocation = Allocation {
            kind: Kind::ControllerOnly,
            label: request.label,
            number: state.count,
            pages_va: None,
            offset: 0,
            bytes: request.bytes,
            runs: vec![run],
        };
        Some(state.add(allocation))
    }

    /// Gives `runs` a virtual address, fills them and remembers the allocation, whose virtual address is returned.
    fn place(
        &self,
        state: &mut State,
        kind: Kind,
        runs: Vec<Run>,
        offset: u64,
        request: Request,
    ) -> Option<u64> {
        let Request {
            bytes,
            align,
            zeroed,
            label,
            ..
        } = request;
        let number = state.count;
        let mut allocation = Allocation {
            kind,
            label,
            number,
            pages_va: None,
            offset,
            bytes,
            runs,
        };
        let page_bytes = allocation.page_bytes();
        let align = align.max(PAGE_BYTES);
        let Some(at) = self.map(&mut state.space, &allocation.runs, page_bytes, align) else {
            state.give_frames(&allocation);
            return None;
        };
        allocation.pages_va = Some(self.visible.address() + at);
        for part in allocation.parts() {
            self.fill(&part, if zeroed { 0 } else { FRESH });
        }
        for part in allocation.slack() {
            self.fill(&part, FRESH);
        }
        Some(state.add(allocation))
    }

    /// Maps `runs` one after the other at a free offset of the virtual pages, an inaccessible page after them.
    fn map(&self, space: &mut Ranges, runs: &[Run], page_bytes: u64, align: u64) -> Option<u64> {
        let base = self.visible.address();
        // Aligned is the address, not the offset.
        let skew = base.next_multiple_of(align) - base;
        let with_guard = skew + page_bytes + PAGE_BYTES;
        let taken = space.take(with_guard, align, VIRTUAL_BYTES)?;
        let at = taken + skew;
        let outcome = runs.iter().try_for_each(|run| {
            self.visible.map(
                at + run.offset,
                run.bytes,
                &self.file,
                self.file_offset(run.pa),
            )
        });
        if outcome.is_err() {
            let _ = self.visible.unmap(at, page_bytes);
            space.give(taken, with_guard);
            return None;
        }
        // What alignment wasted comes back; the page after the allocation stays its guard.
        space.give(taken, skew);
        Some(at)
    }

    /// Frees what was allocated at virtual address `va`.
    pub fn free(&self, va: u64) -> Result<(), FreeError> {
        self.free_if(va, |kind| kind != Kind::ControllerOnly)
    }

    /// Frees controller-only memory at physical address `pa`.
    pub fn free_controller_only(&self, pa: u64) -> Result<(), FreeError> {
        self.free_if(pa, |kind| kind == Kind::ControllerOnly)
    }

    fn free_if(&self, address: u64, expected: fn(Kind) -> bool) -> Result<(), FreeError> {
        let state = &mut *self.write_state();
        if !state
            .allocations
            .get(&address)
            .is_some_and(|allocation| expected(allocation.kind))
        {
            return Err(FreeError::Unknown(address));
        }
        let allocation = state
            .allocations
            .remove(&address)
            .ok_or(FreeError::Unknown(address))?;
        for part in allocation.parts() {
            state.parts.remove(&part.pa);
        }
        let page_bytes = allocation.page_bytes();
        let overrun = self.overrun(&allocation);
        if let Some(pages_va) = allocation.pages_va {
            let at = pages_va - self.visible.address();
            // Should the kernel lack memory even for this, the address space is lost but never reused.
            if self.visible.unmap(at, page_bytes).is_ok() {
                state.space.give(at, page_bytes + PAGE_BYTES);
            }
        }
        if page_bytes >= DISCARDED_BYTES {
            for run in &allocation.runs {
                // Memory that cannot be given back stays in use: nothing is wrong but the footprint.
                let _ = pages::discard(&self.file, self.file_offset(run.pa), run.bytes);
            }
        }
        state.give_frames(&allocation);
        overrun.map_or(Ok(()), |overrun| Err(FreeError::Overrun(overrun)))
    }

    /// Sets what code may do with every page of the allocation that starts at `va`; DMA is not concerned.
    pub fn protect(&self, va: u64, access: Access) -> Result<(), Unallocated> {
        let state = self.read_state();
        let allocation = state.allocations.get(&va).ok_or(Unallocated(va))?;
        let pages_va = allocation.pages_va.ok_or(Unallocated(va))?;
        let at = pages_va - self.visible.address();
        self.visible
            .protect(at, allocation.page_bytes(), access)
            .map_err(|_| Unallocated(va))
    }

    /// Physical address of `va`, and how many bytes from there are physically contiguous and of the same allocation.
    #[must_use]
    pub fn translate(&self, va: u64) -> Option<(u64, u64)> {
        let state = self.read_state();
        let (_, allocation) = state.allocations.range(..=va).next_back()?;
        allocation.translate(va.checked_sub(allocation.pages_va?)?)
    }

    /// How many bytes of an allocation there are from `va` on; none where its pages hold nothing that was asked for, and
    /// `None` outside of allocations.
    #[must_use]
    pub fn room(&self, va: u64) -> Option<u64> {
        let state = self.read_state();
        let (_, allocation) = state.allocations.range(..=va).next_back()?;
        let offset = va.checked_sub(allocation.pages_va?)?;
        (offset < allocation.page_bytes())
            .then(|| (allocation.offset + allocation.bytes).saturating_sub(offset))
    }

    /// The virtual address of `pa`, if it is allocated and code can see it.
    #[must_use]
    pub fn virtual_address(&self, pa: u64) -> Option<u64> {
        let state = self.read_state();
        let (part, _, address) = state.part(pa).ok()?;
        let allocation = state.allocations.get(&address)?;
        let run = allocation.parts().find(|run| run.pa == part)?;
        Some(allocation.pages_va? + run.offset + (pa - part))
    }

    /// Reads from physical address `pa`, as a device does.
    pub fn read(&self, pa: u64, into: &mut [u8]) -> Result<(), Unallocated> {
        let state = self.read_state();
        let (mut at, mut rest) = (pa, into);
        while !rest.is_empty() {
            let some = state.allocated_from(at)?.min(rest.len() as u64);
            let (now, later) = rest.split_at_mut(some as usize);
            self.physical
                .read(self.file_offset(at), now)
                .map_err(|_| Unallocated(at))?;
            (at, rest) = (at + some, later);
        }
        Ok(())
    }

    /// Writes to physical address `pa`, as a device does. What precedes an unallocated byte is written.
    pub fn write(&self, pa: u64, data: &[u8]) -> Result<(), Unallocated> {
        let state = self.read_state();
        let (mut at, mut rest) = (pa, data);
        while !rest.is_empty() {
            let some = state.allocated_from(at)?.min(rest.len() as u64);
            let (now, later) = rest.split_at(some as usize);
            self.physical
                .write(self.file_offset(at), now)
                .map_err(|_| Unallocated(at))?;
            (at, rest) = (at + some, later);
        }
        Ok(())
    }

    /// Reads from virtual address `va`, whatever its protection.
    pub fn read_virtual(&self, va: u64, into: &mut [u8]) -> Result<(), Unallocated> {
        let (mut at, mut rest) = (va, into);
        while !rest.is_empty() {
            let (pa, contiguous) = self.translate(at).ok_or(Unallocated(at))?;
            let some = contiguous.min(rest.len() as u64);
            let (now, later) = rest.split_at_mut(some as usize);
            self.read(pa, now)?;
            (at, rest) = (at + some, later);
        }
        Ok(())
    }

    /// Writes to virtual address `va`, whatever its protection.
    pub fn write_virtual(&self, va: u64, data: &[u8]) -> Result<(), Unallocated> {
        let (mut at, mut rest) = (va, data);
        while !rest.is_empty() {
            let (pa, contiguous) = self.translate(at).ok_or(Unallocated(at))?;
            let (now, later) = rest.split_at(contiguous.min(rest.len() as u64) as usize);
            self.write(pa, now)?;
            (at, rest) = (at + now.len() as u64, later);
        }
        Ok(())
    }

    /// Every allocation that was not freed, oldest first.
    #[must_use]
    pub fn live(&self) -> Vec<Live> {
        let state = self.read_state();
        let mut allocations: Vec<_> = state.allocations.values().collect();
        allocations.sort_by_key(|allocation| allocation.number);
        let live = |allocation: &&Allocation| Live {
            label: allocation.label.clone(),
            va: allocation.pages_va.map(|_| allocation.address()),
            pa: allocation.parts().next().map_or(0, |part| part.pa),
            bytes: allocation.bytes,
        };
        allocations.iter().map(live).collect()
    }

    fn file_offset(&self, pa: u64) -> u64 {
        if pa >= HIGH_PA {
            pa - HIGH_PA + self.low_bytes
        } else {
            pa
        }
    }

    fn fill(&self, part: &Run, value: u8) {
        self.physical
            .fill(self.file_offset(part.pa), part.bytes, value)
            .expect("frames lie inside the file");
    }

    fn read_state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_state(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Remembers `allocation` and returns its address.
    fn add(&mut self, allocation: Allocation) -> u64 {
        let address = allocation.address();
        for part in allocation.parts() {
            self.parts.insert(part.pa, (part.bytes, address));
        }
        self.allocations.insert(address, allocation);
        self.count += 1;
        address
    }

    fn give_frames(&mut self, allocation: &Allocation) {
        for run in &allocation.runs {
            match allocation.kind {
                Kind::Scattered => self.frames.give_scattered(run),
                Kind::Contiguous | Kind::ControllerOnly => self.frames.give_contiguous(run),
            }
        }
    }

    /// The part that holds `pa`: its physical address and size, and the address of the allocation.
    fn part(&self, pa: u64) -> Result<(u64, u64, u64), Unallocated> {
        let part = self
            .parts
            .range(..=pa)
            .next_back()
            .filter(|&(&at, &(bytes, _))| pa - at < bytes);
        part.map(|(&at, &(bytes, address))| (at, bytes, address))
            .ok_or(Unallocated(pa))
    }

    /// How many bytes from `pa` on belong to one part.
    fn allocated_from(&self, pa: u64) -> Result<u64, Unallocated> {
        let (at, bytes, _) = self.part(pa)?;
        Ok(bytes - (pa - at))
    }
}

#[cfg(test)]
mod tests;

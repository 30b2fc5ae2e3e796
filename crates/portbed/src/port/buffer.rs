//! Data buffers of requests.

use std::collections::BTreeMap;

use super::Adapter;
use super::srb::Spec;
use crate::abi::initialization::{
    MAP_NO_BUFFERS, MAP_NON_READ_WRITE_BUFFERS, MAP_OLD_NON_READ_WRITE_BUFFERS,
};
use crate::machine::Data;
use crate::memory::{Access, PAGE_BYTES, PhysicalMemory, Request};
use crate::schedule::State;

/// What a buffer holds before a device writes to it.
const STALE: u8 = 0xD7;

/// The memory that a request's data lie in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Buffer {
    /// Where the data start.
    pub(super) at: u64,
    base: u64,
    /// Pages of a buffer that no miniport can touch, so that it serves again and again.
    pages: Option<Pages>,
}

/// How many pages a buffer has, and whether they lie apart.
type Pages = (u64, bool);

/// Buffers that wait to be used again, by their pages.
#[derive(Default)]
pub(super) struct Spares {
    by_pages: BTreeMap<Pages, Vec<u64>>,
}

impl Buffer {
    /// Makes it one that serves no other request, and gives its allocation.
    pub(super) fn make_own(&mut self) -> u64 {
        self.pages = None;
        self.base
    }

    /// The allocation, unless it serves again.
    pub(super) fn own(&self) -> Option<u64> {
        self.pages.is_none().then_some(self.base)
    }
}

impl Spares {
    /// Keeps a buffer that is not used any more.
    pub(super) fn keep(&mut self, buffer: Buffer) {
        if let Some(pages) = buffer.pages {
            self.by_pages.entry(pages).or_default().push(buffer.base);
        }
    }

    /// Gives every buffer up.
    pub(super) fn take_all(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.by_pages)
            .into_values()
            .flatten()
            .collect()
    }
}

/// A buffer with the data of `spec`, which has some; `None` without memory.
pub(super) fn obtain(memory: &PhysicalMemory, state: &mut State, spec: &Spec) -> Option<Buffer> {
    let bytes = bytes(&spec.data) as u64;
    let adapter = &state.port.adapter;
    let offset = (spec.buffer_offset as u64 % PAGE_BYTES) & !adapter.alignment_mask();
    let highest = adapter.highest_address();
    let buffer = if is_mapped(adapter, spec) {
        let request = Request::new(bytes, "data buffer")
            .up_to(highest)
            .apart(spec.pages_apart);
        let base = memory.alloc_scattered(request, offset)?.va;
        Buffer {
            at: base,
            base,
            pages: None,
        }
    } else {
        let pages = (offset + bytes).div_ceil(PAGE_BYTES);
        let spare = state
            .port
            .queues
            .spares
            .by_pages
            .get_mut(&(pages, spec.pages_apart))
            .and_then(Vec::pop);
        let base = if let Some(base) = spare {
            base
        } else {
            let request = Request::new(pages * PAGE_BYTES, "data buffer")
                .up_to(highest)
                .apart(spec.pages_apart);
            let base = memory.alloc_scattered(request, 0)?.va;
            memory.protect(base, Access::None).ok()?;
            base
        };
        Buffer {
            at: base + offset,
            base,
            pages: Some((pages, spec.pages_apart)),
        }
    };
    match &spec.data {
        Data::Out(content) => memory.write_virtual(buffer.at, content).ok()?,
        _ => memory
            .write_virtual(buffer.at, &vec![STALE; bytes as usize])
            .ok()?,
    }
    Some(buffer)
}

/// Bytes of data.
pub(super) fn bytes(data: &Data) -> usize {
    match data {
        Data::None => 0,
        Data::In(bytes) => *bytes,
        Data::Out(bytes) => bytes.len(),
    }
}

/// Whether the miniport may touch the data buffer by its virtual address.
fn is_mapped(adapter: &Adapter, spec: &Spec) -> bool {
    let read_or_write = spec.what.moves_blocks();
    match adapter.map_buffers() {
        MAP_NO_BUFFERS => false,
        MAP_OLD_NON_READ_WRITE_BUFFERS | MAP_NON_READ_WRITE_BUFFERS => !read_or_write,
        _ => true,
    }
}

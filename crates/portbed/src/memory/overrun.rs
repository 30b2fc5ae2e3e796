//! Bytes next to an allocation, in the same pages, that somebody has overwritten.

use std::borrow::Cow;
use std::fmt;

use super::allocation::Allocation;
use super::{FRESH, PAGE_BYTES, PhysicalMemory};

/// A page without a single write, by the driver or by the device.
static FRESH_PAGE: [u8; PAGE_BYTES as usize] = [FRESH; PAGE_BYTES as usize];

/// An allocation next to which something was written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Overrun {
    /// What it was allocated as.
    pub label: Cow<'static, str>,
    /// Where it starts.
    pub address: u64,
    /// Its size in bytes.
    pub bytes: u64,
    /// The first byte that was overwritten, from the start of the allocation.
    pub offset: i64,
}

impl fmt::Display for Overrun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            label,
            address,
            bytes,
            offset,
        } = self;
        let side = if *offset < 0 { "before" } else { "behind" };
        let distance = if *offset < 0 {
            offset.unsigned_abs()
        } else {
            offset.unsigned_abs() - bytes
        };
        write!(
            f,
            "the {bytes} bytes at {address:#x}, {label}: something was written {distance} bytes {side} them"
        )
    }
}

impl PhysicalMemory {
    /// What was written next to the allocation that starts at `va`; the bytes are put right, so that it is told once.
    #[must_use]
    pub fn take_overrun(&self, va: u64) -> Option<Overrun> {
        let state = self.read_state();
        self.overrun(state.allocations.get(&va)?)
    }

    /// The same of every allocation that was not freed.
    #[must_use]
    pub fn take_overruns(&self) -> Vec<Overrun> {
        let state = self.read_state();
        let allocations = state.allocations.values();
        allocations
            .filter_map(|allocation| self.overrun(allocation))
            .collect()
    }

    pub(super) fn overrun(&self, allocation: &Allocation) -> Option<Overrun> {
        allocation.pages_va?;
        let start = allocation.offset.cast_signed();
        let mut found = None;
        for part in allocation.slack() {
            let mut page = [0; PAGE_BYTES as usize];
            let mut many = Vec::new();
            let bytes = if part.bytes > PAGE_BYTES {
                many.resize(part.bytes as usize, 0);
                &mut many[..]
            } else {
                &mut page[..part.bytes as usize]
            };
            let read = self.physical.read(self.file_offset(part.pa), bytes);
            // A page that is as it was is compared at once.
            if read.is_ok() && FRESH_PAGE.get(..bytes.len()) == Some(&*bytes) {
                continue;
            }
            let wrong = |byte: &u8| *byte != FRESH || read.is_err();
            // Before the allocation, the byte that is next to it tells most.
            let at = if part.offset < allocation.offset {
                bytes.iter().rposition(wrong)
            } else {
                bytes.iter().position(wrong)
            };
            if let Some(at) = at {
                let offset = part.offset.cast_signed() + at.cast_signed() as i64 - start;
                found.get_or_insert(offset);
                self.fill(&part, FRESH);
            }
        }
        found.map(|offset| Overrun {
            label: allocation.label.clone(),
            address: allocation.address(),
            bytes: allocation.bytes,
            offset,
        })
    }
}

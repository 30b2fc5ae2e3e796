//! What is asked for, and what is given.

use std::borrow::Cow;

use super::PAGE_BYTES;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Request {
    pub(super) bytes: u64,
    pub(super) align: u64,
    pub(super) lowest: u64,
    pub(super) highest: u64,
    pub(super) zeroed: bool,
    pub(super) apart: bool,
    pub(super) label: Cow<'static, str>,
}

impl Request {
    /// `bytes` of memory; `label` names the allocation in reports.
    pub fn new(bytes: u64, label: impl Into<Cow<'static, str>>) -> Self {
        Self {
            bytes,
            align: 16,
            lowest: 0,
            highest: u64::MAX,
            zeroed: false,
            apart: false,
            label: label.into(),
        }
    }

    /// Alignment in bytes, a power of two; 16 unless told.
    #[must_use]
    pub fn aligned(mut self, align: u64) -> Self {
        self.align = align;
        self
    }

    /// The lowest physical address that the first byte of contiguous memory may have.
    #[must_use]
    pub fn from(mut self, lowest: u64) -> Self {
        self.lowest = lowest;
        self
    }

    /// The highest physical address that the last byte may have.
    #[must_use]
    pub fn up_to(mut self, highest: u64) -> Self {
        self.highest = highest;
        self
    }

    /// Filled with zeroes instead of a pattern.
    #[must_use]
    pub fn zeroed(mut self) -> Self {
        self.zeroed = true;
        self
    }

    /// No page of scattered memory is to follow the one before it.
    #[must_use]
    pub fn apart(mut self, apart: bool) -> Self {
        self.apart = apart;
        self
    }

    /// Bytes in the pages it needs when it starts at `offset` of the first one; none where it asks for the impossible.
    pub(super) fn page_bytes(&self, offset: u64) -> Option<u64> {
        let page_bytes = self
            .bytes
            .checked_add(offset)?
            .checked_next_multiple_of(PAGE_BYTES)?;
        (self.bytes > 0 && self.align.is_power_of_two()).then_some(page_bytes)
    }
}

/// Virtually and physically contiguous memory.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Block {
    /// Virtual address.
    pub va: u64,
    /// Physical address.
    pub pa: u64,
    /// Size in bytes.
    pub bytes: u64,
}

impl Block {
    /// The virtual address as a pointer.
    #[must_use]
    pub fn as_ptr(&self) -> *mut u8 {
        std::ptr::with_exposed_provenance_mut(self.va as usize)
    }
}

/// Virtually contiguous memory whose pages lie anywhere.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Mapping {
    /// Virtual address.
    pub va: u64,
    /// Size in bytes.
    pub bytes: u64,
}

impl Mapping {
    /// The virtual address as a pointer.
    #[must_use]
    pub fn as_ptr(&self) -> *mut u8 {
        std::ptr::with_exposed_provenance_mut(self.va as usize)
    }
}

/// An allocation that was not freed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Live {
    /// What it was allocated as.
    pub label: Cow<'static, str>,
    /// Virtual address, none for controller-only memory.
    pub va: Option<u64>,
    /// Physical address of the first byte.
    pub pa: u64,
    /// Size in bytes.
    pub bytes: u64,
}

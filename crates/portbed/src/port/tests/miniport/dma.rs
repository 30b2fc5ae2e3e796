//! Contiguous memory, as a miniport asks for its queues.

use super::calls::{at, extended};
use super::habits::{Habit, has};
use super::with;
use crate::abi::callback::read;
use crate::abi::{function as f, status};
use crate::port::memory::get_physical_address;

/// Where the memory of the bench miniport is to lie.
pub(crate) const WINDOW: std::ops::RangeInclusive<u64> = 0x1_1000_0000..=0x1_1FFF_FFFF;
/// What it must not cross.
pub(crate) const BOUNDARY: u64 = 64 << 10;
/// Bytes of each allocation.
pub(crate) const BYTES: u64 = 20 << 10;

/// An allocation: what it was answered, the pointer, and its physical address.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Allocated {
    pub(crate) answer: u32,
    pub(crate) va: u64,
    pub(crate) pa: u64,
}

/// Asks for four pieces, and gives back what it got.
pub(super) fn initialize(extension: u64) {
    if !has(extension, Habit::DmaMemory) {
        return;
    }
    let all: Vec<Allocated> = (0..4).map(|_| allocate(extension)).collect();
    for memory in all.iter().filter(|memory| memory.va != 0) {
        let freed = extended(extension, f::FREE_CONTIGUOUS_MEMORY, &[memory.va, BYTES, 1]);
        assert_eq!(freed, status::SUCCESS);
    }
    with(extension, |adapter| adapter.seen.dma = all);
}

pub(super) fn allocate(extension: u64) -> Allocated {
    let mut pointer = 0xBAD_u64;
    let (lowest, highest) = WINDOW.into_inner();
    let arguments = [BYTES, lowest, highest, BOUNDARY, 1, 0, at(&mut pointer)];
    let answer = extended(extension, f::ALLOCATE_CONTIGUOUS_MEMORY, &arguments);
    let va: u64 = read(at(&mut pointer));
    let mut length = 0_u32;
    let pa = if answer == status::SUCCESS {
        get_physical_address(extension, 0, va, at(&mut length))
    } else {
        0
    };
    Allocated { answer, va, pa }
}

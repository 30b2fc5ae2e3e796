//! One allocation: its pages and which bytes of them were asked for.

use std::borrow::Cow;

use super::frames::Run;

/// How an allocation is visible and placed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// Contiguous physical memory at a virtual address.
    Contiguous,
    /// Scattered physical memory at a virtual address.
    Scattered,
    /// Contiguous physical memory that code cannot see.
    ControllerOnly,
}

/// Pages that were taken, and the part of them that was asked for.
#[derive(Debug)]
pub(super) struct Allocation {
    pub(super) kind: Kind,
    pub(super) label: Cow<'static, str>,
    /// Allocations are numbered in the order in which they were made.
    pub(super) number: u64,
    /// Virtual address of the first page; none for controller-only memory.
    pub(super) pages_va: Option<u64>,
    /// Offset of the first byte that was asked for, and how many were.
    pub(super) offset: u64,
    pub(super) bytes: u64,
    /// The pages, in the order of their offsets.
    pub(super) runs: Vec<Run>,
}

impl Allocation {
    /// The address by which its owner knows it: virtual, or physical for controller-only memory.
    pub(super) fn address(&self) -> u64 {
        self.pages_va
            .or(self.runs.first().map(|run| run.pa))
            .unwrap_or_default()
            + self.offset
    }

    /// Bytes in all of its pages.
    pub(super) fn page_bytes(&self) -> u64 {
        self.runs.last().map_or(0, |run| run.offset + run.bytes)
    }

    /// Physical address of the byte at `offset` from the first page, and how many that were asked for follow it
    /// contiguously, itself included.
    pub(super) fn translate(&self, offset: u64) -> Option<(u64, u64)> {
        let left = (self.offset + self.bytes)
            .checked_sub(offset)
            .filter(|&left| left > 0 && offset >= self.offset)?;
        let after = self.runs.partition_point(|run| run.offset <= offset);
        let run = self.runs.get(after.checked_sub(1)?)?;
        let into = offset - run.offset;
        Some((run.pa + into, left.min(run.bytes - into)))
    }

    /// The parts that were asked for: physical address, size and offset from the first page of each.
    pub(super) fn parts(&self) -> impl Iterator<Item = Run> {
        let (start, end) = (self.offset, self.offset + self.bytes);
        self.runs.iter().filter_map(move |run| {
            let from = run.offset.max(start);
            let to = (run.offset + run.bytes).min(end);
            (from < to).then(|| Run {
                offset: from,
                pa: run.pa + (from - run.offset),
                bytes: to - from,
            })
        })
    }

    /// The bytes before and after those that were asked for, in the same pages.
    pub(super) fn slack(&self) -> impl Iterator<Item = Run> {
        let end = self.offset + self.bytes;
        let before = self.runs.first().map(|run| Run {
            offset: 0,
            pa: run.pa,
            bytes: self.offset,
        });
        let after = self.runs.last().map(|run| {
            let into = end - run.offset;
            Run {
                offset: end,
                pa: run.pa + into,
                bytes: run.bytes - into,
            }
        });
        before
            .into_iter()
            .chain(after)
            .filter(|part| part.bytes > 0)
    }
}

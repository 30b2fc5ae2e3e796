//! Physical page frames: where in physical memory an allocation lies.

use std::ops::{Range, RangeInclusive};

use fastrand::Rng;

use super::PAGE_BYTES;
use super::ranges::Ranges;

/// Physically contiguous bytes of an allocation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Run {
    /// Offset of the first byte from the start of the allocation's pages.
    pub(super) offset: u64,
    /// Its physical address.
    pub(super) pa: u64,
    /// How many.
    pub(super) bytes: u64,
}

/// The part of a bank that scattered pages lie in at first. It grows with what is allocated at a time, not with how often.
const LEAST_SPREAD: u64 = 8 << 20;
/// It is so many times as large as what is allocated in it.
const SPREAD: u64 = 4;

/// Free frames. Contiguous and scattered allocations come from different parts, so that the latter do not break up
/// what the former need.
#[derive(Debug)]
pub(super) struct Frames {
    banks: Vec<Bank>,
    random: Rng,
}

#[derive(Debug)]
struct Bank {
    whole: Range<u64>,
    /// Where scattered pages start.
    split: u64,
    contiguous: Ranges,
    scattered: Ranges,
    /// Bytes from the split on that scattered pages are chosen from, and bytes that are taken.
    spread: u64,
    taken: u64,
}

impl Bank {
    /// A scattered frame: `follow`, where it is free and in this bank, or any that lies where `random` says.
    fn take_frame(&mut self, follow: Option<u64>, random: u64, limit: u64) -> Option<u64> {
        let most = self.whole.end - self.split;
        let wanted_spread = (self.taken * SPREAD).max(LEAST_SPREAD);
        self.spread = self.spread.max(wanted_spread).min(most);
        let anywhere = self.split + random.checked_rem(self.spread / PAGE_BYTES)? * PAGE_BYTES;
        let end = self.split + self.spread;
        let wanted = follow.filter(|pa| (self.split..end).contains(pa));
        let taken =
            self.scattered
                .take_near(wanted.unwrap_or(anywhere), PAGE_BYTES, limit.min(end))?;
        self.taken += PAGE_BYTES;
        Some(taken)
    }
}

impl Frames {
    /// The frames of `banks`, ranges of physical addresses; `seed` decides in which order they are used.
    pub(super) fn new(banks: impl IntoIterator<Item = Range<u64>>, seed: u64) -> Self {
        let bank = |whole: Range<u64>| {
            let quarter = ((whole.end - whole.start) / 4).next_multiple_of(PAGE_BYTES);
            let split = whole.end - quarter;
            let (contiguous, scattered) = (
                Ranges::new(whole.start..split),
                Ranges::new(split..whole.end),
            );
            Bank {
                whole,
                split,
                contiguous,
                scattered,
                spread: 0,
                taken: 0,
            }
        };
        Self {
            banks: banks.into_iter().map(bank).collect(),
            random: Rng::with_seed(seed),
        }
    }

    /// Takes contiguous frames, and an unused one after them, so that what overruns the allocation hits no other.
    pub(super) fn take_contiguous(
        &mut self,
        bytes: u64,
        align: u64,
        window: RangeInclusive<u64>,
    ) -> Option<Run> {
        let first = self.random.usize(..self.banks.len());
        let with_guard = bytes.checked_add(PAGE_BYTES)?;
        let limit = window.end().saturating_add(1).saturating_add(PAGE_BYTES);
        let mut banks = self.in_order(first);
        let pa = banks.find_map(|bank| {
            bank.contiguous
                .take_within(with_guard, align, *window.start()..limit)
        })?;
        Some(Run {
            offset: 0,
            pa,
            bytes,
        })
    }

    /// Takes frames that lie anywhere, mostly apart from each other, or `apart` from each other on purpose.
    pub(super) fn take_scattered(
        &mut self,
        bytes: u64,
        highest: u64,
        apart: bool,
    ) -> Option<Vec<Run>> {
        let mut runs: Vec<Run> = Vec::new();
        for offset in (0..bytes).step_by(PAGE_BYTES as usize) {
            let follow = runs
                .last()
                .map(|run| run.pa + run.bytes)
                .filter(|_| !apart && self.random.u8(..4) == 0);
            let Some(pa) = self.take_frame(follow, highest.saturating_add(1)) else {
                for run in &runs {
                    self.give_scattered(run);
                }
                return None;
            };
            match runs.last_mut() {
                Some(run) if run.pa + run.bytes == pa => run.bytes += PAGE_BYTES,
                _ => runs.push(Run {
                    offset,
                    pa,
                    bytes: PAGE_BYTES,
                }),
            }
        }
        Some(runs)
    }

    fn take_frame(&mut self, follow: Option<u64>, limit: u64) -> Option<u64> {
        let followed =
            follow.and_then(|pa| self.banks.iter().position(|bank| bank.whole.contains(&pa)));
        let first = followed.unwrap_or_else(|| self.random.usize(..self.banks.len()));
        let random = self.random.u64(..);
        self.in_order(first)
            .find_map(|bank| bank.take_frame(follow, random, limit))
    }

    /// Gives back what `take_contiguous` took.
    pub(super) fn give_contiguous(&mut self, run: &Run) {
        if let Some(bank) = self
            .banks
            .iter_mut()
            .find(|bank| bank.whole.contains(&run.pa))
        {
            bank.contiguous.give(run.pa, run.bytes + PAGE_BYTES);
        }
    }

    /// Gives back one of the runs that `take_scattered` took.
    pub(super) fn give_scattered(&mut self, run: &Run) {
        if let Some(bank) = self
            .banks
            .iter_mut()
            .find(|bank| bank.whole.contains(&run.pa))
        {
            bank.scattered.give(run.pa, run.bytes);
            bank.taken -= run.bytes;
        }
    }

    fn in_order(&mut self, first: usize) -> impl Iterator<Item = &mut Bank> {
        let (before, from) = self.banks.split_at_mut(first);
        from.iter_mut().chain(before)
    }
}

//! Which parts of an address space are free.

use std::collections::BTreeMap;
use std::ops::Range;

/// Free ranges of addresses, never empty, never touching each other.
#[derive(Debug)]
pub(super) struct Ranges {
    /// Start and length of each.
    free: BTreeMap<u64, u64>,
    /// Where the last allocation ended: the search goes on from here, so that what was freed is reused late.
    next: u64,
}

impl Ranges {
    /// All of `space` is free.
    pub(super) fn new(space: Range<u64>) -> Self {
        let mut ranges = Self {
            free: BTreeMap::new(),
            next: space.start,
        };
        ranges.give(space.start, space.end.saturating_sub(space.start));
        ranges
    }

    /// Takes `bytes` aligned to `align` (a power of two) that end at or before `limit`.
    pub(super) fn take(&mut self, bytes: u64, align: u64, limit: u64) -> Option<u64> {
        self.take_within(bytes, align, 0..limit)
    }

    /// Takes `bytes` aligned to `align` (a power of two) that lie in `window`.
    pub(super) fn take_within(
        &mut self,
        bytes: u64,
        align: u64,
        window: Range<u64>,
    ) -> Option<u64> {
        let fits = |(&start, &length): (&u64, &u64)| {
            let aligned = start.max(window.start).checked_next_multiple_of(align)?;
            let end = aligned.checked_add(bytes)?;
            (end <= window.end.min(start + length)).then_some(aligned)
        };
        let later = self.free.range(self.next..);
        let earlier = self.free.range(..self.next);
        let start = later.chain(earlier).find_map(fits)?;
        self.next = start + bytes;
        self.take_at(start, bytes).then_some(start)
    }

    /// Takes `bytes` at `start` or, if they are not free, from the next free range, or from the first one, that ends at
    /// or before `limit`.
    pub(super) fn take_near(&mut self, start: u64, bytes: u64, limit: u64) -> Option<u64> {
        if start.checked_add(bytes).is_some_and(|end| end <= limit) && self.take_at(start, bytes) {
            return Some(start);
        }
        let fits =
            |(&at, &length): (&u64, &u64)| (length >= bytes && at + bytes <= limit).then_some(at);
        let found = self.free.range(start..).chain(&self.free).find_map(fits)?;
        self.take_at(found, bytes).then_some(found)
    }

    /// Takes exactly the `bytes` at `start`, if all of them are free.
    fn take_at(&mut self, start: u64, bytes: u64) -> bool {
        let Some((&at, &length)) = self.free.range(..=start).next_back() else {
            return false;
        };
        let (before, end) = (start - at, at + length);
        let Some(after) = start
            .checked_add(bytes)
            .and_then(|taken| end.checked_sub(taken))
        else {
            return false;
        };
        if before > 0 {
            self.free.insert(at, before);
        } else {
            self.free.remove(&at);
        }
        if after > 0 {
            self.free.insert(end - after, after);
        }
        true
    }

    /// Gives `bytes` at `start` back. They were taken before.
    pub(super) fn give(&mut self, mut start: u64, mut bytes: u64) {
        if bytes == 0 {
            return;
        }
        if let Some(length) = self.free.remove(&(start + bytes)) {
            bytes += length;
        }
        if let Some((&at, &length)) = self.free.range(..start).next_back()
            && at + length == start
        {
            start = at;
            bytes += length;
        }
        self.free.insert(start, bytes);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Ranges;

    proptest! {
        #[test]
        fn what_is_taken_is_aligned_and_disjoint_and_all_comes_back(
            steps in prop::collection::vec((1_u64..40, 0_u32..5, any::<bool>(), 0_u64..1000), 1..200),
        ) {
            let mut ranges = Ranges::new(100..1100);
            let mut taken: Vec<(u64, u64)> = Vec::new();
            for (bytes, align, free, limit) in steps {
                if free && !taken.is_empty() {
                    let (start, length) = taken.swap_remove(limit as usize % taken.len());
                    ranges.give(start, length);
                } else if let Some(start) = ranges.take(bytes, 1 << align, 100 + limit) {
                    prop_assert_eq!(start % (1 << align), 0);
                    prop_assert!(start >= 100 && start + bytes <= 100 + limit);
                    prop_assert!(taken.iter().all(|&(at, length)| start + bytes <= at || at + length <= start));
                    taken.push((start, bytes));
                }
            }
            for (start, length) in taken {
                ranges.give(start, length);
            }
            prop_assert_eq!(ranges.take(1000, 1, u64::MAX), Some(100));
        }
    }

    #[test]
    fn what_was_freed_last_is_reused_last() {
        let mut ranges = Ranges::new(0..30);
        assert_eq!(ranges.take(10, 1, 30), Some(0));
        ranges.give(0, 10);
        assert_eq!(
            ranges.take(10, 1, 30),
            Some(0),
            "nothing else is free after the only range"
        );
        assert_eq!(ranges.take(10, 1, 30), Some(10));
        ranges.give(0, 10);
        assert_eq!(ranges.take(10, 1, 30), Some(20));
        assert_eq!(ranges.take(10, 1, 30), Some(0));
    }

    #[test]
    fn near_means_there_or_after_or_else_the_first() {
        let mut ranges = Ranges::new(0..30);
        assert_eq!(ranges.take_near(12, 5, 30), Some(12));
        assert_eq!(ranges.take_near(12, 5, 30), Some(17));
        assert_eq!(ranges.take_near(20, 9, 30), Some(0));
        assert_eq!(ranges.take_near(20, 9, 30), None);
        assert_eq!(ranges.take_near(22, 5, 26), None);
    }
}

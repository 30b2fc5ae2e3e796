//! The machine, as a controller reaches it: DMA, interrupts, and somebody to tell.

use std::collections::BTreeMap;
use std::fmt;

use nvme_model::{Access, Bus, BusFault};

use crate::journal::{Journal, Who};
use crate::memory::{PAGE_BYTES, PhysicalMemory};
use crate::rules::{Judge, of_controller, port as rules};
use crate::schedule::Interrupts;

/// What the adapter may do with memory.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DmaUse {
    /// Anything: queues, lists, pages of its own, extensions of requests.
    Adapter,
    /// Read it: data on its way to the device.
    Read,
    /// Write it: data that come from the device.
    Write,
    /// Keep what it likes there.
    Hmb,
}

/// What keeps a real device from memory that its driver was not given.
pub trait Iommu: fmt::Debug + Send {
    /// Lets the device use `bytes` at physical address `start`, until [`Iommu::unmap`].
    fn map(&mut self, start: u64, bytes: u64, use_: DmaUse);
    /// Takes back what was allowed at `start`.
    fn unmap(&mut self, start: u64);
}

/// Physical memory that the adapter may use at this moment.
#[derive(Debug, Default)]
pub(crate) struct DmaMap {
    ranges: BTreeMap<u64, (u64, DmaUse)>,
    /// Parts of scatter/gather lists of the miniport's: they may lie in each other and in the ranges.
    listed: Vec<(u64, u64, DmaUse)>,
    iommu: Option<Box<dyn Iommu>>,
    /// What is not allowed is carried out all the same, where there is memory.
    lets_all: bool,
}

impl DmaMap {
    /// Whether a controller of the test bed's own is kept from what is not allowed; it is told in any case.
    pub(crate) fn keep_out(&mut self, keeps: bool) {
        self.lets_all = !keeps;
    }

    /// Holds a real device to what is allowed from now on.
    pub(crate) fn enforce_by(&mut self, iommu: Option<Box<dyn Iommu>>) {
        self.iommu = iommu;
    }

    /// Lets the adapter use `bytes` at `start`.
    pub(crate) fn allow(&mut self, start: u64, bytes: u64, use_: DmaUse) {
        self.ranges.insert(start, (bytes, use_));
        if let Some(iommu) = &mut self.iommu {
            iommu.map(start, bytes, use_);
        }
    }

    /// Takes back what was allowed at `start`.
    pub(crate) fn forbid(&mut self, start: u64) {
        let known = self.ranges.remove(&start).is_some();
        if let Some(iommu) = self.iommu.as_mut().filter(|_| known) {
            iommu.unmap(start);
        }
    }

    /// Lets the adapter use the parts of a scatter/gather list.
    pub(crate) fn allow_listed(&mut self, parts: &[(u64, u64)], use_: DmaUse) {
        for &(start, bytes) in parts {
            let new = !self.shares_pages(start, bytes);
            self.listed.push((start, bytes, use_));
            if let Some(iommu) = self.iommu.as_mut().filter(|_| new) {
                iommu.map(start, bytes, use_);
            }
        }
    }

    /// Takes the parts of a scatter/gather list back.
    pub(crate) fn forbid_listed(&mut self, parts: &[(u64, u64)], use_: DmaUse) {
        for &(start, bytes) in parts {
            let mut listed = self.listed.iter();
            let Some(index) = listed.position(|part| *part == (start, bytes, use_)) else {
                continue;
            };
            self.listed.swap_remove(index);
            let last = !self.shares_pages(start, bytes);
            if let Some(iommu) = self.iommu.as_mut().filter(|_| last) {
                iommu.unmap(start);
            }
        }
    }

    /// Takes back what every scatter/gather list of the miniport's allowed.
    pub(crate) fn forget_listed(&mut self) {
        while let Some(&(start, bytes, use_)) = self.listed.last() {
            self.forbid_listed(&[(start, bytes)], use_);
        }
    }

    /// Whether something that is allowed lies in the pages of `bytes` at `start`.
    fn shares_pages(&self, start: u64, bytes: u64) -> bool {
        let (first, last) = (start / PAGE_BYTES, (start + bytes - 1) / PAGE_BYTES);
        let touches = |at: u64, length: u64| {
            at / PAGE_BYTES <= last && first <= (at + length.max(1) - 1) / PAGE_BYTES
        };
        let before = self.ranges.range(..(last + 1) * PAGE_BYTES).next_back();
        before.is_some_and(|(&at, &(length, _))| touches(at, length))
            || self
                .listed
                .iter()
                .any(|&(at, length, _)| touches(at, length))
    }

    /// Whether all of `bytes` at `start` may be used in this way.
    fn allows(&self, start: u64, bytes: u64, write: bool, why: Access) -> bool {
        let fits = |use_| match use_ {
            DmaUse::Adapter => why != Access::Hmb,
            DmaUse::Read => !write && matches!(why, Access::Data { .. }),
            DmaUse::Write => write && matches!(why, Access::Data { .. }),
            DmaUse::Hmb => why == Access::Hmb,
        };
        let end_of = |at: u64, (base, length, use_): (u64, u64, DmaUse)| {
            (fits(use_) && at >= base && at - base < length).then_some(base + length)
        };
        let mut at = start;
        let end = start.saturating_add(bytes);
        while at < end {
            let range = self.ranges.range(..=at).next_back();
            let range = range.map(|(&base, &(length, use_))| (base, length, use_));
            let reached = range
                .and_then(|range| end_of(at, range))
                .or_else(|| self.listed.iter().find_map(|&part| end_of(at, part)));
            match reached {
                Some(reached) => at = reached,
                None => return false,
            }
        }
        true
    }
}

/// The wires between a controller and the machine, while the controller does something.
pub(crate) struct Wiring<'a> {
    pub(crate) memory: &'a PhysicalMemory,
    pub(crate) judge: &'a Judge,
    pub(crate) journal: &'a Journal,
    pub(crate) interrupts: &'a mut Interrupts,
    pub(crate) dma: &'a DmaMap,
    pub(crate) stopped: bool,
    pub(crate) now_ns: u64,
    /// Whether a list of host memory descriptors was read: then what is lent may have changed.
    pub(crate) list_read: bool,
}

impl Wiring<'_> {
    fn judge_access(
        &self,
        start: u64,
        bytes: u64,
        write: bool,
        why: Access,
    ) -> Result<(), BusFault> {
        let place = || "DMA".to_owned();
        let what = || {
            let verb = if write { "writes" } else { "reads" };
            format!("the controller {verb} {bytes} bytes at {start:#x} ({why:?})")
        };
        let allowed = self.dma.allows(start, bytes, write, why);
        self.judge.check(&rules::DMA_TARGET, allowed, place, what);
        if why != Access::Hmb {
            self.judge
                .check(&rules::QUIET_AFTER_STOP, !self.stopped, place, what);
        }
        if allowed || self.dma.lets_all {
            Ok(())
        } else {
            Err(BusFault { address: start })
        }
    }
}

impl Bus for Wiring<'_> {
    fn read(&mut self, from: u64, into: &mut [u8], why: Access) -> Result<(), BusFault> {
        self.list_read |= why == Access::HmbDescriptors;
        self.judge_access(from, into.len() as u64, false, why)?;
        self.memory
            .read(from, into)
            .map_err(|fault| BusFault { address: fault.0 })
    }

    fn write(&mut self, to: u64, data: &[u8], why: Access) -> Result<(), BusFault> {
        self.judge_access(to, data.len() as u64, true, why)?;
        self.memory
            .write(to, data)
            .map_err(|fault| BusFault { address: fault.0 })
    }

    fn transfer(&mut self, start: u64, bytes: u64, write: bool, why: Access) {
        // The verdict is all that is wanted.
        let _ = self.judge_access(start, bytes, write, why);
    }

    fn interrupt(&mut self, message: u16) {
        self.interrupts.message(message);
    }

    fn line(&mut self, asserted: bool) {
        self.interrupts.set_line(asserted);
    }

    fn line_unexplained(&mut self, unexplained: bool) {
        self.interrupts.set_line_unexplained(unexplained);
    }

    fn judge(&mut self, rule: nvme_model::Rule, held: bool, what: &dyn Fn() -> String) {
        self.judge
            .check(of_controller(rule), held, || "controller".to_owned(), what);
    }

    fn note(&mut self, what: String) {
        self.journal.note(self.now_ns, Who::Controller, what);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATA: Access = Access::Data { queue: 1, cid: 0 };

    #[test]
    fn a_transfer_may_span_ranges_but_no_gap() {
        let mut map = DmaMap::default();
        map.allow(0x1000, 0x1000, DmaUse::Write);
        map.allow(0x2000, 0x800, DmaUse::Write);
        assert!(map.allows(0x1800, 0x1000, true, DATA));
        assert!(!map.allows(0x1800, 0x1001, true, DATA));
        map.forbid(0x2000);
        assert!(!map.allows(0x1800, 0x1000, true, DATA));
    }

    #[test]
    fn memory_is_used_only_for_what_it_was_given_for() {
        let mut map = DmaMap::default();
        map.allow(0x1000, 0x1000, DmaUse::Read);
        map.allow(0x3000, 0x1000, DmaUse::Hmb);
        map.allow(0x5000, 0x1000, DmaUse::Adapter);
        assert!(map.allows(0x1000, 16, false, DATA));
        assert!(!map.allows(0x1000, 16, true, DATA));
        assert!(!map.allows(0x1000, 16, false, Access::SubmissionEntry { queue: 0 }));
        assert!(map.allows(0x3000, 16, true, Access::Hmb));
        assert!(!map.allows(0x3000, 16, true, DATA));
        assert!(!map.allows(0x5000, 16, true, Access::Hmb));
        assert!(map.allows(0x5000, 16, true, Access::CompletionEntry { queue: 0 }));
    }
}

//! The host memory buffer.

use crate::adapter::{AccessRange, Adapter, HMB_RANGES, PAGE, Page};
use crate::faults::Fault;
use crate::nvme::{Command, command};
use crate::port::{at, extended, function, write};

/// Set Features, Host Memory Buffer.
const FEATURE: u32 = 0x0D;

impl Adapter {
    /// Asks the port driver for what the device prefers.
    pub fn allocate_hmb(&self) {
        let [preferred, least] = self.hmb_pages.get().map(|pages| u64::from(pages) * PAGE);
        if preferred == 0 {
            return;
        }
        let mut ranges = [AccessRange {
            start: 0,
            length: 0,
            in_memory: 0,
        }; HMB_RANGES];
        let mut count = self.pick(Fault::HmbNoArray, 0, HMB_RANGES as u32);
        let highest = self.pick(Fault::HmbNoWindow, 0, u64::MAX >> 1);
        let minimum = least - self.pick(Fault::HmbOddSize, 16, 0);
        let boundary = self.pick(Fault::HmbBoundary, PAGE, 0);
        let array = at(&mut ranges);
        let ask = |count: &mut u32| {
            let arguments = [
                minimum,
                preferred,
                0,
                PAGE,
                0,
                highest,
                boundary,
                array,
                at(count),
            ];
            extended(self.extension.get(), function::ALLOCATE_HMB, &arguments) == 0
        };
        if !ask(&mut count) {
            return;
        }
        self.hmb_ranges.set(count as usize);
        for (kept, range) in self.hmb.iter().zip(ranges).take(count as usize) {
            kept.set(range);
        }
        if self.once(Fault::HmbTwice) {
            ask(&mut count);
        }
    }

    /// Writes the list of descriptors: how many there are, and their pages.
    fn describe(&self) -> (u32, u32) {
        let list = self.page(Page::HmbList);
        let ranges = self.hmb_ranges.get();
        let mut pages = 0;
        for (index, range) in (0_u64..).zip(&self.hmb).take(ranges) {
            let range = range.get();
            let length = range.length / PAGE as u32;
            let start = range.start + self.pick(Fault::HmbOddEntry, 512, 0);
            let start = start + self.pick(Fault::HmbNotGranted, 1 << 30, 0);
            write(list + index * 16, start);
            write(list + index * 16 + 8, u64::from(length));
            pages += length;
        }
        let mut entries = ranges as u32;
        if self.wants(Fault::HmbBelowMinimum) {
            write(list + 8, 1_u64);
            pages = 1;
        }
        if self.wants(Fault::HmbEntryTwice) {
            let range = self.hmb[0].get();
            write(list + 16, range.start);
            write(list + 24, u64::from(range.length / PAGE as u32));
            entries = 2;
            pages *= 2;
        }
        (entries, pages)
    }

    fn enabling(&self) -> Command {
        let (entries, pages) = self.describe();
        let list = self.physical(Page::HmbList) + self.pick(Fault::HmbOddList, 8, 0);
        let returned = self.hmb_returned.replace(true) || self.wants(Fault::HmbReturnedAtFirst);
        let mut enable = command(0x09, 0, 0);
        enable[10] = FEATURE;
        enable[11] = 1 | u32::from(returned) << 1;
        enable[12] = pages + self.pick(Fault::HmbOtherSum, 1, 0);
        (enable[13], enable[14]) = (list as u32, (list >> 32) as u32);
        enable[15] = self.pick(Fault::HmbNoEntries, 0, entries);
        enable
    }

    /// Lends the memory to the device.
    pub fn enable_hmb(&self) {
        if self.wants(Fault::HmbUnwanted) {
            let mut enable = command(0x09, 0, 0);
            enable[10] = FEATURE;
            self.admin(enable);
        }
        if self.hmb_ranges.get() == 0 {
            return;
        }
        let enable = self.enabling();
        self.hmb_returned.set(self.admin(enable));
        if self.once(Fault::HmbEnabledTwice) {
            self.admin(enable);
        }
        if self.once(Fault::HmbListChanged) {
            write(self.page(Page::HmbList) + 12, 1_u32);
        }
    }

    /// Takes it back.
    pub fn disable_hmb(&self) {
        if self.hmb_ranges.get() == 0 && !self.wants(Fault::HmbFreedLent) {
            return;
        }
        let mut disable = command(0x09, 0, 0);
        disable[10] = FEATURE;
        self.admin(disable);
    }

    /// Gives it back to the port driver.
    pub fn free_hmb(&self) {
        let ranges = self.hmb_ranges.get();
        if ranges == 0 || self.wants(Fault::HmbKept) {
            return;
        }
        let mut copy = [self.hmb[0].get(); HMB_RANGES];
        for (copy, range) in copy.iter_mut().zip(&self.hmb) {
            *copy = range.get();
        }
        copy[0].length -= self.pick(Fault::HmbFreedShorter, PAGE as u32, 0);
        let arguments = [at(&mut copy), ranges as u64];
        extended(self.extension.get(), function::FREE_HMB, &arguments);
        if self.once(Fault::HmbFreedTwice) {
            extended(self.extension.get(), function::FREE_HMB, &arguments);
        }
        self.hmb_ranges.set(0);
    }
}

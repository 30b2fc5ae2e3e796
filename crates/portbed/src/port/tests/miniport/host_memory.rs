//! The host memory buffer of the miniport.

use super::calls::{at, extended};
use super::{Fault, wants, with};
use crate::abi::callback::zeroed;
use crate::abi::configuration::AccessRange;
use crate::abi::function as f;

const HMB_BYTES: u64 = 1 << 20;
const HMB_RANGES: u32 = 8;

pub(super) fn allocate_host_memory(extension: u64) {
    let mut ranges = [zeroed::<AccessRange>(); HMB_RANGES as usize];
    let mut count = HMB_RANGES;
    let minimum = if wants(extension, Fault::HmbUnaligned) {
        12345
    } else {
        HMB_BYTES / 4
    };
    let boundary = if wants(extension, Fault::HmbBoundary) {
        4096
    } else {
        0
    };
    let mut ask = || {
        let arguments = [
            minimum,
            HMB_BYTES,
            1 << 30,
            4096,
            0,
            u64::MAX >> 1,
            boundary,
            at(&mut ranges),
            at(&mut count),
        ];
        extended(extension, f::ALLOCATE_HMB, &arguments)
    };
    let granted = ask() == 0;
    if granted && wants(extension, Fault::HmbTwice) {
        ask();
    }
    if granted {
        let granted = ranges[..count as usize].to_vec();
        with(extension, |adapter| adapter.hmb = granted);
    }
}

pub(super) fn free_host_memory(extension: u64) {
    let mut ranges = with(extension, |adapter| std::mem::take(&mut adapter.hmb));
    if ranges.is_empty() || wants(extension, Fault::HmbKept) {
        return;
    }
    if wants(extension, Fault::HmbFreedOtherwise) {
        ranges[0].length -= 4096;
    }
    let first = ranges.as_mut_ptr().expose_provenance() as u64;
    extended(extension, f::FREE_HMB, &[first, ranges.len() as u64]);
}

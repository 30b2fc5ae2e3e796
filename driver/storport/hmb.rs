//! `StorPortAllocateHostMemoryBuffer` and `StorPortFreeHostMemoryBuffer`, inline in `storport.h`.

use core::cell::UnsafeCell;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, Ordering};

use nvme::hmb::{MAX_RANGES, Range, Ranges, Wanted};
use wdk_sys::_STORPORT_FUNCTION_CODE::{ExtFunctionAllocateHmb, ExtFunctionFreeHmb};
use wdk_sys::storage::StorPortExtendedFunction;
use wdk_sys::{ACCESS_RANGE, LARGE_INTEGER};

use super::{Port, PortError};

const NOWHERE: ACCESS_RANGE = ACCESS_RANGE {
    RangeStart: LARGE_INTEGER { QuadPart: 0 },
    RangeLength: 0,
    RangeInMemory: 0,
};

/// Where an adapter keeps the ranges of its grant, to the letter: the free call wants them back unchanged.
pub(crate) struct HmbStore {
    taken: AtomicBool,
    ranges: UnsafeCell<[ACCESS_RANGE; MAX_RANGES as usize]>,
}

// SAFETY: whoever set `taken` owns the ranges, and hands that on with `HmbRanges`.
unsafe impl Sync for HmbStore {}

impl HmbStore {
    pub(crate) const fn new() -> Self {
        Self {
            taken: AtomicBool::new(false),
            ranges: UnsafeCell::new([NOWHERE; MAX_RANGES as usize]),
        }
    }
}

/// The ranges of a grant, and the right to free them: there is one for each grant.
pub(crate) struct HmbRanges {
    store: NonNull<HmbStore>,
    count: u32,
}

// SAFETY: the ranges are plain memory of the device extension, owned by this token.
unsafe impl Send for HmbRanges {}

impl HmbRanges {
    const fn ranges(&self) -> NonNull<ACCESS_RANGE> {
        // SAFETY: the store lies in the device extension, which outlives every state of the adapter.
        let store = unsafe { self.store.as_ref() };
        // SAFETY: the cell is never null.
        unsafe { NonNull::new_unchecked(store.ranges.get()) }.cast()
    }
}

impl Ranges for HmbRanges {
    fn range(&self, index: usize) -> Option<Range> {
        if index >= self.count as usize {
            return None;
        }
        // SAFETY: the index is below the count, which is at most the length of the array.
        let range = unsafe { self.ranges().add(index) };
        // SAFETY: the port driver has filled the range, and nobody writes it while the token exists.
        let range = unsafe { range.read() };
        // SAFETY: both halves of the union are plain integers of the same size.
        let address = unsafe { range.RangeStart.QuadPart }.cast_unsigned();
        Some(Range {
            address,
            bytes: u64::from(range.RangeLength),
        })
    }
}

impl Port {
    /// `StorPortAllocateHostMemoryBuffer`. IRQL <= `DISPATCH_LEVEL`.
    ///
    /// The boundary argument is unused and 0. HMMINDS and HMMAXD are no arguments: the length of the array keeps to the
    /// latter, and the plan made of the grant to both.
    pub(crate) fn allocate_host_memory_buffer(
        self,
        wanted: &Wanted,
        store: &HmbStore,
    ) -> Result<HmbRanges, PortError> {
        if store.taken.swap(true, Ordering::Acquire) {
            return Err(PortError::BUSY);
        }
        let capacity = u32::from(wanted.max_ranges());
        let mut count = capacity;
        // SAFETY: the argument list of storport.h: SIZE_T, SIZE_T, ULONGLONG, ULONG, three PHYSICAL_ADDRESS by value
        // (8 bytes each), the array, and its count; the array has room for MAX_RANGES and is owned by this call.
        let status = unsafe {
            StorPortExtendedFunction(
                ExtFunctionAllocateHmb,
                self.extension(),
                wanted.minimum_bytes(),
                wanted.preferred_bytes(),
                wanted.utilization_bytes(),
                wanted.alignment_bytes(),
                0_i64,
                i64::MAX,
                0_i64,
                store.ranges.get(),
                &raw mut count,
            )
        };
        if let Err(error) = PortError::check(status) {
            store.taken.store(false, Ordering::Release);
            return Err(error);
        }
        Ok(HmbRanges {
            store: NonNull::from(store),
            count: count.min(capacity),
        })
    }

    /// `StorPortFreeHostMemoryBuffer`: the ranges exactly as they were granted. IRQL <= `DISPATCH_LEVEL`.
    ///
    /// A free that the port driver refuses is not repeated: nothing says whose memory it would be by then.
    #[expect(clippy::needless_pass_by_value, reason = "what is freed is gone")]
    pub(crate) fn free_host_memory_buffer(self, ranges: HmbRanges) -> Result<(), PortError> {
        // SAFETY: the argument list of storport.h: the array and its count as ULONG; the array is valid for the call.
        let status = unsafe {
            StorPortExtendedFunction(
                ExtFunctionFreeHmb,
                self.extension(),
                ranges.ranges().as_ptr(),
                ranges.count,
            )
        };
        // SAFETY: the store lies in the device extension.
        unsafe { ranges.store.as_ref() }
            .taken
            .store(false, Ordering::Release);
        PortError::check(status)
    }
}

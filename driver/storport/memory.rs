//! Memory for the adapter's own queues and pages.

use core::ffi::c_void;
use core::ptr::{self, NonNull};

use wdk_sys::storage::{StorPortGetPhysicalAddress, StorPortGetUncachedExtension};

use super::{Configuration, DmaBlock, Port};

impl Port {
    /// `StorPortGetUncachedExtension`: memory that is contiguous for the controller, page-aligned where the system
    /// gives whole pages. Only inside `HwStorFindAdapter`. The port driver takes it back itself.
    pub(crate) fn uncached_extension(
        self,
        configuration: &mut Configuration,
        bytes: u32,
    ) -> Option<DmaBlock> {
        // SAFETY: the configuration is the one of the current HwStorFindAdapter call.
        let start = unsafe {
            StorPortGetUncachedExtension(self.extension(), configuration.as_ptr(), bytes)
        };
        let start = NonNull::new(start.cast::<u8>())?;
        let (address, contiguous) = self.physical_address(start.as_ptr().cast())?;
        if contiguous < bytes {
            return None;
        }
        // SAFETY: the port driver keeps the extension for the life of the adapter, and nobody else has it.
        Some(unsafe { DmaBlock::new(start, address, bytes as usize) })
    }

    /// `StorPortGetPhysicalAddress` of memory that belongs to the adapter or to a request's extension: the bus address
    /// and how many bytes are contiguous from there. Any IRQL.
    pub(super) fn physical_address(self, start: *mut c_void) -> Option<(u64, u32)> {
        let mut contiguous = 0;
        // SAFETY: no request is named, so the address is looked up in the memory that the port driver itself gave.
        let address = unsafe {
            StorPortGetPhysicalAddress(
                self.extension(),
                ptr::null_mut(),
                start,
                &raw mut contiguous,
            )
        };
        // SAFETY: both halves of the union are plain integers of the same size.
        let address = unsafe { address.QuadPart }.cast_unsigned();
        (contiguous != 0).then_some((address, contiguous))
    }
}

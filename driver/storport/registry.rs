//! The driver's parameters: `Parameters\Device` for all adapters, `Parameters\Device<n>` for one.

use core::ffi::CStr;

use wdk_sys::storage::{
    StorPortAllocateRegistryBuffer, StorPortFreeRegistryBuffer, StorPortRegistryRead,
};
use wdk_sys::{MINIPORT_REG_DWORD, ULONG};

use super::Port;

/// Whose key a parameter is read from.
#[derive(Clone, Copy)]
enum Scope {
    /// `Parameters\Device<n>`.
    Adapter = 0,
    /// `Parameters\Device`.
    Driver = 1,
}

impl Port {
    /// A `REG_DWORD` parameter: the adapter's own value, else the one for all adapters. `PASSIVE_LEVEL`.
    pub(crate) fn parameter(self, name: &CStr) -> Option<u32> {
        self.read_dword(name, Scope::Adapter)
            .or_else(|| self.read_dword(name, Scope::Driver))
    }

    /// `StorPortRegistryRead` into a buffer of the port driver's, which the call demands.
    fn read_dword(self, name: &CStr, scope: Scope) -> Option<u32> {
        let mut bytes = size_of::<ULONG>() as ULONG;
        // SAFETY: the length is valid for the call; the port driver may lower it.
        let buffer = unsafe { StorPortAllocateRegistryBuffer(self.extension(), &raw mut bytes) };
        if buffer.is_null() {
            return None;
        }
        let value = if bytes as usize >= size_of::<ULONG>() {
            self.read_into(name, scope, buffer)
        } else {
            None
        };
        // SAFETY: the buffer is the one allocated above.
        unsafe { StorPortFreeRegistryBuffer(self.extension(), buffer) };
        value
    }

    fn read_into(self, name: &CStr, scope: Scope, buffer: *mut u8) -> Option<u32> {
        let mut bytes = size_of::<ULONG>() as ULONG;
        // SAFETY: the name ends in a zero byte; the buffer has room for the value, as the caller has checked.
        let found = unsafe {
            StorPortRegistryRead(
                self.extension(),
                name.as_ptr().cast_mut().cast(),
                scope as ULONG,
                MINIPORT_REG_DWORD,
                buffer,
                &raw mut bytes,
            )
        };
        // SAFETY: the buffer has room for four bytes; its alignment is not documented.
        (found != 0 && bytes as usize == size_of::<ULONG>())
            .then(|| unsafe { buffer.cast::<u32>().read_unaligned() })
    }
}

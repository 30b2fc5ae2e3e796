//! The driver's parameters: `Parameters\Device` for all adapters, `Parameters\Device<n>` for one. And what it keeps in the
//! adapter's own key, `Device Parameters` of the device instance.

use core::ffi::CStr;
use core::ptr;

use wdk_sys::_STORPORT_FUNCTION_CODE::{
    ExtFunctionRegistryReadAdapterKey, ExtFunctionRegistryWriteAdapterKey,
};
use wdk_sys::storage::{
    StorPortAllocateRegistryBuffer, StorPortExtendedFunction, StorPortFreeRegistryBuffer,
    StorPortRegistryRead,
};
use wdk_sys::{MINIPORT_REG_BINARY, MINIPORT_REG_DWORD, ULONG};

use super::{Port, PortError};

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

    /// `StorPortRegistryReadAdapterKey`: a `REG_BINARY` of 16 bytes. `PASSIVE_LEVEL`.
    ///
    /// The documentation leaves open whether the value comes into the buffer that is named or over its name. Both have
    /// room for it, so whoever asks must know the value by its contents.
    pub(crate) fn adapter_record(self, name: &CStr) -> Option<[[u8; 16]; 2]> {
        #[repr(C)]
        struct Named {
            buffer: *mut [u8; 16],
            room: [u64; 2],
        }
        let mut record = [0; 16];
        let mut named = Named {
            buffer: &raw mut record,
            room: [0; 2],
        };
        let mut bytes = record.len() as ULONG;
        // SAFETY: the argument list of storport.h: no subkey, a name that ends in a zero byte, the type, the place of the
        // buffer's address, and its length, all valid for the call.
        let status = unsafe {
            StorPortExtendedFunction(
                ExtFunctionRegistryReadAdapterKey,
                self.extension(),
                ptr::null_mut::<u8>(),
                name.as_ptr(),
                MINIPORT_REG_BINARY,
                &raw mut named,
                &raw mut bytes,
            )
        };
        PortError::check(status).ok()?;
        let [first, _] = named.room;
        let mut over = [0; 16];
        let words = [named.buffer.addr() as u64, first];
        for (to, from) in over
            .iter_mut()
            .zip(words.into_iter().flat_map(u64::to_le_bytes))
        {
            *to = from;
        }
        Some([record, over])
    }

    /// `StorPortRegistryWriteAdapterKey`: a `REG_BINARY`. `PASSIVE_LEVEL`.
    pub(crate) fn set_adapter_record(
        self,
        name: &CStr,
        mut record: [u8; 16],
    ) -> Result<(), PortError> {
        // SAFETY: the argument list of storport.h: no subkey, a name that ends in a zero byte, the type, the value and its
        // length, all valid for the call.
        let status = unsafe {
            StorPortExtendedFunction(
                ExtFunctionRegistryWriteAdapterKey,
                self.extension(),
                ptr::null_mut::<u8>(),
                name.as_ptr(),
                MINIPORT_REG_BINARY,
                record.as_mut_ptr(),
                record.len() as ULONG,
            )
        };
        PortError::check(status)
    }
}

//! Work items: what has to wait for `PASSIVE_LEVEL`.

use core::ffi::c_void;
use core::ptr;

use wdk_sys::_STORPORT_FUNCTION_CODE::{
    ExtFunctionFreeWorker, ExtFunctionInitializeWorker, ExtFunctionQueueWorkItem,
};
use wdk_sys::PHW_WORKITEM;
use wdk_sys::storage::StorPortExtendedFunction;

use super::{Port, PortError};

impl Port {
    /// `StorPortInitializeWorker` and `StorPortQueueWorkItem`: has `routine` called once at `PASSIVE_LEVEL`, which then
    /// frees the worker that it is given. IRQL <= `DISPATCH_LEVEL`.
    pub(super) fn queue_work(self, routine: PHW_WORKITEM) -> Result<(), PortError> {
        let mut worker = ptr::null_mut::<c_void>();
        // SAFETY: the argument list of storport.h: a place for the worker, valid for the call.
        let status = unsafe {
            StorPortExtendedFunction(
                ExtFunctionInitializeWorker,
                self.extension(),
                &raw mut worker,
            )
        };
        PortError::check(status)?;
        let none = ptr::null_mut::<c_void>();
        // SAFETY: the argument list of storport.h: the routine, the worker of the call above, and no context.
        let status = unsafe {
            StorPortExtendedFunction(
                ExtFunctionQueueWorkItem,
                self.extension(),
                routine,
                worker,
                none,
            )
        };
        PortError::check(status).inspect_err(|_| self.free_worker(worker))
    }

    /// `StorPortFreeWorker`. IRQL <= `DISPATCH_LEVEL`. A worker that cannot be freed is the port driver's to keep.
    pub(super) fn free_worker(self, worker: *mut c_void) {
        // SAFETY: the argument list of storport.h: a worker that is not queued.
        unsafe { StorPortExtendedFunction(ExtFunctionFreeWorker, self.extension(), worker) };
    }
}

//! Deferred procedure calls: where an interrupt's work is done.

use core::cell::UnsafeCell;
use core::ptr;

use wdk_sys::_SCSI_NOTIFICATION_TYPE::{InitializeDpc, IssueDpc};
use wdk_sys::storage::StorPortNotification;
use wdk_sys::{HW_DPC_ROUTINE, LONG, STOR_DPC};

use super::Port;

/// A DPC object. It lives in the device extension, because the port driver keeps its address.
pub(crate) struct Dpc {
    object: UnsafeCell<STOR_DPC>,
}

// SAFETY: the object belongs to the port driver once it is initialised; the miniport only passes its address.
unsafe impl Sync for Dpc {}

impl Dpc {
    pub(crate) const fn new() -> Self {
        // SAFETY: a STOR_DPC is plain data, for which all zeroes is a value.
        let object = unsafe { core::mem::zeroed() };
        Self {
            object: UnsafeCell::new(object),
        }
    }

    /// `StorPortInitializeDpc`, once for an adapter's life. `PASSIVE_LEVEL`.
    pub(super) fn initialize(&self, port: Port, routine: HW_DPC_ROUTINE) {
        // SAFETY: the argument list of storport.h: the object, which stays where it is, and the routine.
        unsafe {
            StorPortNotification(InitializeDpc, port.extension(), self.object.get(), routine);
        };
    }

    /// `StorPortIssueDpc`. Any IRQL. False when the DPC was queued already: it has not started yet, so it will see
    /// what this call was about.
    pub(crate) fn issue(&self, port: Port) -> bool {
        self.issue_for(port, 0)
    }

    /// As [`issue`](Self::issue), with a number for the routine: its first argument.
    pub(crate) fn issue_for(&self, port: Port, number: usize) -> bool {
        let mut queued: LONG = 0;
        let number = ptr::without_provenance_mut::<core::ffi::c_void>(number);
        let none = ptr::null_mut::<core::ffi::c_void>();
        // SAFETY: the argument list of storport.h: the object, two arguments for the routine, and a LONG for the answer.
        unsafe {
            StorPortNotification(
                IssueDpc,
                port.extension(),
                self.object.get(),
                number,
                none,
                &raw mut queued,
            );
        }
        queued != 0
    }
}

//! The spin locks of the port driver.

use core::ptr;

use wdk_sys::_SCSI_NOTIFICATION_TYPE::{AcquireSpinLock, ReleaseSpinLock};
use wdk_sys::_STOR_SPINLOCK::StartIoLock;
use wdk_sys::STOR_LOCK_HANDLE;
use wdk_sys::storage::StorPortNotification;

use super::Port;

impl Port {
    /// Runs `work` under the StartIo lock, which the port driver holds around `HwStorStartIo`, `HwStorTimer` and
    /// `HwStorResetBus`. For callers that do not hold it: `HwStorDpcRoutine`, `HwStorBuildIo` and
    /// `HwStorAdapterControl` below DIRQL. IRQL <= `DISPATCH_LEVEL`.
    pub(crate) fn under_start_io_lock<R>(self, work: impl FnOnce() -> R) -> R {
        // A queued lock links its handle into a list: the handle must not move before the release.
        let mut handle = STOR_LOCK_HANDLE::default();
        // SAFETY: the argument list of storport.h: the lock as int, no context for this lock, and the handle.
        unsafe {
            StorPortNotification(
                AcquireSpinLock,
                self.extension(),
                StartIoLock,
                ptr::null_mut::<core::ffi::c_void>(),
                &raw mut handle,
            );
        }
        let result = work();
        // SAFETY: the handle is the one that the acquire filled, at the same address.
        unsafe { StorPortNotification(ReleaseSpinLock, self.extension(), &raw mut handle) };
        result
    }
}

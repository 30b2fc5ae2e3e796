//! The spin locks of the port driver, and the IRQL that a caller of one came from.

use core::ptr;

use wdk_sys::_SCSI_NOTIFICATION_TYPE::{AcquireSpinLock, ReleaseSpinLock};
use wdk_sys::_STOR_SPINLOCK::StartIoLock;
use wdk_sys::storage::StorPortNotification;
use wdk_sys::{KIRQL, STOR_LOCK_HANDLE};

use super::{Irql, Port};

/// `DISPATCH_LEVEL`: what a lock handle says until the acquire fills it.
const DISPATCH_LEVEL: KIRQL = 2;

impl Port {
    /// Runs `work` under the StartIo lock, which the port driver holds around `HwStorStartIo`, `HwStorTimer` and
    /// `HwStorResetBus`. For callers that do not hold it: `HwStorDpcRoutine`, `HwStorBuildIo` and
    /// `HwStorAdapterControl` below DIRQL. IRQL <= `DISPATCH_LEVEL`.
    pub(crate) fn under_start_io_lock<R>(self, work: impl FnOnce() -> R) -> R {
        self.locked(|_| work())
    }

    /// The IRQL of a caller of [`under_start_io_lock`](Self::under_start_io_lock), from the lock handle: storport.h keeps there
    /// what the release goes back to. For systems without `StorPortGetCurrentIrql`.
    pub(crate) fn irql_by_lock(self) -> Irql {
        self.locked(Irql::from_code)
    }

    /// Runs `work` under the StartIo lock, with the IRQL before.
    fn locked<R>(self, work: impl FnOnce(KIRQL) -> R) -> R {
        // A queued lock links its handle into a list: the handle must not move before the release.
        let mut handle = STOR_LOCK_HANDLE::default();
        handle.Context.OldIrql = DISPATCH_LEVEL;
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
        let result = work(handle.Context.OldIrql);
        // SAFETY: the handle is the one that the acquire filled, at the same address.
        unsafe { StorPortNotification(ReleaseSpinLock, self.extension(), &raw mut handle) };
        result
    }
}

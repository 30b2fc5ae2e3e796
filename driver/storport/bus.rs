//! What the miniport tells the port driver of the logical units.

use wdk_sys::_SCSI_NOTIFICATION_TYPE::BusChangeDetected;
use wdk_sys::storage::StorPortNotification;

use super::Port;

/// The only bus of an adapter.
const PATH: u32 = 0;

impl Port {
    /// `StorPortNotification` with `BusChangeDetected`: the port driver looks again which logical units there are. Any IRQL.
    pub(crate) fn bus_changed(self) {
        // SAFETY: the argument list of storport.h: the bus, which is passed as a full register.
        unsafe { StorPortNotification(BusChangeDetected, self.extension(), PATH) };
    }
}

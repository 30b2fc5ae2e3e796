//! Interrupt messages, passive initialisation and the timer of an adapter.

use wdk_sys::_SCSI_NOTIFICATION_TYPE::{EnablePassiveInitialization, RequestTimerCall};
use wdk_sys::_STORPORT_FUNCTION_CODE::ExtFunctionGetMessageInterruptInformation;
use wdk_sys::storage::{StorPortExtendedFunction, StorPortNotification};
use wdk_sys::{
    HW_PASSIVE_INITIALIZE_ROUTINE, HW_TIMER, LONG, MESSAGE_INTERRUPT_INFORMATION, ULONG,
};

use super::{Port, PortError};

impl Port {
    /// How many interrupt messages the adapter was given, up to `wanted`; 0 means a line interrupt.
    /// `StorPortGetMSIInfo`, `PASSIVE_LEVEL`.
    pub(crate) fn interrupt_messages(self, wanted: u16) -> u16 {
        (0..wanted)
            .take_while(|message| self.has_message(ULONG::from(*message)))
            .count() as u16
    }

    fn has_message(self, message: ULONG) -> bool {
        let mut information = MESSAGE_INTERRUPT_INFORMATION::default();
        // SAFETY: the argument list of storport.h: the message number and the structure to fill, valid for the call.
        let status = unsafe {
            StorPortExtendedFunction(
                ExtFunctionGetMessageInterruptInformation,
                self.extension(),
                message,
                &raw mut information,
            )
        };
        PortError::check(status).is_ok()
    }

    /// `StorPortEnablePassiveInitialization`. Only inside `HwStorInitialize`.
    pub(super) fn enable_passive_initialization(
        self,
        routine: HW_PASSIVE_INITIALIZE_ROUTINE,
    ) -> bool {
        let mut accepted: LONG = 0;
        // SAFETY: the argument list of storport.h: the routine and a LONG for the answer, valid for the call.
        unsafe {
            StorPortNotification(
                EnablePassiveInitialization,
                self.extension(),
                routine,
                &raw mut accepted,
            );
        }
        accepted != 0
    }

    /// `RequestTimerCall`: calls `routine` once, about `us` microseconds from now, with the StartIo lock held. Replaces
    /// the call that was asked for before; 0 takes it back. Any IRQL.
    pub(super) fn request_timer(self, routine: HW_TIMER, us: u32) {
        // SAFETY: the argument list of the notification: the routine and the time in microseconds as ULONG.
        unsafe { StorPortNotification(RequestTimerCall, self.extension(), routine, us) };
    }
}

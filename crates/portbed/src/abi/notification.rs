//! `SCSI_NOTIFICATION_TYPE`.

pub(crate) const REQUEST_COMPLETE: u32 = 0;
pub(crate) const NEXT_REQUEST: u32 = 1;
pub(crate) const NEXT_LU_REQUEST: u32 = 2;
pub(crate) const RESET_DETECTED: u32 = 3;
pub(crate) const REQUEST_TIMER_CALL: u32 = 6;
pub(crate) const BUS_CHANGE_DETECTED: u32 = 7;
pub(crate) const WMI_EVENT: u32 = 8;
pub(crate) const WMI_REREGISTER: u32 = 9;
pub(crate) const LINK_UP: u32 = 10;
pub(crate) const LINK_DOWN: u32 = 11;
pub(crate) const QUERY_TICK_COUNT: u32 = 12;
pub(crate) const BUFFER_OVERRUN_DETECTED: u32 = 13;
pub(crate) const ENABLE_PASSIVE_INITIALIZATION: u32 = 0x1000;
pub(crate) const INITIALIZE_DPC: u32 = 0x1001;
pub(crate) const ISSUE_DPC: u32 = 0x1002;
pub(crate) const ACQUIRE_SPIN_LOCK: u32 = 0x1003;
pub(crate) const RELEASE_SPIN_LOCK: u32 = 0x1004;
pub(crate) const STATE_CHANGE_DETECTED: u32 = 0x1005;
pub(crate) const IO_TARGET_REQUEST_SERVICE_TIME: u32 = 0x1006;
pub(crate) const ASYNC_NOTIFICATION_DETECTED: u32 = 0x1007;
pub(crate) const INITIALIZE_DPC_WITH_CONTEXT: u32 = 0x1009;
pub(crate) const INITIALIZE_THREADED_DPC: u32 = 0x100A;
pub(crate) const SET_TARGET_PROCESSOR_DPC: u32 = 0x100B;
pub(crate) const MARK_DEVICE_FAILED: u32 = 0x100C;
pub(crate) const MARK_DEVICE_FAILED_EX: u32 = 0x100D;

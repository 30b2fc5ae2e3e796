//! Adapter control.

use zerocopy::FromBytes;

/// `STOR_ADAPTER_CONTROL_POWER`.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes)]
pub(crate) struct AdapterControlPower {
    pub(crate) version: u32,
    pub(crate) size: u32,
    pub(crate) address: u64,
    pub(crate) power_action: u32,
    pub(crate) power_state: u32,
}

/// `SCSI_ADAPTER_CONTROL_TYPE`.
pub(crate) mod control {
    pub(crate) const QUERY_SUPPORTED: u32 = 0;
    pub(crate) const STOP_ADAPTER: u32 = 1;
    pub(crate) const RESTART_ADAPTER: u32 = 2;
    pub(crate) const SET_BOOT_CONFIG: u32 = 3;
    pub(crate) const SET_RUNNING_CONFIG: u32 = 4;
    pub(crate) const ADAPTER_POWER: u32 = 6;
    pub(crate) const SURPRISE_REMOVAL: u32 = 16;
    /// `ScsiAdapterControlMax` of Windows 7, the last system that changes the power by stop and restart alone.
    pub(crate) const MAX_BEFORE_ADAPTER_POWER: u32 = 5;
    /// `ScsiAdapterControlMax` of the newest kit.
    pub(crate) const MAX: u32 = 29;
}

/// `SCSI_UNIT_CONTROL_TYPE`.
pub(crate) mod unit_control {
    pub(crate) const QUERY_SUPPORTED: u32 = 0;
    pub(crate) const REMOVE: u32 = 9;
    pub(crate) const SURPRISE_REMOVAL: u32 = 10;
    /// `ScsiUnitControlMax` of the newest kit.
    pub(crate) const MAX: u32 = 16;
}

/// `STOR_DEVICE_POWER_STATE`.
pub(crate) const POWER_D0: u32 = 1;
/// `STOR_DEVICE_POWER_STATE`.
pub(crate) const POWER_D3: u32 = 4;

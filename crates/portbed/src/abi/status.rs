//! `STOR_STATUS_*`.

pub(crate) const SUCCESS: u32 = 0;
pub(crate) const UNSUCCESSFUL: u32 = 0xC100_0001;
pub(crate) const NOT_IMPLEMENTED: u32 = 0xC100_0002;
pub(crate) const INSUFFICIENT_RESOURCES: u32 = 0xC100_0003;
pub(crate) const BUFFER_TOO_SMALL: u32 = 0xC100_0004;
pub(crate) const INVALID_PARAMETER: u32 = 0xC100_0006;
pub(crate) const INVALID_DEVICE_REQUEST: u32 = 0xC100_0007;
pub(crate) const INVALID_IRQL: u32 = 0xC100_0008;
pub(crate) const INVALID_DEVICE_STATE: u32 = 0xC100_0009;
pub(crate) const UNSUPPORTED_VERSION: u32 = 0xC100_000B;
pub(crate) const BUSY: u32 = 0xC100_000C;

//! The numbers of a request: what it is about, and how it ends.

/// How a request ends: `SRB_STATUS_*`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct SrbStatus(pub(crate) u8);

/// What a request is about: `SRB_FUNCTION_*`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct SrbFunction(pub(crate) u32);

/// Declares constants of a newtype over the WDK's values.
macro_rules! values {
    ($type:ident($inner:ty) { $($name:ident = $value:ident),* $(,)? }) => {
        #[expect(clippy::allow_attributes, reason = "not every value is used in every build")]
        #[allow(dead_code, missing_docs)]
        impl $type {
            $(pub(crate) const $name: Self = Self(wdk_sys::$value as $inner);)*
        }
    };
}

values!(SrbStatus(u8) {
    SUCCESS = SRB_STATUS_SUCCESS,
    ERROR = SRB_STATUS_ERROR,
    BUSY = SRB_STATUS_BUSY,
    BUS_RESET = SRB_STATUS_BUS_RESET,
    INVALID_REQUEST = SRB_STATUS_INVALID_REQUEST,
    INVALID_PATH_ID = SRB_STATUS_INVALID_PATH_ID,
    INVALID_TARGET_ID = SRB_STATUS_INVALID_TARGET_ID,
    INVALID_LUN = SRB_STATUS_INVALID_LUN,
    NO_DEVICE = SRB_STATUS_NO_DEVICE,
    NO_HBA = SRB_STATUS_NO_HBA,
    DATA_OVERRUN = SRB_STATUS_DATA_OVERRUN,
});

impl SrbFunction {
    /// Whether a reset is asked for, of whatever.
    pub(crate) const fn is_reset(self) -> bool {
        matches!(
            self,
            Self::RESET_BUS | Self::RESET_DEVICE | Self::RESET_LOGICAL_UNIT
        )
    }

    /// Whether it is for the adapter as a whole: plug and play, and resets. Such a request goes to no queue pair.
    pub(crate) const fn is_for_control(self) -> bool {
        matches!(self, Self::PNP) || self.is_reset()
    }
}

values!(SrbFunction(u32) {
    EXECUTE_SCSI = SRB_FUNCTION_EXECUTE_SCSI,
    FLUSH = SRB_FUNCTION_FLUSH,
    SHUTDOWN = SRB_FUNCTION_SHUTDOWN,
    PNP = SRB_FUNCTION_PNP,
    POWER = SRB_FUNCTION_POWER,
    RESET_BUS = SRB_FUNCTION_RESET_BUS,
    RESET_DEVICE = SRB_FUNCTION_RESET_DEVICE,
    RESET_LOGICAL_UNIT = SRB_FUNCTION_RESET_LOGICAL_UNIT,
});

/// What a plug and play request asks for: `STOR_PNP_ACTION`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum PnpAction {
    /// The adapter gives its resources up and may get others.
    Stop,
    /// The adapter goes.
    Remove,
    /// The adapter is gone.
    SurpriseRemoval,
    /// Anything else.
    Other,
}

//! Events for an engineer: one ETW event on the port driver's operational channel for each outcome.

use core::ptr;

use wdk_sys::_STORPORT_ETW_EVENT_CHANNEL::StorportEtwEventOperational;
use wdk_sys::_STORPORT_ETW_EVENT_OPCODE::StorportEtwEventOpcodeInfo;
use wdk_sys::_STORPORT_ETW_LEVEL::{
    StorportEtwLevelError, StorportEtwLevelInformational, StorportEtwLevelWarning,
};
use wdk_sys::_STORPORT_FUNCTION_CODE::{
    ExtFunctionMiniportChannelEtwEvent2, ExtFunctionMiniportChannelEtwEvent8,
};
use wdk_sys::storage::StorPortExtendedFunction;
use wdk_sys::{SCSI_REQUEST_BLOCK, STOR_ADDRESS, STORPORT_ETW_MAX_DESCRIPTION_LENGTH};

use super::{Port, PortError};

/// A zero-terminated UTF-16 string, as the port driver wants descriptions and parameter names. See [`text!`].
#[derive(Clone, Copy)]
pub(crate) struct Text(pub(crate) &'static [u16]);

/// A [`Text`] made of an ASCII literal at compile time.
macro_rules! text {
    ($ascii:literal) => {{
        const UNITS: [u16; $ascii.len() + 1] = $crate::storport::wide($ascii);
        $crate::storport::Text(&UNITS)
    }};
}
pub(crate) use text;

/// ASCII as UTF-16 with a zero at the end, not longer than the port driver takes.
#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "runs at compile time only"
)]
pub(crate) const fn wide<const N: usize>(ascii: &str) -> [u16; N] {
    assert!(N <= STORPORT_ETW_MAX_DESCRIPTION_LENGTH as usize);
    let mut units = [0; N];
    let bytes = ascii.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        assert!(bytes[at].is_ascii());
        units[at] = bytes[at] as u16;
        at += 1;
    }
    units
}

/// How much an event matters.
#[derive(Clone, Copy)]
pub(crate) enum Level {
    /// As it should be.
    Information,
    /// The adapter works, but not as asked.
    Warning,
    /// Something was lost or does not work.
    Error,
}

impl Level {
    const fn code(self) -> i32 {
        match self {
            Self::Information => StorportEtwLevelInformational,
            Self::Warning => StorportEtwLevelWarning,
            Self::Error => StorportEtwLevelError,
        }
    }
}

/// A named number of an event.
pub(crate) type Parameter = (Text, u64);

/// What is told: up to 63 characters, with named numbers of up to 31 characters each.
pub(crate) struct Event<'a> {
    /// The number by which documentation and tools know the event.
    pub(crate) id: u32,
    /// How much it matters.
    pub(crate) level: Level,
    /// What happened.
    pub(crate) text: Text,
    /// What it was about. The port driver takes two or eight.
    pub(crate) parameters: Parameters<'a>,
}

/// The numbers of an event.
pub(crate) enum Parameters<'a> {
    /// Two.
    Two(&'a [Parameter; 2]),
    /// Eight.
    Eight(&'a [Parameter; 8]),
}

impl Port {
    /// Writes an event: `StorPortEtwChannelEvent2` or `8`. IRQL <= `DISPATCH_LEVEL`. An event that cannot be written is
    /// dropped: nothing depends on it.
    pub(crate) fn log(self, event: &Event<'_>) {
        let _dropped = match event.parameters {
            Parameters::Two(parameters) => self.log2(event, parameters),
            Parameters::Eight(parameters) => self.log8(event, parameters),
        };
    }

    fn log2(self, event: &Event<'_>, [first, second]: &[Parameter; 2]) -> Result<(), PortError> {
        // SAFETY: the argument list of storport.h: no address (the adapter), channel, id, description, keywords,
        // level, opcode, no request, then name and value twice. The strings are static and end in zero.
        let status = unsafe {
            StorPortExtendedFunction(
                ExtFunctionMiniportChannelEtwEvent2,
                self.extension(),
                ptr::null_mut::<STOR_ADDRESS>(),
                StorportEtwEventOperational,
                event.id,
                event.text.0.as_ptr(),
                0_u64,
                event.level.code(),
                StorportEtwEventOpcodeInfo,
                ptr::null_mut::<SCSI_REQUEST_BLOCK>(),
                first.0.0.as_ptr(),
                first.1,
                second.0.0.as_ptr(),
                second.1,
            )
        };
        PortError::check(status)
    }

    fn log8(
        self,
        event: &Event<'_>,
        [first, second, third, fourth, fifth, sixth, seventh, eighth]: &[Parameter; 8],
    ) -> Result<(), PortError> {
        // SAFETY: as in `log2`, with name and value eight times.
        let status = unsafe {
            StorPortExtendedFunction(
                ExtFunctionMiniportChannelEtwEvent8,
                self.extension(),
                ptr::null_mut::<STOR_ADDRESS>(),
                StorportEtwEventOperational,
                event.id,
                event.text.0.as_ptr(),
                0_u64,
                event.level.code(),
                StorportEtwEventOpcodeInfo,
                ptr::null_mut::<SCSI_REQUEST_BLOCK>(),
                first.0.0.as_ptr(),
                first.1,
                second.0.0.as_ptr(),
                second.1,
                third.0.0.as_ptr(),
                third.1,
                fourth.0.0.as_ptr(),
                fourth.1,
                fifth.0.0.as_ptr(),
                fifth.1,
                sixth.0.0.as_ptr(),
                sixth.1,
                seventh.0.0.as_ptr(),
                seventh.1,
                eighth.0.0.as_ptr(),
                eighth.1,
            )
        };
        PortError::check(status)
    }
}

//! Processors, and which of them a request is at home on.

use wdk_sys::_STORPORT_FUNCTION_CODE::{
    ExtFunctionGetCurrentProcessorNumber, ExtFunctionGetStartIoPerformanceParameters,
    ExtFunctionInitializePerformanceOptimizations,
};
use wdk_sys::ntddk::KeQueryActiveProcessorCountEx;
use wdk_sys::storage::StorPortExtendedFunction;
use wdk_sys::{
    ALL_PROCESSOR_GROUPS, BOOLEAN, GROUP_AFFINITY, PERF_CONFIGURATION_DATA, PROCESSOR_NUMBER,
    STARTIO_PERFORMANCE_PARAMETERS, STOR_PERF_ADV_CONFIG_LOCALITY, STOR_PERF_CONCURRENT_CHANNELS,
    STOR_PERF_DPC_REDIRECTION, STOR_PERF_DPC_REDIRECTION_CURRENT_CPU,
    STOR_PERF_INTERRUPT_MESSAGE_RANGES, STOR_PERF_VERSION_2, STOR_PERF_VERSION_8, USHORT,
};

use super::{Port, PortError, Srb, Targets};

/// Processors of a group.
const GROUP: usize = 64;

/// How many processors are active. Any IRQL.
pub(super) fn count() -> usize {
    // SAFETY: the call has no preconditions.
    (unsafe { KeQueryActiveProcessorCountEx(ALL_PROCESSOR_GROUPS as USHORT) }) as usize
}

/// What the port driver does for the I/O path: `STOR_PERF_*`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Performance(u32);

impl Performance {
    /// Nothing.
    pub(crate) const NONE: Self = Self(0);

    /// Whether it says for each request by which message the answer is best given.
    pub(crate) const fn assigns_messages(self) -> bool {
        self.0 & STOR_PERF_INTERRUPT_MESSAGE_RANGES != 0
    }

    /// The flags.
    pub(crate) const fn bits(self) -> u32 {
        self.0
    }

    /// What is wanted of what is offered: each flag with those that it needs.
    const fn of(offered: u32, messages: bool) -> Self {
        let redirected = STOR_PERF_DPC_REDIRECTION | STOR_PERF_DPC_REDIRECTION_CURRENT_CPU;
        let ranged = STOR_PERF_INTERRUPT_MESSAGE_RANGES | STOR_PERF_ADV_CONFIG_LOCALITY;
        let mut flags = offered & (STOR_PERF_CONCURRENT_CHANNELS | redirected);
        if messages {
            flags |= offered & ranged;
        }
        if flags & STOR_PERF_DPC_REDIRECTION == 0 {
            flags &= STOR_PERF_CONCURRENT_CHANNELS;
        }
        if flags & STOR_PERF_INTERRUPT_MESSAGE_RANGES == 0 {
            flags &= !STOR_PERF_ADV_CONFIG_LOCALITY;
        }
        Self(flags)
    }
}

impl Port {
    /// `StorPortInitializePerfOpts`: has the port driver do for the I/O path what it can. `messages` is how many tell of
    /// requests, from message 1 on; 0 where none does so alone. `targets` is where their processors are noted. Only in
    /// `HwStorInitialize` and passive initialisation.
    pub(crate) fn optimize(self, messages: u16, targets: &Targets) -> Performance {
        let Some(mut data) = self.offered_performance() else {
            return Performance::NONE;
        };
        let wanted = Performance::of(data.Flags, messages > 0);
        if wanted == Performance::NONE {
            return wanted;
        }
        data.Flags = wanted.0;
        if wanted.assigns_messages() {
            data.FirstRedirectionMessageNumber = 1;
            data.LastRedirectionMessageNumber = u32::from(messages);
        }
        if wanted.0 & STOR_PERF_ADV_CONFIG_LOCALITY != 0 {
            data.MessageTargets = targets.as_ptr();
        }
        match self.performance(false, &mut data) {
            Ok(()) => wanted,
            Err(_) => Performance::NONE,
        }
    }

    /// What is offered, in the newest version of the structure that the port driver knows.
    fn offered_performance(self) -> Option<PERF_CONFIGURATION_DATA> {
        let mut versions = (STOR_PERF_VERSION_2..=STOR_PERF_VERSION_8).rev();
        versions.find_map(|version| {
            let mut data = PERF_CONFIGURATION_DATA {
                Version: version,
                Size: size_of::<PERF_CONFIGURATION_DATA>() as u32,
                ..PERF_CONFIGURATION_DATA::default()
            };
            self.performance(true, &mut data).ok().map(|()| data)
        })
    }

    fn performance(self, asks: bool, data: &mut PERF_CONFIGURATION_DATA) -> Result<(), PortError> {
        // SAFETY: the argument list of storport.h: whether this is a question as BOOLEAN, and the structure, valid for the call.
        let status = unsafe {
            StorPortExtendedFunction(
                ExtFunctionInitializePerformanceOptimizations,
                self.extension(),
                i32::from(BOOLEAN::from(asks)),
                core::ptr::from_mut(data),
            )
        };
        PortError::check(status)
    }

    /// `StorPortGetStartIoPerfParams`: the message by which the answer to a request is best given. `HwStorStartIo`.
    pub(crate) fn message_of(self, srb: &Srb) -> Option<u32> {
        let mut parameters = STARTIO_PERFORMANCE_PARAMETERS {
            Version: STARTIO_VERSION,
            Size: size_of::<STARTIO_PERFORMANCE_PARAMETERS>() as u32,
            ..STARTIO_PERFORMANCE_PARAMETERS::default()
        };
        // SAFETY: the argument list of storport.h: the request of this callback, and the structure, valid for the call.
        let status = unsafe {
            StorPortExtendedFunction(
                ExtFunctionGetStartIoPerformanceParameters,
                self.extension(),
                srb.block(),
                &raw mut parameters,
            )
        };
        PortError::check(status)
            .ok()
            .map(|()| parameters.MessageNumber)
    }

    /// `StorPortGetCurrentProcessorNumber`, over all groups. `DISPATCH_LEVEL` or above, or it may have changed. 0 where it is not
    /// known.
    pub(crate) fn current_processor(self) -> usize {
        let mut number = PROCESSOR_NUMBER::default();
        // SAFETY: the argument list of storport.h: a pointer to a PROCESSOR_NUMBER, valid for the call.
        let status = unsafe {
            StorPortExtendedFunction(
                ExtFunctionGetCurrentProcessorNumber,
                self.extension(),
                &raw mut number,
            )
        };
        if PortError::check(status).is_err() {
            return 0;
        }
        let before = usize::from(number.Group).saturating_mul(GROUP);
        before.saturating_add(usize::from(number.Number))
    }
}

/// The version of the structure that `StorPortGetStartIoPerfParams` fills in.
const STARTIO_VERSION: u32 = 1;

const _: () = assert!(size_of::<GROUP_AFFINITY>() == 16);

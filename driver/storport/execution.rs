//! Time, waiting, and the IRQL that the miniport runs at.

use nvme::Instant;
use wdk_sys::_STORPORT_FUNCTION_CODE::{
    ExtFunctionDelayExecution, ExtFunctionGetCurrentIrql, ExtFunctionQueryPerformanceCounter,
};
use wdk_sys::storage::{StorPortExtendedFunction, StorPortQuerySystemTime, StorPortStallExecution};
use wdk_sys::{KIRQL, LARGE_INTEGER};

use super::{Port, PortError};

/// How far the current processor is from ordinary code.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Irql {
    /// `PASSIVE_LEVEL`: the thread may sleep.
    Passive,
    /// Up to `DISPATCH_LEVEL`: no sleeping, but most routines may be called.
    Dispatch,
    /// A device interrupt or above.
    Device,
}

impl Irql {
    /// What a level comes to.
    pub(super) const fn from_code(irql: KIRQL) -> Self {
        match irql {
            0 => Self::Passive,
            1..=2 => Self::Dispatch,
            _ => Self::Device,
        }
    }
}

/// The longest single stall: the documentation of `StorPortStallExecution` asks for less than a millisecond.
const LONGEST_STALL_US: u32 = 900;

const NS_PER_SECOND: u64 = 1_000_000_000;

impl Port {
    /// `StorPortGetCurrentIrql`. Any IRQL. Not implemented before Windows 11 and Windows Server 2022.
    pub(crate) fn current_irql(self) -> Result<Irql, PortError> {
        let mut irql: KIRQL = 0;
        // SAFETY: the argument list of storport.h: a pointer to a KIRQL, valid for the call.
        let status = unsafe {
            StorPortExtendedFunction(ExtFunctionGetCurrentIrql, self.extension(), &raw mut irql)
        };
        PortError::check(status)?;
        Ok(Irql::from_code(irql))
    }

    /// The performance counter as time, or the system's where there is none. Any IRQL.
    pub(crate) fn now(self) -> Instant {
        let mut frequency = LARGE_INTEGER { QuadPart: 0 };
        let mut counter = LARGE_INTEGER { QuadPart: 0 };
        // SAFETY: the argument list of storport.h: two pointers to LARGE_INTEGER, valid for the call.
        let status = unsafe {
            StorPortExtendedFunction(
                ExtFunctionQueryPerformanceCounter,
                self.extension(),
                &raw mut frequency,
                &raw mut counter,
            )
        };
        if PortError::check(status).is_err() {
            return Self::system_time();
        }
        // SAFETY: both halves of the union are plain integers of the same size.
        let frequency = unsafe { frequency.QuadPart }.cast_unsigned();
        // SAFETY: as above.
        let counter = unsafe { counter.QuadPart }.cast_unsigned();
        Instant::from_ns(ticks_to_ns(counter, frequency))
    }

    /// `StorPortQuerySystemTime`, in units of 100 ns.
    fn system_time() -> Instant {
        let mut time = LARGE_INTEGER { QuadPart: 0 };
        // SAFETY: the pointer is valid for the call.
        unsafe { StorPortQuerySystemTime(&raw mut time) };
        // SAFETY: both halves of the union are plain integers of the same size.
        Instant::from_ns(unsafe { time.QuadPart }.cast_unsigned().saturating_mul(100))
    }

    /// `StorPortStallExecution`, for at most [`LONGEST_STALL_US`]. Any IRQL.
    fn stall(us: u32) {
        // SAFETY: a stall has no preconditions.
        unsafe { StorPortStallExecution(us.clamp(1, LONGEST_STALL_US)) };
    }

    /// Waits for about `us` microseconds: asleep where `irql` allows it, else in one bounded stall.
    pub(crate) fn pause(self, us: u32, irql: Irql) {
        if irql != Irql::Passive || self.sleep(us).is_err() {
            Self::stall(us);
        }
    }

    /// `StorPortDelayExecution`. `PASSIVE_LEVEL`.
    fn sleep(self, us: u32) -> Result<(), PortError> {
        // SAFETY: the argument list of storport.h: microseconds as ULONG.
        let status =
            unsafe { StorPortExtendedFunction(ExtFunctionDelayExecution, self.extension(), us) };
        PortError::check(status)
    }
}

/// Ticks of a counter in nanoseconds, without losing the high bits of a long uptime.
fn ticks_to_ns(counter: u64, frequency: u64) -> u64 {
    let seconds = counter.checked_div(frequency).unwrap_or(0);
    let rest = counter.checked_rem(frequency).unwrap_or(0);
    let fraction = rest
        .saturating_mul(NS_PER_SECOND)
        .checked_div(frequency)
        .unwrap_or(0);
    seconds
        .saturating_mul(NS_PER_SECOND)
        .saturating_add(fraction)
}

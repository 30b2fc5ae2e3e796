//! The driver's parameters in the registry, with their defaults.

use core::ffi::CStr;

use nvme::hmb::Policy;
use nvme::quirks::Quirks;

use crate::storport::Port;

/// The most memory that is lent to one controller, in MiB; 0 turns the buffer off.
const MAXIMUM: &CStr = c"HmbMaximumMegabytes";
/// Up to how many MiB a controller's minimum is honoured although it exceeds the maximum.
const HONOUR_MINIMUM: &CStr = c"HmbHonourMinimumUpToMegabytes";
/// The most memory that is lent to all controllers of this driver together, in MiB.
const TOTAL: &CStr = c"HmbTotalMegabytes";

/// What has to be done differently with the device: with bit 31, the other bits instead of what is known of it.
const QUIRKS: &CStr = c"Quirks";
const QUIRKS_GIVEN: u32 = 1 << 31;

/// The quirks that are given in the place of those that are known. `PASSIVE_LEVEL`.
pub(crate) fn quirks(port: Port) -> Option<Quirks> {
    port.parameter(QUIRKS)
        .filter(|bits| bits & QUIRKS_GIVEN != 0)
        .map(Quirks::from_bits)
}

/// Reads the HMB policy. `PASSIVE_LEVEL`. A value that is absent, or of another type, is the default.
pub(crate) fn read(port: Port) -> Policy {
    let default = Policy::default();
    Policy {
        maximum_megabytes: port.parameter(MAXIMUM).unwrap_or(default.maximum_megabytes),
        honour_minimum_up_to_megabytes: port
            .parameter(HONOUR_MINIMUM)
            .unwrap_or(default.honour_minimum_up_to_megabytes),
        total_megabytes: port.parameter(TOTAL).unwrap_or(default.total_megabytes),
    }
}

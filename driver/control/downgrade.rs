//! What an adapter remembers of a controller that died on the memory it was lent, in its own registry key.

use core::ffi::CStr;

use nvme::hmb::Downgrade;

use crate::control::call::Call;
use crate::storport::Port;

/// The value in the adapter's key.
const NAME: &CStr = c"HmbDowngrade";

/// What was remembered of a controller with this firmware. `PASSIVE_LEVEL`.
pub(crate) fn read(port: Port, firmware: [u8; 8]) -> Option<Downgrade> {
    let records = port.adapter_record(NAME)?;
    records
        .iter()
        .find_map(|record| Downgrade::from_record(record, firmware))
}

/// Has the downgrade written down, at the IRQL that this needs. Where that cannot be had, it holds until the adapter starts
/// anew. IRQL <= `DISPATCH_LEVEL`.
pub(crate) fn remember(call: Call<'_>) {
    let _not_now = call.port.write_down();
}

/// Writes down what is to be remembered. `PASSIVE_LEVEL`, no lock held.
pub(crate) fn write(call: Call<'_>) {
    let downgrade = call.with(|state, _| state.hmb.downgrade).flatten();
    if let Some(downgrade) = downgrade {
        let _not_kept = call.port.set_adapter_record(NAME, downgrade.to_record());
    }
}

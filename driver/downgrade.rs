//! What an adapter remembers of a controller that died on the memory it was lent, in its own registry key.

use core::ffi::CStr;

use nvme::hmb::Downgrade;

use crate::adapter::Adapter;
use crate::call::Call;
use crate::storport::{Irql, Port};

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
pub(crate) fn remember(port: Port) {
    let _not_now = port.write_down();
}

/// Writes down what is to be remembered. `PASSIVE_LEVEL`.
pub(crate) fn write(adapter: &Adapter, port: Port) {
    let call = Call {
        adapter,
        port,
        irql: Irql::Passive,
    };
    let downgrade = call.enter().and_then(|state| state.hmb.downgrade);
    if let Some(downgrade) = downgrade {
        let _not_kept = port.set_adapter_record(NAME, downgrade.to_record());
    }
}

//! Scatter/gather lists.

use super::call::Call;
use super::mdl;
use crate::abi::{callback, status};
use crate::memory::Access;
use crate::rules::port as rules;
use crate::schedule::irql::HIGH;
use crate::thunk::Arguments;

/// `StorPortGetScatterGatherList`.
pub(super) extern "win64" fn get_scatter_gather_list(extension: u64, srb: u64) -> u64 {
    let call = Call::enter("StorPortGetScatterGatherList", extension, HIGH);
    let cpu = call.cpu();
    let list = {
        let state = cpu.state();
        state
            .port
            .queues
            .outstanding
            .get(&srb)
            .map(|outstanding| outstanding.list)
    };
    cpu.check(&rules::SRB_KNOWN, list.is_some(), || {
        format!("{srb:#x} is no outstanding request")
    });
    let list = list.flatten();
    cpu.check(&rules::SCATTER_GATHER, list.is_some(), || {
        format!("the request at {srb:#x} has no data")
    });
    list.unwrap_or(0)
}

/// `StorPortGetDataInBufferScatterGatherList`: the list of data that come from the device.
pub(super) fn list_of_input(call: &Call, arguments: &mut Arguments) -> u32 {
    let (srb, list_at) = (arguments.next_u64(), arguments.next_u64());
    let cpu = call.cpu();
    if !call.needs_place::<u64>(list_at, "place for the list") {
        return status::INVALID_PARAMETER;
    }
    let found = {
        let state = cpu.state();
        let outstanding = state.port.queues.outstanding.get(&srb);
        outstanding.map(|outstanding| outstanding.list.filter(|_| mdl::has_input(outstanding)))
    };
    cpu.check(&rules::SRB_KNOWN, found.is_some(), || {
        format!("{srb:#x} is no outstanding request")
    });
    let Some(list) = found.flatten() else {
        return status::INVALID_PARAMETER;
    };
    callback::write(list_at, list);
    status::SUCCESS
}

/// `StorPortGetDataInBufferSystemAddress`: as [`system_address`], for data that come from the device.
pub(super) fn address_of_input(call: &Call, arguments: &mut Arguments) -> u32 {
    let (srb, address_at) = (arguments.next_u64(), arguments.next_u64());
    let output = {
        let state = call.cpu().state();
        let outstanding = state.port.queues.outstanding.get(&srb);
        outstanding.is_some_and(|outstanding| !mdl::has_input(outstanding))
    };
    if output {
        return status::INVALID_PARAMETER;
    }
    address_of(call, srb, address_at)
}

/// `StorPortGetSystemAddress`: an address at which the miniport may touch the data buffer, whatever its `MapBuffers`.
pub(super) fn system_address(call: &Call, arguments: &mut Arguments) -> u32 {
    let (srb, address_at) = (arguments.next_u64(), arguments.next_u64());
    address_of(call, srb, address_at)
}

fn address_of(call: &Call, srb: u64, address_at: u64) -> u32 {
    let cpu = call.cpu();
    if !call.needs_place::<u64>(address_at, "place for the address") {
        return status::INVALID_PARAMETER;
    }
    let (known, mapped) = {
        let mut state = cpu.state();
        let outstanding = state.port.queues.outstanding.get_mut(&srb);
        let known = outstanding.is_some();
        let data = outstanding.and_then(|outstanding| outstanding.data.as_mut());
        (known, data.map(|data| (data.make_own(), data.at)))
    };
    cpu.check(&rules::SRB_KNOWN, known, || {
        format!("{srb:#x} is no outstanding request")
    });
    let Some((base, address)) = mapped else {
        return status::INVALID_PARAMETER;
    };
    if cpu.core().memory.protect(base, Access::ReadWrite).is_err() {
        return status::INSUFFICIENT_RESOURCES;
    }
    callback::write(address_at, address);
    status::SUCCESS
}

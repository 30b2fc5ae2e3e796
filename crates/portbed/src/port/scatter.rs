//! Scatter/gather lists.

use super::call::Call;
use crate::rules::port as rules;
use crate::schedule::irql::HIGH;

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

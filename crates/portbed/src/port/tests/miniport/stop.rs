//! Adapter control of the miniport: what it supports, and how it stops.

use super::calls::{at, extended, notify};
use super::host_memory::free_host_memory;
use super::with;
use crate::abi::callback::{read, write};
use crate::abi::power::control;
use crate::abi::{function as f, notification as n};

pub(super) extern "win64" fn adapter_control(extension: u64, kind: u32, parameters: u64) -> u32 {
    match kind {
        control::QUERY_SUPPORTED => {
            let most: u32 = read(parameters);
            for kind in [
                control::STOP_ADAPTER,
                control::RESTART_ADAPTER,
                control::SURPRISE_REMOVAL,
            ] {
                if kind < most {
                    write(parameters + 4 + u64::from(kind), 1_u8);
                }
            }
        }
        control::STOP_ADAPTER => stop(extension),
        _ => {}
    }
    0
}

/// Frees the host memory where the IRQL allows it, else from a DPC, unless the adapter only sleeps: which this miniport
/// cannot tell, so that it frees in the DPC only what is still there after the last request.
fn stop(extension: u64) {
    let mut irql = 0_u8;
    extended(extension, f::GET_CURRENT_IRQL, &[at(&mut irql)]);
    let first = with(extension, |adapter| adapter.pnp.replace(1).is_none());
    if first {
        return;
    }
    if irql <= 2 {
        free_host_memory(extension);
    } else if with(extension, |adapter| !adapter.hmb.is_empty()) {
        let dpc = extension + 160;
        notify(
            extension,
            n::INITIALIZE_DPC,
            &[dpc, free_routine as *const () as u64],
        );
        notify(extension, n::ISSUE_DPC, &[dpc, 0, 0, 0]);
    }
}

extern "win64" fn free_routine(_dpc: u64, extension: u64, _: u64, _: u64) {
    free_host_memory(extension);
}

//! A rebalance: the adapter is stopped, gets other resources, and is found and initialised again with the same extension.

use super::{Phase, memory, stop};
use crate::machine::Interrupts;
use crate::schedule::Cpu;

/// From now on requests wait in the port driver.
pub(crate) fn hold(cpu: &Cpu) {
    stop::note(cpu, "requests are held");
    cpu.state().port.adapter.phase = Phase::Stopping;
}

/// `ScsiStopAdapter`; the units stay.
pub(crate) fn stop_for_rebalance(cpu: &Cpu) {
    stop::stop(cpu);
}

/// Takes the resources of the stopped adapter back on behalf of the miniport, its registers and its uncached extension,
/// and assigns others.
pub(crate) fn reassign(cpu: &Cpu, interrupts: Interrupts) {
    let windows = std::mem::take(&mut cpu.state().port.windows);
    drop(windows);
    memory::release_uncached(cpu);
    let at = {
        let mut state = cpu.state();
        state.port.adapter.reassign(interrupts);
        state.port.adapter.bar_address
    };
    stop::note(cpu, &format!("registers are assigned at {at:#x}"));
}

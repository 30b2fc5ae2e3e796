//! Unloading the driver, when its last adapter is gone.

use super::call::Call;
use super::idle::Idle;
use super::initialize::DRIVER_UNLOAD;
use super::memory::release;
use super::{Adapter, Queues};
use crate::abi::callback;
use crate::journal::Who;
use crate::schedule::irql::PASSIVE;
use crate::schedule::{Callback, Cpu};

/// The routine that `StorPortInitialize` leaves in the driver object.
pub(super) fn routine() -> u64 {
    unload as *const () as u64
}

/// The port driver's own part of unloading. A miniport that puts a routine of its own in its place calls it from there.
extern "win64" fn unload(_object: u64) {
    let call = Call::enter_without_adapter("DriverUnload", PASSIVE);
    let now_ns = call.cpu().state().now_ns;
    let journal = &call.cpu().core().journal;
    journal.note(now_ns, Who::Port, "driver unloaded");
}

/// Calls `DriverUnload` of the driver object, at `PASSIVE_LEVEL`, and forgets the driver. Its adapters are gone.
pub(crate) fn unload_driver(cpu: &Cpu) {
    let (object, path) = cpu.state().driver.entry_arguments;
    if object == 0 {
        return;
    }
    let routine: u64 = callback::read(object + DRIVER_UNLOAD);
    if routine != 0 {
        cpu.call(Callback::DriverUnload, routine, [object, 0, 0, 0, 0, 0]);
    }
    cpu.state().driver.forget();
    for block in [object, path] {
        release(cpu, block);
    }
}

/// Takes back all that an adapter had: its extension, its configuration, its registers, its objects.
pub(super) fn forget_adapter(cpu: &Cpu) {
    let (windows, blocks) = {
        let mut state = cpu.state();
        let port = &mut state.port;
        port.timers.allocated.clear();
        port.dpcs.clear();
        port.mdls.clear();
        port.lists.clear();
        port.dma.forget_listed();
        port.idle = Idle::default();
        port.workers.clear();
        port.memory.forget();
        port.hmb.forget();
        port.queues = Queues::default();
        let buffers = std::mem::take(&mut port.registry.buffers);
        let old = &mut port.adapter;
        let new = Adapter::new(old.number, old.bar_bytes, old.interrupts);
        let old = std::mem::replace(old, new);
        let blocks = [old.extension, old.configuration_address];
        let blocks = blocks.into_iter().chain(buffers.into_keys());
        (
            std::mem::take(&mut port.windows),
            blocks.filter(|&block| block != 0).collect::<Vec<_>>(),
        )
    };
    drop(windows);
    for block in blocks {
        release(cpu, block);
    }
}

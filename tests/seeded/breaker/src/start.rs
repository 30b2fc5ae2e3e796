//! The two steps of initialisation.

use crate::adapter::Adapter;
use crate::faults::Fault;
use crate::io::dpc;
use crate::nvme::register;
use crate::port::{at, extended, function, notification, notify, stall};
use crate::wrong;

/// `HwStorInitialize`. DIRQL.
pub extern "C" fn initialize(extension: u64) -> u8 {
    let adapter = Adapter::of(extension);
    let mut information = [0_u64; 4];
    let arguments = [0, at(&mut information)];
    let messages = extended(extension, function::MESSAGE_INFORMATION, &arguments) == 0;
    adapter.line.set(!messages);
    if !messages && !adapter.wants(Fault::LineUnmaskedEarly) {
        // Until the queues are there the line is not needed.
        adapter.set_register(register::INTMS, 1);
    }
    let routine = dpc as *const () as u64;
    notify(
        extension,
        notification::INITIALIZE_DPC,
        &[adapter.dpc(), routine],
    );
    enable_passive(extension);
    stall(adapter.pick(Fault::LongStall, 2000, 20));
    adapter.pick(Fault::InitializeFails, 0, 1)
}

/// Asks for the second step.
pub fn enable_passive(extension: u64) {
    let mut accepted = 0_u32;
    let arguments = [passive as *const () as u64, at(&mut accepted)];
    notify(
        extension,
        notification::ENABLE_PASSIVE_INITIALIZATION,
        &arguments,
    );
}

/// `HwStorPassiveInitializeRoutine`. `PASSIVE_LEVEL`.
pub extern "C" fn passive(extension: u64) -> u8 {
    let adapter = Adapter::of(extension);
    if !adapter.create_queues() {
        return 0;
    }
    adapter.allocate_hmb();
    adapter.enable_hmb();
    if adapter.line.get() {
        adapter.set_register(register::INTMC, 1);
    }
    wrong::in_passive(adapter);
    u8::from(wrong::identify_into_pool(adapter))
}

//! Power: the adapter to D3 and back to D0.

use super::{Phase, bus, control};
use crate::abi::callback;
use crate::abi::power::{AdapterControlPower, POWER_D0, POWER_D3, control as kinds};
use crate::controller::Power;
use crate::journal::Who;
use crate::machine::PowerAction;
use crate::memory::Request;
use crate::rules::port as rules;
use crate::schedule::{Core, Cpu, Dispatch, LockId};

/// `STOR_POWER_ACTION`.
fn action_code(action: PowerAction) -> u32 {
    match action {
        PowerAction::None => 0,
        PowerAction::Sleep => 2,
        PowerAction::Hibernate => 3,
        PowerAction::Shutdown => 4,
    }
}

/// Puts the adapter into D3; it has no requests. Control types are called at `PASSIVE_LEVEL` or `DISPATCH_LEVEL`, as
/// the seed decides.
pub(crate) fn power_down(cpu: &Cpu, action: PowerAction) {
    note(cpu, format!("adapter to D3 ({action:?})"));
    let outstanding = cpu.state().port.queues.outstanding();
    cpu.check(&rules::LEAK_REQUESTS, outstanding == 0, || {
        format!("{outstanding} requests before D3")
    });
    if cpu.state().port.adapter.supports(kinds::ADAPTER_POWER) {
        change_power(cpu, POWER_D3, action_code(action));
    } else {
        at_device_level(cpu, kinds::STOP_ADAPTER);
    }
    let core = cpu.core();
    let mut state = cpu.state();
    state.port.adapter.phase = Phase::Asleep;
    // Run-time idling keeps the device in D3hot; a sleeping system takes its power away.
    let to = if action == PowerAction::None {
        Power::D3Hot
    } else {
        Power::D3Cold
    };
    core.with_controller(&mut state, |controller, now_ns, wiring| {
        controller.power(to, now_ns, wiring);
    });
}

/// Brings the adapter back to D0. After hibernation the host's memory is that of the time before, which the controller
/// does not know any more.
pub(crate) fn power_up(cpu: &Cpu, action: PowerAction) {
    note(cpu, "adapter to D0".to_owned());
    {
        let core = cpu.core();
        let mut state = cpu.state();
        core.with_controller(&mut state, |controller, now_ns, wiring| {
            controller.power(Power::D0, now_ns, wiring);
        });
    }
    bus::program_messages(cpu);
    if cpu.state().port.adapter.supports(kinds::ADAPTER_POWER) {
        change_power(cpu, POWER_D0, action_code(action));
    } else {
        at_device_level(cpu, kinds::RESTART_ADAPTER);
    }
    let core = cpu.core();
    let mut state = cpu.state();
    state.port.adapter.phase = Phase::Started;
    super::queue::pump(core, &mut state);
}

fn change_power(cpu: &Cpu, power_state: u32, action: u32) {
    let at_dispatch = cpu.state().random.bool();
    if at_dispatch {
        cpu.run_dispatch(Dispatch::Power(power_state, action));
    } else {
        set_power(cpu, power_state, action);
    }
}

/// `ScsiAdapterPower`.
pub(super) fn set_power(cpu: &Cpu, power_state: u32, power_action: u32) {
    let bytes = size_of::<AdapterControlPower>();
    let request = Request::new(bytes as u64, "power control");
    let Some(block) = cpu.core().memory.alloc_scattered(request, 0) else {
        return;
    };
    let parameters = AdapterControlPower {
        version: 1,
        size: bytes as u32,
        address: 0,
        power_action,
        power_state,
    };
    callback::write(block.va, parameters);
    control::adapter_control(cpu, kinds::ADAPTER_POWER, block.va);
    super::memory::release(cpu, block.va);
}

/// Stop or restart of a miniport without `ScsiAdapterPower`: at DIRQL with the interrupt lock.
pub(super) fn at_device_level(cpu: &Cpu, kind: u32) {
    cpu.acquire(LockId::Interrupt, 0);
    control::adapter_control(cpu, kind, 0);
    cpu.release(LockId::Interrupt);
}

fn note(cpu: &Cpu, what: String) {
    let core: &Core = cpu.core();
    let now_ns = cpu.state().now_ns;
    core.journal.note(now_ns, Who::Port, what);
}

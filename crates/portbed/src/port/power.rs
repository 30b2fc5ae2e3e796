//! Power: the adapter to D3 and back to D0.

use super::{Phase, bus, control, stop};
use crate::abi::callback;
use crate::abi::power::{AdapterControlPower, POWER_D0, POWER_D3, control as kinds};
use crate::controller::Power;
use crate::journal::Who;
use crate::machine::{PowerAction, PowerIrql};
use crate::memory::Request;
use crate::rules::port as rules;
use crate::schedule::{Core, Cpu, Dispatch};

/// `STOR_POWER_ACTION`.
fn action_code(action: PowerAction) -> u32 {
    match action {
        PowerAction::None => 0,
        PowerAction::Sleep => 2,
        PowerAction::Hibernate => 3,
        PowerAction::Shutdown => 4,
    }
}

/// Has the miniport get ready for D3; the adapter has no requests. `ScsiAdapterPower` comes at `PASSIVE_LEVEL` or
/// `DISPATCH_LEVEL`, as the options or the seed decide; where it is not to be had, the adapter is stopped.
pub(crate) fn prepare_power_down(cpu: &Cpu, action: PowerAction) {
    note(cpu, format!("adapter to D3 ({action:?})"));
    let outstanding = {
        let state = cpu.state();
        state.port.queues.outstanding() - state.port.queues.held()
    };
    cpu.check(&rules::LEAK_REQUESTS, outstanding == 0, || {
        format!("{outstanding} requests before D3")
    });
    if cpu.state().port.adapter.stops_for_power() {
        stop::stop(cpu);
    } else {
        change_power(cpu, POWER_D3, action_code(action));
    }
}

/// Puts the adapter into D3.
pub(crate) fn power_down(cpu: &Cpu, action: PowerAction) {
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
    if cpu.state().port.adapter.stops_for_power() {
        restart(cpu);
    } else {
        change_power(cpu, POWER_D0, action_code(action));
    }
    let core = cpu.core();
    let mut state = cpu.state();
    state.port.adapter.phase = Phase::Started;
    super::queue::pump(core, &mut state);
}

/// Restarts an adapter that was stopped: its interrupt is connected after `ScsiSetRunningConfig`, and from then on it is
/// called again.
fn restart(cpu: &Cpu) {
    if cpu.state().port.adapter.supports(kinds::SET_RUNNING_CONFIG) {
        control::adapter_control(cpu, kinds::SET_RUNNING_CONFIG, 0);
    }
    {
        let mut state = cpu.state();
        state.interrupts.connect(true);
        state.port.stopped = false;
        state.port.timers.left_pending = false;
        state.port.drops_dpcs = false;
        state.port.leaves = false;
    }
    note(cpu, "adapter is restarted at DIRQL".to_owned());
    stop::at_device_level(cpu, kinds::RESTART_ADAPTER);
}

fn change_power(cpu: &Cpu, power_state: u32, action: u32) {
    let at_dispatch = match cpu.core().options.power_irql {
        PowerIrql::Any => cpu.state().random.bool(),
        PowerIrql::Passive => false,
        PowerIrql::Dispatch => true,
    };
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

fn note(cpu: &Cpu, what: String) {
    let core: &Core = cpu.core();
    let now_ns = cpu.state().now_ns;
    core.journal.note(now_ns, Who::Port, what);
}

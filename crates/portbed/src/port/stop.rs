//! Stop and removal.

use super::queue;
use super::srb::{Function, Spec};
use super::{Phase, control, timer};
use crate::abi::power::{control as kinds, unit_control};
use crate::abi::srb::{function, pnp};
use crate::controller::Moment;
use crate::journal::Who;
use crate::machine::{Data, Removal, SrbKind, Stop, UnitAddress};
use crate::rules::port as rules;
use crate::schedule::{Cpu, Dispatch, LockId};

/// Seconds that the miniport has for the adapter's plug-and-play request.
const PNP_TIMEOUT_S: u32 = 60;

/// Sends a flush of everything that the adapter or its device caches, for one unit, past all that waits.
pub(crate) fn flush(cpu: &Cpu, token: u64, unit: UnitAddress) {
    let spec = internal(token, unit, Function::Plain(function::FLUSH), 0);
    queue::send(cpu.core(), &mut cpu.state(), spec);
}

fn internal(token: u64, unit: UnitAddress, what: Function, timeout_s: u32) -> Spec {
    Spec {
        token,
        unit,
        what,
        data: Data::None,
        buffer_offset: 0,
        pages_apart: false,
        srb: SrbKind::Storage,
        timeout_s,
        flags: 0,
        retries: 0,
    }
}

/// What the adapter's plug-and-play request announces.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Announcement {
    /// A stop, so that other resources can be assigned.
    Stop,
    Removal,
    SurpriseRemoval,
}

/// Sends the adapter's plug-and-play request, which `token` names.
pub(crate) fn announce(cpu: &Cpu, token: u64, announcement: Announcement) {
    let (action, what) = match announcement {
        Announcement::Stop => (pnp::STOP_DEVICE, "a stop is announced"),
        Announcement::Removal => (pnp::REMOVE_DEVICE, "removal is announced"),
        Announcement::SurpriseRemoval => (pnp::SURPRISE_REMOVAL, "surprise removal is announced"),
    };
    cpu.state().port.leaves = true;
    let requests = cpu.state().port.queues.outstanding();
    if requests == 0 {
        note(cpu, what);
    } else {
        note(
            cpu,
            &format!("{what}, with {requests} requests outstanding"),
        );
    }
    let spec = internal(
        token,
        UnitAddress::default(),
        Function::Pnp(action),
        PNP_TIMEOUT_S,
    );
    queue::send(cpu.core(), &mut cpu.state(), spec);
}

/// The device is pulled out: what the miniport hears besides the plug-and-play request.
pub(crate) fn surprise(cpu: &Cpu) {
    let core = cpu.core();
    cpu.state().port.leaves = true;
    if core.options.removal == Removal::Pulled {
        let mut state = cpu.state();
        core.with_controller(&mut state, |controller, _, wiring| {
            controller.remove(wiring);
        });
        drop(state);
        note(cpu, "the device was pulled out");
    } else {
        note(cpu, "the device is said to be gone");
    }
    if cpu.state().port.adapter.supports(kinds::SURPRISE_REMOVAL) {
        control::adapter_control(cpu, kinds::SURPRISE_REMOVAL, 0);
    }
}

/// A fresh device is put in where one was pulled out.
pub(crate) fn insert(cpu: &Cpu) -> std::io::Result<()> {
    let core = cpu.core();
    let inserted = {
        let mut state = cpu.state();
        core.with_controller(&mut state, |controller, _, wiring| {
            controller.insert(wiring)
        })
    };
    note(cpu, "a device was put in");
    inserted
}

/// Stops the adapter for good: the units are removed, then `ScsiStopAdapter`.
pub(crate) fn stop_adapter(cpu: &Cpu, units: &[UnitAddress], surprise: bool) {
    let kind = if surprise {
        unit_control::SURPRISE_REMOVAL
    } else {
        unit_control::REMOVE
    };
    for &unit in units {
        control::unit_control(cpu, kind, unit);
    }
    stop(cpu);
}

/// `ScsiStopAdapter`, at the IRQL that the options say. The miniport has no requests.
pub(super) fn stop(cpu: &Cpu) {
    judge_requests(cpu, |queues| queues.outstanding() - queues.held());
    cpu.state().port.leaves = true;
    let stop = cpu.core().options.stop;
    note(
        cpu,
        match stop {
            Stop::Passive => "adapter is stopped at PASSIVE_LEVEL",
            Stop::Dirql => "adapter is stopped at DIRQL",
            Stop::DirqlNoDpc => "adapter is stopped at DIRQL, without DPCs from then on",
        },
    );
    match stop {
        Stop::Passive => {
            control::adapter_control(cpu, kinds::STOP_ADAPTER, 0);
        }
        Stop::Dirql => at_device_level(cpu, kinds::STOP_ADAPTER),
        Stop::DirqlNoDpc => {
            {
                let mut state = cpu.state();
                state.port.drops_dpcs = true;
                timer::silence(&mut state);
            }
            at_device_level(cpu, kinds::STOP_ADAPTER);
        }
    }
    super::moment(cpu, Moment::Stop);
    if cpu.state().port.adapter.supports(kinds::SET_BOOT_CONFIG) {
        control::adapter_control(cpu, kinds::SET_BOOT_CONFIG, 0);
    }
}

/// The miniport has no requests, but for some perhaps.
fn judge_requests(cpu: &Cpu, count: impl Fn(&queue::Queues) -> usize) {
    let outstanding = count(&cpu.state().port.queues);
    cpu.check(&rules::LEAK_REQUESTS, outstanding == 0, || {
        format!("{outstanding} requests are outstanding")
    });
}

/// `ScsiStopAdapter` or `ScsiRestartAdapter` at DIRQL, with the interrupt lock.
pub(super) fn at_device_level(cpu: &Cpu, kind: u32) {
    cpu.acquire(LockId::Interrupt(cpu.adapter()), 0);
    control::adapter_control(cpu, kind, 0);
    cpu.release(LockId::Interrupt(cpu.adapter()));
}

/// Nothing new is called from now on: timers are silent, and what is queued is dropped. What runs goes on.
pub(crate) fn drop_what_waits(cpu: &Cpu) {
    let mut state = cpu.state();
    let dpcs: Vec<u64> = state.port.dpcs.keys().copied().collect();
    for dpc in dpcs {
        state.cancel_dispatch(Dispatch::Dpc(dpc));
    }
    timer::silence(&mut state);
}

/// Nothing is called any more: as `drop_what_waits`, and interrupts are disconnected.
pub(crate) fn silence(cpu: &Cpu) {
    drop_what_waits(cpu);
    let mut state = cpu.state();
    state.interrupts.connect(false);
    state.port.stopped = true;
}

/// The adapter that was stopped is not started again. By now no request may be held any more.
pub(crate) fn retire(cpu: &Cpu) {
    judge_requests(cpu, queue::Queues::outstanding);
    cpu.state().port.adapter.phase = Phase::Stopped;
}

pub(super) fn note(cpu: &Cpu, what: &str) {
    let now_ns = cpu.state().now_ns;
    cpu.core().journal.note(now_ns, Who::Port, what);
}

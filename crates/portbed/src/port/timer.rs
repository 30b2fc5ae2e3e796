//! Timers: the adapter's own, and those that the miniport allocates.

use std::collections::BTreeMap;

use super::call::Call;
use crate::abi::{callback, status};
use crate::rules::port as rules;
use crate::schedule::{Callback, Cpu, Dispatch, Due, LockId, State};
use crate::thunk::Arguments;

/// Handles look like kernel addresses, so that none is taken for memory of the test bed.
const FIRST_HANDLE: u64 = 0xFFFF_A000_0000_1000;
/// The resolution of the adapter's timer.
const RESOLUTION_NS: u64 = 10_000_000;

/// All timers of an adapter.
#[derive(Default)]
pub(super) struct Timers {
    routine: u64,
    generation: u64,
    /// A call of the adapter's own timer is to come.
    pending: bool,
    /// It was when the port driver fell silent after the last start.
    pub(super) left_pending: bool,
    pub(super) allocated: BTreeMap<u64, Timer>,
    handles: u64,
}

/// A timer that the miniport allocated.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timer {
    routine: u64,
    context: u64,
    generation: u64,
    period_ns: u64,
    armed: bool,
    high_resolution: bool,
}

/// `RequestTimerCall`: one timer, set again by each call, cancelled by a time of 0.
pub(super) fn request(call: &Call, arguments: &mut Arguments) {
    let (routine, us) = (arguments.next_u64(), arguments.next_u32());
    let cpu = call.cpu();
    cpu.check(&rules::TIMER_ROUTINE, routine != 0 || us == 0, || {
        format!("{us} us without a routine")
    });
    let mut state = cpu.state();
    state.cancel_dispatch(Dispatch::Timer);
    let timers = &mut state.port.timers;
    timers.generation += 1;
    timers.routine = routine;
    let generation = timers.generation;
    let sets = us > 0 && routine != 0 && !state.port.stopped;
    state.port.timers.pending = sets;
    if sets {
        let late_ns = state.random.u64(..RESOLUTION_NS);
        state.schedule(u64::from(us) * 1000 + late_ns, Due::Timer { generation });
    }
}

/// The adapter's timer is due.
pub(super) fn expire(state: &mut State, generation: u64) {
    if state.port.timers.generation == generation {
        state.port.timers.pending = false;
        state.dispatch_anywhere(Dispatch::Timer);
    }
}

/// Calls the adapter's timer routine: with the StartIo lock.
pub(super) fn run(cpu: &Cpu) {
    let (routine, extension) = {
        let state = cpu.state();
        (state.port.timers.routine, state.port.adapter.extension)
    };
    cpu.acquire(LockId::StartIo(cpu.adapter()), 0);
    // It may have been cancelled by whoever held the lock.
    if routine != 0 && cpu.state().port.timers.routine == routine {
        cpu.call(Callback::Timer, routine, [extension, 0, 0, 0, 0, 0]);
    }
    cpu.release(LockId::StartIo(cpu.adapter()));
}

/// `StorPortInitializeTimer`.
pub(super) fn initialize(call: &Call, arguments: &mut Arguments) -> u32 {
    let handle_at = arguments.next_u64();
    if !call.needs_place::<u64>(handle_at, "place for the handle") {
        return status::INVALID_PARAMETER;
    }
    let handle = add(call.cpu(), 0, 0, false);
    callback::write(handle_at, handle);
    status::SUCCESS
}

/// `StorPortInitializeHighResolutionTimer`.
pub(super) fn initialize_high_resolution(call: &Call, arguments: &mut Arguments) -> u32 {
    let (routine, context, handle_at) = (
        arguments.next_u64(),
        arguments.next_u64(),
        arguments.next_u64(),
    );
    let cpu = call.cpu();
    cpu.check(&rules::TIMER_ROUTINE, routine != 0, || {
        "a high-resolution timer without a routine".to_owned()
    });
    if !call.needs_place::<u64>(handle_at, "place for the handle") || routine == 0 {
        return status::INVALID_PARAMETER;
    }
    let handle = add(cpu, routine, context, true);
    callback::write(handle_at, handle);
    status::SUCCESS
}

fn add(cpu: &Cpu, routine: u64, context: u64, high_resolution: bool) -> u64 {
    let mut state = cpu.state();
    let timers = &mut state.port.timers;
    let handle = FIRST_HANDLE + timers.handles * 0x100;
    timers.handles += 1;
    let timer = Timer {
        routine,
        context,
        generation: 0,
        period_ns: 0,
        armed: false,
        high_resolution,
    };
    timers.allocated.insert(handle, timer);
    handle
}

/// `StorPortRequestTimer`.
pub(super) fn request_ex(call: &Call, arguments: &mut Arguments) -> u32 {
    let (handle, routine, context) = (
        arguments.next_u64(),
        arguments.next_u64(),
        arguments.next_u64(),
    );
    let (us, _tolerable) = (arguments.next_u64(), arguments.next_u64());
    call.cpu()
        .check(&rules::TIMER_ROUTINE, routine != 0 || us == 0, || {
            format!("{us} us without a routine")
        });
    arm(call, handle, us.saturating_mul(1000), 0, |timer| {
        timer.routine = routine;
        timer.context = context;
    })
}

/// `StorPortRequestHighResolutionTimer`: times in units of 100 ns; a negative one is relative.
pub(super) fn request_high_resolution(call: &Call, arguments: &mut Arguments) -> u32 {
    let (handle, due, period) = (
        arguments.next_u64(),
        arguments.next_u64(),
        arguments.next_u64(),
    );
    let (_parameters, answer_at) = (arguments.next_u64(), arguments.next_u64());
    let relative_ns = due.cast_signed().unsigned_abs().saturating_mul(100);
    let now_ns = call.cpu().state().now_ns;
    let after_ns = if due.cast_signed() < 0 {
        relative_ns
    } else {
        relative_ns.saturating_sub(now_ns)
    };
    let armed = call
        .cpu()
        .state()
        .port
        .timers
        .allocated
        .get(&handle)
        .is_some_and(|timer| timer.armed);
    let result = arm(
        call,
        handle,
        after_ns.max(1),
        period.saturating_mul(100),
        |_| (),
    );
    call.answer(answer_at, u8::from(armed));
    result
}

fn arm(
    call: &Call,
    handle: u64,
    after_ns: u64,
    period_ns: u64,
    set: impl FnOnce(&mut Timer),
) -> u32 {
    let cpu = call.cpu();
    let known = {
        let mut state = cpu.state();
        let stopped = state.port.stopped;
        state.cancel_dispatch(Dispatch::TimerEx(handle));
        let generation = state.port.timers.allocated.get_mut(&handle).map(|timer| {
            set(timer);
            timer.generation += 1;
            timer.period_ns = period_ns;
            timer.armed = after_ns > 0 && !stopped;
            (timer.generation, timer.armed)
        });
        if let Some((generation, true)) = generation {
            state.schedule(after_ns, Due::TimerEx { handle, generation });
        }
        generation.is_some()
    };
    judge_handle(cpu, handle, known)
}

fn judge_handle(cpu: &Cpu, handle: u64, known: bool) -> u32 {
    if cpu.check(&rules::TIMER_HANDLE, known, || {
        format!("{handle:#x} is no timer")
    }) {
        status::SUCCESS
    } else {
        status::INVALID_PARAMETER
    }
}

/// `StorPortCancelHighResolutionTimer`.
pub(super) fn cancel_high_resolution(call: &Call, arguments: &mut Arguments) -> u32 {
    let (handle, _parameters, answer_at) = (
        arguments.next_u64(),
        arguments.next_u64(),
        arguments.next_u64(),
    );
    let armed = call
        .cpu()
        .state()
        .port
        .timers
        .allocated
        .get(&handle)
        .is_some_and(|timer| timer.armed);
    let result = arm(call, handle, 0, 0, |_| ());
    call.answer(answer_at, u8::from(armed));
    result
}

/// `StorPortFreeTimer` and `StorPortFreeHighResolutionTimer`.
pub(super) fn free(call: &Call, arguments: &mut Arguments, high_resolution: bool) -> u32 {
    let handle = arguments.next_u64();
    let cpu = call.cpu();
    let known = {
        let mut state = cpu.state();
        state.cancel_dispatch(Dispatch::TimerEx(handle));
        let timer = state.port.timers.allocated.remove(&handle);
        timer.is_some_and(|timer| timer.high_resolution == high_resolution)
    };
    judge_handle(cpu, handle, known)
}

/// A timer that the miniport allocated is due.
pub(super) fn expire_ex(state: &mut State, handle: u64, generation: u64) {
    let Some(timer) = state.port.timers.allocated.get_mut(&handle) else {
        return;
    };
    if timer.generation != generation || !timer.armed {
        return;
    }
    let period_ns = timer.period_ns;
    timer.armed = period_ns > 0;
    if period_ns > 0 {
        state.schedule(period_ns, Due::TimerEx { handle, generation });
    }
    state.dispatch_anywhere(Dispatch::TimerEx(handle));
}

/// Calls the routine of a timer that the miniport allocated: with no lock.
pub(super) fn run_ex(cpu: &Cpu, handle: u64) {
    let (timer, extension) = {
        let state = cpu.state();
        (
            state.port.timers.allocated.get(&handle).copied(),
            state.port.adapter.extension,
        )
    };
    if let Some(timer) = timer.filter(|timer| timer.routine != 0) {
        cpu.call(
            Callback::TimerEx,
            timer.routine,
            [extension, timer.context, 0, 0, 0, 0],
        );
    }
}

/// Forgets every call that is still to come, as a stop does.
pub(super) fn silence(state: &mut State) {
    let timers = &mut state.port.timers;
    timers.generation += 1;
    timers.left_pending |= std::mem::take(&mut timers.pending);
    for timer in timers.allocated.values_mut() {
        timer.generation += 1;
        timer.armed = false;
    }
    let handles: Vec<u64> = timers.allocated.keys().copied().collect();
    for handle in handles {
        state.cancel_dispatch(Dispatch::TimerEx(handle));
    }
    state.cancel_dispatch(Dispatch::Timer);
}

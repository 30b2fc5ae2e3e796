//! Interrupts, and the DPC and the timer of the control plane.

use crate::adapter::Adapter;
use crate::control::call::{Call, StartIo};
use crate::control::mask::LineInterrupt;
use crate::control::power;
use crate::control::state::State;
use crate::io::completion::BUSY_US;
use crate::storport::{Irql, Port, SrbList};

/// A message: always the adapter's own. One may come as soon as the routine is connected, before `HwInitialize`: the admin
/// commands of `HwFindAdapter` leave one pending where MSI-X was enabled by then. There is no DPC yet; passive initialisation
/// looks at the rings when it ends.
pub(crate) fn message_interrupt(adapter: &Adapter, port: Port, message: u32) {
    if !adapter.dpc_is_initialized() {
        return;
    }
    let index = (message as usize).wrapping_sub(1);
    match adapter
        .io
        .pairs()
        .get(index)
        .filter(|_| adapter.io_has_own_messages())
    {
        Some(pair) => pair.dpc.issue_for(port, index),
        None => adapter.dpc.issue(port),
    };
}

/// A line interrupt: true when it is the adapter's. The controller stays masked until the DPC has seen what it wants.
pub(crate) fn line_interrupt(adapter: &Adapter, port: Port) -> bool {
    let Some(registers) = adapter.registers.get() else {
        return false;
    };
    if adapter.messages() != 0 || !adapter.dpc_is_initialized() {
        return false;
    }
    let posted = adapter.io.sees_completion() || adapter.admin_lookout.sees_completion();
    let interrupt = adapter
        .mask
        .line_interrupt(posted, registers, || port.now());
    if interrupt != LineInterrupt::Refused {
        adapter.dpc.issue(port);
    }
    interrupt == LineInterrupt::Claimed
}

/// The DPC of the control plane: takes the next step of whatever is under way. Passive initialisation looks for itself. What the port
/// driver has to be asked for after that is seen to without a lock.
pub(crate) fn deferred(adapter: &Adapter, port: Port) {
    if adapter.is_starting() {
        return;
    }
    let call = Call::free(adapter, port, Irql::Dispatch);
    let mut done = SrbList::new();
    let errand = call.once(|state, call| {
        serve(state, call, &mut done);
        state.hmb.is_unsent()
    });
    done.complete(port);
    match errand {
        Some(false) => {}
        Some(true) => {
            call.see_to_errands();
        }
        None => come_back(call),
    }
    power::do_what_is_owed(call);
}

/// `HwStorTimer`, with the StartIo lock: the next step of whatever is under way. Passive initialisation takes them itself.
pub(crate) fn tick(adapter: &Adapter, port: Port) {
    if adapter.is_starting() {
        return;
    }
    let call = Call::held(adapter, port);
    let mut done = SrbList::new();
    if call
        .once(|state, call| serve(state, call, &mut done))
        .is_none()
    {
        come_back(call);
    }
    done.complete(port);
    if adapter.owed.is_any() {
        adapter.dpc.issue(port);
    }
}

/// A callback at DIRQL has the state, on another processor. A line interrupt stays masked until the next visit.
fn come_back(call: Call<'_>) {
    call.port.tick_after(BUSY_US);
}

/// One visit of the state at `DISPATCH_LEVEL` under the StartIo lock. What is not finished is left to the timer or to another DPC.
fn serve(state: &mut State, call: Call<'_>, done: &mut SrbList) {
    let mut asked = SrbList::new();
    call.adapter.asked.lock().move_to(&mut asked);
    while let Some((srb, _)) = asked.pop() {
        state.accept(call, srb, done);
    }
    visit(state, call, done);
    if call.adapter.messages() == 0
        && state.takes_interrupts()
        && let Some(registers) = &state.registers
    {
        call.adapter.mask.release_line(registers);
    }
}

/// Drains, advances, and asks for the next visit.
pub(crate) fn visit(state: &mut State, call: Call<'_>, done: &mut SrbList) {
    if state.drain(call, done).more {
        call.adapter.dpc.issue(call.port);
    }
    let after_us = state
        .advance(call, done)
        .or_else(|| state.retry_hmb(call, done));
    let wanted = [
        after_us,
        state.watch_line(call),
        state.poll_after_us(call),
        state.log_after_us(call),
    ];
    if let Some(after_us) = wanted.into_iter().flatten().min() {
        call.port.tick_after(after_us);
    }
    // Who holds a lock of the port driver's cannot run an errand: the DPC can, where no work item can be had.
    if call.lock == StartIo::Held && state.hmb.is_unsent() && !state.hmb.send_errand(call.port) {
        call.adapter.dpc.issue(call.port);
    }
}

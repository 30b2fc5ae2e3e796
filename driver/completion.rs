//! A request's way out: interrupt, DPC, completion.

use crate::adapter::Adapter;
use crate::call::Call;
use crate::power;
use crate::state::State;
use crate::storport::{Irql, Port, SrbList};

/// When to come back to a state that was in use, in microseconds.
const BUSY_US: u32 = 1000;

/// A message: always the adapter's own. One may come as soon as the routine is connected, before `HwInitialize`: the admin
/// commands of `HwFindAdapter` leave one pending where MSI-X was enabled by then. There is no DPC yet; passive initialisation
/// looks at the rings when it ends.
pub(crate) fn message_interrupt(adapter: &Adapter, port: Port, message: u32) {
    if adapter.dpc_is_initialized() {
        if message == 0 {
            &adapter.dpc
        } else {
            adapter.io_dpc()
        }
        .issue(port);
    }
}

/// A line interrupt: true when it is the adapter's. The controller stays masked until the DPC has seen what it wants.
pub(crate) fn line_interrupt(adapter: &Adapter, port: Port) -> bool {
    let Some(registers) = adapter.registers.get() else {
        return false;
    };
    if adapter.messages() != 0 || !adapter.dpc_is_initialized() {
        return false;
    }
    let posted = adapter.io_lookout.sees_completion() || adapter.admin_lookout.sees_completion();
    let ours = adapter.mask.claim_line(posted, registers);
    if ours {
        adapter.dpc.issue(port);
    }
    ours
}

/// The DPC of the message that tells of requests: drains their completion queue and looks at nothing else, unless something is
/// under way or not as it should be.
pub(crate) fn request_deferred(adapter: &Adapter, port: Port) {
    let call = Call {
        adapter,
        port,
        irql: Irql::Dispatch,
    };
    let done = port.under_start_io_lock(|| {
        let mut done = SrbList::new();
        let drained = adapter
            .state
            .enter()
            .is_some_and(|mut state| state.drain_alone(call, &mut done));
        if !drained {
            serve(call, &mut done);
        }
        done
    });
    done.complete(port);
}

/// The DPC: drains the queues, and takes the next step of whatever is under way.
pub(crate) fn deferred(adapter: &Adapter, port: Port) {
    let call = Call {
        adapter,
        port,
        irql: Irql::Dispatch,
    };
    let done = port.under_start_io_lock(|| {
        let mut done = SrbList::new();
        serve(call, &mut done);
        done
    });
    done.complete(port);
    power::end_stop(call);
}

/// One visit of the state, in a callback at `DISPATCH_LEVEL` under the StartIo lock. What is not finished is left to the
/// timer or to another DPC.
pub(crate) fn serve(call: Call<'_>, done: &mut SrbList) {
    let Some(mut state) = call.adapter.state.enter() else {
        // A callback at a lower IRQL has it, and may sit below on this very processor: come back later. A line interrupt
        // stays masked until then, or it would come again at once and that callback never get on.
        call.port.tick_after(BUSY_US);
        return;
    };
    visit(&mut state, call, done);
    if call.adapter.messages() == 0
        && state.takes_interrupts()
        && let Some(registers) = &state.registers
    {
        call.adapter.mask.release_line(registers);
    }
}

/// Drains, advances, and asks for the next visit.
pub(crate) fn visit(state: &mut State, call: Call<'_>, done: &mut SrbList) {
    if state.drain(call, done) {
        call.adapter.dpc.issue(call.port);
    }
    let after_us = state
        .advance(call, done)
        .or_else(|| state.retry_hmb(call, done));
    let wanted = [after_us, state.poll_after_us(), state.log_after_us(call)];
    if let Some(after_us) = wanted.into_iter().flatten().min() {
        call.port.tick_after(after_us);
    }
}

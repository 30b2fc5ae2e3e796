//! A request's way out: interrupt, DPC, completion.

use nvme::Registers;
use nvme_spec::registers::{INTMC, INTMS};

use crate::adapter::Adapter;
use crate::state::{Call, State};
use crate::storport::{Irql, Port, SrbList};

/// Vector 0: the only one there is with a line interrupt.
const VECTOR_0: u32 = 1;

/// When to come back to a state that was in use, in microseconds.
const BUSY_US: u32 = 1000;

/// A message: always the adapter's own.
pub(crate) fn message_interrupt(adapter: &Adapter, port: Port) {
    adapter.dpc.issue(port);
}

/// A line interrupt: true when it is the adapter's. Masks the controller until the DPC has seen what it wants, or the line
/// would stay asserted.
pub(crate) fn line_interrupt(adapter: &Adapter, port: Port) -> bool {
    let Some(registers) = adapter.registers.get() else {
        return false;
    };
    if adapter.messages() != 0 {
        return false;
    }
    // A processor that is inside right now may have looked before the completion came: then claim and look again.
    if adapter
        .state
        .enter()
        .is_some_and(|state| !state.has_completions())
    {
        return false;
    }
    registers.write32(INTMS, VECTOR_0);
    adapter.dpc.issue(port);
    true
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
    if adapter.messages() == 0
        && let Some(registers) = adapter.registers.get()
    {
        registers.write32(INTMC, VECTOR_0);
    }
}

/// One visit of the state, in a callback at `DISPATCH_LEVEL` under the StartIo lock. What is not finished is left to the
/// timer or to another DPC.
pub(crate) fn serve(call: Call<'_>, done: &mut SrbList) {
    let Some(mut state) = call.adapter.state.enter() else {
        // A callback at a lower IRQL has it, and may sit below on this very processor: come back later.
        call.port.tick_after(BUSY_US);
        return;
    };
    visit(&mut state, call, done);
}

/// Drains, advances, and asks for the next visit.
pub(crate) fn visit(state: &mut State, call: Call<'_>, done: &mut SrbList) {
    if state.drain(call, done) {
        call.adapter.dpc.issue(call.port);
    }
    let after_us = state
        .advance(call, done)
        .or_else(|| state.retry_hmb(call, done));
    if let Some(after_us) = after_us {
        call.port.tick_after(after_us);
    }
}

//! The timer, and resets that the port driver asks for.

use crate::adapter::Adapter;
use crate::call::Call;
use crate::completion::{serve, visit};
use crate::storport::{Irql, Port, SrbList, SrbStatus};

/// `HwStorTimer`, with the StartIo lock: the next step of whatever is under way.
pub(crate) fn tick(adapter: &Adapter, port: Port) {
    let mut done = SrbList::new();
    serve(
        Call {
            adapter,
            port,
            irql: Irql::Dispatch,
        },
        &mut done,
    );
    done.complete(port);
}

/// `HwStorResetBus`, with the StartIo lock: resets the controller. Requests that it never got come back at once, for the port
/// driver has waited for them long enough; those that it has come back once it has stopped, not
/// before: until then it may still read or write their buffers. False when another callback has the adapter for too long.
pub(crate) fn reset(adapter: &Adapter, port: Port) -> bool {
    let call = Call {
        adapter,
        port,
        irql: Irql::Dispatch,
    };
    let mut done = SrbList::new();
    let entered = call.enter();
    let reset = entered.is_some();
    if let Some(mut state) = entered {
        state.return_waiting(&mut done, SrbStatus::BUS_RESET);
        state.recover(call);
        visit(&mut state, call, &mut done);
    }
    done.complete(port);
    reset
}

//! Power and stop: `HwStorAdapterControl`.

use nvme::lifecycle::Contents;

use crate::adapter::Adapter;
use crate::call::Call;
use crate::completion::visit;
use crate::state::{Life, Stage};
use crate::storport::{Irql, Port, SrbList};

/// What `HwStorAdapterControl` is asked to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum AdapterControl {
    /// Stop: the hardware may be gone already.
    Stop,
    /// Restart after a stop, with everything as it was.
    Restart,
    /// Power down.
    PowerDown {
        /// The system goes too: another one may run before the power comes back (hibernation, hybrid sleep, fast start-up),
        /// and rewrite the memory.
        system: bool,
    },
    /// Power is back.
    PowerUp,
    /// The device was pulled.
    SurpriseRemoval,
}

/// How long a callback that must not sleep waits for the controller, in microseconds: for an orderly rest, and then for one
/// by force. Together less than the half second after which Storport's verifier takes a callback for stuck.
const DISPATCH_BUDGETS_US: [u32; 2] = [350_000, 100_000];
/// As above, at DIRQL. With the wait for the state it stays under 10 ms; what is left is the DPC's.
const DEVICE_BUDGETS_US: [u32; 2] = [6_000, 2_000];

/// Does what is asked for. What may take longer than the IRQL allows goes on from the timer.
pub(crate) fn control(adapter: &Adapter, port: Port, control: AdapterControl) {
    let irql = port.current_irql().unwrap_or_else(|_| match control {
        // DIRQL by its page, under the interrupt lock: no other lock may be taken.
        AdapterControl::Stop | AdapterControl::Restart => Irql::Device,
        _ => port.irql_by_lock(),
    });
    let call = Call {
        adapter,
        port,
        irql,
    };
    match control {
        AdapterControl::PowerDown { system } => {
            if let Some(mut state) = call.enter() {
                if system {
                    state.hmb.contents = Contents::Lost;
                }
                state.rest(call, Life::Asleep);
            }
            settle(call);
        }
        AdapterControl::Stop => {
            stop(call);
            if call.irql == Irql::Device && !is_over(call) {
                adapter.set_stopping(true);
                adapter.dpc.issue(port);
            }
        }
        AdapterControl::SurpriseRemoval => {
            let mut done = SrbList::new();
            if let Some(mut state) = call.enter() {
                state.surprise_removal(call, &mut done);
            }
            done.complete(port);
            settle(call);
        }
        AdapterControl::PowerUp | AdapterControl::Restart => {
            adapter.set_stopping(false);
            let mut done = SrbList::new();
            if let Some(mut state) = call.enter() {
                state.wake(call);
                if call.irql == Irql::Device {
                    port.tick_after(1);
                } else {
                    visit(&mut state, call, &mut done);
                }
            }
            done.complete(port);
        }
    }
}

/// Waits until the controller is at rest, within what the IRQL allows; then it is stopped by force. What takes longer than
/// that too goes on from the timer.
fn settle(call: Call<'_>) {
    let [orderly_us, forced_us] = match call.irql {
        Irql::Passive => return call.advance_to_end(),
        Irql::Dispatch => DISPATCH_BUDGETS_US,
        Irql::Device => DEVICE_BUDGETS_US,
    };
    if !call.advance_within(orderly_us) {
        if let Some(mut state) = call.enter()
            && state.stage != Stage::Disabling
        {
            state.disable(call);
        }
        if !call.advance_within(forced_us) {
            call.port.tick_after(1);
        }
    }
}

/// Brings the adapter to rest for good. What is left of its memory is freed or told where the IRQL allows it.
fn stop(call: Call<'_>) {
    if let Some(mut state) = call.enter() {
        state.rest(call, Life::Stopped);
    }
    settle(call);
    if let Some(mut state) = call.enter() {
        state.hmb.release(call, Life::Stopped);
    }
}

/// Whether a stop has nothing left to do.
fn is_over(call: Call<'_>) -> bool {
    call.enter()
        .is_some_and(|state| !state.is_busy() && !state.hmb.is_granted() && !state.hmb.is_lent())
}

/// Ends a stop that came at DIRQL and was cut short there, if the port driver still runs DPCs.
pub(crate) fn end_stop(call: Call<'_>) {
    if call.adapter.is_stopping() {
        call.adapter.set_stopping(false);
        stop(call);
    }
}

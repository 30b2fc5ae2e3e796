//! Power and stop: `HwStorAdapterControl`.

use core::sync::atomic::{AtomicU32, Ordering};

use nvme::lifecycle::Contents;

use crate::adapter::Adapter;
use crate::control::call::Call;
use crate::control::interrupt::visit;
use crate::control::report;
use crate::control::state::{Life, Stage};
use crate::storport::{Irql, Port, SrbList};

/// What `HwStorAdapterControl` is asked to do. The numbers are those of an event.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum AdapterControl {
    /// Stop: the hardware may be gone already.
    Stop = 1,
    /// Restart after a stop, with everything as it was.
    Restart = 2,
    /// Power down; the system runs on.
    PowerDown = 3,
    /// Power down, and the system goes too: another one may run before the power comes back (hibernation, hybrid sleep, fast
    /// start-up), and rewrite the memory.
    SystemPowerDown = 4,
    /// Power is back.
    PowerUp = 5,
    /// The device was pulled.
    SurpriseRemoval = 6,
}

impl AdapterControl {
    const ALL: [Self; 6] = [
        Self::Stop,
        Self::Restart,
        Self::PowerDown,
        Self::SystemPowerDown,
        Self::PowerUp,
        Self::SurpriseRemoval,
    ];

    /// Whether the adapter comes to rest by it.
    const fn rests(self) -> bool {
        !matches!(self, Self::Restart | Self::PowerUp)
    }
}

/// What `HwStorAdapterControl` was asked to do and did not do, so that a DPC has to: none, or the control's number.
pub(crate) struct Owed(AtomicU32);

/// Beside the number: the control was begun, and only the rest of it is owed.
const BEGUN: u32 = 1 << 31;

impl Owed {
    pub(crate) const fn nothing() -> Self {
        Self(AtomicU32::new(0))
    }

    pub(crate) fn is_any(&self) -> bool {
        self.0.load(Ordering::Acquire) != 0
    }

    fn set(&self, control: AdapterControl, begun: bool) {
        let begun = if begun { BEGUN } else { 0 };
        self.0.store(control as u32 | begun, Ordering::Release);
    }

    /// What was owed, and whether it was begun. From now on nothing is.
    pub(crate) fn take(&self) -> Option<(AdapterControl, bool)> {
        if !self.is_any() {
            return None;
        }
        let owed = self.0.swap(0, Ordering::AcqRel);
        let mut all = AdapterControl::ALL.into_iter();
        let control = all.find(|control| *control as u32 == owed & !BEGUN)?;
        Some((control, owed & BEGUN != 0))
    }
}

/// How long a callback that must not sleep waits for the controller, in microseconds: for an orderly rest, and then for one
/// by force. Together less than the half second after which Storport's verifier takes a callback for stuck.
const DISPATCH_BUDGETS_US: [u32; 2] = [350_000, 100_000];
/// As above, at DIRQL. With the wait for the state it stays under 10 ms; what is left is the DPC's.
const DEVICE_BUDGETS_US: [u32; 2] = [6_000, 2_000];
/// When to try again what could not be begun, in microseconds.
const AGAIN_US: u32 = 1_000;

/// Does what is asked for. What may take longer than the IRQL allows goes on from the timer.
pub(crate) fn control(adapter: &Adapter, port: Port, control: AdapterControl) {
    let irql = port.current_irql().unwrap_or_else(|_| match control {
        // DIRQL by its page, under the interrupt lock: no other lock may be taken.
        AdapterControl::Stop | AdapterControl::Restart => Irql::Device,
        _ => port.irql_by_lock(),
    });
    // What is asked for now takes the place of what is owed. A rest that was not begun is none.
    let owed = adapter.owed.take();
    let unprepared = owed.is_some_and(|(control, begun)| control.rests() && !begun);
    let call = Call::free(adapter, port, irql);
    if !carry_out(call, control, unprepared) {
        adapter.owed.set(control, false);
        adapter.dpc.issue(port);
    }
}

/// Does what was not done when it was asked for, if the port driver still runs DPCs. In a DPC.
pub(crate) fn do_what_is_owed(call: Call<'_>) {
    let Some((control, begun)) = call.adapter.owed.take() else {
        return;
    };
    if carry_out(call, control, false) {
        if !begun {
            report::late(call, control);
        }
    } else {
        call.adapter.owed.set(control, begun);
        call.port.tick_after(AGAIN_US);
    }
}

/// False when the state could not be had, and nothing was done.
fn carry_out(call: Call<'_>, control: AdapterControl, unprepared: bool) -> bool {
    let begun = match control {
        AdapterControl::PowerDown | AdapterControl::SystemPowerDown => call.with(|state, call| {
            if control == AdapterControl::SystemPowerDown {
                state.hmb.contents = Contents::Lost;
            }
            state.rest(call, Life::Asleep);
        }),
        AdapterControl::Stop => call.with(|state, call| state.rest(call, Life::Stopped)),
        AdapterControl::SurpriseRemoval => {
            let mut done = SrbList::new();
            let begun = call.with(|state, call| state.surprise_removal(call, &mut done));
            done.complete(call.port);
            begun
        }
        AdapterControl::PowerUp | AdapterControl::Restart => return wake(call, unprepared),
    };
    if begun.is_none() {
        return false;
    }
    settle(call);
    if control == AdapterControl::Stop {
        end_stop(call);
    }
    true
}

fn wake(call: Call<'_>, unprepared: bool) -> bool {
    let mut done = SrbList::new();
    let begun = call.with(|state, call| {
        state.wake(call, unprepared);
        if call.irql == Irql::Device {
            call.port.tick_after(1);
            // From now on requests are held until it runs.
            return state.set_gate(call, &mut done);
        }
        visit(state, call, &mut done);
        true
    });
    done.complete(call.port);
    if call.irql != Irql::Device {
        call.see_to_errands();
    }
    begun == Some(true)
}

/// Waits until the controller is at rest, within what the IRQL allows; then it is stopped by force. What takes longer than
/// that too goes on from the timer.
fn settle(call: Call<'_>) {
    let [orderly_us, forced_us] = match call.irql {
        Irql::Passive => return call.advance_to_end(),
        Irql::Dispatch => DISPATCH_BUDGETS_US,
        Irql::Device => DEVICE_BUDGETS_US,
    };
    if call.advance_within(orderly_us) {
        return;
    }
    call.with(|state, call| state.stage == Stage::Disabling || state.disable(call));
    if !call.advance_within(forced_us) {
        call.port.tick_after(1);
    }
}

/// The end of a stop: what is left of the memory is freed or told. At DIRQL that, and what was cut short there, is the DPC's, if
/// the port driver still runs one.
fn end_stop(call: Call<'_>) {
    let over = call.with(|state, call| {
        state.hmb.release(call, Life::Stopped);
        !state.is_busy() && state.hmb.is_none()
    });
    if call.irql != Irql::Device {
        call.see_to_errands();
    } else if over != Some(true) {
        call.adapter.owed.set(AdapterControl::Stop, true);
        call.adapter.dpc.issue(call.port);
    }
}

//! The timer, and resets that the port driver asks for.

use nvme::hmb::Symptom;
use nvme::lifecycle::{Failure, Goal};
use nvme_spec::command::AdminOpcode;

use crate::adapter::Adapter;
use crate::call::Call;
use crate::completion::{serve, visit};
use crate::state::{Life, Stage, State};
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

impl State {
    /// As somebody asks for it: resets the controller and brings it back. False where it is not in use: then there is
    /// nothing to reset.
    pub(crate) fn recover(&mut self, call: Call<'_>) -> bool {
        if let (Life::Running, Some(controller), Some(registers)) =
            (self.life, &self.controller, &self.registers)
        {
            if controller.has_failed(registers) {
                self.suspect(call, Symptom::Dead);
            } else if self.outstanding.outstanding() > 0 {
                self.suspect(call, Symptom::Silent);
            }
        }
        if self.stage == Stage::Lending {
            // It is reset before it answered, or the next lending would hold its requests up as long.
            let failure = Failure::TimedOut(AdminOpcode::SET_FEATURES);
            self.hmb
                .not_enabled(call, self.controller.as_ref(), failure);
        }
        self.reset(call)
    }

    /// The controller does not work: its Host Memory Buffer may be why.
    pub(crate) fn suspect(&mut self, call: Call<'_>, symptom: Symptom) {
        if self.life == Life::Running {
            self.hmb.suspect(call, self.controller.as_ref(), symptom);
        }
    }

    /// Resets the controller; what it had in hand comes back as reset.
    pub(crate) fn reset(&mut self, call: Call<'_>) -> bool {
        if !matches!(self.life, Life::Running | Life::Waking) {
            return false;
        }
        self.life = Life::Waking;
        if self.stage != Stage::Resetting {
            self.begin(call, Goal::Reset, Stage::Resetting);
        }
        true
    }
}

//! Requests that come back without an answer of the controller: those that it never got, those that a reset ended, and those that are
//! held until it is known not to use their memory.

use nvme::Registers;
use nvme::lifecycle::Controller;
use nvme_spec::registers::CSTS;

use crate::control::call::Call;
use crate::control::report;
use crate::control::state::{Life, State};
use crate::storport::{SrbList, SrbStatus};

impl State {
    /// Nothing more will come of any request.
    pub(crate) fn give_up(&mut self, call: Call<'_>, done: &mut SrbList) {
        self.return_proven(call, done, self.unfinished);
        call.adapter
            .io
            .return_waiting(call.irql, self.unfinished, done);
    }

    /// The requests that the controller had come back where it is known not to use their memory any more. Else they are held
    /// until that is known; where the adapter is being removed they cannot be, and an event says so.
    pub(crate) fn return_proven(&mut self, call: Call<'_>, done: &mut SrbList, status: SrbStatus) {
        let requests = call.adapter.io.outstanding(call.irql);
        let unproven = self
            .controller
            .as_ref()
            .is_some_and(Controller::may_use_memory);
        if unproven && requests > 0 {
            let registers = self.registers.as_ref();
            let controller_status = registers.map_or(u32::MAX, |it| it.read32(CSTS));
            if self.life != Life::Stopped {
                report::held(call, requests, controller_status);
                return;
            }
            report::returned(call, requests, controller_status);
        }
        let io = &call.adapter.io;
        io.return_outstanding(call.irql, status, done);
    }

    /// Whether requests are held although the controller was given up.
    pub(crate) fn holds_requests(&self, call: Call<'_>) -> bool {
        self.life == Life::Dead && call.adapter.io.outstanding(call.irql) > 0
    }
}

//! Stop and removal, as plug and play announces them.

use crate::control::call::Call;
use crate::control::state::{Life, State};
use crate::storport::{PnpAction, Srb, SrbList, SrbStatus};

impl State {
    /// A plug and play request. One of the adapter itself is completed when the controller is at rest and its memory is
    /// back.
    pub(crate) fn plug_and_play(&mut self, call: Call<'_>, srb: Srb, done: &mut SrbList) {
        match srb.plug_and_play() {
            Some((action @ (PnpAction::Stop | PnpAction::Remove), true)) => {
                // A stopped adapter is found again, and the class driver sends such requests once more.
                self.unfinished = if action == PnpAction::Stop {
                    SrbStatus::BUS_RESET
                } else {
                    SrbStatus::NO_HBA
                };
                self.then_complete.push(srb, SrbStatus::SUCCESS);
                self.rest(call, Life::Stopped);
                if !self.is_busy() {
                    self.at_rest(call, done);
                }
            }
            Some((PnpAction::SurpriseRemoval, true)) => {
                self.then_complete.push(srb, SrbStatus::SUCCESS);
                self.surprise_removal(call, done);
            }
            Some((PnpAction::Stop | PnpAction::Remove | PnpAction::SurpriseRemoval, false)) => {
                done.push(srb, SrbStatus::SUCCESS);
            }
            Some((PnpAction::Other, _)) | None => done.push(srb, SrbStatus::INVALID_REQUEST),
        }
    }

    /// The system says that the device is gone. That is so once its registers have read as all ones for a while; one that
    /// answers is stopped: it holds queues and event requests, in memory that the port driver takes back.
    pub(crate) fn surprise_removal(&mut self, call: Call<'_>, done: &mut SrbList) {
        self.removed = true;
        self.hmb.ask_for_nothing();
        self.unfinished = SrbStatus::NO_HBA;
        self.life = Life::Stopped;
        if let Some(controller) = &mut self.controller {
            controller.announce_removal();
        }
        if self.confirm_removal(call) || !self.disable(call) {
            self.at_rest(call, done);
        }
    }

    /// Whether the device is gone: the system said so and the registers have agreed for a while. That is proof for all memory.
    pub(crate) fn confirm_removal(&mut self, call: Call<'_>) -> bool {
        let (Some(controller), Some(registers)) = (&mut self.controller, &self.registers) else {
            return false;
        };
        let gone = self.removed && controller.confirm_removal(registers);
        if gone {
            self.hmb.settle(call, controller);
        }
        gone
    }
}

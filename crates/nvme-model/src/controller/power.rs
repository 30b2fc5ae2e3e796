//! Power, removal and insertion.

use super::Controller;
use crate::bus::Bus;
use crate::fault::Moment;

/// A power state of the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Power {
    /// It works.
    D0,
    /// Configuration space answers, registers read all ones. The controller keeps its state.
    D3Hot,
    /// Everything reads all ones. The controller comes back as after a reset; configuration space and the MSI-X table come
    /// back as they were, as the machine's bus driver restores them.
    D3Cold,
}

impl Controller {
    /// Enters a power state.
    pub fn power(&mut self, to: Power, now_ns: u64, bus: &mut dyn Bus) {
        if !self.present || to == self.power {
            return;
        }
        if self.power == Power::D0 {
            self.judge_power_off(bus);
            self.judge_d3(bus);
        }
        bus.note(format!("power: {:?} to {to:?}", self.power));
        self.enter(to, bus);
        if to == Power::D0 {
            self.moment(Moment::D0, now_ns, bus);
        }
    }

    /// The machine is switched off. That is no transition to D3, from which a host comes back to its memory: a Host Memory
    /// Buffer may stay lent, once the controller is shut down. The controller comes back with [`Controller::power`].
    pub fn switch_off(&mut self, bus: &mut dyn Bus) {
        if !self.present || self.power == Power::D3Cold {
            return;
        }
        if self.power == Power::D0 {
            self.judge_power_off(bus);
        }
        bus.note("switched off".to_owned());
        self.enter(Power::D3Cold, bus);
    }

    fn enter(&mut self, to: Power, bus: &mut dyn Bus) {
        if to == Power::D3Cold {
            self.hmb.lose();
            self.reset_function(bus);
            self.logs.power_cycle();
            self.update_firmware();
        }
        self.power = to;
        self.config.sleep(to == Power::D3Hot);
        self.interrupts.release(&self.config, bus);
        self.sync_line(bus);
    }

    /// The device is pulled out: everything reads all ones from now on, and nothing is done any more.
    pub fn remove(&mut self, bus: &mut dyn Bus) {
        if self.present {
            bus.note("removed".to_owned());
            self.hmb.lose();
            self.reset_function(bus);
            self.present = false;
            self.sync_line(bus);
        }
    }

    /// The device is put back in, with what its namespaces hold: it starts as after a power cycle.
    pub fn insert(&mut self, bus: &mut dyn Bus) {
        if !self.present {
            bus.note("inserted".to_owned());
            self.present = true;
            self.power = Power::D0;
            self.config.sleep(false);
            self.logs.power_cycle();
            self.sync_line(bus);
        }
    }
}

//! How the controller dies where its profile says so, and what cures it.

use nvme_spec::registers::ControllerStatus;

use super::Controller;
use crate::bus::Bus;
use crate::fault::Panic;
use crate::profile::{Death, Dies};
use crate::queue::Outstanding;

/// At which I/O command after memory was lent the controller dies.
const IO_COMMANDS: u32 = 3;

/// What it takes to die, and whether that happened.
#[derive(Default)]
pub(crate) struct Mortality {
    /// Commands so far.
    commands: u64,
    /// I/O commands since more memory was lent than the controller survives.
    io_commands: u32,
    dead: Option<Death>,
    /// When firmware that panicked looks at CC again.
    restart_ns: Option<u64>,
}

impl Mortality {
    /// Commands are carried out. Firmware that panicked still does what it had begun.
    pub(super) fn works(&self) -> bool {
        matches!(self.dead, None | Some(Death::Panic))
    }

    /// Nothing answers at all.
    pub(super) fn is_gone(&self) -> bool {
        self.dead == Some(Death::Gone)
    }

    /// The firmware does not look at CC any more.
    pub(super) fn is_panicked(&self) -> bool {
        self.dead == Some(Death::Panic)
    }

    /// When firmware that panicked looks at CC again.
    pub(super) fn restart_ns(&self) -> Option<u64> {
        self.restart_ns
    }

    /// The controller is reset: only a link that is down stays so.
    pub(super) fn reset(&mut self) {
        self.io_commands = 0;
        self.restart_ns = None;
        if !self.is_gone() {
            self.dead = None;
        }
    }
}

impl Controller {
    /// A command is about to be carried out: true when the controller dies instead.
    pub(super) fn dies_of_command(&mut self, command: &Outstanding, bus: &mut dyn Bus) -> bool {
        self.mortality.commands += 1;
        let due = match self.profile.dies {
            Dies::Command(number) => self.mortality.commands == number,
            Dies::Lent(bytes) if self.hmb.lent_bytes() > bytes => {
                self.mortality.io_commands += u32::from(command.queue != 0);
                self.mortality.io_commands == IO_COMMANDS
            }
            Dies::Never | Dies::Lent(_) => false,
        };
        let own = due.then(|| (self.profile.death, Panic::default()));
        let death = own.or(command.injected.death);
        if let Some((death, panic)) = death {
            self.die(death, panic, bus);
        }
        death.is_some()
    }

    pub(super) fn die(&mut self, death: Death, panic: Panic, bus: &mut dyn Bus) {
        if self.mortality.dead.is_some() {
            return;
        }
        self.mortality.dead = Some(death);
        match death {
            Death::Fatal => self.fail("as its profile says", bus),
            Death::Panic => {
                bus.note("the firmware panics: CC is ignored, memory is used as before".to_owned());
                self.registers.csts = ControllerStatus::from_bits(panic.csts);
                self.mortality.restart_ns = panic.ns.map(|ns| self.now_ns.saturating_add(ns));
                self.registers.change = None;
                self.registers.shutdown_ns = None;
            }
            Death::Silent => {
                bus.note("no command is carried out any more".to_owned());
                self.outstanding.clear();
            }
            Death::Gone => {
                bus.note("the link is down: everything reads as all ones".to_owned());
                self.outstanding.clear();
                self.sync_line(bus);
            }
        }
    }

    /// Firmware that panicked restarts: it has lost all state, and does what CC says.
    pub(super) fn restart(&mut self, now_ns: u64, bus: &mut dyn Bus) {
        bus.note("the firmware restarts, and looks at CC again".to_owned());
        self.clear();
        self.hmb.reset(bus);
        self.registers.csts = ControllerStatus::new();
        if self.registers.cc.en() {
            self.enable(now_ns, bus);
        }
    }

    /// The power was lost: firmware that was waiting for that runs from now on.
    pub(super) fn update_firmware(&mut self) {
        let update = std::mem::take(&mut self.profile.update);
        if !update.is_empty() {
            self.profile.firmware = update;
            self.profile.dies = Dies::Never;
        }
    }
}

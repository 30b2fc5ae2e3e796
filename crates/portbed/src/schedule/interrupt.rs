//! Interrupts on their way to a processor.

use std::collections::BTreeMap;

use super::cpu::Cpu;
use super::irql;
use super::lock::LockId;
use super::neighbour::SharedLine;
use super::processor::Callback;
use crate::machine::{Affinity, Neighbour};
use crate::rules::port as rules;

/// How often the line may stay asserted after its interrupt was served before the machine gives up.
const LINE_PATIENCE: u32 = 1000;

/// How many interrupts and DPCs in a row may keep driver code below them from its next instruction.
const FLOOD_PATIENCE: u32 = 100_000;

/// What the device has sent and no processor has taken yet.
#[derive(Debug, Default)]
pub(crate) struct Interrupts {
    /// Each message, and how many had arrived before it.
    messages: BTreeMap<u16, usize>,
    arrived: usize,
    affinity: Affinity,
    /// Processors of a processor group.
    group: usize,
    line: bool,
    /// The controller does not show why the line is up.
    unexplained: bool,
    connected: bool,
    unquiet: u32,
    /// The processor whose register access took away last what the line was up for.
    lowered_by: Option<usize>,
    shared: SharedLine,
}

impl Interrupts {
    /// Interrupts that are not connected.
    pub(super) fn new(affinity: Affinity, group: usize) -> Self {
        Self {
            affinity,
            group,
            ..Self::default()
        }
    }

    /// Connects the miniport's routines, or disconnects them and forgets what is pending.
    pub(crate) fn connect(&mut self, connected: bool) {
        self.connected = connected;
        self.messages.clear();
        self.unquiet = 0;
        self.shared.fall_silent();
    }

    /// A message arrives.
    pub(crate) fn message(&mut self, message: u16) {
        if self.connected {
            let arrival = self.arrived;
            self.messages.entry(message).or_insert(arrival);
            self.arrived += 1;
        }
    }

    /// The level of the line.
    pub(crate) fn set_line(&mut self, asserted: bool) {
        self.line = asserted;
        if asserted {
            self.shared.adapter_raised();
        }
    }

    /// Whether the line is up although the controller does not show why.
    pub(crate) fn set_line_unexplained(&mut self, unexplained: bool) {
        self.unexplained = unexplained;
    }

    /// A register access of processor `index` is over; the line was up before, and showed why.
    pub(crate) fn accessed(&mut self, index: usize, shown_before: bool) {
        if shown_before && !self.line_shows() {
            self.lowered_by = Some(index);
        }
    }

    /// Whether the line is up now for a reason that the controller shows.
    pub(crate) fn line_shows(&self) -> bool {
        self.line && !self.unexplained
    }

    /// Another device on the line may assert it; `chance` is whether a working one does.
    pub(crate) fn neighbour_acts(&mut self, neighbour: Neighbour, chance: bool) {
        self.shared.act(neighbour, chance);
    }

    pub(super) fn pending(&self) -> bool {
        self.connected && (self.line || self.shared.is_asserted() || !self.messages.is_empty())
    }

    pub(super) fn message_for(&self, index: usize, processors: usize) -> Option<u16> {
        let taken = |&(&message, &arrival): &(&u16, &usize)| {
            let message = usize::from(message);
            self.affinity
                .takes(index, message, arrival, processors, self.group)
        };
        self.messages
            .iter()
            .find(taken)
            .map(|(&message, _)| message)
    }

    pub(super) fn line_for(&self, index: usize, processors: usize) -> bool {
        self.connected
            && (self.line || self.shared.is_asserted())
            && index == self.unquiet as usize % processors
    }
}

impl Cpu {
    /// Serves what has come before the miniport is initialised, on this processor, whichever a message is for: another one may
    /// take it only when the initialisation is over. Where nothing has come, message 0 does, as one that was pending when MSI-X
    /// was enabled.
    pub(crate) fn serve_early(&self) {
        {
            let mut state = self.state();
            if state.interrupts.messages.is_empty() {
                state.interrupts.message(0);
            }
        }
        loop {
            let first = self.state().interrupts.messages.keys().next().copied();
            let Some(message) = first else { break };
            self.serve_message(message);
        }
        self.serve();
    }

    /// Runs the interrupt routine for a message.
    pub(super) fn serve_message(&self, message: u16) {
        let (routine, extension, lock) = {
            let mut state = self.state();
            state.interrupts.messages.remove(&message);
            let adapter = &state.port.adapter;
            let lock = if adapter.lock_per_message {
                LockId::Message(self.adapter(), u32::from(message))
            } else {
                LockId::Interrupt(self.adapter())
            };
            (adapter.message_routine, adapter.extension, lock)
        };
        if routine == 0 {
            return;
        }
        self.acquire(lock, 0);
        self.state().processors[self.index()].message = Some(message);
        let claimed = self.call(
            Callback::MessageInterrupt,
            routine,
            [extension, u64::from(message), 0, 0, 0, 0],
        );
        self.state().processors[self.index()].message = None;
        self.check(&rules::INTERRUPT_CLAIMED, claimed as u8 != 0, || {
            format!("message {message} was not claimed")
        });
        self.release(lock);
    }

    /// Judges that interrupts and DPCs, of which so many were served in a row, leave the driver code below them time. A line
    /// that the interrupt routine masks and the DPC unmasks, with nobody serving what it is about, does not.
    pub(super) fn judge_flood(&self, served: u32) {
        if served < FLOOD_PATIENCE || self.callback().is_none() {
            return;
        }
        let below = super::core::place(self.callback());
        let (rule, source) = if self.state().port.adapter.messages == 0 {
            (&rules::INTERRUPT_QUIET, "the device's line interrupt")
        } else {
            (&rules::CALLBACK_PROGRESS, "a row of interrupts and DPCs")
        };
        self.end(
            rule,
            format!("{source} never ends, and {below} does not go on"),
        );
    }

    /// Judges that the interrupt routine claims an interrupt for which the controller shows a reason. A DPC on another processor may
    /// have taken that meanwhile; then there is nothing to claim.
    fn judge_claim(&self, claimed: bool) {
        let taken = {
            let state = self.state();
            let interrupts = &state.interrupts;
            !interrupts.line_shows() && interrupts.lowered_by != Some(self.index())
        };
        self.check(&rules::INTERRUPT_CLAIMED, claimed || taken, || {
            "the line was not claimed".to_owned()
        });
    }

    /// The routine of another device on the line, which is called where the adapter's has not `claimed` the interrupt. `asserted` says
    /// that the adapter asserted the line before its routine ran.
    fn serve_neighbour(&self, claimed: bool, asserted: bool) {
        let Some(taken) = self.state().interrupts.shared.end(claimed, asserted) else {
            return;
        };
        // The first one may be claimed for a completion whose interrupt was on its way.
        if !self.check(&rules::INTERRUPT_SHARED, taken < 2, || {
            "two interrupts of another device on the line were claimed in a row".to_owned()
        }) {
            self.state().interrupts.shared.fall_silent();
        }
    }

    /// Runs the interrupt routine for the line.
    pub(super) fn serve_line(&self) {
        let (routine, extension) = {
            let state = self.state();
            (
                state.port.adapter.initialization.interrupt,
                state.port.adapter.extension,
            )
        };
        self.acquire(LockId::Interrupt(self.adapter()), 0);
        let (asserted, shown, neighbour) = {
            let mut state = self.state();
            let interrupts = &mut state.interrupts;
            interrupts.lowered_by = None;
            interrupts.shared.begin();
            (
                interrupts.line,
                interrupts.line_shows(),
                interrupts.shared.is_asserted(),
            )
        };
        // The other processor may have served it while this one waited for the lock.
        if (asserted || neighbour) && routine != 0 {
            let claimed =
                self.call(Callback::Interrupt, routine, [extension, 0, 0, 0, 0, 0]) as u8 != 0;
            if shown {
                self.judge_claim(claimed);
            }
            self.serve_neighbour(claimed, asserted);
        }
        let storm = {
            let mut state = self.state();
            let interrupts = &mut state.interrupts;
            interrupts.unquiet = if interrupts.line {
                interrupts.unquiet + 1
            } else {
                0
            };
            interrupts.unquiet > LINE_PATIENCE
        };
        if !self.check(&rules::INTERRUPT_QUIET, !storm, || {
            "the line stays asserted".to_owned()
        }) {
            self.end(
                &rules::INTERRUPT_QUIET,
                "the device's line interrupt never ends".to_owned(),
            );
        }
        self.release(LockId::Interrupt(self.adapter()));
    }
}

const _: () = assert!(irql::DEVICE > irql::DISPATCH);
